"""The Galbraith (radial) plot: standardised effects against precision, with the effects on an arc."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError
from metapeer.formatting import count
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel import Axis, Key, Panel, Words
from metapeer.plots.panel_names import name_points
from metapeer.plots.panel_reading import (
    FloatArray,
    Width,
    check_axes,
    describe,
    inches,
    number_words,
    read_numbers,
    texts_of,
)
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET, SIZE, STUDY, root_figure
from metapeer.plots.text import text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["draw_galbraith"]

CONFIDENCE = "#e3ebf4"
RADIUS = 2.75  # points
ARC_ROOM = 1.1  # the arc stands so many times as far out as the farthest study
STEEPEST = 0.35  # a study higher than the panel is wide would push the arc away without end
HIGHEST = 259.2  # points
BESIDE = 105.0  # points that the axis and the arc's numbers take of the width


def draw_galbraith(
    table: pd.DataFrame,
    *,
    estimate: float,
    ci_low: float,
    ci_high: float,
    half_width: float = 1.959963984540054,
    band_label: str = "",
    x_label: str = "1 / standard error",
    y_label: str = "Effect / standard error",
    effect_label: str = "Effect",
    log_scale: bool = False,
    name_outside: bool = True,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a Galbraith plot: the slope of the line from the origin to a study is its effect, as read on the arc.

    Parameters
    ----------
    table : DataFrame
        One row for each study: ``estimate``, ``se``, and if wanted ``label``. Where heterogeneity is to count, `se` is
        its square root with the sampling variance.
    estimate, ci_low, ci_high : float
        The pooled effect and its interval, in the table's units.
    half_width : float
        Of the band about the line of the pooled effect: a quantile of the normal distribution.
    band_label : str
        What the key calls the band.
    x_label, y_label, effect_label : str
        What the axes and the arc show.
    log_scale : bool, default False
        Whether effects are logarithms; the arc then shows ratios.
    name_outside : bool, default True
        Whether studies outside the band are named.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width : float or str, default 5.5
        Of the figure: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    height : float, optional
        Of its panel, in inches; by default 3.6, or three quarters of the panel's width where that is less, so that the
        arc has every study within it.
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

    References
    ----------
    Galbraith (1988), Stat Med 7:889-894; Galbraith (1994), J Am Stat Assoc 89:1232-1242.

    Examples
    --------
    >>> table = pd.DataFrame({"estimate": [0.1, 0.3, 0.2], "se": [0.1, 0.2, 0.15]})
    >>> figure = draw_galbraith(table, estimate=0.17, ci_low=0.02, ci_high=0.32)
    >>> [round(float(x), 2) for x in figure.axes[0].collections[-1].get_offsets()[:, 0]]
    [10.0, 5.0, 6.67]
    """
    for name, value in (("estimate", estimate), ("ci_low", ci_low), ("ci_high", ci_high), ("half_width", half_width)):
        if not is_finite(value):
            raise ChoiceError(f"{name} must be a finite number, not {value!r}")
    check_axes(ax)
    found = read_numbers(table, "table", ("estimate", "se"))
    if (found["se"] <= 0).any():
        where = ", ".join(str(i + 1) for i in np.flatnonzero(found["se"] <= 0))
        raise ChoiceError(f"table: se must be above 0; it is not in row {where}")
    x = 1 / found["se"]
    y = found["estimate"] / found["se"]
    outside = np.abs(found["estimate"] - estimate) > half_width * found["se"]
    labels = texts_of(table, "label")
    wide = 72 * inches(width) - BESIDE
    tall = min(HIGHEST, 0.75 * wide) if height is None else 72 * inches(height, "height")
    sides = (wide, tall)
    if ax is not None:
        box, dpi = ax.get_window_extent(), root_figure(ax).dpi
        sides = (box.width * 72 / dpi, box.height * 72 / dpi)
    furthest = float(x.max()) * ARC_ROOM
    for _ in range(3):  # the ends of the one axis depend on those of the other
        low, high = _ends(y, np.array([estimate, ci_low, ci_high]) * furthest, half_width)
        furthest = _furthest(x, y, sides, high - low)
    low, high = _ends(y, np.array([estimate, ci_low, ci_high]) * furthest, half_width)
    keys = [
        Key(label="study within the band", marker="o"),
        Key(label="study outside", marker="D", face="white", colour=PREDICTED),
        Key(label=f"pooled effect; arc: {effect_label}, bold along its interval", line="-", width=1.4),
        Key(label=band_label or f"band of ±{half_width:.2f}", field=True, face=CONFIDENCE),
    ]
    panel = Panel(
        across=Axis(low=0.0, high=furthest, label=x_label),
        up=Axis(low=low, high=high, label=y_label),
        words=Words(title=title, notes=notes),
        keys=keys if outside.any() else [keys[0], *keys[2:]],
        width=width,
        height=max(tall / 72, 1.0),
        ax=ax,
        right=18.0 + SIZE * 4.2,
    )
    axes = panel.axes
    ends = np.array([0.0, furthest])
    axes.fill_between(
        ends, estimate * ends - half_width, estimate * ends + half_width, color=CONFIDENCE, lw=0, zorder=0
    )
    steep = estimate * panel.high / (high - low) * furthest / panel.wide
    to_arc = ends * math.cos(math.atan(steep))
    axes.plot(to_arc, estimate * to_arc, color=POOLED, lw=1.4, zorder=2)
    axes.plot(ends, 0 * ends, color=QUIET, lw=0.8, ls=(0, (1, 2)), zorder=1)
    shown = np.concatenate([found["estimate"], [estimate, ci_low, ci_high, 0.0]])
    taken = _arc(panel, (estimate, ci_low, ci_high), (float(shown.min()), float(shown.max())), log=log_scale)
    for group, marker, face, edge in ((~outside, "o", STUDY, POOLED), (outside, "D", "white", PREDICTED)):
        if group.any():
            axes.scatter(x[group], y[group], s=(2 * RADIUS) ** 2, marker=marker, facecolor=face, edgecolor=edge,
                         linewidth=0.8, zorder=4, clip_on=False)  # fmt: skip
    if name_outside:
        far = np.abs(found["estimate"] - estimate) / found["se"]
        order = [i for i in np.argsort(-far, kind="stable").tolist() if outside[i]]
        name_points(panel, x, y, labels, np.full(x.size, RADIUS + 1), order=order, avoid=taken)
    far_out = int(outside.sum())
    return describe(
        panel.figure,
        f"Galbraith plot of {count(x.size, 'study', 'studies')}: effect divided by its standard error against "
        f"precision. Pooled effect: {number_words(estimate, ci_low, ci_high, log=log_scale)}; {far_out} outside the "
        "band about it.",
    )


