"""What a fit owes to each of its rows: residuals, leverages and the measures of change when a row is deleted.

Everything follows from the fit, ``b`` with covariance ``vb``, and its repetitions without each row, ``b(-i)`` with
``vb(-i)`` and ``tau2(-i)``. Without moderators the design is a column of ones. With Hartung-Knapp intervals the scale
factor enters through ``vb`` and the yardsticks of DFFITS and DFBETAS. A studentised residual takes the row's own
variance, ``vi + tau2(-i)``, as it is, as Viechtbauer & Cheung define it; metafor with ``test="knha"`` scales that too,
so that where effects happen to agree, and the factor is far below 1, harmless rows look like outliers.

References
----------
Viechtbauer & Cheung (2010), Res Synth Methods 1:112-125; Cook & Weisberg (1982), Residuals and Influence in Regression;
Belsley, Kuh & Welsch (1980), Regression Diagnostics. Definitions and cut-offs as function ``influence`` of metafor has
them, Viechtbauer (2010), J Stat Softw 36(3):1-48.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, chdtri

from metapeer.pooling.weighted import FloatArray

__all__ = ["Cutoffs", "Deleted", "Diagnostics", "Fitted", "cutoffs", "diagnose", "flags", "hat_matrix_diagonal"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A fit of all k rows.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and sampling variances.
    X : array of shape (k, p)
        Design.
    weights : array of shape (k,)
        Weights of the estimate; only their ratios count.
    inverse : bool
        Whether they are ``1 / (vi + tau2)``, as against weights that do not depend on tau2.
    beta : array of shape (p,)
        Coefficients.
    vb : array of shape (p, p)
        Their covariance, as intervals use it.
    tau2 : float
        Between-study variance.
    """

    yi: FloatArray
    vi: FloatArray
    X: FloatArray
    weights: FloatArray
    inverse: bool
    beta: FloatArray
    vb: FloatArray
    tau2: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deleted:
    """The fits without each row; NaN where there is none.

    Parameters
    ----------
    beta : array of shape (k, p)
        Coefficients.
    vb : array of shape (k, p, p)
        Their covariances.
    tau2 : array of shape (k,)
        Between-study variances.
    scale : array of shape (k,)
        By what each `vb` exceeds the classic covariance: Knapp and Hartung's factor where intervals use it.
    QE : array of shape (k,)
        Residual heterogeneity.
    """

    beta: FloatArray
    vb: FloatArray
    tau2: FloatArray
    scale: FloatArray
    QE: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diagnostics:
    """One number for each row, each an array of shape (k,); `dfbetas` has shape (k, p).

    Parameters
    ----------
    rstandard : array
        Residual over its standard error.
    rstudent : array
        Residual from the fit without the row, over its standard error.
    dffits : array
        Change of the row's own fitted value, in standard errors.
    cook_d : array
        Cook's distance: the squared length of the change of all coefficients, in standard errors.
    cov_r : array
        Determinant of the covariance of the coefficients without the row, over that with it.
    hat : array
        Leverage: the derivative of the row's fitted value by its effect.
    dfbetas : array
        Change of each coefficient, in standard errors.
    baujat_x, baujat_y : array
        Squared Pearson residual, and the squared change of the fitted value over its variance without the row.
    """

    rstandard: FloatArray
    rstudent: FloatArray
    dffits: FloatArray
    cook_d: FloatArray
    cov_r: FloatArray
    hat: FloatArray
    dfbetas: FloatArray
    baujat_x: FloatArray
    baujat_y: FloatArray


def _projector(X: FloatArray, weights: FloatArray) -> FloatArray:
    """The matrix that turns effects into coefficients, ``(X'AX)^-1 X'A``."""
    root = np.sqrt(weights)
    q, r = np.linalg.qr(root[:, None] * X)
    return np.asarray(np.linalg.solve(r, q.T) * root)


