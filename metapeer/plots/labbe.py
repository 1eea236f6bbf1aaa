"""The L'Abbé plot: the risk in one arm against the risk in the other, with lines of constant effect."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel import Axis, Key, Panel, Words
from metapeer.plots.panel_names import name_points
from metapeer.plots.panel_reading import Width, describe, read_numbers, texts_of
from metapeer.plots.style import POOLED, PREDICTED, QUIET, STUDY

__all__ = ["draw_labbe"]

LARGEST, SMALLEST = 20.0, 4.0  # diameters in points
STYLES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))


def draw_labbe(
    table: pd.DataFrame,
    *,
    lines: pd.DataFrame | None = None,
    x_label: str = "Risk in the comparison",
    y_label: str = "Risk with the intervention",
    size_label: str = "",
    name_studies: bool = True,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 4.2,
    limit: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a L'Abbé plot. Areas of the circles are proportional to `size`.

    Parameters
    ----------
    table : DataFrame
        One row for each study: ``x`` and ``y``, risks from 0 to 1, and if wanted ``size`` and ``label``.
    lines : DataFrame, optional
        Curves: ``name``, ``x``, ``y``, in the order they are joined.
    x_label, y_label, size_label : str
        What the axes and the areas show.
    name_studies : bool, default True
        Whether names stand beside the circles, where they have room.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width : float or str, default 4.2
        Of the figure: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``. The panel is a
        square.
    limit : float, optional
        End of both axes, up to 1; by default just beyond the largest risk.
    ax : Axes, optional
        Where to draw; by default a new Figure, unknown to pyplot.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    DataError
        If a table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    L'Abbé, Detsky & O'Rourke (1987), Ann Intern Med 107:224-233.

    Examples
    --------
    >>> table = pd.DataFrame({"x": [0.2, 0.4], "y": [0.1, 0.35], "size": [100, 300]})
    >>> figure = draw_labbe(table)
    >>> figure.axes[0].collections[0].get_offsets().tolist()
    [[0.4, 0.35], [0.2, 0.1]]
    """
    if limit is not None and not (is_finite(limit) and 0 < float(limit) <= 1):
        raise ChoiceError(f"limit must be a number above 0 and up to 1, not {limit!r}")
    found = read_numbers(table, "table", ("x", "y"), ("size",))
    faults = [
        Fault(row=f"row {i + 1}", column=name, message=f"{found[name][i]:g} is not a risk from 0 to 1")
        for name in ("x", "y")
        for i in np.flatnonzero((found[name] < 0) | (found[name] > 1)).tolist()
    ]
    if faults:
        raise DataError("table", faults)
    curves = None if lines is None else read_numbers(lines, "lines", ("x", "y"))
    names = [] if lines is None else texts_of(lines, "name")
    top = float(max(found["x"].max(), found["y"].max())) if limit is None else float(limit)
    top = min(1.0, max(1.12 * top, 0.05)) if limit is None else top
    room = 0.03 * top
    keys = [Key(label=f"study{f'; area: {size_label}' if size_label else ''}", marker="o")]
    keys.append(Key(label="no effect", line="-", colour=QUIET, width=0.8))
    order = list(dict.fromkeys(names))
    colours = (POOLED, PREDICTED, "#3b7d6e", "#6b4c9a")
    keys += [Key(label=name, line=STYLES[i % 4], colour=colours[i % 4], width=1.4) for i, name in enumerate(order)]

    def make(height: float) -> Panel:
        return Panel(
            across=Axis(low=-room, high=top + room, label=x_label),
            up=Axis(low=-room, high=top + room, label=y_label),
            words=Words(title=title, notes=notes),
            keys=keys,
            width=width,
            height=height,
            ax=ax,
        )

    panel = make(2.0)
    if ax is None:
        panel = make(max(panel.wide / 72, 1.0))  # now that the width of the panel is known, it becomes a square
    axes = panel.axes
    diagonal = [-room, top + room]
    axes.plot(diagonal, diagonal, color=QUIET, lw=0.8, zorder=1)
    if curves is not None:
        for i, name in enumerate(order):
            at = [j for j, one in enumerate(names) if one == name]
            axes.plot(curves["x"][at], curves["y"][at], color=colours[i % 4], ls=STYLES[i % 4], lw=1.4, zorder=2)
    sizes = found["size"]
    shares = np.nan_to_num(sizes / np.nanmax(sizes)) if np.isfinite(sizes).any() and np.nanmax(sizes) > 0 else None
    across = np.full(sizes.size, 9.0) if shares is None else np.maximum(SMALLEST, LARGEST * np.sqrt(shares))
    drawn = np.argsort(-across, kind="stable")
    axes.scatter(found["x"][drawn], found["y"][drawn], s=across[drawn] ** 2, facecolor=STUDY, edgecolor=POOLED,
                 linewidth=0.6, alpha=0.75, zorder=3, clip_on=False)  # fmt: skip
    if name_studies:
        name_points(panel, found["x"], found["y"], texts_of(table, "label"), across / 2, order=drawn.tolist())
    below = int((found["y"] < found["x"]).sum())
    return describe(
        panel.figure,
        f"L'Abbé plot of {count(sizes.size, 'study', 'studies')}; in {below} the risk is lower on the axis upwards "
        f"({y_label}) than on the axis across ({x_label}).",
    )
