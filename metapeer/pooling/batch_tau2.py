"""The between-study variance of many sets of effects at once: every estimator of `metapeer.pooling.tau2`.

Effects stand in arrays of shape (k, n), a column for each set; an absent study has an infinite variance. Where sums
would lose digits, because one study outweighs all others, a set is left to the function for a single set.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from metapeer.pooling.batch_likelihood import ManyMaxima, centred, dot_columns, maximise_many, without_absent
from metapeer.pooling.tau2 import estimate_tau2
from metapeer.pooling.weighted import FloatArray

__all__ = ["SLOW_METHODS", "tau2_many"]

SLOW_METHODS = ("GENQM", "BM")
"""Estimators that are computed set by set: they rest on the exact distribution of Q, or on a prior."""

_CANCELS = 1e-3
_EPS = float(np.finfo(np.float64).eps)
_STEPS = 200


def _q(residuals: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sum of weights, generalised Q, and minus its slope in tau2."""
    s1 = np.add.reduce(w, axis=0)
    u = residuals - dot_columns(w, residuals) / s1
    weighted = w * u
    return s1, dot_columns(weighted, u), dot_columns(weighted, weighted)


def _excess(residuals: FloatArray, vi: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Q with fixed weights beyond what sampling error alone would give, and the factor of tau2 in its expectation."""
    s1, q, _ = _q(residuals, w)
    others = s1 - w
    trace = dot_columns(w, others) / s1
    expected = np.einsum("ij,ij,ij->j", w, np.where(w > 0, vi, 0.0), others) / s1
    return q - expected, trace


def _dominated(w: FloatArray) -> NDArray[np.bool_]:
    """Mark sets in which one weight exceeds all others by so much that sums lose digits."""
    s1 = np.add.reduce(w, axis=0)
    return np.asarray(~(s1 - w.max(axis=0) > _CANCELS * s1))


def _closed(residuals: FloatArray, vi: FloatArray, df: FloatArray, method: str) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Estimates in closed form, and the sets to which the formulas must not be applied."""
    k = df + 1.0
    w = 1.0 / vi
    if method == "HE":
        spread = dot_columns(residuals, residuals) - np.where(w > 0, vi, 0.0).sum(axis=0) * (df / k)
        return np.maximum(0.0, spread / df), np.zeros(df.size, dtype=np.bool_)
    if method in ("HS", "HSk"):
        s1, q, _ = _q(residuals, w)
        excess = q - k if method == "HS" else q * k / df - k
        return np.maximum(0.0, excess / s1), _dominated(w)
    if method == "SJ":
        start = dot_columns(residuals, residuals) / k
        _, q, _ = _q(residuals, 1.0 / (vi + start))
        return start * q / df, _dominated(w)
    if method == "DL":
        s1, q, _ = _q(residuals, w)
        trace = s1 - dot_columns(w, w) / s1
        return np.maximum(0.0, (q - df) / trace), _dominated(w)
    if method == "GENQ":
        weights, odd = np.sqrt(w), _dominated(w)
    else:
        first, odd = _closed(residuals, vi, df, {"DL2": "DL", "CA2": "HE"}[method])
        odd = odd | _dominated(w)
        weights = 1.0 / (vi + first)
    excess, trace = _excess(residuals, vi, weights)
    return np.maximum(0.0, excess / trace), odd


def _profile(residuals: FloatArray, vi: FloatArray, target: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Solve generalised Q = target by Newton on 1 / Q; zero where Q is below it already at zero."""
    n = target.size
    tau2, odd = np.zeros(n), np.zeros(n, dtype=np.bool_)
    _, q, slope = _q(residuals, 1.0 / vi)
    active = np.flatnonzero(q > target)
    residuals, vi, target, q, slope = (a[..., active] for a in (residuals, vi, target, q, slope))
    at, low, high = np.zeros(active.size), np.zeros(active.size), np.full(active.size, np.inf)
    smallest = vi.min(axis=0, initial=np.inf)
    for _ in range(_STEPS):
        if not active.size:
            break
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            proposed = at + np.where(slope > 0, q * (q - target) / (target * slope), 0.0)
            enough = 1e-9 * np.maximum(proposed, np.where(slope > 0, q / slope, 0.0))
            outside = ~((low <= proposed) & (proposed <= high))
            proposed = np.where(
                outside, np.where(np.isfinite(high), 0.5 * (low + high), 2.0 * np.maximum(at, smallest)), proposed
            )
        done = np.abs(proposed - at) <= np.where(outside, 4 * _EPS * proposed, enough)
        at = proposed
        tau2[active] = at
        going = np.flatnonzero(~done)
        if going.size < active.size:
            active, at, low, high = active[going], at[going], low[going], high[going]
            target, smallest = target[going], smallest[going]
            residuals, vi = residuals[:, going], vi[:, going]
        _, q, slope = _q(residuals, 1.0 / (vi + at))
        low, high = np.where(q > target, at, low), np.where(q < target, at, high)
    odd[active] = True
    return tau2, odd


def tau2_many(yi: FloatArray, vi: FloatArray, method: str) -> ManyMaxima:
    """Estimate tau2 of every set by a named method.

    Parameters
    ----------
    yi, vi : array of shape (k, n)
        Effects and their sampling variances, a column for each set; infinite for an absent study. Each set has at
        least two studies.
    method : str
        One of `metapeer.pooling.tau2.TAU2_METHODS`.

    Returns
    -------
    ManyMaxima
        The estimates. Estimators that are no maxima of a likelihood have no other maxima, and count as certified.

    Raises
    ------
    ConvergenceError
        If the single fit of a set would not converge either.

    Examples
    --------
    >>> yi, vi = np.array([[0.1], [0.3], [0.8]]), np.array([[0.02], [0.03], [0.04]])
    >>> [round(float(tau2_many(yi, vi, method).tau2[0]), 4) for method in ("REML", "DL", "PM")]
    [0.0949, 0.0894, 0.0975]
    """
    if method in ("REML", "ML"):
        return maximise_many(yi, vi, restricted=method == "REML")
    n = yi.shape[1]
    tau2, odd = np.zeros(n), np.ones(n, dtype=np.bool_)
    if method not in SLOW_METHODS:
        residuals = centred(yi, vi)
        df = np.isfinite(vi).sum(axis=0) - 1.0
        if method in ("PM", "EB", "DLIT", "SJIT", "PMM"):
            tau2, odd = _profile(residuals, vi, chdtri(df, 0.5) if method == "PMM" else df)
        else:
            tau2, odd = _closed(residuals, vi, df, method)
    for column in np.flatnonzero(odd).tolist():
        tau2[column] = estimate_tau2(*without_absent(yi, vi, column), method).tau2
    return ManyMaxima(tau2, np.zeros(n, dtype=np.intp), np.ones(n, dtype=np.bool_))
