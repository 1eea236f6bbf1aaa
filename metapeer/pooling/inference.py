"""From an estimate and its weights to an interval and a test: normal, t, and Hartung-Knapp with its corrections.

The Hartung-Knapp method scales the variance ``1 / sum(w)`` by ``q = sum(w (yi - mu)²) / (k - 1)`` and takes a t
distribution with k - 1 degrees of freedom. When the effects happen to agree, q is far below 1 and the interval
collapses; the corrections guard against that in three ways.
"""

import math
from dataclasses import dataclass

from metapeer.pooling.intervals import Interval, normal_quantile, t_quantile, two_sided_p

__all__ = ["CI_METHODS", "CI_WORDS", "Inference", "infer"]

CI_WORDS = {
    "z": "normal",
    "t": "t",
    "HK": "Hartung-Knapp",
    "HK_se": "Hartung-Knapp, standard error not below the classic one",
    "HK_ci": "Hartung-Knapp or normal, whichever is wider",
    "HK_IQWiG6": "Hartung-Knapp, corrected when narrower than the DerSimonian-Laird interval",
}
CI_METHODS = tuple(CI_WORDS)


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
    """Make the interval and test that `method` asks for.

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
        One of `CI_METHODS`.
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
