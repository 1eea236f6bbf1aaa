"""The door to generalised linear mixed models: a table of counts in, a `GlmmResult` out."""

import math
import warnings
from typing import Literal

import pandas as pd

from metapeer.effects.measures import MEASURES
from metapeer.errors import ChoiceError, DataError, DataWarning, check_choice
from metapeer.pooling.count_data import CountData, read_counts
from metapeer.pooling.count_results import GlmmResult
from metapeer.pooling.glmm import GlmmFit, fit_glmm
from metapeer.pooling.glmm_designs import build_model, heterogeneity
from metapeer.pooling.glmm_saturated import random_level_heterogeneity
from metapeer.pooling.heterogeneity import cochran_q, h2_from_tau2, i2_from_h2
from metapeer.pooling.inference import infer
from metapeer.pooling.intervals import check_level, chi2_tail
from metapeer.pooling.prediction import prediction_interval

__all__ = ["GLMM_MEASURES", "GLMM_MODELS", "boundary_test", "glmm_meta_analysis"]

GLMM_MEASURES = ("OR", "IRR", "PLO", "IRLN")
GLMM_MODELS = {
    "UM.FS": "unconditional, fixed study effects",
    "UM.RS": "unconditional, random study effects",
    "CM.EL": "conditional, exact likelihood",
    "CM.AL": "conditional, approximate likelihood",
}
_ONE_GROUP = {"PLO": "binomial-normal", "IRLN": "Poisson-normal"}
_PREDICTIONS = ("V", "HTS", "S")


def boundary_test(variance: float, log_likelihood: float, at_boundary: float) -> tuple[float, float]:
    """Likelihood ratio test that a variance is zero.

    Parameters
    ----------
    variance : float
        Its estimate.
    log_likelihood, at_boundary : float
        At the maximum, and at the largest with the variance at zero.

    Returns
    -------
    statistic, p_value : float
        The p value is half that of chi-squared with one degree of freedom, because a variance cannot be negative; 1
        when the maximum lies on the boundary.

    References
    ----------
    Self & Liang (1987), Journal of the American Statistical Association 82:605-610.

    Examples
    --------
    >>> statistic, p = boundary_test(0.3, -10.0, -11.352772)
    >>> round(statistic, 4), round(p, 4)
    (2.7055, 0.05)
    """
    if variance == 0.0:
        return 0.0, 1.0
    statistic = max(0.0, 2.0 * (log_likelihood - at_boundary))
    return statistic, 0.5 * chi2_tail(statistic, 1)


def _choose_model(measure: str, model: str | None) -> str:
    if measure in _ONE_GROUP:
        if model is not None:
            raise ChoiceError(f"model has no effect on {measure}, which has one group; leave it out")
        return ""
    chosen = check_choice("model", model or "UM.FS", GLMM_MODELS)
    if measure == "IRR" and chosen == "CM.AL":
        raise ChoiceError("model 'CM.AL' has no meaning for IRR, whose exact conditional likelihood is simple: 'CM.EL'")
    return chosen


def _choose_coding(model: str, effects: str, coding: float | None) -> float:
    if coding is None:
        return 0.5
    if not model.startswith("UM") or effects == "common":
        raise ChoiceError("coding has no effect but on random effects of the models UM.FS and UM.RS; leave it out")
    if coding not in (0, 0.5, 1):
        raise ChoiceError(f"coding {coding!r} is unknown. Known: 0, 0.5, 1")
    return float(coding)


def _choose_double_zero(model: str, drop: bool | None) -> bool:
    if model == "UM.RS" or drop is None:
        return model not in {"UM.RS", ""} or bool(drop)
    if not model:
        raise ChoiceError("drop_double_zero has no effect on one group; leave it out")
    if drop is False:
        raise ChoiceError(
            f"drop_double_zero=False has no effect on {model}: a study without events, or with nothing but events, "
            "says nothing about the effect in it. Use model='UM.RS', or beta_binomial_meta_analysis()"
        )
    return True


