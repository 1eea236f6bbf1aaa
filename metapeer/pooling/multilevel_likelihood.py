"""Likelihood of effects whose covariance has many small blocks, with exact first and second derivatives.

Effects are ``y = X beta + random effects + sampling errors``. The covariance is block-diagonal once rows that share a
sampling error or a random effect stand together. Blocks of about one size are stacked and handled at once, so that the
cost grows with the number of blocks and nothing of the size of the table squared is ever made.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from metapeer.pooling.structures import Structure
from metapeer.pooling.weighted import FloatArray

__all__ = ["Block", "MixedModel", "Solution", "Term", "make_model"]

IntArray = NDArray[np.intp]
Block = tuple[IntArray, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Term:
    """Random effects of one kind.

    Parameters
    ----------
    outer : array of int, shape (k,)
        The group of each row: random effects of different groups are independent.
    inner : array of int, shape (k,)
        Which of the group's random effects the row has.
    structure : Structure
        Their covariance.
    """

    outer: IntArray
    inner: IntArray
    structure: Structure

    def reordered(self, first: Sequence[int]) -> "Term":
        """Put some levels first, without changing the model.

        Parameters
        ----------
        first : sequence of int
            The levels.

        Returns
        -------
        Term
            The same random effects with their levels in another order.
        """
        order = [*first, *(i for i in range(self.structure.q) if i not in first)]
        place = np.empty(len(order), dtype=np.intp)
        place[order] = np.arange(len(order))
        return replace(self, inner=place[self.inner])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stack:
    """Blocks of about one size, filled up with rows that carry nothing.

    `rows` holds positions, -1 where filled up; `pairs` holds for each term where in its matrix, laid out flat, each
    pair of rows finds its covariance: the last place, which is always zero, when the rows share no group.
    """

    rows: IntArray
    y: FloatArray
    X: FloatArray
    V: FloatArray
    pairs: tuple[IntArray, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """The model at given random-effects matrices.

    Parameters
    ----------
    value : float
        Log-likelihood, or restricted log-likelihood.
    beta : array of shape (p,)
        Coefficients by generalised least squares.
    covariance : array of shape (p, p)
        Their covariance.
    """

    value: float
    beta: FloatArray
    covariance: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedModel:
    """Effects, sampling covariances and random-effects terms, laid out for speed; from `make_model`.

    Parameters
    ----------
    k, p : int
        Rows and coefficients.
    terms : tuple of Term
        Random effects.
    restricted : bool
        Whether the likelihood is restricted (REML).
    stacks : tuple
        The blocks.
    constant : float
        Part of the log-likelihood that does not depend on the parameters.
    """

    k: int
    p: int
    terms: tuple[Term, ...]
    restricted: bool
    stacks: tuple[_Stack, ...]
    constant: float

    @property
    def size(self) -> int:
        """How many free parameters the random effects have."""
        return sum(term.structure.size for term in self.terms)

    def parts(self, free: FloatArray) -> list[FloatArray]:
        """Part the free parameters by term.

        Parameters
        ----------
        free : array of shape (size,)
            All free parameters.

        Returns
        -------
        list of array
            Those of each term.
        """
        ends = np.cumsum([term.structure.size for term in self.terms])
        return np.split(free, ends[:-1]) if self.terms else []

    def matrices(self, free: FloatArray) -> list[FloatArray]:
        """Make the covariance matrix of each term's random effects.

        Parameters
        ----------
        free : array of shape (size,)
            All free parameters.

        Returns
        -------
        list of array of shape (q, q)
            One for each term.
        """
        return [np.real(term.structure.matrix(part)) for term, part in zip(self.terms, self.parts(free), strict=True)]

    def _marginal(self, stack: _Stack, matrices: Sequence[FloatArray]) -> FloatArray:
        total = stack.V
        for pairs, matrix in zip(stack.pairs, matrices, strict=True):
            total = total + np.append(matrix.ravel(), 0.0)[pairs]
        return total

    def blocks(self, matrices: Sequence[FloatArray]) -> list[Block]:
        """Marginal covariance of the effects, block by block.

        Parameters
        ----------
        matrices : sequence of array
            From `matrices`.

        Returns
        -------
        list of (array of int, array)
            Positions of rows and their covariance.
        """
        found = []
        for stack in self.stacks:
            marginal = self._marginal(stack, matrices)
            for rows, block in zip(stack.rows, marginal, strict=True):
                m = int((rows >= 0).sum())
                found.append((rows[:m], block[:m, :m]))
        return found

    def solve(self, matrices: Sequence[FloatArray]) -> Solution:
        """Coefficients and log-likelihood at given random-effects matrices.

        Parameters
        ----------
        matrices : sequence of array
            From `matrices`.

        Returns
        -------
        Solution
            Without derivatives.
        """
        state = self._state(matrices)
        return Solution(value=state.value, beta=state.beta, covariance=state.C)

    def _state(self, matrices: Sequence[FloatArray]) -> "_State":
        log_det, information, score = 0.0, np.zeros((self.p, self.p)), np.zeros(self.p)
        weights, weighted = [], []
        for stack in self.stacks:
            marginal = self._marginal(stack, matrices)
            factor = np.linalg.cholesky(marginal)
            log_det += 2.0 * float(np.log(np.diagonal(factor, axis1=1, axis2=2)).sum())
            W = np.linalg.inv(marginal)
            W = 0.5 * (W + W.transpose(0, 2, 1))
            F = W @ stack.X
            weights.append(W)
            weighted.append(F)
            information += np.einsum("bmp,bmq->pq", stack.X, F)
            score += np.einsum("bmp,bm->p", F, stack.y)
        C = np.linalg.inv(information)
        C = 0.5 * (C + C.T)
        beta = np.asarray(np.linalg.solve(information, score), dtype=np.float64)
        residuals = []
        quadratic = 0.0
        for stack, W in zip(self.stacks, weights, strict=True):
            gap = stack.y - stack.X @ beta
            e = np.einsum("bmn,bn->bm", W, gap)
            quadratic += float(np.einsum("bm,bm->", gap, e))
            residuals.append(e)
        value = self.constant - 0.5 * (log_det + quadratic)
        if self.restricted:
            value -= 0.5 * float(np.linalg.slogdet(information)[1])
        return _State(value=value, beta=beta, C=C, W=weights, F=weighted, e=residuals)

    def surface(self, free: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log-likelihood with the coefficients at their best, its gradient and its Hessian.

        Parameters
        ----------
        free : array of shape (size,)
            All free parameters.

        Returns
        -------
        value : float
            Log-likelihood.
        gradient : array of shape (size,)
            First derivatives.
        hessian : array of shape (size, size)
            Second derivatives.

        References
        ----------
        Lindstrom & Bates (1988), J Am Stat Assoc 83:1014-1022; Harville (1977), J Am Stat Assoc 72:320-338.
        """
        parts = self.parts(free)
        try:
            state = self._state([np.real(t.structure.matrix(part)) for t, part in zip(self.terms, parts, strict=True)])
        except np.linalg.LinAlgError:  # so far out that rounding swallows the sampling variances
            return -math.inf, np.zeros(self.size), -np.eye(self.size)
        slopes = [term.structure.first_derivatives(part) for term, part in zip(self.terms, parts, strict=True)]
        # dl/dG for each term's matrix, whence every derivative follows by the chain rule.
        by_matrix = [np.zeros(term.structure.q**2 + 1) for term in self.terms]
        n = self.size
        traces, crossed = np.zeros((n, n)), np.zeros((n, n))
        through = np.zeros((n, self.p))
        between = np.zeros((n, self.p, self.p))
        second = np.zeros((n, n))
        for stack, W, F, e in zip(self.stacks, state.W, state.F, state.e, strict=True):
            slope = e[:, :, None] * e[:, None, :] - W
            if self.restricted:
                slope += (F @ state.C) @ F.transpose(0, 2, 1)
            for t, pairs in enumerate(stack.pairs):
                by_matrix[t] += np.bincount(pairs.ravel(), 0.5 * slope.ravel(), minlength=by_matrix[t].size)
            if not n:
                continue
            gathered = [
                np.concatenate([rows.reshape(len(rows), -1), np.zeros((len(rows), 1))], axis=1)[:, pairs]
                for pairs, rows in zip(stack.pairs, slopes, strict=True)
            ]
            K = np.concatenate(gathered)  # (n, blocks, m, m): how the covariance moves with each parameter
            WK = W @ K
            KF = K @ F
            Ke = np.einsum("rbmn,bn->rbm", K, e)
            through += np.einsum("bmp,rbm->rp", F, Ke)
            between += np.einsum("bmp,rbmq->rpq", F, KF, optimize=True)
            traces += WK.transpose(0, 1, 3, 2).reshape(n, -1) @ WK.reshape(n, -1).T
            crossed += Ke.reshape(n, -1) @ np.einsum("bmn,rbn->rbm", W, Ke).reshape(n, -1).T
            if self.restricted:
                second += (W @ KF @ state.C).reshape(n, -1) @ KF.reshape(n, -1).T
        hessian = np.zeros((n, n))
        gradient = np.zeros(n)
        at = 0
        for term, part, rows, matrix in zip(self.terms, parts, slopes, by_matrix, strict=True):
            q, size = term.structure.q, term.structure.size
            grid = matrix[:-1].reshape(q, q)
            gradient[at : at + size] = np.einsum("rab,ab->r", rows, grid)
            curves = term.structure.second_derivatives(part)
            hessian[at : at + size, at : at + size] = np.einsum("rsab,ab->rs", curves, grid)
            at += size
        if self.restricted:
            CB = state.C @ between
            traces += np.einsum("rpq,sqp->rs", CB, CB) - second - second.T
        hessian += 0.5 * traces - crossed + through @ state.C @ through.T
        return state.value, gradient, 0.5 * (hessian + hessian.T)

    def residuals(self, matrices: Sequence[FloatArray]) -> FloatArray:
        """Residuals times the inverse covariance: what every random effect is predicted from.

        Parameters
        ----------
        matrices : sequence of array
            From `matrices`.

        Returns
        -------
        array of shape (k,)
            ``inv(M) (y - X beta)``.
        """
        found = np.zeros(self.k)
        for stack, e in zip(self.stacks, self._state(matrices).e, strict=True):
            inside = stack.rows >= 0
            found[stack.rows[inside]] = e[inside]
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _State:
    value: float
    beta: FloatArray
    C: FloatArray
    W: list[FloatArray]
    F: list[FloatArray]
    e: list[FloatArray]


