"""Absolute effects: from a control risk that was stated, or counted in the comparison arms, and never invented."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TypeAlias

import pandas as pd

from metapeer.errors import DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.reporting.findings_conversions import (
    RATIO_MEASURES,
    SMD_MEASURES,
    SMD_TO_RISK,
    SmdToRisk,
    risk_from_effect,
    risk_from_smd,
    whole_number_needed,
)

__all__ = [
    "MEDIAN",
    "AbsoluteEffect",
    "ControlRisk",
    "ControlRisks",
    "absolute_effects",
    "main_risk",
    "numbers_needed",
    "read_risks",
]

NAMES = ("low", "medium", "high")
MEDIAN = "median"
ControlRisks: TypeAlias = float | str | Mapping[str, float | str | Mapping[str, float]]
WITH_RISK = RATIO_MEASURES | SMD_MEASURES | {"RD"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRisk:
    """A risk in the comparison.

    Parameters
    ----------
    name : str
        "low", "medium", "high", "assumed" or "median".
    value : float
        Above 0 and below 1.
    origin : str
        Where it comes from, in words.
    """

    name: str
    value: float
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsoluteEffect:
    """What an effect comes to for people, given a risk in the comparison.

    Parameters
    ----------
    control : ControlRisk
        The risk without the intervention.
    risk, low, high : float
        The risk with it, at the estimate and at the ends of the confidence interval, low first.
    predicted : tuple of (float, float) or None
        At the ends of the prediction interval.
    good : int
        1 if the event is wished for, -1 if it is to be avoided, 0 if that is not known.
    responders : bool
        Whether the event is to respond, as supposed of a standardised mean difference.
    method : str
        How the risk was computed, in words; empty for a ratio, which needs none.
    cut : bool
        Whether a risk beyond 0 or 1 was cut there.
    """

    control: ControlRisk
    risk: float
    low: float
    high: float
    predicted: tuple[float, float] | None
    good: int
    responders: bool
    method: str
    cut: bool

    @property
    def difference(self) -> tuple[float, float, float]:
        """More people with the event, as a share: estimate and ends, low first."""
        at = self.control.value
        return self.risk - at, self.low - at, self.high - at

    @property
    def nnt(self) -> tuple[float, float, float]:
        """Number needed to treat, whole: estimate, and the two ends of the difference; negative for harm.

        Where no direction is known, positive is for one more event. Between ends of different signs lies infinity.
        """
        return numbers_needed(self.difference, self.good)


def numbers_needed(difference: tuple[float, float, float], good: int) -> tuple[float, float, float]:
    """Turn differences of risks into whole numbers needed to treat.

    Parameters
    ----------
    difference : tuple of (float, float, float)
        Estimate and ends.
    good : int
        1 if the event is wished for, -1 if it is to be avoided, 0 if that is not known.

    Returns
    -------
    tuple of (float, float, float)
        At the same points; negative for harm.
    """
    found = []
    for one in difference:
        number = whole_number_needed(one)
        found.append(math.copysign(number, (good or 1) * one) if number < math.inf else math.inf)
    return found[0], found[1], found[2]


def read_risks(
    given: ControlRisks | None, sources: str | Mapping[str, str] | None, fits: Mapping[str, MetaAnalysisResult]
) -> dict[str, tuple[ControlRisk, ...]]:
    """Read the control risks of each outcome.

    Parameters
    ----------
    given : float, "median", mapping of "low", "medium" and "high", or mapping of outcomes to such; or None
        What was assumed.
    sources : str or mapping of outcome to str, optional
        Where the assumptions come from.
    fits : mapping of str to MetaAnalysisResult
        The outcomes.

    Returns
    -------
    dict of str to tuple of ControlRisk
        Outcome to risks; none for outcomes without.

    Raises
    ------
    DataError
        If an outcome is unknown, a risk is not between 0 and 1, or risks cannot be counted or have no use.
    """
    if given is None:
        if sources is not None:
            raise MetapeerError("risk_source= has no effect without control_risks=; leave it out")
        return {}
    if isinstance(given, Mapping) and not given:
        raise MetapeerError("control_risks= is empty; leave it out")
    faults: list[Fault | str] = []
    everywhere = not isinstance(given, Mapping) or (bool(given) and set(given) <= set(NAMES) - set(fits))
    by_outcome: dict[str, object] = dict.fromkeys(fits, given) if everywhere else dict(given)  # type: ignore[arg-type]
    faults += _unknown(by_outcome, fits)
    if isinstance(sources, Mapping):
        faults += _unknown(sources, fits)
    found: dict[str, tuple[ControlRisk, ...]] = {}
    for outcome, value in by_outcome.items():
        if outcome not in fits:
            continue
        source = sources.get(outcome, "") if isinstance(sources, Mapping) else sources or ""
        risks, useless, wrong = _of_outcome(fits[outcome], value, source)
        # What holds for every outcome is said once.
        faults += wrong if everywhere else [Fault(row=outcome, message=message) for message in wrong]
        if useless and not everywhere:
            faults.append(Fault(row=outcome, message=useless))
        if risks:
            found[outcome] = risks
    if faults:
        raise DataError("control_risks=", list(dict.fromkeys(faults)))
    if everywhere and not found:
        raise MetapeerError(
            "control_risks= has no effect: no outcome has a measure, or (for 'median') events in the comparison arms, "
            "from which absolute effects follow"
        )
    if sources is not None and not any(risk.name != MEDIAN for risks in found.values() for risk in risks):
        raise MetapeerError("risk_source= has no effect: no risk was stated; leave it out")
    return found


def _of_outcome(fit: MetaAnalysisResult, value: object, source: str) -> tuple[tuple[ControlRisk, ...], str, list[str]]:
    """The risks of one outcome; why it has no use for one; and what is wrong with them."""
    if fit.measure not in WITH_RISK:
        measure = fit.measure or "an effect of no stated measure"
        return (), f"a control risk has no effect on {measure}; leave it out", []
    if isinstance(value, str) and value == MEDIAN:
        counted = _median(fit)
        return ((counted,), "", []) if isinstance(counted, ControlRisk) else ((), counted, [])
    risks, wrong = _stated(value, source)
    return risks, "", wrong


def _unknown(named: Mapping[str, object], fits: Mapping[str, MetaAnalysisResult]) -> list[Fault | str]:
    return [f"{name!r} is not among the outcomes: {', '.join(fits)}" for name in named if name not in fits]


def _stated(value: object, source: str) -> tuple[tuple[ControlRisk, ...], list[str]]:
    origin = f"assumed; {source}" if source else "assumed; no source stated"
    parts = dict(value) if isinstance(value, Mapping) else {"assumed": value}
    wrong = [
        f"{name!r} is unknown. Known: {', '.join(NAMES)}"
        for name in parts
        if name not in NAMES and isinstance(value, Mapping)
    ]
    if not parts:
        wrong.append("no risk is given")
    risks = []
    for name, number in parts.items():
        if isinstance(number, bool) or not isinstance(number, Real) or not 0.0 < float(number) < 1.0:
            wrong.append(f"{name}: {number!r} is not a risk; it must be above 0 and below 1")
        else:
            risks.append(ControlRisk(name=name, value=float(number), origin=origin))
    values = [risk.value for name in NAMES for risk in risks if risk.name == name]
    if not wrong and values != sorted(values):
        wrong.append("low, medium and high must rise")
    order = {name: place for place, name in enumerate(NAMES)}
    return tuple(sorted(risks, key=lambda risk: order.get(risk.name, 0))), wrong


def _median(fit: MetaAnalysisResult) -> ControlRisk | str:
    """The median risk in the comparison arms, or why there is none."""
    if fit.measure in SMD_MEASURES:
        return "'median' counts events, and a standardised mean difference has none; state a share of responders"
    if fit.data is None or not {"events2", "total2"} <= set(fit.data.columns):
        return "'median' needs events2 and total2 in the pooled rows"
    rows = fit.data.copy()
    if "study_id" in rows:
        rows = rows[~rows["study_id"].duplicated()]
    events, total = (pd.to_numeric(rows[name], errors="coerce") for name in ("events2", "total2"))
    risks = (events / total)[events.notna() & (total > 0)].tolist()
    if not risks:
        return "'median' needs events2 and total2 in the pooled rows"
    middle = statistics.median(risks)
    if not 0.0 < middle < 1.0:
        return f"the median risk in the comparison arms is {middle:g}, from which nothing follows; state a risk"
    arms = f"{count(len(risks), 'trial')}{'' if len(risks) == fit.trials else f' of {fit.trials}'}"
    origin = f"counted: median of the comparison arms of {arms}, {min(risks):.3g} to {max(risks):.3g}"
    return ControlRisk(name=MEDIAN, value=middle, origin=origin)


def main_risk(risks: Sequence[ControlRisk]) -> float | None:
    """Choose the risk that the information size is computed from.

    Parameters
    ----------
    risks : sequence of ControlRisk
        Of one outcome.

    Returns
    -------
    float or None
        The medium one if there is one, otherwise the first.
    """
    if not risks:
        return None
    return next((risk.value for risk in risks if risk.name == "medium"), risks[0].value)


def absolute_effects(
    fit: MetaAnalysisResult, risks: Sequence[ControlRisk], smd_to_risk: SmdToRisk
) -> tuple[AbsoluteEffect, ...]:
    """Compute what an effect comes to for each control risk.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The outcome.
    risks : sequence of ControlRisk
        Its control risks.
    smd_to_risk : {"furukawa", "hasselblad_hedges", "cox_snell"}
        How a standardised mean difference becomes a share of responders.

    Returns
    -------
    tuple of AbsoluteEffect
        One for each risk; none for a standardised mean difference of unknown direction.
    """
    check_choice("smd_to_risk", smd_to_risk, SMD_TO_RISK)
    sign = {"arm1": 1, "arm2": -1}.get(fit.positive_favours, 0)
    smd = fit.measure in SMD_MEASURES
    if smd and not sign:
        return ()

    def convert(control: float, effect: float) -> tuple[float, bool]:
        if smd:
            return risk_from_smd(control, sign * effect, smd_to_risk), False
        risk = risk_from_effect(control, effect, fit.measure)
        wanted = control + effect if fit.measure == "RD" else math.log(control) + effect
        beyond = not 0.0 <= wanted <= 1.0 if fit.measure == "RD" else fit.measure == "RR" and wanted > 0.0
        return risk, beyond

    found = []
    interval = fit.prediction_interval
    for control in risks:
        ends = [fit.estimate, fit.ci.low, fit.ci.high, *(interval or ())]
        converted = [convert(control.value, end) for end in ends]
        point, low, high, *predicted = (risk for risk, _ in converted)
        found.append(
            AbsoluteEffect(
                control=control,
                risk=point,
                low=min(low, high),
                high=max(low, high),
                predicted=(min(predicted), max(predicted)) if predicted else None,
                good=1 if smd else sign,
                responders=smd,
                method=SMD_TO_RISK[smd_to_risk] if smd else "",
                cut=any(beyond for _, beyond in converted),
            )
        )
    return tuple(found)
