"""Readings of a row under which its printed numbers come out after all, each tested against the numbers."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.formulas import (
    EFFECT_FORMULAS,
    RELATIVE_TOLERANCE,
    SpreadFormula,
    agrees,
    correction_of,
    smallest_inputs,
)
from metapeer.auditing.rederive_alterations import SINGLE, SYSTEMATIC, Alteration, Truth
from metapeer.auditing.rederive_printed import Printed
from metapeer.auditing.rederive_rows import Group, predict
from metapeer.auditing.table import AuditTable

__all__ = ["Reading", "find_readings"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_MOST_SIBLINGS = 12
"""Other rows of the same trial whose numbers are tried; more would fit by chance."""
_MOST_SEARCHED = 40
"""Rows for which sizes of arms are searched one by one: a search of seconds otherwise."""
_POINTS = (0.1, 10.0, 0.01, 100.0)
"""Factors by which a misplaced decimal point is off."""
_SIZES = ("n1", "n2")
_SMALL_PART = 0.3
"""Part of a difference that rounding may make up where the rest is explained by a slip."""
_SEARCH_CELLS = 40_000
"""Pairs of sizes tried for one row. At a relative tolerance of 1e-6, the chance that the standard error of one of
them fits is some 6%; the effect has to come out as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One explanation of a row whose printed numbers do not come out.

    Parameters
    ----------
    code : str
        Short and stable.
    words : str
        What it supposes.
    columns : tuple of str
        The cells at fault.
    fixes_effect, fixes_spread : bool
        What comes out under it.
    truth : {"raw", "printed"}
        Which numbers are right if it is true, and to be pooled.
    rank : int
        Order among readings that fit; 0 for common slips.
    detail : str
        What else it gives for the row, for the evidence.
    """

    code: str
    words: str
    columns: tuple[str, ...]
    fixes_effect: bool
    fixes_spread: bool
    truth: Truth
    rank: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """The rows of a group that do not come out."""

    table: AuditTable
    group: Group
    at: IntArray  # positions in the group
    printed: Printed
    raw: dict[str, FloatArray]
    effect_off: BoolArray
    spread_off: BoolArray

    def outcome(
        self, raw: dict[str, FloatArray], own_effect: FloatArray | None = None, where: IntArray | None = None
    ) -> tuple[BoolArray, BoolArray]:
        """Tell where effect and standard error come out of other raw numbers."""
        printed = self.printed if where is None else self.printed.take(where)
        yi, vi = predict(self.group, raw)
        possible = smallest_inputs(self.group.kind, raw)
        formula = self.group.formula
        plus, minus = printed.effect_agrees(
            yi if own_effect is None else own_effect, ratio=formula is not None and formula.ratio
        )
        spread = printed.spread_agrees(vi) | self._from_printed(raw, printed)
        return (plus | minus) & possible, spread & possible

    def _from_printed(self, raw: dict[str, FloatArray], printed: Printed) -> BoolArray:
        """Where the spread comes out of the printed effect and other sizes of the arms."""
        spread: SpreadFormula | None = self.group.spread_formula
        if spread is None or not spread.uses_effect:
            return np.zeros(printed.effect.size, dtype=bool)
        with np.errstate(all="ignore"):
            d = np.abs(printed.effect) / correction_of(raw, spread.correction)
            return printed.spread_agrees(np.asarray(spread.compute(raw, d, self.group.mean)))


def find_readings(
    table: AuditTable, group: Group, effect_off: BoolArray, spread_off: BoolArray
) -> dict[int, list[Reading]]:
    """Try every known slip on the rows that do not come out.

    Parameters
    ----------
    table : AuditTable
        The table.
    group : Group
        Rows of one kind with their formulas.
    effect_off, spread_off : array of bool, shape (m,)
        Rows of the group whose printed effect, or standard error, does not come out.

    Returns
    -------
    dict of int to list of Reading
        For rows of the table with at least one: those that make everything come out, else those that make something
        come out; the commonest slip first.
    """
    at = np.flatnonzero(effect_off | spread_off)
    if not at.size or (group.formula is None and group.kind != "sizes"):
        return {}
    case = _Case(
        table=table,
        group=group,
        at=at,
        printed=group.printed.take(at),
        raw={name: values[at] for name, values in group.raw.items()},
        effect_off=effect_off[at],
        spread_off=spread_off[at],
    )
    found: dict[int, list[Reading]] = defaultdict(list)
    sources = [_other_rows, _printed_readings]
    if group.kind != "sizes":
        sources = [_altered, *sources, _other_formulas]
    for source in sources:
        for place, reading in source(case):
            found[place].append(reading)
    if group.kind == "means":
        _search_sizes(case, found)
    best = {int(group.rows[at[place]]): _leading(case, place, readings) for place, readings in found.items()}
    return {row: readings for row, readings in best.items() if readings}


def _leading(case: _Case, place: int, readings: list[Reading]) -> list[Reading]:
    """Keep the readings that explain the most, and of those the commonest slips."""
    needs = (bool(case.effect_off[place]), bool(case.spread_off[place]))

    def gain(reading: Reading) -> int:
        return (needs[0] and reading.fixes_effect) + (needs[1] and reading.fixes_spread)

    # Half an explanation is none: it fits by chance too often. What came out before should come out still.
    full = [r for r in readings if gain(r) == sum(needs)]
    kept = [r for r in full if (needs[0] or r.fixes_effect) and (needs[1] or r.fixes_spread)] or full
    if not kept:
        return []
    lowest = min(r.rank for r in kept)
    unique: dict[str, Reading] = {}
    for r in kept:
        if r.rank == lowest:  # of several roundings that fit, the first is the mildest and says it all
            unique.setdefault(r.code if r.code == "fewer_digits" else r.words, r)
    return list(unique.values())


def _altered(case: _Case) -> Iterator[tuple[int, Reading]]:
    """The raw numbers read otherwise."""
    for alteration in (*SYSTEMATIC[case.group.kind], *SINGLE[case.group.kind]):
        with np.errstate(all="ignore"):
            raw = {**case.raw, **alteration.change(case.raw)}
        changed = np.any([~_same(raw[name], case.raw[name]) for name in case.raw], axis=0)
        effect, spread = case.outcome(raw)
        if case.group.kind == "means" and alteration.truth == "printed" and alteration.rank == 0:
            effect |= _within_rounding(case, alteration, raw)
        for place in np.flatnonzero(changed & (effect | spread)).tolist():
            yield (
                place,
                Reading(
                    code=alteration.code,
                    words=alteration.words,
                    columns=alteration.columns,
                    fixes_effect=bool(effect[place]),
                    fixes_spread=bool(spread[place]),
                    truth=alteration.truth,
                    rank=alteration.rank,
                ),
            )


def _within_rounding(case: _Case, alteration: Alteration, raw: dict[str, FloatArray]) -> BoolArray:
    """Where an effect comes out of raw numbers read otherwise, given that they were rounded before.

    Numbers that were printed as standard errors carry the rounding of those, times the root of n. It counts only where
    it is a small part of what the reading explains; otherwise anything could be explained by it.
    """
    group, formula = case.group, case.group.formula
    if formula is None or formula.ratio:
        return np.zeros(case.at.size, dtype=bool)
    with np.errstate(all="ignore"):
        yi, own = formula.compute(raw), group.effect()[case.at]
        slack = np.zeros(case.at.size)
        for name, half in group.halves.items():
            moved = {**case.raw, name: case.raw[name] + half[case.at]}
            slack += np.abs(formula.compute({**moved, **alteration.change(moved)}) - yi)
        explained = np.abs(np.abs(case.printed.effect) - np.abs(own))
        plus, minus = case.printed.effect_agrees(yi, slack=slack)
        return np.asarray(
            (plus | minus) & (slack < _SMALL_PART * explained) & smallest_inputs("means", raw), dtype=bool
        )


def _same(a: FloatArray, b: FloatArray) -> BoolArray:
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))


def _printed_readings(case: _Case) -> Iterator[tuple[int, Reading]]:
    """The printed numbers read otherwise."""
    group, printed, at = case.group, case.printed, case.at
    vi = group.variances[at]
    with np.errstate(all="ignore"):
        sei = np.sqrt(vi)
        number = printed.spread
        half = printed.half_spread
        own = np.where(printed.squared, vi, sei)
        tests: list[tuple[str, str, BoolArray]] = [
            ("se_is_variance", "the variance was entered as the standard error",
             ~printed.squared & agrees(number, vi, half)),
            ("variance_is_se", "the standard error was entered as the variance",
             printed.squared & agrees(number, sei, half)),
            ("half_width_as_se", "half the width of the 95% interval was entered as the standard error",
             ~printed.squared & agrees(number, 1.959964 * sei, half + 1e-5 * np.abs(number))),
            ("decimal_point", "the decimal point of the standard error is misplaced",
             np.any([agrees(number, own * f, half) for f in _POINTS], axis=0)),
        ]  # fmt: skip
    for code, words, fits in tests:
        for place in np.flatnonzero(fits & case.spread_off).tolist():
            column, rank = printed.spread_column[place], 2 if code == "decimal_point" else 0
            yield place, Reading(
                code=code, words=words, columns=(column,), fixes_effect=not case.effect_off[place], fixes_spread=True,
                truth="raw", rank=rank,
            )  # fmt: skip
    if group.formula is None:
        return
    yi = group.effect()[at]
    shown = np.exp(np.abs(yi)) if group.formula.ratio else yi
    for place in np.flatnonzero(case.effect_off).tolist():
        value, computed = abs(float(printed.effect[place])), abs(float(shown[place]))
        half_unit = float(printed.half_effect[place])
        fixed = not case.spread_off[place]
        column = printed.effect_column[place]
        cut = half_unit > 0 and 0 <= computed - value < 2 * half_unit
        moved = any(
            abs(value * f - computed) <= half_unit * f * (1 + 1e-9) + RELATIVE_TOLERANCE * computed for f in _POINTS
        )
        turned = _transposed(value, computed, half_unit)
        for code, words, came_out in (
            ("cut_off", "the effect was cut off, not rounded", cut),
            ("decimal_point", "the decimal point of the effect is misplaced", moved),
            ("digits_transposed", "two neighbouring digits of the effect are in the wrong order", turned),
        ):
            if came_out:
                yield place, Reading(
                    code=code, words=words, columns=(column,), fixes_effect=True, fixes_spread=fixed, truth="raw",
                    rank=0 if code == "cut_off" else 2,
                )  # fmt: skip


def _transposed(value: float, computed: float, half_unit: float) -> bool:
    """Whether swapping two neighbouring digits of a value, written with 2 to 4 decimals, gives another."""
    if not 0 < half_unit < 1 or not (np.isfinite(value) and np.isfinite(computed)) or max(value, computed) > 1e6:
        return False
    decimals = round(-np.log10(2 * half_unit))
    if not 2 <= decimals <= 4:
        return False
    text, wanted = f"{value:.{decimals}f}", f"{computed:.{decimals}f}"
    places = [i for i in range(len(text)) if text[i] != "."]
    for i, j in pairwise(places):
        swapped = list(text)
        swapped[i], swapped[j] = text[j], text[i]
        if "".join(swapped) == wanted != text:
            return True
    return False


def _other_rows(case: _Case) -> Iterator[tuple[int, Reading]]:
    """Numbers of the trial's other rows, or of the row above or below, in the place of the row's own."""
    table, group, printed = case.table, case.group, case.printed
    names = table.text("study_id")
    by_trial: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        if name:
            by_trial[name].append(i)
    position = {int(row): i for i, row in enumerate(group.rows)}
    pairs: list[tuple[int, int, bool]] = []
    for place, where in enumerate(case.at.tolist()):
        row = int(group.rows[where])
        same = [i for i in by_trial.get(names[row], []) if i != row]
        near = sorted(same, key=lambda i: abs(i - row))[:_MOST_SIBLINGS]
        pairs += [(place, i, True) for i in near]
        pairs += [(place, i, False) for i in (row - 1, row + 1) if 0 <= i < table.k and i not in near]
    if not pairs:
        return
    places = np.array([p[0] for p in pairs], dtype=np.int64)
    others = np.array([p[1] for p in pairs], dtype=np.int64)
    sibling = np.array([p[2] for p in pairs], dtype=bool)
    if group.kind == "sizes":
        return
    yield from _other_sizes(case, places, others, sibling)
    inside = np.array([position.get(int(i), -1) for i in others], dtype=np.int64)
    known = inside >= 0
    there = printed.take(places)
    formula = group.formula
    plus, minus = there.effect_agrees(
        np.where(known, group.effect()[inside], np.nan), ratio=formula is not None and formula.ratio
    )
    spread = there.spread_agrees(np.where(known, group.variances[inside], np.nan))
    # A row's effect is that of another only if its standard error is, too, or prints none.
    silent = ~np.isfinite(there.spread)
    moved = (plus | minus) & (spread | silent | ~case.spread_off[places]) & case.effect_off[places]
    copied = spread & case.spread_off[places] & ~moved & sibling
    for j in np.flatnonzero(moved | copied).tolist():
        place = int(places[j])
        what = "effect" if moved[j] else "standard error"
        yield (
            place,
            Reading(
                code="effect_of_other_row" if moved[j] else "se_of_other_row",
                words=f"the printed {what} is that of {table.names[others[j]]}: cells may have shifted",
                columns=(printed.effect_column[place] if moved[j] else printed.spread_column[place],),
                fixes_effect=bool(moved[j]) or not case.effect_off[place],
                fixes_spread=bool(spread[j]) or not case.spread_off[place],
                truth="raw",
            ),
        )


def _other_sizes(case: _Case, places: IntArray, others: IntArray, sibling: BoolArray) -> Iterator[tuple[int, Reading]]:
    """Sizes of the arms as other rows have them, for effect and standard error or for the latter alone."""
    table = case.table
    own = _SIZES if case.group.kind == "means" else ("total1", "total2")
    for columns in (("n1", "n2"), ("total1", "total2")):
        sizes = [table.number(column)[others] for column in columns]
        raw = {name: values[places] for name, values in case.raw.items()}
        different = (sizes[0] != raw[own[0]]) | (sizes[1] != raw[own[1]])
        usable = sibling & different & np.isfinite(sizes[0] + sizes[1])
        # The row's own totals stand in for n as a size of another analysis would.
        changed = {**raw, own[0]: np.where(usable, sizes[0], np.nan), own[1]: np.where(usable, sizes[1], np.nan)}
        effect, spread = case.outcome(changed, where=places)
        own_effect = case.group.effect()[case.at[places]]
        kept, _ = case.outcome(changed, own_effect=own_effect, where=places)
        for j in np.flatnonzero(usable & spread).tolist():
            place = int(places[j])
            what = "effect and standard error were" if effect[j] and spread[j] else "the standard error was"
            name = table.names[others[j]]
            yield (
                place,
                Reading(
                    code="n_of_other_row",
                    words=f"{what} computed with the sizes of {name} ({sizes[0][j]:g} and {sizes[1][j]:g})",
                    columns=own,
                    fixes_effect=bool(effect[j] or kept[j]),
                    fixes_spread=bool(spread[j]),
                    truth="raw",
                ),
            )


def _other_formulas(case: _Case) -> Iterator[tuple[int, Reading]]:
    """Another formula of the register than the table's."""
    group, formula = case.group, case.group.formula
    if formula is None:
        return
    for place, where in enumerate(case.at.tolist()):
        if case.effect_off[place]:
            hits = np.flatnonzero(group.fits[:, where] | group.turned[:, where])
            for index in hits[:2].tolist():
                other = group.formulas[index]
                stem = {"G_EXACT": "D", "G_APPROX": "D"}
                fixes_spread = bool(group.spread_fits[:, where].any())
                words, detail = f"the effect comes out as: {other.label}", ""
                if other.family == "SMDW":
                    r = _correlation(group, where)
                    fixes_spread = -1 < r < 1
                    code = "same_participants"
                    words, detail = "both arms are the same participants (J at n - 1)", f"correlation {r:.3g}"
                elif stem.get(other.code, other.code) == stem.get(formula.code, formula.code):
                    code = "uncorrected_d" if other.code == "D" else "other_correction"
                elif other.ratio != formula.ratio:
                    code = "ratio_not_log" if other.ratio else "log_of_ratio"
                elif other.family == formula.family or {other.family, formula.family} <= _SMD:
                    code = "other_standardiser"
                else:
                    code = "other_measure"
                yield place, Reading(
                    code=code, words=words, columns=(case.printed.effect_column[place],), fixes_effect=True,
                    fixes_spread=fixes_spread or not case.spread_off[place],
                    truth="printed" if code == "same_participants" else "raw", detail=detail,
                )  # fmt: skip
        elif case.spread_off[place]:
            for index in np.flatnonzero(group.spread_fits[:, where])[:1].tolist():
                yield place, Reading(
                    code="other_se_formula", words=f"the standard error comes out by: {group.spreads[index].label}",
                    columns=(case.printed.spread_column[place],), fixes_effect=True, fixes_spread=True,
                    truth="raw",
                )  # fmt: skip


