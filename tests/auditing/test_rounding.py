"""Printed digits: what agrees with them, and what inputs rounded in print could give."""

import math
from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metapeer.auditing.rounding import Printed, find_inputs, reachable_range, read_printed

NUMBERS = st.floats(-1e6, 1e6)
DIGITS = st.integers(0, 6)


@pytest.mark.parametrize(
    ("text", "value", "decimals", "bound"),
    [
        ("0.10", 0.10, 2, ""),
        ("0.1", 0.1, 1, ""),
        ("-0.00", 0.0, 2, ""),
        ("+3", 3.0, 0, ""),
        (".05", 0.05, 2, ""),
        ("5.", 5.0, 0, ""),
        ("<0.001", 0.001, 3, "<"),
        ("< .05", 0.05, 2, "<"),
        (">0.99", 0.99, 2, ">"),
        ("≤0.05", 0.05, 2, "≤"),
        ("≥ 10", 10.0, 0, "≥"),
        ("=0.04", 0.04, 2, ""),
        (" 0.19 ", 0.19, 2, ""),
        ("\N{MINUS SIGN}0.30", -0.3, 2, ""),
        ("1.2e-9", 1.2e-9, 10, ""),
    ],
)
def test_a_printed_number_keeps_its_digits(text, value, decimals, bound):
    assert read_printed(text) == Printed(text, value, decimals, bound)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "NA",
        "nan",
        "inf",
        "-",
        ".",
        "0,10",
        "1,265",
        "1_000",
        "0.1.2",
        "1e400",
        "1e-9999",
        "<",
        "<<1",
        "٣",
        "5%",
    ],
)
def test_what_is_no_number_is_not_read_as_one(text):
    assert read_printed(text) is None


@given(NUMBERS, DIGITS, st.sampled_from([ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_HALF_DOWN]))
def test_a_number_agrees_with_itself_rounded_however_ties_are_broken(number, digits, rounding):
    text = str(Decimal(repr(number)).quantize(Decimal(1).scaleb(-digits), rounding=rounding))
    assert read_printed(text).agrees(number)


@given(NUMBERS, DIGITS, st.integers(1, 1000), st.booleans())
def test_a_number_disagrees_with_any_other_digits(number, digits, units, up):
    text = str(Decimal(repr(number)).quantize(Decimal(1).scaleb(-digits)))
    other = Decimal(text) + (units if up else -units) * Decimal(1).scaleb(-digits)
    assume(abs(abs(Decimal(repr(number)) - other) - Decimal(5).scaleb(-digits - 1)) > Decimal("1e-9"))
    assert not read_printed(f"{other:f}").agrees(number)


@pytest.mark.parametrize(
    ("text", "computed", "agrees"),
    [
        ("0.12", 0.125, True),
        ("0.13", 0.125, True),
        ("0.12", 0.1250001, False),
        ("0.29", 0.285, True),
        ("0.28", 0.285, True),
        ("-0.00", 0.004, True),
        ("0.00", -0.004, True),
        ("-0.00", -0.006, False),
        ("10", 10.5, True),
        ("10", 10.51, False),
        ("<0.001", 0.0009, True),
        ("<0.001", 0.001, False),
        ("≤0.001", 0.001, True),
        (">0.99", 0.99, False),
        ("≥0.99", 0.99, True),
        ("0.1", 0.14, True),
        ("0.10", 0.14, False),
        ("0.5", math.nan, False),
        ("<0.5", math.nan, False),
        ("0.5", math.inf, False),
    ],
)
def test_ties_minus_zero_and_bounds_are_judged_as_print_would(text, computed, agrees):
    assert read_printed(text).agrees(computed) is agrees


@given(NUMBERS, DIGITS)
def test_limits_hold_the_number_and_are_a_step_apart(number, digits):
    printed = read_printed(f"{number:.{digits}f}")
    low, high = printed.limits
    assert low <= printed.value <= high
    assert high - low == pytest.approx(10.0**-digits, abs=1e-9)
    assert printed.agrees(low)
    assert printed.agrees(high)


