"""The table that every check reads: any extraction table, as it stands, whatever is wrong with it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import DataError, MetapeerError

__all__ = ["ALIASES", "AuditTable", "decimals_of", "make_audit_table"]

FloatArray = NDArray[np.float64]

ALIASES = {
    "n1i": "n1", "n2i": "n2", "m1i": "mean1", "m2i": "mean2", "sd1i": "sd1", "sd2i": "sd2",
    "ai": "events1", "ci": "events2", "n1": "n1", "n2": "n2", "study": "study_id", "trial": "study_id",
    "author": "study_id", "slab": "study_id", "sei": "sei", "g": "review_yi", "g_se": "review_sei",
}  # fmt: skip
"""Names of columns in tables made for metafor or Metapsy, and what they are called here."""

NUMBERS = (
    "n1", "mean1", "sd1", "n2", "mean2", "sd2", "events1", "total1", "events2", "total2", "es", "es_se", "es_ci_low",
    "es_ci_high", "review_yi", "review_sei", "yi", "vi", "sei", "timepoint_months",
)  # fmt: skip


def decimals_of(text: str) -> int:
    """Count the decimals of a number as it was written.

    Parameters
    ----------
    text : str
        Such as ``"3.50"``.

    Returns
    -------
    int
        Digits after the point; -1 when it is no plain number.

    Examples
    --------
    >>> decimals_of("3.50"), decimals_of("17"), decimals_of("1e-3"), decimals_of("")
    (2, 0, -1, -1)
    """
    bare = text.strip().lstrip("+-\N{MINUS SIGN}").replace(",", ".")
    whole, point, part = bare.partition(".")
    if not (whole + part) or not (whole + part).isdigit():
        return -1
    return len(part) if point else 0


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditTable:
    """An extraction table, read without complaint.

    Parameters
    ----------
    data : DataFrame
        The rows, numbered from 0: numbers as floats (NaN where there is none or it cannot be read), all else as text
        (empty where missing). Columns have the names of the schema.
    written : DataFrame
        The same cells as they were written, as text; from floats, their shortest form.
    names : tuple of str
        Names of the rows.
    lines : tuple of int
        Their lines in the file; empty when they did not come from one.
    source : str
        The name of the table.
    directions : tuple of str
        "higher_better", "lower_better" or "" for each row.
    ranges : tuple of (float, float)
        Lowest and highest score of the instrument of each row; NaN where unknown.
    notes : tuple of str
        What could not be read, and how columns were renamed.
    """

    data: pd.DataFrame
    written: pd.DataFrame
    names: tuple[str, ...]
    lines: tuple[int, ...]
    source: str
    directions: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    notes: tuple[str, ...] = ()

    @property
    def k(self) -> int:
        """Rows."""
        return len(self.data)

    def has(self, *columns: str) -> bool:
        """Whether the table has all of the columns."""
        return all(column in self.data for column in columns)

    def number(self, column: str) -> FloatArray:
        """Return a column of numbers; NaN everywhere when there is none."""
        if column not in self.data:
            return np.full(self.k, math.nan)
        return self.data[column].to_numpy(np.float64)

    def text(self, column: str) -> list[str]:
        """Return a column of text; empty everywhere when there is none."""
        return [""] * self.k if column not in self.data else [str(cell) for cell in self.data[column]]

    def decimals(self, column: str) -> list[int]:
        """Decimals that the cells of a column were written with; -1 where there is no plain number."""
        if column not in self.written:
            return [-1] * self.k
        return [decimals_of(str(cell)) for cell in self.written[column]]

    @cached_property
    def printed(self) -> tuple[FloatArray, FloatArray]:
        """Effect and standard error that stand in each row ready-made, first found of review_yi, yi and es."""
        effects, errors = np.full(self.k, math.nan), np.full(self.k, math.nan)
        for value, error in (("review_yi", "review_sei"), ("yi", "sei"), ("es", "es_se")):
            here = np.isnan(effects) & np.isfinite(self.number(value))
            effects[here] = self.number(value)[here]
            spread = self.number(error)
            if value == "yi" and "sei" not in self.data:
                with np.errstate(invalid="ignore"):
                    spread = np.sqrt(self.number("vi"))
            errors[here] = spread[here]
        return effects, errors


def _shortest(cell: object) -> str:
    """Write a cell as a person would have typed it."""
    if cell is None or cell is pd.NA or (isinstance(cell, float | np.floating) and math.isnan(cell)):
        return ""
    if isinstance(cell, float | np.floating) and float(cell).is_integer() and abs(float(cell)) < 1e15:
        return str(int(cell))
    return str(cell)


def make_audit_table(
    data: pd.DataFrame,
    *,
    written: pd.DataFrame | None = None,
    instruments: pd.DataFrame | None = None,
    source: str | None = None,
) -> AuditTable:
    """Read a table for the audit, refusing nothing that can be looked at.

    Parameters
    ----------
    data : DataFrame
        One row for each result; columns by the names of the schema, of metafor or of Metapsy.
    written : DataFrame, optional
        The cells as they were written, as text, in the same rows and columns; needed to count printed decimals where
        numbers were read as floats.
    instruments : DataFrame, optional
        With ``instrument``, ``direction`` and, where known, ``min`` and ``max``.
    source : str, optional
        What to call the table.

    Returns
    -------
    AuditTable
        For the checks.

    Raises
    ------
    DataError
        If there is no row.
    MetapeerError
        If `data` is not a DataFrame.

    Examples
    --------
    >>> import pandas as pd
    >>> table = make_audit_table(pd.DataFrame({"study": ["a"], "m1i": ["3.50"], "sd1i": [1.0], "n1i": [20]}))
    >>> table.number("mean1").tolist(), table.decimals("mean1"), table.names
    ([3.5], [2], ('a',))
    """
    if not isinstance(data, pd.DataFrame):
        raise MetapeerError(f"data is a {type(data).__name__}, not a DataFrame")
    name = source or str(data.attrs.get("source", "the table"))
    if data.empty:
        raise DataError(name, ["has no rows"])
    renamed, notes = _rename([str(column) for column in data.columns])
    cells = data.copy()
    cells.columns = pd.Index(renamed)
    cells = cells.loc[:, ~cells.columns.duplicated()].reset_index(drop=True)
    if written is None:
        text = cells.map(_shortest)
    else:
        text = written.reset_index(drop=True)
        text.columns = pd.Index(_rename([str(column) for column in written.columns])[0])
        text = text.loc[:, ~text.columns.duplicated()].map(_shortest)
    ready: dict[str, Any] = {}
    for column in cells.columns.astype(str):
        if column in NUMBERS:
            ready[column] = pd.to_numeric(cells[column], errors="coerce").astype("float64")
            lost = int((ready[column].isna() & (cells[column].map(_shortest) != "")).sum())
            if lost:
                notes.append(f"{column}: {lost} cells are not numbers")
        else:
            ready[column] = cells[column].map(_shortest)
    frame = pd.DataFrame(ready)
    lines = tuple(int(line) for line in frame["line"]) if _is_lines(frame) else ()
    known = _instruments(instruments)
    words = frame["instrument"].tolist() if "instrument" in frame else [""] * len(frame)
    given = frame["direction"].tolist() if "direction" in frame else [""] * len(frame)
    found = [known.get(word, ("", math.nan, math.nan)) for word in words]
    return AuditTable(
        data=frame,
        written=text,
        names=tuple(_names(frame)),
        lines=lines,
        source=name,
        directions=tuple(own or other[0] for own, other in zip(given, found, strict=True)),
        ranges=tuple((low, high) for _, low, high in found),
        notes=tuple(notes),
    )


def _rename(columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Give columns the names of the schema, unless a column has that name already."""
    lowered = [column.strip().lower() for column in columns]
    found, notes = [], []
    for column, low in zip(columns, lowered, strict=True):
        alias = ALIASES.get(low, low if low in NUMBERS else column)
        if alias != column and alias not in columns and alias not in found:
            notes.append(f"column {column!r} is read as {alias!r}")
            found.append(alias)
        else:
            found.append(column)
    return found, notes


