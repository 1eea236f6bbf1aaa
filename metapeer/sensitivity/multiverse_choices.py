"""The choices of a multiverse: what can be declared, and how each option is named.

A choice is a question that a meta-analyst must answer, and its options are the answers that could be defended.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import pandas as pd

from metapeer.errors import DataError, MetapeerError, check_choice
from metapeer.pooling.outcome_classes_cells import one_line

__all__ = [
    "CORRECTIONS",
    "DECISIONS",
    "EFFECT_OPTIONS",
    "OUTLIER_RULES",
    "POOLING_OPTIONS",
    "ROW_RULES",
    "STAGES",
    "TIMEPOINT_RULES",
    "Choice",
    "Decision",
    "choose_corrections",
    "choose_option",
    "choose_outliers",
    "choose_rows",
    "choose_tables",
    "choose_timepoint",
    "choose_where",
    "is_number",
]

Decision = Literal["E", "N", "U"]
Condition = str | Sequence[str] | Callable[[pd.DataFrame], Any] | None
TableFunction = Callable[[pd.DataFrame], pd.DataFrame] | None

DECISIONS = {"E": "equivalent", "N": "not equivalent", "U": "uncertain"}
"""Kinds of decision of Del Giudice and Gangestad (2021)."""
EFFECT_OPTIONS = ("measure", "variance", "prefer", "events_to_smd", "zero_cells", "add", "drop_double_zero")
POOLING_OPTIONS = ("model", "tau2_method", "ci_method")
STAGES = ("corrections", "tables", "effects", "where", "rows", "rho", "contrast_method", "outliers", "pooling")
"""Kinds of choice, in the order in which they act; tables may also act after effects."""
ROW_RULES = {
    "average": "average",
    "first": "first row",
    "last": "last row",
    "largest": "largest",
    "most_precise": "most precise",
    "preferred": "preferred",
    "independent": "all, as independent",
}
"""Rules for the row of a trial, with their labels."""
TIMEPOINT_RULES = {
    "all": "all times",
    "first": "earliest",
    "last": "latest",
    "post": "end of treatment",
}
CORRECTIONS = {
    "as_printed": "as printed",
    "corrected": "corrected",
    "rows_left_out": "rows left out",
    "trials_left_out": "trials left out",
}
OUTLIER_RULES = {
    "none": "none left out",
    "ci": "intervals apart",
    "rstudent": "residuals beyond cutoff",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """One choice, as the makers of choices return it.

    Parameters
    ----------
    kind : str
        What it acts on; one of `STAGES`.
    labels : tuple of str
        Names of its options.
    options : tuple
        What each option does.
    decision : {"E", "N", "U"}
        Whether its options are equivalent, are not, or this is uncertain.
    late : bool
        Of tables, whether they are changed after effects are computed.
    settings : mapping
        What holds for all options.
    """

    kind: str
    labels: tuple[str, ...]
    options: tuple[Any, ...]
    decision: Decision
    late: bool = False
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_choice("decision", self.decision, DECISIONS)


def _make(
    kind: str,
    options: Mapping[str, Any],
    decision: Decision,
    *,
    late: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Choice:
    return Choice(
        kind=kind,
        labels=tuple(options),
        options=tuple(options.values()),
        decision=decision,
        late=late,
        settings=dict(settings or {}),
    )


def _mapping(what: str, options: object, faults: list[str]) -> dict[str, Any]:
    """Read options by label; what is wrong is added to `faults`."""
    if not isinstance(options, Mapping) or not options:
        raise MetapeerError(f"{what} must be a mapping with a label for each option")
    faults += [f"{label!r} is no label; give words" for label in options if not isinstance(label, str) or not label]
    return dict(options)


def is_number(value: Any) -> bool:
    """Tell whether something is a finite number.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    bool
        False for True and False, too.
    """
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(float(value))


def _listed(what: str, rules: object) -> list[Any]:
    if isinstance(rules, str) or not isinstance(rules, Iterable):
        raise MetapeerError(f"{what} must be a list of options, not {rules!r}")
    found = list(rules)
    if not found:
        raise MetapeerError(f"{what} is empty; give at least one option")
    return found


def choose_tables(
    tables: Mapping[str, TableFunction], *, after_effects: bool = False, decision: Decision = "U"
) -> Choice:
    """Declare a choice of your own: each option is a function from table to table.

    Parameters
    ----------
    tables : mapping of str to callable
        Label to function; None leaves the table as it is. A function gets a copy and returns a DataFrame.
    after_effects : bool, default False
        Whether the functions get the table with ``yi`` and ``vi``; otherwise the table as it was given.
    decision : {"E", "N", "U"}, default "U"
        Whether the options are equivalent (E), are not (N), or this is uncertain (U).

    Returns
    -------
    Choice
        For `multiverse`.

    Raises
    ------
    MetapeerError
        If the declaration is none.

    References
    ----------
    Del Giudice & Gangestad (2021), Advances in Methods and Practices in Psychological Science 4(1), for `decision`
    here and in the other makers of choices.

    Examples
    --------
    >>> choose_tables({"all": None, "without a": lambda t: t[t["study_id"] != "a"]}).labels
    ('all', 'without a')
    """
    faults: list[str] = []
    found = _mapping("tables", tables, faults)
    faults += [f"{label}: {value!r} is no function" for label, value in found.items() if value and not callable(value)]
    if faults:
        raise DataError("choose_tables", faults)
    return _make("tables", found, decision, late=after_effects)


def choose_where(conditions: Mapping[str, Condition], *, decision: Decision = "U") -> Choice:
    """Declare which rows take part, by the values of columns.

    Parameters
    ----------
    conditions : mapping of str to str, sequence of str, callable or None
        Label to condition: ``"format=group"``, ``"rob_overall!=High risk"``, ``"disorder=SMI|other"``; several in a
        list must all hold; a function gets the table and returns True for rows that stay; None keeps all.
    decision : {"E", "N", "U"}, default "U"
        As in `choose_tables`.

    Returns
    -------
    Choice
        For `multiverse`.

    Raises
    ------
    DataError
        If conditions cannot be read; all faults at once.

    Examples
    --------
    >>> choose_where({"all trials": None, "no high risk of bias": "rob_overall!=High risk"}).labels
    ('all trials', 'no high risk of bias')
    """
    faults: list[str] = []
    found = _mapping("conditions", conditions, faults)
    for label, condition in found.items():
        if condition is None or callable(condition):
            continue
        parts = [condition] if isinstance(condition, str) else condition
        if not isinstance(parts, Sequence) or not all(isinstance(p, str) and "=" in p.strip("=") for p in parts):
            faults.append(f"{label}: {condition!r} is no condition; write COLUMN=VALUE, such as 'format=group'")
        elif not isinstance(condition, str):
            found[label] = tuple(parts)
    if faults:
        raise DataError("choose_where", faults)
    return _make("where", found, decision)


def choose_corrections(
    overrides: pd.DataFrame,
    *,
    rules: Sequence[str] = ("as_printed", "corrected", "rows_left_out"),
    decision: Decision = "U",
) -> Choice:
    """Declare what becomes of suspicious rows: those for which corrections are on record.

    Parameters
    ----------
    overrides : DataFrame
        The corrections, as `apply_overrides` takes them.
    rules : sequence of str, default ("as_printed", "corrected", "rows_left_out")
        Of these and ``"trials_left_out"``.
    decision : {"E", "N", "U"}, default "U"
        As in `choose_tables`.

    Returns
    -------
    Choice
        For `multiverse`.

    Raises
    ------
    DataError
        If a rule is unknown or there are no corrections.

    Examples
    --------
    >>> import pandas as pd
    >>> overrides = pd.DataFrame(
    ...     {"override_id": ["se"], "row_id": ["a.1"], "column": ["sd1"], "raw": ["0.5"], "value": ["3.2"]})
    >>> choose_corrections(overrides).labels
    ('as printed', 'corrected', 'rows left out')
    """
    faults: list[str] = [] if isinstance(overrides, pd.DataFrame) else ["overrides must be a DataFrame"]
    if not faults:
        needed = ("override_id", "row_id", "column", "raw", "value")[: 5 if "corrected" in rules else 2]
        faults = [f"overrides: column {name} is missing" for name in needed if name not in overrides]
        if not len(overrides):
            faults.append("overrides: there are no corrections, so that there is nothing to choose")
    options = {}
    for rule in _listed("rules", rules):
        try:
            options[CORRECTIONS[check_choice("rules", rule, CORRECTIONS)]] = rule
        except MetapeerError as error:
            faults.append(one_line(error))
    if faults:
        raise DataError("choose_corrections", faults)
    return _make("corrections", options, decision, settings={"overrides": overrides.copy()})


def choose_timepoint(
    rules: Sequence[str | float] = ("first", "last"),
    *,
    column: str = "timepoint_months",
    decision: Decision = "N",
) -> Choice:
    """Declare which time point of each trial, comparison, outcome and instrument counts.

    Parameters
    ----------
    rules : sequence of str or float, default ("first", "last")
        ``"first"``, ``"last"``; a number for the time point closest to it (of two equally close, the earlier);
        ``"post"`` for rows whose ``timepoint`` is the end of treatment; ``"all"``.
    column : str, default "timepoint_months"
        The column with the times. Where a trial gives none, its rows stay.
    decision : {"E", "N", "U"}, default "N"
        As in `choose_tables`. An effect soon after treatment and one a year later are different quantities.

    Returns
    -------
    Choice
        For `multiverse`.

    Raises
    ------
    DataError
        If a rule is unknown.

    Examples
    --------
    >>> choose_timepoint(["first", "last", 6]).labels
    ('earliest', 'latest', 'closest to 6')
    """
    faults: list[str] = []
    options: dict[str, Any] = {}
    for rule in _listed("rules", rules):
        if is_number(rule):
            options[f"closest to {float(rule):g}"] = float(rule)
            continue
        try:
            options[TIMEPOINT_RULES[check_choice("rules", rule, TIMEPOINT_RULES)]] = rule
        except MetapeerError as error:
            faults.append(f"{one_line(error)}; or a number")
    name: object = column
    if not isinstance(name, str):
        faults.append(f"column must be the name of a column, not {name!r}")
    if faults:
        raise DataError("choose_timepoint", faults)
    return _make("where", options, decision, settings={"column": column, "timepoint": True})


def choose_rows(
    rules: Sequence[str] = ("average", "most_precise"),
    *,
    order: Mapping[str, Sequence[str]] | None = None,
    decision: Decision = "U",
) -> Choice:
    """Declare which row of a trial counts; in a contrast of classes, of a trial and class.

    Parameters
    ----------
    rules : sequence of str, default ("average", "most_precise")
        ``"average"``: plain mean of the rows, with the correlation `rho`; ``"first"``, ``"last"`` as listed;
        ``"largest"`` (most participants), ``"most_precise"`` (smallest variance), ``"preferred"`` (by `order`), of
        several equal ones the first; ``"independent"``: all rows as if of different trials, which makes intervals too
        narrow.
    order : mapping of str to sequence of str, optional
        For ``"preferred"``: one column, and its values from the most wanted to the least; others come last.
    decision : {"E", "N", "U"}, default "U"
        As in `choose_tables`.

    Returns
    -------
    Choice
        For `multiverse`.

    Raises
    ------
    DataError
        If a rule is unknown, or `order` is missing or would have no effect.

    Examples
    --------
    >>> choose_rows(["average", "largest"]).labels
    ('average', 'largest')
    """
    faults: list[str] = []
    options: dict[str, Any] = {}
    for rule in _listed("rules", rules):
        try:
            options[ROW_RULES[check_choice("rules", rule, ROW_RULES)]] = rule
        except MetapeerError as error:
            faults.append(one_line(error))
    wanted = "preferred" in options.values()
    if wanted and order is None:
        faults.append("'preferred' needs order=, such as {'instrument': ['RAS', 'QPR']}")
    if order is not None:
        if not wanted and not faults:
            faults.append("order has no effect without the rule 'preferred'; leave it out")
        if not isinstance(order, Mapping) or len(order) != 1 or isinstance(next(iter(order.values())), str):
            faults.append(f"order must name one column and list its values, not {order!r}")
    if faults:
        raise DataError("choose_rows", faults)
    return _make("rows", options, decision, settings={"order": {} if order is None else dict(order)})


def choose_outliers(
    rules: Sequence[str] = ("none", "ci", "rstudent"), *, cutoff: float = 2.0, decision: Decision = "N"
) -> Choice:
    """Declare what becomes of effects that lie far from the others.

    Parameters
    ----------
    rules : sequence of str, default ("none", "ci", "rstudent")
        ``"none"`` leaves all in. ``"ci"`` drops an effect whose own 95% interval does not overlap that of the pooled
        effect; ``"rstudent"`` one whose externally studentised (deleted) residual is beyond `cutoff`. Both are judged
        once, by a random-effects fit (REML, Hartung-Knapp), whatever the choices of pooling.
    cutoff : float, default 2
        For ``"rstudent"``.
    decision : {"E", "N", "U"}, default "N"
        As in `choose_tables`. Leaving out what does not fit makes intervals narrower than they should be.

    Returns
    -------
    Choice
        For `multiverse`.

    Raises
    ------
    DataError
        If a rule is unknown or the cutoff is not above 0.

    References
    ----------
    Viechtbauer & Cheung (2010), Res Synth Methods 1:112-125, for the residuals. Harrer et al. (2021), Doing
    Meta-Analysis with R, section 5.4, for the rule of intervals.

    Examples
    --------
    >>> choose_outliers(["none", "rstudent"]).labels
    ('none left out', 'residuals beyond 2')
    """
    faults: list[str] = []
    options: dict[str, Any] = {}
    if not is_number(cutoff) or cutoff <= 0:
        faults.append(f"cutoff {cutoff!r} is no number above 0")
    for rule in _listed("rules", rules):
        try:
            options[OUTLIER_RULES[check_choice("rules", rule, OUTLIER_RULES)]] = rule
        except MetapeerError as error:
            faults.append(one_line(error))
    if faults:
        raise DataError("choose_outliers", faults)
    named = {label.replace("cutoff", f"{float(cutoff):g}"): rule for label, rule in options.items()}
    return _make("outliers", named, decision, settings={"cutoff": float(cutoff)})


def choose_option(values: Sequence[Any], *, decision: Decision = "U") -> Choice:
    """Declare the values of an option; a plain list does the same, with the decision "U".

    Parameters
    ----------
    values : sequence
        Values of the option by whose name the choice is called in `multiverse`: of `effect_size` (``measure``,
        ``variance``, ``prefer``, ``zero_cells``, ...), of `meta_analysis` (``model``, ``tau2_method``,
        ``ci_method``), ``rho`` or ``contrast_method``.
    decision : {"E", "N", "U"}, default "U"
        As in `choose_tables`.

    Returns
    -------
    Choice
        For `multiverse`.

    Raises
    ------
    MetapeerError
        If `values` is no list.

    Examples
    --------
    >>> choose_option(["REML", "PM"], decision="E").labels
    ('REML', 'PM')
    """
    found = _listed("values", values)
    labels = [f"{value:g}" if isinstance(value, float) else str(value) for value in found]
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise DataError("choose_option", [f"{label} stands there more than once" for label in repeated])
    return _make("option", dict(zip(labels, found, strict=True)), decision)
