"""How the re-derivation of a row reads: its evidence, what pooling would use instead, and what to look up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.rederive_rows import Group
from metapeer.auditing.rederive_slips import Reading

__all__ = ["MANY", "Derived", "columns_of", "derive", "evidence_of", "instead_of", "joined", "look_up_in", "own_unit"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MANY = 5
"""Rows of one finding whose numbers are shown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derived:
    """A group beside what it comes to by the table's formulas, with the signs its rows ought to have."""

    group: Group
    effect: FloatArray  # with the sign and scale of the printed ones
    own_spread: FloatArray  # standard error or variance, whichever is printed
    tail: str  # the formula and how many come out by it
    ratio: bool


def derive(group: Group, sign: IntArray) -> Derived:
    """Put a group beside what it comes to with the signs its rows ought to have."""
    formula = group.formula
    return Derived(
        group=group,
        effect=group.oriented(sign),
        own_spread=own_unit(group),
        tail=f" ({formula.label}, by which {int(group.near.sum())} of {group.m} rows come out)" if formula else "",
        ratio=formula is not None and formula.ratio,
    )


def own_unit(group: Group) -> FloatArray:
    """Return the computed standard errors or variances, whichever is printed."""
    return np.where(group.printed.squared, group.variances, np.sqrt(group.variances))


def joined(readings: Sequence[Reading]) -> str:
    """Join what several readings suppose."""
    words = [reading.words for reading in readings[:MANY]]
    more = f", or {len(readings) - MANY} other slips" if len(readings) > MANY else ""
    return ", or if ".join(words) + more


def columns_of(group: Group, place: int, *, effect: bool, spread: bool) -> tuple[str, ...]:
    """Name the printed cells that do not come out."""
    named = []
    if effect:
        named.append(group.printed.effect_column[place])
    if spread and np.isfinite(group.printed.spread[place]):
        named.append(group.printed.spread_column[place])
    return tuple(named)


def evidence_of(derived: Derived, place: int) -> str:
    """Write the printed numbers of a row beside the computed ones."""
    group = derived.group
    text = f"effect {group.printed.effect[place]:.6g}, computed {derived.effect[place]:.6g}"
    if np.isfinite(group.printed.spread[place]):
        name = "variance" if group.printed.squared[place] else "SE"
        text += f"; {name} {group.printed.spread[place]:.6g}, computed {derived.own_spread[place]:.6g}"
    return text


def instead_of(derived: Derived, place: int, truth: str) -> dict[int, tuple[float, float]]:
    """What pooling would use if the raw numbers, or the printed ones, are right; nothing for a printed ratio."""
    group = derived.group
    if group.formula is None or derived.ratio:
        return {}
    variance, value = float(group.variances[place]), float(derived.effect[place])
    if truth == "printed":
        value = float(group.printed.effect[place])
        own = float(group.printed.spread[place])
        own = own if group.printed.squared[place] else own * own
        variance = own if own > 0 else variance
    return {int(group.rows[place]): (value, variance)} if np.isfinite(value) and 0 < variance < np.inf else {}


def look_up_in(columns: Sequence[str]) -> str:
    """Say what to look up in the paper for the cells at fault."""
    wanted = []
    if any(c.startswith(("mean", "sd")) for c in columns):
        wanted.append("means and SDs of both arms, and whether the table prints SDs or standard errors")
    if any(c.startswith(("events", "total")) for c in columns):
        wanted.append("events and participants of both arms, and whether they are counts or percentages")
    if any(c in ("n1", "n2") for c in columns):
        wanted.append("the participants analysed for this outcome")
    if not wanted:
        wanted.append("the raw numbers of the row, and how its effect and standard error were computed")
    return "; ".join(wanted)
