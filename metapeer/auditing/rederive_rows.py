"""Raw numbers and printed numbers of every row side by side, under every formula of the register."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.formulas import (
    EFFECT_FORMULAS,
    SPREAD_FORMULAS,
    EffectFormula,
    Kind,
    Raw,
    SpreadFormula,
    correction_of,
    half_units,
    smallest_inputs,
)
from metapeer.auditing.rederive_printed import Printed
from metapeer.auditing.table import AuditTable
from metapeer.effects.measures import ARMS, EVENTS

__all__ = ["Group", "make_groups", "predict", "regroup"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_MEASURED_DECIMALS = 6
"""Raw numbers with as many decimals were computed, not read from a paper, and carry no rounding worth counting."""
_FULL_DECIMALS = 5
"""Printed numbers with as many decimals cannot agree with a formula by chance."""
_OWN_SHARE = 0.5
"""Share of rows from which a formula is believed to be theirs."""
_EXACT_SHARE = 0.8
"""Share of rows that come out to their digits from which the review is taken to have used the very numbers printed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Rows with the same kind of raw numbers, and which formulas give what they print.

    Parameters
    ----------
    kind : {"means", "events", "sizes"}
        The raw numbers; sizes are those of the arms alone.
    rows : array of int, shape (m,)
        Positions in the table.
    raw : dict of str to array of shape (m,)
        The raw numbers.
    halves : dict of str to array of shape (m,)
        Half units to which means and SDs were rounded; 0 where unknown or nil.
    printed : Printed
        What the rows print.
    effects : array of shape (formulas, m)
        Effects by every formula of the kind, in the order of the register.
    fits, turned : array of bool, shape (formulas, m)
        Where the printed effect is that one, and where it is that one turned round.
    formulas : tuple of EffectFormula
        The formulas, in the same order.
    tied : tuple of int
        The formulas that fit the most rows; empty when none fits any.
    best : array of int, shape (m,)
        For each row the formula it is judged by: the table's where it fits, else the first that does, else the table's.
    slack : array of shape (m,)
        How far the effect may be off because means and SDs are rounded.
    spread_fits : array of bool, shape (spreads, m)
        Where the printed standard error comes out, from the raw effect or from the printed one.
    spreads : tuple of SpreadFormula
        The formulas for the variance.
    spread_tied : tuple of int
        Those that fit the most rows.
    variances : array of shape (m,)
        Variances by the table's formula; NaN when there is none.
    spread_slack : array of shape (m,)
        As `slack`, for the printed standard error or variance.
    mean : float
        Weighted mean effect of the rows.
    """

    kind: Kind
    rows: IntArray
    raw: dict[str, FloatArray]
    halves: dict[str, FloatArray]
    printed: Printed
    effects: FloatArray
    fits: BoolArray
    turned: BoolArray
    formulas: tuple[EffectFormula, ...]
    tied: tuple[int, ...]
    best: IntArray
    slack: FloatArray
    spread_fits: BoolArray
    spreads: tuple[SpreadFormula, ...]
    spread_tied: tuple[int, ...]
    variances: FloatArray
    spread_slack: FloatArray
    mean: float

    @property
    def m(self) -> int:
        """Rows."""
        return self.rows.size

    @property
    def formula(self) -> EffectFormula | None:
        """The formula of the table."""
        return self.formulas[self.tied[0]] if self.tied else None

    @property
    def spread_formula(self) -> SpreadFormula | None:
        """The formula of the table for variances."""
        return self.spreads[self.spread_tied[0]] if self.spread_tied else None

    @property
    def to_digits(self) -> BoolArray:
        """Rows whose effect comes out by the table's formula to its digits."""
        if not self.tied:
            return np.zeros(self.m, dtype=bool)
        return np.asarray(self.fits[self.tied[0]] | self.turned[self.tied[0]])

    @property
    def near(self) -> BoolArray:
        """Rows whose effect comes out, given the rounding of the raw numbers."""
        if not self.tied:
            return np.zeros(self.m, dtype=bool)
        plus, minus = self.printed.effect_agrees(
            self.effects[self.tied[0]], ratio=self.formulas[self.tied[0]].ratio, slack=self.slack
        )
        return np.asarray(plus | minus)

    @property
    def share(self) -> float:
        """Share of rows whose effect comes out, given the rounding."""
        return float(np.mean(self.near)) if self.m else 0.0

    @property
    def exact(self) -> bool:
        """Whether the review computed from the very numbers that stand here: its digits come out, and many of them."""
        full = self.printed.half_effect <= 0.5 * 10.0**-_FULL_DECIMALS
        return self.m > 0 and float(np.mean(self.to_digits)) >= _EXACT_SHARE and float(np.mean(full)) >= 0.5

    @property
    def solid(self) -> bool:
        """Whether the table's formula cannot have been found by chance: five rows, or two in full precision."""
        came_out = self.to_digits
        full = came_out & (self.printed.half_effect <= 0.5 * 10.0**-_FULL_DECIMALS)
        return int(self.near.sum()) >= 5 or int(full.sum()) >= 2

    @property
    def has_spread(self) -> BoolArray:
        """Rows that print a standard error or variance."""
        return np.isfinite(self.printed.spread) & (self.printed.spread > 0)

    @property
    def spread_to_digits(self) -> BoolArray:
        """Rows whose standard error comes out by the table's formula."""
        if not self.spread_tied:
            return np.zeros(self.m, dtype=bool)
        # Of a row whose effect was computed another way, the standard error may still be that of the others.
        as_others = self.printed.spread_agrees(self.variances)
        return np.asarray(self.spread_fits[self.spread_tied[0]] | as_others, dtype=np.bool_)

    @property
    def spread_near(self) -> BoolArray:
        """Rows whose standard error comes out, given the rounding of the raw numbers."""
        if not self.spread_tied:
            return np.zeros(self.m, dtype=bool)
        near = self.printed.spread_agrees(self.variances, slack=self.spread_slack)
        return np.asarray(self.spread_to_digits | near, dtype=np.bool_)

    @property
    def spread_share(self) -> float:
        """Share of the printed standard errors that come out."""
        there = self.has_spread
        return float(np.mean(self.spread_near[there])) if there.any() else 0.0

    def sign(self) -> IntArray:
        """Return 1 where an effect is printed as arm 1 minus arm 2, -1 where it is turned, 0 where none can tell."""
        found = np.zeros(self.m, dtype=np.int64)
        if not self.tied or self.share < _OWN_SHARE:  # effects from elsewhere have signs from elsewhere
            return found
        at = np.arange(self.m)
        plus, minus = self.fits[self.best, at], self.turned[self.best, at]
        formula = self.formulas[self.tied[0]]
        near = self.printed.effect_agrees(self.effects[self.tied[0]], ratio=formula.ratio, slack=self.slack)
        none = ~(plus | minus)
        plus, minus = np.where(none, near[0], plus), np.where(none, near[1], minus)
        found[plus & ~minus] = 1
        found[minus & ~plus] = -1
        if not self.exact:  # a difference that rounding may have turned has no sign
            found[np.abs(self.effect()) <= self.slack] = 0
        return found

    def effect(self) -> FloatArray:
        """Return effects by the table's formula, arm 1 minus arm 2; a ratio as its logarithm."""
        return self.effects[self.tied[0]] if self.tied else np.full(self.m, np.nan)

    def oriented(self, sign: IntArray) -> FloatArray:
        """Return effects by the table's formula as they would be printed with the given signs."""
        value = self.effect() * sign
        formula = self.formula
        with np.errstate(over="ignore"):
            return np.exp(value) if formula is not None and formula.ratio else value


