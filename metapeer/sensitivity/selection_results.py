"""What a selection model found: adjusted estimates, the weight function, tests, and the certificate of the maximum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.errors import MetapeerError
from metapeer.formatting import Printable, TextTable
from metapeer.pooling.intervals import Interval, normal_quantile
from metapeer.pooling.results import measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.selection_fit import SelectionFit
from metapeer.sensitivity.selection_options import interval_words
from metapeer.sensitivity.selection_smooth import FAMILIES, smooth_selection
from metapeer.sensitivity.selection_text import certificate_table, estimates_table, weights_table
from metapeer.sensitivity.selection_weights import cut_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LikelihoodRatio", "SelectionModelResult", "Unadjusted"]

REFERENCE_P = (0.025, 0.05)
"""A beta weight is 0 or infinite at p = 0: it is shown relative to that at this p, one-sided and two-sided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodRatio:
    """A likelihood-ratio test within a selection model.

    Parameters
    ----------
    hypothesis : str
        What is tested.
    statistic : float
        Twice the difference of maximised log-likelihoods.
    df : int
        Parameters that the hypothesis fixes.
    p_value : float
        From chi-squared; NaN where that is not the distribution.
    boundary : bool
        Whether the hypothesis lies on the edge of what is possible, so that the p value is too large.
    """

    hypothesis: str
    statistic: float
    df: int
    p_value: float
    boundary: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unadjusted:
    """Maximum likelihood for the same effects without selection.

    Parameters
    ----------
    beta, se, ci_low, ci_high : array of shape (p,)
        Coefficients, standard errors and normal limits.
    tau2 : float
        Between-study variance.
    log_likelihood : float
        At the maximum.
    """

    beta: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    tau2: float
    log_likelihood: float

    @property
    def estimate(self) -> float:
        """The first coefficient, which without moderators is the pooled effect."""
        return float(self.beta[0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SelectionModelResult(Printable):
    """The result of `selection_model`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    model : {"random", "common"}
        Whether true effects vary.
    formula : str
        The moderators as a formula; empty without moderators.
    type, alternative : str
        The weight function, and which effects a small p value favours.
    steps : tuple of float
        Steps of a step function, the threshold of a smooth one, or the cut of "trunc".
    cut : float
        Effect at which the weight changes, given or estimated; NaN for weights that depend on p.
    assumed : str
        Which published weights were assumed; empty otherwise.
    decreasing : bool
        Whether weights were kept from rising with p.
    prec : str
        Measure of imprecision in the weight; empty when there is none.
    k, trials : int
        Effects, and different trials among them.
    names : tuple of str
        The coefficients.
    beta, se, ci_low, ci_high, statistic, p_value : array of shape (p,)
        Adjusted coefficients with standard errors, limits, and normal tests that they are 0.
    covariance : array of shape (p, p)
        Of the coefficients.
    tau2, tau2_se, tau2_ci_low, tau2_ci_high : float
        Adjusted between-study variance; NaN for what has no standard error because tau2 lies on its boundary.
    weights, weights_se, weights_ci_low, weights_ci_high : array of shape (m,)
        Parameters of the weight function: the weights of a step function, or the deltas of a smooth one. NaN for limits
        of those that were given, and of those on a boundary.
    weights_ci_methods : tuple of str
        How the limits of each were made.
    weights_given : tuple of bool
        Which were not estimated.
    ci_method : {"z", "PL"}
        Intervals of coefficients and tau2.
    count_steps : tuple of float
        Intervals of p for `counts`.
    counts : tuple of int
        Effects in each of them; with a cut, those beyond it and those not.
    unadjusted : Unadjusted
        Without selection.
    selection_test, tau2_test : LikelihoodRatio or None
        Tests against no selection, and against tau2 = 0.
    log_likelihood : float
        At the maximum, with all constants but those of weights whose scale is free.
    parameters : int
        How many were estimated.
    level : float
        Confidence level of every interval.
    positive_favours : str
        The arm that a positive effect favours; empty when unknown.
    labels : tuple of str
        Names of the rows.
    yi, vi, p : array of shape (k,)
        Effects, sampling variances and p values; read-only.
    excluded : tuple of (str, str)
        Rows not used, each with the reason.
    notes : tuple of str
        What a reader must know.
    fit : SelectionFit
        The maximum and how it was found, effects turned towards what is favoured.
    sign : float
        -1 when they were turned.
    """

    measure: str
    model: str
    formula: str
    type: str
    alternative: str
    steps: tuple[float, ...]
    cut: float
    assumed: str
    decreasing: bool
    prec: str
    k: int
    trials: int
    names: tuple[str, ...]
    beta: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    covariance: FloatArray
    tau2: float
    tau2_se: float
    tau2_ci_low: float
    tau2_ci_high: float
    weights: FloatArray
    weights_se: FloatArray
    weights_ci_low: FloatArray
    weights_ci_high: FloatArray
    weights_ci_methods: tuple[str, ...]
    weights_given: tuple[bool, ...]
    ci_method: str
    count_steps: tuple[float, ...]
    counts: tuple[int, ...]
    unadjusted: Unadjusted
    selection_test: LikelihoodRatio | None
    tau2_test: LikelihoodRatio | None
    log_likelihood: float
    parameters: int
    level: float
    positive_favours: str
    labels: tuple[str, ...]
    yi: FloatArray
    vi: FloatArray
    p: FloatArray
    excluded: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    fit: SelectionFit = field(repr=False)
    sign: float = field(default=1.0, repr=False)

    @property
    def estimate(self) -> float:
        """The adjusted pooled effect; with moderators, the first coefficient."""
        return float(self.beta[0])

    @property
    def ci(self) -> Interval:
        """Its interval."""
        words = "profile likelihood" if self.ci_method == "PL" else "normal, observed information"
        return Interval(float(self.ci_low[0]), float(self.ci_high[0]), self.level, words)

    @property
    def AIC(self) -> float:  # noqa: N802  the field's name
        """Akaike's criterion."""
        return 2.0 * self.parameters - 2.0 * self.log_likelihood

    @property
    def BIC(self) -> float:  # noqa: N802  the field's name
        """The Bayesian criterion, with the number of effects."""
        return self.parameters * math.log(self.k) - 2.0 * self.log_likelihood

    @property
    def weight_names(self) -> tuple[str, ...]:
        """What the parameters of the weight function are called."""
        if self.type == "stepfun":
            return tuple(interval_words(self.steps, j) for j in range(len(self.weights)))
        if self.type in ("trunc", "truncest"):
            beyond, short = (">", "≤") if self.sign > 0 else ("<", "≥")
            shown = f"{self.cut:.4g}"
            if self.type == "truncest" and self.weights[1] < 1.0:
                beyond, short = ("≥", "<") if self.sign > 0 else ("≤", ">")
            return (f"effects {beyond} {shown}", f"effects {short} {shown}")
        return FAMILIES[self.type].names

    @property
    def certificate(self) -> dict[str, float]:
        """How the maximum was found.

        ``gradient`` is the length of the gradient in standard errors, ``curvature`` the smallest curvature in internal
        units, ``flatness`` the same with each parameter in its own units (1 when none depends on another, near 0 on a
        ridge), ``starts``, ``converged`` and ``agreeing`` count climbs, ``other_maxima`` maxima that are not the best,
        and ``quadrature_error`` is the change in log-likelihood when the panels of the integration rule are halved.
        """
        found = self.fit.optimum
        return {
            "gradient": found.peak.length,
            "curvature": found.curvature,
            "flatness": found.flatness,
            "starts": found.starts,
            "converged": found.converged,
            "agreeing": found.agreeing,
            "other_maxima": len(found.others),
            "quadrature_error": self.fit.quadrature_error,
        }

    def to_frame(self) -> pd.DataFrame:
        """Put every parameter in a row.

        Returns
        -------
        DataFrame
            ``part`` ("mean", "tau2" or "weight"), ``name``, ``estimate``, ``se``, limits with ``ci_method`` and
            ``level``, ``unadjusted`` (the estimate without selection), and whether the value was ``given``.
        """
        rows: list[dict[str, Any]] = [
            {
                "part": "mean",
                "name": name,
                "estimate": float(self.beta[j]),
                "se": float(self.se[j]),
                "ci_low": float(self.ci_low[j]),
                "ci_high": float(self.ci_high[j]),
                "ci_method": self.ci_method,
                "unadjusted": float(self.unadjusted.beta[j]),
                "given": False,
            }
            for j, name in enumerate(self.names)
        ]
        if self.model == "random":
            rows.append(
                {
                    "part": "tau2",
                    "name": "tau2",
                    "estimate": self.tau2,
                    "se": self.tau2_se,
                    "ci_low": self.tau2_ci_low,
                    "ci_high": self.tau2_ci_high,
                    "ci_method": self.ci_method,
                    "unadjusted": self.unadjusted.tau2,
                    "given": False,
                }
            )
        none = FAMILIES[self.type].none if self.type in FAMILIES else (1.0,) * len(self.weights)
        rows += [
            {
                "part": "weight",
                "name": name,
                "estimate": float(self.weights[j]),
                "se": float(self.weights_se[j]),
                "ci_low": float(self.weights_ci_low[j]),
                "ci_high": float(self.weights_ci_high[j]),
                "ci_method": self.weights_ci_methods[j],
                "unadjusted": none[j],
                "given": self.weights_given[j],
            }
            for j, name in enumerate(self.weight_names)
        ]
        return pd.DataFrame(rows).assign(level=self.level, measure=self.measure, scale=measure_of(self.measure).scale)

    def weight_function(self, p: Sequence[float] | FloatArray | None = None) -> pd.DataFrame:
        """Weights at given p values.

        Parameters
        ----------
        p : sequence of float, optional
            p values from 0 to 1, one-sided or two-sided as the model's; an even spread of their roots when left out.

        Returns
        -------
        DataFrame
            ``p``, ``weight``, ``ci_low`` and ``ci_high``. Limits of a step function are those of its weights; those of
            a smooth function are made on the logarithm by the delta method. A beta weight is relative to that at
            p = 0.025 (0.05 when two-sided). With `prec`, of the least precise study.

        Raises
        ------
        MetapeerError
            If the weight depends on effects and not on p, or a p value is not between 0 and 1.
        """
        if self.type in ("trunc", "truncest"):
            raise MetapeerError("this weight changes at an effect and is no function of p; see weights and cut")
        try:
            values = np.linspace(0.0, 1.0, 201) ** 2 if p is None else np.atleast_1d(np.asarray(p, dtype=np.float64))
        except (TypeError, ValueError):
            raise MetapeerError("p must be numbers from 0 to 1") from None
        if values.ndim != 1 or not ((values >= 0.0) & (values <= 1.0)).all():
            raise MetapeerError("p must be numbers from 0 to 1")
        if self.type == "stepfun":
            at = np.searchsorted(np.array(self.steps), values)
            columns = {
                "weight": self.weights[at],
                "ci_low": self.weights_ci_low[at],
                "ci_high": self.weights_ci_high[at],
            }
            return pd.DataFrame({"p": values, **columns})
        two_sided = self.alternative == "two-sided"
        reference = [REFERENCE_P[two_sided]] if self.type == "beta" else [0.0]
        z = np.clip(cut_points([*reference, *values.tolist()], two_sided=two_sided), -37.0, 37.0)
        peak, after = self.fit.optimum.peak, len(self.names) + int(self.model == "random")
        made = smooth_selection(
            self.type, z, np.ones(z.size), threshold=self.steps[0] if self.steps else 0.0, two_sided=two_sided
        )
        logs = made.at_data(peak.x[after:])
        log_w, slope = logs.value[1:, 0] - logs.value[0, 0], logs.first[1:, 0] - logs.first[0, 0]
        half = np.full(values.size, math.nan)
        if peak.inner[after:].all():
            spread = peak.covariance()[after:, after:]
            half = normal_quantile(self.level) * np.sqrt(np.einsum("np,pq,nq->n", slope, spread, slope))
        with np.errstate(over="ignore"):  # a limit may be without end
            limits = {"ci_low": np.exp(log_w - half), "ci_high": np.exp(log_w + half)}
        return pd.DataFrame({"p": values, "weight": np.exp(log_w), **limits})

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            Estimates beside those without selection, then the weight function, then tests and notes.
        """
        return estimates_table(self), weights_table(self), certificate_table(self)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the weight function over p, with its interval and a mark for each study.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `selection_plot` takes: ``title``, ``notes``,
            ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.

        Raises
        ------
        MetapeerError
            If the weight is no function of p.
        """
        from metapeer.plots.selection import selection_plot

        if self.type == "stepfun":
            edges = (0.0, *self.steps, 1.0)
            table = pd.concat(
                [
                    self.weight_function([edges[j + 1]] * 2).assign(p=[edges[j], edges[j + 1]])
                    for j in range(len(self.weights))
                ]
            )
        else:
            table = self.weight_function()
        two_sided = self.alternative == "two-sided"
        settings: dict[str, Any] = {
            "p": self.p,
            "x_label": f"p value ({'two' if two_sided else 'one'}-sided)",
            "y_label": "Relative weight" + (f" (1 at p = {REFERENCE_P[two_sided]:g})" if self.type == "beta" else ""),
        }
        return selection_plot(table.reset_index(drop=True), level=self.level, ax=ax, **{**settings, **options})
