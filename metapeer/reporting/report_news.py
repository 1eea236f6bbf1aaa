"""What a release wrote into ``WHATS_NEW.md``, read back as blocks: headings, lists, tables and paragraphs."""

import re

from metapeer.formatting import TextTable
from metapeer.reporting.report_blocks import Block, Points, Sheet, Words

__all__ = ["news_blocks"]

CELL = re.compile(r"(?<!\\)\|")
MARKS = re.compile(r"\*\*(.+?)\*\*|`([^`]*)`")
ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~&])")


def news_blocks(text: str) -> list[Block]:
    r"""Read a file of news, the latest version first.

    Parameters
    ----------
    text : str
        Markdown, as `metapeer.living.releasing.release` writes it. What is not known of Markdown stays as it is typed.

    Returns
    -------
    list of Block
        In their order; the first heading is left out.

    Examples
    --------
    >>> [block.text for block in news_blocks("# News\n\n## 26.0.0\n\nAll *is* new.")]
    ['26.0.0', 'All *is* new.']
    """
    blocks: list[Block] = []
    points: list[str] = []
    table: list[list[str]] = []

    def close() -> None:
        if points:
            blocks.append(Points(items=tuple(points)))
            points.clear()
        if table:
            header, *rows = table
            width = len(header)
            even = [(row + [""] * width)[:width] for row in rows]
            blocks.append(Sheet(table=TextTable(header=header, rows=even), folded=len(even) > 12))
            table.clear()

    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("|") and stripped.endswith("|") and len(stripped) > 1:
            cells = [_plain(cell.strip()) for cell in CELL.split(stripped[1:-1])]
            if not all(set(cell) <= set("-: ") and cell for cell in cells):
                if points:
                    close()
                table.append(cells)
            continue
        if stripped.startswith("- "):
            if table:
                close()
            points.append(_plain(stripped[2:]))
            continue
        close()
        if stripped.startswith("## "):
            blocks.append(Words(text=_plain(stripped[3:]), tone="heading"))
        elif stripped and not stripped.startswith("# "):
            blocks.append(Words(text=_plain(stripped)))
    close()
    return blocks


def _plain(text: str) -> str:
    return ESCAPED.sub(r"\1", MARKS.sub(lambda found: found[1] or found[2] or "", text))
