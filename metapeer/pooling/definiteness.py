"""Whether covariance matrices are positive definite, which rows are to blame if not, and the nearest that is."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from metapeer.errors import Fault
from metapeer.pooling.weighted import FloatArray

__all__ = [
    "SINGULAR",
    "Block",
    "correlations_of",
    "definiteness_faults",
    "indefinite",
    "nearest_correlation",
    "row_namer",
]

Block = tuple[NDArray[np.intp], FloatArray]
"""Ascending positions of rows, and the covariance matrix of their sampling errors."""

SINGULAR = 1e-10
"""Smallest eigenvalue, for each row of a correlation matrix, that counts as positive: six digits are then left."""

NAMED = 6
"""Rows that a message names before it only counts them."""

NEAREST_SHARE = 1e-6
"""Smallest eigenvalue of a repaired matrix, as a share of the largest."""


def row_namer(names: Sequence[str] | None) -> Callable[[int], str]:
    """Say what messages call the rows.

    Parameters
    ----------
    names : sequence of str or None
        The names, if there are any.

    Returns
    -------
    callable
        From a position to a name.

    Examples
    --------
    >>> row_namer(None)(0), row_namer(["davidson2004"])(0)
    ('row 1', 'davidson2004')
    """

    def name(i: int) -> str:
        return f"row {i + 1}" if names is None or i >= len(names) else names[i]

    return name


def definiteness_faults(
    blocks: Sequence[Block], names: Sequence[str] | None = None, *, remedy: str = ""
) -> list[Fault]:
    """List blocks that are singular or not positive definite, with the rows to blame.

    Parameters
    ----------
    blocks : sequence of (array of shape (m,), array of shape (m, m))
        Symmetric and finite, with positive diagonals.
    names : sequence of str, optional
        What messages call the rows.
    remedy : str, default ""
        What would do.

    Returns
    -------
    list of Fault
        One for each bad block; the rows named are those that the offending combination weighs.

    Examples
    --------
    >>> bad = [(np.array([0, 1]), np.array([[0.04, 0.06], [0.06, 0.09]]))]
    >>> print(definiteness_faults(bad)[0])
    row 1, row 2: their sampling errors determine each other (smallest eigenvalue 0 of the correlations)
    """
    name = row_namer(names)
    faults = []
    for place in indefinite(blocks):
        positions, matrix = blocks[place]
        values, vectors = np.linalg.eigh(correlations_of(matrix))
        bad = values <= SINGULAR * positions.size
        rows = positions[np.abs(vectors[:, bad]).max(axis=1) > 1e-4].tolist()
        named = ", ".join(name(i) for i in rows[:NAMED])
        if len(rows) > NAMED:
            named += f" and {len(rows) - NAMED} more"
        lowest = float(values[0])
        negative = lowest < -SINGULAR * positions.size
        what = "their correlations contradict each other" if negative else "their sampling errors determine each other"
        shown = f"{lowest:.3g}" if negative else "0"
        message = f"{what} (smallest eigenvalue {shown} of the correlations)"
        faults.append(Fault(row=named, message=f"{message}; {remedy}" if remedy else message))
    return faults


def indefinite(blocks: Sequence[Block]) -> list[int]:
    """Find the blocks whose correlation matrix is not safely positive definite.

    Parameters
    ----------
    blocks : sequence of (array of shape (m,), array of shape (m, m))
        Symmetric and finite, with positive diagonals.

    Returns
    -------
    list of int
        Positions among `blocks`.
    """
    by_size: dict[int, list[int]] = {}
    for place, (positions, _) in enumerate(blocks):
        if positions.size > 1:
            by_size.setdefault(positions.size, []).append(place)
    found: list[int] = []
    for size, places in by_size.items():
        # Blocks of one size go in one call, which spares a Python loop over hundreds of trials. With the bound taken
        # off the diagonal, Cholesky's decomposition exists if all eigenvalues are above it, and is cheaper than these.
        scaled = correlations_of(np.stack([blocks[place][1] for place in places]))
        bound = SINGULAR * size
        try:
            np.linalg.cholesky(scaled - bound * np.eye(size))
        except np.linalg.LinAlgError:
            lowest = np.linalg.eigvalsh(scaled)[:, 0].tolist()
            found += [place for place, value in zip(places, lowest, strict=True) if not value > bound]
    return sorted(found)


def correlations_of(matrix: FloatArray) -> FloatArray:
    """Scale covariance matrices to correlations.

    Parameters
    ----------
    matrix : array of shape (..., m, m)
        One matrix or several, with positive diagonals.

    Returns
    -------
    array of shape (..., m, m)
        The correlations.
    """
    sei = np.sqrt(np.diagonal(matrix, axis1=-2, axis2=-1))
    scaled: FloatArray = matrix / sei[..., :, None] / sei[..., None, :]
    return scaled


def nearest_correlation(matrix: FloatArray) -> FloatArray:
    """Find the correlation matrix closest to a symmetric one, with eigenvalues that stay above zero.

    Parameters
    ----------
    matrix : array of shape (m, m)
        Symmetric, with ones on the diagonal.

    Returns
    -------
    array of shape (m, m)
        Positive definite, with ones on the diagonal: the closest in the sense of the sum of squared differences,
        after which eigenvalues below 1e-6 of the largest are raised to that share.

    References
    ----------
    Higham (2002), IMA Journal of Numerical Analysis 22:329-343, algorithm 3.3.

    Examples
    --------
    >>> R = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    >>> nearest_correlation(R).round(3)
    array([[ 1. ,  0.5, -0.5],
           [ 0.5,  1. ,  0.5],
           [-0.5,  0.5,  1. ]])
    """
    found = matrix.copy()
    correction = np.zeros_like(matrix)
    for _ in range(1000):
        before = found
        shifted = found - correction
        projected = _floor_eigenvalues(shifted, 0.0)
        correction = projected - shifted
        found = projected.copy()
        np.fill_diagonal(found, 1.0)
        if float(np.abs(found - before).max()) < 1e-9:
            break
    raised = correlations_of(_floor_eigenvalues(found, NEAREST_SHARE))
    return 0.5 * (raised + raised.T)


def _floor_eigenvalues(matrix: FloatArray, share: float) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    raised: FloatArray = (vectors * np.maximum(values, share * values[-1])) @ vectors.T
    return raised
