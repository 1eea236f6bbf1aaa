"""Single changes of a table's rows, and a quick way to see which of them no analysis could fit."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from metapeer.auditing.findings import Finding
from metapeer.auditing.identify_effects import PoolingTable, RowEffects
from metapeer.auditing.identify_numbers import SLOW, Axes
from metapeer.auditing.rounding import Printed
from metapeer.effects.continuous import hedges_g, heteroscedastic_smd, log_ratio_of_means, mean_difference
from metapeer.pooling.heterogeneity import cochran_q, h2_from_tau2, i2_from_h2, i2_test_based
from metapeer.pooling.intervals import normal_quantile, t_quantile
from metapeer.pooling.tau2_intervals import q_profile
from metapeer.pooling.weighted import FloatArray

__all__ = ["Change", "changes_of", "could_fit", "i2_interval_agrees", "ranges"]

_GRID = 64
_CELLS = 1_000_000
"""Numbers that are held in memory at a time."""
_SLACK = 0.5
"""Share of a grid step by which numbers may lie outside the values at its ends; between so near points they bend
little, and what passes is computed exactly."""


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One change of one row.

    Parameters
    ----------
    row : int
        Its position.
    words : str
        What is changed.
    source : RowEffects
        The rows' effects after it.
    """

    row: int
    words: str
    source: RowEffects


def changes_of(source: RowEffects, choices: Mapping[str, str], findings: Sequence[Finding] = ()) -> Iterator[Change]:
    """Make every single change of a row that is searched.

    Parameters
    ----------
    source : RowEffects
        The rows' effects.
    choices : mapping of str to str
        How they were computed.
    findings : sequence of Finding, default ()
        What the audit suspects of the table; what would be pooled if it were true is one more change.

    Yields
    ------
    Change
        A row left out, its sign turned, standard errors taken for standard deviations or the other way round, and
        other numbers of participants.
    """
    for change in _plain_changes(source, choices, findings):
        yield replace(change, source=_average_variance(change.source)) if choices["variance"] == "AV" else change


def _plain_changes(source: RowEffects, choices: Mapping[str, str], findings: Sequence[Finding]) -> Iterator[Change]:
    compute = _formula(choices)
    for i in np.flatnonzero(source.usable).tolist():
        yield Change(i, "left out", _with(source, i, math.nan, math.nan))
        if source.yi[i] != 0.0:
            yield Change(i, "its sign turned", _turned(source, i))
        if np.isfinite(source.arms[:, i]).all() and compute is not None:
            for words, arms in _other_arms(source, i):
                yi, vi = compute(arms[:, None])
                changed = _with(source, i, source.signs[i] * float(yi[0]), float(vi[0]))
                of_arms = source.arms.copy()
                of_arms[:, i] = arms
                yield Change(i, words, replace(changed, arms=of_arms))
        elif source.cells is None:
            sei = math.sqrt(source.vi[i])
            yield Change(i, "its standard error taken for a variance", _with(source, i, source.yi[i], sei))
            yield Change(
                i, "its variance taken for a standard error", _with(source, i, source.yi[i], source.vi[i] ** 2)
            )
            for factor, words in ((2.0, "half"), (0.5, "twice")):
                vi = factor * source.vi[i]
                yield Change(
                    i, f"{words} its participants (variance times {factor:g})", _with(source, i, source.yi[i], vi)
                )
    if choices["measure"] in ("SMD", "GEN") and choices["variance"] != "AV":
        for finding in findings:
            yield from _suspected(source, finding)


def _average_variance(source: RowEffects) -> RowEffects:
    """Compute AV again, which rests on the mean effect of all rows from arms."""
    where = source.usable & np.isfinite(source.arms).all(axis=0)
    arms = _named(source.arms[:, where])
    g, _ = hedges_g(**arms, variance="AV")
    sign = np.where(g * source.yi[where] < 0.0, -1.0, 1.0)
    arms |= {"mean1": sign * arms["mean1"], "mean2": sign * arms["mean2"]}
    vi = source.vi.copy()
    vi[where] = hedges_g(**arms, variance="AV")[1]
    return replace(source, vi=vi)


def _suspected(source: RowEffects, finding: Finding) -> Iterator[Change]:
    if not finding.instead:
        return
    yi, vi = source.yi.copy(), source.vi.copy()
    for row, numbers in finding.instead.items():
        if 0 <= row < yi.size:
            yi[row], vi[row] = (math.nan, math.nan) if numbers is None else numbers
    row = min(finding.instead)
    if 0 <= row < yi.size:
        yield Change(row, f"corrected as the audit suggests ({finding.check})", replace(source, yi=yi, vi=vi))


def _with(source: RowEffects, i: int, yi: float, vi: float) -> RowEffects:
    values, variances = source.yi.copy(), source.vi.copy()
    values[i], variances[i] = yi, vi
    return replace(source, yi=values, vi=variances)


def _turned(source: RowEffects, i: int) -> RowEffects:
    changed = _with(source, i, -float(source.yi[i]), float(source.vi[i]))
    if source.cells is None:
        return changed
    cells = source.cells.copy()
    cells[:, i] = cells[[2, 3, 0, 1], i]
    return replace(changed, cells=cells)


