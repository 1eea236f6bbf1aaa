"""Ways to read the raw numbers of a row otherwise than they stand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["SINGLE", "SYSTEMATIC", "Alteration", "Truth"]

FloatArray = NDArray[np.float64]
Truth = Literal["raw", "printed"]
Change = Callable[[dict[str, FloatArray]], dict[str, FloatArray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """A way to read the raw numbers otherwise.

    Parameters
    ----------
    code, words, columns, truth, rank
        As in `metapeer.auditing.rederive_slips.Reading`.
    change : callable
        Other raw numbers, from those of all rows.
    """

    code: str
    words: str
    columns: tuple[str, ...]
    truth: Truth
    change: Change
    rank: int = 0


def _scale_sds(power: float, arms: str = "12") -> Change:
    return lambda raw: {f"sd{a}": raw[f"sd{a}"] * raw[f"n{a}"] ** power for a in arms}


def _swap(*stems: str) -> Change:
    return lambda raw: {f"{s}{a}": raw[f"{s}{b}"] for s in stems for a, b in (("1", "2"), ("2", "1"))}


def _round_to(stems: tuple[str, ...], digits: int) -> Change:
    return lambda raw: {f"{s}{a}": np.round(raw[f"{s}{a}"], digits) for s in stems for a in "12"}


def _times(cell: str, factor: float) -> Change:
    return lambda raw: {cell: raw[cell] * factor}


def _plus(cell: str, step: float) -> Change:
    return lambda raw: {cell: raw[cell] + step}


def _as_counts(raw: dict[str, FloatArray]) -> dict[str, FloatArray]:
    return {f"events{a}": np.round(raw[f"events{a}"] * raw[f"total{a}"] / 100) for a in "12"}


def _as_percentages(digits: int) -> Change:
    def change(raw: dict[str, FloatArray]) -> dict[str, FloatArray]:
        shares = {f"events{a}": np.round(100 * raw[f"events{a}"] / raw[f"total{a}"], digits) for a in "12"}
        return shares | {f"total{a}": np.full_like(raw[f"total{a}"], 100.0) for a in "12"}

    return change


def _as_rest(raw: dict[str, FloatArray]) -> dict[str, FloatArray]:
    return {f"events{a}": raw[f"total{a}"] - raw[f"events{a}"] for a in "12"}


def _plus_events(raw: dict[str, FloatArray]) -> dict[str, FloatArray]:
    return {f"total{a}": raw[f"total{a}"] + raw[f"events{a}"] for a in "12"}


def _rounded_words(cells: str, digits: int) -> str:
    return f"the {cells} were rounded to {digits} decimal{'' if digits == 1 else 's'} before the effect was computed"


_PRINTED_DIGITS = 9  # no rounding
_SDS = ("sd1", "sd2")
_SIZES = ("n1", "n2")

SYSTEMATIC: dict[str, tuple[Alteration, ...]] = {
    "means": (
        Alteration(code="raw_sd_is_se", words="the SDs are standard errors (they fit only times the root of n)",
                   columns=_SDS, truth="printed", change=_scale_sds(0.5)),
        Alteration(code="sd_taken_for_se", words="the SDs were divided by the root of n before the effect was computed",
                   columns=_SDS, truth="raw", change=_scale_sds(-0.5)),
        Alteration(code="sd_is_variance", words="the SDs are variances (they fit only as their root)",
                   columns=_SDS, truth="printed", change=lambda raw: {s: np.sqrt(raw[s]) for s in _SDS}),
        Alteration(code="sd_squared", words="the SDs were squared before the effect was computed",
                   columns=_SDS, truth="raw", change=lambda raw: {s: raw[s] ** 2 for s in _SDS}),
    ),
    "events": (
        Alteration(code="percentages_as_counts", words="the events are percentages, to be turned into counts",
                   columns=("events1", "events2"), truth="printed",
                   change=_as_counts),
        *(Alteration(code="counts_as_percentages", words="percentages were used as if they were counts out of 100",
                     columns=("events1", "events2"), truth="raw", change=_as_percentages(digits))
          for digits in (_PRINTED_DIGITS, 1, 0)),
        Alteration(code="total_is_rest", words="the totals were taken for those without the event",
                   columns=("total1", "total2"), truth="raw",
                   change=_plus_events),
    ),
}  # fmt: skip
"""Readings that can hold for a whole column."""

SINGLE: dict[str, tuple[Alteration, ...]] = {
    "means": (
        *(Alteration(code="raw_sd_is_se", words=f"sd{a} alone is a standard error", columns=(f"sd{a}",),
                     truth="printed", change=_scale_sds(0.5, a), rank=1) for a in "12"),
        *(Alteration(code="sd_taken_for_se", words=f"sd{a} alone was divided by the root of n", columns=(f"sd{a}",),
                     truth="raw", change=_scale_sds(-0.5, a), rank=1) for a in "12"),
        Alteration(code="n_swapped", words="the sizes of the arms stand in each other's place", columns=_SIZES,
                   truth="printed", change=_swap("n")),
        Alteration(code="sd_swapped", words="the SDs of the arms stand in each other's place", columns=_SDS,
                   truth="printed", change=_swap("sd"), rank=1),
        *(Alteration(code="minus_lost", words=f"mean{a} has lost or gained a minus sign", columns=(f"mean{a}",),
                     truth="printed", change=_times(f"mean{a}", -1.0)) for a in "12"),
        *(Alteration(code="fewer_digits", words=_rounded_words(words, d), truth="raw",
                     columns=tuple(f"{s}{a}" for s in stems for a in "12"), change=_round_to(stems, d), rank=1)
          for stems, words in ((("sd",), "SDs"), (("mean",), "means"), (("mean", "sd"), "means and SDs"))
          for d in (3, 2, 1, 0)),
        *(Alteration(code="decimal_point", words=f"the decimal point of {cell} is misplaced", columns=(cell,),
                     truth="printed", change=_times(cell, f), rank=2)
          for cell in ("mean1", "sd1", "n1", "mean2", "sd2", "n2") for f in (10.0, 0.1, 100.0, 0.01)),
        *(Alteration(code="n_one_off", words=f"{cell} is off by {abs(step):g}", columns=(cell,), truth="printed",
                     change=_plus(cell, step), rank=3) for cell in _SIZES for step in (1.0, -1.0, 2.0, -2.0)),
    ),
    "events": (
        Alteration(code="n_swapped", words="the totals of the arms stand in each other's place",
                   columns=("total1", "total2"), truth="printed", change=_swap("total")),
        Alteration(code="events_are_rest", words="those without the event were counted",
                   columns=("events1", "events2"), truth="printed",
                   change=_as_rest),
        *(Alteration(code="count_off", words=f"{cell} is off by {abs(step):g}", columns=(cell,), truth="printed",
                     change=_plus(cell, step), rank=3) for cell in ("events1", "total1", "events2", "total2")
          for step in (1.0, -1.0, 2.0, -2.0)),
        *(Alteration(code="decimal_point", words=f"the decimal point of {cell} is misplaced", columns=(cell,),
                     truth="printed", change=_times(cell, f), rank=2)
          for cell in ("events1", "total1", "events2", "total2") for f in (10.0, 0.1)),
    ),
}  # fmt: skip
"""Readings of single cells, or of one row."""
