"""The figure of a contrast of outcome classes: the main differences as diamonds, other assumptions below them."""

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import check_choice
from metapeer.formatting import format_interval, format_level, format_number, format_p
from metapeer.plots.forest import forest_plot
from metapeer.pooling.outcome_classes_cells import CLASS_MODELS, RHO_MODELS
from metapeer.pooling.outcome_classes_words import ALL, plain
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
        "p": format_p(line.p_value) + ("" if line.trusted else "*"),
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
    from metapeer.pooling.outcome_classes_results import AXES

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
        if column in NUMBERS:
            frame[column] = frame[column].astype("float64")
        else:
            frame[column] = ["" if pd.isna(cell) else str(cell) for cell in frame[column]]
    return frame


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _axis_label(found: "OutcomeClassContrast", contrast: str) -> str:
    """What is subtracted, and on which scale: a difference of ratios is one of their logarithms."""
    first, second = contrast.split(" minus ", maxsplit=1)
    words = f"{plain(first)} minus {plain(second)}"
    if not found.measure:
        return _capital(words)
    measure = measure_of(found.measure)
    scale = "" if measure.scale == "identity" else f" on the {measure.scale} scale"
    return f"{_capital(measure.name)}{scale}: {words}"


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
    first = found.classes[0]
    second = next(name for name in found.classes[1:] if chosen == f"{first} minus {name}")
    level = format_level(found.level)
    assumed = f"; rho {found.rho:g}" if found.model in RHO_MODELS else ""
    main = next(line for line in found.lines if line.axis == "main" and line.contrast == chosen)
    own = [line for line in found.lines if line.contrast == chosen and (trials or line.axis != "trial")]
    remarks = []
    if any(line.axis == "main" and not math.isnan(line.pi_low) for line in own):
        remarks.append(
            f"Lines through diamonds: one outcome of each class in a new trial ({level} prediction interval)."
        )
    if any(not (line.trusted or math.isnan(line.estimate)) for line in own):
        remarks.append("p*: the p value and the interval are not to be trusted.")
    settings: dict[str, Any] = {
        "left": {"label": "Analysis", "trials": "Trials (both)"},
        "right": {"effect": f"Difference ({level} CI)", "p": "p"},
        "axis_label": _axis_label(found, chosen),
        "favours": (f"Higher on {plain(second)}", f"Higher on {plain(first)}"),
        "reference": None if math.isnan(main.estimate) else main.estimate,
        "level": found.level,
        "notes": [
            f"Main analysis: {CLASS_MODELS[found.model]}{assumed}.",
            "Trials (both): trials, and those that report both classes.",
            *remarks,
        ],
    }
    return forest_plot(contrast_table(found, chosen, trials=trials), ax=ax, **(settings | options))
