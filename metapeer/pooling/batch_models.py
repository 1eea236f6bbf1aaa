"""The door to many meta-analyses at once: a table with a column of groups, or arrays with a row for each set."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import DataError, DataWarning, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.batch_fit import Engine, batch_options, fit_sets
from metapeer.pooling.batch_results import BatchResult
from metapeer.pooling.batch_sets import Sets, sets_from_matrix
from metapeer.pooling.models import LARGEST, Model
from metapeer.pooling.weighted import FloatArray

__all__ = ["meta_analysis_batch"]


def meta_analysis_batch(
    data: pd.DataFrame | None = None,
    *,
    by: str | Sequence[str] | None = None,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    model: Model = "random",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    prediction_method: str | None = None,
    level: float = 0.95,
    on_error: str = "report",
    engine: Engine = "auto",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BatchResult:
    """Pool many sets of effects, each by itself, as `meta_analysis` would pool it alone.

    Parameters
    ----------
    data : DataFrame, optional
        A table with columns ``yi`` and ``vi`` or ``sei``, and the columns of `by`. Rows with an ``exclusion_reason``
        take no part.
    by : str or sequence of str, optional
        The columns whose values say which set a row belongs to. Rows need not be sorted.
    yi, vi, sei : array-like of shape (n, k), optional
        Effects with their sampling variances or standard errors, a row for each set, instead of `data`. A study that a
        set has not is NaN in both.
    mask : array-like of bool of shape (n, k), optional
        True where a study takes part; wherever both numbers are there, when left out.
    model, tau2_method, ci_method, prediction_method, level
        As in `meta_analysis`, with the same defaults. Of the intervals those are made that need no exact distribution
        and no likelihood of the mean: z, t, HK, HK_se, HK_ci, HK_IQWiG6; of the predictions V, HTS, HK, HK-PR and S.
    on_error : {"report", "raise"}, default "report"
        What to do with sets that cannot be pooled: report them, with NaN for their numbers, and pool the others, or
        pool none.
    engine : {"auto", "numpy", "numba"}, default "auto"
        What searches the likelihoods of REML and ML. "auto" is numba for 20,000 sets or more where that is installed.
        Results agree to rounding.
    workers : int, optional
        Threads for the numba engine; as many as there are cores when left out.
    progress : callable, optional
        Called now and then with how many sets are done, and how many there are.

    Returns
    -------
    BatchResult
        A row for each set, in the order of first appearance (a table) or of the arrays.

    Raises
    ------
    DataError
        If the table or the arrays are of the wrong shape, or with ``on_error="raise"`` if any set cannot be pooled;
        every fault is listed.
    ChoiceError
        If an option is unknown, has no effect with the others, or is one that only single fits have.

    Warns
    -----
    DataWarning
        If sets could not be pooled, if sets hold several effects of one trial, if Hartung-Knapp intervals collapse, or
        if likelihoods of tau2 have several maxima.

    References
    ----------
    As for `meta_analysis`: the numbers are the same, to about 1e-13.

    Examples
    --------
    >>> table = pd.DataFrame({"gene": ["a", "a", "b", "b", "b"], "yi": [0.1, 0.5, 0.2, 0.3, 0.9],
    ...                       "vi": [0.02, 0.03, 0.02, 0.03, 0.04]})
    >>> found = meta_analysis_batch(table, by="gene", ci_method="z")
    >>> found.to_frame()[["gene", "k", "estimate", "ci_low", "ci_high", "tau2"]].round(3)
      gene  k  estimate  ci_low  ci_high   tau2
    0    a  2     0.288  -0.104    0.679  0.055
    1    b  3     0.450   0.034    0.865  0.105
    """
    check_choice("on_error", on_error, ("report", "raise"))
    if (data is None) == (yi is None):
        raise MetapeerError("give either a table and by=, or yi with vi or sei")
    if data is not None:
        if not isinstance(data, pd.DataFrame):
            raise MetapeerError(f"data is a {type(data).__name__}, not a DataFrame; pass arrays by name: yi=, vi=")
        if vi is not None or sei is not None or mask is not None:
            raise MetapeerError("give either a table or yi with vi or sei, not both")
        groups, sets, faults, repeated = _from_table(data, by)
    else:
        if by is not None:
            raise MetapeerError("by names columns of a table, but effects were given as arrays")
        groups, sets, faults = _from_arrays(yi, vi, sei, mask)
        repeated = 0
    options = batch_options(
        model=model,
        tau2_method=tau2_method,
        ci_method=ci_method,
        prediction_method=prediction_method,
        level=level,
        engine=engine,
        sets=len(groups),
    )
    if len(faults) and on_error == "raise":
        raise DataError("the sets", _as_faults(faults, groups))
    able = np.ones(len(groups), dtype=np.bool_)
    able[faults["set"].to_numpy(np.intp)] = False
    columns = fit_sets(sets, options, chosen=able, workers=workers, progress=progress)
    doubts = _doubts(columns, able, faults, groups, repeated)
    for text in doubts:
        warnings.warn(text, DataWarning, stacklevel=2)
    return BatchResult(
        groups=groups, columns=columns, options=options, failed=int((~able).sum()), faults=faults, notes=tuple(doubts)
    )


def _doubts(
    columns: dict[str, FloatArray],
    able: NDArray[np.bool_],
    faults: pd.DataFrame,
    groups: pd.DataFrame,
    repeated: int,
) -> list[str]:
    """Say in words what a reader of the numbers must know."""
    doubts = []
    if len(faults):
        first = _as_faults(faults.head(3), groups)
        more = "" if len(faults) <= len(first) else f"; and {len(faults) - len(first):,} more, see .faults"
        shown = "; ".join(str(fault) for fault in first)
        doubts.append(f"{count(int((~able).sum()), 'set')} could not be pooled: {shown}{more}")
    if repeated:
        doubts.append(
            f"{count(repeated, 'set')} with several effects of one trial, pooled as if independent: "
            "effects that share participants make the intervals too narrow"
        )
    narrow = int(np.nansum(columns["narrow"]))
    if narrow:
        doubts.append(
            f"{count(narrow, 'set')} with a Hartung-Knapp interval narrower than the common-effect interval; compare "
            "ci_method='HK_se', 'HK_ci' or 'HK_IQWiG6'"
        )
    several = int(np.nansum(columns["other_maxima"] > 0))
    if several:
        doubts.append(f"{count(several, 'set')} with several maxima of the likelihood of tau²; the highest was taken")
    open_ = int(np.nansum(columns["certified"] == 0))
    if open_:
        doubts.append(f"{count(open_, 'set')} for which it is not proved that the highest maximum was found")
    return doubts


def _as_faults(faults: pd.DataFrame, groups: pd.DataFrame) -> list[Fault]:
    """Put faults in words, with the names of their groups."""
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


def _from_table(data: pd.DataFrame, by: str | Sequence[str] | None) -> tuple[pd.DataFrame, Sets, pd.DataFrame, int]:
    """Take sets from a table: names of the groups, effects, faults, and how many sets repeat a trial."""
    source = str(data.attrs.get("source", "the table"))
    keys = [by] if isinstance(by, str) else list(by or ())
    if not keys:
        raise MetapeerError("by is missing; name the column whose values say which set a row belongs to")
    absent = [name for name in [*keys, "yi"] if name not in data]
    if "vi" not in data and "sei" not in data:
        absent.append("vi or sei")
    if absent:
        raise DataError(source, [f"column {name} is missing" for name in absent])
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
    order = np.argsort(numbers, kind="stable")
    number = numbers[order]
    n = int(number[-1]) + 1 if number.size else 0
    starts = np.searchsorted(number, np.arange(n + 1)).astype(np.intp)
    groups = used[keys].iloc[order[starts[:-1]]].reset_index(drop=True)
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
            str(studies[i]) if studies is not None else f"row {used.index[order[i]]}",
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
    return groups, Sets(yi, vi, starts), _frame_of_faults(rows), repeated


def _matrix(name: str, values: ArrayLike) -> FloatArray:
    """Return a matrix of floats, NaN where a masked array has no value."""
    try:
        array = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    except (TypeError, ValueError):
        raise DataError(name, ["must be numbers, a row for each set"]) from None
    if array.ndim != 2:
        raise DataError(name, [f"must have a row for each set, not shape {array.shape}"])
    return np.asarray(array)


def _from_arrays(
    yi: ArrayLike | None, vi: ArrayLike | None, sei: ArrayLike | None, mask: ArrayLike | None
) -> tuple[pd.DataFrame, Sets, pd.DataFrame]:
    """Take sets from matrices."""
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
    return pd.DataFrame({"set": np.arange(effects.shape[0])}), sets, _frame_of_faults(rows)
