"""Participants who count twice: one trial under two names, arms shared by comparisons, several rows of one trial."""

import math
import re
from collections.abc import Iterable

import numpy as np

from metapeer.auditing.copies import find_arm_sizes, find_sizes
from metapeer.auditing.findings import Finding
from metapeer.auditing.plausible_rows import QUIET, by_key, groups_of, shown, trials_of
from metapeer.auditing.table import AuditTable
from metapeer.formatting import count

__all__ = ["check_shared_arms", "check_trial_columns", "check_trial_names", "check_trial_rows"]

# Columns that describe a trial, so that they should not change between its rows. Risk of bias may be judged outcome by
# outcome (Sterne et al. 2019, BMJ 366:l4898), which is a remark.
_TRIAL = (
    "citation", "doi", "year", "country", "n_intervention", "n_control", "recruitment", "percent_women", "mean_age",
    "disorder", "perinatal", "delivery", "structure", "randomised",
)  # fmt: skip
_NAMED = 4
# Papers of one trial follow one another within some years.
_YEARS = 6
_TELLING = 20


@QUIET
def check_trial_names(table: AuditTable) -> list[Finding]:
    """Find one trial under two names: by its DOI or citation, by author and year, by its numbers.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``trial_two_names``, ``trials_alike``.
    """
    trials = trials_of(table)
    found: list[Finding] = []
    seen: set[frozenset[str]] = set()
    for column in ("doi", "citation"):
        cells = [_reference(cell) for cell in table.text(column)]
        rows = [row for row in range(table.k) if len(cells[row]) > _NAMED]
        for members in by_key(cells, rows).values():
            names = frozenset(trials[row] for row in members)
            if len(names) < 2 or names in seen or any(name.startswith("\0") for name in names):
                continue
            seen.add(names)
            found.append(
                Finding(
                    check="trial_two_names",
                    severity="suspicion",
                    rows=tuple(members),
                    columns=("study_id", column),
                    message=f"trials with different names have the same {column}: their participants may count twice",
                    evidence=f"{_listed(table, members)}: {table.text(column)[members[0]][:80]}",
                    look_up="whether these are one trial",
                )
            )
    return found + _spellings(table, trials) + _by_author_and_year(table, trials, seen) + _alike(table, trials)


def _reference(text: str) -> str:
    """Reduce a DOI or citation to what identifies it."""
    return re.sub(r"^(?:https?://)?(?:dx\.)?(?:doi\.org/|doi:\s*)", "", re.sub(r"\s+", " ", text.strip().casefold()))


def _listed(table: AuditTable, rows: Iterable[int]) -> str:
    names = list(dict.fromkeys(table.text("study_id")[row] for row in rows))
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _spellings(table: AuditTable, trials: list[str]) -> list[Finding]:
    """Find names that differ in case, spaces and punctuation only: software takes them for two trials."""
    raw = table.text("study_id")
    return [
        Finding(
            check="trial_two_names",
            severity="suspicion",
            rows=tuple(members),
            columns=("study_id",),
            message="one trial is spelled in different ways: software takes it for several trials",
            evidence=_listed(table, members),
            look_up="whether these are one trial",
        )
        for members in by_key(trials).values()
        if len({raw[row] for row in members}) > 1
    ]


def _alike(table: AuditTable, trials: list[str]) -> list[Finding]:
    """Find trials of one first author, a few years apart, with the same number in each arm."""
    first, second = find_arm_sizes(table)
    names = {trial: _author_year(trial) for trial in dict.fromkeys(trials)}
    sizes: dict[tuple[str, float, float], list[int]] = {}
    for row, trial in enumerate(trials):
        part = names[trial]
        # Small and round arms are the same by plan: they tell nothing.
        if part and min(first[row], second[row]) > _TELLING and (first[row] % 10 or second[row] % 10):
            sizes.setdefault((part[0], float(first[row]), float(second[row])), []).append(row)
    found = []
    for (_, n1, n2), members in sizes.items():
        years = {int(part[1]) for row in members if (part := names[trials[row]])}
        if len({trials[row] for row in members}) < 2 or not 0 < max(years) - min(years) <= _YEARS:
            continue
        found.append(
            Finding(
                check="trials_alike",
                severity="remark",
                rows=tuple(members),
                columns=("study_id", "n1", "n2"),
                message="trials of one first author have the same number in each arm: they may report the same people",
                evidence=f"{_listed(table, members)}: {shown(n1)} and {shown(n2)}",
                look_up="recruitment, registration and dates of the trials",
            )
        )
    return found


