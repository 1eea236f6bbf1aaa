"""Names beside points, where they cover nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from metapeer.plots.panel import Panel
from metapeer.plots.panel_reading import FloatArray
from metapeer.plots.panel_sheet import Sheet
from metapeer.plots.style import SMALL
from metapeer.plots.text import text_width

__all__ = ["Name", "name_points", "place_names"]

Align = Literal["left", "center", "right"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """Where a name stands.

    Parameters
    ----------
    index : int
        Of its point.
    x, y : float
        Its place on its baseline, in points from the panel's lower left corner.
    side : str
        Which part of it stands there.
    """

    index: int
    x: float
    y: float
    side: Align


def place_names(
    across: FloatArray,
    up: FloatArray,
    labels: Sequence[str],
    radii: FloatArray,
    size: tuple[float, float],
    *,
    order: Sequence[int],
    avoid: Sequence[tuple[float, float, float, float]] = (),
) -> tuple[list[Name], int]:
    """Find room for names beside points, the first in `order` first; count those without room.

    Parameters
    ----------
    across, up : array of shape (k,)
        The points, in points from the panel's lower left corner.
    labels : sequence of str
        Their names; an empty one has no place.
    radii : array of shape (k,)
        Of the points, in points.
    size : tuple of float
        Width and height of the panel.
    order : sequence of int
        Which are named, the most important first.
    avoid : sequence of tuple of float
        Boxes that are taken already: left, right, bottom and top in points.

    Returns
    -------
    tuple of (list of Name, int)
        The places, and for how many there was none.

    Examples
    --------
    >>> one = np.array([50.0])
    >>> names, without = place_names(one, one, ["Trial"], np.array([3.0]), (200.0, 100.0), order=[0])
    >>> [(name.index, name.x, name.side) for name in names], without
    ([(0, 55.5, 'left')], 0)
    """
    taken: list[tuple[float, float, float, float]] = list(avoid)
    found: list[Name] = []
    left_out = 0
    for i in order:
        if not labels[i]:
            continue
        wide, tall, gap = text_width(labels[i], SMALL), SMALL, float(radii[i]) + 2.5
        slant = 0.75 * gap
        places: list[tuple[float, float, Align]] = [
            (across[i] + gap, up[i], "left"),
            (across[i] - gap, up[i], "right"),
            (across[i], up[i] + gap + tall / 2, "center"),
            (across[i], up[i] - gap - tall / 2, "center"),
            *((across[i] + slant, up[i] + side * (slant + tall / 2), "left") for side in (1, -1)),
            *((across[i] - slant, up[i] + side * (slant + tall / 2), "right") for side in (1, -1)),
        ]  # fmt: skip
        for px, py, side in places:
            start = px - {"left": 0.0, "center": wide / 2, "right": wide}[side]
            box = (start - 1, start + wide + 1, py - tall / 2 - 1, py + tall / 2 + 1)
            if box[0] < 2 or box[1] > size[0] + 10 or box[2] < 2 or box[3] > size[1]:
                continue
            near_x = np.clip(across, box[0], box[1]) - across
            near_y = np.clip(up, box[2], box[3]) - up
            if (near_x**2 + near_y**2 < radii**2).any():
                continue
            if all(box[1] < a or box[0] > b or box[3] < c or box[2] > d for a, b, c, d in taken):
                taken.append(box)
                found.append(Name(index=i, x=float(px), y=float(py) - 0.36 * SMALL, side=side))
                break
        else:
            left_out += 1
    return found, left_out


def name_points(
    panel: Panel | Sheet,
    x: FloatArray,
    y: FloatArray,
    labels: Sequence[str],
    radii: FloatArray,
    *,
    order: Sequence[int],
    avoid: Sequence[tuple[float, float, float, float]] = (),
) -> int:
    """Write names beside points where they cover nothing, the first in `order` first; count those without room.

    Parameters
    ----------
    panel : Panel or Sheet
        Where.
    x, y : array of shape (k,)
        The points, in data units.
    labels, radii, order, avoid
        As in `place_names`.

    Returns
    -------
    int
        Names for which there was no room.
    """
    across, up = panel.place(x, y)
    found, left_out = place_names(across, up, labels, radii, (panel.wide, panel.high), order=order, avoid=avoid)
    for name in found:
        panel.write(name.x, name.y, labels[name.index], size=SMALL, ha=name.side)
    return left_out
