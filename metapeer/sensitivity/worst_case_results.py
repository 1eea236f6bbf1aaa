"""The doors to Mathur and VanderWeele's sensitivity analysis: how bad publication bias would have to be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from metapeer.errors import ChoiceError, DataError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_level, format_number
from metapeer.pooling.intervals import Interval
from metapeer.pooling.models import Notes
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.tau2 import estimate_tau2
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.p_values_input import (
    Evidence,
    check_alpha,
    choose_side,
    estimate_row,
    p_words,
    read_evidence,
    side_words,
    size_words,
    tell_few,
    tell_shared,
)
from metapeer.sensitivity.worst_case_weights import (
    Corrected,
    Weighted,
    severity_for_estimate,
    severity_for_limit,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PublicationBiasSensitivity", "WorstCaseResult", "publication_bias_sensitivity", "worst_case"]

MODELS = ("robust", "common")
DF_METHODS = ("Satterthwaite", "robumeta")
FEW_DF = 4.0
"""Satterthwaite's approximation is not to be trusted below: Tipton (2015), Psychol Methods 20:375-393."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    evidence: Evidence
    weighted: Weighted
    affirmative: NDArray[np.bool_]
    side: str
    sign: float
    model: str
    notes: Notes


def _interval(found: Corrected, sign: float, level: float, model: str) -> Interval:
    low, high = (found.low, found.high) if sign > 0 else (-found.high, -found.low)
    kind = "normal" if found.df is None else f"t, {found.df:.4g} df"
    return Interval(low, high, level, f"CR2, {kind}" if model == "robust" and found.df is not None else kind)


def _setting(evidence: Evidence, *, favoured: str | None, model: str | None, alpha: float, df_method: str) -> _Setting:
    if model is None:
        model = "common" if evidence.fit is not None and evidence.fit.model == "common" else "robust"
    check_choice("model", model, MODELS)
    check_choice("df_method", df_method, DF_METHODS)
    if model == "common" and df_method != "Satterthwaite":
        raise ChoiceError("df_method has no effect on model='common'; leave it out")
    alpha = check_alpha("alpha", alpha)
    notes = Notes()
    side = choose_side(favoured, evidence, notes)
    sign = 1.0 if side == "positive" else -1.0
    own = sign * evidence.yi
    affirmative = own > -float(ndtri(alpha / 2.0)) * evidence.sei
    tau2 = 0.0
    if model == "robust" and evidence.k > 1:
        random = evidence.fit is not None and evidence.fit.model == "random"
        tau2 = (
            evidence.fit.tau2 if evidence.fit is not None and random else estimate_tau2(own, evidence.vi, "REML").tau2
        )
    trials = evidence.effects.trials or tuple(str(i) for i in range(evidence.k))
    weighted = Weighted(
        own,
        evidence.vi,
        affirmative,
        trials,
        tau2=tau2,
        robust=model == "robust",
        level=evidence.level,
        df_method=df_method,
    )
    if model == "common":
        tell_shared(evidence, notes)
    return _Setting(
        evidence=evidence,
        weighted=weighted,
        affirmative=affirmative,
        side=side,
        sign=sign,
        model=model,
        notes=notes,
    )


