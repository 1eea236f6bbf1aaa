"""What a summary of findings holds, complete at birth: outcomes, effects on people, ratings and who made them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metapeer.formatting import Printable, TextTable
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.reporting.findings_risks import AbsoluteEffect
from metapeer.reporting.findings_rules import DOMAINS, LEVELS, Domain
from metapeer.reporting.findings_units import NaturalUnits
from metapeer.reporting.findings_words import Arms

__all__ = ["CERTAINTIES", "DomainRating", "OutcomeFindings", "SummaryOfFindings"]

CERTAINTIES = {4: ("⊕⊕⊕⊕", "High"), 3: ("⊕⊕⊕◯", "Moderate"), 2: ("⊕⊕◯◯", "Low"), 1: ("⊕◯◯◯", "Very low")}
NOT_RATED = "Not rated"


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRating:
    """How one domain of certainty is rated, and by whom.

    Parameters
    ----------
    domain : str
        "risk_of_bias", "inconsistency", "indirectness", "imprecision" or "publication_bias".
    rating : str
        Such as "serious"; empty when it was not judged.
    basis : {"person", "rule", "not judged"}
        Who rated: a person, or a rule that was accepted.
    reason, author, date : str
        Of the person; of the rule, its numbers.
    suggested, evidence : str
        What the rule makes of the numbers, whether it counts or not; empty where there is no rule or it cannot tell.
    """

    domain: Domain
    rating: str
    basis: str
    reason: str
    author: str
    date: str
    suggested: str
    evidence: str

    @property
    def levels(self) -> int | None:
        """By how many levels it lowers the certainty; None when it was not judged."""
        return LEVELS[self.rating] if self.rating else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomeFindings:
    """What was found for one outcome.

    Parameters
    ----------
    name, words : str
        The outcome as it was given, and as a reader expects it.
    fit : MetaAnalysisResult
        What was pooled.
    absolute : tuple of AbsoluteEffect
        What the effect comes to for people, one for each control risk.
    units : NaturalUnits or None
        A standardised difference in points of an instrument.
    superiority : tuple of (float, float, float) or None
        Of a standardised difference: probability that a person with the intervention does better; estimate and ends.
    nnt : tuple of (float, float, float) or None
        Kraemer and Kupfer's number needed to treat, unrounded and signed, at the same three points.
    thresholds : tuple of float
        Thresholds of importance that were stated, on the scale of analysis.
    domains : tuple of DomainRating
        One for each domain.
    interpretation : str
        What the interval allows, in words.
    footnotes : tuple of str
        What a reader must know of the rows and the numbers.
    """

    name: str
    words: str
    fit: MetaAnalysisResult
    absolute: tuple[AbsoluteEffect, ...]
    units: NaturalUnits | None
    superiority: tuple[float, float, float] | None
    nnt: tuple[float, float, float] | None
    thresholds: tuple[float, ...]
    domains: tuple[DomainRating, ...]
    interpretation: str
    footnotes: tuple[str, ...]

    @property
    def certainty(self) -> int | None:
        """From 1, very low, to 4, high; None unless every domain was judged."""
        levels = [rating.levels for rating in self.domains]
        if any(level is None for level in levels):
            return None
        return max(1, 4 - sum(level for level in levels if level is not None))

    @property
    def certainty_words(self) -> str:
        """The certainty in symbols and words, or that it was not rated."""
        return NOT_RATED if self.certainty is None else " ".join(CERTAINTIES[self.certainty])

    @property
    def unjudged(self) -> tuple[Domain, ...]:
        """The domains that nobody judged."""
        return tuple(rating.domain for rating in self.domains if not rating.rating)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SummaryOfFindings(Printable):
    """The result of `summary_of_findings`.

    Parameters
    ----------
    title : str
        Of the table.
    about : tuple of (str, str)
        What heads the table, such as the population, each with its text.
    arms : tuple of (str, str)
        Names of the intervention and the comparison.
    outcomes : tuple of OutcomeFindings
        In the order shown.
    accepted : tuple of str
        Domains whose rule was accepted.
    notes : tuple of str
        What a reader must know about how the numbers came about.
    """

    title: str
    about: tuple[tuple[str, str], ...]
    arms: Arms
    outcomes: tuple[OutcomeFindings, ...]
    accepted: tuple[str, ...]
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the findings in rows.

        Returns
        -------
        DataFrame
            One row for each outcome and control risk (one for an outcome without), unrounded: the effect and its
            intervals as a reader expects them (ratios as ratios), the absolute effect as shares, the number needed to
            treat as a whole number at the same three points as the difference of risks (negative for harm; between ends
            of different signs lies infinity), the difference in points, the probability of superiority,
            and for each domain the rating, who made it and what the rule suggests.
        """
        rows = [row for outcome in self.outcomes for row in _rows(outcome)]
        return pd.DataFrame(rows)

    def to_csv(self, path: str | Path) -> None:
        """Write `to_frame` to a file in UTF-8.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        from metapeer.reporting.findings_documents import write_text

        write_text(path, self.to_frame().to_csv(index=False, lineterminator="\n"))

    def to_markdown(self) -> str:
        """Write the tables in Markdown, as GitHub and Pandoc read it.

        Returns
        -------
        str
            Both tables, the footnotes and the rules.
        """
        from metapeer.reporting.findings_documents import markdown_of

        return markdown_of(self)

    def to_html(self) -> str:
        """Write a page of its own: no other file, no script, readable aloud, on a narrow screen and on paper.

        Returns
        -------
        str
            The page.
        """
        from metapeer.reporting.findings_page import page_of

        return page_of(self)

    def to_docx(self, path: str | Path) -> None:
        """Write a document for Word; needs the package python-docx.

        Parameters
        ----------
        path : str or Path
            The file.

        Raises
        ------
        MetapeerError
            If python-docx is not installed, or the file cannot be written.
        """
        from metapeer.reporting.findings_documents import write_docx

        write_docx(self, path)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the findings in words.

        Returns
        -------
        sequence of TextTable
            The findings; the ratings; the rules.
        """
        from metapeer.reporting.findings_table import text_tables_of

        return text_tables_of(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the lines of a cell apart, which a table of plain texts would run together."""
        from metapeer.reporting.findings_page import body_of

        return body_of(self)


def _rows(outcome: OutcomeFindings) -> list[dict[str, object]]:
    fit = outcome.fit
    display = measure_of(fit.measure).display
    nan = math.nan
    prediction = sorted(map(display, fit.prediction_interval)) if fit.prediction_interval is not None else (nan, nan)
    low, high = sorted((display(fit.ci.low), display(fit.ci.high)))
    units = outcome.units
    first: dict[str, object] = {
        "outcome": outcome.name,
        "name": outcome.words,
        "trials": fit.trials,
        "participants": nan if fit.participants is None else fit.participants,
        "participants_known": fit.participants_known,
        "measure": fit.measure,
        "positive_favours": fit.positive_favours,
        "estimate": display(fit.estimate),
        "ci_low": low,
        "ci_high": high,
        "level": fit.level,
        "prediction_low": prediction[0],
        "prediction_high": prediction[1],
    }
    chance = outcome.superiority or (nan, nan, nan)
    needed = outcome.nnt or (nan, nan, nan)
    last: dict[str, object] = {
        "superiority": chance[0],
        "superiority_low": chance[1],
        "superiority_high": chance[2],
        "nnt_kraemer_kupfer": needed[0],
        "nnt_kraemer_kupfer_low": needed[1],
        "nnt_kraemer_kupfer_high": needed[2],
        "instrument": "" if units is None else units.instrument,
        "points": nan if units is None else units.estimate,
        "points_low": nan if units is None else units.low,
        "points_high": nan if units is None else units.high,
        "sd": nan if units is None else units.sd,
        "sd_origin": "" if units is None else units.origin,
    }
    for domain in DOMAINS:
        rating = next(one for one in outcome.domains if one.domain == domain)
        last |= {
            domain: rating.rating or "not judged",
            f"{domain}_basis": rating.basis,
            f"{domain}_reason": rating.reason,
            f"{domain}_author": rating.author,
            f"{domain}_date": rating.date,
            f"{domain}_suggested": rating.suggested,
            f"{domain}_evidence": rating.evidence,
        }
    words = NOT_RATED if outcome.certainty is None else CERTAINTIES[outcome.certainty][1]
    last |= {
        "certainty": words.lower(),
        "interpretation": outcome.interpretation,
        "footnotes": " | ".join(outcome.footnotes),
    }
    return [first | _absolute_row(effect) | last for effect in outcome.absolute or (None,)]


def _absolute_row(effect: AbsoluteEffect | None) -> dict[str, object]:
    nan = math.nan
    predicted = (nan, nan) if effect is None or effect.predicted is None else effect.predicted
    difference = (nan, nan, nan) if effect is None else effect.difference
    nnt = (nan, nan, nan) if effect is None else effect.nnt
    return {
        "control_risk_name": "" if effect is None else effect.control.name,
        "control_risk": nan if effect is None else effect.control.value,
        "control_risk_origin": "" if effect is None else effect.control.origin,
        "event": "" if effect is None else ("response" if effect.responders else "event"),
        "risk": nan if effect is None else effect.risk,
        "risk_low": nan if effect is None else effect.low,
        "risk_high": nan if effect is None else effect.high,
        "risk_prediction_low": predicted[0],
        "risk_prediction_high": predicted[1],
        "risk_difference": difference[0],
        "risk_difference_low": difference[1],
        "risk_difference_high": difference[2],
        "nnt": nnt[0],
        "nnt_low": nnt[1],
        "nnt_high": nnt[2],
        "risk_method": "" if effect is None else effect.method,
    }
