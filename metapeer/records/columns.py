"""From columns of cells to columns of values: every cell is checked against the schema, every fault is kept.

Numbers are read as papers and spreadsheets write them, but never guessed: a comma that may mean a decimal or a
thousand is a fault.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from metapeer.records.decode import shown
from metapeer.records.schema import Field, Table

__all__ = ["MISSING", "CellFault", "decimal_mark", "leading_number", "numbers", "texts"]

MISSING = frozenset({"", "na", "n/a", "nan", "nr", ".", "-"})
"""What stands for a missing value in a table of your own, in small or capital letters; NR is "not reported"."""

NAMIBIA = ("country", "NA")  # its code in ISO 3166; the one place where NA is a value

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)
SIGN_OF_A_BOUND = re.compile(r"[<>≤≥=]\s*")
SPREADSHEET_ERROR = re.compile(r"#(N/A|DIV/0!|REF!|VALUE!|NAME\?|NUM!|NULL!)", re.IGNORECASE)
MINUS_SIGN, DASHES = "\N{MINUS SIGN}", ("\N{EN DASH}", "\N{EM DASH}")


@dataclass(frozen=True, slots=True)
class CellFault:
    """One cell that will not do.

    Parameters
    ----------
    row : int
        Its row, counted from 0.
    column : str
        Its column.
    message : str
        What is wrong and what would do.
    """

    row: int
    column: str
    message: str


def decimal_mark(cells: Iterable[str], separator: str) -> str:
    """Find the decimal mark of a file.

    A comma is one only where something else parts the cells and more cells have a decimal comma than a decimal point.
    A mark that may stand before thousands (``"1,234"``, ``"1.234"``) does not count.

    Parameters
    ----------
    cells : iterable of str
        Every cell of a column of numbers.
    separator : str
        What parts the cells.

    Returns
    -------
    str
        ``"."`` or ``","``.

    Examples
    --------
    >>> decimal_mark(["3,5", "20"], ";"), decimal_mark(["3.5", "1,234"], ";"), decimal_mark(["3,5"], ",")
    (',', '.', '.')
    """
    if separator == ",":
        return "."
    commas = points = 0
    for cell in cells:
        if "," in cell:
            bare = _plain(cell)
            commas += bool(DECIMAL_COMMA.fullmatch(bare)) and not THOUSANDS.fullmatch(bare)
        elif "." in cell:
            bare = _plain(cell)
            points += bool(NUMBER.fullmatch(bare)) and not THOUSANDS.fullmatch(bare.replace(".", ","))
    return "," if commas > points else "."


def numbers(
    field: Field, cells: Sequence[str], *, mark: str, separator: str, missing: frozenset[str]
) -> tuple[NDArray[np.float64], list[CellFault]]:
    """Read a column of numbers.

    Parameters
    ----------
    field : Field
        What the column may hold.
    cells : sequence of str
        The cells.
    mark : {".", ","}
        The decimal mark.
    separator : str
        What parts the cells, for advice.
    missing : frozenset of str
        Folded texts that stand for a missing value.

    Returns
    -------
    array of float
        NaN where missing or at fault.
    list of CellFault
        The cells that are no number, or not one that is allowed.
    """
    # Tables repeat themselves, so each different text is read once.
    read = {cell: _read_number(cell, field, mark, separator, missing) for cell in dict.fromkeys(cells)}
    wrong = {cell: value for cell, value in read.items() if isinstance(value, str)}
    faults = (
        [CellFault(row, field.name, wrong[cell]) for row, cell in enumerate(cells) if cell in wrong] if wrong else []
    )
    values = {cell: math.nan if isinstance(value, str) else value for cell, value in read.items()}
    return np.fromiter((values[cell] for cell in cells), dtype=float, count=len(cells)), faults


def texts(
    field: Field, cells: Sequence[str], *, mark: str, separator: str, missing: frozenset[str]
) -> tuple[list[str], list[CellFault]]:
    """Read a column of text, of categories, or of numbers kept as text.

    Parameters
    ----------
    field : Field
        What the column may hold.
    cells : sequence of str
        The cells.
    mark : {".", ","}
        The decimal mark; numbers kept as text get a point.
    separator : str
        What parts the cells, for advice.
    missing : frozenset of str
        Folded texts that stand for a missing value.

    Returns
    -------
    list of str
        The texts without the white space around them, ``""`` where missing.
    list of CellFault
        The cells that are not allowed.
    """
    values: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for cell in dict.fromkeys(cells):
        value = cell.strip()
        if value.casefold() in missing and (field.name, value) != NAMIBIA:
            value = ""
        if value and field.categories and value not in field.categories:
            wrong[cell] = _unknown_category(value, field.categories)
        elif value and field.type == "digits":
            sign = SIGN_OF_A_BOUND.match(value)
            bare = value[sign.end() :] if sign else value
            number = _parse(bare, mark, separator)
            if isinstance(number, str):
                wrong[cell] = number + ("; write it as 0.04 or <0.001" if number.endswith("is not a number") else "")
            elif mark == ",":
                value = value.replace(",", ".")
        values[cell] = value
    faults = (
        [CellFault(row, field.name, wrong[cell]) for row, cell in enumerate(cells) if cell in wrong] if wrong else []
    )
    return [values[cell] for cell in cells], faults


def leading_number(text: str) -> float:
    """Read a number kept as text, past its < sign.

    Parameters
    ----------
    text : str
        A cell of a column of digits.

    Returns
    -------
    float
        NaN if there is none.

    Examples
    --------
    >>> leading_number("<0.001"), leading_number("0.10"), leading_number("")
    (0.001, 0.1, nan)
    """
    bare = _plain(SIGN_OF_A_BOUND.sub("", text, count=1))
    return float(bare) if NUMBER.fullmatch(bare) else math.nan


def number_columns(table: Table, names: Iterable[str]) -> list[str]:
    """Choose the columns that hold numbers.

    Parameters
    ----------
    table : Table
        Its definition.
    names : iterable of str
        The columns of a file.

    Returns
    -------
    list of str
        Those that `table` defines as numbers, kept as text or not.
    """
    return [name for name in names if name in table.names and table[name].type != "string"]


def _plain(cell: str) -> str:
    return cell.strip().replace(MINUS_SIGN, "-")


def _read_number(cell: str, field: Field, mark: str, separator: str, missing: frozenset[str]) -> float | str:
    """Read one cell: give its number, or say what is wrong with it."""
    bare = cell.strip()
    if bare.casefold() in missing:
        return math.nan
    value = _parse(bare, mark, separator)
    return value if isinstance(value, str) else _bounded(value, shown(bare), field)


def _parse(cell: str, mark: str, separator: str) -> float | str:
    bare = _plain(cell)
    if mark == ",":
        if "." in bare and NUMBER.fullmatch(bare.replace(",", "")):
            return (
                f"{shown(cell)!r} has a point, but this file writes decimals with a comma; write it with a comma only"
            )
        bare = bare.replace(",", ".", 1) if DECIMAL_COMMA.fullmatch(bare) else bare
    if not NUMBER.fullmatch(bare):
        return f"{shown(cell)!r} {_why_not_a_number(bare, separator)}"
    value = float(bare)
    return value if math.isfinite(value) else f"{shown(cell)!r} is too large for a number"


def _why_not_a_number(bare: str, separator: str) -> str:
    folded = bare.casefold().lstrip("+-")
    reason = "is not a number"
    if folded in MISSING:
        reason += "; leave the cell empty when the value is missing"
    elif folded in {"inf", "infinity", "∞"}:
        reason = "is infinite; give a number, or leave the cell empty"
    elif THOUSANDS.fullmatch(bare):
        reason = f"may mean {bare.replace(',', '')} or {bare.replace(',', '.', 1)}; write it without a comma"
    elif DECIMAL_COMMA.fullmatch(bare):
        point = bare.replace(",", ".")
        reason = f"has a decimal comma; write {point}" + (
            ", or part the cells of the file by semicolons" if separator == "," else " as in the rest of the file"
        )
    elif bare.startswith(DASHES) and NUMBER.fullmatch(bare[1:]):
        reason = f"begins with a dash; write a minus sign: -{bare[1:]}"
    elif NUMBER.fullmatch(bare.removesuffix("%").rstrip()):
        reason = "has a per cent sign; write the number alone"
    elif SPREADSHEET_ERROR.fullmatch(bare):
        reason = "is an error message of the spreadsheet; mend its formula, or leave the cell empty"
    elif re.fullmatch(r"[<>≤≥=].*\d.*", bare):
        reason = "is a bound, not a number; leave the cell empty"
    elif len(re.findall(r"\d+(?:[.,]\d+)?", bare)) > 1:
        reason = "is not one number; give each its own column"
    return reason


def _bounded(value: float, cell: str, field: Field) -> float | str:
    if field.type == "integer" and value != math.floor(value):
        return f"{cell} is not a whole number"
    limits = (
        (field.minimum, "at least", value.__lt__),
        (field.maximum, "at most", value.__gt__),
        (field.above, ">", value.__le__),
        (field.below, "<", value.__ge__),
    )
    for bound, words, breaks in limits:
        if bound is not None and breaks(float(bound)):
            return f"{cell} is not allowed; it must be {words} {bound:g}"
    return value


def _unknown_category(value: str, categories: Sequence[str]) -> str:
    folded = {category.casefold(): category for category in categories}
    close = get_close_matches(re.sub(r"[\s-]+", "_", value[:60]).casefold(), folded, n=1)
    hint = f" Did you mean {folded[close[0]]!r}?" if close else ""
    return f"{shown(value)!r} is unknown.{hint} Known: {', '.join(categories)}"
