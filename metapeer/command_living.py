"""What the commands of a living review do with what was typed: begin, add, see what moves, take back."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import metapeer as mp
from metapeer.command_options import Given, option
from metapeer.errors import MetapeerError

if TYPE_CHECKING:
    import pandas as pd

    from metapeer.living.asking import Question

__all__ = ["AddOptions", "UpdateOptions", "add_to_review", "update_review"]


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
    table = new if new.suffix.lower() in (".csv", ".txt", ".tsv") else _rows(new)[0]
    return mp.update(review, table, **options.given())
