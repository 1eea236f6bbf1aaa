"""What a study's counts say of its true effect, and that likelihood integrated over the effects a study may have.

A study's log-likelihood is a sum of terms, each a function of one linear predictor ``offset + ct * theta + ca * a`` of
its effect theta and its level a (the log odds or log rate of its comparison arm, or between its arms). Its marginal
likelihood is the integral over theta ~ N(mu, tau2) and, where levels are random too, over a ~ N(alpha, sigma2).

Derivatives come from one identity: the derivative of a normal density with respect to its variance is half its second
derivative with respect to its mean. With f the study's likelihood and E the mean over its posterior distribution,

    d log L / d mu = E[f'/f],    d log L / d tau2 = E[f''/f] / 2,    d2 L / d tau2 d tau2 / L = E[f''''/f] / 4,

which need no division by tau2 and hold at tau2 = 0. Where sampling error is small beside tau2 those means cancel
badly, and their integrals by parts are taken instead: E[f^(j)/f] = E[He_j(z)] / tau^j with z = (theta - mu) / tau and
He_j the Hermite polynomials.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln, roots_hermite

__all__ = [
    "Binomial",
    "Hypergeometric",
    "Integral",
    "Poisson",
    "Term",
    "derivatives",
    "integrate",
]

FloatArray = NDArray[np.float64]
Orders = tuple[int, int]
PARAMETERS: dict[str, tuple[int, int, float]] = {
    "mu": (1, 0, 1.0),
    "tau2": (2, 0, 0.5),
    "level": (0, 1, 1.0),
    "sigma2": (0, 2, 0.5),
}
"""Each parameter as a differential operator on f: its orders in theta and a, and its factor."""

# Newton steps for the mode of the integrand stop below this share of its width: the mode only places the nodes.
_MODE_TOLERANCE = 1e-8
_MODE_STEPS = 100
_CELLS = 1_000_000  # numbers in a temporary matrix, so that large trials do not take all memory
_LONGEST_STEP = 3.0  # of a linear predictor: longer Newton steps overshoot where a logistic or exponential turns flat


class Term(Protocol):
    """A part of a study's log-likelihood that depends on one linear predictor."""

    @property
    def weights(self) -> tuple[float, float]:
        """What theta and a are multiplied by."""
        ...

    def log_density(self, eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the log-likelihood and its first four derivatives at predictors of shape (k, points)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Binomial:
    """Events among participants, with the log odds as linear predictor.

    Parameters
    ----------
    events, total : array of shape (k,)
        Counts of each study.
    weights : tuple of (float, float)
        What theta and a are multiplied by.
    offset : array of shape (k,) or float
        Known part of the predictor.
    """

    events: FloatArray
    total: FloatArray
    weights: tuple[float, float] = (1.0, 0.0)
    offset: FloatArray | float = 0.0

    def log_density(self, eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the log-likelihood and its first four derivatives at predictors of shape (k, points)."""
        x, n = self.events[:, None], self.total[:, None]
        constant = _log_choose(n, x)
        eta = eta + np.asarray(self.offset).reshape(-1, 1)
        p, q = expit(eta), expit(-eta)
        # x log p + (n - x) log q, each term computed where it does not cancel.
        value = constant - x * np.logaddexp(0.0, -eta) - (n - x) * np.logaddexp(0.0, eta)
        second = -n * p * q
        return value, x * q - (n - x) * p, second, second * (q - p), second * (1.0 - 6.0 * p * q)


@dataclass(frozen=True, slots=True, eq=False)
class Poisson:
    """Events in a time at risk, with the log rate as linear predictor.

    Parameters
    ----------
    events, time : array of shape (k,)
        Counts and times of each study.
    weights : tuple of (float, float)
        What theta and a are multiplied by.
    """

    events: FloatArray
    time: FloatArray
    weights: tuple[float, float] = (1.0, 0.0)

    def log_density(self, eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the log-likelihood and its first four derivatives at predictors of shape (k, points)."""
        x = self.events[:, None]
        eta = eta + np.log(self.time)[:, None]
        rate = np.exp(np.minimum(eta, 700.0))  # beyond that the likelihood is zero in any case
        return x * eta - rate - gammaln(x + 1.0), x - rate, -rate, -rate, -rate


@dataclass(frozen=True, slots=True, eq=False)
class Hypergeometric:
    """Events of arm 1 given those of both arms: Fisher's noncentral hypergeometric distribution.

    Parameters
    ----------
    events1, total1, events2, total2 : array of shape (k,)
        The tables. The linear predictor is the log odds ratio.

    References
    ----------
    Stijnen, Hamza & Özdemir (2010), Statistics in Medicine 29:3046-3067.
    """

    events1: FloatArray
    total1: FloatArray
    events2: FloatArray
    total2: FloatArray
    weights: tuple[float, float] = (1.0, 0.0)
    _batches: list["_Batch"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_batches", list(self._batched()))

    def log_density(self, eta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the log-likelihood and its first four derivatives at predictors of shape (k, points)."""
        found = np.empty((5, *eta.shape))
        for batch in self._batches:
            width = max(1, _CELLS // batch.support.size)
            for first in range(0, eta.shape[1], width):
                part = eta[batch.studies, first : first + width]
                log_mass, *cumulants = _tilted(batch.support, batch.log_weight, part)
                where = (slice(None), batch.studies, slice(first, first + width))
                found[where] = np.negative([log_mass, *cumulants])
        x = self.events1[:, None]
        found[0] += self._own_log_weight()[:, None] + eta * x
        found[1] += x
        return found[0], found[1], found[2], found[3], found[4]

    def _own_log_weight(self) -> FloatArray:
        return _log_choose(self.total1, self.events1) + _log_choose(self.total2, self.events2)

    def _batched(self) -> Iterator["_Batch"]:
        """Studies with supports of similar length together, the shorter filled up with values of no weight."""
        both = self.events1 + self.events2
        lowest = np.maximum(0.0, both - self.total2)
        size = np.minimum(self.total1, both) - lowest + 1.0
        order = np.argsort(size, kind="stable")
        first = 0
        while first < order.size:
            # Filling up wastes at most a third, and a batch with 31 points stays within the temporary matrix.
            longest = 1.5 * size[order[first]]
            last = int(np.searchsorted(size[order], longest, side="right"))
            studies = order[first : min(last, first + max(1, int(_CELLS / (31 * longest))))]
            steps = np.arange(size[studies].max())
            support = lowest[studies, None] + steps
            inside = steps < size[studies, None]
            x1 = np.where(inside, support, lowest[studies, None])
            log_weight = _log_choose(self.total1[studies, None], x1)
            log_weight += _log_choose(self.total2[studies, None], both[studies, None] - x1)
            yield _Batch(studies, x1, np.where(inside, log_weight, -np.inf))
            first += studies.size


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Positions of some studies, and the supports of their distributions with the central log weights."""

    studies: NDArray[np.intp]
    support: FloatArray
    log_weight: FloatArray


def _tilted(
    support: FloatArray, log_weight: FloatArray, eta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Log mass and first four cumulants of distributions with weights ``exp(log_weight + eta * support)``."""
    # Weights are taken relative to the heaviest, so that nothing over- or underflows; deviations are from the mean, so
    # that the higher cumulants do not cancel.
    tilted = log_weight[:, None, :] + eta[:, :, None] * support[:, None, :]
    heaviest = tilted.max(axis=2, keepdims=True)
    weight = np.exp(tilted - heaviest)
    mass = weight.sum(axis=2, keepdims=True)
    weight /= mass
    mean = np.einsum("ijs,is->ij", weight, support)
    deviation = support[:, None, :] - mean[:, :, None]
    square = deviation * deviation
    weight *= square
    second = weight.sum(axis=2)
    third = np.einsum("ijs,ijs->ij", weight, deviation)
    fourth = np.einsum("ijs,ijs->ij", weight, square) - 3.0 * second**2
    return heaviest[:, :, 0] + np.log(mass[:, :, 0]), mean, second, third, fourth


def _log_choose(n: FloatArray | float, x: FloatArray | float) -> FloatArray:
    return np.asarray(gammaln(np.add(n, 1.0)) - gammaln(np.add(x, 1.0)) - gammaln(np.subtract(n, x) + 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Integral:
    """Each study's log marginal likelihood with its derivatives.

    Parameters
    ----------
    value : array of shape (k,)
        The logarithm of the integral.
    gradient : array of shape (k, p)
        First derivatives, in the order of the parameters asked for.
    hessian : array of shape (k, p, p)
        Second derivatives.
    mode : array of shape (k, 2)
        Where the integrand is largest, in standard deviations of theta and of a: where to start looking next time.
    """

    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray
    mode: FloatArray


def derivatives(terms: Sequence[Term], theta: FloatArray, a: FloatArray) -> tuple[FloatArray, dict[Orders, FloatArray]]:
    """Log-likelihood of each study at given effects and levels, with its derivatives up to the fourth.

    Parameters
    ----------
    terms : sequence of Term
        The parts of the log-likelihood.
    theta, a : array of shape (k, points)
        Effects and levels.

    Returns
    -------
    value : array of shape (k, points)
        The log-likelihood.
    by_order : dict
        From (order in theta, order in a) to the derivative; orders that are zero throughout are left out.

    Examples
    --------
    >>> import numpy as np
    >>> study = Binomial(np.array([3.0]), np.array([10.0]))
    >>> value, by_order = derivatives([study], np.array([[0.0]]), np.array([[0.0]]))
    >>> round(float(np.exp(value[0, 0])), 4), float(by_order[1, 0][0, 0]), float(by_order[2, 0][0, 0])
    (0.1172, -2.0, -2.5)
    """
    value = np.zeros_like(theta)
    by_order: dict[Orders, FloatArray] = {}
    for term in terms:
        ct, ca = term.weights
        found = term.log_density(ct * theta + ca * a)
        value = value + found[0]
        for order in range(1, 5):
            for j in range(order + 1):
                factor = ct**j * ca ** (order - j)
                if factor:
                    key = (j, order - j)
                    by_order[key] = by_order.get(key, 0.0) + factor * found[order]
    return value, by_order


def _ratios(by_order: dict[Orders, FloatArray], wanted: Sequence[Orders], like: FloatArray) -> dict[Orders, FloatArray]:
    """Derivatives of f over f, from those of log f: Leibniz's rule applied to f' = f (log f)'."""
    ratios: dict[Orders, FloatArray] = {(0, 0): np.ones_like(like)}
    zero = np.zeros_like(like)

    def ratio(j: int, m: int) -> FloatArray:
        if (j, m) not in ratios:
            dj, dm = (1, 0) if j else (0, 1)
            total = zero
            for p in range(j - dj + 1):
                for q in range(m - dm + 1):
                    part = by_order.get((p + dj, q + dm))
                    if part is not None:
                        ways = math.comb(j - dj, p) * math.comb(m - dm, q)
                        total = total + ways * part * ratio(j - dj - p, m - dm - q)
            ratios[j, m] = total
        return ratios[j, m]

    for j, m in wanted:
        ratio(j, m)
    return ratios


def _hermite(z: FloatArray, order: int) -> FloatArray:
    """The probabilists' Hermite polynomials of orders 0 to 4."""
    square = z * z
    return (np.ones_like(z), z, square - 1.0, z * (square - 3.0), square * (square - 6.0) + 3.0)[order]


@cache
def _rule(points: int, dimensions: int) -> tuple[FloatArray, FloatArray]:
    """Nodes, in standard deviations, and log weights for the integral of a density over one or two dimensions."""
    x, weight = roots_hermite(points)
    log_weight = np.log(weight) + x * x
    x = math.sqrt(2.0) * x
    log_weight += 0.5 * math.log(2.0)
    if dimensions == 1:
        return np.column_stack([x, np.zeros_like(x)]), log_weight
    grid = np.column_stack([np.repeat(x, points), np.tile(x, points)])
    return grid, (log_weight[:, None] + log_weight[None, :]).ravel()


def _find_mode(
    terms: Sequence[Term], mu: float, tau: float, level: FloatArray, sigma: float, start: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mode of each study's integrand in standard deviations, and its curvature there, by Newton's method."""
    z = start.copy()
    curvature = np.zeros((z.shape[0], 2, 2))
    scale = np.array([tau, sigma])
    for _ in range(_MODE_STEPS):
        _, by_order = derivatives(terms, mu + tau * z[:, :1], level[:, None] + sigma * z[:, 1:])
        zero = np.zeros((z.shape[0], 1))
        gradient = np.column_stack([by_order.get((1, 0), zero), by_order.get((0, 1), zero)]) * scale - z
        curvature[:, 0, 0] = 1.0 - tau * tau * by_order.get((2, 0), zero)[:, 0]
        curvature[:, 1, 1] = 1.0 - sigma * sigma * by_order.get((0, 2), zero)[:, 0]
        curvature[:, 0, 1] = curvature[:, 1, 0] = -tau * sigma * by_order.get((1, 1), zero)[:, 0]
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        longest = np.abs(step * scale).max(axis=1, keepdims=True)
        z += step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
        if np.abs(step).max(initial=0.0) < _MODE_TOLERANCE:
            break
    return z, curvature


def integrate(
    terms: Sequence[Term],
    *,
    mu: float,
    tau2: float,
    level: FloatArray,
    sigma2: float = 0.0,
    parameters: Sequence[str],
    points: int,
    random_level: bool = False,
    start: FloatArray | None = None,
) -> Integral:
    """Integrate each study's likelihood over its random effects by adaptive Gauss-Hermite quadrature.

    Parameters
    ----------
    terms : sequence of Term
        The parts of the log-likelihood.
    mu, tau2 : float
        Mean and variance of the effects; a variance may be 0.
    level : array of shape (k,)
        The level of each study; the mean of the levels, repeated, when they are random.
    sigma2 : float, default 0
        Variance of the levels, when they are random.
    parameters : sequence of str
        Those to differentiate by: ``"mu"``, ``"tau2"``, ``"level"``, ``"sigma2"``.
    points : int
        Quadrature points in each dimension; 1 is Laplace's approximation.
    random_level : bool, default False
        Whether levels are integrated over as well.
    start : array of shape (k, 2), optional
        Modes of an earlier call.

    Returns
    -------
    Integral
        For each study. The derivatives are those of the exact integral, computed by the same quadrature: they belong
        to the value as soon as there are enough points.

    References
    ----------
    Liu & Pierce (1994), Biometrika 81:624-629 (adaptive Gauss-Hermite quadrature).

    Examples
    --------
    >>> import numpy as np
    >>> study = Binomial(np.array([3.0]), np.array([10.0]))
    >>> found = integrate([study], mu=0.0, tau2=1.0, level=np.zeros(1), parameters=("mu", "tau2"), points=31)
    >>> round(float(np.exp(found.value[0])), 4), found.gradient[0].round(4)
    (0.1163, array([-0.6123, -0.1533]))
    """
    tau, sigma = math.sqrt(tau2), math.sqrt(sigma2)
    k = level.size
    mode, curvature = _find_mode(terms, mu, tau, level, sigma, np.zeros((k, 2)) if start is None else start)
    nodes, log_weight = _rule(points, 2 if random_level else 1)
    # Scale the nodes by the Cholesky factor of the inverse curvature.
    factor = np.linalg.cholesky(np.linalg.inv(curvature))
    z = mode[:, None, :] + nodes[None, :, :] @ factor.transpose(0, 2, 1)
    z1, z2 = z[:, :, 0], z[:, :, 1]
    value, by_order = derivatives(terms, mu + tau * z1, level[:, None] + sigma * z2)
    # The normal density of each dimension integrated over loses log(2 pi) / 2.
    dimensions = 2 if random_level else 1
    log_joint = value + log_weight - 0.5 * (z1 * z1 + z2 * z2) - 0.5 * dimensions * math.log(2.0 * math.pi)
    log_joint += np.log(factor[:, 0, 0] * factor[:, 1, 1])[:, None]
    heaviest = log_joint.max(axis=1, keepdims=True)
    weight = np.exp(log_joint - heaviest)
    mass = weight.sum(axis=1, keepdims=True)
    weight /= mass

    wanted = _orders(parameters)
    mean = _means(by_order, wanted, weight, (z1, z2), (tau, sigma), curvature)
    operators = [PARAMETERS[name] for name in parameters]
    gradient = np.column_stack([factor_ * mean[j, m] for j, m, factor_ in operators])
    hessian = np.empty((k, len(operators), len(operators)))
    for p, (j1, m1, c1) in enumerate(operators):
        for q, (j2, m2, c2) in enumerate(operators):
            hessian[:, p, q] = c1 * c2 * mean[j1 + j2, m1 + m2]
    hessian -= gradient[:, :, None] * gradient[:, None, :]
    return Integral((heaviest + np.log(mass))[:, 0], gradient, hessian, mode)


def _orders(parameters: Sequence[str]) -> list[Orders]:
    single = [PARAMETERS[name][:2] for name in parameters]
    pairs = [(j1 + j2, m1 + m2) for j1, m1 in single for j2, m2 in single]
    return list(dict.fromkeys([*single, *pairs]))


def _means(
    by_order: dict[Orders, FloatArray],
    wanted: Sequence[Orders],
    weight: FloatArray,
    z: tuple[FloatArray, FloatArray],
    spread: tuple[float, float],
    curvature: FloatArray,
) -> dict[Orders, FloatArray]:
    """Posterior means of the derivatives of f over f, each study by whichever form cancels less."""
    # A curvature above 2 means that the study's own information exceeds the prior's: integrate by parts.
    by_parts = [curvature[:, 0, 0] > 2.0, curvature[:, 1, 1] > 2.0]
    needed = {(j, m) for j, m in wanted} | {(0, m) for _, m in wanted} | {(j, 0) for j, _ in wanted}
    ratios = _ratios(by_order, sorted(needed), weight)
    found = {}
    for j, m in wanted:
        total = np.empty(weight.shape[0])
        for parts1 in (False, True):
            for parts2 in (False, True):
                rows = (by_parts[0] == parts1) & (by_parts[1] == parts2)
                if not rows.any():
                    continue
                integrand = ratios[0 if parts1 else j, 0 if parts2 else m][rows]
                for parts, order, axis in ((parts1, j, 0), (parts2, m, 1)):
                    if parts and order:
                        integrand = integrand * _hermite(z[axis][rows], order) / spread[axis] ** order
                total[rows] = np.einsum("ij,ij->i", weight[rows], integrand)
        found[j, m] = total
    return found
