"""A proportion in one group: raw, log, logit, arcsine of the root, and Freeman and Tukey's double arcsine.

The double arcsine has no back-transformation of its own: what a value means depends on the number of participants
behind it, and a pooled value has none. `metapeer.effects.scales.back_transform_double_arcsine` asks for that number.

References
----------
Schwarzer, Chemaitelly, Abu-Raddad & Rücker (2019), Research Synthesis Methods 10:476-483 (what goes wrong, and what to
use instead: the logit, or the arcsine of the root).
"""

import numpy as np
from numpy.typing import NDArray

from metapeer.effects.binary import where_to_add
from metapeer.effects.measures import ZeroCells

__all__ = [
    "arcsine_root",
    "double_arcsine",
    "fill_zero_proportions",
    "log_proportion",
    "logit",
    "proportion",
]

FloatArray = NDArray[np.float64]
Pair = tuple[FloatArray, FloatArray]


def fill_zero_proportions(
    events: FloatArray, total: FloatArray, *, zero_cells: ZeroCells = "only0", add: float = 0.5
) -> Pair:
    """Return events and participants, with a constant added to events and to non-events where the rule says so.

    Parameters
    ----------
    events, total : array of shape (k,)
        Events and participants.
    zero_cells : {"only0", "all", "if0all", "none"}
        Where to add, by metafor's names: to groups without events or with nothing but events, to all groups, to all if
        there is such a group, or nowhere.
    add : float, default 0.5
        What to add to the events and to the non-events.

    Returns
    -------
    events, total : array of shape (k,)
        As they are after the addition.

    Raises
    ------
    ChoiceError
        If `zero_cells` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> [x.tolist() for x in fill_zero_proportions(np.array([0.0, 5.0]), np.array([20.0, 45.0]))]
    [[0.5, 5.0], [21.0, 45.0]]
    """
    more = np.where(where_to_add((events == 0) | (events == total), zero_cells), add, 0.0)
    return events + more, total + 2 * more


def proportion(events: FloatArray, total: FloatArray) -> Pair:
    """Proportion with the event.

    Parameters
    ----------
    events, total : array of shape (k,)
        Events and participants.

    Returns
    -------
    yi, vi : array of shape (k,)
        The proportion and its variance; the variance is 0 for proportions of 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> proportion(np.array([40.0]), np.array([100.0]))
    (array([0.4]), array([0.0024]))
    """
    p = events / total
    return p, p * (1 - p) / total


def log_proportion(events: FloatArray, total: FloatArray) -> Pair:
    """Logarithm of the proportion with the event.

    Parameters
    ----------
    events, total : array of shape (k,)
        Events and participants.

    Returns
    -------
    yi, vi : array of shape (k,)
        The log proportion and its variance; not usable without events, or with nothing but events.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = log_proportion(np.array([40.0]), np.array([100.0]))
    >>> yi.round(4), vi.round(4)
    (array([-0.9163]), array([0.015]))
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(events / total), 1 / events - 1 / total


def logit(events: FloatArray, total: FloatArray) -> Pair:
    """Logarithm of the odds of the event.

    Parameters
    ----------
    events, total : array of shape (k,)
        Events and participants.

    Returns
    -------
    yi, vi : array of shape (k,)
        The log odds and their variance; not finite without events, or with nothing but events.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = logit(np.array([40.0]), np.array([100.0]))
    >>> yi.round(4), vi.round(4)
    (array([-0.4055]), array([0.0417]))
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(events / (total - events)), 1 / events + 1 / (total - events)


def arcsine_root(events: FloatArray, total: FloatArray) -> Pair:
    """Arcsine of the root of the proportion: defined for every proportion, and turned back by ``sin²``.

    Parameters
    ----------
    events, total : array of shape (k,)
        Events and participants.

    Returns
    -------
    yi, vi : array of shape (k,)
        The angle, in radians, and its variance ``1/(4n)``, which depends on the participants only.

    References
    ----------
    Rücker et al. (2009), Statistics in Medicine 28:721-738.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = arcsine_root(np.array([0.0, 40.0]), np.array([20.0, 100.0]))
    >>> yi.round(4), vi
    (array([0.    , 0.6847]), array([0.0125, 0.0025]))
    """
    return np.arcsin(np.sqrt(events / total)), 1 / (4 * total)


def double_arcsine(events: FloatArray, total: FloatArray) -> Pair:
    """Freeman and Tukey's mean of two arcsines.

    Parameters
    ----------
    events, total : array of shape (k,)
        Events and participants.

    Returns
    -------
    yi, vi : array of shape (k,)
        The angle, in radians, half of what Freeman and Tukey's sum would be, and its variance ``1/(4n + 2)``.

    References
    ----------
    Freeman & Tukey (1950), Annals of Mathematical Statistics 21:607-611.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = double_arcsine(np.array([0.0, 40.0]), np.array([20.0, 100.0]))
    >>> yi.round(4), vi.round(6)
    (array([0.11  , 0.6857]), array([0.012195, 0.002488]))
    """
    more = total + 1
    angles = np.arcsin(np.sqrt(events / more)) + np.arcsin(np.sqrt((events + 1) / more))
    return angles / 2, 1 / (4 * total + 2)
