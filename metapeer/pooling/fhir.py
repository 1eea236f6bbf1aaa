"""A pooled result as an Evidence resource of FHIR R5, for exchange with other evidence systems."""

import math
from typing import Any

from metapeer.errors import MetapeerError
from metapeer.formatting import format_level
from metapeer.pooling.intervals import Interval
from metapeer.pooling.results import MetaAnalysisResult, measure_of

__all__ = ["fhir_evidence"]

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
# Codes and words of the code systems statistic-type, attribute-estimate-type, statistic-model-code, variable-role and
# synthesis-type, as FHIR R5 (5.0.0) binds them; all of the bindings are extensible or looser.
STATISTIC = {
    "SMD": ("0000100", "Standardized Mean Difference"),
    "SMDH": ("0000100", "Standardized Mean Difference"),
    "MD": ("0000457", "Mean Difference"),
    "RD": ("0000424", "Risk Difference"),
    "RR": ("C93152", "Relative Risk"),
    "OR": ("C16932", "Odds Ratio"),
    "PETO": ("C16932", "Odds Ratio"),
    "HR": ("C93150", "Hazard Ratio"),
    "IRR": ("rate-ratio", "Incidence Rate Ratio"),
}
ATTRIBUTE = {
    "Q": ("0000419", "Cochran's Q statistic"),
    "ci": ("C53324", "Confidence interval"),
    "I2": ("0000420", "I-squared"),
    "p": ("C44185", "P-value"),
    "se": ("0000037", "Standard error of the mean"),
    "tau2": ("0000421", "Tau squared"),
}
TAU2 = {
    "DL": ("tauDersimonianLaird", "Dersimonian-Laird method"),
    "PM": ("tauPauleMandel", "Paule-Mandel method"),
    "EB": ("tauEmpiricalBayes", "Empirical Bayes method"),
    "REML": ("tauRestrictedMaximumLikelihood", "Restricted Maximum Likelihood method"),
    "ML": ("tauMaximumLikelihood", "Maximum Likelihood method"),
    "HS": ("tauHunterSchmidt", "Hunter-Schmidt method"),
    "SJ": ("tauSidikJonkman", "Sidik-Jonkman method"),
    "HE": ("tauHedges", "Hedges method"),
}
POOLING = {
    "inverse variance": ("poolInverseVariance", "Inverse variance method"),
    "Mantel-Haenszel": ("poolMantelHaenzsel", "Mantel-Haenszel method"),
    "Peto": ("poolPeto", "Peto method"),
}


def fhir_evidence(
    fit: MetaAnalysisResult,
    *,
    title: str,
    population: str,
    intervention: str,
    comparator: str,
    outcome: str,
) -> dict[str, Any]:
    """Describe a pooled result as an Evidence resource of FHIR R5.

    Certainty of the evidence is a judgement that no computation makes; its element is left out. The resource has the
    status "draft". It has no date and no identifier, so that the same result gives the same resource.

    Parameters
    ----------
    fit : MetaAnalysisResult
        What `meta_analysis` gave.
    title : str
        What the result is about.
    population, intervention, comparator, outcome : str
        The question, in words: whom, what, against what, and what was measured.

    Returns
    -------
    dict
        The resource, for ``json.dumps``. Ratios stand on their natural scale; their standard error and tau² are on
        the log scale, as their descriptions say. Numbers that there are not (no interval, one study) are left out.

    Raises
    ------
    MetapeerError
        If `fit` is no such result, or a text is empty.

    References
    ----------
    HL7 FHIR R5 (5.0.0), resource Evidence, https://hl7.org/fhir/R5/evidence.html.

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> fit = meta_analysis(yi=[0.1, 0.3, 0.35], vi=[0.03, 0.03, 0.05], measure="SMD")
    >>> evidence = fhir_evidence(fit, title="Hope", population="adults with severe mental illness",
    ...                          intervention="peer support", comparator="usual care", outcome="hope")
    >>> evidence["statistic"][0]["statisticType"]["coding"][0]["code"]
    '0000100'
    """
    if not isinstance(fit, MetaAnalysisResult):
        raise MetapeerError(f"fhir_evidence needs the result of meta_analysis, not {type(fit).__name__}")
    roles = {
        "title": title,
        "population": population,
        "intervention": intervention,
        "comparator": comparator,
        "outcome": outcome,
    }
    for name, text in roles.items():
        if not isinstance(text, str) or not text.strip():
            raise MetapeerError(f"{name} is empty; say it in words, since FHIR wants each variable described")
    return {
        "resourceType": "Evidence",
        "status": "draft",
        "title": title.strip(),
        "description": str(fit).strip(),
        "variableDefinition": [
            _variable("population", "Population", population),
            _variable("exposure", "Exposure", intervention),
            _variable("referenceExposure", "Reference Exposure", comparator),
            _variable("measuredVariable", "Measured Variable", outcome),
        ],
        "synthesisType": _concept("synthesis-type", "std-MA", "summary data meta-analysis"),
        "statistic": [_statistic(fit)],
    }


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": TERMINOLOGY + system, "code": code, "display": display}]}


def _variable(code: str, display: str, text: str) -> dict[str, Any]:
    return {"description": text.strip(), "variableRole": _concept("variable-role", code, display)}


