"""Maximum likelihood and restricted maximum likelihood for tau2: the global maximum, with a certificate.

Twice the score is ``y'PPy - tr(P)`` and twice its slope ``tr(PP) - 2 y'PPPy``, and each of the four terms falls as tau2
grows. Between two points the score and its slope are therefore bounded by differences of the terms at the points. An
interval where the score cannot vanish holds no maximum; one where it can only fall holds at most one. Intervals are
halved until every one is of such a kind, so that no maximum on [0, inf) is missed, whatever their number.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from metapeer.errors import ConvergenceError
from metapeer.pooling.weighted import (
    FloatArray,
    degrees_of_freedom,
    extremes,
    log_likelihood,
    ols_residuals,
    score_parts,
    total,
    trace_p,
)

__all__ = ["LikelihoodMaximum", "maximise", "tau2_ml", "tau2_reml"]

_EPS = float(np.finfo(np.float64).eps)
_MAX_STEPS = 200
_SPACING = math.log(1.25)
"""Of the first grid in log(tau2 + min(vi)): wide enough to be short, narrow enough to settle most intervals."""
_PARTS = 4
_ROUNDS = 20
"""Each round divides unsettled intervals by 4; after 20 they are narrower than the rounding of their ends."""


@dataclass(frozen=True, slots=True)
class LikelihoodMaximum:
    """The global maximum of a likelihood of tau2.

    Parameters
    ----------
    tau2 : float
        Where it lies.
    others : tuple of (float, float)
        Every other local maximum, with how far its log-likelihood lies below the best.
    certified : bool
        Whether it is proved, up to rounding, that there is no other.
    """

    tau2: float
    others: tuple[tuple[float, float], ...]
    certified: bool


def _upper_bound(residuals: FloatArray, vi: FloatArray, X: FloatArray | None) -> float:
    """A tau2 above which neither the likelihood nor the restricted likelihood has a maximum.

    ``y'PPy <= max(w)² S`` with S the unweighted residual sum of squares, and ``trP >= min(w) (k - p)``, which makes the
    score negative above the root of a quadratic. Without moderators also ``y'PPy <= max(w) y'Py <= max(w) R² trP / 2``
    with R the range of the effects, so the score is negative above ``R² / 2 - min(vi)``.
    """
    low, high = extremes(vi)
    s = float(residuals.dot(residuals))
    df = degrees_of_freedom(residuals, X)
    bound = (s + math.sqrt(s * s + 4.0 * df * s * (high - low))) / (2.0 * df) - low
    if X is not None:
        return bound
    first, last = extremes(residuals)
    return min(bound, 0.5 * (last - first) ** 2 - low)


def _score(
    yi: FloatArray, vi: FloatArray, tau2: float, X: FloatArray | None, *, restricted: bool
) -> tuple[float, float]:
    """Twice the score of tau2, and its slope; without moderators by plain sums, which is several times faster."""
    if X is not None:
        at = score_parts(yi, vi, np.array([tau2]), X, restricted=restricted)
        return float(at.yPPy[0] - at.trace[0]), float(at.trace_squared[0] - 2.0 * at.yPPPy[0])
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
        # Newton's error is squared with each step: after one that short, what remains is rounding.
        enough = 1e-9 * (tau2 + blur)
        if not low <= proposed <= high:
            proposed, enough = 0.5 * (low + high), _EPS * blur
        if abs(proposed - tau2) <= enough or high - low <= 4 * _EPS * high:
            return proposed
        tau2 = proposed
    return tau2


@lru_cache(maxsize=256)
def _even(points: int) -> FloatArray:
    steps = np.linspace(0.0, 1.0, points)
    steps.setflags(write=False)
    return steps


def _divide(low: float, high: float, smallest: float) -> FloatArray:
    """Divide an interval of tau2 evenly in log(tau2 + min(vi))."""
    nodes = (low + smallest) * ((high + smallest) / (low + smallest)) ** _even(_PARTS + 1) - smallest
    nodes[0], nodes[-1] = low, high
    return nodes


def maximise(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None, *, restricted: bool) -> LikelihoodMaximum:
    """Find the global maximum of the (restricted) likelihood on [0, inf), and every other local maximum.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.
    restricted : bool
        True for REML, False for ML.

    Returns
    -------
    LikelihoodMaximum
        The maximum, the others, and whether the search is proved complete.

    Examples
    --------
    >>> found = maximise(np.array([1.19, -18.05, 0.07]), np.array([0.803, 55.385, 0.102]), restricted=True)
    >>> round(found.tau2, 4), [round(tau2, 1) for tau2, _ in found.others], found.certified
    (0.0911, [47.9], True)
    """
    residuals = ols_residuals(yi, X)
    upper = _upper_bound(residuals, vi, X)
    if upper <= 0:
        return LikelihoodMaximum(0.0, (), certified=True)
    smallest, _ = extremes(vi)
    upper *= 1.0 + 1e-6  # keeps a maximum that lies exactly on the bound inside the last interval

    def score(tau2: float) -> tuple[float, float]:
        return _score(residuals, vi, tau2, X, restricted=restricted)

    span = math.log1p(upper / smallest)
    nodes = smallest * np.expm1(span * _even(max(4, math.ceil(span / _SPACING))))
    width = nodes.size
    maxima: list[float] = []
    certified = False
    for round_ in range(_ROUNDS):
        parts = score_parts(residuals, vi, nodes, X, restricted=restricted)
        t, rise, fall = nodes.tolist(), parts.yPPy.tolist(), parts.trace.tolist()
        down, up = (2.0 * parts.yPPPy).tolist(), parts.trace_squared.tolist()
        if round_ == 0 and rise[0] <= fall[0]:
            maxima.append(0.0)
        unsettled = []
        for a in range(len(t) - 1):
            b = a + 1
            if b % width == 0 or rise[a] < fall[b] or rise[b] > fall[a]:
                continue  # the gap between two divided intervals, or an interval where the score cannot vanish
            if down[b] > up[a]:
                left, right = rise[a] - fall[a], rise[b] - fall[b]
                if left > 0.0 >= right:
                    start = t[a] + (t[b] - t[a]) * left / (left - right)
                    maxima.append(_refine(score, t[a], t[b], start, smallest))
            elif down[a] >= up[b]:
                unsettled.append((t[a], t[b]))
        if not unsettled:
            certified = True
            break
        width = _PARTS + 1
        nodes = np.concatenate([_divide(low, high, smallest) for low, high in unsettled])
    if not certified:
        # Score and slope vanish together to the last digit, at a point that is hardly a maximum; count it if it is one.
        ends = score_parts(residuals, vi, np.array(unsettled).ravel(), X, restricted=restricted)
        signs = (ends.yPPy > ends.trace).reshape(-1, 2)
        maxima += [low for (low, _), (left, right) in zip(unsettled, signs, strict=True) if left and not right]
    if not maxima:
        raise ConvergenceError(
            "the likelihood of tau² has no maximum that double precision can show: the sampling variances, from "
            f"{vi.min():.3g} to {vi.max():.3g}, lie too far apart; look for a wrong one, or use tau2_method='DL'"
        )
    if len(maxima) == 1:
        return LikelihoodMaximum(maxima[0], (), certified)
    heights = log_likelihood(residuals, vi, np.array(maxima), X, restricted=restricted)
    best = int(np.argmax(heights))
    others = sorted(
        (tau2, float(heights[best] - height))
        for tau2, height in zip(maxima, heights, strict=True)
        if tau2 != maxima[best]
    )
    return LikelihoodMaximum(maxima[best], tuple(others), certified)


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
    return maximise(yi, vi, X, restricted=True).tau2


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
    return maximise(yi, vi, X, restricted=False).tau2
