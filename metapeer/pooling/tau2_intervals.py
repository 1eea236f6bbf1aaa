"""Confidence intervals for the between-study variance.

Each returns an `Interval` without a cap on its upper end; I² and H² follow from its ends. An interval that inverts a
test can be empty: then even tau2 = 0 is too large for effects that agree so well.
"""

import math

import numpy as np

from metapeer.errors import check_choice
from metapeer.pooling.intervals import Interval, chi2_quantile, normal_quantile
from metapeer.pooling.tau2 import Tau2Estimate, estimate_tau2
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.tau2_profile import invert_generalised_q, profile_q
from metapeer.pooling.weighted import FloatArray, degrees_of_freedom, log_likelihood

__all__ = [
    "TAU2_CI_METHODS",
    "bootstrap_interval",
    "generalised_q_interval",
    "likelihood_interval",
    "q_profile",
    "tau2_interval",
    "wald_interval",
]

TAU2_CI_WORDS = {
    "QP": "Q-profile",
    "J": "generalised Q (Jackson)",
    "BJ": "generalised Q (Biggerstaff-Jackson)",
    "PL": "profile likelihood",
    "Wald": "Wald",
    "Wald.log": "Wald, log scale",
    "Wald.sqrt": "Wald, square-root scale",
    "boot": "parametric bootstrap",
}
TAU2_CI_METHODS = tuple(TAU2_CI_WORDS)

_EPS = float(np.finfo(np.float64).eps)


def q_profile(yi: FloatArray, vi: FloatArray, level: float, X: FloatArray | None = None) -> Interval:
    """Q-profile interval for tau2: every value whose generalised Q lies between two chi-squared quantiles.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    level : float
        Confidence level.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.

    Returns
    -------
    Interval
        When even tau2 = 0 is too large for the data the set is empty, and `empty` says so.

    References
    ----------
    Viechtbauer (2007), Stat Med 26:37-52.

    Examples
    --------
    >>> import numpy as np
    >>> interval = q_profile(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]), 0.95)
    >>> round(interval.low, 4), round(interval.high, 3)
    (0.0034, 5.102)
    """
    df = degrees_of_freedom(yi, X)
    tail = 0.5 * (1.0 - level)
    high = profile_q(yi, vi, chi2_quantile(1.0 - tail, df), X)
    if high is None:
        return Interval(math.nan, math.nan, level, TAU2_CI_WORDS["QP"], empty=True)
    low = profile_q(yi, vi, chi2_quantile(tail, df), X)
    return Interval(low or 0.0, high, level, TAU2_CI_WORDS["QP"])


def generalised_q_interval(
    yi: FloatArray,
    vi: FloatArray,
    level: float,
    X: FloatArray | None = None,
    *,
    weights: FloatArray | None = None,
    words: str = "generalised Q",
) -> Interval:
    """Interval for tau2 from the exact distribution of Q with fixed weights.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    level : float
        Confidence level.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.
    weights : array of shape (k,), optional
        The weights: ``1 / sqrt(vi)`` (Jackson) when left out; ``1 / vi`` gives Biggerstaff and Jackson's interval.
    words : str, default "generalised Q"
        How the interval calls itself.

    Returns
    -------
    Interval
        Possibly empty.

    References
    ----------
    Jackson (2013), Res Synth Methods 4:220-229; Biggerstaff & Jackson (2008), Stat Med 27:6093-6110.

    Examples
    --------
    >>> import numpy as np
    >>> interval = generalised_q_interval(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]), 0.95)
    >>> round(interval.low, 4), round(interval.high, 3)
    (0.0043, 4.915)
    """
    a = 1.0 / np.sqrt(vi) if weights is None else weights
    tail = 0.5 * (1.0 - level)
    high = invert_generalised_q(yi, vi, tail, a, X)
    if high is None:
        return Interval(math.nan, math.nan, level, words, empty=True)
    low = invert_generalised_q(yi, vi, 1.0 - tail, a, X)
    return Interval(low or 0.0, high, level, words)


def likelihood_interval(
    yi: FloatArray, vi: FloatArray, level: float, X: FloatArray | None = None, *, restricted: bool
) -> Interval:
    """Profile-likelihood interval for tau2: every value whose likelihood is not too far below the best.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    level : float
        Confidence level.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.
    restricted : bool
        True for the restricted likelihood.

    Returns
    -------
    Interval
        From the lowest to the highest value that qualifies; where the likelihood has several peaks, values between
        may not.

    References
    ----------
    Hardy & Thompson (1996), Stat Med 15:619-629.

    Examples
    --------
    >>> import numpy as np
    >>> interval = likelihood_interval(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]), 0.95, restricted=True)
    >>> round(interval.low, 4), round(interval.high, 3)
    (0.0, 2.199)
    """
    from scipy.optimize import brentq

    best = maximise(yi, vi, X, restricted=restricted)
    words = f"{TAU2_CI_WORDS['PL']} ({'REML' if restricted else 'ML'})"
    scale = float(vi.min())

    def height(log_total: float) -> float:
        tau2 = max(0.0, math.exp(log_total) - scale)
        return float(log_likelihood(yi, vi, np.array([tau2]), X, restricted=restricted)[0])

    peaks = sorted([best.tau2, *(tau2 for tau2, _ in best.others)])
    top = height(math.log(best.tau2 + scale))
    bar = top - 0.5 * chi2_quantile(1.0 - level, 1)
    reached = [peak for peak in peaks if height(math.log(peak + scale)) >= bar]

    def crossing(inside: float, outside: float) -> float:
        root = brentq(lambda x: height(x) - bar, inside, outside, xtol=1e-14, rtol=8 * _EPS, maxiter=500)
        return max(0.0, math.exp(root) - scale)

    floor, first, last = math.log(scale), math.log(reached[0] + scale), math.log(reached[-1] + scale)
    low = 0.0 if reached[0] == 0.0 or height(floor) >= bar else crossing(first, floor)
    beyond = last + 1.0
    while height(beyond) >= bar:
        beyond += beyond - last
    return Interval(low, crossing(last, beyond), level, words)


