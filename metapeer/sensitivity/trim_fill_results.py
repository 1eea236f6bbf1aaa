"""What trim and fill found: the fit before and after."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number, format_p
from metapeer.pooling.results import MetaAnalysisResult, measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["TrimFillResult"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TrimFillResult(Printable):
    """The result of `trim_and_fill`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when unknown.
    original, filled : MetaAnalysisResult
        Without and with the studies filled in, under the same options.
    k0 : int
        Studies filled in.
    k0_se : float
        Standard error of the estimate of their number, before rounding; NaN where the formula gives none.
    p_value : float
        For R0 the probability of as many missing studies if none is missing; NaN for the other estimators.
    side : {"left", "right"}
        Where they were filled in.
    side_given : bool
        Whether the side was asked for, rather than told by a regression on standard errors.
    estimator : {"L0", "R0", "Q0"}
        Of their number.
    trim_model : {"random", "common"}
        Model that studies were trimmed by.
    centre : float
        Effect about which studies were mirrored.
    iterations : int
        Until their number no longer changed.
    added : DataFrame
        The studies filled in: ``label``, ``yi``, ``sei``, ``mirror_of`` and the ``place`` of that study among the
        observed, counted from 0.
    notes : tuple of str
        What a reader must know.
    """

    measure: str
    original: MetaAnalysisResult
    filled: MetaAnalysisResult
    k0: int
    k0_se: float
    p_value: float
    side: str
    side_given: bool
    estimator: str
    trim_model: str
    centre: float
    iterations: int
    added: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def level(self) -> float:
        """Confidence level of the intervals."""
        return self.original.level

    def to_frame(self) -> pd.DataFrame:
        """Put both fits in rows.

        Returns
        -------
        DataFrame
            The columns of a meta-analysis, for the rows ``studies`` ("observed", "with filled"), with ``k0``,
            ``k0_se``, ``k0_p``, ``side`` and ``estimator``.
        """
        both = pd.concat([self.original.to_frame(), self.filled.to_frame()], ignore_index=True)
        both.insert(0, "studies", ["observed", "with filled"])
        return both.assign(k0=self.k0, k0_se=self.k0_se, k0_p=self.p_value, side=self.side, estimator=self.estimator)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        measure = measure_of(self.measure)

        def row(name: str, fit: MetaAnalysisResult) -> tuple[str, ...]:
            low, high = (measure.display(end, fit.se**2) for end in fit.ci)
            pi = fit.prediction_interval
            lowest, highest = (math.nan, math.nan) if pi is None else pi
            between = (measure.display(lowest, fit.se**2), measure.display(highest, fit.se**2))
            return (
                name,
                str(fit.k),
                format_number(measure.display(fit.estimate, fit.se**2), 3),
                format_interval(low, high, 3),
                format_interval(*between, 3) if fit.model == "random" else "",
                format_number(fit.tau2, 4) if fit.model == "random" else "",
            )

        level = format_level(self.level)
        how = "as asked" if self.side_given else "told by a regression of effects on standard errors"
        se = "" if math.isnan(self.k0_se) else f" (standard error of the number {format_number(self.k0_se, 2)})"
        notes = [
            f"{count(self.k0, 'study', 'studies')} filled in on the {self.side}{se}; the side {how}",
            f"estimator {self.estimator}, trimmed by the {self.trim_model}-effects model"
            if self.trim_model == "random"
            else f"estimator {self.estimator}, trimmed by the common-effect model",
        ]
        if not math.isnan(self.p_value):
            notes.append(
                f"R0 test that no study is missing on that side: p {'<' if self.p_value < 0.0005 else '='} "
                f"{format_p(self.p_value).lstrip('<')}"
            )
        before, after = self.original.ci.method, self.filled.ci.method
        notes.append(f"intervals: {before}" + ("" if after == before else f"; with filled studies {after}"))
        notes += self.notes
        notes.append(
            "filled studies were never observed: read the second row as a what-if, not as the effect without bias"
        )
        return (
            TextTable(
                title="Trim and fill",
                header=("", "k", self.measure or "effect", f"{level} CI", f"{level} prediction interval", "tau²"),
                rows=[row("observed", self.original), row("with filled studies", self.filled)],
                notes=notes,
            ),
        )

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the funnel with the studies filled in as open circles.

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

        return funnel_plot(self.original, **({"trim_and_fill": self, "ax": ax} | options))
