"""The door: rows in, the same rows with effects or reasons out."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.effects.continuous import hedges_g
from metapeer.effects.measures import ARMS, EVENTS, MEASURES, find_measure
from metapeer.effects.table import effect_size
from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError

NAN = float("nan")
ADDED = ["yi", "vi", "sei", "measure", "variance_formula", "es_source", "positive_favours", "exclusion_reason"]


def table(**columns):
    """Two trials with means; keywords add columns or replace them."""
    base = {
        "study_id": ["smith2014", "jones2016"],
        "outcome": ["hope", "depression"],
        "n1": [40, 55],
        "mean1": [31.0, 12.1],
        "sd1": [8.0, 5.0],
        "n2": [42, 50],
        "mean2": [28.0, 13.0],
        "sd2": [9.0, 5.5],
    }
    return pd.DataFrame({**base, **columns})


def events(**columns):
    base = {"study_id": ["a", "b"], "events1": [5, 0], "total1": [30, 20], "events2": [9, 4], "total2": [31, 22]}
    return pd.DataFrame({**base, **columns})


def printed(**columns):
    base = {"es_type": ["SMD"], "es": [0.3], "es_se": [0.1]}
    return pd.DataFrame({**base, **columns})


def g_of(frame):
    return hedges_g(**{name: frame[name].to_numpy(dtype=float) for name in ARMS})[0]


# Rows and columns


def test_rows_index_and_columns_stay_and_the_input_is_not_touched():
    data = table(note=["x", "y"], yi=[9.0, 9.0])
    data.index = [7, 7]
    before = data.copy()
    effects = effect_size(data)
    pd.testing.assert_frame_equal(data, before)
    assert effects.index.tolist() == [7, 7]
    assert effects["note"].tolist() == ["x", "y"]
    assert list(effects.columns[: len(data.columns)]) == list(data.columns)
    assert set(ADDED) <= set(effects.columns)
    np.testing.assert_allclose(effects["yi"], g_of(data), rtol=1e-15)
    np.testing.assert_allclose(effects["sei"] ** 2, effects["vi"], rtol=1e-15)


def test_arms_alone_are_enough():
    effects = effect_size(table()[list(ARMS)])
    assert effects["yi"].notna().all()
    assert (effects["positive_favours"] == "").all()
    assert (effects["measure"] == "SMD").all()
    assert (effects["es_source"] == "arms").all()


@pytest.mark.parametrize(
    ("options", "formula"),
    [
        ({}, "LS (exact J)"),
        ({"variance": "metapsy"}, "LS2_APPROX (approximate J)"),
        ({"measure": "SMDH"}, "LS (exact J)"),
        ({"measure": "MD"}, "LS"),
        ({"measure": "MD", "variance": "HO"}, "HO"),
        ({"measure": "ROM", "variance": "HO"}, "HO"),
    ],
)
def test_the_formula_used_stands_in_each_row(options, formula):
    effects = effect_size(table(), **options)
    assert (effects["variance_formula"] == formula).all()


def test_what_was_added_to_zero_cells_stands_in_the_row():
    effects = effect_size(events(), measure="OR", zero_cells="only0")
    assert effects["variance_formula"].tolist() == ["LS", "LS, 0.5 added to each cell"]
    effects = effect_size(events(), measure="PETO")
    assert effects["variance_formula"].tolist() == ["1/V", "1/V"]
    effects = effect_size(events(), measure="RR", add="TACC")
    assert effects["variance_formula"].tolist() == ["LS", "LS, treatment arm correction added to each cell"]


def test_the_same_numbers_in_other_types_give_the_same_effects():
    wanted = effect_size(table())
    for kind in ("float64", "Float64", "Int64", "object", "str", "category"):
        data = table()
        for name in ("n1", "n2"):
            data[name] = data[name].astype(kind)
        pd.testing.assert_frame_equal(effect_size(data)[["yi", "vi"]], wanted[["yi", "vi"]])


def test_fractional_effective_sample_sizes_are_legal():
    assert effect_size(table(n1=[31.4, 20.5]))["vi"].notna().all()


# Missing cells and reasons


def test_a_missing_cell_is_a_reason_and_not_a_fault():
    effects = effect_size(table(n2=[42, None], sd1=[8.0, None]))
    assert effects["exclusion_reason"].tolist() == [
        "",
        "sd1, n2 are missing; SMD needs n1 mean1 sd1 n2 mean2 sd2",
    ]
    assert effects.loc[1, ["yi", "vi", "sei"]].isna().all()
    assert effects.loc[1, ["es_source", "variance_formula", "positive_favours"]].tolist() == ["", "", ""]


def test_a_reason_already_recorded_is_kept_and_its_row_not_judged():
    data = table(exclusion_reason=["", "counted twice"], sd1=[8.0, -5.0])
    effects = effect_size(data)
    assert effects["exclusion_reason"].tolist() == ["", "counted twice"]
    assert effects["yi"].isna().tolist() == [False, True]


def test_events_need_asking_to_become_an_smd():
    data = pd.concat([table(), events(study_id=["c", "d"])], ignore_index=True)
    left = effect_size(data)
    assert left["exclusion_reason"].tolist()[2] == (
        "only event counts are given; SMD needs n1 mean1 sd1 n2 mean2 sd2, or events_to_smd=True"
    )
    taken = effect_size(data, events_to_smd=True)
    assert taken["es_source"].tolist() == ["arms", "arms", "events", "events"]
    assert taken["variance_formula"].tolist()[2:] == ["OR2DL (exact J)", "OR2DL (exact J), 0.5 added to each cell"]
    ratio = effect_size(data, measure="OR")
    j = 1 - 3 / (4 * 59 - 1)
    assert taken["yi"][2] == pytest.approx(j * ratio["yi"][2] * np.sqrt(3) / np.pi, rel=1e-4)


def test_means_are_no_risk_ratio():
    data = pd.concat([table(), events(study_id=["c", "d"])], ignore_index=True)
    effects = effect_size(data, measure="RR")
    assert (
        effects["exclusion_reason"].tolist()[:2] == ["only means are given; RR needs events1 total1 events2 total2"] * 2
    )


def test_a_ratio_of_means_refuses_means_that_are_not_positive():
    effects = effect_size(table(mean1=[31.0, -1.0]), measure="ROM")
    assert effects["exclusion_reason"].tolist() == ["", "a ratio of means needs means above 0"]


def test_a_number_of_participants_alone_offers_no_effect():
    data = table(mean1=[31.0, NAN], sd1=[8.0, NAN], mean2=[28.0, NAN], sd2=[9.0, NAN]).assign(
        es_type=["", "SMD"], es=[NAN, 0.2], p_value=["", "<.001"]
    )
    assert effect_size(data)["exclusion_reason"][1].startswith("p_value '<.001' is only a bound")


def test_both_ways_that_failed_are_named():
    data = table(sd1=[8.0, NAN]).assign(es_type=["", "b (path model)"], es=[NAN, 1.0])
    assert effect_size(data)["exclusion_reason"][1] == (
        "sd1 is missing; SMD needs n1 mean1 sd1 n2 mean2 sd2; "
        "es_type 'b (path model)' is not an effect that can be pooled as SMD"
    )


def test_no_usable_row_is_a_warning_and_a_full_table():
    with pytest.warns(DataWarning, match="no row can be used"):
        effects = effect_size(table(n1=[NAN, NAN]))
    assert len(effects) == 2
    assert (effects["exclusion_reason"] != "").all()


def test_an_empty_table_stays_empty():
    with pytest.warns(DataWarning, match="no row can be used"):
        assert len(effect_size(table().iloc[:0])) == 0


# Zero cells


def test_double_zero_tables_are_left_out_of_ratios_and_kept_for_differences():
    data = events(events1=[0, 20], events2=[0, 22])
    for measure in ("RR", "OR", "PETO"):
        with pytest.warns(DataWarning, match="no row"):
            effects = effect_size(data, measure=measure)
        assert effects["exclusion_reason"].str.contains(f"says nothing about {measure}").all()
    for measure in ("RD", "AS"):
        assert effect_size(data, measure=measure)["yi"].tolist() == pytest.approx([0, 0], abs=0.01)


def test_double_zero_tables_stay_when_asked():
    data = events(events1=[0, 5], events2=[0, 9])
    effects = effect_size(data, measure="OR", drop_double_zero=False)
    assert effects["yi"][0] == pytest.approx(np.log(31.5 / 30.5))


def test_no_rule_for_zero_cells_leaves_an_infinite_ratio_out():
    effects = effect_size(events(), measure="OR", zero_cells="none")
    assert effects["exclusion_reason"][1].startswith("a zero cell leaves OR or its variance undefined")


def test_a_risk_difference_without_variance_has_no_weight():
    effects = effect_size(events(events1=[5, 0], events2=[9, 0]), measure="RD", zero_cells="none")
    assert effects["exclusion_reason"].tolist() == ["", "its sampling variance is 0"]


def test_excluded_tables_do_not_set_off_if0all():
    data = events(exclusion_reason=["", "counted twice"])
    effects = effect_size(data, measure="OR", zero_cells="if0all")
    assert effects["yi"][0] == pytest.approx(np.log(5 * 22 / 25 / 9))


# Directions


def test_smd_is_turned_so_that_positive_favours_arm_1():
    data = table(direction=["higher_better", "lower_better"])
    effects = effect_size(data)
    np.testing.assert_allclose(effects["yi"], g_of(data) * [1, -1], rtol=1e-15)
    assert (effects["positive_favours"] == "arm1").all()


def test_natural_units_are_left_as_they_are_and_say_which_arm_they_favour():
    data = table(direction=["lower_better", "lower_better"])
    effects = effect_size(data, measure="MD")
    np.testing.assert_allclose(effects["yi"], data["mean1"] - data["mean2"], rtol=1e-15)
    assert (effects["positive_favours"] == "arm2").all()
    turned = effect_size(data, measure="MD", orient=True)
    np.testing.assert_allclose(turned["yi"], data["mean2"] - data["mean1"], rtol=1e-15)
    assert (turned["positive_favours"] == "arm1").all()


def test_a_bad_event_favours_arm_2_when_its_ratio_is_above_one():
    effects = effect_size(events(direction=["lower_better"] * 2), measure="RR")
    assert (effects["positive_favours"] == "arm2").all()


@pytest.mark.parametrize("options", [{"measure": "MD"}, {"measure": "ROM"}, {"orient": False}])
def test_both_directions_as_they_are_is_an_error_with_its_remedy(options):
    data = table(direction=["higher_better", "lower_better"])
    with pytest.raises(DataError, match=r"smith2014, hope.*jones2016, depression.*Use orient=True"):
        effect_size(data, **options)
    assert (effect_size(data, **{**options, "orient": True})["positive_favours"] == "arm1").all()


def test_unknown_directions_are_left_out_when_others_are_known():
    data = table(direction=["higher_better", ""], instrument=["QPR", "Odd Scale"])
    effects = effect_size(data)
    assert effects["exclusion_reason"].tolist() == ["", "direction of 'Odd Scale' is unknown"]
    assert np.isnan(effects["yi"][1])


def test_unknown_directions_are_left_alone_when_none_is_known():
    data = table(direction=[None, ""])
    effects = effect_size(data)
    np.testing.assert_allclose(effects["yi"], g_of(data), rtol=1e-15)
    assert (effects["positive_favours"] == "").all()


def test_direction_only_counts_where_there_is_an_effect():
    data = table(direction=["higher_better", ""], n1=[NAN, 55])
    effects = effect_size(data)
    assert effects["exclusion_reason"][1] == ""


def test_no_effect_stays_zero_when_it_is_turned():
    data = table(mean1=[28.0, 13.0], direction=["lower_better"] * 2)
    assert not np.signbit(effect_size(data)["yi"]).any()


def test_av_variance_rests_on_turned_signs():
    straight = table(mean1=[31.0, 13.0], mean2=[28.0, 12.1], direction=["higher_better", "higher_better"])
    turned = table(mean1=[31.0, 12.1], mean2=[28.0, 13.0], direction=["higher_better", "lower_better"])
    a, b = (effect_size(data, variance="AV") for data in (straight, turned))
    np.testing.assert_allclose(a["vi"], b["vi"], rtol=1e-12)
    assert (a["vi"] != effect_size(straight)["vi"]).all()


@given(directions=st.lists(st.sampled_from(["higher_better", "lower_better"]), min_size=2, max_size=2))
def test_turning_a_direction_turns_the_effect(directions):
    opposite = {"higher_better": "lower_better", "lower_better": "higher_better"}
    here = effect_size(table(direction=directions))
    there = effect_size(table(direction=[opposite[d] for d in directions]))
    np.testing.assert_array_equal(here["yi"], -there["yi"])
    np.testing.assert_array_equal(here["vi"], there["vi"])


# Ready-made effects


def test_words_about_the_sign_go_before_the_instrument():
    data = pd.concat(
        [printed(es_type=["SMD (negative favours peer support)"]), printed(), printed(es_type=["SMD"])],
        ignore_index=True,
    ).assign(direction=["higher_better", "lower_better", "higher_better"])
    effects = effect_size(data)
    assert effects["yi"].tolist() == [-0.3, -0.3, 0.3]
    assert (effects["es_source"] == "reported").all()
    assert (effects["variance_formula"] == "").all()


def test_arms_go_before_the_printed_effect_unless_asked():
    data = table(es_type=["SMD", "SMD"], es=[0.9, NAN], es_se=[0.1, NAN])
    assert effect_size(data)["es_source"].tolist() == ["arms", "arms"]
    assert effect_size(data, prefer="reported")["es_source"].tolist() == ["reported", "arms"]
    assert effect_size(data, prefer="reported")["yi"][0] == 0.9


def test_the_review_s_effects_are_used_as_they_are_and_only_when_asked_for():
    data = table(review_yi=[-0.4, NAN], review_sei=[0.2, NAN], direction=["lower_better", "lower_better"])
    assert effect_size(data)["es_source"].tolist() == ["arms", "arms"]
    effects = effect_size(data, prefer="review")
    assert effects["es_source"].tolist() == ["review", "arms"]
    assert effects["yi"][0] == -0.4
    assert effects["vi"][0] == 0.2**2
    assert effects["positive_favours"].tolist() == ["arm1", "arm1"]


def test_a_row_without_direction_is_left_out_beside_the_review_s_effects():
    data = table(review_yi=[-0.4, NAN], review_sei=[0.2, NAN])
    effects = effect_size(data, prefer="review")
    assert effects["exclusion_reason"].tolist() == ["", "direction is unknown"]


def test_an_interval_that_rounding_cannot_explain_is_doubtful_but_used():
    data = printed(es=[0.4], es_se=[NAN], es_ci_low=[0.1], es_ci_high=[0.65], study_id=["odd2001"])
    with pytest.warns(DataWarning, match="cannot be symmetric.*odd2001"):
        effects = effect_size(data)
    assert effects["yi"][0] == 0.4


def test_only_some_doubtful_intervals_are_named():
    data = printed(es=[0.4], es_se=[NAN], es_ci_low=[0.1], es_ci_high=[0.65])
    with pytest.warns(DataWarning, match="row 5; and 3 more rows$"):
        effect_size(pd.concat([data] * 8, ignore_index=True))


@pytest.mark.parametrize(
    "precision",
    [{"vi": [0.04, 0.09]}, {"sei": [0.2, 0.3]}, {"ci_low": [-0.29199, -0.08799], "ci_high": [0.49199, 1.08799]}],
)
def test_generic_effects_are_taken_as_they_stand(precision):
    effects = effect_size(pd.DataFrame({"yi": [0.1, 0.5], **precision}), measure="GEN")
    assert effects["yi"].tolist() == [0.1, 0.5]
    np.testing.assert_allclose(effects["sei"], [0.2, 0.3], rtol=1e-4)


def test_a_generic_effect_without_precision_has_its_reason():
    data = pd.DataFrame({"yi": [0.1, NAN, 0.3], "vi": [0.1, 0.1, NAN]})
    reasons = effect_size(data, measure="GEN")["exclusion_reason"].tolist()
    assert reasons == ["", "yi is missing", "vi is missing, and so are sei and ci_low ci_high"]


# Faults


def test_all_faults_are_listed_at_once_with_file_line_row_and_column():
    data = table(n1=[40, 1], sd1=[-3.2, 5.0], sd2=[0, np.inf], line=[17, 23])
    data["mean2"] = ["28,0", "13"]
    data.attrs["source"] = "trials.csv"
    with pytest.raises(DataError) as error:
        effect_size(data)
    assert str(error.value).splitlines() == [
        "trials.csv has 5 problems",
        "  line 17 (smith2014, hope), sd1: -3.2; a standard deviation must be > 0",
        "  line 17 (smith2014, hope), mean2: '28,0'; a number is needed",
        "  line 17 (smith2014, hope), sd2: 0; a standard deviation must be > 0",
        "  line 23 (jones2016, depression), n1: 1; an arm needs at least 2 participants",
        "  line 23 (jones2016, depression), sd2: inf; a finite number is needed",
        "  see docs/data-dictionary.md",
    ]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (events(events1=[31, 0]), {"measure": "RR"}, "events1: 31; events must not exceed"),
        (events(events2=[-1, 0]), {"measure": "RR"}, "events2: -1; a count of events must not be negative"),
        (events(total2=[31, 0], events2=[9, 0]), {"measure": "RR"}, "total2: 0; an arm needs at least 1"),
        (table(direction=["up", ""]), {}, "direction: 'up'; it must be higher_better"),
        (printed(es_se=[0]), {}, "es_se: 0; a standard error must be > 0"),
        (printed(es_ci_low=[0.5], es_ci_high=[0.1]), {}, "es_ci_low: 0.5; a lower limit must not exceed"),
        (table(review_yi=[1, 1], review_sei=[1, -1]), {"prefer": "review"}, "review_sei: -1; a standard error"),
        (pd.DataFrame({"yi": [1], "vi": [0.0]}), {"measure": "GEN"}, "vi: 0; a sampling variance must be > 0"),
        (pd.DataFrame({"yi": [1], "vi": [1], "sei": [2]}), {"measure": "GEN"}, "vi: 1; it must be the square of sei"),
        (pd.DataFrame({"yi": [1]}), {"measure": "GEN"}, "no column vi, sei, or ci_low and ci_high"),
        (table().drop(columns=["sd2", "n1"]), {}, "no column n1 sd2; SMD needs n1 mean1"),
        (table(), {"measure": "RR"}, "no column events1 total1 events2 total2; RR needs"),
        (table(), {"prefer": "review"}, "no column review_yi review_sei"),
        (table(), {"prefer": "reported"}, "no column es_type es"),
        (pd.concat([table(), table()[["n1"]]], axis=1), {}, "n1: occurs more than once"),
        (
            table().T.groupby(level=0).first().T.set_axis(pd.MultiIndex.from_product([["a"], range(8)]), axis=1),
            {},
            "levels",
        ),
        ([1, 2], {}, "a pandas DataFrame is needed, not list"),
        (None, {}, "a pandas DataFrame is needed, not NoneType"),
    ],
)
def test_impossible_input_says_what_and_what_would_do(data, options, message):
    with pytest.raises(DataError) as error:
        effect_size(data, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "SDM"}, "measure 'SDM' is unknown. Did you mean 'SMD'?"),
        ({"variance": "metaphor"}, "variance 'metaphor' is unknown. Did you mean 'metafor'?"),
        ({"measure": "MD", "variance": "UB"}, "variance 'UB' is unknown"),
        ({"measure": "RR", "variance": "UB"}, "variance has no effect with measure 'RR'; leave it out"),
        ({"prefer": "arm"}, "prefer 'arm' is unknown. Did you mean 'arms'?"),
        ({"measure": "RR", "zero_cells": "some"}, "zero_cells 'some' is unknown"),
        ({"zero_cells": "all"}, "zero_cells has no effect with measure 'SMD' without events_to_smd=True"),
        ({"add": 0.1}, "add has no effect with measure 'SMD'"),
        ({"drop_double_zero": True}, "drop_double_zero has no effect"),
        ({"measure": "RR", "events_to_smd": True}, "events_to_smd has no effect with measure 'RR'"),
        ({"measure": "GEN", "prefer": "review"}, "prefer has no effect with measure 'GEN'"),
        ({"measure": "RR", "add": -1}, "add -1 will not do"),
        ({"measure": "RR", "add": "half"}, "add 'half' will not do"),
        ({"level": 95}, "level 95 will not do"),
        ({"measure": None}, "measure None is unknown"),
        ({"measure": ["SMD"]}, "measure ['SMD'] is unknown"),
    ],
)
def test_a_choice_that_is_unknown_or_idle_is_refused(options, message):
    with pytest.raises(ChoiceError) as error:
        effect_size(table(), **options)
    assert message in str(error.value)


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.sampled_from(["", "1", "0.5", "3,2", "<.001", "OR", "SMD", "higher_better", "nan", "inf", "\u202eabc", "😀"]),
    st.text(max_size=5),
)
names = [*ARMS, *EVENTS, "es_type", "es", "es_se", "es_ci_low", "es_ci_high", "p_value", "review_yi", "review_sei"]


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries({}, optional=dict.fromkeys([*names, "direction", "yi", "vi"], cells)), max_size=4
    ),
    measure=st.sampled_from(sorted(MEASURES)),
    prefer=st.sampled_from(["arms", "review", "reported"]),
)
def test_no_table_breaks_the_door(rows, measure, prefer):
    data = pd.DataFrame(rows, columns=names if not rows else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            effects = effect_size(data, measure=measure, prefer=prefer)
        except MetapeerError:
            return
    usable = effects["exclusion_reason"] == ""
    assert len(effects) == len(data)
    assert (usable == effects["yi"].notna()).all()
    assert (effects.loc[usable, "vi"] > 0).all()


def test_every_measure_has_a_name_a_scale_and_a_null_value():
    for code, measure in MEASURES.items():
        assert measure.code == code
        if measure.has_null:
            assert measure.null == (1.0 if measure.scale == "log" else 0.0)
        else:
            assert np.isnan(measure.null)
    assert find_measure("OR").display(np.log(0.5)) == pytest.approx(0.5)
