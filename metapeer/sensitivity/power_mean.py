"""The test of a pooled effect as planned: what k studies tell, which distribution the test has, and its power."""

import math
from typing import Any

import numpy as np

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import count, format_number
from metapeer.pooling.heterogeneity import typical_variance
from metapeer.pooling.intervals import normal_quantile, t_quantile
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.power_distributions import power_of_mean
from metapeer.sensitivity.power_plans import ALTERNATIVES, Plan, check_alpha, read_plan, whole
from metapeer.sensitivity.power_results import PowerResult, effect_words
from metapeer.sensitivity.power_simulation import simulated_power

__all__ = ["MeanTest", "equal_sizes", "i2_of", "mean_test"]

MODELS = ("random", "common")
MEAN_TESTS = {
    "z": "normal",
    "t": "t",
    "HK": "Hartung-Knapp",
    "HK_se": "Hartung-Knapp, standard error not below the classic one",
    "HK_ci": "Hartung-Knapp or normal, whichever is wider",
}
"""Tests of the mean whose power follows from one integral; the codes are those of `meta_analysis`."""
KNOWN = ("z", "t")
FEWEST_RUNS = 1000
UNEVEN = 0.6
"""Effective over actual number of studies, Kish's (sum w)² / sum w², below which the formula is doubted."""
EQUAL = 1e-9
"""Relative differences below which variances count as equal."""


def equal_sizes(vi: FloatArray) -> bool:
    """Tell whether all sampling variances are one.

    Parameters
    ----------
    vi : array
        Sampling variances.

    Returns
    -------
    bool
        Whether they are equal but for rounding.
    """
    return float(np.ptp(vi)) <= EQUAL * float(vi.max())


def i2_of(plan: Plan, vi: FloatArray, tau2: float) -> float:
    """I² as it was given, or from tau2 and Higgins and Thompson's typical variance.

    Parameters
    ----------
    plan : Plan
        What was planned.
    vi : array
        Sampling variances.
    tau2 : float
        Between-study variance.

    Returns
    -------
    float
        In per cent.
    """
    if not math.isnan(plan.I2):
        return plan.I2
    typical = typical_variance(vi) if vi.size > 1 else float(vi[0])
    return 100.0 * tau2 / (tau2 + typical)


