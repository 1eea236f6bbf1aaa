"""Weighted least squares for effects with known variances: the algebra that every pooling method shares.

With weights ``W = diag(1 / (vi + tau2))`` and design `X` (a column of ones when left out), everything needed is a
function of ``P = W - W X (X'WX)^-1 X'W``. `X` is never inverted: a QR decomposition of ``sqrt(W) X`` serves, and
without moderators plain sums do.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Coefficients",
    "FloatArray",
    "Moments",
    "ScoreParts",
    "coefficients",
    "degrees_of_freedom",
    "extremes",
    "log_likelihood",
    "moments",
    "ols_residuals",
    "q_statistic",
    "score_parts",
    "total",
    "trace_p",
    "trace_pdpd",
    "trace_pp",
]

FloatArray = NDArray[np.float64]


_LONG = 2000
"""Studies beyond which values of tau2 are evaluated one by one."""

_CANCELS = 1e-3
"""A difference below this share of its terms has lost three digits; then a slower sum of positive terms serves."""


def total(values: FloatArray) -> float:
    """Sum a vector, several times faster than ``values.sum()`` when it is short.

    Parameters
    ----------
    values : array of shape (k,)
        What to add up.

    Returns
    -------
    float
        The sum.

    Examples
    --------
    >>> total(np.array([0.25, 0.5]))
    0.75
    """
    return float(values.sum() if values.size > _LONG else values.dot(_ones(values.size)))


def extremes(values: FloatArray) -> tuple[float, float]:
    """Smallest and largest element, several times faster than two reductions when the vector is short.

    Parameters
    ----------
    values : array of shape (k,)
        Not empty.

    Returns
    -------
    low, high : float
        The ends.

    Examples
    --------
    >>> extremes(np.array([0.2, 0.1, 0.4]))
    (0.1, 0.4)
    """
    if values.size > _LONG:
        return float(values.min()), float(values.max())
    cells: list[float] = values.tolist()
    return min(cells), max(cells)


@lru_cache(maxsize=256)
def _ones(k: int) -> FloatArray:
    ones = np.ones(k)
    ones.setflags(write=False)
    return ones


@dataclass(frozen=True, slots=True)
class Moments:
    """Quadratic forms and traces at one or many values of tau2, each an array of shape (m,).

    Parameters
    ----------
    yPy, yPPy : array of shape (m,)
        ``y'Py``, which is Q with these weights, and ``y'PPy``, minus its slope in tau2.
    trW, trP : array of shape (m,)
        Traces of W and P.
    """

    yPy: FloatArray
    yPPy: FloatArray
    trW: FloatArray
    trP: FloatArray


def _others(values: FloatArray) -> FloatArray:
    """Sum of all other elements, for each element of the last axis; no digits are lost where one dominates."""
    others: FloatArray = values.sum(axis=-1, keepdims=True) - values
    largest = int(values.reshape(-1, values.shape[-1])[0].argmax())  # the same in every row: the smallest variance
    rest = np.delete(values, largest, axis=-1)
    others[..., largest] = rest.sum(axis=-1)
    return others


def trace_p(w: FloatArray) -> float:
    """Trace of P without moderators, ``sum(w) - sum(w²) / sum(w)``, free of cancellation.

    Parameters
    ----------
    w : array of shape (k,)
        Weights.

    Returns
    -------
    float
        The trace.

    Examples
    --------
    >>> trace_p(np.array([1e12, 1.0]))
    1.999999999998
    """
    s1 = total(w)
    plain = s1 - float(w.dot(w)) / s1
    return plain if plain > _CANCELS * s1 else float(w.dot(_others(w))) / s1


def trace_pp(w: FloatArray, X: FloatArray | None = None) -> float:
    """Trace of ``P P``.

    Parameters
    ----------
    w : array of shape (k,)
        Weights.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out, and then free of cancellation.

    Returns
    -------
    float
        The trace.

    Examples
    --------
    >>> round(trace_pp(np.array([1.0, 2.0, 3.0])), 6)
    7.444444
    """
    if X is None:
        s1, s2 = total(w), float(w.dot(w))
        ratio = s2 / s1
        plain = s2 - 2.0 * float((w * w).dot(w)) / s1 + ratio * ratio
        if plain > _CANCELS * s2:
            return plain
    return trace_pdpd(w, _ones(w.size), _ones(w.size), X)


def trace_pdpd(w: FloatArray, first: FloatArray, second: FloatArray, X: FloatArray | None = None) -> float:
    """Trace of ``P D1 P D2`` for diagonal matrices D1 and D2, without any k x k matrix.

    Parameters
    ----------
    w : array of shape (k,)
        Weights.
    first, second : array of shape (k,)
        Diagonals of D1 and D2.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out, and then free of cancellation.

    Returns
    -------
    float
        The trace.

    Examples
    --------
    >>> ones = np.ones(3)
    >>> round(trace_pdpd(np.array([1.0, 2.0, 3.0]), ones, ones), 6)
    7.444444
    """
    if X is None:
        s1 = total(w)
        diagonal = w * _others(w) / s1
        a, b = w * w * first, w * w * second
        return float((diagonal * diagonal * first).dot(second)) + float(a.dot(_others(b))) / s1**2
    q, _ = _sqrt_weighted_qr(w[None, :], X)
    u = np.sqrt(w)[:, None] * q[0]
    leverages = np.einsum("ip,ip->i", u, u)
    cross_first, cross_second = (u.T @ (diagonal[:, None] * u) for diagonal in (first, second))
    return float(((w * w - 2.0 * w * leverages) * first).dot(second) + np.einsum("pq,qp->", cross_first, cross_second))


def _sqrt_weighted_qr(w: FloatArray, X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """QR decompositions of ``sqrt(W) X`` for a stack of weights of shape (m, k)."""
    q, r = np.linalg.qr(np.sqrt(w)[:, :, None] * X)
    return q, r


def moments(yi: FloatArray, vi: FloatArray, tau2: FloatArray, X: FloatArray | None = None) -> Moments:
    """Quadratic forms and traces of P on a grid of tau2.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    tau2 : array of shape (m,)
        Between-study variances to evaluate.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.

    Returns
    -------
    Moments
        One value per element of `tau2`.
    """
    w = 1.0 / (vi + tau2[:, None])
    if X is None:
        s1 = w.sum(axis=1)
        residuals = yi - ((w @ yi) / s1)[:, None]
        weighted = w * residuals
        tr_p = s1 - np.einsum("ij,ij->i", w, w) / s1
        if not (tr_p > _CANCELS * s1).all():
            tr_p = np.einsum("ij,ij->i", w, _others(w)) / s1
        return Moments(np.einsum("ij,ij->i", weighted, residuals), np.einsum("ij,ij->i", weighted, weighted), s1, tr_p)
    q, _ = _sqrt_weighted_qr(w, X)
    root = np.sqrt(w)
    y = root * yi
    residuals = y - np.einsum("mkp,mjp,mj->mk", q, q, y, optimize=True)
    leverages = np.einsum("mkp,mkp->mk", q, q)
    return Moments(
        np.einsum("ij,ij->i", residuals, residuals),
        np.einsum("ij,ij,ij->i", w, residuals, residuals),
        w.sum(axis=1),
        np.einsum("ij,ij->i", w, 1.0 - leverages),
    )


@dataclass(frozen=True, slots=True)
class ScoreParts:
    """What the score of tau2 and its slope are made of, each an array of shape (m,) that falls as tau2 grows.

    Parameters
    ----------
    yPPy, yPPPy : array of shape (m,)
        Quadratic forms.
    trace, trace_squared : array of shape (m,)
        Traces of P and PP for the restricted likelihood, of W and WW for the likelihood.
    """

    yPPy: FloatArray
    yPPPy: FloatArray
    trace: FloatArray
    trace_squared: FloatArray


def score_parts(
    yi: FloatArray, vi: FloatArray, tau2: FloatArray, X: FloatArray | None = None, *, restricted: bool
) -> ScoreParts:
    """Evaluate the parts of the score on a grid of tau2.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    tau2 : array of shape (m,)
        Between-study variances to evaluate, in ascending order.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.
    restricted : bool
        True for REML, False for ML.

    Returns
    -------
    ScoreParts
        Twice the score is ``yPPy - trace``; twice its slope is ``trace_squared - 2 yPPPy``.
    """
    if X is None and yi.size > _LONG:
        rows = [_score_parts_at(yi, vi, float(t), restricted=restricted) for t in tau2]
        return ScoreParts(*np.array(rows).T)
    w = 1.0 / (vi + tau2[:, None])
    if X is None:
        # Products with a vector of ones are the fastest row sums of short rows.
        ones = _ones(yi.size)
        s1 = w.dot(ones)
        u = w * (yi - (w.dot(yi) / s1)[:, None])
        wu, w2 = w * u, w * w
        ypp = (u * u).dot(ones)
        ypppy = (wu * u).dot(ones) - wu.dot(ones) ** 2 / s1
        s2 = w2.dot(ones)
        if not restricted:
            return ScoreParts(ypp, ypppy, s1, s2)
        ratio = s2 / s1
        trace = s1 - ratio
        squared = s2 - 2.0 * (w2 * w).dot(ones) / s1 + ratio * ratio
        # The first tau2 is the smallest, where the weights differ most.
        if not (trace[0] > _CANCELS * s1[0] and squared[0] > _CANCELS * s2[0]):
            others = _others(w)
            trace = (w * others).dot(ones) / s1
            squared = (w2 * (others * others + _others(w2))).dot(ones) / s1**2
        return ScoreParts(ypp, ypppy, trace, squared)
    q, _ = _sqrt_weighted_qr(w, X)
    root = np.sqrt(w)

    def project(values: FloatArray) -> FloatArray:
        return np.asarray(values - np.einsum("mkp,mp->mk", q, np.einsum("mkp,mk->mp", q, values)))

    u = root * project(root * yi)
    pu = project(root * u)
    ypp, ypppy = np.einsum("ij,ij->i", u, u), np.einsum("ij,ij->i", pu, pu)
    s2 = np.einsum("ij,ij->i", w, w)
    if not restricted:
        return ScoreParts(ypp, ypppy, w.sum(axis=1), s2)
    leverages = np.einsum("mkp,mkp->mk", q, q)
    inner = np.einsum("mkp,mk,mkq->mpq", q, w, q)
    return ScoreParts(
        ypp,
        ypppy,
        np.einsum("ij,ij->i", w, 1.0 - leverages),
        np.einsum("ij,ij,ij->i", w, w, 1.0 - 2.0 * leverages) + np.einsum("mpq,mpq->m", inner, inner),
    )


def _score_parts_at(
    yi: FloatArray, vi: FloatArray, tau2: float, *, restricted: bool
) -> tuple[float, float, float, float]:
    """Give the parts of the score at one tau2; for many studies a whole grid would not fit the cache."""
    w = 1.0 / (vi + tau2)
    s1, s2 = total(w), float(w.dot(w))
    u = yi - w.dot(yi) / s1
    u *= w
    y_pp_y = float(u.dot(u))
    wu = w * u
    y_ppp_y = float(wu.dot(u)) - float(w.dot(u)) ** 2 / s1
    if not restricted:
        return y_pp_y, y_ppp_y, s1, s2
    ratio = s2 / s1
    np.multiply(w, w, out=wu)
    trace, squared = s1 - ratio, s2 - 2.0 * float(wu.dot(w)) / s1 + ratio * ratio
    if not (trace > _CANCELS * s1 and squared > _CANCELS * s2):
        trace, squared = trace_p(w), trace_pp(w)
    return y_pp_y, y_ppp_y, trace, squared


def q_statistic(yi: FloatArray, vi: FloatArray, tau2: float, X: FloatArray | None = None) -> tuple[float, float]:
    """Generalised Q at one tau2, and minus its derivative.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    tau2 : float
        Between-study variance.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.

    Returns
    -------
    q : float
        ``y'Py``, strictly decreasing in `tau2` unless the fit is perfect.
    slope : float
        ``y'PPy = -dq/dtau2``.
    """
    if X is None:
        w = 1.0 / (vi + tau2)
        residuals = yi - w.dot(yi) / total(w)
        weighted = w * residuals
        return float(weighted.dot(residuals)), float(weighted.dot(weighted))
    found = moments(yi, vi, np.array([tau2]), X)
    return float(found.yPy[0]), float(found.yPPy[0])


def degrees_of_freedom(yi: FloatArray, X: FloatArray | None) -> int:
    """Studies minus coefficients.

    Parameters
    ----------
    yi : array of shape (k,)
        Effects.
    X : array of shape (k, p) or None
        Design matrix; a column of ones when None.

    Returns
    -------
    int
        ``k - p``.
    """
    return yi.size - (1 if X is None else X.shape[1])


def ols_residuals(yi: FloatArray, X: FloatArray | None) -> FloatArray:
    """Residuals of the unweighted fit; P, and so every estimator of tau2, is the same for them as for `yi`.

    Parameters
    ----------
    yi : array of shape (k,)
        Effects.
    X : array of shape (k, p) or None
        Design matrix; a column of ones when None.

    Returns
    -------
    array of shape (k,)
        The residuals.
    """
    if X is None:
        return np.asarray(yi - total(yi) / yi.size)
    q, _ = np.linalg.qr(X)
    return np.asarray(yi - q @ (q.T @ yi))


def log_likelihood(
    yi: FloatArray, vi: FloatArray, tau2: FloatArray, X: FloatArray | None = None, *, restricted: bool
) -> FloatArray:
    """Log-likelihood of tau2 with the coefficients profiled out (ML) or integrated out (REML).

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    tau2 : array of shape (m,)
        Between-study variances to evaluate.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.
    restricted : bool
        True for REML, False for ML.

    Returns
    -------
    array of shape (m,)
        With all constants, as metafor's ``logLik`` has them: REML adds ``log|X'X| / 2``, so that values can be
        compared between codings of the same moderators.

    References
    ----------
    Viechtbauer (2005), J Educ Behav Stat 30:261-293; Harville (1977), J Am Stat Assoc 72:320-338.
    """
    k = yi.size
    variances = vi + tau2[:, None]
    found = moments(yi, vi, tau2, X)
    value: FloatArray = -0.5 * (np.log(variances).sum(axis=1) + found.yPy)
    if not restricted:
        value -= 0.5 * k * np.log(2 * np.pi)
        return value
    if X is None:
        p = 1
        log_det, log_det_x = np.log(found.trW), np.log(k)
    else:
        p = X.shape[1]
        _, r = _sqrt_weighted_qr(1.0 / variances, X)
        log_det = 2 * np.log(np.abs(np.diagonal(r, axis1=1, axis2=2))).sum(axis=1)
        log_det_x = 2 * np.log(np.abs(np.diag(np.linalg.qr(X, mode="r")))).sum()
    value += 0.5 * (log_det_x - log_det - (k - p) * np.log(2 * np.pi))
    return value


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Weighted least squares estimates.

    Parameters
    ----------
    beta : array of shape (p,)
        Coefficients, in the units of the effects.
    covariance : array of shape (p, p)
        ``(X'WX)^-1``.
    q : float
        Weighted residual sum of squares.
    """

    beta: FloatArray
    covariance: FloatArray
    q: float


def coefficients(yi: FloatArray, vi: FloatArray, tau2: float, X: FloatArray) -> Coefficients:
    """Estimate the coefficients of a design with weights ``1 / (vi + tau2)``.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    tau2 : float
        Between-study variance.
    X : array of shape (k, p)
        Design matrix of full column rank.

    Returns
    -------
    Coefficients
        Estimates, their covariance and the residual sum of squares.
    """
    root = 1.0 / np.sqrt(vi + tau2)
    q, r = np.linalg.qr(root[:, None] * X)
    y = root * yi
    inverse = np.linalg.inv(r)
    residuals = y - q @ (q.T @ y)
    return Coefficients(inverse @ (q.T @ y), inverse @ inverse.T, float(residuals @ residuals))
