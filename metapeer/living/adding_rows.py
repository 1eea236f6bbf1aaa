"""New rows, from a table as people type it to lines of a review's own files; every fault is told at once."""

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd

from metapeer.errors import DataError, DataWarning, Fault
from metapeer.living.adding_conversions import DIFFERENCE, convert_row
from metapeer.living.store import UNCHANGED
from metapeer.living.store_files import disk_error
from metapeer.records.catalog import dataset_names, datasets_root
from metapeer.records.columns import MISSING
from metapeer.records.csvfile import read_outcomes
from metapeer.records.decode import shown
from metapeer.records.instruments import folded
from metapeer.records.relations import SAME_RESULT, WAYS_TO_AN_EFFECT
from metapeer.records.review import Review
from metapeer.records.schema import EXTRACTION, INSTRUMENTS, OUTCOMES, TRIALS, Table
from metapeer.records.tablefile import LINE, ParsedTable, parse_table, write_table

__all__ = ["WAYS", "NewRows", "bundled_trials", "read_new_rows", "read_typed"]

WAYS = {name: columns for name, columns in WAYS_TO_AN_EFFECT.items() if set(columns) <= set(OUTCOMES.names)}
"""The ways to an effect that a review's rows have columns for."""

MINUS_SIGN = "\N{MINUS SIGN}"
ONLY_TRIALS = tuple(name for name in TRIALS.names if name not in OUTCOMES.names)
NO_PLACE = tuple(name for name in EXTRACTION.names if name not in (*OUTCOMES.names, *TRIALS.names, "direction"))
READY_MADE = ("yi", "vi", "sei", "measure")
WANTED = ("format", "comparator", "timepoint", "timepoint_months", "statistic", "source_url")
WANTED_OF_TRIALS = ("doi", "year", "country", "n_intervention", "n_control", "rob_overall")
# A line of a trial that is not finished: what it lacks may stand in the table of outcomes.
DESCRIBED = replace(TRIALS, fields=tuple(replace(one, required=one.name == "study_id") for one in TRIALS.fields))

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRows:
    """What a table adds to a review, every cell as it will be written.

    Parameters
    ----------
    outcomes, trials, instruments : list of dict
        New rows of each table: column to cell, without columns that are empty.
    notes : list of str
        How the table was read, and what is doubtful.
    missing : list of (str, str)
        What is still missing: of which row or trial, and which columns.
    """

    outcomes: list[Row]
    trials: list[Row]
    instruments: list[Row]
    notes: list[str]
    missing: list[tuple[str, str]]


class _Table:
    """A table as it was typed, with a way to say where a fault is."""

    def __init__(self, cells: list[Row], places: list[int | None], source: str) -> None:
        self.cells, self.places, self.source = cells, places, source
        self.faults: list[Fault] = []
        self.unread: set[int | None] = set()

    def fault(self, row: int, column: str | None, message: str) -> None:
        cells = self.cells[row]
        name = ", ".join(shown(part, most=40) for key in ("study_id", "outcome") if (part := cells.get(key, "")))
        where = name or f"row {row + 1}"
        self.faults.append(Fault(line=self.places[row], row=where, column=column, message=message))


def read_typed(
    table: pd.DataFrame | str | Path, schema: Table, *, what: str, encoding: str | None = None
) -> tuple[list[Row], list[int | None], list[str]]:
    """Read a table with every cell as it was typed, checked against its definition.

    Parameters
    ----------
    table : DataFrame, str or Path
        A frame, or the path of a CSV file.
    schema : Table
        What it should hold.
    what : str
        What to call a frame in messages.
    encoding : str, optional
        The file's encoding, when it is not recognised.

    Returns
    -------
    list of dict
        The rows: column to cell, digits kept; cells that stand for nothing are empty.
    list of int or None
        The line of each row in its file, as far as it is known.
    list of str
        Doubts, in words.

    Raises
    ------
    DataError
        If anything is wrong with the table; all faults at once.
    """
    rows, places, doubts, faults = _read(table, schema, what, encoding, lambda parsed: list(parsed.faults))
    if faults:
        raise DataError(_source(table, what), faults)
    return rows, places, doubts


