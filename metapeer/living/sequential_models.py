"""The doors to sequential methods without a spending function: restricted procedure, and iterated logarithm."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import MetapeerError
from metapeer.living.sequential_formulas import logarithm_boundary, restricted_boundary
from metapeer.living.sequential_information import check_share, required_information_size
from metapeer.living.sequential_looks import model_words, sequential_result, take_look, take_steps
from metapeer.living.sequential_results import SequentialLook, SequentialResult
from metapeer.pooling.models import Model
from metapeer.pooling.weighted import total

__all__ = ["law_of_iterated_logarithm", "sequential_meta_analysis"]

CURVE = 60
"""Points of a boundary that is a formula."""


def sequential_meta_analysis(
    data: pd.DataFrame,
    *,
    effect: float,
    alpha: float = 0.05,
    power: float = 0.9,
    prior_tau2: float | None = None,
    prior_trials: float | None = None,
    order: str | ArrayLike = "year",
    together: bool = True,
    tau2_method: str = "DL",
) -> SequentialResult:
    """Sequential random-effects meta-analysis by Whitehead's restricted procedure. Sensitivity analysis only.

    The score Z, the sum of yi / (vi + tau²), is held against constant boundaries ±H until V, the sum of
    1 / (vi + tau²), reaches V_max. With few trials tau² is often estimated as 0 and z then far too large; a prior
    that counts as some trials steadies it.

    Parameters
    ----------
    data : DataFrame
        Effects, one of each trial, as `effect_size` and `average_within_trial` return them.
    effect : float
        The smallest effect that matters, in the units of the pooled effects (log for ratios).
    alpha : float, default 0.05
        Two-sided error over all looks, however many.
    power : float, default 0.9
        To find the effect.
    prior_tau2, prior_trials : float, optional
        Approximate semi-Bayes: what tau² is expected to be, and how many trials that is worth. With k trials
        ``(prior_trials * prior_tau2 + k * estimate) / (prior_trials + k)`` is used: the posterior mean under an inverse
        gamma prior of shape ``eta = prior_trials / 2 + 1`` and scale ``lambda = prior_trials * prior_tau2 / 2``, taking
        the estimate as k squared deviations. One trial alone has no estimate, and `prior_tau2` is used.
    order, together
        As in `trial_sequential_analysis`.
    tau2_method : str, default "DL"
        The estimate of tau², as in `meta_analysis`.

    Returns
    -------
    SequentialResult
        Looks, boundaries and a conclusion; information is V.

    Raises
    ------
    DataError
        If the table cannot be pooled or ordered; every fault is listed.
    MetapeerError
        If an option makes no sense.

    Warns
    -----
    DataWarning
        If trials give several effects, or are very few.

    References
    ----------
    Higgins, Whitehead & Simmonds (2011), Stat Med 30:903-921. Whitehead (1997), The Design and Analysis of Sequential
    Clinical Trials, 2nd ed.

    Examples
    --------
    >>> table = pd.DataFrame({"study_id": ["a", "b", "c", "d", "e"], "year": [2004, 2009, 2011, 2015, 2019],
    ...                       "yi": [0.1, 0.3, 0.35, 0.25, 0.3], "vi": [0.03, 0.02, 0.02, 0.01, 0.01]})
    >>> found = sequential_meta_analysis(table, effect=0.3, prior_tau2=0.02, prior_trials=2)
    >>> found.to_frame()[["value", "crossed", "tau2", "z", "fraction", "boundary"]].round(3)
      value crossed   tau2      z  fraction  boundary
    0  2004          0.020  0.447     0.162     5.561
    1  2009          0.010  1.637     0.474     3.256
    2  2011   upper  0.008  2.614     0.794     2.515
    3  2015   upper  0.007  3.305     1.318     2.241
    4  2019          0.006  4.132     1.893       NaN
    """
    error = check_share("alpha", alpha, 0.0, 0.5)
    if (prior_tau2 is None) != (prior_trials is None):
        raise MetapeerError("prior_tau2 and prior_trials go together: what tau² is, and how many trials that is worth")
    weight = 0.0 if prior_trials is None else check_share("prior_trials", prior_trials, 0.0, 1e6)
    prior = 0.0 if prior_tau2 is None else check_share("prior_tau2", prior_tau2, 0.0, 1e12)
    steps = take_steps(data, order=order, together=together, model="random", tau2_method=tau2_method)
    required = required_information_size(measure=steps.fits[-1].measure, effect=effect, alpha=error, power=power)
    height, most = restricted_boundary(error, required.power)
    height, most = height / abs(required.effect), most / required.effect**2
    required = replace(required, information=most, participants=None, adjusted_by="by tau² in V, at each look")
    looks: list[SequentialLook] = []
    done = False
    for i, fit in enumerate(steps.fits):
        known = not math.isnan(fit.tau2)
        tau2 = (weight * prior + fit.k * fit.tau2) / (weight + fit.k) if known else prior
        weights = 1.0 / (fit.vi + tau2)
        V, Z = total(weights), float(weights @ fit.yi)
        # Beyond V_max the boundary for z stays where it ended: with a constant H it would go on falling.
        bound = height / math.sqrt(min(V, most))
        looks.append(
            take_look(
                steps,
                i,
                tau2=tau2,
                estimate=Z / V,
                se=1.0 / math.sqrt(V),
                z=Z / math.sqrt(V),
                information=V,
                fraction=V / most,
                boundary=None if done else bound,
            )
        )
        done = done or most <= V
    if any(b.information < a.information for a, b in pairwise(looks)):
        steps.notes.say(
            "V fell when a trial came in, because tau² rose: information was lost that the boundaries took for granted"
        )
    if prior_tau2 is None:
        steps.notes.say("tau² has no prior: with few trials it is often estimated as 0, and z is then too large")
    grid = np.linspace(min(looks[0].information, most) / 2, most, CURVE)
    semi = f"; tau² by {tau2_method}" + (
        f", with a prior of {prior:g} worth {weight:g} trials" if prior_tau2 is not None else ""
    )
    return sequential_result(
        steps,
        method="Sequential meta-analysis",
        design=f"restricted procedure, |Z| up to H = {height:.4g} until V = {most:.4g}{semi}",
        scale="information",
        looks=tuple(looks),
        alpha=error,
        required=required,
        end=most,
        attained_power=None,
        curve=tuple((float(v), float(height / math.sqrt(v)), math.nan) for v in grid),
    )


def law_of_iterated_logarithm(
    data: pd.DataFrame,
    *,
    alpha: float = 0.05,
    penalty: float | None = None,
    order: str | ArrayLike = "year",
    together: bool = True,
    model: Model = "random",
    tau2_method: str | None = None,
) -> SequentialResult:
    """Penalise z by the law of the iterated logarithm, for any number of looks. Sensitivity analysis only.

    Parameters
    ----------
    data : DataFrame
        Effects, one of each trial, as `effect_size` and `average_within_trial` return them.
    alpha : float, default 0.05
        Two-sided error over all looks, roughly: the adjustment factor was found by simulation.
    penalty : float, optional
        The adjustment factor lambda; 1.5 for risk differences and 2 for all others when left out.
    order, together
        As in `trial_sequential_analysis`.
    model, tau2_method
        As in `meta_analysis`.

    Returns
    -------
    SequentialResult
        Looks with ``penalised_z``, z by ``sqrt(lambda log log I)`` where that is above 1, with I one over the squared
        standard error. Nothing is required, so that there is no end and no power.

    Raises
    ------
    DataError
        If the table cannot be pooled or ordered; every fault is listed.
    MetapeerError
        If an option makes no sense.

    Warns
    -----
    DataWarning
        If trials give several effects, or are very few.

    References
    ----------
    Lan, Hu & Cappelleri (2003), Stat Sin 13:1135-1145. Hu, Cappelleri & Lan (2007), Clin Trials 4:329-340.

    Examples
    --------
    >>> table = pd.DataFrame({"study_id": ["a", "b", "c"], "year": [2004, 2009, 2011],
    ...                       "yi": [0.3, 0.4, 0.35], "vi": [0.03, 0.02, 0.005]})
    >>> found = law_of_iterated_logarithm(table, model="common")
    >>> found.to_frame()[["value", "crossed", "z", "penalised_z"]].round(2)
      value crossed     z  penalised_z
    0  2004          1.73         1.09
    1  2009          3.29         1.91
    2  2011   upper  5.94         3.19
    """
    error = check_share("alpha", alpha)
    steps = take_steps(data, order=order, together=together, model=model, tau2_method=tau2_method)
    measure = steps.fits[-1].measure
    chosen = (1.5 if measure == "RD" else 2.0) if penalty is None else check_share("penalty", penalty, 0.0, 100.0)
    looks = tuple(
        take_look(
            steps,
            i,
            information=1.0 / fit.se**2,
            boundary=logarithm_boundary(1.0 / fit.se**2, error, chosen),
        )
        for i, fit in enumerate(steps.fits)
    )
    steps.notes.say(
        "I has the units of the effect: the penalty is another where the same outcome is measured on another scale"
    )
    least, most = min(look.information for look in looks), max(look.information for look in looks)
    return sequential_result(
        steps,
        method="Law of the iterated logarithm",
        design=f"z is penalised by the square root of {chosen:g} log log I, held against a two-sided {error:g}; "
        f"{model_words(steps)}",
        scale="information",
        looks=looks,
        alpha=error,
        required=None,
        end=None,
        attained_power=None,
        curve=tuple(
            (float(v), logarithm_boundary(float(v), error, chosen), math.nan)
            for v in np.linspace(0.9 * least, most, CURVE)
        ),
    )
