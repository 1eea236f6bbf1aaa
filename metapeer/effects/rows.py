"""The caller's table: cells read as numbers or words, and every fault noted with the row a person would name."""

from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import DataError, Fault

__all__ = ["Rows"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
TextArray = NDArray[np.object_]


class Rows:
    """The caller's table, each column read once.

    Parameters
    ----------
    data : DataFrame
        The caller's table; never changed. ``data.attrs["source"]`` names it in messages.

    Attributes
    ----------
    data : DataFrame
        As given.
    size : int
        Number of rows.
    recorded : array of str
        Reasons for exclusion that the table came with.
    open : array of bool
        Rows without such a reason.
    """

    def __init__(self, data: object) -> None:
        if not isinstance(data, pd.DataFrame):
            raise DataError("the table", [f"a pandas DataFrame is needed, not {type(data).__name__}"])
        if isinstance(data.columns, pd.MultiIndex):
            raise DataError("the table", ["its header has several levels; one is needed"])
        self.data = data
        self.size = len(data)
        self.source = str(data.attrs.get("source", "the table"))
        self._faults: list[tuple[int, Fault]] = []  # with the row's position
        self._numbers: dict[str, FloatArray] = {}
        self._texts: dict[str, TextArray] = {}
        self.recorded = self.text("exclusion_reason")
        self.open = self.recorded == ""

    def has(self, *names: str) -> bool:
        """Tell whether the table has all these columns."""
        return all(name in self.data.columns for name in names)

    def text(self, name: str) -> TextArray:
        """Return cells as stripped text, empty where missing or where there is no such column."""
        if name not in self._texts:
            texts = np.full(self.size, "", dtype=object)
            if self.has(name):
                column = self._column(name)
                filled = column.notna().to_numpy(dtype=bool)
                texts[filled] = [str(cell).strip() for cell in column.to_numpy(dtype=object)[filled]]
            self._texts[name] = texts
        return self._texts[name]

    def numbers(self, name: str) -> FloatArray:
        """Return cells as numbers, NaN where missing or where there is no such column."""
        if name not in self._numbers:
            self._numbers[name] = self._read_numbers(name)
        return self._numbers[name]

    def _column(self, name: str) -> "pd.Series[Any]":
        if (self.data.columns == name).sum() > 1:
            raise DataError(self.source, [Fault(column=name, message="occurs more than once in the header")])
        return self.data[name]

    def _read_numbers(self, name: str) -> FloatArray:
        if not self.has(name):
            return np.full(self.size, np.nan)
        column = self._column(name)
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            texts = self.text(name)
            values = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
            self.note(np.isnan(values) & (texts != ""), name, "a number is needed")
        self.note(np.isinf(values), name, "a finite number is needed")
        return np.where(np.isinf(values), np.nan, values)

    def note(self, wrong: BoolArray, column: str, need: str) -> None:
        """Note a fault for each wrong cell, but for rows that the table itself excludes."""
        for i in np.flatnonzero(wrong & self.open).tolist():
            cell = self.data[column].iloc[i]
            shown = f"{cell:g}" if isinstance(cell, int | float | np.number) else repr(str(cell))
            fault = Fault(line=self._line(i), row=self.name(i), column=column, message=f"{shown}; {need}")
            self._faults.append((i, fault))

    def note_column(self, message: str) -> None:
        """Note a fault of the whole table."""
        self._faults.append((-1, Fault(message=message)))

    def raise_faults(self) -> None:
        """Raise all faults noted so far, if any, in the order of the rows."""
        if self._faults:
            in_order = sorted(self._faults, key=itemgetter(0))
            raise DataError(self.source, [fault for _, fault in in_order], page="data-dictionary")

    def name(self, i: int) -> str:
        """Name a row as a person would: its trial and outcome, or its place in the table."""
        words = [self.text(name)[i] for name in ("study_id", "outcome", "instrument")]
        return ", ".join([word for word in words if word][:2]) or f"row {i + 1}"

    def _line(self, i: int) -> int | None:
        line = self.data["line"].iloc[i] if self.has("line") else None
        return int(line) if isinstance(line, int | float | np.number) and np.isfinite(line) else None
