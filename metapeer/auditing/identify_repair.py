"""The smallest change: single changes of rows, each with all analyses, when nothing fits a table as it stands."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from metapeer.auditing.findings import Finding
from metapeer.auditing.identify_agreement import hold_against
from metapeer.auditing.identify_changes import changes_of, could_fit, i2_interval_agrees, ranges
from metapeer.auditing.identify_effects import Setting
from metapeer.auditing.identify_numbers import pool_all_ways
from metapeer.auditing.identify_results import SmallChange
from metapeer.auditing.identify_search import Pooled, Progress, Search

__all__ = ["search_changes"]


def search_changes(
    search: Search, findings: Sequence[Sequence[Finding]], untold: Sequence[str], progress: Progress | None
) -> tuple[int, tuple[SmallChange, ...]]:
    """Try single changes of rows, each in one outcome, with all analyses that the other outcomes allow."""
    # What comes to the same effects as the table stands may not do so once a row is changed.
    settings: list[tuple[Setting, Pooled | None]] = [
        (one, p) for p in search.pooled for one in (p.setting, *p.setting.same)
    ]
    settings += [(one, None) for setting in search.by_k for one in (setting, *setting.same)]
    outcomes = list(search.printed)
    found: dict[tuple[str, int, str], list[Any]] = {}
    names: dict[tuple[str, int], str] = {}
    tried: set[tuple[str, int, str]] = set()
    for done, (setting, pooled) in enumerate(settings, start=1):
        for place, outcome in enumerate(outcomes):
            others = [i for i in range(len(outcomes)) if i != place]
            allowed = _allowed(search, setting, pooled, others)
            if allowed is None:
                continue
            changes = list(changes_of(setting.sources[place], setting.choices, findings[place]))
            tables = [setting.table(change.source) for change in changes]
            tried |= {(outcome, change.row, change.words) for change in changes}
            good = could_fit(tables, search.printed[outcome], search.axes, scales=setting.scales, level=search.level)
            for change, table, hopeful in zip(changes, tables, good, strict=True):
                counted = table.cells is not None and table.yi.size > 0
                if not (hopeful or counted):
                    continue
                for index in _fits_after(search, setting, outcome, table, allowed):
                    key = (outcome, change.row, change.words)
                    names[outcome, change.row] = setting.sources[place].names[change.row]
                    found.setdefault(key, []).append(search.analysis(setting, index, untold))
        if progress is not None:
            progress(done, len(settings))
    listed = [
        SmallChange(outcome=o, row=row, name=names[o, row], change=words, analyses=tuple(analyses))
        for (o, row, words), analyses in found.items()
    ]
    return len(tried), tuple(sorted(listed, key=lambda change: -len(change.analyses)))


def _allowed(search: Search, setting: Setting, pooled: Pooled | None, others: Sequence[int]) -> Any:
    """Which analyses give all numbers of the other outcomes; None when there are none."""
    if not others:
        return np.ones(search.axes.shape, dtype=np.bool_)
    texts = list(search.printed.values())
    numbers = [
        pool_all_ways(setting.tables[i], search.axes, choices=setting.choices, level=search.level, needed=search.needed)
        if pooled is None
        else pooled.numbers[i]
        for i in others
    ]
    fits = [hold_against(one, texts[i], search.axes, setting.scales) for i, one in zip(others, numbers, strict=True)]
    allowed = sum(fits[1:], fits[0]).missed == 0
    return allowed if allowed.any() else None


def _fits_after(search: Search, setting: Setting, outcome: str, table: Any, allowed: Any) -> list[tuple[int, ...]]:
    only = np.flatnonzero(allowed.any(axis=tuple(range(1, allowed.ndim)))).tolist()
    printed = search.printed[outcome]
    if not (table.cells is not None or i2_interval_agrees(table, printed, search.axes.I2_ci, search.level)):
        return []
    near = [] if "estimate" not in printed else ranges(printed["estimate"], search.axes, setting.scales)
    numbers = pool_all_ways(
        table, search.axes, choices=setting.choices, level=search.level, needed=search.needed, only=only, near=near
    )
    fit = hold_against(numbers, printed, search.axes, setting.scales)
    waiting = numbers.pending[:, :, None] | (numbers.pending_pi & bool(search.needed & {"pi_low", "pi_high"}))
    made = ~waiting.reshape(*waiting.shape, 1, 1, 1, 1, 1)
    return [tuple(index) for index in np.argwhere((fit.missed == 0) & allowed & made).tolist()]
