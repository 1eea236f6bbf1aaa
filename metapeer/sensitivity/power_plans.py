"""What is planned: how many studies, how large, of what effect and heterogeneity; read once and checked as a whole."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.effects.measures import find_measure
from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import format_number
from metapeer.pooling.heterogeneity import typical_variance
from metapeer.pooling.weighted import FloatArray

__all__ = ["ALTERNATIVES", "Plan", "check_alpha", "check_target", "listed", "numbers", "read_plan", "single", "whole"]

ALTERNATIVES = ("two-sided", "greater", "less")
FROM_SIZES = ("SMD", "MD", "OR", "RR", "RD", "ZCOR")
"""Measures whose sampling variance follows from the sizes of the arms and little else."""
LARGEST = 1e30
"""Variances beyond it or below its inverse are no plan."""


def numbers(name: str, value: ArrayLike, faults: list[Fault], *, above: float | None = None) -> FloatArray:
    """Take a number or a list of numbers.

    Parameters
    ----------
    name : str
        The argument.
    value : float or sequence of float
        What was given.
    faults : list of Fault
        Gets what is wrong.
    above : float, optional
        What every number must exceed.

    Returns
    -------
    array of shape (k,)
        One number for a single one; empty after a fault.
    """
    try:
        array = np.atleast_1d(np.asarray(np.nan if isinstance(value, bool | str) else value, dtype=np.float64))
    except (TypeError, ValueError):
        given = value.tolist() if isinstance(value, np.ndarray) else value
        faults.append(Fault(column=name, message=f"must be a number or a list of numbers, not {given!r}"))
        return np.empty(0)
    if array.ndim != 1 or not array.size:
        faults.append(Fault(column=name, message="must be a number or a list of numbers"))
        return np.empty(0)
    good = np.abs(array) <= LARGEST
    if above is not None:
        good &= array > above
    if not good.all():
        bound = "" if above is None else f" above {above:g}"
        shown = repr(value) if isinstance(value, bool | str) else ", ".join(f"{one:g}" for one in array[~good][:5])
        faults.append(Fault(column=name, message=f"must be finite{bound}, not {shown}"))
        return np.empty(0)
    return array


def whole(name: str, value: object, least: int) -> int:
    """Take a number of studies.

    Parameters
    ----------
    name : str
        The argument.
    value : object
        What was given.
    least : int
        The smallest that makes sense.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ChoiceError
        If it is not a whole number from `least` to a thousand million.
    """
    good = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not good or not least <= float(value) <= 1e9 or float(value) != int(float(value)):  # type: ignore[arg-type]
        raise ChoiceError(f"{name} must be a whole number from {least}, not {value!r}")
    return int(float(value))  # type: ignore[arg-type]


def _share(name: str, value: object, hint: str = "") -> float:
    good = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not good or not 0.0 < float(value) < 1.0:  # type: ignore[arg-type]
        raise ChoiceError(f"{name} must be a number between 0 and 1, not {value!r}{hint}")
    return float(value)  # type: ignore[arg-type]


def check_alpha(alpha: object) -> float:
    """Return a level of significance if it is one.

    Parameters
    ----------
    alpha : object
        What was given.

    Returns
    -------
    float
        The same number.

    Raises
    ------
    ChoiceError
        If it is not between 0 and 1.
    """
    return _share("alpha", alpha)


def check_target(power: object, alpha: float) -> float:
    """Return a power to be reached if it can be one.

    Parameters
    ----------
    power : object
        What was given.
    alpha : float
        The level of the test.

    Returns
    -------
    float
        The same number.

    Raises
    ------
    ChoiceError
        If it is not between `alpha` and 1.
    """
    target = _share("power", power)
    if target <= alpha:
        raise ChoiceError(f"power must exceed alpha, {alpha:g}, which a test reaches without any effect")
    return target


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Studies that do not exist yet, checked.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    k : int or None
        How many studies, when that was said.
    vi : array or None
        Sampling variances, when these were given: of one study like which all are, or of each.
    n1, n2 : array or None
        Sizes of the arms otherwise.
    sd, risk2 : float
        Standard deviation for "MD" and risk in arm 2 for "OR", "RR" and "RD"; NaN when not needed.
    tau2, I2 : float
        What was assumed of heterogeneity; one of them is NaN.
    """

    measure: str
    k: int | None
    vi: FloatArray | None
    n1: FloatArray | None
    n2: FloatArray | None
    sd: float
    risk2: float
    tau2: float
    I2: float

    def variances(self, effect: float) -> FloatArray:
        """Sampling variances if this is the true effect.

        Parameters
        ----------
        effect : float
            In the units of the measure, a logarithm for ratios.

        Returns
        -------
        array
            One variance, or one for each study.

        Raises
        ------
        MetapeerError
            If there can be no such effect.
        """
        if self.vi is not None:
            return self.vi
        assert self.n1 is not None  # noqa: S101  read_plan saw to it
        if self.measure == "ZCOR":
            return np.asarray(1.0 / (self.n1 - 3.0))
        assert self.n2 is not None  # noqa: S101  likewise
        n1, n2 = self.n1, self.n2
        if self.measure == "SMD":
            return np.asarray(1.0 / n1 + 1.0 / n2 + effect * effect / (2.0 * (n1 + n2)))
        if self.measure == "MD":
            return np.asarray(self.sd**2 * (1.0 / n1 + 1.0 / n2))
        p2 = self.risk2
        if self.measure == "OR":
            odds = math.log(p2) - math.log1p(-p2) + effect
            p1 = 1.0 / (1.0 + math.exp(-odds)) if abs(odds) < 700.0 else float(odds > 0.0)
        else:
            p1 = p2 * math.exp(min(effect, 700.0)) if self.measure == "RR" else p2 + effect
        if not 0.0 < p1 < 1.0:
            raise MetapeerError(
                f"with a risk of {p2:g} in arm 2, an effect of {effect:g} would make the risk in arm 1 {p1:g}"
            )
        if self.measure == "OR":
            return np.asarray(1.0 / (n1 * p1 * (1.0 - p1)) + 1.0 / (n2 * p2 * (1.0 - p2)))
        if self.measure == "RR":
            return np.asarray((1.0 - p1) / (n1 * p1) + (1.0 - p2) / (n2 * p2))
        return np.asarray(p1 * (1.0 - p1) / n1 + p2 * (1.0 - p2) / n2)

    def heterogeneity(self, vi: FloatArray) -> float:
        """Between-study variance, from I² when that was given.

        Parameters
        ----------
        vi : array
            Sampling variances.

        Returns
        -------
        float
            tau2.
        """
        if math.isnan(self.I2):
            return self.tau2
        typical = typical_variance(vi) if vi.size > 1 else float(vi[0])
        return typical * self.I2 / (100.0 - self.I2)

    def studies(self) -> int:
        """How many studies are planned.

        Returns
        -------
        int
            As said, or as many as were listed.

        Raises
        ------
        ChoiceError
            If nothing tells.
        """
        if self.k is not None:
            return self.k
        given = next(one for one in (self.vi, self.n1) if one is not None)
        size = max(given.size, 1 if self.n2 is None else self.n2.size)
        if size == 1:
            raise ChoiceError("k is missing; say how many studies like this one are planned")
        return int(size)

    def words(self) -> list[tuple[str, str]]:
        """Describe the size of the studies for a table.

        Returns
        -------
        list of (str, str)
            Names and values.
        """

        def span(values: FloatArray, digits: int) -> str:
            low, high = float(values.min()), float(values.max())
            if low == high:
                return format_number(low, digits) if digits else f"{low:g}"
            ends = (format_number(one, digits) if digits else f"{one:g}" for one in (low, high))
            return " to ".join(ends)

        if self.vi is not None:
            return [("Sampling variance of a study", span(self.vi, 4))]
        assert self.n1 is not None  # noqa: S101  read_plan saw to it
        if self.n2 is None:
            return [("Participants of a study", span(self.n1, 0))]
        rows = [("Participants, arm 1 and arm 2", f"{span(self.n1, 0)} and {span(self.n2, 0)}")]
        if self.measure == "MD":
            rows.append(("Standard deviation", f"{self.sd:g}"))
        if self.measure in ("OR", "RR", "RD"):
            rows.append(("Risk in arm 2", f"{self.risk2:g}"))
        return rows


