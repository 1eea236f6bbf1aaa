"""The GOSH plot: every subset of studies as a point, estimate against heterogeneity, dark where points are many."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count
from metapeer.plots.bubble import _ends
from metapeer.plots.cells import clean_text
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_reading import Width, describe, number_words
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import INK, POOLED, PREDICTED, RULE, SIZE, SMALL, root_figure
from metapeer.plots.text import text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["draw_gosh"]

FloatArray = NDArray[np.float64]
Places = NDArray[np.intp]

CELLS = 160
"""Cells of the grid on which points are counted, along each axis."""
BINS = 60
"""Bars of each marginal histogram."""
MARGINAL, GAP = 0.16, 0.015
"""Height of a marginal histogram and its distance, as shares of the whole."""
WITHOUT = LinearSegmentedColormap.from_list("without", ["#dbe5f0", "#7fa6cf", "#1d3f6e", "#0b1a30"])
WITH = LinearSegmentedColormap.from_list("with", ["#f9dec4", "#e39a58", "#b8520f", "#5a2704"])
"""Blue and orange, each from light to dark: many points are dark in either, and in grey print."""


def _read(
    table: object, columns: tuple[str, str], highlight: str | None
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Take both axes and who is highlighted; list every fault."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"table must be a DataFrame, not a {type(table).__name__}")
    needed = [*columns, *([] if highlight is None else [highlight])]
    absent = [name for name in needed if name not in table]
    if absent:
        raise DataError("table", [Fault(column=str(name), message="is missing") for name in absent])
    if not len(table):
        raise DataError("table", ["has no rows"])
    faults: list[Fault] = []
    values = []
    for name in columns:
        numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        faults += [
            Fault(row=f"row {i + 1}", column=name, message=f"{table[name].iloc[i]!r} is not a finite number")
            for i in np.flatnonzero(~(np.abs(numbers) <= 1e100)).tolist()
        ]
        values.append(np.asarray(numbers))
    chosen = np.zeros(len(table), dtype=np.bool_)
    if highlight is not None:
        cells = pd.to_numeric(table[highlight], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        faults += [
            Fault(
                row=f"row {i + 1}", column=highlight, message=f"{table[highlight].iloc[i]!r} is neither true nor false"
            )
            for i in np.flatnonzero(~np.isin(cells, (0.0, 1.0))).tolist()
        ]
        chosen = cells == 1.0
    if faults:
        raise DataError("table", faults)
    return values[0], values[1], chosen


def _places(values: FloatArray, low: float, high: float, cells: int) -> Places:
    """Cell of each value between two ends, the last cell closed; -1 for a value outside."""
    step = (high - low) / cells
    inside = (values >= low) & (values <= high)
    found = np.minimum(((np.clip(values, low, high) - low) / step).astype(np.intp), cells - 1)
    return np.where(inside, found, -1)


def _grid(x: Places, y: Places) -> FloatArray:
    """Points in each cell; rows are cells of y."""
    inside = (x >= 0) & (y >= 0)
    counts = np.bincount(y[inside] * CELLS + x[inside], minlength=CELLS * CELLS)
    return counts.reshape(CELLS, CELLS).astype(np.float64)


def draw_gosh(
    table: pd.DataFrame,
    *,
    x: str = "estimate",
    y: str = "I2",
    member: str | None = None,
    estimate: float | None = None,
    heterogeneity: float | None = None,
    log_scale: bool = False,
    measure: str = "",
    x_label: str | None = None,
    y_label: str = "I², per cent",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 4.2,
    x_limits: tuple[float, float] | None = None,
    y_limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the estimates and the heterogeneity of all subsets of studies, as a density with histograms beside it.

    Points are counted on a grid, on a logarithmic scale of darkness, so that a million of them take no more ink than a
    thousand. A cloud in two parts tells of studies that do not belong together; subsets with one study in orange show
    whether it is the one that parts it.

    Parameters
    ----------
    table : DataFrame
        A row for each subset: its estimate and its I², tau² or another measure of heterogeneity.
    x, y : str
        Columns for the two axes.
    member : str, optional
        Sets apart the subsets for which the column ``member`` is true, under this name: that of a study they hold.
    estimate, heterogeneity : float, optional
        Where all studies together lie: thin lines, in the table's units.
    log_scale : bool, default False
        Whether estimates are logarithms, to be read as ratios.
    measure : str
        Effect measure, for the label of the first axis.
    x_label, y_label : str
        What the axes show; the first follows from `measure` and `log_scale` when left out.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width, height : float or str
        Of the figure, and of its panel: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    x_limits, y_limits : tuple of float, optional
        Ends of the axes, as printed on them (ratios on the first when `log_scale`).
    ax : Axes, optional
        Where to draw; by default a new Figure, unknown to pyplot.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on; the density is ``figure.axes[0]``, or `ax`, and the histograms are insets of it.

    Raises
    ------
    DataError
        If the table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    Olkin, Dahabreh & Trikalinos (2012), Res Synth Methods 3:214-223.

    Examples
    --------
    >>> table = pd.DataFrame({"estimate": [0.1, 0.2, 0.5, 0.6], "I2": [0.0, 5.0, 60.0, 70.0],
    ...                       "member": [False, False, True, True]})
    >>> figure = draw_gosh(table, member="Smith 2014")
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['with Smith 2014 (2)', 'without Smith 2014 (2)']
    """
    sides = check_sides(width, height, None, ax)
    for name, value in (("estimate", estimate), ("heterogeneity", heterogeneity)):
        if value is not None and not is_finite(value):
            raise ChoiceError(f"{name} must be a finite number or None, not {value!r}")
    across, up, chosen = _read(table, (x, y), None if member is None else "member")
    marks = [np.array([value], dtype=np.float64) for value in (estimate,) if value is not None]
    left, right = _ends(np.concatenate([across, *marks]), x_limits, "x_limits", log=log_scale)
    levels = [np.array([value], dtype=np.float64) for value in (heterogeneity,) if value is not None]
    low, high = _ends(np.concatenate([up, *levels]), y_limits, "y_limits", log=False)

    words = note_lines(notes)
    tall = 72.0 * sides[1] if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    y_ticks = ticks_within(low, high, tall, 2.5 * SIZE)
    y_texts = tick_text(y_ticks)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    labels = (clean_text(title), clean_text(_x_label(x_label, measure, log_scale)), clean_text(y_label), words)
    sheet = Sheet(ax, sides, labels, widest)
    sheet.finish()
    panel = sheet.ax
    panel.set_axis_off()  # the sheet holds the words; three insets share its room
    main = 1.0 - MARGINAL - GAP
    density = panel.inset_axes((0.0, 0.0, main, main))
    density.set_xlim(left, right)
    density.set_ylim(low, high)
    study = "" if member is None else clean_text(member)
    groups = [(f"without {study}", ~chosen, WITHOUT, POOLED)]
    if member is not None:
        groups.append((f"with {study}", chosen, WITH, PREDICTED))
    corner = _paint(density, (across, up), groups)
    for value, draw in ((estimate, density.axvline), (heterogeneity, density.axhline)):
        if value is not None:
            draw(float(value), color=INK, linewidth=0.8, linestyle=(0, (3, 2)), zorder=5)
    top = panel.inset_axes((0.0, main + GAP, main, MARGINAL), sharex=density)
    side = panel.inset_axes((main + GAP, 0.0, MARGINAL, main), sharey=density)
    for _, rows, _, colour in groups:
        _histogram(top, across[rows], (left, right), colour, upright=True)
        _histogram(side, up[rows], (low, high), colour, upright=False)
    for inset in (top, side):
        inset.set_axis_off()
    if member is not None:
        _legend(panel, [(name, int(rows.sum()), colour) for name, rows, _, colour in reversed(groups)], main, corner)
    x_ticks = ticks_within(left, right, main * sheet.wide, SIZE, ratio=log_scale)
    places = [float(np.log(tick)) for tick in x_ticks] if log_scale else list(x_ticks)
    density.set_xticks(places, labels=tick_text(x_ticks, common=not log_scale))
    density.set_yticks(list(y_ticks), labels=list(y_texts))
    dress(density)
    low_x, middle, high_x = (float(q) for q in np.quantile(across, (0.0, 0.5, 1.0)))
    told = f"GOSH plot of {count(across.size, 'subset')} of studies"
    told += f", {count(int(chosen.sum()), 'subset')} with {study}" if member is not None else ""
    told += f". {_x_label(x_label, measure, log_scale)}: median {number_words(middle, low_x, high_x, log=log_scale)}. "
    told += f"{y_label}: median {number_words(float(np.median(up)), float(up.min()), float(up.max()))}."
    return describe(root_figure(panel), told)


