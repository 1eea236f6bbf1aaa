"""The weight function of a selection model: how likely a study is to be seen, over its p value."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count, format_level
from metapeer.plots.cells import clean_text
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_reading import Width, describe, number_words
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import INK, POOLED, RULE, SIZE, root_figure
from metapeer.plots.text import text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["selection_plot"]

FloatArray = NDArray[np.float64]

BAND = "#dce6f1"
P_TICKS = (0.0, 1.0, 0.025, 0.5, 0.05, 0.1, 0.25, 0.01, 0.75)
"""Levels of significance in use, and quarters; the first ones are kept where there is no room for all."""
TALLEST = 3.0
"""The axis reaches to so many times the largest weight at most; a note says where limits beyond it end."""


def _read(table: object) -> dict[str, FloatArray]:
    """Take p, weights and limits. List every fault."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"table must be a DataFrame, not a {type(table).__name__}")
    absent = [name for name in ("p", "weight") if name not in table]
    if absent:
        raise DataError("table", [Fault(column=name, message="is missing") for name in absent])
    columns: dict[str, FloatArray] = {}
    faults = []
    for name in ("p", "weight", "ci_low", "ci_high"):
        if name not in table:
            columns[name] = np.full(len(table), np.nan)
            continue
        columns[name] = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        if name in ("p", "weight"):
            most = 1.0 if name == "p" else np.finfo(np.float64).max
            bad = ~((columns[name] >= 0.0) & (columns[name] <= most))
            what = "a p value from 0 to 1" if name == "p" else "a finite weight, 0 or more"
            faults += [
                Fault(row=f"row {i + 1}", column=name, message=f"{table[name].iloc[i]!r} is not {what}")
                for i in np.flatnonzero(bad).tolist()
            ]
    if not faults and len(table) < 2:
        faults.append(Fault(message="has fewer than two rows; a curve needs two"))
    if faults:
        raise DataError("table", faults)
    order = np.argsort(columns["p"], kind="stable")
    return {name: values[order] for name, values in columns.items()}


def _marks(p: ArrayLike | None) -> FloatArray:
    try:
        found = np.asarray([] if p is None else p, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("p", ["must be numbers"]) from None
    if found.ndim != 1 or not ((found >= 0.0) & (found <= 1.0)).all():
        raise DataError("p", ["must be a list of p values from 0 to 1"])
    return found


def _kept_ticks(wide: float) -> list[float]:
    """Ticks of p whose labels do not touch on an axis even in the root of p."""
    kept: list[float] = []
    for value in P_TICKS:
        needed = [0.5 * (text_width(f"{value:g}", SIZE) + text_width(f"{other:g}", SIZE) + SIZE) for other in kept]
        gaps = [abs(math.sqrt(value) - math.sqrt(other)) * wide for other in kept]
        if all(gap > room for gap, room in zip(gaps, needed, strict=True)):
            kept.append(value)
    return sorted(kept)


def selection_plot(
    table: pd.DataFrame,
    *,
    p: ArrayLike | None = None,
    level: float = 0.95,
    x_label: str = "p value",
    y_label: str = "Relative weight",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.0,
    ax: Axes | None = None,
) -> Figure:
    """Draw the weight of a study over its p value.

    The axis is even in the root of p, which gives room to the small values where weights change.

    Parameters
    ----------
    table : DataFrame
        `p` and `weight`, and if wanted `ci_low` and `ci_high`. Rows are joined in order of p; two rows with the same p
        make a step.
    p : array of shape (k,), optional
        p values of the studies, drawn as ticks along the lower edge.
    level : float, default 0.95
        Of the limits.
    x_label, y_label : str
        What the axes show.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width, height : float or str
        Of the figure, and of its panel: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    ax : Axes, optional
        Where to draw; by default a new Figure, unknown to pyplot.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on; the plot is ``figure.axes[0]``, or `ax`.

    Raises
    ------
    DataError
        If the table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    Vevea & Woods (2005), Psychol Methods 10:428-443, figure 1.

    Examples
    --------
    >>> table = pd.DataFrame({"p": [0, 0.025, 0.025, 1], "weight": [1, 1, 0.3, 0.3], "ci_low": [1, 1, 0.1, 0.1],
    ...                       "ci_high": [1, 1, 0.9, 0.9]})
    >>> figure = selection_plot(table, p=[0.001, 0.2])
    >>> figure.axes[0].get_xlabel(), [tick.get_text() for tick in figure.axes[0].get_xticklabels()][:4]
    ('', ['0', '0.025', '0.1', '0.25'])
    """
    sides = check_sides(width, height, None, ax)
    if not is_finite(level) or not 0.0 < float(level) < 1.0:
        raise ChoiceError(f"level must be a number between 0 and 1, not {level!r}")
    columns, studies = _read(table), _marks(p)
    weight, low, high = columns["weight"], columns["ci_low"], columns["ci_high"]
    banded = np.isfinite(low) & ~np.isnan(high)
    top = max(1.0, float(weight.max()))
    reach = float(high[banded].max(initial=0.0))
    tall_axis = max(top, min(reach, TALLEST * top)) * 1.05

    remarks = [*((notes,) if isinstance(notes, str) else tuple(notes))]
    if banded.any():
        marks = "; ticks below: the studies" if studies.size else ""
        remarks.insert(0, f"Band: {format_level(float(level))} interval{marks}")
        if reach > tall_axis:
            ends = "without end" if np.isinf(reach) else f"to {reach:.3g}"
            remarks.append(f"The interval reaches beyond the axis, {ends}")
    words = note_lines(remarks)
    tall = 72.0 * sides[1] if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    y_ticks = ticks_within(0.0, tall_axis, tall, 2.5 * SIZE)
    y_texts = tick_text(y_ticks)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), words)
    sheet = Sheet(ax, sides, labels, widest)
    panel = sheet.ax
    panel.set_xlim(-0.01, 1.01)
    foot = 0.07 * tall_axis if studies.size else 0.0
    panel.set_ylim(-foot, tall_axis)

    x = np.sqrt(columns["p"])
    if banded.any():
        panel.fill_between(
            x, np.where(banded, low, weight), np.minimum(np.where(banded, high, weight), 2.0 * tall_axis),
            color=BAND, linewidth=0, zorder=1,
        )  # fmt: skip
    panel.axhline(1.0, color=RULE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
    panel.plot(x, weight, color=POOLED, linewidth=1.6, zorder=3, solid_joinstyle="miter")
    if studies.size:
        panel.axhline(0.0, color=RULE, linewidth=0.6, zorder=2)
        panel.vlines(np.sqrt(studies), -foot, -0.25 * foot, color=INK, linewidth=0.8, alpha=0.7, zorder=3)
    x_ticks = _kept_ticks(sheet.wide)
    panel.set_xticks(np.sqrt(x_ticks).tolist(), labels=[f"{value:g}" for value in x_ticks])
    panel.set_yticks(list(y_ticks), labels=list(y_texts))
    dress(panel)
    sheet.finish()
    steps = np.flatnonzero(np.diff(weight) != 0.0).tolist()
    shown = [0, *steps[:8], weight.size - 1] if steps else [0, weight.size - 1]
    told = "; ".join(f"{number_words(float(weight[i]))} at p = {columns['p'][i]:g}" for i in dict.fromkeys(shown))
    number = f" of {count(studies.size, 'study', 'studies')}" if studies.size else ""
    return describe(root_figure(panel), f"Relative weight{number} over the p value: {told}.")
