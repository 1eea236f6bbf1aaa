"""The rows of two states, matched: which came, which went, and which were corrected."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import pandas as pd

from metapeer.living.update_states import NEW, State, Track
from metapeer.reproduction.plan import Rows

__all__ = ["Match", "Matches", "Passage"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passage:
    """The rows of one outcome in two states, matched.

    Parameters
    ----------
    before, after : DataFrame
        The rows that each state pools.
    corrected : DataFrame
        The rows of `before` with the cells that were corrected, as far as they are pooled under the old selection.
    kept : DataFrame
        The rows known before that are pooled after.
    corrections : tuple of (str, tuple of str)
        Each correction and the keys of its rows.
    """

    before: pd.DataFrame
    after: pd.DataFrame
    corrected: pd.DataFrame
    kept: pd.DataFrame
    corrections: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def fresh(self) -> pd.DataFrame:
        """The rows that were not known before."""
        return self.after[~self.after["key"].isin(self.kept["key"])]

    @property
    def nothing(self) -> bool:
        """Whether the same rows are pooled, with the same cells."""
        return not self.corrections and self.before["key"].tolist() == self.after["key"].tolist()

    def with_fresh(self, used: Collection[str]) -> "Passage":
        """Keep of the new rows only those that have an effect: the others move nothing.

        Parameters
        ----------
        used : collection of str
            The keys of rows that are pooled.

        Returns
        -------
        Passage
            The same otherwise.
        """
        after = self.after[self.after["key"].isin({*self.kept["key"], *used})]
        return replace(self, after=after)

    @classmethod
    def between(cls, match: "Match", tracks: tuple[Track, Track]) -> "Passage":
        """Select the rows of one outcome from those of two states.

        Parameters
        ----------
        match : Match
            All rows of both states.
        tracks : tuple of Track
            What is pooled in either.

        Returns
        -------
        Passage
            The outcome's rows.
        """
        chosen_old, chosen_new = tracks[0].rows.select(match.old), tracks[1].rows.select(match.new)
        chosen_mixed = tracks[0].rows.select(match.mixed) if match.corrections else chosen_old
        corrections: dict[str, list[str]] = {}
        if match.corrections:
            here = {*chosen_old["key"], *chosen_mixed["key"]}
            for key, name in match.corrections:
                if key in here:
                    corrections.setdefault(name, []).append(key)
        return cls(
            before=chosen_old,
            after=chosen_new,
            corrected=chosen_mixed,
            kept=chosen_new[chosen_new["key"].isin(match.known)],
            corrections=tuple((name, tuple(keys)) for name, keys in corrections.items()),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Match:
    """All rows of two states, matched, before anything is selected.

    Parameters
    ----------
    old, new : DataFrame
        The rows of each state, under one key where they are the same.
    mixed : DataFrame
        The old rows with the cells that were corrected.
    corrections : tuple of (str, str)
        Key of each corrected row, and the name of its correction.
    known : frozenset of str
        The keys of the old rows.
    """

    old: pd.DataFrame
    new: pd.DataFrame
    mixed: pd.DataFrame
    corrections: tuple[tuple[str, str], ...]
    known: frozenset[str]


class Matches:
    """The matched rows of two states; tracks that ask for the same data sets and columns share them.

    Rows are one and the same when they stand in the same data set under the same row_id; what is left is matched by
    trial and row_id alone, for a copy may hold what its original took from elsewhere.

    Parameters
    ----------
    before, after : State
        The states.
    """

    def __init__(self, before: State, after: State) -> None:
        self._states = before, after
        self._found: dict[object, Match] = {}

    def of(self, tracks: tuple[Track, Track]) -> Match:
        """Match the rows that two tracks are selected from.

        Parameters
        ----------
        tracks : tuple of Track
            What is pooled in either state.

        Returns
        -------
        Match
            Computed once.
        """
        one, two = tracks
        columns = tuple(dict.fromkeys((*_conditions(one.rows), *_conditions(two.rows))))
        asked = one.rows.datasets, two.rows.datasets, columns
        if asked not in self._found:
            self._found[asked] = self._match(one.rows, two.rows, columns)
        return self._found[asked]

    def _match(self, old_rows: Rows, new_rows: Rows, columns: tuple[str, ...]) -> Match:
        before, after = self._states
        old, new = before.frame(old_rows), after.frame(new_rows)
        old_cells, new_cells = before.cells(old_rows, columns), after.cells(new_rows, columns)
        keys = _matched(old, new)
        if keys:
            old = old.assign(key=[keys.get(key, key) for key in old["key"]])
            old_cells = {keys.get(key, key): cells for key, cells in old_cells.items()}
        changed = [key for key in old_cells if key in new_cells and old_cells[key] != new_cells[key]]
        swapped = new[new["key"].isin(changed)]
        mixed = old
        if changed:
            mixed = pd.concat([old[~old["key"].isin(changed)], swapped])
            mixed = mixed.set_axis(mixed["key"], axis=0).reindex(old["key"]).reset_index(drop=True)
        return Match(
            old=old,
            new=new,
            mixed=mixed,
            corrections=tuple(zip(swapped["key"].astype(str), _correction_names(swapped), strict=True)),
            known=frozenset(old["key"]),
        )


def _conditions(rows: Rows) -> list[str]:
    return [*rows.where, *rows.where_not]


def _correction_names(frame: pd.DataFrame) -> list[str]:
    """Name a corrected row by its override, otherwise by itself."""
    marks = frame["overridden"].fillna("").astype(str) if "overridden" in frame else pd.Series("", index=frame.index)
    return [mark or str(row) for mark, row in zip(marks, frame["row_id"], strict=True)]


def _matched(old: pd.DataFrame, new: pd.DataFrame) -> dict[str, str]:
    """Find rows that are the same under another key, where a copy keeps them in another folder."""
    alone = [frame[~frame["key"].isin(other["key"])] for frame, other in ((old, new), (new, old))]
    names = [alone_of["study_id"].astype(str) + "/" + alone_of["row_id"].astype(str) for alone_of in alone]
    lone = [name[~name.duplicated(keep=False)] for name in names]
    named = [
        dict(zip(lone_of, frame.loc[lone_of.index, "key"].astype(str), strict=True))
        for lone_of, frame in zip(lone, (old, new), strict=True)
    ]
    pairs = {key: named[1][name] for name, key in named[0].items() if name in named[1]}
    # One of the two must stand in the review's own folder, whose keys begin with the stroke: rows of two other data
    # sets that share a name are two extractions, not one row corrected.
    return {one: two for one, two in pairs.items() if "/" in (one[0], two[0]) and not two.startswith(f"{NEW}/")}
