"""Numbers to words: the one place that decides how an estimate, an interval or a p value reads.

A result describes itself as `TextTable` s; `Printable` turns those into plain text and HTML, so that the console,
a notebook and a report can never disagree.
"""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = [
    "Printable",
    "TextTable",
    "count",
    "format_interval",
    "format_level",
    "format_number",
    "format_p",
]

MISSING = "NA"
WIDEST = 160  # columns of a plain-text table; longer lines are wrapped by whatever shows them, and columns fall apart
NARROWEST = 16  # columns that a text is left at least, so that few words have to be broken
GAP = 2  # blanks between columns


def format_number(value: float | None, digits: int = 2) -> str:
    """Write a number with a fixed count of decimals, never as minus zero.

    Parameters
    ----------
    value : float or None
        The number; None and NaN are missing.
    digits : int, default 2
        Decimals.

    Returns
    -------
    str
        Such as ``"0.19"``, ``"inf"`` or ``"NA"``.

    Examples
    --------
    >>> format_number(0.18949), format_number(-0.001), format_number(float("nan"))
    ('0.19', '0.00', 'NA')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and float(text) == 0 else text


def format_interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Write an interval as Cochrane does, with "to", so that a minus sign is never mistaken for a dash.

    Parameters
    ----------
    low, high : float or None
        The ends; when either is missing there is no interval.
    digits : int, default 2
        Decimals.

    Returns
    -------
    str
        Such as ``"0.11 to 0.27"`` or ``"NA"``.

    Examples
    --------
    >>> format_interval(-0.0196, 0.1791)
    '-0.02 to 0.18'
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return MISSING
    return f"{format_number(low, digits)} to {format_number(high, digits)}"


def format_p(value: float | None) -> str:
    """Write a p value: three decimals, and a bound below 0.001.

    Parameters
    ----------
    value : float or None
        The p value.

    Returns
    -------
    str
        Such as ``"0.034"``, ``"<0.001"`` or ``"NA"``.

    Examples
    --------
    >>> format_p(0.0343), format_p(1.2e-9)
    ('0.034', '<0.001')
    """
    if value is None or math.isnan(value):
        return MISSING
    return "<0.001" if value < 0.0005 else f"{value:.3f}"


def format_level(level: float) -> str:
    """Write a confidence level as a percentage, with no more decimals than it has.

    Parameters
    ----------
    level : float
        Between 0 and 1.

    Returns
    -------
    str
        Such as ``"95%"`` or ``"99.5%"``.

    Examples
    --------
    >>> format_level(0.95), format_level(0.995)
    ('95%', '99.5%')
    """
    return f"{100 * level:.10g}%"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Write a count with its noun.

    Parameters
    ----------
    number : int
        How many.
    singular : str
        The noun for one.
    plural : str, optional
        The noun for another number; `singular` with an s when left out.

    Returns
    -------
    str
        Such as ``"1 study"`` or ``"1,265 participants"``.

    Examples
    --------
    >>> count(1, "study", "studies"), count(1265, "participant")
    ('1 study', '1,265 participants')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def _printable(text: str) -> str:
    """Return a text without the characters that move a terminal's cursor; line breaks stay."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join("".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in s) for s in lines)


def _width(text: str) -> int:
    """Columns a text takes on a terminal: wide East Asian characters and emoji take two, marks and joiners none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _wrap(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` columns, between words where that can be; `width` is at least 2."""
    lines = []
    for paragraph in text.split("\n"):
        if _width(paragraph) <= width:
            lines.append(paragraph)
            continue
        line, *words = paragraph.split(" ")
        *whole, line = _broken(line, width)
        lines += whole
        for word in words:
            if _width(line) + 1 + _width(word) <= width:
                line += f" {word}"
            else:
                *whole, last = _broken(word, width)
                lines += [line, *whole]
                line = last
        lines.append(line)
    return lines