def _x_label(given: str | None, measure: str, log_scale: bool) -> str:
    """What the first axis shows; logarithms are never written as if they were ratios."""
    if given is not None:
        return given
    if not measure:
        return "Pooled effect"
    return f"Pooled {measure}" if log_scale else f"Pooled effect, on the scale on which {measure} is pooled"


def _paint(
    density: Axes,
    points: tuple[FloatArray, FloatArray],
    groups: Sequence[tuple[str, NDArray[np.bool_], LinearSegmentedColormap, str]],
) -> tuple[str, str]:
    """Lay each cell in the colour of the group that has most points there; return the emptiest corner."""
    (left, right), (low, high) = density.get_xlim(), density.get_ylim()
    columns = _places(points[0], left, right, CELLS)
    lines = _places(points[1], low, high, CELLS)
    grids = [_grid(columns[rows], lines[rows]) for _, rows, _, _ in groups]
    total = np.sum(grids, axis=0)
    most = max(float(total.max()), 2.0)
    leader = np.argmax(np.stack(grids), axis=0)
    for place, (_, _, shades, _) in enumerate(groups):
        shown = np.ma.masked_where((total == 0.0) | (leader != place), total)
        density.imshow(
            shown,
            origin="lower",
            extent=(left, right, low, high),
            aspect="auto",
            cmap=shades,
            norm=LogNorm(vmin=1.0, vmax=most),
            interpolation="nearest",
            zorder=2,
        )
    wide, high_ = int(0.45 * CELLS), int(0.15 * CELLS)
    corners = {
        ("upper", "left"): total[-high_:, :wide],
        ("upper", "right"): total[-high_:, -wide:],
        ("lower", "left"): total[:high_, :wide],
        ("lower", "right"): total[:high_, -wide:],
    }
    return min(corners, key=lambda corner: int((corners[corner] > 0.0).sum()))


