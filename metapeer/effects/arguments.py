"""Numbers given by hand: read from scalars, lists or columns, checked all at once, handed back in the same shape."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metapeer.errors import DataError, Fault

__all__ = ["Arguments", "Numbers"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Numbers = float | FloatArray


def _number(value: object) -> float:
    # pandas marks a missing value with an object of its own, which must not cost an import of pandas.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return float("nan")
    return float(value)  # type: ignore[arg-type]  # what is no number raises, and is reported


def _read(value: ArrayLike | None) -> FloatArray:
    array = np.asarray(np.nan if value is None else value)
    if array.dtype.kind not in "iufUSO":
        raise TypeError(array.dtype)
    if array.dtype == object:
        array = np.array([_number(x) for x in array.ravel()], dtype=np.float64).reshape(array.shape)
    return np.asarray(array, dtype=np.float64)


class Arguments:
    """Arguments of a conversion, broadcast against each other.

    Parameters
    ----------
    source : str
        The function, as the user called it; errors name it.
    **values : array_like
        The arguments: numbers, or one number for each study. A missing value gives a missing result.

    Raises
    ------
    DataError
        If an argument is not numeric or infinite, or if the arguments differ in length.

    Examples
    --------
    >>> arguments = Arguments("smd_from_t", t=[2.1, 1.4], n1=30)
    >>> arguments["n1"]
    array([30., 30.])
    >>> arguments.require("n1", lambda n1: n1 >= 2, "must be at least 2")
    >>> arguments.check()
    """

    def __init__(self, source: str, **values: ArrayLike | None) -> None:
        self._source = source
        self._faults: list[Fault] = []
        arrays: dict[str, FloatArray] = {}
        for name, value in values.items():
            try:
                arrays[name] = _read(value)
            except (TypeError, ValueError):
                self._faults.append(Fault(column=name, message=f"{value!r} is not a number or a list of numbers"))
        self.check()
        try:
            shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
        except ValueError:
            shape = ()
        lengths = ", ".join(f"{name} {array.size}" for name, array in arrays.items() if array.ndim)
        if len(shape) > 1 or any(array.ndim and array.shape != shape for array in arrays.values()):
            self._faults.append(Fault(message=f"the arguments must be of one length, or single numbers; got {lengths}"))
        self.check()
        self._scalar = shape == ()
        self._size = 1 if self._scalar else shape[0]
        self._arrays = {name: np.broadcast_to(array, (self._size,)).copy() for name, array in arrays.items()}
        for name in arrays:
            self.require(name, np.isfinite, "must be finite")

    def __getitem__(self, name: str) -> FloatArray:
        return self._arrays[name]

    def require(self, name: str, holds: Callable[[FloatArray], BoolArray] | BoolArray, message: str) -> None:
        """Note a fault for every value that is given and breaks a rule.

        Parameters
        ----------
        name : str
            The argument that the rule is about.
        holds : callable or array of bool
            Whether each value keeps the rule.
        message : str
            What must hold, to follow the value: "must be at least 2".
        """
        values = self._arrays[name]
        kept = np.asarray(holds(values) if callable(holds) else holds, dtype=np.bool_)
        for index in np.flatnonzero(~(np.broadcast_to(kept, values.shape) | np.isnan(values))):
            self.fault(f"{values[index]:.10g} will not do; it {message}", index=int(index), column=name)

    def fault(self, message: str, *, index: int | None = None, column: str | None = None) -> None:
        """Note a fault.

        Parameters
        ----------
        message : str
            What is wrong and what would do.
        index : int, optional
            Which study, counted from 0; errors count from 1.
        column : str, optional
            The argument at fault.
        """
        row = None if self._scalar or index is None else f"study {index + 1} of {self._size}"
        self._faults.append(Fault(message=message, row=row, column=column))

    def check(self) -> None:
        """Raise what was noted.

        Raises
        ------
        DataError
            If any fault was noted.
        """
        if self._faults:
            raise DataError(self._source, self._faults)

    def shaped(self, values: FloatArray) -> Numbers:
        """Return one number if only single numbers were given, otherwise a read-only array.

        Parameters
        ----------
        values : array of shape (k,)
            What was computed.

        Returns
        -------
        float or array of shape (k,)
            The same, in the shape of the arguments.
        """
        if self._scalar:
            return float(values[0])
        values = np.array(values, dtype=np.float64)
        values.setflags(write=False)
        return values

    def word(self, values: list[str]) -> str | tuple[str, ...]:
        """Return one word if only single numbers were given, otherwise one for each study.

        Parameters
        ----------
        values : list of str
            One word for each study.

        Returns
        -------
        str or tuple of str
            The same, in the shape of the arguments.
        """
        return values[0] if self._scalar else tuple(values)
