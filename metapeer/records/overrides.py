"""Corrections on request: raw values are never edited; an override says what to use instead, and why."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from metapeer.errors import DataError, Fault, check_choice
from metapeer.records.columns import numbers, texts
from metapeer.records.decode import shown
from metapeer.records.schema import OUTCOMES, Field

__all__ = ["apply_overrides"]

EMPTY = frozenset({""})
NEEDED = ("override_id", "row_id", "column", "raw", "value")


def apply_overrides(
    outcomes: pd.DataFrame, overrides: pd.DataFrame, *, only: str | Iterable[str] | None = None
) -> pd.DataFrame:
    """Return a copy of the outcomes with recorded corrections put in.

    Parameters
    ----------
    outcomes : DataFrame
        Rows with ``row_id``.
    overrides : DataFrame
        Rows with ``override_id``, ``row_id``, ``column``, ``raw`` and ``value``.
    only : str or iterable of str, optional
        The override_id of the corrections to make; all of them when left out.

    Returns
    -------
    DataFrame
        The same rows, index and order, with a column ``overridden`` that names the corrections of each row (``""``
        where there are none, parted by ``"; "`` where there are several).

    Raises
    ------
    ChoiceError
        If `only` names a correction that does not exist.
    DataError
        If a correction does not fit: its row or column does not exist, its raw value is not the one that stands
        there, its value is not allowed, or two corrections change one cell.

    Examples
    --------
    >>> outcomes = pd.DataFrame({"row_id": ["a.1", "a.2"], "sd1": [0.5, 3.0]})
    >>> overrides = pd.DataFrame(
    ...     {"override_id": ["se"], "row_id": ["a.1"], "column": ["sd1"], "raw": ["0.5"], "value": ["3.2"]}
    ... )
    >>> apply_overrides(outcomes, overrides)
      row_id  sd1 overridden
    0    a.1  3.2         se
    1    a.2  3.0
    """
    _check_columns(outcomes, overrides)
    names = [_text(cell) for cell in overrides["override_id"].tolist()]
    chosen = set(names) if only is None else _chosen(only, names)
    corrected = outcomes.reset_index(drop=True)
    positions: dict[str, list[int]] = {}
    for position, row_id in enumerate(corrected["row_id"].tolist()):
        positions.setdefault(_text(row_id), []).append(position)
    marks: list[list[str]] = [[] for _ in range(len(corrected))]
    changed: dict[tuple[str, str], str] = {}
    columns = {name: corrected[name].tolist() for name in corrected.columns}
    faults: list[Fault] = []
    for record in overrides.to_dict("records"):
        override_id, row_id, column, raw, value = (_text(record[key]) for key in NEEDED)
        if override_id not in chosen:
            continue
        earlier = changed.setdefault((row_id, column), override_id)
        rows = positions.get(row_id, [])
        if earlier != override_id:
            problem = f"is changed by {earlier!r}, too; apply one of them, with only="
        elif len(rows) != 1:
            problem = "several rows have this row_id" if rows else "there is no such row in the outcomes"
        elif column not in columns or column == "row_id":
            problem = "there is no such column in the outcomes that can be corrected"
        else:
            cell = columns[column][rows[0]]
            new, problem = _correct(cell, raw, value, column, numeric=is_numeric_dtype(corrected[column].dtype))
        if problem:
            line = record.get("line")
            place = f"{override_id}, {row_id}" if override_id else row_id
            faults.append(
                Fault(line=line if isinstance(line, int) else None, row=place, column=column, message=problem)
            )
            continue
        columns[column][rows[0]] = new
        if override_id not in marks[rows[0]]:
            marks[rows[0]].append(override_id)
    if faults:
        raise DataError("overrides", faults)
    for _, column in changed:
        corrected[column] = pd.Series(columns[column], dtype=corrected[column].dtype)
    corrected["overridden"] = pd.Series(["; ".join(mark) for mark in marks], dtype=str)
    return corrected.set_axis(outcomes.index)


def _check_columns(outcomes: pd.DataFrame, overrides: pd.DataFrame) -> None:
    faults = [f"the column {name} is missing" for name in NEEDED if name not in overrides]
    if faults:
        raise DataError("overrides", faults)
    if "row_id" not in outcomes:
        raise DataError("outcomes", ["the column row_id is missing; overrides name their rows by it"])


def _chosen(only: str | Iterable[str], names: list[str]) -> set[str]:
    wanted = [only] if isinstance(only, str) else list(only)
    known = list(dict.fromkeys(names))
    return {check_choice("override", name, known) for name in wanted}


def _text(cell: object) -> str:
    return "" if cell is None or cell != cell else str(cell).strip()  # noqa: PLR0124 - NaN differs from itself


def _correct(cell: object, raw: str, value: str, column: str, *, numeric: bool) -> tuple[object, str]:
    """Give the new value of a cell, or say why the correction does not fit it."""
    field = OUTCOMES[column] if column in OUTCOMES.names else Field(name=column, description="")
    if not numeric:
        if _text(cell) != raw:
            return None, f"the override expects {shown(raw)!r}, but {shown(_text(cell))!r} stands there"
        words, faults = texts(field, [value], mark=".", separator=",", missing=EMPTY)
        return words[0], faults[0].message if faults else ""
    read, faults = numbers(
        replace(field, type="number", minimum=None, above=None), [raw], mark=".", separator=",", missing=EMPTY
    )
    # Both come from one text by the same reading, so they agree exactly or not at all.
    if faults or not np.array_equal(read, np.array([cell], dtype=float), equal_nan=True):
        return None, f"the override expects {shown(raw)!r}, but {shown(_text(cell))!r} stands there"
    read, faults = numbers(field, [value], mark=".", separator=",", missing=EMPTY)
    return float(read[0]), faults[0].message if faults else ""
