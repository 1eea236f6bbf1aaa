"""Meta-regression on arrays: coefficients with their tests, predictions, contrasts, collinearity and fit statistics.

Every function takes a design matrix `X` of full column rank. Weights are ``1 / (vi + tau2)``; the covariance of the
coefficients is ``s² (X'WX)^-1``, where s² is 1 or Knapp and Hartung's scale factor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc, ndtr, stdtr

from metapeer.errors import check_choice
from metapeer.pooling.intervals import chi2_tail, normal_quantile, t_quantile
from metapeer.pooling.weighted import FloatArray, coefficients, log_likelihood

__all__ = [
    "ADJUSTMENTS",
    "REGRESSION_CI_METHODS",
    "FitStatistics",
    "Linear",
    "RegressionFit",
    "WaldTest",
    "adjust_p",
    "fit_regression",
    "fit_statistics",
    "generalised_vif",
    "information",
    "linear_combinations",
    "orthonormal",
    "prediction_limits",
    "r2_common",
    "r2_random",
    "wald_test",
]

REGRESSION_CI_METHODS = {
    "z": "normal",
    "t": "t",
    "HK": "Knapp-Hartung",
    "HK_se": "Knapp-Hartung, standard errors not below the classic ones",
}
"""metafor's tests "z", "t", "knha" and "adhoc"."""

ADJUSTMENTS = ("holm", "bonferroni", "none")


