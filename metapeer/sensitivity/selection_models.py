"""The door to selection models: effects and a weight function in, a `SelectionModelResult` out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError, DataError, check_choice
from metapeer.formatting import count
from metapeer.pooling.intervals import chi2_tail, normal_quantile
from metapeer.pooling.models import Model, Notes
from metapeer.pooling.regression_results import MetaRegressionResult
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import FloatArray, coefficients, log_likelihood
from metapeer.sensitivity.selection_fit import SelectionFit, fit_selection, fit_truncation, is_ridge, profile_limits
from metapeer.sensitivity.selection_inputs import SelectionInput, imprecision, read_selection_input
from metapeer.sensitivity.selection_options import (
    Alternative,
    Precision,
    SelectionPlan,
    SelectionType,
    Weights,
    interval_words,
    selection_plan,
)
from metapeer.sensitivity.selection_results import LikelihoodRatio, SelectionModelResult, Unadjusted
from metapeer.sensitivity.selection_smooth import FAMILIES, smooth_selection
from metapeer.sensitivity.selection_weights import Selection, cut_points, p_values, step_selection
from metapeer.sensitivity.selection_words import tell_data, tell_fit

__all__ = ["selection_model"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Problem:
    """Effects turned towards what is favoured, and the weight function that goes with them."""

    given: SelectionInput
    plan: SelectionPlan
    y: FloatArray
    p: FloatArray
    group: "np.typing.NDArray[np.intp]"
    counts: tuple[int, ...]

    @property
    def random(self) -> bool:
        return self.given.model == "random"

    def make(self, scaled: FloatArray, s: FloatArray, refinement: int) -> Selection:
        """The weight function for effects and standard errors in internal units."""
        plan = self.plan
        if plan.type == "trunc":
            scale = float(s[0]) / math.sqrt(float(self.given.vi[0]))
            cuts = np.full((scaled.size, 1), plan.sign * plan.steps[0] * scale)
            return step_selection(cuts, self.group, fixed=[1.0, None if self.counts[1] else 0.0])
        if plan.type == "stepfun":
            return step_selection(
                s[:, None] * cut_points(plan.steps, two_sided=plan.two_sided),
                self.group,
                fixed=self.fixed(),
                decreasing=plan.decreasing,
                two_sided=plan.two_sided,
            )
        return smooth_selection(
            plan.type,
            scaled / s,
            s,
            prec=imprecision(self.given, plan.prec),
            threshold=plan.steps[0] if plan.steps else 0.0,
            two_sided=plan.two_sided,
            refinement=refinement,
        )

    def fixed(self) -> list[float | None]:
        """Weights that are known: the likelihood is highest where the weight of an empty interval is 0."""
        last = max(j for j, number in enumerate(self.counts) if number)
        return [
            0.0 if value is None and not number and (not self.plan.decreasing or j > last) else value
            for j, (value, number) in enumerate(zip(self.plan.fixed, self.counts, strict=True))
        ]

    def solve(self, *, random: bool, basis_last: int | None = None) -> SelectionFit:
        return fit_selection(self.y, self.given.vi, self.given.X, self.make, random=random, basis_last=basis_last)


def _problem(given: SelectionInput, plan: SelectionPlan) -> _Problem:
    y = plan.sign * given.yi
    p = p_values(y / np.sqrt(given.vi), two_sided=plan.two_sided)
    if plan.type == "trunc":
        group, size = (y <= plan.sign * plan.steps[0]).astype(np.intp), 2
    else:
        group = np.searchsorted(np.array(plan.count_steps), p)  # p equal to a step belongs to the interval ending there
        size = len(plan.count_steps) + 1
    return _Problem(
        given=given, plan=plan, y=y, p=p, group=group, counts=tuple(np.bincount(group, minlength=size).tolist())
    )


def _check(problem: _Problem, parameters: int) -> None:
    """Refuse what has no maximum whatever the search."""
    plan, counts, k = problem.plan, problem.counts, problem.y.size
    faults = []
    if k < parameters or k == 0:
        faults.append(f"{count(k, 'effect')} cannot tell {count(parameters, 'parameter')}; choose a simpler model")
    if None in plan.fixed and not counts[0] and not plan.decreasing:
        faults.append(
            f"none has {interval_words(plan.steps, 0)} (alternative {plan.alternative!r}), the interval that the other "
            "weights are relative to, so that these would be infinite; begin with a larger step, turn alternative "
            "round if effects of the other sign are the favoured ones, or assume weights"
        )
    faults += [
        f"the weight of {interval_words(plan.steps, j)} is given as 0, but {count(counts[j], 'effect')} "
        f"{'lies' if counts[j] == 1 else 'lie'} there"
        for j, value in enumerate(plan.fixed)
        if value == 0.0 and counts[j]
    ]
    if faults:
        raise DataError("the effects", faults)


def _unadjusted(given: SelectionInput) -> Unadjusted:
    """Maximum likelihood without selection, from the same effects and moderators."""
    X = given.X
    tau2 = 0.0
    if given.model == "random" and given.yi.size > X.shape[1]:
        tau2 = maximise(given.yi, given.vi, X if X.shape[1] > 1 else None, restricted=False).tau2
    found = coefficients(given.yi, given.vi, tau2, X)
    se = np.sqrt(np.diag(found.covariance))
    half = normal_quantile(given.level) * se
    for array in (found.beta, se):
        array.setflags(write=False)
    return Unadjusted(
        beta=found.beta,
        se=se,
        ci_low=found.beta - half,
        ci_high=found.beta + half,
        tau2=tau2,
        log_likelihood=float(log_likelihood(given.yi, given.vi, np.array([tau2]), X, restricted=False)[0]),
    )


def selection_model(
    data: MetaAnalysisResult | MetaRegressionResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    moderators: str | Sequence[str] | None = None,
    formula: str | None = None,
    reference: Mapping[str, str] | None = None,
    model: Model | None = None,
    type: SelectionType = "stepfun",  # noqa: A002  the field's name
    alternative: Alternative = "greater",
    steps: float | Sequence[float] | None = None,
    weights: Weights | None = None,
    decreasing: bool = False,
    prec: Precision | None = None,
    ci_method: Literal["z", "PL"] = "z",
    level: float | None = None,
    preset: Literal["3PSM", "4PSM"] | None = None,
) -> SelectionModelResult:
    """Estimate effects and how results were selected by their p values, both at once, by maximum likelihood.

    A study with p value p is taken to be seen with a probability proportional to a weight w(p). The mean and variance
    are those of the studies before selection, if the weight function is the right one. That cannot be known: compare
    several.

    Parameters
    ----------
    data : MetaAnalysisResult, MetaRegressionResult or DataFrame, optional
        A fit, whose effects, moderators, model and level are used; or a table with ``yi`` and ``vi`` or ``sei``.
    yi, vi, sei, labels, measure
        As in `meta_analysis`.
    moderators, formula, reference
        As in `meta_regression`, with a table.
    model : {"random", "common"}, optional
        Whether true effects vary; random when left out, or as in the fit.
    type : str, default "stepfun"
        The weight function: "stepfun" (constant between `steps`), "beta", "halfnorm", "negexp", "logistic", "power" or
        "negexppow" (smooth in p), "trunc" (one weight for effects below a cut and one above) or "truncest" (the same
        with an estimated cut).
    alternative : {"greater", "less", "two-sided"}, default "greater"
        Which effects are favoured when p is small: positive ones, negative ones, or both alike. p is one-sided, or
        two-sided with "two-sided".
    steps : float or sequence of float, optional
        p values where a step function changes; 0.025 when left out, or 0.05 when two-sided. Of a smooth function: the p
        value up to which the weight is 1. With "trunc": the effect at which the weight changes; 0 when left out.
    weights : sequence of float or None, or {"moderate", "severe"}, optional
        Weights of a step function that are assumed and not estimated, one for each interval; None in it stands for one
        to be estimated. "moderate" and "severe" are the examples of Vevea and Woods.
    decreasing : bool, default False
        Whether no weight of a step function may exceed the one before it.
    prec : {"sei", "vi", "ninv", "sqrtninv"}, optional
        What the parameter of a smooth function is multiplied by, in parts of its largest value, so that imprecise
        studies are selected more strictly: standard error, variance, one over the sample size or over its root.
    ci_method : {"z", "PL"}, default "z"
        Intervals: normal ones from the observed information, those of variance and weights cut at 0; or by profile
        likelihood.
    level : float, optional
        Level of every interval; 0.95 when left out, or as in the fit.
    preset : {"3PSM", "4PSM"}, optional
        The three-parameter model (step 0.025) and the four-parameter model (steps 0.025 and 0.5).

    Returns
    -------
    SelectionModelResult
        Adjusted and unadjusted estimates, tau2, the weight function, tests, and how the maximum was found.

    Raises
    ------
    DataError
        If the table cannot be used, there are fewer effects than parameters, or no effect lies in the first interval of
        a step function.
    ChoiceError
        If an option is unknown or has no effect with the others.
    ConvergenceError
        If the likelihood has no maximum, or the best one found is no maximum.

    Warns
    -----
    DataWarning
        If trials contribute several effects, effects are few, an interval of p holds three or fewer, the likelihood is
        nearly flat or has other maxima, or the pooled effect goes against the alternative.

    References
    ----------
    Hedges (1992), Stat Sci 7:246-255; Vevea & Hedges (1995), Psychometrika 60:419-435; Preston, Ashby & Smyth (2004),
    J Eval Clin Pract 10:253-258; Vevea & Woods (2005), Psychol Methods 10:428-443; Citkowicz & Vevea (2017), Psychol
    Methods 22:28-41.

    Examples
    --------
    >>> import warnings
    >>> from metapeer.sensitivity.selection_models import selection_model
    >>> yi = [0.03, 0.12, -0.14, 1.18, 0.26, -0.06, -0.02, -0.32, 0.27, 0.8, 0.54, 0.18, -0.02, 0.23, -0.18, -0.06]
    >>> sei = [0.13, 0.15, 0.17, 0.37, 0.37, 0.10, 0.10, 0.22, 0.16, 0.25, 0.30, 0.22, 0.29, 0.29, 0.16, 0.17]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # two effects with p up to 0.025: the result says so
    ...     fit = selection_model(yi=yi, sei=sei, preset="3PSM")
    >>> round(fit.unadjusted.estimate, 3), round(fit.estimate, 3), fit.weights.round(2).tolist(), fit.counts
    (0.085, 0.008, [1.0, 0.2], (2, 14))
    """
    check_choice("ci_method", ci_method, ("z", "PL"))
    plan = selection_plan(
        type=type,
        alternative=alternative,
        steps=steps,
        weights=weights,
        decreasing=decreasing,
        prec=prec,
        preset=preset,
    )
    if ci_method == "PL" and type == "truncest":
        raise ChoiceError("with an estimated cut the likelihood has jumps and no profile; use ci_method='z'")
    given = read_selection_input(
        data,
        {"yi": yi, "vi": vi, "sei": sei},
        labels=labels,
        measure=measure,
        moderators=moderators,
        formula=formula,
        reference=reference,
        model=model,
        level=level,
    )
    problem = _problem(given, plan)
    parameters = given.X.shape[1] + int(problem.random) + plan.free
    _check(problem, parameters)
    unadjusted = _unadjusted(given)
    cut, counts = math.nan, problem.counts
    if plan.type == "truncest":
        fit, cut, below = fit_truncation(problem.y, given.vi, given.X, random=problem.random)
        cut, counts = plan.sign * cut, (problem.y.size - below, below)
    else:
        fit = problem.solve(random=problem.random)
        if plan.type == "trunc":
            cut = plan.steps[0]
    notes = Notes()
    tell_data(plan, counts, given.yi.size, given.trials, unadjusted, notes)
    tell_fit(plan, fit, plan.sign * fit.beta, counts, random=problem.random, notes=notes)
    if plan.type != "truncest" and given.X.shape[1] == 1 and is_ridge(fit, 0, given.level):
        notes.doubt(
            "the likelihood falls off slowly along a ridge, on which tau² and the weights make up for another effect: "
            "values three times as far away as the normal interval reaches are not rejected; "
            + ("the profile-likelihood interval shows it" if ci_method == "PL" else "see ci_method='PL'")
        )
    result = _result(problem, fit, unadjusted, cut, counts, parameters, ci_method, tuple(notes.said))
    notes.warn(stacklevel=2)
    return result


def _result(
    problem: _Problem,
    fit: SelectionFit,
    unadjusted: Unadjusted,
    cut: float,
    counts: tuple[int, ...],
    parameters: int,
    ci_method: str,
    said: tuple[str, ...],
) -> SelectionModelResult:
    """Put the parts together."""
    given, plan, random = problem.given, problem.plan, problem.random
    quantile = normal_quantile(given.level)
    after = given.X.shape[1] + int(random)
    beta, se = plan.sign * fit.beta, np.sqrt(np.diag(fit.beta_covariance))
    low, high = beta - quantile * se, beta + quantile * se
    tau2 = (max(0.0, fit.tau2 - quantile * fit.tau2_se), fit.tau2 + quantile * fit.tau2_se)
    if math.isnan(fit.tau2_se):
        tau2 = (math.nan, math.nan)
    known = np.array([value is not None for value in plan.fixed] or [plan.type in ("trunc", "truncest"), False])
    known = known[: fit.delta.size] if plan.type not in FAMILIES else np.zeros(fit.delta.size, dtype=np.bool_)
    weights_se = np.where(known, np.nan, np.sqrt(np.diag(fit.delta_covariance)))
    # Estimated weights of empty intervals are 0 and hang on no parameter: they have no error either.
    weights_se[weights_se == 0.0] = np.nan
    w_low, w_high = np.maximum(fit.delta - quantile * weights_se, 0.0), fit.delta + quantile * weights_se
    methods = ["" if given_weight else "z" for given_weight in known.tolist()]
    if ci_method == "PL":
        low, high = _profiled_coefficients(problem, fit)
        if random:
            ends = profile_limits(fit, given.X.shape[1], given.level)
            tau2 = (fit.unit**2 * ends[0].value, fit.unit**2 * ends[1].value)
        w_low, w_high, methods = _profiled_weights(fit, given.level, (w_low, w_high), methods, after=after)
    statistic = beta / se
    p_of_beta = np.array([chi2_tail(float(value) ** 2, 1.0) for value in statistic])
    for array in (
        beta,
        se,
        low,
        high,
        statistic,
        p_of_beta,
        fit.delta,
        weights_se,
        w_low,
        w_high,
        given.yi,
        given.vi,
        problem.p,
    ):
        array.setflags(write=False)
    return SelectionModelResult(
        measure=given.measure,
        model=given.model,
        formula=given.formula,
        type=plan.type,
        alternative=plan.alternative,
        steps=plan.steps,
        cut=cut,
        assumed=plan.assumed,
        decreasing=plan.decreasing,
        prec=plan.prec,
        k=given.yi.size,
        trials=given.trials,
        names=given.names,
        beta=beta,
        se=se,
        ci_low=low,
        ci_high=high,
        statistic=statistic,
        p_value=p_of_beta,
        covariance=fit.beta_covariance,
        tau2=fit.tau2,
        tau2_se=fit.tau2_se,
        tau2_ci_low=tau2[0],
        tau2_ci_high=tau2[1],
        weights=fit.delta,
        weights_se=weights_se,
        weights_ci_low=w_low,
        weights_ci_high=w_high,
        weights_ci_methods=tuple(methods),
        weights_given=tuple(known.tolist()),
        ci_method=ci_method,
        count_steps=plan.count_steps,
        counts=counts,
        unadjusted=unadjusted,
        selection_test=_selection_test(plan, fit, unadjusted),
        tau2_test=_tau2_test(problem, fit),
        log_likelihood=fit.log_likelihood,
        parameters=parameters,
        level=given.level,
        positive_favours=given.positive_favours,
        labels=given.labels,
        yi=given.yi,
        vi=given.vi,
        p=problem.p,
        excluded=given.excluded,
        notes=said,
        fit=fit,
        sign=plan.sign,
    )


def _profiled_coefficients(problem: _Problem, fit: SelectionFit) -> tuple[FloatArray, FloatArray]:
    """Profile-likelihood limits of the coefficients, each as an internal parameter of its own."""
    given = problem.given
    p = given.X.shape[1]
    low, high = np.empty(p), np.empty(p)
    for j in range(p):
        turned = fit if p == 1 else problem.solve(random=problem.random, basis_last=j)
        slope = problem.plan.sign * float(turned.basis[j, p - 1])
        ends = [slope * end.value for end in profile_limits(turned, p - 1, given.level)]
        low[j], high[j] = min(ends), max(ends)
    return low, high


def _profiled_weights(
    fit: SelectionFit, level: float, limits: tuple[FloatArray, FloatArray], methods: list[str], *, after: int
) -> tuple[FloatArray, FloatArray, list[str]]:
    """Profile-likelihood limits of every reported parameter that hangs on one internal parameter alone."""
    natural = fit.likelihood.selection.natural
    psi = fit.optimum.peak.x[after:]
    moves = natural(psi)[1] != 0.0
    low, high, methods = limits[0].copy(), limits[1].copy(), list(methods)
    if (moves.sum(axis=0) > 1).any():  # ordered weights share their parameters
        return low, high, methods
    for j in np.flatnonzero(moves.any(axis=1)).tolist():
        index = int(np.flatnonzero(moves[j])[0])
        ends = []
        for end in profile_limits(fit, after + index, level):
            at = psi.copy()
            at[index] = end.value
            ends.append(float(natural(at)[0][j]) if math.isfinite(end.value) else max(0.0, end.value))
        low[j], high[j] = ends
        methods[j] = "PL"
    return low, high, methods


def _selection_test(plan: SelectionPlan, fit: SelectionFit, unadjusted: Unadjusted) -> LikelihoodRatio | None:
    """Likelihood-ratio test of no selection; none where weights other than 1 were given."""
    if not plan.free or any(value not in (None, 1.0) for value in plan.fixed):
        return None
    statistic = max(0.0, 2.0 * (fit.log_likelihood - unadjusted.log_likelihood))
    smooth = plan.type in FAMILIES
    regular = FAMILIES[plan.type].regular if smooth else plan.type != "truncest"
    return LikelihoodRatio(
        hypothesis="no selection",
        statistic=statistic,
        df=plan.free,
        p_value=chi2_tail(statistic, plan.free) if regular else math.nan,
        boundary=plan.decreasing or (smooth and 0.0 in FAMILIES[plan.type].none),
    )


def _tau2_test(problem: _Problem, fit: SelectionFit) -> LikelihoodRatio | None:
    """Likelihood-ratio test of tau2 = 0 under the same kind of selection."""
    if not problem.random:
        return None
    searched = problem.plan.type == "truncest"
    height = fit.log_likelihood
    if fit.tau2 > 0.0 and searched:
        found, _, _ = fit_truncation(problem.y, problem.given.vi, problem.given.X, random=False)
        height = found.log_likelihood
    elif fit.tau2 > 0.0:
        height = problem.solve(random=False).log_likelihood
    statistic = max(0.0, 2.0 * (fit.log_likelihood - height))
    return LikelihoodRatio(
        hypothesis="tau² = 0",
        statistic=statistic,
        df=1,
        p_value=math.nan if searched else chi2_tail(statistic, 1.0),
        boundary=True,
    )