def _correlation(group: Group, where: int) -> float:
    """The correlation that a paired design needs for its variance, 2 (1 - r)/n + d²/(2 n) (Becker 1988)."""
    n, g = float(group.raw["n1"][where]), float(group.printed.effect[where])
    error = float(group.printed.error[where])
    return 1 - (error * error - g * g / (2 * n)) * n / 2


_SMD = {f.family for f in EFFECT_FORMULAS.values() if f.family.startswith("SMD")}


def _search_sizes(case: _Case, found: dict[int, list[Reading]]) -> None:
    """Look for sizes of the arms from which a standard error in full precision comes out, effect and all."""
    full = case.printed.half_spread <= 0.5e-5
    wanted = [
        place for place in np.flatnonzero(case.spread_off & full).tolist()
        if not any(r.fixes_spread for r in found.get(place, []))
    ]  # fmt: skip
    for place in wanted[:_MOST_SEARCHED]:
        n1, n2 = float(case.raw["n1"][place]), float(case.raw["n2"][place])
        spans = [np.arange(max(2.0, np.ceil(n / 2)), np.floor(2 * n) + 1) for n in (n1, n2)]
        if not all(span.size for span in spans) or spans[0].size * spans[1].size > _SEARCH_CELLS:
            continue
        grid = [axis.ravel() for axis in np.meshgrid(*spans, indexing="ij")]
        raw = {name: np.full(grid[0].size, values[place]) for name, values in case.raw.items()}
        raw["n1"], raw["n2"] = grid
        same = np.full(grid[0].size, place)
        effect, spread = case.outcome(raw, where=same)
        hits = np.flatnonzero(effect & spread)
        hits = hits[_closest(case, place, {name: values[hits] for name, values in raw.items()})]
        if not 1 <= hits.size <= 2:
            continue
        sizes = " or ".join(f"{grid[0][i]:g} and {grid[1][i]:g}" for i in hits)
        found.setdefault(place, []).append(
            Reading(
                code="n_of_other_analysis", words=f"effect and standard error were computed with arms of {sizes}",
                columns=_SIZES, fixes_effect=True, fixes_spread=True, truth="raw", rank=1,
            )
        )  # fmt: skip


def _closest(case: _Case, place: int, raw: dict[str, FloatArray]) -> BoolArray:
    """Of raw numbers that fit within the tolerance, keep those that fit to nine digits, if any does."""
    group, printed = case.group, case.printed
    yi, vi = predict(group, raw)
    own = vi if printed.squared[place] else np.sqrt(vi)
    size = np.exp(np.abs(yi)) if group.formula is not None and group.formula.ratio else np.abs(yi)
    near = np.abs(own - printed.spread[place]) <= printed.half_spread[place] + 1e-9 * own
    near &= np.abs(size - np.abs(printed.effect[place])) <= printed.half_effect[place] + 1e-9 * size
    return near if near.any() else np.ones_like(near)
