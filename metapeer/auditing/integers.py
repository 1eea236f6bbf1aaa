"""What whole numbers allow: means, standard deviations and proportions that no set of scores can have.

References
----------
Brown & Heathers (2017), Social Psychological and Personality Science 8:363-369 (GRIM: means of whole numbers).
Anaya (2016), PeerJ Preprints 4:e2400v1 (GRIMMER: their standard deviations).
Allard (2018), Analytic-GRIMMER: a new way of testing the possibility of standard deviations (its closed form).
Heathers & Brown (2019), DEBIT: a simple consistency test for binary data (osf.io/5vb3u).
Bhatia & Davis (2000), American Mathematical Monthly 107:353-357 (largest variance between two bounds).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["debit", "grim", "grim_chance", "grimmer", "half_unit", "largest_sd", "sd_limits"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Sums are products of printed numbers: a few units in the last place of a double, with room to spare.
_SLACK = 1e-9
# A printed mean that leaves this many sums open, at a standard deviation that leaves open one whole number in none of
# them, does not occur: beyond, the numbers count as possible.
_MOST_SUMS = 400


def _floats(*values: Any) -> list[FloatArray]:
    return [np.array(x, np.float64) for x in np.broadcast_arrays(*(np.asarray(v, np.float64) for v in values))]


def half_unit(decimals: Any) -> FloatArray:
    """How far a printed number may lie from what was rounded.

    Parameters
    ----------
    decimals : array of shape (k,)
        Digits after the point; negative where unknown.

    Returns
    -------
    array of shape (k,)
        Half a unit of the last digit; infinite where the decimals are unknown.

    Examples
    --------
    >>> half_unit([2, 0, -1]).tolist()
    [0.005, 0.5, inf]
    """
    digits = np.asarray(decimals, np.float64)
    return np.where(digits < 0, np.inf, 0.5 * 10.0 ** -np.maximum(digits, 0))


def _sums(mean: FloatArray, units: FloatArray, half: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and highest whole sum of `units` scores whose mean is printed as `mean`."""
    slack = _SLACK * np.maximum(1.0, np.abs(mean * units))
    return np.ceil((mean - half) * units - slack), np.floor((mean + half) * units + slack)


def grim(mean: Any, n: Any, decimals: Any, *, items: Any = 1) -> BoolArray:
    """Whether whole numbers can have the printed mean (GRIM).

    Halves may have been rounded either way. What cannot be judged (a missing number, an `n` that is not whole) counts
    as possible.

    Parameters
    ----------
    mean : array of shape (k,)
        Means as printed.
    n : array of shape (k,)
        Participants.
    decimals : array of shape (k,)
        Decimals that the means were printed with; negative where unknown.
    items : array of shape (k,), default 1
        Whole-numbered items that were averaged into one score; 1 for single items and sums.

    Returns
    -------
    array of bool, shape (k,)
        False where no whole numbers have this mean.

    References
    ----------
    Brown & Heathers (2017), Social Psychological and Personality Science 8:363-369.

    Examples
    --------
    >>> grim([5.18, 5.19, 5.18], n=[28, 28, 14], decimals=2, items=[1, 1, 2]).tolist()
    [True, False, True]
    """
    m, people, digits, per = _floats(mean, n, decimals, items)
    with np.errstate(all="ignore"):
        low, high = _sums(m, people * per, half_unit(digits))
        judged = np.isfinite(m) & _whole(people) & _whole(per) & (digits >= 0)
        return ~judged | (low <= high)


def grim_chance(n: Any, decimals: Any, *, items: Any = 1) -> FloatArray:
    """Chance that a mean of numbers that are not whole passes `grim` by accident.

    Parameters
    ----------
    n, decimals, items : array of shape (k,)
        As for `grim`.

    Returns
    -------
    array of shape (k,)
        The share of printed values that whole numbers can have, at most 1; 1 where nothing is known.

    References
    ----------
    Brown & Heathers (2017), Social Psychological and Personality Science 8:363-369.

    Examples
    --------
    >>> grim_chance([28, 28, 250], decimals=[2, 1, 2]).tolist()
    [0.28, 1.0, 1.0]
    """
    people, digits, per = _floats(n, decimals, items)
    with np.errstate(all="ignore"):
        share = people * per * 2 * half_unit(digits)
        return np.where(np.isfinite(share) & (share > 0), np.minimum(share, 1.0), 1.0)


