"""The door to pooling by counts: tables of events in, Mantel and Haenszel's or Peto's pooled effect out."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import pandas as pd

from metapeer.effects import binary, direction, rates
from metapeer.effects.measures import RATES, Measure, ZeroCells, find_measure
from metapeer.effects.rows import Rows
from metapeer.effects.table import effect_size
from metapeer.errors import ChoiceError, DataError, DataWarning, Fault, check_choice
from metapeer.formatting import TextTable, count, format_number, format_p
from metapeer.pooling import stratified as mh
from metapeer.pooling.heterogeneity import Heterogeneity, cochran_q
from metapeer.pooling.inference import infer
from metapeer.pooling.intervals import check_level, chi2_tail
from metapeer.pooling.models import Effects, Notes, build_result, read_effects, tell_dependence
from metapeer.pooling.prediction import prediction_interval
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.tau2 import Tau2Estimate
from metapeer.pooling.weighted import FloatArray, total, trace_p

__all__ = ["MantelHaenszelResult", "back_transform", "mantel_haenszel", "peto"]

MeasureOfCounts = Literal["OR", "RR", "RD", "IRR", "IRD"]
MEASURES = ("OR", "RR", "RD", "IRR", "IRD")
VARIANCES = ("GR", "Sato")
CI_METHODS = ("z", "HK", "HK_se", "HK_ci")
SIZES = ("variance", "harmonic")

# Whose standard error each pooled effect has.
_STANDARD_ERRORS = {
    "OR": "Robins, Breslow and Greenland",
    "RR": "Greenland and Robins",
    "GR": "Greenland and Robins",
    "Sato": "Sato",
    "IRR": "Greenland and Robins",
    "IRD": "Greenland and Robins",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MantelHaenszelResult(MetaAnalysisResult):
    """The result of `mantel_haenszel`: a `MetaAnalysisResult` with the tests that go with the method.

    Parameters
    ----------
    association : ChiSquare
        Cochran, Mantel and Haenszel's test that arm and event are unrelated in every study.
    breslow_day, tarone : ChiSquare or None
        Breslow and Day's test that the odds ratio is the same in every study, as they gave it and with Tarone's
        correction; None for other measures.
    """

    association: mh.ChiSquare
    breslow_day: mh.ChiSquare | None = None
    tarone: mh.ChiSquare | None = None

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: that of `MetaAnalysisResult`, with the tests below.
        """
        (table,) = MetaAnalysisResult.text_tables(self)
        rows = list(table.rows)
        for name, test, method in (
            ("association χ²", self.association, "Cochran-Mantel-Haenszel"),
            ("homogeneity of OR χ²", self.tarone, "Breslow-Day with Tarone's correction"),
        ):
            if test is not None and not math.isnan(test.statistic):
                p = format_p(test.p_value)
                p = p if p.startswith("<") else f"= {p}"
                rows.append((name, format_number(test.statistic, 2), "", f"{method}; {test.df} df; p {p}"))
        return (replace(table, rows=rows),)


def _refuse_mixed_directions(data: pd.DataFrame, measure: Measure) -> None:
    """Counts cannot be turned round as effects can, so rows must agree on which way is good."""
    rows = Rows(data)
    if not rows.has("direction", *measure.columns):
        return
    counted = rows.open & ~np.any([np.isnan(rows.numbers(name)) for name in measure.columns], axis=0)
    words = {word for word, used in zip(rows.text("direction"), counted, strict=True) if used}
    if {"higher_better", "lower_better"} <= words & set(direction.DIRECTIONS):
        raise DataError(
            rows.source,
            ["events are good in some rows and bad in others: pool them apart, or count the opposite of the good ones"],
        )


