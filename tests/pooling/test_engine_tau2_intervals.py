"""Every interval of tau2 against R, and against the test or the likelihood that it inverts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from metapeer.errors import ChoiceError
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.quadratic_form import generalised_q_cdf
from metapeer.pooling.tau2 import Tau2Estimate, estimate_tau2
from metapeer.pooling.tau2_intervals import (
    TAU2_CI_METHODS,
    bootstrap_interval,
    generalised_q_interval,
    likelihood_interval,
    q_profile,
    tau2_interval,
    wald_interval,
)
from metapeer.pooling.weighted import log_likelihood

AGREE = np.array([0.1, 0.1001, 0.0999, 0.1, 0.1]), np.full(5, 0.5)
"""Effects that agree so well that no tau2 is small enough."""

METAFORS_CAP = ("extreme", "GENQ")
"""metafor looks for the upper end up to a hundred or so times its start and stops there; its "ub.sign" then is ">"."""


@st.composite
def studies(draw):
    k = draw(st.integers(2, 10))
    yi = draw(st.lists(st.floats(-3, 3), min_size=k, max_size=k))
    log_vi = draw(st.lists(st.floats(-4, 1), min_size=k, max_size=k))
    return np.round(yi, 3), np.round(10.0 ** np.array(log_vi), 6)


def interval(yi, vi, method, *, tau2_method="REML", level=0.95):
    tau2 = estimate_tau2(yi, vi, tau2_method)
    return tau2_interval(yi, vi, tau2, method=method, tau2_method=tau2_method, level=level)


def share_below(yi, vi, weights, tau2):
    """Probability that Q with these weights is at most the observed one."""
    mean = np.sum(weights * yi) / np.sum(weights)
    return generalised_q_cdf(float(np.sum(weights * (yi - mean) ** 2)), vi, tau2, weights)


def profile_q(yi, vi, tau2):
    w = 1.0 / (vi + tau2)
    return float(np.sum(w * (yi - np.sum(w * yi) / np.sum(w)) ** 2))


# Against R


@pytest.mark.golden("engine", "tau2_ci", type=("PL", "Wald", "Wald.log", "Wald.sqrt"))
def test_likelihood_and_wald_intervals_are_metafors(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    found = interval(yi, vi, row["type"], tau2_method=row["method"])
    scale = float(np.median(vi))
    tau2 = estimate_tau2(yi, vi, row["method"])
    if row["type"] in ("Wald.log", "Wald.sqrt") and tau2.tau2 == 0.0:
        # metafor divides by an estimate of zero, or of some 1e-12 where ours is zero: the interval says nothing.
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        return
    if row["type"] == "Wald.log":
        # The error of the estimate is multiplied by its ratio to the standard error, inside an exponential.
        scale *= 1.0 + (tau2.se / tau2.tau2) * math.exp(2.0 * tau2.se / tau2.tau2)
    agrees("likelihood", found.low, row["low"], scale=scale)
    agrees("likelihood", found.high, row["high"], scale=scale)


@pytest.mark.golden("engine", "tau2_ci", type=("GENQ",), method=("GENQ",))
def test_generalised_q_intervals_are_metafors(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    found = generalised_q_interval(yi, vi, 0.95, weights=1.0 / (vi + 0.1))
    if row["null"]:
        assert found.empty
        return
    agrees("uniroot", found.low, row["low"])
    if (row["data"], row["type"]) == METAFORS_CAP:
        assert row["capped"] == ">"
        assert found.high > row["high"]
        return
    assert not row["capped"]
    agrees("uniroot", found.high, row["high"])


@pytest.mark.golden("engine", "tau2_ci_meta")
def test_jackson_and_biggerstaff_jackson_intervals_are_metas(row, golden_set, agrees):
    # meta leaves metafor's root finder at its default tolerance.
    yi, vi, _ = golden_set(row["data"])
    found = interval(yi, vi, row["type"], tau2_method="DL")
    if row["high"] == 0:
        assert found.empty  # meta gives 0 to 0
        return
    agrees("uniroot", found.low, row["low"])
    agrees("uniroot", found.high, row["high"])


# Duality


@settings(deadline=None, max_examples=50)
@given(studies(), st.sampled_from([0.5, 0.8, 0.95, 0.999]), st.sampled_from(["J", "BJ"]))
def test_q_has_the_tail_probabilities_of_the_level_at_the_ends(data, level, method):
    yi, vi = data
    weights = vi**-0.5 if method == "J" else 1.0 / vi
    tail = 0.5 * (1.0 - level)
    found = interval(yi, vi, method, tau2_method="DL", level=level)
    if found.empty:
        assert share_below(yi, vi, weights, 0.0) <= tail + 1e-9
        return
    # An end close to zero may come out as zero itself; the distribution function is good to about 1e-12.
    assert share_below(yi, vi, weights, found.high) == pytest.approx(tail, abs=1e-9)
    if found.low > 0:
        assert share_below(yi, vi, weights, found.low) == pytest.approx(1.0 - tail, abs=1e-9)
    else:
        assert share_below(yi, vi, weights, 0.0) <= 1.0 - tail + 1e-9


@settings(deadline=None, max_examples=50)
@given(studies(), st.sampled_from([0.5, 0.95, 0.999]), st.booleans())
def test_a_likelihood_interval_holds_what_is_likely_and_nothing_beyond_its_ends(data, level, restricted):
    yi, vi = data
    method = "REML" if restricted else "ML"
    found = interval(yi, vi, "PL", tau2_method=method, level=level)
    best = estimate_tau2(yi, vi, method)

    def drop(tau2):
        heights = log_likelihood(yi, vi, np.append(tau2, best.tau2), restricted=restricted)
        return 2.0 * (heights[-1] - heights[:-1])

    bar = float(chi2.ppf(level, 1))
    assert found.low <= best.tau2 <= found.high
    assert drop(np.array([found.high]))[0] == pytest.approx(bar, abs=1e-8)
    if found.low > 0:
        assert drop(np.array([found.low]))[0] == pytest.approx(bar, abs=1e-8)
        below = np.linspace(0.0, found.low, 50)[:-1]
        assert (drop(below) >= bar - 1e-8).all()
    beyond = (found.high + vi.min()) * np.geomspace(1.0 + 1e-6, 1e6, 200)
    assert (drop(beyond) >= bar - 1e-8).all()


def test_a_likelihood_interval_spans_both_of_two_peaks_of_like_height():
    yi, vi = np.array([-0.9, 19.49, 1.17, 0.27]), np.array([0.159, 38.894, 0.53, 0.125])
    found = likelihood_interval(yi, vi, 0.95, restricted=True)
    best = estimate_tau2(yi, vi, "REML")
    assert all(peak in found for peak in (best.tau2, *(tau2 for tau2, drop in best.other_maxima if drop < 1.9)))
    assert found.high > 27.85
    narrow = likelihood_interval(yi, vi, 0.3, restricted=True)
    assert narrow.high < 27.85


@settings(deadline=None, max_examples=50)
@given(studies(), st.sampled_from(["QP", "J", "BJ", "PL"]))
def test_a_higher_level_gives_a_wider_interval(data, method):
    yi, vi = data
    narrow, wide = (interval(yi, vi, method, level=level) for level in (0.8, 0.95))
    assert not (wide.empty and not narrow.empty)
    if not narrow.empty:
        slack = 1e-9 * (wide.high + vi.min())
        assert wide.low <= narrow.low + slack
        assert narrow.high <= wide.high + slack


@pytest.mark.slow
@pytest.mark.parametrize("method", ["QP", "J", "BJ"])
def test_the_intervals_cover_as_often_as_they_say(method):
    # Exact under normality: the three are tests turned inside out.
    rng = np.random.default_rng(17)
    vi, tau2, level, draws = np.array([0.02, 0.3, 0.05, 0.1]), 0.1, 0.8, 2000
    covered = 0
    for yi in rng.normal(0.0, np.sqrt(vi + tau2), (draws, vi.size)):
        found = interval(yi, vi, method, tau2_method="DL", level=level)
        covered += not found.empty and tau2 in found
    assert covered / draws == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / draws))


# Edges


@pytest.mark.parametrize("method", ["QP", "J", "BJ"])
def test_the_set_is_empty_when_effects_agree_too_well(method):
    found = interval(*AGREE, method)
    assert found.empty
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert 0.0 not in found
    whole = meta_analysis(yi=AGREE[0], vi=AGREE[1], ci_method="z", tau2_ci_method=method)
    assert whole.I2_ci.empty
    assert any("empty" in note for note in whole.notes)


@pytest.mark.parametrize("method", ["PL", "boot"])
def test_a_set_that_holds_the_estimate_is_never_empty(method):
    found = interval(*AGREE, method)
    assert not found.empty
    assert found.low == 0.0
    assert found.high > 0.0


@pytest.mark.parametrize("method", ["QP", "J", "BJ"])
def test_the_upper_end_is_not_capped(method):
    yi, vi = np.array([0.0, 40.0]), np.array([0.5, 0.5])
    found = interval(yi, vi, method, level=0.99)
    # Two equal variances: Q = (y1 - y2)^2 / 2 / (v + tau2) with one degree of freedom.
    for end, tail in ((found.high, 0.005), (found.low, 0.995)):
        assert end == pytest.approx(800.0 / chi2.ppf(tail, 1) - 0.5, rel=1e-9)
    assert found.high > 1e6


@pytest.mark.parametrize("method", TAU2_CI_METHODS)
@pytest.mark.parametrize("scale", [1e-8, 1e4])
def test_the_unit_of_the_effects_does_not_matter(method, scale):
    yi, vi = np.array([0.1, 0.3, 0.8, -0.4, 0.5]), np.array([0.02, 0.03, 0.4, 0.015, 0.1])
    here, there = interval(yi, vi, method), interval(yi * scale, vi * scale**2, method)
    assert there.high == pytest.approx(here.high * scale**2, rel=1e-9, abs=0.0)
    assert there.low == pytest.approx(here.low * scale**2, rel=1e-8, abs=0.0)


@pytest.mark.parametrize("method", ["QP", "J", "BJ", "PL"])
def test_moderators_that_are_a_column_of_ones_change_nothing(method):
    yi, vi = np.array([0.1, 0.3, 0.8, -0.4, 0.5]), np.array([0.02, 0.03, 0.4, 0.015, 0.1])
    tau2 = estimate_tau2(yi, vi, "REML")
    here, there = (
        tau2_interval(yi, vi, tau2, method=method, tau2_method="REML", level=0.9, X=X) for X in (None, np.ones((5, 1)))
    )
    assert tuple(there) == pytest.approx(tuple(here), rel=1e-9)


def test_q_profile_with_a_moderator_solves_its_equations():
    rng = np.random.default_rng(5)
    vi = 10.0 ** rng.uniform(-2.0, 0.0, 8)
    X = np.column_stack([np.ones(8), rng.normal(size=8)])
    yi = X @ np.array([0.2, 0.5]) + rng.normal(0.0, np.sqrt(vi + 4.0))
    found = q_profile(yi, vi, 0.95, X)
    for end, tail in ((found.low, 0.975), (found.high, 0.025)):
        w = 1.0 / (vi + end)
        beta = np.linalg.solve(X.T @ (w[:, None] * X), X.T @ (w * yi))
        assert float(w @ (yi - X @ beta) ** 2) == pytest.approx(chi2.ppf(tail, 6), rel=1e-9)


def test_wald_intervals_are_cut_at_zero_and_positive_on_the_log_scale():
    weak = Tau2Estimate(0.1, 0.2)
    assert wald_interval(weak, 0.95).low == 0.0
    assert wald_interval(weak, 0.95, scale="Wald.sqrt").low == 0.0
    assert wald_interval(weak, 0.95, scale="Wald.log").low > 0.0
    logs = [math.log(end) for end in wald_interval(weak, 0.95, scale="Wald.log")]
    assert sum(logs) / 2 == pytest.approx(math.log(0.1))
    strong = wald_interval(Tau2Estimate(0.1, 0.01), 0.95, scale="Wald.sqrt")
    assert sum(math.sqrt(end) for end in strong) / 2 == pytest.approx(math.sqrt(0.1))


def test_the_bootstrap_depends_on_its_seed_alone():
    yi, vi = np.array([0.1, 0.3, 0.8, 0.5]), np.array([0.02, 0.03, 0.04, 0.02])
    first, again, other = (bootstrap_interval(yi, vi, 0.9, method="DL", draws=300, seed=seed) for seed in (1, 1, 2))
    assert tuple(first) == tuple(again)
    assert first.high != other.high
    assert "300 draws, seed 1" in first.method


def test_the_bootstrap_is_the_distribution_of_the_estimate():
    # Two studies with equal variances: DL is max(0, d^2 / 2 - v) with d^2 / 2 a (v + tau2) chi-squared on one df.
    yi, vi, draws = np.array([0.0, 2.0]), np.array([0.5, 0.5]), 20_000
    found = bootstrap_interval(yi, vi, 0.8, method="DL", draws=draws, seed=3)
    share = chi2.cdf((found.high + 0.5) / (1.5 + 0.5), 1)
    assert share == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / draws))
    assert found.low == 0.0


def test_an_unknown_interval_is_refused_with_a_hint():
    yi, vi = np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])
    with pytest.raises(ChoiceError, match=r"Wald\.log"):
        meta_analysis(yi=yi, vi=vi, tau2_ci_method="Wald.lgo")


@pytest.mark.parametrize("method", TAU2_CI_METHODS)
def test_the_door_gives_the_interval_that_was_asked_for(method):
    yi, vi = np.array([0.1, 0.3, 0.8, -0.4, 0.5]), np.array([0.02, 0.03, 0.4, 0.015, 0.1])
    whole = meta_analysis(yi=yi, vi=vi, tau2_ci_method=method, level=0.9)
    assert tuple(whole.tau2_ci) == tuple(interval(yi, vi, method, level=0.9))
    assert whole.tau2_ci.level == 0.9
    typical = whole.tau2 / (whole.H2 - 1.0)
    for share, tau2 in zip(whole.I2_ci, whole.tau2_ci, strict=True):
        assert share == pytest.approx(100.0 * tau2 / (tau2 + typical), rel=1e-9)
