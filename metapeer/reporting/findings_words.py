"""What a summary of findings says of an outcome, in words: the one place that decides how its numbers read."""

import math
from collections.abc import Sequence

from metapeer.formatting import format_interval, format_level, format_number
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.reporting.findings_risks import AbsoluteEffect
from metapeer.reporting.findings_units import NaturalUnits

__all__ = [
    "Arms",
    "absolute_words",
    "difference_words",
    "effect_words",
    "interpretation_words",
    "magnitude_words",
    "number_needed_words",
    "people",
    "prediction_sentence",
    "superiority_words",
    "units_words",
]

Arms = tuple[str, str]
COHEN = ((0.8, "large"), (0.5, "medium"), (0.2, "small"))
MANY = 1_000_000


def people(share: float) -> str:
    """Write a share as people in 1,000, with decimals only where there are few.

    Parameters
    ----------
    share : float
        Not negative.

    Returns
    -------
    str
        Such as ``"62"``, ``"3.4"``, ``"0.05"`` or ``"1,000"``.

    Examples
    --------
    >>> people(0.0616), people(0.0034), people(0.00005), people(1.0)
    ('62', '3.4', '0.05', '1,000')
    """
    number = 1000.0 * share
    if number >= 9.95 or number < 1e-9:
        return f"{number:,.0f}"
    if number >= 0.095:
        return f"{number:.1f}"
    return f"{number:.2g}" if number >= 1e-4 else "under 0.0001"


def _interval(fit: MetaAnalysisResult, words: str) -> str:
    return f"({format_level(fit.level)} CI {words})"


def effect_words(fit: MetaAnalysisResult) -> str:
    """Write the pooled effect with its interval, on the scale a reader expects.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The outcome.

    Returns
    -------
    str
        Such as ``"SMD 0.21 (95% CI 0.12 to 0.29)"``.
    """
    display = measure_of(fit.measure).display
    low, high = sorted((display(fit.ci.low), display(fit.ci.high)))
    name = "HR" if fit.measure == "HR" else "OR (Peto)" if fit.measure == "PETO" else fit.measure or "Effect"
    return f"{name} {format_number(display(fit.estimate))} {_interval(fit, format_interval(low, high))}"


def prediction_sentence(fit: MetaAnalysisResult) -> str:
    """Say what the prediction interval means.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The outcome.

    Returns
    -------
    str
        One sentence; empty where there is none.
    """
    if fit.prediction_interval is None:
        return ""
    display = measure_of(fit.measure).display
    low, high = sorted((display(fit.prediction_interval.low), display(fit.prediction_interval.high)))
    level = format_level(fit.prediction_interval.level)
    name = f"{fit.measure} " if fit.measure else ""
    return (
        f"In a new setting the effect would lie between {name}{format_number(low)} and {format_number(high)} "
        f"({level} prediction interval)."
    )


def _whole(number: float) -> str:
    if math.isinf(number):
        return "infinity"
    return f"{abs(number):,.0f}" if abs(number) < MANY else f"more than {MANY:,}"


def number_needed_words(nnt: tuple[float, float, float], good: int) -> str:
    """Write a number needed to treat with its interval, through infinity where benefit and harm are both possible.

    Parameters
    ----------
    nnt : tuple of (float, float, float)
        Whole and signed, negative for harm: at the estimate, and at the lower and upper end of the difference.
    good : int
        1 if the upper end is the better one, -1 if the lower one is, 0 if that is not known.

    Returns
    -------
    str
        Such as ``"NNTB 13 (8 to 45)"``.

    References
    ----------
    Altman (1998), BMJ 317:1309-1312.
    """
    plus, minus = ("NNTB", "NNTH") if good else ("one more for every", "one fewer for every")

    def named(number: float) -> str:
        if math.isinf(number):
            return "infinity"
        return f"{plus if number > 0 else minus} {_whole(number)}"

    point, low, high = nnt
    best, worst = (high, low) if (good or 1) > 0 else (low, high)
    if math.isinf(point) and math.isinf(best) and math.isinf(worst):
        return "no number needed to treat"
    if (best > 0) == (worst > 0) or math.isinf(best) or math.isinf(worst):
        # One side only; the smaller number first.
        first, second = sorted((best, worst), key=abs)
        span = f"{_whole(first)} to {_whole(second)}"
        if not math.isinf(point) and (first > 0) != (point > 0):
            span = f"{named(first)} to {_whole(second)}"
    else:
        span = f"{named(best)} to infinity to {named(worst)}"
    return f"{named(point)} ({span})"


