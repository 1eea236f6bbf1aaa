"""Power by simulation: many meta-analyses of the planned studies drawn and tested, where no formula is exact.

References
----------
Paule & Mandel (1982), J Res Natl Bur Stand 87:377-385 (the estimator of tau2; on studies of one variance it is that of
DerSimonian and Laird and of REML).
"""

import numpy as np

from metapeer.pooling.weighted import FloatArray

__all__ = ["simulated_power"]

_BATCH = 400_000
"""Effects drawn at once."""
_STEPS = 100


def _paule_mandel(yi: FloatArray, vi: FloatArray) -> FloatArray:
    """tau2 of each row: Newton's steps from zero climb to the root from the left, because Q falls and is convex."""
    df = vi.size - 1
    tau2 = np.zeros(yi.shape[0])
    active = np.ones(yi.shape[0], dtype=np.bool_)
    for _ in range(_STEPS):
        w = 1.0 / (vi + tau2[active, None])
        centred = yi[active] - (w * yi[active]).sum(axis=1, keepdims=True) / w.sum(axis=1, keepdims=True)
        excess = (w * centred**2).sum(axis=1) - df
        step = excess / (w**2 * centred**2).sum(axis=1)
        going = step > 1e-10 * (vi.min() + tau2[active])
        places = np.flatnonzero(active)
        tau2[places[going]] += step[going]
        active[places[~going]] = False
        if not active.any():
            break
    return tau2


def simulated_power(
    effect: float,
    vi: FloatArray,
    tau2: float,
    *,
    ci_method: str,
    normal: float,
    critical: float,
    alternative: str,
    runs: int,
    seed: int,
) -> float:
    """Share of simulated meta-analyses in which the test of the mean rejects.

    Parameters
    ----------
    effect, tau2 : float
        Mean and variance of the true effects, which are normal.
    vi : array of shape (k,)
        Sampling variances, counted as known; k at least 2.
    ci_method : str
        "z", "t", "HK", "HK_se" or "HK_ci".
    normal, critical : float
        Critical values of the normal distribution, and of the one that the test uses.
    alternative : {"two-sided", "greater", "less"}
        Where the test rejects.
    runs : int
        Meta-analyses to draw.
    seed : int
        Of the random numbers: the same seed gives the same power.

    Returns
    -------
    float
        The share.

    Examples
    --------
    >>> vi = np.array([0.01, 0.05, 0.1, 0.2])
    >>> how = {"ci_method": "HK", "normal": 1.96, "critical": 3.18, "alternative": "two-sided"}
    >>> simulated_power(0.5, vi, 0.0, **how, runs=2000, seed=1) > 0.6
    True
    """
    random = np.random.default_rng(seed)
    rejected = 0
    batch = max(1, _BATCH // vi.size)
    for first in range(0, runs, batch):
        size = min(batch, runs - first)
        yi = effect + random.standard_normal((size, vi.size)) * np.sqrt(vi + tau2)
        w = 1.0 / (vi + _paule_mandel(yi, vi)[:, None])
        total = w.sum(axis=1)
        mean = (w * yi).sum(axis=1) / total
        se = 1.0 / np.sqrt(total)
        q = (w * (yi - mean[:, None]) ** 2).sum(axis=1) / (vi.size - 1)
        reach = critical * se
        if ci_method == "HK":
            reach = reach * np.sqrt(q)
        elif ci_method == "HK_se":
            reach = reach * np.sqrt(np.maximum(1.0, q))
        elif ci_method == "HK_ci":
            reach = np.maximum(reach * np.sqrt(q), normal * se)
        beyond = np.zeros(size, dtype=np.bool_)
        if alternative != "less":
            beyond |= mean > reach
        if alternative != "greater":
            beyond |= mean < -reach
        rejected += int(beyond.sum())
    return rejected / runs
