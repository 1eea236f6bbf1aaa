"""Draw meta-analyses whose truth is known: effects with known variances, or trials with two arms."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metapeer.effects.continuous import SMD_PRESETS, hedges_g
from metapeer.errors import MetapeerError, check_choice
from metapeer.pooling.weighted import FloatArray

__all__ = ["SHAPES", "Draw", "Generator", "draw_effects", "draw_smds"]

SHAPES = ("normal", "exponential", "two groups")
"""Distributions of true effects about their mean; each has variance tau2. The second is shifted to skewness 2, the
third puts half of the studies one tau above the mean and half below."""


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Meta-analyses drawn at random, a row for each.

    Parameters
    ----------
    yi, vi : array of shape (n, k)
        Effects and their estimated sampling variances.
    mean, tau2 : float
        The truth: mean and variance of the distribution of true effects.
    new : array of shape (n,)
        A further true effect for each meta-analysis, which its prediction interval should hold.
    """

    yi: FloatArray
    vi: FloatArray
    mean: float
    tau2: float
    new: FloatArray


Generator = Callable[..., Draw]


def _true_effects(rng: np.random.Generator, shape: str, mean: float, tau2: float, size: tuple[int, int]) -> FloatArray:
    check_choice("shape", shape, SHAPES)
    if tau2 < 0:
        raise MetapeerError(f"tau2 {tau2:g} is not a variance; it must be 0 or more")
    if shape == "normal":
        deviations = rng.standard_normal(size)
    elif shape == "exponential":
        deviations = rng.exponential(size=size) - 1.0
    else:
        deviations = rng.choice([-1.0, 1.0], size=size)
    return np.asarray(mean + math.sqrt(tau2) * deviations)


def draw_effects(
    rng: np.random.Generator,
    repetitions: int,
    *,
    k: int,
    mean: float = 0.2,
    tau2: float = 0.0,
    shape: str = "normal",
    variance: float = 0.1,
    spread: float = 9.0,
) -> Draw:
    """Draw effects that are normal about their true effects, with sampling variances that are known.

    Parameters
    ----------
    rng : Generator
        Source of random numbers.
    repetitions : int
        How many meta-analyses.
    k : int
        Studies in each.
    mean, tau2 : float
        Mean and variance of the true effects.
    shape : str, default "normal"
        Their distribution, one of `SHAPES`.
    variance : float, default 0.1
        Middle of the sampling variances, on the log scale.
    spread : float, default 9
        The largest sampling variance over the smallest that can occur; in between they are uniform on the log scale,
        drawn anew for each study.

    Returns
    -------
    Draw
        The meta-analyses.

    Examples
    --------
    >>> draw = draw_effects(np.random.default_rng(1), 2, k=3, tau2=0.04)
    >>> draw.yi.shape, bool((draw.vi > 0).all())
    ((2, 3), True)
    """
    if variance <= 0 or spread < 1:
        raise MetapeerError(f"variance {variance:g} must be > 0 and spread {spread:g} at least 1")
    half = 0.5 * math.log(spread)
    vi = variance * np.exp(rng.uniform(-half, half, (repetitions, k)))
    true = _true_effects(rng, shape, mean, tau2, (repetitions, k + 1))
    return Draw(true[:, :k] + np.sqrt(vi) * rng.standard_normal((repetitions, k)), vi, mean, tau2, true[:, k])


def draw_smds(
    rng: np.random.Generator,
    repetitions: int,
    *,
    k: int,
    mean: float = 0.2,
    tau2: float = 0.0,
    shape: str = "normal",
    n: int = 40,
    spread: float = 4.0,
    variance: str = "LS",
) -> Draw:
    """Draw trials of two arms with normal outcomes, and compute Hedges' g with its estimated variance.

    The estimated variance depends on the estimated effect, as it does with real data.

    Parameters
    ----------
    rng : Generator
        Source of random numbers.
    repetitions : int
        How many meta-analyses.
    k : int
        Trials in each.
    mean, tau2 : float
        Mean and variance of the true standardised mean differences.
    shape : str, default "normal"
        Their distribution, one of `SHAPES`.
    n : int, default 40
        Participants in each arm: the middle of a log-uniform distribution.
    spread : float, default 4
        The largest arm over the smallest that can occur.
    variance : str, default "LS"
        Formula of the sampling variance, as in `effect_size`.

    Returns
    -------
    Draw
        The meta-analyses.

    Examples
    --------
    >>> draw = draw_smds(np.random.default_rng(1), 500, k=4, mean=0.3)
    >>> abs(float(draw.yi.mean()) - 0.3) < 0.03
    True
    """
    if n < 4 or spread < 1:
        raise MetapeerError(f"n {n} must be 4 or more and spread {spread:g} at least 1")
    if SMD_PRESETS.get(variance, variance) == "AV":
        raise MetapeerError("variance 'AV' takes a mean over all effects of a table; draw with another formula")
    half = 0.5 * math.log(spread)
    size = (repetitions, k)
    arm = np.maximum(2.0, np.rint(n * np.exp(rng.uniform(-half, half, size))))
    true = _true_effects(rng, shape, mean, tau2, (repetitions, k + 1))
    m1, m2 = (rng.standard_normal(size) / np.sqrt(arm) for _ in range(2))
    sd1, sd2 = (np.sqrt(rng.chisquare(arm - 1.0) / (arm - 1.0)) for _ in range(2))
    yi, vi = hedges_g(n1=arm, mean1=true[:, :k] + m1, sd1=sd1, n2=arm, mean2=m2, sd2=sd2, variance=variance)
    return Draw(yi, vi, mean, tau2, true[:, k])
