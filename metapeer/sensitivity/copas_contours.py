"""The line that crosses the contours of the adjusted estimate at right angles, along which Copas' model is told.

Over the two selection parameters, scaled to a unit square, lines of equal estimates are nearly straight and parallel.
The line perpendicular to them, from the corner where least is selected, passes through all estimates once.

References
----------
Carpenter, Schwarzer, Rücker & Künstler (2009), J Clin Epidemiol 62:624-631 (the R function ``copas``, whose contours,
regressions and weights are those here).
"""

import math
from dataclasses import dataclass

import numpy as np

from metapeer.pooling.weighted import FloatArray

__all__ = ["Contour", "Crossings", "contours", "crossings", "round_levels"]


def round_levels(low: float, high: float, number: int) -> FloatArray:
    """Round numbers that divide a range into about so many parts.

    Parameters
    ----------
    low, high : float
        The range, ``low < high``.
    number : int
        Parts wanted.

    Returns
    -------
    array
        Multiples of 1, 2 or 5 times a power of 10 that cover the range.

    References
    ----------
    Becker, Chambers & Wilks (1988), The New S Language (the function ``pretty``).

    Examples
    --------
    >>> round_levels(-0.711, -0.56, 10).round(2).tolist()
    [-0.72, -0.7, -0.68, -0.66, -0.64, -0.62, -0.6, -0.58, -0.56]
    """
    cell = (high - low) / number
    base = 10.0 ** math.floor(math.log10(cell))
    unit = base
    # The bias towards wider cells is that of S and R, so that the same levels come out.
    for step in (2.0, 5.0, 10.0):
        bias = 2.75 if step == 5.0 else 1.5
        if step * base - cell < bias * (cell - unit):
            unit = step * base
        else:
            break
    first, last = math.floor(low / unit + 1e-7), math.ceil(high / unit - 1e-7)
    return np.asarray(np.arange(first, last + 1) * unit, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Contour:
    """One connected line of equal estimates.

    Parameters
    ----------
    level : float
        The estimate.
    x, y : array of shape (n,)
        Points where it crosses the edges of the grid.
    """

    level: float
    x: FloatArray
    y: FloatArray


def contours(x: FloatArray, y: FloatArray, z: FloatArray, levels: FloatArray) -> list[Contour]:
    """Find where a surface on a grid takes given values.

    Parameters
    ----------
    x, y : array of shape (m,) and (n,)
        The grid, ascending.
    z : array of shape (m, n)
        The surface.
    levels : array
        Values wanted.

    Returns
    -------
    list of Contour
        Points on a line are interpolated along the edges of cells; lines that do not meet are separate.

    Examples
    --------
    >>> grid = np.array([0.0, 1.0])
    >>> [(line.x.tolist(), line.y.tolist()) for line in contours(grid, grid, np.add.outer(grid, grid), np.array([0.5]))]
    [([0.5, 0.0], [0.0, 0.5])]
    """
    found = []
    for level in levels.tolist():
        above = z > level
        points: dict[tuple[str, int, int], tuple[float, float]] = {}
        for i, j in np.argwhere(above[1:] != above[:-1]).tolist():
            share = (level - z[i, j]) / (z[i + 1, j] - z[i, j])
            points["x", i, j] = (float(x[i] + share * (x[i + 1] - x[i])), float(y[j]))
        for i, j in np.argwhere(above[:, 1:] != above[:, :-1]).tolist():
            share = (level - z[i, j]) / (z[i, j + 1] - z[i, j])
            points["y", i, j] = (float(x[i]), float(y[j] + share * (y[j + 1] - y[j])))
        found += [
            Contour(level, *(np.array([points[edge][axis] for edge in line]) for axis in (0, 1)))
            for line in _connected(points)
        ]
    return found


def _connected(points: dict[tuple[str, int, int], tuple[float, float]]) -> list[list[tuple[str, int, int]]]:
    """Group edges that are sides of one cell, and of the next."""
    cells: dict[tuple[int, int], list[tuple[str, int, int]]] = {}
    sides: dict[tuple[str, int, int], list[tuple[int, int]]] = {}
    for edge in points:
        kind, i, j = edge
        beside = [(i, j), (i, j - 1)] if kind == "x" else [(i, j), (i - 1, j)]
        sides[edge] = beside
        for cell in beside:
            cells.setdefault(cell, []).append(edge)
    left = dict.fromkeys(points)
    lines = []
    while left:
        line = [next(iter(left))]
        del left[line[0]]
        for edge in line:  # grows as it is walked
            for cell in sides[edge]:
                for other in cells[cell]:
                    if other in left:
                        del left[other]
                        line.append(other)
        lines.append(line)
    return lines


@dataclass(frozen=True, slots=True)
class Crossings:
    """Where the perpendicular line crosses the contours.

    Parameters
    ----------
    slope : float
        Of the line, in the unit square; NaN when no contour is straight enough to tell.
    x, y : array of shape (n,)
        Crossings inside the unit square.
    """

    slope: float
    x: FloatArray
    y: FloatArray


def crossings(lines: list[Contour]) -> Crossings:
    """Draw the line through the corner (1, 1) that is perpendicular to the contours on average.

    Parameters
    ----------
    lines : list of Contour
        In the unit square.

    Returns
    -------
    Crossings
        Each contour is replaced by its least-squares line; those that it fits (adjusted R² above 0) give the mean
        slope, with their numbers of points as weights.

    Examples
    --------
    >>> line = Contour(0.1, np.array([0.0, 0.25, 0.5]), np.array([0.5, 0.25, 0.0]))
    >>> found = crossings([line])
    >>> round(found.slope, 6), found.x.round(6).tolist(), found.y.round(6).tolist()
    (1.0, [0.25], [0.25])
    """
    slopes, intercepts, weights = [], [], []
    for line in lines:
        dx, dy = line.x - line.x.mean(), line.y - line.y.mean()
        sxx, sxy, syy = float(dx @ dx), float(dx @ dy), float(dy @ dy)
        if sxx <= 0.0:
            continue
        slope, n = sxy / sxx, line.x.size
        fits = n > 2 and syy > 0.0 and 1.0 - (1.0 - sxy * sxy / (sxx * syy)) * (n - 1) / (n - 2) > 0.0
        slopes.append(slope)
        intercepts.append(float(line.y.mean() - slope * line.x.mean()))
        weights.append(float(n) if fits else 0.0)
    total = sum(weights)
    mean = sum(w * s for w, s in zip(weights, slopes, strict=True)) / total if total else 0.0
    if mean == 0.0:
        return Crossings(math.nan, np.empty(0), np.empty(0))
    across = -1.0 / mean
    x = np.array([(1.0 - across - b) / (s - across) for s, b in zip(slopes, intercepts, strict=True) if s != across])
    y = 1.0 + across * (x - 1.0)
    inside = (x >= 0.0) & (x <= 1.0) & (y >= 0.0) & (y <= 1.0)
    return Crossings(across, x[inside], y[inside])
