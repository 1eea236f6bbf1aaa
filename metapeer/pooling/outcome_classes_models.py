"""Ways to contrast cells of a table whose rows depend on one another: one working model, and simple alternatives.

A cell is a class of outcomes, a format of peer support, or one within the other; a contrast is a weighted sum of the
pooled effects of cells.
"""

import math
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from metapeer.errors import DataError, DataWarning, MetapeerError
from metapeer.pooling.dependence import sampling_covariance
from metapeer.pooling.dependent import average_within_trial
from metapeer.pooling.intervals import t_quantile
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.multilevel_models import multilevel_meta_analysis
from metapeer.pooling.multilevel_results import MultilevelResult
from metapeer.pooling.regression_models import meta_regression
from metapeer.pooling.robust_models import cluster_robust
from metapeer.pooling.robust_tests import FEWEST_DF

__all__ = ["CELL", "CLASS_MODELS", "CellMean", "Contrasted", "Question", "contrast_cells"]

CELL = "_cell"
CLASS_MODELS = {
    "CHE": "correlated and hierarchical effects, cluster-robust CR2",
    "multivariate": "a random effect for each class in each trial, correlated; cluster-robust CR2",
    "three_level": "three levels, sampling errors independent; model-based t",
    "paired": "differences within the trials that report both, REML and Hartung-Knapp",
    "averaged": "one average for each trial and class, as independent; REML and Hartung-Knapp",
    "one_row": "the most precise row for each trial and class, as independent; REML and Hartung-Knapp",
    "independent": "all rows as independent, REML and Hartung-Knapp",
}
"""How a contrast is estimated, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMean:
    """Pooled effect of one cell.

    Parameters
    ----------
    cell : str
        The cell.
    estimate, se, df, ci_low, ci_high : float
        Its pooled effect with its interval.
    k, trials : int
        Rows and trials.
    """

    cell: str
    estimate: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    k: int
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasted:
    """A contrast of cells.

    Parameters
    ----------
    estimate, se, df, ci_low, ci_high, p_value : float
        The weighted sum of pooled effects, with its interval and test.
    pi_low, pi_high : float
        Where the difference between the true effects of one row of each cell in a new trial may lie; NaN where the
        model says nothing of it.
    k, trials, both : int
        Rows, trials, and trials with rows in cells of weights of both signs.
    means : tuple of CellMean
        The pooled effects that were contrasted.
    note : str
        What is doubtful; or why there is no estimate.
    """

    estimate: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    p_value: float
    pi_low: float
    pi_high: float
    k: int
    trials: int
    both: int
    means: tuple[CellMean, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is contrasted, and what is assumed.

    Parameters
    ----------
    weights : mapping of str to float
        Weight of each cell.
    rho : float
        Correlation of the sampling errors of two measurements of the same people.
    comparisons, arm_sizes : str
        As in `sampling_covariance`.
    level : float
        Of the intervals.
    within : bool
        Whether the cells are found within trials, so that a difference within a new trial has a meaning.
    """

    weights: Mapping[str, float]
    rho: float
    comparisons: str
    arm_sizes: str
    level: float
    within: bool

    def ends(self, first: bool) -> list[str]:
        """Cells of positive weight, or of negative weight.

        Parameters
        ----------
        first : bool
            Which of the two.

        Returns
        -------
        list of str
            The cells.
        """
        return [cell for cell, weight in self.weights.items() if (weight > 0) == first]


def _named(names: tuple[str, ...], weights: Mapping[str, float]) -> dict[str, float]:
    """Coefficients of the cells, by the names that the design gives them."""
    return {next(name for name in names if name.endswith(f"[{cell}]")): weight for cell, weight in weights.items()}


def _sizes(rows: pd.DataFrame, question: Question) -> tuple[int, int, int]:
    trials = [set(rows.loc[rows[CELL].isin(question.ends(first)), "study_id"].astype(str)) for first in (True, False)]
    return len(rows), rows["study_id"].nunique(), len(trials[0] & trials[1])


def _means(rows: pd.DataFrame, table: pd.DataFrame, question: Question) -> tuple[CellMean, ...]:
    found = []
    for cell in question.weights:
        row = next(row for row in table.to_dict("records") if str(row["coefficient"]).endswith(f"[{cell}]"))
        inside = rows[rows[CELL] == cell]
        numbers = {name: float(row[name]) for name in ("estimate", "se", "df", "ci_low", "ci_high")}
        found.append(CellMean(cell=cell, k=len(inside), trials=inside["study_id"].nunique(), **numbers))
    return tuple(found)


