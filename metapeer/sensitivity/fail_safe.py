"""Fail-safe N on arrays: how many studies without effect it would take to undo a finding."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from metapeer.errors import MetapeerError
from metapeer.pooling.tau2 import estimate_tau2
from metapeer.pooling.weighted import FloatArray, total

__all__ = ["FailSafe", "diluted", "general", "orwin", "rosenberg", "rosenthal"]

MOST = 10_000_000
"""The general version searches no further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailSafe:
    """A fail-safe N with what it was computed from.

    Parameters
    ----------
    N : float
        Studies, whole or infinite.
    estimate, p_value : float
        Of the studies at hand; NaN where the method uses none.
    tau2 : float
        Between-study variance; NaN where the method has none.
    target : float
        Effect that the mean is to be brought down to; NaN where a p value is brought up to alpha.
    estimate_N, tau2_N, p_value_N : float
        The same with N studies more; NaN except in the general version.
    """

    N: float
    estimate: float = math.nan
    p_value: float = math.nan
    tau2: float = math.nan
    target: float = math.nan
    estimate_N: float = math.nan
    tau2_N: float = math.nan
    p_value_N: float = math.nan


def _whole(number: float) -> float:
    """Round up, unless the number is whole but for rounding."""
    if math.isinf(number):
        return number
    nearest = round(number)
    return float(nearest if abs(number - nearest) < 1.5e-8 else math.ceil(number))


def rosenthal(yi: FloatArray, vi: FloatArray, *, alpha: float) -> FailSafe:
    """Studies with z = 0 that bring Stouffer's combined one-sided p value up to alpha.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their variances.
    alpha : float
        One-sided level.

    Returns
    -------
    FailSafe
        With the combined p value.

    References
    ----------
    Rosenthal (1979), Psychol Bull 86:638-641.

    Examples
    --------
    >>> rosenthal(np.array([0.3, 0.4, 0.5]), np.array([0.02, 0.02, 0.02]), alpha=0.05).N
    24.0
    """
    k = yi.size
    z = abs(total(yi / np.sqrt(vi))) / math.sqrt(k)
    return FailSafe(N=_whole(max(0.0, k * (z / -float(ndtri(alpha))) ** 2 - k)), p_value=float(ndtr(-z)))


def _target(target: float | None, estimate: float) -> float:
    """The effect to come down to, on the estimate's side of zero; half of the estimate by default."""
    return estimate / 2.0 if target is None else math.copysign(target, estimate)


def orwin(yi: FloatArray, vi: FloatArray, *, target: float | None) -> FailSafe:
    """Studies with effect 0, as precise as those at hand on average, that bring the common-effect mean to a target.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their variances.
    target : float or None
        The effect to come down to; half of the mean when None.

    Returns
    -------
    FailSafe
        With the mean and the target.

    References
    ----------
    Orwin (1983), J Educ Stat 8:157-159.

    Examples
    --------
    >>> orwin(np.array([0.3, 0.4, 0.5]), np.array([0.02, 0.02, 0.02]), target=0.1).N
    9.0
    """
    w = 1.0 / vi
    estimate = float(w @ yi) / total(w)
    aim = _target(target, estimate)
    number = math.inf if aim == 0.0 else max(0.0, yi.size * (estimate - aim) / aim)
    return FailSafe(N=_whole(number), estimate=estimate, target=aim)


def rosenberg(yi: FloatArray, vi: FloatArray, *, alpha: float) -> FailSafe:
    """Studies with effect 0, of the harmonic mean variance, that bring the common-effect p value up to alpha.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their variances.
    alpha : float
        Two-sided level.

    Returns
    -------
    FailSafe
        With the mean and its p value.

    References
    ----------
    Rosenberg (2005), Evolution 59:464-468.

    Examples
    --------
    >>> rosenberg(np.array([0.3, 0.4, 0.5]), np.array([0.02, 0.02, 0.02]), alpha=0.05).N
    16.0
    """
    w = 1.0 / vi
    weight = total(w)
    score = float(w @ yi)
    typical = yi.size / weight
    number = max(0.0, ((score / float(ndtri(alpha / 2.0))) ** 2 - weight) * typical)
    p_value = 2.0 * float(ndtr(-abs(score) / math.sqrt(weight)))
    return FailSafe(N=_whole(number), estimate=score / weight, p_value=p_value)


