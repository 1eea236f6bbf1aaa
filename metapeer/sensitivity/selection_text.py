"""A selection model in words: estimates, weights, tests."""

import math
from typing import TYPE_CHECKING

import numpy as np

from metapeer.formatting import TextTable, count, format_interval, format_level, format_number, format_p
from metapeer.pooling.results import measure_of
from metapeer.sensitivity.selection_options import interval_words
from metapeer.sensitivity.selection_smooth import FAMILIES

if TYPE_CHECKING:
    from metapeer.sensitivity.selection_results import SelectionModelResult

__all__ = ["certificate_table", "estimates_table", "weights_table"]


def _what(result: "SelectionModelResult") -> str:
    """The weight function in words."""
    side = {
        "greater": "positive effects favoured, one-sided p",
        "less": "negative effects favoured, one-sided p",
        "two-sided": "significant effects of either sign favoured, two-sided p",
    }[result.alternative]
    if result.type == "stepfun":
        name = "step function"
        if result.assumed:
            return f"{name} assumed, not estimated: Vevea & Woods, {result.assumed}; {side}"
        if all(result.weights_given):
            return f"{name} assumed, not estimated; {side}"
        return f"{name}{', weights not rising with p' if result.decreasing else ''}; {side}"
    if result.type in ("trunc", "truncest"):
        how = "an estimated effect" if result.type == "truncest" else f"effect {result.cut:.4g}"
        favoured = "larger" if result.sign > 0 else "smaller"
        return f"weight changes at {how}; {favoured} effects favoured"
    family = FAMILIES[result.type]
    words = f"{family.words} weight function, w = {family.formula}"
    if result.prec:
        words += f", delta times {result.prec} in parts of its largest value"
    if result.steps:
        words += f", 1 up to p = {result.steps[0]:g}"
    return f"{words}; {side}"


def estimates_table(result: "SelectionModelResult") -> TextTable:
    """Estimates beside those without selection.

    Parameters
    ----------
    result : SelectionModelResult
        What was found.

    Returns
    -------
    TextTable
        In words.
    """
    measure = measure_of(result.measure)
    model = "Random-effects" if result.model == "random" else "Common-effect"
    title = f"{model} selection model: {count(result.k, 'effect')}"
    if result.trials < result.k:
        title += f" from {count(result.trials, 'trial')}"
    title += f"{f'; {result.formula}' if result.formula else ''}\n{_what(result)}"
    if result.measure:
        title += f"\n{measure.name}"
        if result.positive_favours:
            better = "peer support" if result.positive_favours == "arm1" else "the comparison"
            title += f"; above {measure.null:g} favours {better}"
    ratio = measure.scale == "log"
    digits, variance = 3, float(np.nan_to_num(result.se[0])) ** 2

    def shown(value: float) -> str:
        return format_number(value if result.formula else measure.display(value, variance), digits)

    def between(low: float, high: float) -> str:
        if not result.formula:
            low, high = measure.display(low, variance), measure.display(high, variance)
        return format_interval(low, high, digits)

    rows = []
    for j, name in enumerate(result.names):
        label = name if result.formula else result.measure or "effect"
        rows.append(
            (
                label,
                shown(float(result.beta[j])),
                between(float(result.ci_low[j]), float(result.ci_high[j])),
                f"z = {format_number(float(result.statistic[j]), 2)}, p {_p(float(result.p_value[j]))}",
                shown(float(result.unadjusted.beta[j])),
                between(float(result.unadjusted.ci_low[j]), float(result.unadjusted.ci_high[j])),
            )
        )
    if result.model == "random":
        rows.append(
            (
                "tau²",
                format_number(result.tau2, 4),
                format_interval(result.tau2_ci_low, result.tau2_ci_high, 4),
                "",
                format_number(result.unadjusted.tau2, 4),
                "",
            )
        )
    level = format_level(result.level)
    notes = [
        f"adjusted intervals: {'profile likelihood' if result.ci_method == 'PL' else 'normal, observed information'}"
    ]
    if result.formula and ratio:
        notes.append("coefficients are on the log scale")
    return TextTable(
        title=title,
        header=("", "adjusted", f"{level} CI", "test of 0", "unadjusted (ML)", f"{level} CI"),
        rows=rows,
        notes=notes,
    )


def weights_table(result: "SelectionModelResult") -> TextTable:
    """The weight function, with the effects that each part of it rests on.

    Parameters
    ----------
    result : SelectionModelResult
        What was found.

    Returns
    -------
    TextTable
        In words.
    """
    level = format_level(result.level)
    stepped = result.type in ("stepfun", "trunc", "truncest")
    rows = []
    for j, name in enumerate(result.weight_names):
        low, high = float(result.weights_ci_low[j]), float(result.weights_ci_high[j])
        how = {"": "given", "z": "normal, cut at 0", "PL": "profile likelihood"}[result.weights_ci_methods[j]]
        if result.weights_given[j]:
            interval = ""
        elif math.isnan(low):
            interval, how = "", "on the edge of what is possible: no interval"
        else:
            interval = format_interval(low, high, 3)
        cells = (name, format_number(float(result.weights[j]), 3), interval, how)
        rows.append((*cells, f"{result.counts[j]:,}") if stepped else cells)
    header = ("", "weight" if stepped else "estimate", f"{level} CI", "", *(("effects",) if stepped else ()))
    notes = []
    if not stepped:
        words = [f"{interval_words(result.count_steps, j)}: {n}" for j, n in enumerate(result.counts)]
        notes.append(f"effects with {'; '.join(words)}")
    return TextTable(title="Weight function", header=header, rows=rows, notes=notes)


def certificate_table(result: "SelectionModelResult") -> TextTable:
    """Tests, criteria, how the maximum was found, and notes.

    Parameters
    ----------
    result : SelectionModelResult
        What was found.

    Returns
    -------
    TextTable
        In words.
    """
    rows = []
    for test, name in ((result.selection_test, "No selection"), (result.tau2_test, "tau² = 0 under selection")):
        if test is None:
            continue
        p = "p not known" if math.isnan(test.p_value) else f"p {_p(test.p_value)}"
        edge = ", too large as the hypothesis is on an edge" if test.boundary and not math.isnan(test.p_value) else ""
        rows.append((name, f"{format_number(test.statistic, 2)}", f"likelihood ratio, {test.df} df; {p}{edge}"))
    shown = f"AIC {format_number(result.AIC, 2)}, BIC {format_number(result.BIC, 2)}"
    rows.append(("Log-likelihood", format_number(result.log_likelihood, 4), f"{result.parameters} parameters; {shown}"))
    found = result.fit.optimum
    led = f"{found.agreeing} of {found.starts} starts led to it, {found.converged - found.agreeing} to lower maxima"
    rows.append(("Maximum", "", f"gradient {found.peak.length:.0e} standard errors; {led}"))
    notes = list(result.notes)
    if result.excluded:
        notes.append(f"{count(len(result.excluded), 'row')} not used:")
        notes += [f"  {label}: {reason}" for label, reason in result.excluded]
    return TextTable(title="Tests and maximum", header=("", "", ""), rows=rows, notes=notes)


def _p(value: float) -> str:
    text = format_p(value)
    return text if text.startswith("<") else f"= {text}"
