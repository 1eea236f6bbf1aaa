"""Change from before to after: its spread, the correlation behind it, and its effect size.

Change is after minus before, so that an increase is positive. The correlation r is that of the scores before and after
in the same people; where it was not printed, it follows from the three standard deviations (`correlation_from_sds`),
or has to be assumed, and then varied.

References
----------
Becker (1988), British Journal of Mathematical and Statistical Psychology 41:257-278.
Gibbons, Hedeker & Davis (1993), Journal of Educational Statistics 18:271-279.
Morris & DeShon (2002), Psychological Methods 7:105-125.
Morris (2008), Organizational Research Methods 11:364-386.
Cochrane Handbook 6.5, section 6.5.2.8.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from metapeer.effects.arguments import Arguments, FloatArray, Numbers
from metapeer.effects.continuous import small_sample_correction
from metapeer.effects.statistics import ConvertedEffect
from metapeer.errors import check_choice

__all__ = [
    "CHANGE_MEASURES",
    "correlation_from_sds",
    "mean_change",
    "pretest_posttest_control",
    "raw_sd_from_change",
    "sd_of_change",
    "sd_of_change_from_t",
    "standardised_mean_change",
]

ChangeMeasure = Literal["SMCR", "SMCRH", "SMCC", "SMCRP"]
Contrast = Literal["ppc1", "ppc2"]


def _check_spread(arguments: Arguments, *names: str) -> None:
    for name in names:
        arguments.require(name, lambda sd: sd > 0, "must be above 0, as a standard deviation is")


def _check_r(arguments: Arguments) -> None:
    arguments.require("r", lambda r: np.abs(r) < 1, "must lie between -1 and 1")


def _variance_of_change(arguments: Arguments) -> FloatArray:
    pre, post, r = arguments["sd_pre"], arguments["sd_post"], arguments["r"]
    return np.asarray((pre - post) ** 2 + 2 * (1 - r) * pre * post, dtype=np.float64)  # never cancels below 0


def sd_of_change(*, sd_pre: ArrayLike, sd_post: ArrayLike, r: ArrayLike) -> Numbers:
    """Standard deviation of change scores: √(sd_pre² + sd_post² - 2 r sd_pre sd_post).

    Parameters
    ----------
    sd_pre, sd_post : array_like
        Standard deviation before and after.
    r : array_like
        Correlation of the scores before and after.

    Returns
    -------
    float or array of shape (k,)
        Standard deviation of the change.

    Raises
    ------
    DataError
        If a standard deviation is not positive, or r does not lie between -1 and 1.

    References
    ----------
    Cochrane Handbook 6.5, section 6.5.2.8.

    Examples
    --------
    >>> round(sd_of_change(sd_pre=4.0, sd_post=4.4, r=0.78), 2)
    2.81
    """
    arguments = Arguments("sd_of_change", sd_pre=sd_pre, sd_post=sd_post, r=r)
    _check_spread(arguments, "sd_pre", "sd_post")
    _check_r(arguments)
    arguments.check()
    return arguments.shaped(np.sqrt(_variance_of_change(arguments)))


def correlation_from_sds(*, sd_pre: ArrayLike, sd_post: ArrayLike, sd_change: ArrayLike) -> Numbers:
    """Correlation before and after: (sd_pre² + sd_post² - sd_change²)/(2 sd_pre sd_post).

    Parameters
    ----------
    sd_pre, sd_post, sd_change : array_like
        Standard deviation before, after, and of the change, of the same people.

    Returns
    -------
    float or array of shape (k,)
        The correlation.

    Raises
    ------
    DataError
        If a standard deviation is not positive, or the three cannot belong together: then one of them is misprinted,
        is a standard error, or comes from other people.

    References
    ----------
    Cochrane Handbook 6.5, section 6.5.2.8.

    Examples
    --------
    >>> round(correlation_from_sds(sd_pre=4.0, sd_post=4.4, sd_change=2.8), 2)
    0.78
    """
    arguments = Arguments("correlation_from_sds", sd_pre=sd_pre, sd_post=sd_post, sd_change=sd_change)
    _check_spread(arguments, "sd_pre", "sd_post", "sd_change")
    pre, post, change = arguments["sd_pre"], arguments["sd_post"], arguments["sd_change"]
    apart = ~((change < np.abs(pre - post)) | (change > pre + post))
    arguments.require(
        "sd_change", apart, "must lie between |sd_pre - sd_post| and sd_pre + sd_post, or no correlation gives it"
    )
    arguments.check()
    return arguments.shaped((pre**2 + post**2 - change**2) / (2 * pre * post))


def sd_of_change_from_t(*, mean_change: ArrayLike, t: ArrayLike, n: ArrayLike) -> Numbers:
    """Standard deviation of change scores from the paired t of one arm: ``|mean change| √n/|t|``.

    From a p value take `metapeer.effects.statistics.t_from_p` with n - 1 degrees of freedom first.

    Parameters
    ----------
    mean_change : array_like
        Mean of after minus before.
    t : array_like
        t of the paired test; its sign does not matter.
    n : array_like
        Participants.

    Returns
    -------
    float or array of shape (k,)
        Standard deviation of the change.

    Raises
    ------
    DataError
        If t or the change is 0, or n is below 2.

    References
    ----------
    Cochrane Handbook 6.5, section 6.5.2.3.

    Examples
    --------
    >>> sd_of_change_from_t(mean_change=-2.0, t=-2.5, n=25)
    4.0
    """
    arguments = Arguments("sd_of_change_from_t", mean_change=mean_change, t=t, n=n)
    for name in ("mean_change", "t"):
        arguments.require(name, lambda x: x != 0, "says nothing of the spread")
    arguments.require("n", lambda n: n >= 2, "must be at least 2")
    arguments.check()
    return arguments.shaped(np.abs(arguments["mean_change"] / arguments["t"]) * np.sqrt(arguments["n"]))


def raw_sd_from_change(*, sd_change: ArrayLike, r: ArrayLike) -> Numbers:
    """Standard deviation of the scores themselves from that of their change: sd_change/√(2 (1 - r)).

    It takes the scores to spread alike before and after. Dividing a mean change by it gives an effect on the scale of
    trials that compare final scores.

    Parameters
    ----------
    sd_change : array_like
        Standard deviation of the change.
    r : array_like
        Correlation of the scores before and after.

    Returns
    -------
    float or array of shape (k,)
        Standard deviation of the scores.

    Raises
    ------
    DataError
        If a standard deviation is not positive, or r does not lie between -1 and 1.

    References
    ----------
    Borenstein et al. (2009), Introduction to Meta-Analysis, equation 4.27.

    Examples
    --------
    >>> round(raw_sd_from_change(sd_change=5.5, r=0.7), 4)
    7.1005
    """
    arguments = Arguments("raw_sd_from_change", sd_change=sd_change, r=r)
    _check_spread(arguments, "sd_change")
    _check_r(arguments)
    arguments.check()
    return arguments.shaped(arguments["sd_change"] / np.sqrt(2 * (1 - arguments["r"])))


def _one_arm(
    source: str,
    n: ArrayLike,
    mean_pre: ArrayLike,
    mean_post: ArrayLike,
    sd_pre: ArrayLike,
    sd_post: ArrayLike,
    r: ArrayLike,
) -> Arguments:
    arguments = Arguments(source, n=n, mean_pre=mean_pre, mean_post=mean_post, sd_pre=sd_pre, sd_post=sd_post, r=r)
    arguments.require("n", lambda n: n >= 3, "must be at least 3")
    _check_spread(arguments, "sd_pre", "sd_post")
    _check_r(arguments)
    arguments.check()
    return arguments


def mean_change(
    *,
    n: ArrayLike,
    mean_pre: ArrayLike,
    mean_post: ArrayLike,
    sd_pre: ArrayLike,
    sd_post: ArrayLike,
    r: ArrayLike,
) -> ConvertedEffect:
    """Mean change of one arm, with variance sd_change²/n.

    Parameters
    ----------
    n : array_like
        Participants seen before and after, at least 3.
    mean_pre, mean_post, sd_pre, sd_post : array_like
        Means and standard deviations before and after.
    r : array_like
        Correlation of the scores before and after.

    Returns
    -------
    ConvertedEffect
        after minus before, in the instrument's units; metafor's MC.

    Raises
    ------
    DataError
        If n is below 3, a standard deviation is not positive, or r does not lie between -1 and 1.

    Examples
    --------
    >>> effect = mean_change(n=20, mean_pre=30.6, mean_post=38.5, sd_pre=15.0, sd_post=11.6, r=0.47)
    >>> round(effect.yi, 2), round(effect.vi, 2)
    (7.9, 9.8)
    """
    arguments = _one_arm("mean_change", n, mean_pre, mean_post, sd_pre, sd_post, r)
    return ConvertedEffect(
        measure="MC",
        yi=arguments.shaped(arguments["mean_post"] - arguments["mean_pre"]),
        vi=arguments.shaped(_variance_of_change(arguments) / arguments["n"]),
        formula="after - before; variance sd_change²/n",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDefinition:
    """One way to standardise a mean change.

    Parameters
    ----------
    unit : str
        The standard deviation it is divided by.
    variance : str
        The variance, in words of n, r, g, sd_pre and sd_change.
    df : str
        Degrees of freedom of Hedges' J.
    source : str
        Who proposed it.
    """

    unit: str
    variance: str
    df: str
    source: str


CHANGE_MEASURES: dict[str, ChangeDefinition] = {
    "SMCR": ChangeDefinition(
        unit="sd_pre",
        variance="2 (1 - r)/n + g²/(2n)",
        df="n - 1",
        source="Becker (1988); sd alike before and after",
    ),
    "SMCRH": ChangeDefinition(
        unit="sd_pre",
        variance="(sd_change/sd_pre)²/(n - 1) + g²/(2 (n - 1))",
        df="n - 1",
        source="Bonett (2008), Psychological Methods 13:99-109; sd may differ",
    ),
    "SMCC": ChangeDefinition(
        unit="sd_change",
        variance="1/n + g²/(2n)",
        df="n - 1",
        source="Gibbons, Hedeker & Davis (1993)",
    ),
    "SMCRP": ChangeDefinition(
        unit="√((sd_pre² + sd_post²)/2)",
        variance="2 (1 - r)/n + g² (1 + r²)/(4n)",
        df="2 (n - 1)/(1 + r²)",
        source="Cousineau (2020), The Quantitative Methods for Psychology 16:418-421; sd alike before and after",
    ),
}


def _becker_variance(n: FloatArray, r: FloatArray, g: FloatArray) -> FloatArray:
    return np.asarray(2 * (1 - r) / n + g**2 / (2 * n), dtype=np.float64)


def standardised_mean_change(
    *,
    n: ArrayLike,
    mean_pre: ArrayLike,
    mean_post: ArrayLike,
    sd_pre: ArrayLike,
    sd_post: ArrayLike,
    r: ArrayLike,
    measure: ChangeMeasure = "SMCR",
) -> ConvertedEffect:
    """Mean change of one arm in standard deviations, corrected by Hedges' J.

    Only those in units of raw scores (SMCR, SMCRH, SMCRP) may be pooled with differences of two arms; change in units
    of its own standard deviation (SMCC) is larger the higher r is.

    Parameters
    ----------
    n : array_like
        Participants seen before and after, at least 3.
    mean_pre, mean_post, sd_pre, sd_post : array_like
        Means and standard deviations before and after.
    r : array_like
        Correlation of the scores before and after.
    measure : {"SMCR", "SMCRH", "SMCC", "SMCRP"}
        `CHANGE_MEASURES` gives the unit and the variance of each.

    Returns
    -------
    ConvertedEffect
        The effect, positive if scores rose, with its variance.

    Raises
    ------
    DataError
        If n is below 3, a standard deviation is not positive, or r does not lie between -1 and 1.
    ChoiceError
        If `measure` is unknown.

    References
    ----------
    See `CHANGE_MEASURES`.

    Examples
    --------
    >>> arm = {"n": 20, "mean_pre": 30.6, "mean_post": 38.5, "sd_pre": 15.0, "sd_post": 11.6, "r": 0.47}
    >>> for measure in CHANGE_MEASURES:
    ...     effect = standardised_mean_change(**arm, measure=measure)
    ...     print(measure, round(effect.yi, 4), round(effect.vi, 4))
    SMCR 0.5056 0.0594
    SMCRH 0.5056 0.0526
    SMCC 0.5417 0.0573
    SMCRP 0.5749 0.058
    """
    definition = CHANGE_MEASURES[check_choice("measure", measure, tuple(CHANGE_MEASURES))]
    arguments = _one_arm("standardised_mean_change", n, mean_pre, mean_post, sd_pre, sd_post, r)
    n_, r_, pre, post = (arguments[name] for name in ("n", "r", "sd_pre", "sd_post"))
    change2 = _variance_of_change(arguments)
    unit2 = {"SMCC": change2, "SMCRP": (pre**2 + post**2) / 2}.get(measure, pre**2)
    df = 2 * (n_ - 1) / (1 + r_**2) if measure == "SMCRP" else n_ - 1
    g = small_sample_correction(df) * (arguments["mean_post"] - arguments["mean_pre"]) / np.sqrt(unit2)
    variance = {
        "SMCR": _becker_variance(n_, r_, g),
        "SMCRH": (change2 / pre**2 + g**2 / 2) / (n_ - 1),
        "SMCC": 1 / n_ + g**2 / (2 * n_),
        "SMCRP": 2 * (1 - r_) / n_ + g**2 * (1 + r_**2) / (4 * n_),
    }[measure]
    return ConvertedEffect(
        measure=measure,
        yi=arguments.shaped(g),
        vi=arguments.shaped(variance),
        formula=f"J (after - before)/{definition.unit}, J of {definition.df} df; variance {definition.variance}",
    )


def pretest_posttest_control(
    *,
    n1: ArrayLike,
    mean_pre1: ArrayLike,
    mean_post1: ArrayLike,
    sd_pre1: ArrayLike,
    n2: ArrayLike,
    mean_pre2: ArrayLike,
    mean_post2: ArrayLike,
    sd_pre2: ArrayLike,
    r: ArrayLike,
    contrast: Contrast = "ppc2",
) -> ConvertedEffect:
    """Difference of two arms' mean changes in standard deviations before treatment (d_ppc).

    - ppc2: both changes in units of the pooled standard deviation, g = J ((post1 - pre1) - (post2 - pre2))/sd, with
      variance J² x/(x - 2) (2 (1 - r)(1/n1 + 1/n2) + g²) - g², x = n1 + n2 - 2 (Morris 2008, equation 25).
    - ppc1: each change in units of its own arm's, the difference of two SMCR (Becker 1988).

    Parameters
    ----------
    n1, n2 : array_like
        Participants of each arm, at least 3.
    mean_pre1, mean_post1, mean_pre2, mean_post2 : array_like
        Means before and after.
    sd_pre1, sd_pre2 : array_like
        Standard deviations before treatment.
    r : array_like
        Correlation of the scores before and after, alike in both arms.
    contrast : {"ppc2", "ppc1"}
        Morris recommends ppc2.

    Returns
    -------
    ConvertedEffect
        A standardised mean difference, positive if arm 1 rose more.

    Raises
    ------
    DataError
        If n is below 3, a standard deviation is not positive, or r does not lie between -1 and 1.
    ChoiceError
        If `contrast` is unknown.

    References
    ----------
    Morris (2008), Organizational Research Methods 11:364-386.

    Examples
    --------
    >>> effect = pretest_posttest_control(
    ...     n1=20, mean_pre1=30.6, mean_post1=38.5, sd_pre1=15.0,
    ...     n2=20, mean_pre2=23.5, mean_post2=26.8, sd_pre2=13.1, r=0.47)
    >>> round(effect.yi, 4), round(effect.vi, 4)
    (0.3202, 0.1089)
    """
    check_choice("contrast", contrast, ("ppc1", "ppc2"))
    arguments = Arguments(
        "pretest_posttest_control",
        n1=n1,
        mean_pre1=mean_pre1,
        mean_post1=mean_post1,
        sd_pre1=sd_pre1,
        n2=n2,
        mean_pre2=mean_pre2,
        mean_post2=mean_post2,
        sd_pre2=sd_pre2,
        r=r,
    )
    for name in ("n1", "n2"):
        arguments.require(name, lambda n: n >= 3, "must be at least 3")
    _check_spread(arguments, "sd_pre1", "sd_pre2")
    _check_r(arguments)
    arguments.check()
    (size1, sd1), (size2, sd2) = ((arguments[f"n{arm}"], arguments[f"sd_pre{arm}"]) for arm in (1, 2))
    change1, change2 = (arguments[f"mean_post{arm}"] - arguments[f"mean_pre{arm}"] for arm in (1, 2))
    r_ = arguments["r"]
    if contrast == "ppc1":
        g1 = small_sample_correction(size1 - 1) * change1 / sd1
        g2 = small_sample_correction(size2 - 1) * change2 / sd2
        g = g1 - g2
        vi = _becker_variance(size1, r_, g1) + _becker_variance(size2, r_, g2)
        formula = f"difference of two SMCR; variance of each {CHANGE_MEASURES['SMCR'].variance}"
    else:
        x = size1 + size2 - 2
        pooled = np.sqrt(((size1 - 1) * sd1**2 + (size2 - 1) * sd2**2) / x)
        j = small_sample_correction(x)
        g = j * (change1 - change2) / pooled
        vi = j**2 * x / (x - 2) * (2 * (1 - r_) * (1 / size1 + 1 / size2) + g**2) - g**2
        formula = "J (change1 - change2)/pooled sd_pre; variance J² x/(x - 2) (2 (1 - r)(1/n1 + 1/n2) + g²) - g²"
    return ConvertedEffect(measure="SMD", yi=arguments.shaped(g), vi=arguments.shaped(vi), formula=formula)