def glmm_meta_analysis(
    data: pd.DataFrame,
    *,
    measure: Literal["OR", "IRR", "PLO", "IRLN"] = "OR",
    model: Literal["UM.FS", "UM.RS", "CM.EL", "CM.AL"] | None = None,
    effects: Literal["random", "common"] = "random",
    coding: float | None = None,
    ci_method: Literal["z", "t"] = "z",
    prediction_method: Literal["V", "HTS", "S"] | None = None,
    drop_double_zero: bool | None = None,
    level: float = 0.95,
) -> GlmmResult:
    """Pool counts by a generalised linear mixed model: no normal approximation of studies, and nothing added to zeros.

    Each study's counts are binomial (or Poisson for person-time), and the true log odds ratios, log rate ratios, log
    odds or log rates are normal between studies.

    Parameters
    ----------
    data : DataFrame
        One row per study: ``events1 total1 events2 total2`` for OR, ``events1 time1 events2 time2`` for IRR, ``events
        total`` for PLO, ``events time`` for IRLN; all counts whole. ``study_id``, ``direction`` and
        ``exclusion_reason`` are used as by `effect_size`.
    measure : {"OR", "IRR", "PLO", "IRLN"}, default "OR"
        Odds ratio, incidence rate ratio; for single groups the log odds of a proportion, the log of a rate.
    model : {"UM.FS", "UM.RS", "CM.EL", "CM.AL"}, optional
        For two arms, by metafor's names. Unconditional with a fixed level for each study (the default) or with random
        levels, which can also use studies without events; conditional on each study's events, by the exact noncentral
        hypergeometric likelihood or by its binomial approximation for rare events. For IRR, CM.EL is the binomial
        and there is no CM.AL.
    effects : {"random", "common"}, default "random"
        Whether true effects vary between studies or are one.
    coding : {0, 0.5, 1}, optional
        How much of a study's deviation from the mean effect moves arm 1; the rest moves arm 2 the other way. Default
        0.5, as in metafor. Only for random effects in UM.FS and UM.RS.
    ci_method : {"z", "t"}, default "z"
        Normal interval, or t with k - 1 degrees of freedom.
    prediction_method : {"V", "HTS", "S"}, optional
        Prediction interval: t with k - 1 (the default) or k - 2 degrees of freedom, or normal.
    drop_double_zero : bool, optional
        Whether UM.RS leaves out studies without events, or with nothing but events, in both arms (metafor does); by
        default it uses them. The other models cannot, and always leave them out.
    level : float, default 0.95
        Level of every interval.

    Returns
    -------
    GlmmResult
        Estimate, interval, tau2, tests of heterogeneity, how the maximum was reached, and what was left out.

    Raises
    ------
    DataError
        If columns are missing, counts are impossible, or too few studies are left; every fault is listed.
    ChoiceError
        If an option is unknown, or has no effect here.
    ConvergenceError
        If the likelihood has no maximum, or a flat one, with remedies.

    Warns
    -----
    DataWarning
        If one trial contributes several rows, or the likelihood has several maxima.

    References
    ----------
    Stijnen, Hamza & Özdemir (2010), Statistics in Medicine 29:3046-3067; Jackson, Law, Stijnen, Viechtbauer & White
    (2018), Statistics in Medicine 37:1059-1085 (the models compared).

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer.pooling.glmm_models import glmm_meta_analysis
    >>> trials = pd.DataFrame({
    ...     "study_id": ["a", "b", "c", "d"],
    ...     "events1": [1, 4, 12, 0], "total1": [20, 30, 60, 25],
    ...     "events2": [5, 9, 14, 0], "total2": [20, 30, 60, 25],
    ... })
    >>> fit = glmm_meta_analysis(trials, measure="OR", model="CM.EL")
    >>> round(fit.estimate, 4), [round(end, 4) for end in fit.ci], fit.k, fit.excluded[0][0]
    (-0.6192, [-1.2881, 0.0496], 3, 'd')
    >>> glmm_meta_analysis(trials, measure="OR", model="UM.RS").k
    4
    """
    check_choice("measure", measure, GLMM_MEASURES)
    glmm = _choose_model(measure, model)
    check_choice("effects", effects, ("random", "common"))
    share = _choose_coding(glmm, effects, coding)
    check_choice("ci_method", ci_method, ("z", "t"))
    drop = _choose_double_zero(glmm, drop_double_zero)
    if prediction_method is not None:
        check_choice("prediction_method", prediction_method, _PREDICTIONS)
        if effects == "common":
            raise ChoiceError("prediction_method has no effect under a common effect; leave it out")
    check_level(level)
    table = read_counts(data, MEASURES[measure], drop_double_zero=drop, stacklevel=2)
    common = effects == "common"
    _check_size(table, glmm, common, ci_method)
    design = build_model(measure, glmm, table.counts, coding=share)
    fit = fit_glmm(design, common=common)
    notes = _notes(table, fit, common)
    tested = random_level_heterogeneity if design.level == "random" else heterogeneity
    test = tested(design, fit.log_likelihood_common)
    return _result(
        table,
        fit,
        measure=measure,
        glmm=glmm,
        common=common,
        ci_method=ci_method,
        prediction_method=prediction_method or "V",
        level=level,
        tests=(test.lrt, test.lrt_df, test.wald, test.wald_df),
        notes=notes,
    )


