"""Numbers of participants out of line with the trial they belong to, and times that cannot be."""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.findings import Finding
from metapeer.auditing.plausible_rows import QUIET, FloatArray, by_key, groups_of, numbers_in, shown, trials_of
from metapeer.auditing.table import AuditTable

__all__ = ["check_arm_sizes", "check_times"]

# Unequal randomisation is mostly 2:1 (Peckham et al. 2015, Contemporary Clinical Trials 45:113-122); from 5:1 on a
# digit may have been lost.
_UNEQUAL = 5.0
# Nothing speaks for eight to one: of 1,900 pairs of arms in the real tables of the tests the most unequal are 7.2 to 1.
_DIGIT_LOST = 8.0
# Arms of one trial shrink and grow between its outcomes by loss to follow-up, rarely by more than half.
_SIZE_JUMP = 3.0
# A follow-up may reach a few people whom the earlier one missed.
_REGAINED = 1.25


@QUIET
def check_arm_sizes(table: AuditTable) -> list[Finding]:
    """Find arm sizes out of line: with the other arm, with the trial's other rows, with those randomised.

    Parameters
    ----------
    table : AuditTable
        As read; columns ``n_intervention`` and ``n_control`` are used where trials were joined.

    Returns
    -------
    list of Finding
        ``arms_unequal``, ``n_out_of_line``, ``n_above_randomised``, ``n_grew``.
    """
    sizes = {arm: np.where(np.isfinite(n := table.number(f"n{arm}")), n, table.number(f"total{arm}")) for arm in "12"}
    names = {arm: "n" if table.has(f"n{arm}") else "total" for arm in "12"}
    with np.errstate(all="ignore"):
        ratio = np.maximum(sizes["1"], sizes["2"]) / np.minimum(sizes["1"], sizes["2"])
        rows = np.flatnonzero((ratio >= _UNEQUAL) & (np.minimum(sizes["1"], sizes["2"]) > 0) & np.isfinite(ratio))
    found = [
        Finding(
            check="arms_unequal",
            severity="suspicion" if ratio[row] >= _DIGIT_LOST else "remark",
            rows=(row,),
            columns=(f"{names['1']}1", f"{names['2']}2"),
            message="arms of very different size: few trials are randomised like this, so a digit may be missing",
            evidence=f"{shown(sizes['1'][row])} and {shown(sizes['2'][row])}, {ratio[row]:.1f} to 1",
            look_up="participants of each arm, and the ratio of randomisation",
        )
        for row in rows.tolist()
    ]
    comparisons = groups_of(table, "comparison", "arm1", "arm2")
    keys = [(trial, *rest) for trial, rest in zip(trials_of(table), comparisons, strict=True)]
    for group in by_key(keys).values():
        if len(group) > 2:
            found += _out_of_line(np.array(group), sizes, names)
    return found + _above_randomised(table, sizes, names) + _grown(table, keys, sizes, names)


def _out_of_line(rows: NDArray[np.int64], sizes: dict[str, FloatArray], names: dict[str, str]) -> list[Finding]:
    """Find a row whose arm is several times smaller or larger than in all other rows of the trial."""
    found: dict[int, list[Finding]] = {}
    for arm in "12":
        n = sizes[arm][rows]
        good = np.isfinite(n) & (n > 0)
        if good.sum() < 3:
            continue
        for place in np.flatnonzero(good).tolist():
            others = n[good & (np.arange(len(n)) != place)]
            far = max(n[place] / others.max(), others.min() / n[place])
            if far < _SIZE_JUMP or others.max() > 2 * others.min():
                continue
            row = int(rows[place])
            found.setdefault(row, []).append(
                Finding(
                    check="n_out_of_line",
                    severity="suspicion",
                    rows=(row,),
                    columns=(f"{names[arm]}{arm}",),
                    message="this arm has another size in every other row of the trial: a digit looks lost or "
                    "added, or another arm's number stands here",
                    evidence=f"{shown(n[place])} here, {shown(others.min())} to {shown(others.max())} in "
                    f"{len(others)} other rows",
                    look_up="participants analysed for this outcome",
                )
            )
    # Where both arms are of another size, another part of the trial was analysed.
    return [only[0] for only in found.values() if len(only) == 1]


def _above_randomised(table: AuditTable, sizes: dict[str, FloatArray], names: dict[str, str]) -> list[Finding]:
    """Find more participants analysed than randomised."""
    found: list[Finding] = []
    for arm, column in (("1", "n_intervention"), ("2", "n_control")):
        most = numbers_in(table, column)
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero((sizes[arm] > most) & (most > 0))
        found.extend(
            Finding(
                check="n_above_randomised",
                severity="suspicion",
                rows=(row,),
                columns=(f"{names[arm]}{arm}", column),
                message="more participants analysed than randomised: arms exchanged, arms pooled, or another trial",
                evidence=f"{names[arm]}{arm} = {shown(sizes[arm][row])}, {column} = {shown(most[row])}",
                look_up="the flow of participants through the trial",
            )
            for row in rows.tolist()
        )
    return found


def _grown(
    table: AuditTable, keys: list[tuple[str, ...]], sizes: dict[str, FloatArray], names: dict[str, str]
) -> list[Finding]:
    """Find an arm that is larger at a later time on the same instrument."""
    months = table.number("timepoint_months")
    if not np.isfinite(months).any():
        return []
    parts = groups_of(table, "instrument", "outcome")
    found = []
    for rows in by_key([key + part for key, part in zip(keys, parts, strict=True)]).values():
        timed = sorted((row for row in rows if math.isfinite(months[row])), key=lambda row: months[row])
        for first, later in pairwise(timed):
            for arm in "12":
                before, after = sizes[arm][first], sizes[arm][later]
                if months[first] < months[later] and before > 0 and after > _REGAINED * before:
                    found.append(
                        Finding(
                            check="n_grew",
                            severity="remark",
                            rows=(first, later),
                            columns=(f"{names[arm]}{arm}",),
                            message="the arm is larger at the later time: another analysis set, or times exchanged",
                            evidence=f"{shown(before)} at {shown(months[first])} months, {shown(after)} at "
                            f"{shown(months[later])}",
                            look_up="participants analysed at each time",
                        )
                    )
    return found


@QUIET
def check_times(table: AuditTable) -> list[Finding]:
    """Find times before the start, and years that cannot be.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``time_impossible``, ``year_impossible``.
    """
    found: list[Finding] = []
    months = table.number("timepoint_months")
    with np.errstate(invalid="ignore"):
        # Nobody has followed a trial for a century: such a number is days, or a year.
        found.extend(
            Finding(
                check="time_impossible",
                severity="error",
                rows=(row,),
                columns=("timepoint_months",),
                message="no trial is measured at this time: a slip, another unit, or a code for a missing time",
                evidence=f"timepoint_months = {shown(months[row])}",
                look_up="when the outcome was measured",
            )
            for row in np.flatnonzero((months < 0) | (months > 1200)).tolist()
        )
        year = numbers_in(table, "year")
        # The first randomised trials date from the 1940s (Medical Research Council 1948, BMJ 2:769-782). Some tables
        # number the studies of one year by a decimal, or write a year with two digits: neither is an error.
        odd = np.flatnonzero((year > 2100) | ((year > 100) & (year < 1900)) | (year < 0))
    found.extend(
        Finding(
            check="year_impossible",
            severity="error",
            rows=(row,),
            columns=("year",),
            message="no trial was published in this year",
            evidence=f"year = {shown(year[row])}",
            look_up="the year of publication",
        )
        for row in odd.tolist()
    )
    return found