def _attribute(kind: str, value: float, description: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"description": description} if description else {}
    return {**made, "type": _concept("attribute-estimate-type", *ATTRIBUTE[kind]), "quantity": {"value": value}}


def _interval(
    interval: Interval | None, level: float, words: str, *, coded: bool = True, scale: Any = None
) -> list[Any]:
    """Describe an interval, unless there is none or an end is missing or infinite."""
    if interval is None:
        return []
    low, high = (value if scale is None else scale(value) for value in (interval.low, interval.high))
    if not (math.isfinite(low) and math.isfinite(high)):
        return []
    kind = _concept("attribute-estimate-type", *ATTRIBUTE["ci"]) if coded else {"text": "Prediction interval"}
    described = f"{format_level(level)} {words}, {interval.method}"
    range_ = {"low": {"value": low}, "high": {"value": high}}
    return [{"description": described, "type": kind, "level": level, "range": range_}]


def _statistic(fit: MetaAnalysisResult) -> dict[str, Any]:
    measure = measure_of(fit.measure)
    on_log = measure.scale == "log"

    def natural(value: float) -> float:
        return float(math.exp(value)) if on_log and abs(value) < 700 else value

    scale = " (on the log scale)" if on_log else ""
    favours = {
        "arm1": f"above {measure.null:g} favours the intervention",
        "arm2": f"above {measure.null:g} favours the comparator",
    }
    said = [measure.name, favours.get(fit.positive_favours, "which side it favours is not recorded")]
    made: dict[str, Any] = {"description": "; ".join(said)}
    coded = STATISTIC.get(fit.measure)
    made["statisticType"] = _concept("statistic-type", *coded) if coded else {"text": measure.name}
    made["quantity"] = {"value": natural(fit.estimate)}
    size: dict[str, Any] = {"numberOfStudies": fit.trials}
    if fit.trials != fit.k:
        size["description"] = f"{fit.k} effects from {fit.trials} trials"
    if fit.participants is not None:
        size["numberOfParticipants"] = fit.participants
        if fit.participants_known < fit.trials:
            size["note"] = [{"text": f"participants of the {fit.participants_known} trials that report them"}]
    made["sampleSize"] = size
    attributes = _interval(fit.ci, fit.level, "confidence interval", scale=natural)
    if math.isfinite(fit.se):
        attributes.append(_attribute("se", fit.se, f"standard error of the pooled estimate{scale}"))
    if math.isfinite(fit.p_value):
        attributes.append(_attribute("p", fit.p_value, "two-sided test that there is no effect"))
    attributes += _interval(fit.prediction_interval, fit.level, "prediction interval", coded=False, scale=natural)
    attributes += _heterogeneity(fit, scale)
    made["attributeEstimate"] = attributes
    made["modelCharacteristic"] = _model(fit)
    if fit.notes:
        made["note"] = [{"text": note} for note in fit.notes]
    return made


def _heterogeneity(fit: MetaAnalysisResult, scale: str) -> list[dict[str, Any]]:
    found = []
    if fit.k > 1 and math.isfinite(fit.Q):
        found.append(_attribute("Q", fit.Q, f"{fit.Q_df} degrees of freedom"))
        if math.isfinite(fit.Q_p):
            found[-1]["attributeEstimate"] = [_attribute("p", fit.Q_p)]
    if fit.k > 1 and fit.model == "random" and math.isfinite(fit.tau2):
        found.append(_attribute("tau2", fit.tau2, f"between-study variance{scale}, {fit.tau2_method}"))
        inner = _interval(fit.tau2_ci, fit.level, "confidence interval")
        found[-1] |= {"attributeEstimate": inner} if inner else {}
        if math.isfinite(fit.I2):
            found.append(_attribute("I2", fit.I2, "in per cent, from tau2"))
            inner = _interval(fit.I2_ci, fit.level, "confidence interval")
            found[-1] |= {"attributeEstimate": inner} if inner else {}
    elif fit.k > 1 and math.isfinite(fit.I2_Q):
        found.append(_attribute("I2", fit.I2_Q, "in per cent, from Q"))
    return found


def _model(fit: MetaAnalysisResult) -> list[dict[str, Any]]:
    codes = [("metaAnalysis", "Meta-analysis")]
    codes.append(("effectsRandom", "Random-effects") if fit.model == "random" else ("effectsFixed", "Fixed-effects"))
    words = [] if fit.weighting in POOLING else [fit.weighting]
    codes += [POOLING[fit.weighting]] if fit.weighting in POOLING else []
    if fit.model == "random" and fit.k > 1:
        codes += [TAU2[fit.tau2_method]] if fit.tau2_method in TAU2 else []
        words += [] if fit.tau2_method in TAU2 else [f"estimator of tau2: {fit.tau2_method}"]
    if fit.ci_method == "HK":
        codes.append(("hartungKnapp", "Hartung-Knapp-Sidik-Jonkman method"))
    elif fit.ci_method in ("HK_se", "HK_ci", "HK_IQWiG6"):
        codes.append(("modifiedHartungKnapp", "Modified Hartung-Knapp-Sidik-Jonkman method"))
    elif fit.ci_method == "z":
        codes.append(("zTest", "Z-test"))
    else:
        words.append(f"interval of the pooled effect: {fit.ci.method}")
    made: list[dict[str, Any]] = [{"code": _concept("statistic-model-code", *code)} for code in codes]
    return made + [{"code": {"text": text}} for text in words]
