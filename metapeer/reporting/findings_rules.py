"""What numbers can say of certainty, domain by domain, each by a rule that is written out beside its answer.

A rule decides or says what it lacks; it never replaces a judgement. The cut points that GRADE leaves to judgement are
choices of this package, and the wording says so.

References
----------
Guyatt et al. (2011), GRADE guidelines 4, 5, 6 and 7, J Clin Epidemiol 64:407-415, 1277-1282, 1283-1293 and 1294-1302;
Zeng et al. (2022) and Schünemann et al. (2022), GRADE guidance 34 and 35, J Clin Epidemiol 150:216-224 and 225-242;
Guyatt et al. (2023), GRADE guidance 36, J Clin Epidemiol 158:70-83; Sterne et al. (2011), BMJ 343:d4002.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from metapeer.errors import DataWarning, MetapeerError
from metapeer.formatting import count, format_level, format_number, format_p
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.reporting.findings_conversions import (
    RATIO_MEASURES,
    SMD_MEASURES,
    information_size_of_means,
    information_size_of_risks,
    risk_from_effect,
)
from metapeer.sensitivity.asymmetry_models import egger_test

__all__ = ["DOMAINS", "LEVELS", "RULES", "Domain", "Rule", "Suggestion", "suggest"]

Domain = Literal["risk_of_bias", "inconsistency", "indirectness", "imprecision", "publication_bias"]
DOMAINS: tuple[Domain, ...] = ("risk_of_bias", "inconsistency", "indirectness", "imprecision", "publication_bias")

LEVELS = {
    "not serious": 0,
    "serious": 1,
    "very serious": 2,
    "extremely serious": 3,
    "undetected": 0,
    "strongly suspected": 1,
}
"""By how many levels a rating lowers the certainty."""

SERIOUS = ("not serious", "serious", "very serious", "extremely serious")

DELTA = 0.2
REDUCTION = 0.25
FAR_LESS = 0.3
ENOUGH_TRIALS = 5
SUBSTANTIAL = 50.0
HIGH_SHARES = (20.0, 50.0)
UNKNOWN_SHARE = 20.0
FUNNEL_TRIALS = 10
FUNNEL_P = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a domain is rated from numbers.

    Parameters
    ----------
    words : str
        The rule.
    source : str
        Where it comes from, and what in it is a choice of this package.
    """

    words: str
    source: str