def read_new_rows(
    table: pd.DataFrame | str | Path,
    review: Review,
    *,
    trials: pd.DataFrame | str | Path | None = None,
    encoding: str | None = None,
) -> NewRows:
    """Turn a table of new rows into lines of a review's files.

    Parameters
    ----------
    table : DataFrame, str or Path
        As `read_outcomes` reads it; columns of trials beside the outcomes describe new trials.
    review : Review
        What is there already.
    trials : DataFrame, str or Path, optional
        Lines of trials; those that are needed and new are taken.
    encoding : str, optional
        The file's encoding, when it is not recognised.

    Returns
    -------
    NewRows
        What is to be added.

    Raises
    ------
    DataError
        If anything is wrong; all faults at once.
    """
    own = review.instruments[["instrument", "direction"]]

    def check(parsed: ParsedTable) -> list[Fault]:
        """Everything that `read_outcomes` has to say, whose own file this may be."""
        try:
            read_outcomes(
                parsed.source, instruments=own if "instrument" in parsed.raw.header else None, encoding=encoding
            )
        except DataError as error:
            return list(error.faults)
        return []

    rows, places, doubts, faults = _read(table, EXTRACTION, "the new rows", encoding, check)
    typed = _Table(rows, places, _source(table, "the new rows"))
    typed.faults += faults
    typed.unread = {fault.line for fault in faults}
    notes = _converted(typed) + _left_out(typed, review) + doubts
    instruments = _instruments(typed, review)
    _required(typed, review, instruments)
    described = _trials(typed, review, trials)
    notes += _unchanged_trials(typed, review)
    notes += _row_ids(typed, review)
    _results(typed, review)
    if typed.faults:
        typed.faults.sort(key=lambda fault: fault.line or 0)
        raise DataError(typed.source, list(dict.fromkeys(typed.faults)))
    outcomes = [_only(row, (*OUTCOMES.names, *_extra(review))) for row in typed.cells]
    new_instruments = [row for row in instruments.values() if row]
    missing = [(row["row_id"], absent) for row in outcomes if (absent := _absent(row, WANTED))]
    missing += [(row["study_id"], absent) for row in described if (absent := _absent(row, _wanted_of(row)))]
    return NewRows(outcomes=outcomes, trials=described, instruments=new_instruments, notes=notes, missing=missing)


def _wanted_of(trial: Row) -> tuple[str, ...]:
    """What should be known of a trial: of one that randomised clusters, how large and how alike they are, too."""
    return WANTED_OF_TRIALS + (("mean_cluster_size", "icc") if trial.get("design") == "cluster" else ())


def _source(table: pd.DataFrame | str | Path, what: str) -> str:
    if isinstance(table, pd.DataFrame):
        return str(table.attrs.get("source", what))
    return str(table)


def _read(
    table: pd.DataFrame | str | Path,
    schema: Table,
    what: str,
    encoding: str | None,
    check: Callable[[ParsedTable], list[Fault]],
) -> tuple[list[Row], list[int | None], list[str], list[Fault]]:
    """Read and check; a frame is written as a file first, so that both are judged alike."""
    if not isinstance(table, pd.DataFrame):
        parsed, doubts, faults = _parse(table, schema, encoding, check)
        return _cells(parsed, schema), list(parsed.raw.lines), doubts, faults
    if table.empty:
        raise DataError(_source(table, what), ["has no rows; add at least one row"])
    try:
        with tempfile.TemporaryDirectory(prefix="metapeer-") as place:
            path = Path(place) / "table.csv"
            write_table(table.rename(columns=str), path, schema)
            parsed, doubts, faults = _parse(path, schema, None, check)
    except OSError as error:
        raise disk_error(error, Path(tempfile.gettempdir()), UNCHANGED) from error
    except DataError as error:
        raise DataError(_source(table, what), error.faults) from None
    known = table[LINE].tolist() if LINE in table else [None] * len(table)
    lines = [int(line) if isinstance(line, int | float) and line == line else None for line in known]  # noqa: PLR0124
    places: list[int | None] = [*lines] if len(lines) == len(parsed.raw.lines) else [None] * len(parsed.raw.lines)
    by_line = dict(zip(parsed.raw.lines, enumerate(places), strict=True))
    moved = []
    for fault in faults:
        number, line = by_line.get(fault.line or 0, (None, None))
        row = (
            fault.row
            if line is not None or number is None
            else f"row {number + 1}{f' ({fault.row})' * bool(fault.row)}"
        )
        moved.append(replace(fault, line=line, row=row))
    source = _source(table, what)
    return _cells(parsed, schema), places, [doubt.replace(str(path), source) for doubt in doubts], moved


