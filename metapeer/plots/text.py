"""Type: literal text (no mathtext, no TeX) that is measured before it is set, and broken into lines.

DejaVu Sans, because matplotlib brings it along: a figure then has the same line breaks and the same size on every
machine.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.transforms import Bbox

__all__ = ["FAMILY", "PlainText", "quiet_glyphs", "text_width", "wrap_text"]


FAMILY = "DejaVu Sans"
# Faces that commonly hold what DejaVu Sans lacks; matplotlib falls back glyph by glyph to those that are installed.
FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Source Han Sans",
    "Droid Sans Fallback",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Emoji",
    "Segoe UI Emoji",
    "Symbola",
)
MEASURING_DPI = 288
_Renderer: Any = RendererAgg  # matplotlib leaves it without types


@contextmanager
def quiet_glyphs() -> Iterator[None]:
    """Silence the one warning about glyphs no installed font has: the letter shows as a box, and the SVG keeps it.

    Yields
    ------
    None
        While no such warning can escape.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s).*Glyph .*missing from", category=UserWarning)
        warnings.filterwarnings("ignore", message=r"(?s).*Matplotlib currently does not support", category=UserWarning)
        yield


@contextmanager
def _set_evenly(*, quiet: bool) -> Iterator[None]:
    """Set type without hinting, which stretches lines by up to a tenth at screen resolution: columns would touch."""
    usual = mpl.rcParams["text.hinting"]
    mpl.rcParams["text.hinting"] = "none"
    try:
        with quiet_glyphs() if quiet else nullcontext():
            yield
    finally:
        mpl.rcParams["text.hinting"] = usual


@lru_cache(maxsize=1)
def _own_glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=FAMILY))).get_charmap())


@lru_cache(maxsize=1)
def _fallback_glyphs() -> dict[str, frozenset[int]]:
    installed = {entry.name: entry.fname for entry in fontManager.ttflist}
    return {name: frozenset(get_font(installed[name]).get_charmap()) for name in FALLBACKS if name in installed}


def _lacks(text: str) -> set[int]:
    return {ord(c) for c in text} - _own_glyphs()


def _families(text: str) -> list[str]:
    """DejaVu Sans, then the installed faces that hold glyphs of `text` it lacks."""
    missing = _lacks(text)
    families = [FAMILY]
    if missing:
        for name, glyphs in _fallback_glyphs().items():
            if missing & glyphs:
                families.append(name)
                missing -= glyphs
    return families


class PlainText(Text):
    """Literal text in the house's face: no mathtext, no TeX, no warning about a glyph nobody has.

    Parameters
    ----------
    x, y : float
        Where it stands.
    text : str
        One line.
    size : float
        In points.
    bold : bool, default False
        Whether it is set in bold.
    **kwargs
        Passed on to `matplotlib.text.Text`.
    """

    def __init__(self, x: float, y: float, text: str, *, size: float, bold: bool = False, **kwargs: Any) -> None:
        self._boxes = False
        weight = "bold" if bold else "normal"
        font = FontProperties(family=_families(text), size=size, weight=weight, style="normal")
        super().__init__(x, y, text, fontproperties=font, parse_math=False, usetex=False, **kwargs)
        self._boxes = bool(_lacks(text))

    def draw(self, renderer: Any) -> None:
        """Draw unhinted, and keep quiet about missing glyphs.

        Parameters
        ----------
        renderer : matplotlib renderer
            As for every artist.
        """
        with _set_evenly(quiet=self._boxes):
            super().draw(renderer)

    def get_window_extent(self, renderer: Any = None, dpi: float | None = None) -> Bbox:
        """Measure unhinted, and keep quiet about missing glyphs.

        Parameters
        ----------
        renderer : matplotlib renderer, optional
            As for every artist.
        dpi : float, optional
            As for `matplotlib.text.Text`.

        Returns
        -------
        matplotlib.transforms.Bbox
            In pixels.
        """
        with _set_evenly(quiet=self._boxes):
            return super().get_window_extent(renderer, dpi)


@lru_cache(maxsize=1)
def _measuring_renderer() -> Any:
    return _Renderer(1, 1, MEASURING_DPI)


@lru_cache(maxsize=8192)
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Measure a line of text by asking the font itself.

    Parameters
    ----------
    text : str
        One line.
    size : float
        In points.
    bold : bool, default False
        Whether it is set in bold.

    Returns
    -------
    float
        In points.

    Examples
    --------
    >>> text_width("Peer support", 8) > text_width("Peer", 8) > text_width("", 8) == 0
    True
    """
    if not text:
        return 0.0
    font = FontProperties(family=_families(text), size=size, weight="bold" if bold else "normal", style="normal")
    with _set_evenly(quiet=bool(_lacks(text))):
        width, _, _ = _measuring_renderer().get_text_width_height_descent(text, font, False)
    return float(width) * 72 / MEASURING_DPI


def wrap_text(text: str, limit: float, size: float, *, bold: bool = False) -> list[str]:
    """Break text into lines no wider than `limit`: at blanks, and inside a word only when it alone is too wide.

    Parameters
    ----------
    text : str
        Cleaned text; its own line breaks are kept.
    limit : float
        In points.
    size : float
        Of the type, in points.
    bold : bool, default False
        Whether it is set in bold.

    Returns
    -------
    list of str
        At least one line; no character but blanks is lost.

    Examples
    --------
    >>> wrap_text("peer support for recovery", 60, 8)
    ['peer support', 'for recovery']
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        if text_width(paragraph, size, bold) <= limit:
            lines.append(paragraph)
            continue
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if text_width(longer, size, bold) <= limit:
                line = longer
                continue
            if line:
                lines.append(line)
            rest = word
            while len(rest) > 1 and text_width(rest, size, bold) > limit:
                cut = _longest_head(rest, limit, size, bold)
                lines.append(rest[:cut])
                rest = rest[cut:]
            line = rest
        lines.append(line)
    return lines


def _longest_head(word: str, limit: float, size: float, bold: bool) -> int:
    low, high = 1, len(word) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(word[:middle], size, bold) <= limit:
            low = middle
        else:
            high = middle - 1
    return low
