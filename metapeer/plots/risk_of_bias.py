"""Risk of bias as signs: traffic lights for each study and domain, and a bar for each domain."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle

from metapeer.errors import ChoiceError, DataError, Fault, check_choice
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.judgements import TOOLS, Judgement, Tool, read_judgement
from metapeer.plots.panel_reading import Width, check_axes, describe, inches
from metapeer.plots.style import INK, LINE, QUIET, RULE, SIZE, SMALL, SMALL_LINE, TITLE, TITLE_LINE, root_figure
from metapeer.plots.text import PlainText, text_width, wrap_text

__all__ = ["draw_rob_bars", "draw_rob_lights"]


DISC, CELL, ROW = 11.0, 24.0, 15.0  # points
MARGIN, GAP = 8.0, 12.0
BAR, BAR_ROW = 12.0, 19.0


def _read(table: object, columns: Sequence[str], tool: str) -> dict[str, list[Judgement | None]]:
    """Read every cell, and list every fault."""
    if not isinstance(table, pd.DataFrame):
        raise DataError("table", [f"is a {type(table).__name__}; a pandas DataFrame would do"])
    absent = [column for column in columns if column not in table]
    if absent:
        raise DataError("table", [Fault(column=column, message="is missing") for column in absent])
    if not len(table):
        raise DataError("table", ["has no rows"])
    found: dict[str, list[Judgement | None]] = {}
    faults = []
    for column in columns:
        found[column] = []
        for i, cell in enumerate(table[column]):
            try:
                found[column].append(read_judgement(cell, tool))
            except ChoiceError as error:
                faults.append(Fault(row=f"row {i + 1}", column=column, message=str(error)))
    if faults:
        raise DataError("table", faults)
    return found


class _Sheet:
    """A figure measured in points from its upper left corner."""

    def __init__(self, wide: float, high: float, ax: Axes | None) -> None:
        check_axes(ax)
        if ax is None:
            no_engine: Any = "none"  # matplotlib's types forget this choice
            figure = Figure((wide / 72, high / 72), facecolor="white", layout=no_engine)
            ax = figure.add_axes((0, 0, 1, 1))
        self.ax, self.wide, self.high = ax, wide, high
        ax.set_axis_off()
        ax.set_xlim(0, wide)
        ax.set_ylim(high, 0)

    def text(self, x: float, middle: float, text: str, *, size: float = SIZE, **look: Any) -> None:
        look = {"color": INK, "ha": "left", **look}
        line = PlainText(x, middle + 0.36 * size, text, size=size, va="baseline", transform=self.ax.transData, **look)
        self.ax.add_artist(line)

    def lines(self, x: float, top: float, lines: Sequence[str], step: float, **look: Any) -> None:
        for i, line in enumerate(lines):
            self.text(x, top + (i + 0.5) * step, line, **look)

    def disc(self, x: float, y: float, level: Judgement, label: str = "_disc") -> None:
        shape = Ellipse((x, y), DISC, DISC, facecolor=level.face, edgecolor=QUIET, linewidth=0.5, label=label)
        self.ax.add_patch(shape)
        self.text(x, y, level.sign, bold=True, color=level.ink, ha="center")

    def rule(self, y: float) -> None:
        self.ax.plot([MARGIN, self.wide - MARGIN], [y, y], color=RULE, lw=0.8)


def _key_rows(levels: Sequence[Judgement], room: float) -> list[list[tuple[float, Judgement]]]:
    rows: list[list[tuple[float, Judgement]]] = []
    at = room + 1
    for level in levels:
        need = DISC + 4 + text_width(level.name, SMALL)
        if at + need > room:
            rows.append([])
            at = 0.0
        rows[-1].append((at, level))
        at += need + GAP
    return rows


def _below(columns: Mapping[str, str], names: Mapping[str, str], notes: Sequence[str], room: float) -> list[str]:
    """What the short heads stand for, then the notes."""
    told = "; ".join(f"{head}: {names[column].lower()}" for column, head in columns.items() if names.get(column))
    remarks = (notes,) if isinstance(notes, str) else tuple(notes)
    texts = [*([f"{told}."] if told else []), *(true_minus(clean_text(note)) for note in remarks)]
    return [line for text in texts if text for line in wrap_text(text, room, SMALL)]


def draw_rob_lights(
    table: pd.DataFrame,
    columns: Mapping[str, str],
    *,
    names: Mapping[str, str] | None = None,
    label: str = "label",
    label_header: str = "Study",
    tool: Tool = "RoB 2",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a traffic-light plot: a row for each study, a column for each domain, a sign in a disc for each judgement.

    Parameters
    ----------
    table : DataFrame
        One row for each study. An empty cell stays empty: nothing was judged.
    columns : mapping of str to str
        Columns of judgements with their short heads, from the left.
    names : mapping of str to str, optional
        What columns stand for, told below.
    label : str, default "label"
        Column of the studies' names.
    label_header : str, default "Study"
        Its head.
    tool : {"RoB 2", "ROBINS-I", "RoB 1"}
        Whose levels they are.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below.
    width : float or str, optional
        Of the figure, by default as wide as its columns:
        inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    ax : Axes, optional
        Where to draw; by default a new Figure, unknown to pyplot.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    DataError
        If a cell holds no level of the tool; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    McGuinness & Higgins (2021), Res Synth Methods 12:55-61 (robvis).

    Examples
    --------
    >>> table = pd.DataFrame({"label": ["Trial A"], "rob_d1": ["Low risk"], "rob_overall": ["Some concerns"]})
    >>> figure = draw_rob_lights(table, {"rob_d1": "D1", "rob_overall": "Overall"})
    >>> len(figure.axes[0].patches) - 4  # four stand in the key
    2
    """
    check_choice("tool", tool, TOOLS)
    found = _read(table, list(columns), tool)
    heads = {column: clean_text(head) for column, head in columns.items()}
    texts = [clean_text(value) for value in table[label]] if label in table else [""] * len(table)
    cells = {c: max(CELL, text_width(head, SIZE, True) + 6) for c, head in heads.items()}
    fixed = None if width is None else 72 * inches(width)
    limit = 220.0 if fixed is None else max(50.0, fixed - 2 * MARGIN - GAP - sum(cells.values()))
    labels = [wrap_text(text, limit, SIZE) for text in texts]
    first = max([text_width(clean_text(label_header), SIZE, True), *(text_width(t, SIZE) for ls in labels for t in ls)])
    natural = MARGIN + first + GAP + sum(cells.values()) + MARGIN
    wide = max(natural, fixed or 210.0)
    room = wide - 2 * MARGIN
    heading = wrap_text(clean_text(title), room, TITLE, bold=True) if title else []
    keys = _key_rows(TOOLS[tool], room)
    below = _below(heads, names or {}, notes, room)
    body = MARGIN + len(heading) * TITLE_LINE + (4 if heading else 0) + LINE + 6
    tops = [body]
    for lines in labels:
        tops.append(tops[-1] + max(ROW, len(lines) * LINE + 4))
    key_top = tops[-1] + 6
    notes_top = key_top + len(keys) * (DISC + 3) + 3
    sheet = _Sheet(wide, notes_top + len(below) * SMALL_LINE + MARGIN, ax)
    sheet.lines(MARGIN, MARGIN, heading, TITLE_LINE, size=TITLE, bold=True)
    sheet.text(MARGIN, body - 6 - LINE / 2, clean_text(label_header), bold=True)
    centres = {}
    at = MARGIN + first + GAP
    for column, head in heads.items():
        centres[column] = at + cells[column] / 2
        at += cells[column]
        sheet.text(centres[column], body - 6 - LINE / 2, head, bold=True, ha="center")
    sheet.rule(body - 3)
    for i, lines in enumerate(labels):
        middle = (tops[i] + tops[i + 1]) / 2
        sheet.lines(MARGIN, middle - len(lines) * LINE / 2, lines, LINE)
        for column, x in centres.items():
            level = found[column][i]
            if level is not None:
                sheet.disc(x, middle, level)
    sheet.rule(tops[-1] + 2)
    _paint_key(sheet, keys, key_top)
    sheet.lines(MARGIN, notes_top, below, SMALL_LINE, size=SMALL, color=QUIET)
    return describe(
        root_figure(sheet.ax),
        f"Risk of bias ({tool}) of {len(table)} studies. " + _counted(found, heads, tool),
    )


