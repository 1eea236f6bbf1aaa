"""The summary as one table of lines, numbered footnotes and rules, from which every form of it is written."""

from collections.abc import Sequence
from dataclasses import dataclass

from metapeer.formatting import TextTable
from metapeer.pooling.outcomes_names import participants_words, tells_too_few
from metapeer.reporting.findings_results import DomainRating, OutcomeFindings, SummaryOfFindings
from metapeer.reporting.findings_risks import numbers_needed
from metapeer.reporting.findings_rules import DOMAINS, RULES, Domain
from metapeer.reporting.findings_words import (
    absolute_words,
    difference_words,
    effect_words,
    number_needed_words,
    prediction_sentence,
    superiority_words,
    units_words,
)

__all__ = ["DOMAIN_WORDS", "Cell", "Tables", "superscript", "tables_of", "text_tables_of"]

DOMAIN_WORDS: dict[Domain, str] = {
    "risk_of_bias": "Risk of bias",
    "inconsistency": "Inconsistency",
    "indirectness": "Indirectness",
    "imprecision": "Imprecision",
    "publication_bias": "Publication bias",
}
HEADER = ("Outcome", "Participants (trials)", "Effect", "Effect on people", "Certainty", "What it means")
RATING_HEADER = ("Outcome", *DOMAIN_WORDS.values(), "Certainty")

Cell = tuple[str, ...]
"""The lines of a cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """A summary ready to be written out.

    Parameters
    ----------
    header : tuple of str
        Of the table of findings.
    rows : tuple of tuple of Cell
        Its cells; the first of each row names the outcome.
    marks : tuple of tuple of int
        For each row the numbers of its footnotes.
    footnotes : tuple of str
        In the order of their numbers, from 1.
    rating_header : tuple of str
        Of the table of ratings.
    ratings : tuple of tuple of Cell
        Its cells.
    rules : tuple of (str, str, str)
        Domain, rule and source.
    notes : tuple of str
        About the whole.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marks: tuple[tuple[int, ...], ...]
    footnotes: tuple[str, ...]
    rating_header: tuple[str, ...]
    ratings: tuple[tuple[Cell, ...], ...]
    rules: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]


def superscript(marks: Sequence[int]) -> str:
    """Write the numbers of footnotes behind a word, for plain text.

    Parameters
    ----------
    marks : sequence of int
        The numbers.

    Returns
    -------
    str
        Such as ``" [1, 3]"``; empty without any.
    """
    return f" [{', '.join(map(str, marks))}]" if marks else ""


def tables_of(summary: SummaryOfFindings) -> Tables:
    """Put a summary into lines.

    Parameters
    ----------
    summary : SummaryOfFindings
        What was found.

    Returns
    -------
    Tables
        Words only.
    """
    footnotes: dict[str, int] = {}
    rows, marks = [], []
    for outcome in summary.outcomes:
        marks.append(tuple(sorted(footnotes.setdefault(text, len(footnotes) + 1) for text in outcome.footnotes)))
        rows.append(_row(outcome, summary))
    return Tables(
        header=HEADER,
        rows=tuple(rows),
        marks=tuple(marks),
        footnotes=tuple(footnotes),
        rating_header=RATING_HEADER,
        ratings=tuple(_rating_row(outcome) for outcome in summary.outcomes),
        rules=tuple((DOMAIN_WORDS[domain], RULES[domain].words, RULES[domain].source) for domain in RULES),
        notes=_notes(summary),
    )


def _row(outcome: OutcomeFindings, summary: SummaryOfFindings) -> tuple[Cell, ...]:
    fit = outcome.fit
    people: list[str] = []
    people += [absolute_words(effect, summary.arms, fit.level) for effect in outcome.absolute]
    if outcome.superiority is not None and outcome.nnt is not None:
        people += superiority_words(outcome.superiority, outcome.nnt, summary.arms, fit.level)
    if outcome.units is not None:
        people.append(units_words(outcome.units, fit.level))
    certainty: Cell = (outcome.certainty_words,)
    if outcome.certainty is None:
        missing = ", ".join(DOMAIN_WORDS[domain].lower() for domain in outcome.unjudged)
        certainty = (outcome.certainty_words, f"not judged: {missing}")
    meaning = tuple(text for text in (outcome.interpretation, prediction_sentence(fit)) if text)
    return (
        (outcome.words,),
        (f"{'not told' if fit.participants is None else participants_words(fit)} ({fit.trials})",),
        (effect_words(fit),),
        tuple(people) or (_without_risk(outcome),),
        certainty,
        meaning,
    )


