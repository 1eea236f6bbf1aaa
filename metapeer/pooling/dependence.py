"""The door to dependence: a table of effects in, the covariance of their sampling errors out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.assumed_correlations import check_correlation, read_rho
from metapeer.pooling.covariance import (
    SamplingCovariance,
    blocks_from_correlations,
    covariance_from_blocks,
    covariance_from_matrix,
    covariance_from_variances,
)
from metapeer.pooling.definiteness import (
    SINGULAR,
    Block,
    correlations_of,
    definiteness_faults,
    indefinite,
    nearest_correlation,
)
from metapeer.pooling.measurements import Measurements, columns_of_measurement
from metapeer.pooling.models import Effects, Notes, read_effects
from metapeer.pooling.shared_arms import ArmParts, Standardiser, arm_parts, shared_correlation
from metapeer.pooling.trial_pairs import (
    Comparisons,
    Shares,
    TrialPairs,
    column_faults,
    find_pairs,
    listed,
    numeric_cells,
    source_of,
    table_of,
)
from metapeer.pooling.weighted import FloatArray

__all__ = ["read_covariance", "sampling_covariance"]

Codes = NDArray[np.intp]

ARM_COLUMNS = tuple(f"{name}{arm}" for name in ("n", "mean", "sd", "events", "total", "time") for arm in (1, 2))
ROWS_NAMED = 8
"""Rows that a message names before it only counts them."""

SAME = 1e-12
"""How close to one a correlation is that rounding alone parts from it."""


def sampling_covariance(
    data: pd.DataFrame,
    *,
    cluster: str = "study_id",
    rho: float | Sequence[object] | Mapping[tuple[str, str], float] | pd.DataFrame = 0.6,
    obs: str | Sequence[str] | None = None,
    type: str | None = None,  # noqa: A002 - metafor's name for it
    time: str | None = None,
    phi: float | None = None,
    subgroup: str | None = None,
    comparisons: Comparisons = "shared_control",
    arm_sizes: str = "needed",
    standardiser: Standardiser = "pair",
    nearest: bool = False,
) -> SamplingCovariance:
    r"""Make the covariance matrix of the sampling errors of effects, some of which come from the same people.

    Rows of different trials are independent. Rows of one trial that compare the same two arms share all participants,
    and their sampling errors correlate as the measurements do, which is seldom reported and has to be assumed: `rho`.
    Rows that share one arm only correlate as far as that arm makes up their variances, which is computed.

    Parameters
    ----------
    data : DataFrame
        Effects, as `effect_size` returns them. Rows with an ``exclusion_reason`` take no part. ``arm1`` and ``arm2``
        name the arms of a row within its trial; where a trial names none, rows with the same ``comparison`` compare
        the same two arms.
    cluster : str, default "study_id"
        Column that names the trial.
    rho : float, mapping, DataFrame, or two of these, default 0.6
        Correlation between two measurements of the same people. With `type`, a pair: within one type and between
        types. A mapping such as ``{("depression", "anxiety"): 0.5}`` or a DataFrame with names at both sides gives it
        for each pair of values of the column `obs` (of ``outcome`` when `obs` is left out), or of `type` for the
        second of a pair.
    obs : str or sequence of str, optional
        Columns that tell measurements apart: by default those of ``outcome``, ``instrument``, ``statistic`` and,
        without `time`, ``timepoint`` and ``timepoint_months`` that the table has. Rows of different arms with the same
        measurement are correlated through the shared arm alone; with different ones, rho times that. When columns are
        named here, rows of the same people that agree in all of them are refused; otherwise they are taken for
        different measurements, with a warning.
    type : str, optional
        Column with the kind of measurement, such as ``"outcome_class"``.
    time : str, optional
        Column with the time of measurement, such as ``"timepoint_months"``.
    phi : float, optional
        Correlation of two measurements of the same people one unit of `time` apart, from 0 to below 1; at a distance
        t it is phi to the power of t, and times rho between different measurements.
    subgroup : str, optional
        Column that parts the people of a trial into groups without overlap, which are independent.
    comparisons : {"shared_control", "independent"}
        What to assume of a trial with several comparisons whose arms are not named: that arm 2 is one and the same
        group, which makes pooled intervals wider, or that nobody is in two comparisons.
    arm_sizes : {"needed", "equal"}
        Where rows share one arm and the sizes of arms are missing: refuse, or take the arms for equally large, which
        makes the correlation 0.5.
    standardiser : {"pair", "trial"}
        Which arms the standard deviation of a standardised mean difference is pooled over: the two of its row, as
        `effect_size` does, or all of the trial, as Gleser and Olkin do.
    nearest : bool, default False
        Whether to replace correlations that contradict each other by the nearest ones that do not; with a warning.

    Returns
    -------
    SamplingCovariance
        For the rows that are pooled, in their order: ``k`` is their number, without the excluded ones. ``words`` says
        what was assumed.

    Raises
    ------
    DataError
        Listing every fault: missing columns and cells, missing arm sizes, pairs of names without a correlation, rows
        entered twice, and trials whose assumed correlations contradict each other.
    MetapeerError
        If rho lies outside [-1, 1] or phi outside [0, 1), or an option has no effect.

    References
    ----------
    Gleser & Olkin (2009), Stochastically dependent effect sizes, in The Handbook of Research Synthesis and
    Meta-Analysis, 2nd ed., 357-376. Viechtbauer (2010), J Stat Softw 36(3):1-48: function ``vcalc`` of metafor.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"study_id": ["a", "a", "b"], "outcome": ["hope", "stigma", "hope"],
    ...                       "yi": [0.2, 0.4, 0.1], "vi": [0.04, 0.09, 0.02]})
    >>> V = sampling_covariance(table, rho=0.5)
    >>> V.to_dense()
    array([[0.04, 0.03, 0.  ],
           [0.03, 0.09, 0.  ],
           [0.  , 0.  , 0.02]])
    >>> print(*V.words, sep="\n")
    3 effects of 2 trials; effects of different trials are independent
    1 pair of effects of the same participants: rho = 0.5 between measurements (outcome)
    """
    check_choice("arm_sizes", arm_sizes, ("needed", "equal"))
    check_choice("standardiser", standardiser, ("pair", "trial"))
    for option, column in (("type", type), ("time", time)):
        if column is not None and not isinstance(column, str):
            raise MetapeerError(f"{option} must be the name of a column, not {column!r}")
    if (time is None) != (phi is None):
        missing = "phi=, the correlation at one unit of time" if phi is None else "time=, the column with the times"
        raise MetapeerError(f"time and phi go together; give {missing}")
    if phi is not None and not check_correlation("phi", phi, low=0.0) < 1.0:
        raise MetapeerError(f"phi {phi!r} makes repeated measurements copies of each other; give one below 1")
    within, between = read_rho(rho, pair=type is not None)
    effects = read_effects(data)
    frame = table_of(effects)
    source = str(data.attrs.get("source", source_of(frame)))
    named = _names(obs)
    faults = column_faults(frame, {"type": type, "time": time})
    faults += [fault for column in named or [] for fault in column_faults(frame, {"obs": column})]
    if faults:
        raise DataError(source, faults)
    pairs = find_pairs(effects, cluster=cluster, subgroup=subgroup, comparisons=comparisons)
    keyed = not isinstance(within, float)
    columns = columns_of_measurement(frame, named, keyed=keyed, time=time)
    strict = named is not None or keyed
    notes = Notes()
    notes.say(
        f"{count(effects.yi.size, 'effect')} of {count(len(pairs.names), 'trial')}; effects of different trials are "
        "independent"
    )
    measured = Measurements(effects, frame, pairs, columns, strict=strict, kind=type, time=time)
    if measured.faults:
        raise DataError(source, measured.faults)
    correlation, alike = measured.correlations(within, between, phi, source=source, strict=strict)
    linked = pairs.shares == Shares.ARM
    if standardiser == "trial":
        linked |= pairs.shares == Shares.TRIAL
    result = np.where(pairs.shares == Shares.PARTICIPANTS, correlation, 0.0)
    _say_participants(pairs, measured, rho, type, phi, notes)
    if linked.any():
        parts = _parts(effects, frame, pairs, linked & (pairs.shares == Shares.ARM), arm_sizes, source)
        shared = shared_correlation(
            parts,
            pairs.arms,
            pairs.first[linked],
            pairs.second[linked],
            correlation[linked],
            standardiser=standardiser,
            trial_sizes=_trial_sizes(parts, pairs) if standardiser == "trial" else None,
        )
        result[linked] = np.nan_to_num(shared)
        _say_shared(parts, pairs, arm_sizes, notes)
    _say_assumptions(pairs, alike, subgroup, notes, told_apart=bool(columns) or time is not None)
    _refuse_copies(effects, pairs, result, rho, columns, time, source)
    blocks = blocks_from_correlations(effects.vi, pairs.first, pairs.second, result)
    blocks = _definite(effects, pairs, blocks, nearest, notes, source)
    notes.warn(stacklevel=2)
    return SamplingCovariance(k=effects.yi.size, blocks=blocks, words=tuple(notes.said))


def read_covariance(
    V: SamplingCovariance | ArrayLike | Sequence[ArrayLike] | None,
    effects: Effects,
) -> SamplingCovariance:
    """Accept a covariance matrix in any form, and check that it belongs to these effects.

    Parameters
    ----------
    V : SamplingCovariance, array of shape (k, k), sequence of arrays of shape (m, m), or None
        As `sampling_covariance` makes it; or a matrix; or the matrices of consecutive rows. None takes all rows for
        independent.
    effects : Effects
        The rows that are pooled.

    Returns
    -------
    SamplingCovariance
        Of these rows, in their order.

    Raises
    ------
    DataError
        Listing every fault; among them variances that differ from those of the effects.
    """
    k = effects.yi.size
    if V is None:
        return covariance_from_variances(effects.vi)
    if isinstance(V, SamplingCovariance):
        found = V
    elif isinstance(V, Sequence) and len(V) and all(np.ndim(_array(block)) == 2 for block in V):
        found = covariance_from_blocks(V)
    else:
        matrix = _array(V)
        if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] == k:
            found = covariance_from_matrix(matrix, names=effects.labels)
        else:
            found = covariance_from_matrix(matrix)
    if found.k != k:
        raise MetapeerError(
            f"the covariance matrix V has {count(found.k, 'row')} and {count(k, 'effect')} "
            f"{'is' if k == 1 else 'are'} pooled; it is for the rows without an exclusion_reason, in their order"
        )
    variances = found.diagonal()
    faults = [
        Fault(row=effects.labels[i], message=f"V has the variance {variances[i]:g} and the table {effects.vi[i]:g}")
        for i in np.flatnonzero(np.abs(variances - effects.vi) > 1e-6 * effects.vi).tolist()
    ]
    if faults:
        raise DataError("the covariance matrix V", faults)
    return found


def _names(obs: object) -> list[str] | None:
    """Return the columns that the user named to tell measurements apart."""
    if obs is None or isinstance(obs, str):
        return None if obs is None else [obs]
    found = list(obs) if isinstance(obs, Sequence) else []
    if not found or not all(isinstance(name, str) for name in found):
        raise MetapeerError(f"obs must be the name of a column or a list of names, not {obs!r}")
    return found


def _array(values: object) -> NDArray[np.object_] | FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("the covariance matrix V", ["must be a square table of numbers, or a list of them"]) from None


def _parts(
    effects: Effects, frame: pd.DataFrame, pairs: TrialPairs, linked: NDArray[np.bool_], arm_sizes: str, source: str
) -> ArmParts:
    """Split the variances by arm, and list rows that lack what this takes."""
    cells = {name: numeric_cells(frame, name) for name in ARM_COLUMNS if name in frame}
    parts = arm_parts(effects.measure, effects.yi, cells, equal=arm_sizes == "equal")
    needed = np.zeros(effects.yi.size, dtype=np.bool_)
    needed[pairs.first[linked]] = needed[pairs.second[linked]] = True
    faults = [
        Fault(
            row=effects.labels[i],
            column="n1, n2",
            message="sizes of arms are missing, and another row of the trial shares one arm; fill them in, or take "
            "arms for equally large with arm_sizes='equal'",
        )
        for i in np.flatnonzero(needed & ~parts.known).tolist()
    ]
    if faults:
        raise DataError(source, faults)
    return parts


def _trial_sizes(parts: ArmParts, pairs: TrialPairs) -> FloatArray:
    """Participants of all arms of each row's trial: each arm counts once, at its largest."""
    arms = np.concatenate(pairs.arms)
    largest: FloatArray = np.zeros(int(arms.max(initial=-1)) + 1)
    np.maximum.at(largest, arms, np.nan_to_num(np.concatenate([parts.n1, parts.n2])))
    trial_of = np.zeros(largest.size, dtype=np.intp)
    trial_of[arms] = np.concatenate([pairs.trial, pairs.trial])
    return np.asarray(np.bincount(trial_of, weights=largest, minlength=len(pairs.names))[pairs.trial], dtype=np.float64)


