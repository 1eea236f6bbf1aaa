"""Densities of one quantity over each other: what was believed, what the data say, and what follows."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import DataError, Fault
from metapeer.plots.panel import Axis, Key, Panel, Words
from metapeer.plots.panel_reading import Width, describe, number_words, read_numbers, texts_of
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET

__all__ = ["draw_densities"]

SHADE = "#d3deea"
LOOKS = {
    "posterior": (POOLED, "-", 1.8),
    "likelihood": (PREDICTED, (0, (4, 2)), 1.3),
    "prior": (QUIET, (0, (1, 1.5)), 1.3),
}
"""Colour, style and width of each kind of curve."""


def draw_densities(
    table: pd.DataFrame,
    *,
    median: float | None = None,
    interval: tuple[float, float] | None = None,
    interval_label: str = "interval",
    x_label: str = "",
    y_label: str = "Density",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.0,
    ax: Axes | None = None,
) -> Figure:
    """Draw curves of prior, likelihood and posterior over one axis; the area of an interval is shaded.

    Parameters
    ----------
    table : DataFrame
        Points in ascending order of value: ``value``, ``kind`` ("prior", "likelihood" or "posterior"), ``density``
        and ``name``, what the key calls the curve.
    median : float, optional
        Of the posterior: a line.
    interval : tuple of float, optional
        Of the posterior: the shaded area under it.
    interval_label : str
        What the key calls it.
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
        The figure drawn on.

    Raises
    ------
    DataError
        If the table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense.

    Examples
    --------
    >>> table = pd.DataFrame({"value": [0.0, 0.1, 0.2], "density": [4.0, 5.0, 1.0], "kind": "posterior",
    ...                       "name": "posterior"})
    >>> figure = draw_densities(table, median=0.08)
    >>> [float(line.get_xdata()[0]) for line in figure.axes[0].lines if line.get_label() == "_median"]
    [0.08]
    """
    found = read_numbers(table, "table", ("value", "density"), least=2)
    kinds, names = texts_of(table, "kind"), texts_of(table, "name")
    faults = [
        Fault(row=f"row {i + 1}", column="kind", message=f"{kind!r} is unknown. Known: {', '.join(LOOKS)}")
        for i, kind in enumerate(kinds)
        if kind not in LOOKS
    ]
    if faults:
        raise DataError("table", faults)
    present = [kind for kind in LOOKS if kind in kinds]
    keys = [
        Key(label=names[kinds.index(kind)] or kind, colour=LOOKS[kind][0], line=LOOKS[kind][1], width=LOOKS[kind][2])
        for kind in present
    ]
    if interval is not None:
        keys.append(Key(label=interval_label, field=True, face=SHADE))
    if median is not None:
        keys.append(Key(label="posterior median", line="-", colour=INK, width=0.9))
    # a prior may be infinite at an end; the posterior and the likelihood say how high the panel is
    main = [found["density"][i] for i, kind in enumerate(kinds) if kind != "prior"] or found["density"].tolist()
    top = 1.08 * float(max(main)) or 1.0
    panel = Panel(
        across=Axis(low=float(found["value"].min()), high=float(found["value"].max()), label=x_label),
        up=Axis(low=0.0, high=top, label=y_label),
        words=Words(title=title, notes=notes),
        keys=keys,
        width=width,
        height=height,
        ax=ax,
    )
    for kind in reversed(present):
        at = np.array([i for i, one in enumerate(kinds) if one == kind])
        x, y = found["value"][at], np.minimum(found["density"][at], 10 * top)
        colour, style, thick = LOOKS[kind]
        panel.axes.plot(x, y, color=colour, ls=style, lw=thick, zorder=3, label=f"_{kind}")
        if kind == "posterior" and interval is not None:
            grid = np.union1d(x[(x > interval[0]) & (x < interval[1])], np.clip(interval, x.min(), x.max()))
            panel.axes.fill_between(grid, 0, np.interp(grid, x, y), color=SHADE, lw=0, zorder=1, label="_interval")
        if kind == "posterior" and median is not None:
            reach = float(np.interp(median, x, y))
            panel.axes.plot([median, median], [0, reach], color=INK, lw=0.9, zorder=2, label="_median")
    told = f"{x_label}: {', '.join(present)} as curves over one axis."
    if median is not None:
        told += f" Posterior median: {number_words(median, *(interval or ()))}."
    return describe(panel.figure, told)
