"""The funnel plot: effects against precision, over regions of significance, with what would make it symmetric."""

from collections.abc import Iterable, Sequence
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
from metapeer.formatting import count
from metapeer.plots.bubble import _ends
from metapeer.plots.cells import clean_text
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_names import Name, place_names
from metapeer.plots.panel_reading import Width, describe, number_words
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET, RULE, SIZE, SMALL, root_figure
from metapeer.plots.text import FAMILY, text_width, wrap_text
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["draw_funnel"]

FloatArray = NDArray[np.float64]

KINDS = {
    "study": {"marker": "o", "color": POOLED, "markerfacecolor": POOLED, "said": "studies"},
    "filled": {"marker": "o", "color": PREDICTED, "markerfacecolor": "white", "said": "filled in"},
    "limit": {"marker": "D", "color": PREDICTED, "markerfacecolor": "white", "said": "limit effects"},
}
"""Solid against open tells the kinds apart in grey print and for readers who do not see colours."""

SHADES = ("#b7c9de", "#d3deea", "#eaf0f6", "#f4f7fa")
"""From just beyond the first contour outwards; within it the ground is white."""

LEGEND = 128.0  # points beside the panel
ROOMY = 380.0
"""Points of width from which on the legend stands beside the panel, not beneath."""
RADIUS = 3.0


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
    estimate_ci: tuple[float, float] | None = None,
    null_value: float | None = 0.0,
    precise_is: str = "low",
    x_label: str = "Effect",
    y_label: str = "Standard error",
    log_scale: bool = False,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 7.2,
    height: Width = 3.8,
    x_limits: tuple[float, float] | None = None,
    legend: bool = True,
    name_studies: bool | Sequence[str] = False,
    ax: Axes | None = None,
) -> Figure:
    """Draw a funnel plot from tables; the precise studies are at the top.

    Parameters
    ----------
    table : DataFrame
        Points: ``effect``, ``y`` and ``kind``, which is "study", "filled" (open circles) or "limit" (open diamonds);
        and ``name``, what the legend calls the kind; if wanted ``label``, the name of a study.
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
    estimate_ci : tuple of float, optional
        Its interval, for the words of ``figure.metapeer_alt``.
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
    width, height : float or str
        Of the figure, and of its panel: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    x_limits : tuple of float, optional
        Ends of the effect axis, as printed on it (ratios when `log_scale`).
    legend : bool, default True
        Whether there is a legend: to the right of the panel, or beneath a figure too narrow for it; in the Axes of a
        caller, leave room for it on the right.
    name_studies : bool or sequence of str, default False
        Whether studies have their names beside them, those farthest from the pooled effect first; or the names of those
        that have. Where one would cover another or a point it is left out, which a note says.
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
    sides = check_sides(width, height, null_value, ax)
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

    words = note_lines(notes)
    tall = 72.0 * sides[1] if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    y_ticks = ticks_within(low, high, tall, 2.5 * SIZE)
    y_texts = tick_text(y_ticks)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    handles = _handles(kinds, names, estimate, estimate_label, funnel, region_label, lines, null_value, contours)
    beside = legend and (ax is not None or 72 * sides[0] >= ROOMY)
    how: dict[str, Any] = {
        "keys": handles if legend and not beside else (),
        "beside": LEGEND if beside and ax is None else 0.0,
    }
    ends = (left, right), ((high, low) if precise_is == "low" else (low, high))
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), words)
    sheet = Sheet(ax, sides, labels, widest, **how)
    studies = _named(table, kinds, name_studies)
    written, without = _places(points, studies, ends, (sheet.wide, sheet.high), estimate)
    if without:
        words.append(f"No room for {'the name' if without == 1 else 'the names'} of {_studies(without)}.")
        sheet = Sheet(ax, sides, labels, widest, **how)
    panel = sheet.ax
    panel.set_xlim(*ends[0])
    panel.set_ylim(*ends[1])
    _paint_points(panel, points, kinds)
    _paint_references(panel, estimate, funnel, null_value)
    if curves is not None and lines is not None:
        _paint_lines(panel, curves, _texts(lines, "name"))
    if grounds is not None and contours is not None:
        _paint_ground(panel, grounds, _texts(contours, "name"))
    _dress(panel, (left, right), sheet.wide, y_ticks, y_texts, log=log_scale)
    for one in written:
        sheet.write(one.x, one.y, studies[one.index], size=SMALL, ha=one.side)
    sheet.finish()
    if beside:
        _legend(panel, handles)
    return describe(root_figure(panel), _told(kinds, estimate, estimate_label, estimate_ci or (), lines, log=log_scale))


def _told(
    kinds: Sequence[str],
    estimate: float | None,
    estimate_label: str,
    ci: Sequence[float],
    lines: pd.DataFrame | None,
    *,
    log: bool,
) -> str:
    """Say in words what the plot shows."""
    others = [f"{kinds.count(kind)} {KINDS[kind]['said']}" for kind in dict.fromkeys(kinds) if kind != "study"]
    told = "; ".join([f"Funnel plot of {_studies(kinds.count('study'))}", *others])
    if estimate is not None:
        label = clean_text(estimate_label)
        told += f". {label[:1].upper()}{label[1:]}: {number_words(float(estimate), *ci, log=log)}"
    if lines is not None:
        told += f". Lines: {', '.join(_line_looks(_texts(lines, 'name')))}"
    return f"{told}."


def _handles(
    kinds: Sequence[str],
    names: Sequence[str],
    estimate: float | None,
    estimate_label: str,
    funnel: dict[str, FloatArray] | None,
    region_label: str,
    lines: pd.DataFrame | None,
    null_value: float | None,
    contours: pd.DataFrame | None,
) -> list[Artist]:
    """What the legend explains: only what is drawn."""
    handles: list[Artist] = [
        Line2D([], [], label=names[kinds.index(kind)], **_point_look(kind)) for kind in dict.fromkeys(kinds)
    ]
    if estimate is not None:
        handles.append(Line2D([], [], color=POOLED, lw=1.1, ls=(0, (4, 2)), label=clean_text(estimate_label)))
    if funnel is not None:
        handles.append(Line2D([], [], color=QUIET, lw=0.9, ls=(0, (1, 1.5)), label=clean_text(region_label)))
    if lines is not None:
        handles += [Line2D([], [], label=name, **look) for name, look in _line_looks(_texts(lines, "name")).items()]
    if null_value is not None:
        handles.append(Line2D([], [], color=RULE, lw=0.9, label="no effect"))
    if contours is not None:
        handles += [
            Patch(facecolor=colour, edgecolor=RULE, linewidth=0.6, label=name)
            for name, colour in _ground_colours(_texts(contours, "name")).items()
        ]
    return handles


def _places(
    points: dict[str, FloatArray],
    names: Sequence[str],
    ends: tuple[tuple[float, float], tuple[float, float]],
    size: tuple[float, float],
    estimate: float | None,
) -> tuple[list[Name], int]:
    """Find room for the names of studies, those farthest from the pooled effect first."""
    across, up = (
        (points[name] - end[0]) / (end[1] - end[0]) * side
        for name, end, side in zip(("effect", "y"), ends, size, strict=True)
    )
    middle = float(np.median(points["effect"])) if estimate is None else float(estimate)
    order = np.argsort(-np.abs(points["effect"] - middle), kind="stable").tolist()
    return place_names(across, up, names, np.full(across.size, RADIUS), size, order=order)


def _paint_references(
    panel: Axes, estimate: float | None, funnel: dict[str, FloatArray] | None, null_value: float | None
) -> None:
    if estimate is not None:
        panel.axvline(float(estimate), color=POOLED, linewidth=1.1, linestyle=(0, (4, 2)), zorder=3)
    if funnel is not None:
        for side in ("low", "high"):
            panel.plot(funnel[side], funnel["y"], color=QUIET, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=3)
    if null_value is not None:
        panel.axvline(float(null_value), color=RULE, linewidth=0.9, zorder=2)


def _studies(number: int) -> str:
    return count(number, "study", "studies")


def _named(table: pd.DataFrame, kinds: Sequence[str], wanted: object) -> list[str]:
    """Names to be written beside studies; empty for all else."""
    labels = [clean_text(value).replace("\n", " ") for value in table["label"]] if "label" in table else []
    if isinstance(wanted, bool | np.bool_):
        chosen = set(labels) if wanted else set()
    elif isinstance(wanted, str) or not isinstance(wanted, Iterable):
        raise ChoiceError(f"name_studies must be True, False or a list of names, not {wanted!r}")
    else:
        chosen = {clean_text(str(one)).replace("\n", " ") for one in wanted}
        unknown = sorted(chosen - set(labels))
        if unknown:
            raise ChoiceError(f"name_studies: no study is called {' or '.join(map(repr, unknown))}")
    if not labels:
        return [""] * len(kinds)
    return [label if kind == "study" and label in chosen else "" for label, kind in zip(labels, kinds, strict=True)]


def _heights(values: FloatArray, drawn: Sequence[FloatArray]) -> tuple[float, float]:
    """Ends of the axis of precision: those of the regions, where some are drawn, or with room around the points."""
    down = np.concatenate([values, *drawn])
    low, high = float(down.min()), float(down.max())
    if drawn and high > low:
        return low, high
    room = 0.04 * (high - low) if high > low else 0.1 * abs(high) or 1.0
    return (max(low - room, 0.0) if low >= 0.0 else low - room), high + room


def _point_look(kind: str) -> dict[str, Any]:
    look = KINDS[kind]
    return {
        "marker": look["marker"],
        "markersize": 5.5 if look["marker"] == "o" else 4.5,
        "markerfacecolor": look["markerfacecolor"],
        "markeredgecolor": "white" if kind == "study" else look["color"],
        "markeredgewidth": 0.6 if kind == "study" else 1.1,
        "linestyle": "none",
    }


def _paint_points(panel: Axes, points: dict[str, FloatArray], kinds: Sequence[str]) -> None:
    for kind in dict.fromkeys(kinds):
        chosen = [i for i, one in enumerate(kinds) if one == kind]
        order = 5 if kind == "study" else 4
        panel.plot(points["effect"][chosen], points["y"][chosen], zorder=order, clip_on=False, **_point_look(kind))


def _line_looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    styles = ("solid", (0, (5, 1.5, 1, 1.5)), (0, (2, 1)))
    return {
        name: {"color": PREDICTED, "linewidth": 1.4, "linestyle": styles[number % len(styles)]}
        for number, name in enumerate(dict.fromkeys(names))
    }


def _paint_lines(panel: Axes, curves: dict[str, FloatArray], names: Sequence[str]) -> None:
    for name, look in _line_looks(names).items():
        chosen = [i for i, one in enumerate(names) if one == name]
        panel.plot(curves["effect"][chosen], curves["y"][chosen], zorder=3, **look)


def _ground_colours(names: Sequence[str]) -> dict[str, str]:
    """White within, then darkest just beyond the first contour."""
    order = list(dict.fromkeys(names))
    return dict(zip(order, ["white", *(SHADES[min(i, len(SHADES) - 1)] for i in range(len(order) - 1))], strict=True))


def _paint_ground(panel: Axes, grounds: dict[str, FloatArray], names: Sequence[str]) -> None:
    """From outside inwards, so that each region covers the middle of the one around it."""
    colours = _ground_colours(names)
    *inner, outside = colours
    panel.set_facecolor(colours[outside])
    for name in reversed(inner):
        chosen = [j for j, one in enumerate(names) if one == name]
        panel.fill_betweenx(
            grounds["y"][chosen],
            grounds["low"][chosen],
            grounds["high"][chosen],
            facecolor=colours[name],
            linewidth=0,
            zorder=0.5,
        )


def _legend(panel: Axes, handles: Sequence[Artist]) -> None:
    """Beside the panel, so that it hides nothing."""
    for handle in handles:
        handle.set_label("\n".join(wrap_text(str(handle.get_label()), LEGEND - 40.0, SMALL)))
    legend = panel.legend(
        handles=list(handles),
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.8,
        frameon=False,
        handlelength=2.0,
        labelspacing=0.7,
        prop={"family": FAMILY, "size": SMALL},
        labelcolor=INK,
    )
    for text in legend.get_texts():
        text.set(usetex=False, parse_math=False)


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
    dress(panel)
