"""The forest plot of an update: what was there before, what is new, and the pooled effects before and after."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import MetapeerError
from metapeer.formatting import count
from metapeer.plots.forest import forest_plot
from metapeer.pooling.forest_table import ARM_NAMES, favours_words, forest_table
from metapeer.pooling.results import MetaAnalysisResult, measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.living.update_outcome import OutcomeChange

__all__ = ["change_table", "draw_change"]

CORRECTED = " (corrected)"


def _parts(fit: MetaAnalysisResult, when: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of studies, and those of what they amount to."""
    table = forest_table(fit)[["kind", "label", "estimate", "ci_low", "ci_high", "weight"]]
    summary = table[table["kind"] != "study"].copy()
    summary.loc[summary["kind"] == "summary", "label"] = f"{when}: {count(fit.trials, 'trial')}"
    return table[table["kind"] == "study"].copy(), summary


def _line(kind: str, label: str) -> pd.DataFrame:
    return pd.DataFrame({"kind": [kind], "label": [label]})


def change_table(change: "OutcomeChange") -> pd.DataFrame:
    """Lay out the rows of the plot.

    Parameters
    ----------
    change : OutcomeChange
        What is to be drawn.

    Returns
    -------
    DataFrame
        As `forest_plot` takes it. Studies under "Before" and "New" are those pooled after, with their weights there;
        a study that is no longer pooled stands under "Before" without a weight.

    Raises
    ------
    MetapeerError
        If nothing is pooled after, or the measure has changed.
    """
    after, before = change.after, change.before
    if after is None:
        raise MetapeerError(f"{change.outcome}: nothing can be pooled, so that there is nothing to draw")
    if before is not None and before.measure != after.measure:
        both = f"{before.measure} and {after.measure}"
        raise MetapeerError(f"{change.outcome}: {both} cannot share an axis; plot before and after singly")
    studies, amount = _parts(after, "After")
    trials = _row_names(after)
    new = [bool(names & set(change.new_rows)) for names in trials]
    marked = [
        f"{label}{CORRECTED}" if names & set(change.changed_rows) else label
        for label, names in zip(studies["label"], trials, strict=True)
    ]
    studies["label"] = marked
    old_studies = studies[[not one for one in new]]
    pieces: list[pd.DataFrame] = []
    if before is not None:
        earlier, earlier_amount = _parts(before, "Before")
        gone = earlier[~earlier["label"].isin(forest_table(after)["label"])].assign(weight=float("nan"))
        earlier_amount["weight"] = float("nan")  # weights are those after, and add up there
        pieces += [_line("heading", "Before"), old_studies, gone, earlier_amount, _line("blank", "")]
    elif len(old_studies):
        pieces += [_line("heading", "Before, not pooled then"), old_studies]
    if any(new):
        pieces += [_line("heading", "New"), studies[new], _line("blank", "")]
    frame = pd.concat([*pieces, amount], ignore_index=True)
    for column in ("estimate", "ci_low", "ci_high", "weight"):
        frame[column] = frame[column].astype("float64")
    return frame


def _row_names(fit: MetaAnalysisResult) -> list[set[str]]:
    """The rows behind each pooled effect; an average has several."""
    if fit.data is None or "key" not in fit.data:
        return [{label} for label in fit.labels]
    return [set(str(cell).split("; ")) for cell in fit.data["key"]]


def draw_change(
    change: "OutcomeChange", *, arms: tuple[str, str] = ARM_NAMES, ax: "Axes | None" = None, **options: Any
) -> "Figure":
    """Draw the forest plot of an outcome before and after.

    Parameters
    ----------
    change : OutcomeChange
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
    table = change_table(change)
    after = change.after
    assert after is not None  # noqa: S101  the table says so
    measure = measure_of(after.measure)
    name = measure.name[0].upper() + measure.name[1:]
    notes = [f"Pooled interval: {after.ci.method}. Study intervals: normal. Weights are those after."]
    if any(table["label"].astype(str).str.endswith(CORRECTED)):
        notes.append("Corrected studies are drawn as they are now.")
    pooled = after.estimate if measure.scale == "log" else measure.display(after.estimate, after.se**2)
    settings: dict[str, Any] = {
        **({"reference": pooled} if measure.has_null else {"null_value": pooled, "reference": None}),
        "axis_label": name,
        "log_scale": measure.scale == "log",
        "favours": favours_words(after.positive_favours, arms),
        "level": after.level,
        "title": change.outcome,
        "notes": notes,
        **options,
    }
    return forest_plot(table, ax=ax, **settings)
