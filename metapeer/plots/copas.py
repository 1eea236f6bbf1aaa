"""Copas' selection model in three panels: contours of the adjusted effect, the effect along the line, its test."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from metapeer.errors import ChoiceError, DataError
from metapeer.plots.bubble import _read
from metapeer.plots.cells import clean_text
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_reading import Width, describe, number_words
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET, RULE, SIZE, SMALL, root_figure
from metapeer.plots.text import FAMILY, text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["copas_plot"]

_LINE = ("publication_probability", "gamma0", "gamma1", "estimate", "residual_p")


def _frame(panel: Axes, x: tuple[float, float], y: tuple[float, float], wide: float, high: float) -> None:
    panel.set_xlim(*x)
    panel.set_ylim(*y)
    across = ticks_within(min(x), max(x), wide, 2.5 * SIZE)
    down = ticks_within(min(y), max(y), high, 2.5 * SIZE)
    panel.set_xticks(list(across), labels=list(tick_text(across)))
    panel.set_yticks(list(down), labels=list(tick_text(down)))
    dress(panel)


def _sheets(sides: tuple[float, float], heading: str, effect: str, words: Sequence[str]) -> tuple[Figure, list[Sheet]]:
    """Three sheets in one figure: each panel has its own labels, the first the title and the last the notes."""
    tick = text_width("−0.000", SIZE)
    lowest = "P(least precise study published)"
    plan: list[tuple[str, str, str, Sequence[str]]] = [
        (heading, "gamma0", "gamma1", ()),
        ("", lowest, effect, ()),
        ("", lowest, "p, residual selection", words),
    ]
    models = [Sheet(None, sides, labels, tick).ax for labels in plan]
    sizes = [float(root_figure(model).get_size_inches()[1]) for model in models]
    whole = sum(sizes)
    no_engine: Any = "none"  # matplotlib's types forget this choice; without it the caller's rcParams decide
    figure = Figure((sides[0], whole), facecolor="white", layout=no_engine)
    sheets, top = [], whole
    for labels, model, size in zip(plan, models, sizes, strict=True):
        box = model.get_position()
        place = (box.x0, (top - size + box.y0 * size) / whole, box.width, box.height * size / whole)
        sheets.append(Sheet(figure.add_axes(place), sides, labels, tick))
        top -= size
    return figure, sheets


def _name_contours(panel: Axes, drawn: Any) -> None:
    """Set the numbers of contours level; leave out those that would cover others or reach out of the panel."""
    figure = root_figure(panel)
    levels = [float(level) for level in drawn.levels]
    names = dict(zip(levels, tick_text(levels), strict=True))
    labels = panel.clabel(drawn, inline=False, fmt=names)
    left, right = (edge * 72 / figure.dpi for edge in panel.get_window_extent().intervalx)
    taken: list[tuple[float, float, float, float]] = []
    for label in labels:
        x, y = panel.transData.transform(label.get_position()) * 72 / figure.dpi
        half = text_width(label.get_text(), SMALL) / 2 + 2
        box = (x - half, x + half, y - SMALL / 2 - 1, y + SMALL / 2 + 1)
        if (
            box[0] < left
            or box[1] > right
            or any(box[1] > a and box[0] < b and box[3] > c and box[2] < d for a, b, c, d in taken)
        ):
            label.remove()
            continue
        taken.append(box)
        label.set(rotation=0, fontfamily=FAMILY, fontsize=SMALL, color=INK, parse_math=False, usetex=False)
        label.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def copas_plot(
    line: pd.DataFrame,
    surface: pd.DataFrame,
    *,
    slope: float = math.nan,
    residual_alpha: float = 0.1,
    effect_label: str = "Adjusted effect",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 2.3,
) -> Figure:
    """Draw Copas' selection model.

    Above, contours of the adjusted effect over both selection parameters, with the line that crosses them; in the
    middle, the adjusted effect with its interval along that line, by the probability that the least precise study is
    published; below, the p value of the test of selection that remains.

    Parameters
    ----------
    line : DataFrame
        Points of the line, as ``CopasResult.to_frame()`` makes them: ``publication_probability``, ``gamma0``,
        ``gamma1``, ``estimate``, ``residual_p``, and if wanted ``ci_low``, ``ci_high`` and ``selected``. The first is
        the model without selection.
    surface : DataFrame
        A full grid of ``gamma0`` and ``gamma1`` with the ``estimate`` at each.
    slope : float, optional
        Of the line in the unit square; no line is drawn when NaN.
    residual_alpha : float, default 0.1
        Where the test's level is drawn.
    effect_label : str
        What the effect is called.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width, height : float or str
        Of the figure, and of each panel: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.

    Returns
    -------
    matplotlib.figure.Figure
        A new figure with three axes, unknown to pyplot.

    Raises
    ------
    DataError
        If a table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    Carpenter, Schwarzer, Rücker & Künstler (2009), J Clin Epidemiol 62:624-631.

    Examples
    --------
    >>> grid = [(a, b) for a in (-1.0, 0.0, 1.0) for b in (0.0, 0.1, 0.2)]
    >>> surface = pd.DataFrame({"gamma0": [a for a, _ in grid], "gamma1": [b for _, b in grid],
    ...                         "estimate": [0.1 + 0.1 * a + b for a, b in grid]})
    >>> line = pd.DataFrame({"publication_probability": [1.0, 0.6], "gamma0": [10.0, 0.5], "gamma1": [0.0, 0.1],
    ...                      "estimate": [0.4, 0.3], "residual_p": [0.02, 0.3]})
    >>> len(copas_plot(line, surface).axes)
    3
    """
    sides = check_sides(width, height, None, None)
    if not is_finite(residual_alpha) or not 0.0 < float(residual_alpha) < 1.0:
        raise ChoiceError(f"residual_alpha must be a number between 0 and 1, not {residual_alpha!r}")
    points = _read(line, "line", _LINE, ("ci_low", "ci_high", "selected"))
    cells = _read(surface, "surface", ("gamma0", "gamma1", "estimate"), ())
    first, second = np.unique(cells["gamma0"]), np.unique(cells["gamma1"])
    if min(first.size, second.size) < 2 or first.size * second.size != cells["estimate"].size:
        raise DataError("surface", ["must be a full grid of at least two values of gamma0 and of gamma1"])
    order = np.lexsort((cells["gamma1"], cells["gamma0"]))
    z = cells["estimate"][order].reshape(first.size, second.size)
    words = note_lines(notes)

    figure, sheets = _sheets(sides, clean_text(title), clean_text(effect_label), words)
    contour, effects, test = (sheet.ax for sheet in sheets)
    wide, high = sheets[0].wide, sheets[0].high
    _frame(contour, (first[0], first[-1]), (second[0], second[-1]), wide, high)
    if np.ptp(z) > 0.0:
        drawn = contour.contour(first, second, z.T, levels=10, colors=QUIET, linewidths=0.8, linestyles="solid")
        _name_contours(contour, drawn)
    if is_finite(slope):
        x = np.array([0.0, 1.0])
        at = (first[0] + x * np.ptp(first), second[0] + (1.0 + slope * (x - 1.0)) * np.ptp(second))
        contour.plot(*at, color=PREDICTED, linewidth=1.2, linestyle=(0, (4, 2)), zorder=3)
    inner = points["gamma0"] <= first[-1]
    contour.plot(points["gamma0"][inner], points["gamma1"][inner], "o", color=POOLED, markersize=4.0, zorder=4)

    p = points["publication_probability"]
    across = (1.02, max(0.0, float(p.min()) - 0.05))
    low, high_ends = (points.get(name, points["estimate"]) for name in ("ci_low", "ci_high"))
    shown = np.concatenate([points["estimate"], low[np.isfinite(low)], high_ends[np.isfinite(high_ends)], [0.0]])
    room = 0.06 * (float(np.ptp(shown)) or 1.0)
    _frame(effects, across, (float(shown.min()) - room, float(shown.max()) + room), wide, high)
    effects.axhline(0.0, color=RULE, linewidth=0.8, zorder=1)
    for place, bottom, top_end in zip(p.tolist(), low.tolist(), high_ends.tolist(), strict=True):
        if math.isfinite(bottom) and math.isfinite(top_end):
            effects.plot([place, place], [bottom, top_end], color=POOLED, linewidth=1.0, zorder=2)
    effects.plot(p, points["estimate"], "o-", color=POOLED, markersize=4.0, linewidth=1.0, zorder=3)
    _frame(test, across, (0.0, 1.05), wide, high)
    test.axhline(float(residual_alpha), color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1)
    test.plot(p, points["residual_p"], "o-", color=POOLED, markersize=4.0, linewidth=1.0, zorder=3)
    chosen = np.flatnonzero(points.get("selected", np.zeros(p.size)) == 1.0)
    for panel, name in ((effects, "estimate"), (test, "residual_p")):
        panel.plot(p[chosen], points[name][chosen], "D", color=PREDICTED, markersize=6.0, zorder=5)
        ticks = [tick for tick in panel.get_xticks().tolist() if tick <= 1.0]  # the axis goes on, probabilities do not
        panel.set_xticks(ticks, labels=tick_text(ticks))
    for sheet in sheets:
        sheet.finish()
    whole = number_words(points["estimate"][0], low[0], high_ends[0])
    told = f"Copas' selection model in three panels. {effect_label} without selection: {whole}."
    if chosen.size:
        i = int(chosen[0])
        told += f" Adjusted: {number_words(points['estimate'][i], low[i], high_ends[i])}, where the least precise "
        told += f"study is published with probability {p[i]:.2f}."
    return describe(figure, told)