Formula = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


def _formula(choices: Mapping[str, str]) -> Formula | None:
    """The formula that effects from arms were computed by."""
    measure, variance = choices["measure"], choices["variance"]
    if measure == "SMD" and variance:
        return lambda arms: hedges_g(**_named(arms), variance=variance)
    if measure == "SMDH":
        return lambda arms: heteroscedastic_smd(**_named(arms))
    if measure in ("MD", "ROM"):
        of = mean_difference if measure == "MD" else log_ratio_of_means
        return lambda arms: of(**_named(arms), pooled=variance == "HO")
    return None


def _named(arms: FloatArray) -> dict[str, FloatArray]:
    return dict(zip(("n1", "mean1", "sd1", "n2", "mean2", "sd2"), arms, strict=True))


def _other_arms(source: RowEffects, i: int) -> Iterator[tuple[str, FloatArray]]:
    """Other numbers that a row's arms may have been entered with."""
    n1, mean1, sd1, n2, mean2, sd2 = source.arms[:, i].tolist()
    root1, root2 = math.sqrt(n1), math.sqrt(n2)
    yield (
        "its SDs times √n, as if they were standard errors",
        np.array([n1, mean1, sd1 * root1, n2, mean2, sd2 * root2]),
    )
    yield (
        "its SDs over √n, as if standard errors had been entered",
        np.array([n1, mean1, sd1 / root1, n2, mean2, sd2 / root2]),
    )
    yield "sd1 times √n1, as if it were a standard error", np.array([n1, mean1, sd1 * root1, n2, mean2, sd2])
    yield "sd2 times √n2, as if it were a standard error", np.array([n1, mean1, sd1, n2, mean2, sd2 * root2])
    yield "sd1 over √n1, as if a standard error had been entered", np.array([n1, mean1, sd1 / root1, n2, mean2, sd2])
    yield "sd2 over √n2, as if a standard error had been entered", np.array([n1, mean1, sd1, n2, mean2, sd2 / root2])
    sizes = {(n2, n1): "n1 and n2 exchanged", (n1, n1): "n2 read as n1", (n2, n2): "n1 read as n2"}
    sizes |= {(n1 / 2, n2 / 2): "half its participants", (2 * n1, 2 * n2): "twice its participants"}
    sizes |= {(n1, n2 / 2): "half of arm 2, as if it were shared"}
    for other in np.flatnonzero(source.trials == source.trials[i]).tolist():
        pair = (float(source.arms[0, other]), float(source.arms[3, other]))
        if other != i and np.isfinite(pair).all():
            sizes.setdefault(pair, f"the participants of {source.names[other]}")
    for n in _digits_exchanged(n1):
        sizes.setdefault((n, n2), f"n1 read as {n:g}")
    for n in _digits_exchanged(n2):
        sizes.setdefault((n1, n), f"n2 read as {n:g}")
    for (a, b), words in sizes.items():
        if min(a, b) >= 2 and (a, b) != (n1, n2):
            yield words, np.array([a, mean1, sd1, b, mean2, sd2])


def _digits_exchanged(n: float) -> list[float]:
    """Numbers that differ from a count by two neighbouring digits exchanged."""
    text = f"{n:.0f}"
    swapped = {text[:i] + text[i + 1] + text[i] + text[i + 2 :] for i in range(len(text) - 1)} if n == int(n) else set()
    return sorted(float(one) for one in swapped if one != text and not one.startswith("0"))


def ranges(printed: Printed, axes: Axes, scales: Sequence[str]) -> list[tuple[float, float]]:
    """Turn a printed estimate into the ranges, on the pooled scale, that are printed like it.

    Parameters
    ----------
    printed : Printed
        As printed.
    axes : Axes
        The signs and scales that are searched.
    scales : sequence of str
        Scales on which the effects may have been printed.

    Returns
    -------
    list of (float, float)
        A little wider than they need be; what lies inside is held against the print exactly.
    """
    low, high = printed.limits
    wider = 0.01 * printed.half_step
    low, high = low - wider, high + wider
    found = []
    if "as pooled" in axes.scale and "as pooled" in scales:
        found.append((low, high))
    if "exponentiated" in axes.scale and "exponentiated" in scales and high > 0.0:
        found.append((math.log(low) if low > 0.0 else -math.inf, math.log(high)))
    turned = [(-b, -a) for a, b in found] if "turned" in axes.direction else []
    return found + turned


