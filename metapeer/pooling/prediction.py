"""Where the true effect of a new study may lie: prediction intervals."""

import math
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit

from metapeer.errors import check_choice
from metapeer.pooling.intervals import Interval, normal_quantile, t_quantile
from metapeer.pooling.mean_intervals import kenward_roger
from metapeer.pooling.quadratic_form import generalised_q_cdf
from metapeer.pooling.tau2_profile import invert_generalised_q
from metapeer.pooling.weighted import FloatArray, q_statistic

__all__ = [
    "PREDICTION_METHODS",
    "nnf_prediction_interval",
    "prediction_interval",
    "prediction_scale",
    "probability_beyond",
]

PREDICTION_METHODS = ("V", "HTS", "HK", "HK-PR", "KR", "KR-PR", "NNF", "S")
"""R meta's codes: V and HK use t with k - 1 df, HTS and HK-PR t with k - 2 df, KR and KR-PR Kenward and Roger's df and
one less, NNF the confidence distribution of tau2, S the normal distribution."""

_NODES = 81


def prediction_scale(
    *, tau2: float, classic_se: float, hk_se: float, k: int, method: str, vi: FloatArray | None
) -> tuple[float, float | None]:
    """Standard error of the mean and degrees of freedom that a prediction uses.

    Parameters
    ----------
    tau2, classic_se, hk_se, k, method, vi
        As in `prediction_interval`.

    Returns
    -------
    se : float
        Standard error of the pooled effect.
    df : float or None
        Degrees of freedom, not positive when there are none; None for the normal distribution.

    Raises
    ------
    ChoiceError
        If `method` is unknown, or has no such scale.
    """
    check_choice("prediction_method", method, [code for code in PREDICTION_METHODS if code != "NNF"])
    if method == "S":
        return classic_se, None
    if method in ("KR", "KR-PR"):
        if vi is None:
            raise TypeError(f"{method} needs vi")
        adjusted = kenward_roger(vi, tau2)
        return adjusted.se, adjusted.df - (1.0 if method == "KR-PR" else 0.0)
    df = float(k - 1 if method in ("V", "HK") else k - 2)
    return (hk_se if method in ("HK", "HK-PR") else classic_se), df


