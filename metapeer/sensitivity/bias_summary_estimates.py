"""Adjusted effects of single methods for publication bias, each turned into lines of a summary."""

import math

from metapeer.formatting import count, format_number, format_p
from metapeer.pooling.intervals import Interval
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.sensitivity.bias_summary_lines import t_or_normal
from metapeer.sensitivity.bias_summary_results import BiasLine
from metapeer.sensitivity.copas_results import CopasResult
from metapeer.sensitivity.deletion_results import change_of_conclusion
from metapeer.sensitivity.limit_results import LimitMetaAnalysisResult
from metapeer.sensitivity.p_uniform_results import PUniformStarResult
from metapeer.sensitivity.pet_peese_results import PetPeeseResult
from metapeer.sensitivity.selection_results import SelectionModelResult
from metapeer.sensitivity.trim_fill_results import TrimFillResult
from metapeer.sensitivity.waap_results import WaapResult
from metapeer.sensitivity.worst_case_results import PublicationBiasSensitivity

__all__ = [
    "copas_lines",
    "limit_lines",
    "p_uniform_lines",
    "pet_peese_lines",
    "pooled_line",
    "ratio_lines",
    "selection_lines",
    "trim_fill_lines",
    "waap_lines",
]

ROUNDING = 1e-9
"""Part of a number up to which a difference is rounding."""


def pooled_line(fit: MetaAnalysisResult) -> BiasLine:
    """Tell the pooled effect that the others are compared with.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The pooled effect.

    Returns
    -------
    BiasLine
        The first of the estimates.
    """
    null = measure_of(fit.measure).has_null
    says = f"the interval {'excludes' if fit.ci.low > 0 or fit.ci.high < 0 else 'includes'} no effect"
    if _has_no_width(fit.estimate, fit.ci):
        says = "the interval has no width, as nothing is left to estimate an error from"
    model = f"random effects, {fit.tau2_method}" if fit.model == "random" else "common effect"
    return BiasLine(
        group="estimate",
        method="meta_analysis",
        label="as pooled",
        quantity="effect",
        says=says if null else "",
        value=fit.estimate,
        se=fit.se,
        ci_low=fit.ci.low,
        ci_high=fit.ci.high,
        p_value=fit.p_value if null else math.nan,
        p_test=fit.ci.method if null else "",
        note=model,
    )


def _has_no_width(estimate: float, interval: Interval) -> bool:
    """Whether an interval came out as a point, up to rounding: effects that lie on a line to the last digit."""
    return interval.high - interval.low <= ROUNDING * max(abs(estimate), abs(interval.high))


def _moved(fit: MetaAnalysisResult, estimate: float, interval: Interval) -> str:
    """Say where an estimate went, and what that does to the conclusion."""
    if abs(estimate - fit.estimate) <= ROUNDING * max(abs(fit.estimate), fit.se):
        where = "the same estimate"
    elif not measure_of(fit.measure).has_null:
        return "higher" if estimate > fit.estimate else "lower"
    else:
        where = f"{'nearer to' if abs(estimate) < abs(fit.estimate) else 'farther from'} no effect"
    if not measure_of(fit.measure).has_null:
        return where
    if math.isnan(interval.low) or math.isnan(interval.high):
        return f"{where}; no interval"
    if _has_no_width(estimate, interval):
        return f"{where}; the interval has no width, as nothing is left to estimate an error from"
    change = change_of_conclusion(fit.estimate, (fit.ci.low, fit.ci.high), estimate, (interval.low, interval.high))
    return f"{where}; {change}" if change else f"{where}; the conclusion stays"


def _effect(
    method: str,
    label: str,
    fit: MetaAnalysisResult,
    estimate: float,
    interval: Interval,
    *,
    se: float = math.nan,
    p_value: float = math.nan,
    p_test: str = "",
    note: str,
) -> BiasLine:
    null = measure_of(fit.measure).has_null
    return BiasLine(
        group="estimate",
        method=method,
        label=label,
        quantity="effect",
        says=_moved(fit, estimate, interval),
        value=estimate,
        se=se,
        ci_low=interval.low,
        ci_high=interval.high,
        p_value=p_value if null else math.nan,
        p_test=p_test if null and not math.isnan(p_value) else "",
        note=note,
    )


