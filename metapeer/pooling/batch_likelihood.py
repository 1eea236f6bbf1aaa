"""Maximum likelihood and REML for many sets of effects at once: the global maximum of each, with its certificate.

The search is that of `metapeer.pooling.tau2_likelihood`, made for all sets together: between two values of tau2 the
score and its slope are bounded by differences of monotone terms, and intervals are divided until every one of them
holds no maximum, or one at most. Effects stand in arrays of shape (k, n), a column for each set, so that sums over
studies run along memory. An absent study has an infinite variance, hence no weight.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import FloatArray

__all__ = ["ManyMaxima", "centred", "dot_columns", "maximise_many", "without_absent"]

IntArray = NDArray[np.intp]

_EPS = float(np.finfo(np.float64).eps)
_CANCELS = 1e-3
"""A trace below this share of its terms has lost three digits; such a set is left to the slower single search."""
_NODES = 5
_ROUNDS = 40
_STEPS = 200


@dataclass(frozen=True, slots=True, eq=False)
class ManyMaxima:
    """Global maxima of the likelihoods of n sets.

    Parameters
    ----------
    tau2 : array of shape (n,)
        Where they lie.
    others : array of shape (n,)
        How many other local maxima each likelihood has.
    certified : array of bool of shape (n,)
        Whether it is proved, up to rounding, that none was missed.
    """

    tau2: FloatArray
    others: IntArray
    certified: NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class _Parts:
    """Twice the score is ``rise - fall``, twice its slope ``up - down``; each of the four falls as tau2 grows."""

    rise: FloatArray
    fall: FloatArray
    down: FloatArray
    up: FloatArray

    def take(self, index: "IntArray | NDArray[np.bool_]") -> "_Parts":
        return _Parts(self.rise[index], self.fall[index], self.down[index], self.up[index])


def without_absent(yi: FloatArray, vi: FloatArray, column: int) -> tuple[FloatArray, FloatArray]:
    """Take one set out of many, as the functions for a single set want it.

    Parameters
    ----------
    yi, vi : array of shape (k, n)
        Effects and sampling variances, infinite for an absent study.
    column : int
        Which set.

    Returns
    -------
    yi, vi : array of shape (k,)
        Of the studies that are there.
    """
    present = np.isfinite(vi[:, column])
    return yi[present, column], vi[present, column]


def centred(yi: FloatArray, vi: FloatArray) -> FloatArray:
    """Deviations of the effects from the plain mean of their set; zero for an absent study.

    Parameters
    ----------
    yi, vi : array of shape (k, n)
        Effects and sampling variances, infinite for an absent study.

    Returns
    -------
    array of shape (k, n)
        The deviations.
    """
    absent = np.isinf(vi)
    if not absent.any():
        return np.asarray(yi - np.asarray(np.add.reduce(yi, axis=0)) / yi.shape[0])
    kept = np.where(absent, 0.0, yi)
    mean = np.add.reduce(kept, axis=0) / (~absent).sum(axis=0)
    return np.asarray(np.where(absent, 0.0, kept - mean))


def dot_columns(a: FloatArray, b: FloatArray) -> FloatArray:
    """Column sums of products; no faster way without a temporary array is known.

    Parameters
    ----------
    a, b : array of shape (k, n)
        Factors.

    Returns
    -------
    array of shape (n,)
        The sums.
    """
    return np.asarray(np.einsum("ij,ij->j", a, b))


def _parts(residuals: FloatArray, vi: FloatArray, tau2: FloatArray, *, restricted: bool) -> tuple[_Parts, FloatArray]:
    """Evaluate the parts of the score, one tau2 a set, and the share of the traces that cancellation leaves."""
    w = vi + tau2
    np.divide(1.0, w, out=w)
    s1 = np.add.reduce(w, axis=0)
    u = residuals - dot_columns(w, residuals) / s1
    u *= w
    rise = dot_columns(u, u)
    wu = w * u
    through = np.add.reduce(wu, axis=0)
    down = 2.0 * (dot_columns(wu, u) - through * through / s1)
    s2 = dot_columns(w, w)
    if not restricted:
        return _Parts(rise, s1, down, s2), np.ones_like(s1)
    np.multiply(w, w, out=wu)
    ratio = s2 / s1
    fall, up = s1 - ratio, s2 - 2.0 * dot_columns(wu, w) / s1 + ratio * ratio
    return _Parts(rise, fall, down, up), np.minimum(fall / s1, up / s2)


def _upper_bounds(residuals: FloatArray, vi: FloatArray) -> FloatArray:
    """Values of tau2 above which no likelihood has a maximum; derived in `metapeer.pooling.tau2_likelihood`."""
    low = vi.min(axis=0)
    present = np.isfinite(vi)
    high = np.where(present, vi, 0.0).max(axis=0)
    df = present.sum(axis=0) - 1.0
    s = dot_columns(residuals, residuals)
    bound = (s + np.sqrt(s * s + 4.0 * df * s * (high - low))) / (2.0 * df) - low
    # Deviations from a mean lie on both sides of zero, so that the zeros of absent studies do not widen their range.
    return np.asarray(np.minimum(bound, 0.5 * (residuals.max(axis=0) - residuals.min(axis=0)) ** 2 - low))


def _refine(
    residuals: FloatArray, vi: FloatArray, low: FloatArray, high: FloatArray, start: FloatArray, *, restricted: bool
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Solve score = 0 between `low` (positive score) and `high` (negative score), one bracket a column."""
    m = start.size
    found, settled = start.copy(), np.zeros(m, dtype=np.bool_)
    active = np.arange(m)
    tau2, blur = start.copy(), vi.min(axis=0)
    for _ in range(_STEPS):
        if not active.size:
            break
        at, _ = _parts(residuals, vi, tau2, restricted=restricted)
        value, slope = at.rise - at.fall, at.up - at.down
        positive = value > 0
        low, high = np.where(positive, tau2, low), np.where(positive, high, tau2)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            proposed = np.where(slope < 0, tau2 - value / slope, np.inf)
        outside = ~((low <= proposed) & (proposed <= high))
        proposed = np.where(outside, 0.5 * (low + high), proposed)
        # Newton's error is squared with each step: after one that short, what remains is rounding.
        enough = np.where(outside, _EPS * blur, 1e-9 * (tau2 + blur))
        done = (np.abs(proposed - tau2) <= enough) | (high - low <= 4 * _EPS * high)
        tau2 = proposed
        found[active] = tau2
        if done.any():
            settled[active[done]] = True
            going = np.flatnonzero(~done)
            active, tau2, low, high, blur = active[going], tau2[going], low[going], high[going], blur[going]
            residuals, vi = residuals[:, going], vi[:, going]
    return found, settled


