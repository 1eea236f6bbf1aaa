"""Outcome by outcome: each is the meta-analysis of its own rows; what was averaged, adjusted and left out is said."""

import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metapeer as mp
from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.pooling.outcomes import OutcomesResult, pool_outcomes
from metapeer.pooling.outcomes_names import heading_words, outcome_words

NUMBERS = ["k", "trials", "estimate", "se", "ci_low", "ci_high", "pi_low", "pi_high", "tau2", "I2", "Q", "p_value"]


def table(rows, **more):
    """Rows of (study_id, outcome, outcome_class, yi, vi)."""
    frame = pd.DataFrame(rows, columns=["study_id", "outcome", "outcome_class", "yi", "vi"])
    return frame.assign(**more)


def plain():
    """Three outcomes of two classes and one of a single trial, one row for each trial."""
    rng = np.random.default_rng(7)
    sizes = {"hope": ("psychosocial", 6), "symptoms": ("clinical", 4), "recovery": ("psychosocial", 3)}
    rows = [
        (f"trial{i}", name, kind, round(float(rng.normal(0.3, 0.3)), 3), round(float(rng.uniform(0.02, 0.09)), 4))
        for name, (kind, k) in sizes.items()
        for i in range(k)
    ]
    return table([*rows, ("trial9", "admissions", "service_use", -0.2, 0.04)], n1=30, n2=25)


def smit():
    rows = mp.load_dataset("smit2023").rows()
    return mp.effect_size(rows, measure="SMD", variance="metapsy", prefer="review", events_to_smd=True)


def numbers(fit):
    return fit.to_frame()[NUMBERS].astype(float).to_numpy()[0]


def same(one, two, rel=1e-12):
    assert numbers(one) == pytest.approx(numbers(two), rel=rel, abs=1e-14, nan_ok=True)


# --- each outcome is a meta-analysis of its rows


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model": "common"},
        {"tau2_method": "PM", "ci_method": "z", "prediction_method": "HTS", "level": 0.9},
        {"tau2_method": "DL", "ci_method": "HK_se", "tau2_ci_method": "QP"},
    ],
)
def test_every_outcome_is_the_meta_analysis_of_its_own_rows(options):
    data = plain()
    found = pool_outcomes(data, **options)
    assert set(found.outcomes) == {"hope", "symptoms", "recovery", "admissions"}
    for name in found.outcomes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mp.DataWarning)
            same(found[name], mp.meta_analysis(data[data["outcome"] == name], **options), rel=1e-15)


@pytest.mark.parametrize("rho", [0.0, 0.6, 1.0])
def test_several_effects_of_a_trial_are_averaged_before_pooling(rho):
    effects = smit()
    found = pool_outcomes(effects, rho=rho)
    assert sum(found.effects) == 66
    for name, effects_of_it in zip(found.outcomes, found.effects, strict=True):
        rows = effects[effects["outcome"] == name]
        assert len(rows) == effects_of_it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mp.DataWarning)
            same(found[name], mp.meta_analysis(mp.average_within_trial(rows, rho=rho)), rel=1e-9)


def test_with_one_row_for_each_trial_the_outcomes_are_subgroups_with_their_own_tau2():
    data = plain()
    found = pool_outcomes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.DataWarning)
        parts = mp.subgroup_analysis(data, by="outcome", tau2="separate")
    for name in parts.levels:
        same(found[name], parts[name], rel=1e-15)


def test_adjusted_p_values_are_those_of_the_p_values_in_the_table():
    frame = pool_outcomes(plain(), adjust="BH").to_frame()
    assert frame["p_adjusted"].to_numpy() == pytest.approx(mp.adjust_p_values(frame["p_value"], method="BH").adjusted)
    assert set(frame["adjustment"]) == {"Benjamini-Hochberg"}


def test_holm_by_hand():
    found = pool_outcomes(plain(), ci_method="z")
    p = np.array([fit.p_value for fit in found.results])
    order = np.argsort(p)
    steps = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(4, 0, -1)))
    assert np.array(found.adjusted)[order] == pytest.approx(steps)


# --- single trials


