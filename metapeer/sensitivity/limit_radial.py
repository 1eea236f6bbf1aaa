"""Rücker and colleagues' limit meta-analysis on arrays: what effects tend to as precision grows without bound.

References
----------
Rücker, Schwarzer, Carpenter, Binder & Schumacher (2011), Biostatistics 12:122-142.
"""

import math
from dataclasses import dataclass

import numpy as np

from metapeer.pooling.weighted import FloatArray, total

__all__ = ["ADJUSTMENTS", "Limit", "Radial", "limit_estimates", "radial_line"]

ADJUSTMENTS = {
    "beta0": "expected effect of an infinitely precise study on the generalised radial plot",
    "betalim": "slope of the limit radial plot, with an intercept",
    "mulim": "common-effect mean of the limit effects: slope of the limit radial plot through the origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Radial:
    """A line on a radial plot: ``yi / se`` against ``1 / se``, unweighted.

    Parameters
    ----------
    intercept, slope : float
        The line: bias, and effect.
    slope_se : float
        Standard error of the slope with residual variance 1.
    residual : float
        Residual sum of squares.
    r2 : float
        Share of the variance explained.
    """

    intercept: float
    slope: float
    slope_se: float
    residual: float
    r2: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limit:
    """A limit meta-analysis.

    Parameters
    ----------
    estimate, se : float
        The adjusted effect.
    shrunken : array of shape (k,)
        Limit effects of the studies.
    intercept, slope : float
        Of the generalised radial plot: small-study effect, and the effect that goes with it.
    Q, Q_small, Q_residual : float
        Cochran's Q, the part that small-study effects explain (1 degree of freedom), and the rest (k - 2).
    G2 : float
        Share of the variance of the limit radial plot that its line does not explain.
    """

    estimate: float
    se: float
    shrunken: FloatArray
    intercept: float
    slope: float
    Q: float
    Q_small: float
    Q_residual: float
    G2: float


def radial_line(yi: FloatArray, se: FloatArray) -> Radial:
    """Fit a line to a radial plot.

    Parameters
    ----------
    yi, se : array of shape (k,)
        Effects and standard errors, which differ.

    Returns
    -------
    Radial
        The line.

    Examples
    --------
    >>> found = radial_line(np.array([0.1, 0.3, 0.6]), np.array([0.1, 0.2, 0.4]))
    >>> round(found.intercept, 3), round(found.slope, 3), round(found.r2, 3)
    (1.75, -0.071, 0.893)
    """
    x, y = 1.0 / se, yi / se
    across, up = x - x.mean(), y - y.mean()
    sxx = float(across @ across)
    slope = float(across @ up) / sxx
    residuals = up - slope * across
    rest, whole = float(residuals @ residuals), float(up @ up)
    return Radial(
        intercept=float(y.mean()) - slope * float(x.mean()),
        slope=slope,
        slope_se=1.0 / math.sqrt(sxx),
        residual=rest,
        r2=1.0 - rest / whole if whole > 0.0 else math.nan,
    )


def limit_estimates(yi: FloatArray, vi: FloatArray, *, tau2: float, adjust: str) -> Limit:
    """Shrink effects towards what precise studies would show, and pool them.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their variances, which differ; k at least 3.
    tau2 : float
        Between-study variance.
    adjust : {"beta0", "betalim", "mulim"}
        Which adjusted effect.

    Returns
    -------
    Limit
        The adjusted effect with what it rests on.

    Examples
    --------
    >>> found = limit_estimates(np.array([0.3, 0.9, 0.5]), np.array([0.02, 0.05, 0.001]), tau2=0.0241, adjust="beta0")
    >>> round(found.estimate, 3), round(found.G2, 3)
    (0.414, 0.018)
    """
    k = yi.size
    tau = math.sqrt(tau2)
    sei = np.sqrt(vi)
    spread = np.sqrt(vi + tau2)
    plain, generalised = radial_line(yi, sei), radial_line(yi, spread)
    shrunken = generalised.slope + tau / spread * (yi - generalised.slope)
    limit = radial_line(shrunken, sei)
    w = 1.0 / vi
    if adjust == "beta0":
        roots = 1.0 / spread
        sxx = float(((roots - roots.mean()) ** 2).sum())
        estimate = generalised.slope + tau * generalised.intercept
        # Covariance of intercept and slope of a least-squares line whose residual variance is 1.
        se = math.sqrt((1.0 + tau2 * float((roots**2).mean()) - 2.0 * tau * float(roots.mean())) / sxx)
    elif adjust == "betalim":
        estimate, se = limit.slope, limit.slope_se
    else:
        estimate, se = float(w @ shrunken) / total(w), 1.0 / math.sqrt(total(w))
    mean = float(w @ yi) / total(w)
    Q = float(w @ (yi - mean) ** 2)
    return Limit(
        estimate=estimate,
        se=se,
        shrunken=shrunken,
        intercept=generalised.intercept,
        slope=generalised.slope,
        Q=Q,
        Q_small=Q - plain.residual,
        Q_residual=plain.residual,
        # Without heterogeneity the limit effects are equal and lie on the line exactly.
        G2=0.0 if tau2 == 0.0 or k < 3 else 1.0 - limit.r2,
    )
