"""The extended funnel plot: what one more study of any effect and precision would do to the conclusion."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count
from metapeer.plots.cells import clean_text
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_reading import Width, describe, number_words
from metapeer.plots.panel_sheet import Sheet, check_sides, dress, note_lines
from metapeer.plots.style import INK, POOLED, RULE, SIZE, root_figure
from metapeer.plots.text import text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["extended_funnel_plot"]

FloatArray = NDArray[np.float64]

SHADES = ("#ffffff", "#dce6f1", "#f6dcc4", "#e3e3e3", "#c9d8e8", "#efc59c")
"""Light enough for dots and lines to stand out on them; they differ in lightness, too."""


def _read(table: object) -> tuple[FloatArray, FloatArray, list[str], NDArray[np.int64]]:
    """Take the grid: effects across, standard errors down, the conclusions, and which one holds in each cell."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"table must be a DataFrame, not a {type(table).__name__}")
    absent = [name for name in ("effect", "sei", "conclusion") if name not in table]
    if absent:
        raise DataError("table", [Fault(column=name, message="is missing") for name in absent])
    faults = []
    for name in ("effect", "sei"):
        numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        faults += [
            Fault(row=f"row {i + 1}", column=name, message=f"{table[name].iloc[i]!r} is not a finite number")
            for i in np.flatnonzero(~np.isfinite(numbers)).tolist()
        ]
    if faults:
        raise DataError("table", faults)
    across = np.unique(table["effect"].to_numpy(np.float64))
    down = np.unique(table["sei"].to_numpy(np.float64))
    pairs = table[["effect", "sei"]].drop_duplicates()
    if min(across.size, down.size) < 2 or len(pairs) != across.size * down.size or len(pairs) != len(table):
        raise DataError("table", ["must be a full grid: each of at least two effects with each of two standard errors"])
    names = list(dict.fromkeys(table["conclusion"].astype(str)))
    codes = np.array([names.index(str(one)) for one in table["conclusion"]], dtype=np.int64)
    cells = np.empty((down.size, across.size), dtype=np.int64)
    cells[
        np.searchsorted(down, table["sei"].to_numpy(np.float64)),
        np.searchsorted(across, table["effect"].to_numpy(np.float64)),
    ] = codes
    return across, down, names, cells


def _studies(name: str, values: ArrayLike | None) -> FloatArray:
    try:
        found = np.asarray([] if values is None else values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(name, ["must be numbers"]) from None
    if found.ndim != 1 or not np.isfinite(found).all():
        raise DataError(name, ["must be a list of finite numbers"])
    return found


def extended_funnel_plot(
    table: pd.DataFrame,
    *,
    yi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    estimate: float | None = None,
    null_value: float = 0.0,
    x_label: str = "Effect",
    y_label: str = "Standard error",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 5.5,
    height: Width = 3.6,
    ax: Axes | None = None,
) -> Figure:
    """Draw a funnel plot whose ground shows the conclusion after one more study.

    Each place stands for a study of that effect and standard error. The precise ones are at the top.

    Parameters
    ----------
    table : DataFrame
        A full grid of ``effect`` and ``sei`` with a ``conclusion`` for each, as `extended_funnel_table` makes it.
    yi, sei : array of shape (k,), optional
        Effects and standard errors of the studies at hand, drawn as dots.
    estimate : float, optional
        The pooled effect now, a dashed line.
    null_value : float, default 0.0
        No effect, a solid line.
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
        If the table is no full grid, or numbers are not finite; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    Langan et al. (2012), J Clin Epidemiol 65:511-519.

    Examples
    --------
    >>> table = pd.DataFrame({"effect": [0.0, 0.0, 1.0, 1.0], "sei": [0.1, 0.2, 0.1, 0.2],
    ...                       "conclusion": ["unclear", "unclear", "above", "unclear"]})
    >>> figure = extended_funnel_plot(table, yi=[0.3], sei=[0.15])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['unclear', 'above', 'studies']
    """
    sides = check_sides(width, height, None, ax)
    if estimate is not None and not is_finite(estimate):
        raise ChoiceError(f"estimate must be a finite number, not {estimate!r}")
    across, down, names, cells = _read(table)
    effects, errors = _studies("yi", yi), _studies("sei", sei)
    if effects.size != errors.size:
        raise ChoiceError(f"yi has {effects.size} values and sei has {errors.size}; they must pair up")
    if len(names) > len(SHADES):
        raise ChoiceError(f"the table has {len(names)} conclusions; at most {len(SHADES)} can be told apart")

    words = note_lines(notes)
    low, high = min(0.0, float(down.min())), max(float(down.max()), *(errors.tolist() or [0.0]))
    tall = 72.0 * sides[1] if ax is None else ax.get_window_extent().height * 72 / root_figure(ax).dpi
    y_ticks = ticks_within(low, high, tall, 2.5 * SIZE)
    y_texts = tick_text(y_ticks)
    widest = max((text_width(text, SIZE) for text in y_texts), default=0.0)
    labels = (clean_text(title), clean_text(x_label), clean_text(y_label), words)
    handles: list[Patch | Line2D] = [
        Patch(facecolor=SHADES[i], edgecolor=RULE, linewidth=0.6, label=clean_text(name))
        for i, name in enumerate(names)
    ]
    if effects.size:
        handles.append(Line2D([], [], marker="o", linestyle="none", markersize=4.5, color=POOLED, label="studies"))
    sheet = Sheet(ax, sides, labels, widest, keys=handles, keys_title="After one more study")
    panel = sheet.ax
    left = min(float(across[0]), *(effects.tolist() or [float(across[0])]))
    right = max(float(across[-1]), *(effects.tolist() or [float(across[-1])]))
    panel.set_xlim(left, right)
    panel.set_ylim(high, low)  # precise studies at the top

    shades = ListedColormap(list(SHADES[: len(names)]))
    panel.pcolormesh(across, down, cells, cmap=shades, vmin=-0.5, vmax=len(names) - 0.5, shading="nearest", zorder=0)
    panel.axvline(float(null_value), color=INK, linewidth=0.9, zorder=2)
    if estimate is not None:
        panel.axvline(float(estimate), color=POOLED, linewidth=1.0, linestyle=(0, (3, 2)), zorder=2)
    if effects.size:
        panel.plot(effects, errors, "o", markersize=4.5, color=POOLED, markeredgecolor="white", zorder=3)
    x_ticks = ticks_within(left, right, sheet.wide, SIZE)
    panel.set_xticks(list(x_ticks), labels=list(tick_text(x_ticks)))
    panel.set_yticks(list(y_ticks), labels=list(y_texts))
    dress(panel)
    sheet.finish()
    shares = "; ".join(f"{100 * (cells == i).mean():.0f}%: {clean_text(name)}" for i, name in enumerate(names))
    now = "" if estimate is None else f" Pooled effect now: {number_words(float(estimate))}."
    return describe(
        root_figure(panel),
        f"Extended funnel plot of {count(effects.size, 'study', 'studies')}.{now} "
        f"After one more study anywhere on this ground: {shares}.",
    )
