"""Weights that are smooth functions of p.

A stretch where the weight varies is laid out in z = effect / standard error and integrated by Gauss and Legendre's
rule. Its nodes never move, so that the derivatives of the rule are the derivatives of what it computes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import erf, expit, log_ndtr, ndtri

from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.selection_weights import Logs, Nodes, Selection, cut_points, p_values

__all__ = ["FAMILIES", "Family", "smooth_selection"]

_LEAST_P = 1e-300
"""p values below it count as equal to it, so that their logarithm is finite."""
_FARTHEST = 9.5
"""In z: where p or 1 - p is 1e-21, a weight that is a function of p itself no longer changes in double precision."""
_PANEL = 1.0
_ORDER = 16
"""Weight and density vary over a unit of z, for sqrt(vi + tau2) is no smaller than sqrt(vi): 16 nodes on that leave an
error of rounding. Where a weight falls more steeply the fit sees it, for it halves the panels and compares."""


Shape = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], Logs]


@dataclass(frozen=True, slots=True)
class Family:
    """A family of smooth weight functions.

    Parameters
    ----------
    words : str
        Its name in prose.
    formula : str
        The weight as a function of p.
    names : tuple of str
        Of its parameters.
    none : tuple of float or None
        Their values without selection.
    shape : callable
        ``log w`` of ``log p``, ``log(1 - p)``, imprecision and internal parameters.
    starts : tuple of tuple of float
        Internal parameters to begin from.
    least_p : float
        p values are kept at least so far from 0 and 1.
    logarithmic : tuple of bool
        Parameters whose logarithm is the internal one.
    takes_precision, takes_threshold : bool
        Whether the weight may depend on imprecision, and be 1 up to a threshold.
    regular : bool
        Whether the test against no selection has the usual distribution up to a boundary.
    """

    words: str
    formula: str
    names: tuple[str, ...]
    none: tuple[float, ...]
    shape: Shape
    starts: tuple[tuple[float, ...], ...]
    least_p: float
    logarithmic: tuple[bool, ...]
    takes_precision: bool = True
    takes_threshold: bool = True
    regular: bool = True


def _beta(lp: FloatArray, lq: FloatArray, _: FloatArray, psi: FloatArray) -> Logs:
    return Logs((psi[0] - 1.0) * lp + (psi[1] - 1.0) * lq, np.stack([lp, lq], axis=-1), None)


def _linear(slope: FloatArray, psi: FloatArray) -> Logs:
    return Logs(psi[0] * slope, slope[..., None], None)


def _halfnorm(lp: FloatArray, _: FloatArray, prec: FloatArray, psi: FloatArray) -> Logs:
    return _linear(-prec * np.exp(2.0 * lp), psi)


def _negexp(lp: FloatArray, _: FloatArray, prec: FloatArray, psi: FloatArray) -> Logs:
    return _linear(-prec * np.exp(lp), psi)


def _power(_: FloatArray, lq: FloatArray, prec: FloatArray, psi: FloatArray) -> Logs:
    return _linear(prec * lq, psi)


def _logistic(lp: FloatArray, _: FloatArray, prec: FloatArray, psi: FloatArray) -> Logs:
    p = prec * np.exp(lp)
    x = psi[0] * p
    first, second = -p * expit(x), -p * p * expit(x) * expit(-x)
    return Logs(math.log(2.0) - np.logaddexp(0.0, x), first[..., None], second[..., None, None])


def _negexppow(lp: FloatArray, _: FloatArray, prec: FloatArray, psi: FloatArray) -> Logs:
    """``exp(-d1 p^(1/d2))`` with d2 = exp(psi[1])."""
    length = -lp * math.exp(-min(max(psi[1], -300.0), 300.0))
    power = prec * np.exp(-length)
    bent = power * length
    first = np.stack([-power, -psi[0] * bent], axis=-1)
    second = np.empty((*power.shape, 2, 2))
    second[..., 0, 0] = 0.0
    second[..., 0, 1] = second[..., 1, 0] = -bent
    second[..., 1, 1] = -psi[0] * bent * (length - 1.0)
    return Logs(-psi[0] * power, first, second)


_ONE = ((0.3,), (2.0,), (8.0,), (25.0,))
FAMILIES: dict[str, Family] = {
    "beta": Family(
        words="beta",
        formula="p^(delta1 - 1) (1 - p)^(delta2 - 1)",
        names=("delta1", "delta2"),
        none=(1.0, 1.0),
        shape=_beta,
        starts=((1.0, 1.0), (0.5, 2.0), (1.3, 1.6), (0.2, 4.0), (1.0, 0.5)),
        least_p=1e-5,
        logarithmic=(False, False),
        takes_precision=False,
        takes_threshold=False,
    ),
    "halfnorm": Family("half-normal", "exp(-delta p^2)", ("delta",), (0.0,), _halfnorm, _ONE, 0.0, (False,)),
    "negexp": Family("negative-exponential", "exp(-delta p)", ("delta",), (0.0,), _negexp, _ONE, 0.0, (False,)),
    "logistic": Family(
        "logistic", "2 exp(-delta p) / (1 + exp(-delta p))", ("delta",), (0.0,), _logistic, _ONE, 0.0, (False,)
    ),
    "power": Family("power", "(1 - p)^delta", ("delta",), (0.0,), _power, _ONE, 1e-5, (False,)),
    "negexppow": Family(
        words="negative-exponential power",
        formula="exp(-delta1 p^(1/delta2))",
        names=("delta1", "delta2"),
        none=(0.0, 1.0),
        shape=_negexppow,
        starts=((1.0, 0.0), (5.0, 0.0), (2.0, -1.5), (10.0, 1.2), (5.0, -0.7)),
        least_p=_LEAST_P,
        logarithmic=(False, True),
        regular=False,
    ),
}
"""Beta: Citkowicz & Vevea (2017), Psychol Methods 22:28-41, who keep p from 1e-5 to 1 - 1e-5, for the weight may be
infinite beyond. Half-normal, negative-exponential and logistic: Preston, Ashby & Smyth (2004), J Eval Clin Pract
10:253-258. The power function, and the negative exponential of a power after Begg & Mazumdar (1994), Biometrics
50:1088-1101: as in metafor, Viechtbauer (2010), J Stat Softw 36(3):1-48."""


def _log_p(z: FloatArray, least: float, *, two_sided: bool) -> tuple[FloatArray, FloatArray]:
    """``log p`` and ``log(1 - p)``, p being kept `least` away from 0 and 1."""
    if two_sided:
        lp = math.log(2.0) + log_ndtr(-np.abs(z))
        with np.errstate(divide="ignore"):
            lq = np.log(erf(np.abs(z) / math.sqrt(2.0)))
    else:
        lp, lq = log_ndtr(-z), log_ndtr(z)
    low = math.log(max(least, _LEAST_P))
    high = math.log1p(-least)
    return np.clip(lp, low, high), np.clip(lq, low, high)


def _stretches(least: float, threshold: float, *, two_sided: bool) -> list[tuple[float, float]]:
    """Stretches of z where the weight varies."""
    top = max(least, threshold)
    upper = float(cut_points([top], two_sided=two_sided)[0]) if top > 0.0 else _FARTHEST
    if not two_sided:
        return [(float(ndtri(least)) if least > _LEAST_P else -_FARTHEST, upper)]
    inner = float(cut_points([1.0 - least], two_sided=True)[0]) if least > _LEAST_P else 0.0
    return [(-upper, -inner), (inner, upper)]


def _panels(low: float, high: float, width: float) -> FloatArray:
    """Ends of panels; near z = 0, where p of a two-sided test has a corner, they shrink by halves."""
    edges = np.linspace(low, high, max(1, math.ceil((high - low) / width)) + 1).tolist()
    near = min(abs(low), abs(high))
    if 0.0 < near < width:  # a two-sided stretch that ends where 1 - p is as small as is allowed
        first = edges[1] if low > 0 else edges[-2]
        more = [math.copysign(abs(first) * 0.5**i, first) for i in range(1, 60) if abs(first) * 0.5**i > near]
        edges = sorted({*edges, *more})
    return np.array(edges)


def _rule(stretches: Sequence[tuple[float, float]], refinement: int) -> Nodes:
    x, w = np.polynomial.legendre.leggauss(_ORDER)
    z, weight = [], []
    for low, high in stretches:
        edges = _panels(low, high, _PANEL * 0.5**refinement)
        half = 0.5 * np.diff(edges)
        z.append((0.5 * (edges[1:] + edges[:-1])[:, None] + half[:, None] * x).ravel())
        weight.append((half[:, None] * w).ravel())
    return Nodes(np.concatenate(z), np.log(np.concatenate(weight)))


def smooth_selection(
    name: str,
    z: FloatArray,
    sei: FloatArray,
    *,
    prec: FloatArray | None = None,
    threshold: float = 0.0,
    two_sided: bool = False,
    refinement: int = 0,
) -> Selection:
    """A weight that is a smooth function of p.

    Parameters
    ----------
    name : str
        One of `FAMILIES`.
    z, sei : array of shape (k,)
        Effects in standard errors, and these.
    prec : array of shape (k,), optional
        Imprecision by which the parameter is multiplied, 1 for the least precise study.
    threshold : float, default 0.0
        The weight is 1 up to this p; 0 for a weight that varies from the beginning.
    two_sided : bool, default False
        As in `p_values`.
    refinement : int, default 0
        How often the panels of the rule are halved.

    Returns
    -------
    Selection
        Its internal parameters are those of the family, but the logarithm of the exponent of "negexppow".
    """
    family = FAMILIES[name]
    least = family.least_p
    ones = np.ones((1, 1)) if prec is None else prec[:, None]
    base = _log_p(cut_points([threshold], two_sided=two_sided), least, two_sided=two_sided) if threshold else None

    def logs(points: FloatArray) -> Callable[[FloatArray], Logs]:
        """Weights at fixed z: an array of shape (k or 1, n)."""
        lp, lq = _log_p(points, least, two_sided=two_sided)
        held = p_values(points, two_sided=two_sided) <= threshold

        def at(psi: FloatArray) -> Logs:
            found = family.shape(lp, lq, ones, psi)
            if base is None:
                return found
            anchor = family.shape(base[0][None, :], base[1][None, :], ones, psi)
            second = None
            if found.second is not None and anchor.second is not None:
                second = np.where(held[..., None, None], 0.0, found.second - anchor.second)
            return Logs(
                np.where(held, 0.0, found.value - anchor.value),
                np.where(held[..., None], 0.0, found.first - anchor.first),
                second,
            )

        return at

    stretches = _stretches(least, threshold, two_sided=two_sided)
    edges = [-math.inf, *(end for stretch in stretches for end in stretch), math.inf]
    pairs = [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2) if edges[i] < edges[i + 1]]
    # A constant piece has one weight throughout: it is taken one step inside, clear of the varying stretch.
    inside = [high - 1.0 if math.isinf(low) else low + 1.0 if math.isinf(high) else 0.0 for low, high in pairs]
    nodes = _rule(stretches, refinement)
    logarithmic = np.array(family.logarithmic)

    def natural(psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        delta = np.where(logarithmic, np.exp(np.where(logarithmic, psi, 0.0)), psi)
        return delta, np.diag(np.where(logarithmic, delta, 1.0))

    return Selection(
        bounded=~logarithmic,
        starts=tuple(np.array(start) for start in family.starts),
        at_data=logs(z[:, None]),
        low=sei[:, None] * np.array([low for low, _ in pairs]),
        high=sei[:, None] * np.array([high for _, high in pairs]),
        on_pieces=logs(np.array([inside])),
        nodes=nodes,
        on_nodes=logs(nodes.z[None, :]),
        natural=natural,
    )
