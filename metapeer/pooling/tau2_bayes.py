"""The Bayes modal estimator of tau2: the likelihood kept away from zero by a weak prior."""

import math

import numpy as np

from metapeer.pooling.weighted import FloatArray, log_likelihood

__all__ = ["tau2_bayes_modal"]

_SMALLEST = 1e-10
_POINTS_PER_DECADE = 12
_PARTS = 21
_ROUNDS = 6
_FLAT = 1e-9
"""Each round divides the bracket by 10, until heights differ by so little; then a parabola through three points, right
to third order, beats a search among their rounding errors."""


def tau2_bayes_modal(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None, *, rate: float = 1e-4) -> float:
    """Between-study variance by Chung, Rabe-Hesketh and Choi's Bayes modal estimator; it is never zero.

    The likelihood (coefficients profiled out, as in ML) times a gamma density of tau with shape 2 is maximised. In the
    limit of a rate of zero that density is proportional to tau.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix.
    rate : float, default 1e-4
        Rate of the gamma density, in inverse units of `yi`. It matters only where tau is in the thousands; zero is
        the limit that does not depend on the unit.

    Returns
    -------
    float
        tau2, positive, in squared units of `yi`.

    References
    ----------
    Chung, Rabe-Hesketh & Choi (2013), Stat Med 32:4071-4089.

    Examples
    --------
    >>> round(tau2_bayes_modal(np.array([0.1, 0.11, 0.09, 0.1]), np.array([0.01, 0.02, 0.015, 0.03])), 4)
    0.0056
    """

    def height(u: FloatArray) -> FloatArray:
        return np.asarray(log_likelihood(yi, vi, np.exp(2.0 * u), X, restricted=False) + u - rate * np.exp(u))

    spread = float(np.ptp(yi))
    # Above the top the likelihood alone falls as tau**-k, and tau is only linear.
    low = 0.5 * math.log(_SMALLEST * float(vi.min()))
    high = 0.5 * math.log(1e4 * (float(vi.max()) + spread**2))
    grid = np.linspace(low, high, math.ceil((high - low) * _POINTS_PER_DECADE) + 1)
    best = int(np.clip(height(grid).argmax(), 1, grid.size - 2))
    left, right = float(grid[best - 1]), float(grid[best + 1])
    for _ in range(_ROUNDS):
        fine = np.linspace(left, right, _PARTS)
        at = height(fine)
        j = int(np.clip(at.argmax(), 1, _PARTS - 2))
        bend, lean = float(at[j - 1] - 2.0 * at[j] + at[j + 1]), float(at[j + 1] - at[j - 1])
        middle, step = float(fine[j]), float(fine[1] - fine[0])
        if -bend < _FLAT * (1.0 + abs(float(at[j]))):
            break
        left, right = middle - step, middle + step
    shift = -0.5 * lean / bend if bend < 0 else 0.0
    return math.exp(2.0 * (middle + step * min(max(shift, -1.0), 1.0)))
