"""One way to an effect each: from arms, from events, from what a source reports, from what a review pooled.

Each gives, for every row, an effect as arm 1 minus arm 2 or the reason why it has none. `choose` takes for each row
the first way that leads somewhere.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from metapeer.effects import binary, continuous, convert, direction
from metapeer.effects.measures import ARMS, EVENTS
from metapeer.effects.options import Options
from metapeer.effects.reported import read_effect
from metapeer.effects.rows import Rows

__all__ = ["Effects", "check_cells", "choose"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
TextArray = NDArray[np.object_]

_COLUMNS: dict[str, tuple[str, ...]] = {
    "arms": ARMS,
    "events": EVENTS,
    "reported": ("es_type", "es"),
    "review": ("review_yi", "review_sei"),
    "generic": ("yi",),
}
_GENERIC_ERRORS = (("vi",), ("sei",), ("ci_low", "ci_high"))


@dataclass(slots=True, kw_only=True, eq=False)
class Effects:
    """An effect for each row of a table, or the reason why there is none.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effect and sampling variance; NaN where there is none.
    sense : array of int, shape (k,)
        +1 where positive favours arm 1, -1 where arm 2, 0 where unknown.
    source : array of str, shape (k,)
        Where the effect came from.
    formula : array of str, shape (k,)
        The variance formula; empty for a ready-made effect.
    reason : array of str, shape (k,)
        Why there is no effect; empty where there is one.
    offered : array of bool, shape (k,)
        Whether the row has any cell of this kind.
    asymmetric : array of bool, shape (k,)
        Whether the effect comes from an interval that cannot be symmetric about it.
    """

    yi: FloatArray
    vi: FloatArray
    sense: NDArray[np.int8]
    source: TextArray
    formula: TextArray
    reason: TextArray
    offered: BoolArray
    asymmetric: BoolArray

    @classmethod
    def none(cls, size: int) -> "Effects":
        """Return no effect for any of `size` rows, and no reason yet."""
        return cls(
            yi=np.full(size, np.nan),
            vi=np.full(size, np.nan),
            sense=np.zeros(size, dtype=np.int8),
            source=np.full(size, "", dtype=object),
            formula=np.full(size, "", dtype=object),
            reason=np.full(size, "", dtype=object),
            offered=np.zeros(size, dtype=np.bool_),
            asymmetric=np.zeros(size, dtype=np.bool_),
        )

    @property
    def found(self) -> BoolArray:
        """Rows that have an effect."""
        return np.asarray(self.source != "", dtype=np.bool_)

    def take(self, other: "Effects", where: BoolArray) -> None:
        """Take over the rows `where` from another set."""
        for field in fields(self):
            getattr(self, field.name)[where] = getattr(other, field.name)[where]

    def exclude(self, where: BoolArray, reason: TextArray) -> None:
        """Take the effects of the rows `where` away again, with a reason for each."""
        nothing = Effects.none(self.yi.size)
        self.take(nothing, where)
        self.reason[where] = reason

    def set(self, where: BoolArray, source: str, yi: FloatArray, vi: FloatArray) -> None:
        """Fill in effects for the rows `where`, or the reason if they are no finite numbers with a variance."""
        good = np.isfinite(yi) & np.isfinite(vi) & (vi > 0)
        index = np.flatnonzero(where)
        self.yi[index[good]], self.vi[index[good]], self.source[index[good]] = yi[good], vi[good], source
        self.reason[index[~good]] = np.where(
            vi[~good] == 0, "its sampling variance is 0", "its effect or sampling variance is not a finite number"
        )


def check_cells(rows: Rows, options: Options) -> None:
    """Raise every fault of the columns that the options ask for, all at once.

    Parameters
    ----------
    rows : Rows
        The table.
    options : Options
        What was asked for.

    Raises
    ------
    DataError
        If columns are missing, or cells are impossible.
    """
    _check_columns(rows, options)
    for source in options.sources:
        _CHECKS[source](rows)
    words = rows.text("direction")
    known = np.array([word in direction.DIRECTIONS for word in words], dtype=np.bool_)
    rows.note(~known, "direction", "it must be higher_better, lower_better or empty")
    rows.raise_faults()


def _check_columns(rows: Rows, options: Options) -> None:
    # What is preferred by name must be there; otherwise one complete kind will do.
    preferred = options.sources[:1] if options.prefer != "arms" else options.sources
    if not any(rows.has(*_COLUMNS[source]) for source in preferred):
        source = preferred[0]
        missing = [name for name in _COLUMNS[source] if not rows.has(name)]
        rows.note_column(
            f"there is no column {' '.join(missing)}; {options.measure.code} needs {' '.join(_COLUMNS[source])}"
        )
    elif options.sources == ("generic",) and not any(rows.has(*names) for names in _GENERIC_ERRORS):
        rows.note_column("there is no column vi, sei, or ci_low and ci_high to say how precise yi is")
    rows.raise_faults()


def _check_arms(rows: Rows) -> None:
    for arm in "12":
        rows.numbers(f"mean{arm}")
        rows.note(rows.numbers(f"n{arm}") < 2, f"n{arm}", "an arm needs at least 2 participants")
        rows.note(rows.numbers(f"sd{arm}") <= 0, f"sd{arm}", "a standard deviation must be > 0")


def _check_events(rows: Rows) -> None:
    for arm in "12":
        events, total = rows.numbers(f"events{arm}"), rows.numbers(f"total{arm}")
        rows.note(events < 0, f"events{arm}", "a count of events must not be negative")
        rows.note(total < 1, f"total{arm}", "an arm needs at least 1 participant")
        rows.note(events > total, f"events{arm}", f"events must not exceed the participants, total{arm}")


def _check_reported(rows: Rows) -> None:
    rows.numbers("es")
    rows.note(rows.numbers("es_se") <= 0, "es_se", "a standard error must be > 0")
    above = rows.numbers("es_ci_low") > rows.numbers("es_ci_high")
    rows.note(above, "es_ci_low", "a lower limit must not exceed the upper one, es_ci_high")


def _check_review(rows: Rows) -> None:
    rows.numbers("review_yi")
    rows.note(rows.numbers("review_sei") <= 0, "review_sei", "a standard error must be > 0")


def _check_generic(rows: Rows) -> None:
    rows.numbers("yi")
    vi, sei = rows.numbers("vi"), rows.numbers("sei")
    rows.note(vi <= 0, "vi", "a sampling variance must be > 0")
    rows.note(sei <= 0, "sei", "a standard error must be > 0")
    # A relative 1e-3 allows for standard errors written with four digits.
    rows.note(np.abs(vi - sei**2) > 1e-3 * np.abs(vi), "vi", "it must be the square of sei where both are given")
    rows.note(rows.numbers("ci_low") >= rows.numbers("ci_high"), "ci_low", "it must be less than ci_high")


_CHECKS = {
    "arms": _check_arms,
    "events": _check_events,
    "reported": _check_reported,
    "review": _check_review,
    "generic": _check_generic,
}


def choose(rows: Rows, options: Options) -> Effects:
    """Find an effect for each row, by the first way that leads to one.

    Parameters
    ----------
    rows : Rows
        The table, its cells checked.
    options : Options
        What was asked for.

    Returns
    -------
    Effects
        As arm 1 minus arm 2, signs not yet turned. Rows that the table itself excludes keep their reason.
    """
    chosen = Effects.none(rows.size)
    chosen.reason[:] = rows.recorded
    attempts: dict[str, Effects] = {}
    for source in options.sources:
        attempts[source] = _WAYS[source](rows, options, rows.open & ~chosen.found)
        chosen.take(attempts[source], attempts[source].found)
    _explain(rows, options, chosen, attempts)
    return chosen


def _explain(rows: Rows, options: Options, chosen: Effects, attempts: dict[str, Effects]) -> None:
    """Give every row that is left over its reason: of each kind of effect that it offers, else of the main kind."""
    main = next(attempts[source] for source in options.sources if source in {"arms", "events", "generic"})
    other = "events" if options.measure.columns == ARMS else "arms"
    foreign = _offered(rows, other) if other not in options.sources else np.zeros(rows.size, dtype=np.bool_)
    only = "only event counts are given" if other == "events" else "only means are given"
    needs = f"{options.measure.code} needs {' '.join(options.measure.columns)}"
    if options.measure.code == "SMD":
        needs += ", or events_to_smd=True"
    for i in np.flatnonzero(rows.open & ~chosen.found).tolist():
        reasons = [attempt.reason[i] for attempt in attempts.values() if attempt.offered[i]]
        if not reasons:
            reasons = [f"{only}; {needs}" if foreign[i] else main.reason[i]]
        chosen.reason[i] = "; ".join(reasons)


def _offered(rows: Rows, source: str) -> BoolArray:
    """Rows with a cell that only this kind of effect has; participants alone are not an effect."""
    given = [~np.isnan(rows.numbers(name)) for name in _COLUMNS[source] if name not in {"n1", "n2", "es_type"}]
    return np.asarray(np.any(given, axis=0), dtype=np.bool_)


def _start(rows: Rows, source: str) -> Effects:
    """Return no effects yet, with the sense that the instruments' directions give."""
    effects = Effects.none(rows.size)
    effects.sense = direction.senses(rows.text("direction"))
    effects.offered = _offered(rows, source)
    return effects


