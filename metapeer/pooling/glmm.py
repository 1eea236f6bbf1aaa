"""Generalised linear mixed models of counts: which terms each model has, and its maximum likelihood fit.

All models are maximised by a projected Newton method with exact derivatives, from several starts, on tau2 >= 0; the
number of quadrature points is raised until the log-likelihood stands still.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from metapeer.errors import ConvergenceError
from metapeer.pooling.glmm_designs import GlmmModel
from metapeer.pooling.glmm_likelihood import Binomial, FloatArray, Integral, Poisson, integrate
from metapeer.pooling.newton import Peak, climb

__all__ = ["GlmmFit", "fit_glmm", "log_likelihood", "study_levels"]

# Log odds and log rates are comparable across subjects, so that fixed starting values serve: standard deviations of
# 0, 0.2, 0.7 and 2 between studies. The fit from 0 also finds tau2 far below 0.04.
STARTS = (0.0, 0.04, 0.5, 4.0)
# Points tried in turn, in one dimension and in two, until the log-likelihood moves by less than QUADRATURE_TOLERANCE.
POINTS = {1: (15, 31, 63, 127, 255), 2: (11, 23, 47, 95)}
QUADRATURE_TOLERANCE = 1e-9
# With all points used, an error of this size is still far below anything a likelihood can tell apart.
QUADRATURE_LIMIT = 1e-5
# A standard deviation of 30 on the log scale means odds that differ by factors of e^60: nothing is estimated any more.
LARGEST_VARIANCE = 1e3
# An effect further out than this, or known no better than this, on the log scale is no estimate.
LARGEST_EFFECT = 30.0
# A gradient this long, in standard errors, moves no digit that anyone prints.
GRADIENT_TOLERANCE = 1e-5
_LEVEL_STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GlmmFit:
    """The maximum of a model's likelihood.

    Parameters
    ----------
    mu, se : float
        Mean effect and its standard error from the observed information.
    tau2, tau2_se : float
        Variance of the effects, and its standard error: NaN on the boundary and for a common effect.
    level, sigma2 : float
        Mean and variance of the levels; NaN unless they are random.
    log_likelihood : float
        With all constants.
    log_likelihood_common : float
        The largest with tau2 = 0.
    gradient : float
        Length of the gradient in standard errors, leaving out variances held at 0 by their boundary.
    iterations : int
        Newton steps, over all starts.
    points : int
        Quadrature points in each dimension.
    quadrature_error : float
        By how much the log-likelihood changed when the points were last raised.
    other_maxima : tuple of (float, float)
        tau2 at other local maxima, and how far below the best each lies in log-likelihood.
    """

    mu: float
    se: float
    tau2: float
    tau2_se: float
    level: float
    sigma2: float
    log_likelihood: float
    log_likelihood_common: float
    gradient: float
    iterations: int
    points: int
    quadrature_error: float
    other_maxima: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class _Search:
    """The log-likelihood as a function of the shared parameters; remembers where it last was, to start from there."""

    model: GlmmModel
    free: tuple[str, ...]
    points: int
    mode: FloatArray = field(init=False)
    level: FloatArray = field(init=False)
    steps: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.mode = np.zeros((self.model.k, 2))
        self.level = np.zeros(self.model.k)

    def __call__(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return the log-likelihood with its gradient and Hessian, maximised over the levels if those are fixed."""
        values = dict(zip(self.free, x.tolist(), strict=True))
        if self.model.level != "fixed":
            level = np.full(self.model.k, values.get("level", 0.0))
            found = self.at(values, level, self.free)
            return float(found.value.sum()), found.gradient.sum(axis=0), found.hessian.sum(axis=0)
        p = len(self.free)
        for _ in range(_LEVEL_STEPS):
            found = self.at(values, self.level, (*self.free, "level"))
            # The integral is log-concave in the level (Prékopa): Newton's method, its steps held short, arrives.
            curvature = -found.hessian[:, p, p]
            step = found.gradient[:, p] / curvature
            if np.abs(step * np.sqrt(curvature)).max(initial=0.0) < 1e-9:
                break
            self.level = self.level + np.clip(step, -2.0, 2.0)
        cross = found.hessian[:, :p, p]
        hessian = found.hessian[:, :p, :p] + cross[:, :, None] * cross[:, None, :] / curvature[:, None, None]
        return float(found.value.sum()), found.gradient[:, :p].sum(axis=0), hessian.sum(axis=0)

    def at(self, values: dict[str, float], level: FloatArray, parameters: Sequence[str]) -> Integral:
        """Integrate each study's likelihood at these values and levels."""
        found = integrate(
            self.model.terms,
            mu=values["mu"],
            tau2=values.get("tau2", 0.0),
            level=level,
            sigma2=values.get("sigma2", 0.0),
            parameters=parameters,
            points=self.points,
            random_level=self.model.level == "random",
            start=self.mode,
        )
        self.mode = found.mode
        return found


