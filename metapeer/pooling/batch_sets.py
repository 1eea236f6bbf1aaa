"""Many sets of effects in two flat arrays, and the pieces in which they are worked on: small enough for the cache."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metapeer.pooling.weighted import FloatArray

__all__ = ["Piece", "Sets", "pieces", "sets_from_matrix"]

IntArray = NDArray[np.intp]

_CELLS = 60_000
"""Effects in a piece: an array of them takes half a megabyte, and a handful of such arrays stays in a core's cache."""
_PADDING = 1.25
"""The largest set of a piece has at most so many times the studies of the smallest."""


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """Sets of effects, one after the other.

    Parameters
    ----------
    yi, vi : array of shape (m,)
        Effects and sampling variances of all sets.
    starts : array of int of shape (n + 1,)
        Where each set begins; the last is m.
    """

    yi: FloatArray
    vi: FloatArray
    starts: IntArray

    @property
    def sizes(self) -> IntArray:
        """Number of studies of each set."""
        return np.diff(self.starts)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some sets side by side.

    Parameters
    ----------
    sets : array of int of shape (n,)
        Which ones.
    yi, vi : array of shape (n, k)
        Their effects and variances, a row for each set. Beyond a set's own studies effects are zero, variances
        infinite.
    sizes : array of int of shape (n,)
        Number of studies of each set.
    """

    sets: IntArray
    yi: FloatArray
    vi: FloatArray
    sizes: IntArray


def sets_from_matrix(yi: FloatArray, vi: FloatArray, present: "NDArray[np.bool_] | None" = None) -> Sets:
    """Take the rows of two matrices for sets.

    Parameters
    ----------
    yi, vi : array of shape (n, k)
        Effects and sampling variances, a row for each set.
    present : array of bool of shape (n, k), optional
        Which studies belong to each set; all, when left out.

    Returns
    -------
    Sets
        The same numbers.

    Examples
    --------
    >>> yi, vi = np.array([[0.1, 0.3], [0.5, 0.0]]), np.array([[0.02, 0.03], [0.04, 1.0]])
    >>> sets_from_matrix(yi, vi, np.array([[True, True], [True, False]])).sizes.tolist()
    [2, 1]
    """
    n, k = yi.shape
    if present is None or present.all():
        return Sets(yi.ravel(), vi.ravel(), np.arange(n + 1, dtype=np.intp) * k)
    starts = np.zeros(n + 1, dtype=np.intp)
    np.cumsum(present.sum(axis=1), out=starts[1:])
    return Sets(yi[present], vi[present], starts)


def pieces(sets: Sets, chosen: IntArray) -> Iterator[Piece]:
    """Cut sets into pieces of sets of about the same size, none of which is larger than the cache.

    Parameters
    ----------
    sets : Sets
        All of them.
    chosen : array of int of shape (n,)
        Which to cut up, in ascending order; each has a study.

    Yields
    ------
    Piece
        Every chosen set is in exactly one of them.
    """
    sizes = sets.sizes[chosen]
    if not sizes.size:
        return
    if sizes.min() == sizes.max():
        order = np.arange(sizes.size)
        run = int(sizes[0])
        bounds = [*range(0, sizes.size, max(1, _CELLS // run)), sizes.size]
    else:
        order = np.argsort(sizes, kind="stable")
        bounds = _bounds(sizes[order])
    for begin, end in pairwise(bounds):
        yield _piece(sets, chosen[order[begin:end]])


def _bounds(ascending: IntArray) -> list[int]:
    """Cut ascending sizes into runs that are neither too large nor too uneven."""
    bounds = [0]
    while bounds[-1] < ascending.size:
        begin = bounds[-1]
        widest = int(max(ascending[begin] + 1, ascending[begin] * _PADDING))
        even = int(np.searchsorted(ascending, widest, side="right"))
        bounds.append(min(even, begin + max(1, _CELLS // widest)))
    return bounds


def _piece(sets: Sets, which: IntArray) -> Piece:
    starts, sizes = sets.starts[which], sets.starts[which + 1] - sets.starts[which]
    widest = int(sizes.max())
    even = bool((sizes == widest).all())
    if even and int(which[-1]) - int(which[0]) == which.size - 1:
        begin, end, shape = int(starts[0]), int(starts[-1]) + widest, (which.size, widest)
        return Piece(which, sets.yi[begin:end].reshape(shape), sets.vi[begin:end].reshape(shape), sizes)
    steps = np.arange(widest)
    if even:
        cells = starts[:, None] + steps
        return Piece(which, sets.yi[cells], sets.vi[cells], sizes)
    there = steps < sizes[:, None]
    cells = np.where(there, starts[:, None] + steps, starts[:, None])
    return Piece(which, np.where(there, sets.yi[cells], 0.0), np.where(there, sets.vi[cells], np.inf), sizes)
