"""Cluster-robust covariance of the coefficients of a meta-analytic model, cluster by cluster.

Coefficients are handled in coordinates in which ``X'WX`` is the identity (``X = Z R`` with ``Z'WZ = I``), so that years
beside an intercept cost no digits. Clusters of equal size are worked on together; nothing of size k by k is formed, and
the cost is linear in the number of clusters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metapeer.errors import DataError, Fault, MetapeerError, check_choice
from metapeer.pooling.robust import Clustered, Rows, WorkingModel, clustered, solve_lower, transposed
from metapeer.pooling.weighted import FloatArray

__all__ = ["VCOV", "Sandwich", "Stack", "alone_share", "sandwich"]

VCOV = {
    "CR0": "no correction for few clusters",
    "CR1": "times m / (m - 1) for m clusters",
    "CR1p": "times m / (m - p) for m clusters and p coefficients",
    "CR1S": "times m (k - 1) / ((m - 1) (k - p)) for k effects",
    "CR2": "bias-reduced linearisation",
    "CR3": "close to the jackknife over clusters",
}
"""Corrections for few clusters, as clubSandwich names them: Cameron & Miller (2015), J Hum Resour 50:317-372; CR2 as in
Pustejovsky & Tipton (2018), J Bus Econ Stat 36:672-683."""

_DEPENDENT = 1e-13
"""A column of which a smaller share is independent of those before it is called dependent; rounding makes 1e-15."""

_EXACT = 1e-14
"""Residuals that are all smaller than this share of the largest effect are rounding: the model fits exactly."""

_ALONE = 1e-10
"""A direction whose share of residual variance within a cluster is below this has none: rounding leaves about 1e-15."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """Clusters of one size, n rows each, side by side.

    Parameters
    ----------
    members : array of shape (c,)
        Which clusters they are.
    rows : array of shape (c, n)
        Their rows.
    Z, WZ, E : array of shape (c, n, p)
        Design in the coordinates of the module, the weights times it, and the same after the correction for few
        clusters: a cluster's share of the estimating equations is ``E'e``.
    """

    members: Rows
    rows: Rows
    Z: FloatArray
    WZ: FloatArray
    E: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sandwich:
    """Coefficients with their cluster-robust covariance, and what tests of them need.

    Parameters
    ----------
    method : str
        Code of the correction, one of `VCOV`.
    model : WorkingModel
        The working model.
    clusters : tuple of str
        Names of the m clusters in the order in which they first appear.
    cluster_of : array of shape (k,)
        Cluster of each row.
    beta : array of shape (p,)
        Coefficients.
    covariance, model_covariance : array of shape (p, p)
        Their covariance, robust and by the working model.
    inverse_R : array of shape (p, p)
        Upper triangular; the coefficients are this times the coordinates.
    stacks : tuple of Stack
        The clusters.
    spread, reach : array of shape (m, p, p)
        ``E' Phi E`` and ``E' Z`` of each cluster.
    cross : array of shape (m, p, p) or None
        ``E' Phi W Z``; None where weights are inverse covariances and it equals `reach`.
    inner : array of shape (p, p)
        The sum of ``Z' W Phi W Z``: the identity where weights are inverse covariances.
    residuals, adjusted : array of shape (k,)
        Residuals before and after the correction for few clusters.
    alone : tuple of (str, array of shape (p,))
        Directions in which one cluster alone tells the coefficients: its name, and a unit vector in the coordinates.
    """

    method: str
    model: WorkingModel
    clusters: tuple[str, ...]
    cluster_of: Rows
    beta: FloatArray
    covariance: FloatArray
    model_covariance: FloatArray
    inverse_R: FloatArray
    stacks: tuple[Stack, ...]
    spread: FloatArray
    reach: FloatArray
    cross: FloatArray | None
    inner: FloatArray
    residuals: FloatArray
    adjusted: FloatArray
    alone: tuple[tuple[str, FloatArray], ...]

    def coordinates(self, L: FloatArray) -> FloatArray:
        """Turn combinations of coefficients into combinations of the coordinates.

        Parameters
        ----------
        L : array of shape (q, p)
            One combination a row.

        Returns
        -------
        array of shape (q, p)
            The same quantities as combinations of the coordinates.
        """
        return L @ self.inverse_R


def alone_share(fit: Sandwich, L: FloatArray) -> FloatArray:
    """Share of the variance of each combination that single clusters decide, and that no residual can tell.

    Parameters
    ----------
    fit : Sandwich
        From `sandwich`.
    L : array of shape (q, p)
        One combination a row.

    Returns
    -------
    array of shape (q,)
        From 0 (none of it) to 1 (all of it).
    """
    c = fit.coordinates(L)
    told = sum((np.square(c @ direction) for _, direction in fit.alone), np.zeros(len(c)))
    return np.asarray(told / np.square(c).sum(axis=1))


def _half_inverse(B: FloatArray, empty: FloatArray) -> FloatArray:
    """Symmetric inverse square roots of a stack; the `empty` smallest eigenvalues of each matrix count as zero."""
    values, vectors = np.linalg.eigh(B)
    kept = (np.arange(values.shape[1]) >= empty[:, None]) & (values > 0)
    powers = np.divide(1.0, np.sqrt(np.where(kept, values, 1.0)), out=np.zeros_like(values), where=kept)
    return np.asarray((vectors * powers[:, None, :]) @ transposed(vectors))


def _bias_reduced(
    Z: FloatArray, WZ: FloatArray, group: Clustered, inner: FloatArray, e: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Estimating matrices and residuals with Pustejovsky and Tipton's (2018) adjustment."""
    L = group.L
    Y = solve_lower(L, Z)
    T = transposed(L) @ WZ
    # Covariance of the residuals, seen through the root of Phi: its rank does not depend on how variances differ.
    cross = Y @ transposed(T)
    seen = np.eye(L.shape[1]) - cross - transposed(cross) + Y @ inner @ transposed(Y)
    # With inverse covariances as weights, what is missing from its rank shows in p by p already.
    rank = np.eye(Z.shape[2]) - transposed(Z) @ WZ if group.K is None else seen
    empty = (np.linalg.eigvalsh(rank) < _ALONE).sum(axis=1)
    # A = D (D'D seen D'D)^(-1/2) D' is the same for every multiple D of L; one near 1 neither over- nor underflows.
    size = np.sqrt(np.trace(group.Phi, axis1=1, axis2=2))[:, None, None]
    D = L / size
    F = transposed(D) @ D
    A_right = _half_inverse(F @ seen @ F, empty) @ transposed(D)
    return transposed(A_right) @ (transposed(D) @ WZ), (D @ (A_right @ e[..., None]))[..., 0]


