"""What a review did, as data: the parts of a plan.

A plan has a method (how the review pooled), one analysis for each printed result that can be recomputed, variants that
are computed beside them, entries for results whose inputs are missing, questions asked of the rows beyond what the
paper printed, and the rows that a claim in words is set beside. `metapeer.reproduction.planfile` reads it from
``plan.toml``.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from metapeer.effects.measures import MEASURES, find_measure
from metapeer.effects.options import Options
from metapeer.errors import DataError, MetapeerError, check_choice
from metapeer.pooling.inference import CI_METHODS
from metapeer.pooling.models import MODELS, MetaOptions, meta_options
from metapeer.pooling.prediction import PREDICTION_METHODS
from metapeer.pooling.tau2 import TAU2_METHODS

__all__ = [
    "Analysis",
    "Claims",
    "Method",
    "Missing",
    "Plan",
    "Question",
    "Rows",
    "Transcription",
    "Variant",
]

I2_FORMS = ("Q", "tau2")
WITHIN_TRIAL = ("independent", "average")
PREFER = ("arms", "review", "reported")
LEVEL = 0.95  # the level of every interval in published.csv, by its schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How effects are computed and pooled.

    Parameters
    ----------
    measure, variance, prefer, events_to_smd
        As in `effect_size`.
    model, tau2_method, ci_method, prediction_method
        As in `meta_analysis`.
    i2 : {"Q", "tau2"}
        The form of I² that the review printed.
    within_trial : {"independent", "average"}
        Whether several effects of one trial are pooled as if independent or averaged first.
    rho : float
        Correlation assumed for the average; NaN where nothing is averaged.
    """

    measure: str = "SMD"
    variance: str = "metafor"
    prefer: str = "arms"
    events_to_smd: bool = False
    model: str = "random"
    tau2_method: str = "REML"
    ci_method: str = ""
    prediction_method: str = ""
    i2: str = "tau2"
    within_trial: str = "independent"
    rho: float = math.nan

    def options(self) -> MetaOptions:
        """The options of pooling, checked.

        Returns
        -------
        MetaOptions
            As `pool` takes them.
        """
        return meta_options(
            model=self.model,
            tau2_method=None if self.model == "common" else self.tau2_method,
            ci_method=self.ci_method or None,
            prediction_method=self.prediction_method or None,
            level=LEVEL,
        )

    def problems(self) -> list[str]:
        """Say what is wrong with the choices, each alone and then together.

        Returns
        -------
        list of str
            Empty when the method can be carried out.

        Examples
        --------
        >>> Method(i2="tau").problems(), Method(within_trial="average").problems()
        (["i2 'tau' is unknown. Did you mean 'tau2'? Known: Q, tau2"], ['rho is missing: the correlation, from 0 to 1, \
        that is assumed between the effects of one trial when they are averaged'])
        """
        alone: dict[str, tuple[str, tuple[str, ...]]] = {
            "measure": (self.measure, tuple(MEASURES)),
            "prefer": (self.prefer, PREFER),
            "model": (self.model, MODELS),
            "tau2_method": (self.tau2_method, tuple(TAU2_METHODS)),
            "ci_method": (self.ci_method or "HK", tuple(CI_METHODS)),
            "prediction_method": (self.prediction_method or "V", tuple(PREDICTION_METHODS)),
            "i2": (self.i2, I2_FORMS),
            "within_trial": (self.within_trial, WITHIN_TRIAL),
        }
        found = []
        for name, (value, known) in alone.items():
            found += _complaints(partial(check_choice, name, value, known))
        if not found:
            found += _complaints(self._effect_options) + _complaints(self.options)
        if self.within_trial == "average" and math.isnan(self.rho):
            found.append(
                "rho is missing: the correlation, from 0 to 1, that is assumed between the effects of one trial when "
                "they are averaged"
            )
        elif not (math.isnan(self.rho) or 0 <= self.rho <= 1):
            found.append(f"rho must be a correlation from 0 to 1, not {self.rho:g}")
        return found

    def _effect_options(self) -> Options:
        """What `effect_size` makes of the choices; raises what it would raise."""
        return Options(
            measure=find_measure(self.measure),
            variance=self.variance,
            prefer=self.prefer,  # type: ignore[arg-type]  # checked by the class itself
            orient=None,
            events_to_smd=self.events_to_smd,
            zero_cells=None,
            add=0.5,
            drop_double_zero=None,
            level=LEVEL,
        )


