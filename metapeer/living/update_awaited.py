"""What an update could not use, and why; and which trials are awaited, with the numbers that are needed of them."""

from collections.abc import Sequence

import pandas as pd

from metapeer.formatting import count
from metapeer.living.update_outcome import OutcomeChange
from metapeer.living.update_results import Awaited
from metapeer.living.update_states import State
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.records.review import Review
from metapeer.reproduction.evidence import row_effects
from metapeer.reproduction.plan import Rows

__all__ = ["awaited", "not_used", "own_worklist", "used_keys", "without_rows"]

_WORKLIST = ("study_id", "outcome", "needed", "where_to_look", "note")


def used_keys(fit: MetaAnalysisResult | None) -> set[str]:
    """List the rows behind a result; an average has several.

    Parameters
    ----------
    fit : MetaAnalysisResult or None
        A result of rows with a ``key``.

    Returns
    -------
    set of str
        Their keys.
    """
    if fit is None or fit.data is None:
        return set()
    return {key for cell in fit.data["key"].astype(str) for key in cell.split("; ")}


def not_used(rows: pd.DataFrame, after: State, found: Sequence[OutcomeChange], by: str) -> list[tuple[str, str]]:
    """Say of each new row that no result holds why.

    Parameters
    ----------
    rows : DataFrame
        The new rows.
    after : State
        The state that has them.
    found : sequence of OutcomeChange
        What was pooled.
    by : str
        What was pooled together.

    Returns
    -------
    list of (str, str)
        Name of the row, and the reason.
    """
    used = {key for change in found for key in used_keys(change.after)}
    places = [place for place, key in enumerate(rows["key"]) if key not in used]
    return [(str(rows["row_id"].iloc[place]), _reason(rows.iloc[[place]], after, by)) for place in places]


def _reason(row: pd.DataFrame, after: State, by: str) -> str:
    """Why one row is not pooled: what no selection takes, else why it has no effect."""
    one = row.reset_index(drop=True)
    best: list[str] | None = None
    for track in after.tracks.values():
        if len(_fitting(one, track.rows)):
            reason = row_effects(one, track.method)["exclusion_reason"].iloc[0]
            return str(reason) or "is left out by the choice of outcomes"
        wrong = [
            f"{column} is {_shown(one, column)}, not {' or '.join(repr(v) if v else 'empty' for v in values)}"
            for column, values in track.rows.where.items()
            # every outcome asks for itself, so that its name is no reason
            if column != by and not len(_fitting(one, Rows(datasets=(), where={column: values})))
        ]
        wrong += [
            f"{column} is {_shown(one, column)}, which is not taken"
            for column, values in track.rows.where_not.items()
            if not len(_fitting(one, Rows(datasets=(), where_not={column: values})))
        ]
        if best is None or len(wrong) < len(best):
            best = wrong
    return "; ".join(best) if best else "nothing that is pooled takes it"


def _fitting(one: pd.DataFrame, rows: Rows) -> pd.DataFrame:
    columns = [*rows.where, *rows.where_not]
    return rows.select(one.reindex(columns=[*one.columns, *(c for c in columns if c not in one)], fill_value=""))


def _shown(one: pd.DataFrame, column: str) -> str:
    cell = one[column].iloc[0] if column in one else ""
    return "empty" if pd.isna(cell) or cell == "" else repr(cell) if isinstance(cell, str) else f"{cell:g}"


def awaited(reviews: Sequence[Review], found: Sequence[OutcomeChange], after: State) -> list[Awaited]:
    """List the lines of worklists that name a trial, as far as they bear on what is pooled and are still open.

    Parameters
    ----------
    reviews : sequence of Review
        Whose worklists.
    found : sequence of OutcomeChange
        What was pooled.
    after : State
        The state with the new rows.

    Returns
    -------
    list of Awaited
        In the order of the worklists.
    """
    outcomes = {change.outcome for change in found}
    done = {
        (str(study), change.outcome)
        for change in found
        if change.after is not None and change.after.data is not None
        for study in change.after.data["study_id"]
    }
    lines = []
    for review in reviews:
        work = review.extras.get("worklist")
        if work is None:
            continue
        formats = dict(review.trials[["study_id", "peer_support_type"]].astype(str).to_numpy().tolist())
        cells = work.reindex(columns=list(_WORKLIST), fill_value="").fillna("").astype(str).to_numpy().tolist()
        lines += [
            Awaited(
                **dict(zip(_WORKLIST, line, strict=True)),
                format=_format_words(formats.get(line[0], ""), after),
                listed_in=f"{review.name}/worklist.csv",
            )
            for line in cells
            if line[0] and (not line[1] or line[1] in outcomes) and (line[0], line[1]) not in done
        ]
    return lines


def without_rows(reviews: Sequence[Review]) -> list[str]:
    """Name the trials of a collection that have neither a row nor a line of its worklist.

    Parameters
    ----------
    reviews : sequence of Review
        The collections.

    Returns
    -------
    list of str
        A sentence for each collection that has such trials.
    """
    notes = []
    for review in reviews:
        work = review.extras.get("worklist")
        known = {*review.outcomes["study_id"].astype(str), *(() if work is None else work["study_id"].astype(str))}
        silent = [trial for trial in review.trials["study_id"].astype(str) if trial not in known]
        if silent:
            notes.append(f"{review.name}/trials.csv also names, without any result: {', '.join(silent)}")
    return notes


def _format_words(words: str, after: State) -> str:
    """A trial's format, and whether the review is about it."""
    if not words or not after.formats or words.startswith(after.formats):
        return words
    return f"{words}: the review is about {' or '.join(after.formats)}"


def own_worklist(review: Review) -> list[str]:
    """Say how much a review's own worklist still lists.

    Parameters
    ----------
    review : Review
        The review.

    Returns
    -------
    list of str
        One sentence, or none.
    """
    work = review.extras.get("worklist")
    if work is None or work.empty:
        return []
    return [f"{review.name}/worklist.csv says what is missing of the review itself: {count(len(work), 'line')}"]
