"""What `metapeer report` does with what was typed: a review, a folder or a table becomes a page or a document."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import metapeer as mp
from metapeer.command_input import doubts_told_once, file_or_review
from metapeer.command_options import Given, option
from metapeer.command_output import echo

__all__ = ["ReportOptions", "write_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions(Given):
    """Where a report goes, and what it tells apart."""

    output: Annotated[
        Path | None,
        option(
            "--output",
            "-o",
            group="Output",
            metavar="FILE",
            text="The report: .html (default: the name of REVIEW, here), .md or .docx. For PDF, print the page.",
        ),
    ] = None
    title: Annotated[
        str | None,
        option("--title", group="Output", metavar="TEXT", text="Of the report; the review's by default."),
    ] = None
    by: Annotated[
        str | None,
        option("--by", group="Rows", metavar="COLUMN", text="What makes an outcome; the column outcome by default."),
    ] = None
    measure: Annotated[
        str | None,
        option(
            "--measure",
            group="Rows",
            metavar="NAME",
            text="Effect measure of a table of rows, SMD by default; a review has its own.",
        ),
    ] = None


def write_page(review: str, choice: ReportOptions) -> None:
    """Write the report of a review, a folder or a table.

    Parameters
    ----------
    review : str
        What was typed: a data set, a folder or a file.
    choice : ReportOptions
        What was typed of the rest.
    """
    source = file_or_review(review)
    name = source.stem if isinstance(source, Path) else source.name
    output = Path(f"{name}.html") if choice.output is None else choice.output
    # A review is named again, so that a folder is never read in the middle of a change.
    given = source if isinstance(source, Path) else review
    with doubts_told_once(notes_shown=True):
        found = mp.report(given, output=output, **choice.given("output"))
    echo(f"{found.summary()}\n\nwritten: {output}")
