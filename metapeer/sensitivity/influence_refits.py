"""The fits that influence is measured by: a meta-analysis repeated without some of its rows, by its own options."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, ConvergenceError, DataError, Fault, MetapeerError
from metapeer.pooling.models import Effects, MetaOptions, meta_analysis, pool
from metapeer.pooling.multilevel_results import MultilevelResult
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.tau2 import estimate_tau2

__all__ = ["effects_of", "fit_of", "groups_of", "options_of", "refit", "refit_fully"]

REFITTED = ("inverse variance", "common-effect weights")
"""Ways to combine studies that need nothing but effects and their variances."""


def fit_of(data: object, options: Mapping[str, Any], *, stacklevel: int) -> MetaAnalysisResult:
    """Take a fit as it is, or make one from a table or arrays.

    Parameters
    ----------
    data : MetaAnalysisResult, DataFrame or None
        What the caller was given.
    options : mapping
        Arguments of `meta_analysis`; none with a fit, which has its own.
    stacklevel : int
        For the warnings of the fit, seen from the caller.

    Returns
    -------
    MetaAnalysisResult
        A fit that can be repeated without some of its rows.

    Raises
    ------
    ChoiceError
        If an option comes with a fit.
    MetapeerError
        If `data` is something else, or the fit rests on more than effects and their variances.
    """
    if isinstance(data, MetaAnalysisResult):
        if options:
            names = ", ".join(sorted(options))
            raise ChoiceError(f"{names}: no effect with a fit, which is repeated by its own options; give its table")
        fit = data
    elif data is None or isinstance(data, pd.DataFrame):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = meta_analysis(data, **options)
        for one in caught:
            warnings.warn(str(one.message), one.category, stacklevel=stacklevel + 1)
    else:
        raise MetapeerError(
            f"this is a {type(data).__name__}; give a result of meta_analysis(), a table of effects, or yi= with vi= "
            "or sei="
        )
    if fit.weighting not in REFITTED:
        raise MetapeerError(
            f"this fit combines studies otherwise ({fit.weighting}) and cannot be repeated from effects and variances; "
            "give the table of effects"
        )
    if fit.model == "random" and fit.k > 1 and fit.tau2_ci is None:
        raise MetapeerError(
            "this fit takes its tau² from elsewhere, such as from other subgroups; give its own table of effects"
        )
    return fit


def options_of(fit: MetaAnalysisResult) -> MetaOptions:
    """Say how a fit was made.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The fit.

    Returns
    -------
    MetaOptions
        As `pool` takes them; where a correction was asked for and not defined, that of what was done instead.

    Examples
    --------
    >>> fit = meta_analysis(yi=[0.1, 0.3, 0.8], vi=[0.02, 0.03, 0.04], tau2_method="PM")
    >>> options_of(fit)["tau2_method"], options_of(fit)["ci_method"], options_of(fit)["prediction_method"]
    ('PM', 'HK', 'HK')
    """
    return {
        "model": fit.model,
        "tau2_method": fit.tau2_method,
        "ci_method": fit.ci_method,
        "prediction_method": fit.prediction_method or None,
        "tau2_ci_method": "QP",
        "level": fit.level,
        "preset": "",
    }


def effects_of(fit: MetaAnalysisResult) -> Effects:
    """Take back from a fit the effects that were pooled.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The fit.

    Returns
    -------
    Effects
        Its rows, with their trials.
    """
    trials = fit.labels
    if fit.data is not None and "study_id" in fit.data:
        cells = fit.data["study_id"]
        named = ["" if pd.isna(cell) else str(cell) for cell in cells]
        trials = tuple(named) if all(named) else fit.labels
    return Effects(
        yi=fit.yi,
        vi=fit.vi,
        labels=fit.labels,
        measure=fit.measure,
        positive_favours=fit.positive_favours,
        trials=trials,
        data=fit.data,
        excluded=fit.excluded,
    )


def groups_of(
    fit: MetaAnalysisResult | MultilevelResult, by: str | None
) -> tuple[tuple[str, ...], tuple[NDArray[np.intp], ...]]:
    """Part the rows of a fit into those that leave together.

    Parameters
    ----------
    fit : MetaAnalysisResult or MultilevelResult
        The fit.
    by : str or None
        A column of its table. None for every row by itself, and for the trials of a multilevel model.

    Returns
    -------
    names : tuple of str
        What each group is called, in the order of the table.
    rows : tuple of array of int
        Positions of its rows.

    Raises
    ------
    DataError
        If there is no such column, or a row has no value in it.
    """
    if by is None and isinstance(fit, MultilevelResult) and fit.trial_of:
        return _parted(fit.trial_of)
    if by is None:
        return fit.labels, tuple(np.array([i], dtype=np.intp) for i in range(fit.k))
    if not isinstance(by, str):
        raise ChoiceError(f"by must name a column of the table, such as 'study_id', not {by!r}")
    if fit.data is None:
        raise MetapeerError(f"effects given as arrays have no column {by!r}; give a table of effects")
    source = str(fit.data.attrs.get("source", "the table"))
    if by not in fit.data:
        raise DataError(source, [f"there is no column {by!r} to leave rows out by"])
    cells = ["" if pd.isna(cell) else str(cell).strip() for cell in fit.data[by]]
    missing = [
        Fault(row=label, column=by, message="is empty; every row needs a value")
        for label, cell in zip(fit.labels, cells, strict=True)
        if not cell
    ]
    if missing:
        raise DataError(source, missing)
    return _parted(cells)


def _parted(cells: Sequence[str]) -> tuple[tuple[str, ...], tuple[NDArray[np.intp], ...]]:
    """Different values in the order they come, and the positions of each."""
    names = tuple(dict.fromkeys(cells))
    place = {name: i for i, name in enumerate(names)}
    codes = np.array([place[cell] for cell in cells])
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    return names, tuple(part.astype(np.intp) for part in parts)


def _kept(effects: Effects, out: Sequence[int] | NDArray[np.intp]) -> NDArray[np.bool_]:
    kept = np.ones(effects.yi.size, dtype=np.bool_)
    kept[np.asarray(out, dtype=np.intp)] = False
    return kept


def refit(effects: Effects, options: MetaOptions, out: NDArray[np.intp], name: str) -> MetaAnalysisResult:
    """Pool what is left without some rows, leaving aside what a row of a table of refits does not show.

    Parameters
    ----------
    effects : Effects
        All rows.
    options : MetaOptions
        How.
    out : array of int
        Positions of the rows to leave out.
    name : str
        What they are called, for errors.

    Returns
    -------
    MetaAnalysisResult
        Every number equal to that of `meta_analysis` on the other rows, but without an interval for tau2 and I², and
        without the table.

    Raises
    ------
    ConvergenceError
        If the estimator finds no answer without those rows.
    """
    kept = _kept(effects, out)
    if out.size == 1:  # slices of a tuple are faster than picking
        i = int(out[0])
        labels, trials = effects.labels[:i] + effects.labels[i + 1 :], effects.trials[:i] + effects.trials[i + 1 :]
    else:
        chosen = np.flatnonzero(kept).tolist()
        labels = tuple(effects.labels[i] for i in chosen)
        trials = tuple(effects.trials[i] for i in chosen)
    left = Effects(
        yi=effects.yi[kept],
        vi=effects.vi[kept],
        labels=labels,
        measure=effects.measure,
        positive_favours=effects.positive_favours,
        trials=trials,
    )
    try:
        many = options["model"] == "random" and left.yi.size > 1
        tau2 = estimate_tau2(left.yi, left.vi, options["tau2_method"]) if many else None
        return pool(left, **options, tau2=tau2, warn=False)
    except ConvergenceError as error:
        raise ConvergenceError(f"without {name}: {error}") from error


def refit_fully(effects: Effects, options: MetaOptions, out: NDArray[np.intp]) -> MetaAnalysisResult:
    """Pool what is left without some rows, with everything that a result has.

    Parameters
    ----------
    effects : Effects
        All rows.
    options : MetaOptions
        How.
    out : array of int
        Positions of the rows to leave out.

    Returns
    -------
    MetaAnalysisResult
        As `meta_analysis` gives it for the other rows.
    """
    left = effects.rows(np.flatnonzero(_kept(effects, out)).tolist(), excluded=effects.excluded)
    return pool(left, **options, warn=False)
