"""What all figures share: ink, type, measured text, ticks, and files that come out the same on every run.

Text is always literal (no mathtext, no TeX), set in DejaVu Sans because matplotlib brings it along: a figure then has
the same line breaks and the same size on every machine.
"""

import io
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import format_number

__all__ = [
    "FAMILY",
    "INK",
    "POOLED",
    "PREDICTED",
    "QUIET",
    "RULE",
    "STUDY",
    "PlainText",
    "align_numbers",
    "clean_text",
    "looks_numeric",
    "number_text",
    "root_figure",
    "save_figure",
    "text_width",
    "tick_text",
    "ticks_within",
    "true_minus",
    "wrap_text",
]

# Steps of lightness (luminance about 10, 25, 45, 60 %) keep the marks apart in grey print; blue against orange keeps
# them apart for readers who see no red or no green.
INK = "#1a1a1a"
POOLED = "#1d3f6e"
PREDICTED = "#b8520f"
STUDY = "#7fa6cf"
QUIET = "#595959"
RULE = "#8c8c8c"

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

FIGURE_SPACE, PUNCTUATION_SPACE, THIN_SPACE, HAIR_SPACE = "\u2007", "\u2008", "\u2009", "\u200a"
MINUS = "\u2212"
MEASURING_DPI = 288
_Renderer: Any = RendererAgg  # matplotlib leaves it without types
AGG_LIMIT = 2**16 - 1  # pixels: no side of an Agg image may be longer

# A number with its bracket, if it has one: blanks go before the bracket, not into it.
_NUMBER = re.compile(rf"([(\[]?)([-{MINUS}]?(?:\d+(?:,\d{{3}})*(?:\.\d+)?|\.\d+|∞)|NA)")
_HYPHEN_MINUS = re.compile(r"(?<![\w.,)\]%-])-(?=\.?\d)")


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


