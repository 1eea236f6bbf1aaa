"""The sign convention of a table, and the rows whose printed sign speaks against it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.findings import Finding, Severity
from metapeer.auditing.rederive_printed import Printed
from metapeer.auditing.rederive_rows import Group
from metapeer.auditing.table import AuditTable

__all__ = ["Convention", "check_signs", "find_convention"]

IntArray = NDArray[np.int64]

_CONVENTION_SHARE = 0.8
"""Share of rows that have to follow a convention; half of them would by chance."""
_FEWEST_ROWS = 5
"""Rows from which a convention can be told: that all of five agree by chance has a probability of 1 in 16."""
_FIRM_SHARE, _FIRM_ROWS = 0.9, 8
"""From here on a sign against the convention contradicts the table rather than looks odd."""
_ODD_SHARE = 0.05
"""Where directions are unknown, turned signs up to this share, or a single one of ten, look like slips; more of them
look like scales that run the other way."""

_SHOWN = 4
"""Rows of one finding whose numbers are shown."""

_WORDS = {
    "favours": "a positive effect favours arm 1, whichever way the scale runs",
    "against": "a positive effect favours arm 2, whichever way the scale runs",
    "raw": "effects are arm 1 minus arm 2, whichever way the scale runs",
    "reversed": "effects are arm 2 minus arm 1, whichever way the scale runs",
    "": "no sign convention can be told",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convention:
    """What the sign of a printed effect means in a table.

    Parameters
    ----------
    code : {"favours", "against", "raw", "reversed", ""}
        The convention; empty when none can be told.
    agree, of : int
        Rows that follow it, of the rows for which that can be told.
    expected : array of int, shape (k,)
        1 where the printed effect ought to be arm 1 minus arm 2, -1 where it ought to be turned, 0 where unknown.
    known : bool
        Whether it rests on the directions of instruments.
    """

    code: str
    agree: int
    of: int
    expected: IntArray
    known: bool

    @property
    def words(self) -> str:
        """The convention, with the rows it rests on."""
        if not self.code:
            return _WORDS[""]
        return f"{_WORDS[self.code]} ({self.agree} of {self.of} rows)"


def find_convention(table: AuditTable, groups: Sequence[Group]) -> tuple[Convention, IntArray]:
    """Find what most rows mean by the sign of their effect.

    Parameters
    ----------
    table : AuditTable
        The table.
    groups : sequence of Group
        Its rows that can be re-derived.

    Returns
    -------
    convention : Convention
        What the majority does.
    sign : array of int, shape (k,)
        1 where the printed effect is arm 1 minus arm 2, -1 where it is turned, 0 where that cannot be told.
    """
    sign = np.zeros(table.k, dtype=np.int64)
    for group in groups:
        sign[group.rows] = group.sign()
    way = np.array([{"higher_better": 1, "lower_better": -1}.get(d, 0) for d in table.directions], dtype=np.int64)
    known = (sign != 0) & (way != 0)
    if known.sum() >= _FEWEST_ROWS:
        candidates = {"favours": way, "raw": abs(way), "against": -way, "reversed": -abs(way)}
        judged = known
    else:
        ones = np.ones(table.k, dtype=np.int64)
        candidates = {"raw": ones, "reversed": -ones}
        judged = sign != 0
    of = int(judged.sum())
    agree = {code: int((judged & (sign == expected)).sum()) for code, expected in candidates.items()}
    code = max(agree, key=lambda name: agree[name])
    if of < _FEWEST_ROWS or agree[code] < _CONVENTION_SHARE * of:
        return Convention(code="", agree=0, of=of, expected=np.zeros(table.k, dtype=np.int64), known=False), sign
    expected = candidates[code] if judged is known else candidates[code] * (sign != 0)
    if judged is known and code in ("raw", "reversed"):
        expected = np.full(table.k, 1 if code == "raw" else -1, dtype=np.int64)
    return Convention(code=code, agree=agree[code], of=of, expected=expected, known=judged is known), sign


def check_signs(
    table: AuditTable, printed: Printed, groups: Sequence[Group], convention: Convention, sign: IntArray
) -> list[Finding]:
    """Find rows whose printed sign contradicts their raw numbers and the direction of their instrument.

    Parameters
    ----------
    table : AuditTable
        The table.
    printed : Printed
        What its rows print.
    groups : sequence of Group
        The rows that can be re-derived.
    convention : Convention
        What signs mean in it.
    sign : array of int, shape (k,)
        Of `find_convention`.

    Returns
    -------
    list of Finding
        One for each trial, or for each instrument all of whose rows are turned.
    """
    if not convention.code:
        return []
    wrong = np.flatnonzero((sign != 0) & (convention.expected != 0) & (sign != convention.expected))
    if not wrong.size:
        return []
    ratio = np.zeros(table.k, dtype=bool)
    for group in groups:
        formula = group.formula
        ratio[group.rows] = formula is not None and formula.ratio
    severity = _severity(convention, wrong.size)
    trials, instruments = table.text("study_id"), table.text("instrument")
    right: dict[str, int] = defaultdict(int)
    for i in np.flatnonzero((sign != 0) & (sign == convention.expected)).tolist():
        right[trials[i]] += 1
    arms = {name: table.number(name) for name in ("mean1", "mean2", "events1", "total1", "events2", "total2")}
    error = printed.error
    findings = []
    for rows, whole in _bundles(trials, instruments, wrong, sign, convention):
        trial = trials[rows[0]] if len({trials[i] for i in rows}) == 1 else ""
        findings.append(
            Finding(
                check="sign_against_direction",
                severity=severity,
                rows=tuple(rows),
                columns=(printed.effect_column[rows[0]],),
                message=_message(instruments[rows[0]] if whole else "", len(rows), convention),
                evidence="; ".join(
                    _evidence({name: float(x[i]) for name, x in arms.items()}, table.directions[i], printed.effect[i])
                    for i in rows[:_SHOWN]
                )
                + (f"; and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")
                + (_others(right[trial]) if trial else ""),
                look_up="the means or events of both arms, which arm is which, and which way the scale runs",
                instead={
                    # A ratio is not pooled as it is printed.
                    i: (-float(printed.effect[i]), float(error[i] * error[i]))
                    for i in rows
                    if not ratio[i] and 0 < error[i] * error[i] < np.inf
                },
            )
        )
    return findings


def _severity(convention: Convention, wrong: int) -> Severity:
    if convention.known:
        firm = convention.agree >= _FIRM_SHARE * convention.of and convention.of >= _FIRM_ROWS
        return "error" if firm else "suspicion"
    few = wrong <= _ODD_SHARE * convention.of or (wrong == 1 and convention.of >= 10)
    return "suspicion" if few else "remark"


def _bundles(
    trials: list[str], instruments: list[str], wrong: IntArray, sign: IntArray, convention: Convention
) -> list[tuple[list[int], bool]]:
    """Put together what is one slip: all rows of an instrument, if none of several trials is right, else a trial's."""
    judged = np.flatnonzero((sign != 0) & (convention.expected != 0))
    right: dict[str, int] = defaultdict(int)
    by_instrument: dict[str, list[int]] = defaultdict(list)
    at_fault = set(wrong.tolist())
    for i in judged.tolist():
        if i in at_fault:
            by_instrument[instruments[i]].append(i)
        else:
            right[instruments[i]] += 1
    bundles, taken = [], set()
    for name, rows in by_instrument.items():
        if name and not right[name] and len({trials[i] for i in rows}) >= 2:
            bundles.append((rows, True))
            taken |= set(rows)
    by_trial: dict[str, list[int]] = defaultdict(list)
    for i in wrong.tolist():
        if i not in taken:
            by_trial[trials[i] or f"row {i}"].append(i)
    return bundles + [(rows, False) for rows in by_trial.values()]


