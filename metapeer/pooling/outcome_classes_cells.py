"""What a contrast of cells asks and what it answers: names, numbers, and the answer that could not be given.

A cell is a class of outcomes, a format of peer support, or one within the other; a contrast is a weighted sum of the
pooled effects of cells.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from metapeer.errors import DataError, MetapeerError
from metapeer.pooling.robust_tests import FEWEST_DF

__all__ = [
    "CELL",
    "CLASS",
    "CLASS_MODELS",
    "FEW",
    "MAXIMA",
    "RHO_MODELS",
    "CellMean",
    "Contrasted",
    "Question",
    "no_answer",
    "one_line",
    "sizes_of",
]

CELL = "_cell"
CLASS = "_class"
CLASS_MODELS = {
    "CHE": "correlated and hierarchical effects, cluster-robust CR2",
    "multivariate": "a random effect for each class in each trial, correlated; cluster-robust CR2",
    "three_level": "three levels, sampling errors independent; model-based t",
    "paired": "differences within the trials that report both, REML and Hartung-Knapp",
    "averaged": "one average for each trial and class, as independent; REML and Hartung-Knapp",
    "one_row": "the most precise row for each trial and class, as independent; REML and Hartung-Knapp",
    "independent": "all rows as independent, REML and Hartung-Knapp",
}
"""How a contrast is estimated, in words."""
RHO_MODELS = ("CHE", "multivariate", "paired", "averaged")
"""Those that assume a correlation of sampling errors."""

MAXIMA = "the likelihood has other maxima; the highest is used"
FEW = f"fewer than {FEWEST_DF:g} degrees of freedom"
"""Begins the note of an interval that is not to be trusted for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMean:
    """Pooled effect of one cell.

    Parameters
    ----------
    cell : str
        The cell.
    estimate, se, df, ci_low, ci_high : float
        Its pooled effect with its interval.
    k, trials : int
        Rows and trials.
    """

    cell: str
    estimate: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    k: int
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasted:
    """A contrast of cells.

    Parameters
    ----------
    estimate, se, df, ci_low, ci_high, p_value : float
        The weighted sum of pooled effects, with its interval and test.
    pi_low, pi_high : float
        Where the difference between the true effects of one row of each cell in a new trial may lie; NaN where the
        model says nothing of it.
    k, trials, both : int
        Rows, trials, and trials with rows in cells of weights of both signs.
    means : tuple of CellMean
        The pooled effects that were contrasted.
    note : str
        What is doubtful; or why there is no estimate.
    """

    estimate: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    p_value: float
    pi_low: float
    pi_high: float
    k: int
    trials: int
    both: int
    means: tuple[CellMean, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is contrasted, and what is assumed.

    Parameters
    ----------
    weights : mapping of str to float
        Weight of each cell.
    rho : float
        Correlation of the sampling errors of two measurements of the same people.
    comparisons, arm_sizes : str
        As in `sampling_covariance`.
    level : float
        Of the intervals.
    within : bool
        Whether the cells are found within trials, so that a difference within a new trial has a meaning.
    """

    weights: Mapping[str, float]
    rho: float
    comparisons: str
    arm_sizes: str
    level: float
    within: bool

    def ends(self, first: bool) -> list[str]:
        """Cells of positive weight, or of negative weight.

        Parameters
        ----------
        first : bool
            Which of the two.

        Returns
        -------
        list of str
            The cells.
        """
        return [cell for cell, weight in self.weights.items() if (weight > 0) == first]


def sizes_of(rows: pd.DataFrame, question: Question) -> tuple[int, int, int]:
    """Count rows and trials.

    Parameters
    ----------
    rows : DataFrame
        ``study_id`` and `CELL`.
    question : Question
        What is asked.

    Returns
    -------
    k, trials, both : int
        Rows, trials, and trials with rows in cells of weights of both signs.
    """
    trials = [set(rows.loc[rows[CELL].isin(question.ends(first)), "study_id"].astype(str)) for first in (True, False)]
    return len(rows), rows["study_id"].nunique(), len(trials[0] & trials[1])


def one_line(error: MetapeerError) -> str:
    """Say in one line what stands in the way of an analysis.

    Parameters
    ----------
    error : MetapeerError
        What was raised.

    Returns
    -------
    str
        The first fault of a `DataError` and how many more there are, or the message.

    Examples
    --------
    >>> one_line(DataError("rows.csv", [f"fault {i}" for i in range(5)]))
    'fault 0; and 4 more'
    """
    if not isinstance(error, DataError):
        return " ".join(str(error).split())
    more = f"; and {len(error.faults) - 1} more" if len(error.faults) > 1 else ""
    return " ".join(str(error.faults[0]).split()) + more


def no_answer(rows: pd.DataFrame, question: Question, note: str) -> Contrasted:
    """Make the contrast that could not be estimated.

    Parameters
    ----------
    rows : DataFrame
        What there is: ``study_id`` and `CELL`.
    question : Question
        What was asked.
    note : str
        What stood in the way.

    Returns
    -------
    Contrasted
        With NaN for every number but those of rows and trials.

    Examples
    --------
    >>> rows = pd.DataFrame({"study_id": ["a"], CELL: ["p"]})
    >>> asked = Question(weights={"p": 1.0, "c": -1.0}, rho=0.6, comparisons="shared_control", arm_sizes="needed",
    ...                  level=0.95, within=True)
    >>> found = no_answer(rows, asked, "no rows of c")
    >>> found.estimate, found.k, found.both, found.note
    (nan, 1, 0, 'no rows of c')
    """
    k, trials, both = sizes_of(rows, question)
    blank = math.nan
    return Contrasted(
        estimate=blank, se=blank, df=blank, ci_low=blank, ci_high=blank, p_value=blank, pi_low=blank, pi_high=blank,
        k=k, trials=trials, both=both, means=(), note=note,
    )  # fmt: skip
