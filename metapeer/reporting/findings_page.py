"""The summary as a page of its own: tables that read aloud, fold on a narrow screen and print on paper."""

import unicodedata
from collections.abc import Sequence
from html import escape

from metapeer.reporting.findings_results import CERTAINTIES, SummaryOfFindings
from metapeer.reporting.findings_table import Cell, tables_of

__all__ = ["body_of", "clean", "page_of"]

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 84rem; color: #1a1a1a; background: #fff; overflow-wrap: anywhere;
  font: 0.94rem/1.45 system-ui, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 0.75rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
dl.about { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.15rem 1rem; margin: 0 0 1rem; }
dt { font-weight: 600; }
dd { margin: 0; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
.findings col:nth-child(1) { width: 13%; }
.findings col:nth-child(2) { width: 10%; }
.findings col:nth-child(3) { width: 11%; }
.findings col:nth-child(4) { width: 37%; }
.findings col:nth-child(5) { width: 11%; }
.findings col:nth-child(6) { width: 18%; }
caption { text-align: left; font-weight: 600; padding: 0.4rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.5rem 0.4rem; border-bottom: 1px solid #c9ced4; }
thead th { border-bottom: 2px solid #33414e; background: #eef2f5; }
tbody th { font-weight: 600; }
.line { margin: 0 0 0.4rem; }
.line:last-child { margin-bottom: 0; }
.small { color: #4a5560; font-size: 0.88em; }
.grade { font-family: "DejaVu Sans", "Segoe UI Symbol", "Noto Sans Symbols2", "Noto Sans Math", sans-serif;
  white-space: nowrap; }
sup a, a { color: #0b4f8a; }
sup { line-height: 0; }
ol.notes { padding-left: 1.5rem; }
ol.notes li:target { background: #fff4c2; }
@media screen and (max-width: 68rem) {
  body { padding: 1rem; }
  table, thead, tbody, tr, th, td, caption { display: block; }
  colgroup { display: none; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody tr { border: 1px solid #c9ced4; border-radius: 0.3rem; margin: 0 0 1rem; }
  tbody th { background: #eef2f5; font-size: 1.05em; }
  td { border-bottom: 1px solid #e3e7ea; }
  td:last-child { border-bottom: 0; }
  td::before { content: attr(data-label); display: block; font-weight: 600; color: #4a5560; font-size: 0.85em; }
  dl.about { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dl.about dd { margin-bottom: 0.4rem; }
}
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  body { padding: 0; max-width: none; font-size: 8.5pt; }
  tr { break-inside: avoid; }
  a { color: inherit; text-decoration: none; }
  h2 { break-after: avoid; }
}
""".strip()


def clean(text: str) -> str:
    r"""Take out what no document may hold: control characters, and halves of characters.

    Parameters
    ----------
    text : str
        Anything.

    Returns
    -------
    str
        On one line.

    Examples
    --------
    >>> clean("a\x07b\nc")
    'a b c'
    """
    return "".join(
        " " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in "\ufffe\uffff" else c for c in text
    )


def _text(text: str) -> str:
    return escape(clean(text))


def _lines(cell: Cell) -> str:
    symbols = {f"{marks} {word}": (marks, word) for marks, word in CERTAINTIES.values()}
    parts = []
    for place, line in enumerate(cell):
        beside = cell[0] in ("Not rated", "Not judged") or "not counted" in line
        small = " small" if place and beside else ""
        marks, word = symbols.get(line, ("", ""))
        shown = f'<span class="grade" aria-hidden="true">{marks}</span> {word}' if marks else _text(line)
        parts.append(f'<div class="line{small}">{shown}</div>')
    return "".join(parts)


def _table(
    kind: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], marks: Sequence[Sequence[int]]
) -> str:
    # Roles are given in full: where styles fold the table, browsers no longer tell that it is one.
    parts = [f'<table class="{kind}" role="table">', f"<caption>{_text(caption)}</caption>"]
    parts.append(f"<colgroup>{'<col>' * len(header)}</colgroup>")
    heads = "".join(f'<th scope="col" role="columnheader">{_text(name)}</th>' for name in header)
    parts.append(f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>')
    parts.append('<tbody role="rowgroup">')
    for cells, numbers in zip(rows, marks, strict=True):
        links = " ".join(
            f'<sup><a href="#note-{number}" aria-label="footnote {number}">{number}</a></sup>' for number in numbers
        )
        row = [f'<th scope="row" role="rowheader">{_text(cells[0][0])}{" " * bool(links)}{links}</th>']
        for name, cell in zip(header[1:], cells[1:], strict=True):
            row.append(f'<td role="cell" data-label="{_text(name)}">{_lines(cell)}</td>')
        parts.append(f'<tr role="row">{"".join(row)}</tr>')
    parts.append("</tbody></table>")
    return "\n".join(parts)


def body_of(summary: SummaryOfFindings) -> str:
    """Write what stands on the page, for a notebook or a page of another's.

    Parameters
    ----------
    summary : SummaryOfFindings
        What was found.

    Returns
    -------
    str
        HTML without a style.
    """
    tables = tables_of(summary)
    about = "".join(f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in summary.about)
    notes = "".join(
        f'<li id="note-{number}">{_text(text)}</li>' for number, text in enumerate(tables.footnotes, start=1)
    )
    rules = "".join(
        f'<dt>{_text(domain)}</dt><dd>{_text(rule)}<div class="line small">{_text(source)}</div></dd>'
        for domain, rule, source in tables.rules
    )
    none: list[tuple[int, ...]] = [()] * len(tables.ratings)
    return "\n".join(
        [
            f"<h1>{_text(summary.title)}</h1>",
            f'<dl class="about">{about}</dl>',
            _table("findings", "Findings by outcome", tables.header, tables.rows, tables.marks),
            *(["<h2>Footnotes</h2>", f'<ol class="notes">{notes}</ol>'] if notes else []),
            "<h2>How to read this table</h2>",
            *(f"<p>{_text(note)}</p>" for note in tables.notes),
            "<h2>Certainty, domain by domain</h2>",
            _table("ratings", "Who rated what, and why", tables.rating_header, tables.ratings, none),
            "<h2>Rules</h2>",
            f'<dl class="rules">{rules}</dl>',
        ]
    )


def page_of(summary: SummaryOfFindings) -> str:
    """Write a summary as a page.

    Parameters
    ----------
    summary : SummaryOfFindings
        What was found.

    Returns
    -------
    str
        HTML with its style inside, and neither scripts nor links to elsewhere.
    """
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(summary.title)}</title>",
            f"<style>\n{STYLE}\n</style>",
            "</head>",
            "<body>",
            "<main>",
            body_of(summary),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )
