"""The rows of a forest plot, read from a table and checked cell by cell."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.judgements import Judgement, read_judgement

__all__ = ["DRAWN", "FARTHEST", "FARTHEST_LOG", "Row", "read_rows"]

Kind = Literal["heading", "study", "pooled", "summary", "prediction", "text", "blank"]

KINDS: tuple[Kind, ...] = ("heading", "study", "pooled", "summary", "prediction", "text", "blank")
NUMBERS = ("estimate", "ci_low", "ci_high", "weight")
AROUND = ("pi_low", "pi_high")
DRAWN = ("study", "pooled", "summary", "prediction")
FARTHEST = 1e12  # beyond this, double precision no longer tells one end of an axis from the other
FARTHEST_LOG = 700.0  # exp(709) is the largest double


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the plot, as `forest_plot` describes the columns of its table.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    label : str
        Cleaned, ready to be drawn.
    estimate, low, high, weight : float
        In the table's units; NaN is missing.
    outer : tuple of float
        Ends of the prediction interval drawn on the same line; NaN is missing.
    reason : str
        Why there is no estimate, if there is none.
    indented : bool
        Whether it is a study or a pooled result under a heading, or the table's column `indent` says so.
    cells : mapping of column to str
        What the table brings to be printed.
    signs : mapping of column to Judgement or None
        Judgements of risk of bias.
    """

    kind: Kind
    label: str
    estimate: float
    low: float
    high: float
    weight: float
    outer: tuple[float, float]
    reason: str
    indented: bool
    cells: Mapping[str, str]
    signs: Mapping[str, Judgement | None] = field(default_factory=dict)

    @property
    def estimable(self) -> bool:
        """Whether there is something to draw in the panel."""
        if self.kind == "prediction":
            return not (math.isnan(self.low) or math.isnan(self.high))
        return math.isfinite(self.estimate)

    @property
    def silent(self) -> bool:
        """Whether it should be drawn but cannot be."""
        return self.kind in DRAWN and not self.estimable

    @property
    def spans(self) -> bool:
        """Whether its words may run on under the left columns."""
        return self.kind == "text" or (self.kind == "heading" and not any(self.cells.values()))

    @property
    def bold(self) -> bool:
        """Whether its label is set in bold."""
        return self.kind in ("heading", "summary")


def read_rows(
    table: pd.DataFrame,
    shown: Sequence[str],
    *,
    log_scale: bool,
    judgements: Sequence[str] = (),
    tool: str = "RoB 2",
) -> list[Row]:
    """Check every cell that will be drawn, and say all that is wrong at once.

    Parameters
    ----------
    table : DataFrame
        As `forest_plot` takes it.
    shown : sequence of str
        Columns to be printed; `label`, `effect` and `weight` need not be in the table.
    log_scale : bool
        Whether estimates are logarithms.
    judgements : sequence of str
        Columns of judgements of risk of bias.
    tool : str, default "RoB 2"
        Whose levels these are.

    Returns
    -------
    list of Row
        One for each row of the table.

    Raises
    ------
    DataError
        If the table cannot be drawn.
    """
    source = "forest plot table"
    if not isinstance(table, pd.DataFrame):
        raise DataError(source, [f"is a {type(table).__name__}; a pandas DataFrame would do"])
    made = {"effect", "weight", "label"}
    wanted = [*(name for name in shown if name not in made), *judgements]
    needed = [*dict.fromkeys(["kind", "label", *NUMBERS[:3], *wanted])]
    if table.columns.nlevels > 1:
        raise DataError(source, ["has several levels of column names; one would do"])
    faults = [Fault(column=str(name), message="is missing") for name in needed if name not in table.columns]
    used = [
        name for name in dict.fromkeys([*needed, *made, *AROUND, "exclusion_reason", "indent"]) if name in table.columns
    ]
    faults += [
        Fault(column=str(name), message="occurs more than once") for name in used if list(table.columns).count(name) > 1
    ]
    if not faults and not len(table):
        faults = [Fault(message="has no rows")]
    if faults:
        raise DataError(source, faults)
    columns = {name: table[name].tolist() for name in used}
    printed = [name for name in shown if name not in {"weight", "label"} and name in columns]
    rows: list[Row] = []
    beneath = False
    for i in range(len(table)):
        cells = {name: values[i] for name, values in columns.items()}
        row, found = _read_row(cells, printed, beneath, log_scale)
        where = f"row {i + 1}" + (f" ({row.label})" if row and row.label else "")
        faults += [replace(fault, row=where) for fault in found]
        if row:
            signs, unknown = _signs({name: cells[name] for name in judgements}, tool)
            faults += [replace(fault, row=where) for fault in unknown]
            rows.append(replace(row, signs=signs))
            beneath = beneath or row.kind == "heading"
    if faults:
        raise DataError(source, faults)
    return rows


