"""Effects for a selection model, taken from a fit, a table or arrays."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError, check_choice
from metapeer.pooling.design import INTERCEPT
from metapeer.pooling.intervals import check_level
from metapeer.pooling.models import meta_analysis, read_effects
from metapeer.pooling.regression_models import prepare
from metapeer.pooling.regression_results import MetaRegressionResult
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray

__all__ = ["SelectionInput", "imprecision", "read_selection_input"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectionInput:
    """Effects with their design, whichever way they were handed over.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and sampling variances.
    X : array of shape (k, p)
        Design of the mean.
    names, formula
        The coefficients, and the moderators as a formula.
    labels, measure, positive_favours, model, level, excluded, data
        As in `MetaAnalysisResult`.
    trials : int
        Different trials.
    """

    yi: FloatArray
    vi: FloatArray
    X: FloatArray
    names: tuple[str, ...]
    formula: str
    labels: tuple[str, ...]
    measure: str
    positive_favours: str
    trials: int
    model: str
    level: float
    excluded: tuple[tuple[str, str], ...]
    data: pd.DataFrame | None


def _of_fit(fit: MetaAnalysisResult | MetaRegressionResult, level: float | None) -> SelectionInput:
    return SelectionInput(
        yi=np.array(fit.yi),
        vi=np.array(fit.vi),
        X=np.array(fit.design.X) if isinstance(fit, MetaRegressionResult) else np.ones((fit.k, 1)),
        names=fit.names if isinstance(fit, MetaRegressionResult) else (INTERCEPT,),
        formula=fit.formula if isinstance(fit, MetaRegressionResult) else "",
        labels=fit.labels,
        measure=fit.measure,
        positive_favours=fit.positive_favours,
        trials=fit.trials,
        model=fit.model,
        level=fit.level if level is None else check_level(level),
        excluded=fit.excluded,
        data=fit.data,
    )


def _of_table(
    data: pd.DataFrame,
    *,
    moderators: str | Sequence[str] | None,
    formula: str | None,
    reference: Mapping[str, str] | None,
    labels: str | Sequence[str] | None,
    measure: str | None,
    model: str,
    level: float,
) -> SelectionInput:
    if moderators is None and formula is None:
        if reference is not None:
            raise ChoiceError("reference has no effect without moderators; leave it out")
        effects = read_effects(data, labels=labels, measure=measure)
        names: tuple[str, ...] = (INTERCEPT,)
        X, words = np.ones((effects.yi.size, 1)), ""
    else:
        ready = prepare(
            data, [("moderators", moderators, formula)], reference=reference, labels=labels, measure=measure
        )
        (design,) = ready.designs
        effects, X, names, words = ready.effects, design.X, design.names, design.words
    return SelectionInput(
        yi=effects.yi,
        vi=effects.vi,
        X=X,
        names=names,
        formula=words,
        labels=effects.labels,
        measure=effects.measure,
        positive_favours=effects.positive_favours,
        trials=effects.trial_count,
        model=model,
        level=level,
        excluded=effects.excluded,
        data=effects.data,
    )


def read_selection_input(
    data: object,
    arrays: dict[str, ArrayLike | None],
    *,
    labels: str | Sequence[str] | None,
    measure: str | None,
    moderators: str | Sequence[str] | None,
    formula: str | None,
    reference: Mapping[str, str] | None,
    model: str | None,
    level: float | None,
) -> SelectionInput:
    """Take effects from a fit, a table or arrays.

    Parameters
    ----------
    data
        A fit, a table or None.
    arrays : dict
        ``yi``, ``vi`` and ``sei``, None where they were not given.
    labels, measure, moderators, formula, reference, model, level
        As in `selection_model`.

    Returns
    -------
    SelectionInput
        Checked.

    Raises
    ------
    DataError
        If the effects cannot be used.
    ChoiceError
        If an option has no effect with what was given.
    """
    if model is not None:
        check_choice("model", model, ("random", "common"))
    if isinstance(data, MetaAnalysisResult | MetaRegressionResult):
        others = {
            **arrays, "labels": labels, "measure": measure, "moderators": moderators, "formula": formula,
            "reference": reference, "model": model,
        }  # fmt: skip
        for name, value in others.items():
            if value is not None:
                raise ChoiceError(f"{name} has no effect with a fit, which brings its own; leave it out")
        if isinstance(data, MetaAnalysisResult) and data.weighting in ("Mantel-Haenszel", "Peto"):
            raise MetapeerError(
                f"the fit was pooled by {data.weighting}; give one of effects and variances, from meta_analysis()"
            )
        return _of_fit(data, level)
    chosen, wanted = model or "random", check_level(0.95 if level is None else level)
    if data is not None and not isinstance(data, pd.DataFrame):
        raise MetapeerError(
            f"data is a {type(data).__name__}; give a fit of meta_analysis() or meta_regression(), a table of effects, "
            "or arrays by name: selection_model(yi=..., vi=...)"
        )
    if data is not None:
        if any(value is not None for value in arrays.values()):
            raise MetapeerError("give either a table or yi with vi or sei, not both")
        return _of_table(
            data,
            moderators=moderators,
            formula=formula,
            reference=reference,
            labels=labels,
            measure=measure,
            model=chosen,
            level=wanted,
        )
    if moderators is not None or formula is not None or reference is not None:
        raise MetapeerError("moderators are columns of a table; give a table of effects")
    with warnings.catch_warnings():
        # What this model has to say of the effects it says itself.
        warnings.simplefilter("ignore", DataWarning)
        plain = meta_analysis(
            yi=arrays["yi"], vi=arrays["vi"], sei=arrays["sei"], labels=labels, measure=measure, model="common"
        )
    given = _of_fit(plain, wanted)
    return replace(given, model=chosen)


def imprecision(given: SelectionInput, prec: str) -> FloatArray | None:
    """Imprecision of each study, 1 for the least precise.

    Parameters
    ----------
    given : SelectionInput
        The effects.
    prec : str
        As in `selection_model`; empty when there is none.

    Returns
    -------
    array of shape (k,) or None
        In parts of the largest.

    Raises
    ------
    DataError
        If sample sizes are asked for and missing.
    """
    if not prec:
        return None
    if prec in ("sei", "vi"):
        values = given.vi if prec == "vi" else np.sqrt(given.vi)
        return np.asarray(values / values.max())
    sizes = np.full(given.yi.size, np.nan)
    for pair in (("n1", "n2"), ("total1", "total2")):
        if given.data is not None and set(pair) <= set(given.data.columns):
            one, two = (
                pd.to_numeric(given.data[name], errors="coerce").to_numpy(np.float64, na_value=np.nan) for name in pair
            )
            sizes = np.where(np.isnan(sizes), one + two, sizes)
    missing = [label for label, size in zip(given.labels, sizes, strict=True) if not size > 0]
    if missing:
        raise DataError(
            "the effects", [f"prec={prec!r} needs n1 and n2 of every row; {name} has none" for name in missing]
        )
    values = 1.0 / sizes if prec == "ninv" else 1.0 / np.sqrt(sizes)
    return np.asarray(values / values.max())