def _ends(y: FloatArray, at_arc: FloatArray, half_width: float) -> tuple[float, float]:
    """Ends of the axis upwards, around the studies and the band."""
    tall = np.concatenate([y, at_arc, at_arc[0] + half_width * np.array([-1.0, 1.0]), [half_width, -half_width]])
    low, high = float(tall.min()), float(tall.max())
    return low - 0.06 * (high - low), high + 0.06 * (high - low)


def _furthest(x: FloatArray, y: FloatArray, sides: tuple[float, float], range_up: float) -> float:
    """End of the axis across, so that the arc, which ends there, has every study within it."""
    wide, tall = max(sides[0], 1.0), sides[1]
    up = np.abs(y) * tall / range_up / wide  # heights as shares of the panel's width
    free = np.sqrt(np.maximum(ARC_ROOM**-2 - up**2, STEEPEST**2))
    return float((x / free).max())


def _arc(
    panel: Panel, pooled: tuple[float, float, float], reach: tuple[float, float], *, log: bool
) -> list[tuple[float, float, float, float]]:
    """Draw the scale of the effects in `reach` on an arc about the origin, and tell which boxes it takes."""
    origin_x, origin_y = (float(v[0]) for v in panel.place(np.array([0.0]), np.array([0.0])))
    slope = (panel.high / (panel.up.high - panel.up.low)) / (panel.wide / (panel.across.high - panel.across.low))
    radius = panel.wide - origin_x

    def at(effects: FloatArray, more: float = 0.0) -> tuple[FloatArray, FloatArray]:
        angle = np.arctan(effects * slope)
        return origin_x + (radius + more) * np.cos(angle), origin_y + (radius + more) * np.sin(angle)

    # effects whose rays leave the panel above or below are not on the arc
    angles = [math.asin(max(-1.0, min(1.0, side / radius))) for side in (-origin_y, panel.high - origin_y)]
    low, high = (math.tan(max(-1.45, min(1.45, angle))) / slope for angle in angles)
    room = 0.08 * (reach[1] - reach[0]) or 1.0 / (panel.across.high - panel.across.low)
    low, high = max(low, reach[0] - room), min(high, reach[1] + room)
    points = panel.points()
    curve = at(np.linspace(low, high, 200))
    panel.axes.plot(*curve, transform=points, color=INK, lw=0.8, clip_on=False, label="_arc")
    inside = [min(max(end, low), high) for end in pooled[1:]]
    if inside[0] < inside[1]:
        bold = at(np.linspace(inside[0], inside[1], 50))
        panel.axes.plot(*bold, transform=points, color=POOLED, lw=3.0, clip_on=False, solid_capstyle="butt", zorder=3)
    taken = [(x - 1, x + 1, y - 1, y + 1) for x, y in zip(*curve, strict=True)]
    written: list[float] = []
    heights = at(np.array([low, high]))[1]
    ticks = ticks_within(low, high, float(heights[1] - heights[0]), 2.5 * SIZE, ratio=log)
    for tick, text in zip(ticks, tick_text(ticks, common=not log), strict=True):
        effect = np.array([math.log(tick) if log else tick])
        inner, outer, words = at(effect), at(effect, 3.0), at(effect, 6.0)
        pairs = ([float(inner[0][0]), float(outer[0][0])], [float(inner[1][0]), float(outer[1][0])])
        panel.axes.plot(*pairs, transform=points, color=INK, lw=0.8, clip_on=False)
        y = float(words[1][0])
        end = panel.wide + panel.right - 2 - text_width(text, SIZE)
        if all(abs(y - other) > 1.3 * SIZE for other in written) and 0 <= y <= panel.high + SIZE:
            start = min(float(words[0][0]), end)
            panel.write(start, y - 0.36 * SIZE, text)
            written.append(y)
            taken.append((start, start + text_width(text, SIZE), y - SIZE / 2, y + SIZE / 2))
    return taken