def _read(
    data: pd.DataFrame,
    measure: Measure,
    rule: ZeroCells | None,
    add: float | Literal["TACC"],
    labels: str | Sequence[str] | None,
) -> Effects:
    """Read the rows that have counts; each row's own effect is for display and for Q."""
    _refuse_mixed_directions(data, measure)
    dropping = None if measure.code == "PETO" else False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of rows that have no counts, which are left out with a reason
        frame = effect_size(data, measure=measure.code, zero_cells=rule, add=add, drop_double_zero=dropping)
    columns = {name: _numbers(frame, name) for name in measure.columns}
    usable = (frame["exclusion_reason"] == "").to_numpy(dtype=bool)
    without = usable & ~frame["es_source"].isin(["events", "rates"]).to_numpy(dtype=bool)
    frame.loc[without, "exclusion_reason"] = f"an effect without counts; needed are {' '.join(measure.columns)}"
    if measure.scale == "log":
        x1, x2 = columns["events1"], columns["events2"]
        silent = (x1 == 0) & (x2 == 0)
        says = f"no events in either arm: that says nothing about {measure.code}"
        if measure.code == "OR":
            silent |= (x1 == columns["total1"]) & (x2 == columns["total2"])
            says = "no events, or nothing but events, in both arms: that says nothing about OR"
        frame.loc[usable & ~without & silent, "exclusion_reason"] = says
    effects = read_effects(frame, labels=labels)
    if effects.yi.size == 0:
        faults = [Fault(row=label, message=reason) for label, reason in effects.excluded]
        raise DataError("no counts can be pooled: the table", faults or ["has no rows"])
    return effects


def _numbers(frame: pd.DataFrame, column: str) -> FloatArray:
    if column not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _counts(effects: Effects, measure: Measure) -> tuple[FloatArray, ...]:
    frame = pd.DataFrame() if effects.data is None else effects.data
    return tuple(_numbers(frame, name) for name in measure.columns)


def _estimate(
    measure: Measure, counts: tuple[FloatArray, ...], rule: ZeroCells, add: float | Literal["TACC"], variance: str
) -> mh.Pooled:
    if measure.columns == RATES:
        x1, t1, x2, t2 = counts
        x1, x2 = rates.fill_zero_counts(x1, x2, zero_cells=rule, add=float(add))
        return mh.mh_rate_ratio(x1, t1, x2, t2) if measure.code == "IRR" else mh.mh_rate_difference(x1, t1, x2, t2)
    cells = binary.fill_zero_cells(*counts, zero_cells=rule, add=add)
    if measure.code == "RD":
        return mh.mh_risk_difference(*cells, sato=variance == "Sato")
    return mh.mh_odds_ratio(*cells) if measure.code == "OR" else mh.mh_risk_ratio(*cells)


def _zeros(measure: Measure, counts: tuple[FloatArray, ...]) -> int:
    """Count the studies with a zero cell."""
    x1, size1, x2, size2 = counts
    zero = (x1 == 0) | (x2 == 0)
    if measure.columns != RATES:
        zero |= (x1 == size1) | (x2 == size2)
    return int(zero.sum())


def _about(estimate: float, yi: FloatArray, vi: FloatArray) -> Heterogeneity:
    """Q with inverse-variance weights about another estimate than their mean."""
    het = cochran_q(yi, vi)
    if het.df == 0:
        return het
    off = yi - estimate
    q = float((off / vi) @ off)
    return replace(het, Q=q, p_value=chi2_tail(q, het.df))