def _check_size(table: CountData, glmm: str, common: bool, ci_method: str) -> None:
    if len(table.labels) > 1:
        return
    faults = []
    if not common:
        faults.append("one study does not show how effects vary between studies; use effects='common'")
    if glmm == "UM.RS":
        faults.append("one study does not show how levels vary between studies; use another model")
    if ci_method == "t":
        faults.append("one study leaves no degrees of freedom for ci_method='t'")
    if faults:
        reasons = [f"{label} is not pooled: {reason}" for label, reason in table.excluded]
        raise DataError(f"the table, of which one row is left ({table.labels[0]}),", [*faults, *reasons])


def _notes(table: CountData, fit: GlmmFit, common: bool) -> tuple[str, ...]:
    notes = list(table.notes)
    if not common and fit.tau2 == 0.0:
        notes.append("tau² is estimated as 0: the interval is that of a common effect")
    if fit.other_maxima:
        others = ", ".join(f"{tau2:.4g} (lower by {drop:.2g})" for tau2, drop in fit.other_maxima)
        doubt = f"the likelihood has several maxima: the best at tau² = {fit.tau2:.4g}, others at {others}"
        warnings.warn(doubt, DataWarning, stacklevel=3)
        notes.append(doubt)
    return tuple(notes)


def _result(
    table: CountData,
    fit: GlmmFit,
    *,
    measure: str,
    glmm: str,
    common: bool,
    ci_method: str,
    prediction_method: str,
    level: float,
    tests: tuple[float, int, float, int],
    notes: tuple[str, ...],
) -> GlmmResult:
    k = len(table.labels)
    found = infer(estimate=fit.mu, classic_se=fit.se, hk_q=math.nan, k=k, method=ci_method, level=level)
    prediction = None
    if not common:
        prediction = prediction_interval(
            estimate=fit.mu,
            tau2=fit.tau2,
            classic_se=fit.se,
            hk_se=math.nan,
            k=k,
            method=prediction_method,
            level=level,
        )
        if prediction is None:
            notes = (*notes, f"no prediction interval: {prediction_method} has no degrees of freedom with {k} studies")
    h2 = math.nan if common else h2_from_tau2(fit.tau2, cochran_q(table.yi, table.vi).typical_variance)
    lrt, lrt_df, wald, wald_df = tests
    tau2_lrt, tau2_p = (math.nan, math.nan)
    if not common:
        tau2_lrt, tau2_p = boundary_test(fit.tau2, fit.log_likelihood, fit.log_likelihood_common)
    words = GLMM_MODELS.get(glmm) or _ONE_GROUP[measure]
    for array in (table.yi, table.vi):
        array.setflags(write=False)
    return GlmmResult(
        measure=measure,
        model="common" if common else "random",
        weighting=f"generalised linear {'' if common and glmm != 'UM.RS' else 'mixed '}model, {words}",
        glmm=glmm,
        k=k,
        trials=len(set(table.trials)),
        participants=table.participants,
        double_zero=table.double_zero,
        estimate=fit.mu,
        se=found.se,
        ci=found.ci,
        ci_method=found.method,
        statistic=found.statistic,
        df=found.df,
        p_value=found.p_value,
        prediction_interval=prediction,
        prediction_method="" if prediction is None else prediction_method,
        tau2=fit.tau2,
        tau2_se=fit.tau2_se,
        tau2_method="" if common else "ML",
        I2=i2_from_h2(h2),
        H2=h2,
        level_mean=fit.level,
        level_variance=fit.sigma2,
        log_likelihood=fit.log_likelihood,
        log_likelihood_common=fit.log_likelihood_common,
        tau2_lrt=tau2_lrt,
        tau2_lrt_p=tau2_p,
        Q_LRT=lrt,
        Q_LRT_df=lrt_df,
        Q_LRT_p=_tail(lrt, lrt_df),
        Q_Wald=wald,
        Q_Wald_df=wald_df,
        Q_Wald_p=_tail(wald, wald_df),
        gradient=fit.gradient,
        iterations=fit.iterations,
        points=fit.points,
        quadrature_error=fit.quadrature_error,
        other_maxima=fit.other_maxima,
        positive_favours=table.positive_favours,
        level=level,
        labels=table.labels,
        yi=table.yi,
        vi=table.vi,
        excluded=table.excluded,
        notes=notes,
        data=table.data,
    )


def _tail(statistic: float, df: int) -> float:
    return math.nan if df < 1 or math.isnan(statistic) else chi2_tail(statistic, df)
