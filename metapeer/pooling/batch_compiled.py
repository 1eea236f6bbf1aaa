"""The search for maxima of a likelihood of tau2, set by set and compiled by numba, for those who have it installed.

The mathematics is that of `metapeer.pooling.tau2_likelihood` and `metapeer.pooling.batch_likelihood`; only the loops
differ. A set that needs more care than plain sums give is marked, and left to the single search.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

from metapeer.pooling.weighted import FloatArray

__all__ = ["maximise_rows"]

Row = FloatArray
Five = tuple[float, float, float, float, float]

_EPS = 2.0**-52
_CANCELS = 1e-3
_NODES = 6
_STACK = 256
_STEPS = 200
_PEAKS = 16
_FAST = {"reassoc", "contract", "nsz"}
"""Sums may be reordered, which lets several studies be added at once; NaN and infinity keep their meaning."""


@numba.njit(cache=True, nogil=True, fastmath=_FAST, inline="always")
def _parts(r: Row, v: Row, k: int, tau2: float, restricted: bool, w: Row) -> Five:
    """Give rise, fall, down, up, as `metapeer.pooling.batch_likelihood` has them, and what cancellation leaves."""
    s1 = 0.0
    s2 = 0.0
    s3 = 0.0
    wr = 0.0
    for i in range(k):
        x = 1.0 / (v[i] + tau2)
        w[i] = x
        s1 += x
        s2 += x * x
        s3 += x * x * x
        wr += x * r[i]
    mean = wr / s1
    rise = 0.0
    down = 0.0
    through = 0.0
    for i in range(k):
        u = w[i] * (r[i] - mean)
        rise += u * u
        through += w[i] * u
        down += w[i] * u * u
    down = 2.0 * (down - through * through / s1)
    if not restricted:
        return rise, s1, down, s2, 1.0
    ratio = s2 / s1
    fall = s1 - ratio
    up = s2 - 2.0 * s3 / s1 + ratio * ratio
    return rise, fall, down, up, min(fall / s1, up / s2)


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _root(
    r: Row, v: Row, k: int, low: float, high: float, start: float, blur: float, restricted: bool, w: Row
) -> float:
    """Solve score = 0 by Newton with bisection; NaN if it does not settle."""
    tau2 = start
    for _ in range(_STEPS):
        rise, fall, down, up, _left = _parts(r, v, k, tau2, restricted, w)
        value = rise - fall
        slope = up - down
        if value > 0.0:
            low = tau2
        else:
            high = tau2
        proposed = tau2 - value / slope if slope < 0.0 else math.inf
        enough = 1e-9 * (tau2 + blur)
        if not (low <= proposed <= high):
            proposed = 0.5 * (low + high)
            enough = _EPS * blur
        if abs(proposed - tau2) <= enough or high - low <= 4.0 * _EPS * high:
            return proposed
        tau2 = proposed
    return math.nan


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _height(r: Row, v: Row, k: int, tau2: float, restricted: bool, w: Row) -> float:
    """Give the log-likelihood at one tau2, up to a constant of the set."""
    s1 = 0.0
    wr = 0.0
    logs = 0.0
    for i in range(k):
        x = 1.0 / (v[i] + tau2)
        w[i] = x
        s1 += x
        wr += x * r[i]
        logs += math.log(x)
    mean = wr / s1
    q = 0.0
    for i in range(k):
        q += w[i] * (r[i] - mean) ** 2
    value = 0.5 * (logs - q)
    return value - 0.5 * math.log(s1) if restricted else value


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _search(
    r: Row,
    v: Row,
    k: int,
    smallest: float,
    upper: float,
    restricted: bool,
    w: Row,
    ends: Row,
    sides: Row,
    peaks: Row,
) -> int:
    """Write all maxima of one set into `peaks`; return their number, or -1 if the set needs the single search."""
    found = 0
    span = math.log1p(upper / smallest)
    low = 0.0
    a_rise, a_fall, a_down, a_up, left = _parts(r, v, k, 0.0, restricted, w)
    if not left > _CANCELS:
        return -1
    if a_rise <= a_fall:
        peaks[0] = 0.0
        found = 1
    for step in range(1, _NODES):
        high = smallest * math.expm1(span * step / (_NODES - 1))
        b_rise, b_fall, b_down, b_up, left = _parts(r, v, k, high, restricted, w)
        ends[0, 0] = low
        ends[0, 1] = high
        sides[0, 0], sides[0, 1], sides[0, 2], sides[0, 3] = a_rise, a_fall, a_down, a_up
        sides[0, 4], sides[0, 5], sides[0, 6], sides[0, 7] = b_rise, b_fall, b_down, b_up
        depth = 1
        while depth > 0:
            depth -= 1
            p, q = ends[depth, 0], ends[depth, 1]
            p_rise, p_fall, p_down, p_up = sides[depth, 0], sides[depth, 1], sides[depth, 2], sides[depth, 3]
            q_rise, q_fall, q_down, q_up = sides[depth, 4], sides[depth, 5], sides[depth, 6], sides[depth, 7]
            if p_rise < q_fall or q_rise > p_fall:
                continue
            if q_down > p_up:
                before, after = p_rise - p_fall, q_rise - q_fall
                if before > 0.0 and after <= 0.0:
                    start = p + (q - p) * before / (before - after)
                    peak = _root(r, v, k, p, q, start, smallest, restricted, w)
                    if not peak >= 0.0 or found == _PEAKS:
                        return -1
                    peaks[found] = peak
                    found += 1
            elif p_down >= q_up:
                middle = min(max(math.sqrt((p + smallest) * (q + smallest)) - smallest, p), q)
                if depth + 2 > _STACK or middle in (p, q):
                    return -1
                m_rise, m_fall, m_down, m_up, left = _parts(r, v, k, middle, restricted, w)
                ends[depth, 0], ends[depth, 1] = p, middle
                sides[depth, 0], sides[depth, 1], sides[depth, 2], sides[depth, 3] = p_rise, p_fall, p_down, p_up
                sides[depth, 4], sides[depth, 5], sides[depth, 6], sides[depth, 7] = m_rise, m_fall, m_down, m_up
                depth += 1
                ends[depth, 0], ends[depth, 1] = middle, q
                sides[depth, 0], sides[depth, 1], sides[depth, 2], sides[depth, 3] = m_rise, m_fall, m_down, m_up
                sides[depth, 4], sides[depth, 5], sides[depth, 6], sides[depth, 7] = q_rise, q_fall, q_down, q_up
                depth += 1
        low, a_rise, a_fall, a_down, a_up = high, b_rise, b_fall, b_down, b_up
    return found


@numba.njit(cache=True, nogil=True, fastmath=_FAST)
def _maximise_rows(
    yi: Row, vi: Row, sizes: NDArray[np.intp], restricted: bool, tau2: Row, others: NDArray[np.intp]
) -> None:
    width = yi.shape[1]
    r = np.empty(width)
    w = np.empty(width)
    ends = np.empty((_STACK + 2, 2))
    sides = np.empty((_STACK + 2, 8))
    peaks = np.empty(_PEAKS)
    for row in range(yi.shape[0]):
        k = sizes[row]
        v = vi[row]
        mean = 0.0
        for i in range(k):
            mean += yi[row, i]
        mean /= k
        s = 0.0
        smallest = math.inf
        largest = 0.0
        first = math.inf
        last = -math.inf
        for i in range(k):
            x = yi[row, i] - mean
            r[i] = x
            s += x * x
            smallest = min(smallest, v[i])
            largest = max(largest, v[i])
            first = min(first, x)
            last = max(last, x)
        df = k - 1.0
        upper = (s + math.sqrt(s * s + 4.0 * df * s * (largest - smallest))) / (2.0 * df) - smallest
        upper = min(upper, 0.5 * (last - first) ** 2 - smallest)
        tau2[row] = 0.0
        others[row] = 0
        if upper <= 0.0:
            continue
        found = _search(r, v, k, smallest, upper * (1.0 + 1e-6), restricted, w, ends, sides, peaks)
        if found < 1:
            others[row] = -1
            continue
        best = 0
        if found > 1:
            height = _height(r, v, k, peaks[0], restricted, w)
            for j in range(1, found):
                rival = _height(r, v, k, peaks[j], restricted, w)
                if rival > height or (rival == height and peaks[j] < peaks[best]):
                    best, height = j, rival
        tau2[row] = peaks[best]
        others[row] = found - 1


def maximise_rows(
    yi: FloatArray, vi: FloatArray, sizes: NDArray[np.intp], *, restricted: bool
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Find the global maximum of the (restricted) likelihood of tau2 on [0, inf) for every row.

    Parameters
    ----------
    yi, vi : array of shape (n, k)
        Effects and their sampling variances, a row for each set, studies that are there first.
    sizes : array of int of shape (n,)
        Number of studies of each set, at least two.
    restricted : bool
        True for REML, False for ML.

    Returns
    -------
    tau2 : array of shape (n,)
        Where the maxima lie.
    others : array of int of shape (n,)
        How many other local maxima there are; -1 where the set needs the single search instead.
    """
    tau2, others = np.empty(yi.shape[0]), np.empty(yi.shape[0], dtype=np.intp)
    _maximise_rows(yi, vi, sizes, restricted, tau2, others)
    return tau2, others
