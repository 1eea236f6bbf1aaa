"""What every way to an effect shares: the columns it starts from, and the effects it fills in row by row."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from metapeer.effects import direction
from metapeer.effects.measures import (
    ARMS,
    CORRELATION,
    EVENTS,
    GROUP_EVENTS,
    GROUP_MEAN,
    GROUP_RATE,
    LOG_RANK,
    RATES,
)
from metapeer.effects.options import Options
from metapeer.effects.rows import Rows

__all__ = ["COLUMNS", "Effects", "complete", "offered", "start"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
TextArray = NDArray[np.object_]

COLUMNS: dict[str, tuple[str, ...]] = {
    "arms": ARMS,
    "events": EVENTS,
    "rates": RATES,
    "log_rank": LOG_RANK,
    "group_events": GROUP_EVENTS,
    "group_rate": GROUP_RATE,
    "group_mean": GROUP_MEAN,
    "correlation": CORRELATION,
    "reported": ("es_type", "es"),
    "review": ("review_yi", "review_sei"),
    "generic": ("yi",),
}
_SIZES = {"n1", "n2", "n", "total", "time1", "time2", "time", "es_type"}  # how much was observed is no effect


@dataclass(slots=True, kw_only=True, eq=False)
class Effects:
    """An effect for each row of a table, or the reason why there is none.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effect and sampling variance; NaN where there is none.
    sense : array of int, shape (k,)
        +1 where positive favours arm 1, -1 where arm 2, 0 where unknown.
    source : array of str, shape (k,)
        Where the effect came from.
    formula : array of str, shape (k,)
        The variance formula; empty for a ready-made effect.
    reason : array of str, shape (k,)
        Why there is no effect; empty where there is one.
    offered : array of bool, shape (k,)
        Whether the row has any cell of this kind.
    asymmetric : array of bool, shape (k,)
        Whether the effect comes from an interval that cannot be symmetric about it.
    """

    yi: FloatArray
    vi: FloatArray
    sense: NDArray[np.int8]
    source: TextArray
    formula: TextArray
    reason: TextArray
    offered: BoolArray
    asymmetric: BoolArray

    @classmethod
    def none(cls, size: int) -> "Effects":
        """Return no effect for any of `size` rows, and no reason yet."""
        return cls(
            yi=np.full(size, np.nan),
            vi=np.full(size, np.nan),
            sense=np.zeros(size, dtype=np.int8),
            source=np.full(size, "", dtype=object),
            formula=np.full(size, "", dtype=object),
            reason=np.full(size, "", dtype=object),
            offered=np.zeros(size, dtype=np.bool_),
            asymmetric=np.zeros(size, dtype=np.bool_),
        )

    @property
    def found(self) -> BoolArray:
        """Rows that have an effect."""
        return np.asarray(self.source != "", dtype=np.bool_)

    def take(self, other: "Effects", where: BoolArray) -> None:
        """Take over the rows `where` from another set."""
        for field in fields(self):
            getattr(self, field.name)[where] = getattr(other, field.name)[where]

    def exclude(self, where: BoolArray, reason: TextArray) -> None:
        """Take the effects of the rows `where` away again, with a reason for each."""
        nothing = Effects.none(self.yi.size)
        self.take(nothing, where)
        self.reason[where] = reason

    def set(self, where: BoolArray, source: str, yi: FloatArray, vi: FloatArray) -> None:
        """Fill in effects for the rows `where`, or the reason if they are no finite numbers with a variance."""
        good = np.isfinite(yi) & np.isfinite(vi) & (vi > 0)
        index = np.flatnonzero(where)
        self.yi[index[good]], self.vi[index[good]], self.source[index[good]] = yi[good], vi[good], source
        self.reason[index[~good]] = np.where(
            vi[~good] == 0, "its sampling variance is 0", "its effect or sampling variance is not a finite number"
        )


def offered(rows: Rows, source: str) -> BoolArray:
    """Tell which rows have a cell that only this kind of effect has; participants alone are not an effect.

    Parameters
    ----------
    rows : Rows
        The table.
    source : str
        A key of `COLUMNS`.

    Returns
    -------
    array of bool, shape (k,)
        True where there is one.
    """
    given = [~np.isnan(rows.numbers(name)) for name in COLUMNS[source] if name not in _SIZES]
    return np.asarray(np.any(given, axis=0), dtype=np.bool_)


def start(rows: Rows, options: Options, source: str) -> Effects:
    """Return no effects yet, with the sense that the instruments' directions give where arms are compared.

    Parameters
    ----------
    rows : Rows
        The table.
    options : Options
        What was asked for.
    source : str
        A key of `COLUMNS`.

    Returns
    -------
    Effects
        None found.
    """
    effects = Effects.none(rows.size)
    if options.measure.comparative:
        effects.sense = direction.senses(rows.text("direction"))
    effects.offered = offered(rows, source)
    return effects


def complete(rows: Rows, effects: Effects, wanted: BoolArray, columns: tuple[str, ...], needed_by: str) -> BoolArray:
    """Tell which rows have all the columns; the others are given the reason, which are missing.

    Parameters
    ----------
    rows : Rows
        The table.
    effects : Effects
        Takes the reasons.
    wanted : array of bool, shape (k,)
        Rows that matter.
    columns : tuple of str
        What is needed.
    needed_by : str
        What needs it, in words.

    Returns
    -------
    array of bool, shape (k,)
        True where wanted and complete.
    """
    pattern = np.zeros(rows.size, dtype=np.int64)  # one bit for each missing column
    for bit, name in enumerate(columns):
        pattern |= np.isnan(rows.numbers(name)).astype(np.int64) << bit
    for value in np.unique(pattern[wanted]).tolist():
        missing = [name for bit, name in enumerate(columns) if value >> bit & 1]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            effects.reason[wanted & (pattern == value)] = (
                f"{', '.join(missing)} {verb} missing; {needed_by} needs {' '.join(columns)}"
            )
    return np.asarray(wanted & (pattern == 0), dtype=np.bool_)
