"""What a report is given, made into one thing: rows, what is pooled from them, and in which variants."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metapeer.effects.table import effect_size
from metapeer.errors import DataWarning, MetapeerError
from metapeer.living.folder import load_review
from metapeer.living.update_states import ReviewStore, State, state_of
from metapeer.pooling.inference import CI_WORDS
from metapeer.pooling.models import meta_options, pool, read_effects
from metapeer.pooling.outcomes_names import outcome_words
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.records.catalog import datasets_root, load_dataset
from metapeer.records.csvfile import read_outcomes
from metapeer.records.review import Review
from metapeer.reporting.report_blocks import Choice, Pooled
from metapeer.reporting.report_material import (
    COMMON_WEIGHTS,
    METHODS,
    ROWS,
    Material,
    anchor,
    method_choices,
    variants,
    way_of,
    way_words,
    why_not,
)
from metapeer.reproduction.evidence import USUAL_RHO, effects_of, row_effects
from metapeer.reproduction.plan import Method

__all__ = ["read_source"]

USUAL_BY = "outcome"
"""The column that may be absent: all rows are then one outcome."""


def read_source(source: object, *, by: str, measure: str, title: str) -> Material:
    """Read what a report is about.

    Parameters
    ----------
    source : str, Path, Review, DataFrame, MetaAnalysisResult or mapping
        A data set, a review's folder, a file of rows, rows, a result, or several by name.
    by : str
        The column that tells outcomes apart.
    measure : str
        Effect measure of rows without effects.
    title : str
        Of the report; made from the source when empty.

    Returns
    -------
    Material
        What the report is written from.

    Raises
    ------
    MetapeerError
        If it is none of these, or is faulty.
    """
    found = _read(source, by=by, measure=measure, title=title)
    if any(one.fit.k > 1 for one in found.pooled):
        return found
    return replace(found, method_choices=found.method_choices[:1])  # a single study has one result only


def _read(source: object, *, by: str, measure: str, title: str) -> Material:
    if isinstance(source, MetaAnalysisResult):
        return _of_fits({title or "Pooled effect": source}, title)
    if isinstance(source, Mapping):
        wrong = [str(name) for name, fit in source.items() if not isinstance(fit, MetaAnalysisResult)]
        if wrong or not source:
            which = f"; {', '.join(wrong[:5])} is not" if wrong else "; there is none"
            raise MetapeerError(f"a report of several results needs names with results of meta_analysis(){which}")
        return _of_fits({str(name): fit for name, fit in source.items()}, title)
    if isinstance(source, pd.DataFrame):
        return _of_table(source, str(source.attrs.get("source", "table")), by, measure, title)
    if isinstance(source, Review):
        return _of_review(source, by, title)
    if not isinstance(source, str | Path):
        raise MetapeerError(
            f"source is a {type(source).__name__}; give a data set, a folder, a table, or results of meta_analysis()"
        )
    if _is_file(Path(source)):
        return _of_table(read_outcomes(source), Path(source).name, by, measure, title)
    review = load_dataset(source)
    return _of_review(review if _bundled(review) else load_review(review.path), by, title)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _bundled(review: Review) -> bool:
    return review.path.resolve() == (datasets_root() / review.name).resolve()


def _of_review(review: Review, by: str, title: str) -> Material:
    store = ReviewStore()
    store.put(review)
    plan = store.plan(review)

    def state(asked: str, overrides: str) -> State:
        return state_of(store, review, by=asked, overrides=overrides, method={}, where={})

    kinds = ["analysis"] if plan.analyses else []
    if review.outcomes.shape[0] or plan.claims is not None:
        kinds.append(by)
    states = {(kind, choice.code): state(kind, choice.code) for kind in kinds for choice in ROWS}
    tracks = [(kind, track) for kind in kinds for track in states[kind, ""].tracks.values()]
    doubted = any(store.doubtful(track.rows) for _, track in tracks)
    row_choices = ROWS if doubted else ROWS[:1]
    choices = method_choices([track.method for _, track in tracks])
    pooled: list[Pooled] = []
    unpooled: list[tuple[str, str]] = []
    taken: set[str] = set()
    parts: list[pd.DataFrame] = []
    for kind, track in tracks:
        effects: dict[str, pd.DataFrame | None] = {}
        for choice in row_choices:
            there = states[kind, choice.code]
            frame = track.rows.select(there.frame(track.rows)).reset_index(drop=True)
            effects[choice.code] = None if frame.empty else effects_of(frame, track.method)
            if choice.code == "" and len(frame):
                parts.append(row_effects(frame, track.method).assign(pooled=kind != "analysis" or by not in kinds))
        fits = dict(variants(effects, track.method, choices))
        words = outcome_words(track.name) if kind != "analysis" else track.name
        if ("", "") in fits:
            key = anchor("result" if kind == "analysis" else "outcome", track.name, taken)
            pooled.append(
                Pooled(
                    key=key, name=track.name, title=words, printed=kind == "analysis", fits=fits, method=track.method
                )
            )
        else:
            unpooled.append((words, why_not(effects[""])))
    rows = _all_rows(review, parts, tracks[-1][1].method if tracks else plan.method)
    datasets = tuple(dict.fromkeys(name for _, track in tracks for name in track.rows.datasets if name != review.name))
    return Material(
        kind="bundled" if _bundled(review) else "folder",
        name=review.name,
        title=title or review.title or review.name,
        review=review,
        given=review.name if _bundled(review) else review.path,
        datasets=datasets,
        trials=_trials(review, rows, [store.review(name) for name in datasets]),
        rows=rows,
        corrections=_corrections(rows, [review, *(store.review(name) for name in datasets)]),
        pooled=tuple(pooled),
        unpooled=tuple(unpooled),
        row_choices=row_choices,
        method_choices=choices,
        method=tracks[-1][1].method if tracks else None,
        notes=tuple(dict.fromkeys(note for one in states.values() for note in one.notes)),
    )


def _all_rows(review: Review, parts: Sequence[pd.DataFrame], method: Method) -> pd.DataFrame:
    """Rows that are pooled, outcomes before printed results, and then the review's others, each once."""
    ordered = sorted(parts, key=lambda part: not bool(part["pooled"].iloc[0]))
    own = review.rows()
    if len(own):
        keys = "/" + own["row_id"].astype(str)
        ordered.append(row_effects(own.assign(dataset=review.name, key=keys), method).assign(pooled=False))
    if not ordered:
        return pd.DataFrame()
    rows = pd.concat([part.astype(object) for part in ordered], ignore_index=True)
    rows = rows.drop_duplicates("key", ignore_index=True)
    rows["mine"] = rows["dataset"].astype(str) == review.name
    place = {name: number for number, name in enumerate(own["row_id"].astype(str))}
    order = sorted(
        range(len(rows)),
        key=lambda row: (not rows["mine"].iloc[row], place.get(str(rows["row_id"].iloc[row]), 0), row),
    )
    return rows.iloc[order].reset_index(drop=True)


