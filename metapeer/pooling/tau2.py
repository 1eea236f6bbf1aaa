"""The between-study variance tau2: the register of its estimators, and their standard errors.

Every function works on effects of any scale: search ranges and tolerances come from the data. All estimators are
truncated at zero. `X` is a design matrix of full column rank; without it the model has an intercept only.

References
----------
Veroniki et al. (2016), Res Synth Methods 7:55-79 (the estimators); Viechtbauer (2005), J Educ Behav Stat 30:261-293.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metapeer.errors import check_choice
from metapeer.pooling.tau2_bayes import tau2_bayes_modal
from metapeer.pooling.tau2_likelihood import maximise, tau2_ml, tau2_reml
from metapeer.pooling.tau2_moments import (
    sj_start,
    tau2_ca2,
    tau2_dl,
    tau2_dl2,
    tau2_genq,
    tau2_he,
    tau2_hs,
    tau2_hsk,
    tau2_sj,
)
from metapeer.pooling.tau2_profile import tau2_eb, tau2_genqm, tau2_pm, tau2_pmm
from metapeer.pooling.weighted import FloatArray, degrees_of_freedom, moments, total, trace_p, trace_pdpd, trace_pp

__all__ = [
    "TAU2_METHODS",
    "Tau2Estimate",
    "estimate_tau2",
    "tau2_ca2",
    "tau2_dl",
    "tau2_dl2",
    "tau2_eb",
    "tau2_genq",
    "tau2_genqm",
    "tau2_he",
    "tau2_hs",
    "tau2_hsk",
    "tau2_ml",
    "tau2_pm",
    "tau2_pmm",
    "tau2_reml",
    "tau2_se",
    "tau2_sj",
]


@dataclass(frozen=True, slots=True)
class Tau2Estimate:
    """A between-study variance and what is known about its computation.

    Parameters
    ----------
    tau2 : float
        The estimate, in squared units of the effects.
    se : float
        Its asymptotic standard error.
    other_maxima : tuple of (float, float)
        For ML and REML: every other local maximum, with how far its log-likelihood lies below the best.
    certified : bool
        For ML and REML: whether the search is proved to have missed no maximum.
    """

    tau2: float
    se: float
    other_maxima: tuple[tuple[float, float], ...] = ()
    certified: bool = True


def tau2_se(yi: FloatArray, vi: FloatArray, tau2: float, method: str, X: FloatArray | None = None) -> float:
    """Asymptotic standard error of an estimate of tau2.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    tau2 : float
        The estimate.
    method : str
        The estimator that gave it, one of `TAU2_METHODS`.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    float
        In squared units of `yi`; NaN for BM, which has none. It describes a skewed distribution: for an interval use
        the Q-profile.

    References
    ----------
    Viechtbauer (2005), J Educ Behav Stat 30:261-293; Viechtbauer et al. (2015), Psychol Methods 20:360-374 (EB, PM).

    Examples
    --------
    >>> import numpy as np
    >>> round(tau2_se(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]), 0.0949, "REML"), 4)
    0.1245
    """
    check_choice("method", method, TAU2_METHODS)
    df = degrees_of_freedom(yi, X)
    w = 1.0 / (vi + tau2)
    if method == "ML":
        return math.sqrt(2.0 / float(w.dot(w)))
    if method == "REML":
        return _root(2.0, trace_pp(w, X))
    if method in _PROFILE_ESTIMATORS:
        return math.sqrt(2.0 * yi.size**2 / df) / total(w)
    if method in _OTHER_ESTIMATORS or (method == "SJ" and sj_start(yi) == 0.0):
        return math.nan
    weights, scale = _moment_weights(yi, vi, method, X)
    ones = np.ones(yi.size)
    variance = (
        2.0 * trace_pdpd(weights, vi, vi, X)
        + 4.0 * tau2 * trace_pdpd(weights, vi, ones, X)
        + 2.0 * tau2**2 * trace_pp(weights, X)
    )
    if not scale:
        scale = trace_p(weights) if X is None else float(moments(yi, 1.0 / weights, np.zeros(1), X).trP[0])
    return _root(variance, scale * scale)


def _root(value: float, divisor: float) -> float:
    """Take the root of a ratio; NaN where rounding has left nothing of either, as variances far apart can do."""
    return math.sqrt(value / divisor) if value >= 0.0 and divisor > 0.0 else math.nan


def _moment_weights(yi: FloatArray, vi: FloatArray, method: str, X: FloatArray | None) -> tuple[FloatArray, float]:
    """Weights of the Q that a moment estimator uses, and by what it divides Q; zero for the trace of P."""
    k, df = yi.size, degrees_of_freedom(yi, X)
    w = 1.0 / vi
    start = sj_start(yi)
    cases: dict[str, Callable[[], tuple[FloatArray, float]]] = {
        "DL": lambda: (w, 0.0),
        "HS": lambda: (w, total(w)),
        "HSk": lambda: (w, total(w) * df / k),
        "HE": lambda: (np.ones(k), float(df)),
        "SJ": lambda: (1.0 / (vi + start), df / start),
        "GENQ": lambda: (np.sqrt(w), 0.0),
        "GENQM": lambda: (np.sqrt(w), 0.0),
        "DL2": lambda: (1.0 / (vi + tau2_dl(yi, vi, X)), 0.0),
        "CA2": lambda: (1.0 / (vi + tau2_he(yi, vi, X)), 0.0),
    }
    return cases[method]()


_PROFILE_ESTIMATORS: dict[str, Callable[[FloatArray, FloatArray, FloatArray | None], float]] = {
    "PM": tau2_pm,
    "EB": tau2_eb,
    "PMM": tau2_pmm,
    # Iterating DerSimonian-Laird or Sidik-Jonkman to its fixed point ends where Q equals its degrees of freedom.
    "DLIT": tau2_pm,
    "SJIT": tau2_pm,
}

_OTHER_ESTIMATORS: dict[str, Callable[[FloatArray, FloatArray, FloatArray | None], float]] = {"BM": tau2_bayes_modal}

_MOMENT_ESTIMATORS: dict[str, Callable[[FloatArray, FloatArray, FloatArray | None], float]] = {
    "DL": tau2_dl,
    "HE": tau2_he,
    "HS": tau2_hs,
    "HSk": tau2_hsk,
    "SJ": tau2_sj,
    "DL2": tau2_dl2,
    "CA2": tau2_ca2,
    "GENQ": tau2_genq,
    "GENQM": tau2_genqm,
}

TAU2_METHODS = ("REML", "ML", *_PROFILE_ESTIMATORS, *_MOMENT_ESTIMATORS, *_OTHER_ESTIMATORS)
"""The codes of the estimators, as metafor has them; DL2 and CA2 are DerSimonian and Kacker's, BM is Bayes modal."""


def estimate_tau2(yi: FloatArray, vi: FloatArray, method: str, X: FloatArray | None = None) -> Tau2Estimate:
    """Estimate tau2 by a named method.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances; at least one more than the coefficients of the model.
    method : str
        One of `TAU2_METHODS`.
    X : array of shape (k, p), optional
        Design matrix.

    Returns
    -------
    Tau2Estimate
        The estimate with its standard error.

    Raises
    ------
    ChoiceError
        If `method` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> fit = estimate_tau2(np.array([0.1, 0.3, 0.8]), np.array([0.02, 0.03, 0.04]), "PM")
    >>> round(fit.tau2, 4), round(fit.se, 4)
    (0.0975, 0.127)
    """
    if method in ("REML", "ML"):
        found = maximise(yi, vi, X, restricted=method == "REML")
        return Tau2Estimate(found.tau2, tau2_se(yi, vi, found.tau2, method, X), found.others, found.certified)
    estimators = _PROFILE_ESTIMATORS | _MOMENT_ESTIMATORS | _OTHER_ESTIMATORS
    tau2 = estimators[check_choice("tau2_method", method, TAU2_METHODS)](yi, vi, X)
    return Tau2Estimate(tau2, tau2_se(yi, vi, tau2, method, X))
