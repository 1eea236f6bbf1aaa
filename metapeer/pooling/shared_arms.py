"""What two effects of one trial share when one arm stands in both: the variance that each arm brings in.

An effect of two arms is the difference of two estimates, one for each arm, and its sampling variance is the sum of
theirs. Two effects with one arm in common share that arm's estimate, and with it that part of the variance. A
standardised mean difference shares, besides, the standard deviation it was divided by.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metapeer.pooling.weighted import FloatArray

__all__ = ["ArmParts", "Standardiser", "arm_parts", "shared_correlation"]

Standardiser = Literal["pair", "trial"]

LOGIT_TO_SMD = 3.0 / np.pi**2
"""Variance of a standardised difference for one of a log odds ratio: Chinn (2000), Stat Med 19:3127-3131."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmParts:
    """The parts of the sampling variance of each row.

    Parameters
    ----------
    arm1, arm2 : array of shape (k,)
        Variance of the estimate of each arm, up to a factor for each row; NaN where it cannot be told.
    d : array of shape (k,)
        The standardised mean difference; zero for all else.
    n1, n2 : array of shape (k,)
        Participants; NaN where not known.
    exact : array of bool of shape (k,)
        Whether the parts rest on the figures that the effect itself is computed from, and not on group sizes alone.
    """

    arm1: FloatArray
    arm2: FloatArray
    d: FloatArray
    n1: FloatArray
    n2: FloatArray
    exact: NDArray[np.bool_]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether both parts of a row can be told."""
        return np.isfinite(self.arm1) & np.isfinite(self.arm2) & (self.arm1 > 0) & (self.arm2 > 0)


def arm_parts(measure: str, yi: FloatArray, cells: Mapping[str, FloatArray], *, equal: bool = False) -> ArmParts:
    """Split the sampling variances of effects by arm.

    Parameters
    ----------
    measure : str
        metafor's code of the measure; empty when unknown.
    yi : array of shape (k,)
        Effects.
    cells : mapping of str to array of shape (k,)
        The columns of the arms that there are: ``n1 mean1 sd1 n2 mean2 sd2``, ``events1 total1 events2 total2``,
        ``time1 time2``; NaN where a cell is empty.
    equal : bool, default False
        Whether arms whose sizes are not known are taken for equally large.

    Returns
    -------
    ArmParts
        SMD: 1/n, and d for the shared standard deviation. MD: sd²/n. ROM: sd²/(n mean²). RR: 1/events - 1/total. OR:
        1/events + 1/(total - events). RD: p (1 - p)/total. AS: 1/(4 total). IRR: 1/events. IRD: events/time². IRSD:
        1/(4 time). A half is added to the cells of a row that has an empty one. For any other measure, and where the
        figures are missing, 1/n.

    References
    ----------
    Gleser & Olkin (2009), Stochastically dependent effect sizes, in The Handbook of Research Synthesis and
    Meta-Analysis, 2nd ed., 357-376; Lajeunesse (2011), Ecology 92:2049-2055 (ROM).

    Examples
    --------
    >>> parts = arm_parts("MD", np.array([2.0]), {name: np.array([value]) for name, value in
    ...                   {"n1": 20.0, "sd1": 4.0, "n2": 25.0, "sd2": 5.0}.items()})
    >>> parts.arm1, parts.arm2
    (array([0.8]), array([1.]))
    """
    empty = np.full(yi.size, np.nan)

    def cell(name: str, arm: int) -> FloatArray:
        return cells.get(f"{name}{arm}", empty)

    with np.errstate(all="ignore"):  # empty cells and zeros give NaN and infinity, which `known` tells
        sizes = [np.where(np.isfinite(cell("n", arm)), cell("n", arm), cell("total", arm)) for arm in (1, 2)]
        by_size = [1.0 / size for size in sizes]
        events, totals = ([cell(name, arm) for arm in (1, 2)] for name in ("events", "total"))
        zero = (events[0] <= 0) | (events[1] <= 0)
        full = (events[0] >= totals[0]) | (events[1] >= totals[1])
        more = 0.5 * (zero | (full & (measure not in ("IRR", "IRD"))))
        parts = [
            _part(measure, *cells_of_arm)
            for cells_of_arm in zip(
                [x + more for x in events],
                [x + 2.0 * more for x in totals],
                *([cell(name, arm) for arm in (1, 2)] for name in ("n", "mean", "sd", "time")),
                strict=True,
            )
        ]
        exact = np.isfinite(parts[0]) & np.isfinite(parts[1]) & (parts[0] > 0) & (parts[1] > 0)
        one, two = (np.where(exact, part, size) for part, size in zip(parts, by_size, strict=True))
        standardised = exact & (measure == "SMD") & np.isfinite(cell("n", 1)) & np.isfinite(cell("n", 2))
    if equal:
        lacking = ~(np.isfinite(one) & np.isfinite(two))
        one, two = np.where(lacking, 1.0, one), np.where(lacking, 1.0, two)
    return ArmParts(
        arm1=one, arm2=two, d=np.where(standardised, yi, 0.0), n1=sizes[0], n2=sizes[1], exact=exact.astype(np.bool_)
    )


def _part(
    measure: str,
    events: FloatArray,
    total: FloatArray,
    n: FloatArray,
    mean: FloatArray,
    sd: FloatArray,
    time: FloatArray,
) -> FloatArray:
    """Sampling variance of the estimate of one arm, by the formula of the measure; NaN where there is none."""
    by_odds = 1.0 / events + 1.0 / (total - events)
    if measure == "SMD":
        return np.where(np.isfinite(n), 1.0 / n, LOGIT_TO_SMD * by_odds)
    formulas = {
        "MD": sd**2 / n,
        "ROM": sd**2 / (n * mean**2),
        "RR": 1.0 / events - 1.0 / total,
        "OR": by_odds,
        "RD": (events / total) * (1.0 - events / total) / total,
        "AS": 0.25 / total,
        "IRR": 1.0 / events,
        "IRD": events / time**2,
        "IRSD": 0.25 / time,
    }
    return formulas.get(measure, np.full(n.size, np.nan))


def shared_correlation(
    parts: ArmParts,
    arms: tuple[NDArray[np.intp], NDArray[np.intp]],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    measurements: FloatArray,
    *,
    standardiser: Standardiser = "pair",
    trial_sizes: FloatArray | None = None,
) -> FloatArray:
    """Correlation of the sampling errors of two rows that have an arm in common.

    Parameters
    ----------
    parts : ArmParts
        The variance that each arm brings in.
    arms : pair of array of int of shape (k,)
        Codes of arm 1 and arm 2 of each row; equal codes are the same people.
    first, second : array of int of shape (m,)
        The pairs of rows.
    measurements : array of shape (m,)
        Correlation, within persons, of what the two rows measure; 1 for the same measurement.
    standardiser : {"pair", "trial"}
        Which arms the standard deviation of a standardised mean difference is pooled over: the two of its row, or all
        of the trial.
    trial_sizes : array of shape (k,), optional
        Participants in all arms of the trial of each row, for ``standardiser="trial"``.

    Returns
    -------
    array of shape (m,)
        For rows that share arm 2 the covariance is ``r s_i s_j``, with ``s²`` the part of arm 2, and likewise for arm
        1; where one row's arm 1 is the other's arm 2 its sign is turned. A standardised mean difference adds
        ``r² d_i d_j n/(2 N_i N_j)`` for the standard deviation of the n people shared, ``r² d_i d_j/(2 N)`` where that
        is pooled over all N of the trial. All is divided by the standard errors that follow from the same parts.

    References
    ----------
    Gleser & Olkin (2009), as in `arm_parts`, have 1/n + d_i d_j/(2 N) for a standard deviation pooled over all
    groups. For one that is pooled over the two arms of a row the delta method gives n/(N_i N_j) in the place
    of 1/N: the shared arm's sum of squares is all that the two have in common.
    """
    arm1, arm2 = arms
    big = parts.n1 + parts.n2
    root = {1: np.sqrt(parts.arm1), 2: np.sqrt(parts.arm2)}
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = {1: parts.d * np.sqrt(parts.n1) / big, 2: parts.d * np.sqrt(parts.n2) / big}
    slope = {arm: np.where(parts.d == 0.0, 0.0, value) for arm, value in slope.items()}
    code = {1: arm1, 2: arm2}
    covariance = np.zeros(first.size)
    for mine in (1, 2):
        for theirs in (1, 2):
            same = code[mine][first] == code[theirs][second]
            sign = 1.0 if mine == theirs else -1.0
            mean_part = sign * measurements * root[mine][first] * root[theirs][second]
            sd_part = 0.5 * measurements**2 * slope[mine][first] * slope[theirs][second]
            covariance += np.where(same, mean_part + (sd_part if standardiser == "pair" else 0.0), 0.0)
    spread = 0.5 * (slope[1] ** 2 + slope[2] ** 2)
    if standardiser == "trial" and trial_sizes is not None:
        by_trial = np.where(parts.d == 0.0, 0.0, parts.d / np.sqrt(trial_sizes))
        covariance += 0.5 * measurements**2 * by_trial[first] * by_trial[second]
        spread = 0.5 * by_trial**2
    variance = parts.arm1 + parts.arm2 + spread
    correlation: FloatArray = covariance / np.sqrt(variance[first] * variance[second])
    return correlation
