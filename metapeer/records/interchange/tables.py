"""The table of another program, the draft of metapeer's columns made from it, and the check of that draft.

A draft is checked by `read_outcomes` itself: it is written as the CSV that a person would have typed and read through
the same door, so that no format can bring in what that door refuses. Lines stay those of the other program's file.
"""

import csv
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from metapeer.errors import DataError, DataWarning, Fault
from metapeer.records.csvfile import read_outcomes
from metapeer.records.decode import decode, shown
from metapeer.records.interchange.cells import blank, fitting, pointed, tell_mark, undefuse
from metapeer.records.interchange.limits import check_size, check_text
from metapeer.records.rows import CsvText, split_rows
from metapeer.records.schema import EXTRACTION
from metapeer.records.tablefile import read_table

__all__ = ["OWN", "Draft", "ForeignTable", "checked", "foreign_table", "own_columns", "split_table"]

OWN = "metapeer_"
"""Before the name of a column that another format has no place for: ``metapeer_row_id`` comes back as ``row_id``."""

ROW_NAMES = re.compile(r'(?:"")?(?=[,;\t])')  # R's write.csv leaves the header of its row names empty
ROW_NAMES_AS = "row_name"
LINE_ENDS = re.compile(r"\r\n|\r|\n")
NEEDS_QUOTES = re.compile(r'[,"\r\n;\t]')


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTable:
    """A table of another program: its cells, not yet understood.

    Parameters
    ----------
    source : str
        The file's name, for messages.
    cells : dict of str to list of str
        The columns by header, each cell stripped and with the apostrophe before a formula taken off.
    lines : tuple of int
        Where each row stands in the file.
    separator : str
        What parted the cells.
    header_line : int
        Where the header stands.
    doubts : tuple of str
        What may be wrong with the text.
    """

    source: str
    cells: dict[str, list[str]]
    lines: tuple[int, ...]
    separator: str = ","
    header_line: int = 1
    doubts: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.lines)

    def get(self, name: str) -> list[str]:
        """Return a column, or one of empty cells.

        Parameters
        ----------
        name : str
            Its header.

        Returns
        -------
        list of str
            As long as the table.
        """
        return self.cells.get(name) or [""] * self.rows

    def spelt(self, names: Sequence[str]) -> "ForeignTable":
        """Spell headers as a format does, whatever their capitals.

        Parameters
        ----------
        names : sequence of str
            The format's headers.

        Returns
        -------
        ForeignTable
            The same cells.
        """
        spelling = {name.casefold(): name for name in names}
        return replace(self, cells={spelling.get(name.casefold(), name): cells for name, cells in self.cells.items()})


def split_table(content: bytes, source: str, known: Sequence[str], encoding: str | None = None) -> ForeignTable:
    """Read the bytes of a CSV file as a table of another program.

    Parameters
    ----------
    content : bytes
        The file.
    source : str
        Its name, for messages.
    known : sequence of str
        Headers that may be expected; they help to find the separator.
    encoding : str, optional
        A Python codec, when it is not recognised.

    Returns
    -------
    ForeignTable
        Its cells.

    Raises
    ------
    DataError
        If it is no text, too large, or its rows do not fit the header.
    """
    text, doubts = decode(content, source, encoding)
    check_text(text, source)
    if unnamed := ROW_NAMES.match(text):
        text = ROW_NAMES_AS + text[unnamed.end() :]
    raw = split_rows(text, source, known)
    if raw.faults:
        raise DataError(source, raw.faults)
    if not raw.lines:
        raise DataError(source, ["has a header but no rows; add at least one row"])
    return foreign_table(
        source=source,
        header=_own_spelling(text, raw),
        columns=raw.columns,
        lines=raw.lines,
        separator=raw.separator,
        header_line=raw.header_line,
        doubts=doubts,
    )


def _own_spelling(text: str, raw: CsvText) -> Sequence[str]:
    """Give the headers with the capitals that they have in the file."""
    try:
        for row in islice(csv.reader(io.StringIO(text, newline=""), delimiter=raw.separator), raw.header_line + 1):
            names = [cell.strip() for cell in row if cell.strip()]
            if [name.casefold() for name in names] == [name.casefold() for name in raw.header]:
                return names
    except csv.Error:  # a header longer than the csv module takes
        pass
    return raw.header


