"""Cluster wild bootstrap of tests of coefficients, with the hypothesis imposed.

Effects are made anew as the model under the hypothesis expects them, plus its residuals with signs drawn at random for
whole clusters. Weights and variance components stay as fitted. Everything a replicate needs is linear in the signs, so
that clusters enter with p numbers each and no model is fitted again.
"""

import math
from dataclasses import dataclass

import numpy as np

from metapeer.pooling.robust import WorkingModel, transposed
from metapeer.pooling.robust_sandwich import Sandwich, sandwich
from metapeer.pooling.robust_wald import quadratic_statistic, untold
from metapeer.pooling.weighted import FloatArray

__all__ = ["Bootstrapped", "wild_bootstrap_test"]

_TIE = 1e-10
"""Statistics closer than this share are one value computed twice: signs that only swap make exact ties."""

_CELLS = 2_000_000  # numbers held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrapped:
    """What a wild bootstrap found.

    Parameters
    ----------
    statistic : float
        Wald's statistic of the effects as they are; NaN where its covariance is singular.
    p_value : float
        Share of the replicates with a statistic at least as large.
    exact : bool
        Whether all patterns of signs were gone through instead of drawing some.
    replicates : int
        How many were computed.
    """

    statistic: float
    p_value: float
    exact: bool
    replicates: int


def _signs(m: int, reps: int, seed: int) -> tuple[FloatArray, bool]:
    """Signs of the clusters, one replicate a row, and whether they are all there are.

    Turning every sign around changes no statistic, so the first cluster keeps its own when all patterns are listed.
    """
    if m - 1 < 31 and 2 ** (m - 1) <= reps:
        patterns = np.arange(2 ** (m - 1))[:, None] >> np.arange(m - 1)[None, :] & 1
        return np.hstack([np.ones((patterns.shape[0], 1)), 1.0 - 2.0 * patterns]), True
    drawn = np.random.default_rng(seed).integers(0, 2, size=(reps, m), dtype=np.int8)
    return np.asarray(2.0 * drawn - 1.0, dtype=np.float64), False


def _null_residuals(fit: Sandwich, c: FloatArray, adjust: str) -> FloatArray:
    """Residuals of the model in which the combinations `c` of the coordinates are zero, adjusted for few clusters."""
    q, p = c.shape
    model = fit.model
    if q == p:
        return model.yi
    _, _, turned = np.linalg.svd(c)
    free = fit.inverse_R @ turned[q:].T
    null = WorkingModel(
        yi=model.yi,
        X=model.X @ free,
        names=tuple(f"direction {j}" for j in range(1, p - q + 1)),
        blocks=model.blocks,
        labels=model.labels,
        weights=model.weights,
    )
    return sandwich(null, [fit.clusters[j] for j in fit.cluster_of.tolist()], method=adjust).adjusted


def _statistics(signs: FloatArray, c: FloatArray, t: FloatArray, u: FloatArray, reach: FloatArray) -> FloatArray:
    """Wald's statistic of each replicate; infinite where its covariance is singular."""
    shift = signs @ t  # how far the coordinates lie from those of the hypothesis
    values = shift @ c.T
    scores = signs[:, :, None] * (u @ c.T) - np.einsum("jqp,bp->bjq", reach, shift, optimize=True)
    spread = transposed(scores) @ scores
    if c.shape[0] == 1:
        top, below = np.square(values[:, 0]), spread[:, 0, 0]
        return np.asarray(np.divide(top, below, out=np.full(top.shape, np.inf), where=below > 0))
    eigen, vectors = np.linalg.eigh(spread)
    sound = eigen[:, 0] > 1e-12 * eigen[:, -1]
    turned = (transposed(vectors) @ values[..., None])[..., 0]
    found = (np.square(turned) / np.where(sound[:, None], eigen, 1.0)).sum(axis=1)
    return np.asarray(np.where(sound, found, np.inf))


def wild_bootstrap_test(fit: Sandwich, L: FloatArray, *, reps: int, seed: int, adjust: str = "CR0") -> Bootstrapped:
    """Test that combinations of coefficients are all zero by a cluster wild bootstrap with Rademacher signs.

    Parameters
    ----------
    fit : Sandwich
        From `sandwich`; its correction goes into the statistic.
    L : array of shape (q, p)
        One combination a row, linearly independent.
    reps : int
        Replicates; all ``2^(m - 1)`` patterns of signs of m clusters when there are no more.
    seed : int
        Of the draws.
    adjust : str, default "CR0"
        Correction for few clusters of the residuals that are given signs, as in `sandwich`.

    Returns
    -------
    Bootstrapped
        The p value. A replicate with a singular covariance counts as one with a larger statistic, and ties count; when
        replicates are drawn, the effects as they are count as one more.

    References
    ----------
    Joshi, Pustejovsky & Beretvas (2022), Res Synth Methods 13:457-477; Davison & Hinkley (1997), Bootstrap Methods and
    Their Application, section 4.2 (counting the data themselves).

    Examples
    --------
    >>> blocks = tuple((np.array([i]), np.array([[0.04]])) for i in range(6))
    >>> yi = np.array([0.1, 0.3, 0.5, 0.2, 0.6, 0.4])
    >>> model = WorkingModel(yi=yi, X=np.ones((6, 1)), names=("Intercept",), blocks=blocks)
    >>> found = wild_bootstrap_test(sandwich(model, list("abcdef"), method="CR0"), np.eye(1), reps=99, seed=1)
    >>> found.exact, found.replicates, found.p_value
    (True, 32, 0.03125)
    """
    values = L @ fit.beta
    statistic = math.nan if untold(fit, L) else quadratic_statistic(values, L @ fit.covariance @ L.T)
    if math.isnan(statistic):
        return Bootstrapped(statistic=statistic, p_value=math.nan, exact=False, replicates=0)
    m = len(fit.clusters)
    c = fit.coordinates(L)
    # In units of the robust standard errors, so that no test of singularity depends on units.
    c = np.asarray(np.linalg.solve(np.linalg.cholesky(L @ fit.covariance @ L.T), c))
    r = _null_residuals(fit, c, adjust)
    p = c.shape[1]
    t, u = np.empty((m, p)), np.empty((m, p))
    for stack in fit.stacks:
        own = r[stack.rows][..., None]
        t[stack.members] = (transposed(stack.WZ) @ own)[..., 0]
        u[stack.members] = (transposed(stack.E) @ own)[..., 0]
    reach = c @ fit.reach
    signs, exact = _signs(m, reps, seed)
    step = max(1, _CELLS // (m * c.shape[0]))
    found = np.concatenate([_statistics(signs[i : i + step], c, t, u, reach) for i in range(0, len(signs), step)])
    reached = int((found >= statistic * (1.0 - _TIE)).sum())
    p_value = reached / len(signs) if exact else (reached + 1) / (len(signs) + 1)
    return Bootstrapped(statistic=statistic, p_value=p_value, exact=exact, replicates=len(signs))
