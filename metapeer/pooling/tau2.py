"""The between-study variance tau2: its estimators, their standard errors, and the Q-profile interval.

Every function works on effects of any scale: search ranges and tolerances come from the data. All estimators are
truncated at zero. `X` is a design matrix of full column rank; without it the model has an intercept only.

References
----------
Veroniki et al. (2016), Res Synth Methods 7:55-79 (the estimators); Viechtbauer (2005), J Educ Behav Stat 30:261-293.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from metapeer.errors import ConvergenceError, check_choice
from metapeer.pooling.weighted import (
    FloatArray,
    log_likelihood,
    moments,
    q_statistic,
    total,
    trace_p,
    trace_pdpd,
    trace_pp,
)

__all__ = [
    "TAU2_METHODS",
    "Tau2Estimate",
    "estimate_tau2",
    "profile_q",
    "tau2_dl",
    "tau2_eb",
    "tau2_he",
    "tau2_hs",
    "tau2_ml",
    "tau2_pm",
    "tau2_reml",
    "tau2_se",
    "tau2_sj",
]

_EPS = float(np.finfo(np.float64).eps)
_MAX_STEPS = 200
_POINTS_PER_DECADE = 12
"""Likelihoods are smooth functions of log(vi + tau2); a spacing of 21% resolves their peaks."""


@dataclass(frozen=True, slots=True)
class Tau2Estimate:
    """A between-study variance and what is known about its computation.

    Parameters
    ----------
    tau2 : float
        The estimate, in squared units of the effects.
    se : float
        Its asymptotic standard error.
    other_maxima : tuple of (float, float)
        For ML and REML: every other local maximum, with how far its log-likelihood lies below the best.
    """

    tau2: float
    se: float
    other_maxima: tuple[tuple[float, float], ...] = ()


def _degrees(yi: FloatArray, X: FloatArray | None) -> int:
    return yi.size - (1 if X is None else X.shape[1])


def _ols_residuals(yi: FloatArray, X: FloatArray | None) -> FloatArray:
    """Residuals of the unweighted fit; P and hence every estimator is the same for them as for `yi`."""
    if X is None:
        return np.asarray(yi - total(yi) / yi.size)
    q, _ = np.linalg.qr(X)
    return np.asarray(yi - q @ (q.T @ yi))


def tau2_dl(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by DerSimonian and Laird's moment estimator.

    Parameters
    ----------
    yi : array of shape (k,)
        Effects, in the measure's units (log for ratios).
    vi : array of shape (k,)
        Sampling variances, in squared units of `yi`.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        tau2, never negative, in squared units of `yi`.

    References
    ----------
    DerSimonian & Laird (1986), Control Clin Trials 7:177-188.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_dl(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0894
    """
    if X is None:
        w = 1.0 / vi
        s1 = total(w)
        residuals = yi - w.dot(yi) / s1
        excess = float((w * residuals).dot(residuals)) - (yi.size - 1)
        return max(0.0, excess / trace_p(w))
    found = moments(yi, vi, np.zeros(1), X)
    return max(0.0, (float(found.yPy[0]) - _degrees(yi, X)) / float(found.trP[0]))


