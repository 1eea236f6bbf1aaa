"""The doors to influence diagnostics: what each study does to a pooled result or a meta-regression, and outliers."""

import math
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, ConvergenceError, MetapeerError, check_choice
from metapeer.formatting import count, format_level, format_number
from metapeer.pooling.heterogeneity import cochran_q
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.multilevel_results import MultilevelResult
from metapeer.pooling.regression import fit_regression, orthonormal
from metapeer.pooling.regression_results import MetaRegressionResult
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.tau2 import estimate_tau2
from metapeer.pooling.weighted import FloatArray, total
from metapeer.sensitivity.influence_clusters import ClusterInfluenceResult, influence_of_clusters
from metapeer.sensitivity.influence_diagnostics import Deleted, Fitted, diagnose, flags, hat_matrix_diagonal
from metapeer.sensitivity.influence_refits import effects_of, fit_of, options_of, refit, refit_fully
from metapeer.sensitivity.influence_results import POOLED_EFFECT, InfluenceResult, OutliersResult

__all__ = ["influence", "outliers"]

RULES = ("rstudent", "bonferroni", "ci", "influence")
_ALONE = 1e-10
"""A row whose leverage in the design is 1 up to this holds a coefficient by itself."""


@overload
def influence(fit: MultilevelResult, *, by: str | None = None) -> ClusterInfluenceResult: ...
@overload
def influence(
    fit: MetaAnalysisResult | MetaRegressionResult | pd.DataFrame | None = None, *, by: None = None, **options: Any
) -> InfluenceResult: ...
def influence(
    fit: MetaAnalysisResult | MetaRegressionResult | MultilevelResult | pd.DataFrame | None = None,
    *,
    by: str | None = None,
    **options: Any,
) -> InfluenceResult | ClusterInfluenceResult:
    """Ask what each study does to the result: the fit is repeated without it, by the fit's own options.

    Parameters
    ----------
    fit : MetaAnalysisResult, MetaRegressionResult, MultilevelResult or DataFrame, optional
        A fit, under random effects or a common effect, or a meta-regression; or a table of effects. Of a multilevel
        model each trial leaves with all of its rows.
    by : str, optional
        For a multilevel model: the column whose values leave together, instead of the trials.
    **options
        With a table: as `meta_analysis` takes them. Without one: ``yi`` and ``vi`` or ``sei`` as well. A fit has its
        own.

    Returns
    -------
    InfluenceResult or ClusterInfluenceResult
        Residuals, DFFITS, Cook's distance, covariance ratio, tau2 and QE without the study, hat, weight and DFBETAS,
        with metafor's cut-offs, and the plots of them. For a multilevel model, Cook's distance, DFBETAS, covariance
        ratio and residual of each cluster.

    Raises
    ------
    MetapeerError
        If too few studies are left when one is deleted, or the fit cannot be repeated from effects and variances.
    DataError
        If a table cannot be pooled.
    ConvergenceError
        If the estimator of tau2 finds no answer without some study; it is named.

    References
    ----------
    Viechtbauer & Cheung (2010), Res Synth Methods 1:112-125.

    Examples
    --------
    >>> from metapeer.sensitivity.influence_models import influence
    >>> found = influence(yi=[0.1, 0.3, 0.35, 0.2, 0.25, 1.4], vi=[0.03, 0.03, 0.05, 0.01, 0.05, 0.02])
    >>> found.to_frame()[["label", "rstudent", "cook_d", "is_influential"]].round(2)
      label  rstudent  cook_d  is_influential
    0     1     -0.71    0.11           False
    1     2     -0.28    0.02           False
    2     3     -0.17    0.01           False
    3     4     -0.51    0.07           False
    4     5     -0.37    0.03           False
    5     6      8.09    1.21            True
    """
    if isinstance(fit, MetaRegressionResult | MultilevelResult) and options:
        raise ChoiceError(f"{', '.join(sorted(options))}: no effect with a fit, which has its own options")
    if isinstance(fit, MultilevelResult):
        return influence_of_clusters(fit, by)
    if by is not None:
        raise ChoiceError("by belongs to multilevel models; leave_one_out(by=...) leaves out whole trials of any fit")
    if isinstance(fit, MetaRegressionResult):
        return _of_regression(fit)
    return _of_pooled(fit_of(fit, options, stacklevel=2))


