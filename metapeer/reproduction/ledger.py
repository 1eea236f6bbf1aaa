"""The ledger: every published number beside its recomputation, with a verdict."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import Printable, TextTable, count
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.reproduction.entries import QUANTITIES, VERDICTS, ClaimEntry, Entry, LedgerEntry, QuestionEntry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Ledger"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Ledger(Printable):
    """What `reproduce` found.

    Parameters
    ----------
    titles : mapping of str to str
        The data sets that were run, with their titles.
    entries : tuple of LedgerEntry
        Published numbers.
    claims : tuple of ClaimEntry
        Findings in words.
    questions : tuple of QuestionEntry
        Subgroup analyses.
    """

    titles: Mapping[str, str]
    entries: tuple[LedgerEntry, ...]
    claims: tuple[ClaimEntry, ...] = field(default=())
    questions: tuple[QuestionEntry, ...] = field(default=())

    @property
    def reviews(self) -> tuple[str, ...]:
        """The data sets that were run."""
        return tuple(self.titles)

    def _named(self) -> dict[str, list[tuple[str, Entry]]]:
        """Entries by their short names, each with its full name; a short name may stand for several."""
        named: dict[str, list[tuple[str, Entry]]] = {}
        for one in self.entries:
            named.setdefault(one.published_id, []).append((f"{one.review}: {one.published_id}", one))
        for claim in self.claims:
            named.setdefault(claim.claim_id, []).append((f"claim: {claim.claim_id}", claim))
        for question in self.questions:
            named.setdefault(question.title, []).append((f"{question.review}: {question.title}", question))
        return named

    def __iter__(self) -> Iterator[str]:
        """Go through the names that `ledger[name]` takes."""
        for short, meant in self._named().items():
            yield from [short] if len(meant) == 1 else [full for full, _ in meant]

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __getitem__(self, name: object) -> Entry:
        """Return an entry by published_id, claim_id or title; "review: published_id" where reviews share one."""
        named = self._named()
        full = {full: one for meant in named.values() for full, one in meant}
        if isinstance(name, str):
            if name in full:
                return full[name]
            meant = named.get(name, [])
            if len(meant) > 1:
                raise ChoiceError(f"entry {name!r} is in several: ask for {' or '.join(repr(one) for one, _ in meant)}")
        return named[check_choice("entry", name, list(self))][0][1]

    def to_frame(self) -> pd.DataFrame:
        """Put the ledger in rows, for machines.

        Returns
        -------
        DataFrame
            One row for each way in which a published number, a claim or a question was computed, and one for each that
            was not: ``review``, ``id``, ``kind`` ("published number", "claim" or "question"), ``verdict`` ("beside it"
            for a variant), ``explanation``, ``computed_as`` (the way, or the subgroup), ``measure``, the printed
            numbers as text (``published_es`` ...), the recomputed ones unrounded, on the scale and with the sign of
            print (``es`` ...), and ``to_do``, what is missing.
        """
        rows = [row for entry in self.entries for row in _entry_rows(entry)]
        rows += [row for claim in self.claims for row in _claim_rows(claim)]
        rows += [row for question in self.questions for row in _question_rows(question)]
        columns = [
            *("review", "id", "kind", "verdict", "explanation", "computed_as", "measure"),
            *(f"published_{name}" for name in QUANTITIES),
            *QUANTITIES,
            "to_do",
        ]
        words = [name for name in columns if name not in QUANTITIES]
        numbers = dict.fromkeys(QUANTITIES, float("nan"))
        filled = [dict.fromkeys(words, "") | numbers | row for row in rows]
        frame = pd.DataFrame(filled, columns=columns)
        return frame.astype(dict.fromkeys(words, str) | dict.fromkeys(QUANTITIES, float))

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw published pooled effects above their recomputations.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure of the right height when left out.
        **options
            ``review``, ``measure``, and anything else that `agreement_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.pooling.displays_pairs import agreement_plot

        return agreement_plot(self, ax=ax, **options)

    def counts(self) -> dict[str, int]:
        """Count the verdicts.

        Returns
        -------
        dict of str to int
            Every verdict on published numbers, zero included, then those on claims.
        """
        numbers = Counter(entry.verdict for entry in self.entries)
        claims = Counter(f"claim {claim.verdict}" for claim in self.claims)
        return {verdict: numbers[verdict] for verdict in VERDICTS} | dict(sorted(claims.items()))

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the ledger in words.

        Returns
        -------
        sequence of TextTable
            The published numbers of each review, those with most recomputed numbers first; the questions; the claims;
            and the count of verdicts.
        """
        tables = [
            *(self._review_table(review) for review in self._most_recomputed_first()),
            *(self._question_table(question) for question in self.questions),
        ]
        if self.claims:
            tables.append(self._claim_table())
        counts = self.counts()
        numbers = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]]
        judged = [f"{number} {key[6:]}" for key, number in counts.items() if key.startswith("claim ")]
        notes = []
        if self.entries:
            notes.append(f"{count(len(self.entries), 'published result')}: {', '.join(numbers)}.")
        if self.claims:
            notes.append(f"{count(len(self.claims), 'claim')} in words: {', '.join(judged)}.")
        tables.append(TextTable(header=(), rows=(), notes=notes or ["nothing published and no claim to set beside"]))
        return tables

    def _most_recomputed_first(self) -> list[str]:
        recomputed = Counter(entry.review for entry in self.entries if entry.result is not None)
        listed = dict.fromkeys(entry.review for entry in self.entries)
        return sorted(listed, key=lambda review: -recomputed[review])

    def _heading(self, review: str) -> str:
        title = self.titles.get(review, "")
        return f"{title} ({review})" if title and title != review else review

    def _review_table(self, review: str) -> TextTable:
        entries = [entry for entry in self.entries if entry.review == review]
        rows: list[tuple[str, ...]] = []
        for entry in entries:
            way = entry.recomputation
            recomputed = "" if way is None else way.words()
            measure = entry.published.get("es_type", "")
            rows.append((entry.published_id, measure, entry.published_words(), recomputed, entry.verdict))
            rows += [(f"  {variant.name}", "", "", variant.words(), "beside it") for variant in entry.variants]
        return TextTable(
            title=f"{self._heading(review)}: published and recomputed",
            header=("result", "measure", "published", "recomputed", "verdict"),
            rows=rows,
            notes=_notes(entries),
        )

    def _question_table(self, question: QuestionEntry) -> TextTable:
        table = question.result.text_tables()[0]
        return TextTable(
            title=f"{question.title} ({question.review})\n{table.title}",
            header=table.header,
            rows=table.rows,
            notes=[*table.notes, *([question.note] if question.note else [])],
        )

    def _claim_table(self) -> TextTable:
        rows: list[tuple[str, ...]] = []
        for claim in self.claims:
            rows.append((claim.claim_id, claim.statement, claim.evidence, claim.verdict, claim.explanation))
            rows += [(f"  {what}", "", "", other.verdict, other.why) for what, other in claim.sensitivity]
        return TextTable(
            title="Findings in words, beside the recomputed evidence (SMD: standardised mean difference; above 0 "
            "favours peer support)",
            header=("claim", "in words", "evidence", "verdict", "because"),
            rows=rows,
        )