def test_a_single_trial_shows_its_own_normal_interval_and_says_so():
    found = pool_outcomes(plain())
    fit = found["admissions"]
    assert fit.ci.low == pytest.approx(-0.2 - 1.959963984540054 * 0.2)
    assert "Admissions (one trial)" in found.names
    assert sum("(one trial)" in name for name in found.names) == 1
    assert "one trial, shown with its own normal interval: Admissions" in found.notes


def test_a_single_trial_is_a_test_unless_only_pooled_outcomes_are_counted():
    everything, pooled = pool_outcomes(plain()), pool_outcomes(plain(), tests="pooled")
    assert everything.adjustment.tests == 4
    assert pooled.adjustment.tests == 3
    where = pooled.outcomes.index("admissions")
    assert math.isnan(pooled.adjusted[where])
    assert not math.isnan(everything.adjusted[where])
    assert pooled.to_frame()["adjustment"].tolist()[where] == ""
    assert any("outcomes of one trial are not among them" in note for note in pooled.notes)
    assert all(a <= b for a, b in zip(pooled.adjusted, everything.adjusted, strict=True) if not math.isnan(a))


def test_a_trial_with_several_rows_is_still_one_trial():
    found = pool_outcomes(table([("a", "hope", "psychosocial", 0.1, 0.04), ("a", "hope", "psychosocial", 0.3, 0.04)]))
    assert found.names == ("Hope (one trial)",)
    assert (found["hope"].k, found.effects) == (1, (2,))
    assert found["hope"].se == pytest.approx(math.sqrt(0.04 * 1.6 / 2))


def test_nothing_is_adjusted_when_told_so():
    found = pool_outcomes(plain(), adjust=None)
    assert found.adjustment is None
    assert found.to_frame()["p_adjusted"].isna().all()
    assert "p (" not in found.summary()
    assert "adjusted" not in found.summary()


def test_an_outcome_whose_effects_are_all_the_same_has_no_p_value_and_is_not_counted():
    rows = [(f"t{i}", "hope", "psychosocial", 0.2, 0.04) for i in range(3)]
    rows += [(f"t{i}", "recovery", "psychosocial", 0.1 * i, 0.04) for i in range(3)]
    found = pool_outcomes(table(rows))
    assert math.isnan(found["hope"].p_value)
    assert found.adjustment.tests == 1
    assert "no p value, and not counted: Hope" in found.notes


# --- what is said


def test_the_notes_count_what_was_averaged_and_in_what_it_differed():
    rows = [
        ("a", "hope", "psychosocial", 0.1, 0.04),
        ("a", "hope", "psychosocial", 0.3, 0.04),
        ("a", "hope", "psychosocial", 0.4, 0.04),
        ("b", "hope", "psychosocial", 0.2, 0.05),
        ("a", "recovery", "psychosocial", 0.2, 0.05),
        ("b", "recovery", "psychosocial", 0.2, 0.05),
        ("b", "recovery", "psychosocial", 0.1, 0.05),
    ]
    data = table(rows, instrument=["x", "y", "y", "x", "x", "x", "x"], timepoint_months=[3, 3, 6, 3, 3, 3, 9])
    note = pool_outcomes(data, rho=0.25).notes[1]
    assert "5 averaged within the trial into 2" in note
    assert "correlation of 0.25" in note
    assert note.endswith("they differ in instrument (1), time point (2)")


def test_nothing_is_said_of_averaging_where_nothing_was_averaged():
    found = pool_outcomes(plain())
    assert not any("averaged" in note for note in found.notes)
    assert "effects" not in found.text_tables()[0].header


def test_the_summary_prints_the_numbers_of_each_outcome_in_its_row():
    found = pool_outcomes(plain(), level=0.9)
    (printed,) = found.text_tables()
    assert "90% CI" in printed.header
    assert "90% PI" in printed.header
    rows = {row[0].strip(): row for row in printed.rows}
    for name, fit, adjusted in zip(found.names, found.results, found.adjusted, strict=True):
        row = rows[name]
        assert len(row) == len(printed.header)
        assert row[1:3] == (str(fit.k), f"{fit.participants:,}")
        assert float(row[3]) == pytest.approx(fit.estimate, abs=0.00501)
        assert [float(end) for end in row[4].split(" to ")] == pytest.approx(list(fit.ci), abs=0.00501)
        assert float(row[-1]) == pytest.approx(adjusted, abs=0.000501)
    assert [row[0] for row in printed.rows if not any(row[1:])] == ["Psychosocial", "Clinical", "Service use"]


