"""The door to multiverse analysis: all combinations of defensible choices, fitted and described."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from metapeer.errors import DataError, DataWarning, Fault, MetapeerError
from metapeer.pooling.batch_fit import BATCH_CI_METHODS, batch_options, fit_sets
from metapeer.pooling.batch_sets import Sets
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.outcome_classes_cells import one_line
from metapeer.sensitivity.multiverse_build import build_versions, key_of
from metapeer.sensitivity.multiverse_declare import Declaration, read_declaration
from metapeer.sensitivity.multiverse_fit import DERIVED, NUMBERS, Fitted, fit_plan
from metapeer.sensitivity.multiverse_plan import Plan, make_plan
from metapeer.sensitivity.multiverse_results import MultiverseResult

if TYPE_CHECKING:
    from metapeer.sensitivity.multiverse_choices import Choice

__all__ = ["multiverse"]

_SINGLE = ("estimate", "se", "ci_low", "ci_high", "df", "p_value", "tau2", "I2")


def multiverse(
    data: pd.DataFrame,
    *,
    choices: Mapping[str, "Choice | Sequence[Any] | Mapping[str, Callable[[pd.DataFrame], pd.DataFrame] | None]"],
    claim: Literal["positive", "negative", "nonzero"] = "nonzero",
    contrast: tuple[str, str] | None = None,
    contrast_by: str = "outcome_class",
    effect_options: Mapping[str, Any] | None = None,
    pooling: Mapping[str, Any] | None = None,
    weights: Mapping[str, Mapping[str, float]] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> MultiverseResult:
    """Run every combination of declared choices, and see what a finding hangs on.

    A multiverse is no sample of analyses: it holds what was declared and nothing else, so that a share of its
    specifications is not a probability. Choices should be declared before results are seen, and only such as could be
    defended to a reader who does not share the hopes of the analyst.

    Parameters
    ----------
    data : DataFrame
        Rows of trials, or of effects: ``study_id``; ``yi`` with ``vi`` or ``sei``, or what `effect_size` takes.
    choices : mapping of str
        Name to choice: what `choose_rows`, `choose_where`, `choose_timepoint`, `choose_corrections`, `choose_outliers`,
        `choose_tables` or `choose_option` returns; a list of values where the name is that of an option (``measure``,
        ``variance``, ``prefer``, ..., ``model``, ``tau2_method``, ``ci_method``, ``rho``, ``contrast_method``); or a
        mapping of label to a function from table to table.
    claim : {"positive", "negative", "nonzero"}, default "nonzero"
        What is claimed of the estimate. A specification supports it when its interval excludes no effect on that side.
    contrast : (str, str), optional
        Two classes of rows: the estimate is then the pooled effect of the first minus that of the second.
        ``contrast_method`` says how: ``"paired"`` (default) pools the differences within the trials that report both;
        ``"GLS"`` takes all trials, with one effect of each class of a trial, a tau2 of each class by itself, and `rho`
        for sampling errors and true effects alike.
    contrast_by : str, default "outcome_class"
        The column of the classes.
    effect_options : mapping, optional
        Options of `effect_size` that all specifications share. When given, or when an option of it is a choice, effects
        are computed; otherwise the table has them.
    pooling : mapping, optional
        What all specifications share: ``model``, ``tau2_method``, ``ci_method``, ``level``, ``rho`` (default 0.6),
        ``rows`` (default ``"average"``, one effect for each trial), ``contrast_method``.
    weights : mapping of str to mapping, optional
        Weight of each option of some choices, for the weighted share; the others' are equal. A specification weighs as
        much as the product of its options.
    progress : callable, optional
        Called with how much is done, of how much, and of what: ``"effects"`` or ``"fits"``.

    Returns
    -------
    MultiverseResult
        Each different specification, the curve, and what it hangs on.

    Raises
    ------
    DataError
        If the declaration is faulty, a choice cannot be carried out on the table, or nothing can be pooled; every fault
        is listed.

    Warns
    -----
    DataWarning
        If specifications are impossible, or take rows of one trial for independent.

    Notes
    -----
    Choices act in this order, whatever the order of declaration: corrections, tables, effects, conditions and time
    points (and tables after effects), rows, contrast, outliers, pooling. Specifications that use the same effects (to
    twelve digits) with the same options are one, counted once.

    References
    ----------
    Steegen, Tuerlinckx, Gelman & Vanpaemel (2016), Perspect Psychol Sci 11:702-712. Simonsohn, Simmons & Nelson (2020),
    Nat Hum Behav 4:1208-1214. Voracek, Kossmeier & Tran (2019), Z Psychol 227:64-82. Del Giudice & Gangestad (2021),
    Adv Methods Pract Psychol Sci 4(1).

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer.sensitivity.multiverse_choices import choose_rows
    >>> rows = pd.DataFrame({"study_id": list("aabbcd"), "yi": [0.2, 0.4, 0.1, 0.6, 0.5, 0.3],
    ...                      "vi": [0.04, 0.05, 0.02, 0.03, 0.04, 0.06]})
    >>> found = multiverse(rows, claim="positive", choices={
    ...     "rows": choose_rows(["average", "most_precise"]), "tau2_method": ["REML", "DL"], "ci_method": ["HK", "z"]})
    >>> found.declared, found.different, round(found.share, 2)
    (8, 8, 0.75)
    """
    declared = read_declaration(
        data,
        choices=choices,
        claim=claim,
        contrast=contrast,
        contrast_by=contrast_by,
        effect_options=effect_options,
        pooling=pooling,
        weights=weights,
    )
    with warnings.catch_warnings():
        # A version of the table may be doubtful in a way that the table is not; the same would be said of thousands.
        warnings.simplefilter("ignore", DataWarning)
        versions = build_versions(data, declared, progress)
        plan = make_plan(declared, versions)
        told = None if progress is None else (lambda done, total: progress(done, total, "fits"))
        fitted = fit_plan(plan, plan.parts.yi[None, :], declared.level, told=told)
        refused = _fit_singly(plan, fitted, declared.level)
    result = _collect(declared, plan, fitted, refused, versions.measures, versions.directions)
    for text in result.doubts:
        warnings.warn(text, DataWarning, stacklevel=2)
    return result


def _fit_singly(plan: Plan, fitted: Fitted, level: float) -> dict[int, str]:
    """Fit what the batch does not derive, one specification after the other; return the reasons of those that fail."""
    refused: dict[int, str] = {}
    for place, method in enumerate(plan.ci_method):
        if method in DERIVED or fitted.k[0, place] < 2:
            continue
        rule, model, tau2 = plan.fits[plan.first[place]]
        part, _ = plan.rules[rule]
        begin, end = fitted.starts[rule], fitted.starts[rule + 1]
        inside = slice(plan.parts.starts[part], plan.parts.starts[part + 1])
        kept = fitted.kept[0, begin:end]
        yi, vi = plan.parts.yi[inside][kept], plan.parts.vi[inside][kept]
        try:
            if method in BATCH_CI_METHODS:
                options = batch_options(model=model, tau2_method=tau2, ci_method=method, level=level)
                found = fit_sets(Sets(yi, vi, np.array([0, yi.size], dtype=np.intp)), options, columns=NUMBERS)
                numbers = [float(found[name][0]) for name in _SINGLE]
            else:
                fit = meta_analysis(yi=yi, vi=vi, model=model, tau2_method=tau2, ci_method=method, level=level)
                df = math.nan if fit.df is None else fit.df
                numbers = [fit.estimate, fit.se, fit.ci.low, fit.ci.high, df, fit.p_value, fit.tau2, fit.I2]
        except MetapeerError as error:
            refused[place] = one_line(error)
            continue
        for name, number in zip(_SINGLE, numbers, strict=True):
            fitted.numbers[name][0, place] = number
    return refused


def _same_in_the_end(plan: Plan, fitted: Fitted) -> list[int]:
    """For each specification the first one with the same effects, after outliers have left, and the same options."""
    keys: list[bytes] = []
    for rule, (part, _) in enumerate(plan.rules):
        inside = slice(plan.parts.starts[part], plan.parts.starts[part + 1])
        kept = fitted.kept[0, fitted.starts[rule] : fitted.starts[rule + 1]]
        parts = plan.parts
        keys.append(key_of(parts.trial[inside][kept], parts.yi[inside][kept], parts.vi[inside][kept]))
    same: dict[object, int] = {}
    found = []
    for place in range(plan.first.size):
        one, two = int(plan.first[place]), int(plan.second[place])
        ends = [one] if two < 0 else [one, two]
        content = tuple((keys[plan.fits[i][0]], *plan.fits[i][1:]) for i in ends)
        rho = 0.0 if two < 0 else float(plan.rho[place])
        kind = bool(plan.paired[plan.parts.group[plan.parts.starts[plan.rules[plan.fits[one][0]][0]]]])
        found.append(same.setdefault((content, rho, plan.ci_method[place], kind), place))
    return found


def _collect(
    declared: Declaration,
    plan: Plan,
    fitted: Fitted,
    refused: Mapping[int, str],
    measures: set[str],
    directions: set[str],
) -> MultiverseResult:
    """Put the numbers of different specifications in rows, and tell which declared one is which."""
    reasons = list(plan.reasons)
    same = np.array(_same_in_the_end(plan, fitted), dtype=np.intp)
    usable = np.isfinite(fitted.numbers["estimate"][0]) & np.isfinite(fitted.numbers["ci_low"][0])
    there = plan.of >= 0
    last = np.where(there, same[np.maximum(plan.of, 0)] if same.size else 0, -1)
    for place in np.flatnonzero(there).tolist():
        spec = int(plan.of[place])
        if not usable[last[place]]:
            k = int(fitted.k[0, spec])
            reasons[place] = refused.get(spec) or (
                "fewer than two effects are left" if k < 2 or plan.second[spec] >= 0 else "no interval could be made"
            )
            last[place] = -1
    if not (last >= 0).any():
        told = dict.fromkeys(reason for reason in reasons if reason)
        raise DataError("no specification can be pooled: the multiverse", [Fault(message=reason) for reason in told])
    chosen, first = np.unique(last[last >= 0], return_index=True)
    # Different specifications keep the order in which they are declared.
    order = np.argsort(np.flatnonzero(last >= 0)[first], kind="stable")
    chosen = chosen[order]
    representative = np.flatnonzero(last >= 0)[first][order]
    number = np.full(same.size, -1, dtype=np.intp)
    number[chosen] = np.arange(chosen.size)
    of = np.where(last >= 0, number[np.maximum(last, 0)], -1)
    options = np.stack(np.unravel_index(np.arange(of.size), declared.shape), axis=1).astype(np.intp)
    columns = {name: np.ascontiguousarray(fitted.numbers[name][0, chosen]) for name in NUMBERS}
    columns["k"] = fitted.k[0, chosen].astype(np.float64)
    for values in columns.values():
        values.setflags(write=False)
    doubts = []
    impossible = int((of < 0).sum())
    if impossible:
        doubts.append(
            f"{impossible:,} of {of.size:,} declared specifications are impossible; impossible() tells which and why"
        )
    rows = declared.of("rows")
    dependent = "independent" in (declared.choices[rows[0]].options if rows else (declared.fixed["rows"],))
    if dependent:
        doubts.append(
            "some specifications take all rows of a trial for independent: their intervals are too narrow where rows "
            "share participants"
        )
    return MultiverseResult(
        declaration=declared,
        plan=plan,
        chosen=chosen,
        representative=representative.astype(np.intp),
        of=of.astype(np.intp),
        options=options,
        columns=columns,
        reasons=tuple(reasons),
        measure=next(iter(measures)) if len(measures) == 1 else "",
        measures=tuple(sorted(measures)),
        positive_favours=next(iter(directions), ""),
        doubts=tuple(doubts),
    )
