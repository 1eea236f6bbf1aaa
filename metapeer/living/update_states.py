"""Two states of a review: what its plan pools for each outcome, and the rows that each state has.

A state knows its rows before anything is selected, so that a change of selection can be told from a new row.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pandas as pd

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.records.catalog import dataset_names, datasets_root, load_claims
from metapeer.records.review import Review
from metapeer.records.schema import OUTCOMES
from metapeer.reproduction.evidence import USUAL_RHO, Store
from metapeer.reproduction.plan import Method, Plan, Rows

__all__ = ["NEW", "ReviewStore", "State", "Track", "cell_text", "changed_method", "compared", "state_of"]

NEW = "new"
"""The data set that rows of a table are said to stand in."""

_WORDS = ("row_id", "source", "source_url", "note", "outcome_group")
DESIGN = ("design", "mean_cluster_size", "icc")
"""What is recorded of a trial that bears on the variance of its effects."""
COMPARED = (*(name for name in OUTCOMES.names if name not in _WORDS), "direction", *DESIGN)


class ReviewStore(Store):
    """A `Store` that takes reviews as they are in memory, too.

    Parameters
    ----------
    beside : ReviewStore, optional
        Another store, whose bundled data sets are not read again.
    """

    def __init__(self, beside: "ReviewStore | None" = None) -> None:
        super().__init__()
        self._beside = beside

    def review(self, name: str) -> Review:
        """Return a data set, from the other store where that has read it from the bundled data.

        Parameters
        ----------
        name : str
            The name of a data set.

        Returns
        -------
        Review
            The data set.
        """
        if self._beside is not None and name not in self._reviews and name in dataset_names():
            found = self._beside.review(name)
            if found.path == datasets_root() / name:
                self._reviews[name] = found
                joined = self._beside._rows  # noqa: SLF001  of the same class
                self._rows.update({key: rows for key, rows in joined.items() if key[0] == name})
        return super().review(name)

    def put(self, review: Review) -> Review:
        """Take a review, in place of any of its name.

        Parameters
        ----------
        review : Review
            From `load_dataset`, perhaps with tables replaced.

        Returns
        -------
        Review
            The same.
        """
        self._reviews[review.name] = review
        return review


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One thing that a review pools.

    Parameters
    ----------
    name : str
        The outcome, the claim or the printed result.
    rows : Rows
        Which rows, of all that the state has.
    method : Method
        How they are pooled.
    claim : mapping of str to str
        The claim that the pooled effect is held against; empty without one.
    """

    name: str
    rows: Rows
    method: Method
    claim: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """What a review has and does at one time.

    Parameters
    ----------
    name : str
        The review's name.
    frames : mapping of tuple of str to DataFrame
        For each set of data sets that is asked for, all their rows, joined with their trials.
    tracks : mapping of str to Track
        What is pooled.
    formats : tuple of str
        The formats of peer support that are taken; empty for all.
    notes : tuple of str
        What a reader must know.
    """

    name: str
    frames: Mapping[tuple[str, ...], pd.DataFrame]
    tracks: Mapping[str, Track]
    formats: tuple[str, ...]
    notes: tuple[str, ...] = ()
    _cells: dict[object, dict[str, tuple[str, ...]]] = field(default_factory=dict, repr=False)

    def cells(self, rows: Rows, columns: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """The cells that bear on what is pooled, of all rows of the data sets that a selection speaks of.

        Parameters
        ----------
        rows : Rows
            The selection.
        columns : tuple of str
            Columns that rows are selected by.

        Returns
        -------
        dict of str to tuple of str
            Key to cells; computed once.
        """
        asked = rows.datasets, columns
        if asked not in self._cells:
            self._cells[asked] = compared(self.frames[rows.datasets], columns)
        return self._cells[asked]

    def frame(self, rows: Rows) -> pd.DataFrame:
        """All rows of the data sets that a selection speaks of, not selected yet.

        Parameters
        ----------
        rows : Rows
            The selection.

        Returns
        -------
        DataFrame
            With a column ``key`` that names each row, whatever the folder is called.
        """
        return self.frames[rows.datasets]


def _own_claims(*names: str, dois: Sequence[str]) -> list[dict[str, str]]:
    """Claims of a review, also when a folder of another name holds a copy of it: the DOI tells."""
    stated = cast("list[dict[str, str]]", load_claims().astype(str).to_dict("records"))
    known = {doi for doi in dois if doi}
    return [
        claim
        for claim in stated
        if {name.strip() for name in claim["review"].split(";")} & set(names)
        or {doi.strip() for doi in claim["doi"].split(";")} & known
    ]


def _narrow(rows: Rows, **cells: str) -> Rows:
    return replace(rows, where={**rows.where, **{column: (cell,) for column, cell in cells.items() if cell}})


def _judged(claim: Mapping[str, str]) -> bool:
    """Whether a claim speaks of one pooled effect."""
    return claim["claim"] not in ("larger", "moderation")


def _format_of(plan: Plan, claims: Sequence[Mapping[str, str]]) -> str:
    """The one format of peer support that a review is about; empty when it is about several or does not say."""
    spoken = {claim["format"] for claim in claims if _judged(claim)}
    if len(spoken) == 1:
        return spoken.pop()
    return plan.transcription.format if plan.transcription is not None else ""


def _evidence(review: Review, plan: Plan) -> tuple[Rows, Method]:
    """The rows that a review's outcomes are pooled from, and how."""
    if plan.claims is not None:
        return plan.claims.rows, plan.claims.method
    method = plan.method if review.plan else Method(within_trial="average", rho=USUAL_RHO)
    return Rows(datasets=(review.name,)), method


def _all_rows(store: Store, review: Review, datasets: tuple[str, ...], overrides: str) -> pd.DataFrame:
    frame = store.frame(Rows(datasets=datasets), overrides)
    # Many columns of text are selected from again and again: as objects they lie in one block.
    words = [name for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.StringDtype)]
    frame = frame.astype(dict.fromkeys(words, object))
    own = ["" if name == review.name else name for name in frame["dataset"].astype(str)]
    keys = [f"{where}/{row}" for where, row in zip(own, frame["row_id"].astype(str), strict=True)]
    return frame.assign(key=keys)


