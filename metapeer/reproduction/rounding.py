"""Printed numbers: whether a computed number rounds to one, and what inputs rounded in print could give."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import numpy as np

from metapeer.pooling.weighted import FloatArray

__all__ = ["Printed", "find_inputs", "reachable_range", "read_printed"]

_RELINEARISATIONS = 6
_INSIDE = 0.999
"""Aim a little inside the tolerance, so that a point found on the edge survives its check."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A number as it was printed.

    Parameters
    ----------
    text : str
        As printed.
    value : float
        The number.
    decimals : int
        Digits after the decimal point.
    bound : str
        "<" or ">" when only a bound was printed, otherwise empty.
    """

    text: str
    value: float
    decimals: int
    bound: str = ""

    @property
    def half_step(self) -> float:
        """Half a unit of the last printed digit: how far rounding can have moved the number."""
        return 0.5 * 10.0**-self.decimals

    def agrees(self, computed: float) -> bool:
        """Tell whether a computed number would be printed like this.

        Parameters
        ----------
        computed : float
            The unrounded number.

        Returns
        -------
        bool
            True when it lies within half a unit of the last digit; a tie may have been rounded either way, and the
            last bits of a tie are forgiven.

        Examples
        --------
        >>> read_printed("0.19").agrees(0.1895), read_printed("0.10").agrees(0.106), read_printed("<0.001").agrees(4e-5)
        (True, False, True)
        """
        if math.isnan(computed):
            return False
        if self.bound:
            return computed < self.value if self.bound == "<" else computed > self.value
        return abs(computed - self.value) <= self.half_step * (1.0 + 1e-9)


def read_printed(text: str) -> Printed | None:
    """Read a printed number, keeping its digits.

    Parameters
    ----------
    text : str
        Such as ``"0.10"``, ``"-0.00"`` or ``"<0.001"``; an empty text is no number.

    Returns
    -------
    Printed or None
        None when there is no number.

    Examples
    --------
    >>> read_printed("0.10").decimals, read_printed("") is None, read_printed("< .05").value
    (2, True, 0.05)
    """
    cleaned = text.strip().replace("\u2212", "-").replace(",", "")
    bound = cleaned[:1] if cleaned[:1] in ("<", ">") else ""
    try:
        number = Decimal(cleaned[len(bound) :].strip())
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    exponent = number.as_tuple().exponent
    return Printed(text, float(number), max(0, -exponent) if isinstance(exponent, int) else 0, bound)


def reachable_range(
    compute: Callable[[FloatArray], FloatArray], inputs: FloatArray, half_steps: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Find how far rounding of the inputs can have moved computed numbers, from values that are attained.

    Each input may lie anywhere within its half step. The direction in which each one moves an output is found by moving
    it alone; the outputs are then computed with all inputs moved together, one way and the other.

    Parameters
    ----------
    compute : callable
        Takes inputs of shape (m,) and returns outputs of shape (q,).
    inputs : array of shape (m,)
        The inputs as printed.
    half_steps : array of shape (m,)
        Half a unit of each input's last printed digit; zero for exact inputs.

    Returns
    -------
    low, high : array of shape (q,)
        Ends of a range whose every end is attained by inputs that round to those printed. Where outputs are monotone in
        each input, as effects in means and standard deviations are nearly always over so short a way, no attainable
        value lies outside.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = reachable_range(lambda x: x[:1] - x[1:], np.array([3.1, 2.9]), np.array([0.05, 0.05]))
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.1, 0.3)
    """
    centre = compute(inputs)
    moves = np.sign(_slopes(compute, inputs, half_steps, centre))
    attained = [centre]
    for j in range(centre.size):
        attained += [compute(inputs + way * moves[:, j] * half_steps) for way in (-1.0, 1.0)]
    values = np.array(attained)
    return np.nanmin(values, axis=0), np.nanmax(values, axis=0)


def _slopes(
    compute: Callable[[FloatArray], FloatArray], inputs: FloatArray, half_steps: FloatArray, centre: FloatArray
) -> FloatArray:
    """Change of each output when one input moves by its half step; shape (inputs, outputs)."""
    slopes = np.zeros((inputs.size, centre.size))
    for i in np.flatnonzero(half_steps):
        moved = inputs.copy()
        moved[i] += half_steps[i]
        slopes[i] = compute(moved) - centre
    return slopes


def find_inputs(
    compute: Callable[[FloatArray], FloatArray],
    inputs: FloatArray,
    half_steps: FloatArray,
    printed: Sequence[Printed],
) -> FloatArray | None:
    """Look for unrounded inputs that give every printed output at once.

    Parameters
    ----------
    compute : callable
        Takes inputs of shape (m,) and returns outputs of shape (q,).
    inputs : array of shape (m,)
        The inputs as printed.
    half_steps : array of shape (m,)
        Half a unit of each input's last printed digit; zero for exact inputs.
    printed : sequence of Printed
        The q outputs as printed.

    Returns
    -------
    array of shape (m,) or None
        Inputs that round to those printed and whose outputs round to those printed: a witness, checked by computing.
        None when none was found, which for outputs nearly linear in the inputs means that there is none.

    Notes
    -----
    The outputs are made linear in the inputs, the largest violation is minimised over the box by linear programming,
    and the point found is where the outputs are made linear next, a few times over.

    Examples
    --------
    >>> import numpy as np
    >>> means, half_steps = np.array([3.1, 2.9]), np.array([0.05, 0.05])
    >>> found = find_inputs(lambda x: x[:1] - x[1:], means, half_steps, [Printed("0.3", 0.3, 1)])
    >>> bool(found[0] - found[1] >= 0.25)
    True
    """
    from scipy.optimize import linprog

    targets = np.array([one.value for one in printed])
    tolerances = np.array([one.half_step for one in printed])
    point = inputs
    for _ in range(_RELINEARISATIONS):
        outputs = compute(point)
        if not np.isfinite(outputs).all():
            return None
        if all(one.agrees(value) for one, value in zip(printed, outputs.tolist(), strict=True)):
            return point
        # In units of half steps (inputs) and tolerances (outputs): minimise t with |J d + gap| <= 1 + t.
        jacobian = (_slopes(compute, point, half_steps, outputs) / tolerances).T
        gap = (outputs - targets) / tolerances
        offset = np.divide(point - inputs, half_steps, out=np.zeros_like(inputs), where=half_steps > 0)
        ones = np.ones((targets.size, 1))
        solution = linprog(
            np.append(np.zeros(inputs.size), 1.0),
            A_ub=np.block([[jacobian, -ones], [-jacobian, -ones]]),
            b_ub=np.concatenate([_INSIDE - gap, _INSIDE + gap]),
            bounds=[*zip(-1.0 - offset, 1.0 - offset, strict=True), (0.0, None)],
        )
        if solution.x is None:
            return None
        point = point + solution.x[:-1] * half_steps
    return None
