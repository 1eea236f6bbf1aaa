"""The door to the beta-binomial model: a table of events in, a `BetaBinomialResult` out."""

import math
from typing import Literal

import pandas as pd
from scipy.special import expit

from metapeer.effects.measures import MEASURES
from metapeer.errors import DataError, check_choice
from metapeer.pooling.beta_binomial import contrast, fit_beta_binomial
from metapeer.pooling.count_data import read_counts
from metapeer.pooling.count_results import BetaBinomialResult
from metapeer.pooling.glmm_models import boundary_test
from metapeer.pooling.inference import infer
from metapeer.pooling.intervals import check_level

__all__ = ["beta_binomial_meta_analysis"]


def beta_binomial_meta_analysis(
    data: pd.DataFrame,
    *,
    measure: Literal["OR", "RR", "RD"] = "OR",
    ci_method: Literal["z", "t"] = "z",
    level: float = 0.95,
) -> BetaBinomialResult:
    """Pool rare events by a beta-binomial model, in which studies without events count like any other.

    Each arm's risk follows a beta distribution between studies, with one mean for each arm and one correlation for
    both. The two arms of a study are taken as independent, so that randomisation within studies is not used: the
    result answers how the arms compare on average, and is at its best when events are rare and studies alike.

    Parameters
    ----------
    data : DataFrame
        One row per study, with ``events1 total1 events2 total2``, whole numbers. ``study_id``, ``direction`` and
        ``exclusion_reason`` are used as by `effect_size`.
    measure : {"OR", "RR", "RD"}, default "OR"
        How the two mean risks are compared.
    ci_method : {"z", "t"}, default "z"
        Normal interval, or t with k - 1 degrees of freedom.
    level : float, default 0.95
        Level of the interval.

    Returns
    -------
    BetaBinomialResult
        Estimate, interval, mean risks, correlation, and what was left out.

    Raises
    ------
    DataError
        If columns are missing, counts are impossible, or fewer than two studies are left; every fault is listed.
    ChoiceError
        If an option is unknown.
    ConvergenceError
        If an arm has no events, or nothing but events, in all studies, or the likelihood has no maximum.

    Warns
    -----
    DataWarning
        If one trial contributes several rows.

    References
    ----------
    Kuss (2015), Statistics in Medicine 34:1097-1116.

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer.pooling.beta_binomial_models import beta_binomial_meta_analysis
    >>> trials = pd.DataFrame({
    ...     "study_id": ["a", "b", "c", "d"],
    ...     "events1": [1, 4, 12, 0], "total1": [20, 30, 60, 25],
    ...     "events2": [5, 9, 14, 0], "total2": [20, 30, 60, 25],
    ... })
    >>> fit = beta_binomial_meta_analysis(trials, measure="RR")
    >>> fit.k, round(fit.estimate, 4), [round(end, 4) for end in fit.ci]
    (4, -0.593, [-1.7084, 0.5223])
    """
    check_choice("measure", measure, ("OR", "RR", "RD"))
    check_choice("ci_method", ci_method, ("z", "t"))
    check_level(level)
    table = read_counts(data, MEASURES[measure], drop_double_zero=False, stacklevel=2)
    k = len(table.labels)
    if k < 2:
        reasons = [f"{label} is not pooled: {reason}" for label, reason in table.excluded]
        only = f"the table, of which one row is left ({table.labels[0]}),"
        raise DataError(only, ["one study does not show how risks vary between studies", *reasons])
    fit = fit_beta_binomial(*table.counts)
    estimate, se = contrast(fit, measure)
    found = infer(estimate=estimate, classic_se=se, hk_q=math.nan, k=k, method=ci_method, level=level)
    rho_lrt, rho_p = boundary_test(fit.rho, fit.log_likelihood, fit.log_likelihood_binomial)
    notes = list(table.notes)
    if fit.rho == 0.0:
        notes.append("the correlation within arms is estimated as 0: the interval is that of studies thrown together")
    for array in (table.yi, table.vi):
        array.setflags(write=False)
    return BetaBinomialResult(
        measure=measure,
        model="random",
        weighting="beta-binomial, one correlation for both arms",
        k=k,
        trials=len(set(table.trials)),
        participants=table.participants,
        double_zero=table.double_zero,
        estimate=estimate,
        se=found.se,
        ci=found.ci,
        ci_method=found.method,
        statistic=found.statistic,
        df=found.df,
        p_value=found.p_value,
        risk1=float(expit(fit.logits[0])),
        risk2=float(expit(fit.logits[1])),
        rho=fit.rho,
        rho_se=fit.rho_se,
        rho_lrt=rho_lrt,
        rho_lrt_p=rho_p,
        log_likelihood=fit.log_likelihood,
        gradient=fit.gradient,
        iterations=fit.iterations,
        positive_favours=table.positive_favours,
        level=level,
        labels=table.labels,
        yi=table.yi,
        vi=table.vi,
        excluded=table.excluded,
        notes=tuple(notes),
        data=table.data,
    )
