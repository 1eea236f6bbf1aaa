"""Tables of counts for the models that take them as they are: read, checked, usable rows told from the rest."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.effects import binary, direction
from metapeer.effects.measures import EVENTS, Measure
from metapeer.effects.rows import Rows
from metapeer.effects.table import effect_size
from metapeer.errors import DataError, DataWarning, Fault
from metapeer.formatting import count
from metapeer.pooling.weighted import FloatArray

__all__ = ["CountData", "read_counts"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountData:
    """Rows of counts that passed every check.

    Parameters
    ----------
    counts : tuple of array of shape (k,)
        In the order of the measure's columns.
    yi, vi : array of shape (k,)
        Each row's own effect and variance as `effect_size` has them, for display: half an event is added where a
        count of zero leaves them undefined.
    labels, trials : tuple of str
        Names of the rows, and the trial of each.
    participants : int or None
        Sum over trials of the participants of the trial's largest row; None for person-time.
    positive_favours : str
        The arm that a positive effect favours; empty where unknown.
    double_zero : int
        Rows among them without events, or with nothing but events, in both arms.
    data : DataFrame
        The rows as given.
    excluded : tuple of (str, str)
        Rows left out, each with the reason.
    notes : tuple of str
        What a reader must know.
    """

    counts: tuple[FloatArray, ...]
    yi: FloatArray
    vi: FloatArray
    labels: tuple[str, ...]
    trials: tuple[str, ...]
    participants: int | None
    positive_favours: str
    double_zero: int
    data: pd.DataFrame
    excluded: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def read_counts(data: pd.DataFrame, measure: Measure, *, drop_double_zero: bool, stacklevel: int) -> CountData:
    """Check a table of counts and take from it what a model of counts needs.

    Parameters
    ----------
    data : DataFrame
        One row per study, with the columns of `measure`. ``exclusion_reason``, ``direction``, ``study_id``,
        ``outcome``, ``instrument`` and ``line`` are used where they stand, as by `effect_size`.
    measure : Measure
        What is to be pooled.
    drop_double_zero : bool
        Whether tables without events, or with nothing but events, in both arms are left out.
    stacklevel : int
        As for `warnings.warn`, seen from the caller.

    Returns
    -------
    CountData
        The usable rows, and the list of the others.

    Raises
    ------
    DataError
        If columns are missing, numbers are impossible, directions conflict, or no row is usable; all faults at once.

    Warns
    -----
    DataWarning
        If one trial contributes several rows.
    """
    rows = Rows(data)
    columns = measure.columns
    missing = [name for name in columns if not rows.has(name)]
    if missing:
        rows.note_column(f"there is no column {' '.join(missing)}; {measure.code} needs {' '.join(columns)}")
    rows.raise_faults()
    values = {name: rows.numbers(name) for name in columns}
    _note_impossible(rows, values)
    words = rows.text("direction")
    if measure.comparative:
        known = np.array([word in direction.DIRECTIONS for word in words], dtype=np.bool_)
        rows.note(~known, "direction", "it must be higher_better, lower_better or empty")
    rows.raise_faults()

    reasons = rows.recorded.copy()
    _give_reasons(reasons, rows, values, measure)
    empty = _double_zero(values, measure)
    if drop_double_zero:
        reasons[(reasons == "") & empty] = (
            f"{_nothing(measure)} in both arms: such a study says nothing about {measure.code} in this model"
        )
    favours = _favoured(rows, reasons, measure)
    usable: BoolArray = np.asarray(reasons == "", dtype=np.bool_)
    names = _names(rows)
    excluded = tuple((names[i], str(reasons[i])) for i in np.flatnonzero(~usable).tolist())
    if not usable.any():
        faults = [Fault(row=name, message=reason) for name, reason in excluded]
        raise DataError(f"no study can be pooled: {rows.source}", faults or ["has no rows"])
    index = np.flatnonzero(usable)
    kept = data.iloc[index].reset_index(drop=True)
    studies = rows.text("study_id")[index].tolist()
    labels = tuple(names[i] for i in index.tolist())
    trials = tuple(studies) if all(studies) else labels
    notes = _dependence(trials, stacklevel + 1)
    double_zero = int(empty[index].sum())
    if double_zero:
        many = count(double_zero, "study", "studies")
        notes = (*notes, f"{many} with {_nothing(measure)} in both arms took part")
    effects = _display_effects({name: values[name][index] for name in columns}, measure)
    return CountData(
        counts=tuple(values[name][index] for name in columns),
        yi=effects[0],
        vi=effects[1],
        labels=labels,
        trials=trials,
        participants=_participants(values, index, trials),
        positive_favours=favours,
        double_zero=double_zero,
        data=kept,
        excluded=excluded,
        notes=notes,
    )


def _note_impossible(rows: Rows, values: dict[str, FloatArray]) -> None:
    for name, numbers in values.items():
        if name.startswith("time"):
            rows.note(numbers <= 0, name, "a time at risk must be > 0")
            continue
        rows.note(np.isfinite(numbers) & (np.floor(numbers) != numbers), name, "a model of counts needs whole numbers")
        if name.startswith("events"):
            rows.note(numbers < 0, name, "a count of events must not be negative")
            total = name.replace("events", "total")
            if total in values:
                rows.note(numbers > values[total], name, f"events must not exceed the participants, {total}")
        else:
            rows.note(numbers < 1, name, "an arm needs at least 1 participant")


def _give_reasons(reasons: NDArray[Any], rows: Rows, values: dict[str, FloatArray], measure: Measure) -> None:
    for i in np.flatnonzero(rows.open).tolist():
        missing = [name for name, numbers in values.items() if np.isnan(numbers[i])]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            reasons[i] = f"{', '.join(missing)} {verb} missing; {measure.code} needs {' '.join(values)}"


def _double_zero(values: dict[str, FloatArray], measure: Measure) -> BoolArray:
    if not measure.comparative:
        return np.zeros(len(next(iter(values.values()))), dtype=np.bool_)
    if measure.columns == EVENTS:
        return binary.double_zero(*(values[name] for name in EVENTS))
    return np.asarray((values["events1"] == 0) & (values["events2"] == 0), dtype=np.bool_)


def _nothing(measure: Measure) -> str:
    return "no events, or nothing but events," if measure.columns == EVENTS else "no events"


def _favoured(rows: Rows, reasons: NDArray[Any], measure: Measure) -> str:
    """The arm that a positive effect favours; rows whose direction nobody knows are left out if others' is known."""
    if not measure.comparative:
        return ""
    sense = direction.senses(rows.text("direction"))
    usable: BoolArray = np.asarray(reasons == "", dtype=np.bool_)
    lost = direction.undecided(sense, usable)
    reasons[lost] = "direction is unknown"
    usable &= ~lost
    if direction.is_mixed(sense, usable):
        examples = [rows.name(int(np.flatnonzero(usable & (sense == s))[0])) for s in (1, -1)]
        message = (
            f"a positive {measure.code} favours arm 1 in some rows ({examples[0]}, ...) and arm 2 in others "
            f"({examples[1]}, ...): pooled as they are, they mean nothing. Select rows of one direction"
        )
        raise DataError(rows.source, [message])
    return str(direction.favoured_arms(sense[usable])[0]) if usable.any() else ""