def _parse(
    path: str | Path, schema: Table, encoding: str | None, check: Callable[[ParsedTable], list[Fault]]
) -> tuple[ParsedTable, list[str], list[Fault]]:
    parsed = parse_table(path, schema, encoding=encoding)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        faults = check(parsed)
    doubts = list(dict.fromkeys([*parsed.doubts, *(str(one.message) for one in caught)]))
    return parsed, doubts, faults


def _cells(parsed: ParsedTable, schema: Table) -> list[Row]:
    text = parsed.text
    columns: dict[str, list[str]] = {}
    for name in text.columns:
        typed = [cell.strip() for cell in text[name].tolist()]
        if name in schema.names and schema[name].type in ("integer", "number"):
            values = np.asarray(parsed.frame[name], dtype=float).tolist()
            columns[name] = [_digits(cell, value) for cell, value in zip(typed, values, strict=True)]
        elif name in schema.names:
            columns[name] = [str(cell) for cell in parsed.frame[name].tolist()]
        else:
            columns[name] = ["" if cell.casefold() in MISSING else cell for cell in typed]
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _digits(cell: str, value: float) -> str:
    """Keep the digits as typed, in the way that the files of a review write numbers."""
    if isnan(value):
        return ""
    bare = cell.replace(MINUS_SIGN, "-").lstrip("+")
    for candidate in (bare, bare.replace(",", ".")):
        try:
            if float(candidate) == value:
                return candidate
        except ValueError:
            continue
    return repr(value).removesuffix(".0")


def _extra(review: Review) -> list[str]:
    """Columns of the review's own outcomes that no definition knows."""
    return [str(name) for name in review.outcomes.columns if name not in (*OUTCOMES.names, LINE)]


def _left_out(typed: _Table, review: Review) -> list[str]:
    """Refuse numbers that a review's rows have no column for; name other columns that are not taken over."""
    own = _extra(review)
    dropped = []
    for name in typed.cells[0]:
        filled = [row for row, cells in enumerate(typed.cells) if cells[name]]
        if name in NO_PLACE and filled:
            advice = (
                "give es, es_se and es_type, with the source's sign, or review_yi and review_sei, positive where peer "
                "support is better"
                if name in READY_MADE
                else "compute an effect from them, and give es, es_se and es_type"
            )
            typed.fault(filled[0], name, f"the rows of a review have no such column; {advice}")
        elif filled and name not in (*EXTRACTION.names, *own, LINE, "overridden"):
            dropped.append(name)
    if not dropped:
        return []
    return [f"not taken over, since outcomes.csv has no such column: {', '.join(map(shown, dropped))}"]


def _converted(typed: _Table) -> list[str]:
    """Compute standard errors that were not printed, from what was."""
    notes = []
    for row, cells in enumerate(typed.cells):
        try:
            changed, words = convert_row(cells)
        except DataError as error:
            for fault in error.faults:
                typed.fault(row, fault.column, fault.message)
            changed, words = {}, ""
        cells.update(changed)
        for name in DIFFERENCE:
            cells.pop(name, None)
        if words:
            notes.append(f"{cells.get('study_id', '')}: {words}")
    return notes


def _instruments(typed: _Table, review: Review) -> dict[str, Row]:
    """Find the instrument of each row, by its folded name; for a new one, the line that is to be added."""
    known: dict[str, Row] = {}
    for record in review.instruments[list(INSTRUMENTS.names)].astype(str).to_dict("records"):
        known.setdefault(folded(record["instrument"]), {str(key): value for key, value in record.items()})
    found: dict[str, Row] = {}
    for row, cells in enumerate(typed.cells):
        name, direction = cells.get("instrument", ""), cells.get("direction", "")
        if not name:
            typed.fault(row, "instrument", "is missing; name the scale or event as the source does")
            continue
        key = folded(name)
        there = known.get(key)
        if there is not None and direction and there["direction"] not in ("", direction):
            message = (
                f"{direction}, but {shown(name)!r} is {there['direction']} in instruments.csv, and one instrument has "
                "one direction; correct one of them, or give the instrument another name"
            )
            typed.fault(row, "direction", message)
        if there is not None and (there["direction"] or not direction):
            found.setdefault(key, {})
            continue
        line = found.get(key) or {"instrument": name if there is None else there["instrument"], "direction": ""}
        if direction and line["direction"] not in ("", direction):
            typed.fault(
                row, "direction", f"{direction}, but another new row of {shown(name)!r} has {line['direction']}"
            )
        base = {} if there is None else {k: v for k, v in there.items() if v and v != "nan"}
        told = {column: cells.get(column, "") for column in ("outcome", "outcome_class", "source")}
        found[key] = base | {k: v for k, v in told.items() if v and k not in base} | line
        found[key]["direction"] = direction or line["direction"]
        found[key] = {k: v for k, v in found[key].items() if v}
    return found


