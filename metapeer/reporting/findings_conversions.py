"""From relative and standardised effects to people: risks, numbers needed to treat, chances, information sizes.

References
----------
Schünemann et al., Cochrane Handbook, chapter 15 (absolute effects from assumed risks; numbers needed to treat are
rounded up). Hasselblad & Hedges (1995), Psychol Bull 117:167-178, and Furukawa & Leucht (2011), PLoS One 6:e19070
(responders from a standardised mean difference). Kraemer & Kupfer (2006), Biol Psychiatry 59:990-996 (a number needed
to treat without a control risk). McGraw & Wong (1992), Psychol Bull 111:361-365 (common-language effect size). Altman
(1998), BMJ 317:1309-1312 (intervals of a number needed to treat).
"""

import math
from typing import Literal

from scipy.special import expit, logit, ndtr, ndtri

from metapeer.effects.statistics import LATENT_SD

__all__ = [
    "RATIO_MEASURES",
    "SMD_MEASURES",
    "SMD_TO_RISK",
    "SmdToRisk",
    "information_size_of_means",
    "information_size_of_risks",
    "kraemer_kupfer_nnt",
    "probability_of_superiority",
    "risk_from_effect",
    "risk_from_smd",
    "whole_number_needed",
]

SmdToRisk = Literal["furukawa", "hasselblad_hedges", "cox_snell"]
SMD_TO_RISK: dict[SmdToRisk, str] = {
    "furukawa": "normal scores in both arms (Furukawa & Leucht 2011)",
    "hasselblad_hedges": "logistic scores in both arms, odds ratio exp(SMD × π/√3) (Hasselblad & Hedges 1995)",
    "cox_snell": "odds ratio exp(1.65 × SMD) (Cox & Snell 1989)",
}
"""What turns a standardised mean difference into a share of responders, in words."""

SMD_MEASURES = frozenset({"SMD", "SMDH"})
RATIO_MEASURES = frozenset({"RR", "OR", "PETO", "HR"})

ALPHA = 0.05
POWER = 0.8
GRADE_DELTA = 0.2
GRADE_ARM = 400  # GRADE's rounding of the 393 in each arm that a difference of 0.2 SD needs


def risk_from_effect(control_risk: float, effect: float, measure: str) -> float:
    """Turn the risk in the comparison into the risk with the intervention.

    Parameters
    ----------
    control_risk : float
        Above 0 and below 1.
    effect : float
        On the scale of analysis: the logarithm of a ratio, or a difference of risks.
    measure : {"RR", "OR", "PETO", "HR", "RD"}
        What the effect is.

    Returns
    -------
    float
        From 0 to 1; a risk ratio or a difference that would lead beyond is cut there.

    Examples
    --------
    The examples of the Cochrane Handbook: 24 and 62 fewer per 1,000.

    >>> round(1000 * (0.3 - risk_from_effect(0.3, math.log(0.92), "RR")))
    24
    >>> round(1000 * (0.3 - risk_from_effect(0.3, math.log(0.73), "OR")))
    62
    """
    if measure == "RD":
        return min(max(control_risk + effect, 0.0), 1.0)
    if measure in ("OR", "PETO"):
        return float(expit(logit(control_risk) + effect))
    if effect > 700.0:  # the exponential of more is no number
        return 1.0
    if measure == "HR":
        return float(-math.expm1(math.log1p(-control_risk) * math.exp(effect)))
    return min(control_risk * math.exp(effect), 1.0)


def risk_from_smd(control_risk: float, smd: float, method: SmdToRisk) -> float:
    """Turn the share of responders in the comparison into that with the intervention.

    Parameters
    ----------
    control_risk : float
        The share that responds, above 0 and below 1.
    smd : float
        Standardised mean difference; positive where the intervention is better.
    method : {"furukawa", "hasselblad_hedges", "cox_snell"}
        How scores are distributed.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> round(1 / (risk_from_smd(0.2, 0.5, "furukawa") - 0.2), 1)
    6.0
    """
    if method == "furukawa":
        return float(ndtr(ndtri(control_risk) + smd))
    factor = LATENT_SD["logistic" if method == "hasselblad_hedges" else "normal"]
    return float(expit(logit(control_risk) + factor * smd))


def probability_of_superiority(smd: float) -> float:
    """Probability that one person of the intervention arm does better than one of the comparison.

    Parameters
    ----------
    smd : float
        Standardised mean difference; positive where the intervention is better.

    Returns
    -------
    float
        With normal scores of equal variance.

    Examples
    --------
    >>> round(probability_of_superiority(0.5), 3)
    0.638
    """
    return float(ndtr(smd / math.sqrt(2.0)))


def kraemer_kupfer_nnt(smd: float) -> float:
    """Kraemer and Kupfer's number needed to treat, which needs no control risk.

    Parameters
    ----------
    smd : float
        Standardised mean difference; positive where the intervention is better.

    Returns
    -------
    float
        Unrounded; negative for harm, infinite without a difference.

    Examples
    --------
    >>> round(kraemer_kupfer_nnt(0.5), 1)
    3.6
    """
    difference = 2.0 * probability_of_superiority(smd) - 1.0
    return math.inf if difference == 0.0 else 1.0 / difference


def whole_number_needed(difference: float) -> float:
    """Round the inverse of a difference of risks up, as is the custom.

    Parameters
    ----------
    difference : float
        Of either sign.

    Returns
    -------
    float
        A whole number, or infinity.

    Examples
    --------
    >>> whole_number_needed(0.3 - 0.2), whole_number_needed(-0.062), whole_number_needed(0.0)
    (10.0, 17.0, inf)
    """
    if abs(difference) < 1e-300:
        return math.inf
    inverse = 1.0 / abs(difference)
    # 0.3 - 0.2 is less than 0.1 by a rounding error, which must not cost one more person.
    return float(math.ceil(inverse * (1.0 - 1e-9)))


def _quantiles() -> float:
    return float(ndtri(1.0 - ALPHA / 2.0) + ndtri(POWER))


def information_size_of_means(delta: float = GRADE_DELTA) -> int:
    """Optimal information size of a standardised mean difference: participants that one trial would need.

    Parameters
    ----------
    delta : float, default 0.2
        The difference to be found, in standard deviations, with a two-sided test at 0.05 and power 0.8.

    Returns
    -------
    int
        In both arms together. For 0.2 it is GRADE's 800; the formula gives 786.

    References
    ----------
    Zeng et al. (2022), GRADE guidance 34, J Clin Epidemiol 150:216-224.

    Examples
    --------
    >>> information_size_of_means(), information_size_of_means(0.3)
    (800, 350)
    """
    if delta == GRADE_DELTA:
        return 2 * GRADE_ARM
    return 2 * math.ceil(2.0 * (_quantiles() / delta) ** 2)


def information_size_of_risks(control_risk: float, risk: float) -> int:
    """Optimal information size of two risks: participants that one trial would need.

    Parameters
    ----------
    control_risk, risk : float
        Without and with the intervention, to be told apart by a two-sided test at 0.05 with power 0.8.

    Returns
    -------
    int
        In both arms together.

    References
    ----------
    Guyatt et al. (2011), GRADE guidelines 6, J Clin Epidemiol 64:1283-1293.

    Examples
    --------
    >>> information_size_of_risks(0.2, 0.15)
    1806
    """
    spread = control_risk * (1.0 - control_risk) + risk * (1.0 - risk)
    return 2 * math.ceil(_quantiles() ** 2 * spread / (control_risk - risk) ** 2)