def _message(instrument: str, rows: int, convention: Convention) -> str:
    what = "the printed sign looks" if rows == 1 else "the printed signs look"
    start = f"{what} turned: in this table {convention.words}"
    if instrument:
        return (
            f"{start}, and every row with {instrument} is turned; either the signs are, or the direction recorded for "
            "the instrument is"
        )
    if convention.known:
        return (
            f"{start}; a wrong sign, arms entered in each other's place, or a wrong direction of the scale would do it"
        )
    return (
        f"{start}; which way the scale runs is not known: if it runs as the other scales do, the sign is wrong or the "
        "arms are swapped, if it runs the other way, the sign may have been turned on purpose"
    )


def _evidence(numbers: dict[str, float], direction: str, effect: float) -> str:
    if np.isfinite(numbers["mean1"] + numbers["mean2"]):
        arms = f"mean {numbers['mean1']:g} v {numbers['mean2']:g}"
    else:
        arms = "events {events1:g} of {total1:g} v {events2:g} of {total2:g}".format(**numbers)
    way = {"higher_better": ", higher is better", "lower_better": ", lower is better"}.get(direction, "")
    return f"{arms}{way}, printed effect {effect:.4g}"


def _others(right: int) -> str:
    """Say how many other rows of the same trial follow the convention."""
    if not right:
        return ""
    return f"; {right} other row{' of the trial follows' if right == 1 else 's of the trial follow'} the convention"
