"""Tests of coefficients that have degrees of freedom of their own, and information criteria of a fit."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import fdtrc, ndtr, stdtr

from metapeer.pooling.intervals import chi2_tail, normal_quantile, t_quantile
from metapeer.pooling.multilevel_fit import MixedFit
from metapeer.pooling.regression import FitStatistics, Linear, WaldTest, information
from metapeer.pooling.weighted import FloatArray

__all__ = ["linear", "statistics_of", "wald"]


def linear(
    beta: FloatArray, covariance: FloatArray, df: FloatArray, L: FloatArray, *, level: float
) -> tuple[Linear, FloatArray]:
    """Estimate linear combinations of coefficients that have degrees of freedom of their own.

    Parameters
    ----------
    beta, covariance : array of shape (p,) and (p, p)
        Coefficients and their covariance.
    df : array of shape (p,)
        Their degrees of freedom; NaN for normal tests.
    L : array of shape (m, p)
        One combination a row.
    level : float
        Confidence level.

    Returns
    -------
    found : Linear
        The combinations.
    used : array of shape (m,)
        Their degrees of freedom: the fewest of the coefficients that take part.

    Examples
    --------
    >>> found, used = linear(np.array([0.2, 0.1]), np.diag([0.01, 0.04]), np.array([9.0, 4.0]), np.eye(2), level=0.95)
    >>> found.low.round(3).tolist(), used.tolist()
    ([-0.026, -0.455], [9.0, 4.0])
    """
    estimate = L @ beta
    se = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", L, covariance, L), 0.0))
    used = np.array([df[row != 0.0].min() if row.any() else df.min() for row in L])
    normal = np.isnan(used)
    half = se * [normal_quantile(level) if math.isnan(d) else t_quantile(level, d) for d in used.tolist()]
    statistic = np.divide(estimate, se, out=np.full(se.shape, math.nan), where=se > 0)
    tail = np.where(normal, ndtr(-np.abs(statistic)), stdtr(np.where(normal, 1.0, used), -np.abs(statistic)))
    found = Linear(
        estimate=estimate,
        se=se,
        low=estimate - half,
        high=estimate + half,
        statistic=statistic,
        p_value=np.asarray(2.0 * tail),
    )
    return found, used


def wald(beta: FloatArray, covariance: FloatArray, df: FloatArray, chosen: Sequence[int]) -> WaldTest:
    """Test that some coefficients are all zero.

    Parameters
    ----------
    beta, covariance : array of shape (p,) and (p, p)
        Coefficients and their covariance.
    df : array of shape (p,)
        Their degrees of freedom; NaN for normal tests.
    chosen : sequence of int
        Which ones.

    Returns
    -------
    WaldTest
        Chi-squared, or F with the fewest degrees of freedom.

    Examples
    --------
    >>> found = wald(np.array([0.2, 0.3]), np.diag([0.01, 0.01]), np.array([np.nan, np.nan]), [0, 1])
    >>> found.test, round(found.statistic, 6)
    ('chi2', 13.0)
    """
    at = list(chosen)
    values, spread = beta[at], covariance[np.ix_(at, at)]
    size = np.sqrt(np.diag(spread))
    q = float(values / size @ np.linalg.solve(spread / np.outer(size, size), values / size))
    m, df2 = float(len(at)), float(df[at].min())
    if math.isnan(df2):
        return WaldTest(test="chi2", statistic=q, df=m, df2=math.nan, p_value=chi2_tail(q, m))
    return WaldTest(test="F", statistic=q / m, df=m, df2=df2, p_value=float(fdtrc(m, df2, q / m)))


def statistics_of(fit: MixedFit, p: int, method: str) -> FitStatistics:
    """Information criteria of a fit.

    Parameters
    ----------
    fit : MixedFit
        At its maximum.
    p : int
        Coefficients.
    method : {"REML", "ML"}
        The likelihood that was maximised.

    Returns
    -------
    FitStatistics
        Counting coefficients, variances and correlations.
    """
    k = fit.problem.yi.size
    return information(method, fit.value, p + fit.free.size, k - p if method == "REML" else k)
