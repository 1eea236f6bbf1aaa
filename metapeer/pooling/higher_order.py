"""Corrections of the profile likelihood for few studies: Bartlett's factor and Skovgaard's statistic.

The likelihood-ratio statistic of the pooled effect has a chi-squared distribution only when studies are many. Bartlett
divides the statistic by its expectation; Skovgaard corrects its signed root, whose distribution is then normal to
second order. Both expand the likelihood about an interior maximum, so neither is proved where tau2 is estimated as 0.
"""

import math
from dataclasses import dataclass

import numpy as np

from metapeer.pooling.intervals import Interval, normal_quantile, two_sided_p
from metapeer.pooling.mean_intervals import tau2_known_mean
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import FloatArray, total

__all__ = ["Skovgaard", "bartlett_factor", "skovgaard", "skovgaard_root"]

_EPS = float(np.finfo(np.float64).eps)
_NEAR = 0.01
"""Within so many standard errors of the estimate ``log(u / r) / r`` loses digits, and is interpolated."""
_CHECKED = 48
"""Points at which the root is made sure to fall; an even number, so that none is the estimate."""


def bartlett_factor(vi: FloatArray, tau2: float) -> float:
    """Expectation of the likelihood-ratio statistic of the pooled effect, to order 1/k.

    Parameters
    ----------
    vi : array of shape (k,)
        Sampling variances; k at least 2.
    tau2 : float
        Between-study variance.

    Returns
    -------
    float
        ``1 + 2 s3 / (s1 s2) - s2 / (2 s1²)``, with ``sj`` the sum of ``(vi + tau2)**-j``.

    References
    ----------
    Lawley (1956), Biometrika 43:295-303; Zucker, Lieberman & Manor (2000), J R Stat Soc B 62:827-838; Huizenga,
    Visser & Dolan (2011), Br J Math Stat Psychol 64:1-19.

    Examples
    --------
    With equal variances the statistic is ``k log(1 + t² / (k - 1))``, whose expectation is 1 + 3 / (2 k) + O(1/k²).

    >>> bartlett_factor(np.full(10, 0.02), 0.03)
    1.15
    """
    w = 1.0 / (vi + tau2)
    w /= float(w.max())  # the factor has no unit, and cubes of weights overflow
    s1, s2, s3 = total(w), float(w.dot(w)), float((w * w).dot(w))
    return 1.0 + 2.0 * s3 / (s1 * s2) - 0.5 * s2 / (s1 * s1)


@dataclass(frozen=True, slots=True)
class _Peak:
    """The maximum of the likelihood, and what of it goes into the root at every mean."""

    yi: FloatArray
    vi: FloatArray
    mu: float
    tau2: float
    w: FloatArray
    residuals: FloatArray
    information: float  # determinant of the observed information of the mean and tau2

    @property
    def se(self) -> float:
        return 1.0 / math.sqrt(total(self.w))


def _peak(yi: FloatArray, vi: FloatArray) -> _Peak | None:
    """Climb to the maximum; None when it is at the boundary."""
    tau2 = maximise(yi, vi, restricted=False).tau2
    if tau2 == 0.0:
        return None
    w = 1.0 / (vi + tau2)
    # Centring first keeps digits when the effects are large and close together.
    mu = float(w.dot(yi - yi[0])) / total(w) + float(yi[0])
    residuals = yi - mu
    squared = w * w
    cross = float(squared.dot(residuals))
    curvature = float((squared * w).dot(residuals * residuals)) - 0.5 * float(squared.sum())
    information = total(w) * curvature - cross * cross
    return _Peak(yi, vi, mu, tau2, w, residuals, information) if information > 0.0 else None


def _root(peak: _Peak, mu: float) -> float | None:
    """Skovgaard's root at a mean that is not the estimate; None when tau2 has no interior maximum there."""
    deviations = peak.yi - mu
    tau2 = tau2_known_mean(deviations, peak.vi)
    w = 1.0 / (peak.vi + tau2)
    squared = w * w
    held = float((squared * w).dot(deviations * deviations)) - 0.5 * float(squared.sum())
    if tau2 == 0.0 or held <= 0.0:
        return None
    shift, rise = peak.mu - mu, tau2 - peak.tau2
    # The likelihood ratio written in differences, which keeps its digits near the estimate.
    both = peak.w * w
    ratio = (
        float((np.log1p(rise * peak.w) - rise * both * peak.residuals**2).sum())
        - 2.0 * shift * rise * float(both.dot(peak.residuals))
        + shift * shift * total(w)
    )
    if ratio <= 0.0:
        return None
    r = math.copysign(math.sqrt(ratio), shift)
    # The covariances S and q are moments of quadratic forms. With aj the sums of w**j at the held mean and Aj at the
    # maximum, S = [[a1, shift a2], [0, a2 / 2]] and q = (shift a1, (a1 - A1) / 2), so that the first element of S^-1 q
    # is shift A1 / a1; with det(S) = a1 a2 / 2 and the expected information A1 A2 / 2 all but this cancels.
    u = shift * float(squared.sum()) / float(peak.w.dot(peak.w)) * math.sqrt(peak.information / held)
    return r + math.log(u / r) / r


