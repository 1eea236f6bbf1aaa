"""Numbers that cannot be, judged by their own row: counts, means, standard deviations.

Each check reads the whole table and returns what it finds; none of them changes or refuses anything.
"""

import math

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.findings import Finding
from metapeer.auditing.integers import largest_sd
from metapeer.auditing.plausible_rows import (
    QUIET,
    FloatArray,
    arms_of,
    groups_of,
    half_units,
    numbers_in,
    shifted_rows,
    shown,
    significant_digits,
    usable,
    whole,
)
from metapeer.auditing.table import AuditTable

__all__ = [
    "check_counts",
    "check_means",
    "check_percentages",
    "check_sds",
    "check_whole_numbers",
]

# Counts that are not whole are a slip when they stand alone; a column full of them was computed (weighted counts,
# effective sample sizes of cluster trials), which is worth one remark.
_MANY = 0.2
# Rows of one instrument that must lie within its range before a row outside is called impossible, not the range.
_TRUSTED = 0.5
# Means of two arms that lie ten times apart, give or take what a large effect of a treatment does: Cohen's (1988) large
# effect, 0.8, is the least that is asked about, and his middling one, 0.5, the most that may be left once the point of
# one mean is moved. None of the 900 pairs of means in the real tables of the tests is like that.
_TENFOLD = (math.log(10 / 1.6), math.log(10 * 1.6))
_LARGE_EFFECT, _MIDDLING_EFFECT = 0.8, 0.5


@QUIET
def check_counts(table: AuditTable) -> list[Finding]:
    """Find events above participants and negative counts.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``negative_count``, ``events_above_total``.
    """
    found = []
    for name in ("n1", "n2", "events1", "events2", "total1", "total2"):
        number = table.number(name)
        with np.errstate(invalid="ignore"):
            low = np.flatnonzero((number < 0) | ((number == 0) & (not name.startswith("events"))))
        for row in low.tolist():
            what = "a number of people below 0" if number[row] < 0 else "no participants"
            found.append(
                Finding(
                    check="negative_count",
                    severity="error",
                    rows=(row,),
                    columns=(name,),
                    message=f"{what}: a slip of the pen, or a code for a missing number",
                    evidence=f"{name} = {shown(number[row])}",
                    look_up="the number of participants or events",
                    instead={row: None},
                )
            )
    for arm in "12":
        events, total, n = (table.number(f"{name}{arm}") for name in ("events", "total", "n"))
        column = np.where(np.isfinite(total), total, n)
        with np.errstate(invalid="ignore"):
            above = np.flatnonzero((events > column) & (column >= 0))
        for row in above.tolist():
            size = "total" if math.isfinite(total[row]) else "n"
            percent = events[row] <= 100
            found.append(
                Finding(
                    check="events_above_total",
                    severity="error",
                    rows=(row,),
                    columns=(f"events{arm}", f"{size}{arm}"),
                    message="more events than participants: "
                    + (
                        "a percentage entered as a count, or the two exchanged" if percent else "the two look exchanged"
                    ),
                    evidence=f"events{arm} = {shown(events[row])}, {size}{arm} = {shown(column[row])}"
                    + (
                        f"; {shown(events[row])}% of {shown(column[row])} are {events[row] * column[row] / 100:.1f}"
                        if percent
                        else ""
                    ),
                    look_up="events and participants of this arm, and whether the paper prints percentages",
                    instead={row: None},
                )
            )
    return found


@QUIET
def check_whole_numbers(table: AuditTable) -> list[Finding]:
    """Find participants and events that are not whole numbers.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``count_not_whole``: one for each row, or one for the table when many rows have them.
    """
    columns = ("n1", "n2", "events1", "events2", "total1", "total2")
    numbers = {column: table.number(column) for column in columns}
    bad = {column: np.isfinite(x) & ~whole(x) for column, x in numbers.items()}
    rows = np.flatnonzero(np.any(list(bad.values()), axis=0))
    rows = rows[~np.isin(rows, list(shifted_rows(table)))]
    filled = int(np.any([np.isfinite(x) for x in numbers.values()], axis=0).sum())
    if len(rows) > max(3, _MANY * filled):
        return [
            Finding(
                check="count_not_whole",
                severity="remark",
                rows=tuple(rows.tolist()),
                columns=tuple(column for column in columns if bad[column].any()),
                message="many numbers of people are not whole: they look computed (percentages turned into counts, "
                "effective sample sizes of cluster trials, a corrected zero)",
                evidence=f"{len(rows)} of {filled} rows",
                look_up="how the numbers were made",
            )
        ]
    found = []
    for row in rows.tolist():
        cells = [column for column in columns if bad[column][row]]
        found.append(
            Finding(
                check="count_not_whole",
                severity="suspicion",
                rows=(row,),
                columns=tuple(cells),
                message="a number of people that is not whole looks like a mean, a percentage or a computed number in "
                "the wrong cell",
                evidence=", ".join(f"{cell} = {shown(numbers[cell][row])}" for cell in cells),
                look_up="the number of participants or events",
            )
        )
    return found


