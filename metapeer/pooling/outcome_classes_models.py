"""Ways to contrast cells of a table whose rows depend on one another: one working model, and simple alternatives.

A cell is a class of outcomes, a format of peer support, or one within the other; a contrast is a weighted sum of the
pooled effects of cells.
"""

import math
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from metapeer.errors import DataWarning, MetapeerError
from metapeer.formatting import count
from metapeer.pooling.covariance import SamplingCovariance
from metapeer.pooling.dependence import sampling_covariance
from metapeer.pooling.dependent import average_within_trial
from metapeer.pooling.intervals import t_quantile
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.multilevel_models import multilevel_meta_analysis
from metapeer.pooling.multilevel_results import MultilevelResult
from metapeer.pooling.outcome_classes_cells import (
    CELL,
    CLASS,
    CLASS_MODELS,
    FEW,
    MAXIMA,
    CellMean,
    Contrasted,
    Question,
    no_answer,
    one_line,
    sizes_of,
)
from metapeer.pooling.regression_models import meta_regression
from metapeer.pooling.robust_models import working_model_of
from metapeer.pooling.robust_sandwich import sandwich
from metapeer.pooling.robust_tests import FEWEST_DF
from metapeer.pooling.robust_wald import robust_linear

__all__ = ["CELL", "CLASS_MODELS", "CellMean", "Contrasted", "Question", "contrast_cells"]

Sampling = Callable[[], SamplingCovariance]

UNSEEN = 0.01
"""Share of the variance of a contrast that no residual tells, from which on the reader hears of it."""
MOSTLY_UNSEEN = 0.5
"""Where residuals tell less than half of the variance, an interval made from them is one in name only."""
VANISHED = 1e-6
"""A standard error below this share of the least that sampling alone makes it (sqrt(vi / k)) is rounding."""
ROUNDING = 1e-6
"""Degrees of freedom that rounding may take from a whole number."""


def _named(weights: Mapping[str, float]) -> dict[str, float]:
    """Coefficients of the cells, by the names that the design gives them."""
    return {f"{CELL}[{cell}]": weight for cell, weight in weights.items()}


def _means(rows: pd.DataFrame, table: Mapping[str, Mapping[Hashable, Any]], question: Question) -> tuple[CellMean, ...]:
    found = []
    for cell in question.weights:
        inside = rows[rows[CELL] == cell]
        row = table[f"{CELL}[{cell}]"]
        numbers = {name: float(row[name]) for name in ("estimate", "se", "df", "ci_low", "ci_high")}
        found.append(CellMean(cell=cell, k=len(inside), trials=inside["study_id"].nunique(), **numbers))
    return tuple(found)


def _put(
    rows: pd.DataFrame,
    question: Question,
    found: Mapping[Hashable, Any],
    *,
    spread: float = math.nan,
    table: Mapping[str, Mapping[Hashable, Any]] | None = None,
    note: str = "",
) -> Contrasted:
    """Make the answer from one row of numbers; `spread` is the variance of the difference in a new trial."""
    k, trials, both = sizes_of(rows, question)
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
        note=note,
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


def _robust(
    fit: MultilevelResult, question: Question
) -> tuple[dict[Hashable, Any], dict[str, dict[Hashable, Any]], str]:
    """The contrast and the cells with CR2 tests, trials as clusters, and what residuals do not tell of the contrast."""
    safe = sandwich(working_model_of(fit), fit.trial_of, method="CR2")
    weights = _named(question.weights)
    L = np.vstack([[weights.get(name, 0.0) for name in fit.names], np.eye(len(fit.names))])
    tests = robust_linear(safe, L, test="Satterthwaite", level=question.level)
    columns = {"estimate": tests.estimate, "se": tests.se, "df": tests.df}
    columns |= {"ci_low": tests.low, "ci_high": tests.high, "p_value": tests.p_value}
    rows: list[dict[Hashable, Any]] = [{name: values[i] for name, values in columns.items()} for i in range(len(L))]
    unseen = float(tests.alone[0])
    note = ""
    if unseen >= UNSEEN:
        alone = list(dict.fromkeys(name for name, _ in safe.alone))
        which = f"trial {alone[0]} alone decides" if len(alone) == 1 else f"single trials ({', '.join(alone)}) decide"
        note = f"{100 * unseen:.0f}% of the variance is of what {which}, and residuals do not show it"
    if unseen > MOSTLY_UNSEEN:
        raise MetapeerError(note)
    return rows[0], dict(zip(fit.names, rows[1:], strict=True)), note


