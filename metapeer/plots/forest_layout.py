"""The layout of a forest plot in points, before any shrinking: what stands where, across and down."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from metapeer.plots.forest_columns import (
    GAP,
    Column,
    Header,
    header_height,
    label_column,
    named_column,
    stretched,
)
from metapeer.plots.forest_look import LAYOUTS, Look
from metapeer.plots.forest_rows import Row
from metapeer.plots.forest_scale import Scale
from metapeer.plots.style import LINE, SIZE, SMALL, SMALL_LINE, TITLE, TITLE_LINE
from metapeer.plots.text import text_width, wrap_text

__all__ = ["HEAD_GAP", "MARGIN", "WORD_GAP", "Depths", "Favours", "Sheet", "Words", "lay_out_across", "lay_out_down"]

# All in points.
MARGIN, PANEL_GAP, HEAD_GAP = 8.0, 14.0, 6.0
PANEL, NARROWEST_PANEL = 200.0, 110.0
LABEL_LIMITS = (285.0, 210.0, 150.0, 110.0)  # about 60 characters, then narrower where the width is fixed
TEXT_ROW, WORD_GAP = 215.0, 4.0
FAVOURS_LIMIT, OVERHANG = 130.0, 30.0  # beside the words under the axis there is nothing else
ROW_PAD, BLANK_ROW = 3.5, 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is written around the table.

    Parameters
    ----------
    title, axis_label : str
        Cleaned; empty if there is none.
    favours : tuple of str or None
        What stands on either side of no effect.
    notes : tuple of str
        Cleaned.
    """

    title: str
    axis_label: str
    favours: tuple[str, str] | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Favours:
    """What stands on either side of no effect.

    Parameters
    ----------
    sides : tuple of list of str
        The lines on the left and on the right.
    beneath : bool
        Whether they fit beneath the axis, give or take `OVERHANG`, with arrows outside; otherwise they run on, outside
        the arrows.
    """

    sides: tuple[list[str], list[str]]
    beneath: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The layout across.

    Parameters
    ----------
    columns : list of Column
        The label column first.
    text_width : float
        Room for rows whose words run on.
    start, end : float
        Where the panel is.
    width : float
        Of everything.
    """

    columns: list[Column]
    text_width: float
    start: float
    end: float
    width: float

    def widened(self, width: float) -> "Sheet":
        """Give the panel what is left of a greater width.

        Parameters
        ----------
        width : float
            Of everything, in points.

        Returns
        -------
        Sheet
            With the same columns.
        """
        more = width - self.width
        columns = [c if c.edge < self.start else replace(c, edge=c.edge + more) for c in self.columns]
        return replace(self, columns=columns, end=self.end + more, width=width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depths:
    """The layout down, in points from the top.

    Parameters
    ----------
    title, axis_label, notes : list of str
        Their lines.
    labels : list of list of str
        Lines of each row's label.
    favours : Favours or None
        What stands on either side of no effect.
    body, axis, below_ticks, favours_top, notes_top, depth : float
        Where the rows, the axis, its label, the words on either side and the notes begin, and where all ends.
    tops : list of float
        Where each row begins and the last one ends.
    """

    title: list[str]
    body: float
    labels: list[list[str]]
    tops: list[float]
    axis: float
    axis_label: list[str]
    below_ticks: float
    favours: Favours | None
    favours_top: float
    notes: list[str]
    notes_top: float
    depth: float


def lay_out_across(
    rows: Sequence[Row],
    left: Mapping[str, Header],
    right: Mapping[str, Header],
    scale: Scale,
    words: Words,
    digits: int,
    room: float,
    look: Look = LAYOUTS["metapeer"],
) -> Sheet:
    """Place the columns beside a panel of its usual width, or of its least where room is limited.

    Parameters
    ----------
    rows : sequence of Row
        Of the plot.
    left, right : mapping of column to header
        As `forest_plot` takes them.
    scale : Scale
        Of the panel.
    words : Words
        Around the table.
    digits : int
        Decimals of the effects.
    room : float
        In points; infinite where the figure may grow.
    look : Look
        The manner.

    Returns
    -------
    Sheet
        Wider than `room` where nothing helps but shrinking.
    """
    sides = [
        stretched(
            [
                named_column(rows, name, header, log=scale.log, digits=digits, look=look)
                for name, header in side.items()
                if name != "label"
            ]
        )
        for side in (left, right)
    ]
    say_why = "effect" not in left and "effect" not in right
    for limit in LABEL_LIMITS:
        first = label_column(rows, left.get("label", "Study"), limit, say_why=say_why)
        sheet = _place(rows, first, sides, scale, words, PANEL if math.isinf(room) else NARROWEST_PANEL)
        if sheet.width <= room:
            break
    return sheet


def _place(
    rows: Sequence[Row], first: Column, sides: Sequence[list[Column]], scale: Scale, words: Words, panel: float
) -> Sheet:
    """Put the columns side by side, with room for every word under the axis."""
    columns = [replace(first, edge=MARGIN)]
    at = MARGIN + first.width
    for column in sides[0]:
        columns.append(replace(column, edge=at + column.gap))
        at += column.gap + column.width
    running = (text_width(row.label, SIZE if row.kind == "heading" else SMALL, row.bold) for row in rows if row.spans)
    text_room = max(at - MARGIN, min(TEXT_ROW, max(running, default=0.0)))
    start = MARGIN + text_room + PANEL_GAP
    null = panel * scale.share(scale.null)
    needs = [0.0, 0.0]
    if words.favours:
        favours = _favours(words.favours, null + OVERHANG, panel - null + OVERHANG)
        needs = [_arrow_room() + max(text_width(line, SIZE) for line in lines) for lines in favours.sides]
    start += max(0.0, MARGIN + needs[0] - start - null)
    at = start + panel + PANEL_GAP - GAP
    for i, column in enumerate(sides[1]):
        gap = column.gap if i and sides[1][i - 1].signs else GAP
        columns.append(replace(column, edge=at + gap))
        at += gap + column.width
    width = max(at, start + null + needs[1]) + MARGIN
    return Sheet(columns=columns, text_width=text_room, start=start, end=start + panel, width=width)


def _arrow_room() -> float:
    return 2 * WORD_GAP + text_width("→", SIZE)


def _favours(texts: tuple[str, str], *rooms: float) -> Favours:
    """Break the words for either side so that they fit in its room on two lines; failing that, let them run on."""
    limits = [room - _arrow_room() for room in rooms]
    first, second = (wrap_text(text, limit, SIZE) for text, limit in zip(texts, limits, strict=True))
    beneath = all(
        len(lines) <= 2
        and max(text_width(line, SIZE) for line in lines) <= limit
        and " ".join(lines) == text.replace("\n", " ")  # no word was broken
        for text, lines, limit in zip(texts, (first, second), limits, strict=True)
    )
    if not beneath:
        first, second = (wrap_text(text, FAVOURS_LIMIT, SIZE) for text in texts)
    return Favours(sides=(first, second), beneath=beneath)


def lay_out_down(rows: Sequence[Row], sheet: Sheet, scale: Scale, words: Words) -> Depths:
    """Stack title, header, rows, axis and notes, each as high as its lines.

    Parameters
    ----------
    rows : sequence of Row
        Of the plot.
    sheet : Sheet
        The layout across.
    scale : Scale
        Of the panel.
    words : Words
        Around the table.

    Returns
    -------
    Depths
        The layout down.
    """
    whole = sheet.width - 2 * MARGIN
    title = wrap_text(words.title, whole, TITLE, bold=True) if words.title else []
    head = MARGIN + (len(title) * TITLE_LINE + 5 if title else 0)
    body = head + max(header_height(sheet.columns, i) for i in range(len(sheet.columns))) + HEAD_GAP
    labels = [
        wrap_text(row.label, sheet.text_width, SIZE if row.kind == "heading" else SMALL, bold=row.bold)
        if row.spans
        else lines
        for row, lines in zip(rows, sheet.columns[0].cells, strict=True)
    ]
    tops = [body]
    for i, row in enumerate(rows):
        line = SMALL_LINE if row.kind == "text" else LINE
        lines = max([len(labels[i]), *(len(column.cells[i]) for column in sheet.columns[1:])])
        tops.append(tops[-1] + (BLANK_ROW if row.kind == "blank" and not row.label else lines * line + ROW_PAD))
    axis = tops[-1] + 3
    below_ticks = axis + 6 + LINE
    axis_label = wrap_text(words.axis_label, sheet.end - sheet.start, SIZE) if words.axis_label else []
    favours_top = below_ticks + len(axis_label) * LINE + (1 if axis_label else 0)
    favours, under_axis = None, favours_top
    if words.favours:
        null = sheet.start + (sheet.end - sheet.start) * scale.share(scale.null)
        ends = max(sheet.start - OVERHANG, MARGIN), min(sheet.end + OVERHANG, sheet.width - MARGIN)
        favours = _favours(words.favours, null - ends[0], ends[1] - null)
        under_axis += max(map(len, favours.sides)) * LINE + 2
    notes = [line for note in words.notes for line in wrap_text(note, whole, SMALL)]
    return Depths(
        title=title,
        body=body,
        labels=labels,
        tops=tops,
        axis=axis,
        axis_label=axis_label,
        below_ticks=below_ticks,
        favours=favours,
        favours_top=favours_top,
        notes=notes,
        notes_top=under_axis + 4,
        depth=under_axis + (4 + len(notes) * SMALL_LINE if notes else 0) + MARGIN,
    )
