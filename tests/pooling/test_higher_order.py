"""Bartlett's factor, Skovgaard's statistic and the sign-flip interval, against definitions, R and simulation."""

import math
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import digamma
from scipy.stats import norm
from scipy.stats import t as student

from metapeer.errors import DataWarning, MetapeerError
from metapeer.pooling.higher_order import bartlett_factor, skovgaard, skovgaard_root
from metapeer.pooling.mean_intervals import mean_likelihood_interval, mean_likelihood_p, sign_flip_p, tau2_known_mean
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.sign_flips import sign_flips
from metapeer.pooling.tau2_likelihood import maximise, tau2_ml

UNLIKE = np.array([0.01, 0.03, 0.1, 0.4, 1.5])


def drawn(k, *, tau2=0.3, seed=0, spread=0.3):
    random = np.random.default_rng(seed)
    vi = random.uniform(0.02, 0.02 + spread, k)
    return random.normal(0.4, np.sqrt(vi + tau2)), vi


# Bartlett


@pytest.mark.parametrize("k", [20, 40, 80])
def test_with_equal_variances_the_factor_is_the_expectation_to_order_one_over_k(k):
    # The statistic is k log(1 + t² / (k - 1)), of which the expectation is known.
    exact = k * (digamma(k / 2) - digamma((k - 1) / 2))
    assert abs(exact - bartlett_factor(np.full(k, 0.1), 0.2)) < 3.0 / k**2


def expected_ratio(vi, tau2, *, blocks, size, seed):
    """Mean of the likelihood-ratio statistic at the truth, and its standard error, by simulation.

    The statistic with tau2 known has mean one; the first term of the expansion about it is the product of the slope of
    that statistic and the score of tau2, whose mean is known too. Subtracting both leaves little to average.
    """
    random = np.random.default_rng(seed)
    w = 1.0 / (vi + tau2)
    s1, s2, s3 = w.sum(), (w**2).sum(), (w**3).sum()
    grid = np.expm1(np.linspace(0.0, math.log1p(20.0 / vi.min()), 400)) * vi.min()
    found = []
    for _ in range(blocks):
        yi = random.normal(0.0, np.sqrt(vi + tau2), (size, vi.size))
        free, held = np.full((2, grid.size, size), -np.inf)
        for i, t in enumerate(grid):
            v = 1.0 / (vi + t)
            known = 0.5 * np.log(v).sum() - 0.5 * (yi * yi) @ v
            held[i] = known
            free[i] = known + 0.5 * (yi @ v) ** 2 / v.sum()
        ratio = 2.0 * (peak_height(grid, vi, free) - peak_height(grid, vi, held))
        a, b = yi @ w, yi @ w**2
        first = (-2 * a * b / s1 + a * a * s2 / s1**2) * (0.5 * ((yi * yi) @ w**2 - s1)) / (0.5 * s2)
        found.append(ratio - a * a / s1 - first + 2 * (-2 * s3 / s1 + s2**2 / s1**2) / s2)
    values = np.concatenate(found)
    return 1.0 + values.mean(), values.std() / math.sqrt(values.size)


def peak_height(grid, vi, heights):
    """Height of the best maximum, by a parabola in log(tau2 + min(vi)) through the best point and its neighbours."""
    best = heights.argmax(axis=0)
    i = np.clip(best, 1, grid.size - 2)
    every = np.arange(best.size)
    left, middle, right = heights[i - 1, every], heights[i, every], heights[i + 1, every]
    curvature = left - 2.0 * middle + right
    top = middle - (right - left) ** 2 / (8.0 * np.minimum(curvature, -1e-300))
    return np.where(best == i, top, heights[best, every])


def test_with_unlike_variances_the_factor_is_the_expectation_to_order_one_over_k():
    vi, tau2 = np.tile(UNLIKE, 8), 0.5
    mean, error = expected_ratio(vi, tau2, blocks=4, size=5000, seed=3)
    factor = bartlett_factor(vi, tau2)
    # 100000 replicates at k = 20, 40 and 80 leave 6 / k² and noise.
    assert abs(mean - factor - 6.0 / vi.size**2) < 4.0 * error
    assert error < 0.25 * (factor - 1.0) / 4.0


