"""The rows that a plan asks for, made into effects and pooled."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from metapeer.effects.table import effect_size
from metapeer.errors import DataWarning
from metapeer.pooling.dependent import average_within_trial
from metapeer.pooling.models import pool, read_effects
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.records.catalog import load_dataset
from metapeer.records.overrides import apply_overrides
from metapeer.records.review import Review
from metapeer.reproduction.plan import Method, Rows

__all__ = ["Store", "effects_of", "evidence", "pool_rows"]


class Store:
    """The data sets a run needs: each loaded, corrected and joined with its trials once."""

    def __init__(self) -> None:
        self._reviews: dict[str, Review] = {}
        self._rows: dict[tuple[str, str], pd.DataFrame] = {}

    def review(self, name: str | Path) -> Review:
        """Load a data set, or return it if it is loaded.

        Parameters
        ----------
        name : str or Path
            As `load_dataset` takes it.

        Returns
        -------
        Review
            The data set.
        """
        key = str(name)
        if key not in self._reviews:
            self._reviews[key] = load_dataset(name)
        return self._reviews[key]

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
        frame = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0].reset_index(drop=True)
        frame.attrs["source"] = " and ".join(f"{name}/outcomes.csv" for name in rows.datasets)
        return frame


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # every doubt stands in the exclusion reasons and the notes
        effects = effect_size(
            frame,
            measure=method.measure,  # type: ignore[arg-type]  # the plan's text is checked by effect_size
            variance=method.variance,
            prefer=method.prefer,  # type: ignore[arg-type]
            events_to_smd=method.events_to_smd,
        )
        if method.within_trial == "average":
            effects = average_within_trial(effects, rho=method.rho, by=["study_id", *by])
    return effects


def pool_rows(frame: pd.DataFrame, method: Method) -> MetaAnalysisResult:
    """Pool rows the way a plan says; what is doubtful stands in the notes of the result.

    Parameters
    ----------
    frame : DataFrame
        Rows from `Store.frame`.
    method : Method
        The way.

    Returns
    -------
    MetaAnalysisResult
        The pooled result.

    Raises
    ------
    DataError
        If no row can be pooled.
    """
    return pool(read_effects(effects_of(frame, method)), **method.options(), warn=False)


def evidence(store: Store, rows: Rows, method: Method, overrides: str) -> MetaAnalysisResult | None:
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
    if frame.empty:
        return None
    effects = read_effects(effects_of(frame, method))
    return pool(effects, **method.options(), warn=False) if effects.yi.size else None
