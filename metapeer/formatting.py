"""Numbers to words: the one place that decides how an estimate, an interval or a p value reads.

A result describes itself as `TextTable` s; `Printable` turns those into plain text, HTML and Markdown, so that the
console, a notebook and a report can never disagree.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

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
MARKDOWN = 72  # columns of a row beyond which Pandoc fits a pipe table to the page

# What Markdown may take for mark-up: within a line, in any of CommonMark, GitHub's and Pandoc's dialects (citations,
# formulas, spans, en dashes, ellipses, emoji, entities); and what begins a list, a heading or a caption.
MARKS = re.compile(r"[\\`*_\[\]{}<>|~^$@#]|-(?=-)|\.(?=\.\.)|:(?=[\w+-]+:)|&(?=#?\w+;)")
BEGINNINGS = re.compile(r"^(?:(?=[-+=:%])|\(?(?:\d+|[A-Za-z]|[IVXLCDMivxlcdm]+)(?=[.)](?:\s|$))|[Tt]able(?=:))")

# Notebooks have style sheets of their own, light and dark: the rules below take their colours and reach no other table.
# The alignment of a column stands in its cells as well, since GitHub and text processors drop style sheets.
STYLE = """<style>
.metapeer {overflow-x: auto; margin: 0.5em 0; font-size: 0.93em; line-height: 1.4}
.metapeer table {border-collapse: collapse; border: 0; margin: 0 0 0.5em; width: auto; table-layout: auto;
  font-size: inherit; color: inherit; font-variant-numeric: tabular-nums}
.metapeer table ~ table {margin-top: 1.2em}
.metapeer caption {caption-side: top; padding: 0 0 0.4em; font-size: inherit; color: inherit}
.metapeer table th, .metapeer table td {padding: 0.25em 0.8em 0.25em 0.4em; vertical-align: top; max-width: 32em;
  border: 0 solid rgba(128, 128, 128, 0.35); border-top-width: 1px; overflow-wrap: break-word}
