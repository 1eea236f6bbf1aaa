"""A printed pooled result as ranges: what each number can have been before it was rounded, and what that allows."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from metapeer.auditing.published_ranges import Range, range_of, symmetric_region
from metapeer.auditing.rounding import Printed, read_printed
from metapeer.effects.measures import MEASURES
from metapeer.effects.reported import read_effect_type
from metapeer.pooling.intervals import normal_quantile, t_quantile

__all__ = ["NUMBERS", "Comparison", "PrintedResult", "Reading", "read_result"]

NUMBERS = (
    "k", "n", "es", "ci_low", "ci_high", "z", "p", "i2", "i2_ci_low", "i2_ci_high", "tau2", "q", "q_df", "q_p",
    "pi_low", "pi_high", "weight",
)  # fmt: skip
"""Columns of published.csv that hold numbers, then a prediction interval and a weight in per cent, where given."""

_WORDS = {
    "ns": (">", 0.05), "n.s.": (">", 0.05), "not significant": (">", 0.05), "nonsignificant": (">", 0.05),
    "non-significant": (">", 0.05), "no": (">", 0.05), "significant": ("<", 0.05), "sig": ("<", 0.05),
    "sig.": ("<", 0.05), "yes": ("<", 0.05), "*": ("<", 0.05), "**": ("<", 0.01), "***": ("<", 0.001),
}  # fmt: skip
_SMALLEST = 1e-12
"""A ratio printed as 0.00 is taken to be at least this, so that its logarithm is finite."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A way of reading a printed interval: which distribution it rests on.

    Parameters
    ----------
    name : str
        In words.
    quantile : float
        Half of the interval's width, in standard errors.
    df : float or None
        Degrees of freedom; None for the normal distribution.
    """

    name: str
    quantile: float
    df: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A printed number held against what other printed numbers of its row allow.

    Parameters
    ----------
    row : int
        Position of the row.
    number : str
        The column.
    printed : str
        As printed.
    low, high : float
        Between which numbers it must lie, whatever the digits were that rounding took from the others.
    others : tuple of str
        The columns it was held against.
    fits : bool
        Whether some unrounded number that prints like this lies there.
    reading : str
        How the others were read.
    """

    row: int
    number: str
    printed: str
    low: float
    high: float
    others: tuple[str, ...]
    fits: bool
    reading: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedResult:
    """A row of a table of pooled results, read.

    Parameters
    ----------
    position : int
        Its place in the table.
    name : str
        How a person would name it.
    cells : mapping of str to str
        All cells as text.
    numbers : mapping of str to Printed
        Those that hold a number.
    unreadable : tuple of str
        Columns of numbers whose cell is neither empty nor a number.
    measure : str
        Code of the effect measure; empty when the words are not known.
    scales : tuple of str
        Scales on which the interval may be symmetric, the likeliest first.
    """

    position: int
    name: str
    cells: Mapping[str, str]
    numbers: Mapping[str, Printed]
    unreadable: tuple[str, ...]
    measure: str
    scales: tuple[str, ...]

    def text(self, column: str) -> str:
        """Return a cell; empty where there is none.

        Parameters
        ----------
        column : str
            The column.

        Returns
        -------
        str
            Without blanks around it.
        """
        return self.cells.get(column, "")

    def has(self, *columns: str) -> bool:
        """Tell whether all these numbers are printed.

        Parameters
        ----------
        *columns : str
            Columns.

        Returns
        -------
        bool
            True when each holds a number.
        """
        return all(column in self.numbers for column in columns)

    def range(self, column: str) -> Range:
        """Between which numbers a printed one was, before rounding.

        Parameters
        ----------
        column : str
            A column that holds a number.

        Returns
        -------
        tuple of float
            Lowest and highest.
        """
        return range_of(self.numbers[column])

    def whole(self, column: str) -> int | None:
        """Return a printed count; None when there is none, or it is not whole.

        Parameters
        ----------
        column : str
            The column.

        Returns
        -------
        int or None
            The count.
        """
        printed = self.numbers.get(column)
        whole = printed is not None and not printed.bound and printed.value.is_integer() and abs(printed.value) < 1e9
        return int(printed.value) if printed is not None and whole else None

    @property
    def df(self) -> int | None:
        """Degrees of freedom of Q: as printed, or k - 1."""
        printed, k = self.whole("q_df"), self.whole("k")
        return printed if printed is not None else (None if k is None else k - 1)

    def scaled(self, column: str, scale: str) -> Range:
        """Return the range of a number on a scale.

        Parameters
        ----------
        column : str
            The column.
        scale : {"identity", "log", "atanh", "logit"}
            The scale.

        Returns
        -------
        tuple of float
            Lowest and highest.
        """
        low, high = self.range(column)
        change, least, most = _SCALES[scale]
        return change(min(max(low, least), most)), change(min(max(high, least), most))

    def region(self, scale: str) -> tuple[tuple[float, float], ...] | None:
        """Pairs of estimate and half-width that print as this row does.

        Parameters
        ----------
        scale : str
            The scale on which the interval is taken to be symmetric.

        Returns
        -------
        tuple of (float, float) or None
            Corners of the convex region; empty when no symmetric interval prints like this, None when there is no
            interval.
        """
        if not self.has("ci_low", "ci_high"):
            return None
        estimate = self.scaled("es", scale) if self.has("es") else None
        return symmetric_region(estimate, self.scaled("ci_low", scale), self.scaled("ci_high", scale))

    @property
    def scale(self) -> str:
        """The first scale on which the interval can be symmetric; the likeliest one when there is none."""
        return next((scale for scale in self.scales if self.region(scale)), self.scales[0])

    def readings(self, level: float) -> list[Reading]:
        """Ways of reading the interval that its number of studies leaves open.

        Parameters
        ----------
        level : float
            Confidence level.

        Returns
        -------
        list of Reading
            The normal distribution, and t with k - 1 and with the printed degrees of freedom, as far as known.
        """
        found = [Reading("normal", normal_quantile(level), None)]
        k, df = self.whole("k"), self.whole("q_df")
        return found + [
            Reading(f"t with {one} df (as Hartung-Knapp has)", t_quantile(level, one), float(one))
            for one in dict.fromkeys((None if k is None else k - 1, df))
            if one is not None and one >= 1
        ]