def _of_pooled(fit: MetaAnalysisResult) -> InfluenceResult:
    k = fit.k
    least = 3 if fit.model == "random" else 2
    if k < least:
        why = ", and tau² cannot be estimated from one" if fit.model == "random" and k == 2 else ""
        raise MetapeerError(
            f"{count(k, 'study', 'studies')}: without one of them {count(k - 1, 'study is', 'studies are')} left{why}; "
            f"influence needs {least} or more"
        )
    effects, options = effects_of(fit), options_of(fit)
    inverse = fit.weighting == "inverse variance"
    beta, vb = np.empty((k, 1)), np.empty((k, 1, 1))
    tau2, scale, QE = np.empty(k), np.ones(k), np.empty(k)
    for i in range(k):
        left = refit(effects, options, np.array([i]), fit.labels[i])
        beta[i], vb[i], tau2[i], QE[i] = left.estimate, left.se**2, left.tau2, left.Q
        if inverse:
            # Whatever makes the fit's standard error larger or smaller than the classic one scales the yardstick too.
            scale[i] = left.se**2 * total(1.0 / (left.vi + left.tau2))
    whole = Fitted(
        yi=fit.yi,
        vi=fit.vi,
        X=np.ones((k, 1)),
        weights=fit.weights,
        inverse=inverse,
        beta=np.array([fit.estimate]),
        vb=np.array([[fit.se**2]]),
        tau2=fit.tau2,
    )
    deleted = Deleted(beta=beta, vb=vb, tau2=tau2, scale=scale, QE=QE)
    return _result(fit, whole, deleted, names=POOLED_EFFECT, tau2=fit.tau2, QE=fit.Q, notes=[])


def _of_regression(fit: MetaRegressionResult) -> InfluenceResult:
    yi, vi, X = fit.yi, fit.vi, fit.design.X
    k, p = X.shape
    if k - 1 <= p:
        raise MetapeerError(
            f"{count(k, 'study', 'studies')} and {count(p, 'coefficient')}: without one study no degree of freedom is "
            "left; use fewer moderators"
        )
    alone = hat_matrix_diagonal(X, np.ones(k)) > 1.0 - _ALONE
    beta, vb = np.full((k, p), math.nan), np.full((k, p, p), math.nan)
    tau2, scale, QE = np.full(k, math.nan), np.full(k, math.nan), np.full(k, math.nan)
    for i in np.flatnonzero(~alone).tolist():
        kept = np.arange(k) != i
        y, v, design = yi[kept], vi[kept], X[kept]
        basis = orthonormal(design)
        try:
            tau2[i] = estimate_tau2(y, v, fit.tau2_method, basis).tau2 if fit.model == "random" else 0.0
        except ConvergenceError as error:
            raise ConvergenceError(f"without {fit.labels[i]}: {error}") from error
        one = fit_regression(y, v, design, tau2=float(tau2[i]), method=fit.ci_method)
        beta[i], vb[i], QE[i] = one.beta, one.covariance, cochran_q(y, v, basis).Q
        scale[i] = {"HK": one.hk_q, "HK_se": max(1.0, one.hk_q)}.get(fit.ci_method, 1.0)
    notes = [
        f"{fit.labels[i]} cannot be left out: it holds a coefficient by itself" for i in np.flatnonzero(alone).tolist()
    ]
    whole = Fitted(
        yi=yi, vi=vi, X=X, weights=fit.weights, inverse=True, beta=fit.beta, vb=fit.covariance, tau2=fit.tau2
    )
    deleted = Deleted(beta=beta, vb=vb, tau2=tau2, scale=scale, QE=QE)
    return _result(fit, whole, deleted, names=fit.names, tau2=fit.tau2, QE=fit.QE, notes=notes)


def _result(
    fit: MetaAnalysisResult | MetaRegressionResult,
    whole: Fitted,
    deleted: Deleted,
    *,
    names: tuple[str, ...],
    tau2: float,
    QE: float,
    notes: list[str],
) -> InfluenceResult:
    found = diagnose(whole, deleted)
    beyond = flags(found)
    if not (np.diag(whole.vb) > 0).all():
        notes.append("a standard error of the fit is 0, so that changes cannot be told in standard errors")
    if fit.trials < fit.k:
        notes.append(
            f"{count(fit.k, 'effect')} from {count(fit.trials, 'trial')}: one row leaves at a time, and the others of "
            "its trial stay; leave_one_out(by='study_id') leaves out whole trials"
        )
    weights = fit.weights.copy()
    result = InfluenceResult(
        measure=fit.measure,
        model=fit.model,
        k=fit.k,
        names=names,
        labels=fit.labels,
        tau2_method=fit.tau2_method,
        ci_method=fit.ci_method,
        level=fit.level,
        tau2=tau2,
        QE=QE,
        rstandard=found.rstandard,
        rstudent=found.rstudent,
        dffits=found.dffits,
        cook_d=found.cook_d,
        cov_r=found.cov_r,
        tau2_del=deleted.tau2,
        QE_del=deleted.QE,
        hat=found.hat,
        weight=weights,
        dfbetas=found.dfbetas,
        baujat_x=found.baujat_x,
        baujat_y=found.baujat_y,
        beyond=tuple(tuple(name for name, flag in beyond.items() if flag[i]) for i in range(fit.k)),
        notes=tuple(notes),
    )
    for array in result.arrays():
        array.setflags(write=False)
    return result


