"""What `metapeer multiverse` does with what was typed: all combinations of choices, and what a finding hangs on."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import metapeer as mp
from metapeer.command_input import (
    doubts_told_once,
    file_or_review,
    find_column,
    find_rows,
    number_or_word,
    tell_unadjusted,
)
from metapeer.command_options import Given, Level, RowOptions, option
from metapeer.errors import MetapeerError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MultiverseOptions", "multiverse_table"]

_LISTED = ("measure", "variance", "prefer", "rho", "contrast_method", "model", "tau2_method", "ci_method")
"""Choices that are lists of values of an option."""
_EFFECTS = ("measure", "variance", "prefer")


def _several(name: str, group: str, metavar: str, text: str) -> Any:
    return option(name, group=group, metavar=metavar, text=f"{text} May be repeated: each is tried.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiverseOptions(Given):
    """The choices of a multiverse, and what is asked of it."""

    suspicious: Annotated[
        list[str] | None,
        _several(
            "--suspicious",
            "Rows",
            "RULE",
            "Rows with corrections on record: as_printed, corrected, rows_left_out or trials_left_out.",
        ),
    ] = None
    or_only: Annotated[
        list[str] | None,
        option(
            "--or-only",
            group="Rows",
            metavar="COLUMN=VALUE",
            text="A choice between all rows and only those with a value, written as for --where. May be repeated: each "
            "is a choice of its own.",
        ),
    ] = None
    split: Annotated[
        list[str] | None,
        option(
            "--split",
            group="Rows",
            metavar="COLUMN",
            text="A choice between all rows and the rows of each value of a column. May be repeated: each is a choice "
            "of its own.",
        ),
    ] = None
    timepoint: Annotated[
        list[str] | None,
        _several("--timepoint", "Rows", "RULE", "Time point: first, last, post, all, or a number of months."),
    ] = None
    row_rule: Annotated[
        list[str] | None,
        _several(
            "--row-rule",
            "Rows",
            "RULE",
            "Row of a trial: average (default), first, last, largest, most_precise or independent.",
        ),
    ] = None
    outliers: Annotated[
        list[str] | None, _several("--outliers", "Rows", "RULE", "Outliers left out: none (default), ci or rstudent.")
    ] = None
    measure: Annotated[
        list[str] | None, _several("--measure", "Effects", "CODE", "Effect measure; SMD by default.")
    ] = None
    variance: Annotated[
        list[str] | None, _several("--variance", "Effects", "NAME", "Variance formula of standardised differences.")
    ] = None
    prefer: Annotated[
        list[str] | None, _several("--prefer", "Effects", "SOURCE", "Source of effects: arms, review or reported.")
    ] = None
    events_to_smd: Annotated[
        bool | None, option("--events-to-smd", group="Effects", text="Turn rows with nothing but events into SMDs.")
    ] = None
    rho: Annotated[
        list[float] | None,
        _several("--rho", "Pooling", "NUMBER", "Correlation of two measurements of the same people; 0.6 by default."),
    ] = None
    contrast: Annotated[
        str | None,
        option(
            "--contrast",
            group="Pooling",
            metavar="FIRST,SECOND",
            text="Estimate the difference of two classes of outcomes, such as psychosocial,clinical.",
        ),
    ] = None
    contrast_by: Annotated[
        str | None,
        option(
            "--contrast-by", group="Pooling", metavar="COLUMN", text="Column of the classes; outcome_class by default."
        ),
    ] = None
    contrast_method: Annotated[
        list[str] | None, _several("--contrast-method", "Pooling", "NAME", "How: paired (default) or GLS.")
    ] = None
    model: Annotated[
        list[str] | None, _several("--model", "Pooling", "NAME", "True effects: random (default) or common.")
    ] = None
    tau2_method: Annotated[
        list[str] | None, _several("--tau2-method", "Pooling", "CODE", "Estimator of tau²; REML by default.")
    ] = None
    ci_method: Annotated[
        list[str] | None, _several("--ci-method", "Pooling", "CODE", "Confidence interval; HK by default.")
    ] = None
    level: Level = None
    claim: Annotated[
        str | None,
        option(
            "--claim",
            group="Pooling",
            metavar="SIDE",
            text="What is claimed of the estimate: positive, negative or nonzero (default).",
        ),
    ] = None
    draws: Annotated[
        int | None,
        option(
            "--draws",
            group="Other",
            metavar="NUMBER",
            text="Test the whole against the null hypothesis with so many sign flips of trials.",
        ),
    ] = None
    seed: Annotated[
        int | None, option("--seed", group="Other", metavar="NUMBER", text="Seed of the flips; 1 by default.")
    ] = None
    plot: Annotated[
        Path | None,
        option("--plot", group="Output", metavar="FILE", text="Draw the specification curve: .png, .svg or .pdf."),
    ] = None


def _choices(frame: "pd.DataFrame", table: str, options: MultiverseOptions) -> dict[str, Any]:
    """Make the choices; what is wrong with them is told all at once by the multiverse or the makers of choices."""
    found: dict[str, Any] = {}
    if options.suspicious:
        review = file_or_review(table)
        if isinstance(review, Path):
            raise MetapeerError(f"--suspicious needs a data set with corrections on record; {table} is a file")
        found["suspicious rows"] = mp.choose_corrections(review.overrides, rules=options.suspicious)
    for condition in options.or_only or ():
        found[condition] = mp.choose_where({"all": None, "only": condition})
    for name in options.split or ():
        column = find_column(frame, name, "--split")
        values = sorted({str(value) for value in column.dropna() if str(value)})
        found[name] = mp.choose_where({"all": None} | {value: f"{name}={value}" for value in values}, decision="N")
    if options.timepoint:
        found["time point"] = mp.choose_timepoint([number_or_word(rule) for rule in options.timepoint])
    if options.row_rule:
        found["row of a trial"] = mp.choose_rows(options.row_rule)
    if options.outliers:
        found["outliers"] = mp.choose_outliers(options.outliers)
    for name in _LISTED:
        values_given = getattr(options, name)
        if values_given:
            found[name] = values_given
    if not found:
        raise MetapeerError(
            "no choice is declared: repeat an option, and each value is tried, such as --tau2-method REML "
            "--tau2-method PM"
        )
    return found


def _tell(done: int, total: int, what: str) -> None:
    """Show progress on a terminal, on one line that is written over."""
    end = "\n" if done >= total else ""
    sys.stderr.write(f"\r{what}: {done:,} of {total:,} {end}")
    sys.stderr.flush()


def multiverse_table(
    table: str, rows: RowOptions, options: MultiverseOptions, *, notes_shown: bool
) -> "tuple[mp.MultiverseResult, mp.MultiverseTest | None]":
    """Run the multiverse of a table, test it and draw it where that was asked for.

    Parameters
    ----------
    table : str
        A file, a data set or a folder like one.
    rows : RowOptions
        Which of its rows.
    options : MultiverseOptions
        What was typed.
    notes_shown : bool
        Whether the notes of the result are printed.

    Returns
    -------
    MultiverseResult
        Every specification.
    MultiverseTest or None
        The test, when draws were asked for.

    Raises
    ------
    MetapeerError
        If an option has no effect, or the declaration is faulty.
    """
    if options.seed is not None and options.draws is None:
        raise MetapeerError("--seed has no effect without --draws; leave it out")
    if options.contrast_by is not None and options.contrast is None:
        raise MetapeerError("--contrast-by has no effect without --contrast; leave it out")
    frame = find_rows(table, rows)
    tell_unadjusted(frame, "multiverse")
    choices = _choices(frame, table, options)
    ready = "yi" in frame and bool({"vi", "sei"} & set(frame.columns))
    idle = [f"--{name}" for name in _EFFECTS if name in choices] + ["--events-to-smd"] * bool(options.events_to_smd)
    if ready and idle:
        raise MetapeerError(f"{table} has ready-made effects (yi), so {' and '.join(idle)} would have no effect")
    asked: dict[str, Any] = {"choices": choices, "claim": options.claim or "nonzero"}
    if not ready:
        asked["effect_options"] = {"events_to_smd": True} if options.events_to_smd else {}
    if options.contrast is not None:
        asked["contrast"] = tuple(part.strip() for part in options.contrast.split(","))
        asked["contrast_by"] = options.contrast_by or "outcome_class"
    if options.level is not None:
        asked["pooling"] = {"level": options.level}
    progress = _tell if sys.stderr.isatty() else None
    with doubts_told_once(notes_shown=notes_shown):
        found = mp.multiverse(frame, progress=progress, **asked)
    test = None
    if options.draws is not None:
        seed = 1 if options.seed is None else options.seed
        test = mp.multiverse_test(found, draws=options.draws, seed=seed, progress=progress)
    if options.plot is not None:
        mp.save_figure(found.plot(test=test), options.plot)
    return found, test
