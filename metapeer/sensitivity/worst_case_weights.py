"""Pooling as if studies that found nothing had been published less often, and how much less it would take.

Affirmative studies (significant and in the favoured direction) are supposed to be published eta times as often as the
others. Weighting the others by eta undoes that.

References
----------
Mathur & VanderWeele (2020), J R Stat Soc C 69:1091-1119; Pustejovsky & Tipton (2018), J Bus Econ Stat 36:672-683 (CR2).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from metapeer.pooling.intervals import normal_quantile, t_quantile, two_sided_p
from metapeer.pooling.robust import WorkingModel
from metapeer.pooling.robust_sandwich import sandwich
from metapeer.pooling.robust_wald import robust_linear
from metapeer.pooling.weighted import FloatArray, total

__all__ = ["Corrected", "Weighted", "severity_for_estimate", "severity_for_limit"]

BoolArray = NDArray[np.bool_]

_SPREAD = 120
"""Severities, even in their logarithm, among which a limit's first crossing is looked for."""
_WORST = 1e8
"""A severity beyond which only the studies that are not affirmative count."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A pooled effect with its inference.

    Parameters
    ----------
    estimate, se : float
        Effect and standard error.
    df : float or None
        Of the t distribution; None for the normal.
    low, high : float
        Interval.
    p_value : float
        Test of no effect.
    """

    estimate: float
    se: float
    df: float | None
    low: float
    high: float
    p_value: float


class Weighted:
    """Effects that are pooled with any severity of selection.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects, positive when favoured, and their variances.
    affirmative : array of bool of shape (k,)
        Which are affirmative.
    clusters : sequence of str
        Which effects belong together.
    tau2 : float
        Between-study variance that goes into the weights of the robust model.
    robust : bool
        Whether variances are cluster-robust (CR2, Satterthwaite's df), or those of one common effect (t with ``k - 1``
        df).
    level : float
        Confidence level.
    df_method : {"Satterthwaite", "robumeta"}, default "Satterthwaite"
        Degrees of freedom of the robust model.
    """

    def __init__(
        self,
        yi: FloatArray,
        vi: FloatArray,
        affirmative: BoolArray,
        clusters: Sequence[str],
        *,
        tau2: float,
        robust: bool,
        level: float,
        df_method: str = "Satterthwaite",
    ) -> None:
        self.df_method = df_method
        self.yi, self.vi, self.affirmative, self.clusters = yi, vi, affirmative, list(clusters)
        self.tau2, self.robust, self.level = tau2, robust, level
        self.weights = 1.0 / (vi + tau2) if robust else 1.0 / vi

    def worst(self) -> "Weighted":
        """The same with the studies that are not affirmative only.

        Returns
        -------
        Weighted
            The rest.
        """
        rest = ~self.affirmative
        return Weighted(
            self.yi[rest],
            self.vi[rest],
            self.affirmative[rest],
            [cluster for cluster, keep in zip(self.clusters, rest.tolist(), strict=True) if keep],
            tau2=self.tau2,
            robust=self.robust,
            level=self.level,
            df_method=self.df_method,
        )

    def sums(self) -> tuple[float, float, float, float]:
        """Weighted sums of effects and weights.

        Returns
        -------
        tuple of float
            Effects and weights of the studies that are not affirmative; the same of those that are.
        """
        rest = ~self.affirmative
        product = self.weights * self.yi
        return (
            float(product[rest].sum()),
            float(self.weights[rest].sum()),
            float(product[~rest].sum()),
            float(self.weights[~rest].sum()),
        )

    def pool(self, severity: float = 1.0) -> Corrected:
        """Pool with the weights of one severity.

        Parameters
        ----------
        severity : float, default 1.0
            How many times more often affirmative studies are published.

        Returns
        -------
        Corrected
            The pooled effect.
        """
        w = self.weights * np.where(self.affirmative, 1.0, severity)
        w = w / w.max()
        if not self.robust or len(set(self.clusters)) < 2:
            return self._plain(w, severity)
        # The working covariance is that of the R package robumeta under weights of one's own: independent effects with
        # the mean sampling variance of their cluster.
        names = np.array(self.clusters, dtype=object)
        working = np.empty_like(self.vi)
        for name in set(self.clusters):
            working[names == name] = self.vi[names == name].mean()
        model = WorkingModel(
            yi=self.yi,
            X=np.ones((self.yi.size, 1)),
            names=("Intercept",),
            blocks=tuple((np.array([i]), np.array([[v]])) for i, v in enumerate(working.tolist())),
            weights=tuple(np.array([[value]]) for value in w.tolist()),
        )
        found = robust_linear(sandwich(model, self.clusters), np.eye(1), test="Satterthwaite", level=self.level)
        estimate, se = float(found.estimate[0]), float(found.se[0])
        df = float(found.df[0]) if self.df_method == "Satterthwaite" else _robumeta_df(w, working, names)
        half = t_quantile(self.level, df) * se
        p = two_sided_p(estimate / se, df) if se > 0.0 else math.nan
        return Corrected(estimate, se, df, estimate - half, estimate + half, p)

    def _plain(self, w: FloatArray, severity: float) -> Corrected:
        estimate = float(w @ self.yi) / total(w)
        if self.yi.size == 1 or self.robust:
            # One cluster tells nothing of how clusters differ: its own sampling errors remain.
            se = math.sqrt(float(w * w @ (self.vi + self.tau2 * self.robust))) / total(w)
            df = None
        else:
            n, a = (float((1.0 / self.vi[which]).sum()) for which in (~self.affirmative, self.affirmative))
            se = math.sqrt(severity**2 * n + a) / (severity * n + a)
            df = self.yi.size - 1
        half = (normal_quantile(self.level) if df is None else t_quantile(self.level, df)) * se
        return Corrected(estimate, se, df, estimate - half, estimate + half, two_sided_p(estimate / se, df))