@pytest.mark.parametrize("scale", [1e-150, 1e-6, 1e150])
def test_the_factor_has_no_unit(scale):
    assert bartlett_factor(UNLIKE * scale, 0.5 * scale) == pytest.approx(bartlett_factor(UNLIKE, 0.5), rel=1e-12)


def test_the_interval_of_the_corrected_ratio_is_that_of_the_ratio_at_another_level(golden_set):
    yi, vi, _ = golden_set("bcg_rr")
    found = meta_analysis(yi=yi, vi=vi, tau2_method="ML", ci_method="PL_B")
    factor = bartlett_factor(vi, found.tau2)
    assert found.ci_method == "PL_B"
    for end in found.ci:
        assert mean_likelihood_p(yi - end, vi, factor=factor) == pytest.approx(0.05, abs=1e-9)
    assert found.p_value == mean_likelihood_p(yi, vi, factor=factor) > mean_likelihood_p(yi, vi)


def test_bartletts_factor_at_a_tau2_of_zero_is_noted():
    found = meta_analysis(yi=[0.1, 0.1, 0.12, 0.09], vi=[0.1] * 4, tau2_method="ML", ci_method="PL_B")
    assert found.tau2 == 0
    assert any("Bartlett" in note for note in found.notes)


# Skovgaard


def skovgaard_by_moments(yi, vi, mu):
    """Skovgaard (1996) as he wrote it: matrices, with every covariance the exact moment of two quadratic forms.

    A score or log-likelihood of normal data with mean m and variances V is a form y'Ay + b'y; two of them covary by
    2 tr(A1 V A2 V) + (b1 + 2 A1 m)' V (b2 + 2 A2 m).
    """
    tau2 = tau2_ml(yi, vi)
    w = 1.0 / (vi + tau2)
    best = float(w @ yi / w.sum())
    held = tau2_known_mean(yi - mu, vi)

    def scores(m, t):
        u = 1.0 / (vi + t)
        return [(np.zeros_like(u), u), (0.5 * u**2, -m * u**2)]

    def height(m, t):
        u = 1.0 / (vi + t)
        return (-0.5 * u, m * u)

    def covariance(one, two):
        v = vi + tau2
        slopes = [b + 2.0 * a * best for a, b in (one, two)]
        return 2.0 * float(np.sum(one[0] * v * two[0] * v)) + float(np.sum(slopes[0] * v * slopes[1]))

    def observed(m, t):
        u, e = 1.0 / (vi + t), yi - m
        cross = np.sum(u**2 * e)
        return np.array([[u.sum(), cross], [cross, np.sum(u**3 * e**2) - 0.5 * np.sum(u**2)]])

    free = scores(best, tau2)
    S = np.array([[covariance(one, two) for two in scores(mu, held)] for one in free])
    lost = tuple(one - two for one, two in zip(height(best, tau2), height(mu, held), strict=True))
    q = np.array([covariance(one, lost) for one in free])
    expected = np.array([[covariance(one, two) for two in free] for one in free])

    def log_likelihood(m, t):
        return -0.5 * float(np.sum(np.log(vi + t) + (yi - m) ** 2 / (vi + t)))

    r = math.copysign(math.sqrt(2 * (log_likelihood(best, tau2) - log_likelihood(mu, held))), best - mu)
    u = np.linalg.solve(S, q)[0] * np.linalg.det(S) / np.linalg.det(expected)
    u *= math.sqrt(np.linalg.det(observed(best, tau2)) / observed(mu, held)[1, 1])
    return r + math.log(u / r) / r


