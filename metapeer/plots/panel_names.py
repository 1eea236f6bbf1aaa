"""Names beside points, where they cover nothing."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from metapeer.plots.panel import Panel
from metapeer.plots.panel_reading import FloatArray
from metapeer.plots.style import SMALL
from metapeer.plots.text import text_width

__all__ = ["name_points"]

Align = Literal["left", "center", "right"]


def name_points(
    panel: Panel,
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
    panel : Panel
        Where.
    x, y : array of shape (k,)
        The points, in data units.
    labels : sequence of str
        Their names; an empty one is not written.
    radii : array of shape (k,)
        Of the points, in points.
    order : sequence of int
        Which are named, the most important first.
    avoid : sequence of tuple of float
        Boxes that are taken already: left, right, bottom and top in points.

    Returns
    -------
    int
        Names for which there was no room.
    """
    across, up = panel.place(x, y)
    taken: list[tuple[float, float, float, float]] = list(avoid)
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
            if box[0] < 2 or box[1] > panel.wide + 10 or box[2] < 2 or box[3] > panel.high:
                continue
            near_x = np.clip(across, box[0], box[1]) - across
            near_y = np.clip(up, box[2], box[3]) - up
            if (near_x**2 + near_y**2 < radii**2).any():
                continue
            if all(box[1] < a or box[0] > b or box[3] < c or box[2] > d for a, b, c, d in taken):
                taken.append(box)
                panel.write(float(px), float(py) - 0.36 * SMALL, labels[i], size=SMALL, ha=side)
                break
        else:
            left_out += 1
    return left_out
