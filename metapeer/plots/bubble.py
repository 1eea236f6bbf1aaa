"""The bubble plot: studies as circles over a moderator, with a fitted line and its bands."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count
from metapeer.plots.cells import clean_text
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_names import Name, place_names
from metapeer.plots.panel_reading import Width, describe, number_words
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import (
    POOLED,
    RULE,
    SIZE,
    SMALL,
    STUDY,
    root_figure,
)
from metapeer.plots.text import text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["bubble_plot"]

FloatArray = NDArray[np.float64]

WIDEST_BUBBLE, NARROWEST_BUBBLE = 22.0, 3.0  # diameters in points
CONFIDENCE, PREDICTION = "#b9cce3", "#e7eef6"  # tints of the line's blue that stay apart in grey print
MARGIN = 0.05
POINTS = ("x", "estimate")
LINE_COLUMNS = ("x", "estimate", "ci_low", "ci_high")
FARTHEST = 1e100


def _read(table: pd.DataFrame, name: str, needed: Sequence[str], optional: Sequence[str]) -> dict[str, FloatArray]:
    """Take the columns as numbers; NaN only in optional columns. List every fault."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"{name} must be a DataFrame, not a {type(table).__name__}")
    absent = [column for column in needed if column not in table]
    if absent:
        raise DataError(name, [Fault(column=column, message="is missing") for column in absent])
    if not len(table):
        raise DataError(name, ["has no rows"])
    found: dict[str, FloatArray] = {}
    faults = []
    for column in (*needed, *(column for column in optional if column in table)):
        values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        bad = ~(np.abs(values) <= FARTHEST)
        if column in optional:
            bad &= ~table[column].isna().to_numpy()
        faults += [
            Fault(row=f"row {i + 1}", column=column, message=f"{table[column].iloc[i]!r} is not a finite number")
            for i in np.flatnonzero(bad).tolist()
        ]
        found[column] = np.asarray(values)
    if "weight" in found:
        faults += [
            Fault(row=f"row {i + 1}", column="weight", message="is below 0")
            for i in np.flatnonzero(found["weight"] < 0).tolist()
        ]
    if faults:
        raise DataError(name, faults)
    return found


def _diameters(weights: FloatArray | None, k: int) -> FloatArray:
    """Diameters in points; areas are proportional to weights."""
    if weights is None or not np.nanmax(weights, initial=0.0) > 0:
        return np.full(k, WIDEST_BUBBLE / 2)
    shares = np.nan_to_num(weights) / np.nanmax(weights)
    return np.maximum(NARROWEST_BUBBLE, WIDEST_BUBBLE * np.sqrt(shares))


def _ends(values: FloatArray, given: tuple[float, float] | None, name: str, *, log: bool) -> tuple[float, float]:
    if given is not None:
        good = isinstance(given, tuple | list) and len(given) == 2
        good = good and all(is_finite(v) for v in given)
        if not good or not float(given[0]) < float(given[1]) or (log and not float(given[0]) > 0):
            kind = "two ratios above 0" if log else "two numbers"
            raise ChoiceError(f"{name} must be {kind}, the lower first, not {given!r}")
        low, high = (math.log(v) if log else float(v) for v in given)
        return low, high
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = MARGIN * (high - low) if high > low else max(1.0, 0.1 * abs(low))
    return low - room, high + room


