"""Many outcomes, many tests: p values adjusted for how many there are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api.types import is_list_like

from metapeer.errors import DataError, Fault, check_choice
from metapeer.formatting import Printable, TextTable, count, format_p

__all__ = ["AdjustedPValues", "AdjustmentMethod", "adjust_p_values"]

AdjustmentMethod = Literal["holm", "hochberg", "bonferroni", "BH", "BY"]

METHODS: dict[AdjustmentMethod, tuple[str, str, str]] = {
    "holm": ("holm", "Holm", "the chance of any false finding"),
    "hochberg": ("simes-hochberg", "Hochberg", "the chance of any false finding, if tests do not oppose one another"),
    "bonferroni": ("bonferroni", "Bonferroni", "the chance of any false finding"),
    "BH": ("fdr_bh", "Benjamini-Hochberg", "the share of false findings, if tests do not oppose one another"),
    "BY": ("fdr_by", "Benjamini-Yekutieli", "the share of false findings, however tests depend on one another"),
}
"""What statsmodels calls it, its name, and what it controls."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AdjustedPValues(Printable):
    """P values before and after adjustment, from `adjust_p_values`.

    Parameters
    ----------
    method : str
        Code of the adjustment.
    method_name : str
        Its name.
    alpha : float
        What adjusted p values are compared with.
    tests : int
        Tests that were adjusted for.
    names : tuple of str
        What was tested, in the order given.
    p_values, adjusted : array
        Before and after; NaN where there was no p value.
    notes : tuple of str
        What a reader must know.
    """

    method: str
    method_name: str
    alpha: float
    tests: int
    names: tuple[str, ...]
    p_values: np.ndarray[Any, np.dtype[np.float64]]
    adjusted: np.ndarray[Any, np.dtype[np.float64]]
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the p values in a table.

        Returns
        -------
        DataFrame
            ``name``, ``p_value``, ``p_adjusted``, ``significant`` (adjusted p at most alpha) and ``method``, in the
            order given.
        """
        return pd.DataFrame(
            {
                "name": list(self.names),
                "p_value": self.p_values,
                "p_adjusted": self.adjusted,
                "significant": self.adjusted <= self.alpha,
                "method": self.method_name,
            }
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the adjustment in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        rows = [
            (name, format_p(p), format_p(adjusted))
            for name, p, adjusted in zip(self.names, self.p_values, self.adjusted, strict=True)
        ]
        return (
            TextTable(
                title=f"{self.method_name} adjustment for {count(self.tests, 'test')}",
                header=("", "p", "adjusted p"),
                rows=rows,
                notes=self.notes,
            ),
        )


def _named(p_values: object) -> tuple[list[str], list[object]]:
    """Names and p values of whatever was given."""
    if isinstance(p_values, pd.DataFrame):
        raise DataError("p_values", ["a DataFrame has many columns; give one of them, such as table['p_value']"])
    if isinstance(p_values, pd.Series):
        return [str(name) for name in p_values.index], p_values.tolist()
    if isinstance(p_values, Mapping):
        names, found = [str(name) for name in p_values], list(p_values.values())
    elif isinstance(p_values, str) or not is_list_like(p_values):
        raise DataError("p_values", [f"{p_values!r} is not a list of p values, a Series, a dict or a list of results"])
    else:
        found = list(p_values)  # type: ignore[call-overload]
        names = [str(i) for i in range(1, len(found) + 1)]
    return names, [getattr(value, "p_value", value) for value in found]


def adjust_p_values(
    p_values: object,
    *,
    method: AdjustmentMethod = "holm",
    alpha: float = 0.05,
    names: Sequence[str] | None = None,
) -> AdjustedPValues:
    """Adjust p values for the number of tests, as when a review pools many outcomes.

    Parameters
    ----------
    p_values : Series, dict, array-like, or list or dict of results
        The p values, or results that have one (`meta_analysis`, for instance). Names are the index of a Series, the
        keys of a dict, and otherwise numbers from 1. A missing p value stays missing and is not counted.
    method : {"holm", "hochberg", "bonferroni", "BH", "BY"}, default "holm"
        Holm's and Bonferroni's hold the chance of any false finding at `alpha` whatever the dependence between
        outcomes; Hochberg's does if the tests are independent or positively dependent. Benjamini-Hochberg (under the
        same condition) and Benjamini-Yekutieli hold the expected share of false findings among the findings.
    alpha : float, default 0.05
        What adjusted p values are compared with.
    names : sequence of str, optional
        Other names.

    Returns
    -------
    AdjustedPValues
        Before and after, in the order given.

    Raises
    ------
    DataError
        If something is not a p value; every fault is listed.
    ChoiceError
        If the method is unknown.

    References
    ----------
    Holm (1979), Scand J Stat 6:65-70; Hochberg (1988), Biometrika 75:800-802; Benjamini & Hochberg (1995), J R Stat
    Soc B 57:289-300; Benjamini & Yekutieli (2001), Ann Stat 29:1165-1188. Polanin & Pigott (2015), Res Synth Methods
    6:63-73 (in meta-analysis).

    Examples
    --------
    >>> found = adjust_p_values({"recovery": 0.004, "hope": 0.03, "symptoms": 0.4})
    >>> print(found)
    Holm adjustment for 3 tests
    <BLANKLINE>
                  p  adjusted p
    recovery  0.004       0.012
    hope      0.030       0.060
    symptoms  0.400       0.400
    <BLANKLINE>
    Holds the chance of any false finding at 0.05.
    """
    check_choice("method", method, METHODS)
    labels, given = _named(p_values)
    if names is not None:
        if isinstance(names, str) or len(names) != len(labels):
            raise DataError("names", [f"there must be one for each of {count(len(labels), 'p value')}"])
        labels = [str(name) for name in names]
    faults: list[Fault] = []
    numbers = np.empty(len(labels))
    for i, (label, value) in enumerate(zip(labels, given, strict=True)):
        missing = value is None or value is pd.NA or value is pd.NaT
        try:
            numbers[i] = math.nan if missing else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            numbers[i] = -1.0
        if not (math.isnan(numbers[i]) or 0.0 <= numbers[i] <= 1.0):
            faults.append(Fault(row=label, message=f"{value!r} is not a p value; it must lie between 0 and 1"))
    try:
        limit = float(alpha)
    except (TypeError, ValueError):
        limit = -1.0
    if not 0.0 < limit < 1.0:
        faults.append(Fault(column="alpha", message=f"{alpha!r} does not lie between 0 and 1"))
    if faults:
        raise DataError("p_values", faults)
    known = ~np.isnan(numbers)
    adjusted = np.full(numbers.size, np.nan)
    if known.any():
        from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

        adjusted[known] = multipletests(numbers[known], alpha=limit, method=METHODS[method][0])[1]
    for array in (numbers, adjusted):
        array.setflags(write=False)
    _, name, controls = METHODS[method]
    notes = [f"Holds {controls} at {limit:g}."]
    absent = [label for label, there in zip(labels, known.tolist(), strict=True) if not there]
    if absent:
        notes.append(f"No p value, not counted: {', '.join(absent)}.")
    return AdjustedPValues(
        method=method,
        method_name=name,
        alpha=limit,
        tests=int(known.sum()),
        names=tuple(labels),
        p_values=numbers,
        adjusted=adjusted,
        notes=tuple(notes),
    )
