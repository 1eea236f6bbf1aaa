"""Boundaries that need no integration: the restricted procedure, and the law of the iterated logarithm."""

import math
from collections.abc import Callable

from scipy.special import log_ndtr, ndtr, ndtri

__all__ = ["falling_root", "logarithm_boundary", "required_drift", "restricted_boundary"]


def falling_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find where a falling function is nought, by halving.

    Parameters
    ----------
    function : callable
        Falling, and cheap.
    low, high : float
        Where it is sought.

    Returns
    -------
    float
        To 13 digits; `low` or `high` where the function keeps its sign.

    Examples
    --------
    >>> round(falling_root(lambda x: 2.0 - x * x, 0.0, 2.0), 6)
    1.414214
    """
    if function(low) <= 0.0:
        return low
    while high - low > 1e-13 * max(1.0, high):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if function(middle) > 0.0 else (low, middle)
    return 0.5 * (low + high)


def required_drift(alpha: float, power: float) -> float:
    """Expected z at which one two-sided test has a given power: the sum of two normal quantiles.

    Parameters
    ----------
    alpha : float
        Two-sided error.
    power : float
        Of one look when all information is there.

    Returns
    -------
    float
        ``z(1 - alpha/2) + z(power)``.

    Examples
    --------
    >>> round(required_drift(0.05, 0.8), 4)
    2.8016
    """
    return float(ndtri(power) - ndtri(alpha / 2.0))


def restricted_boundary(alpha: float, power: float) -> tuple[float, float]:
    """Whitehead's restricted procedure: a constant boundary for the score, and the information at which it ends.

    For an effect of 1; for another, `H` is divided by its size and `V_max` by its square. Information is taken to grow
    without steps: Brownian motion crosses ±H until V_max with probability alpha under no effect, and H with the given
    power under the effect (crossing -H first, which then has a probability near 0, is not counted off).

    Parameters
    ----------
    alpha : float
        Two-sided error.
    power : float
        Under the effect.

    Returns
    -------
    H, V_max : float
        The boundary for the absolute score, and the largest information.

    References
    ----------
    Whitehead (1997), The Design and Analysis of Sequential Clinical Trials, 2nd ed. Higgins, Whitehead & Simmonds
    (2011), Stat Med 30:903-921.

    Examples
    --------
    >>> H, V_max = restricted_boundary(0.05, 0.9)
    >>> round(H, 2), round(V_max, 2)
    (7.46, 11.08)
    """

    def excess(height: float) -> float:
        # The reflection principle: the greatest |B| until time 1 (Billingsley 1968, equation 11.12).
        return 4.0 * sum((-1.0) ** i * float(ndtr(-(2 * i + 1) * height)) for i in range(50)) - alpha

    def lack(drift: float) -> float:
        # First passage of a drifting Brownian motion, the inverse Gaussian distribution.
        reflected = math.exp(2.0 * drift * height + float(log_ndtr(-height - drift)))
        return power - float(ndtr(drift - height)) - reflected

    height = falling_root(excess, 1e-3, 40.0)
    drift = falling_root(lack, 0.0, 80.0)
    return height * drift, drift**2


def logarithm_boundary(information: float, alpha: float, penalty: float) -> float:
    """Boundary for z from the law of the iterated logarithm: the usual one, times a root that grows ever more slowly.

    To divide z by that root, and to compare it with the usual boundary, is the same.

    Parameters
    ----------
    information : float
        One over the squared standard error of the pooled effect.
    alpha : float
        Two-sided error.
    penalty : float
        The adjustment factor lambda.

    Returns
    -------
    float
        ``z(1 - alpha/2) * sqrt(lambda * log(log(information)))``, and never less than the usual boundary, for the root
        is below 1 where information is small.

    References
    ----------
    Lan, Hu & Cappelleri (2003), Stat Sin 13:1135-1145. Hu, Cappelleri & Lan (2007), Clin Trials 4:329-340.

    Examples
    --------
    >>> [round(logarithm_boundary(information, 0.05, 2.0), 2) for information in (2, 20, 200)]
    [1.96, 2.9, 3.58]
    """
    inside = penalty * math.log(math.log(information)) if information > math.e else 0.0
    return -float(ndtri(alpha / 2.0)) * math.sqrt(max(1.0, inside))
