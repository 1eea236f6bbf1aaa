"""Random effects in words, and two multilevel models of the same effects set side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from metapeer.formatting import Printable, TextTable, format_number
from metapeer.pooling.intervals import chi2_tail
from metapeer.pooling.multilevel_fit import MixedFit, fit_mixed
from metapeer.pooling.multilevel_inference import statistics_of
from metapeer.pooling.regression import FitStatistics, orthonormal
from metapeer.pooling.regression_comparisons import p_equals
from metapeer.pooling.structures import STRUCTURES, Component
from metapeer.pooling.weighted import FloatArray

__all__ = ["Compared", "LikelihoodRatioTest", "RandomTerm", "likelihood_ratio_test"]

_WIDER = {
    ("ID", "CS"), ("ID", "DIAG"), ("ID", "HCS"), ("ID", "UN"), ("ID", "AR"), ("ID", "HAR"), ("ID", "CAR"),
    ("DIAG", "HCS"), ("DIAG", "UN"), ("DIAG", "HAR"), ("CS", "HCS"), ("CS", "UN"), ("HCS", "UN"),
    ("AR", "HAR"), ("AR", "UN"), ("HAR", "UN"), ("CAR", "UN"),
}  # fmt: skip
"""Structures of which the first is a special case of the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomTerm:
    """One kind of random effects of a model.

    Parameters
    ----------
    name : str
        Such as ``"study_id"``, ``"study_id/row_id"`` or ``"outcome | study_id"``.
    outer, inner : str
        Columns; `inner` is empty for a random intercept.
    struct : str
        Covariance structure, as in `STRUCTURES`; empty for a random intercept.
    levels : tuple of str
        Levels of the inner column.
    group_names : tuple of str
        Groups whose random effects are independent.
    """

    name: str
    outer: str
    inner: str
    struct: str
    levels: tuple[str, ...]
    group_names: tuple[str, ...] = field(repr=False)

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.group_names)

    def component_name(self, component: Component) -> str:
        """Name a variance or correlation.

        Parameters
        ----------
        component : Component
            One of the structure's.

        Returns
        -------
        str
            Such as ``"recovery"`` or ``"recovery, hope"``; empty when all levels share it.
        """
        return ", ".join(self.levels[i] for i in component.levels)

    @property
    def words(self) -> str:
        """The term with its structure."""
        return f"random {self.name}" + (f" ({self.struct}: {STRUCTURES[self.struct]})" if self.inner else "")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LikelihoodRatioTest(Printable):
    """Two multilevel models of the same effects, compared by their likelihoods.

    Parameters
    ----------
    full, reduced : str
        The models; `full` has more parameters.
    method : {"REML", "ML"}
        The likelihood they were compared by.
    LRT : float
        Twice the difference of the log-likelihoods; NaN when one model is not known to contain the other.
    df : int
        Parameters that `full` has more.
    p_value : float
        From the chi-squared distribution with `df` degrees of freedom.
    p_boundary : float
        When the models differ in one variance alone, which is zero in the smaller: the p value that allows for zero
        being the edge of its range, half of the other. NaN otherwise.
    full_statistics, reduced_statistics : FitStatistics
        Log-likelihoods and information criteria.
    notes : tuple of str
        What a reader must know.

    References
    ----------
    Self & Liang (1987), J Am Stat Assoc 82:605-610; Stram & Lee (1994), Biometrics 50:1171-1177.
    """

    full: str
    reduced: str
    method: str
    LRT: float
    df: int
    p_value: float
    p_boundary: float
    full_statistics: FitStatistics
    reduced_statistics: FitStatistics
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the two models in rows.

        Returns
        -------
        DataFrame
            One row for each model, the test in the row of the full one.
        """
        rows = []
        for name, found in ((self.full, self.full_statistics), (self.reduced, self.reduced_statistics)):
            row: dict[str, Any] = {"model": name, "method": found.kind, "parameters": found.parameters}
            row |= {"log_likelihood": found.log_likelihood, "AIC": found.AIC, "BIC": found.BIC, "AICc": found.AICc}
            rows.append(row)
        blank = math.nan
        return pd.DataFrame(rows).assign(
            LRT=[self.LRT, blank],
            df=[self.df, blank],
            p_value=[self.p_value, blank],
            p_boundary=[self.p_boundary, blank],
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the comparison in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        rows = [
            (name, str(s.parameters), *(format_number(v, 2) for v in (s.log_likelihood, s.AIC, s.BIC, s.AICc)))
            for name, s in ((self.full, self.full_statistics), (self.reduced, self.reduced_statistics))
        ]
        notes = list(self.notes)
        if not math.isnan(self.LRT):
            words = f"Likelihood ratio test: {format_number(self.LRT, 2)}, df = {self.df}, p {p_equals(self.p_value)}"
            if not math.isnan(self.p_boundary):
                words += f"; p {p_equals(self.p_boundary)} allowing for the edge at zero"
            notes.insert(0, words)
        header = ("model", "parameters", "log-likelihood", "AIC", "BIC", "AICc")
        return (TextTable(title=f"Comparison of models by {self.method}", header=header, rows=rows, notes=notes),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """What a comparison needs of a model.

    Parameters
    ----------
    words : str
        The model in one line.
    random : tuple of RandomTerm
        Its random effects.
    X : array of shape (k, p)
        Its design.
    fit : MixedFit
        The maximum.
    method : {"REML", "ML"}
        The likelihood it was fitted by.
    """

    words: str
    random: tuple[RandomTerm, ...]
    X: FloatArray
    fit: MixedFit
    method: str


def likelihood_ratio_test(first: Compared, second: Compared) -> LikelihoodRatioTest:
    """Compare two models of the same effects, in either order.

    Parameters
    ----------
    first, second : Compared
        Fitted by the same likelihood.

    Returns
    -------
    LikelihoodRatioTest
        The test where one is known to contain the other, and information criteria in any case.
    """
    p = first.X.shape[1]
    same_X = p == second.X.shape[1] and _within(first.X, second.X)
    sizes = [one.fit.free.size + (0 if same_X else one.X.shape[1]) for one in (first, second)]
    full, reduced = (first, second) if sizes[0] >= sizes[1] else (second, first)
    notes = []
    if same_X or first.method == "ML":
        method, fits = first.method, [full.fit, reduced.fit]
    else:
        method, fits = "ML", [fit_mixed(replace(one.fit.problem, restricted=False)) for one in (full, reduced)]
        notes.append("the moderators differ, so both models were fitted again by maximum likelihood")
    found = [statistics_of(fit, one.X.shape[1], method) for fit, one in zip(fits, (full, reduced), strict=True)]
    df = found[0].parameters - found[1].parameters
    random, dropped = _nested(reduced.random, full.random)
    nested = df > 0 and random and _within(full.X, reduced.X)
    LRT = max(0.0, 2.0 * (found[0].log_likelihood - found[1].log_likelihood)) if nested else math.nan
    p_value = chi2_tail(LRT, df) if nested else math.nan
    edge = nested and same_X and df == 1 and dropped == 1
    if not nested:
        notes.append("neither model is known to contain the other: no test, only AIC, BIC and AICc")
    elif dropped and not edge:
        notes.append("variances are tested at the edge of their range, where the chi-squared p value is cautious")
    return LikelihoodRatioTest(
        full=full.words,
        reduced=reduced.words,
        method=method,
        LRT=LRT,
        df=df,
        p_value=p_value,
        p_boundary=(0.5 * p_value if LRT > 0 else 1.0) if edge else math.nan,
        full_statistics=found[0],
        reduced_statistics=found[1],
        notes=tuple(notes),
    )


def _within(larger: FloatArray, smaller: FloatArray) -> bool:
    """Whether the columns of one design can be made from those of another."""
    if larger.shape[0] != smaller.shape[0]:
        return False
    basis, scaled = orthonormal(larger), smaller / np.sqrt(np.einsum("ij,ij->j", smaller, smaller))
    return bool(np.abs(scaled - basis @ (basis.T @ scaled)).max() < 1e-9)


def _nested(smaller: Sequence[RandomTerm], larger: Sequence[RandomTerm]) -> tuple[bool, int]:
    """Whether random effects are a special case of others, and how many variances are zero in the special case."""
    left = {term.name: term for term in larger}
    for term in smaller:
        match = left.pop(term.name, None)
        if match is None or not (match.struct == term.struct or (term.struct, match.struct) in _WIDER):
            return False, 0
    return True, len(left)
