"""What stands in a cell: cleaned text, numbers with true minus signs, and columns of numbers that stand in line."""

import math
import re
from collections.abc import Sequence

from metapeer.formatting import format_number
from metapeer.plots.text import text_width

__all__ = ["MINUS", "align_numbers", "clean_text", "is_plain_number", "looks_numeric", "number_text", "true_minus"]


FIGURE_SPACE, PUNCTUATION_SPACE, THIN_SPACE, HAIR_SPACE = "\u2007", "\u2008", "\u2009", "\u200a"
MINUS = "\u2212"

# A number with its bracket, if it has one: blanks go before the bracket, not into it.
_NUMBER = re.compile(rf"([(\[]?)([-{MINUS}]?(?:\d+(?:,\d{{3}})*(?:\.\d+)?|\.\d+|∞)|NA)")
_HYPHEN_MINUS = re.compile(r"(?<![\w.,)\]%-])-(?=\.?\d)")


def clean_text(value: object) -> str:
    r"""Make any value fit to be drawn: tidy blanks, and nothing that no font or no SVG file can hold.

    Parameters
    ----------
    value : object
        A label, or whatever stands in its place; None and NaN are no text.

    Returns
    -------
    str
        Line breaks are kept; control characters and lone surrogates show as U+FFFD.

    Examples
    --------
    >>> clean_text("  Smith\t2014 <b>$x_1$</b>  "), clean_text(float("nan"))
    ('Smith 2014 <b>$x_1$</b>', '')
    """
    text = str(value)
    if not isinstance(value, str) and text in ("None", "nan", "NaN", "NaT", "<NA>"):
        return ""
    text = re.sub(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]", "\n", text)
    text = re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)
    lines = (re.sub(r"[\t ]+", " ", line).strip(" ") for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def true_minus(text: str) -> str:
    """Write minus signs as U+2212 where a hyphen stands before a number and after no word, number or bracket.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The same with minus signs.

    Examples
    --------
    >>> true_minus("-0.5 (-1.0 to 2), weeks 6-12, COVID-19") == "−0.5 (−1.0 to 2), weeks 6-12, COVID-19"
    True
    """
    return _HYPHEN_MINUS.sub(MINUS, text)


def number_text(value: float, digits: int = 2) -> str:
    """Write a number for a figure: true minus, ∞, and powers of ten once a million is passed.

    Parameters
    ----------
    value : float
        The number; NaN is missing.
    digits : int, default 2
        Decimals.

    Returns
    -------
    str
        Such as ``"0.19"``, ``"−∞"`` or ``"NA"``.

    Examples
    --------
    >>> number_text(-0.186), number_text(float("inf")), number_text(2.5e9)
    ('−0.19', '∞', '2.50e+09')
    """
    if math.isfinite(value) and abs(value) >= 1e6:
        return f"{value:.{digits}e}".replace("-", MINUS)
    return format_number(value, digits).replace("-", MINUS).replace("inf", "∞")


def _em(text: str) -> float:
    """Tell how wide a text is, in hundredths of its size."""
    return text_width(text, 100)


def _blank(width: float) -> str:
    """Make spaces about `width` hundredths of an em wide; exact for what digits, points and minus signs need."""
    spaces = ""
    for space in (FIGURE_SPACE, PUNCTUATION_SPACE, THIN_SPACE, HAIR_SPACE):
        times = int((width + 2) / _em(space))
        spaces += space * times
        width -= _em(space) * times
    return spaces


def _halves(number: str) -> tuple[str, str]:
    """Part a number before its decimals; what is no number (NA, ∞) has no decimals to stand in line."""
    whole, point, fraction = number.partition(".")
    return (whole, point + fraction) if number[-1].isdigit() else ("", "")


def looks_numeric(cell: str) -> bool:
    """Whether a cell reads as a number, an interval, a share or a mean (SD), so that it belongs to the right.

    Parameters
    ----------
    cell : str
        A cell.

    Returns
    -------
    bool
        True for ``"12/80"`` and ``"4.1 (2.0)"``, False for ``"group"``.
    """
    return bool(re.match(rf"[<>≤≥\s]*(?:{_NUMBER.pattern})(?![^\W\d])", cell))


def is_plain_number(cell: str) -> bool:
    """Whether a cell holds one number and nothing else, apart from a bound before it or a percent sign after it.

    Parameters
    ----------
    cell : str
        A cell.

    Returns
    -------
    bool
        True for ``"-0.5"``, ``"<0.001"`` and ``"12%"``, False for ``"12/80"`` and ``"4.1 (2.0)"``.
    """
    return bool(re.fullmatch(rf"[<>≤≥]?\s*(?![(\[]){_NUMBER.pattern}\s*%?", cell))


def align_numbers(cells: Sequence[str]) -> list[str]:
    r"""Pad the numbers in a column of cells with blanks so that signs, digits and decimal points stand in line.

    A number before a closing bracket gets its blanks in front alone: the bracket stays with it.

    Parameters
    ----------
    cells : sequence of str
        Such as ``"0.19 (0.11 to 0.27)"``. Only cells built like the most common one (numbers aside), or like its
        end, are padded.

    Returns
    -------
    list of str
        Same order; those built alike are equally wide.

    Examples
    --------
    >>> [cell.replace("\u2007", "_") for cell in align_numbers(["9.5 (12.1)", "10.5 (3.1)", "(8.5)"])]
    ['_9.5 (12.1)', '10.5 _(3.1)', '_(8.5)']
    """
    shapes = [_NUMBER.sub(r"\1\0", cell) if looks_numeric(cell) else "" for cell in cells]
    known = [shape for shape in shapes if shape]
    if not known:
        return list(cells)
    common = max(known, key=known.count)
    fitting = [bool(shape) and common.endswith(shape) for shape in shapes]
    places = common.count("\0")
    columns: list[list[str]] = [[] for _ in range(places)]
    for cell, fits in zip(cells, fitting, strict=True):
        numbers = [match[2] for match in _NUMBER.finditer(cell)] if fits else []
        for column, number in zip(columns[places - len(numbers) :], numbers, strict=True):
            column.append(number)
    closed = [rest[:1] in (")", "]") for rest in common.split("\0")[1:]]
    wholes = [max(_em(_halves(number)[0]) for number in column) for column in columns]
    decimals = [max(_em(_halves(number)[1]) for number in column) for column in columns]
    slots = [
        max([0.0 if shut else whole + fraction, *map(_em, column)])
        for column, shut, whole, fraction in zip(columns, closed, wholes, decimals, strict=True)
    ]

    def pad(cell: str, shape: str) -> str:
        at = iter(range(places - shape.count("\0"), places))

        def one(match: re.Match[str]) -> str:
            j = next(at)
            whole, fraction = _halves(match[2])
            after = "" if closed[j] or not (whole or fraction) else _blank(decimals[j] - _em(fraction))
            before = _blank(slots[j] - _em(match[2]) - _em(after))
            return before + match[0] + after

        return _NUMBER.sub(one, cell)

    return [pad(cell, shape) if fits else cell for cell, shape, fits in zip(cells, shapes, fitting, strict=True)]
