"""The power of a test whose statistic has a scale estimated from the studies themselves.

In k studies of one variance v with normal effects around their mean, the sum of squares between hypotheses is
``(v + tau2)`` times a noncentral chi-squared variable, and the mean square within is ``(v + tau2) X / df`` with X
chi-squared and independent of it. Every moment and likelihood estimator of tau2 is then ``max(0, mean square - v)``, so
that a test that divides by ``v + tau2_hat`` divides by ``max(v, mean square)``, and one with Hartung and Knapp's scale
by the mean square. Both are one integral over X; the second is a noncentral t or F.

References
----------
Jackson & Turner (2017), Res Synth Methods 8:290-302 (the integral for the normal test of the mean); Hedges & Pigott
(2001), Psychol Methods 6:203-217, and (2004), Psychol Methods 9:426-445 (tau2 known).
"""

import math

import numpy as np
from scipy.special import chdtr, chndtr, gammaln, ndtr

from metapeer.pooling.weighted import FloatArray

__all__ = ["power_of_mean", "power_of_squares", "satterthwaite_df"]

_NODES = 40
"""Gauss and Legendre's nodes on each panel; integrands are smooth between the panels' ends."""
_LARGE = 1e6
"""Noncentrality from which the root of a noncentral chi-squared variable counts as normal."""
_REACH = 40.0
"""Where the density of the scale is left off: its logarithm has fallen by so much."""


