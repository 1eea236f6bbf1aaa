"""Run a plan: every published number computed again, every claim set beside the evidence, every question answered."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from metapeer.effects.measures import ARMS
from metapeer.errors import DataError, DataWarning, MetapeerError
from metapeer.formatting import count, format_interval, format_number
from metapeer.pooling.models import pool, read_effects
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.subgroups import subgroup_analysis
from metapeer.pooling.weighted import FloatArray
from metapeer.records.catalog import Review, list_datasets, load_claims
from metapeer.reproduction.claims import Judgement, compare_classes, judge_claim
from metapeer.reproduction.evidence import Store, effects_of, evidence, pool_rows
from metapeer.reproduction.ledger import (
    Check,
    ClaimEntry,
    Ledger,
    LedgerEntry,
    QuestionEntry,
    Recomputation,
    Verdict,
)
from metapeer.reproduction.plan import Analysis, Method, Plan, Question, Variant, read_plan
from metapeer.reproduction.rounding import Printed, find_inputs, reachable_range, read_printed

__all__ = ["reproduce"]

NO_ROWS = "no study-level row of this result is bundled: which trials were pooled, with which numbers, is not known"
NO_NUMBER = "the pooled number itself was not available, nor the rows behind it"
NOTHING_POOLED = "the review found no trial with this outcome: nothing was pooled"
OWN_WAY = "as the review did"
CHECKED = ("k", "es", "ci_low", "ci_high", "i2", "i2_ci_low", "i2_ci_high", "tau2", "q", "q_df", "q_p", "p")


def _computed(fit: MetaAnalysisResult, method: Method, sign: int) -> dict[str, float]:
    """Recomputed quantities by the columns of published.csv, with the sign of print."""
    measure = measure_of(fit.measure)
    ends = sorted(sign * end for end in fit.ci)
    from_q = method.i2 == "Q" or fit.model == "common"
    i2, i2_ci = (fit.I2_Q, fit.I2_Q_ci) if from_q else (fit.I2, fit.I2_ci)
    low, high = (np.nan, np.nan) if i2_ci is None else i2_ci
    return {
        "k": float(fit.k),
        "es": measure.display(sign * fit.estimate),
        "ci_low": measure.display(ends[0]),
        "ci_high": measure.display(ends[1]),
        "i2": i2,
        "i2_ci_low": low,
        "i2_ci_high": high,
        "tau2": fit.tau2,
        "q": fit.Q,
        "q_df": float(fit.Q_df),
        "q_p": fit.Q_p,
        "p": fit.p_value,
    }


def _checks(fit: MetaAnalysisResult, published: dict[str, str], method: Method, sign: int) -> tuple[Check, ...]:
    computed = _computed(fit, method, sign)
    checks = []
    for quantity in CHECKED:
        printed = read_printed(published[quantity])
        if printed is not None:
            checks.append(
                Check(
                    quantity=quantity,
                    printed=printed.text,
                    decimals=printed.decimals,
                    computed=computed[quantity],
                    agrees=printed.agrees(computed[quantity]),
                )
            )
    return tuple(checks)


def _recompute(
    frame: pd.DataFrame, method: Method, published: dict[str, str], sign: int, *, name: str = OWN_WAY, reason: str = ""
) -> Recomputation:
    fit = pool_rows(frame, method)
    return Recomputation(name=name, reason=reason, result=fit, checks=_checks(fit, published, method, sign))


def _half_steps(review_text: pd.DataFrame, rows: pd.DataFrame, columns: Sequence[str]) -> FloatArray:
    """Half a unit of the last digit of each input, as it stands in the file; shape (rows, columns)."""
    texts = review_text.set_index("row_id")
    steps = np.zeros((len(rows), len(columns)))
    for i, row_id in enumerate(rows["row_id"]):
        for j, column in enumerate(columns):
            printed = read_printed(str(texts.loc[row_id, column]))
            steps[i, j] = 0.0 if printed is None else printed.half_step
    return steps


def _within_rounding(store: Store, analysis: Analysis, frame: pd.DataFrame, way: Recomputation) -> str:
    """Say which range the inputs' own rounding allows, if every printed number lies in it; otherwise nothing."""
    columns = [c for c in ARMS if c[0] != "n"]
    data = [store.review(name).outcomes_text for name in analysis.rows.datasets]
    if (
        len(data) != 1
        or "es" not in {check.quantity for check in way.checks}
        or analysis.method.prefer != "arms"
        or frame[columns].isna().to_numpy().any()
    ):
        return ""
    steps = _half_steps(data[0], frame, columns)
    quantities = [check.quantity for check in way.checks]

    def compute(inputs: FloatArray) -> FloatArray:
        moved = frame.copy()
        moved[columns] = inputs.reshape(len(frame), len(columns))
        computed = _computed(pool_rows(moved, analysis.method), analysis.method, analysis.sign)
        return np.array([computed[quantity] for quantity in quantities])

    printed = [cast("Printed", read_printed(check.printed)) for check in way.checks]
    inputs, half_steps = frame[columns].to_numpy(np.float64).ravel(), steps.ravel()
    if find_inputs(compute, inputs, half_steps, printed) is None:
        return ""
    low, high = reachable_range(compute, inputs, half_steps)
    es = quantities.index("es")
    return (
        "unrounded inputs that round to those printed give every published digit; over all such inputs the estimate "
        f"ranges from {format_number(low[es], 4)} to {format_number(high[es], 4)}"
    )


