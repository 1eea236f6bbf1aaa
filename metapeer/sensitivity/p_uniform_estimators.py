"""p-uniform: one true effect, estimated from significant effects alone.

At the true effect the p values of significant studies, conditional on being significant, are uniform. The estimate is
the effect at which they look so.

References
----------
van Assen, van Aert & Wicherts (2015), Psychol Methods 20:293-309; van Aert, Wicherts & van Assen (2016), Perspect
Psychol Sci 11:713-729.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammainc, gammaincc, gammaincinv, log_ndtr, ndtr, ndtri

from metapeer.pooling.intervals import chi2_quantile, chi2_tail
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.copas_likelihood import hazard

__all__ = ["METHODS", "PUniformFit", "conditional_p", "p_uniform_fit", "uniform_sum_quantile"]

METHODS = {
    "P": "sum of conditional p values",
    "LNP": "Fisher, -ln q",
    "LN1MINP": "Fisher, -ln(1 - q)",
    "ML": "maximum likelihood",
}
"""Estimators by code, in words."""

_EXACT = 100  # uniform variables up to which the distribution of their sum is exact
_DOUBLINGS = 60


@lru_cache(maxsize=512)
def uniform_sum_quantile(tail: float, k: int) -> float:
    """Quantile of the sum of independent uniform variables.

    Parameters
    ----------
    tail : float
        Lower tail.
    k : int
        How many variables; beyond 100 the normal approximation serves.

    Returns
    -------
    float
        The quantile of the Irwin-Hall distribution, whose alternating sum is taken in exact rational arithmetic.

    References
    ----------
    Irwin (1927), Biometrika 19:225-239; Hall (1927), Biometrika 19:240-245.

    Examples
    --------
    >>> round(uniform_sum_quantile(0.025, 2), 7), round(uniform_sum_quantile(0.025, 10), 7)
    (0.2236068, 3.2185166)
    """
    if k > _EXACT:
        return 0.5 * k + float(ndtri(tail)) * math.sqrt(k / 12.0)
    target = Fraction(tail) * math.factorial(k)

    def excess(x: float) -> float:
        exact = Fraction(x)
        total = sum(
            ((-1) ** j * math.comb(k, j) * (exact - j) ** k for j in range(math.floor(x) + 1)), start=Fraction(0)
        )
        return float((total - target) / math.factorial(k))

    return float(brentq(excess, 0.0, float(k), xtol=1e-13, rtol=1e-13))


def conditional_p(yi: FloatArray, sei: FloatArray, critical: FloatArray, effect: float) -> FloatArray:
    """Probability of an effect at least as large, given that it is significant.

    Parameters
    ----------
    yi, sei : array of shape (k,)
        Significant positive effects and their standard errors.
    critical : array of shape (k,)
        Effects from which on they are significant.
    effect : float
        The true effect.

    Returns
    -------
    array of shape (k,)
        From logarithms of both probabilities, so that nothing underflows.

    Examples
    --------
    >>> conditional_p(np.array([0.5]), np.array([0.2]), np.array([0.392]), 0.0).round(4).tolist()
    [0.2484]
    """
    return np.asarray(np.exp(log_ndtr((effect - yi) / sei) - log_ndtr((effect - critical) / sei)))


@dataclass(frozen=True, slots=True)
class PUniformFit:
    """What p-uniform finds.

    Parameters
    ----------
    estimate, low, high : float
        The effect and the ends of its interval.
    q : array of shape (k,)
        Conditional p values at the estimate.
    null_statistic, null_p : float
        Test of no effect.
    bias_statistic, bias_p : float
        Test of publication bias: that the common-effect estimate of all studies is too large for the significant ones.
    """

    estimate: float
    low: float
    high: float
    q: FloatArray
    null_statistic: float
    null_p: float
    bias_statistic: float
    bias_p: float


def _root(function: Callable[[float], float], start: float, width: float) -> float:
    """Find where a falling or rising function is 0, going out from a start by doubling steps."""
    low, high = start - width, start + width
    at_low, at_high = function(low), function(high)
    rising = at_high > at_low
    for _ in range(_DOUBLINGS):
        if (at_low <= 0.0 <= at_high) if rising else (at_high <= 0.0 <= at_low):
            return float(brentq(function, low, high, xtol=1e-14 * (high - low), rtol=1e-13))
        width *= 2.0
        if (at_low > 0.0) == rising:
            low, high, at_high = low - width, low, at_low
            at_low = function(low)
        else:
            low, high, at_low = high, high + width, at_high
            at_high = function(high)
    return math.nan


def p_uniform_fit(
    yi: FloatArray, sei: FloatArray, critical: FloatArray, *, pooled: float, method: str, level: float
) -> PUniformFit:
    """Estimate the effect from significant positive effects.

    Parameters
    ----------
    yi, sei, critical : array of shape (k,)
        Significant effects, their standard errors, and the effects from which on they are significant.
    pooled : float
        Common-effect estimate of all studies.
    method : {"P", "LNP", "LN1MINP", "ML"}
        Estimator.
    level : float
        Of the interval.

    Returns
    -------
    PUniformFit
        Estimate, interval and tests.

    Examples
    --------
    >>> yi, sei = np.array([0.5, 0.9, 0.7]), np.array([0.2, 0.3, 0.3])
    >>> found = p_uniform_fit(yi, sei, 1.959964 * sei, pooled=0.6, method="P", level=0.95)
    >>> round(found.estimate, 4), round(float(found.q.sum()), 6)
    (0.4556, 1.5)
    """
    k = yi.size
    tail = 0.5 * (1.0 - level)
    start, width = float(yi.mean()), float(sei.mean())
    if method == "ML":
        return _by_likelihood(yi, sei, critical, pooled, level, start, width)

    def statistic(effect: float) -> float:
        if method == "LNP":
            # In logarithms, for q itself underflows far below the data.
            return float((log_ndtr((effect - critical) / sei) - log_ndtr((effect - yi) / sei)).sum())
        if method == "P":
            return float(conditional_p(yi, sei, critical, effect).sum())
        # 1 - q from the logarithm of q, for q is 1 to all digits far above the data. In the end the statistic is
        # infinite, which says no less on which side of the answer the effect lies.
        with np.errstate(divide="ignore"):
            log_q = log_ndtr((effect - yi) / sei) - log_ndtr((effect - critical) / sei)
            return float(-np.log(-np.expm1(np.minimum(log_q, 0.0))).sum())

    if method == "P":
        low_end = uniform_sum_quantile(tail, k)
        targets = (0.5 * k, low_end, k - low_end)
    else:
        small, large = float(gammaincinv(k, tail)), float(gammaincinv(k, 1.0 - tail))
        targets = (float(k), large, small) if method == "LNP" else (float(k), small, large)
    estimate, low, high = (
        _root(lambda effect, target=target: statistic(effect) - target, start, width)  # type: ignore[misc]
        for target in targets
    )
    if method == "P":
        null, bias = ((statistic(effect) - 0.5 * k) / math.sqrt(k / 12.0) for effect in (0.0, pooled))
        null_p, bias_p = float(ndtr(null)), float(ndtr(-bias))
    else:
        null, bias = statistic(0.0), statistic(pooled)
        upper, lower = (gammaincc, gammainc) if method == "LNP" else (gammainc, gammaincc)
        null_p, bias_p = float(upper(k, null)), float(lower(k, bias))
    return PUniformFit(estimate, low, high, conditional_p(yi, sei, critical, estimate), null, null_p, bias, bias_p)


def _by_likelihood(
    yi: FloatArray, sei: FloatArray, critical: FloatArray, pooled: float, level: float, start: float, width: float
) -> PUniformFit:
    """Maximise the likelihood of truncated normal effects, which is concave in the effect."""

    def score(effect: float) -> float:
        return float(((yi - effect) / sei**2 - hazard((effect - critical) / sei) / sei).sum())

    def height(effect: float) -> float:
        return float((-0.5 * ((yi - effect) / sei) ** 2 - log_ndtr((effect - critical) / sei)).sum())

    estimate = _root(score, start, width)
    peak, drop = height(estimate), 0.5 * chi2_quantile(1.0 - level, 1)

    def beyond(sign: float) -> float:
        far = width
        for _ in range(_DOUBLINGS):
            if peak - height(estimate + sign * far) > drop:
                return float(
                    brentq(
                        lambda effect: peak - height(effect) - drop,
                        min(estimate, estimate + sign * far),
                        max(estimate, estimate + sign * far),
                        xtol=1e-14 * far,
                    )
                )
            far *= 2.0
        return math.nan

    null, bias = (max(0.0, 2.0 * (peak - height(effect))) for effect in (0.0, pooled))
    return PUniformFit(
        estimate,
        beyond(-1.0),
        beyond(1.0),
        conditional_p(yi, sei, critical, estimate),
        null,
        chi2_tail(null, 1),
        bias,
        chi2_tail(bias, 1),
    )
