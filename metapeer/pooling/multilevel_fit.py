"""Variance components: the best maximum from several starts, a certificate of it, and profile-likelihood intervals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from metapeer.errors import ConvergenceError
from metapeer.pooling.intervals import chi2_quantile
from metapeer.pooling.multilevel_likelihood import Block, MixedModel, Solution, Term, make_model
from metapeer.pooling.newton import Peak, climb
from metapeer.pooling.structures import Component
from metapeer.pooling.tau2_moments import tau2_dl
from metapeer.pooling.weighted import FloatArray

__all__ = ["Certificate", "MixedFit", "Problem", "Profile", "fit_mixed", "make_problem"]

SETTLED = 1e-6
"""Length of the gradient, in standard errors, at which a climb counts as having arrived."""
SAME = 1e-6
"""Maxima whose log-likelihoods differ by less count as one."""
ON_THE_EDGE = 1e-10
"""A variance below this share of the typical sampling variance is tried at zero."""
FARTHEST = 1e8
"""A profile that has not fallen far enough at this multiple of the data's own variance has no upper end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """A model in units of its own spread, so that effects of any size give the same relative answer.

    Parameters
    ----------
    yi, X : array of shape (k,) and (k, p)
        Effects over `unit`, and an orthonormal design.
    blocks : tuple of (array of int, array)
        Sampling covariances over ``unit**2``.
    terms : tuple of Term
        Random effects.
    restricted : bool
        Whether the likelihood is restricted.
    unit : float
        Square root of the typical sampling variance.
    """

    yi: FloatArray
    X: FloatArray
    blocks: tuple[Block, ...]
    terms: tuple[Term, ...]
    restricted: bool
    unit: float

    def model(self, terms: Sequence[Term] | None = None) -> MixedModel:
        """Lay the model out.

        Parameters
        ----------
        terms : sequence of Term, optional
            Random effects instead of its own.

        Returns
        -------
        MixedModel
            Ready to be maximised.
        """
        return make_model(
            self.yi, self.X, self.blocks, self.terms if terms is None else terms, restricted=self.restricted
        )

    @property
    def log_unit(self) -> float:
        """What the log-likelihood loses when effects are put back into their own units."""
        k, p = self.X.shape
        return float(k - p if self.restricted else k) * math.log(self.unit)


def make_problem(
    yi: FloatArray, X: FloatArray, blocks: Sequence[Block], terms: Sequence[Term], *, restricted: bool
) -> Problem:
    """Put a model into units of its own spread.

    Parameters
    ----------
    yi : array of shape (k,)
        Effects.
    X : array of shape (k, p)
        Orthonormal design.
    blocks : sequence of (array of int, array)
        Sampling covariance, block by block.
    terms : sequence of Term
        Random effects.
    restricted : bool
        Whether the likelihood is restricted.

    Returns
    -------
    Problem
        The model in units of the median sampling standard deviation.
    """
    unit = math.sqrt(float(np.median(np.concatenate([np.diag(block) for _, block in blocks]))))
    return Problem(
        yi=yi / unit,
        X=X,
        blocks=tuple((rows, block / unit**2) for rows, block in blocks),
        terms=tuple(terms),
        restricted=restricted,
        unit=unit,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """How sure it is that the variance components are at the global maximum of the likelihood.

    Parameters
    ----------
    gradient : float
        Length of the gradient there, in standard errors; zero at a maximum.
    curvature : float
        Smallest curvature of the log-likelihood, as a share of what each parameter has by itself; positive at a strict
        maximum, near zero where parameters can hardly be told apart.
    starts, agreeing : int
        Climbs made from different starts, and those of them that ended at the best maximum.
    other_maxima : tuple of float
        How far below the best the other maxima found lie, in log-likelihood.
    boundary : tuple of str
        Components on the edge of their range.
    profiles : bool
        Whether the likelihood was seen to fall on both sides of each component with all others at their best.
    """

    gradient: float
    curvature: float
    starts: int
    agreeing: int
    other_maxima: tuple[float, ...]
    boundary: tuple[str, ...]
    profiles: bool

    @property
    def certified(self) -> bool:
        """Whether gradient, curvature and profiles all say that this is a strict maximum, and no start found better."""
        return self.gradient < SETTLED and self.curvature > 0.0 and self.profiles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedFit:
    """Variance components at the best maximum found.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    free : array
        Free parameters of the random effects, in units of the problem.
    value : float
        Log-likelihood in the units of the effects.
    beta : array of shape (p,)
        Coefficients of the orthonormal design, in the units of the effects.
    covariance : array of shape (p, p)
        Their covariance.
    peak : Peak
        Derivatives at the maximum.
    starts, agreeing, other_maxima
        As in `Certificate`.
    """

    problem: Problem
    free: FloatArray
    value: float
    beta: FloatArray
    covariance: FloatArray
    peak: Peak
    starts: int
    agreeing: int
    other_maxima: tuple[float, ...]

    def matrices(self) -> list[FloatArray]:
        """Covariance matrix of the random effects of each term, in squared units of the effects.

        Returns
        -------
        list of array of shape (q, q)
            One for each term.
        """
        model = self.problem.model()
        return [matrix * self.problem.unit**2 for matrix in model.matrices(self.free)]

    def solution(self) -> Solution:
        """Log-likelihood and coefficients in the units of the effects.

        Returns
        -------
        Solution
            With the covariance of the coefficients.
        """
        return Solution(value=self.value, beta=self.beta, covariance=self.covariance)


def _starts(problem: Problem) -> list[FloatArray]:
    """Where to climb from: shares of a moment estimate of the whole heterogeneity, with several correlations."""
    vi = np.empty(problem.yi.size)
    for rows, block in problem.blocks:
        vi[rows] = np.diag(block)
    k, p = problem.X.shape
    whole = max(tau2_dl(problem.yi, vi, problem.X) if k > p else 0.0, 0.05)
    n = len(problem.terms)
    shares = [np.full(n, 1.0 / n)]
    if n > 1:
        for t in range(n):
            share = np.full(n, 0.1 / (n - 1))
            share[t] = 0.9
            shares.append(share)
    shares += [np.full(n, 0.02 / n), np.full(n, 5.0 / n)]
    found = [
        np.concatenate([term.structure.start(whole * s, 0.5) for term, s in zip(problem.terms, share, strict=True)])
        for share in shares
    ]
    if any(component.kind == "correlation" for term in problem.terms for component in term.structure.components):
        found += [
            np.concatenate([term.structure.start(whole / n, rho) for term in problem.terms]) for rho in (-0.4, 0.0, 0.9)
        ]
    return found


def _climb(model: MixedModel, start: FloatArray, free: Sequence[int] | None = None) -> tuple[FloatArray, Peak]:
    """Maximise over some of the free parameters, the others staying where they are."""
    chosen = list(range(model.size)) if free is None else list(free)

    def surface(x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        full = start.copy()
        full[chosen] = x
        value, gradient, hessian = model.surface(full)
        return value, gradient[chosen], hessian[np.ix_(chosen, chosen)]

    peak = climb(surface, start[chosen], bounded=np.zeros(len(chosen), dtype=bool), largest=math.inf)
    full = start.copy()
    full[chosen] = peak.x
    return full, peak


def _spreads(problem: Problem) -> list[int]:
    """Which free parameters are standard deviations."""
    found, at = [], 0
    for term in problem.terms:
        structure = term.structure
        found += [at + i for i in range(structure.q if structure.code in ("DIAG", "HCS", "UN", "HAR") else 1)]
        at += structure.size
    return found


def fit_mixed(problem: Problem) -> MixedFit:
    """Maximise the likelihood of variance components from several starts.

    Parameters
    ----------
    problem : Problem
        From `make_problem`.

    Returns
    -------
    MixedFit
        The best maximum found, and what the other starts found.

    Raises
    ------
    ConvergenceError
        If no climb arrived.

    Examples
    --------
    >>> import numpy as np
    >>> from metapeer.pooling.structures import make_structure
    >>> term = Term(outer=np.arange(6), inner=np.zeros(6, dtype=np.intp), structure=make_structure("ID", 1))
    >>> yi, vi = np.array([0.1, 0.3, 0.35, 0.65, 0.45, 0.15]), np.array([0.03, 0.03, 0.05, 0.01, 0.05, 0.02])
    >>> V = [(np.array([i]), vi[i:i + 1, None]) for i in range(6)]
    >>> fit = fit_mixed(make_problem(yi, np.ones((6, 1)) / 6**0.5, V, [term], restricted=True))
    >>> round(float(fit.matrices()[0][0, 0]), 4), round(float(fit.beta[0] / 6**0.5), 4)
    (0.0331, 0.3463)
    """
    model = problem.model()
    if not problem.terms:
        solution = model.solve([])
        empty = np.empty(0)
        peak = Peak(empty, solution.value, empty, np.empty((0, 0)), np.empty(0, dtype=bool), empty, 0.0, 0)
        return _found(problem, empty, peak, solution, 0, 0, ())
    found = [_climb(model, start) for start in _starts(problem)]
    # A variance that has come down to zero may only have got stuck there, since its slope is zero at zero.
    spreads = _spreads(problem)
    best = max(found, key=lambda pair: pair[1].value)
    low = [j for j in spreads if abs(best[0][j]) < 1e-3]
    if low:
        raised = best[0].copy()
        raised[low] = 0.3
        found.append(_climb(model, raised))
    arrived = [pair for pair in found if pair[1].length < SETTLED]
    if not arrived:
        raise ConvergenceError(
            "the variance components did not converge from any of "
            f"{len(found)} starts: the model has more of them than the effects can tell apart; use fewer terms, or a "
            "simpler struct such as 'CS' or 'DIAG'"
        )
    free, peak = max(arrived, key=lambda pair: pair[1].value)
    free, peak = _to_the_edge(model, free, peak, spreads)
    drops = sorted(peak.value - other.value for _, other in arrived)
    agreeing = sum(drop < SAME for drop in drops)
    others: list[float] = []
    for drop in drops[agreeing:]:
        if not others or drop - others[-1] > SAME:
            others.append(drop)
    return _found(problem, free, peak, model.solve(model.matrices(free)), len(found), agreeing, tuple(others))


def _to_the_edge(model: MixedModel, free: FloatArray, peak: Peak, spreads: Sequence[int]) -> tuple[FloatArray, Peak]:
    """Put variances that are as good as zero at zero, where that costs nothing."""
    zero = [j for j in spreads if free[j] ** 2 < ON_THE_EDGE]
    if not zero:
        return free, peak
    there = free.copy()
    there[zero] = 0.0
    others = [j for j in range(model.size) if j not in zero]
    if others:
        there, _ = _climb(model, there, others)
    value, gradient, hessian = model.surface(there)
    if value < peak.value - 1e-9:
        return free, peak
    inner = np.ones(there.size, dtype=bool)
    return there, replace(peak, x=there, value=value, gradient=gradient, hessian=hessian, inner=inner)


def _found(
    problem: Problem,
    free: FloatArray,
    peak: Peak,
    solution: Solution,
    starts: int,
    agreeing: int,
    others: tuple[float, ...],
) -> MixedFit:
    return MixedFit(
        problem=problem,
        free=free,
        value=solution.value - problem.log_unit,
        beta=solution.beta * problem.unit,
        covariance=solution.covariance * problem.unit**2,
        peak=peak,
        starts=starts,
        agreeing=agreeing,
        other_maxima=others,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """The likelihood along one variance or correlation, with everything else at its best for each value.

    Parameters
    ----------
    fit : MixedFit
        The model.
    term : int
        Which term.
    component : Component
        Which component of it.
    """

    fit: MixedFit
    term: int
    component: Component

    @property
    def estimate(self) -> float:
        """The component at the maximum, in squared units of the effects or as a correlation."""
        structure = self.fit.problem.terms[self.term].structure
        part = self.fit.problem.model().parts(self.fit.free)[self.term]
        value = structure.value(self.component, part)
        return value * self._square

    @property
    def _square(self) -> float:
        return self.fit.problem.unit**2 if self.component.kind == "variance" else 1.0

    def curve(self) -> Callable[[float], float]:
        """Make the profile log-likelihood as a function of the component.

        Returns
        -------
        callable
            From a value of the component to the highest log-likelihood with it, less that of the fit: zero at the
            estimate and negative elsewhere.
        """
        problem, component = self.fit.problem, self.component
        terms = list(problem.terms)
        structure = terms[self.term].structure
        offset = sum(term.structure.size for term in terms[: self.term])
        warm = [self.fit.free]
        if component.first and structure.q > 1 and structure.code == "UN":
            terms[self.term] = terms[self.term].reordered(component.first)
            warm = []
        model = problem.model(terms)
        held = offset + component.parameter
        others = [j for j in range(model.size) if j != held]
        matrices = model.matrices(self.fit.free) if warm else problem.model().matrices(self.fit.free)
        sizes = [float(np.mean(np.diag(matrix))) + 1e-4 for matrix in matrices]
        correlations = [_typical_correlation(matrix) for matrix in matrices]
        warm += [
            np.concatenate(
                [t.structure.start(size, rho) for t, size, rho in zip(terms, sizes, correlations, strict=True)]
            )
        ]
        best = self.fit.value + problem.log_unit

        def drop(value: float) -> float:
            fixed = structure.parameter_for(component, value / self._square)
            found = []
            for start in warm[:3]:
                there = start.copy()
                there[held] = fixed
                there, peak = _climb(model, there, others) if others else (there, None)
                found.append((model.surface(there)[0] if peak is None else peak.value, there))
            value_here, at = max(found, key=lambda pair: pair[0])
            # The last point makes the next one quick; the first start stays as a second opinion.
            warm[1:] = [warm[-1], at] if len(warm) > 1 else [at]
            return value_here - best

        return drop

    def interval(self, level: float) -> tuple[float, float]:
        """Values that a likelihood ratio test does not reject.

        Parameters
        ----------
        level : float
            Confidence level.

        Returns
        -------
        low, high : float
            The limits: ends of the range where the likelihood does not fall far enough, infinity where it never does.

        References
        ----------
        Hardy & Thompson (1996), Stat Med 15:619-629; Viechtbauer (2007), Stat Med 26:37-52.
        """
        cut = -0.5 * chi2_quantile(1.0 - level, 1.0)
        curve, at, component = self.curve(), self.estimate, self.component
        if math.isnan(at):
            return math.nan, math.nan

        def above(value: float) -> float:
            return curve(value) - cut

        step = max(at, 0.1 * self._square) if component.kind == "variance" else 0.1
        low, high = component.low, component.high * self._square
        lower = low if at <= low or above(low) >= 0.0 else _root(above, low, at)
        if component.kind == "correlation":
            upper = high if at >= high or above(high) >= 0.0 else _root(above, at, high)
            return lower, upper
        inside, outside = at, at + step
        while above(outside) > 0.0:
            inside, outside = outside, outside + 2.0 * (outside - at)
            if outside > FARTHEST * max(at, self._square):
                return lower, math.inf
        return lower, _root(above, inside, outside)

    def falls(self) -> bool:
        """Whether the likelihood falls on both sides of the estimate.

        Returns
        -------
        bool
            True unless a value near by, with all else at its best for it, does better.
        """
        at = self.estimate
        if math.isnan(at):
            return True
        curve = self.curve()
        if self.component.kind == "variance":
            tried = [0.5 * at, 1.5 * at + 0.1 * self._square]
        else:
            gap = 0.1 * (self.component.high - self.component.low)
            tried = [max(self.component.low, at - gap), min(self.component.high, at + gap)]
        return all(curve(value) < SAME for value in tried)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(function, low, high, xtol=1e-14, rtol=1e-12, maxiter=200))


def _typical_correlation(matrix: FloatArray) -> float:
    q = matrix.shape[0]
    if q == 1:
        return 0.0
    size = np.sqrt(np.maximum(np.diag(matrix), 1e-12))
    corr = matrix / np.outer(size, size)
    return float((corr.sum() - np.trace(corr)) / (q * (q - 1)))