def _required(typed: _Table, review: Review, instruments: Mapping[str, Row]) -> None:
    """Fill the outcome and its class from the instrument; ask for what nobody can know."""
    registry = review.instruments.drop_duplicates("instrument")
    known = {
        folded(name): (outcome, kind)
        for name, outcome, kind in zip(
            registry["instrument"].tolist(),
            registry["outcome"].tolist(),
            registry["outcome_class"].tolist(),
            strict=True,
        )
    }
    for row, cells in enumerate(typed.cells):
        outcome, kind = known.get(folded(cells.get("instrument", "")), ("", ""))
        cells["outcome"] = cells.get("outcome", "") or outcome
        cells["outcome_class"] = cells.get("outcome_class", "") or (kind if cells["outcome"] == outcome else "")
        for column, advice in (
            ("outcome", "say what was measured"),
            ("outcome_class", "psychosocial, clinical, service_use or other"),
            ("source", "name the document the row was read in, with table or page"),
        ):
            if not cells.get(column, ""):
                typed.fault(row, column, f"is missing; {advice}")
        if typed.places[row] in typed.unread:
            continue  # what could not be read is not missing
        has = {name for name, cell in cells.items() if cell}
        if not cells.get("exclusion_reason", "") and not any(set(columns) <= has for columns in WAYS.values()):
            begun = {way: [c for c in columns if c not in has] for way, columns in WAYS.items() if set(columns) & has}
            nearest = min(begun.values(), key=len, default=[])
            lacking = f"{', '.join(nearest)} would make it so" if nearest else "it has no numbers"
            message = f"cannot be pooled: {lacking}; complete it, or say in exclusion_reason why it must wait"
            typed.fault(row, None, message)
    for line in instruments.values():
        if line and "outcome" not in line:
            line.update(_from_rows(typed, line["instrument"]))


def _from_rows(typed: _Table, instrument: str) -> Row:
    for cells in typed.cells:
        if folded(cells.get("instrument", "")) == folded(instrument):
            return {name: cells[name] for name in ("outcome", "outcome_class", "source") if cells.get(name)}
    return {}


def _trials(typed: _Table, review: Review, given: pd.DataFrame | str | Path | None) -> list[Row]:
    """Describe the trials that the review does not know yet."""
    lines: dict[str, Row] = {}
    if given is not None and not (isinstance(given, pd.DataFrame) and given.empty):
        try:
            rows, _, _ = read_typed(given, DESCRIBED, what="the new trials")
        except DataError as error:
            typed.faults += [replace(fault, message=f"{fault.message} (in {error.source})") for fault in error.faults]
            rows = []
        lines = {row["study_id"]: _only(row, TRIALS.names) for row in rows}
    known = set(review.trials["study_id"].tolist())
    described: dict[str, Row] = {}
    for row, cells in enumerate(typed.cells):
        study = cells.get("study_id", "")
        if not study or study in known:
            continue
        if study not in described:
            described[study] = dict(lines.get(study, {"study_id": study}))
        for name in ONLY_TRIALS:
            cell = cells.get(name, "")
            if cell and described[study].setdefault(name, cell) != cell:
                typed.fault(
                    row, name, f"{shown(cell)!r}, but the trial has {shown(described[study][name])!r} elsewhere"
                )
        for name in ("source", "source_url"):
            if cells.get(name):
                described[study].setdefault(name, cells[name])
    for study, line in described.items():
        if not line.get("citation"):
            row = next(i for i, cells in enumerate(typed.cells) if cells.get("study_id") == study)
            typed.fault(row, "citation", f"{shown(study)!r} is a new trial; give its full reference{_hint(study)}")
    return [_only(line, TRIALS.names) for line in described.values()]