def _notes(entries: Sequence[LedgerEntry]) -> list[str]:
    """One line for each reason, with the results it is the reason of; then what is missing."""
    reasons: dict[tuple[str, str], list[str]] = {}
    ways: dict[str, None] = {}
    for entry in entries:
        if entry.explanation:
            reasons.setdefault((entry.verdict, entry.explanation), []).append(entry.published_id)
        ways |= dict.fromkeys(f"{variant.name}: {variant.reason}" for variant in entry.variants)
    notes = []
    for (verdict, reason), ids in reasons.items():
        others = [entry.published_id for entry in entries if entry.verdict == verdict and entry.published_id not in ids]
        if not others:
            which = verdict
        elif len(ids) <= len(others):
            which = f"{verdict} ({'; '.join(ids)})"
        else:
            which = f"{verdict} (all but {'; '.join(others)})"
        notes.append(f"{which}: {reason}")
    notes += ways
    doubts: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        for doubt in entry.doubts.items():
            doubts.setdefault(doubt, []).append(entry.published_id)
    notes += [f"{status} error, overrides.csv: {name} ({'; '.join(ids)})" for (name, status), ids in doubts.items()]
    for entry in entries:
        if entry.worklist:
            notes.append(f"to do for {entry.published_id}:")
            notes += [f"  {line}" for line in entry.worklist]
    return notes


def _entry_rows(entry: LedgerEntry) -> list[dict[str, object]]:
    base: dict[str, object] = {
        "review": entry.review,
        "id": entry.published_id,
        "kind": "published number",
        "verdict": entry.verdict,
        "explanation": entry.explanation,
        "measure": entry.published.get("es_type", ""),
        "to_do": "; ".join(entry.worklist),
        **{f"published_{name}": entry.published.get(name, "") for name in QUANTITIES},
    }
    ways = [way for way in (entry.recomputation, *entry.variants) if way is not None]
    rows = [base | {"computed_as": way.name, "measure": way.result.measure} | dict(way.numbers) for way in ways]
    for row, variant in zip(rows[1:], entry.variants, strict=True):
        row |= {"verdict": "beside it", "explanation": variant.reason}
    return rows or [base]


def _claim_rows(claim: ClaimEntry) -> list[dict[str, object]]:
    fits = list(claim.results.values())
    base: dict[str, object] = {
        "review": claim.review,
        "id": claim.claim_id,
        "kind": "claim",
        "verdict": claim.verdict,
        "explanation": claim.explanation,
        "computed_as": claim.evidence,
    }
    if len(fits) == 1:
        base |= {"measure": fits[0].measure, **_fit_numbers(fits[0])}
    same: dict[str, object] = {key: base[key] for key in ("review", "id", "kind")}
    beside = [
        same | {"verdict": other.verdict, "explanation": other.why, "computed_as": what}
        for what, other in claim.sensitivity
    ]
    return [base, *beside]


def _question_rows(question: QuestionEntry) -> list[dict[str, object]]:
    result = question.result
    base: dict[str, object] = {"review": question.review, "id": question.title, "kind": "question"}
    fits = zip((*result.levels, "overall"), (*result.results, result.overall), strict=True)
    rows = [base | {"computed_as": level, "measure": fit.measure, **_fit_numbers(fit)} for level, fit in fits]
    rows[-1]["explanation"] = "; ".join(text for text in (result.test_words(), question.note) if text)
    return rows


def _fit_numbers(fit: MetaAnalysisResult) -> dict[str, object]:
    measure = measure_of(fit.measure)
    return {
        "k": fit.k,
        "es": measure.display(fit.estimate),
        "ci_low": measure.display(fit.ci.low),
        "ci_high": measure.display(fit.ci.high),
        "z": fit.statistic,
        "p": fit.p_value,
        "i2": fit.I2,
        "tau2": fit.tau2,
        "q": fit.Q,
        "q_df": fit.Q_df,
        "q_p": fit.Q_p,
    }
