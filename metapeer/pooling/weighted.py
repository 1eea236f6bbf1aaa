"""Weighted least squares for effects with known variances: the algebra that every pooling method shares.

With weights ``W = diag(1 / (vi + tau2))`` and design `X` (a column of ones when left out), everything needed is a
function of ``P = W - W X (X'WX)^-1 X'W``. `X` is never inverted: a QR decomposition of ``sqrt(W) X`` serves, and
without moderators plain sums do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coefficients", "FloatArray", "Moments", "coefficients", "log_likelihood", "moments", "q_statistic"]

FloatArray = NDArray[np.float64]


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
        return Moments(
            np.einsum("ij,ij->i", weighted, residuals),
            np.einsum("ij,ij->i", weighted, weighted),
            s1,
            s1 - np.einsum("ij,ij->i", w, w) / s1,
        )
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
        residuals = yi - (w @ yi) / w.sum()
        weighted = w * residuals
        return float(weighted @ residuals), float(weighted @ weighted)
    found = moments(yi, vi, np.array([tau2]), X)
    return float(found.yPy[0]), float(found.yPPy[0])


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
    total = vi + tau2[:, None]
    found = moments(yi, vi, tau2, X)
    value: FloatArray = -0.5 * (np.log(total).sum(axis=1) + found.yPy)
    if not restricted:
        value -= 0.5 * k * np.log(2 * np.pi)
        return value
    if X is None:
        p = 1
        log_det, log_det_x = np.log(found.trW), np.log(k)
    else:
        p = X.shape[1]
        _, r = _sqrt_weighted_qr(1.0 / total, X)
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
