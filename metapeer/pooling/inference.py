"""From an estimate and its weights to an interval and a test: normal, t, and Hartung-Knapp with its corrections.

The Hartung-Knapp method scales the variance ``1 / sum(w)`` by ``q = sum(w (yi - mu)²) / (k - 1)`` and takes a t
distribution with k - 1 degrees of freedom. When the effects happen to agree, q is far below 1 and the interval
collapses; the corrections guard against that in three ways.
"""

import math
from dataclasses import dataclass, replace

from metapeer.errors import ChoiceError
from metapeer.pooling.higher_order import bartlett_factor, skovgaard
from metapeer.pooling.intervals import Interval, normal_quantile, t_quantile, two_sided_p
from metapeer.pooling.mean_intervals import (
    fixed_weight_se,
    henmi_copas,
    kenward_roger,
    mean_likelihood_interval,
    mean_likelihood_p,
)
from metapeer.pooling.sign_flips import sign_flips
from metapeer.pooling.weighted import FloatArray

__all__ = ["CI_METHODS", "FIXED_WEIGHTS", "GOES_WITH", "Inference", "infer", "infer_specially"]

CI_WORDS = {
    "z": "normal",
    "t": "t",
    "HK": "Hartung-Knapp",
    "HK_se": "Hartung-Knapp, standard error not below the classic one",
    "HK_ci": "Hartung-Knapp or normal, whichever is wider",
    "HK_IQWiG6": "Hartung-Knapp, corrected when narrower than the DerSimonian-Laird interval",
    "KR": "Kenward-Roger",
    "HC": "Henmi-Copas",
    "IVhet": "IVhet",
    "PL": "profile likelihood",
    "PL_B": "profile likelihood, Bartlett's correction",
    "PL_S": "profile likelihood, Skovgaard's correction",
    "perm": "sign flips",
}
CI_METHODS = tuple(CI_WORDS)
FIXED_WEIGHTS = ("HC", "IVhet")
"""Methods that keep the estimate and weights of a common effect."""
GOES_WITH = {"KR": "REML", "HC": "DL", "IVhet": "DL", "PL": "ML", "PL_B": "ML", "PL_S": "ML", "perm": "DL"}
"""Methods that need more than an estimate and its standard error, and the one estimator of tau2 each goes with."""


@dataclass(frozen=True, slots=True)
class Inference:
    """An interval and test for a pooled estimate.

    Parameters
    ----------
    se : float
        The standard error that the interval and the test use.
    ci : Interval
        Confidence interval.
    statistic, p_value : float
        Estimate over `se`, and its two-sided p value.
    df : float or None
        Degrees of freedom; None for the normal distribution.
    method : str
        The code of what was done in the end.
    """

    se: float
    ci: Interval
    statistic: float
    df: float | None
    p_value: float
    method: str


def _interval(estimate: float, se: float, df: float | None, level: float, method: str, words: str) -> Inference:
    half = se * (normal_quantile(level) if df is None else t_quantile(level, df))
    if se > 0:
        statistic = estimate / se
        p_value = two_sided_p(statistic, df)
    else:
        statistic, p_value = math.nan, math.nan
    return Inference(se, Interval(estimate - half, estimate + half, level, words), statistic, df, p_value, method)


