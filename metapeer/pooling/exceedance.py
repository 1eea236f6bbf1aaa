"""How much of the distribution of true effects lies above a threshold, and how well that is known.

Under random effects the true effects are normal with mean mu and standard deviation tau; the share above a threshold c
is ``Phi((mu - c) / tau)``. What is uncertain about it is uncertain about the one number ``(mu - c) / tau``.

References
----------
Mathur & VanderWeele (2019), Stat Med 38:1336-1342.
"""

import math

import numpy as np
from scipy.special import expit, ndtr

from metapeer.pooling.intervals import Interval, chi2_quantile, normal_quantile
from metapeer.pooling.tau2_intervals import likelihood_interval
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import FloatArray, log_likelihood

__all__ = ["SHARE_WORDS", "delta_interval_of_share", "likelihood_interval_of_share", "share_above"]

SHARE_WORDS = {"PL": "profile likelihood", "delta": "delta method", "delta.logit": "delta method, logit scale"}
"""How intervals for the share call themselves, by code."""


_POINTS = 200
"""Of the grid on which the highest value is bracketed, even in log(tau2 + min(vi))."""
_ZOOMS, _ZOOMED = 8, 21
"""Each zoom has so many points between the neighbours of the best, and narrows the bracket by 10."""
_CELLS = 1_000_000
"""Largest number of cells of a table of weights; with more studies fewer values of tau2 are evaluated at once."""
_TINY, _EPS = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).eps)


def share_above(threshold: float, *, estimate: float, tau2: float) -> float:
    """Share of true effects above a threshold when mean and variance are what they were estimated to be.

    Parameters
    ----------
    threshold : float
        In the units of the effects.
    estimate, tau2 : float
        Mean and variance of the true effects.

    Returns
    -------
    float
        ``Phi((estimate - threshold) / tau)``; without heterogeneity 0 or 1, and NaN when the estimate is the threshold.

    Examples
    --------
    >>> round(share_above(0.0, estimate=0.2, tau2=0.04), 4), share_above(0.0, estimate=0.2, tau2=0.0)
    (0.8413, 1.0)
    """
    distance = estimate - threshold
    if tau2 > 0.0:
        return _share(distance / math.sqrt(tau2))
    return math.nan if distance == 0.0 else float(distance > 0.0)


def likelihood_interval_of_share(
    yi: FloatArray, vi: FloatArray, threshold: float, level: float, *, restricted: bool
) -> Interval:
    """Profile-likelihood interval for the share of true effects above a threshold.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances; k at least 2.
    threshold : float
        In the units of the effects.
    level : float
        Confidence level.
    restricted : bool
        True to put the restricted likelihood of tau2 in the place of the likelihood.

    Returns
    -------
    Interval
        From the lowest to the highest share that the likelihood-ratio test does not reject. Where ``tau2 = 0`` is not
        rejected either, true effects may all lie on one side, and the interval reaches to 0 or 1; where a common
        effect at the threshold is not rejected, every share is possible, and it goes from 0 to 1. In no other case is
        an end exactly 0 or 1.

    Notes
    -----
    The highest share is that of the highest ``(mu - c) / tau`` with which ``(mu, tau2)`` lies in the likelihood region.
    Given tau2 the log-likelihood is a parabola in mu, so that the highest mu is known in closed form and a search over
    tau2 alone remains. Cox and Reid's adjustment for the estimation of mu, ``-log(sum(w)) / 2``, makes the likelihood
    of tau2 the restricted one.

    References
    ----------
    Hardy & Thompson (1996), Stat Med 15:619-629; Cox & Reid (1987), J R Stat Soc B 49:1-39.

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.3, 0.8, 0.7, -0.2, 0.5]), np.full(6, 0.02)
    >>> low, high = likelihood_interval_of_share(yi, vi, 0.2, 0.95, restricted=True)
    >>> round(low, 3), round(high, 3)
    (0.336, 0.93)
    """
    above = yi - threshold
    region = _Region(above, vi, level, restricted=restricted)
    low, high = (_share(side * region.highest(side)) for side in (-1.0, 1.0))
    return Interval(low, high, level, f"{SHARE_WORDS['PL']} ({'REML' if restricted else 'ML'})")


def _share(distance: float) -> float:
    """Share above the threshold; only what is infinitely far is 0 or 1, though ndtr rounds to them long before."""
    if math.isinf(distance):
        return float(distance > 0.0)
    return min(max(float(ndtr(distance)), _TINY), 1.0 - _EPS)


