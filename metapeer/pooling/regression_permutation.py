"""Permutation tests of a meta-regression: what the statistics would be if moderators belonged to other studies."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from metapeer.pooling.regression import RegressionFit, linear_combinations, wald_test
from metapeer.pooling.weighted import FloatArray

__all__ = ["PermutationOutcome", "arrangements", "count_arrangements", "permute"]

Refit = Callable[[FloatArray, FloatArray], RegressionFit]
_TIE = math.sqrt(float(np.finfo(np.float64).eps))
"""Statistics closer than this, relative to their size, are the same one computed in another order."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PermutationOutcome:
    """What permutation found.

    Parameters
    ----------
    p_values : array of shape (p,)
        For each coefficient.
    omnibus_p : float
        For the omnibus test.
    exact : bool
        Whether all arrangements were tried.
    number : int
        Arrangements tried, the observed one among them.
    """

    p_values: FloatArray
    omnibus_p: float
    exact: bool
    number: int


def _codes(X: FloatArray) -> list[int]:
    """Number the rows of a design; equal rows get equal numbers."""
    _, codes = np.unique(X, axis=0, return_inverse=True)
    return [int(code) for code in codes.ravel()]


def count_arrangements(X: FloatArray) -> int:
    """Count the different ways to share out the rows of a design among the studies.

    Parameters
    ----------
    X : array of shape (k, p)
        Design matrix.

    Returns
    -------
    int
        ``k!`` over the factorials of how often each row repeats; ``2^k`` signs when all rows are equal.

    Examples
    --------
    >>> count_arrangements(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]))
    6
    """
    codes = _codes(X)
    if max(codes) == 0:
        return 1 << len(codes)
    ways: int = math.factorial(len(codes))
    for code in set(codes):
        ways //= math.factorial(codes.count(code))
    return ways


def arrangements(X: FloatArray) -> Iterator[NDArray[np.intp]]:
    """Give every different way to share out the rows of a design, each as row numbers.

    Parameters
    ----------
    X : array of shape (k, p)
        Design matrix with at least two different rows.

    Yields
    ------
    array of shape (k,)
        Which row each study gets; the first of equal rows stands for all.

    Examples
    --------
    >>> [order.tolist() for order in arrangements(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]))]
    [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    """
    codes = _codes(X)
    first = {code: codes.index(code) for code in codes}
    order = sorted(codes)
    while True:
        yield np.array([first[code] for code in order], dtype=np.intp)
        # The next permutation in lexicographic order (Knuth, The Art of Computer Programming 4A, algorithm 7.2.1.2 L).
        i = len(order) - 2
        while i >= 0 and order[i] >= order[i + 1]:
            i -= 1
        if i < 0:
            return
        j = len(order) - 1
        while order[j] <= order[i]:
            j -= 1
        order[i], order[j] = order[j], order[i]
        order[i + 1 :] = order[:i:-1]


def _samples(yi: FloatArray, X: FloatArray, number: int, seed: int | None) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Rearranged data: all of them when `seed` is None, otherwise `number` drawn at random."""
    signs = (X[0] == X).all()
    k = yi.size
    if seed is None:
        if signs:
            yield from ((yi * np.array(flip), X) for flip in product((1.0, -1.0), repeat=k))
        else:
            yield from ((yi, X[order]) for order in arrangements(X))
        return
    generator = np.random.default_rng(seed)
    for _ in range(number):
        if signs:
            yield yi * generator.choice((1.0, -1.0), k), X
        else:
            yield yi, X[generator.permutation(k)]


def _extremes(fit: RegressionFit, L: FloatArray) -> FloatArray:
    """Absolute test statistics, then the omnibus statistic; infinite where the standard error is zero."""
    alone = np.abs(linear_combinations(fit, np.eye(fit.beta.size), level=0.95).statistic)
    omnibus = wald_test(fit, L).statistic
    return np.asarray(np.nan_to_num(np.append(alone, omnibus), nan=math.inf))


def permute(
    refit: Refit, yi: FloatArray, X: FloatArray, tested: FloatArray, *, permutations: int, seed: int
) -> PermutationOutcome:
    """Compare the statistics of a fit with those of rearranged data.

    Parameters
    ----------
    refit : callable
        From effects and a design to a fit, sampling variances and tau2 taken care of.
    yi : array of shape (k,)
        Effects.
    X : array of shape (k, p)
        Design matrix. Its rows are shared out anew among the studies; when all are equal, the signs of the effects are
        turned instead.
    tested : array of shape (m, p)
        What the omnibus test compares with zero.
    permutations : int
        All arrangements are tried when there are no more than this; otherwise so many, of which the first is the data
        as they are and the others are drawn at random.
    seed : int
        Of the draws.

    Returns
    -------
    PermutationOutcome
        Two-sided p values.

    References
    ----------
    Higgins & Thompson (2004), Stat Med 23:1663-1682; Phipson & Smyth (2010), Stat Appl Genet Mol Biol 9:39 (the
    observed arrangement counts, so that p is never 0).
    """
    observed = _extremes(refit(yi, X), tested)
    bar = observed - _TIE * np.maximum(1.0, np.where(np.isfinite(observed), observed, 1.0))
    exact = count_arrangements(X) <= permutations
    reached = np.zeros(observed.size) if exact else np.ones(observed.size)
    number = 0 if exact else 1
    for effects, design in _samples(yi, X, permutations - 1, None if exact else seed):
        reached += _extremes(refit(effects, design), tested) >= bar
        number += 1
    shares = reached / number
    return PermutationOutcome(
        p_values=shares[:-1],
        omnibus_p=float(shares[-1]),
        exact=exact,
        number=number,
    )
