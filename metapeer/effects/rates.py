"""Effect sizes of events in person-time, of one arm or of two, and of observed minus expected events.

The rule for counts of zero is a step of its own, `fill_zero_counts`; the measures take the counts it returns.
"""

import numpy as np
from numpy.typing import NDArray

from metapeer.effects.binary import where_to_add
from metapeer.effects.measures import ZeroCells

__all__ = [
    "double_root_rate",
    "fill_zero_counts",
    "log_hazard_ratio",
    "log_rate",
    "log_rate_ratio",
    "rate",
    "rate_difference",
    "root_rate",
    "root_rate_difference",
]

FloatArray = NDArray[np.float64]
Pair = tuple[FloatArray, FloatArray]


def fill_zero_counts(*events: FloatArray, zero_cells: ZeroCells = "only0", add: float = 0.5) -> tuple[FloatArray, ...]:
    """Return the events of each arm, with a constant added where the rule says so; person-time stays as it is.

    Parameters
    ----------
    *events : array of shape (k,)
        Events of each arm.
    zero_cells : {"only0", "all", "if0all", "none"}
        Where to add, by metafor's names: to rows with an arm without events, to all rows, to all rows if any has such
        an arm, or nowhere.
    add : float, default 0.5
        What to add to the events of each arm.

    Returns
    -------
    tuple of array of shape (k,)
        Events of each arm.

    Raises
    ------
    ChoiceError
        If `zero_cells` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> [x.tolist() for x in fill_zero_counts(np.array([0.0, 5.0]), np.array([2.0, 8.0]))]
    [[0.5, 5.0], [2.5, 8.0]]
    """
    zero = np.asarray(np.any([x == 0 for x in events], axis=0), dtype=np.bool_)
    more = np.where(where_to_add(zero, zero_cells), add, 0.0)
    return tuple(x + more for x in events)


