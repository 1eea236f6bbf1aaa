"""What must hold between the cells of a row, and between the rows of a table."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.records.columns import CellFault, leading_number
from metapeer.records.decode import number_lines, shown
from metapeer.records.schema import ARMS, IMPLEMENTATION

__all__ = ["check_duplicates", "check_rows", "counted_twice"]

SAME_RESULT = ("study_id", "comparison", *ARMS, "outcome", "instrument", "timepoint", "timepoint_months")

WAYS_TO_AN_EFFECT = {
    "arm means": ("n1", "mean1", "sd1", "n2", "mean2", "sd2"),
    "arm events": ("events1", "total1", "events2", "total2"),
    "arm events in person-time": ("events1", "time1", "events2", "time2"),
    "observed minus expected events": ("oe", "v"),
    "events of one group": ("events", "total"),
    "events of one group in person-time": ("events", "time"),
    "mean of one group": ("mean", "sd", "n"),
    "correlation": ("r", "n"),
    "a reported effect and its standard error": ("es", "es_se"),
    "a reported effect and its interval": ("es", "es_ci_low", "es_ci_high"),
    "a reported effect and its p value": ("es", "p_value"),
    "an effect and its variance": ("yi", "vi"),
    "an effect and its standard error": ("yi", "sei"),
    "the effect a review pooled": ("review_yi", "review_sei"),
}


def check_rows(frame: pd.DataFrame) -> list[CellFault]:
    """Check the cells of each row against one another, as far as their columns are there.

    Events are at most the total, a reported effect lies in its interval, a p value between 0 and 1. The two arms of a
    row are two, and the same two in all rows of a comparison. What is coded of implementation has the source's words.

    Parameters
    ----------
    frame : DataFrame
        Columns of values; missing numbers are NaN.

    Returns
    -------
    list of CellFault
        Every contradiction.
    """
    faults: list[CellFault] = []

    def compare(left: str, right: str, message: Callable[[str, str], str]) -> None:
        """Say so wherever left > right."""
        if {left, right} <= set(frame.columns):
            a, b = _floats(frame[left]), _floats(frame[right])
            faults.extend(
                CellFault(int(row), left, message(f"{a[row]:.15g}", f"{b[row]:.15g}")) for row in np.flatnonzero(a > b)
            )

    for arm in "12":
        compare(
            f"events{arm}",
            f"total{arm}",
            lambda events, total: f"{events} events in {total} participants; events cannot exceed the total",
        )
    compare("events", "total", lambda events, total: f"{events} events in {total} participants of one group")
    compare("es_ci_low", "es", lambda low, es: f"the lower limit {low} is above the effect {es}")
    compare("es", "es_ci_high", lambda es, high: f"the effect {es} is above its upper limit {high}")
    if {"es_ci_low", "es_ci_high"} <= set(frame.columns) and ("es" not in frame or bool(frame["es"].isna().any())):
        known = _floats(frame["es"]) if "es" in frame else np.full(len(frame), np.nan)
        low, high = _floats(frame["es_ci_low"]), _floats(frame["es_ci_high"])
        faults += [
            CellFault(
                int(row), "es_ci_low", f"the lower limit {low[row]:.15g} is above the upper limit {high[row]:.15g}"
            )
            for row in np.flatnonzero(np.isnan(known) & (low > high))
        ]
    if "p_value" in frame:
        cells = frame["p_value"].tolist()
        read = {cell: leading_number(cell) for cell in set(cells)}
        faults += [
            CellFault(row, "p_value", f"{shown(cell)} is not a p value; it must be between 0 and 1")
            for row, cell in enumerate(cells)
            if read[cell] < 0 or read[cell] > 1
        ]
    return faults + _arm_faults(frame) + _implementation_faults(frame)


def check_duplicates(columns: Sequence[Sequence[str]], lines: Sequence[int]) -> list[CellFault]:
    """Find rows that repeat another word for word.

    Parameters
    ----------
    columns : sequence of sequence of str
        The cells of the file, column by column.
    lines : sequence of int
        The line of each row.

    Returns
    -------
    list of CellFault
        One for every repetition, without a column.
    """
    first: dict[tuple[str, ...], int] = {}
    faults = []
    for row, cells in enumerate(zip(*columns, strict=True)):
        line = first.setdefault(cells, lines[row])
        if line != lines[row]:
            message = f"repeats line {line} word for word; delete it, or add what tells them apart"
            faults.append(CellFault(row, "", message))
    return faults


def counted_twice(frame: pd.DataFrame, lines: Sequence[int]) -> list[str]:
    """Find results that stand in a table more than once.

    Parameters
    ----------
    frame : DataFrame
        Outcomes; only those of the columns that name a result which are there are compared. Rows with an
        ``exclusion_reason`` are passed over.
    lines : sequence of int
        The line of each row.

    Returns
    -------
    list of str
        One sentence for every result that has several rows.
    """
    names = [name for name in SAME_RESULT if name in frame]
    groups: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    excluded = frame["exclusion_reason"].ne("").tolist() if "exclusion_reason" in frame else [False] * len(frame)
    cells = zip(*(frame[name].tolist() for name in names), strict=True)
    for key, line, out in zip(cells, lines, excluded, strict=True):
        if not out:
            # NaN differs from itself; a missing month is one value here.
            groups[tuple("" if part != part else part for part in key)].append(line)  # noqa: PLR0124
    return [
        f"{shown(', '.join(str(part) for part in key if part != ''))}: {number_lines(rows)}"
        for key, rows in groups.items()
        if len(rows) > 1
    ]


def missing_way(names: Sequence[str]) -> str | None:
    """Say which columns a table lacks for its effects to be computed.

    Parameters
    ----------
    names : sequence of str
        Its columns.

    Returns
    -------
    str or None
        None when one set of columns is complete.
    """
    lacking = {way: [name for name in needed if name not in names] for way, needed in WAYS_TO_AN_EFFECT.items()}
    if not all(lacking.values()):
        return None
    begun = {way: lacks for way, lacks in lacking.items() if len(lacks) < len(WAYS_TO_AN_EFFECT[way])}
    if begun:
        nearest = min(begun, key=lambda way: len(begun[way]))
        return f"the columns of {nearest} are incomplete; add {', '.join(begun[nearest])}"
    ways = "; ".join(f"{way}: {' '.join(needed)}" for way, needed in WAYS_TO_AN_EFFECT.items())
    return f"no column to compute an effect from; give one of these sets: {ways}"


def _arm_faults(frame: pd.DataFrame) -> list[CellFault]:
    """Find rows that compare an arm with itself, and comparisons whose rows do not name the same arms."""
    faults: list[CellFault] = []
    if set(ARMS) <= set(frame.columns):
        faults += [
            CellFault(row, "arm2", f"{shown(two)!r} is arm1, too; a row compares two arms")
            for row, (one, two) in enumerate(zip(*(frame[arm].tolist() for arm in ARMS), strict=True))
            if one and one.casefold() == two.casefold()
        ]
    named = [arm for arm in ARMS if arm in frame]
    if named and {"study_id", "comparison"} <= set(frame.columns):
        comparisons = list(zip(frame["study_id"].tolist(), frame["comparison"].tolist(), strict=True))
        for arm in named:
            first: dict[tuple[str, str], str] = {}
            for row, (key, name) in enumerate(zip(comparisons, frame[arm].tolist(), strict=True)):
                if all(key) and name and first.setdefault(key, name) != name:
                    message = f"{shown(name)!r}, but another row of the same comparison has {shown(first[key])!r}"
                    faults.append(CellFault(row, arm, message))
    return faults


def _implementation_faults(frame: pd.DataFrame) -> list[CellFault]:
    """Find what was coded of implementation without the words it rests on, and words without their source."""
    faults: list[CellFault] = []
    nothing = [""] * len(frame)
    said = [False] * len(frame)
    for factor in IMPLEMENTATION:
        quotes = f"{factor}_words"
        if factor not in frame and quotes not in frame:
            continue
        codes = frame[factor].tolist() if factor in frame else nothing
        words = frame[quotes].tolist() if quotes in frame else nothing
        for row, (code, quoted) in enumerate(zip(codes, words, strict=True)):
            said[row] |= bool(code or quoted)
            if code and not quoted:
                message = f"{shown(code)!r} without the source's words; quote them in {quotes}"
                faults.append(CellFault(row, factor, message))
    read_in = frame["impl_source"].tolist() if "impl_source" in frame else nothing
    return faults + [
        CellFault(row, "impl_source", "is missing; say where the words on implementation were read")
        for row, (something, where) in enumerate(zip(said, read_in, strict=True))
        if something and not where
    ]


def _floats(column: "pd.Series[float]") -> NDArray[np.float64]:
    return np.asarray(column, dtype=np.float64)