def trim_fill_lines(method: str, label: str, fit: MetaAnalysisResult, found: TrimFillResult) -> list[BiasLine]:
    """Tell trim and fill.

    Parameters
    ----------
    method, label, fit
        As in `asymmetry_lines`.
    found : TrimFillResult
        What it found.

    Returns
    -------
    list of BiasLine
        One.
    """
    filled = found.filled
    note = f"{count(found.k0, 'study', 'studies')} filled in on the {found.side}; estimator {found.estimator}"
    return [
        _effect(
            method,
            label,
            fit,
            filled.estimate,
            filled.ci,
            se=filled.se,
            p_value=filled.p_value,
            p_test=filled.ci.method,
            note=note,
        )
    ]


def pet_peese_lines(method: str, label: str, fit: MetaAnalysisResult, found: PetPeeseResult) -> list[BiasLine]:
    """Tell PET-PEESE: the conditional estimator.

    Parameters
    ----------
    method, label, fit
        As in `asymmetry_lines`.
    found : PetPeeseResult
        What it found.

    Returns
    -------
    list of BiasLine
        One.
    """
    chosen = found.selected
    assert chosen.line is not None  # noqa: S101  both are regressions
    assert chosen.limit_ci is not None  # noqa: S101
    less = "is" if found.chosen == "PEESE" else "is not"
    note = f"{found.chosen}, as PET's p of {format_p(found.pet_p_value)} {less} below {found.alpha:g}"
    return [
        _effect(
            method,
            label,
            fit,
            chosen.limit,
            chosen.limit_ci,
            se=float(chosen.line.se[0]),
            p_value=float(chosen.line.p_value[0]),
            p_test=t_or_normal(float(chosen.line.df[0])),
            note=note,
        )
    ]


def limit_lines(method: str, label: str, fit: MetaAnalysisResult, found: LimitMetaAnalysisResult) -> list[BiasLine]:
    """Tell limit meta-analysis.

    Parameters
    ----------
    method, label, fit
        As in `asymmetry_lines`.
    found : LimitMetaAnalysisResult
        What it found.

    Returns
    -------
    list of BiasLine
        One.
    """
    note = f"{found.adjust}; small-study effects: Q = {found.Q_small:.2f}, 1 df, p {_p(found.Q_small_p)}"
    return [
        _effect(
            method, label, fit, found.estimate, found.ci, se=found.se, p_value=found.p_value, p_test="normal", note=note
        )
    ]


def _p(value: float) -> str:
    text = format_p(value)
    return text if text.startswith("<") else f"= {text}"


def selection_lines(method: str, label: str, fit: MetaAnalysisResult, found: SelectionModelResult) -> list[BiasLine]:
    """Tell a selection model of one step.

    Parameters
    ----------
    method, label, fit
        As in `asymmetry_lines`.
    found : SelectionModelResult
        What it found.

    Returns
    -------
    list of BiasLine
        One.
    """
    weight = f"weight {found.weights[1]:.2f} of results with {found.weight_names[1]}"
    test = found.selection_test
    more = "" if test is None else f"; no selection: likelihood ratio {test.statistic:.2f}, 1 df, p {_p(test.p_value)}"
    return [
        _effect(
            method,
            label,
            fit,
            found.estimate,
            found.ci,
            se=float(found.se[0]),
            p_value=float(found.p_value[0]),
            p_test="normal",
            note=weight + more,
        )
    ]


