"""Cluster, multi-arm and crossover trials: the Handbook's examples, R's numbers, and what happens to each row."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.effects.designs import adjust_over_icc, adjust_unit_of_analysis
from metapeer.effects.table import effect_size
from metapeer.effects.unit_of_analysis import (
    combine_groups,
    crossover_difference,
    crossover_smd,
    design_effect,
    effective_sample_size,
)
from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError

MEANS = {"n1": 150, "mean1": 12.4, "sd1": 3.1, "n2": 160, "mean2": 10.9, "sd2": 3.6}


def trial(**cells):
    return {"study_id": "a", "outcome": "hope", "direction": "higher_better", **cells}


def table(*rows):
    return pd.DataFrame(list(rows))


# Cochrane Handbook 5.1, sections 16.3.6 and 16.4.6.4; the same methods stand in chapter 23 of version 6.5.


def test_the_handbooks_cluster_trial_has_its_inflated_standard_error():
    # 63/295 and 84/330: OR 0.795 (0.548 to 1.154), ln OR -0.23 with SE 0.19; design effect 1.576 makes SE 0.24.
    raw = table(trial(es_type="OR", es=0.795, es_ci_low=0.548, es_ci_high=1.154))
    plain = effect_size(raw, measure="OR")
    assert (round(plain["yi"][0], 2), round(plain["sei"][0], 2)) == (-0.23, 0.19)
    found = adjust_unit_of_analysis(raw.assign(design="cluster", mean_cluster_size=29.8, icc=0.02))
    effects = effect_size(found, measure="OR")
    assert (round(effects["yi"][0], 2), round(effects["sei"][0], 2)) == (-0.23, 0.24)


def test_the_handbooks_crossover_trial_has_its_standard_errors():
    # Ten people, 7.0 (2.38) and 6.5 (2.21), correlation 0.68: MD 0.5 (SE 0.583), SMD 0.218 (SE 0.256).
    numbers = {"n": 10, "mean1": 7.0, "sd1": 2.38, "mean2": 6.5, "sd2": 2.21, "r": 0.68}
    md, smd = crossover_difference(**numbers), crossover_smd(**numbers)
    assert (md.yi, round(md.sei, 3)) == (0.5, 0.583)
    assert (round(smd.yi, 3), round(smd.sei, 3)) == (0.218, 0.256)


# R 4.2.2, metafor 3.8-1: escalc() with the numbers divided by the design effect.


def test_means_of_a_cluster_trial_are_those_of_escalc_with_the_effective_numbers():
    # de <- 1+(25-1)*0.05; escalc(measure="SMD", m1i=12.4, sd1i=3.1, n1i=150/de, m2i=10.9, sd2i=3.6, n2i=160/de)
    found = adjust_unit_of_analysis(table(trial(**MEANS, design="cluster", mean_cluster_size=25, icc=0.05)))
    assert found[["mean1", "sd1", "mean2", "sd2"]].iloc[0].tolist() == [12.4, 3.1, 10.9, 3.6]
    effects = effect_size(found)
    assert effects["yi"][0] == pytest.approx(0.4430290477775675, rel=1e-12)
    assert effects["vi"][0] == pytest.approx(0.0291131254114801, rel=1e-12)


def test_events_of_a_cluster_trial_are_those_of_escalc_and_keep_their_proportion():
    # escalc(measure="RR", ai=63/1.576, n1i=295/1.576, ci=84/1.576, n2i=330/1.576)
    raw = trial(events1=63, total1=295, events2=84, total2=330)
    found = adjust_unit_of_analysis(table(raw | {"design": "cluster", "mean_cluster_size": 29.8, "icc": 0.02}))
    effects = effect_size(found, measure="RR")
    assert effects["yi"][0] == pytest.approx(-0.1755647743310751, rel=1e-12)
    assert effects["vi"][0] == pytest.approx(0.0336596473206643, rel=1e-12)


def test_three_groups_are_combined_as_r_has_them_from_their_participants():
    found = combine_groups(
        n=[7, 12, 4],
        mean=[3.0895171838095212, 5.2419388382151375, 0.7771849826914885],
        sd=[1.7653465692610930, 0.9921864768200034, 1.1101459387575798],
    )
    assert found.n == 23
    assert found.mean == pytest.approx(3.8103750554788807, rel=1e-14)
    assert found.sd == pytest.approx(2.1133305904900670, rel=1e-14)


def test_the_handbooks_formula_for_two_groups_is_the_same():
    n1, m1, s1, n2, m2, s2 = 24, 11.2, 3.4, 31, 9.6, 4.1
    squared = ((n1 - 1) * s1**2 + (n2 - 1) * s2**2 + n1 * n2 / (n1 + n2) * (m1**2 + m2**2 - 2 * m1 * m2)) / (
        n1 + n2 - 1
    )
    found = combine_groups(n=[n1, n2], mean=[m1, m2], sd=[s1, s2])
    assert found.sd == pytest.approx(math.sqrt(squared), rel=1e-13)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(-100, 100), min_size=2, max_size=6), min_size=1, max_size=5), st.floats(-1e6, 1e6))
def test_combined_groups_are_what_their_participants_say_wherever_zero_lies(groups, shift):
    groups = [np.array(group) + shift for group in groups]
    found = combine_groups(
        n=[g.size for g in groups], mean=[g.mean() for g in groups], sd=[g.std(ddof=1) for g in groups]
    )
    everyone = np.concatenate(groups)
    assert found.mean == pytest.approx(everyone.mean(), rel=1e-9, abs=1e-9)
    assert found.sd == pytest.approx(everyone.std(ddof=1), rel=1e-6, abs=1e-6)


@given(st.floats(1, 500), st.floats(-1, 1), st.floats(1, 1e5))
def test_clusters_never_add_information(size, icc, n):
    effect = design_effect(mean_cluster_size=size, icc=icc)
    assert effect >= 1
    assert effective_sample_size(n=n, design_effect=effect) <= n


@given(st.floats(-0.95, 0.95), st.floats(-0.95, 0.95))
def test_a_higher_correlation_makes_a_crossover_trial_more_precise(one, two):
    numbers = {"n": 20, "mean1": 7.0, "sd1": 2.4, "mean2": 6.5, "sd2": 2.2}
    low, high = sorted((one, two))
    for formula in (crossover_difference, crossover_smd):
        assert formula(r=high, **numbers).sei <= formula(r=low, **numbers).sei


def test_a_crossover_row_becomes_a_ready_made_effect_and_counts_everybody_once():
    numbers = {"n1": 10, "mean1": 7.0, "sd1": 2.38, "n2": 10, "mean2": 6.5, "sd2": 2.21}
    raw = table(trial(**numbers, design="crossover"), trial(**MEANS) | {"study_id": "b"})
    found = adjust_unit_of_analysis(raw, crossover_r={"a": 0.68})
    effects = effect_size(found)
    assert effects["yi"].round(3).tolist()[0] == 0.218
    assert effects["sei"].round(3).tolist()[0] == 0.256
    assert effects["es_source"].tolist() == ["reported", "arms"]
    assert effects[["n1", "n2"]].sum(axis=1).tolist() == [10, 310]
    assert "r 0.68" in found["unit_of_analysis"][0]
    turned = effect_size(adjust_unit_of_analysis(raw.assign(direction="lower_better"), crossover_r=0.68))
    assert turned["yi"].round(3).tolist()[0] == -0.218


def arms(**last):
    control = {"n2": 40, "mean2": 10.0, "sd2": 4.0}
    return table(
        trial(comparison="high", n1=20, mean1=12.0, sd1=4.0, **control),
        trial(comparison="low", n1=30, mean1=11.0, sd1=5.0, **(control | last)),
    )


def test_arms_compared_with_one_control_are_combined_into_one_row():
    found = adjust_unit_of_analysis(arms(), multi_arm="combine")
    together = combine_groups(n=[20, 30], mean=[12, 11], sd=[4, 5])
    assert len(found) == 1
    row = found.iloc[0]
    assert [row["n1"], row["mean1"], row["sd1"]] == [together.n, together.mean, together.sd]
    assert [row["n2"], row["mean2"], row["sd2"], row["comparison"]] == [40, 10, 4, "high + low"]
    assert "2 arms 1 combined" in row["unit_of_analysis"]


def test_events_of_arms_are_added():
    raw = table(
        trial(comparison="x", events1=3, total1=20, events2=8, total2=41),
        trial(comparison="y", events1=5, total1=22, events2=8, total2=41),
    )
    row = adjust_unit_of_analysis(raw, multi_arm="combine").iloc[0]
    assert row[["events1", "total1", "events2", "total2"]].tolist() == [8, 42, 8, 41]


def test_a_shared_control_is_divided_and_participants_count_once():
    found = adjust_unit_of_analysis(arms(), multi_arm="split")
    assert found["n2"].tolist() == [20, 20]
    assert found["mean2"].tolist() == [10, 10]
    assert found[["n1", "n2"]].to_numpy().sum() == 90


def test_by_default_arms_are_kept_and_the_row_says_how_to_pool_them():
    raw = arms()
    found = adjust_unit_of_analysis(raw)
    pd.testing.assert_frame_equal(found[raw.columns], raw)
    assert found["unit_of_analysis"].str.contains("sampling_covariance").all()


def test_arms_that_share_nothing_known_are_left_alone_and_warned_of():
    raw = arms(n2=41)
    with pytest.warns(DataWarning, match="no arm that all of them share"):
        found = adjust_unit_of_analysis(raw, multi_arm="combine")
    assert len(found) == 2
    assert found["n1"].tolist() == [20, 30]


def test_named_arms_decide_even_where_numbers_differ_by_missing_people():
    raw = arms(n2=39).assign(arm1=["high", "low"], arm2="control")
    assert len(adjust_unit_of_analysis(raw, multi_arm="combine")) == 1


@pytest.mark.parametrize(
    ("options", "used"),
    [
        ({"time": 6}, [6]),
        ({"time": 8}, [9]),
        ({"time": "earliest"}, [3]),
        ({"time": "latest"}, [18]),
        ({"window": (4, 12)}, [6, 9]),
        ({"time": "latest", "window": (0, 12)}, [9]),
    ],
)
def test_one_time_is_chosen_and_the_others_say_why_not(options, used):
    raw = table(*(trial(**MEANS, timepoint_months=month) for month in (3, 6, 9, 18)))
    found = adjust_unit_of_analysis(raw, **options)
    assert found.loc[found["exclusion_reason"] == "", "timepoint_months"].tolist() == used
    assert (found.loc[found["exclusion_reason"] != "", "unit_of_analysis"] != "").all()


def test_effects_that_are_computed_already_are_widened_like_their_arms():
    raw = table(trial(**MEANS, design="cluster", mean_cluster_size=25, icc=0.05))
    after = adjust_unit_of_analysis(effect_size(raw))
    plain = effect_size(raw)
    assert after["vi"][0] == pytest.approx(plain["vi"][0] * 2.2, rel=1e-12)
    assert after["sei"][0] == pytest.approx(math.sqrt(after["vi"][0]), rel=1e-12)


def test_an_adjusted_effect_is_taken_to_allow_for_clusters_and_warned_of():
    row = trial(es_type="SMD", es=0.3, es_se=0.1, statistic="adjusted", design="cluster", mean_cluster_size=20, icc=0.1)
    with pytest.warns(DataWarning, match="check the model"):
        found = adjust_unit_of_analysis(table(row))
    assert found["es_se"][0] == 0.1


def test_a_p_value_alone_is_never_used_for_a_cluster_trial():
    row = trial(es_type="SMD", es=0.3, p_value="0.01", design="cluster", mean_cluster_size=20, icc=0.1)
    with pytest.warns(DataWarning, match="no interval to widen"):
        found = adjust_unit_of_analysis(table(row))
    with pytest.warns(DataWarning):
        assert effect_size(found)["exclusion_reason"][0] != ""


@pytest.mark.parametrize(
    ("printed", "measure"),
    [
        ({"es_type": "SMD", "es": 0.3, "es_ci_low": 0.1, "es_ci_high": 0.5}, "SMD"),
        ({"es_type": "SMD", "es": 0.3, "es_se": 0.1}, "SMD"),
        ({"es_type": "RR (adjusted)", "es": 0.8, "es_ci_low": 0.5, "es_ci_high": 1.28}, "RR"),
        ({"es_type": "HR", "es": 0.8, "es_ci_low": 0.5, "es_ci_high": 1.28}, "HR"),
        ({"es_type": "log OR", "es": -0.2, "es_ci_low": -0.6, "es_ci_high": 0.2}, "OR"),
    ],
)
def test_a_ready_made_effect_keeps_its_value_and_grows_in_variance_by_the_design_effect(printed, measure):
    raw = table(trial(**printed))
    plain = effect_size(raw, measure=measure)
    found = adjust_unit_of_analysis(raw.assign(design="cluster", mean_cluster_size=21, icc=0.1))
    effects = effect_size(found, measure=measure)
    assert effects["yi"][0] == pytest.approx(plain["yi"][0], rel=1e-12)
    assert effects["vi"][0] == pytest.approx(3 * plain["vi"][0], rel=1e-12)


def test_what_is_missing_is_asked_for_in_every_row_at_once():
    raw = table(
        trial(**MEANS, design="cluster", mean_cluster_size=None, icc=None),
        trial(**MEANS, design="crossover", mean_cluster_size=None, icc=None) | {"study_id": "b"},
    )
    with pytest.raises(DataError) as caught:
        adjust_unit_of_analysis(raw)
    text = str(caught.value)
    assert "3 problems" in text
    for words in ("a, hope, icc", "mean_cluster_size", "crossover_r="):
        assert words in text


def test_an_assumed_correlation_fills_only_gaps_and_says_so():
    raw = table(
        trial(**MEANS, design="cluster", mean_cluster_size=11, icc=0.2),
        trial(**MEANS, design="cluster", mean_cluster_size=11, icc=None) | {"study_id": "b"},
    )
    found = adjust_unit_of_analysis(raw, icc={"hope": 0.1})
    assert found["n1"].tolist() == [50, 75]
    assert found["unit_of_analysis"].str.extract("(recorded|assumed)")[0].tolist() == ["recorded", "assumed"]
    assert found.attrs["notes"] == tuple(
        f"{s}, hope: {w}" for s, w in zip("ab", found["unit_of_analysis"], strict=True)
    )


def test_correlations_are_tried_one_after_the_other_in_place_of_the_recorded():
    raw = table(trial(**MEANS, design="cluster", mean_cluster_size=11, icc=0.2))
    found = adjust_over_icc(raw, iccs=[0, 0.1])
    assert [found[icc]["n1"][0] for icc in (0.0, 0.1)] == [150, 75]


def test_rows_of_other_trials_and_excluded_rows_stay_as_they_are():
    raw = table(
        trial(**MEANS, design="parallel", exclusion_reason=""),
        trial(**MEANS, design="cluster", exclusion_reason="no report yet") | {"study_id": "b"},
        trial(**MEANS, design="", exclusion_reason="") | {"study_id": "c"},
    )
    found = adjust_unit_of_analysis(raw)
    pd.testing.assert_frame_equal(found[raw.columns], raw)
    assert (found["unit_of_analysis"] == "").all()


def test_nothing_is_adjusted_twice_and_the_callers_table_never_changes():
    raw = table(trial(**MEANS, design="cluster", mean_cluster_size=25, icc=0.05))
    before = raw.copy(deep=True)
    found = adjust_unit_of_analysis(raw)
    pd.testing.assert_frame_equal(raw, before)
    with pytest.raises(DataError, match="adjusted already"):
        adjust_unit_of_analysis(found)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"multi_arm": "combined"}, ChoiceError, "Did you mean 'combine'"),
        ({"icc": 2}, MetapeerError, "icc 2 is not a correlation from 0 to 1"),
        ({"crossover_r": 1}, MetapeerError, "crossover_r 1"),
        ({"window": (6, 3)}, MetapeerError, "window"),
        ({"time": math.nan}, MetapeerError, "time"),
        ({"time": 6}, DataError, "no column timepoint_months"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        adjust_unit_of_analysis(table(trial(**MEANS)), **options)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"design": "clustered"}, "'clustered' is unknown"),
        ({"design": "cluster", "mean_cluster_size": 0.5, "icc": 0.1}, "at least 1"),
        ({"design": "cluster", "mean_cluster_size": 20, "icc": 3}, "3 is not a correlation"),
        ({"design": "cluster", "mean_cluster_size": "many", "icc": 0.1}, "'many' is not a number"),
        ({"design": "crossover", "n2": 9}, "the same people are in both"),
    ],
)
def test_cells_that_make_no_sense_are_named(cells, words):
    with pytest.raises(DataError, match=words):
        adjust_unit_of_analysis(table(trial(**(MEANS | cells))), crossover_r=0.5)


@pytest.mark.parametrize("bad", [None, 3, pd.DataFrame({"n1": [3]}), pd.DataFrame([[1, 2]], columns=["study_id"] * 2)])
def test_what_is_no_table_of_trials_is_refused(bad):
    with pytest.raises(DataError):
        adjust_unit_of_analysis(bad)


def test_an_empty_table_stays_empty():
    assert adjust_unit_of_analysis(pd.DataFrame({"study_id": []}), multi_arm="combine").empty
