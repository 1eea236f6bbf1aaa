"""Effects that share participants, made into one effect for each trial."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import DataError, MetapeerError
from metapeer.pooling.models import read_effects

__all__ = ["average_within_trial"]

PARTICIPANTS = ("n1", "n2", "total1", "total2")


def average_within_trial(data: pd.DataFrame, *, rho: float, by: str | Sequence[str] = "study_id") -> pd.DataFrame:
    """Average the effects of each trial, with an assumed correlation between them.

    Parameters
    ----------
    data : DataFrame
        A table with ``study_id``, ``yi`` and ``vi`` or ``sei``, as `effect_size` returns it. Rows with an
        ``exclusion_reason`` are kept as they are and take no part.
    rho : float
        Assumed correlation between the sampling errors of two effects of one trial, from 0 to 1. One is cautious: the
        average is then no more precise than its parts. Zero treats the effects as if from different people.
    by : str or sequence of str, default "study_id"
        Columns whose values rows must share to be averaged; add a column to keep, say, classes of outcome apart.

    Returns
    -------
    DataFrame
        One row for each group in the order of first appearance, then the excluded rows. ``yi`` is the plain mean and
        ``vi = (sum(vi) + rho * sum over pairs of 2 sqrt(vi vj)) / m²``; ``averaged`` counts the effects. Other columns
        keep their value where the cells of the group that are filled agree; where they differ, words are joined by
        "; " and numbers are left out, but participants (n1, n2, total1, total2) are the largest of the group.

    Raises
    ------
    DataError
        If the table cannot be pooled.
    MetapeerError
        If `rho` is not between 0 and 1.

    References
    ----------
    Borenstein, Hedges, Higgins & Rothstein (2009), Introduction to Meta-Analysis, equation 24.4.

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
    if not 0.0 <= rho <= 1.0:
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
    indices = rows.groupby(columns, sort=False, dropna=False).indices.values()
    groups = [np.asarray(positions, dtype=np.intp) for positions in indices]
    merged = {name: _merge(name, rows[name], groups) for name in rows.columns.astype(str)}
    sei = np.sqrt(effects.vi)
    merged["yi"] = [float(effects.yi[group].mean()) for group in groups]
    merged["vi"] = [
        (rho * float(sei[group].sum()) ** 2 + (1.0 - rho) * float(effects.vi[group].sum())) / len(group) ** 2
        for group in groups
    ]
    if "sei" in merged:
        merged["sei"] = list(np.sqrt(merged["vi"]))
    result = pd.DataFrame(merged).assign(averaged=[len(group) for group in groups])
    if effects.excluded:
        excluded = data[data["exclusion_reason"].fillna("") != ""].assign(averaged=0)
        result = pd.concat([result, excluded], ignore_index=True)
    result.attrs.update(data.attrs)
    return result


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