@pytest.mark.parametrize("seed", range(7))
def test_skovgaards_statistic_is_his_formula_with_moments_of_quadratic_forms(seed):
    yi, vi = drawn(8, tau2=1.0, seed=seed)
    se = 1.0 / math.sqrt(float(np.sum(1.0 / (vi + tau2_ml(yi, vi)))))
    for x in (-3.0, -1.0, 0.7, 2.0):
        mu = float(yi.mean()) + x * se
        assert skovgaard_root(yi, vi, mu) == pytest.approx(skovgaard_by_moments(yi, vi, mu), rel=1e-8)


@pytest.mark.parametrize("k", [4, 6, 10, 30])
def test_with_equal_variances_skovgaards_interval_is_nearly_students(k):
    yi, vi = drawn(k, tau2=1.0, spread=0.0, seed=k)
    half = student.ppf(0.975, k - 1) * yi.std(ddof=1) / math.sqrt(k)
    corrected, plain = skovgaard(yi, vi, 0.95), mean_likelihood_interval(yi, vi, 0.95)
    # Student's is exact there; the likelihood's error is of order 1/k, what the correction leaves of order 1/k².
    assert corrected.ci.width / (2 * half) == pytest.approx(1.0, abs=0.6 / k**2)
    assert abs(plain.width / (2 * half) - 1.0) > 10 * abs(corrected.ci.width / (2 * half) - 1.0)


def test_skovgaards_statistic_passes_smoothly_through_the_estimate():
    yi, vi = drawn(9, seed=4)
    w = 1.0 / (vi + tau2_ml(yi, vi))
    centre, se = float(w @ yi / w.sum()), 1.0 / math.sqrt(w.sum())
    x = np.linspace(-0.03, 0.03, 25)
    roots = np.array([skovgaard_root(yi, vi, centre + step * se) for step in x])
    assert np.abs(np.diff(roots, 3)).max() < 1e-6
    assert np.diff(roots) == pytest.approx(np.diff(roots).mean(), rel=0.05)


@settings(deadline=None, max_examples=12)
@given(st.integers(4, 12), st.integers(0, 10**6), st.sampled_from([0.8, 0.95, 0.99]))
def test_skovgaards_interval_holds_what_its_test_does_not_reject(k, seed, level):
    yi, vi = drawn(k, seed=seed)
    found = skovgaard(yi, vi, level)
    assume(found is not None)
    low, high = found.ci
    assert low < high
    bar = norm.ppf(0.5 + level / 2)
    assert skovgaard_root(yi, vi, low) == pytest.approx(bar, abs=1e-7)
    assert skovgaard_root(yi, vi, high) == pytest.approx(-bar, abs=1e-7)
    assert (found.p_value > 1 - level) == (low < 0 < high)
    mirrored, moved = skovgaard(-yi, vi, level), skovgaard(100 * yi + 7, 1e4 * vi, level)
    assert tuple(mirrored.ci) == pytest.approx((-high, -low), rel=1e-7, abs=1e-9)
    assert mirrored.p_value == pytest.approx(found.p_value, rel=1e-6)
    assert tuple(moved.ci) == pytest.approx((100 * low + 7, 100 * high + 7), rel=1e-7)


def test_without_an_interior_maximum_the_interval_says_that_it_is_not_corrected():
    yi, vi = [0.1, 0.1, 0.12, 0.09], [0.1] * 4
    assert skovgaard(np.array(yi), np.array(vi), 0.95) is None
    with pytest.warns(DataWarning, match="Skovgaard's correction is not defined"):
        found = meta_analysis(yi=yi, vi=vi, tau2_method="ML", ci_method="PL_S")
    assert found.ci_method == "PL"
    assert "Skovgaard" not in found.ci.method
    assert tuple(found.ci) == tuple(mean_likelihood_interval(np.array(yi), np.array(vi), 0.95))


