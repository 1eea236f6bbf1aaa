import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.auditing.integers import debit, grim, grim_chance, grimmer, half_unit, largest_sd, sd_limits

# The flying pigs of scrutiny (Jung 2025, data set pigs5), with what its grimmer_map() says of them. It warns that some
# verdicts of inconsistency are false: the fourth pig's is, as PIG_4 shows, and is True here.
PIG_4 = [0] * 10 + [1] * 4 + [2] * 2 + [3] * 4 + [4] * 2 + [5] * 3 + [6] * 2 + [7] * 2 + [8]
PIGS = [
    (7.22, 5.30, 38, False), (4.74, 6.55, 31, True), (5.23, 2.55, 35, False), (2.57, 2.57, 30, True),
    (6.77, 2.18, 33, False), (2.68, 2.59, 34, True), (7.01, 6.68, 35, False), (7.38, 3.65, 32, True),
    (3.14, 5.32, 33, False), (6.89, 4.18, 37, True), (5.00, 2.18, 31, True), (0.24, 6.43, 34, True),
]  # fmt: skip


def rounds_to(value, printed, decimals):
    return abs(value - printed) <= 0.5 * 10.0**-decimals + 1e-9


def every_sample(n, low, high):
    return itertools.combinations_with_replacement(range(low, high + 1), n)


def test_the_pigs_of_scrutiny_pass_and_fail_grimmer_as_they_do_there():
    mean, sd, n, expected = zip(*PIGS, strict=True)
    assert grimmer(mean, sd, n, decimals_mean=2, decimals_sd=2).tolist() == list(expected)


def test_the_fourth_pig_can_fly():
    assert (len(PIG_4), round(float(np.mean(PIG_4)), 2), round(float(np.std(PIG_4, ddof=1)), 2)) == (30, 2.57, 2.57)


def test_the_pigs_of_scrutiny_pass_and_fail_grim_as_they_do_there():
    n = [32, 25, 29, 24, 27, 28, 29, 26, 27, 31, 25, 28]  # data set pigs1, with grim_map() and grim_probability()
    expected = [True, False, False, False, False, True, False, True, False, False, True, False]
    assert grim([pig[0] for pig in PIGS], n, 2).tolist() == expected
    missed = [0.68, 0.75, 0.71, 0.76, 0.73, 0.72, 0.71, 0.74, 0.73, 0.69, 0.75, 0.72]
    assert 1 - grim_chance(n, 2) == pytest.approx(missed)


def test_twelve_means_of_28_people_pass_grim_as_in_brown_and_heathers():
    means = np.round(np.arange(5.19, 5.305, 0.01), 2)
    expected = [False, False, True, False, False, False, True, False, False, False, True, False]
    assert grim(means, n=28, decimals=2).tolist() == expected


@pytest.mark.parametrize(
    ("start", "step", "n", "items", "decimals", "expected"),
    [(0.150, 0.001, 120, 3, 3, "TFFTFFTFTF"), (0.80, 0.01, 28, 2, 2, "TFTFTFTTTT")],
)
def test_averages_of_items_pass_grim_as_in_scrutiny(start, step, n, items, decimals, expected):
    means = np.round(start + step * np.arange(10), decimals)
    assert grim(means, n=n, decimals=decimals, items=items).tolist() == [letter == "T" for letter in expected]


def test_rsprite2_examples_of_grim_grimmer_and_limits_come_out():
    assert grim([5.19, 5.18], n=[28, 14], decimals=2, items=[1, 2]).tolist() == [False, True]
    assert grimmer([5.21, 3.44], [1.6, 2.47], [28, 18], [2, 2], [1, 2]).tolist() == [True, False]
    smallest, largest = sd_limits([4.2, 4.2, 1.0], n=[5, 5, 100], low=1, high=7, step=[1, 0.5, 1])
    assert smallest.round(2).tolist() == [0.45, 0.27, 0.0]
    assert largest.round(2).tolist() == [3.03, 3.03, 0.0]


def test_the_debit_example_of_scrutiny_is_impossible():
    assert debit([0.35], [0.18], [20], [2], [2]).tolist() == [False]


