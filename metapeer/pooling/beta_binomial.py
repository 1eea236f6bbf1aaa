"""The beta-binomial model of two arms: a mean risk for each, and one correlation within arms for all.

In each arm of each study the risk is drawn from a beta distribution with the mean of that arm, p1 or p2, and the
intraclass correlation rho; studies without events count like any other. The odds ratio, the risk ratio and the risk
difference are functions of p1 and p2, so that one fit serves all three.

With g = rho / (1 - rho), the probability of x events among n is a product,

    C(n, x) prod_{j<x} (p + j g) prod_{j<n-x} (1 - p + j g) / prod_{j<n} (1 + j g),

which holds at g = 0, where it is the binomial, and needs no gamma functions, whose differences would cancel there.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln

from metapeer.errors import ConvergenceError
from metapeer.pooling.newton import Peak, climb

__all__ = ["BetaBinomialFit", "contrast", "fit_beta_binomial"]

FloatArray = NDArray[np.float64]

# rho / (1 - rho) beyond this is a correlation above 0.999: arms have all events or none.
LARGEST_ODDS_OF_RHO = 1e3
_GRADIENT_TOLERANCE = 1e-5  # in standard errors
# Correlations of 0, 0.005, 0.05 and 0.3 within arms.
_STARTS = (0.0, 0.005, 0.05, 0.4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BetaBinomialFit:
    """The maximum of the likelihood.

    Parameters
    ----------
    logits : tuple of (float, float)
        Log odds of the mean risks of arms 1 and 2.
    covariance : array of shape (2, 2)
        Their covariance, from the observed information.
    rho, rho_se : float
        Correlation within arms and its standard error, NaN at rho = 0.
    log_likelihood, log_likelihood_binomial : float
        Largest with rho >= 0 and with rho = 0.
    gradient : float
        Its length at the maximum, in standard errors.
    iterations : int
        Newton steps, over all starts.
    """

    logits: tuple[float, float]
    covariance: FloatArray
    rho: float
    rho_se: float
    log_likelihood: float
    log_likelihood_binomial: float
    gradient: float
    iterations: int


def _exceeding(counts: FloatArray) -> FloatArray:
    """How many counts exceed 0, 1, 2, ...: how often each factor stands in the product over studies."""
    tally = np.bincount(counts.astype(np.int64))
    return (counts.size - np.cumsum(tally))[:-1].astype(np.float64)


class _Product:
    """The logarithm of ``prod (p + j g)^times_j`` with its derivatives in p and g up to the second."""

    def __init__(self, counts: FloatArray) -> None:
        self.times = _exceeding(counts)
        self.j = np.arange(self.times.size, dtype=np.float64)

    def __call__(self, p: float, g: float) -> tuple[float, FloatArray, FloatArray]:
        base = p + self.j * g
        first = self.times / base
        second = -first / base
        mixed = float(second @ self.j)
        gradient = np.array([first.sum(), first @ self.j])
        hessian = np.array([[second.sum(), mixed], [mixed, second @ self.j**2]])
        return float(self.times @ np.log(base)), gradient, hessian


class _Arm:
    """The log-likelihood of all studies' same arm, as a function of the log odds of its risk and of g."""

    def __init__(self, events: FloatArray, total: FloatArray) -> None:
        self.events, self.others, self.all = _Product(events), _Product(total - events), _Product(total)
        self.constant = float((gammaln(total + 1) - gammaln(events + 1) - gammaln(total - events + 1)).sum())

    def __call__(self, logit: float, g: float) -> tuple[float, FloatArray, FloatArray]:
        p, q = float(expit(logit)), float(expit(-logit))
        v1, d1, h1 = self.events(p, g)
        v2, d2, h2 = self.others(q, g)
        v3, d3, h3 = self.all(1.0, g)
        by_p = d1[0] - d2[0]
        slope = p * q  # of p in the logit
        by_logit = slope * by_p
        hessian = np.array(
            [
                [slope**2 * (h1[0, 0] + h2[0, 0]) + slope * (q - p) * by_p, slope * (h1[0, 1] - h2[0, 1])],
                [slope * (h1[0, 1] - h2[0, 1]), h1[1, 1] + h2[1, 1] - h3[1, 1]],
            ]
        )
        return self.constant + v1 + v2 - v3, np.array([by_logit, d1[1] + d2[1] - d3[1]]), hessian


