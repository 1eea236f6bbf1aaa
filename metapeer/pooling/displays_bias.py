"""Figures of risk of bias: judgements by trial and domain, or their shares."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import DataError, Fault, check_choice
from metapeer.formatting import count
from metapeer.plots.judgements import DOMAINS, TOOLS, Tool
from metapeer.plots.risk_of_bias import draw_rob_bars, draw_rob_lights
from metapeer.pooling.results import MetaAnalysisResult

__all__ = ["domain_columns", "risk_of_bias_plot"]

OVERALL = "rob_overall"
NAMES = ("label", "study_id", "trial", "study")


def domain_columns(table: pd.DataFrame, tool: str = "RoB 2") -> dict[str, str]:
    """Find the columns of judgements: ``rob_d1``, ``rob_d2``, ... and ``rob_overall``, as far as they hold something.

    Parameters
    ----------
    table : DataFrame
        With judgements.
    tool : str, default "RoB 2"
        Whose domains they are.

    Returns
    -------
    dict of str to str
        Column and name of the domain, in their order.

    Examples
    --------
    >>> domain_columns(pd.DataFrame({"rob_d2": ["Low risk"], "rob_overall": ["Low risk"]}))
    {'rob_d2': 'Deviations from the intended interventions', 'rob_overall': 'Overall'}
    """
    known = {f"rob_d{i}": name for i, name in enumerate(DOMAINS[tool], start=1)} | {OVERALL: "Overall"}

    def holds(column: str) -> bool:
        return column in table and any(not pd.isna(cell) and str(cell).strip() for cell in table[column])

    return {column: name for column, name in known.items() if holds(column)}


def risk_of_bias_plot(
    data: pd.DataFrame | MetaAnalysisResult,
    *,
    kind: Literal["lights", "summary"] = "lights",
    tool: Tool = "RoB 2",
    columns: Mapping[str, str] | None = None,
    label: str | None = None,
    weights: str | None = None,
    ax: Axes | None = None,
    **options: Any,
) -> Figure:
    """Draw risk of bias as traffic lights, or as bars that share out the studies of each domain.

    Each level has a sign as well as a colour. A cell that is empty was not judged: it stays empty, and has no part in a
    bar. What is drawn is what a source judged; nothing is derived.

    Parameters
    ----------
    data : DataFrame or MetaAnalysisResult
        Rows with ``rob_d1``, ``rob_d2``, ... and ``rob_overall``, such as ``load_dataset(name).trials``; or a fit of
        such rows, of which each trial counts once.
    kind : {"lights", "summary"}
        A sign for each study and domain, or a bar for each domain.
    tool : {"RoB 2", "ROBINS-I", "RoB 1"}
        Whose levels and domains they are.
    columns : mapping of str to str, optional
        Columns of judgements and the names of their domains; found by `domain_columns` when left out.
    label : str, optional
        Column of the studies' names; ``label`` or ``study_id`` when left out.
    weights : str, optional
        For ``kind="summary"``: a column of weights, or ``"weight"`` of a fit for those in its pooled effect (a trial's
        rows together); all studies count alike when left out.
    ax : Axes, optional
        Where to draw; by default a new figure.
    **options
        ``title``, ``notes``, ``width`` and whatever else `draw_rob_lights` or `draw_rob_bars` takes.

    Returns
    -------
    Figure
        The figure drawn on; save it with `save_figure`.

    Raises
    ------
    DataError
        If there are no judgements, or a cell is no level of the tool; every fault is listed.
    ChoiceError
        If an option is unknown, or two rows of a trial were judged differently.

    References
    ----------
    Sterne et al. (2019), BMJ 366:l4898; McGuinness & Higgins (2021), Res Synth Methods 12:55-61.

    Examples
    --------
    >>> table = pd.DataFrame({"study_id": ["a", "b"], "rob_d1": ["Low risk", "High risk"],
    ...                       "rob_overall": ["Some concerns", "High risk"]})
    >>> figure = risk_of_bias_plot(table)
    >>> [text.get_text() for text in figure.axes[0].texts][:3]
    ['Study', 'D1', 'Overall']
    """
    check_choice("kind", kind, ("lights", "summary"))
    check_choice("tool", tool, TOOLS)
    table, name = _read(data, label)
    chosen = domain_columns(table, tool) if columns is None else dict(columns)
    if not chosen:
        raise DataError("table", ["has no judgement in rob_d1, rob_d2, ... or rob_overall"])
    absent = [Fault(column=column, message="is missing") for column in chosen if column not in table]
    if absent:
        raise DataError("table", absent)
    if isinstance(data, MetaAnalysisResult):
        table = _by_trial(table, name, list(chosen))
    if kind == "summary":
        found = None
        if weights is not None:
            check_choice("weights", weights, [str(column) for column in table.columns])
            found = pd.to_numeric(table[weights], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        named = "the weight in the pooled effect" if isinstance(data, MetaAnalysisResult) else str(weights)
        return draw_rob_bars(
            table, chosen, weights=None if found is None else found.tolist(), tool=tool, ax=ax,
            **{"weight_label": named, **options},
        )  # fmt: skip
    if weights is not None:
        check_choice("kind", kind, ("summary",))
    heads = {column: "Overall" if column == OVERALL else _head(column, i) for i, column in enumerate(chosen, start=1)}
    names = {column: text for column, text in chosen.items() if column != OVERALL}
    silent = [i for i in range(len(table)) if not any(_filled(table[column].iloc[i]) for column in chosen)]
    notes = [f"Not judged, and not shown: {count(len(silent), 'study', 'studies')}."] if silent else []
    shown = table.drop(index=table.index[silent])
    settings: dict[str, Any] = {"names": names, "notes": notes, **options}
    return draw_rob_lights(shown, heads, label=name, tool=tool, ax=ax, **settings)


def _head(column: str, place: int) -> str:
    number = column.removeprefix("rob_d")
    return f"D{number}" if number.isdigit() else f"D{place}"


def _filled(cell: object) -> bool:
    return isinstance(cell, str) and bool(cell.strip())


def _read(data: object, label: str | None) -> tuple[pd.DataFrame, str]:
    table = data
    if isinstance(data, MetaAnalysisResult):
        table = data.studies()
        label = label or ("study_id" if "study_id" in table else "label")
    if not isinstance(table, pd.DataFrame):
        raise DataError("table", [f"is a {type(table).__name__}; a pandas DataFrame or a fit would do"])
    if label is not None:
        check_choice("label", label, [str(column) for column in table.columns])
        return table, label
    found = next((column for column in NAMES if column in table), "")
    if not found:
        raise DataError("table", ["has no names of studies; say which column holds them with label="])
    return table, found


def _by_trial(table: pd.DataFrame, name: str, columns: list[str]) -> pd.DataFrame:
    """One row for each trial: its judgements, and its weights together. Judgements that differ are a fault."""
    faults = []
    for trial, rows in table.groupby(name, sort=False):
        faults += [
            f"{trial}: {column} differs between its rows; draw the rows themselves from a table"
            for column in columns
            if len({"" if pd.isna(cell) else str(cell) for cell in rows[column]}) > 1
        ]
    if faults:
        raise DataError("table", faults)
    first = table.drop_duplicates(name).copy()
    first["weight"] = table.groupby(name, sort=False)["weight"].sum().to_numpy()
    return first
