"""Effects as a source printed them: what kind they are, which sign is good, and their standard error.

Words are recognised, never guessed: a kind of effect that is not in the list below is not pooled, and says so.
"""

import math
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from metapeer.effects.convert import midpoint_can_be_estimate, se_from_interval, se_from_p_value
from metapeer.effects.measures import MEASURES, MeasureCode

__all__ = ["EffectType", "Reading", "read_effect", "read_effect_type", "read_p_value"]

# What a source may call an effect, in lower case: the measure, and whether the number is already a logarithm.
_TYPES: dict[str, tuple[MeasureCode, bool]] = {
    "smd": ("SMD", False),
    "g": ("SMD", False),
    "hedges g": ("SMD", False),
    "hedges' g": ("SMD", False),
    "d": ("SMD", False),
    "cohen d": ("SMD", False),
    "cohen's d": ("SMD", False),
    "md": ("MD", False),
    "mean difference": ("MD", False),
    # Differences of changes estimate the same quantity as differences of final scores in a randomised trial
    # (Cochrane Handbook 6.5, section 10.5.2), in units of the scale; that does not hold for an SMD.
    "md of change": ("MD", False),
    "rom": ("ROM", False),
    "log rom": ("ROM", True),
    "rr": ("RR", False),
    "risk ratio": ("RR", False),
    "log rr": ("RR", True),
    "or": ("OR", False),
    "odds ratio": ("OR", False),
    "log or": ("OR", True),
    "peto or": ("PETO", False),
    "rd": ("RD", False),
    "risk difference": ("RD", False),
    "irr": ("IRR", False),
    "rate ratio": ("IRR", False),
    "incidence rate ratio": ("IRR", False),
    "log irr": ("IRR", True),
    "ird": ("IRD", False),
    "rate difference": ("IRD", False),
    "incidence rate difference": ("IRD", False),
    "hr": ("HR", False),
    "hazard ratio": ("HR", False),
    "log hr": ("HR", True),
}
_HOW = {"model", "adjusted", "metafor escalc"}  # remarks in brackets that leave the kind as it is
_WHO = {
    "peer support": 1,
    "arm 1": 1,
    "arm1": 1,
    "intervention": 1,
    "arm 2": -1,
    "arm2": -1,
    "control": -1,
    "comparison": -1,
}
_TYPE_PATTERN = re.compile(r"([^()]+?)\s*(?:\(([^()]*)\))?")
_SIGN_PATTERN = re.compile(r"(positive|negative) favours (.+)")
_P_PATTERN = re.compile(r"([<>≤≥=]?)\s*(\d*\.?\d+(?:e-?\d+)?)\s*(.*)", re.IGNORECASE)
_TWO_SIDED = {"", "(two-sided)", "(two-tailed)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectType:
    """What the words beside a printed effect say.

    Parameters
    ----------
    measure : str
        Code of the effect measure.
    logarithm : bool
        Whether a ratio is printed as its logarithm.
    sense : int
        +1 if the words say that positive favours arm 1, -1 if arm 2, 0 if they say nothing.
    """

    measure: MeasureCode
    logarithm: bool
    sense: int


@lru_cache(maxsize=1024)
def read_effect_type(text: str) -> EffectType | None:
    """Recognise a kind of effect, or do not.

    Parameters
    ----------
    text : str
        In the source's words, such as ``"SMD (negative favours peer support)"``.

    Returns
    -------
    EffectType or None
        None when the words are not known in full.

    Examples
    --------
    >>> read_effect_type("SMD (negative favours peer support)")
    EffectType(measure='SMD', logarithm=False, sense=-1)
    >>> read_effect_type("b (path model)") is None
    True
    """
    match = _TYPE_PATTERN.fullmatch(" ".join(text.replace("’", "'").casefold().split()))
    if match is None or match[1] not in _TYPES:
        return None
    measure, logarithm = _TYPES[match[1]]
    sense = 0
    for remark in re.split(r"\s*[,;]\s*", match[2] or ""):
        sign = _SIGN_PATTERN.fullmatch(remark)
        if sign and sign[2] in _WHO and (logarithm or MEASURES[measure].scale == "identity"):
            sense = _WHO[sign[2]] * (1 if sign[1] == "positive" else -1)
        elif remark and remark not in _HOW:
            return None
    return EffectType(measure=measure, logarithm=logarithm, sense=sense)


def read_p_value(text: str) -> tuple[float, str]:
    """Read a printed p value that can give a standard error: exact and two-sided.

    Parameters
    ----------
    text : str
        As printed, such as ``"0.0438"``, ``"<.001"`` or ``"0.042 (one-tailed)"``.

    Returns
    -------
    value : float
        The p value; NaN when it cannot be used.
    problem : str
        Why it cannot be used; empty when it can.

    Examples
    --------
    >>> read_p_value(".01")
    (0.01, '')
    >>> read_p_value("<.001")
    (nan, "p_value '<.001' is only a bound")
    """
    match = _P_PATTERN.fullmatch(text.strip())
    if match is None:
        return math.nan, f"p_value {text!r} is not a number"
    sign, digits, remark = match.groups()
    if sign not in {"", "="}:
        return math.nan, f"p_value {text!r} is only a bound"
    if remark.casefold() not in _TWO_SIDED:
        return math.nan, f"p_value {text!r} is not known to be two-sided"
    if not 0 < float(digits) < 1:
        return math.nan, f"p_value {text!r} gives no standard error; it must lie between 0 and 1"
    return float(digits), ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One printed effect, read.

    Parameters
    ----------
    yi, sei : float
        Effect on the measure's scale and its standard error; NaN when not usable.
    sense : int
        +1 or -1 when the words say which sign is good, otherwise 0.
    problem : str
        Why it is not usable; empty when it is.
    asymmetric : bool
        Whether the interval it came from cannot be symmetric about it.
    """

    yi: float = math.nan
    sei: float = math.nan
    sense: int = 0
    problem: str = ""
    asymmetric: bool = False


def read_effect(
    *, measure: MeasureCode, es_type: str, es: float, es_se: float, low: float, high: float, p: str, level: float
) -> Reading:
    """Read one printed effect as a measure, with its standard error from the best that is printed beside it.

    The standard error itself goes before the interval, and the interval before the p value.

    Parameters
    ----------
    measure : str
        Code of the effect measure wanted.
    es_type : str
        Kind of the printed effect, in the source's words.
    es, es_se, low, high : float
        Effect, its standard error and its interval; NaN where not printed.
    p : str
        p value as printed; empty where not printed.
    level : float
        Confidence level of the interval.

    Returns
    -------
    Reading
        With `problem` filled when the effect cannot be used.

    Examples
    --------
    >>> nan = float("nan")
    >>> reading = read_effect(measure="OR", es_type="OR", es=0.66, es_se=nan, low=0.43, high=0.99, p="", level=0.95)
    >>> round(reading.yi, 4), round(reading.sei, 4)
    (-0.4155, 0.2127)
    """
    kind = read_effect_type(es_type)
    if kind is None or kind.measure != measure:
        named = f"es_type {es_type!r}" if es_type else "es without es_type"
        return Reading(problem=f"{named} is not an effect that can be pooled as {measure}")
    log = MEASURES[measure].scale == "log" and not kind.logarithm
    has_interval = not (math.isnan(low) or math.isnan(high))
    if log and (es <= 0 or (has_interval and low <= 0)):
        return Reading(problem=f"es and its interval must be > 0 for the ratio {es_type}")
    # The standard error of a ratio is not that of its logarithm, and sources do not say which they print.
    if has_interval and (log or math.isnan(es_se)):
        return _from_interval(es, low, high, log=log, sense=kind.sense, level=level)
    yi = math.log(es) if log else es
    sei, problem = _from_se_or_p(yi, es_se, p, log=log)
    return Reading(problem=problem) if problem else Reading(yi=yi, sei=sei, sense=kind.sense)


def _from_se_or_p(yi: float, es_se: float, p: str, *, log: bool) -> tuple[float, str]:
    if not math.isnan(es_se) and not log:
        return es_se, ""
    if not p:
        if math.isnan(es_se):
            return math.nan, "es has no standard error; it needs es_se, es_ci_low and es_ci_high, or an exact p_value"
        return math.nan, "es_se is not known to be on the log scale; es needs es_ci_low and es_ci_high"
    value, problem = read_p_value(p)
    if not problem and yi == 0:
        problem = "es shows no effect, so that p_value says nothing about its standard error"
    if problem:
        return math.nan, f"{problem}; es needs es_se, or es_ci_low and es_ci_high"
    return float(se_from_p_value(np.array(yi), np.array(value))), ""


def _from_interval(es: float, low: float, high: float, *, log: bool, sense: int, level: float) -> Reading:
    if not low <= es <= high:
        return Reading(problem=f"es {es:g} lies outside its interval {low:g} to {high:g}")
    if low == high:
        return Reading(problem=f"the interval {low:g} to {high:g} has no width")
    yi, bottom, top = (math.log(x) if log else x for x in (es, low, high))
    half_unit = 0.5 * 10.0 ** -max(_decimals(x) for x in (es, low, high))
    symmetric = midpoint_can_be_estimate(
        np.array(es), np.array(low), np.array(high), half_unit=np.array(half_unit), log=log
    )
    sei = float(se_from_interval(np.array(bottom), np.array(top), level=level))
    return Reading(yi=yi, sei=sei, sense=sense, asymmetric=not bool(symmetric))


def _decimals(value: float) -> int:
    """Count the decimals of a number as Python writes it, which is as it was printed but for final zeros."""
    mantissa, _, exponent = repr(float(value)).partition("e")
    fraction = mantissa.partition(".")[2].rstrip("0")
    return len(fraction) - int(exponent or 0)