def make_groups(table: AuditTable, printed: Printed) -> list[Group]:
    """Put the rows that can be re-derived into groups, and try every formula on them.

    Parameters
    ----------
    table : AuditTable
        The table.
    printed : Printed
        What its rows print.

    Returns
    -------
    list of Group
        At most one for means, one for events and one for rows with nothing but the sizes of their arms.
    """
    arms = {name: table.number(name) for name in ARMS}
    cells = {name: table.number(name) for name in EVENTS}
    there = np.isfinite(printed.effect)
    means = there & smallest_inputs("means", arms)
    events = there & smallest_inputs("events", cells)
    sizes = there & smallest_inputs("sizes", arms) & np.isfinite(printed.spread) & ~means & ~events
    halves = _halves(table)
    groups = []
    both = np.flatnonzero(means & events)
    if both.size:  # a row with both belongs where its effect comes out
        of_means = _group("means", both, arms, halves, printed)
        of_events = _group("events", both, cells, {}, printed)
        from_events = both[~_any_fit(of_means) & _any_fit(of_events)]
        means[from_events] = False
        events[np.setdiff1d(both, from_events)] = False
    for kind, where, raw in (("means", means, arms), ("events", events, cells), ("sizes", sizes, arms)):
        rows = np.flatnonzero(where)
        if rows.size:
            groups.append(_group(kind, rows, raw, halves if kind == "means" else {}, printed))  # type: ignore[arg-type]
    if len(groups) > 1 and groups[0].kind == "means" and groups[-1].kind == "sizes":
        groups[-1] = _as_the_others(groups[-1], groups[0])
    return groups


