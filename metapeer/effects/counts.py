"""The two-by-two table behind a printed ratio, percentage or chi-squared: all integers that give it, digit for digit.

A table is recovered, not read: keep the tables found apart from printed counts, and use them only if one alone fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.special import ndtri

from metapeer.effects.arguments import BoolArray, FloatArray
from metapeer.effects.binary import fill_zero_cells, log_odds_ratio, log_risk_ratio, risk_difference
from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice

__all__ = ["RecoveredCounts", "TwoByTwo", "recover_counts"]

Ratio = Literal["RR", "OR", "RD"]

MOST_SPLITS = 200_000  # ways to split the participants into arms; more takes minutes
_SLACK = 1e-9  # relative; keeps an exact tie, such as 0.125 printed 0.13, from falling to binary rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoByTwo:
    """Events and participants of two arms.

    Parameters
    ----------
    events1, total1, events2, total2 : int
        Events and participants of each arm.
    """

    events1: int
    total1: int
    events2: int
    total2: int

    def __str__(self) -> str:
        return f"{self.events1}/{self.total1} vs {self.events2}/{self.total2}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredCounts:
    """Every table that gives what was printed.

    Parameters
    ----------
    tables : tuple of TwoByTwo
        The tables, by size of arm 1 and then by its events.
    printed : str
        What they were asked to give.
    splits : int
        How many ways of splitting the participants into arms were searched.

    Examples
    --------
    >>> found = recover_counts(ratio="RR", es="0.44", ci_low="0.11", ci_high="1.75", total=19)
    >>> found.unique, str(found.table)
    (True, '2/9 vs 5/10')
    """

    tables: tuple[TwoByTwo, ...]
    printed: str
    splits: int

    @property
    def unique(self) -> bool:
        """Whether exactly one table fits."""
        return len(self.tables) == 1

    @property
    def table(self) -> TwoByTwo:
        """The one table that fits.

        Raises
        ------
        MetapeerError
            If none fits, or more than one.
        """
        if self.unique:
            return self.tables[0]
        raise MetapeerError(str(self))

    def __str__(self) -> str:
        if not self.tables:
            return f"no table gives {self.printed}; was a number misread, or made by another method?"
        if self.unique:
            return f"only {self.tables[0]} gives {self.printed}"
        shown = "; ".join(str(table) for table in self.tables[:5])
        more = f"; and {len(self.tables) - 5} more" if len(self.tables) > 5 else ""
        return f"{len(self.tables)} tables give {self.printed}: {shown}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Printed:
    """A number as printed, and what it may have been before it was rounded."""

    text: str
    low: float
    high: float

    def holds(self, values: FloatArray) -> BoolArray:
        slack = _SLACK * max(abs(self.low), abs(self.high))
        return np.asarray((values >= self.low - slack) & (values <= self.high + slack), dtype=np.bool_)


class _Reader:
    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def printed(self, name: str, value: object) -> _Printed | None:
        if value is None:
            return None
        if not isinstance(value, str):
            self._fault(name, f"give {value!r} in quotes, as printed: '0.40' says more than 0.4")
            return None
        text = value.strip().replace("−", "-").replace("·", ".")
        text = text.removesuffix("%").strip() if name.startswith("percent") else text
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            self._fault(name, f"{value!r} is not a printed number, such as '0.44'")
            return None
        half = Decimal(1).scaleb(int(number.as_tuple().exponent)) / 2
        return _Printed(text=text, low=float(number - half), high=float(number + half))

    def whole(self, name: str, value: object, least: int) -> int | None:
        if value is None:
            return None
        whole = isinstance(value, int | np.integer) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or int(value) < least:  # type: ignore[call-overload]
            self._fault(name, f"{value!r} will not do; it must be a whole number of at least {least}")
            return None
        return int(value)  # type: ignore[call-overload, no-any-return]

    def _fault(self, name: str, message: str) -> None:
        self.faults.append(Fault(column=name, message=message))

    def check(self) -> None:
        if self.faults:
            raise DataError("recover_counts", self.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clues:
    ratio: Ratio | None
    es: _Printed | None
    ci_low: _Printed | None
    ci_high: _Printed | None
    percent1: _Printed | None
    percent2: _Printed | None
    chi2: _Printed | None
    events: int | None
    z: float

    def fits(self, e1: FloatArray, n1: int, e2: FloatArray, n2: int) -> BoolArray:
        """Tell which pairs of events agree with every clue."""
        good = np.ones(e1.shape, dtype=np.bool_)
        if self.percent1:
            good &= self.percent1.holds(100 * e1 / n1)
        if self.percent2:
            good &= self.percent2.holds(100 * e2 / n2)
        if self.events is not None:
            good &= e1 + e2 == self.events
        if self.chi2:
            good &= self.chi2.holds(_chi2(e1, n1, e2, n2))
        if self.ratio:
            # A table with an empty cell may have been computed as it is, or with a half added to its four cells.
            as_is = self._ratio_fits(e1, n1 - e1, e2, n2 - e2)
            sizes = np.full_like(e1, n1), np.full_like(e2, n2)
            good &= as_is | self._ratio_fits(*fill_zero_cells(e1, sizes[0], e2, sizes[1]))
        return good

    def _ratio_fits(self, a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> BoolArray:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            effect = {"RR": log_risk_ratio, "OR": log_odds_ratio, "RD": risk_difference}[self.ratio or "RD"]
            yi, vi = effect(a, b, c, d)
            half = self.z * np.sqrt(vi)
            scale = (lambda x: x) if self.ratio == "RD" else np.exp
            good = np.isfinite(yi) & np.isfinite(vi)
            for clue, value in ((self.es, yi), (self.ci_low, yi - half), (self.ci_high, yi + half)):
                if clue:
                    good &= clue.holds(scale(value))
        return np.asarray(good, dtype=np.bool_)

    def possible1(self, n1: int) -> FloatArray:
        """Events of arm 1 that its percentage allows."""
        low, high = 0, n1
        if self.percent1:
            low = max(0, int(np.ceil(self.percent1.low * n1 / 100 - 1e-6)))
            high = min(n1, int(np.floor(self.percent1.high * n1 / 100 + 1e-6)))
        return np.arange(low, high + 1, dtype=np.float64)

    def range2(self, e1: FloatArray, n1: int, n2: int) -> tuple[FloatArray, FloatArray]:
        """For each count of arm 1, between which counts of arm 2 a table without empty cells can fit."""
        low, high = np.zeros_like(e1), np.full_like(e1, n2)
        if self.events is not None:
            low, high = np.maximum(low, self.events - e1), np.minimum(high, self.events - e1)
        if self.percent2:
            low, high = np.maximum(low, self.percent2.low * n2 / 100), np.minimum(high, self.percent2.high * n2 / 100)
        if self.ratio and self.es:
            least, most = self.es.low * (1 - _SLACK), self.es.high * (1 + _SLACK)
            risk = e1 / n1
            with np.errstate(divide="ignore", invalid="ignore"):
                if self.ratio == "RD":
                    bounds = risk - self.es.high, risk - self.es.low
                elif self.ratio == "RR":
                    bounds = risk / most, np.where(least > 0, risk / max(least, 1e-300), 1)
                else:
                    odds = risk / (1 - risk)
                    bounds = odds / (odds + most), np.where(least > 0, odds / (odds + max(least, 1e-300)), 1)
            low = np.maximum(low, np.nan_to_num(bounds[0] * n2, nan=0))
            high = np.minimum(high, np.nan_to_num(bounds[1] * n2, nan=n2, posinf=n2))
        return np.ceil(low - 1e-6), np.floor(high + 1e-6)


def _chi2(e1: FloatArray, n1: int, e2: FloatArray, n2: int) -> FloatArray:
    """Pearson's chi-squared without continuity correction; NaN where there are no events, or nothing else."""
    events, n = e1 + e2, n1 + n2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(n * (e1 * n2 - e2 * n1) ** 2 / (events * (n - events) * float(n1) * n2), dtype=np.float64)