def diluted(
    yi: FloatArray, vi: FloatArray, number: float, *, estimate: float, tau2: float
) -> tuple[float, float, float]:
    """Mean, between-study variance and p value with so many studies of mean 0 added.

    The new studies have the harmonic mean variance and scatter about 0 as the others do about their mean; tau2 grows by
    the spread of the two means.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their variances.
    number : float
        How many studies are added.
    estimate, tau2 : float
        Of the studies at hand; tau2 is NaN under a common effect.

    Returns
    -------
    estimate, tau2, p_value : float
        With them; the p value is normal.
    """
    k = yi.size
    typical = 1.0 / float(np.mean(1.0 / vi))
    if math.isnan(tau2):
        grown = 0.0
    else:
        mean = k * estimate / (k + number)
        within = (k - 1.0) * tau2 + max(0.0, number - 1.0) * tau2
        grown = max(0.0, (within + k * (estimate - mean) ** 2 + number * mean**2) / (k + number - 1.0))
    w = 1.0 / (vi + grown)
    weight = total(w) + number / (typical + grown)
    mean = float(w @ yi) / weight
    return mean, grown, 2.0 * float(ndtr(-abs(mean) * math.sqrt(weight)))


def general(yi: FloatArray, vi: FloatArray, *, tau2_method: str, alpha: float, target: float | None) -> FailSafe:
    """Studies of mean 0 that bring the p value of a random-effects mean up to alpha, or the mean down to a target.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their variances.
    tau2_method : str
        Estimator of tau2; empty for a common effect.
    alpha : float
        Two-sided level, of a normal test.
    target : float or None
        The effect to come down to, instead of `alpha`.

    Returns
    -------
    FailSafe
        The smallest number that does it, with the fit before and after.

    Raises
    ------
    MetapeerError
        If more than 10 million studies would be needed.

    References
    ----------
    Viechtbauer (2010), J Stat Softw 36(3):1-48, ``fsn(type="General")`` of metafor.
    """
    tau2 = estimate_tau2(yi, vi, tau2_method).tau2 if tau2_method else math.nan
    w = 1.0 / (vi + (tau2 if tau2_method else 0.0))
    estimate = float(w @ yi) / total(w)
    p_value = 2.0 * float(ndtr(-abs(estimate) * math.sqrt(total(w))))
    aim = math.nan if target is None else _target(target, estimate)
    start = 0.0 if math.isnan(tau2) else tau2
    found = {"estimate": estimate, "p_value": p_value, "tau2": start, "target": aim}

    def undone(number: int) -> bool:
        mean, _, p = diluted(yi, vi, number, estimate=estimate, tau2=tau2)
        return p >= alpha if target is None else abs(mean) <= abs(aim)

    if (target is None and p_value >= alpha) or (target is not None and abs(estimate) <= abs(aim)):
        return FailSafe(N=0.0, **found, estimate_N=estimate, tau2_N=start, p_value_N=p_value)
    if target is not None and aim == 0.0:
        return FailSafe(N=math.inf, **found)
    high = 1
    while not undone(high):
        high *= 2
        if high > MOST:
            raise MetapeerError(f"more than {MOST:,} studies would be needed")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if undone(middle) else (middle, high)
    after = diluted(yi, vi, high, estimate=estimate, tau2=tau2)
    return FailSafe(N=float(high), **found, estimate_N=after[0], tau2_N=after[1], p_value_N=after[2])