def _broken(word: str, width: int) -> list[str]:
    """Cut what is too long for a line into lines; an empty text stays one."""
    pieces = [""]
    for character in word:
        if _width(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """A table of words, ready to be shown: a title, a header, rows and notes.

    Parameters
    ----------
    header : sequence of str
        Column titles; all blank for a table that needs none.
    rows : sequence of sequence of str
        Cells, each row as long as `header`.
    title : str, optional
        Stands above the table.
    notes : sequence of str, optional
        Stand below it, each on a line of its own.

    Examples
    --------
    >>> print(TextTable(title="Fruit", header=("name", "n"), rows=[("apple", "3"), ("fig", "12")]).to_text())
    Fruit
    <BLANKLINE>
    name    n
    apple   3
    fig    12
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    notes: Sequence[str] = ()

    def right_aligned(self) -> list[bool]:
        """Tell which columns stand to the right: those whose every cell is a number, an interval or empty.

        Returns
        -------
        list of bool
            One for each column.
        """

        def numeric(cell: str) -> bool:
            return not cell or cell == MISSING or cell.lstrip("<>-+").replace(",", "")[:1].isdigit()

        return [
            any(row[i] for row in self.rows) and all(numeric(row[i]) for row in self.rows)
            for i in range(len(self.header))
        ]

    def widths(self, limit: int = WIDEST) -> list[int]:
        """Share out the width among the columns; numbers get what they need and texts what is left.

        Parameters
        ----------
        limit : int, default 160
            Columns of text that the table may take. It takes more where its numbers alone need more, or where less
            than 16 would be left to a text.

        Returns
        -------
        list of int
            One for each column.

        Examples
        --------
        >>> table = TextTable(header=("claim", "k"), rows=[("peer support helps", "3"), ("it does not", "12")])
        >>> table.widths(), table.widths(19)
        ([18, 2], [16, 2])
        """
        rows = [self.header, *self.rows]
        needed = [
            max(_width(line) for row in rows for line in _printable(row[i]).split("\n"))
            for i in range(len(self.header))
        ]
        numeric = self.right_aligned()
        texts = sorted(width for width, number in zip(needed, numeric, strict=True) if not number)
        room = limit - GAP * (len(needed) - 1) - (sum(needed) - sum(texts))
        most = max(needed, default=0)
        for place, width in enumerate(texts):
            share = room // (len(texts) - place)
            if width > share:
                most = max(share, NARROWEST)
                break
            room -= width
        return [width if number else min(width, most) for width, number in zip(needed, numeric, strict=True)]

    def to_text(self, limit: int = WIDEST) -> str:
        """Plain text in columns, for a terminal, a log or an e-mail.

        Parameters
        ----------
        limit : int, default 160
            Columns of text that the table may take, as `widths` has it; texts that need more are broken between
            words. The title and the notes are not.

        Returns
        -------
        str
            No trailing blanks and no final line break.
        """
        lines = [_printable(self.title), ""] if self.title else []
        if self.rows:
            shown = [self.header, *self.rows] if any(self.header) else self.rows
            widths = self.widths(limit)
            right = self.right_aligned()
            for row in shown:
                cells = [_wrap(_printable(cell), width) for cell, width in zip(row, widths, strict=True)]
                for i in range(max(map(len, cells))):
                    parts = [cell[i] if i < len(cell) else "" for cell in cells]
                    padded = [
                        (" " * (w - _width(c)) + c) if r else (c + " " * (w - _width(c)))
                        for c, w, r in zip(parts, widths, right, strict=True)
                    ]
                    lines.append((" " * GAP).join(padded).rstrip())
        if self.notes:
            notes = [_printable(note) for note in self.notes]
            lines += ["", *notes] if lines else notes
        return "\n".join(lines)

    def to_html(self) -> str:
        """An HTML table; every cell is escaped.

        Returns
        -------
        str
            A ``<table>`` with its title as caption, and the notes in paragraphs after it.
        """
        right = self.right_aligned()

        def line(cells: Sequence[str], tag: str) -> str:
            style = [' style="text-align:right"' if r else ' style="text-align:left"' for r in right]
            return "".join(f"<{tag}{s}>{escape(c)}</{tag}>" for c, s in zip(cells, style, strict=True))

        parts = ["<table>"]
        if self.title:
            parts.append(f'<caption style="text-align:left">{escape(self.title)}</caption>')
        if any(self.header):
            parts.append(f"<thead><tr>{line(self.header, 'th')}</tr></thead>")
        parts.append("<tbody>" + "".join(f"<tr>{line(row, 'td')}</tr>" for row in self.rows) + "</tbody></table>")
        parts += [f"<p>{escape(note)}</p>" for note in self.notes]
        return "\n".join(parts)


class Printable:
    """Gives a result its text and HTML from one description of itself, `text_tables`."""

    __slots__ = ()

    def text_tables(self) -> Sequence[TextTable]:
        """What the result says of itself, as tables of words.

        Returns
        -------
        sequence of TextTable
            In the order they are read.

        Raises
        ------
        NotImplementedError
            If the class does not describe itself.
        """
        raise NotImplementedError

    def summary(self) -> str:
        """The result in plain text; the same text on every run and machine.

        Returns
        -------
        str
            What `print` shows.
        """
        return "\n\n".join(table.to_text() for table in self.text_tables())

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return "\n".join(table.to_html() for table in self.text_tables())
