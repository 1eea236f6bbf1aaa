"""What `metapeer audit` and `metapeer identify` do with what was typed: a table checked before it is believed."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import metapeer as mp
from metapeer.command_input import file_or_review, find_rows
from metapeer.command_options import Given, Level, RowOptions, option
from metapeer.command_output import echo
from metapeer.errors import MetapeerError

__all__ = [
    "FOUND",
    "AuditOptions",
    "IdentifyOptions",
    "Severities",
    "audit_table",
    "identify_table",
    "leave",
    "write_report",
]

FOUND = 3
"""What the program leaves with when something was found that --fail-on asks about; 1 is for errors, 2 for usage."""


class Severities(StrEnum):
    """What makes the program fail, for scripts."""

    never = "never"
    error = "error"
    suspicion = "suspicion"
    remark = "remark"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions(Given):
    """What is audited, and where the report goes."""

    published: Annotated[
        bool,
        option(
            "--published",
            group="Rows",
            text="Audit the printed pooled results (published.csv) instead of the extraction table.",
        ),
    ] = False
    remarks: Annotated[
        bool | None, option("--no-remarks", group="Output", text="Leave out findings that are often harmless.")
    ] = None
    report: Annotated[
        Path | None,
        option(
            "--report",
            "-o",
            group="Output",
            metavar="FILE",
            text="Write the report here as well: .md, .html or .json.",
        ),
    ] = None
    fail_on: Annotated[
        Severities,
        option(
            "--fail-on",
            group="Output",
            metavar="SEVERITY",
            text="Leave with code 3 when there are findings of this severity or graver: error (default), suspicion, "
            "remark or never.",
        ),
    ] = Severities.error


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifyOptions(Given):
    """What was printed, and where to look for the analysis that did."""

    printed: Annotated[
        list[str] | None,
        option(
            "--printed",
            group="Rows",
            metavar="NAME=TEXT",
            text="A printed number with its digits, such as estimate=0.19, ci_low=0.11, ci_high=0.27, I2=10, k=22, "
            "p='<.001', tau2, Q, pi_low. May be repeated.",
        ),
    ] = None
    published: Annotated[
        str | None,
        option(
            "--published",
            group="Rows",
            metavar="NAME",
            text="Or the printed numbers of a result of the data set's published.csv, by its published_id.",
        ),
    ] = None
    published_as: Annotated[
        str | None, option("--measure", group="Effects", metavar="CODE", text="The measure that was printed, if known.")
    ] = None
    changes: Annotated[
        bool | None,
        option("--changes/--no-changes", group="Pooling", text="When nothing fits, search single changes of rows."),
    ] = None
    level: Level = None


def audit_table(table: str, options: AuditOptions) -> "mp.AuditReport | mp.PublishedAudit":
    """Audit a file, a data set or a folder like one.

    Parameters
    ----------
    table : str
        What was typed.
    options : AuditOptions
        What else was typed.

    Returns
    -------
    AuditReport or PublishedAudit
        The findings.

    Raises
    ------
    MetapeerError
        If the file cannot be read, or the report cannot go where it should.
    """
    suffixes = (".md",) if options.published else (".md", ".html", ".json")
    if options.report is not None and options.report.suffix.lower() not in suffixes:
        raise MetapeerError(f"--report {str(options.report)!r}: the name must end in {', '.join(suffixes)}")
    if options.report is not None and not options.report.parent.is_dir():
        raise MetapeerError(f"--report {str(options.report)!r}: there is no folder {str(options.report.parent)!r}")
    found = file_or_review(table)
    if not options.published:
        return mp.audit(found, remarks=not options.remarks)
    if options.remarks:
        raise MetapeerError("--no-remarks has no effect with --published; leave it out")
    if isinstance(found, Path):
        from metapeer.records.schema import PUBLISHED
        from metapeer.records.tablefile import read_table

        return mp.audit_published(read_table(found, PUBLISHED))
    return mp.audit_published(found.published, trials=found.trials, outcomes=found.outcomes)


def identify_table(table: str, rows: RowOptions, options: IdentifyOptions) -> "mp.Identification":
    """Find the analyses of a table that give printed numbers.

    Parameters
    ----------
    table : str
        A file, a data set or a folder like one.
    rows, options
        What was typed.

    Returns
    -------
    Identification
        All that fit, and what speaks against the others.

    Raises
    ------
    MetapeerError
        If nothing printed was given, or it cannot be read.
    """
    if (options.printed is None) == (options.published is None):
        raise MetapeerError("give either --printed NAME=TEXT, once or several times, or --published NAME")
    printed: dict[str, Any] = {}
    for text in options.printed or ():
        name, equals, number = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise MetapeerError(f"--printed {text!r}: write NAME=TEXT, such as estimate=0.19")
        if name in printed:
            raise MetapeerError(f"--printed {text!r}: {name} was given already, {printed[name]}")
        printed[name] = number
    if options.published is not None:
        review = file_or_review(table)
        if isinstance(review, Path):
            raise MetapeerError("--published needs a data set or a folder like one, which has a published.csv")
        found = review.published.set_index("published_id", drop=False)
        if options.published not in found.index:
            known = ", ".join(map(str, found.index)) or "none"
            raise MetapeerError(f"--published {options.published!r}: there is no such result. Known: {known}")
        printed = {str(name): found[name][options.published] for name in found}
    frame = find_rows(table, rows)
    return mp.identify(frame, printed, **options.given("printed", "published"))


def write_report(found: "mp.AuditReport | mp.PublishedAudit", path: Path) -> None:
    """Write a report to a file.

    Parameters
    ----------
    found : AuditReport or PublishedAudit
        What was found.
    path : Path
        Its suffix says how.

    Raises
    ------
    MetapeerError
        If the file cannot be written.
    """
    made = {".md": "to_markdown", ".html": "to_html", ".json": "to_json"}[path.suffix.lower()]
    try:
        path.write_text(getattr(found, made)(), encoding="utf-8")
    except OSError as error:
        raise MetapeerError(f"--report {str(path)!r} cannot be written: {error.strerror}") from None
    echo(f"wrote {path}")


def leave(found: "mp.AuditReport | mp.PublishedAudit", fail_on: Severities) -> None:
    """End the program with a code that a script can read.

    Parameters
    ----------
    found : AuditReport or PublishedAudit
        What was found.
    fail_on : Severities
        From which severity on the program fails.

    Raises
    ------
    typer.Exit
        With code 3 when there is something of that severity.
    """
    grave = [str(severity) for severity in Severities][1:]
    failing = grave[: grave.index(fail_on) + 1] if fail_on is not Severities.never else []
    if any(finding.severity in failing for finding in found.findings):
        raise typer.Exit(FOUND)
