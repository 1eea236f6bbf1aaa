"""Fits of all specifications, of the effects as they are or of many draws of them.

One random-effects fit serves every interval that follows from its mean, its classic standard error and its weighted sum
of squares; the formulas are those of the batch engine and of the single fit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from metapeer.pooling.batch_fit import batch_options, fit_sets
from metapeer.pooling.batch_sets import Sets
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.multiverse_plan import Plan

__all__ = ["DERIVED", "NUMBERS", "Fitted", "fit_plan", "kept_effects"]

IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
Told = Callable[[int, int], None]

DERIVED = ("z", "t", "HK", "HK_se", "HK_ci")
"""Intervals that follow from one fit."""
NUMBERS = ("estimate", "se", "ci_low", "ci_high", "df", "p_value", "tau2", "I2")
_BASIC = ("estimate", "se", "hk_q", "tau2", "I2")
_OUTLIER_LEVEL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Numbers of every different specification, a row for each draw.

    Parameters
    ----------
    numbers : dict of array of shape (draws, n)
        `NUMBERS`; NaN where a specification cannot be fitted or has no such number.
    k : array of int of shape (draws, n)
        Effects.
    kept : array of bool of shape (draws, m)
        Which effects of each part with its rule are left; laid out as `starts` says.
    starts : array of int
        Where each part with its rule begins.
    """

    numbers: dict[str, FloatArray]
    k: NDArray[np.int64]
    kept: BoolArray
    starts: IntArray


def _repeat(starts: IntArray, draws: int) -> IntArray:
    """Lay sets out once for each draw."""
    m = int(starts[-1])
    begin = (np.arange(draws, dtype=np.intp)[:, None] * m + starts[:-1]).ravel()
    return np.append(begin, draws * m).astype(np.intp)


def _select(yi: FloatArray, vi: FloatArray, starts: IntArray, kept: BoolArray) -> Sets:
    if kept.all():
        return Sets(yi, vi, starts)
    before = np.r_[0, np.cumsum(kept)]
    return Sets(yi[kept], vi[kept], before[starts].astype(np.intp))


def _basic(sets: Sets, model: str, tau2: str, told: Told | None = None) -> dict[str, FloatArray]:
    options = batch_options(
        model=model, tau2_method=None if model == "common" else tau2, ci_method="z", engine="auto", sets=sets.sizes.size
    )
    found = fit_sets(sets, options, columns=_BASIC, progress=told)
    lonely = sets.sizes < 2
    for values in found.values():
        values[lonely] = np.nan
    return found


def _outside_interval(yi: FloatArray, vi: FloatArray, starts: IntArray) -> BoolArray:
    """Find effects whose interval does not overlap the pooled one."""
    sets = Sets(yi, vi, starts)
    fit = _basic(sets, "random", "REML")
    df = sets.sizes - 1.0
    with np.errstate(invalid="ignore"):
        half = stdtrit(np.maximum(df, 1.0), 0.5 + 0.5 * _OUTLIER_LEVEL) * fit["se"] * np.sqrt(fit["hk_q"])
    which = np.repeat(np.arange(sets.sizes.size), sets.sizes)
    own = float(ndtri(0.5 + 0.5 * _OUTLIER_LEVEL)) * np.sqrt(vi)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(yi - fit["estimate"][which]) > own + half[which])


def _outlying_residual(yi: FloatArray, vi: FloatArray, starts: IntArray, cutoff: float) -> BoolArray:
    """Find effects whose externally studentised residual is beyond the cutoff."""
    sizes = np.diff(starts)
    outlying = np.zeros(yi.size, dtype=np.bool_)
    for k in np.unique(sizes[sizes > 2]).tolist():
        own = starts[:-1][sizes == k][:, None] + np.arange(k)
        others = np.array([[j for j in range(k) if j != i] for i in range(k)], dtype=np.intp)
        cells = own[:, others].reshape(-1, k - 1)
        sets = Sets(yi[cells].ravel(), vi[cells].ravel(), np.arange(len(cells) + 1, dtype=np.intp) * (k - 1))
        fit = _basic(sets, "random", "REML")
        flat = own.ravel()
        spread = np.sqrt(vi[flat] + fit["tau2"] + fit["se"] ** 2)
        outlying[flat] = np.abs(yi[flat] - fit["estimate"]) > cutoff * spread
    return outlying


