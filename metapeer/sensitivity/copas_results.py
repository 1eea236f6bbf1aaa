"""The result of Copas' selection model: what each degree of selection would make of the pooled effect."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.formatting import Printable, TextTable, format_interval, format_level, format_number, format_p
from metapeer.pooling.intervals import Interval, normal_quantile
from metapeer.pooling.results import measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.p_values_input import estimate_row, p_words, side_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CopasResult"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CopasResult(Printable):
    """The result of `copas_model`.

    Arrays of shape (n,) follow the line of falling selection probabilities; the first point is the random-effects model
    without selection.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    k : int
        Studies.
    favoured : {"positive", "negative"}
        The effects that are published more often.
    gamma0_range, gamma1_range : tuple of float
        Selection parameters of the grid.
    grid : array of shape (m, m)
        Adjusted effect at each pair of `m` equally spaced gamma0 (rows) and gamma1 (columns); read-only.
    slope : float
        Of the line in the unit square of the two parameters; NaN when contours do not tell it.
    gamma0, gamma1 : array of shape (n,)
        Selection parameters on the line.
    publication_probability : array of shape (n,)
        Probability that the study with the largest standard error is published.
    estimate, se : array of shape (n,)
        Adjusted effect and its standard error, NaN where the likelihood has none.
    rho, tau2 : array of shape (n,)
        Correlation of effect and selection (NaN without selection) and between-study variance.
    at_bound : array of bool of shape (n,)
        Whether rho is as strong as allowed.
    unpublished : array of shape (n,)
        Expected number of studies that are not published.
    residual_p : array of shape (n,)
        Likelihood-ratio test of selection that remains, chi-squared with 1 df.
    log_likelihood : array of shape (n,)
        Without constants.
    gradient : float
        The longest gradient over all fits, in standard errors.
    selected : int or None
        Point whose estimate is the adjusted one: the first with ``residual_p > residual_alpha``; None if there is none.
    residual_alpha : float
        That level.
    level : float
        Confidence level.
    notes : tuple of str
        What a reader must know.
    size : str
        How many effects there are, in words.
    """

    measure: str
    k: int
    favoured: str
    gamma0_range: tuple[float, float]
    gamma1_range: tuple[float, float]
    grid: FloatArray
    slope: float
    gamma0: FloatArray
    gamma1: FloatArray
    publication_probability: FloatArray
    estimate: FloatArray
    se: FloatArray
    rho: FloatArray
    tau2: FloatArray
    at_bound: NDArray[np.bool_]
    unpublished: FloatArray
    residual_p: FloatArray
    log_likelihood: FloatArray
    gradient: float
    selected: int | None
    residual_alpha: float
    level: float
    notes: tuple[str, ...]
    size: str

    def interval(self, point: int) -> Interval:
        """Normal interval of the adjusted effect at a point of the line.

        Parameters
        ----------
        point : int
            Counted from 0, the model without selection.

        Returns
        -------
        Interval
            NaN ends where there is no standard error.
        """
        half = normal_quantile(self.level) * float(self.se[point])
        return Interval(float(self.estimate[point]) - half, float(self.estimate[point]) + half, self.level, "normal")

    @property
    def adjusted(self) -> float:
        """The adjusted effect, on the scale of analysis; NaN when no degree of selection explains the funnel."""
        return math.nan if self.selected is None else float(self.estimate[self.selected])

    @property
    def ci(self) -> Interval | None:
        """Its interval; None when there is no adjusted effect."""
        return None if self.selected is None else self.interval(self.selected)

    def to_frame(self) -> pd.DataFrame:
        """Put the points of the line in rows.

        Returns
        -------
        DataFrame
            A row for each point; effects stay on the scale of analysis. ``selected`` marks the adjusted effect.
        """
        ends = [self.interval(i) for i in range(self.estimate.size)]
        return pd.DataFrame(
            {
                "publication_probability": self.publication_probability,
                "gamma0": self.gamma0,
                "gamma1": self.gamma1,
                "estimate": self.estimate,
                "se": self.se,
                "ci_low": [ci.low for ci in ends],
                "ci_high": [ci.high for ci in ends],
                "rho": self.rho,
                "tau2": self.tau2,
                "at_bound": self.at_bound,
                "unpublished": self.unpublished,
                "residual_p": self.residual_p,
                "selected": [i == self.selected for i in range(self.estimate.size)],
            }
        ).assign(measure=self.measure, level=self.level)

    def _line(self, i: int) -> tuple[str, ...]:
        entry, ci = measure_of(self.measure), self.interval(i)
        low, high = (entry.display(value) if math.isfinite(value) else value for value in (ci.low, ci.high))
        return (
            format_number(float(self.publication_probability[i]), 2),
            format_number(entry.display(float(self.estimate[i])), 3),
            format_interval(low, high, 3),
            format_number(float(self.rho[i]), 2) + (" (bound)" if self.at_bound[i] else ""),
            format_number(math.sqrt(float(self.tau2[i])), 3),
            format_number(float(self.unpublished[i]), 1),
            format_p(float(self.residual_p[i])) + (" ←" if i == self.selected else ""),
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            The adjusted effect; and one row for each degree of selection, with the notes.
        """
        name, level = self.measure or "effect", format_level(self.level)
        rows = [
            estimate_row(
                f"{name}, no selection ({level} CI)",
                self.measure,
                float(self.estimate[0]),
                self.interval(0),
                f"random effects, ML; residual selection {p_words(float(self.residual_p[0]))}",
            )
        ]
        if self.selected:
            i = self.selected
            chance = format_number(float(self.publication_probability[i]), 2)
            words = f"if the least precise study had probability {chance} of being published"
            rows.append(estimate_row(f"{name}, adjusted ({level} CI)", self.measure, self.adjusted, self.ci, words))
        elif self.selected == 0:
            rows.append((f"{name}, adjusted", "the same", "", "no selection is needed to explain the funnel"))
        else:
            rows.append((f"{name}, adjusted", "none", "", "no degree of selection considered explains the funnel"))
        title = f"Copas selection model: {self.size}; {side_words(self.favoured)} published more often"
        header = (
            "P(published)",
            name,
            f"{level} CI",
            "rho",
            "tau",
            "unpublished",
            "p, residual selection",
        )
        lines = [self._line(i) for i in range(self.estimate.size)]
        return (
            TextTable(title=title, header=("", "", "", ""), rows=rows),
            TextTable(title="By degree of selection", header=header, rows=lines, notes=self.notes),
        )

    def plot(self, **options: Any) -> "Figure":
        """Draw contours of the adjusted effect with the line, and along it the effect and the residual test.

        Parameters
        ----------
        **options
            Anything that `copas_plot` takes: ``title``, ``notes``,
            ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.plots.copas import copas_plot

        entry = measure_of(self.measure)
        name = self.measure or "effect"
        said = {
            "slope": self.slope,
            "residual_alpha": self.residual_alpha,
            "effect_label": name if entry.scale == "identity" else f"{entry.scale} {name}",
        }
        return copas_plot(self.to_frame(), self.surface(), **{**said, **options})

    def surface(self) -> pd.DataFrame:
        """Put the grid in rows.

        Returns
        -------
        DataFrame
            ``gamma0``, ``gamma1`` and the adjusted ``estimate`` there.
        """
        m, n = self.grid.shape
        first, second = np.linspace(*self.gamma0_range, m), np.linspace(*self.gamma1_range, n)
        return pd.DataFrame(
            {"gamma0": np.repeat(first, n), "gamma1": np.tile(second, m), "estimate": self.grid.ravel()}
        )
