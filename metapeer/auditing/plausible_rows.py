"""What several checks ask of a table: arms, effects one way up, groups of rows, numbers in words."""

import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.auditing.findings import Finding
from metapeer.auditing.integers import half_unit
from metapeer.auditing.table import AuditTable
from metapeer.effects.continuous import SMD_VARIANCES, hedges_g

__all__ = [
    "ARM_CELLS",
    "QUIET",
    "Check",
    "Effects",
    "Reader",
    "arms_of",
    "by_key",
    "find_effects",
    "groups_of",
    "half_units",
    "make_reader",
    "numbers_in",
    "orientation",
    "shifted_rows",
    "shown",
    "significant_digits",
    "trials_of",
    "usable",
    "whole",
]

FloatArray = NDArray[np.float64]
K = TypeVar("K", bound=Hashable)
Check = Callable[[AuditTable], list[Finding]]

QUIET = np.errstate(all="ignore")
"""Numbers that overflow or cannot be divided are what the checks are there for: no warning about them."""

ARM_CELLS = ("n1", "mean1", "sd1", "n2", "mean2", "sd2")

# Printed standard errors come from one of the usual formulas when half of them lie this close to it (relative): the
# formulas differ by up to 5% from one another at ten participants an arm.
_FORMULA_FITS = 0.1


def shown(value: float) -> str:
    """Write a number as a person would: up to four significant digits, no trailing zeros.

    Parameters
    ----------
    value : float
        Any number.

    Returns
    -------
    str
        Such as ``"0.14"``.

    Examples
    --------
    >>> shown(0.140000001), shown(250.0), shown(-1234567.0)
    ('0.14', '250', '-1234567')
    """
    return f"{value:.0f}" if math.isfinite(value) and 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def arms_of(table: AuditTable) -> dict[str, FloatArray]:
    """Return the six numbers of two arms with means, by column."""
    return {name: table.number(name) for name in ARM_CELLS}


def usable(arms: Mapping[str, FloatArray]) -> NDArray[np.bool_]:
    """Rows whose arms give a standardised mean difference."""
    good = np.ones(len(arms["n1"]), np.bool_)
    with np.errstate(all="ignore"):
        for name in ARM_CELLS:
            good &= np.isfinite(arms[name]) & (np.abs(arms[name]) < 1e100)
            if not name.startswith("mean"):
                good &= arms[name] > 0
        good &= (arms["n1"] >= 2) & (arms["n2"] >= 2)
        spread = np.abs(arms["mean1"] - arms["mean2"]) / np.minimum(arms["sd1"], arms["sd2"])
        good &= np.isfinite(spread) & (spread < 1e50) & (np.minimum(arms["sd1"], arms["sd2"]) > 1e-100)
    return good


def half_units(table: AuditTable, column: str) -> FloatArray:
    """Half a unit of the last digit of each cell; 0 where the decimals are unknown."""
    half = half_unit(table.decimals(column))
    return np.where(np.isfinite(half), half, 0.0)


def significant_digits(text: str) -> int:
    """Count the significant digits of a number as written; 0 when it is none."""
    mantissa = re.split("[eE]", text.strip(), maxsplit=1)[0]
    digits = re.sub(r"[^0-9]", "", mantissa)
    return len(digits.lstrip("0"))