def difference_words(difference: tuple[float, float, float]) -> str:
    """Write a difference of risks with its interval.

    Parameters
    ----------
    difference : tuple of (float, float, float)
        Estimate and ends, low first, as shares.

    Returns
    -------
    str
        Of 1,000 people.

    Examples
    --------
    >>> difference_words((-0.062, -0.1, -0.02)), difference_words((0.02, -0.01, 0.05))
    ('62 fewer (20 to 100 fewer)', '20 more (10 fewer to 50 more)')
    """
    point, low, high = difference
    if low >= 0 or high <= 0:
        small, large = sorted((abs(low), abs(high)))
        span = f"{people(small)} to {people(large)} {'more' if high > 0 else 'fewer'}"
    else:
        span = f"{people(-low)} fewer to {people(high)} more"
    many = people(abs(point))
    return f"{'no difference' if many == '0' else f'{many} more' if point > 0 else f'{many} fewer'} ({span})"


def absolute_words(effect: AbsoluteEffect, arms: Arms, level: float) -> str:
    """Write an absolute effect: the risks, the difference and the number needed to treat.

    Parameters
    ----------
    effect : AbsoluteEffect
        What the effect comes to.
    arms : tuple of (str, str)
        Names of the intervention and the comparison.
    level : float
        Of the interval.

    Returns
    -------
    str
        One line, for 1,000 people.
    """
    noun = "response" if effect.responders else "risk"
    name = f"{effect.control.name.capitalize()} {noun}"
    return (
        f"{name}, {people(effect.control.value)} per 1,000 with {arms[1]}: {people(effect.risk)} "
        f"({format_level(level)} CI {people(effect.low)} to {people(effect.high)}) with {arms[0]}, "
        f"{difference_words(effect.difference)}; {number_needed_words(effect.nnt, effect.good)}"
    )


def superiority_words(
    chance: tuple[float, float, float], nnt: tuple[float, float, float], arms: Arms, level: float
) -> tuple[str, str]:
    """Write the probability of superiority, and the number needed to treat that follows from it.

    Parameters
    ----------
    chance : tuple of (float, float, float)
        Estimate and ends, low first.
    nnt : tuple of (float, float, float)
        Kraemer and Kupfer's, signed, estimate and the ends that belong to those of `chance`.
    arms : tuple of (str, str)
        Names of the intervention and the comparison.
    level : float
        Of the interval.

    Returns
    -------
    tuple of (str, str)
        Two lines.
    """
    point, low, high = (format_number(100.0 * share, 0) for share in chance)
    first = (
        f"Of pairs of people, the one with {arms[0]} does better in {point}% "
        f"({format_level(level)} CI {low} to {high}%; 50% is no difference)"
    )

    middle, worst, best = (math.copysign(_up(number), number) for number in nnt)
    return first, f"Without an assumed response: {number_needed_words((middle, worst, best), 1)}, by Kraemer & Kupfer"


def _up(number: float) -> float:
    return math.inf if math.isinf(number) else float(math.ceil(abs(number) * (1.0 - 1e-9)))


