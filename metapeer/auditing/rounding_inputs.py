"""How far rounding of the printed inputs alone can move a pooled estimate, its interval, tau² and I²."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from metapeer.auditing.rounding import reachable_range, read_printed
from metapeer.effects.measures import find_measure
from metapeer.effects.table import effect_size
from metapeer.errors import DataError, DataWarning, Fault, MetapeerError
from metapeer.formatting import Printable, TextTable, count, format_interval, format_number
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.weighted import FloatArray

__all__ = ["RoundingRange", "rounding_range"]

WHOLE = ("n1", "n2", "events1", "total1", "events2", "total2", "events", "total", "n", "line")
"""Columns of counts, which no paper rounds."""
ROUNDED = (
    "mean1", "sd1", "mean2", "sd2", "es", "es_se", "es_ci_low", "es_ci_high", "review_yi", "review_sei", "yi", "vi",
    "sei", "ci_low", "ci_high", "time1", "time2", "oe", "v", "time", "mean", "sd", "r",
)  # fmt: skip
"""Columns of numbers that a paper may have rounded."""
QUANTITIES = ("estimate", "ci_low", "ci_high", "tau2", "I2")
_TAU2 = QUANTITIES.index("tau2")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RoundingRange(Printable):
    """What rounding of the inputs leaves open of a pooled result.

    Parameters
    ----------
    result : MetaAnalysisResult
        Pooled from the inputs as printed.
    cells : int
        Printed numbers that may have been rounded.
    estimate, ci_low, ci_high : tuple of float
        Lowest and highest value of the pooled effect and of each limit, in the units of `result` (log for ratios).
    tau2, I2 : tuple of float
        Lowest and highest value of both; under a common effect tau2 is zero and I2 NaN.
    notes : tuple of str
        What a reader must know.
    """

    result: MetaAnalysisResult
    cells: int
    estimate: tuple[float, float]
    ci_low: tuple[float, float]
    ci_high: tuple[float, float]
    tau2: tuple[float, float]
    I2: tuple[float, float]
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each quantity.

        Returns
        -------
        DataFrame
            With ``quantity``, ``as_printed``, ``lowest`` and ``highest``, in the units of `result`.
        """
        values = _numbers(self.result)
        ranges = [getattr(self, name) for name in QUANTITIES]
        return pd.DataFrame(
            {
                "quantity": QUANTITIES,
                "as_printed": values,
                "lowest": [low for low, _ in ranges],
                "highest": [high for _, high in ranges],
            }
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the ranges in words.

        Returns
        -------
        sequence of TextTable
            One table; ratios as ratios.
        """
        show = measure_of(self.result.measure).display
        values = dict(zip(QUANTITIES, _numbers(self.result).tolist(), strict=True))
        rows = []
        for name in QUANTITIES:
            low, high = getattr(self, name)
            value = values[name]
            if name not in ("tau2", "I2"):
                low, value, high = show(low), show(value), show(high)
            digits = 2 if name == "I2" else 4
            rows.append((_NAMES[name], format_number(value, digits), format_interval(low, high, digits)))
        return (
            TextTable(
                title=f"What rounding of {count(self.cells, 'printed number')} leaves open",
                header=("", "as printed", "range"),
                rows=rows,
                notes=["Each end is attained by inputs that round to those printed.", *self.notes],
            ),
        )


_NAMES = {"estimate": "estimate", "ci_low": "lower limit", "ci_high": "upper limit", "tau2": "tau²", "I2": "I² (%)"}


def _numbers(fit: MetaAnalysisResult) -> FloatArray:
    return np.array([fit.estimate, fit.ci.low, fit.ci.high, fit.tau2, fit.I2 if fit.model == "random" else math.nan])


def rounding_range(
    data: pd.DataFrame,
    *,
    measure: str | None = None,
    variance: str = "metafor",
    **meta_options: Any,
) -> RoundingRange:
    """Find how far rounding of the printed inputs alone can move a pooled result.

    Parameters
    ----------
    data : DataFrame
        One row for each trial, as `effect_size` takes them, with every number as the text that was printed: "0.10" may
        have been anything from 0.095 to 0.105. Or with ``yi`` and ``vi`` or ``sei``, ready to be pooled. Counts are
        exact.
    measure : str, optional
        Effect measure that `effect_size` computes; left out, the rows have ``yi``.
    variance : str, default "metafor"
        Variance formula, as for `effect_size`.
    **meta_options
        Options of `meta_analysis`, such as ``tau2_method="DL"``.

    Returns
    -------
    RoundingRange
        Lowest and highest estimate, limits, tau2 and I2 over inputs that round to those printed.

    Raises
    ------
    DataError
        If numbers are floats, whose printed digits are lost, or cannot be read; or if the rows cannot be pooled.
    MetapeerError
        If an option is unknown.

    Notes
    -----
    Every end is attained by inputs that round to those printed, so that no range is too wide. Where a quantity is
    monotone in each input no value lies outside; tau2 and what depends on it need not be, and for them inputs are also
    moved one after the other to where effects disagree most and least.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"study_id": ["a", "b", "c"], "yi": ["0.1", "0.3", "0.4"], "sei": ["0.1", "0.2", "0.1"]})
    >>> found = rounding_range(table, tau2_method="DL", ci_method="z")
    >>> round(found.result.estimate, 3), [round(end, 3) for end in found.estimate]
    (0.26, [0.167, 0.359])
    """
    frame, texts = _read(data)
    if measure is not None:
        find_measure(measure)
    elif "yi" not in frame:
        raise MetapeerError("give measure=, such as 'SMD', or rows with yi and vi or sei")
    places = [(i, column) for column in texts for i in range(len(frame)) if texts[column][i] is not None]
    inputs = np.array([frame[column].iloc[i] for i, column in places])
    half_steps = np.array([texts[column][i] or 0.0 for i, column in places])

    def fit(values: FloatArray) -> MetaAnalysisResult:
        moved = frame.copy()
        changed = {column: moved[column].to_numpy(np.float64, copy=True) for column in texts}
        for (i, column), value in zip(places, values.tolist(), strict=True):
            changed[column][i] = value
        for column, numbers in changed.items():
            moved[column] = numbers
        rows = moved if measure is None else effect_size(moved, measure=measure, variance=variance)  # type: ignore[arg-type]
        return meta_analysis(rows, **meta_options)

    result = fit(inputs)
    refused: list[str] = []

    def compute(values: FloatArray) -> FloatArray:
        try:
            # An input that cannot be moved alone has no direction, and stays where it is printed.
            found = fit(np.where(np.isnan(values), inputs, values))
        except MetapeerError as error:  # such as limits of an effect that cross when they are moved
            refused.append(str(error))
            return np.full(len(QUANTITIES) + 1, math.nan)
        if found.k != result.k:  # a row that cannot be used any more is left out, and that is not rounding
            refused.append("fewer rows")
            return np.full(len(QUANTITIES) + 1, math.nan)
        return np.append(np.nan_to_num(_numbers(found)), found.Q)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the result as printed has given them already
        warnings.simplefilter("ignore", RuntimeWarning)  # of NaN throughout, under a common effect
        low, high = reachable_range(compute, inputs, half_steps)
        for way in (-1.0, 1.0):
            values = compute(_spread(compute, inputs, half_steps, way))
            low, high = np.fmin(low, values), np.fmax(high, values)
    ends = {name: (float(low[j]), float(high[j])) for j, name in enumerate(QUANTITIES)}
    if result.model == "common":
        ends["I2"] = (math.nan, math.nan)
    notes: tuple[str, ...] = ()
    if refused:
        notes = ("Some inputs that round to those printed cannot be pooled, so that the ranges may be wider.",)
    return RoundingRange(result=result, cells=int(np.count_nonzero(half_steps)), notes=notes, **ends)


def _spread(
    compute: Callable[[FloatArray], FloatArray], inputs: FloatArray, half_steps: FloatArray, way: float
) -> FloatArray:
    """Move inputs to where effects disagree most, or least, one after the other.

    Moved all at once, each by its own slope, as `reachable_range` does, effects that agree would all move the same way
    and go on to agree. The larger tau2 goes first, the larger Q decides where tau2 is zero.
    """
    point = inputs.copy()
    for i in np.flatnonzero(half_steps):
        found = []
        for side in (-1.0, 1.0):
            moved = point.copy()
            moved[i] = inputs[i] + side * half_steps[i]
            values = compute(moved)
            if np.isfinite(values).all():
                found.append((way * values[_TAU2], way * values[-1], moved))
        if found:
            point = max(found, key=lambda one: one[:2])[2]
    return point


def _read(data: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[float | None]]]:
    """Read printed numbers, with half a unit of the last digit of each; None where a cell is empty."""
    if not isinstance(data, pd.DataFrame):
        raise MetapeerError(f"data is a {type(data).__name__}, not a DataFrame")
    source = str(data.attrs.get("source", "the table"))
    if data.empty:
        raise DataError(source, ["has no rows"])
    twice = sorted({str(c) for c in data.columns[data.columns.duplicated()]})
    if twice:
        raise DataError(source, [Fault(column=column, message="stands there twice") for column in twice])
    frame = data.reset_index(drop=True)
    faults: list[Fault] = []
    steps: dict[str, list[float | None]] = {}
    for column in frame.columns:
        if column not in ROUNDED and column not in WHOLE:
            continue
        values, halves = [], []
        for i, cell in enumerate(frame[column].tolist()):
            value, half = _cell(cell, i, str(column), faults)
            values.append(value)
            halves.append(half)
        frame[column] = values
        if column in ROUNDED:
            steps[str(column)] = halves
    if faults:
        raise DataError(source, faults)
    return frame, steps


def _cell(cell: object, row: int, column: str, faults: list[Fault]) -> tuple[float, float | None]:
    """A number and half a unit of its last digit."""
    missing = cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell))
    if missing or (isinstance(cell, str) and not cell.strip()):
        return math.nan, None
    where = f"row {row + 1}"
    if isinstance(cell, int | np.integer) or (column in WHOLE and isinstance(cell, float)):
        return float(cell), 0.0 if column in WHOLE else 0.5
    if isinstance(cell, float):
        message = f"{cell!r} is a float, whose printed digits are lost; read the table with dtype=str"
        faults.append(Fault(row=where, column=column, message=message))
        return math.nan, None
    printed = read_printed(str(cell))
    if printed is None or printed.bound:
        faults.append(Fault(row=where, column=column, message=f"{cell!r} is not a number"))
        return math.nan, None
    return printed.value, 0.0 if column in WHOLE else printed.half_step
