"""Axes for curves and clouds, with title, axis labels, legend and notes around them, all within the width asked for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError
from metapeer.plots.cells import clean_text, true_minus
from metapeer.plots.forest_scale import is_finite
from metapeer.plots.panel_reading import FloatArray, Width, check_axes, inches
from metapeer.plots.style import INK, LINE, QUIET, RULE, SIZE, SMALL, SMALL_LINE, TITLE, TITLE_LINE, root_figure
from metapeer.plots.text import FAMILY, PlainText, text_width, wrap_text

__all__ = ["Sheet", "check_sides", "dress", "note_lines"]

MARGIN = 8.0
HANDLE, BESIDE, APART = 2.0, 0.8, 1.8
"""Length of a legend's handle, its distance from the text, and the distance of columns, in sizes of its type."""
LEGEND_LINE = 1.18
"""Height of a line of the legend, as matplotlib sets it with the usual spacing, in sizes of its type."""


def check_sides(width: Width, height: Width, null: float | None, ax: Axes | None) -> tuple[float, float]:
    """Read both sides of a figure in inches, and check what goes with them.

    Parameters
    ----------
    width, height : float or str
        As `inches` reads them.
    null : float, optional
        Where there is no effect.
    ax : Axes, optional
        Of the caller.

    Returns
    -------
    tuple of float
        Width and height in inches.

    Raises
    ------
    ChoiceError
        If one of them makes no sense.
    """
    if null is not None and not is_finite(null):
        raise ChoiceError(f"null_value must be a finite number or None, not {null!r}")
    check_axes(ax)
    return inches(width), inches(height, "height")


def note_lines(notes: Sequence[str]) -> list[str]:
    """Clean notes, and leave out empty ones.

    Parameters
    ----------
    notes : sequence of str
        One or several.

    Returns
    -------
    list of str
        With true minus signs.
    """
    remarks = (notes,) if isinstance(notes, str) else tuple(notes)
    return [true_minus(clean_text(note)) for note in remarks if clean_text(note)]


def dress(panel: Axes, *, bottom: str = RULE, spines: Sequence[str] = ("left", "bottom")) -> None:
    """Give ticks and frame the house's look: two thin axes and nothing else.

    Parameters
    ----------
    panel : Axes
        With its ticks in place.
    bottom : str
        Colour of the axis across.
    spines : sequence of str
        Which are seen.
    """
    panel.minorticks_off()
    panel.tick_params(labelsize=SIZE, length=3, width=0.8, color=RULE, labelcolor=INK, labelfontfamily=FAMILY)
    for side, spine in panel.spines.items():
        spine.set_visible(side in spines)
        spine.set_color(bottom if side == "bottom" else RULE)
        spine.set_linewidth(0.8)


