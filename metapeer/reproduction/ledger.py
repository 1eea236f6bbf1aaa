"""The ledger: every published number beside its recomputation, with a verdict."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from metapeer.errors import check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_number
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.subgroups import SubgroupAnalysisResult
from metapeer.reproduction.claims import Judgement

__all__ = ["Check", "ClaimEntry", "Ledger", "LedgerEntry", "QuestionEntry", "Recomputation", "Verdict"]

Verdict = Literal[
    "reproduced",
    "within rounding of the inputs",
    "differs",
    "cannot be recomputed",
]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "within rounding of the inputs", "differs", "cannot be recomputed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One printed number and its recomputation.

    Parameters
    ----------
    quantity : str
        The column of published.csv.
    printed : str
        As printed.
    decimals : int
        Digits after the point, as printed.
    computed : float
        Recomputed, unrounded, with the sign of print.
    agrees : bool
        Whether it would be printed the same.
    """

    quantity: str
    printed: str
    decimals: int
    computed: float
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recomputation:
    """One way of computing a published result anew.

    Parameters
    ----------
    name : str
        What was done.
    reason : str
        Why it is shown.
    result : MetaAnalysisResult
        What came out.
    checks : tuple of Check
        Each printed number that it can be held against.
    """

    name: str
    reason: str
    result: MetaAnalysisResult
    checks: tuple[Check, ...]

    @property
    def agrees(self) -> bool:
        """Whether every printed number comes out."""
        return all(check.agrees for check in self.checks)

    def words(self) -> str:
        """The estimate, interval and I² with the decimals of print.

        Returns
        -------
        str
            In the shape of `LedgerEntry.published_words`.
        """
        shown = {check.quantity: format_number(check.computed, check.decimals) for check in self.checks}
        if "es" in shown:
            return _words(shown, self.result.k)
        measure = measure_of(self.result.measure)
        return (
            f"{format_number(measure.display(self.result.estimate))} "
            f"({format_interval(measure.display(self.result.ci.low), measure.display(self.result.ci.high))})"
        )


