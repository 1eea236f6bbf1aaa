"""What a person judged: a rating for a domain of an outcome, with reason, author and date. Nothing overwrites it."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from metapeer.errors import DataError, Fault, MetapeerError
from metapeer.reporting.findings_rules import DOMAINS, LEVELS, SERIOUS, Domain

__all__ = ["EVERY_OUTCOME", "Judgement", "Judgements", "read_judgements"]

COLUMNS = ("outcome", "domain", "rating", "reason", "author", "date")
EVERY_OUTCOME = "all outcomes"
RATINGS = {domain: SERIOUS[:4] if domain == "imprecision" else SERIOUS[:3] for domain in DOMAINS} | {
    "publication_bias": ("undetected", "strongly suspected")
}

Judgements: TypeAlias = (
    pd.DataFrame | str | Path | Sequence[Mapping[str, Any]] | Mapping[str, Mapping[str, Mapping[str, Any]]]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One judgement.

    Parameters
    ----------
    rating : str
        Such as "serious".
    reason, author, date : str
        Why, by whom, and when (year-month-day).
    """

    rating: str
    reason: str
    author: str
    date: str


def read_judgements(given: Judgements | None, outcomes: Iterable[str]) -> dict[tuple[str, Domain], Judgement]:
    """Read judgements and check them against the outcomes.

    Parameters
    ----------
    given : DataFrame, path, sequence of mappings, or mapping of outcome to domain to mapping; or None
        With ``outcome`` (or "all outcomes"), ``domain``, ``rating``, ``reason``, ``author`` and ``date``.
    outcomes : iterable of str
        The names that are known.

    Returns
    -------
    dict
        By outcome and domain. One for a single outcome stands before one for all.

    Raises
    ------
    DataError
        If a column is missing, a name or rating is unknown, a cell is empty, or a domain is judged twice.
    """
    if given is None:
        return {}
    source, records = _records(given)
    known = list(outcomes)
    faults: list[Fault] = []
    seen: dict[tuple[str, Domain], int] = {}
    single: dict[tuple[str, Domain], Judgement] = {}
    common: dict[tuple[str, Domain], Judgement] = {}
    for line, record in records:
        cells = {name: _text(record.get(name)) for name in COLUMNS}
        wrong = _faults_of(cells, line, known)
        unknown = [str(name) for name in record if name not in COLUMNS]
        wrong += [Fault(line=line, column=name, message=f"is unknown. Known: {', '.join(COLUMNS)}") for name in unknown]
        if wrong:
            faults += wrong
            continue
        domain = _domain(cells["domain"])
        assert domain is not None  # noqa: S101  checked above
        key = (cells["outcome"], domain)
        if key in seen:
            message = f"{cells['outcome']}, {cells['domain']}: already judged in line {seen[key]}"
            faults.append(Fault(line=line, message=message))
            continue
        seen[key] = line
        judged = Judgement(
            rating=cells["rating"].casefold(),
            reason=cells["reason"],
            author=cells["author"],
            date=cells["date"],
        )
        if cells["outcome"] == EVERY_OUTCOME and EVERY_OUTCOME not in known:
            common |= {(name, domain): judged for name in known}
        else:
            single[key] = judged
    if faults:
        raise DataError(source, faults)
    return common | single


def _faults_of(cells: Mapping[str, str], line: int, known: Sequence[str]) -> list[Fault]:
    faults = [Fault(line=line, column=name, message="is missing") for name in COLUMNS if not cells[name]]
    outcome, domain, rating, when = cells["outcome"], cells["domain"], cells["rating"], cells["date"]
    if outcome and outcome not in (*known, EVERY_OUTCOME):
        message = f"{outcome!r} is not among the outcomes: {', '.join(known)} (or {EVERY_OUTCOME!r})"
        faults.append(Fault(line=line, column="outcome", message=message))
    found = _domain(domain)
    if domain and found is None:
        faults.append(Fault(line=line, column="domain", message=f"{domain!r} is unknown. Known: {', '.join(DOMAINS)}"))
    if rating and found is not None and rating.casefold() not in RATINGS[found]:
        message = f"{rating!r} is not a rating of {found}: {', '.join(RATINGS[found])}"
        faults.append(Fault(line=line, column="rating", message=message))
    elif rating and found is None and rating.casefold() not in LEVELS:
        faults.append(Fault(line=line, column="rating", message=f"{rating!r} is unknown. Known: {', '.join(LEVELS)}"))
    if when and not _is_date(when):
        faults.append(Fault(line=line, column="date", message=f"{when!r} is not a date such as 2025-03-01"))
    return faults


def _records(given: Judgements) -> tuple[str, list[tuple[int, Mapping[str, Any]]]]:
    """Rows with their numbers; in a file the header is line 1."""
    if isinstance(given, str | Path):
        frame = _read(Path(given))
        return str(given), _rows(frame, str(given))
    if isinstance(given, pd.DataFrame):
        return "judgements=", _rows(given, "judgements=")
    if isinstance(given, Mapping):
        nested = [
            {**cell, "outcome": outcome, "domain": domain}
            if isinstance(cell, Mapping)
            else {"outcome": outcome, "domain": domain, "rating": cell}
            for outcome, domains in given.items()
            for domain, cell in (domains.items() if isinstance(domains, Mapping) else [("", domains)])
        ]
        return "judgements=", list(enumerate(nested, start=1))
    if isinstance(given, Sequence):
        records = [record for record in given if isinstance(record, Mapping)]
        if len(records) == len(given):
            return "judgements=", list(enumerate(records, start=1))
    raise MetapeerError(
        "judgements= takes a table, a CSV file, a list of mappings or a mapping of outcome to domain to mapping, "
        f"with {', '.join(COLUMNS)}; not {type(given).__name__}"
    )


def _rows(frame: pd.DataFrame, source: str) -> list[tuple[int, Mapping[str, Any]]]:
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise DataError(source, [f"the column {name} is missing" for name in absent])
    rows = [
        (line, {str(name): cell for name, cell in row.items()})
        for line, row in enumerate(frame.to_dict(orient="records"), start=2)
    ]
    # A line that is blank throughout is no judgement, as spreadsheets leave them below a table.
    return [(line, row) for line, row in rows if any(_text(cell) for cell in row.values())]


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skip_blank_lines=False)
    except OSError as error:
        raise MetapeerError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(str(path), [f"is not a CSV file in UTF-8: {error}"]) from None


def _text(cell: object) -> str:
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, pd.Timestamp):
        return cell.date().isoformat()
    return " ".join(str(cell).split())


def _domain(text: str) -> Domain | None:
    folded = re.sub(r"[\s_-]+", "_", text.casefold())
    return next((domain for domain in DOMAINS if domain == folded), None)


def _is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and date.fromisoformat(text) is not None
    except ValueError:
        return False
