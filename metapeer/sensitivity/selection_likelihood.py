"""The likelihood of effects that were seen only with some probability, with its exact gradient and Hessian.

An effect has the density ``w(y) phi(y; m, V) / A(m, V)`` with m its mean, V = vi + tau2, w the weight function and A
the integral that makes it a density (Hedges 1992; Vevea & Hedges 1995). The normal density solves the heat equation,
``d/dV = 1/2 d²/dm²``, and its n-th derivative by m is ``He_n(t) phi / V^(n/2)`` with Hermite polynomials of
``t = (y - m) / sqrt(V)``. All derivatives of A are therefore moments of these polynomials under the weighted density:
sums over pieces of constant weight, in closed form, and over the nodes of a rule. Everything is kept as logarithms
until terms are divided by A, so that neither tiny weights nor effects far from zero underflow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr

from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.selection_weights import Selection

__all__ = ["SelectionLikelihood", "log_share"]

_LOG_2PI = math.log(2.0 * math.pi)
_NOWHERE = 1e150


def log_share(low: FloatArray, high: FloatArray) -> FloatArray:
    """Logarithm of the share of a standard normal distribution between two points.

    Parameters
    ----------
    low, high : array
        The points, the lower first; they may be infinite.

    Returns
    -------
    array
        Logarithms, with full relative precision in either tail.

    Examples
    --------
    >>> log_share(np.array([-np.inf, 40.0]), np.array([0.0, 41.0])).round(3).tolist()
    [-0.693, -804.608]
    """
    # The mirror image of an interval above zero lies below zero, where the distribution function has all its digits.
    above = low > 0.0
    a, b = np.where(above, -high, low), np.where(above, -low, high)
    with np.errstate(divide="ignore", invalid="ignore"):
        outer, inner = log_ndtr(b), log_ndtr(a)
        tail = outer + np.log1p(-np.exp(np.where(np.isneginf(inner), -np.inf, inner - outer)))
        middle = np.log1p(-(ndtr(a) + ndtr(-b)))
    return np.asarray(np.where((a < 0.0) & (b > 0.0) & (ndtr(a) + ndtr(-b) < 0.5), middle, tail))


def _hermite(t: FloatArray, order: int) -> FloatArray:
    if order == 0:
        return np.ones_like(t)
    if order == 1:
        return t
    t2 = t * t
    if order == 2:
        return np.asarray(t2 - 1.0)
    if order == 3:
        return np.asarray(t * (t2 - 3.0))
    return np.asarray(t2 * (t2 - 6.0) + 3.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectionLikelihood:
    """The log-likelihood as a function of coefficients, tau2 and the internal parameters of the weights.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects, turned so that large ones are favoured, and sampling variances.
    X : array of shape (k, p)
        Design of the mean.
    selection : Selection
        The weight function.
    random : bool
        Whether there is a tau2; otherwise it is 0.
    """

    yi: FloatArray
    vi: FloatArray
    X: FloatArray
    selection: Selection
    random: bool

    @property
    def bounded(self) -> "np.typing.NDArray[np.bool_]":
        """Which parameters must not be negative."""
        free = np.zeros(self.X.shape[1], dtype=np.bool_)
        return np.concatenate([free, np.ones(int(self.random), dtype=np.bool_), self.selection.bounded])

    def __call__(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Evaluate.

        Parameters
        ----------
        x : array of shape (p + 1 + q,), or (p + q,) without tau2
            Coefficients, tau2, internal parameters of the weights.

        Returns
        -------
        value : float
            The log-likelihood, with all constants.
        gradient, hessian : array
            Its derivatives.
        """
        with np.errstate(all="ignore"):
            found = self._evaluate(x)
        if not all(np.isfinite(part).all() for part in found):
            # Out of the range of double precision: a place that no climb accepts.
            return -math.inf, np.full(x.size, _NOWHERE), -np.eye(x.size)
        return found

    def _evaluate(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        p = self.X.shape[1]
        V = self.vi + (x[p] if self.random else 0.0)
        psi = x[p + int(self.random) :]
        s = np.sqrt(V)
        m = self.X @ x[:p]
        t = (self.yi - m) / s
        mine = self.selection.at_data(psi)
        log_A, moments, by_psi, curved = self._normaliser(m, s, psi)

        value = float(np.sum(mine.value[:, 0] - 0.5 * (_LOG_2PI + t * t) - np.log(s) - log_A))
        # By m, V and psi of each study; A's second derivatives less the products of its first.
        a_m, a_v = moments[1], 0.5 * moments[2]
        g_m, g_v = t / s - a_m, 0.5 * (t * t - 1.0) / V - a_v
        g_psi = mine.first[:, 0, :] - by_psi[0]
        h_mm = -1.0 / V - (moments[2] - a_m * a_m)
        h_mv = -t / (V * s) - (0.5 * moments[3] - a_m * a_v)
        h_vv = (0.5 - t * t) / (V * V) - (0.25 * moments[4] - a_v * a_v)
        h_mp = -(by_psi[1] - a_m[:, None] * by_psi[0])
        h_vp = -(0.5 * by_psi[2] - a_v[:, None] * by_psi[0])
        h_pp = -(curved.sum(axis=0) - by_psi[0].T @ by_psi[0])
        if mine.second is not None:
            h_pp = h_pp + mine.second[:, 0].sum(axis=0)

        X, after = self.X, p + int(self.random)
        gradient, hessian = np.empty(x.size), np.empty((x.size, x.size))
        gradient[:p], gradient[after:] = X.T @ g_m, g_psi.sum(axis=0)
        hessian[:p, :p], hessian[:p, after:], hessian[after:, after:] = X.T @ (h_mm[:, None] * X), X.T @ h_mp, h_pp
        if self.random:
            gradient[p], hessian[p, p] = g_v.sum(), h_vv.sum()
            hessian[:p, p], hessian[p, after:] = X.T @ h_mv, h_vp.sum(axis=0)
        lower = np.tril_indices(x.size, -1)
        hessian[lower] = hessian.T[lower]
        return value, gradient, hessian

    def _normaliser(
        self, m: FloatArray, s: FloatArray, psi: FloatArray
    ) -> tuple[FloatArray, list[FloatArray], list[FloatArray], FloatArray]:
        """``log A``; derivatives of A by m of orders 0 to 4, of orders 0 to 2 with psi, and by psi twice, over A."""
        chosen = self.selection
        k, q = m.size, psi.size
        low, high = (chosen.low - m[:, None]) / s[:, None], (chosen.high - m[:, None]) / s[:, None]
        pieces = chosen.on_pieces(psi)
        shares = pieces.value + log_share(low, high)
        terms = [shares]
        if chosen.nodes is not None and chosen.on_nodes is not None:
            varying = chosen.on_nodes(psi)
            sei = np.sqrt(self.vi)[:, None]
            t = (sei * chosen.nodes.z - m[:, None]) / s[:, None]
            density = varying.value + chosen.nodes.log_weight - 0.5 * t * t + np.log(sei / s[:, None]) - 0.5 * _LOG_2PI
            terms.append(density)
        log_A = _log_sum(terms)

        moments = [np.ones(k)]
        by_psi: list[FloatArray] = []
        curved = np.zeros((k, q, q))
        ends = []
        for end in (low, high):
            finite = np.isfinite(end)
            at = np.where(finite, end, 0.0)
            height = np.where(finite, np.exp(pieces.value - log_A[:, None] - 0.5 * at * at - 0.5 * _LOG_2PI), 0.0)
            ends.append((at, height))
        part = np.exp(shares - log_A[:, None])
        for order in range(5):
            scale = s**-order
            if order:
                here = sum(
                    sign * _hermite(at, order - 1) * height for sign, (at, height) in zip((1, -1), ends, strict=True)
                )
                part = np.asarray(here)
                moments.append(scale * part.sum(axis=1))
            if order < 3:
                by_psi.append(scale[:, None] * _over(part, pieces.first))
            if order == 0:
                curved += _twice(part, pieces.first, pieces.second)
        if len(terms) > 1:
            weight = np.exp(terms[1] - log_A[:, None])
            for order in range(5):
                part = weight * _hermite(t, order)
                if order:
                    moments[order] = moments[order] + s**-order * part.sum(axis=1)
                if order < 3:
                    by_psi[order] = by_psi[order] + (s**-order)[:, None] * _over(part, varying.first)
            curved += _twice(weight, varying.first, varying.second)
        return log_A, moments, by_psi, curved


def _log_sum(terms: Sequence[FloatArray]) -> FloatArray:
    """Logarithm of the sum over the columns of all arrays."""
    top = np.max([part.max(axis=1) for part in terms], axis=0)
    whole = sum(np.exp(part - top[:, None]).sum(axis=1) for part in terms)
    return np.asarray(top + np.log(whole))


def _over(part: FloatArray, first: FloatArray) -> FloatArray:
    """Sum over points of shares (k, n) times derivatives (k or 1, n, q)."""
    if first.shape[0] == 1:
        return np.asarray(part @ first[0])
    return np.asarray(np.einsum("kn,knq->kq", part, first))


def _twice(part: FloatArray, first: FloatArray, second: FloatArray | None) -> FloatArray:
    """Sum over points of shares times second derivatives of the weight itself, over the weight."""
    whole = first[..., :, None] * first[..., None, :]
    if second is not None:
        whole = whole + second
    n, q = first.shape[1:]
    if first.shape[0] == 1:
        return np.asarray(part @ whole[0].reshape(n, q * q)).reshape(part.shape[0], q, q)
    return np.asarray(np.einsum("kn,knpq->kpq", part, whole))
