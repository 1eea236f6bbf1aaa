"""How much the studies disagree: Q, H², and I² in both of its forms, each with its interval.

The two forms answer to the same name and differ on the same data: I² from Q is ``(Q - df) / Q``; I² from tau2 is
``tau2 / (tau2 + s²)`` with s² the typical sampling variance. They agree when tau2 is DerSimonian and Laird's.
"""

import math
from dataclasses import dataclass

import numpy as np

from metapeer.pooling.intervals import Interval, chi2_tail, normal_quantile
from metapeer.pooling.weighted import FloatArray, moments, total, trace_p

__all__ = ["Heterogeneity", "cochran_q", "h2_from_tau2", "i2_from_h2", "i2_test_based", "typical_variance"]


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Cochran's Q and the typical sampling variance.

    Parameters
    ----------
    Q : float
        Weighted sum of squared deviations, with weights ``1 / vi``.
    df : int
        Its degrees of freedom.
    p_value : float
        Its p value; NaN without degrees of freedom.
    typical_variance : float
        Higgins and Thompson's s², in squared units of the effects; NaN without degrees of freedom.
    """

    Q: float
    df: int
    p_value: float
    typical_variance: float


def typical_variance(vi: FloatArray, X: FloatArray | None = None) -> float:
    """Higgins and Thompson's typical sampling variance ``(k - p) / trace(P)``.

    Parameters
    ----------
    vi : array of shape (k,)
        Sampling variances.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.

    Returns
    -------
    float
        In squared units of the effects.

    References
    ----------
    Higgins & Thompson (2002), Stat Med 21:1539-1558, equation 9.

    Examples
    --------
    >>> import numpy as np
    >>> round(typical_variance(np.array([0.02, 0.03, 0.04])), 6)
    0.028889
    """
    if X is None:
        return (vi.size - 1) / trace_p(1.0 / vi)
    return float((vi.size - X.shape[1]) / moments(np.zeros(vi.size), vi, np.zeros(1), X).trP[0])


def cochran_q(yi: FloatArray, vi: FloatArray, X: FloatArray | None = None) -> Heterogeneity:
    """Test whether the effects differ by more than their sampling errors.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.

    Returns
    -------
    Heterogeneity
        Q with its degrees of freedom and p value, and the typical variance.

    References
    ----------
    Cochran (1954), Biometrics 10:101-129.

    Examples
    --------
    >>> import numpy as np
    >>> found = cochran_q(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]))
    >>> round(found.Q, 4), found.df, round(found.p_value, 4)
    (8.1923, 2, 0.0166)
    """
    if X is None:
        w = 1.0 / vi
        residuals = yi - w.dot(yi) / total(w)
        q, trace, df = float((w * residuals).dot(residuals)), trace_p(w), yi.size - 1
    else:
        found = moments(yi, vi, np.zeros(1), X)
        q, trace, df = float(found.yPy[0]), float(found.trP[0]), yi.size - X.shape[1]
    if df == 0:
        return Heterogeneity(0.0, 0, math.nan, math.nan)
    return Heterogeneity(q, df, chi2_tail(q, df), df / trace)


def h2_from_tau2(tau2: float, typical: float) -> float:
    """Total over typical sampling variance.

    Parameters
    ----------
    tau2 : float
        Between-study variance.
    typical : float
        Typical sampling variance.

    Returns
    -------
    float
        H², at least 1.

    Examples
    --------
    >>> h2_from_tau2(0.03, 0.06)
    1.5
    """
    return tau2 / typical + 1.0


def i2_from_h2(h2: float) -> float:
    """Share of variability beyond sampling error, ``100 (H² - 1) / H²``, not below zero.

    Parameters
    ----------
    h2 : float
        H².

    Returns
    -------
    float
        I² in per cent.

    References
    ----------
    Higgins & Thompson (2002), Stat Med 21:1539-1558.

    Examples
    --------
    >>> i2_from_h2(1.25), i2_from_h2(0.8)
    (20.0, 0.0)
    """
    if math.isinf(h2):
        return 100.0
    return max(0.0, 100.0 * (h2 - 1.0) / h2) if h2 > 0 else (math.nan if math.isnan(h2) else 0.0)


def i2_test_based(q: float, k: int, level: float) -> Interval:
    """Higgins and Thompson's test-based interval for I² from Q.

    Parameters
    ----------
    q : float
        Cochran's Q.
    k : int
        Number of studies.
    level : float
        Confidence level.

    Returns
    -------
    Interval
        In per cent, cut off at zero; NaN where the formula has no value (two studies with Q not above 2).

    References
    ----------
    Higgins & Thompson (2002), Stat Med 21:1539-1558, section 4.2.

    Examples
    --------
    >>> interval = i2_test_based(35.0, 22, 0.95)
    >>> round(interval.low, 1), round(interval.high, 1)
    (0.1, 64.0)
    """
    method = "test-based (Higgins-Thompson)"
    if k < 2 or (k == 2 and q <= k):
        return Interval(math.nan, math.nan, level, method)
    if q > k:
        se = 0.5 * (math.log(q) - math.log(k - 1)) / (math.sqrt(2.0 * q) - math.sqrt(2.0 * k - 3.0))
    else:
        se = math.sqrt((1.0 - 1.0 / (3.0 * (k - 2) ** 2)) / (2.0 * (k - 2)))
    log_h = 0.5 * math.log(max(1.0, q / (k - 1)))
    half = normal_quantile(level) * se
    low, high = (i2_from_h2(math.exp(2.0 * max(0.0, log_h + sign * half))) for sign in (-1, 1))
    return Interval(low, high, level, method)
