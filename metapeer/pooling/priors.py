"""Prior distributions for a Bayesian meta-analysis: of the heterogeneity tau, and of the mean effect.

A prior is a frozen value with a name of its own (``half_normal(0.5)``). What a reader must choose is its scale, in the
units of the effects: log odds ratio, standardised mean difference, points of a scale.

References
----------
Gelman (2006), Bayesian Anal 1:515-534 (half-t family); Roever et al. (2021), Res Synth Methods 12:448-474,
doi:10.1002/jrsm.1475 (which scale for which measure).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincinv, betaln, erf, erfc, erfinv, ndtr, ndtri, stdtr, stdtrit

from metapeer.errors import MetapeerError
from metapeer.pooling.weighted import FloatArray

__all__ = [
    "HalfNormal",
    "HalfT",
    "LogNormal",
    "LogT",
    "Lomax",
    "NormalPrior",
    "TauPrior",
    "Uniform",
    "half_cauchy",
    "half_normal",
    "half_t",
    "log_normal",
    "log_t",
    "lomax",
    "normal",
    "uniform",
]


@dataclass(frozen=True, slots=True)
class TauPrior:
    """What every prior of tau can tell; make one with `half_normal`, `half_cauchy`, `half_t` and the like.

    Parameters
    ----------
    label : str
        Its name with its parameters.
    """

    label: str

    def __str__(self) -> str:
        return self.label

    @property
    def proper(self) -> bool:
        """Whether it integrates to one."""
        return True

    @property
    def maximum(self) -> float:
        """The largest tau it allows."""
        return math.inf

    @property
    def tail(self) -> float:
        """The power a with which the density falls as tau**-a far out; infinite when it falls faster than any."""
        return math.inf

    def log_density(self, tau: FloatArray) -> FloatArray:
        """Logarithm of the density of tau.

        Parameters
        ----------
        tau : array
            Not negative.

        Returns
        -------
        array
            One number for each; the density is one everywhere for an improper uniform prior.
        """
        raise NotImplementedError

    def cdf(self, tau: float) -> float:
        """Probability below `tau`, to full relative accuracy where it is tiny.

        Parameters
        ----------
        tau : float
            Not negative.

        Returns
        -------
        float
            Between 0 and 1.
        """
        raise NotImplementedError

    def sf(self, tau: float) -> float:
        """Probability above `tau`, to full relative accuracy where it is tiny.

        Parameters
        ----------
        tau : float
            Not negative.

        Returns
        -------
        float
            Between 0 and 1.
        """
        raise NotImplementedError

    def quantile(self, p: float) -> float:
        """The tau below which lies the probability `p`.

        Parameters
        ----------
        p : float
            Between 0 and 1.

        Returns
        -------
        float
            In the units of the effects.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class HalfNormal(TauPrior):
    """See `half_normal`.

    Parameters
    ----------
    label : str
        Its name.
    scale : float
        Standard deviation of the normal distribution it is half of.
    """

    scale: float

    def log_density(self, tau: FloatArray) -> FloatArray:  # noqa: D102  (as the base has it, here and below)
        return 0.5 * math.log(2.0 / math.pi) - math.log(self.scale) - 0.5 * (tau / self.scale) ** 2

    def cdf(self, tau: float) -> float:  # noqa: D102
        return float(erf(tau / self.scale / math.sqrt(2.0)))

    def sf(self, tau: float) -> float:  # noqa: D102
        return float(erfc(tau / self.scale / math.sqrt(2.0)))

    def quantile(self, p: float) -> float:  # noqa: D102
        return math.sqrt(2.0) * self.scale * float(erfinv(p))


@dataclass(frozen=True, slots=True)
class HalfT(TauPrior):
    """See `half_t` and `half_cauchy`.

    Parameters
    ----------
    label : str
        Its name.
    scale : float
        What the t distribution is multiplied by.
    df : float
        Degrees of freedom.
    """

    scale: float
    df: float

    @property
    def tail(self) -> float:  # noqa: D102
        return self.df + 1.0

    def log_density(self, tau: FloatArray) -> FloatArray:  # noqa: D102
        return math.log(2.0 / self.scale) + _log_t_density(tau / self.scale, self.df)

    def cdf(self, tau: float) -> float:  # noqa: D102
        square = (tau / self.scale) ** 2
        return float(betainc(0.5, 0.5 * self.df, square / (self.df + square)))

    def sf(self, tau: float) -> float:  # noqa: D102
        # Unlike the square, the quotient does not overflow far out.
        return float(betainc(0.5 * self.df, 0.5, 1.0 / (1.0 + (tau / self.scale) * (tau / self.scale / self.df))))

    def quantile(self, p: float) -> float:  # noqa: D102
        share = float(betaincinv(0.5, 0.5 * self.df, p))
        return self.scale * math.sqrt(self.df * share / (1.0 - share))