def bubble_plot(
    table: pd.DataFrame,
    *,
    line: pd.DataFrame | None = None,
    x_label: str = "",
    y_label: str = "",
    log_scale: bool = False,
    null_value: float | None = 0.0,
    name_studies: bool = False,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.6,
    x_limits: tuple[float, float] | None = None,
    y_limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a bubble plot from a table of studies and a table of points on a line.

    Areas of the bubbles are proportional to the weights (the largest is 22 points wide; none is narrower than 3). The
    smaller are drawn over the larger.

    Parameters
    ----------
    table : DataFrame
        One row for each study: `x`, `estimate`, and if wanted `weight` and `label`.
    line : DataFrame, optional
        Points on the fitted line: `x`, `estimate`, `ci_low`, `ci_high`, and if wanted `pi_low` and `pi_high`.
    x_label, y_label : str
        What the axes show.
    log_scale : bool, default False
        Whether estimates are logarithms, to be read as ratios.
    null_value : float, optional
        Where a dotted line marks no effect, in the table's units; none when None.
    name_studies : bool, default False
        Whether bubbles have their labels beside them. Where one would cover another or a bubble it is left out, which
        a note says.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width, height : float or str
        Of the figure, and of its panel: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    x_limits, y_limits : tuple of float, optional
        Ends of the axes, as printed on them (ratios when `log_scale`).
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
    Thompson & Higgins (2002), Stat Med 21:1559-1573.

    Examples
    --------
    >>> table = pd.DataFrame({"x": [2001, 2008, 2015], "estimate": [0.1, 0.3, 0.2], "weight": [20.0, 50.0, 30.0]})
    >>> figure = bubble_plot(table, x_label="Year", y_label="SMD")
    >>> len(figure.axes[0].collections[0].get_offsets())
    3
    """
    sides = check_sides(width, height, null_value, ax)
    studies = _read(table, "table", POINTS, ("weight",))
    fitted = None if line is None else _read(line, "line", LINE_COLUMNS, ("pi_low", "pi_high"))
    marks = () if null_value is None else (null_value,)
    heights = [studies["estimate"], np.array(marks, dtype=np.float64)]
    if fitted is not None:
        heights += [fitted["ci_low"], fitted["ci_high"], fitted["estimate"]]
        heights += [fitted[name] for name in ("pi_low", "pi_high") if name in fitted]
    tall = 72.0 * sides[1] if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    low, high = _ends(np.concatenate(heights), y_limits, "y_limits", log=log_scale)
    if y_limits is None:
        # The widest bubble has room within the axis even where it stands at an end.
        more = max(WIDEST_BUBBLE / 2 / tall - MARGIN, 0.0) * (high - low)
        low, high = low - more, high + more
    across = np.concatenate([studies["x"], *([] if fitted is None else [fitted["x"]])])
    left, right = _ends(across, x_limits, "x_limits", log=False)

    words = note_lines(notes)
    y_ticks = ticks_within(low, high, tall, 2.5 * SIZE, ratio=log_scale)
    y_texts = tick_text(y_ticks, common=not log_scale)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), words)
    sheet = Sheet(ax, sides, labels, widest)
    named: list[str] = []
    written: list[Name] = []
    if name_studies and "label" in table:
        ends = (left, right), (low, high)
        named, written, without = _names(table, studies, ends, (sheet.wide, sheet.high))
        if without:
            whose = count(without, "study", "studies")
            words.append(f"No room for {'the name' if without == 1 else 'the names'} of {whose}.")
            sheet = Sheet(ax, sides, labels, widest)
    panel = sheet.ax
    panel.set_xlim(left, right)
    panel.set_ylim(low, high)

    _paint(panel, studies, fitted, null_value)
    for one in written:
        sheet.write(one.x, one.y, named[one.index], size=SMALL, ha=one.side)
    _dress(panel, y_ticks, y_texts, log=log_scale)
    sheet.finish()
    return describe(root_figure(panel), _told(studies, fitted, (x_label, y_label), log=log_scale))


def _told(
    studies: dict[str, FloatArray], fitted: dict[str, FloatArray] | None, labels: tuple[str, str], *, log: bool
) -> str:
    """Say in words what the plot shows."""
    x = studies["x"]
    about = " over ".join(label for label in labels[::-1] if label)
    text = f"Bubble plot of {count(x.size, 'study', 'studies')}{f': {about}' if about else ''}, "
    text += f"from {x.min():.6g} to {x.max():.6g}."
    if fitted is None:
        return text
    ends = [int(np.argmin(fitted["x"])), int(np.argmax(fitted["x"]))]
    first, last = (
        number_words(*(float(fitted[name][i]) for name in ("estimate", "ci_low", "ci_high")), log=log) for i in ends
    )
    return f"{text} The fitted line runs from {first} to {last}."


def _paint(
    panel: Axes, studies: dict[str, FloatArray], fitted: dict[str, FloatArray] | None, null: float | None
) -> None:
    """Bands below, then no effect, the line, and the bubbles on top, the largest first."""
    sizes = _diameters(studies.get("weight"), studies["x"].size)
    order = np.argsort(-sizes, kind="stable")
    panel.scatter(
        studies["x"][order],
        studies["estimate"][order],
        s=sizes[order] ** 2,
        facecolor=STUDY,
        edgecolor=POOLED,
        linewidth=0.6,
        alpha=0.75,
        zorder=4,
    )
    if null is not None:
        panel.axhline(null, color=RULE, linewidth=0.8, linestyle=(0, (1, 2)), zorder=2)
    if fitted is None:
        return
    order = np.argsort(fitted["x"], kind="stable")
    x = fitted["x"][order]
    if "pi_low" in fitted and "pi_high" in fitted and np.isfinite(fitted["pi_low"]).any():
        panel.fill_between(x, fitted["pi_low"][order], fitted["pi_high"][order], color=PREDICTION, lw=0, zorder=0)
    panel.fill_between(x, fitted["ci_low"][order], fitted["ci_high"][order], color=CONFIDENCE, lw=0, zorder=1)
    panel.plot(x, fitted["estimate"][order], color=POOLED, linewidth=1.4, zorder=3)


def _names(
    table: pd.DataFrame,
    studies: dict[str, FloatArray],
    ends: tuple[tuple[float, float], tuple[float, float]],
    size: tuple[float, float],
) -> tuple[list[str], list[Name], int]:
    """Find room for the names of the studies, those with the largest bubbles first."""
    labels = [clean_text(text).replace("\n", " ") for text in table["label"]]
    across, up = (
        (studies[name] - end[0]) / (end[1] - end[0]) * side
        for name, end, side in zip(("x", "estimate"), ends, size, strict=True)
    )
    sizes = _diameters(studies.get("weight"), across.size)
    order = np.argsort(-sizes, kind="stable").tolist()
    return labels, *place_names(across, up, labels, sizes / 2, size, order=order)


def _dress(panel: Axes, y_ticks: Sequence[float], y_texts: Sequence[str], *, log: bool) -> None:
    """Ticks and frame: two thin axes and nothing else."""
    left, right = panel.get_xlim()
    wide = panel.get_window_extent().width * 72 / root_figure(panel).dpi
    x_ticks = ticks_within(left, right, wide, SIZE)
    panel.set_xticks(x_ticks, labels=tick_text(x_ticks))
    panel.set_yticks([math.log(tick) for tick in y_ticks] if log else list(y_ticks), labels=list(y_texts))
    dress(panel)
