"""Weight functions of selection models: what a likelihood needs of one, p values, and step functions.

A weight function cuts the line of possible effects into pieces where the weight is constant, whose share of a normal
distribution has a closed form, and stretches where it varies, which are integrated by a rule. Effects are turned
beforehand so that large ones are the favoured ones.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from metapeer.pooling.weighted import FloatArray

__all__ = [
    "Logs",
    "Nodes",
    "Selection",
    "cut_points",
    "p_values",
    "step_selection",
]


@dataclass(frozen=True, slots=True)
class Logs:
    """The logarithm of a weight at some points, with its derivatives by the q parameters.

    Parameters
    ----------
    value : array of shape (k or 1, n)
        ``log w``.
    first : array of shape (k or 1, n, q)
        First derivatives.
    second : array of shape (k or 1, n, q, q) or None
        Second derivatives; None when all are 0.
    """

    value: FloatArray
    first: FloatArray
    second: FloatArray | None


@dataclass(frozen=True, slots=True)
class Nodes:
    """Where the varying stretch is evaluated.

    Parameters
    ----------
    z : array of shape (n,)
        Effects in standard errors.
    log_weight : array of shape (n,)
        Logarithms of the weights of the rule, in z.
    """

    z: FloatArray
    log_weight: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """A weight function, ready to be put into a likelihood.

    Parameters
    ----------
    bounded : array of bool, shape (q,)
        Internal parameters that must not be negative.
    starts : tuple of array of shape (q,)
        Internal parameters to begin from, the least severe first.
    at_data : callable
        From internal parameters to `Logs` of shape (k, 1): the weights of the studies.
    low, high : array of shape (k, m)
        Pieces of constant weight, in the units of the effects.
    on_pieces : callable
        Their weights, `Logs` of shape (k or 1, m).
    nodes : Nodes or None
        Of the varying stretch.
    on_nodes : callable or None
        Weights there.
    natural : callable
        From internal parameters to the ones reported, with the matrix of derivatives.
    """

    bounded: "np.typing.NDArray[np.bool_]"
    starts: tuple[FloatArray, ...]
    at_data: Callable[[FloatArray], Logs]
    low: FloatArray
    high: FloatArray
    on_pieces: Callable[[FloatArray], Logs]
    nodes: Nodes | None = None
    on_nodes: Callable[[FloatArray], Logs] | None = None
    natural: Callable[[FloatArray], tuple[FloatArray, FloatArray]]


def p_values(z: FloatArray, *, two_sided: bool) -> FloatArray:
    """One-sided or two-sided p values of effects that are favoured when large.

    Parameters
    ----------
    z : array
        Effects in standard errors.
    two_sided : bool
        Whether large negative effects are as good as large positive ones.

    Returns
    -------
    array
        p.

    Examples
    --------
    >>> p_values(np.array([1.959964, -1.0]), two_sided=False).round(4).tolist()
    [0.025, 0.8413]
    """
    return np.asarray(2.0 * ndtr(-np.abs(z)) if two_sided else ndtr(-z))


def cut_points(steps: Sequence[float], *, two_sided: bool) -> FloatArray:
    """Values of z at which p passes the steps.

    Parameters
    ----------
    steps : sequence of float
        p values, ascending, all below 1.
    two_sided : bool
        As in `p_values`.

    Returns
    -------
    array of shape (len(steps),)
        Descending.

    Examples
    --------
    >>> cut_points([0.025, 0.5], two_sided=False).round(4).tolist()
    [1.96, -0.0]
    """
    p = np.asarray(steps, dtype=np.float64)
    return np.asarray(-ndtri(0.5 * p if two_sided else p))


def step_selection(
    cuts: FloatArray,
    group: "np.typing.NDArray[np.intp]",
    *,
    fixed: Sequence[float | None],
    decreasing: bool = False,
    two_sided: bool = False,
) -> Selection:
    """Constant weights between cut points.

    Parameters
    ----------
    cuts : array of shape (k, m - 1)
        For each study the effects at which one weight gives way to the next, descending; of a two-sided function those
        above zero.
    group : array of int, shape (k,)
        Which weight each study has.
    fixed : sequence of length m
        Weights that are known, None for those to be estimated. The first is known.
    decreasing : bool, default False
        Whether no weight may exceed the one before it; then all but the first are estimated, save zeros at the end.
    two_sided : bool, default False
        Whether the cuts are mirrored below zero.

    Returns
    -------
    Selection
        Estimated are logarithms of weights, in which the likelihood of given effects is concave; or, when decreasing,
        the steps by which these logarithms fall.

    References
    ----------
    Vevea & Hedges (1995), Psychometrika 60:419-435.
    """
    m = len(fixed)
    free = [j for j, value in enumerate(fixed) if value is None]
    q = len(free)
    offset = np.array([0.0 if value is None else (math.log(value) if value > 0 else -math.inf) for value in fixed])
    B = np.zeros((m, q))
    for column, j in enumerate(free):
        if decreasing:
            B[j : free[-1] + 1, column] = -1.0
        else:
            B[j, column] = 1.0
    k = cuts.shape[0]
    edge = np.full((k, 1), np.inf)
    if two_sided:
        low = np.hstack([cuts, -cuts[:, -1:], -edge, -cuts[:, :-1]])
        high = np.hstack([edge, cuts, -cuts])
        owner = np.array([*range(m), *range(m - 1)])
    else:
        low, high, owner = np.hstack([cuts, -edge]), np.hstack([edge, cuts]), np.arange(m)

    def logs(psi: FloatArray, index: "np.typing.NDArray[np.intp]") -> tuple[FloatArray, FloatArray]:
        return (B @ psi + offset)[index], B[index]

    def at_data(psi: FloatArray) -> Logs:
        value, first = logs(psi, group)
        return Logs(value[:, None], first[:, None, :], None)

    def on_pieces(psi: FloatArray) -> Logs:
        value, first = logs(psi, owner)
        return Logs(value[None, :], first[None, :, :], None)

    def natural(psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        delta = np.exp(B @ psi + offset)
        return delta, delta[:, None] * B

    places = np.arange(1, q + 1)
    shapes: list[FloatArray]
    if not free:
        shapes = [np.empty(0)]
    elif decreasing:
        shapes = [np.full(q, size) for size in (0.0, 0.3, 1.5)]
    else:
        shapes = [np.zeros(q), np.full(q, -1.0), np.asarray(-1.5 * places, dtype=np.float64), np.full(q, 1.0)]
    return Selection(
        bounded=np.full(q, decreasing, dtype=np.bool_),
        starts=tuple(shapes),
        at_data=at_data,
        low=low,
        high=high,
        on_pieces=on_pieces,
        natural=natural,
    )