def _jackknifed(Z: FloatArray, WZ: FloatArray, G: FloatArray, e: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same with the inverse of I - H, by Woodbury's identity."""
    inverse = np.linalg.inv(np.eye(G.shape[1]) - G)
    return WZ @ inverse, e + (Z @ (inverse @ (transposed(WZ) @ e[..., None])))[..., 0]


def _find_alone(G: FloatArray, names: Sequence[str]) -> tuple[tuple[str, FloatArray], ...]:
    values, vectors = np.linalg.eigh(G)
    return tuple(
        (names[j], np.array(vectors[j, :, i])) for j, i in zip(*np.nonzero(values > 1.0 - _ALONE), strict=True)
    )


def _factor(method: str, m: int, k: int, p: int) -> float:
    """What CR1 and its kin multiply the covariance by."""
    if method == "CR1p":
        if m <= p:
            raise MetapeerError(
                f"CR1p divides by clusters minus coefficients, {m} - {p}; there must be more clusters: use CR2"
            )
        return m / (m - p)
    if method == "CR1S":
        if k <= p:
            raise MetapeerError(f"CR1S divides by effects minus coefficients, {k} - {p}; use CR2")
        return m * (k - 1) / ((m - 1) * (k - p))
    return m / (m - 1) if method == "CR1" else 1.0


def _least_squares(
    model: WorkingModel, groups: Sequence[Clustered]
) -> tuple[list[tuple[Clustered, FloatArray, FloatArray]], FloatArray, FloatArray, FloatArray]:
    """Each group with its Z and WZ, the coefficients in their coordinates, the inverse of R, and the residuals."""
    p = model.X.shape[1]
    white_X = np.concatenate([group.whiten(model.X[group.rows]).reshape(-1, p) for group in groups])
    white_y = np.concatenate([group.whiten(model.yi[group.rows][..., None]).ravel() for group in groups])
    Q, R = np.linalg.qr(white_X)
    independent = np.abs(np.diag(R)) > _DEPENDENT * np.linalg.norm(white_X, axis=0)
    if not independent.all():
        message = "depends on the columns before it"
        names = [model.names[j] for j in np.flatnonzero(~independent).tolist()]
        raise DataError("the working model", [Fault(column=name, message=message) for name in names])
    theta = Q.T @ white_y
    theta += Q.T @ (white_y - Q @ theta)  # a second step, for effects that are large beside their differences
    left = white_y - Q @ theta
    if np.abs(left).max() <= _EXACT * np.abs(white_y).max():
        left[:] = 0.0
    parts, residuals, start = [], np.empty(model.yi.size), 0
    for group in groups:
        own = slice(start, start := start + group.rows.size)
        own_Q = Q[own].reshape(*group.rows.shape, p)
        residuals[group.rows] = group.unwhiten(left[own].reshape(*group.rows.shape, 1))[..., 0]
        parts.append((group, group.unwhiten(own_Q), group.weigh(own_Q)))
    return parts, theta, np.asarray(np.linalg.solve(R, np.eye(p))), residuals


def _from_coordinates(inverse_R: FloatArray, V: FloatArray) -> FloatArray:
    """Covariance of the coefficients from that in the coordinates."""
    found = inverse_R @ V @ inverse_R.T
    return np.asarray((found + found.T) / 2.0)


def sandwich(model: WorkingModel, clusters: Sequence[str], *, method: str = "CR2") -> Sandwich:
    """Estimate the covariance of the coefficients from the residuals of clusters.

    Parameters
    ----------
    model : WorkingModel
        What the fit assumed. Coefficients are weighted least squares with its weights.
    clusters : sequence of str
        Cluster of each row. Effects of different clusters are independent; within a cluster anything may hold.
    method : {"CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"}, default "CR2"
        Correction for few clusters, see `VCOV`. CR2 is unbiased if the working model is true.

    Returns
    -------
    Sandwich
        Coefficients, covariances, and what tests need.

    Raises
    ------
    DataError
        If there is one cluster only, clusters separate correlated effects, a covariance is not positive definite, or
        (with CR3) one cluster alone identifies a coefficient.
    MetapeerError
        If `method` needs more clusters than there are.

    References
    ----------
    Pustejovsky & Tipton (2018), J Bus Econ Stat 36:672-683; Bell & McCaffrey (2002), Surv Methodol 28:169-181.

    Examples
    --------
    >>> blocks = tuple((np.array([i]), np.array([[v]])) for i, v in enumerate([0.04, 0.05, 0.03, 0.06, 0.02]))
    >>> yi = np.array([0.1, 0.3, 0.5, 0.2, 0.6])
    >>> model = WorkingModel(yi=yi, X=np.ones((5, 1)), names=("Intercept",), blocks=blocks)
    >>> found = sandwich(model, ["a", "a", "b", "c", "c"])
    >>> float(found.beta[0].round(4)), float(found.covariance[0, 0].round(6))
    (0.4034, 0.010066)
    """
    check_choice("vcov", method, VCOV)
    names, cluster_of, groups = clustered(model, clusters)
    m, (k, p) = len(names), model.X.shape
    factor = _factor(method, m, k, p)
    parts, theta, inverse_R, residuals = _least_squares(model, groups)
    G = np.empty((m, p, p))
    inner = np.eye(p) if model.weights is None else np.zeros((p, p))
    for group, Z, WZ in parts:
        G[group.members] = transposed(Z) @ WZ
        if model.weights is not None:
            inner += (transposed(WZ) @ group.Phi @ WZ).sum(axis=0)
    alone = _find_alone(G, names)
    if method == "CR3" and alone:
        faults = [
            Fault(row=name, message="alone identifies a coefficient, and CR3 leaves out one cluster at a time; use CR2")
            for name in dict.fromkeys(name for name, _ in alone)
        ]
        raise DataError("the clustering", faults)

    stacks, scores, adjusted = [], np.empty((m, p)), np.empty(k)
    spread, reach, cross = np.empty((m, p, p)), np.empty((m, p, p)), np.empty((m, p, p))
    for group, Z, WZ in parts:
        e = residuals[group.rows]
        if method == "CR2":
            E, better = _bias_reduced(Z, WZ, group, inner, e)
        elif method == "CR3":
            E, better = _jackknifed(Z, WZ, G[group.members], e)
        else:
            E, better = np.sqrt(factor) * WZ, np.sqrt(factor) * e
        adjusted[group.rows] = better
        turned = transposed(E)
        spread[group.members] = turned @ group.Phi @ E
        reach[group.members] = turned @ Z
        cross[group.members] = turned @ group.Phi @ WZ
        scores[group.members] = (turned @ e[..., None])[..., 0]
        stacks.append(Stack(members=group.members, rows=group.rows, Z=Z, WZ=WZ, E=E))
    return Sandwich(
        method=method,
        model=model,
        clusters=names,
        cluster_of=cluster_of,
        beta=inverse_R @ theta,
        covariance=_from_coordinates(inverse_R, scores.T @ scores),
        model_covariance=_from_coordinates(inverse_R, inner),
        inverse_R=inverse_R,
        stacks=tuple(stacks),
        spread=spread,
        reach=reach,
        cross=None if model.weights is None else cross,
        inner=inner,
        residuals=residuals,
        adjusted=adjusted,
        alone=alone,
    )
