"""What choices do to a table: conditions, time points, suspicious rows, and one row or average for each trial."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from metapeer.errors import MetapeerError
from metapeer.pooling.weighted import FloatArray
from metapeer.records.overrides import apply_overrides

__all__ = ["Units", "correct", "keep_timepoint", "keep_where", "reduce_rows", "usable_rows"]

IntArray = NDArray[np.intp]

_SAME = ("study_id", "comparison", "outcome", "instrument")
"""What rows of different times must share to be the same measurement repeated."""


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """The effects of one version of the data, in the order of their trials.

    Parameters
    ----------
    trial : array of int
        Which trial, by its place in a list that all versions share.
    cell : array of int
        0 for the first class of a contrast, 1 for the second; 0 where there is no contrast.
    yi, vi : array
        Effects and sampling variances.
    """

    trial: IntArray
    cell: IntArray
    yi: FloatArray
    vi: FloatArray


def usable_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows that have a reason to be left out.

    Parameters
    ----------
    table : DataFrame
        With ``exclusion_reason`` or without.

    Returns
    -------
    DataFrame
        The other rows.
    """
    if "exclusion_reason" not in table:
        return table
    reasons = table["exclusion_reason"]
    return table[(reasons.isna() | (reasons.astype(str).str.strip() == "")).to_numpy()]


def correct(table: pd.DataFrame, rule: str, overrides: pd.DataFrame) -> pd.DataFrame:
    """Do with suspicious rows what a rule says.

    Parameters
    ----------
    table : DataFrame
        With ``row_id``.
    rule : str
        As in `choose_corrections`.
    overrides : DataFrame
        The corrections.

    Returns
    -------
    DataFrame
        Another version of the table.
    """
    if rule == "as_printed":
        return table
    if rule == "corrected":
        # A selection of rows need not have all that corrections are about.
        if "row_id" in table:
            overrides = overrides[overrides["row_id"].astype(str).isin(table["row_id"].astype(str)).to_numpy()]
        return apply_overrides(table, overrides)
    need = {"row_id"} if rule == "rows_left_out" else {"row_id", "study_id"}
    absent = sorted(need - set(table.columns))
    if absent:
        raise MetapeerError(f"there is no column {absent[0]!r}, by which rows with corrections are found")
    suspicious = table["row_id"].astype(str).isin(overrides["row_id"].astype(str))
    if rule == "trials_left_out":
        suspicious = table["study_id"].isin(table.loc[suspicious, "study_id"])
    return table[~suspicious]


def _cells(column: "pd.Series[Any]") -> "pd.Series[str]":
    return column.map(lambda cell: "" if pd.isna(cell) else f"{cell:.15g}" if isinstance(cell, float) else str(cell))


def _number_text(text: str) -> str:
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return text


def keep_where(
    table: pd.DataFrame, condition: str | Sequence[str] | Callable[[pd.DataFrame], Any], known: pd.DataFrame
) -> pd.DataFrame:
    """Keep the rows for which a condition holds.

    Parameters
    ----------
    table : DataFrame
        Rows.
    condition : str, sequence of str or callable
        As in `choose_where`.
    known : DataFrame
        The whole table: a value that no row of it has is more likely a slip than a wish.

    Returns
    -------
    DataFrame
        Some of the rows.

    Raises
    ------
    MetapeerError
        If a column does not exist, no row has a value, or a function does not return True or False for each row.

    Examples
    --------
    >>> rows = pd.DataFrame({"format": ["group", "mixed", "group"], "year": [2001, 2004, 2009]})
    >>> len(keep_where(rows, "format=group", rows)), len(keep_where(rows, ["format!=group", "year=2004"], rows))
    (2, 1)
    """
    if callable(condition):
        mask = np.asarray(condition(table))
        if mask.shape != (len(table),) or mask.dtype != np.bool_:
            raise MetapeerError("the condition did not return True or False for each row")
        return table[mask]
    kept = np.ones(len(table), dtype=np.bool_)
    for part in [condition] if isinstance(condition, str) else condition:
        name, _, listed = part.partition("=")
        column = name.removesuffix("!").strip()
        if column not in table:
            raise MetapeerError(f"{part!r}: there is no column {column!r}")
        wanted = [value.strip() for value in listed.split("|")]
        if is_numeric_dtype(table[column]):
            wanted = [_number_text(value) for value in wanted]
        there = set(_cells(known[column] if column in known else table[column]))
        for value in wanted:
            if value not in there:
                shown = ", ".join(sorted(there)[:12]) + (", ..." if len(there) > 12 else "")
                raise MetapeerError(f"{part!r}: no row has {value!r}; the column has: {shown}")
        found = _cells(table[column]).isin(wanted).to_numpy()
        kept &= ~found if name.endswith("!") else found
    return table[kept]


