"""The door to location-scale models: a table in, and out comes how effects and their spread depend on moderators."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from metapeer.errors import DataError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_level, format_number
from metapeer.pooling.design import Design, encode_rows
from metapeer.pooling.heterogeneity import cochran_q
from metapeer.pooling.intervals import check_level, chi2_tail
from metapeer.pooling.location_scale_fit import fit_location_scale
from metapeer.pooling.models import Notes, tell_dependence
from metapeer.pooling.regression import (
    FitStatistics,
    Linear,
    RegressionFit,
    WaldTest,
    fit_regression,
    information,
    linear_combinations,
    prediction_limits,
    wald_test,
)
from metapeer.pooling.regression_comparisons import p_equals
from metapeer.pooling.regression_models import prepare, regression_ci_method, tell_size
from metapeer.pooling.regression_results import Rows, coefficient_rows, frame_of_rows, wald_words
from metapeer.pooling.results import measure_of
from metapeer.pooling.weighted import FloatArray

__all__ = ["LocationScaleResult", "location_scale"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LocationScaleResult(Printable):
    """The result of `location_scale`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    formula, scale_formula : str
        The moderators of the mean and of log tau2.
    k, trials : int
        Effects used, and different trials among them.
    names, scale_names : tuple of str
        The coefficients of the mean and of log tau2.
    beta, covariance : array of shape (p,) and (p, p)
        Coefficients of the mean and their covariance; read-only.
    alpha, alpha_covariance : array of shape (q,) and (q, q)
        Coefficients of log tau2 and their covariance; read-only.
    df : float or None
        Degrees of freedom of the tests of `beta`; those of `alpha` are normal.
    ci_method : str
        Of the coefficients of the mean.
    hk_q : float
        Knapp and Hartung's scale factor, whether used or not.
    omnibus, scale_omnibus : WaldTest or None
        Tests of all coefficients but the intercept; None when there is no other.
    LRT, LRT_df, LRT_p : float, int, float
        Likelihood ratio test against one tau2 for all.
    tau2 : array of shape (k,)
        Between-study variance of each row; read-only.
    tau2_method : {"REML", "ML"}
        The likelihood.
    null_tau2 : float
        One tau2 for all, by the same likelihood.
    statistics : FitStatistics
        Log-likelihood and information criteria.
    QE, QE_df, QE_p : float, int, float
        Test of residual heterogeneity.
    other_maxima : tuple of float
        How far below the best the log-likelihood lies at other maxima that were found.
    gradient, curvature : float
        The certificate: length of the gradient in standard errors, and smallest curvature, at the maximum.
    level : float
        Confidence level of every interval.
    positive_favours : str
        The arm that a positive effect favours; empty when unknown.
    labels : tuple of str
        Names of the rows used.
    excluded : tuple of (str, str)
        Rows not used, each with the reason.
    notes : tuple of str
        What a reader must know about how this result came about.
    design, scale_design : Design
        The coded moderators.
    """

    measure: str
    formula: str
    scale_formula: str
    k: int
    trials: int
    names: tuple[str, ...]
    beta: FloatArray
    covariance: FloatArray
    scale_names: tuple[str, ...]
    alpha: FloatArray
    alpha_covariance: FloatArray
    df: float | None
    ci_method: str
    hk_q: float
    omnibus: WaldTest | None
    scale_omnibus: WaldTest | None
    LRT: float
    LRT_df: int
    LRT_p: float
    tau2: FloatArray
    tau2_method: str
    null_tau2: float
    statistics: FitStatistics
    QE: float
    QE_df: int
    QE_p: float
    other_maxima: tuple[float, ...]
    gradient: float
    curvature: float
    level: float
    positive_favours: str
    labels: tuple[str, ...]
    excluded: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    design: Design = field(repr=False)
    scale_design: Design = field(repr=False)

    @property
    def _location(self) -> RegressionFit:
        return RegressionFit(
            beta=self.beta, covariance=self.covariance, hk_q=self.hk_q, df=self.df, method=self.ci_method
        )

    @property
    def _scale(self) -> RegressionFit:
        return _normal_fit(self.alpha, self.alpha_covariance)

    def _both(self) -> tuple[Linear, Linear]:
        return (
            linear_combinations(self._location, np.eye(self.beta.size), level=self.level),
            linear_combinations(self._scale, np.eye(self.alpha.size), level=self.level),
        )

    def to_frame(self) -> pd.DataFrame:
        """Put the coefficients in rows.

        Returns
        -------
        DataFrame
            One row for each coefficient; ``part`` is "location" (the mean) or "scale" (log tau2).
        """
        frames = []
        for part, names, found, df in (
            ("location", self.names, self._both()[0], self.df),
            ("scale", self.scale_names, self._both()[1], None),
        ):
            columns: dict[str, Any] = {
                "part": part,
                "coefficient": list(names),
                "estimate": found.estimate,
                "se": found.se,
                "ci_low": found.low,
                "ci_high": found.high,
                "level": self.level,
                "statistic": found.statistic,
                "df": math.nan if df is None else df,
                "p_value": found.p_value,
            }
            frames.append(pd.DataFrame(columns))
        return pd.concat(frames, ignore_index=True)

    def predict(self, new: Rows, *, level: float | None = None) -> pd.DataFrame:
        """Expected effects and between-study variances for given moderators.

        Parameters
        ----------
        new : DataFrame, mapping, or sequence of mappings
            A value for every moderator of the mean and of the scale.
        level : float, optional
            Level of the intervals; the result's own when left out.

        Returns
        -------
        DataFrame
            The rows, then ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``pi_low``, ``pi_high`` (on the scale of the
            analysis), and ``tau2`` with ``tau2_ci_low`` and ``tau2_ci_high``.

        Raises
        ------
        DataError
            If a moderator is missing or has a value that the model cannot take; all faults are listed.
        """
        chosen = self.level if level is None else check_level(level)
        shown = frame_of_rows(new)
        mean = linear_combinations(self._location, encode_rows(self.design, shown), level=chosen)
        spread = linear_combinations(self._scale, encode_rows(self.scale_design, shown), level=chosen)
        tau2 = np.exp(spread.estimate)
        low, high = prediction_limits(mean.estimate, mean.se, tau2=tau2, df=self.df, level=chosen)
        columns: dict[str, Any] = {
            "estimate": mean.estimate,
            "se": mean.se,
            "ci_low": mean.low,
            "ci_high": mean.high,
            "pi_low": low,
            "pi_high": high,
            "tau2": tau2,
            "tau2_ci_low": np.exp(spread.low),
            "tau2_ci_high": np.exp(spread.high),
            "level": chosen,
        }
        return shown.drop(columns=[name for name in columns if name in shown]).assign(**columns)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            The coefficients of the mean, and those of log tau2 with the notes.
        """
        measure = measure_of(self.measure)
        size = count(self.k, "study", "studies") if self.trials == self.k else count(self.k, "effect")
        if self.trials != self.k:
            size += f" from {count(self.trials, 'trial')}"
        title = f"Location-scale model ({self.tau2_method}): {size}"
        if self.measure:
            title += f"\n{measure.name}"
            if measure.scale != "identity":
                title += f", coefficients on the {measure.scale} scale"
        level = format_level(self.level)
        location, scale = self._both()
        symbol = "z" if self.df is None else f"t ({self.df:g} df)"
        below = [f"Reference level of {name}: {value}" for name, value in self.design.references.items()]
        if self.omnibus is not None:
            below.append(f"Moderators of the mean together: {wald_words(self.omnibus)}")
        first = TextTable(
            title=f"{title}\n\nMean: {self.formula}",
            header=("", "estimate", "SE", f"{level} CI", symbol, "p"),
            rows=coefficient_rows(self.names, location),
            notes=below,
        )
        notes = [f"Reference level of {name}: {value}" for name, value in self.scale_design.references.items()]
        if self.scale_omnibus is not None:
            notes.append(f"Scale moderators together: {wald_words(self.scale_omnibus)}")
        if self.LRT_df:
            notes.append(
                f"Against one tau² for all ({format_number(self.null_tau2, 4)}): likelihood ratio {self.LRT:.2f}, "
                f"df = {self.LRT_df}, p {p_equals(self.LRT_p)}"
            )
        notes.append(
            f"tau² from {format_number(float(self.tau2.min()), 4)} to {format_number(float(self.tau2.max()), 4)}; "
            f"QE = {self.QE:.2f}, df = {self.QE_df}, p {p_equals(self.QE_p)}"
        )
        notes += self.notes
        if self.excluded:
            notes.append(f"{count(len(self.excluded), 'row')} not used:")
            notes += [f"  {label}: {reason}" for label, reason in self.excluded]
        second = TextTable(
            title=f"log tau²: {self.scale_formula}",
            header=("", "estimate", "SE", f"{level} CI", "z", "p"),
            rows=coefficient_rows(self.scale_names, scale),
            notes=notes,
        )
        return (first, second)