def wald_interval(tau2: Tau2Estimate, level: float, *, scale: str = "Wald") -> Interval:
    """Interval for tau2 from its standard error; poor when studies are few, but often printed.

    Parameters
    ----------
    tau2 : Tau2Estimate
        Estimate and standard error.
    level : float
        Confidence level.
    scale : {"Wald", "Wald.log", "Wald.sqrt"}
        Scale on which the interval is symmetric.

    Returns
    -------
    Interval
        Cut off at zero; NaN on the other scales when the estimate is zero.

    Examples
    --------
    >>> interval = wald_interval(Tau2Estimate(0.3, 0.1), 0.95, scale="Wald.log")
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.1561, 0.5766)
    """
    words = TAU2_CI_WORDS[scale]
    z = normal_quantile(level)
    if scale == "Wald":
        return Interval(max(0.0, tau2.tau2 - z * tau2.se), tau2.tau2 + z * tau2.se, level, words)
    if tau2.tau2 == 0.0:
        return Interval(math.nan, math.nan, level, words)
    if scale == "Wald.log":
        factor = math.exp(z * tau2.se / tau2.tau2)
        return Interval(tau2.tau2 / factor, tau2.tau2 * factor, level, words)
    tau = math.sqrt(tau2.tau2)
    half = z * tau2.se / (2.0 * tau)
    return Interval(max(0.0, tau - half) ** 2, (tau + half) ** 2, level, words)


def bootstrap_interval(
    yi: FloatArray,
    vi: FloatArray,
    level: float,
    X: FloatArray | None = None,
    *,
    method: str,
    draws: int = 2000,
    seed: int = 20260101,
) -> Interval:
    """Percentile interval for tau2 from data simulated with the estimate.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    level : float
        Confidence level.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.
    method : str
        Estimator, one of `TAU2_METHODS`.
    draws : int, default 2000
        Simulated data sets.
    seed : int
        Seed of the random numbers; the same seed gives the same interval.

    Returns
    -------
    Interval
        Its words name the number of draws and the seed.

    References
    ----------
    Viechtbauer (2007), Stat Med 26:37-52, section 2.7.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = np.array([0.1, 0.3, 0.8, 0.5]), np.array([0.02, 0.03, 0.04, 0.02])
    >>> bootstrap_interval(yi, vi, 0.95, method="DL", draws=200).low
    0.0
    """
    tau2 = estimate_tau2(yi, vi, method, X).tau2
    noise = np.random.default_rng(seed).standard_normal((draws, yi.size)) * np.sqrt(vi + tau2)
    # The estimators do not change when the coefficients do, so simulated effects may have a mean of zero.
    found = np.array([estimate_tau2(row, vi, method, X).tau2 for row in noise])
    low, high = np.quantile(found, [0.5 * (1.0 - level), 0.5 * (1.0 + level)])
    return Interval(float(low), float(high), level, f"{TAU2_CI_WORDS['boot']}, {draws} draws, seed {seed}")


def tau2_interval(
    yi: FloatArray,
    vi: FloatArray,
    tau2: Tau2Estimate,
    *,
    method: str,
    tau2_method: str,
    level: float,
    X: FloatArray | None = None,
) -> Interval:
    """Make the interval for tau2 that `method` asks for.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    tau2 : Tau2Estimate
        The estimate that the interval accompanies.
    method : str
        One of `TAU2_CI_METHODS`.
    tau2_method : str
        Its estimator; the profile likelihood is restricted unless it is ML.
    level : float
        Confidence level.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.

    Returns
    -------
    Interval
        It says how it was made.

    Raises
    ------
    ChoiceError
        If `method` is unknown.
    """
    check_choice("tau2_ci_method", method, TAU2_CI_METHODS)
    if method == "QP":
        return q_profile(yi, vi, level, X)
    if method == "J":
        return generalised_q_interval(yi, vi, level, X, words=TAU2_CI_WORDS["J"])
    if method == "BJ":
        return generalised_q_interval(yi, vi, level, X, weights=1.0 / vi, words=TAU2_CI_WORDS["BJ"])
    if method == "PL":
        return likelihood_interval(yi, vi, level, X, restricted=tau2_method != "ML")
    if method == "boot":
        return bootstrap_interval(yi, vi, level, X, method=tau2_method)
    return wald_interval(tau2, level, scale=method)