def i2_interval_agrees(table: PoolingTable, printed: Mapping[str, Printed], forms: Sequence[str], level: float) -> bool:
    """Tell whether some interval of I² is the printed one; no estimator of tau² enters it.

    Parameters
    ----------
    table : PoolingTable
        What is pooled.
    printed : mapping of str to Printed
        By quantity.
    forms : sequence of str
        The forms that are searched: "QP", "test-based".
    level : float
        Level of the interval.

    Returns
    -------
    bool
        True also when none was printed.
    """
    ends = [(i, printed[name]) for i, name in enumerate(("I2_ci_low", "I2_ci_high")) if name in printed]
    if not ends or table.yi.size < 2:
        return not ends or table.yi.size == 1
    intervals = []
    het = cochran_q(table.yi, table.vi)
    if "test-based" in forms:
        intervals.append(tuple(i2_test_based(het.Q, table.yi.size, level)))
    if "QP" in forms:
        profile = q_profile(table.yi, table.vi, level)
        intervals.append(tuple(i2_from_h2(h2_from_tau2(end, het.typical_variance)) for end in profile))
    return any(all(text.agrees(interval[i]) for i, text in ends) for interval in intervals)


def could_fit(
    tables: Sequence[PoolingTable],
    printed: Mapping[str, Printed],
    axes: Axes,
    *,
    scales: Sequence[str],
    level: float,
) -> list[bool]:
    """Tell which tables some between-study variance could make to print the estimate and its interval.

    Whatever the estimator of tau², the estimate is the weighted mean for some tau², and the quick intervals have one of
    three widths. So a table that misses the print for all tau² need not be pooled by any estimator.

    Parameters
    ----------
    tables : sequence of PoolingTable
        What would be pooled.
    printed : mapping of str to Printed
        By quantity.
    axes : Axes
        What is searched.
    scales : sequence of str
        Scales on which the effects may have been printed.
    level : float
        Level of the intervals.

    Returns
    -------
    list of bool
        False only where no analysis without counts or fixed weights can fit.
    """
    possible = [True] * len(tables)
    for size in {table.yi.size for table in tables}:
        chosen = [i for i, table in enumerate(tables) if table.yi.size == size]
        counts = {"effects": size}
        if "k" in printed and size:
            for i in list(chosen):
                counts["trials"] = tables[i].trials
                if not any(printed["k"].agrees(counts[value]) for value in axes.k_of):
                    possible[i] = False
                    chosen.remove(i)
        if size < 2:
            for i in chosen:
                possible[i] = size == 1
            continue
        if not chosen:
            continue
        step = max(1, _CELLS // (_GRID * size))
        for start in range(0, len(chosen), step):
            part = chosen[start : start + step]
            yi, vi = (np.array([getattr(tables[i], name) for i in part]) for name in ("yi", "vi"))
            for i, fine in zip(part, _on_curve(yi, vi, printed, axes, scales, level).tolist(), strict=True):
                possible[i] = fine
    return possible


def _on_curve(
    yi: FloatArray, vi: FloatArray, printed: Mapping[str, Printed], axes: Axes, scales: Sequence[str], level: float
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    size = yi.shape[1]
    largest = 100.0 * (np.var(yi, axis=1) + np.max(vi, axis=1))
    smallest = 1e-4 * np.min(vi, axis=1)
    grid = np.concatenate([np.zeros((len(yi), 1)), np.geomspace(smallest, largest, _GRID, axis=1)], axis=1)
    w = 1.0 / (vi[:, None, :] + grid[:, :, None])
    sums = w.sum(axis=2)
    estimate = (w * yi[:, None, :]).sum(axis=2) / sums
    se = 1.0 / np.sqrt(sums)
    hk = se * np.sqrt((w * (yi[:, None, :] - estimate[:, :, None]) ** 2).sum(axis=2) / (size - 1))
    widths = {"z": normal_quantile(level) * se, "t": t_quantile(level, size - 1.0) * se}
    widths["HK"] = t_quantile(level, size - 1.0) * hk
    quick = [method for method in axes.ci_method if method not in SLOW and method not in ("KR", "HC", "IVhet")]
    if not {"ci_low", "ci_high"} & set(printed) or not quick or set(axes.ci_method) & {"KR", "IVhet"}:
        # The intervals of Kenward and Roger and of IVhet have widths of their own: only the estimate is held against.
        widths = {"any": np.zeros_like(se)}
    good = np.zeros(len(yi), dtype=np.bool_)
    for half in widths.values():
        for sign in (1.0, -1.0) if "turned" in axes.direction else (1.0,):
            ends = {"estimate": sign * estimate, "ci_low": sign * estimate - half, "ci_high": sign * estimate + half}
            for scale in axes.scale:
                if scale in scales:
                    fine = np.ones((len(yi), _GRID), dtype=np.bool_)
                    for name, values in ends.items():
                        if name in printed and not (name != "estimate" and "any" in widths):
                            fine &= _between(np.exp(values) if scale == "exponentiated" else values, printed[name])
                    good |= fine.any(axis=1)
    if "IVhet" in axes.ci_method and "estimate" in printed:
        good |= _between(np.stack([estimate[:, 0], estimate[:, 0]], axis=1), printed["estimate"])[:, 0]
    return good


def _between(values: FloatArray, printed: Printed) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Whether a printed number may lie between neighbouring points of the grid."""
    low, high = np.minimum(values[:, 1:], values[:, :-1]), np.maximum(values[:, 1:], values[:, :-1])
    slack = _SLACK * (high - low) + 0.01 * printed.half_step
    least, most = printed.limits
    return np.asarray((low - slack <= most) & (high + slack >= least))