def _say_participants(
    pairs: TrialPairs,
    measured: Measurements,
    rho: object,
    kind: str | None,
    phi: float | None,
    notes: Notes,
) -> None:
    pairs_of_people = int((pairs.shares == Shares.PARTICIPANTS).sum())
    if not pairs_of_people and not (pairs.shares == Shares.ARM).any():
        return
    by = f" ({', '.join(measured.columns)})" if measured.columns else ""
    if kind is not None:
        within, between = (f"{r:g}" if isinstance(r, int | float) else "as given by pair" for r in rho)  # type: ignore[attr-defined]
        words = f"rho = {within} between measurements{by} of one {kind}, {between} between different ones"
    else:
        words = f"rho {f'= {rho:g}' if isinstance(rho, int | float) else 'as given by pair'} between measurements{by}"
    if phi is not None:
        words += f", times {phi:g} to the power of the difference in time"
    notes.say(f"{count(pairs_of_people, 'pair')} of effects of the same participants: {words}")


def _say_shared(parts: ArmParts, pairs: TrialPairs, arm_sizes: str, notes: Notes) -> None:
    arm = pairs.shares == Shares.ARM
    if not arm.any():
        return
    first, second = pairs.first[arm], pairs.second[arm]
    exact = int((parts.exact[first] & parts.exact[second]).sum())
    rough = int(arm.sum()) - exact
    ways = [f"{exact:,} from the figures of the arms"] if exact else []
    if rough:
        sized = np.isfinite(parts.n1 + parts.n2)
        equal = int((~(sized[first] & sized[second]) & ~(parts.exact[first] & parts.exact[second])).sum())
        ways += [f"{rough - equal:,} from the sizes of the arms"] if rough - equal else []
        ways += [f"{equal:,} with arms taken for equally large"] if equal and arm_sizes == "equal" else []
    notes.say(
        f"{count(int(arm.sum()), 'pair')} of effects that share one arm: correlated through that arm, {', '.join(ways)}"
    )


