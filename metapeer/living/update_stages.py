"""From one state of an outcome to the next: which rows came, went or were corrected, and what each of them moved."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from metapeer.errors import MetapeerError
from metapeer.living.update_changes import QUANTITIES, STAGES, shapley
from metapeer.living.update_outcome import Share
from metapeer.living.update_states import NEW, State, Track
from metapeer.pooling.dependent import average_within_trial
from metapeer.pooling.models import Effects, pool, read_effects
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray
from metapeer.reproduction.evidence import effects_of, pool_effects, row_effects
from metapeer.reproduction.plan import Method, Rows

__all__ = ["Passage", "decompose", "pooled"]

SAME = 1e-9
"""How far the quick way to a stage's ends may lie from the whole one, in standard errors, before it is given up."""


def pooled(frame: pd.DataFrame, method: Method) -> MetaAnalysisResult | None:
    """Pool rows the way a plan says.

    Parameters
    ----------
    frame : DataFrame
        Rows that were selected.
    method : Method
        The way.

    Returns
    -------
    MetaAnalysisResult or None
        None when no row can be pooled.
    """
    return None if frame.empty else pool_effects(effects_of(frame, method), method)


def _numbers(fit: MetaAnalysisResult | None) -> FloatArray:
    if fit is None:
        return np.full(len(QUANTITIES), np.nan)
    return np.array([fit.estimate, fit.ci.low, fit.ci.high, fit.tau2])


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
    def between(cls, before: tuple[State, Track], after: tuple[State, Track]) -> "Passage":
        """Match the rows of two states.

        Parameters
        ----------
        before, after : tuple of State and Track
            The states, and what is pooled in them.

        Returns
        -------
        Passage
            Rows are one and the same when they stand in the same data set under the same row_id; what is left is
            matched by trial and row_id alone, for a copy may hold what its original took from elsewhere.
        """
        (old_state, old_track), (new_state, new_track) = before, after
        old, new = old_state.frame(old_track.rows), new_state.frame(new_track.rows)
        columns = tuple(dict.fromkeys((*_conditions(old_track.rows), *_conditions(new_track.rows))))
        old_cells, new_cells = old_state.cells(old_track.rows, columns), new_state.cells(new_track.rows, columns)
        keys = _matched(old, new)
        if keys:
            old = old.assign(key=[keys.get(key, key) for key in old["key"]])
            old_cells = {keys.get(key, key): cells for key, cells in old_cells.items()}
        changed = [key for key in old_cells if key in new_cells and old_cells[key] != new_cells[key]]
        swapped = new[new["key"].isin(changed)]
        mixed = pd.concat([old[~old["key"].isin(changed)], swapped]) if changed else old
        mixed = mixed.set_axis(mixed["key"], axis=0).reindex(old["key"]).reset_index(drop=True)
        chosen_old, chosen_mixed = old_track.rows.select(old), old_track.rows.select(mixed)
        chosen_new = new_track.rows.select(new)
        here = {*chosen_old["key"], *chosen_mixed["key"]}
        corrections: dict[str, list[str]] = {}
        for key, name in zip(swapped["key"], _correction_names(swapped), strict=True):
            if key in here:
                corrections.setdefault(name, []).append(str(key))
        return cls(
            before=chosen_old,
            after=chosen_new,
            corrected=chosen_mixed,
            kept=chosen_new[chosen_new["key"].isin(set(old["key"]))],
            corrections=tuple((name, tuple(keys)) for name, keys in corrections.items()),
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


class _Quick:
    """Pools subsets of rows without computing an effect twice: effects row by row, averages trial by trial."""

    def __init__(self, frame: pd.DataFrame, method: Method) -> None:
        self._frame, self._method = frame, method
        self._rows = row_effects(frame, method)
        self._usable = (self._rows["exclusion_reason"].fillna("") == "").to_numpy()
        self._trials = self._rows["study_id"].astype(str).tolist()
        self._options = method.options()
        self._averages: dict[tuple[int, ...], tuple[float, float]] = {}

    def _of_trial(self, places: tuple[int, ...]) -> tuple[float, float]:
        if places not in self._averages:
            read = read_effects(average_within_trial(self._rows.iloc[list(places)], rho=self._method.rho))
            self._averages[places] = float(read.yi[0]), float(read.vi[0])
        return self._averages[places]

    def __call__(self, places: Sequence[int]) -> FloatArray:
        usable = [place for place in places if self._usable[place]]
        if not usable:
            return _numbers(None)
        if self._method.within_trial == "average":
            groups: dict[str, list[int]] = {}
            for place in usable:
                groups.setdefault(self._trials[place], []).append(place)
            pairs = np.array([self._of_trial(tuple(group)) for group in groups.values()])
            trials = tuple(groups)
        else:
            pairs = self._rows.iloc[usable][["yi", "vi"]].to_numpy(np.float64)
            trials = tuple(self._trials[place] for place in usable)
        effects = Effects(yi=pairs[:, 0].copy(), vi=pairs[:, 1].copy(), labels=trials, trials=trials)
        return _numbers(pool(effects, **self._options, warn=False))


def _shares(
    stage: str,
    frame: pd.DataFrame,
    players: Sequence[tuple[str, frozenset[int], frozenset[int]]],
    start: frozenset[int],
    method: Method,
    orders: int,
    seed: int,
) -> tuple[list[Share], bool]:
    """Share out what a stage moved; a player takes some rows out of the frame and puts others in."""

    def places(chosen: int) -> list[int]:
        rows = set(start)
        for bit, (_, out, into) in enumerate(players):
            if chosen >> bit & 1:
                rows = (rows - out) | into
        return sorted(rows)

    def whole(chosen: int) -> FloatArray:
        return _numbers(pooled(frame.iloc[places(chosen)].reset_index(drop=True), method))

    everyone = (1 << len(players)) - 1
    value = whole
    try:
        quick = _Quick(frame, method)
        ends = [(quick(places(chosen)), whole(chosen)) for chosen in (0, everyone)]
    except MetapeerError:  # rows that are never pooled together, such as scales of opposite directions
        ends = []
    if ends and all(_agree(one, other) for one, other in ends):
        value = lambda chosen: quick(places(chosen))  # noqa: E731
    parts, exact = shapley(value, len(players), orders=orders, seed=seed)
    shares = [
        Share(stage=stage, what=name, **dict(zip(QUANTITIES, map(float, part), strict=True)))
        for (name, _, _), part in zip(players, parts, strict=True)
    ]
    return shares, exact


def _agree(one: FloatArray, other: FloatArray) -> bool:
    scale = max(1.0, float(np.nanmax(np.abs(other[np.isfinite(other)]), initial=0.0)))
    return bool(np.allclose(one, other, rtol=0, atol=SAME * scale, equal_nan=True))


def _grouped(frame: pd.DataFrame, keys: set[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for place, (key, trial) in enumerate(zip(frame["key"], frame["study_id"].astype(str), strict=True)):
        if key in keys:
            groups.setdefault(trial, []).append(place)
    return groups


def decompose(
    passage: Passage, methods: tuple[Method, Method], *, orders: int, seed: int
) -> tuple[tuple[Share, ...], bool]:
    """Share out the change of an outcome.

    Parameters
    ----------
    passage : Passage
        Its rows in both states; something is pooled in either.
    methods : tuple of Method
        Before and after.
    orders, seed : int
        As in `shapley`.

    Returns
    -------
    shares : tuple of Share
        In the order of the stages; they add up to the change.
    exact : bool
        Whether every mean was taken over all orders.
    """
    old, new = methods
    shares: list[Share] = []
    exact = True

    def add(
        stage: str,
        frame: pd.DataFrame,
        players: list[tuple[str, frozenset[int], frozenset[int]]],
        start: frozenset[int],
        method: Method,
    ) -> None:
        nonlocal exact
        if players:
            found, all_orders = _shares(stage, frame, players, start, method, orders, seed)
            shares.extend(found)
            exact &= all_orders

    # Both versions of a row that was corrected stand in one frame, the second behind the first.
    versions = pd.concat([passage.before, passage.corrected], ignore_index=True) if passage.corrections else None
    if versions is not None:
        first = len(passage.before)
        out = {key: place for place, key in enumerate(passage.before["key"])}
        into = {key: first + place for place, key in enumerate(passage.corrected["key"])}
        players = [
            (name, frozenset(out[k] for k in keys if k in out), frozenset(into[k] for k in keys if k in into))
            for name, keys in passage.corrections
        ]
        add(STAGES[0], versions, players, frozenset(range(first)), old)

    base = passage.corrected
    gone = set(base["key"]) - set(passage.kept["key"])
    come = set(passage.kept["key"]) - set(base["key"])
    frame = pd.concat([base, passage.kept[passage.kept["key"].isin(come)]], ignore_index=True) if come else base
    frame = frame.reset_index(drop=True)
    leaving, entering = _grouped(frame, gone), _grouped(frame, come)
    players = [
        (
            f"{trial} {_way(trial in leaving, trial in entering)}",
            frozenset(leaving.get(trial, ())),
            frozenset(entering.get(trial, ())),
        )
        for trial in dict.fromkeys([*leaving, *entering])
    ]
    add(STAGES[1], frame, players, frozenset(range(len(base))), old)

    words = _method_words(old, new)
    if words:
        kept = passage.kept.reset_index(drop=True)
        change = _numbers(pooled(kept, new)) - _numbers(pooled(kept, old))
        shares.append(Share(stage=STAGES[2], what=words, **dict(zip(QUANTITIES, map(float, change), strict=True))))

    fresh = passage.fresh
    frame = pd.concat([passage.kept, fresh], ignore_index=True) if len(fresh) and len(passage.kept) else passage.after
    groups = _grouped(frame, set(fresh["key"]))
    nothing: frozenset[int] = frozenset()
    known = set(passage.kept["study_id"].astype(str))
    players = [
        (f"{trial}, more rows" if trial in known else trial, nothing, frozenset(rows)) for trial, rows in groups.items()
    ]
    add(STAGES[3], frame.reset_index(drop=True), players, frozenset(range(len(passage.kept))), new)
    return tuple(shares), exact


def _method_words(old: Method, new: Method) -> str:
    changes = [
        f"{name} {getattr(old, name) or 'default'} to {getattr(new, name) or 'default'}"
        for name in Method.__dataclass_fields__
        if getattr(old, name) != getattr(new, name)
        and not (getattr(old, name) != getattr(old, name) and getattr(new, name) != getattr(new, name))
    ]
    return ", ".join(changes)


def _way(leaves: bool, enters: bool) -> str:
    return "exchanged" if leaves and enters else "in" if enters else "out"
