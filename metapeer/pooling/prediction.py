"""Where the true effect of a new study may lie: prediction intervals."""

import math

from metapeer.errors import check_choice
from metapeer.pooling.intervals import Interval, normal_quantile, t_quantile

__all__ = ["PREDICTION_METHODS", "prediction_interval"]

PREDICTION_METHODS = ("V", "HTS", "HK", "HK-PR", "S")
"""R meta's codes: V and HK use t with k - 1 df, HTS and HK-PR t with k - 2 df, S the normal distribution."""


def prediction_interval(
    *, estimate: float, tau2: float, classic_se: float, hk_se: float, k: int, method: str, level: float
) -> Interval | None:
    """Interval for the true effect of a new study like those pooled.

    Parameters
    ----------
    estimate : float
        Pooled effect.
    tau2 : float
        Between-study variance.
    classic_se, hk_se : float
        Standard error of the estimate without and with the Hartung-Knapp scale factor as it was used.
    k : int
        Number of studies.
    method : str
        One of `PREDICTION_METHODS`: "V", "HTS" and "S" use `classic_se`, "HK" and "HK-PR" use `hk_se`.
    level : float
        Coverage.

    Returns
    -------
    Interval or None
        None when there are no degrees of freedom.

    References
    ----------
    Higgins, Thompson & Spiegelhalter (2009), J R Stat Soc A 172:137-159 ("HTS"); Partlett & Riley (2017), Stat Med
    36:301-317 ("HK-PR"); Veroniki et al. (2019), Res Synth Methods 10:23-43 ("V"); Skipka (2006) ("S").

    Examples
    --------
    >>> numbers = {"estimate": 0.2, "tau2": 0.04, "classic_se": 0.05, "hk_se": 0.06, "k": 10}
    >>> interval = prediction_interval(**numbers, method="V", level=0.95)
    >>> round(interval.low, 3), round(interval.high, 3)
    (-0.266, 0.666)
    """
    check_choice("prediction_method", method, PREDICTION_METHODS)
    variance = tau2 + (hk_se if method in ("HK", "HK-PR") else classic_se) ** 2
    kind = ", Hartung-Knapp variance" if method in ("HK", "HK-PR") else ""
    if method == "S":
        half = normal_quantile(level) * math.sqrt(variance)
        return Interval(estimate - half, estimate + half, level, "normal")
    df = k - 1 if method in ("V", "HK") else k - 2
    if df < 1:
        return None
    half = t_quantile(level, df) * math.sqrt(variance)
    return Interval(estimate - half, estimate + half, level, f"t, {df} df{kind}")