def _words(shown: Mapping[str, str], k: int | str) -> str:
    """Write an estimate as a paper would: 0.19 (0.11 to 0.27), I² 10% (0 to 44), k 22."""
    text = shown.get("es") or ("nothing pooled" if k == "0" else "not available")
    if shown.get("ci_low") and shown.get("ci_high"):
        text += f" ({shown['ci_low']} to {shown['ci_high']})"
    if shown.get("i2"):
        text += f", I² {shown['i2']}%"
        if shown.get("i2_ci_low") and shown.get("i2_ci_high"):
            text += f" ({shown['i2_ci_low']} to {shown['i2_ci_high']})"
    return f"{text}, k {k}" if k != "" else text


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LedgerEntry:
    """One published pooled result.

    Parameters
    ----------
    review : str
        The data set it stands in.
    published_id : str
        Its row of published.csv.
    published : mapping of str to str
        The row, as printed.
    verdict : str
        "reproduced", "within rounding of the inputs", "differs" or "cannot be recomputed".
    explanation : str
        What the verdict rests on.
    recomputation : Recomputation or None
        The review's own way, done again; None when it cannot be.
    variants : tuple of Recomputation
        Beside it, never instead of it.
    worklist : tuple of str
        What is missing, trial by trial.
    """

    review: str
    published_id: str
    published: Mapping[str, str]
    verdict: Verdict
    explanation: str
    recomputation: Recomputation | None = None
    variants: tuple[Recomputation, ...] = ()
    worklist: tuple[str, ...] = ()

    @property
    def result(self) -> MetaAnalysisResult | None:
        """The recomputed meta-analysis; None when it cannot be recomputed."""
        return None if self.recomputation is None else self.recomputation.result

    def published_words(self) -> str:
        """The published result as a paper would write it.

        Returns
        -------
        str
            Such as ``"0.19 (0.11 to 0.27), I² 10% (0 to 44), k 22"``.
        """
        return _words(self.published, self.published.get("k", ""))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClaimEntry:
    """One finding in words, beside the recomputed evidence.

    Parameters
    ----------
    claim_id, review, statement, claim : str
        As in claims.csv.
    verdict : str
        "supported", "not supported" or "undecided".
    explanation : str
        What the verdict rests on.
    evidence : str
        The recomputed effect in words.
    results : mapping of str to MetaAnalysisResult
        The meta-analyses it rests on.
    sensitivity : tuple of (str, Judgement)
        What was left out or corrected, and the judgement then.
    """

    claim_id: str
    review: str
    statement: str
    claim: str
    verdict: str
    explanation: str
    evidence: str
    results: Mapping[str, MetaAnalysisResult]
    sensitivity: tuple[tuple[str, Judgement], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuestionEntry:
    """A subgroup analysis asked of the rows beyond what a paper printed.

    Parameters
    ----------
    review, title : str
        Whose rows, and the question.
    result : SubgroupAnalysisResult
        The answer.
    """

    review: str
    title: str
    result: SubgroupAnalysisResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Ledger(Printable):
    """What `reproduce` found.

    Parameters
    ----------
    reviews : tuple of str
        The data sets that were run.
    entries : tuple of LedgerEntry
        Published numbers.
    claims : tuple of ClaimEntry
        Findings in words.
    questions : tuple of QuestionEntry
        Subgroup analyses.
    """

    reviews: tuple[str, ...]
    entries: tuple[LedgerEntry, ...]
    claims: tuple[ClaimEntry, ...] = field(default=())
    questions: tuple[QuestionEntry, ...] = field(default=())

    def _keys(self) -> dict[str, LedgerEntry | ClaimEntry | QuestionEntry]:
        found: dict[str, LedgerEntry | ClaimEntry | QuestionEntry] = {}
        for entry in self.entries:
            found.setdefault(entry.published_id, entry)
            found[f"{entry.review}: {entry.published_id}"] = entry
        found |= {claim.claim_id: claim for claim in self.claims}
        return found | {question.title: question for question in self.questions}

    def __getitem__(self, key: str) -> LedgerEntry | ClaimEntry | QuestionEntry:
        """Return an entry by published_id ("review: published_id" where reviews share one), claim_id or title."""
        keys = self._keys()
        return keys[check_choice("entry", key, keys)]

    def to_frame(self) -> pd.DataFrame:
        """Put the ledger in rows, for machines.

        Returns
        -------
        DataFrame
            One row for each recomputation of each published number and one for each claim: ``review``, ``id``,
            ``kind``, ``verdict``, ``explanation``, ``computed_as``, the printed numbers as text (``published_es`` ...)
            and the recomputed ones unrounded (``es`` ...).
        """
        rows: list[dict[str, object]] = []
        quantities = ("k", "es", "ci_low", "ci_high", "i2", "i2_ci_low", "i2_ci_high", "tau2", "q", "q_df", "p")
        for entry in self.entries:
            base: dict[str, object] = {
                "review": entry.review,
                "id": entry.published_id,
                "kind": "published number",
                "verdict": entry.verdict,
                "explanation": entry.explanation,
                **{f"published_{name}": entry.published.get(name, "") for name in quantities},
            }
            ways = [way for way in (entry.recomputation, *entry.variants) if way is not None]
            rows += [
                base | {"computed_as": way.name} | _computed(way) | ({"verdict": "beside it"} if i else {})
                for i, way in enumerate(ways)
            ] or [base]
        for claim in self.claims:
            fit = next(iter(claim.results.values()), None)
            numbers = (
                {"k": fit.k, "es": fit.estimate, "ci_low": fit.ci.low, "ci_high": fit.ci.high}
                if fit is not None and len(claim.results) == 1
                else {}
            )
            rows.append(
                {
                    "review": claim.review,
                    "id": claim.claim_id,
                    "kind": "claim",
                    "verdict": claim.verdict,
                    "explanation": claim.explanation,
                    **numbers,
                }
            )
        return pd.DataFrame(rows)

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
            The published numbers of each review, the questions, the claims, and the count of verdicts.
        """
        tables = [
            *(self._review_table(review) for review in self._most_recomputed_first()),
            *(self._question_table(question) for question in self.questions),
        ]
        if self.claims:
            tables.append(self._claim_table())
        words = [
            f"{number} {verdict}" for verdict, number in self.counts().items() if "claim" not in verdict and number
        ]
        judged = [
            f"{number} {verdict.removeprefix('claim ')}"
            for verdict, number in self.counts().items()
            if "claim" in verdict
        ]
        notes = []
        if self.entries:
            notes.append(f"{count(len(self.entries), 'published result')}: {', '.join(words)}.")
        if self.claims:
            notes.append(f"{count(len(self.claims), 'claim')} in words: {', '.join(judged)}.")
        tables.append(TextTable(header=(), rows=(), notes=notes or ["nothing published and no claim to set beside"]))
        return tables

    def _most_recomputed_first(self) -> list[str]:
        recomputed = Counter(entry.review for entry in self.entries if entry.result is not None)
        listed = dict.fromkeys(entry.review for entry in self.entries)
        return sorted(listed, key=lambda review: -recomputed[review])

    def _review_table(self, review: str) -> TextTable:
        rows: list[tuple[str, ...]] = []
        notes: dict[str, None] = {}
        for entry in (e for e in self.entries if e.review == review):
            way = entry.recomputation
            recomputed = "" if way is None else way.words()
            rows.append((entry.published_id, entry.published_words(), recomputed, entry.verdict))
            rows += [(f"  {variant.name}", "", variant.words(), "beside it") for variant in entry.variants]
            if entry.verdict != "reproduced":
                notes[f"{entry.verdict}: {entry.explanation}"] = None
            elif way is not None and entry.explanation:
                notes[f"{entry.published_id}: {entry.explanation}"] = None
            notes |= dict.fromkeys(f"{variant.name}: {variant.reason}" for variant in entry.variants)
            notes |= dict.fromkeys(f"  to do: {line}" for line in entry.worklist)
        return TextTable(
            title=f"{review}: published and recomputed",
            header=("result", "published", "recomputed", "verdict"),
            rows=rows,
            notes=list(notes),
        )

    def _question_table(self, question: QuestionEntry) -> TextTable:
        table = question.result.text_tables()[0]
        return TextTable(
            title=f"{question.title} ({question.review})\n{table.title}",
            header=table.header,
            rows=table.rows,
            notes=table.notes,
        )

    def _claim_table(self) -> TextTable:
        rows: list[tuple[str, ...]] = []
        for claim in self.claims:
            rows.append((claim.claim_id, claim.statement, claim.evidence, claim.verdict, claim.explanation))
            rows += [(f"  {what}", "", "", other.verdict, other.why) for what, other in claim.sensitivity]
        return TextTable(
            title="Findings in words, beside the recomputed evidence (standardised mean difference; positive favours "
            "peer support)",
            header=("claim", "in words", "evidence", "verdict", "because"),
            rows=rows,
        )


def _computed(way: Recomputation) -> dict[str, object]:
    measure = measure_of(way.result.measure)
    fit = way.result
    numbers: dict[str, object] = {
        "k": fit.k,
        "es": measure.display(fit.estimate),
        "ci_low": measure.display(fit.ci.low),
        "ci_high": measure.display(fit.ci.high),
        "tau2": fit.tau2,
        "q": fit.Q,
        "q_df": fit.Q_df,
        "p": fit.p_value,
    }
    return numbers | {check.quantity: check.computed for check in way.checks}
