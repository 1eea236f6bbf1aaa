"""A panel with its words: title above, axis labels, favours, a key and notes below, all measured before it is drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D, Transform

from metapeer.errors import ChoiceError
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.panel_reading import FloatArray, Width, check_axes, inches
from metapeer.plots.style import (
    INK,
    LINE,
    POOLED,
    QUIET,
    RULE,
    SIZE,
    SMALL,
    SMALL_LINE,
    STUDY,
    TITLE,
    TITLE_LINE,
    root_figure,
)
from metapeer.plots.text import FAMILY, PlainText, text_width, wrap_text
from metapeer.plots.ticks import tick_text, ticks_within

__all__ = ["Axis", "Key", "Panel", "Words", "names_height"]

MARGIN, TICK_GAP, SWATCH, KEY_GAP = 8.0, 6.0, 20.0, 12.0  # points
NAMES, NAME_LINES = 0.34, 4  # of the width, and lines, that a name beside the panel may take


def _name_lines(name: str, whole: float) -> list[str]:
    """Break a name beside the panel; what does not fit on so many lines is cut."""
    lines = wrap_text(name, max(NAMES * whole, 60), SIZE)
    return lines if len(lines) <= NAME_LINES else [*lines[: NAME_LINES - 1], f"{lines[NAME_LINES - 1][:-2]}…"]


def names_height(names: Sequence[str], width: Width) -> float:
    """Tell how high the tallest name beside a panel is.

    Parameters
    ----------
    names : sequence of str
        What stands beside the panel.
    width : float or str
        Of the figure.

    Returns
    -------
    float
        In points, with some room around it.

    Examples
    --------
    >>> names_height(["short"], 5) < names_height(["long " * 40], 5)
    True
    """
    return 4.0 + LINE * max((len(_name_lines(name, 72 * inches(width))) for name in names), default=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis.

    Parameters
    ----------
    low, high : float
        Its ends; logarithms when `log`.
    label : str
        What it shows.
    log : bool
        Whether it shows ratios.
    names : tuple of str
        What stands at 0, 1, 2, ... instead of numbers, on four lines at most.
    """

    low: float
    high: float
    label: str = ""
    log: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One entry of the key.

    Parameters
    ----------
    label : str
        What it is called.
    marker : str
        A matplotlib marker; empty for none.
    line : object
        A matplotlib line style; empty for none.
    colour, face : str
        Of the line and the marker's edge, and of the marker or the field within.
    width : float
        Of the line, in points.
    field : bool
        Whether it is a field of colour.
    """

    label: str
    marker: str = ""
    line: Any = ""
    colour: str = POOLED
    face: str = STUDY
    width: float = 1.2
    field: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is written around the panel.

    Parameters
    ----------
    title : str
        Stands above.
    notes : sequence of str
        Stand below.
    favours : tuple of str, optional
        What the low and the high end of the axis across favour.
    """

    title: object = ""
    notes: Sequence[str] = ()
    favours: tuple[str, str] | None = None


