"""The door to robust variance estimation as robumeta does it: a table of effects in, a result out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, DataError, Fault, check_choice
from metapeer.formatting import TextTable, count, format_number
from metapeer.pooling.intervals import check_level
from metapeer.pooling.models import Notes
from metapeer.pooling.regression_models import prepare
from metapeer.pooling.robust import WorkingModel
from metapeer.pooling.robust_models import build_robust, unnamed_trials
from metapeer.pooling.robust_moments import correlated_effects, hierarchical_effects
from metapeer.pooling.robust_results import ClusterRobustResult

__all__ = ["RobustVarianceResult", "robust_variance_estimation"]

RHO = 0.8
"""The customary correlation, and robumeta's: Hedges, Tipton & Johnson (2010), Res Synth Methods 1:39-65."""

MODELS = {"CORR": "correlated effects", "HIER": "hierarchical effects"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RobustVarianceResult(ClusterRobustResult):
    """The result of `robust_variance_estimation`: a `ClusterRobustResult` with what the weights were made of.

    Parameters
    ----------
    model : {"CORR", "HIER"}
        What was assumed for the weights.
    formula : str
        The moderators as a formula.
    rho : float
        Assumed correlation of sampling errors within a trial; NaN for hierarchical effects.
    tau2, omega2 : float
        Variances between trials and within them; `omega2` is NaN for correlated effects.
    I2 : float
        From the weighted residual sum of squares, in per cent; NaN for hierarchical effects.
    excluded : tuple of (str, str)
        Rows not used, each with the reason.
    """

    model: str
    formula: str
    rho: float
    tau2: float
    omega2: float
    I2: float
    excluded: tuple[tuple[str, str], ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the coefficients in rows.

        Returns
        -------
        DataFrame
            One row for each coefficient, with the assumptions and variance components beside it.
        """
        frame = ClusterRobustResult.to_frame(self)
        return frame.assign(model=self.model, rho=self.rho, tau2=self.tau2, omega2=self.omega2, I2=self.I2)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            The coefficients, and then the variance components with the notes.
        """
        (table,) = ClusterRobustResult.text_tables(self)
        below = [note for note in table.notes if note not in self.notes]
        first = TextTable(
            title=f"Robust variance estimation, {MODELS[self.model]}; {self.formula}\n{table.title}",
            header=table.header,
            rows=table.rows,
            notes=below,
        )
        rows = [("tau²", format_number(self.tau2, 4), "between trials")]
        if self.model == "HIER":
            rows.append(("omega²", format_number(self.omega2, 4), "within trials"))
        else:
            rows.append(("I²", f"{format_number(self.I2, 1)}%", f"with an assumed correlation of {self.rho:g}"))
        notes = list(self.notes)
        if self.excluded:
            notes.append(f"{count(len(self.excluded), 'row')} not used:")
            notes += [f"  {label}: {reason}" for label, reason in self.excluded]
        return (first, TextTable(header=("", "", ""), rows=rows, notes=notes))


def robust_variance_estimation(
    data: pd.DataFrame,
    *,
    model: Literal["CORR", "HIER"] = "CORR",
    rho: float | None = None,
    moderators: str | Sequence[str] | None = None,
    formula: str | None = None,
    reference: Mapping[str, str] | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    small: bool = True,
    level: float = 0.95,
) -> RobustVarianceResult:
    """Pool several effects of each trial with approximate weights and robust standard errors.

    Weights need only be roughly right: the standard errors hold whatever the dependence within trials.

    Parameters
    ----------
    data : DataFrame
        A table with ``study_id``, ``yi`` and ``vi`` or ``sei``, as `effect_size` returns it. Rows of a ``study_id``
        belong together. Rows with an ``exclusion_reason`` or without a moderator are not used; the result lists them.
    model : {"CORR", "HIER"}, default "CORR"
        Whether effects of a trial come from the same people (correlated effects), or from different ones who have
        something in common (hierarchical effects).
    rho : float, optional
        Correlation of sampling errors within a trial for ``"CORR"``, from 0 to 1; 0.8 when left out. Little hangs on
        it; try several.
    moderators, formula, reference, labels, measure
        As in `meta_regression`; without moderators a mean is estimated.
    small : bool, default True
        CR2 variances with Satterthwaite's degrees of freedom; otherwise Hedges, Tipton and Johnson's (2010) factor
        ``m / (m - p)`` and t with ``m - p`` degrees of freedom, for m trials and p coefficients.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    RobustVarianceResult
        Coefficients with tests, variance components, and methods for contrasts and joint tests.

    Raises
    ------
    DataError
        If the table cannot be used, or its residuals cannot tell the variance components.
    ChoiceError
        If an option is unknown or has no effect.

    Warns
    -----
    DataWarning
        If a coefficient has fewer than 4 degrees of freedom, or one trial alone decides it.

    References
    ----------
    Hedges, Tipton & Johnson (2010), Res Synth Methods 1:39-65; Tipton (2015), Psychol Methods 20:375-393; Fisher &
    Tipton (2015), arXiv:1503.02220 (robumeta).

    Examples
    --------
    >>> table = pd.DataFrame({"study_id": list("aabbccddee"), "vi": [0.02, 0.03] * 5,
    ...                       "yi": [0.1, 0.3, 0.2, 0.6, 0.4, 0.7, 0.1, 0.5, 0.3, 0.4]})
    >>> found = robust_variance_estimation(table)
    >>> found.method, found.estimate.round(3).tolist(), found.se.round(4).tolist(), found.df.round(2).tolist()
    ('CR2, Satterthwaite df, 5 clusters', [0.36], [0.0579], [4.0])
    """
    check_choice("model", model, MODELS)
    check_level(level)
    if model == "HIER" and rho is not None:
        raise ChoiceError("rho has no effect on hierarchical effects; leave it out, or choose model='CORR'")
    correlation = RHO if rho is None else rho
    if (
        isinstance(correlation, bool)
        or not isinstance(correlation, int | float | np.number)
        or not 0 <= correlation <= 1
    ):
        raise ChoiceError(f"rho must be a number from 0 to 1, not {rho!r}")
    columns = [] if moderators is None and formula is None else moderators
    ready = prepare(data, [("moderators", columns, formula)], reference=reference, labels=labels, measure=measure)
    effects, (design,) = ready.effects, ready.designs
    faults = unnamed_trials(effects.data, effects.labels)
    if effects.data is None or "study_id" not in effects.data:
        faults = [Fault(column="study_id", message="is missing; it says which effects belong to one trial")]
    if faults:
        raise DataError(ready.source, faults)
    yi, vi, X = effects.yi, effects.vi, design.X
    trials = effects.trials
    numbers = {name: j for j, name in enumerate(dict.fromkeys(trials))}
    trial = np.array([numbers[name] for name in trials], dtype=np.intp)
    if model == "CORR":
        found = correlated_effects(yi, vi, X, trial, rho=float(correlation))
    else:
        found = hierarchical_effects(yi, vi, X, trial)
    notes = Notes()
    if len(numbers) == yi.size:
        notes.say("no trial has several effects: correlations play no part")
    result = build_robust(
        WorkingModel(
            yi=yi,
            X=X,
            names=design.names,
            blocks=tuple((np.array([i]), np.array([[1.0 / w]])) for i, w in enumerate(found.weights.tolist())),
            labels=effects.labels,
            trials=trials,
            level=level,
        ),
        trials,
        clustering="the trials",
        vcov="CR2" if small else "CR1p",
        test="Satterthwaite" if small else "naive-tp",
        level=level,
        measure=effects.measure,
        terms={term.name: term.columns for term in design.terms},
        notes=notes,
    )
    notes.warn(stacklevel=2)
    return RobustVarianceResult(
        **{part.name: getattr(result, part.name) for part in fields(result)},
        model=model,
        formula=design.words,
        rho=float(correlation) if model == "CORR" else math.nan,
        tau2=found.tau2,
        omega2=found.omega2,
        I2=found.I2,
        excluded=effects.excluded,
    )
