"""Printed pooled results against themselves: every kind of slip is named, and rounding is never mistaken for one."""

import dataclasses
import math
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.auditing.published import audit_published
from metapeer.auditing.published_numbers import NUMBERS, read_result
from metapeer.auditing.published_ranges import statistic_range, symmetric_region
from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.formatting import Printable
from metapeer.pooling.heterogeneity import i2_test_based, typical_variance
from metapeer.pooling.intervals import normal_quantile, t_quantile, two_sided_p
from metapeer.records.catalog import dataset_names, load_dataset


def audit(*rows, **options):
    return audit_published(pd.DataFrame(list(rows)).fillna("").astype(str), **options)


def codes(*rows, **options):
    """Findings of a table, the grade before the code."""
    return [(one.severity, one.check) for one in audit(*rows, **options).findings]


def smd(es, low, high, **more):
    return {"es_type": "SMD", "es": es, "ci_low": low, "ci_high": high, **more}


def ratio(es, low, high, **more):
    return {**smd(es, low, high, **more), "es_type": "RR"}


# Interval and test ----------------------------------------------------------------------------------------------------


def test_the_known_faults_of_fang2022_are_found():
    published = load_dataset("other_reviews").published
    found = audit_published(published)
    (row,) = (i for i, name in enumerate(found.names) if name.startswith("fang2022"))
    assert found.verdicts[row] == "inconsistent"
    mine = {one.check: one for one in found.findings if row in one.rows}
    assert mine["z_against_interval"].severity == "error"
    assert "z 9.42" in mine["z_against_interval"].evidence
    assert "I² and p fit Q with 20 df" in mine["df_against_k"].evidence
    (z,) = (one for one in found.comparisons if one.row == row and one.number == "z")
    # -0.39 (-0.54 to -0.24): z is 1.96 × 0.39 / 0.15 = 5.10.
    assert z.low < 1.959964 * 0.39 / 0.15 < z.high
    assert not z.fits


def test_every_bundled_result_but_two_agrees_with_itself():
    accused = {}
    for name in dataset_names():
        found = audit_published(load_dataset(name).published)
        for one in found.findings:
            if one.severity != "remark":
                accused.setdefault(found.names[one.rows[0]], []).append(one.check)
    assert accused == {
        "fang2022: depression_anxiety": ["z_against_interval", "df_against_k"],
        "quality_of_life, equivalence trials": ["p_against_interval"],
    }


def test_the_range_of_z_is_that_of_all_unrounded_estimates_and_limits():
    low, high = statistic_range(symmetric_region((-0.395, -0.385), (-0.545, -0.535), (-0.245, -0.235)))
    rng = np.random.default_rng(1)
    estimate, half = rng.uniform(-0.395, -0.385, 100_000), rng.uniform(0.14, 0.16, 100_000)
    fits = (np.abs(estimate - half + 0.54) <= 0.005) & (np.abs(estimate + half + 0.24) <= 0.005)
    ratios = np.abs(estimate / half)[fits]
    assert low <= ratios.min()
    assert high >= ratios.max()
    assert ratios.min() - low < 0.01
    assert high - ratios.max() < 0.01


