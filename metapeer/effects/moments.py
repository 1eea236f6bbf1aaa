"""Mean and standard deviation from a median with its range, its quartiles, or both; and a test of skewness.

Let a, q1, m, q3, b be minimum, first quartile, median, third quartile and maximum of n participants.

References
----------
Wan, Wang, Liu & Tong (2014), BMC Medical Research Methodology 14:135.
Luo, Wan, Liu & Tong (2018), Statistical Methods in Medical Research 27:1785-1805.
Shi, Luo, Weng, Zeng, Lin, Chu & Tong (2020), Research Synthesis Methods 11:641-654.
Shi, Tong, Wang & Genton (2020), Statistics and Its Interface 13:519-531 (log-normal data).
McGrath, Zhao, Steele, Thombs & Benedetti (2020), Statistical Methods in Medical Research 29:2520-2537.
Yang, Hutson & Wang (2022), Journal of Applied Statistics 49:3846-3867.
Shi, Luo, Wan, Liu, Liu, Bian & Tong (2023), Statistical Methods in Medical Research 32:1338-1360 (skewness).
"""

import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from metapeer.effects.arguments import Arguments, BoolArray, FloatArray, Numbers
from metapeer.effects.quantile_methods import QUANTILE_METHODS, USED, Summary
from metapeer.errors import DataWarning, check_choice

__all__ = ["MeanSD", "SkewnessTest", "mean_sd_from_quantiles", "skewness_test"]

Method = Literal["luo-wan-shi", "wan", "shi_lognormal", "mcgrath_qe", "mcgrath_bc", "yang"]

COLUMNS = ("minimum", "q1", "median", "q3", "maximum")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeanSD:
    """Mean and standard deviation estimated from quantiles.

    Parameters
    ----------
    mean, sd : float or array of shape (k,)
        The estimates; NaN where nothing was given.
    method : str
        How, as `mean_sd_from_quantiles` calls it.
    summary : str or tuple of str
        What each study gave: "range", "quartiles", "five numbers", or "" for nothing.
    distribution : str or tuple of str
        The distribution that was assumed, or chosen by its fit.

    Examples
    --------
    >>> result = mean_sd_from_quantiles(q1=8, median=13, q3=17, n=50)
    >>> result.summary, result.distribution
    ('quartiles', 'normal')
    """

    mean: Numbers
    sd: Numbers
    method: Method
    summary: str | tuple[str, ...]
    distribution: str | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SkewnessTest:
    """Whether quantiles are too lopsided to come from normal data.

    Parameters
    ----------
    statistic : float or array of shape (k,)
        How lopsided they are; never negative.
    critical : float or array of shape (k,)
        What normal data exceed in 1 of 20 samples.
    skewed : bool or tuple of bool
        Whether the statistic reaches the critical value.
    summary : str or tuple of str
        What each study gave: "range", "quartiles", "five numbers", or "" for nothing.

    Examples
    --------
    >>> skewness_test(minimum=2, median=6, maximum=40, n=80).skewed
    True
    """

    statistic: Numbers
    critical: Numbers
    skewed: bool | tuple[bool, ...]
    summary: str | tuple[str, ...]


def _read(
    source: str,
    minimum: ArrayLike | None,
    q1: ArrayLike | None,
    median: ArrayLike | None,
    q3: ArrayLike | None,
    maximum: ArrayLike | None,
    n: ArrayLike,
) -> tuple[Arguments, FloatArray, dict[Summary, BoolArray]]:
    """Check quantiles; return them as columns, with a mask of the studies that gave each kind of summary."""
    arguments = Arguments(source, minimum=minimum, q1=q1, median=median, q3=q3, maximum=maximum, n=n)
    values = np.column_stack([arguments[name] for name in COLUMNS])
    given = ~np.isnan(values)
    rows = {kind: (given == np.isin(np.arange(5), used)).all(axis=1) for kind, used in USED.items()}
    partial = given.any(axis=1) & ~np.logical_or.reduce(list(rows.values()))
    for index in np.flatnonzero(partial):
        found = ", ".join(np.array(COLUMNS)[given[index]])
        arguments.fault(
            f"only {found}; give median with minimum and maximum, or with q1 and q3, or all five", index=int(index)
        )
    arguments.require("n", lambda n: (n >= 5) & (n == np.floor(n)), "must be a whole number of at least 5")
    for index in np.flatnonzero(given.any(axis=1) & np.isnan(arguments["n"])):
        arguments.fault("is missing", index=int(index), column="n")
    for study, row in enumerate(values):
        known = [column for column in range(5) if given[study, column]]
        for left, right in pairwise(known):
            if row[left] > row[right]:
                message = f"{row[right]:.10g} is below {COLUMNS[left]} {row[left]:.10g}"
                arguments.fault(message, index=study, column=COLUMNS[right])
        if known and not partial[study]:
            low, high = (1, 3) if given[study, 1] else (0, 4)
            if row[low] == row[high]:
                message = f"{COLUMNS[low]} and {COLUMNS[high]} are both {row[low]:.10g}, which leaves no spread between"
                arguments.fault(message, index=study)
    arguments.check()
    return arguments, values, rows


