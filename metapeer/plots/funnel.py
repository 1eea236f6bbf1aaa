"""The funnel plot: effects against precision, over regions of significance, with what would make it symmetric."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault, check_choice
from metapeer.plots.bubble import _check, _ends, _Sheet
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET, RULE, SIZE, SMALL, root_figure
from metapeer.plots.text import text_width, wrap_text
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["draw_funnel"]

FloatArray = NDArray[np.float64]

KINDS = {
    "study": {"marker": "o", "color": POOLED, "markerfacecolor": POOLED},
    "filled": {"marker": "o", "color": PREDICTED, "markerfacecolor": "white"},
    "limit": {"marker": "D", "color": PREDICTED, "markerfacecolor": "white"},
}
"""Solid against open tells the kinds apart in grey print and for readers who do not see colours."""

SHADES = ("#b7c9de", "#d3deea", "#eaf0f6", "#f4f7fa")
"""From just beyond the first contour outwards; within it the ground is white."""

LEGEND = 128.0  # points beside the panel


def _read(table: object, name: str, needed: Sequence[str]) -> dict[str, FloatArray]:
    """Take columns of finite numbers, and list every fault."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"{name} must be a DataFrame, not a {type(table).__name__}")
    absent = [column for column in needed if column not in table]
    if absent:
        raise DataError(name, [Fault(column=column, message="is missing") for column in absent])
    found, faults = {}, []
    for column in needed:
        values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        faults += [
            Fault(row=f"row {i + 1}", column=column, message=f"{table[column].iloc[i]!r} is not a finite number")
            for i in np.flatnonzero(~np.isfinite(values)).tolist()
        ]
        found[column] = np.asarray(values)
    if faults:
        raise DataError(name, faults)
    return found


def _texts(table: pd.DataFrame, column: str) -> list[str]:
    return [clean_text(str(value)) for value in table[column]]