def _tell_df(found: Corrected, model: str, what: str, notes: Notes) -> None:
    if model != "robust":
        return
    if found.df is None:
        notes.doubt(f"{what} rests on one trial: its interval is that of its sampling error and tau² alone")
    elif found.df < FEW_DF:
        notes.doubt(f"{what} has {format_number(found.df, 1)} degrees of freedom; below 4 its interval is unreliable")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class WorstCaseResult(Printable):
    """The result of `worst_case`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    k, affirmative : int
        Effects, and of them those significant in the favoured direction.
    estimate, se : float
        Pooled effect of the others.
    ci : Interval
        Its interval.
    p_value : float
        Test of no effect.
    pooled : float
        Effect of all, pooled alike.
    pooled_ci : Interval
        Its interval.
    pooled_p : float
        Its test.
    model : {"robust", "common"}
        How.
    tau2 : float
        Between-study variance in the weights, from all effects.
    favoured : str
        ``"positive"`` or ``"negative"``.
    alpha : float
        Two-sided level of significance.
    level : float
        Confidence level.
    labels : tuple of str
        Effects.
    yi, sei : array of shape (k,)
        Effects and standard errors; read-only.
    is_affirmative : array of bool of shape (k,)
        Which are affirmative; read-only.
    notes : tuple of str
        What a reader must know.
    size : str
        How many effects there are, in words.
    """

    measure: str
    k: int
    affirmative: int
    estimate: float
    se: float
    ci: Interval
    p_value: float
    pooled: float
    pooled_ci: Interval
    pooled_p: float
    model: str
    tau2: float
    favoured: str
    alpha: float
    level: float
    labels: tuple[str, ...]
    yi: FloatArray
    sei: FloatArray
    is_affirmative: NDArray[np.bool_]
    notes: tuple[str, ...]
    size: str

    def studies(self) -> pd.DataFrame:
        """List the effects.

        Returns
        -------
        DataFrame
            ``label``, ``yi``, ``sei`` and ``affirmative``.
        """
        return pd.DataFrame({"label": self.labels, "yi": self.yi, "sei": self.sei, "affirmative": self.is_affirmative})

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row.

        Returns
        -------
        DataFrame
            One row; effects stay on the scale of analysis.
        """
        row = {name: getattr(self, name) for name in ("measure", "k", "affirmative", "estimate", "se")}
        row |= {"ci_low": self.ci.low, "ci_high": self.ci.high, "p_value": self.p_value, "pooled": self.pooled}
        row |= {"pooled_ci_low": self.pooled_ci.low, "pooled_ci_high": self.pooled_ci.high, "pooled_p": self.pooled_p}
        return pd.DataFrame(
            [row | {name: getattr(self, name) for name in ("model", "tau2", "favoured", "alpha", "level")}]
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: both estimates and the notes.
        """
        name, level = self.measure or "effect", format_level(self.level)
        rest = self.k - self.affirmative
        rows = [
            estimate_row(
                f"{name}, worst case ({level} CI)",
                self.measure,
                self.estimate,
                self.ci,
                f"{count(rest, 'effect')} not affirmative; {self.ci.method}; {p_words(self.p_value)}",
            ),
            estimate_row(
                f"{name}, all effects ({level} CI)",
                self.measure,
                self.pooled,
                self.pooled_ci,
                f"{self.pooled_ci.method}; {p_words(self.pooled_p)}",
            ),
        ]
        title = (
            f"Worst-case meta-analysis: {self.size}, {self.affirmative} affirmative "
            f"({side_words(self.favoured)}, two-sided p < {self.alpha:g})"
        )
        return (TextTable(title=title, header=("", "", "", ""), rows=rows, notes=self.notes),)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the significance funnel: affirmative and other effects, and both estimates.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `significance_funnel_plot` takes: ``title``, ``notes``,
            ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.plots.significance_funnel import significance_funnel_plot

        return significance_funnel_plot(self.studies(), ax=ax, **{**_drawn(self), **options})


def _drawn(result: "WorstCaseResult") -> dict[str, Any]:
    entry = measure_of(result.measure)
    name = result.measure or "effect"
    return {
        "estimate": result.pooled,
        "worst": result.estimate,
        "alpha": result.alpha,
        "favoured": result.favoured,
        "x_label": name if entry.scale == "identity" else f"{entry.scale} {name}",
    }


