"""The interval of the sign-flip test: every pooled effect that turning the signs of the deviations does not reject.

If the effects lie symmetrically about their mean, the sign of every deviation from it is as likely plus as minus, and
the test is exact whatever their distribution and however few they are. With k studies no p value lies below 2 / 2^k.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metapeer.errors import MetapeerError
from metapeer.pooling.intervals import Interval
from metapeer.pooling.tau2 import tau2_dl
from metapeer.pooling.weighted import FloatArray, total

__all__ = ["SignFlips", "sign_flips"]

_EXACT = 16
"""Most studies for which all patterns are counted: 2^15 of them, for a pattern and its mirror image count as one."""
_SAMPLED = 9999
_SEED = 1999
_LARGEST = 1000
"""Most studies: beyond, the sampled patterns take minutes, and the t distribution says the same."""
_CHUNK = 2**18
"""Numbers in hand at once."""
_SCAN = 40
"""Points between the estimate and where everything is rejected, to see the outermost that is not."""
_TIE = 1e-12
"""Statistics that differ by less, relatively, are equal but for rounding."""


@dataclass(frozen=True, slots=True)
class SignFlips:
    """An interval and a test by sign flips.

    Parameters
    ----------
    ci : Interval
        From the lowest to the highest effect that is not rejected; from minus to plus infinity where the studies are
        too few for the level.
    p_value : float
        Of the test that the pooled effect is zero.
    """

    ci: Interval
    p_value: float


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Patterns of signs, the observed one first, and the studies they are applied to."""

    yi: FloatArray
    vi: FloatArray
    signs: NDArray[np.int8]

    def p_value(self, mu: float) -> float:
        """Share of the patterns whose statistic is at least the observed one, for deviations from `mu`."""
        deviations = self.yi - mu
        w = 1.0 / self.vi
        w1 = total(w)
        pivot = w * deviations
        q_about_mu = float(pivot.dot(deviations))
        scale = w1 - float(w.dot(w)) / w1
        df = self.yi.size - 1
        rows = max(1, _CHUNK // self.yi.size)
        observed, reached = math.nan, 0
        for start in range(0, len(self.signs), rows):
            signs = self.signs[start : start + rows].astype(np.float64)
            # Q is that of DerSimonian and Laird, of which a pattern changes nothing but the mean.
            q = q_about_mu - (signs @ pivot) ** 2 / w1
            tau2 = np.maximum(0.0, (q - df) / scale)
            weights = 1.0 / (self.vi + tau2[:, None])
            statistics = np.abs(np.einsum("ij,ij,j->i", weights, signs, deviations)) / np.sqrt(weights.sum(axis=1))
            if start == 0:
                observed = float(statistics[0])
            reached += int(np.count_nonzero(statistics >= observed * (1.0 - _TIE)))
        return reached / len(self.signs)


def _patterns(k: int) -> tuple[NDArray[np.int8], bool]:
    """Every pattern of signs with a plus for the first study, or a sample; and whether it is every one."""
    if k <= _EXACT:
        minus = (np.arange(2 ** (k - 1))[:, None] >> np.arange(k)) & 1
        return (1 - 2 * np.roll(minus, 1, axis=1)).astype(np.int8), True
    minus = np.random.default_rng(_SEED).integers(0, 2, size=(_SAMPLED + 1, k), dtype=np.int8)
    minus[0] = 0
    return (1 - 2 * minus).astype(np.int8), False


def sign_flips(yi: FloatArray, vi: FloatArray, level: float) -> SignFlips:
    """Make an interval and a test of the pooled effect by turning the signs of the deviations.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances; k at least 2.
    level : float
        Confidence level.

    Returns
    -------
    SignFlips
        The statistic is the pooled deviation over its classic standard error, with DerSimonian and Laird's tau2
        estimated anew for every pattern. All 2^k patterns for up to 16 studies; for more, the observed one and 9999
        drawn with seed 1999, the same for every effect that is tried.

    Raises
    ------
    MetapeerError
        If there are more than 1000 studies.

    References
    ----------
    Follmann & Proschan (1999), Biometrics 55:732-737.

    Examples
    --------
    >>> yi = np.array([0.1, 0.3, 0.8, 0.4, 0.9, 0.6])
    >>> found = sign_flips(yi, np.array([0.02, 0.03, 0.04, 0.02, 0.03, 0.05]), 0.95)
    >>> [round(end, 3) for end in found.ci], found.p_value
    ([0.1, 0.9], 0.03125)
    """
    k = yi.size
    if k > _LARGEST:
        raise MetapeerError(
            f"ci_method 'perm' is for at most {_LARGEST} studies, not {k}; with so many ci_method='HK' says the same"
        )
    signs, exact = _patterns(k)
    patterns = _Patterns(yi, vi, signs)
    p_value = patterns.p_value(0.0)
    alpha = (1.0 - level) * (1.0 + 1e-9)  # so that 2 / 2^k is not above the level by rounding alone
    smallest = 1.0 / len(signs)
    made = f"all {2**k} sign flips" if exact else f"{_SAMPLED} sampled sign flips, seed {_SEED}"
    if smallest > alpha:
        return SignFlips(Interval(-math.inf, math.inf, level, f"{made}; the whole line"), p_value)

    w = 1.0 / (vi + tau2_dl(yi, vi))
    centre = float(w.dot(yi - yi[0])) / total(w) + float(yi[0])
    se = 1.0 / math.sqrt(total(w))

    def kept(mu: float) -> bool:
        return patterns.p_value(mu) > alpha

    ends = []
    for side, extreme in ((-1.0, float(yi.min())), (1.0, float(yi.max()))):
        # Far out the observed statistic grows without bound and every other stays within one, so all is rejected.
        reach = abs(extreme - centre) + se
        while kept(centre + side * reach):
            reach *= 2.0
        # The share need not fall evenly: the end is the outermost crossing.
        inside, outside = 0.0, reach
        for step in np.linspace(reach, 0.0, _SCAN)[1:-1].tolist():
            if kept(centre + side * step):
                inside = step
                break
            outside = step
        while outside - inside > 1e-11 * se:
            middle = 0.5 * (inside + outside)
            if not inside < middle < outside:
                break
            inside, outside = (middle, outside) if kept(centre + side * middle) else (inside, middle)
        ends.append(centre + side * inside)
    return SignFlips(Interval(ends[0], ends[1], level, made), p_value)