@dataclass(frozen=True, slots=True)
class Uniform(TauPrior):
    """See `uniform`.

    Parameters
    ----------
    label : str
        Its name.
    end : float
        The largest value; infinite for the improper prior.
    """

    end: float

    @property
    def proper(self) -> bool:  # noqa: D102
        return math.isfinite(self.end)

    @property
    def maximum(self) -> float:  # noqa: D102
        return self.end

    @property
    def tail(self) -> float:  # noqa: D102
        return math.inf if self.proper else 0.0

    def log_density(self, tau: FloatArray) -> FloatArray:  # noqa: D102
        height = -math.log(self.end) if self.proper else 0.0
        # exp(log(end)) may be a rounding error above the end.
        return np.where(tau <= self.end * (1.0 + 1e-12), height, -np.inf)

    def cdf(self, tau: float) -> float:  # noqa: D102
        return min(tau / self.end, 1.0) if self.proper else tau

    def sf(self, tau: float) -> float:  # noqa: D102
        return max(1.0 - tau / self.end, 0.0) if self.proper else 0.0

    def quantile(self, p: float) -> float:  # noqa: D102
        return p * self.end if self.proper else p


@dataclass(frozen=True, slots=True)
class Lomax(TauPrior):
    """See `lomax`.

    Parameters
    ----------
    label : str
        Its name.
    scale, shape : float
        Of the distribution.
    """

    scale: float
    shape: float

    @property
    def tail(self) -> float:  # noqa: D102
        return self.shape + 1.0

    def log_density(self, tau: FloatArray) -> FloatArray:  # noqa: D102
        return math.log(self.shape / self.scale) - (self.shape + 1.0) * np.log1p(tau / self.scale)

    def cdf(self, tau: float) -> float:  # noqa: D102
        return -math.expm1(-self.shape * math.log1p(tau / self.scale))

    def sf(self, tau: float) -> float:  # noqa: D102
        return math.exp(-self.shape * math.log1p(tau / self.scale))

    def quantile(self, p: float) -> float:  # noqa: D102
        return self.scale * math.expm1(-math.log1p(-p) / self.shape)


@dataclass(frozen=True, slots=True)
class LogNormal(TauPrior):
    """See `log_normal`.

    Parameters
    ----------
    label : str
        Its name.
    location, scale : float
        Mean and standard deviation of the logarithm of tau**2.
    """

    location: float
    scale: float

    def log_density(self, tau: FloatArray) -> FloatArray:  # noqa: D102
        z, jacobian = _log_squared(tau, self.location, self.scale)
        return np.where(tau > 0, jacobian - 0.5 * z**2 - 0.5 * math.log(2.0 * math.pi), -np.inf)

    def cdf(self, tau: float) -> float:  # noqa: D102
        return float(ndtr((2.0 * math.log(tau) - self.location) / self.scale)) if tau > 0 else 0.0

    def sf(self, tau: float) -> float:  # noqa: D102
        return float(ndtr((self.location - 2.0 * math.log(tau)) / self.scale)) if tau > 0 else 1.0

    def quantile(self, p: float) -> float:  # noqa: D102
        return math.exp(0.5 * (self.location + self.scale * float(ndtri(p)))) if p > 0 else 0.0


@dataclass(frozen=True, slots=True)
class LogT(TauPrior):
    """See `log_t`.

    Parameters
    ----------
    label : str
        Its name.
    location, scale : float
        Of the t distribution of the logarithm of tau**2.
    df : float
        Its degrees of freedom.
    """

    location: float
    scale: float
    df: float

    @property
    def tail(self) -> float:  # noqa: D102
        return 1.0

    def log_density(self, tau: FloatArray) -> FloatArray:  # noqa: D102
        z, jacobian = _log_squared(tau, self.location, self.scale)
        return np.where(tau > 0, jacobian + _log_t_density(z, self.df), np.inf)

    def cdf(self, tau: float) -> float:  # noqa: D102
        return float(stdtr(self.df, (2.0 * math.log(tau) - self.location) / self.scale)) if tau > 0 else 0.0

    def sf(self, tau: float) -> float:  # noqa: D102
        return float(stdtr(self.df, (self.location - 2.0 * math.log(tau)) / self.scale)) if tau > 0 else 1.0

    def quantile(self, p: float) -> float:  # noqa: D102
        return math.exp(0.5 * (self.location + self.scale * float(stdtrit(self.df, p)))) if p > 0 else 0.0