def _by_author_and_year(table: AuditTable, trials: list[str], seen: set[frozenset[str]]) -> list[Finding]:
    """Find names that differ in spelling, or in a letter after the year, only."""
    parts = {name: _author_year(name) for name in dict.fromkeys(trials) if not name.startswith("\0")}
    rows = by_key(trials)
    sizes = find_sizes(table)
    same: dict[tuple[str, str], list[str]] = {}
    for name, part in parts.items():
        if part is not None:
            same.setdefault(part[:2], []).append(name)
    found = []
    for names in same.values():
        if len(names) < 2 or frozenset(names) in seen:
            continue
        letters = [part[2] for name in names if (part := parts[name]) is not None]
        members = [row for name in names for row in rows[name]]
        # Two papers of a year are told apart by letters: "2012a" and "2012b" are two papers, "2012" and "2012a" may be
        # one, "smith 2012" and "Smith (2012)" are.
        spelled = len(set(letters)) < len(letters)
        if not spelled and "" not in letters:
            continue
        totals = [{sizes[row] for row in rows[name] if math.isfinite(sizes[row])} for name in names]
        shared = set.intersection(*totals) if totals else set()
        found.append(
            Finding(
                check="trial_two_names",
                severity="suspicion" if spelled or shared else "remark",
                rows=tuple(sorted(members)),
                columns=("study_id",),
                message="names that differ in spelling only: one trial may stand under two names, so that its "
                "participants count twice and its rows pass for independent",
                evidence=_listed(table, members) + (f"; both have {shown(min(shared))} participants" if shared else ""),
                look_up="whether these are one trial",
            )
        )
    return found


def _author_year(name: str) -> tuple[str, str, str] | None:
    """Split a name such as "smith et al 2014 a" into author, year and letter."""
    match = re.fullmatch(r"(.*?\D)\s*((?:19|20)\d\d)\s*([a-z]?)", name)
    if match is None:
        return None
    words = re.sub(r"\b(?:et al|and colleagues)\b", "", match[1])
    return (re.sub(r"[^\w]+", "", words), match[2], match[3]) if re.search(r"[^\W\d]", words) else None


@QUIET
def check_shared_arms(table: AuditTable) -> list[Finding]:
    """Find an arm that several comparisons of one trial share, so that its participants count more than once.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``arm_shared``: one for each trial and arm, on the evidence of equal numbers; ``arm_may_be_shared``: several
        comparisons of one trial and outcome whose participants are not in the table.
    """
    trials = trials_of(table)
    comparisons = groups_of(table, "comparison", "arm1", "arm2")
    outcomes = groups_of(table, "outcome_group", "outcome", "timepoint_months")
    instruments = groups_of(table, "instrument")
    found = []
    for arm, other in ("21", "12"):
        shared: dict[str, list[int]] = {}
        for names in (("n", "mean", "sd"), ("total", "events")):
            own = _cells(table, names, arm)
            beside = _cells(table, names, other)
            rows = np.flatnonzero([all(map(math.isfinite, cells)) for cells in own]).tolist()
            keys = list(zip(trials, outcomes, instruments, own, strict=True))
            for members in by_key(keys, rows).values():
                if len({(comparisons[row], beside[row]) for row in members}) > 1 and len(members) > 1:
                    shared.setdefault(trials[members[0]], []).extend(members)
        for members in shared.values():
            columns = (
                ("n", "mean", "sd") if math.isfinite(table.number(f"mean{arm}")[members[0]]) else ("total", "events")
            )
            found.append(
                Finding(
                    check="arm_shared",
                    severity="remark",
                    rows=tuple(sorted(set(members))),
                    columns=tuple(f"{name}{arm}" for name in columns),
                    message="comparisons of one trial share an arm: pooled as independent, its participants count more "
                    "than once (divide the arm, pool the other arms, or model the dependence)",
                    evidence=", ".join(f"{n}{arm} = {shown(table.number(f'{n}{arm}')[members[0]])}" for n in columns)
                    + f" in rows with another arm {other}",
                    look_up="which arms the trial had",
                )
            )
    return found + _hidden_arms(table, trials, comparisons)


def _cells(table: AuditTable, names: tuple[str, ...], arm: str) -> list[tuple[float, ...]]:
    return list(zip(*(table.number(f"{name}{arm}").tolist() for name in names), strict=True))


