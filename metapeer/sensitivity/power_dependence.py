"""Power when trials report several effects: correlated and hierarchical effects with cluster-robust tests."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from metapeer.errors import ChoiceError, DataError, Fault, check_choice
from metapeer.formatting import format_number
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.power_distributions import power_of_mean, satterthwaite_df
from metapeer.sensitivity.power_plans import check_alpha, numbers, single, whole
from metapeer.sensitivity.power_results import PowerResult, effect_words

__all__ = ["power_dependent_effects"]

METHODS = {
    "RVE": "cluster-robust t, Satterthwaite",
    "Satterthwaite": "model-based t, Satterthwaite",
    "model": "model-based t",
}


def power_dependent_effects(
    *,
    effect: float,
    trials: int | None = None,
    per_trial: ArrayLike = 1,
    vi: ArrayLike,
    tau2: float = 0.0,
    omega2: float = 0.0,
    rho: float = 0.6,
    method: str = "RVE",
    measure: str = "SMD",
    alpha: float = 0.05,
) -> PowerResult:
    """Approximate the power of the test of an average effect when trials report several effects each.

    The working model is that of correlated and hierarchical effects: true effects vary between trials (`tau2`) and
    within them (`omega2`), and sampling errors of one trial correlate (`rho`).

    Parameters
    ----------
    effect : float
        True average effect, in the units of the measure: a logarithm for ratios.
    trials : int, optional
        Trials; as many as `per_trial` or `vi` list when left out. With lists of another length the trials are
        taken from the lists in turn.
    per_trial : int or sequence of int, default 1
        Effects that a trial reports, or each trial.
    vi : float or sequence of float
        Sampling variance of an effect in a trial, or in each trial.
    tau2, omega2 : float, default 0
        Variance of true effects between and within trials.
    rho : float, default 0.6
        Correlation of sampling errors of one trial, from 0 to 1.
    method : {"RVE", "Satterthwaite", "model"}
        The test: with the cluster-robust variance, or with the model's and Satterthwaite's or J - 1 degrees of freedom.
    measure : str, default "SMD"
        Effect measure, for words only.
    alpha : float, default 0.05
        Level of the two-sided test.

    Returns
    -------
    PowerResult
        The power; `k` counts trials.

    Raises
    ------
    DataError
        If numbers of the plan cannot be; every fault is listed.
    ChoiceError
        If something is missing or unknown.

    References
    ----------
    Vembye, Pustejovsky & Pigott (2023), J Educ Behav Stat 48:70-102, equations 6 to 16; Pustejovsky & Tipton (2022),
    Prev Sci 23:425-438 (the model).

    Examples
    --------
    >>> found = power_dependent_effects(effect=0.1, trials=50, per_trial=4, vi=0.08, tau2=0.04, omega2=0.01, rho=0.7)
    >>> round(found.power, 3), round(found.df, 1)
    (0.573, 49.0)
    """
    kj, sampling, between = _read(per_trial, vi, tau2=tau2, omega2=omega2, rho=rho)
    listed = max(kj.size, sampling.size)
    if trials is None and listed == 1:
        raise ChoiceError("trials is missing; say how many trials like this one are planned")
    J = listed if trials is None else whole("trials", trials, 2)
    if J < 2:
        raise ChoiceError("the test needs two trials or more")
    check_choice("method", method, METHODS)
    alpha = check_alpha(alpha)
    size = single("effect", effect)
    kj, sampling = np.resize(kj, J), np.resize(sampling, J)
    between2, within2, r = (between[name] for name in ("tau2", "omega2", "rho"))
    weights = kj / (kj * between2 + kj * r * sampling + within2 + (1.0 - r) * sampling)
    total = float(weights.sum())
    shift = size * math.sqrt(total)
    if method == "RVE":
        df = df_test = satterthwaite_df(weights)
    else:
        if within2 + (1.0 - r) * float(sampling.min()) <= 0.0:
            raise ChoiceError(
                "with rho = 1 and omega2 = 0 the effects of a trial are one; use per_trial=1 and rho below 1"
            )
        df = _model_df(weights, kj, within2 + (1.0 - r) * sampling)
        df_test = df if method == "Satterthwaite" else float(J - 1)
    critical = float(stdtrit(df_test, 1.0 - alpha / 2.0))
    found = power_of_mean(shift, critical, df=df, floor=0.0, alternative="two-sided")
    same = "sampling variance and number of effects"
    notes = []
    if float(np.ptp(kj)) == 0.0 and float(np.ptp(sampling)) == 0.0:
        notes.append(f"all trials have one {same}; real trials differ, which costs degrees of freedom and power")
    if df < 4.0:
        notes.append("with fewer than 4 degrees of freedom the test itself is not to be trusted (Tipton 2015)")
    if size == 0.0:
        notes.append("the effect assumed is none, so that this is the chance of a false alarm and not a power")
    rows = (
        ("True effect", effect_words(size, measure)),
        ("Trials", f"{J:,}"),
        ("Effects", f"{int(kj.sum()):,}, {_span(kj)} in a trial"),
        ("Sampling variance of an effect", _span(sampling)),
        ("Heterogeneity", f"tau² {between2:.4g} between trials, omega² {within2:.4g} within"),
        ("Correlation of sampling errors", f"{r:g}"),
    )
    return PowerResult(
        test=f"average effect, {METHODS[method]}, {format_number(df_test, 1)} df",
        power=found,
        alpha=alpha,
        alternative="two-sided",
        measure=measure,
        effect=size,
        k=J,
        tau2=between2,
        I2=math.nan,
        se=1.0 / math.sqrt(total),
        noncentrality=shift,
        df=df_test,
        df2=df,
        exact=False,
        method="approximate, correlated and hierarchical effects (Vembye, Pustejovsky & Pigott 2023)",
        assumed=rows,
        notes=tuple(notes),
    )


def _read(per_trial: ArrayLike, vi: ArrayLike, **components: float) -> tuple[FloatArray, FloatArray, dict[str, float]]:
    """Effects of each trial, their sampling variances, and variance components; every fault is listed."""
    faults: list[Fault] = []
    kj = numbers("per_trial", per_trial, faults, above=0.0)
    sampling = numbers("vi", vi, faults, above=0.0)
    between = {name: numbers(name, one, faults) for name, one in components.items()}
    for name, one in between.items():
        if one.size > 1 or (one.size and (one[0] < 0.0 or (name == "rho" and one[0] > 1.0))):
            faults.append(
                Fault(column=name, message=f"must be one number, {'0 to 1' if name == 'rho' else '0 or more'}")
            )
    if kj.size and (kj != np.round(kj)).any():
        faults.append(Fault(column="per_trial", message="must be whole numbers"))
    lengths = {one.size for one in (kj, sampling)} - {0, 1}
    if len(lengths) > 1:
        faults.append(Fault(column="vi", message=f"has {sampling.size} values and per_trial {kj.size}"))
    if faults:
        raise DataError("the plan", faults)
    return kj, sampling, {name: float(one[0]) for name, one in between.items()}


def _span(values: FloatArray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def _model_df(weights: FloatArray, kj: FloatArray, within: FloatArray) -> float:
    """Satterthwaite's degrees of freedom of the model-based variance (equation 12).

    From the information about the two variance components; without repeated effects it tells of one of them only,
    and then the other's part is left out.
    """
    total = float(weights.sum())
    x, y = float((weights**2).sum() / total), float((weights**2 / kj).sum() / total)
    a = x * x + total * x - 2.0 * float((weights**3).sum()) / total
    b = (
        y * y
        + float((weights**2 / kj**2).sum() + ((kj - 1.0) / within**2).sum())
        - 2.0 * float((weights**3 / kj**2).sum()) / total
    )
    c = x * y + total * y - 2.0 * float((weights**3 / kj).sum()) / total
    determinant = a * b - c * c
    if determinant <= 1e-12 * a * b:
        return a / (x * x)
    return determinant / (a * y * y + b * x * x - 2.0 * c * x * y)
