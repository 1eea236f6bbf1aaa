"""How far rounding of printed inputs moves a pooled result: ends that are attained, and no value found outside."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.auditing.rounding_inputs import QUANTITIES, rounding_range
from metapeer.effects.table import effect_size
from metapeer.errors import DataError, DataWarning, MetapeerError
from metapeer.pooling.models import meta_analysis
from metapeer.records.catalog import load_dataset

MEANS = pd.DataFrame(
    {
        "study_id": ["a", "b", "c"],
        "n1": ["20", "40", "30"],
        "mean1": ["3.5", "3.9", "10.1"],
        "sd1": ["1.2", "1.0", "4"],
        "n2": ["21", "38", "29"],
        "mean2": ["3.1", "3.2", "9"],
        "sd2": ["1.1", "0.9", "4.4"],
    }
)


def numbers(fit):
    return [fit.estimate, fit.ci.low, fit.ci.high, fit.tau2, fit.I2]


def ready(yi, sei):
    return pd.DataFrame({"yi": yi, "sei": sei})


def test_equal_precision_moves_a_common_effect_by_the_mean_rounding_of_the_effects():
    found = rounding_range(ready(["0.1", "0.30"], ["0.100", "0.100"]), model="common")
    spread = [(0.05 + 0.005) / 2, found.estimate[1] - found.result.estimate]
    assert spread[1] == pytest.approx(spread[0], rel=0.03)  # and a little by the rounding of the standard errors
    assert math.isnan(found.I2[0])
    assert found.tau2 == (0.0, 0.0)


def test_inputs_without_rounding_leave_nothing_open():
    table = ready(["0.10000000000000000", "0.30000000000000000"], ["0.10000000000000000", "0.20000000000000000"])
    found = rounding_range(table, tau2_method="DL", ci_method="z")
    for name, value in zip(QUANTITIES, numbers(found.result), strict=True):
        assert getattr(found, name) == pytest.approx((value, value), abs=1e-12)


def test_effects_that_agree_in_print_may_disagree_before_rounding():
    found = rounding_range(ready(["0.1"] * 4, ["0.10"] * 4), tau2_method="DL", ci_method="z")
    # Two at 0.05, two at 0.15, with the smallest standard errors: Q = 4 (0.05 / 0.095)², tau2 = (Q - 3) / C < 0.
    assert found.tau2 == (0.0, 0.0)
    found = rounding_range(ready(["0.1"] * 4, ["0.05"] * 4), tau2_method="DL", ci_method="z")
    assert found.tau2[1] == pytest.approx(4 * 0.05**2 / 3 - 0.045**2, rel=1e-9)


@pytest.mark.parametrize(("tau2_method", "ci_method"), [("DL", "z"), ("REML", "HK")])
@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_no_corner_of_all_the_roundings_lies_outside_the_ranges(tau2_method, ci_method):
    yi, sei = np.array([0.1, 0.3, 0.8, 0.5]), np.array([0.1, 0.2, 0.1, 0.3])
    options = {"tau2_method": tau2_method, "ci_method": ci_method}
    found = rounding_range(ready([f"{y:.1f}" for y in yi], [f"{s:.1f}" for s in sei]), **options)
    corners = np.array(np.meshgrid(*[[-0.05, 0.05]] * 8)).reshape(8, -1).T
    values = np.array([numbers(meta_analysis(yi=yi + c[:4], sei=sei + c[4:], **options)) for c in corners])
    for j, name in enumerate(QUANTITIES):
        low, high = getattr(found, name)
        width = high - low
        assert values[:, j].min() >= low - 0.05 * width, name
        assert values[:, j].max() <= high + 0.05 * width, name


@given(
    st.lists(st.tuples(st.integers(-20, 20), st.integers(5, 40)), min_size=2, max_size=6),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=30)
def test_unrounded_inputs_give_a_common_effect_within_the_range(rows, seed):
    yi, sei = (np.array(x) / 10 for x in zip(*rows, strict=True))
    found = rounding_range(ready([f"{y:.1f}" for y in yi], [f"{s:.1f}" for s in sei]), model="common")
    rng = np.random.default_rng(seed)
    for _ in range(5):
        fit = meta_analysis(
            yi=yi + rng.uniform(-0.05, 0.05, yi.size), sei=sei + rng.uniform(-0.05, 0.05, yi.size), model="common"
        )
        width = found.estimate[1] - found.estimate[0]
        assert found.estimate[0] - 0.02 * width <= fit.estimate <= found.estimate[1] + 0.02 * width


@pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")
def test_means_as_printed_give_the_result_that_their_numbers_give():
    found = rounding_range(MEANS, measure="SMD", tau2_method="DL", ci_method="z")
    table = MEANS.assign(**{c: pd.to_numeric(MEANS[c]) for c in MEANS.columns[1:]})
    fit = meta_analysis(effect_size(table, measure="SMD"), tau2_method="DL", ci_method="z")
    assert numbers(found.result) == pytest.approx(numbers(fit))
    assert found.cells == 12
    assert found.estimate[0] < fit.estimate < found.estimate[1]
    # A mean printed as 9 may have been 8.5 to 9.5, and moves the third effect by more than all others together.
    finer = rounding_range(MEANS.replace({"9": "9.0", "4": "4.0"}), measure="SMD", tau2_method="DL", ci_method="z")
    assert finer.estimate[1] - finer.estimate[0] < found.estimate[1] - found.estimate[0]


def test_a_ratio_is_shown_as_a_ratio_and_kept_as_a_logarithm():
    found = rounding_range(ready(["-0.36", "-0.22"], ["0.10", "0.15"]).assign(measure="RR"), model="common")
    assert found.estimate[0] < -0.22
    shown = str(found)
    assert f"{math.exp(found.result.estimate):.4f}" in shown
    assert "-0." not in shown
    assert found.to_frame()["as_printed"].iloc[0] == found.result.estimate


def test_rounding_of_the_printed_effects_of_smit2023_moves_a_pooled_result_by_less_than_a_digit():
    review = load_dataset("smit2023")
    rows = review.outcomes_text[review.outcomes_text["outcome_group"] == "clinical recovery"]
    table = rows[["study_id", "review_yi", "review_sei"]].rename(columns={"review_yi": "yi", "review_sei": "sei"})
    assert len(table) > 10
    found = rounding_range(table.groupby("study_id").first().reset_index(), tau2_method="DL", ci_method="z")
    low, high = found.estimate
    assert 0 < high - low < 0.02


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (pd.DataFrame({"yi": [0.1], "sei": [0.1]}), "0.1 is a float, whose printed digits are lost"),
        (pd.DataFrame({"yi": ["x"], "sei": ["0.1"]}), "'x' is not a number"),
        (pd.DataFrame({"yi": ["<0.1"], "sei": ["0.1"]}), "'<0.1' is not a number"),
        (pd.DataFrame({"yi": ["0.1", "0.2"], "sei": ["0.0", "0.1"]}), "not a standard error"),
        (pd.DataFrame(), "has no rows"),
        (pd.DataFrame([["0.1", "0.1", "0.2"]], columns=["yi", "yi", "sei"]), "stands there twice"),
    ],
)
def test_input_that_cannot_be_used_is_refused_with_its_reason(table, told):
    with pytest.raises(DataError, match=told.replace("(", r"\(")):
        rounding_range(table)


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(MetapeerError, match="measure"):
        rounding_range(MEANS)
    with pytest.raises(MetapeerError, match="SMDD"):
        rounding_range(MEANS, measure="SMDD")
    with pytest.raises(MetapeerError, match="RELM"):
        rounding_range(ready(["0.1", "0.2"], ["0.1", "0.1"]), tau2_method="RELM")


def test_inputs_that_cannot_be_moved_stay_and_are_told_of():
    # The first effect lies on its lower limit: moved down alone it is outside, and its row would be left out.
    table = pd.DataFrame({"study_id": ["a", "b"], "es_type": "SMD", "es": ["0.1", "0.20"]})
    table = table.assign(es_ci_low=["0.1", "0.00"], es_ci_high=["0.5", "0.40"])
    with pytest.warns(DataWarning):
        found = rounding_range(table, measure="SMD", model="common")
    assert found.notes
    assert "may be wider" in str(found)
    assert found.estimate[0] <= found.result.estimate < found.estimate[1]


def test_warnings_of_the_result_are_given_once():
    with pytest.warns(DataWarning) as caught:
        rounding_range(ready(["0.10", "0.11", "0.12"], ["0.10", "0.20", "0.10"]))
    assert len(caught) == 1
