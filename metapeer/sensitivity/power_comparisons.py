"""Power of tests that effects differ: between subgroups of studies, and along a moderator."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtri

from metapeer.errors import ChoiceError, DataError, Fault, check_choice
from metapeer.pooling.intervals import chi2_quantile, normal_quantile, t_quantile
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.power_distributions import power_of_mean, power_of_squares
from metapeer.sensitivity.power_plans import ALTERNATIVES, check_alpha, listed, numbers, read_plan, single, whole
from metapeer.sensitivity.power_results import PowerResult, effect_words

__all__ = ["power_moderator", "power_subgroup"]

TESTS = ("z", "HK")
EQUAL = 1e-9
"""Relative differences below which variances count as equal."""


def _each(name: str, values: object, groups: int) -> list[object]:
    """Repeat one value for every group, or take one for each."""
    if values is None:
        return [None] * groups
    found = list(listed(name, values))
    if len(found) not in (1, groups):
        raise ChoiceError(f"{name} has {len(found)} values for {groups} subgroups; give one for all or one for each")
    return found * groups if len(found) == 1 else found


def _scale(vi: FloatArray, tau2: FloatArray) -> tuple[bool, float]:
    """Tell whether all studies have one variance, and what share of the total is sampling."""
    total = vi + tau2
    equal = bool(np.ptp(vi) <= EQUAL * vi.max() and np.ptp(tau2) <= EQUAL * total.max())
    weights = 1.0 / total
    return equal, float((weights * vi * weights).sum() / weights.sum())


def _squares(
    noncentrality: float,
    *,
    m: int,
    df: int,
    alpha: float,
    ci_method: str,
    tau2_known: bool,
    share: float,
) -> tuple[float, float]:
    """Power of a test of m differences at once, and the degrees of freedom of the scale."""
    if ci_method == "HK":
        critical = m * float(fdtri(m, df, 1.0 - alpha))
        return power_of_squares(noncentrality, critical, m=m, df=float(df), floor=0.0), float(df)
    critical = chi2_quantile(alpha, m)
    scale_df = math.inf if tau2_known else float(df)
    return power_of_squares(noncentrality, critical, m=m, df=scale_df, floor=share), scale_df


def _how(*, ci_method: str, tau2_known: bool, equal: bool, common: bool) -> tuple[str, bool]:
    if tau2_known and ci_method == "z":
        return ("tau² counted as known (Hedges & Pigott 2004)" if not common else "exact, no heterogeneity"), common
    what = "noncentral F" if ci_method == "HK" else "tau² estimated, in common"
    if equal:
        return f"exact for studies of one variance, {what}", True
    return f"approximate, {what} with the information of the studies as planned", False


def power_subgroup(
    *,
    effects: Sequence[float] | Mapping[str, float],
    k: int | Sequence[int],
    n1: ArrayLike | None = None,
    n2: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    tau2: float | Sequence[float] | None = None,
    I2: float | Sequence[float] | None = None,
    measure: str = "SMD",
    sd: float | None = None,
    risk2: float | None = None,
    model: str = "random",
    ci_method: str = "z",
    tau2_known: bool = False,
    alpha: float = 0.05,
) -> PowerResult:
    """Compute the power of the test that subgroups of studies differ.

    Parameters
    ----------
    effects : sequence or mapping of float
        True mean effect of each subgroup, with its name if a mapping; in the units of the measure.
    k : int or sequence of int
        Studies in each subgroup.
    n1, n2, vi, sei : float or sequence of float, optional
        Size of a study: one for all subgroups, or one for each.
    tau2, I2 : float or sequence of float, optional
        Heterogeneity within subgroups, said in one way: one for all, estimated in common; or one for each.
    measure, sd, risk2, alpha
        As in `power_meta_analysis`.
    model : {"random", "common"}
        Whether effects vary within subgroups.
    ci_method : {"z", "HK"}
        The test between: Cochran's Q against chi-squared ("z"), or Knapp and Hartung's F ("HK").
    tau2_known : bool, default False
        Whether tau2 counts as known rather than estimated; with a tau2 for each subgroup it must.

    Returns
    -------
    PowerResult
        The power, and what it rests on.

    Raises
    ------
    DataError
        If numbers of the plan cannot be; every fault is listed.
    ChoiceError
        If something is missing, said twice or unknown.

    References
    ----------
    Hedges & Pigott (2004), Psychol Methods 9:426-445; Jackson & Turner (2017), Res Synth Methods 8:290-302 (tau2
    estimated, here for several means).

    Examples
    --------
    >>> found = power_subgroup(effects={"face to face": 0.4, "online": 0.2}, k=[10, 10], n1=40, n2=40, I2=30)
    >>> round(found.power, 3), found.df
    (0.387, 1.0)
    """
    names = [str(name) for name in effects] if isinstance(effects, Mapping) else []
    faults: list[Fault] = []
    values = list(effects.values()) if isinstance(effects, Mapping) else listed("effects", effects)
    means = numbers("effects", np.asarray(values, dtype=object), faults)
    if faults:
        raise DataError("the plan", faults)
    groups = means.size
    if groups < 2:
        raise ChoiceError("effects must name two subgroups or more")
    names = names or [f"subgroup {i + 1}" for i in range(groups)]
    counts = [whole("k", one, 1) for one in _each("k", k, groups)]
    check_choice("model", model, ("random", "common"))
    check_choice("ci_method", ci_method, TESTS)
    alpha = check_alpha(alpha)
    sizes = {name: _each(name, one, groups) for name, one in (("n1", n1), ("n2", n2), ("vi", vi), ("sei", sei))}
    between = {name: _each(name, one, groups) for name, one in (("tau2", tau2), ("I2", I2))}
    separate = any(len(set(one)) > 1 for one in between.values())
    plans = [
        read_plan(
            k=counts[i],
            **{name: one[i] for name, one in sizes.items()},  # type: ignore[arg-type]
            **{name: one[i] for name, one in between.items()},  # type: ignore[arg-type]
            trials=None,
            measure=measure,
            sd=sd,
            risk2=risk2,
        )
        for i in range(groups)
    ]
    variances = np.array([float(plan.variances(float(mean))[0]) for plan, mean in zip(plans, means, strict=True)])
    taus = np.array([plan.heterogeneity(np.full(1, v)) for plan, v in zip(plans, variances, strict=True)])
    if not separate and I2 is not None:
        # One I² is meant for one tau2, though sizes from arms make variances depend a little on the effects.
        taus[:] = float(np.average(taus, weights=counts))
    common = model == "common"
    _check_between(common, ci_method, tau2_known=tau2_known, separate=separate, taus=taus)
    df2 = sum(counts) - groups
    known = tau2_known or common
    if not known and df2 < 1:
        raise ChoiceError("the test needs more studies than subgroups, for it estimates how studies within them differ")
    weights = np.array(counts) / (variances + taus)
    centre = float((weights * means).sum() / weights.sum())
    noncentrality = float((weights * (means - centre) ** 2).sum())
    equal, share = _scale(np.repeat(variances, counts), np.repeat(taus, counts))
    found, scale_df = _squares(
        noncentrality, m=groups - 1, df=df2, alpha=alpha, ci_method=ci_method, tau2_known=known, share=share
    )
    method, exact = _how(ci_method=ci_method, tau2_known=known, equal=equal, common=common)
    rows = [
        (
            f"Subgroup {name}",
            f"{effect_words(float(mean), plan.measure)}, {size:,} studies of variance {v:.4g}, tau² {t:.4g}",
        )
        for name, mean, plan, size, v, t in zip(names, means, plans, counts, variances, taus, strict=True)
    ]
    kind = "F" if ci_method == "HK" else "Q between"
    dfs = f"{groups - 1} and {df2} df" if ci_method == "HK" else f"{groups - 1} df"
    one_tau2 = float(taus[0]) if not separate else math.nan
    one_v = float(len(variances) / (1.0 / variances).sum())
    return PowerResult(
        test=f"subgroups differ, {kind}, {dfs}",
        power=found,
        alpha=alpha,
        alternative="",
        measure=plans[0].measure,
        effect=float(means[1] - means[0]) if groups == 2 else math.nan,
        k=sum(counts),
        tau2=one_tau2,
        I2=100.0 * one_tau2 / (one_tau2 + one_v),
        se=math.sqrt(float((1.0 / weights).sum())) if groups == 2 else math.nan,
        noncentrality=noncentrality,
        df=float(groups - 1),
        df2=scale_df,
        exact=exact,
        method=method,
        assumed=tuple(rows),
        notes=_no_difference(noncentrality),
    )


def _check_between(common: bool, ci_method: str, *, tau2_known: bool, separate: bool, taus: FloatArray) -> None:
    if common and (taus > 0.0).any():
        raise ChoiceError("common effects have no heterogeneity; leave tau2 and I2 out, or use model='random'")
    if tau2_known and (common or ci_method == "HK"):
        raise ChoiceError("tau2_known makes a difference to ci_method 'z' of a random-effects model only")
    if common and ci_method == "HK":
        raise ChoiceError("ci_method 'HK' belongs to the random-effects model")
    if separate and not tau2_known:
        raise ChoiceError(
            "with a tau2 for each subgroup only the formula that counts them as known is at hand; use tau2_known=True"
            " and ci_method='z', or one tau2"
        )


def _no_difference(noncentrality: float) -> tuple[str, ...]:
    if noncentrality > 0.0:
        return ()
    return ("no difference is assumed, so that this is the chance of a false alarm and not a power",)


def power_moderator(
    *,
    x: ArrayLike,
    slope: float | None = None,
    effects: Mapping[str, float] | None = None,
    n1: ArrayLike | None = None,
    n2: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    tau2: float | None = None,
    I2: float | None = None,
    effect: float = 0.0,
    measure: str = "SMD",
    sd: float | None = None,
    risk2: float | None = None,
    ci_method: str = "HK",
    tau2_known: bool = False,
    alpha: float = 0.05,
    alternative: str = "two-sided",
) -> PowerResult:
    """Compute the power of the test of one moderator in a meta-regression.

    Parameters
    ----------
    x : sequence
        Value of the moderator in each planned study: numbers with `slope`, names of categories with `effects`.
    slope : float, optional
        True change of the effect for one unit of `x`.
    effects : mapping of float, optional
        True mean effect in each category, tested against all being equal.
    n1, n2, vi, sei : float or sequence of float, optional
        Size of a study, or of each.
    tau2, I2 : float, optional
        Heterogeneity that the moderator leaves, said in one way.
    effect : float, default 0
        Mean effect, on which variances from sizes of arms depend; not used with `vi` or `sei`.
    measure, sd, risk2, alpha
        As in `power_meta_analysis`.
    ci_method : {"z", "HK"}
        The normal or chi-squared test, or Knapp and Hartung's t or F.
    tau2_known : bool, default False
        Whether tau2 counts as known rather than estimated.
    alternative : {"two-sided", "greater", "less"}
        Where the test of a slope rejects.

    Returns
    -------
    PowerResult
        The power, and what it rests on.

    Raises
    ------
    DataError
        If numbers of the plan cannot be; every fault is listed.
    ChoiceError
        If something is missing, said twice or unknown.

    References
    ----------
    Hedges & Pigott (2004), Psychol Methods 9:426-445; Knapp & Hartung (2003), Stat Med 22:2693-2710.

    Examples
    --------
    >>> found = power_moderator(x=[3, 6, 9, 12] * 5, slope=0.03, vi=0.04, tau2=0.02)
    >>> round(found.power, 3), found.method
    (0.413, 'exact for studies of one variance, noncentral t')
    """
    if (slope is None) == (effects is None):
        raise ChoiceError("give slope for a moderator in numbers, or effects for one in categories")
    cells = listed("x", x)
    k = len(cells)
    plan = read_plan(
        k=None, n1=n1, n2=n2, vi=vi, sei=sei, trials=None, tau2=tau2, I2=I2, measure=measure, sd=sd, risk2=risk2
    )
    check_choice("ci_method", ci_method, TESTS)
    check_choice("alternative", alternative, ALTERNATIVES)
    alpha = check_alpha(alpha)
    if tau2_known and ci_method == "HK":
        raise ChoiceError("tau2_known makes a difference to ci_method 'z' only")
    one = plan.variances(single("effect", effect))
    if one.size not in (1, k):
        raise ChoiceError(f"x has {k} values and the sizes have {one.size}; give one size, or one for each study")
    variance = plan.heterogeneity(one)
    variances = np.full(k, one[0]) if one.size == 1 else one
    weights = 1.0 / (variances + variance)
    equal, share = _scale(variances, np.full(k, variance))
    rows = [("Studies", f"{k:,}"), *plan.words(), ("Heterogeneity left", f"tau² {variance:.4g}")]
    i2 = plan.I2 if not math.isnan(plan.I2) else 100.0 * (1.0 - share)
    if effects is not None:
        if alternative != "two-sided":
            raise ChoiceError("a test of several categories has no side; leave alternative out")
        means = _category_means(cells, effects)
        groups = len({str(cell) for cell in cells})
        m, df2 = groups - 1, k - groups
        change, kind = math.nan, "F" if ci_method == "HK" else "Wald"
        rows.insert(0, ("True effects", ", ".join(f"{name} {value:.4g}" for name, value in effects.items())))
    else:
        change = single("slope", slope)
        means = change * _moderator_values(cells)
        m, df2 = 1, k - 2
        kind = "Knapp-Hartung t" if ci_method == "HK" else "z"
        rows.insert(0, ("True slope", f"{change:.4g} for one unit of x"))
    if df2 < 1 and not tau2_known:
        raise ChoiceError(f"{k} studies are too few: none is left over to tell how studies differ")
    centre = float((weights * means).sum() / weights.sum())
    noncentrality = float((weights * (means - centre) ** 2).sum())
    if effects is None:
        found, scale_df = _slope_power(
            math.copysign(math.sqrt(noncentrality), change),
            df=df2, alpha=alpha, ci_method=ci_method, tau2_known=tau2_known, share=share, alternative=alternative,
        )  # fmt: skip
    else:
        found, scale_df = _squares(
            noncentrality, m=m, df=df2, alpha=alpha, ci_method=ci_method, tau2_known=tau2_known, share=share
        )
    method, exact = _how(ci_method=ci_method, tau2_known=tau2_known, equal=equal, common=False)
    if effects is None:
        method = method.replace("noncentral F", "noncentral t")
    se = abs(change) / math.sqrt(noncentrality) if effects is None and noncentrality > 0.0 else math.nan
    dfs = f"{m} and {df2} df" if kind == "F" else f"{df2} df" if kind.endswith("t") else f"{m} df"
    return PowerResult(
        test=f"moderator, {kind}" + ("" if kind == "z" else f", {dfs}"),
        power=found,
        alpha=alpha,
        alternative=alternative if effects is None else "",
        measure=plan.measure,
        effect=change,
        k=k,
        tau2=variance,
        I2=i2,
        se=se,
        noncentrality=math.copysign(math.sqrt(noncentrality), change) if effects is None else noncentrality,
        df=float(m) if effects is not None else (math.inf if ci_method == "z" else float(df2)),
        df2=scale_df,
        exact=exact,
        method=method,
        assumed=tuple(rows),
        notes=_no_difference(noncentrality),
    )


def _moderator_values(cells: Sequence[object]) -> FloatArray:
    faults: list[Fault] = []
    values = numbers("x", np.asarray(cells, dtype=object), faults)
    if faults:
        raise DataError("the plan", faults)
    if np.ptp(values) == 0.0:
        raise ChoiceError("x is the same in all studies; a slope needs two values")
    return values


def _slope_power(
    shift: float, *, df: int, alpha: float, ci_method: str, tau2_known: bool, share: float, alternative: str
) -> tuple[float, float]:
    """Power of a test of one coefficient, and the degrees of freedom of the scale."""
    level = 1.0 - alpha if alternative == "two-sided" else 1.0 - 2.0 * alpha
    if not level > 0.0:
        raise ChoiceError(f"alpha = {alpha:g} leaves a one-sided test no critical value above 0")
    if ci_method == "HK":
        critical, floor = t_quantile(level, df), 0.0
    else:
        critical, floor = normal_quantile(level), share
    scale_df = math.inf if tau2_known else float(df)
    return power_of_mean(shift, critical, df=scale_df, floor=floor, alternative=alternative), scale_df


def _category_means(cells: Sequence[object], effects: object) -> FloatArray:
    if not isinstance(effects, Mapping) or len(effects) < 2:
        raise ChoiceError("effects must give the mean effect of two categories or more, such as {'a': 0.2, 'b': 0.4}")
    faults: list[Fault] = []
    values = numbers("effects", np.asarray(list(effects.values()), dtype=object), faults)
    by_name = {str(name): value for name, value in zip(effects, values.tolist(), strict=False)}
    unknown = sorted({str(cell) for cell in cells if str(cell) not in by_name})
    unused = sorted(set(by_name) - {str(cell) for cell in cells})
    faults += [Fault(column="x", message=f"{name!r} has no effect in effects") for name in unknown]
    faults += [Fault(column="effects", message=f"no study has x = {name!r}") for name in unused if not faults]
    if faults:
        raise DataError("the plan", faults)
    return np.array([by_name[str(cell)] for cell in cells])