class _Region:
    """All (mu, tau2) that a likelihood-ratio test with one degree of freedom does not reject."""

    def __init__(self, yi: FloatArray, vi: FloatArray, level: float, *, restricted: bool) -> None:
        self.yi, self.vi, self.restricted = yi, vi, restricted
        best = maximise(yi, vi, restricted=restricted)
        peaks = np.array([best.tau2, *(tau2 for tau2, _ in best.others)])
        top = float(log_likelihood(yi, vi, peaks[:1], restricted=restricted)[0])
        self.bar = top - 0.5 * chi2_quantile(1.0 - level, 1)
        self.low, high = likelihood_interval(yi, vi, level, restricted=restricted)
        self.smallest = float(vi.min())
        ends = math.log(self.low + self.smallest), math.log(high + self.smallest)
        marks = np.log(peaks + self.smallest)
        self.grid = np.union1d(np.linspace(*ends, _POINTS), marks[(marks >= ends[0]) & (marks <= ends[1])])
        self.means = self._means(self._tau2(self.grid))

    def _tau2(self, logs: FloatArray) -> FloatArray:
        return np.maximum(np.exp(logs) - self.smallest, _TINY)

    def _means(self, tau2: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Middle and half-width of the means in the region at each tau2; a half-width of NaN where there are none."""
        rows = max(1, _CELLS // self.yi.size)
        middle, half = np.empty(tau2.size), np.empty(tau2.size)
        for first in range(0, tau2.size, rows):
            part = slice(first, first + rows)
            w = 1.0 / (self.vi + tau2[part, None])
            s1 = w.sum(axis=1)
            height = log_likelihood(self.yi, self.vi, tau2[part], restricted=self.restricted)
            room = 2.0 * (height - self.bar)
            middle[part] = w @ self.yi / s1
            half[part] = np.sqrt(np.where(room >= 0.0, room, np.nan) / s1)
        return middle, half

    def highest(self, side: float) -> float:
        """Highest ``side * mu / tau``; infinite when the region holds tau = 0 with a mean not on the other side."""
        if self.low == 0.0:
            middle, half = self._means(np.zeros(1))
            if side * middle[0] + half[0] >= 0.0:
                return math.inf
        grid, (middle, half) = self.grid, self.means
        top = -math.inf
        for _ in range(_ZOOMS):
            values = (side * middle + half) / np.sqrt(self._tau2(grid))
            if np.isnan(values).all():
                break  # the bracket has closed on an edge of the region
            place = int(np.nanargmax(values))
            top = max(top, float(values[place]))
            grid = np.linspace(grid[max(place - 1, 0)], grid[min(place + 1, grid.size - 1)], _ZOOMED)
            middle, half = self._means(self._tau2(grid))
        return top


def delta_interval_of_share(
    threshold: float, *, estimate: float, se: float, tau2: float, tau2_se: float, level: float, logits: bool
) -> Interval:
    """Delta-method interval for the share of true effects above a threshold; poor when it is near 0 or 1.

    Parameters
    ----------
    threshold : float
        In the units of the effects.
    estimate, se : float
        Mean of the true effects and its standard error.
    tau2, tau2_se : float
        Their variance, above 0, and its standard error.
    level : float
        Confidence level.
    logits : bool
        Whether the interval is symmetric on the logit scale; otherwise it is on that of the share, and is cut off at 0
        and 1.

    Returns
    -------
    Interval
        With a normal quantile. The estimates of mean and variance count as independent.

    References
    ----------
    Mathur & VanderWeele (2019), Stat Med 38:1336-1342.

    Examples
    --------
    >>> numbers = {"estimate": 0.3, "se": 0.1, "tau2": 0.04, "tau2_se": 0.02, "level": 0.95}
    >>> [round(end, 4) for end in delta_interval_of_share(0.2, **numbers, logits=False)]
    [0.3358, 1.0]
    >>> [round(end, 4) for end in delta_interval_of_share(0.2, **numbers, logits=True)]
    [0.2973, 0.9223]
    """
    distance = (estimate - threshold) / math.sqrt(tau2)
    share = float(ndtr(distance))
    # d(distance) = d(mu) / tau - distance d(tau2) / (2 tau2)
    spread = math.hypot(se / math.sqrt(tau2), distance * tau2_se / (2.0 * tau2))
    half = normal_quantile(level) * spread * math.exp(-0.5 * distance * distance) / math.sqrt(2.0 * math.pi)
    if not logits:
        return Interval(max(0.0, share - half), min(1.0, share + half), level, SHARE_WORDS["delta"])
    rest = float(ndtr(-distance))  # 1 - share would lose its digits near 1
    if share == 0.0 or rest == 0.0:
        return Interval(math.nan, math.nan, level, SHARE_WORDS["delta.logit"])
    centre, reach = math.log(share / rest), half / (share * rest)
    return Interval(float(expit(centre - reach)), float(expit(centre + reach)), level, SHARE_WORDS["delta.logit"])
