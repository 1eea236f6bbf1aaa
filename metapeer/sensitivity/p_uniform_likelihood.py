"""p-uniform*: mean and variance of true effects from all studies, significant or not.

Each study is taken conditional on the side of significance it is on, so that its chance of being published may differ
between the sides by any factor.

References
----------
van Aert & van Assen (2018), Correcting for publication bias in a meta-analysis with the p-uniform* method, MetaArXiv
doi 10.31222/osf.io/zqjr9.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_ndtr

from metapeer.pooling.intervals import chi2_quantile, chi2_tail
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.copas_likelihood import hazard

__all__ = ["PUniformStarFit", "p_uniform_star_fit", "star_log_likelihood"]

_GRID = 160
_DOUBLINGS = 20
_STEPS = 50


def _signed(yi: FloatArray, critical: FloatArray) -> FloatArray:
    return np.where(yi >= critical, 1.0, -1.0)


def star_log_likelihood(
    mu: FloatArray, tau2: FloatArray, yi: FloatArray, vi: FloatArray, critical: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log-likelihood with its slopes in the mean and in tau2.

    Parameters
    ----------
    mu, tau2 : array of shape (m,)
        Mean and variance of true effects.
    yi, vi, critical : array of shape (k,)
        Effects, their variances, and the effects from which on they are significant.

    Returns
    -------
    value, by_mu, by_tau2 : array of shape (m,)
        Without ``-k log(2 pi) / 2``.

    Examples
    --------
    >>> value, *_ = star_log_likelihood(np.array([0.2]), np.array([0.0]), np.array([0.5, 0.1]), np.array([0.04, 0.04]),
    ...                                 np.array([0.392, 0.392]))
    >>> value.round(4).tolist()
    [3.9341]

    [3.9341]
    """
    total = vi + tau2[:, None]
    spread = np.sqrt(total)
    side = _signed(yi, critical)
    residual, gap = yi - mu[:, None], mu[:, None] - critical
    z = side * gap / spread
    value = (-0.5 * np.log(total) - 0.5 * residual**2 / total - log_ndtr(z)).sum(axis=1)
    h = hazard(z)
    by_mu = (residual / total - side * h / spread).sum(axis=1)
    by_tau2 = (0.5 * (residual**2 / total - 1.0) / total + 0.5 * h * z / total).sum(axis=1)
    return value, by_mu, by_tau2


@dataclass(frozen=True, slots=True)
class PUniformStarFit:
    """What p-uniform* finds.

    Parameters
    ----------
    estimate, low, high : float
        Mean of true effects and its profile-likelihood interval; an end is infinite where the likelihood never falls
        far enough.
    tau2, tau2_low, tau2_high : float
        Variance of true effects with its interval.
    log_likelihood : float
        At the maximum.
    slope : float
        Length of the gradient in standard errors of a unit of log-likelihood; near 0 at a maximum.
    null_statistic, null_p : float
        Likelihood-ratio test of a mean of 0.
    het_statistic, het_p : float
        Likelihood-ratio test of no variance, against half of chi-squared.
    """

    estimate: float
    low: float
    high: float
    tau2: float
    tau2_low: float
    tau2_high: float
    log_likelihood: float
    slope: float
    null_statistic: float
    null_p: float
    het_statistic: float
    het_p: float


class _Profile:
    """The likelihood, maximised over one parameter while the other is held."""

    def __init__(self, yi: FloatArray, vi: FloatArray, critical: FloatArray) -> None:
        self.data = (yi, vi, critical)
        self.unit = float(vi.min())
        self.centre, self.reach = float(yi.mean()), float(np.ptp(yi) + np.sqrt(vi.max()))
        top = 100.0 * (float(np.ptp(yi)) ** 2 + float(vi.max()))
        self.grid = np.concatenate([[0.0], np.geomspace(1e-4 * self.unit, top, _GRID)])

    def mean_at(self, tau2: FloatArray) -> FloatArray:
        """The best means for values of tau2: bisection of the slope, which falls (log-concavity of normal tails)."""
        low = np.full(tau2.shape, self.centre - self.reach)
        high = np.full(tau2.shape, self.centre + self.reach)
        for sign in (1.0, -1.0):
            ends = low if sign > 0 else high
            width = np.full(tau2.shape, self.reach)
            for _ in range(_DOUBLINGS):
                out = sign * star_log_likelihood(ends, tau2, *self.data)[1] <= 0.0
                if not out.any():
                    break
                width = np.where(out, 2.0 * width, width)
                np.subtract(ends, np.where(out, sign * width, 0.0), out=ends)
        for _ in range(_STEPS):
            middle = 0.5 * (low + high)
            rising = star_log_likelihood(middle, tau2, *self.data)[1] > 0.0
            low, high = np.where(rising, middle, low), np.where(rising, high, middle)
        return np.asarray(0.5 * (low + high))

    def by_tau2(self, tau2: float) -> tuple[float, float]:
        """Height over the mean at one tau2, and the mean."""
        held = np.array([tau2])

        def slope(mu: float) -> float:
            return float(star_log_likelihood(np.array([mu]), held, *self.data)[1][0])

        low, high = self.centre - self.reach, self.centre + self.reach
        width = self.reach
        for _ in range(_DOUBLINGS):
            if slope(low) > 0.0:
                break
            width *= 2.0
            low -= width
        width = self.reach
        for _ in range(_DOUBLINGS):
            if slope(high) < 0.0:
                break
            width *= 2.0
            high += width
        # Far out the slope is a difference of equal numbers: the likelihood is flat there, and any place is as good.
        mean = low if slope(low) <= 0.0 else high if slope(high) >= 0.0 else 0.0
        if slope(low) > 0.0 > slope(high):
            mean = float(brentq(slope, low, high, xtol=1e-15 * self.reach, rtol=1e-14))
        return float(star_log_likelihood(np.array([mean]), held, *self.data)[0][0]), mean

    def by_mean(self, mu: float) -> tuple[float, float]:
        """Height over tau2 at one mean, and tau2."""
        heights = star_log_likelihood(np.full(self.grid.shape, mu), self.grid, *self.data)[0]
        return self._refine(
            lambda t: float(star_log_likelihood(np.array([mu]), np.array([t]), *self.data)[0][0]), heights
        )

    def best(self) -> tuple[float, float]:
        """Height of the whole and its tau2."""
        heights = star_log_likelihood(self.mean_at(self.grid), self.grid, *self.data)[0]
        return self._refine(lambda t: self.by_tau2(t)[0], heights)

    def _refine(self, height: Callable[[float], float], heights: FloatArray) -> tuple[float, float]:
        at = int(heights.argmax())
        value, place = float(heights[at]), float(self.grid[at])
        low, high = self.grid[max(at - 1, 0)], self.grid[min(at + 1, self.grid.size - 1)]
        found = minimize_scalar(
            lambda t: -height(t), bounds=(low, high), method="bounded", options={"xatol": 1e-11 * (high + self.unit)}
        )
        if -found.fun > value:
            value, place = float(-found.fun), float(found.x)
        return value, place


