"""A contrast of outcome classes in plain words, made from its numbers and from nothing else."""

import math
from typing import TYPE_CHECKING

from metapeer.formatting import count, format_interval, format_level, format_number
from metapeer.pooling.regression_comparisons import p_equals
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metapeer.pooling.outcome_classes_cells import CellMean
    from metapeer.pooling.outcome_classes_results import ClassContrast, OutcomeClassContrast

__all__ = ["ALL", "contrast_words", "plain"]

ALL = "all formats"
OVER = {
    "rho": "With other assumed correlations",
    "model": "With other models",
    "rows": "With other versions of the rows",
    "population": "With some populations alone or left out",
    "trial": "With each trial left out in turn",
}
"""How a sentence about each kind of sensitivity analysis begins."""
FORMATS = ("one_to_one", "group")
MOST_DIGITS = 4


def plain(code: str) -> str:
    """Write a code of a format or class as a reader expects it.

    Parameters
    ----------
    code : str
        Such as ``"service_use"``.

    Returns
    -------
    str
        In words.

    Examples
    --------
    >>> plain("one_to_one"), plain("service_use")
    ('one-to-one', 'service use')
    """
    return "one-to-one" if code == "one_to_one" else code.replace("_", " ")


def contrast_words(found: "OutcomeClassContrast") -> str:
    """Say what was found, one paragraph for each pair of classes.

    Parameters
    ----------
    found : OutcomeClassContrast
        The result.

    Returns
    -------
    str
        Paragraphs with an empty line between them.
    """
    first = found.classes[0]
    return "\n\n".join(_paragraph(found, first, second) for second in found.classes[1:])


def _digits(*values: float) -> int:
    """Two decimals, or up to four where one of the numbers would be rounded to zero."""
    told = [abs(value) for value in values if abs(value) >= 0.5 * 10.0**-MOST_DIGITS]
    return next((digits for digits in (2, 3) if min(told, default=1.0) >= 0.5 * 10.0**-digits), MOST_DIGITS)


def _numbers(found: "OutcomeClassContrast", line: "ClassContrast | CellMean") -> str:
    """An estimate with its interval; enough decimals that no end is taken for zero."""
    digits = _digits(line.ci_low, line.ci_high)
    ends = format_interval(line.ci_low, line.ci_high, digits)
    return f"{format_number(line.estimate, digits)} ({format_level(found.level)} CI {ends}"


def _paragraph(found: "OutcomeClassContrast", first: str, second: str) -> str:
    contrast = f"{first} minus {second}"
    own = [line for line in found.lines if line.contrast == contrast]
    main = next(line for line in own if line.axis == "main" and line.scope == ALL)
    if main.verdict == "no answer":
        said = [f"{_capital(plain(first))} minus {plain(second)}: these rows give no answer ({main.note})."]
    else:
        said = [_pooled(found, main)]
        said.append(
            f"The difference, {plain(first)} minus {plain(second)}, is {_numbers(found, main)}, p "
            f"{p_equals(main.p_value)}): {_meaning(found, main, first, second)}."
        )
        if main.both == 0:
            said.append("No trial reports both classes, so that different trials are compared.")
    for line in own:
        if line.axis == "main" and line.scope != ALL:
            where = f"Within {plain(line.scope)} peer support" if line.scope in FORMATS else f"Within {line.scope}"
            if line.verdict == "no answer":
                said.append(f"{where} there is no answer ({line.note}).")
            else:
                size = f"{count(line.trials, 'trial')}, {line.both} with both classes"
                said.append(f"{where} ({size}) it is {_numbers(found, line)}): {_meaning(found, line, first, second)}.")
    crossed = f"{contrast}, {' minus '.join(found.formats)}"
    for line in found.lines:
        if line.axis == "interaction" and line.contrast == crossed and line.verdict != "no answer":
            said.append(_dependence(found, line))
    if main.verdict == "no answer":
        return " ".join(said)
    for axis, words in OVER.items():
        said += _over(words, [line for line in own if line.axis == axis and line.scope == ALL], main)
    if not math.isnan(main.pi_low):
        digits = _digits(main.pi_low, main.pi_high)
        ends = format_interval(main.pi_low, main.pi_high, digits)
        said.append(
            f"Between one {plain(first)} and one {plain(second)} outcome of a new trial the true difference is "
            f"expected from {ends} ({format_level(found.level)} prediction interval)."
        )
    return " ".join(said)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _pooled(found: "OutcomeClassContrast", main: "ClassContrast") -> str:
    """How much there is, and the pooled effect of each class."""
    size = f"{count(main.k, 'effect')} from {count(main.trials, 'trial')}, {main.both} of which report both classes"
    if not main.means:
        return f"There are {size}."
    means = " and ".join(f"{_numbers(found, mean)}) on {plain(mean.cell)} outcomes" for mean in main.means)
    side = {"arm1": "positive favours peer support", "arm2": "positive favours the comparison"}
    scale = measure_of(found.measure).scale if found.measure else "identity"
    more = [side.get(found.positive_favours, ""), f"on the {scale} scale" if scale != "identity" else ""]
    told = "; ".join(filter(None, more))
    return f"In {size}, the pooled effect is {means}{f' ({told})' if told else ''}."