def clean_text(value: object) -> str:
    r"""Make any value fit to be drawn: tidy blanks, and nothing that no font or no SVG file can hold.

    Parameters
    ----------
    value : object
        A label, or whatever stands in its place; None and NaN are no text.

    Returns
    -------
    str
        Line breaks are kept; control characters and lone surrogates show as U+FFFD.

    Examples
    --------
    >>> clean_text("  Smith\t2014 <b>$x_1$</b>  "), clean_text(float("nan"))
    ('Smith 2014 <b>$x_1$</b>', '')
    """
    text = str(value)
    if not isinstance(value, str) and text in ("None", "nan", "NaN", "NaT", "<NA>"):
        return ""
    text = re.sub(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]", "\n", text)
    text = re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)
    lines = (re.sub(r"[\t ]+", " ", line).strip(" ") for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def true_minus(text: str) -> str:
    """Write minus signs as U+2212 where a hyphen stands before a number and after no word, number or bracket.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The same with minus signs.

    Examples
    --------
    >>> true_minus("-0.5 (-1.0 to 2), weeks 6-12, COVID-19") == "−0.5 (−1.0 to 2), weeks 6-12, COVID-19"
    True
    """
    return _HYPHEN_MINUS.sub(MINUS, text)


def number_text(value: float, digits: int = 2) -> str:
    """Write a number for a figure: true minus, ∞, and powers of ten once a million is passed.

    Parameters
    ----------
    value : float
        The number; NaN is missing.
    digits : int, default 2
        Decimals.

    Returns
    -------
    str
        Such as ``"0.19"``, ``"−∞"`` or ``"NA"``.

    Examples
    --------
    >>> number_text(-0.186), number_text(float("inf")), number_text(2.5e9)
    ('−0.19', '∞', '2.50e+09')
    """
    if math.isfinite(value) and abs(value) >= 1e6:
        return f"{value:.{digits}e}".replace("-", MINUS)
    return format_number(value, digits).replace("-", MINUS).replace("inf", "∞")


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


def _em(text: str) -> float:
    """Tell how wide a text is, in hundredths of its size."""
    return text_width(text, 100)


def _blank(width: float) -> str:
    """Make spaces about `width` hundredths of an em wide; exact for what digits, points and minus signs need."""
    spaces = ""
    for space in (FIGURE_SPACE, PUNCTUATION_SPACE, THIN_SPACE, HAIR_SPACE):
        times = int((width + 2) / _em(space))
        spaces += space * times
        width -= _em(space) * times
    return spaces


def _halves(number: str) -> tuple[str, str]:
    """Part a number before its decimals; what is no number (NA, ∞) has no decimals to stand in line."""
    whole, point, fraction = number.partition(".")
    return (whole, point + fraction) if number[-1].isdigit() else ("", "")


def looks_numeric(cell: str) -> bool:
    """Whether a cell reads as a number, an interval, a share or a mean (SD), so that it belongs to the right.

    Parameters
    ----------
    cell : str
        A cell.

    Returns
    -------
    bool
        True for ``"12/80"`` and ``"4.1 (2.0)"``, False for ``"group"``.
    """
    return bool(re.match(rf"[<>≤≥\s]*(?:{_NUMBER.pattern})(?![^\W\d])", cell))


def align_numbers(cells: Sequence[str]) -> list[str]:
    r"""Pad the numbers in a column of cells with blanks so that signs, digits and decimal points stand in line.

    Parameters
    ----------
    cells : sequence of str
        Such as ``"9.5 (2.1)"``. Only cells built like the most common one (numbers aside) are padded.

    Returns
    -------
    list of str
        Same order; equally wide where they were padded.

    Examples
    --------
    >>> [cell.replace("\u2007", "_") for cell in align_numbers(["9.5 (12.1)", "10.5 (3.1)"])]
    ['_9.5 (12.1)', '10.5 _(3.1)']
    """
    shapes = [_NUMBER.sub(r"\1\0", cell) if looks_numeric(cell) else "" for cell in cells]
    known = [shape for shape in shapes if shape]
    if not known:
        return list(cells)
    common = max(known, key=known.count)
    columns = list(
        zip(
            *([m[2] for m in _NUMBER.finditer(c)] for c, s in zip(cells, shapes, strict=True) if s == common),
            strict=True,
        )
    )
    wholes = [max(_em(_halves(number)[0]) for number in column) for column in columns]
    decimals = [max(_em(_halves(number)[1]) for number in column) for column in columns]
    slots = [
        max(whole + fraction, *map(_em, column), 0)
        for column, whole, fraction in zip(columns, wholes, decimals, strict=True)
    ]

    def pad(cell: str) -> str:
        places = iter(range(len(columns)))

        def one(match: re.Match[str]) -> str:
            j = next(places)
            whole, fraction = _halves(match[2])
            after = _blank(decimals[j] - _em(fraction)) if whole or fraction else ""
            before = _blank(slots[j] - _em(match[2]) - _em(after))
            return before + match[0] + after

        return _NUMBER.sub(one, cell)

    return [pad(cell) if shape == common else cell for cell, shape in zip(cells, shapes, strict=True)]


def tick_text(values: Sequence[float], *, common: bool = True) -> list[str]:
    """Write tick labels with as many decimals as they need.

    Parameters
    ----------
    values : sequence of float
        As printed on the axis.
    common : bool, default True
        Whether all get the same decimals (an even scale) or each its own (a ratio scale).

    Returns
    -------
    list of str
        With true minus signs.

    Examples
    --------
    >>> tick_text([-0.5, 0, 0.5]), tick_text([0.25, 0.5, 1], common=False)
    (['−0.5', '0.0', '0.5'], ['0.25', '0.5', '1'])
    """
    gaps = [abs(b - a) for a, b in pairwise(sorted(values)) if b != a]

    def decimals(value: float) -> int:
        error = 1e-3 * min([*gaps, abs(value) or 1.0])
        return next((d for d in range(12) if abs(round(value, d) - value) <= error), 12)

    if any(value != 0 and not 1e-5 < abs(value) < 1e7 for value in values):
        return [f"{value:.12g}".replace("-", MINUS) for value in values]
    most = max(map(decimals, values), default=0)
    return [f"{value:.{most if common else decimals(value)}f}".replace("-", MINUS) for value in values]


def _ratio_candidates(low: float, high: float) -> Iterator[list[float]]:
    """Ratios that readers know, on a log axis from `low` to `high`: halves and doubles first."""
    twos = range(math.ceil(low / math.log(2)), math.floor(high / math.log(2)) + 1)
    decades = range(math.floor(low / math.log(10)), math.floor(high / math.log(10)) + 1)
    if twos and min(twos) >= -2 and max(twos) <= 4:  # 0.0625 and 32 are harder to read than 0.05 and 50
        yield [2.0**power for power in twos]
    if len(decades) <= 4:
        yield [float(f"{base}e{power}") for power in decades for base in (1, 2, 5)]
    for step in (1, 2, 3, 4, 5, 10, 20, 50, 100, 200):
        yield [float(f"1e{power}") for power in decades if power % step == 0]


def ticks_within(low: float, high: float, width: float, size: float, *, ratio: bool = False) -> list[float]:
    """Choose ticks for an axis from `low` to `high` whose labels do not touch.

    Parameters
    ----------
    low, high : float
        Ends of the axis; logarithms when `ratio`.
    width : float
        Of the axis, in points.
    size : float
        Of the labels, in points.
    ratio : bool, default False
        Whether the axis shows ratios on a log scale: then 0.25, 0.5, 1, 2, 4 or 0.1, 1, 10 rather than even steps.

    Returns
    -------
    list of float
        As printed on the axis: ratios when `ratio`.

    Examples
    --------
    >>> ticks_within(-1.5, 1.5, 180, 8, ratio=True)
    [0.25, 0.5, 1.0, 2.0, 4.0]
    >>> ticks_within(-0.4, 1.1, 180, 8)
    [-0.25, 0.0, 0.25, 0.5, 0.75, 1.0]
    """
    at = math.log if ratio else float

    def fits(values: list[float], fewest: int) -> bool:
        if not fewest <= len(values) <= 7:  # no more than an eye takes in
            return False
        labels = tick_text(values, common=not ratio)
        places = [(at(value) - low) / (high - low) * width for value in values]
        halves = [text_width(label, size) / 2 for label in labels]
        return all(places[i + 1] - places[i] > halves[i] + halves[i + 1] + size / 2 for i in range(len(values) - 1))

    if ratio:
        for values in _ratio_candidates(low, high):
            inside = [value for value in values if low <= math.log(value) <= high]
            if fits(inside, 3):
                return inside
    ends = (math.exp(low), math.exp(high)) if ratio else (low, high)
    for steps, fewest in ((5, 4), (6, 4), (7, 4), (5, 2), (4, 2), (3, 2), (2, 2), (1, 2), (5, 1)):
        even = MaxNLocator(nbins=steps, steps=[1, 2, 2.5, 5, 10]).tick_values(*ends)
        inside = [0.0 if abs(v) < 1e-9 * (ends[1] - ends[0]) else float(f"{v:.12g}") for v in even]
        inside = [v for v in inside if ends[0] <= v <= ends[1] and not (ratio and v <= 0)]
        if fits(inside, fewest):
            return inside
    return []


def save_figure(figure: Figure | Axes, path: str | Path, *, dpi: float = 300) -> Path:
    """Write a figure to a PNG, SVG or PDF file, complete to its edges and byte for byte the same on every run.

    Text stays text in SVG and PDF. What reaches beyond the figure's edge enlarges the page instead of being cut.

    Parameters
    ----------
    figure : matplotlib Figure or Axes
        Of Axes, the figure they stand in.
    path : str or Path
        Its suffix decides: ``.png``, ``.svg`` or ``.pdf``.
    dpi : float, default 300
        Resolution of a PNG; lowered where a side would pass 65,535 pixels, the most that can be written.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ChoiceError
        If the suffix is another, or `dpi` is not positive.
    """
    path = Path(path)
    suffix = check_choice("suffix", path.suffix.lower(), (".png", ".svg", ".pdf"))
    if not (isinstance(dpi, int | float) and math.isfinite(dpi) and dpi > 0):
        raise ChoiceError(f"dpi must be a number above 0, not {dpi!r}")
    whole = root_figure(figure)
    metadata: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".svg": {"Date": None, "Creator": "metapeer"},
        ".pdf": {"CreationDate": None, "Creator": "metapeer"},
    }
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "metapeer", "pdf.fonttype": 42, "savefig.bbox": None}
    buffer = io.BytesIO()
    with mpl.rc_context(settings), quiet_glyphs():
        page = Bbox.from_bounds(0, 0, *(float(side) for side in whole.get_size_inches()))
        drawn = whole.get_tightbbox(_figure_renderer(whole))
        box = Bbox.union([page, drawn])
        dpi = min(float(dpi), AGG_LIMIT / max(box.width, box.height))
        whole.savefig(buffer, format=suffix[1:], dpi=dpi, bbox_inches=box, facecolor="white", metadata=metadata[suffix])
    content = buffer.getvalue()
    if suffix == ".svg":
        # A viewer without DejaVu Sans would take a serif face; Verdana is drawn to nearly the same widths.
        content = re.sub(rb"(<text style=\"[^\"]*font-family: 'DejaVu Sans')", rb"\1, Verdana, sans-serif", content)
    path.write_bytes(content)
    return path


def root_figure(figure: Figure | Axes) -> Figure:
    """Find the figure itself, above any subfigure."""
    inner = figure.figure if isinstance(figure, Axes) else figure
    root = inner.figure if inner is not None else None
    if not isinstance(root, Figure):
        raise ChoiceError("figure must be a matplotlib Figure, or Axes that stand in one")
    return root


def _figure_renderer(figure: Figure) -> Any:
    width, height = figure.get_size_inches() * figure.dpi
    scale = min(1.0, AGG_LIMIT / max(width, height))
    return _Renderer(max(1.0, width * scale), max(1.0, height * scale), figure.dpi)
