"""What a report is made of, before it is HTML, Markdown or Word: sections of words, tables and forest plots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from metapeer.formatting import TextTable
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.reproduction.plan import Method

__all__ = [
    "Block",
    "Choice",
    "Forest",
    "Funnel",
    "Overview",
    "Points",
    "Pooled",
    "Section",
    "Sheet",
    "Source",
    "Words",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a number was read.

    Parameters
    ----------
    text : str
        The table, the page, the paper.
    url : str
        As it was recorded; whoever shows it decides whether it is a link.
    """

    text: str = ""
    url: str = ""

    def words(self) -> str:
        """The source in one line.

        Returns
        -------
        str
            The text, then the address where it does not stand there already.
        """
        parts = [self.text] + ([self.url] if self.url and self.url not in self.text else [])
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One position of a switch of the page.

    Parameters
    ----------
    code : str
        What the switch is set to.
    words : str
        What the position does.
    changes : mapping of str to object
        Options of the method that it changes.
    """

    code: str
    words: str
    changes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pooled:
    """One thing that is pooled, in every variant.

    Parameters
    ----------
    key : str
        Its anchor in the page.
    name, title : str
        The outcome or the printed result, as a code and in words.
    printed : bool
        Whether it is a result that the review printed.
    fits : mapping of (str, str) to MetaAnalysisResult
        Code of the rows and code of the method to what came out; nothing where nothing can be pooled.
    method : Method or None
        How its effects are computed and pooled; None for a ready-made result.
    """

    key: str
    name: str
    title: str
    printed: bool
    fits: Mapping[tuple[str, str], MetaAnalysisResult]
    method: Method | None = None

    @property
    def fit(self) -> MetaAnalysisResult:
        """What the plan says, from the rows as they are printed."""
        return self.fits["", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A paragraph.

    Parameters
    ----------
    text : str
        Plain text.
    tone : {"", "note", "doubt"}
        Usual, small, or something to be careful about.
    """

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """A list.

    Parameters
    ----------
    items : tuple of str
        Plain text.
    """

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table.

    Parameters
    ----------
    table : TextTable
        Its cells, with title and notes.
    key : str
        Its anchor; empty for none.
    anchors : tuple of str
        Names of the rows that others point to; empty for none.
    sources : tuple of Source
        For each row; empty for none.
    filters : tuple of int
        Columns to choose rows by.
    live : bool
        Whether it can be sorted and filtered.
    folded : bool
        Whether it is closed at first.
    """

    table: TextTable
    key: str = ""
    anchors: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    filters: tuple[int, ...] = ()
    live: bool = False
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forest:
    """A forest plot in every variant.

    Parameters
    ----------
    pooled : Pooled
        What is drawn.
    rows : mapping of str to (str, Source)
        For the label of each study the row it is read from and its source.
    """

    pooled: Pooled
    rows: Mapping[str, tuple[str, Source]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overview:
    """A forest plot of pooled results, in every variant.

    Parameters
    ----------
    key, title : str
        Its anchor, and what stands above.
    pooled : tuple of Pooled
        Each a line; all of one measure.
    """

    key: str
    title: str
    pooled: tuple[Pooled, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Funnel:
    """A funnel plot.

    Parameters
    ----------
    pooled : Pooled
        What is drawn, as the plan pools it.
    """

    pooled: Pooled


Block: TypeAlias = Words | Points | Sheet | Forest | Overview | Funnel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Section:
    """A part of a report with a heading.

    Parameters
    ----------
    key, title : str
        Its anchor and heading.
    blocks : sequence of Block
        What it says.
    parts : sequence of Section
        Sections within it.
    """

    key: str
    title: str
    blocks: Sequence[Block] = ()
    parts: Sequence["Section"] = ()
