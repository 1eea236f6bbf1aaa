"""The door to the bound for outcome reporting bias: a fit and a number of suspected studies in, a table out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError
from metapeer.formatting import Printable, TextTable, count, format_level, format_number
from metapeer.pooling.intervals import Interval
from metapeer.pooling.models import Notes, meta_options, pool
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.sensitivity.p_values_input import (
    choose_side,
    estimate_row,
    read_evidence,
    side_words,
    size_words,
    tell_few,
    tell_shared,
)
from metapeer.sensitivity.reporting_bias_bound import largest_bias, suspects_for_bias

__all__ = ["ReportingBiasResult", "outcome_reporting_bias"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ReportingBiasResult(Printable):
    """The result of `outcome_reporting_bias`.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The meta-analysis that is looked at.
    k : int
        Studies that report the outcome.
    k_suspect : tuple of int
        Numbers of studies suspected of not reporting it; the first is 0.
    max_bias : tuple of float
        Largest bias for each, signed: what the pooled effect may exceed the truth by.
    estimates, lows, highs : tuple of float
        Pooled effect and ends of its interval after taking the largest bias away.
    target : float
        Value to which estimate and interval might be moved.
    k_for_estimate, k_for_ci : float
        How many suspected studies the bound needs to move the estimate, or the nearer end of the interval, to `target`;
        0 when it is there, infinite when no number does.
    favoured : str
        ``"positive"`` or ``"negative"``: the effects that are more likely to be reported.
    notes : tuple of str
        What a reader must know.
    size : str
        How many effects there are, in words.
    """

    fit: MetaAnalysisResult
    k: int
    k_suspect: tuple[int, ...]
    max_bias: tuple[float, ...]
    estimates: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    target: float
    k_for_estimate: float
    k_for_ci: float
    favoured: str
    notes: tuple[str, ...]
    size: str

    def to_frame(self) -> pd.DataFrame:
        """Put the adjusted effects in rows.

        Returns
        -------
        DataFrame
            A row for each number of suspected studies; effects stay on the scale of analysis.
        """
        return pd.DataFrame(
            {
                "k_suspect": self.k_suspect,
                "max_bias": self.max_bias,
                "estimate": self.estimates,
                "ci_low": self.lows,
                "ci_high": self.highs,
            }
        ).assign(
            measure=self.fit.measure,
            model=self.fit.model,
            k=self.k,
            favoured=self.favoured,
            level=self.fit.level,
            ci_method=self.fit.ci_method,
            target=self.target,
            k_for_estimate=self.k_for_estimate,
            k_for_ci=self.k_for_ci,
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: adjusted effects, how many studies it takes, and the notes.
        """
        fit, level = self.fit, format_level(self.fit.level)
        name = fit.measure or "effect"
        scale = measure_of(fit.measure).scale
        on = "" if scale == "identity" else f" of {scale} {name}"
        rows = []
        for i, number in enumerate(self.k_suspect):
            ci = Interval(self.lows[i], self.highs[i], fit.level, "")
            label = "as pooled" if not number else f"{count(number, 'study', 'studies')} suspected"
            words = fit.ci.method if not number else f"largest bias{on} {format_number(self.max_bias[i], 3)}"
            rows.append(estimate_row(f"{name}, {label} ({level} CI)", fit.measure, self.estimates[i], ci, words))
        shown = format_number(measure_of(fit.measure).display(self.target), 3)
        for value, what in ((self.k_for_estimate, "the estimate"), (self.k_for_ci, f"the end of the {level} interval")):
            words = (
                f"{what} is there without any"
                if value == 0.0
                else f"no number could move {what} there"
                if math.isinf(value)
                else f"could have moved {what} there"
            )
            number_shown = "none" if math.isinf(value) else format_number(value, 1)
            rows.append((f"suspected studies, {what} at {shown}", number_shown, "", words))
        title = f"Bound for outcome reporting bias: {self.size}; {side_words(self.favoured)} reported more often"
        return (TextTable(title=title, header=("", "", "", ""), rows=rows, notes=self.notes),)


def _numbers(given: int | Sequence[int] | None, k: int) -> tuple[int, ...]:
    if given is None:
        return tuple(range(1, min(5, k) + 1))
    values = (given,) if isinstance(given, int | np.integer) else given
    try:
        numbers = tuple(values)
    except TypeError:
        raise ChoiceError(f"k_suspect must be a number of studies or a list of numbers, not {given!r}") from None
    if not numbers or not all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 0 for n in numbers):
        raise ChoiceError(f"k_suspect must be whole numbers from 0, not {given!r}")
    return tuple(sorted({int(n) for n in numbers} - {0}))


