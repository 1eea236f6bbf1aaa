"""Scores and moments of counts of events, for tests of asymmetry.

They do not depend on one another when there is no bias, as the log odds ratio and its variance do.
Arm 1 has `a` events among `n1`, arm 2 has `c` among `n2`.
"""

import math

import numpy as np
from scipy.special import gammaln

from metapeer.errors import MetapeerError
from metapeer.pooling.weighted import FloatArray

__all__ = ["efficient_score", "hypergeometric_moments", "mantel_haenszel_odds_ratio"]

MOST = 5_000_000
"""Events up to which the hypergeometric distribution is summed."""


def efficient_score(a: FloatArray, n1: FloatArray, c: FloatArray, n2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Score of the log odds ratio at no effect, and its variance with the margins given.

    Parameters
    ----------
    a, n1, c, n2 : array of shape (k,)
        Events and participants of the arms.

    Returns
    -------
    Z, V : array of shape (k,)
        Observed less expected events, and Fisher's information; their ratio is Peto's log odds ratio.

    References
    ----------
    Harbord, Egger & Sterne (2006), Stat Med 25:3443-3457.

    Examples
    --------
    >>> Z, V = efficient_score(*np.array([[4.0], [20.0], [8.0], [20.0]]))
    >>> float(Z[0]), round(float(V[0]), 4)
    (-2.0, 2.1538)
    """
    events, n = a + c, n1 + n2
    return a - events * n1 / n, n1 * n2 * events * (n - events) / (n**2 * (n - 1.0))


def mantel_haenszel_odds_ratio(a: FloatArray, n1: FloatArray, c: FloatArray, n2: FloatArray) -> float:
    """The Mantel-Haenszel odds ratio, without any correction of zeros.

    Parameters
    ----------
    a, n1, c, n2 : array of shape (k,)
        Events and participants of the arms.

    Returns
    -------
    float
        0, infinite or NaN where it is not determined.

    Examples
    --------
    >>> mantel_haenszel_odds_ratio(*np.array([[4.0, 6.0], [20.0, 30.0], [8.0, 12.0], [20.0, 30.0]]))
    0.375
    """
    n = n1 + n2
    above, below = float((a * (n2 - c) / n).sum()), float((c * (n1 - a) / n).sum())
    if below > 0.0:
        return above / below
    return math.inf if above > 0.0 else math.nan


def hypergeometric_moments(n1: float, n2: float, events: float, odds_ratio: float) -> tuple[float, float]:
    """Mean and variance of the events in arm 1 with all margins given.

    Parameters
    ----------
    n1, n2 : float
        Participants of the arms.
    events : float
        Events in both arms.
    odds_ratio : float
        Positive and finite.

    Returns
    -------
    mean, variance : float
        Of Fisher's noncentral hypergeometric distribution.

    Raises
    ------
    MetapeerError
        If there are more than 5 million events.

    References
    ----------
    Liao & Rosen (2001), Am Stat 55:366-369.

    Examples
    --------
    >>> mean, variance = hypergeometric_moments(20, 20, 12, 1.0)
    >>> round(mean, 4), round(variance, 4)
    (6.0, 2.1538)
    """
    if min(n1, events) > MOST:
        raise MetapeerError(f"more than {MOST:,} events: this test is for sparse counts; use peters_test()")
    x = np.arange(max(0.0, events - n2), min(n1, events) + 1.0)
    log_share = -(gammaln(x + 1) + gammaln(n1 - x + 1) + gammaln(events - x + 1) + gammaln(n2 - events + x + 1))
    log_share += x * math.log(odds_ratio)
    share = np.exp(log_share - log_share.max())
    share /= share.sum()
    mean = float(share @ x)
    return mean, float(share @ (x - mean) ** 2)