def orthonormal(X: FloatArray) -> FloatArray:
    """An orthonormal basis of the columns of a design.

    Residuals, and so tau2, its interval, Q and the likelihoods, depend on what the columns span and not on how they are
    written; years beside an intercept cost Q three digits, and the solvers of equations in Q do not get through to the
    last ones.

    Parameters
    ----------
    X : array of shape (k, p)
        Design matrix of full column rank.

    Returns
    -------
    array of shape (k, p)
        Columns of unit length at right angles.

    Examples
    --------
    >>> basis = orthonormal(np.column_stack([np.ones(3), [2001.0, 2002.0, 2003.0]]))
    >>> np.abs(basis.T @ basis).round(12).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    basis, _ = np.linalg.qr(X)
    return np.asarray(basis)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegressionFit:
    """Coefficients and what their tests need.

    Parameters
    ----------
    beta : array of shape (p,)
        Coefficients, in the units of the effects per unit of the moderator.
    covariance : array of shape (p, p)
        Their covariance, scaled as the method asks.
    hk_q : float
        Knapp and Hartung's scale factor, whether used or not: the weighted residual sum of squares over ``k - p``.
    df : float or None
        Degrees of freedom of the tests, ``k - p``; None for the normal distribution.
    method : str
        One of `REGRESSION_CI_METHODS`.
    """

    beta: FloatArray
    covariance: FloatArray
    hk_q: float
    df: float | None
    method: str


def fit_regression(yi: FloatArray, vi: FloatArray, X: FloatArray, *, tau2: float, method: str) -> RegressionFit:
    """Estimate coefficients by weighted least squares.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p)
        Design matrix of full column rank, with p < k.
    tau2 : float
        Between-study variance that the moderators leave; 0 under a common effect.
    method : {"z", "t", "HK", "HK_se"}
        Normal or t tests, and whether the covariance takes Knapp and Hartung's scale factor ("HK") or the larger of it
        and 1 ("HK_se").

    Returns
    -------
    RegressionFit
        The coefficients with their covariance.

    References
    ----------
    Knapp & Hartung (2003), Stat Med 22:2693-2710.

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
    >>> fit = fit_regression(np.array([0.1, 0.3, 0.2, 0.6]), np.full(4, 0.04), X, tau2=0.0, method="HK")
    >>> fit.beta.round(3).tolist(), round(fit.hk_q, 4), fit.df
    ([0.09, 0.14], 0.525, 2.0)
    """
    check_choice("ci_method", method, REGRESSION_CI_METHODS)
    found = coefficients(yi, vi, tau2, X)
    df = float(yi.size - X.shape[1])
    hk_q = found.q / df
    scale = {"z": 1.0, "t": 1.0, "HK": hk_q, "HK_se": max(1.0, hk_q)}[method]
    return RegressionFit(
        beta=found.beta,
        covariance=scale * found.covariance,
        hk_q=hk_q,
        df=None if method == "z" else df,
        method=method,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """Linear combinations of coefficients, each an array of shape (m,).

    Parameters
    ----------
    estimate, se : array of shape (m,)
        Value and standard error.
    low, high : array of shape (m,)
        Confidence limits.
    statistic, p_value : array of shape (m,)
        Test that the combination is zero; NaN where the standard error is zero.
    """

    estimate: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    statistic: FloatArray
    p_value: FloatArray


def _quantile(level: float, df: float | None) -> float:
    return normal_quantile(level) if df is None else t_quantile(level, df)


def linear_combinations(fit: RegressionFit, L: FloatArray, *, level: float) -> Linear:
    """Estimate linear combinations of the coefficients: the coefficients themselves, contrasts, or fitted values.

    Parameters
    ----------
    fit : RegressionFit
        From `fit_regression`.
    L : array of shape (m, p)
        One combination a row.
    level : float
        Confidence level.

    Returns
    -------
    Linear
        With normal or t tests, as the fit has them.

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
    >>> fit = fit_regression(np.array([0.1, 0.3, 0.2, 0.6]), np.full(4, 0.04), X, tau2=0.0, method="z")
    >>> slope = linear_combinations(fit, np.array([[0.0, 1.0]]), level=0.95)
    >>> float(slope.estimate[0].round(3)), float(slope.se[0].round(4)), float(slope.p_value[0].round(4))
    (0.14, 0.0894, 0.1175)
    """
    estimate = L @ fit.beta
    se = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", L, fit.covariance, L), 0.0))
    half = _quantile(level, fit.df) * se
    statistic = np.divide(estimate, se, out=np.full(se.shape, np.nan), where=se > 0)
    tail = ndtr(-np.abs(statistic)) if fit.df is None else stdtr(fit.df, -np.abs(statistic))
    return Linear(
        estimate=estimate,
        se=se,
        low=estimate - half,
        high=estimate + half,
        statistic=statistic,
        p_value=np.asarray(2.0 * tail),
    )


def prediction_limits(
    estimate: FloatArray, se: FloatArray, *, tau2: float | FloatArray, df: float | None, level: float
) -> tuple[FloatArray, FloatArray]:
    """Limits for the true effect of a new study with given moderators.

    Parameters
    ----------
    estimate, se : array of shape (m,)
        Expected effects and their standard errors.
    tau2 : float or array of shape (m,)
        Between-study variance that the moderators leave.
    df : float or None
        Degrees of freedom; None for the normal distribution.
    level : float
        Coverage.

    Returns
    -------
    low, high : array of shape (m,)
        The limits.

    References
    ----------
    Higgins, Thompson & Spiegelhalter (2009), J R Stat Soc A 172:137-159, with ``k - p`` degrees of freedom as metafor
    has them.

    Examples
    --------
    >>> low, high = prediction_limits(np.array([0.2]), np.array([0.06]), tau2=0.04, df=None, level=0.95)
    >>> float(low[0].round(3)), float(high[0].round(3))
    (-0.209, 0.609)
    """
    half = _quantile(level, df) * np.sqrt(tau2 + se**2)
    return estimate - half, estimate + half


@dataclass(frozen=True, slots=True, kw_only=True)
class WaldTest:
    """A test that several linear combinations of coefficients are all zero.

    Parameters
    ----------
    test : {"chi2", "F"}
        Its distribution.
    statistic : float
        Chi-squared statistic, or F; NaN where the covariance is singular.
    df, df2 : float
        Degrees of freedom; `df2` is NaN for a chi-squared test.
    p_value : float
        Its p value.
    """

    test: str
    statistic: float
    df: float
    df2: float
    p_value: float


def wald_test(fit: RegressionFit, L: FloatArray) -> WaldTest:
    """Test that linear combinations of coefficients are all zero: chi-squared, or F with t and Knapp-Hartung tests.

    Parameters
    ----------
    fit : RegressionFit
        From `fit_regression`.
    L : array of shape (m, p)
        One combination a row, linearly independent.

    Returns
    -------
    WaldTest
        The test.

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
    >>> fit = fit_regression(np.array([0.1, 0.3, 0.2, 0.6]), np.full(4, 0.04), X, tau2=0.0, method="z")
    >>> found = wald_test(fit, np.array([[0.0, 1.0]]))
    >>> found.test, round(found.statistic, 2), round(found.p_value, 4)
    ('chi2', 2.45, 0.1175)
    """
    m = float(L.shape[0])
    kind, df2 = ("chi2", math.nan) if fit.df is None else ("F", fit.df)
    values, spread = L @ fit.beta, L @ fit.covariance @ L.T
    size = np.sqrt(np.diag(spread))
    if not (size > 0).all():
        return WaldTest(test=kind, statistic=math.nan, df=m, df2=df2, p_value=math.nan)
    # As correlations, so that moderators in very different units do not lose each other's digits.
    q = float(values / size @ np.linalg.solve(spread / np.outer(size, size), values / size))
    if fit.df is None:
        return WaldTest(test=kind, statistic=q, df=m, df2=df2, p_value=chi2_tail(q, m))
    return WaldTest(test=kind, statistic=q / m, df=m, df2=df2, p_value=float(fdtrc(m, df2, q / m)))


def generalised_vif(covariance: FloatArray, columns: Sequence[int], others: Sequence[int]) -> float:
    """Generalised variance inflation factor of a term.

    Parameters
    ----------
    covariance : array of shape (p, p)
        Of the coefficients.
    columns : sequence of int
        Coefficients of the term.
    others : sequence of int
        All other coefficients except the intercept.

    Returns
    -------
    float
        How many times larger the squared volume of the term's confidence region is than it would be if the term were
        uncorrelated with the others; the plain VIF for a term of one coefficient.

    References
    ----------
    Fox & Monette (1992), J Am Stat Assoc 87:178-183.

    Examples
    --------
    >>> generalised_vif(np.array([[1.0, 0.6], [0.6, 1.0]]), [0], [1])
    1.5625
    """
    size = np.sqrt(np.diag(covariance))
    R = covariance / np.outer(size, size)

    def determinant(chosen: Sequence[int]) -> float:
        index = np.asarray(chosen, dtype=np.intp)
        return float(np.linalg.det(R[np.ix_(index, index)])) if index.size else 1.0

    return determinant(columns) * determinant(others) / determinant([*columns, *others])


def adjust_p(p: FloatArray, method: str) -> FloatArray:
    """Adjust the p values of several comparisons.

    Parameters
    ----------
    p : array of shape (m,)
        Unadjusted p values.
    method : {"holm", "bonferroni", "none"}
        How.

    Returns
    -------
    array of shape (m,)
        Adjusted p values, at most 1.

    References
    ----------
    Holm (1979), Scand J Stat 6:65-70.

    Examples
    --------
    >>> adjust_p(np.array([0.01, 0.04, 0.03]), "holm").round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    check_choice("adjust", method, ADJUSTMENTS)
    if method == "none":
        return p.copy()
    if method == "bonferroni":
        return np.minimum(1.0, p * p.size)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return adjusted


