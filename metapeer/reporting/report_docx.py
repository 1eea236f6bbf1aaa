"""A report as a Word document: headings, tables and forest plots of the first variant."""

import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from metapeer.errors import MetapeerError
from metapeer.formatting import TextTable
from metapeer.reporting.page_html import plain_text
from metapeer.reporting.report_blocks import Forest, Points, Section, Sheet, Source

if TYPE_CHECKING:
    from metapeer.pooling.results import MetaAnalysisResult
    from metapeer.reporting.report_result import Report

__all__ = ["report_docx"]

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first day that a ZIP archive knows: the same report is the same bytes on any day."""
WIDEST = 16.5
"""Centimetres between the margins of a page."""
MOST_DRAWN = 60
"""Studies of a forest plot that still fits on a page of a document; larger ones have their table only."""


def report_docx(report: "Report") -> bytes:
    """Write a report as a Word document.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    bytes
        The file; the same for the same report.

    Raises
    ------
    MetapeerError
        If python-docx is not installed.
    """
    try:
        import docx
    except ImportError:
        raise MetapeerError("a Word document needs python-docx: pip install 'metapeer[docx]'") from None
    document = docx.Document()
    properties = document.core_properties
    properties.title = _text(report.title)[:255]
    properties.author = "metapeer"
    properties.created = properties.modified = datetime(*EPOCH, tzinfo=UTC)
    properties.comments = ""
    part = document.sections[0]
    part.left_margin = part.right_margin = docx.shared.Cm(2.2)
    document.add_heading(_text(report.title), level=0)
    for line in report.about:
        document.add_paragraph(_text(line))
    document.add_paragraph(_text(f"Shown: {report.method_choices[0].words}; suspicious rows as printed."))
    for section in report.sections:
        _section(document, section, 1)
    return _timeless(document)


def _text(text: str) -> str:
    """Words that XML can hold."""
    return "".join(letter for letter in plain_text(text) if letter not in "\ufffe\uffff")


def _section(document: Any, section: Section, level: int) -> None:
    from metapeer.reporting.report_result import plain_blocks

    document.add_heading(_text(section.title), level=level)
    for block in plain_blocks(section.blocks):
        if isinstance(block, Points):
            for item in block.items:
                document.add_paragraph(_text(item), style="List Bullet")
        elif isinstance(block, Sheet):
            _table(document, block.table, block.sources)
        elif isinstance(block, Forest):
            _figure(document, block.pooled.fit)
        elif block.tone == "heading":
            document.add_heading(_text(block.text), level=level + 1)
        else:
            document.add_paragraph(_text(block.text))
    for part in section.parts:
        _section(document, part, level + 1)


def _table(document: Any, table: TextTable, sources: Sequence[Source]) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    if table.title:
        title = document.add_paragraph()
        title.add_run(_text(table.title)).bold = True
        title.paragraph_format.keep_with_next = True
    sourced = any(source.words() for source in sources)
    header = [*table.header, *(["source"] if sourced else [])]
    named = any(header)
    rows = [[*row, *([sources[place].words()] if sourced else [])] for place, row in enumerate(table.rows)]
    grid = document.add_table(rows=0, cols=len(header))
    grid.style = "Table Grid"
    right = [*table.right_aligned(), False]
    size = Pt(8 if len(header) <= 6 else 6.5)
    for place, row in enumerate([header, *rows] if named else rows):
        cells = grid.add_row().cells
        for column, words in enumerate(row):
            paragraph = cells[column].paragraphs[0]
            run = paragraph.add_run(_text(words))
            run.font.size = size
            run.bold = named and place == 0
            if right[column]:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    for note in table.notes:
        document.add_paragraph(_text(note)).runs[0].font.size = Pt(8)


def _figure(document: Any, fit: "MetaAnalysisResult") -> None:
    if not 2 <= fit.k <= MOST_DRAWN:
        return
    import matplotlib as mpl
    from docx.shared import Cm

    figure = fit.plot()
    content = io.BytesIO()
    with mpl.rc_context({"savefig.bbox": "standard"}):
        figure.savefig(content, format="png", dpi=150, metadata={"Software": None})
    width, height = figure.get_size_inches()
    figure.clear()
    document.add_picture(content, width=Cm(min(WIDEST, 22.0 * width / height, 2.54 * width)))


def _timeless(document: Any) -> bytes:
    """Save a document without the time of day."""
    written = io.BytesIO()
    document.save(written)
    result = io.BytesIO()
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(zipfile.ZipInfo(entry.filename, EPOCH), old.read(entry), zipfile.ZIP_DEFLATED)
    return result.getvalue()
