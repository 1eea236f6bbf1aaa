"""Cells on their way in and out: formulas defused, decimal commas, what is missing, and what a column accepts."""

import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from pandas.api.types import is_numeric_dtype

from metapeer.records.columns import DECIMAL_COMMA, MISSING, NUMBER, decimal_mark, numbers, texts
from metapeer.records.schema import Field

__all__ = ["as_text", "blank", "defuse", "fitting", "number_of", "pointed", "tell_mark", "undefuse", "with_comma"]

if TYPE_CHECKING:
    import pandas as pd

# What a spreadsheet may take for a formula, also behind blanks and in full width: CWE-1236, "CSV injection".
# Apostrophes before it are counted in, so that one more can always be put on and taken off again.
FORMULA = re.compile(r"['\s]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
DEFUSED = re.compile(r"'['\s]*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def defuse(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would run as a formula; numbers stay as they are.

    Parameters
    ----------
    cell : str
        A cell.

    Returns
    -------
    str
        A cell that `undefuse` gives back.

    Examples
    --------
    >>> defuse("=1+1"), defuse("-3.2"), defuse("'=1"), undefuse(defuse("'=1"))
    ("'=1+1", '-3.2', "''=1", "'=1")
    """
    if not FORMULA.match(cell) or NUMBER.fullmatch(cell) or DECIMAL_COMMA.fullmatch(cell):
        return cell
    return "'" + cell


def undefuse(cell: str) -> str:
    """Take off the apostrophe that `defuse`, or a spreadsheet, put before a formula.

    Parameters
    ----------
    cell : str
        A cell.

    Returns
    -------
    str
        The cell as it was.
    """
    return cell[1:] if DEFUSED.match(cell) else cell


def blank(cell: str) -> bool:
    """Tell whether a cell stands for a missing value.

    Parameters
    ----------
    cell : str
        A cell.

    Returns
    -------
    bool
        True when it is empty, NA, NR and the like.
    """
    return cell.strip().casefold() in MISSING


def tell_mark(cells: Iterable[str], separator: str) -> str:
    """Find the decimal mark of a table that follows a standard with decimal commas.

    Where semicolons part the cells and no number has a point, a comma is a decimal mark, even in ``1,234``.

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
    >>> tell_mark(["1,234", "20"], ";"), tell_mark(["1,234", "0.5"], ";")
    (',', '.')
    """
    found = [cell.strip() for cell in cells]
    pointed_cells = any("." in cell and NUMBER.fullmatch(cell) for cell in found)
    if separator == ";" and not pointed_cells and any(DECIMAL_COMMA.fullmatch(cell) for cell in found):
        return ","
    return decimal_mark(found, separator)


def pointed(cell: str, mark: str) -> str:
    """Write a decimal comma as a point; whatever is no such number stays as it is.

    Parameters
    ----------
    cell : str
        A cell.
    mark : {".", ","}
        The decimal mark of its file.

    Returns
    -------
    str
        Such as ``"3.5"``.
    """
    bare = cell.strip()
    return (
        bare.replace(",", ".") if mark == "," and DECIMAL_COMMA.fullmatch(bare.replace("\N{MINUS SIGN}", "-")) else bare
    )


def number_of(cell: str) -> float:
    """Read a cell with a decimal point as a number.

    Parameters
    ----------
    cell : str
        A cell.

    Returns
    -------
    float
        NaN when it is none.
    """
    bare = cell.strip().replace("\N{MINUS SIGN}", "-")
    value = float(bare) if NUMBER.fullmatch(bare) else math.nan
    return value if math.isfinite(value) else math.nan


def with_comma(cell: str) -> str:
    """Write a number with a decimal comma and without an exponent, as ``write.csv2`` of R reads it.

    Parameters
    ----------
    cell : str
        A number with a point, or anything else.

    Returns
    -------
    str
        Such as ``"3,5"``; what is no number as it stands.

    Examples
    --------
    >>> with_comma("3.5"), with_comma("1.5e-07"), with_comma("Smith")
    ('3,5', '0,00000015', 'Smith')
    """
    return format(Decimal(cell), "f").replace(".", ",") if NUMBER.fullmatch(cell) else cell


def as_text(column: "pd.Series[float] | pd.Series[str]") -> list[str]:
    """Write a column of a frame as cells: numbers with the fewest digits that give them back, missing ones empty.

    Parameters
    ----------
    column : Series
        Numbers or texts.

    Returns
    -------
    list of str
        The cells.
    """
    numeric = is_numeric_dtype(column.dtype)
    cells = zip(column.isna().tolist(), column.tolist(), strict=True)
    return ["" if gone else repr(cell).removesuffix(".0") if numeric else str(cell) for gone, cell in cells]


def fitting(field: Field, cells: Sequence[str]) -> list[bool]:
    """Tell which cells a column accepts, so that the others can be kept beside it.

    Parameters
    ----------
    field : Field
        The column.
    cells : sequence of str
        Cells with decimal points.

    Returns
    -------
    list of bool
        True also for what is missing.
    """
    read = numbers if field.type in ("integer", "number") else texts
    _, faults = read(field, cells, mark=".", separator=",", missing=MISSING)
    wrong = {fault.row for fault in faults}
    return [row not in wrong for row in range(len(cells))]