def r2_random(tau2_without: float, tau2: float) -> float:
    """Share of the between-study variance that the moderators account for.

    Parameters
    ----------
    tau2_without, tau2 : float
        Between-study variance without and with moderators, by the same estimator.

    Returns
    -------
    float
        In per cent, not below zero; NaN when there is no heterogeneity to account for.

    References
    ----------
    Raudenbush (2009), in Cooper, Hedges & Valentine, Handbook of Research Synthesis, chapter 16; Lopez-Lopez et al.
    (2014), Br J Math Stat Psychol 67:30-48 (how unreliable it is with few studies).

    Examples
    --------
    >>> round(r2_random(0.04, 0.01), 6)
    75.0
    """
    return max(0.0, 100.0 * (tau2_without - tau2) / tau2_without) if tau2_without > 0 else math.nan


def r2_common(q_without: float, df_without: int, q: float, df: int) -> float:
    """Adjusted share of the weighted sum of squares that the moderators account for.

    Parameters
    ----------
    q_without, df_without : float, int
        Cochran's Q without moderators and its degrees of freedom.
    q, df : float, int
        Residual Q and its degrees of freedom.

    Returns
    -------
    float
        In per cent, not below zero; NaN when the effects are all equal.

    Examples
    --------
    >>> r2_common(40.0, 10, 18.0, 9)
    50.0
    """
    return max(0.0, 100.0 * (1.0 - (q / df) / (q_without / df_without))) if q_without > 0 else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class FitStatistics:
    """Log-likelihood and information criteria of a model.

    Parameters
    ----------
    kind : {"ML", "REML"}
        Likelihood or restricted likelihood.
    log_likelihood : float
        At the estimates, all constants included.
    parameters : int
        Coefficients and variances estimated.
    AIC, BIC, AICc : float
        Smaller is better. Restricted ones compare only models with the same coefficients.
    """

    kind: str
    log_likelihood: float
    parameters: int
    AIC: float
    BIC: float
    AICc: float


def information(kind: str, value: float, parameters: int, n: int) -> FitStatistics:
    """Compute information criteria from a log-likelihood.

    Parameters
    ----------
    kind : {"ML", "REML"}
        Likelihood or restricted likelihood.
    value : float
        Log-likelihood.
    parameters : int
        Coefficients and variances estimated.
    n : int
        Observations: k for ML, ``k - p`` for REML.

    Returns
    -------
    FitStatistics
        With metafor's small-sample correction, which keeps AICc finite when parameters outnumber observations.

    Examples
    --------
    >>> information("ML", -5.0, 2, 12).AIC
    14.0
    """
    most = max(n, parameters + 2)
    return FitStatistics(
        kind=kind,
        log_likelihood=value,
        parameters=parameters,
        AIC=-2.0 * value + 2.0 * parameters,
        BIC=-2.0 * value + parameters * math.log(n),
        AICc=-2.0 * value + 2.0 * parameters * most / (most - parameters - 1),
    )


def fit_statistics(
    yi: FloatArray, vi: FloatArray, X: FloatArray, *, tau2: float, variances: int, restricted: bool
) -> FitStatistics:
    """Log-likelihood and information criteria at an estimate of tau2.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p)
        Design matrix.
    tau2 : float
        Between-study variance, by whatever estimator.
    variances : int
        Variance parameters estimated: 1, or 0 under a common effect.
    restricted : bool
        True for the restricted likelihood.

    Returns
    -------
    FitStatistics
        As metafor's ``fitstats`` has them.

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])
    >>> found = fit_statistics(yi, vi, np.ones((3, 1)), tau2=0.05, variances=1, restricted=False)
    >>> round(found.log_likelihood, 4), round(found.AIC, 4)
    (-0.5389, 5.0778)
    """
    value = float(log_likelihood(yi, vi, np.array([tau2]), X, restricted=restricted)[0])
    k, p = X.shape
    return information("REML" if restricted else "ML", value, p + variances, k - p if restricted else k)
