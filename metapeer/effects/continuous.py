"""Effect sizes of two arms with means: standardised mean difference, mean difference, ratio of means.

Software disagrees about the variance of a standardised mean difference. `SMD_VARIANCES` shows every definition on one
screen, and `SMD_PRESETS` says who uses which.

References
----------
Hedges (1981), Journal of Educational Statistics 6:107-128 (g and its exact correction J).
Lin & Aloe (2021), Statistics in Medicine 40:403-426 (the definitions compared).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from metapeer.errors import check_choice

__all__ = [
    "SMD_PRESETS",
    "SMD_VARIANCES",
    "SMDVariance",
    "cohen_d",
    "find_smd_variance",
    "hedges_g",
    "heteroscedastic_smd",
    "log_ratio_of_means",
    "mean_difference",
    "small_sample_correction",
]

FloatArray = NDArray[np.float64]
Correction = Literal["exact", "approximate"]
VarianceFormula = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]

# From 100 degrees of freedom on, the difference of two lgammas loses digits that its series keeps.
_SERIES_FROM = 100


def _log_correction(df: FloatArray) -> FloatArray:
    """Return ln J = ln Γ(df/2) - ln Γ((df-1)/2) - ln(df/2)/2, to full precision for any df > 1."""
    # ln Γ(z + 1/2) - ln Γ(z) - ln(z)/2 = Σ (2^(1-k) - 2) B_k / (k (k-1) z^(k-1)), k = 2, 4, ... (DLMF 5.11.8),
    # at z = (df-1)/2. Past k = 8 the terms are below 1e-17 when df >= 100.
    z = (np.maximum(df, _SERIES_FROM) - 1) / 2
    series = -1 / (8 * z) + 1 / (192 * z**3) - 1 / (640 * z**5) + 17 / (14336 * z**7) - np.log1p(0.5 / z) / 2
    small = np.minimum(df, _SERIES_FROM)
    direct = gammaln(small / 2) - gammaln((small - 1) / 2) - np.log(small / 2) / 2
    return np.where(df < _SERIES_FROM, direct, series)


def small_sample_correction(df: FloatArray, *, kind: Correction = "exact") -> FloatArray:
    """Hedges' correction J, by which d overstates the effect in a small sample.

    Parameters
    ----------
    df : array of shape (k,)
        Degrees of freedom of the standard deviation, n1 + n2 - 2; above 1.
    kind : {"exact", "approximate"}
        By the gamma function, or 1 - 3/(4 df - 1).

    Returns
    -------
    array of shape (k,)
        J, between 0 and 1.

    References
    ----------
    Hedges (1981), Journal of Educational Statistics 6:107-128.

    Examples
    --------
    >>> import numpy as np
    >>> small_sample_correction(np.array([10.0, 100.0])).round(5)
    array([0.92275, 0.99248])
    >>> small_sample_correction(np.array([10.0, 100.0]), kind="approximate").round(5)
    array([0.92308, 0.99248])
    """
    return np.exp(_log_correction(df)) if kind == "exact" else 1 - 3 / (4 * df - 1)


def _ls(n1: FloatArray, n2: FloatArray, d: FloatArray, j: FloatArray) -> FloatArray:
    return 1 / n1 + 1 / n2 + (j * d) ** 2 / (2 * (n1 + n2))


def _ls2(n1: FloatArray, n2: FloatArray, d: FloatArray, j: FloatArray) -> FloatArray:
    return j**2 * (1 / n1 + 1 / n2 + d**2 / (2 * (n1 + n2)))


def _ub(n1: FloatArray, n2: FloatArray, d: FloatArray, j: FloatArray) -> FloatArray:
    df = n1 + n2 - 2
    with np.errstate(divide="ignore"):  # df = 2: ln 0, and expm1(-inf) is the -1 that is meant
        share = -np.expm1(np.log1p(-2 / df) - 2 * _log_correction(df))  # 1 - (df-2)/(df J²), without cancellation
    return 1 / n1 + 1 / n2 + share * (j * d) ** 2


def _av(n1: FloatArray, n2: FloatArray, d: FloatArray, j: FloatArray) -> FloatArray:
    total = n1 + n2
    mean = np.sum(total * j * d) / np.sum(total) if total.size else 0.0
    return 1 / n1 + 1 / n2 + mean**2 / (2 * total)


def _ls_n394(n1: FloatArray, n2: FloatArray, d: FloatArray, j: FloatArray) -> FloatArray:
    return 1 / n1 + 1 / n2 + (j * d) ** 2 / (2 * (n1 + n2 - 3.94))


def _ls2_df(n1: FloatArray, n2: FloatArray, d: FloatArray, j: FloatArray) -> FloatArray:
    return j**2 * (1 / n1 + 1 / n2 + d**2 / (2 * (n1 + n2 - 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SMDVariance:
    """One definition of Hedges g and its sampling variance.

    Parameters
    ----------
    name : str
        What `variance=` calls it; metafor's code where metafor has it.
    correction : {"exact", "approximate"}
        The kind of J in g = J d.
    formula : str
        The variance, in words of n1, n2, N = n1 + n2, x = N - 2, d, g and J.
    compute : callable
        The variance from n1, n2, d and J.
    source : str
        Who proposed it.
    """

    name: str
    correction: Correction
    formula: str
    compute: VarianceFormula
    source: str

    @property
    def label(self) -> str:
        """What was computed, for the column ``variance_formula``."""
        return f"{self.name} ({self.correction} J)"


# d = (mean1 - mean2)/s, s² = ((n1-1) sd1² + (n2-1) sd2²)/(N-2), g = J d.
SMD_VARIANCES: dict[str, SMDVariance] = {
    row.name: row
    for row in (
        SMDVariance(
            name="LS",
            correction="exact",
            formula="1/n1 + 1/n2 + g²/(2 N)",
            compute=_ls,
            source="Hedges (1982), Psychological Bulletin 92:490-499",
        ),
        SMDVariance(
            name="LS2",
            correction="exact",
            formula="J² (1/n1 + 1/n2 + d²/(2 N))",
            compute=_ls2,
            source="Borenstein (2009), Handbook of Research Synthesis, 2nd ed., equation 12.17",
        ),
        SMDVariance(
            name="UB",
            correction="exact",
            formula="1/n1 + 1/n2 + (1 - (x-2)/(x J²)) g²",
            compute=_ub,
            source="Hedges (1983), Psychological Bulletin 93:388-395: unbiased",
        ),
        SMDVariance(
            name="AV",
            correction="exact",
            formula="1/n1 + 1/n2 + ḡ²/(2 N), ḡ = Σ N g / Σ N over the rows",
            compute=_av,
            source="Lin & Aloe (2021), Statistics in Medicine 40:403-426",
        ),
        SMDVariance(
            name="LS_N394",
            correction="approximate",
            formula="1/n1 + 1/n2 + g²/(2 (N - 3.94))",
            compute=_ls_n394,
            source="Hedges & Olkin (1985), Statistical Methods for Meta-Analysis",
        ),
        SMDVariance(
            name="LS2_APPROX",
            correction="approximate",
            formula="J² (1/n1 + 1/n2 + d²/(2 N))",
            compute=_ls2,
            source="Borenstein et al. (2009), Introduction to Meta-Analysis, equations 4.20-4.24",
        ),
        SMDVariance(
            name="LS2_DF",
            correction="approximate",
            formula="J² (1/n1 + 1/n2 + d²/(2 (N - 2)))",
            compute=_ls2_df,
            source="PyMARE 0.0.13, effectsize/expressions.json",
        ),
    )
}

SMD_PRESETS: dict[str, str] = {
    "metafor": "LS",  # R metafor, escalc(measure="SMD")
    "meta": "UB",  # R meta, metacont(sm="SMD")
    "meta_approximate": "LS_N394",  # R meta, metacont(sm="SMD", exact.smd=FALSE)
    "revman5": "LS_N394",  # Review Manager 5
    "statsmodels": "LS_N394",  # statsmodels, effectsize_smd
    "metapsy": "LS2_APPROX",  # metapsyTools, calculateEffectSizes
    "esc": "LS2_APPROX",  # R esc, esc_mean_sd(es.type="g")
    "cma": "LS2_APPROX",  # Comprehensive Meta-Analysis, as its authors' book (Borenstein et al. 2009) has it
    "pymare": "LS2_DF",  # PyMARE, TwoSampleEffectSizeConverter
}


def find_smd_variance(variance: object) -> SMDVariance:
    """Return the definition that a name or a preset stands for.

    Parameters
    ----------
    variance : str
        A key of `SMD_VARIANCES` or of `SMD_PRESETS`.

    Returns
    -------
    SMDVariance
        The definition.

    Raises
    ------
    ChoiceError
        If there is no such name.

    Examples
    --------
    >>> find_smd_variance("meta").label
    'UB (exact J)'
    """
    name = check_choice("variance", variance, [*SMD_VARIANCES, *SMD_PRESETS])
    return SMD_VARIANCES[SMD_PRESETS.get(name, name)]


def cohen_d(
    *, n1: FloatArray, mean1: FloatArray, sd1: FloatArray, n2: FloatArray, mean2: FloatArray, sd2: FloatArray
) -> FloatArray:
    """Difference of two means in units of their pooled standard deviation, without correction for bias.

    Parameters
    ----------
    n1, mean1, sd1, n2, mean2, sd2 : array of shape (k,)
        Participants, mean and standard deviation of each arm.

    Returns
    -------
    array of shape (k,)
        d.
    """
    return (mean1 - mean2) / np.sqrt(_pooled_variance(n1, sd1, n2, sd2))


def _pooled_variance(n1: FloatArray, sd1: FloatArray, n2: FloatArray, sd2: FloatArray) -> FloatArray:
    return np.asarray(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / (n1 + n2 - 2), dtype=np.float64)


def hedges_g(
    *,
    n1: FloatArray,
    mean1: FloatArray,
    sd1: FloatArray,
    n2: FloatArray,
    mean2: FloatArray,
    sd2: FloatArray,
    variance: str = "metafor",
) -> tuple[FloatArray, FloatArray]:
    """Standardised mean difference, arm 1 minus arm 2, with its sampling variance.

    Parameters
    ----------
    n1, mean1, sd1, n2, mean2, sd2 : array of shape (k,)
        Participants (at least 2), mean and standard deviation (above 0) of each arm.
    variance : str, default "metafor"
        A key of `SMD_VARIANCES` or of `SMD_PRESETS`.

    Returns
    -------
    yi, vi : array of shape (k,)
        Hedges g and its variance.

    Raises
    ------
    ChoiceError
        If `variance` is unknown.

    References
    ----------
    Hedges (1981), Journal of Educational Statistics 6:107-128; for the variances see `SMD_VARIANCES`.

    Examples
    --------
    >>> import numpy as np
    >>> arms = {"n1": 11, "mean1": 17.8, "sd1": 9.9, "n2": 14, "mean2": 26.9, "sd2": 11.2}
    >>> yi, vi = hedges_g(**{name: np.array([x]) for name, x in arms.items()}, variance="revman5")
    >>> yi.round(3), np.sqrt(vi).round(6)
    (array([-0.826]), array([0.422533]))
    """
    definition = find_smd_variance(variance)
    d = cohen_d(n1=n1, mean1=mean1, sd1=sd1, n2=n2, mean2=mean2, sd2=sd2)
    j = small_sample_correction(n1 + n2 - 2, kind=definition.correction)
    return j * d, definition.compute(n1, n2, d, j)


def heteroscedastic_smd(
    *, n1: FloatArray, mean1: FloatArray, sd1: FloatArray, n2: FloatArray, mean2: FloatArray, sd2: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean difference in units of the root of the mean variance, for arms of unequal spread.

    Parameters
    ----------
    n1, mean1, sd1, n2, mean2, sd2 : array of shape (k,)
        Participants (at least 2), mean and standard deviation (above 0) of each arm.

    Returns
    -------
    yi, vi : array of shape (k,)
        The effect, corrected by the exact J, and its variance; metafor's SMDH.

    References
    ----------
    Bonett (2008), Psychological Methods 13:99-109; (2009), Psychological Methods 14:225-238.

    Examples
    --------
    >>> import numpy as np
    >>> arms = {"n1": 20, "mean1": 10.2, "sd1": 2.1, "n2": 22, "mean2": 8.9, "sd2": 2.5}
    >>> yi, vi = heteroscedastic_smd(**{name: np.array([x]) for name, x in arms.items()})
    >>> yi.round(4), vi.round(4)
    (array([0.5525]), array([0.1033]))
    """
    mean_variance = (sd1**2 + sd2**2) / 2
    g = small_sample_correction(n1 + n2 - 2) * (mean1 - mean2) / np.sqrt(mean_variance)
    spread = (sd1**4 / (n1 - 1) + sd2**4 / (n2 - 1)) / (8 * mean_variance**2)
    return g, g**2 * spread + (sd1**2 / (n1 - 1) + sd2**2 / (n2 - 1)) / mean_variance


