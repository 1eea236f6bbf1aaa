"""Figures of pairs: pooled effects as published and recomputed, or before and after an update."""

import math
import re
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.effects.measures import MEASURES
from metapeer.errors import DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.plots.pairs import draw_pairs
from metapeer.pooling.outcomes_names import outcome_words
from metapeer.pooling.results import measure_of

__all__ = ["HasFrame", "agreement_plot", "before_after_plot"]


@runtime_checkable
class HasFrame(Protocol):
    """A result that can be put in rows, such as a ledger or an update of a review."""

    def to_frame(self) -> pd.DataFrame:
        """Put the result in rows.

        Returns
        -------
        DataFrame
            One row for each entry.
        """
        ...  # pragma: no cover


def _frame(data: object, needed: tuple[str, ...], source: str) -> pd.DataFrame:
    table = data if isinstance(data, pd.DataFrame) else data.to_frame() if isinstance(data, HasFrame) else None
    if not isinstance(table, pd.DataFrame):
        raise DataError(source, [f"is a {type(data).__name__}; a result with to_frame(), or its table, would do"])
    absent = [Fault(column=column, message="is missing") for column in needed if column not in table]
    if absent:
        raise DataError(source, absent)
    return table


def _choose(table: pd.DataFrame, measure: str | None) -> tuple[pd.DataFrame, str, list[str]]:
    """Keep the rows of one measure, the commonest unless another is wanted; name the measures left out."""
    codes = [str(code) for code in table["measure"]]
    known = list(dict.fromkeys(codes))
    if measure is not None:
        check_choice("measure", measure, known)
    elif known:
        measure = max(known, key=codes.count)
    chosen = measure or ""
    return table[[code == chosen for code in codes]], chosen, [code for code in known if code != chosen]


def _scale(code: str) -> tuple[str, bool, float | None]:
    """Name of a measure, whether it is a ratio, and where there is no effect."""
    if code not in MEASURES:
        return code or "Effect", False, 0.0
    about = measure_of(code)
    return about.name[0].upper() + about.name[1:], about.scale == "log", 0.0 if about.has_null else None


def _numbers(column: "pd.Series", log: bool) -> "np.ndarray[Any, np.dtype[np.float64]]":
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if not log:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log(np.where(values > 0, values, 1.0)), np.nan)


def agreement_plot(
    data: HasFrame | pd.DataFrame,
    *,
    review: str | None = None,
    measure: str | None = None,
    ax: Axes | None = None,
    **options: Any,
) -> Figure:
    """Draw published pooled effects above their recomputations, each with its interval and the verdict.

    Parameters
    ----------
    data : Ledger or DataFrame
        What `reproduce` found, or the table that its ``to_frame()`` gives.
    review : str, optional
        One of the reviews; all when left out.
    measure : str, optional
        One of the measures; the commonest when left out, since others have another axis.
    ax : Axes, optional
        Where to draw; by default a new figure.
    **options
        ``title``, ``notes``, ``width``, ``x_limits`` and whatever else `draw_pairs` takes.

    Returns
    -------
    Figure
        The figure drawn on; save it with `save_figure`. Verdicts other than "reproduced" are written in bold.

    Raises
    ------
    DataError
        If `data` is no ledger.
    ChoiceError
        If an option is unknown.
    MetapeerError
        If nothing printed is there to be drawn.

    Examples
    --------
    >>> table = pd.DataFrame({"review": ["one"], "id": ["r1"], "kind": ["published number"], "verdict": ["reproduced"],
    ...                       "measure": ["SMD"], "published_es": ["0.19"], "published_ci_low": ["0.11"],
    ...                       "published_ci_high": ["0.27"], "es": [0.1904], "ci_low": [0.1101], "ci_high": [0.2696]})
    >>> figure = agreement_plot(table)
    >>> "reproduced" in [text.get_text() for text in figure.axes[0].texts]
    True
    """
    numbers = ("es", "ci_low", "ci_high")
    needed = ("review", "id", "kind", "verdict", "measure", *(f"published_{name}" for name in numbers), *numbers)
    table = _frame(data, needed, "ledger")
    table = table[(table["kind"] == "published number") & (table["verdict"] != "beside it")]
    if review is not None:
        check_choice("review", review, list(dict.fromkeys(str(one) for one in table["review"])))
        table = table[table["review"] == review]
    printed = table["published_es"].map(lambda text: str(text).strip() != "")
    unprinted = int((~printed).sum())
    table, code, others = _choose(table[printed], measure)
    if not len(table):
        raise MetapeerError("no published estimate is there to be drawn")
    name, log, null = _scale(code)
    name = re.sub(r" \(.*\)$", "", name)  # which correction a paper made is not known from its measure
    several = len(set(table["review"])) > 1
    verdicts = [str(verdict) for verdict in table["verdict"]]
    pairs = pd.DataFrame(
        {
            "label": [
                f"{one}: {which}" if several else str(which)
                for one, which in zip(table["review"], table["id"], strict=True)
            ],
            "words": verdicts,
            "marked": [verdict != "reproduced" for verdict in verdicts],
        }
    )
    for which, prefix in (("first", "published_"), ("second", "")):
        for end, column in zip(("", "_low", "_high"), numbers, strict=True):
            pairs[f"{which}{end}"] = _numbers(table[f"{prefix}{column}"], log)
    notes = ["Effects have the sign that was printed."]
    if others:
        notes.append(f"Other measures, not on this axis: {', '.join(other or 'unnamed' for other in others)}.")
    if unprinted:
        notes.append(f"{count(unprinted, 'result')} without a printed estimate not shown.")
    settings: dict[str, Any] = {
        "first": "published",
        "second": "recomputed",
        "x_label": name,
        "log_scale": log,
        "null_value": null,
        "notes": [" ".join(notes)],
        **options,
    }
    return draw_pairs(pairs, ax=ax, **settings)