def kept_effects(plan: Plan, yi: FloatArray) -> tuple[BoolArray, IntArray, IntArray]:
    """Apply the rules for outliers.

    Parameters
    ----------
    plan : Plan
        The plan.
    yi : array of shape (draws, m)
        Effects of the parts, a row for each draw.

    Returns
    -------
    kept : array of bool of shape (draws, m')
        Which effects of each part with its rule are left.
    cells : array of int of shape (m',)
        Which effects of the parts these are.
    starts : array of int
        Where each part with its rule begins.
    """
    sizes = np.diff(plan.parts.starts)
    of_rule = np.array([part for part, _ in plan.rules], dtype=np.intp)
    starts = np.r_[0, np.cumsum(sizes[of_rule])].astype(np.intp)
    cells = np.repeat(plan.parts.starts[:-1][of_rule] - starts[:-1], sizes[of_rule]) + np.arange(starts[-1])
    kept = np.ones((len(yi), cells.size), dtype=np.bool_)
    for rule in ("ci", "rstudent"):
        mine = np.array([name == rule for _, name in plan.rules], dtype=np.bool_)
        if not mine.any():
            continue
        where = np.repeat(mine, sizes[of_rule])
        own = np.r_[0, np.cumsum(sizes[of_rule][mine])].astype(np.intp)
        flat, spread = yi[:, cells[where]].ravel(), np.tile(plan.parts.vi[cells[where]], len(yi))
        laid = _repeat(own, len(yi))
        out = (
            _outside_interval(flat, spread, laid)
            if rule == "ci"
            else _outlying_residual(flat, spread, laid, plan.cutoff)
        )
        kept[:, where] = ~out.reshape(len(yi), -1)
    return kept, cells.astype(np.intp), starts


def _interval(
    method: NDArray[np.object_], estimate: FloatArray, classic: FloatArray, q: FloatArray, df: FloatArray, level: float
) -> dict[str, FloatArray]:
    """Make intervals and tests; `q` is the scale factor of Hartung, Knapp, Sidik and Jonkman."""
    normal = float(ndtri(0.5 + 0.5 * level))
    with np.errstate(invalid="ignore", divide="ignore"):
        usable = np.where(df > 0, df, np.nan)
        different, where = np.unique(usable, return_inverse=True)
        t = np.asarray(stdtrit(different, 0.5 + 0.5 * level))[where].reshape(df.shape)
        knapp = classic * np.sqrt(q)
        safe = classic * np.sqrt(np.maximum(1.0, q))
        wider = classic * normal > knapp * t
        is_z = (method == "z") | ((method == "HK_ci") & wider)
        se = np.where((method == "HK") | ((method == "HK_ci") & ~wider), knapp, classic)
        se = np.where(method == "HK_se", safe, se)
        half = se * np.where(is_z, normal, t)
        below = -np.abs(np.where(se > 0, estimate / se, np.nan))
        p_value = 2.0 * np.where(is_z, ndtr(below), stdtr(usable, below))
    return {
        "estimate": estimate,
        "se": se,
        "ci_low": estimate - half,
        "ci_high": estimate + half,
        "df": np.where(is_z, np.nan, usable),
        "p_value": p_value,
    }