def _is_lines(frame: pd.DataFrame) -> bool:
    return "line" in frame and all(str(cell).isdigit() for cell in frame["line"])


def _instruments(table: pd.DataFrame | None) -> Mapping[str, tuple[str, float, float]]:
    if table is None:
        return {}
    low = pd.to_numeric(table["min"], errors="coerce") if "min" in table else pd.Series(math.nan, index=table.index)
    high = pd.to_numeric(table["max"], errors="coerce") if "max" in table else pd.Series(math.nan, index=table.index)
    rows = zip(table["instrument"], table["direction"], low, high, strict=True)
    return {str(name): (str(way), float(a), float(b)) for name, way, a, b in rows}


def _names(frame: pd.DataFrame) -> list[str]:
    """Name rows as a person would: by row_id, or by trial and what tells its rows apart."""
    if "row_id" in frame and frame["row_id"].ne("").all():
        return frame["row_id"].tolist()
    if "study_id" not in frame:
        return [f"row {i + 1}" for i in range(len(frame))]
    names = [study or f"row {i + 1}" for i, study in enumerate(frame["study_id"])]
    for column in ("outcome", "instrument", "comparison", "timepoint_months"):
        if column in frame and len(set(names)) < len(names):
            counts = pd.Series(names).value_counts()
            cells = frame[column].map(_shortest)
            names = [f"{n}, {c}" if counts[n] > 1 and c else n for n, c in zip(names, cells, strict=True)]
    counts = pd.Series(names).value_counts()
    return [f"{n} (row {i + 1})" if counts[n] > 1 else n for i, n in enumerate(names)]
