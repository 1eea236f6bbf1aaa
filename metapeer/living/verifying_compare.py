"""Two sets of results side by side: which numbers and verdicts differ, and by how much."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from metapeer.living.releasing_numbers import Numbers, numbers_differ

__all__ = ["Difference", "WordDifference", "differences", "relative_difference", "word_differences"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A number that is another now.

    Parameters
    ----------
    result : str
        Which result.
    quantity : str
        Which of its numbers.
    locked, now : float
        NaN where it is not defined.
    relative : float
        Their difference, in relation to the larger of the two; infinite where only one is defined.
    """

    result: str
    quantity: str
    locked: float
    now: float
    relative: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WordDifference:
    """A verdict or a conclusion that is another now.

    Parameters
    ----------
    result : str
        Which result.
    what : str
        Such as ``"verdict"``.
    locked, now : str
        Empty where there is none.
    """

    result: str
    what: str
    locked: str
    now: str


def relative_difference(one: float, two: float) -> float:
    """Relate a difference to the larger of two numbers.

    Parameters
    ----------
    one, two : float
        The numbers.

    Returns
    -------
    float
        0 for equal numbers; infinite where only one is a finite number.

    Examples
    --------
    >>> relative_difference(0.5, 0.25), relative_difference(0.0, 0.0)
    (0.5, 0.0)
    """
    if one == two or (math.isnan(one) and math.isnan(two)):
        return 0.0
    if not (math.isfinite(one) and math.isfinite(two)):
        return math.inf
    larger = max(abs(one), abs(two))
    return abs(one / larger - two / larger)  # divided first: a difference of huge numbers may overflow


def differences(locked: Mapping[str, Numbers], now: Mapping[str, Numbers]) -> Iterator[Difference]:
    """Compare the numbers of results that both have.

    Parameters
    ----------
    locked, now : mapping of str to Numbers
        Results by name.

    Yields
    ------
    Difference
        For each number beyond what platforms differ by.
    """
    for name, then in locked.items():
        if name not in now:
            continue
        for quantity in dict.fromkeys((*then.numbers, *now[name].numbers)):
            one = then.numbers.get(quantity, math.nan)
            two = now[name].numbers.get(quantity, math.nan)
            if numbers_differ(one, two):
                relative = relative_difference(one, two)
                yield Difference(result=name, quantity=quantity, locked=one, now=two, relative=relative)


def word_differences(locked: Mapping[str, Numbers], now: Mapping[str, Numbers]) -> Iterator[WordDifference]:
    """Compare the verdicts of results that both have.

    Parameters
    ----------
    locked, now : mapping of str to Numbers
        Results by name.

    Yields
    ------
    WordDifference
        For each that is another.
    """
    for name, then in locked.items():
        if name not in now:
            continue
        for what in dict.fromkeys((*then.words, *now[name].words)):
            one, two = then.words.get(what, ""), now[name].words.get(what, "")
            if one != two:
                yield WordDifference(result=name, what=what, locked=one, now=two)
