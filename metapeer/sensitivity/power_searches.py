"""What a plan would have to be: the studies needed for a power, and the smallest effect that has it."""

from collections.abc import Callable

import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.sensitivity.power_mean import mean_test
from metapeer.sensitivity.power_plans import check_target, single
from metapeer.sensitivity.power_results import PowerResult, PowerSearch

__all__ = ["detectable_effect", "studies_needed"]

MOST_STUDIES = 1_000_000


def studies_needed(
    *,
    effect: float,
    power: float = 0.8,
    n1: ArrayLike | None = None,
    n2: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    trials: pd.DataFrame | None = None,
    tau2: float | None = None,
    I2: float | None = None,
    measure: str = "SMD",
    sd: float | None = None,
    risk2: float | None = None,
    model: str = "random",
    ci_method: str | None = None,
    tau2_known: bool = False,
    alpha: float = 0.05,
    alternative: str = "two-sided",
) -> PowerSearch:
    """Find the smallest number of studies with which, and with any more, the test has a power.

    Parameters
    ----------
    effect : float
        True effect, in the units of the measure: a logarithm for ratios.
    power : float, default 0.8
        What is to be reached.
    n1, n2, vi, sei, trials, tau2, I2, measure, sd, risk2, model, ci_method, tau2_known, alpha, alternative
        As in `power_meta_analysis`. Studies of several sizes stand for a mixture of such studies.

    Returns
    -------
    PowerSearch
        The number, and the power with it.

    Raises
    ------
    DataError
        If numbers of the plan cannot be; every fault is listed.
    ChoiceError
        If something is missing, said twice or unknown.
    MetapeerError
        If a million studies do not reach it.

    References
    ----------
    Jackson & Turner (2017), Res Synth Methods 8:290-302.

    Examples
    --------
    >>> found = studies_needed(effect=0.2, n1=50, n2=50, I2=50)
    >>> int(found.value), round(found.at.power, 3)
    (18, 0.805)
    """
    test = mean_test(
        k=None, n1=n1, n2=n2, vi=vi, sei=sei, trials=trials, tau2=tau2, I2=I2, measure=measure, sd=sd, risk2=risk2,
        model=model, ci_method=ci_method, tau2_known=tau2_known, alpha=alpha, alternative=alternative,
    )  # fmt: skip
    target, chosen = check_target(power, test.alpha), single("effect", effect)
    return _smallest_count(lambda k: test.power(chosen, k), target, test.least)


def _smallest_count(power_with: Callable[[int], PowerResult], target: float, least: int) -> PowerSearch:
    """Find the smallest number of studies that reaches a power, together with any larger number.

    Parameters
    ----------
    power_with : callable
        Gives the power with so many studies.
    target : float
        What is to be reached.
    least : int
        Fewest studies that the test can do with.

    Returns
    -------
    PowerSearch
        The number, and the power with it.

    Raises
    ------
    MetapeerError
        If a million studies do not reach it.
    """
    low, high = least - 1, least
    best = power_with(high)
    while best.power < target:
        low, high = high, 2 * high
        if low >= MOST_STUDIES:
            raise MetapeerError(
                f"even {MOST_STUDIES:,} studies would not have a power of {target:g}: "
                "the effect is too small, or lies on the side on which the test does not reject"
            )
        best = power_with(min(high, MOST_STUDIES))
        high = min(high, MOST_STUDIES)
    while high - low > 1:
        middle = (low + high) // 2
        found = power_with(middle)
        if found.power >= target:
            high, best = middle, found
        else:
            low = middle
    notes: tuple[str, ...] = ()
    if high == least and least > 1:
        notes = (f"{least} studies are the fewest that the test can do with; they do not tell how effects vary",)
    return PowerSearch(sought="k", value=float(high), target=target, at=best, notes=notes)


def detectable_effect(
    *,
    power: float = 0.8,
    k: int | None = None,
    n1: ArrayLike | None = None,
    n2: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    trials: pd.DataFrame | None = None,
    tau2: float | None = None,
    I2: float | None = None,
    measure: str = "SMD",
    sd: float | None = None,
    risk2: float | None = None,
    model: str = "random",
    ci_method: str | None = None,
    tau2_known: bool = False,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    direction: str = "above",
) -> PowerSearch:
    """Find the effect nearest to none for which the test has a power.

    Parameters
    ----------
    power : float, default 0.8
        What is to be reached.
    k, n1, n2, vi, sei, trials, tau2, I2, measure, sd, risk2, model, ci_method, tau2_known, alpha, alternative
        As in `power_meta_analysis`.
    direction : {"above", "below"}
        On which side of no effect to look; from risks the two sides differ.

    Returns
    -------
    PowerSearch
        The effect, and the power there.

    Raises
    ------
    DataError
        If numbers of the plan cannot be; every fault is listed.
    ChoiceError
        If something is missing, said twice or unknown.
    MetapeerError
        If no effect reaches it.

    References
    ----------
    Hedges & Pigott (2001), Psychol Methods 6:203-217.

    Examples
    --------
    >>> found = detectable_effect(k=10, n1=50, n2=50, I2=50)
    >>> round(found.value, 3), round(found.at.power, 3)
    (0.283, 0.8)
    """
    test = mean_test(
        k=k, n1=n1, n2=n2, vi=vi, sei=sei, trials=trials, tau2=tau2, I2=I2, measure=measure, sd=sd, risk2=risk2,
        model=model, ci_method=ci_method, tau2_known=tau2_known, alpha=alpha, alternative=alternative,
    )  # fmt: skip
    target = check_target(power, test.alpha)
    side = 1.0 if check_choice("direction", direction, ("above", "below")) == "above" else -1.0
    if (test.alternative == "greater" and side < 0.0) or (test.alternative == "less" and side > 0.0):
        raise ChoiceError(f"alternative {test.alternative!r} does not reject {direction} no effect")
    studies = test.plan.studies()

    def excess(size: float) -> float:
        return test.power(side * size, studies).power - target

    start = test.power(0.0, studies)
    if start.power >= target:
        raise MetapeerError(
            f"without any effect this test already rejects in {start.power:.3f}; there is no effect to look for"
        )
    low, high = 0.0, start.se
    for _ in range(60):  # up to 1e18 standard errors
        try:
            if excess(high) >= 0.0:
                break
        except MetapeerError:  # from risks an effect may be too large to be
            high = 0.5 * (low + high)
            continue
        low, high = high, 2.0 * high
    else:
        raise MetapeerError(f"no effect has a power of {target:g} with {count(studies, 'study', 'studies')} like these")
    size = float(brentq(excess, low, high, xtol=1e-12 * start.se, rtol=8.9e-16))
    return PowerSearch(sought="effect", value=side * size, target=target, at=test.power(side * size, studies), notes=())
