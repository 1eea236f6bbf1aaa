"""Where an axis has ticks, and what is written at them."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from matplotlib.ticker import MaxNLocator

from metapeer.plots.cells import MINUS
from metapeer.plots.text import text_width

__all__ = ["tick_text", "ticks_within"]


def tick_text(values: Sequence[float], *, common: bool = True) -> list[str]:
    """Write tick labels with as many decimals as they need.

    Parameters
    ----------
    values : sequence of float
        As printed on the axis.
    common : bool, default True
        Whether all get the same decimals (an even scale) or each its own (a ratio scale).

    Returns
    -------
    list of str
        With true minus signs.

    Examples
    --------
    >>> tick_text([-0.5, 0, 0.5]), tick_text([0.25, 0.5, 1], common=False)
    (['−0.5', '0.0', '0.5'], ['0.25', '0.5', '1'])
    """
    gaps = [abs(b - a) for a, b in pairwise(sorted(values)) if b != a]

    def decimals(value: float) -> int:
        error = 1e-3 * min([*gaps, abs(value) or 1.0])
        return next((d for d in range(18) if abs(round(value, d) - value) <= error), 17)

    if any(value != 0 and not 1e-5 < abs(value) < 1e7 for value in values):
        return [f"{value:.12g}".replace("-", MINUS) for value in values]
    most = max(map(decimals, values), default=0)
    return [f"{value:.{most if common else decimals(value)}f}".replace("-", MINUS) for value in values]


def _ratio_candidates(low: float, high: float) -> Iterator[list[float]]:
    """Ratios that readers know, on a log axis from `low` to `high`: halves and doubles first."""
    twos = range(math.ceil(low / math.log(2)), math.floor(high / math.log(2)) + 1)
    decades = range(math.floor(low / math.log(10)), math.floor(high / math.log(10)) + 1)
    if twos and min(twos) >= -2 and max(twos) <= 4:  # 0.0625 and 32 are harder to read than 0.05 and 50
        yield [2.0**power for power in twos]
    if len(decades) <= 4:
        yield [float(f"{base}e{power}") for power in decades for base in (1, 2, 5)]
    for step in (1, 2, 3, 4, 5, 10, 20, 50, 100, 200):
        yield [float(f"1e{power}") for power in decades if power % step == 0]


def ticks_within(low: float, high: float, width: float, size: float, *, ratio: bool = False) -> list[float]:
    """Choose ticks for an axis from `low` to `high` whose labels do not touch.

    Parameters
    ----------
    low, high : float
        Ends of the axis; logarithms when `ratio`.
    width : float
        Of the axis, in points.
    size : float
        Of the labels, in points.
    ratio : bool, default False
        Whether the axis shows ratios on a log scale: then 0.25, 0.5, 1, 2, 4 or 0.1, 1, 10 rather than even steps.

    Returns
    -------
    list of float
        As printed on the axis: ratios when `ratio`.

    Examples
    --------
    >>> ticks_within(-1.5, 1.5, 180, 8, ratio=True)
    [0.25, 0.5, 1.0, 2.0, 4.0]
    >>> ticks_within(-0.4, 1.1, 180, 8)
    [-0.25, 0.0, 0.25, 0.5, 0.75, 1.0]
    """
    at = math.log if ratio else float

    def fits(values: list[float], fewest: int) -> bool:
        if not fewest <= len(values) <= 7:  # no more than an eye takes in
            return False
        labels = tick_text(values, common=not ratio)
        places = [(at(value) - low) / (high - low) * width for value in values]
        halves = [text_width(label, size) / 2 for label in labels]
        return len(set(labels)) == len(labels) and all(
            places[i + 1] - places[i] > halves[i] + halves[i + 1] + size / 2 for i in range(len(values) - 1)
        )

    if ratio:
        for values in _ratio_candidates(low, high):
            inside = [value for value in values if low <= math.log(value) <= high]
            if fits(inside, 3):
                return inside
    ends = (math.exp(low), math.exp(high)) if ratio else (low, high)
    for steps, fewest in ((5, 4), (6, 4), (7, 4), (5, 2), (4, 2), (3, 2), (2, 2), (1, 2), (5, 1)):
        even = MaxNLocator(nbins=steps, steps=[1, 2, 2.5, 5, 10]).tick_values(*ends)
        inside = [0.0 if abs(v) < 1e-9 * (ends[1] - ends[0]) else float(f"{v:.12g}") for v in even]
        inside = [v for v in inside if ends[0] <= v <= ends[1] and not (ratio and v <= 0)]
        if fits(inside, fewest):
            return inside
    if ratio:
        for values in _ratio_candidates(low, high):
            inside = [value for value in values if low <= math.log(value) <= high]
            if fits(inside, 1):
                return inside
    return []
