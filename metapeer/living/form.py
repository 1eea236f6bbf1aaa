"""An Excel form to extract trials with: drop-downs, ranges and hints in, the rows that were typed out."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from metapeer.errors import DataError, Fault, MetapeerError
from metapeer.living.asking import Typed
from metapeer.living.folder import load_review
from metapeer.living.store_files import disk_error
from metapeer.records.catalog import load_instruments
from metapeer.records.decode import shown
from metapeer.records.interchange.limits import read_limited
from metapeer.records.interchange.workbook import read_workbook
from metapeer.records.schema import INSTRUMENTS, OUTCOMES, TRIALS, Field, Table

__all__ = ["read_form", "write_form"]

ROWS = 500  # with drop-downs and ranges, in each sheet: more than the results of any one review here
OUTCOMES_SHEET, TRIALS_SHEET, LISTS_SHEET = "Outcomes", "Trials", "Lists"
DIRECTION = INSTRUMENTS["direction"]
GIVEN = {"row_id"}  # given when the rows are added
NARROW, WIDE = 12, 24
INSTRUCTIONS = (
    "How to use this form",
    "",
    "1. Sheet Trials: one line for each trial that the review does not have yet. Its study_id is first author and",
    "   year, such as smith2026; citation and source are needed.",
    "2. Sheet Outcomes: one line for each comparison, outcome, instrument and time point. Arm 1 is peer support.",
    "3. Give either n1 mean1 sd1 n2 mean2 sd2, or events1 total1 events2 total2, or an effect as printed: es_type and",
    "   es with es_se, with es_ci_low and es_ci_high, or with p_value.",
    "4. Copy the digits and the sign as they are printed. Leave empty what the paper does not say; write no formulas.",
    "5. Standard deviations, not standard errors. The numbers are participants analysed, not randomised.",
    "6. Take an instrument from the list. For a new one fill outcome, outcome_class and direction (which way is good).",
    "7. source says where a row was read, with table or page.",
    "8. A row that cannot be pooled yet says why in exclusion_reason.",
    "",
    "Red headers are needed. Each header has a note that says what the column means.",
)


def write_form(path: str | Path, *, folder: str | Path | None = None) -> None:
    """Write a blank extraction form for Excel: drop-downs, allowed ranges, and a note on each column.

    Parameters
    ----------
    path : str or Path
        The workbook to write, ending in ``.xlsx``; an existing file is not overwritten.
    folder : str or Path, optional
        A review's folder: its trials, outcomes and instruments are in the lists. The bundled instruments alone when
        left out.

    Raises
    ------
    MetapeerError
        If the file exists or is not called ``.xlsx``.
    DataError
        If it cannot be written, or something is wrong in the folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     write_form(Path(place) / "form.xlsx")
    ...     sorted(path.name for path in Path(place).iterdir())
    ['form.xlsx']
    """
    target = Path(path)
    if target.suffix.casefold() != ".xlsx":
        raise MetapeerError(f"{shown(str(path))} is no name for an Excel workbook; let it end in .xlsx")
    review = None if folder is None else load_review(folder)
    instruments = load_instruments() if review is None else review.instruments
    lists = {
        "instrument": list(dict.fromkeys(instruments["instrument"].tolist())),
        "outcome": sorted(set(instruments["outcome"].tolist())),
        "study_id": [] if review is None else review.trials["study_id"].tolist(),
    }
    content = _workbook(lists, "" if review is None else review.title or review.name)
    try:
        with target.open("xb") as file:
            try:
                file.write(content)
                file.flush()
            except OSError:
                target.unlink()  # half a workbook is none
                raise
    except FileExistsError:
        raise MetapeerError(f"{path} exists; it may hold what was typed in, so it is not overwritten") from None
    except OSError as error:
        raise disk_error(error, target, "the form was not written") from error


def read_form(path: str | Path) -> Typed:
    """Read what was typed into a form.

    Parameters
    ----------
    path : str or Path
        The workbook, from `write_form`.

    Returns
    -------
    Typed
        Its rows and trials, every cell as it was typed, for `add_rows`, which checks them.

    Raises
    ------
    DataError
        If the file is damaged, dangerous or too large, a sheet or column of the form is missing, a cell holds a formula
        or a date, or no result was typed in.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     write_form(Path(place) / "form.xlsx")
    ...     read_form(Path(place) / "form.xlsx")
    Traceback (most recent call last):
    metapeer.errors.DataError: form.xlsx has 1 problem
      no result was typed in; fill a line of the sheet 'Outcomes'
    """
    content = read_limited(path)
    source = Path(path).name
    tables: dict[str, pd.DataFrame] = {}
    faults: list[Fault] = []
    for sheet, table in ((TRIALS_SHEET, TRIALS), (OUTCOMES_SHEET, OUTCOMES)):
        try:
            tables[sheet] = _rows(content, source, sheet, table)
        except DataError as error:
            if not _is_blank(error):
                faults += [Fault(message=_in_sheet(sheet, fault)) for fault in error.faults]
            tables[sheet] = pd.DataFrame(columns=list(table.names), dtype=str)
    if not faults and tables[OUTCOMES_SHEET].empty:
        faults = [Fault(message=f"no result was typed in; fill a line of the sheet {OUTCOMES_SHEET!r}")]
    if faults:
        raise DataError(source, faults)
    return Typed(rows=tables[OUTCOMES_SHEET], trials=tables[TRIALS_SHEET])


def _in_sheet(sheet: str, fault: Fault | str) -> str:
    """Say in which sheet a fault is; that there is no such sheet says it already."""
    said = str(fault)
    if said.startswith("has no sheet"):
        return f"{said}; write_form() writes the form that is read here"
    return f"sheet {sheet}, {said}"


def _is_blank(error: DataError) -> bool:
    """Whether a sheet has its header and nothing else, which is how the form begins."""
    return [fault.message for fault in error.faults] == ["has a header but no rows; add at least one row"]


def _rows(content: bytes, source: str, sheet: str, table: Table) -> pd.DataFrame:
    found = read_workbook(content, source, sheet)
    absent = [name for name in _columns(table) if name not in found.cells and table_field(table, name).required]
    if absent:
        message = "the column is missing; begin again with a new form, and copy the rows into it"
        raise DataError(source, [Fault(line=found.header_line, column=name, message=message) for name in absent])
    frame = pd.DataFrame(found.cells, dtype=str)
    frame["line"] = list(found.lines)
    frame.attrs["source"] = f"{source} (sheet {sheet})"
    return frame


def table_field(table: Table, name: str) -> Field:
    """Find what a column of the form may hold.

    Parameters
    ----------
    table : Table
        Outcomes or trials.
    name : str
        The column.

    Returns
    -------
    Field
        Its definition.
    """
    return DIRECTION if name == DIRECTION.name else table[name]


def _columns(table: Table) -> list[str]:
    names = [name for name in table.names if name not in GIVEN]
    if table is OUTCOMES:
        names.insert(names.index("instrument") + 1, DIRECTION.name)
    return names


def _workbook(lists: Mapping[str, Sequence[str]], title: str) -> bytes:
    import openpyxl  # type: ignore[import-untyped]

    book = openpyxl.Workbook()
    page = book.active
    page.title = "Instructions"
    heading = f"{title}: extraction form" if title else "Extraction form"
    for line, text in enumerate((heading, "", *INSTRUCTIONS), start=1):
        _put(page.cell(row=line, column=1), text)
    page.column_dimensions["A"].width = 120
    names = _list_sheet(book, lists)
    for sheet, table in ((TRIALS_SHEET, TRIALS), (OUTCOMES_SHEET, OUTCOMES)):
        _sheet(book.create_sheet(sheet), table, names if table is OUTCOMES else {})
    book.move_sheet(LISTS_SHEET, offset=2)
    book[LISTS_SHEET].sheet_state = "hidden"
    book.active = book.sheetnames.index(OUTCOMES_SHEET)
    for one in book.worksheets:
        one.sheet_view.tabSelected = one.title == OUTCOMES_SHEET
    buffer = BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _put(cell: Any, text: str) -> None:
    """Write a text that is a text, also when it begins as a formula does."""
    cell.value = text
    cell.data_type = "s"


def _list_sheet(book: Any, lists: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Write the longer lists of choices: Excel takes at most 255 characters of them in a cell's own rule."""
    from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]

    page = book.create_sheet(LISTS_SHEET)
    ranges = {}
    for column, (name, choices) in enumerate(lists.items(), start=1):
        _put(page.cell(row=1, column=column), name)
        for row, choice in enumerate(choices, start=2):
            _put(page.cell(row=row, column=column), choice)
        if choices:
            letter = get_column_letter(column)
            ranges[name] = f"={LISTS_SHEET}!${letter}$2:${letter}${len(choices) + 1}"
    return ranges