def _panels(df: float, low: float, marks: list[float]) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights for an integral over the density of ``s = sqrt(X / df)`` from `low` up."""
    log_constant = math.log(2.0) + 0.5 * df * math.log(0.5 * df) - float(gammaln(0.5 * df))
    # -(df - 1) log s + df (s² - 1) / 2 exceeds the reach beyond this on both sides of the mode at nearly 1.
    spread = 1.0 / math.sqrt(2.0 * df)
    high = 1.0 + spread * math.sqrt(2.0 * _REACH) + 2.0 * _REACH * spread * spread
    least = max(low, 1.0 - spread * math.sqrt(2.0 * _REACH), 0.0) if df > 2.0 * _REACH else max(low, 0.0)
    ends = [least, high, *marks, *(1.0 + step * spread for step in (-6.0, -3.0, -1.0, 1.0, 3.0, 6.0))]
    ends = sorted({end for end in ends if least <= end <= high})
    if len(ends) < 2:
        return np.zeros(1), np.zeros(1)
    x, w = np.polynomial.legendre.leggauss(_NODES)
    left, right = np.array(ends[:-1])[:, None], np.array(ends[1:])[:, None]
    nodes = (0.5 * (left + right) + 0.5 * (right - left) * x).ravel()
    weights = (0.5 * (right - left) * w).ravel()
    with np.errstate(divide="ignore"):
        logs = log_constant + (df - 1.0) * np.log(nodes) - 0.5 * df * nodes * nodes
    return nodes, weights * np.exp(logs)


def power_of_mean(shift: float, critical: float, *, df: float, floor: float, alternative: str) -> float:
    """Probability that a normal estimate over an estimated scale passes its critical value.

    Parameters
    ----------
    shift : float
        True value over the true standard error.
    critical : float
        Positive critical value of the test.
    df : float
        Degrees of freedom of the estimated scale; infinite when the scale is known.
    floor : float
        Smallest value that the estimated over the true variance may take: v / (v + tau2) where tau2 is not estimated
        below zero, and 0 for a scale like Hartung and Knapp's.
    alternative : {"two-sided", "greater", "less"}
        On which side the test rejects.

    Returns
    -------
    float
        The power.

    Examples
    --------
    With a known scale this is the normal test; with a scale of its own, Student's:

    >>> from scipy.special import nctdtr, stdtrit
    >>> round(power_of_mean(2.5, 1.959964, df=np.inf, floor=1.0, alternative="two-sided"), 4)
    0.7054
    >>> t = stdtrit(9, 0.975)
    >>> power = power_of_mean(2.5, t, df=9, floor=0.0, alternative="greater")
    >>> abs(power - (1 - float(nctdtr(9, 2.5, t)))) < 1e-10
    True
    """

    def given(s: FloatArray) -> FloatArray:
        upper = ndtr(shift - critical * s) if alternative != "less" else 0.0
        lower = ndtr(-shift - critical * s) if alternative != "greater" else 0.0
        return np.asarray(upper + lower, dtype=np.float64)

    if math.isinf(df):
        return float(given(np.ones(1))[0])
    low = math.sqrt(floor)
    centre = abs(shift) / critical
    marks = [centre + step / critical for step in (-9.0, -4.0, -1.5, 0.0, 1.5, 4.0, 9.0)]
    nodes, weights = _panels(df, low, marks)
    below = float(chdtr(df, floor * df)) * float(given(np.array([low]))[0])
    return min(1.0, max(0.0, below + float((weights * given(nodes)).sum())))


def power_of_squares(noncentrality: float, critical: float, *, m: int, df: float, floor: float) -> float:
    """Probability that a sum of squares over an estimated scale passes its critical value.

    Parameters
    ----------
    noncentrality : float
        Of the chi-squared variable with m degrees of freedom.
    critical : float
        Critical value of the sum of squares in units of the scale: of chi-squared, or m times that of F.
    m : int
        Its degrees of freedom.
    df, floor : float
        As in `power_of_mean`.

    Returns
    -------
    float
        The power.

    Examples
    --------
    >>> from scipy.special import fdtri, ncfdtr
    >>> F = fdtri(2, 12, 0.95)
    >>> abs(power_of_squares(6.0, 2 * F, m=2, df=12, floor=0.0) - (1 - float(ncfdtr(2, 12, 6.0, F)))) < 1e-8
    True
    """

    def given(s: FloatArray) -> FloatArray:
        x = critical * s * s
        if noncentrality > _LARGE:
            # The root is normal but for terms in 1 / root(noncentrality), and chndtr gives up before that.
            middle = math.sqrt(noncentrality + 0.5 * (m - 1))
            return np.asarray(ndtr(middle - np.sqrt(x)) + ndtr(-middle - np.sqrt(x)), dtype=np.float64)
        if noncentrality > 0.0:
            return np.asarray(1.0 - chndtr(x, m, noncentrality), dtype=np.float64)
        return np.asarray(1.0 - chdtr(m, x), dtype=np.float64)

    if math.isinf(df):
        return float(given(np.ones(1))[0])
    low = math.sqrt(floor)
    centre = math.sqrt((m + noncentrality) / critical)
    width = 1.0 / math.sqrt(critical)
    marks = [centre + step * width for step in (-9.0, -4.0, -1.5, 0.0, 1.5, 4.0, 9.0)]
    nodes, weights = _panels(df, low, marks)
    below = float(chdtr(df, floor * df)) * float(given(np.array([low]))[0])
    return min(1.0, max(0.0, below + float((weights * given(nodes)).sum())))


def satterthwaite_df(weights: FloatArray) -> float:
    """Degrees of freedom of the cluster-robust variance of a mean, one weight for each cluster.

    Parameters
    ----------
    weights : array of shape (J,)
        Inverse variances of the clusters' means; J at least 2.

    Returns
    -------
    float
        J - 1 when the weights are equal, and fewer otherwise.

    References
    ----------
    Vembye, Pustejovsky & Pigott (2023), J Educ Behav Stat 48:70-102, equation 16.

    Examples
    --------
    >>> round(satterthwaite_df(np.ones(8)), 10), round(satterthwaite_df(np.array([1.0, 1.0, 1.0, 9.0])), 3)
    (7.0, 1.458)
    """
    # Equation 16 with its squares multiplied out: every term is positive, so that nothing cancels when one cluster
    # carries nearly all the weight.
    w = weights / weights.sum()
    leverage = w * w / _others(w)
    return float(1.0 / ((w * w).sum() + (leverage * _others(leverage)).sum()))


def _others(values: FloatArray) -> FloatArray:
    """Sum of all values but the one in each place, without a difference."""
    before = np.concatenate([[0.0], np.cumsum(values[:-1])])
    after = np.concatenate([np.cumsum(values[:0:-1])[::-1], [0.0]])
    return np.asarray(before + after, dtype=np.float64)