def regroup(group: Group, raw: dict[str, FloatArray], printed: Printed | None = None) -> Group:
    """Return a group with other raw numbers, or other printed ones."""
    zero = {name: np.zeros(group.m) for name in group.halves}
    return _evaluate(group.kind, group.rows, raw, zero, printed or group.printed)


def predict(group: Group, raw: Raw) -> tuple[FloatArray, FloatArray]:
    """Return effects and variances of other raw numbers by the table's formulas; NaN where there is none."""
    size = np.shape(next(iter(raw.values())))
    missing = np.full(size, np.nan)
    formula, spread = group.formula, group.spread_formula
    with np.errstate(all="ignore"):
        yi = missing if formula is None else np.broadcast_to(formula.compute(raw), size)
        if spread is None or formula is None:
            return yi, missing
        return yi, np.broadcast_to(spread.compute(raw, _uncorrected(formula, raw), group.mean), size)


def _as_the_others(group: Group, means: Group) -> Group:
    """Judge rows without means by the formula of the rows with means, unless most of them have their own."""
    spread = means.spread_formula
    if spread is None or not spread.uses_effect or not means.solid or group.spread_share >= _OWN_SHARE:
        return group
    index = [s.code for s in group.spreads].index(spread.code)
    with np.errstate(all="ignore"):
        d = group.printed.effect / correction_of(group.raw, spread.correction)
        variances = np.asarray(spread.compute(group.raw, d, group.mean), dtype=np.float64)
    return replace(group, spread_tied=(index,), variances=variances)


def _halves(table: AuditTable) -> dict[str, FloatArray]:
    """Half units of means and SDs; the arm with more decimals tells for both, since papers print them alike."""
    halves = {}
    for stem in ("mean", "sd"):
        digits = np.maximum(table.decimals(f"{stem}1"), table.decimals(f"{stem}2"))
        half = np.where(digits >= _MEASURED_DECIMALS, 0.0, half_units(digits))
        halves[f"{stem}1"] = halves[f"{stem}2"] = half
    return halves


def _group(
    kind: Kind, rows: IntArray, raw: dict[str, FloatArray], halves: dict[str, FloatArray], printed: Printed
) -> Group:
    own = {name: values[rows] for name, values in raw.items()}
    return _evaluate(kind, rows, own, {name: half[rows] for name, half in halves.items()}, printed.take(rows))


def _any_fit(group: Group) -> BoolArray:
    return np.asarray((group.fits | group.turned).any(axis=0))


def _uncorrected(formula: EffectFormula, raw: Raw) -> FloatArray:
    """The effect by the same formula without its correction J."""
    twin = "D" if formula.code in ("G_EXACT", "G_APPROX", "D2OR") else formula.code
    twin = twin.removesuffix("_EXACT").removesuffix("_APPROX")
    return EFFECT_FORMULAS.get(twin, formula).compute(raw)


def _most(fits: BoolArray) -> tuple[int, ...]:
    """Rows of a matrix with the most hits; none when there is no hit."""
    counts = fits.sum(axis=1) if fits.size else np.zeros(0, dtype=np.int64)
    if not counts.size or not counts.max():
        return ()
    return tuple(int(i) for i in np.flatnonzero(counts == counts.max()))


