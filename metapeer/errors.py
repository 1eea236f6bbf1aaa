"""What metapeer says when something is wrong: where, what, and what would do.

`MetapeerError` is the base of all errors a user can cause; it is a `ValueError`, so code that catches
`ValueError` keeps working. `DataError` lists every fault of a table at once. An error that a page of the documentation
explains ends in a line that names the page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import TypeVar

__all__ = [
    "ChoiceError",
    "ConvergenceError",
    "DataError",
    "DataWarning",
    "Fault",
    "MetapeerError",
    "check_choice",
]

Choice = TypeVar("Choice", bound=str)

FAULTS_SHOWN = 200  # more than anyone mends before reading the file again; `DataError.faults` has them all


# Where an option's values are explained: page and heading. Options whose name means one thing here and another there
# (`model`, `method`) are left out. Every place is looked up by a test.
PAGES_OF_CHOICES: Mapping[str, str] = MappingProxyType(
    {
        "ci_method": "methods#confidence-interval",
        "prediction_method": "methods#prediction-interval",
        "preset": "methods#presets",
        "tau2_ci_method": "methods",
        "tau2_method": "methods#between-study-variance",
        "zero_cells": "methods#events",
    }
)


class MetapeerError(ValueError):
    """Something the caller can put right: a number, a file, an argument.

    Parameters
    ----------
    message : str
        Where, what, and what would do.
    page : str, optional
        The page of the documentation that explains it, with the heading if there is one: ``"few-trials"`` or
        ``"methods#presets"``. It stands in the last line of the error's text.

    Attributes
    ----------
    page : str or None
        As given.

    Examples
    --------
    >>> print(MetapeerError("Egger's test needs 3 studies, not 2", page="few-trials"))
    Egger's test needs 3 studies, not 2
      see docs/few-trials.md
    """

    def __init__(self, message: str = "", *, page: str | None = None) -> None:
        self.page = page
        super().__init__(message)

    def __str__(self) -> str:
        text = super().__str__()
        if self.page is None:
            return text
        name, hash_sign, heading = self.page.partition("#")
        return f"{text}\n  see docs/{name}.md{hash_sign}{heading}"


class ChoiceError(MetapeerError):
    """An option was given a value it does not know."""


class ConvergenceError(MetapeerError):
    """An iterative method found no answer it can vouch for."""


class DataWarning(UserWarning):
    """The data are legal but doubtful; the computation went on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a table.

    Parameters
    ----------
    message : str
        What is wrong and what would do.
    line : int, optional
        Line in the file, counted from 1 with the header as line 1.
    row : str, optional
        How a person would name the row, such as ``"smith2014, hope"``.
    column : str, optional
        The column at fault.

    Examples
    --------
    >>> print(Fault(line=17, row="smith2014, hope", column="sd1",
    ...             message="-3.2 is not a standard deviation; it must be > 0"))
    line 17 (smith2014, hope), sd1: -3.2 is not a standard deviation; it must be > 0
    """

    message: str
    line: int | None = None
    row: str | None = None
    column: str | None = None

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}"
        if self.row:
            where += f" ({self.row})" if where else self.row
        if self.column:
            where += f", {self.column}" if where else self.column
        return f"{where}: {self.message}" if where else self.message


class DataError(MetapeerError):
    """A table cannot be used as it is.

    Parameters
    ----------
    source : str
        The file or table at fault, as the user knows it.
    faults : sequence of Fault or str
        Everything that is wrong; never empty. The text of the error lists the first 200.
    page : str, optional
        As in `MetapeerError`.

    Attributes
    ----------
    source : str
        As given.
    faults : tuple of Fault
        As given, each a `Fault`.

    Examples
    --------
    >>> error = DataError("trials.csv", [Fault(line=2, column="n1", message="is missing")])
    >>> print(error)
    trials.csv has 1 problem
      line 2, n1: is missing
    """

    def __init__(self, source: str, faults: Sequence[Fault | str], *, page: str | None = None) -> None:
        self.source = source
        self.faults = tuple(Fault(message=f) if isinstance(f, str) else f for f in faults)
        count = len(self.faults)
        lines = [f"{source} has {count} problem{'' if count == 1 else 's'}"]
        lines += [f"  {fault}" for fault in self.faults[:FAULTS_SHOWN]]
        if count > FAULTS_SHOWN:
            lines.append(f"  ... and {count - FAULTS_SHOWN:,} more")
        super().__init__("\n".join(lines), page=page)

    def __reduce__(self) -> tuple[type["DataError"], tuple[str, tuple[Fault, ...]], dict[str, object]]:
        return type(self), (self.source, self.faults), {"page": self.page}


def check_choice(name: str, value: object, known: Iterable[Choice]) -> Choice:
    """Return `value` if it is one of `known`; otherwise say which were known, which was meant, and where that stands.

    Parameters
    ----------
    name : str
        The argument, as the user wrote it.
    value : object
        What was given.
    known : iterable of str
        What would do.

    Returns
    -------
    str
        The member of `known` equal to `value`.

    Raises
    ------
    ChoiceError
        If `value` is not among `known`.

    Examples
    --------
    >>> check_choice("tau2_method", "RELM", ["DL", "PM", "REML"])
    Traceback (most recent call last):
    metapeer.errors.ChoiceError: tau2_method 'RELM' is unknown. Did you mean 'REML'? Known: DL, PM, REML
      see docs/methods.md#between-study-variance
    """
    options = list(known)
    for option in options:
        if value == option:
            return option
    by_folded = {option.casefold(): option for option in reversed(options)}
    close = get_close_matches(str(value).casefold(), by_folded, n=1)
    hint = f" Did you mean {by_folded[close[0]]!r}?" if close else ""
    raise ChoiceError(
        f"{name} {value!r} is unknown.{hint} Known: {', '.join(options)}", page=PAGES_OF_CHOICES.get(name)
    )
