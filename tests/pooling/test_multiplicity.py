"""Adjusted p values against R's p.adjust, and what may be handed in."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, DataError
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.multiplicity import adjust_p_values

P = [0.01, 0.04, 0.03, 0.005, 0.2, 0.5, 0.04, 0.8, 0.0001, 1, 0.06]

# R 4.2.2, p.adjust(p, method).
R = {
    "holm": [0.09, 0.28, 0.24, 0.05, 0.8, 1, 0.28, 1, 0.0011, 1, 0.3],
    "hochberg": [0.09, 0.24, 0.24, 0.05, 0.8, 1, 0.24, 1, 0.0011, 1, 0.3],
    "bonferroni": [0.11, 0.44, 0.33, 0.055, 1, 1, 0.44, 1, 0.0011, 1, 0.66],
    "BH": [
        *(0.0366666666666667, 0.0733333333333333, 0.0733333333333333, 0.0275, 0.275, 0.611111111111111),
        *(0.0733333333333333, 0.88, 0.0011, 1, 0.0942857142857143),
    ],
    "BY": [
        *(0.11072883597883598, 0.22145767195767196, 0.22145767195767196, 0.08304662698412699, 0.83046626984126992, 1),
        *(0.22145767195767196, 1, 0.00332186507936508, 1, 0.2847312925170068),
    ],
}


@pytest.mark.parametrize("method", sorted(R))
def test_adjusted_p_values_are_those_of_r(method):
    assert adjust_p_values(P, method=method).adjusted == pytest.approx(R[method], rel=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.sampled_from(sorted(R)))
def test_adjustment_never_lowers_a_p_value_nor_changes_the_order(p_values, method):
    adjusted = adjust_p_values(p_values, method=method).adjusted
    assert (adjusted >= np.array(p_values) * (1 - 1e-12)).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p_values)
    assert (np.diff(adjusted[order]) >= -1e-12).all()


def test_names_come_from_what_was_given():
    series = pd.Series([0.01, 0.2], index=["hope", "symptoms"])
    for given_as in (series, series.to_dict()):
        assert adjust_p_values(given_as).names == ("hope", "symptoms")
    assert adjust_p_values([0.01, 0.2]).names == ("1", "2")
    assert adjust_p_values(np.array([0.01, 0.2]), names=["a", "b"]).names == ("a", "b")
    with pytest.raises(DataError, match="one for each of 2 p values"):
        adjust_p_values([0.01, 0.2], names=["a"])


def test_results_are_taken_for_their_p_values():
    results = {
        "hope": meta_analysis(yi=[0.5, 0.6, 0.4], vi=[0.01, 0.02, 0.01]),
        "symptoms": meta_analysis(yi=[0.1, 0.2, -0.1], vi=[0.01, 0.02, 0.01]),
    }
    found = adjust_p_values(results, method="bonferroni")
    assert found.p_values.tolist() == [fit.p_value for fit in results.values()]
    assert found.adjusted[0] == pytest.approx(2 * results["hope"].p_value)
    assert adjust_p_values(list(results.values())).names == ("1", "2")


def test_a_missing_p_value_stays_missing_and_is_not_counted():
    found = adjust_p_values({"a": 0.02, "b": None, "c": math.nan, "d": 0.5}, method="bonferroni")
    assert found.tests == 2
    assert found.adjusted.tolist()[0] == pytest.approx(0.04)
    assert np.isnan(found.adjusted[1:3]).all()
    assert "not counted: b, c" in found.summary()
    assert np.isnan(adjust_p_values([None]).adjusted).all()
    assert adjust_p_values([]).tests == 0


def test_everything_that_is_no_p_value_is_listed_at_once():
    with pytest.raises(DataError, match="4 problems") as raised:
        adjust_p_values({"a": 1.2, "b": "small", "c": -0.1, "d": 0.5}, alpha=5)
    assert [fault.row for fault in raised.value.faults] == ["a", "b", "c", None]
    with pytest.raises(ChoiceError, match="Did you mean 'holm'"):
        adjust_p_values([0.1], method="hlom")
    for wrong in (0.05, "0.05", None):
        with pytest.raises(DataError, match="not a list of p values"):
            adjust_p_values(wrong)
    with pytest.raises(DataError, match="DataFrame has many columns"):
        adjust_p_values(pd.DataFrame({"p_value": [0.1]}))


def test_frame_says_what_was_done_and_what_holds():
    frame = adjust_p_values({"a": 0.02, "b": 0.04, "c": None}, method="BH", alpha=0.05).to_frame()
    assert frame["method"].unique().tolist() == ["Benjamini-Hochberg"]
    assert frame["significant"].tolist() == [True, True, False]
    assert adjust_p_values([0.02, 0.04], alpha=0.03).to_frame()["significant"].tolist() == [False, False]
