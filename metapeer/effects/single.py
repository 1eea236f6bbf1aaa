"""A mean in one group, raw or on the log scale."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["log_mean", "mean"]

FloatArray = NDArray[np.float64]
Pair = tuple[FloatArray, FloatArray]


def mean(mean: FloatArray, sd: FloatArray, n: FloatArray) -> Pair:
    """Mean in natural units.

    Parameters
    ----------
    mean, sd, n : array of shape (k,)
        Means, standard deviations and participants.

    Returns
    -------
    yi, vi : array of shape (k,)
        The mean and its variance ``sd²/n``.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = mean(np.array([10.2]), np.array([2.2]), np.array([12.0]))
    >>> yi, vi.round(4)
    (array([10.2]), array([0.4033]))
    """
    return mean + 0.0, sd**2 / n


def log_mean(mean: FloatArray, sd: FloatArray, n: FloatArray) -> Pair:
    """Logarithm of the mean of a quantity that is always above 0.

    Parameters
    ----------
    mean, sd, n : array of shape (k,)
        Means, standard deviations and participants.

    Returns
    -------
    yi, vi : array of shape (k,)
        The log mean and its variance by the delta method; not usable where the mean is not above 0.

    References
    ----------
    Hedges, Gurevitch & Curtis (1999), Ecology 80:1150-1156, for the logarithm of one mean.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = log_mean(np.array([10.2]), np.array([2.2]), np.array([12.0]))
    >>> yi.round(4), vi.round(6)
    (array([2.3224]), array([0.003877]))
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(mean), sd**2 / (n * mean**2)
