"""The door to corrections: raw values are never edited; what to use instead is recorded, with its reason."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from datetime import date as calendar_date
from pathlib import Path
from typing import TYPE_CHECKING

from metapeer.errors import DataError, DataWarning, Fault, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable
from metapeer.living.adding import rehearse, update_tables, with_rows
from metapeer.living.adding_rows import WAYS
from metapeer.living.folder import read_contents
from metapeer.living.store import TIMEOUT, read_whole, transaction
from metapeer.records.decode import shown
from metapeer.records.overrides import apply_overrides
from metapeer.records.review import Review
from metapeer.records.schema import OVERRIDES
from metapeer.records.tablefile import LINE

if TYPE_CHECKING:
    from metapeer.living.update_results import ReviewUpdate

__all__ = ["CorrectionResult", "correct"]

STATUSES = OVERRIDES["status"].categories
ARM_NUMBERS = {name for columns in WAYS.values() for name in columns if name[-1] in "12"}
NAMES = ("row_id", "study_id")  # what a row is called is no value that could be wrong


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CorrectionResult(Printable):
    """What `correct` records, or would record.

    Parameters
    ----------
    review : str
        The review's name.
    override_id, row_id, column : str
        The correction, and the cell it speaks of.
    raw, value : str
        The cell as it stands, and what to use instead; ``""`` where it is empty.
    status, reason, source, author, date : str
        How sure the correction is, why, on what evidence, by whom and when it was recorded.
    update : ReviewUpdate or None
        Every pooled outcome as it stands, and with all recorded corrections made; None when that cannot be computed,
        which `notes` then explain.
    notes : tuple of str
        What is doubtful.
    written : bool
        Whether it was written.
    """

    review: str
    override_id: str
    row_id: str
    column: str
    raw: str
    value: str
    status: str
    reason: str
    source: str
    author: str
    date: str
    update: "ReviewUpdate | None"
    notes: tuple[str, ...]
    written: bool

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the correction, and what moves when all recorded corrections are made.

        Returns
        -------
        sequence of TextTable
            In this order.
        """
        state = "recorded in overrides.csv" if self.written else "nothing is written yet"
        facts = [
            ("cell", f"{self.column} of {self.row_id}"),
            ("as it stands", self.raw or "(empty)"),
            ("to be used instead", self.value or "(empty)"),
            ("status", self.status),
            ("reason", self.reason),
            ("source", self.source),
            ("by", ", ".join(filter(None, (self.author, self.date)))),
        ]
        table = TextTable(
            title=f"{self.review}, correction {self.override_id!r}: {state}",
            header=("", ""),
            rows=facts,
            notes=[*self.notes, "The raw value stays in outcomes.csv; corrections are made where they are asked for."],
        )
        if self.update is None:
            return [table]
        heading = TextTable(header=(), rows=(), notes=["With all recorded corrections made:"])
        return [table, heading, *update_tables(self.update)]


def correct(
    folder: str | Path,
    row_id: str,
    column: str,
    value: str | float | None,
    *,
    reason: str,
    source: str,
    author: str,
    date: str | calendar_date | None = None,
    status: str = "suspected",
    override_id: str = "",
    write: bool = True,
    timeout: float = TIMEOUT,
) -> CorrectionResult:
    """Record that a cell of a review of your own may be wrong, and what to use instead.

    Parameters
    ----------
    folder : str or Path
        The review's folder.
    row_id : str
        The row of ``outcomes.csv``.
    column : str
        Its column.
    value : str, float or None
        What to use instead; give text to keep digits, and None to clear the cell.
    reason, source, author : str
        Why, on what evidence, and who says so.
    date : str or date, optional
        When, as year-month-day; today when left out.
    status : {"suspected", "confirmed"}
        Whether the numbers alone speak for it, or the primary paper was seen.
    override_id : str, optional
        A name for the correction; corrections of one name are made together. Made from the row when left out.
    write : bool, default True
        Whether to record it, or only to show what it would do.
    timeout : float, default 30
        Seconds to wait for another writer.

    Returns
    -------
    CorrectionResult
        The correction, and every pooled outcome before and after it.

    Raises
    ------
    ChoiceError
        If there is no such row, column or status.
    DataError
        If the value is not allowed in that column, the cell has a correction already, or something is missing.
    MetapeerError
        If another writer holds the folder for too long.

    Examples
    --------
    >>> import tempfile
    >>> from metapeer.living.folder import init_review
    >>> with tempfile.TemporaryDirectory() as place:
    ...     review = init_review(Path(place) / "mine", start="smit2023")
    ...     made = correct(review.path, "salzer2016.1", "n1", 51, reason="as printed in Table 1", source="Salzer 2016",
    ...                    author="A. Reviewer", date="2026-01-31", write=False)
    >>> made.raw, made.value, made.written
    ('50', '51', False)
    """
    check_choice("status", status, STATUSES)
    record = {
        "override_id": " ".join(str(override_id).split()),
        "row_id": str(row_id),
        "column": str(column),
        "value": _cell(value),
        "status": status,
        "reason": " ".join(str(reason).split()),
        "source": " ".join(str(source).split()),
        "author": " ".join(str(author).split()),
        "date": _day(date),
    }
    faults = [Fault(column=name, message="is missing") for name in ("reason", "source", "author") if not record[name]]
    if faults:
        raise DataError("the correction", faults)
    if not write:
        contents, name = read_whole(folder, lambda path: (read_contents(path), path.resolve().name), timeout=timeout)
        return _prepare(contents, name, record)[0]
    with transaction(folder, f"correct {column} of {row_id}", timeout=timeout) as change:
        result, files = _prepare(read_contents(change), change.folder.name, record)
        for one, content in files.items():
            change.write(one, content)
    return replace(result, written=True)


