"""The forest plot: a table of studies, diamonds and notes in, a figure made to measure out.

Everything stands in one Axes. Across, its middle (the panel) is the effect's own scale, and the text columns stand
beside the panel in axes coordinates; down, one unit is one point of an undiminished layout. Columns are as wide as
their text, rows as high as theirs, and the figure is the sum. Given an Axes of fixed size, the same layout is made
to fit it: first long labels break earlier, then the whole shrinks.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import count, format_level
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.forest_columns import HEADER_LIMIT, Header, named_column
from metapeer.plots.forest_layout import Words, lay_out_across, lay_out_down
from metapeer.plots.forest_look import LAYOUTS, Look
from metapeer.plots.forest_painter import Painter
from metapeer.plots.forest_rows import Row, read_rows
from metapeer.plots.forest_scale import is_finite, read_scale
from metapeer.plots.judgements import TOOLS, Tool
from metapeer.plots.panel_reading import Width, describe, inches
from metapeer.plots.style import SIZE, root_figure
from metapeer.plots.text import text_width

__all__ = ["forest_plot"]

TOLD = 12
"""Pooled effects that the words for the plot list; of more, the first and the last."""


def forest_plot(
    table: pd.DataFrame,
    *,
    left: Mapping[str, Header] | None = None,
    right: Mapping[str, Header] | None = None,
    axis_label: str = "",
    log_scale: bool = False,
    null_value: float = 0.0,
    favours: tuple[str, str] | None = None,
    reference: float | None = None,
    digits: int = 2,
    level: float = 0.95,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width | None = None,
    layout: str = "metapeer",
    judgements: Mapping[str, str] | None = None,
    tool: Tool = "RoB 2",
    ax: Axes | None = None,
    x_limits: tuple[float, float] | None = None,
    ticks: Sequence[float] | None = None,
) -> Figure:
    """Draw a forest plot from a table.

    Squares have areas proportional to the weights (the largest square is 9 points wide; none is narrower than 2).
    A study that has an estimate but no weight, among others that have one, was not pooled: its square is hollow.

    The axis covers every interval, except that ends and estimates beyond Tukey's fences (lower quartile of the
    studies' lower limits minus 1.5 times the distance to the upper quartile of their upper limits, and likewise
    upwards) do not stretch it; an interval that is cut, or infinite, ends in an arrowhead. No effect, `reference`,
    `ticks` and the pooled estimates are always on it.

    Parameters
    ----------
    table : DataFrame
        One line per row of the plot, top to bottom. Columns `kind`, `label`, `estimate`, `ci_low`, `ci_high`, and if
        wanted `weight` (percent), `exclusion_reason` (why a study has no estimate) and any columns to print.
        `kind` is ``"heading"``, ``"study"``, ``"summary"`` (a diamond, its label in bold), ``"pooled"`` (a diamond in
        a list of several), ``"prediction"`` (a bar from `ci_low` to `ci_high`; its `estimate` is not used), ``"text"``
        (small type) or ``"blank"``. A column `indent` (True or False) says which studies and pooled results are
        indented; without it, those under a heading are. Behind a diamond, `pi_low` and `pi_high` draw a thin line: a
        prediction interval.
    left, right : mapping of column to header, optional
        Columns to print beside the panel. A header is a text, or a pair such as ``("Peer support", "n")`` whose
        first text spans its neighbours with the same one. ``"effect"`` (estimate and interval) and ``"weight"`` are
        made from the numbers, unless the table brings a column `effect`. ``"label"`` in `left` renames the first
        column. Where neither names effect or weight, and `right` is left out, they stand where `layout` has them.
    axis_label : str
        Name of the effect measure, such as ``"Risk ratio"``.
    log_scale : bool, default False
        Whether the table's estimates are logarithms, to be read as ratios.
    null_value : float, default 0.0
        Where there is no effect, in the table's units (0 also for the logarithm of a ratio).
    favours : tuple of str, optional
        What to write under the axis to the left and to the right of no effect, with arrows that point outwards.
        Where they do not fit beneath the axis on two lines, they run on beyond its ends, outside the arrows.
    reference : float, optional
        Where a dashed line stands, in the table's units: usually the pooled estimate.
    digits : int, default 2
        Decimals of the effects.
    level : float, default 0.95
        Of the intervals, for the default header.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width : float or str, optional
        Of the figure, by default the sum of its columns and a panel of 2.8 inches:
        inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    layout : {"metapeer", "revman", "jama", "bmj"}
        In whose manner effects, weights and colours are: the house's own, or like Review Manager, JAMA or The BMJ.
    judgements : mapping of str to str, optional
        Columns of judgements of risk of bias with their heads: signs in discs at the far right. A note tells the signs.
    tool : {"RoB 2", "ROBINS-I", "RoB 1"}
        Whose levels the judgements are.
    ax : Axes, optional
        Where to draw, within its box as it is now; by default a new Figure of the right size, unknown to pyplot.
    x_limits : tuple of float, optional
        Ends of the axis, as printed on it (ratios when `log_scale`).
    ticks : sequence of float, optional
        Ticks, as printed on the axis.

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
    Lewis & Clarke (2001), BMJ 322:1479-1480 (area of the squares).
    Riley, Higgins & Deeks (2011), BMJ 342:d549 (prediction interval below the diamond).

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({
    ...     "kind": ["study", "study", "summary"], "label": ["Trial A", "Trial B", "Random-effects model"],
    ...     "estimate": [0.10, 0.30, 0.22], "ci_low": [-0.20, 0.05, 0.02], "ci_high": [0.40, 0.55, 0.42],
    ...     "weight": [42.0, 58.0, 100.0],
    ... })
    >>> figure = forest_plot(table, axis_label="SMD", favours=("Favours usual care", "Favours peer support"))
    >>> "0.10 (−0.20 to 0.40)" in [text.get_text() for text in figure.axes[0].texts]
    True
    """
    remarks = (notes,) if isinstance(notes, str) else tuple(notes)
    _check_options(favours, digits, level, ax)
    look = LAYOUTS[check_choice("layout", layout, LAYOUTS)]
    check_choice("tool", tool, TOOLS)
    if width is not None and ax is not None:
        raise ChoiceError("width has no effect with ax: the Axes have their width already")
    room, height = _room(ax, None if width is None else inches(width))
    left, right = _read_headers("left", left or {}), None if right is None else _read_headers("right", right)
    signs = _read_headers("judgements", judgements or {})
    rows = read_rows(
        table,
        [*left, *(["effect"] if right is None else right)],
        log_scale=log_scale,
        judgements=[*signs],
        tool=tool,
    )
    scale = read_scale(rows, log_scale, null_value, reference, x_limits, ticks)
    if right is None:
        short = clean_text(axis_label) if text_width(clean_text(axis_label), SIZE) < HEADER_LIMIT else ""
        left, right = _usual(look, left, rows, short or "Effect", format_level(level))
    right |= {column: ("Risk of bias", head) if isinstance(head, str) else head for column, head in signs.items()}
    if signs:
        remarks = (_sign_words(rows, tool), *remarks)
    words = Words(
        title=clean_text(title),
        axis_label=clean_text(axis_label),
        favours=(clean_text(favours[0]), clean_text(favours[1])) if favours else None,
        notes=tuple(true_minus(clean_text(note)) for note in remarks if clean_text(note)),
    )
    sheet = lay_out_across(rows, left, right, scale, words, digits, room, look)
    shrink = min(1.0, room / sheet.width)
    if math.isfinite(room):
        sheet = sheet.widened(room / shrink)
    depths = lay_out_down(rows, sheet, scale, words)
    if depths.depth * shrink > height:
        shrink = height / depths.depth
        sheet = sheet.widened(room / shrink)
    if ax is None:
        no_engine: Any = "none"  # matplotlib's types forget this choice; without it the caller's rcParams decide
        figure = Figure((sheet.width * shrink / 72, depths.depth * shrink / 72), facecolor="white", layout=no_engine)
        ax = figure.add_axes((0, 0, 1, 1))
        ax.patch.set_visible(False)
        height = depths.depth * shrink
    Painter(ax, sheet, scale, depths, shrink, look).paint(rows, height / shrink)
    figure = root_figure(ax)
    if ax is not figure.axes[0]:
        return figure
    return describe(figure, _told(rows, words, left.get("label", ""), log_scale, digits))


def _usual(
    look: Look, left: dict[str, Header], rows: Sequence[Row], measure: str, level: str
) -> tuple[dict[str, Header], dict[str, Header]]:
    """Put effect and weight where the layout has them, unless the caller has placed them already."""
    heads: dict[str, Header] = {"effect": look.heads[0].format(measure=measure, level=level)}
    if any(math.isfinite(row.weight) for row in rows):
        heads["weight"] = look.heads[1]
    free = {name: head for name, head in heads.items() if name not in left}
    return (
        {**left, **{name: free[name] for name in look.left if name in free}},
        {name: free[name] for name in look.right if name in free},
    )


def _sign_words(rows: Sequence[Row], tool: Tool) -> str:
    """Say what each sign that occurs stands for."""
    used = {level.sign for row in rows for level in row.signs.values() if level is not None}
    return "; ".join(f"{level.sign} {level.name.lower()}" for level in TOOLS[tool] if level.sign in used) + "."


def _told(rows: Sequence[Row], words: Words, header: Header, log: bool, digits: int) -> str:
    """Say in words what the plot shows."""
    studies = sum(row.kind == "study" for row in rows)
    text = f"{words.title}. " if words.title else ""
    lines = sum(row.kind == "pooled" and row.estimable for row in rows)
    name = clean_text(header if isinstance(header, str) else header[1])
    named = name in ("", "Study", "Trial")
    parts = ([count(studies, "study", "studies") if named else count(studies, "row")]) if studies else []
    parts += [count(lines, "pooled effect")] if lines else []
    text += "Forest plot" + (f" of {' and '.join(parts)}" if parts else "") + ("" if named else f" under “{name}”")
    pooled = [row for row in rows if row.kind == "summary" and row.estimable]
    names = _summary_names(rows, pooled)
    if lines and not pooled:
        pooled = [row for row in rows if row.kind == "pooled" and row.estimable]
        if len(pooled) > TOLD:
            pooled = [pooled[0], pooled[-1]]
            names = [f"first, {pooled[0].label}", f"last, {pooled[-1].label}"]
        else:
            names = [row.label for row in pooled]
    column = named_column(pooled, "effect", "", log=log, digits=digits)
    told = [f"{name}: {' '.join(''.join(cell).split())}" for name, cell in zip(names, column.cells, strict=True)]
    return text + (f"; {words.axis_label}" if words.axis_label else "") + "." + (" " if told else "") + "; ".join(told)


def _summary_names(rows: Sequence[Row], pooled: Sequence[Row]) -> list[str]:
    """Names of the diamonds; those that share one are told apart by the headings above them."""
    labels = [row.label for row in pooled]
    heading, above = "", {}
    for row in rows:
        if row.kind == "heading":
            heading = row.label
        above[id(row)] = heading
    return [
        f"{above[id(row)]}, {row.label}" if labels.count(row.label) > 1 and above[id(row)] else row.label
        for row in pooled
    ]


def _check_options(favours: tuple[str, str] | None, digits: int, level: float, ax: Axes | None) -> None:
    if favours is not None and not (isinstance(favours, tuple | list) and len(favours) == 2):
        raise ChoiceError(f"favours must be two texts, for the left and the right of no effect, not {favours!r}")
    if isinstance(digits, bool) or not isinstance(digits, int | np.integer) or not 0 <= int(digits) <= 10:
        raise ChoiceError(f"digits must be a whole number from 0 to 10, not {digits!r}")
    if not (is_finite(level) and 0 < float(level) < 1):
        raise ChoiceError(f"level must lie between 0 and 1, not {level!r}")
    if ax is not None and not (isinstance(ax, Axes) and ax.name == "rectilinear"):
        raise ChoiceError("ax must be plain matplotlib Axes")


def _read_headers(name: str, headers: object) -> dict[str, Header]:
    if not isinstance(headers, Mapping):
        raise ChoiceError(f"{name} must map columns to headers, such as {{'n1': 'n'}}, not {headers!r}")
    if name == "right" and "label" in headers:
        raise ChoiceError("right cannot hold 'label': labels stand on the left")
    for header in headers.values():
        pair = header if isinstance(header, tuple) else ("", header)
        if len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise ChoiceError(f"{name} header {header!r} must be a text, or a pair such as ('Peer support', 'n')")
    return dict(headers)


def _room(ax: Axes | None, width: float | None) -> tuple[float, float]:
    """Say how much room there is across and down, in points; infinite where the figure may grow."""
    if ax is None:
        return (math.inf if width is None else 72 * float(width)), math.inf
    figure = root_figure(ax)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    box = ax.get_window_extent()
    if not (box.width > 0 and box.height > 0):
        raise ChoiceError("ax have no room to draw in")
    return box.width * 72 / figure.dpi, box.height * 72 / figure.dpi
