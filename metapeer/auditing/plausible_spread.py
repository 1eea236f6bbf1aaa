"""Standard deviations and means held against the other trials that used the same instrument.

A standard error entered as a standard deviation, a variance, a slip of the unit: each multiplies a row's numbers by a
factor that can be named, and only a factor that can be named is reported.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metapeer.auditing.findings import Finding
from metapeer.auditing.plausible_rows import (
    QUIET,
    FloatArray,
    Reader,
    arms_of,
    by_key,
    groups_of,
    make_reader,
    shifted_rows,
    shown,
    trials_of,
    usable,
)
from metapeer.auditing.table import AuditTable

__all__ = ["check_arm_spreads", "check_low_variation", "check_scales", "check_spreads"]

# Standard deviations of one instrument are so alike that a missing one may be borrowed from another trial (Furukawa et
# al. 2006, Journal of Clinical Epidemiology 59:7-10). Their logarithms are taken to differ by 0.25 at least, a
# factor of 1.3. A factor of 2.5 is beyond what populations do, and is the square root of 6: few arms that are pooled
# are smaller.
_NATURAL = 0.25
_FAR = math.log(2.5)
# Beside a single other trial either may be the odd one: more is asked for, the root of ten participants an arm.
_FAR_FROM_ONE = math.log(10) / 2
# What the wrong number would have been lies within a factor of 2 of the others when it is put right.
_NEAR = math.log(2.0)
# Robust standard deviations from the median that count as far, once there are enough trials to have a spread
# (Iglewicz & Hoaglin 1993, How to Detect and Handle Outliers: 3.5).
_ROBUST = 3.5
_ENOUGH = 4
# Rows have the same scoring when their means lie within a factor of 2.
_SAME_SCALE = math.log(2.0)
# Factors between units that people mix up: powers of ten, months in a year, days in a week, minutes in an hour.
_UNITS = {10: "ten", 100: "a hundred", 1000: "a thousand", 12: "twelve", 7: "seven", 60: "sixty"}
# A median of so many rows is good enough: larger groups are represented by rows at even distances.
_LARGE = 400


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Others:
    """The rows of other trials with the same instrument, beside one row."""

    sd: FloatArray  # logarithms, means over both arms
    mean: FloatArray
    trials: int

    def centre(self) -> float:
        return float(np.median(self.sd))

    def spread(self) -> float:
        """Return a robust standard deviation of the logarithms, never below what is natural."""
        if self.trials < _ENOUGH:
            return 0.0
        return max(1.4826 * float(np.median(np.abs(self.sd - self.centre()))), _NATURAL)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Group:
    """The rows of one instrument, with the logarithms of their numbers."""

    rows: np.ndarray
    named: bool
    trial: np.ndarray
    sd: FloatArray
    mean: FloatArray
    trials: int

    def others(self, place: int, *, same_scale: bool) -> _Others:
        """Return the rows of other trials, if asked for only those with means near the row's own."""
        some = slice(None, None, 1 + len(self.rows) // _LARGE)
        keep = self.trial[some] != self.trial[place]
        if same_scale:
            with np.errstate(invalid="ignore"):
                keep &= ~(np.abs(self.mean[some] - self.mean[place]) > _SAME_SCALE)
        return _Others(
            sd=self.sd[some][keep], mean=self.mean[some][keep], trials=len(np.unique(self.trial[some][keep]))
        )


def _groups(table: AuditTable) -> tuple[dict[str, FloatArray], list[_Group]]:
    """Collect the usable rows of each instrument; without instruments, of each outcome."""
    arms = arms_of(table)
    with np.errstate(all="ignore"):
        sd = (np.log(arms["sd1"]) + np.log(arms["sd2"])) / 2
        positive = (arms["mean1"] > 0) & (arms["mean2"] > 0)
        mean = np.where(positive, np.log((arms["mean1"] + arms["mean2"]) / 2), np.nan)
    # Cells that were shifted or copied have findings of their own.
    odd = (arms["mean1"] == arms["sd1"]) & (arms["mean2"] == arms["sd2"])
    odd[list(shifted_rows(table))] = True
    rows = np.flatnonzero(usable(arms) & ~odd)
    named = any(table.text("instrument"))
    keys = groups_of(table, "instrument" if named else "outcome", "statistic")
    trials = np.array(trials_of(table), dtype=object)
    groups = []
    for key, members in by_key(keys, rows.tolist()).items():
        if named and not key[0]:
            continue
        group = np.array(members)
        codes = np.unique(trials[group].astype(str), return_inverse=True)[1]
        groups.append(
            _Group(
                rows=group,
                named=named,
                trial=codes,
                sd=sd[group],
                mean=mean[group],
                trials=int(codes.max()) + 1,
            )
        )
    return arms, groups


@QUIET
def check_spreads(table: AuditTable) -> list[Finding]:
    """Find standard deviations that look like standard errors, variances, or errors multiplied twice.

    A row is held against the trials with the same instrument and scoring (means within a factor of 2). Up to three
    others serve when the instrument has a name; without one, four are needed, and their own spread decides what is far.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``sd_is_se``, ``sd_too_large_by_root_n``, ``sd_is_variance``.

    References
    ----------
    Furukawa, Barbui, Cipriani, Brambilla & Watanabe (2006), Journal of Clinical Epidemiology 59:7-10.
    """
    arms, groups = _groups(table)
    found: list[Finding] = []
    reader: Reader | None = None
    for group in groups:
        if group.trials < 2:
            continue
        # Most rows lie near the middle: only those that are far from it are looked at one by one.
        far = (
            np.flatnonzero(np.abs(group.sd - np.median(group.sd)) > _FAR / 2)
            if group.trials > 3
            else np.arange(len(group.rows))
        )
        for place in far.tolist():
            others = group.others(place, same_scale=True)
            if others.trials < (1 if group.named else _ENOUGH):
                continue
            slip = _name_slip(arms, group, place, others)
            if slip is not None:
                reader = reader or make_reader(table)
                found.append(_spread_finding(arms, int(group.rows[place]), others, slip, reader))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slip:
    check: str
    words: str
    look_up: str
    change: Callable[[float, float], float]


_SE = _Slip(
    check="sd_is_se",
    words="the standard deviations look like standard errors: they are several times smaller than in the other trials "
    "with this instrument, and multiplied by the square root of n they are like them",
    look_up="whether the paper's plus-minus numbers are standard deviations or standard errors",
    change=lambda sd, n: sd * math.sqrt(n),
)
_ROOT = _Slip(
    check="sd_too_large_by_root_n",
    words="the standard deviations look as if they had been multiplied by the square root of n: a standard deviation "
    "taken for a standard error",
    look_up="whether the paper's plus-minus numbers are standard deviations or standard errors",
    change=lambda sd, n: sd / math.sqrt(n),
)
_VARIANCE = _Slip(
    check="sd_is_variance",
    words="the standard deviations look like variances: their square roots are like the standard deviations of the "
    "other trials with this instrument",
    look_up="whether the paper prints variances",
    change=lambda sd, n: math.sqrt(sd),  # noqa: ARG005
)


def _name_slip(arms: dict[str, FloatArray], group: _Group, place: int, others: _Others) -> _Slip | None:
    """Say which slip would bring a row's standard deviations to where the others' are."""
    row = int(group.rows[place])
    centre, spread = others.centre(), others.spread()
    away = float(group.sd[place]) - centre
    if abs(away) <= max(_FAR if others.trials > 1 else _FAR_FROM_ONE, _ROBUST * spread):
        return None
    root = (math.log(arms["n1"][row]) + math.log(arms["n2"][row])) / 4
    near = max(_NEAR, 2 * spread)
    single = [math.log(arms[f"sd{arm}"][row]) - centre for arm in "12"]
    if away < 0:
        fits = abs(away + root) < min(near, abs(away) / 2) and max(single) < -_NEAR
        return _SE if fits else None
    if others.trials < 3 or min(single) < _NEAR:
        return None
    gaps = {id(_ROOT): abs(away - root), id(_VARIANCE): abs(group.sd[place] / 2 - centre)}
    best = _ROOT if gaps[id(_ROOT)] <= gaps[id(_VARIANCE)] else _VARIANCE
    return best if gaps[id(best)] < min(_NEAR, away / 2) else None


def _spread_finding(arms: dict[str, FloatArray], row: int, others: _Others, slip: _Slip, reader: Reader) -> Finding:
    changed = {name: float(x[row]) for name, x in arms.items()}
    for arm in "12":
        changed[f"sd{arm}"] = slip.change(changed[f"sd{arm}"], changed[f"n{arm}"])
    low, high = math.exp(float(others.sd.min())), math.exp(float(others.sd.max()))
    trials = "another trial" if others.trials == 1 else f"{others.trials} other trials"
    between = shown(low) if shown(low) == shown(high) else f"{shown(low)} to {shown(high)}"
    return Finding(
        check=slip.check,
        severity="suspicion",
        rows=(row,),
        columns=("sd1", "sd2"),
        message=slip.words,
        evidence=f"sd1 = {shown(arms['sd1'][row])}, sd2 = {shown(arms['sd2'][row])}; {trials}: {between}; "
        f"put right: {shown(changed['sd1'])} and {shown(changed['sd2'])}",
        look_up=slip.look_up,
        instead=reader.reread(row, changed),
    )


@QUIET
def check_scales(table: AuditTable) -> list[Finding]:
    """Find rows in another unit or scoring than the other trials with the instrument, and means exchanged with SDs.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``unit_differs``, ``scoring_differs``, ``mean_and_sd_exchanged``.
    """
    arms, groups = _groups(table)
    found: list[Finding] = []
    reader: Reader | None = None
    for group in groups:
        if group.trials < 2:
            continue
        known = np.isfinite(group.mean)
        middle = float(np.median(group.mean[known])) if known.any() else 0.0
        # Most rows lie near the middle: only those that are far from it are looked at one by one.
        far = known & (np.abs(group.mean - middle) >= _FAR / 2) if group.trials > 3 else known
        for place in np.flatnonzero(far).tolist():
            row = int(group.rows[place])
            others = group.others(place, same_scale=False)
            means = others.mean[np.isfinite(others.mean)]
            if others.trials < (1 if group.named else _ENOUGH) or len(means) < len(others.mean):
                continue
            away = float(group.mean[place] - np.median(means)), float(group.sd[place]) - others.centre()
            if _are_exchanged(group, place, means, others):
                reader = reader or make_reader(table)
                found.append(_exchanged(arms, row, means, others, reader))
            elif others.trials >= 2:
                scale = _scale_finding(arms, row, group.named, means, others, away)
                found += [scale] if scale else []
    return found


def _are_exchanged(group: _Group, place: int, means: FloatArray, others: _Others) -> bool:
    """Whether a row's means are like the others' standard deviations, and its standard deviations like their means.

    All others must have means above their standard deviations, and the row the reverse: else nothing tells.
    """
    centre, mean, sd = float(np.median(means)), float(group.mean[place]), float(group.sd[place])
    exchanged = abs(mean - others.centre()) + abs(sd - centre)
    return bool(
        sd - mean > math.log(1.2)
        and (means - others.sd).min() > 0
        and exchanged < 2 * math.log(1.5)
        and exchanged < (abs(mean - centre) + abs(sd - others.centre())) / 2
    )


def _numbers(arms: dict[str, FloatArray], row: int) -> str:
    m1, s1, m2, s2 = (shown(float(arms[name][row])) for name in ("mean1", "sd1", "mean2", "sd2"))
    return f"means {m1} and {m2}, SDs {s1} and {s2}"


def _exchanged(arms: dict[str, FloatArray], row: int, means: FloatArray, others: _Others, reader: Reader) -> Finding:
    changed = {name: float(x[row]) for name, x in arms.items()}
    for arm in "12":
        changed[f"mean{arm}"], changed[f"sd{arm}"] = changed[f"sd{arm}"], changed[f"mean{arm}"]
    return Finding(
        check="mean_and_sd_exchanged",
        severity="suspicion",
        rows=(row,),
        columns=("mean1", "sd1", "mean2", "sd2"),
        message="means and standard deviations look exchanged",
        evidence=f"{_numbers(arms, row)}; elsewhere with this instrument means of about "
        f"{shown(math.exp(float(np.median(means))))} and SDs of about {shown(math.exp(others.centre()))}",
        look_up="mean and standard deviation of each arm",
        instead=reader.reread(row, changed),
    )


def _scale_finding(
    arms: dict[str, FloatArray],
    row: int,
    named: bool,
    means: FloatArray,
    others: _Others,
    away: tuple[float, float],
) -> Finding | None:
    """Report a row whose means and standard deviations are both a factor away from the others'."""
    spread = 1.4826 * float(np.median(np.abs(means - np.median(means)))) if others.trials >= _ENOUGH else 0.0
    apart = float(means.max() - means.min())
    if abs(away[0]) < max(math.log(3.5), _ROBUST * max(spread, _NATURAL if others.trials >= _ENOUGH else 0.0)):
        return None
    if (others.trials < _ENOUGH and apart > _FAR) or abs(away[0] - away[1]) > math.log(1.6):
        return None
    factor = math.exp((away[0] + away[1]) / 2)
    unit = next((u for u in _UNITS if abs(abs(math.log(factor)) - math.log(u)) < math.log(1.25)), None)
    if unit is None and not named:
        return None
    times = f"{shown(factor)} times" if factor > 1 else f"1/{shown(1 / factor)} of"
    return Finding(
        check="unit_differs" if unit else "scoring_differs",
        severity="suspicion" if unit else "remark",
        rows=(row,),
        columns=("mean1", "sd1", "mean2", "sd2"),
        message=f"means and standard deviations are off by about {_UNITS[unit]}: another unit, or a slip of the point"
        if unit
        else "means and standard deviations are both on another scale than elsewhere: an average of items beside sums, "
        "or another version; harmless for standardised differences, not for differences in points",
        evidence=f"{_numbers(arms, row)}: {times} the middle of {others.trials} other trials "
        f"(mean {shown(math.exp(float(np.median(means))))}, SD {shown(math.exp(others.centre()))})",
        look_up="the unit, version and scoring of the instrument",
    )


@QUIET
def check_arm_spreads(table: AuditTable) -> list[Finding]:
    """Find rows whose arms have standard deviations that differ as no two arms of one trial do.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``one_sd_is_se``, ``sds_differ``.
    """
    arms = arms_of(table)
    rows = usable(arms)
    with np.errstate(all="ignore"):
        gap = np.log(arms["sd1"] / arms["sd2"])
        smaller = np.where(gap < 0, arms["n1"], arms["n2"])
        root = 0.5 * np.log(smaller)
        # Where spread goes with level, as in counts and days, arms with unlike means have unlike SDs: what the means
        # explain is no slip. And the smallest arms vary by chance alone: the logarithm of an SD has a standard error of
        # sqrt(1/(2(n - 1))).
        level = np.where((arms["mean1"] > 0) & (arms["mean2"] > 0), np.abs(np.log(arms["mean1"] / arms["mean2"])), 0.0)
        chance = np.sqrt(0.5 / (arms["n1"] - 1) + 0.5 / (arms["n2"] - 1))
        excess = np.abs(gap) - level - 4 * chance
        far = rows & (excess > math.log(1.5))
        one = far & (np.abs(gap) > math.log(2.5)) & (np.abs(np.abs(gap) - root) < math.log(1.5))
        apart = far & ~one & (np.abs(gap) > math.log(4.0))
    reader = make_reader(table) if one.any() else None
    found = []
    for row in np.flatnonzero(one | apart).tolist():
        arm = "1" if gap[row] < 0 else "2"
        changed = {name: float(x[row]) for name, x in arms.items()}
        changed[f"sd{arm}"] *= math.sqrt(changed[f"n{arm}"])
        numbers = f"sd1 = {shown(arms['sd1'][row])}, sd2 = {shown(arms['sd2'][row])}"
        found.append(
            Finding(
                check="one_sd_is_se" if one[row] else "sds_differ",
                severity="suspicion",
                rows=(row,),
                columns=(f"sd{arm}",) if one[row] else ("sd1", "sd2"),
                message="one arm's standard deviation looks like a standard error beside the other's"
                if one[row]
                else "the arms' standard deviations are too far apart for two halves of one sample: a slip of the "
                "point, or another number in one of the cells",
                evidence=numbers
                + (f"; times the square root of n, sd{arm} is {shown(changed[f'sd{arm}'])}" if one[row] else ""),
                look_up="the standard deviation of each arm",
                instead=reader.reread(row, changed) if reader and one[row] else {},
            )
        )
    return found


@QUIET
def check_low_variation(table: AuditTable) -> list[Finding]:
    """Find rows with hardly any spread beside their means, on an instrument that no other trial used.

    Instruments differ in how their spread compares with their mean, so this is no more than a remark, and needs ten
    other rows.

    Parameters
    ----------
    table : AuditTable
        As read.

    Returns
    -------
    list of Finding
        ``variation_low``.
    """
    arms, groups = _groups(table)
    if not groups or not groups[0].named:
        return []
    row_of = np.concatenate([group.rows for group in groups])
    ratio = np.concatenate([group.sd - group.mean for group in groups])
    alone = np.concatenate([np.full(len(group.rows), group.trials == 1) for group in groups])
    trials = np.array(trials_of(table), dtype=object)[row_of]
    known = np.isfinite(ratio)
    # A twentieth of the mean is below what questionnaires give; the threshold only opens the comparison.
    candidates = np.flatnonzero(known & alone & (ratio < math.log(0.05)))
    found = []
    for place in candidates.tolist()[:_LARGE]:  # more are no exception
        others = ratio[known & (trials != trials[place])]
        row = int(row_of[place])
        root = (math.log(arms["n1"][row]) + math.log(arms["n2"][row])) / 4
        if len(others) < 10 or ratio[place] > others.min() - math.log(1.5):
            continue
        slack = math.log(1.5)
        if not others.min() - slack <= ratio[place] + root <= others.max() + slack:
            continue
        found.append(
            Finding(
                check="variation_low",
                severity="remark",
                rows=(row,),
                columns=("sd1", "sd2"),
                message="the standard deviations are smaller beside their means than in any other row; multiplied by "
                "the square root of n they would be ordinary, so they may be standard errors",
                evidence=f"SDs of about {math.exp(ratio[place]):.1%} of the means; {math.exp(others.min()):.0%} to "
                f"{math.exp(others.max()):.0%} in {len(others)} other rows",
                look_up="whether the paper's plus-minus numbers are standard deviations or standard errors",
            )
        )
    return found
