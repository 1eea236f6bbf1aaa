"""The summary as Markdown and as a document for Word, and how files are written."""

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metapeer.errors import MetapeerError
from metapeer.reporting.findings_page import clean
from metapeer.reporting.findings_results import SummaryOfFindings
from metapeer.reporting.findings_table import Cell, tables_of

if TYPE_CHECKING:
    from docx.document import Document

__all__ = ["markdown_of", "write_docx", "write_text"]

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip file knows: the same findings give the same bytes


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8, with line feeds on every system.

    Parameters
    ----------
    path : str or Path
        The file.
    text : str
        What it will hold.

    Raises
    ------
    MetapeerError
        If it cannot be written.
    """
    _write_bytes(path, text.encode("utf-8", "replace"))


def _write_bytes(path: str | Path, content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise MetapeerError(f"{path} cannot be written: {error.strerror or error}") from None


def _escaped(text: str) -> str:
    """Take their meaning from the characters that Markdown, mathematics in it, and HTML read."""
    return re.sub(r"([\\`*_{}\[\]<>|$#~^])", r"\\\1", clean(text)).replace("&", "&amp;")


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(map(_escaped, header))} |", f"|{'---|' * len(header)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _joined(cell: Cell) -> str:
    return "<br>".join(map(_escaped, cell))


def markdown_of(summary: SummaryOfFindings) -> str:
    """Write a summary in Markdown.

    Parameters
    ----------
    summary : SummaryOfFindings
        What was found.

    Returns
    -------
    str
        Ends with a line break.
    """
    tables = tables_of(summary)
    findings = []
    for cells, marks in zip(tables.rows, tables.marks, strict=True):
        numbers = f" <sup>{', '.join(map(str, marks))}</sup>" if marks else ""
        findings.append([f"{_joined(cells[0])}{numbers}", *map(_joined, cells[1:])])
    lines = [f"# {_escaped(summary.title)}", ""]
    for name, text in summary.about:
        lines += [f"**{_escaped(name)}:** {_escaped(text)}  "]
    lines += ["", *_markdown_table(tables.header, findings), ""]
    if tables.footnotes:
        lines += [f"{number}. {_escaped(text)}" for number, text in enumerate(tables.footnotes, start=1)]
        lines.append("")
    for note in tables.notes:
        lines += [_escaped(note), ""]
    lines += ["## Certainty, domain by domain", ""]
    lines += _markdown_table(tables.rating_header, [[*map(_joined, cells)] for cells in tables.ratings])
    lines += ["", "## Rules", ""]
    lines += [f"- **{_escaped(domain)}:** {_escaped(rule)} {_escaped(source)}" for domain, rule, source in tables.rules]
    return "\n".join([*lines, ""])


def write_docx(summary: SummaryOfFindings, path: str | Path) -> None:
    """Write a summary as a document for Word, on landscape pages.

    Parameters
    ----------
    summary : SummaryOfFindings
        What was found.
    path : str or Path
        The file.

    Raises
    ------
    MetapeerError
        If python-docx is not installed, or the file cannot be written.
    """
    try:
        import docx
        from docx.enum.section import WD_ORIENT
        from docx.shared import Mm, Pt
    except ImportError:
        raise MetapeerError(
            "a document for Word needs the package python-docx: pip install python-docx; or use to_html, which Word "
            "opens too"
        ) from None

    tables = tables_of(summary)
    document = docx.Document()
    section = document.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = Mm(297), Mm(210)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Mm(15)
    document.styles["Normal"].font.size = Pt(9)
    document.core_properties.title = clean(summary.title)[:255]
    document.core_properties.author = ""
    document.core_properties.comments = ""
    document.add_heading(clean(summary.title), level=1)
    for name, text in summary.about:
        paragraph = document.add_paragraph()
        paragraph.add_run(f"{clean(name)}: ").bold = True
        paragraph.add_run(clean(text))
    _word_table(document, tables.header, tables.rows, tables.marks, widths=(30, 24, 32, 95, 32, 54))
    for number, footnote in enumerate(tables.footnotes, start=1):
        paragraph = document.add_paragraph()
        paragraph.add_run(str(number)).font.superscript = True
        paragraph.add_run(f" {clean(footnote)}")
    for note in tables.notes:
        document.add_paragraph(clean(note))
    document.add_heading("Certainty, domain by domain", level=2)
    none: list[tuple[int, ...]] = [()] * len(tables.ratings)
    _word_table(document, tables.rating_header, tables.ratings, none, widths=(30, 42, 42, 35, 45, 42, 31))
    document.add_heading("Rules", level=2)
    for domain, rule, source in tables.rules:
        paragraph = document.add_paragraph()
        paragraph.add_run(f"{domain}: ").bold = True
        paragraph.add_run(f"{clean(rule)} {clean(source)}")
    written = io.BytesIO()
    document.save(written)
    _write_bytes(path, _timeless(written))


def _word_table(
    document: "Document",
    header: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    marks: Sequence[Sequence[int]],
    *,
    widths: Sequence[int],
) -> None:
    from docx.oxml import OxmlElement
    from docx.shared import Mm

    table: Any = document.add_table(rows=1, cols=len(header), style="Table Grid")
    table.autofit = False
    for cell, name in zip(table.rows[0].cells, header, strict=True):
        cell.paragraphs[0].add_run(clean(name)).bold = True
    # The header stands again at the top of each page, and rows are not parted between pages.
    for cells, numbers in zip(rows, marks, strict=True):
        places = table.add_row().cells
        for column, (place, cell) in enumerate(zip(places, cells, strict=True)):
            for row, line in enumerate(cell):
                paragraph = place.paragraphs[0] if row == 0 else place.add_paragraph()
                paragraph.add_run(clean(line)).bold = column == 0
            if column == 0 and numbers:
                place.paragraphs[0].add_run(", ".join(map(str, numbers))).font.superscript = True
    for row, line in enumerate(table.rows):
        properties = line._tr.get_or_add_trPr()  # noqa: SLF001  python-docx has no other way
        properties.append(OxmlElement("w:cantSplit"))
        if row == 0:
            properties.append(OxmlElement("w:tblHeader"))
        for place, width in zip(line.cells, widths, strict=True):
            place.width = Mm(width)


def _timeless(written: io.BytesIO) -> bytes:
    """Pack the parts of a document anew without the time of day."""
    again = io.BytesIO()
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            part = zipfile.ZipInfo(name, date_time=EPOCH)
            part.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(part, source.read(name))
    return again.getvalue()
