"""Effect sizes of two arms with events: risk ratio, odds ratio, risk difference, arcsine difference, Peto odds ratio.

The rule for zero cells is a step of its own, `fill_zero_cells`; the measures take the four cells it returns.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metapeer.effects.measures import ZeroCells
from metapeer.errors import check_choice

__all__ = [
    "TACC",
    "Cells",
    "arcsine_difference",
    "double_zero",
    "fill_zero_cells",
    "log_odds_ratio",
    "log_risk_ratio",
    "peto_log_odds_ratio",
    "risk_difference",
    "where_to_add",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Cells = tuple[FloatArray, FloatArray, FloatArray, FloatArray]

TACC = "TACC"
_RULES: tuple[ZeroCells, ...] = ("only0", "all", "if0all", "none")


def double_zero(events1: FloatArray, total1: FloatArray, events2: FloatArray, total2: FloatArray) -> BoolArray:
    """Tell which tables have no event in either arm, or nothing but events in both (metafor's drop00).

    Parameters
    ----------
    events1, total1, events2, total2 : array of shape (k,)
        Events and participants of each arm.

    Returns
    -------
    array of bool, shape (k,)
        True where a table says nothing about a ratio.
    """
    none = (events1 == 0) & (events2 == 0)
    all_ = (events1 == total1) & (events2 == total2)
    return np.asarray(none | all_, dtype=np.bool_)


def where_to_add(zero: BoolArray, zero_cells: ZeroCells) -> BoolArray:
    """Tell which rows get a constant added to their counts.

    Parameters
    ----------
    zero : array of bool, shape (k,)
        Rows with a count of zero that stands in the way.
    zero_cells : {"only0", "all", "if0all", "none"}
        The rule, by metafor's names: rows with such a zero, all rows, all rows if any has such a zero, or none.

    Returns
    -------
    array of bool, shape (k,)
        True where the constant is to be added.

    Raises
    ------
    ChoiceError
        If `zero_cells` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> where_to_add(np.array([True, False]), "if0all").tolist()
    [True, True]
    """
    rule = check_choice("zero_cells", zero_cells, _RULES)
    return {
        "only0": zero,
        "all": np.ones_like(zero),
        "if0all": np.full_like(zero, zero.any()),
        "none": np.zeros_like(zero),
    }[rule]


def fill_zero_cells(
    events1: FloatArray,
    total1: FloatArray,
    events2: FloatArray,
    total2: FloatArray,
    *,
    zero_cells: ZeroCells = "only0",
    add: float | Literal["TACC"] = 0.5,
) -> Cells:
    """Return the four cells of each table, with a constant added where the rule says so.

    Parameters
    ----------
    events1, total1, events2, total2 : array of shape (k,)
        Events and participants of each arm.
    zero_cells : {"only0", "all", "if0all", "none"}
        Where to add, by metafor's names: to tables with a zero cell, to all tables, to all tables if any table has a
        zero cell, or nowhere.
    add : float or "TACC", default 0.5
        What to add to each of the four cells. ``"TACC"``, the treatment arm continuity correction, adds
        n1/(n1 + n2) to the cells of arm 1 and n2/(n1 + n2) to those of arm 2: a half each when the arms are equal.

    Returns
    -------
    a, b, c, d : array of shape (k,)
        Events and non-events of arm 1, then of arm 2.

    Raises
    ------
    ChoiceError
        If `zero_cells` is unknown.

    References
    ----------
    Sweeting, Sutton & Lambert (2004), Statistics in Medicine 23:1351-1375 (treatment arm correction).

    Examples
    --------
    >>> import numpy as np
    >>> tables = [np.array(x) for x in ([0.0, 5.0], [30.0, 20.0], [2.0, 8.0], [30.0, 20.0])]
    >>> [cell.tolist() for cell in fill_zero_cells(*tables)]
    [[0.5, 5.0], [30.5, 15.0], [2.5, 8.0], [28.5, 12.0]]
    """
    a, b, c, d = events1, total1 - events1, events2, total2 - events2
    where = where_to_add((a == 0) | (b == 0) | (c == 0) | (d == 0), zero_cells)
    both = total1 + total2
    add1, add2 = (total1 / both, total2 / both) if add == TACC else (float(add), float(add))
    more1, more2 = np.where(where, add1, 0.0), np.where(where, add2, 0.0)
    return a + more1, b + more1, c + more2, d + more2


def log_risk_ratio(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logarithm of the risk ratio, arm 1 over arm 2.

    Parameters
    ----------
    a, b, c, d : array of shape (k,)
        Events and non-events of arm 1, then of arm 2.

    Returns
    -------
    yi, vi : array of shape (k,)
        The log risk ratio and its variance; not finite where a or c is 0.

    References
    ----------
    Katz et al. (1978), Biometrics 34:469-474.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = log_risk_ratio(*(np.array([x]) for x in (12.0, 38.0, 20.0, 30.0)))
    >>> yi.round(4), vi.round(4)
    (array([-0.5108]), array([0.0933]))
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        yi = np.log(a / (a + b)) - np.log(c / (c + d))
        vi = 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    return yi, vi


def log_odds_ratio(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logarithm of the odds ratio, arm 1 over arm 2.

    Parameters
    ----------
    a, b, c, d : array of shape (k,)
        Events and non-events of arm 1, then of arm 2.

    Returns
    -------
    yi, vi : array of shape (k,)
        The log odds ratio and its variance; not finite where a cell is 0.

    References
    ----------
    Woolf (1955), Annals of Human Genetics 19:251-253.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = log_odds_ratio(*(np.array([x]) for x in (12.0, 38.0, 20.0, 30.0)))
    >>> yi.round(4), vi.round(4)
    (array([-0.7472]), array([0.193]))
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        yi = np.log(a) - np.log(b) - np.log(c) + np.log(d)
        vi = 1 / a + 1 / b + 1 / c + 1 / d
    return yi, vi


def risk_difference(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Risk of arm 1 minus risk of arm 2.

    Parameters
    ----------
    a, b, c, d : array of shape (k,)
        Events and non-events of arm 1, then of arm 2.

    Returns
    -------
    yi, vi : array of shape (k,)
        The difference and its variance; the variance is 0 where both risks are 0 or 1.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = risk_difference(*(np.array([x]) for x in (12.0, 38.0, 20.0, 30.0)))
    >>> yi.round(4), vi.round(4)
    (array([-0.16]), array([0.0084]))
    """
    n1, n2 = a + b, c + d
    return a / n1 - c / n2, a * b / n1**3 + c * d / n2**3


def arcsine_difference(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Arcsine of the root of arm 1's risk minus that of arm 2's: defined for every table.

    Parameters
    ----------
    a, b, c, d : array of shape (k,)
        Events and non-events of arm 1, then of arm 2.

    Returns
    -------
    yi, vi : array of shape (k,)
        The difference, in radians, and its variance.

    References
    ----------
    Rücker et al. (2009), Statistics in Medicine 28:721-738.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = arcsine_difference(*(np.array([x]) for x in (0.0, 30.0, 2.0, 28.0)))
    >>> yi.round(4), vi.round(4)
    (array([-0.2612]), array([0.0167]))
    """
    n1, n2 = a + b, c + d
    return np.arcsin(np.sqrt(a / n1)) - np.arcsin(np.sqrt(c / n2)), 1 / (4 * n1) + 1 / (4 * n2)


def peto_log_odds_ratio(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Peto's one-step log odds ratio: observed minus expected events, over their hypergeometric variance V.

    Parameters
    ----------
    a, b, c, d : array of shape (k,)
        Events and non-events of arm 1, then of arm 2.

    Returns
    -------
    yi, vi : array of shape (k,)
        (O - E)/V and 1/V; not finite where V is 0: no events, or nothing but events.

    References
    ----------
    Yusuf et al. (1985), Progress in Cardiovascular Diseases 27:335-371.

    Examples
    --------
    >>> import numpy as np
    >>> yi, vi = peto_log_odds_ratio(*(np.array([x]) for x in (0.0, 30.0, 2.0, 28.0)))
    >>> yi.round(4), vi.round(4)
    (array([-2.0345]), array([2.0345]))
    """
    n1, n2 = a + b, c + d
    total = n1 + n2
    observed_minus_expected = a - (a + c) * n1 / total
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (a + c) * (b + d) * n1 * n2 / (total**2 * (total - 1))
        return observed_minus_expected / variance, 1 / variance
