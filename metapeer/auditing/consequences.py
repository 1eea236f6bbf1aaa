"""What pooling would come to if a finding is true."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.findings import Finding
from metapeer.auditing.table import AuditTable
from metapeer.effects.table import effect_size
from metapeer.errors import DataWarning, MetapeerError
from metapeer.formatting import format_interval, format_level, format_number
from metapeer.pooling.inference import CI_WORDS
from metapeer.pooling.models import meta_analysis

__all__ = ["Consequence", "PooledRows", "consequence_of", "rows_to_pool"]

FloatArray = NDArray[np.float64]
GROUPS = ("outcome_group", "outcome")
"""Columns that say which rows are pooled together; the first that the table has and that parts it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PooledRows:
    """The effects of a table as they would be pooled, and the group each is pooled in.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and sampling variances; NaN for rows that cannot be pooled.
    groups : tuple of str
        The group of each row.
    known : dict
        Groups pooled so far.
    """

    yi: FloatArray
    vi: FloatArray
    groups: tuple[str, ...]
    known: dict[str, tuple[list[int], tuple[float, float, float], str]] = field(default_factory=dict)

    def group(self, name: str) -> tuple[list[int], tuple[float, float, float], str]:
        """Rows of a group that can be pooled, and what they are pooled to, computed once.

        Parameters
        ----------
        name : str
            The group.

        Returns
        -------
        rows : list of int
            Their positions.
        pooled : tuple of (float, float, float)
            Estimate and limits.
        how : str
            The model and the interval.
        """
        if name not in self.known:
            usable = np.isfinite(self.yi).tolist()
            inside = [i for i, group in enumerate(self.groups) if usable[i] and group == name]
            self.known[name] = inside, *_pool(self.yi[inside], self.vi[inside])
        return self.known[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """A pooled effect before and after.

    Parameters
    ----------
    group : str
        Which rows are pooled; empty when all are.
    before, after : tuple of (float, float, float)
        Estimate and limits, as the rows stand and if the finding is true; NaN when nothing is left to pool.
    k_before, k_after : int
        Rows pooled.
    how : str
        The model and the interval of `before`.
    """

    group: str
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    k_before: int
    k_after: int
    how: str

    def words(self) -> str:
        """Say how the pooled effect moves.

        Returns
        -------
        str
            Such as ``"clinical recovery: 0.19 (0.11 to 0.27) becomes 0.15 (0.05 to 0.26)"``.
        """
        shown = [
            f"{format_number(e, 2)} ({format_interval(low, high, 2)})" for e, low, high in (self.before, self.after)
        ]
        head = f"{self.group or 'all rows'}: "
        fewer = f", k {self.k_before} becomes {self.k_after}" if self.k_before != self.k_after else ""
        return f"{head}{shown[0]} becomes {shown[1]}{fewer}"


def rows_to_pool(table: AuditTable) -> PooledRows:
    """Find the effect that each row would bring to a meta-analysis.

    Parameters
    ----------
    table : AuditTable
        The table.

    Returns
    -------
    PooledRows
        The printed effects where they stand with an error; where none is printed anywhere, standardised mean
        differences or log odds ratios made from the arms.
    """
    effects, errors = table.printed
    with np.errstate(over="ignore"):  # what overflows is not pooled
        yi, vi = effects.copy(), errors**2
    if not (np.isfinite(yi) & (vi > 0)).any():
        for measure, needed in (("SMD", ("n1", "mean1", "sd1", "n2", "mean2", "sd2")), ("OR", ("events1", "total1"))):
            if not table.has(*needed):
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DataWarning)
                    made = effect_size(table.data, measure=measure, orient=False)  # type: ignore[arg-type]
            except MetapeerError:
                continue
            yi, vi = made["yi"].to_numpy(np.float64).copy(), made["vi"].to_numpy(np.float64).copy()
            break
    excluded = np.array([bool(reason) for reason in table.text("exclusion_reason")])
    unusable = ~(np.isfinite(yi) & np.isfinite(vi) & (vi > 0)) | excluded
    yi[unusable], vi[unusable] = np.nan, np.nan
    for column in GROUPS:
        found = table.text(column)
        if len(set(found)) > 1:
            return PooledRows(yi=yi, vi=vi, groups=tuple(found))
    return PooledRows(yi=yi, vi=vi, groups=("",) * table.k)


def _pool(yi: FloatArray, vi: FloatArray) -> tuple[tuple[float, float, float], str]:
    if not yi.size:
        return (np.nan, np.nan, np.nan), ""
    with warnings.catch_warnings(), np.errstate(all="ignore"):  # an absurd table is what the audit is for
        warnings.simplefilter("ignore", DataWarning)
        fit = meta_analysis(yi=yi, vi=vi)
    tau2 = f"random effects by {fit.tau2_method}, " if fit.tau2_method else ""
    how = f"{tau2}{format_level(fit.level)} {CI_WORDS[fit.ci_method]} interval, rows as independent"
    return (fit.estimate, fit.ci.low, fit.ci.high), how


def consequence_of(finding: Finding, pooled: PooledRows) -> tuple[Consequence, ...]:
    """Pool again as if a finding were true.

    Parameters
    ----------
    finding : Finding
        With `instead`.
    pooled : PooledRows
        From `rows_to_pool`.

    Returns
    -------
    tuple of Consequence
        One for each group that its rows are pooled in and that would change.
    """
    concerned: Mapping[int, tuple[float, float] | None] = {
        row: value for row, value in finding.instead.items() if np.isfinite(pooled.yi[row])
    }
    found = []
    for group in dict.fromkeys(pooled.groups[row] for row in concerned):
        changed = {row: value for row, value in concerned.items() if pooled.groups[row] == group}
        try:
            found.append(_compare(group, changed, pooled))
        except MetapeerError:
            continue  # numbers too absurd to pool: the finding itself says so
    return tuple(found)


def _compare(group: str, changed: Mapping[int, tuple[float, float] | None], pooled: PooledRows) -> Consequence:
    inside, before, how = pooled.group(group)
    kept = [i for i in inside if changed.get(i, (0.0, 0.0)) is not None]
    yi, vi = pooled.yi.copy(), pooled.vi.copy()
    for row, value in changed.items():
        if value is not None:
            yi[row], vi[row] = value
    return Consequence(
        group=group,
        before=before,
        after=_pool(yi[kept], vi[kept])[0],
        k_before=len(inside),
        k_after=len(kept),
        how=how,
    )
