"""The door to Bayesian pooling: a table or arrays of effects and priors in, a `BayesianMetaAnalysisResult` out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number
from metapeer.pooling.bayes import Posterior, posterior
from metapeer.pooling.intervals import Interval, check_level
from metapeer.pooling.mixtures import Mixtures
from metapeer.pooling.models import Effects, Notes, _from_arrays, read_effects, tell_dependence
from metapeer.pooling.priors import NormalPrior, TauPrior, half_normal
from metapeer.pooling.results import measure_of
from metapeer.pooling.weighted import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BayesianMetaAnalysisResult", "JointMode", "PosteriorSummary", "Shrinkage", "bayesian_meta_analysis"]

DEFAULT_SCALE = 0.5
"""Roever et al. (2021), Res Synth Methods 12:448-474: weakly informative for log odds ratios, log ratios and SMDs."""

NO_DEFAULT = ("MD", "RD", "AS")
"""Measures whose unit, or whose range, makes a heterogeneity of 0.5 mean something quite different."""


class JointMode(NamedTuple):
    """Where the joint posterior density of mean effect and heterogeneity is highest.

    Parameters
    ----------
    mu, tau : float
        The two.
    """

    mu: float
    tau: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PosteriorSummary:
    """The posterior of one quantity.

    Parameters
    ----------
    mean, sd : float
        Posterior mean and standard deviation; infinite where the integral diverges, NaN where it has no value.
    median, mode : float
        Posterior median, and where the density is highest.
    interval : Interval
        Equal-tailed credible interval.
    shortest : Interval
        Shortest credible interval, which holds the highest density if there is one peak.
    """

    mean: float
    sd: float
    median: float
    mode: float
    interval: Interval
    shortest: Interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shrinkage:
    """The posteriors of the studies' own true effects, which are pulled towards the mean effect.

    Parameters
    ----------
    mean, sd, median, mode : array of shape (k,)
        Of each study.
    low, high : array of shape (k,)
        Ends of the equal-tailed intervals.
    shortest_low, shortest_high : array of shape (k,)
        Ends of the shortest intervals.
    """

    mean: FloatArray
    sd: FloatArray
    median: FloatArray
    mode: FloatArray
    low: FloatArray
    high: FloatArray
    shortest_low: FloatArray
    shortest_high: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BayesianMetaAnalysisResult(Printable):
    """The result of `bayesian_meta_analysis`.

    Parameters
    ----------
    measure : str
        Effect measure, such as "SMD"; empty when it was not given.
    k : int
        Effects pooled.
    tau_prior, mu_prior : str
        The priors.
    mu, tau, new_study : PosteriorSummary
        Mean effect, heterogeneity (standard deviation of true effects between studies), and true effect in a new
        study, in the units of the effects (log for ratios).
    joint_mode : JointMode
        Where the joint density of the two is highest.
    shrinkage : Shrinkage
        The studies' own effects.
    bayes_factor_mu, bayes_factor_tau : float
        Bayes factor of a mean effect of zero, and of no heterogeneity, against the model: above 1 it favours zero. NaN
        where the prior of the quantity in question is improper.
    log_marginal_likelihood : float
        Of the model; a flat prior of the mean effect counts as a density of one.
    weights : array of shape (k,)
        Posterior mean of each study's weight in the mean effect, per cent.
    prior_weight : float
        Weight of a normal prior of the mean effect, per cent; zero for a flat one.
    positive_favours : str
        "arm1" (peer support) or "arm2": the arm that a positive effect favours; empty when unknown.
    level : float
        Probability that every interval holds.
    labels : tuple of str
        Names of the pooled rows.
    yi, vi : array of shape (k,)
        Effects and sampling variances; read-only.
    excluded : tuple of (str, str)
        Rows not pooled, each with the reason.
    notes : tuple of str
        What a reader must know about how this result came about.
    posterior : Posterior
        The posterior itself, for `probability_above`.
    data : DataFrame or None
        The pooled rows as they were given; use `studies` to look at them.
    """

    measure: str
    k: int
    tau_prior: str
    mu_prior: str
    mu: PosteriorSummary
    tau: PosteriorSummary
    new_study: PosteriorSummary
    joint_mode: JointMode
    shrinkage: Shrinkage
    bayes_factor_mu: float
    bayes_factor_tau: float
    log_marginal_likelihood: float
    weights: FloatArray
    prior_weight: float
    positive_favours: str
    level: float
    labels: tuple[str, ...]
    yi: FloatArray
    vi: FloatArray
    excluded: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    posterior: Posterior
    data: pd.DataFrame | None = field(default=None)

    @property
    def prediction_interval(self) -> Interval:
        """Equal-tailed interval for the true effect in a new study."""
        return self.new_study.interval

    def probability_above(self, value: float, *, of: str = "mu") -> float:
        """Posterior probability that a quantity exceeds a value.

        Parameters
        ----------
        value : float
            In the units of the effects (log for ratios).
        of : {"mu", "new_study", "tau"}, default "mu"
            Mean effect, true effect in a new study, or heterogeneity.

        Returns
        -------
        float
            Between 0 and 1.

        Raises
        ------
        ChoiceError
            If the quantity is unknown.
        MetapeerError
            If the value is not a number.
        """
        check_choice("of", of, ("mu", "new_study", "tau"))
        try:
            point = float(value)
        except (TypeError, ValueError):
            point = math.nan
        if math.isnan(point):
            raise MetapeerError(f"value {value!r} is not a number")
        if of == "tau":
            return 1.0 - self.posterior.tau_cdf(point)
        row = 0 if of == "mu" else 1
        mixture = self.posterior.effects(studies=False).block(slice(row, row + 1))
        return float(mixture.sf(np.array([[point]]))[0, 0])

    def studies(self) -> pd.DataFrame:
        """List the pooled rows with their own effects as observed and as the model sees them.

        Returns
        -------
        DataFrame
            One row per pooled effect: the columns as given, then ``label``, ``yi``, ``sei``, ``mean``, ``sd``,
            ``median``, ``mode``, ``low``, ``high``, ``shortest_low``, ``shortest_high`` (of the posterior of the
            study's true effect) and ``weight`` (per cent).
        """
        frame = pd.DataFrame(index=range(self.k)) if self.data is None else self.data.reset_index(drop=True)
        computed: dict[str, Any] = {"label": list(self.labels), "yi": self.yi.copy(), "sei": np.sqrt(self.vi)}
        computed |= {name: getattr(self.shrinkage, name).copy() for name in _COLUMNS}
        computed["weight"] = self.weights.copy()
        return frame.drop(columns=[c for c in computed if c in frame]).assign(**computed)

    def to_frame(self) -> pd.DataFrame:
        """Put the posterior summaries in a table, for machines.

        Returns
        -------
        DataFrame
            A row for each of ``mu``, ``tau`` and ``new_study``; ratios stay on the log scale, as ``scale`` says.
        """
        rows = []
        for name in ("mu", "tau", "new_study"):
            found: PosteriorSummary = getattr(self, name)
            rows.append(
                {
                    "quantity": name,
                    "measure": self.measure,
                    "scale": measure_of(self.measure).scale,
                    "k": self.k,
                    "mean": found.mean,
                    "sd": found.sd,
                    "median": found.median,
                    "mode": found.mode,
                    "low": found.interval.low,
                    "high": found.interval.high,
                    "shortest_low": found.shortest.low,
                    "shortest_high": found.shortest.high,
                    "level": self.level,
                    "tau_prior": self.tau_prior,
                    "mu_prior": self.mu_prior,
                }
            )
        return pd.DataFrame(rows)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: mean effect, effect in a new study and heterogeneity, then priors, Bayes factors and notes.
        """
        measure = measure_of(self.measure)
        title = f"Bayesian random-effects meta-analysis: {count(self.k, 'study', 'studies')}"
        if self.measure:
            title += f"\n{measure.name}"
            if self.positive_favours:
                better = "peer support" if self.positive_favours == "arm1" else "the comparison"
                title += f"; above {measure.null:g} favours {better}"
        name = self.measure or "effect"
        log = "log " if measure.scale == "log" else ""
        level = format_level(self.level)
        rows = []
        if log:
            for label, found in ((f"mean {name}", self.mu), (f"{name} in a new study", self.new_study)):
                low, high = (measure.display(end) for end in found.interval)
                rows.append(
                    (label, "", format_number(measure.display(found.median), 3), "", format_interval(low, high, 3), "")
                )
        for label, found in (
            (f"mean {log}{name}", self.mu),
            (f"{log}{name} in a new study", self.new_study),
            ("tau", self.tau),
        ):
            rows.append(
                (
                    label,
                    format_number(found.mean, 3),
                    format_number(found.median, 3),
                    format_number(found.sd, 3),
                    format_interval(found.interval.low, found.interval.high, 3),
                    format_interval(found.shortest.low, found.shortest.high, 3),
                )
            )
        notes = [f"Priors: tau {self.tau_prior}; mean effect {self.mu_prior}."]
        factors = (("mean effect", "mu", self.bayes_factor_mu), ("tau", "tau", self.bayes_factor_tau))
        told = [f"{words} = 0: {value:.3g}" for words, _, value in factors if not math.isnan(value)]
        if told:
            notes.append(f"Bayes factors (above 1 favours zero): {'; '.join(told)}.")
        notes += self.notes
        if self.excluded:
            notes.append(f"{count(len(self.excluded), 'row')} not pooled:")
            notes += [f"  {label}: {reason}" for label, reason in self.excluded]
        header = ("", "mean", "median", "sd", f"{level} equal-tailed", f"{level} shortest")
        return (TextTable(title=title, header=header, rows=rows, notes=notes),)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a forest plot of the shrinkage estimates.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure of the right height when left out.
        **options
            Passed to `forest_plot`.

        Returns
        -------
        Figure
            Posterior medians and equal-tailed intervals; what each study observed stands on the left.
        """
        from metapeer.pooling.bayes_forest import draw_shrinkage

        return draw_shrinkage(self, ax=ax, **options)


_COLUMNS = ("mean", "sd", "median", "mode", "low", "high", "shortest_low", "shortest_high")


def _refuse(name: str, value: object, remedy: str) -> NoReturn:
    raise ChoiceError(f"{name} {value!r} is not a prior; give one such as {remedy}")


def _choose_prior(tau_prior: TauPrior | None, measure: str, notes: Notes) -> TauPrior:
    if tau_prior is not None:
        return tau_prior if isinstance(tau_prior, TauPrior) else _refuse("tau_prior", tau_prior, "half_normal(0.5)")
    if measure in NO_DEFAULT:
        raise MetapeerError(
            f"tau_prior has no default for {measure}: its scale must fit the units of the effects; "
            "give one such as half_normal(scale)"
        )
    if measure in ("", "GEN"):
        notes.say(
            f"the default prior half_normal({DEFAULT_SCALE}) is meant for standardised and for log ratio measures"
        )
    return half_normal(DEFAULT_SCALE)


def _summary(
    mean: float, sd: float, places: FloatArray, mode: float, ends: FloatArray, level: float
) -> PosteriorSummary:
    low, median, high = places.tolist()
    return PosteriorSummary(
        mean=mean,
        sd=sd,
        median=median,
        mode=mode,
        interval=Interval(low, high, level, "equal-tailed"),
        shortest=Interval(float(ends[0]), float(ends[1]), level, "shortest"),
    )


def _tell(effects: Effects, found: Posterior, notes: Notes) -> None:
    tell_dependence(effects, notes)
    if not found.tau_prior.proper:
        notes.say("the prior of tau is improper: there is no Bayes factor for tau")
    if math.isinf(found.tau_mean):
        notes.say("the posterior of tau has so heavy a tail that it has no mean; use the median")
    elif math.isinf(found.tau_sd):
        notes.say("the posterior of tau has so heavy a tail that it has no standard deviation; use the intervals")
    if effects.yi.size == 1:
        notes.say("one study: tau is what its prior says, and the width of every interval with it")


def _centres(mixtures: Mixtures) -> tuple[FloatArray, FloatArray]:
    """Means and standard deviations of mixtures."""
    means = mixtures.means @ mixtures.weights
    variances = (mixtures.sds**2 + (mixtures.means - means[:, None]) ** 2) @ mixtures.weights
    return means, np.sqrt(variances)


def _summarise(
    found: Posterior, level: float
) -> tuple[PosteriorSummary, PosteriorSummary, PosteriorSummary, Shrinkage]:
    mixtures = found.effects()
    places, modes, ends = mixtures.summaries(level)
    means, sds = _centres(mixtures)
    # Heavy tails give the mean effect a mean and a variance of their own only where tau has them.
    mean = float(means[0])
    spread = float(mixtures.weights @ (mixtures.means[0] - mean) ** 2)
    mu_sd = math.sqrt(found.mean_square + spread)
    new_sd = math.sqrt(found.mean_square + spread + found.tau_sd**2 + found.tau_mean**2)
    new_mean = math.nan if math.isinf(found.tau_mean) else mean
    mu_mean = new_mean if found.mu_prior is None else mean
    tail = 0.5 * (1.0 - level)
    tau = _summary(
        found.tau_mean,
        found.tau_sd,
        found.tau_quantiles(np.array([tail, 0.5, 1.0 - tail])),
        found.tau_mode,
        np.array(found.tau_shortest(level)),
        level,
    )
    mu = _summary(mu_mean, mu_sd, places[0], float(modes[0]), ends[0], level)
    new = _summary(new_mean, new_sd, places[1], float(modes[1]), ends[1], level)
    arrays = (means[2:], sds[2:], places[2:, 1], modes[2:], places[2:, 0], places[2:, 2], ends[2:, 0], ends[2:, 1])
    columns = dict(zip(_COLUMNS, (array.copy() for array in arrays), strict=True))
    for array in columns.values():
        array.setflags(write=False)
    return mu, tau, new, Shrinkage(**columns)


def bayesian_meta_analysis(
    data: pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    tau_prior: TauPrior | None = None,
    mu_prior: NormalPrior | None = None,
    level: float = 0.95,
) -> BayesianMetaAnalysisResult:
    """Pool effects under a random-effects model with priors, by quadrature: the same answer on every run.

    Parameters
    ----------
    data : DataFrame, optional
        A table with columns ``yi`` and ``vi`` or ``sei``, as `effect_size` returns it. Rows with an
        ``exclusion_reason`` are not pooled; the result lists them.
    yi, vi, sei : array-like of shape (k,), optional
        Effects (log for ratios) with either their sampling variances or their standard errors, instead of `data`.
    labels : str or sequence of str, optional
        Names of the rows, or the column that holds them.
    measure : str, optional
        The effect measure, such as ``"SMD"``, when the table does not say.
    tau_prior : TauPrior, optional
        Prior of the heterogeneity: `half_normal`, `half_cauchy`, `half_t`, `uniform`, `lomax`, `log_normal`, `log_t`,
        `turner` or `rhodes`. By default half-normal with scale 0.5, which is weakly informative for standardised mean
        differences and for log ratios; mean differences, risk differences and arcsine differences have no default.
    mu_prior : NormalPrior, optional
        Prior of the mean effect: `normal`. Flat when left out.
    level : float, default 0.95
        Probability that every interval holds.

    Returns
    -------
    BayesianMetaAnalysisResult
        Posteriors of the mean effect, the heterogeneity, the effect in a new study and each study's own; Bayes factors.

    Raises
    ------
    DataError
        If the table or the arrays cannot be pooled; every fault is listed.
    ChoiceError
        If a prior is not one.
    MetapeerError
        If there is no default prior for the measure, or an improper prior meets too few studies.

    Warns
    -----
    DataWarning
        If one trial contributes several effects.

    References
    ----------
    Roever (2020), J Stat Softw 93(6), doi:10.18637/jss.v093.i06 (the model); Roever et al. (2021), Res Synth Methods
    12:448-474, doi:10.1002/jrsm.1475 (the default prior).

    Examples
    --------
    >>> from metapeer.pooling.bayes_models import bayesian_meta_analysis
    >>> fit = bayesian_meta_analysis(yi=[0.3, 0.9, 0.5], vi=[0.02, 0.05, 0.001], measure="SMD")
    >>> round(fit.mu.median, 3), [round(end, 3) for end in fit.mu.interval], round(fit.tau.median, 3)
    (0.513, [0.082, 1.023], 0.243)
    >>> round(fit.probability_above(0.2), 3)
    0.949
    """
    check_level(level)
    if mu_prior is not None and not isinstance(mu_prior, NormalPrior):
        _refuse("mu_prior", mu_prior, "normal(0, 1), or leave it out")
    if data is not None:
        if not isinstance(data, pd.DataFrame):
            raise MetapeerError(
                f"data is a {type(data).__name__}, not a DataFrame; pass arrays by name: "
                "bayesian_meta_analysis(yi=..., vi=...)"
            )
        if yi is not None or vi is not None or sei is not None:
            raise MetapeerError("give either a table or yi with vi or sei, not both")
        effects = read_effects(data, labels=labels, measure=measure)
    elif yi is None:
        raise MetapeerError("give a table of effects, or yi with vi or sei")
    else:
        if isinstance(labels, str):
            raise MetapeerError("labels names a column, but effects were given as arrays; give a list of names")
        effects = _from_arrays(yi, vi, sei, labels, measure)
    if effects.yi.size == 0:
        faults = [Fault(row=label, message=reason) for label, reason in effects.excluded]
        raise DataError("no effect can be pooled: the table", faults or ["has no rows"])
    notes = Notes()
    prior = _choose_prior(tau_prior, effects.measure, notes)
    for array in (effects.yi, effects.vi):
        array.setflags(write=False)
    found = posterior(effects.yi, effects.vi, prior, mu_prior)
    _tell(effects, found, notes)
    notes.warn(stacklevel=2)
    mu, tau, new_study, shrinkage = _summarise(found, level)
    weights = 100.0 * found.study_weights()
    weights.setflags(write=False)
    with np.errstate(over="ignore", under="ignore"):
        factors = np.exp([found.log_bayes_factor_mu(), found.log_bayes_factor_tau()])
    return BayesianMetaAnalysisResult(
        measure=effects.measure,
        k=effects.yi.size,
        tau_prior=str(prior),
        mu_prior="flat" if mu_prior is None else str(mu_prior),
        mu=mu,
        tau=tau,
        new_study=new_study,
        joint_mode=JointMode(mu=found.joint_mode[1], tau=found.joint_mode[0]),
        shrinkage=shrinkage,
        bayes_factor_mu=float(factors[0]),
        bayes_factor_tau=float(factors[1]),
        log_marginal_likelihood=found.log_marginal,
        weights=weights,
        prior_weight=0.0 if mu_prior is None else max(0.0, 100.0 - float(weights.sum())),
        positive_favours=effects.positive_favours,
        level=level,
        labels=effects.labels,
        yi=effects.yi,
        vi=effects.vi,
        excluded=effects.excluded,
        notes=tuple(notes.said),
        posterior=found,
        data=effects.data,
    )