@QUIET
def check_percentages(table: AuditTable) -> list[Finding]:
    """Find a pair of columns whose events read like percentages of the participants.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``percentages_as_counts``, one for the whole table.
    """
    cells = [(table.number(f"events{arm}"), table.number(f"total{arm}")) for arm in "12"]
    events, totals = (np.concatenate(column) for column in zip(*cells, strict=True))
    here = np.isfinite(events) & np.isfinite(totals) & (totals > 0)
    if here.sum() < 4 or np.any(events[here] > 100) or np.any(events[here] < 0):
        return []
    above = (events[here] > totals[here]).mean()
    broken = (~whole(events[here])).mean()
    # Counts are whole and never above the total. A quarter of cells breaking either rule is no scatter of slips.
    if above < 0.25 and broken < 0.25:
        return []
    counts = events[here] * totals[here] / 100
    near = float((np.abs(counts - np.round(counts)) <= totals[here] / 200 + 1e-9).mean())
    if near < 0.5:
        return []
    rows = np.flatnonzero(np.isfinite(cells[0][0]) | np.isfinite(cells[1][0]))
    return [
        Finding(
            check="percentages_as_counts",
            severity="suspicion",
            rows=tuple(rows.tolist()),
            columns=("events1", "events2"),
            message="the columns of events look like percentages of the participants, not counts",
            evidence=f"none is above 100; {above:.0%} are above their total and {broken:.0%} are not whole",
            look_up="whether the source prints numbers or percentages of participants with the event",
        )
    ]


@QUIET
def check_means(table: AuditTable) -> list[Finding]:
    """Find means that the instrument cannot give, and means that equal their standard deviations.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``mean_outside_range``, ``mean_equals_sd``, ``decimal_point``.
    """
    arms = arms_of(table)
    low, high = _ranges(table)
    scores = _are_scores(table)
    wrong: dict[int, list[str]] = {}
    tested: dict[object, int] = {}
    failed: dict[object, int] = {}
    keys = groups_of(table, "instrument")
    for column in ("mean1", "mean2"):
        mean, half = arms[column], half_units(table, column)
        with np.errstate(invalid="ignore"):
            outside = scores & ((mean + half < low) | (mean - half > high))
        for row in np.flatnonzero(np.isfinite(mean) & np.isfinite(high) & scores).tolist():
            tested[keys[row]] = tested.get(keys[row], 0) + 1
            if outside[row]:
                failed[keys[row]] = failed.get(keys[row], 0) + 1
                wrong.setdefault(row, []).append(column)
    found = []
    for row, columns in wrong.items():
        rare = failed[keys[row]] < _TRUSTED * tested[keys[row]] or tested[keys[row]] <= 2
        found.append(
            Finding(
                check="mean_outside_range",
                severity="error" if rare else "remark",
                rows=(row,),
                columns=tuple(columns),
                message="the instrument cannot give this mean: another version or scoring, another "
                "instrument's number, or a slip of the point",
                evidence=", ".join(f"{c} = {shown(arms[c][row])}" for c in columns)
                + f"; the instrument runs from {shown(low[row])} to {shown(high[row])}"
                + ("" if rare else "; most means of this instrument lie outside: its range may be wrong"),
                look_up="the mean, and the version and scoring of the instrument",
            )
        )
    return found + _means_that_equal_sds(table, arms) + _tenfold_means(arms)


def _tenfold_means(arms: dict[str, FloatArray]) -> list[Finding]:
    """Find arms of one trial whose means lie apart by the place of a decimal point."""
    with np.errstate(all="ignore"):
        positive = (arms["mean1"] > 0) & (arms["mean2"] > 0)
        apart = np.log(arms["mean1"] / arms["mean2"])
        sd = np.sqrt((arms["sd1"] ** 2 + arms["sd2"] ** 2) / 2)
        larger, smaller = np.fmax(arms["mean1"], arms["mean2"]), np.fmin(arms["mean1"], arms["mean2"])
        left = np.fmin(np.abs(larger / 10 - smaller), np.abs(larger - 10 * smaller)) / sd
        tenfold = (np.abs(apart) > _TENFOLD[0]) & (np.abs(apart) < _TENFOLD[1])
        rows = usable(arms) & positive & tenfold & (larger - smaller >= _LARGE_EFFECT * sd) & (left <= _MIDDLING_EFFECT)
    return [
        Finding(
            check="decimal_point",
            severity="suspicion",
            rows=(row,),
            columns=("mean1", "mean2"),
            message="one arm's mean is about ten times the other's: the decimal point of one of them looks misplaced",
            evidence=f"mean1 = {shown(arms['mean1'][row])}, mean2 = {shown(arms['mean2'][row])}, "
            f"SDs {shown(arms['sd1'][row])} and {shown(arms['sd2'][row])}",
            look_up="the mean of each arm",
            instead={row: None},
        )
        for row in np.flatnonzero(rows).tolist()
    ]


