"""A cumulative meta-analysis: a pooled result after each step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.formatting import Printable, TextTable, format_interval, format_level, format_number, format_p
from metapeer.pooling.results import MetaAnalysisResult, measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CumulativeResult"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CumulativeResult(Printable):
    """The result of `cumulative`.

    Parameters
    ----------
    order : str
        The column that studies were ordered by.
    descending : bool
        Whether the largest value came first.
    values : tuple of str
        The value of that column at each step.
    added : tuple of tuple of str
        The studies that entered at each step.
    results : tuple of MetaAnalysisResult
        What was pooled after each step; the last one has all studies.
    level : float
        Confidence level of every interval.
    """

    order: str
    descending: bool
    values: tuple[str, ...]
    added: tuple[tuple[str, ...], ...]
    results: tuple[MetaAnalysisResult, ...]
    level: float

    def to_frame(self) -> pd.DataFrame:
        """Put the steps in rows.

        Returns
        -------
        DataFrame
            ``added``, ``value`` of the column ordered by, ``k``, ``participants``, ``estimate``, ``se``, ``ci_low``,
            ``ci_high``, ``p_value``, ``pi_low``, ``pi_high``, ``tau2``, ``I2``, ``Q``; ratios on the log scale.
        """
        rows = []
        for value, names, fit in zip(self.values, self.added, self.results, strict=True):
            low, high = (math.nan, math.nan) if fit.prediction_interval is None else fit.prediction_interval
            rows.append(
                {
                    "added": "; ".join(names),
                    "value": value,
                    "k": fit.k,
                    "participants": math.nan if fit.participants is None else float(fit.participants),
                    "estimate": fit.estimate,
                    "se": fit.se,
                    "ci_low": fit.ci.low,
                    "ci_high": fit.ci.high,
                    "p_value": fit.p_value,
                    "pi_low": low,
                    "pi_high": high,
                    "tau2": fit.tau2,
                    "I2": fit.I2,
                    "Q": fit.Q,
                }
            )
        return pd.DataFrame(rows)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the steps in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        last = self.results[-1]
        measure = measure_of(last.measure)
        rows = []
        for value, names, fit in zip(self.values, self.added, self.results, strict=True):
            low, high = (measure.display(end, fit.se**2) for end in fit.ci)
            rows.append(
                (
                    f"+ {'; '.join(names)}",
                    value,
                    str(fit.k),
                    format_number(measure.display(fit.estimate, fit.se**2), 3),
                    format_interval(low, high, 3),
                    format_p(fit.p_value) if measure.has_null else "",
                    format_number(fit.tau2, 4),
                )
            )
        way = "largest first" if self.descending else "smallest first"
        methods = list(dict.fromkeys(fit.ci.method.partition(",")[0] for fit in self.results))
        return (
            TextTable(
                title=f"Cumulative meta-analysis by {self.order}, {way}",
                header=(
                    "added",
                    self.order,
                    "k",
                    last.measure or "effect",
                    f"{format_level(self.level)} CI",
                    "p" if measure.has_null else "",
                    "tau²",
                ),
                rows=rows,
                notes=[
                    f"intervals: {'; '.join(methods)}",
                    "looked at after every step, a test errs more often than its level says: this is a description",
                ],
            ),
        )

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a cumulative forest plot: the pooled effect after each step.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            ``arms``, the names of the two arms; ``risk_of_bias=True``, signs for each domain; ``layout`` ("metapeer",
            "revman", "jama" or "bmj"); ``width`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and
            whatever else `forest_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.pooling.cumulative_forest import draw_cumulative

        return draw_cumulative(self, ax=ax, **options)
