"""What all figures share: ink, sizes of type, and files that come out the same on every run."""

import importlib
import io
import math
import os
import re
import zlib
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.plots.text import quiet_glyphs

__all__ = [
    "INK",
    "LINE",
    "POOLED",
    "PREDICTED",
    "QUIET",
    "RULE",
    "SIZE",
    "SMALL",
    "SMALL_LINE",
    "STUDY",
    "TITLE",
    "TITLE_LINE",
    "root_figure",
    "save_figure",
]

# A notebook learns to draw figures when this is loaded. pyplot does so, but metapeer's figures do without pyplot.
if "inline" in os.environ.get("MPLBACKEND", ""):
    importlib.import_module("matplotlib_inline.backend_inline")

# Steps of lightness (luminance about 10, 25, 45, 60 %) keep the marks apart in grey print; blue against orange keeps
# them apart for readers who see no red or no green.
INK = "#1a1a1a"
POOLED = "#1d3f6e"
PREDICTED = "#b8520f"
STUDY = "#7fa6cf"
QUIET = "#595959"
RULE = "#8c8c8c"

# Sizes of type and the lines they stand on, in points. Eight points is the type of tables in print.
SIZE, SMALL, TITLE = 8.0, 7.0, 9.5
LINE, SMALL_LINE, TITLE_LINE = 10.5, 9.0, 12.5

_Renderer: Any = RendererAgg  # matplotlib leaves it without types
AGG_LIMIT = 2**16 - 1  # pixels: no side of an Agg image may be longer
PNG_EFFORT = 3  # of 9: sheets of type come out smaller than with zlib's usual 6, in two thirds of the time


def save_figure(figure: Figure | Axes, path: str | Path, *, dpi: float = 300) -> Path:
    """Write a figure to a PNG, SVG or PDF file, complete to its edges and byte for byte the same on every run.

    Text stays text in SVG and PDF. What reaches beyond the figure's edge enlarges the page instead of being cut. The
    figure's alternative text, ``figure.metapeer_alt``, goes into the file: as title and description of an SVG, which
    screen readers say, as title and subject of a PDF, and as title and description of a PNG.

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
    MetapeerError
        If `path` is a folder, or its folder does not exist.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from matplotlib.figure import Figure
    >>> with TemporaryDirectory() as folder:
    ...     path = save_figure(Figure((2, 1)), Path(folder) / "figure.svg")
    ...     path.name, path.stat().st_size > 0
    ('figure.svg', True)
    """
    path = Path(path)
    suffix = check_choice("suffix", path.suffix.lower(), (".png", ".svg", ".pdf"))
    if not (isinstance(dpi, int | float) and math.isfinite(dpi) and dpi > 0):
        raise ChoiceError(f"dpi must be a number above 0, not {dpi!r}")
    if path.is_dir():
        raise MetapeerError(f"{str(path)!r} is a folder; give the name of a file, such as {str(path / 'forest.png')!r}")
    if not path.parent.is_dir():
        raise MetapeerError(f"{str(path)!r}: there is no folder {str(path.parent)!r}; make it first")
    whole = root_figure(figure)
    words = " ".join(str(getattr(whole, "metapeer_alt", "")).split())
    first = f"{words} ".partition(". ")[0].strip().removesuffix(".")
    metadata: dict[str, dict[str, Any]] = {
        ".png": {"Software": None, **({"Title": first, "Description": words} if words else {})},
        ".svg": {"Date": None, "Creator": "metapeer"},
        ".pdf": {"CreationDate": None, "Creator": "metapeer", **({"Title": first, "Subject": words} if words else {})},
    }
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "metapeer", "pdf.fonttype": 42, "savefig.bbox": None}
    buffer = io.BytesIO()
    with mpl.rc_context(settings), quiet_glyphs():
        page = Bbox.from_bounds(0, 0, *(float(side) for side in whole.get_size_inches()))
        drawn = whole.get_tightbbox(_figure_renderer(whole))
        box = Bbox.union([page, drawn])
        dpi = min(float(dpi), AGG_LIMIT / max(box.width, box.height))
        how: dict[str, Any] = {"pil_kwargs": {"compress_level": PNG_EFFORT}} if suffix == ".png" else {}
        how["metadata"] = metadata[suffix]
        whole.savefig(buffer, format=suffix[1:], dpi=dpi, bbox_inches=box, facecolor="white", **how)
    content = buffer.getvalue()
    if suffix == ".svg":
        # A viewer without DejaVu Sans would take a serif face; Verdana is drawn to nearly the same widths.
        content = re.sub(rb"(<text style=\"[^\"]*font-family: 'DejaVu Sans')", rb"\1, Verdana, sans-serif", content)
        content = _spoken(content, first, words) if words else content
    path.write_bytes(content)
    return path


def _spoken(svg: bytes, title: str, words: str) -> bytes:
    """Give an SVG a title and a description, and say that it is one image."""
    # Names of their own keep several figures on one page apart, and the same figure has the same ones on every run.
    name = f"metapeer-{zlib.crc32(words.encode()):08x}"
    told = f'<title id="{name}-title">{escape(title)}</title>\n <desc id="{name}-desc">{escape(words)}</desc>'
    role = f' role="img" aria-labelledby="{name}-title {name}-desc">\n {told}'
    start = svg.index(b">", svg.index(b"<svg"))
    return svg[:start] + role.encode() + svg[start + 1 :]


def root_figure(figure: Figure | Axes) -> Figure:
    """Find the figure itself, above any subfigure.

    Parameters
    ----------
    figure : matplotlib Figure or Axes
        What the caller holds.

    Returns
    -------
    matplotlib.figure.Figure
        The root.

    Raises
    ------
    ChoiceError
        If there is none.
    """
    inner = figure.figure if isinstance(figure, Axes) else figure
    root = inner.figure if inner is not None else None
    if not isinstance(root, Figure):
        raise ChoiceError("figure must be a matplotlib Figure, or Axes that stand in one")
    return root


def _figure_renderer(figure: Figure) -> Any:
    width, height = figure.get_size_inches() * figure.dpi
    scale = min(1.0, AGG_LIMIT / max(width, height))
    return _Renderer(max(1.0, width * scale), max(1.0, height * scale), figure.dpi)