def prediction_interval(
    *,
    estimate: float,
    tau2: float,
    classic_se: float,
    hk_se: float,
    k: int,
    method: str,
    level: float,
    vi: FloatArray | None = None,
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
        One of `PREDICTION_METHODS` but "NNF": "V", "HTS" and "S" use `classic_se`, "HK" and "HK-PR" use `hk_se`.
    level : float
        Coverage.
    vi : array of shape (k,), optional
        Sampling variances; needed by "KR" and "KR-PR".

    Returns
    -------
    Interval or None
        None when there are no degrees of freedom.

    References
    ----------
    Higgins, Thompson & Spiegelhalter (2009), J R Stat Soc A 172:137-159 ("HTS"); Partlett & Riley (2017), Stat Med
    36:301-317 ("HK-PR", "KR-PR"); Veroniki et al. (2019), Res Synth Methods 10:23-43 ("V"); Skipka (2006) ("S").

    Examples
    --------
    >>> numbers = {"estimate": 0.2, "tau2": 0.04, "classic_se": 0.05, "hk_se": 0.06, "k": 10}
    >>> interval = prediction_interval(**numbers, method="V", level=0.95)
    >>> round(interval.low, 3), round(interval.high, 3)
    (-0.266, 0.666)
    """
    se, df = prediction_scale(tau2=tau2, classic_se=classic_se, hk_se=hk_se, k=k, method=method, vi=vi)
    if df is None:
        half = normal_quantile(level) * math.sqrt(tau2 + se**2)
        return Interval(estimate - half, estimate + half, level, "normal")
    if df <= 0:
        return None
    kind = {"HK": ", Hartung-Knapp variance", "KR": ", Kenward-Roger variance"}.get(method[:2], "")
    half = t_quantile(level, df) * math.sqrt(tau2 + se**2)
    return Interval(estimate - half, estimate + half, level, f"t, {df:.4g} df{kind}")


@lru_cache(maxsize=1)
def _tanh_sinh() -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on (0, 1) that do not mind singular ends (Takahasi & Mori 1974)."""
    t = np.linspace(-2.7, 2.7, _NODES)
    inner = 0.5 * np.pi * np.sinh(t)
    weights = 0.5 * np.pi * np.cosh(t) / np.cosh(inner) ** 2
    return 1.0 / (1.0 + np.exp(-2.0 * inner)), weights / weights.sum()


def nnf_prediction_interval(yi: FloatArray, vi: FloatArray, level: float) -> Interval:
    """Prediction interval from the confidence distribution of tau2, integrated rather than simulated.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances; k at least 2.
    level : float
        Coverage.

    Returns
    -------
    Interval
        Quantiles of ``mu(tau2) + Z tau - T se(tau2)`` with Z normal, T Student's t with k - 1 degrees of freedom, se
        Hartung's standard error, and tau2 from its exact confidence distribution. The published method draws them at
        random; here there is no random error.

    References
    ----------
    Nagashima, Noma & Furukawa (2019), Stat Methods Med Res 28:1689-1702.

    Examples
    --------
    >>> interval = nnf_prediction_interval(np.array([0.1, 0.3, 0.8, 0.5]), np.array([0.02, 0.03, 0.04, 0.02]), 0.95)
    >>> round(interval.low, 2), round(interval.high, 2)
    (-0.58, 1.41)
    """
    from scipy.optimize import brentq

    k = yi.size
    w = 1.0 / vi
    q, _ = q_statistic(yi, vi, 0.0)
    at_zero = 1.0 - generalised_q_cdf(q, vi, 0.0, w)
    shares, share_weights = _tanh_sinh()
    tau2 = np.array([invert_generalised_q(yi, vi, (1.0 - at_zero) * (1.0 - u), w) or 0.0 for u in shares])
    tau2 = np.append(tau2, 0.0)
    mass = np.append(share_weights * (1.0 - at_zero), at_zero)
    weights = 1.0 / (vi + tau2[:, None])
    total = weights.sum(axis=1)
    mu = weights @ yi / total
    se = np.sqrt((weights * (yi - mu[:, None]) ** 2).sum(axis=1) / ((k - 1) * total))
    t_nodes = stdtrit(k - 1.0, shares)
    tau = np.sqrt(tau2)

    def below(x: float) -> float:
        distance = (x - mu)[:, None] + np.multiply.outer(se, t_nodes)
        spread = np.where(tau > 0, tau, 1.0)[:, None]
        smooth = ndtr(distance / spread) @ share_weights
        # Without heterogeneity only T is left, and its distribution function is exact.
        still = stdtr(k - 1.0, np.divide(x - mu, se, out=np.sign(x - mu) * np.inf, where=se > 0))
        return float(mass @ np.where(tau > 0, smooth, still))

    centre, step = float(np.median(yi)), float(np.ptp(yi) + math.sqrt(vi.max()))
    ends = []
    for tail, side in ((0.5 * (1.0 - level), -1.0), (0.5 * (1.0 + level), 1.0)):
        far = step
        while (below(centre + side * far) - tail) * side < 0:
            far *= 2.0
        ends.append(float(brentq(lambda x, t=tail: below(x) - t, centre - far, centre + far, xtol=1e-12 * step)))
    return Interval(ends[0], ends[1], level, "confidence distribution of tau² (Nagashima-Noma-Furukawa)")


def probability_beyond(threshold: float, *, estimate: float, tau2: float, se: float, df: float | None) -> float:
    """Probability that the true effect of a new study exceeds a threshold.

    Parameters
    ----------
    threshold : float
        In the units of the effects.
    estimate, tau2, se : float
        Pooled effect, between-study variance, and the standard error of the prediction interval.
    df : float or None
        Degrees of freedom of the prediction interval; None for the normal distribution.

    Returns
    -------
    float
        Between 0 and 1.

    References
    ----------
    Siemens et al. (2025), BMC Med Res Methodol, doi 10.1186/s12874-025-02733-9.

    Examples
    --------
    >>> round(probability_beyond(0.0, estimate=0.2, tau2=0.04, se=0.0, df=None), 4)
    0.8413
    """
    spread = math.sqrt(tau2 + se**2)
    if spread == 0.0:  # all effects agree exactly: the new one is known, and at the threshold itself as likely as not
        return 0.5 if estimate == threshold else float(estimate > threshold)
    distance = (estimate - threshold) / spread
    return float(ndtr(distance) if df is None else stdtr(df, distance))
