"""The certified search for the maximum of the likelihood: no peak is missed, on data made to hide peaks."""

import math

import numpy as np
import pytest

from metapeer.pooling.tau2 import estimate_tau2
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import log_likelihood

TRAPS = [
    # effects, variances, REML estimate, height of the restricted likelihood there
    pytest.param([-0.9, 19.49, 1.17, 0.27], [0.159, 38.894, 0.53, 0.125], 0.99887, -10.1805, id="higher-peak-is-lower"),
    pytest.param([1.19, -18.05, 0.07], [0.803, 55.385, 0.102], 0.0912, -6.93261, id="peak-just-above-zero"),
]

SCALES = (1.0, 1e-8, 1e4)
"""Factors of the variances: log odds ratios, proportions per day, and points of a scale with a range of hundreds."""

GRID_STEPS = 500


def hard_set(rng, *, moderators=0):
    """Effects and variances over four decades, with outliers where imprecise studies lie far out: peaks abound.

    The effects are spread as the variances suggest, times a factor up to 30, plus common heterogeneity half the time.
    """
    k = int(rng.integers(2 + moderators, 11))
    vi = 10.0 ** rng.uniform(-2.0, 2.0, k)
    factor = 10.0 ** rng.uniform(-0.5, 1.5)
    tau2 = 10.0 ** rng.uniform(-3.0, 1.0) * float(rng.integers(2))
    yi = rng.normal(0.0, np.sqrt(factor * vi + tau2))
    if rng.random() < 0.5:
        yi *= np.where(vi > np.median(vi), rng.uniform(1.0, 4.0), 1.0)
    scale = SCALES[rng.integers(3)]
    X = np.column_stack([np.ones(k), rng.normal(0.0, 1.0, (k, moderators))]) if moderators else None
    return yi * math.sqrt(scale), vi * scale, X


def tau2_grid(yi, vi, found):
    """Zero, and steps that are even in log(tau2 + min(vi)), well beyond every maximum; those found are not on it."""
    smallest = vi.min()
    top = 2.0 * (np.ptp(yi) ** 2 + vi.max()) + 4.0 * max(found)
    return smallest * np.expm1(np.linspace(0.0, math.log1p(top / smallest), GRID_STEPS))


def score_signs(yi, vi, X, tau2, *, restricted):
    """Signs of the score in extended precision: by the Cholesky-free formulas for an intercept, by slope otherwise."""
    if X is None:
        y, v = yi.astype(np.longdouble), vi.astype(np.longdouble)
        signs = []
        for t in tau2:
            w = 1 / (v + np.longdouble(t))
            u = w * (y - (w @ y) / w.sum())
            rest = np.array([w.sum() - one for one in w]) if k_is_safe(w) else np.array([np.delete(w, i).sum() for i in range(w.size)])
            trace = (w @ rest) / w.sum() if restricted else w.sum()
            signs.append(float(np.sign(u @ u - trace)))
        return signs
    return []


def k_is_safe(_):
    return False