def before_after_plot(
    data: HasFrame | pd.DataFrame, *, measure: str | None = None, ax: Axes | None = None, **options: Any
) -> Figure:
    """Draw the pooled effect of each outcome before an update, and by an arrow where it went.

    Parameters
    ----------
    data : ReviewUpdate or DataFrame
        What `update` or `diff` found, or the table that its ``to_frame()`` gives.
    measure : str, optional
        One of the measures; the commonest when left out, since others have another axis.
    ax : Axes, optional
        Where to draw; by default a new figure.
    **options
        ``title``, ``notes``, ``width``, ``x_limits`` and whatever else `draw_pairs` takes.

    Returns
    -------
    Figure
        The figure drawn on; save it with `save_figure`. On the right stands how many trials there were and are; an
        outcome whose conclusion changed is in bold and says so.

    Raises
    ------
    DataError
        If `data` is no update.
    ChoiceError
        If an option is unknown.
    MetapeerError
        If no outcome is pooled.

    Examples
    --------
    >>> table = pd.DataFrame({"outcome": ["recovery"], "measure": ["SMD"], "conclusion_changed": [True],
    ...                       "before_trials": [8], "before_estimate": [0.12], "before_ci_low": [-0.02],
    ...                       "before_ci_high": [0.26], "after_trials": [9], "after_estimate": [0.16],
    ...                       "after_ci_low": [0.03], "after_ci_high": [0.29]})
    >>> figure = before_after_plot(table)
    >>> [text.get_text() for text in figure.axes[0].texts if "trials" in text.get_text()][0][:12]
    '8 → 9 trials'
    """
    numbers = ("estimate", "ci_low", "ci_high")
    told = tuple(f"{when}_{name}" for when in ("before", "after") for name in ("trials", *numbers))
    needed = ("outcome", "measure", "conclusion_changed", *told)
    table, code, others = _choose(_frame(data, needed, "update"), measure)
    pooled = [
        any(math.isfinite(float(row[f"{w}_estimate"])) for w in ("before", "after")) for _, row in table.iterrows()
    ]
    table = table[pooled]
    if not len(table):
        raise MetapeerError("no outcome is pooled, so that there is nothing to draw")
    name, log, null = _scale(code)
    rows = []
    for _, row in table.iterrows():
        changed = bool(row["conclusion_changed"])
        was, now = int(row["before_trials"]), int(row["after_trials"])
        words = count(now, "trial") if was == now else f"{was} → {count(now, 'trial')}"
        pair: dict[str, Any] = {
            "label": outcome_words(str(row["outcome"])),
            "words": f"{words}; conclusion changed" if changed else words,
            "marked": changed,
        }
        for which, when in (("first", "before"), ("second", "after")):
            for end, number in zip(("", "_low", "_high"), numbers, strict=True):
                pair[f"{which}{end}"] = float(row[f"{when}_{number}"])
        rows.append(pair)
    settings: dict[str, Any] = {
        "x_label": name,
        "log_scale": log,
        "null_value": null,
        "notes": [f"Other measures, not on this axis: {', '.join(others)}."] if others else (),
        **options,
    }
    return draw_pairs(pd.DataFrame(rows), arrows=True, ax=ax, **settings)