def _explain_difference(frame: pd.DataFrame, analysis: Analysis, published: dict[str, str], way: Recomputation) -> str:
    """Say which numbers differ, and whether leaving out one row, or turning its sign, makes them all come out."""
    wrong = [
        f"{check.quantity} {check.printed} v {format_number(check.computed, max(check.decimals, 2))}"
        for check in way.checks
        if not check.agrees
    ]
    text = f"differs in {', '.join(wrong)} (published v recomputed)"
    effects = effects_of(frame, analysis.method)
    used = np.flatnonzero((effects["exclusion_reason"] == "").to_numpy())
    options = analysis.method.options()
    if len(used) < 3:
        return text
    effects = effects.reset_index(drop=True)
    for i in used.tolist():
        label = str(effects["study_id"].iloc[i])
        turned = effects.copy()
        turned["yi"] = np.where(effects.index == i, -effects["yi"], effects["yi"])
        trials = {"leaving out": effects.drop(index=i), "turning the sign of": turned}
        for what, changed in trials.items():
            fit = pool(read_effects(changed), **options, warn=False)
            if all(check.agrees for check in _checks(fit, published, analysis.method, analysis.sign)):
                return f"{text}; {what} {label} ({effects['row_id'].iloc[i]}) reproduces every printed digit"
    return text


def _variants(store: Store, plan: Plan, analysis: Analysis, published: dict[str, str]) -> tuple[Recomputation, ...]:
    found = []
    for variant in plan.variants:
        if variant.published_ids and analysis.published_id not in variant.published_ids:
            continue
        frame = store.frame(analysis.rows, variant.overrides)
        for column, value in variant.cells.items():
            if column not in frame:
                raise DataError("plan.toml", [f"variant {variant.name!r} sets a column {column!r} that does not exist"])
            frame[column] = value
        method = replace(analysis.method, prefer=variant.prefer or analysis.method.prefer)
        if not _changes(store, variant, analysis):
            continue
        found.append(_recompute(frame, method, published, analysis.sign, name=variant.name, reason=variant.reason))
    return tuple(found)


def _changes(store: Store, variant: Variant, analysis: Analysis) -> bool:
    """Whether a variant can change anything: overrides only where a row of the analysis has one."""
    if not variant.overrides:
        return True
    rows = store.frame(analysis.rows)
    return any(rows["row_id"].isin(store.review(name).overrides["row_id"]).any() for name in analysis.rows.datasets)


def _number_entry(store: Store, review: Review, plan: Plan, published: dict[str, str]) -> LedgerEntry:
    published_id = published["published_id"]
    analysis = next((a for a in plan.analyses if a.published_id == published_id), None)
    if analysis is None:
        usual = NOTHING_POOLED if published["k"] == "0" else NO_ROWS if published["es"] else NO_NUMBER
        reason = next((m.reason for m in plan.missing if published_id in m.published_ids), usual)
        return LedgerEntry(
            review=review.name,
            published_id=published_id,
            published=published,
            verdict="cannot be recomputed",
            explanation=reason,
            worklist=_worklist(review, published["outcome"]),
        )
    frame = store.frame(analysis.rows)
    if frame.empty:
        raise DataError(f"{review.name}/plan.toml", [f"analysis {published_id!r} selects no row"])
    way = _recompute(frame, analysis.method, published, analysis.sign)
    verdict: Verdict = "reproduced"
    explanation = analysis.note
    if not way.agrees:
        rounding = _within_rounding(store, analysis, frame, way)
        verdict = "within rounding of the inputs" if rounding else "differs"
        found = rounding or _explain_difference(frame, analysis, published, way)
        explanation = "; ".join(text for text in (found, analysis.note) if text)
    return LedgerEntry(
        review=review.name,
        published_id=published_id,
        published=published,
        verdict=verdict,
        explanation=explanation,
        recomputation=way,
        variants=_variants(store, plan, analysis, published),
    )


