"""Run a plan: every published number computed again, every claim set beside the evidence, every question answered."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from metapeer.errors import DataError, DataWarning, MetapeerError
from metapeer.formatting import count
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.subgroups import subgroup_analysis
from metapeer.records.catalog import dataset_names, load_claims
from metapeer.records.review import Review
from metapeer.reproduction.claims import Judgement, judge_claim
from metapeer.reproduction.compare import compare, explain_difference, within_rounding
from metapeer.reproduction.entries import ClaimEntry, LedgerEntry, QuestionEntry, Recomputation, Verdict
from metapeer.reproduction.evidence import (
    Store,
    class_difference,
    effects_of,
    evidence,
    evidence_words,
    pool_effects,
)
from metapeer.reproduction.ledger import Ledger
from metapeer.reproduction.plan import Analysis, Claims, Plan, Question, Rows

__all__ = ["reproduce"]

NO_ROWS = "no study-level row of this result is bundled: which trials were pooled, with which numbers, is not known"
NO_NUMBER = "the pooled number itself was not available, nor the rows behind it"
NOTHING_POOLED = "the review found no trial with this outcome: nothing was pooled"

Printed = Mapping[str, str]


def _cannot(review: Review, published: Printed, reason: str) -> LedgerEntry:
    return LedgerEntry(
        review=review.name,
        published_id=published["published_id"],
        published=published,
        verdict="cannot be recomputed",
        explanation=reason,
        worklist=_worklist(review, published["outcome"]),
    )


def _worklist(review: Review, outcome: str) -> tuple[str, ...]:
    """What the folder's worklist says of an outcome, trial by trial."""
    work = review.extras.get("worklist")
    if work is None:
        return ()
    columns = ["study_id", "needed", "where_to_look", "note"]
    chosen = work[work["outcome"] == outcome].reindex(columns=columns, fill_value="").astype(str)
    return tuple(
        f"{study or 'all trials'}: {needed}{f' ({note})' if note else ''}{f'; see {where}' if where else ''}"
        for study, needed, where, note in chosen.to_numpy().tolist()
    )


def _number_entry(store: Store, review: Review, plan: Plan, published: Printed) -> LedgerEntry:
    published_id = published["published_id"]
    analysis = next((a for a in plan.analyses if a.published_id == published_id), None)
    if analysis is None:
        usual = NOTHING_POOLED if published["k"] == "0" else NO_ROWS if published["es"] else NO_NUMBER
        reason = next((m.reason for m in plan.missing if published_id in m.published_ids), usual)
        return _cannot(review, published, reason)
    frame = store.frame(analysis.rows)
    effects = effects_of(frame, analysis.method)
    fit = pool_effects(effects, analysis.method)
    if fit is None:
        why = "; ".join(f"{row}: {reason}" for row, reason in effects[["row_id", "exclusion_reason"]].to_numpy())
        return _cannot(review, published, f"no row can be pooled ({why})")
    way = compare(fit, published, analysis.method, sign=analysis.sign)
    verdict: Verdict = "reproduced"
    reasons = [analysis.note]
    if not way.checks:
        return _cannot(review, published, "nothing that can be computed again was printed")
    if not way.agrees:
        rounding = within_rounding(store, analysis, frame, way)
        verdict = "within rounding of the inputs" if rounding else "differs"
        reasons.insert(0, rounding or explain_difference(frame, analysis, published, way))
    doubts = store.doubtful(analysis.rows)
    if fit.excluded:
        left_out = "; ".join(f"{label}: {reason}" for label, reason in fit.excluded)
        reasons.append(f"{count(len(fit.excluded), 'row')} not pooled ({left_out})")
    return LedgerEntry(
        review=review.name,
        published_id=published_id,
        published=published,
        verdict=verdict,
        explanation="; ".join(text for text in reasons if text),
        recomputation=way,
        variants=tuple(_variants(store, plan, analysis, published, corrected=bool(doubts))),
        doubts=doubts,
    )


def _variants(
    store: Store, plan: Plan, analysis: Analysis, published: Printed, *, corrected: bool
) -> Iterator[Recomputation]:
    for variant in plan.variants:
        if variant.published_ids and analysis.published_id not in variant.published_ids:
            continue
        if variant.overrides and not corrected:  # no correction concerns these rows
            continue
        frame = store.frame(analysis.rows, variant.overrides).assign(**variant.cells)
        method = replace(analysis.method, prefer=variant.prefer or analysis.method.prefer)
        fit = None if frame.empty else pool_effects(effects_of(frame, method), method)
        if fit is not None:
            yield compare(fit, published, method, sign=analysis.sign, name=variant.name, reason=variant.reason)


def _answer(store: Store, review: Review, question: Question) -> QuestionEntry:
    frame = store.frame(question.rows, question.overrides)
    effects = effects_of(frame, question.method, question.by)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the notes say the same
        result = subgroup_analysis(
            effects,
            by=question.by,
            tau2=question.tau2,  # type: ignore[arg-type]  # checked when the plan was read
            **question.method.options(),  # type: ignore[arg-type]
        )
    done = {"": "left as it is", "apply": "corrected", "leave_out": "left out"}[question.overrides]
    doubts = [f"{name} ({status} error, {done})" for name, status in store.doubtful(question.rows).items()]
    note = f"recorded in overrides.csv: {', '.join(doubts)}" if doubts else ""
    return QuestionEntry(review=review.name, title=question.title, result=result, note=note)


