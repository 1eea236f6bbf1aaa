"""A correlation between two quantities in one group: raw, unbiased, and Fisher's z."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ellipkm1, hyp2f1

__all__ = ["correlation", "fisher_z", "unbiased_correlation"]

FloatArray = NDArray[np.float64]
_SERIES_FROM = 50
Pair = tuple[FloatArray, FloatArray]


def _sampling_variance(yi: FloatArray, n: FloatArray, *, average: bool) -> FloatArray:
    centre = np.full_like(yi, np.sum(n * yi) / np.sum(n)) if average and yi.size else yi
    return (1 - centre**2) ** 2 / (n - 1)


def correlation(r: FloatArray, n: FloatArray, *, average: bool = False) -> Pair:
    """Correlation coefficient as it is.

    Parameters
    ----------
    r, n : array of shape (k,)
        Correlations and the participants behind them.
    average : bool, default False
        Whether the variance of each rests on the mean of all, weighted by participants, instead of on its own value.

    Returns
    -------
    yi, vi : array of shape (k,)
        The correlation and its variance ``(1 - r²)²/(n - 1)``.

    References
    ----------
    Hunter & Schmidt (2004), Methods of Meta-Analysis, 2nd ed., chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = correlation(np.array([0.35]), np.array([20.0]))
    >>> yi, vi.round(4)
    (array([0.35]), array([0.0405]))
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return r + 0.0, _sampling_variance(r, n, average=average)


def unbiased_correlation(r: FloatArray, n: FloatArray, *, average: bool = False) -> Pair:
    """Correlation coefficient without its small-sample bias, by Olkin and Pratt's hypergeometric function.

    Parameters
    ----------
    r, n : array of shape (k,)
        Correlations and the participants behind them, at least 4.
    average : bool, default False
        Whether the variance of each rests on the mean of all, weighted by participants, instead of on its own value.

    Returns
    -------
    yi, vi : array of shape (k,)
        The corrected correlation and its variance, that of `correlation` at the corrected value; NaN where `n` < 4.

    References
    ----------
    Olkin & Pratt (1958), Annals of Mathematical Statistics 29:201-211.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = unbiased_correlation(np.array([0.35]), np.array([20.0]))
    >>> yi.round(4), vi.round(4)
    (array([0.3596]), array([0.0399]))
    """
    usable = np.where(n >= 4, n, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        yi = np.where((r == 0) & (n >= 4), 0.0, r * _olkin_pratt(r, usable))
        return yi, _sampling_variance(yi, usable, average=average)


def _olkin_pratt(r: FloatArray, n: FloatArray) -> FloatArray:
    """Gauss's hypergeometric function of 1/2, 1/2 and (n - 2)/2 at 1 - r²."""
    c, z = (n - 2) / 2, 1 - r**2
    # SciPy's function breaks down (infinite or NaN in 1.17) for c above 99, where 30 terms of the series are plenty.
    term = np.ones_like(z)
    series = term.copy()
    for i in range(30):
        term = term * (0.5 + i) ** 2 / ((np.maximum(c, _SERIES_FROM) + i) * (1 + i)) * z
        series += term
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(c < _SERIES_FROM, hyp2f1(0.5, 0.5, np.minimum(c, _SERIES_FROM), z), series)
        # At n = 4 it is 2/π times the elliptic integral K, infinite at r = 0, where 1 - r² loses the digits of r;
        # K(1 - r²) = ln(4/|r|) up to terms of r².
        integral = np.where(np.abs(r) > 1e-9, ellipkm1(r**2), np.log(4) - np.log(np.abs(r)))
        return np.where(n == 4, 2 / np.pi * integral, found)


def fisher_z(r: FloatArray, n: FloatArray) -> Pair:
    """Fisher's z, the inverse hyperbolic tangent of a correlation.

    Parameters
    ----------
    r, n : array of shape (k,)
        Correlations and the participants behind them, at least 4.

    Returns
    -------
    yi, vi : array of shape (k,)
        z and its variance ``1/(n - 3)``; not finite for correlations of 1 and -1, NaN where `n` is below 4.

    References
    ----------
    Fisher (1921), Metron 1:3-32.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = fisher_z(np.array([0.35]), np.array([20.0]))
    >>> yi.round(4), vi.round(4)
    (array([0.3654]), array([0.0588]))
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.arctanh(r), 1 / np.where(n > 3, n - 3, np.nan)
