"""A change in plain words: what moved, by how much, why, and whether the conclusion is another."""

import math
from typing import TYPE_CHECKING

from metapeer.formatting import count, format_interval, format_level, format_number
from metapeer.living.update_changes import STAGES
from metapeer.pooling.results import MetaAnalysisResult, measure_of

if TYPE_CHECKING:
    from metapeer.living.update_outcome import OutcomeChange, Share

__all__ = ["change_words", "conclusion", "participants_words", "size_words"]

MOST_NAMED = 5
"""Trials named in a sentence; the rest are counted."""

_BECAUSE = {
    "correction": "corrected cells",
    "selection": "the selection of rows",
    "method": "the method",
    "new trial": "new results",
}


def conclusion(fit: MetaAnalysisResult | None) -> str:
    """Say where the interval lies.

    Parameters
    ----------
    fit : MetaAnalysisResult or None
        The pooled result.

    Returns
    -------
    str
        In words.

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> conclusion(meta_analysis(yi=[0.2, 0.3, 0.4], vi=[0.01, 0.01, 0.02]))
    'the interval lies above no effect'
    """
    if fit is None:
        return "nothing can be pooled"
    if fit.ci.low > 0:
        return "the interval lies above no effect"
    if fit.ci.high < 0:
        return "the interval lies below no effect"
    return "the interval includes no effect"


def size_words(fit: MetaAnalysisResult) -> str:
    """Write how much was pooled.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The pooled result.

    Returns
    -------
    str
        Trials, and effects where they are more.
    """
    return str(fit.trials) if fit.k == fit.trials else f"{fit.trials} ({count(fit.k, 'effect')})"


def participants_words(fit: MetaAnalysisResult) -> str:
    """Write how many people took part.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The pooled result.

    Returns
    -------
    str
        With a plus where some trials do not tell.
    """
    if fit.participants is None:
        return "NA"
    return f"{fit.participants:,}{'+' if fit.participants_known < fit.trials else ''}"


def _estimate(fit: MetaAnalysisResult, digits: int = 2) -> str:
    measure = measure_of(fit.measure)
    low, high = (measure.display(end, fit.se**2) for end in fit.ci)
    people = "" if fit.participants is None else f", {participants_words(fit)} participants"
    return (
        f"{format_number(measure.display(fit.estimate, fit.se**2), digits)} ({format_level(fit.level)} CI "
        f"{format_interval(low, high, digits)}; {count(fit.trials, 'trial')}{people})"
    )


def _signed(value: float, digits: int = 3) -> str:
    text = format_number(value, digits)
    return f"+{text}" if value > 0 else text


def _why(shares: "tuple[Share, ...]") -> str:
    """Sum up each stage, and name in it who moved most."""
    parts = []
    for stage in STAGES:
        mine = [share for share in shares if share.stage == stage]
        if not mine:
            continue
        total = math.fsum(share.estimate for share in mine)
        if stage == "method":
            parts.append(f"{_signed(total)} comes from the method ({mine[0].what})")
            continue
        ranked = sorted(mine, key=lambda share: -abs(share.estimate))
        named = [f"{share.what} {_signed(share.estimate)}" for share in ranked[:MOST_NAMED]]
        rest = ranked[MOST_NAMED:]
        if rest:
            named.append(f"{len(rest)} more {_signed(math.fsum(share.estimate for share in rest))}")
        parts.append(f"{_signed(total)} comes from {_BECAUSE[stage]} ({', '.join(named)})")
    return "; ".join(parts)


def change_words(change: "OutcomeChange") -> str:
    """Write the paragraph.

    Parameters
    ----------
    change : OutcomeChange
        The outcome.

    Returns
    -------
    str
        Plain sentences.
    """
    before, after = change.before, change.after
    name = change.outcome
    if before is None and after is None:
        return f"{name}: nothing could be pooled before, and nothing can now."
    if before is None and after is not None:
        return f"{name}: nothing could be pooled before; now the pooled {_measure(after)} is {_estimate(after)}."
    if before is not None and after is None:
        return f"{name}: the pooled {_measure(before)} was {_estimate(before)}; now nothing can be pooled."
    assert before is not None  # noqa: S101  the cases above
    assert after is not None  # noqa: S101
    if not change.moved:
        return f"{name}: as before, {_estimate(after)}."
    sentences = [_moved(change, before, after)]
    if change.shares and not math.isnan(change.change["estimate"]):
        scale = measure_of(after.measure).scale
        unit = f" on the {scale} scale" if scale != "identity" else ""
        if any(math.isnan(share.estimate) for share in change.shares):
            sentences.append("The change cannot be shared out, since on the way nothing is left to pool.")
        elif abs(change.change["estimate"]) < 5e-13 and all(abs(share.estimate) < 5e-13 for share in change.shares):
            sentences.append("None of the changes moved the estimate.")
        elif len(change.shares) == 1:
            only = change.shares[0]
            sentences.append(
                f"The whole change of {_signed(change.change['estimate'])}{unit} comes from {_BECAUSE[only.stage]}: "
                f"{only.what}."
            )
        else:
            sentences.append(f"Of the change of {_signed(change.change['estimate'])}{unit}, {_why(change.shares)}.")
    sentences.append(_heterogeneity(before, after))
    sentences.append(_conclusion(change))
    return " ".join(filter(None, sentences))


def _measure(fit: MetaAnalysisResult) -> str:
    return fit.measure or "effect"


def _moved(change: "OutcomeChange", before: MetaAnalysisResult, after: MetaAnalysisResult) -> str:
    moved = change.change["estimate"]
    if before.measure != after.measure:
        return (
            f"{change.outcome}: the measure is another now: {_measure(before)} {_estimate(before)} before, "
            f"{_measure(after)} {_estimate(after)} after."
        )
    if round(moved, 6) == 0:
        return f"{change.outcome}: the pooled {_measure(after)} stayed where it was, {_estimate(after)}."
    measure = measure_of(after.measure)
    shown = [
        [format_number(measure.display(fit.estimate, fit.se**2), digits) for fit in (before, after)]
        for digits in (2, 3)
    ]
    digits = 2 if shown[0][0] != shown[0][1] else 3
    verb = "rose" if moved > 0 else "fell"
    if shown[1][0] == shown[1][1]:
        verb += " slightly"
    return (
        f"{change.outcome}: the pooled {_measure(after)} {verb} from {_estimate(before, digits)} to "
        f"{_estimate(after, digits)}."
    )


def _heterogeneity(before: MetaAnalysisResult, after: MetaAnalysisResult) -> str:
    one, two = before.tau2, after.tau2
    if math.isnan(one) or math.isnan(two):
        return ""
    if format_number(one, 4) == format_number(two, 4):
        return f"tau² is {format_number(two, 4)}, as before."
    return f"tau² went from {format_number(one, 4)} to {format_number(two, 4)}."


def _conclusion(change: "OutcomeChange") -> str:
    one, two = change.judged_before, change.judged_after
    if one is not None and two is not None:
        statement = f'The claim "{change.claim["statement"]}"'
        if one.verdict == two.verdict:
            return f"{statement} is {two.verdict}, as before: the conclusion has not changed."
        return f"{statement} was {one.verdict} and is now {two.verdict} ({two.why}): the conclusion has changed."
    now = conclusion(change.after)
    if change.conclusion_changed:
        return f"The conclusion has changed: {conclusion(change.before)} before, and now {now}."
    return f"The conclusion has not changed: {now}."
