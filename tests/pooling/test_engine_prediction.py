"""Prediction intervals with Kenward and Roger's degrees of freedom and from the confidence distribution of tau2."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from metapeer.errors import ChoiceError
from metapeer.pooling.mean_intervals import kenward_roger
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.prediction import nnf_prediction_interval, prediction_interval, probability_beyond
from metapeer.pooling.quadratic_form import generalised_q_cdf

pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")

R_DRAWS = 25_000
"""What both pimeta and meta, which calls it, draw; ends are quantiles of the draws."""

SETS = {
    "little heterogeneity": ([0.1, 0.3, 0.25, 0.2], [0.02, 0.3, 0.04, 0.1]),
    "three studies": ([0.3, 0.9, 0.5], [0.02, 0.05, 0.001]),
    "one dominates": ([0.1, 0.9, -0.5, 0.4, 1.3], [0.0001, 0.3, 0.2, 0.5, 0.4]),
    "much heterogeneity": ([-2.0, 1.0, 3.0, 0.2, -1.1, 2.2], [0.02, 0.05, 0.01, 0.03, 0.02, 0.04]),
}


def q_of(yi, vi):
    w = 1.0 / vi
    return float(np.sum(w * (yi - np.sum(w * yi) / np.sum(w)) ** 2))


def ends_slope(yi, vi, tail):
    """How fast the end moves as its tail probability does, which turns errors of a share into errors of an end."""
    step = 0.1 * tail
    ends = [tuple(nnf_prediction_interval(yi, vi, 1.0 - 2.0 * (tail + side * step))) for side in (-1.0, 1.0)]
    return [abs(after - before) / (2.0 * step) for before, after in zip(*ends, strict=True)]


def simulate(yi, vi, draws, seed):
    """Nagashima, Noma and Furukawa's algorithm as they give it, tau2 by interpolation in its distribution function."""
    rng = np.random.default_rng(seed)
    q, w = q_of(yi, vi), 1.0 / vi
    smallest = float(vi.min())
    grid = smallest * np.expm1(np.linspace(0.0, 60.0, 6001))
    above = 1.0 - np.array([generalised_q_cdf(q, vi, tau2, w) for tau2 in grid])
    logs = np.interp(rng.random(draws), np.maximum.accumulate(above), np.log1p(grid / smallest))
    tau2 = smallest * np.expm1(logs)
    simulated = np.empty(draws)
    for some in np.array_split(np.arange(draws), max(1, draws // 100_000)):
        w = 1.0 / (vi + tau2[some, None])
        total = w.sum(axis=1)
        mean = w @ yi / total
        se = np.sqrt((w * (yi - mean[:, None]) ** 2).sum(axis=1) / ((yi.size - 1) * total))
        normal, t = rng.standard_normal(some.size), rng.standard_t(yi.size - 1, some.size)
        simulated[some] = mean + normal * np.sqrt(tau2[some]) - t * se
    return simulated


def check_simulation(yi, vi, draws):
    yi, vi = np.array(yi), np.array(vi)
    simulated = simulate(yi, vi, draws, seed=5)
    for level in (0.5, 0.8, 0.95, 0.99):
        low, high = nnf_prediction_interval(yi, vi, level)
        tail = 0.5 * (1.0 - level)
        error = math.sqrt(tail * (1.0 - tail) / draws)
        assert np.mean(simulated < low) == pytest.approx(tail, abs=4.5 * error)
        assert np.mean(simulated > high) == pytest.approx(tail, abs=4.5 * error)


# Against R


@pytest.mark.golden("engine", "prediction")
def test_kenward_roger_prediction_intervals_are_metas(row, golden_set, agrees):
    yi, vi, _ = golden_set(row["data"])
    found = meta_analysis(yi=yi, vi=vi, prediction_method=row["prediction_method"])
    if row["low"] is None:
        assert found.prediction_interval is None
        assert any("no degrees of freedom" in note for note in found.notes)
        return
    interval = found.prediction_interval
    agrees("likelihood", interval.low, row["low"], scale=interval.width)
    agrees("likelihood", interval.high, row["high"], scale=interval.width)
    adjusted = kenward_roger(vi, found.tau2)
    agrees("likelihood", adjusted.df - (row["prediction_method"] == "KR-PR"), row["df"])
    agrees("likelihood", math.hypot(adjusted.se, math.sqrt(found.tau2)), row["se"])


@pytest.mark.sampled(keep=3)
@pytest.mark.golden("engine", "nnf")
def test_the_confidence_distribution_interval_is_rs_up_to_the_error_of_its_simulation(row, golden_set):
    yi, vi, _ = golden_set(row["data"])
    found = nnf_prediction_interval(yi, vi, 0.95)
    share_error = math.sqrt(0.025 * 0.975 / R_DRAWS)
    for end, slope in zip(("low", "high"), ends_slope(yi, vi, 0.025), strict=True):
        # 24 ends are compared; the chance that any is 4 errors off is one in 650.
        assert getattr(found, end) == pytest.approx(row[end], rel=0, abs=4 * share_error * slope)


@pytest.mark.golden("engine", "thresholds")
def test_probabilities_beyond_a_threshold_are_metas(row, agrees):
    numbers = {name: row[name] for name in ("estimate", "tau2", "se", "df")}
    above = probability_beyond(math.log(row["cid_high"]), **numbers)
    below = 1.0 - probability_beyond(math.log(row["cid_low"]), **numbers)
    agrees("formula", above, row["above"])
    agrees("formula", below, row["below"])
    agrees("formula", 1.0 - above - below, row["within"])


# Against simulation


@pytest.mark.sampled(keep=1)
@pytest.mark.parametrize("name", SETS)
def test_the_interval_is_that_of_simulated_draws(name):
    check_simulation(*SETS[name], draws=100_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_the_interval_is_that_of_two_million_simulated_draws(name):
    check_simulation(*SETS[name], draws=2_000_000)


# Limits


def test_without_heterogeneity_to_speak_of_only_hartungs_t_is_left():
    # Q is so small that every tau2 is too large: all mass of the confidence distribution is at zero.
    yi, vi = np.array([0.300, 0.301, 0.299, 0.3005, 0.2995, 0.300]), np.array([0.1, 0.2, 0.1, 0.4, 0.1, 0.3])
    q, w = q_of(yi, vi), 1.0 / vi
    assert generalised_q_cdf(q, vi, 0.0, w) < 1e-8
    mean = float(w @ yi / w.sum())
    half = student.ppf(0.975, 5) * math.sqrt(q / 5 / w.sum())
    found = nnf_prediction_interval(yi, vi, 0.95)
    assert tuple(found) == pytest.approx((mean - half, mean + half), rel=0, abs=1e-4 * half)


def test_effects_that_are_equal_leave_a_point():
    found = nnf_prediction_interval(np.full(4, 0.3), np.array([0.1, 0.2, 0.1, 0.3]), 0.95)
    assert tuple(found) == pytest.approx((0.3, 0.3), abs=1e-9)


def test_with_equal_variances_and_much_heterogeneity_it_has_a_closed_form():
    # tau2 + v is the sum of squares over chi-squared on k - 1 df, and Hartung's error is s / sqrt(k): with v negligible
    # the interval has the quantiles of s sqrt(k - 1) Z / chi - T s / sqrt(k), which is s (T' - T / sqrt(k)).
    yi, k = np.array([-3.0, -1.0, 0.5, 2.0, 4.0, 1.0]), 6
    found = nnf_prediction_interval(yi, np.full(k, 1e-9), 0.9)
    s, mean = float(np.std(yi, ddof=1)), float(yi.mean())
    nodes = student.ppf((np.arange(200_000) + 0.5) / 200_000, k - 1)
    for end, tail in ((found.low, 0.05), (found.high, 0.95)):
        share = float(np.mean(student.cdf((end - mean) / s + nodes / math.sqrt(k), k - 1)))
        assert share == pytest.approx(tail, abs=1e-6)


@pytest.mark.sampled(keep=2)
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(("scale", "shift"), [(1e-8, -3.0), (1e4, 0.5)])
def test_it_shifts_scales_and_mirrors_with_the_effects(name, scale, shift):
    yi, vi = map(np.array, SETS[name])
    here = nnf_prediction_interval(yi, vi, 0.9)
    slack = 1e-6 * (here.width + math.sqrt(vi.max()))
    scaled = nnf_prediction_interval(yi * scale, vi * scale**2, 0.9)
    assert tuple(scaled) == pytest.approx((here.low * scale, here.high * scale), rel=0, abs=slack * scale)
    moved = nnf_prediction_interval(yi + shift, vi, 0.9)
    assert tuple(moved) == pytest.approx((here.low + shift, here.high + shift), rel=0, abs=slack)
    mirrored = nnf_prediction_interval(-yi, vi, 0.9)
    assert tuple(mirrored) == pytest.approx((-here.high, -here.low), rel=0, abs=slack)
    wider = nnf_prediction_interval(yi, vi, 0.95)
    assert wider.low <= here.low + slack
    assert here.high <= wider.high + slack


# Kenward and Roger


def test_kr_pr_is_kr_with_one_degree_of_freedom_less():
    vi = np.array([0.02, 0.3, 0.05, 0.1, 0.2])
    numbers = {"estimate": 0.2, "tau2": 0.1, "classic_se": 0.1, "hk_se": 0.2, "k": 5, "level": 0.9, "vi": vi}
    adjusted = kenward_roger(vi, 0.1)
    for method, df in (("KR", adjusted.df), ("KR-PR", adjusted.df - 1.0)):
        half = student.ppf(0.95, df) * math.sqrt(0.1 + adjusted.se**2)
        assert tuple(prediction_interval(method=method, **numbers)) == pytest.approx((0.2 - half, 0.2 + half))


def test_kr_needs_the_variances_and_nnf_has_its_own_function():
    numbers = {"estimate": 0.2, "tau2": 0.1, "classic_se": 0.1, "hk_se": 0.2, "k": 5, "level": 0.9}
    with pytest.raises(TypeError, match="vi"):
        prediction_interval(method="KR", **numbers)
    with pytest.raises(ChoiceError, match="NNF"):
        prediction_interval(method="NNF", **numbers)


# The door


@pytest.mark.parametrize("name", SETS)
def test_the_door_gives_the_interval_that_was_asked_for(name):
    yi, vi = map(np.array, SETS[name])
    found = meta_analysis(yi=yi, vi=vi, prediction_method="NNF", level=0.9)
    assert tuple(found.prediction_interval) == tuple(nnf_prediction_interval(yi, vi, 0.9))
    assert found.prediction_method == "NNF"
    followed = meta_analysis(yi=yi, vi=vi, ci_method="KR")
    assert followed.prediction_method == "KR"
    adjusted = kenward_roger(vi, followed.tau2)
    half = student.ppf(0.975, adjusted.df) * math.sqrt(followed.tau2 + adjusted.se**2)
    assert followed.prediction_interval.width == pytest.approx(2.0 * half)


def test_a_prediction_interval_of_two_studies_needs_a_method_that_has_one():
    yi, vi = [0.1, 0.9], [0.02, 0.05]
    assert meta_analysis(yi=yi, vi=vi, prediction_method="HTS").prediction_interval is None
    assert meta_analysis(yi=yi, vi=vi, prediction_method="KR-PR").prediction_interval is None
    for method in ("V", "HK", "KR", "NNF", "S"):
        found = meta_analysis(yi=yi, vi=vi, prediction_method=method)
        assert found.prediction_interval.low < found.estimate < found.prediction_interval.high


# Probabilities


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.001, 2), st.floats(0.01, 1), st.sampled_from([None, 1.0, 9.0]))
def test_the_ends_of_a_prediction_interval_are_exceeded_as_its_level_says(threshold, estimate, tau2, se, df):
    numbers = {"estimate": estimate, "tau2": tau2, "se": se, "df": df}
    quantile = norm.ppf(0.975) if df is None else student.ppf(0.975, df)
    half = quantile * math.sqrt(tau2 + se**2)
    assert probability_beyond(estimate + half, **numbers) == pytest.approx(0.025, rel=1e-8)
    assert probability_beyond(estimate - half, **numbers) == pytest.approx(0.975, rel=1e-8)
    above, mirrored = (probability_beyond(c, **numbers) for c in (threshold, 2.0 * estimate - threshold))
    assert above + mirrored == pytest.approx(1.0)
