"""Tests of coefficients with a cluster-robust covariance, and the degrees of freedom that few clusters leave them.

The robust covariance of combinations ``C beta`` is a sum over clusters of ``q_j q_j'``, where the ``q_j`` are linear in
the effects. How variable it is follows from the covariance of ``q_j`` and ``q_k`` under the working model, a matrix
``P_jk``: a block for ``j = k`` less a product of low rank. Sums over all pairs of clusters are therefore sums over
clusters, except those of the few clusters that hold most of what the data tell; there the sums would cancel, and the
pairs are gone through.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, fdtrc, stdtr

from metapeer.errors import check_choice
from metapeer.pooling.intervals import normal_quantile, t_quantile
from metapeer.pooling.robust_sandwich import Sandwich, alone_share
from metapeer.pooling.weighted import FloatArray

__all__ = [
    "COEFFICIENT_TESTS",
    "WALD_TESTS",
    "RobustLinear",
    "RobustWald",
    "hotelling_df",
    "quadratic_statistic",
    "robust_linear",
    "robust_wald",
    "untold",
]

COEFFICIENT_TESTS = {
    "Satterthwaite": "Satterthwaite df",
    "naive-t": "df = clusters - 1",
    "naive-tp": "df = clusters - coefficients",
    "z": "normal distribution",
}
"""Tests of single coefficients, as clubSandwich names them."""

WALD_TESTS = {
    "HTZ": "approximate Hotelling test",
    "naive-F": "F test, df = clusters - 1",
    "naive-Fp": "F test, df = clusters - coefficients",
    "chi-sq": "chi-squared test",
}
"""Tests of several constraints; HTZ is the AHT test of Tipton & Pustejovsky (2015), J Educ Behav Stat 40:604-634."""

_UNTOLD = 1e-9
"""Of which no more than this share is told by residuals has no robust variance; rounding leaves about 1e-15."""

_SINGULAR = 1e-12
"""Smallest eigenvalue of the correlations between combinations that can be tested together."""

_MATTERS = 1e-8
"""Clusters below this share of the whole cannot spoil a sum by cancelling."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RobustLinear:
    """Combinations of coefficients, each an array of shape (q,).

    Parameters
    ----------
    estimate, se, statistic, df, p_value, low, high : array of shape (q,)
        Value, robust standard error, statistic, degrees of freedom (infinite for the normal distribution), two-sided p
        value and limits; all but the first NaN where the residuals tell nothing of the variance.
    alone : array of shape (q,)
        Share of the variance that no residual tells, since single clusters decide it.
    """

    estimate: FloatArray
    se: FloatArray
    statistic: FloatArray
    df: FloatArray
    p_value: FloatArray
    low: FloatArray
    high: FloatArray
    alone: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustWald:
    """A test that several combinations of coefficients are all zero.

    Parameters
    ----------
    test : str
        One of `WALD_TESTS`.
    statistic : float
        F, or chi-squared; NaN where the covariance of the combinations is singular or there are too few clusters.
    df1, df2 : float
        Degrees of freedom; `df2` is infinite for the chi-squared test.
    p_value : float
        Its p value.
    """

    test: str
    statistic: float
    df1: float
    df2: float
    p_value: float


def _pair(P: FloatArray) -> FloatArray:
    """What a pair of clusters adds to the variance of the covariance: tr(P)² + tr(PP), by Isserlis's theorem."""
    traces = np.trace(P, axis1=-2, axis2=-1)
    return np.asarray(np.square(traces) + (P * np.swapaxes(P, -1, -2)).sum(axis=(-2, -1)))


