"""Pairs of rows of one trial, and what they share: all participants, one arm, or the trial only."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.effects.measures import find_measure
from metapeer.errors import DataError, Fault, MetapeerError, check_choice
from metapeer.pooling.covariance import groups_of
from metapeer.pooling.models import Effects
from metapeer.pooling.weighted import FloatArray

__all__ = [
    "Comparisons",
    "Shares",
    "TrialPairs",
    "cell_codes",
    "column_faults",
    "find_pairs",
    "listed",
    "numeric_cells",
    "source_of",
    "table_of",
]

Codes = NDArray[np.intp]
Comparisons = Literal["shared_control", "independent"]
COMPARISONS = ("shared_control", "independent")
NAMED = 8
"""Trials that a sentence names before it only counts them."""


class Shares(IntEnum):
    """What two rows of one trial have in common."""

    TRIAL = 0
    PARTICIPANTS = 1
    ARM = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialPairs:
    """All pairs of rows of one trial.

    Parameters
    ----------
    trial : array of int of shape (k,)
        Code of the trial of each row.
    names : tuple of str
        The trial of each code.
    arms : pair of array of int of shape (k,)
        Codes of arm 1 and arm 2; equal codes are the same people.
    first, second : array of int of shape (m,)
        Positions of the two rows, the smaller first.
    shares : array of int of shape (m,)
        What they have in common, a member of `Shares` each.
    assumed : frozenset of int
        Codes of trials whose arms nobody named, although they make several comparisons.
    """

    trial: Codes
    names: tuple[str, ...]
    arms: tuple[Codes, Codes]
    first: Codes
    second: Codes
    shares: NDArray[np.int8]
    assumed: frozenset[int]

    def trials_of(self, rows: Codes) -> list[str]:
        """Name the trials of some rows.

        Parameters
        ----------
        rows : array of int
            Positions.

        Returns
        -------
        list of str
            Each trial once, in the order of first appearance.
        """
        return [self.names[code] for code in dict.fromkeys(self.trial[rows].tolist())]


def listed(trials: Sequence[str]) -> str:
    """Name trials, as many as a sentence can bear.

    Parameters
    ----------
    trials : sequence of str
        With repetitions.

    Returns
    -------
    str
        The first eight, and how many more.

    Examples
    --------
    >>> listed(["a", "b", "a"])
    'a, b'
    """
    names = list(dict.fromkeys(trials))
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def table_of(effects: Effects) -> pd.DataFrame:
    """Give the rows that are pooled.

    Parameters
    ----------
    effects : Effects
        As `read_effects` returns it.

    Returns
    -------
    DataFrame
        Empty of columns when effects were given as arrays.
    """
    return pd.DataFrame(index=range(effects.yi.size)) if effects.data is None else effects.data


def source_of(frame: pd.DataFrame) -> str:
    """Name the table in messages.

    Parameters
    ----------
    frame : DataFrame
        A table.

    Returns
    -------
    str
        Its source, if it has one.
    """
    return str(frame.attrs.get("source", "the table"))


def cell_codes(frame: pd.DataFrame, column: str) -> tuple[Codes, list[str]]:
    """Number the values of a column.

    Parameters
    ----------
    frame : DataFrame
        A table with the column.
    column : str
        Its name.

    Returns
    -------
    codes : array of int
        One for each row, -1 where the cell is empty.
    values : list of str
        The value of each code; whole numbers without a decimal point.
    """
    codes, values = pd.factorize(frame[column])
    words = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values]
    blank = np.array([word.strip() == "" for word in words], dtype=np.bool_)
    found = np.asarray(codes, dtype=np.intp)
    if blank.any():
        found = np.where((found >= 0) & np.append(blank, False)[found], -1, found)
    return found, words


def numeric_cells(frame: pd.DataFrame, column: str) -> FloatArray:
    """Read a column of numbers.

    Parameters
    ----------
    frame : DataFrame
        A table with the column.
    column : str
        Its name.

    Returns
    -------
    array of float
        NaN where a cell is not a finite number.
    """
    numbers = pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def column_faults(frame: pd.DataFrame, columns: dict[str, str | None]) -> list[Fault]:
    """List options that name a column which is not there.

    Parameters
    ----------
    frame : DataFrame
        The table.
    columns : dict of str to str or None
        Option to the column it names.

    Returns
    -------
    list of Fault
        One for each missing column.
    """
    return [
        Fault(message=f"there is no column {column!r}, which {option}= names")
        for option, column in columns.items()
        if column is not None and column not in frame
    ]


@lru_cache(maxsize=64)
def _triangle(size: int) -> tuple[Codes, Codes]:
    first, second = np.triu_indices(size, 1)
    return first.astype(np.intp), second.astype(np.intp)


def _pairs_within(groups: Sequence[Codes]) -> tuple[Codes, Codes]:
    first, second = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.intp)]
    for group in groups:
        if group.size > 1:
            i, j = _triangle(group.size)
            first.append(group[i])
            second.append(group[j])
    return np.concatenate(first), np.concatenate(second)


def _combined(*codes: Codes) -> Codes:
    """Number the combinations of several codes."""
    _, found = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    return np.asarray(found, dtype=np.intp).reshape(-1)


def find_pairs(
    effects: Effects, *, cluster: str = "study_id", subgroup: str | None = None, comparisons: str = "shared_control"
) -> TrialPairs:
    """Find what the rows of each trial share.

    Parameters
    ----------
    effects : Effects
        As `read_effects` returns it.
    cluster : str, default "study_id"
        Column that names the trial.
    subgroup : str, optional
        Column that parts the people of a trial into groups without overlap.
    comparisons : {"shared_control", "independent"}
        What to assume of different comparisons of one trial whose arms are not named.

    Returns
    -------
    TrialPairs
        Every pair of rows of one trial.

    Raises
    ------
    DataError
        Listing missing columns, rows without a trial or subgroup, and trials whose arms are named in part.
    """
    check_choice("comparisons", comparisons, COMPARISONS)
    for option, column in (("cluster", cluster), ("subgroup", subgroup)):
        if not isinstance(column, str) and (column is not None or option == "cluster"):
            raise MetapeerError(f"{option} must be the name of a column, not {column!r}")
    frame = table_of(effects)
    source = source_of(frame)
    if cluster == "study_id" and cluster not in frame:
        frame = frame.assign(study_id=list(effects.trials or effects.labels))
    faults = column_faults(frame, {"cluster": cluster, "subgroup": subgroup})
    if faults:
        raise DataError(source, faults)
    trial, names = cell_codes(frame, cluster)
    faults = [
        Fault(row=effects.labels[i], column=cluster, message="is empty; say which trial the row belongs to")
        for i in np.flatnonzero(trial < 0).tolist()
    ]
    if faults:
        raise DataError(source, faults)
    first, second = _pairs_within(groups_of(trial))
    several = np.zeros(trial.size, dtype=np.bool_)
    several[first] = several[second] = True
    people = np.zeros(trial.size, dtype=np.intp)
    if subgroup is not None:
        people, _ = cell_codes(frame, subgroup)
        named = np.zeros(len(names), dtype=np.bool_)
        named[trial[people >= 0]] = True
        faults += [
            Fault(
                row=effects.labels[i],
                column=subgroup,
                message="is empty, but other rows of the trial name a subgroup; whether it shares their people "
                "cannot be told",
            )
            for i in np.flatnonzero((people < 0) & several & named[trial]).tolist()
        ]
    arms, assumed = _arms(effects, frame, trial, len(names), several, comparisons, faults)
    if faults:
        raise DataError(source, faults)
    one, two = arms
    same = (one[first] == one[second]) & (two[first] == two[second])
    any_arm = (one[first] == one[second]) | (two[first] == two[second])
    any_arm |= (one[first] == two[second]) | (two[first] == one[second])
    shares = np.where(same, Shares.PARTICIPANTS, np.where(any_arm, Shares.ARM, Shares.TRIAL))
    shares = np.where(people[first] == people[second], shares, Shares.TRIAL).astype(np.int8)
    return TrialPairs(
        trial=trial,
        names=tuple(names),
        arms=arms,
        first=first,
        second=second,
        shares=shares,
        assumed=assumed if comparisons == "shared_control" else frozenset(),
    )


def _arms(
    effects: Effects,
    frame: pd.DataFrame,
    trial: Codes,
    trials: int,
    several: NDArray[np.bool_],
    comparisons: str,
    faults: list[Fault],
) -> tuple[tuple[Codes, Codes], frozenset[int]]:
    """Code the arms of each row, as named or else by the comparison; list rows that name fewer than they should."""
    k = trial.size
    contrast = not effects.measure or find_measure(effects.measure).comparative
    nobody = np.full(k, -1, dtype=np.intp)
    words: dict[str, int] = {}

    def named(column: str) -> Codes:
        if column not in frame:
            return nobody
        codes, values = cell_codes(frame, column)
        shared = np.array([words.setdefault(value.strip().casefold(), len(words)) for value in values] + [-1])
        return np.asarray(shared[codes], dtype=np.intp)

    one, two = named("arm1"), named("arm2") if contrast else nobody
    names_arms = np.zeros(trials, dtype=np.bool_)
    names_arms[trial[(one >= 0) | (two >= 0)]] = True
    by_name = names_arms[trial]
    needed = [("arm1", one)] + ([("arm2", two)] if contrast else [])
    for column, codes in needed:
        faults += [
            Fault(row=effects.labels[i], column=column, message="is empty, but the trial names arms; name all or none")
            for i in np.flatnonzero(by_name & several & (codes < 0)).tolist()
        ]
    if contrast:
        faults += [
            Fault(row=effects.labels[i], column="arm2", message="is arm1, too; a row compares two arms")
            for i in np.flatnonzero(by_name & (one >= 0) & (one == two)).tolist()
        ]
    comparison = cell_codes(frame, "comparison")[0] if "comparison" in frame else nobody
    groups = np.zeros(trials, dtype=np.intp)
    np.add.at(groups, np.unique(np.stack([trial, comparison], axis=1), axis=0)[:, 0], 1)
    unsure = (groups > 1) & ~names_arms
    # Arms that nobody named: arm 1 is that of the comparison; arm 2 one for the trial, or that of the comparison, too.
    # A measure of one group has one arm, which stands for both.
    everyone = np.zeros(k, dtype=np.intp)
    guess1 = comparison if contrast else everyone
    guess2 = everyone if contrast and comparisons == "shared_control" else guess1
    beyond = len(words) + 2
    chosen = (
        np.where(by_name, one, guess1 + beyond),
        np.where(by_name, two if contrast else one + 2 * beyond + 2 * k, guess2 + beyond + k + 2),
    )
    both = _combined(np.concatenate([trial, trial]), np.concatenate(chosen))
    assumed = frozenset(np.flatnonzero(unsure & contrast).tolist())
    return (both[:k], both[k:]), assumed