def _complete(rows: Rows, effects: Effects, wanted: BoolArray, columns: tuple[str, ...], needed_by: str) -> BoolArray:
    """Rows with all the columns; the others get the reason which are missing."""
    pattern = np.zeros(rows.size, dtype=np.int64)  # one bit for each missing column
    for bit, name in enumerate(columns):
        pattern |= np.isnan(rows.numbers(name)).astype(np.int64) << bit
    for value in np.unique(pattern[wanted]).tolist():
        missing = [name for bit, name in enumerate(columns) if value >> bit & 1]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            effects.reason[wanted & (pattern == value)] = (
                f"{', '.join(missing)} {verb} missing; {needed_by} needs {' '.join(columns)}"
            )
    return np.asarray(wanted & (pattern == 0), dtype=np.bool_)


def _from_arms(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    effects = _start(rows, "arms")
    complete = _complete(rows, effects, wanted, ARMS, options.measure.code)
    arms = {name: rows.numbers(name)[complete] for name in ARMS}
    pooled = options.variance == "HO"
    with np.errstate(all="ignore"):  # what overflows is given its reason below
        if options.measure.code == "SMD":
            (yi, vi), formula = continuous.hedges_g(**arms, variance=options.smd.name), options.smd.label
        elif options.measure.code == "SMDH":
            (yi, vi), formula = continuous.heteroscedastic_smd(**arms), "LS (exact J)"
        elif options.measure.code == "MD":
            (yi, vi), formula = continuous.mean_difference(**arms, pooled=pooled), "HO" if pooled else "LS"
        else:
            (yi, vi), formula = continuous.log_ratio_of_means(**arms, pooled=pooled), "HO" if pooled else "LS"
    effects.set(complete, "arms", yi, vi)
    effects.formula[complete] = formula
    if options.measure.code == "ROM":
        not_positive = (rows.numbers("mean1") <= 0) | (rows.numbers("mean2") <= 0)
        effects.reason[complete & not_positive] = "a ratio of means needs means above 0"
    return effects


_OF_EVENTS = {
    "RR": binary.log_risk_ratio,
    "OR": binary.log_odds_ratio,
    "RD": binary.risk_difference,
    "AS": binary.arcsine_difference,
    "PETO": binary.peto_log_odds_ratio,
}


def _from_events(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    effects = _start(rows, "events")
    measure = options.of_events
    complete = _complete(rows, effects, wanted, EVENTS, options.measure.code)
    events1, total1, events2, total2 = (rows.numbers(name) for name in EVENTS)
    if measure.drop_double_zero if options.drop_double_zero is None else options.drop_double_zero:
        empty = complete & binary.double_zero(events1, total1, events2, total2)
        effects.reason[empty] = (
            f"no events, or nothing but events, in both arms: that says nothing about {measure.code}"
        )
        complete &= ~empty

    tables = [cell[complete] for cell in (events1, total1, events2, total2)]
    cells = binary.fill_zero_cells(*tables, zero_cells=options.zero_cells or measure.zero_cells, add=options.add)
    formula = np.full(int(complete.sum()), "1/V" if measure.code == "PETO" else "LS", dtype=object)
    with np.errstate(all="ignore"):  # what is undefined is given its reason below
        yi, vi = _OF_EVENTS[measure.code](*cells)
        if options.events_to_smd:
            kind = options.smd.correction
            correction = continuous.small_sample_correction(tables[1] + tables[3] - 2, kind=kind)
            yi, vi = convert.log_odds_ratio_to_smd(yi, vi, correction=correction)
            formula[:] = f"OR2DL ({kind} J)"
    effects.set(complete, "events", yi, vi)
    added = "treatment arm correction" if options.add == binary.TACC else f"{options.add:g}"
    formula[cells[0] != tables[0]] += f", {added} added to each cell"
    effects.formula[complete] = formula
    if measure.scale == "log" and measure.code != "PETO":
        zero = (events1 == 0) | (events2 == 0) | (events1 == total1) | (events2 == total2)
        effects.reason[complete & zero & ~effects.found] = (
            f"a zero cell leaves {measure.code} or its variance undefined; zero_cells and add say what to add to it"
        )
    return effects


def _from_reported(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    effects = _start(rows, "reported")
    es_type, p = rows.text("es_type"), rows.text("p_value")
    es, es_se, low, high = (rows.numbers(name) for name in ("es", "es_se", "es_ci_low", "es_ci_high"))
    for i in np.flatnonzero(wanted & effects.offered).tolist():
        reading = read_effect(
            measure=options.measure.code,
            es_type=es_type[i],
            es=float(es[i]),
            es_se=float(es_se[i]),
            low=float(low[i]),
            high=float(high[i]),
            p=p[i],
            level=options.level,
        )
        effects.reason[i] = reading.problem
        if not reading.problem:
            effects.yi[i], effects.vi[i], effects.source[i] = reading.yi, reading.sei**2, "reported"
            effects.sense[i] = reading.sense or effects.sense[i]
            effects.asymmetric[i] = reading.asymmetric
    return effects


def _from_review(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    effects = _start(rows, "review")
    complete = _complete(rows, effects, wanted, _COLUMNS["review"], f"the review's {options.measure.code}")
    yi, sei = rows.numbers("review_yi")[complete], rows.numbers("review_sei")[complete]
    effects.set(complete, "review", yi, sei**2)
    effects.sense[complete] = 1  # positive favours peer support in this column, by its definition
    return effects


def _from_generic(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    effects = _start(rows, "generic")
    from_ci = convert.se_from_interval(rows.numbers("ci_low"), rows.numbers("ci_high"), level=options.level)
    yi, vi, sei = rows.numbers("yi"), rows.numbers("vi"), rows.numbers("sei")
    vi = np.where(np.isnan(vi), np.where(np.isnan(sei), from_ci, sei) ** 2, vi)
    effects.reason[wanted & np.isnan(vi)] = "vi is missing, and so are sei and ci_low ci_high"
    effects.reason[wanted & np.isnan(yi)] = "yi is missing"
    complete = wanted & ~np.isnan(yi) & ~np.isnan(vi)
    effects.set(complete, "reported", yi[complete], vi[complete])
    return effects


_WAYS = {
    "arms": _from_arms,
    "events": _from_events,
    "reported": _from_reported,
    "review": _from_review,
    "generic": _from_generic,
}
