"""Printed digits: means and SDs that whole-numbered scores cannot have, and last digits that are not spread evenly."""

import math

import numpy as np
from scipy.special import chdtrc

from metapeer.auditing.findings import Finding
from metapeer.auditing.integers import grim, grim_chance, grimmer
from metapeer.auditing.plausible_rows import QUIET, FloatArray, arms_of, by_key, groups_of, numbers_in, shown
from metapeer.auditing.table import AuditTable

__all__ = ["check_granularity", "check_last_digits"]

# An instrument is taken to be scored in whole numbers when its other means fit whole numbers and would do so by
# accident once in a thousand.
_ACCIDENT = 1e-3
# Means that whole numbers cannot give, among those of one instrument, before it is taken not to be scored in them.
_EXCEPTIONS = 0.2
# Chi-squared needs five expected in each of ten cells (Cochran 1954, Biometrics 10:417-451).
_VALUES = 50
_MOST_DECIMALS = 4
_UNEVEN = 1e-4


@QUIET
def check_granularity(table: AuditTable) -> list[Finding]:
    """Find means and standard deviations that whole-numbered scores cannot have (GRIM, GRIMMER).

    Most instruments average items or are adjusted, and then any mean is possible. So the test is a finding only where
    the table says how many whole-numbered items were averaged (column ``items``; 1 for sums and single items). Without
    that column, an instrument is taken to be whole-numbered when its other means show it: all but a few of those that
    the test can judge fit, and by accident they would do so less than once in a thousand. Then it is a remark. Testing
    item counts one after another until none fits would be no test: any mean with two decimals fits 50 items.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``mean_not_possible`` (GRIM), ``sd_not_possible`` (GRIMMER).

    References
    ----------
    Brown & Heathers (2017), Social Psychological and Personality Science 8:363-369.
    Anaya (2016), PeerJ Preprints 4:e2400v1.
    """
    arms = arms_of(table)
    given = numbers_in(table, "items")
    statistic = [text.strip().lower() for text in table.text("statistic")]
    raw = np.array([text in ("", "post") for text in statistic], np.bool_)
    items = np.where(np.isfinite(given) & (given >= 1), given, 1.0)
    fits: dict[str, np.ndarray] = {}
    chance: dict[str, FloatArray] = {}
    for arm in "12":
        mean, n, digits = arms[f"mean{arm}"], arms[f"n{arm}"], _printed(table, f"mean{arm}")
        fits[arm] = grim(mean, n, digits, items=items)
        chance[arm] = np.where(np.isfinite(mean), grim_chance(n, digits, items=items), 1.0)
    known = np.isfinite(given) & (given >= 1)
    shows = _instruments_of_whole_numbers(table, fits, chance, raw & ~known)
    wrong = _items_do_not_fit(fits, chance, raw & known)
    if wrong:
        known = np.zeros(table.k, np.bool_)
    found = wrong
    judged = raw & (known | shows)
    for arm in "12":
        digits, digits_sd = _printed(table, f"mean{arm}"), _printed(table, f"sd{arm}")
        both = grimmer(arms[f"mean{arm}"], arms[f"sd{arm}"], arms[f"n{arm}"], digits, digits_sd, items=items)
        for row in np.flatnonzero(judged & ~(fits[arm] & both)).tolist():
            mean_fails = not fits[arm][row]
            if not mean_fails and not known[row]:
                continue
            found.append(_granularity_finding(table, arms, row, arm, mean=mean_fails, known=bool(known[row])))
    return found


def _printed(table: AuditTable, column: str) -> list[int]:
    """Decimals of the cells that a paper may have printed; -1 for those with more than anyone prints."""
    return [places if places <= _MOST_DECIMALS else -1 for places in table.decimals(column)]


def _items_do_not_fit(fits: dict[str, np.ndarray], chance: dict[str, FloatArray], rows: np.ndarray) -> list[Finding]:
    """Say so once when many means do not fit the items that the table names: then the items, not the means, are off."""
    told = {arm: rows & (chance[arm] < 1) for arm in "12"}
    total = sum(int(told[arm].sum()) for arm in "12")
    failed = sum(int((told[arm] & ~fits[arm]).sum()) for arm in "12")
    if failed < 3 or failed <= _EXCEPTIONS * total:
        return []
    return [
        Finding(
            check="items_do_not_fit",
            severity="remark",
            rows=tuple(np.flatnonzero((told["1"] & ~fits["1"]) | (told["2"] & ~fits["2"])).tolist()),
            columns=("items", "mean1", "mean2"),
            message="many means are not those of whole-numbered items: the scores are not whole numbers, or more was "
            "averaged than the column of items says; single means are not judged",
            evidence=f"{failed} of {total} means that can be judged",
            look_up="how the scores were made",
        )
    ]