@pytest.mark.parametrize("n", [3, 4, 5])
def test_no_sample_of_whole_numbers_fails_grim_or_grimmer(n):
    samples = np.array(list(every_sample(n, 0, 6)), float)
    mean, sd = samples.mean(axis=1).round(2), samples.std(axis=1, ddof=1).round(2)
    assert grim(mean, n, 2).all()
    assert grimmer(mean, sd, n, 2, 2).all()


def test_grim_rejects_exactly_the_means_that_no_sum_gives():
    n, printed = 7, np.round(np.arange(0, 3, 0.01), 2)
    possible = [any(rounds_to(total / n, mean, 2) for total in range(30)) for mean in printed]
    assert grim(printed, n, 2).tolist() == possible


def test_grimmer_rejects_exactly_the_pairs_that_no_sample_gives():
    # With five whole numbers of any size every sum of squares of the right parity above the least occurs.
    n, mean = 5, 2.4
    samples = [s for s in every_sample(n, -4, 9) if sum(s) == 12]
    sds = {round(float(np.std(s, ddof=1)), 2) for s in samples}
    tested = np.round(np.arange(0.55, 3.0, 0.01), 2)
    passed = {float(sd) for sd in tested[grimmer(mean, tested, n, 1, 2)]}
    assert passed == {sd for sd in sds if 0.55 <= sd < 3.0}


@pytest.mark.parametrize("n", [2, 3, 5])
def test_limits_of_the_sd_are_those_of_all_samples(n):
    groups: dict[float, list[float]] = {}
    for sample in every_sample(n, 1, 5):
        groups.setdefault(sum(sample) / n, []).append(float(np.std(sample, ddof=1)))
    means = np.array(list(groups))
    smallest, largest = sd_limits(means, n=n, low=1, high=5, step=1)
    assert smallest == pytest.approx([min(x) for x in groups.values()])
    assert largest == pytest.approx([max(x) for x in groups.values()])


@given(
    st.lists(st.integers(0, 30), min_size=2, max_size=60),
    st.integers(1, 12),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_numbers_that_were_rounded_from_whole_scores_always_pass(scores, items, digits, digits_sd):
    x = np.array(scores) / items
    mean, sd = round(float(x.mean()), digits), round(float(x.std(ddof=1)), digits_sd)
    assert grim(mean, len(x), digits, items=items).all()
    assert grimmer(mean, sd, len(x), digits, digits_sd, items=items).all()
    assert sd - 0.5 * 10.0**-digits_sd <= largest_sd(mean, len(x), 0, 30 / items, half=half_unit(digits)) + 1e-9


@given(st.lists(st.integers(0, 1), min_size=2, max_size=80), st.integers(1, 3), st.integers(1, 3))
def test_proportions_that_were_rounded_from_zeros_and_ones_pass_debit(scores, digits, digits_sd):
    x = np.array(scores, float)
    assert debit(
        round(float(x.mean()), digits), round(float(x.std(ddof=1)), digits_sd), len(x), digits, digits_sd
    ).all()


@given(
    *[st.floats(allow_nan=True, allow_infinity=True)] * 4,
    st.integers(-3, 400),
    st.integers(-3, 20),
)
def test_absurd_numbers_are_never_refused(mean, sd, n, items, digits, digits_sd):
    for verdict in (grim(mean, n, digits, items=items), grimmer(mean, sd, n, digits, digits_sd, items=items)):
        assert verdict.dtype == np.bool_
    assert debit(mean, sd, n, digits, digits_sd).dtype == np.bool_
    assert 0 < float(grim_chance(n, digits, items=items)) <= 1
    assert not np.isinf(sd_limits(mean, n, 0, 10, step=1)[0]).any()


def test_what_cannot_be_judged_counts_as_possible():
    assert grim([np.nan, 2.31, 2.31], [10, 10.5, 10], [2, 2, -1]).all()
    assert grimmer([2.3, 2.3], [np.nan, -1.0], [10, 10], [1, 1], [1, 1]).all()
    assert debit([np.nan], [0.1], [10], [2], [2]).all()


def test_the_chance_of_passing_grim_is_the_share_of_means_that_pass():
    means = np.round(np.arange(0, 10, 0.01), 2)
    assert grim(means, 37, 2).mean() == pytest.approx(float(grim_chance(37, 2)), abs=0.005)
