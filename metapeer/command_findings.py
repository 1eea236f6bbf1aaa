"""What `metapeer findings` does with what was typed: a summary of findings of a review or a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import metapeer as mp
from metapeer.command_input import doubts_told_once, file_or_review, find_rows, pooling_choices, row_effects
from metapeer.command_options import EffectOptions, Given, PoolingOptions, RowOptions, option
from metapeer.errors import MetapeerError

__all__ = ["FORMS", "FindingsOptions", "find_findings", "write_findings"]

FORMS = (".html", ".md", ".docx", ".csv")
NAMES = ("low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsOptions(Given):
    """What a summary of findings is to say."""

    outcomes: Annotated[
        list[str] | None,
        option("--outcome", group="Other", metavar="NAME", text="Only this outcome. May be repeated; sets the order."),
    ] = None
    control_risks: Annotated[
        list[str] | None,
        option(
            "--risk",
            group="Other",
            metavar="[OUTCOME=]RISK",
            text="The risk in the comparison, such as 0.3; three as low,medium,high (0.2,0.35,0.5); or median, that of "
            "the comparison arms. For an SMD the share that responds. Without OUTCOME for all. May be repeated.",
        ),
    ] = None
    risk_source: Annotated[
        str | None,
        option("--risk-source", group="Other", metavar="TEXT", text="Where the assumed risks come from."),
    ] = None
    smd_to_risk: Annotated[
        str | None,
        option(
            "--smd-to-risk",
            group="Other",
            metavar="NAME",
            text="How an SMD becomes a share of responders: furukawa (default), hasselblad_hedges or cox_snell.",
        ),
    ] = None
    points: Annotated[
        list[str] | None,
        option(
            "--points",
            group="Other",
            metavar="OUTCOME=INSTRUMENT",
            text="Turn an SMD into points of an instrument, by the SD of the comparison arms that used it. May be "
            "repeated.",
        ),
    ] = None
    thresholds: Annotated[
        list[str] | None,
        option(
            "--threshold",
            group="Other",
            metavar="[OUTCOME=]NUMBER",
            text="The smallest effect that matters, in both directions, as it is read (0.2 for an SMD, 0.75 for a "
            "ratio); several parted by commas are taken as they are. May be repeated.",
        ),
    ] = None
    judgements: Annotated[
        str | None,
        option(
            "--judgements",
            group="Other",
            metavar="FILE",
            text="What a person judged: a CSV file with outcome, domain, rating, reason, author and date.",
        ),
    ] = None
    accept: Annotated[
        list[str] | None,
        option(
            "--accept",
            group="Other",
            metavar="DOMAIN",
            text="Let the rule of this domain count where no person judged: risk_of_bias, inconsistency, imprecision "
            "or publication_bias. May be repeated.",
        ),
    ] = None
    magnitude: Annotated[
        str | None,
        option("--magnitude", group="Other", metavar="NAME", text="Name the size of SMDs by a convention: cohen."),
    ] = None
    title: Annotated[str | None, option("--title", group="Output", metavar="TEXT", text="Stands above the table.")] = (
        None
    )
    population: Annotated[
        str | None, option("--population", group="Output", metavar="TEXT", text="Whose outcomes they are.")
    ] = None
    setting: Annotated[str | None, option("--setting", group="Output", metavar="TEXT", text="Where.")] = None


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise MetapeerError(f"{name}: {text!r} is not a number") from None


def _risk(text: str) -> object:
    if text == "median":
        return text
    numbers = [_number(part.strip(), "--risk") for part in text.split(",")]
    if len(numbers) == 1:
        return numbers[0]
    if len(numbers) != len(NAMES):
        raise MetapeerError(f"--risk {text!r}: give one risk, or three: low,medium,high")
    return dict(zip(NAMES, numbers, strict=True))


def _threshold(text: str) -> object:
    numbers = [_number(part.strip(), "--threshold") for part in text.split(",")]
    return numbers[0] if len(numbers) == 1 else numbers


def _mapped(typed: Sequence[str], name: str, read: Callable[[str], object], *, needed: bool = False) -> object:
    """What was typed for all outcomes, or a mapping of outcomes to what was typed for each."""
    parted = [text.rpartition("=") for text in typed]
    bare = [text for text, (_, equals, _) in zip(typed, parted, strict=True) if not equals]
    if bare and (needed or len(typed) > 1):
        raise MetapeerError(f"{name} {bare[0]!r}: write OUTCOME=..., for each outcome its own")
    if bare:
        return read(bare[0])
    outcomes = [outcome.strip() for outcome, _, _ in parted]
    twice = [outcome for outcome in dict.fromkeys(outcomes) if outcomes.count(outcome) > 1]
    if twice:
        raise MetapeerError(f"{name}: {twice[0]!r} is given more than once")
    return {outcome: read(value.strip()) for outcome, (_, _, value) in zip(outcomes, parted, strict=True)}


def find_findings(
    table: str,
    rows: RowOptions,
    effect: EffectOptions,
    pooling: PoolingOptions,
    findings: FindingsOptions,
    *,
    notes_shown: bool,
) -> "mp.SummaryOfFindings":
    """Summarise the outcomes of a review or a table.

    Parameters
    ----------
    table : str
        A file, a data set or a folder like one. A review of which nothing else is asked is pooled by its plan.
    rows, effect, pooling, findings
        What was typed.
    notes_shown : bool
        Whether notes are printed.

    Returns
    -------
    SummaryOfFindings
        One entry for each outcome.

    Raises
    ------
    MetapeerError
        If an option makes no sense.
    """
    given: dict[str, Any] = findings.given()
    for name, typed, read, needed in (
        ("control_risks", "--risk", _risk, False),
        ("thresholds", "--threshold", _threshold, False),
        ("points", "--points", str, True),
    ):
        if name in given:
            given[name] = _mapped(given[name], typed, read, needed=needed)
    if "points" in given:
        given["instruments"] = given.pop("points")
    if effect.average is not None:
        raise MetapeerError("--average has no effect here: effects of one trial on an outcome are averaged anyway")
    found = file_or_review(table)
    with doubts_told_once(notes_shown=notes_shown):
        if isinstance(found, Path):
            corrections: dict[str, Any] = {}
        elif rows.given() or effect.given() or pooling.given():
            corrections = {"overrides": found.overrides}
        else:
            return mp.summary_of_findings(found, **given)
        effects, known = row_effects(find_rows(table, rows), table, effect)
        choices = pooling_choices(pooling) | known
        by: dict[str, Any] = {} if "outcome_class" in effects else {"group": None}
        pooled = mp.pool_outcomes(effects, adjust=None, **by, **choices)
        return mp.summary_of_findings(pooled, **corrections, **given)


def write_findings(summary: "mp.SummaryOfFindings", path: Path) -> None:
    """Write a summary in the form that the name of the file asks for.

    Parameters
    ----------
    summary : SummaryOfFindings
        What was found.
    path : Path
        Ends in .html, .md, .docx or .csv.

    Raises
    ------
    MetapeerError
        If it ends otherwise, or cannot be written.
    """
    form = path.suffix.lower()
    if form not in FORMS:
        raise MetapeerError(f"--output {str(path)!r}: the name must end in {', '.join(FORMS)}")
    if form == ".docx":
        summary.to_docx(path)
    elif form == ".csv":
        summary.to_csv(path)
    else:
        text = summary.to_html() if form == ".html" else summary.to_markdown()
        try:
            path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise MetapeerError(f"--output {str(path)!r} cannot be written: {error.strerror or error}") from None