def recover_counts(
    *,
    ratio: Ratio | None = None,
    es: str | None = None,
    ci_low: str | None = None,
    ci_high: str | None = None,
    percent1: str | None = None,
    percent2: str | None = None,
    chi2: str | None = None,
    events: int | None = None,
    total1: int | None = None,
    total2: int | None = None,
    total: int | None = None,
    total_at_most: int | None = None,
    level: float = 0.95,
) -> RecoveredCounts:
    """Find every two-by-two table that gives the printed numbers to their last digit.

    Printed numbers are given in quotes, because their digits matter: "0.40" was something between 0.395 and 0.405.
    Limits are taken as Wald's (on the log scale for ratios), as Review Manager prints them.

    Parameters
    ----------
    ratio : {"RR", "OR", "RD"}, optional
        What `es` is, arm 1 over (or minus) arm 2.
    es, ci_low, ci_high : str, optional
        The effect and its limits.
    percent1, percent2 : str, optional
        Percentage of each arm with the event.
    chi2 : str, optional
        Pearson's chi-squared without continuity correction.
    events : int, optional
        Events in both arms together.
    total1, total2 : int, optional
        Participants of each arm.
    total : int, optional
        Participants in both arms together, where not both arms are known: every split is tried.
    total_at_most : int, optional
        Instead of `total`, where some participants may have been lost.
    level : float, default 0.95
        Confidence level of the limits.

    Returns
    -------
    RecoveredCounts
        All tables that fit, and whether there is exactly one.

    Raises
    ------
    DataError
        If a printed number is not one, sizes contradict each other or are missing, or nothing was printed.
    ChoiceError
        If `ratio` is unknown, or given without `es`.

    Examples
    --------
    The arms are known:

    >>> print(recover_counts(ratio="RR", es="1.77", ci_low="1.09", ci_high="2.85", total1=41, total2=39))
    only 26/41 vs 14/39 gives RR 1.77 (1.09 to 2.85)

    Percentages and chi-squared, of at most 24 participants:

    >>> print(recover_counts(percent1="83.3", percent2="44.4", chi2="3.50", total_at_most=24))
    only 10/12 vs 4/9 gives 83.3% vs 44.4%, chi-squared 3.50

    Too few digits to tell:

    >>> print(recover_counts(ratio="RR", es="0.4", total1=10, total2=10))
    5 tables give RR 0.4: 2/10 vs 5/10; 3/10 vs 7/10; 3/10 vs 8/10; 4/10 vs 9/10; 4/10 vs 10/10
    """
    if ratio is not None:
        check_choice("ratio", ratio, ("RR", "OR", "RD"))
    if (ratio is None) != (es is None):
        raise ChoiceError("ratio and es belong together: es='0.44' is of no use without ratio='RR', 'OR' or 'RD'")
    if es is None and (ci_low is not None or ci_high is not None):
        raise ChoiceError("ci_low and ci_high have no effect without es; leave them out")
    if not (isinstance(level, int | float) and 0 < level < 1):
        raise ChoiceError(f"level {level!r} will not do; it must lie between 0 and 1, such as 0.95")
    reader = _Reader()
    clues = _Clues(
        ratio=ratio,
        es=reader.printed("es", es),
        ci_low=reader.printed("ci_low", ci_low),
        ci_high=reader.printed("ci_high", ci_high),
        percent1=reader.printed("percent1", percent1),
        percent2=reader.printed("percent2", percent2),
        chi2=reader.printed("chi2", chi2),
        events=reader.whole("events", events, 0),
        z=float(ndtri((1 + level) / 2)),
    )
    sizes = {
        name: reader.whole(name, value, 1)
        for name, value in (("total1", total1), ("total2", total2), ("total", total), ("total_at_most", total_at_most))
    }
    reader.check()
    _check_clues(clues, reader)
    splits = _splits(reader, **sizes)
    tables = [table for n1, n2 in splits for table in _search(clues, n1, n2)]
    return RecoveredCounts(tables=tuple(tables), printed=_describe(clues), splits=len(splits))


