"""Orchard plots (pooled effects as trunks, studies as fruit) and rainforest plots (each study as a raindrop)."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import DataError, Fault
from metapeer.formatting import count
from metapeer.plots.panel import Axis, Key, Panel, Words, names_height
from metapeer.plots.panel_reading import FloatArray, Width, describe, ends_around, number_words, read_numbers, texts_of
from metapeer.plots.style import INK, POOLED, PREDICTED, QUIET, SMALL, STUDY
from metapeer.plots.text import text_width

__all__ = ["draw_orchard", "draw_rainforest"]

LARGEST, SMALLEST = 13.0, 2.5  # diameters of fruit, in points
ROW = 46.0  # points from trunk to trunk
DROP = 17.0  # points from raindrop to raindrop
NEAREST = 0.02  # shares of the greatest height at which a drop ends


def draw_orchard(
    table: pd.DataFrame,
    groups: pd.DataFrame,
    *,
    x_label: str = "Effect",
    log_scale: bool = False,
    null_value: float | None = 0.0,
    favours: tuple[str, str] | None = None,
    size_label: str = "precision (1 / standard error)",
    interval_label: str = "interval",
    prediction_label: str = "prediction interval",
    x_limits: tuple[float, float] | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    ax: Axes | None = None,
) -> Figure:
    """Draw an orchard plot: for each group trunk, branch and twig (estimate, interval, prediction) amid its fruit.

    Diameters of the fruit are proportional to `size`. Fruit that would cover one another are set apart, always the same
    way: distances upwards mean nothing.

    Parameters
    ----------
    table : DataFrame
        One row for each study: ``group``, ``estimate``, and if wanted ``size``.
    groups : DataFrame
        One row for each group, from the top: ``group``, ``estimate``, ``ci_low``, ``ci_high``, and if wanted
        ``pi_low``, ``pi_high`` and ``words``, what stands on the right (such as k).
    x_label : str
        What the effects are.
    log_scale : bool, default False
        Whether effects are logarithms, to be read as ratios.
    null_value : float, optional
        Where a line marks no effect, in the tables' units; none when None.
    favours : tuple of str, optional
        What low and high effects favour.
    size_label, interval_label, prediction_label : str
        What the key calls these.
    x_limits : tuple of float, optional
        Ends of the axis, as printed on it.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width : float or str, default 5.5
        Of the figure: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
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
    Nakagawa et al. (2021), Res Synth Methods 12:4-12.

    Examples
    --------
    >>> fruit = pd.DataFrame({"group": ["a", "a"], "estimate": [0.1, 0.4], "size": [5, 8]})
    >>> trunks = pd.DataFrame({"group": ["a"], "estimate": [0.3], "ci_low": [0.1], "ci_high": [0.5]})
    >>> figure = draw_orchard(fruit, trunks)
    >>> figure.axes[0].collections[0].get_offsets()[:, 0].tolist()
    [0.4, 0.1]
    """
    studies = read_numbers(table, "table", ("estimate",), ("size",), least=0)
    pooled = read_numbers(groups, "groups", ("estimate",), ("ci_low", "ci_high", "pi_low", "pi_high"))
    names, members = texts_of(groups, "group"), texts_of(table, "group")
    faults = [
        Fault(column="group", message=f"{name!r} occurs more than once") for name in set(names) if names.count(name) > 1
    ]
    faults += [
        Fault(row=f"row {i + 1}", column="group", message=f"{one!r} is not among the groups")
        for i, one in enumerate(members)
        if one not in names
    ]
    if faults:
        raise DataError("groups", faults)
    marks = [] if null_value is None else [float(null_value)]
    spread = np.concatenate([studies["estimate"], *pooled.values(), marks])
    low, high = ends_around(spread, x_limits, log=log_scale)
    k = len(names)
    words = texts_of(groups, "words")
    keys = [
        Key(label=f"study; diameter: {size_label}", marker="o"),
        Key(label=f"pooled effect and {interval_label}", marker="D", line="-", width=3.0, face="white", colour=INK),
    ]
    if np.isfinite(pooled["pi_low"]).any():
        keys.append(Key(label=prediction_label, line="-", colour=PREDICTED, width=1.2))
    panel = Panel(
        across=Axis(low=low, high=high, label=x_label, log=log_scale),
        up=Axis(low=-0.5, high=k - 0.5, names=tuple(names[::-1])),
        words=Words(title=title, notes=notes, favours=favours),
        keys=keys,
        width=width,
        height=max(1.0, k * max(ROW, names_height(names, width)) / 72),
        ax=ax,
        right=20.0 + max((text_width(text, SMALL) for text in words), default=0.0),
    )
    axes = panel.axes
    for mark in marks:
        axes.axvline(mark, color=INK, lw=0.8, zorder=1)
    sizes = studies["size"]
    top = np.nanmax(sizes) if np.isfinite(sizes).any() else math.nan
    across = np.full(sizes.size, 6.0)
    if top > 0:
        across = np.maximum(SMALLEST, LARGEST * np.nan_to_num(sizes) / top)
    for i, name in enumerate(names):
        row = k - 1 - i
        mine = np.array([j for j, one in enumerate(members) if one == name], dtype=int)
        if mine.size:
            mine = mine[np.argsort(-across[mine], kind="stable")]
            px, _ = panel.place(studies["estimate"][mine], np.zeros(mine.size))
            lift = _swarm(px, across[mine], panel.high / k) / (panel.high / k)
            axes.scatter(studies["estimate"][mine], row + lift, s=across[mine] ** 2, facecolor=STUDY, edgecolor=POOLED,
                         linewidth=0.5, alpha=0.75, zorder=2, clip_on=True, label="_fruit")  # fmt: skip
        numbers = {key: float(values[i]) for key, values in pooled.items()}
        if math.isfinite(numbers["pi_low"]) and math.isfinite(numbers["pi_high"]):
            axes.plot(
                [numbers["pi_low"], numbers["pi_high"]], [row, row], color=PREDICTED, lw=1.2, zorder=3, label="_twig"
            )
        if math.isfinite(numbers["ci_low"]) and math.isfinite(numbers["ci_high"]):
            ends = [numbers["ci_low"], numbers["ci_high"]]
            axes.plot(ends, [row, row], color=INK, lw=2.6, zorder=4, solid_capstyle="butt", label="_branch")
        axes.plot([numbers["estimate"]], [row], marker="D", ms=6, mfc="white", mec=INK, mew=1.3, ls="", zorder=5,
                  label="_trunk")  # fmt: skip
        _, y = panel.place(np.array([low]), np.array([float(row)]))
        if words[i]:
            panel.write(panel.wide + 6, float(y[0]) - 0.36 * SMALL, words[i], size=SMALL, color=QUIET)
    return describe(
        panel.figure,
        f"Orchard plot of {count(sizes.size, 'effect')} in {count(k, 'group')}: "
        + "; ".join(
            f"{name} {number_words(*map(float, numbers), log=log_scale)}"
            for name, *numbers in zip(
                names[:12], *(pooled[part] for part in ("estimate", "ci_low", "ci_high")), strict=False
            )
        )
        + (f"; and {k - 12} more." if k > 12 else "."),
    )


def _swarm(x: FloatArray, across: FloatArray, room: float) -> FloatArray:
    """Lift each circle just so far up or down that it covers no earlier one, as far as the row is high."""
    lifts = np.zeros(x.size)
    most = 0.42 * room
    for i in range(x.size):
        best, crowd = 0.0, math.inf
        for step in np.arange(0.0, most, 1.0):
            for lift in (step, -step):
                away = np.hypot(x[:i] - x[i], lifts[:i] - lift) - (across[:i] + across[i]) / 2
                cover = float(np.maximum(-away, 0).max(initial=0.0))
                if cover < crowd - 1e-9:
                    best, crowd = lift, cover
            if crowd <= 0.3:
                break
        lifts[i] = best
    return lifts


def draw_rainforest(
    table: pd.DataFrame,
    *,
    half_width: float = 1.959963984540054,
    estimate: float | None = None,
    ci: tuple[float, float] | None = None,
    prediction: tuple[float, float] | None = None,
    pooled_label: str = "Pooled",
    x_label: str = "Effect",
    log_scale: bool = False,
    null_value: float | None = 0.0,
    favours: tuple[str, str] | None = None,
    interval_label: str = "its interval",
    x_limits: tuple[float, float] | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    ax: Axes | None = None,
) -> Figure:
    """Draw a rainforest plot: each study as a drop, high and dark where its likelihood is, as long as its interval.

    The greatest height of a drop is proportional to its weight, so that studies that tell little fade.

    Parameters
    ----------
    table : DataFrame
        One row for each study, from the top: ``label``, ``estimate``, ``se``, and if wanted ``weight``.
    half_width : float
        Of the intervals, in standard errors.
    estimate : float, optional
        The pooled effect.
    ci, prediction : tuple of float, optional
        Its interval, and the one of prediction.
    pooled_label : str
        Name of its row.
    x_label : str
        What the effects are.
    log_scale : bool, default False
        Whether effects are logarithms, to be read as ratios.
    null_value : float, optional
        Where a line marks no effect, in the table's units; none when None.
    favours : tuple of str, optional
        What low and high effects favour.
    interval_label : str
        What the key calls the length of a drop.
    x_limits : tuple of float, optional
        Ends of the axis, as printed on it.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width : float or str, default 5.5
        Of the figure: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
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
    Schild & Voracek (2015), Res Synth Methods 6:74-86; Barrowman & Myers (2003), Am Stat 57:268-274.

    Examples
    --------
    >>> table = pd.DataFrame({"label": ["a", "b"], "estimate": [0.1, 0.4], "se": [0.1, 0.2]})
    >>> figure = draw_rainforest(table, estimate=0.2, ci=(0.05, 0.35))
    >>> len([one for one in figure.axes[0].lines if one.get_label() == "_estimate"])
    2
    """
    found = read_numbers(table, "table", ("estimate", "se"), ("weight",))
    bad = np.flatnonzero(found["se"] <= 0).tolist()
    if bad:
        raise DataError("table", [Fault(row=f"row {i + 1}", column="se", message="is not above 0") for i in bad])
    names = texts_of(table, "label") + ([pooled_label] if estimate is not None else [])
    half = half_width * found["se"]
    marks = [float(one) for one in (null_value, estimate, *(ci or ()), *(prediction or ())) if one is not None]
    reach = np.concatenate([found["estimate"] - half, found["estimate"] + half, marks])
    low, high = ends_around(reach, x_limits, log=log_scale)
    k, rows = found["se"].size, len(names)
    keys = [Key(label=f"study: likelihood within {interval_label}; height: weight", field=True, face=STUDY)]
    if estimate is not None:
        keys.append(Key(label="pooled effect and interval", marker="D", line="-", colour=INK, face=POOLED))
    if prediction is not None:
        keys.append(Key(label="prediction interval", line="-", colour=PREDICTED, width=2.0))
    panel = Panel(
        across=Axis(low=low, high=high, label=x_label, log=log_scale),
        up=Axis(low=-0.7, high=rows - 0.4, names=tuple(names[::-1])),
        words=Words(title=title, notes=notes, favours=favours),
        keys=keys,
        width=width,
        height=max(1.0, rows * max(DROP, names_height(names, width)) / 72),
        ax=ax,
    )
    axes = panel.axes
    if null_value is not None:
        axes.axvline(float(null_value), color=INK, lw=0.8, zorder=1)
    weights = found["weight"] if np.isfinite(found["weight"]).all() else found["se"] ** -2.0
    tallest = 0.46 * np.maximum(np.sqrt(weights / max(float(weights.max()), 1e-300)), 0.12)
    steps = np.linspace(-half_width, half_width, 81)
    shape = np.exp(-0.5 * steps**2)
    shape = np.maximum((shape - shape.min()) / (1 - shape.min() or 1.0), NEAREST)
    for i in range(k):
        row = rows - 1 - i
        x = found["estimate"][i] + steps * found["se"][i]
        tall = tallest[i] * shape
        axes.fill_between(x, row - tall, row + tall, color=STUDY, lw=0, zorder=2, label="_drop")
        axes.fill_between(x, row - 0.55 * tall, row + 0.55 * tall, where=shape > 0.35, color=POOLED, alpha=0.45, lw=0,
                          zorder=3)  # fmt: skip
        middle = [found["estimate"][i]] * 2
        axes.plot(middle, [row - tallest[i], row + tallest[i]], color="white", lw=1.0, zorder=4, label="_estimate")
    if estimate is not None:
        if prediction is not None:
            axes.plot(list(prediction), [0, 0], color=PREDICTED, lw=2.0, zorder=3, label="_prediction")
        if ci is not None:
            axes.fill([ci[0], estimate, ci[1], estimate], [0, 0.3, 0, -0.3], color=POOLED, zorder=5, label="_diamond")
        axes.plot([estimate] * 2, [0.35, rows - 0.5], color=POOLED, lw=0.8, ls=(0, (3, 2.5)), zorder=1.5)
    told = f"Rainforest plot of {count(k, 'study', 'studies')}, each drawn as its likelihood."
    if estimate is not None:
        told += f" {pooled_label}: {number_words(float(estimate), *(ci or ()), log=log_scale)}."
    if prediction is not None:
        told += f" Prediction interval: {' to '.join(number_words(end, log=log_scale) for end in prediction)}."
    return describe(panel.figure, told)