def _histogram(inset: Axes, values: FloatArray, ends: tuple[float, float], colour: str, *, upright: bool) -> None:
    """Counts as an outline over a light fill, so that two groups show through one another."""
    places = _places(values, *ends, BINS)
    counts = np.bincount(places[places >= 0], minlength=BINS).astype(np.float64)
    edges = np.linspace(*ends, BINS + 1)
    orientation = "vertical" if upright else "horizontal"
    inset.stairs(counts, edges, orientation=orientation, fill=True, color=colour, alpha=0.35, linewidth=0)  # type: ignore[arg-type]
    inset.stairs(counts, edges, orientation=orientation, color=colour, linewidth=1.0)  # type: ignore[arg-type]


def _legend(panel: Axes, entries: Sequence[tuple[str, int, str]], main: float, corner: tuple[str, str]) -> None:
    up, side = corner
    place: Any = f"{up} {side}"
    anchor = (0.005 if side == "left" else main, main if up == "upper" else 0.005)
    handles = [
        Line2D([], [], marker="s", linestyle="none", markersize=5.5, color=colour, label=f"{name} ({number:,})")
        for name, number, colour in entries
    ]
    legend = panel.legend(
        handles=handles,
        loc=place,
        bbox_to_anchor=anchor,
        borderaxespad=0.2,
        frameon=True,
        framealpha=0.9,
        edgecolor=RULE,
        fancybox=False,
        prop={"family": "DejaVu Sans", "size": SMALL},
    )
    legend.get_frame().set_linewidth(0.6)
    legend.set_zorder(6)
