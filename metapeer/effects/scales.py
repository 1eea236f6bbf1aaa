"""The scales on which effects are pooled, and the way back to the one a reader expects."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["SCALES", "Scale", "back_transform_double_arcsine", "back_transform_double_root"]

FloatArray = NDArray[np.float64]
Scale = Literal["identity", "log", "logit", "arcsine", "double arcsine", "root", "double root", "Fisher z"]


def back_transform_double_arcsine(yi: FloatArray, total: FloatArray) -> FloatArray:
    """Turn a double arcsine back into a proportion, given the participants behind it.

    Parameters
    ----------
    yi : array of shape (k,)
        Values of `metapeer.effects.proportions.double_arcsine`, or of their weighted mean.
    total : array of shape (k,)
        Participants behind each value, not necessarily whole; infinite for the limit, ``sin²(yi)``. A study has its own
        number. For a pooled value, the inverse of its variance gives one, ``1/(4 v) - 1/2``; the harmonic mean of the
        studies' numbers gives another, which misleads when they differ much.

    Returns
    -------
    array of shape (k,)
        Proportions; 0 and 1 for values beyond those of no event and nothing but events.

    References
    ----------
    Miller (1978), The American Statistician 32:138 (the inverse).
    Barendregt et al. (2013), J Epidemiol Community Health 67:974-978 (the inverse of the variance).
    Schwarzer et al. (2019), Research Synthesis Methods 10:476-483 (the harmonic mean misleads).

    Examples
    --------
    >>> import numpy as np
    >>> from metapeer.effects.proportions import double_arcsine
    >>> yi, _ = double_arcsine(np.array([0.0, 40.0]), np.array([20.0, 100.0]))
    >>> back_transform_double_arcsine(yi, np.array([20.0, 100.0])).round(12)
    array([0. , 0.4])
    """
    lowest = np.arcsin(np.sqrt(1 / (total + 1))) / 2  # the value of no event; that of nothing but events is its mirror
    with np.errstate(divide="ignore", invalid="ignore"):
        # Miller's p = (1 - sgn(cos t) √(1 - s²))/2 with s = sin t + (sin t - 1/sin t)/n at t = 2 yi; multiplied out, so
        # that a rare event keeps its digits.
        sine = np.sin(2 * yi)
        inner = (sine + (sine - 1 / sine) / total) ** 2
        rarer = inner / (2 * (1 + np.sqrt(np.maximum(0.0, 1 - inner))))
        p = np.where(np.cos(2 * yi) >= 0, rarer, 1 - rarer)
    p = np.where(yi <= lowest, 0.0, np.where(yi >= np.pi / 2 - lowest, 1.0, p))
    return np.where(np.isnan(yi), np.nan, p)


def back_transform_double_root(yi: FloatArray, time: FloatArray) -> FloatArray:
    """Turn the mean of two roots back into an incidence rate, given the person-time behind it.

    Parameters
    ----------
    yi : array of shape (k,)
        Values of `metapeer.effects.rates.double_root_rate`, or of their weighted mean.
    time : array of shape (k,)
        The person-time behind each value; infinite for the limit, ``yi²``.

    Returns
    -------
    array of shape (k,)
        Rates; 0 for values below that of no event.

    References
    ----------
    Freeman & Tukey (1950), Annals of Mathematical Statistics 21:607-611.

    Examples
    --------
    >>> import numpy as np
    >>> from metapeer.effects.rates import double_root_rate
    >>> time = np.array([10.0, 45.5])
    >>> yi, _ = double_root_rate(np.array([0.0, 5.0]), time)
    >>> (back_transform_double_root(yi, time) * time).round(12)
    array([0., 5.])
    """
    lowest = np.sqrt(1 / time) / 2
    # With a = √(x/t) and b = √((x+1)/t): a + b = 2 yi and b² - a² = 1/t, so that a = yi - 1/(4 t yi).
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(yi <= lowest, 0.0, (yi - 1 / (4 * time * yi)) ** 2)


def _exp(yi: float, _: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(yi))


def _sine_squared(yi: float, _: float) -> float:
    return math.sin(min(max(yi, 0.0), math.pi / 2)) ** 2 if not math.isnan(yi) else yi


def _square(yi: float, _: float) -> float:
    return yi**2 if not yi < 0 else 0.0


def _double_arcsine(yi: float, variance: float) -> float:
    total = max(1.0, 1 / (4 * variance) - 0.5) if variance > 0 else math.inf
    return float(back_transform_double_arcsine(np.array(yi), np.array(total)))


def _double_root(yi: float, variance: float) -> float:
    time = 1 / (4 * variance) if variance > 0 else math.inf
    return float(back_transform_double_root(np.array(yi), np.array(time)))


# Each takes a value and the sampling variance of what it belongs to, from which the two by Freeman and Tukey tell the
# participants (variance 1/(4n + 2)) or the person-time (variance 1/(4t)) behind it.
SCALES: dict[Scale, Callable[[float, float], float]] = {
    "identity": lambda yi, _: yi,
    "log": _exp,
    "logit": lambda yi, _: float(expit(yi)),
    "arcsine": _sine_squared,
    "double arcsine": _double_arcsine,
    "root": _square,
    "double root": _double_root,
    "Fisher z": lambda yi, _: math.tanh(yi),
}
