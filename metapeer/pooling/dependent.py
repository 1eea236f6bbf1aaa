"""Effects that share participants, made into one effect for each trial."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import DataError, DataWarning, Fault, MetapeerError
from metapeer.pooling.covariance import SamplingCovariance
from metapeer.pooling.definiteness import definiteness_faults
from metapeer.pooling.dependence import read_covariance
from metapeer.pooling.models import Effects, read_effects
from metapeer.pooling.trial_pairs import listed
from metapeer.pooling.weighted import FloatArray

__all__ = ["average_within_trial"]

PARTICIPANTS = ("n1", "n2", "total1", "total2")


def average_within_trial(
    data: pd.DataFrame,
    *,
    rho: float | None = None,
    by: str | Sequence[str] = "study_id",
    V: SamplingCovariance | ArrayLike | Sequence[ArrayLike] | None = None,
    weighted: bool = False,
) -> pd.DataFrame:
    """Average the effects of each trial, with an assumed correlation between them.

    Parameters
    ----------
    data : DataFrame
        A table with ``study_id``, ``yi`` and ``vi`` or ``sei``, as `effect_size` returns it. Rows with an
        ``exclusion_reason`` are kept as they are and take no part.
    rho : float, optional
        Assumed correlation between the sampling errors of two effects of one trial, from 0 to 1. One is cautious: the
        average is then no more precise than its parts. Zero treats the effects as if from different people. Give this
        or `V`.
    by : str or sequence of str, default "study_id"
        Columns whose values rows must share to be averaged; add a column to keep, say, classes of outcome apart.
    V : SamplingCovariance, array or sequence of arrays, optional
        Covariance matrix of the sampling errors of the rows without an ``exclusion_reason``, in their order, as
        `sampling_covariance` makes it. Give this or `rho`.
    weighted : bool, default False
        Whether effects are weighted by the inverse of their covariance matrix, which makes the variance of the average
        as small as it can be if that matrix is right, but gives weights below zero to imprecise effects that are
        highly correlated with precise ones. Otherwise the plain mean is taken.

    Returns
    -------
    DataFrame
        One row for each group in the order of first appearance, then the excluded rows. ``yi`` is the plain mean and
        ``vi = (sum(vi) + rho * sum over pairs of 2 sqrt(vi vj)) / m²``, or with `V` the sum of all its cells over m².
        With `weighted`, ``yi = 1'V⁻¹y / 1'V⁻¹1`` and ``vi = 1 / 1'V⁻¹1``. ``averaged`` counts the effects. Others
        keep their value where the cells of the group that are filled agree; where they differ, words are joined by
        "; " and numbers are left out, but participants (n1, n2, total1, total2) are the largest of the group.

    Raises
    ------
    DataError
        If the table cannot be pooled, `V` does not fit it, or the effects of a group have a singular covariance matrix.
    MetapeerError
        If `rho` is not between 0 and 1, or not exactly one of `rho` and `V` is given.

    References
    ----------
    Borenstein, Hedges, Higgins & Rothstein (2009), Introduction to Meta-Analysis, equation 24.4.
    With `weighted`: Gleser & Olkin (2009), in The Handbook of Research Synthesis and Meta-Analysis, 2nd ed., 357-376,
    and function ``aggregate`` of metafor.

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer import average_within_trial
    >>> table = pd.DataFrame({"study_id": ["a", "a", "b"], "yi": [0.2, 0.4, 0.1], "vi": [0.04, 0.04, 0.02]})
    >>> average_within_trial(table, rho=0.5)[["study_id", "yi", "vi", "averaged"]].round(3)
      study_id   yi    vi  averaged
    0        a  0.3  0.03         2
    1        b  0.1  0.02         1
    """
    if (rho is None) == (V is None):
        raise MetapeerError("give either rho, one correlation for all, or V, the covariance of the sampling errors")
    if rho is not None and (isinstance(rho, bool) or not isinstance(rho, int | float | np.number) or not 0 <= rho <= 1):
        raise MetapeerError(f"rho {rho!r} is not a correlation between 0 and 1")
    columns = [by] if isinstance(by, str) else list(by)
    absent = [column for column in ["study_id", *columns] if column not in data]
    if absent:
        source = str(data.attrs.get("source", "the table"))
        raise DataError(
            source, [f"there is no column {column!r} to average within" for column in dict.fromkeys(absent)]
        )
    effects = read_effects(data)
    rows = effects.data
    assert rows is not None  # noqa: S101  a table was given
    nameless = [
        Fault(row=label, column="study_id", message="is empty; the trial must be known to average within it")
        for label, study in zip(effects.labels, rows["study_id"], strict=True)
        if pd.isna(study) or not str(study).strip()
    ]
    if nameless:
        raise DataError(str(data.attrs.get("source", "the table")), nameless)
    indices = rows.groupby(columns, sort=False, dropna=False).indices.values()
    groups = [np.asarray(positions, dtype=np.intp) for positions in indices]
    merged = {name: _merge(name, rows[name], groups) for name in rows.columns.astype(str)}
    if rho is not None and not weighted:
        sei = np.sqrt(effects.vi)
        merged["yi"] = [float(effects.yi[group].mean()) for group in groups]
        merged["vi"] = [
            (rho * float(sei[group].sum()) ** 2 + (1.0 - rho) * float(effects.vi[group].sum())) / len(group) ** 2
            for group in groups
        ]
    else:
        covariance = None if V is None else read_covariance(V, effects)
        merged["yi"], merged["vi"] = _averages(effects, groups, _matrices(effects, groups, rho, covariance), weighted)
    if "sei" in merged:
        merged["sei"] = list(np.sqrt(merged["vi"]))
    result = pd.DataFrame(merged).assign(averaged=[len(group) for group in groups])
    if effects.excluded:
        excluded = data[data["exclusion_reason"].fillna("") != ""].assign(averaged=0)
        result = pd.concat([result, excluded], ignore_index=True)
    result.attrs.update(data.attrs)
    return result


def _matrices(
    effects: Effects, groups: Sequence[NDArray[np.intp]], rho: float | None, covariance: SamplingCovariance | None
) -> list[FloatArray]:
    """Write out the covariance matrix of the rows of each group."""
    if covariance is None:
        sei = np.sqrt(effects.vi)
        found = [(0.0 if rho is None else rho) * np.outer(sei[group], sei[group]) for group in groups]
        for group, matrix in zip(groups, found, strict=True):
            np.fill_diagonal(matrix, effects.vi[group])
        return found
    owner, place = (np.empty(effects.yi.size, dtype=np.intp) for _ in range(2))
    for number, group in enumerate(groups):
        owner[group] = number
        place[group] = np.arange(group.size)
    found = [np.zeros((group.size, group.size)) for group in groups]
    for rows, matrix in covariance.blocks:
        for number in dict.fromkeys(owner[rows].tolist()):
            mine = np.flatnonzero(owner[rows] == number)
            here = place[rows[mine]]
            found[number][np.ix_(here, here)] = matrix[np.ix_(mine, mine)]
    return found


def _averages(
    effects: Effects, groups: Sequence[NDArray[np.intp]], matrices: Sequence[FloatArray], weighted: bool
) -> tuple[list[float], list[float]]:
    """Average the effects of each group, plainly or with the inverse of their covariance as weights."""
    if not weighted:
        means = [float(effects.yi[group].mean()) for group in groups]
        return means, [float(matrix.sum()) / len(matrix) ** 2 for matrix in matrices]
    faults = definiteness_faults(
        list(zip(groups, matrices, strict=True)),
        effects.labels,
        remedy="without an inverse there are no weights; give a lower rho, or weighted=False",
    )
    if faults:
        raise DataError("the covariance matrix V", faults)
    yi, vi, negative = [], [], []
    for group, matrix in zip(groups, matrices, strict=True):
        sei = np.sqrt(np.diagonal(matrix))
        weights = np.linalg.solve(matrix / np.outer(sei, sei), 1.0 / sei) / sei
        scale = float(weights.sum())
        yi.append(float(weights @ effects.yi[group]) / scale)
        vi.append(1.0 / scale)
        if weights.min() < 0.0:
            negative.append(effects.trials[group[0]])
    if negative:
        warnings.warn(
            f"{listed(negative)}: some effects have a weight below zero, so that the average may lie outside their "
            "range; with correlations that are assumed, the plain mean is safer (weighted=False)",
            DataWarning,
            stacklevel=3,
        )
    return yi, vi


def _merge(name: str, column: "pd.Series[Any]", groups: Sequence[NDArray[np.intp]]) -> list[Any]:
    """For each group the one value of a column, or what stands for several."""
    cells = column.tolist()
    numeric = pd.api.types.is_numeric_dtype(column)
    merged = []
    for group in groups:
        different = list(dict.fromkeys(cells[i] for i in group if not pd.isna(cells[i])))
        if len(different) == 1:
            merged.append(different[0])
        elif not different:
            merged.append(cells[group[0]])
        elif numeric:
            merged.append(max(different) if name in PARTICIPANTS else math.nan)
        else:
            merged.append("; ".join(str(value) for value in different if str(value)))
    return merged
