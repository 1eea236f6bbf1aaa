"""A report as Markdown: tables and words of the first variant, with everything that was typed kept as text."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from metapeer.formatting import TextTable
from metapeer.reporting.page_html import first_link, plain_text
from metapeer.reporting.report_blocks import Forest, Points, Section, Sheet, Source

if TYPE_CHECKING:
    from metapeer.reporting.report_result import Report

__all__ = ["report_markdown"]

MARKS = re.compile(r"([\\`*_{}\[\]<>|~$&])")
BEGINS = re.compile(r"^(\s*)([-+#>=]|\d+[.)])")


def report_markdown(report: "Report") -> str:
    """Write a report as Markdown.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    str
        CommonMark with tables.
    """
    lines = [f"# {_text(report.title)}", ""]
    for line in report.about:
        lines += [_line(line), ""]
    lines += [_line(f"Shown: {report.method_choices[0].words}; suspicious rows as printed."), ""]
    for section in report.sections:
        lines += _section(section, 2)
    return "\n".join(lines).rstrip() + "\n"


def _text(text: str) -> str:
    """Words without anything that Markdown or HTML would take for more, on one line."""
    return MARKS.sub(r"\\\1", " ".join(plain_text(text).split()))


def _line(text: str) -> str:
    return BEGINS.sub(r"\1\\\2" if not text[:1].isdigit() else r"\1\2", _text(text))


def _section(section: Section, level: int) -> Iterator[str]:
    from metapeer.reporting.report_result import plain_blocks

    yield from (f"{'#' * level} {_text(section.title)}", "")
    for block in plain_blocks(section.blocks):
        if isinstance(block, Points):
            yield from (f"- {_line(item)}" for item in block.items)
            yield ""
        elif isinstance(block, Sheet):
            yield from _table(block.table, block.sources)
        elif not isinstance(block, Forest):
            yield from (
                f"{'#' * (level + 1)} {_text(block.text)}" if block.tone == "heading" else _line(block.text),
                "",
            )
    for part in section.parts:
        yield from _section(part, level + 1)


def _table(table: TextTable, sources: tuple[Source, ...]) -> Iterator[str]:
    if table.title:
        yield from (f"**{_text(table.title)}**", "")
    sourced = any(source.words() for source in sources)
    header = [_text(name) for name in table.header] + (["source"] if sourced else [])
    right = [*table.right_aligned(), False][: len(header)]
    yield f"| {' | '.join(name or ' ' for name in header)} |"
    yield f"|{'|'.join('---:' if one else '---' for one in right)}|"
    for place, row in enumerate(table.rows):
        cells = [_text(cell) for cell in row]
        if sourced:
            cells.append(_source(sources[place]))
        yield f"| {' | '.join(cell or ' ' for cell in cells)} |"
    yield ""
    for note in table.notes:
        yield from (_line(note), "")


def _source(source: Source) -> str:
    address = first_link(source.url) or first_link(source.text)
    if address and not set(address) & set("()<>[]\\"):
        return f"[{_text(source.text or source.url)}](<{address}>)"
    return _text(source.words())
