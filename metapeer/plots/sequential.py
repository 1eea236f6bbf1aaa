"""The sequential plot: z against information, between boundaries that leave room for looks yet to come."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count
from metapeer.plots.cells import clean_text
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_reading import Width, describe
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET, SIZE, SMALL, root_figure
from metapeer.plots.text import text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["sequential_plot"]

FloatArray = NDArray[np.float64]

LEAST_Z, MOST_Z = 4.0, 8.0
"""The axis of z reaches at least, and for the sake of a boundary at most, so far."""
FARTHEST = 1e100
USUAL: dict[str, Any] = {"color": QUIET, "linewidth": 0.9, "linestyle": (0, (1, 2))}
FUTILITY: dict[str, Any] = {"color": PREDICTED, "linewidth": 1.0, "linestyle": (0, (3, 2))}
LEGEND_LINE = 11.0
"""Points that each line of the legend takes, above everything that is drawn."""
TWO_COLUMNS = 330.0
"""Points of width from which on the legend has two columns."""


def _columns(table: object, name: str, needed: Sequence[str], may_lack: Sequence[str]) -> dict[str, FloatArray]:
    """Take columns as numbers; NaN only where they may lack. List every fault."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"{name} must be a DataFrame, not a {type(table).__name__}")
    absent = [column for column in needed if column not in table]
    if absent:
        raise DataError(name, [Fault(column=column, message="is missing") for column in absent])
    found, faults = {}, []
    for column in (*needed, *(column for column in may_lack if column in table)):
        values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        bad = ~(np.abs(values) <= FARTHEST)
        if column in may_lack:
            bad &= ~table[column].isna().to_numpy()
        faults += [
            Fault(row=f"row {i + 1}", column=column, message=f"{table[column].iloc[i]!r} is not a finite number")
            for i in np.flatnonzero(bad).tolist()
        ]
        found[column] = np.asarray(values)
    if faults:
        raise DataError(name, faults)
    return found


