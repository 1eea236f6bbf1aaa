"""Events in person-time, of two arms and of one, and hazard ratios."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.effects.measures import find_measure
from metapeer.effects.rates import double_root_rate, log_hazard_ratio, log_rate_ratio, rate_difference
from metapeer.effects.scales import back_transform_double_root
from metapeer.effects.table import effect_size
from metapeer.errors import ChoiceError, DataError, DataWarning

COUNTS = st.integers(0, 10_000)
TIMES = st.floats(1e-3, 1e6)

HART = {"events1": [9, 8, 3], "time1": [413, 263, 487], "events2": [19, 19, 13], "time2": [398, 245, 435]}


@pytest.mark.golden_effects("IRR", "IRD", "IRSD", "IR", "IRLN", "IRS", "IRFT")
def test_rates_agree_with_metafor(columns, case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of IRFT, tested below
        effects = effect_size(pd.DataFrame(columns), **case["arguments"])
    expected_vi = np.array(case["vi"], dtype=float)
    np.testing.assert_allclose(effects["yi"], np.array(case["yi"], dtype=float), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(effects["vi"], expected_vi, rtol=1e-13)
    assert ((effects["exclusion_reason"] == "") == ~np.isnan(expected_vi)).all()


def test_no_events_in_either_arm_say_nothing_of_a_ratio_but_count_for_a_difference():
    table = pd.DataFrame({"events1": [0, 4], "time1": [120, 100], "events2": [0, 2], "time2": [90, 110]})
    ratio, difference = (effect_size(table, measure=measure) for measure in ("IRR", "IRD"))
    assert ratio["exclusion_reason"].tolist() == ["no events in either arm: that says nothing about IRR", ""]
    assert (difference["exclusion_reason"] == "").all()
    assert difference["variance_formula"].tolist() == ["LS, 0.5 added to the events of each arm", "LS"]


def test_an_arm_without_events_and_nothing_added_is_explained():
    table = pd.DataFrame({"events1": [0, 4], "time1": [120, 100], "events2": [3, 2], "time2": [90, 110]})
    effects = effect_size(table, measure="IRR", zero_cells="none")
    assert "zero_cells" in effects["exclusion_reason"].iloc[0]
    assert effects["exclusion_reason"].iloc[1] == ""


def test_a_bad_event_turns_the_favoured_arm():
    table = pd.DataFrame(HART).assign(direction="lower_better")
    effects = effect_size(table, measure="IRR")
    assert set(effects["positive_favours"]) == {"arm2"}
    turned = effect_size(table, measure="IRR", orient=True)
    np.testing.assert_allclose(turned["yi"], -effects["yi"])
    assert set(turned["positive_favours"]) == {"arm1"}


def test_person_time_must_be_above_zero_and_every_fault_is_listed():
    table = pd.DataFrame({"events1": [-1, 4], "time1": [0, 100], "events2": [3, 2], "time2": [90, -2]})
    with pytest.raises(DataError) as caught:
        effect_size(table, measure="IRR")
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [
        ("row 1", "events1"),
        ("row 1", "time1"),
        ("row 2", "time2"),
    ]


@settings(deadline=None)
@given(COUNTS, TIMES, COUNTS, TIMES, st.floats(1e-3, 1e3))
def test_a_rate_ratio_does_not_depend_on_the_unit_of_time(x1, t1, x2, t2, unit):
    arms = [np.array([float(value)]) for value in (x1 + 1, t1, x2 + 1, t2)]
    other = [arms[0], arms[1] * unit, arms[2], arms[3] * unit]
    yi, vi = log_rate_ratio(*arms)
    np.testing.assert_allclose(log_rate_ratio(*other)[0], yi, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(log_rate_ratio(*other)[1], vi)
    yi, vi = rate_difference(*arms)
    np.testing.assert_allclose(rate_difference(*other)[0] * unit, yi, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(rate_difference(*other)[1] * unit**2, vi)


@settings(deadline=None)
@given(COUNTS, TIMES)
def test_a_double_root_turns_back_into_the_rate_it_came_from(events, time):
    x, t = np.array([float(events)]), np.array([time])
    yi, vi = double_root_rate(x, t)
    np.testing.assert_allclose(back_transform_double_root(yi, t), x / t, rtol=1e-9, atol=1e-12 / time)
    shown = find_measure("IRFT").display(float(yi[0]), float(vi[0]))
    assert shown == pytest.approx(events / time, rel=1e-9, abs=1e-9 / time)


def test_double_roots_back_transform_as_metafor_does():
    # transf.iirft(c(0.05, 0.4, 0.9), ti=20) of metafor 3.8-1
    found = back_transform_double_root(np.array([0.05, 0.4, 0.9]), np.full(3, 20.0))
    np.testing.assert_allclose(found, [0.0, 0.1359765625, 0.78519290123456783], rtol=1e-14)


def test_pooling_double_roots_is_warned_of():
    table = pd.DataFrame({"events": [0, 5], "time": [10, 45.5]})
    with pytest.warns(DataWarning, match="IRLN or IRS"):
        effect_size(table, measure="IRFT")


def test_observed_minus_expected_events_give_a_log_hazard_ratio():
    table = pd.DataFrame({"oe": [-6.0, 2.5], "v": [12.5, 4.0], "direction": "lower_better"})
    effects = effect_size(table, measure="HR")
    np.testing.assert_allclose(effects["yi"], [-0.48, 0.625], rtol=1e-15)
    np.testing.assert_allclose(effects["vi"], [0.08, 0.25], rtol=1e-15)
    assert effects["es_source"].tolist() == ["log_rank", "log_rank"]
    assert effects["positive_favours"].tolist() == ["arm2", "arm2"]


def test_a_log_rank_table_and_the_peto_odds_ratio_share_one_formula():
    yi, vi = log_hazard_ratio(np.array([-8.0 + 4.0]), np.array([2.0]))
    assert (yi[0], vi[0]) == (-2.0, 0.5)


def test_a_reported_hazard_ratio_is_pooled_as_its_logarithm():
    table = pd.DataFrame(
        {
            "study_id": ["a", "b"],
            "oe": [-6.0, np.nan],
            "v": [12.5, np.nan],
            "es_type": ["", "hazard ratio"],
            "es": [np.nan, 0.7],
            "es_ci_low": [np.nan, 0.49],
            "es_ci_high": [np.nan, 1.0],
        }
    )
    effects = effect_size(table, measure="HR")
    assert effects["es_source"].tolist() == ["log_rank", "reported"]
    assert effects["yi"].iloc[1] == pytest.approx(math.log(0.7), rel=1e-15)
    assert effects["sei"].iloc[1] == pytest.approx(math.log(1 / 0.49) / (2 * 1.959963984540054), rel=1e-12)


def test_a_variance_of_observed_minus_expected_must_be_above_zero():
    with pytest.raises(DataError, match="variance of O - E"):
        effect_size(pd.DataFrame({"oe": [1.0], "v": [0.0]}), measure="HR")


@pytest.mark.parametrize(
    ("measure", "option"),
    [
        ("HR", {"zero_cells": "all"}),
        ("HR", {"add": 1.0}),
        ("IRLN", {"orient": True}),
        ("IRLN", {"prefer": "reported"}),
        ("IRLN", {"drop_double_zero": True}),
        ("IRR", {"add": "TACC"}),
        ("IRR", {"variance": "LS"}),
    ],
)
def test_an_option_that_would_have_no_effect_is_an_error(measure, option):
    with pytest.raises(ChoiceError, match=next(iter(option))):
        effect_size(pd.DataFrame(HART).assign(events=1, time=1, oe=1, v=1), measure=measure, **option)