def _sheet(page: Any, table: Table, lists: Mapping[str, str]) -> None:
    from openpyxl.comments import Comment  # type: ignore[import-untyped]
    from openpyxl.styles import Font, PatternFill  # type: ignore[import-untyped]
    from openpyxl.utils import get_column_letter

    fill = PatternFill("solid", fgColor="DDE6EE")
    for column, name in enumerate(_columns(table), start=1):
        field = table_field(table, name)
        needed = field.required and name not in {"outcome", "outcome_class"}  # these follow from the instrument
        header = page.cell(row=1, column=column)
        _put(header, name)
        header.font = Font(bold=True, color="B00020" if needed else "1A1A1A")
        header.fill = fill
        header.comment = Comment(_hint(field), "metapeer", width=320, height=120)
        letter = get_column_letter(column)
        number = field.type in ("integer", "number")
        page.column_dimensions[letter].width = NARROW if number or field.categories else WIDE
        if not number:
            page.column_dimensions[letter].number_format = "@"  # Excel would make dates and numbers of texts
        rule = _rule(field, lists.get(name, ""))
        if rule is not None:
            rule.add(f"{letter}2:{letter}{ROWS + 1}")
            page.add_data_validation(rule)
    page.freeze_panes = "B2"


def _hint(field: Field) -> str:
    parts = [field.description]
    bounds = (
        (field.minimum, "at least"),
        (field.maximum, "at most"),
        (field.above, "more than"),
        (field.below, "less than"),
    )
    words = [f"{text} {value:g}" for value, text in bounds if value is not None]
    if field.type == "integer":
        words.insert(0, "a whole number")
    if field.categories:
        words.append(f"one of: {', '.join(field.categories)}")
    if words:
        parts.append(f"({', '.join(words)})")
    return " ".join(parts)


