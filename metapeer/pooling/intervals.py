"""An interval that knows its level and how it was made, and the distributions intervals are made with."""

from collections.abc import Iterator
from dataclasses import dataclass

from scipy.special import chdtrc, chdtri, ndtr, ndtri, stdtr, stdtrit

from metapeer.errors import MetapeerError
from metapeer.formatting import format_interval, format_level

__all__ = [
    "Interval",
    "check_level",
    "chi2_quantile",
    "chi2_tail",
    "normal_quantile",
    "t_quantile",
    "two_sided_p",
]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence or prediction interval. It unpacks into its two ends.

    Parameters
    ----------
    low, high : float
        The ends.
    level : float
        Confidence level, between 0 and 1.
    method : str
        How it was made, in words.
    empty : bool, default False
        True when no value at all is compatible with the data at this level; the ends are then NaN.

    Examples
    --------
    >>> interval = Interval(0.11, 0.27, 0.95, "Hartung-Knapp")
    >>> low, high = interval
    >>> low, 0.2 in interval, str(interval)
    (0.11, True, '0.11 to 0.27 (95%, Hartung-Knapp)')
    """

    low: float
    high: float
    level: float
    method: str
    empty: bool = False

    def __iter__(self) -> Iterator[float]:
        yield self.low
        yield self.high

    def __contains__(self, value: float) -> bool:
        return bool(self.low <= value <= self.high)

    def __str__(self) -> str:
        return f"{format_interval(self.low, self.high)} ({format_level(self.level)}, {self.method})"

    @property
    def width(self) -> float:
        """Distance between the ends."""
        return self.high - self.low


def check_level(level: float) -> float:
    """Return a confidence level if it is one.

    Parameters
    ----------
    level : float
        Strictly between 0 and 1.

    Returns
    -------
    float
        The same number.

    Raises
    ------
    MetapeerError
        If it is not, with a hint when it looks like a percentage.

    Examples
    --------
    >>> check_level(95)
    Traceback (most recent call last):
    metapeer.errors.MetapeerError: level 95 is not between 0 and 1. Did you mean 0.95?
    """
    try:
        value = float(level)
    except (TypeError, ValueError):
        value = -1.0
    if not 0.0 < value < 1.0:
        hint = f" Did you mean {value / 100:g}?" if 1.0 < value < 100.0 else ""
        raise MetapeerError(f"level {level!r} is not between 0 and 1.{hint}")
    return value


def normal_quantile(level: float) -> float:
    """Half-width in standard errors of a two-sided normal interval.

    Parameters
    ----------
    level : float
        Confidence level.

    Returns
    -------
    float
        Such as 1.96 for 0.95.

    Examples
    --------
    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    return float(ndtri(0.5 + 0.5 * level))


def t_quantile(level: float, df: float) -> float:
    """Half-width in standard errors of a two-sided t interval.

    Parameters
    ----------
    level : float
        Confidence level.
    df : float
        Degrees of freedom, positive.

    Returns
    -------
    float
        Such as 12.71 for 0.95 and one degree of freedom.

    Examples
    --------
    >>> round(t_quantile(0.95, 1), 4)
    12.7062
    """
    return float(stdtrit(df, 0.5 + 0.5 * level))


def two_sided_p(statistic: float, df: float | None) -> float:
    """Two-sided p value of a z (no `df`) or t statistic.

    Parameters
    ----------
    statistic : float
        Estimate over standard error.
    df : float or None
        Degrees of freedom; None for the normal distribution.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> round(two_sided_p(1.959964, None), 6)
    0.05
    """
    below = -abs(statistic)
    return 2.0 * float(ndtr(below) if df is None else stdtr(df, below))


def chi2_tail(q: float, df: float) -> float:
    """Probability that a chi-squared variable exceeds `q`.

    Parameters
    ----------
    q : float
        The statistic.
    df : float
        Degrees of freedom.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> round(chi2_tail(3.841459, 1), 6)
    0.05
    """
    return float(chdtrc(df, q))


def chi2_quantile(upper_tail: float, df: float) -> float:
    """The value that a chi-squared variable exceeds with probability `upper_tail`.

    Parameters
    ----------
    upper_tail : float
        Between 0 and 1.
    df : float
        Degrees of freedom.

    Returns
    -------
    float
        The quantile.

    Examples
    --------
    >>> round(chi2_quantile(0.05, 1), 6)
    3.841459
    """
    return float(chdtri(df, upper_tail))
