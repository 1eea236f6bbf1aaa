"""Excel workbooks (``.xlsx``): cells as they stand. Formulas are not computed, dates are refused, nothing is run.

A cell that Excel turned into a date is most often a number that was lost (3.2 becomes 3 February), so that reading it
as anything would be a guess.
"""

import datetime as dt
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from metapeer.errors import DataError, Fault
from metapeer.records.columns import NUMBER
from metapeer.records.decode import shown
from metapeer.records.interchange.cells import defuse
from metapeer.records.interchange.limits import MOST_CELLS, MOST_COLUMNS, MOST_ROWS, Archive, parse_xml
from metapeer.records.interchange.tables import ForeignTable, foreign_table

__all__ = ["looks_like_workbook", "read_workbook", "workbook_bytes"]

LONGEST_CELL = 32_767  # Excel's own limit; longer texts are cut off without a word
LONGEST_SHEET = 1_048_576  # Excel's own limit
TEXT = "@"  # the number format that keeps Excel from turning texts into dates


def looks_like_workbook(names: Sequence[str]) -> str:
    """Recognise a zip archive by the files in it.

    Parameters
    ----------
    names : sequence of str
        Its files.

    Returns
    -------
    str
        By what it was recognised; empty when it was not.
    """
    return "xl/workbook.xml" if "[Content_Types].xml" in names and "xl/workbook.xml" in names else ""


def read_workbook(content: bytes, source: str, sheet: str | None = None) -> ForeignTable:
    """Read one sheet of a workbook.

    Parameters
    ----------
    content : bytes
        The file.
    source : str
        Its name, for messages.
    sheet : str, optional
        The sheet's name; the first when left out.

    Returns
    -------
    ForeignTable
        Its cells; lines are the sheet's rows.

    Raises
    ------
    DataError
        If it is damaged, dangerous or too large, has no such sheet, or cells hold formulas or dates; all of them are
        listed, by cell.
    """
    _check(content, source)
    import openpyxl  # type: ignore[import-untyped]

    try:
        book = openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=False, keep_links=False)
        title, page = _sheet(book, source, sheet)
        page.reset_dimensions()  # what the file says of its size is not believed
        return _table(page, f"{source} (sheet {shown(title)})")
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - openpyxl meets damaged files with errors of any kind
        message = f"cannot be read as a workbook ({type(error).__name__}: {shown(str(error))}); save it again as .xlsx"
        raise DataError(source, [message]) from None


def _sheet(book: Any, source: str, sheet: str | None) -> tuple[str, Any]:
    sheets = {page.title: page for page in book.worksheets}
    if sheet is not None and sheet not in sheets:
        known = ", ".join(repr(shown(name)) for name in sheets)
        raise DataError(source, [f"has no sheet {shown(str(sheet))!r}; its sheets are {known}"])
    if not sheets:
        raise DataError(source, ["has no sheet with cells"])
    title = next(iter(sheets)) if sheet is None else sheet
    return title, sheets[title]


def _check(content: bytes, source: str) -> None:
    """Unpack every part within limits, and refuse document types and entities, before openpyxl sees the file."""
    archive = Archive(content, source)
    for name in archive.names:
        part = archive.read(name)
        if name.endswith((".xml", ".rels", ".vml")) and part.strip():
            parse_xml(part, f"{source} ({shown(name)})", see=lambda _tag, _attributes: None)


