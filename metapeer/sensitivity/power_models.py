"""Power of the test of a pooled effect before the studies are there; for one plan, and for many."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError
from metapeer.sensitivity.power_mean import mean_test
from metapeer.sensitivity.power_plans import listed, single, whole
from metapeer.sensitivity.power_results import PowerCurve, PowerResult

__all__ = ["power_curve", "power_meta_analysis"]


def power_meta_analysis(
    *,
    effect: float,
    k: int | None = None,
    n1: ArrayLike | None = None,
    n2: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    trials: pd.DataFrame | None = None,
    tau2: float | None = None,
    I2: float | None = None,
    measure: str = "SMD",
    sd: float | None = None,
    risk2: float | None = None,
    model: str = "random",
    ci_method: str | None = None,
    tau2_known: bool = False,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    simulations: int = 0,
    seed: int = 1,
) -> PowerResult:
    """Compute the power of the test of a pooled effect in a planned meta-analysis.

    Choose the effect before looking at results: the smallest that would matter. The power at an effect that was
    estimated from the same studies is a function of their p-value and says nothing new (Hoenig & Heisey 2001).

    Parameters
    ----------
    effect : float
        True effect, in the units of the measure: a logarithm for ratios.
    k : int, optional
        Studies; as many as `vi`, `n1` or `trials` list when left out.
    n1, n2 : float or sequence of float, optional
        Participants of each arm of a study, or of every study. `n1` alone for "ZCOR".
    vi, sei : float or sequence of float, optional
        Sampling variance or standard error of a study, or of every study.
    trials : DataFrame, optional
        Planned trials, a row each, with ``vi`` or ``sei`` or ``n1`` and ``n2``.
    tau2 : float, optional
        Between-study variance; 0 when neither it nor `I2` is given.
    I2 : float, optional
        I² in per cent instead.
    measure : str, default "SMD"
        Effect measure. From sizes of arms: "SMD", "MD", "OR", "RR", "RD", "ZCOR"; any with `vi` or `sei`.
    sd : float, optional
        Standard deviation in both arms, for "MD" from sizes.
    risk2 : float, optional
        Risk in arm 2, for "OR", "RR" and "RD" from sizes.
    model : {"random", "common"}
        As in `meta_analysis`.
    ci_method : {"z", "t", "HK", "HK_se", "HK_ci"}, optional
        The test, as in `meta_analysis`: "HK" under random effects and "z" under a common effect when left out.
    tau2_known : bool, default False
        Whether tau2 counts as known rather than estimated, as in the older formulas.
    alpha : float, default 0.05
        Level of the test.
    alternative : {"two-sided", "greater", "less"}
        Where the test rejects.
    simulations : int, default 0
        Meta-analyses to simulate instead of using the formula, which is exact only for studies of one variance; 20,000
        give the power to a third of a point.
    seed : int, default 1
        Of the simulation.

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
    MetapeerError
        If there can be no such effect.

    References
    ----------
    Hedges & Pigott (2001), Psychol Methods 6:203-217; Valentine, Pigott & Rothstein (2010), J Educ Behav Stat
    35:215-247; Jackson & Turner (2017), Res Synth Methods 8:290-302; Hoenig & Heisey (2001), Am Stat 55:19-24.

    Examples
    --------
    >>> found = power_meta_analysis(effect=0.2, k=10, n1=50, n2=50, I2=50)
    >>> round(found.power, 3), found.method
    (0.512, 'exact for studies of one variance, noncentral t')
    >>> round(power_meta_analysis(effect=0.2, k=10, n1=10, n2=10, model="common").power, 4)
    0.2918
    """
    test = mean_test(
        k=k, n1=n1, n2=n2, vi=vi, sei=sei, trials=trials, tau2=tau2, I2=I2, measure=measure, sd=sd, risk2=risk2,
        model=model, ci_method=ci_method, tau2_known=tau2_known, alpha=alpha, alternative=alternative,
        simulations=simulations, seed=seed,
    )  # fmt: skip
    return test.power(single("effect", effect), test.plan.studies())


def power_curve(
    *,
    effect: float,
    k: Sequence[int],
    tau2: float | Sequence[float] | None = None,
    I2: float | Sequence[float] | None = None,
    n1: ArrayLike | None = None,
    n2: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    trials: pd.DataFrame | None = None,
    measure: str = "SMD",
    sd: float | None = None,
    risk2: float | None = None,
    model: str = "random",
    ci_method: str | None = None,
    tau2_known: bool = False,
    alpha: float = 0.05,
    alternative: str = "two-sided",
) -> PowerCurve:
    """Compute power for several numbers of studies and several amounts of heterogeneity.

    Parameters
    ----------
    effect : float
        True effect, in the units of the measure: a logarithm for ratios.
    k : sequence of int
        Numbers of studies.
    tau2, I2 : float or sequence of float, optional
        Amounts of heterogeneity, said in one way.
    n1, n2, vi, sei, trials, measure, sd, risk2, model, ci_method, tau2_known, alpha, alternative
        As in `power_meta_analysis`.

    Returns
    -------
    PowerCurve
        A table, with a figure.

    Raises
    ------
    DataError
        If numbers of the plan cannot be; every fault is listed.
    ChoiceError
        If something is missing, said twice or unknown.

    References
    ----------
    Valentine, Pigott & Rothstein (2010), J Educ Behav Stat 35:215-247.

    Examples
    --------
    >>> curve = power_curve(effect=0.2, k=[5, 10, 20], I2=[0, 50], n1=50, n2=50)
    >>> print(curve)
    Power: mean of random effects, Hartung-Knapp, SMD 0.2, alpha 0.05
    <BLANKLINE>
    Studies  I² = 0%  I² = 50%
          5    40.0%     23.0%
         10    80.1%     51.2%
         20    98.8%     84.9%
    """
    if tau2 is not None and I2 is not None:
        raise ChoiceError("tau2 and I2 say the same thing twice; give one")
    by = "I2" if I2 is not None else "tau2"
    amounts = listed(by, I2 if I2 is not None else (0.0 if tau2 is None else tau2))
    counts = sorted({whole("k", one, 1) for one in listed("k", k)})
    chosen = single("effect", effect)
    sizes: dict[str, Any] = {
        "n1": n1, "n2": n2, "vi": vi, "sei": sei, "trials": trials, "measure": measure, "sd": sd, "risk2": risk2,
    }  # fmt: skip
    results = []
    for amount in amounts:
        between: dict[str, Any] = {"tau2": None, "I2": None, by: amount}
        test = mean_test(
            k=None, **sizes, **between, model=model, ci_method=ci_method, tau2_known=tau2_known, alpha=alpha,
            alternative=alternative,
        )  # fmt: skip
        results += [test.power(chosen, one) for one in counts]
    return PowerCurve(results=tuple(results), by=by, test=test.name, notes=())