def outcome_reporting_bias(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    k_suspect: int | Sequence[int] | None = None,
    favoured: Literal["positive", "negative"] | None = None,
    target: float = 0.0,
    level: float | None = None,
) -> ReportingBiasResult:
    """Bound the bias from studies that measured the outcome and did not report it.

    Some studies are suspected: their protocols or methods name the outcome, their results do not. The bound is the
    largest bias that any rule for what is reported can cause, if precise studies are not less likely to be reported. It
    is a worst case and not an estimate of the bias; the interval is moved and not widened.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects as `effect_size` returns it, which is then pooled under random effects.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of a fit.
    k_suspect : int or sequence of int, optional
        How many studies are suspected; 1 to 5 when left out.
    favoured : {"positive", "negative"}, optional
        The effects that are more likely to be reported; by default those of the sign of the common-effect estimate.
    target : float, default 0.0
        Value for which the number of suspected studies is found that could move estimate and interval there.
    level : float, optional
        Confidence level of a table that is pooled here; a fit has its own.

    Returns
    -------
    ReportingBiasResult
        Adjusted effects, and how many suspected studies it would take.

    Raises
    ------
    DataError
        If the effects cannot be used.
    ChoiceError
        If an option makes no sense.

    Warns
    -----
    DataWarning
        If studies are few or share trials.

    References
    ----------
    Copas & Jackson (2004), Biometrics 60:146-153; function ``orbbound`` of the R package metasens. Copas, Dwan, Kirkham
    & Williamson (2014), Biostatistics 15:370-383, give a likelihood instead, for which each suspected study's size and
    reason must be known.

    Examples
    --------
    >>> yi, vi = [0.3, 0.5, 0.2, 0.4, 0.1] * 2, [0.02, 0.03, 0.02, 0.05, 0.04] * 2
    >>> found = outcome_reporting_bias(yi=yi, vi=vi, k_suspect=[1, 2])
    >>> [round(value, 3) for value in found.estimates], round(found.k_for_estimate, 1)
    ([0.293, 0.263, 0.243], 94.4)
    """
    evidence = read_evidence(
        data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, level=level, least=2, method="the bound"
    )
    if evidence.fit is not None and level is not None and level != evidence.fit.level:
        raise ChoiceError("the fit's interval has a level of its own; pool again for another")
    if isinstance(target, bool) or not isinstance(target, int | float | np.number) or not math.isfinite(target):
        raise ChoiceError(f"target must be a finite number on the scale of analysis, not {target!r}")
    numbers = _numbers(k_suspect, evidence.k)
    notes = Notes()
    side = choose_side(favoured, evidence, notes)
    sign = 1.0 if side == "positive" else -1.0
    fit = evidence.fit
    if fit is None:
        fit = pool(evidence.effects, **meta_options(model="random", level=evidence.level), warn=False)
    vi_, tau2 = evidence.vi, 0.0 if math.isnan(fit.tau2) else fit.tau2
    if fit.weighting == "common-effect weights":
        raise ChoiceError(
            f"the bound supposes weights 1 / (vi + tau²), and ci_method={fit.ci_method!r} weighs by 1 / vi; "
            "pool with another"
        )
    biases = [0.0, *(sign * largest_bias(vi_, tau2, number) for number in numbers)]
    nearer = fit.ci.low if sign > 0 else fit.ci.high
    tell_few(evidence.effects.trial_count, "study", notes)
    tell_shared(evidence, notes)
    notes.say(
        "a bound: the bias may be as large, if precise studies are not less likely to be reported; see k_suspect="
    )
    notes.warn(stacklevel=2)
    return ReportingBiasResult(
        fit=fit,
        k=evidence.k,
        k_suspect=(0, *numbers),
        max_bias=tuple(biases),
        estimates=tuple(fit.estimate - bias for bias in biases),
        lows=tuple(fit.ci.low - bias for bias in biases),
        highs=tuple(fit.ci.high - bias for bias in biases),
        target=float(target),
        k_for_estimate=suspects_for_bias(vi_, tau2, sign * (fit.estimate - float(target))),
        k_for_ci=suspects_for_bias(vi_, tau2, sign * (nearer - float(target))),
        favoured=side,
        notes=tuple(notes.said),
        size=size_words(evidence),
    )
