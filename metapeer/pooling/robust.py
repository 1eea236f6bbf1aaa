"""What a fitted model says of its effects, as cluster-robust inference needs it, and its rows sorted into clusters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from metapeer.errors import DataError, Fault
from metapeer.formatting import count
from metapeer.pooling.weighted import FloatArray

__all__ = ["Clustered", "Rows", "WorkingModel", "clustered", "solve_lower", "transposed"]

Rows = NDArray[np.intp]

_NAMED = 5  # rows that a message names of each cluster
_SMALL = 30  # rows up to which clusters are faster solved together than one by one


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkingModel:
    """What a fitted model says of its effects: their expectation, and how they vary and hang together.

    Parameters
    ----------
    yi : array of shape (k,)
        Effects.
    X : array of shape (k, p)
        Design matrix of full column rank.
    names : tuple of str
        Of its columns.
    blocks : tuple of (array of shape (m,), array of shape (m, m))
        Marginal covariance of the effects, between-study variance included, block by block: the rows of a block in
        ascending order, and their covariance. Every row stands in exactly one block.
    labels : tuple of str, default ()
        Names of the rows; their numbers, counted from 1, when empty.
    trials : tuple of str, default ()
        Trial of each row, which makes the default clusters; every row its own when empty.
    level : float, default 0.95
        Confidence level of the fit's intervals.
    weights : tuple of array of shape (m, m), or None
        Weight matrices that the fit used, one for each of `blocks` and in their order; None for the inverses of the
        covariances.

    Examples
    --------
    >>> blocks = ((np.array([0, 1]), np.array([[0.04, 0.02], [0.02, 0.05]])), (np.array([2]), np.array([[0.03]])))
    >>> model = WorkingModel(yi=np.array([0.1, 0.3, 0.4]), X=np.ones((3, 1)), names=("Intercept",), blocks=blocks)
    >>> model.row_names
    ('1', '2', '3')
    """

    yi: FloatArray
    X: FloatArray
    names: tuple[str, ...]
    blocks: tuple[tuple[Rows, FloatArray], ...]
    labels: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()
    level: float = 0.95
    weights: tuple[FloatArray, ...] | None = None

    @property
    def row_names(self) -> tuple[str, ...]:
        """Names of the rows."""
        return self.labels or tuple(str(i) for i in range(1, self.yi.size + 1))


def transposed(stacked: FloatArray) -> FloatArray:
    """Transpose each matrix of a stack.

    Parameters
    ----------
    stacked : array of shape (..., n, p)
        The matrices.

    Returns
    -------
    array of shape (..., p, n)
        A view of them.
    """
    return np.swapaxes(stacked, -1, -2)


def _check(model: WorkingModel, clusters: Sequence[str]) -> None:
    """Refuse a working model whose parts do not fit together."""
    k = model.yi.size
    faults: list[str] = []
    if model.X.shape != (k, len(model.names)):
        faults.append(f"X has shape {model.X.shape} for {k} effects and {len(model.names)} names")
    for what, given in (("labels", model.labels), ("trials", model.trials), ("clusters", clusters)):
        if len(given) != k and (given or what == "clusters"):
            faults.append(f"{what} name {len(given)} rows, and there are {k}")
    rows = np.concatenate([np.zeros(0, np.intp), *(rows for rows, _ in model.blocks)])
    if not np.array_equal(np.sort(rows), np.arange(k)):
        faults.append("every row must stand in exactly one block of the covariance")
    if any(Phi.shape != (rows.size, rows.size) for rows, Phi in model.blocks):
        faults.append("the covariance of a block has not as many rows and columns as the block")
    if model.weights is not None and [W.shape for W in model.weights] != [Phi.shape for _, Phi in model.blocks]:
        faults.append("weights must have the shapes of the blocks of the covariance")
    if not (np.isfinite(model.yi).all() and np.isfinite(model.X).all()):
        faults.append("effects and the design must be finite numbers")
    if faults:
        raise DataError("the working model", faults)


def _number(clusters: Sequence[str]) -> tuple[tuple[str, ...], Rows]:
    """Names of the clusters in order of appearance, and the number of each row's."""
    names = tuple(dict.fromkeys(clusters))
    order = {name: j for j, name in enumerate(names)}
    return names, np.array([order[name] for name in clusters], dtype=np.intp)