@given(
    st.floats(-3, 3),
    st.floats(0.02, 2),
    st.integers(1, 3),
    st.integers(2, 40),
    st.booleans(),
    st.sampled_from(["SMD", "RR"]),
)
def test_what_software_prints_is_never_accused(estimate, se, digits, k, student, measure):
    quantile = t_quantile(0.95, k - 1) if student else normal_quantile(0.95)
    ends = [estimate, estimate - quantile * se, estimate + quantile * se]
    if measure == "RR":
        if max(ends) > 20:
            return
        ends = [math.exp(x) for x in ends]
    p = two_sided_p(estimate / se, k - 1 if student else None)
    shown = [f"{x:.{digits}f}" for x in ends]
    row = dict(zip(("es", "ci_low", "ci_high"), shown, strict=True))
    row |= {"es_type": measure, "k": str(k), "z": f"{abs(estimate / se):.2f}", "p": f"{p:.3f}"}
    assert codes(row) == []
    assert audit(row).verdicts == ("consistent",)


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (smd("0.19", "0.11", "-0.27"), ("error", "limits_reversed")),
        (smd("0.19", "0.27", "0.11"), ("error", "limits_reversed")),
        (smd("0.91", "0.11", "0.27"), ("error", "estimate_outside_interval")),
        (smd("0.19", "-0.11", "0.27"), ("suspicion", "asymmetric_interval")),
        (ratio("-0.37", "-0.71", "-0.04"), ("error", "ratio_not_positive")),
        (ratio("0.69", "-0.71", "-0.04"), ("error", "ratio_not_positive")),
        (smd("0.69", "0.49", "0.96"), ("suspicion", "asymmetric_interval")),
        (smd("0.19", "0.11", "0.27", p="0.03"), ("error", "p_against_interval")),
        (smd("0.19", "0.11", "0.27", p="ns"), ("error", "p_against_interval")),
        (smd("0.19", "0.11", "0.27", significance="no"), ("error", "p_against_interval")),
        (smd("0.19", "0.11", "0.27", z="-4.66"), ("suspicion", "z_sign")),
        (smd("0.19", "0.11", "0.27", z="1.96", p="0.05"), ("error", "interval_against_test")),
        ({"z": "2.50", "p": "0.03"}, ("error", "p_against_z")),
        (smd("0.20", "0.15", "0.25", k="1", n="100"), ("suspicion", "n_against_interval")),
        (smd("0.20", "0.10", "0.30", k="12", n="20"), ("error", "impossible_value")),
        ({"i2": "112"}, ("error", "impossible_value")),
        ({"q": "-1"}, ("error", "impossible_value")),
        ({"tau2": "-0.02"}, ("error", "impossible_value")),
        ({"p": "1.2"}, ("error", "impossible_value")),
        ({"k": "2.5"}, ("error", "impossible_value")),
        ({"p": "about 0.1"}, ("remark", "unreadable")),
        (smd("0.2", "0.10", "0.30"), ("remark", "lost_digits")),
        ({"es_type": "SMD", "es": "0.2", "ci_low": "0.1"}, ("remark", "one_limit")),
        ({"k": "6", "q": "9.65", "q_df": "5", "q_p": "0.90"}, ("error", "q_p_against_q")),
        ({"k": "6", "q": "96.5", "q_df": "5", "q_p": "0.09", "i2": "48"}, ("error", "q_against_i2_and_p")),
        ({"k": "6", "q": "9.65", "i2": "84"}, ("remark", "i2_against_q")),
        ({"k": "6", "q_df": "8"}, ("suspicion", "df_against_k")),
        ({"k": "1", "i2": "48"}, ("suspicion", "heterogeneity_of_one")),
        ({"k": "22", "i2": "10", "i2_ci_low": "44", "i2_ci_high": "0"}, ("error", "limits_reversed")),
        ({"i2": "50", "i2_ci_low": "0", "i2_ci_high": "44"}, ("suspicion", "i2_outside_interval")),
        (
            {"k": "6", "q": "5.50", "i2_ci_low": "30", "i2_ci_high": "60"},
            ("suspicion", "i2_interval"),
        ),
        (
            smd("0.29", "0.12", "0.46", z="3.33", k="6", tau2="0.14"),
            ("suspicion", "tau2_against_interval"),
        ),
        (
            smd("0.29", "0.12", "0.46", z="3.33", k="6", tau2="0.02", pi_low="0.20", pi_high="0.38"),
            ("suspicion", "prediction_interval"),
        ),
        (
            smd("0.29", "0.12", "0.46", direction_note="below 1 favours peer support"),
            ("suspicion", "direction_words"),
        ),
        (
            {
                **smd("0.29", "0.12", "0.46", direction_note="positive favours peers", note="high = poor"),
                "es_type": "MD",
            },
            ("suspicion", "direction_words"),
        ),
    ],
)
def test_a_slip_is_found_and_named_once(row, found):
    assert codes(row) == [found]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (smd("0.19", "0.27", "0.11"), "limits that changed places"),
        (smd("0.19", "-0.11", "0.27"), "the lower limit with a minus sign too many or too few"),
        (smd("-0.19", "0.11", "0.27"), "the estimate with a minus sign too many or too few"),
        (smd("0.91", "0.11", "0.27"), "the estimate with two digits that changed places (0.19)"),
        (smd("1.90", "0.11", "0.27"), "its point in the wrong place"),
        (ratio("0.69", "-0.71", "-0.04"), "a ratio with the limits of its logarithm"),
        (ratio("-0.37", "0.49", "0.97"), "the logarithm of a ratio with the limits of the ratio"),
        (ratio("-0.37", "-0.71", "-0.04"), "logarithms of ratios"),
        (smd("0.69", "0.49", "0.96"), "a ratio with its interval"),
        (ratio("0.69", "0.49", "0.89"), "computed without logarithms"),
        (smd("0.190", "0.123", "0.257", z="4.66"), "a 90% interval"),
        (smd("0.190", "0.149", "0.231", z="4.66"), "estimate ± one standard error"),
        (smd("0.100", "-0.020", "0.220", p="0.051"), "a one-sided p"),
        (smd("0.19", "0.11", "0.27", z="21.7"), "a chi-squared statistic"),
    ],
)
def test_the_likely_slip_is_named(row, words):
    (found,) = audit(row).findings
    assert words in found.message