def whole(x: FloatArray) -> NDArray[np.bool_]:
    """Whole numbers."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(x) & (x == np.round(x)), np.bool_)


def shifted_rows(table: AuditTable) -> dict[int, str]:
    """Rows whose n is not whole while whole numbers stand elsewhere, with the cells where they stand."""
    arms = arms_of(table)
    broken = [np.isfinite(arms[f"n{a}"]) & ~whole(arms[f"n{a}"]) for a in "12"]
    found: dict[int, str] = {}
    for row in np.flatnonzero(broken[0] | broken[1]).tolist():
        for name, word in (("mean", "means"), ("sd", "standard deviations")):
            cells = np.array([arms[f"{name}{a}"][row] for a in "12" if broken[int(a) - 1][row]])
            if bool(whole(cells).all()) and bool((cells >= 2).all()):
                found.setdefault(row, word)
    return found


def numbers_in(table: AuditTable, column: str) -> FloatArray:
    """Read a column that the table keeps as text (``n_intervention``, ``items``, ``p_value``) as numbers."""
    if column not in table.data:
        return np.full(table.k, math.nan)
    return np.array(pd.to_numeric(table.data[column], errors="coerce"), np.float64)


@lru_cache(maxsize=1 << 16)
def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())


def groups_of(table: AuditTable, *columns: str) -> list[tuple[str, ...]]:
    """Return a key for each row: its cells in these columns, without case and punctuation."""
    cells = [[_plain(cell) for cell in table.text(column)] for column in columns]
    return list(zip(*cells, strict=True)) if cells else [()] * table.k


def trials_of(table: AuditTable) -> list[str]:
    """Return the trial of each row; a row without one is a trial of its own."""
    return [name or f"\0{row}" for row, name in enumerate(_plain(x) for x in table.text("study_id"))]


def by_key(keys: Sequence[K], rows: Iterable[int] | None = None) -> dict[K, list[int]]:
    """Collect rows by their key, in the order of their first row."""
    found: dict[K, list[int]] = {}
    for row in range(len(keys)) if rows is None else rows:
        found.setdefault(keys[row], []).append(row)
    return found


def orientation(table: AuditTable) -> FloatArray:
    """Which way up a row's mean1 - mean2 favours arm 1: 1, -1, or NaN where nothing tells.

    The direction of the instrument tells; else the printed effect of the row; else the sign that most rows of the table
    use.
    """
    arms = arms_of(table)
    with np.errstate(invalid="ignore"):
        own = np.sign(table.printed[0]) * np.sign(arms["mean1"] - arms["mean2"])
    own = np.where(own == 0, np.nan, own)
    told = np.array([{"higher_better": 1.0, "lower_better": -1.0}.get(way, math.nan) for way in table.directions])
    most = np.nansum(own) if np.isfinite(own).any() else math.nan
    rest = math.nan if most == 0 else float(np.sign(most)) if math.isfinite(most) else math.nan
    found = np.where(np.isfinite(told), told, own)
    return np.where(np.isfinite(found), found, rest)


def variance_formula(table: AuditTable) -> str:
    """Name the formula that comes nearest to the printed standard errors of rows with arms; "LS" when none is near."""
    arms, (_, errors) = arms_of(table), table.printed
    rows = usable(arms) & np.isfinite(errors) & (errors > 0)
    if rows.sum() < 3:
        return "LS"
    some = {name: x[rows] for name, x in arms.items()}
    gaps = {}
    for name in SMD_VARIANCES:
        with np.errstate(all="ignore"):
            gap = np.median(np.abs(np.sqrt(hedges_g(**some, variance=name)[1]) / errors[rows] - 1))
        gaps[name] = gap if math.isfinite(gap) else math.inf
    best = min(gaps, key=lambda name: gaps[name])
    return best if gaps[best] < _FORMULA_FITS else "LS"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reader:
    """What pooling would use for a row if its arms were other than printed.

    Parameters
    ----------
    up : array of shape (k,)
        As `orientation` returns.
    variance : str
        As `variance_formula` returns.
    """

    up: FloatArray
    variance: str

    def reread(self, row: int, arms: Mapping[str, float]) -> dict[int, tuple[float, float] | None]:
        """Return effect and variance of a row with these arms; nothing where no one can say."""
        one = {name: np.array([float(arms[name])]) for name in ARM_CELLS}
        if not usable(one)[0] or not math.isfinite(self.up[row]):
            return {}
        with np.errstate(all="ignore"):
            yi, vi = hedges_g(**one, variance=self.variance)
        if not (np.isfinite(yi[0]) and np.isfinite(vi[0]) and vi[0] > 0):
            return {}
        return {row: (float(self.up[row] * yi[0]), float(vi[0]))}


def make_reader(table: AuditTable) -> Reader:
    """Learn from a table which way its effects point and which formula its standard errors follow."""
    return Reader(up=orientation(table), variance=variance_formula(table))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """One comparable effect for each row, as far as the table has any.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and sampling variances; NaN where a row has none.
    kind : str
        "printed", "means" (Hedges g), "counts" (log odds ratio) or "".
    standardised : bool
        Whether they are standardised mean differences, as far as the table's own arms show.
    """

    yi: FloatArray
    vi: FloatArray
    kind: str
    standardised: bool


def find_effects(table: AuditTable) -> Effects:
    """Find effects that can be set beside one another: the printed ones, else those of the arms, else of the counts."""
    arms = arms_of(table)
    rows = usable(arms)
    g, v = np.full(table.k, math.nan), np.full(table.k, math.nan)
    if rows.any():
        with np.errstate(all="ignore"):
            g[rows], v[rows] = hedges_g(**{name: x[rows] for name, x in arms.items()}, variance="LS")
    ready = table.has("review_yi") or table.has("yi")
    yi, errors = table.printed if ready else (np.full(table.k, math.nan),) * 2
    with np.errstate(all="ignore"):
        both = np.isfinite(yi) & np.isfinite(errors) & (errors > 0) & (errors < 1e100) & (np.abs(yi) < 1e100)
        if both.any():
            same = rows & both
            # The effects are standardised mean differences when most of those that have arms come out of them.
            near = np.abs(np.abs(yi[same]) - np.abs(g[same])) < 0.05 + 0.1 * np.abs(g[same])
            alike = bool(same.any() and near.mean() >= 0.5)
            return Effects(
                yi=np.where(both, yi, np.nan), vi=np.where(both, errors**2, np.nan), kind="printed", standardised=alike
            )
        if rows.any():
            up = orientation(table)
            return Effects(yi=np.where(np.isfinite(up), up, 1.0) * g, vi=v, kind="means", standardised=True)
        a, n1, c, n2 = (table.number(x) for x in ("events1", "total1", "events2", "total2"))
        good = (a >= 0) & (c >= 0) & (a <= n1) & (c <= n2) & (n1 > 0) & (n2 > 0) & (n1 < 1e15) & (n2 < 1e15)
        if good.any():
            # Haldane's half in every cell: no row is lost to a zero, and the effect of a large one hardly moves.
            cells = [np.where(good, x, np.nan) + 0.5 for x in (a, n1 - a, c, n2 - c)]
            ratio = np.log(cells[0] * cells[3] / (cells[1] * cells[2]))
            return Effects(yi=ratio, vi=np.sum([1 / x for x in cells], axis=0), kind="counts", standardised=False)
    empty = np.full(table.k, math.nan)
    return Effects(yi=empty, vi=empty.copy(), kind="", standardised=False)