def _trials(review: Review, rows: pd.DataFrame, others: Sequence[Review]) -> pd.DataFrame:
    used = set() if not len(rows) else set(rows["study_id"].astype(str))
    parts = [review.trials.assign(dataset=review.name)]
    parts += [one.trials[one.trials["study_id"].isin(used)].assign(dataset=one.name) for one in others]
    filled = [part.astype(object) for part in parts if len(part)]
    if not filled:
        return review.trials
    return pd.concat(filled, ignore_index=True).drop_duplicates("study_id", ignore_index=True)


def _corrections(rows: pd.DataFrame, reviews: Sequence[Review]) -> pd.DataFrame:
    if not len(rows):
        return pd.DataFrame()
    parts = []
    for one in reviews:
        here = set(rows.loc[rows["dataset"].astype(str) == one.name, "row_id"].astype(str))
        parts.append(one.overrides[one.overrides["row_id"].isin(here)].astype(object))
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _of_table(data: pd.DataFrame, name: str, by: str, measure: str, title: str) -> Material:
    if not len(data):
        raise MetapeerError(f"{name} has no row to report on")
    effects = data.reset_index(drop=True)
    if "yi" not in effects:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # what cannot be used stands in the report, with the reason
            effects = effect_size(effects, measure=measure)  # type: ignore[arg-type]  # it checks the choice
    names = ["Pooled effect"] * len(effects)
    if by not in effects and by != USUAL_BY:
        raise MetapeerError(f"{name} has no column {by!r} to tell outcomes apart by")
    if by in effects:
        names = effects[by].fillna("").astype(str).tolist()
    for column in ("exclusion_reason", "row_id", "study_id"):
        if column not in effects:
            usual = "" if column == "exclusion_reason" else [f"row {row + 1}" for row in range(len(effects))]
            effects = effects.assign(**{column: usual})
    several = "study_id" in data
    used = Method(measure=measure, within_trial="average" if several else "independent", rho=USUAL_RHO)
    choices = method_choices([used], why="the default")
    pooled: list[Pooled] = []
    unpooled: list[tuple[str, str]] = []
    taken: set[str] = set()
    for outcome in dict.fromkeys(names):
        part = effects[[name == outcome for name in names]].reset_index(drop=True)
        shown = outcome_words(outcome) if outcome else "No outcome named"
        fits = dict(variants({"": _averaged(part, used)}, used, choices))
        if ("", "") in fits:
            key = anchor("outcome", outcome, taken)
            pooled.append(Pooled(key=key, name=outcome, title=shown, printed=False, fits=fits, method=used))
        else:
            unpooled.append((shown, why_not(part)))
    rows = effects.assign(key=effects["row_id"].astype(str), pooled=True, mine=True, dataset=name)
    if "sei" not in rows and "vi" in rows:
        rows = rows.assign(sei=np.sqrt(rows["vi"].astype(float)))
    if "vi" not in rows:
        rows = rows.assign(vi=rows["sei"].astype(float) ** 2)
    return Material(
        kind="table",
        name=name,
        title=title or name,
        review=None,
        given=None,
        datasets=(),
        trials=_trials_of_table(data),
        rows=rows,
        corrections=pd.DataFrame(),
        pooled=tuple(pooled),
        unpooled=tuple(unpooled),
        row_choices=ROWS[:1],
        method_choices=choices,
        method=used,
        notes=(),
    )


