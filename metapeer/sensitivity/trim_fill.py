"""Duval and Tweedie's trim and fill on arrays: how many studies are missing on one side, and where they would lie."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metapeer.errors import ConvergenceError, MetapeerError
from metapeer.pooling.weighted import FloatArray

__all__ = ["ESTIMATORS", "Missing", "missing_studies"]

ESTIMATORS = ("L0", "R0", "Q0")
_MOST = 100
"""Iterations; Duval and Tweedie's examples need three or four."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Missing:
    """Studies that trim and fill takes to be missing.

    Parameters
    ----------
    k0 : int
        How many.
    k0_se : float
        Standard error of the estimate of k0, before rounding; NaN where the formula gives a negative variance.
    p_value : float
        For R0 the probability of as many if none is missing; NaN for the others.
    trimmed : array of shape (k0,)
        Positions of the studies whose mirror images are missing, the nearest first.
    centre : float
        Mean of the studies that were not trimmed, about which they are mirrored.
    iterations : int
        Until the number no longer changed.
    """

    k0: int
    k0_se: float
    p_value: float
    trimmed: "np.typing.NDArray[np.intp]"
    centre: float
    iterations: int


def _estimate(estimator: str, signed: FloatArray) -> tuple[float, float]:
    """Number of missing studies and its standard error from signed ranks of distances from the centre."""
    k = float(signed.size)
    if estimator == "R0":
        negative = signed[signed < 0]
        k0 = k - float(-negative.min() if negative.size else 0.0) - 1.0
        return k0, math.sqrt(2.0 * max(0.0, k0) + 2.0)
    S = float(signed[signed > 0].sum())
    if estimator == "L0":
        k0 = (4.0 * S - k * (k + 1.0)) / (2.0 * k - 1.0)
    else:
        inside = 2.0 * k**2 - 4.0 * S + 0.25
        if inside < 0.0:
            raise MetapeerError("estimator Q0 is not defined for these effects; use estimator='L0' or 'R0'")
        k0 = k - 0.5 - math.sqrt(inside)
    variance = (
        k * (k + 1.0) * (2.0 * k + 1.0)
        + 10.0 * k0**3
        + 27.0 * k0**2
        + 17.0 * k0
        - 18.0 * k * k0**2
        - 18.0 * k * k0
        + 6.0 * k**2 * k0
    ) / 24.0
    if variance < 0.0:
        return k0, math.nan
    if estimator == "L0":
        return k0, 4.0 * math.sqrt(variance) / (2.0 * k - 1.0)
    below = (k - 0.5) ** 2 - k0 * (2.0 * k - k0 - 1.0)
    return k0, 2.0 * math.sqrt(variance / below) if below > 0.0 else math.nan


def missing_studies(
    yi: FloatArray,
    vi: FloatArray,
    *,
    side: str,
    estimator: str,
    mean: Callable[[FloatArray, FloatArray], float],
) -> Missing:
    """Estimate how many studies are missing on one side of the funnel.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their variances; k at least 2.
    side : {"left", "right"}
        Where studies are missing.
    estimator : {"L0", "R0", "Q0"}
        Of their number.
    mean : callable
        From effects and variances to their mean.

    Returns
    -------
    Missing
        The number, and whose mirror images they are.

    Raises
    ------
    ConvergenceError
        If the number goes to and fro.
    MetapeerError
        If Q0 is not defined.

    References
    ----------
    Duval & Tweedie (2000), J Am Stat Assoc 95:89-98 and Biometrics 56:455-463.

    Examples
    --------
    >>> yi = np.array([0.0, 0.1, 0.15, 0.4, 0.6, 0.8])
    >>> found = missing_studies(yi, np.full(6, 0.04), side="left", estimator="L0", mean=lambda y, v: float(y.mean()))
    >>> found.k0, found.trimmed.tolist(), round(found.centre, 3)
    (0, [], 0.342)
    """
    sign = -1.0 if side == "right" else 1.0
    order = np.argsort(sign * yi, kind="stable")
    y, v = sign * yi[order], vi[order]
    k = y.size
    k0, before, iterations = 0, -1, 0
    centre, se = math.nan, math.nan
    while k0 != before:
        before = k0
        iterations += 1
        if iterations > _MOST:
            raise ConvergenceError(
                "trim and fill does not settle on a number of studies; use another estimator ('L0', 'R0', 'Q0')"
            )
        centre = mean(y[: k - k0], v[: k - k0])
        distance = y - centre
        ranks = np.empty(k)
        ranks[np.argsort(np.abs(distance), kind="stable")] = np.arange(1.0, k + 1.0)
        raw, se = _estimate(estimator, np.sign(distance) * ranks)
        # At least one study stays, whatever a tie of all effects makes of the formula.
        k0 = min(max(0, round(raw)), k - 1) if np.ptp(y) > 0 else 0
    return Missing(
        k0=k0,
        k0_se=max(0.0, se) if not math.isnan(se) else se,
        p_value=0.5 ** (k0 + 1) if estimator == "R0" else math.nan,
        trimmed=order[k - k0 :],
        centre=sign * centre,
        iterations=iterations,
    )
