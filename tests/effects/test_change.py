"""Change scores: their spread, the correlation behind it, and their effect sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.effects.change import (
    CHANGE_MEASURES,
    correlation_from_sds,
    mean_change,
    pretest_posttest_control,
    raw_sd_from_change,
    sd_of_change,
    sd_of_change_from_t,
    standardised_mean_change,
)
from metapeer.effects.continuous import hedges_g, small_sample_correction
from metapeer.effects.statistics import smd_from_d
from metapeer.errors import ChoiceError, DataError

SD = st.floats(0.1, 50)
R = st.floats(-0.99, 0.99)
ARM = {"n": 20, "mean_pre": 30.6, "mean_post": 38.5, "sd_pre": 15.0, "sd_post": 11.6, "r": 0.47}
PPC = {
    "n1": 20, "mean_pre1": 30.6, "mean_post1": 38.5, "sd_pre1": 15.0,
    "n2": 24, "mean_pre2": 29.5, "mean_post2": 31.8, "sd_pre2": 13.1,
    "r": 0.47,
}  # fmt: skip


@given(sd_pre=SD, sd_post=SD, r=R)
def test_correlation_comes_back_from_the_spread_of_change(sd_pre, sd_post, r):
    change = sd_of_change(sd_pre=sd_pre, sd_post=sd_post, r=r)
    back = correlation_from_sds(sd_pre=sd_pre, sd_post=sd_post, sd_change=change)
    assert back == pytest.approx(r, abs=1e-9 * (1 + max(sd_pre / sd_post, sd_post / sd_pre)))


def test_spread_of_change_is_that_of_the_differences():
    rng = np.random.default_rng(5)
    before = rng.normal(50, 10, 60)
    after = 0.6 * before + rng.normal(20, 8, 60)
    r = np.corrcoef(before, after)[0, 1]
    expected = np.std(after - before, ddof=1)
    assert sd_of_change(sd_pre=np.std(before, ddof=1), sd_post=np.std(after, ddof=1), r=r) == pytest.approx(expected)
    t = np.mean(after - before) / (expected / np.sqrt(60))
    assert sd_of_change_from_t(mean_change=np.mean(after - before), t=t, n=60) == pytest.approx(expected)


@given(sd=SD, r=R)
def test_raw_spread_is_that_of_scores_that_spread_alike(sd, r):
    change = sd_of_change(sd_pre=sd, sd_post=sd, r=r)
    assert raw_sd_from_change(sd_change=change, r=r) == pytest.approx(sd)


@pytest.mark.parametrize("measure", CHANGE_MEASURES)
@given(factor=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_standardised_change_does_not_depend_on_the_scale(measure, factor, shift):
    moved = {name: factor * value for name, value in ARM.items()} | {"n": ARM["n"], "r": ARM["r"]}
    moved["mean_pre"] += shift
    moved["mean_post"] += shift
    first = standardised_mean_change(**ARM, measure=measure)
    second = standardised_mean_change(**moved, measure=measure)
    assert second.yi == pytest.approx(first.yi, rel=1e-8)
    assert second.vi == pytest.approx(first.vi, rel=1e-8)


@pytest.mark.parametrize("measure", CHANGE_MEASURES)
def test_a_fall_is_as_large_as_the_rise_it_undoes(measure):
    even = ARM | {"sd_post": ARM["sd_pre"]}
    back = even | {"mean_pre": even["mean_post"], "mean_post": even["mean_pre"]}
    rise, fall = (standardised_mean_change(**arm, measure=measure) for arm in (even, back))
    assert fall.yi == pytest.approx(-rise.yi)
    assert fall.vi == pytest.approx(rise.vi)


def test_change_and_raw_units_agree_at_a_correlation_of_one_half():
    even = ARM | {"sd_post": ARM["sd_pre"], "r": 0.5}  # then sd_change = sd_pre
    by_change, by_raw = (standardised_mean_change(**even, measure=m) for m in ("SMCC", "SMCR"))
    assert by_change.yi == pytest.approx(by_raw.yi)
    assert by_change.vi == pytest.approx(by_raw.vi)


def test_mean_change_divided_by_its_spread_is_the_standardised_one():
    change = mean_change(**ARM)
    spread = sd_of_change(sd_pre=ARM["sd_pre"], sd_post=ARM["sd_post"], r=ARM["r"])
    expected = small_sample_correction(np.array([19.0]))[0] * change.yi / spread
    assert standardised_mean_change(**ARM, measure="SMCC").yi == pytest.approx(expected)
    assert change.vi == pytest.approx(spread**2 / 20)


def test_ppc1_is_the_difference_of_two_standardised_changes():
    arms = [
        standardised_mean_change(
            n=PPC[f"n{i}"], mean_pre=PPC[f"mean_pre{i}"], mean_post=PPC[f"mean_post{i}"], sd_pre=PPC[f"sd_pre{i}"],
            sd_post=1, r=PPC["r"],
        )
        for i in (1, 2)
    ]  # fmt: skip
    effect = pretest_posttest_control(**PPC, contrast="ppc1")
    assert effect.yi == pytest.approx(arms[0].yi - arms[1].yi)
    assert effect.vi == pytest.approx(arms[0].vi + arms[1].vi)


def test_ppc2_of_arms_alike_before_treatment_is_hedges_g_of_the_changes_over_the_spread_before():
    level = PPC | {"mean_pre1": 30.0, "mean_pre2": 30.0}
    effect = pretest_posttest_control(**level)
    names = ("n1", "mean1", "sd1", "n2", "mean2", "sd2")
    values = (20, 38.5, 15.0, 24, 31.8, 13.1)
    yi, _ = hedges_g(**{name: np.array([float(value)]) for name, value in zip(names, values, strict=True)})
    assert effect.yi == pytest.approx(yi[0])
    swapped = {name[:-1] + {"1": "2", "2": "1"}.get(name[-1], name[-1]): value for name, value in level.items()}
    assert pretest_posttest_control(**swapped).yi == pytest.approx(-effect.yi)


def test_variance_of_ppc2_is_what_repeated_trials_show():
    n1, n2, r, delta, trials = 15, 18, 0.6, 0.7, 60_000
    rng = np.random.default_rng(11)
    numerator = delta + np.sqrt(2 * (1 - r) * (1 / n1 + 1 / n2)) * rng.standard_normal(trials)
    sd1, sd2 = (np.sqrt(rng.chisquare(n - 1, trials) / (n - 1)) for n in (n1, n2))
    effect = pretest_posttest_control(
        n1=n1, mean_pre1=0, mean_post1=numerator, sd_pre1=sd1, n2=n2, mean_pre2=0, mean_post2=0, sd_pre2=sd2, r=r
    )
    assert np.mean(effect.yi) == pytest.approx(delta, abs=0.005)
    at_delta = delta / small_sample_correction(np.array([n1 + n2 - 2.0]))[0]  # so that g is delta itself
    exact = pretest_posttest_control(
        n1=n1, mean_pre1=0, mean_post1=at_delta, sd_pre1=1, n2=n2, mean_pre2=0, mean_post2=0, sd_pre2=1, r=r
    )
    assert exact.yi == pytest.approx(delta)
    assert np.var(effect.yi) == pytest.approx(exact.vi, rel=0.02)


def test_a_change_over_raw_spread_is_a_plain_effect_size():
    raw = raw_sd_from_change(sd_change=[5.5, 4.0], r=0.7)
    effect = smd_from_d(d=np.array([2.0, 1.0]) / raw, n1=50, n2=50)
    assert effect.yi == pytest.approx(small_sample_correction(np.array([98.0])) * np.array([2.0, 1.0]) / raw)


BAD = [
    (sd_of_change, {"sd_pre": 0, "sd_post": 4, "r": 0.5}, "sd_pre: 0 will not do; it must be above 0"),
    (sd_of_change, {"sd_pre": 3, "sd_post": 4, "r": 1.2}, "r: 1.2 will not do; it must lie between -1 and 1"),
    (correlation_from_sds, {"sd_pre": 4, "sd_post": 4.4, "sd_change": 0.3}, "sd_change: 0.3 will not do"),
    (correlation_from_sds, {"sd_pre": 4, "sd_post": 4.4, "sd_change": 9}, "or no correlation gives it"),
    (sd_of_change_from_t, {"mean_change": 0, "t": 2, "n": 9}, "mean_change: 0 will not do; it says nothing"),
    (sd_of_change_from_t, {"mean_change": 1, "t": 2, "n": 1}, "n: 1 will not do; it must be at least 2"),
    (raw_sd_from_change, {"sd_change": -1, "r": 0.5}, "sd_change: -1 will not do"),
    (standardised_mean_change, ARM | {"n": 2}, "n: 2 will not do; it must be at least 3"),
    (mean_change, ARM | {"sd_post": -3}, "sd_post: -3 will not do"),
    (pretest_posttest_control, PPC | {"n2": 2}, "n2: 2 will not do; it must be at least 3"),
    (pretest_posttest_control, PPC | {"r": -1}, "r: -1 will not do"),
]


@pytest.mark.parametrize(("function", "arguments", "message"), BAD)
def test_impossible_numbers_are_named(function, arguments, message):
    with pytest.raises(DataError, match=message):
        function(**arguments)


def test_unknown_choices_are_named():
    with pytest.raises(ChoiceError, match="Did you mean 'SMCR"):
        standardised_mean_change(**ARM, measure="SMCX")
    with pytest.raises(ChoiceError, match="contrast 'ppc3' is unknown"):
        pretest_posttest_control(**PPC, contrast="ppc3")
