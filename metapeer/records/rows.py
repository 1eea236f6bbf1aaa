"""From text to a header and rows of cells, each with the line of the file it begins on."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from threading import Lock

from metapeer.errors import DataError, Fault
from metapeer.records.decode import number_lines, shown

__all__ = ["CsvText", "plain_name", "split_rows"]

FIELD_LIMIT = Lock()
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
EXCEL_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?[,;\t]*(\r\n|\r|\n|$)', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvText:
    """A CSV file, split but not yet understood.

    Parameters
    ----------
    header : tuple of str
        Column names; a name of the table it is read as is spelt as the table spells it.
    columns : tuple of tuple of str
        The cells, column by column, as they stand in the file.
    lines : tuple of int
        The physical line each row begins on, counted from 1.
    separator : str
        What stands between the cells.
    header_line : int
        The line of the header.
    faults : list of Fault
        Rows that do not fit the header; they are not among `columns`.
    doubts : list of str
        Column names that may be misspelt.
    """

    header: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    separator: str
    header_line: int
    faults: list[Fault] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def plain_name(name: str) -> str:
    """Reduce a column name to its letters and digits, so that ``"Mean_1"`` and ``"mean1"`` meet.

    Parameters
    ----------
    name : str
        A header.

    Returns
    -------
    str
        Lower-case letters and digits.

    Examples
    --------
    >>> plain_name("Mean_1")
    'mean1'
    """
    return "".join(character for character in name.casefold() if character.isalnum())


def split_rows(text: str, source: str, known: Sequence[str]) -> CsvText:
    """Split a CSV text into its header and rows.

    The separator is a comma, a semicolon or a tab, whichever gives more columns that are known, then more columns;
    a first line ``sep=;``, as Excel writes it, decides. Blank lines are passed over; line numbers stay those of the
    file, also behind line breaks in quotes.

    Parameters
    ----------
    text : str
        The file, decoded.
    source : str
        Its name, for messages.
    known : sequence of str
        The column names that may be expected, in the spelling that is wanted.

    Returns
    -------
    CsvText
        Its header and columns, and the rows that do not fit.

    Raises
    ------
    DataError
        If the quotes or the header cannot be made sense of.
    """
    declared = EXCEL_SEPARATOR.match(text)
    skipped = 1 if declared else 0
    if declared:
        separator = declared.group(1)
        text = text[declared.end() :]
    else:
        separator = _sniff(text, source, known)
    records = _records(text, separator, source, skipped)
    if not records:
        raise DataError(source, ["is empty; it needs a header line and at least one row"])
    header_line, cells = records[0]
    rows: list[list[str]] = []
    lines: list[int] = []
    faults: list[Fault] = []
    for line, row in records[1:]:
        if len(row) == len(cells):
            rows.append(row)
            lines.append(line)
        else:
            faults.append(_ragged(line, len(row), len(cells), separator))
    columns: list[tuple[str, ...]] = list(zip(*rows, strict=True)) if rows else [()] * len(cells)
    header, columns, doubts, header_faults = _name_columns(cells, columns, header_line, source, known)
    return CsvText(
        header=tuple(header),
        columns=tuple(columns),
        lines=tuple(lines),
        separator=separator,
        header_line=header_line,
        faults=header_faults + faults,
        doubts=doubts,
    )


def _records(text: str, separator: str, source: str, skipped: int) -> list[tuple[int, list[str]]]:
    """Every row that is not blank, with the line it begins on."""
    records: list[tuple[int, list[str]]] = []
    with FIELD_LIMIT:  # the limit is the csv module's own, shared by all threads
        old_limit = csv.field_size_limit(max(len(text), 1))  # a cell may be as long as its file
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        line = 1
        try:
            for row in reader:
                if any(row) and any(cell.strip() for cell in row):
                    records.append((line + skipped, row))
                line = reader.line_num + 1
        except csv.Error as error:
            advice = (
                'a quote (") is opened here and never closed; close it, or double it ("") if it is part of the text'
                if "unexpected end" in str(error)
                else 'a quoted cell goes on after its closing quote; a quote inside a cell is doubled ("")'
            )
            raise DataError(source, [Fault(line=line + skipped, message=advice)]) from None
        finally:
            csv.field_size_limit(old_limit)
    return records


def _sniff(text: str, source: str, known: Sequence[str]) -> str:
    expected = {plain_name(name) for name in known}
    scores: dict[str, tuple[int, int]] = {}
    for separator in SEPARATORS:
        try:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            cells = next((row for row in reader if any(cell.strip() for cell in row)), [])
        except csv.Error:  # a header longer than any header is: reading it with this separator was wrong
            continue
        scores[separator] = (sum(plain_name(cell) in expected for cell in cells), len(cells))
    best = max(scores.values(), default=(0, 0))
    winners = [separator for separator, score in scores.items() if score == best]
    if len(winners) > 1 and best[1] > 1:
        names = " or ".join(SEPARATORS[separator] for separator in winners)
        message = f"cannot tell whether a {names} parts the cells; begin the file with a line such as sep=;"
        raise DataError(source, [Fault(line=1, message=message)])
    return winners[0] if winners else ","


def _ragged(line: int, found: int, wanted: int, separator: str) -> Fault:
    message = f"has {found} cell{'' if found == 1 else 's'} where the header has {wanted}"
    if found < wanted:
        message += "; leave missing cells empty, but keep their separators"
    elif separator == ",":
        message += '; put a text with a comma in quotes ("a, b"), and write decimals with a point (3.5)'
    else:
        name = SEPARATORS.get(separator, repr(separator))
        message += f"; put a text with a {name} in quotes"
    return Fault(line=line, message=message)


def _name_columns(
    cells: list[str], columns: list[tuple[str, ...]], line: int, source: str, known: Sequence[str]
) -> tuple[list[str], list[tuple[str, ...]], list[str], list[Fault]]:
    spelling = {name.casefold(): name for name in known}
    header: list[str] = []
    kept: list[tuple[str, ...]] = []
    faults: list[Fault] = []
    for position, (cell, column) in enumerate(zip(cells, columns, strict=True), start=1):
        name = spelling.get(cell.strip().casefold(), cell.strip())
        if name:
            header.append(name)
            kept.append(column)
        elif any(value.strip() for value in column):
            faults.append(Fault(line=line, message=f"column {position} has cells but no name; give it one"))
    for name in dict.fromkeys(header):
        if header.count(name) > 1:
            where = [
                str(p)
                for p, cell in enumerate(cells, start=1)
                if spelling.get(cell.strip().casefold(), cell.strip()) == name
            ]
            message = f"stands {len(where)} times in the header (columns {', '.join(where)}); keep or rename one"
            faults.append(Fault(line=line, column=shown(name), message=message))
    return header, kept, _misspelt(header, line, source, known), faults


def _misspelt(header: list[str], line: int, source: str, known: Sequence[str]) -> list[str]:
    absent = {plain_name(name): name for name in known if name not in header}
    doubts = []
    for name in dict.fromkeys(header):
        if name in known:
            continue
        close = get_close_matches(plain_name(name), absent, n=1, cutoff=0.85)
        if close:
            doubts.append(
                f"{source}, {number_lines([line])}: column {shown(name)!r} is kept but not understood; "
                f"did you mean {absent[close[0]]!r}?"
            )
    return doubts
