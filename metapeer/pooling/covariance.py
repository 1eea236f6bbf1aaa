"""The covariance of sampling errors, kept as blocks: one small matrix for the rows that belong together.

Rows of different blocks are independent, so what is computed from a `SamplingCovariance` costs the sum over blocks of
their size cubed and never the square of the number of rows.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import DataError, Fault, MetapeerError
from metapeer.formatting import count
from metapeer.pooling.definiteness import Block, definiteness_faults, row_namer
from metapeer.pooling.weighted import FloatArray

__all__ = [
    "Block",
    "SamplingCovariance",
    "blocks_from_correlations",
    "connected_components",
    "covariance_from_blocks",
    "covariance_from_matrix",
    "covariance_from_variances",
    "groups_of",
]

DENSE_LIMIT = 5000
"""Rows beyond which no dense matrix is made: it would take 200 MB."""

ASYMMETRY = 1e-8
"""Difference between mirrored cells, as a share of the two standard errors, that rounding may leave."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SamplingCovariance:
    """Covariance matrix of the sampling errors of effects, block by block.

    Parameters
    ----------
    k : int
        Rows.
    blocks : tuple of (array of shape (m,), array of shape (m, m))
        Ascending positions of rows, and their covariance matrix in squared units of the effects. Every row stands in
        exactly one block; the arrays are made read-only.
    words : tuple of str, default ()
        What was assumed to make it, a sentence each.

    Raises
    ------
    MetapeerError
        If rows are missing or repeated, or a matrix does not fit its rows.

    Examples
    --------
    >>> V = SamplingCovariance(k=3, blocks=((np.array([0, 2]), np.array([[0.04, 0.01], [0.01, 0.09]])),
    ...                                     (np.array([1]), np.array([[0.05]]))))
    >>> V.diagonal()
    array([0.04, 0.05, 0.09])
    """

    k: int
    blocks: tuple[Block, ...]
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for positions, matrix in self.blocks:
            if matrix.shape != (positions.size, positions.size):
                raise MetapeerError(
                    f"a block of {count(positions.size, 'row')} has a matrix of shape {matrix.shape}; it must be square"
                )
            positions.setflags(write=False)
            matrix.setflags(write=False)
        order = self._order()
        seen = np.bincount(order[(order >= 0) & (order < self.k)], minlength=self.k)
        within = np.diff(order) > 0
        within[np.cumsum(self._sizes())[:-1] - 1] = True
        if order.size != self.k or not (seen == 1).all() or not within.all():
            raise MetapeerError(
                f"every one of the {count(self.k, 'row')} must stand in exactly one block, in ascending order"
            )

    def _sizes(self) -> NDArray[np.intp]:
        return np.array([positions.size for positions, _ in self.blocks], dtype=np.intp)

    def _order(self) -> NDArray[np.intp]:
        return np.concatenate([positions for positions, _ in self.blocks] or [np.empty(0, dtype=np.intp)])

    def diagonal(self) -> FloatArray:
        """Give the sampling variances.

        Returns
        -------
        array of shape (k,)
            In the order of the rows.
        """
        variances = np.empty(self.k)
        if self.blocks:
            variances[self._order()] = np.concatenate([matrix.diagonal() for _, matrix in self.blocks])
        return variances

    def rows(self, chosen: Sequence[int] | NDArray[np.intp]) -> "SamplingCovariance":
        """Keep some rows, in the order given.

        Parameters
        ----------
        chosen : sequence of int
            Positions from 0, each at most once.

        Returns
        -------
        SamplingCovariance
            With ``k = len(chosen)``; row i is the i-th chosen one.

        Raises
        ------
        MetapeerError
            If a position is repeated or is not one of a row.

        Examples
        --------
        >>> V = covariance_from_blocks([[[0.04, 0.01], [0.01, 0.09]], [[0.05]]])
        >>> V.rows([2, 1]).to_dense()
        array([[0.05, 0.  ],
               [0.  , 0.09]])
        """
        wanted = np.asarray(chosen)
        if wanted.size == 0:
            wanted = wanted.astype(np.intp)
        if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
            raise MetapeerError("rows are chosen by a list of positions, counted from 0")
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < self.k):
            raise MetapeerError(f"there are {count(self.k, 'row')}; positions go from 0 to {self.k - 1}")
        if np.unique(wanted).size != wanted.size:
            raise MetapeerError("a row can be chosen once only; a repeated row would make the matrix singular")
        new = np.full(self.k, -1, dtype=np.intp)
        new[wanted] = np.arange(wanted.size, dtype=np.intp)
        blocks: list[Block] = []
        for positions, matrix in self.blocks:
            moved = new[positions]
            kept = np.flatnonzero(moved >= 0)
            if kept.size:
                kept = kept[np.argsort(moved[kept])]
                blocks.append((moved[kept], matrix[np.ix_(kept, kept)]))
        blocks.sort(key=lambda block: int(block[0][0]))
        return SamplingCovariance(k=int(wanted.size), blocks=tuple(blocks), words=self.words)

    def correlation(self, first: int, second: int) -> float:
        """Give the correlation of the sampling errors of two rows.

        Parameters
        ----------
        first, second : int
            Positions from 0.

        Returns
        -------
        float
            Zero for rows of different blocks.

        Raises
        ------
        MetapeerError
            If a position is not one of a row.

        Examples
        --------
        >>> V = covariance_from_blocks([[[0.04, 0.03], [0.03, 0.09]], [[0.05]]])
        >>> round(V.correlation(0, 1), 6), V.correlation(0, 2)
        (0.5, 0.0)
        """
        for position in (first, second):
            if not 0 <= position < self.k:
                raise MetapeerError(f"there are {count(self.k, 'row')}; positions go from 0 to {self.k - 1}")
        for positions, matrix in self.blocks:
            i, j = np.searchsorted(positions, (first, second)).tolist()
            has_first = i < positions.size and positions[i] == first
            has_second = j < positions.size and positions[j] == second
            if has_first and has_second:
                return 1.0 if i == j else float(matrix[i, j] / np.sqrt(matrix[i, i]) / np.sqrt(matrix[j, j]))
            if has_first or has_second:
                break
        return 0.0

    def to_dense(self) -> FloatArray:
        """Write the whole matrix out.

        Returns
        -------
        array of shape (k, k)
            With zeros between blocks.

        Raises
        ------
        MetapeerError
            Above 5,000 rows; use `blocks`, which hold everything that is not zero.
        """
        if self.k > DENSE_LIMIT:
            raise MetapeerError(
                f"a dense matrix of {self.k:,} rows would take {8e-9 * self.k**2:.1f} GB; use the blocks instead"
            )
        dense = np.zeros((self.k, self.k))
        for positions, matrix in self.blocks:
            dense[np.ix_(positions, positions)] = matrix
        return dense


