"""The forest plot of a multilevel meta-analysis: trials with their rows, and the pooled effect at the foot."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.formatting import count, format_level, format_number
from metapeer.plots.forest import forest_plot
from metapeer.pooling.forest_table import ARM_NAMES, favours_words
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.pooling.multilevel_results import MultilevelResult

__all__ = ["draw_multilevel", "multilevel_table"]

WORDS = {"t": "t", "z": "normal", "contain": "t, containment degrees of freedom"}


def multilevel_table(fit: "MultilevelResult") -> pd.DataFrame:
    """Lay out the rows of the plot.

    Parameters
    ----------
    fit : MultilevelResult
        A model without moderators.

    Returns
    -------
    DataFrame
        As `forest_plot` takes it: a trial of several rows is a heading with its rows indented.

    Raises
    ------
    MetapeerError
        If the model has moderators.
    """
    estimate, ci = fit.estimate, fit.ci
    about = measure_of(fit.measure)
    half = normal_quantile(fit.level) * np.sqrt(fit.vi)

    def drawn(value: float, variance: float) -> float:
        return value if about.scale == "log" else about.display(value, variance)

    def line(kind: str, label: str, ends: tuple[float, ...], variance: float, **more: Any) -> dict[str, Any]:
        numbers = [drawn(end, variance) for end in ends]
        return {
            "kind": kind,
            "label": label,
            **dict(zip(("estimate", "ci_low", "ci_high"), numbers, strict=True)),
            **more,
        }

    rows: list[dict[str, Any]] = []
    for trial in dict.fromkeys(fit.trial_of):
        mine = [i for i, one in enumerate(fit.trial_of) if one == trial]
        several = len(mine) > 1
        if several:
            rows.append({"kind": "heading", "label": trial, "indent": False})
        for i in mine:
            y, v = float(fit.yi[i]), float(fit.vi[i])
            ends = (y, y - float(half[i]), y + float(half[i]))
            label = fit.labels[i] if several or fit.labels[i] == trial else f"{trial}: {fit.labels[i]}"
            label = label.removeprefix(f"{trial}, ").removeprefix(f"{trial}: ") if several else label
            rows.append(line("study", label, ends, v, indent=several))
    rows.append({"kind": "blank", "label": "", "indent": False})
    variance = float(fit.se[0]) ** 2
    rows.append(line("summary", f"Multilevel model: {count(fit.k, 'effect')} from {count(fit.trials, 'trial')}",
                     (estimate, *ci), variance, indent=False))  # fmt: skip
    if fit.random:
        prediction = fit.prediction_interval
        if math.isfinite(prediction.low) and math.isfinite(prediction.high):
            label = f"{format_level(fit.level)} prediction interval"
            rows.append(line("prediction", label, (math.nan, *prediction), variance, indent=False))
    parts = fit.variance_components(ci=False)
    told = []
    for name, component, levels, value in zip(
        parts["term"], parts["component"], parts["levels"], parts["estimate"], strict=True
    ):
        where = f"{name} {levels}".strip()
        told.append(f"{'variance' if component == 'variance' else 'correlation'}, {where}: {format_number(value, 4)}")
    if told:
        rows.append({"kind": "text", "label": f"Random effects ({fit.method}): {'; '.join(told)}", "indent": False})
    return pd.DataFrame(rows)


def draw_multilevel(
    fit: "MultilevelResult", *, arms: tuple[str, str] = ARM_NAMES, ax: "Axes | None" = None, **options: Any
) -> "Figure":
    """Draw the forest plot of a multilevel meta-analysis.

    Parameters
    ----------
    fit : MultilevelResult
        A model without moderators.
    arms : tuple of str
        Names of arm 1 and arm 2, for what the axis favours.
    ax : Axes, optional
        Where to draw.
    **options
        Passed to `forest_plot`; they override what is chosen here.

    Returns
    -------
    Figure
        The figure drawn on.

    Raises
    ------
    MetapeerError
        If the model has moderators.
    """
    table = multilevel_table(fit)
    about = measure_of(fit.measure)
    pooled = fit.estimate if about.scale == "log" else about.display(fit.estimate, float(fit.se[0]) ** 2)
    settings: dict[str, Any] = {
        **({"reference": pooled} if about.has_null else {"null_value": pooled, "reference": None}),
        "left": {"label": "Trial and effect"},
        "axis_label": about.name[0].upper() + about.name[1:],
        "log_scale": about.scale == "log",
        "favours": favours_words(fit.positive_favours, arms),
        "level": fit.level,
        "notes": [f"Pooled interval: {WORDS[fit.ci_method]}. Intervals of single effects: normal."],
        **options,
    }
    return forest_plot(table, ax=ax, **settings)
