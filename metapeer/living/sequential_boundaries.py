"""Boundaries for a test that is repeated while information grows, by recursive numerical integration.

Looks are taken at fractions t of the required information. The test statistic is followed as ``B(t) = z sqrt(t)``,
which under the usual assumptions has independent normal increments of variance t and mean ``drift * t``
(Armitage, McPherson & Rowe 1969, J R Stat Soc A 132:235-244; Jennison & Turnbull 2000, Group Sequential Methods with
Applications to Clinical Trials, chapter 19).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri

from metapeer.living.sequential_formulas import falling_root

__all__ = [
    "SPENDING",
    "crossing_probabilities",
    "efficacy_boundaries",
    "futility_boundaries",
    "looks_tested",
    "spent_error",
]

FloatArray = NDArray[np.float64]

SPENDING = ("OBF", "Pocock", "HSD")
"""Spending functions: O'Brien-Fleming type, Pocock type, and Hwang, Shih and DeCani's family."""

SMALLEST = 1e-20
"""Less error than this is not spent but saved up: a boundary for it would lie beyond nine standard errors."""
LEAST_STEP = 4e-4
"""A look that adds less than this share of its information tells nothing that the look before did not."""
FARTHEST = 9.5
"""Standard errors beyond which no probability of note is left."""
PER_PANEL, PANEL = 12, 2.0
"""Gauss-Legendre nodes of a panel, and its width in standard deviations of the next increment."""


@dataclass(frozen=True, slots=True)
class _Paths:
    """Where paths that have not been stopped stand: places, the probability at each, and the time."""

    places: FloatArray
    weights: FloatArray
    time: float


def _start() -> _Paths:
    return _Paths(np.zeros(1), np.ones(1), 0.0)


def spent_error(fraction: float, error: float, *, spending: str = "OBF", gamma: float = -4.0) -> float:
    """Error of one side that may be spent until a fraction of the required information is there.

    Parameters
    ----------
    fraction : float
        Information so far as a share of what is required; from 1 on, all may be spent.
    error : float
        What may be spent in all, on one side.
    spending : {"OBF", "Pocock", "HSD"}, default "OBF"
        O'Brien-Fleming type, ``2 (1 - Phi(z / sqrt(t)))`` with z the normal quantile of ``1 - error / 2``; Pocock
        type, ``error * log(1 + (e - 1) t)``; or ``error * (1 - exp(-gamma t)) / (1 - exp(-gamma))``.
    gamma : float, default -4.0
        Of Hwang, Shih and DeCani's family: -4 is near O'Brien-Fleming, 1 near Pocock, and 0 spends evenly.

    Returns
    -------
    float
        From 0 to `error`.

    References
    ----------
    Lan & DeMets (1983), Biometrika 70:659-663. Hwang, Shih & DeCani (1990), Stat Med 9:1439-1445.

    Examples
    --------
    >>> [round(spent_error(t, 0.025), 5) for t in (0.25, 0.5, 1.0)]
    [1e-05, 0.00153, 0.025]
    """
    if fraction >= 1.0:
        return error
    if fraction <= 0.0:
        return 0.0
    if spending == "OBF":
        return 2.0 * math.exp(float(log_ndtr(ndtri(error / 2.0) / math.sqrt(fraction))))
    if spending == "Pocock":
        return error * math.log1p((math.e - 1.0) * fraction)
    return error * (fraction if gamma == 0 else math.expm1(-gamma * fraction) / math.expm1(-gamma))


def looks_tested(fractions: Sequence[float]) -> list[bool]:
    """Tell at which looks a test is made: where information has grown, until all that is required is there.

    Parameters
    ----------
    fractions : sequence of float
        Information at each look as a share of what is required.

    Returns
    -------
    list of bool
        One for each look. The first look with all the required information is the last one tested: no error is left.

    Examples
    --------
    >>> looks_tested([0.2, 0.20001, 0.7, 1.1, 1.4])
    [True, False, True, True, False]
    """
    tested, last = [], 0.0
    for fraction in fractions:
        use = last < 1.0 and fraction - last > LEAST_STEP * fraction
        tested.append(use)
        last = fraction if use else last
    return tested


def efficacy_boundaries(
    fractions: Sequence[float], alpha: float, *, spending: str = "OBF", gamma: float = -4.0
) -> FloatArray:
    """Two-sided boundaries for z, so that under no effect the error spent until each look is as a function says.

    Parameters
    ----------
    fractions : sequence of float
        Information at each look as a share of what is required.
    alpha : float
        Two-sided error; half of it is spent on each side.
    spending, gamma
        As in `spent_error`.

    Returns
    -------
    array
        One for each look: infinite where too little may be spent to test, NaN where no test is made, as `looks_tested`
        has it. Beyond the required information the increments are taken as they are, with all error spent.

    References
    ----------
    Lan & DeMets (1983), Biometrika 70:659-663. Reboussin, DeMets, Kim & Lan (2000), Control Clin Trials 21:190-207.

    Examples
    --------
    >>> efficacy_boundaries([0.2, 0.4, 0.6, 0.8, 1.0], 0.05).round(3)
    array([4.877, 3.357, 2.68 , 2.29 , 2.031])
    """
    found = np.full(len(fractions), np.nan)
    looks = [i for i, use in enumerate(looks_tested(fractions)) if use]
    times = [float(fractions[i]) for i in looks]
    paths, spent = _start(), 0.0
    for number, (look, time) in enumerate(zip(looks, times, strict=True)):
        may = spent_error(time, alpha / 2.0, spending=spending, gamma=gamma)
        step = time - paths.time
        found[look] = np.inf
        if may - spent > SMALLEST:
            found[look] = _boundary(paths, step, time, may - spent)
            spent = may
        # A look without a boundary stops no path: it is passed over.
        if number + 1 < len(looks) and found[look] < math.inf:
            end = min(float(found[look]), FARTHEST) * math.sqrt(time)
            paths = _advance(paths, time, [(-end, end)], times[number + 1] - time, 0.0)
    return found


def _boundary(paths: _Paths, step: float, time: float, target: float) -> float:
    """The z that a share `target` of all paths lies above at the next look."""

    def excess(bound: float) -> float:
        return _above(paths, step, bound * math.sqrt(time), 0.0) - target

    return falling_root(excess, 0.0, 2.0 * FARTHEST)


def _above(paths: _Paths, step: float, level: float, drift: float) -> float:
    """Probability to stand above a level after an increment."""
    return float(paths.weights @ ndtr((paths.places + drift * step - level) / math.sqrt(step)))


def _advance(
    paths: _Paths, time: float, regions: Sequence[tuple[float, float]], next_step: float, drift: float
) -> _Paths:
    """Let all paths go on until `time`, and keep those that stand in the regions."""
    step = time - paths.time
    width = PANEL * math.sqrt(min(step, next_step))
    nodes, weights = np.polynomial.legendre.leggauss(PER_PANEL)
    # Paths stand within these ends but for a share of no note; a far region needs no nodes.
    first = float(paths.places.min()) + drift * step - FARTHEST * math.sqrt(step)
    last = float(paths.places.max()) + drift * step + FARTHEST * math.sqrt(step)
    places, shares = [], []
    for start, end in regions:
        low, high = max(start, first), min(end, last)
        if high <= low:
            continue
        edges = np.linspace(low, high, math.ceil((high - low) / width) + 1)
        half = 0.5 * np.diff(edges)
        places.append((half[:, None] * nodes + 0.5 * (edges[1:] + edges[:-1])[:, None]).ravel())
        shares.append((half[:, None] * weights).ravel())
    if not places:
        return _Paths(np.zeros(1), np.zeros(1), time)
    x, share = np.concatenate(places), np.concatenate(shares)
    deviations = (x[:, None] - (paths.places + drift * step)) / math.sqrt(step)
    density = np.exp(-0.5 * deviations**2) @ paths.weights / math.sqrt(2.0 * math.pi * step)
    return _Paths(x, share * density, time)


def crossing_probabilities(
    fractions: Sequence[float],
    boundaries: Sequence[float] | FloatArray,
    *,
    drift: float = 0.0,
    futility: Sequence[float] | FloatArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Probabilities that a boundary is crossed for the first time at each look.

    Parameters
    ----------
    fractions : sequence of float
        Information at each look as a share of what is required; rising.
    boundaries : sequence of float
        For the absolute z; infinite or NaN where no test is made.
    drift : float, default 0.0
        Expected z when all required information is there.
    futility : sequence of float, optional
        Paths whose absolute z is below it are stopped as well; NaN where that is not looked at. By default none are.

    Returns
    -------
    upper, lower, futile : array
        One for each look.

    Examples
    --------
    >>> upper, lower, futile = crossing_probabilities([0.2, 0.4, 0.6, 0.8, 1.0], [2.413] * 5)
    >>> float((upper + lower).sum().round(4)), float(futile.sum())
    (0.05, 0.0)
    """
    upper, lower, futile = (np.zeros(len(fractions)) for _ in range(3))
    inner = [math.nan] * len(fractions) if futility is None else [float(value) for value in futility]
    looks = [i for i, (bound, least) in enumerate(zip(boundaries, inner, strict=True)) if bound < math.inf or least > 0]
    paths = _start()
    for number, look in enumerate(looks):
        time, root = float(fractions[look]), math.sqrt(fractions[look])
        step = time - paths.time
        outer = float(boundaries[look]) if boundaries[look] < math.inf else math.inf  # NaN, too, is no boundary
        least = inner[look] if inner[look] > 0 else 0.0
        if outer < math.inf:
            upper[look] = _above(paths, step, outer * root, drift)
            lower[look] = float(paths.weights @ ndtr((-outer * root - paths.places - drift * step) / math.sqrt(step)))
        if least > 0:
            futile[look] = _between(paths, step, min(least, outer) * root, drift)
        if number + 1 < len(looks):
            regions = _regions(outer, least, time, drift)
            paths = _advance(paths, time, regions, float(fractions[looks[number + 1]]) - time, drift)
    return upper, lower, futile


