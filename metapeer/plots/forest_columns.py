"""The text columns of a forest plot: what stands in them, how wide they are, and the headers over them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from metapeer.plots.cells import align_numbers, clean_text, is_plain_number, looks_numeric, number_text
from metapeer.plots.forest_look import LAYOUTS, Look
from metapeer.plots.forest_rows import DRAWN, FARTHEST_LOG, Row
from metapeer.plots.judgements import Judgement
from metapeer.plots.style import LINE, SIZE
from metapeer.plots.text import text_width, wrap_text

__all__ = [
    "GAP",
    "HEADER_LIMIT",
    "INDENT",
    "SIGN",
    "Column",
    "Header",
    "groups_of",
    "header_height",
    "header_lines",
    "label_column",
    "named_column",
    "stretched",
]

Header = str | tuple[str, str]

# In points, before any shrinking.
GAP, INDENT = 13.0, 9.0
SIGN, SIGN_GAP = 10.0, 4.0
CELL_LIMIT, HEADER_LIMIT = 150.0, 95.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A text column.

    Parameters
    ----------
    group : str
        Header it shares with its neighbours, if any.
    header : list of str
        Lines of its own header.
    cells : list of list of str
        Lines of each row's cell.
    to_right : bool
        Whether the lines end in line, as numbers do.
    width, edge : float
        Its width and where its left end is, in points from the left of the sheet.
    signs : list of Judgement or None
        What is drawn in each row instead of a cell; empty for a column of text.
    """

    group: str
    header: list[str]
    cells: list[list[str]]
    to_right: bool
    width: float
    edge: float = 0.0
    signs: list[Judgement | None] = field(default_factory=list)

    @property
    def gap(self) -> float:
        """Points between it and its neighbour on the left."""
        return SIGN_GAP if self.signs else GAP


def named_column(
    rows: Sequence[Row], name: str, header: Header, *, log: bool, digits: int, look: Look = LAYOUTS["metapeer"]
) -> Column:
    """Make the column of a name: from the numbers, or of what the table brings.

    Parameters
    ----------
    rows : sequence of Row
        Of the plot.
    name : str
        ``"effect"``, ``"weight"``, a column of the table, or one of judgements.
    header : str or pair of str
        As `forest_plot` takes it.
    log : bool
        Whether the estimates are logarithms.
    digits : int
        Decimals of the effects.
    look : Look
        How intervals and weights are written.

    Returns
    -------
    Column
        Measured, without a place.
    """
    if any(name in row.signs for row in rows):
        found = _measured([""] * len(rows), header)
        return replace(found, width=max(SIGN, found.width), signs=[row.signs.get(name) for row in rows])
    if name == "weight":
        sign = "%" if look.percent else ""
        return _measured(
            [f"{number_text(row.weight, 1)}{sign}" if math.isfinite(row.weight) else "" for row in rows], header
        )
    if name != "effect":
        return _measured([row.cells[name] for row in rows], header)
    if any("effect" in row.cells for row in rows):
        cells = [row.cells["effect"] for row in rows]
    else:
        cells = [_effect_cell(row, log, digits, look) for row in rows]
    filled = [row.reason if row.silent and not cell else cell for row, cell in zip(rows, cells, strict=True)]
    return _measured(filled, header, intervals=True)


def _effect_cell(row: Row, log: bool, digits: int, look: Look) -> str:
    """Write "0.19 (0.11 to 0.27)"; a prediction has an interval alone."""
    if row.kind not in DRAWN or row.silent:
        return ""
    estimate, low, high = (number_text(_printed(v, log), digits) for v in (row.estimate, row.low, row.high))
    interval = look.interval(low, high)
    return interval if row.kind == "prediction" else f"{estimate} {interval}"


def _printed(value: float, log: bool) -> float:
    if not log or math.isnan(value):
        return value
    return math.inf if value > FARTHEST_LOG else math.exp(value)


