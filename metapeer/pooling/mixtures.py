"""Mixtures of normal distributions: density, distribution, quantiles, mode and shortest interval, many at a time.

Given tau, every effect in a random-effects model is normal; over the posterior of tau it is a mixture of normals with
the weights of the quadrature. Rows are the mixtures, columns their components.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from metapeer.pooling.weighted import FloatArray

__all__ = ["Mixtures"]

_GRID = 65
"""Points of the table from which searches start; they need only be nearer to the answer than to a wrong one."""
_STEPS = 60
_TOLERANCE = 1e-13
_ROUNDING = 4 * float(np.finfo(np.float64).eps)
_BLOCK = 4_000_000  # components evaluated at a time: 32 MB
_PEAK = 1.0 / np.sqrt(2.0 * np.pi)


@dataclass(frozen=True, slots=True)
class Mixtures:
    """Several mixtures of as many normal distributions, with weights in common.

    Parameters
    ----------
    weights : array of shape (j,)
        Summing to one.
    means, sds : array of shape (m, j)
        Of the components.
    """

    weights: FloatArray
    means: FloatArray
    sds: FloatArray

    def block(self, rows: slice) -> "Mixtures":
        """Take some of the mixtures.

        Parameters
        ----------
        rows : slice
            Which.

        Returns
        -------
        Mixtures
            Those.
        """
        return Mixtures(self.weights, self.means[rows], self.sds[rows])

    def cdf(self, x: FloatArray) -> FloatArray:
        """Probability below.

        Parameters
        ----------
        x : array of shape (m, n)
            Points for each mixture.

        Returns
        -------
        array of shape (m, n)
            Between 0 and 1.
        """
        return np.asarray(ndtr(_standardise(self, x)) @ self.weights)

    def sf(self, x: FloatArray) -> FloatArray:
        """Probability above, with full relative accuracy where it is small.

        Parameters
        ----------
        x : array of shape (m, n)
            Points for each mixture.

        Returns
        -------
        array of shape (m, n)
            Between 0 and 1.
        """
        return np.asarray(ndtr(-_standardise(self, x)) @ self.weights)

    def densities(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Density, its slope and its curvature.

        Parameters
        ----------
        x : array of shape (m, n)
            Points for each mixture.

        Returns
        -------
        tuple of array of shape (m, n)
            The three.
        """
        z = _standardise(self, x)
        heights = np.exp(-0.5 * z * z) * (_PEAK * self.weights / self.sds)[:, None, :]
        slopes = -heights * z / self.sds[:, None, :]
        curvatures = heights * (z * z - 1.0) / (self.sds**2)[:, None, :]
        return heights.sum(axis=2), slopes.sum(axis=2), curvatures.sum(axis=2)

    def quantiles(self, p: FloatArray, start: FloatArray) -> FloatArray:
        """Points below which given probabilities lie, by Newton's method kept within brackets.

        Parameters
        ----------
        p : array of shape (n,)
            Probabilities.
        start : array of shape (m, n)
            Guesses.

        Returns
        -------
        array of shape (m, n)
            The quantiles.
        """
        x = start.copy()
        low, high = np.full_like(x, -np.inf), np.full_like(x, np.inf)
        step = np.broadcast_to(self.sds.min(axis=1)[:, None], x.shape).copy()
        for _ in range(4 * _STEPS):
            z = _standardise(self, x)
            miss = ndtr(z) @ self.weights - p
            slope = np.einsum("mnj,mj->mn", np.exp(-0.5 * z * z), _PEAK * self.weights / self.sds)
            low, high = np.where(miss < 0, x, low), np.where(miss > 0, x, high)
            with np.errstate(divide="ignore", invalid="ignore"):
                proposed = x - miss / slope
            bounded = np.isfinite(low) & np.isfinite(high)
            # Outside the bracket: halve it, or while one end is open walk towards it with growing steps.
            walk = x - np.sign(miss) * step
            inside = (proposed >= low) & (proposed <= high) & (bounded | (np.abs(proposed - x) <= step))
            with np.errstate(invalid="ignore"):
                middle = np.where(bounded, 0.5 * (low + high), walk)
            exact = np.abs(miss) <= _ROUNDING
            new = np.where(exact, x, np.where(inside, proposed, middle))
            step *= 2.0
            done = exact | (np.abs(new - x) <= _TOLERANCE * (np.abs(new) + self.sds.min(axis=1)[:, None]))
            x = new
            if done.all():
                break
        return x

    def summaries(self, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Median, mode and intervals.

        Parameters
        ----------
        level : float
            Of the intervals.

        Returns
        -------
        tuple of array of shape (m, 3), (m,) and (m, 2)
            Lower end, median and upper end of the equal-tailed interval; mode; ends of the shortest interval.
        """
        count, size = self.means.shape
        each = max(1, _BLOCK // (_GRID * size))
        parts = []
        p = np.array([0.5 - 0.5 * level, 0.5, 0.5 + 0.5 * level])
        for first in range(0, count, each):
            some = self.block(slice(first, first + each))
            x, below = _table(_coarse(some), level)
            start = np.array([np.interp(p, row, at) for row, at in zip(below, x, strict=True)])
            parts.append((some.quantiles(p, start), _modes(some, x), _shortest(some, x, below, level)))
        return (
            np.concatenate([part[0] for part in parts]),
            np.concatenate([part[1] for part in parts]),
            np.concatenate([part[2] for part in parts]),
        )


def _standardise(mixtures: Mixtures, x: FloatArray) -> FloatArray:
    return np.asarray((x[:, :, None] - mixtures.means[:, None, :]) / mixtures.sds[:, None, :])


def _coarse(mixtures: Mixtures) -> Mixtures:
    """Leave out components that no search for a start will miss."""
    few = mixtures.weights > 1e-7
    return Mixtures(mixtures.weights[few] / mixtures.weights[few].sum(), mixtures.means[:, few], mixtures.sds[:, few])


def _heights(mixtures: Mixtures, x: FloatArray) -> FloatArray:
    z = _standardise(mixtures, x)
    return np.asarray(np.einsum("mnj,mj->mn", np.exp(-0.5 * z * z), _PEAK * mixtures.weights / mixtures.sds))


def _table(mixtures: Mixtures, level: float) -> tuple[FloatArray, FloatArray]:
    """Points that cover each mixture to beyond its intervals, dense in the middle, and the CDF there."""
    order = np.argsort(mixtures.sds, axis=1)
    share = np.cumsum(mixtures.weights[order], axis=1)
    # A component wider than this one, and all that lies beyond 6 standard deviations, hold too little to matter.
    last = (share < 1.0 - 0.02 * (1.0 - level)).sum(axis=1).clip(max=mixtures.weights.size - 1)
    wide = np.take_along_axis(np.take_along_axis(mixtures.sds, order, axis=1), last[:, None], axis=1)
    centre = (mixtures.means @ mixtures.weights)[:, None]
    unit = np.exp(np.log(mixtures.sds) @ mixtures.weights)[:, None]
    shift = np.where(mixtures.weights > 1e-3 * (1.0 - level), np.abs(mixtures.means - centre), 0.0).max(axis=1)[:, None]
    reach = np.arcsinh((shift + 6.0 * wide) / unit)
    x = centre + unit * np.sinh(reach * np.linspace(-1.0, 1.0, _GRID))
    return x, mixtures.cdf(x)


def _modes(mixtures: Mixtures, table: FloatArray) -> FloatArray:
    """The highest point of each density."""
    best = _heights(_coarse(mixtures), table).argmax(axis=1).clip(1, _GRID - 2)
    rows = np.arange(best.size)
    low, high = table[rows, best - 1][:, None], table[rows, best + 1][:, None]
    x = table[rows, best][:, None]
    for _ in range(_STEPS):
        _, slope, curvature = mixtures.densities(x)
        low, high = np.where(slope > 0, x, low), np.where(slope < 0, x, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            proposed = x - slope / curvature
        inside = (curvature < 0) & (proposed >= low) & (proposed <= high)
        new = np.where(slope == 0, x, np.where(inside, proposed, 0.5 * (low + high)))
        done = np.abs(new - x) <= _TOLERANCE * (np.abs(new) + high - low)
        x = new
        if done.all():
            break
    return np.asarray(x[:, 0])


def _shortest(mixtures: Mixtures, table: FloatArray, below: FloatArray, level: float) -> FloatArray:
    """Ends of the shortest interval of each mixture: as high a density at one end as at the other."""
    ends = np.empty((len(table), 2))
    for row, (x, p) in enumerate(zip(table, below, strict=True)):
        first = p <= 1.0 - level
        if first.sum() < 2:
            ends[row] = np.interp([0.5 - 0.5 * level, 0.5 + 0.5 * level], p, x)
            continue
        upper = np.interp(p[first] + level, p, x, right=np.inf)
        i = int(np.argmin(upper - x[first]))
        ends[row] = x[first][i], upper[i]
    settled = np.zeros(len(ends), dtype=bool)
    for _ in range(_STEPS):
        f, slope, _ = mixtures.densities(ends)
        p = mixtures.cdf(ends)
        gap = p[:, 1] - p[:, 0] - level
        lean = f[:, 1] - f[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            # Newton for both equations at once; the determinant is positive at a minimum of the width.
            determinant = -f[:, 0] * slope[:, 1] + f[:, 1] * slope[:, 0]
            down = np.stack(
                [
                    (gap * slope[:, 1] - lean * f[:, 1]) / determinant,
                    (-f[:, 0] * lean + slope[:, 0] * gap) / determinant,
                ],
                axis=1,
            )
        width = (ends[:, 1] - ends[:, 0])[:, None]
        usable = np.isfinite(down).all(axis=1) & (determinant > 0)
        down = np.where(usable[:, None], np.clip(down, -0.25 * width, 0.25 * width), 0.0)
        ends = ends - down
        settled = usable & (np.abs(down) <= 1e-12 * (np.abs(ends) + width)).all(axis=1)
        if settled.all():
            break
    for row in np.flatnonzero(~settled).tolist():
        ends[row] = _shortest_by_search(mixtures.block(slice(row, row + 1)), table[row : row + 1], below[row], level)
    return np.asarray(ends)


def _shortest_by_search(mixtures: Mixtures, table: FloatArray, below: FloatArray, level: float) -> FloatArray:
    """Do the same for one mixture whose density is too odd for Newton: compare widths over ever finer grids."""
    low, high = 0.0, 1.0 - level
    ends = np.empty(2)
    for _ in range(12):
        p = np.linspace(low, high, 19)[1:-1]
        both = np.concatenate([p, p + level])
        x = mixtures.quantiles(both, np.interp(both, below, table[0])[None, :])[0]
        i = int(np.argmin(x[p.size :] - x[: p.size]))
        ends[:] = x[i], x[p.size + i]
        low, high = p[max(i - 1, 0)] if i else low, p[min(i + 1, p.size - 1)] if i < p.size - 1 else high
    return ends
