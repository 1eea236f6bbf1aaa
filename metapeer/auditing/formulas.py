"""The register of formulas by which a printed effect or standard error may have come about.

Every formula takes the raw numbers of all rows at once. A printed number agrees with a computed one when it is what the
computed one rounds to, at the decimals it was written with.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.rederive_effects import EFFECT_FORMULAS, EffectFormula, Kind, Raw, correction_of
from metapeer.auditing.rederive_spreads import SPREAD_FORMULAS, SpreadFormula
from metapeer.effects.measures import ARMS, EVENTS

__all__ = [
    "EFFECT_FORMULAS",
    "RELATIVE_TOLERANCE",
    "SPREAD_FORMULAS",
    "EffectFormula",
    "Kind",
    "Raw",
    "SpreadFormula",
    "agrees",
    "correction_of",
    "half_units",
    "smallest_inputs",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

RELATIVE_TOLERANCE = 1e-6
"""How far a number in full precision may lie from the computed one, relative to it.

Two programs that do the same sum differ by some 1e-15, and by 6e-8 when one of them stored it in single precision; the
nearest two formulas of this register, exact and approximate J, differ by 3e-6 at 100 participants, and cannot be told
apart above 180.
"""


def half_units(decimals: Sequence[int] | NDArray[np.int64]) -> FloatArray:
    """Return half a unit of the last printed decimal.

    Parameters
    ----------
    decimals : sequence of int
        As counted by `metapeer.auditing.table.decimals_of`; -1 for a number that was not written plainly.

    Returns
    -------
    array
        Half units; 0 where the number was not written plainly, and stands in full precision.

    Examples
    --------
    >>> half_units([2, 0, -1]).tolist()
    [0.005, 0.5, 0.0]
    """
    digits = np.asarray(decimals, dtype=np.int64)
    return np.where(digits < 0, 0.0, 0.5 * 10.0 ** -np.clip(digits, 0, 300).astype(np.float64))


def agrees(
    printed: FloatArray, computed: FloatArray, half: FloatArray, *, slack: FloatArray | float = 0.0
) -> BoolArray:
    """Tell whether printed numbers are what the computed ones round to.

    Parameters
    ----------
    printed, computed : array
        The numbers; NaN agrees with nothing.
    half : array
        Half a unit of the last printed decimal, of `half_units`.
    slack : array or float, default 0
        What else the computed number may be off by.

    Returns
    -------
    array of bool
        True where they agree.

    Examples
    --------
    >>> import numpy as np
    >>> agrees(np.array([0.17, 0.17]), np.array([0.1749, 0.1751]), half_units([2, 2])).tolist()
    [True, False]
    """
    with np.errstate(invalid="ignore", over="ignore"):
        # A relative 1e-9 keeps an exact tie, such as 0.125 printed as 0.13, from falling to binary rounding.
        room = half * (1 + 1e-9) + RELATIVE_TOLERANCE * np.abs(computed) + slack
        return np.asarray(np.isfinite(computed) & (np.abs(printed - computed) <= room), dtype=np.bool_)


def smallest_inputs(kind: Kind, raw: Raw) -> BoolArray:
    """Tell which rows have raw numbers that formulas can take.

    Parameters
    ----------
    kind : {"means", "events", "sizes"}
        The raw numbers meant; sizes are those of the arms alone.
    raw : mapping of str to array
        The raw numbers by name.

    Returns
    -------
    array of bool
        True where all are there and possible.

    Examples
    --------
    >>> import numpy as np
    >>> smallest_inputs("sizes", {"n1": np.array([20.0, 1.0]), "n2": np.array([20.0, 20.0])}).tolist()
    [True, False]
    """
    with np.errstate(invalid="ignore"):
        if kind == "events":
            ready = np.all([np.isfinite(raw[name]) for name in EVENTS], axis=0)
            for arm in "12":
                events, total = raw[f"events{arm}"], raw[f"total{arm}"]
                ready = ready & (events >= 0) & (events <= total) & (total >= 1)
            return np.asarray(ready, dtype=np.bool_)
        ready = np.isfinite(raw["n1"] + raw["n2"]) & (raw["n1"] >= 2) & (raw["n2"] >= 2)
        if kind == "means":
            ready = ready & np.all([np.isfinite(raw[name]) for name in ARMS], axis=0)
            ready = ready & (raw["sd1"] > 0) & (raw["sd2"] > 0)
        return np.asarray(ready, dtype=np.bool_)
