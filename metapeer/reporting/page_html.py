"""A report as one HTML page: nothing is fetched or recomputed, and nothing that was typed is taken for code."""

import hashlib
import re
import unicodedata
from base64 import b64encode
from functools import cache
from importlib.metadata import version as package_version
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from metapeer.formatting import TextTable
from metapeer.reporting.page_forest import draw_forest, draw_funnel, draw_overview
from metapeer.reporting.report_blocks import (
    Block,
    Choice,
    Forest,
    Funnel,
    Overview,
    Points,
    Section,
    Sheet,
    Source,
    Words,
)

__all__ = ["first_link", "page_html", "plain_text"]

TEMPLATES = ("page.html", "plots.html", "page.css", "page.js")
LINK = re.compile(r"https?://[^\s<>\"'`{}|\\^\x00-\x20]+", re.IGNORECASE)
LONG, LONGER = 36, 110
"""Characters from which on a column of words needs room."""
TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows, of numbers too; words from right to left do not need them."""
DOI = re.compile(r"\b10\.\d{4,9}/[^\s<>\"'`{}|\\^]+")


def plain_text(text: object) -> str:
    r"""Take from a text what HTML cannot hold, and what would turn the numbers beside it; line ends stay.

    Parameters
    ----------
    text : object
        Words of whatever origin.

    Returns
    -------
    str
        Without control characters, halves of surrogate pairs and marks that change the direction of what follows.

    Examples
    --------
    >>> plain_text("a\x00b" + chr(0xD800))
    'a b�'
    """
    found = str(text)
    if found.isascii() and found.isprintable():
        return found
    return "".join(
        "\ufffd" if category == "Cs" else " " if category == "Cc" and letter not in "\n\t" else letter
        for letter, category in ((letter, unicodedata.category(letter)) for letter in found)
        if letter not in TURNS
    )


def first_link(text: str) -> str:
    """Find the first address in a text that may be a link: http or https, nothing else.

    Parameters
    ----------
    text : str
        A source's address as it was recorded, perhaps with words around it; or a DOI.

    Returns
    -------
    str
        Empty where there is none.

    Examples
    --------
    >>> first_link("https://example.org/a (Table 3)"), first_link("doi 10.1000/xyz."), first_link("javascript:alert(1)")
    ('https://example.org/a', 'https://doi.org/10.1000/xyz', '')
    """
    found = LINK.search(text)
    if found:
        return found[0].rstrip(".,;:)]")
    doi = DOI.search(text)
    return f"https://doi.org/{doi[0].rstrip('.,;:)]')}" if doi and ":" not in text[: doi.start()] else ""


@cache
def _templates() -> dict[str, str]:
    folder = files("metapeer.reporting").joinpath("templates")
    return {name: folder.joinpath(name).read_text(encoding="utf-8") for name in TEMPLATES}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=DictLoader(_templates()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        finalize=lambda value: value if isinstance(value, Markup) else plain_text(value),
    )
    environment.filters["link"] = first_link
    return environment


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _policy(style: str, script: str) -> str:
    """Only this style and this script, and no way out of the page."""
    parts = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def _classes(table: TextTable) -> list[str]:
    """Numbers stand to the right, and long texts get room."""
    longest = [max((len(row[column]) for row in table.rows), default=0) for column in range(len(table.header))]
    return [
        "n" if right else "longer" if most > LONGER else "long" if most > LONG else ""
        for right, most in zip(table.right_aligned(), longest, strict=True)
    ]


class _Layout:
    """Blocks made ready for the template; what is named in the page gets a name once."""

    def __init__(self, rows: tuple[Choice, ...], methods: tuple[Choice, ...]) -> None:
        self._rows, self._methods = rows, methods
        self._names = 0

    def _name(self) -> str:
        self._names += 1
        return f"t{self._names}"

    def section(self, section: Section) -> dict[str, Any]:
        return {
            "key": section.key,
            "title": section.title,
            "blocks": [self.block(block) for block in section.blocks],
            "parts": [self.section(part) for part in section.parts],
        }

    def block(self, block: Block) -> dict[str, Any]:
        match block:
            case Words():
                return {"kind": "words", "text": block.text, "tone": block.tone or "plain"}
            case Points():
                return {"kind": "points", "items": block.items}
            case Forest():
                return {"kind": "forest", "plot": draw_forest(block, self._rows, self._methods)}
            case Overview():
                return {"kind": "overview", "plot": draw_overview(block, self._rows, self._methods)}
            case Funnel():
                return {"kind": "funnel", "plot": draw_funnel(block)}
            case Sheet():
                return self._sheet(block)

    def _sheet(self, sheet: Sheet) -> dict[str, Any]:
        table = sheet.table
        rows = [list(row) for row in table.rows]
        anchors = sheet.anchors or ("",) * len(rows)
        sources = sheet.sources or (Source(),) * len(rows)
        # Many rows are read from few places: those have a number, and are told once below.
        different = dict.fromkeys(source for source in sources if source.words())
        names = {one: f"S{number}" for number, one in enumerate(different, 1)} if len(different) < len(rows) else {}
        origins = [{"source": source, "name": names.get(source, "")} for source in sources]
        filters = [
            {"column": column, "name": table.header[column], "values": sorted({row[column] for row in rows} - {""})}
            for column in sheet.filters
        ]
        title, _, rest = table.title.partition("\n")
        return {
            "kind": "sheet",
            "key": sheet.key or self._name(),
            "title": title,
            "subtitle": rest,
            "header": list(table.header) if any(table.header) else [],
            "right": table.right_aligned(),
            "classes": _classes(table),
            "rows": list(zip(anchors, rows, origins, strict=True)),
            "origins": [(name, one) for one, name in names.items()],
            "sourced": any(source.words() for source in sources),
            "notes": table.notes,
            "live": sheet.live and len(rows) > 1,
            "filters": filters,
            "folded": sheet.folded,
        }


def page_html(
    *,
    title: str,
    about: tuple[str, ...],
    sections: tuple[Section, ...],
    rows: tuple[Choice, ...],
    methods: tuple[Choice, ...],
    pooled: bool,
) -> str:
    """Write the page.

    Parameters
    ----------
    title : str
        Of the report.
    about : tuple of str
        Lines below it: whose work it is.
    sections : tuple of Section
        What it says.
    rows, methods : tuple of Choice
        The variants that a reader can switch between.
    pooled : bool
        Whether anything is pooled.

    Returns
    -------
    str
        HTML, the same for the same report.
    """
    templates = _templates()
    style, script = templates["page.css"], templates["page.js"]
    layout = _Layout(rows, methods)
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            about=about,
            sections=[layout.section(section) for section in sections],
            rows=rows,
            methods=methods,
            pooled=pooled,
            policy=_policy(style, script),
            style=Markup(style),  # noqa: S704  a file of the package
            script=Markup(script),  # noqa: S704  likewise
            version=package_version("metapeer"),
        )
        + "\n"
    )
