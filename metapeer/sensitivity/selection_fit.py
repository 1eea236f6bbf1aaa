"""Maximum likelihood for selection models: many starts, a certificate for what is reported, and profile intervals.

The likelihood of a selection model can have several maxima, and ridges along which it keeps rising while the mean runs
away and the weights vanish. Newton's method climbs from every combination of starts; nothing is reported that is not a
maximum: the gradient must vanish and the curvature point down in every direction. Effects are measured in units of
their typical spread, so that starts, steps and thresholds mean the same at every scale.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtri

from metapeer.errors import ConvergenceError
from metapeer.pooling.newton import Peak, climb
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import FloatArray, coefficients
from metapeer.sensitivity.selection_likelihood import SelectionLikelihood
from metapeer.sensitivity.selection_weights import Selection, step_selection

__all__ = [
    "Limit",
    "Optimum",
    "RunawayError",
    "SelectionFit",
    "fit_selection",
    "fit_truncation",
    "is_ridge",
    "profile_limits",
]

_FLAT = 1e-6
"""Smallest curvature, in log-likelihood per squared unit, that counts as a maximum and not as a plateau. A study
contributes about 0.1 to that of the mean, and a weight between 0.1 and 1 to that of its logarithm."""
_LEVEL = 1e-6
"""Largest gradient at a maximum, in standard errors."""
_SAME = 1e-7
_FARTHEST = 1e6
"""A variance so many times the typical one, or a parameter of a weight so large, is running away."""
_QUADRATURE = 1e-10
_REFINEMENTS = 5


class RunawayError(ConvergenceError):
    """Nothing is a maximum.

    Parameters
    ----------
    message : str
        In words.
    height : float
        What the likelihood reached where the climbs ended.
    """

    def __init__(self, message: str, height: float) -> None:
        self.height = height
        super().__init__(message)


MakeSelection = Callable[[FloatArray, FloatArray, int], Selection]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Optimum:
    """What a climb from all starts came to.

    Parameters
    ----------
    peak : Peak
        The best maximum, in internal units.
    others : tuple of Peak
        Other maxima that starts led to.
    starts, converged, agreeing : int
        Starts; those that led to a maximum; those that led to the best one.
    curvature : float
        Smallest curvature at the maximum, in internal units.
    flatness : float
        The same with every parameter in its own standard deviation, other parameters held: 1 when parameters do not
        depend on each other, near 0 when a direction is nearly flat.
    """

    peak: Peak
    others: tuple[Peak, ...]
    starts: int
    converged: int
    agreeing: int
    curvature: float
    flatness: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectionFit:
    """A fitted selection model, in the units of the effects as they were handed over.

    Parameters
    ----------
    beta : array of shape (p,)
        Coefficients.
    tau2 : float
        Between-study variance.
    delta : array of shape (m,)
        Parameters of the weight function, with those that were given.
    beta_covariance : array of shape (p, p)
        Inverse observed information; NaN where there is none.
    tau2_se : float
        Standard error; NaN on the boundary.
    delta_covariance : array of shape (m, m)
        By the delta method; NaN for parameters on a boundary, 0 for those that were given.
    log_likelihood : float
        With all constants.
    free : int
        Parameters of the weight function that were estimated.
    optimum : Optimum
        How the maximum was found.
    quadrature_error : float
        By how much the log-likelihood changes when the panels of the rule are halved; 0 without a rule.
    unit : float
        Internal unit of the effects.
    basis : array of shape (p, p)
        From internal to reported coefficients.
    likelihood : SelectionLikelihood
        In internal units.
    """

    beta: FloatArray
    tau2: float
    delta: FloatArray
    beta_covariance: FloatArray
    tau2_se: float
    delta_covariance: FloatArray
    log_likelihood: float
    free: int
    optimum: Optimum
    quadrature_error: float
    unit: float
    basis: FloatArray
    likelihood: SelectionLikelihood


def _information(peak: Peak, bounded: "np.typing.NDArray[np.bool_]") -> FloatArray:
    """Information of the parameters inside their bounds; large bounded ones by their logarithm."""
    size = np.where(bounded, np.maximum(1.0, peak.x), 1.0)[peak.inner]
    return np.asarray(peak.information * np.outer(size, size))


def _is_maximum(peak: Peak, bounded: "np.typing.NDArray[np.bool_]") -> bool:
    if not math.isfinite(peak.value) or not peak.length < _LEVEL or peak.x[bounded].max(initial=0.0) > _FARTHEST:
        return False
    information = _information(peak, bounded)
    return not information.size or bool(np.linalg.eigvalsh(information).min() > _FLAT)


def _climb_all(likelihood: SelectionLikelihood, starts: list[FloatArray]) -> Optimum:
    """Climb from every start, and keep the best maximum."""
    bounded = likelihood.bounded
    found: list[Peak] = []
    highest = -math.inf
    where = None
    for start in starts:
        peak = climb(likelihood, start, bounded=bounded, largest=_FARTHEST)
        if math.isfinite(peak.value) and peak.value > highest:
            highest, where = peak.value, peak
        if _is_maximum(peak, bounded):
            found.append(peak)
    best = max(found, key=lambda peak: peak.value, default=None)
    if best is None or best.value < highest - _SAME:
        raise RunawayError(_running_away(likelihood, where), highest)
    others: list[Peak] = []
    for peak in sorted(found, key=lambda peak: -peak.value):
        if all(peak.value < one.value - _SAME for one in (best, *others)):
            others.append(peak)
    information = _information(best, bounded)
    curvature = flatness = math.inf
    if information.size:
        curvature = float(np.linalg.eigvalsh(information).min())
        root = np.sqrt(np.diag(information))
        flatness = float(np.linalg.eigvalsh(information / np.outer(root, root)).min())
    return Optimum(
        peak=best,
        others=tuple(others),
        starts=len(starts),
        converged=len(found),
        agreeing=sum(peak.value >= best.value - _SAME for peak in found),
        curvature=curvature,
        flatness=flatness,
    )


def _running_away(likelihood: SelectionLikelihood, peak: Peak | None) -> str:
    said = "the selection model has no maximum to report: "
    if peak is None:
        return said + "the likelihood cannot be computed from any start"
    p = likelihood.X.shape[1]
    psi = peak.x[p + int(likelihood.random) :]
    delta, _ = likelihood.selection.natural(psi)
    shown = ", ".join(f"{value:.3g}" for value in delta)
    return (
        f"{said}the likelihood is flat or keeps rising as its parameters run away (parameters of the weight function "
        f"at the best point: {shown}). What helps: fewer or other steps, so that every interval of p holds several "
        "effects; a weight function with one parameter; weights that you assume instead of estimating them; or "
        "model='common'"
    )


def _starts(
    likelihood: SelectionLikelihood, beta: FloatArray, tau2: float, se: float, *, quick: bool
) -> list[FloatArray]:
    """Means at and below the unadjusted one, two variances, and every shape of the weights."""
    variances = [max(tau2, 0.05), 2.0 * tau2 + 0.5] if likelihood.random else [0.0]
    constant = np.linalg.lstsq(likelihood.X, np.ones(likelihood.yi.size), rcond=None)[0]
    shapes = likelihood.selection.starts
    shifts: tuple[float, ...] = (0.0, 2.0 * se, 1.0)
    if quick:
        variances, shifts, shapes = variances[:1], (0.0, 1.0), shapes[:2]
    starts = []
    for shift in shifts:
        for variance in variances:
            for psi in shapes:
                head = [beta - shift * constant, np.array([variance])[: int(likelihood.random)]]
                starts.append(np.concatenate([*head, psi]))
    return starts


def fit_selection(
    yi: FloatArray,
    vi: FloatArray,
    X: FloatArray,
    make: MakeSelection,
    *,
    random: bool = True,
    basis_last: int | None = None,
    quick: bool = False,
) -> SelectionFit:
    """Fit a selection model.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects, turned so that large ones are favoured, and sampling variances.
    X : array of shape (k, p)
        Design of full column rank.
    make : callable
        From effects and standard errors in internal units, and the refinement of the rule, to the weight function.
    random : bool, default True
        Whether there is a between-study variance.
    basis_last : int, optional
        The coefficient that is to be an internal parameter of its own, for a profile; the last when left out.
    quick : bool, default False
        Whether a few starts will do.

    Returns
    -------
    SelectionFit
        The best maximum found.

    Raises
    ------
    ConvergenceError
        If no start leads to a maximum, if the likelihood is higher along a ridge than at any maximum, or if an integral
        cannot be had to ten digits.

    References
    ----------
    Hedges (1992), Stat Sci 7:246-255; Vevea & Hedges (1995), Psychometrika 60:419-435.
    """
    k, p = X.shape
    null_tau2 = maximise(yi, vi, X if p > 1 else None, restricted=False).tau2 if random else 0.0
    unit = math.sqrt(float(np.median(vi)) + null_tau2)
    order = [j for j in range(p) if j != basis_last] + ([] if basis_last is None else [basis_last])
    q, r = np.linalg.qr(X[:, order])
    sign = np.where(np.diag(r) < 0, -1.0, 1.0)
    Q, R = q * sign * math.sqrt(k), r * sign[:, None] / math.sqrt(k)
    basis = np.zeros((p, p))
    basis[order] = unit * np.linalg.inv(R)
    y, v = yi / unit, vi / unit**2
    null = coefficients(y, v, null_tau2 / unit**2, Q)

    refinement, error = 0, 0.0
    optimum: Optimum | None = None
    while True:
        selection = make(y, np.sqrt(v), refinement)
        likelihood = SelectionLikelihood(yi=y, vi=v, X=Q, selection=selection, random=random)
        if optimum is None:
            starts = _starts(
                likelihood, null.beta, null_tau2 / unit**2, math.sqrt(float(np.trace(null.covariance))), quick=quick
            )
        else:
            starts = [optimum.peak.x, *(peak.x for peak in optimum.others)]
        counted = optimum
        optimum = _climb_all(likelihood, starts)
        if counted is not None:
            optimum = replace(optimum, starts=counted.starts, converged=counted.converged, agreeing=counted.agreeing)
        if selection.nodes is None:
            break
        finer = replace(likelihood, selection=make(y, np.sqrt(v), refinement + 1))
        error = abs(finer(optimum.peak.x)[0] - optimum.peak.value)
        if error <= _QUADRATURE * max(1.0, abs(optimum.peak.value)):
            break
        refinement += 1
        if refinement > _REFINEMENTS:
            raise ConvergenceError(
                "an integral over the weight function cannot be had to ten digits: the weight falls too steeply at the "
                "parameters found. What helps: a step function, type='stepfun'"
            )
    return _reported(likelihood, optimum, error, unit=unit, basis=basis, k=k)


def _reported(
    likelihood: SelectionLikelihood, optimum: Optimum, error: float, *, unit: float, basis: FloatArray, k: int
) -> SelectionFit:
    """Turn internal parameters into reported ones."""
    peak, p = optimum.peak, basis.shape[0]
    after = p + int(likelihood.random)
    covariance = peak.covariance() if peak.inner.any() else np.full(peak.hessian.shape, np.nan)
    delta, by_psi = likelihood.selection.natural(peak.x[after:])
    inside = covariance[after:, after:]
    # A weight that hangs on a parameter held by its boundary has no standard error.
    held = ~peak.inner[after:]
    spread = by_psi @ np.where(np.isnan(inside), 0.0, inside) @ by_psi.T
    lost = (by_psi[:, held] != 0.0).any(axis=1)
    spread[lost] = np.nan
    spread[:, lost] = np.nan
    return SelectionFit(
        beta=basis @ peak.x[:p],
        tau2=unit**2 * float(peak.x[p]) if likelihood.random else 0.0,
        delta=delta,
        beta_covariance=basis @ covariance[:p, :p] @ basis.T,
        tau2_se=unit**2 * math.sqrt(covariance[p, p]) if likelihood.random and peak.inner[p] else math.nan,
        delta_covariance=spread,
        log_likelihood=peak.value - k * math.log(unit),
        free=peak.x.size - after,
        optimum=optimum,
        quadrature_error=error,
        unit=unit,
        basis=basis,
        likelihood=likelihood,
    )


# --- a cut point that is estimated ------------------------------------------------------------------------------------


def fit_truncation(
    yi: FloatArray, vi: FloatArray, X: FloatArray, *, random: bool = True
) -> tuple[SelectionFit, float, int]:
    """Fit one weight below a cut point of the effects and another above it, and find the cut point.

    Between two neighbouring effects the likelihood rises or falls all the way as the cut moves, so that its supremum
    lies at an effect: on it, where effects below are favoured, or just below it, where those above are. Every effect is
    tried either way, which finds the best of the many local maxima.

    Parameters
    ----------
    yi, vi, X, random
        As in `fit_selection`.

    Returns
    -------
    fit : SelectionFit
        With the best cut.
    cut : float
        Where it lies.
    below : int
        How many effects have the weight that is estimated.

    Raises
    ------
    ConvergenceError
        If the likelihood has no maximum at the best cut.
    """
    values = np.unique(yi)
    candidates = [(float(values[j]), yi < values[j]) for j in range(values.size)]
    candidates += [(float(values[j]), yi <= values[j]) for j in range(values.size - 1)]

    def make(cut: float, below: "np.typing.NDArray[np.bool_]") -> MakeSelection:
        group = below.astype(np.intp)
        fixed = [1.0, None if below.any() else 0.0]

        def at(y: FloatArray, s: FloatArray, _: int) -> Selection:
            scale = float(s[0]) / math.sqrt(float(vi[0]))
            return step_selection(np.full((y.size, 1), cut * scale), group, fixed=fixed)

        return at

    heights: list[float] = []
    for cut, below in candidates:
        try:
            found = fit_selection(yi, vi, X, make(cut, below), random=random, quick=True)
            heights.append(found.optimum.peak.value)
        except RunawayError as error:
            heights.append(error.height)
    best = int(np.argmax(heights))
    cut, below = candidates[best]
    return fit_selection(yi, vi, X, make(cut, below), random=random), cut, int(below.sum())


# --- profiles ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limit:
    """One end of a profile-likelihood interval, in internal units.

    Parameters
    ----------
    value : float
        The end; infinite when the likelihood never falls far enough.
    found : bool
        Whether it is where the likelihood ratio reaches its quantile, and not a boundary.
    """

    value: float
    found: bool


def profile_limits(fit: SelectionFit, index: int, level: float) -> tuple[Limit, Limit]:
    """Ends of the interval of values that a likelihood-ratio test with one degree of freedom does not reject.

    Parameters
    ----------
    fit : SelectionFit
        The fit.
    index : int
        Which internal parameter.
    level : float
        Confidence level.

    Returns
    -------
    tuple of Limit
        The lower and the upper one.

    References
    ----------
    Venzon & Moolgavkar (1988), Appl Stat 37:87-94.
    """
    target = fit.optimum.peak.value - 0.5 * float(chdtri(1.0, 1.0 - level))
    return _end(fit, index, target, -1.0), _end(fit, index, target, 1.0)


def is_ridge(fit: SelectionFit, index: int, level: float, *, times: float = 3.0) -> bool:
    """Whether the likelihood falls so slowly that a normal interval says nothing.

    Parameters
    ----------
    fit : SelectionFit
        The fit.
    index : int
        Which internal parameter, with a standard error.
    level : float
        Confidence level.
    times : float, default 3.0
        How many half-widths of the normal interval away.

    Returns
    -------
    bool
        Whether a likelihood-ratio test does not reject a value so far away, on either side.
    """
    drop = 0.5 * float(chdtri(1.0, 1.0 - level))
    peak = fit.optimum.peak
    half = math.sqrt(2.0 * drop * float(peak.covariance()[index, index]))
    ends = (float(peak.x[index]) + side * times * half for side in (-1.0, 1.0))
    return any(_profile(fit, index, end, peak.x)[0] > peak.value - drop for end in ends)


def _end(fit: SelectionFit, index: int, target: float, side: float) -> Limit:
    """Walk away from the maximum until the profile is below the target, then close in on the crossing."""
    peak, bounded = fit.optimum.peak, fit.likelihood.bounded
    centre = float(peak.x[index])
    curvature = float(-peak.hessian[index, index])
    covariance = peak.covariance()[index, index] if peak.inner[index] else 1.0 / max(curvature, 1e-6)
    step = math.sqrt(covariance) if covariance > 0 else 1.0
    inner_x, inside, excess = peak.x, centre, peak.value - target
    for _ in range(60):
        value = inside + side * step
        if bounded[index] and value < 0.0:
            value = 0.0
        height, x = _profile(fit, index, value, inner_x)
        if height < target:
            break
        if value == 0.0 and bounded[index] and side < 0:
            return Limit(0.0, False)
        if abs(value) > _FARTHEST:
            return Limit(side * math.inf, False)
        inside, inner_x, excess = value, x, height - target
        step *= 1.6
    else:
        return Limit(side * math.inf, False)
    outside, lack = value, height - target
    weight_in, weight_out = excess, lack
    for _ in range(100):  # regula falsi in the Illinois variant: Dowell & Jarratt (1971), BIT 11:168-174
        value = (inside * weight_out - outside * weight_in) / (weight_out - weight_in)
        height, x = _profile(fit, index, value, inner_x)
        gap = height - target
        if abs(gap) < 1e-10 or abs(outside - inside) < 1e-12 * (1.0 + abs(value)):
            break
        if gap > 0:
            inside, inner_x, weight_in = value, x, gap
            weight_out *= 0.5
        else:
            outside, weight_out = value, gap
            weight_in *= 0.5
    return Limit(value, True)


def _profile(fit: SelectionFit, index: int, value: float, start: FloatArray) -> tuple[float, FloatArray]:
    """The likelihood maximised over the other parameters, from where it was nearby and from every maximum."""
    rest = np.arange(start.size) != index

    def surface(part: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        x = np.empty(start.size)
        x[rest], x[index] = part, value
        height, gradient, hessian = fit.likelihood(x)
        return height, gradient[rest], hessian[np.ix_(rest, rest)]

    best, at = -math.inf, start
    if not rest.any():
        return fit.likelihood(np.array([value]))[0], np.array([value])
    for begin in (start, fit.optimum.peak.x, *(other.x for other in fit.optimum.others)):
        peak = climb(surface, begin[rest], bounded=fit.likelihood.bounded[rest], largest=_FARTHEST)
        if peak.value > best:
            best, at = peak.value, np.empty(start.size)
            at[rest], at[index] = peak.x, value
    return best, at
