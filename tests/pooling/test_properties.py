# ruff: noqa: SIM300  (Q and I2 are quantities, not constants: nothing here is written the wrong way round)
"""What must hold for any data: laws that the formulas obey and that no table of numbers can show."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from metapeer.errors import DataWarning
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.tau2 import TAU2_METHODS, estimate_tau2
from metapeer.pooling.tau2_intervals import q_profile

# The Bayes modal estimate is never zero, and its prior is tied to a unit.
METHODS = tuple(method for method in TAU2_METHODS if method != "BM")

METHODS = st.sampled_from(METHODS)
CI_METHODS = st.sampled_from(["z", "t", "HK", "HK_se", "HK_ci", "HK_IQWiG6"])


@st.composite
def studies(draw, min_size=2, max_size=12):
    """Effects within ±3 and log-normal variances with a ratio of up to 10^5, the sort that makes likelihoods wild."""
    k = draw(st.integers(min_size, max_size))
    yi = draw(st.lists(st.floats(-3, 3), min_size=k, max_size=k))
    log_vi = draw(st.lists(st.floats(-4, 1), min_size=k, max_size=k))
    # Three decimals keep the effects apart or equal: differences of 1e-300 are not data.
    return np.round(yi, 3), np.round(10.0 ** np.array(log_vi), 6)


def fit(yi, vi, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return meta_analysis(yi=yi, vi=vi, **options)


def q(yi, vi, tau2):
    w = 1.0 / (vi + tau2)
    return float(np.sum(w * (yi - np.sum(w * yi) / np.sum(w)) ** 2))


def restricted_log_likelihood(yi, vi, tau2):
    """Viechtbauer (2005), equation 9, up to a constant, for a column of tau2."""
    w = 1.0 / (vi + tau2)
    total = w.sum(axis=1, keepdims=True)
    mean = (w * yi).sum(axis=1, keepdims=True) / total
    return -0.5 * (np.log(vi + tau2).sum(axis=1) + np.log(total[:, 0]) + (w * (yi - mean) ** 2).sum(axis=1))


# Symmetries


@given(studies(), METHODS, CI_METHODS, st.sampled_from([-4.0, -0.5, 0.25, 2.0, 64.0]))
def test_shifting_the_effects_shifts_the_estimate_and_leaves_heterogeneity(data, method, ci_method, shift):
    yi, vi = data
    here, there = (fit(y, vi, tau2_method=method, ci_method=ci_method) for y in (yi, yi + shift))
    size = 1 + abs(shift)
    assert there.estimate == pytest.approx(here.estimate + shift, abs=1e-7 * size)
    assert there.tau2 == pytest.approx(here.tau2, rel=1e-6, abs=1e-9 * size)
    assert there.Q == pytest.approx(here.Q, rel=1e-6, abs=1e-7)
    assert there.se == pytest.approx(here.se, rel=1e-5, abs=1e-9 * size)


@given(studies(), METHODS, CI_METHODS, st.integers(-20, 20))
def test_scaling_the_effects_scales_the_result(data, method, ci_method, exponent):
    # Powers of two are exact in floating point, so nothing at all may depend on the unit.
    yi, vi = data
    factor = 2.0**exponent
    here = fit(yi, vi, tau2_method=method, ci_method=ci_method)
    there = fit(yi * factor, vi * factor**2, tau2_method=method, ci_method=ci_method)
    assert there.estimate == pytest.approx(here.estimate * factor, rel=1e-12)
    assert there.tau2 == pytest.approx(here.tau2 * factor**2, rel=1e-10)
    assert tuple(there.ci) == pytest.approx(tuple(end * factor for end in here.ci), rel=1e-10)
    assert there.I2 == pytest.approx(here.I2, rel=1e-10)
    assert there.p_value == pytest.approx(here.p_value, rel=1e-9, nan_ok=True)


@given(studies(), METHODS, CI_METHODS)
def test_flipping_signs_flips_the_result(data, method, ci_method):
    yi, vi = data
    here, there = (fit(y, vi, tau2_method=method, ci_method=ci_method) for y in (yi, -yi))
    assert there.estimate == pytest.approx(-here.estimate, rel=1e-9, abs=1e-12)
    assert tuple(there.ci) == pytest.approx((-here.ci.high, -here.ci.low), rel=1e-8, abs=1e-10)
    assert there.tau2 == pytest.approx(here.tau2, rel=1e-9, abs=1e-12)
    assert there.p_value == pytest.approx(here.p_value, rel=1e-7, nan_ok=True)


@given(studies(), METHODS, CI_METHODS, st.randoms(use_true_random=False))
def test_the_order_of_the_studies_does_not_matter(data, method, ci_method, random):
    yi, vi = data
    order = list(range(yi.size))
    random.shuffle(order)
    here = fit(yi, vi, tau2_method=method, ci_method=ci_method)
    there = fit(yi[order], vi[order], tau2_method=method, ci_method=ci_method)
    assert there.estimate == pytest.approx(here.estimate, rel=1e-9, abs=1e-12)
    assert there.tau2 == pytest.approx(here.tau2, rel=1e-8, abs=1e-11)
    assert there.weights == pytest.approx(here.weights[order], rel=1e-7)


# The estimates


@given(studies(), METHODS)
def test_tau2_is_never_negative_and_its_standard_error_is_finite(data, method):
    found = estimate_tau2(*data, method)
    assert found.tau2 >= 0
    assert math.isfinite(found.tau2)
    if method == "SJ" and np.ptp(data[0]) == 0:
        # Its starting value is the variance of the effects, by which it then divides.
        assert math.isnan(found.se)
    else:
        assert math.isfinite(found.se)
        assert found.se >= 0


@settings(max_examples=300)
@given(studies())
def test_no_tau2_on_a_dense_grid_is_more_likely_than_the_reml_estimate(data):
    yi, vi = data
    ours = estimate_tau2(yi, vi, "REML").tau2
    top = 10 * (np.ptp(yi) ** 2 + vi.max())
    grid = np.concatenate([[ours, 0.0], np.geomspace(1e-4 * vi.min(), top, 400)])[:, None]
    heights = restricted_log_likelihood(yi, vi, grid)
    assert heights[0] >= heights[1:].max() - 1e-9


@settings(max_examples=200)
@given(studies(min_size=3, max_size=5), st.integers(0, 4), st.floats(5, 40))
def test_reml_is_the_best_maximum_even_when_one_imprecise_study_lies_far_out(data, which, distance):
    # This is the shape of data on which local optimisers stop at the wrong peak.
    yi, vi = data
    which %= yi.size
    yi[which], vi[which] = distance, 0.1 * distance**2
    found = estimate_tau2(yi, vi, "REML")
    grid = np.concatenate([[found.tau2, 0.0], np.geomspace(1e-4 * vi.min(), 10 * np.ptp(yi) ** 2 + vi.max(), 400)])[
        :, None
    ]
    heights = restricted_log_likelihood(yi, vi, grid)
    assert heights[0] >= heights[1:].max() - 1e-9
    for other, drop in found.other_maxima:
        gap = heights[0] - restricted_log_likelihood(yi, vi, np.array([[other]]))[0]
        assert drop == pytest.approx(gap, abs=1e-8)


@given(studies())
def test_paule_mandel_solves_its_equation_or_is_zero(data):
    yi, vi = data
    tau2 = estimate_tau2(yi, vi, "PM").tau2
    if tau2 > 0:
        assert q(yi, vi, tau2) == pytest.approx(yi.size - 1, rel=1e-8)
    else:
        assert q(yi, vi, 0.0) <= (yi.size - 1) * (1 + 1e-12)
    assert estimate_tau2(yi, vi, "EB").tau2 == tau2


@given(studies(), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_ends_of_the_q_profile_interval_solve_the_chi_squared_equations(data, level):
    yi, vi = data
    found = q_profile(yi, vi, level)
    lower, upper = chi2.ppf([(1 - level) / 2, (1 + level) / 2], yi.size - 1)
    at_zero = q(yi, vi, 0.0)
    if found.empty:
        assert at_zero < lower * (1 + 1e-12)
        return
    assert q(yi, vi, found.high) == pytest.approx(lower, rel=1e-7)
    if found.low > 0:
        assert q(yi, vi, found.low) == pytest.approx(upper, rel=1e-7)
    else:
        assert at_zero <= upper * (1 + 1e-12)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(studies(), METHODS)
def test_random_effects_equal_the_common_effect_when_tau2_is_zero(data, method):
    yi, vi = data
    random = fit(yi, vi, tau2_method=method, ci_method="z")
    assume(random.tau2 == 0)
    common = fit(yi, vi, model="common")
    assert random.estimate == common.estimate
    assert (random.se, *random.ci) == (common.se, *common.ci)
    assert random.weights.tolist() == common.weights.tolist()
    assert random.I2 == 0


# The whole result


@given(studies(), METHODS, CI_METHODS)
def test_weights_are_shares_and_the_interval_holds_the_estimate(data, method, ci_method):
    yi, vi = data
    found = fit(yi, vi, tau2_method=method, ci_method=ci_method)
    assert found.weights.sum() == pytest.approx(100, rel=1e-12)
    assert (found.weights > 0).all()
    assert found.estimate == pytest.approx(found.weights @ yi / 100, abs=1e-10)
    assert found.ci.low <= found.estimate <= found.ci.high
    assert yi.min() - 1e-9 <= found.estimate <= yi.max() + 1e-9
    assert 0 <= found.I2 <= 100
    assert 0 <= found.I2_Q <= 100
    assert math.isnan(found.p_value) or 0 <= found.p_value <= 1


@given(studies(), METHODS, st.sampled_from(["t", "HK_se"]))
def test_the_prediction_interval_is_the_confidence_interval_widened_by_tau(data, method, ci_method):
    found = fit(*data, tau2_method=method, ci_method=ci_method)
    # Both are the same number of standard errors wide, and the prediction interval's standard error adds tau.
    expected = found.ci.width * math.hypot(found.tau, found.se) / found.se
    assert found.prediction_interval.width == pytest.approx(expected, rel=1e-6)


@given(studies(), METHODS, st.sampled_from(["z", "t", "HK", "HK_se"]))
def test_a_higher_level_makes_every_interval_wider(data, method, ci_method):
    # HK_ci and HK_IQWiG6 choose between two intervals by their widths at the level asked for, and can choose otherwise
    # at another level; their prediction intervals follow them.
    narrow, wide = (fit(*data, tau2_method=method, ci_method=ci_method, level=level) for level in (0.8, 0.95))
    for name in ("ci", "prediction_interval", "tau2_ci", "I2_ci", "I2_Q_ci"):
        inner, outer = getattr(narrow, name), getattr(wide, name)
        if math.isnan(inner.low):
            continue
        slack = 1e-9 * (1 + abs(outer.low) + abs(outer.high))
        assert outer.low <= inner.low + slack, name
        assert outer.high >= inner.high - slack, name


@given(studies(), METHODS, CI_METHODS)
def test_the_test_and_the_interval_agree_on_zero(data, method, ci_method):
    found = fit(*data, tau2_method=method, ci_method=ci_method)
    assume(not math.isnan(found.p_value))
    assume(abs(found.p_value - 0.05) > 1e-6)
    assert (0 in found.ci) == (found.p_value > 0.05)


@given(studies())
def test_i2_from_q_and_from_dersimonian_lairds_tau2_are_the_same_number(data):
    found = fit(*data, tau2_method="DL")
    assert found.I2 == pytest.approx(found.I2_Q, rel=1e-7, abs=1e-7)


@given(studies(), st.integers(2, 4))
def test_entering_every_study_again_adds_information_that_is_not_there(data, times):
    # Under a common effect m copies divide the variance by m and leave the estimate: why duplicates must be refused
    # or warned of, and a check that nothing is silently dropped.
    yi, vi = data
    once, often = fit(yi, vi, model="common"), fit(np.tile(yi, times), np.tile(vi, times), model="common")
    assert often.k == times * once.k
    assert often.estimate == pytest.approx(once.estimate, rel=1e-9, abs=1e-12)
    assert often.se == pytest.approx(once.se / math.sqrt(times), rel=1e-12)
    assert often.Q == pytest.approx(times * once.Q, rel=1e-9, abs=1e-12)


@given(studies(), st.floats(-3, 3))
def test_an_endlessly_imprecise_study_changes_nothing_under_a_common_effect(data, effect):
    yi, vi = data
    without = fit(yi, vi, model="common")
    with_it = fit(np.append(yi, effect), np.append(vi, 1e15), model="common")
    assert with_it.estimate == pytest.approx(without.estimate, abs=1e-9)
    assert with_it.se == pytest.approx(without.se, rel=1e-9)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=10), st.floats(0.001, 10), METHODS)
def test_with_equal_variances_the_estimate_is_the_plain_mean_and_moment_estimators_agree(yi, v, method):
    yi = np.round(yi, 3)
    vi = np.full(yi.size, v)
    found = fit(yi, vi, tau2_method=method, ci_method="HK")
    assert found.estimate == pytest.approx(yi.mean(), abs=1e-12)
    # Then Hartung-Knapp is the one-sample t interval, whatever tau2 is.
    assert found.se == pytest.approx(yi.std(ddof=1) / math.sqrt(yi.size), rel=1e-9, abs=1e-12)
    if method in ("DL", "PM", "EB", "HE", "REML"):
        assert found.tau2 == pytest.approx(max(0.0, yi.var(ddof=1) - v), rel=1e-8, abs=1e-9)
