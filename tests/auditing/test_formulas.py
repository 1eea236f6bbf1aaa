"""Known formulas: the numbers they give, and when a printed number agrees with one."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.auditing.formulas import (
    EFFECT_FORMULAS,
    SPREAD_FORMULAS,
    agrees,
    correction_of,
    half_units,
    smallest_inputs,
)
from metapeer.auditing.table import decimals_of

CLEAN = Path(__file__).parent / "clean"
ARMS = {"n1": 11.0, "mean1": 17.8, "sd1": 9.9, "n2": 14.0, "mean2": 26.9, "sd2": 11.2}
CELLS = {"events1": 12.0, "total1": 50.0, "events2": 20.0, "total2": 50.0}


def columns(**numbers):
    return {name: np.atleast_1d(np.asarray(value, dtype=float)) for name, value in numbers.items()}


def effect(code, raw):
    return float(EFFECT_FORMULAS[code].compute(raw)[0])


def error(code, raw, d):
    return float(np.sqrt(SPREAD_FORMULAS[code].compute(raw, np.array([d]), 0.0)[0]))


@pytest.mark.parametrize(
    ("code", "expected"),
    [  # of one trial, by the software named: metafor, metafor, meta, RevMan 5, esc, PyMARE
        ("LS", 0.419500),
        ("LS2", 0.406736),
        ("UB", 0.422352),
        ("LS_N394", 0.422533),
        ("LS2_APPROX", 0.406761),
        ("LS2_DF", 0.408217),
    ],
)
def test_the_standard_errors_of_six_programs_come_out(code, expected):
    raw = columns(**ARMS)
    assert error(code, raw, effect("D", raw)) == pytest.approx(expected, abs=6e-7)


def test_effects_of_two_means_follow_their_definitions():
    raw = columns(**ARMS)
    pooled = np.sqrt((10 * 9.9**2 + 13 * 11.2**2) / 23)
    assert effect("MD", raw) == pytest.approx(-9.1)
    assert effect("D", raw) == pytest.approx(-9.1 / pooled)
    assert effect("G_APPROX", raw) == pytest.approx(-9.1 / pooled * (1 - 3 / 91))
    assert effect("GLASS2", raw) == pytest.approx(-9.1 / 11.2)
    assert effect("GLASS1_APPROX", raw) == pytest.approx(-9.1 / 9.9 * (1 - 3 / 39))
    assert effect("SMD_MEANSD", raw) == pytest.approx(-9.1 / 10.55)
    assert effect("ROM", raw) == pytest.approx(np.log(17.8 / 26.9))
    assert effect("D2OR", raw) == pytest.approx(-9.1 / pooled * np.pi / np.sqrt(3))


def test_effects_of_two_counts_follow_their_definitions():
    raw = columns(**CELLS)
    odds = np.log((12 / 38) / (20 / 30))
    assert effect("OR", raw) == pytest.approx(odds)
    assert effect("RR", raw) == pytest.approx(np.log(0.24 / 0.4))
    assert effect("RD", raw) == pytest.approx(-0.16)
    assert effect("RD_PERCENT", raw) == pytest.approx(-16)
    assert effect("OR_HALF", raw) == pytest.approx(np.log((12.5 / 38.5) / (20.5 / 30.5)))
    assert effect("OR2SMD_LOGISTIC", raw) == pytest.approx(odds * np.sqrt(3) / np.pi)
    assert effect("OR2SMD_COX", raw) == pytest.approx(odds / 1.65)
    assert effect("OR2SMD_LOGISTIC_APPROX", raw) == pytest.approx(odds * np.sqrt(3) / np.pi * (1 - 3 / (4 * 98 - 1)))
    assert error("OR2SMD_COX", raw, 0.0) == pytest.approx(np.sqrt(1 / 12 + 1 / 38 + 1 / 20 + 1 / 30) / 1.65)


def test_one_group_measured_twice_needs_as_many_in_both_arms():
    twice = columns(**{**ARMS, "n2": 11.0})
    assert effect("G_WITHIN_APPROX", twice) == pytest.approx(effect("D", twice) * (1 - 3 / 39))
    assert np.isnan(effect("G_WITHIN_APPROX", columns(**ARMS)))


MADE = [
    ("normand1999_SMD", "G_EXACT", "LS"),
    ("gibson2002_SMD_UB_4", "G_EXACT", "UB"),
    ("curtis1998_ROM", "ROM", "ROM"),
    ("bcg_RR", "RR", "RR"),
    ("nielweise2007_OR", "OR", "OR"),
    ("hine1989_RD", "RD", "RD"),
    ("yusuf1985_PETO", "PETO_HALF", "PETO_HALF"),
]


@pytest.mark.parametrize(("name", "code", "spread"), MADE)
def test_effects_and_variances_of_metafor_come_out(name, code, spread):
    text = json.loads((CLEAN / f"{name}.json").read_text(encoding="utf-8"))["columns"]
    shorter = {"n1i": "n1", "m1i": "mean1", "sd1i": "sd1", "n2i": "n2", "m2i": "mean2", "sd2i": "sd2"}
    numbers = {c: [float(x or "nan") for x in cells] for c, cells in text.items() if c != "study"}
    raw = columns(**{shorter.get(name, name): values for name, values in numbers.items()})
    ready = np.isfinite(raw["yi"])
    with np.errstate(all="ignore"):
        yi = EFFECT_FORMULAS[code].compute(raw)
        d = EFFECT_FORMULAS["D"].compute(raw) if "n1" in raw else yi
        vi = SPREAD_FORMULAS[spread].compute(raw, d, 0.0)
    for computed, printed in ((yi, "yi"), (vi, "vi")):
        half = half_units([decimals_of(cell) for cell in text[printed]])
        half = np.where(half < 1e-9, 1e-12, half)  # a 0 that metafor returns as 1e-17
        assert agrees(raw[printed], computed, half)[ready].all()


def test_every_formula_takes_every_possible_row_without_complaint():
    rng = np.random.default_rng(5)
    arms = columns(
        n1=rng.integers(2, 9, 40), mean1=rng.normal(size=40), sd1=rng.uniform(1e-6, 1e6, 40),
        n2=rng.integers(2, 9, 40), mean2=rng.normal(size=40), sd2=rng.uniform(1e-6, 1e6, 40),
    )  # fmt: skip
    totals = rng.integers(1, 9, (2, 40))
    cells = columns(events1=rng.integers(0, totals[0] + 1), total1=totals[0], events2=0 * totals[1], total2=totals[1])
    for formula in EFFECT_FORMULAS.values():
        with np.errstate(all="ignore"):
            assert formula.compute(arms if formula.kind == "means" else cells).shape == (40,), formula.code
    for spread in SPREAD_FORMULAS.values():
        with np.errstate(all="ignore"):
            made = np.asarray(spread.compute(arms if spread.kind == "means" else cells, np.ones(40), 0.1))
        assert made.shape == (40,), spread.code
        assert (made[np.isfinite(made)] >= 0).all(), spread.code


def test_each_formula_turns_its_sign_when_the_arms_are_exchanged():
    one = columns(**{**ARMS, "n2": 11.0})
    other = {name[:-1] + ("2" if name[-1] == "1" else "1"): values for name, values in one.items()}
    cells = columns(**CELLS)
    exchanged = {name[:-1] + ("2" if name[-1] == "1" else "1"): values for name, values in cells.items()}
    mirror = {"GLASS1": "GLASS2", "GLASS2": "GLASS1"}
    for code, formula in EFFECT_FORMULAS.items():
        twin = EFFECT_FORMULAS[mirror.get(code[:6], code[:6]) + code[6:]]
        first, second = (one, other) if formula.kind == "means" else (cells, exchanged)
        assert formula.compute(first)[0] == pytest.approx(-twin.compute(second)[0]), code


@given(value=st.floats(-1e4, 1e4), digits=st.integers(0, 8))
def test_a_number_agrees_with_what_it_was_rounded_from(value, digits):
    written = f"{value:.{digits}f}"
    half = half_units([decimals_of(written)])
    assert agrees(np.array([float(written)]), np.array([value]), half)[0]
    beyond = value + 2.01 * half[0] + 4e-6 * abs(value)
    assert not agrees(np.array([float(written)]), np.array([beyond]), half)[0]


def test_nothing_agrees_with_a_number_that_is_missing_or_infinite():
    half = half_units([2, 2, 2])
    printed, computed = np.array([np.nan, 0.5, 0.5]), np.array([0.5, np.nan, np.inf])
    assert not agrees(printed, computed, half).any()


def test_impossible_raw_numbers_are_left_out():
    cells = columns(events1=[1, 5, -1, np.nan], total1=[4, 4, 4, 4], events2=[1] * 4, total2=[3] * 4)
    assert smallest_inputs("events", cells).tolist() == [True, False, False, False]
    arms = columns(n1=[9, 1, 9], mean1=[1] * 3, sd1=[1, 1, 0], n2=[9] * 3, mean2=[1] * 3, sd2=[1] * 3)
    assert smallest_inputs("means", arms).tolist() == [True, False, False]


def test_no_correction_is_one():
    assert correction_of(columns(**CELLS), None).tolist() == [1.0]