def _normal_fit(beta: FloatArray, covariance: FloatArray) -> RegressionFit:
    return RegressionFit(beta=beta, covariance=covariance, hk_q=math.nan, df=None, method="z")


def location_scale(
    data: pd.DataFrame,
    *,
    scale: str | Sequence[str] | None = None,
    scale_formula: str | None = None,
    moderators: str | Sequence[str] | None = None,
    formula: str | None = None,
    reference: Mapping[str, str] | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    tau2_method: str = "REML",
    ci_method: str | None = None,
    level: float = 0.95,
) -> LocationScaleResult:
    """Ask how the spread of true effects, and not only their mean, depends on moderators.

    Parameters
    ----------
    data : DataFrame
        A table with ``yi`` and ``vi`` or ``sei``, and the moderators.
    scale : str or sequence of str, optional
        Columns that log tau2 depends on.
    scale_formula : str, optional
        Or a formula.
    moderators : str or sequence of str, optional
        Columns that the mean depends on; none when left out.
    formula : str, optional
        Or a formula.
    reference, labels, measure, ci_method, level
        As in `meta_regression`; `ci_method` is for the mean.
    tau2_method : {"REML", "ML"}, default "REML"
        The likelihood.

    Returns
    -------
    LocationScaleResult
        Coefficients of the mean and of log tau2.

    Raises
    ------
    DataError
        If the table cannot be used, or coefficients cannot be told apart.
    ConvergenceError
        If the likelihood has no maximum; the message says what helps.
    ChoiceError
        If an option is unknown.

    Warns
    -----
    DataWarning
        If one trial contributes several effects, or the likelihood has several maxima.

    References
    ----------
    Viechtbauer & Lopez-Lopez (2022), Res Synth Methods 13:697-715.

    Examples
    --------
    >>> table = pd.DataFrame({"yi": [0.1, 0.2, 0.15, 0.1, 0.9, -0.5, 1.4, 0.2], "vi": [0.001] * 8,
    ...                       "design": ["pilot"] * 4 + ["full"] * 4})
    >>> fit = location_scale(table, scale="design", reference={"design": "pilot"})
    >>> fit.predict({"design": ["pilot", "full"]})[["design", "estimate", "tau2"]].round(3)
      design  estimate   tau2
    0  pilot     0.139  0.001
    1   full     0.139  0.645
    """
    check_choice("tau2_method", tau2_method, ("REML", "ML"))
    method = regression_ci_method("random", ci_method)
    check_level(level)
    if moderators is None and formula is None:
        moderators = []
    ready = prepare(
        data,
        [("moderators", moderators, formula), ("scale", scale, scale_formula)],
        reference=reference,
        labels=labels,
        measure=measure,
    )
    effects, (design, scale_design) = ready.effects, ready.designs
    k, (p, q) = effects.yi.size, (len(design.names), len(scale_design.names))
    if k <= p + q:
        raise DataError(
            ready.source,
            [f"{count(k, 'row')} cannot carry {p} coefficients of the mean and {q} of log tau²; use fewer moderators"],
        )
    notes = Notes()
    tell_dependence(effects, notes)
    tell_size(effects, design, notes)
    tell_size(effects, scale_design, notes)
    restricted = tau2_method == "REML"
    found = fit_location_scale(effects.yi, effects.vi, design.X, scale_design.X, restricted=restricted)
    if found.other_maxima:
        lower = ", ".join(f"{drop:.2g}" for drop in found.other_maxima)
        notes.doubt(f"the likelihood has other maxima, lower in log-likelihood by {lower}; the best is reported")
    fit = fit_regression(effects.yi, effects.vi + found.tau2, design.X, tau2=0.0, method=method)
    LRT = max(0.0, 2.0 * (found.log_likelihood - found.null_log_likelihood))
    tests = len(scale_design.tested) if scale_design.intercept is not None else 0
    het = cochran_q(effects.yi, effects.vi, design.X)
    for array in (fit.beta, fit.covariance, found.alpha, found.alpha_covariance, found.tau2):
        array.setflags(write=False)
    notes.warn(stacklevel=2)
    return LocationScaleResult(
        measure=effects.measure,
        formula=design.words,
        scale_formula=scale_design.words,
        k=k,
        trials=len(set(effects.trials)),
        names=design.names,
        beta=fit.beta,
        covariance=fit.covariance,
        scale_names=scale_design.names,
        alpha=found.alpha,
        alpha_covariance=found.alpha_covariance,
        df=fit.df,
        ci_method=method,
        hk_q=fit.hk_q,
        omnibus=wald_test(fit, np.eye(p)[list(design.tested)]) if design.tested else None,
        scale_omnibus=(
            wald_test(_normal_fit(found.alpha, found.alpha_covariance), np.eye(q)[list(scale_design.tested)])
            if scale_design.tested
            else None
        ),
        LRT=LRT,
        LRT_df=tests,
        LRT_p=chi2_tail(LRT, tests) if tests else math.nan,
        tau2=found.tau2,
        tau2_method=tau2_method,
        null_tau2=found.null_tau2,
        statistics=information(tau2_method, found.log_likelihood, p + q, k - p if restricted else k),
        QE=het.Q,
        QE_df=het.df,
        QE_p=het.p_value,
        other_maxima=found.other_maxima,
        gradient=found.gradient,
        curvature=found.curvature,
        level=level,
        positive_favours=effects.positive_favours,
        labels=effects.labels,
        excluded=effects.excluded,
        notes=tuple(dict.fromkeys(notes.said)),
        design=design,
        scale_design=scale_design,
    )
