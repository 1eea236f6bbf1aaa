"""What a summary is made of: fits by outcome, however they were given, with what is doubtful in their rows."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from metapeer.errors import DataWarning, MetapeerError
from metapeer.formatting import count
from metapeer.living.pooling_reviews import pool_review
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.outcomes import OutcomesResult, pool_outcomes
from metapeer.pooling.outcomes_names import outcome_words
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.records.catalog import load_dataset
from metapeer.records.review import Review
from metapeer.reproduction.ledger import Ledger

__all__ = ["Source", "Subject", "read_source"]

Source: TypeAlias = (
    Mapping[str, MetaAnalysisResult]
    | Sequence[MetaAnalysisResult]
    | Sequence[tuple[str, MetaAnalysisResult]]
    | MetaAnalysisResult
    | OutcomesResult
    | Ledger
    | Review
    | pd.DataFrame
    | str
    | Path
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """One outcome before anything is said of it.

    Parameters
    ----------
    name, words : str
        As it is called, and as a reader expects it.
    fit : MetaAnalysisResult
        What was pooled.
    footnotes : tuple of str
        What is doubtful in its rows.
    """

    name: str
    words: str
    fit: MetaAnalysisResult
    footnotes: tuple[str, ...] = ()


def read_source(source: Source, *, overrides: pd.DataFrame | None = None) -> tuple[list[Subject], str]:
    """Read what was given into outcomes.

    Parameters
    ----------
    source : mapping, sequence, MetaAnalysisResult, OutcomesResult, Ledger, Review, DataFrame, str or Path
        As `summary_of_findings` takes it.
    overrides : DataFrame, optional
        Recorded corrections, with ``row_id``, ``override_id``, ``status`` and ``reason``.

    Returns
    -------
    subjects : list of Subject
        In the order given.
    how : str
        How they were pooled, where that was done here; otherwise empty.

    Raises
    ------
    MetapeerError
        If nothing that can be summarised was given.
    """
    how = ""
    extra: dict[str, tuple[str, ...]] = {}
    if isinstance(source, str | Path | Review):
        review = source if isinstance(source, Review) else load_dataset(source)
        fits = pool_review(review)
        overrides = review.overrides if overrides is None else overrides
        how = f"Pooled by the plan of {review.name}, each outcome by itself."
    elif isinstance(source, OutcomesResult):
        fits = dict(zip(source.outcomes, source.results, strict=True))
    elif isinstance(source, Ledger):
        fits, extra = _of_ledger(source)
        how = "Recomputed by the plans of the reviews, row by row as they pooled."
    elif isinstance(source, MetaAnalysisResult):
        fits = _named([source])
    elif isinstance(source, pd.DataFrame):
        fits, how = _of_table(source)
    elif isinstance(source, Mapping):
        fits = {str(name): fit for name, fit in source.items()}
    elif isinstance(source, Sequence):
        fits = _named(source)
    else:
        raise MetapeerError(_not_known(source))
    wrong = [f"{name}: {type(fit).__name__}" for name, fit in fits.items() if not isinstance(fit, MetaAnalysisResult)]
    if wrong:
        raise MetapeerError(
            f"a summary of findings takes results of meta_analysis for outcomes, not {'; '.join(wrong)}"
        )
    if not fits:
        raise MetapeerError("nothing was pooled, so there are no findings to summarise")
    subjects = [
        Subject(
            name=name,
            words=outcome_words(name) if name else "Outcome",
            fit=fit,
            footnotes=(*extra.get(name, ()), *_doubts(fit, overrides)),
        )
        for name, fit in fits.items()
    ]
    return subjects, how


def _not_known(source: object) -> str:
    return (
        "a summary of findings takes fits by outcome, the result of pool_outcomes, a ledger, a review or a table of "
        f"effects, not {type(source).__name__}"
    )


def _named(given: Sequence[object]) -> dict[str, MetaAnalysisResult]:
    """Fits in a row: with their names, or named by the outcome of their rows."""
    found: dict[str, MetaAnalysisResult] = {}
    for place, one in enumerate(given, start=1):
        if isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str):
            name, fit = one
        else:
            fit = one
            name = _outcome_of(fit) or f"outcome {place}"
        if name in found:
            raise MetapeerError(f"the outcome {name!r} is given twice; name them apart in a mapping")
        found[name] = fit
    return found


def _outcome_of(fit: object) -> str:
    data = getattr(fit, "data", None)
    if data is None or "outcome" not in data:
        return ""
    outcomes = {str(cell) for cell in data["outcome"] if isinstance(cell, str) and cell}
    return outcomes.pop() if len(outcomes) == 1 else ""


def _of_table(table: pd.DataFrame) -> tuple[dict[str, MetaAnalysisResult], str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the same stands in the notes of the fits
        if "outcome" not in table:
            return _named([meta_analysis(table)]), "Pooled with the defaults of meta_analysis."
        group = "outcome_class" if "outcome_class" in table else None
        pooled = pool_outcomes(table, group=group, adjust=None)
    return dict(zip(pooled.outcomes, pooled.results, strict=True)), "Pooled with the defaults of pool_outcomes."


def _of_ledger(ledger: Ledger) -> tuple[dict[str, MetaAnalysisResult], dict[str, tuple[str, ...]]]:
    fits: dict[str, MetaAnalysisResult] = {}
    notes: dict[str, tuple[str, ...]] = {}
    for entry in ledger.entries:
        if entry.result is None:
            continue
        name = entry.published_id if len(ledger.reviews) == 1 else f"{entry.review}: {entry.published_id}"
        fits[name] = entry.result
        said = []
        if entry.verdict == "differs":
            said.append(f"differs from what the review printed ({entry.published_words()}): {entry.explanation}")
        if entry.doubts:
            errors = "; ".join(f"{doubt}, {status}" for doubt, status in entry.doubts.items())
            said.append(f"rows with a recorded error are pooled as they stand ({errors})")
            said += [f"{variant.name}: {variant.words()}" for variant in entry.variants if "suspicious" in variant.name]
        notes[name] = tuple(said)
    return fits, notes


def _cells(fit: MetaAnalysisResult, column: str) -> list[str]:
    if fit.data is None or column not in fit.data:
        return []
    return ["" if pd.isna(cell) else str(cell).strip() for cell in fit.data[column].tolist()]


def _doubts(fit: MetaAnalysisResult, overrides: pd.DataFrame | None) -> list[str]:
    """What a reader of one outcome must know of its rows."""
    said = []
    ids = {part for cell in _cells(fit, "row_id") for part in cell.split("; ") if part}
    if overrides is not None and {"row_id", "override_id", "status", "reason"} <= set(overrides.columns) and ids:
        mine = overrides[overrides["row_id"].isin(ids)]
        for override, rows in mine.groupby("override_id", sort=False):
            statuses = " or ".join(dict.fromkeys(str(status) for status in rows["status"]))
            names = ", ".join(dict.fromkeys(str(row) for row in rows["row_id"]))
            reasons = "; ".join(dict.fromkeys(str(reason) for reason in rows["reason"]))
            said.append(f"{statuses} error recorded for {names} ({override}): {reasons}")
    eligibility: dict[str, list[str]] = {}
    for trial, doubt in zip(_cells(fit, "study_id"), _cells(fit, "eligibility_doubt"), strict=False):
        if doubt and trial not in eligibility.setdefault(doubt, []):
            eligibility[doubt].append(trial)
    said += [f"{', '.join(trials)}: {doubt}" for doubt, trials in eligibility.items()]
    said += fit.notes
    if fit.excluded:
        said.append(f"{count(len(fit.excluded), 'row')} could not be pooled")
    return said
