"""The trials of a report, and its rows: what was read, what it came to, and where it stands."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from metapeer.effects.measures import MEASURES
from metapeer.formatting import TextTable, count, format_interval, format_number
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.outcomes_names import outcome_words
from metapeer.pooling.results import measure_of
from metapeer.reporting.report_blocks import Section, Sheet, Source, Words
from metapeer.reporting.report_material import Material
from metapeer.reporting.report_sensitivity import source_of

__all__ = ["row_labels", "rows_section", "trials_section"]

TRIAL_COLUMNS = {
    "study_id": "trial",
    "year": "year",
    "country": "country",
    "participants": "participants",
    "population": "population",
    "intervention": "intervention",
    "comparator": "comparator",
    "peer_support_type": "peer support",
    "follow_up_months": "months",
    "rob_overall": "risk of bias",
    "used": "effects pooled",
    "citation": "reference",
}
CHOOSE_BY = ("peer_support_type", "rob_overall")
MOST_CHOICES = 12
"""Values of a column beyond which choosing by it is no help."""


def trials_section(material: Material) -> Section:
    """Describe the trials.

    Parameters
    ----------
    material : Material
        What the report is about.

    Returns
    -------
    Section
        A table that can be sorted and filtered.
    """
    frame = material.trials
    title = "Trials"
    if not len(frame):
        words = "No trial is described." if material.kind != "fits" else "A result does not say more of its trials."
        return Section(key="trials", title=title, blocks=[Words(text=words)])
    rows = material.usable
    used = rows["study_id"].astype(str).value_counts() if len(rows) else pd.Series(dtype=int)
    names = frame["study_id"].astype(str)
    frame = frame.assign(used=[str(int(used.get(name, 0))) for name in names], participants=_sizes(frame, rows))
    shown = {name: words for name, words in TRIAL_COLUMNS.items() if name in frame and any(_cells(frame[name]))}
    cells = zip(*(_cells(frame[name]) for name in shown), strict=True)
    table = TextTable(
        title=f"{count(len(frame), 'trial')}, {sum(name in used for name in names)} of them pooled",
        header=tuple(shown.values()),
        rows=[tuple(row) for row in cells],
    )
    places = {name: place for place, name in enumerate(shown)}
    filters = [
        places[name] for name in CHOOSE_BY if name in shown and 2 <= len(set(_cells(frame[name]))) <= MOST_CHOICES
    ]
    sheet = Sheet(
        table=table,
        key="trials-table",
        live=True,
        filters=tuple(filters),
        sources=tuple(source_of(row) for row in frame.to_dict("records")),
    )
    return Section(key="trials", title=title, blocks=[sheet])


def _sizes(frame: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Participants as randomised, where that is known; otherwise the largest number that a row analyses."""
    found = []
    largest: dict[str, float] = {}
    if {"n1", "n2"} <= set(rows.columns):
        sums = pd.to_numeric(rows["n1"]).astype(float) + pd.to_numeric(rows["n2"]).astype(float)
        for name, size in zip(rows["study_id"].astype(str), sums, strict=True):
            if size == size:  # noqa: PLR0124 - NaN differs from itself
                largest[name] = max(size, largest.get(name, 0.0))
    for row in frame.to_dict("records"):
        arms = [row.get("n_intervention", math.nan), row.get("n_control", math.nan)]
        total = sum(float(n) if isinstance(n, int | float) else math.nan for n in arms)
        name = str(row["study_id"])
        found.append(f"{total:.0f}" if not math.isnan(total) else f"{largest[name]:.0f}" if name in largest else "")
    return found


def _cells(column: "pd.Series[Any]") -> list[str]:
    return [_cell(value) for value in column.tolist()]


def _cell(value: object) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN differs from itself
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def row_labels(material: Material) -> Mapping[str, tuple[str, Source]]:
    """Find the row that a study of a forest plot is read from.

    Parameters
    ----------
    material : Material
        What the report is about.

    Returns
    -------
    mapping of str to (str, Source)
        Name of the row to its anchor in `rows_section` and its source.
    """
    records = material.rows.to_dict("records")
    return {str(row["row_id"]): (f"row-{number}", source_of(row)) for number, row in enumerate(records, 1)}