@dataclass(frozen=True, slots=True)
class NormalPrior:
    """The prior of the mean effect that `normal` makes.

    Parameters
    ----------
    mean, sd : float
        In the units of the effects.
    """

    mean: float
    sd: float

    def __str__(self) -> str:
        return f"normal({self.mean:g}, {self.sd:g})"


def _log_t_density(z: FloatArray, df: float) -> FloatArray:
    """Logarithm of Student's t density; no square overflows, and many degrees of freedom lose no digits."""
    share = np.abs(z) / math.sqrt(df)
    far = share > 1e100
    power = np.where(far, np.log(np.where(far, share, 1.0)), 0.5 * np.log1p(np.where(far, 0.0, share) ** 2))
    return np.asarray(-betaln(0.5, 0.5 * df) - 0.5 * math.log(df) - (df + 1.0) * power)


def _log_squared(tau: FloatArray, location: float, scale: float) -> tuple[FloatArray, FloatArray]:
    """Standardise log(tau**2), and give the logarithm of its slope in tau; at zero, whatever is finite."""
    log_tau = np.log(np.where(tau > 0, tau, 1.0))
    return (2.0 * log_tau - location) / scale, math.log(2.0 / scale) - log_tau


def _number(name: str, value: float, *, positive: bool = True) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or (positive and number <= 0):
        raise MetapeerError(f"{name} {value!r} is not a {'number > 0' if positive else 'finite number'}")
    return number


def half_normal(scale: float) -> TauPrior:
    """Prior of tau: the positive half of a normal distribution around zero.

    Parameters
    ----------
    scale : float
        Its standard deviation, in the units of the effects. Half of the prior lies below 0.67 times the scale, 95%
        below 1.96 times. For log odds ratios and standardised mean differences 0.5 is weakly informative and 1.0
        wide.

    Returns
    -------
    TauPrior
        For `bayesian_meta_analysis`.

    Raises
    ------
    MetapeerError
        If the scale is not positive.

    References
    ----------
    Roever et al. (2021), Res Synth Methods 12:448-474, doi:10.1002/jrsm.1475.

    Examples
    --------
    >>> prior = half_normal(0.5)
    >>> print(prior, round(prior.quantile(0.95), 2))
    half_normal(0.5) 0.98
    """
    scale = _number("scale", scale)
    return HalfNormal(f"half_normal({scale:g})", scale)


def half_cauchy(scale: float) -> TauPrior:
    """Prior of tau: the positive half of a Cauchy distribution around zero, with a heavy tail.

    Parameters
    ----------
    scale : float
        Its median, in the units of the effects.

    Returns
    -------
    TauPrior
        For `bayesian_meta_analysis`.

    Raises
    ------
    MetapeerError
        If the scale is not positive.

    References
    ----------
    Gelman (2006), Bayesian Anal 1:515-534.

    Examples
    --------
    >>> round(half_cauchy(0.5).quantile(0.5), 6)
    0.5
    """
    scale = _number("scale", scale)
    return HalfT(f"half_cauchy({scale:g})", scale, 1.0)


def half_t(scale: float, df: float) -> TauPrior:
    """Prior of tau: the positive half of a scaled t distribution around zero.

    Parameters
    ----------
    scale : float
        What the t distribution is multiplied by, in the units of the effects.
    df : float
        Degrees of freedom: 1 is half-Cauchy, many are half-normal.

    Returns
    -------
    TauPrior
        For `bayesian_meta_analysis`.

    Raises
    ------
    MetapeerError
        If either is not positive.

    References
    ----------
    Gelman (2006), Bayesian Anal 1:515-534.

    Examples
    --------
    >>> round(half_t(0.5, df=4).quantile(0.95), 3)
    1.388
    """
    scale, df = _number("scale", scale), _number("df", df)
    return HalfT(f"half_t({scale:g}, df={df:g})", scale, df)


