"""What a meta-analysis found, complete at birth and never edited."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.effects.measures import MEASURES, Measure
from metapeer.errors import MetapeerError
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number, format_p
from metapeer.pooling.inference import FIXED_WEIGHTS
from metapeer.pooling.intervals import Interval, normal_quantile
from metapeer.pooling.prediction import prediction_scale, probability_beyond
from metapeer.pooling.weighted import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.pooling.exceedance_results import ExceedanceResult

__all__ = ["MetaAnalysisResult", "measure_of"]


def measure_of(code: str) -> Measure:
    """Return the entry of a measure in the register; effects of no stated measure are taken as they are.

    Parameters
    ----------
    code : str
        The measure, or an empty string.

    Returns
    -------
    Measure
        Its name, scale and display.
    """
    return MEASURES[code or "GEN"]


def _ends(interval: Interval | None) -> tuple[float, float]:
    return (math.nan, math.nan) if interval is None else (interval.low, interval.high)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MetaAnalysisResult(Printable):
    """The result of `meta_analysis`.

    Parameters
    ----------
    measure : str
        Effect measure, such as "SMD"; empty when it was not given.
    model : {"random", "common"}
        What was assumed of the true effects: that they vary, or that they are one.
    k : int
        Effects pooled.
    trials : int
        Different trials among them; equal to `k` when trials were not named.
    participants : int or None
        Sum over trials of the participants in each trial's largest pooled row; None when no row tells.
    participants_known : int
        Trials that tell.
    estimate, se : float
        Pooled effect (on the log scale for ratios) and the standard error that its interval uses.
    ci : Interval
        Confidence interval of `estimate`.
    ci_method : str
        Code of the interval that was made.
    statistic, p_value : float
        Test that the pooled effect is zero; NaN when the standard error is zero.
    df : float or None
        Degrees of freedom of the test; None for the normal distribution.
    hk_q : float
        Hartung-Knapp scale factor; NaN where it has no meaning.
    prediction_interval : Interval or None
        Interval for the true effect in a new trial; None when there is none.
    prediction_method : str
        Its code; empty when there is none.
    tau2, tau2_se : float
        Between-study variance and its standard error; NaN when it cannot be estimated, zero under a common effect.
    tau2_method : str
        Its estimator; empty under a common effect.
    tau2_ci : Interval or None
        Its Q-profile interval.
    Q, Q_df, Q_p : float, int, float
        Cochran's test of homogeneity.
    H2_Q, I2_Q : float
        H² and I² (per cent) from Q.
    I2_Q_ci : Interval or None
        Higgins and Thompson's test-based interval for `I2_Q`.
    H2, I2 : float
        H² and I² (per cent) from tau2; NaN under a common effect.
    I2_ci : Interval or None
        Q-profile interval for `I2`.
    other_maxima : tuple of (float, float)
        Other local maxima of the likelihood of tau2, and how far below the best each lies in log-likelihood.
    positive_favours : str
        "arm1" (peer support) or "arm2": the arm that a positive effect favours; empty when unknown.
    level : float
        Confidence level of every interval.
    labels : tuple of str
        Names of the pooled rows.
    yi, vi, weights : array of shape (k,)
        Effects, sampling variances, and weights in per cent; read-only.
    excluded : tuple of (str, str)
        Rows not pooled, each with the reason.
    notes : tuple of str
        What a reader must know about how this result came about.
    weighting : str, default "inverse variance"
        How studies were combined, in words.
    data : DataFrame or None
        The pooled rows as they were given; use `studies` to look at them.
    """

    measure: str
    model: str
    k: int
    trials: int
    participants: int | None
    participants_known: int
    estimate: float
    se: float
    ci: Interval
    ci_method: str
    statistic: float
    df: float | None
    p_value: float
    hk_q: float
    prediction_interval: Interval | None
    prediction_method: str
    tau2: float
    tau2_se: float
    tau2_method: str
    tau2_ci: Interval | None
    Q: float
    Q_df: int
    Q_p: float
    H2_Q: float
    I2_Q: float
    I2_Q_ci: Interval | None
    H2: float
    I2: float
    I2_ci: Interval | None
    other_maxima: tuple[tuple[float, float], ...]
    positive_favours: str
    level: float
    labels: tuple[str, ...]
    yi: FloatArray
    vi: FloatArray
    weights: FloatArray
    excluded: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    weighting: str = "inverse variance"
    data: pd.DataFrame | None = field(default=None)

    @property
    def tau(self) -> float:
        """Between-study standard deviation, in the units of the effects."""
        return math.sqrt(self.tau2)

    def probability_above(self, threshold: float) -> float:
        """Probability that the true effect of a new study like those pooled exceeds a threshold.

        Parameters
        ----------
        threshold : float
            In the units of the pooled effects (log for ratios).

        Returns
        -------
        float
            From the distribution that the prediction interval uses.

        Raises
        ------
        MetapeerError
            If there is no prediction interval, or it has no such distribution ("NNF").

        References
        ----------
        Siemens et al. (2025), BMC Med Res Methodol, doi 10.1186/s12874-025-02733-9.

        Examples
        --------
        >>> from metapeer import meta_analysis
        >>> fit = meta_analysis(yi=[0.1, 0.3, 0.35, 0.65, 0.45, 0.15], vi=[0.03, 0.03, 0.05, 0.01, 0.05, 0.02])
        >>> round(fit.probability_above(0.0), 3)
        0.925
        """
        if self.prediction_interval is None or self.prediction_method == "NNF":
            raise MetapeerError("there is no t or normal prediction interval to take a probability from")
        classic_se = 1.0 / math.sqrt(float((1.0 / (self.vi + self.tau2)).sum()))
        se, df = prediction_scale(
            tau2=self.tau2,
            classic_se=self.se if self.ci_method in FIXED_WEIGHTS else classic_se,
            hk_se=self.se if self.ci_method.startswith("HK") else classic_se * math.sqrt(self.hk_q),
            k=self.k,
            method=self.prediction_method,
            vi=self.vi,
        )
        return probability_beyond(threshold, estimate=self.estimate, tau2=self.tau2, se=se, df=df)

    def exceedance(
        self, threshold: float, *, direction: str = "above", method: str = "PL", level: float | None = None
    ) -> "ExceedanceResult":
        """Estimate what share of true effects lies beyond a threshold, with a confidence interval.

        Parameters
        ----------
        threshold : float
            In the units of the pooled effects (log for ratios: ``math.log(0.8)``).
        direction : {"above", "below"}, default "above"
            On which side of it.
        method : {"PL", "delta", "delta.logit"}, default "PL"
            Interval by profile likelihood, restricted unless tau2 was estimated by ML, or by the delta method on the
            scale of the share or of its logit, which is poor with few studies and near 0 and 1.
        level : float, optional
            Confidence level; the result's own when left out.

        Returns
        -------
        ExceedanceResult
            The share that the estimates amount to, its interval, and beside it the probability for a new study.

        Raises
        ------
        ChoiceError
            If an option makes no sense.
        MetapeerError
            If there is one study or one common effect, or the interval cannot be made; the message says what can.

        References
        ----------
        Mathur & VanderWeele (2019), Stat Med 38:1336-1342; Hardy & Thompson (1996), Stat Med 15:619-629.

        Examples
        --------
        >>> from metapeer import meta_analysis
        >>> fit = meta_analysis(yi=[0.1, 0.3, 0.35, 0.65, 0.45, 0.15], vi=[0.03, 0.03, 0.05, 0.01, 0.05, 0.02])
        >>> found = fit.exceedance(0.4)
        >>> round(found.estimate, 2), round(found.ci.low, 2), round(found.ci.high, 2)
        (0.38, 0.05, 0.82)
        """
        from metapeer.pooling.exceedance_results import exceedance_of_fit

        return exceedance_of_fit(self, threshold, direction=direction, method=method, level=level)

    def tau2_profile(self, *, points: int = 201, level: float | None = None) -> pd.DataFrame:
        """Follow the likelihood of tau2, with every maximum, the estimate, and the ends of the likelihood's interval.

        Parameters
        ----------
        points : int, default 201
            Of the curve.
        level : float, optional
            Level of the interval; the result's own when left out.

        Returns
        -------
        DataFrame
            ``tau2``, ``log_likelihood``, ``drop`` below the highest, ``kind`` ("curve", "maximum", "local maximum",
            "limit", "estimate"), ``likelihood`` ("ML" when tau2 was estimated by it, otherwise "REML") and ``level``.

        Raises
        ------
        MetapeerError
            If tau2 was not estimated from these studies.

        Examples
        --------
        >>> from metapeer import meta_analysis
        >>> fit = meta_analysis(yi=[0.1, 0.3, 0.35, 0.65, 0.45, 0.15], vi=[0.03, 0.03, 0.05, 0.01, 0.05, 0.02])
        >>> table = fit.tau2_profile()
        >>> table.loc[table["kind"] == "limit", ["tau2", "drop"]].round(3).values.tolist()
        [[0.002, 1.921], [0.226, 1.921]]
        """
        from metapeer.pooling.tau2_profile_table import profile_of_fit

        return profile_of_fit(self, points=points, level=level)

    def plot_tau2_profile(
        self, ax: "Axes | None" = None, *, points: int = 201, level: float | None = None, **options: Any
    ) -> "Figure":
        """Draw the likelihood of tau2.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        points : int, default 201
            Of the curve.
        level : float, optional
            Level of the interval; the result's own when left out.
        **options
            Anything that `profile_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.pooling.tau2_profile_table import draw_tau2_profile

        return draw_tau2_profile(self, points=points, level=level, ax=ax, **options)

    def studies(self) -> pd.DataFrame:
        """List the pooled rows with their intervals and weights.

        Returns
        -------
        DataFrame
            One row per pooled effect: the columns as given, then ``label``, ``yi``, ``sei``, ``ci_low``, ``ci_high``
            (normal intervals at the result's level) and ``weight`` (per cent).
        """
        frame = pd.DataFrame(index=range(self.k)) if self.data is None else self.data.reset_index(drop=True)
        sei = np.sqrt(self.vi)
        half = normal_quantile(self.level) * sei
        computed: dict[str, Any] = {
            "label": list(self.labels),
            "yi": self.yi.copy(),
            "sei": sei,
            "ci_low": self.yi - half,
            "ci_high": self.yi + half,
            "weight": self.weights.copy(),
        }
        return frame.drop(columns=[c for c in computed if c in frame]).assign(**computed)

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row, for machines and for stacking results on one another.

        Returns
        -------
        DataFrame
            One row; ratios stay on the log scale, as ``scale`` says.
        """
        ci_low, ci_high = _ends(self.ci)
        pi_low, pi_high = _ends(self.prediction_interval)
        tau2_low, tau2_high = _ends(self.tau2_ci)
        i2_low, i2_high = _ends(self.I2_ci)
        i2_q_low, i2_q_high = _ends(self.I2_Q_ci)
        row = {
            "measure": self.measure,
            "scale": measure_of(self.measure).scale,
            "model": self.model,
            "weighting": self.weighting,
            "k": self.k,
            "trials": self.trials,
            "participants": self.participants,
            "participants_known": self.participants_known,
            "estimate": self.estimate,
            "se": self.se,
            "ci_low": ci_low,
            "ci_high": ci_high,
            "level": self.level,
            "ci_method": self.ci_method,
            "statistic": self.statistic,
            "df": math.nan if self.df is None else self.df,
            "p_value": self.p_value,
            "hk_q": self.hk_q,
            "pi_low": pi_low,
            "pi_high": pi_high,
            "prediction_method": self.prediction_method,
            "tau2": self.tau2,
            "tau2_se": self.tau2_se,
            "tau2_ci_low": tau2_low,
            "tau2_ci_high": tau2_high,
            "tau2_method": self.tau2_method,
            "I2": self.I2,
            "I2_ci_low": i2_low,
            "I2_ci_high": i2_high,
            "I2_Q": self.I2_Q,
            "I2_Q_ci_low": i2_q_low,
            "I2_Q_ci_high": i2_q_high,
            "H2": self.H2,
            "H2_Q": self.H2_Q,
            "Q": self.Q,
            "Q_df": self.Q_df,
            "Q_p": self.Q_p,
            "excluded": len(self.excluded),
            "positive_favours": self.positive_favours,
        }
        return pd.DataFrame([row])

    def _size(self) -> str:
        words = count(self.k, "study", "studies") if self.trials == self.k else count(self.k, "effect")
        if self.trials != self.k:
            words += f" from {count(self.trials, 'trial')}"
        if self.participants is not None:
            words += f", {count(self.participants, 'participant')}"
            if self.participants_known < self.trials:
                words += f" in the {self.participants_known} that report them"
        return words

    def _quantities(self) -> list[tuple[str, str, str, str]]:
        """Rows of the printed table: quantity, value, interval, method."""
        level = format_level(self.level)
        measure = measure_of(self.measure)
        name = self.measure or "effect"

        def shown(value: float) -> str:
            return format_number(measure.display(value, self.se**2), 3)

        def between(interval: Interval | None) -> str:
            low, high = _ends(interval)
            return format_interval(measure.display(low, self.se**2), measure.display(high, self.se**2), digits=3)

        test = "" if math.isnan(self.p_value) or not measure.has_null else f"; p {_p_words(self.p_value)}"
        rows = [
            (
                f"{name} ({level} CI)",
                shown(self.estimate),
                between(self.ci),
                f"{self.ci.method}{test}",
            )
        ]
        if measure.scale != "identity":
            rows.append(
                (
                    f"{measure.scale} {name}",
                    format_number(self.estimate, 4),
                    format_interval(self.ci.low, self.ci.high, 4),
                    "as pooled",
                )
            )
        if self.prediction_interval is not None:
            rows.append(
                (f"{level} prediction interval", "", between(self.prediction_interval), self.prediction_interval.method)
            )
        if self.model == "random" and self.k > 1:
            tau2_ci, i2_ci = self.tau2_ci, self.I2_ci
            rows += [
                ("tau²", format_number(self.tau2, 4), _percentless(tau2_ci, 4), _how(self.tau2_method, tau2_ci)),
                ("I² from tau²", _percent(self.I2), _percents(i2_ci), _how("", i2_ci)),
            ]
        if self.k > 1:
            rows += [
                ("I² from Q", _percent(self.I2_Q), _percents(self.I2_Q_ci), _how("", self.I2_Q_ci)),
                ("Q", format_number(self.Q, 2), "", f"{self.Q_df} df; p {_p_words(self.Q_p)}"),
            ]
        return rows

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: what was pooled, the estimate, the heterogeneity, and the notes.
        """
        model = "Random-effects" if self.model == "random" else "Common-effect"
        title = f"{model} meta-analysis: {self._size()}"
        if self.weighting != "inverse variance":
            title += f"; {self.weighting}"
        if self.measure:
            measure = measure_of(self.measure)
            title += f"\n{measure.name}"
            if self.positive_favours:
                better = "peer support" if self.positive_favours == "arm1" else "the comparison"
                title += f"; above {measure.null:g} favours {better}"
            elif measure.oriented and self.data is not None and "es_source" in self.data:
                title += "; direction unknown: positive means a higher score in arm 1"  # as `effect_size` left it
        notes = list(self.notes)
        if self.excluded:
            notes.append(f"{count(len(self.excluded), 'row')} not pooled:")
            notes += [f"  {label}: {reason}" for label, reason in self.excluded]
        return (TextTable(title=title, header=("", "", "", ""), rows=self._quantities(), notes=notes),)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a forest plot.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure of the right height when left out.
        **options
            ``arms``, the names of the two arms; ``also``, further results whose diamonds stand at the foot, in a list
            or by name; ``risk_of_bias=True``, signs for each domain; ``layout`` ("metapeer", "revman", "jama" or
            "bmj"); ``width`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and whatever else
            `forest_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.pooling.forest_table import draw_forest

        return draw_forest(self, ax=ax, **options)


def _p_words(p: float) -> str:
    text = format_p(p)
    return text if text.startswith("<") else f"= {text}"


def _percent(value: float) -> str:
    return "NA" if math.isnan(value) else f"{format_number(value, 1)}%"


def _percents(interval: Interval | None) -> str:
    low, high = _ends(interval)
    return "NA" if math.isnan(low) or math.isnan(high) else f"{format_number(low, 1)}% to {format_number(high, 1)}%"


def _percentless(interval: Interval | None, digits: int) -> str:
    if interval is not None and interval.empty:
        return "empty"
    low, high = _ends(interval)
    return format_interval(low, high, digits)


def _how(estimator: str, interval: Interval | None) -> str:
    """Say how a quantity and its interval were made."""
    words = [] if not estimator else [estimator]
    if interval is not None and not math.isnan(interval.low):
        words.append(f"{format_level(interval.level)} {interval.method} interval")
    elif interval is not None and interval.empty:
        words.append(f"the {format_level(interval.level)} {interval.method} set is empty")
    return "; ".join(words)