def _averaged(effects: pd.DataFrame, method: Method) -> pd.DataFrame:
    from metapeer.pooling.dependent import average_within_trial

    usable = effects["exclusion_reason"].fillna("").astype(str) == ""
    if method.within_trial == "average" and effects.loc[usable, "study_id"].duplicated().any():
        return average_within_trial(effects, rho=method.rho)
    return effects


def _trials_of_table(data: pd.DataFrame) -> pd.DataFrame:
    if "study_id" not in data:
        return pd.DataFrame()
    return data.drop_duplicates("study_id", ignore_index=True)


def _of_fits(fits: Mapping[str, MetaAnalysisResult], title: str) -> Material:
    taken: set[str] = set()
    pooled = []
    methods = {_way(fit) for fit in fits.values()}
    words = " / ".join(sorted({_fit_words(fit) for fit in fits.values()}))
    own = Choice(code="", words=f"{words} (as given)")
    others = [choice for choice in METHODS if {way_of(choice)} != methods]
    parts = []
    for name, fit in fits.items():
        key = anchor("result", name, taken)
        found = {("", ""): fit}
        if fit.weighting == "inverse variance":
            found |= {("", choice.code): _refit(fit, choice) for choice in others}
        pooled.append(Pooled(key=key, name=name, title=name, printed=False, fits=found))
        studies = fit.studies()
        given = [cell for cell in ("outcome", "instrument", "source", "source_url", "note") if cell in studies]
        plain = studies[[*given, "label", "yi", "sei"]].assign(
            study_id=list(fit.labels),
            row_id=[f"{name}: {label}" for label in fit.labels],
            vi=fit.vi.copy(),
            measure=fit.measure,
            exclusion_reason="",
            pooled=True,
            mine=True,
            dataset=name,
        )
        parts.append(plain.assign(key=[f"{name}/{row}" for row in range(fit.k)]))
    return Material(
        kind="fits",
        name=title or "results",
        title=title or ("Meta-analysis" if len(fits) == 1 else "Meta-analyses"),
        review=None,
        given=None,
        datasets=(),
        trials=pd.DataFrame(),
        rows=pd.concat([part.astype(object) for part in parts], ignore_index=True),
        corrections=pd.DataFrame(),
        pooled=tuple(pooled),
        unpooled=(),
        row_choices=ROWS[:1],
        method_choices=(own, *others) if any(len(one.fits) > 1 for one in pooled) else (own,),
        method=None,
        notes=(),
    )


def _way(fit: MetaAnalysisResult) -> tuple[object, ...]:
    """What a result does, as `way_of` tells it of a method; no method weighs otherwise than by inverse variance."""
    if fit.weighting != "inverse variance":
        return (fit.weighting,)
    return (fit.model, fit.tau2_method if fit.model == "random" else "REML", fit.ci_method)


def _fit_words(fit: MetaAnalysisResult) -> str:
    if fit.weighting not in ("inverse variance", COMMON_WEIGHTS):
        return f"{fit.weighting}, {CI_WORDS.get(fit.ci_method, fit.ci_method)}"
    return way_words(fit.model, fit.tau2_method, fit.ci_method)


def _refit(fit: MetaAnalysisResult, choice: Choice) -> MetaAnalysisResult:
    changes: dict[str, Any] = dict(choice.changes)
    options = meta_options(
        model=changes["model"],
        tau2_method=None if changes["model"] == "common" else changes["tau2_method"],
        ci_method=changes["ci_method"],
        prediction_method=None,
        level=fit.level,
    )
    frame = pd.DataFrame({"yi": fit.yi, "vi": fit.vi, "label": fit.labels, "measure": fit.measure})
    return pool(read_effects(frame, labels="label"), **options, warn=False)
