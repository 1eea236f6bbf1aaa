"""Ready-made effects: a log odds ratio as a standardised mean difference, and standard errors from what is printed."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = [
    "log_odds_ratio_to_smd",
    "midpoint_can_be_estimate",
    "se_from_interval",
    "se_from_p_value",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Standard deviation of the logistic distribution, to which the log odds of a latent score belong.
_LOGISTIC_SD = np.pi / np.sqrt(3)
_TINY = np.finfo(np.float64).tiny


def log_odds_ratio_to_smd(
    yi: FloatArray, vi: FloatArray, *, correction: FloatArray | float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Turn a log odds ratio into a standardised mean difference of a logistic score cut in two.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Log odds ratio and its variance.
    correction : array of shape (k,) or float, default 1
        Hedges' J, for g rather than d.

    Returns
    -------
    yi, vi : array of shape (k,)
        ``J yi √3/π`` and ``J² vi 3/π²``; without J, metafor's OR2DL.

    References
    ----------
    Hasselblad & Hedges (1995), Psychological Bulletin 117:167-178.
    Chinn (2000), Statistics in Medicine 19:3127-3131.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = log_odds_ratio_to_smd(np.array([-0.7472]), np.array([0.1930]))
    >>> yi.round(4), vi.round(4)
    (array([-0.412]), array([0.0587]))
    """
    return correction * yi / _LOGISTIC_SD, correction**2 * vi / _LOGISTIC_SD**2


def se_from_interval(low: FloatArray, high: FloatArray, *, level: float = 0.95) -> FloatArray:
    """Return the standard error behind a confidence interval made with normal quantiles.

    Parameters
    ----------
    low, high : array of shape (k,)
        Limits, on the scale on which the interval is symmetric (log for ratios).
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    array of shape (k,)
        ``(high - low)/(2 z)``.

    References
    ----------
    Cochrane Handbook 6.5, sections 6.3.1 and 6.3.2.

    Examples
    --------
    >>> import numpy as np
    >>> se_from_interval(np.array([2.4]), np.array([7.8])).round(3)
    array([1.378])
    """
    return np.asarray((high - low) / (2 * ndtri((1 + level) / 2)), dtype=np.float64)


def se_from_p_value(yi: FloatArray, p: FloatArray) -> FloatArray:
    """Return the standard error behind a two-sided p value of a normal test.

    Parameters
    ----------
    yi : array of shape (k,)
        Effects, not 0, on the scale on which they were tested (log for ratios).
    p : array of shape (k,)
        Exact two-sided p values, between 0 and 1; a bound such as p < 0.001 will not do.

    Returns
    -------
    array of shape (k,)
        ``|yi|/z``.

    References
    ----------
    Cochrane Handbook 6.5, sections 6.3.1 and 6.3.2.

    Examples
    --------
    >>> import numpy as np
    >>> se_from_p_value(np.log([1.1]), np.array([0.03])).round(4)
    array([0.0439])
    """
    return np.asarray(np.abs(yi) / -ndtri(p / 2), dtype=np.float64)


def midpoint_can_be_estimate(
    estimate: FloatArray, low: FloatArray, high: FloatArray, *, half_unit: FloatArray, log: bool
) -> BoolArray:
    """Tell whether an interval can be symmetric about its estimate, given how far the three were rounded.

    Parameters
    ----------
    estimate, low, high : array of shape (k,)
        As printed; above 0 if `log`.
    half_unit : array of shape (k,)
        Half a unit of the last printed digit.
    log : bool
        Whether symmetry is meant on the log scale.

    Returns
    -------
    array of bool, shape (k,)
        False where no rounding explains the asymmetry.

    Examples
    --------
    >>> import numpy as np
    >>> printed = [np.array([x]) for x in (0.66, 0.43, 0.99)]
    >>> midpoint_can_be_estimate(*printed, half_unit=np.array([0.005]), log=True)
    array([ True])
    >>> midpoint_can_be_estimate(*printed, half_unit=np.array([0.005]), log=False)
    array([False])
    """

    def scale(x: FloatArray) -> FloatArray:
        return np.log(np.maximum(x, _TINY)) if log else x  # a limit rounded down to 0 may have been anything above

    # A relative 1e-9 keeps an exact tie, such as 0.4 in 0.15 to 0.65, from falling to binary rounding.
    slack = half_unit * (1 + 1e-9)
    lowest = (scale(low - slack) + scale(high - slack)) / 2
    highest = (scale(low + slack) + scale(high + slack)) / 2
    return np.asarray((scale(estimate + slack) >= lowest) & (scale(estimate - slack) <= highest), dtype=np.bool_)
