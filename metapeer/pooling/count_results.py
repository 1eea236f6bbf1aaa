"""What models of counts found: complete at birth and never edited."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.effects.measures import EVENTS, GROUP_EVENTS, GROUP_RATE, RATES
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number, format_p
from metapeer.pooling.intervals import Interval, normal_quantile
from metapeer.pooling.results import measure_of
from metapeer.pooling.weighted import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BetaBinomialResult", "CountModelResult", "GlmmResult"]

Row = tuple[str, str, str, str]

_STUDY_INTERVALS = "Study intervals: normal, half an event added where a count is zero."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CountModelResult(Printable):
    """What the results of all models of counts have in common.

    Parameters
    ----------
    measure : str
        Effect measure, such as "OR".
    model : {"random", "common"}
        Whether true effects (or risks) are taken to vary between studies or to be one.
    weighting : str
        How studies were combined, in words.
    k, trials : int
        Rows pooled, and different trials among them.
    participants : int or None
        Sum over trials of the participants of the trial's largest row; None for person-time.
    double_zero : int
        Studies among them without events, or with nothing but events, in both arms.
    estimate, se : float
        Pooled effect (on the scale of `yi`) and its standard error.
    ci : Interval
        Confidence interval of `estimate`.
    ci_method : str
        "z" or "t".
    statistic, p_value : float
        Test that the pooled effect is zero.
    df : float or None
        Degrees of freedom of the test; None for the normal distribution.
    log_likelihood : float
        At the maximum, with all constants.
    gradient : float
        Length of its gradient there, in standard errors.
    iterations : int
        Newton steps, over all starts.
    positive_favours : str
        "arm1" (peer support) or "arm2": the arm that a positive effect favours; empty when unknown.
    level : float
        Confidence level of every interval.
    labels : tuple of str
        Names of the pooled rows.
    yi, vi : array of shape (k,)
        Each row's own effect and variance, for display: half an event is added where a count of zero leaves them
        undefined. The model does not use them. Read-only.
    excluded : tuple of (str, str)
        Rows not pooled, each with the reason.
    notes : tuple of str
        What a reader must know about how this result came about.
    data : DataFrame
        The pooled rows as they were given.
    """

    measure: str
    model: str
    weighting: str
    k: int
    trials: int
    participants: int | None
    double_zero: int
    estimate: float
    se: float
    ci: Interval
    ci_method: str
    statistic: float
    df: float | None
    p_value: float
    log_likelihood: float
    gradient: float
    iterations: int
    positive_favours: str
    level: float
    labels: tuple[str, ...]
    yi: FloatArray
    vi: FloatArray
    excluded: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    data: pd.DataFrame

    def studies(self) -> pd.DataFrame:
        """List the pooled rows with their own effects.

        Returns
        -------
        DataFrame
            The columns as given, then ``label``, ``yi``, ``sei``, ``ci_low`` and ``ci_high`` (normal intervals).
        """
        sei = np.sqrt(self.vi)
        half = normal_quantile(self.level) * sei
        computed: dict[str, Any] = {
            "label": list(self.labels),
            "yi": self.yi.copy(),
            "sei": sei,
            "ci_low": self.yi - half,
            "ci_high": self.yi + half,
        }
        return self.data.drop(columns=[c for c in computed if c in self.data]).assign(**computed)

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row, for machines and for stacking results on one another.

        Returns
        -------
        DataFrame
            One row, in the units of `yi`, as ``scale`` says.
        """
        row: dict[str, Any] = {
            "measure": self.measure,
            "scale": measure_of(self.measure).scale,
            "model": self.model,
            "weighting": self.weighting,
            "k": self.k,
            "trials": self.trials,
            "participants": self.participants,
            "double_zero": self.double_zero,
            "estimate": self.estimate,
            "se": self.se,
            "ci_low": self.ci.low,
            "ci_high": self.ci.high,
            "level": self.level,
            "ci_method": self.ci_method,
            "statistic": self.statistic,
            "df": math.nan if self.df is None else self.df,
            "p_value": self.p_value,
            **self._more_columns(),
            "log_likelihood": self.log_likelihood,
            "gradient": self.gradient,
            "iterations": self.iterations,
            "excluded": len(self.excluded),
            "positive_favours": self.positive_favours,
        }
        return pd.DataFrame([row])

    def _more_columns(self) -> dict[str, Any]:
        raise NotImplementedError

    def _more_rows(self) -> list[Row]:
        raise NotImplementedError

    def _title(self) -> str:
        raise NotImplementedError

    def _between(self, interval: Interval) -> str:
        measure = measure_of(self.measure)
        return format_interval(measure.display(interval.low), measure.display(interval.high), digits=3)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: what was pooled, the estimate, the heterogeneity, and the notes.
        """
        measure = measure_of(self.measure)
        size = count(self.k, "study", "studies") if self.trials == self.k else count(self.k, "row")
        if self.trials != self.k:
            size += f" from {count(self.trials, 'trial')}"
        if self.participants is not None:
            size += f", {count(self.participants, 'participant')}"
        title = f"{self._title()}: {size}; {self.weighting}\n{measure.name}"
        if self.positive_favours:
            better = "peer support" if self.positive_favours == "arm1" else "the comparison"
            title += f"; above {measure.null:g} favours {better}"
        test = f"; p {_p_words(self.p_value)}" if measure.has_null else ""
        rows = [
            (
                f"{self.measure} ({format_level(self.level)} CI)",
                format_number(measure.display(self.estimate), 3),
                self._between(self.ci),
                f"{self.ci.method}{test}",
            )
        ]
        if measure.scale != "identity":
            ends = format_interval(self.ci.low, self.ci.high, 4)
            rows.append(("on the scale pooled", format_number(self.estimate, 4), ends, measure.scale))
        rows += self._more_rows()
        rows.append(("log-likelihood", format_number(self.log_likelihood, 4), "", ""))
        notes = list(self.notes)
        if self.excluded:
            notes.append(f"{count(len(self.excluded), 'row')} not pooled:")
            notes += [f"  {label}: {reason}" for label, reason in self.excluded]
        return (TextTable(title=title, header=("", "", "", ""), rows=rows, notes=notes),)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a forest plot: the studies' counts and own effects, and what the model made of them.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure of the right height when left out.
        **options
            Passed to `forest_plot`; they override what is chosen here.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.plots.forest import forest_plot

        measure = measure_of(self.measure)
        log_scale = measure.scale == "log"
        frame, left = self._forest_rows()
        if not log_scale:
            for column in ("estimate", "ci_low", "ci_high"):
                frame[column] = [measure.display(value) for value in frame[column]]
        sides = ("Favours comparison", "Favours peer support")
        settings: dict[str, Any] = {
            "left": left,
            "axis_label": measure.name[0].upper() + measure.name[1:],
            "log_scale": log_scale,
            "favours": {"arm1": sides, "arm2": (sides[1], sides[0])}.get(self.positive_favours),
            "reference": self.estimate if log_scale else measure.display(self.estimate),
            "level": self.level,
            "notes": [f"Pooled: {self.weighting}; interval: {self.ci.method}.", _STUDY_INTERVALS],
            **options,
        }
        return forest_plot(frame, ax=ax, **settings)

    def _forest_rows(self) -> tuple[pd.DataFrame, dict[str, tuple[str, str] | str]]:
        studies = self.studies()
        columns = measure_of(self.measure).columns
        words = {EVENTS: "Events/total", GROUP_EVENTS: "Events/total", RATES: "Events/time", GROUP_RATE: "Events/time"}
        pairs = list(zip(columns[::2], columns[1::2], strict=True))
        headings = ("Peer support", "Comparison") if len(pairs) == 2 else ("",)
        left: dict[str, tuple[str, str] | str] = {
            f"text_{events}": (heading, words[columns]) if heading else words[columns]
            for heading, (events, _) in zip(headings, pairs, strict=True)
        }
        frame = studies[["label", "yi", "ci_low", "ci_high"]].rename(columns={"yi": "estimate"}).assign(kind="study")
        for events, size in pairs:
            frame[f"text_{events}"] = [f"{e:g}/{s:g}" for e, s in studies[[events, size]].astype(float).to_numpy()]
        pooled = [
            {
                "kind": "summary",
                "label": self._title(),
                "estimate": self.estimate,
                "ci_low": self.ci.low,
                "ci_high": self.ci.high,
            },
            *self._more_forest_rows(),
        ]
        frame = pd.concat([frame, pd.DataFrame(pooled)], ignore_index=True)
        for column in left:
            frame[column] = frame[column].fillna("").astype(str)
        return frame, left

    def _more_forest_rows(self) -> list[dict[str, Any]]:
        return []


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GlmmResult(CountModelResult):
    """The result of `glmm_meta_analysis`, with what `CountModelResult` has.

    Parameters
    ----------
    glmm : str
        The model's code: "UM.FS", "UM.RS", "CM.EL" or "CM.AL"; empty for one group.
    prediction_interval : Interval or None
        Interval for the true effect in a new trial; None when there is none.
    prediction_method : str
        Its code; empty when there is none.
    tau2, tau2_se : float
        Variance of the true effects between studies, zero under a common effect, and its standard error: NaN when
        tau2 lies on the boundary.
    tau2_method : str
        "ML"; empty under a common effect.
    I2, H2 : float
        I² (per cent) and H² from tau2 and the typical sampling variance of `yi`; NaN under a common effect.
    level_mean, level_variance : float
        Mean and variance of the studies' levels (log odds or log rates between the arms); NaN unless they are random.
    log_likelihood_common : float
        Log-likelihood at its largest with tau2 = 0.
    tau2_lrt, tau2_lrt_p : float
        Likelihood ratio test of tau2 = 0, against half of chi-squared with one degree of freedom; NaN under a common
        effect.
    Q_LRT, Q_LRT_df, Q_LRT_p : float, int, float
        Likelihood ratio test of one effect against an effect for each study; for random study effects the levels are
        those of arm 2. NaN where the model with an effect for each study has no maximum.
    Q_Wald, Q_Wald_df, Q_Wald_p : float, int, float
        Its Wald test, without the studies whose own effect is infinite.
    points : int
        Quadrature points in each dimension.
    quadrature_error : float
        By how much the log-likelihood changed when the points were last raised.
    other_maxima : tuple of (float, float)
        tau2 at other local maxima, and how far below the best each lies in log-likelihood.
    """

    glmm: str
    prediction_interval: Interval | None
    prediction_method: str
    tau2: float
    tau2_se: float
    tau2_method: str
    I2: float
    H2: float
    level_mean: float
    level_variance: float
    log_likelihood_common: float
    tau2_lrt: float
    tau2_lrt_p: float
    Q_LRT: float
    Q_LRT_df: int
    Q_LRT_p: float
    Q_Wald: float
    Q_Wald_df: int
    Q_Wald_p: float
    points: int
    quadrature_error: float
    other_maxima: tuple[tuple[float, float], ...]

    @property
    def tau(self) -> float:
        """Between-study standard deviation, in the units of the effects."""
        return math.sqrt(self.tau2)

    def _title(self) -> str:
        return "Random-effects model" if self.model == "random" else "Common-effect model"

    def _more_columns(self) -> dict[str, Any]:
        low, high = (math.nan, math.nan) if self.prediction_interval is None else self.prediction_interval
        return {
            "glmm": self.glmm,
            "pi_low": low,
            "pi_high": high,
            "prediction_method": self.prediction_method,
            "tau2": self.tau2,
            "tau2_se": self.tau2_se,
            "tau2_method": self.tau2_method,
            "I2": self.I2,
            "H2": self.H2,
            "level_mean": self.level_mean,
            "level_variance": self.level_variance,
            "tau2_lrt": self.tau2_lrt,
            "tau2_lrt_p": self.tau2_lrt_p,
            "Q_LRT": self.Q_LRT,
            "Q_LRT_df": self.Q_LRT_df,
            "Q_LRT_p": self.Q_LRT_p,
            "Q_Wald": self.Q_Wald,
            "Q_Wald_df": self.Q_Wald_df,
            "Q_Wald_p": self.Q_Wald_p,
            "points": self.points,
        }

    def _more_rows(self) -> list[Row]:
        rows: list[Row] = []
        if self.prediction_interval is not None:
            between = self._between(self.prediction_interval)
            rows.append(
                (f"{format_level(self.level)} prediction interval", "", between, self.prediction_interval.method)
            )
        if self.model == "random":
            how = "ML" if math.isnan(self.tau2_se) else f"ML; standard error {format_number(self.tau2_se, 4)}"
            rows += [
                ("tau²", format_number(self.tau2, 4), "", how),
                ("I² from tau²", f"{format_number(self.I2, 1)}%", "", "approximate"),
                ("test of tau² = 0", format_number(self.tau2_lrt, 2), "", f"p {_p_words(self.tau2_lrt_p)}"),
            ]
        if not math.isnan(self.level_variance):
            rows.append(("variance of study levels", format_number(self.level_variance, 4), "", "ML"))
        for name, value, df, p in (
            ("likelihood ratio", self.Q_LRT, self.Q_LRT_df, self.Q_LRT_p),
            ("Wald", self.Q_Wald, self.Q_Wald_df, self.Q_Wald_p),
        ):
            if df and not math.isnan(value):
                rows.append((f"homogeneity, {name}", format_number(value, 2), "", f"{df} df; p {_p_words(p)}"))
        return rows

    def _more_forest_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        if self.prediction_interval is not None:
            low, high = self.prediction_interval
            label = f"{format_level(self.level)} prediction interval"
            rows.append({"kind": "prediction", "label": label, "ci_low": low, "ci_high": high})
        if self.model == "random":
            test = f"test of τ² = 0: p {_p_words(self.tau2_lrt_p)}"
            rows.append({"kind": "text", "label": f"τ² = {format_number(self.tau2, 4)} (ML), {test}"})
        return rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BetaBinomialResult(CountModelResult):
    """The result of `beta_binomial_meta_analysis`, with what `CountModelResult` has.

    Parameters
    ----------
    risk1, risk2 : float
        Mean risk in each arm.
    rho, rho_se : float
        Correlation within arms, and its standard error: NaN when rho lies on the boundary.
    rho_lrt, rho_lrt_p : float
        Likelihood ratio test of rho = 0, against half of chi-squared with one degree of freedom.
    """

    risk1: float
    risk2: float
    rho: float
    rho_se: float
    rho_lrt: float
    rho_lrt_p: float

    def _title(self) -> str:
        return "Beta-binomial model"

    def _more_columns(self) -> dict[str, Any]:
        return {
            "risk1": self.risk1,
            "risk2": self.risk2,
            "rho": self.rho,
            "rho_se": self.rho_se,
            "rho_lrt": self.rho_lrt,
            "rho_lrt_p": self.rho_lrt_p,
        }

    def _more_rows(self) -> list[Row]:
        how = "ML" if math.isnan(self.rho_se) else f"ML; standard error {format_number(self.rho_se, 4)}"
        return [
            ("mean risk, peer support", format_number(self.risk1, 4), "", ""),
            ("mean risk, comparison", format_number(self.risk2, 4), "", ""),
            ("correlation within arms", format_number(self.rho, 4), "", how),
            ("test of no correlation", format_number(self.rho_lrt, 2), "", f"p {_p_words(self.rho_lrt_p)}"),
        ]


def _p_words(p: float) -> str:
    text = format_p(p)
    return text if text.startswith("<") else f"= {text}"
