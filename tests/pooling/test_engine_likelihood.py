"""The certified search for the maximum of the likelihood: no peak is missed, on data made to hide peaks."""

import math
from fractions import Fraction
from operator import mul

import numpy as np
import pytest

from metapeer.pooling.tau2 import estimate_tau2
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import log_likelihood

TRAPS = [
    # effects, variances, global maximum of the restricted likelihood and its height; metafor 3.8-1 and 5.1-12 give
    # 27.85 (height -10.6043) for the first and 0 for the second.
    pytest.param([-0.9, 19.49, 1.17, 0.27], [0.159, 38.894, 0.53, 0.125], 0.99887, -10.1805, id="a-lower-peak-far-out"),
    pytest.param([1.19, -18.05, 0.07], [0.803, 55.385, 0.102], 0.0911, -6.93261, id="a-peak-just-above-zero"),
]

SCALES = (1.0, 1e-8, 1e4)
GRID_STEPS = 500
# Two heights that differ by less than this share of their size are equal as far as double precision goes: each is a
# sum of some twenty logarithms and squares.
LEVEL = 1e-11


def hard_set(rng, *, moderators=0):
    """Effects with variances over four decades; imprecise studies lie as far out as they can, so that peaks abound."""
    k = int(rng.integers(2 + moderators, 11))
    vi = 10.0 ** rng.uniform(-2.0, 2.0, k)
    excess = 10.0 ** rng.uniform(-0.5, 1.5)
    tau2 = 10.0 ** rng.uniform(-3.0, 1.0) * float(rng.integers(2))
    yi = rng.normal(0.0, np.sqrt(excess * vi + tau2))
    if rng.random() < 0.5:
        yi *= np.where(vi > np.median(vi), rng.uniform(1.0, 4.0), 1.0)
    scale = SCALES[rng.integers(len(SCALES))]
    X = np.column_stack([np.ones(k), rng.normal(size=(k, moderators))]) if moderators else None
    return yi * math.sqrt(scale), vi * scale, X


def log_steps(low, high, smallest, steps):
    """Steps even in log(tau2 + smallest variance), on which no likelihood changes abruptly."""
    return smallest * np.expm1(np.linspace(math.log1p(low / smallest), math.log1p(high / smallest), steps))


def cells_with_a_peak(yi, vi, X, grid, *, restricted):
    """Stretches of the grid, two steps long, in the middle of which the likelihood is higher than at both ends."""
    heights = log_likelihood(yi, vi, grid, X, restricted=restricted)
    level = LEVEL * (1.0 + np.abs(heights).max())
    rises = np.diff(heights)
    cells = [(grid[i], grid[i + 2]) for i in np.flatnonzero((rises[:-1] > level) & (rises[1:] < -level))]
    if grid[0] == 0.0 and rises[0] < -level:
        cells.insert(0, (0.0, grid[1]))
    return cells, heights.max()


def exact_score(yi, vi, X, tau2, *, restricted):
    """Twice the score, y'PPy - tr(P) or tr(W), in exact arithmetic: all of P, by Gauss-Jordan elimination."""
    y = [Fraction(value) for value in yi.tolist()]
    w = [1 / (Fraction(value) + Fraction(tau2)) for value in vi.tolist()]
    k = len(y)
    columns = [[Fraction(1)] * k] if X is None else [[Fraction(x) for x in column] for column in X.T.tolist()]
    weighted = [[a * x for a, x in zip(w, column, strict=True)] for column in columns]
    rows = [[sum(map(mul, one, other)) for other in columns] + wx for one, wx in zip(weighted, weighted, strict=True)]
    for i in range(len(rows)):
        pivot_row = rows[i] = [value / rows[i][i] for value in rows[i]]
        for j, row in enumerate(rows):
            if j != i:
                rows[j] = [value - row[i] * p for value, p in zip(row, pivot_row, strict=True)]
    solved = [row[len(columns) :] for row in rows]  # (X'WX)^-1 X'W
    beta = [sum(map(mul, row, y)) for row in solved]
    fitted = [sum(b * column[i] for b, column in zip(beta, columns, strict=True)) for i in range(k)]
    trace = sum(w)
    if restricted:
        trace -= sum(wx[i] * row[i] for wx, row in zip(weighted, solved, strict=True) for i in range(k))
    return sum((a * (value - fit)) ** 2 for a, value, fit in zip(w, y, fitted, strict=True)) - trace


def is_a_peak(yi, vi, X, tau2, *, restricted):
    """Whether the exact score changes from positive to negative at `tau2`, to within rounding of its place."""
    if tau2 == 0.0:
        return exact_score(yi, vi, X, 0.0, restricted=restricted) <= 0
    for nearness in (1e-4, 1e-5, 1e-6, 1e-7, 1e-8):
        before, after = (
            exact_score(yi, vi, X, tau2 * (1.0 + side * nearness), restricted=restricted) for side in (-1.0, 1.0)
        )
        if before > 0 > after:
            return True
    return False


