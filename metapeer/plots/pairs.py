"""Two estimates of the same thing, one above the other: published and recomputed, before and after."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import DataError, Fault
from metapeer.formatting import count
from metapeer.plots.cells import true_minus
from metapeer.plots.panel import Axis, Key, Panel, Words, names_height
from metapeer.plots.panel_reading import Width, describe, ends_around, inches, number_words, read_numbers, texts_of
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET, SMALL
from metapeer.plots.text import text_width, wrap_text

__all__ = ["draw_pairs"]

ROW = 27.0  # points from row to row
APART = 0.2  # of a row, from its middle to either estimate
ENDS = ("low", "high")
SIDE = 130.0  # points of the words on the right, at most


def draw_pairs(
    table: pd.DataFrame,
    *,
    first: str = "before",
    second: str = "after",
    arrows: bool = False,
    x_label: str = "Effect",
    log_scale: bool = False,
    null_value: float | None = 0.0,
    favours: tuple[str, str] | None = None,
    x_limits: tuple[float, float] | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 6.0,
    ax: Axes | None = None,
) -> Figure:
    """Draw pairs of estimates with their intervals, the first (open circle) above the second (diamond).

    Parameters
    ----------
    table : DataFrame
        One row for each pair, from the top: ``label``; ``first``, ``first_low``, ``first_high``, ``second``,
        ``second_low``, ``second_high``, any of which may be missing; and if wanted ``words``, what stands on the
        right, and ``marked``, whether it is written in bold.
    first, second : str
        What the key calls the two.
    arrows : bool, default False
        Whether an arrow leads from the first estimate to the second.
    x_label : str
        What the effects are.
    log_scale : bool, default False
        Whether effects are logarithms, to be read as ratios.
    null_value : float, optional
        Where a line marks no effect, in the table's units; none when None.
    favours : tuple of str, optional
        What low and high effects favour.
    x_limits : tuple of float, optional
        Ends of the axis, as printed on it; an interval that is cut ends in an arrowhead.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width : float or str, default 6.0
        Of the figure: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    ax : Axes, optional
        Where to draw; by default a new Figure, unknown to pyplot.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    DataError
        If the table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense.

    Examples
    --------
    >>> table = pd.DataFrame({"label": ["Recovery"], "first": [0.2], "second": [0.3]})
    >>> figure = draw_pairs(table, arrows=True)
    >>> [float(line.get_xdata()[0]) for line in figure.axes[0].lines if line.get_label() in ("_first", "_second")]
    [0.2, 0.3]
    """
    columns = [f"{which}{end}" for which in ("first", "second") for end in ("", "_low", "_high")]
    found = read_numbers(table, "table", (), columns)
    if "label" not in table:
        raise DataError("table", [Fault(column="label", message="is missing")])
    faults = [
        Fault(row=f"row {i + 1}", message=f"{which}_low {low:g} and {which}_high {high:g} are no interval")
        for which in ("first", "second")
        for i, (low, high) in enumerate(zip(found[f"{which}_low"], found[f"{which}_high"], strict=True))
        if low > high
    ]
    if faults:
        raise DataError("table", faults)
    labels, texts = texts_of(table, "label"), texts_of(table, "words")
    limit = min(SIDE, 0.26 * 72 * inches(width))
    side = [wrap_text(true_minus(text), limit, SMALL, bold=True) if text else [] for text in texts]
    marked = [bool(one) for one in table["marked"]] if "marked" in table else [False] * len(labels)
    marks = [] if null_value is None else [float(null_value)]
    low, high = ends_around(np.concatenate([*found.values(), marks]), x_limits, log=log_scale)
    k = len(labels)
    tall = max([ROW, names_height(labels, width), *(len(lines) * (SMALL + 2) + 4 for lines in side)])
    widest = max((text_width(line, SMALL, True) for lines in side for line in lines), default=0.0)
    panel = Panel(
        across=Axis(low=low, high=high, label=x_label, log=log_scale),
        up=Axis(low=-0.6, high=k - 0.4, names=tuple(labels[::-1])),
        words=Words(title=title, notes=notes, favours=favours),
        keys=[
            Key(label=first, marker="o", line="-", colour=QUIET, face="white", width=1.1),
            Key(label=second, marker="D", line="-", colour=POOLED, face=POOLED, width=1.6),
        ],
        width=width,
        height=max(1.0, k * tall / 72),
        ax=ax,
        right=16.0 + widest,
    )
    axes = panel.axes
    for mark in marks:
        axes.axvline(mark, color=INK, lw=0.8, zorder=1)
    for i in range(k):
        row = k - 1 - i
        if row % 2:
            axes.axhspan(row - 0.5, row + 0.5, color="#f4f6f9", lw=0, zorder=0)
        at: dict[str, float] = {}
        for which, lift, marker, colour, face, thick in (
            ("first", APART, "o", QUIET, "white", 1.1),
            ("second", -APART, "D", POOLED, POOLED, 1.6),
        ):
            ends = [float(found[f"{which}_{end}"][i]) for end in ENDS]
            if all(map(math.isfinite, ends)) and ends[1] >= low and ends[0] <= high:
                inner = [max(ends[0], low), min(ends[1], high)]
                axes.plot(inner, [row + lift] * 2, color=colour, lw=thick, zorder=3, label=f"_{which} interval")
                for end, cut, tip in ((low, ends[0] < low, "<"), (high, ends[1] > high, ">")):
                    if cut:
                        axes.plot([end], [row + lift], marker=tip, color=colour, ms=4, zorder=3, clip_on=False)
            value = float(found[which][i])
            if math.isfinite(value) and low <= value <= high:
                axes.plot([value], [row + lift], marker=marker, ms=5, mfc=face, mec=colour, mew=1.1, ls="", zorder=5,
                          label=f"_{which}")  # fmt: skip
                at[which] = value
        if arrows and len(at) == 2 and at["first"] != at["second"]:
            axes.annotate(
                "",
                xy=(at["second"], row - APART),
                xytext=(at["first"], row + APART),
                arrowprops={
                    "arrowstyle": "-|>,head_width=0.18,head_length=0.35",
                    "color": PREDICTED,
                    "lw": 1.0,
                    "shrinkA": 3,
                    "shrinkB": 3,
                },
                zorder=4,
            )
        _, y = panel.place(np.array([low]), np.array([float(row)]))
        for j, line in enumerate(side[i]):
            middle = float(y[0]) + (len(side[i]) / 2 - j - 0.5) * (SMALL + 2)
            panel.write(panel.wide + 8, middle - 0.36 * SMALL, line, size=SMALL, bold=marked[i], color=INK)
    told = [
        f"{label} {number_words(one, log=log_scale)} and {number_words(two, log=log_scale)}"
        for label, one, two in zip(labels, found["first"].tolist(), found["second"].tolist(), strict=True)
        if math.isfinite(one) and math.isfinite(two)
    ]
    text = f"{first.capitalize()} and {second} estimates of {count(k, 'result')}, with their intervals"
    more = f"; and {len(told) - 12} more" if len(told) > 12 else ""
    return describe(panel.figure, text + (f": {'; '.join(told[:12])}{more}." if told else "."))