def rows_section(material: Material) -> Section:
    """List every row, as it was read, with its effect and its source.

    Parameters
    ----------
    material : Material
        What the report is about.

    Returns
    -------
    Section
        A table that can be sorted and filtered.
    """
    title = "Rows, with the source of each number"
    if not len(material.rows):
        return Section(key="rows", title=title, blocks=[Words(text="There is no row.")])
    frame = material.rows
    half = normal_quantile(0.95)
    rows = []
    for row in frame.to_dict("records"):
        code = str(row.get("measure") or "")
        reason = row.get("exclusion_reason")
        effect = str(reason) if isinstance(reason, str) and reason else ""
        if not effect and _number(row.get("yi")) and _number(row.get("sei")):
            measure = measure_of(code if code in MEASURES else "")
            yi, sei = float(row["yi"]), float(row["sei"])
            low, high = (measure.display(end, sei**2) for end in (yi - half * sei, yi + half * sei))
            effect = f"{code} {format_number(measure.display(yi, sei**2))} ({format_interval(low, high)})".strip()
        rows.append(
            (
                str(row["row_id"]),
                str(row.get("study_id", "")),
                outcome_words(_cell(row.get("outcome"))) if _cell(row.get("outcome")) else "",
                _cell(row.get("instrument")),
                _time(row),
                _arm(row, "1"),
                _arm(row, "2"),
                _printed(row),
                effect,
                _cell(row.get("note")),
            )
        )
    header = (
        "row",
        "trial",
        "outcome",
        "instrument",
        "time",
        "peer support",
        "comparison",
        "printed effect",
        "effect (95% CI)",
        "note",
    )
    kept = [place for place in range(len(header)) if any(row[place] for row in rows)]
    chosen = [place for place, index in enumerate(kept) if header[index] == "outcome"]
    values = {row[2] for row in rows}
    table = TextTable(
        title=f"{count(len(rows), 'row')}; arm 1 is peer support",
        header=tuple(header[place] for place in kept),
        rows=[tuple(row[place] for place in kept) for row in rows],
        notes=("Raw values as they were read; corrections are listed with the suspicious rows.",),
    )
    sheet = Sheet(
        table=table,
        key="rows-table",
        live=True,
        filters=tuple(chosen) if 2 <= len(values) <= 40 else (),
        anchors=tuple(f"row-{number}" for number in range(1, len(rows) + 1)),
        sources=tuple(source_of(row) for row in frame.to_dict("records")),
    )
    return Section(key="rows", title=title, blocks=[sheet])


def _number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _time(row: Mapping[Any, Any]) -> str:
    months = row.get("timepoint_months")
    words = _cell(row.get("timepoint")).replace("_", " ")
    return f"{words}, {_cell(months)} months" if _number(months) and words else words


def _arm(row: Mapping[Any, Any], arm: str) -> str:
    """The numbers of an arm, as they were read."""
    mean, sd, n = (_cell(row.get(f"{name}{arm}")) for name in ("mean", "sd", "n"))
    events, total = (_cell(row.get(f"{name}{arm}")) for name in ("events", "total"))
    words = []
    if mean:
        words.append(f"{mean} (SD {sd})" if sd else mean)
    if n:
        words.append(f"n {n}")
    if events:
        words.append(f"{events} of {total}" if total else events)
    return ", ".join(words)


def _printed(row: Mapping[Any, Any]) -> str:
    es, low, high, p = (_cell(row.get(name)) for name in ("es", "es_ci_low", "es_ci_high", "p_value"))
    words = ""
    if es:
        words = f"{_cell(row.get('es_type'))} {es}".strip()
    if low and high:
        words += f" ({low} to {high})"
    if p:
        words += f", p {p}" if words else f"p {p}"
    yi, sei = _cell(row.get("review_yi")), _cell(row.get("review_sei"))
    if yi:
        words += f"{'; ' if words else ''}review: {yi}{f' (SE {sei})' if sei else ''}"
    return words.strip()
