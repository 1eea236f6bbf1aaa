"""The p-curve: how significant p values are distributed, beside what no effect and a given power would make of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from metapeer.errors import ChoiceError
from metapeer.formatting import count
from metapeer.plots.bubble import _read
from metapeer.plots.cells import clean_text
from metapeer.plots.panel_reading import Width, describe
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import INK, POOLED, PREDICTED, RULE, SIZE, SMALL, root_figure
from metapeer.plots.text import PlainText, text_width

__all__ = ["p_curve_plot"]


def p_curve_plot(
    table: pd.DataFrame,
    *,
    power_label: str = "at the estimated power",
    x_label: str = "p value",
    y_label: str = "Share of significant p values (%)",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.2,
    ax: Axes | None = None,
) -> Figure:
    """Draw a p-curve from a table of shares.

    Parameters
    ----------
    table : DataFrame
        For each bin of p values its upper limit ``p`` and the shares in per cent ``observed``, ``no_effect``,
        ``power_33``, and if wanted ``power_estimated`` and ``count``; as ``PCurveResult.curve()`` makes it.
    power_label : str
        What the line of ``power_estimated`` is called.
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
    Simonsohn, Nelson & Simmons (2014), J Exp Psychol Gen 143:534-547.

    Examples
    --------
    >>> table = pd.DataFrame({"p": [0.01, 0.02, 0.03, 0.04, 0.05], "observed": [60, 20, 10, 10, 0],
    ...                       "no_effect": [20] * 5, "power_33": [44.3, 19.5, 14.4, 11.8, 10.0]})
    >>> figure = p_curve_plot(table)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['observed', 'without an effect', 'at 33% power']
    """
    sides = check_sides(width, height, None, ax)
    columns = _read(table, "table", ("p", "observed", "no_effect", "power_33"), ("power_estimated", "count"))
    p = columns["p"]
    if not (np.diff(p) > 0).all():
        raise ChoiceError("p must rise from row to row")
    words = note_lines(notes)
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), words)
    lines: list[tuple[str, str, str, Any, float]] = [
        ("power_estimated", power_label, PREDICTED, (0, (5, 2)), 1.2),
        ("no_effect", "without an effect", INK, (0, (1, 1.5)), 1.2),
        ("power_33", "at 33% power", RULE, "solid", 1.2),
    ]
    handles = [Line2D([], [], color=POOLED, marker="o", markersize=4.5, linewidth=1.6, label="observed")]
    for name, label, colour, dashes, thick in reversed(lines):
        if name in columns and np.isfinite(columns[name]).all():
            handles.append(Line2D([], [], color=colour, linestyle=dashes, linewidth=thick, label=clean_text(label)))
    handles[1:] = sorted(handles[1:], key=lambda line: line.get_label() != "without an effect")
    sheet = Sheet(ax, sides, labels, text_width("100", SIZE), keys=handles)
    panel = sheet.ax
    gap = float(p[0] if p.size == 1 else np.diff(p).min())
    panel.set_xlim(p[0] - 0.6 * gap, p[-1] + 0.6 * gap)
    panel.set_ylim(0.0, 108.0)
    for name, _, colour, dashes, thick in reversed(lines):
        if name in columns and np.isfinite(columns[name]).all():
            panel.plot(p, columns[name], color=colour, linestyle=dashes, linewidth=thick, zorder=2)
    panel.plot(p, columns["observed"], color=POOLED, marker="o", markersize=4.5, linewidth=1.6, zorder=3)
    for x, share in zip(p.tolist(), columns["observed"].tolist(), strict=True):
        text = PlainText(
            x, share + 3.0, f"{share:.0f}%", size=SMALL, color=POOLED, ha="center", va="baseline", zorder=4
        )
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        panel.add_artist(text)
    panel.set_xticks(p.tolist(), labels=[f"{value:g}" for value in p.tolist()])
    panel.set_yticks([0, 25, 50, 75, 100], labels=["0", "25", "50", "75", "100"])
    dress(panel)
    sheet.finish()
    shares = ", ".join(
        f"{share:.0f}% up to {value:g}" for value, share in zip(p.tolist(), columns["observed"].tolist(), strict=True)
    )
    number = f" of {count(int(columns['count'].sum()), 'significant p value')}" if "count" in columns else ""
    return describe(root_figure(panel), f"P-curve{number}. Observed: {shares}.")