def _narrow(rows: Rows, **cells: str) -> Rows:
    """Ask for the same rows with more conditions; an empty one is none."""
    return replace(rows, where={**rows.where, **{column: (cell,) for column, cell in cells.items() if cell}})


Judged = tuple[Judgement, str, dict[str, MetaAnalysisResult]]


def _judge(store: Store, claim: Printed, rows: Rows, claims: Claims, overrides: str = "") -> Judged:
    """Pool the rows a claim speaks of and apply the rule."""
    kind, outcome_class = claim["claim"], claim["outcome_class"]
    if kind == "moderation":
        return judge_claim(kind, None), "", {}
    if kind == "larger":
        pair = outcome_class.split(">")
        fits = {name: evidence(store, _narrow(rows, outcome_class=name), claims.method, overrides) for name in pair}
        found = {name: fit for name, fit in fits.items() if fit is not None}
        if len(found) < 2:
            return judge_claim(kind, None), "", found
        difference, words = class_difference(store, rows, claims.method, (pair[0], pair[1]), overrides)
        return judge_claim(kind, difference), words, found
    fit = evidence(store, rows, claims.method, overrides)
    if fit is None:
        return judge_claim(kind, None), "", {}
    return judge_claim(kind, fit.ci), evidence_words(fit), {claim["outcome"] or outcome_class: fit}


def _claim_entry(store: Store, claim: Printed, claims: Claims) -> ClaimEntry:
    rows = _narrow(claims.rows, format=claim["format"], outcome=claim["outcome"])
    if claim["claim"] != "larger" and not claim["outcome"]:
        rows = _narrow(rows, outcome_class=claim["outcome_class"])
    judgement, words, results = _judge(store, claim, rows, claims)
    sensitivity = []
    doubtful = store.doubtful(rows) if results else {}
    if doubtful:
        status = " or ".join(sorted(set(doubtful.values()), reverse=True))
        for overrides, name in (("leave_out", f"{status} errors left out"), ("apply", f"{status} errors corrected")):
            other, _, fits = _judge(store, claim, rows, claims, overrides)
            if {key: fit.estimate for key, fit in fits.items()} != {key: fit.estimate for key, fit in results.items()}:
                sensitivity.append((name, other))
    return ClaimEntry(
        claim_id=claim["claim_id"],
        review=claim["review"],
        statement=claim["statement"],
        claim=claim["claim"],
        verdict=judgement.verdict,
        explanation=judgement.why,
        evidence=words,
        results=results,
        sensitivity=tuple(sensitivity),
    )


def reproduce(review: str | Path | Sequence[str | Path] | None = None) -> Ledger:
    """Compute every published number again and set it beside the print.

    Parameters
    ----------
    review : str, Path or sequence of them, optional
        A data set from `list_datasets`, or a folder of your own in the same layout; several of either; all bundled
        data sets when left out. A folder of your own takes the place of the bundled data set of its name, also where
        the plan of another data set speaks of it.

    Returns
    -------
    Ledger
        An entry with a verdict for each published number and each claim, and the answers to the plan's questions.

    Raises
    ------
    DataError
        If a data set or its plan is faulty; every fault is listed.
    ChoiceError
        If there is no data set of that name.

    Examples
    --------
    >>> from metapeer import reproduce
    >>> ledger = reproduce("smit2023")
    >>> entry = ledger["clinical recovery"]
    >>> entry.verdict, entry.published_words()
    ('reproduced', '0.19 (0.11 to 0.27), I² 10% (0 to 44), k 22')
    >>> round(entry.result.estimate, 4)
    0.1895
    """
    chosen: Sequence[str | Path]
    if review is None:
        chosen = dataset_names()
    elif isinstance(review, str | Path):
        chosen = [review]
    elif isinstance(review, Sequence):
        chosen = review
    else:
        raise MetapeerError(f"review is a {type(review).__name__}; give the name of a data set, a folder, or a list")
    store = Store()
    reviews = {found.name: found for found in map(store.add, chosen)}
    stated = cast("list[dict[str, str]]", load_claims().astype(str).to_dict("records"))
    entries: list[LedgerEntry] = []
    claims: list[ClaimEntry] = []
    questions: list[QuestionEntry] = []
    for current in reviews.values():
        plan = store.plan(current)
        published = cast("list[dict[str, str]]", current.published.astype(str).to_dict("records"))
        try:
            entries += [_number_entry(store, current, plan, row) for row in published]
            questions += [_answer(store, current, question) for question in plan.questions]
            if plan.claims is not None:
                # A claim that several reviews make stands with the first.
                own = [claim for claim in stated if claim["review"].split(";")[0].strip() == current.name]
                claims += [_claim_entry(store, claim, plan.claims) for claim in own]
        except DataError:
            raise
        except MetapeerError as error:
            raise DataError(f"{current.name}/plan.toml", [str(error)]) from error
    return Ledger(
        titles={found.name: found.title for found in reviews.values()},
        entries=tuple(entries),
        claims=tuple(claims),
        questions=tuple(questions),
    )