def _means_that_equal_sds(table: AuditTable, arms: dict[str, FloatArray]) -> list[Finding]:
    """Find arms whose mean was copied into the cell of the standard deviation."""
    found = []
    equal = [(arms[f"mean{a}"] == arms[f"sd{a}"]) & (arms[f"mean{a}"] != 0) for a in "12"]
    for row in np.flatnonzero(equal[0] | equal[1]).tolist():
        arm = [a for a, same in zip("12", equal, strict=True) if same[row]]
        digits = sum(significant_digits(str(table.written[f"sd{a}"].iloc[row])) for a in arm)
        # An exponential outcome has a mean near its SD; that both agree to three digits in all is one in a hundred.
        if digits < 3:
            continue
        found.append(
            Finding(
                check="mean_equals_sd",
                severity="suspicion" if len(arm) == 2 or digits >= 4 else "remark",
                rows=(row,),
                columns=tuple(f"{name}{a}" for a in arm for name in ("mean", "sd")),
                message="mean and standard deviation are the same number: one of them looks copied into the cell "
                "of the other",
                evidence=", ".join(f"mean{a} = sd{a} = {shown(arms[f'mean{a}'][row])}" for a in arm),
                look_up="the standard deviation of each arm",
                instead={row: None},
            )
        )
    return found


def _ranges(table: AuditTable) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest score of each row: the instrument's, else the row's own columns min and max."""
    own_low, own_high = numbers_in(table, "min"), numbers_in(table, "max")
    low, high = (np.array([pair[i] for pair in table.ranges], np.float64) for i in (0, 1))
    low, high = np.where(np.isfinite(low), low, own_low), np.where(np.isfinite(high), high, own_high)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(low) & np.isfinite(high) & (low < high)
    return np.where(good, low, np.nan), np.where(good, high, np.nan)


def _are_scores(table: AuditTable) -> NDArray[np.bool_]:
    """Rows whose means are scores on the instrument, not changes."""
    return np.array([statistic.strip().lower() != "change" for statistic in table.text("statistic")], np.bool_)


@QUIET
def check_sds(table: AuditTable) -> list[Finding]:
    """Find standard deviations that are negative, zero, or too large for the range of the instrument.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``sd_not_positive``, ``sd_above_range``.
    """
    arms = arms_of(table)
    low, high = _ranges(table)
    scores = _are_scores(table)
    found = []
    sds = np.stack([arms["sd1"], arms["sd2"]])
    with np.errstate(invalid="ignore"):
        bad = sds <= 0
    for row in np.flatnonzero(bad.any(axis=0)).tolist():
        cells = [f"sd{arm}" for arm in "12" if bad[int(arm) - 1, row]]
        negative = bool((sds[:, row] < 0).any())
        found.append(
            Finding(
                check="sd_not_positive",
                severity="error" if negative else "suspicion",
                rows=(row,),
                columns=tuple(cells),
                message="a standard deviation below 0 cannot be"
                if negative
                else "a standard deviation of 0 says that all scores were the same: it looks like a missing number",
                evidence=", ".join(f"{cell} = {shown(arms[cell][row])}" for cell in cells),
                look_up="the standard deviation of each arm",
                instead={row: None},
            )
        )
    wrong: dict[int, list[tuple[str, float]]] = {}
    for arm in "12":
        most = largest_sd(arms[f"mean{arm}"], arms[f"n{arm}"], low, high, half=half_units(table, f"mean{arm}"))
        with np.errstate(invalid="ignore"):
            above = scores & (arms[f"sd{arm}"] - half_units(table, f"sd{arm}") > most * (1 + 1e-9))
        for row in np.flatnonzero(above).tolist():
            wrong.setdefault(row, []).append((f"sd{arm}", float(most[row])))
    for row, cells_above in wrong.items():
        found.append(
            Finding(
                check="sd_above_range",
                severity="error",
                rows=(row,),
                columns=tuple(cell for cell, _ in cells_above),
                message="the instrument cannot give so large a standard deviation at this mean: a variance, a slip of "
                "the point, or another scoring",
                evidence=", ".join(
                    f"{cell} = {shown(arms[cell][row])}, at most {shown(most)}" for cell, most in cells_above
                )
                + f" on a range from {shown(low[row])} to {shown(high[row])}",
                look_up="the standard deviation, and the version and scoring of the instrument",
            )
        )
    return found