def infer(
    *,
    estimate: float,
    classic_se: float,
    hk_q: float,
    k: int,
    method: str,
    level: float,
    dl_se: float | None = None,
) -> Inference:
    """Make a normal, t or Hartung-Knapp interval and its test.

    Parameters
    ----------
    estimate : float
        Pooled effect.
    classic_se : float
        ``1 / sqrt(sum(w))``.
    hk_q : float
        Hartung-Knapp scale factor; not used by "z" and "t".
    k : int
        Number of studies, at least 2 unless the method is "z".
    method : str
        "z", "t", or one of those that begin with "HK".
    level : float
        Confidence level.
    dl_se : float, optional
        Classic standard error with DerSimonian and Laird's tau2; needed by "HK_IQWiG6".

    Returns
    -------
    Inference
        With words that say what was done in the end.

    References
    ----------
    Hartung & Knapp (2001), Stat Med 20:3875-3889; Knapp & Hartung (2003), Stat Med 22:2693-2710 ("HK_se");
    Jackson et al. (2017), Stat Med 36:3923-3934 ("HK_ci", their hybrid method 2); IQWiG (2022), General Methods 6.1
    ("HK_IQWiG6").

    Examples
    --------
    >>> found = infer(estimate=0.5, classic_se=0.1, hk_q=0.25, k=5, method="HK_se", level=0.95)
    >>> found.se, round(found.ci.low, 3)
    (0.1, 0.222)
    """
    df = float(k - 1)
    if method == "z":
        return _interval(estimate, classic_se, None, level, "z", CI_WORDS["z"])
    if method == "t":
        return _interval(estimate, classic_se, df, level, "t", f"t, {k - 1} df")
    words = f"Hartung-Knapp, t, {k - 1} df"
    hk_se = classic_se * math.sqrt(hk_q)
    plain = _interval(estimate, hk_se, df, level, method, words)
    if method == "HK":
        return plain
    if method == "HK_se":
        if hk_q >= 1.0:
            return _interval(estimate, hk_se, df, level, method, f"{words}; q not below 1")
        return _interval(estimate, classic_se, df, level, method, f"{words}; q raised to 1")
    if method == "HK_ci":
        classic = _interval(estimate, classic_se, None, level, method, "normal, wider than Hartung-Knapp")
        return classic if classic.ci.width > plain.ci.width else plain
    if dl_se is None:
        raise TypeError("HK_IQWiG6 needs dl_se")
    if plain.ci.width < 2.0 * dl_se * normal_quantile(level):
        corrected = max(1.0, hk_q)
        return _interval(
            estimate, classic_se * math.sqrt(corrected), df, level, method, f"{words}; q not below 1 (IQWiG 6)"
        )
    return plain


def infer_specially(
    yi: FloatArray,
    vi: FloatArray,
    *,
    estimate: float,
    tau2: float,
    tau2_method: str,
    classic_se: float,
    method: str,
    level: float,
) -> Inference:
    """Make an interval and test that need more than an estimate and its standard error.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    estimate : float
        Pooled effect; the common-effect estimate for a method of `FIXED_WEIGHTS`.
    tau2 : float
        Between-study variance.
    tau2_method : str
        Its estimator.
    classic_se : float
        ``1 / sqrt(sum(w))``.
    method : {"KR", "HC", "IVhet", "PL", "PL_B", "PL_S", "perm"}
        What to make.
    level : float
        Confidence level.

    Returns
    -------
    Inference
        The p value of "PL", "PL_B", "PL_S" and "perm" is that of the test they invert; Henmi and Copas give none, so it
        is NaN. Where Skovgaard's correction is not defined the method is "PL", which is what was done.

    Raises
    ------
    ChoiceError
        If the method does not go with the estimator of tau2.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04])
    >>> found = infer_specially(
    ...     yi, vi, estimate=0.38, tau2=0.0949, tau2_method="REML", classic_se=0.204, method="KR", level=0.95
    ... )
    >>> found.ci.method
    'Kenward-Roger, t, 1.945 df'
    """
    needed = GOES_WITH[method]
    if tau2_method != needed:
        raise ChoiceError(f"ci_method {method!r} goes with tau2_method {needed!r}, not {tau2_method!r}")
    if method == "KR":
        adjusted = kenward_roger(vi, tau2)
        words = f"Kenward-Roger, t, {adjusted.df:.4g} df"
        return _interval(estimate, adjusted.se, adjusted.df, level, "KR", words)
    if method == "IVhet":
        return _interval(estimate, fixed_weight_se(vi, tau2), None, level, "IVhet", "normal, IVhet variance")
    if method == "HC":
        se = fixed_weight_se(vi, tau2)
        half = henmi_copas(yi, vi, level) * se
        interval = Interval(estimate - half, estimate + half, level, "Henmi-Copas")
        return Inference(se, interval, estimate / se, None, math.nan, "HC")
    statistic = estimate / classic_se
    if method == "perm":
        flips = sign_flips(yi, vi, level)
        return Inference(classic_se, flips.ci, statistic, None, flips.p_value, "perm")
    if method == "PL_B":
        factor = bartlett_factor(vi, tau2)
        words = f"profile likelihood (ML), Bartlett's factor {factor:.4g}"
        interval = replace(mean_likelihood_interval(yi, vi, level, factor=factor), method=words)
        return Inference(classic_se, interval, statistic, None, mean_likelihood_p(yi, vi, factor=factor), "PL_B")
    corrected = skovgaard(yi, vi, level) if method == "PL_S" else None
    if corrected is not None:
        return Inference(classic_se, corrected.ci, statistic, None, corrected.p_value, "PL_S")
    interval = mean_likelihood_interval(yi, vi, level)
    return Inference(classic_se, interval, statistic, None, mean_likelihood_p(yi, vi), "PL")
