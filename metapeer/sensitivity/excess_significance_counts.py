"""How many studies should be significant were the effect what it is said to be, and how odd it is that more are.

References
----------
Ioannidis & Trikalinos (2007), Clin Trials 4:245-253; Francis (2013), J Math Psychol 57:153-169 (the exact test);
function ``tes`` of metafor.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import bdtrc, ndtr, ndtri

from metapeer.pooling.weighted import FloatArray

__all__ = ["excess_p", "limit_effect", "powers", "significant", "successes_beyond"]

BoolArray = NDArray[np.bool_]


def significant(yi: FloatArray, vi: FloatArray, *, null: float, alpha: float, side: str) -> BoolArray:
    """Tell which studies are significant by a normal test.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and variances.
    null : float
        The effect under test.
    alpha : float
        Level of the test.
    side : {"positive", "negative", "both"}
        The alternative.

    Returns
    -------
    array of bool of shape (k,)
        Which.

    Examples
    --------
    >>> significant(np.array([0.5, -0.5, 0.1]), np.full(3, 0.04), null=0.0, alpha=0.05, side="both").tolist()
    [True, True, False]
    """
    z = (yi - null) / np.sqrt(vi)
    if side == "both":
        return np.asarray(np.abs(z) >= -ndtri(alpha / 2.0))
    return np.asarray((z if side == "positive" else -z) >= -ndtri(alpha))


def powers(vi: FloatArray, *, theta: float, tau2: float, null: float, alpha: float, side: str) -> FloatArray:
    """Probability that each study is significant.

    True effects are normal with mean `theta` and variance `tau2`, so that an observed effect is normal with variance
    ``vi + tau2`` and no integral is needed.

    Parameters
    ----------
    vi : array of shape (k,)
        Sampling variances.
    theta, tau2 : float
        Mean and variance of true effects.
    null, alpha, side
        As in `significant`.

    Returns
    -------
    array of shape (k,)
        Power of each study.

    Examples
    --------
    >>> powers(np.array([0.04, 0.01]), theta=0.4, tau2=0.0, null=0.0, alpha=0.05, side="both").round(4).tolist()
    [0.516, 0.9793]
    """
    sei, spread = np.sqrt(vi), np.sqrt(vi + tau2)
    shift = theta - null
    if side == "both":
        reach = -ndtri(alpha / 2.0) * sei
        return np.asarray(ndtr((shift - reach) / spread) + ndtr((-shift - reach) / spread))
    ahead = shift if side == "positive" else -shift
    return np.asarray(ndtr((ahead + ndtri(alpha) * sei) / spread))


def successes_beyond(chances: FloatArray, least: int) -> float:
    """Probability of at least so many successes in independent trials with different chances.

    Parameters
    ----------
    chances : array of shape (k,)
        Of each trial.
    least : int
        Successes.

    Returns
    -------
    float
        The upper tail of the Poisson binomial distribution, by convolution of one trial after the other.

    Examples
    --------
    >>> successes_beyond(np.array([0.5, 0.5]), 1)
    0.75
    """
    mass = np.zeros(chances.size + 1)
    mass[0] = 1.0
    for chance in chances.tolist():
        mass[1:] = mass[1:] * (1.0 - chance) + mass[:-1] * chance
        mass[0] *= 1.0 - chance
    return min(1.0, float(mass[max(least, 0) :].sum()))


def excess_p(chances: FloatArray, observed: int, test: str) -> tuple[float, float]:
    """Test whether more studies are significant than expected.

    Parameters
    ----------
    chances : array of shape (k,)
        Power of each study.
    observed : int
        Significant studies.
    test : {"exact", "binomial", "chi2"}
        Poisson binomial; binomial with the mean power; or the normal approximation to it.

    Returns
    -------
    statistic, p_value : float
        Signed root of chi-squared for ``"chi2"``, otherwise NaN; one-sided p value.

    Examples
    --------
    >>> excess_p(np.full(10, 0.3), 6, "chi2")[1].__round__(4), excess_p(np.full(10, 0.3), 6, "binomial")[1].__round__(4)
    (0.0192, 0.0473)
    """
    k, expected = chances.size, float(chances.sum())
    if test == "exact":
        return math.nan, successes_beyond(chances, observed)
    if test == "binomial":
        return math.nan, float(bdtrc(observed - 1, k, expected / k)) if observed else 1.0
    variance = expected * (1.0 - expected / k)
    gap = observed - expected
    z = gap / math.sqrt(variance) if variance > 0.0 else math.copysign(math.inf, gap) if gap else 0.0
    return z, float(ndtr(-z))


def limit_effect(
    yi: FloatArray,
    vi: FloatArray,
    *,
    tau2: float,
    null: float,
    alpha: float,
    side: str,
    test: str,
    tes_alpha: float,
    toward: float,
) -> float:
    """The true effect, seen from no effect, from which on the significant studies would be no excess.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and variances.
    tau2, null, alpha, side, test
        As in `powers` and `excess_p`.
    tes_alpha : float
        Level of the test of excess.
    toward : float
        The pooled effect, on whose side of `null` the limit is sought.

    Returns
    -------
    float
        The effect with ``p = tes_alpha``; NaN when even without an effect there is no excess.

    Examples
    --------
    >>> yi, vi = np.array([0.5, 0.6, 0.7, 0.4]), np.full(4, 0.04)
    >>> how = {"tau2": 0.0, "null": 0.0, "alpha": 0.05, "side": "both"}
    >>> found = limit_effect(yi, vi, **how, test="exact", tes_alpha=0.1, toward=0.5)
    >>> chances = powers(vi, theta=found, **how)
    >>> round(excess_p(chances, 4, "exact")[1], 6)
    0.1
    """
    observed = int(significant(yi, vi, null=null, alpha=alpha, side=side).sum())

    def excess(theta: float) -> float:
        chances = powers(vi, theta=theta, tau2=tau2, null=null, alpha=alpha, side=side)
        return excess_p(chances, observed, test)[1] - tes_alpha

    if not observed or excess(null) >= 0.0:
        return math.nan
    sign = 1.0 if toward >= null else -1.0
    far = max(abs(toward - null), float(np.sqrt(vi.min())))
    for _ in range(60):
        if excess(null + sign * far) > 0.0:
            return float(brentq(excess, null, null + sign * far, xtol=1e-14 * far, rtol=1e-13))
        far *= 2.0
    return math.nan
