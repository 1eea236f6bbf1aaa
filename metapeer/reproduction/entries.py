"""The entries of a ledger: a published number, a finding in words or a question, beside what was computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from metapeer.formatting import format_number
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.subgroups import SubgroupAnalysisResult
from metapeer.reproduction.claims import Judgement

__all__ = [
    "QUANTITIES",
    "VERDICTS",
    "Check",
    "ClaimEntry",
    "Entry",
    "LedgerEntry",
    "QuestionEntry",
    "Recomputation",
    "Verdict",
]

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
