"""Estimators of tau2 that solve an equation in a Q statistic, and the solvers, which intervals use too.

References
----------
Veroniki et al. (2016), Res Synth Methods 7:55-79.
"""

import math

import numpy as np

from metapeer.errors import ConvergenceError
from metapeer.pooling.intervals import chi2_quantile
from metapeer.pooling.quadratic_form import generalised_q_cdf
from metapeer.pooling.weighted import FloatArray, degrees_of_freedom, q_statistic

__all__ = ["invert_generalised_q", "profile_q", "tau2_eb", "tau2_genqm", "tau2_pm", "tau2_pmm"]

_EPS = float(np.finfo(np.float64).eps)
_MAX_STEPS = 200


def profile_q(yi: FloatArray, vi: FloatArray, target: float, X: FloatArray | None = None) -> float | None:
    """Find the tau2 at which the generalised Q statistic equals `target`.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    target : float
        A positive value of Q.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float or None
        The solution, without an upper limit; None when Q is below `target` already at zero.

    Raises
    ------
    ConvergenceError
        If no solution is found, which no known data set causes.

    Notes
    -----
    Newton's method on ``1 / Q``, which is linear in tau2 when the variances are equal, inside a shrinking bracket.

    Examples
    --------
    >>> import numpy as np
    >>> round(profile_q(np.array([0.0, 2.0]), np.array([0.5, 0.5]), 1.0), 4)
    1.5
    """
    q, slope = q_statistic(yi, vi, 0.0, X)
    if q < target:
        return None
    low, high = 0.0, math.inf
    tau2 = 0.0
    for _ in range(_MAX_STEPS):
        step = q * (q - target) / (target * slope) if slope > 0 else 0.0
        proposed = tau2 + step
        # Newton's error is squared with each step: after one this short beside vi + tau2, which is of the order of
        # Q / slope, what remains is rounding.
        enough = 1e-9 * max(proposed, q / slope if slope > 0 else 0.0)
        if not low <= proposed <= high:
            proposed = 0.5 * (low + high) if high < math.inf else 2.0 * max(tau2, float(vi.min()))
            enough = 4 * _EPS * proposed
        if abs(proposed - tau2) <= enough:
            return proposed
        tau2 = proposed
        q, slope = q_statistic(yi, vi, tau2, X)
        if q > target:
            low = tau2
        elif q < target:
            high = tau2
        else:
            return tau2
        if high < math.inf and high - low <= 4 * _EPS * high:
            return tau2
    if high < math.inf and high - low <= 1e-9 * (high + q / slope):
        return tau2  # a design with large numbers blurs Q by more than its last digits
    raise ConvergenceError(f"no tau2 was found at which Q equals {target:g}; please report the effects and variances")


def tau2_pm(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by Paule and Mandel's estimator: Q equals its degrees of freedom.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative.

    References
    ----------
    Paule & Mandel (1982), J Res Natl Bur Stand 87:377-385.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_pm(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0975
    """
    return profile_q(yi, vi, float(degrees_of_freedom(yi, X)), X) or 0.0


def tau2_eb(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by Morris's empirical Bayes estimator, which solves Paule and Mandel's equation.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative; equal to `tau2_pm`.

    References
    ----------
    Morris (1983), J Am Stat Assoc 78:47-55; Viechtbauer, Lopez-Lopez, Sanchez-Meca & Marin-Martinez (2015),
    Psychol Methods 20:360-374, for the equality.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_eb(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0975
    """
    return tau2_pm(yi, vi, X)


def tau2_pmm(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by the median-unbiased Paule-Mandel estimator: Q equals its median.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative.

    References
    ----------
    Viechtbauer (2021), in Handbook of Meta-Analysis, chapter 5 (Schmid, Stijnen & White, eds).

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_pmm(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.155
    """
    return profile_q(yi, vi, chi2_quantile(0.5, degrees_of_freedom(yi, X)), X) or 0.0


def tau2_genqm(
    yi: FloatArray, vi: FloatArray, X: FloatArray | None = None, *, weights: FloatArray | None = None
) -> float:
    """Between-study variance by the median-unbiased generalised moment estimator.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.
    weights : array of shape (k,), optional
        The weights of Q; ``1 / sqrt(vi)`` when left out.

    Returns
    -------
    float
        The tau2 under which Q is as likely to be above as below what was observed; never negative.

    References
    ----------
    Viechtbauer (2021), in Handbook of Meta-Analysis, chapter 5; Jackson (2013), Res Synth Methods 4:220-229.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_genqm(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.1506
    """
    return invert_generalised_q(yi, vi, 0.5, 1.0 / np.sqrt(vi) if weights is None else weights, X) or 0.0


def invert_generalised_q(
    yi: FloatArray, vi: FloatArray, probability: float, weights: FloatArray, X: FloatArray | None = None
) -> float | None:
    """Find the tau2 under which Q with fixed weights is at most the observed one with a given probability.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    probability : float
        Between 0 and 1; the solution falls as it grows.
    weights : array of shape (k,)
        The weights of Q.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float or None
        The solution, without an upper limit; None when the probability is lower already at zero.

    References
    ----------
    Jackson (2013), Res Synth Methods 4:220-229.

    Examples
    --------
    >>> import numpy as np
    >>> vi = np.array([0.5, 0.5])
    >>> round(invert_generalised_q(np.array([0.0, 2.0]), vi, 0.5, 1 / vi), 4)
    3.8962
    """
    from scipy.optimize import brentq

    q, _ = q_statistic(yi, 1.0 / weights, 0.0, X)
    scale = float(vi.min())

    def excess(log_total: float) -> float:
        return generalised_q_cdf(q, vi, max(0.0, math.exp(log_total) - scale), weights, X) - probability

    low = math.log(scale)
    if excess(low) <= 0.0:
        return None
    high = low + 1.0
    while excess(high) > 0.0:
        high += high - low
    root = brentq(excess, low, high, xtol=4 * _EPS, rtol=8 * _EPS, maxiter=500)
    return max(0.0, math.exp(root) - scale)
