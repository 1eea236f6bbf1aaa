"""Recorded corrections are made on a copy, and only where they fit."""

import math

import pandas as pd
import pytest

from metapeer.errors import ChoiceError, DataError
from metapeer.records.catalog import load_dataset
from metapeer.records.overrides import apply_overrides

OUTCOMES = pd.DataFrame(
    {"row_id": ["a.1", "a.2"], "sd1": [0.5, 3.0], "es": [1.0, math.nan], "format": ["group", ""]}, index=[7, 3]
)


def overrides(*rows):
    return pd.DataFrame(rows, columns=["override_id", "row_id", "column", "raw", "value"])


def test_a_correction_changes_its_cell_on_a_copy_and_is_named():
    before = OUTCOMES.copy()
    after = apply_overrides(
        OUTCOMES,
        overrides(("x", "a.1", "sd1", "0.50", "2.5"), ("x", "a.1", "es", "1", ""), ("y", "a.2", "format", "", "mixed")),
    )
    assert after["sd1"].tolist() == [2.5, 3.0]
    assert math.isnan(after.loc[7, "es"])
    assert after["format"].tolist() == ["group", "mixed"]
    assert after["overridden"].tolist() == ["x", "y"]
    assert after.index.tolist() == [7, 3]
    assert after["sd1"].dtype == float
    pd.testing.assert_frame_equal(OUTCOMES, before)


def test_only_the_corrections_that_are_asked_for_are_made():
    both = overrides(("x", "a.1", "sd1", "0.5", "2"), ("y", "a.2", "sd1", "3", "4"))
    assert apply_overrides(OUTCOMES, both, only="y")["sd1"].tolist() == [0.5, 4]
    assert apply_overrides(OUTCOMES, both, only=["x", "y"])["sd1"].tolist() == [2, 4]
    assert apply_overrides(OUTCOMES, both, only=[])["overridden"].tolist() == ["", ""]
    with pytest.raises(ChoiceError, match="override 'z' is unknown"):
        apply_overrides(OUTCOMES, both, only=["z"])


def test_two_corrections_of_one_row_are_both_named():
    both = overrides(("x", "a.1", "sd1", "0.5", "2"), ("y", "a.1", "es", "1", "4"))
    assert apply_overrides(OUTCOMES, both)["overridden"].tolist() == ["x; y", ""]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("x", "a.1", "sd1", "0.6", "2"), "x, a.1, sd1: the override expects '0.6', but '0.5' stands there"),
        (("x", "a.1", "sd1", "", "2"), "x, a.1, sd1: the override expects '', but '0.5' stands there"),
        (("x", "a.2", "es", "1", "2"), "x, a.2, es: the override expects '1', but '' stands there"),
        (("x", "a.1", "format", "mixed", ""), "x, a.1, format: the override expects 'mixed', but 'group' stands there"),
        (("x", "a.1", "sd1", "0.5", "-2"), "x, a.1, sd1: -2 is not allowed; it must be > 0"),
        (("x", "a.1", "sd1", "0.5", "two"), "x, a.1, sd1: 'two' is not a number"),
        (("x", "b.1", "sd1", "0.5", "2"), "x, b.1, sd1: there is no such row in the outcomes"),
        (("x", "a.1", "sd3", "", "2"), "x, a.1, sd3: there is no such column in the outcomes that can be corrected"),
        (
            ("x", "a.1", "row_id", "a.1", "z"),
            "x, a.1, row_id: there is no such column in the outcomes that can be corrected",
        ),
    ],
)
def test_a_correction_that_does_not_fit_is_refused(row, message):
    with pytest.raises(DataError) as caught:
        apply_overrides(OUTCOMES, overrides(row))
    assert [str(fault) for fault in caught.value.faults] == [message]


def test_two_corrections_of_one_cell_are_refused_unless_one_is_chosen():
    both = overrides(("x", "a.1", "sd1", "0.5", "2"), ("y", "a.1", "sd1", "0.5", "4"))
    with pytest.raises(DataError, match=r"y, a\.1, sd1: is changed by 'x', too; apply one of them, with only="):
        apply_overrides(OUTCOMES, both)
    assert apply_overrides(OUTCOMES, both, only=["y"])["sd1"].tolist() == [4, 3]


def test_tables_without_the_needed_columns_are_refused():
    with pytest.raises(DataError, match="the column value is missing"):
        apply_overrides(OUTCOMES, overrides().drop(columns="value"))
    with pytest.raises(DataError, match="the column row_id is missing"):
        apply_overrides(OUTCOMES.drop(columns="row_id"), overrides())


def test_the_bundled_corrections_fit_their_rows():
    review = load_dataset("smit2023")
    after = apply_overrides(review.outcomes, review.overrides)
    assert set(after.loc[after["overridden"] != "", "row_id"]) == set(review.overrides["row_id"])
    assert after.drop(columns="overridden").columns.tolist() == review.outcomes.columns.tolist()
