"""The cumulative forest plot: a diamond after each step."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.plots.forest import forest_plot
from metapeer.pooling.forest_table import ARM_NAMES, favours_words, judged_rows
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.pooling.cumulative_results import CumulativeResult

__all__ = ["cumulative_table", "draw_cumulative"]


def cumulative_table(found: "CumulativeResult") -> pd.DataFrame:
    """Lay out the rows of the plot.

    Parameters
    ----------
    found : CumulativeResult
        What is to be drawn.

    Returns
    -------
    DataFrame
        As `forest_plot` takes it, with the text columns ``value`` and ``k``.
    """
    measure = measure_of(found.results[-1].measure)
    rows = []
    for value, names, fit in zip(found.values, found.added, found.results, strict=True):
        numbers = [
            number if measure.scale == "log" else measure.display(number, fit.se**2)
            for number in (fit.estimate, fit.ci.low, fit.ci.high)
        ]
        rows.append(
            {
                "kind": "pooled",
                "label": f"+ {'; '.join(names)}",
                **dict(zip(("estimate", "ci_low", "ci_high"), numbers, strict=True)),
                "value": value,
                "k": str(fit.k),
            }
        )
    return pd.DataFrame(rows)


def draw_cumulative(
    found: "CumulativeResult",
    *,
    arms: tuple[str, str] = ARM_NAMES,
    risk_of_bias: bool = False,
    ax: "Axes | None" = None,
    **options: Any,
) -> "Figure":
    """Draw the cumulative forest plot.

    Parameters
    ----------
    found : CumulativeResult
        What is to be drawn.
    arms : tuple of str
        Names of arm 1 and arm 2, for what the axis favours.
    risk_of_bias : bool, default False
        Whether the columns ``rob_d1``, ``rob_d2``, ... and ``rob_overall`` of the study added are drawn as signs.
    ax : Axes, optional
        Where to draw.
    **options
        Passed to `forest_plot`; they override what is chosen here.

    Returns
    -------
    Figure
        The figure drawn on.
    """
    last = found.results[-1]
    measure = measure_of(last.measure)
    table = cumulative_table(found)
    pooled = float(table["estimate"].iloc[-1])
    notes = [f"Each diamond pools all studies down to its line. Last interval: {last.ci.method}."]
    signs: dict[str, Any] = {}
    if risk_of_bias:
        ends = [fit.k for fit in found.results]
        places = [range(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        table, heads, told = judged_rows(last, table, places)
        signs, notes = {"judgements": heads}, [f"{told} Judgements are of what was added.", *notes]
    settings: dict[str, Any] = {
        **({"reference": pooled} if measure.has_null else {"null_value": pooled, "reference": None}),
        "left": {"label": "Added", "value": found.order[:1].upper() + found.order[1:], "k": "Studies"},
        "axis_label": measure.name[0].upper() + measure.name[1:],
        "log_scale": measure.scale == "log",
        "favours": favours_words(last.positive_favours, arms),
        "level": found.level,
        "notes": notes,
        **signs,
        **options,
    }
    return forest_plot(table, ax=ax, **settings)