def test_ratios_are_printed_as_ratios_and_kept_as_logarithms():
    data = plain().assign(measure="RR", positive_favours="arm2")
    found = pool_outcomes(data)
    assert found["hope"].estimate == pytest.approx(pool_outcomes(plain())["hope"].estimate)
    row = next(row for row in found.text_tables()[0].rows if row[0].strip() == "Hope")
    assert float(row[3]) == pytest.approx(math.exp(found["hope"].estimate), abs=0.00501)
    assert "risk ratio; above 1 favours the comparison" in found.summary()


def test_participants_with_a_plus_where_some_trials_do_not_tell():
    data = plain()
    data.loc[0, ["n1", "n2"]] = np.nan
    found = pool_outcomes(data)
    row = next(row for row in found.text_tables()[0].rows if row[0].strip() == "Hope")
    assert row[2] == "275+"
    assert "some trials do not tell how many" in found.summary()
    assert "some trials do not tell how many" not in pool_outcomes(plain()).summary()


def test_a_title_counts_a_trial_once_however_many_outcomes_it_has():
    found = pool_outcomes(plain())
    assert found.summary().startswith("Random-effects meta-analyses of 4 outcomes: 14 effects from 7 trials")
    assert any(note.startswith("4 of 7 trials stand under several outcomes") for note in found.notes)


def test_a_measure_without_a_value_of_no_effect_is_not_tested():
    data = plain().assign(measure="PLO", yi=-1.0)
    data["yi"] += 0.1 * np.arange(len(data))
    found = pool_outcomes(data)
    assert found.adjustment.tests == 0
    assert np.isnan(found.adjusted).all()
    with pytest.raises(MetapeerError, match="PLO has no value that means no effect"):
        found.plot()


# --- order and headings


def test_classes_stand_in_one_order_and_the_outcome_of_most_trials_first():
    data = plain().sort_values("yi", ignore_index=True)
    found = pool_outcomes(data)
    assert found.outcomes == ("hope", "recovery", "symptoms", "admissions")
    assert found.groups == ("psychosocial", "psychosocial", "clinical", "service_use")


def test_outcomes_stand_as_given_or_as_categories_say():
    data = plain()
    backwards = data.iloc[::-1].reset_index(drop=True)
    assert pool_outcomes(backwards, order="given").outcomes == ("recovery", "hope", "symptoms", "admissions")
    assert pool_outcomes(backwards, order="given", group=None).outcomes == (
        "admissions",
        "recovery",
        "symptoms",
        "hope",
    )
    wanted = ["symptoms", "admissions", "none of these", "hope", "recovery"]
    data["outcome"] = pd.Categorical(data["outcome"], categories=wanted)
    found = pool_outcomes(data, order="given", group=None)
    assert found.outcomes == ("symptoms", "admissions", "hope", "recovery")


def test_any_column_can_part_the_rows_and_several_can_be_crossed():
    effects = smit()
    by_instrument = pool_outcomes(effects, by="instrument", group="outcome_class")
    assert len(by_instrument.outcomes) == effects["instrument"].nunique()
    crossed = pool_outcomes(effects, by=["outcome", "format"])
    rows = effects[(effects["outcome"] == "recovery") & (effects["format"] == "group")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.DataWarning)
        same(crossed["recovery / group"], mp.meta_analysis(rows))
    assert "Recovery, group" in crossed.names
    by_class = pool_outcomes(effects, by="outcome_class")
    assert by_class.group == ""
    assert by_class.names == ("Psychosocial", "Clinical")


def test_an_outcome_is_called_in_words_once_and_for_all():
    codes = ["quality_of_life", "other:self_esteem", "self_efficacy", "depression_anxiety", "MHCS", "hope / one_to_one"]
    assert [outcome_words(code) for code in codes] == [
        "Quality of life",
        "Self-esteem (other)",
        "Self-efficacy",
        "Depression or anxiety",
        "MHCS",
        "Hope, one-to-one",
    ]
    assert heading_words("", "outcome_class") == "No outcome class given"
    for strange in ("other:", "_", "other:_", " / "):
        assert outcome_words(strange).strip()


