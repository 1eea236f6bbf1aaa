"""A model for the between-study variance itself: tau2 of study i is ``exp(z_i' alpha)``.

The coefficients beta of the mean are profiled out (ML) or integrated out (REML). What is left is climbed by Newton's
method with exact derivatives from several starts, because this likelihood can have several maxima. Nothing is reported
that is not a maximum: the gradient must vanish and the curvature point down in every direction.
"""

import math
from dataclasses import dataclass

import numpy as np

from metapeer.errors import ConvergenceError
from metapeer.pooling.newton import Peak, climb
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import FloatArray, coefficients, log_likelihood, trace_pdpd

__all__ = ["LocationScaleFit", "fit_location_scale", "scale_log_likelihood"]

_FLAT = 1e-6
"""Smallest curvature, in log-likelihood per squared unit of log tau2, that counts as a maximum and not as a slope that
levels out towards tau2 = 0. One study with tau2 equal to its sampling variance contributes about 0.1."""
_LEVEL = 1e-6
"""Largest gradient at a maximum, in standard errors."""
_SAME = 1e-6
_STARTS = 2.0
"""Starts lie this far from a constant log tau2 in each direction, for a moderator one standard deviation from its mean:
tau2 then varies by a factor of 50."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocationScaleFit:
    """The maximum of the likelihood of a location-scale model.

    Parameters
    ----------
    alpha : array of shape (q,)
        Coefficients of log tau2.
    alpha_covariance : array of shape (q, q)
        Their covariance, from the observed information.
    tau2 : array of shape (k,)
        The between-study variance of each study.
    log_likelihood : float
        At the maximum.
    null_log_likelihood : float
        With one tau2 for all, by the same likelihood.
    null_tau2 : float
        That tau2.
    other_maxima : tuple of float
        How far below the best the log-likelihood lies at other maxima that starts led to.
    starts : int
        Starts that led to a maximum.
    gradient : float
        Length of the gradient at the maximum, in standard errors.
    curvature : float
        Smallest eigenvalue of the information, in units of standardised scale moderators.
    """

    alpha: FloatArray
    alpha_covariance: FloatArray
    tau2: FloatArray
    log_likelihood: float
    null_log_likelihood: float
    null_tau2: float
    other_maxima: tuple[float, ...]
    starts: int
    gradient: float
    curvature: float


def scale_log_likelihood(
    yi: FloatArray, vi: FloatArray, X: FloatArray, Z: FloatArray, alpha: FloatArray, *, restricted: bool
) -> tuple[float, FloatArray, FloatArray]:
    """Log-likelihood of alpha with its gradient and Hessian.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p)
        Design of the mean.
    Z : array of shape (k, q)
        Design of log tau2.
    alpha : array of shape (q,)
        Where to evaluate.
    restricted : bool
        True for the restricted likelihood.

    Returns
    -------
    value : float
        With all constants.
    gradient : array of shape (q,)
        First derivatives.
    hessian : array of shape (q, q)
        Second derivatives.

    References
    ----------
    Viechtbauer & Lopez-Lopez (2022), Res Synth Methods 13:697-715.

    Examples
    --------
    >>> yi, vi, ones = np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]), np.ones((3, 1))
    >>> found = scale_log_likelihood(yi, vi, ones, ones, np.array([np.log(0.0949)]), restricted=True)
    >>> round(found[0], 4), bool(abs(found[1][0]) < 1e-3)
    (-0.7771, True)
    """
    tau2 = np.exp(np.minimum(Z @ alpha, 700.0))
    variances = vi + tau2
    value = float(log_likelihood(yi, variances, np.zeros(1), X, restricted=restricted)[0])
    w = 1.0 / variances
    root = np.sqrt(w)
    q, _ = np.linalg.qr(root[:, None] * X)

    def project(values: FloatArray) -> FloatArray:
        """P times each column."""
        scaled = root[:, None] * values
        return np.asarray(root[:, None] * (scaled - q @ (q.T @ scaled)))

    u = project(yi[:, None])[:, 0]
    diagonal = w * (1.0 - np.einsum("ip,ip->i", q, q)) if restricted else w
    steps = tau2[:, None] * Z  # derivative of tau2 by each alpha
    slope = diagonal - u * u
    gradient = -0.5 * (steps.T @ slope)
    curved = u[:, None] * steps
    m = Z.shape[1]
    traces = np.empty((m, m))
    for i in range(m):
        for j in range(i, m):
            if restricted:
                traces[i, j] = trace_pdpd(w, steps[:, i], steps[:, j], X)
            else:
                traces[i, j] = (w * w * steps[:, i]) @ steps[:, j]
            traces[j, i] = traces[i, j]
    hessian = -0.5 * ((steps * slope[:, None]).T @ Z - traces + 2.0 * curved.T @ project(curved))
    return value, gradient, hessian


def _starts(intercept: float, residuals: FloatArray, vi: FloatArray, Q: FloatArray) -> list[FloatArray]:
    """Constant tau2 at three sizes, each direction of the scale moderators, and a fit to the squared residuals."""
    k, m = Q.shape
    level = np.ones(k) @ Q / k  # coordinates of a constant in the orthonormal basis
    starts = [level * (intercept + shift) for shift in (0.0, -2.0, 2.0)]
    for j in range(m):
        step = np.zeros(m)
        step[j] = _STARTS
        starts += [level * intercept + step, level * intercept - step]
    excess = np.log(np.maximum(residuals**2 - vi, 0.1 * vi))
    starts.append(Q.T @ excess / k)
    return starts


def fit_location_scale(
    yi: FloatArray, vi: FloatArray, X: FloatArray, Z: FloatArray, *, restricted: bool = True
) -> LocationScaleFit:
    """Estimate how the between-study variance depends on moderators.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p)
        Design of the mean, of full column rank.
    Z : array of shape (k, q)
        Design of log tau2, of full column rank; usually with an intercept.
    restricted : bool, default True
        True for REML, False for ML.

    Returns
    -------
    LocationScaleFit
        The best maximum found.

    Raises
    ------
    ConvergenceError
        If no start leads to a maximum, or if the likelihood keeps rising as some tau2 goes to 0 or grows without end.

    References
    ----------
    Viechtbauer & Lopez-Lopez (2022), Res Synth Methods 13:697-715.

    Examples
    --------
    >>> yi = np.array([0.1, 0.2, 0.15, 0.1, 0.9, -0.5, 1.4, 0.2])
    >>> Z = np.column_stack([np.ones(8), [0, 0, 0, 0, 1, 1, 1, 1]])
    >>> fit = fit_location_scale(yi, np.full(8, 0.001), np.ones((8, 1)), Z)
    >>> fit.tau2[[0, -1]].round(3).tolist()
    [0.001, 0.645]
    """
    k = yi.size
    # Orthonormal scale moderators in units of the data's own variance: steps mean the same whatever the units.
    constant = np.linalg.lstsq(Z, np.ones(k), rcond=None)[0]
    # Without an intercept in Z, log tau2 cannot be shifted, and the unit has to stay.
    unit = float(np.exp(np.mean(np.log(vi)))) if np.allclose(Z @ constant, 1.0, rtol=0, atol=1e-9) else 1.0
    q, r = np.linalg.qr(Z)
    Q, R = q * math.sqrt(k), r / math.sqrt(k)
    y, v = yi / math.sqrt(unit), vi / unit

    def surface(a: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        return scale_log_likelihood(y, v, X, Q, a, restricted=restricted)

    null_tau2 = maximise(y, v, X, restricted=restricted).tau2
    residuals = y - X @ coefficients(y, v, null_tau2, X).beta
    free = np.zeros(Z.shape[1], dtype=np.bool_)
    found: list[tuple[Peak, float]] = []
    best_slope = -math.inf
    for start in _starts(math.log(max(null_tau2, 0.1 * float(v.min()))), residuals, v, Q):
        peak = climb(surface, start, bounded=free, largest=math.inf)
        best_slope = max(best_slope, peak.value)
        curvature = float(np.linalg.eigvalsh(peak.information).min())
        if curvature > _FLAT and peak.length < _LEVEL:
            found.append((peak, curvature))
    null = float(log_likelihood(y, v, np.array([null_tau2]), X, restricted=restricted)[0])
    if not found or max(peak.value for peak, _ in found) < best_slope - _SAME:
        raise ConvergenceError(
            "the location-scale model has no maximum to report: the likelihood keeps rising as the between-study "
            "variance of some studies goes to zero or without bounds. What helps: fewer scale moderators; "
            "a moderator in wider categories; or one tau² for all, meta_regression()"
        )
    peak, curvature = max(found, key=lambda pair: pair[0].value)
    shift = -0.5 * (k - (X.shape[1] if restricted else 0)) * math.log(unit)  # back to the density of yi itself
    alpha = np.linalg.solve(R, peak.x) + math.log(unit) * constant
    inverse = np.linalg.inv(R)
    others = sorted({round(peak.value - other.value, 6) for other, _ in found if other.value < peak.value - _SAME})
    return LocationScaleFit(
        alpha=alpha,
        alpha_covariance=inverse @ np.linalg.inv(peak.information) @ inverse.T,
        tau2=unit * np.exp(Q @ peak.x),
        log_likelihood=peak.value + shift,
        null_log_likelihood=null + shift,
        null_tau2=null_tau2 * unit,
        other_maxima=tuple(others),
        starts=len(found),
        gradient=peak.length,
        curvature=curvature,
    )