def draw_funnel(
    table: pd.DataFrame,
    *,
    contours: pd.DataFrame | None = None,
    region: pd.DataFrame | None = None,
    region_label: str = "",
    lines: pd.DataFrame | None = None,
    estimate: float | None = None,
    estimate_label: str = "pooled effect",
    null_value: float | None = 0.0,
    precise_is: str = "low",
    x_label: str = "Effect",
    y_label: str = "Standard error",
    log_scale: bool = False,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: float = 5.5,
    height: float = 3.8,
    x_limits: tuple[float, float] | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Figure:
    """Draw a funnel plot from tables; the precise studies are at the top.

    Parameters
    ----------
    table : DataFrame
        Points: ``effect``, ``y`` and ``kind``, which is "study", "filled" (open circles) or "limit" (open diamonds);
        and ``name``, what the legend calls the kind.
    contours : DataFrame, optional
        Regions of significance about no effect, from the innermost: ``name``, ``y``, ``low``, ``high``, the ends of
        each region at several `y`.
    region : DataFrame, optional
        ``y``, ``low``, ``high`` of the funnel about the pooled effect.
    region_label : str
        What the legend calls it.
    lines : DataFrame, optional
        Curves: ``name``, ``effect``, ``y``, in the order they are joined.
    estimate : float, optional
        Where a dashed line marks the pooled effect.
    estimate_label : str
        What the legend calls it.
    null_value : float, optional
        Where a solid line marks no effect, in the table's units; none when None.
    precise_is : {"low", "high"}, default "low"
        Whether `y` falls or grows with precision.
    x_label, y_label : str
        What the axes show.
    log_scale : bool, default False
        Whether effects are logarithms, to be read as ratios.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width, height : float
        Of the panel with its axis labels, and of the panel, in inches; the legend stands beside it.
    x_limits : tuple of float, optional
        Ends of the effect axis, as printed on it (ratios when `log_scale`).
    legend : bool, default True
        Whether a legend stands to the right of the panel; in the Axes of a caller, leave room for it.
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
    Sterne & Egger (2001), J Clin Epidemiol 54:1046-1055; Peters et al. (2008), J Clin Epidemiol 61:991-996 (contours).

    Examples
    --------
    >>> table = pd.DataFrame({"effect": [0.1, 0.3, 0.6], "y": [0.1, 0.2, 0.3], "kind": "study", "name": "studies"})
    >>> figure = draw_funnel(table, estimate=0.2)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['studies', 'pooled effect', 'no effect']
    """
    _check(width, height, null_value, ax)
    check_choice("precise_is", precise_is, ("low", "high"))
    if estimate is not None and not is_finite(estimate):
        raise ChoiceError(f"estimate must be a finite number, not {estimate!r}")
    points = _read(table, "table", ("effect", "y"))
    absent = [name for name in ("kind", "name") if name not in table]
    if absent or not len(table):
        raise DataError("table", [Fault(column=name, message="is missing") for name in absent] or ["has no rows"])
    kinds, names = [check_choice("kind", kind, KINDS) for kind in table["kind"]], _texts(table, "name")
    grounds = None if contours is None else _read(contours, "contours", ("y", "low", "high"))
    funnel = None if region is None else _read(region, "region", ("y", "low", "high"))
    curves = None if lines is None else _read(lines, "lines", ("effect", "y"))

    across = [points["effect"], *([] if null_value is None else [np.array([float(null_value)])])]
    if funnel is not None:
        across += [funnel["low"], funnel["high"]]
    if curves is not None:
        across.append(curves["effect"])
    left, right = _ends(np.concatenate(across), x_limits, "x_limits", log=log_scale)
    low, high = _heights(points["y"], [found["y"] for found in (grounds, funnel) if found is not None])

    remarks = (notes,) if isinstance(notes, str) else tuple(notes)
    words = [true_minus(clean_text(note)) for note in remarks if clean_text(note)]
    tall = 72.0 * float(height) if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    y_ticks = ticks_within(low, high, tall, 2.5 * SIZE)
    y_texts = tick_text(y_ticks)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), words)
    sheet = _Sheet(ax, (float(width), float(height)), labels, widest)
    panel = sheet.ax
    panel.set_xlim(left, right)
    panel.set_ylim((high, low) if precise_is == "low" else (low, high))

    handles = _paint_points(panel, points, kinds, names)
    if estimate is not None:
        panel.axvline(float(estimate), color=POOLED, linewidth=1.1, linestyle=(0, (4, 2)), zorder=3)
        handles.append(Line2D([], [], color=POOLED, lw=1.1, ls=(0, (4, 2)), label=clean_text(estimate_label)))
    if funnel is not None:
        for side in ("low", "high"):
            panel.plot(funnel[side], funnel["y"], color=QUIET, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=3)
        handles.append(Line2D([], [], color=QUIET, lw=0.9, ls=(0, (1, 1.5)), label=clean_text(region_label)))
    if curves is not None and lines is not None:
        handles += _paint_lines(panel, curves, _texts(lines, "name"))
    if null_value is not None:
        panel.axvline(float(null_value), color=RULE, linewidth=0.9, zorder=2)
        handles.append(Line2D([], [], color=RULE, lw=0.9, label="no effect"))
    if grounds is not None and contours is not None:
        handles += _paint_ground(panel, grounds, _texts(contours, "name"))
    _dress(panel, (left, right), sheet.wide, y_ticks, y_texts, log=log_scale)
    sheet.write()
    if legend:
        _legend(panel, handles, widen=ax is None)
    return root_figure(panel)


def _heights(values: FloatArray, drawn: Sequence[FloatArray]) -> tuple[float, float]:
    """Ends of the axis of precision: those of the regions, where some are drawn, or with room around the points."""
    down = np.concatenate([values, *drawn])
    low, high = float(down.min()), float(down.max())
    if drawn and high > low:
        return low, high
    room = 0.04 * (high - low) if high > low else 0.1 * abs(high) or 1.0
    return (max(low - room, 0.0) if low >= 0.0 else low - room), high + room