def test_outcomes_without_a_class_stand_under_a_heading_that_says_so():
    data = plain()
    data.loc[data["outcome"] == "hope", "outcome_class"] = None
    found = pool_outcomes(data)
    assert found.outcomes[-1] == "hope"
    assert found.headings[-1] == "No outcome class given"


# --- properties

EFFECTS = st.lists(
    st.tuples(
        st.sampled_from(["t1", "t2", "t3", "t4"]),
        st.sampled_from(["hope", "recovery", "symptoms"]),
        st.floats(-2, 2),
        st.floats(0.01, 1),
    ),
    min_size=2,
    max_size=14,
)


def made(rows):
    return pd.DataFrame(rows, columns=["study_id", "outcome", "yi", "vi"])


@pytest.mark.slow
@settings(max_examples=3)
@given(EFFECTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, two = (pool_outcomes(made(each), group=None, tau2_method="DL") for each in (rows, shuffled))
    assert set(one.outcomes) == set(two.outcomes)
    for name in one.outcomes:
        a, b = one[name], two[name]
        assert (a.k, a.trials) == (b.k, b.trials)
        assert (a.estimate, a.ci.low, a.ci.high, a.tau2) == pytest.approx(
            (b.estimate, b.ci.low, b.ci.high, b.tau2), rel=1e-6, abs=1e-6, nan_ok=True
        )


@pytest.mark.slow
@settings(max_examples=12)
@given(EFFECTS, st.integers(1, 3))
def test_another_outcome_leaves_the_others_as_they_are_and_lowers_no_adjusted_p(rows, k):
    more = [(f"t{i}", "loneliness", 0.1 * i, 0.1) for i in range(k)]
    before, after = (pool_outcomes(made(each), group=None, tau2_method="DL") for each in (rows, [*rows, *more]))
    assert set(after.outcomes) == {*before.outcomes, "loneliness"}
    for name, adjusted in zip(before.outcomes, before.adjusted, strict=True):
        assert numbers(after[name]).tolist() == pytest.approx(numbers(before[name]).tolist(), rel=0, abs=0, nan_ok=True)
        again = after.adjusted[after.outcomes.index(name)]
        assert again >= adjusted * (1 - 1e-12) or (math.isnan(again) and math.isnan(adjusted))


# --- what cannot be pooled


def test_excluded_rows_take_no_part_and_are_listed():
    data = plain().assign(exclusion_reason="")
    data.loc[0, "exclusion_reason"] = "sd1 is missing"
    data.loc[data["outcome"] == "recovery", "exclusion_reason"] = "direction is unknown"
    data.loc[[0, 10, 11, 12], ["yi", "vi"]] = np.nan
    found = pool_outcomes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.DataWarning)
        same(found["hope"], mp.meta_analysis(data[data["outcome"] == "hope"]))
    assert found.empty == ("recovery",)
    assert [reason for _, reason in found.excluded] == ["sd1 is missing", *["direction is unknown"] * 3]
    assert "no effect that can be pooled: Recovery" in found.notes
    assert "4 rows not pooled:" in found.summary()
    with pytest.raises(MetapeerError, match="outcome 'recovery' has no effect that can be pooled"):
        found["recovery"]
    with pytest.raises(ChoiceError, match="Did you mean 'hope'"):
        found["hop"]


def test_a_reason_of_blanks_is_a_reason_as_for_meta_analysis():
    data = plain().assign(exclusion_reason=["", " ", None, *[""] * 11])
    found = pool_outcomes(data)
    assert found["hope"].k == mp.meta_analysis(data[data["outcome"] == "hope"], ci_method="z").k == 5


def test_rows_without_an_outcome_are_listed_as_excluded():
    data = plain()
    data.loc[3, "outcome"] = np.nan
    data.loc[4, "outcome"] = "  "
    found = pool_outcomes(data)
    assert found["hope"].k == 4
    assert [reason for _, reason in found.excluded] == ["outcome is empty"] * 2


def test_measures_may_differ_between_outcomes_but_not_within():
    data = plain().assign(measure="SMD", positive_favours="arm1")
    data.loc[data["outcome"] == "admissions", ["measure", "positive_favours"]] = ["RR", "arm2"]
    found = pool_outcomes(data)
    assert found["admissions"].measure == "RR"
    words = next(row for row in found.text_tables()[0].rows if "Admissions" in row[0])
    assert "risk ratio; above 1 favours the comparison" in words
    assert "0.82" in words
    data.loc[0, "measure"] = "MD"
    data.loc[6, "positive_favours"] = "arm2"
    with pytest.raises(DataError) as caught:
        pool_outcomes(data)
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [
        ("hope", "measure"),
        ("symptoms", "positive_favours"),
    ]


