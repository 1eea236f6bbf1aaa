"""The door to the audit: any extraction table in, findings with their evidence and their consequence out."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from metapeer.auditing import (
    copies,
    participants,
    plausible,
    plausible_digits,
    plausible_effects,
    plausible_sizes,
    plausible_spread,
    rederive,
)
from metapeer.auditing.consequences import Consequence, consequence_of, rows_to_pool
from metapeer.auditing.extraction_report import AuditReport
from metapeer.auditing.findings import SEVERITIES, Finding
from metapeer.auditing.rederive import rederive as derive_again
from metapeer.auditing.table import NUMBERS, AuditTable, make_audit_table
from metapeer.errors import MetapeerError
from metapeer.records.catalog import load_instruments
from metapeer.records.columns import decimal_mark
from metapeer.records.review import Review
from metapeer.records.schema import EXTRACTION
from metapeer.records.tablefile import parse_table

__all__ = ["audit", "read_for_audit"]

Check = Callable[[AuditTable], list[Finding]]
_ROOMS = (
    rederive,
    plausible,
    plausible_sizes,
    plausible_spread,
    plausible_effects,
    plausible_digits,
    copies,
    participants,
)
_SAME_CAUSE = {
    "raw_sd_is_se": "sd_is_se",
    "sd_taken_for_se": "sd_too_large_by_root_n",
    "sd_squared": "sd_is_variance",
}
"""Codes of one cause that two checks know by two names: one from the printed effect, one from other rows."""
MOST_POOLED = 200
"""Findings that are pooled again; a table with more is beyond single consequences."""


def _checks() -> list[Check]:
    """Every check of the room, in the order of its modules."""
    return [getattr(module, name) for module in _ROOMS for name in module.__all__ if name.startswith("check_")]


def read_for_audit(table: pd.DataFrame | Review | str | Path, *, instruments: pd.DataFrame | None = None) -> AuditTable:
    """Read a table, a file or a review's rows for the audit, refusing nothing that can be looked at.

    Parameters
    ----------
    table : DataFrame, Review, str or Path
        Rows; a review as `load_dataset` returns it; or a CSV file.
    instruments : DataFrame, optional
        With ``instrument``, ``direction`` and, where known, ``min`` and ``max``; the bundled ones when left out.

    Returns
    -------
    AuditTable
        For the checks.

    Raises
    ------
    DataError
        If a file cannot be read as a table at all, or has no rows.
    """
    known = load_instruments() if instruments is None else instruments
    if isinstance(table, Review):
        rows = table.rows()
        known = table.instruments if instruments is None else known
        source = f"{table.name}/outcomes.csv"
        return make_audit_table(rows, written=_written(table, rows), instruments=known, source=source)
    if isinstance(table, str | Path):
        parsed = parse_table(table, EXTRACTION)
        cells = parsed.text.copy()
        marks = {name: decimal_mark(cells[name].tolist(), parsed.raw.separator) for name in cells if name in NUMBERS}
        for name, mark in marks.items():
            if mark == ",":
                cells[name] = cells[name].str.replace(",", ".", regex=False)
        cells["line"] = [str(line) for line in parsed.raw.lines]
        return make_audit_table(cells, written=cells, instruments=known, source=parsed.source)
    if not isinstance(table, pd.DataFrame):
        raise MetapeerError(f"table is a {type(table).__name__}; give a DataFrame, a review, or the path of a CSV file")
    return make_audit_table(table, instruments=known)


def _written(review: Review, rows: pd.DataFrame) -> pd.DataFrame:
    """The cells of a review's rows as they were typed, in the order of the rows."""
    text = review.outcomes_text
    kept = [column for column in text.columns if column in rows]
    return text[kept].reset_index(drop=True) if len(text) == len(rows) else rows


def audit(
    table: pd.DataFrame | Review | str | Path,
    *,
    instruments: pd.DataFrame | None = None,
    remarks: bool = True,
) -> AuditReport:
    """Check an extraction table before it is believed.

    Every printed effect is computed again from its raw numbers under every known formula; numbers that cannot be, that
    contradict one another, or that are copies are named; so are participants who are counted twice. No finding changes
    data. Each has a severity, its evidence in numbers, what it would do to the pooled result if it is true, and what
    to look up in the paper.

    Parameters
    ----------
    table : DataFrame, Review, str or Path
        One row for each result, with columns by the names of metapeer, metafor or Metapsy; a review as `load_dataset`
        returns it; or a CSV file. A table with impossible numbers is what the audit is for: it is not refused.
    instruments : DataFrame, optional
        With ``instrument``, ``direction`` (higher_better or lower_better) and, where known, ``min`` and ``max``; the
        bundled ones when left out.
    remarks : bool, default True
        Whether findings of the lowest severity are listed.

    Returns
    -------
    AuditReport
        The findings, the gravest first, with text, Markdown, HTML and JSON.

    Raises
    ------
    DataError
        If a file cannot be read as a table at all, or has no rows.

    References
    ----------
    Maassen et al. (2020), PLoS ONE 15:e0233107; Brown & Heathers (2017), Soc Psychol Personal Sci 8:363-369.

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer.auditing.extraction import audit
    >>> rows = pd.DataFrame({"study_id": ["a", "b"], "events1": [12, 31], "total1": [40, 30], "events2": [15, 20],
    ...                      "total2": [41, 42]})
    >>> report = audit(rows)
    >>> [(finding.check, finding.severity) for finding in report.findings if finding.severity == "error"]
    [('events_above_total', 'error')]
    """
    ready = read_for_audit(table, instruments=instruments)
    found: list[Finding] = []
    for check in _checks():
        found += check(ready)
    order = list(SEVERITIES)
    found.sort(key=lambda finding: (order.index(finding.severity), finding.rows[:1], finding.check))
    found = _once(found)
    if not remarks:
        found = [finding for finding in found if finding.severity != "remark"]
    pooled = rows_to_pool(ready)
    consequences: list[tuple[Consequence, ...]] = []
    for i, finding in enumerate(found):
        consequences.append(consequence_of(finding, pooled) if finding.instead and i < MOST_POOLED else ())
    return AuditReport(
        source=ready.source,
        k=ready.k,
        names=ready.names,
        lines=ready.lines,
        findings=tuple(found),
        consequences=tuple(consequences),
        rederivation=derive_again(ready),
        notes=ready.notes,
    )


def _once(found: list[Finding]) -> list[Finding]:
    """Keep the first, gravest finding where two checks name one cause in the same rows."""
    told: set[tuple[str, int]] = set()
    kept = []
    for finding in found:
        cause = _SAME_CAUSE.get(finding.check, finding.check)
        keys = {(cause, row) for row in finding.rows}
        if keys and keys <= told:
            continue
        told |= keys
        kept.append(finding)
    return kept