def test_a_hartung_knapp_interval_is_recognised_from_its_p_value():
    se, k = 0.1, 5
    half = t_quantile(0.95, k - 1) * se
    # t = 3 with 4 df: p = 0.0399; as a normal interval it would be p = 0.034 of another z.
    found = audit(smd("0.300", f"{0.3 - half:.3f}", f"{0.3 + half:.3f}", z="3.00", p="0.0399", k="5"))
    assert found.verdicts == ("consistent",)
    assert found.readings == (("t with 4 df (as Hartung-Knapp has)",),)


def test_a_miss_of_one_unit_is_a_suspicion_and_a_larger_one_an_error():
    # Rounding of estimate and limits leaves z between 4.626 and 4.684.
    assert codes(smd("0.190", "0.110", "0.270", z="4.68")) == []
    assert codes(smd("0.190", "0.110", "0.270", z="4.69")) == [("suspicion", "z_against_interval")]
    assert codes(smd("0.190", "0.110", "0.270", z="4.90", k="99")) == [("error", "z_against_interval")]


def test_without_k_the_degrees_of_freedom_may_be_any():
    # 1.96 standard errors would make z 4.66; t with 22 to 24 degrees of freedom makes it 4.90.
    (found,) = audit(smd("0.190", "0.110", "0.270", z="4.90")).findings
    assert found.severity == "remark"
    assert "t with 2" in found.message


def test_bounds_of_p_count_as_bounds():
    assert codes(smd("0.19", "0.11", "0.27", p="<0.001")) == []
    assert codes(smd("0.19", "0.11", "0.27", p="<0.05")) == []
    assert codes(smd("0.19", "0.11", "0.27", p=">0.05")) == [("error", "p_against_interval")]
    assert codes(smd("0.19", "0.11", "0.27", p="0.000")) == []


def test_numbers_are_read_as_journals_print_them():
    row = smd("\N{MINUS SIGN}0\N{MIDDLE DOT}19", "-0,27", "-0.11", p="P < .001", n="1,265", i2="48%", q="9.65", k="6")
    found = audit(row)
    assert found.findings == ()
    assert {one.number for one in found.comparisons} >= {"es", "p", "i2"}


