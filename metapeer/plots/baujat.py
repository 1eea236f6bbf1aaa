"""The Baujat plot: what a study adds to heterogeneity, against what it does to the result."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count
from metapeer.plots.bubble import FARTHEST
from metapeer.plots.cells import clean_text
from metapeer.plots.panel_reading import Width, describe
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import INK, POOLED, PREDICTED, SIZE, SMALL, STUDY, root_figure
from metapeer.plots.text import PlainText, text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["baujat_plot"]

FloatArray = NDArray[np.float64]

MARGIN = 0.05
CROWD = 0.04
"""Share of both axes within which points are not named."""


def _read(table: pd.DataFrame) -> tuple[FloatArray, FloatArray, list[str], NDArray[np.bool_]]:
    """Take the points; every fault is listed, and points without a number are left out."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"table must be a DataFrame, not a {type(table).__name__}")
    absent = [column for column in ("x", "y") if column not in table]
    if absent:
        raise DataError("table", [Fault(column=column, message="is missing") for column in absent])
    faults, found = [], []
    for column in ("x", "y"):
        values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        bad = ~table[column].isna().to_numpy() & ~((values >= 0) & (values <= FARTHEST))
        faults += [
            Fault(row=f"row {i + 1}", column=column, message=f"{table[column].iloc[i]!r} is not a number of at least 0")
            for i in np.flatnonzero(bad).tolist()
        ]
        found.append(np.asarray(values))
    if faults:
        raise DataError("table", faults)
    there = np.isfinite(found[0]) & np.isfinite(found[1])
    if not there.any():
        raise DataError("table", ["has no point to draw"])
    labels = [clean_text(text).replace("\n", " ") for text in table["label"]] if "label" in table else [""] * len(table)
    marked = table["marked"].to_numpy(np.bool_) if "marked" in table else np.zeros(len(table), dtype=np.bool_)
    return found[0][there], found[1][there], [n for n, t in zip(labels, there, strict=True) if t], marked[there]


def baujat_plot(
    table: pd.DataFrame,
    *,
    x_label: str = "Squared Pearson residual (contribution to heterogeneity)",
    y_label: str = "Influence on the pooled effect",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.8,
    ax: Axes | None = None,
) -> Figure:
    """Draw a Baujat plot.

    Names stand beside the points from the farthest to the nearest, as far as they do not cover one another; the
    crowd at the origin has none.

    Parameters
    ----------
    table : DataFrame
        One row for each study: `x`, `y`, and if wanted `label` and `marked` (True for the other colour).
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
    Baujat et al. (2002), Stat Med 21:2641-2652.

    Examples
    --------
    >>> table = pd.DataFrame({"label": ["a", "b"], "x": [0.2, 4.1], "y": [0.1, 1.3]})
    >>> figure = baujat_plot(table)
    >>> len(figure.axes[0].lines[0].get_xdata())
    2
    """
    sides = check_sides(width, height, None, ax)
    x, y, labels, marked = _read(table)
    right, high = (float(values.max()) or 1.0 for values in (x, y))
    low_x, low_y = -MARGIN * right, -MARGIN * high
    right, high = (1.0 + MARGIN) * right, (1.0 + MARGIN) * high
    words = note_lines(notes)
    tall = 72.0 * sides[1] if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    y_ticks = ticks_within(low_y, high, tall, 2.5 * SIZE)
    y_texts = tick_text(y_ticks)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    sheet = Sheet(ax, sides, (clean_text(title), clean_text(x_label), clean_text(y_label), words), widest)
    panel = sheet.ax
    panel.set_xlim(low_x, right)
    panel.set_ylim(low_y, high)
    for there, face, edge in ((~marked, STUDY, POOLED), (marked, PREDICTED, PREDICTED)):
        if there.any():
            panel.plot(
                x[there],
                y[there],
                "o",
                markersize=5.5,
                markerfacecolor=face,
                markeredgecolor=edge,
                markeredgewidth=0.7,
                zorder=3,
            )
    _name(panel, x, y, labels, (sheet.wide / (right - low_x), sheet.high / (high - low_y)))
    x_ticks = ticks_within(low_x, right, sheet.wide, SIZE)
    panel.set_xticks(list(x_ticks), labels=list(tick_text(x_ticks)))
    panel.set_yticks(list(y_ticks), labels=list(y_texts))
    dress(panel)
    sheet.finish()
    far = [i for i in np.argsort(-((x / right) ** 2 + (y / high) ** 2), kind="stable").tolist() if labels[i]][:3]
    named = f" Farthest from the origin: {', '.join(labels[i] for i in far)}." if far else ""
    return describe(
        root_figure(panel), f"Baujat plot of {count(x.size, 'study', 'studies')}: {y_label} against {x_label}.{named}"
    )


def _name(panel: Axes, x: FloatArray, y: FloatArray, labels: Sequence[str], scale: tuple[float, float]) -> None:
    """Write names to the right of their points, or to the left, where no other name or point is covered."""
    across, up = x * scale[0], y * scale[1]
    left, right = (end * scale[0] for end in panel.get_xlim())
    taken: list[tuple[float, float, float, float]] = []

    def free(low: float, high: float, height: float, own: int) -> bool:
        box = (low, high, height - SMALL / 2, height + SMALL / 2)
        covered = (across > low - 2) & (across < high + 2) & (np.abs(up - height) < SMALL / 2 + 2)
        covered[own] = False
        clear = not covered.any() and all(box[1] < a or box[0] > b or box[3] < c or box[2] > d for a, b, c, d in taken)
        if clear:
            taken.append(box)
        return clear

    for i in np.argsort(-(across**2 + up**2), kind="stable").tolist():
        if not labels[i] or (x[i] < CROWD * x.max() and y[i] < CROWD * y.max()):
            continue
        reach = text_width(labels[i], SMALL)
        ends = [(across[i] + 5, across[i] + 5 + reach, "left"), (across[i] - 5 - reach, across[i] - 5, "right")]
        for low, high, side in ends:
            if left <= low and high <= right + 8 and free(low, high, float(up[i]), i):
                place = (across[i] + (5 if side == "left" else -5)) / scale[0]
                panel.add_artist(
                    PlainText(
                        place,
                        y[i],
                        labels[i],
                        size=SMALL,
                        color=INK,
                        ha=side,
                        va="center",
                        transform=panel.transData,
                        # A name may reach a little beyond the panel, and half a name is another study's.
                        clip_on=False,
                    )
                )
                break
