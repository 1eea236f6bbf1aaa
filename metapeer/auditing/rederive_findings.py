"""Findings about the rows that do not come out, and the readings under which they would."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.findings import Finding, Severity
from metapeer.auditing.rederive_rows import Group
from metapeer.auditing.rederive_slips import Reading, find_readings
from metapeer.auditing.rederive_whole import (
    FEWEST,
    HALF,
    MOST,
    effects_from_elsewhere,
    errors_from_elsewhere,
    whole_column,
    whole_spread,
)
from metapeer.auditing.rederive_words import (
    MANY,
    Derived,
    columns_of,
    derive,
    evidence_of,
    instead_of,
    joined,
    look_up_in,
    own_unit,
)
from metapeer.auditing.table import AuditTable

__all__ = ["find_in_group", "find_in_sizes"]

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_HARMLESS_EFFECT = 0.05
"""Differences below this share of a row's standard error move no pooled effect by more than that share of its own."""
_HARMLESS_ERROR = 0.01
"""Standard errors within one hundredth change a row's weight by less than two."""
_TYPED = 3
"""Decimals of a number typed by hand among numbers in full precision."""
_NOT_WRONG = frozenset({"other_se_formula", "other_standardiser", "other_correction", "uncorrected_d", "other_measure"})
"""Readings under which the row is right, but not like the others."""


def find_in_group(table: AuditTable, group: Group, sign: IntArray) -> list[Finding]:
    """Findings about rows with means or events."""
    whole = whole_column(group)
    if whole is not None:
        return [whole]
    derived = derive(group, sign)
    findings = _typed_by_hand(group, derived)
    squared = whole_spread(group)
    if squared is not None:
        findings.append(squared)
    if group.share < HALF:
        return [*findings, *effects_from_elsewhere(group)]
    possible = np.isfinite(group.effect())  # no formula of the table for a table without events, say
    effect_off = possible & ~(group.to_digits | (group.near & (not group.exact)))
    spread_off = (
        group.has_spread
        & np.isfinite(group.variances)
        & ~(group.spread_to_digits | (group.spread_near & (not group.exact)))
    )
    if group.spread_share < HALF:
        spread_off[:] = False
    readings = find_readings(table, group, effect_off, spread_off)
    if squared is None and group.has_spread.sum() >= FEWEST and group.spread_share < HALF:
        findings.append(errors_from_elsewhere(group))
    return findings + _bundled(table, derived, effect_off, spread_off, readings)


def _typed_by_hand(group: Group, derived: Derived) -> list[Finding]:
    """Rows that come out, but were written with few digits among rows in full precision."""
    if not group.exact:
        return []
    few = 0.5 * 10.0**-_TYPED
    typed = group.to_digits & (group.printed.half_effect >= few * (1 - 1e-9))
    # A number that is short because it is round, such as a difference of exactly 0, was not rounded.
    typed &= np.abs(np.abs(group.printed.effect) - np.abs(derived.effect)) > 1e-6
    findings = []
    for place in np.flatnonzero(typed).tolist():
        row = int(group.rows[place])
        findings.append(
            Finding(
                check="fewer_digits",
                severity="remark",
                rows=(row,),
                columns=columns_of(group, place, effect=True, spread=True),
                message="the printed effect looks typed by hand: it comes out, but with fewer digits than the others",
                evidence=evidence_of(derived, place),
                look_up="nothing in the paper; the effect can be computed anew",
                instead=instead_of(derived, place, "raw"),
            )
        )
    return findings


def find_in_sizes(table: AuditTable, group: Group) -> list[Finding]:
    """Rows with nothing but an effect and the sizes of the arms: their standard error alone can be judged."""
    off = group.has_spread & ~group.spread_to_digits
    if not off.any():
        return []
    findings = []
    squared = whole_spread(group)
    if squared is not None:
        return [squared]
    own = own_unit(group)
    readings = find_readings(table, group, np.zeros(group.m, dtype=bool), off) if group.spread_share >= HALF else {}
    named = np.isin(group.rows, list(readings))
    for place in np.flatnonzero(named).tolist():
        row = int(group.rows[place])
        findings.append(
            Finding(
                check=readings[row][0].code,
                severity="suspicion",
                rows=(row,),
                columns=readings[row][0].columns,
                message=f"the standard error comes out of effect and sizes only if {joined(readings[row])}",
                evidence=f"printed {group.printed.spread[place]:.4g}, {_computed(own[place])}",
                look_up=look_up_in(readings[row][0].columns),
                instead={row: (float(group.printed.effect[place]), float(group.variances[place]))}
                if 0 < group.variances[place] < np.inf
                else {},
            )
        )
    rest = np.flatnonzero(off & ~named)
    if rest.size:
        shown = "; ".join(
            f"{table.names[int(group.rows[i])]}: printed {group.printed.spread[i]:.4g}, {_computed(own[i])}"
            for i in rest[:MANY]
        )
        findings.append(
            Finding(
                check="se_not_from_sizes",
                severity="remark",
                rows=tuple(int(row) for row in group.rows[rest]),
                columns=(group.printed.spread_column[int(rest[0])],),
                message="the standard error does not follow from the printed effect and the sizes of the arms; effects "
                "that are pooled from subscales or adjusted have others, and rightly so",
                evidence=shown + (f"; and {rest.size - MANY} more" if rest.size > MANY else ""),
                look_up="how effect and standard error were computed, and with how many participants",
            )
        )
    return findings


