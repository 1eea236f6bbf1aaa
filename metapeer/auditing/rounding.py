"""Printed numbers: whether a computed number rounds to one, and what inputs rounded in print could give."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from metapeer.pooling.weighted import FloatArray

__all__ = ["Printed", "find_inputs", "reachable_range", "read_printed"]

_RELINEARISATIONS = 6
_INSIDE = 0.001
"""Aim a little inside the tolerance, so that a point found on the edge survives its check."""
_FIRST = 1e4
"""Weight of the violation against the length of the step, which is at most 2, so that the violation comes first."""
_FAR = 3.0
"""Outputs that lie further off than this many times what the inputs can move them, by their slopes, are out of reach:
over half a step of its inputs an effect bends by much less."""
_NUMBER = re.compile(r"([<>≤≥=]?)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)", re.ASCII)


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
    bound : {"", "<", ">", "≤", "≥"}
        What stands before the number when only a bound was printed.
    """

    text: str
    value: float
    decimals: int
    bound: str = ""

    @property
    def half_step(self) -> float:
        """Half a unit of the last printed digit: how far rounding can have moved the number."""
        return 0.5 * 10.0**-self.decimals

    @property
    def limits(self) -> tuple[float, float]:
        """Between which numbers one lies that is printed like this."""
        if self.bound:
            return (-math.inf, self.value) if self.bound in "<≤" else (self.value, math.inf)
        return self.value - self.half_step, self.value + self.half_step

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
        if self.bound:
            return {
                "<": computed < self.value,
                ">": computed > self.value,
                "≤": computed <= self.value,
                "≥": computed >= self.value,
            }[self.bound]
        forgiven = 1e-9 * self.half_step + 2.0 * math.ulp(self.value)
        return abs(computed - self.value) <= self.half_step + forgiven


def read_printed(text: str) -> Printed | None:
    """Read a printed number, keeping its digits.

    Parameters
    ----------
    text : str
        Such as ``"0.10"``, ``"-0.00"`` or ``"<0.001"``; an empty text is no number.

    Returns
    -------
    Printed or None
        None when there is no number, or one too large to compute with.

    Examples
    --------
    >>> read_printed("0.10").decimals, read_printed("") is None, read_printed("< .05").value
    (2, True, 0.05)
    """
    match = _NUMBER.fullmatch(text.strip().replace("\N{MINUS SIGN}", "-"))
    if match is None:
        return None
    number = Decimal(match[2])
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101  only infinity and NaN have words for exponents
    value = float(number)
    return Printed(text, value, max(0, -exponent), match[1].strip("=")) if math.isfinite(value) else None


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
    The outputs are made linear in the inputs; by linear programming the largest violation is minimised over the box,
    and of the points that do so one near by is taken; there the outputs are made linear next, a few times over.

    Examples
    --------
    >>> import numpy as np
    >>> means, half_steps = np.array([3.1, 2.9]), np.array([0.05, 0.05])
    >>> found = find_inputs(lambda x: x[:1] - x[1:], means, half_steps, [Printed("0.3", 0.3, 1)])
    >>> bool(found[0] - found[1] >= 0.25)
    True
    """
    tolerances = np.array([one.half_step for one in printed])
    lower, upper = np.array([one.limits for one in printed]).T
    point = inputs
    for attempt in range(_RELINEARISATIONS):
        outputs = compute(point)
        if all(one.agrees(value) for one, value in zip(printed, outputs.tolist(), strict=True)):
            return point
        slopes = _slopes(compute, point, half_steps, outputs)
        if attempt == 0 and _out_of_reach(outputs, lower, upper, slopes):
            return None
        from scipy.optimize import linprog  # a quarter of a second, so only when it may be of use

        # In units of half steps (inputs, d) and tolerances (outputs): minimise first t >= 0, with J d <= above + t and
        # -J d <= below + t, then the longest step s, with |d| <= s, for over a short way outputs are nearly linear.
        jacobian = slopes.T / tolerances[:, np.newaxis]
        room = np.append(upper - outputs, outputs - lower) / np.tile(tolerances, 2) - _INSIDE
        bounded = np.isfinite(room)
        steps = np.eye(inputs.size)
        within = np.column_stack([np.vstack([jacobian, -jacobian]), -np.ones(room.size), np.zeros(room.size)])[bounded]
        short = np.column_stack([np.vstack([steps, -steps]), np.zeros(2 * inputs.size), -np.ones(2 * inputs.size)])
        offset = np.divide(point - inputs, half_steps, out=np.zeros_like(inputs), where=half_steps > 0)
        solution = linprog(
            np.append(np.zeros(inputs.size), [_FIRST, 1.0]),
            A_ub=np.vstack([within, short]),
            b_ub=np.append(room[bounded], np.zeros(2 * inputs.size)),
            bounds=[*zip(-1.0 - offset, 1.0 - offset, strict=True), (0.0, None), (0.0, None)],
        )
        if solution.x is None:
            return None
        point = point + solution.x[:-2] * half_steps
    return None


def _out_of_reach(outputs: FloatArray, lower: FloatArray, upper: FloatArray, slopes: FloatArray) -> bool:
    """Whether some output, or the difference of two, lies further from where it should be than inputs can move it."""
    if not (np.isfinite(outputs).all() and np.isfinite(slopes).all()):
        return True
    i, j = np.triu_indices(outputs.size, 1)
    values = np.append(outputs, outputs[i] - outputs[j])
    least, most = np.append(lower, lower[i] - upper[j]), np.append(upper, upper[i] - lower[j])
    reach = _FAR * np.abs(np.column_stack([slopes, slopes[:, i] - slopes[:, j]])).sum(axis=0)
    return bool(((values + reach < least) | (values - reach > most)).any())
