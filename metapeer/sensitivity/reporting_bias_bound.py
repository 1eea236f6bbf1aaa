"""Copas and Jackson's bound: the most that unreported studies or outcomes can have moved the pooled effect.

References
----------
Copas & Jackson (2004), Biometrics 60:146-153.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from metapeer.pooling.weighted import FloatArray, total

__all__ = ["largest_bias", "suspects_for_bias"]

_MOST = 1e9


def largest_bias(vi: FloatArray, tau2: float, suspects: float) -> float:
    """Largest bias of the pooled effect when so many studies are missing, whatever decided which.

    Parameters
    ----------
    vi : array of shape (k,)
        Sampling variances of the studies at hand.
    tau2 : float
        Between-study variance.
    suspects : float
        Studies that are missing; it may be a fraction.

    Returns
    -------
    float
        Not negative. It holds if precise studies are not less likely to be reported than others.

    Examples
    --------
    >>> [round(largest_bias(np.full(10, 0.04), 0.0, m), 4) for m in (0, 1, 10)]
    [0.0, 0.036, 0.1596]
    """
    if suspects <= 0.0:
        return 0.0
    k = vi.size
    reported = k / (k + suspects)
    quantile = float(ndtri(reported))
    density = math.exp(-0.5 * quantile**2) / math.sqrt(2.0 * math.pi)
    spread = vi + tau2
    return density / reported * total(1.0 / np.sqrt(spread)) / total(1.0 / spread)


def suspects_for_bias(vi: FloatArray, tau2: float, bias: float) -> float:
    """How many studies must be missing for so large a bias to be possible.

    Parameters
    ----------
    vi : array of shape (k,)
        Sampling variances.
    tau2 : float
        Between-study variance.
    bias : float
        Not negative.

    Returns
    -------
    float
        A fraction of a study as a rule; infinite beyond a thousand million.

    Examples
    --------
    >>> round(suspects_for_bias(np.full(10, 0.04), 0.0, largest_bias(np.full(10, 0.04), 0.0, 3.0)), 6)
    3.0
    """
    if bias <= 0.0:
        return 0.0
    if largest_bias(vi, tau2, _MOST) < bias:
        return math.inf
    return float(
        math.exp(
            brentq(lambda m: largest_bias(vi, tau2, math.exp(m)) - bias, -60.0, math.log(_MOST), xtol=1e-13, rtol=1e-13)
        )
    )
