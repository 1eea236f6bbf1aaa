"""p-curve: what the distribution of significant p values says of the power behind them.

Without an effect significant p values are uniform; with one, small ones are more frequent. Each study is a two-sided
normal test, its square a chi-squared with 1 df.

References
----------
Simonsohn, Nelson & Simmons (2014), J Exp Psychol Gen 143:534-547; Simonsohn, Nelson & Simmons (2014), Perspect Psychol
Sci 9:666-681; Simonsohn, Simmons & Nelson (2015), J Exp Psychol Gen 144:1146-1152 (half p-curve, Stouffer's method).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtr, bdtrc, log_ndtr, ndtr, ndtri, ndtri_exp

from metapeer.pooling.weighted import FloatArray

__all__ = ["Curve", "Stouffer", "curve_tests", "expected_shares", "noncentrality", "power_interval"]

ALPHA = 0.05
"""p-curve is defined by this level; its rules of evidence hold for no other."""
HALF = 0.5 * ALPHA
FLAT = 1.0 / 3.0
"""Power that the test of flatness supposes."""
LEAST, MOST = 0.05, 0.99
"""Powers that are told apart, as in the authors' program."""


@dataclass(frozen=True, slots=True)
class Stouffer:
    """Stouffer's test of p values of p values.

    Parameters
    ----------
    k : int
        p values.
    z, p_value : float
        The sum of normal quantiles over the root of `k`, and its lower tail; NaN without p values.
    """

    k: int
    z: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What p-curve finds.

    Parameters
    ----------
    right_full, right_half : Stouffer
        Tests that the curve is no steeper to the right than without an effect, from p < 0.05 and from p < 0.025.
    flat_full, flat_half : Stouffer
        Tests that it is no flatter than at 33% power.
    small : int
        p values below 0.025.
    right_binomial, flat_binomial : float
        One-sided p values of that number: so many or more if half were expected, and so few or fewer if as many as at
        33% power.
    """

    right_full: Stouffer
    right_half: Stouffer
    flat_full: Stouffer
    flat_half: Stouffer
    small: int
    right_binomial: float
    flat_binomial: float


def _tail(z: FloatArray | float, ncp: float) -> FloatArray:
    """Probability of a larger absolute value of a normal variable with this mean."""
    return np.asarray(ndtr(ncp - np.asarray(z)) + ndtr(-ncp - np.asarray(z)))


def noncentrality(power: float, alpha: float = ALPHA) -> float:
    """Mean of the normal statistic that gives a two-sided test its power.

    Parameters
    ----------
    power : float
        Above `alpha`.
    alpha : float, default 0.05
        Level of the test.

    Returns
    -------
    float
        The mean, not negative.

    Examples
    --------
    >>> round(noncentrality(0.8), 4), noncentrality(0.05)
    (2.8016, 0.0)
    """
    reach = -float(ndtri(alpha / 2.0))
    if power <= alpha:
        return 0.0
    return float(brentq(lambda ncp: float(_tail(reach, ncp)) - power, 0.0, reach + 40.0, xtol=1e-14, rtol=1e-13))


def expected_shares(power: float, limits: FloatArray) -> FloatArray:
    """Share of significant p values at or below limits, if studies have one power.

    Parameters
    ----------
    power : float
        Of a test at 5%.
    limits : array
        From 0 to 0.05.

    Returns
    -------
    array
        Shares, from 0 to 1.

    Examples
    --------
    >>> expected_shares(1 / 3, np.array([0.01, 0.05])).round(4).tolist()
    [0.4425, 1.0]
    """
    ncp = noncentrality(power)
    reach = np.where(limits > 0.0, -ndtri(np.maximum(limits, 1e-300) / 2.0), np.inf)
    return np.asarray(_tail(reach, ncp) / float(_tail(-float(ndtri(HALF)), ncp)))


_HIGHEST = float(-ndtri(2.2e-16))
"""p values of p values end at the precision of doubles from 1, as in the authors' program, and for flatness from 0."""


