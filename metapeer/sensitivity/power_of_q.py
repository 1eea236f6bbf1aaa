"""Power of the test of heterogeneity, from the exact distribution of Cochran's Q."""

import math

import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError
from metapeer.formatting import format_number
from metapeer.pooling.intervals import chi2_quantile, chi2_tail
from metapeer.pooling.quadratic_form import generalised_q_cdf
from metapeer.sensitivity.power_mean import equal_sizes, i2_of
from metapeer.sensitivity.power_plans import check_alpha, read_plan, single
from metapeer.sensitivity.power_results import PowerResult

__all__ = ["power_heterogeneity"]


def power_heterogeneity(
    *,
    k: int | None = None,
    n1: ArrayLike | None = None,
    n2: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    trials: pd.DataFrame | None = None,
    tau2: float | None = None,
    I2: float | None = None,
    effect: float = 0.0,
    measure: str = "SMD",
    sd: float | None = None,
    risk2: float | None = None,
    alpha: float = 0.05,
) -> PowerResult:
    """Compute the power of Cochran's Q test of heterogeneity, with the exact distribution of Q.

    Parameters
    ----------
    k, n1, n2, vi, sei, trials, measure, sd, risk2, alpha
        As in `power_meta_analysis`; several sizes must be those of all studies, so that `k` can be left out.
    tau2, I2 : float
        The heterogeneity to be found, said in one way.
    effect : float, default 0
        Mean of the true effects, on which variances from sizes of arms depend.

    Returns
    -------
    PowerResult
        The power, exact if effects are normal and their sampling variances are known.

    Raises
    ------
    DataError
        If numbers of the plan cannot be; every fault is listed.
    ChoiceError
        If something is missing, said twice or unknown.

    References
    ----------
    Hedges & Pigott (2001), Psychol Methods 6:203-217, who approximate the distribution that Jackson (2013), Res Synth
    Methods 4:220-229, computes.

    Examples
    --------
    >>> found = power_heterogeneity(k=10, n1=25, n2=25, I2=50)
    >>> round(found.power, 3), found.exact
    (0.489, True)
    """
    if tau2 is None and I2 is None:
        raise ChoiceError("give tau2 or I2: the heterogeneity that the test is to find")
    plan = read_plan(
        k=k, n1=n1, n2=n2, vi=vi, sei=sei, trials=trials, tau2=tau2, I2=I2, measure=measure, sd=sd, risk2=risk2,
        least=2,
    )  # fmt: skip
    alpha = check_alpha(alpha)
    one = plan.variances(single("effect", effect))
    studies = plan.studies()
    if studies < 2 or one.size not in (1, studies):
        raise ChoiceError(
            f"the test needs two studies or more, and the size of one or of all; not k = {studies} and {one.size} sizes"
        )
    variance = plan.heterogeneity(one)
    critical = chi2_quantile(alpha, studies - 1)
    if equal_sizes(one):
        typical = float(one[0])
        found = chi2_tail(critical * typical / (typical + variance), studies - 1)
        method = "exact, chi-squared scaled by 1 + tau² / v"
    else:
        found = 1.0 - generalised_q_cdf(critical, one, variance, 1.0 / one)
        method = "exact distribution of Q (Jackson 2013)"
    i2 = i2_of(plan, one, variance)
    rows = [("Studies", f"{studies:,}"), *plan.words()]
    rows.append(("Heterogeneity", f"tau² {variance:.4g}, I² {format_number(i2, 1)}%"))
    notes = []
    if variance == 0.0:
        notes.append("no heterogeneity is assumed, so that this is the chance of a false alarm and not a power")
    if plan.vi is None:
        notes.append("sampling variances count as known; estimated from small arms they change the size of the test")
    return PowerResult(
        test=f"heterogeneity, Cochran's Q, {studies - 1} df",
        power=found,
        alpha=alpha,
        alternative="",
        measure=plan.measure,
        effect=float(effect),
        k=studies,
        tau2=variance,
        I2=i2,
        se=math.nan,
        noncentrality=math.nan,
        df=float(studies - 1),
        df2=math.inf,
        exact=True,
        method=method,
        assumed=tuple(rows),
        notes=tuple(notes),
    )