def _rule(field: Field, listed: str) -> Any:
    """What Excel is to refuse, or None; a list of names that may grow only helps."""
    from openpyxl.worksheet.datavalidation import DataValidation  # type: ignore[import-untyped]

    told: dict[str, Any] = {"allow_blank": True, "errorTitle": field.name, "error": _hint(field)[:255]}
    if listed:
        return DataValidation(type="list", formula1=listed, showErrorMessage=False, allow_blank=True)
    if field.categories:
        return DataValidation(type="list", formula1=f'"{",".join(field.categories)}"', showErrorMessage=True, **told)
    if field.type not in ("integer", "number"):
        return None
    kind = "whole" if field.type == "integer" else "decimal"
    low, high = field.minimum, field.maximum
    if low is not None and high is not None:
        limits = {"operator": "between", "formula1": f"{low:g}", "formula2": f"{high:g}"}
    elif low is not None:
        limits = {"operator": "greaterThanOrEqual", "formula1": f"{low:g}"}
    elif field.above is not None:
        limits = {"operator": "greaterThan", "formula1": f"{field.above:g}"}
    else:  # any number, but a number
        limits = {"operator": "between", "formula1": "-1E+300", "formula2": "1E+300"}
    return DataValidation(type=kind, showErrorMessage=True, **limits, **told)