def mantel_haenszel(
    data: pd.DataFrame,
    *,
    measure: MeasureOfCounts = "OR",
    model: Literal["common", "random"] = "common",
    zero_cells: ZeroCells = "none",
    add: float | Literal["TACC"] = 0.5,
    variance: Literal["GR", "Sato"] | None = None,
    ci_method: str = "z",
    correct: bool = False,
    labels: str | Sequence[str] | None = None,
    level: float = 0.95,
) -> MantelHaenszelResult:
    """Pool events by the method of Mantel and Haenszel.

    The method adds up counts over studies instead of averaging effects, and so holds where events are rare and studies
    small. By default nothing is added to zero cells: the method needs it only where the same cell is zero in every
    study.

    Parameters
    ----------
    data : DataFrame
        One row per comparison of two arms, with ``events1 total1 events2 total2``, or for incidence rates ``events1
        time1 events2 time2``. Rows with an ``exclusion_reason`` are left out; ``direction``, ``study_id`` and the
        other columns that `effect_size` knows are used where present.
    measure : {"OR", "RR", "RD", "IRR", "IRD"}
        Odds ratio, risk ratio, risk difference, incidence rate ratio or incidence rate difference.
    model : {"common", "random"}
        ``"random"`` is RevMan 5's "Mantel-Haenszel, random effects": inverse-variance weights, with DerSimonian and
        Laird's tau² from the Q about the Mantel-Haenszel estimate.
    zero_cells : {"none", "only0", "all", "if0all"}
        Where to add a constant before pooling. ``"only0"``, to studies with a zero cell, is what RevMan 5 and R's meta
        do; metafor adds nothing.
    add : float or "TACC", default 0.5
        What to add to each cell, there and, where `zero_cells` is ``"none"``, to the studies with a zero cell for their
        own effects. ``"TACC"`` is the treatment arm correction.
    variance : {"GR", "Sato"}, optional
        Variance of a risk difference: Greenland and Robins's, as RevMan 5 and R's meta have it and the default, or
        Sato's, as metafor has it, which also holds for many small studies.
    ci_method : {"z", "HK", "HK_se", "HK_ci"}
        Interval of the random-effects model, as in `meta_analysis`; RevMan 5 has ``"z"``.
    correct : bool, default False
        Whether the test of association is corrected for continuity.
    labels : str or sequence of str, optional
        Names of the rows, or the column that holds them.
    level : float, default 0.95
        Level of every interval.

    Returns
    -------
    MantelHaenszelResult
        A `MetaAnalysisResult` with the tests of association and, for an odds ratio, of its homogeneity. Studies that
        say nothing about the measure are among ``excluded``: for ratios those without events in both arms (and for the
        odds ratio those with nothing but events); a difference uses them all. ``Q`` has inverse-variance weights and
        is taken about the Mantel-Haenszel estimate, as in RevMan 5, meta and metafor.

    Raises
    ------
    DataError
        If counts are impossible or missing, directions conflict, or the counts do not determine the effect.
    ChoiceError
        If an option is unknown, or has no effect.

    Warns
    -----
    DataWarning
        If one trial contributes several rows.

    References
    ----------
    Mantel & Haenszel (1959), Journal of the National Cancer Institute 22:719-748; for each variance see
    `metapeer.pooling.stratified`. Cochrane Handbook 6.5, sections 10.4.1 and 10.4.4.

    Examples
    --------
    >>> import pandas as pd
    >>> trials = pd.DataFrame({
    ...     "study_id": ["a", "b", "c"],
    ...     "events1": [12, 0, 5], "total1": [50, 30, 20], "events2": [20, 2, 0], "total2": [50, 30, 20],
    ... })
    >>> fit = mantel_haenszel(trials, measure="RR")
    >>> round(fit.estimate, 4), round(fit.se, 4), fit.k
    (-0.2578, 0.2804, 3)
    """
    found = find_measure(check_choice("measure", measure, MEASURES))
    check_choice("model", model, ("common", "random"))
    check_choice("zero_cells", zero_cells, ("none", "only0", "all", "if0all"))
    check_choice("ci_method", ci_method, CI_METHODS)
    check_level(level)
    if variance is not None:
        check_choice("variance", variance, VARIANCES)
        if measure != "RD":
            raise ChoiceError(f"variance has no effect with measure {measure!r}; leave it out")
    if model == "common" and ci_method != "z":
        raise ChoiceError("ci_method has no effect under a common effect, whose interval is 'z'; leave it out")
    if add == 0:
        raise ChoiceError("add 0 will not do: the studies' own effects need something; zero_cells='none' pools without")
    effects = _read(data, found, "only0" if zero_cells == "none" else zero_cells, add, labels)
    counts = _counts(effects, found)
    notes = Notes()
    tell_dependence(effects, notes)
    pooled = _estimate(found, counts, zero_cells, add, variance or "GR")
    if not (math.isfinite(pooled.estimate) and pooled.se > 0):
        raise DataError(str(data.attrs.get("source", "the table")), [_undetermined(found, pooled)])
    whose = _STANDARD_ERRORS[(variance or "GR") if measure == "RD" else measure]
    added = "the treatment arm correction" if add == binary.TACC else f"{add:g}"
    if zero_cells != "none":
        notes.say(f"{added} was added to the counts before pooling: zero_cells is {zero_cells!r}")
    elif zeros := _zeros(found, counts):
        notes.say(
            f"{count(zeros, 'study', 'studies')} with a zero cell: pooled as counted; {added} was added to the cells "
            "for the study's own effect, its interval, and Q"
        )
    het = _about(pooled.estimate, effects.yi, effects.vi)
    if effects.yi.size > 1:
        notes.say("Q and I² from Q: inverse-variance weights about the Mantel-Haenszel estimate")
    if model == "common":
        notes.said.insert(0, f"standard error: {whose}")
        result = build_result(
            effects,
            model=model,
            estimate=pooled.estimate,
            found=infer(
                estimate=pooled.estimate,
                classic_se=pooled.se,
                hk_q=math.nan,
                k=effects.yi.size,
                method="z",
                level=level,
            ),
            level=level,
            notes=notes,
            weights=100.0 / total(pooled.weights) * pooled.weights,
            het=het,
            weighting="Mantel-Haenszel",
        )
    else:
        result = _random(effects, het, notes, ci_method=ci_method, level=level)
    notes.warn(stacklevel=2)
    tests: tuple[mh.ChiSquare | None, mh.ChiSquare | None] = (None, None)
    if measure == "OR":
        cells = binary.fill_zero_cells(*counts, zero_cells=zero_cells, add=add)
        tests = mh.breslow_day(*cells, pooled.estimate)
    return MantelHaenszelResult(
        **{field.name: getattr(result, field.name) for field in fields(result)},
        association=mh.cochran_mantel_haenszel(*counts, person_time=found.columns == RATES, correct=correct),
        breslow_day=tests[0],
        tarone=tests[1],
    )


