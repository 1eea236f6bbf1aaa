"""The correlations that a user assumes between measurements of the same people: ``rho`` in all its forms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import DataError, MetapeerError
from metapeer.pooling.weighted import FloatArray

__all__ = ["Rho", "check_correlation", "correlations_between", "read_rho"]

Rho = float | Mapping[tuple[str, str], float] | pd.DataFrame
Codes = NDArray[np.intp]

SHOWN = 1e-9
"""Difference between mirrored correlations that rounding may leave."""


def check_correlation(name: str, value: Any, *, low: float = -1.0) -> float:
    """Return a correlation as a float.

    Parameters
    ----------
    name : str
        The argument, as the user wrote it.
    value : object
        What was given.
    low : float, default -1
        The smallest that will do.

    Returns
    -------
    float
        The value.

    Raises
    ------
    MetapeerError
        If it is not a number from `low` to 1.

    Examples
    --------
    >>> check_correlation("rho", 0.6)
    0.6
    """
    if isinstance(value, bool | str) or not np.isscalar(value):
        raise MetapeerError(f"{name} {value!r} is not a number; give a correlation from {low:g} to 1")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise MetapeerError(f"{name} {value!r} is not a number; give a correlation from {low:g} to 1") from None
    if not low <= number <= 1.0:
        raise MetapeerError(f"{name} {value!r} is not a correlation from {low:g} to 1")
    return number


def read_rho(rho: object, *, pair: bool) -> tuple[Rho, Rho | None]:
    """Check what was given as correlations.

    Parameters
    ----------
    rho : float, mapping, DataFrame, or a sequence of two of these
        Correlations of any two measurements, or of those within one type and of those between types.
    pair : bool
        Whether types were named, so that two are needed.

    Returns
    -------
    within : float, dict or DataFrame
        For measurements of one type, or of all.
    between : float, dict, DataFrame or None
        For measurements of different types.

    Raises
    ------
    MetapeerError
        If a value is not a correlation, or one was given where two are needed, or the other way round.
    """
    two = isinstance(rho, Sequence | np.ndarray) and not isinstance(rho, str) and np.ndim(np.asarray(rho, object)) == 1
    if pair:
        if not two or len(rho) != 2:  # type: ignore[arg-type]
            raise MetapeerError(
                "type= parts the measurements into kinds; give rho=(within, between), such as rho=(0.7, 0.5), or leave "
                "type= out"
            )
        return _read_one("rho[0]", rho[0]), _read_one("rho[1]", rho[1])  # type: ignore[index]
    if two:
        raise MetapeerError('rho has several values; say by type=, such as type="outcome_class", what parts them')
    return _read_one("rho", rho), None


def _read_one(name: str, rho: object) -> Rho:
    if isinstance(rho, pd.DataFrame):
        return _read_frame(name, rho)
    if isinstance(rho, Mapping):
        return _read_mapping(name, rho)
    return check_correlation(name, rho)


def _read_mapping(name: str, rho: Mapping[Any, Any]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    faults = []
    for key, value in rho.items():
        if not isinstance(key, tuple) or len(key) != 2:
            faults.append(f'{key!r} is not a pair of names, such as ("depression", "anxiety")')
            continue
        one, two = str(key[0]), str(key[1])
        try:
            number = check_correlation(f"the correlation of {one!r} and {two!r},", value)
        except MetapeerError as error:
            faults.append(str(error))
            continue
        if one == two and number != 1.0:
            faults.append(f"{one!r} with itself is given {number:g}; leave it out, it is 1")
        if found.get((two, one), number) != number:
            faults.append(f"{one!r} and {two!r} are given twice, {found[two, one]:g} and {number:g}")
        found[one, two] = found[two, one] = number
    if faults:
        raise DataError(name, faults)
    return found


def _read_frame(name: str, rho: pd.DataFrame) -> pd.DataFrame:
    rows, columns = [str(x) for x in rho.index], [str(x) for x in rho.columns]
    if len(set(rows)) != len(rows) or len(set(columns)) != len(columns) or set(rows) != set(columns):
        raise DataError(name, ["must have the same names, each once, for its rows and its columns"])
    cells = rho.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    table = pd.DataFrame(cells, index=rows, columns=columns)[rows]
    values = table.to_numpy()
    faults = [
        f"the correlation of {rows[i]!r} and {rows[j]!r} is {values[i, j]:g}; it must lie between -1 and 1"
        for i, j in np.argwhere(~(np.abs(values) <= 1.0)).tolist()
    ]
    faults += [
        f"{rows[i]!r} and {rows[j]!r} have {values[i, j]:g} and, mirrored, {values[j, i]:g}"
        for i, j in np.argwhere(np.abs(values - values.T) > SHOWN).tolist()
        if i < j
    ]
    diagonal = np.diagonal(values)
    faults += [
        f"{rows[i]!r} with itself has {diagonal[i]:g}; it must be 1"
        for i in np.flatnonzero(np.abs(diagonal - 1.0) > SHOWN).tolist()
    ]
    if faults:
        raise DataError(name, faults)
    return table


def correlations_between(rho: Rho, values: Sequence[str], one: Codes, two: Codes) -> FloatArray:
    """Look the correlations of pairs up.

    Parameters
    ----------
    rho : float, mapping or DataFrame
        As `read_rho` returns it.
    values : sequence of str
        The value of each code.
    one, two : array of int of shape (m,)
        Codes of the two ends; -1 for an empty cell.

    Returns
    -------
    array of shape (m,)
        NaN where nothing was given for a pair of different values.
    """
    if isinstance(rho, float):
        return np.full(one.size, rho)
    size = len(values)
    table = np.full((size + 1, size + 1), np.nan)  # the last row and column serve the code -1
    place = {value: code for code, value in enumerate(values)}
    if isinstance(rho, pd.DataFrame):
        known = [name for name in rho.index if name in place]
        codes = [place[name] for name in known]
        table[np.ix_(codes, codes)] = rho.loc[known, known].to_numpy()
    else:
        for (first, second), value in rho.items():
            if first in place and second in place:
                table[place[first], place[second]] = value
    found: FloatArray = table[one, two]
    return found
