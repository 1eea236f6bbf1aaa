"""The posterior of a random-effects meta-analysis by deterministic quadrature over tau; no simulation.

The effects are normal around the mean with variances ``vi + tau**2``. Given tau, the posterior of the mean, of the
effect in a new study and of each study's own effect is normal and known in closed form; only tau has to be integrated
out numerically. That is done in u = log(tau), where the integrand is smooth on a scale of one whatever the data: the
range where the posterior lives is found, cut into panels, and each panel is halved until 16-point Gauss-Legendre
quadrature of it and of its halves agree to 13 digits. The little mass at tau below and above the range stands in two
further points.

References
----------
Roever (2020), J Stat Softw 93(6), doi:10.18637/jss.v093.i06 (the model and its posterior); Roever & Friede (2017),
J Comput Graph Stat 26:217-222 (the mixture of normals, there on a grid of bounded divergence).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.polynomial import legendre

from metapeer.errors import MetapeerError
from metapeer.pooling.mixtures import Mixtures
from metapeer.pooling.priors import NormalPrior, TauPrior
from metapeer.pooling.weighted import FloatArray

__all__ = ["Posterior", "posterior"]

_NODES = 16
_X, _W = legendre.leggauss(_NODES)
_TO_SERIES = ((2 * np.arange(_NODES) + 1) / 2)[:, None] * legendre.legvander(_X, _NODES - 1).T * _W
"""Turns values at the nodes into the Legendre series through them."""
_TO_NODES = legendre.legval(_X, legendre.legint(_TO_SERIES, lbnd=-1)).T
"""Turns values at the nodes into integrals from the start of the panel to the nodes."""

_SMALLEST = 1e-8
"""tau below this share of every scale changes no number by more than its square, the precision of a double."""
_LARGEST = 1e20
"""tau above this multiple of every scale: a normal distribution that is flat wherever anybody looks."""
_SPACING = 0.25
"""Of the first look at log(tau)."""
_DROP = 42.0
"""exp(-42) = 6e-19 of the peak is nothing beside the precision of a double."""
_AGREE = 1e-13
_NOTHING = 1e-16
_ROUNDING = 4 * float(np.finfo(np.float64).eps)
_ROUNDS = 30
_HALVINGS = 60
_BLOCK = 4_000_000  # numbers evaluated at a time: 32 MB

LogDensity = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class _Conditional:
    """What holds at given values of tau: mean and precision of the mean effect, and the log-likelihood of tau."""

    mean: FloatArray
    precision: FloatArray
    log_likelihood: FloatArray


@dataclass(frozen=True, slots=True)
class _Panels:
    """Pieces of the axis of log(tau) with the integrand at the nodes of each, relative to the exponential of `top`."""

    low: FloatArray
    high: FloatArray
    values: FloatArray
    top: float

    @property
    def nodes(self) -> FloatArray:
        """log(tau), a row for each panel."""
        return _nodes(self.low, self.high)

    @property
    def masses(self) -> FloatArray:
        """What each node stands for."""
        return np.asarray(0.5 * (self.high - self.low)[:, None] * _W * self.values)


def _nodes(low: FloatArray, high: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (low + high)[:, None] + 0.5 * (high - low)[:, None] * _X)


def _condition(yi: FloatArray, vi: FloatArray, mu_prior: NormalPrior | None, tau: FloatArray) -> _Conditional:
    """Evaluate the model at many tau, in blocks that fit in memory.

    A normal prior of the mean is one more study, whose variance does not grow with tau.
    """
    each = max(1, _BLOCK // yi.size)
    parts = [_condition_block(yi, vi, mu_prior, tau[i : i + each]) for i in range(0, tau.size, each)]
    if len(parts) == 1:
        return parts[0]
    return _Conditional(
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.precision for part in parts]),
        np.concatenate([part.log_likelihood for part in parts]),
    )


def _condition_block(yi: FloatArray, vi: FloatArray, mu_prior: NormalPrior | None, tau: FloatArray) -> _Conditional:
    variances = vi + (tau * tau)[:, None]
    w = 1.0 / variances
    # Centring keeps digits when the effects are large and close together.
    centre = float(yi[0])
    y = yi - centre
    precision, sums = w.sum(axis=1), w @ y
    if mu_prior is not None:
        precision = precision + mu_prior.sd**-2
        sums = sums + (mu_prior.mean - centre) * mu_prior.sd**-2
    mean = sums / precision
    residuals = y - mean[:, None]
    log_likelihood = -0.5 * (
        np.log(variances).sum(axis=1)
        + np.log(precision)
        + (w * residuals * residuals).sum(axis=1)
        + (yi.size - 1) * math.log(2.0 * math.pi)
    )
    if mu_prior is not None:
        log_likelihood -= 0.5 * ((mean + centre - mu_prior.mean) / mu_prior.sd) ** 2
        log_likelihood -= math.log(mu_prior.sd) + 0.5 * math.log(2.0 * math.pi)
    return _Conditional(mean + centre, precision, log_likelihood)


def _peaks(f: LogDensity, grid: FloatArray, values: FloatArray) -> list[tuple[float, float, float]]:
    """Find the local maxima inside a grid: position, height and width of each."""
    inner = np.flatnonzero((values[1:-1] >= values[:-2]) & (values[1:-1] > values[2:])) + 1
    found = []
    for i in inner.tolist():
        low, high = float(grid[i - 1]), float(grid[i + 1])
        for _ in range(4):
            fine = np.linspace(low, high, 21)
            at = f(fine)
            j = min(max(int(at.argmax()), 1), 19)
            low, high = float(fine[j - 1]), float(fine[j + 1])
        bend = float(at[j - 1] - 2.0 * at[j] + at[j + 1])
        lean = float(at[j + 1] - at[j - 1])
        step = 0.5 * (high - low)
        shift = min(max(-0.5 * lean / bend, -1.0), 1.0) if bend < 0 else 0.0
        spread = step / math.sqrt(-bend) if bend < 0 else math.inf
        found.append((float(fine[j]) + shift * step, float(at[j]), spread))
    return found


def _range(f: LogDensity, grid: FloatArray, lift: float) -> tuple[list[float], float]:
    """Where the integrand lives: ends of the first panels in log(tau), and the height of its peak.

    `lift` is the highest power of tau whose mean is wanted: the range must hold the mass of that, too.
    """
    values = f(grid)
    peaks = _peaks(f, grid, values)
    top = max([float(values.max()), *(height for _, height, _ in peaks)])
    lifted = values + lift * grid
    crest = max([float(lifted.max()), *(height + lift * at for at, height, _ in peaks)])
    alive = np.flatnonzero((values > top - _DROP) | (lifted > crest - _DROP))
    tall = [(at, spread) for at, height, spread in peaks if height + lift * at > crest - _DROP or height > top - _DROP]
    ends = [float(grid[i]) for i in alive.tolist()] + [at for at, _ in tall]
    low = max(min(ends) - _SPACING, float(grid[0]))
    high = min(max(ends) + _SPACING, float(grid[-1]))
    cuts = {low, high}
    for at, spread in tall:
        if spread < _SPACING:
            cuts |= {at + n * spread for n in (-9.0, -4.0, 0.0, 4.0, 9.0)}
    if high == grid[-1]:
        # A bounded prior may cut the integrand where it is rising steeply.
        step = 1e-7
        slope = float(values[-1] - f(grid[-1:] - step)[0]) / step
        if slope * _SPACING > 1.0:
            cuts |= {high - n / slope for n in (2.0, 8.0, 24.0, _DROP)}
    return sorted(cut for cut in cuts if low <= cut <= high), top


def _integrate(f: LogDensity, grid: FloatArray, *, size: float, lift: float, width: float) -> _Panels:
    """Cut the range into panels and halve them until each agrees with its halves.

    `size` is the magnitude of the terms that the logarithms of the integrand are made of: their rounding errors set a
    limit to agreement.
    """
    cuts, top = _range(f, grid, lift)
    agree = _AGREE + _ROUNDING * (size + abs(top))
    edges = np.concatenate(
        [np.linspace(a, b, max(2, math.ceil((b - a) / width) + 1))[:-1] for a, b in pairwise(cuts)]
        + [np.array(cuts[-1:])]
    )
    low, high = edges[:-1], edges[1:]

    def evaluate(low: FloatArray, high: FloatArray) -> FloatArray:
        return np.exp(f(_nodes(low, high).ravel()) - top).reshape(low.size, _NODES)

    values = evaluate(low, high)
    kept: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    settled = np.zeros(3)
    for _ in range(_ROUNDS):
        middle = 0.5 * (low + high)
        halves_low, halves_high = np.stack([low, middle], 1).ravel(), np.stack([middle, high], 1).ravel()
        halves = evaluate(halves_low, halves_high)
        # The mass, and two means of powers of tau that rise and fall with it, must all be right.
        whole = _moments(low, high, values, lift)
        split = _moments(halves_low, halves_high, halves, lift)
        pairs = split.reshape(-1, 2, 3).sum(axis=1)
        total = settled + pairs.sum(axis=0)
        good = (np.abs(pairs - whole) <= agree * total).all(axis=1)
        chosen = np.repeat(good, 2)
        kept.append((halves_low[chosen], halves_high[chosen], halves[chosen]))
        settled = settled + pairs[good].sum(axis=0)
        if good.all():
            break
        low, high, values = halves_low[~chosen], halves_high[~chosen], halves[~chosen]
    else:
        kept.append((low, high, values))
    lows, highs, at = (np.concatenate(part) for part in zip(*kept, strict=True))
    order = np.argsort(lows)
    return _Panels(lows[order], highs[order], at[order], top)


def _size(vi: FloatArray) -> float:
    return float(np.abs(np.log(vi)).sum())


def _moments(low: FloatArray, high: FloatArray, values: FloatArray, lift: float) -> FloatArray:
    masses = 0.5 * (high - low)[:, None] * _W * values
    nodes = _nodes(low, high)
    # Scaled by the upper end so that nothing overflows; the scale is the same for a panel and its halves.
    return np.stack([masses.sum(1), (masses * np.exp(lift * nodes)).sum(1), (masses / np.cosh(nodes)).sum(1)], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """The joint posterior of tau and the mean effect, as points of tau with their masses.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and sampling variances.
    tau_prior : TauPrior
        Prior of tau.
    mu_prior : NormalPrior or None
        Prior of the mean effect; None for a flat one.
    tau, weights : array of shape (j,)
        The points, rising, and their posterior masses, which sum to one.
    mean, precision : array of shape (j,)
        Mean and inverse variance of the mean effect at each point.
    log_marginal : float
        Logarithm of the marginal likelihood (a flat prior of the mean has density one).
    tau_mean, tau_sd : float
        Posterior mean and standard deviation of tau; infinite where they do not exist.
    mean_square : float
        Posterior mean of the variance that mean effects have at given tau.
    panels : _Panels
        The integrand.
    below : float
        Mass below the panels.
    joint_mode : tuple of (float, float)
        Where the joint density of tau and the mean effect is highest.
    tau_mode : float
        Where the density of tau is highest, apart from a pole at zero.
    """

    yi: FloatArray
    vi: FloatArray
    tau_prior: TauPrior
    mu_prior: NormalPrior | None
    tau: FloatArray
    weights: FloatArray
    mean: FloatArray
    precision: FloatArray
    log_marginal: float
    tau_mean: float
    tau_sd: float
    mean_square: float
    panels: _Panels
    below: float
    joint_mode: tuple[float, float]
    tau_mode: float

    def effects(self, *, studies: bool = True) -> Mixtures:
        """Posteriors of the mean effect, of the effect in a new study, and of each study's own effect.

        Parameters
        ----------
        studies : bool, default True
            Whether the studies' own effects are wanted.

        Returns
        -------
        Mixtures
            In this order, a row each.
        """
        # Points with next to no mass served the moments of heavy tails; distributions do not need them.
        few = self.weights > _NOTHING
        tau2, mean, variance = self.tau[few] ** 2, self.mean[few], 1.0 / self.precision[few]
        means, variances = [mean[None, :], mean[None, :]], [variance[None, :], (variance + tau2)[None, :]]
        if studies:
            vi = self.vi[:, None]
            share = tau2 / (tau2 + vi)
            rest = vi / (tau2 + vi)
            means.append(share * self.yi[:, None] + rest * mean)
            variances.append(share * vi + rest**2 * variance)
        weights = self.weights[few]
        return Mixtures(weights / weights.sum(), np.concatenate(means), np.sqrt(np.concatenate(variances)))

    def study_weights(self) -> FloatArray:
        """Posterior mean of each study's weight in the mean effect.

        Returns
        -------
        array of shape (k,)
            Shares; with those of the prior of the mean effect they sum to one.

        References
        ----------
        Roever & Friede (2021), Biom J, doi:10.1002/bimj.202000227 (posterior mean weights).
        """
        shares = self.weights / self.precision
        each = max(1, _BLOCK // self.tau.size)
        blocks = [self.vi[i : i + each] for i in range(0, self.vi.size, each)]
        return np.concatenate([(shares / (vi[:, None] + self.tau**2)).sum(axis=1) for vi in blocks])

    def tau_cdf(self, tau: float) -> float:
        """Posterior probability that the heterogeneity is below a value.

        Parameters
        ----------
        tau : float
            The value.

        Returns
        -------
        float
            Between 0 and 1.
        """
        if tau <= 0:
            return 0.0
        u, panels = math.log(tau), self.panels
        start = float(panels.low[0])
        if u <= start:
            return self.below * self.tau_prior.cdf(tau) / self.tau_prior.cdf(math.exp(start)) if self.below else 0.0
        i = min(int(np.searchsorted(panels.low, u, side="right")) - 1, panels.low.size - 1)
        cumulative = self._cumulative()
        x = min(2.0 * (u - float(panels.low[i])) / float(panels.high[i] - panels.low[i]) - 1.0, 1.0)
        return min(float(cumulative[i]) + float(legendre.legval(x, self._antiderivative(i))), 1.0)

    def _unit(self) -> float:
        """What the panels' masses are multiplied by to become probabilities."""
        return math.exp(self.panels.top - self.log_marginal)

    def _cumulative(self) -> FloatArray:
        """Probability below the start of each panel, and at last below the end of the last one."""
        return self.below + np.concatenate([[0.0], np.cumsum(self.panels.masses.sum(axis=1))]) * self._unit()

    def _antiderivative(self, i: int) -> FloatArray:
        panels = self.panels
        half = 0.5 * float(panels.high[i] - panels.low[i]) * self._unit()
        return np.asarray(legendre.legint(_TO_SERIES @ panels.values[i], lbnd=-1) * half)

    def tau_quantiles(self, p: FloatArray) -> FloatArray:
        """Values below which the heterogeneity lies with given probabilities.

        Parameters
        ----------
        p : array
            Probabilities.

        Returns
        -------
        array
            The quantiles.
        """
        panels, cumulative = self.panels, self._cumulative()
        given, p = p, np.where(p > self.below, p, 0.5)
        i = np.clip(np.searchsorted(cumulative, p, side="left") - 1, 0, panels.low.size - 1)
        half = 0.5 * (panels.high - panels.low)[i]
        density = (_TO_SERIES @ panels.values[i].T) * (half * self._unit())
        series = legendre.legint(density, lbnd=-1)
        want = p - cumulative[i]
        low, high = np.full(p.size, -1.0), np.ones(p.size)
        inside = (panels.values[i] @ _TO_NODES.T) * (half * self._unit())[:, None]
        x = np.array([np.interp(goal, at, _X) for goal, at in zip(want.tolist(), inside, strict=True)])
        for _ in range(_HALVINGS):
            miss = legendre.legval(x, series, tensor=False) - want
            low, high = np.where(miss < 0, x, low), np.where(miss > 0, x, high)
            with np.errstate(divide="ignore", invalid="ignore"):
                proposed = x - miss / legendre.legval(x, density, tensor=False)
            new = np.where((proposed >= low) & (proposed <= high), proposed, 0.5 * (low + high))
            # A probability is known to its rounding, so where the density is low a point is known to less.
            done = (np.abs(miss) <= _ROUNDING) | (np.abs(new - x) <= _AGREE)
            x = np.where(np.abs(miss) <= _ROUNDING, x, new)
            if done.all():
                break
        found = np.exp(panels.low[i] + half * (x + 1.0))
        for n in np.flatnonzero(given <= self.below).tolist():
            share = float(given[n]) / self.below if given[n] > 0 else 0.0
            start = self.tau_prior.cdf(math.exp(float(panels.low[0])))
            found[n] = self.tau_prior.quantile(share * start) if share > 0 else 0.0
        return np.asarray(found)

    def tau_log_density(self, tau: FloatArray) -> FloatArray:
        """Logarithm of the posterior density of the heterogeneity.

        Parameters
        ----------
        tau : array
            Not negative.

        Returns
        -------
        array
            One number for each; infinite at zero where the prior's is.
        """
        at = _condition(self.yi, self.vi, self.mu_prior, tau)
        return np.asarray(self.tau_prior.log_density(tau) + at.log_likelihood - self.log_marginal)

    def tau_shortest(self, level: float) -> tuple[float, float]:
        """Shortest interval that holds the heterogeneity with a given probability.

        Parameters
        ----------
        level : float
            The probability.

        Returns
        -------
        tuple of (float, float)
            Its ends.
        """
        room = 1.0 - level
        # Dense at both ends, where the best start usually is.
        p = room * 0.5 * (1.0 - np.cos(np.linspace(0.0, math.pi, 25)))[:-1]
        low_ends, high_ends = self.tau_quantiles(np.concatenate([p, p + level])).reshape(2, -1)
        i = int(np.argmin(high_ends - low_ends))
        from_zero = float(low_ends[0]), float(high_ends[0])
        at_zero, at_top = self.tau_log_density(np.array(from_zero)).tolist()
        if i == 0 and at_top <= at_zero < math.inf:
            return from_zero
        low, high = float(p[max(i - 1, 0)]), float(p[min(i + 1, p.size - 1)])
        for _ in range(_HALVINGS):
            # The interval shrinks as it moves up while the density at its lower end is the smaller one.
            inner = np.linspace(low, high, 9)[1:-1]
            a, b = self.tau_quantiles(np.concatenate([inner, inner + level])).reshape(2, -1)
            up = self.tau_log_density(a) < self.tau_log_density(b)
            n = int(np.argmin(up)) if not up.all() else up.size
            low, high = (float(inner[n - 1]) if n else low), (float(inner[n]) if n < up.size else high)
            if high - low <= _AGREE:
                break
        a, b = self.tau_quantiles(np.array([0.5 * (low + high), 0.5 * (low + high) + level])).tolist()
        return from_zero if from_zero[1] - from_zero[0] <= (b - a) * (1.0 + 1e-12) else (a, b)

    def log_bayes_factor_tau(self) -> float:
        """Logarithm of the Bayes factor of no heterogeneity (tau = 0) against the model; NaN if the prior is improper.

        Returns
        -------
        float
            Above zero it favours no heterogeneity.
        """
        if not self.tau_prior.proper:
            return math.nan
        at = _condition(self.yi, self.vi, self.mu_prior, np.zeros(1))
        return float(at.log_likelihood[0]) - self.log_marginal

    def log_bayes_factor_mu(self, value: float = 0.0) -> float:
        """Logarithm of the Bayes factor of a mean effect of `value` against the model; NaN if its prior is flat.

        Parameters
        ----------
        value : float, default 0.0
            The mean effect under the hypothesis.

        Returns
        -------
        float
            Above zero it favours the hypothesis.
        """
        if self.mu_prior is None:
            return math.nan
        square = (self.yi - value) ** 2

        def log_likelihood(tau: FloatArray) -> FloatArray:
            each = max(1, _BLOCK // self.yi.size)
            blocks = [tau[i : i + each, None] ** 2 + self.vi for i in range(0, tau.size, each)]
            fit = np.concatenate([(np.log(v) + square / v).sum(axis=1) for v in blocks])
            return np.asarray(-0.5 * (fit + self.yi.size * math.log(2.0 * math.pi)))

        def f(u: FloatArray) -> FloatArray:
            tau = np.exp(u)
            return np.asarray(log_likelihood(tau) + self.tau_prior.log_density(tau) + u)

        grid = _grid(self.yi, self.vi, self.tau_prior, NormalPrior(value, self.mu_prior.sd))
        panels = _integrate(f, grid, size=_size(self.vi), lift=0.0, width=3.0)
        start, end = math.exp(float(panels.low[0])), math.exp(float(grid[-1]))
        at_zero, at_end = (log_likelihood(np.array([0.0, end])) - panels.top).tolist()
        mass = float(panels.masses.sum()) + _times(self.tau_prior.cdf(start), at_zero)
        mass += _times(_beyond(self.tau_prior, end, -self.yi.size), at_end)
        return math.log(mass) + panels.top - self.log_marginal


def _grid(yi: FloatArray, vi: FloatArray, tau_prior: TauPrior, mu_prior: NormalPrior | None) -> FloatArray:
    """Values of log(tau) from where it is as good as zero to where it is as good as infinite."""
    smallest, largest = math.sqrt(float(vi.min())), math.sqrt(float(vi.max()))
    reach = max(float(np.abs(yi - yi[0]).max()), abs(float(yi[0])) if mu_prior is None else 0.0)
    low, high = smallest, max(largest, float(np.ptp(yi)))
    if mu_prior is not None:
        high = max(high, mu_prior.sd, float(np.abs(yi - mu_prior.mean).max()))
    if tau_prior.proper:
        median = tau_prior.quantile(0.5)
        low, high = min(low, median), max(high, median)
    # Effects far apart make the likelihood steep: it changes on the scale of smallest**2 / distance.
    low *= smallest / max(smallest, reach) if reach else 1.0
    start, end = math.log(_SMALLEST * low), math.log(min(_LARGEST * high, tau_prior.maximum))
    start = min(start, end - 1.0)
    return np.linspace(start, end, math.ceil((end - start) / _SPACING) + 1)


def _beyond(tau_prior: TauPrior, end: float, power: int) -> float:
    """Integral of prior(tau) (tau / end)**power from `end` to infinity, far out where the prior is a power of tau."""
    if math.isinf(tau_prior.tail):
        return 0.0
    excess = tau_prior.tail - 1.0 - power
    if excess > 0:
        return math.exp(float(tau_prior.log_density(np.array([end]))[0])) * end / excess
    # A log-t prior falls as 1 / tau times a power of log(tau), just fast enough to be proper.
    return tau_prior.sf(end) if tau_prior.tail == 1.0 and power == 0 else math.inf


def _times(factor: float, logarithm: float) -> float:
    """Multiply by the exponential of something that may be huge where the factor is nothing."""
    if factor == 0.0 or math.isinf(factor):
        return factor
    return math.exp(math.log(factor) + logarithm)


def posterior(
    yi: FloatArray, vi: FloatArray, tau_prior: TauPrior, mu_prior: NormalPrior | None = None, *, width: float = 3.0
) -> Posterior:
    """Compute the posterior of a random-effects meta-analysis.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and sampling variances.
    tau_prior : TauPrior
        Prior of tau.
    mu_prior : NormalPrior, optional
        Prior of the mean effect; flat when left out.
    width : float, default 3.0
        Largest width of a panel in log(tau). Smaller panels cost time and should change nothing; tests use it.

    Returns
    -------
    Posterior
        The posterior.

    Raises
    ------
    MetapeerError
        If the prior of tau is improper and the studies are too few to make the posterior proper.

    References
    ----------
    Roever (2020), J Stat Softw 93(6), doi:10.18637/jss.v093.i06.

    Examples
    --------
    >>> from metapeer.pooling.priors import half_normal
    >>> found = posterior(np.array([0.3, 0.9, 0.5]), np.array([0.02, 0.05, 0.001]), half_normal(0.5))
    >>> round(found.tau_mean, 4)
    0.2886
    """
    k = yi.size
    # Far out the likelihood of tau falls with this power.
    power = k if mu_prior is not None else k - 1
    if not tau_prior.proper and power < 2:
        need = 3 if mu_prior is None else 2
        raise MetapeerError(
            f"{tau_prior} is improper and needs at least {need} studies, not {k}; give a proper prior such as "
            "half_normal(0.5)"
        )
    grid = _grid(yi, vi, tau_prior, mu_prior)
    end = math.exp(float(grid[-1]))
    first, second = (_beyond(tau_prior, end, n - power) for n in (1, 2))
    lift = 0.0 if math.isinf(first) else 1.0 if math.isinf(second) else 2.0

    def in_tau(u: FloatArray) -> FloatArray:
        tau = np.exp(u)
        return tau_prior.log_density(tau) + _condition(yi, vi, mu_prior, tau).log_likelihood

    def jointly(u: FloatArray) -> FloatArray:
        tau = np.exp(u)
        at = _condition(yi, vi, mu_prior, tau)
        return np.asarray(tau_prior.log_density(tau) + at.log_likelihood + 0.5 * np.log(at.precision))

    panels = _integrate(lambda u: in_tau(u) + u, grid, size=_size(vi), lift=lift, width=width)
    ends = _condition(yi, vi, mu_prior, np.array([0.0, end]))
    at_zero, at_end = (ends.log_likelihood - panels.top).tolist()
    below = _times(tau_prior.cdf(math.exp(float(panels.low[0]))), at_zero)
    above = _times(_beyond(tau_prior, end, -power), at_end)
    masses = panels.masses.ravel()
    total = float(masses.sum()) + below + above
    tau = np.concatenate([[0.0], np.exp(panels.nodes.ravel()), [end]])
    weights = np.concatenate([[below], masses, [above]]) / total
    at = _condition(yi, vi, mu_prior, tau)

    # What the first and second moments of tau have beyond the last point.
    further = _times(first, at_end + math.log(end / total))
    furthest = _times(second, at_end + 2.0 * math.log(end) - math.log(total))
    body, inner = weights[:-1], tau[:-1]
    tau_mean = float(body @ inner) + further
    tau_square = float(body @ (inner - min(tau_mean, end)) ** 2) + furthest
    mean_square = float(body @ (1.0 / at.precision[:-1]))
    if mu_prior is None:
        mean_square += furthest / k
    else:
        mean_square += float(weights[-1] / at.precision[-1])
    for array in (tau, weights, at.mean, at.precision):
        array.setflags(write=False)
    joint = _highest(jointly, grid, float(_at_zero(tau_prior, yi, vi, mu_prior, jointly=True)))
    return Posterior(
        yi=yi,
        vi=vi,
        tau_prior=tau_prior,
        mu_prior=mu_prior,
        tau=tau,
        weights=weights,
        mean=at.mean,
        precision=at.precision,
        log_marginal=math.log(total) + panels.top,
        tau_mean=tau_mean,
        tau_sd=math.sqrt(tau_square),
        mean_square=mean_square,
        panels=panels,
        below=below / total,
        joint_mode=(joint, float(_condition(yi, vi, mu_prior, np.array([joint])).mean[0])),
        tau_mode=_highest(in_tau, grid, float(_at_zero(tau_prior, yi, vi, mu_prior, jointly=False))),
    )


def _at_zero(
    tau_prior: TauPrior, yi: FloatArray, vi: FloatArray, mu_prior: NormalPrior | None, *, jointly: bool
) -> float:
    """Log-density at tau = 0."""
    zero = np.zeros(1)
    at = _condition(yi, vi, mu_prior, zero)
    value = float(tau_prior.log_density(zero)[0] + at.log_likelihood[0])
    return value + 0.5 * math.log(float(at.precision[0])) if jointly else value


def _highest(f: LogDensity, grid: FloatArray, at_zero: float) -> float:
    """The tau where a density is highest: its best peak, or zero; a pole at zero (the log-t prior's) does not count."""
    values = f(grid)
    peaks = [(height, math.exp(at)) for at, height, _ in _peaks(f, grid, values)]
    if math.isfinite(float(values[-1])) and values[-1] > values[-2]:
        peaks.append((float(values[-1]), math.exp(float(grid[-1]))))
    if not peaks:
        return 0.0
    height, tau = max(peaks)
    # Below this the difference is rounding.
    margin = 1e-12 * (1.0 + abs(at_zero)) if math.isfinite(at_zero) else 0.0
    return tau if math.isinf(at_zero) or height > at_zero + margin else 0.0
