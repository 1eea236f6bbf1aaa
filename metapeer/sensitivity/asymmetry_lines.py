"""Regression of effects on a measure of precision: the one line behind most tests of funnel-plot asymmetry.

Errors may be multiplicative (variances are proportional to ``1 / w``, the factor is estimated, t tests) or additive
(variances are ``vi + tau2``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metapeer.errors import DataError
from metapeer.pooling.intervals import normal_quantile, t_quantile
from metapeer.pooling.regression import fit_regression, linear_combinations, orthonormal
from metapeer.pooling.robust import WorkingModel
from metapeer.pooling.robust_sandwich import sandwich
from metapeer.pooling.robust_wald import robust_linear
from metapeer.pooling.tau2 import estimate_tau2
from metapeer.pooling.weighted import FloatArray

__all__ = ["Line", "fit_line", "line_at"]

_FLAT = 1e-10
"""Share of a predictor's size below which its spread is rounding."""

_WIDEST = 1e14
"""Ratio of variances beyond which double precision cannot tell the lesser studies from rounding."""

_EXACT = 1e-26
"""Share of the weighted sum of squares below which residuals are rounding: effects lie on the line."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """A weighted regression line.

    Parameters
    ----------
    beta, se, statistic, p_value, low, high : array of shape (2,)
        Intercept and slope, with tests and limits.
    df : array of shape (2,)
        Degrees of freedom of the two tests; infinite for the normal distribution.
    covariance : array of shape (2, 2)
        Of intercept and slope.
    tau2 : float
        Additive variance; NaN where errors are multiplicative.
    dispersion : float
        Weighted residual sum of squares over ``k - 2``: the multiplicative factor.
    """

    beta: FloatArray
    se: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    low: FloatArray
    high: FloatArray
    df: FloatArray
    covariance: FloatArray
    tau2: float
    dispersion: float


def fit_line(
    yi: FloatArray,
    vi: FloatArray,
    x: FloatArray,
    *,
    tau2_method: str | None = None,
    method: str = "HK",
    level: float = 0.95,
    clusters: Sequence[str] | None = None,
    vcov: str = "CR2",
) -> Line:
    """Regress effects on a predictor with weights ``1 / (vi + tau2)``.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects, and variances up to a factor.
    x : array of shape (k,)
        Predictor.
    tau2_method : str, optional
        Estimator of the additive variance; none when left out, and then "HK" is the multiplicative model.
    method : {"z", "t", "HK", "HK_se"}, default "HK"
        As in `meta_regression`.
    level : float, default 0.95
        Of the limits.
    clusters : sequence of str, optional
        Cluster of each effect: then standard errors are cluster-robust, with Satterthwaite's degrees of freedom.
    vcov : str, default "CR2"
        Correction of those for few clusters.

    Returns
    -------
    Line
        The line.

    Raises
    ------
    DataError
        If the predictor is the same in all studies, variances are too far apart, or clusters are too few.

    References
    ----------
    Thompson & Sharp (1999), Stat Med 18:2693-2708.

    Examples
    --------
    >>> yi, sei = np.array([0.1, 0.3, 0.2, 0.6]), np.array([0.1, 0.2, 0.3, 0.4])
    >>> line = fit_line(yi, sei**2, sei)
    >>> line.beta.round(3).tolist(), float(line.p_value[1].round(4))
    ([-0.025, 1.295], 0.1232)
    """
    spread = float(np.ptp(x))
    if not spread > _FLAT * float(np.abs(x).max()):
        raise DataError("the predictor", ["is the same in all studies, so that no effect of it can be told"])
    if not float(vi.max()) < _WIDEST * float(vi.min()):
        raise DataError(
            "the effects",
            [f"the largest variance is over {_WIDEST:.0e} times the smallest: no line can be weighted so"],
        )
    # In units of its own spread, years or participants do not cost digits beside the intercept.
    unit = float(np.abs(x).max())
    X = np.column_stack([np.ones(x.size), x / unit])
    scale = np.array([1.0, 1.0 / unit])
    tau2 = 0.0 if tau2_method is None else estimate_tau2(yi, vi, tau2_method, orthonormal(X)).tau2
    fit = fit_regression(yi, vi, X, tau2=tau2, method=method)
    if clusters is None:
        each = linear_combinations(fit, np.eye(2), level=level)
        df = np.full(2, math.inf if fit.df is None else fit.df)
        found = (each.estimate, each.se, each.statistic, each.p_value, each.low, each.high)
        covariance = fit.covariance
    else:
        blocks = tuple((np.array([i]), np.array([[v]])) for i, v in enumerate((vi + tau2).tolist()))
        model = WorkingModel(yi=yi, X=X, names=("Intercept", "predictor"), blocks=blocks)
        robust = sandwich(model, clusters, method=vcov)
        told = robust_linear(robust, np.eye(2), test="Satterthwaite", level=level)
        df, covariance = told.df, robust.covariance
        found = (told.estimate, told.se, told.statistic, told.p_value, told.low, told.high)
    estimate, se, statistic, p_value, low, high = (np.array(values) for values in found)
    exact = fit.hk_q * (x.size - 2) <= _EXACT * float(((yi - yi.mean()) ** 2 / vi).sum())
    if exact and clusters is None and method == "HK":
        se, low, high = np.zeros(2), estimate.copy(), estimate.copy()
        statistic, p_value, covariance = np.full(2, math.nan), np.full(2, math.nan), np.zeros((2, 2))
    return Line(
        beta=estimate * scale,
        se=se * scale,
        statistic=statistic,
        p_value=p_value,
        low=low * scale,
        high=high * scale,
        df=np.array(df, dtype=np.float64),
        covariance=covariance * np.outer(scale, scale),
        tau2=math.nan if tau2_method is None else tau2,
        dispersion=fit.hk_q,
    )


def line_at(line: Line, x: FloatArray, *, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Follow a line with its confidence band.

    Parameters
    ----------
    line : Line
        From `fit_line`.
    x : array of shape (m,)
        Where.
    level : float
        Of the band, point by point.

    Returns
    -------
    fitted, low, high : array of shape (m,)
        The line and its band.
    """
    L = np.column_stack([np.ones(x.size), x])
    fitted = L @ line.beta
    se = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", L, line.covariance, L), 0.0))
    df = float(np.nanmin(line.df)) if np.isfinite(line.df).any() else math.inf
    half = (normal_quantile(level) if math.isinf(df) else t_quantile(level, df)) * se
    return fitted, fitted - half, fitted + half
