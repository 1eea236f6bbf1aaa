"""A two-by-two table from its margins and one statistic: odds ratio, phi or chi-squared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metapeer.effects.arguments import Arguments, FloatArray, Numbers
from metapeer.errors import ChoiceError

__all__ = ["MarginalCounts", "counts_from_margins"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginalCounts:
    """Tables filled from their margins.

    Parameters
    ----------
    events1, total1, events2, total2 : float or array of shape (k,)
        Events and participants of each arm, whole numbers.
    exact : float or array of shape (k,)
        Events of arm 1 before rounding; far from a whole number, a margin or the statistic was misread.
    """

    events1: Numbers
    total1: Numbers
    events2: Numbers
    total2: Numbers
    exact: Numbers


def counts_from_margins(
    *,
    total: ArrayLike,
    total1: ArrayLike,
    events: ArrayLike,
    odds_ratio: ArrayLike | None = None,
    phi: ArrayLike | None = None,
    chi2: ArrayLike | None = None,
    sign: ArrayLike | None = None,
    continuity: bool = False,
) -> MarginalCounts:
    """Fill a table from its margins and one statistic, rounded to whole numbers; metafor's conv.2x2.

    Parameters
    ----------
    total, total1, events : array_like
        Participants, participants of arm 1, and events in both arms together.
    odds_ratio, phi, chi2 : array_like
        One of these: the odds ratio (above 0), the phi coefficient (between -1 and 1), or Pearson's chi-squared.
    sign : array_like, optional
        With `chi2`: 1 if arm 1 has more events than expected, -1 if fewer.
    continuity : bool, default False
        Whether chi-squared was printed with Yates' correction.

    Returns
    -------
    MarginalCounts
        The table nearest to the statistic. Where the statistic is printed, give it with `events` to
        `metapeer.effects.counts.recover_counts`, which tells whether a table gives it digit for digit.

    Raises
    ------
    DataError
        If margins contradict each other, or no table has such margins and such a statistic.
    ChoiceError
        If not exactly one statistic is given, or `sign` or `continuity` without `chi2`.

    Examples
    --------
    >>> table = counts_from_margins(total=100, total1=40, events=30, odds_ratio=2.1)
    >>> table.events1, table.events2, round(table.exact, 3)
    (16.0, 14.0, 15.786)
    """
    statistics = {"odds_ratio": odds_ratio, "phi": phi, "chi2": chi2}
    name = [key for key, value in statistics.items() if value is not None]
    if len(name) != 1:
        raise ChoiceError(f"give one of odds_ratio, phi and chi2; got {', '.join(name) or 'none'}")
    if (sign is None) == (chi2 is not None):
        raise ChoiceError("sign belongs to chi2, which has no direction: give both, or neither")
    if continuity and chi2 is None:
        raise ChoiceError("continuity has no effect without chi2; leave it out")
    arguments = Arguments(
        "counts_from_margins",
        **{"total": total, "total1": total1, "events": events, name[0]: statistics[name[0]], "sign": sign},
    )
    n, n1, m = arguments["total"], arguments["total1"], arguments["events"]
    for margin in ("total", "total1", "events"):
        arguments.require(margin, lambda x: (x == np.floor(x)) & (x >= 1), "must be a whole number of at least 1")
    arguments.require("total1", ~(n1 >= n), "must be below total")
    arguments.require("events", ~(m >= n), "must be below total")
    if odds_ratio is not None:
        arguments.require("odds_ratio", lambda x: x > 0, "must be above 0")
    if phi is not None:
        arguments.require("phi", lambda x: np.abs(x) <= 1, "must lie between -1 and 1")
    if chi2 is not None:
        arguments.require("chi2", lambda x: x >= 0, "must not be negative")
        arguments.require("sign", lambda x: np.abs(x) == 1, "must be 1 or -1")
    arguments.check()
    spread = np.sqrt(n1 * (n - n1) * m * (n - m)) / n
    value = arguments[name[0]]
    if odds_ratio is not None:
        exact = _cell_of_odds_ratio(n, n1, m, value)
    else:
        if chi2 is not None:
            corrected = np.where(value > 0, 0.5 / spread, 0) if continuity else 0
            value = arguments["sign"] * (np.sqrt(value / n) + corrected)
        exact = n1 * m / n + value * spread
    low, high = np.maximum(0, n1 + m - n), np.minimum(n1, m)
    cell = np.round(exact)
    arguments.require(name[0], ~((cell < low) | (cell > high)), "is more than any table with these margins can show")
    arguments.check()
    shaped = arguments.shaped
    return MarginalCounts(
        events1=shaped(cell), total1=shaped(n1), events2=shaped(m - cell), total2=shaped(n - n1), exact=shaped(exact)
    )


def _cell_of_odds_ratio(n: FloatArray, n1: FloatArray, m: FloatArray, ratio: FloatArray) -> FloatArray:
    """Solve a (n - n1 - m + a) = ratio (n1 - a)(m - a) for a, by the root that does not cancel as the ratio nears 1."""
    linear = ratio * (n1 + m) + n - n1 - m
    return np.asarray(2 * ratio * n1 * m / (linear + np.sqrt(linear**2 - 4 * (ratio - 1) * ratio * n1 * m)))