def _evaluate(
    kind: Kind, rows: IntArray, raw: dict[str, FloatArray], halves: dict[str, FloatArray], printed: Printed
) -> Group:
    m = rows.size
    with np.errstate(all="ignore"):
        formulas = tuple(f for f in EFFECT_FORMULAS.values() if f.kind == kind)
        effects = np.full((len(formulas), m), np.nan)
        fits, turned = np.zeros((2, len(formulas), m), dtype=bool)
        for i, formula in enumerate(formulas):
            effects[i] = formula.compute(raw)
            fits[i], turned[i] = printed.effect_agrees(effects[i], ratio=formula.ratio)
        any_way = fits | turned
        tied = _most(any_way)
        first = tied[0] if tied else 0
        best = np.full(m, first)
        if tied:
            best = np.where(any_way[first] | ~any_way.any(axis=0), first, any_way.argmax(axis=0))
        mean = _mean_effect(kind, raw)
        spreads = tuple(s for s in SPREAD_FORMULAS.values() if s.kind == kind or (kind == "sizes" and s.uses_effect))
        spread_fits = _spread_fits(raw, printed, formulas, best, spreads, mean, known=bool(tied))
        spread_tied = _most(spread_fits)
        slack, spread_slack = np.zeros((2, m))
        variances = np.full(m, np.nan)
        if spread_tied and (tied or kind == "sizes"):
            spread = spreads[spread_tied[0]]
            d = _uncorrected(formulas[first], raw) if tied else printed.effect / correction_of(raw, spread.correction)
            variances = np.broadcast_to(np.asarray(spread.compute(raw, d, mean), dtype=np.float64), (m,))
        if tied and halves:
            slack, spread_slack = _slack(
                formulas[first], spreads[spread_tied[0]] if spread_tied else None, raw, halves, printed, mean
            )
    return Group(
        kind=kind,
        rows=rows,
        raw=raw,
        halves=halves,
        printed=printed,
        effects=effects,
        fits=fits,
        turned=turned,
        formulas=formulas,
        tied=tied,
        best=best,
        slack=slack,
        spread_fits=spread_fits,
        spreads=spreads,
        spread_tied=spread_tied,
        variances=variances,
        spread_slack=spread_slack,
        mean=mean,
    )


def _mean_effect(kind: Kind, raw: Raw) -> float:
    """The weighted mean of g that metafor's AV puts into every variance."""
    if kind != "means":
        return 0.0
    g = EFFECT_FORMULAS["G_EXACT"].compute(raw)
    total = raw["n1"] + raw["n2"]
    ready = np.isfinite(g)
    return float(np.sum((total * g)[ready]) / np.sum(total[ready])) if ready.any() else 0.0


def _spread_fits(
    raw: Raw,
    printed: Printed,
    formulas: Sequence[EffectFormula],
    best: IntArray,
    spreads: Sequence[SpreadFormula],
    mean: float,
    *,
    known: bool,
) -> BoolArray:
    """Where each formula gives the printed standard error, from the raw effect or from the printed one."""
    m = best.size
    fits = np.zeros((len(spreads), m), dtype=bool)
    if formulas:
        family = np.array([f.family for f in formulas], dtype=object)[best]
        d = np.zeros(m)
        for index in np.unique(best):
            d = np.where(best == index, _uncorrected(formulas[index], raw), d)
    else:
        family, d = np.full(m, "SMD", dtype=object), np.full(m, np.nan)
    families = set(family.tolist())
    for i, spread in enumerate(spreads):
        if not families & set(spread.families):
            continue
        related = np.isin(family, spread.families)
        if known:
            fits[i] = related & printed.spread_agrees(np.asarray(spread.compute(raw, d, mean)))
        if spread.uses_effect:
            j = correction_of(raw, spread.correction)
            size = np.abs(printed.effect)
            low = spread.compute(raw, np.maximum(size - printed.half_effect, 0.0) / j, mean)
            high = spread.compute(raw, (size + printed.half_effect) / j, mean)
            fits[i] |= related & printed.spread_between(np.asarray(low), np.asarray(high))
    return fits


def _slack(
    formula: EffectFormula,
    spread: SpreadFormula | None,
    raw: dict[str, FloatArray],
    halves: dict[str, FloatArray],
    printed: Printed,
    mean: float,
) -> tuple[FloatArray, FloatArray]:
    """How far effect and standard error may be off when every mean and SD lies half a unit from the printed one."""
    size = printed.effect.size

    def both(values: Raw) -> tuple[FloatArray, FloatArray]:
        yi = formula.compute(values)
        if spread is None:
            return yi, np.full(size, np.nan)
        vi = np.broadcast_to(np.asarray(spread.compute(values, _uncorrected(formula, values), mean)), (size,))
        return yi, np.where(printed.squared, vi, np.sqrt(vi))

    yi, spread_of = both(raw)
    slack, spread_slack = np.zeros((2, size))
    for name, half in halves.items():
        moved, moved_spread = both({**raw, name: raw[name] + half})
        slack += np.nan_to_num(np.abs(moved - yi), nan=0.0, posinf=0.0)
        spread_slack += np.nan_to_num(np.abs(moved_spread - spread_of), nan=0.0, posinf=0.0)
    return slack, spread_slack