def fit_beta_binomial(
    events1: FloatArray, total1: FloatArray, events2: FloatArray, total2: FloatArray
) -> BetaBinomialFit:
    """Maximise the likelihood of the beta-binomial model with one correlation for both arms.

    Parameters
    ----------
    events1, total1, events2, total2 : array of shape (k,)
        Whole numbers; tables without events count too.

    Returns
    -------
    BetaBinomialFit
        The best of the maxima found from four starts, on rho >= 0.

    Raises
    ------
    ConvergenceError
        If an arm has no events, or nothing but events, in all studies, or there is no maximum.

    References
    ----------
    Kuss (2015), Statistics in Medicine 34:1097-1116.

    Examples
    --------
    >>> import numpy as np
    >>> tables = [np.array(x, dtype=float) for x in ([0, 4, 0, 9], [20, 30, 15, 60], [0, 9, 3, 14], [20, 30, 15, 60])]
    >>> fit = fit_beta_binomial(*tables)
    >>> [round(x, 3) for x in fit.logits], round(fit.rho, 4)
    ([-2.416, -1.457], 0.0616)
    """
    for arm, events, total in (("1", events1, total1), ("2", events2, total2)):
        for none, words in ((not events.any(), "has no event"), (bool((events == total).all()), "has only events")):
            if none:
                raise ConvergenceError(
                    f"the likelihood has no maximum: arm {arm} {words} in any study, so that its risk lies on the "
                    "boundary and has no standard error. Remedies:\n"
                    "  1. pool risk differences: effect_size(measure='RD'), then meta_analysis()\n"
                    "  2. pool Peto's odds ratio: effect_size(measure='PETO')\n"
                    "  3. report the counts and do not pool"
                )
    arms = (_Arm(events1, total1), _Arm(events2, total2))

    def surface(x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        (v1, d1, h1), (v2, d2, h2) = arms[0](x[0], x[2]), arms[1](x[1], x[2])
        gradient = np.array([d1[0], d2[0], d1[1] + d2[1]])
        hessian = np.array(
            [[h1[0, 0], 0.0, h1[0, 1]], [0.0, h2[0, 0], h2[0, 1]], [h1[0, 1], h2[0, 1], h1[1, 1] + h2[1, 1]]]
        )
        return v1 + v2, gradient, hessian

    crude = [_crude_logit(events1, total1), _crude_logit(events2, total2)]
    bounded = np.array([False, False, True])
    peaks = [climb(surface, np.array([*crude, g]), bounded=bounded, largest=LARGEST_ODDS_OF_RHO) for g in _STARTS]
    best = max(peaks, key=lambda peak: peak.value)
    _vouch(best)
    covariance = best.covariance()
    g = float(best.x[2])
    return BetaBinomialFit(
        logits=(float(best.x[0]), float(best.x[1])),
        covariance=covariance[:2, :2],
        rho=g / (1.0 + g),
        rho_se=math.sqrt(covariance[2, 2]) / (1.0 + g) ** 2,
        log_likelihood=best.value,
        log_likelihood_binomial=surface(np.array([*crude, 0.0]))[0],
        gradient=best.length,
        iterations=sum(peak.steps for peak in peaks),
    )


def _crude_logit(events: FloatArray, total: FloatArray) -> float:
    return math.log(events.sum() / (total - events).sum())


def _vouch(peak: Peak) -> None:
    sound = (
        peak.x[2] <= LARGEST_ODDS_OF_RHO
        and peak.length < _GRADIENT_TOLERANCE
        and float(np.linalg.eigvalsh(peak.information).min()) > 0.0
    )
    if not sound:
        raise ConvergenceError(
            "no maximum of the likelihood was found: arms seem to have either events in everybody or in nobody. "
            "Remedies:\n"
            "  1. look for typing errors: events and participants exchanged, or one trial entered for several\n"
            "  2. use a model with study effects: glmm_meta_analysis(model='CM.EL')\n"
            "  3. report the counts and do not pool"
        )


def contrast(fit: BetaBinomialFit, measure: str) -> tuple[float, float]:
    """Effect of arm 1 against arm 2 and its standard error.

    Parameters
    ----------
    fit : BetaBinomialFit
        From `fit_beta_binomial`.
    measure : {"OR", "RR", "RD"}
        Log odds ratio, log risk ratio or risk difference.

    Returns
    -------
    estimate, se : float
        The standard error by the delta method.

    Examples
    --------
    >>> import numpy as np
    >>> tables = [np.array(x, dtype=float) for x in ([0, 4, 0, 9], [20, 30, 15, 60], [0, 9, 3, 14], [20, 30, 15, 60])]
    >>> [round(x, 4) for x in contrast(fit_beta_binomial(*tables), "RD")]
    [-0.107, 0.0757]
    """
    logit = np.array(fit.logits)
    p, q = expit(logit), expit(-logit)
    value, slope = {
        "OR": (logit, np.ones(2)),
        "RR": (np.log(p), q),
        "RD": (p, p * q),
    }[measure]
    direction = slope * np.array([1.0, -1.0])
    return float(value[0] - value[1]), math.sqrt(float(direction @ fit.covariance @ direction))