def copas_lines(method: str, label: str, fit: MetaAnalysisResult, found: CopasResult) -> list[BiasLine]:
    """Tell Copas' model: the adjusted effect, where there is one.

    Parameters
    ----------
    method, label, fit
        As in `asymmetry_lines`.
    found : CopasResult
        What it found.

    Returns
    -------
    list of BiasLine
        One.
    """
    i = found.selected
    alpha = found.residual_alpha
    if i is None or found.ci is None:
        return [
            BiasLine(
                group="estimate",
                method=method,
                label=label,
                quantity="effect",
                says="no adjusted effect: no degree of selection considered explains the funnel",
                value=math.nan,
                note=f"p of residual selection stays below {alpha:g}",
            )
        ]
    residual = f"residual selection p {_p(float(found.residual_p[i]))}"
    if i == 0:
        note = f"no selection is needed to explain the funnel ({residual}); random effects by ML"
    else:
        chance = format_number(float(found.publication_probability[i]), 2)
        note = f"if the least precise study had probability {chance} of being published ({residual})"
    return [_effect(method, label, fit, found.adjusted, found.ci, se=float(found.se[i]), note=note)]


def p_uniform_lines(method: str, label: str, fit: MetaAnalysisResult, found: PUniformStarResult) -> list[BiasLine]:
    """Tell p-uniform*.

    Parameters
    ----------
    method, label, fit
        As in `asymmetry_lines`.
    found : PUniformStarResult
        What it found.

    Returns
    -------
    list of BiasLine
        One.
    """
    note = f"{found.significant} of {found.k} studies significant in the favoured direction; {found.ci.method}"
    return [
        _effect(
            method,
            label,
            fit,
            found.estimate,
            found.ci,
            p_value=found.null_p,
            p_test="likelihood ratio, chi-squared, 1 df",
            note=note,
        )
    ]


def waap_lines(method: str, label: str, fit: MetaAnalysisResult, found: WaapResult) -> list[BiasLine]:
    """Tell WAAP-WLS.

    Parameters
    ----------
    method, label, fit
        As in `asymmetry_lines`.
    found : WaapResult
        What it found.

    Returns
    -------
    list of BiasLine
        One.
    """
    mean = found.answer
    power = f"{found.adequate} of {found.k} studies have {100 * found.power:g}% power"
    which = f"{power}; {'least squares mean of all' if found.used == 'WLS' else 'mean of these'}"
    return [
        _effect(
            method,
            label,
            fit,
            mean.estimate,
            mean.ci,
            se=mean.se,
            p_value=mean.p_value,
            p_test=mean.ci.method,
            note=which,
        )
    ]


def ratio_lines(method: str, label: str, fit: MetaAnalysisResult, found: PublicationBiasSensitivity) -> list[BiasLine]:
    """Tell the worst case, and the S-values of the estimate and of its interval.

    Parameters
    ----------
    method, label, fit
        As in `asymmetry_lines`.
    found : PublicationBiasSensitivity
        What it found.

    Returns
    -------
    list of BiasLine
        Three.
    """
    worst = found.worst
    rest = worst.k - worst.affirmative
    note = f"{count(rest, 'effect')} not significant in the favoured direction, alone; a bound, not an estimate"
    lines = [
        _effect(
            method,
            label,
            fit,
            worst.estimate,
            worst.ci,
            se=worst.se,
            p_value=worst.p_value,
            p_test=worst.ci.method,
            note=note,
        )
    ]
    for value, what, name in (
        (found.s_value, "the estimate", "S-value (estimate)"),
        (found.s_value_ci, "the nearer end of the interval", "S-value (interval)"),
    ):
        if math.isinf(value):
            says = f"no selection of this kind, however strong, moves {what} to no effect"
        elif value <= 1.0:
            says = f"{what} is at no effect, or beyond it, without any selection"
        else:
            says = f"{what} is at no effect if favoured results are published {value:.2f} times as often"
        lines.append(
            BiasLine(
                group="severity",
                method=method,
                label=name,
                quantity="selection ratio",
                says=says,
                value=value,
                note="random-effects weights, cluster-robust CR2" if worst.model == "robust" else "one common effect",
            )
        )
    return lines
