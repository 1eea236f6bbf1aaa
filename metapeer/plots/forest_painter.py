"""Draws a forest plot that has been laid out: type, rules, squares, intervals and diamonds."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, Polygon
from matplotlib.transforms import blended_transform_factory

from metapeer.plots.forest_columns import INDENT, SIGN, groups_of, header_height, header_lines
from metapeer.plots.forest_layout import HEAD_GAP, MARGIN, WORD_GAP, Depths, Favours, Sheet
from metapeer.plots.forest_look import LAYOUTS, Look
from metapeer.plots.forest_rows import DRAWN, Row
from metapeer.plots.forest_scale import Scale
from metapeer.plots.judgements import Judgement
from metapeer.plots.style import (
    INK,
    LINE,
    PREDICTED,
    QUIET,
    RULE,
    SIZE,
    SMALL,
    SMALL_LINE,
    TITLE,
    TITLE_LINE,
)
from metapeer.plots.text import FAMILY, PlainText, text_width
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["Painter"]

# In points, before any shrinking.
LARGEST_SQUARE, SMALLEST_SQUARE = 9.0, 2.0  # sides
DIAMOND, CAP, ARROW = 4.2, 2.8, 4.5


class Painter:
    """Puts the layout on Axes.

    Parameters
    ----------
    ax : Axes
        To draw on.
    sheet, scale, depths : Sheet, Scale, Depths
        The layout.
    shrink : float
        Turns the layout's points into real ones.
    look : Look
        The manner.
    """

    def __init__(
        self, ax: Axes, sheet: Sheet, scale: Scale, depths: Depths, shrink: float, look: Look = LAYOUTS["metapeer"]
    ) -> None:
        self.look = look
        self.ax, self.sheet, self.scale, self.depths, self.shrink = ax, sheet, scale, depths, shrink
        self.unit = (scale.high - scale.low) / (sheet.end - sheet.start)
        self.beside = blended_transform_factory(ax.transAxes, ax.transData)

    def paint(self, rows: Sequence[Row], height: float) -> None:
        """Draw everything on Axes `height` points high."""
        self.set_up(height)
        self.head()
        self.lines()
        self.squares(rows)
        for i, row in enumerate(rows):
            middle = (self.depths.tops[i] + self.depths.tops[i + 1]) / 2
            self.words(i, row, middle)
            if row.kind in DRAWN and not row.silent:
                {"study": self.study, "prediction": self.bar}.get(row.kind, self.diamond)(row, middle)
        self.foot()

    def set_up(self, height: float) -> None:
        """Make the middle of the Axes the panel, with its axis under the last row."""
        ax, scale, sheet = self.ax, self.scale, self.sheet
        ax.set_xscale("linear")
        ax.set_yscale("linear")
        ax.set_autoscale_on(False)
        ax.set_xlim(scale.low - sheet.start * self.unit, scale.high + (sheet.width - sheet.end) * self.unit)
        ax.set_ylim(max(height, self.depths.depth), 0)
        ax.grid(visible=False)
        ax.yaxis.set_visible(False)
        for name, spine in ax.spines.items():
            spine.set_visible(name == "bottom")
        bottom = ax.spines["bottom"]
        bottom.set_position(("data", self.depths.axis))
        bottom.set_bounds(scale.low, scale.high)
        bottom.set(color=INK, linewidth=0.8 * self.shrink)
        ticks = scale.ticks
        if ticks is None:
            ticks = tuple(ticks_within(scale.low, scale.high, sheet.end - sheet.start, SIZE, ratio=scale.log))
        ax.set_xticks([math.log(tick) if scale.log else tick for tick in ticks], tick_text(ticks, common=not scale.log))
        ax.set_xticks([], minor=True)
        ax.tick_params(
            axis="x",
            direction="out",
            bottom=True,
            top=False,
            labelbottom=True,
            labeltop=False,
            length=3 * self.shrink,
            width=0.8 * self.shrink,
            pad=2 * self.shrink,
            labelsize=SIZE * self.shrink,
            labelfontfamily=FAMILY,
            labelrotation=0,
            color=INK,
            labelcolor=INK,
        )
        for label in ax.get_xticklabels():
            label.set(usetex=False, parse_math=False, fontweight="normal", fontstyle="normal")

    def text(self, x: float, middle: float, text: str, *, size: float = SIZE, **look: Any) -> None:
        """Set one line at `x` points from the left, its capitals centred on `middle`."""
        look = {"color": INK, "ha": "left", **look}
        # 0.36 em: half the height of a capital in DejaVu Sans (0.729 em)
        line = PlainText(
            x / self.sheet.width,
            middle + 0.36 * size,
            text,
            size=size * self.shrink,
            va="baseline",
            transform=self.beside,
            **look,
        )
        self.ax.add_artist(line)

    def block(self, x: float, top: float, lines: Sequence[str], step: float, **look: Any) -> None:
        """Set lines one under the other."""
        for i, line in enumerate(lines):
            self.text(x, top + (i + 0.5) * step, line, **look)

    def rule(self, start: float, end: float, depth: float, width: float) -> None:
        """Draw a horizontal line between two points across."""
        ends = (start / self.sheet.width, end / self.sheet.width)
        self.ax.plot(
            ends, (depth, depth), transform=self.beside, color=RULE, lw=width * self.shrink, ls="-", marker="", zorder=1
        )

    def head(self) -> None:
        """Write title and column headers, and rule them off."""
        depths, columns = self.depths, self.sheet.columns
        self.block(MARGIN, MARGIN, depths.title, TITLE_LINE, size=TITLE, bold=True)
        for group, first, last in groups_of(columns):
            start, end = columns[first].edge, columns[last].edge + columns[last].width
            lines = header_lines(group)
            top = depths.body - HEAD_GAP - header_height(columns, first)
            self.block((start + end) / 2, top, lines, LINE, bold=True, ha="center")
            self.rule(start, end, top + LINE * len(lines) + 1, 0.6)
        for column in columns:
            top = depths.body - HEAD_GAP - LINE * len(column.header)
            x, side = (column.edge + column.width, "right") if column.to_right else (column.edge, "left")
            if column.signs:
                x, side = column.edge + column.width / 2, "center"
            self.block(x, top, column.header, LINE, bold=True, ha=side)
        self.rule(MARGIN, self.sheet.width - MARGIN, depths.body - 3, 0.8)

    def lines(self) -> None:
        """Draw the lines of no effect and of the pooled estimate."""
        scale, depth = self.scale, (self.depths.body, self.depths.axis)
        for value, colour, style, name in (
            (scale.null, INK, "-", "_null"),
            (scale.reference if self.look.reference else None, self.look.diamond, (0, (3, 2.5)), "_reference"),
        ):
            if value is not None and scale.low <= value <= scale.high:
                look: dict[str, Any] = {
                    "color": colour,
                    "ls": style,
                    "lw": 0.8 * self.shrink,
                    "marker": "",
                    "label": name,
                    "zorder": 1.5,
                }
                self.ax.plot((value, value), depth, **look)

    def words(self, i: int, row: Row, middle: float) -> None:
        """Write the label and the cells of a row."""
        label, *columns = self.sheet.columns
        small = row.kind == "text"
        size, step = (SMALL, SMALL_LINE) if small else (SIZE, LINE)
        lines = self.depths.labels[i]
        x = label.edge + (INDENT if row.indented else 0.0)
        look: dict[str, Any] = {"size": size, "bold": row.bold, "color": QUIET if small else INK}
        self.block(x, middle - len(lines) * step / 2, lines, step, **look)
        for column in columns:
            x, side = (column.edge + column.width, "right") if column.to_right else (column.edge, "left")
            if column.signs:
                self.sign(column.edge + column.width / 2, middle, column.signs[i])
                continue
            lines = column.cells[i]
            colour = QUIET if row.silent else INK
            self.block(x, middle - len(lines) * LINE / 2, lines, LINE, ha=side, color=colour)

    def sign(self, x: float, middle: float, level: Judgement | None) -> None:
        """Draw a judgement: a disc with its sign; nothing where nothing was judged."""
        if level is None:
            return
        disc = Ellipse(
            (x / self.sheet.width, middle), SIGN / self.sheet.width, SIGN, facecolor=level.face, edgecolor=QUIET,
            linewidth=0.5 * self.shrink, transform=self.beside, zorder=2, label="_sign",
        )  # fmt: skip
        self.ax.add_artist(disc)
        self.text(x, middle, level.sign, bold=True, color=level.ink, ha="center")

    def squares(self, rows: Sequence[Row]) -> None:
        """Draw all squares, their areas as the weights; hollow where others have a weight and this one has none."""
        scale = self.scale
        shown = [
            (row, (self.depths.tops[i] + self.depths.tops[i + 1]) / 2)
            for i, row in enumerate(rows)
            if row.kind == "study" and row.estimable and scale.low <= row.estimate <= scale.high
        ]
        weights = [row.weight for row in rows if row.kind == "study" and math.isfinite(row.weight)]
        most = max(weights, default=0.0)
        for hollow in (False, True):
            group = [(row, y) for row, y in shown if (bool(weights) and math.isnan(row.weight)) is hollow]
            if not group:
                continue
            sides = [
                0.6 * LARGEST_SQUARE
                if math.isnan(row.weight) or most == 0
                else max(LARGEST_SQUARE * math.sqrt(row.weight / most), SMALLEST_SQUARE)
                for row, _ in group
            ]
            self.ax.scatter(
                [row.estimate for row, _ in group],
                [y for _, y in group],
                s=[(side * self.shrink) ** 2 for side in sides],
                marker="s",
                facecolors="white" if hollow else self.look.square,
                edgecolors=INK if hollow else "none",
                linewidths=0.7 * self.shrink if hollow else 0,
                zorder=2,
                label="_not pooled" if hollow else "_squares",
            )

    def stroke(
        self, low: float, high: float, y: float, colour: str, width: float, *, head: str = ""
    ) -> tuple[bool, bool]:
        """Draw an interval as far as the panel reaches; tell which ends were cut and got an arrowhead filled `head`."""
        scale = self.scale
        cut = (low < scale.low, high > scale.high)
        ends = [min(max(end, scale.low), scale.high) for end in (low, high)]
        back = ARROW * self.unit
        if ends[0] < ends[1]:
            inner = (ends[0] + (back / 2 if cut[0] else 0), ends[1] - (back / 2 if cut[1] else 0))
            if inner[0] < inner[1]:
                look: dict[str, Any] = {
                    "color": colour,
                    "lw": width * self.shrink,
                    "ls": "-",
                    "marker": "",
                    "solid_capstyle": "butt",
                }
                self.ax.plot(inner, (y, y), zorder=3, label="_interval", **look)
        for side, (is_cut, end) in enumerate(zip(cut, (scale.low, scale.high), strict=True)):
            if is_cut:
                base = end + back * (1 if side == 0 else -1)
                half = 0.55 * ARROW + width / 2
                self.polygon([(end, y), (base, y - half), (base, y + half)], colour, "_arrow", head)
        return cut

    def polygon(self, corners: Sequence[tuple[float, float]], colour: str, name: str, inside: str = "") -> None:
        """Fill a shape given in the panel's units."""
        line = {"edgecolor": colour, "lw": (0.7 if inside else 0.3) * self.shrink}
        shape = Polygon(corners, closed=True, facecolor=inside or colour, zorder=3, **line)
        shape.set(label=name, joinstyle="miter")
        self.ax.add_patch(shape)

    def study(self, row: Row, y: float) -> None:
        """Draw the interval of a study, over its square."""
        low = row.estimate if math.isnan(row.low) else row.low
        high = row.estimate if math.isnan(row.high) else row.high
        self.stroke(low, high, y, INK, 0.9)

    def diamond(self, row: Row, y: float) -> None:
        """Draw a diamond with its corners at the estimate and the ends of the interval, as far as the panel reaches."""
        scale = self.scale
        if not math.isnan(row.outer[0]):
            self.capped(*row.outer, y, 0.9)  # the diamond lies over it
        if math.isnan(row.low) or math.isnan(row.high):
            look: dict[str, Any] = {
                "marker": "D",
                "ms": 5 * self.shrink,
                "mfc": "white",
                "mec": self.look.diamond,
                "mew": self.shrink,
            }
            if scale.low <= row.estimate <= scale.high:
                self.ax.plot([row.estimate], [y], ls="", zorder=3, label="_summary", **look)
            else:
                self.stroke(row.estimate, row.estimate, y, self.look.diamond, 0.9)
            return
        if row.high < scale.low or row.low > scale.high:
            self.stroke(row.low, row.high, y, self.look.diamond, 0.9)
            return
        ends = (max(row.low, scale.low), min(row.high, scale.high))
        at = sorted({ends[0], min(max(row.estimate, ends[0]), ends[1]), ends[1]})
        upper = [(x, y - DIAMOND * _diamond_height(x, row)) for x in at]
        lower = [(x, 2 * y - depth) for x, depth in reversed(upper) if depth != y]
        self.polygon(upper + lower, self.look.diamond, "_diamond")
        if row.low < scale.low or row.high > scale.high:
            self.stroke(
                row.low, row.high, y, self.look.diamond, 0.9, head="white"
            )  # else lost in a diamond thicker than it

    def bar(self, row: Row, y: float) -> None:
        """Draw a prediction interval: a thick line with end caps, or arrowheads where it is cut."""
        self.capped(row.low, row.high, y, 2.2)

    def capped(self, low: float, high: float, y: float, width: float) -> None:
        """Draw a line in the colour of prediction intervals."""
        cut = self.stroke(low, high, y, PREDICTED, width)
        for end, is_cut in zip((low, high), cut, strict=True):
            if not is_cut and self.scale.low <= end <= self.scale.high:
                look: dict[str, Any] = {
                    "color": PREDICTED,
                    "lw": min(1.2, width) * self.shrink,
                    "ls": "-",
                    "marker": "",
                    "label": "_cap",
                }
                self.ax.plot((end, end), (y - CAP, y + CAP), zorder=3, **look)

    def foot(self) -> None:
        """Write what stands under the axis."""
        depths, sheet = self.depths, self.sheet
        centre = (sheet.start + sheet.end) / 2
        self.block(centre, depths.below_ticks, depths.axis_label, LINE, ha="center")
        if depths.favours:
            self.favours(depths.favours)
        self.block(MARGIN, depths.notes_top, depths.notes, SMALL_LINE, size=SMALL, color=QUIET)

    def favours(self, favours: Favours) -> None:
        """Write what stands on either side of no effect; the outermost thing beneath the axis is an arrow."""
        sheet, top = self.sheet, self.depths.favours_top
        null = sheet.start + (sheet.end - sheet.start) * self.scale.share(self.scale.null)
        for lines, side, align, arrow in zip(favours.sides, (-1, 1), ("right", "left"), "←→", strict=True):
            wide = max(text_width(line, SIZE) for line in lines) if favours.beneath else text_width(arrow, SIZE)
            inner, outer = null + side * WORD_GAP, null + side * (2 * WORD_GAP + wide)
            words, sign = (inner, outer) if favours.beneath else (outer, inner)
            middle = top + (len(lines) if favours.beneath else 1) * LINE / 2
            self.block(words, top, lines, LINE, ha=align)
            self.text(sign, middle, arrow, ha=align)


def _diamond_height(x: float, row: Row) -> float:
    """Half the height of a diamond at `x`, as a share of its greatest; an endless side does not narrow."""
    if x == row.estimate:
        return 1.0
    end = row.low if x < row.estimate else row.high
    return 1.0 if math.isinf(end) else (end - x) / (end - row.estimate)
