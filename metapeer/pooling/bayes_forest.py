"""The forest plot of shrinkage estimates: what each study's true effect is, given all of them."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.formatting import format_interval, format_level, format_number
from metapeer.plots.forest import forest_plot
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.pooling.bayes_models import BayesianMetaAnalysisResult

__all__ = ["draw_shrinkage", "shrinkage_table"]


def shrinkage_table(fit: "BayesianMetaAnalysisResult") -> pd.DataFrame:
    """Lay out the rows of the plot.

    Parameters
    ----------
    fit : BayesianMetaAnalysisResult
        What is to be drawn.

    Returns
    -------
    DataFrame
        As `forest_plot` takes it, with a column ``observed`` of what each study reported.
    """
    measure = measure_of(fit.measure)
    level = format_level(fit.level)

    def words(middle: float, low: float, high: float) -> str:
        ends = format_interval(measure.display(low), measure.display(high))
        return ends if math.isnan(middle) else f"{format_number(measure.display(middle))} ({ends})"

    half = normal_quantile(fit.level) * np.sqrt(fit.vi)
    own = fit.shrinkage
    columns = (fit.yi, half, own.median, own.low, own.high, fit.weights)
    rows: list[dict[str, Any]] = []
    for label, *numbers in zip(fit.labels, *(column.tolist() for column in columns), strict=True):
        yi, margin, median, low, high, weight = numbers
        ends = {"estimate": median, "ci_low": low, "ci_high": high, "effect": words(median, low, high)}
        observed = words(yi, yi - margin, yi + margin)
        rows.append({"kind": "study", "label": label, **ends, "weight": weight, "observed": observed})
    low, high = fit.mu.interval
    ends = {"estimate": fit.mu.median, "ci_low": low, "ci_high": high}
    rows.append({"kind": "summary", "label": "Mean effect", **ends, "effect": words(fit.mu.median, low, high)})
    low, high = fit.new_study.interval
    effect = f"({words(math.nan, low, high)})"
    rows.append(
        {"kind": "prediction", "label": f"New study ({level})", "ci_low": low, "ci_high": high, "effect": effect}
    )
    ends_of_tau = format_interval(fit.tau.interval.low, fit.tau.interval.high)
    tau = f"Heterogeneity: τ = {format_number(fit.tau.median)} ({ends_of_tau}), prior {fit.tau_prior}"
    rows.append({"kind": "text", "label": tau})
    frame = pd.DataFrame(rows)
    for column in ("observed", "effect"):
        frame[column] = frame[column].fillna("").astype(str)
    return frame


def draw_shrinkage(fit: "BayesianMetaAnalysisResult", *, ax: "Axes | None" = None, **options: Any) -> "Figure":
    """Draw the forest plot of shrinkage estimates.

    Parameters
    ----------
    fit : BayesianMetaAnalysisResult
        What is to be drawn.
    ax : Axes, optional
        Where to draw.
    **options
        Passed to `forest_plot`; they override what is chosen here.

    Returns
    -------
    Figure
        The figure drawn on.
    """
    measure = measure_of(fit.measure)
    sides = ("Favours comparison", "Favours peer support")
    level = format_level(fit.level)
    settings: dict[str, Any] = {
        "left": {"observed": f"Observed ({level} CI)"},
        "right": {"effect": f"Posterior median ({level} CrI)", "weight": "Weight"},
        "axis_label": measure.name[0].upper() + measure.name[1:],
        "log_scale": measure.scale == "log",
        "favours": {"arm1": sides, "arm2": (sides[1], sides[0])}.get(fit.positive_favours),
        "reference": fit.mu.median,
        "level": fit.level,
        "notes": [f"Studies: shrinkage estimates. Credible intervals: {fit.mu.interval.method}."],
        **options,
    }
    return forest_plot(shrinkage_table(fit), ax=ax, **settings)