def _check_clues(clues: _Clues, reader: _Reader) -> None:
    def fault(name: str, message: str) -> None:
        reader.faults.append(Fault(column=name, message=message))

    if not any((clues.es, clues.percent1, clues.percent2, clues.chi2)):
        fault("es", "nothing was printed; give es with ratio, or percent1 and percent2, or chi2")
    for name in ("percent1", "percent2"):
        clue = getattr(clues, name)
        if clue and not 0 <= float(clue.text) <= 100:
            fault(name, f"{clue.text} will not do; it must lie between 0 and 100")
    if clues.chi2 and float(clues.chi2.text) < 0:
        fault("chi2", f"{clues.chi2.text} will not do; it must not be negative")
    limits = [(name, getattr(clues, name)) for name in ("ci_low", "es", "ci_high")]
    given = [(name, clue) for name, clue in limits if clue]
    for name, clue in given:
        if clues.ratio != "RD" and float(clue.text) < 0:
            fault(name, f"{clue.text} will not do; a ratio must not be negative")
    for (left, low), (right, high) in pairwise(given):
        if float(low.text) > float(high.text):
            fault(right, f"{high.text} is below {left} {low.text}")
    reader.check()


def _splits(
    reader: _Reader, *, total1: int | None, total2: int | None, total: int | None, total_at_most: int | None
) -> list[tuple[int, int]]:
    """Every pair of arm sizes that the given sizes allow."""

    def fault(name: str, message: str) -> None:
        reader.faults.append(Fault(column=name, message=message))

    known = (total1 or 0) + (total2 or 0)
    if total is not None and total_at_most is not None:
        fault("total_at_most", "has no effect when total is given; leave one out")
    both = total1 is not None and total2 is not None
    if both and total is not None and total != known:
        fault("total", f"{total} is not total1 + total2, which is {known}")
    if both and total_at_most is not None:
        fault("total_at_most", "has no effect when total1 and total2 are given; leave it out")
    if not both and total is None and total_at_most is None:
        fault("total", "is missing; give total1 and total2, or total, or total_at_most")
    limit = total if total is not None else total_at_most
    if limit is not None and not both and limit < max(known + 1, 2):
        fault("total" if total is not None else "total_at_most", f"{limit} leaves nobody for the other arm")
    reader.check()
    if total1 is not None and total2 is not None:
        return [(total1, total2)]
    largest = int(limit or 0)
    sums = [largest] if total is not None else list(range(max(known + 1, 2), largest + 1))
    count = len(sums) if known else sum(n - 1 for n in sums)
    if count > MOST_SPLITS:
        fault("total", f"{count:,} ways to split the participants are too many; give total1 and total2, or total")
        reader.check()
    if total1 is not None:
        return [(total1, n - total1) for n in sums]
    if total2 is not None:
        return [(n - total2, total2) for n in sums]
    return [(n1, n - n1) for n in sums for n1 in range(1, n)]


