"""Every number that an analysis prints, for all estimators and intervals of one table at once."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.identify_effects import PoolingTable
from metapeer.auditing.identify_space import MANTEL_HAENSZEL
from metapeer.effects.binary import TACC, fill_zero_cells
from metapeer.pooling import stratified
from metapeer.pooling.heterogeneity import cochran_q, h2_from_tau2, i2_from_h2, i2_test_based
from metapeer.pooling.inference import FIXED_WEIGHTS, GOES_WITH, infer, infer_specially
from metapeer.pooling.intervals import chi2_tail
from metapeer.pooling.prediction import nnf_prediction_interval, prediction_interval
from metapeer.pooling.tau2 import estimate_tau2, tau2_dl
from metapeer.pooling.tau2_intervals import q_profile
from metapeer.pooling.weighted import FloatArray, total, trace_p

BoolArray = NDArray[np.bool_]

__all__ = [
    "AXES",
    "OF_INTERVAL",
    "QUANTITIES",
    "SLOW",
    "Axes",
    "BoolArray",
    "Numbers",
    "pool_all_ways",
    "resolve",
    "resolve_prediction",
]

QUANTITIES = {
    "k": "k",
    "estimate": "estimate",
    "se": "standard error",
    "ci_low": "lower limit",
    "ci_high": "upper limit",
    "z": "test statistic",
    "p": "p",
    "tau2": "tau²",
    "tau": "tau",
    "Q": "Q",
    "Q_df": "degrees of freedom of Q",
    "Q_p": "p of Q",
    "I2": "I²",
    "I2_ci_low": "lower limit of I²",
    "I2_ci_high": "upper limit of I²",
    "pi_low": "lower limit of prediction",
    "pi_high": "upper limit of prediction",
}
"""What a paper prints of a pooled result, in words."""

SLOW = ("HC", "PL", "PL_B", "PL_S", "perm")
"""Intervals that take a thousand times as long as the others, and are made only where nothing else speaks against."""

AXES = ("tau2_method", "ci_method", "prediction_method", "I2", "I2_ci", "direction", "scale", "k_of")
"""Choices that decide how effects are pooled and printed, in the order of the axes of `hold_against`."""
OF_INTERVAL = ("se", "ci_low", "ci_high", "z", "p")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The values searched for each of `AXES`; one that no printed number depends on has a single value.

    Parameters
    ----------
    tau2_method, ci_method, prediction_method, I2, I2_ci, direction, scale, k_of : tuple of str
        Values.
    """

    tau2_method: tuple[str, ...]
    ci_method: tuple[str, ...]
    prediction_method: tuple[str, ...]
    I2: tuple[str, ...]
    I2_ci: tuple[str, ...]
    direction: tuple[str, ...]
    scale: tuple[str, ...]
    k_of: tuple[str, ...]

    @property
    def values(self) -> tuple[tuple[str, ...], ...]:
        """The values in the order of `AXES`."""
        return tuple(getattr(self, name) for name in AXES)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each has."""
        return tuple(len(values) for values in self.values)


@dataclass(slots=True, kw_only=True, eq=False)
class Numbers:
    """What a table's analyses give; T estimators of tau², C intervals, P prediction intervals.

    Parameters
    ----------
    k : array of shape (2,)
        Effects and trials.
    tau2, Q, Q_df, Q_p : array of shape (T,)
        NaN where there is none.
    I2 : array of shape (T, 2)
        From tau² and from Q.
    I2_ci : array of shape (T, 2, 2)
        Q-profile and test-based; low and high.
    estimate, se, ci_low, ci_high, z, p : array of shape (T, C)
        On the scale that is pooled.
    pi : array of shape (T, C, P, 2)
        Prediction intervals.
    possible, pending : array of shape (T, C)
        Whether the combination exists, and whether its interval is still to be made.
    pending_pi : array of shape (P,)
        Prediction intervals that are still to be made.
    """

    k: FloatArray
    tau2: FloatArray
    Q: FloatArray
    Q_df: FloatArray
    Q_p: FloatArray
    I2: FloatArray
    I2_ci: FloatArray
    estimate: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    z: FloatArray
    p: FloatArray
    pi: FloatArray
    possible: BoolArray
    pending: BoolArray
    pending_pi: BoolArray


def _mantel_haenszel(table: PoolingTable, code: str, measure: str, rule: str) -> tuple[float, float, float] | None:
    """Estimate, standard error and Q of Mantel and Haenszel; None where the counts do not determine them."""
    if table.cells is None:
        return None
    to = rule if rule in ("only0", "all", "if0all") else "only0"
    add = TACC if rule == "TACC" else 0.5
    cells = fill_zero_cells(*table.cells, zero_cells=to if code.endswith("added") else "none", add=add)  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        pooled = {
            "OR": stratified.mh_odds_ratio,
            "RR": stratified.mh_risk_ratio,
            "RD": stratified.mh_risk_difference,
        }[measure](*cells)
    if not (math.isfinite(pooled.estimate) and pooled.se > 0):
        return None
    off = table.yi - pooled.estimate
    return pooled.estimate, pooled.se, float((off / table.vi) @ off)


def pool_all_ways(
    table: PoolingTable,
    axes: Axes,
    *,
    choices: Mapping[str, str],
    level: float,
    needed: frozenset[str],
    only: Sequence[int] | None = None,
    near: Sequence[tuple[float, float]] = (),
) -> Numbers:
    """Pool a table by every estimator and interval, each estimator once.

    Parameters
    ----------
    table : PoolingTable
        What is pooled.
    axes : Axes
        Estimators, intervals and prediction intervals.
    choices : mapping of str to str
        How its effects were computed; Mantel and Haenszel's method needs the measure and the rule for zero cells.
    level : float
        Level of all intervals.
    needed : frozenset of str
        Quantities that are printed; others may be left out.
    only : sequence of int, optional
        Estimators to use, by their place in `axes`; all when left out.
    near : tuple of (float, float), optional
        Ranges on the pooled scale; where the estimate lies in none, no interval is made and nothing is possible.

    Returns
    -------
    Numbers
        With slow intervals still pending.
    """
    estimators, intervals = axes.tau2_method, axes.ci_method
    t_size, c_size = len(estimators), len(intervals)
    k = table.yi.size
    two = (t_size, c_size)
    found = Numbers(
        k=np.array([k, table.trials], dtype=np.float64),
        **{name: np.full(t_size, math.nan) for name in ("tau2", "Q", "Q_df", "Q_p")},
        I2=np.full((t_size, 2), math.nan),
        I2_ci=np.full((t_size, 2, 2), math.nan),
        **{name: np.full(two, math.nan) for name in ("estimate", *OF_INTERVAL)},
        pi=np.full((*two, len(axes.prediction_method), 2), math.nan),
        possible=np.zeros(two, dtype=np.bool_),
        pending=np.zeros(two, dtype=np.bool_),
        pending_pi=np.array([code == "NNF" and table.yi.size > 1 for code in axes.prediction_method]),
    )
    profile = _Profile(table, level, wanted="I2_ci_low" in needed or "I2_ci_high" in needed)
    for t in range(t_size) if only is None else only:
        _pool_one(found, t, table, axes, profile, choices=choices, needed=needed, near=near)
    return found


@dataclass(slots=True)
class _Profile:
    """What all estimators of one table share."""

    table: PoolingTable
    level: float
    wanted: bool
    Q: float = field(init=False)
    df: int = field(init=False)
    typical: float = field(init=False)
    dl_se: float = field(init=False)
    ends: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        het = cochran_q(self.table.yi, self.table.vi)
        self.Q, self.df, self.typical = het.Q, het.df, het.typical_variance
        self.dl_se, self.ends = math.nan, (math.nan, math.nan)
        if het.df:
            self.dl_se = 1.0 / math.sqrt(total(1.0 / (self.table.vi + tau2_dl(self.table.yi, self.table.vi))))
            if self.wanted:
                low, high = q_profile(self.table.yi, self.table.vi, self.level)
                self.ends = (
                    i2_from_h2(h2_from_tau2(low, self.typical)),
                    i2_from_h2(h2_from_tau2(high, self.typical)),
                )


def _pool_one(
    found: Numbers,
    t: int,
    table: PoolingTable,
    axes: Axes,
    shared: _Profile,
    *,
    choices: Mapping[str, str],
    needed: frozenset[str],
    near: Sequence[tuple[float, float]],
) -> None:
    """Pool by one estimator, and make all its quick intervals."""
    code, yi, vi, k = axes.tau2_method[t], table.yi, table.vi, table.yi.size
    q, tau2, fixed = shared.Q, math.nan, None
    if code in MANTEL_HAENSZEL:
        fixed = _mantel_haenszel(table, code, choices["measure"], choices["zero_cells"])
        if fixed is None:
            return
        q = fixed[2]
        tau2 = max(0.0, (q - shared.df) / trace_p(1.0 / vi)) if "random" in code and k > 1 else math.nan
    elif code != "common" and k > 1:
        try:
            tau2 = estimate_tau2(yi, vi, code).tau2
        except (ValueError, ArithmeticError):
            return
    w = 1.0 / vi if math.isnan(tau2) else 1.0 / (vi + tau2)
    estimate, se = float(w @ yi) / total(w), 1.0 / math.sqrt(total(w))
    hk_q = float(w @ (yi - estimate) ** 2) / (k - 1) if k > 1 else math.nan
    if fixed is not None and math.isnan(tau2):
        estimate, se = fixed[:2]
    found.tau2[t] = 0.0 if code == "common" else tau2
    _write_heterogeneity(found, t, q, tau2, shared)
    common = float((yi / vi).sum() / (1.0 / vi).sum())
    for c, method in enumerate(axes.ci_method):
        if not _goes(code, method):
            continue
        centre = common if method in FIXED_WEIGHTS else estimate
        if near and not any(low <= centre <= high for low, high in near):
            continue
        found.possible[t, c] = True
        found.estimate[t, c] = centre
        if k > 1 and method in SLOW:
            found.pending[t, c] = True
            continue
        _write_interval(found, t, c, axes, (centre, se, hk_q), shared)
        if "pi_low" in needed or "pi_high" in needed:
            _write_predictions(found, t, c, axes, (centre, se, hk_q), shared)


def _write_heterogeneity(found: Numbers, t: int, q: float, tau2: float, shared: _Profile) -> None:
    """Q and both forms of I², each with its interval; without tau² only those from Q."""
    found.Q[t], found.Q_df[t] = q, shared.df
    if shared.df:
        found.Q_p[t] = chi2_tail(q, shared.df)
        found.I2[t] = i2_from_h2(h2_from_tau2(tau2, shared.typical)), i2_from_h2(q / shared.df)
        if shared.wanted:
            of_tau2 = (math.nan, math.nan) if math.isnan(tau2) else shared.ends
            found.I2_ci[t] = of_tau2, tuple(i2_test_based(q, shared.df + 1, shared.level))


def _goes(code: str, method: str) -> bool:
    """Whether an interval can be made with an estimator."""
    if code == "common":
        return method in ("z", "t")
    if code in MANTEL_HAENSZEL:
        return method in (("z", "HK", "HK_se", "HK_ci") if "random" in code else ("z",))
    return method not in GOES_WITH or GOES_WITH[method] == code


def _write_interval(
    found: Numbers,
    t: int,
    c: int,
    axes: Axes,
    pooled: tuple[float, float, float],
    shared: "_Profile",
) -> None:
    estimate, se, hk_q = pooled
    table, level = shared.table, shared.level
    method, k = axes.ci_method[c], table.yi.size
    try:
        if k == 1:
            made = infer(estimate=estimate, classic_se=se, hk_q=math.nan, k=1, method="z", level=level)
        elif method in GOES_WITH:
            made = infer_specially(
                table.yi,
                table.vi,
                estimate=estimate,
                tau2=float(found.tau2[t]),
                tau2_method=axes.tau2_method[t],
                classic_se=se,
                method=method,
                level=level,
            )
        else:
            made = infer(
                estimate=estimate, classic_se=se, hk_q=hk_q, k=k, method=method, level=level, dl_se=shared.dl_se
            )
    except (ValueError, ArithmeticError):  # numbers so far apart that nothing can be computed from them
        return
    found.se[t, c], found.z[t, c], found.p[t, c] = made.se, made.statistic, made.p_value
    found.ci_low[t, c], found.ci_high[t, c] = made.ci


def _write_predictions(
    found: Numbers,
    t: int,
    c: int,
    axes: Axes,
    pooled: tuple[float, float, float],
    shared: "_Profile",
) -> None:
    estimate, se, hk_q = pooled
    table, level = shared.table, shared.level
    tau2, k, method = float(found.tau2[t]), table.yi.size, axes.ci_method[c]
    if k < 2 or math.isnan(tau2) or axes.tau2_method[t] == "common":
        return
    for p, code in enumerate(axes.prediction_method):
        if code == "NNF":
            continue
        interval = prediction_interval(
            estimate=estimate,
            tau2=tau2,
            classic_se=float(found.se[t, c]) if method in FIXED_WEIGHTS else se,
            hk_se=float(found.se[t, c]) if method.startswith("HK") else se * math.sqrt(hk_q),
            k=k,
            method=code,
            level=level,
            vi=table.vi,
        )
        if interval is not None:
            found.pi[t, c, p] = tuple(interval)


def resolve(
    found: Numbers, t: int, c: int, table: PoolingTable, axes: Axes, level: float, needed: frozenset[str]
) -> None:
    """Make an interval that was left pending.

    Parameters
    ----------
    found : Numbers
        Changed in place.
    t, c : int
        Which.
    table, axes, level, needed
        As `pool_all_ways` was given them.
    """
    w = 1.0 / (table.vi + found.tau2[t])
    se = 1.0 / math.sqrt(total(w))
    hk_q = float(w @ (table.yi - float(w @ table.yi) / total(w)) ** 2) / (table.yi.size - 1)
    pooled = (float(found.estimate[t, c]), se, hk_q)
    shared = _Profile(table, level, wanted=False)
    _write_interval(found, t, c, axes, pooled, shared)
    if "pi_low" in needed or "pi_high" in needed:
        _write_predictions(found, t, c, axes, pooled, shared)
    found.pending[t, c] = False


def resolve_prediction(found: Numbers, p: int, table: PoolingTable, axes: Axes, level: float) -> None:
    """Make Nagashima, Noma and Furukawa's prediction interval, which no estimator of tau² enters.

    Parameters
    ----------
    found : Numbers
        Changed in place.
    p : int
        Its place among the prediction intervals.
    table, axes, level
        As `pool_all_ways` was given them.
    """
    random = np.array([code != "common" for code in axes.tau2_method]) & ~np.isnan(found.tau2)
    with_tau2 = found.possible & random[:, None]
    found.pending_pi[p] = False
    with suppress(ValueError, ArithmeticError):  # numbers so far apart that nothing can be computed from them
        found.pi[with_tau2, p] = tuple(nnf_prediction_interval(table.yi, table.vi, level))