def hat_matrix_diagonal(X: FloatArray, weights: FloatArray) -> FloatArray:
    """Leverages of a weighted fit.

    Parameters
    ----------
    X : array of shape (k, p)
        Design of full column rank.
    weights : array of shape (k,)
        Weights.

    Returns
    -------
    array of shape (k,)
        Between 0 and 1; they sum to p.

    Examples
    --------
    >>> hat_matrix_diagonal(np.ones((3, 1)), np.array([1.0, 1.0, 2.0])).round(12).tolist()
    [0.25, 0.25, 0.5]
    """
    q, _ = np.linalg.qr(np.sqrt(weights)[:, None] * X)
    return np.asarray(np.einsum("ij,ij->i", q, q))


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Divide; NaN where the divisor is not above 0."""
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, math.nan), where=bottom > 0))


def diagnose(fit: Fitted, deleted: Deleted) -> Diagnostics:
    """Compare a fit with its repetitions.

    Parameters
    ----------
    fit : Fitted
        The fit of all rows.
    deleted : Deleted
        The fits without each.

    Returns
    -------
    Diagnostics
        NaN wherever a repetition is missing or a standard error is zero.

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.04, 0.04])
    >>> w = 1.0 / vi
    >>> left = [np.delete(np.arange(3), i) for i in range(3)]
    >>> means = np.array([[np.average(yi[rest], weights=w[rest])] for rest in left])
    >>> variances = np.array([[[1.0 / w[rest].sum()]] for rest in left])
    >>> whole = Fitted(yi=yi, vi=vi, X=np.ones((3, 1)), weights=w, inverse=True, beta=np.array([0.325]),
    ...                vb=np.array([[0.01]]), tau2=0.0)
    >>> found = diagnose(whole, Deleted(beta=means, vb=variances, tau2=np.zeros(3), scale=np.ones(3), QE=np.zeros(3)))
    >>> found.rstudent.round(2).tolist(), found.hat.round(2).tolist()
    ([-2.25, -0.14, 2.74], [0.5, 0.25, 0.25])
    """
    yi, vi, X = fit.yi, fit.vi, fit.X
    k, p = X.shape
    total = vi + fit.tau2
    to_beta = _projector(X, fit.weights)
    hat = hat_matrix_diagonal(X, fit.weights)
    fitted = X @ fit.beta
    residuals = yi - fitted
    if fit.inverse:
        variance = total * (1.0 - hat)
    else:
        variance = total * (1.0 - 2.0 * hat) + np.einsum("ip,pq,iq->i", X, (to_beta * total) @ to_beta.T, X)

    without = np.einsum("ij,ij->i", X, deleted.beta)
    spread = np.einsum("ip,ipq,iq->i", X, deleted.vb, X)
    change = fit.beta - deleted.beta
    moved = fitted - without
    dffits, dfbetas = np.full(k, math.nan), np.full((k, p), math.nan)
    for i in np.flatnonzero(np.isfinite(deleted.tau2) & np.isfinite(deleted.beta).all(axis=1)).tolist():
        variances = vi + deleted.tau2[i]
        if fit.inverse:
            own = hat[i] * variances[i]
            back = _projector(X, 1.0 / variances)
        else:
            own = float(((X[i] @ to_beta) ** 2).dot(variances))
            back = to_beta
        classic = np.einsum("pj,j,pj->p", back, variances, back)
        dffits[i] = _ratio(moved[i : i + 1], np.sqrt(deleted.scale[i : i + 1] * own))[0]
        dfbetas[i] = _ratio(change[i], np.sqrt(deleted.scale[i] * classic))

    # As correlations, so that moderators in very different units do not lose each other's digits.
    size = np.sqrt(np.diag(fit.vb))
    cook_d, cov_r = np.full(k, math.nan), np.full(k, math.nan)
    if (size > 0).all():
        shape = fit.vb / np.outer(size, size)
        scaled = change / size
        cook_d = np.asarray(np.einsum("ip,pi->i", scaled, np.linalg.solve(shape, scaled.T)))
        there = np.isfinite(deleted.vb).all(axis=(1, 2))
        cov_r[there] = np.linalg.det(deleted.vb[there] / np.outer(size, size)) / np.linalg.det(shape)
    return Diagnostics(
        rstandard=_ratio(residuals, np.sqrt(np.maximum(variance, 0.0))),
        rstudent=_ratio(yi - without, np.sqrt(vi + deleted.tau2 + spread)),
        dffits=dffits,
        cook_d=cook_d,
        cov_r=cov_r,
        hat=hat,
        dfbetas=dfbetas,
        baujat_x=residuals**2 / total,
        baujat_y=_ratio(moved**2, spread),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoffs:
    """Beyond what a row is called influential.

    Parameters
    ----------
    dffits : float
        Of the absolute value: ``3 sqrt(p / (k - p))``.
    cook_d : float
        The median of chi-squared with p degrees of freedom.
    hat : float
        ``3 p / k``.
    dfbetas : float
        Of the absolute value: 1.
    """

    dffits: float
    cook_d: float
    hat: float
    dfbetas: float


def cutoffs(k: int, p: int) -> Cutoffs:
    """The cut-offs of metafor's ``influence``.

    Parameters
    ----------
    k, p : int
        Rows and coefficients.

    Returns
    -------
    Cutoffs
        One for each measure that has one.

    Examples
    --------
    >>> found = cutoffs(13, 1)
    >>> round(found.dffits, 3), round(found.cook_d, 3), round(found.hat, 3), found.dfbetas
    (0.866, 0.455, 0.231, 1.0)
    """
    return Cutoffs(dffits=3.0 * math.sqrt(p / (k - p)), cook_d=float(chdtri(p, 0.5)), hat=3.0 * p / k, dfbetas=1.0)


def flags(found: Diagnostics) -> dict[str, NDArray[np.bool_]]:
    """Tell for each cut-off which rows lie beyond it.

    Parameters
    ----------
    found : Diagnostics
        From `diagnose`.

    Returns
    -------
    dict of str to array of bool
        ``dffits``, ``cook_d``, ``hat`` and ``dfbetas``; a row without a number is not flagged.
    """
    k, p = found.dfbetas.shape
    limits = cutoffs(k, p)
    return {
        "dffits": np.abs(found.dffits) > limits.dffits,
        "cook_d": np.asarray(chdtr(p, np.maximum(found.cook_d, 0.0)) > 0.5),
        "hat": found.hat > limits.hat,
        "dfbetas": np.asarray((np.abs(found.dfbetas) > limits.dfbetas).any(axis=1)),
    }