def state_of(
    store: Store,
    review: Review,
    *,
    by: str,
    overrides: str,
    method: Mapping[str, object],
    where: Mapping[str, Sequence[str]],
    added: pd.DataFrame | None = None,
    also_named: Sequence[Review] = (),
) -> State:
    """Describe a review as it stands, with an option or a row more if wanted.

    Parameters
    ----------
    store : Store
        Where rows and plans come from.
    review : Review
        The review.
    by : str
        "analysis", "claim", or a column of the rows.
    overrides : str
        "apply" the recorded corrections, "leave_out" the rows that have one, or "" for neither.
    method : mapping of str to object
        Options of the plan's method to change.
    where : mapping of str to sequence of str
        Conditions to change; an empty sequence drops a condition.
    added : DataFrame, optional
        New rows, complete, with their ``key``.
    also_named : sequence of Review, default ()
        Other reviews whose claims are this one's.

    Returns
    -------
    State
        With a track for each thing that is pooled.

    Raises
    ------
    ChoiceError
        If `by`, an option or a column is unknown.
    """
    plan = store.plan(review)
    family = (review, *also_named)
    claims = _own_claims(*(one.name for one in family), dois=[one.doi for one in family])
    base, how = _evidence(review, plan)
    sets = {base.datasets, *(analysis.rows.datasets for analysis in plan.analyses)}
    frames = {names: _all_rows(store, review, names, overrides) for names in sets}
    if added is not None:
        frames = {names: pd.concat([frame, added], ignore_index=True) for names, frame in frames.items()}
    notes: list[str] = []
    kept = ""
    asked: list[tuple[str, Rows, Method, Mapping[str, str]]] = []
    if by == "analysis":
        asked = [(one.published_id, one.rows, one.method, {}) for one in plan.analyses]
    elif by == "claim":
        for claim in filter(_judged, claims):
            rows = _narrow(base, format=claim["format"], outcome=claim["outcome"])
            if not claim["outcome"]:
                rows = _narrow(rows, outcome_class=claim["outcome_class"])
            asked.append((claim["claim_id"], rows, how, claim))
    else:
        frame = frames[base.datasets]
        check_choice("by", by, ["analysis", "claim", *map(str, frame.columns)])
        kept = _format_of(plan, claims)
        rows = _narrow(base, format=kept)
        if kept:
            notes.append(f"rows on {kept.replace('_', '-')} peer support only, which {review.name} is about")
        asked = [
            (name, _narrow(rows, **{by: name}), how, next((c for c in claims if _judged(c) and c.get(by) == name), {}))
            for name in dict.fromkeys(rows.select(frame)[by].astype(str))
            if name
        ]
    if not asked and by in ("analysis", "claim"):
        raise MetapeerError(f"{review.name} has no {by} to update; give by='outcome'")
    tracks = {
        name: Track(name=name, rows=_conditions(rows, where, frames), method=changed_method(own, method), claim=claim)
        for name, rows, own, claim in asked
    }
    return State(name=review.name, frames=frames, tracks=tracks, formats=(kept,) if kept else (), notes=tuple(notes))