def _say_assumptions(pairs: TrialPairs, alike: Codes, subgroup: str | None, notes: Notes, *, told_apart: bool) -> None:
    if subgroup is not None:
        apart = int((pairs.shares == Shares.TRIAL).sum())
        notes.say(
            f"different values of {subgroup} are different people; {count(apart, 'pair')} of one trial independent"
        )
    if pairs.assumed:
        trials = [pairs.names[code] for code in sorted(pairs.assumed)]
        notes.doubt(
            f"{listed(trials)}: several comparisons and no named arms; arm 2 is taken for one control group shared by "
            "all. Name the arms in columns arm1 and arm2, or give comparisons='independent'"
        )
    if alike.size and not told_apart:
        notes.say("no column tells measurements apart: effects of the same participants count as different ones")
    elif alike.size:
        notes.doubt(
            f"{listed(pairs.trials_of(pairs.first[alike]))}: rows that agree in all columns that tell measurements "
            "apart; they are taken for different measurements. Was one entered twice?"
        )


def _refuse_copies(
    effects: Effects,
    pairs: TrialPairs,
    correlation: FloatArray,
    rho: object,
    columns: list[str],
    time: str | None,
    source: str,
) -> None:
    """List, for each trial, the rows whose sampling errors would be copies of each other."""
    copies = np.flatnonzero(np.abs(correlation) > 1.0 - SAME)
    if not copies.size:
        return
    by_trial: dict[int, list[int]] = {}
    for i in copies.tolist():
        by_trial.setdefault(int(pairs.trial[pairs.first[i]]), []).append(i)
    told = [*columns, *([time] if time else [])]
    remedy = (
        "give rho below 1"
        if isinstance(rho, int | float) and abs(rho) > 1.0 - SAME
        else f"drop one, or tell them apart{' in ' + ', '.join(told) if told else ''} or by obs="
    )
    faults = []
    for trial, found in by_trial.items():
        rows = dict.fromkeys(int(end[i]) for i in found for end in (pairs.first, pairs.second))
        shown = "; ".join(f"row {i + 1} ({effects.labels[i]})" for i in list(rows)[:ROWS_NAMED])
        more = f" and {len(rows) - ROWS_NAMED} more" if len(rows) > ROWS_NAMED else ""
        faults.append(
            Fault(
                row=pairs.names[trial], message=f"correlation {correlation[found[0]]:g} between {shown}{more}; {remedy}"
            )
        )
    raise DataError(source, faults)