def _paint_points(
    panel: Axes, points: dict[str, FloatArray], kinds: Sequence[str], names: Sequence[str]
) -> list[Artist]:
    handles: list[Artist] = []
    for kind in dict.fromkeys(kinds):
        chosen = [i for i, one in enumerate(kinds) if one == kind]
        look = KINDS[kind]
        edge = "white" if kind == "study" else look["color"]
        for target in (panel.plot(points["effect"][chosen], points["y"][chosen], linestyle="none")[0], Line2D([], [])):
            target.set(
                marker=look["marker"],
                markersize=5.5 if look["marker"] == "o" else 4.5,
                markerfacecolor=look["markerfacecolor"],
                markeredgecolor=edge,
                markeredgewidth=0.6 if kind == "study" else 1.1,
                linestyle="none",
                zorder=5 if kind == "study" else 4,
                clip_on=False,
                label=names[chosen[0]],
            )
        handles.append(target)
    return handles


def _paint_lines(panel: Axes, curves: dict[str, FloatArray], names: Sequence[str]) -> list[Artist]:
    handles: list[Artist] = []
    styles = ("solid", (0, (5, 1.5, 1, 1.5)), (0, (2, 1)))
    for number, name in enumerate(dict.fromkeys(names)):
        chosen = [i for i, one in enumerate(names) if one == name]
        look: dict[str, Any] = {"color": PREDICTED, "linewidth": 1.4, "linestyle": styles[number % len(styles)]}
        panel.plot(curves["effect"][chosen], curves["y"][chosen], zorder=3, **look)
        handles.append(Line2D([], [], label=name, **look))
    return handles


def _paint_ground(panel: Axes, grounds: dict[str, FloatArray], names: Sequence[str]) -> list[Artist]:
    """From outside inwards, so that each region covers the middle of the one around it."""
    order = list(dict.fromkeys(names))
    *inner, outside = order
    panel.set_facecolor(SHADES[min(len(inner), len(SHADES)) - 1] if inner else "white")
    colours = ["white", *(SHADES[min(i, len(SHADES) - 1)] for i in range(len(inner)))]
    for i in reversed(range(len(inner))):
        chosen = [j for j, one in enumerate(names) if one == inner[i]]
        panel.fill_betweenx(
            grounds["y"][chosen],
            grounds["low"][chosen],
            grounds["high"][chosen],
            facecolor=colours[i],
            linewidth=0,
            zorder=0.5,
        )
    shown = [*inner, outside]
    return [
        Patch(facecolor=colour, edgecolor=RULE, linewidth=0.6, label=name)
        for colour, name in zip(colours, shown, strict=True)
    ]


def _legend(panel: Axes, handles: Sequence[Artist], *, widen: bool) -> None:
    """Beside the panel, so that it hides nothing; a figure of our own is widened for it."""
    for handle in handles:
        lines = wrap_text(str(handle.get_label()), LEGEND - 40.0, SMALL)
        handle.set_label("\n".join(lines))
    if widen:
        figure = root_figure(panel)
        wide = figure.get_figwidth()
        box = panel.get_position()
        share = wide / (wide + LEGEND / 72.0)
        figure.set_figwidth(wide + LEGEND / 72.0)
        panel.set_position((box.x0 * share, box.y0, box.width * share, box.height))
    panel.legend(
        handles=list(handles),
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.8,
        frameon=False,
        handlelength=2.0,
        labelspacing=0.7,
        prop={"family": "DejaVu Sans", "size": SMALL},
        labelcolor=INK,
    )


def _dress(
    panel: Axes,
    ends: tuple[float, float],
    wide: float,
    y_ticks: Sequence[float],
    y_texts: Sequence[str],
    *,
    log: bool,
) -> None:
    x_ticks = ticks_within(*ends, wide, SIZE, ratio=log)
    places = [float(np.log(tick)) for tick in x_ticks] if log else list(x_ticks)
    panel.set_xticks(places, labels=list(tick_text(x_ticks, common=not log)))
    panel.set_yticks(list(y_ticks), labels=list(y_texts))
    panel.minorticks_off()
    panel.tick_params(labelsize=SIZE, length=3, width=0.8, color=RULE, labelcolor=INK, labelfontfamily="DejaVu Sans")
    for side, spine in panel.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(RULE if side == "left" else QUIET)
        spine.set_linewidth(0.8)