def _robumeta_df(w: FloatArray, working: FloatArray, names: "NDArray[np.object_]") -> float:
    """Degrees of freedom of robumeta under weights of one's own.

    They are Satterthwaite's with the adjustments for clusters made for the working covariance, but with equal variances
    in the place of it where the variance of the variance is taken.
    """
    all_w = total(w)
    middle = float(w * w @ working) / all_w**2
    own, sums, cross = [], [], []
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        v, share = float(working[rows[0]]), w[rows] / all_w
        expected = np.diag(working[rows]) - v * (share[:, None] + share[None, :]) + middle
        roots, vectors = np.linalg.eigh(expected)
        inverse = np.where(roots > 1e-10 * v, 1.0 / np.sqrt(np.maximum(roots, 1e-300)), 0.0)
        a = math.sqrt(v) * (vectors @ (inverse * (vectors.T @ share)))
        own.append(float(a @ a))
        sums.append(float(a.sum()))
        cross.append(float(a @ w[rows]) / all_w)
    s, c = np.array(sums), np.array(cross)
    P = np.diag(own) - np.outer(s, c) - np.outer(c, s) + np.outer(s, s) * float(w @ w) / all_w**2
    return float(np.trace(P) ** 2 / (P * P).sum())


def severity_for_estimate(weighted: Weighted, target: float) -> float:
    """Severity at which the corrected estimate is a given value.

    Parameters
    ----------
    weighted : Weighted
        The effects.
    target : float
        The value, not above the estimate without selection.

    Returns
    -------
    float
        At least 1; infinite when no severity suffices.

    Examples
    --------
    >>> yi, vi = np.array([0.5, 0.6, -0.1]), np.full(3, 0.04)
    >>> effects = Weighted(yi, vi, yi > 0.4, ["a", "b", "c"], tau2=0.0, robust=False, level=0.95)
    >>> round(severity_for_estimate(effects, 0.0), 4)
    11.0
    """
    others, others_weight, affirmed, affirmed_weight = weighted.sums()
    above, below = affirmed - target * affirmed_weight, target * others_weight - others
    if above + others - target * others_weight <= 0.0:
        return 1.0
    return above / below if below > 0.0 else math.inf


def severity_for_limit(weighted: Weighted, target: float) -> float:
    """Least severity at which the lower limit of the interval is a given value.

    Parameters
    ----------
    weighted : Weighted
        The effects.
    target : float
        The value.

    Returns
    -------
    float
        At least 1, where the limit is there already; infinite when no severity suffices.

    Examples
    --------
    >>> yi, vi = np.array([0.9, 1.1, 0.1]), np.array([0.02, 0.02, 0.04])
    >>> effects = Weighted(yi, vi, yi > 0.4, ["a", "b", "c"], tau2=0.0, robust=False, level=0.9)
    >>> found = severity_for_limit(effects, 0.0)
    >>> round(found, 3), abs(effects.pool(found).low) < 1e-9
    (7.966, True)
    """

    def above(log_severity: float) -> float:
        return weighted.pool(math.exp(log_severity)).low - target

    return _first_zero(above, math.log(_WORST))


def _first_zero(function: Callable[[float], float], end: float) -> float:
    if function(0.0) <= 0.0:
        return 1.0
    # Half of the steps before a severity of 100: selection that anyone would believe.
    steps = np.concatenate(
        [np.linspace(0.0, math.log(100.0), _SPREAD // 2), np.linspace(math.log(100.0), end, _SPREAD // 2)[1:]]
    )
    before = 0.0
    for step in steps[1:].tolist():
        if function(step) <= 0.0:
            return math.exp(float(brentq(function, before, step, xtol=1e-13, rtol=1e-13)))
        before = step
    return math.inf
