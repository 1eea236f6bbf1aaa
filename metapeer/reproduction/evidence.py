"""The rows that a plan asks for, made into effects and pooled."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from metapeer.effects.table import effect_size
from metapeer.errors import DataError, DataWarning, check_choice
from metapeer.formatting import count, format_interval, format_level, format_number
from metapeer.pooling.dependent import average_within_trial
from metapeer.pooling.intervals import Interval
from metapeer.pooling.models import pool, read_effects
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.records.catalog import dataset_names, load_dataset
from metapeer.records.overrides import apply_overrides
from metapeer.records.review import Review
from metapeer.reproduction.plan import LEVEL, Method, Plan, Rows
from metapeer.reproduction.planfile import read_plan
from metapeer.reproduction.recorded_designs import adjust_by_design, design_notes

__all__ = ["Store", "class_difference", "effects_of", "evidence", "evidence_words", "pool_effects", "row_effects"]

USUAL_RHO = 0.6
"""Correlation of two measurements of the same people for a plan that has none: as `contrast_outcome_classes`."""

COMPUTED = ("yi", "vi", "sei", "measure", "variance_formula", "es_source", "positive_favours", "exclusion_reason")
"""Columns that `effect_size` writes."""


class Store:
    """The data sets a run needs: each loaded, corrected and joined with its trials once.

    A folder of one's own stands under its name, also for the plans of other data sets in the run: a changed copy of a
    bundled data set takes its place.
    """

    def __init__(self) -> None:
        self._reviews: dict[str, Review] = {}
        self._rows: dict[tuple[str, str], pd.DataFrame] = {}

    def add(self, dataset: str | Path) -> Review:
        """Load a data set.

        Parameters
        ----------
        dataset : str or Path
            As `load_dataset` takes it.

        Returns
        -------
        Review
            The data set.

        Raises
        ------
        DataError
            If another folder of that name is loaded already.
        """
        review = load_dataset(dataset)
        known = self._reviews.setdefault(review.name, review)
        if known.path.resolve() != review.path.resolve():
            raise DataError(str(dataset), [f"{known.path} has the same name; rename one of the folders"])
        return known

    def review(self, name: str) -> Review:
        """Return a data set, loading it if it comes with metapeer and is not loaded.

        Parameters
        ----------
        name : str
            The name of a data set of the run or of a bundled one.

        Returns
        -------
        Review
            The data set.

        Raises
        ------
        ChoiceError
            If there is none of that name.
        """
        if name not in self._reviews:
            self.add(check_choice("dataset", name, [*self._reviews, *dataset_names()]))
        return self._reviews[name]

    def plan(self, review: Review) -> Plan:
        """Read the plan of a data set.

        Parameters
        ----------
        review : Review
            The data set.

        Returns
        -------
        Plan
            Its plan, checked against the rows it asks for.
        """
        ids = tuple(review.published["published_id"].astype(str))
        return read_plan(review.plan, name=review.name, published_ids=ids, rows_of=self.frame)

    def _joined(self, name: str, overrides: str) -> pd.DataFrame:
        key = (name, overrides)
        if key not in self._rows:
            review = self.review(name)
            outcomes = review.outcomes
            if overrides == "apply":
                outcomes = apply_overrides(outcomes, review.overrides)
            elif overrides == "leave_out":
                outcomes = outcomes[~outcomes["row_id"].isin(review.overrides["row_id"])]
            self._rows[key] = review.rows(outcomes).assign(dataset=name)
        return self._rows[key]

    def frame(self, rows: Rows, overrides: str = "") -> pd.DataFrame:
        """Select rows of the data sets.

        Parameters
        ----------
        rows : Rows
            Which.
        overrides : str
            "apply" the recorded corrections, "leave_out" the rows that have one, or "" for neither.

        Returns
        -------
        DataFrame
            The rows with the columns of their trials, their direction and their ``dataset``.
        """
        parts = [rows.select(self._joined(name, overrides)) for name in rows.datasets]
        filled = [part for part in parts if len(part)] or parts[:1]
        frame = pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0].reset_index(drop=True)
        frame.attrs["source"] = " and ".join(f"{name}/outcomes.csv" for name in rows.datasets)
        return frame

    def doubtful(self, rows: Rows) -> dict[str, str]:
        """List the recorded corrections that concern the rows.

        Parameters
        ----------
        rows : Rows
            Which.

        Returns
        -------
        dict of str to str
            Name of the correction to its status, "suspected" or "confirmed".
        """
        found: dict[str, str] = {}
        for name in rows.datasets:
            overrides = self.review(name).overrides
            if len(overrides):
                meant = overrides["row_id"].isin(rows.select(self._joined(name, ""))["row_id"])
                found |= dict(overrides.loc[meant, ["override_id", "status"]].astype(str).to_numpy().tolist())
        return found


def row_effects(frame: pd.DataFrame, method: Method) -> pd.DataFrame:
    """Compute the effect of each row the way a plan says; cluster trials by their recorded design.

    Parameters
    ----------
    frame : DataFrame
        Rows from `Store.frame`.
    method : Method
        The way.

    Returns
    -------
    DataFrame
        As `effect_size` returns it. Where a design called for an adjustment, the effect and its variance are adjusted,
        the column ``unit_of_analysis`` says how, and the other columns are as given: participants are people.
    """
    adjusted = adjust_by_design(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # every doubt stands in the exclusion reasons and the notes
        effects = effect_size(
            adjusted,
            measure=method.measure,  # type: ignore[arg-type]  # checked when the plan was read
            variance=method.variance,
            prefer=method.prefer,  # type: ignore[arg-type]
            events_to_smd=method.events_to_smd,
        )
    if adjusted is not frame:
        effects = effects.assign(**{name: frame[name] for name in frame.columns if name not in COMPUTED})
    return effects


def effects_of(frame: pd.DataFrame, method: Method, by: Sequence[str] = ()) -> pd.DataFrame:
    """Compute effects the way a plan says.

    Parameters
    ----------
    frame : DataFrame
        Rows from `Store.frame`.
    method : Method
        The way.
    by : sequence of str
        Columns to keep apart when effects are averaged within trials.

    Returns
    -------
    DataFrame
        As `effect_size` returns it, averaged within trials if the method says so.
    """
    effects = row_effects(frame, method)
    if method.within_trial == "average":
        effects = average_within_trial(effects, rho=method.rho, by=list(dict.fromkeys(("study_id", *by))))
    return effects


def pool_effects(effects: pd.DataFrame, method: Method) -> MetaAnalysisResult | None:
    """Pool effects the way a plan says; what is doubtful stands in the notes of the result.

    Parameters
    ----------
    effects : DataFrame
        From `effects_of`.
    method : Method
        The way.

    Returns
    -------
    MetaAnalysisResult or None
        None when no row can be pooled.
    """
    read = read_effects(effects)
    if not read.yi.size:
        return None
    fit = pool(read, **method.options(), warn=False)
    notes = design_notes(effects)
    return replace(fit, notes=(*fit.notes, *notes)) if notes else fit


def evidence(store: Store, rows: Rows, method: Method, overrides: str = "") -> MetaAnalysisResult | None:
    """Pool the rows that bear on a claim or on a number whose own rows are missing.

    Parameters
    ----------
    store : Store
        Where rows come from.
    rows : Rows
        Which.
    method : Method
        How.
    overrides : str
        As in `Store.frame`.

    Returns
    -------
    MetaAnalysisResult or None
        None when no row can be pooled.
    """
    frame = store.frame(rows, overrides)
    return None if frame.empty else pool_effects(effects_of(frame, method), method)


def class_difference(
    store: Store, rows: Rows, method: Method, pair: tuple[str, str], overrides: str = ""
) -> tuple[Interval, str]:
    """Difference of the pooled effects of two classes of outcomes, allowing for trials that report both.

    Parameters
    ----------
    store : Store
        Where rows come from.
    rows : Rows
        Which.
    method : Method
        How effects are computed; its rho is the correlation of two measurements of the same people.
    pair : tuple of str
        The classes: the first minus the second.
    overrides : str
        As in `Store.frame`.

    Returns
    -------
    interval : Interval
        Of the difference.
    words : str
        The difference in words, with how it was estimated.
    """
    # half as heavy to load as all the rest together, and few plans ask for it
    from metapeer.pooling.outcome_classes import contrast_outcome_classes
    from metapeer.pooling.outcome_classes_models import CLASS_MODELS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        found = contrast_outcome_classes(
            row_effects(store.frame(rows, overrides), method),
            classes=pair,
            format=None,
            rho=USUAL_RHO if math.isnan(method.rho) else method.rho,
            rhos=(),
            models=(),
            populations=(),
            arm_sizes="equal",
            level=LEVEL,
        )
    line = found[f"{pair[0]} minus {pair[1]}"]
    interval = Interval(line.ci_low, line.ci_high, found.level, "CR2")
    shown = f"{format_number(line.estimate)} ({format_level(found.level)} CI {format_interval(*interval)})"
    size = f"{count(line.trials, 'trial')}, {line.both} of which report both"
    words = f"{line.contrast}: {shown}, {size}; {CLASS_MODELS[found.model]}, rho {found.rho:g}"
    return interval, words


def evidence_words(fit: MetaAnalysisResult) -> str:
    """Write a pooled result in a few words.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The result.

    Returns
    -------
    str
        Such as ``"SMD 0.19 (95% CI 0.11 to 0.27), 22 effects from 21 trials"``.
    """
    measure = measure_of(fit.measure)
    low, high = (measure.display(end) for end in fit.ci)
    size = count(fit.trials, "trial") if fit.trials == fit.k else f"{fit.k} effects from {count(fit.trials, 'trial')}"
    return (
        f"{fit.measure or 'effect'} {format_number(measure.display(fit.estimate))} "
        f"({format_level(fit.level)} CI {format_interval(low, high)}), {size}"
    )
