"""The bubble plot: studies as circles over a moderator, with a fitted line and its bands."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.style import (
    INK,
    LINE,
    POOLED,
    QUIET,
    RULE,
    SIZE,
    SMALL,
    SMALL_LINE,
    STUDY,
    TITLE,
    TITLE_LINE,
    root_figure,
)
from metapeer.plots.text import PlainText, text_width, wrap_text
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


def _check(width: float, height: float, null: float | None, ax: Axes | None) -> None:
    if null is not None and not is_finite(null):
        raise ChoiceError(f"null_value must be a finite number or None, not {null!r}")
    for name, value in (("width", width), ("height", height)):
        if not is_finite(value) or not 2 <= float(value) <= 200:
            raise ChoiceError(f"{name} must be a number of inches from 2 to 200, not {value!r}")
    if ax is not None and not (isinstance(ax, Axes) and ax.name == "rectilinear"):
        raise ChoiceError("ax must be plain matplotlib Axes")


class _Sheet:
    """Axes with room for title and notes, measured in points."""

    def __init__(
        self, ax: Axes | None, sides: tuple[float, float], words: tuple[str, str, str, Sequence[str]], tick: float
    ) -> None:
        width, height = (72.0 * side for side in sides)
        title, x_label, y_label, notes = words
        if ax is not None:
            box = ax.get_window_extent()
            inner, high = (side * 72 / root_figure(ax).dpi for side in (box.width, box.height))
            if not (inner > 0 and high > 0):
                raise ChoiceError("ax have no room to draw in")
        else:
            high = height
        self.y_label = wrap_text(y_label, high, SIZE) if y_label else []
        left, right = tick + 14 + LINE * len(self.y_label), 10.0
        if ax is None:
            inner = max(width - left - right, width / 4)
        self.tick, self.wide, self.high = tick, inner, high
        self.title = wrap_text(title, inner, TITLE, bold=True) if title else []
        self.x_label = wrap_text(x_label, inner, SIZE) if x_label else []
        self.notes = [line for note in notes for line in wrap_text(note, inner, SMALL)]
        if ax is not None:
            self.ax = ax
            return
        top = 8 + TITLE_LINE * len(self.title)
        bottom = (2.4 + len(self.x_label)) * LINE + SMALL_LINE * (len(self.notes) + 0.5)
        tall = height + top + bottom
        no_engine: Any = "none"  # matplotlib's types forget this choice; without it the caller's rcParams decide
        figure = Figure((width / 72, tall / 72), facecolor="white", layout=no_engine)
        self.ax = figure.add_axes((left / width, bottom / tall, inner / width, height / tall))

    def write(self) -> None:
        """Set title, axis labels and notes; distances are in points from the panel's lower left corner."""

        def put(x: float, y: float, text: str, size: float, **how: Any) -> None:
            place = (x / self.wide, y / self.high)
            self.ax.add_artist(PlainText(*place, text, size=size, transform=self.ax.transAxes, clip_on=False, **how))

        for i, line in enumerate(reversed(self.title)):
            put(0.0, self.high + 6 + i * TITLE_LINE, line, TITLE, bold=True, color=INK, ha="left", va="baseline")
        for i, line in enumerate(self.x_label):
            put(self.wide / 2, -(2.4 + i) * LINE, line, SIZE, color=INK, ha="center", va="baseline")
        for i, line in enumerate(reversed(self.y_label)):
            place = -self.tick - 12 - i * LINE
            put(place, self.high / 2, line, SIZE, color=INK, ha="right", va="center", rotation=90)
        below = -(2.8 + len(self.x_label)) * LINE
        for i, line in enumerate(self.notes):
            put(0.0, below - i * SMALL_LINE, line, SMALL, color=QUIET, ha="left", va="baseline")


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
    width: float = 5.5,
    height: float = 3.6,
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
        Whether each bubble has its label beside it.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width, height : float
        Of the figure, and of its panel, in inches.
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
    _check(width, height, null_value, ax)
    studies = _read(table, "table", POINTS, ("weight",))
    fitted = None if line is None else _read(line, "line", LINE_COLUMNS, ("pi_low", "pi_high"))
    marks = () if null_value is None else (null_value,)
    heights = [studies["estimate"], np.array(marks, dtype=np.float64)]
    if fitted is not None:
        heights += [fitted["ci_low"], fitted["ci_high"], fitted["estimate"]]
        heights += [fitted[name] for name in ("pi_low", "pi_high") if name in fitted]
    low, high = _ends(np.concatenate(heights), y_limits, "y_limits", log=log_scale)
    across = np.concatenate([studies["x"], *([] if fitted is None else [fitted["x"]])])
    left, right = _ends(across, x_limits, "x_limits", log=False)

    remarks = (notes,) if isinstance(notes, str) else tuple(notes)
    words = [true_minus(clean_text(note)) for note in remarks if clean_text(note)]
    tall = 72.0 * float(height) if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    y_ticks = ticks_within(low, high, tall, 2.5 * SIZE, ratio=log_scale)
    y_texts = tick_text(y_ticks, common=not log_scale)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), words)
    sheet = _Sheet(ax, (float(width), float(height)), labels, widest)
    panel = sheet.ax
    panel.set_xlim(left, right)
    panel.set_ylim(low, high)

    _paint(panel, studies, fitted, null_value)
    if name_studies and "label" in table:
        _name(panel, [clean_text(text) for text in table["label"]], studies)
    _dress(panel, y_ticks, y_texts, log=log_scale)
    sheet.write()
    return root_figure(panel)


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


def _name(panel: Axes, labels: Sequence[str], studies: dict[str, FloatArray]) -> None:
    """Write each label to the right of its bubble, or to the left where the right has no room."""
    sizes = _diameters(studies.get("weight"), studies["x"].size)
    left, right = panel.get_xlim()
    wide = panel.get_window_extent().width * 72 / root_figure(panel).dpi
    for label, x, y, size in zip(labels, studies["x"], studies["estimate"], sizes, strict=True):
        step = (size / 2 + 2) * (right - left) / wide
        reach = text_width(label, SMALL) * (right - left) / wide
        turned = x + step + reach > right and x - step - reach > left
        place, side = (x - step, "right") if turned else (x + step, "left")
        text = PlainText(
            place, y, label, size=SMALL, color=INK, ha=side, va="center", transform=panel.transData, zorder=5
        )
        panel.add_artist(text)


def _dress(panel: Axes, y_ticks: Sequence[float], y_texts: Sequence[str], *, log: bool) -> None:
    """Ticks and frame: two thin axes and nothing else."""
    left, right = panel.get_xlim()
    wide = panel.get_window_extent().width * 72 / root_figure(panel).dpi
    x_ticks = ticks_within(left, right, wide, SIZE)
    panel.set_xticks(x_ticks, labels=tick_text(x_ticks))
    panel.set_yticks([math.log(tick) for tick in y_ticks] if log else list(y_ticks), labels=list(y_texts))
    panel.minorticks_off()
    panel.tick_params(labelsize=SIZE, length=3, width=0.8, color=RULE, labelcolor=INK, labelfontfamily="DejaVu Sans")
    for side, spine in panel.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(RULE)
        spine.set_linewidth(0.8)
