"""Regression of effects on a chosen measure of precision: predictors, clusters, models, and the result's words."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.models import Notes
from metapeer.pooling.regression import REGRESSION_CI_METHODS
from metapeer.pooling.results import measure_of
from metapeer.pooling.robust_models import unnamed_trials
from metapeer.pooling.robust_sandwich import VCOV
from metapeer.pooling.tau2 import TAU2_METHODS
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.asymmetry_data import StudyEffects, arm_sizes
from metapeer.sensitivity.asymmetry_lines import Line, fit_line
from metapeer.sensitivity.asymmetry_results import AsymmetryTestResult, line_result

__all__ = ["PREDICTORS", "build_test", "clusters_of", "in_percent", "predictor_values", "regress"]

PREDICTORS = {
    "sei": "standard error",
    "vi": "variance",
    "ni": "number of participants",
    "ninv": "inverse of the number of participants",
    "sqrtni": "root of the number of participants",
    "sqrtninv": "inverse root of the number of participants",
    "modified_sei": "sqrt(1/n1 + 1/n2)",
    "modified_vi": "1/n1 + 1/n2",
}
"""What precision may be measured by, as metafor codes it, and Pustejovsky and Rodgers's modified standard error
(its square serves PEESE)."""

GROWING = ("ni", "sqrtni")
"""Predictors that grow with the study: the intercept is then no limit."""

WORKING_MODELS = ("lm", "rma")


def predictor_values(given: StudyEffects, predictor: str) -> FloatArray:
    """Measure the precision of each study.

    Parameters
    ----------
    given : StudyEffects
        From `read_studies`.
    predictor : str
        One of `PREDICTORS`.

    Returns
    -------
    array of shape (k,)
        The predictor.

    Raises
    ------
    DataError
        If it needs numbers of participants that the table has not.
    """
    if predictor == "vi":
        return np.array(given.effects.vi)
    if predictor == "sei":
        return np.sqrt(given.effects.vi)
    if predictor == "modified_sei":
        n1, n2 = arm_sizes(given)
        return np.sqrt(1.0 / n1 + 1.0 / n2)
    n = _participants(given)
    return {"ni": n, "ninv": 1.0 / n, "sqrtni": np.sqrt(n), "sqrtninv": 1.0 / np.sqrt(n)}[predictor]


def _participants(given: StudyEffects) -> FloatArray:
    """Participants of each study: a column ni or n, or the sum of the arms."""
    frame = given.effects.data
    column = next((name for name in ("ni", "n") if frame is not None and name in frame), None)
    if frame is None or column is None:
        n1, n2 = arm_sizes(given)
        return n1 + n2
    numbers = pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    faults = [
        Fault(row=given.effects.labels[i], column=column, message="is not a number of participants above 0")
        for i in np.flatnonzero(~(np.isfinite(numbers) & (numbers > 0))).tolist()
    ]
    if faults:
        raise DataError(given.source, faults)
    return np.asarray(numbers)


def clusters_of(given: StudyEffects, cluster: str | Sequence[Any] | None, vcov: str | None) -> tuple[str, ...] | None:
    """Cluster of each effect, if standard errors are to be robust.

    Parameters
    ----------
    given : StudyEffects
        From `read_studies`.
    cluster : str or sequence or None
        A column, a cluster for each effect, or None for the trials.
    vcov : str or None
        The correction for few clusters; None for standard errors of the model.

    Returns
    -------
    tuple of str or None
        The clusters; None for standard errors of the model.

    Raises
    ------
    DataError
        If an effect has no cluster; every fault is listed.
    ChoiceError
        If `vcov` is unknown, or `cluster` has no effect without it.
    """
    if vcov is None:
        if cluster is not None:
            raise ChoiceError("cluster has no effect without vcov; give vcov='CR2'")
        return None
    check_choice("vcov", vcov, VCOV)
    effects = given.effects
    if cluster is None:
        faults = unnamed_trials(effects.data, effects.labels)
        if faults:
            raise DataError(given.source, faults)
        return effects.trials or tuple(str(i) for i in range(given.k))
    if isinstance(cluster, str):
        if effects.data is None or cluster not in effects.data:
            raise DataError(given.source, [f"has no column {cluster!r} to take clusters from"])
        cells: Sequence[Any] = effects.data[cluster].tolist()
    else:
        if not isinstance(cluster, Sequence | np.ndarray | pd.Series):
            raise MetapeerError(f"cluster must be a column or a cluster for each effect, not {cluster!r}")
        cells = list(cluster)
    if len(cells) != given.k:
        raise DataError(given.source, [f"cluster names {count(len(cells), 'row')}; {given.k} effects are used"])
    missing = [
        Fault(row=label, message="its cluster is missing")
        for label, cell in zip(effects.labels, cells, strict=True)
        if pd.isna(cell) or not str(cell).strip()
    ]
    if missing:
        raise DataError(given.source, missing)
    return tuple(map(str, cells))


def regress(
    given: StudyEffects,
    x: FloatArray,
    *,
    model: str,
    tau2_method: str | None,
    ci_method: str | None,
    clusters: Sequence[str] | None,
    vcov: str | None,
    level: float,
) -> tuple[Line, str, str]:
    """Regress effects on a predictor, with the options of the fit where they are left out.

    Parameters
    ----------
    given : StudyEffects
        From `read_studies`.
    x : array of shape (k,)
        The predictor.
    model : {"lm", "rma"}
        Multiplicative or additive errors.
    tau2_method, ci_method : str or None
        For additive errors.
    clusters, vcov
        From `clusters_of`.
    level : float
        Of the intervals.

    Returns
    -------
    line : Line
        The line.
    words : str
        What it assumes.
    tau2_method : str
        The estimator that was used; empty where there is no tau2.
    """
    check_choice("model", model, WORKING_MODELS)
    yi, vi = given.effects.yi, given.effects.vi
    robust = "" if clusters is None else f"; {vcov} with {len(set(clusters))} clusters and Satterthwaite df"
    if model == "lm":
        for name, value in (("tau2_method", tau2_method), ("ci_method", ci_method)):
            if value is not None:
                raise ChoiceError(f"{name} has no effect with model='lm', whose errors are multiplicative")
        line = fit_line(yi, vi, x, level=level, clusters=clusters, vcov=vcov or "CR2")
        words = "weights 1/vi" if robust else f"multiplicative errors: weights 1/vi, factor {line.dispersion:.3g}"
        return line, words + robust, ""
    fit = given.fit
    common = fit is not None and fit.model == "common" and tau2_method is None
    if clusters is not None and ci_method is not None:
        raise ChoiceError("ci_method has no effect with vcov, which brings its own t tests")
    method = ci_method or ("z" if common else "HK")
    if ci_method is None and fit is not None and fit.ci_method in REGRESSION_CI_METHODS:
        method = fit.ci_method
    check_choice("ci_method", method, REGRESSION_CI_METHODS)
    if common:
        line = fit_line(yi, vi, x, method=method, level=level, clusters=clusters, vcov=vcov or "CR2")
        return line, "common-effect errors: weights 1/vi" + (robust or f"; {REGRESSION_CI_METHODS[method]} tests"), ""
    estimator = tau2_method or (fit.tau2_method if fit is not None else "REML") or "REML"
    check_choice("tau2_method", estimator, TAU2_METHODS)
    line = fit_line(yi, vi, x, tau2_method=estimator, method=method, level=level, clusters=clusters, vcov=vcov or "CR2")
    words = "additive errors: weights 1/(vi + tau²)" + (robust or f"; {REGRESSION_CI_METHODS[method]} tests")
    return line, words, estimator


def in_percent(weights: FloatArray) -> FloatArray:
    """Scale weights to a sum of 100.

    Parameters
    ----------
    weights : array of shape (k,)
        Any positive numbers.

    Returns
    -------
    array of shape (k,)
        Shares in per cent.
    """
    return 100.0 * weights / float(weights.sum())


def _effect_words(measure: str) -> str:
    scale = measure_of(measure).scale
    return f"{'' if scale == 'identity' else scale + ' '}{measure or 'effect'}"


def build_test(
    given: StudyEffects,
    line: Line,
    x: FloatArray,
    name: str,
    predictor: str,
    words: str,
    estimator: str,
    level: float,
    notes: Notes,
) -> AsymmetryTestResult:
    """Wrap a regression of effects on a predictor.

    Parameters
    ----------
    given : StudyEffects
        The effects.
    line : Line
        The regression.
    x : array of shape (k,)
        The predictor.
    name : str
        Whose test it is.
    predictor : str
        Code of the predictor.
    words, estimator : str
        From `regress`.
    level : float
        Of the intervals.
    notes : Notes
        What a reader must know.

    Returns
    -------
    AsymmetryTestResult
        The result.
    """
    if float(line.se[1]) == 0.0:
        notes.say("effects lie on the line exactly: nothing is left to test it by")
    elif math.isnan(line.tau2) and line.dispersion < 1.0:
        notes.say(
            f"the factor {line.dispersion:.3g} is below 1: effects lie nearer to the line than their sampling errors "
            "let expect, and multiplicative errors shrink the standard errors accordingly"
        )
    effects = given.effects
    tau2 = 0.0 if math.isnan(line.tau2) else line.tau2
    weights = in_percent(1.0 / (effects.vi + tau2))
    for array in (x, weights):
        array.setflags(write=False)
    return line_result(
        line,
        given=given,
        shrinks=predictor not in GROWING,
        level=level,
        words=words,
        test=name,
        formula=f"{_effect_words(effects.measure)} on {PREDICTORS[predictor]}",
        measure=effects.measure,
        k=given.k,
        trials=effects.trial_count,
        predictor=predictor,
        tau2_method=estimator,
        labels=effects.labels,
        yi=effects.yi,
        x=x,
        weights=weights,
        excluded=effects.excluded,
        notes=tuple(notes.said),
    )