def _between(paths: _Paths, step: float, level: float, drift: float) -> float:
    """Probability to stand within a level of nought after an increment."""
    centres = paths.places + drift * step
    root = math.sqrt(step)
    return float(paths.weights @ (ndtr((level - centres) / root) - ndtr((-level - centres) / root)))


def _regions(outer: float, inner: float, time: float, drift: float) -> list[tuple[float, float]]:
    """Where a path may go on, on the scale of B."""
    root = math.sqrt(time)
    end = min(outer, FARTHEST + abs(drift) * root) * root
    return [(-end, end)] if inner <= 0 else [(-end, -inner * root), (inner * root, end)]


def futility_boundaries(
    fractions: Sequence[float],
    boundaries: Sequence[float] | FloatArray,
    beta: float,
    *,
    drift: float,
    spending: str = "OBF",
    gamma: float = -4.0,
) -> FloatArray:
    """Inner boundaries for z: so near to nought at a look that the stated effect is unlikely.

    The error of missing the effect is spent as a function says. They do not bind: the outer boundaries are computed as
    if nobody stopped for futility, so that going on all the same costs no error of the first kind.

    Parameters
    ----------
    fractions : sequence of float
        Information at each look as a share of what is required.
    boundaries : sequence of float
        Outer boundaries, from `efficacy_boundaries`.
    beta : float
        Probability of missing the effect that may be spent.
    drift : float
        Expected z under the stated effect when all required information is there.
    spending, gamma
        As in `spent_error`.

    Returns
    -------
    array
        For the absolute z, never above the outer boundary; NaN where too little may be spent, where no test is made,
        and from the required information on, where not to cross the outer boundary is the end.

    References
    ----------
    Pampallona, Tsiatis & Kim (2001), Drug Inf J 35:1113-1121. Jennison & Turnbull (2000), chapters 5 and 7.

    Examples
    --------
    >>> from metapeer.living.sequential_formulas import required_drift
    >>> outer = efficacy_boundaries([0.5, 0.8, 1.0], 0.05)
    >>> futility_boundaries([0.5, 0.8, 1.0], outer, 0.2, drift=required_drift(0.05, 0.8)).round(2)
    array([0.55, 1.38,  nan])
    """
    found = np.full(len(fractions), np.nan)
    looks = [i for i, use in enumerate(looks_tested(fractions)) if use and fractions[i] < 1.0]
    times = [float(fractions[i]) for i in looks]
    paths, spent = _start(), 0.0
    for number, (look, time) in enumerate(zip(looks, times, strict=True)):
        step, root = time - paths.time, math.sqrt(time)
        outer = min(float(boundaries[look]), FARTHEST + abs(drift))
        may = spent_error(time, beta, spending=spending, gamma=gamma)
        inner = 0.0
        if may - spent > SMALLEST:
            inner = _inner(paths, step, root, outer, drift, may - spent)
            found[look] = inner
            spent = may
        if number + 1 < len(looks) and (inner > 0.0 or boundaries[look] < math.inf):
            paths = _advance(paths, time, _regions(outer, inner, time, drift), times[number + 1] - time, drift)
    return found


def _inner(paths: _Paths, step: float, root: float, outer: float, drift: float, target: float) -> float:
    """The z that a share `target` of all paths lies below in size; the outer boundary where all of them are fewer."""

    def lack(bound: float) -> float:
        return target - _between(paths, step, bound * root, drift)

    return outer if lack(outer) >= 0.0 else falling_root(lack, 0.0, outer)