def uniform(maximum: float = math.inf) -> TauPrior:
    """Prior of tau: every value up to a maximum is equally likely.

    Parameters
    ----------
    maximum : float, default inf
        The largest tau, in the units of the effects. Without one the prior is improper: its posterior exists only
        with enough studies, and there is no Bayes factor for tau.

    Returns
    -------
    TauPrior
        For `bayesian_meta_analysis`.

    Raises
    ------
    MetapeerError
        If the maximum is not positive.

    Examples
    --------
    >>> print(uniform(2), uniform())
    uniform(0, 2) uniform(0, inf)
    """
    if maximum != math.inf:
        maximum = _number("maximum", maximum)
    return Uniform(f"uniform(0, {maximum:g})", maximum)


def lomax(scale: float, *, shape: float = 1.0) -> TauPrior:
    """Prior of tau: the Lomax (shifted Pareto) distribution, decreasing with a heavy tail.

    Parameters
    ----------
    scale : float
        In the units of the effects; the median when the shape is 1. With shape 1 and the root of the harmonic mean of
        the sampling variances as scale this is DuMouchel's prior.
    shape : float, default 1.0
        The larger, the lighter the tail.

    Returns
    -------
    TauPrior
        For `bayesian_meta_analysis`.

    Raises
    ------
    MetapeerError
        If either is not positive.

    References
    ----------
    DuMouchel & Normand (2000), in Stangl & Berry (eds), Meta-Analysis in Medicine and Health Policy, 127-178.

    Examples
    --------
    >>> round(lomax(0.3).quantile(0.5), 6)
    0.3
    """
    scale, shape = _number("scale", scale), _number("shape", shape)
    return Lomax(f"lomax({scale:g}, shape={shape:g})", scale, shape)


def log_normal(location: float, scale: float, *, label: str = "") -> TauPrior:
    """Prior of tau: the logarithm of tau**2 is normal, as in Turner et al.

    Parameters
    ----------
    location, scale : float
        Mean and standard deviation of the logarithm of tau**2 (of the variance, not of tau).
    label : str, optional
        A name to be shown instead of the parameters.

    Returns
    -------
    TauPrior
        For `bayesian_meta_analysis`.

    Raises
    ------
    MetapeerError
        If a parameter is not a number, or the scale not positive.

    References
    ----------
    Turner et al. (2015), Stat Med 34:984-998.

    Examples
    --------
    >>> round(log_normal(-2.56, 1.74).quantile(0.5) ** 2, 3)
    0.077
    """
    location, scale = _number("location", location, positive=False), _number("scale", scale)
    return LogNormal(label or f"log_normal({location:g}, {scale:g}) for tau²", location, scale)


def log_t(location: float, scale: float, *, df: float = 5.0, label: str = "") -> TauPrior:
    """Prior of tau: the logarithm of tau**2 has a t distribution, as in Rhodes et al.

    Parameters
    ----------
    location, scale : float
        Location and scale of the t distribution of the logarithm of tau**2 (of the variance, not of tau).
    df : float, default 5.0
        Its degrees of freedom.
    label : str, optional
        A name to be shown instead of the parameters.

    Returns
    -------
    TauPrior
        For `bayesian_meta_analysis`.

    Raises
    ------
    MetapeerError
        If a parameter is not a number, or the scale or `df` not positive.

    References
    ----------
    Rhodes et al. (2015), J Clin Epidemiol 68:52-60.

    Examples
    --------
    >>> round(log_t(-3.44, 2.59).quantile(0.5) ** 2, 3)
    0.032
    """
    location, scale, df = _number("location", location, positive=False), _number("scale", scale), _number("df", df)
    return LogT(label or f"log_t({location:g}, {scale:g}, df={df:g}) for tau²", location, scale, df)


def normal(mean: float, sd: float) -> NormalPrior:
    """Prior of the mean effect: a normal distribution.

    Parameters
    ----------
    mean, sd : float
        In the units of the effects (log for ratios).

    Returns
    -------
    NormalPrior
        For `bayesian_meta_analysis`.

    Raises
    ------
    MetapeerError
        If either is not a number, or `sd` not positive.

    Examples
    --------
    >>> print(normal(0, 4))
    normal(0, 4)
    """
    return NormalPrior(_number("mean", mean, positive=False), _number("sd", sd))