_SCALES: dict[str, tuple[Callable[[float], float], float, float]] = {
    "identity": (float, -math.inf, math.inf),
    "log": (math.log, _SMALLEST, math.inf),
    "atanh": (math.atanh, -1.0 + _SMALLEST, 1.0 - _SMALLEST),
    "logit": (lambda p: math.log(p / (1.0 - p)), _SMALLEST, 1.0 - _SMALLEST),
}


def _kind(words: str) -> tuple[str, tuple[str, ...]]:
    """Measure and scales that the words for an effect stand for; remarks in brackets do not matter."""
    bare = " ".join(re.sub(r"\([^)]*\)|\[[^]]*\]", " ", words).split())
    kind = read_effect_type(words) or read_effect_type(bare)
    if kind is not None:
        ratio = MEASURES[kind.measure].scale == "log" and not kind.logarithm
        return kind.measure, ("log",) if ratio else ("identity",)
    tokens = set(re.findall(r"[a-z]+", bare.casefold()))
    if tokens & {"log", "ln"}:
        return "", ("identity",)
    if tokens & {"ratio", "ratios", "or", "rr", "hr", "irr", "aor", "arr", "ahr", "rom"}:
        return "", ("log",)
    if tokens & {"correlation", "r", "zcor"}:
        return "", ("atanh", "identity")
    if tokens & {"proportion", "prevalence", "risk", "rate"}:
        return "", ("logit", "identity", "log")
    return "", ("identity", "log")


def _plain(column: str, text: str) -> str:
    """Take from a number what journals put around it: p =, %, a raised point, a decimal comma, commas in counts."""
    bare = text.removesuffix("%").rstrip().replace("\N{MIDDLE DOT}", ".")
    if column in ("p", "q_p"):
        bare = bare.removeprefix("p").removeprefix("P").lstrip()
    if column in ("k", "n"):
        return bare.replace(",", "").replace("\N{NO-BREAK SPACE}", "").replace(" ", "")
    return bare.replace(",", ".") if re.fullmatch(r"\D*\d+,\d+", bare) else bare


def read_result(position: int, name: str, cells: Mapping[str, str]) -> PrintedResult:
    """Read a row of a table of pooled results.

    Parameters
    ----------
    position : int
        Its place in the table.
    name : str
        How a person would name it.
    cells : mapping of str to str
        All cells as text.

    Returns
    -------
    PrintedResult
        Its numbers, with the digits they were printed with.

    Examples
    --------
    >>> row = read_result(0, "a", {"es": "0.69", "ci_low": "0.49", "ci_high": "0.96", "es_type": "RR", "p": "ns"})
    >>> row.scale, row.numbers["p"].bound, len(row.region("log")) > 2
    ('log', '>', True)
    """
    numbers, unreadable = {}, []
    for column in NUMBERS:
        text = cells.get(column, "").strip()
        word = _WORDS.get(text.casefold()) if column == "p" else None
        if column == "p" and not text:
            word = _WORDS.get(cells.get("significance", "").strip().casefold())
        if word is not None:
            numbers[column] = Printed(text or cells["significance"].strip(), word[1], 2, word[0])
            continue
        printed = read_printed(_plain(column, text))
        if printed is not None:
            numbers[column] = printed
        elif text and text.casefold() not in {"na", "n/a", "nr", "nan", "none", "-", ".", "<na>"}:
            unreadable.append(column)
    measure, scales = _kind(cells.get("es_type", ""))
    return PrintedResult(
        position=position,
        name=name,
        cells={column: text.strip() for column, text in cells.items()},
        numbers=numbers,
        unreadable=tuple(unreadable),
        measure=measure,
        scales=scales,
    )
