"""The manners of forest plots: where effect and weight stand, how they are written, and what colours they have."""

from collections.abc import Mapping
from dataclasses import dataclass

from metapeer.plots.style import POOLED, STUDY

__all__ = ["LAYOUTS", "Look"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One manner.

    Parameters
    ----------
    left, right : tuple of str
        ``"effect"`` and ``"weight"``, on the side and in the order where they stand unless the caller says otherwise.
    opens, between, closes : str
        What stands around the limits of an interval.
    heads : tuple of str
        Headers of the effect, with places for the measure and the level, and of the weight.
    percent : bool
        Whether each weight has its sign of per cent.
    square, diamond : str
        Colours.
    reference : bool
        Whether a dashed line marks the pooled effect.
    """

    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ("effect", "weight")
    opens: str = "("
    between: str = " to "
    closes: str = ")"
    heads: tuple[str, str] = ("{measure} ({level} CI)", "Weight")
    percent: bool = True
    square: str = STUDY
    diamond: str = POOLED
    reference: bool = True

    def interval(self, low: str, high: str) -> str:
        """Write an interval.

        Parameters
        ----------
        low, high : str
            Its limits, written.

        Returns
        -------
        str
            Such as ``"(0.11 to 0.27)"``.
        """
        return f"{self.opens}{low}{self.between}{high}{self.closes}"


LAYOUTS: Mapping[str, Look] = {
    "metapeer": Look(),
    "revman": Look(
        left=("weight", "effect"),
        right=(),
        opens="[",
        between=", ",
        closes="]",
        heads=("{measure} [{level} CI]", "Weight"),
        square="#2a6fbb",
        diamond="#111111",
        reference=False,
    ),
    "jama": Look(
        left=("effect",),
        right=("weight",),
        heads=("{measure} ({level} CI)", "Weight, %"),
        percent=False,
        square="#5b7f95",
        diamond="#243b4a",
    ),
    "bmj": Look(
        right=("weight", "effect"),
        heads=("{measure} ({level} CI)", "Weight (%)"),
        percent=False,
        square="#2f83b7",
        diamond="#2f83b7",
    ),
}
"""The house's own; Cochrane's Review Manager (Cochrane Handbook, chapter 10); and two journals'."""
