"""The rows of each outcome: checked all at once, parted, and averaged where one trial gives several."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import DataError, Fault, MetapeerError
from metapeer.pooling.dependent import average_within_trial
from metapeer.pooling.models import Effects, read_effects
from metapeer.records.schema import OUTCOME_CLASSES

__all__ = ["OutcomeRows", "PartedRows", "column_names", "part_by_outcome"]

TOLD_APART_BY = {
    "comparison": "comparison",
    "instrument": "instrument",
    "timepoint_months": "time point",
    "format": "format",
}
"""What rows of one trial and outcome may differ in: columns, and what to call them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomeRows:
    """The effects on one outcome.

    Parameters
    ----------
    name : str
        The outcome.
    group : str
        The class it belongs to; empty when there are none.
    effects : Effects
        One for each trial.
    rows : int
        Effects before averaging.
    """

    name: str
    group: str
    effects: Effects
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartedRows:
    """A table of effects, outcome by outcome.

    Parameters
    ----------
    outcomes : tuple of OutcomeRows
        By class, and in a class as they first appear.
    empty : tuple of str
        Outcomes without an effect that can be pooled.
    excluded : tuple of (str, str)
        Rows left out, each with the reason.
    averaging : str
        What was averaged; empty when nothing was.
    """

    outcomes: tuple[OutcomeRows, ...]
    empty: tuple[str, ...]
    excluded: tuple[tuple[str, str], ...]
    averaging: str


def part_by_outcome(
    data: pd.DataFrame,
    *,
    by: str | Sequence[str],
    group: str | None,
    rho: float,
    labels: str | None,
    measure: str | None,
) -> PartedRows:
    """Check a table of effects and part it.

    Parameters
    ----------
    data : DataFrame
        As `pool_outcomes` takes it.
    by, group, rho, labels, measure
        As `pool_outcomes` has them.

    Returns
    -------
    PartedRows
        What can be pooled, and what cannot.

    Raises
    ------
    DataError
        Listing every fault.
    MetapeerError
        If `data` is no table or `rho` no correlation.
    """
    if not isinstance(data, pd.DataFrame):
        raise MetapeerError(f"data is a {type(data).__name__}, not a DataFrame")
    rho = _correlation(rho)
    for option, column in (("group", group), ("labels", labels)):
        if column is not None and not isinstance(column, str):
            raise MetapeerError(f"{option} must be the name of a column, not {column!r}")
    columns = column_names(by)
    source = str(data.attrs.get("source", "the table"))
    _check_columns(data, columns, group, labels, source)
    # Measures and directions may differ between outcomes, so they are checked for each; all else is checked at once.
    plain = data.drop(columns=[name for name in ("measure", "positive_favours") if name in data])
    whole = read_effects(plain, labels=labels)
    usable = _usable(data)
    names = _names(data, columns)
    classes = [""] * len(data) if group is None else _words(data, group)
    trials = _words(data, "study_id")
    kept = np.flatnonzero(usable).tolist()
    faults = [
        Fault(row=label, column="study_id", message="is empty; rows of one trial cannot be told from others")
        for i, label in zip(kept, whole.labels, strict=True)
        if not trials[i]
    ]
    homeless = tuple(
        (label, f"{' or '.join(columns)} is empty") for i, label in zip(kept, whole.labels, strict=True) if not names[i]
    )
    members = _members(names)
    found: list[OutcomeRows] = []
    empty: list[str] = []
    averaging = _Averaging()
    for name in _in_order(data, columns, list(members)):
        rows = members[name]
        pooled = [i for i in rows if usable[i]]
        stands_in = list(dict.fromkeys(classes[i] for i in pooled if classes[i]))
        if len(stands_in) > 1:
            message = f"stands under several headings ({', '.join(stands_in)}); add {group!r} to by, or give group=None"
            faults.append(Fault(row=name, column=group, message=message))
        if not pooled:
            empty.append(name)
            continue
        part = data.iloc[rows]
        try:
            read_effects(part, labels=labels, measure=measure)
        except DataError as error:
            faults += [Fault(row=name, column=fault.column, message=fault.message) for fault in error.faults]
            continue
        if not faults:
            averaged = averaging.of(part, data.iloc[pooled], rho)
            effects = read_effects(averaged, labels=labels, measure=measure)
            found.append(
                OutcomeRows(name=name, group=stands_in[0] if stands_in else "", effects=effects, rows=len(pooled))
            )
    if faults:
        raise DataError(source, faults)
    excluded = (*whole.excluded, *homeless)
    if not found:
        left = [Fault(row=label, message=reason) for label, reason in excluded]
        raise DataError("no effect can be pooled: the table", left or ["has no rows"])
    order = _in_order(data, (group,), [part.group for part in found]) if group is not None else [""]
    found.sort(key=lambda part: order.index(part.group))
    return PartedRows(outcomes=tuple(found), empty=tuple(empty), excluded=excluded, averaging=averaging.words(rho))