def _beyond_rstudent(fit: MetaAnalysisResult, tail_shares: int) -> tuple[NDArray[np.bool_], FloatArray, float]:
    limit = normal_quantile(1.0 - (1.0 - fit.level) / tail_shares)
    z = influence(fit).rstudent
    return np.abs(z) > limit, z, limit


def outliers(
    fit: MetaAnalysisResult | pd.DataFrame | None = None, *, rule: str = "rstudent", **options: Any
) -> OutliersResult:
    """Find the studies that a rule calls outlying or influential, and pool the others.

    A rule makes a choice repeatable; it does not make it right. A study is left out for what is wrong with it, and its
    effect is no such thing: report the result with and without.

    Parameters
    ----------
    fit : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects.
    rule : {"rstudent", "bonferroni", "ci", "influence"}, default "rstudent"
        "rstudent": the studentised residual from the fit without the study lies beyond the quantiles of the normal
        distribution, at 95% beyond ±1.96, which one study in twenty does by chance. "bonferroni": the same, with the
        error shared among all studies. "ci": the study's interval and the pooled interval have no value in common.
        "influence": the study is beyond a cut-off of `influence`.
    **options
        With a table: as `meta_analysis` takes them. Without one: ``yi`` and ``vi`` or ``sei`` as well. A fit has its
        own.

    Returns
    -------
    OutliersResult
        Their labels, and the result without them.

    Raises
    ------
    ChoiceError
        If the rule is unknown.
    MetapeerError
        If there are too few studies, or the fit cannot be repeated from effects and variances.

    References
    ----------
    Viechtbauer & Cheung (2010), Res Synth Methods 1:112-125 (residuals); Harrer, Cuijpers, Furukawa & Ebert (2021),
    Doing Meta-Analysis with R, section 5.4 (intervals).

    Examples
    --------
    >>> from metapeer.sensitivity.influence_models import outliers
    >>> found = outliers(yi=[0.1, 0.3, 0.35, 0.2, 0.25, 1.4], vi=[0.03, 0.03, 0.05, 0.01, 0.05, 0.02])
    >>> found.labels, round(found.fit.estimate, 2), round(found.without.estimate, 2)
    (('6',), 0.44, 0.22)
    """
    check_choice("rule", rule, RULES)
    whole = fit_of(fit, options, stacklevel=2)
    level = format_level(whole.level)
    if rule in ("rstudent", "bonferroni"):
        outlying, values, limit = _beyond_rstudent(whole, whole.k if rule == "bonferroni" else 1)
        shared = f", the error shared among {count(whole.k, 'study', 'studies')}" if rule == "bonferroni" else ""
        words = f"studentised residual beyond ±{format_number(limit, 2)} ({level} of a normal distribution{shared})"
    elif rule == "ci":
        half = normal_quantile(whole.level) * np.sqrt(whole.vi)
        values = np.maximum(whole.yi - half - whole.ci.high, whole.ci.low - whole.yi - half)
        outlying = values > 0
        words = f"{level} interval of the study apart from that of the pooled effect"
    else:
        diagnostics = influence(whole)
        outlying, values = diagnostics.is_influential, diagnostics.cook_d
        words = "beyond a cut-off of metafor's influence()"
    rows = np.flatnonzero(outlying)
    rest = None
    if 0 < rows.size < whole.k:
        rest = refit_fully(effects_of(whole), options_of(whole), rows)
    return OutliersResult(
        rule=rule,
        words=words,
        labels=tuple(whole.labels[i] for i in rows.tolist()),
        rows=tuple(rows.tolist()),
        values=tuple(values[rows].tolist()),
        fit=whole,
        without=whole if not rows.size else rest,
    )
