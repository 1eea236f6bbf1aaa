"""Kendall's rank correlation: tau, the exact distribution of its score, and the normal approximation with ties."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from metapeer.pooling.weighted import FloatArray

__all__ = ["EXACT_LIMIT", "RankCorrelation", "exact_tail", "rank_correlation"]

EXACT_LIMIT = 500
"""Studies up to which the exact distribution is computed; beyond it the normal one is right to four digits."""

_ROWS = 500
"""Studies that are compared with all others at once, to bound the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCorrelation:
    """Kendall's rank correlation and its test.

    Parameters
    ----------
    tau : float
        Kendall's tau-b.
    score, score_se : float
        Concordant less discordant pairs, and its standard error if there is no correlation, allowing for ties.
    statistic : float
        Score over its standard error, as corrected; NaN where the p value is exact.
    p_value : float
        Two-sided.
    method : str
        How the p value was found: "exact", "normal" or "normal_cc".
    """

    tau: float
    score: float
    score_se: float
    statistic: float
    p_value: float
    method: str


def exact_tail(inversions: int, k: int) -> float:
    """Probability that a random order of k things has at most so many inversions.

    Parameters
    ----------
    inversions : int
        Pairs in the wrong order.
    k : int
        Things.

    Returns
    -------
    float
        The probability.

    References
    ----------
    Kendall (1938), Biometrika 30:81-93.

    Examples
    --------
    >>> exact_tail(0, 3) * 6, exact_tail(1, 3) * 6
    (1.0, 3.0)
    """
    if inversions < 0:
        return 0.0
    share = np.ones(1)
    for size in range(2, k + 1):
        # The next thing stands before 0 to size - 1 of the others, each as likely.
        sums = np.concatenate([np.zeros(size), np.cumsum(share), np.full(size - 1, share.sum())])
        share = (sums[size:] - sums[:-size]) / size
    return float(share[: inversions + 1].sum())


def _ties(values: FloatArray) -> FloatArray:
    return np.unique(values, return_counts=True)[1].astype(np.float64)


def rank_correlation(x: FloatArray, y: FloatArray, *, method: str) -> RankCorrelation:
    """Correlate two orders.

    Parameters
    ----------
    x, y : array of shape (k,)
        Values to be ranked; neither is the same throughout.
    method : {"exact", "normal", "normal_cc"}
        Where the p value comes from; "normal_cc" subtracts 1 from the size of the score. With ties, or more studies
        than `EXACT_LIMIT`, "exact" becomes "normal".

    Returns
    -------
    RankCorrelation
        With the method that was used.

    References
    ----------
    Kendall & Gibbons (1990), Rank Correlation Methods, 5th edition.

    Examples
    --------
    >>> found = rank_correlation(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 1.0, 3.0, 4.0]), method="exact")
    >>> round(found.tau, 4), round(found.p_value, 4)
    (0.6667, 0.3333)
    """
    k = x.size
    score = 0.0
    for start in range(0, k, _ROWS):
        rows = slice(start, start + _ROWS)
        score += float((np.sign(x[rows, None] - x) * np.sign(y[rows, None] - y)).sum()) / 2.0
    tx, ty = _ties(x), _ties(y)
    pairs = k * (k - 1.0) / 2.0
    tau = score / math.sqrt((pairs - float((tx * (tx - 1)).sum()) / 2) * (pairs - float((ty * (ty - 1)).sum()) / 2))
    variance = (
        k * (k - 1) * (2 * k + 5)
        - float((tx * (tx - 1) * (2 * tx + 5)).sum())
        - float((ty * (ty - 1) * (2 * ty + 5)).sum())
    ) / 18.0
    variance += float((tx * (tx - 1)).sum()) * float((ty * (ty - 1)).sum()) / (2.0 * k * (k - 1))
    variance += (
        float((tx * (tx - 1) * (tx - 2)).sum())
        * float((ty * (ty - 1) * (ty - 2)).sum())
        / (9.0 * k * (k - 1) * (k - 2))
    )
    se = math.sqrt(variance)
    tied = tx.size < k or ty.size < k
    if method == "exact" and not tied and k <= EXACT_LIMIT:
        # Of score and its mirror image the one with fewer inversions: its lower tail, twice.
        inversions = round((pairs - abs(score)) / 2.0)
        p_value = min(1.0, 2.0 * exact_tail(inversions, k))
        return RankCorrelation(tau=tau, score=score, score_se=se, statistic=math.nan, p_value=p_value, method="exact")
    used = "normal" if method == "exact" else method
    corrected = math.copysign(max(abs(score) - (used == "normal_cc"), 0.0), score)
    statistic = corrected / se
    return RankCorrelation(
        tau=tau,
        score=score,
        score_se=se,
        statistic=statistic,
        p_value=2.0 * float(ndtr(-abs(statistic))),
        method=used,
    )
