"""Ways to an effect from events in person-time, from a log-rank test, and from a single group.

Each gives, for every row, an effect or the reason why it has none.
"""

import numpy as np
from numpy.typing import NDArray

from metapeer.effects import correlation, proportions, rates, single
from metapeer.effects.measures import CORRELATION, GROUP_MEAN, LOG_RANK, RATES
from metapeer.effects.options import Options
from metapeer.effects.rows import Rows
from metapeer.effects.ways import Effects, complete, start

__all__ = ["from_correlation", "from_group_counts", "from_group_mean", "from_log_rank", "from_rates"]

BoolArray = NDArray[np.bool_]
TextArray = NDArray[np.object_]

_OF_RATES = {
    "IRR": rates.log_rate_ratio,
    "IRD": rates.rate_difference,
    "IRSD": rates.root_rate_difference,
}


def from_rates(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    """Compare the events in person-time of two arms.

    Parameters
    ----------
    rows : Rows
        The table, its cells checked.
    options : Options
        What was asked for.
    wanted : array of bool, shape (k,)
        Rows that still need an effect.

    Returns
    -------
    Effects
        With a reason for each wanted row that has none.
    """
    effects = start(rows, options, "rates")
    measure = options.measure
    whole = complete(rows, effects, wanted, RATES, measure.code)
    events1, time1, events2, time2 = (rows.numbers(name) for name in RATES)
    if measure.drop_double_zero if options.drop_double_zero is None else options.drop_double_zero:
        empty = whole & (events1 == 0) & (events2 == 0)
        effects.reason[empty] = f"no events in either arm: that says nothing about {measure.code}"
        whole &= ~empty
    given = events1[whole], events2[whole]
    x1, x2 = rates.fill_zero_counts(*given, zero_cells=options.zero_cells or measure.zero_cells, add=_added(options))
    yi, vi = _OF_RATES[measure.code](x1, time1[whole], x2, time2[whole])
    effects.set(whole, options.kind, yi, vi)
    effects.formula[whole] = _formula("LS", x1 != given[0], options, "the events of each arm")
    if measure.scale == "log":
        zero = (events1 == 0) | (events2 == 0)
        _explain_zero(effects, whole & zero, measure.code)
    return effects


_OF_GROUP_EVENTS = {
    "PR": proportions.proportion,
    "PLN": proportions.log_proportion,
    "PLO": proportions.logit,
    "PAS": proportions.arcsine_root,
    "PFT": proportions.double_arcsine,
}
_OF_GROUP_RATE = {
    "IR": rates.rate,
    "IRLN": rates.log_rate,
    "IRS": rates.root_rate,
    "IRFT": rates.double_root_rate,
}


def from_group_counts(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    """Take a proportion or an incidence rate of one group.

    Parameters
    ----------
    rows : Rows
        The table, its cells checked.
    options : Options
        What was asked for.
    wanted : array of bool, shape (k,)
        Rows that still need an effect.

    Returns
    -------
    Effects
        With a reason for each wanted row that has none.
    """
    effects = start(rows, options, options.kind)
    code = options.measure.code
    whole = complete(rows, effects, wanted, options.measure.columns, code)
    events, size = (rows.numbers(name)[whole] for name in options.measure.columns)
    rule, add = options.zero_cells or options.measure.zero_cells, _added(options)
    if options.kind == "group_events":
        x, n = proportions.fill_zero_proportions(events, size, zero_cells=rule, add=add)
        (yi, vi), to = _OF_GROUP_EVENTS[code](x, n), "events and non-events"
    else:
        (x,) = rates.fill_zero_counts(events, zero_cells=rule, add=add)
        (yi, vi), to = _OF_GROUP_RATE[code](x, size), "the events"
    effects.set(whole, options.kind, yi, vi)
    effects.formula[whole] = _formula("LS", x != events, options, to)
    _explain_zero(effects, whole, code)  # nothing but a count of zero, or of all, leaves these undefined
    return effects


def _added(options: Options) -> float:
    return float(options.add)  # "TACC" has been refused


def _formula(name: str, added: BoolArray, options: Options, to: str) -> TextArray:
    formula = np.full(added.size, name, dtype=object)
    formula[added] += f", {options.add:g} added to {to}"
    return formula


def _explain_zero(effects: Effects, where: BoolArray, code: str) -> None:
    effects.reason[where & ~effects.found] = (
        f"a count of zero, or of all, leaves {code} or its variance undefined; zero_cells and add say what to add to it"
    )


def from_log_rank(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    """Take a hazard ratio from observed minus expected events and their variance.

    Parameters
    ----------
    rows : Rows
        The table, its cells checked.
    options : Options
        What was asked for.
    wanted : array of bool, shape (k,)
        Rows that still need an effect.

    Returns
    -------
    Effects
        With a reason for each wanted row that has none.
    """
    effects = start(rows, options, "log_rank")
    whole = complete(rows, effects, wanted, LOG_RANK, options.measure.code)
    yi, vi = rates.log_hazard_ratio(rows.numbers("oe")[whole], rows.numbers("v")[whole])
    effects.set(whole, options.kind, yi, vi)
    effects.formula[whole] = "1/V"
    return effects


def from_group_mean(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    """Take the mean of one group.

    Parameters
    ----------
    rows : Rows
        The table, its cells checked.
    options : Options
        What was asked for.
    wanted : array of bool, shape (k,)
        Rows that still need an effect.

    Returns
    -------
    Effects
        With a reason for each wanted row that has none.
    """
    effects = start(rows, options, "group_mean")
    code = options.measure.code
    whole = complete(rows, effects, wanted, GROUP_MEAN, code)
    mean, sd, n = (rows.numbers(name)[whole] for name in GROUP_MEAN)
    yi, vi = single.mean(mean, sd, n) if code == "MN" else single.log_mean(mean, sd, n)
    effects.set(whole, options.kind, yi, vi)
    effects.formula[whole] = "LS"
    if code == "MNLN":
        effects.reason[whole & (rows.numbers("mean") <= 0)] = "the logarithm of a mean needs a mean above 0"
    return effects


def from_correlation(rows: Rows, options: Options, wanted: BoolArray) -> Effects:
    """Take a correlation in one group.

    Parameters
    ----------
    rows : Rows
        The table, its cells checked.
    options : Options
        What was asked for.
    wanted : array of bool, shape (k,)
        Rows that still need an effect.

    Returns
    -------
    Effects
        With a reason for each wanted row that has none.
    """
    effects = start(rows, options, "correlation")
    code = options.measure.code
    whole = complete(rows, effects, wanted, CORRELATION, code)
    average = options.variance == "AV"
    if code != "COR":
        few = whole & (rows.numbers("n") < 4)
        effects.reason[few] = f"{code} needs at least 4 participants"
        whole &= ~few
    r, n = (rows.numbers(name)[whole] for name in CORRELATION)
    if code == "ZCOR":
        yi, vi = correlation.fisher_z(r, n)
    else:
        compute = correlation.correlation if code == "COR" else correlation.unbiased_correlation
        yi, vi = compute(r, n, average=average)
    effects.set(whole, options.kind, yi, vi)
    effects.formula[whole] = "AV" if average else "LS"
    if code == "ZCOR":
        effects.reason[whole & ~effects.found] = "Fisher's z of a correlation of 1 or -1 is infinite"
    return effects
