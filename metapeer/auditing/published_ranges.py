"""Ranges of unrounded numbers: what a print stands for, and what symmetric intervals and tests it allows."""

import math
from collections.abc import Sequence
from functools import lru_cache

from metapeer.auditing.rounding import Printed
from metapeer.pooling.intervals import two_sided_p

__all__ = ["Range", "meet", "miss", "p_range", "range_of", "statistic_range", "symmetric_region"]

Range = tuple[float, float]
_EDGE = 1e-9
"""Share of a rounding step by which ties and the last bits of a float are forgiven, as in `Printed.agrees`."""


def range_of(printed: Printed) -> Range:
    """Between which numbers a printed one was, before rounding; a tie may have gone either way.

    Parameters
    ----------
    printed : Printed
        The number.

    Returns
    -------
    tuple of float
        Lowest and highest.

    Examples
    --------
    >>> from metapeer.auditing.rounding import read_printed
    >>> low, high = range_of(read_printed("0.10"))
    >>> round(low, 6), round(high, 6)
    (0.095, 0.105)
    """
    low, high = printed.limits
    forgiven = _EDGE * printed.half_step + 2.0 * math.ulp(printed.value)
    return low - forgiven, high + forgiven


def meet(one: Range, other: Range) -> bool:
    """Tell whether two ranges have a number in common.

    Parameters
    ----------
    one, other : tuple of float
        Lowest and highest of each.

    Returns
    -------
    bool
        True when they do; a range with NaN meets nothing.

    Examples
    --------
    >>> meet((0.0, 1.0), (1.0, 2.0)), meet((0.0, 1.0), (1.1, 2.0))
    (True, False)
    """
    return one[0] <= other[1] and other[0] <= one[1]


def miss(printed: Printed, allowed: Range) -> float:
    """How far a printed number lies from what is allowed, in units of its last digit.

    Parameters
    ----------
    printed : Printed
        The number.
    allowed : tuple of float
        Lowest and highest.

    Returns
    -------
    float
        Distance from the nearest number that prints like it; 0 when it fits.

    Examples
    --------
    >>> from metapeer.auditing.rounding import read_printed
    >>> round(miss(read_printed("0.10"), (0.12, 0.2)), 2)
    1.5
    """
    low, high = range_of(printed)
    return max(0.0, allowed[0] - high, low - allowed[1]) / (2.0 * printed.half_step)


@lru_cache(maxsize=4096)
def symmetric_region(estimate: Range | None, low: Range, high: Range) -> tuple[tuple[float, float], ...]:
    """Corners of the region of estimates and half-widths whose interval lies within ranges for both limits.

    Parameters
    ----------
    estimate : tuple of float or None
        Range of the estimate; None when it was not printed.
    low, high : tuple of float
        Ranges of the limits.

    Returns
    -------
    tuple of (float, float)
        The corners; empty when there is no such estimate. The region is convex, so that linear functions, and ratios of
        them, have their extremes at corners.

    Examples
    --------
    >>> corners = symmetric_region((0.185, 0.195), (0.105, 0.115), (0.265, 0.275))
    >>> [round(min(h for _, h in corners), 4), round(max(h for _, h in corners), 4)]
    [0.075, 0.085]
    """
    # Lines a E + b H <= c.
    lines = [(1.0, -1.0, low[1]), (-1.0, 1.0, -low[0]), (1.0, 1.0, high[1]), (-1.0, -1.0, -high[0]), (0.0, -1.0, 0.0)]
    if estimate is not None:
        lines += [(1.0, 0.0, estimate[1]), (-1.0, 0.0, -estimate[0])]
    lines = [line for line in lines if math.isfinite(line[2])]
    size = max((abs(c) for _, _, c in lines), default=0.0)
    corners = []
    for i, (a, b, c) in enumerate(lines):
        for d, e, f in lines[:i]:
            determinant = a * e - b * d
            if determinant == 0.0:
                continue
            x, y = (c * e - b * f) / determinant, (a * f - c * d) / determinant
            if all(p * x + q * y <= r + 1e-13 * size for p, q, r in lines):
                corners.append((x, max(y, 0.0)))
    return tuple(corners)


def statistic_range(region: Sequence[tuple[float, float]]) -> Range:
    """Range of the absolute estimate over the half-width.

    Parameters
    ----------
    region : sequence of (float, float)
        Corners, from `symmetric_region`.

    Returns
    -------
    tuple of float
        Lowest and highest.

    Examples
    --------
    >>> statistic_range([(0.1, 0.2), (0.2, 0.2), (0.2, 0.1)])
    (0.5, 2.0)
    """
    ratios = [abs(x) / h if h > 0.0 else math.inf for x, h in region]
    crosses = min(x for x, _ in region) <= 0.0 <= max(x for x, _ in region)
    return (0.0 if crosses else min(ratios)), max(ratios)


def p_range(statistic: Range, df: float | None) -> Range:
    """Range of the two-sided p value over a range of absolute test statistics.

    Parameters
    ----------
    statistic : tuple of float
        Lowest and highest.
    df : float or None
        Degrees of freedom; None for the normal distribution.

    Returns
    -------
    tuple of float
        Lowest and highest.

    Examples
    --------
    >>> low, high = p_range((1.0, 2.0), None)
    >>> round(low, 4), round(high, 4)
    (0.0455, 0.3173)
    """
    return two_sided_p(statistic[1], df), two_sided_p(max(statistic[0], 0.0), df)