def keep_timepoint(table: pd.DataFrame, rule: str | float, column: str) -> pd.DataFrame:
    """Keep the rows of one time point of each trial, comparison, outcome and instrument.

    Parameters
    ----------
    table : DataFrame
        Rows that can be pooled.
    rule : str or float
        As in `choose_timepoint`.
    column : str
        The column with the times.

    Returns
    -------
    DataFrame
        Some of the rows; where a measurement has no time at all, all of its rows.

    Raises
    ------
    MetapeerError
        If a column that is needed does not exist.

    Examples
    --------
    >>> rows = pd.DataFrame({"study_id": ["a", "a", "b"], "timepoint_months": [3.0, 12.0, 6.0]})
    >>> keep_timepoint(rows, "last", "timepoint_months")["timepoint_months"].tolist()
    [12.0, 6.0]
    """
    if rule == "all":
        return table
    need = "timepoint" if rule == "post" else column
    if need not in table:
        raise MetapeerError(f"there is no column {need!r} to choose time points by")
    if rule == "post":
        return table[(table["timepoint"] == "end_of_treatment").to_numpy()]
    times = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if rule == "first":
        distance = times
    elif rule == "last":
        distance = -times
    else:
        # Of two times equally close the earlier: a hair is added for being later.
        away = np.abs(times - float(rule))
        distance = away + np.where(times > float(rule), 1e-9 * (1.0 + away), 0.0)
    keys = [name for name in _SAME if name in table]
    if not keys:
        raise MetapeerError("there is no column 'study_id' to tell trials apart by")
    least = pd.Series(distance, index=table.index).groupby([table[key] for key in keys], dropna=False).transform("min")
    lowest = least.to_numpy(np.float64)
    kept: NDArray[np.bool_] = np.isnan(lowest) | (distance == lowest)
    return table[kept]


def _participants(table: pd.DataFrame) -> FloatArray:
    size = np.full(len(table), np.nan)
    for pair in (("n1", "n2"), ("total1", "total2")):
        if set(pair) <= set(table.columns):
            one, two = (pd.to_numeric(table[c], errors="coerce").to_numpy(np.float64, na_value=np.nan) for c in pair)
            size = np.where(np.isnan(size), one + two, size)
    return np.asarray(size)


def _preference(table: pd.DataFrame, order: Mapping[str, Sequence[str]]) -> FloatArray:
    (column, values), *_ = order.items()
    if column not in table:
        raise MetapeerError(f"there is no column {column!r} to prefer rows by")
    place = {str(value): float(i) for i, value in enumerate(values)}
    return np.array([place.get(str(cell), math.inf) for cell in table[column]])


def reduce_rows(
    table: pd.DataFrame,
    rule: str,
    *,
    trial: IntArray,
    cell: IntArray,
    yi: FloatArray,
    vi: FloatArray,
    order: Mapping[str, Sequence[str]],
) -> Callable[[float], Units]:
    """Make one effect of the rows of each trial and cell.

    Parameters
    ----------
    table : DataFrame
        Rows that can be pooled.
    rule : str
        As in `choose_rows`.
    trial, cell : array of int
        Trial and class of each row.
    yi, vi : array
        Effects and variances of the rows.
    order : mapping
        As in `choose_rows`.

    Returns
    -------
    function
        From the correlation to the effects; it has no part in any rule but ``"average"``.

    Raises
    ------
    MetapeerError
        If a column that is needed does not exist.

    References
    ----------
    Borenstein, Hedges, Higgins & Rothstein (2009), Introduction to Meta-Analysis, equation 24.4, for the average.
    """
    unit = trial * 2 + cell
    if rule == "independent":
        by_unit = np.argsort(unit, kind="stable")
        alone = Units(trial[by_unit], cell[by_unit], yi[by_unit], vi[by_unit])
        return lambda _: alone
    if rule == "average":
        different, where, sizes = np.unique(unit, return_inverse=True, return_counts=True)
        mean = np.bincount(where, yi) / sizes
        own, both = np.bincount(where, vi), np.bincount(where, np.sqrt(vi)) ** 2
        # One row is its own average, to the last digit.
        first = np.unique(unit, return_index=True)[1]
        mean = np.where(sizes == 1, yi[first], mean)

        def average(rho: float) -> Units:
            spread = np.where(sizes == 1, vi[first], (rho * both + (1.0 - rho) * own) / sizes**2)
            return Units(different // 2, different % 2, mean, spread)

        return average
    place = np.arange(len(table), dtype=np.float64)
    if rule == "largest":
        sizes_of_rows = _participants(table)
        rank = np.where(np.isnan(sizes_of_rows), math.inf, -sizes_of_rows)
    elif rule == "preferred":
        rank = _preference(table, order)
    else:
        rank = {"first": place, "last": -place, "most_precise": vi}[rule]
    by_rank = np.lexsort((place, rank, unit))
    chosen = by_rank[np.r_[True, np.diff(unit[by_rank]) > 0]] if len(by_rank) else by_rank
    one = Units(trial[chosen], cell[chosen], yi[chosen], vi[chosen])
    return lambda _: one
