"""The ledger: every published number beside its recomputation, with a verdict."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pandas as pd

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_number
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.subgroups import SubgroupAnalysisResult
from metapeer.reproduction.claims import Judgement

__all__ = ["QUANTITIES", "Check", "ClaimEntry", "Ledger", "LedgerEntry", "QuestionEntry", "Recomputation", "Verdict"]

Verdict = Literal[
    "reproduced",
    "within rounding of the inputs",
    "differs",
    "cannot be recomputed",
]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "within rounding of the inputs", "differs", "cannot be recomputed")

QUANTITIES = {
    "k": "k",
    "es": "estimate",
    "ci_low": "lower limit",
    "ci_high": "upper limit",
    "z": "test statistic",
    "p": "p",
    "i2": "I²",
    "i2_ci_low": "lower limit of I²",
    "i2_ci_high": "upper limit of I²",
    "tau2": "tau²",
    "q": "Q",
    "q_df": "degrees of freedom of Q",
    "q_p": "p of Q",
}
"""The columns of published.csv that are computed again, in words."""


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

    def difference(self) -> str:
        """The two numbers side by side, with the digits of the print.

        Returns
        -------
        str
            Such as ``"lower limit: -0.53 in print, -0.64 recomputed"``.
        """
        more = 2 if self.printed[:1] in "<>≤≥" else 0  # a number may round to the bound that it breaks
        computed = format_number(self.computed, self.decimals + more)
        return f"{QUANTITIES[self.quantity]}: {self.printed} in print, {computed} recomputed"


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
    numbers : mapping of str to float
        The same by the columns of published.csv, unrounded, on the scale and with the sign of print.
    checks : tuple of Check
        Each printed number that it can be held against.
    """

    name: str
    reason: str
    result: MetaAnalysisResult
    numbers: Mapping[str, float]
    checks: tuple[Check, ...]

    @property
    def agrees(self) -> bool:
        """Whether every printed number comes out."""
        return all(check.agrees for check in self.checks)

    def words(self) -> str:
        """The estimate, interval and I² with the decimals of print, or two where nothing was printed.

        Returns
        -------
        str
            In the shape of `LedgerEntry.published_words`.
        """
        shown = {name: format_number(self.numbers[name]) for name in ("es", "ci_low", "ci_high")}
        shown |= {check.quantity: format_number(check.computed, check.decimals) for check in self.checks}
        return _words(shown, str(self.result.k))


def _words(shown: Mapping[str, str], k: str) -> str:
    """Write an estimate as a paper would: 0.19 (0.11 to 0.27), I² 10% (0 to 44), k 22."""
    text = shown.get("es") or ("nothing pooled" if k == "0" else "not available")
    if shown.get("ci_low") and shown.get("ci_high"):
        text += f" ({shown['ci_low']} to {shown['ci_high']})"
    if shown.get("i2"):
        text += f", I² {shown['i2']}%"
        if shown.get("i2_ci_low") and shown.get("i2_ci_high"):
            text += f" ({shown['i2_ci_low']} to {shown['i2_ci_high']})"
    return f"{text}, k {k}" if k else text


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
    doubts : mapping of str to str
        Corrections recorded for its rows, each "suspected" or "confirmed"; only variants make them.
    """

    review: str
    published_id: str
    published: Mapping[str, str]
    verdict: Verdict
    explanation: str
    recomputation: Recomputation | None = None
    variants: tuple[Recomputation, ...] = ()
    worklist: tuple[str, ...] = ()
    doubts: Mapping[str, str] = field(default_factory=dict)

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
    note : str
        Which suspected errors the rows hold, and what was done with them; empty when they hold none.
    """

    review: str
    title: str
    result: SubgroupAnalysisResult
    note: str = ""


Entry: TypeAlias = LedgerEntry | ClaimEntry | QuestionEntry


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

    def __getitem__(self, name: str) -> Entry:
        """Return an entry by published_id, claim_id or title; "review: published_id" where reviews share one."""
        named = self._named()
        if not isinstance(name, str):
            check_choice("entry", name, list(self))
        full = {full: one for meant in named.values() for full, one in meant}
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
