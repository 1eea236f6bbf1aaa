"""The 66 published rows of Smit et al. (2023), computed again from their arms and events."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metapeer.effects.table import effect_size

DATASETS = Path(__file__).parents[2] / "datasets"


@pytest.fixture(scope="module")
def effects():
    outcomes = pd.read_csv(DATASETS / "smit2023" / "outcomes.csv").set_index("row_id", drop=False)
    direction = pd.read_csv(DATASETS / "instruments.csv").set_index("instrument")["direction"]
    outcomes["direction"] = outcomes["instrument"].map(direction)
    return effect_size(outcomes, variance="metapsy", events_to_smd=True)


def test_what_can_be_computed_is(effects):
    assert effects["es_source"].value_counts().to_dict() == {"arms": 50, "reported": 13, "events": 3}
    assert (effects["positive_favours"] == "arm1").all()


def test_the_size_of_g_comes_out_but_for_rounding(effects):
    raw = effects[effects["es_source"] == "arms"]
    gap = (raw["yi"].abs() - raw["review_yi"].abs()).abs()
    assert gap.max() < 0.004
    assert gap.index[gap > 4e-4].tolist() == ["boevink2016.1"]
    assert gap.index[gap > 2e-5].tolist() == ["boevink2016.1", "kaplan2011.2", "kaplan2011.3", "solomon1995.2"]


def test_standard_errors_come_out_but_for_three(effects):
    raw = effects[effects["es_source"] == "arms"]
    gap = (raw["sei"] - raw["review_sei"]).abs()
    assert gap.index[gap > 1e-6].tolist() == ["boevink2016.1", "kaplan2011.2", "solomon1995.2"]
    assert effects.loc["solomon1995.2", "sei"] == pytest.approx(0.2095, abs=5e-5)
    assert effects.loc["solomon1995.2", "review_sei"] == pytest.approx(0.2030, abs=5e-5)


def test_two_signs_contradict_the_means(effects):
    computed = effects[effects["es_source"] != "reported"]
    opposite = computed["yi"] * computed["review_yi"] < 0
    assert computed.index[opposite].tolist() == ["davidson2004.1", "davidson2004.2"]


def test_event_rows_come_out_to_every_digit(effects):
    rows = effects[effects["es_source"] == "events"]
    assert rows.index.tolist() == ["dennis2003.1", "griffiths2012.1", "ludman2007.1"]
    np.testing.assert_allclose(rows["yi"], rows["review_yi"], rtol=1e-9)
    np.testing.assert_allclose(rows["sei"], rows["review_sei"], rtol=1e-9)


@pytest.mark.parametrize("variance", ["metafor", "meta", "revman5", "pymare"])
def test_no_other_preset_explains_the_printed_standard_errors(effects, variance):
    raw = effects[effects["es_source"] == "arms"]
    other = effect_size(raw, variance=variance)
    assert ((other["sei"] - raw["review_sei"]).abs() > 1e-6).sum() > 30


def test_the_review_s_effects_fill_every_row(effects):
    review = effect_size(effects.assign(exclusion_reason=""), prefer="review")
    assert (review["es_source"] == "review").all()
    np.testing.assert_array_equal(review["yi"], review["review_yi"])
    np.testing.assert_allclose(review["sei"], review["review_sei"], rtol=1e-15)