def log_likelihood(
    model: GlmmModel, *, mu: float, tau2: float, level: float = 0.0, sigma2: float = 0.0, points: int
) -> float:
    """Log-likelihood at given parameters, maximised over the studies' levels where those are fixed.

    Parameters
    ----------
    model : GlmmModel
        From `build_model`.
    mu, tau2 : float
        Mean and variance of the effects.
    level, sigma2 : float
        Mean and variance of random levels.
    points : int
        Quadrature points in each dimension.

    Returns
    -------
    float
        With all constants.
    """
    values = {"mu": mu, "tau2": tau2, "level": level, "sigma2": sigma2}
    x = np.array([values[name] for name in model.parameters])
    return _Search(model, model.parameters, points)(x)[0]


def study_levels(model: GlmmModel, fit: GlmmFit) -> tuple[FloatArray, FloatArray]:
    """The levels at the maximum of a model in which each study has its own, and what each study tells.

    Parameters
    ----------
    model : GlmmModel
        With fixed levels.
    fit : GlmmFit
        From `fit_glmm`.

    Returns
    -------
    levels : array of shape (k,)
        One for each study.
    information : array of shape (k, 3, 3)
        Each study's observed information of the mean effect, tau2 and its level.
    """
    search = _Search(model, model.parameters, fit.points)
    search(np.array([fit.mu, fit.tau2]))
    values = {"mu": fit.mu, "tau2": fit.tau2}
    found = search.at(values, search.level, (*model.parameters, "level"))
    return search.level, -found.hessian


def _refuse_separation(model: GlmmModel) -> None:
    for side, where in ((model.lowest, "minus"), (model.highest, "plus")):
        if side.all():
            raise ConvergenceError(
                f"the likelihood has no maximum: in every study that tells anything the counts lie at one end, so that "
                f"the effect runs to {where} infinity. Remedies:\n"
                "  1. pool the risk difference, which exists here: effect_size(measure='RD')\n"
                "  2. pool Peto's odds ratio: effect_size(measure='PETO')\n"
                "  3. add to the zero cells and say so: effect_size(measure='OR', zero_cells='only0')\n"
                "  4. report the counts and do not pool"
            )


_REMEDIES = (
    "  1. assume one effect for all studies: effects='common'\n"
    "  2. try another model: 'CM.EL' needs the fewest assumptions of levels, beta_binomial_meta_analysis() the fewest "
    "parameters\n"
    "  3. look for a study whose counts contradict the others, or typing errors in it\n"
    "  4. report the counts and do not pool"
)


def fit_glmm(model: GlmmModel, *, common: bool = False) -> GlmmFit:
    """Maximise the likelihood of a model.

    Parameters
    ----------
    model : GlmmModel
        From `build_model`.
    common : bool, default False
        Whether tau2 is held at 0.

    Returns
    -------
    GlmmFit
        The best of the maxima found from four starts.

    Raises
    ------
    ConvergenceError
        If there is no maximum, it is a plateau, or it was not reached; with remedies.

    References
    ----------
    Stijnen, Hamza & Özdemir (2010), Statistics in Medicine 29:3046-3067.

    Examples
    --------
    >>> import numpy as np
    >>> from metapeer.pooling.glmm_designs import build_model
    >>> tables = [np.array(x, dtype=float) for x in ([1, 4, 12], [20, 30, 60], [5, 9, 14], [20, 30, 60])]
    >>> fit = fit_glmm(build_model("OR", "CM.EL", tables))
    >>> round(fit.mu, 4), round(fit.se, 4), fit.tau2
    (-0.6192, 0.3412, 0.0)
    """
    _refuse_separation(model)
    ladder = POINTS[2 if model.level == "random" else 1]
    single = tuple(name for name in model.parameters if name != "tau2")
    # With one effect for all studies and no random levels there is nothing to integrate over.
    flat, flat_points, error, steps = _refine(
        model, single, [_first_guess(model, single)], ladder if model.level == "random" else (1,)
    )
    best, peaks, points, free = flat[0], flat, flat_points, single
    if not common:
        free = model.parameters
        at_zero = dict(zip(single, best.x.tolist(), strict=True))
        starts = [np.array([{**at_zero, "tau2": tau2}[name] for name in free]) for tau2 in STARTS]
        peaks, points, error, more = _refine(model, free, starts, ladder)
        steps += more
        best = peaks[0]
    _vouch(best, free)
    errors = dict(zip(free, np.sqrt(np.diag(best.covariance())).tolist(), strict=True))
    values = dict(zip(free, best.x.tolist(), strict=True))
    return GlmmFit(
        mu=values["mu"],
        se=errors["mu"],
        tau2=values.get("tau2", 0.0),
        tau2_se=errors.get("tau2", math.nan),
        level=values.get("level", math.nan),
        sigma2=values.get("sigma2", math.nan),
        log_likelihood=best.value,
        log_likelihood_common=flat[0].value,
        gradient=best.length,
        iterations=steps,
        points=points,
        quadrature_error=error,
        other_maxima=() if common else _others(peaks, free.index("tau2")),
    )


