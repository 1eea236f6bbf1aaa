"""Findings in words, set beside the recomputed evidence by a stated rule.

The rule looks at the confidence interval of the recomputed standardised mean difference, positive favouring peer
support, and at a margin below which an effect is too small to matter:

- *benefit* is supported when the interval lies above zero, not supported when it lies below the margin, and undecided
  otherwise;
- *no effect* is supported when the interval lies within plus or minus the margin and includes zero, not supported when
  it excludes zero, and undecided otherwise (absence of evidence is not evidence of absence);
- *no evidence of an effect* is supported when the interval includes zero, not supported otherwise;
- *larger*, for two classes of outcome, is supported when the interval of their difference lies above zero, not
  supported when it lies below zero, and undecided otherwise; the difference allows for trials that report both;
- *moderation* is undecided: no row says how the peer role was implemented.
"""

import math
from dataclasses import dataclass

from metapeer.formatting import format_interval, format_level
from metapeer.pooling.intervals import Interval

__all__ = ["SMALL_EFFECT", "Judgement", "judge_claim"]

SMALL_EFFECT = 0.2
"""A small standardised mean difference (Cohen 1988, Statistical Power Analysis for the Behavioral Sciences)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the rule says of a claim.

    Parameters
    ----------
    verdict : {"supported", "not supported", "undecided"}
        By the rule of this module.
    why : str
        The interval it rests on, in words.
    """

    verdict: str
    why: str


def judge_claim(claim: str, interval: Interval | None, *, margin: float = SMALL_EFFECT) -> Judgement:
    """Apply the rule to an interval.

    Parameters
    ----------
    claim : {"benefit", "no_effect", "no_evidence", "larger", "moderation"}
        What is claimed.
    interval : Interval or None
        Confidence interval of the recomputed effect (for "larger", of the difference); None without evidence.
    margin : float, default 0.2
        Smallest standardised mean difference that matters.

    Returns
    -------
    Judgement
        The verdict and its reason.

    Examples
    --------
    >>> judge_claim("no_effect", Interval(-0.05, 0.3, 0.95, "t")).verdict
    'undecided'
    """
    if claim == "moderation":
        return Judgement(verdict="undecided", why="no bundled row says how the peer role was implemented")
    if interval is None or math.isnan(interval.low):
        return Judgement(verdict="undecided", why="no bundled row can be pooled")
    low, high = interval
    shown = f"{format_level(interval.level)} CI {format_interval(low, high, 3)}"
    if claim == "benefit":
        if low > 0:
            return Judgement(verdict="supported", why=f"{shown} lies above zero")
        if high < margin:
            where = "includes zero and lies below" if high >= 0 else "lies below zero, and so below"
            return Judgement(verdict="not supported", why=f"{shown} {where} {margin:g}")
        return Judgement(verdict="undecided", why=f"{shown} includes zero and effects of {margin:g} or more")
    if claim == "larger":
        if low > 0:
            return Judgement(verdict="supported", why=f"difference: {shown} lies above zero")
        if high < 0:
            return Judgement(verdict="not supported", why=f"difference: {shown} lies below zero")
        return Judgement(verdict="undecided", why=f"difference: {shown} includes zero")
    if not low <= 0 <= high:
        return Judgement(verdict="not supported", why=f"{shown} excludes zero")
    if claim == "no_evidence":
        return Judgement(verdict="supported", why=f"{shown} includes zero")
    if -margin < low and high < margin:
        return Judgement(verdict="supported", why=f"{shown} lies within {-margin:g} and {margin:g}")
    sizes = [f"{margin:g} or more"] * (high >= margin) + [f"{-margin:g} or less"] * (low <= -margin)
    return Judgement(verdict="undecided", why=f"{shown} includes zero and effects of {' and of '.join(sizes)}")
