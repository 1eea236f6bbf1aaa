"""The newer estimators of tau2, tau2 with moderators, and the likelihood itself, against R and by other routes."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.pooling.quadratic_form import generalised_q_cdf
from metapeer.pooling.tau2 import TAU2_METHODS, estimate_tau2, tau2_genq, tau2_genqm, tau2_se
from metapeer.pooling.tau2_intervals import q_profile
from metapeer.pooling.weighted import log_likelihood

KIND = {"ML": "likelihood", "REML": "likelihood", "EB": "likelihood", "DLIT": "likelihood", "SJIT": "likelihood"}
KIND |= {"PM": "root", "PMM": "root", "GENQM": "distribution"}
"""How metafor arrives at each estimate; those not named here are closed formulas."""

# Kacker (2004), Metrologia 41:132-136, table 1, first row: nine laboratories' results and variances; tau by Paule and
# Mandel, by the analysis of variance (Hedges), and by its two-step version. statsmodels' tests quote them too.
KACKER = (
    [61.00, 61.40, 62.21, 62.30, 62.34, 62.60, 62.70, 62.84, 65.90],
    [0.2025, 1.2100, 0.0900, 0.2025, 0.3844, 0.5625, 0.0676, 0.0225, 1.8225],
)


def estimate(yi, vi, method, X=None):
    """Estimate as the golden numbers were made: the generalised moment estimators with weights of 1 / (vi + 0.1)."""
    weighted = {"GENQ": tau2_genq, "GENQM": tau2_genqm}
    if method in weighted:
        return weighted[method](yi, vi, X, weights=1.0 / (vi + 0.1))
    return estimate_tau2(yi, vi, method, X).tau2


def exact_moment_estimate(yi, vi, a):
    """DerSimonian and Kacker (2007), equation 6, in exact arithmetic, from a Q with weights `a`; not truncated."""
    s1, s2 = sum(a), sum(x * x for x in a)
    mean = sum(x * y for x, y in zip(a, yi, strict=True)) / s1
    q = sum(x * (y - mean) ** 2 for x, y in zip(a, yi, strict=True))
    expected = sum(x * v for x, v in zip(a, vi, strict=True)) - sum(x * x * v for x, v in zip(a, vi, strict=True)) / s1
    return (q - expected) / (s1 - s2 / s1)


def exact_two_steps(yi, vi, first):
    yi, vi = [Fraction(y) for y in yi], [Fraction(v) for v in vi]
    start = [1 / v for v in vi] if first == "DL" else [Fraction(1)] * len(vi)
    tau2 = max(Fraction(0), exact_moment_estimate(yi, vi, start))
    return float(max(Fraction(0), exact_moment_estimate(yi, vi, [1 / (v + tau2) for v in vi])))


# Against R


@pytest.mark.golden("engine", "tau2", method=("HSk", "PMM", "DLIT", "SJIT", "GENQ", "GENQM"))
def test_tau2_is_metafors(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    kind, scale = KIND.get(row["method"], "formula"), float(np.median(vi))
    tau2 = estimate(yi, vi, row["method"])
    agrees(kind, tau2, row["tau2"], scale=scale)
    if not row["method"].startswith("GENQ"):
        agrees(kind, tau2_se(yi, vi, tau2, row["method"]), row["se"], scale=scale)


@pytest.mark.golden("engine", "tau2", method=("HSk", "PMM", "ML", "REML", "DL", "PM"))
def test_log_likelihoods_are_metafors(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    at = np.array([row["tau2"]])
    agrees("formula", log_likelihood(yi, vi, at, restricted=False)[0], row["ll_ML"], scale=yi.size)
    agrees("formula", log_likelihood(yi, vi, at, restricted=True)[0], row["ll_REML"], scale=yi.size)


@pytest.fixture(scope="module")
def golden_model(golden_set, golden_table):
    """Effects, variances and design matrix of a named meta-regression."""

    def read(name):
        model = golden_table("engine", "models")[name]
        yi, vi, _ = golden_set(model["data"])
        rows = slice(None) if model["rows"] is None else model["rows"]
        return yi[rows], vi[rows], np.array(model["X"], dtype=float)

    return read


@pytest.mark.golden("engine", "moderators")
def test_tau2_with_moderators_is_metafors(row, golden_model, agrees):
    yi, vi, X = golden_model(row["model"])
    kind, scale = KIND.get(row["method"], "moderators"), float(np.median(vi))
    tau2 = estimate(yi, vi, row["method"], X)
    agrees(kind, tau2, row["tau2"], scale=scale)
    if row["method"] != "GENQ":
        agrees(kind, tau2_se(yi, vi, tau2, row["method"], X), row["se"], scale=scale)
        at = np.array([row["tau2"]])
        agrees("moderators", log_likelihood(yi, vi, at, X, restricted=False)[0], row["ll_ML"], scale=yi.size)
        agrees("moderators", log_likelihood(yi, vi, at, X, restricted=True)[0], row["ll_REML"], scale=yi.size)


@pytest.mark.golden("engine", "moderators_q_profile")
def test_q_profile_with_moderators_is_metafors(row, golden_model, agrees):
    yi, vi, X = golden_model(row["model"])
    found = q_profile(yi, vi, 0.95, X)
    # The lower end is far below what is subtracted to get there.
    agrees("moderators", found.low, row["low"], scale=float(np.median(vi)))
    agrees("moderators", found.high, row["high"], scale=float(np.median(vi)))


# By other routes


@pytest.mark.parametrize(("method", "tau"), [("PM", 0.8399), ("HE", 1.1837), ("CA2", 0.9352)])
def test_tau_of_nine_laboratories_is_as_published(method, tau):
    yi, vi = map(np.array, KACKER)
    assert math.sqrt(estimate_tau2(yi, vi, method).tau2) == pytest.approx(tau, abs=5e-5)


@pytest.mark.parametrize(("method", "first"), [("DL2", "DL"), ("CA2", "CA")])
def test_two_step_estimates_are_those_of_exact_arithmetic(method, first):
    rng = np.random.default_rng(11)
    positive = 0
    for _ in range(200):
        k = int(rng.integers(2, 12))
        vi = 10.0 ** rng.uniform(-3.0, 1.0, k)
        yi = rng.normal(0.0, np.sqrt(vi + 10.0 ** rng.uniform(-3.0, 1.0)))
        expected = exact_two_steps(yi.tolist(), vi.tolist(), first)
        found = estimate_tau2(yi, vi, method).tau2
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-11 * vi.max())
        positive += expected > 0
    assert positive > 100


def test_generalised_moments_with_special_weights_are_the_older_estimators():
    rng = np.random.default_rng(12)
    for _ in range(50):
        vi = 10.0 ** rng.uniform(-2.0, 1.0, 6)
        yi = rng.normal(0.0, np.sqrt(vi + 1.0))
        X = np.column_stack([np.ones(6), rng.normal(size=6)])
        for design in (None, X):
            dl, he = (estimate_tau2(yi, vi, method, design).tau2 for method in ("DL", "HE"))
            assert tau2_genq(yi, vi, design, weights=1.0 / vi) == pytest.approx(dl, rel=1e-9, abs=1e-10)
            assert tau2_genq(yi, vi, design, weights=np.ones(6)) == pytest.approx(he, rel=1e-9, abs=1e-10)
            assert tau2_genq(yi, vi, design, weights=7.0 * vi**-0.5) == pytest.approx(
                estimate_tau2(yi, vi, "GENQ", design).tau2, rel=1e-9, abs=1e-10
            )


def test_median_unbiased_moments_put_q_at_its_median():
    rng = np.random.default_rng(13)
    inside = 0
    for _ in range(50):
        vi = 10.0 ** rng.uniform(-2.0, 1.0, 7)
        yi = rng.normal(0.0, np.sqrt(vi + 1.0))
        a = 1.0 / (vi + 0.3)
        tau2 = tau2_genqm(yi, vi, weights=a)
        mean = np.sum(a * yi) / np.sum(a)
        q = float(np.sum(a * (yi - mean) ** 2))
        share = generalised_q_cdf(q, vi, tau2, a)
        assert share == pytest.approx(0.5, abs=1e-9) if tau2 > 0 else share <= 0.5
        inside += tau2 > 0
    assert inside > 25


@pytest.mark.slow
def test_median_unbiased_estimates_are_too_large_half_the_time():
    rng = np.random.default_rng(14)
    vi, tau2, draws = np.array([0.02, 0.1, 0.05, 0.4, 0.08, 0.03]), 0.1, 3000
    effects = rng.normal(0.0, np.sqrt(vi + tau2), (draws, vi.size))
    for method in ("PMM", "GENQM"):
        above = np.mean([estimate_tau2(yi, vi, method).tau2 > tau2 for yi in effects])
        assert above == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / draws))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 1)), min_size=4, max_size=9), st.integers(0, 2**31))
def test_adding_a_multiple_of_a_moderator_leaves_every_estimate(studies, seed):
    yi, vi = np.round([y for y, _ in studies], 3), 10.0 ** np.round([v for _, v in studies], 3)
    X = np.column_stack([np.ones(yi.size), np.random.default_rng(seed).normal(size=yi.size)])
    for method in TAU2_METHODS:
        if method == "SJ":
            continue  # it starts from the variance of the effects themselves, as metafor's does
        here = estimate_tau2(yi, vi, method, X).tau2
        there = estimate_tau2(yi + X @ np.array([2.0, -1.0]), vi, method, X).tau2
        assert there == pytest.approx(here, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("method", [method for method in TAU2_METHODS if method != "BM"])  # its prior has a unit
@pytest.mark.parametrize("scale", [1e-8, 1e4])
def test_the_unit_of_the_effects_does_not_matter(method, scale):
    yi, vi = np.array([0.1, 0.3, 0.8, -0.2, 0.5]), np.array([0.02, 0.03, 0.4, 0.015, 0.1])
    X = np.column_stack([np.ones(5), [1.0, 2.0, 0.0, 4.0, 1.0]])
    for design in (None, X):
        here = estimate_tau2(yi, vi, method, design)
        there = estimate_tau2(yi * scale, vi * scale**2, method, design)
        assert there.tau2 == pytest.approx(here.tau2 * scale**2, rel=1e-10, abs=0.0)
        assert there.se == pytest.approx(here.se * scale**2, rel=1e-10, abs=0.0)