def _contrast(
    plan: Plan, which: IntArray, tau2: FloatArray, dense: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Difference of two classes by generalised least squares: estimate, variance, scale factor, effects less two."""
    y, v = dense
    fits = np.array([rule for rule, _, _ in plan.fits], dtype=np.intp)
    one, two = plan.first[which], plan.second[which]
    rho = plan.rho[which][None, :, None]
    y1, y2, v1, v2 = y[:, fits[one]], y[:, fits[two]], v[:, fits[one]], v[:, fits[two]]
    t1, t2 = tau2[:, one][..., None], tau2[:, two][..., None]
    here1, here2 = np.isfinite(v1), np.isfinite(v2)
    both = here1 & here2
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = v1 + t1, v2 + t2
        c = np.where(both, rho * (np.sqrt(np.where(both, v1 * v2, 0.0)) + np.sqrt(t1 * t2)), 0.0)
        det = np.where(both, a * b - c * c, 1.0)
        w11 = np.where(both, b / det, np.where(here1, 1.0 / a, 0.0))
        w22 = np.where(both, a / det, np.where(here2, 1.0 / b, 0.0))
        w12 = np.where(both, -c / det, 0.0)
        y1, y2 = np.where(here1, y1, 0.0), np.where(here2, y2, 0.0)
        m11, m22, m12 = w11.sum(-1), w22.sum(-1), w12.sum(-1)
        r1, r2 = (w11 * y1 + w12 * y2).sum(-1), (w12 * y1 + w22 * y2).sum(-1)
        whole = m11 * m22 - m12 * m12
        mean1, mean2 = (m22 * r1 - m12 * r2) / whole, (m11 * r2 - m12 * r1) / whole
        variance = (m22 + m11 + 2.0 * m12) / whole
        e1 = np.where(here1, y1 - mean1[..., None], 0.0)
        e2 = np.where(here2, y2 - mean2[..., None], 0.0)
        q = (w11 * e1 * e1 + 2.0 * w12 * e1 * e2 + w22 * e2 * e2).sum(-1)
        df = (here1.sum(-1) + here2.sum(-1) - 2).astype(np.float64)
        enough = (here1.sum(-1) > 1) & (here2.sum(-1) > 1)
        return np.where(enough, mean1 - mean2, np.nan), variance, q / df, df


def _dense(plan: Plan, yi: FloatArray, kept: BoolArray, cells: IntArray, starts: IntArray) -> tuple[FloatArray, ...]:
    """Write parts with their rules in rows, trials in columns; variances are infinite where there is no effect."""
    rows = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    trial = plan.parts.trial[cells]
    shape = (len(yi), starts.size - 1, len(plan.trials))
    y, v = np.zeros(shape), np.full(shape, np.inf)
    y[:, rows, trial] = np.where(kept, yi[:, cells], 0.0)
    v[:, rows, trial] = np.where(kept, plan.parts.vi[cells], np.inf)
    return y, v


def fit_plan(plan: Plan, yi: FloatArray, level: float, *, told: Told | None = None) -> Fitted:
    """Fit every different specification whose interval follows from one fit.

    Parameters
    ----------
    plan : Plan
        The plan.
    yi : array of shape (draws, m)
        Effects of its parts, a row for each draw.
    level : float
        Of the intervals.
    told : callable, optional
        Called with the fits done and all of them.

    Returns
    -------
    Fitted
        NaN for specifications with fewer than two effects, and for other intervals.

    References
    ----------
    Hartung & Knapp (2001), Stat Med 20:1771-1782. For two classes: Jackson & Riley (2014), Stat Med 33:541-554, whose
    scale factor is the residual weighted sum of squares over its degrees of freedom.
    """
    draws, n = len(yi), plan.first.size
    kept, cells, starts = kept_effects(plan, yi)
    laid, spread = _repeat(starts, draws), np.tile(plan.parts.vi[cells], draws)
    flat, flags = yi[:, cells].ravel(), kept.ravel()
    sizes = np.add.reduceat(kept, starts[:-1], axis=1, dtype=np.int64) if cells.size else np.zeros((draws, 0), np.int64)
    basic = {name: np.full((draws, len(plan.fits)), np.nan) for name in _BASIC}
    groups: dict[tuple[str, str], list[int]] = {}
    for place, (_, model, tau2) in enumerate(plan.fits):
        groups.setdefault((model, tau2), []).append(place)
    everything = _select(flat, spread, laid, flags)
    done = 0
    for (model, tau2), places in groups.items():
        rules = np.array([plan.fits[i][0] for i in places], dtype=np.intp)
        sets = everything
        if rules.size < starts.size - 1 or not np.array_equal(rules, np.arange(rules.size)):
            chosen = (np.arange(draws, dtype=np.intp)[:, None] * (starts.size - 1) + rules).ravel()
            lengths = everything.sizes[chosen]
            begin = np.r_[0, np.cumsum(lengths)].astype(np.intp)
            index = np.repeat(everything.starts[chosen] - begin[:-1], lengths) + np.arange(begin[-1])
            sets = Sets(everything.yi[index], everything.vi[index], begin)
        before = done
        part_told = None if told is None else (lambda now, _, base=before: told(base + now, len(plan.fits) * draws))
        found = _basic(sets, model, tau2, part_told)
        for name in _BASIC:
            basic[name][:, places] = found[name].reshape(draws, -1)
        done += sets.sizes.size

    fit_rules = np.array([rule for rule, _, _ in plan.fits], dtype=np.intp)
    fit_k = sizes[:, fit_rules]
    numbers = {name: np.full((draws, n), np.nan) for name in NUMBERS}
    k = fit_k[:, plan.first] + np.where(plan.second >= 0, fit_k[:, plan.second], 0)
    methods = np.array(plan.ci_method, dtype=object)
    derived = np.isin(plan.ci_method, DERIVED)
    single = np.flatnonzero((plan.second < 0) & derived)
    if single.size:
        fits = plan.first[single]
        made = _interval(
            np.broadcast_to(methods[single], (draws, single.size)),
            basic["estimate"][:, fits],
            basic["se"][:, fits],
            basic["hk_q"][:, fits],
            (fit_k[:, fits] - 1).astype(np.float64),
            level,
        )
        for name, values in (made | {"tau2": basic["tau2"][:, fits], "I2": basic["I2"][:, fits]}).items():
            numbers[name][:, single] = values
    double = np.flatnonzero((plan.second >= 0) & derived)
    if double.size:
        y, v = _dense(plan, yi, kept, cells, starts)
        estimate, variance, q, df = _contrast(plan, double, basic["tau2"], (y, v))
        made = _interval(
            np.broadcast_to(methods[double], (draws, double.size)), estimate, np.sqrt(variance), q, df, level
        )
        for name, values in made.items():
            numbers[name][:, double] = values
    return Fitted(numbers=numbers, k=k, kept=kept, starts=starts)
