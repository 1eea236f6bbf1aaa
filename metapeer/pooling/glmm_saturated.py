"""Heterogeneity where study levels are random: one effect for all studies against an effect for each.

In the saturated model arm 2 of a study is at its level, drawn from a normal distribution, and arm 1 is at that level
plus an effect of the study's own. So the two arms do not change places: another model results if they do.
"""

import math

import numpy as np

from metapeer.errors import ConvergenceError
from metapeer.pooling.glmm import fit_glmm, study_levels
from metapeer.pooling.glmm_designs import GlmmModel, Heterogeneity
from metapeer.pooling.glmm_likelihood import Binomial, FloatArray, Poisson, Term

__all__ = ["random_level_heterogeneity"]

# Half an event in one trial has its highest likelihood at log odds 0; its constant is taken off again.
_HALF = Binomial(np.array([0.5]), np.array([1.0]), (0.0, 1.0))


def _saturated(arm1: Binomial | Poisson, arm2: Binomial | Poisson) -> tuple[GlmmModel, np.ndarray, float]:
    """The saturated model in terms of `fit_glmm`, whose fixed levels are here the effects.

    A study whose arm 1 has no events, or nothing but events, has an infinite effect, which makes its arm 1 certain: the
    arm is left out, and a likelihood that knows nothing else holds the effect at 0. Returned are also which studies
    have finite effects, and the constant that such likelihoods add.
    """
    x1 = arm1.events
    finite = x1 > 0
    terms: list[Term]
    if isinstance(arm1, Binomial) and isinstance(arm2, Binomial):
        finite &= x1 < arm1.total
        terms = [
            Binomial(np.where(finite, x1, 0.0), np.where(finite, arm1.total, 0.0), (1.0, 1.0)),
            Binomial(arm2.events, arm2.total, (1.0, 0.0)),
        ]
        crude = np.log((arm2.events + 0.5) / (arm2.total - arm2.events + 0.5))
    else:
        assert isinstance(arm1, Poisson)  # noqa: S101  both arms are counted alike
        assert isinstance(arm2, Poisson)  # noqa: S101
        terms = [
            Poisson(np.where(finite, x1, 0.0), np.where(finite, arm1.time, 1e-300), (1.0, 1.0)),
            Poisson(arm2.events, arm2.time, (1.0, 0.0)),
        ]
        crude = np.log((arm2.events + 0.5) / arm2.time)
    terms.append(Binomial(np.where(finite, 0.0, 0.5), np.where(finite, 0.0, 1.0), (0.0, 1.0)))
    k = x1.size
    no = np.zeros(k, dtype=np.bool_)
    model = GlmmModel(
        terms=tuple(terms),
        k=k,
        level="fixed",
        lowest=no,
        highest=no,
        theta=crude,
        information=np.ones(k),
        saturated=math.nan,
    )
    constant = float(_HALF.log_density(np.zeros((1, 1)))[0][0, 0]) * int((~finite).sum())
    return model, finite, constant


def random_level_heterogeneity(model: GlmmModel, log_likelihood_common: float) -> Heterogeneity:
    """Test that all studies share one effect against a model in which each has its own, levels being random.

    Parameters
    ----------
    model : GlmmModel
        With random levels.
    log_likelihood_common : float
        The largest log-likelihood with tau2 = 0.

    Returns
    -------
    Heterogeneity
        Both tests; NaN where the saturated model has no maximum. Studies with an infinite effect of their own have no
        part in the Wald statistic.

    References
    ----------
    Viechtbauer (2010), J Stat Softw 36(3), whose ``rma.glmm`` has the same tests.

    Examples
    --------
    >>> from metapeer.pooling.glmm_designs import build_model
    >>> tables = [np.array(x, dtype=float) for x in ([1, 4, 12], [20, 30, 60], [5, 9, 14], [20, 30, 60])]
    >>> model = build_model("OR", "UM.RS", tables)
    >>> test = random_level_heterogeneity(model, fit_glmm(model).log_likelihood_common)
    >>> round(test.lrt, 3), test.lrt_df, round(test.wald, 3), test.wald_df
    (3.164, 2, 2.41, 2)
    """
    arm1, arm2 = model.terms
    assert isinstance(arm1, Binomial | Poisson)  # noqa: S101  unconditional models have no other terms
    assert isinstance(arm2, Binomial | Poisson)  # noqa: S101
    saturated, finite, constant = _saturated(arm1, arm2)
    known = int(finite.sum())
    none = Heterogeneity(lrt=math.nan, lrt_df=model.k - 1, wald=math.nan, wald_df=max(0, known - 1))
    try:
        fit = fit_glmm(saturated)
    except ConvergenceError:
        return none
    lrt = max(0.0, 2.0 * (fit.log_likelihood - constant - log_likelihood_common))
    wald = math.nan
    if known > 1:
        effects, information = study_levels(saturated, fit)
        wald = _wald(effects, information, finite, inner=fit.tau2 > 0)
    return Heterogeneity(lrt=lrt, lrt_df=model.k - 1, wald=wald, wald_df=max(0, known - 1))


def _wald(effects: FloatArray, information: FloatArray, finite: np.ndarray, *, inner: bool) -> float:
    """Wald test that effects are equal; mean and variance of the levels are nuisances."""
    p = 2 if inner else 1
    shared = information[:, :p, :p].sum(axis=0)
    cross = information[finite, :p, 2]
    own = np.diag(information[finite, 2, 2]) - cross @ np.linalg.solve(shared, cross.T)
    theta = effects[finite]
    share = own.sum(axis=0)
    off = theta - float(share @ theta) / float(share.sum())
    return max(0.0, float(off @ own @ off))
