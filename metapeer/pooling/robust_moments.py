"""Variance components of robust variance estimation by moments: correlated and hierarchical effects.

Both compare weighted sums of squared residuals with what they are on average, which is linear in the components.
"""

from dataclasses import dataclass

import numpy as np

from metapeer.errors import DataError
from metapeer.pooling.robust import Rows
from metapeer.pooling.weighted import FloatArray

__all__ = ["RveWeights", "correlated_effects", "hierarchical_effects"]

_NOTHING = 1e-10
"""What is left of a sum of like terms when this share of it remains is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RveWeights:
    """Variance components and the weights that follow.

    Parameters
    ----------
    tau2, omega2 : float
        Variance between trials, and within them; `omega2` is NaN for correlated effects.
    I2 : float
        Share of the residual sum of squares that sampling does not account for, in per cent; NaN for hierarchical
        effects.
    weights : array of shape (k,)
        Of the effects.
    """

    tau2: float
    omega2: float
    I2: float
    weights: FloatArray


def _start(
    yi: FloatArray, X: FloatArray, w: FloatArray, trial: Rows
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Residuals, the design in coordinates where ``Z'WZ`` is the identity, and its sums and weighted sums by trial."""
    root = np.sqrt(w)
    Q, _ = np.linalg.qr(root[:, None] * X)
    white = root * yi
    left = white - Q @ (Q.T @ white)
    left -= Q @ (Q.T @ left)
    Z = Q / root[:, None]
    m = int(trial.max()) + 1
    sums, weighted = np.zeros((m, X.shape[1])), np.zeros((m, X.shape[1]))
    np.add.at(sums, trial, Z)
    np.add.at(weighted, trial, w[:, None] * Z)
    return left / root, Z, sums, weighted


def correlated_effects(yi: FloatArray, vi: FloatArray, X: FloatArray, trial: Rows, *, rho: float) -> RveWeights:
    """Weights for effects of a trial that are correlated since they come from the same people.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p)
        Design matrix of full column rank.
    trial : array of shape (k,)
        Number of the trial of each row, from 0.
    rho : float
        Correlation of the sampling errors within a trial, from 0 to 1.

    Returns
    -------
    RveWeights
        Every effect of a trial has weight ``1 / (n (mean vi + tau2))``, n being the number of its effects.

    Raises
    ------
    DataError
        If the residuals cannot tell tau2.

    References
    ----------
    Hedges, Tipton & Johnson (2010), Res Synth Methods 1:39-65.

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.3, 0.8, 0.4]), np.array([0.02, 0.03, 0.04, 0.03])
    >>> found = correlated_effects(yi, vi, np.ones((4, 1)), np.array([0, 0, 1, 2]), rho=0.8)
    >>> round(found.tau2, 4), found.weights.round(2).tolist()
    (0.0608, [5.82, 5.82, 9.92, 11.01])
    """
    size = np.bincount(trial)
    mean = np.bincount(trial, weights=vi) / size
    n = size[trial].astype(np.float64)
    w = 1.0 / (n * mean[trial])
    e, Z, sums, weighted = _start(yi, X, w, trial)
    Qe = float((w * e**2).sum())
    alike = float((w / n * np.square(Z).sum(axis=1)).sum())
    apart = float((np.square(sums).sum(axis=1) / (size**2 * mean)).sum()) - alike
    df = size.size - alike - rho * apart  # the mean of Qe without variance between trials
    slope = float(w.sum()) - float(np.square(weighted).sum())
    if not slope > _NOTHING * float(w.sum()):
        raise DataError("the effects", ["leave no residuals from which the variance between trials could be estimated"])
    tau2 = max(0.0, (Qe - df) / slope)
    return RveWeights(
        tau2=tau2,
        omega2=float("nan"),
        I2=max(0.0, 100.0 * (Qe - df) / Qe) if Qe > 0 else 0.0,
        weights=1.0 / (n * (mean[trial] + tau2)),
    )


def hierarchical_effects(yi: FloatArray, vi: FloatArray, X: FloatArray, trial: Rows) -> RveWeights:
    """Weights for effects of a trial, or a laboratory, that come from different people and have something in common.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p)
        Design matrix of full column rank.
    trial : array of shape (k,)
        Number of the trial of each row, from 0.

    Returns
    -------
    RveWeights
        Weights ``1 / (vi + tau2 + omega2)``.

    Raises
    ------
    DataError
        If the residuals cannot tell the two components apart.

    References
    ----------
    Hedges, Tipton & Johnson (2010), Res Synth Methods 1:39-65; omega2 is cut off at zero before tau2 is
    computed, as robumeta does.

    Examples
    --------
    >>> yi, vi = np.array([0.1, 0.3, 0.8, 0.4]), np.array([0.02, 0.03, 0.04, 0.03])
    >>> found = hierarchical_effects(yi, vi, np.ones((4, 1)), np.array([0, 0, 1, 2]))
    >>> round(found.tau2, 4), round(found.omega2, 4)
    (0.0665, 0.0)
    """
    w = 1.0 / vi
    e, Z, sums, weighted = _start(yi, X, w, trial)
    k, p = X.shape
    size = np.bincount(trial).astype(np.float64)
    inside = sums.T @ sums  # Z'JZ, J being the block of ones of each trial
    between, squared = weighted.T @ weighted, (w**2 * Z.T) @ Z  # Z'WJWZ and Z'WWZ
    both = (sums * weighted).sum(axis=1)
    # Means of the squared sums of residuals and of their weighted squares: a tau2 + b omega2 + c.
    a1 = float((size**2).sum() - 2.0 * (size * both).sum() + (inside * between).sum())
    b1 = float(k - 2.0 * both.sum() + (inside * squared).sum())
    c1 = float(vi.sum() - np.trace(inside))
    a2, b2, c2 = float(w.sum() - np.trace(between)), float(w.sum() - np.trace(squared)), float(k - p)
    Q1 = float(np.square(np.bincount(trial, weights=e)).sum())
    Qe = float((w * e**2).sum())
    determinant = b1 * a2 - b2 * a1
    if not (abs(determinant) > _NOTHING * (abs(b1 * a2) + abs(b2 * a1)) and a2 > _NOTHING * float(w.sum())):
        message = (
            "cannot tell variance between trials from variance within them; hierarchical effects need trials with "
        )
        raise DataError("the effects", [f"{message}several effects, and several trials for each coefficient"])
    omega2 = max(0.0, ((Q1 - c1) * a2 - (Qe - c2) * a1) / determinant)
    tau2 = max(0.0, (Qe - c2 - omega2 * b2) / a2)
    return RveWeights(tau2=tau2, omega2=omega2, I2=float("nan"), weights=1.0 / (vi + tau2 + omega2))