def _heights(residuals: FloatArray, vi: FloatArray, tau2: FloatArray, *, restricted: bool) -> FloatArray:
    """Log-likelihoods, one tau2 a column, up to a constant of the set."""
    w = 1.0 / (vi + tau2)
    s1 = np.add.reduce(w, axis=0)
    u = residuals - dot_columns(w, residuals) / s1
    logs = np.log(w, out=np.zeros_like(w), where=w > 0).sum(axis=0)
    value = 0.5 * (logs - dot_columns(w, u * u))
    return np.asarray(value - 0.5 * np.log(s1) if restricted else value)


@dataclass(slots=True, eq=False)
class _Brackets:
    """Intervals with one maximum each: a positive score at `low`, none or a negative one at `high`."""

    sets: IntArray
    low: FloatArray
    high: FloatArray
    start: FloatArray


@dataclass(slots=True, eq=False)
class _Intervals:
    """Intervals of tau2 with the parts of the score at both ends; `sets` says to which column each belongs."""

    sets: IntArray
    low: FloatArray
    high: FloatArray
    left: _Parts
    right: _Parts

    def sort_out(self) -> "tuple[_Brackets, _Intervals]":
        """Say which intervals hold just one maximum, and which are unsettled."""
        left, right = self.left, self.right
        possible = (left.rise >= right.fall) & (right.rise <= left.fall)
        falls = right.down > left.up
        score, score_right = left.rise - left.fall, right.rise - right.fall
        one = np.flatnonzero(possible & falls & (score > 0.0) & (score_right <= 0.0))
        low, high, score = self.low[one], self.high[one], score[one]
        start = low + (high - low) * score / (score - score_right[one])
        rest = np.flatnonzero(possible & ~falls & (left.down >= right.up))
        return _Brackets(self.sets[one], low, high, start), _Intervals(
            self.sets[rest], self.low[rest], self.high[rest], left.take(rest), right.take(rest)
        )


def _join(*parts: _Parts) -> _Parts:
    return _Parts(
        np.concatenate([part.rise for part in parts]),
        np.concatenate([part.fall for part in parts]),
        np.concatenate([part.down for part in parts]),
        np.concatenate([part.up for part in parts]),
    )


def _gather(items: list[_Intervals]) -> _Intervals:
    return _Intervals(
        np.concatenate([item.sets for item in items]),
        np.concatenate([item.low for item in items]),
        np.concatenate([item.high for item in items]),
        _join(*(item.left for item in items)),
        _join(*(item.right for item in items)),
    )


def _halve(
    open_: _Intervals, residuals: FloatArray, vi: FloatArray, smallest: FloatArray, *, restricted: bool
) -> _Intervals:
    """Divide each interval in the middle of log(tau2 + min(vi))."""
    least = smallest[open_.sets]
    middle = np.sqrt((open_.low + least) * (open_.high + least)) - least
    middle = np.clip(middle, open_.low, open_.high)
    at, _ = _parts(residuals[:, open_.sets], vi[:, open_.sets], middle, restricted=restricted)
    return _Intervals(
        np.concatenate([open_.sets, open_.sets]),
        np.concatenate([open_.low, middle]),
        np.concatenate([middle, open_.high]),
        _join(open_.left, at),
        _join(at, open_.right),
    )


