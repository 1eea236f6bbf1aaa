"""What a limit meta-analysis found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.formatting import Printable, TextTable, format_interval, format_level, format_number, format_p
from metapeer.pooling.intervals import Interval, chi2_tail, normal_quantile
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.sensitivity.asymmetry_data import StudyEffects, size_words
from metapeer.sensitivity.limit_radial import ADJUSTMENTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LimitMetaAnalysisResult"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LimitMetaAnalysisResult(Printable):
    """The result of `limit_meta_analysis`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when unknown.
    k, trials : int
        Effects, and the trials they come from.
    original : MetaAnalysisResult
        The random-effects fit, unadjusted.
    adjust : {"beta0", "betalim", "mulim"}
        Which adjusted effect.
    estimate, se : float
        It, on the scale of the effects, with its standard error.
    ci : Interval
        Its normal interval.
    statistic, p_value : float
        Normal test that it is 0.
    shrunken : array of shape (k,)
        Limit effects of the studies; read-only.
    intercept, slope : float
        Line of the generalised radial plot: the small-study effect alpha, and beta.
    tau2 : float
        Between-study variance.
    tau2_method : str
        Its estimator.
    Q, Q_p : float
        Cochran's Q and its p value, k - 1 degrees of freedom.
    Q_small, Q_small_p : float
        The part that small-study effects explain, 1 degree of freedom.
    Q_residual, Q_residual_p : float
        The rest, k - 2 degrees of freedom.
    G2 : float
        Share of the variance that remains on the limit radial plot, from 0 to 1.
    level : float
        Confidence level.
    notes : tuple of str
        What a reader must know.
    studies : StudyEffects
        The effects.
    """

    measure: str
    k: int
    trials: int
    original: MetaAnalysisResult
    adjust: str
    estimate: float
    se: float
    ci: Interval
    statistic: float
    p_value: float
    shrunken: "np.typing.NDArray[np.float64]"
    intercept: float
    slope: float
    tau2: float
    tau2_method: str
    Q: float
    Q_p: float
    Q_small: float
    Q_small_p: float
    Q_residual: float
    Q_residual_p: float
    G2: float
    level: float
    notes: tuple[str, ...]
    studies: StudyEffects

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row.

        Returns
        -------
        DataFrame
            One row; effects on the scale they were pooled on.
        """
        left = ("original", "ci", "shrunken", "notes", "studies")
        row: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in left}
        row |= {"ci_low": self.ci.low, "ci_high": self.ci.high, "unadjusted": self.original.estimate}
        return pd.DataFrame([row])

    def shrunken_studies(self) -> pd.DataFrame:
        """List the studies with their limit effects.

        Returns
        -------
        DataFrame
            ``label``, ``yi``, ``sei``, ``limit``.
        """
        effects = self.studies.effects
        return pd.DataFrame(
            {
                "label": list(effects.labels),
                "yi": effects.yi.copy(),
                "sei": np.sqrt(effects.vi),
                "limit": self.shrunken.copy(),
            }
        )

    def curve(self, points: int = 101) -> pd.DataFrame:
        """Follow the expected effect of a study over its standard error.

        Parameters
        ----------
        points : int, default 101
            How many.

        Returns
        -------
        DataFrame
            ``sei`` from 0 to the largest, and ``estimate``, ``beta + alpha * sqrt(sei² + tau²)``; at 0 it is the
            adjusted effect "beta0".
        """
        sei = np.linspace(0.0, float(np.sqrt(self.studies.effects.vi.max())), points)
        return pd.DataFrame({"sei": sei, "estimate": self.slope + self.intercept * np.sqrt(sei**2 + self.tau2)})

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            Two tables: the effect unadjusted and adjusted, and the parts of Q.
        """
        measure = measure_of(self.measure)
        fit = self.original

        def between(interval: Interval) -> str:
            return format_interval(measure.display(interval.low), measure.display(interval.high), 3)

        level = format_level(self.level)
        rows = [
            (
                "random effects",
                format_number(measure.display(fit.estimate), 3),
                between(fit.ci),
                format_p(fit.p_value),
                fit.ci.method,
            ),
            (
                f"adjusted, {self.adjust}",
                format_number(measure.display(self.estimate), 3),
                between(self.ci),
                format_p(self.p_value),
                "normal",
            ),
        ]
        parts = [
            ("Q, all", format_number(self.Q, 2), str(self.k - 1), format_p(self.Q_p)),
            ("small-study effects", format_number(self.Q_small, 2), "1", format_p(self.Q_small_p)),
            ("beyond them", format_number(self.Q_residual, 2), str(self.k - 2), format_p(self.Q_residual_p)),
        ]
        remains = (
            f"tau {format_number(math.sqrt(self.tau2), 4)} ({self.tau2_method}); G² {100 * self.G2:.1f}%: what remains "
            "when small-study effects are allowed for"
        )
        return (
            TextTable(
                title=f"Limit meta-analysis: {size_words(self.k, self.trials)}",
                header=("", self.measure or "effect", f"{level} CI", "p", "interval"),
                rows=rows,
                notes=[f"{self.adjust}: {ADJUSTMENTS[self.adjust]}"],
            ),
            TextTable(
                header=("heterogeneity", "Q", "df", "p"),
                rows=parts,
                notes=[
                    remains,
                    *self.notes,
                ],
            ),
        )

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the funnel with the adjusted curve and the studies' limit effects as open circles.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `funnel_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.sensitivity.asymmetry_funnel import funnel_plot

        return funnel_plot(self.original, **({"limit": self, "ax": ax} | options))


def limit_interval(estimate: float, se: float, level: float) -> Interval:
    """Make the normal interval of an adjusted effect.

    Parameters
    ----------
    estimate, se : float
        The effect and its standard error.
    level : float
        Confidence level.

    Returns
    -------
    Interval
        Its limits.
    """
    half = normal_quantile(level) * se
    return Interval(estimate - half, estimate + half, level, "normal")


def tail(Q: float, df: int) -> float:
    """P value of a part of Q.

    Parameters
    ----------
    Q : float
        The part; rounding may leave it just below 0.
    df : int
        Its degrees of freedom.

    Returns
    -------
    float
        Between 0 and 1.
    """
    return chi2_tail(max(0.0, Q), df)