def _names(rows: Rows) -> list[str]:
    """Name rows by trial, and by outcome where a trial has several."""
    studies = [str(name) or f"row {i + 1}" for i, name in enumerate(rows.text("study_id"))]
    return [rows.name(i) if studies.count(name) > 1 else name for i, name in enumerate(studies)]


def _dependence(trials: tuple[str, ...], stacklevel: int) -> tuple[str, ...]:
    if len(set(trials)) == len(trials):
        return ()
    text = (
        f"{count(len(trials), 'row')} from {count(len(set(trials)), 'trial')} are pooled as if independent; rows that "
        "share participants make the interval too narrow"
    )
    warnings.warn(text, DataWarning, stacklevel=stacklevel + 1)
    return (text,)


def _display_effects(values: dict[str, FloatArray], measure: Measure) -> tuple[FloatArray, FloatArray]:
    effects = effect_size(
        pd.DataFrame(values), measure=measure.code, drop_double_zero=False if measure.comparative else None
    )
    return effects["yi"].to_numpy(np.float64).copy(), effects["vi"].to_numpy(np.float64).copy()


def _participants(values: dict[str, FloatArray], index: NDArray[np.intp], trials: tuple[str, ...]) -> int | None:
    totals = [numbers[index] for name, numbers in values.items() if name.startswith("total")]
    if not totals:
        return None
    largest: dict[str, float] = {}
    for trial, number in zip(trials, np.sum(totals, axis=0).tolist(), strict=True):
        largest[trial] = max(number, largest.get(trial, 0.0))
    return int(sum(largest.values()))