def test_an_outcome_under_two_headings_is_refused_with_advice():
    with pytest.raises(DataError, match=re.escape("give group=None")) as caught:
        pool_outcomes(smit(), by="format")
    assert {fault.row for fault in caught.value.faults} == {"one_to_one", "group", "mixed"}
    assert len(pool_outcomes(smit(), by="format", group=None).outcomes) == 3


def test_all_missing_columns_are_listed_at_once():
    with pytest.raises(DataError) as caught:
        pool_outcomes(pd.DataFrame({"outcome": ["hope"], "vi": [0.1]}), labels="name")
    told = str(caught.value)
    assert all(word in told for word in ("'study_id'", "'outcome_class'", "group=None", "'name'", "column yi"))


def test_every_bad_number_is_listed_with_its_outcome():
    data = plain()
    data.loc[0, "vi"] = -1.0
    data.loc[7, "yi"] = np.inf
    data.loc[8, "yi"] = np.nan
    with pytest.raises(DataError) as caught:
        pool_outcomes(data)
    assert [fault.row for fault in caught.value.faults] == ["trial0, hope", "trial1, symptoms", "trial2, symptoms"]


def test_rows_without_a_trial_are_refused_instead_of_being_averaged_together():
    data = plain()
    data.loc[[0, 1], "study_id"] = None
    with pytest.raises(DataError) as caught:
        pool_outcomes(data)
    assert [fault.column for fault in caught.value.faults] == ["study_id", "study_id"]


@pytest.mark.parametrize("empty", [plain().iloc[:0], plain().assign(exclusion_reason="no sd")])
def test_a_table_without_a_usable_row_is_refused(empty):
    with pytest.raises(DataError, match=r"no effect can be pooled: the table has (1|14) problem"):
        pool_outcomes(empty)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rho": 1.1}, "rho 1.1 is not a correlation"),
        ({"rho": -0.1}, "rho -0.1 is not a correlation"),
        ({"rho": float("nan")}, "rho nan is not a correlation"),
        ({"rho": "0.5"}, "rho '0.5' is not a correlation"),
        ({"rho": None}, "rho None is not a correlation"),
        ({"adjust": "holmes"}, "Did you mean 'holm'"),
        ({"adjust": 5}, "adjust 5 is unknown"),
        ({"tests": "some"}, "tests 'some' is unknown"),
        ({"order": "p"}, "order 'p' is unknown"),
        ({"by": []}, "by must be the name of a column"),
        ({"by": 5}, "by must be the name of a column"),
        ({"by": "scale"}, "there is no column 'scale' to tell outcomes apart by"),
        ({"group": "kind"}, "group=None leaves headings out"),
        ({"group": ["outcome_class"]}, "group must be the name of a column"),
        ({"labels": ["a", "b"]}, "labels must be the name of a column"),
        ({"measure": "SDM"}, "Did you mean 'SMD'"),
        ({"tau2_method": "RELM"}, "Did you mean 'REML'"),
        ({"level": 95}, "level"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_words(options, message):
    with pytest.raises(MetapeerError, match=re.escape(message)):
        pool_outcomes(plain(), **options)


@pytest.mark.parametrize("data", [None, [1, 2], {"yi": [1]}])
def test_what_is_no_table_is_refused(data):
    with pytest.raises(MetapeerError, match="not a DataFrame"):
        pool_outcomes(data)


def test_a_column_that_occurs_twice_is_refused():
    data = plain()
    data.insert(0, "outcome", "hope", allow_duplicates=True)
    with pytest.raises(DataError, match="column 'outcome' occurs more than once"):
        pool_outcomes(data)


def test_the_table_given_is_left_as_it_was():
    data = plain()
    before = data.copy(deep=True)
    found = pool_outcomes(data)
    pd.testing.assert_frame_equal(data, before)
    assert isinstance(found, OutcomesResult)
    with pytest.raises(AttributeError):
        found.outcomes = ()