def _parts(fit: Sandwich, c: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Blocks D and factors U, K with ``P_jk = [j = k] D_j + U_j K U_k'``, for combinations `c` of the coordinates."""
    D = c @ fit.spread @ c.T
    g = c @ fit.reach
    p = c.shape[1]
    if fit.cross is None:
        return D, g, -np.eye(p)
    zero = np.zeros((p, p))
    return D, np.concatenate([g, c @ fit.cross], axis=2), np.block([[fit.inner, -np.eye(p)], [-np.eye(p), zero]])


def _all_pairs(D: FloatArray, U: FloatArray, K: FloatArray) -> float:
    """Sum of `_pair` over all pairs of clusters."""
    UK = U @ K
    low_rank = UK @ np.swapaxes(U, 1, 2)
    own = D + low_rank
    found = float(_pair(own).sum())
    sizes, removed = (np.sqrt(np.square(part).sum(axis=(1, 2))) for part in (own, low_rank))
    heavy = removed > np.maximum(sizes, _MATTERS * sizes.sum())
    # Pairs with a heavy cluster, one by one.
    others = ~heavy
    for j in np.flatnonzero(heavy).tolist():
        found += 2.0 * float(_pair(UK[j] @ np.swapaxes(U[others], 1, 2)).sum())
        others[j] = True  # the next heavy cluster meets this one too, and each pair counts once in each order
    # All pairs of light clusters from products summed over clusters, less each with itself.
    q, r = U.shape[1:]
    light, turned = U[~heavy], UK[~heavy]
    flat, flat_turned = light.reshape(-1, q * r), turned.reshape(-1, q * r)
    squares = float(((flat_turned.T @ flat_turned) * (flat.T @ flat)).sum())
    T = (flat.T @ flat).reshape(q, r, q, r)
    T2 = (flat_turned.T @ flat_turned).reshape(q, r, q, r)
    products = float(np.einsum("sbtd,tbsd->", T2, T, optimize=True))
    return found + squares + products - float(_pair(low_rank[~heavy]).sum())


def _expected(fit: Sandwich, c: FloatArray) -> FloatArray:
    """Expectation of the robust covariance of combinations under the working model."""
    D, U, K = _parts(fit, c)
    return np.asarray((D + U @ K @ np.swapaxes(U, 1, 2)).sum(axis=0))


def hotelling_df(fit: Sandwich, L: FloatArray) -> float:
    """Degrees of freedom of the Wishart distribution that is as variable as the robust covariance of combinations.

    Parameters
    ----------
    fit : Sandwich
        From `sandwich`.
    L : array of shape (q, p)
        One combination a row.

    Returns
    -------
    float
        eta of Tipton & Pustejovsky (2015); for one combination, Satterthwaite's. NaN where the covariance has no full
        rank.
    """
    c = fit.coordinates(L)
    c = c / np.linalg.norm(c, axis=1, keepdims=True)  # so that units do not matter
    q = len(c)
    values, vectors = np.linalg.eigh(_expected(fit, c))
    if not values[0] > 1e-13 * values[-1]:
        return math.nan
    root = vectors / np.sqrt(values) @ vectors.T
    total = _all_pairs(*_parts(fit, root @ c))
    return q * (q + 1) / total


def untold(fit: Sandwich, L: FloatArray) -> bool:
    """Tell whether some combination of the combinations has a variance that no residual tells.

    Parameters
    ----------
    fit : Sandwich
        From `sandwich`.
    L : array of shape (q, p)
        One combination a row, linearly independent.

    Returns
    -------
    bool
        True when single clusters decide it.
    """
    if not fit.alone:
        return False
    basis, _ = np.linalg.qr(fit.coordinates(L).T)
    directions = np.array([direction for _, direction in fit.alone])
    return bool(np.linalg.norm(directions @ basis, ord=2) ** 2 > 1.0 - _UNTOLD)


def robust_linear(fit: Sandwich, L: FloatArray, *, test: str, level: float) -> RobustLinear:
    """Estimate and test combinations of coefficients one by one.

    Parameters
    ----------
    fit : Sandwich
        From `sandwich`.
    L : array of shape (q, p)
        One combination a row.
    test : {"Satterthwaite", "naive-t", "naive-tp", "z"}
        Distribution of the statistic, see `COEFFICIENT_TESTS`.
    level : float
        Confidence level.

    Returns
    -------
    RobustLinear
        Estimates with tests and limits.

    Examples
    --------
    >>> from metapeer.pooling.robust import WorkingModel
    >>> from metapeer.pooling.robust_sandwich import sandwich
    >>> blocks = tuple((np.array([i]), np.array([[v]])) for i, v in enumerate([0.04, 0.05, 0.03, 0.06, 0.02]))
    >>> yi = np.array([0.1, 0.3, 0.5, 0.2, 0.6])
    >>> model = WorkingModel(yi=yi, X=np.ones((5, 1)), names=("Intercept",), blocks=blocks)
    >>> found = robust_linear(sandwich(model, list("aabcc")), np.eye(1), test="Satterthwaite", level=0.95)
    >>> float(found.df[0].round(3)), float(found.p_value[0].round(4))
    (1.845, 0.0646)
    """
    check_choice("test", test, COEFFICIENT_TESTS)
    m, p = len(fit.clusters), fit.beta.size
    alone = alone_share(fit, L)
    told = alone <= 1.0 - _UNTOLD
    estimate = L @ fit.beta
    variance = np.maximum(np.einsum("ij,jk,ik->i", L, fit.covariance, L), 0.0)
    se = np.sqrt(np.where(told, variance, np.nan))
    if test == "Satterthwaite":
        df = np.array(
            [hotelling_df(fit, row[None, :]) if able else math.nan for row, able in zip(L, told, strict=True)]
        )
    else:
        df = np.full(len(L), {"naive-t": m - 1.0, "naive-tp": float(m - p), "z": math.inf}[test])
        df[~told | (df <= 0)] = np.nan
    statistic = np.divide(estimate, se, out=np.full(se.shape, np.nan), where=se > 0)
    quantile = [
        normal_quantile(level) if math.isinf(own) else t_quantile(level, own) if own > 0 else math.nan
        for own in df.tolist()
    ]
    half = np.array(quantile) * se
    return RobustLinear(
        estimate=estimate,
        se=se,
        statistic=statistic,
        df=df,
        p_value=np.asarray(2.0 * stdtr(df, -np.abs(statistic))),
        low=estimate - half,
        high=estimate + half,
        alone=alone,
    )


def quadratic_statistic(values: FloatArray, spread: FloatArray) -> float:
    """Wald's statistic of several combinations.

    Parameters
    ----------
    values : array of shape (q,)
        Their estimates.
    spread : array of shape (q, q)
        Their covariance.

    Returns
    -------
    float
        ``values' spread^-1 values``; NaN where the covariance is singular.

    Examples
    --------
    >>> quadratic_statistic(np.array([1.0, 2.0]), np.diag([0.5, 2.0]))
    4.0
    """
    size = np.sqrt(np.maximum(np.diag(spread), 0.0))
    if not (np.isfinite(size) & (size > 0)).all():
        return math.nan
    correlation = spread / np.outer(size, size)  # so that units do not matter
    if not np.linalg.eigvalsh(correlation)[0] > _SINGULAR:
        return math.nan
    return float(values / size @ np.linalg.solve(correlation, values / size))


def robust_wald(fit: Sandwich, L: FloatArray, *, test: str = "HTZ") -> RobustWald:
    """Test that several combinations of coefficients are all zero.

    Parameters
    ----------
    fit : Sandwich
        From `sandwich`.
    L : array of shape (q, p)
        One combination a row, linearly independent.
    test : {"HTZ", "naive-F", "naive-Fp", "chi-sq"}, default "HTZ"
        The test, see `WALD_TESTS`. HTZ keeps its level with few clusters, the others do not.

    Returns
    -------
    RobustWald
        The test.

    References
    ----------
    Tipton & Pustejovsky (2015), J Educ Behav Stat 40:604-634; Pustejovsky & Tipton (2018), J Bus Econ Stat 36:672-683.

    Examples
    --------
    >>> from metapeer.pooling.robust import WorkingModel
    >>> from metapeer.pooling.robust_sandwich import sandwich
    >>> blocks = tuple((np.array([i]), np.array([[0.04]])) for i in range(8))
    >>> X = np.column_stack([np.ones(8), np.arange(8.0), [0, 1, 1, 0, 0, 1, 0, 1]])
    >>> yi = np.array([0.1, 0.3, 0.5, 0.2, 0.6, 0.4, 0.7, 0.9])
    >>> model = WorkingModel(yi=yi, X=X, names=("Intercept", "dose", "group"), blocks=blocks)
    >>> found = robust_wald(sandwich(model, list("abcdefgh")), np.eye(3)[1:])
    >>> round(found.statistic, 2), found.df1, round(found.df2, 2), round(found.p_value, 3)
    (12.48, 2.0, 2.79, 0.04)
    """
    check_choice("test", test, WALD_TESTS)
    m, (q, p) = len(fit.clusters), L.shape
    Q = math.nan if untold(fit, L) else quadratic_statistic(L @ fit.beta, L @ fit.covariance @ L.T)
    if test == "chi-sq":
        return RobustWald(test=test, statistic=Q, df1=float(q), df2=math.inf, p_value=float(chdtrc(q, Q)))
    if test == "HTZ":
        eta = math.nan if math.isnan(Q) else hotelling_df(fit, L)
        df2 = eta - q + 1.0
        F = df2 / (eta * q) * Q if df2 > 0 else math.nan
    else:
        df2 = float(m - (1 if test == "naive-F" else p))
        F = Q / q if df2 > 0 else math.nan
    p_value = float(fdtrc(q, df2, F)) if df2 > 0 else math.nan
    return RobustWald(test=test, statistic=F, df1=float(q), df2=df2, p_value=p_value)
