"""The specification curve: every estimate in order, with its interval, and the choices that made it beneath."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count, format_level
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.panel_reading import Width, describe, inches, number_words
from metapeer.plots.style import INK, LINE, POOLED, PREDICTED, QUIET, RULE, SIZE, SMALL, SMALL_LINE, STUDY, TITLE
from metapeer.plots.text import PlainText, text_width, wrap_text
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["specification_curve_plot"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_BINS = 700
"""Columns of the panel of choices: more are not told apart in print, and each then shows a share."""
_FEW = 60
_GREY = "#c9c9c9"
_EDGE = 0.12
_GAP = 8.0
_TILE = 9.5
_ROWS = 80
_LONGEST = 130.0
"""Points that the name of an option may take; the curve needs the others."""


def _read(
    table: pd.DataFrame, tiles: Sequence[tuple[str, str, ArrayLike]]
) -> tuple[dict[str, FloatArray], BoolArray, list[tuple[str, str, BoolArray]]]:
    """Take the numbers; every fault is listed."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"table must be a DataFrame, not a {type(table).__name__}")
    columns = ("estimate", "ci_low", "ci_high")
    faults = [Fault(column=name, message="is missing") for name in columns if name not in table]
    numbers: dict[str, FloatArray] = {}
    for name in columns:
        if name in table:
            values = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
            numbers[name] = np.asarray(values)
            if not np.isfinite(values).all():
                faults.append(Fault(column=name, message="has cells that are not finite numbers"))
    if not len(table):
        faults.append(Fault(message="has no specification to draw"))
    read = []
    for name, label, reached in tiles:
        flags = np.asarray(reached)
        if flags.shape != (len(table),) or flags.dtype != np.bool_:
            message = f"needs True or False for each of the {len(table)} specifications"
            faults.append(Fault(row=f"{name}, {label}", message=message))
            continue
        read.append((_clean(name), _clean(label), flags))
    if len(tiles) > _ROWS:
        faults.append(Fault(message=f"{len(tiles)} options do not fit beneath a curve; {_ROWS} are the most"))
    if faults:
        raise DataError("table", faults)
    supports = table["supports"].to_numpy(np.bool_) if "supports" in table else np.zeros(len(table), dtype=np.bool_)
    return numbers, supports, read


def _clean(text: str) -> str:
    return clean_text(text).replace("\n", " ")


def _binned(flags: BoolArray, bins: int) -> FloatArray:
    """Share of the specifications of each bin."""
    edges = np.linspace(0, flags.size, bins + 1).round().astype(np.intp)
    before = np.r_[0, np.cumsum(flags)]
    return np.asarray((before[edges[1:]] - before[edges[:-1]]) / np.maximum(1, np.diff(edges)))