def _hidden_arms(table: AuditTable, trials: list[str], comparisons: list[tuple[str, ...]]) -> list[Finding]:
    """Find several comparisons of one trial and outcome whose participants are not in the table."""
    outcomes = (
        groups_of(table, "outcome_group", "timepoint_months")
        if table.has("outcome_group")
        else groups_of(table, "outcome", "timepoint_months")
    )
    sizes = find_sizes(table)
    rows: dict[str, list[int]] = {}
    for members in by_key(list(zip(trials, outcomes, strict=True))).values():
        if len({comparisons[row] for row in members}) > 1 and not any(math.isfinite(sizes[row]) for row in members):
            rows.setdefault(trials[members[0]], []).extend(members)
    if len(rows) > _NAMED:  # a table without arms: one remark says it all
        rows = {"": [row for members in rows.values() for row in members]}
    return [
        Finding(
            check="arm_may_be_shared",
            severity="remark",
            rows=tuple(sorted(members)),
            columns=("comparison", "n1", "n2"),
            message="several comparisons of one trial in one outcome, without their participants: they may share an "
            "arm, and then its participants count more than once",
            evidence=f"{len(members)} rows; "
            + "; ".join(sorted({table.text("comparison")[row] for row in members})[:_NAMED]),
            look_up="which arms the trial had, and their sizes",
        )
        for members in rows.values()
    ]


@QUIET
def check_trial_columns(table: AuditTable) -> list[Finding]:
    """Find what describes a trial and yet differs between its rows.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``trial_differs``: one for each trial and column.
    """
    trials = trials_of(table)
    found = []
    for column in map(str, table.data.columns):
        bias = re.fullmatch(r"rob(?:_.+|\d+)?", column) is not None
        if not (bias or column in _TRIAL):
            continue
        cells = [cell.strip() for cell in table.text(column)]
        groups = by_key(trials, [row for row, cell in enumerate(cells) if cell])
        several = [members for members in groups.values() if len(members) > 1]
        mixed = [members for members in several if len({_value(cells[row]) for row in members}) > 1]
        # A column that changes within most trials does not describe trials in this table.
        if not mixed or len(mixed) > max(1, len(several) // 3):
            continue
        for members in mixed:
            values = list(dict.fromkeys(cells[row] for row in members))
            found.append(
                Finding(
                    check="trial_differs",
                    severity="remark" if bias else "suspicion",
                    rows=tuple(members),
                    columns=(column,),
                    message="the risk of bias differs between the rows of one trial: judged outcome by outcome, or one "
                    "of them is a slip"
                    if bias
                    else "what describes the trial differs between its rows: two trials under one name, or a slip",
                    evidence=f"{column}: " + ", ".join(value[:60] for value in values[:_NAMED]),
                    look_up="the judgement for each outcome" if bias else f"the {column} of the trial",
                )
            )
    return found


def _value(cell: str) -> str | float:
    """Compare cells as numbers where they are numbers."""
    try:
        return float(cell)
    except ValueError:
        return cell.casefold()


@QUIET
def check_trial_rows(table: AuditTable) -> list[Finding]:
    """Find trials with several rows in one outcome, which ordinary pooling takes for independent trials.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``trial_repeats``, one for the whole table, with what tells the rows of a trial apart.
    """
    trials = trials_of(table)
    pooled = groups_of(table, "outcome_group" if any(table.text("outcome_group")) else "outcome")
    months = ["" if math.isnan(x) else str(x) for x in table.number("timepoint_months").tolist()]
    kinds: dict[str, list[tuple[str, ...]]] = {
        "times": [(month, *label) for month, label in zip(months, groups_of(table, "timepoint"), strict=True)],
        "instruments": groups_of(table, "instrument"),
        "comparisons": groups_of(table, "comparison", "arm1", "arm2"),
    }
    rows: list[int] = []
    apart: dict[str, set[str]] = {kind: set() for kind in kinds}
    repeated: set[str] = set()
    for members in by_key(list(zip(trials, pooled, strict=True))).values():
        if len(members) < 2:
            continue
        rows += members
        repeated.add(trials[members[0]])
        for kind, cells in kinds.items():
            if len({cells[row] for row in members}) > 1:
                apart[kind].add(trials[members[0]])
    if not rows:
        return []
    told = "".join(f"; several {kind} in {len(names)}" for kind, names in apart.items() if names)
    return [
        Finding(
            check="trial_repeats",
            severity="remark",
            rows=tuple(sorted(rows)),
            columns=("study_id",),
            message="trials with several rows in one outcome: pooled as if independent, their participants count more "
            "than once (choose one row for each trial, or model the dependence)",
            evidence=f"{count(len(repeated), 'trial')}, {count(len(rows), 'row')}{told}",
            look_up="which of the rows the question asks for",
        )
    ]