def _conditions(rows: Rows, where: Mapping[str, Sequence[str]], frames: Mapping[tuple[str, ...], pd.DataFrame]) -> Rows:
    if not where:
        return rows
    columns = list(map(str, frames[rows.datasets].columns))
    conditions = dict(rows.where)
    for column, values in where.items():
        check_choice("where column", column, columns)
        if not isinstance(values, Iterable):
            raise MetapeerError(f"where: {column} must have a list of values, not {values!r}")
        wanted = (values,) if isinstance(values, str) else tuple(map(str, values))
        if wanted:
            conditions[column] = wanted
        else:
            conditions.pop(column, None)
    return replace(rows, where=conditions)


def changed_method(method: Method, changes: Mapping[str, object]) -> Method:
    """Change options of a plan's method.

    Parameters
    ----------
    method : Method
        The plan's.
    changes : mapping of str to object
        Option to value.

    Returns
    -------
    Method
        Changed, and checked.

    Raises
    ------
    ChoiceError
        If an option is unknown or cannot have that value.

    Examples
    --------
    >>> changed_method(Method(), {"tau2_method": "PM"}).tau2_method
    'PM'
    """
    for name in changes:
        check_choice("method option", name, list(Method.__dataclass_fields__))
    wrong = [
        f"{name} must be {type(getattr(method, name)).__name__}, not {value!r}"
        for name, value in changes.items()
        if isinstance(value, bool) != isinstance(getattr(method, name), bool)
        or not isinstance(
            value, (int, float) if isinstance(getattr(method, name), float) else type(getattr(method, name))
        )
    ]
    if wrong:
        raise ChoiceError("; ".join(wrong))
    changed = replace(method, **changes)  # type: ignore[arg-type]  # names and kinds are checked above
    problems = changed.problems()
    if problems:
        raise ChoiceError("; ".join(problems))
    return changed


def compared(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The cells of each row that bear on what is pooled, in a form that can be compared.

    Parameters
    ----------
    frame : DataFrame
        Rows with a ``key``.
    columns : sequence of str
        Columns of trials that rows are selected by.

    Returns
    -------
    dict of str to tuple of str
        Key to cells.
    """
    names = [*COMPARED, *(name for name in columns if name not in COMPARED)]
    cells = [map(cell_text, frame[name].tolist()) if name in frame else [""] * len(frame) for name in names]
    return dict(zip(frame["key"].astype(str), zip(*cells, strict=True), strict=True))


def cell_text(value: object) -> str:
    """Write a cell so that equal cells are equal texts.

    Parameters
    ----------
    value : object
        A number, a text, or nothing.

    Returns
    -------
    str
        Empty for nothing.
    """
    if value is None or value != value:  # noqa: PLR0124 - NaN differs from itself
        return ""
    return repr(float(value)) if isinstance(value, int | float) else str(value)
