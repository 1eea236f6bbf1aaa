"""Covariance structures of random effects: from free parameters to a matrix, smooth up to the boundary and on it.

Standard deviations enter squared and correlations through a cosine, so that a variance of zero or a correlation of one
is an ordinary point inside the space that is searched, where a maximum on the boundary has a zero gradient.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metapeer.errors import check_choice
from metapeer.pooling.weighted import FloatArray

__all__ = ["STRUCTURES", "Component", "Structure", "make_structure", "unstructured_parameters"]

Numbers = NDArray[Any]

STRUCTURES = {
    "ID": "one variance, no correlation",
    "DIAG": "a variance for each level, no correlation",
    "CS": "compound symmetry: one variance, one correlation",
    "HCS": "a variance for each level, one correlation",
    "UN": "unstructured: a variance for each level, a correlation for each pair",
    "AR": "one variance, correlation that fades with the distance in whole steps",
    "HAR": "a variance for each level, correlation that fades with the distance in whole steps",
    "CAR": "one variance, correlation that fades with continuous time",
}
"""Codes as metafor has them."""

_STEP = 1e-20
"""Imaginary step: the derivative is exact as long as its square vanishes beside the real part (Squire & Trapp 1998)."""
_DIFFERENCE = 1e-6
"""Step of the second derivative, which only sets how fast Newton's method converges, and standard errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One variance or correlation of a structure.

    Parameters
    ----------
    kind : {"variance", "correlation"}
        What it is.
    levels : tuple of int
        The levels it belongs to: one for a variance of one level, two for the correlation of a pair, none when all
        share it.
    parameter : int
        The free parameter that alone decides it, when the levels stand in the order `first`.
    first : tuple of int
        Levels to be put first so that `parameter` alone decides this component.
    low, high : float
        Ends of its range.
    unit : float
        The correlation inside the structure is this one to the power of `unit`: what correlation fades to over the
        shortest distance in time, rather than over one unit of it, which may be far too short to leave any.
    """

    kind: str
    levels: tuple[int, ...]
    parameter: int
    first: tuple[int, ...] = ()
    low: float = 0.0
    high: float = math.inf
    unit: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Structure:
    """A way to make the covariance matrix of the random effects of one group.

    Parameters
    ----------
    code : str
        One of `STRUCTURES`.
    q : int
        Levels.
    size : int
        Free parameters.
    matrix : callable
        From free parameters of shape (..., size), real or complex, to matrices of shape (..., q, q).
    start : callable
        From a variance and a correlation that all levels share to free parameters.
    components : tuple of Component
        Its variances, then its correlations.
    """

    code: str
    q: int
    size: int
    matrix: Callable[[Numbers], Numbers]
    start: Callable[[float, float], FloatArray]
    components: tuple[Component, ...]

    def first_derivatives(self, free: FloatArray) -> FloatArray:
        """Differentiate the matrix by each free parameter, exactly.

        Parameters
        ----------
        free : array of shape (..., size)
            The free parameters.

        Returns
        -------
        array of shape (..., size, q, q)
            The derivatives.
        """
        moved = free[..., None, :] + 1j * _STEP * np.eye(self.size)
        return np.asarray(np.imag(self.matrix(moved)) / _STEP)

    def second_derivatives(self, free: FloatArray) -> FloatArray:
        """Differentiate the matrix twice, by differences of the exact slopes.

        Parameters
        ----------
        free : array of shape (size,)
            The free parameters.

        Returns
        -------
        array of shape (size, size, q, q)
            The second derivatives, to about ten digits.
        """
        step = _DIFFERENCE * np.eye(self.size)
        curves = (self.first_derivatives(free + step) - self.first_derivatives(free - step)) / (2.0 * _DIFFERENCE)
        return np.asarray(0.5 * (curves + curves.transpose(1, 0, 2, 3)))

    def value(self, component: Component, free: FloatArray) -> float:
        """Read a variance or correlation off the free parameters.

        Parameters
        ----------
        component : Component
            One of `components`.
        free : array of shape (size,)
            The free parameters.

        Returns
        -------
        float
            Its value; NaN for a correlation with a level that has no variance.
        """
        matrix = np.real(self.matrix(free))
        if component.kind == "correlation" and self.code != "UN":
            if (np.diag(matrix) > 0.0).sum() < 2:
                return math.nan
            return self.correlation(component, float(free[component.parameter]))
        a, b = (component.levels * 2)[:2] if component.levels else (0, 0)
        if component.kind == "variance":
            return float(matrix[a, a])
        size = math.sqrt(matrix[a, a] * matrix[b, b])
        return float(np.clip(matrix[a, b] / size, -1.0, 1.0)) if size > 0 else math.nan

    def correlation(self, component: Component, angle: float) -> float:
        """Turn an angle into the correlation it stands for.

        Parameters
        ----------
        component : Component
            The correlation.
        angle : float
            The free parameter.

        Returns
        -------
        float
            Within the range of the component.
        """
        inside = 0.5 * (component.low + component.high) - 0.5 * (component.high - component.low) * math.cos(angle)
        return inside if component.unit == 1.0 else inside ** (1.0 / component.unit)

    def parameter_for(self, component: Component, value: float) -> float:
        """Free parameter that gives a component a value, when its levels stand first.

        Parameters
        ----------
        component : Component
            One of `components`.
        value : float
            Variance or correlation, within its range.

        Returns
        -------
        float
            Standard deviation, or angle.
        """
        if component.kind == "variance":
            return math.sqrt(value)
        value = value if component.unit == 1.0 else value**component.unit
        middle, half = 0.5 * (component.low + component.high), 0.5 * (component.high - component.low)
        return math.acos(min(1.0, max(-1.0, (middle - value) / half)))


def _outer(sds: Numbers, corr: Numbers) -> Numbers:
    return np.asarray(sds[..., :, None] * corr * sds[..., None, :])


def _one_correlation(free: Numbers, *, q: int, shared: bool, low: float, powers: FloatArray | None) -> Numbers:
    """Matrix of CS, HCS, AR, HAR and CAR: standard deviations, then the angle of the correlation."""
    sds = np.repeat(free[..., :1], q, axis=-1) if shared else free[..., :q]
    rho = (0.5 * (low + 1.0) - 0.5 * (1.0 - low) * np.cos(free[..., -1]))[..., None, None]
    if powers is None:
        return _outer(sds, np.where(np.eye(q, dtype=bool), 1.0, rho))
    # Zero to the power zero is one; other powers of zero need no logarithm of it.
    return _outer(sds, np.where(powers == 0.0, 1.0, np.power(np.where(rho == 0.0, 1e-300, rho), powers)))


def _diagonal(free: Numbers, *, q: int, shared: bool) -> Numbers:
    sds = np.repeat(free, q, axis=-1) if shared else free
    return _outer(sds, np.eye(q))


def _unstructured(free: Numbers, *, q: int) -> Numbers:
    """Standard deviations, then for each row of the Cholesky factor of the correlations its angles on the sphere."""
    factor = np.zeros((*free.shape[:-1], q, q), dtype=free.dtype)
    at = q
    for i in range(q):
        rest = np.ones_like(free[..., 0])
        for j in range(i):
            factor[..., i, j] = -np.cos(free[..., at]) * rest
            rest = rest * np.sin(free[..., at])
            at += 1
        factor[..., i, i] = rest
    factor = free[..., :q, None] * factor
    return np.asarray(factor @ np.swapaxes(factor, -1, -2))


def _start(tau2: float, rho: float, *, sds: int, low: float, kind: str, q: int) -> FloatArray:
    """Free parameters of levels that share a variance and a correlation."""
    sd = np.full(sds, math.sqrt(tau2))
    if kind == "none":
        return sd
    if kind == "one":
        rho = min(max(rho, low + 0.05 * (1.0 - low)), 0.95)
        return np.append(sd, math.acos((0.5 * (low + 1.0) - rho) / (0.5 * (1.0 - low))))
    rho = min(max(rho, -0.9 / max(1, q - 1)), 0.95)
    return np.concatenate([sd, _angles(np.where(np.eye(q, dtype=bool), 1.0, rho))])


def _angles(correlations: FloatArray) -> list[float]:
    """Angles of an unstructured matrix of correlations."""
    q = len(correlations)
    factor = np.linalg.cholesky(correlations)
    angles = []
    for i in range(1, q):
        rest = 1.0
        for j in range(i):
            angle = math.acos(min(1.0, max(-1.0, -factor[i, j] / rest)))
            angles.append(angle)
            rest *= math.sin(angle)
    return angles


def unstructured_parameters(matrix: FloatArray) -> FloatArray:
    """Free parameters of UN that give a covariance matrix.

    Parameters
    ----------
    matrix : array of shape (q, q)
        Covariances, positive semidefinite.

    Returns
    -------
    array
        Standard deviations and angles; of a matrix next to it where it is singular.

    Examples
    --------
    >>> import numpy as np
    >>> matrix = np.array([[4.0, 1.0], [1.0, 1.0]])
    >>> make_structure("UN", 2).matrix(unstructured_parameters(matrix)).round(6).tolist()
    [[4.0, 1.0], [1.0, 1.0]]
    """
    sds = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    sizes = np.where(sds > 0.0, sds, 1.0)
    inside = 1.0 - 1e-9
    off = np.clip(matrix / np.outer(sizes, sizes), -1.0, 1.0) * inside
    return np.concatenate([sds, _angles(np.where(np.eye(len(sds), dtype=bool), 1.0, off))])


def make_structure(code: str, q: int, *, times: FloatArray | None = None) -> Structure:
    """Make a covariance structure for a number of levels.

    Parameters
    ----------
    code : str
        One of `STRUCTURES`.
    q : int
        Levels of the inner factor.
    times : array of shape (q,), optional
        Where the levels stand in time, for AR, HAR (whole numbers) and CAR.

    Returns
    -------
    Structure
        The structure; with one level, a single variance whatever the code.

    Raises
    ------
    ChoiceError
        If the code is unknown.

    References
    ----------
    Pinheiro & Bates (1996), Stat Comput 6:289-296 (spherical parametrisation of an unstructured matrix).

    Examples
    --------
    >>> import numpy as np
    >>> structure = make_structure("CS", 3)
    >>> np.real(structure.matrix(structure.start(0.04, 0.5))).round(3).tolist()
    [[0.04, 0.02, 0.02], [0.02, 0.04, 0.02], [0.02, 0.02, 0.04]]
    >>> [component.kind for component in structure.components]
    ['variance', 'correlation']
    """
    check_choice("struct", code, STRUCTURES)
    shared = code in ("ID", "CS", "AR", "CAR") or q == 1
    sds = 1 if shared else q
    variances = tuple(
        Component(kind="variance", levels=() if shared else (i,), parameter=0 if code == "UN" else i, first=(i,))
        for i in range(sds)
    )
    if code in ("ID", "DIAG") or q == 1:
        return Structure(
            code=code,
            q=q,
            size=sds,
            matrix=partial(_diagonal, q=q, shared=shared),
            start=partial(_start, sds=sds, low=0.0, kind="none", q=q),
            components=variances,
        )
    if code == "UN":
        pairs = tuple(
            Component(kind="correlation", levels=(i, j), parameter=q, first=(i, j), low=-1.0, high=1.0)
            for i, j in combinations(range(q), 2)
        )
        return Structure(
            code=code,
            q=q,
            size=q + len(pairs),
            matrix=partial(_unstructured, q=q),
            start=partial(_start, sds=q, low=-1.0, kind="all", q=q),
            components=variances + pairs,
        )
    low = -1.0 / (q - 1) if code in ("CS", "HCS") else 0.0 if code == "CAR" else -1.0
    powers = None
    if code in ("AR", "HAR", "CAR"):
        at = np.arange(q, dtype=np.float64) if times is None else times
        powers = np.abs(at[:, None] - at[None, :])
    unit = 1.0
    if code == "CAR" and powers is not None:
        unit = float(powers[powers > 0.0].min())
        powers = powers / unit
    rho = Component(kind="correlation", levels=(), parameter=sds, low=low, high=1.0, unit=unit)
    return Structure(
        code=code,
        q=q,
        size=sds + 1,
        matrix=partial(_one_correlation, q=q, shared=shared, low=low, powers=powers),
        start=partial(_start, sds=sds, low=low, kind="one", q=q),
        components=(*variances, rho),
    )