def _worklist(review: Review, outcome: str) -> tuple[str, ...]:
    """What the folder's worklist says of an outcome, trial by trial."""
    work = review.extras.get("worklist")
    if work is None:
        return ()
    chosen = work[work["outcome"] == outcome]
    return tuple(
        f"{study or 'all trials'}: {needed}{f' ({note})' if note else ''}"
        for study, needed, note in chosen[["study_id", "needed", "note"]].astype(str).to_numpy().tolist()
    )


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
    return QuestionEntry(review=review.name, title=question.title, result=result)


def _judge(
    store: Store, plan: Plan, claim: dict[str, str], overrides: str
) -> tuple[Judgement, str, dict[str, MetaAnalysisResult]]:
    """Pool the rows a claim speaks of and apply the rule."""
    assert plan.claims is not None  # noqa: S101  asked only of plans with claims
    narrowed = {"format": claim["format"], "outcome": claim["outcome"]}
    if not claim["outcome"]:
        narrowed["outcome_class"] = claim["outcome_class"]
    where = {**plan.claims.rows.where, **{column: (value,) for column, value in narrowed.items() if value}}
    rows = replace(plan.claims.rows, where=where)
    if claim["claim"] == "moderation":
        return judge_claim("moderation", None), "", {}
    if claim["claim"] == "larger":
        first, _, second = claim["outcome_class"].partition(">")
        fits = {
            name: evidence(
                store, replace(rows, where=where | {"outcome_class": (name,)}), plan.claims.method, overrides
            )
            for name in (first, second)
        }
        found = {name: fit for name, fit in fits.items() if fit is not None}
        if len(found) < 2:
            return judge_claim("larger", None), "", found
        difference, words = compare_classes(found[first], found[second])
        return judge_claim("larger", difference), f"{first} minus {second}: {words}", found
    fit = evidence(store, rows, plan.claims.method, overrides)
    if fit is None:
        return judge_claim(claim["claim"], None), "", {}
    words = f"{format_number(fit.estimate)} ({format_interval(*fit.ci)}), {count(fit.k, 'trial')}"
    return judge_claim(claim["claim"], fit.ci), words, {claim["outcome"] or claim["outcome_class"]: fit}


def _claim_entries(store: Store, review: Review, plan: Plan) -> Iterable[ClaimEntry]:
    if plan.claims is None:
        return
    for claim in cast("list[dict[str, str]]", load_claims().astype(str).to_dict("records")):
        if claim["review"].split(";")[0] != review.name:
            continue
        judgement, words, results = _judge(store, plan, claim, "")
        sensitivity = []
        for overrides, words in (("leave_out", "suspicious rows left out"), ("apply", "suspicious rows corrected")):
            other, _, fits = _judge(store, plan, claim, overrides)
            if {k: (f.estimate, f.k) for k, f in fits.items()} != {k: (f.estimate, f.k) for k, f in results.items()}:
                sensitivity.append((words, other))
        yield ClaimEntry(
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


def reproduce(review: str | Path | Sequence[str] | None = None) -> Ledger:
    """Compute every published number again and set it beside the print.

    Parameters
    ----------
    review : str, Path or sequence of str, optional
        A data set from `list_datasets`, several of them, or a folder of your own in the same layout; all bundled
        data sets when left out.

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
    if review is None:
        names: Sequence[str | Path] = list_datasets()["name"].tolist()
    elif isinstance(review, (str, Path)):
        names = [review]
    else:
        names = list(review)
    store = Store()
    entries: list[LedgerEntry] = []
    claims: list[ClaimEntry] = []
    questions: list[QuestionEntry] = []
    for name in names:
        current = store.review(name)
        published = cast("list[dict[str, str]]", current.published.astype(str).to_dict("records"))
        plan = read_plan(current.plan, name=current.name, published_ids=tuple(row["published_id"] for row in published))
        try:
            entries += [_number_entry(store, current, plan, row) for row in published]
            questions += [_answer(store, current, question) for question in plan.questions]
            claims += _claim_entries(store, current, plan)
        except DataError:
            raise
        except MetapeerError as error:
            raise DataError(f"{current.name}/plan.toml", [str(error)]) from error
    return Ledger(
        reviews=tuple(str(name) for name in names),
        entries=tuple(entries),
        claims=tuple(claims),
        questions=tuple(questions),
    )
