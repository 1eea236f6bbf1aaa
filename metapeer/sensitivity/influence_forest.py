"""Forest plots of influence: the pooled effect without each study, and each trial's own effect predicted."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import check_choice
from metapeer.formatting import count, format_level, format_number, format_p
from metapeer.plots.forest import forest_plot
from metapeer.plots.forest_look import LAYOUTS
from metapeer.pooling.forest_table import ARM_NAMES, favours_words, judged_rows
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.sensitivity.deletion_results import LeaveOneOutResult
    from metapeer.sensitivity.influence_predictions import BlupResult

__all__ = ["deletion_table", "draw_deletions", "draw_predictions"]


def _scaled(measure: str, numbers: tuple[float, ...], variance: float) -> list[float]:
    """Numbers as the axis has them: ratios stay logarithms, all else as a reader expects it."""
    about = measure_of(measure)
    return [number if about.scale == "log" else about.display(number, variance) for number in numbers]


def deletion_table(found: "LeaveOneOutResult") -> pd.DataFrame:
    """Lay out the rows of a leave-one-out forest plot.

    Parameters
    ----------
    found : LeaveOneOutResult
        What is to be drawn.

    Returns
    -------
    DataFrame
        As `forest_plot` takes it, with the text columns ``k``, ``p``, ``tau2`` and ``I2``; all studies together last.
    """
    fit = found.fit
    has_null = measure_of(fit.measure).has_null
    random = fit.model == "random"
    shares = found.I2 if random else found.I2_Q
    rows = []
    for i, name in enumerate(found.names):
        variance = float(found.se[i]) ** 2
        numbers = (float(found.estimate[i]), float(found.ci_low[i]), float(found.ci_high[i]))
        rows.append(
            {
                "kind": "pooled",
                "label": f"Without {name}" + (" *" if found.changes[i] else ""),
                **dict(zip(("estimate", "ci_low", "ci_high"), _scaled(fit.measure, numbers, variance), strict=True)),
                "k": str(int(found.k[i])),
                "p": format_p(float(found.p_value[i])) if has_null else "",
                "tau2": format_number(float(found.tau2[i]), 4),
                "I2": format_number(float(shares[i]), 0),
            }
        )
    whole = _scaled(fit.measure, (fit.estimate, fit.ci.low, fit.ci.high), fit.se**2)
    rows.append(
        {
            "kind": "summary",
            "label": "All",
            **dict(zip(("estimate", "ci_low", "ci_high"), whole, strict=True)),
            "k": str(fit.k),
            "p": format_p(fit.p_value) if has_null else "",
            "tau2": format_number(fit.tau2, 4),
            "I2": format_number(fit.I2 if random else fit.I2_Q, 0),
        }
    )
    return pd.DataFrame(rows)


def draw_deletions(
    found: "LeaveOneOutResult",
    *,
    arms: tuple[str, str] = ARM_NAMES,
    risk_of_bias: bool = False,
    ax: "Axes | None" = None,
    **options: Any,
) -> "Figure":
    """Draw the leave-one-out forest plot.

    Parameters
    ----------
    found : LeaveOneOutResult
        What is to be drawn.
    arms : tuple of str
        Names of arm 1 and arm 2, for what the axis favours.
    risk_of_bias : bool, default False
        Whether the columns ``rob_d1``, ``rob_d2``, ... and ``rob_overall`` of the study left out are drawn as signs.
    ax : Axes, optional
        Where to draw.
    **options
        Passed to `forest_plot`; they override what is chosen here.

    Returns
    -------
    Figure
        The figure drawn on.
    """
    fit = found.fit
    measure = measure_of(fit.measure)
    table = deletion_table(found)
    pooled = float(table["estimate"].iloc[-1])
    random = fit.model == "random"
    look = LAYOUTS[check_choice("layout", options.get("layout", "metapeer"), LAYOUTS)]
    effect = {"effect": look.heads[0].format(measure=fit.measure or "Effect", level=format_level(fit.level))}
    on_left = "effect" in look.left
    right: dict[str, Any] = {} if on_left else {**effect}
    if measure.has_null:
        right["p"] = "p"
    right |= {"tau2": "τ²"} if random else {}
    right["I2"] = "I² %"
    number = len(found.changing)
    changed = f"* {count(number, 'deletion')} that would change the conclusion." if number else (
        "No single deletion changes the conclusion." if measure.has_null else ""
    )  # fmt: skip
    notes = [f"Each diamond pools the effects that are left. Interval of all: {fit.ci.method}. {changed}".strip()]
    signs: dict[str, Any] = {}
    if risk_of_bias:
        places = [[int(i) for i in rows] for rows in found.groups]
        table, heads, told = judged_rows(fit, table, [*places, []])
        signs, notes = {"judgements": heads}, [f"{told} Judgements are of what was left out.", *notes]
    settings: dict[str, Any] = {
        **({"reference": pooled} if measure.has_null else {"null_value": pooled, "reference": None}),
        "left": {"label": "Left out", "k": "Effects", **(effect if on_left else {})},
        "right": right,
        "axis_label": measure.name[0].upper() + measure.name[1:],
        "log_scale": measure.scale == "log",
        "favours": favours_words(fit.positive_favours, arms),
        "level": fit.level,
        "notes": notes,
        **signs,
        **options,
    }
    return forest_plot(table, ax=ax, **settings)


def draw_predictions(
    found: "BlupResult", *, arms: tuple[str, str] = ARM_NAMES, ax: "Axes | None" = None, **options: Any
) -> "Figure":
    """Draw observed effects with the predictions of their true effects.

    Parameters
    ----------
    found : BlupResult
        What is to be drawn.
    arms : tuple of str
        Names of arm 1 and arm 2, for what the axis favours.
    ax : Axes, optional
        Where to draw.
    **options
        Passed to `forest_plot`; they override what is chosen here.

    Returns
    -------
    Figure
        The figure drawn on.
    """
    measure = measure_of(found.measure)
    z = normal_quantile(found.level)
    rows = []
    for i, label in enumerate(found.labels):
        y, v, se = float(found.yi[i]), float(found.vi[i]), float(found.se[i])
        observed = _scaled(found.measure, (y, y - z * v**0.5, y + z * v**0.5), v)
        limits = (float(found.estimate[i]), float(found.pi_low[i]), float(found.pi_high[i]))
        predicted = _scaled(found.measure, limits, se**2)
        for kind, name, numbers in (("study", label, observed), ("pooled", "↳ true effect", predicted)):
            rows.append(
                {"kind": kind, "label": name, **dict(zip(("estimate", "ci_low", "ci_high"), numbers, strict=True))}
            )
    settings: dict[str, Any] = {
        "left": {"label": "Trial"},
        "axis_label": measure.name[0].upper() + measure.name[1:],
        "log_scale": measure.scale == "log",
        "favours": favours_words(found.positive_favours, arms),
        "level": found.level,
        "notes": [f"Diamonds: predictions of the true effects. τ² = {format_number(found.tau2, 4)} taken as known."],
        **options,
    }
    if not measure.has_null:
        middle = float(_scaled(found.measure, (float(found.fitted.mean()),), 0.0)[0])
        settings.setdefault("null_value", middle)
    return forest_plot(pd.DataFrame(rows), ax=ax, **settings)