def worst_case(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    favoured: Literal["positive", "negative"] | None = None,
    model: Literal["robust", "common"] | None = None,
    alpha: float = 0.05,
    df_method: Literal["Satterthwaite", "robumeta"] = "Satterthwaite",
    level: float | None = None,
) -> WorstCaseResult:
    """Pool only the effects that publication bias does not favour.

    If affirmative results (significant and in the favoured direction) are published more often than others, however
    much more often, the others are a fair sample of their kind, and their mean is a bound: no selection of this kind,
    be it ever so severe, makes the corrected estimate smaller. It is not an estimate of the effect.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects as `effect_size` returns it; effects of one ``study_id`` are one cluster.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of a fit.
    favoured : {"positive", "negative"}, optional
        The direction that is favoured; by default that of the common-effect estimate.
    model : {"robust", "common"}, optional
        Random-effects weights with cluster-robust CR2 variances, or one common effect; the latter by default for a
        common-effect fit only.
    alpha : float, default 0.05
        Two-sided level of significance.
    df_method : {"Satterthwaite", "robumeta"}, default "Satterthwaite"
        Degrees of freedom of the robust model; ``"robumeta"`` for those that the R packages robumeta and
        PublicationBias print, which take all effects for equally precise.
    level : float, optional
        Confidence level; that of the fit, or 0.95.

    Returns
    -------
    WorstCaseResult
        The bound, beside the estimate from all.

    Raises
    ------
    DataError
        If the effects cannot be used, or all are affirmative.
    ChoiceError
        If an option is unknown or has no effect.

    Warns
    -----
    DataWarning
        If effects are few, or the interval rests on few degrees of freedom.

    References
    ----------
    Mathur & VanderWeele (2020), J R Stat Soc C 69:1091-1119; Mathur (2024), Res Synth Methods 15:500-511.

    Examples
    --------
    >>> yi = [0.62, 0.44, 0.81, 0.12, 0.2, 0.05, 0.66, -0.1, 0.31, 0.28]
    >>> found = worst_case(yi=yi, sei=[0.2] * 10)
    >>> found.affirmative, round(found.pooled, 3), round(found.estimate, 3)
    (4, 0.339, 0.143)
    """
    evidence = read_evidence(
        data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, level=level, method="a worst case"
    )
    found = _worst(_setting(evidence, favoured=favoured, model=model, alpha=alpha, df_method=df_method), alpha)
    notes, result = found
    notes.warn(stacklevel=2)
    return result