def _paint_key(sheet: _Sheet, keys: Sequence[Sequence[tuple[float, Judgement]]], top: float) -> None:
    for j, row in enumerate(keys):
        middle = top + (j + 0.5) * (DISC + 3)
        for x, level in row:
            sheet.disc(MARGIN + x + DISC / 2, middle, level, "_key")
            sheet.text(MARGIN + x + DISC + 4, middle, level.name, size=SMALL)


def _counted(found: Mapping[str, Sequence[Judgement | None]], heads: Mapping[str, str], tool: str) -> str:
    """How many of each level, column by column, in words."""
    parts = []
    for column, levels in found.items():
        counts = [(level.name.lower(), sum(one is level for one in levels)) for level in TOOLS[tool]]
        told = ", ".join(f"{number} {name}" for name, number in counts if number)
        parts.append(f"{heads[column]}: {told or 'not judged'}")
    return "; ".join(parts) + "."


def draw_rob_bars(
    table: pd.DataFrame,
    columns: Mapping[str, str],
    *,
    weights: Sequence[float] | None = None,
    weight_label: str = "weight",
    tool: Tool = "RoB 2",
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 6.0,
    ax: Axes | None = None,
) -> Figure:
    """Draw a summary of risk of bias: for each domain a bar, shared out by the studies or by their weights.

    Studies without a judgement in a domain have no part in its bar, and a note says so.

    Parameters
    ----------
    table : DataFrame
        One row for each study.
    columns : mapping of str to str
        Columns of judgements with their names, from the top.
    weights : sequence of float, optional
        Of the studies; all count alike when left out.
    weight_label : str, default "weight"
        What they are, for the axis.
    tool : {"RoB 2", "ROBINS-I", "RoB 1"}
        Whose levels they are.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below.
    width : float or str, default 6.0
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
        If a cell holds no level of the tool, or a weight is none; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    McGuinness & Higgins (2021), Res Synth Methods 12:55-61 (robvis).

    Examples
    --------
    >>> table = pd.DataFrame({"rob_d1": ["Low risk", "High risk"]})
    >>> figure = draw_rob_bars(table, {"rob_d1": "Randomisation process"}, weights=[30, 10])
    >>> bars = [patch for patch in figure.axes[0].patches if patch.get_label() == "_bar"]
    >>> round(bars[0].get_width() / bars[1].get_width(), 6)
    3.0
    """
    check_choice("tool", tool, TOOLS)
    found = _read(table, list(columns), tool)
    shares = np.ones(len(table)) if weights is None else np.asarray(list(weights), dtype=np.float64)
    if shares.size != len(table) or not (np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0):
        raise DataError("weights", [f"must be {len(table)} numbers of 0 or more, one for each study, and not all 0"])
    wide = 72 * inches(width)
    room = wide - 2 * MARGIN
    heading = wrap_text(clean_text(title), room, TITLE, bold=True) if title else []
    labels = [wrap_text(clean_text(name), 0.38 * wide, SIZE) for name in columns.values()]
    left = MARGIN + max(text_width(line, SIZE) for lines in labels for line in lines) + GAP
    end = wide - MARGIN - text_width("100%", SIZE) / 2
    keys = _key_rows(TOOLS[tool], room)
    unjudged = {c: sum(level is None for level in levels) for c, levels in found.items()}
    remarks = [notes] if isinstance(notes, str) else list(notes)
    if any(unjudged.values()):
        listed = "; ".join(f"{columns[c]}: {n}" for c, n in unjudged.items() if n)
        remarks.append(f"Not judged and not in the bar, studies of {len(table)}: {listed}.")
    below = _below({}, {}, remarks, room)
    body = MARGIN + len(heading) * TITLE_LINE + (6 if heading else 2)
    tops = [body]
    for lines in labels:
        tops.append(tops[-1] + max(BAR_ROW, len(lines) * LINE + 5))
    ticks = tops[-1] + 3
    axis_label = "Studies" if weights is None else f"Share of {clean_text(weight_label)}"
    key_top = ticks + 4 + LINE + LINE + 4
    notes_top = key_top + len(keys) * (DISC + 3) + 3
    sheet = _Sheet(wide, notes_top + len(below) * SMALL_LINE + MARGIN, ax)
    sheet.lines(MARGIN, MARGIN, heading, TITLE_LINE, size=TITLE, bold=True)
    for i, levels in enumerate(found.values()):
        middle = (tops[i] + tops[i + 1]) / 2
        sheet.lines(left - GAP, middle - len(labels[i]) * LINE / 2, labels[i], LINE, ha="right")
        _paint_bar(
            sheet, [(w, one) for w, one in zip(shares.tolist(), levels, strict=True) if one], tool, middle, left, end
        )
    for share in (0, 25, 50, 75, 100):
        x = left + (end - left) * share / 100
        sheet.ax.plot([x, x], [ticks, ticks + 3], color=RULE, lw=0.8)
        sheet.text(x, ticks + 4 + LINE / 2, f"{share}%", ha="center")
    sheet.ax.plot([left, end], [ticks, ticks], color=RULE, lw=0.8)
    sheet.text((left + end) / 2, ticks + 4 + 1.5 * LINE, axis_label, ha="center")
    _paint_key(sheet, keys, key_top)
    sheet.lines(MARGIN, notes_top, below, SMALL_LINE, size=SMALL, color=QUIET)
    return describe(
        root_figure(sheet.ax),
        f"Risk of bias ({tool}) of {len(table)} studies by domain. " + _counted(found, dict(columns), tool),
    )


def _paint_bar(
    sheet: _Sheet, judged: Sequence[tuple[float, Judgement]], tool: str, middle: float, left: float, end: float
) -> None:
    """Share a bar out among the levels, with the sign and the percentage as far as they have room."""
    whole, at = sum(weight for weight, _ in judged), left
    for level in TOOLS[tool]:
        part = sum(weight for weight, one in judged if one is level)
        if not part:
            continue
        long = (end - left) * part / whole
        bar = Rectangle((at, middle - BAR / 2), long, BAR, facecolor=level.face, edgecolor="white", linewidth=0.8)
        bar.set_label("_bar")
        sheet.ax.add_patch(bar)
        for words in (f"{level.sign} {100 * part / whole:.0f}%", level.sign):
            if text_width(words, SMALL, True) + 4 <= long:
                sheet.text(at + long / 2, middle, words, size=SMALL, bold=True, color=level.ink, ha="center")
                break
        at += long
    outline = Rectangle((left, middle - BAR / 2), end - left, BAR, fill=False, edgecolor=QUIET, linewidth=0.6)
    sheet.ax.add_patch(outline)