def _complaints(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except MetapeerError as error:
        return [str(error)]
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Which rows are used.

    Parameters
    ----------
    datasets : tuple of str
        The data sets they stand in.
    where : mapping of column to tuple of str
        Values a cell may have.
    where_not : mapping of column to tuple of str
        Values a cell must not have.
    """

    datasets: tuple[str, ...]
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where_not: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def problems(self, frame: pd.DataFrame) -> list[str]:
        """Say which conditions cannot be meant: a column or a value that does not occur.

        Parameters
        ----------
        frame : DataFrame
            Rows of the data sets.

        Returns
        -------
        list of str
            Empty when every condition bears on some row, and some row is left.
        """
        found = []
        for key, conditions in (("where", self.where), ("where_not", self.where_not)):
            for column, values in conditions.items():
                if column not in frame:
                    found += _complaints(partial(check_choice, "column", column, list(frame.columns)))
                    continue
                known = set(_cells(frame[column]))
                for value in (value for value in values if value not in known):
                    close = get_close_matches(value, known, n=1)
                    hint = f" Did you mean {close[0]!r}?" if close else ""
                    found.append(f"{key}: no row has {value!r} in {column}.{hint}")
        return found or ([] if len(self.select(frame)) else ["selects no row"])

    def select(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the rows that fit.

        Parameters
        ----------
        frame : DataFrame
            Rows of the data sets.

        Returns
        -------
        DataFrame
            The rows that fit, in their order.

        Raises
        ------
        DataError
            If a column does not exist.
        """
        absent = [column for column in {**self.where, **self.where_not} if column not in frame]
        if absent:
            raise DataError("plan.toml", [f"there is no column {column!r} to select rows by" for column in absent])
        keep = np.ones(len(frame), dtype=np.bool_)
        for conditions, wanted in ((self.where, True), (self.where_not, False)):
            for column, values in conditions.items():
                keep &= np.array([(cell in values) == wanted for cell in _cells(frame[column])], dtype=np.bool_)
        return frame[keep]


def _cells(column: "pd.Series[str] | pd.Series[float]") -> list[str]:
    """Cells as a plan writes them: numbers without needless decimals, nothing where a cell is empty."""
    if is_numeric_dtype(column.dtype):
        return ["" if math.isnan(cell) else f"{cell:.15g}" for cell in column.astype(float).tolist()]
    return ["" if cell is None or cell != cell else str(cell) for cell in column.tolist()]  # noqa: PLR0124 - NaN


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A printed result that can be recomputed.

    Parameters
    ----------
    published_id : str
        Its row of published.csv.
    rows : Rows
        What is pooled.
    method : Method
        How.
    sign : int
        -1 when the review prints the effect with the opposite sign, otherwise 1.
    note : str
        What a reader of the ledger must know.
    """

    published_id: str
    rows: Rows
    method: Method
    sign: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The same analyses with one thing changed, computed beside them.

    Parameters
    ----------
    name, reason : str
        What is changed, and why.
    published_ids : tuple of str
        The analyses it belongs to; empty for all.
    overrides : str
        "apply" the recorded corrections, "leave_out" the rows that have one, or "" for neither.
    prefer : str
        As in `effect_size`; empty to leave it.
    cells : mapping of column to number
        Cells to set in all rows, such as other numbers of participants.
    """

    name: str
    reason: str
    published_ids: tuple[str, ...] = ()
    overrides: str = ""
    prefer: str = ""
    cells: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Printed results whose inputs are not available.

    Parameters
    ----------
    published_ids : tuple of str
        Their rows of published.csv.
    reason : str
        What is missing, and where to look.
    """

    published_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A subgroup analysis asked of the rows beyond what the paper printed.

    Parameters
    ----------
    title : str
        The question.
    by : tuple of str
        Columns that make the subgroups.
    tau2 : str
        "separate" or "common".
    rows : Rows
        What is pooled.
    method : Method
        How.
    overrides : str
        As in `Variant`.
    """

    title: str
    by: tuple[str, ...]
    rows: Rows
    method: Method
    tau2: str = "separate"
    overrides: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The rows that claims in words are set beside.

    Parameters
    ----------
    rows : Rows
        What counts as evidence; each claim's own format, outcome or class narrows it.
    method : Method
        How it is pooled.
    """

    rows: Rows
    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcription:
    """What is known of numbers that are still to be typed in from the paper.

    Parameters
    ----------
    trials, participants : int
        How many the review includes; no result can have more.
    format : str
        The format of peer support that the review is about; empty for all.
    """

    trials: int
    participants: int
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole plan.

    Parameters
    ----------
    method : Method
        How the review pooled.
    analyses, variants, missing, questions : tuple
        See the classes of these names.
    claims : Claims or None
        The evidence for claims in words.
    transcription : Transcription or None
        Limits for numbers typed in from the paper.
    """

    method: Method
    analyses: tuple[Analysis, ...] = ()
    variants: tuple[Variant, ...] = ()
    missing: tuple[Missing, ...] = ()
    questions: tuple[Question, ...] = ()
    claims: Claims | None = None
    transcription: Transcription | None = None
