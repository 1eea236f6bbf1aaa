"""What a curve of specifications says: shares, vibration of effects, and which choice moves the estimate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from metapeer.pooling.weighted import FloatArray

__all__ = ["Vibration", "curve_anova", "supports", "vibration", "z_scores"]

IntArray = NDArray[np.intp]

_PERCENTILES = (0.01, 0.99)
"""Those of Patel, Burford and Ioannidis (2015)."""
_RANK = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Vibration:
    """How far estimates and p values spread over the specifications.

    Parameters
    ----------
    low, median, high : float
        1st percentile, median and 99th percentile of the estimates; of ratios on the log scale.
    spread : float
        `high` minus `low`.
    relative : float
        For ratios the 99th percentile over the 1st; NaN for differences, for which a ratio has no meaning.
    p_low, p_high : float
        1st and 99th percentile of -log10 p.
    p_spread : float
        `p_high` minus `p_low`.
    janus : bool
        Whether the 1st and the 99th percentile of the estimates lie on different sides of no effect.
    """

    low: float
    median: float
    high: float
    spread: float
    relative: float
    p_low: float
    p_high: float
    p_spread: float
    janus: bool


def vibration(estimate: FloatArray, p_value: FloatArray, *, ratio: bool) -> Vibration:
    """Measure the vibration of effects.

    Parameters
    ----------
    estimate, p_value : array of shape (n,)
        Of the different specifications.
    ratio : bool
        Whether estimates are logarithms of ratios.

    Returns
    -------
    Vibration
        Percentiles as numpy's default has them.

    References
    ----------
    Patel, Burford & Ioannidis (2015), J Clin Epidemiol 68:1046-1058.

    Examples
    --------
    >>> found = vibration(np.log([0.8, 1.0, 1.2]), np.array([0.01, 0.9, 0.04]), ratio=True)
    >>> round(found.relative, 2), found.janus
    (1.49, True)
    """
    low, high = (float(x) for x in np.quantile(estimate, _PERCENTILES))
    there = p_value[np.isfinite(p_value)]
    logs = -np.log10(np.maximum(there, np.finfo(float).tiny))
    p_low, p_high = (float(x) for x in np.quantile(logs, _PERCENTILES)) if logs.size else (math.nan, math.nan)
    return Vibration(
        low=low,
        median=float(np.median(estimate)),
        high=high,
        spread=high - low,
        relative=math.exp(high - low) if ratio else math.nan,
        p_low=p_low,
        p_high=p_high,
        p_spread=p_high - p_low,
        janus=low < 0 < high,
    )


def supports(ci_low: FloatArray, ci_high: FloatArray, claim: str) -> NDArray[np.bool_]:
    """Tell which specifications support a claim: their interval excludes no effect on the claimed side.

    Parameters
    ----------
    ci_low, ci_high : array
        Intervals.
    claim : {"positive", "negative", "nonzero"}
        The claim.

    Returns
    -------
    array of bool
        False where there is no interval.

    Examples
    --------
    >>> supports(np.array([0.1, -0.3, -0.2]), np.array([0.4, 0.2, -0.1]), "positive").tolist()
    [True, False, False]
    """
    above, below = ci_low > 0, ci_high < 0
    return np.asarray({"positive": above, "negative": below, "nonzero": above | below}[claim])


def z_scores(estimate: FloatArray, p_value: FloatArray) -> FloatArray:
    """Turn two-sided p values into z with the sign of the estimate; 0 where there is none.

    Parameters
    ----------
    estimate, p_value : array
        Of specifications.

    Returns
    -------
    array
        Normal deviates.
    """
    with np.errstate(invalid="ignore"):
        size = -ndtri(np.maximum(0.5 * p_value, np.finfo(float).tiny))
    return np.asarray(np.where(np.isfinite(size), np.sign(estimate) * size, 0.0))


def _counts(one: IntArray, many: int, two: IntArray, others: int) -> FloatArray:
    """Cross-tabulate two codes."""
    return np.bincount(one * others + two, minlength=many * others).reshape(many, others).astype(np.float64)


def _explained(gram: FloatArray, sums: FloatArray, n: int) -> float:
    """Sum of squares that dummy columns explain of a response with mean zero; columns may depend on one another.

    `gram` has the columns' products, `sums` the response summed over each column.
    """
    means = np.diagonal(gram) / n
    values, vectors = np.linalg.eigh(gram - n * np.outer(means, means))
    there = values > _RANK * max(float(values[-1]), 1e-300)
    return float(((vectors[:, there].T @ sums) ** 2 / values[there]).sum())


def curve_anova(options: IntArray, shape: Sequence[int], y: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Share out the variation of the estimates among the choices and pairs of choices.

    Parameters
    ----------
    options : array of int of shape (n, c)
        The option that each specification takes of each choice.
    shape : sequence of int of length c
        How many options each choice has.
    y : array of shape (n,)
        Estimates.

    Returns
    -------
    main : array of shape (c,)
        Eta squared of each choice: what it explains beyond all other choices, over the total.
    pairs : array of shape (c, c)
        Eta squared of the interaction of two choices: what their combinations explain beyond the main effects of all,
        over the total; symmetric, with NaN on the diagonal.
    rest : float
        What neither explains when the design is complete: interactions of three and more. Where specifications are
        missing, the parts overlap and need not add up.

    References
    ----------
    Fisher's analysis of variance, here a description: specifications are no sample, so that nothing is tested.

    Examples
    --------
    >>> grid = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> main, pairs, rest = curve_anova(grid, (2, 2), np.array([0.0, 1.0, 2.0, 3.0]))
    >>> main.round(3).tolist(), round(float(pairs[0, 1]), 3)
    ([0.8, 0.2], 0.0)
    """
    c = len(shape)
    centred = y - y.mean()
    total = float(centred @ centred)
    main, pairs = np.zeros(c), np.full((c, c), np.nan)
    scale = max(float(np.abs(y).max()), 1e-300)
    if total <= y.size * (1e-13 * scale) ** 2:
        pairs[~np.eye(c, dtype=np.bool_)] = 0.0
        return main, pairs, 0.0
    n = y.size
    codes = [np.ascontiguousarray(options[:, i]) for i in range(c)]
    gram = np.block([[_counts(codes[i], shape[i], codes[j], shape[j]) for j in range(c)] for i in range(c)])
    sums = np.concatenate([np.bincount(codes[i], centred, shape[i]) for i in range(c)])
    whole = _explained(gram, sums, n)
    edges = np.r_[0, np.cumsum(shape)]
    for i in range(c):
        others = np.r_[0 : edges[i], edges[i + 1] : edges[-1]]
        less = _explained(gram[np.ix_(others, others)], sums[others], n) if others.size else 0.0
        main[i] = max(0.0, whole - less) / total
    for i in range(c):
        for j in range(i):
            many = shape[i] * shape[j]
            cell = codes[i] * shape[j] + codes[j]
            beside = np.concatenate([_counts(cell, many, codes[m], shape[m]) for m in range(c)], axis=1)
            own = np.bincount(cell, minlength=many).astype(np.float64)
            larger = np.block([[gram, beside.T], [beside, np.diag(own)]])
            more = _explained(larger, np.concatenate([sums, np.bincount(cell, centred, many)]), n)
            pairs[i, j] = pairs[j, i] = max(0.0, more - whole) / total
    rest = max(0.0, 1.0 - float(main.sum()) - float(np.nansum(pairs)) / 2.0)
    return main, pairs, rest
