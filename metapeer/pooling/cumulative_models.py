"""The door to cumulative meta-analysis: the studies pooled one after the other, in any order."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import DataError, DataWarning, Fault, MetapeerError
from metapeer.formatting import count
from metapeer.pooling.cumulative_results import CumulativeResult
from metapeer.pooling.models import Effects, Model, meta_options, pool, read_effects

__all__ = ["cumulative"]


def cumulative(
    data: pd.DataFrame,
    *,
    order: str | ArrayLike = "year",
    descending: bool = False,
    together: bool = False,
    model: Model = "random",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    prediction_method: str | None = None,
    tau2_ci_method: str | None = None,
    level: float = 0.95,
    preset: str | None = None,
) -> CumulativeResult:
    """Pool the first study, the first two, the first three, and so on.

    A cumulative meta-analysis shows how the evidence grew. It is a description: looked at after every trial, a 5% test
    errs more often than in 5% (Lau, Schmid & Chalmers 1995), so that the first step whose interval excludes no effect
    is not the moment at which the effect was shown.

    Parameters
    ----------
    data : DataFrame
        Effects, as `effect_size` returns them. Rows with an ``exclusion_reason`` take no part.
    order : str or sequence, default "year"
        A column of `data`, or a value for each of its rows: numbers, or texts that sort. Rows with the same value keep
        the order of the table.
    descending : bool, default False
        Whether to begin with the largest value.
    together : bool, default False
        Whether rows with the same value enter in one step.
    model, tau2_method, ci_method, prediction_method, tau2_ci_method, level, preset
        As in `meta_analysis`.

    Returns
    -------
    CumulativeResult
        With a result for each step.

    Raises
    ------
    DataError
        If the table cannot be pooled, or a row has no value to be ordered by; every fault is listed.
    ChoiceError
        If an option is unknown.

    Warns
    -----
    DataWarning
        If several effects come from one trial, which are pooled as if independent.

    References
    ----------
    Lau, Schmid & Chalmers (1995), J Clin Epidemiol 48:45-57. Function ``cumul`` of metafor, Viechtbauer (2010), J Stat
    Softw 36(3):1-48.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"study_id": ["a", "b", "c"], "year": [2011, 2004, 2019],
    ...                       "yi": [0.3, 0.5, 0.1], "vi": [0.04, 0.09, 0.02]})
    >>> found = cumulative(table, ci_method="z")
    >>> found.to_frame()[["added", "k", "estimate", "ci_low"]].round(2)
      added  k  estimate  ci_low
    0     b  1      0.50   -0.09
    1     a  2      0.36    0.04
    2     c  3      0.21   -0.00
    """
    if not isinstance(data, pd.DataFrame):
        raise MetapeerError(f"data is a {type(data).__name__}; give a table of effects")
    options = meta_options(
        model=model,
        tau2_method=tau2_method,
        ci_method=ci_method,
        prediction_method=prediction_method,
        tau2_ci_method=tau2_ci_method,
        level=level,
        preset=preset,
    )
    place = "_cumulative_place"
    effects = read_effects(data.assign(**{place: range(len(data))}))
    rows = effects.data
    assert rows is not None  # noqa: S101  a table was given
    if not effects.yi.size:
        faults = [Fault(row=label, message=reason) for label, reason in effects.excluded]
        raise DataError("no effect can be pooled: the table", faults or ["has no rows"])
    name, values = _values(data, order, rows[place].to_numpy(), effects)
    ranks = pd.factorize(pd.Series(values), sort=True)[0]
    turned = ranks.max() - ranks if descending else ranks
    sequence = np.argsort(turned, kind="stable")
    effects = _without(effects.rows(sequence.tolist(), excluded=effects.excluded), place)
    ends = _ends(turned[sequence]) if together else list(range(1, effects.yi.size + 1))
    fits = tuple(
        pool(effects.rows(range(end), excluded=effects.excluded if end == ends[-1] else ()), **options, warn=False)
        for end in ends
    )
    starts = [0, *ends[:-1]]
    added = tuple(effects.labels[start:end] for start, end in zip(starts, ends, strict=True))
    shown = tuple(_shown(values[sequence[end - 1]]) for end in ends)
    if effects.trial_count < effects.yi.size:
        warnings.warn(
            f"{count(effects.yi.size, 'effect')} from {count(effects.trial_count, 'trial')} are pooled as if "
            "independent; effects that share participants make the intervals too narrow",
            DataWarning,
            stacklevel=2,
        )
    return CumulativeResult(
        order=name, descending=descending, values=shown, added=added, results=fits, level=fits[-1].level
    )


def _without(effects: Effects, column: str) -> Effects:
    assert effects.data is not None  # noqa: S101  a table was given
    return replace(effects, data=effects.data.drop(columns=column))


def _values(
    data: pd.DataFrame, order: str | ArrayLike, places: "np.typing.NDArray[np.int64]", effects: Effects
) -> tuple[str, list[object]]:
    """Take the values to order by, for the rows that are pooled."""
    source = str(data.attrs.get("source", "the table"))
    if isinstance(order, str):
        if order not in data:
            raise DataError(source, [f"there is no column {order!r} to order by; name another with order="])
        column, name = data[order], order
    else:
        if not isinstance(order, Sequence | np.ndarray | pd.Series) or len(order) != len(data):
            raise DataError(source, [f"order must have one value for each of the {count(len(data), 'row')}"])
        column, name = pd.Series(list(order)), "the order given"
    cells = [column.iloc[place] for place in places.tolist()]
    missing = [
        Fault(row=label, column=name, message="is empty; every row needs a value to be ordered by")
        for label, cell in zip(effects.labels, cells, strict=True)
        if pd.isna(cell) or (isinstance(cell, str) and not cell.strip())
    ]
    if missing:
        raise DataError(source, missing)
    kinds = {isinstance(cell, str) for cell in cells}
    if len(kinds) > 1:
        raise DataError(source, [Fault(column=name, message="holds numbers and texts; they cannot be ordered")])
    return name, cells


def _ends(ranks: "np.typing.NDArray[np.int64]") -> list[int]:
    return [*(np.flatnonzero(np.diff(ranks)) + 1).tolist(), int(ranks.size)]


def _shown(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, int | float | np.number) else str(value)
