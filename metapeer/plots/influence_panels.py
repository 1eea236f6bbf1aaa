"""The influence plot: a small panel for each diagnostic, one line for each study, with the cut-offs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.panel_reading import Width, describe, inches
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET, RULE, SMALL, SMALL_LINE, TITLE, TITLE_LINE, root_figure
from metapeer.plots.text import PlainText, text_width, wrap_text
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["Panel", "influence_plot"]

FloatArray = NDArray[np.float64]

ROW, LOWEST_ROW, NAMED_ROW = 11.0, 1.2, 7.5
"""Height of a line in points; the least when there are many; the least that has room for a name."""
TALLEST = 640.0
PANEL, LEAST_PANEL, GAP, LONGEST_NAME = 62.0, 40.0, 14.0, 150.0
SHADE = "#eef2f7"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """One diagnostic.

    Parameters
    ----------
    title : str
        Its name.
    values : array of shape (k,)
        One for each study; what is not finite is not drawn.
    centre : float
        Where a thin line marks no change, or the whole fit; none when NaN.
    limits : tuple of float
        Where dashed lines mark cut-offs.
    """

    title: str
    values: FloatArray
    centre: float = float("nan")
    limits: tuple[float, ...] = ()


def _shortened(label: str, limit: float) -> str:
    if text_width(label, SMALL) <= limit:
        return label
    return wrap_text(label, limit - text_width("…", SMALL), SMALL)[0].rstrip() + "…"


def _range(panel: Panel) -> tuple[float, float]:
    """Ends of a panel: all values and the line at the centre, and cut-offs unless they lie far beyond."""
    shown = panel.values[np.isfinite(panel.values)]
    marks = np.array([panel.centre])[np.isfinite([panel.centre])]
    near = np.concatenate([shown, marks])
    if not near.size:
        return 0.0, 1.0
    low, high = float(near.min()), float(near.max())
    reach = 1.5 * max(high - low, 1e-12 * max(abs(low), abs(high), 1e-300))
    for limit in panel.limits:
        if low - reach <= limit <= high + reach:
            low, high = min(low, limit), max(high, limit)
    room = 0.06 * (high - low) or max(0.5 * abs(low), 1.0)
    return low - room, high + room


def influence_plot(
    labels: Sequence[str],
    panels: Sequence[Panel],
    *,
    marked: Sequence[bool] | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw diagnostics side by side, study by study from top to bottom.

    Parameters
    ----------
    labels : sequence of str
        Names of the studies; where there are too many to be read, only the marked ones have theirs.
    panels : sequence of Panel
        The diagnostics.
    marked : sequence of bool, optional
        Studies to be drawn in the other colour, on a shaded line.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width : float or str, optional
        Of the figure, by default as wide as its panels side by side; panels for which that is too narrow stand in
        further rows: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    ax : Axes, optional
        Whose place is divided among the panels; by default a new Figure, unknown to pyplot.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on; the panels are the child axes of ``figure.axes[0]``, or of `ax`.

    Raises
    ------
    DataError
        If a panel has not one number for each study.
    ChoiceError
        If there are no panels, or `marked` does not fit.

    References
    ----------
    Viechtbauer & Cheung (2010), Res Synth Methods 1:112-125.

    Examples
    --------
    >>> panel = Panel(title="rstudent", values=np.array([-0.4, 2.3, 0.1]), centre=0.0, limits=(-1.96, 1.96))
    >>> figure = influence_plot(["a", "b", "c"], [panel], marked=[False, True, False])
    >>> len(figure.axes[0].child_axes)
    1
    """
    k = len(labels)
    if not panels or not k:
        raise ChoiceError("an influence plot needs a study and a panel")
    if marked is not None and len(marked) != k:
        raise ChoiceError(f"marked has {len(marked)} values for {k} studies; they must pair up")
    faults = [
        Fault(column=panel.title, message=f"has {np.size(panel.values)} values for {k} studies; they must pair up")
        for panel in panels
        if np.shape(panel.values) != (k,)
    ]
    if faults:
        raise DataError("the panels", faults)
    if ax is not None and not (isinstance(ax, Axes) and ax.name == "rectilinear"):
        raise ChoiceError("ax must be plain matplotlib Axes")

    row = max(LOWEST_ROW, min(ROW, TALLEST / k))
    longest = LONGEST_NAME if width is None else min(LONGEST_NAME, 0.3 * 72 * inches(width))
    names = [_shortened(clean_text(label).replace("\n", " "), longest) for label in labels]
    chosen = np.zeros(k, dtype=np.bool_) if marked is None else np.asarray(marked, dtype=np.bool_)
    named = _named(chosen, row)
    left = max((text_width(names[i], SMALL) for i in named), default=0.0) + 10.0
    if width is not None and ax is not None:
        raise ChoiceError("width has no effect with ax: the Axes have their width already")
    wide, across, each = _shared_out(left, len(panels), width)
    headers = [wrap_text(clean_text(panel.title), each, SMALL) for panel in panels]
    heading = wrap_text(clean_text(title), wide - 12.0, TITLE, bold=True) if clean_text(title) else []
    remarks = (notes,) if isinstance(notes, str) else tuple(notes)
    words = [line for note in remarks for line in wrap_text(true_minus(clean_text(note)), wide - 12.0, SMALL) if line]
    top = 6.0 + TITLE_LINE * len(heading)
    tall, head, foot = row * k, SMALL_LINE * max(map(len, headers)) + 4.0, 22.0
    storeys = -(-len(panels) // across)
    bottom = foot + SMALL_LINE * len(words)
    high = top + storeys * (head + tall + foot) - foot + bottom
    if ax is None:
        no_engine: Any = "none"
        figure = Figure((wide / 72, high / 72), facecolor="white", layout=no_engine)
        ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_axis_off()
    # A transform in points of the undiminished layout would tear apart in small axes; shares of the axes do not.
    for i, line in enumerate(heading):
        place = 1.0 - (TITLE + 3.0 + i * TITLE_LINE) / high
        _put(ax, 6.0 / wide, place, line, TITLE, bold=True, ha="left", va="baseline")
    for i, line in enumerate(words):
        place = (bottom - 28.0 - i * SMALL_LINE) / high
        _put(ax, 6.0 / wide, place, line, SMALL, color=QUIET, ha="left", va="baseline")
    floors = [bottom + (storeys - 1 - storey) * (head + tall + foot) for storey in range(storeys)]
    for floor in floors:
        for i in named:
            place = (floor + tall - (i + 0.5) * row) / high
            _put(ax, (left - 4.0) / wide, place, names[i], SMALL, ha="right", va="center")
    shrunk = min(1.0, ax.get_window_extent().width * 72 / root_figure(ax).dpi / wide)
    for j, (panel, lines) in enumerate(zip(panels, headers, strict=True)):
        start, floor = left + (j % across) * (each + GAP), floors[j // across]
        for i, line in enumerate(reversed(lines)):
            place = (floor + tall + 4.0 + i * SMALL_LINE) / high
            _put(ax, (start + each / 2) / wide, place, line, SMALL, bold=True, ha="center", va="baseline")
        inner = ax.inset_axes((start / wide, floor / high, each / wide, tall / high))
        _draw(inner, panel, chosen, row, shrunk * each)
    return describe(root_figure(ax), _told(labels, panels, chosen))


def _told(labels: Sequence[str], panels: Sequence[Panel], marked: NDArray[np.bool_]) -> str:
    """Say in words what the plot shows."""
    out = [clean_text(labels[i]) for i in np.flatnonzero(marked).tolist()]
    more = f" and {len(out) - 8} more" if len(out) > 8 else ""
    return (
        f"Influence of {count(len(labels), 'study', 'studies')} by "
        f"{', '.join(clean_text(panel.title) for panel in panels)}. Marked: {', '.join(out[:8]) or 'none'}{more}."
    )


def _shared_out(left: float, panels: int, width: Width | None) -> tuple[float, int, float]:
    """Width of the whole, how many panels stand side by side, and how wide each is."""
    wide = left + panels * (PANEL + GAP) if width is None else 72 * inches(width)
    least = PANEL if width is None else LEAST_PANEL
    across = max(1, min(panels, int((wide - left) / (least + GAP) + 1e-9)))
    across = -(-panels // -(-panels // across))  # rows of panels are about equally long
    return wide, across, max((wide - left) / across - GAP, LEAST_PANEL)


def _put(ax: Axes, x: float, y: float, text: str, size: float, *, color: str = INK, **how: Any) -> None:
    ax.add_artist(PlainText(x, y, text, size=size, color=color, transform=ax.transAxes, clip_on=False, **how))


def _named(marked: NDArray[np.bool_], row: float) -> list[int]:
    """Studies that have room for a name: all of them, or of the marked ones those that do not cover one another."""
    if row >= NAMED_ROW:
        return list(range(marked.size))
    found: list[int] = []
    for i in np.flatnonzero(marked).tolist():
        if not found or (i - found[-1]) * row >= NAMED_ROW:
            found.append(i)
    return found


def _draw(inner: Axes, panel: Panel, marked: NDArray[np.bool_], row: float, width: float) -> None:
    """One panel, `width` points wide: shaded lines below, then the cut-offs, then the points."""
    k = marked.size
    low, high = _range(panel)
    inner.set_xlim(low, high)
    inner.set_ylim(k - 0.5, -0.5)
    for i in np.flatnonzero(marked).tolist():
        inner.axhspan(i - 0.5, i + 0.5, color=SHADE, lw=0, zorder=0)
    if low <= panel.centre <= high:
        inner.axvline(panel.centre, color=RULE, linewidth=0.7, zorder=1)
    for limit in panel.limits:
        if low <= limit <= high:
            inner.axvline(limit, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    places = np.arange(k)
    plain = min(4.0, max(1.8, 0.5 * row))
    for there, color, size in ((~marked, POOLED, plain), (marked, PREDICTED, max(3.5, plain))):
        drawn = there & np.isfinite(panel.values)
        if drawn.any():
            inner.plot(
                panel.values[drawn], places[drawn], "o", markersize=size, color=color, markeredgewidth=0, zorder=3
            )
    ticks = ticks_within(low, high, width, SMALL)
    if not (panel.values < 0).any():
        ticks = [tick for tick in ticks if tick >= 0]
    if len(ticks) > 3:
        ticks = ticks[:: (len(ticks) + 1) // 3]
    inner.set_xticks(ticks, labels=tick_text(ticks))
    inner.set_yticks([])
    inner.minorticks_off()
    inner.tick_params(labelsize=SMALL, length=2.5, width=0.7, color=RULE, labelcolor=INK, labelfontfamily="DejaVu Sans")
    for side, spine in inner.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(RULE)
        spine.set_linewidth(0.7)