def column_names(by: object) -> tuple[str, ...]:
    """Read `by` as names of columns.

    Parameters
    ----------
    by : str or sequence of str
        As `pool_outcomes` takes it.

    Returns
    -------
    tuple of str
        At least one.

    Raises
    ------
    MetapeerError
        If it is anything else.
    """
    columns = (by,) if isinstance(by, str) else tuple(by) if isinstance(by, Iterable) else ()
    if not columns or not all(isinstance(name, str) for name in columns):
        raise MetapeerError(f"by must be the name of a column or a list of names, not {by!r}")
    return columns


def _correlation(rho: object) -> float:
    if isinstance(rho, bool) or not isinstance(rho, Real) or not 0.0 <= float(rho) <= 1.0:
        raise MetapeerError(f"rho {rho!r} is not a correlation between 0 and 1")
    return float(rho)


def _check_columns(
    data: pd.DataFrame, columns: tuple[str, ...], group: str | None, labels: str | None, source: str
) -> None:
    """List all columns that are missing or stand there twice."""
    for_what = {"study_id": "tell trials apart by", **dict.fromkeys(columns, "tell outcomes apart by")}
    if group is not None:
        for_what.setdefault(group, "take headings from; group=None leaves headings out")
    if labels is not None:
        for_what.setdefault(labels, "take labels from")
    faults = [f"there is no column {name!r} to {use}" for name, use in for_what.items() if name not in data]
    if "yi" not in data or not {"vi", "sei"} & set(data.columns):
        missing = "yi" if "yi" not in data else "vi or sei"
        faults.append(f"column {missing} is missing; compute effects with effect_size() first")
    used = {*for_what, "yi", "vi", "sei", "measure", "positive_favours", "exclusion_reason"}
    twice = dict.fromkeys(name for name in data.columns[data.columns.duplicated()] if name in used)
    faults += [f"column {name!r} occurs more than once" for name in twice]
    if faults:
        raise DataError(source, faults)


def _words(data: pd.DataFrame, column: str) -> list[str]:
    if column not in data:
        return [""] * len(data)
    return ["" if pd.isna(value) else str(value).strip() for value in data[column]]


def _names(data: pd.DataFrame, columns: tuple[str, ...]) -> list[str]:
    """Name each row's outcome; empty where a column is."""
    parts = [_words(data, column) for column in columns]
    return [" / ".join(row) if all(row) else "" for row in zip(*parts, strict=True)]


def _usable(data: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which rows have no reason to be left out, as `read_effects` does."""
    if "exclusion_reason" not in data:
        return np.ones(len(data), dtype=bool)
    return np.array([pd.isna(reason) or str(reason) == "" for reason in data["exclusion_reason"]], dtype=bool)


def _members(names: Sequence[str]) -> dict[str, list[int]]:
    """Find the rows of each outcome; rows without a name belong to none."""
    members: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if name:
            members.setdefault(name, []).append(i)
    return members


def _in_order(data: pd.DataFrame, columns: tuple[str, ...], names: list[str]) -> list[str]:
    """Order names as a categorical column has them, classes of outcomes as the schema has them, else as they come."""
    found = list(dict.fromkeys(names))
    known: list[str] = []
    if len(columns) == 1 and isinstance(data[columns[0]].dtype, pd.CategoricalDtype):
        known = [str(category).strip() for category in data[columns[0]].cat.categories]
    elif set(found) <= {*OUTCOME_CLASSES, ""}:
        known = list(OUTCOME_CLASSES)
    return sorted(found, key=lambda name: known.index(name) if name in known else len(known))


class _Averaging:
    """Averages effects of one trial on one outcome, and remembers how many and in what they differed."""

    def __init__(self) -> None:
        self.before = self.after = 0
        self.differing: Counter[str] = Counter()

    def of(self, part: pd.DataFrame, pooled: pd.DataFrame, rho: float) -> pd.DataFrame:
        """Average the rows of one outcome; a table without repeated trials is returned as it is."""
        trials = pooled["study_id"].astype(str)
        repeated = pooled[trials.duplicated(keep=False)]
        if repeated.empty:
            return part
        self.before += len(repeated)
        self.after += repeated["study_id"].astype(str).nunique()
        for column in TOLD_APART_BY:
            if column in repeated:
                values = repeated[column].groupby(repeated["study_id"].astype(str)).nunique()
                self.differing[column] += int((values > 1).sum())
        return average_within_trial(part, rho=rho)

    def words(self, rho: float) -> str:
        """Say what was averaged."""
        if not self.before:
            return ""
        differing = [
            f"{name} ({self.differing[column]})" for column, name in TOLD_APART_BY.items() if self.differing[column]
        ]
        text = (
            f"several effects of one trial on one outcome: {self.before} averaged within the trial into {self.after}, "
            f"with an assumed correlation of {rho:g}"
        )
        return f"{text}; they differ in {', '.join(differing)}" if differing else text