def foreign_table(
    *,
    source: str,
    header: Sequence[str],
    columns: Sequence[Sequence[str]],
    lines: Sequence[int],
    separator: str = ",",
    header_line: int = 1,
    doubts: Sequence[str] = (),
) -> ForeignTable:
    """Put cells into a table: limits checked, apostrophes before formulas taken off.

    Parameters
    ----------
    source, lines, separator, header_line, doubts
        As in `ForeignTable`.
    header : sequence of str
        The names of the columns.
    columns : sequence of sequence of str
        Their cells.

    Returns
    -------
    ForeignTable
        The table.

    Raises
    ------
    DataError
        If it is too large, or two headers are the same but for capitals.
    """
    check_size(source, rows=len(lines), columns=len(header))
    cells: dict[str, list[str]] = {}
    folded: dict[str, str] = {}
    for name, column in zip(header, columns, strict=True):
        plain = undefuse(name.strip())
        if plain.casefold() in folded:
            message = f"is a header beside {shown(folded[plain.casefold()])!r}; rename or delete one of the two"
            raise DataError(source, [Fault(line=header_line, column=shown(plain), message=message)])
        folded[plain.casefold()] = plain
        cells[plain] = [undefuse(cell.strip()) for cell in column]
    return ForeignTable(
        source=source,
        cells=cells,
        lines=tuple(lines),
        separator=separator,
        header_line=header_line,
        doubts=tuple(doubts),
    )