RULES: dict[Domain, Rule] = {
    "risk_of_bias": Rule(
        words=f"trials at high risk of bias carry less than {HIGH_SHARES[0]:.0f}% of the weight: not serious; up to "
        f"{HIGH_SHARES[1]:.0f}%: serious; {HIGH_SHARES[1]:.0f}% or more: very serious. Undecided where more than "
        f"{UNKNOWN_SHARE:.0f}% of the weight has no assessment.",
        source="GRADE guidelines 4 (Guyatt 2011) asks which trials carry the weight and gives no cut points; these are "
        "a choice of this package.",
    ),
    "inconsistency": Rule(
        words="one level for each threshold that the prediction interval spans and the confidence interval does not "
        f"(at most two), from {ENOUGH_TRIALS} trials on; with fewer trials, or without a prediction interval, one "
        f"level if I² is {SUBSTANTIAL:.0f}% or more. One trial: nothing to be inconsistent with.",
        source="GRADE guidelines 7 (Guyatt 2011) and GRADE guidance 36 (Guyatt 2023) rate by how effects lie to the "
        "threshold of interest; counting by the prediction interval, and the number of trials, are choices of this "
        "package. I² of 50%: Cochrane Handbook, 10.10.2.",
    ),
    "imprecision": Rule(
        words="one level for each threshold that lies inside the confidence interval (at most three); without a "
        "threshold of importance, the threshold is no effect. If none lies inside: one level if participants are fewer "
        f"than the optimal information size, two if fewer than {100 * FAR_LESS:.0f}% of it. That size is 800 for a "
        f"standardised mean difference of {DELTA:g}; for risks, what a trial needs to find a relative difference of "
        f"{100 * REDUCTION:.0f}% from the control risk (two-sided 0.05, power 0.8).",
        source="GRADE guidelines 6 (Guyatt 2011); GRADE guidance 34 and 35 (Zeng 2022; Schünemann 2022). One level for "
        f"each threshold, the size asked for whatever the effect, and {100 * FAR_LESS:.0f}% for 'far less' are "
        "choices of this package.",
    ),
    "publication_bias": Rule(
        words=f"from {FUNNEL_TRIALS} trials on, strongly suspected if Egger's test gives p < {FUNNEL_P:g}; a "
        "suggestion at most, for small trials may differ for other reasons, and missing trials need not show.",
        source=f"GRADE guidelines 5 (Guyatt 2011); {FUNNEL_TRIALS} trials: Sterne et al. (2011); p < {FUNNEL_P:g}: "
        "Egger et al. (1997).",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What a rule makes of an outcome.

    Parameters
    ----------
    domain : str
        Such as "imprecision".
    rating : str
        A key of `LEVELS`; empty where the rule cannot decide.
    reason : str
        The numbers, or what is missing.
    """

    domain: Domain
    rating: str
    reason: str


def suggest(
    fit: MetaAnalysisResult, *, thresholds: Sequence[float], stated: bool, control_risk: float | None
) -> tuple[Suggestion, ...]:
    """Apply every rule to an outcome.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The outcome.
    thresholds : sequence of float
        On the scale of analysis; empty where the measure has no null and none was stated.
    stated : bool
        Whether they were stated, or are no effect.
    control_risk : float or None
        For the information size of risks.

    Returns
    -------
    tuple of Suggestion
        One for each domain that has a rule.
    """
    return (
        _risk_of_bias(fit),
        _inconsistency(fit, thresholds, stated=stated),
        _imprecision(fit, thresholds, stated=stated, control_risk=control_risk),
        _publication_bias(fit),
    )


def _spanned(low: float, high: float, thresholds: Sequence[float]) -> tuple[float, ...]:
    return tuple(t for t in thresholds if low < t < high)


def _shown(fit: MetaAnalysisResult, values: Sequence[float], *, stated: bool) -> str:
    if not stated:
        return "no effect"
    display = measure_of(fit.measure).display
    return " and ".join(format_number(display(t), 2) for t in values)


def _risk_of_bias(fit: MetaAnalysisResult) -> Suggestion:
    classes = _bias_classes(fit)
    if not classes:
        return Suggestion(domain="risk_of_bias", rating="", reason="no assessment of the trials in the rows")
    share = dict.fromkeys(("high", "some concerns", "low", "unknown"), 0.0)
    for judged, weight in zip(classes, fit.weights.tolist(), strict=True):
        share[judged] += weight
    total = sum(share.values())
    share = {judged: 100.0 * weight / total for judged, weight in share.items()}
    reason = "of the weight, " + ", ".join(
        f"{share[judged]:.0f}% {words}"
        for judged, words in (
            ("high", "at high risk"),
            ("some concerns", "with some concerns"),
            ("low", "at low risk"),
            ("unknown", "not assessed"),
        )
        if share[judged] > 0 or judged == "high"
    )
    if share["unknown"] > UNKNOWN_SHARE:
        return Suggestion(domain="risk_of_bias", rating="", reason=reason)
    return Suggestion(
        domain="risk_of_bias", rating=SERIOUS[sum(share["high"] >= cut for cut in HIGH_SHARES)], reason=reason
    )


def _bias_classes(fit: MetaAnalysisResult) -> list[str]:
    """The overall risk of bias of each row; empty where no row tells."""
    if fit.data is None:
        return []
    columns = [fit.data[name].tolist() for name in ("rob_overall", "risk_of_bias") if name in fit.data]
    found = []
    for cells in zip(*columns, strict=True):
        said = next((str(c).casefold() for c in cells if isinstance(c, str) and c.strip()), "")
        known = {"high": "high", "serious": "high", "critical": "high"}
        known |= {"some": "some concerns", "moderate": "some concerns", "unclear": "some concerns", "low": "low"}
        found.append(next((judged for word, judged in known.items() if word in said), "unknown"))
    return found if set(found) - {"unknown"} else []


def _inconsistency(fit: MetaAnalysisResult, thresholds: Sequence[float], *, stated: bool) -> Suggestion:
    domain: Domain = "inconsistency"
    if fit.trials == 1:
        return Suggestion(domain=domain, rating="not serious", reason="one trial: nothing to be inconsistent with")
    i2 = fit.I2 if fit.model == "random" else fit.I2_Q
    basis = "tau²" if fit.model == "random" else "Q"
    spread = "" if math.isnan(i2) else f"I² {i2:.0f}% (from {basis})"
    if fit.model == "random" and not math.isnan(fit.tau2):
        spread += f"{', ' if spread else ''}tau² {format_number(fit.tau2, 3)}"
    interval = fit.prediction_interval
    if interval is not None and fit.trials >= ENOUGH_TRIALS and thresholds:
        inside = set(_spanned(fit.ci.low, fit.ci.high, thresholds))
        more = [t for t in _spanned(interval.low, interval.high, thresholds) if t not in inside]
        if more:
            said = f"the prediction interval spans {_shown(fit, more, stated=stated)}, the confidence interval does not"
        elif inside:
            said = "the prediction interval spans no threshold that the confidence interval does not span already"
        else:
            said = "the prediction interval spans no threshold"
        reason = f"{said}; {spread}" if spread else said
        return Suggestion(domain=domain, rating=SERIOUS[min(len(more), 2)], reason=reason)
    why = "no prediction interval" if interval is None else count(fit.trials, "trial")
    if math.isnan(i2):
        return Suggestion(domain=domain, rating="", reason=f"{why}, and I² cannot be computed")
    reason = f"{why}, so by I² alone: {spread}"
    return Suggestion(domain=domain, rating=SERIOUS[int(i2 >= SUBSTANTIAL)], reason=reason)


def _imprecision(
    fit: MetaAnalysisResult, thresholds: Sequence[float], *, stated: bool, control_risk: float | None
) -> Suggestion:
    domain: Domain = "imprecision"
    if not thresholds:
        return Suggestion(domain=domain, rating="", reason="no threshold: the measure has no value of no effect")
    level = format_level(fit.level)
    spanned = _spanned(fit.ci.low, fit.ci.high, thresholds)
    if spanned:
        reason = f"the {level} confidence interval spans {_shown(fit, spanned, stated=stated)}"
        return Suggestion(domain=domain, rating=SERIOUS[min(len(spanned), 3)], reason=reason)
    clear = f"the {level} confidence interval spans no threshold"
    if not stated:
        clear = f"the {level} confidence interval excludes no effect"
    needed = _information_size(fit, control_risk)
    if isinstance(needed, str):
        return Suggestion(domain=domain, rating="", reason=f"{clear}; {needed}")
    have = fit.participants
    complete = fit.participants_known >= fit.trials
    if have is None or (not complete and have < needed):
        known = "no trial tells" if have is None else f"only {fit.participants_known} of {fit.trials} trials tell"
        reason = f"{clear}; the information size of {needed:,} cannot be checked: {known} the number of participants"
        return Suggestion(domain=domain, rating="", reason=reason)
    if have >= needed:
        reason = f"{clear}; {have:,}{'' if complete else ' or more'} participants, information size {needed:,}"
        return Suggestion(domain=domain, rating="not serious", reason=reason)
    reason = f"{clear}; {have:,} participants of an information size of {needed:,} ({100 * have / needed:.0f}%)"
    return Suggestion(domain=domain, rating=SERIOUS[1 + int(have < FAR_LESS * needed)], reason=reason)


def _information_size(fit: MetaAnalysisResult, control_risk: float | None) -> int | str:
    """The optimal information size, or what it lacks."""
    if fit.measure in SMD_MEASURES:
        return information_size_of_means(DELTA)
    if fit.measure in RATIO_MEASURES or fit.measure == "RD":
        if control_risk is None:
            return "the information size needs a control risk"
        # A quarter fewer events where they are to be avoided, a quarter more where they are wished for.
        factor = 1.0 + REDUCTION if fit.positive_favours == "arm1" else 1.0 - REDUCTION
        risk = risk_from_effect(control_risk, math.log(factor), "RR")
        if risk == control_risk or risk >= 1.0:
            return "a quarter more of this control risk is everybody, so there is no information size"
        return information_size_of_risks(control_risk, risk)
    return f"no information size is known for {measure_of(fit.measure).name.lower()}"


def _publication_bias(fit: MetaAnalysisResult) -> Suggestion:
    domain: Domain = "publication_bias"
    if fit.trials < FUNNEL_TRIALS:
        said = f"{count(fit.trials, 'trial')}: too few for a test of small-study effects"
        return Suggestion(domain=domain, rating="", reason=said)
    # The error of a standardised difference holds the difference; the root of 1/n1 + 1/n2 does not.
    columns = set() if fit.data is None else set(fit.data.columns)
    free = fit.measure in SMD_MEASURES and {"n1", "n2"} <= columns
    for predictor in ("modified_sei", "sei") if free else ("sei",):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)  # the cautions stand in the rule
                found = egger_test(fit, predictor=predictor)
        except MetapeerError:
            continue
        p = found.p_value
        if math.isnan(p):
            continue
        against = "the standard error" if predictor == "sei" else "√(1/n1 + 1/n2)"
        said = f"Egger's test against {against}: p {'' if p < 0.0005 else '= '}{format_p(p)} ({fit.k} effects)"
        return Suggestion(domain=domain, rating="strongly suspected" if p < FUNNEL_P else "undetected", reason=said)
    return Suggestion(domain=domain, rating="", reason="Egger's test cannot be computed")