def _measured(cells: list[str], header: Header, *, intervals: bool = False) -> Column:
    """Measure a column; numbers stand to the right, words to the left."""
    pair = header if isinstance(header, tuple) else ("", header)
    filled = [cell for cell in cells if cell]
    numbers = [cell for cell in filled if looks_numeric(cell)]
    numeric = len(numbers) * 2 > len(filled)
    # "4.5 (0.7)" or "3/40" with blanks inside would read as a misprint
    if numeric and (intervals or all(map(is_plain_number, numbers))):
        cells = align_numbers(cells)
    lines = [[cell] if looks_numeric(cell) else wrap_text(cell, CELL_LIMIT, SIZE) for cell in cells]
    width = max((text_width(line, SIZE) for cell in lines for line in cell), default=0.0)
    titles = wrap_text(clean_text(pair[1]), max(width, HEADER_LIMIT), SIZE, bold=True)
    width = max([width, *(text_width(line, SIZE, True) for line in titles)])
    return Column(group=clean_text(pair[0]), header=titles, cells=lines, to_right=numeric, width=width)


def label_column(rows: Sequence[Row], header: Header, limit: float, *, say_why: bool) -> Column:
    """Make the first column.

    Parameters
    ----------
    rows : sequence of Row
        Of the plot.
    header : str or pair of str
        As `forest_plot` takes it.
    limit : float
        Where labels are broken, in points.
    say_why : bool
        Whether a label says why its study has no estimate.

    Returns
    -------
    Column
        Measured, without a place.
    """
    cells = []
    width = 0.0
    for row in rows:
        text = f"{row.label} ({row.reason})" if say_why and row.silent else row.label
        lines = [text] if row.spans else wrap_text(text, limit, SIZE, bold=row.bold)
        cells.append(lines)
        if not row.spans:
            indent = INDENT if row.indented else 0.0
            width = max([width, *(text_width(line, SIZE, row.bold) + indent for line in lines)])
    column = _measured([], header)
    return replace(column, cells=cells, width=max(width, column.width))


def groups_of(columns: Sequence[Column]) -> list[tuple[str, int, int]]:
    """Find neighbours under one common header.

    Parameters
    ----------
    columns : sequence of Column
        From left to right.

    Returns
    -------
    list of tuple
        Header, first column and last column of each group.
    """
    found: list[tuple[str, int, int]] = []
    for i, column in enumerate(columns):
        if found and found[-1][0] == column.group and found[-1][2] == i - 1 and column.group:
            found[-1] = (column.group, found[-1][1], i)
        elif column.group:
            found.append((column.group, i, i))
    return found


def header_lines(group: str) -> list[str]:
    """Break a common header into lines.

    Parameters
    ----------
    group : str
        The header.

    Returns
    -------
    list of str
        At least one.
    """
    return wrap_text(group, CELL_LIMIT, SIZE, bold=True)


def stretched(columns: Sequence[Column]) -> list[Column]:
    """Widen the columns of each group whose common header is wider than they are.

    Parameters
    ----------
    columns : sequence of Column
        From left to right.

    Returns
    -------
    list of Column
        In the same order.
    """
    wide = list(columns)
    for group, first, last in groups_of(wide):
        have = sum(c.width for c in wide[first : last + 1]) + sum(c.gap for c in wide[first + 1 : last + 1])
        lack = max(text_width(line, SIZE, True) for line in header_lines(group)) - have
        if lack > 0:
            share = lack / (last - first + 1)
            wide[first : last + 1] = [replace(c, width=c.width + share) for c in wide[first : last + 1]]
    return wide


def header_height(columns: Sequence[Column], i: int) -> float:
    """Add the lines over a column to those over its group, which stand above the tallest of its members.

    Parameters
    ----------
    columns : sequence of Column
        From left to right.
    i : int
        Which column.

    Returns
    -------
    float
        In points.
    """
    for group, first, last in groups_of(columns):
        if first <= i <= last:
            return LINE * (len(header_lines(group)) + max(len(c.header) for c in columns[first : last + 1])) + 4
    return LINE * len(columns[i].header)
