"""The likelihood of Copas and Shi's selection model, climbed for many selection parameters at once.

Study i has effect ``yi = mu + tau delta_i + sigma_i epsilon_i`` and is published when
``gamma0 + gamma1 / s_i + z_i > 0``, where ``z_i`` is standard normal and correlated with ``epsilon_i`` by rho. The
reported standard error ``s_i`` belongs to the published effect, so that ``sigma_i`` is larger.

References
----------
Copas & Shi (2000), Biostatistics 1:247-262; Copas & Shi (2001), Stat Methods Med Res 10:251-265.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, ndtr

from metapeer.pooling.weighted import FloatArray

__all__ = [
    "ALIKE",
    "CopasMaxima",
    "copas_log_likelihood",
    "hazard",
    "maximise_copas",
    "publication_probability",
    "unpublished",
]

BoolArray = NDArray[np.bool_]

_STEPS, _HALVINGS = 200, 30
_TOLERANCE = 1e-9
"""Length of the gradient at which a climb stops, in standard errors."""
_PEAK = 1e-6
"""Length of the gradient below which the end of a climb is a maximum."""
_LAST = 1e6
"""More than log-likelihoods of one data set differ by where it matters."""
ALIKE = 1.92
"""Half the 95% quantile of chi-squared with one degree of freedom."""
_SILENT = 1e-7
"""Curvature in rho below which it says nothing."""
_DIFFERENCE = 6e-6
"""Step of the central differences of the gradient: the cube root of the precision, relative to a parameter's scale."""
_STEP = 1e-7
"""Step of one-sided differences."""


def hazard(u: FloatArray) -> FloatArray:
    """Ratio of the normal density to the normal distribution function.

    Parameters
    ----------
    u : array
        Where.

    Returns
    -------
    array
        ``phi(u) / Phi(u)``, without underflow far below 0.

    Examples
    --------
    >>> hazard(np.array([0.0, -40.0])).round(4).tolist()
    [0.7979, 40.025]
    """
    return np.asarray(np.sqrt(2.0 / np.pi) / erfcx(-u / np.sqrt(2.0)))


def unpublished(u: FloatArray) -> FloatArray:
    """Expected number of unpublished studies for each published one with this linear predictor.

    Parameters
    ----------
    u : array
        ``gamma0 + gamma1 / s``.

    Returns
    -------
    array
        ``(1 - Phi(u)) / Phi(u)``.

    Examples
    --------
    >>> unpublished(np.array([0.0])).tolist()
    [1.0]
    """
    return np.asarray(np.exp(log_ndtr(-u) - log_ndtr(u)))


