"""A flow diagram: boxes of words in columns and rows, and the arrows between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import count
from metapeer.plots.cells import clean_text
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_reading import Width, check_axes, describe, inches
from metapeer.plots.style import INK, LINE, POOLED, QUIET, RULE, SIZE, SMALL, SMALL_LINE, TITLE, TITLE_LINE, root_figure
from metapeer.plots.text import PlainText, text_width, wrap_text

__all__ = ["flow_plot"]

NEEDED = ("box", "column", "row", "text")
MOST = 60  # columns or rows: more than any page holds
PAD, GAP, SIDE = 5.0, 16.0, 8.0  # points: within a box, between boxes, at the edges
BAND = 16.0  # width of the band that names a stage
HEAD, STAGE, HEADING = "#e7eef6", "#b9cce3", "#1d3f6e"  # tints of one blue that stay apart in grey print
LONGEST_STAGE = 120.0  # points of a stage's name; more is cut
NARROWEST = 60.0  # points of text in a box


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    name: str
    column: int
    row: int
    text: str
    to: tuple[str, ...]
    stage: str
    heading: bool


def _whole(value: Any) -> int | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and is_finite(value)
    return int(value) if good and value == int(value) and 0 <= value < MOST else None


def _read(table: pd.DataFrame) -> list[_Box]:
    """Take the boxes; list every fault."""
    if not isinstance(table, pd.DataFrame):
        raise ChoiceError(f"table must be a DataFrame, not a {type(table).__name__}")
    absent = [column for column in NEEDED if column not in table]
    if absent:
        raise DataError("table", [Fault(column=column, message="is missing") for column in absent])
    if not len(table):
        raise DataError("table", ["has no rows"])
    faults: list[Fault] = []
    boxes: list[_Box] = []
    places: dict[tuple[int, int], str] = {}
    names: set[str] = set()
    for number, row in enumerate(table.to_dict("records"), start=1):
        name = str(row["box"])
        where = f"row {number} ({clean_text(name)})"
        if name in names:
            faults.append(Fault(row=where, column="box", message="stands there twice"))
        names.add(name)
        column, line = _whole(_plain(row["column"])), _whole(_plain(row["row"]))
        for label, place in (("column", column), ("row", line)):
            if place is None:
                message = f"{row[label]!r} is not a whole number from 0 to {MOST - 1}"
                faults.append(Fault(row=where, column=label, message=message))
        if column is None or line is None:
            continue
        if (column, line) in places:
            faults.append(Fault(row=where, message=f"has the place of {places[column, line]}"))
        places[column, line] = clean_text(name)
        boxes.append(
            _Box(
                name=name,
                column=column,
                row=line,
                text="\n".join(clean_text(part) for part in str(row["text"]).split("\n")),
                to=tuple(part.strip() for part in _words(row.get("to")).split(";") if part.strip()),
                stage=" ".join(clean_text(_words(row.get("stage"))).split()),
                heading=_words(row.get("kind")) == "heading",
            )
        )
    faults += [
        Fault(row=box.name, column="to", message=f"there is no box {target!r}")
        for box in boxes
        for target in box.to
        if target not in names
    ]
    if faults:
        raise DataError("table", faults)
    return boxes


def _plain(value: Any) -> object:
    return value.item() if hasattr(value, "item") else value


def _words(value: object) -> str:
    return "" if value is None or value != value else str(value)  # noqa: PLR0124 - NaN differs from itself


def flow_plot(
    table: pd.DataFrame,
    *,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: Width = 7.5,
    ax: Axes | None = None,
) -> Figure:
    """Draw a flow diagram from a table of boxes.

    Boxes of one column are equally wide, and those of one row equally far down; each is as high as its words need.

    Parameters
    ----------
    table : DataFrame
        One row a box: ``box``, its name; ``column`` and ``row``, counted from 0; ``text``, line breaks kept; and if
        wanted ``to``, the boxes that arrows lead to, parted by semicolons; ``stage``, named in a band at the left of
        the rows; ``kind``, "heading" for a coloured box.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width : float or str, default 7.5
        Of the figure: inches, ``"single"`` (90 mm), ``"double"`` (190 mm), or such as ``"120 mm"``.
    ax : Axes, optional
        Where to draw; by default a new Figure, unknown to pyplot, as high as is needed.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on.

    Raises
    ------
    DataError
        If the table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense, or the boxes do not fit.

    Examples
    --------
    >>> table = pd.DataFrame({"box": ["found", "screened"], "column": [0, 0], "row": [0, 1],
    ...                       "text": ["Records found (n = 12)", "Records screened (n = 9)"], "to": ["screened", ""]})
    >>> figure = flow_plot(table, width=3)
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['Records found (n = 12)', 'Records screened (n = 9)']
    """
    check_axes(ax)
    wide = 72.0 * inches(width)
    boxes = _read(table)
    remarks = (notes,) if isinstance(notes, str) else tuple(notes)
    if ax is not None:
        extent = ax.get_window_extent()
        wide, room = (side * 72 / root_figure(ax).dpi for side in (extent.width, extent.height))
    columns = sorted({box.column for box in boxes})
    left = SIDE + (BAND + GAP / 2 if any(box.stage for box in boxes) else 0.0)
    across = (wide - left - SIDE - GAP * (len(columns) - 1)) / len(columns)
    if across < NARROWEST + 2 * PAD:
        needed = left + SIDE + GAP * (len(columns) - 1) + (NARROWEST + 2 * PAD) * len(columns)
        raise ChoiceError(f"{len(columns)} columns of boxes need a width of at least {needed / 72:.1f} inches")
    lines = {
        box.name: [
            line for part in box.text.split("\n") for line in wrap_text(part, across - 2 * PAD, SIZE, bold=box.heading)
        ]
        for box in boxes
    }
    heading = wrap_text(clean_text(title), wide - 2 * SIDE, TITLE, bold=True) if clean_text(title) else []
    below = [line for note in remarks for line in wrap_text(clean_text(note), wide - 2 * SIDE, SMALL)]
    tops, high = _rows(boxes, lines, SIDE + (TITLE_LINE * len(heading) + GAP / 2 if heading else 0.0))
    under = high - SIDE + GAP / 2
    if below:
        high += SMALL_LINE * (len(below) + 0.5)
    if ax is None:
        no_engine: Any = "none"  # matplotlib's types forget this choice
        figure = Figure((wide / 72, high / 72), facecolor="white", layout=no_engine)
        panel = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    else:
        if high > room:
            raise ChoiceError(f"the boxes need axes of at least {high / 72:.1f} inches in height, not {room / 72:.1f}")
        panel, high = ax, room
    panel.set_xlim(0.0, wide)
    panel.set_ylim(high, 0.0)
    panel.set_axis_off()
    for i, line in enumerate(heading):
        _put(panel, SIDE, SIDE + (i + 0.8) * TITLE_LINE, line, TITLE, bold=True, color=INK, ha="left", va="baseline")
    starts = {column: left + place * (across + GAP) for place, column in enumerate(columns)}
    frames = {
        box.name: (starts[box.column], tops[box.row], across, _height(lines[box.name])) for box in boxes
    }  # fmt: skip
    _paint_stages(panel, boxes, frames)
    for box in boxes:
        for target in box.to:
            _paint_arrow(panel, frames[box.name], frames[target])
    for box in boxes:
        _paint_box(panel, box, frames[box.name], lines[box.name])
    for i, line in enumerate(below):
        place = under + (i + 1) * SMALL_LINE
        _put(panel, SIDE, place, line, SMALL, color=QUIET, ha="left", va="baseline")
    words = [" ".join(box.text.split()) for box in boxes if not box.heading]
    return describe(root_figure(panel), f"Flow diagram of {count(len(words), 'box', 'boxes')}. {'; '.join(words)}.")


def _height(lines: Sequence[str]) -> float:
    return LINE * len(lines) + 2 * PAD


def _rows(boxes: Sequence[_Box], lines: dict[str, list[str]], top: float) -> tuple[dict[int, float], float]:
    """Where each row begins, and where the last one ends."""
    stages = {box.stage: (min(rows), max(rows)) for box, rows in _rows_of_stages(boxes)}
    tops: dict[int, float] = {}
    place = top
    for row in sorted({box.row for box in boxes}):
        tops[row] = place
        place += max(_height(lines[box.name]) for box in boxes if box.row == row)
        for stage, (first, last) in stages.items():
            if row == last:  # a stage has room for its name
                place = max(place, tops[first] + min(text_width(stage, SMALL, True), LONGEST_STAGE) + 2 * PAD)
        place += GAP
    return tops, place - GAP + SIDE


def _rows_of_stages(boxes: Sequence[_Box]) -> list[tuple[_Box, list[int]]]:
    return [(box, [other.row for other in boxes if other.stage == box.stage]) for box in boxes if box.stage]


_Frame = tuple[float, float, float, float]


def _put(panel: Axes, x: float, y: float, text: str, size: float, **how: Any) -> None:
    panel.add_artist(PlainText(x, y, text, size=size, transform=panel.transData, clip_on=False, **how))


def _paint_box(panel: Axes, box: _Box, frame: _Frame, lines: Sequence[str]) -> None:
    x, y, across, tall = frame
    fill, edge = (HEAD, POOLED) if box.heading else ("white", RULE)
    panel.add_patch(Rectangle((x, y), across, tall, facecolor=fill, edgecolor=edge, linewidth=0.8))
    for i, line in enumerate(lines):
        place = y + PAD + (i + 0.75) * LINE
        _put(panel, x + PAD, place, line, SIZE, bold=box.heading, color=INK, ha="left", va="baseline")


def _paint_stages(panel: Axes, boxes: Sequence[_Box], frames: dict[str, _Frame]) -> None:
    for stage in dict.fromkeys(box.stage for box in boxes if box.stage):
        mine = [frames[box.name] for box in boxes if box.stage == stage]
        top = min(y for _, y, _, _ in mine)
        longest = min(text_width(stage, SMALL, True), LONGEST_STAGE)
        bottom = max(*(y + tall for _, y, _, tall in mine), top + longest + 2 * PAD)
        panel.add_patch(Rectangle((SIDE, top), BAND, bottom - top, facecolor=STAGE, edgecolor="none"))
        text = stage
        if text_width(text, SMALL, True) > bottom - top:
            room = bottom - top - text_width("…", SMALL, True)
            text = wrap_text(stage.split("\n")[0], room, SMALL, bold=True)[0].rstrip() + "…"
        how: dict[str, Any] = {"bold": True, "color": HEADING, "rotation": 90, "ha": "center", "va": "center"}
        _put(panel, SIDE + BAND / 2, (top + bottom) / 2, text, SMALL, **how)


def _paint_arrow(panel: Axes, start: _Frame, end: _Frame) -> None:
    """Straight down within a column, straight across within a row, otherwise down and then across."""
    x1, y1, w1, h1 = start
    x2, y2, w2, h2 = end
    if x1 == x2:
        down = y2 > y1
        points = [(x1 + w1 / 2, y1 + h1 if down else y1), (x2 + w2 / 2, y2 if down else y2 + h2)]
    elif y1 == y2:
        right = x2 > x1
        middle = y1 + min(h1, h2) / 2
        points = [(x1 + w1 if right else x1, middle), (x2 if right else x2 + w2, middle)]
    else:
        down = y2 > y1
        side = x2 if x2 > x1 else x2 + w2
        corner = (x1 + w1 / 2, y2 + h2 / 2)
        points = [(x1 + w1 / 2, y1 + h1 if down else y1), corner, (side, y2 + h2 / 2)]
    for one, two in pairwise(points[:-1]):
        panel.plot((one[0], two[0]), (one[1], two[1]), color=QUIET, linewidth=0.9, solid_capstyle="butt", zorder=1.0)
    arrow = FancyArrowPatch(
        points[-2], points[-1], arrowstyle="-|>", mutation_scale=7, color=QUIET, linewidth=0.9, shrinkA=0, shrinkB=0
    )
    panel.add_patch(arrow)
