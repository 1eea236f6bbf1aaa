"""The axis of a forest plot: its ends, its marks, and where a value stands between them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from metapeer.errors import ChoiceError
from metapeer.plots.forest_rows import DRAWN, FARTHEST, FARTHEST_LOG, Row

__all__ = ["Scale", "is_finite", "read_scale"]

FENCE = 1.5  # Tukey (1977), Exploratory Data Analysis, ch. 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The panel's axis.

    Parameters
    ----------
    low, high : float
        Its ends, in the table's units.
    null : float
        Where there is no effect.
    reference : float or None
        Where a dashed line stands.
    log : bool
        Whether it shows ratios.
    ticks : tuple of float or None
        As printed; None if they are still to be chosen.
    """

    low: float
    high: float
    null: float
    reference: float | None
    log: bool
    ticks: tuple[float, ...] | None

    def share(self, value: float) -> float:
        """Say where a value stands between the ends.

        Parameters
        ----------
        value : float
            In the table's units.

        Returns
        -------
        float
            From 0 to 1, also for what lies beyond an end.
        """
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def is_finite(value: object) -> TypeGuard[float]:
    """Whether an option is a finite number.

    Parameters
    ----------
    value : object
        What the caller gave.

    Returns
    -------
    bool
        False also for booleans and for numbers in quotes.
    """
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(float(value))


def read_scale(
    rows: Sequence[Row],
    log: bool,
    null: float,
    reference: float | None,
    limits: tuple[float, float] | None,
    ticks: Sequence[float] | None,
) -> Scale:
    """Check what the caller wants of the axis, and choose the rest.

    Parameters
    ----------
    rows : sequence of Row
        What will be drawn.
    log : bool
        Whether the axis shows ratios.
    null, reference, limits, ticks
        As `forest_plot` takes `null_value`, `reference`, `x_limits` and `ticks`.

    Returns
    -------
    Scale
        The axis.

    Raises
    ------
    ChoiceError
        If an option makes no sense.
    """
    farthest = FARTHEST_LOG if log else FARTHEST
    for name, value in (("null_value", null), ("reference", 0.0 if reference is None else reference)):
        if not (is_finite(value) and abs(value) <= farthest):
            raise ChoiceError(f"{name} must be a finite number in the table's units, not {value!r}")

    def places(name: str, values: object) -> list[float]:
        given = list(values) if isinstance(values, Iterable) else [None]
        fitting = [v for v in given if is_finite(v) and (v > 0 if log else True) and abs(v) <= FARTHEST]
        if len(fitting) != len(given):
            kind = "ratios above 0" if log else "finite numbers"
            raise ChoiceError(f"{name} must be {kind}, as printed on the axis, not {values!r}")
        return [math.log(v) if log else float(v) for v in fitting]

    at = places("ticks", ticks) if ticks is not None else []
    if limits is not None:
        ends = places("x_limits", limits)
        if len(ends) != 2 or not ends[1] - ends[0] > 1e-9 * max(abs(end) for end in ends):
            raise ChoiceError(f"x_limits must be two numbers, the lower first, not {limits!r}")
        if at and not ends[0] <= min(at) <= max(at) <= ends[1]:
            raise ChoiceError(f"ticks {ticks!r} must lie within x_limits {limits!r}")
        low, high = ends
    else:
        low, high = _axis_ends(rows, [null, *([] if reference is None else [reference]), *at], log)
    return Scale(
        low=low,
        high=high,
        null=float(null),
        reference=None if reference is None else float(reference),
        log=log,
        ticks=None if ticks is None else tuple(float(tick) for tick in ticks),
    )


def _axis_ends(rows: Sequence[Row], marks: Sequence[float], log: bool) -> tuple[float, float]:
    """Cover every interval within Tukey's fences, all pooled estimates, and all `marks`."""
    drawn = [row for row in rows if row.kind in DRAWN and row.estimable]
    studies = [row for row in drawn if row.kind in ("study", "pooled")] or drawn
    far = FARTHEST_LOG if log else FARTHEST

    def near(value: float, instead: float) -> float:
        value = value if math.isfinite(value) else instead
        return min(max(value, -far), far)

    fences = (-math.inf, math.inf)
    if studies:
        lower = float(np.quantile([near(r.low, near(r.estimate, marks[0])) for r in studies], 0.25))
        upper = float(np.quantile([near(r.high, near(r.estimate, marks[0])) for r in studies], 0.75))
        if upper > lower:
            fences = (lower - FENCE * (upper - lower), upper + FENCE * (upper - lower))
    reach = [v for r in drawn for v in (r.low, r.high, r.estimate, *r.outer) if math.isfinite(v) and abs(v) <= far]
    pooled = [row.estimate for row in drawn if row.kind in ("summary", "pooled")]
    inside = [*(v for v in reach if fences[0] <= v <= fences[1]), *pooled, *marks]
    low, high = min(inside), max(inside)
    if high - low <= max(1 / FARTHEST, 1e-9 * max(abs(low), abs(high))):
        half = math.log(2) if log else max(1.0, 0.1 * abs(low))
        return low - half, high + half
    margin = 0.03 * (high - low)
    return low - margin, high + margin