def _first_guess(model: GlmmModel, free: tuple[str, ...]) -> FloatArray:
    """The studies' own effects, weighted by their information, and for random levels the crude overall level."""
    known = model.information > 0
    weight = model.information[known]
    guess = {"mu": float(weight @ model.theta[known] / weight.sum()) if known.any() else 0.0}
    if model.level == "random":
        crude = 0.0
        for term in model.terms:
            if isinstance(term, Binomial):
                crude += math.log((term.events.sum() + 0.5) / ((term.total - term.events).sum() + 0.5))
            elif isinstance(term, Poisson):
                crude += math.log((term.events.sum() + 0.5) / term.time.sum())
        guess |= {"level": crude / len(model.terms), "sigma2": 0.5}
    return np.array([guess[name] for name in free])


def _refine(
    model: GlmmModel, free: tuple[str, ...], starts: list[FloatArray], ladder: Sequence[int]
) -> tuple[list[Peak], int, float, int]:
    """Climb from every start with few points, then again from each different summit with more until nothing moves."""
    peaks: list[Peak] = []
    steps, error = 0, 0.0
    bounded = np.array([name.endswith("2") for name in free])
    for points in ladder:
        search = _Search(model, free, points)
        before = [peak.value for peak in peaks]
        climbed = []
        for x in starts:
            peak = climb(search, x, bounded=bounded, largest=LARGEST_VARIANCE)
            climbed.append(peak)
            steps += peak.steps
        peaks = _different(climbed)
        starts = [peak.x for peak in peaks]
        if before:
            error = abs(peaks[0].value - max(before))
            if error < QUADRATURE_TOLERANCE * max(1.0, abs(peaks[0].value)):
                break
        if peaks[0].x[bounded].max(initial=0.0) > LARGEST_VARIANCE:
            break  # running away, which `_vouch` explains
    else:
        if error > QUADRATURE_LIMIT:
            ends = (model.lowest | model.highest).all()
            why = "; every study's counts lie at one end or the other, so that tau² has no bound" if ends else ""
            raise ConvergenceError(
                f"the integral over the random effects still changes by {error:.2g} in log-likelihood at {points} "
                f"quadrature points{why}. Remedies:\n{_REMEDIES}"
            )
    return peaks, points, error, steps


def _different(peaks: list[Peak]) -> list[Peak]:
    """Summits from the highest down, each once."""
    kept: list[Peak] = []
    for peak in sorted(peaks, key=lambda p: -p.value):
        if all(np.abs(peak.x - other.x).max() > 1e-3 * max(1.0, np.abs(other.x).max()) for other in kept):
            kept.append(peak)
    return kept


def _others(peaks: list[Peak], place: int) -> tuple[tuple[float, float], ...]:
    sound = [p for p in peaks[1:] if p.length < GRADIENT_TOLERANCE and p.x.max() < LARGEST_VARIANCE]
    return tuple((float(p.x[place]), peaks[0].value - p.value) for p in sound)


def _vouch(peak: Peak, free: tuple[str, ...]) -> None:
    """Raise unless the peak is a maximum that means something."""
    values = dict(zip(free, peak.x.tolist(), strict=True))
    for name, words in (("tau2", "tau²"), ("sigma2", "the variance of the study levels")):
        if values.get(name, 0.0) > LARGEST_VARIANCE:
            raise ConvergenceError(
                f"the likelihood keeps rising as {words} grows beyond {LARGEST_VARIANCE:g}: it has no maximum. "
                f"Remedies:\n{_REMEDIES}"
            )
    flat = bool(np.linalg.eigvalsh(peak.information).min() <= 0)
    if not flat:
        place = free.index("mu")
        se = math.sqrt(peak.covariance()[place, place])
        flat = se > LARGEST_EFFECT or abs(values["mu"]) > LARGEST_EFFECT
    if flat:
        raise ConvergenceError(
            f"the likelihood is flat around its highest point (effect {values['mu']:.4g}): the counts do not determine "
            f"the effect. Remedies:\n{_REMEDIES}"
        )
    if not peak.length < GRADIENT_TOLERANCE:
        raise ConvergenceError(
            f"the maximum was not reached: the gradient is still {peak.length:.2g} standard errors long. "
            f"Remedies:\n{_REMEDIES}"
        )
