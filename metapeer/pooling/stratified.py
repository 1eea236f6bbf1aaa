"""Mantel and Haenszel's pooled effects of counts, and the tests that go with them.

Each estimate is consistent with few large studies and with many small ones, and each needs no constant added to a zero
cell unless the same cell is zero in every study.

References
----------
Mantel & Haenszel (1959), Journal of the National Cancer Institute 22:719-748.
Greenland & Robins (1985), Biometrics 41:55-68.
Robins, Breslow & Greenland (1986), Biometrics 42:311-323.
Sato (1989), Biometrics 45:1323-1324.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metapeer.pooling.intervals import chi2_tail

__all__ = [
    "ChiSquare",
    "Pooled",
    "breslow_day",
    "cochran_mantel_haenszel",
    "mh_odds_ratio",
    "mh_rate_difference",
    "mh_rate_ratio",
    "mh_risk_difference",
    "mh_risk_ratio",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """A pooled effect.

    Parameters
    ----------
    estimate, se : float
        The effect, log for ratios, and its standard error; not finite where the counts do not determine them.
    weights : array of shape (k,)
        What each study weighs, not scaled.
    """

    estimate: float
    se: float
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """A chi-squared test.

    Parameters
    ----------
    statistic : float
        Its value; NaN where it is not defined.
    df : int
        Degrees of freedom.
    """

    statistic: float
    df: int

    @property
    def p_value(self) -> float:
        """Probability of a larger value; NaN without degrees of freedom."""
        return chi2_tail(self.statistic, self.df) if self.df > 0 and self.statistic >= 0 else math.nan


def _log_ratio(numerators: FloatArray, denominators: FloatArray, variance: float) -> Pooled:
    above, below = float(numerators.sum()), float(denominators.sum())
    if above > 0 and below > 0:
        return Pooled(math.log(above) - math.log(below), math.sqrt(variance), denominators)
    return Pooled(math.nan, math.nan, denominators)


def mh_odds_ratio(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> Pooled:
    """Log of the Mantel-Haenszel odds ratio, with the variance of Robins, Breslow and Greenland.

    Parameters
    ----------
    a, b, c, d : array of shape (k,)
        Events and non-events of arm 1, then of arm 2.

    Returns
    -------
    Pooled
        Weights are ``bc/N``.

    References
    ----------
    Robins, Breslow & Greenland (1986), Biometrics 42:311-323.

    Examples
    --------
    >>> import numpy as np
    >>> found = mh_odds_ratio(*(np.array(x) for x in ([12.0, 0.0], [38.0, 30.0], [20.0, 2.0], [30.0, 28.0])))
    >>> round(found.estimate, 4), round(found.se, 4)
    (-0.8708, 0.4296)
    """
    n = a + b + c + d
    p, q, r, s = (a + d) / n, (b + c) / n, a * d / n, b * c / n
    above, below = float(r.sum()), float(s.sum())
    if not (above > 0 and below > 0):
        return Pooled(math.nan, math.nan, s)
    variance = (
        float(p @ r) / (2 * above**2) + float(p @ s + q @ r) / (2 * above * below) + float(q @ s) / (2 * below**2)
    )
    return _log_ratio(r, s, variance)


def mh_risk_ratio(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> Pooled:
    """Log of the Mantel-Haenszel risk ratio, with the variance of Greenland and Robins.

    Parameters
    ----------
    a, b, c, d : array of shape (k,)
        Events and non-events of arm 1, then of arm 2.

    Returns
    -------
    Pooled
        Weights are ``c n1/N``.

    References
    ----------
    Greenland & Robins (1985), Biometrics 41:55-68.

    Examples
    --------
    >>> import numpy as np
    >>> found = mh_risk_ratio(*(np.array(x) for x in ([12.0, 0.0], [38.0, 30.0], [20.0, 2.0], [30.0, 28.0])))
    >>> round(found.estimate, 4), round(found.se, 4)
    (-0.6061, 0.304)
    """
    n1, n2 = a + b, c + d
    n = n1 + n2
    r, s = a * n2 / n, c * n1 / n
    above, below = float(r.sum()), float(s.sum())
    if not (above > 0 and below > 0):
        return Pooled(math.nan, math.nan, s)
    # n1 n2 (a + c) - a c N, multiplied out so that rounding cannot make it negative.
    variance = float(((a * d * n1 + b * c * n2) / n**2).sum()) / (above * below)
    return _log_ratio(r, s, variance)


def mh_risk_difference(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, *, sato: bool = False) -> Pooled:
    """Mantel-Haenszel risk difference.

    Parameters
    ----------
    a, b, c, d : array of shape (k,)
        Events and non-events of arm 1, then of arm 2.
    sato : bool, default False
        Whether the variance is Sato's, which also holds for many small studies, instead of Greenland and Robins's,
        which needs large ones and is what RevMan 5 prints.

    Returns
    -------
    Pooled
        Weights are ``n1 n2/N``.

    References
    ----------
    Greenland & Robins (1985), Biometrics 41:55-68.
    Sato (1989), Biometrics 45:1323-1324.

    Examples
    --------
    >>> import numpy as np
    >>> tables = [np.array(x) for x in ([12.0, 0.0], [38.0, 30.0], [20.0, 2.0], [30.0, 28.0])]
    >>> found = mh_risk_difference(*tables)
    >>> round(found.estimate, 4), round(found.se, 4)
    (-0.125, 0.0599)
    >>> round(mh_risk_difference(*tables, sato=True).se, 4)
    0.0601
    """
    n1, n2 = a + b, c + d
    n = n1 + n2
    w = n1 * n2 / n
    total = float(w.sum())
    estimate = float(((a * n2 - c * n1) / n).sum()) / total
    if sato:
        p = (c * (n1 / n) ** 2 - a * (n2 / n) ** 2 + n1 / n * (n2 / n) * (n2 - n1) / 2).sum()
        q = ((a * d + c * b) / n).sum() / 2
        variance = float(estimate * p + q) / total**2
    else:
        variance = float(((a * b * n2**3 + c * d * n1**3) / (n1 * n2 * n**2)).sum()) / total**2
    return Pooled(estimate, math.sqrt(variance) if variance >= 0 else math.nan, w)


def mh_rate_ratio(events1: FloatArray, time1: FloatArray, events2: FloatArray, time2: FloatArray) -> Pooled:
    """Log of the Mantel-Haenszel incidence rate ratio.

    Parameters
    ----------
    events1, time1, events2, time2 : array of shape (k,)
        Events and person-time of each arm.

    Returns
    -------
    Pooled
        Weights are ``x2 t1/T``.

    References
    ----------
    Greenland & Robins (1985), Biometrics 41:55-68.

    Examples
    --------
    >>> import numpy as np
    >>> arms = [np.array(x) for x in ([9.0, 8.0], [413.0, 263.0], [19.0, 19.0], [398.0, 245.0])]
    >>> found = mh_rate_ratio(*arms)
    >>> round(found.estimate, 4), round(found.se, 4)
    (-0.8578, 0.2917)
    """
    time = time1 + time2
    r, s = events1 * time2 / time, events2 * time1 / time
    above, below = float(r.sum()), float(s.sum())
    if not (above > 0 and below > 0):
        return Pooled(math.nan, math.nan, s)
    variance = float(((events1 + events2) * (time1 / time) * (time2 / time)).sum()) / (above * below)
    return _log_ratio(r, s, variance)


def mh_rate_difference(events1: FloatArray, time1: FloatArray, events2: FloatArray, time2: FloatArray) -> Pooled:
    """Mantel-Haenszel incidence rate difference.

    Parameters
    ----------
    events1, time1, events2, time2 : array of shape (k,)
        Events and person-time of each arm.

    Returns
    -------
    Pooled
        Weights are ``t1 t2/T``.

    References
    ----------
    Greenland & Robins (1985), Biometrics 41:55-68.

    Examples
    --------
    >>> import numpy as np
    >>> arms = [np.array(x) for x in ([9.0, 8.0], [413.0, 263.0], [19.0, 19.0], [398.0, 245.0])]
    >>> found = mh_rate_difference(*arms)
    >>> round(found.estimate, 4), round(found.se, 4)
    (-0.0341, 0.0114)
    """
    time = time1 + time2
    w = time1 * time2 / time
    total = float(w.sum())
    estimate = float(((events1 * time2 - events2 * time1) / time).sum()) / total
    variance = float((events1 * (time2 / time) ** 2 + events2 * (time1 / time) ** 2).sum()) / total**2
    return Pooled(estimate, math.sqrt(variance), w)


def cochran_mantel_haenszel(
    events1: FloatArray,
    size1: FloatArray,
    events2: FloatArray,
    size2: FloatArray,
    *,
    person_time: bool = False,
    correct: bool = False,
) -> ChiSquare:
    """Test whether arm and event are related in any study, all being expected to lean the same way.

    Parameters
    ----------
    events1, size1, events2, size2 : array of shape (k,)
        Events and participants, or person-time, of each arm.
    person_time : bool, default False
        Whether sizes are person-time.
    correct : bool, default False
        Whether the difference is brought half an event nearer to zero, by Yates.

    Returns
    -------
    ChiSquare
        One degree of freedom; NaN where no study has both an event and a non-event.

    References
    ----------
    Mantel & Haenszel (1959), Journal of the National Cancer Institute 22:719-748.
    Rothman, Greenland & Lash (2008), Modern Epidemiology, 3rd ed., chapter 15 (person-time).

    Examples
    --------
    >>> import numpy as np
    >>> test = cochran_mantel_haenszel(*(np.array(x) for x in ([12.0, 0.0], [50.0, 30.0], [20.0, 2.0], [50.0, 30.0])))
    >>> round(test.statistic, 4), round(test.p_value, 4)
    (4.1761, 0.041)
    """
    size = size1 + size2
    events = events1 + events2
    variance = events * (size1 / size) * (size2 / size)
    if not person_time:  # hypergeometric; a study of one participant tells nothing
        variance = variance * np.where(size > 1, (size - events) / np.maximum(size - 1, 1), 0.0)
    spread = float(variance.sum())
    off = abs(float((events1 - events * size1 / size).sum()))
    if spread <= 0:
        return ChiSquare(math.nan, 1)
    return ChiSquare(max(0.0, off - (0.5 if correct else 0.0)) ** 2 / spread, 1)


def breslow_day(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, log_odds_ratio: float
) -> tuple[ChiSquare, ChiSquare]:
    """Test whether the odds ratio is the same in all studies.

    Parameters
    ----------
    a, b, c, d : array of shape (k,)
        Events and non-events of arm 1, then of arm 2.
    log_odds_ratio : float
        The common value, Mantel and Haenszel's.

    Returns
    -------
    breslow_day, tarone : ChiSquare
        The test as Breslow and Day gave it, and with Tarone's correction for the common value being an estimate.
        Studies without events or without non-events count for neither, nor for the degrees of freedom.

    References
    ----------
    Breslow & Day (1980), Statistical Methods in Cancer Research 1, section 4.4.
    Tarone (1985), Biometrika 72:91-95.

    Examples
    --------
    >>> import numpy as np
    >>> tables = [np.array(x) for x in ([12.0, 3.0], [38.0, 30.0], [20.0, 2.0], [30.0, 28.0])]
    >>> plain, corrected = breslow_day(*tables, mh_odds_ratio(*tables).estimate)
    >>> round(plain.statistic, 4), round(corrected.statistic, 4), plain.df
    (1.1182, 1.1181, 1)
    """
    informs = (a + c > 0) & (b + d > 0)
    a, b, c, d = a[informs], b[informs], c[informs], d[informs]
    df = int(informs.sum()) - 1
    if df < 1 or not math.isfinite(log_odds_ratio):
        return ChiSquare(math.nan, max(df, 0)), ChiSquare(math.nan, max(df, 0))
    expected = _expected_events(a + b, c + d, a + c, math.exp(log_odds_ratio))
    with np.errstate(divide="ignore"):
        variance = 1 / (
            1 / expected + 1 / (a + b - expected) + 1 / (a + c - expected) + 1 / (c + d - (a + c) + expected)
        )
    plain = float(((a - expected) ** 2 / variance).sum())
    corrected = plain - float((a - expected).sum()) ** 2 / float(variance.sum())
    return ChiSquare(plain, df), ChiSquare(max(0.0, corrected), df)


def _expected_events(n1: FloatArray, n2: FloatArray, events: FloatArray, ratio: float) -> FloatArray:
    """Events in arm 1 that give each table its margins and this odds ratio."""
    # A (n2 - m + A) = ψ (n1 - A)(m - A), a quadratic in A; the root is taken in the form that does not cancel.
    square = 1 - ratio
    linear = n2 - events + ratio * (n1 + events)
    constant = -ratio * n1 * events
    root = np.sqrt(linear**2 - 4 * square * constant)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(linear >= 0, -2 * constant / (linear + root), (root - linear) / (2 * square))
