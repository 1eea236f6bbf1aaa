"""Newton's method for a smooth function of few parameters, some of which must not be negative."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Peak", "climb"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Surface = Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]

# Lengths of the gradient in standard errors: short enough to stop; and where whole Newton steps converge.
_TOLERANCE = 1e-9
_NEAR = 1e-4
_STEPS = 200
_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Peak:
    """Where Newton's method stopped.

    Parameters
    ----------
    x : array of shape (p,)
        The parameters.
    value : float
        The function there.
    gradient, hessian : array of shape (p,) and (p, p)
        Its derivatives.
    inner : array of bool, shape (p,)
        Parameters that are not held by their boundary.
    step : array of shape (p,)
        The Newton step from there.
    length : float
        Length of the gradient over the inner parameters, in standard errors; near 0 at a maximum.
    steps : int
        Steps taken, and one for the start.
    """

    x: FloatArray
    value: float
    gradient: FloatArray
    hessian: FloatArray
    inner: BoolArray
    step: FloatArray
    length: float
    steps: int

    @property
    def information(self) -> FloatArray:
        """Observed information of the parameters that are not held by their boundary."""
        return np.asarray(-self.hessian[np.ix_(self.inner, self.inner)], dtype=np.float64)

    def covariance(self) -> FloatArray:
        """Inverse of the observed information, NaN for parameters held by their boundary.

        Returns
        -------
        array of shape (p, p)
            The covariance matrix of the estimates.
        """
        full = np.full(self.hessian.shape, np.nan)
        full[np.ix_(self.inner, self.inner)] = np.linalg.inv(self.information)
        return full


def climb(surface: Surface, start: FloatArray, *, bounded: BoolArray, largest: float) -> Peak:
    """Maximise a log-likelihood by Newton's method, with some parameters kept from 0 to a bound.

    Parameters
    ----------
    surface : callable
        From parameters to the function, its gradient and its Hessian.
    start : array of shape (p,)
        Where to begin.
    bounded : array of bool, shape (p,)
        Parameters that must not be negative.
    largest : float
        The climb ends when one of those exceeds this: it is running away.

    Returns
    -------
    Peak
        Where it ended; whether that is a maximum is for the caller to judge from `length` and `information`.

    References
    ----------
    Bertsekas (1982), SIAM J Control Optim 20:221-246 (projected Newton method).

    Examples
    --------
    >>> import numpy as np
    >>> def surface(x):
    ...     return -(x[0] - 2) ** 2 - (x[1] + 1) ** 2, np.array([4 - 2 * x[0], -2 - 2 * x[1]]), -2 * np.eye(2)
    >>> peak = climb(surface, np.array([0.0, 3.0]), bounded=np.array([False, True]), largest=100.0)
    >>> peak.x.tolist(), peak.inner.tolist()
    ([2.0, 0.0], [True, False])
    """
    here = _look(surface, start, bounded, 1)
    while here.steps < _STEPS and here.length >= _TOLERANCE and here.x[bounded].max(initial=0.0) <= largest:
        # Log odds and log rates move by 2 at most, a variance to three times itself or up by 1.
        longest = np.where(bounded, np.maximum(1.0, 2.0 * here.x), 2.0)
        step = here.step * min(1.0, float(np.min(longest / np.maximum(np.abs(here.step), 1e-300))))
        # Close to the maximum the value no longer tells better from worse, but the gradient does.
        near = here.length < _NEAR
        for halving in range(1 if near else _HALVINGS):
            there = _look(surface, _kept_in(here.x + step * 0.5**halving, bounded), bounded, here.steps + 1)
            if there.length < here.length if near else there.value > here.value:
                break
        else:
            break  # no step gains anything that double precision can show
        here = there
    return here


def _kept_in(x: FloatArray, bounded: BoolArray) -> FloatArray:
    return np.where(bounded, np.maximum(x, 0.0), x)


def _look(surface: Surface, x: FloatArray, bounded: BoolArray, steps: int) -> Peak:
    value, gradient, hessian = surface(x)
    inner = ~(bounded & (x <= 0.0) & (gradient <= 0.0))
    step, length = _step(gradient, hessian, inner)
    return Peak(x, value, gradient, hessian, inner, step, length, steps)


def _step(gradient: FloatArray, hessian: FloatArray, inner: BoolArray) -> tuple[FloatArray, float]:
    """The Newton step over the inner parameters, and the length of their gradient in standard errors."""
    step = np.zeros_like(gradient)
    if not inner.any():
        return step, 0.0
    # Where the surface is not concave, the absolute curvature still points uphill with a sensible length.
    roots, vectors = np.linalg.eigh(-hessian[np.ix_(inner, inner)])
    size = np.maximum(np.abs(roots), 1e-12 * max(1e-300, float(np.abs(roots).max())))
    along = vectors.T @ gradient[inner]
    step[inner] = vectors @ (along / size)
    return step, float(np.sqrt(np.sum(along**2 / size)))
