"""The effect and standard error that a row prints, and how exactly they were written."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.formulas import RELATIVE_TOLERANCE, agrees, half_units
from metapeer.auditing.table import AuditTable

__all__ = ["Printed", "read_printed"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Printed:
    """What stands ready-made in each row, and how exactly it was written.

    Parameters
    ----------
    effect, spread : array of shape (k,)
        The printed effect, and the printed standard error or variance.
    half_effect, half_spread : array of shape (k,)
        Half units of their last decimals.
    squared : array of bool, shape (k,)
        Whether `spread` is a variance.
    effect_column, spread_column : tuple of str
        Where they stand.
    """

    effect: FloatArray
    spread: FloatArray
    half_effect: FloatArray
    half_spread: FloatArray
    squared: BoolArray
    effect_column: tuple[str, ...]
    spread_column: tuple[str, ...]

    @property
    def error(self) -> FloatArray:
        """Standard errors; NaN where there is none."""
        with np.errstate(invalid="ignore"):
            return np.where(self.squared, np.sqrt(self.spread), self.spread)

    def take(self, rows: IntArray) -> "Printed":
        """Return the same for some of the rows."""
        return Printed(
            effect=self.effect[rows],
            spread=self.spread[rows],
            half_effect=self.half_effect[rows],
            half_spread=self.half_spread[rows],
            squared=self.squared[rows],
            effect_column=tuple(self.effect_column[i] for i in rows),
            spread_column=tuple(self.spread_column[i] for i in rows),
        )

    def effect_agrees(self, yi: FloatArray, *, ratio: bool = False, slack: Any = 0.0) -> tuple[BoolArray, BoolArray]:
        """Tell where the effect is a computed one, and where it is the computed one turned round."""
        with np.errstate(over="ignore", invalid="ignore"):
            plus, minus = (np.exp(yi), np.exp(-yi)) if ratio else (yi, -yi)
            # A slack is meant on the scale of the formula; for a ratio it widens with the ratio.
            wide = (slack * plus, slack * minus) if ratio else (slack, slack)
        return (
            agrees(self.effect, plus, self.half_effect, slack=wide[0]),
            agrees(self.effect, minus, self.half_effect, slack=wide[1]),
        )

    def spread_agrees(self, vi: FloatArray, *, slack: Any = 0.0) -> BoolArray:
        """Tell where the standard error, or variance, is that of a computed variance; the slack is in its own unit."""
        with np.errstate(invalid="ignore"):
            return agrees(self.spread, np.where(self.squared, vi, np.sqrt(vi)), self.half_spread, slack=slack)

    def spread_between(self, low: FloatArray, high: FloatArray) -> BoolArray:
        """Tell where the standard error, or variance, is that of some variance between two."""
        with np.errstate(invalid="ignore"):
            low, high = (np.where(self.squared, v, np.sqrt(v)) for v in (low, high))
            lowest = self.spread - self.half_spread * (1 + 1e-9)
            highest = self.spread + self.half_spread * (1 + 1e-9)
            return np.asarray(
                (highest >= low * (1 - RELATIVE_TOLERANCE)) & (lowest <= high * (1 + RELATIVE_TOLERANCE)), dtype=bool
            )


def read_printed(table: AuditTable) -> Printed:
    """Find the effect and the standard error that a row prints, with the decimals they were written with.

    Parameters
    ----------
    table : AuditTable
        The table.

    Returns
    -------
    Printed
        The first found of ``review_yi``, ``yi`` and ``es``, each with its own standard error or variance.
    """
    k = table.k
    effect, spread = np.full(k, np.nan), np.full(k, np.nan)
    half_effect, half_spread = np.zeros(k), np.zeros(k)
    squared = np.zeros(k, dtype=bool)
    effect_column, spread_column = np.full(k, "", dtype=object), np.full(k, "", dtype=object)
    for value, error in (("review_yi", "review_sei"), ("yi", "sei"), ("es", "es_se")):
        numbers = table.number(value)
        here = np.isnan(effect) & np.isfinite(numbers)
        if not here.any():
            continue
        column = "vi" if value == "yi" and not table.has("sei") else error
        effect[here], spread[here] = numbers[here], table.number(column)[here]
        half_effect[here] = half_units(table.decimals(value))[here]
        half_spread[here] = half_units(table.decimals(column))[here]
        squared[here] = column == "vi"
        effect_column[here], spread_column[here] = value, column
    spread = np.where(np.isfinite(spread) & (spread > 0), spread, np.nan)
    return Printed(
        effect=effect,
        spread=spread,
        half_effect=half_effect,
        half_spread=half_spread,
        squared=squared,
        effect_column=tuple(effect_column),
        spread_column=tuple(spread_column),
    )
