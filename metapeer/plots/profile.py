"""The profile plot: how the likelihood falls away from its maximum as one parameter varies."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault, check_choice
from metapeer.formatting import format_level
from metapeer.plots.bubble import FARTHEST
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_reading import Width, describe, number_words
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import POOLED, PREDICTED, QUIET, RULE, SIZE, SMALL, root_figure
from metapeer.plots.text import PlainText, text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["profile_plot"]

FloatArray = NDArray[np.float64]

KINDS = ("curve", "maximum", "local maximum", "limit", "estimate")
SHALLOW, DEEP = 1.3, 2.5
"""The plot reaches at least and, unless a maximum lies deeper, at most so many times as deep as the cut-off line."""
MARGIN = 0.03


def _read(table: pd.DataFrame) -> tuple[FloatArray, FloatArray, list[str]]:
    """Take values, heights below the highest, and kinds, in ascending order of value. List every fault."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"table must be a DataFrame, not a {type(table).__name__}")
    absent = [column for column in ("value", "log_likelihood") if column not in table]
    if absent:
        raise DataError("table", [Fault(column=column, message="is missing") for column in absent])
    columns = {}
    faults = []
    for column in ("value", "log_likelihood"):
        numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        bad = ~(np.abs(numbers) <= FARTHEST)
        if column == "log_likelihood":
            bad &= ~table[column].isna().to_numpy()
        faults += [
            Fault(row=f"row {i + 1}", column=column, message=f"{table[column].iloc[i]!r} is not a finite number")
            for i in np.flatnonzero(bad).tolist()
        ]
        columns[column] = numbers
    kinds = [str(kind) for kind in table["kind"]] if "kind" in table else ["curve"] * len(table)
    for i, kind in enumerate(kinds):
        try:
            check_choice("kind", kind, KINDS)
        except ChoiceError as error:
            faults.append(Fault(row=f"row {i + 1}", column="kind", message=str(error)))
    if not faults and np.isfinite(columns["log_likelihood"]).sum() < 2:
        faults.append(Fault(column="log_likelihood", message="has fewer than two numbers; a curve needs two"))
    elif not faults and np.ptp(columns["value"]) == 0.0:
        faults.append(Fault(column="value", message="is the same in all rows; a curve needs two values"))
    if faults:
        raise DataError("table", faults)
    order = np.argsort(columns["value"], kind="stable")
    heights = columns["log_likelihood"][order] - float(np.nanmax(columns["log_likelihood"]))
    return columns["value"][order], heights, [kinds[i] for i in order.tolist()]


def _limits(values: FloatArray, given: tuple[float, float] | None, offset: float | None) -> tuple[float, float]:
    """Ends of the axis as they are printed."""
    if given is not None:
        good = isinstance(given, tuple | list) and len(given) == 2 and all(is_finite(v) for v in given)
        if not good or not float(given[0]) < float(given[1]):
            raise ChoiceError(f"x_limits must be two numbers, the lower first, not {given!r}")
        low, high = float(given[0]), float(given[1])
    else:
        low, high = float(values.min()), float(values.max())
    if offset is not None and low <= -offset:
        raise ChoiceError(f"an axis even in log(value + {offset:g}) has no place for {low:g}; leave offset out")
    return low, high


def _log_ticks(low: float, high: float, offset: float, width: float) -> list[float]:
    """Zero and numbers of one digit, as many as do not touch, on an axis even in log(value + offset)."""
    span = math.log((high + offset) / (low + offset))

    def place(value: float) -> float:
        return math.log((value + offset) / (low + offset)) / span * width

    powers = range(math.floor(math.log10(offset)) - 1, math.ceil(math.log10(max(high, offset))) + 1)
    for digits, step in (((1, 2, 5), 1), ((1, 3), 1), *(((1,), step) for step in (1, 2, 3, 5, 10, 20, 50))):
        inside = [0.0, *(float(f"{digit}e{power}") for power in powers if power % step == 0 for digit in digits)]
        kept: list[float] = []
        crowded = False
        for value in (v for v in inside if low <= v <= high):
            if kept:
                halves = [text_width(text, SIZE) / 2 for text in tick_text([kept[-1], value], common=False)]
                if place(value) - place(kept[-1]) <= sum(halves) + SIZE / 2:
                    crowded |= kept[-1] != 0.0  # near zero the logarithm flattens, and labels may be left out
                    continue
            kept.append(value)
        if not crowded and 2 <= len(kept) <= 8:
            break
    return kept