def _smooth_root(peak: _Peak, mu: float) -> float | None:
    """Skovgaard's root at any mean, by a cubic through four points near the estimate."""
    se = peak.se
    x = (mu - peak.mu) / se
    if abs(x) >= _NEAR:
        return _root(peak, mu)
    nodes = (-2.0 * _NEAR, -_NEAR, _NEAR, 2.0 * _NEAR)
    value = 0.0
    for node in nodes:
        at_node = _root(peak, peak.mu + node * se)
        if at_node is None:
            return None
        value += at_node * math.prod((x - other) / (node - other) for other in nodes if other != node)
    return value


def skovgaard_root(yi: FloatArray, vi: FloatArray, mu: float) -> float | None:
    """Skovgaard's correction of the signed root of the likelihood ratio, for one value of the pooled effect.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    mu : float
        The value.

    Returns
    -------
    float or None
        Standard normal to second order if `mu` is the true effect. None when tau2 has no maximum above 0, free or with
        the effect held at `mu`: the correction is then not defined.

    References
    ----------
    Skovgaard (1996), Bernoulli 2:145-165; Guolo (2012), Stat Med 31:313-327.

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.3, 0.8, 0.4, 0.9]), np.array([0.02, 0.03, 0.04, 0.02, 0.03])
    >>> round(skovgaard_root(yi, vi, 0.0), 3)
    2.178
    """
    peak = _peak(yi, vi)
    return None if peak is None else _smooth_root(peak, mu)


@dataclass(frozen=True, slots=True)
class Skovgaard:
    """An interval and a test with Skovgaard's statistic.

    Parameters
    ----------
    ci : Interval
        The effects at which the corrected root lies within the normal quantiles.
    p_value : float
        Of the test that the pooled effect is zero.
    """

    ci: Interval
    p_value: float


def skovgaard(yi: FloatArray, vi: FloatArray, level: float) -> Skovgaard | None:
    """Make an interval and a test of the pooled effect with Skovgaard's second-order statistic.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    level : float
        Confidence level.

    Returns
    -------
    Skovgaard or None
        None when the likelihood has no maximum at a tau2 above 0, or the corrected root does not fall steadily from one
        end of the interval to the other, which happens when tau2 is near 0: the correction is then no use.

    References
    ----------
    Skovgaard (1996), Bernoulli 2:145-165; Guolo (2012), Stat Med 31:313-327; Guolo & Varin (2012), J Stat Softw 50(7).

    Examples
    --------
    >>> found = skovgaard(np.array([0.1, 0.3, 0.8, 0.4, 0.9]), np.array([0.02, 0.03, 0.04, 0.02, 0.03]), 0.95)
    >>> [round(end, 3) for end in found.ci], round(found.p_value, 3)
    ([0.08, 0.911], 0.029)
    """
    from scipy.optimize import brentq

    peak = _peak(yi, vi)
    if peak is None:
        return None
    bar = normal_quantile(level)

    def root(x: float) -> float:
        """The root at `x` standard errors above the estimate; NaN where it is not defined."""
        found = _smooth_root(peak, peak.mu + x * peak.se)
        return math.nan if found is None else found

    reach = 4.0
    while root(-reach) < bar or root(reach) > -bar:
        reach *= 1.5
    # Near a tau2 of 0 the information is almost singular, and the root has poles: it must fall all the way.
    nodes = np.linspace(-reach, reach, _CHECKED)
    roots = np.array([root(x) for x in nodes.tolist()])
    if not (np.diff(roots) < 0.0).all():
        return None
    ends = []
    for quantile in (bar, -bar):
        i = int(np.flatnonzero(roots > quantile)[-1])
        x = brentq(lambda x, q=quantile: root(x) - q, nodes[i], nodes[i + 1], xtol=1e-13, rtol=8 * _EPS)
        ends.append(peak.mu + x * peak.se)
    interval = Interval(ends[0], ends[1], level, "profile likelihood (ML), Skovgaard's correction")
    at_zero = _smooth_root(peak, 0.0)
    if at_zero is None or (abs(at_zero) < bar) != (0.0 in interval):
        return None
    return Skovgaard(interval, two_sided_p(at_zero, None))
