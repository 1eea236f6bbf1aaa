"""Effects from what is printed instead of means and counts: t, F, p, r, chi-squared, d, and from one to another.

Every function takes single numbers or one number for each study. The direction of an effect is the caller's to give
where the statistic has none (F, chi-squared, p): `sign` is 1 if the effect is positive, -1 if it is negative.

References
----------
Borenstein et al. (2009), Introduction to Meta-Analysis, chapter 7 (d, r and odds ratio).
Cochrane Handbook 6.5, sections 6.5.2.3 (t from p) and 10.6 (odds ratio and standardised mean difference).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from metapeer.effects.arguments import Arguments, FloatArray, Numbers
from metapeer.effects.continuous import find_smd_variance, small_sample_correction
from metapeer.errors import ChoiceError, check_choice

__all__ = [
    "ConvertedEffect",
    "check_arms",
    "correlation_from_chi2",
    "correlation_from_d",
    "correlation_from_t",
    "d_from_smd",
    "log_odds_ratio_from_smd",
    "smd_from_chi2",
    "smd_from_correlation",
    "smd_from_d",
    "smd_from_f",
    "smd_from_log_odds_ratio",
    "smd_from_p",
    "smd_from_point_biserial",
    "smd_from_t",
    "t_from_p",
    "t_from_smd",
]

Latent = Literal["logistic", "normal"]

# The log odds ratio of a latent score cut in two, in standard deviations of that score.
LATENT_SD: dict[Latent, float] = {
    "logistic": float(np.pi / np.sqrt(3)),  # Hasselblad & Hedges (1995), Psychological Bulletin 117:167-178
    "normal": 1.65,  # Cox & Snell (1989), Analysis of Binary Data, 2nd ed.
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConvertedEffect:
    """An effect with its sampling variance, and how it came about.

    Parameters
    ----------
    measure : str
        What `yi` is, by metafor's code: "SMD", "OR" (log), "COR", ...
    yi : float or array of shape (k,)
        Effect, on the scale on which it is pooled (log for ratios).
    vi : float or array of shape (k,)
        Sampling variance.
    formula : str
        How the two were computed.

    Examples
    --------
    >>> effect = smd_from_t(t=2.0, n1=30, n2=30)
    >>> effect.measure, round(effect.yi, 4), round(effect.vi, 4), round(effect.sei, 4)
    ('SMD', 0.5097, 0.0688, 0.2624)
    """

    measure: str
    yi: Numbers
    vi: Numbers
    formula: str

    @property
    def sei(self) -> Numbers:
        """Standard error, the root of `vi`."""
        root = np.sqrt(self.vi)
        return float(root) if isinstance(self.vi, float) else root


def check_arms(arguments: Arguments) -> None:
    """Note what is wrong with `n1` and `n2`, which must each be at least 2.

    Parameters
    ----------
    arguments : Arguments
        With n1 and n2 among them.
    """
    for name in ("n1", "n2"):
        arguments.require(name, lambda n: n >= 2, "must be at least 2")


def _check_sign(arguments: Arguments) -> None:
    arguments.require("sign", lambda sign: np.abs(sign) == 1, "must be 1 (the effect is positive) or -1")


def _check_p(arguments: Arguments) -> None:
    arguments.require("p", lambda p: (p > 0) & (p <= 1), "must be an exact p value, above 0 and at most 1")


def _smd(arguments: Arguments, d: FloatArray, how: str, variance: str) -> ConvertedEffect:
    definition = find_smd_variance(variance)
    n1, n2 = arguments["n1"], arguments["n2"]
    j = small_sample_correction(n1 + n2 - 2, kind=definition.correction)
    if definition.name == "AV" and np.isnan(d).any():
        raise ChoiceError("variance 'AV' averages over all studies; leave out those without a value")
    return ConvertedEffect(
        measure="SMD",
        yi=arguments.shaped(j * d),
        vi=arguments.shaped(definition.compute(n1, n2, d, j)),
        formula=f"{how}; g = J d; variance {definition.label}",
    )


def smd_from_t(*, t: ArrayLike, n1: ArrayLike, n2: ArrayLike, variance: str = "metafor") -> ConvertedEffect:
    """Hedges g from the t of two independent groups: d = t √(1/n1 + 1/n2).

    Parameters
    ----------
    t : array_like
        Student's t (not Welch's, and not of paired data); positive if arm 1 has the higher mean.
    n1, n2 : array_like
        Participants of each arm.
    variance : str, default "metafor"
        A definition of `metapeer.effects.continuous.SMD_VARIANCES`, or the program that uses it.

    Returns
    -------
    ConvertedEffect
        Hedges g with its variance.

    Raises
    ------
    DataError
        If an arm holds fewer than 2 participants.
    ChoiceError
        If `variance` is unknown.

    References
    ----------
    Borenstein et al. (2009), Introduction to Meta-Analysis, chapter 4.

    Examples
    --------
    >>> effect = smd_from_t(t=[0.83, 1.77], n1=[30, 25], n2=[33, 22])
    >>> effect.yi.round(4), effect.vi.round(4)
    (array([0.2068, 0.5087]), array([0.064 , 0.0882]))
    """
    arguments = Arguments("smd_from_t", t=t, n1=n1, n2=n2)
    check_arms(arguments)
    arguments.check()
    d = arguments["t"] * np.sqrt(1 / arguments["n1"] + 1 / arguments["n2"])
    return _smd(arguments, d, "d = t √(1/n1 + 1/n2)", variance)


def smd_from_f(
    *, f: ArrayLike, n1: ArrayLike, n2: ArrayLike, sign: ArrayLike, variance: str = "metafor"
) -> ConvertedEffect:
    """Hedges g from the F of a one-way analysis of variance of two groups: t = ±√F.

    Parameters
    ----------
    f : array_like
        F with 1 degree of freedom in the numerator, without covariates.
    n1, n2 : array_like
        Participants of each arm.
    sign : array_like
        1 if arm 1 has the higher mean, -1 if arm 2.
    variance : str, default "metafor"
        As in `smd_from_t`.

    Returns
    -------
    ConvertedEffect
        Hedges g with its variance.

    Raises
    ------
    DataError
        If F is negative, or a sign or an arm will not do.

    Examples
    --------
    >>> round(smd_from_f(f=4.0, n1=30, n2=30, sign=-1).yi, 4)
    -0.5097
    """
    arguments = Arguments("smd_from_f", f=f, n1=n1, n2=n2, sign=sign)
    arguments.require("f", lambda f: f >= 0, "must not be negative")
    _check_sign(arguments)
    check_arms(arguments)
    arguments.check()
    d = arguments["sign"] * np.sqrt(arguments["f"] * (1 / arguments["n1"] + 1 / arguments["n2"]))
    return _smd(arguments, d, "d = ±√(F (1/n1 + 1/n2))", variance)


def t_from_p(*, p: ArrayLike, df: ArrayLike, sign: ArrayLike = 1, tails: Literal[1, 2] = 2) -> Numbers:
    """Student's t behind an exact p value.

    Parameters
    ----------
    p : array_like
        Exact p value; a bound such as p < 0.05 will not do.
    df : array_like
        Degrees of freedom, n1 + n2 - 2 for two groups.
    sign : array_like, default 1
        The sign of t.
    tails : {2, 1}
        Whether the test was two-sided.

    Returns
    -------
    float or array of shape (k,)
        t.

    Raises
    ------
    DataError
        If p is not in (0, 1], a degree of freedom is not positive, or a one-sided p exceeds 0.5.

    References
    ----------
    Cochrane Handbook 6.5, section 6.5.2.3.

    Examples
    --------
    >>> round(t_from_p(p=0.008, df=25 + 22 - 2), 3)
    2.776
    """
    arguments = Arguments("t_from_p", p=p, df=df, sign=sign)
    arguments.require("df", lambda df: df > 0, "must be above 0")
    arguments.check()
    return arguments.shaped(_t_from_p(arguments, arguments["df"], tails))


def _t_from_p(arguments: Arguments, df: FloatArray, tails: Literal[1, 2]) -> FloatArray:
    if tails not in (1, 2):
        raise ChoiceError(f"tails {tails!r} will not do; it must be 1 or 2")
    _check_p(arguments)
    _check_sign(arguments)
    if tails == 1:
        arguments.require(
            "p", lambda p: p <= 0.5, "must be at most 0.5 in a one-sided test of the direction that was seen"
        )
    arguments.check()
    tail = arguments["p"] / tails
    size = np.maximum(-stdtrit(df, tail), 0)
    with np.errstate(invalid="ignore"):
        found = np.isclose(stdtr(df, -size), tail, rtol=1e-6, atol=0)
    arguments.require("p", found | np.isnan(size), "is too small for a t with so few degrees of freedom")
    arguments.check()
    return np.asarray(arguments["sign"] * size, dtype=np.float64)


def smd_from_p(
    *,
    p: ArrayLike,
    n1: ArrayLike,
    n2: ArrayLike,
    sign: ArrayLike,
    tails: Literal[1, 2] = 2,
    variance: str = "metafor",
) -> ConvertedEffect:
    """Hedges g from the exact p value of a t test of two groups.

    Parameters
    ----------
    p : array_like
        Exact p value; a bound such as p < 0.05 will not do.
    n1, n2 : array_like
        Participants of each arm.
    sign : array_like
        1 if arm 1 has the higher mean, -1 if arm 2.
    tails : {2, 1}
        Whether the test was two-sided.
    variance : str, default "metafor"
        As in `smd_from_t`.

    Returns
    -------
    ConvertedEffect
        Hedges g with its variance.

    Raises
    ------
    DataError
        If p, a sign or an arm will not do.

    Examples
    --------
    >>> round(smd_from_p(p=0.05, n1=30, n2=30, sign=1).yi, 4)
    0.5101
    """
    arguments = Arguments("smd_from_p", p=p, n1=n1, n2=n2, sign=sign)
    check_arms(arguments)
    arguments.check()
    n1_, n2_ = arguments["n1"], arguments["n2"]
    d = _t_from_p(arguments, n1_ + n2_ - 2, tails) * np.sqrt(1 / n1_ + 1 / n2_)
    return _smd(arguments, d, "t from p; d = t √(1/n1 + 1/n2)", variance)


def smd_from_d(*, d: ArrayLike, n1: ArrayLike, n2: ArrayLike, variance: str = "metafor") -> ConvertedEffect:
    """Hedges g from Cohen's d: g = J d.

    Parameters
    ----------
    d : array_like
        Difference of means over the pooled standard deviation, not corrected for bias.
    n1, n2 : array_like
        Participants of each arm.
    variance : str, default "metafor"
        As in `smd_from_t`.

    Returns
    -------
    ConvertedEffect
        Hedges g with its variance.

    Raises
    ------
    DataError
        If an arm will not do.

    Examples
    --------
    >>> round(smd_from_d(d=0.51, n1=25, n2=22).yi, 4)
    0.5014
    """
    arguments = Arguments("smd_from_d", d=d, n1=n1, n2=n2)
    check_arms(arguments)
    arguments.check()
    return _smd(arguments, arguments["d"], "d as given", variance)


def d_from_smd(
    *, g: ArrayLike, n1: ArrayLike, n2: ArrayLike, correction: Literal["exact", "approximate"] = "exact"
) -> Numbers:
    """Cohen's d from Hedges g: d = g/J.

    Parameters
    ----------
    g : array_like
        Hedges g.
    n1, n2 : array_like
        Participants of each arm.
    correction : {"exact", "approximate"}
        The J that was used for g.

    Returns
    -------
    float or array of shape (k,)
        Cohen's d.

    Raises
    ------
    DataError
        If an arm will not do.

    Examples
    --------
    >>> round(d_from_smd(g=0.5014, n1=25, n2=22), 4)
    0.51
    """
    arguments = Arguments("d_from_smd", g=g, n1=n1, n2=n2)
    check_choice("correction", correction, ("exact", "approximate"))
    check_arms(arguments)
    arguments.check()
    j = small_sample_correction(arguments["n1"] + arguments["n2"] - 2, kind=correction)
    return arguments.shaped(arguments["g"] / j)


def t_from_smd(
    *, g: ArrayLike, n1: ArrayLike, n2: ArrayLike, correction: Literal["exact", "approximate"] = "exact"
) -> Numbers:
    """Student's t behind Hedges g: t = (g/J)/√(1/n1 + 1/n2).

    Parameters
    ----------
    g : array_like
        Hedges g.
    n1, n2 : array_like
        Participants of each arm.
    correction : {"exact", "approximate"}
        The J that was used for g.

    Returns
    -------
    float or array of shape (k,)
        t, with n1 + n2 - 2 degrees of freedom.

    Raises
    ------
    DataError
        If an arm will not do.

    Examples
    --------
    >>> round(t_from_smd(g=smd_from_t(t=2.0, n1=30, n2=30).yi, n1=30, n2=30), 10)
    2.0
    """
    arguments = Arguments("t_from_smd", g=g, n1=n1, n2=n2)
    check_choice("correction", correction, ("exact", "approximate"))
    check_arms(arguments)
    arguments.check()
    n1_, n2_ = arguments["n1"], arguments["n2"]
    j = small_sample_correction(n1_ + n2_ - 2, kind=correction)
    return arguments.shaped(arguments["g"] / j / np.sqrt(1 / n1_ + 1 / n2_))


def smd_from_point_biserial(
    *, r: ArrayLike, n1: ArrayLike, n2: ArrayLike, variance: str = "metafor"
) -> ConvertedEffect:
    """Hedges g from the correlation of an outcome with the arm: d = r √h/√(1 - r²), h = (N - 2)(1/n1 + 1/n2).

    Parameters
    ----------
    r : array_like
        Pearson correlation of the outcome with belonging to arm 1, without covariates.
    n1, n2 : array_like
        Participants of each arm.
    variance : str, default "metafor"
        As in `smd_from_t`.

    Returns
    -------
    ConvertedEffect
        Hedges g with its variance.

    Raises
    ------
    DataError
        If r does not lie between -1 and 1, or an arm will not do.

    References
    ----------
    Jacobs & Viechtbauer (2017), Research Synthesis Methods 8:161-180.

    Examples
    --------
    >>> effect = smd_from_point_biserial(r=0.2, n1=20, n2=25)
    >>> round(d_from_smd(g=effect.yi, n1=20, n2=25), 4)
    0.4016
    """
    arguments = Arguments("smd_from_point_biserial", r=r, n1=n1, n2=n2)
    _check_correlation(arguments)
    check_arms(arguments)
    arguments.check()
    d = arguments["r"] * np.sqrt(_h(arguments) / (1 - arguments["r"] ** 2))
    return _smd(arguments, d, "d = r √h/√(1 - r²), h = (N - 2)(1/n1 + 1/n2)", variance)


def _check_correlation(arguments: Arguments) -> None:
    arguments.require("r", lambda r: np.abs(r) < 1, "must lie between -1 and 1")


def _h(arguments: Arguments) -> FloatArray:
    n1, n2 = arguments["n1"], arguments["n2"]
    return np.asarray((n1 + n2 - 2) * (1 / n1 + 1 / n2), dtype=np.float64)


def correlation_from_d(*, d: ArrayLike, n1: ArrayLike, n2: ArrayLike) -> ConvertedEffect:
    """Point-biserial correlation from Cohen's d: r = d/√(d² + h), h = (N - 2)(1/n1 + 1/n2).

    Parameters
    ----------
    d : array_like
        Cohen's d, not corrected for bias; see `d_from_smd`.
    n1, n2 : array_like
        Participants of each arm, fixed by design.

    Returns
    -------
    ConvertedEffect
        The correlation, with the variance h² (1/n1 + 1/n2 + d²/(2N))/(h + d²)³; metafor's RPB.

    Raises
    ------
    DataError
        If an arm will not do.

    References
    ----------
    Jacobs & Viechtbauer (2017), Research Synthesis Methods 8:161-180.

    Examples
    --------
    >>> effect = correlation_from_d(d=0.51, n1=25, n2=22)
    >>> round(effect.yi, 4), round(effect.vi, 5)
    (0.2517, 0.01885)
    """
    arguments = Arguments("correlation_from_d", d=d, n1=n1, n2=n2)
    check_arms(arguments)
    arguments.check()
    d_, n1_, n2_, h = arguments["d"], arguments["n1"], arguments["n2"], _h(arguments)
    return ConvertedEffect(
        measure="RPB",
        yi=arguments.shaped(d_ / np.sqrt(d_**2 + h)),
        vi=arguments.shaped(h**2 / (h + d_**2) ** 3 * (1 / n1_ + 1 / n2_ + d_**2 / (2 * (n1_ + n2_)))),
        formula="r = d/√(d² + h), h = (N - 2)(1/n1 + 1/n2); variance h² (1/n1 + 1/n2 + d²/(2N))/(h + d²)³",
    )


def _correlation(arguments: Arguments, r: FloatArray, measure: str, how: str) -> ConvertedEffect:
    return ConvertedEffect(
        measure=measure,
        yi=arguments.shaped(r),
        vi=arguments.shaped((1 - r**2) ** 2 / (arguments["n"] - 1)),
        formula=f"{how}; variance (1 - r²)²/(n - 1)",
    )


def correlation_from_t(*, t: ArrayLike, n: ArrayLike, covariates: ArrayLike = 0) -> ConvertedEffect:
    """Correlation of two scores from the t of their regression: r = t/√(t² + df), df = n - 2 - covariates.

    Parameters
    ----------
    t : array_like
        t of the slope.
    n : array_like
        Participants.
    covariates : array_like, default 0
        Further terms in the regression; then r is the partial correlation.

    Returns
    -------
    ConvertedEffect
        The correlation with variance (1 - r²)²/(df + 1): "COR", or "PCOR" with covariates.

    Raises
    ------
    DataError
        If no degree of freedom is left.

    References
    ----------
    Aloe & Thompson (2013), Journal of the Society for Social Work and Research 4:390-405.

    Examples
    --------
    >>> effect = correlation_from_t(t=2.1, n=40)
    >>> round(effect.yi, 4), round(effect.vi, 4)
    (0.3225, 0.0206)
    """
    arguments = Arguments("correlation_from_t", t=t, n=n, covariates=covariates)
    arguments.require("covariates", lambda m: (m >= 0) & (m == np.floor(m)), "must be a count")
    arguments.require("n", arguments["n"] - 2 - arguments["covariates"] >= 1, "leaves no degree of freedom")
    arguments.check()
    df = arguments["n"] - 2 - arguments["covariates"]
    r = arguments["t"] / np.sqrt(arguments["t"] ** 2 + df)
    return ConvertedEffect(
        measure="PCOR" if np.any(arguments["covariates"] > 0) else "COR",
        yi=arguments.shaped(r),
        vi=arguments.shaped((1 - r**2) ** 2 / (df + 1)),
        formula="r = t/√(t² + df); variance (1 - r²)²/(df + 1)",
    )


def correlation_from_chi2(*, chi2: ArrayLike, n: ArrayLike, sign: ArrayLike) -> ConvertedEffect:
    """Phi, the correlation of two yes-no answers, from the chi-squared of their table: r = ±√(χ²/n).

    Where the arm sizes and the number of events are known, `metapeer.effects.margins.counts_from_margins` finds the
    table itself, which is better.

    Parameters
    ----------
    chi2 : array_like
        Pearson's chi-squared with 1 degree of freedom, without continuity correction.
    n : array_like
        Participants in the table.
    sign : array_like
        1 if the two go together, -1 if not.

    Returns
    -------
    ConvertedEffect
        Phi, with the variance (1 - r²)²/(n - 1) of a correlation.

    Raises
    ------
    DataError
        If chi-squared is negative or exceeds n, which it never does.

    References
    ----------
    Borenstein (2009), The Handbook of Research Synthesis and Meta-Analysis, 2nd ed., chapter 12.

    Examples
    --------
    >>> round(correlation_from_chi2(chi2=3.5, n=21, sign=1).yi, 4)
    0.4082
    """
    arguments = Arguments("correlation_from_chi2", chi2=chi2, n=n, sign=sign)
    _check_chi2(arguments)
    arguments.check()
    r = arguments["sign"] * np.sqrt(arguments["chi2"] / arguments["n"])
    return _correlation(arguments, r, "PHI", "r = ±√(χ²/n)")


def _check_chi2(arguments: Arguments) -> None:
    arguments.require("n", lambda n: n >= 4, "must be at least 4")
    arguments.require("chi2", lambda chi2: chi2 >= 0, "must not be negative")
    arguments.require("chi2", arguments["chi2"] < arguments["n"], "must be below n, or the table is perfectly split")
    _check_sign(arguments)


def smd_from_correlation(*, r: ArrayLike, n: ArrayLike) -> ConvertedEffect:
    """Cohen's d that goes with a correlation of two scores: d = 2r/√(1 - r²).

    This takes one of the two scores as cut into halves of equal size. For a correlation with the arm itself use
    `smd_from_point_biserial`.

    Parameters
    ----------
    r : array_like
        Correlation.
    n : array_like
        Participants.

    Returns
    -------
    ConvertedEffect
        d, not corrected for bias, with variance 4 V/(1 - r²)³, V = (1 - r²)²/(n - 1).

    Raises
    ------
    DataError
        If r does not lie between -1 and 1, or n is below 4.

    References
    ----------
    Borenstein et al. (2009), Introduction to Meta-Analysis, equations 7.5 and 7.6.

    Examples
    --------
    >>> effect = smd_from_correlation(r=0.5, n=100)
    >>> round(effect.yi, 4), round(effect.vi, 4)
    (1.1547, 0.0539)
    """
    arguments = Arguments("smd_from_correlation", r=r, n=n)
    _check_correlation(arguments)
    arguments.require("n", lambda n: n >= 4, "must be at least 4")
    arguments.check()
    return _d_of_correlation(arguments, arguments["r"], "d = 2r/√(1 - r²)")


def _d_of_correlation(arguments: Arguments, r: FloatArray, how: str) -> ConvertedEffect:
    left = 1 - r**2
    return ConvertedEffect(
        measure="SMD",
        yi=arguments.shaped(2 * r / np.sqrt(left)),
        vi=arguments.shaped(4 / ((arguments["n"] - 1) * left)),
        formula=f"{how}; variance 4 V/(1 - r²)³, V = (1 - r²)²/(n - 1); no J",
    )


def smd_from_chi2(*, chi2: ArrayLike, n: ArrayLike, sign: ArrayLike) -> ConvertedEffect:
    """Cohen's d that goes with the chi-squared of a two-by-two table: d = ±2√(χ²/(n - χ²)).

    A last resort: recover the table and take its odds ratio where you can
    (`metapeer.effects.margins.counts_from_margins`, `smd_from_log_odds_ratio`).

    Parameters
    ----------
    chi2 : array_like
        Pearson's chi-squared with 1 degree of freedom, without continuity correction.
    n : array_like
        Participants in the table.
    sign : array_like
        1 if arm 1 does better, -1 if arm 2.

    Returns
    -------
    ConvertedEffect
        d, not corrected for bias, with variance 4 V/(1 - r²)³, V = (1 - r²)²/(n - 1), r² = χ²/n.

    Raises
    ------
    DataError
        If chi-squared is negative or not below n.

    References
    ----------
    Lipsey & Wilson (2001), Practical Meta-Analysis, appendix B.

    Examples
    --------
    >>> round(smd_from_chi2(chi2=3.5, n=21, sign=1).yi, 4)
    0.8944
    """
    arguments = Arguments("smd_from_chi2", chi2=chi2, n=n, sign=sign)
    _check_chi2(arguments)
    arguments.check()
    r = arguments["sign"] * np.sqrt(arguments["chi2"] / arguments["n"])
    return _d_of_correlation(arguments, r, "r = ±√(χ²/n); d = 2r/√(1 - r²)")


def _latent_sd(latent: str) -> float:
    return LATENT_SD[check_choice("latent", latent, tuple(LATENT_SD))]


def log_odds_ratio_from_smd(*, yi: ArrayLike, vi: ArrayLike, latent: Latent = "logistic") -> ConvertedEffect:
    """Log odds ratio of a latent score cut in two, from its standardised mean difference.

    Parameters
    ----------
    yi, vi : array_like
        Standardised mean difference and its variance.
    latent : {"logistic", "normal"}
        How the score is distributed: the factor is π/√3, or 1.65.

    Returns
    -------
    ConvertedEffect
        The log odds ratio ``s yi`` with variance ``s² vi``; metafor's D2ORL, D2ORN.

    Raises
    ------
    DataError
        If a variance is not positive.

    References
    ----------
    Hasselblad & Hedges (1995), Psychological Bulletin 117:167-178; Cox & Snell (1989), Analysis of Binary Data, 2nd ed.

    Examples
    --------
    >>> effect = log_odds_ratio_from_smd(yi=0.51, vi=0.0882)
    >>> round(effect.yi, 4), round(effect.vi, 4)
    (0.925, 0.2902)
    """
    return _rescaled("log_odds_ratio_from_smd", "OR", yi, vi, _latent_sd(latent), f"yi s, vi s², s of a {latent} score")


def smd_from_log_odds_ratio(*, yi: ArrayLike, vi: ArrayLike, latent: Latent = "logistic") -> ConvertedEffect:
    """Standardised mean difference of a latent score, from the log odds ratio after it was cut in two.

    Parameters
    ----------
    yi, vi : array_like
        Log odds ratio and its variance.
    latent : {"logistic", "normal"}
        How the score is distributed: the divisor is π/√3, or 1.65.

    Returns
    -------
    ConvertedEffect
        ``yi/s`` with variance ``vi/s²``; metafor's OR2DL, OR2DN.

    Raises
    ------
    DataError
        If a variance is not positive.

    References
    ----------
    Chinn (2000), Statistics in Medicine 19:3127-3131; Cox & Snell (1989), Analysis of Binary Data, 2nd ed.

    Examples
    --------
    >>> round(smd_from_log_odds_ratio(yi=0.925, vi=0.2902).yi, 4)
    0.51
    """
    s = 1 / _latent_sd(latent)
    return _rescaled("smd_from_log_odds_ratio", "SMD", yi, vi, s, f"yi/s, vi/s², s of a {latent} score")


def _rescaled(source: str, measure: str, yi: ArrayLike, vi: ArrayLike, factor: float, formula: str) -> ConvertedEffect:
    arguments = Arguments(source, yi=yi, vi=vi)
    arguments.require("vi", lambda vi: vi > 0, "must be above 0")
    arguments.check()
    return ConvertedEffect(
        measure=measure,
        yi=arguments.shaped(factor * arguments["yi"]),
        vi=arguments.shaped(factor**2 * arguments["vi"]),
        formula=formula,
    )