def profile_plot(
    table: pd.DataFrame,
    *,
    level: float = 0.95,
    x_label: str = "",
    y_label: str = "Log-likelihood below its maximum",
    offset: float | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.0,
    x_limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a profile plot from a table of values of a parameter and their log-likelihoods.

    The curve runs through all rows. A dashed line lies where a likelihood-ratio test with one degree of freedom begins
    to reject: half the quantile of chi-squared below the highest row.

    Parameters
    ----------
    table : DataFrame
        `value`, `log_likelihood`, and if wanted `kind`: "curve" for points of the curve, "maximum" (a filled circle),
        "local maximum" (an open circle), "limit" (a thin line from the dashed line to the axis), and "estimate" (a
        diamond). Without "maximum" the highest row has the filled circle. Where the log-likelihood is missing the
        curve has a gap.
    level : float, default 0.95
        Of the test.
    x_label, y_label : str
        What the axes show.
    offset : float, optional
        Above 0: the axis is even in ``log(value + offset)``, which keeps maxima apart that lie orders of magnitude
        apart and has a place for 0. By default it is even in the value.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width, height : float or str
        Of the figure, and of its panel: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    x_limits : tuple of float, optional
        Ends of the axis, as printed on it.
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
    Raue et al. (2009), Bioinformatics 25:1923-1929.

    Examples
    --------
    >>> table = pd.DataFrame({"value": [0.0, 0.1, 0.2, 0.4], "log_likelihood": [-5.1, -4.0, -4.3, -6.2]})
    >>> figure = profile_plot(table, x_label="Variance between trials")
    >>> [round(float(end), 3) for end in figure.axes[0].get_xlim()]
    [-0.012, 0.412]
    """
    sides = check_sides(width, height, None, ax)
    if not is_finite(level) or not 0.0 < float(level) < 1.0:
        raise ChoiceError(f"level must be a number between 0 and 1, not {level!r}")
    if offset is not None and (not is_finite(offset) or not float(offset) > 0.0):
        raise ChoiceError(f"offset must be a number above 0 or None, not {offset!r}")
    values, heights, kinds = _read(table)
    low, high = _limits(values, x_limits, offset)
    if offset is not None and float(values.min()) <= -offset:
        raise ChoiceError(f"an axis even in log(value + {offset:g}) has no place for {values.min():g}")

    def at(value: FloatArray) -> FloatArray:
        return value if offset is None else np.log(value + offset)

    # The quantile of chi-squared with one degree of freedom is a normal quantile squared.
    cut = 0.5 * NormalDist().inv_cdf(0.5 + 0.5 * float(level)) ** 2
    peaks = [-y for y, kind in zip(heights.tolist(), kinds, strict=True) if "maximum" in kind and not math.isnan(y)]
    depth = max(SHALLOW * cut, min(DEEP * cut, -float(np.nanmin(heights))), 1.25 * max(peaks, default=0.0))
    left, right = (float(at(np.array(end))) for end in (low, high))
    room = MARGIN * (right - left)

    words = note_lines(notes)
    tall = 72.0 * sides[1] if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    y_ticks = ticks_within(-depth, 0.0, tall, 2.5 * SIZE)
    y_texts = tick_text(y_ticks)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), words)
    sheet = Sheet(ax, sides, labels, widest)
    panel = sheet.ax
    panel.set_xlim(left - room, right + room)
    panel.set_ylim(-depth, 0.06 * depth)

    x = at(values)
    _paint(panel, x, heights, kinds, cut)
    label = true_minus(f"{format_level(float(level))}: {-cut:.2f}")
    # Below the line there is room between the ends of what lies above it; if that is too narrow, the right end serves.
    above = x[heights >= -cut]
    point = (right - left + 2.0 * room) / sheet.wide
    inside = float(np.ptp(above)) > (text_width(label, SMALL) + SIZE) * point
    place = 0.5 * float(above[0] + above[-1]) if inside else right + room
    step = (-2.5 if inside else 2.5) * 1.06 * depth / sheet.high
    side, foot = ("center", "top") if inside else ("right", "bottom")
    panel.add_artist(
        PlainText(place, step - cut, label, size=SMALL, color=QUIET, transform=panel.transData, ha=side, va=foot)
    )
    x_ticks = ticks_within(low, high, sheet.wide, SIZE) if offset is None else _log_ticks(low, high, offset, sheet.wide)
    x_texts = tick_text(x_ticks, common=offset is None)
    _dress(panel, at(np.array(x_ticks)).tolist(), x_texts, y_ticks, y_texts)
    sheet.finish()
    best = float(values[int(np.nanargmax(heights))])
    limits = [number_words(float(v)) for v, kind in zip(values, kinds, strict=True) if kind == "limit"]
    told = f"Profile of a likelihood over {x_label or 'a parameter'}: highest at {number_words(best)}"
    told += f"; limits of the {format_level(float(level))} interval: {' and '.join(limits)}" if limits else ""
    return describe(root_figure(panel), told + ".")


def _paint(panel: Axes, x: FloatArray, heights: FloatArray, kinds: Sequence[str], cut: float) -> None:
    """The cut-off and the limits below, then the curve, and the marks on top."""
    floor = panel.get_ylim()[0]
    panel.axhline(-cut, color=RULE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    chosen = {kind: [i for i, one in enumerate(kinds) if one == kind] for kind in KINDS}
    for i in chosen["limit"]:
        if not math.isnan(heights[i]):
            panel.plot([x[i], x[i]], [floor, heights[i]], color=RULE, linewidth=0.8, zorder=1)
    panel.plot(x, heights, color=POOLED, linewidth=1.4, zorder=3)
    if not chosen["maximum"]:
        chosen["maximum"] = [int(np.nanargmax(heights))]
    for kind, marker, face, edge, size in (
        ("local maximum", "o", "white", POOLED, 5.5),
        ("maximum", "o", POOLED, POOLED, 5.5),
        ("estimate", "D", PREDICTED, PREDICTED, 4.5),
    ):
        where = [i for i in chosen[kind] if not math.isnan(heights[i])]
        if where:
            panel.plot(
                x[where],
                heights[where],
                linestyle="none",
                marker=marker,
                markersize=size,
                markerfacecolor=face,
                markeredgecolor=edge,
                markeredgewidth=1.1,
                zorder=4,
            )


def _dress(
    panel: Axes, x_ticks: Sequence[float], x_texts: Sequence[str], y_ticks: Sequence[float], y_texts: Sequence[str]
) -> None:
    """Ticks and frame: two thin axes and nothing else."""
    panel.set_xticks(list(x_ticks), labels=list(x_texts))
    panel.set_yticks(list(y_ticks), labels=list(y_texts))
    dress(panel)
