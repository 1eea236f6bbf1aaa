"""From one state of an outcome to the next: what each row that came, went or was corrected moved."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from metapeer.errors import MetapeerError
from metapeer.living.update_changes import QUANTITIES, STAGES, shapley
from metapeer.living.update_match import Passage
from metapeer.living.update_outcome import Share
from metapeer.pooling.dependent import average_within_trial
from metapeer.pooling.models import Effects, pool, read_effects
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray
from metapeer.reproduction.evidence import effects_of, pool_effects, row_effects
from metapeer.reproduction.plan import Method

__all__ = ["decompose", "pooled"]

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
    known: Mapping[tuple[str, ...], FloatArray],
) -> tuple[list[Share], bool]:
    """Share out what a stage moved; a player takes some rows out of the frame and puts others in."""
    keys = frame["key"].astype(str).tolist()

    def places(chosen: int) -> list[int]:
        rows = set(start)
        for bit, (_, out, into) in enumerate(players):
            if chosen >> bit & 1:
                rows = (rows - out) | into
        return sorted(rows)

    def whole(chosen: int) -> FloatArray:
        rows = places(chosen)
        there = known.get(tuple(sorted(keys[row] for row in rows)))
        return _numbers(pooled(frame.iloc[rows].reset_index(drop=True), method)) if there is None else there

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
    passage: Passage,
    methods: tuple[Method, Method],
    fits: tuple[MetaAnalysisResult, MetaAnalysisResult],
    *,
    orders: int,
    seed: int,
) -> tuple[tuple[Share, ...], bool]:
    """Share out the change of an outcome.

    Parameters
    ----------
    passage : Passage
        Its rows in both states; something is pooled in either.
    methods : tuple of Method
        Before and after.
    fits : tuple of MetaAnalysisResult
        What all rows of either state come to.
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
    ends: dict[tuple[str, ...], FloatArray] = {}
    if old == new and not passage.corrections:  # then the rows alone say what was pooled
        for rows, fit in zip((passage.before, passage.after), fits, strict=True):
            ends[tuple(sorted(rows["key"].astype(str)))] = _numbers(fit)

    def add(
        stage: str,
        frame: pd.DataFrame,
        players: list[tuple[str, frozenset[int], frozenset[int]]],
        start: frozenset[int],
        method: Method,
    ) -> None:
        nonlocal exact
        if players:
            found, all_orders = _shares(stage, frame, players, start, method, orders, seed, ends)
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