def _definite(
    effects: Effects, pairs: TrialPairs, blocks: tuple[Block, ...], nearest: bool, notes: Notes, source: str
) -> tuple[Block, ...]:
    """Repair blocks that are not positive definite if asked to, or refuse them."""
    bad = indefinite(blocks)
    faults = []
    for place in bad:
        lowest = float(np.linalg.eigvalsh(correlations_of(blocks[place][1]))[0])
        contradictory = lowest < -SINGULAR * blocks[place][0].size
        if contradictory and nearest:
            continue
        remedy = (
            "give a lower rho or phi, or nearest=True for the nearest correlations that agree"
            if contradictory
            else "drop a row that follows from the others, as the third of three comparisons between three arms does"
        )
        trial = pairs.names[pairs.trial[blocks[place][0][0]]]
        faults += [
            Fault(row=trial, message=str(fault))
            for fault in definiteness_faults([blocks[place]], effects.labels, remedy=remedy)
        ]
    if faults:
        raise DataError(source, faults)
    if not bad:
        return blocks
    repaired = list(blocks)
    moved = 0.0
    for place in bad:
        rows, matrix = blocks[place]
        sei = np.sqrt(np.diagonal(matrix))
        before = correlations_of(matrix)
        after = nearest_correlation(before)
        moved = max(moved, float(np.abs(after - before).max()))
        covariance = after * np.outer(sei, sei)
        np.fill_diagonal(covariance, np.diagonal(matrix))
        repaired[place] = (rows, covariance)
    trials = pairs.trials_of(np.array([blocks[place][0][0] for place in bad], dtype=np.intp))
    notes.doubt(
        f"{listed(trials)}: the assumed correlations contradict each other and were replaced by the nearest that do "
        f"not, which moved them by up to {moved:.2g}. Some sums of their effects then hardly vary, and weights hang on "
        "these; a lower rho is safer"
    )
    return tuple(repaired)