def maximise_many(yi: FloatArray, vi: FloatArray, *, restricted: bool) -> ManyMaxima:
    """Find the global maximum of the (restricted) likelihood of tau2 on [0, inf) for every set.

    Parameters
    ----------
    yi, vi : array of shape (k, n)
        Effects and their sampling variances, a column for each set; infinite for an absent study. Each set has at
        least two studies.
    restricted : bool
        True for REML, False for ML.

    Returns
    -------
    ManyMaxima
        What `metapeer.pooling.tau2_likelihood.maximise` finds for each set alone, up to rounding.

    Raises
    ------
    ConvergenceError
        If a likelihood has no maximum that double precision can show.

    Examples
    --------
    >>> yi = np.array([[0.1, 1.19], [0.3, -18.05], [0.8, 0.07]])
    >>> vi = np.array([[0.02, 0.803], [0.03, 55.385], [0.04, 0.102]])
    >>> found = maximise_many(yi, vi, restricted=True)
    >>> found.tau2.round(4).tolist(), found.others.tolist()
    ([0.0949, 0.0911], [0, 1])
    """
    n = yi.shape[1]
    residuals = centred(yi, vi)
    upper = _upper_bounds(residuals, vi)
    tau2, others, certified = np.zeros(n), np.zeros(n, dtype=np.intp), np.ones(n, dtype=np.bool_)
    wanted = np.flatnonzero(upper > 0)
    if not wanted.size:
        return ManyMaxima(tau2, others, certified)
    if wanted.size < n:
        residuals, vi_open, upper = residuals[:, wanted], vi[:, wanted], upper[wanted]
    else:
        vi_open = vi
    peaks, at, single = _search(residuals, vi_open, upper * (1.0 + 1e-6), restricted=restricted)
    order = np.argsort(peaks, kind="stable")
    peaks, at = peaks[order], at[order]
    best, counts = np.zeros(wanted.size), np.bincount(peaks, minlength=wanted.size)
    best[peaks] = at
    several = counts > 1
    if several.any():
        rivals = several[peaks]
        who, where = peaks[rivals], at[rivals]
        heights = _heights(residuals[:, who], vi_open[:, who], where, restricted=restricted)
        ranked = np.lexsort((-where, heights, who))  # of equal heights the smaller tau2 comes last, and stays
        best[who[ranked]] = where[ranked]
    tau2[wanted], others[wanted] = best, np.maximum(counts - 1, 0)
    for column in wanted[single | (counts == 0)].tolist():
        alone = maximise(*without_absent(yi, vi, column), restricted=restricted)
        tau2[column], others[column], certified[column] = alone.tau2, len(alone.others), alone.certified
    return ManyMaxima(tau2, others, certified)


def _search(
    residuals: FloatArray, vi: FloatArray, upper: FloatArray, *, restricted: bool
) -> tuple[IntArray, FloatArray, NDArray[np.bool_]]:
    """Find all maxima: to which set each belongs, where it lies, and which sets need the single search instead."""
    n = upper.size
    smallest = vi.min(axis=0)
    span = np.log1p(upper / smallest)
    single = np.zeros(n, dtype=np.bool_)
    everyone = np.arange(n)
    peaks, places = [], []
    brackets: list[_Brackets] = []
    before, nodes_before = None, np.zeros(n)
    unsettled: list[_Intervals] = []
    for step in range(_NODES):
        nodes = smallest * np.expm1(span * (step / (_NODES - 1)))
        at, left_over = _parts(residuals, vi, nodes, restricted=restricted)
        if before is None:
            single = ~(left_over > _CANCELS)
            flat = at.rise <= at.fall
            peaks.append(everyone[flat])
            places.append(np.zeros(int(flat.sum())))
        else:
            one, rest = _Intervals(everyone, nodes_before, nodes, before, at).sort_out()
            brackets.append(one)
            unsettled.append(rest)
        before, nodes_before = at, nodes
    halved = _gather(unsettled)
    for _ in range(_ROUNDS):
        if not halved.sets.size:
            break
        one, halved = _halve(halved, residuals, vi, smallest, restricted=restricted).sort_out()
        brackets.append(one)
    single[halved.sets] = True
    sets, low, high, start = (np.concatenate([getattr(one, name) for one in brackets]) for name in _Brackets.__slots__)
    tau2, settled = _refine(residuals[:, sets], vi[:, sets], low, high, start, restricted=restricted)
    single[sets[~settled]] = True
    return np.concatenate([*peaks, sets]), np.concatenate([*places, tau2]), single
