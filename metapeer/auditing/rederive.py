"""Every printed effect and standard error derived again from the raw numbers of its row, under every known formula.

The formula of a table is the one by which most of its rows come out. Rows that do not are listed with the readings
under which they would; a reading is named only when it has been tested and the printed number comes out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.findings import Finding
from metapeer.auditing.formulas import smallest_inputs
from metapeer.auditing.rederive_findings import find_in_group, find_in_sizes
from metapeer.auditing.rederive_limits import check_limits
from metapeer.auditing.rederive_printed import Printed, read_printed
from metapeer.auditing.rederive_result import Rederivation, TableFormula
from metapeer.auditing.rederive_rows import Group, make_groups
from metapeer.auditing.rederive_signs import Convention, check_signs, find_convention
from metapeer.auditing.table import AuditTable
from metapeer.effects.measures import ARMS, EVENTS

__all__ = ["Rederivation", "TableFormula", "check_rederivation", "rederive"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Evaluation:
    printed: Printed
    groups: list[Group]
    convention: Convention
    sign: IntArray

    def expected(self, group: Group) -> IntArray:
        """Return the sign each row of a group ought to have: by the convention, else its own, else the nearer one."""
        wanted = self.convention.expected[group.rows]
        own = self.sign[group.rows]
        log = group.formula is not None and group.formula.ratio
        value = (
            np.log(np.where(group.printed.effect > 0, group.printed.effect, np.nan)) if log else group.printed.effect
        )
        near = np.where(value * group.effect() < 0, -1, 1)
        return np.where(wanted != 0, wanted, np.where(own != 0, own, near))


def _evaluate(table: AuditTable) -> _Evaluation:
    printed = read_printed(table)
    groups = make_groups(table, printed)
    with np.errstate(all="ignore"):
        convention, sign = find_convention(table, [group for group in groups if group.kind != "sizes"])
    return _Evaluation(printed=printed, groups=groups, convention=convention, sign=sign)


def rederive(table: AuditTable) -> Rederivation:
    """Derive every printed effect and standard error again from the raw numbers of its row.

    Parameters
    ----------
    table : AuditTable
        The table.

    Returns
    -------
    Rederivation
        Which formulas fit each row, which fits the table, and what it gives.

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer.auditing.table import make_audit_table
    >>> rows = pd.DataFrame({"n1": [11, 50], "mean1": [17.8, 5.1], "sd1": [9.9, 2.0], "n2": [14, 48],
    ...                      "mean2": [26.9, 4.2], "sd2": [11.2, 2.1], "yi": ["-0.826", "0.436"],
    ...                      "sei": ["0.423", "0.205"]})
    >>> result = rederive(make_audit_table(rows))
    >>> result.formula, result.error_formula, result.share
    ('G_EXACT', 'LS_N394', 1.0)
    """
    done = _evaluate(table)
    kinds = [""] * table.k
    effects: list[tuple[str, ...]] = [()] * table.k
    errors: list[tuple[str, ...]] = [()] * table.k
    computed, computed_error = np.full((2, table.k), np.nan)
    for group in done.groups:
        with np.errstate(all="ignore"):
            if group.kind != "sizes":
                computed[group.rows] = group.oriented(done.expected(group))
            computed_error[group.rows] = np.sqrt(group.variances)
        codes = np.array([f.code for f in group.formulas], dtype=object)
        spread_codes = np.array([s.code for s in group.spreads], dtype=object)
        came_out = (group.fits | group.turned) if codes.size else None
        for place, row in enumerate(group.rows.tolist()):
            kinds[row] = group.kind
            if came_out is not None:
                effects[row] = tuple(codes[came_out[:, place]])
            errors[row] = tuple(spread_codes[group.spread_fits[:, place]])
    raw = smallest_inputs("means", {name: table.number(name) for name in ARMS})
    raw = raw | smallest_inputs("events", {name: table.number(name) for name in EVENTS})
    return Rederivation(
        source=table.source,
        names=table.names,
        kinds=tuple(kinds),
        effects=tuple(effects),
        errors=tuple(errors),
        printed=_frozen(done.printed.effect),
        printed_error=_frozen(done.printed.error),
        computed=_frozen(computed),
        computed_error=_frozen(computed_error),
        tables=tuple(_table_formula(group) for group in done.groups),
        convention=done.convention.words,
        silent=int((raw & ~np.isfinite(done.printed.effect)).sum()),
    )


def _frozen(values: FloatArray) -> FloatArray:
    values = np.array(values, dtype=np.float64)
    values.setflags(write=False)
    return values


def _table_formula(group: Group) -> TableFormula:
    tied = [group.formulas[i] for i in group.tied]
    spreads = [group.spreads[i] for i in group.spread_tied]
    return TableFormula(
        kind=group.kind,
        k=group.m,
        codes=tuple(f.code for f in tied),
        labels=tuple(f.label for f in tied),
        k_to_digits=int(group.to_digits.sum()),
        k_near=int((group.near | group.to_digits).sum()),
        k_errors=int(group.has_spread.sum()),
        error_codes=tuple(s.code for s in spreads),
        error_labels=tuple(s.label for s in spreads),
        k_errors_to_digits=int(group.spread_to_digits.sum()),
    )


def check_rederivation(table: AuditTable) -> list[Finding]:
    """Find rows whose printed effect, standard error, sign or limits do not come out of their raw numbers.

    Parameters
    ----------
    table : AuditTable
        The table.

    Returns
    -------
    list of Finding
        Each with the readings under which the printed number would come out; only readings that were tested and fit.

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer.auditing.table import make_audit_table
    >>> rows = pd.DataFrame({"es": [7.25], "es_ci_low": [-10.85], "es_ci_high": [-3.65]})
    >>> [finding.check for finding in check_rederivation(make_audit_table(rows))]
    ['limits_sign']
    """
    done = _evaluate(table)
    derived = np.full(table.k, np.nan)
    findings: list[Finding] = []
    with np.errstate(all="ignore"):
        groups = [group for group in done.groups if group.kind != "sizes"]
        findings += check_signs(table, done.printed, groups, done.convention, done.sign)
        for group in done.groups:
            findings += (
                find_in_sizes(table, group)
                if group.kind == "sizes"
                else find_in_group(table, group, done.expected(group))
            )
            if group.kind != "sizes":
                came_out = group.near | group.to_digits
                derived[group.rows[came_out]] = np.sqrt(group.variances[came_out])
        findings += check_limits(table, derived)
    return findings
