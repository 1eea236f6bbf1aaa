"""A standard error that a paper did not print, from what it printed instead: recorded in the row's note.

Abstracts often print a difference of means with its interval, and a standardised difference without one. Both are the
same comparison, one divided by the other's standard deviation, and so are their standard errors.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from metapeer.effects.convert import se_from_interval
from metapeer.effects.reported import read_effect_type
from metapeer.errors import DataError, Fault

__all__ = ["COMPUTED", "DIFFERENCE", "convert_frame", "convert_row"]

DIFFERENCE = ("md", "md_ci_low", "md_ci_high")
"""Columns of a table of new rows: a printed difference of means and its 95% interval. They stand in no file."""

COMPUTED = "es_se computed by metapeer"
"""How the note of a row begins whose standard error nobody printed."""

LEVEL = 0.95  # of printed intervals, by the schema
MINUS_SIGN = "\N{MINUS SIGN}"


def convert_row(cells: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Compute the standard error of a printed standardised difference from the interval of the raw one.

    The standard deviation that turns one into the other is taken as known, so that the error is a little too small:
    by the term d²/(2 N) of its square, which is 2% of it where d is 0.4 and arms are equal.

    Parameters
    ----------
    cells : mapping of str to str
        A row as typed: ``es_type`` and ``es`` of a standardised difference; ``md``, ``md_ci_low``, ``md_ci_high``.

    Returns
    -------
    dict of str to str
        Cells to change: ``es_se`` and ``note``. Empty when the row has none of the three columns.
    str
        What was done, in words, as the note has it.

    Raises
    ------
    DataError
        If something is missing, contradicts itself or would have no effect; every fault is listed.

    References
    ----------
    Cochrane Handbook 6.5, sections 6.3.1 (standard error from an interval) and 6.5.1.2 (standardised differences).

    Examples
    --------
    >>> changed, _ = convert_row({"es_type": "d", "es": "0.43", "md": "5.1", "md_ci_low": "2.4", "md_ci_high": "7.8"})
    >>> changed["es_se"]
    '0.116149'
    """
    if not any(cells.get(name, "") for name in DIFFERENCE):
        return {}, ""
    kind = read_effect_type(cells.get("es_type", ""))
    faults = [
        Fault(column=name, message=f"is missing; {', '.join(DIFFERENCE)} and es go together")
        for name in (*DIFFERENCE, "es")
        if not cells.get(name, "")
    ]
    numbers = {name: _number(cells.get(name, "")) for name in (*DIFFERENCE, "es")}
    faults += [
        Fault(column=name, message=f"{cells[name]!r} is not a number")
        for name, value in numbers.items()
        if cells.get(name, "") and math.isnan(value)
    ]
    if kind is None or kind.measure != "SMD":
        message = "must name a standardised difference, such as d or SMD, for md to give its standard error"
        faults.append(Fault(column="es_type", message=message))
    printed = [name for name in ("es_se", "es_ci_low", "es_ci_high") if cells.get(name, "")]
    if printed:
        message = f"would have no effect, since {' and '.join(printed)} is there; leave {', '.join(DIFFERENCE)} empty"
        faults.append(Fault(column="md", message=message))
    if not faults:
        md, low, high, es = (numbers[name] for name in (*DIFFERENCE, "es"))
        if not (low <= md <= high and low < high):
            faults.append(Fault(column="md", message=f"{md:g} does not lie in its interval, {low:g} to {high:g}"))
        elif 0 in (md, es):
            faults.append(Fault(column="md", message="0 gives no standard deviation, and so no standard error"))
    if faults:
        raise DataError("the row", faults)
    error = float(se_from_interval(np.array(low), np.array(high), level=LEVEL)) * abs(es / md)
    words = (
        f"{COMPUTED}: the 95% interval of the printed difference of means, {low:g} to {high:g}, has a "
        f"standard error of {error * abs(md / es):.6g}; the standard deviation that makes {md:g} a d of {es:g} is "
        f"{abs(md / es):.6g}, taken as known"
    )
    note = "; ".join(filter(None, (cells.get("note", ""), words)))
    return {"es_se": f"{error:.6g}", "note": note}, words


def convert_frame(table: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[str]]:
    """Convert the rows of a table that have a difference of means beside a standardised one.

    Parameters
    ----------
    table : DataFrame
        New rows.
    source : str
        What to call it in messages.

    Returns
    -------
    DataFrame
        The rows without the columns of the difference, and with the standard error; `table` itself where it has none.
    list of str
        What was done, row by row.

    Raises
    ------
    DataError
        As `convert_row`, of all rows.
    """
    there = [name for name in DIFFERENCE if name in table]
    if not there:
        return table, []
    frame = table.copy()
    faults: list[Fault] = []
    told = []
    for name, empty in (("es_se", math.nan), ("note", "")):
        if name not in frame:
            frame[name] = empty
    columns = (*DIFFERENCE, "es_type", "es", "es_se", "es_ci_low", "es_ci_high", "note")
    errors, notes = (frame[name].astype(object).tolist() for name in ("es_se", "note"))
    for place in range(len(frame)):
        cells = {name: _cell(frame[name].iloc[place]) for name in columns if name in frame}
        names = [_cell(frame[name].iloc[place]) for name in ("study_id", "outcome") if name in frame]
        try:
            changed, words = convert_row(cells)
        except DataError as error:
            row = ", ".join(filter(None, names)) or f"row {place + 1}"
            faults += [Fault(row=row, column=fault.column, message=fault.message) for fault in error.faults]
            continue
        if changed:
            errors[place], notes[place] = float(changed["es_se"]), changed["note"]
            told.append(f"{names[0] if names else f'row {place + 1}'}: {words}")
    if faults:
        raise DataError(source, faults)
    return frame.drop(columns=there).assign(es_se=errors, note=notes), told


def _number(text: str) -> float:
    try:
        value = float(text.strip().replace(MINUS_SIGN, "-").replace(",", "."))
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _cell(cell: object) -> str:
    if cell is None or cell is pd.NA or cell != cell:  # noqa: PLR0124 - NaN differs from itself
        return ""
    return repr(float(cell)) if isinstance(cell, float) else str(cell).strip()
