"""The estimators behind `metapeer.effects.moments.mean_sd_from_quantiles`, each for k studies with one kind of summary.

`x` holds the quantiles of one study in each row, in ascending order; `n` the participants. The methods of McGrath et
al. (2020) are computed on a scale of the data's own, so that grams and kilograms give the same answer, and to the
optimum: estmeansd searches the parameters between fixed bounds, and draws random numbers where there is an integral.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, gammaincinv, gammaln, ndtri

__all__ = ["QUANTILE_METHODS", "USED", "QuantileMethod", "Summary"]

FloatArray = NDArray[np.float64]
Summary = Literal["range", "quartiles", "five numbers"]

# Which of minimum, q1, median, q3, maximum belong to each kind of summary.
USED: dict[Summary, tuple[int, ...]] = {"range": (0, 2, 4), "quartiles": (1, 2, 3), "five numbers": (0, 1, 2, 3, 4)}

Estimate = tuple[FloatArray, FloatArray, list[str]]


def _expected_range(n: FloatArray) -> FloatArray:
    """Expected range of n standard normal values, by Blom's approximation; Wan et al. (2014), equation 9."""
    return np.asarray(2 * ndtri((n - 0.375) / (n + 0.25)), dtype=np.float64)


def _expected_iqr(n: FloatArray) -> FloatArray:
    """Expected interquartile range of n standard normal values; Wan et al. (2014), equation 16."""
    return np.asarray(2 * ndtri((0.75 * n - 0.125) / (n + 0.25)), dtype=np.float64)


def _luo_mean(x: FloatArray, n: FloatArray, kind: Summary) -> FloatArray:
    m = x[:, x.shape[1] // 2]
    if kind == "range":  # Luo et al. (2018), equation 7
        w = 4 / (4 + n**0.75)
        return np.asarray(w * (x[:, 0] + x[:, 2]) / 2 + (1 - w) * m)
    if kind == "quartiles":  # Luo et al. (2018), equation 11
        w = 0.7 + 0.39 / n
        return np.asarray(w * (x[:, 0] + x[:, 2]) / 2 + (1 - w) * m)
    w1, w2 = 2.2 / (2.2 + n**0.75), 0.7 - 0.72 / n**0.55  # Luo et al. (2018), equation 15
    return np.asarray(w1 * (x[:, 0] + x[:, 4]) / 2 + w2 * (x[:, 1] + x[:, 3]) / 2 + (1 - w1 - w2) * m)


def _spread(x: FloatArray, n: FloatArray, kind: Summary, weight: FloatArray | float) -> FloatArray:
    by_range, by_iqr = (x[:, -1] - x[:, 0]) / _expected_range(n), (x[:, -2] - x[:, 1]) / _expected_iqr(n)
    if kind == "range":
        return np.asarray(by_range)
    if kind == "quartiles":
        return np.asarray((x[:, 2] - x[:, 0]) / _expected_iqr(n))
    return np.asarray(weight * by_range + (1 - weight) * by_iqr)


def _shi_weight(n: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + 0.07 * n**0.6))  # Shi, Luo et al. (2020), equation 10


def _luo_wan_shi(x: FloatArray, n: FloatArray, kind: Summary) -> Estimate:
    return _luo_mean(x, n, kind), _spread(x, n, kind, _shi_weight(n)), ["normal"] * len(x)


def _wan(x: FloatArray, n: FloatArray, kind: Summary) -> Estimate:
    weights = {"range": (1, 2, 1), "quartiles": (1, 1, 1), "five numbers": (1, 2, 2, 2, 1)}[kind]
    mean = x @ np.array(weights, dtype=np.float64) / sum(weights)
    return mean, _spread(x, n, kind, 0.5), ["normal"] * len(x)


def _shi_lognormal(x: FloatArray, n: FloatArray, kind: Summary) -> Estimate:
    y = np.log(x)
    mean, raw, log_n2 = _luo_mean(y, n, kind), _spread(y, n, kind, _shi_weight(n)), np.log(n) ** 2
    # Corrections of the variance, of its square, and of the two moments for the bias of the estimates on the log
    # scale; Shi, Tong, Wang & Genton (2020), as in metafor's conv.fivenum(dist="lnorm").
    bias2, bias4, in_mean, in_mean4, in_sd, in_sd4 = {
        "range": (1.01 + 0.25 / log_n2, 1 + 2.23 / log_n2, 0.565, 0.37, 2.26, (5.92, 1.48)),
        "quartiles": (1 + 1.58 / n, 1 + 19.2 / n**1.2, 0.57, 0.75, 2.28, (12.0, 3.0)),
        "five numbers": (1 + 0.28 / log_n2, 1 + 3.93 / n, 0.405, 0.315, 1.62, (5.04, 1.26)),
    }[kind]
    var, fourth = raw**2 / bias2, raw**4 / bias4
    level = np.exp(mean + var / 2) / (1 + (in_mean * var + in_mean4 * fourth) / n)
    squares = np.exp(2 * mean + 2 * var) / (1 + (in_sd * var + in_sd4[0] * fourth) / n)
    squared = np.exp(2 * mean + var) / (1 + (in_sd * var + in_sd4[1] * fourth) / n)
    return level, np.sqrt(squares - squared), ["log-normal"] * len(x)