def _without_risk(outcome: OutcomeFindings) -> str:
    """What can be said without a risk in the comparison: a difference of risks needs none."""
    fit = outcome.fit
    if fit.measure != "RD":
        return "no control risk was stated"
    difference = (fit.estimate, fit.ci.low, fit.ci.high)
    good = {"arm1": 1, "arm2": -1}.get(fit.positive_favours, 0)
    return f"Per 1,000: {difference_words(difference)}; {number_needed_words(numbers_needed(difference, good), good)}"


def _rating_row(outcome: OutcomeFindings) -> tuple[Cell, ...]:
    by_domain = {rating.domain: rating for rating in outcome.domains}
    return (
        (outcome.words,),
        *(_rating_cell(by_domain[domain]) for domain in DOMAINS),
        (outcome.certainty_words,),
    )


def _rating_cell(rating: DomainRating) -> Cell:
    told = f"{rating.suggested}: {rating.evidence}" if rating.suggested else rating.evidence
    if rating.basis == "person":
        judged = f"{rating.reason} ({rating.author}, {rating.date})"
        beside = (f"by rule, not counted: {told}",) if told else ()
        return (rating.rating.capitalize(), judged, *beside)
    if rating.basis == "rule":
        return (rating.rating.capitalize(), f"by rule, accepted: {rating.evidence}")
    if rating.suggested:
        return ("Not judged", f"suggested by rule, not counted: {told}")
    return ("Not judged", told) if told else ("Not judged",)


def _notes(summary: SummaryOfFindings) -> tuple[str, ...]:
    notes = list(summary.notes)
    by_origin: dict[str, list[str]] = {}
    for outcome in summary.outcomes:
        if outcome.absolute:
            said = "; ".join(
                f"{effect.control.name} {effect.control.value:.3g} ({effect.control.origin})".removeprefix("assumed ")
                for effect in outcome.absolute
            )
            by_origin.setdefault(said, []).append(outcome.words)
    everybody = sum(bool(outcome.absolute) for outcome in summary.outcomes)
    for said, who in by_origin.items():
        whose = "Control risks" if len(who) == everybody else f"Control risks, {', '.join(who)}"
        notes.append(f"{whose}: {said}.")
    methods = dict.fromkeys(effect.method for one in summary.outcomes for effect in one.absolute if effect.method)
    notes += [
        f"Responders are supposed, not counted: the share that responds with {summary.arms[1]} is the one stated, and "
        f"that with {summary.arms[0]} follows from the standardised difference with {method}."
        for method in methods
    ]
    if everybody:
        notes.append(
            "Risks with the intervention, differences and numbers needed to treat follow from the ends of the "
            "confidence interval of the effect; the control risk is taken as known. Differences are rounded after "
            "they are taken. NNTB, NNTH: number needed to treat for one more to benefit, or to be harmed, rounded up."
        )
    if any(outcome.superiority for outcome in summary.outcomes):
        notes.append(
            "Pairs: normal scores of equal variance in both arms (McGraw & Wong 1992). SMD: standardised mean "
            "difference; in this table benefit is told by the direction that the trials' instruments have."
        )
    if any(tells_too_few(outcome.fit) for outcome in summary.outcomes):
        notes.append("Participants with a plus: some trials do not tell how many.")
    notes.append(
        "CI: confidence interval. Certainty (GRADE) starts at high for randomised trials and is lowered by the levels "
        "of the domains. It is printed only where a person judged every domain, or accepted the rule that rates it."
    )
    return tuple(notes)


def text_tables_of(summary: SummaryOfFindings) -> tuple[TextTable, ...]:
    """Put a summary into tables of words.

    Parameters
    ----------
    summary : SummaryOfFindings
        What was found.

    Returns
    -------
    tuple of TextTable
        The findings with footnotes and notes; the ratings; the rules.
    """
    tables = tables_of(summary)
    about = "".join(f"\n{name}: {text}" for name, text in summary.about)
    findings = [
        (f"{cells[0][0]}{superscript(marks)}", *("\n".join(cell) for cell in cells[1:]))
        for cells, marks in zip(tables.rows, tables.marks, strict=True)
    ]
    ratings = [tuple("\n".join(cell) for cell in cells) for cells in tables.ratings]
    return (
        TextTable(
            title=f"{summary.title}{about}",
            header=tables.header,
            rows=findings,
            notes=[*(f"[{number}] {text}" for number, text in enumerate(tables.footnotes, start=1)), *tables.notes],
        ),
        TextTable(title="Certainty, domain by domain", header=tables.rating_header, rows=ratings),
        TextTable(title="Rules", header=("Domain", "Rule", "Source"), rows=[tuple(rule) for rule in tables.rules]),
    )
