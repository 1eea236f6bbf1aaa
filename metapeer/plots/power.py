"""Figures of power: curves over the number of studies, a funnel plot on ground of power, and tiles of median power."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count
from metapeer.plots.cells import clean_text
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_reading import Width, describe, number_words
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import INK, POOLED, PREDICTED, RULE, SIZE, SMALL, root_figure
from metapeer.plots.text import PlainText, text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["firepower_plot", "power_curve_plot", "sunset_plot"]

FloatArray = NDArray[np.float64]

CURVES = (POOLED, PREDICTED, "#5b8fc7", "#e0a15f", "#595959", "#a6c1dd", "#8c6d4f", "#b3b3b3")
DASHES: tuple[tuple[int, tuple[int, ...]], ...] = ((0, ()), (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))  # type: ignore[assignment]
"""Curves differ in colour and in dashes, so that grey print and every eye tell them apart."""
GROUND = ("#d98f4e", "#ecbc8e", "#f7e0cb", "#dde7f2", "#ffffff")
"""Least power to most: orange to blue to white, each lighter than the one before."""
BANDS = (0.2, 0.4, 0.6, 0.8)
TILES = ("#fdf3e9", "#f7d9bd", "#c9d8e8", "#7fa6cf", "#1d3f6e")


def _numbers(table: object, names: Sequence[str], faults: list[Fault], name: str = "table") -> dict[str, FloatArray]:
    """Take columns of finite numbers; list every fault."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"{name} must be a DataFrame, not a {type(table).__name__}")
    absent = [column for column in names if column not in table]
    if absent:
        raise DataError(name, [Fault(column=column, message="is missing") for column in absent])
    if not len(table):
        raise DataError(name, ["has no rows"])
    found = {}
    for column in names:
        values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        bad = ~np.isfinite(values)
        if column == "power":
            bad |= (values < 0.0) | (values > 1.0)
        if column == "sei":
            bad |= values <= 0.0
        what = {"power": "is not a probability", "sei": "is not a standard error"}.get(column, "is not a finite number")
        faults += [
            Fault(row=f"row {i + 1}", column=column, message=f"{table[column].iloc[i]!r} {what}")
            for i in np.flatnonzero(bad).tolist()
        ]
        found[column] = np.asarray(values)
    return found


def _dress(panel: Axes, x_ticks: Sequence[float], y_ticks: Sequence[float], y_texts: Sequence[str]) -> None:
    panel.set_xticks(list(x_ticks), labels=tick_text(x_ticks))
    panel.set_yticks(list(y_ticks), labels=list(y_texts))
    dress(panel)