def _worst(setting: _Setting, alpha: float) -> tuple[Notes, WorstCaseResult]:
    evidence, notes, sign = setting.evidence, setting.notes, setting.sign
    number = int(setting.affirmative.sum())
    if number == evidence.k:
        raise DataError("the effects", ["all are affirmative; nothing is left for the worst case"])
    rest, everyone = setting.weighted.worst().pool(), setting.weighted.pool()
    if not number:
        notes.say("no effect is affirmative: the worst case is the estimate itself")
    tell_few(evidence.effects.trial_count, "study", notes)
    _tell_df(rest, setting.model, "the worst case", notes)
    is_affirmative, yi, sei = setting.affirmative, evidence.yi.copy(), evidence.sei
    for array in (is_affirmative, yi, sei):
        array.setflags(write=False)
    return notes, WorstCaseResult(
        measure=evidence.effects.measure,
        k=evidence.k,
        affirmative=number,
        estimate=sign * rest.estimate,
        se=rest.se,
        ci=_interval(rest, sign, evidence.level, setting.model),
        p_value=rest.p_value,
        pooled=sign * everyone.estimate,
        pooled_ci=_interval(everyone, sign, evidence.level, setting.model),
        pooled_p=everyone.p_value,
        model=setting.model,
        tau2=setting.weighted.tau2,
        favoured=setting.side,
        alpha=float(alpha),
        level=evidence.level,
        labels=evidence.effects.labels,
        yi=yi,
        sei=sei,
        is_affirmative=is_affirmative,
        notes=tuple(notes.said),
        size=size_words(evidence),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PublicationBiasSensitivity(Printable):
    """The result of `publication_bias_sensitivity`.

    Parameters
    ----------
    worst : WorstCaseResult
        The worst case, with the estimate from all effects.
    target : float
        The value to which estimate and limit are to be shifted, on the scale of analysis.
    s_value : float
        Selection ratio that shifts the estimate to `target`; infinite when none does, 1 when it is there already.
    s_value_ci : float
        The same for the end of the interval that is nearer to `target`.
    ratios : tuple of float
        Selection ratios that were asked for.
    estimates, ses, dfs, lows, highs, p_values : tuple of float
        Corrected effects at `ratios`, with their inference; a `dfs` is NaN for the normal distribution.
    notes : tuple of str
        What a reader must know.
    """

    worst: WorstCaseResult
    target: float
    s_value: float
    s_value_ci: float
    ratios: tuple[float, ...]
    estimates: tuple[float, ...]
    ses: tuple[float, ...]
    dfs: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    p_values: tuple[float, ...]
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the corrected effects in rows.

        Returns
        -------
        DataFrame
            A row for each selection ratio, and a last one with an infinite ratio for the worst case; effects stay on
            the scale of analysis.
        """
        worst = self.worst
        frame = pd.DataFrame(
            {
                "selection_ratio": self.ratios,
                "estimate": self.estimates,
                "se": self.ses,
                "df": self.dfs,
                "ci_low": self.lows,
                "ci_high": self.highs,
                "p_value": self.p_values,
            }
        )
        last = {"selection_ratio": math.inf, "estimate": worst.estimate, "se": worst.se, "df": math.nan}
        last |= {"ci_low": worst.ci.low, "ci_high": worst.ci.high, "p_value": worst.p_value}
        frame.loc[len(frame)] = last
        return frame.assign(
            measure=worst.measure,
            model=worst.model,
            favoured=worst.favoured,
            level=worst.level,
            target=self.target,
            s_value=self.s_value,
            s_value_ci=self.s_value_ci,
        )

    def _severity(self, value: float, what: str) -> str:
        if math.isinf(value):
            return f"no selection ratio, however large, shifts {what} there"
        if value <= 1.0:
            return f"{what} is there without any selection"
        return f"selection ratio that shifts {what} there"

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: corrected effects, S-values, and the notes.
        """
        worst, level = self.worst, format_level(self.worst.level)
        name = worst.measure or "effect"
        rows = []
        for i, ratio in enumerate(self.ratios):
            ci = Interval(self.lows[i], self.highs[i], worst.level, "")
            words = p_words(self.p_values[i])
            label = f"{name}, selection ratio {ratio:g}" if ratio != 1.0 else f"{name}, not corrected"
            rows.append(estimate_row(f"{label} ({level} CI)", worst.measure, self.estimates[i], ci, words))
        rows.append(
            estimate_row(
                f"{name}, worst case ({level} CI)", worst.measure, worst.estimate, worst.ci, p_words(worst.p_value)
            )
        )
        shown = format_number(measure_of(worst.measure).display(self.target), 3)
        for value, what in ((self.s_value, "the estimate"), (self.s_value_ci, f"the end of the {level} interval")):
            number = "none" if math.isinf(value) else format_number(value, 2)
            rows.append((f"S-value, {what} at {shown}", number, "", self._severity(value, what)))
        title = (
            f"Sensitivity to publication bias: {worst.size}, {worst.affirmative} affirmative "
            f"({side_words(worst.favoured)}, two-sided p < {worst.alpha:g})\n"
            + ("random-effects weights, cluster-robust CR2" if worst.model == "robust" else "one common effect")
        )
        return (TextTable(title=title, header=("", "", "", ""), rows=rows, notes=self.notes),)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the significance funnel.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `significance_funnel_plot` takes: ``title``, ``notes``,
            ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        return self.worst.plot(ax=ax, **options)


def _ratios(given: float | Sequence[float]) -> tuple[float, ...]:
    values = (given,) if isinstance(given, int | float | np.number) else given
    try:
        ratios = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise ChoiceError(f"selection_ratio must be a number or a list of numbers, not {given!r}") from None
    if not ratios or not all(math.isfinite(ratio) and ratio >= 1.0 for ratio in ratios):
        raise ChoiceError(f"selection_ratio must be finite and at least 1 (no selection), not {given!r}")
    return ratios


def publication_bias_sensitivity(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    selection_ratio: float | Sequence[float] = (1.0, 2.0, 4.0, 10.0, 50.0),
    target: float = 0.0,
    favoured: Literal["positive", "negative"] | None = None,
    model: Literal["robust", "common"] | None = None,
    alpha: float = 0.05,
    df_method: Literal["Satterthwaite", "robumeta"] = "Satterthwaite",
    level: float | None = None,
) -> PublicationBiasSensitivity:
    """Correct for publication bias of any given severity, and say how severe it would have to be.

    Affirmative results (significant and in the favoured direction) are supposed to be `selection_ratio` times as likely
    to be published as others. Nothing estimates that ratio; the analysis asks what it would take.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects as `effect_size` returns it; effects of one ``study_id`` are one cluster.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of a fit.
    selection_ratio : float or sequence of float, default (1, 2, 4, 10, 50)
        Severities to correct for; 1 is none.
    target : float, default 0.0
        Value to which the S-values shift the estimate and the end of its interval, on the scale of analysis.
    favoured, model, alpha, df_method, level
        As in `worst_case`.

    Returns
    -------
    PublicationBiasSensitivity
        Corrected effects, both S-values and the worst case.

    Raises
    ------
    DataError
        If the effects cannot be used, or none or all are affirmative.
    ChoiceError
        If an option is unknown or has no effect, or the estimate lies beyond `target` already.

    Warns
    -----
    DataWarning
        If effects are few, or an interval rests on few degrees of freedom.

    References
    ----------
    Mathur & VanderWeele (2020), J R Stat Soc C 69:1091-1119. R package PublicationBias.

    Examples
    --------
    >>> yi = [0.62, 0.44, 0.81, 0.12, 0.2, 0.05, 0.66, -0.1, 0.31, 0.28]
    >>> found = publication_bias_sensitivity(yi=yi, sei=[0.2] * 10, model="common")
    >>> [round(value, 3) for value in found.estimates], found.s_value, round(found.s_value_ci, 2)
    ([0.339, 0.266, 0.213, 0.174, 0.15], inf, 10.04)
    """
    evidence = read_evidence(
        data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, level=level, least=2, method="the analysis"
    )
    ratios = _ratios(selection_ratio)
    if isinstance(target, bool) or not isinstance(target, int | float | np.number) or not math.isfinite(target):
        raise ChoiceError(f"target must be a finite number on the scale of analysis, not {target!r}")
    setting = _setting(evidence, favoured=favoured, model=model, alpha=alpha, df_method=df_method)
    if not setting.affirmative.any():
        raise DataError(
            "the effects", [f"none is {setting.side} and significant; there is no selection to correct for"]
        )
    notes, worst = _worst(setting, alpha)
    sign, weighted, goal = setting.sign, setting.weighted, setting.sign * float(target)
    if weighted.pool().estimate < goal:
        raise ChoiceError(
            f"target = {target:g} lies beyond the estimate, {worst.pooled:.4g}; selection of {worst.favoured} effects "
            f"can only have made it {'larger' if sign > 0 else 'smaller'}"
        )
    found = [weighted.pool(ratio) for ratio in ratios]
    least = min(found, key=lambda one: math.inf if one.df is None else one.df)
    _tell_df(least, setting.model, "a corrected estimate", notes)
    notes.warn(stacklevel=2)
    ends = [_interval(one, sign, evidence.level, setting.model) for one in found]
    said = tuple(notes.said)
    return PublicationBiasSensitivity(
        worst=replace(worst, notes=said),
        target=float(target),
        s_value=severity_for_estimate(weighted, goal),
        s_value_ci=severity_for_limit(weighted, goal),
        ratios=ratios,
        estimates=tuple(sign * one.estimate for one in found),
        ses=tuple(one.se for one in found),
        dfs=tuple(math.nan if one.df is None else float(one.df) for one in found),
        lows=tuple(ci.low for ci in ends),
        highs=tuple(ci.high for ci in ends),
        p_values=tuple(one.p_value for one in found),
        notes=said,
    )