def _table(page: Any, source: str) -> ForeignTable:
    rows: list[list[str]] = []
    lines: list[int] = []
    faults: list[Fault] = []
    cells = 0
    for number, row in enumerate(page.iter_rows(), start=1):
        if number > MOST_ROWS + 1 or len(row) > MOST_COLUMNS:
            found = f"more than {MOST_ROWS:,} rows" if number > MOST_ROWS + 1 else f"{len(row):,} columns"
            raise DataError(source, [f"has {found}, more than are read; delete what stands far from the table"])
        read = [_read(cell, number, faults) for cell in row]
        if any(cell.strip() for cell in read):
            cells += len(read)
            if cells > MOST_CELLS:
                raise DataError(source, [f"has more than the {MOST_CELLS:,} cells that are read; keep what is needed"])
            rows.append(read)
            lines.append(number)
    if faults:
        raise DataError(source, faults)
    if not rows:
        raise DataError(source, ["is empty; it needs a header and at least one row"])
    header, *body = rows
    width = max(map(len, rows))
    header += [""] * (width - len(header))
    body = [row + [""] * (width - len(row)) for row in body]
    if not body:
        raise DataError(source, ["has a header but no rows; add at least one row"])
    columns: list[tuple[str, ...]] = list(zip(*body, strict=True))
    kept = [i for i in range(width) if header[i].strip() or any(cell.strip() for cell in columns[i])]
    faults += [
        Fault(line=lines[0], message=f"column {_letters(i + 1)} has cells but no name; give it one")
        for i in kept
        if not header[i].strip()
    ]
    if faults:
        raise DataError(source, faults)
    return foreign_table(
        source=source,
        header=[" ".join(header[i].split()) for i in kept],
        columns=[columns[i] for i in kept],
        lines=lines[1:],
        header_line=lines[0],
    )


def _read(cell: Any, line: int, faults: list[Fault]) -> str:
    """Give a cell as text; a formula or a date is a fault."""
    value = cell.value
    if value is None:
        return ""
    place = f"{_letters(int(cell.column))}{line}"
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        message = (
            f"{place} holds a date ({value}), perhaps made by Excel of a number such as 3.2; set the cell's format to "
            "Text and type what the paper prints"
        )
        faults.append(Fault(line=line, message=message))
        return ""
    if cell.data_type == "f":
        text = getattr(value, "text", value)
        message = f"{place} holds a formula ({shown(str(text), most=30)}); copy it and paste its value"
        faults.append(Fault(line=line, message=message))
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value).removesuffix(".0")
    return str(value)


def _letters(column: int) -> str:
    """Name a column as Excel does.

    >>> _letters(1), _letters(28)
    ('A', 'AB')
    """
    name = ""
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def workbook_bytes(columns: dict[str, list[str]], numeric: Sequence[str], source: str) -> bytes:
    """Write a table as a workbook of one sheet.

    Parameters
    ----------
    columns : dict of str to list of str
        The cells, with decimal points.
    numeric : sequence of str
        The columns of numbers; all others are written as text, with formulas defused.
    source : str
        Where it will be written, for messages.

    Returns
    -------
    bytes
        The file; the same table gives the same cells, but Excel's format carries the time of writing.

    Raises
    ------
    DataError
        If a text is longer than Excel allows, or holds characters that XML forbids.
    """
    import openpyxl
    from openpyxl.cell import WriteOnlyCell  # type: ignore[import-untyped]
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # type: ignore[import-untyped]

    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    if len(rows) > LONGEST_SHEET:
        message = f"would have {len(rows):,} rows, more than Excel's {LONGEST_SHEET:,}; write CSV instead"
        raise DataError(source, [message])
    faults: list[Fault] = []
    written: list[list[tuple[str, str]]] = []  # all of it before the workbook is begun, which must then be finished
    for line, row in enumerate(rows, start=1):
        kinds = []
        for name, text in zip(columns, row, strict=True):
            if line > 1 and name in numeric and NUMBER.fullmatch(text):
                kinds.append((text, "n"))
                continue
            lines = text.splitlines()
            cell = defuse("\n".join(lines) if len(lines) > 1 else text)
            if len(cell) > LONGEST_CELL:
                message = f"a text of {len(cell):,} characters, more than Excel's {LONGEST_CELL:,}; write CSV instead"
                faults.append(Fault(line=line, column=shown(name), message=message))
            elif ILLEGAL_CHARACTERS_RE.search(cell):
                message = f"{shown(repr(text))} holds characters that Excel's files cannot; remove them"
                faults.append(Fault(line=line, column=shown(name), message=message))
            kinds.append((cell, "s"))
        written.append(kinds)
    if faults:
        raise DataError(source, faults)
    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet("extraction")
    for kinds in written:
        out = []
        for text, kind in kinds:
            cell = WriteOnlyCell(page, value=text or None)
            if text:
                cell.data_type = kind  # a number goes in as its digits: openpyxl would round it to 16
                cell.number_format = TEXT if kind == "s" else "General"
            out.append(cell)
        page.append(out)
    buffer = BytesIO()
    book.save(buffer)
    return buffer.getvalue()