def power_curve_plot(
    table: pd.DataFrame,
    *,
    target: float | None = 0.8,
    x_label: str = "Number of studies",
    y_label: str = "Power",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.4,
    ax: Axes | None = None,
) -> Figure:
    """Draw power against the number of studies, or whatever else a plan may vary.

    Parameters
    ----------
    table : DataFrame
        ``x`` and ``power``, and if wanted ``curve``, the name of the curve that a row belongs to.
    target : float, optional
        Where a dotted line marks the power wanted; none when None.
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
    Valentine, Pigott & Rothstein (2010), J Educ Behav Stat 35:215-247.

    Examples
    --------
    >>> table = pd.DataFrame({"x": [5, 10, 20], "power": [0.3, 0.6, 0.9]})
    >>> figure = power_curve_plot(table)
    >>> [round(float(end), 2) for end in figure.axes[0].get_ylim()]
    [0.0, 1.02]
    """
    sides = check_sides(width, height, None, ax)
    if target is not None and (not is_finite(target) or not 0.0 < float(target) < 1.0):
        raise ChoiceError(f"target must be a power between 0 and 1 or None, not {target!r}")
    faults: list[Fault] = []
    found = _numbers(table, ("x", "power"), faults)
    if faults:
        raise DataError("table", faults)
    names = [str(one) for one in table["curve"]] if "curve" in table else [""] * len(table)
    curves = list(dict.fromkeys(names))
    if len(curves) > len(CURVES):
        raise ChoiceError(f"the table has {len(curves)} curves; at most {len(CURVES)} can be told apart")
    y_ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    y_texts = [f"{100 * tick:.0f}%" for tick in y_ticks]
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), note_lines(notes))
    handles = [
        Line2D([], [], color=CURVES[i], linewidth=1.5, linestyle=DASHES[i % len(DASHES)], label=clean_text(curve))
        for i, curve in enumerate(curves)
        if len(curves) > 1 or curve
    ]
    sheet = Sheet(ax, sides, labels, max(text_width(text, SIZE) for text in y_texts), keys=handles)
    panel = sheet.ax
    low, high = float(found["x"].min()), float(found["x"].max())
    room = 0.03 * (high - low) if high > low else 1.0
    panel.set_xlim(low - room, high + room)
    panel.set_ylim(0.0, 1.02)
    if target is not None:
        panel.axhline(float(target), color=RULE, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    told = []
    for i, curve in enumerate(curves):
        rows = np.array([name == curve for name in names])
        order = np.argsort(found["x"][rows], kind="stable")
        x, y = found["x"][rows][order], found["power"][rows][order]
        dash = DASHES[i % len(DASHES)]
        mark = "o" if x.size == 1 else None
        panel.plot(x, y, color=CURVES[i], linewidth=1.5, linestyle=dash, marker=mark, markersize=4, zorder=3)
        path = f"{100 * y[0]:.0f}% at {x[0]:g} to {100 * y[-1]:.0f}% at {x[-1]:g}"
        told.append(f"{clean_text(curve)}: {path}" if curve else path)
    _dress(panel, ticks_within(low - room, high + room, sheet.wide, SIZE), y_ticks, y_texts)
    sheet.finish()
    return describe(root_figure(panel), f"{y_label} against {x_label.lower()}. {'; '.join(told)}.")


def sunset_plot(
    table: pd.DataFrame,
    *,
    bands: pd.DataFrame,
    effect: float,
    null_value: float = 0.0,
    critical: float | None = None,
    x_label: str = "Effect",
    y_label: str = "Standard error",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.6,
    ax: Axes | None = None,
) -> Figure:
    """Draw a funnel plot whose ground shows the power of a trial of each standard error: a sunset funnel plot.

    Parameters
    ----------
    table : DataFrame
        ``yi`` and ``sei`` of each trial.
    bands : DataFrame
        ``power`` and the ``sei`` with which a trial has it, for 0.2, 0.4, 0.6 and 0.8.
    effect : float
        The true effect assumed, a dashed line.
    null_value : float, default 0.0
        No effect, a solid line.
    critical : float, optional
        Standard errors from no effect beyond which a trial is significant, two thin lines; none when None.
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
        If a table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    Kossmeier, Tran & Voracek (2020), Z Psychol 228:43-49.

    Examples
    --------
    >>> table = pd.DataFrame({"yi": [0.1, 0.4], "sei": [0.1, 0.2]})
    >>> bands = pd.DataFrame({"power": [0.2, 0.4, 0.6, 0.8], "sei": [0.27, 0.18, 0.135, 0.107]})
    >>> figure = sunset_plot(table, bands=bands, effect=0.3, critical=1.96)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()][:2]
    ['below 20%', '20 to 40%']
    """
    sides = check_sides(width, height, null_value, ax)
    for name, value in (("effect", effect), ("critical", critical)):
        if value is not None and not is_finite(value):
            raise ChoiceError(f"{name} must be a finite number, not {value!r}")
    faults: list[Fault] = []
    trials = _numbers(table, ("yi", "sei"), faults)
    edges = _numbers(bands, ("power", "sei"), faults, "bands")
    if faults:
        raise DataError("table", faults)
    order = np.argsort(edges["power"], kind="stable")
    at = edges["sei"][order]
    if at.size != len(BANDS) or not np.allclose(edges["power"][order], BANDS) or (np.diff(at) >= 0.0).any():
        raise DataError("bands", ["must have powers of 0.2, 0.4, 0.6 and 0.8, at falling standard errors"])
    bottom = 1.08 * float(trials["sei"].max())
    reach = 0.0 if critical is None else min(float(critical) * bottom, 3.0 * float(np.abs(trials["yi"]).max() + bottom))
    ends = [*trials["yi"].tolist(), float(effect), null_value - reach, null_value + reach]
    left, right = min(ends), max(ends)
    room = 0.05 * (right - left) if right > left else 1.0
    left, right = left - room, right + room

    y_ticks = ticks_within(
        0.0,
        bottom,
        72.0 * sides[1] if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi,
        2.5 * SIZE,
    )
    y_texts = tick_text(y_ticks)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), note_lines(notes))
    names = ("below 20%", "20 to 40%", "40 to 60%", "60 to 80%", "80% or more")
    patches = [
        Patch(facecolor=one, edgecolor=RULE, linewidth=0.6, label=name) for one, name in zip(GROUND, names, strict=True)
    ]
    sheet = Sheet(ax, sides, labels, widest, keys=patches, keys_title="Power of a trial")
    panel = sheet.ax
    panel.set_xlim(left, right)
    panel.set_ylim(bottom, 0.0)
    tops = [bottom, *np.minimum(at, bottom).tolist(), 0.0]
    for shade, low, high in zip(GROUND, tops[:-1], tops[1:], strict=True):
        if low > high:
            panel.add_patch(Rectangle((left, high), right - left, low - high, facecolor=shade, linewidth=0, zorder=0))
    panel.axvline(float(null_value), color=INK, linewidth=0.9, zorder=2)
    panel.axvline(float(effect), color=POOLED, linewidth=1.1, linestyle=(0, (3, 2)), zorder=2)
    if critical is not None:
        for side in (-1.0, 1.0):
            x = [null_value, null_value + side * float(critical) * bottom]
            panel.plot(x, [0.0, bottom], color=RULE, linewidth=0.8, zorder=2)
    panel.plot(trials["yi"], trials["sei"], "o", markersize=5, color=POOLED, markeredgecolor="white", zorder=4)
    _dress(panel, ticks_within(left, right, sheet.wide, SIZE), y_ticks, y_texts)
    sheet.finish()
    able = int((trials["sei"] <= at[-1]).sum())
    return describe(
        root_figure(panel),
        f"Funnel plot of {count(trials['sei'].size, 'trial')} on ground of power for a true effect of "
        f"{number_words(float(effect))}: {able} with a power of 80% or more.",
    )


