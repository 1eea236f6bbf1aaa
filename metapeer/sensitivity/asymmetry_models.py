"""The door to tests of small-study effects in effects and their variances: Egger, Thompson-Sharp, Macaskill, Begg."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import DataError, check_choice
from metapeer.pooling.models import Notes
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.tau2 import TAU2_METHODS
from metapeer.sensitivity.asymmetry_data import level_of, read_studies, tell_studies
from metapeer.sensitivity.asymmetry_ranks import EXACT_LIMIT, rank_correlation
from metapeer.sensitivity.asymmetry_regression import (
    PREDICTORS,
    build_test,
    clusters_of,
    in_percent,
    predictor_values,
    regress,
)
from metapeer.sensitivity.asymmetry_results import AsymmetryTestResult, rank_result

__all__ = ["P_METHODS", "Predictor", "begg_test", "egger_test", "macaskill_test", "thompson_test"]

Predictor = Literal["sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv", "modified_sei"]
P_METHODS = ("exact", "normal", "normal_cc")


def egger_test(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    model: Literal["lm", "rma"] = "lm",
    predictor: Predictor = "sei",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    vcov: str | None = None,
    cluster: str | Sequence[Any] | None = None,
    level: float | None = None,
) -> AsymmetryTestResult:
    """Test funnel-plot asymmetry by regressing effects on their standard errors.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects as `effect_size` returns it.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of `data`.
    model : {"lm", "rma"}, default "lm"
        Errors about the line: multiplicative (weighted least squares, as Egger and colleagues did; t tests), or
        additive (a meta-regression).
    predictor : str, default "sei"
        "sei" or "vi"; "ni", "ninv", "sqrtni" or "sqrtninv" of the number of participants; or "modified_sei",
        ``sqrt(1/n1 + 1/n2)``, which the effect does not enter, for standardised mean differences. Weights stay those
        of the variances.
    tau2_method, ci_method : str, optional
        With additive errors, as in `meta_regression`; those of the fit when left out, otherwise REML and HK.
    vcov : str, optional
        "CR2" (or another that `cluster_robust` knows) for standard errors that allow for dependent effects: the Egger
        sandwich. Standard errors of the model when left out.
    cluster : str or sequence, optional
        With `vcov`, a column or the cluster of each effect; the trial when left out.
    level : float, optional
        Of the intervals; that of the fit, or 0.95, when left out.

    Returns
    -------
    AsymmetryTestResult
        The slope with its test, and the limit of the line for a study without sampling error.

    Raises
    ------
    DataError
        If there are faults in the data, fewer than three effects, or no variation in the predictor.
    ChoiceError
        If an option is unknown or has no effect with the others.

    Warns
    -----
    DataWarning
        If fewer than 10 studies leave the test little power, if the measure's variance contains the effect, if several
        effects of a trial are taken as independent, or if studies are alike in precision.

    References
    ----------
    Egger, Davey Smith, Schneider & Minder (1997), BMJ 315:629-634; Sterne & Egger (2005), in Rothstein et al.,
    Publication Bias in Meta-Analysis, 99-110; Pustejovsky & Rodgers (2019), Res Synth Methods 10:57-71; Rodgers &
    Pustejovsky (2021), Psychol Methods 26:141-160 (Egger sandwich). ``regtest`` of metafor.

    Examples
    --------
    >>> found = egger_test(yi=[0.1, 0.2, 0.15, 0.3, 0.35, 0.5, 0.4, 0.7, 0.65, 0.9, 0.85],
    ...                    sei=[0.05, 0.08, 0.1, 0.13, 0.15, 0.2, 0.22, 0.28, 0.3, 0.38, 0.4])
    >>> round(found.estimate, 3), round(found.p_value, 6), round(found.limit, 3)
    (2.293, 0.0, -0.014)
    """
    check_choice("predictor", predictor, [code for code in PREDICTORS if code != "modified_vi"])
    given = read_studies(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure)
    clusters = clusters_of(given, cluster, vcov)
    chosen = level_of(level, given.fit)
    x = predictor_values(given, predictor)
    line, words, estimator = regress(
        given,
        x,
        model=model,
        tau2_method=tau2_method,
        ci_method=ci_method,
        clusters=clusters,
        vcov=vcov,
        level=chosen,
    )
    notes = Notes()
    tell_studies(given, notes, predictor=predictor, clustered=clusters is not None)
    if clusters is not None and float(line.df[1]) < 4:
        notes.doubt(f"{line.df[1]:.1f} degrees of freedom: below 4 such p values are not to be relied on (Tipton 2015)")
    notes.warn(stacklevel=2)
    name = "Egger's test" if predictor == "sei" else "Regression test of Egger's kind"
    return build_test(given, line, x, name, predictor, words, estimator, chosen, notes)


def thompson_test(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    tau2_method: str = "DL",
    level: float | None = None,
) -> AsymmetryTestResult:
    """Test funnel-plot asymmetry with Thompson and Sharp's regression, whose errors are additive.

    It is `egger_test` with ``model="rma", tau2_method="DL", ci_method="t"``.

    Parameters
    ----------
    data, yi, vi, sei, labels, measure
        As in `egger_test`; of a fit only the effects are used.
    tau2_method : str, default "DL"
        Estimator of the variance about the line.
    level : float, optional
        Of the intervals; that of the fit, or 0.95.

    Returns
    -------
    AsymmetryTestResult
        The slope with its t test, and the limit of the line.

    Raises
    ------
    DataError
        If there are faults in the data, fewer than three effects, or no variation in the standard errors.
    ChoiceError
        If `tau2_method` is unknown.

    Warns
    -----
    DataWarning
        As in `egger_test`.

    References
    ----------
    Thompson & Sharp (1999), Stat Med 18:2693-2708. ``metabias(method.bias="Thompson")`` of the R package meta.

    Examples
    --------
    >>> found = thompson_test(yi=[0.1, 0.2, 0.5, 0.3, 0.35, 0.5, 0.4, 0.7, 0.65, 0.2, 0.85],
    ...                       sei=[0.05, 0.08, 0.1, 0.13, 0.15, 0.2, 0.22, 0.28, 0.3, 0.38, 0.4])
    >>> round(found.estimate, 3), found.df, round(found.p_value, 4)
    (1.821, 9.0, 0.0105)
    """
    given = read_studies(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure)
    x = predictor_values(given, "sei")
    chosen = level_of(level, given.fit)
    line, words, estimator = regress(
        given,
        x,
        model="rma",
        tau2_method=check_choice("tau2_method", tau2_method, TAU2_METHODS),
        ci_method="t",
        clusters=None,
        vcov=None,
        level=chosen,
    )
    notes = Notes()
    tell_studies(given, notes, predictor="sei")
    notes.warn(stacklevel=2)
    return build_test(given, line, x, "Thompson and Sharp's test", "sei", words, estimator, chosen, notes)


def macaskill_test(
    data: MetaAnalysisResult | pd.DataFrame,
    *,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    level: float | None = None,
) -> AsymmetryTestResult:
    """Test funnel-plot asymmetry with Macaskill's regression of effects on the number of participants.

    Weights are inverse variances (Macaskill's method FIV). `peters_test` is the later version for counts, with weights
    that do not depend on the effect.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame
        A fit or a table of effects, with ``n1`` and ``n2``, ``total1`` and ``total2``, or ``ni``.
    labels, measure
        As in `meta_analysis`.
    level : float, optional
        Of the interval; that of the fit, or 0.95.

    Returns
    -------
    AsymmetryTestResult
        The slope on the number of participants, with its t test.

    Raises
    ------
    DataError
        If there are faults in the data, no numbers of participants, or fewer than three effects.

    Warns
    -----
    DataWarning
        If fewer than 10 studies leave the test little power, or several effects of a trial are taken as independent.

    References
    ----------
    Macaskill, Walter & Irwig (2001), Stat Med 20:641-654.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"yi": [0.1, 0.2, 0.3, 0.35, 0.6, 0.5, 0.4, 0.7, 0.65, 0.9],
    ...                       "sei": [0.1, 0.12, 0.15, 0.18, 0.2, 0.22, 0.25, 0.28, 0.3, 0.35],
    ...                       "n1": [200, 140, 90, 60, 50, 42, 32, 25, 22, 16],
    ...                       "n2": [200, 140, 90, 60, 50, 42, 32, 25, 22, 16]})
    >>> found = macaskill_test(table)
    >>> round(found.estimate, 5), round(found.p_value, 4)
    (-0.0014, 0.0003)
    """
    given = read_studies(data, labels=labels, measure=measure)
    x = predictor_values(given, "ni")
    chosen = level_of(level, given.fit)
    line, words, _ = regress(
        given, x, model="lm", tau2_method=None, ci_method=None, clusters=None, vcov=None, level=chosen
    )
    notes = Notes()
    tell_studies(given, notes, predictor="ni")
    notes.warn(stacklevel=2)
    return build_test(given, line, x, "Macaskill's test", "ni", words, "", chosen, notes)


def begg_test(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    p_method: Literal["exact", "normal", "normal_cc"] = "exact",
) -> AsymmetryTestResult:
    """Test funnel-plot asymmetry by Begg and Mazumdar's rank correlation of effects with their variances.

    Effects are standardised by the common-effect mean before they are ranked.

    Parameters
    ----------
    data, yi, vi, sei, labels, measure
        As in `egger_test`; of a fit only the effects are used.
    p_method : {"exact", "normal", "normal_cc"}, default "exact"
        The p value: exact unless values are tied, normal, or normal with a continuity correction. ``ranktest`` of
        metafor has the first, ``metabias`` of the R package meta the others.

    Returns
    -------
    AsymmetryTestResult
        Kendall's tau with its test.

    Raises
    ------
    DataError
        If there are faults in the data, fewer than three effects, or all variances are the same.
    ChoiceError
        If `p_method` is unknown.

    Warns
    -----
    DataWarning
        If fewer than 10 studies leave the test little power, if the measure's variance contains the effect, if several
        effects of a trial are taken as independent, or if studies are alike in precision.

    References
    ----------
    Begg & Mazumdar (1994), Biometrics 50:1088-1101.

    Examples
    --------
    >>> found = begg_test(yi=[0.1, 0.2, 0.5, 0.3, 0.35, 0.5, 0.4, 0.7, 0.65, 0.2, 0.85],
    ...                   sei=[0.05, 0.08, 0.1, 0.13, 0.15, 0.2, 0.22, 0.28, 0.3, 0.38, 0.4])
    >>> round(found.estimate, 3), round(found.p_value, 4), found.p_method
    (0.345, 0.1646, 'exact')
    """
    check_choice("p_method", p_method, P_METHODS)
    given = read_studies(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure)
    effects = given.effects
    # Centred first, and the precise study's own variance freed of cancellation, which decides its rank.
    w = 1.0 / effects.vi
    centred = effects.yi - effects.yi[0]
    mean = float(w @ centred) / float(w.sum())
    others = (float(w.sum()) - w) / float(w.sum())
    z = (centred - mean) / np.sqrt(effects.vi * others)
    same = [name for name, values in (("effects", z), ("variances", effects.vi)) if np.unique(values).size == 1]
    if same:
        raise DataError(given.source, [f"all {' and '.join(same)} are the same, so that they have no order"])
    found = rank_correlation(z, effects.vi, method=p_method)
    notes = Notes()
    tell_studies(given, notes, predictor="rank")
    if p_method == "exact" and found.method != "exact":
        why = "values are tied" if given.k <= EXACT_LIMIT else f"there are more than {EXACT_LIMIT} studies"
        notes.say(f"the p value is normal, not exact, since {why}")
    notes.warn(stacklevel=2)
    weights = in_percent(w)
    weights.setflags(write=False)
    z.setflags(write=False)
    return rank_result(
        found,
        given=given,
        test="Begg and Mazumdar's test",
        formula="Kendall's rank correlation of standardised effects with their variances",
        measure=effects.measure,
        k=given.k,
        trials=effects.trial_count,
        predictor="vi",
        level=given.fit.level if given.fit is not None else 0.95,
        labels=effects.labels,
        yi=z,
        x=effects.vi,
        weights=weights,
        excluded=effects.excluded,
        notes=tuple(notes.said),
    )
