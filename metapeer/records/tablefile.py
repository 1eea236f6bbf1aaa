"""A table on disk and the same table as a frame: `read_table` checks all of it, `write_table` is byte-stable.

Missing numbers are NaN and missing texts are ``""``; numbers are float64 throughout, so that whole numbers can be
missing, too. The column ``line`` keeps where in the file each row stands.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from metapeer.errors import DataError, DataWarning, Fault
from metapeer.records.columns import MISSING, CellFault, decimal_mark, number_columns, numbers, texts
from metapeer.records.decode import decode, read_bytes, shown
from metapeer.records.relations import check_duplicates, check_rows
from metapeer.records.rows import CsvText, plain_name, split_rows
from metapeer.records.schema import Table

__all__ = ["LINE", "ParsedTable", "parse_table", "read_table", "write_table"]

LINE = "line"
EMPTY = frozenset({""})
# Whether the csv module quotes a lone carriage return depends on Python's version; these bytes must not.
NEEDS_QUOTES = re.compile(r'[,"\r\n]')


@dataclass(frozen=True, kw_only=True)
class ParsedTable:
    """A file that was read, with all that is wrong with it.

    Parameters
    ----------
    source : str
        The file's name, for messages.
    frame : DataFrame
        The values, with the column ``line``.
    raw : CsvText
        The cells as they stand in the file.
    faults : list of Fault
        What must be put right.
    doubts : list of str
        What may be wrong.
    """

    source: str
    frame: pd.DataFrame
    raw: CsvText
    faults: list[Fault]
    doubts: list[str]

    @cached_property
    def text(self) -> pd.DataFrame:
        """Every cell as it stands in the file."""
        columns = zip(self.raw.header, self.raw.columns, strict=True)
        return pd.DataFrame({name: pd.Series(list(cells), dtype=str) for name, cells in columns})

    def fault(self, cell: CellFault) -> Fault:
        """Say where in the file a cell is.

        Parameters
        ----------
        cell : CellFault
            The cell and what is wrong with it.

        Returns
        -------
        Fault
            The same, with its line and the name of its row.
        """
        return _locate(cell, self.raw, row_names(self.frame))


def parse_table(
    path: str | Path, table: Table, *, strict: bool = False, encoding: str | None = None, source: str | None = None
) -> ParsedTable:
    """Read a file and check it, without judging: the faults are returned, not raised.

    Parameters
    ----------
    path : str or Path
        The file.
    table : Table
        What it should hold.
    strict : bool, default False
        Whether the file follows the house rules of bundled data: missing cells are empty, and only empty cells are
        missing. A table without rows is then allowed.
    encoding : str, optional
        A Python codec to use whatever the bytes look like.
    source : str, optional
        The file's name in messages; `path` when left out.

    Returns
    -------
    ParsedTable
        Values, cells, faults and doubts.

    Raises
    ------
    ChoiceError
        If Python does not know `encoding`.
    DataError
        If the file cannot be read as a table at all.
    """
    content = read_bytes(path)
    name = str(path) if source is None else source
    text, doubts = decode(content, name, encoding)
    raw = split_rows(text, name, table.names)
    if not raw.lines and not raw.faults and not strict:
        raise DataError(name, ["has a header but no rows; add at least one row"])
    if len(raw.header) == 1 and table.fields and raw.header[0] not in table.names:
        message = (
            f"{shown(raw.header[0])!r} is no header; the first line must name the columns, "
            "parted by commas, semicolons or tabs"
        )
        raise DataError(name, [Fault(line=raw.header_line, message=message)])
    missing = EMPTY if strict else MISSING
    values, wrong = _read_columns(raw, table, missing)
    if LINE in values:
        doubts.append(f"{name}: column '{LINE}' is replaced by the line numbers of this file")
    values[LINE] = pd.Series(raw.lines, dtype="int64")
    frame = pd.DataFrame(values)
    frame.attrs["source"] = Path(path).name
    faults = raw.faults + _missing_columns(raw, table)
    # A column that the table does not define is text, whatever its name means in another table.
    wrong += check_rows(frame[[column for column in frame.columns if column in table.names]])
    repeated = check_duplicates(raw.columns, raw.lines)
    wrong += repeated + _repeated_keys(frame, table, {fault.row for fault in repeated})
    named = row_names(frame) if wrong else []
    faults += [_locate(cell, raw, named) for cell in wrong]
    order = {column: position for position, column in enumerate(raw.header)}
    faults.sort(key=lambda fault: (fault.line or 0, order.get(fault.column or "", -1)))
    return ParsedTable(source=name, frame=frame, raw=raw, faults=faults, doubts=doubts + raw.doubts)


def read_table(path: str | Path, table: Table, *, strict: bool = False, encoding: str | None = None) -> pd.DataFrame:
    """Read a CSV file as one of the tables of `metapeer.records.schema`.

    Parameters
    ----------
    path : str or Path
        The file.
    table : Table
        What it should hold. Columns that it does not define are kept as they are.
    strict : bool, default False
        Whether only empty cells are missing, as in the bundled data; otherwise NA, N/A, NaN, NR, ``.`` and ``-``
        are, too, and the table must have a row.
    encoding : str, optional
        A Python codec to use whatever the bytes look like.

    Returns
    -------
    DataFrame
        float64 for numbers, str for the rest, and the column ``line``; ``attrs["source"]`` is the file's name.

    Raises
    ------
    ChoiceError
        If Python does not know `encoding`.
    DataError
        If anything is wrong with the file; all faults at once.

    Warns
    -----
    DataWarning
        If an encoding was guessed, letters look broken or a column name looks misspelt.
    """
    parsed = parse_table(path, table, strict=strict, encoding=encoding)
    for doubt in parsed.doubts:
        warnings.warn(doubt, DataWarning, stacklevel=2)
    if parsed.faults:
        raise DataError(parsed.source, parsed.faults)
    return parsed.frame


def write_table(frame: pd.DataFrame, path: str | Path, table: Table) -> None:
    """Write a frame as CSV: UTF-8, line feeds, quotes only where needed, missing cells empty.

    Writing what was read gives the same bytes again, for files that were written so. A number is written with the
    fewest digits that give it back; a frame of texts keeps the digits it has.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    path : str or Path
        Where to write.
    table : Table
        Its columns come first, in its order; columns it does not define follow. ``line`` is not written.

    Raises
    ------
    DataError
        If two columns have one name, or the file cannot be written.
    """
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise DataError(str(path), ["would have two columns of one name; rename one"])
    ordered = [name for name in table.names if name in names]
    ordered += [name for name in names if name not in table.names and name != LINE]
    position = {name: names.index(name) for name in ordered}
    columns = [_written(frame.iloc[:, position[name]]) for name in ordered]
    rows = [ordered, *zip(*columns, strict=True)]
    text = "".join(",".join(_quoted(cell) for cell in row) + "\n" for row in rows)
    try:
        Path(path).write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise DataError(str(path), [f"cannot be written: {error.strerror}"]) from None
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise DataError(str(path), [f"cannot be written: {half!r} is half a character; remove it"]) from None


def row_names(frame: pd.DataFrame) -> list[str]:
    """Name the rows as a person would: by trial and outcome, or by their key.

    Parameters
    ----------
    frame : DataFrame
        Columns of values.

    Returns
    -------
    list of str
        Such as ``"smith2014, hope"``; ``""`` where nothing names the row.
    """
    keys = [name for name in frame.columns if str(name).endswith("_id") or name == "instrument"]
    names = ["study_id", "outcome"] if "study_id" in frame else keys[:1]
    columns = [frame[name].tolist() for name in names if name in frame]
    if not columns:
        return [""] * len(frame)
    return [", ".join(shown(part, most=40) for part in parts if part) for parts in zip(*columns, strict=True)]


def _read_columns(
    raw: CsvText, table: Table, missing: frozenset[str]
) -> tuple[dict[str, "pd.Series[float] | pd.Series[str] | pd.Series[int]"], list[CellFault]]:
    cells = dict(zip(raw.header, raw.columns, strict=False))
    mark = decimal_mark((cell for name in number_columns(table, raw.header) for cell in cells[name]), raw.separator)
    values: dict[str, pd.Series[float] | pd.Series[str] | pd.Series[int]] = {}
    wrong: list[CellFault] = []
    for name, column in cells.items():
        if name not in table.names:
            values[name] = pd.Series(list(column), dtype=str)
            continue
        field = table[name]
        if field.type in ("integer", "number"):
            read, faults = numbers(field, column, mark=mark, separator=raw.separator, missing=missing)
            values[name] = pd.Series(read)
            absent = np.isnan(read).tolist()
        else:
            words, faults = texts(field, column, mark=mark, separator=raw.separator, missing=missing)
            values[name] = pd.Series(words, dtype=str)
            absent = [not word for word in words]
        wrong += faults
        if field.required:
            faulty = {fault.row for fault in faults}
            wrong += [
                CellFault(row, name, "is missing") for row, gone in enumerate(absent) if gone and row not in faulty
            ]
    return values, wrong


def _missing_columns(raw: CsvText, table: Table) -> list[Fault]:
    faults = []
    unknown = {plain_name(name): name for name in raw.header if name not in table.names}
    for field in table.fields:
        if field.required and field.name not in raw.header:
            close = get_close_matches(plain_name(field.name), unknown, n=1, cutoff=0.6)
            message = "the column is missing"
            if close:
                message += f"; rename {shown(unknown[close[0]])!r} if that is what it is"
            faults.append(Fault(line=raw.header_line, column=field.name, message=message))
    return faults


def _repeated_keys(frame: pd.DataFrame, table: Table, repeated: set[int]) -> list[CellFault]:
    if not table.key or not set(table.key) <= set(frame.columns):
        return []
    first: dict[tuple[str, ...], int] = {}
    faults = []
    rows = zip(*(frame[name].tolist() for name in table.key), frame[LINE].tolist(), strict=True)
    for row, (*key, line) in enumerate(rows):
        seen = first.setdefault(tuple(key), line)
        if seen != line and all(key) and row not in repeated:
            words = ", ".join(shown(part) for part in key)
            message = f"{words!r} already stands in line {seen}; each row needs its own"
            faults.append(CellFault(row, table.key[-1], message))
    return faults


def _locate(cell: CellFault, raw: CsvText, names: Sequence[str]) -> Fault:
    return Fault(
        line=raw.lines[cell.row], row=names[cell.row] or None, column=cell.column or None, message=cell.message
    )


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if NEEDS_QUOTES.search(cell) else cell


def _written(column: "pd.Series[float] | pd.Series[str]") -> list[str]:
    numeric = is_numeric_dtype(column.dtype)
    cells = zip(column.isna().tolist(), column.tolist(), strict=True)
    return ["" if gone else repr(cell).removesuffix(".0") if numeric else str(cell) for gone, cell in cells]