def _yang(x: FloatArray, n: FloatArray, kind: Summary) -> Estimate:
    mean, sd = np.empty(len(x)), np.empty(len(x))
    for i, size in enumerate(int(value) for value in n):
        ranks = np.array([1, size // 4 + 1, size // 2 + 1, 3 * size // 4 + 1, size], dtype=np.float64)
        expected, covariance = _order_statistics(ranks[list(USED[kind])], size)
        design = np.column_stack([np.ones(len(expected)), expected])
        solved = np.linalg.solve(covariance, design)
        mean[i], sd[i] = np.linalg.solve(design.T @ solved, solved.T @ x[i])
    return mean, sd, ["normal"] * len(x)


def _order_statistics(rank: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Expectations and covariances of normal order statistics; David & Johnson (1954), Biometrika 41:228-240."""
    p = rank / (n + 1)
    q, x = 1 - p, ndtri(p)
    slope = np.sqrt(2 * np.pi) * np.exp(x**2 / 2)  # derivatives of the quantile function at p
    d2, d3, d4 = x * slope**2, (1 + 2 * x**2) * slope**3, x * (7 + 6 * x**2) * slope**4
    expected = x + p * q / (2 * (n + 2)) * d2 + p * q / (n + 2) ** 2 * ((q - p) * d3 / 3 + p * q * d4 / 8)
    r, s = np.triu_indices(len(rank))
    pr, qs, ends = p[r], q[s], (q - p)
    first = pr * qs * slope[r] * slope[s] / (n + 2)
    second = (
        ends[r] * d2[r] * slope[s]
        + ends[s] * slope[r] * d2[s]
        + p[r] * q[r] * d3[r] * slope[s] / 2
        + p[s] * q[s] * slope[r] * d3[s] / 2
        + pr * qs * d2[r] * d2[s] / 2
    )
    covariance = np.zeros((len(rank), len(rank)))
    covariance[r, s] = covariance[s, r] = first + pr * qs / (n + 2) ** 2 * second
    return expected, covariance


def _probabilities(n: float, kind: Summary) -> FloatArray:
    every = np.array([1 / n, 0.25, 0.5, 0.75, 1 - 1 / n])
    return every[list(USED[kind])]


# The quantiles of each family with unit scale, by the logarithm of its shape, and its mean and standard deviation.
def _lognormal(shape: FloatArray, p: FloatArray) -> FloatArray:
    return np.asarray(np.exp(np.minimum(shape * ndtri(p), 700)))


def _gamma(shape: FloatArray, p: FloatArray) -> FloatArray:
    return np.asarray(gammaincinv(shape, p))


def _weibull(shape: FloatArray, p: FloatArray) -> FloatArray:
    return np.asarray(np.exp(np.minimum(np.log(-np.log1p(-p)) / shape, 700)))


def _lognormal_moments(shape: float) -> tuple[float, float]:
    mean = np.exp(shape**2 / 2)
    return float(mean), float(mean * np.sqrt(np.expm1(shape**2)))


def _gamma_moments(shape: float) -> tuple[float, float]:
    return shape, float(np.sqrt(shape))


def _weibull_moments(shape: float) -> tuple[float, float]:
    mean = np.exp(gammaln(1 + 1 / shape))
    return float(mean), float(mean * np.sqrt(np.expm1(gammaln(1 + 2 / shape) - 2 * gammaln(1 + 1 / shape))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    name: str
    quantiles: Callable[[FloatArray, FloatArray], FloatArray]
    moments: Callable[[float], tuple[float, float]]
    log_shape: tuple[float, float]  # where the shape is sought


# Ranges of the log shape: coefficients of variation from a tenth of a percent to beyond what five numbers can show.
FAMILIES = (
    _Family(name="log-normal", quantiles=_lognormal, moments=_lognormal_moments, log_shape=(-7.0, 1.5)),
    _Family(name="gamma", quantiles=_gamma, moments=_gamma_moments, log_shape=(-3.0, 14.0)),
    _Family(name="Weibull", quantiles=_weibull, moments=_weibull_moments, log_shape=(-2.0, 7.5)),
)


def _mcgrath_qe(x: FloatArray, n: FloatArray, kind: Summary) -> Estimate:
    fits = [_fit_quantiles(row, _probabilities(size, kind)) for row, size in zip(x, n, strict=True)]
    return np.array([f[0] for f in fits]), np.array([f[1] for f in fits]), [f[2] for f in fits]


def _fit_quantiles(x: FloatArray, p: FloatArray) -> tuple[float, float, str]:
    """Mean, standard deviation and name of the family whose quantiles come nearest in squares."""
    unit = x[-1] - x[0]
    y = x / unit  # the same answer in any unit of measurement
    inner = 1 if len(y) == 5 else 0
    z = ndtri(p)
    sd = float(y @ z / (z @ z))  # least squares, which the symmetry of z makes exact
    mean = float(np.clip(np.mean(y), y[inner], y[-1 - inner]))
    best = (float(np.sum((mean + sd * z - y) ** 2)), mean * unit, sd * unit, "normal")
    if x[0] >= 0:
        for family in FAMILIES:
            best = min(best, _fit_family(family, y, p, unit), key=lambda fit: fit[0])
        if x[-1] <= 1:
            best = min(best, _fit_beta(x, p, unit), key=lambda fit: fit[0])
    return best[1], best[2], best[3]


def _fit_family(family: _Family, y: FloatArray, p: FloatArray, unit: float) -> tuple[float, float, float, str]:
    """Fit shape and scale; the best scale for a shape is a regression through the origin, so only one is sought."""
    from scipy.optimize import minimize_scalar

    def loss(log_shape: FloatArray | float) -> FloatArray:
        g = family.quantiles(np.exp(np.atleast_1d(log_shape))[:, None], p)
        g = g / np.max(g, axis=1, keepdims=True)
        return np.asarray(np.sum((y - (g @ y / np.sum(g**2, axis=1))[:, None] * g) ** 2, axis=1))

    grid = np.linspace(*family.log_shape, 120)
    at = int(np.argmin(loss(grid)))
    around = (grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)])
    found = minimize_scalar(lambda s: float(loss(s)[0]), bounds=around, method="bounded", options={"xatol": 1e-10})
    shape = float(np.exp(found.x))
    g = family.quantiles(np.array([[shape]]), p)[0]
    scale = float(g @ y / (g @ g)) * unit
    mean, sd = family.moments(shape)
    return float(found.fun), scale * mean, scale * sd, family.name


def _fit_beta(x: FloatArray, p: FloatArray, unit: float) -> tuple[float, float, float, str]:
    from scipy.optimize import minimize

    def loss(log_shapes: FloatArray) -> float:
        a, b = np.exp(log_shapes)
        return float(np.sum(((betaincinv(a, b, p) - x) / unit) ** 2))

    centre, sd = float(np.clip(np.mean(x), 0.01, 0.99)), unit / (ndtri(p[-1]) - ndtri(p[0]))
    total = max(centre * (1 - centre) / sd**2 - 1, 0.1)
    start = np.log([centre * total, (1 - centre) * total])
    bounds = [(-5.0, 12.0)] * 2
    found = minimize(
        loss,
        np.clip(start, -5, 12),
        method="Nelder-Mead",
        bounds=bounds,
        options={"xatol": 1e-9, "fatol": 1e-16, "maxiter": 2000},
    )
    a, b = np.exp(found.x)
    return float(found.fun), float(a / (a + b)), float(np.sqrt(a * b / (a + b + 1)) / (a + b)), "beta"


def _mcgrath_bc(x: FloatArray, n: FloatArray, kind: Summary) -> Estimate:
    mean, sd = np.empty(len(x)), np.empty(len(x))
    for i in range(len(x)):
        unit = x[i, len(x[i]) // 2]  # the median, so that neither answer nor accuracy depends on the unit
        row, size = x[i : i + 1] / unit, n[i : i + 1]
        power = _balancing_power(row[0])
        y = np.log(row) if power == 0 else np.expm1(power * np.log(row)) / power
        mu, sigma = float(_luo_mean(y, size, kind)[0]), float(_spread(y, size, kind, 0.5)[0])
        first, second = _power_normal_moments(mu, sigma, power)
        mean[i], sd[i] = first * unit, second * unit
    return mean, sd, ["Box-Cox"] * len(x)


def _balancing_power(x: FloatArray) -> float:
    """The power from 0 to 3 at which the quantiles come nearest to symmetry about the median."""
    from scipy.optimize import minimize_scalar

    middle, logs = len(x) // 2, np.log(x)

    def loss(power: FloatArray | float) -> FloatArray:
        powers = np.atleast_1d(np.asarray(power, dtype=np.float64))[:, None]
        y = np.where(powers == 0, logs, np.expm1(powers * logs) / np.where(powers == 0, 1, powers))
        total = np.zeros(len(y))
        for low in range(middle):
            total += ((y[:, -1 - low] - y[:, middle]) / (y[:, middle] - y[:, low]) - 1) ** 2
        return total

    grid = np.linspace(-2, 3, 201)  # McGrath et al. (2020) seek from -2 and take what is below 0 as 0
    at = int(np.argmin(loss(grid)))
    around = (grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)])
    found = minimize_scalar(lambda s: float(loss(s)[0]), bounds=around, method="bounded", options={"xatol": 1e-12})
    power = max(float(found.x), 0.0)
    return 0.0 if power < 1e-8 else power


def _power_normal_moments(mu: float, sigma: float, power: float) -> tuple[float, float]:
    """Mean and standard deviation of (1 + λY)^(1/λ), Y normal, cut symmetrically where the power is not defined."""
    if power == 0:
        mean = np.exp(mu + sigma**2 / 2)
        return float(mean), float(mean * np.sqrt(np.expm1(sigma**2)))
    reach = mu + 1 / power
    # Tanh-sinh quadrature (Takahasi & Mori 1974): exact to rounding even where the power has a kink at the cut.
    t = np.linspace(-4.5, 4.5, 721)
    node, weight = np.tanh(np.pi / 2 * np.sinh(t)), np.cosh(t) / np.cosh(np.pi / 2 * np.sinh(t)) ** 2
    # Past these the normal density outweighs the power, which grows no faster than exp(Y), below 1e-20.
    low, high = max(mu - reach, mu - 12 * sigma), min(mu + reach, mu + 2 * sigma**2 + 12 * sigma)
    y = (low + high) / 2 + (high - low) / 2 * node
    density = weight * np.exp(-(((y - mu) / sigma) ** 2) / 2)
    value = np.maximum(1 + power * y, 0) ** (1 / power)
    mean = np.sum(density * value) / np.sum(density)
    return float(mean), float(np.sqrt(np.sum(density * (value - mean) ** 2) / np.sum(density)))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileMethod:
    """One way from quantiles to mean and standard deviation.

    Parameters
    ----------
    about : str
        What it does, and who proposed it.
    distribution : str
        What it assumes of the data.
    positive : bool
        Whether every quantile must be above 0.
    compute : callable
        Mean, standard deviation and distribution from the quantiles of k studies, their n and the kind of summary.
    """

    about: str
    distribution: str
    positive: bool
    compute: Callable[[FloatArray, FloatArray, Summary], Estimate]


QUANTILE_METHODS: dict[str, QuantileMethod] = {
    "luo-wan-shi": QuantileMethod(
        about="mean by Luo (2018); SD by Wan (2014), from all five by Shi (2020); metafor's default",
        distribution="normal",
        positive=False,
        compute=_luo_wan_shi,
    ),
    "wan": QuantileMethod(
        about="mean and SD by Wan (2014), whose mean Luo (2018) improved",
        distribution="normal",
        positive=False,
        compute=_wan,
    ),
    "shi_lognormal": QuantileMethod(
        about="mean and SD of log-normal data, corrected for bias; Shi, Tong, Wang & Genton (2020)",
        distribution="log-normal",
        positive=True,
        compute=_shi_lognormal,
    ),
    "mcgrath_qe": QuantileMethod(
        about="quantile estimation: of normal, log-normal, gamma, Weibull and beta the nearest; McGrath (2020)",
        distribution="chosen",
        positive=False,
        compute=_mcgrath_qe,
    ),
    "mcgrath_bc": QuantileMethod(
        about="Box-Cox transformation to symmetry, and back; McGrath (2020)",
        distribution="Box-Cox",
        positive=True,
        compute=_mcgrath_bc,
    ),
    "yang": QuantileMethod(
        about="best linear unbiased estimator from normal order statistics; Yang (2022)",
        distribution="normal",
        positive=False,
        compute=_yang,
    ),
}