def units_words(units: NaturalUnits, level: float) -> str:
    """Write a difference in points of an instrument.

    Parameters
    ----------
    units : NaturalUnits
        The difference.
    level : float
        Of its interval.

    Returns
    -------
    str
        Such as ``"BDI: 2.1 points lower (95% CI 0.4 to 3.8 lower); lower is better; SD 10.50, ..."``.
    """

    def way(number: float) -> str:
        return "higher" if number > 0 else "lower"

    size = f"{format_number(abs(units.estimate), 1)} points {way(units.estimate)}"
    if units.low >= 0 or units.high <= 0:
        small, large = sorted((abs(units.low), abs(units.high)))
        span = f"{format_number(small, 1)} to {format_number(large, 1)} {way(units.low + units.high)}"
    else:
        span = f"{format_number(-units.low, 1)} lower to {format_number(units.high, 1)} higher"
    bounds = ""
    if not math.isnan(units.minimum) and not math.isnan(units.maximum):
        bounds = f", scores from {units.minimum:g} to {units.maximum:g}"
    good = "lower" if units.lower_better else "higher"
    return (
        f"On the {units.instrument}{bounds}: {size} ({format_level(level)} CI {span}); {good} is better; {units.origin}"
    )


def magnitude_words(estimate: float) -> str:
    """Name the size of a standardised mean difference by Cohen's convention.

    Parameters
    ----------
    estimate : float
        Standardised mean difference.

    Returns
    -------
    str
        With the convention it rests on.

    Notes
    -----
    The number as it is printed decides, so that 0.20 never reads as below 0.2.

    Examples
    --------
    >>> magnitude_words(-0.31)
    "small by Cohen's convention (0.2 small, 0.5 medium, 0.8 large)"
    """
    name = next((word for cut, word in COHEN if round(abs(estimate), 2) >= cut), "below small")
    return f"{name} by Cohen's convention (0.2 small, 0.5 medium, 0.8 large)"


def interpretation_words(
    fit: MetaAnalysisResult, thresholds: Sequence[float], certainty: int | None, arms: Arms
) -> str:
    """Say what the interval allows, softened by the certainty where that was rated.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The outcome.
    thresholds : sequence of float
        Thresholds of importance that were stated, on the scale of analysis.
    certainty : int or None
        From 1, very low, to 4, high; None where it was not rated.
    arms : tuple of (str, str)
        Names of the intervention and the comparison.

    Returns
    -------
    str
        One or two sentences.

    References
    ----------
    Santesso et al. (2020), GRADE guidelines 26, J Clin Epidemiol 119:126-135 (probably, may, very uncertain).
    """
    if not measure_of(fit.measure).has_null:
        return ""
    low, high = fit.ci
    sign = {"arm1": 1, "arm2": -1}.get(fit.positive_favours, 0)
    if low < 0.0 < high or low == high == 0.0:
        first = "The confidence interval includes no effect, and differences in both directions."
    else:
        side = (1 if low >= 0 else -1) * (sign or 1)
        what = ("better" if side > 0 else "worse") if sign else ("higher" if side > 0 else "lower")
        soft = {4: f"is {what}", 3: f"is probably {what}", 2: f"may be {what}"}.get(certainty or 0, "")
        if soft:
            first = f"The outcome {soft} with {arms[0]}."
        elif certainty == 1:
            first = f"The interval lies where the outcome is {what} with {arms[0]}, but the evidence is very uncertain."
        else:
            first = f"The confidence interval lies where the outcome is {what} with {arms[0]}."
    if not thresholds:
        return first
    display = measure_of(fit.measure).display
    shown = " and ".join(format_number(display(t)) for t in thresholds)
    inside = [t for t in thresholds if low < t < high]
    if inside:
        crossed = " and ".join(format_number(display(t)) for t in inside)
        second = f"It spans the threshold{'s' * (len(inside) > 1)} of {crossed}."
    elif any(t <= low for t in thresholds) and any(t >= high for t in thresholds):
        second = f"It lies between the thresholds of {shown}: too small to matter, by these."
    else:
        second = f"It spans none of the thresholds of {shown}."
    return f"{first} {second}"
