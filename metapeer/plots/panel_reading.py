"""What figures are given, read and checked: widths, numbers, texts, the ends of an axis; their alternative text."""

import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.forest_scale import is_finite

__all__ = [
    "FloatArray",
    "Width",
    "check_axes",
    "describe",
    "ends_around",
    "inches",
    "number_words",
    "read_numbers",
    "texts_of",
]

FloatArray = NDArray[np.float64]
Width = float | str

JOURNAL = {"single": 90.0, "double": 190.0}
"""Millimetres of one and of two columns: Elsevier, Artwork and media instructions, sizing of artwork."""
FARTHEST = 1e100
ROOM = 0.05


def inches(width: Width, name: str = "width") -> float:
    """Read a width: inches, a column of a journal, or a text with its unit.

    Parameters
    ----------
    width : float or str
        Inches; ``"single"`` (90 mm) or ``"double"`` (190 mm); or a text such as ``"120 mm"``, ``"12 cm"``, ``"5 in"``.
    name : str, default "width"
        What an error calls it.

    Returns
    -------
    float
        Inches.

    Raises
    ------
    ChoiceError
        If it is none of these, or not from 1 to 200 inches.

    Examples
    --------
    >>> round(inches("single"), 2), round(inches("120 mm"), 2), inches(5)
    (3.54, 4.72, 5.0)
    """
    found = math.nan
    if isinstance(width, str):
        text = width.strip().lower()
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(mm|cm|in)", text)
        if text in JOURNAL:
            found = JOURNAL[text] / 25.4
        elif match:
            found = float(match[1]) / {"mm": 25.4, "cm": 2.54, "in": 1.0}[match[2]]
    elif is_finite(width):
        found = float(width)
    if not 1 <= found <= 200:
        raise ChoiceError(
            f"{name} must be a number of inches from 1 to 200, 'single', 'double' or a text such as '120 mm', "
            f"not {width!r}"
        )
    return found


def describe(figure: Figure, words: str) -> Figure:
    """Say in words what a figure shows, as ``figure.metapeer_alt``: the alternative text of a page.

    Parameters
    ----------
    figure : Figure
        The figure.
    words : str
        Plain sentences.

    Returns
    -------
    Figure
        The same.
    """
    figure.metapeer_alt = true_minus(clean_text(words))  # type: ignore[attr-defined]
    return figure


def number_words(value: float, low: float = math.nan, high: float = math.nan, *, log: bool = False) -> str:
    """Write a number, and its interval where there is one, for the words of a figure.

    Parameters
    ----------
    value, low, high : float
        The number and the ends of its interval; logarithms when `log`.
    log : bool, default False
        Whether they are written as ratios.

    Returns
    -------
    str
        With two decimals, or three digits where all numbers are small or one is huge.

    Examples
    --------
    >>> number_words(0.25, 0.104, 0.4), number_words(0.0, log=True), number_words(0.00012)
    ('0.25 (0.10 to 0.40)', '1.00', '0.00012')
    """

    def scaled(number: float) -> float:
        return number if not log else math.exp(number) if number < 700 else math.inf

    largest = max((abs(scaled(one)) for one in (value, low, high) if math.isfinite(one)), default=0.0)
    usual = 0.05 <= largest < 1e5

    def one(number: float) -> str:
        shown = scaled(number)
        return f"{shown:.2f}" if usual or shown == 0 else f"{shown:.3g}"

    interval = f" ({one(low)} to {one(high)})" if math.isfinite(low) and math.isfinite(high) else ""
    return one(value) + interval


def check_axes(ax: Axes | None) -> None:
    """Refuse what is no plain Axes.

    Parameters
    ----------
    ax : Axes, optional
        What the caller gave.

    Raises
    ------
    ChoiceError
        If it is something else.
    """
    if ax is not None and not (isinstance(ax, Axes) and ax.name == "rectilinear"):
        raise ChoiceError("ax must be plain matplotlib Axes")


def read_numbers(
    table: object, name: str, needed: Sequence[str], optional: Sequence[str] = (), *, least: int = 1
) -> dict[str, FloatArray]:
    """Take columns as numbers, and list every fault; only optional columns may have gaps.

    Parameters
    ----------
    table : DataFrame
        What the caller gave.
    name : str
        What errors call it.
    needed, optional : sequence of str
        The columns; an optional one that is absent comes back full of NaN.
    least : int, default 1
        Rows that it must have.

    Returns
    -------
    dict of str to array
        One array for each column.

    Raises
    ------
    DataError
        If it cannot be drawn; every fault is listed.
    """
    if not isinstance(table, pd.DataFrame):
        raise DataError(name, [f"is a {type(table).__name__}; a pandas DataFrame would do"])
    if table.columns.nlevels > 1:
        raise DataError(name, ["has several levels of column names; one would do"])
    columns = [str(column) for column in table.columns]
    faults = [Fault(column=column, message="is missing") for column in needed if column not in columns]
    faults += [
        Fault(column=column, message="occurs more than once")
        for column in (*needed, *optional)
        if columns.count(column) > 1
    ]
    if not faults and len(table) < least:
        faults = [Fault(message="has no rows" if not len(table) else f"has fewer than {least} rows")]
    if faults:
        raise DataError(name, faults)
    found: dict[str, FloatArray] = {}
    for column in (*needed, *optional):
        if column not in columns:
            found[column] = np.full(len(table), math.nan)
            continue
        values = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        bad = ~(np.abs(values) <= FARTHEST)
        if column in optional:
            bad &= ~table[column].isna().to_numpy()
        faults += [
            Fault(row=f"row {i + 1}", column=column, message=f"{table[column].iloc[i]!r} is not a finite number")
            for i in np.flatnonzero(bad).tolist()
        ]
        found[column] = np.asarray(values)
    if faults:
        raise DataError(name, faults)
    return found


def texts_of(table: pd.DataFrame, column: str) -> list[str]:
    """Take a column as cleaned texts on one line; empty ones where there is no such column.

    Parameters
    ----------
    table : DataFrame
        What the caller gave.
    column : str
        Its name.

    Returns
    -------
    list of str
        One for each row.
    """
    if column not in table:
        return [""] * len(table)
    return [clean_text(value).replace("\n", " ") for value in table[column]]


def ends_around(
    values: FloatArray,
    given: tuple[float, float] | None = None,
    *,
    name: str = "x_limits",
    log: bool = False,
    room: float = ROOM,
) -> tuple[float, float]:
    """Choose the ends of an axis around all finite values, or read those that the caller wants.

    Parameters
    ----------
    values : array
        What is drawn; logarithms when `log`.
    given : tuple of float, optional
        As printed on the axis.
    name : str, default "x_limits"
        What errors call it.
    log : bool, default False
        Whether the axis shows ratios.
    room : float, default 0.05
        Left at each end, as a share of the range.

    Returns
    -------
    tuple of (float, float)
        In the units of `values`.

    Raises
    ------
    ChoiceError
        If `given` makes no sense.
    """
    if given is not None:
        good = isinstance(given, tuple | list) and len(given) == 2 and all(is_finite(v) for v in given)
        if not good or not float(given[0]) < float(given[1]) or (log and not float(given[0]) > 0):
            kind = "two ratios above 0" if log else "two numbers"
            raise ChoiceError(f"{name} must be {kind}, the lower first, not {given!r}")
        low, high = (math.log(v) if log else float(v) for v in given)
        return low, high
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    more = room * (high - low) if high - low > 1e-9 * max(abs(low), abs(high)) else max(0.1 * abs(low), 0.5)
    return low - more, high + more