def _search(clues: _Clues, n1: int, n2: int) -> Iterator[TwoByTwo]:
    e1 = clues.possible1(n1)
    if not e1.size:
        return
    low, high = clues.range2(e1, n1, n2)
    width = np.maximum(high - low + 1, 0).astype(int)
    first = np.repeat(e1, width)
    second = np.repeat(low, width) + np.arange(width.sum()) - np.repeat(np.cumsum(width) - width, width)
    if clues.ratio:
        # With a half added, tables with an empty cell leave the range; there are few enough to try them all.
        every2 = np.arange(n2 + 1, dtype=np.float64)
        edge1 = e1[(e1 == 0) | (e1 == n1)]
        first = np.concatenate([first, np.repeat(edge1, n2 + 1), e1, e1])
        second = np.concatenate([second, np.tile(every2, edge1.size), np.zeros(e1.size), np.full(e1.size, n2)])
    good = clues.fits(first, n1, second, n2)
    for a, c in sorted({(int(a), int(c)) for a, c in zip(first[good], second[good], strict=True)}):
        yield TwoByTwo(events1=a, total1=n1, events2=c, total2=n2)


def _describe(clues: _Clues) -> str:
    words = []
    if clues.es:
        limits = [clue.text if clue else "?" for clue in (clues.ci_low, clues.ci_high)]
        interval = f" ({limits[0]} to {limits[1]})" if limits != ["?", "?"] else ""
        words.append(f"{clues.ratio} {clues.es.text}{interval}")
    if clues.percent1 or clues.percent2:
        shares = [f"{clue.text}%" if clue else "?" for clue in (clues.percent1, clues.percent2)]
        words.append(" vs ".join(shares))
    if clues.chi2:
        words.append(f"chi-squared {clues.chi2.text}")
    if clues.events is not None:
        words.append(f"{clues.events} events")
    return ", ".join(words)