def log_rate_ratio(events1: FloatArray, time1: FloatArray, events2: FloatArray, time2: FloatArray) -> Pair:
    """Logarithm of the incidence rate ratio, arm 1 over arm 2.

    Parameters
    ----------
    events1, time1, events2, time2 : array of shape (k,)
        Events and person-time of each arm; person-time in the same unit in both.

    Returns
    -------
    yi, vi : array of shape (k,)
        The log rate ratio and its variance; not finite where an arm has no events.

    References
    ----------
    Rothman, Greenland & Lash (2008), Modern Epidemiology, 3rd ed., chapter 14.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = log_rate_ratio(*(np.array([x]) for x in (9.0, 413.0, 19.0, 398.0)))
    >>> yi.round(4), vi.round(4)
    (array([-0.7842]), array([0.1637]))
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(events1 / time1) - np.log(events2 / time2), 1 / events1 + 1 / events2


def rate_difference(events1: FloatArray, time1: FloatArray, events2: FloatArray, time2: FloatArray) -> Pair:
    """Incidence rate of arm 1 minus that of arm 2.

    Parameters
    ----------
    events1, time1, events2, time2 : array of shape (k,)
        Events and person-time of each arm; person-time in the same unit in both.

    Returns
    -------
    yi, vi : array of shape (k,)
        The difference, in events per unit of person-time, and its variance; 0 where neither arm has events.

    References
    ----------
    Rothman, Greenland & Lash (2008), Modern Epidemiology, 3rd ed., chapter 14.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = rate_difference(*(np.array([x]) for x in (9.0, 413.0, 19.0, 398.0)))
    >>> yi.round(4), vi.round(6)
    (array([-0.0259]), array([0.000173]))
    """
    return events1 / time1 - events2 / time2, events1 / time1**2 + events2 / time2**2


def root_rate_difference(events1: FloatArray, time1: FloatArray, events2: FloatArray, time2: FloatArray) -> Pair:
    """Square root of the rate of arm 1 minus that of arm 2: defined for every pair of counts.

    Parameters
    ----------
    events1, time1, events2, time2 : array of shape (k,)
        Events and person-time of each arm; person-time in the same unit in both.

    Returns
    -------
    yi, vi : array of shape (k,)
        The difference and its variance, which depends on person-time only.

    References
    ----------
    Rothman, Greenland & Lash (2008), Modern Epidemiology, 3rd ed., chapter 14.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = root_rate_difference(*(np.array([x]) for x in (9.0, 413.0, 19.0, 398.0)))
    >>> yi.round(4), vi.round(6)
    (array([-0.0709]), array([0.001233]))
    """
    return np.sqrt(events1 / time1) - np.sqrt(events2 / time2), 1 / (4 * time1) + 1 / (4 * time2)


def log_hazard_ratio(oe: FloatArray, v: FloatArray) -> Pair:
    """Logarithm of the hazard ratio from a log-rank test, by Peto's one step.

    Parameters
    ----------
    oe : array of shape (k,)
        Observed minus expected events of arm 1.
    v : array of shape (k,)
        Their variance, above 0.

    Returns
    -------
    yi, vi : array of shape (k,)
        ``(O - E)/V`` and ``1/V``.

    References
    ----------
    Yusuf et al. (1985), Progress in Cardiovascular Diseases 27:335-371.
    Tierney et al. (2007), Trials 8:16.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = log_hazard_ratio(np.array([-6.0]), np.array([12.5]))
    >>> yi.round(3), vi.round(3)
    (array([-0.48]), array([0.08]))
    """
    with np.errstate(over="ignore"):
        return oe / v, 1 / v


def rate(events: FloatArray, time: FloatArray) -> Pair:
    """Incidence rate of one group.

    Parameters
    ----------
    events, time : array of shape (k,)
        Events and person-time.

    Returns
    -------
    yi, vi : array of shape (k,)
        Events per unit of person-time, and the variance, 0 without events.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = rate(np.array([5.0]), np.array([45.5]))
    >>> yi.round(4), vi.round(6)
    (array([0.1099]), array([0.002415]))
    """
    return events / time, events / time**2


def log_rate(events: FloatArray, time: FloatArray) -> Pair:
    """Logarithm of the incidence rate of one group.

    Parameters
    ----------
    events, time : array of shape (k,)
        Events and person-time.

    Returns
    -------
    yi, vi : array of shape (k,)
        The log rate and its variance; not finite without events.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = log_rate(np.array([5.0]), np.array([45.5]))
    >>> yi.round(4), vi.round(4)
    (array([-2.2083]), array([0.2]))
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(events / time), 1 / events


def root_rate(events: FloatArray, time: FloatArray) -> Pair:
    """Square root of the incidence rate of one group.

    Parameters
    ----------
    events, time : array of shape (k,)
        Events and person-time.

    Returns
    -------
    yi, vi : array of shape (k,)
        The root and its variance, which depends on person-time only.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = root_rate(np.array([0.0]), np.array([10.0]))
    >>> yi, vi
    (array([0.]), array([0.025]))
    """
    return np.sqrt(events / time), 1 / (4 * time)


def double_root_rate(events: FloatArray, time: FloatArray) -> Pair:
    """Freeman and Tukey's mean of two roots of an incidence rate.

    Parameters
    ----------
    events, time : array of shape (k,)
        Events and person-time.

    Returns
    -------
    yi, vi : array of shape (k,)
        ``(√(x/t) + √((x+1)/t))/2`` and its variance ``1/(4t)``, which depends on person-time only.

    References
    ----------
    Freeman & Tukey (1950), Annals of Mathematical Statistics 21:607-611.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = double_root_rate(np.array([0.0]), np.array([10.0]))
    >>> yi.round(4), vi
    (array([0.1581]), array([0.025]))
    """
    return (np.sqrt(events / time) + np.sqrt((events + 1) / time)) / 2, 1 / (4 * time)
