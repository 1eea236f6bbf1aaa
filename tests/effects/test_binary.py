"""Effects of event counts: what must hold whatever the counts, and the rules for zero cells."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metapeer.effects.binary import (
    TACC,
    arcsine_difference,
    double_zero,
    fill_zero_cells,
    log_odds_ratio,
    log_risk_ratio,
    peto_log_odds_ratio,
    risk_difference,
)
from metapeer.errors import ChoiceError

MEASURES = [log_risk_ratio, log_odds_ratio, risk_difference, arcsine_difference, peto_log_odds_ratio]


def column(*values):
    return np.array(values, dtype=float)


cells = st.tuples(*[st.integers(1, 10**5)] * 4).map(lambda counts: tuple(column(n) for n in counts))
tables = st.lists(
    st.tuples(st.integers(0, 30), st.integers(30, 60), st.integers(0, 30), st.integers(30, 60)), min_size=1, max_size=6
).map(lambda rows: [column(*values) for values in zip(*rows, strict=True)])


@given(cells=cells)
@pytest.mark.parametrize("compute", MEASURES)
def test_swapping_arms_turns_the_sign_and_keeps_the_variance(compute, cells):
    a, b, c, d = cells
    yi, vi = compute(a, b, c, d)
    turned, same = compute(c, d, a, b)
    np.testing.assert_allclose(turned, -yi, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(same, vi, rtol=1e-12)
    assert (vi > 0).all()


@given(cells=cells)
@pytest.mark.parametrize("compute", [log_odds_ratio, risk_difference, arcsine_difference, peto_log_odds_ratio])
def test_counting_the_complement_turns_the_sign(compute, cells):
    a, b, c, d = cells
    yi, vi = compute(a, b, c, d)
    turned, same = compute(b, a, d, c)
    np.testing.assert_allclose(turned, -yi, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(same, vi, rtol=1e-12)


def test_a_risk_ratio_is_not_turned_by_counting_the_complement():
    events, _ = log_risk_ratio(*map(column, (10, 90, 20, 80)))
    others, _ = log_risk_ratio(*map(column, (90, 10, 80, 20)))
    assert np.exp(events)[0] == pytest.approx(0.5)
    assert np.exp(others)[0] == pytest.approx(1.125)


@given(table=tables, rule=st.sampled_from(["only0", "if0all", "none"]), add=st.sampled_from([0.1, 0.5, TACC]))
def test_rules_for_zero_cells_do_nothing_where_there_are_none(table, rule, add):
    events1, total1, events2, total2 = table
    assume(all((x > 0).all() for x in (events1, total1 - events1, events2, total2 - events2)))
    filled = fill_zero_cells(*table, zero_cells=rule, add=add)
    for cell, expected in zip(filled, (events1, total1 - events1, events2, total2 - events2), strict=True):
        np.testing.assert_array_equal(cell, expected)


@given(table=tables)
def test_only0_adds_to_tables_with_a_zero_cell_alone(table):
    events1, total1, events2, total2 = table
    zero = (events1 == 0) | (events2 == 0) | (events1 == total1) | (events2 == total2)
    a, b, c, d = fill_zero_cells(*table)
    np.testing.assert_array_equal(a - events1, np.where(zero, 0.5, 0))
    np.testing.assert_array_equal(a + b - total1, np.where(zero, 1, 0))
    np.testing.assert_array_equal(c + d - total2, np.where(zero, 1, 0))


def test_if0all_adds_to_all_tables_because_of_one():
    a, *_ = fill_zero_cells(column(0, 5), column(9, 9), column(3, 4), column(9, 9), zero_cells="if0all")
    assert a.tolist() == [0.5, 5.5]


def test_treatment_arm_correction_shares_one_between_the_arms_by_size():
    a, b, c, d = fill_zero_cells(column(0), column(30), column(4), column(10), add=TACC)
    assert [a[0], b[0], c[0], d[0]] == [0.75, 30.75, 4.25, 6.25]


def test_double_zero_tables_are_those_without_contrast():
    tell = double_zero(column(0, 5, 0, 5), column(5, 5, 5, 5), column(0, 7, 1, 0), column(7, 7, 7, 7))
    assert tell.tolist() == [True, True, False, False]


def test_a_rule_for_zero_cells_must_be_known():
    with pytest.raises(ChoiceError, match=r"zero_cells 'only' is unknown\. Did you mean 'only0'"):
        fill_zero_cells(column(0), column(5), column(1), column(5), zero_cells="only")


@given(n=st.integers(10, 10**6), p=st.floats(0.2, 0.8))
def test_peto_agrees_with_the_odds_ratio_when_there_is_little_to_see(n, p):
    a = column(round(n * p))
    c = a + 1
    one_step, _ = peto_log_odds_ratio(a, n - a, c, n - c)
    full, _ = log_odds_ratio(a, n - a, c, n - c)
    np.testing.assert_allclose(one_step, full, rtol=0.2)
