"""Tables for other programs. What a format has no column for is written beside it, so that nothing is lost.

A cell that a spreadsheet would take for a formula gets an apostrophe before it, which reading takes off again.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
from pandas.api.types import is_numeric_dtype

from metapeer.errors import DataError, check_choice
from metapeer.records.columns import DECIMAL_COMMA
from metapeer.records.interchange import cochrane, escalc, metapsy, robvis
from metapeer.records.interchange.cells import as_text, defuse, number_of, with_comma
from metapeer.records.interchange.door import own_draft
from metapeer.records.interchange.tables import OWN, Draft, ForeignTable, foreign_table
from metapeer.records.interchange.workbook import workbook_bytes
from metapeer.records.schema import EXTRACTION
from metapeer.records.tablefile import LINE

__all__ = ["ExportFormat", "write_metapsy", "write_table_as"]

ExportFormat = Literal["csv", "metapsy", "escalc", "revman_csv", "robvis", "xlsx"]
Cells = dict[str, list[str]]
WAYS: dict[str, tuple[Callable[[Cells], Cells], Callable[[ForeignTable], Draft]]] = {
    "csv": (dict, own_draft),
    "xlsx": (dict, own_draft),
    "metapsy": (metapsy.cells_for_metapsy, metapsy.metapsy_draft),
    "escalc": (escalc.cells_for_escalc, escalc.escalc_draft),
    "revman_csv": (cochrane.cells_for_revman, cochrane.revman_draft),
}
NEEDS_QUOTES = re.compile(r'[,;"\r\n\t]')


def write_table_as(table: pd.DataFrame, path: str | Path, *, format: ExportFormat) -> None:  # noqa: A002
    """Write an extraction table in the format of another program.

    Reading the file again with `read_extraction` gives every column back. What the format has no column for stands in
    columns that begin with ``metapeer_``. For robvis only risk of bias is written, a row for each trial.

    Parameters
    ----------
    table : DataFrame
        As `read_outcomes` or `read_extraction` gives it.
    path : str or Path
        Where to write; a file that is there is replaced.
    format : {"csv", "metapsy", "escalc", "revman_csv", "robvis", "xlsx"}
        "csv" and "xlsx" have metapeer's own columns; "metapsy" has semicolons and decimal commas; "revman_csv" has the
        columns of the data rows of a Cochrane data package.

    Raises
    ------
    ChoiceError
        If `format` is unknown.
    DataError
        If the table cannot be written so, or the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> table = pd.DataFrame({"study_id": ["ames2014"], "n1": [20.0], "mean1": [3.5], "sd1": [1.2], "n2": [21.0],
    ...                       "mean2": [3.1], "sd2": [1.1], "note": ["=1+1"]})
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "dat.csv"
    ...     write_table_as(table, path, format="escalc")
    ...     print(path.read_text())
    study,n1i,n2i,m1i,sd1i,m2i,sd2i,note
    ames2014,20,21,3.5,1.2,3.1,1.1,'=1+1
    """
    check_choice("format", format, get_args(ExportFormat))
    cells, numeric = _cells(table, str(path))
    if format == "robvis":
        try:
            out = robvis.cells_for_robvis(cells)
        except DataError as error:
            raise DataError(str(path), error.faults) from None
    else:
        forth, back = WAYS[format]
        out = forth(cells)
        out |= _remainder(cells, numeric, out, back)
    if format == "xlsx":
        _save(path, workbook_bytes(out, numeric, str(path)))
    elif format == "metapsy":
        _save(path, _text(out, ";", comma=numeric, missing="NA").encode("utf-8"))
    else:
        _save(path, _text(out, ",", comma=(), missing="").encode("utf-8"))


def write_metapsy(table: pd.DataFrame, path: str | Path) -> None:
    """Write an extraction table in the Metapsy data standard: semicolons, decimal commas, NA.

    Parameters
    ----------
    table : DataFrame
        As `read_outcomes` or `read_metapsy` gives it.
    path : str or Path
        A file that ends in ``.csv``, or a folder that is there: then ``data.csv`` is written into it and, if
        ``table.attrs["metadata"]`` has texts, ``metadata/``.

    Raises
    ------
    DataError
        If the table cannot be written so, or a file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> table = pd.DataFrame({"study_id": ["ames2014"], "events1": [4.0], "total1": [20.0], "events2": [7.0],
    ...                       "total2": [21.0]})
    >>> with TemporaryDirectory() as folder:
    ...     write_metapsy(table, Path(folder))
    ...     header = (Path(folder) / "data.csv").read_text().split(";")
    >>> header[:4]
    ['study', 'condition_arm1', 'condition_arm2', 'multi_arm1']
    """
    if not isinstance(path, str | Path) or not str(path).strip() or "\0" in str(path):
        raise DataError("the path", ["is not a file name; give the path of a CSV file or a folder"])
    place = Path(path)
    if not place.is_dir():
        write_table_as(table, place, format="metapsy")
        return
    write_table_as(table, place / "data.csv", format="metapsy")
    metadata = table.attrs.get("metadata") or {}
    for name in metadata:
        if Path(name).name != name or name in ("", ".", "..") or "\\" in name or ":" in name:
            raise DataError(str(place), [f"metadata {name!r} is not a plain file name, so it is not written"])
    if metadata:
        try:
            (place / "metadata").mkdir(exist_ok=True)
        except OSError as error:
            raise DataError(str(place / "metadata"), [f"cannot be made: {error.strerror}"]) from None
        for name, text in metadata.items():
            _save(place / "metadata" / name, text.encode("utf-8"))


def _cells(table: pd.DataFrame, source: str) -> tuple[Cells, list[str]]:
    """Give the table as text, and say which columns are numbers."""
    if not isinstance(table, pd.DataFrame):
        raise DataError(source, [f"needs a table, not {type(table).__name__}; read one with read_outcomes"])
    names = [str(name) for name in table.columns]
    folded = [name.casefold() for name in names]
    if len(set(folded)) < len(folded):
        raise DataError(source, ["would have two columns of one name (capitals aside); rename one"])
    if "study_id" not in names:
        raise DataError(source, ["the table has no column study_id; it names the trials"])
    if not len(table):
        raise DataError(source, ["the table has no rows"])
    cells: Cells = {}
    numeric = []
    for position, name in enumerate(names):
        column = table.iloc[:, position]
        if name == LINE:
            continue
        if is_numeric_dtype(column.dtype) and column.dtype != bool:
            numeric.append(name)
            if any(math.isinf(value) for value in column.dropna().tolist() if isinstance(value, float)):
                raise DataError(source, [f"column {name} holds an infinite number; remove it"])
        cells[name] = as_text(column)
    return cells, numeric


def _remainder(cells: Cells, numeric: list[str], out: Cells, back: Callable[[ForeignTable], Draft]) -> Cells:
    """Read the new table back in memory, and name each column that would not come back as it is."""
    rows = len(cells["study_id"])
    table = foreign_table(source="the table", header=list(out), columns=list(out.values()), lines=range(2, rows + 2))
    draft = back(table)
    found = {**draft.columns, **draft.extras}
    rest: Cells = {}
    for name, column in cells.items():
        if not _same(column, found.get(name), number=name in numeric or _number(name)):
            rest[f"{OWN}{name}"] = column
    for name, column in draft.columns.items():
        if name not in cells and any(column):
            rest[f"{OWN}{name}"] = [""] * rows
    return rest


def _number(name: str) -> bool:
    return name in EXTRACTION.names and EXTRACTION[name].type in ("integer", "number")


def _same(one: list[str], other: list[str] | None, *, number: bool) -> bool:
    if other is None:
        return False
    if not number:
        return [cell.strip() for cell in one] == other
    pairs = zip(one, other, strict=True)
    return all(a == b or (number_of(a) == number_of(b)) for a, b in pairs)


def _text(columns: Cells, separator: str, *, comma: "list[str] | tuple[()]", missing: str) -> str:
    def quoted(cell: str) -> str:
        bare = not NEEDS_QUOTES.search(cell) or (separator != "," and DECIMAL_COMMA.fullmatch(cell))
        return cell if bare else '"' + cell.replace('"', '""') + '"'

    written = []
    for name, column in columns.items():
        plain = name.removeprefix(OWN)
        decimal = missing and (plain in comma or plain in metapsy.NUMBERS or _number(plain))
        cells = [with_comma(cell) if decimal else cell for cell in column]
        written.append([quoted(defuse(cell)) if cell else missing for cell in cells])
    header = [quoted(defuse(name)) for name in columns]
    return "".join(separator.join(row) + "\n" for row in [header, *zip(*written, strict=True)])


def _save(path: str | Path, content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except (OSError, ValueError) as error:
        raise DataError(str(path), [f"cannot be written: {getattr(error, 'strerror', None) or error}"]) from None
