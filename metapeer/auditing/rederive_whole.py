"""Readings of a whole column, and columns that came from elsewhere."""

from dataclasses import replace

import numpy as np

from metapeer.auditing.findings import Finding
from metapeer.auditing.rederive_alterations import SYSTEMATIC
from metapeer.auditing.rederive_rows import Group, predict, regroup
from metapeer.auditing.rederive_words import Derived, instead_of, look_up_in, own_unit
from metapeer.formatting import count

__all__ = ["FEWEST", "HALF", "MOST", "effects_from_elsewhere", "errors_from_elsewhere", "whole_column", "whole_spread"]

HALF = 0.5
"""Share of rows below which a formula is not that of the table: the effects came from somewhere else."""
MOST = 0.8
"""Share of rows from which one that does not come out contradicts the table."""
FEWEST = 3
"""Rows that a statement about a whole column rests on at least."""


def whole_column(group: Group) -> Finding | None:
    """A reading under which nearly every row comes out, where hardly any does as it stands."""
    if group.m < FEWEST or group.share >= HALF:
        return None
    for alteration in SYSTEMATIC[group.kind]:
        changed = {**group.raw, **alteration.change(group.raw)}
        other = regroup(group, changed)
        if other.share < MOST or not other.solid:
            continue
        at = np.flatnonzero(other.to_digits & ~group.to_digits)
        sign = np.where(other.sign() != 0, other.sign(), 1)
        formula = other.formula
        # What the raw numbers give as they stand, by the formula that was found with the others.
        again = replace(group, tied=other.tied, spread_tied=other.spread_tied, mean=other.mean)
        again = replace(again, variances=predict(again, group.raw)[1])
        derived = Derived(
            group=again,
            effect=again.oriented(sign),
            own_spread=own_unit(again),
            tail="",
            ratio=formula is not None and formula.ratio,
        )
        return Finding(
            check=alteration.code,
            severity="error",
            rows=tuple(int(row) for row in group.rows[at]),
            columns=alteration.columns,
            message=f"{at.size} of {count(group.m, 'row')} come out only if {alteration.words}",
            evidence=f"as they stand {int(group.to_digits.sum())} come out, read so {int(other.to_digits.sum())}, as "
            f"{formula.label if formula is not None else ''}",
            look_up=look_up_in(alteration.columns),
            instead={k: v for place in at.tolist() for k, v in instead_of(derived, place, alteration.truth).items()},
        )
    return None


def whole_spread(group: Group) -> Finding | None:
    """A column of standard errors that holds variances, or the reverse."""
    there = group.has_spread
    if there.sum() < FEWEST or group.spread_share >= HALF:
        return None
    other = regroup(group, group.raw, replace(group.printed, squared=~group.printed.squared))
    if other.spread_share < MOST or int(other.spread_to_digits.sum()) < FEWEST:
        return None
    at = np.flatnonzero(other.spread_to_digits)
    squared = bool(group.printed.squared[at[0]])
    held, named = ("standard errors", "variances") if squared else ("variances", "standard errors")
    values = np.where(squared, np.square(group.printed.spread), group.printed.spread)
    formula = group.formula
    return Finding(
        check="variance_is_se" if squared else "se_is_variance",
        severity="error",
        rows=tuple(int(row) for row in group.rows[at]),
        columns=(group.printed.spread_column[int(at[0])],),
        message=f"the column of {named} looks as if it held {held}",
        evidence=f"{at.size} of {int(there.sum())} come out as {held}, {int(group.spread_to_digits.sum())} as {named}",
        look_up="the heading of the column in the source",
        instead={}
        if formula is not None and formula.ratio
        else {
            int(group.rows[i]): (float(group.printed.effect[i]), float(values[i])) for i in at if 0 < values[i] < np.inf
        },
    )


def effects_from_elsewhere(group: Group) -> list[Finding]:
    """Remark that most effects of a group do not come out of its raw numbers."""
    rows = group.rows[~(group.near | group.to_digits)]
    if not rows.size:
        return []
    return [
        Finding(
            check="effects_from_elsewhere",
            severity="remark",
            rows=tuple(int(row) for row in rows),
            columns=(group.printed.effect_column[0],),
            message=f"{'most printed effects do' if group.m > 1 else 'the printed effect does'} not come out of the "
            "raw numbers beside under any known formula; an adjusted analysis, for one, would give other effects",
            evidence=f"{rows.size} of {count(group.m, 'row')}",
            look_up="how the effects were computed",
        )
    ]


def errors_from_elsewhere(group: Group) -> Finding:
    """Remark that most standard errors of a group do not come out of its raw numbers."""
    rows = group.rows[group.has_spread & ~group.spread_near]
    return Finding(
        check="errors_from_elsewhere",
        severity="remark",
        rows=tuple(int(row) for row in rows),
        columns=(group.printed.spread_column[0],),
        message="most printed standard errors do not come out of the numbers beside them under any known formula: they "
        "may allow for clusters, for correlated arms or for covariates",
        evidence=f"{rows.size} of {count(int(group.has_spread.sum()), 'row')}",
        look_up="how the standard errors were computed",
    )