def _multilevel(
    rows: pd.DataFrame,
    question: Question,
    *,
    random: tuple[str, ...],
    struct: str | None = None,
    V: Sampling | None = None,
) -> Contrasted:
    """Fit a multilevel model and contrast its cells: robustly where V is given, else as the model has it."""
    _check_size(rows, question)
    fit = multilevel_meta_analysis(
        rows,
        random=random,
        struct=struct,
        V=None if V is None else V(),
        formula=f"0 + {CELL}",
        level=question.level,
    )
    spread = _new_trial(fit, question) if question.within else math.nan
    if V is not None:
        contrast, table, note = _robust(fit, question)
    else:
        contrast = fit.contrast(_named(question.weights)).iloc[0].to_dict()
        table, note = _by_coefficient(fit.to_frame()), ""
    if fit.certificate.other_maxima:
        note = "; ".join(filter(None, (note, MAXIMA)))
    return _put(rows, question, contrast, spread=spread, table=table, note=note)


def _check_size(rows: pd.DataFrame, question: Question) -> None:
    if len(rows) <= len(question.weights):
        raise MetapeerError(f"{count(len(rows), 'effect')} for {len(question.weights)} means leave no residuals")


def _by_coefficient(frame: pd.DataFrame) -> dict[str, dict[Hashable, Any]]:
    return {str(row["coefficient"]): row for row in frame.to_dict("records")}


def _nested(rows: pd.DataFrame) -> tuple[str, ...]:
    """Trials, and rows within them where a trial has several."""
    return ("~ 1 | study_id/row",) if len(rows) > rows["study_id"].nunique() else ("~ 1 | study_id",)


def _che(rows: pd.DataFrame, question: Question, V: Sampling) -> Contrasted:
    return _multilevel(rows, question, random=_nested(rows), V=V)


def _multivariate(rows: pd.DataFrame, question: Question, V: Sampling) -> Contrasted:
    kind = CLASS if CLASS in rows else CELL
    names = list(dict.fromkeys(rows[kind]))
    if len(names) == 1:
        return _che(rows, question, V)  # one class has one random effect in each trial
    if not (rows.groupby("study_id")[kind].nunique() == len(names)).any():
        raise MetapeerError(
            f"no trial reports both {' and '.join(names)}, so that their random effects have no correlation to estimate"
        )
    random: tuple[str, ...] = (f"~ {kind} | study_id",)
    if rows.duplicated(["study_id", kind]).any():
        random += ("~ 1 | row",)  # without such rows it could not be told apart from the effects of classes
    return _multilevel(rows, question, random=random, struct="UN", V=V)


def _three_level(rows: pd.DataFrame, question: Question, _: Sampling) -> Contrasted:
    return _multilevel(rows, question, random=_nested(rows))