def test_a_root_with_a_pole_near_a_tau2_of_zero_is_not_used():
    # Half a standard error below the estimate the root of one of these would be 4.7.
    random = np.random.default_rng(5020)
    vi = 0.25 * random.chisquare(1, 200)
    vi = vi[(vi > 0.009) & (vi < 0.6)][:5]
    refused = 0
    for _ in range(30):
        yi = random.normal(0.5, np.sqrt(vi + 0.2))
        tau2 = tau2_ml(yi, vi)
        found = skovgaard(yi, vi, 0.95)
        if found is None:
            refused += tau2 > 0
            continue
        centre, se = float((yi / (vi + tau2)).sum() / (1 / (vi + tau2)).sum()), (1 / (vi + tau2)).sum() ** -0.5
        roots = [skovgaard_root(yi, vi, centre + x * se) for x in np.linspace(-3.9, 3.9, 27)]
        assert (np.diff(roots) < 0).all()
    assert refused > 0


def test_the_corrections_cover_nearer_to_their_level_than_the_profile_likelihood():
    random = np.random.default_rng(11)
    k, tau2, times = 7, 0.4, 250
    vi = np.linspace(0.02, 0.3, k)
    inside = np.zeros(3)
    for _ in range(times):
        yi = random.normal(0.5, np.sqrt(vi + tau2))
        maximum = maximise(yi, vi, restricted=False).tau2
        plain = mean_likelihood_p(yi - 0.5, vi)
        bartlett = mean_likelihood_p(yi - 0.5, vi, factor=bartlett_factor(vi, maximum))
        root = skovgaard_root(yi, vi, 0.5)
        corrected = plain if root is None else 2 * norm.sf(abs(root))
        inside += np.array([plain, bartlett, corrected]) > 0.05
    likelihood, bartlett, corrected = inside / times
    assert likelihood < 0.93
    assert abs(bartlett - 0.95) < 0.95 - likelihood
    assert abs(corrected - 0.95) < 0.95 - likelihood


# Sign flips


def test_the_interval_of_the_sign_flip_test_is_metafors(golden_set):
    # permutest(rma(yi, vi, method="DL", subset=1:7), exact=TRUE, permci=TRUE, control=list(tol=1e-9)) of metafor 3.8-1,
    # with the log risk ratios of dat.bcg; its search ends within 1e-8.
    yi, vi, _ = golden_set("bcg_rr")
    found = sign_flips(yi[:7], vi[:7], 0.95)
    assert found.ci.low == pytest.approx(-1.58538866559, abs=2e-8)
    assert found.ci.high == pytest.approx(-0.454150741793, abs=2e-8)
    assert found.p_value == 0.015625


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 8), st.integers(0, 10**6))
def test_the_test_of_no_effect_is_the_exact_one(k, seed):
    yi, vi = drawn(k, tau2=0.1, seed=seed)
    assert sign_flips(yi, vi, 0.95).p_value == sign_flip_p(yi, vi, tau2_method="DL")


@settings(deadline=None, max_examples=15)
@given(st.integers(6, 8), st.integers(0, 10**6), st.sampled_from([0.9, 0.95]))
def test_the_interval_ends_where_the_exact_test_begins_to_reject(k, seed, level):
    yi, vi = drawn(k, tau2=0.1, seed=seed)
    interval = sign_flips(yi, vi, level).ci
    step = 1e-7 * interval.width
    for end, outward in zip(interval, (-1, 1), strict=True):
        assert sign_flip_p(yi - (end - outward * step), vi, tau2_method="DL") > 1 - level
        assert sign_flip_p(yi - (end + outward * step), vi, tau2_method="DL") <= 1 - level + 1e-12
    mirrored = sign_flips(-yi, vi, level).ci
    assert tuple(mirrored) == pytest.approx((-interval.high, -interval.low), abs=1e-9)


def test_the_sign_flip_interval_covers_its_level_whatever_the_distribution():
    # Ends are limits of the test, so the effect is inside if and only if the test does not reject it.
    vi = np.array([0.02, 0.3, 0.05, 0.15, 0.08, 0.25])
    random = np.random.default_rng(2)
    p = [sign_flips(random.standard_t(2, 6) * np.sqrt(vi), vi, 0.5).p_value for _ in range(400)]
    # Every multiple of 1/32 is equally likely.
    shares = [np.mean(np.array(p) <= level) for level in (1 / 32, 4 / 32, 16 / 32)]
    assert shares == pytest.approx([1 / 32, 4 / 32, 16 / 32], abs=0.08)
    assert set(p) <= {i / 32 for i in range(1, 33)}