def tau2_he(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by Hedges' estimator, the unweighted moment estimator.

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
    Hedges (1983), Psychol Bull 93:388-395.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_he(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.1
    """
    residuals = _ols_residuals(yi, X)
    leverage = np.full(yi.size, 1.0 / yi.size) if X is None else (np.linalg.qr(X)[0] ** 2).sum(axis=1)
    expected = float(vi @ (1.0 - leverage))
    return max(0.0, (float(residuals @ residuals) - expected) / _degrees(yi, X))


def tau2_hs(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by Hunter and Schmidt's estimator; biased downwards when studies are few.

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
    Hunter & Schmidt (1990), Methods of Meta-Analysis; Viechtbauer (2005), J Educ Behav Stat 30:261-293.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_hs(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0479
    """
    q, _ = q_statistic(yi, vi, 0.0, X)
    return max(0.0, (q - yi.size) / float((1.0 / vi).sum()))


def _sj_start(yi: FloatArray) -> float:
    return float(np.var(yi))


def tau2_sj(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by Sidik and Jonkman's model-error estimator; positive unless all effects agree.

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
    Sidik & Jonkman (2005), J R Stat Soc C 54:367-384.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_sj(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0946
    """
    start = _sj_start(yi)
    if start == 0.0:
        return 0.0
    q, _ = q_statistic(yi, vi, start, X)
    return start * q / _degrees(yi, X)


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
        if not low <= proposed <= high:
            proposed = 0.5 * (low + high) if high < math.inf else 2.0 * max(tau2, float(vi.min()))
        # Rounding in Q blurs tau2 by a few units in the last place of Q / slope, which is of the order of vi + tau2.
        if abs(proposed - tau2) <= 16 * _EPS * max(proposed, q / slope if slope > 0 else 0.0):
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
    return profile_q(yi, vi, float(_degrees(yi, X)), X) or 0.0


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


def _upper_bound(residuals: FloatArray, vi: FloatArray, X: FloatArray | None) -> float:
    """A tau2 above which neither the likelihood nor the restricted likelihood has a maximum.

    Without moderators ``y'PPy <= max(w) y'Py <= max(w) R^2 trP / 2`` with R the range of the effects, so the score is
    negative above ``R^2 / 2 - min(vi)``. With moderators ``y'PPy <= max(w)^2 S`` and ``trP >= min(w) (k - p)``, with S
    the unweighted residual sum of squares.
    """
    variances: list[float] = vi.tolist()
    low, high = min(variances), max(variances)
    if X is None:
        effects: list[float] = residuals.tolist()
        spread: float = max(effects) - min(effects)
        return 0.5 * spread**2 - low
    s = float(residuals @ residuals)
    df = _degrees(residuals, X)
    return (s + math.sqrt(s * s + 4 * df * s * (high - low))) / (2 * df) - low


def _score(
    yi: FloatArray, vi: FloatArray, tau2: float, X: FloatArray | None, *, restricted: bool
) -> tuple[float, float]:
    """Twice the score of tau2, and its derivative (exact without moderators, Fisher's expectation with them)."""
    if X is not None:
        at = moments(yi, vi, np.array([tau2]), X)
        trace = float(at.trP[0] if restricted else at.trW[0])
        w = 1.0 / (vi + tau2)
        return float(at.yPPy[0]) - trace, -(trace_pp(w, X) if restricted else float(w.dot(w)))
    w = 1.0 / (vi + tau2)
    s1, s2 = total(w), float(w.dot(w))
    weighted = w * (yi - w.dot(yi) / s1)
    y_pp_y = float(weighted.dot(weighted))
    y_ppp_y = float((w * weighted).dot(weighted)) - float(w.dot(weighted)) ** 2 / s1
    if not restricted:
        return y_pp_y - s1, s2 - 2.0 * y_ppp_y
    ratio = s2 / s1
    tr_pp = s2 - 2.0 * float((w * w).dot(w)) / s1 + ratio * ratio  # steers the steps only; need not be exact
    return y_pp_y - trace_p(w), tr_pp - 2.0 * y_ppp_y


def _refine(score: Callable[[float], tuple[float, float]], low: float, high: float, start: float, blur: float) -> float:
    """Solve score = 0 between `low` (positive score) and `high` (negative score) by Newton with bisection.

    `blur` is the smallest sampling variance: differences of tau2 that vanish beside it change no weight.
    """
    tau2 = start
    for _ in range(_MAX_STEPS):
        value, slope = score(tau2)
        if value > 0:
            low = tau2
        else:
            high = tau2
        proposed = tau2 - value / slope if slope < 0 else math.inf
        if not low <= proposed <= high:
            proposed = 0.5 * (low + high)
        if abs(proposed - tau2) <= _EPS * (8 * proposed + blur) or high - low <= 4 * _EPS * high:
            return proposed
        tau2 = proposed
    return tau2


@lru_cache(maxsize=64)
def _powers(points: int) -> FloatArray:
    """Ten to powers from 0 to 1, evenly spaced, after one more element in front."""
    powers = np.concatenate([[1.0], np.logspace(0.0, 1.0, points)])
    powers.setflags(write=False)
    return powers


def _maximise(yi: FloatArray, vi: FloatArray, X: FloatArray | None, *, restricted: bool) -> Tau2Estimate:
    """Find the global maximum of the (restricted) likelihood on [0, inf), and list the other local maxima.

    The score is evaluated at once on a geometric grid from far below the smallest variance up to a bound that no
    maximum can exceed; every change of its sign from + to - holds a maximum, refined by bracketed Newton steps.
    """
    residuals = _ols_residuals(yi, X)
    upper = _upper_bound(residuals, vi, X)
    if upper <= 0:
        return Tau2Estimate(0.0, tau2_se(yi, vi, 0.0, "REML" if restricted else "ML", X))
    smallest = min(vi.tolist())
    lower = min(smallest, upper) / 64.0
    upper *= 1.0 + 1e-6  # keeps a maximum that lies exactly on the bound inside the last bracket
    points = max(16, math.ceil(_POINTS_PER_DECADE * math.log10(upper / lower)))
    grid = lower * _powers(points) ** math.log10(upper / lower)
    grid[0] = 0.0
    found = moments(residuals, vi, grid, X)
    scores = found.yPPy - (found.trP if restricted else found.trW)
    rising = scores > 0

    def score(tau2: float) -> tuple[float, float]:
        return _score(residuals, vi, tau2, X, restricted=restricted)

    maxima = [] if rising[0] else [0.0]
    for i in np.flatnonzero(rising[:-1] & ~rising[1:]).tolist():
        low, high = float(grid[i]), float(grid[i + 1])
        start = low + (high - low) * float(scores[i] / (scores[i] - scores[i + 1]))
        maxima.append(_refine(score, low, high, start, smallest))
    method = "REML" if restricted else "ML"
    if len(maxima) == 1:
        return Tau2Estimate(maxima[0], tau2_se(yi, vi, maxima[0], method, X))
    heights = log_likelihood(residuals, vi, np.array(maxima), X, restricted=restricted)
    best = int(np.argmax(heights))
    others = tuple(
        (tau2, float(heights[best] - height))
        for i, (tau2, height) in enumerate(zip(maxima, heights, strict=True))
        if i != best
    )
    return Tau2Estimate(maxima[best], tau2_se(yi, vi, maxima[best], method, X), others)


def tau2_reml(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by restricted maximum likelihood: the global maximum.

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
    Viechtbauer (2005), J Educ Behav Stat 30:261-293.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_reml(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0949
    >>> many_peaks = np.array([-0.9, 19.49, 1.17, 0.27]), np.array([0.159, 38.894, 0.53, 0.125])
    >>> round(tau2_reml(*many_peaks), 4)
    0.9989
    """
    return _maximise(yi, vi, X, restricted=True).tau2


def tau2_ml(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> float:
    """Between-study variance by maximum likelihood: the global maximum; biased downwards when studies are few.

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
    Hardy & Thompson (1996), Stat Med 15:619-629.

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_ml(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])), 4)
    0.0514
    """
    return _maximise(yi, vi, X, restricted=False).tau2


def tau2_se(yi: FloatArray, vi: FloatArray, tau2: float, method: str, X: FloatArray | None = None) -> float:
    """Asymptotic standard error of an estimate of tau2.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    tau2 : float
        The estimate.
    method : str
        The estimator that gave it, one of `TAU2_METHODS`.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        In squared units of `yi`. It describes a skewed distribution; for an interval use the Q-profile.

    References
    ----------
    Viechtbauer (2005), J Educ Behav Stat 30:261-293; Viechtbauer et al. (2015), Psychol Methods 20:360-374 (EB, PM).

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_se(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]), 0.0949, "REML"), 4)
    0.1245
    """
    df = _degrees(yi, X)
    if method in ("ML", "REML", "EB", "PM"):
        w = 1.0 / (vi + tau2)
        if method == "ML":
            return float(np.sqrt(2.0 / (w @ w)))
        if method in ("EB", "PM"):
            return float(np.sqrt(2.0 * yi.size**2 / df) / w.sum())
        return math.sqrt(2.0 / trace_pp(w, X))
    check_choice("method", method, ("DL", "HS", "HE", "SJ"))
    weights, scale = 1.0 / vi, 0.0
    if method == "HS":
        scale = float(weights.sum())
    elif method == "HE":
        weights, scale = np.ones(yi.size), float(df)
    elif method == "SJ":
        start = _sj_start(yi)
        if start == 0.0:
            return math.nan
        weights, scale = 1.0 / (vi + start), df / start
    ones = np.ones(yi.size)
    variance = (
        2.0 * trace_pdpd(weights, vi, vi, X)
        + 4.0 * tau2 * trace_pdpd(weights, vi, ones, X)
        + 2.0 * tau2**2 * trace_pp(weights, X)
    )
    if method == "DL":
        scale = trace_p(weights) if X is None else float(moments(yi, vi, np.zeros(1), X).trP[0])
    return math.sqrt(variance) / scale


_MOMENT_ESTIMATORS: dict[str, Callable[[FloatArray, FloatArray, FloatArray | None], float]] = {
    "DL": tau2_dl,
    "PM": tau2_pm,
    "EB": tau2_eb,
    "HE": tau2_he,
    "HS": tau2_hs,
    "SJ": tau2_sj,
}

TAU2_METHODS = ("REML", "ML", *_MOMENT_ESTIMATORS)
"""The codes of the estimators, as metafor has them."""


def estimate_tau2(yi: FloatArray, vi: FloatArray, method: str, X: FloatArray | None = None) -> Tau2Estimate:
    """Estimate tau2 by a named method.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances; at least one more than the coefficients of the model.
    method : str
        One of `TAU2_METHODS`.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    Tau2Estimate
        The estimate with its standard error.

    Raises
    ------
    ChoiceError
        If `method` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> fit = estimate_tau2(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]), "PM")
    >>> round(fit.tau2, 4), round(fit.se, 4)
    (0.0975, 0.127)
    """
    if method == "REML":
        return _maximise(yi, vi, X, restricted=True)
    if method == "ML":
        return _maximise(yi, vi, X, restricted=False)
    tau2 = _MOMENT_ESTIMATORS[check_choice("tau2_method", method, TAU2_METHODS)](yi, vi, X)
    return Tau2Estimate(tau2, tau2_se(yi, vi, tau2, method, X))