def _paired(rows: pd.DataFrame, question: Question, V: Sampling) -> Contrasted:
    """Average each cell within each trial, and pool the weighted sums of the trials that have all cells."""
    covariance = V()
    yi, cells = rows["yi"].to_numpy(np.float64), rows[CELL].to_numpy()
    differences, variances, names = [], [], []
    used: list[int] = []
    for trial, found_at in rows.groupby("study_id", sort=False).indices.items():
        positions = np.asarray(found_at, dtype=np.intp)
        own = cells[positions]
        if not all((own == cell).any() for cell in question.weights):
            continue
        c = np.zeros(len(positions))
        for cell, weight in question.weights.items():
            c[own == cell] = weight / (own == cell).sum()
        differences.append(float(c @ yi[positions]))
        variances.append(float(c @ covariance.rows(positions).to_dense() @ c))
        names.append(str(trial))
        used += positions.tolist()
    if len(differences) < 2:
        has = f"{count(len(differences), 'trial')} " + ("reports" if len(differences) == 1 else "report")
        raise MetapeerError(f"{has} all that is contrasted; two are needed")
    fit = meta_analysis(yi=differences, vi=variances, labels=names, level=question.level)
    found = {"estimate": fit.estimate, "se": fit.se, "df": fit.df, "p_value": fit.p_value}
    found |= {"ci_low": fit.ci.low, "ci_high": fit.ci.high}
    numbers: dict[Hashable, Any] = {name: math.nan if value is None else value for name, value in found.items()}
    return _put(rows.iloc[sorted(used)], question, numbers)


def _independent(rows: pd.DataFrame, question: Question, _: Sampling) -> Contrasted:
    _check_size(rows, question)
    fit = meta_regression(rows, formula=f"0 + {CELL}", level=question.level)
    found = fit.contrast(_named(question.weights)).iloc[0].to_dict()
    return _put(rows, question, found, table=_by_coefficient(fit.to_frame()))


def _averaged(rows: pd.DataFrame, question: Question, V: Sampling) -> Contrasted:
    return _independent(average_within_trial(rows, rho=question.rho, by=["study_id", CELL]), question, V)


def _one_row(rows: pd.DataFrame, question: Question, V: Sampling) -> Contrasted:
    best = rows.groupby(["study_id", CELL], sort=False)["vi"].idxmin()
    return _independent(rows.loc[sorted(best)], question, V)


_WAYS: dict[str, Callable[[pd.DataFrame, Question, Sampling], Contrasted]] = {
    "CHE": _che,
    "multivariate": _multivariate,
    "three_level": _three_level,
    "paired": _paired,
    "averaged": _averaged,
    "one_row": _one_row,
    "independent": _independent,
}


def contrast_cells(
    rows: pd.DataFrame, question: Question, *, model: str, V: SamplingCovariance | Sampling | None = None
) -> Contrasted:
    """Contrast cells by one of the ways of `CLASS_MODELS`.

    Parameters
    ----------
    rows : DataFrame
        Effects with ``study_id``, ``yi``, ``vi`` and the column `CELL`; rows of cells without a weight are not used.
        Where a cell is only a part of a class, the column `CLASS` names the class.
    question : Question
        What is contrasted.
    model : str
        One of `CLASS_MODELS`.
    V : SamplingCovariance or function without arguments, optional
        Covariance of the sampling errors of the rows of cells with a weight, or what makes it when it is needed; made
        from the rows when left out.

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
    chosen = rows[rows[CELL].isin(list(question.weights))].reset_index(drop=True)

    def sampling() -> SamplingCovariance:
        if V is not None:
            return V if isinstance(V, SamplingCovariance) else V()
        return sampling_covariance(
            chosen,
            rho=question.rho,
            comparisons=question.comparisons,  # type: ignore[arg-type]
            arm_sizes=question.arm_sizes,
        )

    absent = [cell for cell in question.weights if not (chosen[CELL] == cell).any()]
    if absent:
        return no_answer(chosen, question, f"no rows of {', '.join(absent)}")
    if chosen["study_id"].nunique() < 2:
        return no_answer(chosen, question, "one trial only")
    with warnings.catch_warnings():
        # What matters of what they say stands in the note.
        warnings.simplefilter("ignore", DataWarning)
        try:
            found = _WAYS[model](chosen, question, sampling)
        except MetapeerError as error:
            return no_answer(chosen, question, one_line(error))
    least = math.sqrt(float(chosen["vi"].min()) / len(chosen))
    if not found.se > VANISHED * least:
        return no_answer(chosen, question, "the effects agree so well that they leave no standard error")
    if found.df < FEWEST_DF - ROUNDING:
        few = f"{FEW} ({found.df:.2f})"
        return replace(found, note="; ".join(filter(None, (few, found.note))))
    return found
