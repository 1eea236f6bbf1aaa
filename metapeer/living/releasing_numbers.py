"""Every number that a review makes: its ledger, its claims, its questions, and its pooled outcomes."""

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from metapeer.errors import DataWarning, MetapeerError
from metapeer.formatting import count, format_interval, format_level, format_number
from metapeer.living.update_stages import pooled
from metapeer.living.update_states import ReviewStore, state_of
from metapeer.living.update_words import conclusion
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.records.catalog import load_claims
from metapeer.reproduction.claims import judge_claim
from metapeer.reproduction.entries import ClaimEntry, LedgerEntry, QuestionEntry, Recomputation
from metapeer.reproduction.evidence import class_difference
from metapeer.reproduction.plan import Method, Plan
from metapeer.reproduction.run import reproduce

__all__ = ["ABSOLUTE", "PRINT", "RELATIVE", "Numbers", "datasets_of", "estimate_words", "numbers_differ", "numbers_of"]

# The last digits of a sum of doubles depend on the order of addition and on the mathematical library, and both differ
# between platforms and versions. Moving every effect and variance of the bundled reviews by a unit in the last place at
# random moved no number by more than 2e-13 of its size. 1e-9 is well above that, and far below anything printed.
RELATIVE = 1e-9
# What is zero in exact arithmetic (tau² or I² below its bound, a difference of equals) has no relative difference.
# No quantity is printed with more than four decimals.
ABSOLUTE = 1e-12

PRINT = "beside print"
"""The word under which the verdict on a printed number stands; it concerns the print, and is no conclusion."""

_EFFECT = ("measure", "variance", "prefer", "events_to_smd", "within_trial", "rho")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What one result came to.

    Parameters
    ----------
    method : str
        How it was computed, in words.
    measure : str
        The effect measure; empty where there is none.
    numbers : mapping of str to float
        Quantity to value, unrounded; NaN where it is not defined.
    words : mapping of str to str
        Verdicts.
    """

    method: str = ""
    measure: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


def numbers_differ(one: float, two: float) -> bool:
    """Tell whether two numbers differ by more than platforms do.

    Parameters
    ----------
    one, two : float
        The numbers; NaN equals NaN.

    Returns
    -------
    bool
        Whether they differ.

    Examples
    --------
    >>> numbers_differ(0.1 + 0.2, 0.3), numbers_differ(0.3, 0.30001), numbers_differ(float("nan"), 0.3)
    (False, True, True)
    """
    if math.isnan(one) or math.isnan(two):
        return math.isnan(one) is not math.isnan(two)
    return not (one == two or math.isclose(one, two, rel_tol=RELATIVE, abs_tol=ABSOLUTE))


def datasets_of(review: str, plan: Plan) -> tuple[str, ...]:
    """Name the data sets whose rows a plan uses.

    Parameters
    ----------
    review : str
        The review's own name.
    plan : Plan
        Its plan.

    Returns
    -------
    tuple of str
        Without the review itself.
    """
    rows = [*(one.rows for one in plan.analyses), *(one.rows for one in plan.questions)]
    rows += [plan.claims.rows] if plan.claims is not None else []
    return tuple(sorted({name for one in rows for name in one.datasets} - {review}))


def numbers_of(folder: Path) -> tuple[dict[str, Numbers], tuple[str, ...]]:
    """Compute everything that a review's plan asks for.

    Parameters
    ----------
    folder : Path
        The review's folder.

    Returns
    -------
    dict of str to Numbers
        Name of the result to what it came to, in the order of the ledger; then the claims, the questions and the
        pooled outcomes.
    tuple of str
        The bundled data sets whose rows were used.

    Raises
    ------
    DataError
        If something is wrong in the folder.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # doubts about the data are the business of those who enter them
        ledger = reproduce(folder)
        store = ReviewStore()
        review = store.add(folder)
        plan = store.plan(review)
        found: dict[str, Numbers] = {}
        pieces = [
            *(piece for entry in ledger.entries for piece in _of_entry(entry, plan)),
            *(piece for claim in ledger.claims for piece in _of_claim(claim, store, plan)),
            *(piece for question in ledger.questions for piece in _of_question(question)),
            *_of_tracks(store, review.name, {f"claim: {claim.claim_id}" for claim in ledger.claims}),
        ]
    for name, piece in pieces:
        unique, again = name, 2
        while unique in found:
            unique, again = f"{name} ({again})", again + 1
        found[unique] = piece
    return found, datasets_of(review.name, plan)


def _of_fit(fit: MetaAnalysisResult, method: Method | None = None, **words: str) -> Numbers:
    """Every number of a meta-analysis, and the codes of its methods."""
    facts: dict[str, Any] = {str(name): cell for name, cell in fit.to_frame().iloc[0].to_dict().items()}
    codes = [
        facts["measure"] or "effect",
        f"{facts['model']} effects",
        facts["weighting"],
        f"tau2 {facts['tau2_method']}" if facts["tau2_method"] else "",
        f"interval {facts['ci_method']}",
        f"prediction {facts['prediction_method']}" if facts["prediction_method"] else "",
    ]
    how = ", ".join(code for code in codes if code)
    if method is not None:
        told = ", ".join(f"{name} {_plain(getattr(method, name))}" for name in _EFFECT[1:])
        how += f"; effects: {told}"
    numbers = {
        name: math.nan if cell is None else float(cell) for name, cell in facts.items() if not isinstance(cell, str)
    }
    return Numbers(method=how, measure=fit.measure, numbers=numbers, words=words)