def _read_row(
    cells: Mapping[str, object], printed: Sequence[str], beneath: bool, log_scale: bool
) -> tuple[Row | None, list[Fault]]:
    if not isinstance(cells["kind"], str) or cells["kind"] not in KINDS:
        known = ", ".join(KINDS)
        return None, [Fault(column="kind", message=f"{cells['kind']!r} is unknown. Known: {known}")]
    kind = next(known for known in KINDS if known == cells["kind"])
    faults: list[Fault] = []
    numbers: dict[str, float] = {}
    for name in (*NUMBERS, *AROUND):
        value = _number(cells.get(name))
        numbers[name] = math.nan if value is None else value
        if value is None:
            faults.append(Fault(column=name, message=f"{cells[name]!r} is not a number"))
        elif kind not in DRAWN and not math.isnan(value) and name != "weight":
            faults.append(Fault(column=name, message=f"a {kind} row takes no numbers; leave it empty"))
        elif name in AROUND and kind not in ("pooled", "summary") and not math.isnan(value):
            faults.append(Fault(column=name, message=f"a {kind} row has no prediction interval; leave it empty"))
    label = clean_text(cells["label"])
    row = Row(
        kind=kind,
        label=label if kind in ("study", "pooled", "heading") else true_minus(label),
        estimate=numbers["estimate"],
        low=numbers["ci_low"],
        high=numbers["ci_high"],
        weight=numbers["weight"],
        outer=(numbers["pi_low"], numbers["pi_high"]),
        reason=clean_text(cells.get("exclusion_reason")) or "Not estimable",
        indented=kind in ("study", "pooled") and _indented(cells.get("indent"), beneath),
        cells={name: _cell_text(cells[name]) for name in printed},
    )
    if kind in ("text", "blank") and any(row.cells.values()):
        faults.append(Fault(message=f"a {kind} row takes no cells; leave {', '.join(row.cells)} empty"))
    return row, faults or list(_impossible(row, FARTHEST_LOG if log_scale else FARTHEST))


def _indented(cell: object, beneath: bool) -> bool:
    """Whether the table says that a row is indented; where it says nothing, rows under a heading are."""
    return beneath if cell is None or pd.isna(cell) else bool(cell)  # type: ignore[call-overload]


def _signs(cells: Mapping[str, object], tool: str) -> tuple[dict[str, Judgement | None], list[Fault]]:
    signs: dict[str, Judgement | None] = {}
    faults = []
    for name, cell in cells.items():
        try:
            signs[name] = read_judgement(cell, tool)
        except ChoiceError as error:
            faults.append(Fault(column=name, message=str(error)))
    return signs, faults


def _impossible(row: Row, farthest: float) -> Iterator[Fault]:
    if row.kind not in DRAWN:
        return
    if row.kind != "prediction" and abs(row.estimate) > farthest:
        message = f"{row.estimate:g} cannot be drawn; it must lie between {-farthest:g} and {farthest:g}"
        yield Fault(column="estimate", message=message)
    if row.low == math.inf or row.high == -math.inf or row.low > row.high:
        yield Fault(message=f"ci_low {row.low:g} and ci_high {row.high:g} are no interval; ci_low must be the lower")
    elif row.kind != "prediction" and (row.low > row.estimate or row.high < row.estimate):
        message = f"{row.estimate:g} lies outside its interval, {row.low:g} to {row.high:g}"
        yield Fault(column="estimate", message=message)
    low, high = row.outer
    if math.isnan(low) != math.isnan(high) or low == math.inf or high == -math.inf or low > high:
        yield Fault(message=f"pi_low {low:g} and pi_high {high:g} are no interval; pi_low must be the lower")
    if row.weight < 0 or math.isinf(row.weight):
        yield Fault(column="weight", message=f"{row.weight:g} is not a weight; it must be 0 or more")


def _number(cell: object) -> float | None:
    """Read a cell as a number; missing is NaN, and what is no number is None."""
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, str) and not cell.strip()):
        return math.nan
    if isinstance(cell, bool | np.bool_ | complex | np.complexfloating):
        return None
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _cell_text(cell: object) -> str:
    """Write a cell of the caller's own: whole numbers without decimals, text as it is."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < FARTHEST:
        cell = int(cell)
    return true_minus(clean_text(cell))
