"""The door to the summary of findings: what is asked of the outcomes, and who judged them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Literal, TypeAlias

import pandas as pd

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.records.catalog import load_instruments
from metapeer.reporting.findings_conversions import (
    SMD_MEASURES,
    SMD_TO_RISK,
    SmdToRisk,
    kraemer_kupfer_nnt,
    probability_of_superiority,
)
from metapeer.reporting.findings_judgements import Judgement, Judgements, read_judgements
from metapeer.reporting.findings_results import DomainRating, OutcomeFindings, SummaryOfFindings
from metapeer.reporting.findings_risks import ControlRisks, absolute_effects, main_risk, read_risks
from metapeer.reporting.findings_rules import DOMAINS, RULES, Domain, suggest
from metapeer.reporting.findings_source import Source, Subject, read_source
from metapeer.reporting.findings_units import Instruments, NaturalUnits, read_units
from metapeer.reporting.findings_words import Arms, interpretation_words, magnitude_words

__all__ = ["Thresholds", "summary_of_findings"]

Threshold: TypeAlias = float | Sequence[float]
Thresholds: TypeAlias = Threshold | Mapping[str, Threshold]
MAGNITUDES = ("cohen",)


def summary_of_findings(
    source: Source,
    *,
    outcomes: Sequence[str] | None = None,
    control_risks: ControlRisks | None = None,
    risk_source: str | Mapping[str, str] | None = None,
    smd_to_risk: SmdToRisk = "furukawa",
    instruments: Instruments | None = None,
    thresholds: Thresholds | None = None,
    judgements: Judgements | None = None,
    accept: Sequence[Domain] = (),
    magnitude: Literal["cohen"] | None = None,
    footnotes: Mapping[str, str | Sequence[str]] | None = None,
    overrides: pd.DataFrame | None = None,
    title: str = "Summary of findings",
    population: str = "",
    setting: str = "",
    arms: Arms = ("peer support", "the comparison"),
) -> SummaryOfFindings:
    """Summarise pooled outcomes in the manner of GRADE: effects on people, and how certain they are.

    Nothing is made up: an absolute effect needs a control risk, points of an instrument need a standard deviation with
    a source, and a certainty needs a person's judgement, or accepted rule, in every domain.

    Parameters
    ----------
    source : mapping, sequence, MetaAnalysisResult, OutcomesResult, Ledger, Review, DataFrame, str or Path
        Fits by outcome (a mapping, pairs, or fits whose rows name an outcome), the result of `pool_outcomes` or
        `reproduce`, a review or its name (pooled by its plan), or a table of effects (pooled by `pool_outcomes`).
    outcomes : sequence of str, optional
        Only these, in this order.
    control_risks : float, "median" or mapping, optional
        The risk in the comparison: one number, a mapping of "low", "medium" and "high" to numbers, or "median", that
        of the comparison arms of the pooled trials, for every outcome that has a use for it; or a mapping of outcomes
        to such. For a standardised mean difference it is the share that responds; for others the risk of the event.
    risk_source : str or mapping of outcome to str, optional
        Where stated risks come from; the table says when it was not stated.
    smd_to_risk : {"furukawa", "hasselblad_hedges", "cox_snell"}, default "furukawa"
        How a standardised mean difference becomes a share of responders.
    instruments : mapping of outcome to str or mapping, optional
        An instrument whose points a standardised mean difference is turned into: its name, for the standard deviation
        of the comparison arms that used it; or a mapping with ``instrument``, ``sd`` and the ``source`` of the sd, and
        ``direction``, ``min`` and ``max`` where the register of instruments does not know them.
    thresholds : float, sequence of float, or mapping of outcome to such, optional
        Effects that matter, as a reader sees them (a risk ratio as 0.75). One number holds in both directions (-0.2
        and 0.2; 0.75 and 1/0.75); several are taken as they are. Without any, the threshold is no effect.
    judgements : DataFrame, path, sequence of mappings or nested mapping, optional
        What a person judged: ``outcome`` (or "all outcomes"), ``domain``, ``rating``, ``reason``, ``author`` and
        ``date``; or a mapping of outcome to domain to the rest. Shown as such, and never overwritten by a rule.
    accept : sequence of {"risk_of_bias", "inconsistency", "imprecision", "publication_bias"}, default ()
        Domains whose rule counts where no person judged. All other results of rules are suggestions.
    magnitude : {"cohen"}, optional
        Name the size of standardised mean differences by Cohen's convention.
    footnotes : mapping of outcome to str or sequence of str, optional
        More to be said of outcomes.
    overrides : DataFrame, optional
        Recorded corrections, whose rows are told in footnotes; those of a review are known.
    title, population, setting : str, optional
        What heads the table.
    arms : tuple of (str, str), default ("peer support", "the comparison")
        Names of the arms.

    Returns
    -------
    SummaryOfFindings
        One entry for each outcome; writes itself as text, HTML, Markdown, Word and CSV.

    Raises
    ------
    DataError
        If risks, instruments, thresholds or judgements are faulty; every fault is listed.
    ChoiceError
        If an option is unknown.
    MetapeerError
        If there is nothing to summarise, or an option has no effect.

    References
    ----------
    Schünemann et al., Cochrane Handbook, chapters 14 and 15; Guyatt et al. (2011), J Clin Epidemiol 64:383-394 (GRADE
    evidence profiles and summary of findings tables). The rules and conversions cite their own.

    Examples
    --------
    >>> from metapeer import meta_analysis, summary_of_findings
    >>> fit = meta_analysis(yi=[-0.3, -0.1, -0.2], vi=[0.02, 0.03, 0.02], measure="RR")
    >>> found = summary_of_findings(
    ...     {"readmission": fit}, control_risks=0.3, risk_source="registry of the region, 2019"
    ... )
    >>> found.to_frame()[["risk", "risk_difference", "certainty"]].round(3).values.tolist()
    [[0.243, -0.057, 'not rated']]
    """
    check_choice("smd_to_risk", smd_to_risk, SMD_TO_RISK)
    if magnitude is not None:
        check_choice("magnitude", magnitude, MAGNITUDES)
    if isinstance(arms, str) or len(arms) != 2 or not all(isinstance(arm, str) and arm.strip() for arm in arms):
        raise MetapeerError(f"arms= takes two names, of the intervention and the comparison, not {arms!r}")
    accepted = _accepted(accept)
    subjects, how = read_source(source, overrides=overrides)
    known = [subject.name for subject in subjects]
    subjects = _chosen(subjects, outcomes)
    fits = {subject.name: subject.fit for subject in subjects}
    risks = read_risks(control_risks, risk_source, fits)
    units = read_units(instruments, fits, load_instruments())
    limits = _read_thresholds(thresholds, fits)
    judged = read_judgements(judgements, known)  # one file may serve several tables
    more = _read_footnotes(footnotes, fits)
    found = []
    for subject in subjects:
        name, fit = subject.name, subject.fit
        stated = limits.get(name)
        null = (0.0,) if measure_of(fit.measure).has_null else ()
        suggestions = suggest(
            fit, thresholds=stated or null, stated=stated is not None, control_risk=main_risk(risks.get(name, ()))
        )
        domains = []
        for domain in DOMAINS:
            suggestion = next((one for one in suggestions if one.domain == domain), None)
            told = ("", "") if suggestion is None else (suggestion.rating, suggestion.reason)
            domains.append(_rated(domain, judged.get((name, domain)), *told, accepted=domain in accepted))
        absolute = absolute_effects(fit, risks.get(name, ()), smd_to_risk)
        chance, needed = _superiority(fit)
        outcome = OutcomeFindings(
            name=name,
            words=subject.words,
            fit=fit,
            absolute=absolute,
            units=units.get(name),
            superiority=chance,
            nnt=needed,
            thresholds=stated or (),
            domains=tuple(domains),
            interpretation="",
            footnotes=(
                *subject.footnotes,
                *_footnotes(fit, any(one.cut for one in absolute), bool(risks.get(name)), units.get(name)),
                *more.get(name, ()),
            ),
        )
        found.append(_interpreted(outcome, arms, magnitude))
    if smd_to_risk != "furukawa" and not any(one.responders for outcome in found for one in outcome.absolute):
        raise ChoiceError(
            "smd_to_risk has no effect: no standardised mean difference has a control risk and a known direction"
        )
    if magnitude is not None and not any(fit.measure in SMD_MEASURES for fit in fits.values()):
        raise ChoiceError("magnitude has no effect: no outcome has a standardised mean difference")
    about = [("Population", population), ("Setting", setting), ("Intervention", arms[0])]
    if arms[1] != "the comparison":  # nobody said which
        about.append(("Comparison", arms[1]))
    return SummaryOfFindings(
        title=title,
        about=tuple((heading, text) for heading, text in about if text),
        arms=arms,
        outcomes=tuple(found),
        accepted=accepted,
        notes=(how,) if how else (),
    )


def _accepted(accept: Sequence[Domain]) -> tuple[Domain, ...]:
    given = [accept] if isinstance(accept, str) else list(accept)
    if "indirectness" in given:
        raise ChoiceError("accept: indirectness has no rule; a person must judge it, in judgements=")
    return tuple(dict.fromkeys(check_choice("accept", domain, RULES) for domain in given))


def _chosen(subjects: list[Subject], wanted: Sequence[str] | None) -> list[Subject]:
    if wanted is None:
        return subjects
    by_name = {subject.name: subject for subject in subjects}
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if not names:
        raise MetapeerError("outcomes= is empty; leave it out for all of them")
    return [by_name[check_choice("outcome", name, by_name)] for name in dict.fromkeys(names)]


def _read_thresholds(given: Thresholds | None, fits: Mapping[str, MetaAnalysisResult]) -> dict[str, tuple[float, ...]]:
    """Thresholds of each outcome on the scale of analysis, in rising order."""
    if given is None:
        return {}
    faults: list[Fault | str] = []
    by_outcome = dict(given) if isinstance(given, Mapping) else dict.fromkeys(fits, given)
    if not isinstance(given, Mapping) and len({fit.measure for fit in fits.values()}) > 1:
        raise DataError(
            "thresholds=", ["outcomes differ in measure, so one threshold cannot serve all; map outcomes to theirs"]
        )
    found = {}
    for name, value in by_outcome.items():
        if name not in fits:
            faults.append(f"{name!r} is not among the outcomes: {', '.join(fits)}")
            continue
        converted = _converted(value, fits[name])
        if isinstance(converted, str):
            faults.append(Fault(row=name, message=converted))
        else:
            found[name] = converted
    if faults:
        raise DataError("thresholds=", faults)
    return found


def _converted(value: object, fit: MetaAnalysisResult) -> tuple[float, ...] | str:
    measure = measure_of(fit.measure)
    if measure.scale not in ("identity", "log") or not measure.has_null:
        return f"a threshold has no meaning for {measure.name.lower()}"
    single = isinstance(value, Real)
    if not single and (isinstance(value, str) or not isinstance(value, Sequence)):
        return f"{value!r} is neither a number nor a list of numbers"
    numbers: list[float] = []
    for number in [value] if single else list(value):  # type: ignore[call-overload]
        if isinstance(number, bool) or not isinstance(number, Real) or not math.isfinite(number):
            return f"{number!r} is not a number"
        if measure.scale == "log" and number <= 0:
            return f"{float(number):g} is not a ratio; it must be above 0"
        numbers.append(math.log(number) if measure.scale == "log" else float(number))
    if not numbers:
        return "no threshold is given"
    if single and numbers[0] == 0.0:
        return f"{measure.display(0.0):g} is no effect, which is the threshold without thresholds=; leave it out"
    return tuple(sorted({-numbers[0], numbers[0]} if single else set(numbers)))


def _read_footnotes(
    given: Mapping[str, str | Sequence[str]] | None, fits: Mapping[str, MetaAnalysisResult]
) -> dict[str, tuple[str, ...]]:
    if given is None:
        return {}
    unknown = [f"{name!r} is not among the outcomes: {', '.join(fits)}" for name in given if name not in fits]
    if unknown:
        raise DataError("footnotes=", unknown)
    return {name: (text,) if isinstance(text, str) else tuple(text) for name, text in given.items()}


def _rated(domain: Domain, judged: Judgement | None, rating: str, reason: str, *, accepted: bool) -> DomainRating:
    if judged is not None:
        return DomainRating(
            domain=domain,
            rating=judged.rating,
            basis="person",
            reason=judged.reason,
            author=judged.author,
            date=judged.date,
            suggested=rating,
            evidence=reason,
        )
    counts = accepted and bool(rating)
    return DomainRating(
        domain=domain,
        rating=rating if counts else "",
        basis="rule" if counts else "not judged",
        reason=reason if counts else "",
        author="",
        date="",
        suggested=rating,
        evidence=reason,
    )


def _superiority(
    fit: MetaAnalysisResult,
) -> tuple[tuple[float, float, float] | None, tuple[float, float, float] | None]:
    """Probability of superiority and Kraemer and Kupfer's number, at the estimate, the worse and the better end."""
    if fit.measure not in SMD_MEASURES or not fit.positive_favours:
        return None, None
    sign = 1.0 if fit.positive_favours == "arm1" else -1.0
    low, high = sorted(sign * end for end in fit.ci)
    ends = (sign * fit.estimate, low, high)
    chance = tuple(probability_of_superiority(end) for end in ends)
    needed = tuple(kraemer_kupfer_nnt(end) for end in ends)
    return (chance[0], chance[1], chance[2]), (needed[0], needed[1], needed[2])


def _footnotes(fit: MetaAnalysisResult, cut: bool, risks: bool, units: NaturalUnits | None) -> list[str]:
    said = []
    if not fit.positive_favours and measure_of(fit.measure).comparative:
        lost = "" if not (risks and fit.measure in SMD_MEASURES) else ", so no absolute effects follow"
        said.append(f"the rows do not say which arm a positive effect favours{lost}")
    if cut:
        said.append("the effect and the control risk together lead beyond 0 or 1,000 of 1,000, where risks were cut")
    if units is not None and units.doubt:
        said.append(units.doubt)
    return said


def _interpreted(outcome: OutcomeFindings, arms: Arms, magnitude: str | None) -> OutcomeFindings:
    text = interpretation_words(outcome.fit, outcome.thresholds, outcome.certainty, arms)
    if magnitude is not None and outcome.fit.measure in SMD_MEASURES:
        text = f"{text} The estimate is {magnitude_words(outcome.fit.estimate)}."
    return replace(outcome, interpretation=text)