def _whole(x: FloatArray) -> BoolArray:
    return np.asarray(np.isfinite(x) & (x >= 1) & (x == np.floor(x)), np.bool_)


def grimmer(mean: Any, sd: Any, n: Any, decimals_mean: Any, decimals_sd: Any, *, items: Any = 1) -> BoolArray:
    """Whether whole numbers can have the printed mean and standard deviation together (GRIMMER).

    The squares of whole numbers add up to a whole number, which is even or odd as their sum is. Every sum that the
    printed mean allows is tried. Halves may have been rounded either way; what cannot be judged counts as possible.

    Parameters
    ----------
    mean, sd : array of shape (k,)
        Means and standard deviations (divisor n - 1) as printed.
    n : array of shape (k,)
        Participants, at least 2.
    decimals_mean, decimals_sd : array of shape (k,)
        Decimals that they were printed with; negative where unknown.
    items : array of shape (k,), default 1
        Whole-numbered items that were averaged into one score.

    Returns
    -------
    array of bool, shape (k,)
        False where no whole numbers have this mean and standard deviation.

    References
    ----------
    Anaya (2016), PeerJ Preprints 4:e2400v1. Allard (2018), Analytic-GRIMMER.

    Examples
    --------
    >>> sds, people = [1.6, 2.47, 2.55], [28, 18, 35]
    >>> grimmer([5.21, 3.44, 5.23], sd=sds, n=people, decimals_mean=2, decimals_sd=[1, 2, 2]).tolist()
    [True, False, False]
    """
    m, s, people, digits, digits_sd, per = _floats(mean, sd, n, decimals_mean, decimals_sd, items)
    with np.errstate(all="ignore"):
        half, half_sd = half_unit(digits), half_unit(digits_sd)
        judged = np.isfinite(m) & np.isfinite(s) & (s >= 0) & _whole(people) & (people >= 2) & _whole(per)
        judged &= (digits >= 0) & (digits_sd >= 0)
        # A person's score times the number of items is a whole number: work with those.
        first, last = _sums(m, people * per, half)
        low = (people - 1) * (np.maximum(s - half_sd, 0) * per) ** 2
        high = (people - 1) * ((s + half_sd) * per) ** 2
        possible = ~judged | (high - low >= 2) & (first <= last) | (last - first > _MOST_SUMS)
        for step in range(_MOST_SUMS + 1):
            total = first + step
            open_rows = ~possible & (total <= last)
            if not open_rows.any():
                break
            least = total**2 / people
            slack = _SLACK * np.maximum(1.0, least + high)
            parity = np.mod(total, 2)
            lowest = np.ceil((least + low - slack - parity) / 2) * 2 + parity
            possible |= open_rows & (lowest <= least + high + slack)
    return np.asarray(possible, np.bool_)


def largest_sd(mean: Any, n: Any, low: Any, high: Any, *, half: Any = 0.0) -> FloatArray:
    """No scores between two bounds, with a mean printed as this, have a larger standard deviation.

    Parameters
    ----------
    mean : array of shape (k,)
        Means.
    n : array of shape (k,)
        Participants, at least 2.
    low, high : array of shape (k,)
        Lowest and highest score.
    half : array of shape (k,), default 0
        How far the mean may lie from what was printed.

    Returns
    -------
    array of shape (k,)
        The bound sqrt(n/(n - 1) (high - m)(m - low)) at that m, within rounding, which lies nearest the middle of the
        range; NaN where the mean lies outside the range.

    References
    ----------
    Bhatia & Davis (2000), American Mathematical Monthly 107:353-357.

    Examples
    --------
    >>> largest_sd([4.0, 7.0], n=10, low=1, high=7).round(3).tolist()
    [3.162, 0.0]
    """
    m, people, a, b, room = _floats(mean, n, low, high, half)
    with np.errstate(all="ignore"):
        nearest = np.clip((a + b) / 2, m - room, m + room)
        spread = (b - nearest) * (nearest - a) * people / (people - 1)
        return np.sqrt(np.where((spread >= 0) & (people >= 2), spread, np.nan))