def firepower_plot(
    table: pd.DataFrame,
    *,
    x_label: str = "True effect",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    row_height: float = 0.5,
    ax: Axes | None = None,
) -> Figure:
    """Draw the median power of the trials of one or more meta-analyses for a range of true effects, as tiles.

    Parameters
    ----------
    table : DataFrame
        ``effect`` and ``power``, and if wanted ``name``, the meta-analysis that a row belongs to; each has all effects.
    x_label : str
        What the effects are.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width : float or str, default 5.5
        Of the figure: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    row_height : float, default 0.5
        Of a row of tiles, in inches.
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
    Quintana (2023), Adv Methods Pract Psychol Sci 6(1) (the firepower plot).

    Examples
    --------
    >>> table = pd.DataFrame({"effect": [0.1, 0.2, 0.3], "power": [0.08, 0.2, 0.4]})
    >>> figure = firepower_plot(table)
    >>> [text.get_text() for text in figure.axes[0].texts][:3]
    ['8', '20', '40']
    """
    across = check_sides(width, 3.0, None, ax)[0]
    if not is_finite(row_height) or not 0.2 <= float(row_height) <= 10.0:
        raise ChoiceError(f"row_height must be a number of inches from 0.2 to 10, not {row_height!r}")
    faults: list[Fault] = []
    found = _numbers(table, ("effect", "power"), faults)
    if faults:
        raise DataError("table", faults)
    names = [clean_text(one) for one in table["name"]] if "name" in table else [""] * len(table)
    rows = list(dict.fromkeys(names))
    effects = np.unique(found["effect"])
    if len(rows) * effects.size != len(table) or len(set(zip(names, found["effect"], strict=True))) != len(table):
        raise DataError("table", ["must have one power for each effect and each name"])
    cells = np.empty((len(rows), effects.size))
    cells[[rows.index(name) for name in names], np.searchsorted(effects, found["effect"])] = found["power"]

    widest = max(text_width(name, SIZE) for name in rows)
    labels = (clean_text(title), clean_text(x_label), "", note_lines(notes))
    height = max(float(row_height) * len(rows), 0.3)
    sheet = Sheet(ax, (across, height), labels, widest)
    panel = sheet.ax
    shades = ListedColormap(list(TILES))
    coloured = np.clip(np.digitize(cells, BANDS), 0, len(TILES) - 1)
    panel.pcolormesh(
        np.arange(effects.size + 1) - 0.5, np.arange(len(rows) + 1) - 0.5, coloured, cmap=shades, vmin=-0.5,
        vmax=len(TILES) - 0.5, edgecolor="white", linewidth=1.5,
    )  # fmt: skip
    panel.set_ylim(len(rows) - 0.5, -0.5)
    size = SIZE if text_width(">99", SIZE) * effects.size < sheet.wide else SMALL
    for i in range(len(rows)):
        for j in range(effects.size):
            ink = "white" if coloured[i, j] == len(TILES) - 1 else INK
            panel.add_artist(
                PlainText(
                    j,
                    i,
                    ">99" if cells[i, j] >= 0.995 else f"{100 * cells[i, j]:.0f}",
                    size=size,
                    color=ink,
                    ha="center",
                    va="center",
                    transform=panel.transData,
                    zorder=3,
                )
            )
    panel.set_xticks(range(effects.size), labels=tick_text(effects.tolist()))
    panel.set_yticks(range(len(rows)), labels=rows)
    panel.minorticks_off()
    panel.tick_params(labelsize=SIZE, length=0, labelcolor=INK, labelfontfamily="DejaVu Sans")
    for spine in panel.spines.values():
        spine.set_visible(False)
    sheet.finish()
    rows_told = [
        f"{name or 'median'} from {100 * row[0]:.0f}% at {effects[0]:g} to {100 * row[-1]:.0f}% at {effects[-1]:g}"
        for name, row in zip(rows, cells, strict=True)
    ]
    return describe(root_figure(panel), f"Median power of trials over {x_label.lower()}: {'; '.join(rows_told)}.")