class Sheet:
    """Axes with room for title, labels, legend and notes, measured in points.

    Parameters
    ----------
    ax : Axes, optional
        Of the caller; by default a new figure, unknown to pyplot.
    sides : tuple of float
        Width of the figure and height of the panel, in inches.
    words : tuple
        Title, labels of the axes across and up, and notes.
    tick : float
        Width of the widest label of a tick on the axis up, in points.
    keys : sequence of Artist
        Entries of a legend under the axis, each with its label.
    keys_title : str
        Stands above them.
    beside : float
        Points kept free to the right of the panel.
    """

    def __init__(
        self,
        ax: Axes | None,
        sides: tuple[float, float],
        words: tuple[str, str, str, Sequence[str]],
        tick: float,
        *,
        keys: Sequence[Artist] = (),
        keys_title: str = "",
        beside: float = 0.0,
    ) -> None:
        width, height = (72.0 * side for side in sides)
        title, x_label, y_label, notes = words
        if ax is not None:
            box = ax.get_window_extent()
            inner, high = (side * 72 / root_figure(ax).dpi for side in (box.width, box.height))
            if not (inner > 0 and high > 0):
                raise ChoiceError("ax have no room to draw in")
        else:
            high = height
        self.y_label = wrap_text(y_label, high, SIZE) if y_label else []
        left, right = tick + 14 + LINE * len(self.y_label), 14.0 + beside
        if ax is None:
            inner = max(width - left - right, width / 4)
        full = max(inner + min(left, width) + right - beside - 2 * MARGIN, inner / 2)
        self.tick, self.wide, self.high, self.start = tick, inner, high, MARGIN - min(left, width)
        self.title = wrap_text(title, full + beside, TITLE, bold=True) if title else []
        self.x_label = wrap_text(x_label, inner, SIZE) if x_label else []
        self.notes = [line for note in notes for line in wrap_text(note, full + beside, SMALL)]
        self.keys, self.keys_title = list(keys), keys_title
        self.columns, self.keys_high = self._lay_out_keys(full)
        if ax is not None:
            self.ax = ax
            return
        top = MARGIN + (TITLE_LINE * len(self.title) + 2 if self.title else 0)
        bottom = (2.4 + len(self.x_label)) * LINE + self.keys_high + SMALL_LINE * (len(self.notes) + 0.5)
        tall = height + top + bottom
        no_engine: Any = "none"  # matplotlib's types forget this choice; without it the caller's rcParams decide
        figure = Figure((width / 72, tall / 72), facecolor="white", layout=no_engine)
        self.ax = figure.add_axes((left / width, bottom / tall, inner / width, height / tall))

    def _lay_out_keys(self, full: float) -> tuple[int, float]:
        """Break labels that are too long; find how many columns fit, and how high they are."""
        if not self.keys:
            return 1, 0.0
        mark = (HANDLE + BESIDE) * SMALL
        for key in self.keys:
            key.set_label("\n".join(wrap_text(true_minus(clean_text(key.get_label())), max(full - mark, 40), SMALL)))
        texts = [str(key.get_label()).split("\n") for key in self.keys]
        needs = [mark + max(text_width(line, SMALL) for line in lines) for lines in texts]

        def filled(columns: int) -> list[list[int]]:
            """Entries run down the columns; the first ones take what is left over."""
            each, more = divmod(len(needs), columns)
            ends = [sum(each + (j < more) for j in range(i + 1)) for i in range(columns)]
            return [list(range(a, b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]

        def fits(columns: int) -> bool:
            wide = sum(max(needs[i] for i in column) for column in filled(columns))
            return wide + (columns - 1) * APART * SMALL <= full

        columns = next((n for n in range(min(len(needs), 4), 1, -1) if fits(n)), 1)
        down = max(sum(LEGEND_LINE * SMALL * len(texts[i]) + 0.5 * SMALL for i in column) for column in filled(columns))
        return columns, down + (SMALL_LINE + 3 if self.keys_title else 0) + 4

    def place(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Turn data into points from the panel's lower left corner, once its limits are set.

        Parameters
        ----------
        x, y : array
            In data units.

        Returns
        -------
        tuple of array
            In points.
        """
        (left, right), (low, high) = self.ax.get_xlim(), self.ax.get_ylim()
        return (np.asarray(x) - left) / (right - left) * self.wide, (np.asarray(y) - low) / (high - low) * self.high

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
        look = {"color": INK, "ha": "left", "va": "baseline", "zorder": 6, "clip_on": False, **look}
        line = PlainText(x / self.wide, y / self.high, text, size=size, transform=self.ax.transAxes, **look)
        self.ax.add_artist(line)
        return line

    def finish(self) -> None:
        """Set title, axis labels, legend and notes; distances are in points from the panel's lower left corner."""
        for i, line in enumerate(reversed(self.title)):
            self.write(self.start, self.high + 7 + i * TITLE_LINE, line, size=TITLE, bold=True)
        for i, line in enumerate(self.x_label):
            self.write(self.wide / 2, -(2.4 + i) * LINE, line, ha="center")
        for i, line in enumerate(reversed(self.y_label)):
            place = -self.tick - 12 - i * LINE
            self.write(place, self.high / 2, line, ha="right", va="center", rotation=90)
        depth = (2.1 + len(self.x_label)) * LINE
        if self.keys:
            self._write_keys(depth)
        below = -depth - self.keys_high - 0.7 * LINE
        for i, line in enumerate(self.notes):
            self.write(self.start, below - i * SMALL_LINE, line, size=SMALL, color=QUIET)

    def _write_keys(self, depth: float) -> None:
        """Set the legend under the axis, where it hides nothing."""
        legend = self.ax.legend(
            handles=self.keys,
            title=self.keys_title or None,
            loc="upper left",
            bbox_to_anchor=(self.start / self.wide, -depth / self.high),
            ncols=self.columns,
            frameon=False,
            borderpad=0.0,
            borderaxespad=0.0,
            handlelength=HANDLE,
            handletextpad=BESIDE,
            columnspacing=APART,
            labelspacing=0.5,
            alignment="left",
            prop={"family": FAMILY, "size": SMALL},
            title_fontproperties={"family": FAMILY, "size": SMALL},
            labelcolor=INK,
        )
        for text in [*legend.get_texts(), legend.get_title()]:
            text.set(usetex=False, parse_math=False)
        legend.set_zorder(6)