def test_the_level_of_the_intervals_can_be_told():
    row = smd("0.190", "0.123", "0.257", z="4.66")
    assert codes(row, level=0.90) == []
    assert codes(row)[0][1] == "z_against_interval"


# Heterogeneity --------------------------------------------------------------------------------------------------------

REVIEW = [
    {"review": "a", "outcome": str(i), "k": str(k), "q": str(q), "i2": str(i2)}
    for i, (k, q, i2) in enumerate([(6, 9.65, 48), (6, 8.46, 41), (4, 7.16, 58), (9, 49.37, 84)])
]


def test_i2_that_misses_q_is_suspected_only_where_the_review_takes_it_from_q():
    wrong = {"review": "a", "outcome": "x", "k": "7", "q": "20.25", "i2": "50"}
    assert codes(*REVIEW, wrong) == [("suspicion", "i2_against_q")]
    assert codes(*REVIEW, {**wrong, "review": "b"}) == [("remark", "i2_against_q")]
    assert codes(wrong, i2_from="Q") == [("suspicion", "i2_against_q")]
    assert codes(wrong, i2_from="tau2") == []


def test_without_q_the_limits_of_i2_are_held_against_i2():
    found = audit({"k": "19", "i2": "43", "i2_ci_low": "1", "i2_ci_high": "67"})
    assert found.verdicts == ("consistent",)
    q = 18 / (1 - 0.43)
    expected = i2_test_based(q, 19, 0.95)
    spans = {one.number: (one.low, one.high) for one in found.comparisons}
    assert spans["i2_ci_low"][0] <= expected.low <= spans["i2_ci_low"][1]
    assert spans["i2_ci_high"][0] <= expected.high <= spans["i2_ci_high"][1]


def test_df_that_fits_k_neither_but_q_is_kept_and_df_that_fits_nothing_is_called_mistyped():
    more = {"q": "91.38", "i2": "78", "q_p": "<0.00001"}
    (found,) = audit({"k": "16", "q_df": "20", **more}).findings
    assert "21 effects" in found.message
    (found,) = audit({"k": "6", "q": "9.65", "q_df": "8", "i2": "48", "q_p": "0.09"}).findings
    assert found.check == "df_against_k"
    assert "mistyped for 5" in found.message


def test_the_variance_of_a_mean_bounds_tau2_for_any_trials():
    """1 / sum(1 / (v + tau2)) lies between tau2 / k and s2 + tau2."""
    rng = np.random.default_rng(2)
    for _ in range(300):
        k = int(rng.integers(2, 12))
        v, tau2 = np.exp(rng.normal(-3, 2, k)), math.exp(rng.normal(-3, 2))
        variance = 1.0 / (1.0 / (v + tau2)).sum()
        assert tau2 / k <= variance <= typical_variance(v) + tau2


# Rows against one another, and against trials -------------------------------------------------------------------------


def test_the_same_numbers_under_two_outcomes_are_a_suspicion():
    row = smd("0.29", "0.12", "0.46", n="1254", q="9.65", review="a")
    assert codes({**row, "outcome": "hope"}, {**row, "outcome": "recovery"}) == [("suspicion", "duplicate")]
    other = {**row, "outcome": "recovery", "q": "8.65"}
    assert codes({**row, "outcome": "hope"}, other) == []
    few = smd("0.29", "0.12", "0.46", review="a")
    assert codes({**few, "outcome": "hope"}, {**few, "outcome": "recovery"}) == []


def test_mirrored_copies_contradict_only_where_their_words_do():
    one = smd("0.24", "0.02", "0.46", n="967", q="5.74", review="a", direction_note="positive favours peers")
    two = smd("-0.24", "-0.46", "-0.02", n="967", q="5.74", review="b", direction_note="negative favours peers")
    assert codes(one, two) == [("remark", "duplicate")]
    assert codes(one, {**two, "direction_note": "positive favours peers"}) == [("suspicion", "duplicate")]