def _words(rows: dict[Summary, BoolArray], size: int) -> list[str]:
    words = [""] * size
    for kind, mask in rows.items():
        for index in np.flatnonzero(mask):
            words[index] = kind
    return words


def skewness_test(
    *,
    n: ArrayLike,
    median: ArrayLike,
    minimum: ArrayLike | None = None,
    q1: ArrayLike | None = None,
    q3: ArrayLike | None = None,
    maximum: ArrayLike | None = None,
) -> SkewnessTest:
    """Test, at the 5% level, whether quantiles are too lopsided to come from normal data.

    With T1 = ``|a + b - 2m|``/(b - a) and T2 = ``|q1 + q3 - 2m|``/(q3 - q1), data are called skewed when

    - of a range: T1 ≥ 1/ln(n + 9) + 2.5/(n + 1);
    - of quartiles: T2 ≥ 2.65/√n - 6/n²;
    - of all five: max(2.65 ln(0.6 n)/√n · T1, T2) ≥ 3/√n - 40/n³.

    Parameters
    ----------
    n : array_like
        Participants, at least 5.
    median : array_like
        Median.
    minimum, maximum : array_like, optional
        Range.
    q1, q3 : array_like, optional
        First and third quartile.

    Returns
    -------
    SkewnessTest
        Statistic, critical value and verdict.

    Raises
    ------
    DataError
        If the quantiles are incomplete or out of order, or n is below 5.

    References
    ----------
    Shi et al. (2023), Statistical Methods in Medical Research 32:1338-1360.

    Examples
    --------
    >>> test = skewness_test(q1=8, median=13, q3=17, n=50)
    >>> round(test.statistic, 4), round(test.critical, 4), test.skewed
    (0.1111, 0.3724, False)
    """
    arguments, values, rows = _read("skewness_test", minimum, q1, median, q3, maximum, n)
    statistic, critical = _skewness(values, arguments["n"], rows)
    skewed = tuple(bool(x) for x in statistic >= critical)
    shaped = arguments.shaped(statistic)
    return SkewnessTest(
        statistic=shaped,
        critical=arguments.shaped(critical),
        skewed=skewed[0] if isinstance(shaped, float) else skewed,
        summary=arguments.word(_words(rows, len(values))),
    )


def _skewness(values: FloatArray, n: FloatArray, rows: dict[Summary, BoolArray]) -> tuple[FloatArray, FloatArray]:
    a, q1, m, q3, b = values.T
    outer, inner = np.abs(a + b - 2 * m) / (b - a), np.abs(q1 + q3 - 2 * m) / (q3 - q1)
    root = np.sqrt(n)
    kinds = [rows["range"], rows["quartiles"], rows["five numbers"]]
    both = np.maximum(2.65 * np.log(0.6 * n) / root * outer, inner)
    statistic = np.select(kinds, [outer, inner, both], np.nan)
    critical = np.select(
        kinds, [1 / np.log(n + 9) + 2.5 / (n + 1), 2.65 / root - 6 / n**2, 3 / root - 40 / n**3], np.nan
    )
    return statistic, critical