def _plain(value: object) -> str:
    return "not given" if value != value or value == "" else str(value)  # noqa: PLR0124 - NaN differs from itself


def _of_way(way: Recomputation, method: Method | None, **words: str) -> Numbers:
    whole = _of_fit(way.result, method, **words)
    printed = {f"printed_{name}": float(value) for name, value in way.numbers.items()}
    return replace(whole, numbers={**whole.numbers, **printed})


def _of_entry(entry: LedgerEntry, plan: Plan) -> Iterator[tuple[str, Numbers]]:
    name = f"result: {entry.published_id}"
    method = next((one.method for one in plan.analyses if one.published_id == entry.published_id), None)
    if entry.recomputation is None:
        yield name, Numbers(words={PRINT: entry.verdict})
    else:
        words = {PRINT: entry.verdict, "conclusion": conclusion(entry.result)}
        yield name, _of_way(entry.recomputation, method, **words)
    for variant in entry.variants:
        yield f"{name} ({variant.name})", _of_way(variant, None)


def _of_claim(claim: ClaimEntry, store: ReviewStore, plan: Plan) -> Iterator[tuple[str, Numbers]]:
    name = f"claim: {claim.claim_id}"
    words = {"verdict": claim.verdict} | {f"verdict, {what}": judged.verdict for what, judged in claim.sensitivity}
    numbers: dict[str, float] = {}
    method = ""
    if claim.claim == "larger" and len(claim.results) > 1 and plan.claims is not None:
        stated = load_claims().astype(str).set_index("claim_id").loc[claim.claim_id]
        cells = {column: (str(stated[column]),) for column in ("format", "outcome") if stated[column]}
        rows = replace(plan.claims.rows, where={**plan.claims.rows.where, **cells})
        one, _, two = str(stated["outcome_class"]).partition(">")
        interval, method = class_difference(store, rows, plan.claims.method, (one, two))
        numbers = {"ci_low": interval.low, "ci_high": interval.high, "level": interval.level}
        method = method.rpartition("; ")[2] if "; " in method else interval.method
    yield name, Numbers(method=method, numbers=numbers, words=words)
    for what, fit in claim.results.items():
        yield f"{name}: {what}", _of_fit(fit, None if plan.claims is None else plan.claims.method)


def _of_question(question: QuestionEntry) -> Iterator[tuple[str, Numbers]]:
    result = question.result
    name = f"question: {question.title}"
    for level, fit in zip((*result.levels, "overall"), (*result.results, result.overall), strict=True):
        yield f"{name}: {level}", _of_fit(fit)
    test = {
        "tau2_common": result.tau2_common,
        "Q_between": result.Q_between,
        "df": result.df,
        "df2": result.df2,
        "p_value": result.p_value,
    }
    how = f"{result.test or 'no test'} between subgroups, tau2 {result.tau2}"
    yield f"{name}: test", Numbers(method=how, numbers={key: float(value) for key, value in test.items()})


def _of_tracks(store: ReviewStore, review: str, known: set[str]) -> Iterator[tuple[str, Numbers]]:
    """The outcomes that a review pools, each with its claim; and claims that its ledger leaves to another folder."""
    for by in ("outcome", "claim"):
        try:
            state = state_of(store, store.review(review), by=by, overrides="", method={}, where={})
        except MetapeerError:
            if by == "outcome":
                raise
            continue  # the review makes no claim
        for track in state.tracks.values():
            name = f"{by}: {track.name}"
            if name in known:
                continue
            fit = pooled(track.rows.select(state.frame(track.rows)).reset_index(drop=True), track.method)
            words = {"conclusion": conclusion(fit)}
            if track.claim and (fit is None or fit.measure in ("SMD", "SMDH")):
                judged = judge_claim(track.claim["claim"], None if fit is None else fit.ci)
                words |= {"claim": track.claim["statement"], "verdict": judged.verdict}
            yield name, Numbers(words=words) if fit is None else _of_fit(fit, track.method, **words)


def estimate_words(result: Numbers | None) -> str:
    """Write a locked estimate as a paper would.

    Parameters
    ----------
    result : Numbers or None
        What was locked.

    Returns
    -------
    str
        Such as ``"SMD 0.190 (95% CI 0.110 to 0.270; 22 trials)"``.

    Examples
    --------
    >>> estimate_words(Numbers(measure="SMD", numbers={"estimate": 0.19, "se": 0.04, "ci_low": 0.11, "ci_high": 0.27,
    ...                                                "level": 0.95, "k": 22, "trials": 22}))
    'SMD 0.190 (95% CI 0.110 to 0.270; 22 trials)'
    """
    if result is None or math.isnan(result.numbers.get("estimate", math.nan)):
        return "not pooled"
    facts = result.numbers
    measure = measure_of(result.measure)
    try:
        shown = [
            measure.display(facts.get(name, math.nan), facts.get("se", math.nan) ** 2)
            for name in ("estimate", "ci_low", "ci_high")
        ]
    except OverflowError:  # a ratio beyond all numbers
        shown = [math.inf] * 3
    trials, k = facts.get("trials", math.nan), facts.get("k", math.nan)
    size = ""
    if math.isfinite(trials):
        size = (
            f"; {count(int(trials), 'trial')}"
            if k == trials
            else f"; {k:,.0f} effects from {count(int(trials), 'trial')}"
        )
    return (
        f"{result.measure or 'effect'} {format_number(shown[0], 3)} ({format_level(facts.get('level', 0.95))} CI "
        f"{format_interval(shown[1], shown[2], 3)}{size})"
    )