def test_an_odds_ratio_lies_further_from_one_than_its_risk_ratio():
    row = {"outcome": "relapse", "review": "a", "k": "1", "ci_low": "", "ci_high": ""}
    odds, risk = {**row, "es_type": "OR", "es": "0.50"}, {**row, "es_type": "RR", "es": "0.70"}
    assert codes(odds, risk) == []
    assert codes({**odds, "es": "0.70"}, {**risk, "es": "0.50"}) == [("suspicion", "odds_and_risks")]
    assert codes(odds, {**risk, "es": "1.40"}) == [("suspicion", "odds_and_risks")]


def test_weights_add_up_and_follow_the_widths():
    rows = [
        smd("0.20", "0.10", "0.30", weight="60", study_id="a"),
        smd("0.30", "0.10", "0.50", weight="40", study_id="b"),
    ]
    assert codes(*rows) == []
    assert codes(rows[0], {**rows[1], "weight": "30"}) == [("suspicion", "weights")]
    swapped = [{**rows[0], "weight": "40"}, {**rows[1], "weight": "60"}]
    assert codes(*swapped) == [("suspicion", "weights")]


def test_k_and_n_are_held_against_the_listed_trials():
    trials = pd.DataFrame(
        {"study_id": ["a", "b"], "n_intervention": ["20", "30"], "n_control": ["20", "31"], "review_membership": "r1"}
    )
    row = smd("0.20", "0.10", "0.30", review="r1", outcome="hope")
    assert codes({**row, "k": "2", "n": "101"}, trials=trials) == []
    assert codes({**row, "k": "3"}, trials=trials) == [("remark", "k_against_trials")]
    assert codes({**row, "k": "2", "n": "102"}, trials=trials) == [("remark", "n_against_trials")]
    outcomes = pd.DataFrame({"study_id": ["a", "b", "b"], "outcome": "hope"})
    assert codes({**row, "k": "2"}, outcomes=outcomes) == []
    assert codes({**row, "k": "1"}, outcomes=outcomes) == [("remark", "k_against_rows")]


def test_one_harmful_result_among_helpful_ones_is_remarked_upon():
    note = {"direction_note": "positive favours peer support", "review": "a"}
    rows = [smd(f"0.{i}0", f"0.{i - 1}1", f"0.{i}9", **note) for i in (2, 3, 4)]
    assert ("remark", "sign_against_direction") in codes(*rows, smd("-0.30", "-0.40", "-0.20", **note))
    assert ("remark", "sign_against_direction") not in codes(*rows)


# The result -----------------------------------------------------------------------------------------------------------


def test_a_row_with_nothing_to_hold_against_anything_cannot_be_checked():
    found = audit(smd("-0.50", "", ""), {"k": "0"}, smd("0.19", "0.11", "0.27"))
    assert found.verdicts == ("cannot be checked", "cannot be checked", "consistent")
    assert found.counts == {"consistent": 1, "inconsistent": 0, "cannot be checked": 2}