def check_search(yi, vi, X, *, restricted):
    """Compare the search with a dense grid, and return how many maxima were found."""
    found = maximise(yi, vi, X, restricted=restricted)
    assert found.certified
    peaks = np.array(sorted([found.tau2, *(tau2 for tau2, _ in found.others)]))
    smallest = float(vi.min())
    top = 2.0 * (np.ptp(yi) ** 2 + vi.max()) + 4.0 * peaks[-1]
    grid = log_steps(0.0, top, smallest, GRID_STEPS)
    cells, highest = cells_with_a_peak(yi, vi, X, grid, restricted=restricted)
    best = log_likelihood(yi, vi, np.array([found.tau2]), X, restricted=restricted)[0]
    assert highest <= best + LEVEL * (1.0 + abs(best)), "a higher point lies on the grid"
    for low, high in cells:
        assert ((low <= peaks) & (peaks <= high)).any(), f"the peak between {low} and {high} was missed"
    assert len(cells) <= len(peaks)
    for peak in peaks:
        if not any(low <= peak <= high for low, high in cells):
            # It stands too close to a dip, or too little above it, for heights on a grid to show.
            assert is_a_peak(yi, vi, X, float(peak), restricted=restricted), f"there is no peak at {peak}"
    return len(peaks)


def search_many(seed, sets, *, moderators=0):
    rng = np.random.default_rng(seed)
    several = 0
    for _ in range(sets):
        yi, vi, X = hard_set(rng, moderators=moderators)
        for restricted in (True, False):
            several += check_search(yi, vi, X, restricted=restricted) > 1
    return several / (2 * sets)


def test_no_maximum_is_missed_in_two_thousand_hard_sets():
    # The sets must be hard for the test to mean something: about one likelihood in ten has several maxima.
    assert search_many(1, 2000) > 0.05


def test_no_maximum_is_missed_with_moderators():
    assert search_many(2, 300, moderators=1) > 0.05
    assert search_many(3, 300, moderators=2) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_no_maximum_is_missed_in_a_hundred_thousand_hard_sets(seed):
    assert search_many(seed, 10_000) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("moderators", [1, 2, 3])
def test_no_maximum_is_missed_with_moderators_in_five_thousand_hard_sets_each(moderators):
    assert search_many(30 + moderators, 5_000, moderators=moderators) > 0.05


# Known traps


@pytest.mark.parametrize(("yi", "vi", "tau2", "height"), TRAPS)
@pytest.mark.parametrize("scale", SCALES)
def test_the_global_maximum_is_found_where_others_stop_elsewhere(yi, vi, tau2, height, scale):
    yi, vi = np.array(yi) * math.sqrt(scale), np.array(vi) * scale
    found = estimate_tau2(yi, vi, "REML")
    assert found.certified
    assert found.tau2 / scale == pytest.approx(tau2, abs=6e-5)
    ours = log_likelihood(yi, vi, np.array([found.tau2]), restricted=True)[0]
    # k - 1 contrasts are scaled, and the density of each with them.
    assert ours + 0.5 * (yi.size - 1) * math.log(scale) == pytest.approx(height, abs=6e-5)


def test_the_lower_peak_of_the_first_trap_is_reported_with_its_height():
    found = estimate_tau2(np.array([-0.9, 19.49, 1.17, 0.27]), np.array([0.159, 38.894, 0.53, 0.125]), "REML")
    lower = [one for one in found.other_maxima if one[0] > 10]
    assert len(lower) == 1
    assert lower[0][0] == pytest.approx(27.85, abs=0.01)
    assert lower[0][1] == pytest.approx(10.6043 - 10.1805, abs=2e-4)


@pytest.mark.parametrize("restricted", [True, False])
def test_a_maximum_at_zero_and_one_inside_are_both_found(restricted):
    # Three precise studies agree exactly and a fourth lies eight of its standard errors off: two stories of the data.
    yi, vi = np.array([0.0, 0.0, 0.0, 80.0]), np.array([0.01, 0.01, 0.01, 100.0])
    found = maximise(yi, vi, restricted=restricted)
    peaks = sorted([found.tau2, *(tau2 for tau2, _ in found.others)])
    assert peaks[0] == 0.0
    assert peaks[-1] > 100.0
    assert found.certified


@pytest.mark.parametrize("restricted", [True, False])
def test_equal_variances_have_their_closed_form(restricted):
    rng = np.random.default_rng(4)
    for k in (2, 3, 7, 40):
        yi, v = rng.normal(0.0, 1.0, k), 0.05
        squares = float(((yi - yi.mean()) ** 2).sum())
        expected = max(0.0, squares / (k - restricted) - v)
        found = maximise(yi, np.full(k, v), restricted=restricted)
        assert found.tau2 == pytest.approx(expected, rel=1e-12)
        assert found.others == ()


def test_effects_that_agree_have_a_maximum_at_zero_only():
    for restricted in (True, False):
        found = maximise(np.full(5, 0.3), np.array([0.1, 0.2, 0.001, 4.0, 0.1]), restricted=restricted)
        assert (found.tau2, found.others, found.certified) == (0.0, (), True)


def test_the_design_matrix_may_be_coded_in_any_way():
    rng = np.random.default_rng(6)
    for _ in range(50):
        yi, vi, X = hard_set(rng, moderators=2)
        other = X @ np.array([[2.0, 1.0, 0.0], [0.0, -3.0, 1.0], [0.0, 0.0, 0.5]])
        for restricted in (True, False):
            here, there = (maximise(yi, vi, design, restricted=restricted) for design in (X, other))
            assert there.tau2 == pytest.approx(here.tau2, rel=1e-6, abs=1e-9 * vi.min())
            assert len(there.others) == len(here.others)


def test_a_column_of_ones_is_the_model_without_moderators():
    rng = np.random.default_rng(7)
    for _ in range(100):
        yi, vi, _ = hard_set(rng)
        for restricted in (True, False):
            here = maximise(yi, vi, restricted=restricted)
            there = maximise(yi, vi, np.ones((yi.size, 1)), restricted=restricted)
            assert there.tau2 == pytest.approx(here.tau2, rel=1e-7, abs=1e-9 * vi.min())
            assert len(there.others) == len(here.others)