.metapeer table tbody th {font-weight: normal}
.metapeer table thead th, .metapeer table thead td {vertical-align: bottom; border-color: rgba(128, 128, 128, 0.9)}
.metapeer table tr:first-child > * {border-color: rgba(128, 128, 128, 0.9)}
.metapeer table tbody tr:last-child > * {border-bottom: 1px solid rgba(128, 128, 128, 0.9)}
.metapeer table tr > :only-child {max-width: 60em}
.metapeer table tr > [style*="right"] {white-space: nowrap}
.metapeer p, .metapeer ul {margin: 0.2em 0 0.2em 0.4em; max-width: 60em}
@media print {.metapeer {overflow: visible} .metapeer tr {break-inside: avoid}}
</style>"""


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


def _padded(text: str, width: int, right: bool) -> str:
    """Fill a text up to a width with blanks, before it or behind it."""
    blanks = " " * (width - _width(text))
    return blanks + text if right else text + blanks


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
                    padded = [_padded(c, w, r) for c, w, r in zip(parts, widths, right, strict=True)]
                    lines.append((" " * GAP).join(padded).rstrip())
        if self.notes:
            notes = [_printable(note) for note in self.notes]
            lines += ["", *notes] if lines else notes
        return "\n".join(lines)

    def to_html(self) -> str:
        """An HTML table without a style sheet; no letter of a text is taken for HTML or for a formula.

        Returns
        -------
        str
            A ``<table>`` with its title as caption and, where they are texts, the cells of the first column as headers
            of the rows. The notes follow; those that are indented are a list. Without rows there is no table.

        Examples
        --------
        >>> print(TextTable(header=("p", ""), rows=[("<0.001", "t & z")]).to_html())
        <table>
        <thead>
        <tr><th scope="col" style="text-align:right">p</th><td style="text-align:left"></td></tr>
        </thead>
        <tbody>
        <tr><td style="text-align:right">&lt;0.001</td><td style="text-align:left">t &amp; z</td></tr>
        </tbody>
        </table>
        """
        parts = []
        first, *others = [_html(line) for line in self._title_lines()] or [""]
        title = "<br>".join([f"<strong>{first}</strong>", *others]) if first else ""
        if self.rows:
            right = self.right_aligned()
            styles = ["text-align:right" if r else "text-align:left" for r in right]

            def line(cells: Sequence[str], scopes: Sequence[str]) -> str:
                made = [
                    # A cell that is empty is nobody's header.
                    f'<th scope="{scope}" style="{style}">{_html(cell)}</th>'
                    if scope and cell.strip()
                    else f'<td style="{style}">{_html(cell)}</td>'
                    for cell, scope, style in zip(cells, scopes, styles, strict=True)
                ]
                return f"<tr>{''.join(made)}</tr>"

            parts.append("<table>")
            if title:
                parts.append(f'<caption style="text-align:left">{title}</caption>')
            if any(self.header):
                parts += ["<thead>", line(self.header, ["col"] * len(right)), "</thead>"]
            named = len(right) > 1 and not right[0]
            scopes = ["row" if named else "", *[""] * (len(right) - 1)]
            parts += ["<tbody>", *(line(row, scopes) for row in self.rows), "</tbody>", "</table>"]
        elif title:
            parts.append(f"<p>{title}</p>")
        for indented, notes in groupby(self.notes, key=lambda note: note.startswith(" ")):
            if indented:
                parts += ["<ul>", *(f"<li>{_html(note.strip())}</li>" for note in notes), "</ul>"]
            else:
                parts += [f"<p>{_html(note)}</p>" for note in notes]
        return "\n".join(parts)

    def to_markdown(self, limit: int = MARKDOWN) -> str:
        r"""A pipe table that Pandoc, Quarto and GitHub read; no letter of a text is taken for mark-up.

        Parameters
        ----------
        limit : int, default 72
            Columns that the dashes below the header share. Where a row is longer than 72, Pandoc gives each column of
            the page its part of them.

        Returns
        -------
        str
            The title in bold, the table, and the notes; those that are indented are a list. A table of one column
            without a header is paragraphs. No final line break.

        Examples
        --------
        >>> print(TextTable(title="Fruit", header=("name", "n"), rows=[("a|b", "3"), ("fig_2", "12")]).to_markdown())
        **Fruit**
        <BLANKLINE>
        | name  |   n |
        |:------|----:|
        | a\|b  |   3 |
        | fig\_2 |  12 |
        """
        blocks = []
        first, *others = self._title_lines() or [""]
        if first:
            blocks.append("\\\n".join([f"**{_markdown(first)}**", *(_paragraph(line) for line in others)]))
        if self.rows and len(self.header) == 1 and not any(self.header):
            blocks += [_paragraph(row[0]) for row in self.rows]
        elif self.rows:
            widths = [max(3, width) for width in self.widths(limit)]
            right = self.right_aligned()
            lines = [
                [_padded(_markdown(cell), w, r) for cell, w, r in zip(row, widths, right, strict=True)]
                for row in (self.header, *self.rows)
            ]
            head, *body = [f"| {' | '.join(cells)} |" for cells in lines]
            dashes = ["-" * (w + 1) + ":" if r else ":" + "-" * (w + 1) for w, r in zip(widths, right, strict=True)]
            blocks.append("\n".join([head, f"|{'|'.join(dashes)}|", *body]))
        for indented, notes in groupby(self.notes, key=lambda note: note.startswith(" ")):
            if indented:
                blocks.append("\n".join(f"- {_paragraph(note.strip())}" for note in notes))
            else:
                blocks += [_paragraph(note) for note in notes]
        return "\n\n".join(blocks)

    def _title_lines(self) -> list[str]:
        """Lines of the title in which something can be seen, without the blanks around them."""
        return [line.strip() for line in _printable(self.title).split("\n") if line.strip()]


def _html(text: str) -> str:
    """Escape a text for HTML; its line breaks and the blanks that indent it stay."""
    # MathJax, which notebooks run over every output, takes "$" and "\(" for the beginning of a formula and passes over
    # classes that ask it not to; it never looks for the end of a formula beyond a tag.
    plain = escape(_printable(text)).replace("$", "<span>$</span>").replace("\\", "<span>\\</span>")
    return "<br>".join(_indented(line, "\N{NO-BREAK SPACE}") for line in plain.split("\n"))


def _markdown(text: str) -> str:
    """Escape a text for Markdown, on one line; what is read as mark-up only in front of a paragraph stays."""
    return _indented(MARKS.sub(r"\\\g<0>", _printable(text).replace("\n", " ")), "&nbsp;").rstrip()


def _paragraph(text: str) -> str:
    """Escape a text for Markdown where it may begin a paragraph."""
    return BEGINNINGS.sub(r"\g<0>\\", _markdown(text))


def _indented(text: str, blank: str) -> str:
    """Write the blanks that a text begins with as another sign, which is not passed over."""
    rest = text.lstrip(" ")
    return blank * (len(text) - len(rest)) + rest


class Printable:
    """Gives a result its text, HTML and Markdown from one description of itself, `text_tables`."""

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

    def to_markdown(self) -> str:
        """The result in Markdown, for a document of Quarto, Pandoc or GitHub.

        Returns
        -------
        str
            The title of each table in bold, a pipe table, and its notes.
        """
        return "\n\n".join(table.to_markdown() for table in self.text_tables())

    def _repr_html_(self) -> str:
        tables = "\n".join(table.to_html() for table in self.text_tables())
        return f'<div class="metapeer">\n{STYLE}\n{tables}\n</div>'

    def _repr_markdown_(self) -> str:
        # Quarto takes this for PDF and Word. A result may have a `to_markdown` of its own that writes a whole report.
        return Printable.to_markdown(self)
