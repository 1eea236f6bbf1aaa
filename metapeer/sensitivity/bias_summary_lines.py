"""Tests of asymmetry and of excess significance, and fail-safe numbers, each turned into lines of a summary."""

import math

from metapeer.formatting import format_number
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.sensitivity.asymmetry_results import AsymmetryTestResult
from metapeer.sensitivity.bias_summary_results import SIGNIFICANCE, BiasLine
from metapeer.sensitivity.excess_significance_results import TESTS, ExcessSignificanceResult
from metapeer.sensitivity.fail_safe_models import FailSafeResult

__all__ = ["asymmetry_lines", "excess_lines", "fail_safe_lines", "t_or_normal"]


def t_or_normal(df: float | None) -> str:
    """Name the distribution of a test statistic.

    Parameters
    ----------
    df : float or None
        Degrees of freedom; None or infinite for a normal distribution.

    Returns
    -------
    str
        Such as "t, 14 df".

    Examples
    --------
    >>> t_or_normal(14), t_or_normal(None)
    ('t, 14 df', 'normal')
    """
    return "normal" if df is None or not math.isfinite(df) else f"t, {df:.4g} df"


def asymmetry_lines(method: str, label: str, fit: MetaAnalysisResult, found: AsymmetryTestResult) -> list[BiasLine]:
    """Tell a test of asymmetry.

    Parameters
    ----------
    method, label : str
        The method, and its name for a reader.
    fit : MetaAnalysisResult
        The pooled effect.
    found : AsymmetryTestResult
        What it found.

    Returns
    -------
    list of BiasLine
        One.
    """
    del fit
    if found.p_value < SIGNIFICANCE:
        says = f"effects are {'higher' if found.estimate > 0 else 'lower'} in less precise studies"
    else:
        says = "no asymmetry shown"
    low, high = (math.nan, math.nan) if found.ci is None else (found.ci.low, found.ci.high)
    rank = found.line is None
    errors = found.errors if found.errors.startswith(("weights", "additive")) else ""
    return [
        BiasLine(
            group="asymmetry",
            method=method,
            label=label,
            quantity="Kendall's tau" if rank else "slope",
            says=says,
            value=found.estimate,
            se=found.se,
            ci_low=low,
            ci_high=high,
            p_value=found.p_value,
            p_test=found.p_method if rank else t_or_normal(found.df),
            note=f"{found.formula}; {errors}" if errors else found.formula,
        )
    ]


def excess_lines(method: str, label: str, fit: MetaAnalysisResult, found: ExcessSignificanceResult) -> list[BiasLine]:
    """Tell the test of excess significance.

    Parameters
    ----------
    method, label, fit
        As in `asymmetry_lines`.
    found : ExcessSignificanceResult
        What it found.

    Returns
    -------
    list of BiasLine
        One.
    """
    del fit
    more = found.p_value < SIGNIFICANCE
    expected = f"{format_number(found.expected, 2)} of {found.k} expected to be significant"
    return [
        BiasLine(
            group="severity",
            method=method,
            label=label,
            quantity="studies",
            says="more significant results than there should be" if more else "no excess of significant results shown",
            value=float(found.observed),
            p_value=found.p_value,
            p_test=TESTS[found.test],
            note=f"{expected}, if the pooled effect is right; significant effects of either sign",
        )
    ]


def fail_safe_lines(method: str, label: str, fit: MetaAnalysisResult, found: FailSafeResult) -> list[BiasLine]:
    """Tell a fail-safe number.

    Parameters
    ----------
    method, label, fit
        As in `asymmetry_lines`.
    found : FailSafeResult
        What it found.

    Returns
    -------
    list of BiasLine
        One.
    """
    del fit
    kind = "Stouffer's one-sided" if found.method == "Rosenthal" else "the common-effect"
    return [
        BiasLine(
            group="severity",
            method=method,
            label=label,
            quantity="studies",
            says=f"studies without effect to bring {kind} p above {found.alpha:g}"
            if found.N > 0
            else f"{kind} p is above {found.alpha:g} already",
            value=found.N,
            note="Becker (2005) asks for the method to be abandoned",
        )
    ]