class MeanTest:
    """One test of a pooled effect, ready to be asked for its power with any effect and number of studies.

    Parameters
    ----------
    plan : Plan
        What was planned.
    model, ci_method, tau2_known, alpha, alternative, simulations, seed
        As in `power_meta_analysis`.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        model: str,
        ci_method: str | None,
        tau2_known: bool,
        alpha: float,
        alternative: str,
        simulations: int = 0,
        seed: int = 1,
    ) -> None:
        self.plan = plan
        self.model = check_choice("model", model, MODELS)
        known = MEAN_TESTS if model == "random" else {name: MEAN_TESTS[name] for name in KNOWN}
        self.ci_method = check_choice("ci_method", ci_method or ("HK" if model == "random" else "z"), known)
        self.alpha = check_alpha(alpha)
        self.alternative = check_choice("alternative", alternative, ALTERNATIVES)
        if model == "common" and (plan.tau2 > 0.0 or plan.I2 > 0.0):
            raise ChoiceError("a common effect has no heterogeneity; leave tau2 and I2 out, or use model='random'")
        if not isinstance(tau2_known, bool | np.bool_):
            raise ChoiceError(f"tau2_known must be True or False, not {tau2_known!r}")
        if tau2_known and (model == "common" or self.ci_method not in KNOWN):
            raise ChoiceError("tau2_known makes a difference to ci_method 'z' and 't' of a random-effects model only")
        if plan.k is not None and plan.k < self.least:
            raise ChoiceError(f"k must be a whole number from {self.least}, not {plan.k}")
        self.tau2_known = bool(tau2_known)
        self.simulations, self.seed = whole("simulations", simulations, 0), whole("seed", seed, 0)
        if self.simulations and (model == "common" or self.tau2_known):
            raise ChoiceError("simulations have no use where the formula is exact: a common effect, or tau2 known")
        if 0 < self.simulations < FEWEST_RUNS:
            raise ChoiceError(f"simulations must be 0 or {FEWEST_RUNS:,} or more, not {self.simulations}")

    @property
    def least(self) -> int:
        """Fewest studies that the test can do with."""
        return 1 if self.model == "common" and self.ci_method == "z" else 2

    def power(self, effect: float, k: int) -> PowerResult:
        """Compute the power with this effect and so many studies.

        Parameters
        ----------
        effect : float
            True effect.
        k : int
            Studies.

        Returns
        -------
        PowerResult
            The power, and what it rests on.

        Raises
        ------
        ChoiceError
            If the test cannot do with so few studies.
        """
        if k < self.least:
            raise ChoiceError(f"the test needs {self.least} studies or more, not {k}")
        vi = self.plan.variances(effect)
        tau2 = self.plan.heterogeneity(vi)
        equal = equal_sizes(vi)
        # What k studies of unequal size tell, k studies of one size would tell just so if tau2 were known.
        total = vi.size / float((1.0 / (vi + tau2)).sum())
        share = min(1.0, max(0.0, (total - tau2) / total))
        se = math.sqrt(total / k)
        shift = effect / se
        level = 1.0 - self.alpha if self.alternative == "two-sided" else 1.0 - 2.0 * self.alpha
        normal = normal_quantile(level) if level > 0.0 else 0.0
        df = math.inf if self.ci_method == "z" else float(k - 1)
        critical = normal if math.isinf(df) else (t_quantile(level, df) if level > 0.0 else 0.0)
        if not critical > 0.0:
            raise ChoiceError(f"alpha = {self.alpha:g} leaves a one-sided test no critical value above 0")
        estimated = self.model == "random" and not self.tau2_known
        scale_df = float(k - 1) if estimated else math.inf
        floor = 1.0
        if estimated:
            floor = {"HK": 0.0, "HK_ci": share * (normal / critical) ** 2}.get(self.ci_method, share)
        if self.simulations:
            found = simulated_power(
                effect, self._each(vi, k), tau2, ci_method=self.ci_method, normal=normal, critical=critical,
                alternative=self.alternative, runs=self.simulations, seed=self.seed,
            )  # fmt: skip
        else:
            found = power_of_mean(shift, critical, df=scale_df, floor=floor, alternative=self.alternative)
        return PowerResult(
            test=self._test(k),
            power=found,
            alpha=self.alpha,
            alternative=self.alternative,
            measure=self.plan.measure,
            effect=effect,
            k=k,
            tau2=tau2,
            I2=i2_of(self.plan, vi, tau2),
            se=se,
            noncentrality=shift,
            df=df,
            df2=scale_df,
            exact=self.model == "common" or (equal and estimated and not self.simulations),
            method=self._method(found, equal=equal),
            assumed=self._assumed(effect, k, vi, tau2),
            notes=self._notes(effect, k, vi),
        )

    @property
    def name(self) -> str:
        """What is tested, and how."""
        what = "mean of random effects" if self.model == "random" else "common effect"
        return f"{what}, {MEAN_TESTS[self.ci_method]}"

    def _test(self, k: int) -> str:
        return self.name if self.ci_method == "z" else f"{self.name}, {k - 1} df"

    def _each(self, vi: FloatArray, k: int) -> FloatArray:
        """Variances of all studies; they may be one for all, or one for each, but not stand for a mixture."""
        if vi.size not in (1, k):
            raise ChoiceError(f"simulations need the size of each of the {k} studies, or one size for all")
        return np.full(k, vi[0]) if vi.size == 1 else vi

    def _method(self, found: float, *, equal: bool) -> str:
        if self.simulations:
            error = 100.0 * math.sqrt(found * (1.0 - found) / self.simulations)
            return (
                f"{self.simulations:,} simulated meta-analyses (seed {self.seed}), Paule-Mandel tau²;"
                f" Monte Carlo standard error {error:.2g} points"
            )
        if self.model == "common":
            return "exact, common effect"
        if self.tau2_known:
            return "tau² counted as known (Hedges & Pigott 2001)"
        how = "noncentral t" if self.ci_method == "HK" else "tau² estimated (Jackson & Turner 2017)"
        if equal:
            return f"exact for studies of one variance, {how}"
        return f"approximate, {how} with the variance of k studies of equal information"

    def _assumed(self, effect: float, k: int, vi: FloatArray, tau2: float) -> tuple[tuple[str, str], ...]:
        rows = [("True effect", effect_words(effect, self.plan.measure)), ("Studies", f"{k:,}"), *self.plan.words()]
        if self.plan.vi is None:
            low, high = float(vi.min()), float(vi.max())
            span = format_number(low, 4) if equal_sizes(vi) else f"{format_number(low, 4)} to {format_number(high, 4)}"
            rows.append(("Sampling variance of a study", span))
        if self.model == "random":
            rows.append(("Heterogeneity", f"tau² {tau2:.4g}, I² {format_number(i2_of(self.plan, vi, tau2), 1)}%"))
        return tuple(rows)

    def _notes(self, effect: float, k: int, vi: FloatArray) -> tuple[str, ...]:
        notes = []
        if effect == 0.0:
            notes.append("the effect assumed is none, so that this is the chance of a false alarm and not a power")
        if vi.size not in (1, k):
            notes.append(
                f"the sizes of {count(vi.size, 'study', 'studies')} stand for {count(k, 'study', 'studies')}"
                " in the same mixture"
            )
        approximate = self.model == "random" and not self.simulations and not equal_sizes(vi)
        effective = float((1.0 / vi).sum() ** 2 / (1.0 / vi**2).sum()) / vi.size
        if approximate and effective < UNEVEN:
            notes.append(
                "the studies are so unequal that the formula may be far off, as few of them carry most of the weight;"
                " power_meta_analysis(simulations=20000) computes what will happen"
            )
        if self.ci_method == "z" and self.model == "random" and not self.tau2_known and k < 20:
            notes.append(
                "a normal test with few studies errs more often than alpha says when effects vary, and part of its"
                " power is that"
            )
        return tuple(notes)


def mean_test(
    *,
    model: str,
    ci_method: str | None,
    tau2_known: bool,
    alpha: float,
    alternative: str,
    simulations: int = 0,
    seed: int = 1,
    **sizes: Any,
) -> MeanTest:
    """Read a plan and the test that is to be made of it.

    Parameters
    ----------
    model, ci_method, tau2_known, alpha, alternative, simulations, seed
        As in `power_meta_analysis`.
    **sizes
        As in `read_plan`.

    Returns
    -------
    MeanTest
        Both, checked.
    """
    how: dict[str, Any] = {"model": model, "ci_method": ci_method, "tau2_known": tau2_known}
    how |= {"alpha": alpha, "alternative": alternative, "simulations": simulations, "seed": seed}
    return MeanTest(read_plan(**sizes), **how)
