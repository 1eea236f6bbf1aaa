"""What a test of small-study effects found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.errors import MetapeerError
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number, format_p
from metapeer.pooling.intervals import Interval
from metapeer.pooling.results import measure_of
from metapeer.sensitivity.asymmetry_data import StudyEffects, size_words
from metapeer.sensitivity.asymmetry_lines import Line, line_at
from metapeer.sensitivity.asymmetry_ranks import RankCorrelation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["AsymmetryTestResult"]

POINTS = 101


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AsymmetryTestResult(Printable):
    """The result of a test of small-study effects: a regression on precision, or a rank correlation with it.

    Parameters
    ----------
    test : str
        Whose test it is.
    formula : str
        What was set against what, with which weights.
    measure : str
        Effect measure; empty when unknown.
    k, trials : int
        Effects, and the trials they come from.
    estimate, se : float
        The slope on the predictor with its standard error, or Kendall's tau (no standard error).
    ci : Interval or None
        Of the slope; None for a rank correlation.
    statistic : float
        Slope over standard error, or the score of the rank correlation over its standard error; NaN where the p value
        of that is exact.
    df : float or None
        Degrees of freedom of t; None for a normal or exact test.
    p_value : float
        Two-sided.
    p_method : str
        Where it comes from: "t", "normal", "exact", or "normal, continuity-corrected".
    predictor : str
        What precision was measured by.
    limit : float
        Effect to which the line tends as the predictor goes to 0, that is in a study without sampling error; NaN where
        the predictor grows with the study.
    limit_ci : Interval or None
        Its interval.
    score, score_se : float
        Of a rank correlation: concordant less discordant pairs, and its standard error; NaN for a regression.
    tau2 : float
        Additive variance about the line; NaN where there is none.
    tau2_method : str
        Its estimator; empty where there is none.
    errors : str
        What was assumed of the variances about the line, or "" for a rank correlation.
    level : float
        Confidence level.
    labels : tuple of str
        Names of the effects.
    yi, x, weights : array of shape (k,)
        Effect, predictor, and weights in per cent, as the test took them; read-only.
    excluded : tuple of (str, str)
        Rows left out, each with the reason.
    notes : tuple of str
        What a reader must know.
    line : Line or None
        The regression; None for a rank correlation.
    studies : StudyEffects or None
        The effects, where they are what was tested; None for tests of counts.
    """

    test: str
    formula: str
    measure: str
    k: int
    trials: int
    estimate: float
    se: float
    ci: Interval | None
    statistic: float
    df: float | None
    p_value: float
    p_method: str
    predictor: str
    limit: float
    limit_ci: Interval | None
    score: float
    score_se: float
    tau2: float
    tau2_method: str
    errors: str
    level: float
    labels: tuple[str, ...]
    yi: "np.typing.NDArray[np.float64]"
    x: "np.typing.NDArray[np.float64]"
    weights: "np.typing.NDArray[np.float64]"
    excluded: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    line: Line | None = field(default=None)
    studies: StudyEffects | None = field(default=None)

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row.

        Returns
        -------
        DataFrame
            One row; effects on the scale they were pooled on.
        """
        low, high = (math.nan, math.nan) if self.ci is None else self.ci
        limit_low, limit_high = (math.nan, math.nan) if self.limit_ci is None else self.limit_ci
        return pd.DataFrame(
            [
                {
                    "test": self.test,
                    "measure": self.measure,
                    "predictor": self.predictor,
                    "errors": self.errors,
                    "k": self.k,
                    "trials": self.trials,
                    "estimate": self.estimate,
                    "se": self.se,
                    "ci_low": low,
                    "ci_high": high,
                    "level": self.level,
                    "statistic": self.statistic,
                    "df": math.nan if self.df is None else self.df,
                    "p_value": self.p_value,
                    "p_method": self.p_method,
                    "limit": self.limit,
                    "limit_low": limit_low,
                    "limit_high": limit_high,
                    "score": self.score,
                    "score_se": self.score_se,
                    "tau2": self.tau2,
                    "tau2_method": self.tau2_method,
                }
            ]
        )

    def _test_words(self) -> str:
        if self.p_method == "t":
            assert self.df is not None  # noqa: S101
            return f"t = {format_number(self.statistic, 2)}, {self.df:.4g} df"
        return (
            self.p_method if math.isnan(self.statistic) else f"z = {format_number(self.statistic, 2)}, {self.p_method}"
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        level = format_level(self.level)
        rows = []
        if self.line is not None:
            low, high = (math.nan, math.nan) if self.ci is None else self.ci
            rows.append(
                (
                    f"slope ({level} CI)",
                    _figures(self.estimate),
                    f"{_figures(low)} to {_figures(high)}",
                    f"p {_p(self.p_value)}",
                    self._test_words(),
                )
            )
        else:
            words = f"score {self.score:g}, {self._test_words()}"
            rows.append(("Kendall's tau", format_number(self.estimate, 3), "", f"p {_p(self.p_value)}", words))
        if self.limit_ci is not None:
            measure = measure_of(self.measure)
            low, high = (measure.display(end) for end in self.limit_ci)
            rows.append(
                (
                    f"{self.measure or 'effect'} without sampling error ({level} CI)",
                    format_number(measure.display(self.limit), 3),
                    format_interval(low, high, 3),
                    "",
                    "where the line meets 0",
                )
            )
        if not math.isnan(self.tau2):
            rows.append(("tau² about the line", format_number(self.tau2, 4), "", "", self.tau2_method))
        notes = [self.formula, *([self.errors] if self.errors else []), *self.notes]
        if self.excluded:
            notes.append(f"{count(len(self.excluded), 'row')} not used:")
            notes += [f"  {label}: {reason}" for label, reason in self.excluded]
        return (
            TextTable(
                title=f"{self.test}: {size_words(self.k, self.trials)}", header=("",) * 5, rows=rows, notes=notes
            ),
        )

    def curve(self, points: int = POINTS) -> pd.DataFrame:
        """Follow the regression line over the predictor, with its confidence band.

        Parameters
        ----------
        points : int, default 101
            How many.

        Returns
        -------
        DataFrame
            ``x``, ``estimate``, ``ci_low``, ``ci_high``, from 0 (or the smallest predictor, where that grows with the
            study) to the largest.

        Raises
        ------
        MetapeerError
            If the test is a rank correlation.
        """
        if self.line is None:
            raise MetapeerError(f"{self.test} correlates ranks: there is no line")
        start = float(self.x.min()) if self.limit_ci is None else 0.0
        x = np.linspace(start, float(self.x.max()), points)
        fitted, low, high = line_at(self.line, x, level=self.level)
        return pd.DataFrame({"x": x, "estimate": fitted, "ci_low": low, "ci_high": high})

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the funnel with the regression line; for a test of counts, what it regressed against the predictor.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `funnel_plot` takes; for a test of counts, anything that `bubble_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.

        Raises
        ------
        MetapeerError
            If the test correlates ranks of counts.
        """
        if self.studies is not None:
            from metapeer.sensitivity.asymmetry_funnel import draw_studies

            how: dict[str, Any] = {} if self.line is None else {"egger": self, "yaxis": self.predictor}
            return draw_studies(self.studies, **({"ax": ax, **how} | options))
        if self.line is None:
            raise MetapeerError(f"{self.test} correlates ranks: there is no line to draw")
        from metapeer.plots.bubble import bubble_plot

        table = pd.DataFrame({"x": self.x, "estimate": self.yi, "weight": self.weights, "label": list(self.labels)})
        words: dict[str, Any] = {"x_label": PREDICTOR_WORDS[self.predictor], "y_label": "Log odds ratio"}
        return bubble_plot(table, line=self.curve(), ax=ax, **(words | options))


PREDICTOR_WORDS = {
    "ninv": "1 / participants",
    "score_se": "1 / √V, V the variance of the score",
    "effective": "1 / √effective sample size",
}


def _p(value: float) -> str:
    text = format_p(value)
    return text if text.startswith("<") else f"= {text}"


def _figures(value: float) -> str:
    """Three significant figures: slopes go from millionths to thousands."""
    if not math.isfinite(value):
        return format_number(value)
    size = abs(value)
    return f"{value:.3g}" if size and (size < 0.01 or size >= 1000) else format_number(value, 3)


def rank_result(found: RankCorrelation, *, given: StudyEffects | None, **parts: Any) -> AsymmetryTestResult:
    """Wrap a rank correlation.

    Parameters
    ----------
    found : RankCorrelation
        The correlation.
    given : StudyEffects or None
        The effects, where they are what was tested.
    **parts
        What is not in `found`.

    Returns
    -------
    AsymmetryTestResult
        The result.
    """
    words = {"exact": "exact", "normal": "normal", "normal_cc": "normal, continuity-corrected"}
    return AsymmetryTestResult(
        estimate=found.tau,
        se=math.nan,
        ci=None,
        statistic=found.statistic,
        df=None,
        p_value=found.p_value,
        p_method=words[found.method],
        limit=math.nan,
        limit_ci=None,
        score=found.score,
        score_se=found.score_se,
        tau2=math.nan,
        tau2_method="",
        errors="",
        studies=given,
        **parts,
    )


def line_result(
    line: Line, *, given: StudyEffects | None, shrinks: bool, level: float, words: str, **parts: Any
) -> AsymmetryTestResult:
    """Wrap a regression line.

    Parameters
    ----------
    line : Line
        The line.
    given : StudyEffects or None
        The effects, where they are what was tested.
    shrinks : bool
        Whether the predictor goes to 0 as a study grows, so that the intercept is a limit.
    level : float
        Of the intervals.
    words : str
        What the intervals rest on.
    **parts
        What is not in `line`.

    Returns
    -------
    AsymmetryTestResult
        The result.
    """
    df = float(line.df[1])
    normal = math.isinf(df)
    method = f"{'normal' if normal else 't'}, {words}"
    return AsymmetryTestResult(
        estimate=float(line.beta[1]),
        se=float(line.se[1]),
        ci=Interval(float(line.low[1]), float(line.high[1]), level, method),
        statistic=float(line.statistic[1]),
        df=None if normal else df,
        p_value=float(line.p_value[1]),
        p_method="normal" if normal else "t",
        limit=float(line.beta[0]) if shrinks else math.nan,
        limit_ci=Interval(float(line.low[0]), float(line.high[0]), level, method) if shrinks else None,
        score=math.nan,
        score_se=math.nan,
        tau2=line.tau2,
        errors=words,
        level=level,
        line=line,
        studies=given,
        **parts,
    )
