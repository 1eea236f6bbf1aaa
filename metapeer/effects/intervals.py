"""Variances and standard deviations from what is printed with an effect or a mean: limits, standard error, t, p.

Every function takes single numbers or one number for each study.

References
----------
Cochrane Handbook 6.5, sections 6.3.1, 6.3.2 (effects) and 6.5.2 (standard deviations).
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from metapeer.effects.arguments import Arguments, Numbers
from metapeer.effects.convert import se_from_interval, se_from_p_value
from metapeer.effects.statistics import ConvertedEffect, check_arms
from metapeer.errors import ChoiceError, check_choice

__all__ = ["effect_from_interval", "effect_from_p", "sd_from_interval", "sd_from_se", "sd_from_t"]


def _check_level(level: float) -> None:
    if not (isinstance(level, int | float) and 0 < level < 1):
        raise ChoiceError(f"level {level!r} will not do; it must lie between 0 and 1, such as 0.95")


def effect_from_interval(
    *,
    es: ArrayLike,
    ci_low: ArrayLike,
    ci_high: ArrayLike,
    measure: str,
    log: bool,
    level: float = 0.95,
    df: ArrayLike | None = None,
) -> ConvertedEffect:
    """An effect printed with its confidence interval, on the scale on which it is pooled.

    Parameters
    ----------
    es, ci_low, ci_high : array_like
        As printed.
    measure : str
        What it is, such as "RR"; passed on.
    log : bool
        Whether it is a ratio, to be pooled on the log scale.
    level : float, default 0.95
        Confidence level of the interval.
    df : array_like, optional
        Degrees of freedom, if the interval was made with Student's t; by default with normal quantiles.

    Returns
    -------
    ConvertedEffect
        The effect (its logarithm if `log`), with variance ((high - low)/(2 z))².

    Raises
    ------
    DataError
        If the estimate lies outside its interval, the limits coincide, or a ratio is not positive.

    References
    ----------
    Cochrane Handbook 6.5, sections 6.3.1 and 6.3.2.

    Examples
    --------
    >>> effect = effect_from_interval(es=1.5, ci_low=1.1, ci_high=2.05, measure="OR", log=True)
    >>> round(effect.yi, 4), round(effect.sei, 4)
    (0.4055, 0.1588)
    """
    _check_level(level)
    arguments = Arguments("effect_from_interval", es=es, ci_low=ci_low, ci_high=ci_high, df=df)
    if log:
        for name in ("es", "ci_low", "ci_high"):
            arguments.require(name, lambda x: x > 0, "must be above 0, as a ratio is")
    arguments.require("df", lambda df: df > 0, "must be above 0")
    low, high = arguments["ci_low"], arguments["ci_high"]
    arguments.require("ci_low", ~(low >= high), "must be below ci_high")
    arguments.require("es", ~((arguments["es"] < low) | (arguments["es"] > high)), "must lie within its interval")
    arguments.check()
    es_, low, high = (np.log(x) if log else x for x in (arguments["es"], low, high))
    sei = se_from_interval(low, high, level=level)
    if df is not None:
        sei = sei * ndtri((1 + level) / 2) / stdtrit(arguments["df"], (1 + level) / 2)
    return ConvertedEffect(
        measure=measure,
        yi=arguments.shaped(es_),
        vi=arguments.shaped(sei**2),
        formula=f"half width of the {100 * level:g}% interval over {'z' if df is None else 't'}",
    )


def effect_from_p(*, es: ArrayLike, p: ArrayLike, measure: str, log: bool) -> ConvertedEffect:
    """An effect printed with the exact two-sided p value of its normal test.

    Parameters
    ----------
    es : array_like
        As printed.
    p : array_like
        Exact two-sided p value; a bound such as p < 0.05 will not do.
    measure : str
        What it is, such as "RR"; passed on.
    log : bool
        Whether it is a ratio, to be pooled on the log scale.

    Returns
    -------
    ConvertedEffect
        The effect (its logarithm if `log`), with variance (yi/z)².

    Raises
    ------
    DataError
        If p is not between 0 and 1, a ratio is not positive, or there is no effect at all.

    References
    ----------
    Cochrane Handbook 6.5, sections 6.3.1 and 6.3.2.

    Examples
    --------
    >>> round(effect_from_p(es=1.1, p=0.03, measure="OR", log=True).vi, 6)
    0.001929
    """
    arguments = Arguments("effect_from_p", es=es, p=p)
    arguments.require("p", lambda p: (p > 0) & (p < 1), "must be an exact p value, between 0 and 1")
    if log:
        arguments.require("es", lambda es: es > 0, "must be above 0, as a ratio is")
    null = 1.0 if log else 0.0
    arguments.require("es", lambda es: es != null, "is no effect at all, whose p value says nothing of its variance")
    arguments.check()
    yi = np.log(arguments["es"]) if log else arguments["es"]
    return ConvertedEffect(
        measure=measure,
        yi=arguments.shaped(yi),
        vi=arguments.shaped(se_from_p_value(yi, arguments["p"]) ** 2),
        formula="(yi/z)², z from the two-sided p value",
    )


def sd_from_se(*, se: ArrayLike, n: ArrayLike) -> Numbers:
    """Standard deviation of one arm from the standard error of its mean: SD = SE √n.

    Parameters
    ----------
    se : array_like
        Standard error of the mean.
    n : array_like
        Participants of the arm.

    Returns
    -------
    float or array of shape (k,)
        Standard deviation.

    Raises
    ------
    DataError
        If a standard error is not positive or n is below 2.

    References
    ----------
    Cochrane Handbook 6.5, section 6.5.2.2.

    Examples
    --------
    >>> sd_from_se(se=0.5, n=36)
    3.0
    """
    arguments = Arguments("sd_from_se", se=se, n=n)
    arguments.require("se", lambda se: se > 0, "must be above 0")
    arguments.require("n", lambda n: n >= 2, "must be at least 2")
    arguments.check()
    return arguments.shaped(arguments["se"] * np.sqrt(arguments["n"]))


def sd_from_interval(
    *,
    ci_low: ArrayLike,
    ci_high: ArrayLike,
    n: ArrayLike,
    level: float = 0.95,
    quantile: Literal["t", "normal"] = "t",
) -> Numbers:
    """Standard deviation of one arm from the confidence interval of its mean: SD = √n (high - low)/(2 q).

    Parameters
    ----------
    ci_low, ci_high : array_like
        Limits.
    n : array_like
        Participants of the arm.
    level : float, default 0.95
        Confidence level.
    quantile : {"t", "normal"}
        Whether q is of Student's t with n - 1 degrees of freedom or of the normal distribution.

    Returns
    -------
    float or array of shape (k,)
        Standard deviation.

    Raises
    ------
    DataError
        If the limits are not in order or n is below 2.

    References
    ----------
    Cochrane Handbook 6.5, section 6.5.2.2.

    Examples
    --------
    >>> round(sd_from_interval(ci_low=30.0, ci_high=34.2, n=25), 2)
    5.09
    """
    _check_level(level)
    check_choice("quantile", quantile, ("t", "normal"))
    arguments = Arguments("sd_from_interval", ci_low=ci_low, ci_high=ci_high, n=n)
    arguments.require("n", lambda n: n >= 2, "must be at least 2")
    low, high, n_ = arguments["ci_low"], arguments["ci_high"], arguments["n"]
    arguments.require("ci_low", ~(low >= high), "must be below ci_high")
    arguments.check()
    upper = (1 + level) / 2
    q = stdtrit(n_ - 1, upper) if quantile == "t" else ndtri(upper)
    return arguments.shaped(np.sqrt(n_) * (high - low) / (2 * q))


def sd_from_t(*, difference: ArrayLike, t: ArrayLike, n1: ArrayLike, n2: ArrayLike) -> Numbers:
    """Standard deviation that two arms share, from the t of their difference: SD = difference/(t √(1/n1 + 1/n2)).

    From a p value, take `t_from_p` first; from a standard error of the difference, t is difference/SE.

    Parameters
    ----------
    difference : array_like
        Mean of arm 1 minus mean of arm 2.
    t : array_like
        Student's t; its sign does not matter.
    n1, n2 : array_like
        Participants of each arm.

    Returns
    -------
    float or array of shape (k,)
        The pooled standard deviation.

    Raises
    ------
    DataError
        If t or the difference is 0, or an arm will not do.

    References
    ----------
    Cochrane Handbook 6.5, section 6.5.2.3.

    Examples
    --------
    >>> round(sd_from_t(difference=3.8, t=2.776, n1=25, n2=22), 2)
    4.68
    """
    arguments = Arguments("sd_from_t", difference=difference, t=t, n1=n1, n2=n2)
    for name in ("difference", "t"):
        arguments.require(name, lambda x: x != 0, "says nothing of the spread")
    check_arms(arguments)
    arguments.check()
    spread = np.sqrt(1 / arguments["n1"] + 1 / arguments["n2"])
    return arguments.shaped(np.abs(arguments["difference"] / arguments["t"]) / spread)
