"""Ready-made effects: what words, intervals and p values are taken for, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.effects.convert import (
    log_odds_ratio_to_smd,
    midpoint_can_be_estimate,
    se_from_interval,
    se_from_p_value,
)
from metapeer.effects.reported import read_effect, read_effect_type, read_p_value

NAN = math.nan


def read(**printed):
    empty = {"es_type": "MD", "es": 1.0, "es_se": NAN, "low": NAN, "high": NAN, "p": "", "level": 0.95}
    return read_effect(**{"measure": "MD", **empty, **printed})


@pytest.mark.parametrize(
    ("text", "measure", "logarithm", "sense"),
    [
        ("SMD", "SMD", False, 0),
        ("Hedges’  g", "SMD", False, 0),
        ("SMD (negative favours peer support)", "SMD", False, -1),
        ("d (positive favours peer support)", "SMD", False, 1),
        ("SMD (metafor escalc)", "SMD", False, 0),
        ("SMD (negative favours control; adjusted)", "SMD", False, 1),
        ("MD (model)", "MD", False, 0),
        ("MD of change", "MD", False, 0),
        ("OR", "OR", False, 0),
        ("log RR (positive favours peer support)", "RR", True, 1),
    ],
)
def test_known_words_are_recognised(text, measure, logarithm, sense):
    kind = read_effect_type(text)
    assert (kind.measure, kind.logarithm, kind.sense) == (measure, logarithm, sense)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b (path model)",
        "d (positive favours HOP)",
        "regression term as printed (study condition x time, original scale units)",
        "percent increase of network size, as described by a reviewer",
        "SMD of change",
        "SMD (probably)",
        "OR (negative favours peer support)",
        "MD)",
        "MD (model) (adjusted)",
    ],
)
def test_other_words_are_not_guessed_at(text):
    assert read_effect_type(text) is None


@given(st.text(max_size=30))
def test_no_words_break_the_recogniser(text):
    kind = read_effect_type(text)
    assert kind is None or kind.measure in {"SMD", "MD", "ROM", "RR", "OR", "RD", "PETO"}
    value, problem = read_p_value(text)
    assert (0 < value < 1) == (problem == "")


@pytest.mark.parametrize(("text", "value"), [("0.0438", 0.0438), (".01", 0.01), ("= .05", 0.05), ("2e-4", 2e-4)])
def test_exact_p_values_are_read(text, value):
    assert read_p_value(text) == (value, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<0.001", "only a bound"),
        ("<.001", "only a bound"),
        (">0.05", "only a bound"),
        ("0.042 (one-tailed)", "not known to be two-sided"),
        ("ns", "not a number"),
        ("0", "must lie between 0 and 1"),
        ("1.0", "must lie between 0 and 1"),
        ("12", "must lie between 0 and 1"),
    ],
)
def test_other_p_values_are_refused_with_the_reason(text, why):
    value, problem = read_p_value(text)
    assert math.isnan(value)
    assert why in problem


def test_the_standard_error_goes_before_the_interval_and_the_interval_before_p():
    printed = {"low": 0.0, "high": 2.0, "p": "0.5"}
    assert read(**printed, es_se=0.3).sei == 0.3
    assert read(**printed).sei == pytest.approx(2 / (2 * 1.959963984540054), rel=1e-14)
    assert read(p="0.5").sei == pytest.approx(1 / 0.6744897501960817, rel=1e-14)


def test_the_level_of_the_interval_counts():
    assert read(low=0.0, high=2.0, level=0.9).sei == pytest.approx(1 / 1.6448536269514722, rel=1e-14)


def test_a_reported_odds_ratio_becomes_its_logarithm():
    reading = read(measure="OR", es_type="OR", es=0.66, low=0.43, high=0.99, p="0.0438")
    assert reading.yi == math.log(0.66)
    assert reading.sei == pytest.approx(math.log(0.99 / 0.43) / (2 * 1.959963984540054), rel=1e-14)
    assert not reading.asymmetric


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        ({"es_type": "OR"}, "es_type 'OR' is not an effect that can be pooled as MD"),
        ({"es_type": ""}, "es without es_type"),
        ({}, "es has no standard error"),
        ({"low": 1.2, "high": 2.0}, "es 1 lies outside its interval 1.2 to 2"),
        ({"low": 1.0, "high": 1.0}, "has no width"),
        ({"low": 0.5}, "es has no standard error"),
        ({"p": "<.001"}, "only a bound"),
        ({"es": 0.0, "p": "0.9"}, "es shows no effect"),
        ({"measure": "RR", "es_type": "RR", "es": -0.2, "low": -0.3, "high": 0.1}, "must be > 0"),
        ({"measure": "RR", "es_type": "RR", "es_se": 0.1}, "not known to be on the log scale"),
    ],
)
def test_what_cannot_be_used_says_why(printed, why):
    reading = read(**printed)
    assert why in reading.problem
    assert math.isnan(reading.yi)


def test_asymmetry_beyond_rounding_is_told():
    assert not read(es=-2.93, low=-5.35, high=-0.52).asymmetric
    assert not read(es=0.4, low=0.15, high=0.65).asymmetric
    assert read(es=0.4, low=0.1, high=0.65).asymmetric
    assert read(measure="RR", es_type="RR", es=2.1, low=1.1, high=3.1).asymmetric
    assert not read(measure="RR", es_type="RR", es=2.1, low=1.1, high=4.0).asymmetric


@given(yi=st.floats(-5, 5), sei=st.floats(0.01, 3), level=st.floats(0.5, 0.99))
def test_an_interval_gives_its_standard_error_back(yi, sei, level):
    z = float(np.sqrt(2)) * _erfinv(level)
    back = se_from_interval(np.array(yi - z * sei), np.array(yi + z * sei), level=level)
    assert float(back) == pytest.approx(sei, rel=1e-9)


@given(z=st.floats(0.01, 8), sei=st.floats(0.01, 3))
def test_a_p_value_gives_its_standard_error_back(z, sei):
    p = math.erfc(z / math.sqrt(2))
    assert float(se_from_p_value(np.array(-z * sei), np.array(p))) == pytest.approx(sei, rel=1e-9)


@given(estimate=st.floats(0.2, 5), ratio=st.floats(1.05, 4), digits=st.integers(1, 4))
def test_rounding_never_makes_a_symmetric_interval_suspicious(estimate, ratio, digits):
    printed = [round(x, digits) for x in (estimate, estimate / ratio, estimate * ratio)]
    if printed[1] > 0:
        arrays = [np.array(x) for x in printed]
        assert midpoint_can_be_estimate(*arrays, half_unit=np.array(0.5 * 10.0**-digits), log=True)


def test_a_log_odds_ratio_shrinks_by_the_logistic_standard_deviation():
    yi, vi = log_odds_ratio_to_smd(np.array([1.0]), np.array([1.0]), correction=0.5)
    assert yi[0] == pytest.approx(0.5 * math.sqrt(3) / math.pi, rel=1e-15)
    assert vi[0] == pytest.approx(0.25 * 3 / math.pi**2, rel=1e-15)


def _erfinv(x):
    from scipy.special import erfinv

    return float(erfinv(x))