def _from_table(trials: object, faults: list[Fault]) -> dict[str, FloatArray]:
    """Take the columns of a table of planned trials: vi, or sei, or n1 and n2."""
    if not isinstance(trials, pd.DataFrame):
        raise ChoiceError(f"trials must be a DataFrame, not a {type(trials).__name__}")
    for columns in (("vi",), ("sei",), ("n1", "n2"), ("n1",)):
        if set(columns) <= set(trials.columns):
            found = {}
            for name in columns:
                values = pd.to_numeric(trials[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
                bad = ~((values > 0.0) & (values <= LARGEST))
                faults += [
                    Fault(row=f"row {i + 1}", column=name, message=f"{trials[name].iloc[i]!r} must be a number above 0")
                    for i in np.flatnonzero(bad).tolist()
                ]
                found[name] = np.asarray(values)
            if not len(trials):
                faults.append(Fault(message="has no rows"))
            return found
    faults.append(Fault(message="has neither vi nor sei nor n1 and n2"))
    return {}


def _sizes(
    given: dict[str, ArrayLike | None], trials: pd.DataFrame | None, faults: list[Fault]
) -> dict[str, FloatArray]:
    """Take sizes or variances from one place only."""
    named = [name for name, value in given.items() if value is not None]
    if trials is not None:
        if named:
            raise ChoiceError(f"trials already tells how large the studies are; leave {' and '.join(named)} out")
        return _from_table(trials, faults)
    if named not in (["n1"], ["n1", "n2"], ["vi"], ["sei"]):
        said = " and ".join(named) if named else "none of them"
        raise ChoiceError(f"give the size of the studies as n1 and n2, or as vi, or as sei, or as trials; not {said}")
    found = {name: numbers(name, value, faults, above=0.0) for name, value in given.items() if value is not None}
    sizes = {array.size for array in found.values()} - {0, 1}
    if len(sizes) > 1:
        faults.append(Fault(column="n2", message=f"has {found['n2'].size} values and n1 {found['n1'].size}"))
    return found


def read_plan(
    *,
    k: object,
    n1: ArrayLike | None,
    n2: ArrayLike | None,
    vi: ArrayLike | None,
    sei: ArrayLike | None,
    trials: pd.DataFrame | None,
    tau2: float | None,
    I2: float | None,
    measure: str,
    sd: float | None,
    risk2: float | None,
    least: int = 1,
) -> Plan:
    """Check a plan as a whole.

    Parameters
    ----------
    k, n1, n2, vi, sei, trials, tau2, I2, measure, sd, risk2
        As in `power_meta_analysis`.
    least : int, default 1
        Fewest studies that the test can do with.

    Returns
    -------
    Plan
        What was planned.

    Raises
    ------
    DataError
        Listing every number that cannot be.
    ChoiceError
        If something is missing, or said twice.
    """
    if measure:
        find_measure(measure)
    faults: list[Fault] = []
    found = _sizes({"n1": n1, "n2": n2, "vi": vi, "sei": sei}, trials, faults)
    counted = None if k is None else whole("k", k, least)
    if "n1" in found:
        check_choice("measure", measure, FROM_SIZES)
        if measure == "ZCOR" and "n2" in found:
            raise ChoiceError("a correlation has one group; give n1 alone")
        if measure != "ZCOR" and "n2" not in found:
            raise ChoiceError(f"{measure} compares two arms; give n2 as well")
        if measure == "ZCOR" and (found["n1"] <= 3.0).any():
            faults.append(Fault(column="n1", message="must be above 3; the variance of Fisher's z is 1 / (n - 3)"))
    needs = {"sd": ("MD",), "risk2": ("OR", "RR", "RD")}
    extra = {}
    for name, value in (("sd", sd), ("risk2", risk2)):
        wanted = "n1" in found and measure in needs[name]
        if wanted and value is None:
            raise ChoiceError(f"{measure} from the sizes of the arms needs {name}")
        if not wanted and value is not None:
            raise ChoiceError(f"{name} has no use here: it goes with n1 and n2 of {', '.join(needs[name])}")
        one = numbers(name, value, faults, above=0.0) if value is not None else np.full(1, np.nan)
        if one.size > 1 or (name == "risk2" and one.size and one[0] >= 1.0):
            bound = " below 1" if name == "risk2" else ""
            faults.append(Fault(column=name, message=f"must be one number above 0{bound}"))
        extra[name] = float(one[0]) if one.size else math.nan
    between = _between(tau2, I2, faults)
    if faults:
        raise DataError("the plan", faults)
    variances = found["sei"] ** 2 if "sei" in found else found.get("vi")
    if variances is not None and (variances < 1.0 / LARGEST).any():
        raise DataError("the plan", [Fault(column="sei", message="is too small to compute with")])
    plan = Plan(
        measure=measure,
        k=counted,
        vi=variances,
        n1=found.get("n1"),
        n2=found.get("n2"),
        tau2=between[0],
        I2=between[1],
        **extra,
    )
    if counted is None and trials is not None and len(trials) < least:
        raise DataError("the plan", [f"has {len(trials)} study; the test needs at least {least}"])
    return plan


def _between(tau2: float | None, I2: float | None, faults: list[Fault]) -> tuple[float, float]:
    if tau2 is not None and I2 is not None:
        raise ChoiceError("tau2 and I2 say the same thing twice; give one")
    for name, value, most in (("tau2", tau2, LARGEST), ("I2", I2, 100.0)):
        if value is None:
            continue
        one = numbers(name, value, faults)
        if one.size == 1 and (one[0] < 0.0 or (name == "I2" and one[0] >= most)):
            span = "from 0 to below 100, in per cent" if name == "I2" else "0 or more"
            faults.append(Fault(column=name, message=f"must be {span}, not {one[0]:g}"))
        elif one.size > 1:
            faults.append(Fault(column=name, message="must be one number"))
        elif one.size:
            return (float(one[0]), math.nan) if name == "tau2" else (math.nan, float(one[0]))
    return 0.0, math.nan


def single(name: str, value: object) -> float:
    """Take one finite number.

    Parameters
    ----------
    name : str
        The argument.
    value : object
        What was given.

    Returns
    -------
    float
        The number.

    Raises
    ------
    ChoiceError
        If it is not one.
    """
    good = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not good or not abs(float(value)) <= LARGEST:  # type: ignore[arg-type]
        raise ChoiceError(f"{name} must be a finite number, not {value!r}")
    return float(value)  # type: ignore[arg-type]


def listed(name: str, values: object) -> Sequence[object]:
    """Take a list, of which a single number is the shortest.

    Parameters
    ----------
    name : str
        The argument.
    values : object
        What was given.

    Returns
    -------
    sequence
        With at least one member.

    Raises
    ------
    ChoiceError
        If it is empty or not a list.
    """
    if isinstance(values, int | float | np.integer | np.floating):
        return [values]
    if not isinstance(values, Sequence | np.ndarray | pd.Series | range) or isinstance(values, str) or not len(values):
        raise ChoiceError(f"{name} must be a number or a list of numbers, not {values!r}")
    return list(values)
