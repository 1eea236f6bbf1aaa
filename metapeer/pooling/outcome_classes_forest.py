"""The figure of a contrast of outcome classes: the main differences as diamonds, other assumptions below them."""

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import check_choice
from metapeer.formatting import format_interval, format_level, format_number, format_p
from metapeer.plots.forest import forest_plot
from metapeer.pooling.outcome_classes_models import CLASS_MODELS
from metapeer.pooling.outcomes_names import outcome_words
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.pooling.outcome_classes_results import ClassContrast, OutcomeClassContrast

__all__ = ["contrast_table", "draw_contrasts"]

NUMBERS = ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")
TEXTS = ("trials", "effect", "p")


def _line(line: "ClassContrast", kind: str, label: str) -> dict[str, Any]:
    if math.isnan(line.estimate):
        return {"kind": "text", "label": f"{label}: no answer ({line.note})"}
    return {
        "kind": kind,
        "label": label,
        **{name: getattr(line, name) for name in (NUMBERS if kind == "pooled" else NUMBERS[:3])},
        "trials": f"{line.trials} ({line.both})",
        "effect": f"{format_number(line.estimate)} ({format_interval(line.ci_low, line.ci_high)})",
        "p": format_p(line.p_value),
    }


def contrast_table(found: "OutcomeClassContrast", contrast: str, *, trials: bool = False) -> pd.DataFrame:
    """Lay out the rows of the figure.

    Parameters
    ----------
    found : OutcomeClassContrast
        What is to be drawn.
    contrast : str
        Which pair of classes, such as ``"psychosocial minus clinical"``.
    trials : bool, default False
        Whether the analyses without one trial are drawn.

    Returns
    -------
    DataFrame
        As `forest_plot` takes it, with columns ``trials`` (and those with both classes), ``effect`` and ``p`` of text.
    """
    from metapeer.pooling.outcome_classes_results import ALL, AXES

    rows: list[dict[str, Any]] = []
    for axis, heading in AXES.items():
        own = [line for line in found.lines if line.axis == axis and line.contrast == contrast]
        if not own or (axis == "trial" and not trials):
            continue
        rows.append({"kind": "heading", "label": heading})
        for line in own:
            words = line.label.removesuffix(f" ({contrast})")
            kind = "pooled" if axis == "main" else "study"
            rows.append(
                _line(line, kind, outcome_words(words) if axis == "main" and line.scope != ALL else _capital(words))
            )
    frame = pd.DataFrame(rows).reindex(columns=["kind", "label", *NUMBERS, *TEXTS])
    for column in frame.columns:
        frame[column] = frame[column].astype("float64") if column in NUMBERS else frame[column].fillna("").astype(str)
    return frame


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def draw_contrasts(
    found: "OutcomeClassContrast",
    *,
    contrast: str | None = None,
    trials: bool = False,
    ax: "Axes | None" = None,
    **options: Any,
) -> "Figure":
    """Draw the differences between two classes of outcomes.

    Parameters
    ----------
    found : OutcomeClassContrast
        What is to be drawn.
    contrast : str, optional
        Which pair of classes; the first when left out.
    trials : bool, default False
        Whether the analyses without one trial are drawn.
    ax : Axes, optional
        Where to draw.
    **options
        Passed to `forest_plot`; they override what is chosen here.

    Returns
    -------
    Figure
        The figure drawn on.

    Raises
    ------
    ChoiceError
        If there is no such contrast.
    """
    known = list(dict.fromkeys(line.contrast for line in found.lines if line.axis == "main"))
    chosen = known[0] if contrast is None else check_choice("contrast", contrast, known)
    first, second = chosen.split(" minus ")
    level = format_level(found.level)
    main = next(line for line in found.lines if line.axis == "main" and line.contrast == chosen)
    settings: dict[str, Any] = {
        "left": {"label": "Analysis", "trials": "Trials (both)"},
        "right": {"effect": f"Difference ({level} CI)", "p": "p"},
        "axis_label": f"{_capital(measure_of(found.measure).name)}: {chosen}" if found.measure else _capital(chosen),
        "favours": (f"Larger on {second.replace('_', ' ')}", f"Larger on {first.replace('_', ' ')}"),
        "reference": None if math.isnan(main.estimate) else main.estimate,
        "level": found.level,
        "notes": [
            f"Main analysis: {CLASS_MODELS[found.model]}; rho {found.rho:g}.",
            "Trials (both): trials, and those that report both classes.",
            f"Thin lines: difference between one outcome of each class in a new trial ({level} prediction interval).",
        ],
    }
    return forest_plot(contrast_table(found, chosen, trials=trials), ax=ax, **(settings | options))