def _meaning(found: "OutcomeClassContrast", line: "ClassContrast", first: str, second: str) -> str:
    """What a contrast says, by where its interval lies and whether anything is noted against it."""
    if line.verdict == "not shown":
        ends = format_interval(line.ci_low, line.ci_high, _digits(line.ci_low, line.ci_high))
        text = f"neither class is shown to gain more, and differences from {ends} are compatible with these rows"
        return text if line.trusted else f"{text}, but the interval is not to be trusted ({line.note})"
    if not line.trusted:
        return f"the interval leaves out zero, but is not to be trusted ({line.note})"
    if found.positive_favours not in ("arm1", "arm2"):
        side = "higher" if line.verdict == "larger" else "lower"
        return f"the effect on {plain(first)} outcomes is {side} than on {plain(second)} outcomes"
    more = (line.verdict == "larger") == (found.positive_favours == "arm1")
    return f"peer support does {'more' if more else 'less'} for {plain(first)} than for {plain(second)} outcomes"


def _dependence(found: "OutcomeClassContrast", line: "ClassContrast") -> str:
    numbers = f"interaction {_numbers(found, line).replace(' (', ', ', 1)}, p {p_equals(line.p_value)}"
    if line.verdict == "not shown":
        return f"The difference is not shown to depend on the format ({numbers})."
    if not line.trusted:
        return f"Whether the difference depends on the format cannot be said ({numbers}; {line.note})."
    return f"The difference depends on the format ({numbers})."


def _over(words: str, lines: "Sequence[ClassContrast]", main: "ClassContrast") -> list[str]:
    """How far the difference moves over several analyses, and how many of them say what the main one says."""
    if not lines:
        return []
    found = [line for line in lines if line.verdict != "no answer"]
    silent = len(lines) - len(found)
    if not found:
        return [f"{words} there is no answer."]
    values = [line.estimate for line in found]
    low, high = (format_number(end, 2) for end in (min(values), max(values)))
    moves = f"it is {low}" if low == high else f"it goes from {low} to {high}"
    agreeing = sum(line.verdict == main.verdict for line in found)
    kind = "does not exclude zero" if main.verdict == "not shown" else "excludes zero on the same side"
    doubted = sum(not line.trusted for line in found)
    more = f" ({doubted} of the {len(found)} not to be trusted)" if doubted else ""
    more += f"; {silent} more {'gives' if silent == 1 else 'give'} no answer" if silent else ""
    return [f"{words} {moves}, and the interval {kind} in {agreeing} of {len(found)}{more}."]