def _put(
    rows: pd.DataFrame, question: Question, found: Mapping[Hashable, Any], *, spread: float, table: pd.DataFrame | None
) -> Contrasted:
    """Make the answer from one row of numbers; `spread` is the variance of the difference in a new trial."""
    k, trials, both = _sizes(rows, question)
    numbers = {name: float(found[name]) for name in ("estimate", "se", "df", "ci_low", "ci_high", "p_value")}
    df = numbers["df"]
    half = math.nan
    if question.within and math.isfinite(spread) and df > 0:
        half = t_quantile(question.level, df) * math.sqrt(numbers["se"] ** 2 + spread)
    return Contrasted(
        **numbers,
        pi_low=numbers["estimate"] - half,
        pi_high=numbers["estimate"] + half,
        k=k,
        trials=trials,
        both=both,
        means=() if table is None else _means(rows, table, question),
        note="",
    )


def _new_trial(fit: MultilevelResult, question: Question) -> float:
    """Variance of the weighted sum of the true effects of one row of each cell in one trial."""
    total = 0.0
    cells = list(question.weights)
    weights = np.array(list(question.weights.values()))
    for term, G in zip(fit.random, fit.fit.matrices(), strict=True):
        if term.inner:
            at = [term.levels.index(cell) for cell in cells]
            total += float(weights @ G[np.ix_(at, at)] @ weights)
        elif term.groups == fit.k:
            total += float(G[0, 0] * (weights @ weights))
        else:
            total += float(G[0, 0]) * float(weights.sum()) ** 2
    return total


def _multilevel(
    rows: pd.DataFrame,
    question: Question,
    *,
    random: tuple[str, ...],
    struct: str | None = None,
    dependent: bool = True,
    robust: bool = True,
) -> Contrasted:
    V = None
    if dependent:
        V = sampling_covariance(
            rows,
            rho=question.rho,
            comparisons=question.comparisons,  # type: ignore[arg-type]
            arm_sizes=question.arm_sizes,
        )
    fit = multilevel_meta_analysis(rows, random=random, struct=struct, V=V, formula=f"0 + {CELL}", level=question.level)
    weights = _named(fit.names, question.weights)
    spread = _new_trial(fit, question)
    if not robust:
        return _put(rows, question, fit.contrast(weights).iloc[0].to_dict(), spread=spread, table=fit.to_frame())
    safe = cluster_robust(fit)
    return _put(rows, question, safe.contrast(weights).iloc[0].to_dict(), spread=spread, table=safe.to_frame())


def _nested(rows: pd.DataFrame) -> tuple[str, ...]:
    """Trials, and rows within them where a trial has several."""
    return ("~ 1 | study_id/row",) if len(rows) > rows["study_id"].nunique() else ("~ 1 | study_id",)


def _che(rows: pd.DataFrame, question: Question) -> Contrasted:
    return _multilevel(rows, question, random=_nested(rows))


def _multivariate(rows: pd.DataFrame, question: Question) -> Contrasted:
    random = (f"~ {CELL} | study_id", "~ 1 | row")
    return _multilevel(rows, question, random=random, struct="UN")


def _three_level(rows: pd.DataFrame, question: Question) -> Contrasted:
    return _multilevel(rows, question, random=_nested(rows), dependent=False, robust=False)