def _undetermined(measure: Measure, pooled: mh.Pooled) -> str:
    if math.isnan(pooled.se) and measure.code == "RD":
        return "Sato's variance is below 0 for these counts; variance='GR' never is"
    if measure.scale == "identity":
        return (
            f"all arms have no events or nothing but events, which leaves {measure.code} without a standard error; "
            "zero_cells='only0' adds a half"
        )
    remedy = "zero_cells='only0' adds a half"
    remedy += ", peto() and measure='RD' need no addition" if measure.code != "IRR" else ", measure='IRD' needs none"
    return f"the same cell is zero in every study, so that {measure.code} is infinite; {remedy}"


def _random(effects: Effects, het: Heterogeneity, notes: Notes, *, ci_method: str, level: float) -> MetaAnalysisResult:
    """Inverse-variance random effects, with tau² from the Q about the Mantel-Haenszel estimate."""
    yi, vi = effects.yi, effects.vi
    k = yi.size
    tau2 = max(0.0, (het.Q - het.df) / trace_p(1.0 / vi)) if k > 1 else 0.0
    w = 1.0 / (vi + tau2)
    estimate = float(w @ yi) / total(w)
    se = 1.0 / math.sqrt(total(w))
    off = yi - estimate
    hk_q = float((w * off) @ off) / (k - 1) if k > 1 else math.nan
    method = ci_method if k > 1 else "z"
    found = infer(estimate=estimate, classic_se=se, hk_q=hk_q, k=k, method=method, level=level)
    prediction = None
    if k > 1:
        knapp = method.startswith("HK")
        prediction = prediction_interval(
            estimate=estimate,
            tau2=tau2,
            classic_se=se,
            hk_se=found.se if knapp else se * math.sqrt(hk_q),
            k=k,
            method="HK" if knapp else "V",
            level=level,
        )
        notes.say("τ²: DerSimonian and Laird, from that Q, as RevMan 5 has it for Mantel-Haenszel random effects")
    return build_result(
        effects,
        model="random",
        estimate=estimate,
        found=found,
        level=level,
        notes=notes,
        weights=100.0 / total(w) * w,
        hk_q=hk_q,
        tau2=Tau2Estimate(tau2, math.nan),
        tau2_method="DL, Mantel-Haenszel Q",
        prediction=prediction,
        prediction_method="HK" if method.startswith("HK") else "V",
        het=het,
        weighting="inverse variance, with Mantel-Haenszel heterogeneity",
    )