def connected_components(k: int, first: ArrayLike, second: ArrayLike) -> list[NDArray[np.intp]]:
    """Group rows that are linked directly or through others.

    Parameters
    ----------
    k : int
        Rows.
    first, second : array of int of shape (m,)
        The two ends of each link.

    Returns
    -------
    list of array of int
        Ascending positions of each group, the groups in the order of their first row.

    Examples
    --------
    >>> [group.tolist() for group in connected_components(5, [3, 0], [1, 3])]
    [[0, 1, 3], [2], [4]]
    """
    one, two = np.asarray(first, dtype=np.intp), np.asarray(second, dtype=np.intp)
    label = np.arange(k, dtype=np.intp)
    while True:
        # Each row takes the smallest label of its neighbours; following labels to their own halves every chain.
        before = label.copy()
        low = np.minimum(label[one], label[two])
        np.minimum.at(label, one, low)
        np.minimum.at(label, two, low)
        np.minimum.at(label, before[one], low)
        np.minimum.at(label, before[two], low)
        label = label[label]
        if np.array_equal(label, before):
            return groups_of(label)


def groups_of(codes: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Give the positions of each code.

    Parameters
    ----------
    codes : array of int of shape (k,)
        One code for each row.

    Returns
    -------
    list of array of int
        Ascending positions of each code, in the order of the codes.
    """
    if not codes.size:
        return []
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def covariance_from_variances(vi: FloatArray, *, words: tuple[str, ...] = ()) -> SamplingCovariance:
    """Take all rows for independent.

    Parameters
    ----------
    vi : array of shape (k,)
        Sampling variances.
    words : tuple of str, default ()
        What was assumed; says that rows are independent when left empty.

    Returns
    -------
    SamplingCovariance
        With a block for each row.

    Raises
    ------
    DataError
        Listing the variances that are not positive numbers.

    Examples
    --------
    >>> covariance_from_variances(np.array([0.04, 0.09])).to_dense()
    array([[0.04, 0.  ],
           [0.  , 0.09]])
    """
    variances = np.array(vi, dtype=np.float64)
    faults = [
        Fault(row=f"row {i + 1}", message=f"{variances[i]:g} is not a sampling variance; it must be finite and > 0")
        for i in np.flatnonzero(~(np.isfinite(variances) & (variances > 0))).tolist()
    ]
    if faults:
        raise DataError("the sampling variances", faults)
    cells = variances.reshape(-1, 1, 1)
    positions = np.arange(variances.size, dtype=np.intp).reshape(-1, 1)
    return SamplingCovariance(
        k=variances.size,
        blocks=tuple(zip(positions, cells, strict=True)),
        words=words or ("all rows are taken for independent",),
    )


def covariance_from_matrix(
    matrix: ArrayLike, *, names: Sequence[str] | None = None, words: tuple[str, ...] = ()
) -> SamplingCovariance:
    """Check a covariance matrix and part it into blocks of rows that are linked.

    Parameters
    ----------
    matrix : array of shape (k, k)
        Symmetric, finite and positive definite.
    names : sequence of str, optional
        What messages call the rows.
    words : tuple of str, default ()
        What was assumed; says that the matrix was given when left empty.

    Returns
    -------
    SamplingCovariance
        With a block for each group of rows joined by covariances other than zero.

    Raises
    ------
    DataError
        Listing every fault.

    Examples
    --------
    >>> V = covariance_from_matrix([[0.04, 0, 0.01], [0, 0.05, 0], [0.01, 0, 0.09]])
    >>> [positions.tolist() for positions, _ in V.blocks]
    [[0, 2], [1]]
    """
    given = _square(matrix, "the covariance matrix V")
    k = given.shape[0]
    faults = _faults_of_cells(given, np.arange(k, dtype=np.intp), row_namer(names))
    if faults:
        raise DataError("the covariance matrix V", faults)
    first, second = np.nonzero(np.tril(given, -1))
    found = [(group, given[np.ix_(group, group)]) for group in connected_components(k, first, second)]
    return _checked(k, found, names, words)


def covariance_from_blocks(
    matrices: Iterable[ArrayLike], *, names: Sequence[str] | None = None, words: tuple[str, ...] = ()
) -> SamplingCovariance:
    """Check covariance matrices that stand for consecutive rows.

    Parameters
    ----------
    matrices : iterable of array of shape (m, m)
        The first matrix is that of the first rows, and so on.
    names : sequence of str, optional
        What messages call the rows.
    words : tuple of str, default ()
        What was assumed; says that the matrices were given when left empty.

    Returns
    -------
    SamplingCovariance
        With the blocks as given.

    Raises
    ------
    DataError
        Listing every fault.

    Examples
    --------
    >>> covariance_from_blocks([[[0.04, 0.01], [0.01, 0.09]], [[0.05]]]).k
    3
    """
    found: list[Block] = []
    faults: list[Fault] = []
    k = 0
    for number, matrix in enumerate(matrices, start=1):
        given = _square(matrix, f"block {number} of the covariance matrix V")
        positions = np.arange(k, k + given.shape[0], dtype=np.intp)
        faults += _faults_of_cells(given, positions, row_namer(names))
        found.append((positions, given))
        k += given.shape[0]
    if faults:
        raise DataError("the covariance matrix V", faults)
    return _checked(k, found, names, words)


def _checked(k: int, blocks: list[Block], names: Sequence[str] | None, words: tuple[str, ...]) -> SamplingCovariance:
    """Mirror the lower halves, so that symmetry is exact, and refuse blocks that are not positive definite."""
    if names is not None and len(names) != k:
        raise MetapeerError(f"the covariance matrix V has {count(k, 'row')} and there are {len(names)}; they must pair")
    faults = definiteness_faults(blocks, names)
    if faults:
        raise DataError("the covariance matrix V", faults)
    even = tuple((positions, 0.5 * (matrix + matrix.T)) for positions, matrix in blocks)
    return SamplingCovariance(k=k, blocks=even, words=words or ("the covariance matrix V was given by the user",))


def _square(matrix: ArrayLike, what: str) -> FloatArray:
    try:
        given = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(what, ["must be a square table of numbers"]) from None
    if given.ndim != 2 or given.shape[0] != given.shape[1] or not given.size:
        raise DataError(what, [f"must be a square matrix, not an array of shape {given.shape}"])
    return given


def _faults_of_cells(matrix: FloatArray, positions: NDArray[np.intp], name: Callable[[int], str]) -> list[Fault]:
    """List cells that are not finite, variances that are not positive, and cells unlike their mirror image."""
    variances = matrix.diagonal()
    faults = [
        Fault(row=name(int(positions[i])), message=f"its variance is {variances[i]:g}; it must be finite and > 0")
        for i in np.flatnonzero(~(np.isfinite(variances) & (variances > 0))).tolist()
    ]
    lower, upper = np.tril(matrix, -1), np.triu(matrix, 1).T
    odd = ~(np.isfinite(lower) & np.isfinite(upper))
    with np.errstate(invalid="ignore"):
        scale = np.sqrt(np.abs(variances))
        apart = np.abs(lower - upper) > ASYMMETRY * np.outer(scale, scale)
    for i, j in np.argwhere(np.tril(odd | apart, -1)).tolist():
        one, two = matrix[i, j], matrix[j, i]
        where = f"{name(int(positions[j]))} and {name(int(positions[i]))}"
        if odd[i, j]:
            faults.append(Fault(message=f"the covariance of {where} is {one if not np.isfinite(one) else two:g}"))
        else:
            faults.append(Fault(message=f"the covariance of {where} is {two:g} and, mirrored, {one:g}"))
    return faults


def blocks_from_correlations(
    vi: FloatArray, first: NDArray[np.intp], second: NDArray[np.intp], correlations: FloatArray
) -> tuple[Block, ...]:
    """Make blocks from the correlations of pairs of rows; rows that no pair names are independent.

    Parameters
    ----------
    vi : array of shape (k,)
        Sampling variances.
    first, second : array of int of shape (m,)
        The pairs, each at most once.
    correlations : array of shape (m,)
        Of their sampling errors.

    Returns
    -------
    tuple of (array of shape (m,), array of shape (m, m))
        Blocks of rows that are linked, in the order of their first row; whether they are positive definite is not
        asked.

    Examples
    --------
    >>> blocks_from_correlations(np.array([0.04, 0.09]), np.array([0]), np.array([1]), np.array([0.5]))[0][1]
    array([[0.04, 0.03],
           [0.03, 0.09]])
    """
    if not vi.size:
        return ()
    linked = correlations != 0.0
    one, two = first[linked], second[linked]
    groups = connected_components(vi.size, one, two)
    sizes = np.array([group.size for group in groups], dtype=np.intp)
    ends = np.cumsum(sizes**2)
    place, start, size = (np.empty(vi.size, dtype=np.intp) for _ in range(3))
    order = np.concatenate(groups)
    size[order] = np.repeat(sizes, sizes)
    start[order] = np.repeat(ends - sizes**2, sizes)
    place[order] = np.arange(order.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    sei = np.sqrt(vi)
    cells = np.zeros(int(ends[-1]))
    cells[start + place * (size + 1)] = vi
    covariances = correlations[linked] * sei[one] * sei[two]
    cells[start[one] + place[one] * size[one] + place[two]] = covariances
    cells[start[one] + place[two] * size[one] + place[one]] = covariances
    matrices = np.split(cells, ends[:-1])
    return tuple((group, part.reshape(group.size, -1)) for group, part in zip(groups, matrices, strict=True))