def _paired(rows: pd.DataFrame, question: Question) -> Contrasted:
    """Average each cell within each trial, and pool the weighted sums of the trials that have all cells."""
    V = sampling_covariance(
        rows,
        rho=question.rho,
        comparisons=question.comparisons,  # type: ignore[arg-type]
        arm_sizes=question.arm_sizes,
    )
    yi, cells = rows["yi"].to_numpy(np.float64), rows[CELL].to_numpy()
    differences, variances, names = [], [], []
    used: list[int] = []
    for trial, found_at in rows.reset_index(drop=True).groupby("study_id", sort=False).indices.items():
        positions = np.asarray(found_at, dtype=np.intp)
        own = cells[positions]
        if not all((own == cell).any() for cell in question.weights):
            continue
        c = np.zeros(len(positions))
        for cell, weight in question.weights.items():
            c[own == cell] = weight / (own == cell).sum()
        differences.append(float(c @ yi[positions]))
        variances.append(float(c @ V.rows(positions).to_dense() @ c))
        names.append(str(trial))
        used += positions.tolist()
    if len(differences) < 2:
        raise MetapeerError(f"{len(differences)} of the trials report all that is contrasted; two are needed")
    fit = meta_analysis(yi=differences, vi=variances, labels=names, level=question.level)
    found = {"estimate": fit.estimate, "se": fit.se, "df": fit.df, "p_value": fit.p_value}
    found |= {"ci_low": fit.ci.low, "ci_high": fit.ci.high}
    numbers: dict[Hashable, Any] = {name: math.nan if value is None else value for name, value in found.items()}
    return _put(rows.iloc[sorted(used)], question, numbers, spread=math.nan, table=None)


def _as_independent(rows: pd.DataFrame, question: Question) -> Contrasted:
    fit = meta_regression(rows, formula=f"0 + {CELL}", level=question.level)
    found = fit.contrast(_named(fit.names, question.weights)).iloc[0].to_dict()
    return _put(rows, question, found, spread=math.nan, table=fit.to_frame())


def _averaged(rows: pd.DataFrame, question: Question) -> Contrasted:
    return _as_independent(average_within_trial(rows, rho=question.rho, by=["study_id", CELL]), question)


def _one_row(rows: pd.DataFrame, question: Question) -> Contrasted:
    best = rows.reset_index(drop=True).groupby(["study_id", CELL], sort=False)["vi"].idxmin()
    return _as_independent(rows.reset_index(drop=True).loc[sorted(best)], question)


_WAYS: dict[str, Callable[[pd.DataFrame, Question], Contrasted]] = {
    "CHE": _che,
    "multivariate": _multivariate,
    "three_level": _three_level,
    "paired": _paired,
    "averaged": _averaged,
    "one_row": _one_row,
    "independent": _as_independent,
}


def _nothing(rows: pd.DataFrame, question: Question, note: str) -> Contrasted:
    k, trials, both = _sizes(rows, question)
    blank = math.nan
    return Contrasted(
        estimate=blank, se=blank, df=blank, ci_low=blank, ci_high=blank, p_value=blank, pi_low=blank, pi_high=blank,
        k=k, trials=trials, both=both, means=(), note=note,
    )  # fmt: skip


def contrast_cells(rows: pd.DataFrame, question: Question, *, model: str) -> Contrasted:
    """Contrast cells by one of the ways of `CLASS_MODELS`.

    Parameters
    ----------
    rows : DataFrame
        Effects with ``study_id``, ``yi``, ``vi`` and the column `CELL`; rows of cells without a weight are not used.
    question : Question
        What is contrasted.
    model : str
        One of `CLASS_MODELS`.

    Returns
    -------
    Contrasted
        The contrast, or the reason why these rows cannot answer.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"study_id": list("aabbccdd"), "vi": [0.02] * 8, CELL: ["p", "c"] * 4,
    ...                      "yi": [0.3, 0.1, 0.5, 0.2, 0.1, 0.1, 0.4, 0.0]})
    >>> asked = Question(weights={"p": 1.0, "c": -1.0}, rho=0.6, comparisons="shared_control", arm_sizes="needed",
    ...                  level=0.95, within=True)
    >>> found = contrast_cells(rows, asked, model="paired")
    >>> round(found.estimate, 3), found.both
    (0.225, 4)
    """
    chosen = rows[rows[CELL].isin(list(question.weights))]
    absent = [cell for cell in question.weights if not (chosen[CELL] == cell).any()]
    if absent:
        return _nothing(chosen, question, f"no rows of {', '.join(absent)}")
    if chosen["study_id"].nunique() < 2:
        return _nothing(chosen, question, "one trial only")
    with warnings.catch_warnings():
        # What they say stands in the note, or in the result of the model itself.
        warnings.simplefilter("ignore", DataWarning)
        try:
            found = _WAYS[model](chosen, question)
        except DataError:
            raise
        except MetapeerError as error:
            return _nothing(chosen, question, str(error))
    few = found.df < FEWEST_DF
    return (
        replace(found, note=f"{found.df:.1f} degrees of freedom: p value and interval not trustworthy")
        if few
        else found
    )
