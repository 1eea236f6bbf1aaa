"""The doors to p-uniform and p-uniform*: a fit or effects in, estimates corrected for publication bias out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from metapeer.errors import ConvergenceError, DataError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number
from metapeer.pooling.intervals import Interval
from metapeer.pooling.models import Notes
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.p_uniform_estimators import METHODS, p_uniform_fit
from metapeer.sensitivity.p_uniform_likelihood import p_uniform_star_fit
from metapeer.sensitivity.p_values_input import (
    check_alpha,
    choose_side,
    common_effect,
    estimate_row,
    p_words,
    read_evidence,
    side_words,
    size_words,
    tell_few,
    tell_heterogeneity,
    tell_shared,
)

__all__ = ["PUniformResult", "PUniformStarResult", "p_uniform", "p_uniform_star"]

_CERTAIN = 1e-5
"""Length of the gradient, in standard errors, up to which a maximum counts as found."""

_STATISTICS = {"P": "z", "LNP": "gamma", "LN1MINP": "gamma", "ML": "likelihood ratio"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PUniformResult(Printable):
    """The result of `p_uniform`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    k, significant : int
        Studies, and of them those that are significant in the favoured direction, which alone are used.
    method : str
        Code of the estimator.
    estimate : float
        The corrected effect, on the scale of analysis.
    ci : Interval
        Its interval.
    null_statistic, null_p : float
        Test of no effect; one-sided but for ML.
    bias_statistic, bias_p : float
        Test of publication bias; one-sided but for ML.
    pooled : float
        Common-effect estimate of all studies.
    favoured : str
        ``"positive"`` or ``"negative"``.
    alpha : float
        Two-sided level at which studies count as significant.
    level : float
        Confidence level.
    labels : tuple of str
        The significant studies.
    q : array
        Their p values, conditional on significance, at the estimate; read-only.
    notes : tuple of str
        What a reader must know.
    size : str
        How many effects there are, in words.
    """

    measure: str
    k: int
    significant: int
    method: str
    estimate: float
    ci: Interval
    null_statistic: float
    null_p: float
    bias_statistic: float
    bias_p: float
    pooled: float
    favoured: str
    alpha: float
    level: float
    labels: tuple[str, ...]
    q: FloatArray
    notes: tuple[str, ...]
    size: str

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row.

        Returns
        -------
        DataFrame
            One row; effects stay on the scale of analysis.
        """
        first = ("measure", "k", "significant", "method", "estimate")
        last = ["null_statistic", "null_p", "bias_statistic", "bias_p", "pooled", "favoured", "alpha", "level"]
        row = {name: getattr(self, name) for name in first}
        row |= {"ci_low": self.ci.low, "ci_high": self.ci.high}
        return pd.DataFrame([row | {name: getattr(self, name) for name in last}])

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: estimates, tests, and the notes.
        """
        name, level = self.measure or "effect", format_level(self.level)
        kind = _STATISTICS[self.method]
        sided = "two-sided, chi-squared with 1 df" if self.method == "ML" else f"one-sided, {kind}"
        rows = [
            estimate_row(f"{name}, p-uniform ({level} CI)", self.measure, self.estimate, self.ci, METHODS[self.method]),
            estimate_row(f"{name}, common effect", self.measure, self.pooled, None, "all studies, not corrected"),
            ("test of no effect", format_number(self.null_statistic, 3), "", f"{p_words(self.null_p)}; {sided}"),
            ("test of publication bias", format_number(self.bias_statistic, 3), "", f"{p_words(self.bias_p)}; {sided}"),
        ]
        title = (
            f"p-uniform: {self.size}, {self.significant} of them significant {side_words(self.favoured)} "
            f"(two-sided alpha = {self.alpha:g})"
        )
        return (TextTable(title=title, header=("", "", "", ""), rows=rows, notes=self.notes),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PUniformStarResult(Printable):
    """The result of `p_uniform_star`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    k, significant : int
        Studies, and of them those that are significant in the favoured direction.
    estimate : float
        Mean of true effects, on the scale of analysis.
    ci : Interval
        Its profile-likelihood interval.
    tau2 : float
        Variance of true effects.
    tau2_ci : Interval
        Its profile-likelihood interval.
    log_likelihood : float
        At the maximum, without constants.
    null_statistic, null_p : float
        Likelihood-ratio test of a mean of 0, chi-squared with 1 df.
    het_statistic, het_p : float
        Likelihood-ratio test of tau2 = 0, half of chi-squared with 1 df.
    pooled : float
        Common-effect estimate of all studies.
    favoured : str
        ``"positive"`` or ``"negative"``.
    alpha : float
        Two-sided level at which studies count as significant.
    level : float
        Confidence level.
    notes : tuple of str
        What a reader must know.
    size : str
        How many effects there are, in words.
    """

    measure: str
    k: int
    significant: int
    estimate: float
    ci: Interval
    tau2: float
    tau2_ci: Interval
    log_likelihood: float
    null_statistic: float
    null_p: float
    het_statistic: float
    het_p: float
    pooled: float
    favoured: str
    alpha: float
    level: float
    notes: tuple[str, ...]
    size: str

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row.

        Returns
        -------
        DataFrame
            One row; effects stay on the scale of analysis.
        """
        row = {name: getattr(self, name) for name in ("measure", "k", "significant", "estimate")}
        row |= {"ci_low": self.ci.low, "ci_high": self.ci.high, "tau2": self.tau2}
        row |= {"tau2_ci_low": self.tau2_ci.low, "tau2_ci_high": self.tau2_ci.high}
        last = ["log_likelihood", "null_statistic", "null_p", "het_statistic", "het_p"]
        last += ["pooled", "favoured", "alpha", "level"]
        return pd.DataFrame([row | {name: getattr(self, name) for name in last}])

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: estimates, tests, and the notes.
        """
        name, level = self.measure or "effect", format_level(self.level)
        mean = estimate_row(f"{name}, p-uniform* ({level} CI)", self.measure, self.estimate, self.ci, self.ci.method)
        rows = [
            mean,
            (
                "tau²",
                format_number(self.tau2, 4),
                format_interval(self.tau2_ci.low, self.tau2_ci.high, 4),
                self.tau2_ci.method,
            ),
            estimate_row(f"{name}, common effect", self.measure, self.pooled, None, "all studies, not corrected"),
            (
                "test of no effect",
                format_number(self.null_statistic, 3),
                "",
                f"{p_words(self.null_p)}; likelihood ratio, chi-squared with 1 df",
            ),
            (
                "test of tau² = 0",
                format_number(self.het_statistic, 3),
                "",
                f"{p_words(self.het_p)}; likelihood ratio, half of chi-squared with 1 df",
            ),
        ]
        title = (
            f"p-uniform*: {self.size}, {self.significant} of them significant {side_words(self.favoured)} "
            f"(two-sided alpha = {self.alpha:g})"
        )
        return (TextTable(title=title, header=("", "", "", ""), rows=rows, notes=self.notes),)


def _mirrored(low: float, high: float, sign: float) -> tuple[float, float]:
    return (low, high) if sign > 0 else (-high, -low)


def p_uniform(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    favoured: Literal["positive", "negative"] | None = None,
    method: Literal["P", "LNP", "LN1MINP", "ML"] = "P",
    alpha: float = 0.05,
    level: float | None = None,
) -> PUniformResult:
    """Estimate one true effect from the significant studies alone.

    Studies that are not significant are left out, so that it does not matter how many of them were published. All
    significant ones must have been equally likely to be, and to have one true effect: where effects differ, the method
    estimates too large an effect.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects as `effect_size` returns it.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of a fit.
    favoured : {"positive", "negative"}, optional
        The significant effects to use; by default those of the sign of the common-effect estimate.
    method : {"P", "LNP", "LN1MINP", "ML"}, default "P"
        At the estimate the sum of the conditional p values q is half their number (P), ``sum(-ln q)`` (LNP) or
        ``sum(-ln(1 - q))`` (LN1MINP) is their number, or the likelihood is highest (ML).
    alpha : float, default 0.05
        Level of two-sided normal tests at which studies count as significant.
    level : float, optional
        Confidence level; that of the fit, or 0.95.

    Returns
    -------
    PUniformResult
        The estimate, and tests of no effect and of publication bias.

    Raises
    ------
    DataError
        If the effects cannot be used, or none is significant in the favoured direction.
    ChoiceError
        If an option is unknown.

    Warns
    -----
    DataWarning
        If studies are few or share trials, if effects differ much, or if the p values are too large for the method.

    References
    ----------
    van Assen, van Aert & Wicherts (2015), Psychol Methods 20:293-309; van Aert, Wicherts & van Assen (2016), Perspect
    Psychol Sci 11:713-729. R package puniform.

    Examples
    --------
    >>> yi = [0.62, 0.44, 0.81, 0.58, 0.2, 0.71, 0.66, 0.9, 0.52, 0.49, 0.77, 0.6]
    >>> found = p_uniform(yi=yi, sei=[0.2] * 12)
    >>> found.significant, round(found.estimate, 3), [round(end, 3) for end in found.ci]
    (11, 0.595, [0.433, 0.73])
    """
    evidence = read_evidence(
        data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, level=level, method="p-uniform"
    )
    check_choice("method", method, METHODS)
    alpha = check_alpha("alpha", alpha)
    notes = Notes()
    side = choose_side(favoured, evidence, notes)
    sign = 1.0 if side == "positive" else -1.0
    reach = -float(ndtri(alpha / 2.0))
    used = np.flatnonzero(sign * evidence.yi > reach * evidence.sei)
    if not used.size:
        raise DataError("the effects", [f"none is {side} and significant at {alpha:g}; p-uniform has nothing to go by"])
    own, own_sei = sign * evidence.yi[used], evidence.sei[used]
    pooled = common_effect(evidence.yi, evidence.vi)
    fit = p_uniform_fit(own, own_sei, reach * own_sei, pooled=sign * pooled, method=method, level=evidence.level)
    tell_few(used.size, "significant study", notes)
    tell_shared(evidence, notes)
    tell_heterogeneity(
        evidence,
        notes,
        what="where true effects differ p-uniform estimates too large an effect (van Aert et al. 2016); "
        "p_uniform_star() allows for it",
    )
    if float(ndtr(-own / own_sei).mean()) > 0.25 * alpha:
        notes.doubt(
            f"the mean one-sided p value of the significant studies is above {0.25 * alpha:g}, as without an effect; "
            "the authors then advise to set the estimate to 0"
        )
    if any(math.isnan(value) for value in (fit.estimate, fit.low, fit.high)):
        notes.doubt("an end of the interval, or the estimate, lies farther away than can be computed")
    notes.warn(stacklevel=2)
    fit.q.setflags(write=False)
    made = "profile likelihood" if method == "ML" else f"inverted test, {METHODS[method]}"
    return PUniformResult(
        measure=evidence.effects.measure,
        k=evidence.k,
        significant=int(used.size),
        method=method,
        estimate=sign * fit.estimate,
        ci=Interval(*_mirrored(fit.low, fit.high, sign), evidence.level, made),
        null_statistic=fit.null_statistic,
        null_p=fit.null_p,
        bias_statistic=fit.bias_statistic,
        bias_p=fit.bias_p,
        pooled=pooled,
        favoured=side,
        alpha=alpha,
        level=evidence.level,
        labels=tuple(evidence.effects.labels[i] for i in used),
        q=fit.q,
        notes=tuple(notes.said),
        size=size_words(evidence),
    )


def p_uniform_star(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    favoured: Literal["positive", "negative"] | None = None,
    alpha: float = 0.05,
    level: float | None = None,
) -> PUniformStarResult:
    """Estimate mean and variance of true effects when significant studies were more likely to be published.

    Significant and other studies each have one unknown chance of being published, whatever their effects are
    otherwise. Every study takes part, conditional on the side of significance that it is on.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects as `effect_size` returns it.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of a fit.
    favoured : {"positive", "negative"}, optional
        The sign of effects that are published more often when significant; by default that of the common-effect
        estimate.
    alpha : float, default 0.05
        Level of two-sided normal tests at which studies count as significant.
    level : float, optional
        Confidence level; that of the fit, or 0.95.

    Returns
    -------
    PUniformStarResult
        Maximum-likelihood estimates with profile-likelihood intervals and likelihood-ratio tests.

    Raises
    ------
    DataError
        If the effects cannot be used, or are fewer than two.
    ChoiceError
        If an option is unknown.
    ConvergenceError
        If the maximum found is none by its gradient.

    Warns
    -----
    DataWarning
        If studies are few or share trials, or if all are on one side of significance.

    References
    ----------
    van Aert & van Assen (2018), MetaArXiv, doi 10.31222/osf.io/zqjr9. R package puniform.

    Examples
    --------
    >>> yi = [0.62, 0.44, 0.81, 0.58, 0.2, 0.71, 0.66, 0.9, 0.12, 0.49, 0.31, 0.6]
    >>> found = p_uniform_star(yi=yi, sei=[0.2] * 12)
    >>> round(found.estimate, 3), [round(end, 3) for end in found.ci], round(found.tau2, 4)
    (0.524, [0.199, 0.71], 0.0131)
    """
    evidence = read_evidence(
        data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, level=level, least=2, method="p-uniform*"
    )
    alpha = check_alpha("alpha", alpha)
    notes = Notes()
    side = choose_side(favoured, evidence, notes)
    sign = 1.0 if side == "positive" else -1.0
    critical = -float(ndtri(alpha / 2.0)) * evidence.sei
    own = sign * evidence.yi
    fit = p_uniform_star_fit(own, evidence.vi, critical, level=evidence.level)
    if not fit.slope < _CERTAIN:
        raise ConvergenceError(
            f"the likelihood of p-uniform* rises still where its climb ended (gradient {fit.slope:.2g} standard "
            "errors); selection_model() with a step is close to it"
        )
    significant = int((own >= critical).sum())
    tell_few(evidence.effects.trial_count, "study", notes)
    tell_shared(evidence, notes)
    if significant in (0, evidence.k):
        notes.doubt(
            f"{'all' if significant else 'none'} of the {count(evidence.k, 'study', 'studies')} are significant: "
            "mean and variance are then hard to tell apart, and the estimates are unreliable"
        )
    if math.isinf(fit.low) or math.isinf(fit.high) or math.isinf(fit.tau2_high):
        notes.doubt("the likelihood never falls far enough on one side, so that an interval has no end there")
    notes.warn(stacklevel=2)
    words = "profile likelihood"
    return PUniformStarResult(
        measure=evidence.effects.measure,
        k=evidence.k,
        significant=significant,
        estimate=sign * fit.estimate,
        ci=Interval(*_mirrored(fit.low, fit.high, sign), evidence.level, words),
        tau2=fit.tau2,
        tau2_ci=Interval(fit.tau2_low, fit.tau2_high, evidence.level, words),
        log_likelihood=fit.log_likelihood,
        null_statistic=fit.null_statistic,
        null_p=fit.null_p,
        het_statistic=fit.het_statistic,
        het_p=fit.het_p,
        pooled=common_effect(evidence.yi, evidence.vi),
        favoured=side,
        alpha=alpha,
        level=evidence.level,
        notes=tuple(notes.said),
        size=size_words(evidence),
    )
