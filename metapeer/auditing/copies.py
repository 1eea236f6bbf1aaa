"""Numbers that stand where they were not measured: copied rows, arms and errors, and cells shifted by a column.

Two rows may share numbers by chance. How likely that is follows from how finely the numbers were printed: a mean is
worth as many values as there are units of its last digit in two standard deviations, a standard deviation as many as
there are in half of itself. Equal numbers are reported when fewer than one in twenty tables of this size would have
such a pair by accident.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metapeer.auditing.findings import Finding
from metapeer.auditing.integers import half_unit
from metapeer.auditing.plausible_rows import (
    QUIET,
    FloatArray,
    arms_of,
    by_key,
    find_effects,
    groups_of,
    shifted_rows,
    shown,
    trials_of,
)
from metapeer.auditing.table import AuditTable

__all__ = ["check_copied_arms", "check_copied_errors", "check_copied_rows", "check_equal_arms", "check_shifted_cells"]

_ACCIDENT = 0.05
# Slips are not rare: a third of meta-analyses of standardised differences had one that mattered (Gøtzsche et al. 2007,
# JAMA 298:430-437). What happens by accident in fewer than one row in two hundred is more likely one of them.
_SLIP = 0.005
# Trials of like size have standard errors and intervals alike: once the effect is the same to its last digit, one in a
# hundred has the same error too, however finely it is printed.
_ALIKE = 0.01
# Standard errors of one trial's outcomes are alike, since they share their n: one copied into another trial shows only
# when it stands there to three decimals.
_DECIMALS = 3
# From so many decimals on a number was computed, not typed; more tell nothing further.
_FULL = 6
_RARE = 0.1
# Where this share of trials has several rows, and no column tells them apart, equal rows need not be a slip.
_SEVERAL = 0.2
# Columns that name a row and say nothing of its result.
_LABELS = frozenset({"row_id", "line", "source", "source_url", "note", "notes"})
_RESULTS = (
    "n1", "mean1", "sd1", "n2", "mean2", "sd2", "events1", "total1", "events2", "total2", "es", "es_se", "es_ci_low",
    "es_ci_high", "review_yi", "review_sei", "yi", "vi", "sei",
)  # fmt: skip


# Equal numbers of rows so related are one result under two headings, or an arm that comparisons share.
_ONE_RESULT = ("same", "another comparison")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """What a row is about, to say how two rows are related."""

    trial: Sequence[str]
    instrument: Sequence[tuple[str, ...]]
    time: FloatArray
    comparison: Sequence[tuple[str, ...]]

    def relation(self, first: int, second: int) -> str:
        if self.trial[first] != self.trial[second]:
            return "another trial"
        if self.instrument[first] != self.instrument[second]:
            return "another instrument"
        times = self.time[first], self.time[second]
        if all(map(math.isfinite, times)) and times[0] != times[1]:
            return "another time"
        return "another comparison" if self.comparison[first] != self.comparison[second] else "same"


def _places(table: AuditTable) -> _Places:
    named = any(table.text("instrument"))
    return _Places(
        trial=trials_of(table),
        instrument=groups_of(table, "instrument" if named else "outcome"),
        time=table.number("timepoint_months"),
        comparison=groups_of(table, "comparison", "arm1", "arm2"),
    )


def _arm_chance(table: AuditTable, arm: str) -> FloatArray:
    """Chance that another arm like this one has the same mean and standard deviation as printed."""
    sd = np.abs(table.number(f"sd{arm}"))
    steps = [2 * half_unit(table.decimals(f"{name}{arm}")) for name in ("mean", "sd")]
    # A number with more decimals than anyone prints was computed; it tells no more than six decimals do.
    fine = [np.where(np.isfinite(step), np.maximum(step, 1e-6), 1e-6) for step in steps]
    with np.errstate(all="ignore"):
        chance = np.minimum(fine[0] / (2 * sd), 1.0) * np.minimum(fine[1] / (0.5 * sd), 1.0)
    return np.where(np.isfinite(chance), chance, 1.0)


def _pairs(count: int) -> float:
    return count * (count - 1) / 2


@QUIET
def check_copied_rows(table: AuditTable) -> list[Finding]:
    """Find rows that stand twice, and rows whose numbers are all those of another trial, instrument or time.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``row_twice``, ``row_copied``.
    """
    columns = [str(column) for column in table.written.columns if str(column) not in _LABELS]
    cells = [[str(cell).strip() for cell in table.written[column]] for column in columns]
    rows = list(zip(*cells, strict=True)) if cells else []
    results = [column for column in _RESULTS if table.has(column)]
    numbers = np.stack([table.number(column) for column in results], axis=1) if results else np.zeros((table.k, 0))
    filled = np.isfinite(numbers).sum(axis=1) if results else np.zeros(table.k, np.int64)
    found = []
    twice: set[int] = set()
    plain = _rows_told_apart(table)
    for members in by_key(rows).values():
        if len(members) > 1 and filled[members[0]] > 0 and any(table.text("study_id")):
            twice.update(members[1:])
            found.append(
                Finding(
                    check="row_twice",
                    severity="suspicion" if plain else "remark",
                    rows=tuple(members),
                    columns=tuple(results),
                    message="the same row stands more than once",
                    evidence=f"{len(members)} rows are equal in every cell",
                    look_up="whether the rows are one result, or one of them lacks its own numbers",
                    instead=dict.fromkeys(members[1:]),
                )
            )
    return found + _copied_numbers(table, twice)


def _rows_told_apart(table: AuditTable) -> bool:
    """Whether equal rows are odd: some column says what a row is about, or most trials have one row only."""
    if any(any(table.text(name)) for name in ("row_id", "instrument", "outcome", "comparison", "timepoint_months")):
        return True
    groups = by_key(trials_of(table))
    return sum(len(members) > 1 for members in groups.values()) <= max(1.0, _SEVERAL * len(groups))


def _copied_numbers(table: AuditTable, twice: set[int]) -> list[Finding]:
    """Find rows whose arms, counts or effect are all equal to those of a row about something else."""
    places = _places(table)
    arms = arms_of(table)
    k = table.k
    found = []
    sets: list[tuple[tuple[str, ...], FloatArray]] = [
        (("n1", "mean1", "sd1", "n2", "mean2", "sd2"), _arm_chance(table, "1") * _arm_chance(table, "2")),
        (("events1", "total1", "events2", "total2"), _count_chance(table)),
    ]
    effect = "review_yi" if table.has("review_yi") else "yi"
    error = next((c for c in ("review_sei", "sei", "vi") if table.has(c)), "sei")
    sets.append(((effect, error), _effect_chance(table, effect, error)))
    sets.append((("es", "es_ci_low", "es_ci_high"), _limits_chance(table)))
    sets.append((("es", "es_se"), _effect_chance(table, "es", "es_se")))
    done: set[int] = set(twice)
    for columns, chance in sets:
        values = np.stack([arms.get(column, table.number(column)) for column in columns], axis=1)
        rows = np.flatnonzero(np.isfinite(values).all(axis=1))
        keys = [tuple(line) for line in values.tolist()]
        for members in by_key(keys, rows.tolist()).values():
            group = [row for row in members if row not in done]
            # Equal results of one trial's instrument at one time are one result under two headings.
            far = [row for row in group[1:] if places.relation(group[0], row) not in _ONE_RESULT]
            if not far or max(chance[row] for row in (group[0], *far)) * _pairs(k) >= _ACCIDENT:
                continue
            done.update(group)
            relation = places.relation(group[0], far[0])
            found.append(
                Finding(
                    check="row_copied",
                    severity="suspicion",
                    rows=(group[0], *far),
                    columns=columns,
                    message=f"all numbers of a row stand again under {relation}: a slip in copying, or the "
                    "same participants twice",
                    evidence=", ".join(f"{c} = {shown(v)}" for c, v in zip(columns, keys[group[0]], strict=True)),
                    look_up="which of the rows the numbers belong to",
                    instead=dict.fromkeys(far),
                )
            )
    return found


def _count_chance(table: AuditTable) -> FloatArray:
    """Chance that another table of four counts is the same, were sizes as likely from half to twice as large."""
    a, n1, c, n2 = (table.number(x) for x in ("events1", "total1", "events2", "total2"))
    with np.errstate(all="ignore"):
        spread = [np.maximum(3 * np.sqrt(np.minimum(x, n - x)), 1.0) for x, n in ((a, n1), (c, n2))]
        # Round sizes are planned: five times as likely. The second arm is as large as the first in one trial of three,
        # else about as large.
        size = np.minimum(np.where(n1 % 10 == 0, 5, 1) / np.maximum(1.5 * n1, 1), 1)
        other = np.where(n1 == n2, 1 / 3, 1 / np.maximum(np.sqrt(n2), 1))
        chance = size * other / (spread[0] * spread[1])
    return np.where(np.isfinite(chance), chance, 1.0)


def _effect_chance(table: AuditTable, effect: str, error: str) -> FloatArray:
    """Chance that another effect and error are the same as printed, were effects spread over two units."""
    fine = [np.maximum(2 * half_unit(table.decimals(c)), 1e-9) for c in (effect, error)]
    value = np.abs(table.number(error))
    with np.errstate(all="ignore"):
        chance = np.minimum(fine[0] / 2, 1.0) * np.clip(fine[1] / (0.5 * value), _ALIKE, 1.0)
    return np.where(np.isfinite(chance), chance, 1.0)


def _limits_chance(table: AuditTable) -> FloatArray:
    """Chance that another estimate and its limits are the same as printed, as with effects and errors."""
    fine = [np.maximum(2 * half_unit(table.decimals(c)), 1e-9) for c in ("es", "es_ci_low")]
    width = table.number("es_ci_high") - table.number("es_ci_low")
    with np.errstate(all="ignore"):
        chance = np.minimum(fine[0] / 2, 1.0) * np.clip(fine[1] / (0.5 * width), _ALIKE, 1.0)
    return np.where(np.isfinite(chance), chance, 1.0)


@QUIET
def check_copied_arms(table: AuditTable) -> list[Finding]:
    """Find one arm's mean and standard deviation again in another trial, instrument or time.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``arm_copied``. Arms that several comparisons of one trial share are not copies.
    """
    places = _places(table)
    mean = np.concatenate([table.number("mean1"), table.number("mean2")])
    sd = np.concatenate([table.number("sd1"), table.number("sd2")])
    chance = np.concatenate([_arm_chance(table, "1"), _arm_chance(table, "2")])
    cells = np.flatnonzero(np.isfinite(mean) & np.isfinite(sd) & (sd != 0))
    keys = list(zip(mean.tolist(), sd.tolist(), strict=True))
    k = table.k
    pairs = _pairs(len(cells))
    within = sum(
        _pairs(len(members)) for members in by_key([places.trial[cell % k] for cell in range(2 * k)], cells).values()
    )
    found = []
    whole_rows = _equal_rows(table)
    for members in by_key(keys, cells.tolist()).values():
        if len(members) < 2:
            continue
        first = members[0]
        others = [
            cell
            for cell in members[1:]
            if cell % k != first % k
            and places.relation(first % k, cell % k) not in _ONE_RESULT
            and whole_rows[first % k] != whole_rows[cell % k]
        ]
        if not others:
            continue
        # There are fewer arms to agree with by accident within a trial, and fewer still in the row above, from which a
        # copy is most likely.
        near = all(places.trial[cell % k] == places.trial[first % k] for cell in others)
        accidents = chance[first] * (2 * k if others == [first + 1] else within if near else pairs)
        if accidents >= _ACCIDENT:
            continue
        rows = tuple(dict.fromkeys(cell % k for cell in (first, *others)))
        arms = sorted({1 + cell // k for cell in (first, *others)})
        relation = places.relation(first % k, others[0] % k)
        found.append(
            Finding(
                check="arm_copied",
                severity="suspicion",
                rows=rows,
                columns=tuple(f"{name}{arm}" for arm in arms for name in ("mean", "sd")),
                message=f"one arm's mean and standard deviation stand again under {relation}: one "
                "of them looks copied from the other",
                evidence=f"{shown(mean[first])} ({shown(sd[first])}) in {len(rows)} rows; by accident this would "
                f"happen in {_share(accidents)} such tables",
                look_up="mean and standard deviation of this arm for each of the rows",
                instead=dict.fromkeys(rows),
            )
        )
    return found


def _share(chance: float) -> str:
    return f"one of {shown(float(f'{1 / chance:.1g}'))}" if chance > 1e-9 else "fewer than one of a billion"


def _equal_rows(table: AuditTable) -> list[int]:
    """Number the sets of six arm numbers, so that rows equal in all of them are known."""
    arms = arms_of(table)
    numbers: dict[tuple[float, ...], int] = {}
    found = []
    for row, line in enumerate(zip(*(x.tolist() for x in arms.values()), strict=True)):
        found.append(numbers.setdefault(line, len(numbers)) if all(map(math.isfinite, line)) else -1 - row)
    return found


@QUIET
def check_equal_arms(table: AuditTable) -> list[Finding]:
    """Find rows whose two arms have the same mean and the same standard deviation.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``arms_equal``.
    """
    arms = arms_of(table)
    steps = [2 * half_unit(table.decimals(name)) for name in ("mean1", "sd1")]
    with np.errstate(all="ignore"):
        # Two arms drawn from one population agree when the difference of their means, and that of their standard
        # deviations, is below a unit of the last digit: a unit times the normal density at 0.
        error = arms["sd1"] * np.sqrt(2 * math.pi * (1 / arms["n1"] + 1 / arms["n2"]))
        chance = np.minimum(steps[0] / error, 1) * np.minimum(steps[1] / error * math.sqrt(2), 1)
        chance = np.where(np.isfinite(chance), chance, 0.0)
        equal = (arms["mean1"] == arms["mean2"]) & (arms["sd1"] == arms["sd2"]) & (arms["sd1"] > 0)
    return [
        Finding(
            check="arms_equal",
            severity="suspicion" if chance[row] < _SLIP else "remark",
            rows=(row,),
            columns=("mean1", "sd1", "mean2", "sd2"),
            message="both arms have the same mean and standard deviation: one looks copied from the other",
            evidence=f"{shown(arms['mean1'][row])} ({shown(arms['sd1'][row])}) in both",
            look_up="mean and standard deviation of each arm",
            instead={row: None},
        )
        for row in np.flatnonzero(equal).tolist()
    ]


@QUIET
def check_copied_errors(table: AuditTable) -> list[Finding]:
    """Find one printed standard error, to all digits, in rows of different trials.

    Trials of the same size have standard errors alike, so equal errors of trials whose participants are known and alike
    are no finding. Where they differ, or are not known, it counts how often errors as densely spread as the table's,
    and printed with as many decimals, agree by accident.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``se_copied``: a suspicion where fewer than one table in ten would have such a pair by accident, else a remark
        where the participants are known to differ.
    """
    column = next((c for c in ("review_sei", "sei", "es_se") if table.has(c)), "")
    if not column:
        return []
    errors, digits = table.number(column), table.decimals(column)
    trials, sizes = trials_of(table), find_sizes(table)
    standardised = find_effects(table).standardised
    rows = [
        row for row in range(table.k) if math.isfinite(errors[row]) and errors[row] > 0 and digits[row] >= _DECIMALS
    ]
    alike = by_key([min(places, _FULL) for places in digits], rows)
    accidents = {places: _agreements(trials, errors, members, places) for places, members in alike.items()}
    found = []
    for (_, places), members in by_key(
        [(e, min(d, _FULL)) for e, d in zip(errors.tolist(), digits, strict=True)], rows
    ).items():
        names = {trials[row] for row in members}
        if len(names) < 2:
            continue
        totals = {sizes[row] for row in members if math.isfinite(sizes[row])}
        known = all(math.isfinite(sizes[row]) for row in members)
        differ = standardised and len(totals) > 1 and max(totals) > 1.1 * min(totals)
        rare = accidents[places] < _RARE
        if (known and not differ) or not (differ or rare):
            continue
        found.append(
            Finding(
                check="se_copied",
                severity="suspicion" if rare else "remark",
                rows=tuple(members),
                columns=(column,),
                message="the same standard error stands in rows of different trials: it looks copied, or filled in",
                evidence=f"{column} = {str(table.written[column].iloc[members[0]]).strip()} in {len(members)} rows of "
                f"{len(names)} trials; {'their participants differ' if differ else 'not all participants are known'}; "
                f"by accident {accidents[places]:.2g} such pairs are expected",
                look_up="where the standard error of each row comes from",
            )
        )
    return found


def _agreements(trials: Sequence[str], errors: FloatArray, rows: list[int], places: int) -> float:
    """Expect so many pairs of trials to share a standard error by accident, from the spread of the table's errors."""
    values = np.array([x for _, x in {(trials[row], float(errors[row])) for row in rows}])
    everything = np.log(errors[np.isfinite(errors) & (errors > 0)])
    spread = max(float(np.std(everything)), 0.05)
    # Two normal numbers agree within a unit h with probability h/(2 sqrt(pi) s); on the logarithm a unit is h/x.
    unit = 10.0**-places / float(np.median(values))
    return _pairs(len(values)) * unit / (2 * math.sqrt(math.pi) * spread)