def peto(data: pd.DataFrame, *, labels: str | Sequence[str] | None = None, level: float = 0.95) -> MetaAnalysisResult:
    """Pool events by Peto's one-step odds ratio.

    Observed minus expected events are added up over studies, and divided by the sum of their variances. Nothing is
    ever added to a zero cell. The method holds for rare events, small effects and arms of like size, and is biased
    otherwise.

    Parameters
    ----------
    data : DataFrame
        One row per comparison of two arms, with ``events1 total1 events2 total2``, as in `mantel_haenszel`. For
        observed minus expected events that a paper prints, ``oe`` and ``v``, see ``effect_size(measure="HR")``.
    labels : str or sequence of str, optional
        Names of the rows, or the column that holds them.
    level : float, default 0.95
        Level of every interval.

    Returns
    -------
    MetaAnalysisResult
        Under a common effect. Studies without events, or with nothing but events, are among ``excluded``.

    Raises
    ------
    DataError
        If counts are impossible or missing, or directions conflict.

    Warns
    -----
    DataWarning
        If one trial contributes several rows.

    References
    ----------
    Yusuf et al. (1985), Progress in Cardiovascular Diseases 27:335-371.
    Cochrane Handbook 6.5, section 10.4.2 (when it holds).

    Examples
    --------
    >>> import pandas as pd
    >>> trials = pd.DataFrame({
    ...     "study_id": ["a", "b", "c"],
    ...     "events1": [12, 0, 5], "total1": [50, 30, 20], "events2": [20, 2, 0], "total2": [50, 30, 20],
    ... })
    >>> fit = peto(trials)
    >>> round(fit.estimate, 4), round(fit.se, 4)
    (-0.3517, 0.3751)
    """
    check_level(level)
    measure = find_measure("PETO")
    effects = _read(data, measure, None, 0.5, labels)
    notes = Notes()
    tell_dependence(effects, notes)
    w = 1.0 / effects.vi  # V of each study, and (O - E)/V its effect
    estimate = float(w @ effects.yi) / total(w)
    x1, n1, x2, n2 = _counts(effects, measure)
    risk = 100.0 * float((x1 + x2).sum()) / float((n1 + n2).sum())
    ratio = float(np.max(np.maximum(n1, n2) / np.minimum(n1, n2)))
    notes.say(
        "Peto's odds ratio holds for rare events, small effects and arms of like size; here events happened to "
        f"{risk:.3g}% of participants, and one arm is at most {ratio:.3g} times the other"
    )
    result = build_result(
        effects,
        model="common",
        estimate=estimate,
        found=infer(
            estimate=estimate,
            classic_se=1.0 / math.sqrt(total(w)),
            hk_q=math.nan,
            k=effects.yi.size,
            method="z",
            level=level,
        ),
        level=level,
        notes=notes,
        weights=100.0 / total(w) * w,
        weighting="Peto",
    )
    notes.warn(stacklevel=2)
    return result


def back_transform(fit: MetaAnalysisResult, *, size: Literal["variance", "harmonic"] = "variance") -> pd.DataFrame:
    """Turn a pooled effect and its intervals back to the scale a reader expects.

    Parameters
    ----------
    fit : MetaAnalysisResult
        Of any measure.
    size : {"variance", "harmonic"}
        For Freeman and Tukey's transformations only, ``"PFT"`` and ``"IRFT"``: the sample size that a pooled value is
        given, from the inverse of its variance, or the harmonic mean of the studies'. The latter can mislead badly
        where studies differ in size.

    Returns
    -------
    DataFrame
        One row: ``estimate``, ``ci_low``, ``ci_high``, ``pi_low`` and ``pi_high``; NaN without a prediction interval.

    Raises
    ------
    ChoiceError
        If `size` is unknown, or has no effect.

    References
    ----------
    Barendregt et al. (2013), J Epidemiol Community Health 67:974-978.
    Schwarzer et al. (2019), Research Synthesis Methods 10:476-483.

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> fit = meta_analysis(yi=[-2.2, -1.9, -2.6], vi=[0.1, 0.2, 0.1], measure="PLO", model="common")
    >>> back_transform(fit).round(3).to_dict("records")
    [{'estimate': 0.091, 'ci_low': 0.063, 'ci_high': 0.129, 'pi_low': nan, 'pi_high': nan}]
    """
    check_choice("size", size, SIZES)
    measure = measure_of(fit.measure)
    variance = fit.se**2
    if size == "harmonic":
        if measure.scale not in ("double arcsine", "double root"):
            raise ChoiceError(f"size has no effect with measure {measure.code!r}; leave it out")
        # Each variance is 1/(4n + 2) or 1/(4t), so that the harmonic mean of the sizes has, up to the 2, their mean.
        variance = float(fit.vi.mean())
        if measure.scale == "double arcsine":
            variance = 1 / (4 / float(np.mean(1 / (0.25 / fit.vi - 0.5))) + 2)
    low, high = (math.nan, math.nan) if fit.prediction_interval is None else fit.prediction_interval
    values = {
        "estimate": fit.estimate,
        "ci_low": fit.ci.low,
        "ci_high": fit.ci.high,
        "pi_low": low,
        "pi_high": high,
    }
    return pd.DataFrame([{name: measure.display(value, variance) for name, value in values.items()}])
