"""What sequential methods say, in words, and what they cannot say."""

from typing import TYPE_CHECKING

from metapeer.formatting import count, format_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metapeer.living.sequential_results import SequentialLook

__all__ = ["CAUTIONS", "LABEL", "conclusion_words", "side_words"]

LABEL = "sensitivity analysis only"
"""Stands in every title: no sequential method is to be the main analysis of a review."""

FEWEST = 3
"""Trials below which a crossing is said to rest on too few."""

ONLY = (
    "sensitivity analysis only: Cochrane advises against sequential methods as the main analysis of a review "
    "(Handbook, chapter 22; methods.cochrane.org/methods-cochrane/repeated-meta-analyses); the estimate and interval "
    "of the ordinary meta-analysis are the result"
)
CANNOT = (
    "what these methods cannot do: mend bias within trials, replace trials that were not published, undo that new "
    "trials are begun because of what old ones found, or decide whether another trial is worth while"
)
SUPPOSED = (
    "the boundaries suppose increments that are independent of what was seen before; estimating tau² anew at each look "
    "and planning trials by earlier ones both break that"
)
CAUTIONS = (ONLY, CANNOT, SUPPOSED)


def side_words(side: str, positive_favours: str) -> str:
    """Say in whose favour a boundary was crossed.

    Parameters
    ----------
    side : str
        "upper" or "lower".
    positive_favours : str
        Which arm positive effects favour; empty when unknown.

    Returns
    -------
    str
        Words to follow "was crossed".

    Examples
    --------
    >>> side_words("upper", "arm1"), side_words("lower", "")
    ('in favour of peer support', 'below no effect')
    """
    if not positive_favours:
        return "above no effect" if side == "upper" else "below no effect"
    better = (side == "upper") == (positive_favours == "arm1")
    return f"in favour of {'peer support' if better else 'the comparison'}"


def conclusion_words(
    looks: "Sequence[SequentialLook]",
    verdict: str,
    at: int | None,
    order: str,
    positive_favours: str,
    effect: str,
    miss: float,
) -> str:
    """Say which boundary was crossed and when, or that there is no conclusion.

    Parameters
    ----------
    looks : sequence of SequentialLook
        All looks.
    verdict : str
        As `SequentialResult.verdict`.
    at : int or None
        The look that it rests on.
    order : str
        The column that looks were ordered by.
    positive_favours : str
        Which arm positive effects favour; empty when unknown.
    effect : str
        The effect to be found, in words; empty where none was stated.
    miss : float
        Probability that it is missed; NaN where none was stated.

    Returns
    -------
    str
        One sentence or two.
    """
    last = looks[-1]
    share = "" if last.fraction is None else f" with {100 * last.fraction:.0f}% of the required information"
    if verdict == "no conclusion" or at is None:
        return (
            f"no conclusion: no boundary was crossed in {count(len(looks), 'look')}{share}; "
            "that is no evidence of no effect"
        )
    look = looks[at]
    when = f"at look {at + 1} of {len(looks)} ({order} {look.value}, {count(look.k, 'trial')})"
    if verdict == "futility":
        return (
            f"the futility boundary was crossed {when}: |z| = {format_number(abs(look.z))} is below "
            f"{format_number(look.futility)}, so that an effect of {effect} or more is unlikely to be found"
        )
    if verdict == "required information reached":
        return (
            f"the required information was reached {when} and no boundary crossed, which with an effect of {effect} "
            f"happens with a probability of {miss:.2f}, if all holds that is supposed"
        )
    found = (
        f"the {verdict} boundary was crossed {when}, {side_words(verdict, positive_favours)}: z = "
        f"{format_number(look.z)}, boundary {'-' if verdict == 'lower' else ''}{format_number(look.boundary)}"
    )
    if look.k < FEWEST:
        found += f"; with {count(look.k, 'trial')} nothing is known of how trials differ"
    back = [one for one in looks[at + 1 :] if one.boundary is not None and abs(one.z) < one.boundary]
    if back:
        found += f"; after it, z lay within the boundaries again at {len(back)} of {count(len(looks) - at - 1, 'look')}"
    return found
