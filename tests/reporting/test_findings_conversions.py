"""Absolute effects, chances and information sizes, against R and against what was printed."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.reporting.findings_conversions import (
    SMD_TO_RISK,
    information_size_of_means,
    information_size_of_risks,
    kraemer_kupfer_nnt,
    probability_of_superiority,
    risk_from_effect,
    risk_from_smd,
    whole_number_needed,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "findings.json").read_text(encoding="utf-8"))
SAME = 1e-9  # the same formulas with other implementations of the normal and logistic distribution
risks = st.floats(0.001, 0.999)
smds = st.floats(-3, 3)


@pytest.mark.parametrize("method", list(SMD_TO_RISK))
def test_numbers_needed_to_treat_from_a_difference_are_those_of_r(method):
    for case in GOLDEN["smd"]:
        found = 1 / (risk_from_smd(case["cer"], case["d"], method) - case["cer"])
        assert found == pytest.approx(case[method], rel=SAME)


def test_chances_without_a_control_risk_are_those_of_r():
    for case in GOLDEN["smd"]:
        assert kraemer_kupfer_nnt(case["d"]) == pytest.approx(case["kraemer_kupfer"], rel=SAME)
        assert probability_of_superiority(case["d"]) == pytest.approx(case["superiority"], rel=SAME)


def test_risks_from_ratios_are_those_of_r():
    for case in GOLDEN["ratios"]:
        for measure in ("RR", "OR", "HR"):
            found = risk_from_effect(case["risk"], math.log(case["ratio"]), measure)
            assert found == pytest.approx(case[measure], rel=SAME)


@pytest.mark.parametrize(
    ("measure", "ratio", "fewer", "nnt"),
    [("RR", 0.92, 24, 42), ("OR", 0.73, 62, 17)],  # Cochrane Handbook 5.1, 12.5.4.2 and 12.5.4.3
)
def test_the_worked_examples_of_the_handbook_come_out_as_printed(measure, ratio, fewer, nnt):
    difference = 0.3 - risk_from_effect(0.3, math.log(ratio), measure)
    assert round(1000 * difference) == fewer
    assert whole_number_needed(difference) == nnt


def test_the_printed_table_of_numbers_needed_to_treat_by_d_comes_out_to_its_decimal():
    # Table 3 of doi 10.2147/CLEP.S357927, after Kraemer & Kupfer (2006).
    printed = dict(zip(range(1, 9), (17.7, 8.9, 6.0, 4.5, 3.6, 3.0, 2.6, 2.3), strict=True))
    assert {tenth: round(kraemer_kupfer_nnt(tenth / 10), 1) for tenth in printed} == printed


def test_information_sizes_agree_with_the_power_of_tests_in_r():
    # R uses the t distribution, and the pooled variance of two proportions: a few people more.
    for case in GOLDEN["means"][1:]:
        assert information_size_of_means(case["delta"]) == pytest.approx(case["total"], rel=0.03)
    for case in GOLDEN["risks"]:
        assert information_size_of_risks(case["p1"], case["p2"]) == pytest.approx(case["total"], rel=0.01)


def test_the_information_size_of_a_small_difference_is_that_of_grade():
    assert information_size_of_means() == 800
    assert GOLDEN["means"][0]["total"] == pytest.approx(800, rel=0.02)


@given(risks, smds)
def test_no_difference_leaves_the_risk_and_a_better_score_raises_it(risk, smd):
    for method in SMD_TO_RISK:
        assert risk_from_smd(risk, 0.0, method) == pytest.approx(risk, rel=1e-12)
        found = risk_from_smd(risk, smd, method)
        assert 0 <= found <= 1
        assert (found - risk) * smd >= -1e-15


@given(risks, st.floats(-4, 4))
def test_a_ratio_for_the_event_and_its_inverse_for_no_event_agree_for_odds(risk, log_ratio):
    one = risk_from_effect(risk, log_ratio, "OR")
    other = risk_from_effect(1 - risk, -log_ratio, "OR")
    assert one + other == pytest.approx(1.0, abs=1e-12)


@given(risks, st.floats(-800, 800))
def test_a_risk_never_leaves_zero_to_one(risk, effect):
    for measure in ("RR", "OR", "HR", "RD", "PETO"):
        assert 0.0 <= risk_from_effect(risk, effect, measure) <= 1.0


@given(st.integers(2, 10_000))
def test_a_number_needed_is_rounded_up_but_not_for_a_rounding_error(number):
    assert whole_number_needed(1 / number) == number
    assert whole_number_needed(-1 / number) == number
    assert whole_number_needed(1 / (number - 0.4)) == number
