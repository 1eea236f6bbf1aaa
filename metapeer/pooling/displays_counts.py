"""The L'Abbé plot of counts of events in two arms."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.effects.measures import EVENTS
from metapeer.errors import DataError, Fault, check_choice
from metapeer.formatting import format_number
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.labbe import draw_labbe
from metapeer.pooling.forest_table import ARM_NAMES
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.weighted import FloatArray

__all__ = ["labbe_plot"]

LINES: tuple[Literal["RR", "OR", "RD"], ...] = ("RR", "OR", "RD")
POINTS = 201


def _curve(measure: str, effect: float, risk: FloatArray) -> FloatArray:
    """Risk in arm 1 for each risk in arm 2, where the effect is the same everywhere."""
    if measure == "RD":
        return risk + effect
    ratio = math.exp(effect)
    return risk * ratio if measure == "RR" else ratio * risk / (1.0 - risk + ratio * risk)


def _counts(data: object) -> pd.DataFrame:
    """Rows with all four counts, checked; every fault is listed."""
    table = data.data if isinstance(data, MetaAnalysisResult) else data
    if not isinstance(table, pd.DataFrame):
        raise DataError("table", [f"is a {type(table).__name__}; a DataFrame with {', '.join(EVENTS)} would do"])
    absent = [column for column in EVENTS if column not in table]
    if absent:
        raise DataError("table", [Fault(column=column, message="is missing") for column in absent])
    numbers = table[list(EVENTS)].apply(pd.to_numeric, errors="coerce")
    whole = numbers.notna().all(axis=1)
    if not whole.any():
        raise DataError("table", [f"has no row with all of {', '.join(EVENTS)}"])
    faults = []
    for place in np.flatnonzero(whole):
        row = numbers.iloc[place]
        for arm in (1, 2):
            events, total = float(row[f"events{arm}"]), float(row[f"total{arm}"])
            if not 0 <= events <= total or not 0 < total < math.inf:
                message = f"{events:g} of {total:g} is no share"
                faults.append(Fault(row=f"row {place + 1}", column=f"events{arm}", message=message))
    if faults:
        raise DataError("table", faults)
    kept = table.loc[whole.to_numpy()].reset_index(drop=True)
    counted: pd.DataFrame = kept.assign(
        **{column: numbers.loc[whole, column].to_numpy(np.float64) for column in EVENTS}
    )
    return counted


def labbe_plot(
    data: pd.DataFrame | MetaAnalysisResult,
    *,
    lines: Sequence[Literal["RR", "OR", "RD"]] = LINES,
    arms: tuple[str, str] = ARM_NAMES,
    ax: Axes | None = None,
    **options: Any,
) -> Figure:
    """Draw a L'Abbé plot: the risk in each arm, and where studies would lie if one effect held for all.

    A study on a line has the effect of that line. Which line the studies follow hints at the measure on which effects
    vary least; it is no test.

    Parameters
    ----------
    data : DataFrame or MetaAnalysisResult
        Rows with ``events1``, ``total1``, ``events2``, ``total2`` (arm 1 is the intervention), or a fit of such rows.
        Rows without all four are left out.
    lines : sequence of {"RR", "OR", "RD"}
        Measures whose pooled effect is drawn: random effects with the defaults of `effect_size` and `meta_analysis`.
    arms : tuple of str
        Names of arm 1 and arm 2.
    ax : Axes, optional
        Where to draw; by default a new figure.
    **options
        ``title``, ``notes``, ``width``, ``limit``, ``name_studies`` and whatever else `draw_labbe` takes.

    Returns
    -------
    Figure
        The figure drawn on; save it with `save_figure`.

    Raises
    ------
    DataError
        If counts are missing or impossible; every fault is listed.
    ChoiceError
        If an option is unknown.

    Warns
    -----
    DataWarning
        What `effect_size` and `meta_analysis` warn of when the lines are pooled.

    References
    ----------
    L'Abbé, Detsky & O'Rourke (1987), Ann Intern Med 107:224-233.

    Examples
    --------
    >>> table = pd.DataFrame({"study_id": ["a", "b", "c"], "events1": [5, 12, 8], "total1": [50, 60, 40],
    ...                       "events2": [9, 20, 10], "total2": [50, 62, 38]})
    >>> figure = labbe_plot(table, lines=["RR"])
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_text().startswith("RR")]
    ['RR 0.65']
    """
    from metapeer.effects.table import effect_size
    from metapeer.pooling.models import meta_analysis

    for measure in lines:
        check_choice("lines", measure, LINES)
    table = _counts(data)
    risk1, risk2 = ((table[f"events{arm}"] / table[f"total{arm}"]).to_numpy(np.float64) for arm in (1, 2))
    name = next((column for column in ("label", "study_id", "row_id") if column in table), "")
    studies = pd.DataFrame(
        {
            "x": risk2,
            "y": risk1,
            "size": (table["total1"] + table["total2"]).to_numpy(np.float64),
            "label": table[name].astype(str) if name else "",
        }
    )
    limit = options.get("limit")
    furthest = float(limit) if is_finite(limit) else min(1.0, 1.12 * max(float(risk1.max()), float(risk2.max()), 0.045))
    counts = table[list(EVENTS)]
    curves, silent = [], []
    for measure in dict.fromkeys(lines):
        try:
            fit = meta_analysis(effect_size(counts, measure=measure), ci_method="z")
        except DataError:
            silent.append(measure)  # nothing but tables without events, say
            continue
        risk = np.linspace(0.0, furthest, POINTS)
        other = _curve(measure, fit.estimate, risk)
        inside = (other >= 0) & (other <= furthest)
        label = f"{measure} {format_number(measure_of(measure).display(fit.estimate))}"
        curves.append(pd.DataFrame({"name": label, "x": risk[inside], "y": other[inside]}))
    notes = ["Lines of one effect for all studies: pooled, random effects (REML)."] if curves else []
    notes += [f"No line of {' or '.join(silent)}: these tables cannot be pooled on that measure."] if silent else []
    settings: dict[str, Any] = {
        "lines": pd.concat(curves, ignore_index=True) if curves else None,
        "x_label": f"Risk: {arms[1].lower()}",
        "y_label": f"Risk: {arms[0].lower()}",
        "size_label": "participants",
        "notes": notes,
        **options,
    }
    return draw_labbe(studies, ax=ax, **settings)