def _capacity(m: int) -> int:
    """Size that a block is filled up to: a few sizes only, so that stacks are tall and little is wasted."""
    if m <= 4:
        return m
    step: int = 1 << (m.bit_length() - 2)
    return -(-m // step) * step


def _components(k: int, blocks: Sequence[Block], terms: Sequence[Term]) -> IntArray:
    """Which rows hang together, through sampling errors or random effects."""
    heads: list[IntArray] = []
    tails: list[IntArray] = []
    for rows, _ in blocks:
        heads.append(np.full(rows.size - 1, rows[0], dtype=np.intp))
        tails.append(np.asarray(rows[1:], dtype=np.intp))
    for term in terms:
        order = np.argsort(term.outer, kind="stable")
        same = np.diff(term.outer[order]) == 0
        heads.append(order[:-1][same])
        tails.append(order[1:][same])
    head, tail = np.concatenate([*heads, np.empty(0, np.intp)]), np.concatenate([*tails, np.empty(0, np.intp)])
    graph = coo_array((np.ones(head.size), (head, tail)), shape=(k, k))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.intp)


def make_model(
    yi: FloatArray, X: FloatArray, blocks: Sequence[Block], terms: Sequence[Term], *, restricted: bool
) -> MixedModel:
    """Lay out effects, covariances and random effects in blocks.

    Parameters
    ----------
    yi : array of shape (k,)
        Effects.
    X : array of shape (k, p)
        Design matrix with orthonormal columns, which makes the restricted likelihood that of any design with the same
        columns space.
    blocks : sequence of (array of int, array)
        Sampling covariance: rows in ascending order, and their covariance; each row in exactly one block.
    terms : sequence of Term
        Random effects.
    restricted : bool
        Whether the likelihood is restricted.

    Returns
    -------
    MixedModel
        Ready to be maximised.

    Examples
    --------
    >>> import numpy as np
    >>> from metapeer.pooling.structures import make_structure
    >>> one = np.zeros(3, dtype=np.intp)
    >>> term = Term(outer=np.array([0, 0, 1]), inner=one, structure=make_structure("ID", 1))
    >>> V = [(np.array([i]), np.array([[0.02]])) for i in range(3)]
    >>> model = make_model(np.array([0.1, 0.3, 0.8]), np.ones((3, 1)) / 3**0.5, V, [term], restricted=True)
    >>> value, gradient, hessian = model.surface(np.array([0.2]))
    >>> round(value, 4)
    -0.7119
    """
    k, p = X.shape
    place = _components(k, blocks, terms)
    order = np.argsort(place, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(place[order])) + 1)
    by_capacity: dict[int, list[IntArray]] = {}
    for group in groups:
        by_capacity.setdefault(_capacity(group.size), []).append(np.asarray(np.sort(group), dtype=np.intp))
    where = np.empty((k, 3), dtype=np.intp)
    stacks = []
    for number, (m, members) in enumerate(sorted(by_capacity.items())):
        rows = np.full((len(members), m), -1, dtype=np.intp)
        for b, group in enumerate(members):
            rows[b, : group.size] = group
            where[group] = np.column_stack([np.full(group.size, number), np.full(group.size, b), np.arange(group.size)])
        inside = rows >= 0
        both = inside[:, :, None] & inside[:, None, :]
        V = np.zeros((len(members), m, m))
        V[:, np.arange(m), np.arange(m)] = np.where(inside, 0.0, 1.0)
        pairs = []
        for term in terms:
            outer, inner, q = term.outer[rows], term.inner[rows], term.structure.q
            same = both & (outer[:, :, None] == outer[:, None, :])
            pairs.append(np.asarray(np.where(same, inner[:, :, None] * q + inner[:, None, :], q * q), dtype=np.intp))
        stacks.append(
            _Stack(
                rows=rows,
                y=np.where(inside, yi[rows], 0.0),
                X=np.where(inside[:, :, None], X[rows], 0.0),
                V=V,
                pairs=tuple(pairs),
            )
        )
    for rows, covariance in blocks:
        number, b, _ = where[rows[0]]
        at = where[rows, 2]
        stacks[number].V[b, at[:, None], at[None, :]] = covariance
    df = k - p if restricted else k
    return MixedModel(
        k=k,
        p=p,
        terms=tuple(terms),
        restricted=restricted,
        stacks=tuple(stacks),
        constant=-0.5 * df * math.log(2.0 * math.pi),
    )
