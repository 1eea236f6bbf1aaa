"""What `metapeer audit` does with what was typed: a table or printed results, checked before they are believed."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Protocol

import typer

import metapeer as mp
from metapeer.command_options import Given, option
from metapeer.command_output import echo
from metapeer.errors import MetapeerError

__all__ = ["FOUND", "AuditOptions", "Severities", "audit_table", "leave", "write_report"]

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


class Report(Protocol):
    """What both audits return."""

    def counts(self) -> dict[str, int]:
        """Findings by severity, the gravest first."""

    def to_markdown(self) -> str:
        """The report as Markdown."""


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
    if options.published:
        if options.remarks:
            raise MetapeerError("--no-remarks has no effect with --published; leave it out")
        return mp.audit_published(Path(table) if Path(table).is_file() else mp.load_dataset(table).published)
    return mp.audit(Path(table) if Path(table).is_file() else mp.load_dataset(table), remarks=not options.remarks)


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


def leave(found: Report, fail_on: Severities) -> None:
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
    if fail_on is Severities.never:
        return
    graver = list(found.counts().items())
    last = [name for name, _ in graver].index(fail_on.value)
    if any(number for _, number in graver[: last + 1]):
        raise typer.Exit(FOUND)
