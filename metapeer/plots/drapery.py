"""The drapery plot: p-value functions of the studies and of the pooled effect, all confidence levels at once."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError, DataError, Fault, check_choice
from metapeer.formatting import count
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel import Axis, Key, Panel, Words
from metapeer.plots.panel_reading import FloatArray, Width, describe, ends_around, number_words, read_numbers, texts_of
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET, RULE, SMALL

__all__ = ["draw_drapery"]

REGION = "#f3ddcc"
GREY = "#a5b6c9"
KINDS = ("study", "pooled", "prediction")
FLOOR = 1e-4  # where the logarithmic axis ends


def draw_drapery(
    table: pd.DataFrame,
    *,
    scale: Literal["linear", "log"] = "linear",
    alpha: Sequence[float] = (0.05,),
    x_label: str = "Effect",
    log_scale: bool = False,
    null_value: float | None = 0.0,
    favours: tuple[str, str] | None = None,
    pooled_label: str = "pooled effect",
    prediction_label: str = "prediction",
    x_limits: tuple[float, float] | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.4,
    ax: Axes | None = None,
) -> Figure:
    """Draw a drapery plot: where a curve is cut at height p stand the ends of the interval of level 1 - p.

    Parameters
    ----------
    table : DataFrame
        Points on the curves, in the order they are joined: ``curve``, ``kind`` ("study", "pooled" or "prediction"),
        ``effect`` and ``p``.
    scale : {"linear", "log"}, default "linear"
        Of p.
    alpha : sequence of float, default (0.05,)
        Heights of dotted lines; the confidence level of each is written on it.
    x_label : str
        What the effects are.
    log_scale : bool, default False
        Whether effects are logarithms, to be read as ratios.
    null_value : float, optional
        Where a line marks no effect, in the table's units; none when None.
    favours : tuple of str, optional
        What low and high effects favour.
    pooled_label, prediction_label : str
        What the key calls these.
    x_limits : tuple of float, optional
        Ends of the axis, as printed on it.
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

    References
    ----------
    Rücker & Schwarzer (2021), Res Synth Methods 12:10-19; Infanger & Schmidt-Trucksäss (2019), Stat Med 38:4189-4197.

    Examples
    --------
    >>> table = pd.DataFrame({"curve": "a", "kind": "study", "effect": [-1.0, 0.0, 1.0], "p": [0.05, 1.0, 0.05]})
    >>> figure = draw_drapery(table)
    >>> [[float(p) for p in line.get_ydata()] for line in figure.axes[0].lines if line.get_label() == "_study"]
    [[0.05, 1.0, 0.05]]
    """
    check_choice("scale", scale, ("linear", "log"))
    found, names, kinds = _read(table)
    cuts = _heights(alpha)
    log = scale == "log"
    floor = math.log10(FLOOR)
    shown = np.maximum(found["p"], FLOOR / 10)
    heights = np.log10(shown) if log else found["p"]
    marks = [] if null_value is None else [float(null_value)]
    low, high = ends_around(np.append(found["effect"], marks), x_limits, log=log_scale, room=0.0)
    curves: dict[tuple[str, str], list[int]] = {pair: [] for pair in zip(names, kinds, strict=True)}
    for i, pair in enumerate(zip(names, kinds, strict=True)):
        curves[pair].append(i)
    keys = [Key(label="study", line="-", colour=GREY, width=0.9)]
    keys += [Key(label=pooled_label, line="-", width=2.0)] if "pooled" in kinds else []
    if "prediction" in kinds:
        keys.append(Key(label=prediction_label, field=True, face=REGION, line=(0, (4, 2)), colour=PREDICTED, width=1.1))
    keys += [Key(label="no effect", line="-", colour=INK, width=0.8)] if marks else []
    panel = Panel(
        across=Axis(low=low, high=high, label=x_label, log=log_scale),
        up=Axis(
            low=floor * math.log(10) if log else 0.0,
            high=0.0 if log else 1.0,
            label="Two-sided p" + (" (log scale)" if log else ""),
            log=log,
        ),
        words=Words(title=title, notes=notes, favours=favours),
        keys=keys,
        width=width,
        height=height,
        ax=ax,
        right=30.0,
    )
    axes = panel.axes
    up = heights * math.log(10) if log else heights
    bottom = panel.up.low
    for (_, kind), at in curves.items():
        x, y = found["effect"][at], up[at]
        if kind == "prediction":
            axes.fill_between(x, bottom, y, color=REGION, lw=0, zorder=1, label="_prediction")
            axes.plot(x, y, color=PREDICTED, lw=1.1, ls=(0, (4, 2)), zorder=3, label="_prediction")
        elif kind == "pooled":
            axes.plot(x, y, color=POOLED, lw=2.0, zorder=4, label="_pooled")
        else:
            axes.plot(x, y, color=GREY, lw=0.9, zorder=2, label="_study")
    for mark in marks:
        axes.axvline(mark, color=INK, lw=0.8, zorder=2.5)
    written: list[float] = []
    for a in sorted(cuts):
        height_of = math.log(max(a, FLOOR)) if log else a
        axes.axhline(height_of, color=RULE, lw=0.8, ls=(0, (1, 2)), zorder=2.5)
        _, y = panel.place(np.array([low]), np.array([height_of]))
        if all(abs(float(y[0]) - other) > 1.2 * SMALL for other in written):
            percent = f"{100 * (1 - a):g}%"
            panel.write(panel.wide + 3, float(y[0]) - 0.36 * SMALL, percent, size=SMALL, color=QUIET)
            written.append(float(y[0]))
    studies = sum(kind == "study" for _, kind in curves)
    return describe(
        panel.figure,
        f"Drapery plot: p-value functions of {count(studies, 'study', 'studies')}"
        + (" and of the pooled effect" if "pooled" in kinds else "")
        + (", with the prediction region." if "prediction" in kinds else ".")
        + "".join(
            f" {pooled_label[:1].upper()}{pooled_label[1:]}: "
            f"{number_words(float(found['effect'][at][np.argmax(found['p'][at])]), log=log_scale)}."
            for (_, kind), at in curves.items()
            if kind == "pooled"
        ),
    )


def _read(table: pd.DataFrame) -> tuple[dict[str, FloatArray], list[str], list[str]]:
    """Take the points, and the name and kind of the curve each belongs to; list every fault."""
    found = read_numbers(table, "table", ("effect", "p"))
    names, kinds = texts_of(table, "curve"), texts_of(table, "kind")
    faults = [
        Fault(row=f"row {i + 1}", column="p", message=f"{found['p'][i]:g} is not a probability")
        for i in np.flatnonzero((found["p"] < 0) | (found["p"] > 1)).tolist()
    ]
    faults += [
        Fault(row=f"row {i + 1}", column="kind", message=f"{kind!r} is unknown. Known: {', '.join(sorted(KINDS))}")
        for i, kind in enumerate(kinds)
        if kind not in KINDS
    ]
    if faults:
        raise DataError("table", faults)
    return found, names, kinds


def _heights(alpha: object) -> list[float]:
    """Read the heights of the dotted lines."""
    given = list(alpha) if isinstance(alpha, Iterable) else [alpha]
    cuts = [float(a) for a in given if is_finite(a) and 0 < float(a) < 1]
    if len(cuts) < len(given):
        raise ChoiceError(f"alpha must be numbers between 0 and 1, not {alpha!r}")
    return cuts