def _check_nested(model: WorkingModel, names: tuple[str, ...], cluster_of: Rows) -> None:
    """Refuse clusters that separate effects which the working model correlates."""
    faults = []
    weights = model.weights if model.weights is not None else [None] * len(model.blocks)
    for (rows, Phi), W in zip(model.blocks, weights, strict=True):
        matrix = Phi if W is None else np.abs(Phi) + np.abs(W)
        if rows.size == 1 or (cluster_of[rows] == cluster_of[rows[0]]).all():
            continue
        apart = cluster_of[rows][:, None] != cluster_of[rows][None, :]
        linked = np.argwhere(np.triu(apart & (matrix != 0)))
        if linked.size:
            first, second = (f"{model.row_names[i]} (cluster {names[cluster_of[i]]})" for i in rows[linked[0]].tolist())
            more = f", as are {len(linked) - 1:,} more pairs of their block" if len(linked) > 1 else ""
            faults.append(f"{first} and {second} are correlated in the model{more}; clusters must keep them together")
    if faults:
        raise DataError("the clustering", faults)


def _root(stacked: FloatArray, what: str, rows: Rows, model: WorkingModel) -> FloatArray:
    """Lower Cholesky factors of a stack of matrices."""
    try:
        return np.asarray(np.linalg.cholesky(stacked))
    except np.linalg.LinAlgError:
        pass
    faults = []
    for own, matrix in zip(rows, stacked, strict=True):
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            named = [model.row_names[i] for i in own[:_NAMED].tolist()] + (["..."] if own.size > _NAMED else [])
            faults.append(Fault(row=", ".join(named), message=f"the {what} is not positive definite"))
    raise DataError("the working model", faults)


def solve_lower(L: FloatArray, values: FloatArray, *, transpose: bool = False) -> FloatArray:
    """Solve a stack of triangular systems.

    Parameters
    ----------
    L : array of shape (c, n, n)
        Lower triangular matrices.
    values : array of shape (c, n, q)
        Right sides.
    transpose : bool, default False
        Whether the transposes of `L` are meant.

    Returns
    -------
    array of shape (c, n, q)
        The solutions.
    """
    if L.shape[1] <= _SMALL:
        return np.asarray(np.linalg.solve(transposed(L) if transpose else L, values))
    trans: Literal[0, 1] = 1 if transpose else 0
    solved = [solve_triangular(a, b, lower=True, trans=trans) for a, b in zip(L, values, strict=True)]
    return np.asarray(solved)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clustered:
    """Clusters of one size, n rows each, side by side.

    Parameters
    ----------
    members : array of shape (c,)
        Which clusters they are.
    rows : array of shape (c, n)
        Their rows.
    Phi : array of shape (c, n, n)
        Covariance of the effects.
    L : array of shape (c, n, n)
        Its lower Cholesky factors.
    K : array of shape (c, n, n) or None
        Those of the weights; None for weights that are the inverses of `Phi`.
    """

    members: Rows
    rows: Rows
    Phi: FloatArray
    L: FloatArray
    K: FloatArray | None

    def whiten(self, values: FloatArray) -> FloatArray:
        """Multiply by a root of the weights, so that weighted least squares become plain ones.

        Parameters
        ----------
        values : array of shape (c, n, q)
            Columns.

        Returns
        -------
        array of shape (c, n, q)
            The columns times C, where the weights are ``C'C``.
        """
        return solve_lower(self.L, values) if self.K is None else transposed(self.K) @ values

    def unwhiten(self, values: FloatArray) -> FloatArray:
        """Undo `whiten`.

        Parameters
        ----------
        values : array of shape (c, n, q)
            Columns.

        Returns
        -------
        array of shape (c, n, q)
            The inverse of C times the columns.
        """
        return self.L @ values if self.K is None else solve_lower(self.K, values, transpose=True)

    def weigh(self, values: FloatArray) -> FloatArray:
        """Finish with weights what `whiten` began.

        Parameters
        ----------
        values : array of shape (c, n, q)
            Columns already whitened.

        Returns
        -------
        array of shape (c, n, q)
            The transpose of C times the columns.
        """
        return solve_lower(self.L, values, transpose=True) if self.K is None else self.K @ values


