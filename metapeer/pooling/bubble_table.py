"""The points, line and bands of a bubble plot, made from a meta-regression."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, DataError, check_choice
from metapeer.formatting import format_level, format_number
from metapeer.plots.bubble import bubble_plot
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.pooling.regression_results import MetaRegressionResult

__all__ = ["bubble_table", "draw_bubbles"]

_POINTS = 121  # of the line: closer than the eye resolves on a page


def _choose(fit: "MetaRegressionResult", moderator: str | None) -> str:
    numeric = [column.name for column in fit.design.columns if column.levels is None]
    if not numeric:
        raise ChoiceError("no moderator holds numbers; draw categories with subgroup_analysis(...).plot()")
    if moderator is None and len(numeric) > 1:
        raise ChoiceError(f"several moderators hold numbers; name one with moderator=: {', '.join(numeric)}")
    return numeric[0] if moderator is None else check_choice("moderator", moderator, numeric)


def bubble_table(
    fit: "MetaRegressionResult", *, moderator: str | None = None, at: Mapping[str, Any] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Lay out what a bubble plot shows.

    Parameters
    ----------
    fit : MetaRegressionResult
        The meta-regression.
    moderator : str, optional
        The numeric moderator across.
    at : mapping, optional
        Values of the other moderators; the mean of numbers and the commonest level when left out.

    Returns
    -------
    points : DataFrame
        One row a study: ``label``, ``x``, ``estimate``, ``weight``; effects as `bubble_plot` draws them.
    line : DataFrame
        ``x``, ``estimate``, ``ci_low``, ``ci_high``, ``pi_low``, ``pi_high``.
    held : dict
        The values at which the other moderators were held.

    Raises
    ------
    ChoiceError
        If there is no numeric moderator, or `at` names something else than the other moderators.
    """
    across = _choose(fit, moderator)
    others = [column for column in fit.design.columns if column.name != across]
    given = dict(at or {})
    for name in given:
        check_choice("at: the moderator", name, [column.name for column in others])
    held: dict[str, Any] = {}
    for column in others:
        cells = fit.data[column.name]
        usual = float(pd.to_numeric(cells).mean()) if column.levels is None else str(cells.astype(str).mode().iloc[0])
        held[column.name] = given.get(column.name, usual)
    x = pd.to_numeric(fit.data[across]).to_numpy(np.float64)
    rows = pd.DataFrame({across: np.linspace(x.min(), x.max(), _POINTS)}).assign(**held)
    measure = measure_of(fit.measure)
    logs = measure.scale == "log"  # `bubble_plot` makes ratios of logarithms itself, other scales are undone here
    try:
        line = fit.predict(rows, displayed=not logs)
    except DataError as error:
        raise ChoiceError(f"at: {'; '.join(str(fault) for fault in error.faults[:3])}") from None
    line = line.rename(columns={across: "x"})[["x", "estimate", "ci_low", "ci_high", "pi_low", "pi_high"]]
    effects = [
        value if logs else measure.display(value, variance)
        for value, variance in zip(fit.yi.tolist(), fit.vi.tolist(), strict=True)
    ]
    points = pd.DataFrame({"label": list(fit.labels), "x": x, "estimate": effects, "weight": fit.weights})
    return points, line, held


def draw_bubbles(
    fit: "MetaRegressionResult",
    *,
    moderator: str | None = None,
    at: Mapping[str, Any] | None = None,
    ax: "Axes | None" = None,
    **options: Any,
) -> "Figure":
    """Draw a meta-regression as a bubble plot.

    Parameters
    ----------
    fit : MetaRegressionResult
        The meta-regression.
    moderator, at
        As in `bubble_table`.
    ax : matplotlib Axes, optional
        Where to draw.
    **options
        Anything else that `bubble_plot` takes; what is given here wins.

    Returns
    -------
    Figure
        The figure drawn on.
    """
    points, line, held = bubble_table(fit, moderator=moderator, at=at)
    measure = measure_of(fit.measure)
    words = f"Bubble areas: weights. Line with {format_level(fit.level)} confidence band (dark)"
    if fit.model == "random":
        words += f" and {format_level(fit.level)} prediction band (light)"
    notes = [f"{words}."]
    if held:
        shown = [
            f"{name} = {format_number(value, 2) if isinstance(value, float) and not math.isnan(value) else value}"
            for name, value in held.items()
        ]
        notes.append(f"Line drawn at {', '.join(shown)}.")
    settings: dict[str, Any] = {
        "line": line,
        "x_label": _choose(fit, moderator),
        "y_label": measure.name[:1].upper() + measure.name[1:] if fit.measure else "Effect",
        "log_scale": measure.scale == "log",
        "null_value": 0.0 if measure.scale == "log" else (measure.null if measure.has_null else None),
        "notes": notes,
    }
    return bubble_plot(points, ax=ax, **(settings | options))
