"""From a table and a declaration to the effects of every specification: which differ, and which cannot be pooled."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.effects.table import effect_size
from metapeer.errors import DataError, Fault, MetapeerError
from metapeer.pooling.models import read_effects
from metapeer.pooling.outcome_classes_cells import one_line
from metapeer.pooling.results import measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.multiverse_declare import Declaration
from metapeer.sensitivity.multiverse_rows import (
    Units,
    correct,
    keep_timepoint,
    keep_where,
    reduce_rows,
    usable_rows,
)

__all__ = ["Progress", "Versions", "build_versions", "key_of"]

Progress = Callable[[int, int, str], None]
IntArray = NDArray[np.intp]

_DIGITS = 12
"""Significant digits by which numbers are the same; below, the order of a sum decides."""


@dataclass(slots=True)
class Versions:
    """Every version of the effects that the choices before pooling make.

    Parameters
    ----------
    units : list of Units
        The different ones.
    of : array of int
        For each combination of options up to the rows: its place among `units`, or -1 when there is none.
    reasons : list of str
        Why there is none; empty where there is.
    trials : list of str
        Names of the trials.
    measures, directions : set of str
        What the effects are.
    """

    units: list[Units] = field(default_factory=list)
    of: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    reasons: list[str] = field(default_factory=list)
    trials: list[str] = field(default_factory=list)
    measures: set[str] = field(default_factory=set)
    directions: set[str] = field(default_factory=set)


def key_of(*arrays: NDArray[Any]) -> bytes:
    """Make a key that arrays share when they are equal to twelve digits.

    Parameters
    ----------
    *arrays : array
        Of integers, compared exactly, or floats.

    Returns
    -------
    bytes
        The key.

    Examples
    --------
    >>> key_of(np.array([0.1 + 0.2])) == key_of(np.array([0.3])), key_of(np.array([0.3])) == key_of(np.array([0.31]))
    (True, False)
    """
    parts = []
    for array in arrays:
        if array.dtype.kind == "f":
            # A hair above, so that round numbers do not lie on the edges between keys.
            mantissa, exponent = np.frexp(array * (1.0 + 3.7e-12))
            array = np.rint(np.ldexp(mantissa, 40)) * 2.0 + exponent * 2.0**45 + 0.0  # noqa: PLW2901
        parts.append(array.tobytes())
    return b"|".join([str(len(arrays[0])).encode(), *parts])


def _call(function: Callable[[pd.DataFrame], Any] | None, table: pd.DataFrame) -> pd.DataFrame:
    """Call a function of the user's; whatever it raises is told in one line."""
    if function is None:
        return table
    try:
        made = function(table.copy())
    except MetapeerError as error:
        raise MetapeerError(one_line(error)) from None
    except Exception as error:
        raise MetapeerError(f"the function failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, pd.DataFrame):
        raise MetapeerError(f"the function returned a {type(made).__name__}, not a DataFrame")
    return made


class _Walk:
    """Goes through the choices one after the other, making each table once; collects every fault."""

    def __init__(self, data: pd.DataFrame, declaration: Declaration) -> None:
        self.data = data
        self.declared = declaration
        self.faults: dict[tuple[str, str], None] = {}

    def note(self, where: str, error: Exception) -> None:
        """Remember what went wrong; the same fault of many tables once."""
        self.faults.setdefault((where, one_line(error) if isinstance(error, MetapeerError) else str(error)))

    def _step(self, table: pd.DataFrame, place: int, option: int) -> pd.DataFrame:
        choice = self.declared.choices[place]
        value = choice.options[option]
        if choice.kind == "corrections":
            return correct(table, value, choice.settings["overrides"])
        if choice.kind == "tables":
            return _call(value, table)
        if "timepoint" in choice.settings:
            return keep_timepoint(table, value, choice.settings["column"])
        if value is None:
            return table
        if callable(value):
            return keep_where(table, lambda rows: _mask(value, rows), self.data)
        return keep_where(table, value, self.data)

    def tables(self, table: pd.DataFrame, places: Sequence[int]) -> Iterator[pd.DataFrame | None]:
        """Make every table that the options of some choices make, in their order; None where one failed."""
        if not places:
            yield table
            return
        place, *others = places
        after = math.prod(len(self.declared.choices[i].labels) for i in others)
        for option, label in enumerate(self.declared.choices[place].labels):
            try:
                made = self._step(table, place, option)
            except MetapeerError as error:
                self.note(f"{self.declared.names[place]}, {label}", error)
                yield from [None] * after
                continue
            yield from self.tables(made, others)

    def effects(self, table: pd.DataFrame, options: dict[str, Any]) -> pd.DataFrame | None:
        """Compute effects where that was asked for, check them, and leave out what cannot be used."""
        said = ", ".join(f"{name} {value}" for name, value in options.items())
        try:
            if self.declared.computes:
                table = effect_size(table, **(self.declared.effect_options | options))
            read_effects(table.drop(columns=[n for n in ("measure", "positive_favours") if n in table]))
        except DataError as error:
            for fault in error.faults:
                self.note(said or error.source, MetapeerError(str(fault)))
            return None
        except MetapeerError as error:
            self.note(said or "effects", error)
            return None
        return usable_rows(table)


def _mask(condition: Callable[[pd.DataFrame], Any], rows: pd.DataFrame) -> Any:
    try:
        return condition(rows)
    except Exception as error:
        raise MetapeerError(f"the function failed: {type(error).__name__}: {error}") from error


def _numbers(walk: _Walk, table: pd.DataFrame) -> tuple[FloatArray, FloatArray] | None:
    """Take effects and variances, which a function of the user's may have changed."""
    try:
        yi = table["yi"].to_numpy(np.float64, na_value=np.nan)
        spread = table["vi" if "vi" in table else "sei"].to_numpy(np.float64, na_value=np.nan)
    except (KeyError, TypeError, ValueError):
        walk.note("tables", MetapeerError("after the functions there are no numbers in yi with vi or sei"))
        return None
    vi = spread if "vi" in table else np.where(spread > 0, spread**2, np.nan)
    if not (np.isfinite(yi).all() and (np.isfinite(vi) & (vi > 0)).all()):
        walk.note("tables", MetapeerError("after the functions an effect is no number, or a variance is not above 0"))
        return None
    return yi, vi


def build_versions(data: pd.DataFrame, declaration: Declaration, progress: Progress | None) -> Versions:
    """Make every version of the effects.

    Parameters
    ----------
    data : DataFrame
        The table.
    declaration : Declaration
        The choices.
    progress : callable, optional
        Called with the versions made, how many there are, and the word "effects".

    Returns
    -------
    Versions
        The different ones, and which combination has which.

    Raises
    ------
    DataError
        If options cannot be carried out; every fault is listed.
    """
    walk = _Walk(data, declaration)
    kinds = [choice.kind for choice in declaration.choices]
    late = [choice.late for choice in declaration.choices]
    early = [i for i, kind in enumerate(kinds) if kind == "corrections" or (kind == "tables" and not late[i])]
    computed = [i for i, kind in enumerate(kinds) if kind == "effects"]
    after = [i for i, kind in enumerate(kinds) if kind == "where" or (kind == "tables" and late[i])]
    options = [
        dict(zip([declaration.names[i] for i in computed], values, strict=True))
        for values in product(*(declaration.choices[i].options for i in computed))
    ]
    rows_choice = next((declaration.choices[i] for i in declaration.of("rows")), None)
    rules = rows_choice.options if rows_choice else (declaration.fixed["rows"],)
    order = rows_choice.settings["order"] if rows_choice else {}
    rho_choice = next((declaration.choices[i] for i in declaration.of("rho")), None)
    rhos = [float(rho) for rho in (rho_choice.options if rho_choice else (declaration.fixed["rho"],))]
    total = math.prod(len(declaration.choices[i].labels) for i in (*early, *computed, *after)) * len(rules) * len(rhos)
    found = Versions(of=np.full(total, -1, dtype=np.intp), reasons=[""] * total)
    known: dict[bytes, int] = {}
    places: dict[str, int] = {}
    done = 0
    for start in walk.tables(data, early):
        for chosen in options:
            table = None if start is None else walk.effects(start, chosen)
            if table is None:
                done += math.prod(len(declaration.choices[i].labels) for i in after) * len(rules) * len(rhos)
                continue
            for name, held in (("measure", found.measures), ("positive_favours", found.directions)):
                if name in table:
                    held.update(str(value) for value in table[name].dropna().unique() if str(value))
            for leaf in walk.tables(table, after):
                if leaf is not None:
                    _reduce(walk, leaf, rules, rhos, order, found, done, known, places)
                done += len(rules) * len(rhos)
            if progress is not None:
                progress(done, total, "effects")
    found.trials = list(places)
    _check_kinds(walk, found)
    if walk.faults:
        faults = [Fault(row=where, message=message) for where, message in walk.faults]
        raise DataError("the multiverse", faults)
    return found


def _reduce(
    walk: _Walk,
    leaf: pd.DataFrame,
    rules: Sequence[str],
    rhos: Sequence[float],
    order: Any,
    found: Versions,
    done: int,
    known: dict[bytes, int],
    places: dict[str, int],
) -> None:
    """Make the effects of one table by every rule and correlation."""
    declared = walk.declared
    if "study_id" in leaf:
        names = leaf["study_id"].astype(str).to_numpy()
    else:
        names = np.array([f"row {label}" for label in leaf.index], dtype=object)
    cell = np.zeros(len(leaf), dtype=np.intp)
    if declared.contrast:
        if declared.contrast_by not in leaf:
            walk.note("contrast_by", MetapeerError(f"there is no column {declared.contrast_by!r}"))
            return
        classes = leaf[declared.contrast_by].astype(str).to_numpy()
        inside = np.isin(classes, declared.contrast)
        leaf, names = leaf[inside], names[inside]
        cell = np.where(classes[inside] == declared.contrast[0], 0, 1).astype(np.intp)
    if "study_id" in leaf and bool((leaf["study_id"].isna() | (names == "")).any()):
        walk.note("study_id", MetapeerError("is empty in some rows; rows of one trial cannot be told from others"))
        return
    trial = np.array([places.setdefault(name, len(places)) for name in names], dtype=np.intp)
    numbers = _numbers(walk, leaf)
    if numbers is None:
        return
    yi, vi = numbers
    at = done
    for rule in rules:
        try:
            units_of = reduce_rows(leaf, rule, trial=trial, cell=cell, yi=yi, vi=vi, order=order)
        except MetapeerError as error:
            walk.note(f"rows, {rule}", error)
            return
        for rho in rhos:
            units = units_of(rho)
            if units.yi.size == 0:
                found.reasons[at] = "no row is left"
            else:
                key = key_of(units.trial, units.cell, units.yi, units.vi)
                place = known.setdefault(key, len(found.units))
                if place == len(found.units):
                    found.units.append(units)
                found.of[at] = place
            at += 1


def _check_kinds(walk: _Walk, found: Versions) -> None:
    """Effects of different scales or directions cannot stand in one curve."""
    scales = {measure_of(code).scale if code in _codes() else code for code in found.measures}
    if len(scales) > 1:
        listed = ", ".join(sorted(found.measures))
        walk.note("measure", MetapeerError(f"{listed} are on different scales; make a multiverse of each"))
    if any(code in _codes() and not measure_of(code).has_null for code in found.measures):
        walk.note("measure", MetapeerError("no value of it means no effect, so that there is no claim to test"))
    if len(found.directions) > 1:
        walk.note("positive_favours", MetapeerError("a positive effect favours arm 1 in some rows and arm 2 in others"))


def _codes() -> frozenset[str]:
    from metapeer.effects.measures import MEASURES

    return frozenset(MEASURES)
