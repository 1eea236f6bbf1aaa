"""The door: a table of trial results in, the same rows with effect sizes out."""

import warnings
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.effects import continuous, direction
from metapeer.effects.checks import check_cells
from metapeer.effects.measures import ARMS, MeasureCode, ZeroCells, find_measure
from metapeer.effects.options import Options, Prefer
from metapeer.effects.rows import Rows
from metapeer.effects.sources import choose
from metapeer.effects.ways import Effects
from metapeer.errors import DataError, DataWarning
from metapeer.formatting import count

__all__ = ["effect_size"]

_NOT_UNDONE = ("double arcsine", "double root")  # Schwarzer et al. 2019, Res Synth Methods 10:476-483
_SHOWN = 5  # rows named in a warning; the others are counted


def effect_size(
    data: pd.DataFrame,
    *,
    measure: MeasureCode = "SMD",
    variance: str = "metafor",
    prefer: Prefer = "arms",
    orient: bool | None = None,
    events_to_smd: bool = False,
    zero_cells: ZeroCells | None = None,
    add: float | Literal["TACC"] = 0.5,
    drop_double_zero: bool | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compute an effect size and its sampling variance for every row of a table.

    Arm 1 is peer support; an effect is arm 1 minus arm 2, or the logarithm of arm 1 over arm 2. Some measures are of
    one group only: a proportion, a rate, a mean, a correlation. No row is dropped: one that cannot be used keeps its
    place, with the reason.

    Parameters
    ----------
    data : DataFrame
        One row per comparison of two arms, with ``n1 mean1 sd1 n2 mean2 sd2``, or ``events1 total1 events2 total2``, or
        events in person-time, ``events1 time1 events2 time2``, or observed minus expected events of arm 1 and their
        variance, ``oe v``, or a ready-made effect ``es_type es`` with ``es_se``, ``es_ci_low es_ci_high`` or
        ``p_value``, or the effect that a review pooled, ``review_yi review_sei``. Or one row per group, with ``events
        total``, ``events time``, ``mean sd n`` or ``r n``. Further columns used where present: ``direction``
        (``"higher_better"`` or ``"lower_better"``), ``exclusion_reason``, and ``line``, ``study_id``, ``outcome`` and
        ``instrument`` to name a row in messages.
    measure : str, default "SMD"
        Effect measure: of two arms with means SMD, SMDH, MD or ROM; with events RR, OR, RD, AS or PETO; with events in
        person-time IRR, IRD or IRSD; from a log-rank test or as reported HR. Of one group a proportion (PR, PLN, PLO,
        PAS, PFT), a rate (IR, IRLN, IRS, IRFT), a mean (MN, MNLN) or a correlation (COR, UCOR, ZCOR). ``"GEN"`` takes
        ready-made ``yi`` with ``vi``, ``sei`` or ``ci_low ci_high`` as they stand.
    variance : str, default "metafor"
        Variance formula. For SMD a name or preset of `metapeer.effects.continuous` (``"LS"``, ``"UB"``,
        ``"revman5"``, ``"metapsy"``, ...); for MD and ROM ``"LS"`` (unequal variances) or ``"HO"`` (a pooled one); for
        COR and UCOR ``"LS"`` (each row's own) or ``"AV"`` (from the mean correlation of all rows).
    prefer : {"arms", "review", "reported"}
        What to use where a row offers more than one: the arms, then the ready-made effect; or the review's effect
        first; or the ready-made effect first. The review's effects are used only when asked for, and are taken to be
        of the measure asked for.
    orient : bool, optional
        Whether to turn signs so that positive favours arm 1. By default signs are turned for standardised
        differences, and differences in natural units and ratios are left as the arms give them.
    events_to_smd : bool, default False
        Whether rows with events only become standardised mean differences through their odds ratio.
    zero_cells : {"only0", "all", "if0all", "none"}, optional
        Where to add a constant to the cells of a table of events (metafor's ``to``): tables with a zero cell, all
        tables, all tables if any has a zero cell, or nowhere; likewise for counts in person-time and of one group. By
        default ``"only0"``, and ``"none"`` for AS, PETO, IRSD, PAS, PFT, IRS and IRFT, which need none.
    add : float or "TACC", default 0.5
        What to add; ``"TACC"`` is the treatment arm continuity correction.
    drop_double_zero : bool, optional
        Whether tables without events (or with nothing but events) in both arms are left out. By default True for
        ratios and False for RD, AS, IRD and IRSD.
    level : float, default 0.95
        Confidence level of printed intervals.

    Returns
    -------
    DataFrame
        The rows as given, in their order, with these columns added or overwritten: ``yi``, ``vi``, ``sei``,
        ``measure``, ``variance_formula`` (what was computed; empty for a ready-made effect), ``es_source``
        (``"arms"``, ``"events"``, ``"rates"``, ``"log_rank"``, ``"group_events"``, ``"group_rate"``, ``"group_mean"``,
        ``"correlation"``, ``"reported"``, ``"review"`` or empty), ``positive_favours`` (``"arm1"``,
        ``"arm2"``, or empty where unknown) and ``exclusion_reason`` (empty when the row is usable).

    Raises
    ------
    DataError
        If columns are missing, numbers are impossible, or directions conflict; all faults at once.
    ChoiceError
        If an option is unknown, or has no effect with `measure`.

    Warns
    -----
    DataWarning
        If no row is usable, if an interval cannot be symmetric about its effect, or if proportions or rates are to be
        pooled by Freeman and Tukey's transformation, which cannot be undone for a pooled value.

    References
    ----------
    Cochrane Handbook 6.5, chapters 6 and 10; for each formula see `metapeer.effects.continuous`,
    `metapeer.effects.binary`, `metapeer.effects.rates`, `metapeer.effects.proportions`,
    `metapeer.effects.correlation`, `metapeer.effects.single` and `metapeer.effects.convert`.

    Examples
    --------
    >>> import pandas as pd
    >>> trials = pd.DataFrame({
    ...     "study_id": ["smith2014", "jones2016"], "direction": ["higher_better", "lower_better"],
    ...     "n1": [40, 55], "mean1": [31.0, 12.1], "sd1": [8.0, 5.0],
    ...     "n2": [42, 50], "mean2": [28.0, 13.0], "sd2": [9.0, 5.5],
    ... })
    >>> effects = effect_size(trials, variance="revman5")
    >>> effects[["study_id", "yi", "sei", "variance_formula", "positive_favours"]].round(3)
        study_id     yi    sei         variance_formula positive_favours
    0  smith2014  0.349  0.223  LS_N394 (approximate J)             arm1
    1  jones2016  0.170  0.196  LS_N394 (approximate J)             arm1
    """
    options = Options(
        measure=find_measure(measure),
        variance=variance,
        prefer=prefer,
        orient=orient,
        events_to_smd=events_to_smd,
        zero_cells=zero_cells,
        add=add,
        drop_double_zero=drop_double_zero,
        level=level,
    )
    rows = Rows(data)
    check_cells(rows, options)
    effects = choose(rows, options)
    _turn_signs(rows, effects, options)
    if options.averages:
        _average_variance(rows, effects)
    _warn(rows, effects, options)

    result = rows.data.copy()
    for name, column in {
        "yi": effects.yi,
        "vi": effects.vi,
        "sei": np.sqrt(effects.vi),
        "measure": np.full(rows.size, options.measure.code, dtype=object),
        "variance_formula": effects.formula,
        "es_source": effects.source,
        "positive_favours": direction.favoured_arms(effects.sense),
        "exclusion_reason": effects.reason,
    }.items():
        result[name] = column
    return result


def _turn_signs(rows: Rows, effects: Effects, options: Options) -> None:
    """Make all signs mean the same, or refuse; rows whose direction nobody knows are left out if others' is known."""
    lost = direction.undecided(effects.sense, effects.found)
    instruments = rows.text("instrument")
    reasons = [f"direction of {name!r} is unknown" if name else "direction is unknown" for name in instruments[lost]]
    effects.exclude(lost, np.array(reasons, dtype=object))
    if options.turns_signs:
        turned = effects.found & (effects.sense < 0)
        effects.yi[turned] = 0.0 - effects.yi[turned]  # so that no effect stays 0, not -0
        effects.sense[turned] = 1
    elif direction.is_mixed(effects.sense, effects.found):
        examples = [rows.name(int(np.flatnonzero(effects.found & (effects.sense == s))[0])) for s in (1, -1)]
        message = (
            f"a positive {options.measure.code} favours arm 1 in some rows ({examples[0]}, ...) and arm 2 in others "
            f"({examples[1]}, ...): pooled as they are, they mean nothing. Use orient=True to turn signs so that "
            "positive favours arm 1, or select rows of one direction"
        )
        raise DataError(rows.source, [message])


def _average_variance(rows: Rows, effects: Effects) -> None:
    """Compute AV again from signs that agree: it rests on the mean effect of the rows from arms."""
    where = effects.source == "arms"
    arms = {name: rows.numbers(name)[where] for name in ARMS}
    g, _ = continuous.hedges_g(**arms, variance="AV")
    sign = np.where(g * effects.yi[where] < 0, -1.0, 1.0)
    arms |= {"mean1": sign * arms["mean1"], "mean2": sign * arms["mean2"]}
    effects.vi[where] = continuous.hedges_g(**arms, variance="AV")[1]


def _warn(rows: Rows, effects: Effects, options: Options) -> None:
    if options.measure.scale in _NOT_UNDONE and effects.found.sum() > 1:
        code = options.measure.code
        instead = {"PFT": "PLO or PAS", "IRFT": "IRLN or IRS"}[code]
        warnings.warn(
            f"{rows.source}: a pooled {code} can only be turned back with a sample size that no pooled value has, and "
            f"may mislead where studies differ much in size; consider {instead}",
            DataWarning,
            stacklevel=3,
        )
    if not effects.found.any():
        warnings.warn(f"{rows.source}: no row can be used; column exclusion_reason says why", DataWarning, stacklevel=3)
    _warn_of_intervals(rows, np.asarray(effects.found & effects.asymmetric, dtype=np.bool_))


def _warn_of_intervals(rows: Rows, where: NDArray[np.bool_]) -> None:
    index = np.flatnonzero(where).tolist()
    if index:
        names = "; ".join(rows.name(i) for i in index[:_SHOWN])
        more = f"; and {count(len(index) - _SHOWN, 'more row')}" if len(index) > _SHOWN else ""
        warnings.warn(
            f"{rows.source}: an interval cannot be symmetric about its effect, whatever the rounding, so that its "
            f"standard error is doubtful: {names}{more}",
            DataWarning,
            stacklevel=4,
        )