def _stouffer(scores: FloatArray) -> Stouffer:
    """Combine p values of p values, given as their normal quantiles."""
    if not scores.size:
        return Stouffer(0, math.nan, math.nan)
    z = float(np.minimum(scores, _HIGHEST).sum()) / math.sqrt(scores.size)
    return Stouffer(int(scores.size), z, float(ndtr(z)))


def _quantiles(log_pp: FloatArray) -> FloatArray:
    """Normal quantiles of probabilities given as logarithms, so that the smallest p values keep their weight."""
    return np.asarray(np.where(log_pp >= 0.0, np.inf, ndtri_exp(np.minimum(log_pp, -1e-300))))


def _log_p(z: FloatArray) -> FloatArray:
    return np.asarray(math.log(2.0) + log_ndtr(-z))


def _against(z: FloatArray, power: float, limit: float) -> FloatArray:
    """Normal quantile of the chance of a p value at least as large as observed, given that it is below a limit.

    It is taken from the chance of a smaller one, which keeps its digits where that is small.
    """
    ncp = noncentrality(power)
    most = float(_tail(-float(ndtri(limit / 2.0)), ncp))
    with np.errstate(divide="ignore"):
        smaller = np.log(np.minimum(_tail(z, ncp) / most, 1.0))
    return np.asarray(np.clip(-_quantiles(smaller), -_HIGHEST, _HIGHEST))


def curve_tests(z: FloatArray) -> Curve:
    """Test the shape of the curve.

    Parameters
    ----------
    z : array of shape (k,)
        Absolute values of normal statistics, significant ones and others.

    Returns
    -------
    Curve
        Tests of right skew and of flatness.

    Examples
    --------
    >>> found = curve_tests(np.array([2.1, 3.0, 2.6, 3.4, 1.2]))
    >>> found.right_full.k, found.small, round(found.right_full.z, 3), round(found.right_full.p_value, 4)
    (4, 3, -2.072, 0.0191)
    """
    log_p = _log_p(z)
    full, half = log_p < math.log(ALPHA), log_p < math.log(HALF)
    k, small = int(full.sum()), int(half.sum())
    share = float(expected_shares(FLAT, np.array([HALF]))[0])
    return Curve(
        _stouffer(_quantiles(log_p[full] - math.log(ALPHA))),
        _stouffer(_quantiles(log_p[half] - math.log(HALF))),
        _stouffer(_against(z[full], FLAT, ALPHA)),
        _stouffer(_against(z[half], FLAT, HALF)),
        small,
        (float(bdtrc(small - 1, k, 0.5)) if small else 1.0) if k else math.nan,
        float(bdtr(small, k, share)) if k else math.nan,
    )


def power_interval(z: FloatArray, level: float) -> tuple[float, float, float]:
    """Estimate the mean power of the significant studies.

    At the estimate the observed p values are, on Stouffer's scale, neither too large nor too small for tests of that
    power; at the ends of the interval they are at the quantiles of a normal.

    Parameters
    ----------
    z : array of shape (k,)
        Absolute values of normal statistics.
    level : float
        Of the interval.

    Returns
    -------
    estimate, low, high : float
        Powers, from 0.05 to 0.99; NaN without significant studies.

    Examples
    --------
    >>> [round(value, 3) for value in power_interval(np.array([2.1, 3.0, 2.6, 3.4, 2.9]), 0.9)]
    [0.588, 0.139, 0.898]
    """
    used = z[_log_p(z) < math.log(ALPHA)]
    if not used.size:
        return math.nan, math.nan, math.nan

    def score(power: float) -> float:
        return _stouffer(_against(used, power, ALPHA)).z

    def at(target: float) -> float:
        if score(LEAST) <= target:
            return LEAST
        if score(MOST) >= target:
            return MOST
        return float(brentq(lambda power: score(power) - target, LEAST, MOST, xtol=1e-12))

    tail = float(ndtri(0.5 * (1.0 + level)))
    return at(0.0), at(tail), at(-tail)