def specification_curve_plot(
    table: pd.DataFrame,
    *,
    tiles: Sequence[tuple[str, str, ArrayLike]] = (),
    label: str = "Estimate",
    ratio: bool = False,
    level: float = 0.95,
    shares: Mapping[str, float] | None = None,
    band: tuple[ArrayLike, ArrayLike] | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 7.2,
    height: Width = 2.6,
) -> Figure:
    """Draw a specification curve: estimates from the least to the largest, and beneath each the options it takes.

    Parameters
    ----------
    table : DataFrame
        A row for each specification: ``estimate``, ``ci_low``, ``ci_high``, and if wanted ``supports`` (True for the
        other colour); ratios on the log scale.
    tiles : sequence of (str, str, array of bool)
        Choice, option, and for each specification whether it takes it; options of one choice side by side.
    label : str
        What is estimated.
    ratio : bool, default False
        Whether estimates are logarithms, to be shown as ratios.
    level : float, default 0.95
        Of the intervals.
    shares : mapping of str to float, optional
        Eta squared of each choice, shown beside its name.
    band : (array, array), optional
        Lower and upper ends of curves under a null hypothesis, at evenly spaced ranks.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width, height : float or str
        Of the figure, and of its panel of estimates:
        inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
        The panel of choices takes what it needs.

    Returns
    -------
    matplotlib.figure.Figure
        A new figure, unknown to pyplot; estimates stand in ``figure.axes[0]``, choices in ``figure.axes[1]``. With more
        than 700 specifications a column of the choices stands for several, and its darkness for how many take the
        option.

    Raises
    ------
    DataError
        If the table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    Simonsohn, Simmons & Nelson (2020), Nat Hum Behav 4:1208-1214.

    Examples
    --------
    >>> table = pd.DataFrame({"estimate": [0.3, 0.1], "ci_low": [0.1, -0.2], "ci_high": [0.5, 0.4]})
    >>> tiles = [("tau2_method", "REML", np.array([True, False])), ("tau2_method", "DL", np.array([False, True]))]
    >>> figure = specification_curve_plot(table, tiles=tiles)
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [0.1, 0.3]
    """
    across, high_panel = 72 * inches(width), 72 * inches(height, "height")
    numbers, supports, rows = _read(table, tiles)
    order = np.argsort(numbers["estimate"], kind="stable")
    estimate, low, high = (numbers[name][order] for name in ("estimate", "ci_low", "ci_high"))
    supports = supports[order]
    # All lengths from here on are in points.
    limit = min(_LONGEST, 0.28 * across)
    rows = [(name, _shortened(label, limit), flags) for name, label, flags in rows]
    names = {name: _shortened(text, 0.36 * across, bold=True) for name, text in _choice_names(rows, shares).items()}
    left = _room(rows, names)
    panel_width = across - left - _GAP
    if panel_width < 40:
        raise ChoiceError(f"width {width} leaves no room for the curve beside the names of the options")
    words = [line for note in _notes(notes) for line in wrap_text(note, across - 2 * _GAP, SMALL)]
    limits = _limits(estimate, low, high, band)
    legend = _legend(supports, level, band is not None, estimate.size, shares is not None and bool(rows))
    if low.min() < limits[0] or high.max() > limits[1]:
        legend.append("Intervals that leave the panel are wider than it.")
    words = [line for text in legend for line in wrap_text(text, across - 2 * _GAP, SMALL)] + words
    heads = wrap_text(clean_text(title), across - 2 * _GAP, TITLE, bold=True) if title else []
    top = _GAP + len(heads) * (TITLE + 3.0)
    groups = len(dict.fromkeys(name for name, _, _ in rows))
    tall_tiles = len(rows) * _TILE + groups * 4.0
    bottom = _GAP + len(words) * SMALL_LINE + LINE * 1.6
    tall = top + high_panel + _GAP + tall_tiles + bottom
    no_engine: Any = "none"  # matplotlib's types forget this choice; without it the caller's rcParams decide
    figure = Figure((across / 72, tall / 72), facecolor="white", layout=no_engine)
    panel = figure.add_axes(
        (left / across, (bottom + tall_tiles + _GAP) / tall, panel_width / across, high_panel / tall)
    )
    _curve(panel, estimate, low, high, supports, band, ratio, limits, (panel_width, high_panel))
    panel.set_ylabel("")
    for at, line in enumerate(wrap_text(_clean(label), high_panel, SIZE)):
        figure.add_artist(
            PlainText(
                (_GAP + 2 + at * LINE) / across,
                (bottom + tall_tiles + _GAP + high_panel / 2) / tall,
                line,
                size=SIZE,
                color=INK,
                rotation=90,
                ha="center",
                va="center",
                transform=figure.transFigure,
            )
        )
    if rows:
        box = (left / across, bottom / tall, panel_width / across, tall_tiles / tall)
        _tiles(figure.add_axes(box), rows, names, order, (panel_width, tall_tiles), left)
    for at, line in enumerate(heads):
        _write(figure, _GAP, tall - _GAP - at * (TITLE + 3.0), line, TITLE, INK, across, tall, bold=True)
    axis = f"specifications in order of their estimates (1 to {estimate.size:,})"
    reach = text_width(axis, SMALL)
    _write(figure, max(_GAP, across - _GAP - reach), bottom - 4.0, axis, SMALL, QUIET, across, tall)
    for at, line in enumerate(words):
        _write(figure, _GAP, _GAP + (len(words) - at) * SMALL_LINE, true_minus(line), SMALL, QUIET, across, tall)
    middle, ends = float(np.median(estimate)), (float(estimate[0]), float(estimate[-1]))
    return describe(
        figure,
        f"Specification curve of {count(estimate.size, 'specification')}. {_clean(label)}: median "
        f"{number_words(middle, *ends, log=ratio)}, from the least to the largest. "
        f"{int(supports.sum()):,} support the claim.",
    )