def test_the_result_is_one_frame_one_text_and_one_report():
    found = audit(smd("0.19", "0.11", "0.27", z="9.42", published_id="a|b*"), smd("0.19", "0.11", "0.27", p="<0.05"))
    assert isinstance(found, Printable)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.level = 0.9
    frame = found.to_frame()
    assert frame["verdict"].tolist() == list(found.verdicts)
    assert frame["comparisons"].sum() == len(found.comparisons) == len(found.comparisons_frame())
    assert frame["failed"].tolist() == [1, 0]
    assert frame["error"].tolist() == ["z_against_interval", ""]
    report = found.to_markdown()
    assert "a\\|b\\*" in report
    assert "\\<0.05" in report
    table = [line for line in report.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert "does not fit: z 9.42" in str(found)


def test_a_table_without_rows_is_audited_to_nothing():
    found = audit_published(pd.DataFrame({"es": []}, dtype=str))
    assert found.verdicts == ()
    assert "0 printed results" in str(found)
    assert found.to_markdown()
    assert len(found.to_frame()) == 0


def test_digits_that_were_lost_are_asked_for():
    with pytest.raises(
        DataError, match=r"es: holds floats, whose printed digits are lost; read the table with dtype=str"
    ):
        audit_published(pd.DataFrame({"es": [0.10], "k": [3.0]}))
    assert audit_published(pd.DataFrame({"es": ["0.10"], "k": [3.0], "q_df": [2]})).findings == ()


def test_what_is_no_table_or_no_option_is_refused():
    with pytest.raises(MetapeerError, match="not a DataFrame"):
        audit_published([1])
    with pytest.raises(MetapeerError, match="trials is a list"):
        audit_published(pd.DataFrame(), trials=[1])
    with pytest.raises(ChoiceError, match="i2_from"):
        audit_published(pd.DataFrame(), i2_from="q")
    with pytest.raises(MetapeerError, match=r"Did you mean 0\.95"):
        audit_published(pd.DataFrame(), level=95)
    with pytest.raises(DataError, match="stands there twice"):
        audit_published(pd.DataFrame([["1", "2"]], columns=["es", "es"]))


CELLS = st.one_of(
    st.sampled_from(
        [
            "",
            "0",
            "-0.00",
            "0.00",
            "1e300",
            "-1e300",
            "1e-300",
            "<0.05",
            ">9",
            "ns",
            "NA",
            "x",
            "100",
            "-5",
            "0.5",
            "1",
            "20",
        ]
    ),
    st.floats(-1e3, 1e3).map(lambda x: f"{x:.2f}"),
    st.integers(-3, 10**12).map(str),
)
WORDS = st.sampled_from(
    ["SMD", "RR", "OR", "MD", "log RR", "correlation", "prevalence", "b (path)", "", "HR (adjusted)"]
)


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.lists(
        st.fixed_dictionaries(dict.fromkeys((*NUMBERS, "significance"), CELLS) | {"es_type": WORDS}),
        min_size=1,
        max_size=4,
    )
)
def test_absurd_numbers_never_break_the_audit(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = audit_published(pd.DataFrame(rows))
        str(found)
        found.to_markdown()
        found.to_frame()
    assert len(found.verdicts) == len(rows)
    accused = {i for one in found.findings if one.severity != "remark" for i in one.rows}
    assert {i for i, verdict in enumerate(found.verdicts) if verdict == "inconsistent"} == accused


@given(st.fixed_dictionaries(dict.fromkeys(NUMBERS, CELLS)))
def test_turning_every_sign_changes_no_verdict(row):
    row = {**row, "es_type": "SMD", "z": row["z"].lstrip("-")}

    def turn(text):
        return text if text in ("", "ns", "NA", "x") or text[0] in "<>" else text[1:] if text[0] == "-" else f"-{text}"

    turned = {**row, "es": turn(row["es"])}
    for low, high in (("ci_low", "ci_high"), ("pi_low", "pi_high")):
        turned |= {low: turn(row[high]), high: turn(row[low])}
    if any(row[c][:1] in ("<", ">") for c in ("es", "ci_low", "ci_high", "pi_low", "pi_high")):
        return
    assert audit(row).verdicts == audit(turned).verdicts


def test_a_thousand_results_take_no_minutes():
    row = smd("0.29", "0.12", "0.46", z="3.33", p="0.0009", k="6", n="1254", q="9.65", q_df="5", i2="48", tau2="0.02")
    begun = time.perf_counter()
    audit(*[{**row, "review": "a", "outcome": str(i)} for i in range(1000)])
    assert time.perf_counter() - begun < 20


def test_unknown_words_for_an_effect_leave_both_scales_open():
    assert read_result(0, "a", {"es_type": "b (path model)"}).scales == ("identity", "log")
    assert codes({**smd("0.69", "0.49", "0.96"), "es_type": "effect"}) == []
    assert codes({**smd("0.69", "0.49", "0.89"), "es_type": "effect"}) == []
