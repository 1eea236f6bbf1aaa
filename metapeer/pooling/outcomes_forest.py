"""The forest plot of outcomes: a diamond for each that was pooled, under headings."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import MetapeerError, check_choice
from metapeer.formatting import count, format_interval, format_level, format_number, format_p
from metapeer.plots.cells import MINUS
from metapeer.plots.forest import forest_plot
from metapeer.pooling.forest_table import ARM_NAMES, favours_words
from metapeer.pooling.outcomes_names import (
    interval_words,
    outcome_words,
    participants_words,
    prediction_words,
    tells_too_few,
)
from metapeer.pooling.results import MetaAnalysisResult, measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.pooling.outcomes import OutcomesResult

__all__ = ["draw_outcomes", "outcomes_table"]

NUMBERS = ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")
TEXTS = ("effects", "trials", "participants", "effect", "prediction", "p", "p_adjusted", "favours")


def outcomes_table(found: "OutcomesResult", measure: str) -> pd.DataFrame:
    """Lay out the rows of the plot.

    Parameters
    ----------
    found : OutcomesResult
        What is to be drawn.
    measure : str
        Only outcomes with this measure.

    Returns
    -------
    DataFrame
        As `forest_plot` takes it, with columns ``effects``, ``trials``, ``participants``, ``effect``, ``prediction``,
        ``p``, ``p_adjusted`` and ``favours`` of text.
    """
    rows: list[dict[str, Any]] = []
    shown = ""
    lines = zip(found.headings, found.outcomes, found.results, found.effects, found.adjusted, strict=True)
    for heading, code, fit, effects, adjusted in lines:
        if fit.measure != measure:
            continue
        if heading != shown:
            rows.append({"kind": "heading", "label": heading})
            shown = heading
        rows.append({**_line(fit), "label": outcome_words(code), "effects": str(effects), "p_adjusted": _p(adjusted)})
    frame = pd.DataFrame(rows).reindex(columns=["kind", "label", *NUMBERS, *TEXTS])
    for column in frame.columns:
        frame[column] = frame[column].astype("float64") if column in NUMBERS else frame[column].fillna("").astype(str)
    return frame


def _p(value: float) -> str:
    return "" if math.isnan(value) else format_p(value)


def _line(fit: MetaAnalysisResult) -> dict[str, Any]:
    """What one outcome has to show: a diamond, or the square of its one trial."""
    measure = measure_of(fit.measure)
    variance = fit.se**2

    def drawn(value: float) -> float:
        # `forest_plot` makes ratios of logarithms itself; other scales are undone here
        return value if measure.scale == "log" else measure.display(value, variance)

    def between(low: float, high: float) -> str:
        return (
            format_interval(measure.display(low, variance), measure.display(high, variance))
            .replace("-inf", f"{MINUS}∞")
            .replace("inf", "∞")
        )

    prediction = fit.prediction_interval
    low, high = (math.nan, math.nan) if prediction is None else prediction
    missing = "one trial" if fit.k == 1 else "" if fit.model == "common" else "NA"
    return {
        "kind": "study" if fit.k == 1 else "pooled",
        "estimate": drawn(fit.estimate),
        "ci_low": drawn(fit.ci.low),
        "ci_high": drawn(fit.ci.high),
        "pi_low": low if math.isnan(low) else drawn(low),
        "pi_high": high if math.isnan(high) else drawn(high),
        "trials": str(fit.trials),
        "participants": participants_words(fit),
        "effect": f"{format_number(measure.display(fit.estimate, variance))} ({between(*fit.ci)})",
        "prediction": missing if prediction is None else between(low, high),
        "p": _p(fit.p_value),
        "favours": {"arm1": "arm 1", "arm2": "arm 2"}.get(fit.positive_favours, "unknown"),
    }


def draw_outcomes(
    found: "OutcomesResult",
    *,
    measure: str | None = None,
    arms: tuple[str, str] = ARM_NAMES,
    ax: "Axes | None" = None,
    **options: Any,
) -> "Figure":
    """Draw the forest plot of outcomes.

    Parameters
    ----------
    found : OutcomesResult
        What is to be drawn.
    measure : str, optional
        The measure to draw, where outcomes have several: they cannot share an axis.
    arms : tuple of str
        Names of arm 1 and arm 2, for what the axis favours.
    ax : Axes, optional
        Where to draw.
    **options
        Passed to `forest_plot`; they override what is chosen here. Columns to print are those of `outcomes_table`.

    Returns
    -------
    Figure
        The figure drawn on.

    Raises
    ------
    ChoiceError
        If no outcome has that measure.
    MetapeerError
        If outcomes have several measures and none was chosen, or the measure has no value that means no effect.
    """
    known = list(dict.fromkeys(fit.measure for fit in found.results))
    if measure is not None:
        known = [check_choice("measure", measure, known)]
    if len(known) > 1:
        choices = ", ".join(f"measure={code!r}" for code in known)
        raise MetapeerError(f"outcomes of several measures cannot share an axis; draw one of: {choices}")
    effect = measure_of(known[0])
    if not effect.has_null:
        raise MetapeerError(
            f"{effect.code} has no value that means no effect, to draw outcomes about; plot them singly"
        )
    fits = [fit for fit in found.results if fit.measure == known[0]]
    frame = outcomes_table(found, known[0])
    level = format_level(fits[0].level)
    name = effect.name[0].upper() + effect.name[1:]
    sides = {fit.positive_favours for fit in fits}
    right = {"effect": f"{effect.code if known[0] else 'Effect'} ({level} CI)"}
    if any(fit.prediction_interval is not None for fit in fits):
        right["prediction"] = f"{level} PI"
    if len(sides) > 1:
        right["favours"] = f"Above {effect.null:g} favours"
        arm = {"arm 1": arms[0], "arm 2": arms[1]}
        frame["favours"] = [arm.get(text, text) for text in frame["favours"]]
    right["p"] = "p"
    if found.adjustment is not None:
        right["p_adjusted"] = f"p, {found.adjustment.method_name}"
    left = {"label": "Outcome", "trials": "Trials", "participants": "Participants"}
    settings: dict[str, Any] = {
        "left": left,
        "right": right,
        "axis_label": name,
        "log_scale": effect.scale == "log",
        "favours": favours_words(fits[0].positive_favours, arms) if len(sides) == 1 else None,
        "level": fits[0].level,
        "notes": _notes(found, fits, level),
        **options,
    }
    return forest_plot(frame, ax=ax, **settings)


def _notes(found: "OutcomesResult", fits: Sequence[MetaAnalysisResult], level: str) -> list[str]:
    """Say what the marks are, as far as they occur."""
    notes = []
    if interval_words(fits):
        notes.append(f"Diamonds: pooled estimates with {level} confidence intervals ({interval_words(fits)}).")
    if prediction_words(fits):
        notes.append(f"Thin lines: {level} prediction intervals ({prediction_words(fits)}).")
    if any(fit.k == 1 for fit in fits):
        notes.append(f"Squares: outcomes of one trial, with its own normal {level} interval.")
    adjustment = found.adjustment
    if adjustment is not None:
        notes.append(f"p, {adjustment.method_name}: adjusted for {count(adjustment.tests, 'test')}.")
    if any(map(tells_too_few, fits)):
        notes.append("Participants with a plus: some trials do not tell how many.")
    return [" ".join(notes)]