def _groups(model: WorkingModel, cluster_of: Rows, m: int) -> list[Clustered]:
    """Put clusters of equal size side by side."""
    k = model.yi.size
    sizes = np.bincount(cluster_of, minlength=m)
    order = np.argsort(cluster_of, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.empty(k, dtype=np.intp)  # of a row within its cluster
    place[order] = np.arange(k) - np.repeat(starts, sizes)
    slot = np.empty(m, dtype=np.intp)  # of a cluster among those of its size
    stacks: dict[int, tuple[FloatArray, FloatArray]] = {}
    chosen: dict[int, Rows] = {}
    for n in np.unique(sizes).tolist():
        chosen[n] = np.flatnonzero(sizes == n)
        slot[chosen[n]] = np.arange(chosen[n].size)
        stacks[n] = (np.zeros((chosen[n].size, n, n)), np.zeros((chosen[n].size, n, n)))
    weights = model.weights if model.weights is not None else [None] * len(model.blocks)
    for (rows, Phi), W in zip(model.blocks, weights, strict=True):
        for j in np.unique(cluster_of[rows]) if rows.size > 1 else cluster_of[rows]:
            inside = np.flatnonzero(cluster_of[rows] == j) if rows.size > 1 else np.zeros(1, np.intp)
            at = place[rows[inside]]
            for stacked, part in zip(stacks[int(sizes[j])], (Phi, W), strict=True):
                if part is not None:
                    stacked[slot[j], at[:, None], at] = part[inside[:, None], inside]
    found = []
    for n, members in chosen.items():
        rows = order[starts[members][:, None] + np.arange(n)]
        Phi, W = stacks[n]
        L = _root(Phi, "covariance", rows, model)
        K = None if model.weights is None else _root(W, "weight matrix", rows, model)
        found.append(Clustered(members=members, rows=rows, Phi=Phi, L=L, K=K))
    return found


def clustered(model: WorkingModel, clusters: Sequence[str]) -> tuple[tuple[str, ...], Rows, list[Clustered]]:
    """Sort the rows of a working model into clusters.

    Parameters
    ----------
    model : WorkingModel
        The working model.
    clusters : sequence of str
        Cluster of each row.

    Returns
    -------
    names : tuple of str
        The clusters, in the order in which they first appear.
    cluster_of : array of shape (k,)
        Cluster of each row.
    groups : list of Clustered
        All clusters, those of a size together.

    Raises
    ------
    DataError
        If the parts of the working model do not fit together, there is one cluster only, clusters separate correlated
        effects, or a covariance is not positive definite.

    Examples
    --------
    >>> blocks = tuple((np.array([i]), np.array([[0.04]])) for i in range(3))
    >>> model = WorkingModel(yi=np.array([0.1, 0.3, 0.5]), X=np.ones((3, 1)), names=("Intercept",), blocks=blocks)
    >>> names, cluster_of, groups = clustered(model, ["b", "a", "b"])
    >>> names, cluster_of.tolist(), [group.rows.tolist() for group in groups]
    (('b', 'a'), [0, 1, 0], [[[1]], [[0, 2]]])
    """
    _check(model, clusters)
    names, cluster_of = _number(clusters)
    if len(names) < 2:
        message = f"there is {count(len(names), 'cluster')}; robust variances need at least two, and better many"
        raise DataError("the clustering", [Fault(row=name, message=message) for name in names] or [message])
    _check_nested(model, names, cluster_of)
    return names, cluster_of, _groups(model, cluster_of, len(names))
