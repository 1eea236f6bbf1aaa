"""Variance components: the best maximum from several starts, and a certificate of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metapeer.errors import ConvergenceError
from metapeer.pooling.multilevel_likelihood import Block, MixedModel, Solution, Term, make_model
from metapeer.pooling.newton import Peak, climb
from metapeer.pooling.tau2_moments import tau2_dl
from metapeer.pooling.weighted import FloatArray

__all__ = [
    "SAME",
    "Certificate",
    "MixedFit",
    "Problem",
    "climb_from",
    "fit_mixed",
    "make_problem",
    "never_negative",
    "spreads",
]

SETTLED = 1e-6
"""Length of the gradient, in standard errors, at which a climb counts as having arrived."""
SAME = 1e-6
"""Maxima whose log-likelihoods differ by less count as one."""
MANY_LEVELS = 6
"""Levels with a variance of their own up to which each gets starts of its own."""
ON_THE_EDGE = 1e-6
"""A variance below this share of the variance of an effect is tried at zero."""


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
        About the standard deviation of an effect.
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
        The model in units of about the standard deviation of an effect, heterogeneity included.
    """
    vi = np.empty(yi.size)
    for rows, block in blocks:
        vi[rows] = np.diag(block)
    unit = math.sqrt(float(np.median(vi)) + (tau2_dl(yi, vi, X) if yi.size > X.shape[1] else 0.0))
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
    # A level whose variance has come down to zero on the way may stay there, and correlations of several levels may
    # have either sign: begin with one variance much smaller or larger than the others, or with one level turned round.
    uneven = _uneven(problem.terms)
    if len(uneven) <= MANY_LEVELS:
        for j, tries in uneven:
            for factor, rho in tries:
                start = np.concatenate([term.structure.start(whole / n, rho) for term in problem.terms])
                start[j] *= factor
                found.append(start)
    return found


def _uneven(terms: Sequence[Term]) -> list[tuple[int, list[tuple[float, float]]]]:
    """Which standard deviations to start from other than the rest: by which factors, beside which correlation."""
    found: list[tuple[int, list[tuple[float, float]]]] = []
    at = 0
    for term in terms:
        structure = term.structure
        tries: list[tuple[float, float]] = []
        if structure.code in ("HCS", "HAR"):
            tries = [(factor, rho) for factor in (0.1, 10.0) for rho in (-0.8, 0.8)]
        elif structure.code == "UN":
            tries = [(factor, rho) for factor in (-10.0, -1.0, -0.1, 0.1, 10.0) for rho in (0.3, 0.9)]
        elif structure.code == "DIAG":
            tries = [(0.1, 0.0), (10.0, 0.0)]
        if tries and structure.q > 1:
            found += [(at + i, tries) for i in range(structure.q)]
        at += structure.size
    return found


def never_negative(terms: Sequence[Term]) -> NDArray[np.bool_]:
    """Tell which free parameters must not be negative.

    Parameters
    ----------
    terms : sequence of Term
        Random effects.

    Returns
    -------
    array of bool
        One for each free parameter.

    Notes
    -----
    Where levels have standard deviations of their own and share one correlation, a negative one would turn the sign of
    the correlation for one level and not for the others, which is another model. Elsewhere signs change nothing.
    """
    found: list[bool] = []
    for term in terms:
        q = term.structure.q if term.structure.code in ("HCS", "HAR") and term.structure.q > 1 else 0
        found += [i < q for i in range(term.structure.size)]
    return np.array(found, dtype=np.bool_)


def climb_from(
    model: MixedModel,
    start: FloatArray,
    free: Sequence[int] | None = None,
    bounded: NDArray[np.bool_] | None = None,
) -> tuple[FloatArray, Peak]:
    """Maximise over some of the free parameters, the others staying where they are.

    Parameters
    ----------
    model : MixedModel
        The model.
    start : array
        All free parameters.
    free : sequence of int, optional
        Those to be moved; all when left out.
    bounded : array of bool, optional
        Free parameters that must not be negative; as `never_negative` says when left out.

    Returns
    -------
    free : array
        All free parameters at the end.
    peak : Peak
        Derivatives by those that were moved.
    """
    kept = never_negative(model.terms) if bounded is None else bounded
    chosen = list(range(model.size)) if free is None else list(free)

    def surface(x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        full = start.copy()
        full[chosen] = x
        value, gradient, hessian = model.surface(full)
        return value, gradient[chosen], hessian[np.ix_(chosen, chosen)]

    peak = climb(surface, start[chosen], bounded=kept[chosen], largest=math.inf)
    full = start.copy()
    full[chosen] = peak.x
    return full, peak


def spreads(terms: Sequence[Term]) -> list[int]:
    """Tell which free parameters are standard deviations.

    Parameters
    ----------
    terms : sequence of Term
        Random effects.

    Returns
    -------
    list of int
        Their positions.
    """
    found, at = [], 0
    for term in terms:
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
    found = [climb_from(model, start) for start in _starts(problem)]
    # A variance that has come down to zero may only have got stuck there, since its slope is zero at zero.
    sds = spreads(problem.terms)
    best = max(found, key=lambda pair: pair[1].value)
    low = [j for j in sds if abs(best[0][j]) < 1e-3]
    if low:
        raised = best[0].copy()
        raised[low] = 0.3
        found.append(climb_from(model, raised))
    arrived = [pair for pair in found if pair[1].length < SETTLED]
    if not arrived:
        raise ConvergenceError(
            "the variance components did not converge from any of "
            f"{len(found)} starts: the model has more of them than the effects can tell apart; use fewer terms, or a "
            "simpler struct such as 'CS' or 'DIAG'"
        )
    free, peak = max(arrived, key=lambda pair: pair[1].value)
    free, peak = _to_the_edge(model, free, peak, sds)
    drops = sorted(peak.value - other.value for _, other in arrived)
    agreeing = sum(drop < SAME for drop in drops)
    others: list[float] = []
    for drop in drops[agreeing:]:
        if not others or drop - others[-1] > SAME:
            others.append(drop)
    return _found(problem, free, peak, model.solve(model.matrices(free)), len(found), agreeing, tuple(others))


def _to_the_edge(model: MixedModel, free: FloatArray, peak: Peak, sds: Sequence[int]) -> tuple[FloatArray, Peak]:
    """Put variances that are as good as zero at zero, where that costs nothing."""
    zero = [j for j in sds if free[j] ** 2 < ON_THE_EDGE]
    if not zero:
        return free, peak
    there = free.copy()
    there[zero] = 0.0
    others = [j for j in range(model.size) if j not in zero]
    if others:
        there, _ = climb_from(model, there, others)
    value, gradient, hessian = model.surface(there)
    if value < peak.value - 1e-9:
        return free, peak
    inner = ~(never_negative(model.terms) & (there <= 0.0))
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
