"""Generalised linear mixed models of counts: which terms each has, and what each study says on its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metapeer.pooling.glmm_likelihood import Binomial, FloatArray, Hypergeometric, Poisson, Term, derivatives

__all__ = ["GlmmModel", "Heterogeneity", "build_model", "heterogeneity"]

BoolArray = NDArray[np.bool_]
Level = Literal["none", "fixed", "random"]
_STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GlmmModel:
    """A model of counts, ready to be fitted.

    Parameters
    ----------
    terms : tuple of Term
        The parts of each study's log-likelihood.
    k : int
        Studies.
    level : {"none", "fixed", "random"}
        Whether a study's level is conditioned away (or there is but one arm), estimated for each study, or random.
    lowest, highest : array of bool, shape (k,)
        Studies whose own likelihood is largest at an effect of minus or plus infinity.
    theta, information : array of shape (k,)
        Each study's own effect and its information; 0 where the effect is infinite.
    saturated : float
        Log-likelihood when each study has its own effect; NaN for random levels, where there is no closed form.
    """

    terms: tuple[Term, ...]
    k: int
    level: Level
    lowest: BoolArray
    highest: BoolArray
    theta: FloatArray
    information: FloatArray
    saturated: float

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that all studies share."""
        return ("mu", "tau2", "level", "sigma2") if self.level == "random" else ("mu", "tau2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heterogeneity:
    """Tests that all studies share one effect, against an effect for each study.

    Parameters
    ----------
    lrt, wald : float
        Likelihood ratio and Wald statistics; NaN where the model offers none.
    lrt_df, wald_df : int
        Degrees of freedom. A study whose own effect is infinite has no Wald statistic and does not count there.
    """

    lrt: float
    lrt_df: int
    wald: float
    wald_df: int


def _one_predictor(terms: tuple[Term, ...], k: int, lowest: BoolArray, highest: BoolArray) -> GlmmModel:
    """A model with one term, whose studies' own effects are found by Newton's method; a supremum at infinity is 0."""
    zero = np.zeros((k, 1))
    theta, inner = zero.copy(), ~(lowest | highest)
    value, information = zero[:, 0], zero[:, 0]
    for _ in range(_STEPS):
        found, by_order = derivatives(terms, theta, zero)
        value, information = found[:, 0], -by_order[2, 0][:, 0]
        step = np.where(inner, by_order[1, 0][:, 0] / np.maximum(information, 1e-300), 0.0)
        theta[:, 0] += np.clip(step, -2.0, 2.0)
        if np.abs(step).max(initial=0.0) < 1e-10:
            break
    return GlmmModel(
        terms=terms,
        k=k,
        level="none",
        lowest=lowest,
        highest=highest,
        theta=np.where(inner, theta[:, 0], np.where(highest, np.inf, -np.inf)),
        information=np.where(inner, information, 0.0),
        saturated=float(value[inner].sum()),
    )


def _own_maximum(terms: Sequence[Binomial | Poisson]) -> float:
    """Log-likelihood when every arm has its own probability or rate."""
    total = 0.0
    for term in terms:
        x = term.events
        with np.errstate(divide="ignore"):
            eta = np.log(x) - np.log(term.total - x if isinstance(term, Binomial) else term.time)
        inner = np.isfinite(eta)
        value = term.log_density(np.where(inner, eta, 0.0)[:, None])[0][:, 0]
        total += float(value[inner].sum())
    return total


def build_model(
    measure: str,
    model: str,
    counts: Sequence[FloatArray],
    *,
    coding: float = 0.5,
) -> GlmmModel:
    """Write down the likelihood of a model.

    Parameters
    ----------
    measure : {"OR", "IRR", "PLO", "IRLN"}
        Log odds ratio, log rate ratio, log odds of one group, log rate of one group.
    model : {"UM.FS", "UM.RS", "CM.EL", "CM.AL", ""}
        For two arms, metafor's names: unconditional with fixed or random study effects, conditional exact or
        approximate. Empty for one group.
    counts : sequence of array of shape (k,)
        ``events1 total1 events2 total2`` (or ``time1``, ``time2``), or ``events total`` (or ``time``). Unless the
        model has random study effects, no table may lack information: events (and non-events) are needed.
    coding : float, default 0.5
        Share of a study's deviation from the mean effect that moves arm 1; the rest moves arm 2 the other way.
        Unconditional models only.

    Returns
    -------
    GlmmModel
        Ready for `fit_glmm`.

    References
    ----------
    Stijnen, Hamza & Özdemir (2010), Stat Med 29:3046-3067; Jackson, Law, Stijnen, Viechtbauer & White (2018), Stat Med
    37:1059-1085, whose models 4, 5 (UM.FS and UM.RS with coding 1/2), 6 (CM.AL) and 7 (CM.EL) these are.

    Examples
    --------
    >>> import numpy as np
    >>> tables = [np.array(x, dtype=float) for x in ([1, 4], [20, 30], [5, 9], [20, 30])]
    >>> build_model("OR", "CM.EL", tables).theta.round(3)
    array([-1.804, -1.007])
    """
    if model == "":
        events, size = counts
        one: Term = Binomial(events, size) if measure == "PLO" else Poisson(events, size)
        full = events == size if measure == "PLO" else np.zeros(events.size, dtype=np.bool_)
        return _one_predictor((one,), events.size, events == 0, full)
    x1, size1, x2, size2 = counts
    k = x1.size
    lowest, highest = x1 == 0, x2 == 0
    if measure == "OR" and model != "CM.AL":
        lowest, highest = lowest | (x2 == size2), highest | (x1 == size1)
    if model == "CM.EL" and measure == "OR":
        return _one_predictor((Hypergeometric(x1, size1, x2, size2),), k, lowest, highest)
    if model.startswith("CM"):
        given = Binomial(x1, x1 + x2, offset=np.log(size1 / size2))
        return _one_predictor((given,), k, lowest, highest)
    terms: tuple[Binomial, Binomial] | tuple[Poisson, Poisson]
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "OR":
            terms = (Binomial(x1, size1, (coding, 1.0)), Binomial(x2, size2, (coding - 1.0, 1.0)))
            theta = np.log(x1) - np.log(size1 - x1) - np.log(x2) + np.log(size2 - x2)
            information = 1.0 / (1.0 / x1 + 1.0 / (size1 - x1) + 1.0 / x2 + 1.0 / (size2 - x2))
        else:
            terms = (Poisson(x1, size1, (coding, 1.0)), Poisson(x2, size2, (coding - 1.0, 1.0)))
            theta = np.log(x1 / size1) - np.log(x2 / size2)
            information = 1.0 / (1.0 / x1 + 1.0 / x2)
    if model == "UM.RS":
        # All studies must lie on one side for the mean effect to run away, whatever the other arm does.
        lowest = np.full(k, bool((x1 == 0).all() or (measure == "OR" and (x2 == size2).all())))
        highest = np.full(k, bool((x2 == 0).all() or (measure == "OR" and (x1 == size1).all())))
    return GlmmModel(
        terms=terms,
        k=k,
        level="fixed" if model == "UM.FS" else "random",
        lowest=lowest,
        highest=highest,
        theta=theta,
        information=np.where(np.isfinite(theta), information, 0.0),
        saturated=_own_maximum(terms) if model == "UM.FS" else math.nan,
    )


def heterogeneity(model: GlmmModel, log_likelihood_common: float) -> Heterogeneity:
    """Test that all studies share one effect against a model in which each has its own.

    Parameters
    ----------
    model : GlmmModel
        From `build_model`.
    log_likelihood_common : float
        The largest log-likelihood with tau2 = 0.

    Returns
    -------
    Heterogeneity
        Both tests; NaN for random study effects, which have a saturated model to fit: `random_level_heterogeneity`.

    Examples
    --------
    >>> import numpy as np
    >>> tables = [np.array(x, dtype=float) for x in ([1, 4, 12], [20, 30, 60], [5, 9, 14], [20, 30, 60])]
    >>> from metapeer.pooling.glmm import fit_glmm
    >>> model = build_model("OR", "CM.EL", tables)
    >>> test = heterogeneity(model, fit_glmm(model).log_likelihood_common)
    >>> round(test.lrt, 3), test.lrt_df, round(test.wald, 3), test.wald_df
    (2.584, 2, 2.328, 2)
    """
    if model.level == "random":
        return Heterogeneity(lrt=math.nan, lrt_df=model.k - 1, wald=math.nan, wald_df=model.k - 1)
    known = model.information > 0
    weight, theta = model.information[known], model.theta[known]
    wald = float(weight @ (theta - weight @ theta / weight.sum()) ** 2) if theta.size > 1 else math.nan
    return Heterogeneity(
        lrt=max(0.0, 2.0 * (model.saturated - log_likelihood_common)),
        lrt_df=model.k - 1,
        wald=wald,
        wald_df=max(0, theta.size - 1),
    )
