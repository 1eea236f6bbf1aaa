"""One review: its tables, its plan and whose work it is, read from a folder and checked as a whole."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from metapeer.errors import DataError, Fault
from metapeer.formatting import Printable, TextTable
from metapeer.records.columns import CellFault
from metapeer.records.decode import shown
from metapeer.records.instruments import ask_for_directions, directions_of, look_up
from metapeer.records.package import FILE_NAME, check_datapackage, read_datapackage
from metapeer.records.schema import EXTRA_TABLES, INSTRUMENTS, OUTCOMES, OVERRIDES, PUBLISHED, TRIALS, Table
from metapeer.records.tablefile import LINE, ParsedTable, parse_table

__all__ = ["Review", "read_review"]

REVIEW_TABLES = (TRIALS, OUTCOMES, PUBLISHED, OVERRIDES)
HANDLED = {"instruments", *(table.name for table in REVIEW_TABLES)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Review(Printable):
    """One folder of data: what a review extracted, what it printed, and how it computed.

    Every frame has all columns of its table in `metapeer.records.schema`, and the column ``line``, the line of the
    file; a table that the folder does not have is empty.

    Parameters
    ----------
    name : str
        The folder's name.
    title, citation, doi, licence, attribution, note : str
        From ``datapackage.json``; ``""`` where it is silent.
    outcomes : DataFrame
        One row per comparison, outcome, instrument and time point.
    trials : DataFrame
        One row per trial.
    published : DataFrame
        One row per pooled result, its digits kept as text.
    overrides : DataFrame
        Recorded corrections, none of them made.
    outcomes_text : DataFrame
        The rows of `outcomes` with every cell as it was typed, so that 0.10 has two decimals.
    instruments : DataFrame
        The instruments that `outcomes` may name, with their directions.
    plan : dict
        ``plan.toml``; empty when there is none.
    path : Path
        The folder.
    extras : mapping of str to DataFrame
        The folder's other CSV files by name: ``worklist``, ``transcription``, ``derived_counts``,
        ``implementation_factors`` and any of your own.
    """

    name: str
    title: str
    citation: str
    doi: str
    licence: str
    attribution: str
    note: str
    outcomes: pd.DataFrame
    trials: pd.DataFrame
    published: pd.DataFrame
    overrides: pd.DataFrame
    outcomes_text: pd.DataFrame
    instruments: pd.DataFrame
    plan: dict[str, Any]
    path: Path
    extras: Mapping[str, pd.DataFrame]

    def rows(self, outcomes: pd.DataFrame | None = None) -> pd.DataFrame:
        """Join each row with what is known of its trial, and with its direction.

        Parameters
        ----------
        outcomes : DataFrame, optional
            Rows to join instead of `outcomes`, such as corrected ones.

        Returns
        -------
        DataFrame
            The rows in their order and with their index; then the columns of `trials` that the rows do not have, and
            ``direction``, ``""`` where it is unknown.
        """
        rows = self.outcomes if outcomes is None else outcomes
        added = self.trials.set_index("study_id").drop(columns=[LINE, *rows.columns], errors="ignore")
        joined = added.reindex(rows["study_id"].tolist()).set_axis(rows.index)
        for name in joined.columns:
            if not is_numeric_dtype(added[name].dtype):
                joined[name] = joined[name].fillna("")
        registry = directions_of(self.instruments)
        directions = [look_up(name, registry) or "" for name in rows["instrument"].tolist()]
        direction = pd.Series(directions, dtype=str, index=rows.index, name="direction")
        result = pd.concat([rows.drop(columns="direction", errors="ignore"), joined, direction], axis=1)
        result.attrs.update(rows.attrs)
        return result

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the review in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        usable = int((self.outcomes["exclusion_reason"] == "").sum())
        facts = [
            ("citation", self.citation),
            ("licence", self.licence),
            ("trials", str(len(self.trials))),
            ("rows", f"{len(self.outcomes)}, of which {usable} can be pooled" if len(self.outcomes) else "0"),
            ("published results", str(len(self.published))),
            ("overrides", str(self.overrides["override_id"].nunique())),
            ("also", ", ".join(self.extras)),
            ("note", self.note),
        ]
        return [
            TextTable(
                title=self.title or self.name,
                header=("", ""),
                rows=[(label, value) for label, value in facts if value],
            )
        ]


def read_review(folder: Path, instruments: pd.DataFrame) -> tuple[Review, list[str]]:
    """Read a folder as a review.

    Parameters
    ----------
    folder : Path
        The folder.
    instruments : DataFrame
        The instruments that are known; an ``instruments.csv`` in the folder adds to them.

    Returns
    -------
    Review
        Its tables, checked, and its plan.
    list of str
        Doubts, in words.

    Raises
    ------
    DataError
        If something is wrong in the folder; all faults of all files at once.
    """
    faults: list[Fault] = []
    doubts: list[str] = []
    package: dict[str, Any] = {}
    if (folder / FILE_NAME).exists():
        package = read_datapackage(folder)
    parsed = {path.stem: _parse(path, faults, doubts) for path in sorted(folder.glob("*.csv")) if path.is_file()}
    known = {stem: table for stem, table in parsed.items() if table is not None}
    plan = _plan(folder / "plan.toml", faults)
    if not package and not HANDLED & set(parsed):
        raise DataError(str(folder), ["is no review; it needs outcomes.csv, published.csv or datapackage.json"])
    if "instruments" in known:
        instruments = pd.concat(
            [_complete(known["instruments"], INSTRUMENTS, folder.name), instruments], ignore_index=True
        )
        instruments = instruments.drop_duplicates("instrument", ignore_index=True)
    _check_references(known, instruments, faults)
    if faults:
        raise DataError(folder.name, faults)
    if package:
        doubts += [f"{folder.name}: {difference}" for difference in check_datapackage(folder)]
    outcomes = _complete(known.get("outcomes"), OUTCOMES, folder.name)
    text = known["outcomes"].text if "outcomes" in known else pd.DataFrame()
    about = package.get("metapeer")
    review = Review(
        name=folder.name,
        title=_words(package, "title"),
        citation=_words(about, "citation"),
        doi=_words(about, "doi"),
        licence=_licence(package),
        attribution=_words(about, "attribution"),
        note=_words(package, "description"),
        outcomes=outcomes,
        trials=_complete(known.get("trials"), TRIALS, folder.name),
        published=_complete(known.get("published"), PUBLISHED, folder.name),
        overrides=_complete(known.get("overrides"), OVERRIDES, folder.name),
        outcomes_text=text.reindex(columns=outcomes.columns.drop(LINE), fill_value=""),
        instruments=instruments,
        plan=plan,
        path=folder,
        extras=MappingProxyType({stem: known[stem].frame for stem in known if stem not in HANDLED}),
    )
    return review, doubts


def _parse(path: Path, faults: list[Fault], doubts: list[str]) -> ParsedTable | None:
    tables = {table.name: table for table in (*REVIEW_TABLES, INSTRUMENTS)} | EXTRA_TABLES
    free = Table(name=path.stem, description="", fields=(), key=(), references={})
    try:
        parsed = parse_table(path, tables.get(path.stem, free), strict=True, source=path.name)
    except DataError as error:
        faults += [_in_file(path.name, fault) for fault in error.faults]
        return None
    faults += [_in_file(path.name, fault) for fault in parsed.faults]
    doubts += [f"{path.parent.name}/{doubt}" for doubt in parsed.doubts]
    return parsed


def _in_file(name: str, fault: Fault) -> Fault:
    return Fault(message=f"{name}, {fault}" if fault.line or fault.row or fault.column else f"{name} {fault}")


def _plan(path: Path, faults: list[Fault]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        faults.append(Fault(message=f"{path.name} cannot be read: {error.strerror}"))
    except UnicodeDecodeError:
        faults.append(Fault(message=f"{path.name} is not UTF-8 text; save it as UTF-8"))
    except (ValueError, RecursionError) as error:  # a number with thousands of digits, or tables without end, too
        faults.append(Fault(message=f"{path.name} is not valid TOML: {error}"))
    return {}


def _check_references(known: Mapping[str, ParsedTable], instruments: pd.DataFrame, faults: list[Fault]) -> None:
    """Every trial, row and instrument that is named must exist; nothing is looked up in a table that is not there."""
    registry = directions_of(instruments)
    for table in REVIEW_TABLES:
        here = known.get(table.name)
        for column, (target, target_column) in table.references.items():
            if here is None or column not in here.frame:
                continue
            names = here.frame[column].tolist()
            if target == "instruments":
                unknown = [row for row, name in enumerate(names) if name and look_up(name, registry) is None]
                wrong = ask_for_directions(names, instruments["instrument"].tolist(), unknown, here.raw.lines)
            elif target in known and target_column in known[target].frame:
                values = set(known[target].frame[target_column].tolist())
                wrong = [
                    CellFault(row, column, f"{shown(name)!r} does not stand in {target}.csv; add it there")
                    for row, name in enumerate(names)
                    if name and name not in values
                ]
            else:
                continue
            faults += [_in_file(f"{table.name}.csv", here.fault(cell)) for cell in wrong]


def _complete(parsed: ParsedTable | None, table: Table, folder: str) -> pd.DataFrame:
    """Give a frame every column of its table, in order; columns of its own stand behind them."""
    frame = pd.DataFrame({LINE: pd.Series([], dtype="int64")}) if parsed is None else parsed.frame
    no_number = pd.Series(float("nan"), index=frame.index, dtype=float)
    no_text = pd.Series("", index=frame.index, dtype=str)
    columns = {}
    for field in table.fields:
        if field.name in frame:
            columns[field.name] = frame[field.name]
        else:
            columns[field.name] = no_number if field.type in ("integer", "number") else no_text
    columns |= {name: frame[name] for name in frame.columns if name not in table.names}
    complete = pd.DataFrame(columns)
    complete.attrs["source"] = f"{folder}/{table.name}.csv"
    return complete


def _words(package: object, key: str) -> str:
    value = package.get(key) if isinstance(package, dict) else None
    return value if isinstance(value, str) else ""


def _licence(package: Mapping[str, Any]) -> str:
    licences = package.get("licenses")
    found = [_words(one, "title") or _words(one, "name") for one in licences] if isinstance(licences, list) else []
    return "; ".join(words for words in found if words)
