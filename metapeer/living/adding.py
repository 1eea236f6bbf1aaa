"""The door to adding: new rows are checked and audited, shown with what they change, and written on request only."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from metapeer.errors import DataError, DataWarning, Fault, MetapeerError
from metapeer.formatting import Printable, TextTable, count
from metapeer.living.adding_conversions import COMPUTED
from metapeer.living.adding_rows import NewRows, read_new_rows
from metapeer.living.folder import header_names, load_quietly, read_contents, rehearsal
from metapeer.living.store import TIMEOUT, read_whole, transaction
from metapeer.records.package import FILE_NAME, refresh_datapackage
from metapeer.records.review import Review
from metapeer.records.rows import split_rows
from metapeer.records.schema import INSTRUMENTS, OUTCOMES, TRIALS, Table
from metapeer.records.tablefile import write_table

if TYPE_CHECKING:
    from metapeer.auditing.extraction_report import AuditReport
    from metapeer.living.update_results import ReviewUpdate

__all__ = ["AddResult", "add_rows", "rehearse", "update_tables", "with_rows"]

MOST_NAMED = 3  # trials named in the history of changes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AddResult(Printable):
    """What `add_rows` adds to a review, or would add.

    Parameters
    ----------
    review : str
        The review's name.
    rows, trials, instruments : DataFrame
        New lines of ``outcomes.csv``, ``trials.csv`` and ``instruments.csv``, every cell as text.
    audit : AuditReport or None
        What looks wrong in the new rows; None when nothing was looked at.
    update : ReviewUpdate or None
        The pooled outcomes that the rows bear on, before and after; None when that cannot be computed, which `notes`
        then explain.
    missing : tuple of (str, str)
        What is still missing: of which row or trial, and which columns.
    notes : tuple of str
        How the table was read, and what is doubtful.
    written : bool
        Whether it was written.
    """

    review: str
    rows: pd.DataFrame
    trials: pd.DataFrame
    instruments: pd.DataFrame
    audit: "AuditReport | None"
    update: "ReviewUpdate | None"
    missing: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    written: bool

    def text_tables(self) -> Sequence[TextTable]:
        """Describe what is added, what looks wrong, what is missing and what moves.

        Returns
        -------
        sequence of TextTable
            In this order.
        """
        parts = [(len(self.rows), "row"), (len(self.trials), "trial"), (len(self.instruments), "instrument")]
        what = ", ".join(count(number, f"new {name}") for number, name in parts if number)
        state = "written" if self.written else "nothing is written yet"
        tables = [
            TextTable(
                title=f"{self.review}: {what}; {state}",
                header=("row", "outcome", "instrument", "time", "numbers"),
                rows=[_row_words(row) for row in _records(self.rows)],
                notes=[
                    *(f"new trial {row['study_id']}: {row['citation']}" for row in _records(self.trials)),
                    *(_instrument_words(row) for row in _records(self.instruments)),
                    *self.notes,
                ],
            )
        ]
        if self.missing:
            missing = TextTable(title="Still missing", header=("row or trial", "columns"), rows=list(self.missing))
            tables.append(missing)
        if self.audit is not None and self.audit.findings:
            tables += self.audit.text_tables()
        elif self.audit is not None:
            tables.append(TextTable(header=(), rows=(), notes=["The audit finds nothing wrong with the new rows."]))
        if self.update is not None:
            tables += update_tables(self.update)
        return tables


def add_rows(
    folder: str | Path,
    table: pd.DataFrame | str | Path,
    *,
    trials: pd.DataFrame | str | Path | None = None,
    write: bool = False,
    despite_errors: bool = False,
    encoding: str | None = None,
    timeout: float = TIMEOUT,
) -> AddResult:
    """Add rows of new trials to a review of your own; see first what they change, and write them when they are right.

    The rows are checked against the columns of a review and its instruments, and against the rows that are there: a
    result that stands there already is refused. They are audited together with all other rows. Each gets a name. An
    outcome is filled in from its instrument; the direction of a new instrument is asked for, in a column ``direction``.

    Parameters
    ----------
    folder : str or Path
        The review's folder, from `init_review`.
    table : DataFrame, str or Path
        New rows, as `read_outcomes` reads them: a table, or the path of a CSV file. A new trial needs its ``citation``,
        here or in `trials`.
    trials : DataFrame, str or Path, optional
        Lines of trials, as in ``trials.csv``; those that are new and needed are taken.
    write : bool, default False
        Whether to write; all files change in one go.
    despite_errors : bool, default False
        Whether to write also when the audit finds an error: numbers that cannot be.
    encoding : str, optional
        The encoding of a CSV file, when it is not recognised.
    timeout : float, default 30
        Seconds to wait for another writer.

    Returns
    -------
    AddResult
        What is added, what looks wrong, what is still missing, and what moves.

    Raises
    ------
    DataError
        If anything is wrong with the rows, every fault listed; or the disk refuses. Nothing is then written.
    MetapeerError
        If the audit finds an error and `write` is asked for without `despite_errors`; or another writer holds the
        folder for too long.

    Examples
    --------
    >>> import tempfile
    >>> from metapeer.living.folder import init_review
    >>> rows = pd.DataFrame({"study_id": ["smith2026"], "citation": ["Smith (2026). A trial."], "format": ["group"],
    ...     "instrument": ["Herth Hope Index"], "timepoint": ["end_of_treatment"], "source": ["Table 2"],
    ...     "n1": [60], "mean1": [31.2], "sd1": [8.1], "n2": [58], "mean2": [29.4], "sd2": [8.8]})
    >>> with tempfile.TemporaryDirectory() as place:
    ...     review = init_review(Path(place) / "mine", start="lyons2021")
    ...     shown = add_rows(review.path, rows)
    ...     written = add_rows(review.path, rows, write=True)
    >>> shown.rows["row_id"].tolist(), shown.written, written.written
    (['smith2026.1'], False, True)
    """

    def prepared(contents: Mapping[str, bytes], name: str) -> tuple[AddResult, dict[str, bytes]]:
        return _prepare(contents, name, table, trials, encoding)

    if not write:
        contents, name = read_whole(folder, lambda path: (read_contents(path), path.resolve().name), timeout=timeout)
        return prepared(contents, name)[0]
    with transaction(folder, "add rows", timeout=timeout) as change:
        result, files = prepared(read_contents(change), change.folder.name)
        if result.audit is not None and result.audit.counts()["error"] and not despite_errors:
            errors = count(result.audit.counts()["error"], "error")
            raise MetapeerError(
                f"nothing was written: the audit finds {errors} in the new rows. Correct them, or pass "
                f"despite_errors=True when the source itself is wrong\n\n{result.audit}"
            )
        studies = list(dict.fromkeys(result.rows["study_id"].tolist()))
        rest = f" and {len(studies) - MOST_NAMED} more" if len(studies) > MOST_NAMED else ""
        change.describe(f"add {count(len(result.rows), 'row')} of {', '.join(studies[:MOST_NAMED])}{rest}")
        for one, content in files.items():
            change.write(one, content)
    return replace(result, written=True)


def _prepare(
    contents: Mapping[str, bytes],
    name: str,
    table: pd.DataFrame | str | Path,
    trials: pd.DataFrame | str | Path | None,
    encoding: str | None,
) -> tuple[AddResult, dict[str, bytes]]:
    found: list[NewRows] = []

    def new_files(before: Review, stage: Path) -> None:
        new = read_new_rows(table, before, trials=trials, encoding=encoding)
        found.append(new)
        for schema, rows in ((TRIALS, new.trials), (OUTCOMES, new.outcomes), (INSTRUMENTS, new.instruments)):
            if rows:
                with_rows(stage, schema, rows)

    before, after, doubts, files = rehearse(contents, name, new_files)
    new = found[0]
    notes = [*new.notes, *doubts]
    report = _audit(after, len(new.outcomes))
    moved = _diff(before, after, notes)
    frames = [pd.DataFrame(rows, columns=list(schema.names), dtype=str).fillna("") for schema, rows in (
        (OUTCOMES, new.outcomes), (TRIALS, new.trials), (INSTRUMENTS, new.instruments)
    )]  # fmt: skip
    result = AddResult(
        review=name,
        rows=frames[0],
        trials=frames[1],
        instruments=frames[2],
        audit=report,
        update=moved,
        missing=tuple(new.missing),
        notes=tuple(dict.fromkeys(notes)),
        written=False,
    )
    return result, files


def rehearse(
    contents: Mapping[str, bytes], name: str, act: Callable[[Review, Path], None]
) -> tuple[Review, Review, list[str], dict[str, bytes]]:
    """Try a change of a review out elsewhere, with everything checked as if it were made.

    Parameters
    ----------
    contents : mapping of str to bytes
        The review's files.
    name : str
        Its name.
    act : callable
        Takes the review as it is and a folder with its files, and changes those.

    Returns
    -------
    Review
        As it is.
    Review
        As it will be.
    list of str
        What is doubtful in the review as it is.
    dict of str to bytes
        The files that change.
    """
    with rehearsal(contents, name) as stage:
        before, doubts = load_quietly(stage)
        act(before, stage)
        if FILE_NAME in contents:
            refresh_datapackage(stage)
        after, more = load_quietly(stage)
        files = {one: content for one, content in read_contents(stage).items() if contents.get(one) != content}
    return before, after, [*doubts, *(doubt for doubt in more if doubt not in doubts)], files


def with_rows(folder: Path, table: Table, rows: Sequence[Mapping[str, str]]) -> None:
    """Write rows behind those that a file has; the lines that are there stay as they are, byte for byte.

    Parameters
    ----------
    folder : Path
        The folder; the file is made when it is not there.
    table : Table
        Which file.
    rows : sequence of mapping of str to str
        Column to cell.

    Raises
    ------
    DataError
        If the file is not written as the files of a review are.
    """
    path = folder / f"{table.name}.csv"
    header = header_names(table)
    columns: list[tuple[str, ...]] = [()] * len(header)
    if path.exists():
        source = f"{folder.name}/{path.name}"
        raw = split_rows(path.read_bytes().decode("utf-8-sig"), source, table.names)
        if raw.separator != ",":
            message = "the cells are not parted by commas; save the file with commas before rows are added to it"
            raise DataError(source, [Fault(line=raw.header_line, message=message)])
        header, columns = list(raw.header), list(raw.columns)
    used = dict.fromkeys(name for row in rows for name, cell in row.items() if cell)
    cells = {
        column: [*there, *(row.get(column, "") for row in rows)] for column, there in zip(header, columns, strict=True)
    }
    behind = len(columns[0]) if columns else 0
    for column in used:
        cells.setdefault(column, [""] * behind + [row.get(column, "") for row in rows])
    write_table(pd.DataFrame(cells, dtype=str), path, table)


def _audit(after: Review, added: int) -> "AuditReport":
    """Audit all rows, since some faults show only beside others; keep what concerns the new ones."""
    from metapeer.auditing.extraction import audit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the same was said when the rows were read
        report = audit(after)
    first = len(after.outcomes) - added
    notes = after.outcomes["note"].astype(str).tolist()
    kept = [
        place
        for place, finding in enumerate(report.findings)
        if any(row >= first for row in finding.rows)
        # a standard error that nobody printed contradicts no print
        and not (finding.check == "se_not_from_sizes" and all(COMPUTED in notes[row] for row in finding.rows))
    ]
    return replace(
        report,
        findings=tuple(report.findings[place] for place in kept),
        consequences=tuple(report.consequences[place] for place in kept),
    )


def _diff(before: Review, after: Review, notes: list[str]) -> "ReviewUpdate | None":
    from metapeer.living.update_run import diff

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            found = diff(before, after, only_changed=True)
    except MetapeerError as error:
        notes.append(f"before and after cannot be computed: {error}")
        return None
    notes += [str(one.message) for one in caught]
    return found


def update_tables(update: "ReviewUpdate") -> list[TextTable]:
    """Show what moves, and which new rows are pooled nowhere; what the review lacked before is not repeated.

    Parameters
    ----------
    update : ReviewUpdate
        Before and after.

    Returns
    -------
    list of TextTable
        Of what moved first.
    """
    tables: list[TextTable] = [table for change in update.moved for table in change.text_tables()]
    if not update.moved:
        tables.append(TextTable(header=(), rows=(), notes=["No pooled number changes."]))
    if update.not_used:
        tables.append(
            TextTable(title="New rows that are not pooled", header=("row", "why"), rows=list(update.not_used))
        )
    return tables


def _records(frame: pd.DataFrame) -> list[dict[str, str]]:
    return [{str(name): str(cell) for name, cell in row.items()} for row in frame.to_dict("records")]


def _row_words(row: Mapping[str, str]) -> tuple[str, ...]:
    time = " ".join(
        filter(None, (row["timepoint"], f"{row['timepoint_months']} months" * bool(row["timepoint_months"])))
    )
    return row["row_id"], row["outcome"], row["instrument"], time, numbers_words(row)


def numbers_words(row: Mapping[str, str]) -> str:
    """Write the numbers of a row as they were typed.

    Parameters
    ----------
    row : mapping of str to str
        A row of outcomes.

    Returns
    -------
    str
        Such as ``"31.2 (SD 8.1, n 60) v 29.4 (SD 8.8, n 58)"``.
    """
    arms = [_arm_words(row, arm) for arm in "12"]
    words = [" v ".join(arm or "?" for arm in arms)] if any(arms) else []
    if row["es"]:
        limits = f" ({row['es_ci_low']} to {row['es_ci_high']})" if row["es_ci_low"] or row["es_ci_high"] else ""
        error = f", SE {row['es_se']}" if row["es_se"] else ""
        words.append(f"{row['es_type'] or 'effect'} {row['es']}{limits}{error}")
    if row["p_value"]:
        words.append(f"p {row['p_value']}")
    if row["review_yi"]:
        words.append(f"pooled as {row['review_yi']} (SE {row['review_sei']})")
    if row["exclusion_reason"]:
        words.append(f"not to be pooled: {row['exclusion_reason']}")
    return "; ".join(words)


def _arm_words(row: Mapping[str, str], arm: str) -> str:
    mean, sd, n = (row[f"{name}{arm}"] for name in ("mean", "sd", "n"))
    events, total = row[f"events{arm}"], row[f"total{arm}"]
    if events or total:
        return f"{events or '?'}/{total or '?'}"
    told = ", ".join(f"{name} {cell}" for name, cell in (("SD", sd), ("n", n)) if cell)
    return f"{mean or '?'} ({told})" if told else mean


def _instrument_words(row: Mapping[str, str]) -> str:
    return f"new instrument {row['instrument']!r}: {row['direction'] or 'which way is good is not known'}"