def mean_sd_from_quantiles(
    *,
    n: ArrayLike,
    median: ArrayLike,
    minimum: ArrayLike | None = None,
    q1: ArrayLike | None = None,
    q3: ArrayLike | None = None,
    maximum: ArrayLike | None = None,
    method: Method = "luo-wan-shi",
) -> MeanSD:
    """Estimate mean and standard deviation of an arm that printed its median.

    Warns where the skewness test of Shi et al. (2023) rejects and the method assumes normal data.

    Parameters
    ----------
    n : array_like
        Participants, at least 5.
    median : array_like
        Median.
    minimum, maximum : array_like, optional
        Range.
    q1, q3 : array_like, optional
        First and third quartile (not their difference).
    method : str, default "luo-wan-shi"
        "luo-wan-shi", "wan" and "yang" assume normal data, "shi_lognormal" log-normal data; "mcgrath_qe" chooses a
        distribution; "mcgrath_bc" transforms to symmetry. `metapeer.effects.quantile_methods.QUANTILE_METHODS` has
        their papers.

    Returns
    -------
    MeanSD
        Mean and standard deviation, what each study gave, and the distribution behind the estimate.

    Raises
    ------
    DataError
        If the quantiles are incomplete or out of order, leave no spread, or are not positive where they must be; or
        if n is below 5.
    ChoiceError
        If `method` is unknown.

    References
    ----------
    See the top of `metapeer.effects.moments`.

    Examples
    --------
    >>> result = mean_sd_from_quantiles(minimum=2, median=6, maximum=14, n=20)
    >>> round(result.mean, 4), round(result.sd, 4)
    (6.5945, 3.2116)

    Many studies at once; what a study did not print is missing:

    >>> nan = float("nan")
    >>> result = mean_sd_from_quantiles(
    ...     minimum=[2, nan, 4], q1=[nan, 8, 7], median=[6, 13, 9], q3=[nan, 17, 12], maximum=[14, nan, 21],
    ...     n=[20, 50, 25], method="mcgrath_qe")
    >>> result.distribution
    ('gamma', 'normal', 'log-normal')
    """
    definition = QUANTILE_METHODS[check_choice("method", method, tuple(QUANTILE_METHODS))]
    arguments, values, rows = _read("mean_sd_from_quantiles", minimum, q1, median, q3, maximum, n)
    if definition.positive:
        for name in COLUMNS:
            arguments.require(name, lambda x: x > 0, f"must be above 0 for {method}; mcgrath_qe has no such limit")
        arguments.check()
    if method == "mcgrath_bc":
        _check_balance(arguments, values, rows)
    n_ = arguments["n"]
    if definition.distribution == "normal":
        statistic, critical = _skewness(values, n_, rows)
        if np.any(statistic >= critical):
            which = [str(i + 1) for i in np.flatnonzero(statistic >= critical)]
            warnings.warn(
                f"the quantiles of {len(which)} of {len(values)} studies (number {', '.join(which)}) are skewed"
                f" (Shi 2023), and {method} assumes normal data; consider mcgrath_qe or mcgrath_bc",
                DataWarning,
                stacklevel=2,
            )
    mean, sd = np.full(len(values), np.nan), np.full(len(values), np.nan)
    words = [""] * len(values)
    for kind, mask in rows.items():
        if mask.any():
            with np.errstate(over="ignore", invalid="ignore"):
                mean[mask], sd[mask], chosen = definition.compute(values[mask][:, USED[kind]], n_[mask], kind)
            for index, word in zip(np.flatnonzero(mask), chosen, strict=True):
                words[index] = word
                if not (np.isfinite(mean[index]) and 0 < sd[index] < np.inf):
                    arguments.fault(f"{method} finds no mean and standard deviation; try another", index=int(index))
    arguments.check()
    return MeanSD(
        mean=arguments.shaped(mean),
        sd=arguments.shaped(sd),
        method=method,
        summary=arguments.word(_words(rows, len(values))),
        distribution=arguments.word(words),
    )


def _check_balance(arguments: Arguments, values: FloatArray, rows: dict[Summary, BoolArray]) -> None:
    for kind, mask in rows.items():
        for index in np.flatnonzero(mask):
            for neighbour in (c for c in USED[kind] if c != 2 and values[index, c] == values[index, 2]):
                arguments.fault(
                    f"{values[index, 2]:.10g} equals {COLUMNS[neighbour]}, and no transformation makes that"
                    " symmetric; use mcgrath_qe",
                    index=int(index),
                    column="median",
                )
    arguments.check()
