"""Reading many sets of effects from a table or from matrices, with every fault named and none in the way of others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import DataError, Fault, MetapeerError
from metapeer.pooling.batch_sets import Sets, sets_from_matrix
from metapeer.pooling.models import LARGEST
from metapeer.pooling.weighted import FloatArray

__all__ = ["SetsRead", "as_faults", "sets_from_arrays", "sets_from_table"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SetsRead:
    """Sets with their names, and what is wrong with them.

    Parameters
    ----------
    groups : DataFrame of n rows
        What each set is called.
    sets : Sets
        Effects and variances, good or bad.
    faults : DataFrame
        ``set``, ``row``, ``line``, ``column``, ``message``; a set that is named here cannot be pooled.
    repeated : int, default 0
        Sets that hold several effects of one trial.
    """

    groups: pd.DataFrame
    sets: Sets
    faults: pd.DataFrame
    repeated: int = 0


def as_faults(faults: pd.DataFrame, groups: pd.DataFrame) -> list[Fault]:
    """Put faults in words, with the names of their groups.

    Parameters
    ----------
    faults, groups : DataFrame
        As in `SetsRead`.

    Returns
    -------
    list of Fault
        One for each row of `faults`.
    """
    named = []
    for row in faults.to_dict("records"):
        values = groups.iloc[int(row["set"])].to_dict()
        group = ", ".join(f"{name} {value}" for name, value in values.items())
        line = None if pd.isna(row["line"]) else int(row["line"])
        label = f"{group}, {row['row']}" if row["row"] else group
        named.append(Fault(row=label, line=line, column=row["column"] or None, message=str(row["message"])))
    return named


def _frame_of_faults(rows: list[tuple[int, str, float, str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["set", "row", "line", "column", "message"])
    return frame.astype({"set": np.intp, "line": np.float64}).sort_values("set", kind="stable", ignore_index=True)


def _bad_numbers(yi: FloatArray, spread: FloatArray, column: str) -> list[tuple[int, str, str]]:
    """List numbers that cannot be pooled: position, column, what is wrong."""
    least, most = (1.0 / LARGEST**2, LARGEST**2) if column == "vi" else (1.0 / LARGEST, LARGEST)
    what = "sampling variance" if column == "vi" else "standard error"
    found = []
    for i in np.flatnonzero(~(np.abs(yi) <= LARGEST)).tolist():
        value = float(yi[i])
        message = "is empty or no number" if np.isnan(value) else f"{value:g} is too large to compute with"
        found.append((i, "yi", message))
    for i in np.flatnonzero(~((spread >= least) & (spread <= most))).tolist():
        value = float(spread[i])
        if np.isnan(value):
            message = "is empty or no number"
        elif not (np.isfinite(value) and value > 0):
            message = f"{value:g} is not a {what}; it must be finite and > 0"
        else:
            message = f"{value:g} is too {'small' if value < least else 'large'} a {what} to compute with"
        found.append((i, column, message))
    return sorted(found)


def sets_from_table(data: pd.DataFrame, by: str | Sequence[str] | None) -> SetsRead:
    """Take sets from a table.

    Parameters
    ----------
    data : DataFrame
        As in `meta_analysis_batch`.
    by : str or sequence of str
        The columns that say which set a row belongs to.

    Returns
    -------
    SetsRead
        In the order of first appearance.

    Raises
    ------
    DataError
        If a column is missing, or a row belongs to no set.
    MetapeerError
        If no column is named.
    """
    source = str(data.attrs.get("source", "the table"))
    keys = [by] if isinstance(by, str) else list(by or ())
    if not keys:
        raise MetapeerError("by is missing; name the column whose values say which set a row belongs to")
    if len(set(keys)) < len(keys):
        raise MetapeerError(f"by names a column twice: {', '.join(keys)}")
    absent = [name for name in [*keys, "yi"] if name not in data]
    if "vi" not in data and "sei" not in data:
        absent.append("vi or sei")
    if absent:
        remedy = {
            "yi": "; compute effects with effect_size() first",
            "vi or sei": "; compute effects with effect_size() first",
        }
        raise DataError(source, [f"column {name} is missing{remedy.get(name, '')}" for name in absent])
    twice = sorted({str(name) for name in data.columns[data.columns.duplicated()]})
    if twice:
        raise DataError(source, [Fault(column=name, message="stands in the table more than once") for name in twice])
    used = data
    if "exclusion_reason" in data:
        reasons = data["exclusion_reason"]
        used = data[reasons.isna() | (reasons.astype(str).str.strip() == "")]
    empty = used[keys].isna().any(axis=1).to_numpy()
    if empty.any():
        places = np.flatnonzero(empty)[:200]
        raise DataError(
            source,
            [
                Fault(row=str(used.index[i]), message=f"{' or '.join(keys)} is empty; every row needs a set")
                for i in places
            ],
        )
    numbers = used.groupby(keys, sort=False, observed=True).ngroup().to_numpy(np.intp)
    together = bool((numbers[1:] >= numbers[:-1]).all())
    # A slice takes no copy, where rows of a set stand together as they come.
    order = slice(None) if together else np.argsort(numbers, kind="stable")
    number = numbers[order]
    n = int(number[-1]) + 1 if number.size else 0
    starts = np.searchsorted(number, np.arange(n + 1)).astype(np.intp)
    places = np.arange(numbers.size)[order]
    groups = used[keys].iloc[places[starts[:-1]]].reset_index(drop=True)
    column = "vi" if "vi" in used else "sei"
    yi, spread = (
        pd.to_numeric(used[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)[order]
        for name in ("yi", column)
    )
    studies = used["study_id"].astype("string").fillna("").to_numpy()[order] if "study_id" in used else None
    lines = used["line"].to_numpy()[order] if "line" in used else None
    rows = [
        (
            int(number[i]),
            str(studies[i]) if studies is not None else f"row {used.index[places[i]]}",
            float(lines[i]) if lines is not None else np.nan,
            name,
            message,
        )
        for i, name, message in _bad_numbers(yi, spread, column)
    ]
    for name in ("measure", "positive_favours"):
        if name in used and name not in keys:
            kinds = used[name].astype("string").fillna("").groupby(numbers).nunique().to_numpy()
            rows += [
                (int(i), "", np.nan, name, "rows of the set differ; a set must be of one kind")
                for i in np.flatnonzero(kinds > 1)
            ]
    repeated = 0
    if studies is not None:
        again = pd.DataFrame({"set": number, "study": studies})
        again = again[again["study"] != ""]
        repeated = int(again.loc[again.duplicated(), "set"].nunique())
    vi = spread if column == "vi" else spread**2
    return SetsRead(groups=groups, sets=Sets(yi, vi, starts), faults=_frame_of_faults(rows), repeated=repeated)


def _matrix(name: str, values: ArrayLike) -> FloatArray:
    """Return a matrix of floats, NaN where a masked array has no value."""
    try:
        array = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    except (TypeError, ValueError):
        raise DataError(name, ["must be numbers, a row for each set"]) from None
    if array.ndim != 2:
        raise DataError(name, [f"must have a row for each set, not shape {array.shape}"])
    return np.asarray(array)


def sets_from_arrays(
    yi: ArrayLike | None, vi: ArrayLike | None, sei: ArrayLike | None, mask: ArrayLike | None
) -> SetsRead:
    """Take sets from matrices.

    Parameters
    ----------
    yi, vi, sei, mask : array-like of shape (n, k)
        As in `meta_analysis_batch`.

    Returns
    -------
    SetsRead
        A set for each row.

    Raises
    ------
    DataError
        If something is not a matrix of numbers.
    MetapeerError
        If shapes differ, or numbers are missing.
    """
    if yi is None or (vi is None) == (sei is None):
        raise MetapeerError("give either vi (sampling variances) or sei (standard errors) with yi")
    column, given = ("vi", vi) if vi is not None else ("sei", sei)
    effects, spread = _matrix("yi", yi), _matrix(column, given if given is not None else ())
    if effects.shape != spread.shape:
        raise MetapeerError(f"yi has shape {effects.shape} and {column} has {spread.shape}; they must pair up")
    absent = np.isnan(effects) & np.isnan(spread)
    present = ~absent
    if mask is not None:
        wanted = np.asarray(mask)
        if wanted.shape != effects.shape or wanted.dtype != np.bool_:
            raise MetapeerError(f"mask must be True or False for each effect, in shape {effects.shape}")
        present = wanted
    everything = bool(present.all())
    sets = sets_from_matrix(effects, spread, None if everything else present)
    where = None if everything else np.flatnonzero(present.ravel())
    k = effects.shape[1]
    rows = []
    for i, name, message in _bad_numbers(sets.yi, sets.vi, column):
        cell = i if where is None else int(where[i])
        rows.append((cell // k, f"study {cell % k}", np.nan, name, message))
    if column == "sei":
        sets = Sets(sets.yi, sets.vi**2, sets.starts)
    lonely = np.flatnonzero(sets.sizes == 0)
    rows += [(int(i), "", np.nan, "", "has no study") for i in lonely]
    groups = pd.DataFrame({"set": np.arange(effects.shape[0])})
    return SetsRead(groups=groups, sets=sets, faults=_frame_of_faults(rows))
