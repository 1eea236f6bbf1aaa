"""The door to updates: a review and what is new in, every outcome before and after out, with who moved it."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metapeer.errors import DataWarning, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.living.update_awaited import awaited, not_used, own_worklist, used_keys, without_rows
from metapeer.living.update_match import Matches, Passage
from metapeer.living.update_outcome import OutcomeChange, Share
from metapeer.living.update_reading import read_base, read_new
from metapeer.living.update_results import ReviewUpdate
from metapeer.living.update_rows import complete_rows
from metapeer.living.update_stages import decompose, pooled
from metapeer.living.update_states import ReviewStore, State, Track, state_of
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.records.review import Review
from metapeer.reproduction.claims import SMALL_EFFECT, Judgement, judge_claim

__all__ = ["diff", "update"]

OVERRIDES = ("", "apply", "leave_out")
STANDARDISED = ("SMD", "SMDH")
"""Measures that the rule for claims speaks of."""


def update(
    review: str | Path | Review,
    new: pd.DataFrame | str | Path | Review | None,
    *,
    by: str = "outcome",
    overrides: str = "",
    method: Mapping[str, object] | None = None,
    where: Mapping[str, Sequence[str]] | None = None,
    outcomes: str | Sequence[str] | None = None,
    margin: float = SMALL_EFFECT,
    orders: int = 200,
    seed: int = 0,
) -> ReviewUpdate:
    """Add new trials to a review, or change how it computes, and see what changes and why.

    Nothing is written. What the review pools, and how, stands in its plan: for `by` = "outcome" the rows that its
    claims rest on (``[claims]``), on the format of peer support that it is about, otherwise all its rows by its
    ``[method]``; several rows of one trial on one outcome are averaged if the plan says so.

    Parameters
    ----------
    review : str, Path or Review
        A data set from `list_datasets`, a folder, or what `load_dataset` gave.
    new : DataFrame, str, Path or Review, optional
        New rows: a table as `read_outcomes` reads it, or the path of one. Or a data set, a folder or a Review: one
        without a plan is a collection of new trials, such as "updates"; one with a plan is another state of the
        review, and the two are compared as `diff` does. May be left out when something else is changed.
    by : str, default "outcome"
        What is pooled together: rows that share a value of a column; or "claim" or "analysis", what each claim in
        words or each printed result speaks of.
    overrides : {"", "apply", "leave_out"}
        What the state after does with recorded corrections: nothing, make them, or leave out the rows that have one.
        The state before has them as they stand in the data.
    method : mapping of str to object, optional
        Options of the plan to change, such as ``{"tau2_method": "PM"}``; see `metapeer.reproduction.plan.Method`.
    where : mapping of str to sequence of str, optional
        Conditions of the plan to change: a column, and the values its cells may have; none for any.
    outcomes : str or sequence of str, optional
        Only these.
    margin : float, default 0.2
        Smallest effect that matters, in the rule for claims.
    orders, seed : int, default 200 and 0
        Orders of entry to draw where more than ten trials are new for one outcome.

    Returns
    -------
    ReviewUpdate
        Each outcome before and after; shares that add up to the change; the claims' verdicts; new rows that cannot be
        used, and trials that are awaited.

    Raises
    ------
    ChoiceError
        If a name, a column or an option is unknown.
    DataError
        If a table or a folder is faulty; every fault is listed.
    MetapeerError
        If nothing is new.

    Warns
    -----
    DataWarning
        If participants may be counted twice, or a row of `new` stands in the review already.

    References
    ----------
    Shapley (1953), Contributions to the Theory of Games II, 307-317: shares of trials that enter together.

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer import load_dataset
    >>> trial = pd.DataFrame({"study_id": ["smith2026"], "outcome": ["hope"], "format": ["group"],
    ...                       "timepoint": ["end_of_treatment"], "direction": ["higher_better"], "n1": [60],
    ...                       "mean1": [31.0], "sd1": [8.0], "n2": [58], "mean2": [29.0], "sd2": [9.0]})
    >>> found = update("lyons2021", trial)
    >>> change = found["hope"]
    >>> change.before.k, change.after.k, [share.what for share in change.shares]
    (3, 4, ['smith2026'])
    >>> abs(change.shares[0].estimate - (change.after.estimate - change.before.estimate)) < 1e-12
    True
    """
    check_choice("overrides", overrides, OVERRIDES)
    how = _How.checked(margin, orders, seed)
    store = ReviewStore()
    base = read_base(store, review)
    for name, given in (("method", method), ("where", where)):
        if given is not None and not isinstance(given, Mapping):
            raise MetapeerError(f"{name} must map names to values, such as {{'tau2_method': 'PM'}}, not {given!r}")
    changes = {"overrides": overrides, "method": dict(method or {}), "where": dict(where or {})}
    added, collection = read_new(new, base)
    if collection is not None and collection.plan:
        if any(changes.values()):
            raise MetapeerError("another state of the review has its own plan; leave overrides, method and where out")
        return diff(base, collection, by=by, outcomes=outcomes, margin=margin, orders=orders, seed=seed)
    if added is None and not any(changes.values()):
        raise MetapeerError("nothing is new: give new rows, or overrides=, method= or where=")
    before = state_of(store, base, by=by, overrides="", method={}, where={})
    rows: pd.DataFrame | None = None
    doubts: list[str] = []
    source = "the new rows"
    if added is not None:
        source = str(added.attrs.get("source", source))
        known = pd.concat([*before.frames.values()]).drop_duplicates("key", ignore_index=True)
        rows, doubts = complete_rows(added, base, known, source=source)
    after = state_of(store, base, by=by, added=rows, **changes)  # type: ignore[arg-type]  # as named above
    for doubt in doubts:
        warnings.warn(doubt, DataWarning, stacklevel=2)
    found = _compare(before, after, outcomes, how)
    worklists = [one for one in (collection,) if one is not None]
    what = [_new_words(found)] if rows is not None else []
    what += [f"recorded corrections {'made' if overrides == 'apply' else 'left out'}"] if overrides else []
    what += ["another method"] if method else []
    what += ["another selection"] if where else []
    return ReviewUpdate(
        title=f"{base.title or base.name}: before and after {', '.join(what)}",
        changes=found,
        not_used=() if rows is None else tuple(not_used(rows, after, found, by)),
        awaited=tuple(awaited(worklists, found, after)),
        notes=(
            *(() if rows is None else rows.attrs["converted"]),
            *after.notes,
            *doubts,
            *without_rows(worklists),
            *own_worklist(base),
        ),
    )


def diff(
    before: str | Path | Review,
    after: str | Path | Review,
    *,
    by: str = "outcome",
    outcomes: str | Sequence[str] | None = None,
    margin: float = SMALL_EFFECT,
    orders: int = 200,
    seed: int = 0,
    only_changed: bool = False,
) -> ReviewUpdate:
    """Compare two states of a review: two folders, a bundled data set and a folder made from it, or two in memory.

    Rows are the same when they stand in the same data set under the same ``row_id``, whatever the review's own folder
    is called. Where cells of such a row differ, it was corrected; a row that only the second state has is a new result.

    Parameters
    ----------
    before, after : str, Path or Review
        Data sets, folders, or what `load_dataset` gave.
    by, outcomes, margin, orders, seed
        As in `update`.
    only_changed : bool, default False
        Whether to leave out the outcomes whose rows and method are the same in both, and save the time to pool them.

    Returns
    -------
    ReviewUpdate
        As `update` returns it.

    Raises
    ------
    ChoiceError
        If a name or a column is unknown.
    DataError
        If a folder is faulty; every fault is listed.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from metapeer import load_dataset
    >>> review = load_dataset("smit2023")
    >>> plan = {**review.plan, "method": {**review.plan["method"], "tau2_method": "DL"}}
    >>> found = diff(review, replace(review, plan=plan), by="analysis")
    >>> [(share.stage, share.what) for share in found["personal recovery"].shares]
    [('method', 'tau2_method REML to DL')]
    """
    how = _How.checked(margin, orders, seed)
    first = ReviewStore()
    stores = first, ReviewStore(beside=first)
    one, two = (read_base(store, given) for store, given in zip(stores, (before, after), strict=True))
    plain = {"by": by, "overrides": "", "method": {}, "where": {}}
    states = [
        state_of(store, own, also_named=[other], **plain)  # type: ignore[arg-type]  # as named above
        for store, own, other in zip(stores, (one, two), (two, one), strict=True)
    ]
    found = _compare(states[0], states[1], outcomes, how, only_changed=only_changed)
    fresh = _only_after(states[0], states[1])
    return ReviewUpdate(
        title=f"{' and '.join(dict.fromkeys((one.name, two.name)))}: before and after",
        changes=found,
        not_used=tuple(not_used(fresh, states[1], found, by)) if len(fresh) else (),
        awaited=tuple(awaited([two], found, states[1])),
        notes=tuple(dict.fromkeys((*states[0].notes, *states[1].notes))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """How changes are judged and shared out."""

    margin: float
    orders: int
    seed: int

    @classmethod
    def checked(cls, margin: float, orders: int, seed: int) -> "_How":
        if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 < margin < math.inf:
            raise MetapeerError(f"margin must be a number above 0, not {margin!r}")
        for name, value, least in (("orders", orders, 1), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise MetapeerError(f"{name} must be a whole number of at least {least}, not {value!r}")
        return cls(margin=margin, orders=orders, seed=seed)


def _compare(
    before: State, after: State, outcomes: str | Sequence[str] | None, how: _How, *, only_changed: bool = False
) -> tuple[OutcomeChange, ...]:
    names = list(dict.fromkeys([*before.tracks, *after.tracks]))
    if outcomes is not None:
        if not isinstance(outcomes, Iterable):
            raise MetapeerError(f"outcomes must be names, not {outcomes!r}")
        wanted = [outcomes] if isinstance(outcomes, str) else list(outcomes)
        names = [check_choice("outcome", name, names) for name in dict.fromkeys(wanted)]
    matches = Matches(before, after)
    found = []
    for name in names:
        old, new = before.tracks.get(name), after.tracks.get(name)
        passage = Passage.between(matches.of((old, new)), (old, new)) if old is not None and new is not None else None
        if passage is None or old is None or new is None:
            found.append(_come_or_gone(name, (before, old), (after, new), how))
            continue
        same = passage.nothing and old.method == new.method
        if not (same and only_changed):
            found.append(_changed(name, passage, (old, new), how, same=same))
    return tuple(found)


def _changed(name: str, passage: Passage, tracks: tuple[Track, Track], how: _How, *, same: bool) -> OutcomeChange:
    """Pool one outcome in both states, and share out the change."""
    old, new = tracks
    before = pooled(passage.before.reset_index(drop=True), old.method)
    after = before if same else pooled(passage.after.reset_index(drop=True), new.method)
    used = used_keys(after)
    fresh = passage.fresh
    shares: tuple[Share, ...] = ()
    exact = True
    if not same and before is not None and after is not None:
        shares, exact = decompose(
            passage.with_fresh(used), (old.method, new.method), (before, after), orders=how.orders, seed=how.seed
        )
    return _outcome(
        name,
        (before, after),
        new.claim or old.claim,
        how.margin,
        shares=shares,
        exact=exact,
        new_rows=tuple(fresh["key"][fresh["key"].isin(used)].astype(str)),
        changed_rows=tuple(sorted({key for _, keys in passage.corrections for key in keys})),
    )


def _come_or_gone(
    name: str, before: tuple[State, Track | None], after: tuple[State, Track | None], how: _How
) -> OutcomeChange:
    """Pool an outcome that only one of the states has."""
    frames = [None if track is None else track.rows.select(state.frame(track.rows)) for state, track in (before, after)]
    fits = [
        None if track is None or frame is None else pooled(frame.reset_index(drop=True), track.method)
        for frame, (_, track) in zip(frames, (before, after), strict=True)
    ]
    used = used_keys(fits[1])
    new_rows = () if frames[1] is None else tuple(key for key in frames[1]["key"].astype(str) if key in used)
    track = after[1] or before[1]
    claim = {} if track is None else track.claim
    return _outcome(name, (fits[0], fits[1]), claim, how.margin, new_rows=new_rows)


def _outcome(
    name: str,
    fits: tuple[MetaAnalysisResult | None, MetaAnalysisResult | None],
    claim: Mapping[str, str],
    margin: float,
    *,
    shares: tuple[Share, ...] = (),
    exact: bool = True,
    new_rows: tuple[str, ...] = (),
    changed_rows: tuple[str, ...] = (),
) -> OutcomeChange:
    return OutcomeChange(
        outcome=name,
        before=fits[0],
        after=fits[1],
        shares=shares,
        exact=exact,
        claim=claim,
        judged_before=_judged(fits[0], claim, margin),
        judged_after=_judged(fits[1], claim, margin),
        new_rows=new_rows,
        changed_rows=changed_rows,
    )


def _new_words(found: Sequence[OutcomeChange]) -> str:
    """Count the trials that brought something new."""
    trials = {
        str(study)
        for change in found
        if change.after is not None and change.after.data is not None
        for study, cell in zip(change.after.data["study_id"], change.after.data["key"].astype(str), strict=True)
        if set(cell.split("; ")) & set(change.new_rows)
    }
    return f"{count(len(trials), 'trial')} with new results"


def _judged(fit: MetaAnalysisResult | None, claim: Mapping[str, str], margin: float) -> Judgement | None:
    if not claim or (fit is not None and fit.measure not in STANDARDISED):
        return None
    return judge_claim(claim["claim"], None if fit is None else fit.ci, margin=margin)


def _only_after(before: State, after: State) -> pd.DataFrame:
    """Rows of the review's own folder that only the second state has."""
    known = {key for frame in before.frames.values() for key in frame["key"]}
    frames = []
    for frame in after.frames.values():
        keys = frame["key"].astype(str)
        frames.append(frame[~frame["key"].isin(known) & keys.str.startswith("/").astype(bool)])
    return pd.concat(frames).drop_duplicates("key", ignore_index=True)