@dataclass(slots=True, kw_only=True)
class Draft:
    """Metapeer's columns, as they are being made from another program's table.

    Parameters
    ----------
    table : ForeignTable
        What is being read.
    format : str
        Its format, such as "metapsy".
    columns : dict of str to list of str
        Metapeer's columns, with decimal points.
    extras : dict of str to list of str
        Columns that metapeer has no place for.
    origins : dict of str to str
        From which header each of metapeer's columns was made.
    notes : list of str
        What a reader must know of how the table was understood.
    doubts : list of str
        The doubtful part of it, which is warned of.
    with_effects : bool
        Whether rows must have a way to an effect.
    """

    table: ForeignTable
    format: str
    columns: dict[str, list[str]] = field(default_factory=dict)
    extras: dict[str, list[str]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    with_effects: bool = True

    def put(self, name: str, cells: Sequence[str], origin: str = "") -> None:
        """Fill one of metapeer's columns.

        Parameters
        ----------
        name : str
            The column of `EXTRACTION`.
        cells : sequence of str
            Its cells.
        origin : str, default ""
            The header in the file; empty when it was made from several.
        """
        self.columns[name] = list(cells)
        if origin and origin != name:
            self.origins[name] = origin

    def keep(self, name: str, cells: Sequence[str]) -> None:
        """Keep a column that metapeer has no place for; a name with another meaning here gets the format before it.

        Parameters
        ----------
        name : str
            Its header.
        cells : sequence of str
            Its cells.
        """
        taken = {other.casefold() for other in (*EXTRACTION.names, "line", *self.extras)}
        new = name
        while new.casefold() in taken:
            new = f"{self.format}_{new}"
        self.extras[new] = ["" if cell == "NA" else cell for cell in cells]

    def put_what_fits(self, name: str, cells: Sequence[str], origin: str, mark: str) -> None:
        """Fill a column of free text with the cells that it accepts, and keep the others.

        Parameters
        ----------
        name : str
            The column of `EXTRACTION`.
        cells : sequence of str
            The cells as they stand.
        origin : str
            Their header.
        mark : {".", ","}
            Their decimal mark.
        """
        read = [pointed(cell, mark) for cell in cells] if EXTRACTION[name].type != "string" else list(cells)
        fits = fitting(EXTRACTION[name], read)
        self.put(name, [cell if fit else "" for cell, fit in zip(read, fits, strict=True)], origin)
        self.keep_rest(origin, cells, [not fit for fit in fits])

    def keep_rest(self, origin: str, cells: Sequence[str], chosen: Sequence[bool]) -> None:
        """Keep the cells of a column that found no place, if there are any.

        Parameters
        ----------
        origin : str
            The header.
        cells : sequence of str
            The cells.
        chosen : sequence of bool
            Which of them found none.
        """
        rest = [cell if out and not blank(cell) else "" for cell, out in zip(cells, chosen, strict=True)]
        if any(rest):
            self.keep(origin, rest)

    def mark(self, names: Sequence[str]) -> str:
        """Find the decimal mark of the table.

        Parameters
        ----------
        names : sequence of str
            Its columns of numbers.

        Returns
        -------
        str
            ``"."`` or ``","``.
        """
        cells = (cell for name in names for cell in self.table.cells.get(name, ()))
        return tell_mark(cells, self.table.separator)


def own_columns(draft: Draft) -> list[str]:
    """Take back the columns that an export had put under `OWN`: they win over what was made of the others.

    Parameters
    ----------
    draft : Draft
        Is filled.

    Returns
    -------
    list of str
        The headers that are dealt with.
    """
    taken = []
    names = {name.casefold(): name for name in EXTRACTION.names}
    for header, cells in draft.table.cells.items():
        if header.casefold().startswith(OWN):
            taken.append(header)
            rest = header[len(OWN) :]
            name = names.get(rest.casefold())
            if name is None:
                draft.extras[rest or header] = ["" if cell == "NA" else cell for cell in cells]
                continue
            number = EXTRACTION[name].type in ("integer", "number")
            read = [pointed(cell, draft.mark([header])) for cell in cells] if number else cells
            draft.put(name, ["" if cell == "NA" and name != "country" else cell for cell in read], header)
    return taken


def checked(draft: Draft, *, instruments: pd.DataFrame | str | Path | None, stacklevel: int) -> pd.DataFrame:
    """Check a draft as `read_outcomes` checks a table of one's own.

    Parameters
    ----------
    draft : Draft
        The columns.
    instruments : DataFrame, str or Path, optional
        Instruments of the user's own.
    stacklevel : int
        As for `warnings.warn`, seen from the caller.

    Returns
    -------
    DataFrame
        What `read_outcomes` gives, and in ``attrs``: ``source``, ``format``, ``notes`` (what was understood how) and
        ``extras`` (columns that are kept as they stand).

    Raises
    ------
    DataError
        All that `read_outcomes` finds; columns are named as in the file, too.

    Warns
    -----
    DataWarning
        What is doubtful.
    """
    source = draft.table.source
    names = [name for name in EXTRACTION.names if name in draft.columns]
    header = [*names, *draft.extras]
    columns = [*(draft.columns[name] for name in names), *draft.extras.values()]
    text, aligned = _csv(header, columns, draft.table)
    with TemporaryDirectory(prefix="metapeer-") as folder:
        path = Path(folder) / "table.csv"
        try:
            path.write_bytes(text.encode("utf-8"))
        except UnicodeEncodeError:
            raise DataError(source, ["holds half a character (a lone surrogate); save it again as UTF-8"]) from None
        except OSError as error:
            raise DataError(source, [f"cannot be checked, for want of a temporary file: {error.strerror}"]) from None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                if draft.with_effects:
                    frame = read_outcomes(path, instruments=instruments, encoding="utf-8")
                else:
                    frame = read_table(path, EXTRACTION, encoding="utf-8")
            except DataError as error:
                if error.source != str(path):
                    raise  # the instruments are at fault, not this table
                raise DataError(source, [_placed(fault, draft, path) for fault in error.faults]) from None
    if not aligned:
        frame["line"] = pd.Series(draft.table.lines, dtype="int64")
    doubts = [*draft.table.doubts, *(f"{source}: {doubt}" for doubt in draft.doubts)]
    doubts += [str(warning.message).replace(str(path), source) for warning in caught]
    for doubt in doubts:
        warnings.warn(doubt, DataWarning, stacklevel=stacklevel + 1)
    frame.attrs["source"] = Path(source).name
    frame.attrs["format"] = draft.format
    frame.attrs["notes"] = (*draft.notes, *draft.doubts, *_mapped(draft))
    frame.attrs["extras"] = tuple(draft.extras)
    return frame


def _csv(header: Sequence[str], columns: Sequence[Sequence[str]], table: ForeignTable) -> tuple[str, bool]:
    """Write the draft with each row on the line it has in its own file, as far as that can be done."""
    out, line, aligned = [], 1, True
    for row, wanted in zip(
        [tuple(header), *zip(*columns, strict=True)], (table.header_line, *table.lines), strict=True
    ):
        cells = row
        if not any(cell.strip() for cell in row):
            cells = ("NA", *row[1:])  # a line of nothing would be passed over, and its row lost unsaid
        written = ",".join('"' + c.replace('"', '""') + '"' if NEEDS_QUOTES.search(c) else c for c in cells)
        aligned &= line <= wanted
        out.append("\n" * max(wanted - line, 0) + written + "\n")
        line = max(line, wanted) + len(LINE_ENDS.findall(written)) + 1
    return "".join(out), aligned


def _placed(fault: Fault, draft: Draft, path: Path) -> Fault:
    """Name the column as the file does, too; an XML file has no rows, so that its studies are counted."""
    column = fault.column
    if draft.format == "rm5" and fault.line is not None:
        row = f"study row {fault.line - 1}{f' ({fault.row})' if fault.row else ''}"
        message = fault.message.replace(", or part the cells of the file by semicolons", "")
        fault = replace(fault, line=None, row=row, message=message)
    if column in draft.origins:
        column = f"{column} ({shown(draft.origins[column])} in the file)"
    return replace(fault, column=column, message=fault.message.replace(str(path), draft.table.source))


def _mapped(draft: Draft) -> list[str]:
    """Say which column was taken for which, and which are kept as they stand."""
    pairs = [f"{origin} is {name}" for name, origin in draft.origins.items() if not origin.casefold().startswith(OWN)]
    said = [f"columns: {', '.join(pairs)}"] if pairs else []
    if draft.extras:
        said.append(f"kept as they stand: {', '.join(shown(name) for name in draft.extras)}")
    return said