@QUIET
def find_sizes(table: AuditTable) -> FloatArray:
    """Return the participants of both arms together; NaN where unknown."""
    first, second = find_arm_sizes(table)
    return np.asarray(first + second, np.float64)


def find_arm_sizes(table: AuditTable) -> tuple[FloatArray, FloatArray]:
    """Return the participants of each arm, from n or from the totals of events; NaN where unknown."""
    n = [table.number(f"n{arm}") for arm in "12"]
    totals = [table.number(f"total{arm}") for arm in "12"]
    first, second = (np.where(np.isfinite(a), a, b) for a, b in zip(n, totals, strict=True))
    return first, second


@QUIET
def check_shifted_cells(table: AuditTable) -> list[Finding]:
    """Find rows whose cells look shifted by a column: a number of people that is not whole beside one that is.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``cells_shifted``.
    """
    arms = arms_of(table)
    return [
        Finding(
            check="cells_shifted",
            severity="suspicion",
            rows=(row,),
            columns=tuple(arms),
            message="the cells look shifted by a column: numbers of people are not whole, and whole numbers stand "
            f"where {where} should",
            evidence=", ".join(f"{name} = {shown(float(x[row]))}" for name, x in arms.items()),
            look_up="n, mean and standard deviation of each arm",
            instead={row: None},
        )
        for row, where in shifted_rows(table).items()
    ]
