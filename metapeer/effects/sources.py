"""One way to an effect each: from arms, from counts, from one group, from what a source reports or a review pooled.

Each gives, for every row, an effect as arm 1 minus arm 2 or the reason why it has none. `choose` takes for each row
the first way that leads somewhere.
"""

import numpy as np
from numpy.typing import NDArray

from metapeer.effects import binary, continuous, convert, rates_and_groups
from metapeer.effects.measures import ARMS, EVENTS
from metapeer.effects.options import Options
from metapeer.effects.reported import read_effect
from metapeer.effects.rows import Rows
from metapeer.effects.ways import COLUMNS, Effects, complete, offered, start

__all__ = ["choose"]

BoolArray = NDArray[np.bool_]


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
    main = attempts[options.kind]
    foreign = np.zeros(rows.size, dtype=np.bool_)
    only = ""
    other = {"arms": "events", "events": "arms"}.get(options.kind)
    if other is not None and other not in options.sources:
        foreign = offered(rows, other)
        only = "only event counts are given" if other == "events" else "only means are given"
    needs = f"{options.measure.code} needs {' '.join(options.measure.columns)}"
    if options.measure.code == "SMD":
        needs += ", or events_to_smd=True"
    for i in np.flatnonzero(rows.open & ~chosen.found).tolist():
        reasons = [attempt.reason[i] for attempt in attempts.values() if attempt.offered[i]]
        if not reasons:
            reasons = [f"{only}; {needs}" if foreign[i] else main.reason[i]]
        chosen.reason[i] = "; ".join(reasons)


def _from_arms(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    effects = start(rows, options, "arms")
    whole = complete(rows, effects, wanted, ARMS, options.measure.code)
    arms = {name: rows.numbers(name)[whole] for name in ARMS}
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
    effects.set(whole, "arms", yi, vi)
    effects.formula[whole] = formula
    if options.measure.code == "ROM":
        not_positive = (rows.numbers("mean1") <= 0) | (rows.numbers("mean2") <= 0)
        effects.reason[whole & not_positive] = "a ratio of means needs means above 0"
    return effects


_OF_EVENTS = {
    "RR": binary.log_risk_ratio,
    "OR": binary.log_odds_ratio,
    "RD": binary.risk_difference,
    "AS": binary.arcsine_difference,
    "PETO": binary.peto_log_odds_ratio,
}


def _from_events(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    effects = start(rows, options, "events")
    measure = options.of_events
    whole = complete(rows, effects, wanted, EVENTS, options.measure.code)
    events1, total1, events2, total2 = (rows.numbers(name) for name in EVENTS)
    if measure.drop_double_zero if options.drop_double_zero is None else options.drop_double_zero:
        empty = whole & binary.double_zero(events1, total1, events2, total2)
        effects.reason[empty] = (
            f"no events, or nothing but events, in both arms: that says nothing about {measure.code}"
        )
        whole &= ~empty

    tables = [cell[whole] for cell in (events1, total1, events2, total2)]
    cells = binary.fill_zero_cells(*tables, zero_cells=options.zero_cells or measure.zero_cells, add=options.add)
    formula = np.full(int(whole.sum()), "1/V" if measure.code == "PETO" else "LS", dtype=object)
    with np.errstate(all="ignore"):  # what is undefined is given its reason below
        yi, vi = _OF_EVENTS[measure.code](*cells)
        if options.events_to_smd:
            kind = options.smd.correction
            correction = continuous.small_sample_correction(tables[1] + tables[3] - 2, kind=kind)
            yi, vi = convert.log_odds_ratio_to_smd(yi, vi, correction=correction)
            formula[:] = f"OR2DL ({kind} J)"
    effects.set(whole, "events", yi, vi)
    added = "treatment arm correction" if options.add == binary.TACC else f"{options.add:g}"
    formula[cells[0] != tables[0]] += f", {added} added to each cell"
    effects.formula[whole] = formula
    if measure.scale == "log" and measure.code != "PETO":
        zero = (events1 == 0) | (events2 == 0) | (events1 == total1) | (events2 == total2)
        effects.reason[whole & zero & ~effects.found] = (
            f"a zero cell leaves {measure.code} or its variance undefined; zero_cells and add say what to add to it"
        )
    return effects


def _from_reported(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    effects = start(rows, options, "reported")
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
    effects = start(rows, options, "review")
    whole = complete(rows, effects, wanted, COLUMNS["review"], f"the review's {options.measure.code}")
    yi, sei = rows.numbers("review_yi")[whole], rows.numbers("review_sei")[whole]
    effects.set(whole, "review", yi, sei**2)
    effects.sense[whole] = 1  # positive favours peer support in this column, by its definition
    return effects


def _from_generic(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    effects = start(rows, options, "generic")
    from_ci = convert.se_from_interval(rows.numbers("ci_low"), rows.numbers("ci_high"), level=options.level)
    yi, vi, sei = rows.numbers("yi"), rows.numbers("vi"), rows.numbers("sei")
    vi = np.where(np.isnan(vi), np.where(np.isnan(sei), from_ci, sei) ** 2, vi)
    effects.reason[wanted & np.isnan(vi)] = "vi is missing, and so are sei and ci_low ci_high"
    effects.reason[wanted & np.isnan(yi)] = "yi is missing"
    whole = wanted & ~np.isnan(yi) & ~np.isnan(vi)
    effects.set(whole, "reported", yi[whole], vi[whole])
    return effects


_WAYS = {
    "arms": _from_arms,
    "events": _from_events,
    "rates": rates_and_groups.from_rates,
    "log_rank": rates_and_groups.from_log_rank,
    "group_events": rates_and_groups.from_group_counts,
    "group_rate": rates_and_groups.from_group_counts,
    "group_mean": rates_and_groups.from_group_mean,
    "correlation": rates_and_groups.from_correlation,
    "reported": _from_reported,
    "review": _from_review,
    "generic": _from_generic,
}
