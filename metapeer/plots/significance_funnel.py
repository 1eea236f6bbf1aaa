"""The significance funnel plot: affirmative effects and others, with what all and the others alone come to."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import count
from metapeer.plots.bubble import _read
from metapeer.plots.cells import clean_text
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_reading import Width, describe, number_words
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET, RULE, SIZE, root_figure
from metapeer.plots.text import text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["significance_funnel_plot"]


def significance_funnel_plot(
    table: pd.DataFrame,
    *,
    estimate: float,
    worst: float,
    alpha: float = 0.05,
    favoured: str = "positive",
    x_label: str = "Effect",
    y_label: str = "Standard error",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.6,
    ax: Axes | None = None,
) -> Figure:
    """Draw effects over their standard errors, with the line that parts affirmative ones from the others.

    Precise effects are at the top. Where the two estimates lie close together, selection of affirmative effects cannot
    explain the pooled effect.

    Parameters
    ----------
    table : DataFrame
        ``yi``, ``sei`` and ``affirmative`` (True or False).
    estimate, worst : float
        Pooled effect of all, and of those that are not affirmative.
    alpha : float, default 0.05
        Two-sided level of significance.
    favoured : {"positive", "negative"}, default "positive"
        On which side of 0 the line lies.
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
    Mathur & VanderWeele (2020), J R Stat Soc C 69:1091-1119.

    Examples
    --------
    >>> table = pd.DataFrame({"yi": [0.1, 0.6], "sei": [0.1, 0.2], "affirmative": [False, True]})
    >>> figure = significance_funnel_plot(table, estimate=0.3, worst=0.1)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['affirmative', 'not affirmative', 'all effects', 'worst case']
    """
    sides = check_sides(width, height, None, ax)
    check_choice("favoured", favoured, ("positive", "negative"))
    for name, value in (("estimate", estimate), ("worst", worst)):
        if not is_finite(value):
            raise ChoiceError(f"{name} must be a finite number, not {value!r}")
    if not is_finite(alpha) or not 0.0 < float(alpha) < 1.0:
        raise ChoiceError(f"alpha must be a number between 0 and 1, not {alpha!r}")
    columns = _read(table, "table", ("yi", "sei", "affirmative"), ())
    yi, sei, affirmed = columns["yi"], columns["sei"], columns["affirmative"] != 0.0
    words = note_lines(notes)
    tall = 72.0 * sides[1] if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    deepest = 1.05 * float(sei.max())
    y_ticks = ticks_within(0.0, deepest, tall, 2.5 * SIZE)
    y_texts = tick_text(y_ticks)
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), words)
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 5.0, "markeredgewidth": 1.1}
    dots["clip_on"] = False  # precise studies stand on the edge
    handles = [
        Line2D([], [], color=POOLED, markeredgecolor=POOLED, label="affirmative", **dots),
        Line2D([], [], color="white", markeredgecolor=PREDICTED, label="not affirmative", **dots),
        Line2D([], [], color=INK, linewidth=1.1, label="all effects"),
        Line2D([], [], color=PREDICTED, linewidth=1.3, linestyle=(0, (4, 2)), label="worst case"),
    ]
    sheet = Sheet(ax, sides, labels, max(text_width(text, SIZE) for text in y_texts), keys=handles)
    panel = sheet.ax
    sign = 1.0 if favoured == "positive" else -1.0
    reach = sign * NormalDist().inv_cdf(1.0 - float(alpha) / 2.0)
    spread = [*yi.tolist(), float(estimate), float(worst), 0.0]
    room = 0.06 * ((max(spread) - min(spread)) or 1.0)
    left, right = min(spread) - room, max(spread) + room
    panel.set_xlim(left, right)
    panel.set_ylim(deepest, 0.0)
    panel.axvline(0.0, color=RULE, linewidth=0.8, zorder=1)
    edge = np.array([0.0, deepest])
    panel.plot(reach * edge, edge, color=QUIET, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1)
    panel.axvline(float(estimate), color=INK, linewidth=1.1, zorder=2)
    panel.axvline(float(worst), color=PREDICTED, linewidth=1.3, linestyle=(0, (4, 2)), zorder=2)
    panel.plot(yi[affirmed], sei[affirmed], color=POOLED, markeredgecolor=POOLED, zorder=4, **dots)
    panel.plot(yi[~affirmed], sei[~affirmed], color="white", markeredgecolor=PREDICTED, zorder=3, **dots)
    x_ticks = ticks_within(left, right, sheet.wide, SIZE)
    panel.set_xticks(list(x_ticks), labels=list(tick_text(x_ticks)))
    panel.set_yticks(list(y_ticks), labels=list(y_texts))
    dress(panel)
    sheet.finish()
    return describe(
        root_figure(panel),
        f"Significance funnel plot of {count(yi.size, 'effect')}, {int(affirmed.sum())} of them affirmative. Pooled "
        f"effect of all: {number_words(float(estimate))}; worst case, of those that are not affirmative: "
        f"{number_words(float(worst))}.",
    )