def _instruments_of_whole_numbers(
    table: AuditTable, fits: dict[str, np.ndarray], chance: dict[str, FloatArray], rows: np.ndarray
) -> np.ndarray:
    """Mark the rows of instruments whose own means show that they are scored in whole numbers."""
    marked = np.zeros(table.k, np.bool_)
    if not any(table.text("instrument")):
        return marked
    for key, members in by_key(groups_of(table, "instrument"), np.flatnonzero(rows).tolist()).items():
        if not key[0]:
            continue
        group = np.array(members)
        odds = np.concatenate([chance["1"][group], chance["2"][group]])
        fit = np.concatenate([fits["1"][group], fits["2"][group]])
        told = odds < 1
        if not told.any() or (~fit[told]).mean() > _EXCEPTIONS:
            continue
        if float(np.log(odds[told & fit]).sum()) < math.log(_ACCIDENT):
            marked[group] = True
    return marked


def _granularity_finding(
    table: AuditTable, arms: dict[str, FloatArray], row: int, arm: str, *, mean: bool, known: bool
) -> Finding:
    n = arms[f"n{arm}"][row]
    column = f"mean{arm}" if mean else f"sd{arm}"
    printed = str(table.written[column].iloc[row])
    items = numbers_in(table, "items")[row] if known else 1.0
    what = "mean" if mean else "standard deviation"
    return Finding(
        check="mean_not_possible" if mean else "sd_not_possible",
        severity="suspicion" if known and mean else "remark",
        rows=(row,),
        columns=(column, f"n{arm}"),
        message=f"{shown(n)} whole-numbered scores cannot have this {what}: another n, an imputed or adjusted "
        f"{what}, or a slip",
        evidence=f"{column} = {printed}, n{arm} = {shown(n)}"
        + (f", {shown(items)} items averaged" if items > 1 else "")
        + ("" if known else "; the other means of this instrument are those of whole numbers"),
        look_up=f"the {what}, the n it belongs to, and whether scores were imputed, adjusted or averaged",
    )


@QUIET
def check_last_digits(table: AuditTable) -> list[Finding]:
    """Find last digits of means and standard deviations that are not spread as evenly as they should be.

    Parameters
    ----------
    table : AuditTable
        As read; at least 50 means and SDs with one to four decimals are needed.

    Returns
    -------
    list of Finding
        ``last_digits_uneven``, one for the whole table.

    References
    ----------
    Mosimann, Dahlberg, Davidian & Krueger (2002), Accountability in Research 9:75-92.
    """
    digits: list[int] = []
    seen: set[tuple[int, str]] = set()
    trials = table.text("study_id")
    for column in ("mean1", "sd1", "mean2", "sd2"):
        if column not in table.written:
            continue
        for row, (cell, places) in enumerate(zip(table.written[column], table.decimals(column), strict=True)):
            text = str(cell).strip()
            # A number that stands twice in a trial (an arm shared by comparisons) is one number.
            key = (hash(trials[row]), text)
            if 1 <= places <= 4 and key not in seen:
                seen.add(key)
                digits.append(int(text[-1]))
    counts = np.bincount(np.array(digits, np.int64), minlength=10) if digits else np.zeros(10)
    # Where numbers were read as floats, 3.50 has become 3.5: no last digit is 0, and 0 cannot be judged.
    cells = counts[1:] if counts[0] == 0 else counts
    total = int(cells.sum())
    if total < _VALUES:
        return []
    expected = total / len(cells)
    statistic = float(((cells - expected) ** 2 / expected).sum())
    p = float(chdtrc(len(cells) - 1, statistic))
    if p >= _UNEVEN:
        return []
    first = 10 - len(cells)
    most = int(np.argmax(cells)) + first
    return [
        Finding(
            check="last_digits_uneven",
            severity="remark",
            rows=(),
            columns=("mean1", "sd1", "mean2", "sd2"),
            message="the last digits of means and standard deviations are not spread evenly: numbers read from "
            "figures, rounded to halves, or invented",
            evidence=f"{total} numbers, chi-squared {statistic:.1f} on {len(cells) - 1} degrees of freedom, "
            f"p = {p:.1g}; {most} ends {cells[most - first] / total:.0%} of them",
            look_up="how the numbers were taken from the papers",
        )
    ]
