"""Intervals for the pooled effect beyond the common ones, against R, matrix formulas and the tests they invert."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import chi2, norm
from scipy.stats import t as student

from metapeer.errors import ChoiceError, MetapeerError
from metapeer.pooling.mean_intervals import (
    fixed_weight_se,
    henmi_copas,
    kenward_roger,
    mean_likelihood_interval,
    mean_likelihood_p,
    sign_flip_p,
)
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.tau2 import estimate_tau2

pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")

NEEDS = {"KR": "REML", "PL": "ML", "PL_B": "ML", "PL_S": "ML", "perm": "DL", "HC": "DL", "IVhet": "DL"}
FIVE = np.array([0.1, 0.3, 0.8, -0.2, 0.5]), np.array([0.02, 0.03, 0.4, 0.015, 0.1])


@st.composite
def studies(draw, min_size=2, max_size=10):
    k = draw(st.integers(min_size, max_size))
    yi = draw(st.lists(st.floats(-3, 3), min_size=k, max_size=k))
    log_vi = draw(st.lists(st.floats(-3, 1), min_size=k, max_size=k))
    return np.round(yi, 3), np.round(10.0 ** np.array(log_vi), 6)


def kenward_roger_by_matrices(vi, tau2):
    """Kenward and Roger (1997) as they wrote it, for one coefficient and one variance: matrices and traces."""
    k = vi.size
    x = np.ones((k, 1))
    inverse = np.diag(1.0 / (vi + tau2))
    phi = np.linalg.inv(x.T @ inverse @ x)
    p = -x.T @ inverse @ inverse @ x
    q = x.T @ inverse @ inverse @ inverse @ x
    traces = np.trace(inverse @ inverse), np.trace(phi @ q), np.trace(phi @ p @ phi @ p)
    w = 2.0 / (traces[0] - 2.0 * traces[1] + traces[2])  # inverse of the expected information of REML
    adjusted = phi + 2.0 * phi @ (w * (q - p @ phi @ p)) @ phi
    return math.sqrt(adjusted[0, 0]), w


def profiled_cost(yi, vi, mu):
    """Minus twice the log-likelihood with the mean held at `mu`, over tau2: a fine grid, then a search around it."""
    squares = (yi - mu) ** 2

    def cost(tau2):
        total = vi + np.atleast_1d(tau2)[:, None]
        return np.log(total).sum(axis=1) + (squares / total).sum(axis=1)

    smallest, top = float(vi.min()), float(squares.max() + vi.max())
    grid = smallest * np.expm1(np.linspace(0.0, math.log1p(top / smallest), 2000))
    i = int(np.argmin(cost(grid)))
    low, high = grid[max(0, i - 1)], grid[min(grid.size - 1, i + 1)]
    near = minimize_scalar(lambda t: cost(t)[0], bounds=(low, high), method="bounded", options={"xatol": 1e-10 * high})
    return min(float(cost(grid[i])[0]), float(near.fun))


def likelihood_ratio(yi, vi, mu):
    tau2 = estimate_tau2(yi, vi, "ML").tau2
    w = 1.0 / (vi + tau2)
    best = float(np.sum(w * yi) / np.sum(w))
    free = float(np.sum(np.log(vi + tau2) + w * (yi - best) ** 2))
    return profiled_cost(yi, vi, mu) - free


# Kenward and Roger


@pytest.mark.golden("engine", "kenward_roger")
def test_kenward_roger_intervals_are_metas(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    found = meta_analysis(yi=yi, vi=vi, ci_method="KR")
    agrees("likelihood", found.estimate, row["estimate"], scale=found.se)
    agrees("likelihood", found.se, row["se"])
    agrees("likelihood", found.df, row["df"])
    agrees("likelihood", found.statistic, row["statistic"], scale=1 + abs(row["statistic"]))
    agrees("p", found.p_value, row["p"])
    agrees("likelihood", found.ci.low, row["low"], scale=found.ci.width)
    agrees("likelihood", found.ci.high, row["high"], scale=found.ci.width)


@settings(deadline=None, max_examples=50)
@given(studies(), st.sampled_from([0.0, 1e-3, 0.1, 10.0]))
def test_kenward_roger_is_the_matrix_formula(data, tau2):
    _, vi = data
    found = kenward_roger(vi, tau2)
    se, variance_of_tau2 = kenward_roger_by_matrices(vi, tau2)
    # The matrix formula subtracts; where one study dominates it loses the digits that ours keeps.
    dominance = float((1.0 / (vi + tau2)).max() / np.sort(1.0 / (vi + tau2))[-2])
    assert found.se == pytest.approx(se, rel=1e-12 * dominance**2)
    # Satterthwaite: twice the squared variance over the variance of the variance, which is W (d Phi / d tau2)^2.
    w = 1.0 / (vi + tau2)
    slope = float(np.sum(w**2) / np.sum(w) ** 2)
    unadjusted = 2.0 / (variance_of_tau2 * (slope * np.sum(w)) ** 2)
    inflation = (found.se**2 * np.sum(w)) ** 2
    assert found.df * inflation == pytest.approx(unadjusted, rel=1e-11 * dominance**2)


@pytest.mark.parametrize("k", [2, 3, 10, 40])
def test_kenward_roger_is_the_classic_error_with_k_minus_1_df_when_variances_are_equal(k):
    found = kenward_roger(np.full(k, 0.05), 0.2)
    assert found.se == pytest.approx(math.sqrt(0.25 / k), rel=1e-12)
    assert found.df == pytest.approx(k - 1, rel=1e-12)


def test_kenward_roger_of_two_studies_by_hand():
    # Weights 4 and 2: P is w1 w2 / (w1 + w2) = 8/6 times ((1, -1), (-1, 1)), so tr(PP) = 4 (8/6)^2.
    vi, tau2 = np.array([0.2, 0.45]), 0.05
    information = 0.5 * 4.0 * (8.0 / 6.0) ** 2
    spread = 4.0 * (4.0 - 20.0 / 6.0) ** 2 + 2.0 * (2.0 - 20.0 / 6.0) ** 2
    variance = 1.0 / 6.0 + 2.0 * spread / (information * 36.0)
    found = kenward_roger(vi, tau2)
    assert found.se == pytest.approx(math.sqrt(variance), rel=1e-12)
    assert found.df == pytest.approx(2.0 * information / (20.0 * variance) ** 2, rel=1e-12)
    whole = meta_analysis(yi=[0.1, 0.9], vi=vi, ci_method="KR")
    half = student.ppf(0.975, whole.df) * whole.se
    assert tuple(whole.ci) == pytest.approx((whole.estimate - half, whole.estimate + half), rel=1e-10)
    assert whole.df < 1.0


# Henmi and Copas, IVhet


@pytest.mark.golden("engine", "henmi_copas")
def test_henmi_copas_intervals_are_metafors(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    found = meta_analysis(yi=yi, vi=vi, tau2_method="DL", ci_method="HC")
    agrees("formula", found.estimate, row["estimate"])
    agrees("formula", found.se, row["se"])
    agrees("formula", found.tau2, row["tau2"])
    # metafor leaves uniroot, which finds the quantile in units of the standard deviation of the pivot, at its default.
    pivot = math.sqrt(1.0 + found.tau2 * float(np.sum(vi**-2.0) / np.sum(1.0 / vi)))
    for end in ("low", "high"):
        agrees("uniroot", (getattr(found.ci, end) - row[end]) / (pivot * found.se), 0.0)


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("k", [2, 3, 8])
def test_the_henmi_copas_quantile_is_exact_without_heterogeneity(k, level):
    # Then Q is chi-squared and independent of the normal pivot, whose standard error DL's tau2 from Q inflates.
    rng = np.random.default_rng(k)
    vi = 10.0 ** rng.uniform(-1.0, 0.0, k)
    w, draws = 1.0 / vi, 400_000
    w2 = float(w @ w / w.sum())
    tau2 = np.maximum(0.0, rng.chisquare(k - 1, draws) - (k - 1)) / (w.sum() - w2)
    pivot = np.abs(rng.standard_normal(draws)) / np.sqrt(1.0 + tau2 * w2)
    quantile = henmi_copas(np.zeros(k), vi, level)
    error = math.sqrt(level * (1.0 - level) / draws)
    assert np.mean(pivot <= quantile) == pytest.approx(level, abs=4 * error)
    assert quantile < norm.ppf(0.5 + 0.5 * level)


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_the_henmi_copas_quantile_of_equal_variances_is_students_when_heterogeneity_is_all_there_is(size):
    # Q is then a multiple of chi-squared, the pivot a mean over a standard error estimated from it: Student's t.
    yi = size * np.array([0.0, 1.0, -2.0])
    assert henmi_copas(yi, np.full(3, 0.1), 0.95) == pytest.approx(student.ppf(0.975, 2), rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(studies())
def test_fixed_weights_keep_the_estimate_of_a_common_effect(data):
    yi, vi = data
    common = meta_analysis(yi=yi, vi=vi, model="common")
    for method in ("HC", "IVhet"):
        found = meta_analysis(yi=yi, vi=vi, tau2_method="DL", ci_method=method)
        assert found.estimate == common.estimate
        assert found.weights.tolist() == common.weights.tolist()
        assert found.se >= common.se * (1.0 - 1e-12)
        weights = found.weights / 100.0
        assert found.se**2 == pytest.approx(float(weights**2 @ (vi + found.tau2)), rel=1e-10)


def test_the_fixed_weight_standard_error_is_that_of_simulated_means():
    vi, tau2, draws = np.array([0.02, 0.3, 0.05, 0.1]), 0.2, 200_000
    effects = np.random.default_rng(2).normal(0.0, np.sqrt(vi + tau2), (draws, 4))
    means = effects @ (1.0 / vi) / np.sum(1.0 / vi)
    # The standard error of a standard deviation is its value over the square root of twice the draws.
    assert np.std(means) == pytest.approx(fixed_weight_se(vi, tau2), rel=4 / math.sqrt(2 * draws))


# Profile likelihood


@settings(deadline=None, max_examples=50)
@given(studies(), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_the_likelihood_ratio_is_the_quantile_at_both_ends(data, level):
    yi, vi = data
    found = mean_likelihood_interval(yi, vi, level)
    for end in found:
        assert likelihood_ratio(yi, vi, end) == pytest.approx(chi2.ppf(level, 1), abs=2e-6)


@settings(deadline=None, max_examples=50)
@given(studies(), st.floats(-3, 3))
def test_the_p_value_is_that_of_the_likelihood_ratio(data, mu):
    yi, vi = data
    shifted = yi - round(mu, 3)
    expected = chi2.sf(max(0.0, likelihood_ratio(shifted, vi, 0.0)), 1)
    assert mean_likelihood_p(shifted, vi) == pytest.approx(expected, abs=1e-4, rel=1e-5)


@settings(deadline=None, max_examples=50)
@given(studies())
def test_zero_is_outside_the_likelihood_interval_when_it_is_rejected(data):
    found = meta_analysis(yi=data[0], vi=data[1], tau2_method="ML", ci_method="PL")
    if abs(found.p_value - 0.05) > 1e-6:
        assert (0.0 in found.ci) == (found.p_value > 0.05)


def test_the_likelihood_interval_of_a_known_variance_is_normal():
    # Effects closer than their errors and a mean near them: tau2 stays at zero all the way to the ends.
    yi, vi = np.array([0.1, 0.1, 0.1, 0.1]), np.full(4, 1.0)
    found = mean_likelihood_interval(yi, vi, 0.9)
    half = norm.ppf(0.95) / 2.0
    assert half**2 < 1.0
    assert tuple(found) == pytest.approx((0.1 - half, 0.1 + half), rel=1e-9)


def test_the_likelihood_interval_of_equal_variances_is_hotellings():
    # With tau2 above zero throughout, the ratio is k log(1 + (mu - mean)^2 / s^2): Student's statistic in disguise.
    yi, vi = np.array([-3.0, -1.0, 0.5, 2.0, 4.0]), np.full(5, 0.1)
    found = mean_likelihood_interval(yi, vi, 0.95)
    half = math.sqrt(np.var(yi) * math.expm1(chi2.ppf(0.95, 1) / 5))
    assert tuple(found) == pytest.approx((yi.mean() - half, yi.mean() + half), rel=1e-9)


@pytest.mark.parametrize("method", NEEDS)
@pytest.mark.parametrize("scale", [1e-8, 1e4])
def test_the_unit_of_the_effects_does_not_matter(method, scale):
    yi, vi = FIVE
    here, there = (
        meta_analysis(yi=yi * c, vi=vi * c**2, tau2_method=NEEDS[method], ci_method=method) for c in (1.0, scale)
    )
    assert tuple(there.ci) == pytest.approx(tuple(end * scale for end in here.ci), rel=1e-8, abs=0.0)
    assert there.se == pytest.approx(here.se * scale, rel=1e-10, abs=0.0)
    assert there.p_value == pytest.approx(here.p_value, rel=1e-8, nan_ok=True)


# Permutation


@pytest.mark.golden("engine", "permutation")
def test_exact_permutation_tests_are_metafors(row, golden_set):
    yi, vi, _ = golden_set(row["data"])
    yi, vi = yi[:12], vi[:12]
    assert 2**yi.size == row["patterns"]
    # Both count patterns: nothing is rounded.
    assert sign_flip_p(yi, vi, tau2_method="DL") == row["p"]


@settings(deadline=None, max_examples=50)
@given(studies(max_size=6), st.sampled_from(["DL", "REML", "PM"]))
def test_the_permutation_test_counts_all_patterns_of_signs(data, method):
    yi, vi = data

    def size(effects):
        w = 1.0 / (vi + estimate_tau2(effects, vi, method).tau2)
        return abs(float(np.sum(w * effects))) / math.sqrt(float(np.sum(w)))

    sizes = [size(yi * np.array(signs)) for signs in product((1.0, -1.0), repeat=yi.size)]
    observed = size(yi)
    clear = sum(one > observed * (1 + 1e-9) + 1e-12 for one in sizes)
    ties = sum(abs(one - observed) <= observed * 1e-9 + 1e-12 for one in sizes)
    found = sign_flip_p(yi, vi, tau2_method=method) * len(sizes)
    assert clear - 1e-9 <= found <= clear + ties + 1e-9
    assert found == pytest.approx(round(found), abs=1e-9)


def test_the_permutation_test_refuses_too_many_studies():
    with pytest.raises(MetapeerError, match="17 studies"):
        sign_flip_p(np.ones(17), np.ones(17), tau2_method="DL")


# The door


@pytest.mark.parametrize("method", NEEDS)
@pytest.mark.parametrize("tau2_method", ["REML", "ML", "DL", "PM"])
def test_a_method_is_refused_with_another_tau2_than_its_own(method, tau2_method):
    yi, vi = FIVE
    if tau2_method == NEEDS[method]:
        found = meta_analysis(yi=yi, vi=vi, tau2_method=tau2_method, ci_method=method)
        assert found.ci_method == method or (method == "PL_S" and found.ci_method == "PL")
        return
    with pytest.raises(ChoiceError, match=NEEDS[method]):
        meta_analysis(yi=yi, vi=vi, tau2_method=tau2_method, ci_method=method)


@pytest.mark.parametrize("method", NEEDS)
def test_a_common_effect_has_no_use_for_them(method):
    with pytest.raises(ChoiceError, match="random-effects"):
        meta_analysis(yi=FIVE[0], vi=FIVE[1], model="common", ci_method=method)


@settings(deadline=None, max_examples=50)
@given(studies(), st.sampled_from(sorted(NEEDS)), st.sampled_from([0.8, 0.99]))
def test_every_interval_holds_its_estimate_and_mirrors_with_the_effects(data, method, level):
    yi, vi = data
    here, there = (
        meta_analysis(yi=y, vi=vi, tau2_method=NEEDS[method], ci_method=method, level=level) for y in (yi, -yi)
    )
    assert here.ci.low < here.estimate < here.ci.high
    assert here.ci.level == level
    assert tuple(there.ci) == pytest.approx((-here.ci.high, -here.ci.low), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("method", ["PL", "PL_B", "PL_S", "perm", "HC"])
def test_the_standard_error_and_statistic_belong_to_the_estimate(method):
    found = meta_analysis(yi=FIVE[0], vi=FIVE[1], tau2_method=NEEDS[method], ci_method=method)
    assert found.statistic == pytest.approx(found.estimate / found.se, rel=1e-12)
    assert math.isnan(found.p_value) == (method == "HC")
