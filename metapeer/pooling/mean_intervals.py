"""Intervals for the pooled effect beyond the normal, t and Hartung-Knapp ones.

Kenward-Roger corrects the variance and the degrees of freedom for the estimation of tau2; Henmi-Copas and IVhet keep
the weights of a common effect, which resist small-study effects, and allow for heterogeneity in the variance; the
profile likelihood inverts a likelihood-ratio test; the permutation test turns the signs of the effects.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from metapeer.errors import MetapeerError
from metapeer.pooling.intervals import Interval, chi2_quantile, chi2_tail
from metapeer.pooling.tau2 import tau2_dl
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import FloatArray, total, trace_pp

__all__ = [
    "KenwardRoger",
    "fixed_weight_se",
    "henmi_copas",
    "kenward_roger",
    "mean_likelihood_interval",
    "mean_likelihood_p",
    "sign_flip_p",
    "tau2_known_mean",
]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class KenwardRoger:
    """Kenward and Roger's standard error and degrees of freedom.

    Parameters
    ----------
    se : float
        Adjusted standard error of the pooled effect.
    df : float
        Degrees of freedom of its t distribution.
    """

    se: float
    df: float


def kenward_roger(vi: FloatArray, tau2: float) -> KenwardRoger:
    """Adjust the variance of a REML estimate for the estimation of tau2.

    Parameters
    ----------
    vi : array of shape (k,)
        Sampling variances; k at least 2.
    tau2 : float
        REML estimate of the between-study variance.

    Returns
    -------
    KenwardRoger
        With the expected information of tau2, and the adjusted variance in the degrees of freedom, as R meta has them.

    References
    ----------
    Kenward & Roger (1997), Biometrics 53:983-997; Partlett & Riley (2017), Stat Med 36:301-317.

    Examples
    --------
    >>> found = kenward_roger(np.array([0.02, 0.03, 0.04]), 0.0949)
    >>> round(found.se, 4), round(found.df, 3)
    (0.2045, 1.945)
    """
    w = 1.0 / (vi + tau2)
    s1, s2 = total(w), float(w.dot(w))
    information = 0.5 * trace_pp(w)
    # Phi_A = Phi + 2 Phi W (Q - P Phi P) Phi with Phi = 1/s1, P = -s2, Q = s3, W = 1/information; the numerator is a
    # weighted variance of the weights.
    spread = float(w.dot((w - s2 / s1) ** 2))
    variance = 1.0 / s1 + 2.0 * spread / (information * s1**2)
    return KenwardRoger(math.sqrt(variance), 2.0 * information / (s2 * variance) ** 2)


def fixed_weight_se(vi: FloatArray, tau2: float) -> float:
    """Standard error of the common-effect estimate when true effects vary.

    Parameters
    ----------
    vi : array of shape (k,)
        Sampling variances.
    tau2 : float
        Between-study variance.

    Returns
    -------
    float
        ``sqrt(sum(w² (vi + tau2))) / sum(w)`` with ``w = 1 / vi``.

    References
    ----------
    Doi et al. (2015), Contemp Clin Trials 45:130-138 (IVhet); Henmi & Copas (2010), Stat Med 29:2969-2983.

    Examples
    --------
    >>> round(fixed_weight_se(np.array([0.02, 0.03, 0.04]), 0.09), 4)
    0.2042
    """
    w = 1.0 / vi
    return math.sqrt(float((w * w).dot(vi + tau2))) / total(w)


def henmi_copas(yi: FloatArray, vi: FloatArray, level: float) -> float:
    """Half-width in standard errors of Henmi and Copas's interval around the common-effect estimate.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances; k at least 2.
    level : float
        Confidence level.

    Returns
    -------
    float
        What takes the place of the normal quantile; the standard error is `fixed_weight_se` with DerSimonian and
        Laird's tau2.

    References
    ----------
    Henmi & Copas (2010), Stat Med 29:2969-2983: the gamma approximation to Q given the pivot.

    Examples
    --------
    >>> round(henmi_copas(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]), 0.95), 2)
    3.0
    """
    from scipy.integrate import quad
    from scipy.optimize import brentq
    from scipy.special import gammainc

    k = yi.size
    w = 1.0 / vi
    w1 = total(w)
    w2, w3, w4 = (float((w**power).sum()) / w1 for power in (2, 3, 4))
    tau2 = tau2_dl(yi, vi)
    variance_ratio = 1.0 + tau2 * w2
    spread = math.sqrt(variance_ratio)  # of the pivot, in whose units the integral runs
    a = w1 - w2
    b = w3 - w2 * w2

    def gamma_of_q(r: float) -> tuple[float, float]:
        """Shape and scale of the gamma distribution that has the mean and variance of Q given the pivot r."""
        c = r * r / variance_ratio**2 - 1.0 / variance_ratio
        mean = (k - 1) + tau2 * a + tau2**2 * c * b
        variance = (
            2.0 * (k - 1)
            + 4.0 * tau2 * a
            + 2.0 * tau2**2 * (w1 * w2 - 2.0 * w3 + w2 * w2)
            + 4.0 * tau2**2 * c * b
            + 4.0 * tau2**3 * c * (w4 - 2.0 * w2 * w3 + w2**3)
            + 2.0 * tau2**4 * (1.0 / variance_ratio**2 - 2.0 * r * r / variance_ratio**3) * b * b
        )
        scale = variance / mean
        return mean / scale, scale

    def largest_q(ratio: float) -> float:
        return (w1 / w2 - 1.0) * (ratio * ratio - 1.0) + (k - 1)

    def excess(x: float) -> float:
        def density(r: float) -> float:
            shape, scale = gamma_of_q(spread * r)
            below = float(gammainc(shape, max(0.0, largest_q(r / x)) / scale))
            return below * math.exp(-0.5 * r * r) / math.sqrt(2.0 * math.pi)

        inside = quad(density, x, math.inf, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
        return float(inside) - 0.5 * (1.0 - level)

    high = 2.0
    while excess(high) > 0.0:
        high *= 2.0
    pivot = brentq(excess, 1e-8, high, xtol=1e-12)
    return float(pivot) * spread


def mean_likelihood_interval(yi: FloatArray, vi: FloatArray, level: float, *, factor: float = 1.0) -> Interval:
    """Profile-likelihood interval for the pooled effect, tau2 maximised out.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    level : float
        Confidence level.
    factor : float, default 1.0
        What the likelihood-ratio statistic is divided by, such as Bartlett's factor.

    Returns
    -------
    Interval
        From the lowest to the highest effect that the likelihood-ratio test does not reject.

    References
    ----------
    Hardy & Thompson (1996), Stat Med 15:619-629.

    Examples
    --------
    >>> interval = mean_likelihood_interval(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]), 0.95)
    >>> round(interval.low, 3), round(interval.high, 3)
    (-0.072, 0.857)
    """
    from scipy.optimize import brentq

    tau2 = maximise(yi, vi, restricted=False).tau2
    w = 1.0 / (vi + tau2)
    centre = float(w.dot(yi)) / total(w)
    bar = factor * chi2_quantile(1.0 - level, 1)
    se = 1.0 / math.sqrt(total(w))
    ends = []
    for side in (-1.0, 1.0):
        step = 2.0 * se
        while _likelihood_ratio(yi, vi, centre + side * step, tau2) < bar:
            step *= 1.5
        ends.append(
            brentq(
                lambda mu: _likelihood_ratio(yi, vi, mu, tau2) - bar,
                centre,
                centre + side * step,
                xtol=1e-13 * se,
                rtol=8 * _EPS,
            )
        )
    return Interval(ends[0], ends[1], level, "profile likelihood (ML)")


def _likelihood_ratio(yi: FloatArray, vi: FloatArray, mu: float, tau2_free: float) -> float:
    """Twice the log-likelihood lost when the pooled effect is held at `mu` and tau2 is maximised again."""
    w = 1.0 / (vi + tau2_free)
    residuals = yi - float(w.dot(yi)) / total(w)
    best = -float(np.log(w).sum()) + float((w * residuals).dot(residuals))
    # With the mean known the likelihood of tau2 is that of a model without coefficients.
    deviations = yi - mu
    tau2 = tau2_known_mean(deviations, vi)
    total_variance = vi + tau2
    held = float(np.log(total_variance).sum()) + float((deviations * deviations / total_variance).sum())
    return held - best


def tau2_known_mean(deviations: FloatArray, vi: FloatArray) -> float:
    """ML estimate of tau2 when the mean is known: the best of all points where the score changes sign.

    Parameters
    ----------
    deviations, vi : array of shape (k,)
        Effects less the mean, and their sampling variances.

    Returns
    -------
    float
        tau2, never negative.

    Examples
    --------
    >>> round(tau2_known_mean(np.array([-0.3, -0.1, 0.4]), np.full(3, 0.02)), 4)
    0.0667
    """
    from scipy.optimize import brentq

    squares = deviations * deviations

    def score(tau2: float) -> float:
        w = 1.0 / (vi + tau2)
        return float((w * w).dot(squares)) - total(w)

    upper = float(np.max(squares - vi))
    if upper <= 0.0:
        return 0.0  # every term of the score is negative
    low = float(vi.min())
    grid = low * np.expm1(np.linspace(0.0, math.log1p(upper * (1.0 + 1e-9) / low), 200))
    values = np.array([score(t) for t in grid])
    candidates = [0.0] + [
        float(brentq(score, grid[i], grid[i + 1], xtol=1e-15 * (grid[i] + low), rtol=8 * _EPS))
        for i in np.flatnonzero((values[:-1] > 0.0) & (values[1:] <= 0.0))
    ]

    def cost(tau2: float) -> float:
        return float(np.log(vi + tau2).sum() + (squares / (vi + tau2)).sum())

    return min(candidates, key=cost)


def mean_likelihood_p(yi: FloatArray, vi: FloatArray, *, factor: float = 1.0) -> float:
    """Likelihood-ratio test that the pooled effect is zero.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    factor : float, default 1.0
        What the statistic is divided by, such as Bartlett's factor.

    Returns
    -------
    float
        Its p value.

    Examples
    --------
    >>> round(mean_likelihood_p(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 3)
    0.077
    """
    ratio = _likelihood_ratio(yi, vi, 0.0, maximise(yi, vi, restricted=False).tau2)
    return chi2_tail(max(0.0, ratio) / factor, 1)


def sign_flip_p(yi: FloatArray, vi: FloatArray, *, tau2_method: str, largest: int = 16) -> float:
    """Exact permutation test that the pooled effect is zero: every pattern of signs is as likely as the observed one.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    tau2_method : str
        Estimator of tau2, used anew for every pattern.
    largest : int, default 16
        Most studies for which all 2^k patterns are computed.

    Returns
    -------
    float
        Two-sided p value of the pooled effect over its classic standard error.

    Raises
    ------
    MetapeerError
        If there are more studies.

    References
    ----------
    Follmann & Proschan (1999), Biometrics 55:732-737; Higgins & Thompson (2004), Stat Med 23:1663-1682.

    Examples
    --------
    >>> sign_flip_p(np.array([0.2, 0.3, 0.4, 0.5]), np.full(4, 0.02), tau2_method="DL")
    0.125
    """
    from metapeer.pooling.tau2 import estimate_tau2

    k = yi.size
    if k > largest:
        raise MetapeerError(
            f"{k} studies have 2^{k} patterns of signs; the exact test is for at most {largest} studies"
        )
    statistics = []
    # A pattern and its mirror image give the same absolute statistic, so the first sign can stay.
    for rest in product((1.0, -1.0), repeat=k - 1):
        flipped = yi * np.array((1.0, *rest))
        w = 1.0 / (vi + estimate_tau2(flipped, vi, tau2_method).tau2)
        statistics.append(abs(float(w.dot(flipped))) / math.sqrt(total(w)))
    observed = statistics[0]
    return sum(one >= observed * (1.0 - 1e-12) for one in statistics) / len(statistics)