def _prepare(
    contents: Mapping[str, bytes], name: str, record: dict[str, str]
) -> tuple[CorrectionResult, dict[str, bytes]]:
    def new_files(before: Review, stage: Path) -> None:
        _complete(before, record)
        with_rows(stage, OVERRIDES, [record])

    _, after, doubts, files = rehearse(contents, name, new_files)
    corrected = after.overrides[after.overrides["override_id"] == record["override_id"]]
    apply_overrides(after.outcomes, corrected)  # says what is wrong with the value
    notes = list(doubts)
    own = after.outcomes.loc[after.outcomes["row_id"] == record["row_id"], "review_yi"]
    if record["column"] in ARM_NUMBERS and own.notna().any():
        notes.append(
            "The row has an effect as the review pooled it, review_yi. Where the plan prefers that, this correction "
            "changes nothing; one that clears review_yi and review_sei, under the same override_id, would go with it."
        )
    update = _with_corrections(after, notes)
    del record["override_id"]
    result = CorrectionResult(
        review=name,
        override_id=corrected["override_id"].iloc[-1],
        update=update,
        notes=tuple(dict.fromkeys(notes)),
        written=False,
        **record,
    )
    return result, files


def _complete(review: Review, record: dict[str, str]) -> None:
    """Find the cell, and give the correction the raw value and a name."""
    text = review.outcomes_text
    rows = review.outcomes["row_id"].tolist()
    check_choice("row_id", record["row_id"], rows)
    columns = [str(name) for name in review.outcomes.columns if name not in (*NAMES, LINE)]
    check_choice("column", record["column"], columns)
    there = review.overrides
    taken = there[(there["row_id"] == record["row_id"]) & (there["column"] == record["column"])]
    if len(taken):
        message = (
            f"has a correction already, {shown(str(taken['override_id'].iloc[0]))!r}, to "
            f"{shown(str(taken['value'].iloc[0]))!r}; undo it, or delete its line in overrides.csv, before another one"
        )
        raise DataError("the correction", [Fault(row=record["row_id"], column=record["column"], message=message)])
    record["raw"] = str(text[record["column"]].iloc[rows.index(record["row_id"])])
    if record["raw"] == record["value"]:
        message = f"{shown(record['raw'])!r} stands there already" if record["raw"] else "is empty already"
        raise DataError("the correction", [Fault(row=record["row_id"], column=record["column"], message=message)])
    record["override_id"] = record["override_id"] or f"{record['row_id']} {record['column']}"


def _with_corrections(review: Review, notes: list[str]) -> "ReviewUpdate | None":
    from metapeer.living.update_run import update

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # the same stands in the notes of the result
            return update(review, None, overrides="apply")
    except MetapeerError as error:
        notes.append(f"before and after cannot be computed: {error}")
        return None


def _cell(value: str | float | None) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN differs from itself
        return ""
    return " ".join(value.split()) if isinstance(value, str) else repr(value).removesuffix(".0")


def _day(day: str | calendar_date | None) -> str:
    if day is None:
        return datetime.now(UTC).date().isoformat()
    try:
        return calendar_date.fromisoformat(str(day)).isoformat()
    except ValueError:
        raise MetapeerError(f"date {str(day)!r} is not a day; write it as year-month-day, such as 2026-01-31") from None