@pytest.mark.parametrize(("k", "level", "whole"), [(2, 0.5, False), (2, 0.6, True), (5, 0.95, True), (6, 0.95, False)])
def test_studies_too_few_for_the_level_reject_nothing(k, level, whole):
    yi, vi = drawn(k, seed=1)
    interval = sign_flips(yi, vi, level).ci
    assert (tuple(interval) == (-math.inf, math.inf)) == whole


def test_an_interval_without_ends_is_warned_of_and_printed():
    yi, vi = drawn(4)
    with pytest.warns(DataWarning, match="too few for sign flips"):
        found = meta_analysis(yi=yi, vi=vi, measure="OR", tau2_method="DL", ci_method="perm")
    assert tuple(found.ci) == (-math.inf, math.inf)
    assert "too few" in found.summary()
    assert np.isinf(found.to_frame()["ci_low"].iloc[0])


def test_many_studies_take_a_sample_of_patterns_that_is_the_same_each_time():
    yi, vi = drawn(20, tau2=0.1)
    one, two = (sign_flips(yi, vi, 0.95) for _ in range(2))
    assert tuple(one.ci) == tuple(two.ci)
    assert "seed" in one.ci.method
    assert one.p_value * 10000 == pytest.approx(round(one.p_value * 10000), abs=1e-9)
    hartung_knapp = meta_analysis(yi=yi, vi=vi, tau2_method="DL").ci
    assert one.ci.width == pytest.approx(hartung_knapp.width, rel=0.25)


def test_a_sample_of_patterns_is_close_to_all_of_them(monkeypatch):
    yi, vi = drawn(12, tau2=0.1, seed=6)
    exact = sign_flips(yi, vi, 0.95)
    monkeypatch.setattr("metapeer.pooling.sign_flips._EXACT", 11)
    sampled = sign_flips(yi, vi, 0.95)
    assert sampled.p_value == pytest.approx(exact.p_value, abs=4 * math.sqrt(0.25 / 10000))
    assert tuple(sampled.ci) == pytest.approx(tuple(exact.ci), abs=0.05 * exact.ci.width)


def test_thirteen_studies_take_less_than_a_second():
    yi, vi = drawn(13)
    start = time.perf_counter()
    sign_flips(yi, vi, 0.95)
    assert time.perf_counter() - start < 1.0


def test_too_many_studies_for_sign_flips_are_refused():
    with pytest.raises(MetapeerError, match="1000 studies, not 1001"):
        sign_flips(np.linspace(0, 1, 1001), np.full(1001, 0.1), 0.95)


@pytest.mark.parametrize("k", [6, 17])
def test_effects_that_are_all_alike_leave_no_room(k):
    interval = sign_flips(np.full(k, 0.3), np.linspace(0.1, 0.2, k), 0.95).ci
    assert tuple(interval) == pytest.approx((0.3, 0.3), abs=1e-9)


# The door


@pytest.mark.parametrize("ci_method", ["PL_B", "PL_S", "perm"])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1e-3), (0.0, 1e3), (1e3, 1e-3), (1e3, 1e3)])
def test_the_intervals_move_and_stretch_with_the_effects(ci_method, shift, scale):
    yi, vi = drawn(8, seed=3)
    options = {"ci_method": ci_method, "tau2_method": "DL" if ci_method == "perm" else "ML"}
    here = meta_analysis(yi=yi, vi=vi, **options)
    there = meta_analysis(yi=shift + scale * yi, vi=scale**2 * vi, **options)
    assert there.ci_method == here.ci_method == ci_method
    expected = [shift + scale * end for end in here.ci]
    assert list(there.ci) == pytest.approx(expected, abs=1e-8 * scale * here.ci.width + 1e-12 * shift)