def _unchanged_trials(typed: _Table, review: Review) -> list[str]:
    """Say where the table describes a trial in another way than the review does, which is not overwritten."""
    there = review.trials.drop_duplicates("study_id").set_index("study_id")
    notes = []
    for cells in typed.cells:
        study = cells.get("study_id", "")
        if study not in there.index:
            continue
        for name in (name for name in ONLY_TRIALS if cells.get(name)):
            known = there.loc[study, name]
            same = float(cells[name]) == known if TRIALS[name].type in ("integer", "number") else cells[name] == known
            if not same:
                notes.append(f"{name} of {study} stays as trials.csv has it, {shown(str(known))!r}")
    return list(dict.fromkeys(notes))


@cache
def bundled_trials() -> dict[str, tuple[str, Row]]:
    """List the trials of the bundled data, which nothing changes while metapeer runs.

    Returns
    -------
    dict of str to (str, dict)
        study_id to the data set and the trial's line: column to cell, without columns that are empty.
    """
    found: dict[str, tuple[str, Row]] = {}
    for name in dataset_names():
        path = datasets_root() / name / "trials.csv"
        if path.is_file():
            for row in read_typed(path, TRIALS, what=name)[0]:
                found.setdefault(row["study_id"], (name, _only(row, TRIALS.names)))
    return found


def _hint(study: str) -> str:
    if study in bundled_trials():
        name = bundled_trials()[study][0]
        return f", or take its line from the bundled data: trials=load_dataset({name!r}).trials"
    return " in the column citation, or its line of trials.csv in a table of trials (--trials, trials=)"


def _row_ids(typed: _Table, review: Review) -> list[str]:
    """Name each new row study_id.number, behind those of its trial."""
    taken = set(review.outcomes["row_id"].tolist())
    notes = []
    for row, cells in enumerate(typed.cells):
        wanted, study = cells.get("row_id", ""), cells.get("study_id", "")
        if wanted and wanted not in taken:
            taken.add(wanted)
            continue
        if wanted and not _is_numbered(wanted, study):
            typed.fault(
                row, "row_id", f"{shown(wanted)!r} stands in the review already; leave it empty to be given one"
            )
            continue
        number = 1
        while f"{study}.{number}" in taken:
            number += 1
        cells["row_id"] = f"{study}.{number}"
        taken.add(cells["row_id"])
        if wanted:
            notes.append(f"row_id {wanted} stands in the review already; the new row is {cells['row_id']}")
    return notes


def _is_numbered(row_id: str, study: str) -> bool:
    start, _, number = row_id.rpartition(".")
    return start == study and number.isdigit()


def _results(typed: _Table, review: Review) -> None:
    """Refuse a result that the review, or the table itself, has already."""
    numeric = {"timepoint_months"}
    seen: dict[tuple[str, ...], str] = {}
    there = review.outcomes[review.outcomes["exclusion_reason"] == ""]
    columns = [there[name].tolist() for name in (*SAME_RESULT, "row_id")]
    for *cells, row_id in zip(*columns, strict=True):
        seen.setdefault(
            tuple(_key(str(cell), name in numeric) for cell, name in zip(cells, SAME_RESULT, strict=True)), row_id
        )
    for row, typed_cells in enumerate(typed.cells):
        if typed_cells.get("exclusion_reason", ""):
            continue
        key = tuple(_key(typed_cells.get(name, ""), name in numeric) for name in SAME_RESULT)
        row_id = typed_cells.get("row_id", "")
        first = seen.setdefault(key, row_id)
        if first != row_id:
            message = (
                f"is the same result as {first} (trial, comparison, outcome, instrument and time), and its "
                "participants would count twice. To change a number that is there, record a correction; to keep both, "
                "give one an exclusion_reason, or say in comparison or timepoint what tells them apart"
            )
            typed.fault(row, None, message)


def _key(cell: str, number: bool) -> str:
    if not number:
        return folded(cell)
    value = float(cell) if cell and cell != "nan" else float("nan")
    return "" if isnan(value) else repr(value)


def _only(row: Mapping[str, str], names: Sequence[str]) -> Row:
    return {name: row[name] for name in names if row.get(name)}


def _absent(row: Mapping[str, str], names: Sequence[str]) -> str:
    return ", ".join(name for name in names if not row.get(name))