def p_uniform_star_fit(yi: FloatArray, vi: FloatArray, critical: FloatArray, *, level: float) -> PUniformStarFit:
    """Maximise the likelihood and follow its profiles.

    Parameters
    ----------
    yi, vi, critical : array of shape (k,)
        Effects, their variances, and the effects from which on they are significant.
    level : float
        Of the intervals.

    Returns
    -------
    PUniformStarFit
        Estimates, intervals and tests.

    Examples
    --------
    >>> yi, vi = np.array([0.5, 0.1, 0.7, 0.3, 0.45]), np.full(5, 0.04)
    >>> found = p_uniform_star_fit(yi, vi, np.full(5, 0.392), level=0.95)
    >>> round(found.estimate, 3), round(found.tau2, 3), found.slope < 1e-5
    (0.352, 0.001, True)
    """
    profile = _Profile(yi, vi, critical)
    _, tau2 = profile.best()
    tau2 = _polished(profile, tau2)
    peak, estimate = profile.by_tau2(tau2)
    _, by_mu, by_tau2 = star_log_likelihood(np.array([estimate]), np.array([tau2]), yi, vi, critical)
    drop = 0.5 * chi2_quantile(1.0 - level, 1)
    unit = math.sqrt(1.0 / float((1.0 / (vi + tau2)).sum()))

    def crossing(height: Callable[[float], float], start: float, step: float, stop: float) -> float:
        """Go out until the profile has fallen by `drop`."""
        inside, far = start, step
        for _ in range(_DOUBLINGS):
            outside = start + far
            if outside <= stop:
                if peak - height(stop) <= drop:
                    return stop
                outside = stop
            if peak - height(outside) > drop:
                return float(
                    brentq(
                        lambda value: peak - height(value) - drop,
                        min(inside, outside),
                        max(inside, outside),
                        xtol=1e-13 * abs(step),
                        rtol=1e-12,
                    )
                )
            inside, far = outside, 2.0 * far
        return math.copysign(math.inf, step)

    null = max(0.0, 2.0 * (peak - profile.by_mean(0.0)[0]))
    het = max(0.0, 2.0 * (peak - profile.by_tau2(0.0)[0]))
    return PUniformStarFit(
        estimate,
        crossing(lambda mu: profile.by_mean(mu)[0], estimate, -unit, -math.inf),
        crossing(lambda mu: profile.by_mean(mu)[0], estimate, unit, -math.inf),
        tau2,
        crossing(lambda t: profile.by_tau2(t)[0], tau2, -max(tau2, profile.unit), 0.0) if tau2 > 0.0 else 0.0,
        crossing(lambda t: profile.by_tau2(t)[0], tau2, max(tau2, profile.unit), -math.inf),
        peak,
        math.hypot(float(by_mu[0]) * unit, 0.0 if tau2 == 0.0 else float(by_tau2[0]) * unit**2),
        null,
        chi2_tail(null, 1),
        het,
        0.5 * chi2_tail(het, 1) if het > 0.0 else 1.0,
    )


def _polished(profile: _Profile, tau2: float) -> float:
    """Sharpen tau2 by the slope of the profile, where its height is too flat to tell."""
    if tau2 <= 0.0:
        return 0.0

    def slope(value: float) -> float:
        _, mean = profile.by_tau2(value)
        return float(star_log_likelihood(np.array([mean]), np.array([value]), *profile.data)[2][0])

    low, high = tau2 * (1.0 - 1e-4), tau2 * (1.0 + 1e-4)
    if slope(low) > 0.0 > slope(high):
        return float(brentq(slope, low, high, xtol=1e-300, rtol=1e-13))
    return 0.0 if slope(0.0) <= 0.0 and profile.by_tau2(0.0)[0] >= profile.by_tau2(tau2)[0] - 1e-12 else tau2