def _write(
    figure: Figure, x: float, y: float, text: str, size: float, color: str, wide: float, tall: float, bold: bool = False
) -> None:
    figure.add_artist(
        PlainText(
            x / wide,
            y / tall,
            text,
            size=size,
            bold=bold,
            color=color,
            ha="left",
            va="top",
            transform=figure.transFigure,
        )
    )


def _notes(notes: Sequence[str]) -> list[str]:
    listed = (notes,) if isinstance(notes, str) else tuple(notes)
    return [clean_text(note) for note in listed if clean_text(note)]


def _choice_names(rows: Sequence[tuple[str, str, BoolArray]], shares: Mapping[str, float] | None) -> dict[str, str]:
    found = {}
    for name, _, _ in rows:
        share = None if shares is None else shares.get(name)
        told = "" if share is None or not math.isfinite(share) else f" ({100.0 * share:.1f}%)"
        found[name] = f"{name.replace('_', ' ')}{told}"
    return found


def _room(rows: Sequence[tuple[str, str, BoolArray]], names: Mapping[str, str]) -> float:
    """Width of the names of choices and options, at least that of the axis of estimates."""
    options = max((text_width(label, SMALL) for _, label, _ in rows), default=0.0)
    choices = max((text_width(text, SMALL, bold=True) for text in names.values()), default=0.0)
    return max(60.0, _GAP + choices + _GAP + options + 6.0)


def _shortened(label: str, limit: float, *, bold: bool = False) -> str:
    """Cut a name that is too long, with dots for what is cut."""
    if text_width(label, SMALL, bold) <= limit:
        return label
    kept = label
    while kept and text_width(f"{kept}…", SMALL, bold) > limit:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def _legend(supports: BoolArray, level: float, band: bool, n: int, shared: bool) -> list[str]:
    share = f"{int(supports.sum()):,} of {n:,}"
    lines = [f"Dark: estimates; bars: {format_level(level)} intervals, orange where they support the claim ({share})."]
    if band:
        lines.append("Grey, dashed: where 95% of curves lie, rank by rank, when there is no effect.")
    if n > _BINS:
        lines.append(
            "A column beneath stands for several specifications; the darker, the more of them take the option."
        )
    if shared:
        lines.append("In brackets: per cent of the variation of the estimates that a choice explains.")
    return lines


def _limits(
    estimate: FloatArray, low: FloatArray, high: FloatArray, band: tuple[ArrayLike, ArrayLike] | None
) -> tuple[float, float]:
    """Choose the ends of the axis: a few very wide intervals must not flatten the curve, and may leave the panel."""
    reach = 1.5 * max(float(np.ptp(estimate)), float(np.quantile(high - low, 0.9)), 1e-12)
    ends_low = min(0.0, max(float(low.min()), float(estimate.min()) - reach))
    ends_high = max(0.0, min(float(high.max()), float(estimate.max()) + reach))
    if band is not None:
        ends_low, ends_high = min(ends_low, float(np.min(band[0]))), max(ends_high, float(np.max(band[1])))
    margin = 0.04 * (ends_high - ends_low)
    return ends_low - margin, ends_high + margin


