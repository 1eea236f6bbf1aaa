"""A proportion in one group, and the way back from each scale."""

import math
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.effects.measures import MEASURES, find_measure
from metapeer.effects.proportions import double_arcsine
from metapeer.effects.scales import SCALES, back_transform_double_arcsine
from metapeer.effects.table import effect_size
from metapeer.errors import ChoiceError, DataError, DataWarning


@pytest.mark.golden_effects("PR", "PLN", "PLO", "PAS", "PFT")
def test_proportions_agree_with_metafor(columns, case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of PFT, tested below
        effects = effect_size(pd.DataFrame(columns), **case["arguments"])
    yi, vi = np.array(case["yi"], dtype=float), np.array(case["vi"], dtype=float)
    yi[~(vi > 0)] = vi[~(vi > 0)] = np.nan  # R keeps a proportion of variance 0; it has no weight to pool with
    np.testing.assert_allclose(effects["yi"], yi, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(effects["vi"], vi, rtol=1e-12)
    assert ((effects["exclusion_reason"] == "") == ~np.isnan(vi)).all()


@st.composite
def groups(draw):
    total = draw(st.integers(1, 100_000))
    return float(draw(st.integers(0, total))), float(total)


@pytest.mark.parametrize("code", ["PR", "PLN", "PLO", "PAS", "PFT"])
@settings(deadline=None)
@given(group=groups())
def test_every_measure_of_a_proportion_turns_back_into_it(code, group):
    events, total = group
    effects = effect_size(pd.DataFrame({"events": [events], "total": [total]}), measure=code, zero_cells="only0")
    half = 0.5 if events in (0.0, total) else 0.0
    shown = find_measure(code).display(effects["yi"].iloc[0], effects["vi"].iloc[0])
    # Near 0 and 1 an angle is a root of the proportion, so that half the digits of the smaller of the two are left.
    assert shown == pytest.approx((events + half) / (total + 2 * half), rel=1e-8, abs=1e-9)


@settings(deadline=None)
@given(groups(), st.floats(0.5, 2.0))
def test_the_way_back_from_a_double_arcsine_is_increasing_and_stays_within_0_and_1(group, factor):
    _, total = group
    angles = np.linspace(-0.2, math.pi / 2 + 0.2, 400)
    found = back_transform_double_arcsine(angles, np.full(400, total * factor))
    assert (np.diff(found) >= -1e-12).all()
    assert found[0] == 0.0
    assert found[-1] == 1.0


def test_double_arcsines_back_transform_as_metafor_does():
    # transf.ipft(c(0.12, 0.3, 0.8, 1.45), ni=20) of metafor 3.8-1
    found = back_transform_double_arcsine(np.array([0.12, 0.3, 0.8, 1.45]), np.full(4, 20.0))
    np.testing.assert_allclose(
        found, [0.0003851104134257044, 0.068242450977691382, 0.51531234382750168, 0.99955406784050238], rtol=1e-12
    )


def test_without_a_sample_size_a_double_arcsine_turns_back_as_an_arcsine_does():
    yi = np.array([0.3, 0.8])
    np.testing.assert_allclose(back_transform_double_arcsine(yi, np.full(2, np.inf)), np.sin(yi) ** 2, rtol=1e-12)
    assert find_measure("PFT").display(0.3) == pytest.approx(math.sin(0.3) ** 2)


def test_the_harmonic_mean_of_sizes_misleads_where_the_variance_does_not():
    # Five infection studies of Schwarzer et al. (2019) in kind: rare events, and sizes from 20 to 600,000.
    events, total = np.array([0.0, 2.0, 40.0]), np.array([20.0, 3000.0, 600_000.0])
    yi, vi = double_arcsine(events, total)
    pooled = float((yi / vi).sum() / (1 / vi).sum())
    by_variance = find_measure("PFT").display(pooled, float(1 / (1 / vi).sum()))
    by_harmonic = float(back_transform_double_arcsine(np.array(pooled), np.array(3 / (1 / total).sum())))
    assert by_harmonic == 0.0  # below every study with an event
    assert 0.5 < by_variance / (events.sum() / total.sum()) < 2


def test_pooling_double_arcsines_is_warned_of_and_one_group_is_not():
    table = pd.DataFrame({"events": [0, 5], "total": [20, 45]})
    with pytest.warns(DataWarning, match="PLO or PAS"):
        effect_size(table, measure="PFT")
    effects = effect_size(table.head(1), measure="PFT")  # warnings are errors
    assert effects["yi"].iloc[0] > 0


def test_events_of_one_group_must_not_exceed_its_participants():
    with pytest.raises(DataError, match="must not exceed the participants") as caught:
        effect_size(pd.DataFrame({"events": [5, -1], "total": [4, 0]}), measure="PLO")
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [
        ("row 1", "events"),
        ("row 2", "events"),
        ("row 2", "total"),
    ]


def test_a_row_without_events_and_nothing_added_says_what_to_do():
    effects = effect_size(pd.DataFrame({"events": [0, 5], "total": [20, 45]}), measure="PLO", zero_cells="none")
    assert "zero_cells" in effects["exclusion_reason"].iloc[0]
    assert np.isnan(effects["yi"].iloc[0])


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="no column total; PLO needs events total"):
        effect_size(pd.DataFrame({"events": [5]}), measure="PLO")


def test_a_proportion_favours_no_arm_and_has_no_value_of_no_effect():
    table = pd.DataFrame({"events": [5, 6], "total": [20, 45], "direction": ["lower_better", "higher_better"]})
    assert effect_size(table, measure="PLO")["positive_favours"].tolist() == ["", ""]
    with pytest.raises(ChoiceError, match="orient"):
        effect_size(table, measure="PLO", orient=False)
    assert math.isnan(find_measure("PLO").null)


def test_every_scale_in_the_register_increases_and_keeps_missing_missing():
    for measure in MEASURES.values():
        shown = [measure.display(yi, 0.01) for yi in np.linspace(0.0, 1.5, 50)]
        assert all(b >= a for a, b in pairwise(shown))
        assert shown[-1] > shown[0]
        assert math.isnan(measure.display(math.nan, 0.01))
    assert {measure.scale for measure in MEASURES.values()} == set(SCALES)


def test_a_log_beyond_all_numbers_is_shown_as_infinite():
    assert find_measure("OR").display(1e6) == math.inf
