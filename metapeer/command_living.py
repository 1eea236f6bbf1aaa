"""What the commands of a living review do with what was typed: add, correct, see what moves, show the flow."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import metapeer as mp
from metapeer.command_options import Given, option
from metapeer.errors import MetapeerError

if TYPE_CHECKING:
    import pandas as pd

    from metapeer.living.asking import Question

__all__ = [
    "AddOptions",
    "CorrectOptions",
    "PrismaOptions",
    "UpdateOptions",
    "add_facts",
    "add_to_review",
    "correct_review",
    "show_flow",
    "update_review",
    "vary_icc",
]

PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions(Given):
    """What is added, and whether it is kept."""

    trials: Annotated[
        Path | None,
        option("--trials", group="Rows", metavar="FILE", text="A CSV file that describes the new trials (trials.csv)."),
    ] = None
    write: Annotated[
        bool, option("--write", group="Output", text="Keep it. Without this nothing is written: see what would happen.")
    ] = False
    despite_errors: Annotated[
        bool,
        option("--despite-errors", group="Output", text="Keep it although the audit finds errors."),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateOptions(Given):
    """How before and after are computed."""

    by: Annotated[
        str | None,
        option("--by", group="Rows", metavar="NAME", text="What is pooled together: outcome (default) or analysis."),
    ] = None
    outcomes: Annotated[
        list[str] | None,
        option("--outcome", group="Rows", metavar="NAME", text="Only this outcome. May be repeated."),
    ] = None
    icc: Annotated[
        list[float] | None,
        option(
            "--icc",
            group="Effects",
            metavar="NUMBER",
            text="Show as well what the outcomes come to when every cluster trial has this intracluster correlation "
            "(with --csv, that alone). May be repeated.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectOptions(Given):
    """A correction, and whether it is kept."""

    reason: Annotated[str, option("--reason", group="Other", metavar="TEXT", text="Why.")]
    source: Annotated[str, option("--source", group="Other", metavar="TEXT", text="On what evidence: document, page.")]
    author: Annotated[str, option("--author", group="Other", metavar="TEXT", text="Who says so.")]
    value: Annotated[
        str | None, option("--value", group="Other", metavar="TEXT", text="What to use instead, with its digits.")
    ] = None
    clear: Annotated[bool, option("--clear", group="Other", text="Use nothing instead: the cell is empty.")] = False
    date: Annotated[
        str | None, option("--date", group="Other", metavar="DAY", text="When: 2026-01-31; today by default.")
    ] = None
    status: Annotated[
        str | None,
        option(
            "--status",
            group="Other",
            metavar="NAME",
            text="suspected (the numbers speak for it; default) or confirmed (the primary paper was seen).",
        ),
    ] = None
    override_id: Annotated[
        str | None,
        option("--name", group="Other", metavar="NAME", text="Of the correction; corrections of one name go together."),
    ] = None
    write: Annotated[bool, option("--write", group="Output", text="Record it. Without this nothing is written.")] = (
        False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PrismaOptions(Given):
    """What the flow of records is made into."""

    plot: Annotated[
        Path | None,
        option("--plot", group="Output", metavar="FILE", text="Draw the flow diagram: .png, .svg or .pdf."),
    ] = None
    markdown: Annotated[
        Path | None, option("--markdown", group="Output", metavar="FILE", text="Write the counts as a Markdown table.")
    ] = None
    template: Annotated[
        bool,
        option("--template", group="Output", text="Write a blank prisma.csv to fill in, where there is none yet."),
    ] = False


def _rows(file: Path) -> "tuple[pd.DataFrame, pd.DataFrame | None]":
    """Rows of results, and trials where the file has them, from any format that is known."""
    if file.suffix.lower() == ".xlsx":
        typed = mp.read_form(file)
        return typed.rows, typed.trials if len(typed.trials) else None
    return mp.read_extraction(file), None


def add_to_review(folder: str, file: Path | None, options: AddOptions) -> "mp.AddResult":
    """Add rows of a file, or what is typed step by step, to a review of one's own.

    Parameters
    ----------
    folder : str
        The review's folder.
    file : Path, optional
        A CSV file, a filled-in form, or a table of another program; asked for step by step when left out.
    options : AddOptions
        What else was typed.

    Returns
    -------
    AddResult
        What is added, or would be.
    """
    rows: pd.DataFrame | Path
    trials: pd.DataFrame | Path | None = options.trials
    if file is None:
        if trials is not None:
            raise MetapeerError("--trials has no effect when a trial is typed in step by step; leave it out")
        typed = mp.ask_trial(_ask, mp.load_review(folder), tell=_tell)
        rows, trials = typed.rows, typed.trials if len(typed.trials) else None
    elif file.suffix.lower() in (".csv", ".txt", ".tsv"):
        rows = file
    else:
        rows, described = _rows(file)
        trials = described if trials is None else trials
    return mp.add_rows(folder, rows, trials=trials, write=options.write, despite_errors=options.despite_errors)


def add_facts(found: "mp.AddResult") -> dict[str, object]:
    """Everything that adding found, for JSON.

    Parameters
    ----------
    found : AddResult
        From `add_to_review`.

    Returns
    -------
    dict
        Its fields by name, the audit as its report has it.
    """
    facts = {field.name: getattr(found, field.name) for field in fields(found)}
    return facts | {"audit": None if found.audit is None else found.audit.to_dict()}


def _ask(question: "Question") -> str:
    import typer

    try:
        return str(typer.prompt(question.text, default="", show_default=False))
    except typer.Abort:
        raise MetapeerError("nothing was added: the answers ended before the trial was complete") from None


def _tell(text: str) -> None:
    from metapeer.command_output import echo

    echo(text)


def update_review(review: str, new: Path, options: UpdateOptions) -> "mp.ReviewUpdate":
    """Set a review before and after new trials side by side.

    Parameters
    ----------
    review : str
        A data set, or a folder like one.
    new : Path
        The new trials: a CSV file, or a table of another program.
    options : UpdateOptions
        What else was typed.

    Returns
    -------
    ReviewUpdate
        What moved, and why. Nothing is written.
    """
    return mp.update(review, _table(new), **options.given("icc"))


def vary_icc(review: str, new: Path, options: UpdateOptions) -> "mp.IccSensitivity | None":
    """Pool an updated review with one intracluster correlation after the other.

    Parameters
    ----------
    review, new, options
        As in `update_review`.

    Returns
    -------
    IccSensitivity or None
        None when no correlation was typed.
    """
    if not options.icc:
        return None
    return mp.icc_sensitivity(review, _table(new), iccs=options.icc, **options.given("icc"))


def _table(new: Path) -> "pd.DataFrame | str | Path":
    """What `update` takes: a table of another program is read first; a data set or a folder is known to it."""
    if new.suffix.lower() in (".csv", ".txt", ".tsv"):
        return new
    return str(new) if new.is_dir() or not new.suffix else _rows(new)[0]


def correct_review(folder: str, row: str, column: str, options: CorrectOptions) -> "mp.CorrectionResult":
    """Record a correction, or show what it would do.

    Parameters
    ----------
    folder : str
        The review's folder.
    row, column : str
        The cell.
    options : CorrectOptions
        What else was typed.

    Returns
    -------
    CorrectionResult
        The correction, and what it moves.

    Raises
    ------
    MetapeerError
        If it is not said what to use instead, and as `correct`.
    """
    if (options.value is None) != options.clear:
        raise MetapeerError("give either --value, what to use instead, or --clear, to use nothing")
    return mp.correct(folder, row, column, options.value, **options.given("value", "clear"))


def show_flow(folder: str, options: PrismaOptions) -> "mp.PrismaFlow | str":
    """Read the flow of records, and draw or write it where asked.

    Parameters
    ----------
    folder : str
        A review's folder, or the path of its ``prisma.csv``.
    options : PrismaOptions
        What was typed.

    Returns
    -------
    PrismaFlow or str
        The flow; or what was written instead.

    Raises
    ------
    MetapeerError
        If a file cannot be written, and as `prisma_flow`.
    """
    if options.template:
        if options.plot or options.markdown:
            raise MetapeerError("--plot and --markdown have no effect with --template; leave them out")
        blank = mp.write_prisma_template(folder)
        return f"wrote {blank}; fill in the column n, then: metapeer prisma {folder}"
    for name, path, suffixes in (("--plot", options.plot, PICTURES), ("--markdown", options.markdown, (".md",))):
        if path is not None and path.suffix.lower() not in suffixes:
            raise MetapeerError(f"{name} {str(path)!r}: the name must end in {', '.join(suffixes)}")
        if path is not None and not path.parent.is_dir():
            raise MetapeerError(f"{name} {str(path)!r}: there is no folder {str(path.parent)!r}; make it first")
    flow = mp.prisma_flow(folder)
    if options.plot is not None:
        mp.save_figure(flow.plot(), options.plot)
    if options.markdown is not None:
        options.markdown.write_text(flow.to_markdown(), encoding="utf-8", newline="\n")
    return flow