@dataclass(slots=True)
class Panel:
    """Axes of known size in points, with everything around them in place.

    Parameters
    ----------
    across, up : Axis
        The axes.
    words : Words
        Around the panel.
    keys : sequence of Key
        Entries of the key, under the axis.
    width : float or str
        Of the whole figure.
    height : float or str
        Of the panel.
    ax : Axes, optional
        Where to draw, everything but the panel itself around its box; by default a new figure.
    right : float
        Points kept free on the right of the panel.
    """

    across: Axis
    up: Axis
    words: Words
    keys: Sequence[Key] = ()
    width: Width = 5.5
    height: Width = 3.8
    ax: Axes | None = None
    right: float = 16.0
    axes: Axes = field(init=False)
    wide: float = field(init=False)
    high: float = field(init=False)

    def __post_init__(self) -> None:
        check_axes(self.ax)
        whole, tall = 72 * inches(self.width), 72 * inches(self.height, "height")
        if self.ax is not None:
            box, dpi = self.ax.get_window_extent(), root_figure(self.ax).dpi
            self.wide, self.high = box.width * 72 / dpi, box.height * 72 / dpi
            if not (self.wide > 0 and self.high > 0):
                raise ChoiceError("ax have no room to draw in")
        else:
            self.wide, self.high = math.nan, tall
        title, notes = clean_text(self.words.title), [true_minus(clean_text(note)) for note in self._notes()]
        up_label = wrap_text(clean_text(self.up.label), self.high, SIZE) if self.up.label else []
        names = [_name_lines(name, whole) for name in self.up.names]
        y_ticks = [] if names else ticks_within(self.up.low, self.up.high, self.high, 2.5 * SIZE, ratio=self.up.log)
        y_texts = tick_text(y_ticks, common=not self.up.log)
        longest = [text_width(line, SIZE) for lines in names for line in lines] or [
            text_width(t, SIZE) for t in y_texts
        ]
        tick = max(longest, default=0.0)
        left = MARGIN + LINE * len(up_label) + (4 if up_label else 0) + tick + TICK_GAP
        if self.ax is None:
            self.wide = max(whole - left - self.right, 0.3 * whole)
        left_free = min(left, whole)
        full = self.wide + left_free + self.right - 2 * MARGIN
        lines = wrap_text(title, full, TITLE, bold=True) if title else []
        across = wrap_text(clean_text(self.across.label), self.wide, SIZE) if self.across.label else []
        favours = self._favours()
        keys = self._key_rows(full)
        below = [line for note in notes if note for line in wrap_text(note, full, SMALL)]
        depth = TICK_GAP + LINE + 2
        places = {"across": depth}
        depth += LINE * len(across) + (2 if across else 0)
        places["favours"] = depth
        depth += LINE * max((len(side) for side in favours), default=0) + (2 if favours else 0)
        places["keys"] = depth + 4
        depth += sum(SMALL_LINE * max(len(text) for _, _, text in row) + 2 for row in keys) + (6 if keys else 0)
        places["notes"] = depth + 4
        depth += SMALL_LINE * len(below) + (4 if below else 0)
        if self.ax is None:
            top = MARGIN + (TITLE_LINE * len(lines) + 4 if lines else 2)
            size = (left + self.wide + self.right, top + self.high + depth + MARGIN)
            no_engine: Any = "none"  # matplotlib's types forget this choice; without it the caller's rcParams decide
            figure = Figure((size[0] / 72, size[1] / 72), facecolor="white", layout=no_engine)
            self.axes = figure.add_axes(
                (left / size[0], (depth + MARGIN) / size[1], self.wide / size[0], self.high / size[1])
            )
        else:
            self.axes = self.ax
        self.axes.set_xlim(self.across.low, self.across.high)
        self.axes.set_ylim(self.up.low, self.up.high)
        self._dress(y_ticks, y_texts, names)
        self._write_around(lines, across, up_label, favours, (MARGIN - left_free, MARGIN - left), places)
        self._paint_keys(keys, MARGIN - left_free, places["keys"])
        for i, line in enumerate(below):
            depth = -places["notes"] - (i + 0.8) * SMALL_LINE
            self.write(MARGIN - left_free, depth, line, size=SMALL, color=QUIET)

    def _write_around(
        self,
        title: Sequence[str],
        across: Sequence[str],
        up: Sequence[str],
        favours: Sequence[Sequence[str]],
        starts: tuple[float, float],
        places: dict[str, float],
    ) -> None:
        """Set title, axis labels and what the ends of the axis favour."""
        for i, line in enumerate(reversed(title)):
            self.write(starts[0], self.high + 5 + i * TITLE_LINE, line, size=TITLE, bold=True)
        for i, line in enumerate(across):
            self.write(self.wide / 2, -places["across"] - (i + 0.8) * LINE, line, ha="center")
        for i, line in enumerate(up):
            place = starts[1] + (i + 0.8) * LINE
            self.write(place, self.high / 2, line, ha="center", rotation=90, rotation_mode="anchor")
        for side, text in enumerate(favours):
            for i, line in enumerate(text):
                place = 0.0 if side == 0 else self.wide
                self.write(place, -places["favours"] - (i + 0.8) * LINE, line, ha="right" if side else "left")

    @property
    def figure(self) -> Figure:
        """The figure drawn on."""
        return root_figure(self.axes)

    def _notes(self) -> tuple[str, ...]:
        notes = self.words.notes
        return (notes,) if isinstance(notes, str) else tuple(notes)

    def _favours(self) -> list[list[str]]:
        pair = self.words.favours
        if pair is None:
            return []
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise ChoiceError(f"favours must be two texts, for the low and the high end, not {pair!r}")
        texts = f"← {clean_text(pair[0])}", f"{clean_text(pair[1])} →"
        return [wrap_text(text, self.wide / 2 - 8, SIZE) for text in texts]

    def points(self) -> Transform:
        """From points, counted from the panel's lower left corner, to the canvas.

        Returns
        -------
        Transform
            For artists that keep their distance from the panel.
        """
        return Affine2D().scale(1 / self.wide, 1 / self.high) + self.axes.transAxes

    def place(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Turn data into points from the panel's lower left corner.

        Parameters
        ----------
        x, y : array
            In data units.

        Returns
        -------
        tuple of array
            In points.
        """
        return (
            (np.asarray(x) - self.across.low) / (self.across.high - self.across.low) * self.wide,
            (np.asarray(y) - self.up.low) / (self.up.high - self.up.low) * self.high,
        )

    def write(self, x: float, y: float, text: str, *, size: float = SIZE, **look: Any) -> PlainText:
        """Set a line of type at points from the panel's lower left corner.

        Parameters
        ----------
        x, y : float
            In points.
        text : str
            One line.
        size : float
            Of the type.
        **look
            Passed to `PlainText`.

        Returns
        -------
        PlainText
            What was added.
        """
        look = {"color": INK, "ha": "left", "va": "baseline", **look}
        line = PlainText(x, y, text, size=size, transform=self.points(), clip_on=False, zorder=6, **look)
        self.axes.add_artist(line)
        return line

    def _key_rows(self, full: float) -> list[list[tuple[float, Key, list[str]]]]:
        """Entries side by side as long as they fit, each with its distance from the left."""
        rows: list[list[tuple[float, Key, list[str]]]] = []
        at = math.inf
        for key in self.keys:
            text = wrap_text(true_minus(clean_text(key.label)), full - SWATCH, SMALL)
            need = SWATCH + max(text_width(line, SMALL) for line in text)
            if at + need > full:
                rows.append([])
                at = 0.0
            rows[-1].append((at, key, text))
            at += need + KEY_GAP
        return rows

    def _paint_keys(self, rows: Sequence[Sequence[tuple[float, Key, list[str]]]], start: float, depth: float) -> None:
        points = self.points()
        for row in rows:
            for at, key, text in row:
                y, x = -depth - 0.5 * SMALL_LINE, start + at
                if key.field:
                    patch = Rectangle((x, y - 3), SWATCH - 6, 6, facecolor=key.face, edgecolor=RULE, linewidth=0.5)
                    patch.set(transform=points, clip_on=False, label="_key")
                    self.axes.add_patch(patch)
                if key.line:
                    ends = [x, x + SWATCH - 6]
                    line = Line2D(ends, [y, y], color=key.colour, lw=key.width, ls=key.line, transform=points)
                    line.set(clip_on=False, label="_key")
                    self.axes.add_line(line)
                if key.marker:
                    mark = Line2D([x + SWATCH / 2 - 3], [y], marker=key.marker, ls="none", ms=5, transform=points)
                    mark.set(markerfacecolor=key.face, markeredgecolor=key.colour, markeredgewidth=0.8)
                    mark.set(clip_on=False, label="_key")
                    self.axes.add_line(mark)
                for i, line_of_text in enumerate(text):
                    self.write(x + SWATCH, -depth - (i + 0.8) * SMALL_LINE, line_of_text, size=SMALL)
            depth += SMALL_LINE * max(len(text) for _, _, text in row) + 2

    def _dress(self, y_ticks: Sequence[float], y_texts: Sequence[str], names: Sequence[Sequence[str]]) -> None:
        """Two thin axes and nothing else."""
        axes, log = self.axes, self.across.log
        axes.set_autoscale_on(False)
        if self.across.names:
            axes.set_xticks([])
        else:
            ticks = ticks_within(self.across.low, self.across.high, self.wide, SIZE, ratio=log)
            places = [math.log(tick) if log else tick for tick in ticks]
            axes.set_xticks(places, labels=tick_text(ticks, common=not log))
        if names:
            axes.set_yticks([])
            for i, lines in enumerate(names):
                _, y = self.place(np.array([0.0]), np.array([float(i)]))
                for j, line in enumerate(lines):
                    middle = float(y[0]) + (len(lines) / 2 - j - 0.5) * LINE
                    self.write(-TICK_GAP, middle - 0.36 * SIZE, line, ha="right")
        else:
            axes.set_yticks([math.log(t) if self.up.log else t for t in y_ticks], labels=list(y_texts))
        axes.minorticks_off()
        axes.tick_params(labelsize=SIZE, length=3, width=0.8, color=RULE, labelcolor=INK, labelfontfamily=FAMILY)
        for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
            label.set(usetex=False, parse_math=False)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom" or (side == "left" and not names))
            spine.set_color(RULE)
            spine.set_linewidth(0.8)