def mean_difference(
    *,
    n1: FloatArray,
    mean1: FloatArray,
    sd1: FloatArray,
    n2: FloatArray,
    mean2: FloatArray,
    sd2: FloatArray,
    pooled: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Mean of arm 1 minus mean of arm 2, with its sampling variance.

    Parameters
    ----------
    n1, mean1, sd1, n2, mean2, sd2 : array of shape (k,)
        Participants (at least 2), mean and standard deviation (above 0) of each arm.
    pooled : bool, default False
        Whether the arms are taken to share one variance (metafor's HO) or not (metafor's LS).

    Returns
    -------
    yi, vi : array of shape (k,)
        The difference and its variance, in the instrument's units and their square.

    Examples
    --------
    >>> import numpy as np
    >>> arms = {"n1": 20, "mean1": 10.2, "sd1": 2.1, "n2": 22, "mean2": 8.9, "sd2": 2.5}
    >>> yi, vi = mean_difference(**{name: np.array([x]) for name, x in arms.items()})
    >>> yi.round(4), vi.round(4)
    (array([1.3]), array([0.5046]))
    """
    if pooled:
        return mean1 - mean2, _pooled_variance(n1, sd1, n2, sd2) * (1 / n1 + 1 / n2)
    return mean1 - mean2, sd1**2 / n1 + sd2**2 / n2


def log_ratio_of_means(
    *,
    n1: FloatArray,
    mean1: FloatArray,
    sd1: FloatArray,
    n2: FloatArray,
    mean2: FloatArray,
    sd2: FloatArray,
    pooled: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Logarithm of the ratio of two means, with its sampling variance by the delta method.

    The ratio is the plain one, as in R meta; metafor 5.0 also corrects it for bias unless told ``correct=FALSE``.

    Parameters
    ----------
    n1, mean1, sd1, n2, mean2, sd2 : array of shape (k,)
        Participants (at least 2), mean (above 0) and standard deviation (above 0) of each arm.
    pooled : bool, default False
        Whether the arms are taken to share one variance (metafor's HO) or not (metafor's LS).

    Returns
    -------
    yi, vi : array of shape (k,)
        ln(mean1/mean2) and its variance; NaN where a mean is not positive.

    References
    ----------
    Hedges, Gurevitch & Curtis (1999), Ecology 80:1150-1156.

    Examples
    --------
    >>> import numpy as np
    >>> arms = {"n1": 20, "mean1": 10.2, "sd1": 2.1, "n2": 22, "mean2": 8.9, "sd2": 2.5}
    >>> yi, vi = log_ratio_of_means(**{name: np.array([x]) for name, x in arms.items()})
    >>> yi.round(4), vi.round(4)
    (array([0.1363]), array([0.0057]))
    """
    positive = (mean1 > 0) & (mean2 > 0)
    mean1, mean2 = np.where(positive, mean1, np.nan), np.where(positive, mean2, np.nan)
    shared = _pooled_variance(n1, sd1, n2, sd2)
    variance1, variance2 = (shared, shared) if pooled else (sd1**2, sd2**2)
    return np.log(mean1 / mean2), variance1 / (n1 * mean1**2) + variance2 / (n2 * mean2**2)