def _computed(value: float) -> str:
    return f"computed {value:.4g}" if np.isfinite(value) else "not to be computed from these numbers"


def _bundled(
    table: AuditTable,
    derived: Derived,
    effect_off: BoolArray,
    spread_off: BoolArray,
    readings: dict[int, list[Reading]],
) -> list[Finding]:
    """One finding for the rows of a trial with the same explanation, and for a whole table with it."""
    group = derived.group
    most = (group.share >= MOST, group.spread_share >= MOST) if group.solid else None
    error, own_error = group.printed.error, np.sqrt(group.variances)
    bundles: dict[tuple[str, ...], list[int]] = defaultdict(list)
    trials = table.text("study_id")
    for place in np.flatnonzero(effect_off | spread_off).tolist():
        row = int(group.rows[place])
        named = readings.get(row, [])
        words = "|".join(r.words for r in named)
        effect, spread = bool(effect_off[place]), bool(spread_off[place])
        far = effect and not _apart(derived, place, float(own_error[place]), float(error[place])) < _HARMLESS_EFFECT
        wide = spread and not abs(np.log(error[place] / own_error[place])) < _HARMLESS_ERROR
        severity: Severity = "remark"
        if (far or wide) and most is not None:
            severity = _severity(named, most=most[0] if effect else most[1])
        what = f"{int(effect_off[place])}{int(spread_off[place])}"
        bundles[severity, named[0].code if named else "", words, what, trials[row] or f"row {row}"].append(place)
    widest: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for key in bundles:
        widest[key[:4]].append(key)
    findings = []
    for short, keys in widest.items():
        places = [place for key in keys for place in bundles[key]]
        # The same slip in a tenth of the table and in five rows is one slip of the table, whatever the trials.
        together = len(places) >= max(MANY, 0.1 * group.m)
        parts = [sorted(places)] if together else [bundles[key] for key in keys]
        findings += [_finding(table, derived, part, short, readings) for part in parts]
    return findings


def _apart(derived: Derived, place: int, own_error: float, error: float) -> float:
    """How far printed and computed effect lie apart, signs aside, in standard errors."""
    printed, computed = float(derived.group.printed.effect[place]), float(derived.effect[place])
    if derived.ratio and printed > 0 and computed > 0:
        printed, computed = float(np.log(printed)), float(np.log(computed))
    return abs(abs(printed) - abs(computed)) / (own_error if own_error > 0 else error)


def _severity(readings: list[Reading], *, most: bool) -> Severity:
    if any(r.code == "same_participants" for r in readings):
        return "remark"
    contradicts = bool(readings) and not all(r.code in _NOT_WRONG for r in readings)
    if most:
        return "error" if contradicts else "suspicion"
    return "suspicion" if contradicts else "remark"


def _finding(
    table: AuditTable,
    derived: Derived,
    places: list[int],
    key: tuple[str, ...],
    readings: dict[int, list[Reading]],
) -> Finding:
    severity, code, _, what, *_rest = key
    group = derived.group
    effect, spread = what[0] == "1", what[1] == "1"
    subject = " and ".join(words for words, off in (("effect", effect), ("standard error", spread)) if off)
    plural = "do" if effect and spread else "does"
    first = int(group.rows[places[0]])
    named = readings.get(first, [])
    if named:
        message = f"the printed {subject} {plural} not come out of the raw numbers, but would if {joined(named)}"
    else:
        message = f"the printed {subject} {plural} not come out of the raw numbers under any known formula or slip"
    columns = tuple(dict.fromkeys(c for reading in named for c in reading.columns)) or columns_of(
        group, places[0], effect=effect, spread=spread
    )
    evidence = "; ".join(
        (f"{table.names[int(group.rows[place])]}: " if len(places) > 1 else "")
        + evidence_of(derived, place)
        + "".join(f"; {r.detail}" for r in readings.get(int(group.rows[place]), []) if r.detail)
        for place in places[:MANY]
    )
    if len(places) > MANY:
        evidence += f"; and {len(places) - MANY} more"
    evidence += derived.tail
    truth = named[0].truth if named else "raw"
    unexplained = "effect_not_rederived" if effect else "se_not_rederived"
    return Finding(
        check=code or unexplained,
        severity=severity,  # type: ignore[arg-type]
        rows=tuple(int(group.rows[place]) for place in places),
        columns=columns,
        message=message,
        evidence=evidence,
        look_up=look_up_in(columns),
        instead={k: v for place in places for k, v in instead_of(derived, place, truth).items()},
    )