def _curve(
    panel: Axes,
    estimate: FloatArray,
    low: FloatArray,
    high: FloatArray,
    supports: BoolArray,
    band: tuple[ArrayLike, ArrayLike] | None,
    ratio: bool,
    limits: tuple[float, float],
    size: tuple[float, float],
) -> None:
    n = estimate.size
    x = np.arange(n, dtype=np.float64) + 0.5
    if band is not None:
        ends = [np.asarray(end, dtype=np.float64) for end in band]
        ranks = np.linspace(0.5, n - 0.5, ends[0].size) if ends[0].size > 1 else np.array([0.5 * n])
        panel.fill_between(ranks, ends[0], ends[1], color=_GREY, linewidth=0, zorder=1)
        for end in ends:
            panel.plot(ranks, end, "--", linewidth=0.9, color=INK, zorder=5)
    thick = min(2.2, max(0.3, 0.8 * size[0] / n))
    # Thousands of lines lie over one another; where both kinds meet in one pixel, each must still be seen.
    alpha = 1.0 if n <= 2000 else max(0.12, 2000.0 / n)
    for flags, colour in ((~supports, STUDY), (supports, PREDICTED)):
        if flags.any():
            lines = np.stack([np.column_stack([x, low]), np.column_stack([x, high])], axis=1)[flags]
            panel.add_collection(
                LineCollection(list(lines), colors=colour, linewidths=thick, alpha=alpha, rasterized=n > 400, zorder=2)
            )
    if n <= _FEW:
        panel.plot(x, estimate, "o", markersize=2.6, color=POOLED, zorder=4)
    else:
        panel.plot(x, estimate, "-", linewidth=1.4, color=POOLED, zorder=4, drawstyle="steps-mid")
    panel.axhline(0.0, color=INK, linewidth=0.8, zorder=3)
    panel.set_xlim(0, n)
    ends_low, ends_high = limits
    panel.set_ylim(ends_low, ends_high)
    ticks = list(ticks_within(ends_low, ends_high, size[1], 1.4 * SIZE, ratio=ratio))
    panel.set_yticks([math.log(tick) for tick in ticks] if ratio else ticks, labels=list(tick_text(ticks)))
    panel.set_xticks([])
    panel.minorticks_off()
    panel.tick_params(labelsize=SIZE, length=3, width=0.8, color=RULE, labelcolor=INK, labelfontfamily="DejaVu Sans")
    for side, spine in panel.spines.items():
        spine.set_visible(side == "left")
        spine.set_color(RULE)
        spine.set_linewidth(0.8)


def _tiles(
    panel: Axes,
    rows: Sequence[tuple[str, str, BoolArray]],
    names: Mapping[str, str],
    order: NDArray[np.intp],
    size: tuple[float, float],
    left: float,
) -> None:
    """Draw the panel of choices: a row for each option, dark where it is taken."""
    bins = min(order.size, _BINS)
    colours = LinearSegmentedColormap.from_list("taken", ["#f1f4f8", POOLED])
    at, before = 0.0, None
    for name, label, reached in rows:
        if before is not None and before != name:
            at += 4.0
        image = np.asarray([_binned(reached[order], bins)])
        panel.imshow(
            image,
            aspect="auto",
            interpolation="nearest",
            cmap=colours,
            vmin=0.0,
            vmax=1.0,
            extent=(0.0, 1.0, at + _TILE - _EDGE * _TILE, at + _EDGE * _TILE),
        )
        middle = at + _TILE / 2
        panel.add_artist(_name(panel, -5.0 / size[0], middle, label, "right", False))
        if before != name:
            panel.add_artist(_name(panel, (_GAP - left) / size[0], middle, names[name], "left", True))
        at, before = at + _TILE, name
    panel.set_xlim(0.0, 1.0)
    panel.set_ylim(size[1], 0.0)
    panel.axis("off")


def _name(panel: Axes, x: float, y: float, text: str, side: str, bold: bool) -> PlainText:
    return PlainText(
        x,
        y,
        text,
        size=SMALL,
        color=INK,
        ha=side,
        va="center",
        bold=bold,
        transform=panel.transData,
        clip_on=False,
    )
