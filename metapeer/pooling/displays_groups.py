"""The orchard plot of several pooled effects: outcomes, subgroups, or one alone."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError, MetapeerError
from metapeer.formatting import count, format_level
from metapeer.plots.orchard import draw_orchard
from metapeer.pooling.forest_table import ARM_NAMES, favours_words
from metapeer.pooling.outcomes import OutcomesResult
from metapeer.pooling.outcomes_names import outcome_words
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.subgroups import SubgroupAnalysisResult

__all__ = ["orchard_plot"]


def _fits(data: object) -> dict[str, MetaAnalysisResult]:
    if isinstance(data, MetaAnalysisResult):
        return {"All studies": data}
    if isinstance(data, SubgroupAnalysisResult):
        return dict(zip(data.levels, data.results, strict=True)) | {"All studies": data.overall}
    if isinstance(data, OutcomesResult):
        return {outcome_words(name): fit for name, fit in zip(data.outcomes, data.results, strict=True)}
    if isinstance(data, Mapping) and data and all(isinstance(fit, MetaAnalysisResult) for fit in data.values()):
        return {str(name): fit for name, fit in data.items()}
    raise ChoiceError(
        "data must be the result of meta_analysis, subgroup_analysis or pool_outcomes, or a mapping of names to "
        f"results of meta_analysis, not {type(data).__name__}"
    )


def orchard_plot(
    data: MetaAnalysisResult | SubgroupAnalysisResult | OutcomesResult | Mapping[str, MetaAnalysisResult],
    *,
    fewest: int = 1,
    arms: tuple[str, str] = ARM_NAMES,
    ax: Axes | None = None,
    **options: Any,
) -> Figure:
    """Draw an orchard plot: pooled effects with their intervals and predictions, amid the effects they were made of.

    Parameters
    ----------
    data : MetaAnalysisResult, SubgroupAnalysisResult, OutcomesResult, or mapping of str to MetaAnalysisResult
        One group for each level or outcome, from the top; a mapping puts any fits of one measure side by side.
    fewest : int, default 1
        Effects that a group must have to be drawn; a note says how many groups have fewer.
    arms : tuple of str
        Names of arm 1 and arm 2, for what the axis favours.
    ax : Axes, optional
        Where to draw; by default a new figure.
    **options
        ``title``, ``notes``, ``width``, ``x_limits`` and whatever else `draw_orchard` takes.

    Returns
    -------
    Figure
        The figure drawn on; save it with `save_figure`.

    Raises
    ------
    MetapeerError
        If the results are of several measures.
    ChoiceError
        If `data` is something else, or an option is unknown.

    References
    ----------
    Nakagawa et al. (2021), Res Synth Methods 12:4-12.

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> figure = orchard_plot({"one": meta_analysis(yi=[0.1, 0.3], vi=[0.02, 0.03]),
    ...                        "two": meta_analysis(yi=[0.4, 0.2], vi=[0.02, 0.03])})
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_text().startswith("k")]
    ['k = 2', 'k = 2']
    """
    if isinstance(fewest, bool) or not isinstance(fewest, int | np.integer) or fewest < 1:
        raise ChoiceError(f"fewest must be a whole number of 1 or more, not {fewest!r}")
    pooled = {name: fit for name, fit in _fits(data).items() if math.isfinite(fit.estimate)}
    fits = {name: fit for name, fit in pooled.items() if fit.k >= fewest}
    if not fits:
        raise ChoiceError("nothing was pooled of so many effects, so that there is nothing to draw")
    measures = sorted({fit.measure for fit in fits.values()})
    if len(measures) > 1:
        raise MetapeerError(f"{' and '.join(measures)} cannot share an axis; draw the results of each singly")
    first = next(iter(fits.values()))
    about = measure_of(first.measure)
    log = about.scale == "log"

    def drawn(value: float, variance: float) -> float:
        return value if log else about.display(value, variance)

    fruit = [
        {"group": name, "estimate": drawn(y, v), "size": 1.0 / math.sqrt(v)}
        for name, fit in fits.items()
        for y, v in zip(fit.yi.tolist(), fit.vi.tolist(), strict=True)
    ]
    trunks = []
    for name, fit in fits.items():
        low, high = (math.nan, math.nan) if fit.prediction_interval is None else fit.prediction_interval
        ends = {"estimate": fit.estimate, "ci_low": fit.ci.low, "ci_high": fit.ci.high, "pi_low": low, "pi_high": high}
        trunks.append(
            {
                "group": name,
                **{key: drawn(value, fit.se**2) for key, value in ends.items()},
                "words": f"k = {fit.k}" if fit.k == fit.trials else f"{fit.k} from {count(fit.trials, 'trial')}",
            }
        )
    levels = {fit.level for fit in fits.values()}
    level = format_level(levels.pop()) if len(levels) == 1 else ""
    favours = {favours_words(fit.positive_favours, arms) for fit in fits.values()}
    methods = list(dict.fromkeys(fit.ci.method for fit in fits.values()))
    notes = [f"Pooled intervals: {'; '.join(methods)}."] if len(methods) <= 3 else []
    if len(fits) < len(pooled):
        notes.append(f"{count(len(pooled) - len(fits), 'group')} of fewer than {fewest} effects not drawn.")
    settings: dict[str, Any] = {
        "x_label": about.name[0].upper() + about.name[1:],
        "log_scale": log,
        "null_value": 0.0 if about.has_null else None,
        "favours": favours.pop() if len(favours) == 1 else None,
        "interval_label": f"{level} interval".strip(),
        "prediction_label": f"{level} prediction interval".strip(),
        "notes": [" ".join(notes)],
        **options,
    }
    frame = pd.DataFrame(trunks).astype(dict.fromkeys(("pi_low", "pi_high"), np.float64))
    return draw_orchard(pd.DataFrame(fruit), frame, ax=ax, **settings)