def sequential_plot(
    table: pd.DataFrame,
    *,
    boundary: pd.DataFrame,
    required: float | None = None,
    conventional: float = 1.959963984540054,
    x_label: str = "Information",
    y_label: str = "z",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 6.0,
    height: Width = 3.6,
    ax: Axes | None = None,
) -> Figure:
    """Draw cumulative z against information, with boundaries on both sides of no effect.

    Parameters
    ----------
    table : DataFrame
        One row for each look, in order: ``information`` and ``z``.
    boundary : DataFrame
        Points of the boundary, in order: ``information``, ``boundary`` (for the absolute z) and, if wanted,
        ``futility`` (NaN where there is none). It is drawn as lines through these points.
    required : float, optional
        The required information, a vertical line.
    conventional : float, default 1.96
        Where a test that is made only once has its boundary, a dotted line.
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
        If a table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    Wetterslev, Thorlund, Brok & Gluud (2008), J Clin Epidemiol 61:64-75.

    Examples
    --------
    >>> looks = pd.DataFrame({"information": [40, 90, 150], "z": [0.7, 1.8, 2.1]})
    >>> lines = pd.DataFrame({"information": [40, 90, 150, 200], "boundary": [4.9, 3.0, 2.3, 2.0]})
    >>> figure = sequential_plot(looks, boundary=lines, required=200)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['z after each look', 'boundary', 'usual boundary of one test, 1.96', 'required information, 200']
    """
    sides = check_sides(width, height, conventional, ax)
    if required is not None and not (is_finite(required) and required > 0):
        raise ChoiceError(f"required must be a number above 0, not {required!r}")
    looks = _columns(table, "table", ("information", "z"), ())
    if not looks["z"].size:
        raise DataError("table", ["has no rows"])
    lines = _columns(boundary, "boundary", ("information", "boundary"), ("futility",))

    finite = lines["boundary"][np.isfinite(lines["boundary"])]
    tallest = max(LEAST_Z, abs(float(conventional)) * 1.2, 1.2 * float(np.abs(looks["z"]).max()))
    top = max(tallest, min(MOST_Z, 1.05 * float(finite.max(initial=0.0))))
    right = 1.04 * max(float(looks["information"].max()), required or 0.0, float(lines["information"].max(initial=0.0)))

    words = note_lines(notes)
    tall = 72.0 * sides[1] if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    y_ticks = ticks_within(-top, top, tall, 1.5 * SIZE)
    y_texts = tick_text(y_ticks)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), words)
    sheet = Sheet(ax, sides, labels, widest)
    panel = sheet.ax
    handles = _handles(lines, looks["z"].size, required, float(conventional))
    columns = 2 if sheet.wide >= TWO_COLUMNS else 1
    strip = LEGEND_LINE * (-(-len(handles) // columns) + 1)
    panel.set_xlim(0.0, right)
    panel.set_ylim(-top, top + 2.0 * top * strip / max(sheet.high - strip, 1.0))
    _paint(panel, looks, lines, required, float(conventional), (right, top))
    panel.legend(
        handles=handles,
        loc="upper left",
        ncols=columns,
        frameon=False,
        borderaxespad=0.2,
        prop={"family": "DejaVu Sans", "size": SMALL},
    )
    x_ticks = ticks_within(0.0, right, sheet.wide, SIZE)
    panel.set_xticks(list(x_ticks), labels=list(tick_text(x_ticks)))
    panel.set_yticks(list(y_ticks), labels=list(y_texts))
    dress(panel)
    panel.spines["left"].set_bounds(-top, top)
    sheet.finish()
    last = f"z = {looks['z'][-1]:.2f} at information {looks['information'][-1]:,.0f}"
    goal = "" if required is None else f" of {required:,.0f} required"
    return describe(
        root_figure(panel), f"Sequential plot of {count(looks['z'].size, 'look')}. Last look: {last}{goal}."
    )


def _boundary_style(lines: dict[str, FloatArray], looks: int) -> dict[str, Any]:
    """Boundaries at looks have marks; those that are a curve have none."""
    marker = "s" if lines["information"].size <= looks + 1 else ""
    return {"color": PREDICTED, "linewidth": 1.2, "marker": marker, "markersize": 2.5}


def _handles(lines: dict[str, FloatArray], looks: int, required: float | None, conventional: float) -> list[Line2D]:
    """What the legend explains: only what is drawn."""
    found = [Line2D([], [], color=POOLED, linewidth=1.4, marker="o", markersize=4, label="z after each look")]
    if lines["information"].size:
        found.append(Line2D([], [], label="boundary", **_boundary_style(lines, looks)))
    if "futility" in lines and np.isfinite(lines["futility"]).any():
        found.append(Line2D([], [], label="futility boundary", **FUTILITY))
    found.append(Line2D([], [], label=f"usual boundary of one test, {conventional:.3g}", **USUAL))
    if required is not None:
        found.append(Line2D([], [], color=QUIET, linewidth=1.2, label=f"required information, {required:,.0f}"))
    return found


def _paint(
    panel: Axes,
    looks: dict[str, FloatArray],
    lines: dict[str, FloatArray],
    required: float | None,
    conventional: float,
    corner: tuple[float, float],
) -> None:
    """Lines of reference below, then the boundaries, and the path of z on top; nothing reaches into the legend."""
    right, top = corner
    frame = Rectangle((0.0, -top), right, 2.0 * top, transform=panel.transData)
    panel.axhline(0.0, color=INK, linewidth=0.9, zorder=1)
    for sign in (1.0, -1.0):
        panel.axhline(sign * conventional, zorder=1, **USUAL)
    x, outer = lines["information"], lines["boundary"]
    places = heights = np.empty(0)
    if "futility" in lines:
        known = np.isfinite(lines["futility"])
        places, heights = x[known], lines["futility"][known]
        if places.size and not known[-1]:
            # Where all the information is there, not to cross the boundary is the end: both meet.
            places, heights = np.append(places, x[-1]), np.append(heights, outer[-1])
    for sign in (1.0, -1.0):
        drawn = panel.plot(x, sign * outer, zorder=3, **_boundary_style(lines, looks["z"].size))
        drawn += panel.plot(places, sign * heights, zorder=3, **FUTILITY)
        for line in drawn:
            line.set_clip_path(frame)
    if required is not None:
        panel.plot([required, required], [-top, top], color=QUIET, linewidth=1.2, zorder=2)
    path = np.append(0.0, looks["information"]), np.append(0.0, looks["z"])
    panel.plot(*path, color=POOLED, linewidth=1.4, zorder=4)
    panel.plot(looks["information"], looks["z"], "o", markersize=4, color=POOLED, markeredgecolor="white", zorder=5)