def copas_log_likelihood(
    x: FloatArray, gamma: FloatArray, yi: FloatArray, sei: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Log-likelihood of published studies given that they were published, with its gradient.

    Parameters
    ----------
    x : array of shape (m, 3) or (m, 4)
        mu, rho, tau2 and, where it stands, the slope beta of the effects in their standard errors.
    gamma : array of shape (m, 2)
        Selection parameters gamma0 and gamma1.
    yi, sei : array of shape (k,)
        Effects and their standard errors as reported.

    Returns
    -------
    value, gradient : array of shape (m,) and of the shape of `x`
        Without the terms ``-log Phi(u)`` and ``-log(2 pi) / 2``, which are constant.

    Examples
    --------
    >>> value, gradient = copas_log_likelihood(np.array([[0.2, 0.0, 0.1]]), np.array([[1.0, 0.1]]),
    ...                                        np.array([0.1, 0.5]), np.array([0.1, 0.3]))
    >>> value.shape, gradient.shape
    ((1,), (1, 3))
    """
    mu, rho, tau2 = (x[:, [j]] for j in range(3))
    u = gamma[:, [0]] + gamma[:, [1]] / sei
    lam = hazard(u)
    c = lam * (u + lam)
    shrink = 1.0 - rho * rho * c
    sigma2 = sei**2 / shrink
    total = sigma2 + tau2
    residual = yi - mu - (x[:, [3]] * sei if x.shape[1] == 4 else 0.0)
    # rho~ r / sqrt(total) and 1 - rho~^2, with rho~ = rho sigma / sqrt(total), each with total as common denominator.
    sigma = np.sqrt(sigma2)
    pull = rho * sigma * residual
    rest = (1.0 - rho * rho) * sigma2 + tau2
    top = u * total + pull
    bottom = np.sqrt(total * rest)
    v = top / bottom
    value = (-0.5 * np.log(total) - 0.5 * residual**2 / total + log_ndtr(v)).sum(axis=1)

    h = hazard(v)
    d_residual = -residual / total + h * rho * sigma / bottom
    # Of total, rest and sigma in tau2 and rho.
    sigma2_rho = 2.0 * rho * c * sigma2 / shrink
    sigma_rho = 0.5 * sigma2_rho / sigma
    rest_rho = (1.0 - rho * rho) * sigma2_rho - 2.0 * rho * sigma2

    def along(total_by: FloatArray | float, rest_by: FloatArray | float, pull_by: FloatArray | float) -> FloatArray:
        v_by = (u * total_by + pull_by) / bottom - 0.5 * v * (total_by / total + rest_by / rest)
        return np.asarray(-0.5 * total_by / total + 0.5 * residual**2 * total_by / total**2 + h * v_by)

    parts = [
        -d_residual,
        along(sigma2_rho, rest_rho, residual * (sigma + rho * sigma_rho)),
        along(1.0, 1.0, 0.0),
    ]
    if x.shape[1] == 4:
        parts.append(-d_residual * sei)
    return value, np.stack([part.sum(axis=1) for part in parts], axis=1)


@dataclass(frozen=True, slots=True)
class CopasMaxima:
    """The highest points that were found, one for each pair of selection parameters.

    Parameters
    ----------
    x : array of shape (m, 3) or (m, 4)
        mu, rho (NaN where it says nothing), tau2 and, where it was fitted, beta.
    value : array of shape (m,)
        Log-likelihood.
    slope : array of shape (m,)
        Length of the gradient of the parameters that no bound holds, in standard errors; near 0 at a maximum.
    se : array of shape (m,)
        Standard error of mu from the observed information of those parameters; NaN where it is not positive definite,
        and where rho is held by its bound and tau2 is 0.
    at_bound : array of bool of shape (m,)
        Whether rho is held by its outer bound.
    spike : array of shape (m,)
        How much higher the likelihood was elsewhere, with a stronger correlation; 0 where this is the highest. Beyond
        `ALIKE` the climb there did not end in a maximum.
    """

    x: FloatArray
    value: FloatArray
    slope: FloatArray
    se: FloatArray
    at_bound: BoolArray
    spike: FloatArray


class _Hill:
    """The likelihood with its bounds, in parameters scaled to be about 1."""

    def __init__(self, yi: FloatArray, sei: FloatArray, rho: tuple[float, float], with_beta: bool) -> None:
        spread = max(float(np.std(yi)), float(np.min(sei)))
        self.yi, self.sei = yi, sei
        self.scale = np.array([spread, 1.0, spread**2, spread / float(np.median(sei))][: 4 if with_beta else 3])
        p = self.scale.size
        self.low, self.high = np.full(p, -np.inf), np.full(p, np.inf)
        self.low[1], self.high[1] = rho
        self.outer = max(abs(rho[0]), abs(rho[1]))
        self.low[2] = 0.0

    def look(self, x: FloatArray, gamma: FloatArray) -> tuple[FloatArray, FloatArray]:
        value, gradient = copas_log_likelihood(x * self.scale, gamma, self.yi, self.sei)
        return np.where(np.isfinite(value), value, -np.inf), np.where(np.isfinite(gradient), gradient, 0.0) * self.scale

    def curve(self, x: FloatArray, gamma: FloatArray) -> FloatArray:
        """Hessian by differences of the gradient, which stay inside the bounds."""
        p = self.scale.size
        hessian = np.empty((x.shape[0], p, p))
        for j in range(p):
            step = _DIFFERENCE * np.maximum(1.0, np.abs(x[:, j]))
            up, down = x.copy(), x.copy()
            up[:, j] = np.minimum(x[:, j] + step, self.high[j])
            down[:, j] = np.maximum(x[:, j] - step, self.low[j])
            width = (up[:, j] - down[:, j])[:, None]
            hessian[:, j] = (self.look(up, gamma)[1] - self.look(down, gamma)[1]) / width
        return 0.5 * (hessian + hessian.swapaxes(1, 2))

    def bend(self, x: FloatArray, gradient: FloatArray, gamma: FloatArray) -> FloatArray:
        """Hessian by one-sided differences: half the work, and close enough to step by."""
        p = self.scale.size
        hessian = np.empty((x.shape[0], p, p))
        for j in range(p):
            step = _STEP * np.maximum(1.0, np.abs(x[:, j]))
            # Inwards from an upper bound.
            step = np.where(x[:, j] + step > self.high[j], -step, step)
            moved = x.copy()
            moved[:, j] += step
            hessian[:, j] = (self.look(moved, gamma)[1] - gradient) / step[:, None]
        return 0.5 * (hessian + hessian.swapaxes(1, 2))

    def held(self, x: FloatArray) -> BoolArray:
        """Whether the correlation is as strong as it may be."""
        return np.asarray(np.abs(x[:, 1]) >= self.outer)

    def free(self, x: FloatArray, gradient: FloatArray) -> BoolArray:
        held = ((x <= self.low) & (gradient <= 0.0)) | ((x >= self.high) & (gradient >= 0.0))
        return np.asarray(~held)


def _steps(gradient: FloatArray, hessian: FloatArray, free: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Newton steps over the free parameters, uphill everywhere, and the lengths of the gradients."""
    pair = free[:, :, None] & free[:, None, :]
    masked = np.where(pair, hessian, 0.0)
    index = np.arange(hessian.shape[1])
    masked[:, index, index] = np.where(free, masked[:, index, index], -1.0)
    roots, vectors = np.linalg.eigh(-masked)
    size = np.maximum(np.abs(roots), 1e-10 * np.abs(roots).max(axis=1, keepdims=True))
    along = np.einsum("mji,mj->mi", vectors, np.where(free, gradient, 0.0))
    step = np.where(free, np.einsum("mij,mj->mi", vectors, along / size), 0.0)
    return step, np.sqrt((along**2 / size).sum(axis=1))


def _climb(hill: _Hill, x: FloatArray, gamma: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Projected Newton from many starts side by side (Bertsekas 1982, SIAM J Control Optim 20:221-246)."""
    x = np.clip(x, hill.low, hill.high)
    value, gradient = hill.look(x, gamma)
    length = np.full(x.shape[0], np.inf)
    active = np.arange(x.shape[0])
    for _ in range(_STEPS):
        here, g = x[active], gradient[active]
        step, length[active] = _steps(g, hill.bend(here, g, gamma[active]), hill.free(here, g))
        going = length[active] >= _TOLERANCE
        active, here, step = active[going], here[going], step[going]
        if not active.size:
            break
        longest = np.abs(step).max(axis=1, keepdims=True)
        step = step / np.maximum(1.0, longest)  # no parameter moves by more than its scale
        left = np.arange(active.size)
        factor = 1.0
        for _ in range(_HALVINGS):
            rows = active[left]
            tried = np.clip(here[left] + factor * step[left], hill.low, hill.high)
            new_value, new_gradient = hill.look(tried, gamma[rows])
            # Close to a maximum the value no longer tells better from worse in double precision; the gradient does.
            gain = (new_value > value[rows]) | (
                (length[rows] < 1e-4) & (new_value >= value[rows] - 1e-12 * (1.0 + np.abs(value[rows])))
            )
            done = rows[gain]
            x[done], value[done], gradient[done] = tried[gain], new_value[gain], new_gradient[gain]
            left = left[~gain]
            if not left.size:
                break
            factor *= 0.5
        stuck = np.zeros(active.size, dtype=bool)
        stuck[left] = True
        active = active[~stuck]
        if not active.size:
            break
    return x, value, length


def _starts(hill: _Hill) -> FloatArray:
    """Points from weak to strong selection, with little and with much heterogeneity."""
    w = 1.0 / hill.sei**2
    mu = float((w * hill.yi).sum() / w.sum())
    spread = float(np.var(hill.yi))
    low, high = hill.low[1], hill.high[1]
    points = [
        (mu, low + share * (high - low), tau2)
        for share in (0.02, 0.4, 0.8, 0.99)
        for tau2 in (0.01 * spread, 0.5 * spread)
    ]
    full = np.zeros((len(points), hill.scale.size))
    full[:, :3] = points
    return np.asarray(full / hill.scale)


def maximise_copas(
    yi: FloatArray,
    sei: FloatArray,
    gamma: FloatArray,
    *,
    rho: tuple[float, float],
    near: FloatArray | None = None,
) -> CopasMaxima:
    """Maximise the likelihood for each pair of selection parameters, from several starts.

    Where the likelihood has several maxima that differ by less than a likelihood-ratio test at 5% could tell, the one
    with the weakest correlation is taken. As rho nears 1 selection becomes a sharp cut through the effects, and the
    likelihood has spikes that hang on single studies; `CopasMaxima.spike` tells how much higher one was.

    Parameters
    ----------
    yi, sei : array of shape (k,)
        Effects and their standard errors.
    gamma : array of shape (m, 2)
        Pairs of gamma0 and gamma1.
    rho : (float, float)
        Bounds of the correlation.
    near : array of shape (m, 3), optional
        Maxima that were found so. From them a fourth parameter is climbed, the slope of effects in their standard
        errors beyond what selection makes of it, to a maximum no lower than they are, as a likelihood-ratio test needs.

    Returns
    -------
    CopasMaxima
        The best of all climbs for each pair.

    Examples
    --------
    >>> found = maximise_copas(np.array([0.1, 0.3, 0.8, 0.5]), np.array([0.1, 0.15, 0.3, 0.2]),
    ...                        np.array([[10.0, 0.0]]), rho=(0.0, 0.9999))
    >>> bool(found.slope[0] < 1e-6), bool(found.se[0] > 0)
    (True, True)
    """
    m = gamma.shape[0]
    hill = _Hill(yi, sei, rho, near is not None)
    starts = _starts(hill)
    begun = np.repeat(starts[None], m, axis=0)
    if near is not None:
        base = np.column_stack([np.nan_to_num(near[:, :3]), np.zeros(m)]) / hill.scale
        begun = np.concatenate([begun, base[:, None]], axis=1)
        n = starts.shape[0] + 1
        floor = hill.look(base, gamma)[0][:, None]
        ends, values, lengths = _climb(hill, begun.reshape(m * n, -1), np.repeat(gamma, n, axis=0))
        ends, values, lengths = ends.reshape(m, n, -1), values.reshape(m, n), lengths.reshape(m, n)
        higher = values >= floor - 1e-9 * (1.0 + np.abs(floor))
        at = np.arange(m), _choose(ends, np.where(higher, values, -np.inf), lengths)
        return _certified(hill, ends[at], values[at], values.max(axis=1), gamma)
    n = starts.shape[0]
    ends, values, lengths = _climb(hill, begun.reshape(m * n, -1), np.repeat(gamma, n, axis=0))
    best = np.arange(m) * n + _choose(ends.reshape(m, n, -1), values.reshape(m, n), lengths.reshape(m, n))
    # The answers at neighbouring parameters are two more starts: they lead over ridges that no fixed start crosses.
    turns = [_climb(hill, np.roll(ends[best], shift, axis=0), gamma) for shift in (1, -1)]
    # All are compared at once: an end alike to the first choice might lie twice as far below the highest.
    first = ends.reshape(m, n, -1), values.reshape(m, n), lengths.reshape(m, n)
    ends, values, lengths = (
        np.concatenate([whole, *(turn[i][:, None] for turn in turns)], axis=1) for i, whole in enumerate(first)
    )
    at = np.arange(m), _choose(ends, values, lengths)
    return _certified(hill, ends[at], values[at], values.max(axis=1), gamma)


def _choose(x: FloatArray, value: FloatArray, length: FloatArray) -> NDArray[np.intp]:
    """Of the climbs from each pair's starts, the one whose end is to be taken; arrays have a row for each pair."""
    value = np.where(length < _PEAK, value, value - _LAST)
    close = value >= value.max(axis=1, keepdims=True) - ALIKE
    # A tie between climbs to one maximum is broken by its height.
    weakest = np.where(close, np.abs(x[:, :, 1]).round(6) - 1e-9 * value, np.inf)
    return np.asarray(weakest.argmin(axis=1))


def _certified(hill: _Hill, x: FloatArray, value: FloatArray, highest: FloatArray, gamma: FloatArray) -> CopasMaxima:
    """Look at the gradient and the curvature where the climbs ended."""
    _, gradient = hill.look(x, gamma)
    hessian = hill.curve(x, gamma)
    # Where all is published rho says nothing: the likelihood does not change with it.
    silent = np.abs(hessian[:, 1, 1]) < _SILENT
    free = hill.free(x, gradient)
    free[:, 1] &= ~silent
    _, length = _steps(gradient, hessian, free)
    se = np.full(x.shape[0], np.nan)
    held = hill.held(x) & ~silent
    for i in range(x.shape[0]):
        inner = np.flatnonzero(free[i])
        information = -hessian[i][np.ix_(inner, inner)]
        singular = held[i] and x[i, 2] <= 0.0
        if inner.size and inner[0] == 0 and not singular and np.linalg.eigvalsh(information)[0] > 0.0:
            se[i] = hill.scale[0] * np.sqrt(np.linalg.inv(information)[0, 0])
    found = x * hill.scale
    found[silent, 1] = np.nan
    return CopasMaxima(found, value, length, se, held, np.maximum(0.0, highest - value))


def publication_probability(u: FloatArray) -> FloatArray:
    """Probability that a study with this linear predictor is published.

    Parameters
    ----------
    u : array
        ``gamma0 + gamma1 / s``.

    Returns
    -------
    array
        ``Phi(u)``.

    Examples
    --------
    >>> publication_probability(np.array([0.0])).tolist()
    [0.5]
    """
    return np.asarray(ndtr(u))