MEANS = st.lists(st.floats(1, 50), min_size=2, max_size=6)


def outputs(inputs):
    """Two smooth outputs that pull in different ways, one of them bent."""
    return np.array([inputs.mean(), np.log(inputs[0])])


@settings(deadline=None)  # the first run imports the linear programme
@given(MEANS, st.integers(0, 2), st.integers(1, 4))
def test_what_true_inputs_give_is_found_again_from_their_rounded_print(truth, coarse, fine):
    truth = np.array(truth)
    half_steps = np.full(truth.size, 0.5 * 10.0**-coarse)
    goals = [read_printed(f"{value:.{fine}f}") for value in outputs(truth)]
    inputs = np.round(truth, coarse)
    found = find_inputs(outputs, inputs, half_steps, goals)
    assert found is not None
    assert (np.abs(found - inputs) <= half_steps * (1 + 1e-9)).all()
    assert all(goal.agrees(value) for goal, value in zip(goals, outputs(found), strict=True))


@given(MEANS, st.integers(0, 2), st.floats(2, 50), st.booleans())
def test_no_witness_is_made_up_for_a_number_out_of_reach(inputs, coarse, away, up):
    inputs = np.round(np.array(inputs), coarse)
    half_steps = np.full(inputs.size, 0.5 * 10.0**-coarse)
    goal = inputs.mean() + (1 if up else -1) * away * (half_steps[0] + 0.005)
    assert find_inputs(outputs, inputs, half_steps, [read_printed(f"{goal:.2f}"), Printed("-9", -9, 0, "≥")]) is None


@given(MEANS, st.integers(0, 2), st.data())
def test_every_value_that_inputs_can_give_lies_in_the_reachable_range(inputs, coarse, data):
    inputs = np.round(np.array(inputs), coarse)
    half_steps = np.full(inputs.size, 0.5 * 10.0**-coarse)
    low, high = reachable_range(lambda x: x.mean(keepdims=True), inputs, half_steps)
    moves = np.array([data.draw(st.floats(-1, 1)) for _ in inputs])
    assert low[0] - 1e-9 <= (inputs + moves * half_steps).mean() <= high[0] + 1e-9
    assert (low[0], high[0]) == pytest.approx((inputs.mean() - half_steps[0], inputs.mean() + half_steps[0]))


def test_exact_inputs_reach_only_what_they_give():
    inputs, exact = np.array([2.0, 4.0]), np.zeros(2)
    low, high = reachable_range(outputs, inputs, exact)
    assert (low == high).all()
    assert find_inputs(outputs, inputs, exact, [read_printed("3.0"), read_printed("0.69")]) is not None
    assert find_inputs(outputs, inputs, exact, [read_printed("3.0"), read_printed("0.70")]) is None


def test_two_outputs_that_cannot_be_had_together_are_out_of_reach_of_rounding():
    inputs, half_steps = np.array([1.0, 3.0]), np.array([0.5, 0.5])

    def both(x):
        return np.array([x[0], 2 * x[0]])

    assert find_inputs(both, inputs, half_steps, [read_printed("1.2"), read_printed("2.4")]) is not None
    assert find_inputs(both, inputs, half_steps, [read_printed("1.2"), read_printed("2.0")]) is None


def test_a_bound_is_met_from_its_own_side():
    inputs, half_steps = np.array([1.0]), np.array([0.5])
    found = find_inputs(lambda x: x, inputs, half_steps, [read_printed("<0.8")])
    assert found is not None
    assert found[0] < 0.8
    assert find_inputs(lambda x: x, inputs, half_steps, [read_printed(">3.5")]) is None


def test_outputs_that_are_no_numbers_have_no_witness():
    assert (
        find_inputs(lambda x: x * np.nan, np.ones(2), np.full(2, 0.5), [read_printed("1"), read_printed("1")]) is None
    )
