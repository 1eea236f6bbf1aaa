"""Profile likelihood of one variance or correlation of a multilevel model: its curve and its interval."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from metapeer.pooling.intervals import chi2_quantile
from metapeer.pooling.multilevel_fit import SAME, MixedFit, climb_from, never_negative, spreads
from metapeer.pooling.multilevel_likelihood import MixedModel
from metapeer.pooling.structures import Component, Structure, unstructured_parameters
from metapeer.pooling.weighted import FloatArray

__all__ = ["Profile"]

FARTHEST = 1e8
"""A profile that has not fallen far enough at this multiple of the data's own variance has no upper end."""
CLOSE = 1e-9
"""How exactly a limit is met, in the root of twice the fall of the log-likelihood."""
STEPS = 100
LIFT = 0.05
"""Where standard deviations of zero are lifted to before a climb, since the slope is zero at zero."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Path:
    """The likelihood with one free parameter held, and the points where it is already known.

    Parameters
    ----------
    model : MixedModel
        The model, with the levels in an order in which one free parameter decides the component.
    structure : Structure
        Of the term of the component.
    component : Component
        What is held.
    held : int
        The free parameter.
    bounded : array of bool
        Free parameters that must not be negative.
    square : float
        Units of the component over those of the model.
    best : float
        Log-likelihood of the fit.
    neutral : array
        A start that owes nothing to other points.
    known : list of (float, array)
        Values of the held parameter, with all free parameters at their best.
    """

    model: MixedModel
    structure: Structure
    component: Component
    held: int
    bounded: NDArray[np.bool_]
    square: float
    best: float
    neutral: FloatArray
    known: list[tuple[float, FloatArray]] = field(default_factory=list)

    def _climb(self, start: FloatArray, fixed: float) -> tuple[FloatArray, float]:
        there = start.copy()
        sds = spreads(self.model.terms)
        there[[j for j in sds if abs(there[j]) < LIFT]] = LIFT
        there[self.held] = fixed
        others = [j for j in range(self.model.size) if j != self.held]
        if not others:
            return there, self.model.surface(there)[0]
        there, peak = climb_from(self.model, there, others, self.bounded)
        return there, peak.value

    def look(self, value: float, *, thorough: bool) -> tuple[float, float]:
        """Highest log-likelihood with the component at a value, less that of the fit, and its slope."""
        fixed = self.structure.parameter_for(self.component, value / self.square)
        nearest = sorted(self.known, key=lambda point: abs(point[0] - fixed))[:2]
        starts = [self.neutral] if thorough or not nearest else []
        if nearest:
            starts.append(nearest[0][1])
        if len(nearest) == 2 and self.component.kind != "correlation":
            # Along the path the other parameters move almost in a line.
            (x0, free0), (x1, free1) = nearest
            share = (fixed - x0) / (x1 - x0) if x1 != x0 else 0.0
            if abs(share) < 2.0:
                starts[-1] = free0 + share * (free1 - free0)
        there, height = max((self._climb(start, fixed) for start in starts), key=lambda pair: pair[1])
        self.known.append((fixed, there))
        slope = float(self.model.surface(there)[1][self.held])
        if self.component.kind == "variance":
            rate = 2.0 * fixed * self.square
        else:
            rate = 0.5 * (self.component.high - self.component.low) * math.sin(fixed)
            unit = self.component.unit
            rate /= unit * value ** (unit - 1.0) if unit != 1.0 and value > 0.0 else 1.0
        return height - self.best, slope / rate if rate else math.nan


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

    def _path(self) -> _Path:
        problem, component = self.fit.problem, self.component
        terms = list(problem.terms)
        structure = terms[self.term].structure
        offset = sum(term.structure.size for term in terms[: self.term])
        model = problem.model()
        matrices = model.matrices(self.fit.free)
        best = self.fit.free.copy()
        if structure.code == "UN" and structure.q > 1:
            order = [*component.first, *(i for i in range(structure.q) if i not in component.first)]
            terms[self.term] = terms[self.term].reordered(component.first)
            model = problem.model(terms)
            best[offset : offset + structure.size] = unstructured_parameters(matrices[self.term][np.ix_(order, order)])
        bounded = never_negative(terms)
        if component.kind == "correlation":
            # A negative standard deviation would turn the sign of the correlation that is held.
            bounded[offset : offset + (structure.size - 1 if structure.code != "UN" else structure.q)] = True
            best[bounded] = np.abs(best[bounded])
        sizes = [float(np.mean(np.diag(matrix))) + 1e-4 for matrix in matrices]
        correlations = [_typical_correlation(matrix) for matrix in matrices]
        neutral = np.concatenate(
            [t.structure.start(size, rho) for t, size, rho in zip(terms, sizes, correlations, strict=True)]
        )
        held = offset + component.parameter
        return _Path(
            model=model,
            structure=structure,
            component=component,
            held=held,
            bounded=bounded,
            square=self._square,
            best=self.fit.value + problem.log_unit,
            neutral=neutral,
            known=[(float(best[held]), best)],
        )

    def curve(self) -> Callable[[float], float]:
        """Make the profile log-likelihood as a function of the component.

        Returns
        -------
        callable
            From a value of the component to the highest log-likelihood with it, less that of the fit: zero at the
            estimate and negative elsewhere.
        """
        path = self._path()
        return lambda value: path.look(value, thorough=True)[0]

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
        at, component = self.estimate, self.component
        if math.isnan(at):
            return math.nan, math.nan
        target = math.sqrt(chi2_quantile(1.0 - level, 1.0))
        low, high = component.low, component.high * self._square
        path = self._path()
        return self._limit(path, at, low, target), self._limit(path, at, high, target)

    def _limit(self, path: _Path, at: float, end: float, target: float) -> float:
        """Look for a limit from point to point; where a fresh start does better at it, with one at every point."""
        for thorough in (False, True):
            found = self._crossing(path, at, end, target, thorough=thorough)
            if thorough or not math.isfinite(found):
                return found
            fresh = replace(path, known=[]).look(found, thorough=True)[0]
            if fresh < -0.5 * target**2 + SAME or found == end:
                return found
        return found

    def _crossing(self, path: _Path, at: float, end: float, target: float, *, thorough: bool) -> float:
        """Solve for the value where the root of twice the fall is `target`, by Newton's method within brackets.

        That root is nearly linear in the component, or in its logarithm above the estimate.
        """
        up = end > at
        if at == end:
            return end
        if math.isfinite(end) and _fall(path.look(end, thorough=thorough)[0]) <= target:
            return end
        far = FARTHEST * max(at, self._square)
        inner, outer = at, end
        logs = up and math.isinf(end)
        here = max(at, 0.1 * self._square) + at if logs else 0.5 * (at + end)
        for _ in range(STEPS):
            drop, slope = path.look(here, thorough=thorough)
            fall = _fall(drop)
            if abs(fall - target) < CLOSE:
                break
            if fall < target:
                inner = here
            else:
                outer = here
            if inner > far:
                return math.inf
            if math.isfinite(outer) and abs(outer - inner) <= 1e-13 * max(abs(outer), abs(inner)):
                break
            there = math.nan
            if fall > 0.0 and slope and math.isfinite(slope):
                step = (target - fall) * -fall / slope  # the slope of the root of twice the fall is -slope / root
                there = here * math.exp(min(3.0, max(-3.0, step / here))) if logs else here + step
            if not min(inner, outer) < there < max(inner, outer):
                there = 4.0 * here if math.isinf(outer) else 0.5 * (inner + outer)
            here = there
        return here

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


def _fall(drop: float) -> float:
    return math.sqrt(max(0.0, -2.0 * drop))


def _typical_correlation(matrix: FloatArray) -> float:
    q = matrix.shape[0]
    if q == 1:
        return 0.0
    size = np.sqrt(np.maximum(np.diag(matrix), 1e-12))
    corr = matrix / np.outer(size, size)
    return float((corr.sum() - np.trace(corr)) / (q * (q - 1)))
