"""Computed numbers held against printed ones: how many differ, and by how much."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metapeer.auditing.identify_numbers import OF_INTERVAL, Axes, Numbers
from metapeer.auditing.rounding import Printed
from metapeer.pooling.weighted import FloatArray

__all__ = ["Fit", "as_printed", "distance", "hold_against"]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """How well analyses agree with a print; arrays with one axis for each of `AXES`.

    Parameters
    ----------
    missed : array
        Printed numbers that differ.
    worst : array
        The largest difference, in half units of the last printed digit; at most 1 where all agree, infinite where an
        analysis does not exist or does not have the number.
    """

    missed: FloatArray
    worst: FloatArray

    def __add__(self, other: "Fit") -> "Fit":
        return Fit(self.missed + other.missed, np.maximum(self.worst, other.worst))

    @property
    def score(self) -> FloatArray:
        """Fewest numbers missed first, then the smallest worst difference; infinite where there is no analysis."""
        share = np.where(np.isinf(self.worst), 1.0, self.worst / (1.0 + np.minimum(self.worst, 1e300)))
        return np.where(np.isinf(self.missed), math.inf, self.missed + 0.999 * share)


def distance(computed: FloatArray, printed: Printed) -> FloatArray:
    """How far computed numbers lie from a printed one.

    Parameters
    ----------
    computed : array
        Unrounded.
    printed : Printed
        As printed.

    Returns
    -------
    array
        In half units of the last printed digit, at most 1 exactly where `Printed.agrees`; infinite for NaN.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        if printed.bound:
            agrees = {
                "<": computed < printed.value,
                ">": computed > printed.value,
                "≤": computed <= printed.value,
                "≥": computed >= printed.value,
            }[printed.bound]
            away = np.abs(computed - printed.value) / printed.half_step
        else:
            # The tolerance of `Printed.agrees`: a tie may have been rounded either way.
            forgiven = 1e-9 * printed.half_step + 2.0 * math.ulp(printed.value)
            agrees = np.abs(computed - printed.value) <= printed.half_step + forgiven
            away = np.abs(computed - printed.value) / printed.half_step
        return np.where(
            agrees,
            0.0 if printed.bound else np.minimum(away, 1.0),
            np.where(np.isnan(away), math.inf, np.maximum(away, math.nextafter(1.0, 2.0))),
        )


_ENDS = {"ci_low": "ci_high", "ci_high": "ci_low"}


def as_printed(found: Numbers, quantity: str, axes: Axes, printed: Printed) -> FloatArray:
    """Numbers by quantity, on the scale and with the sign of print, in an array that fits the axes.

    Parameters
    ----------
    found : Numbers
        From `pool_all_ways`.
    quantity : str
        A key of `QUANTITIES`.
    axes : Axes
        What was searched.
    printed : Printed
        The print, whose sign a test statistic takes, since many papers leave it out.

    Returns
    -------
    array
        One axis for each of `AXES`, of length 1 where the number does not depend on the choice.
    """
    t, c, p, i, j, _, _, n = axes.shape
    if quantity == "k":
        both = {"effects": found.k[0], "trials": found.k[1]}
        return np.array([both[value] for value in axes.k_of]).reshape(1, 1, 1, 1, 1, 1, 1, n)
    if quantity in ("tau2", "Q", "Q_df", "Q_p", "tau"):
        values = np.sqrt(found.tau2) if quantity == "tau" else getattr(found, quantity)
        return np.asarray(values).reshape(t, 1, 1, 1, 1, 1, 1, 1)
    if quantity == "I2":
        chosen = [("tau2", "Q").index(value) for value in axes.I2]
        return found.I2[:, chosen].reshape(t, 1, 1, i, 1, 1, 1, 1)
    if quantity.startswith("I2_ci"):
        chosen = [("QP", "test-based").index(value) for value in axes.I2_ci]
        return found.I2_ci[:, chosen, int(quantity.endswith("high"))].reshape(t, 1, 1, 1, j, 1, 1, 1)
    if quantity in ("se", "p", "z"):
        values = getattr(found, quantity)
        values = np.copysign(values, printed.value) if quantity == "z" else values
        return np.asarray(values).reshape(t, c, 1, 1, 1, 1, 1, 1)
    if quantity.startswith("pi"):
        ends = found.pi[..., int(quantity == "pi_high")].reshape(t, c, p, 1, 1, 1, 1, 1)
        others = found.pi[..., int(quantity == "pi_low")].reshape(t, c, p, 1, 1, 1, 1, 1)
    else:
        ends = getattr(found, quantity).reshape(t, c, 1, 1, 1, 1, 1, 1)
        others = getattr(found, _ENDS.get(quantity, quantity)).reshape(t, c, 1, 1, 1, 1, 1, 1)
    signed = np.concatenate([ends if way == "as it is" else -others for way in axes.direction], axis=5)
    with np.errstate(over="ignore"):
        return np.concatenate([signed if way == "as pooled" else np.exp(signed) for way in axes.scale], axis=6)


def hold_against(found: Numbers, printed: Mapping[str, Printed], axes: Axes, scales: Sequence[str]) -> Fit:
    """Hold all analyses of a table against the print.

    Parameters
    ----------
    found : Numbers
        From `pool_all_ways`; a pending interval is taken to agree.
    printed : mapping of str to Printed
        By quantity.
    axes : Axes
        What was searched.
    scales : sequence of str
        The scales on which these effects may have been printed.

    Returns
    -------
    Fit
        Over all combinations of the axes.
    """
    missed, worst = np.zeros(axes.shape), np.zeros(axes.shape)
    t, c = axes.shape[:2]
    pending = found.pending.reshape(t, c, 1, 1, 1, 1, 1, 1)
    pending_pi = pending | found.pending_pi.reshape(1, 1, -1, 1, 1, 1, 1, 1)
    for quantity, text in printed.items():
        off = distance(as_printed(found, quantity, axes, text), text)
        if quantity in OF_INTERVAL:
            off = np.where(pending, 0.0, off)
        elif quantity.startswith("pi"):
            off = np.where(pending_pi, 0.0, off)
        missed += off > 1.0
        np.maximum(worst, off, out=worst)
    allowed = np.array([scale in scales for scale in axes.scale]).reshape(1, 1, 1, 1, 1, 1, -1, 1)
    exists = found.possible.reshape(t, c, 1, 1, 1, 1, 1, 1) & allowed
    missed[np.broadcast_to(~exists, axes.shape)] = math.inf
    worst[np.broadcast_to(~exists, axes.shape)] = math.inf
    return Fit(missed, worst)
