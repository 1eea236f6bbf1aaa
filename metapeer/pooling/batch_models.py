"""The door to many meta-analyses at once: a table with a column of groups, or arrays with a row for each set."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.batch_fit import BatchOptions, Engine, batch_options, fit_sets
from metapeer.pooling.batch_input import as_faults, sets_from_arrays, sets_from_table
from metapeer.pooling.batch_results import BatchResult
from metapeer.pooling.models import Model
from metapeer.pooling.weighted import FloatArray

if TYPE_CHECKING:
    from metapeer.pooling.batch_files import BatchFilesResult

__all__ = ["meta_analysis_batch"]


@overload
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
) -> BatchResult: ...


@overload
def meta_analysis_batch(
    data: str | Path | Iterable[str | Path],
    *,
    by: str | Sequence[str],
    output: str | Path,
    client: Any = None,
    retries: int = 3,
    model: Model = "random",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    prediction_method: str | None = None,
    level: float = 0.95,
    engine: Engine = "auto",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> "BatchFilesResult": ...


def meta_analysis_batch(
    data: Any = None,
    *,
    by: str | Sequence[str] | None = None,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    output: str | Path | None = None,
    client: Any = None,
    retries: int | None = None,
    model: Model = "random",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    prediction_method: str | None = None,
    level: float = 0.95,
    on_error: str = "report",
    engine: Engine = "auto",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """Pool many sets of effects, each by itself, as `meta_analysis` would pool it alone.

    Parameters
    ----------
    data : DataFrame, dask.dataframe.DataFrame, str, Path or list of these, optional
        A table with columns ``yi`` and ``vi`` or ``sei``, and the columns of `by`. Rows with an ``exclusion_reason``
        take no part. Or a Dask DataFrame of the same columns; or Parquet files of them: a folder, a pattern such as
        ``"effects/*.parquet"``, or a list, where each set lies within one file.
    by : str or sequence of str, optional
        The columns whose values say which set a row belongs to. Rows need not be sorted.
    yi, vi, sei : array-like of shape (n, k), optional
        Effects with their sampling variances or standard errors, a row for each set, instead of `data`. A study that a
        set has not is NaN in both.
    mask : array-like of bool of shape (n, k), optional
        True where a study takes part; wherever both numbers are there, when left out.
    output : str or Path, optional
        For Parquet files: a folder for the results, new, or that of the same run broken off, which goes on.
    client : distributed.Client, optional
        For Parquet files: a Dask cluster to work on; without it they are worked on one after the other.
    retries : int, optional
        For Parquet files: how often a file is tried again after a worker or a disk failed; 3 when left out.
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
    BatchResult, dask.dataframe.DataFrame or BatchFilesResult
        From a table or arrays a `BatchResult`, a row for each set, in the order of first appearance (a table) or of the
        arrays. From a Dask DataFrame another, not yet computed, with the columns of `BatchResult.to_frame` and
        ``problem``, which says why a set could not be pooled. From files a `BatchFilesResult`, whose files have these
        columns.

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
    if workers is not None and workers < 1:
        raise MetapeerError(f"workers {workers} is not a number of threads; give 1 or more")
    chosen: dict[str, Any] = {
        "model": model,
        "tau2_method": tau2_method,
        "ci_method": ci_method,
        "prediction_method": prediction_method,
        "level": level,
        "engine": engine,
    }
    if data is not None and not isinstance(data, pd.DataFrame):
        if any(value is not None for value in (vi, sei, mask)):
            raise MetapeerError("give either a table or yi with vi or sei, not both")
        return _elsewhere(data, by, output, client, retries, workers, progress, on_error, chosen)
    for name, value in (("output", output), ("client", client), ("retries", retries)):
        if value is not None:
            raise ChoiceError(f"{name} has no effect without Parquet files; leave it out")
    if data is not None:
        if vi is not None or sei is not None or mask is not None:
            raise MetapeerError("give either a table or yi with vi or sei, not both")
        read = sets_from_table(data, by)
    else:
        if by is not None:
            raise MetapeerError("by names columns of a table, but effects were given as arrays")
        read = sets_from_arrays(yi, vi, sei, mask)
    groups, faults = read.groups, read.faults
    options = batch_options(**chosen, sets=len(groups))
    if len(faults) and on_error == "raise":
        raise DataError("the sets", as_faults(faults, groups))
    able = np.ones(len(groups), dtype=np.bool_)
    able[faults["set"].to_numpy(np.intp)] = False
    columns = fit_sets(read.sets, options, chosen=able, workers=workers, progress=progress)
    doubts = _doubts(columns, able, faults, groups, read.repeated)
    for text in doubts:
        warnings.warn(text, DataWarning, stacklevel=2)
    return BatchResult(
        groups=groups, columns=columns, options=options, failed=int((~able).sum()), faults=faults, notes=tuple(doubts)
    )


def _elsewhere(
    data: Any,
    by: str | Sequence[str] | None,
    output: str | Path | None,
    client: Any,
    retries: int | None,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
    on_error: str,
    chosen: dict[str, Any],
) -> Any:
    """Pool the sets of a Dask DataFrame or of files, which are too many to be held."""
    keys = [by] if isinstance(by, str) else list(by or ())
    if not keys:
        raise MetapeerError("by is missing; name the column whose values say which set a row belongs to")
    if on_error != "report":
        raise ChoiceError("on_error='raise' is for tables and arrays; elsewhere a column problem reports what is wrong")
    options: BatchOptions = batch_options(**chosen, sets=10**9)
    if type(data).__module__.partition(".")[0].startswith("dask"):
        for name, value in (("output", output), ("client", client), ("retries", retries), ("progress", progress)):
            if value is not None:
                raise ChoiceError(f"{name} has no effect with a Dask DataFrame; leave it out")
        from metapeer.pooling.batch_files import fit_dask

        return fit_dask(data, by=keys, options=options)
    if not isinstance(data, str | Path | list | tuple):
        raise MetapeerError(
            f"data is a {type(data).__name__}; give a DataFrame, a Dask DataFrame or Parquet files, or arrays by name: "
            "yi=, vi="
        )
    if output is None:
        raise MetapeerError("output is missing; name a folder for the results")
    from metapeer.pooling.batch_files import fit_files

    return fit_files(
        data,
        by=keys,
        output=output,
        options=options,
        client=client,
        retries=3 if retries is None else retries,
        workers=workers,
        progress=progress,
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
        first = as_faults(faults.head(3), groups)
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
