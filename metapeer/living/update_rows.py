"""Rows of a table made into rows of a review: named, joined with their trials, and told apart from those it has."""

import math
from collections.abc import Sequence
from functools import partial

import pandas as pd

from metapeer.errors import DataError, Fault
from metapeer.living.adding_conversions import convert_frame
from metapeer.living.update_states import NEW, cell_text, compared
from metapeer.records.instruments import directions_of, look_up
from metapeer.records.review import Review
from metapeer.records.schema import OUTCOMES

__all__ = ["complete_rows"]

MEASUREMENT = ("study_id", "comparison", "outcome", "instrument", "timepoint", "timepoint_months")
"""What tells one result of a trial from another."""


def complete_rows(
    table: pd.DataFrame, review: Review, known: pd.DataFrame, *, source: str
) -> tuple[pd.DataFrame, list[str]]:
    """Make rows of a table into rows as a state has them.

    Parameters
    ----------
    table : DataFrame
        New rows, as `read_outcomes` or a review gives them.
    review : Review
        The review they are for: it knows trials and instruments.
    known : DataFrame
        The rows that the review has.
    source : str
        What the table is called in messages.

    Returns
    -------
    rows : DataFrame
        With ``row_id``, ``direction``, the columns of their trials and ``key``; rows that the review has are left out.
        ``attrs["converted"]`` says which standard errors were computed.
    doubts : list of str
        In words.

    Raises
    ------
    DataError
        If a row does not name its trial or its outcome, names stand twice, or a row contradicts one that is there.
    """
    frame = table.drop(columns=[c for c in ("key", "dataset", "line") if c in table]).reset_index(drop=True)
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    absent = [name for name in ("study_id", "outcome") if name not in frame]
    if twice or absent or frame.empty:
        faults = [Fault(column=name, message="stands in the table more than once") for name in twice]
        faults += [Fault(column=name, message="is missing; each new row needs it") for name in absent]
        raise DataError(source, faults or ["has no rows"])
    frame, converted = convert_frame(frame, source)
    for name in frame.columns[[not pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes]]:
        frame[name] = [_text(cell) for cell in frame[name].tolist()]
    empty = [
        Fault(row=f"row {place}", column=name, message="is empty; each new row needs it")
        for place, cells in enumerate(zip(frame["study_id"], frame["outcome"], strict=True), start=1)
        for name, cell in zip(("study_id", "outcome"), cells, strict=True)
        if not _text(cell).strip()
    ]
    if empty:
        raise DataError(source, empty)
    frame["study_id"] = frame["study_id"].astype(str)
    for field in OUTCOMES.fields:
        if field.name not in frame:
            frame[field.name] = math.nan if field.type in ("integer", "number") else ""
    own = frame["direction"].tolist() if "direction" in frame else [""] * len(frame)
    frame = review.rows(frame)
    registry = directions_of(review.instruments)
    frame["direction"] = [
        given or look_up(name, registry) or "" for given, name in zip(own, frame["instrument"].tolist(), strict=True)
    ]
    rows, doubts = _told_apart(frame, known, source)
    rows.attrs["converted"] = tuple(converted)
    return rows, doubts


def _text(cell: object) -> str:
    return "" if cell is None or cell != cell else str(cell)  # noqa: PLR0124 - NaN differs from itself


def _told_apart(frame: pd.DataFrame, known: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[str]]:
    """Name every new row, and find those that the review has already."""
    measured = partial(_measurements, columns=MEASUREMENT)
    places = {row: place for place, row in enumerate(known["row_id"].astype(str))}
    there, mine = measured(known), measured(frame)
    old = list(compared(known, ()).values())
    fresh = list(compared(frame.assign(key=range(len(frame))), ()).values())
    taken, faults, doubts = set(places), [], []
    names: list[str] = []
    skip: list[int] = []
    for place, given in enumerate(frame["row_id"].astype(str)):
        name, trial = given, str(frame["study_id"].iloc[place])
        if given in places and there[places[given]] == mine[place]:
            if old[places[given]] == fresh[place]:
                skip.append(place)
                doubts.append(f"{source}: {given} stands in the review already and is not added again")
            else:
                faults.append(
                    Fault(
                        row=given,
                        message="stands in the review already, with other numbers; a correction is a row of "
                        "overrides.csv, with its reason; a new result needs a row_id of its own",
                    )
                )
        elif given in names:
            faults.append(Fault(row=given, column="row_id", message="stands in the table more than once"))
        if not given or given in places:
            number = 1
            while (name := f"{trial}.{number}") in taken:
                number += 1
        taken.add(name)
        names.append(name)
    if faults:
        raise DataError(source, faults)
    frame = frame.assign(row_id=names)
    same = {cells: str(known["row_id"].iloc[place]) for place, cells in enumerate(there)}
    doubts += [
        f"{source}: {name} is the same trial, outcome, instrument and time as {same[mine[place]]}; participants may be "
        "counted twice"
        for place, name in enumerate(names)
        if place not in skip and mine[place] in same
    ]
    kept = frame.drop(index=skip).reset_index(drop=True)
    return kept.assign(dataset=NEW, key=[f"{NEW}/{name}" for name in kept["row_id"]]), doubts


def _measurements(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[str, ...]]:
    cells = [
        [cell_text(cell) for cell in frame[name].tolist()] if name in frame else [""] * len(frame) for name in columns
    ]
    return list(zip(*cells, strict=True))