def sd_limits(mean: Any, n: Any, low: Any, high: Any, *, step: Any = 0.0) -> tuple[FloatArray, FloatArray]:
    """Smallest and largest standard deviation that scores with this mean can have, exactly.

    The smallest has all scores at the two steps beside the mean; the largest has all but at most one at the ends of the
    scale.

    Parameters
    ----------
    mean : array of shape (k,)
        Means; with a `step`, the nearest mean that is possible is taken.
    n : array of shape (k,)
        Participants, at least 2.
    low, high : array of shape (k,)
        Lowest and highest score.
    step : array of shape (k,), default 0
        From one possible score to the next: 1 for whole numbers, 1/items for averages of items, 0 for any number.

    Returns
    -------
    smallest, largest : array of shape (k,)
        NaN where the mean lies outside the range or cannot be judged.

    References
    ----------
    Heathers, Anaya, van der Zee & Brown (2018), PeerJ Preprints 6:e26968v1.

    Examples
    --------
    >>> [x.round(2).tolist() for x in sd_limits([4.2, 4.2], n=5, low=1, high=7, step=[1, 0.5])]
    [[0.45, 0.27], [3.03, 3.03]]
    """
    m, people, a, b, unit = _floats(mean, n, low, high, step)
    with np.errstate(all="ignore"):
        stepped = unit > 0
        total = (m - a) * people
        total = np.where(stepped, np.round(total / unit) * unit, total)
        judged = _whole(people) & (people >= 2) & (b > a) & (total >= 0) & (total <= (b - a) * people * (1 + 1e-12))
        centre = total / people
        beneath = np.floor(centre / unit + _SLACK) * unit
        share = np.clip((centre - beneath) / unit, 0, 1)
        least = np.where(stepped, people * unit**2 * share * (1 - share), 0.0)
        width = b - a
        full = np.floor(total / width + _SLACK)
        rest = np.maximum(total - full * width, 0)
        most = np.maximum(full * width**2 + rest**2 - people * centre**2, 0)
        smallest, largest = np.sqrt(least / (people - 1)), np.sqrt(most / (people - 1))
        return np.where(judged, smallest, np.nan), np.where(judged, largest, np.nan)


def debit(mean: Any, sd: Any, n: Any, decimals_mean: Any, decimals_sd: Any) -> BoolArray:
    """Whether scores of 0 and 1 can have the printed mean and standard deviation (DEBIT).

    Parameters
    ----------
    mean, sd : array of shape (k,)
        Proportions and standard deviations (divisor n - 1) as printed.
    n : array of shape (k,)
        Participants, at least 2.
    decimals_mean, decimals_sd : array of shape (k,)
        Decimals that they were printed with; negative where unknown.

    Returns
    -------
    array of bool, shape (k,)
        False where sqrt(n/(n - 1) p (1 - p)) is not the standard deviation for any p that rounds to the mean. What
        cannot be judged counts as possible.

    References
    ----------
    Heathers & Brown (2019), DEBIT: a simple consistency test for binary data (osf.io/5vb3u).

    Examples
    --------
    >>> debit([0.35, 0.35], sd=[0.18, 0.49], n=20, decimals_mean=2, decimals_sd=2).tolist()
    [False, True]
    """
    m, s, people, digits, digits_sd = _floats(mean, sd, n, decimals_mean, decimals_sd)
    with np.errstate(all="ignore"):
        half, half_sd = half_unit(digits), half_unit(digits_sd)
        judged = np.isfinite(m) & np.isfinite(s) & (people >= 2) & (digits >= 0) & (digits_sd >= 0)
        first, last = np.clip(m - half, 0, 1), np.clip(m + half, 0, 1)
        outside = (m + half < 0) | (m - half > 1)
        factor = people / (people - 1)
        middle = np.clip(0.5, first, last)
        lowest = np.sqrt(factor * np.minimum(first * (1 - first), last * (1 - last)))
        highest = np.sqrt(factor * middle * (1 - middle))
        inside = (s + half_sd >= lowest - _SLACK) & (s - half_sd <= highest + _SLACK)
    return np.asarray(~judged | (inside & ~outside), np.bool_)
