"""The search for `identify`: all analyses held against the print, and what excludes those that miss."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metapeer.auditing.identify_agreement import Fit, as_printed, distance, hold_against
from metapeer.auditing.identify_effects import Setting
from metapeer.auditing.identify_numbers import (
    AXES,
    SLOW,
    Axes,
    Numbers,
    pool_all_ways,
    resolve,
    resolve_prediction,
)
from metapeer.auditing.identify_results import Exclusion, Fitting, Mismatch, NearMiss
from metapeer.auditing.identify_space import DIMENSIONS, MANTEL_HAENSZEL, TABLE_CHOICES, Analysis
from metapeer.auditing.rounding import Printed

__all__ = ["Progress", "Search", "exclusions", "fitting_groups", "make_axes", "nearest_miss"]

Progress = Callable[[int, int], None]
_SIGNED = {"estimate", "ci_low", "ci_high", "pi_low", "pi_high"}
_TOLD_BY = {
    "ci_method": {"se", "ci_low", "ci_high", "z", "p", "pi_low", "pi_high"},
    "prediction_method": {"pi_low", "pi_high"},
    "I2": {"I2"},
    "I2_ci": {"I2_ci_low", "I2_ci_high"},
    "direction": _SIGNED,
    "scale": _SIGNED,
    "k_of": {"k"},
}
"""Printed numbers that depend on a choice."""


def make_axes(
    settings: Sequence[Setting], printed: Mapping[str, dict[str, Printed]], space: Mapping[str, tuple[str, ...]]
) -> Axes:
    """List what has to be searched for these numbers and tables."""
    needed = {quantity for numbers in printed.values() for quantity in numbers}
    interval = bool(needed & {"se", "ci_low", "ci_high", "z", "p", "pi_low", "pi_high"})
    counted = any(table.cells is not None for s in settings for table in s.tables)
    zeros = counted and any(
        (table.cells[[0, 2]] == 0).any() or (table.cells[[0, 2]] == table.cells[[1, 3]]).any()
        for s in settings
        for table in s.tables
        if table.cells is not None
    )
    estimators = tuple(
        code
        for code in space["tau2_method"]
        if code not in MANTEL_HAENSZEL or (counted and (zeros or "added" not in code))
    )
    same_k = all(table.yi.size == table.trials for s in settings for table in s.tables)
    signed = bool(needed & {"estimate", "ci_low", "ci_high", "pi_low", "pi_high"})
    logs = any(len(s.scales) > 1 for s in settings)
    return Axes(
        tau2_method=estimators,
        ci_method=space["ci_method"] if interval else _first(space["ci_method"]),
        prediction_method=space["prediction_method"] if needed & {"pi_low", "pi_high"} else ("V",),
        I2=space["I2"] if "I2" in needed else space["I2"][:1],
        I2_ci=space["I2_ci"] if needed & {"I2_ci_low", "I2_ci_high"} else space["I2_ci"][:1],
        direction=space["direction"] if signed else space["direction"][:1],
        scale=space["scale"] if signed and logs else space["scale"][:1],
        k_of=space["k_of"] if "k" in needed and not same_k else space["k_of"][:1],
    )


def _first(values: tuple[str, ...]) -> tuple[str, ...]:
    return ("z",) if "z" in values else values[:1]


@dataclass(slots=True, eq=False)
class Pooled:
    """A setting with the numbers of all its analyses and how they agree with the print."""

    setting: Setting
    numbers: list[Numbers]
    fit: Fit


class Search:
    """All settings pooled by every estimator and interval, and held against every outcome's print at once."""

    def __init__(
        self,
        settings: Sequence[Setting],
        printed: Mapping[str, dict[str, Printed]],
        axes: Axes,
        *,
        level: float,
        progress: Progress | None,
    ) -> None:
        self.printed, self.axes, self.level = printed, axes, level
        self.needed = frozenset(quantity for numbers in printed.values() for quantity in numbers)
        near = [s for s in settings if self._k_fits(s)]
        self.by_k = [s for s in settings if s not in near] if near else []
        self.pooled: list[Pooled] = []
        chosen = near or list(settings)
        for done, setting in enumerate(chosen, start=1):
            self.pooled.append(self._pool(setting))
            if progress is not None:
                progress(done, len(chosen))
        self._resolve_nearest()
        self.searched = sum(int(np.isfinite(p.fit.missed).sum()) * len(p.setting.all_choices) for p in self.pooled)
        each = max(int(np.isfinite(p.fit.missed).sum()) for p in self.pooled)
        self.excluded_by_k = each * sum(len(setting.all_choices) for setting in self.by_k)

    @property
    def untold(self) -> tuple[str, ...]:
        """Choices that were not searched since nothing printed depends on them."""
        return tuple(name for name, quantities in _TOLD_BY.items() if not quantities & self.needed)

    def _k_fits(self, setting: Setting) -> bool:
        """Whether the number of rows or of trials is the printed one in every outcome."""
        return any(
            all(
                "k" not in numbers or numbers["k"].agrees(table.yi.size if of == "effects" else table.trials)
                for table, numbers in zip(setting.tables, self.printed.values(), strict=True)
            )
            for of in self.axes.k_of
        )

    def _pool(self, setting: Setting) -> Pooled:
        numbers = [
            pool_all_ways(table, self.axes, choices=setting.choices, level=self.level, needed=self.needed)
            for table in setting.tables
        ]
        pooled = Pooled(setting, numbers, self._fit(setting, numbers))
        for t, c in np.argwhere(numbers[0].pending).tolist():
            if not pooled.fit.missed[t, c].min():
                self._make(pooled, t, c)
        for place in np.flatnonzero(numbers[0].pending_pi).tolist():
            if not pooled.fit.missed[:, :, place].min():
                self._make_prediction(pooled, place)
        return pooled

    def _fit(self, setting: Setting, numbers: Sequence[Numbers]) -> Fit:
        fits = [
            hold_against(found, printed, self.axes, setting.scales)
            for found, printed in zip(numbers, self.printed.values(), strict=True)
        ]
        return sum(fits[1:], fits[0])

    def _make(self, pooled: Pooled, t: int, c: int) -> None:
        """Make a slow interval, outcome by outcome, as long as all agree."""
        for found, table in zip(pooled.numbers, pooled.setting.tables, strict=True):
            if found.pending[t, c]:
                resolve(found, t, c, table, self.axes, self.level, self.needed)
                pooled.fit = self._fit(pooled.setting, pooled.numbers)
                if pooled.fit.missed[t, c].min():
                    return

    def _make_prediction(self, pooled: Pooled, place: int) -> None:
        """Make a slow prediction interval, outcome by outcome, as long as all agree."""
        for found, table in zip(pooled.numbers, pooled.setting.tables, strict=True):
            if found.pending_pi[place]:
                resolve_prediction(found, place, table, self.axes, self.level)
                pooled.fit = self._fit(pooled.setting, pooled.numbers)
                if pooled.fit.missed[:, :, place].min():
                    return

    def _resolve_nearest(self) -> None:
        """Make each slow interval at least where it comes nearest, so that it is known what speaks against it."""
        for c, method in enumerate(self.axes.ci_method):
            if method not in SLOW:
                continue
            waiting = [
                (float(p.fit.score[t, c].min()), i, t)
                for i, p in enumerate(self.pooled)
                for t in np.flatnonzero(p.numbers[0].pending[:, c]).tolist()
            ]
            made = any((p.numbers[0].possible[:, c] & ~p.numbers[0].pending[:, c]).any() for p in self.pooled)
            if waiting and not made:
                _, i, t = min(waiting)
                self._make(self.pooled[i], t, c)
        for place in np.flatnonzero(self.pooled[0].numbers[0].pending_pi).tolist():
            if all(p.numbers[0].pending_pi[place] for p in self.pooled):
                self._make_prediction(min(self.pooled, key=lambda p: float(p.fit.score[:, :, place].min())), place)

    def score(self, pooled: Pooled) -> Any:
        """Scores of a setting's analyses; one whose interval was not made for any outcome has none."""
        waiting = np.all([found.pending for found in pooled.numbers], axis=0)
        predictions = np.all([found.pending_pi for found in pooled.numbers], axis=0)
        unmade = waiting[:, :, None] | (predictions & bool(self.needed & {"pi_low", "pi_high"}))
        return np.where(unmade.reshape(*unmade.shape, 1, 1, 1, 1, 1), math.inf, pooled.fit.score)

    def fitting(self) -> Iterator[tuple[Pooled, tuple[int, ...]]]:
        """Every analysis that gives every printed digit."""
        for pooled in self.pooled:
            for index in np.argwhere(self.score(pooled) < 1.0).tolist():
                yield pooled, tuple(index)

    def analysis(self, setting: Setting, index: Sequence[int], untold: Sequence[str]) -> Analysis:
        """Name an analysis; choices that nothing printed depends on are left empty."""
        return self.analyses(setting, index, untold)[0]

    def analyses(self, setting: Setting, index: Sequence[int], untold: Sequence[str]) -> list[Analysis]:
        """Name an analysis, and those that come to the same effects by other choices."""
        chosen = {
            name: values[place]
            for name, values, place in zip(AXES, self.axes.values, index, strict=True)
            if name not in untold
        }
        return [Analysis(**choices, **chosen) for choices in setting.all_choices]

    def numbers(self, pooled: Pooled, index: Sequence[int]) -> dict[tuple[str, str], float]:
        """The numbers of one analysis, as they would be printed without rounding."""
        found = {}
        for (outcome, printed), numbers in zip(self.printed.items(), pooled.numbers, strict=True):
            for quantity, text in printed.items():
                values = as_printed(numbers, quantity, self.axes, text)
                place = tuple(i if size > 1 else 0 for i, size in zip(index, values.shape, strict=True))
                found[outcome, quantity] = float(values[place])
        return found

    def mismatches(self, pooled: Pooled, index: Sequence[int]) -> tuple[Mismatch, ...]:
        """What one analysis gets wrong, the worst first; a slow interval that was not made says nothing."""
        found = []
        computed = self.numbers(pooled, index)
        pending = {o: n.pending[index[0], index[1]] for o, n in zip(self.printed, pooled.numbers, strict=True)}
        for outcome, printed in self.printed.items():
            for quantity, text in printed.items():
                value = computed[outcome, quantity]
                off = float(distance(np.array(value), text))
                if off > 1.0 and not (math.isnan(value) and pending[outcome]):
                    found.append((off, Mismatch(outcome=outcome, quantity=quantity, printed=text.text, computed=value)))
        return tuple(one for _, one in sorted(found, key=lambda pair: -pair[0]))


def fitting_groups(search: Search, untold: Sequence[str]) -> tuple[Fitting, ...]:
    """All analyses that fit, those that give the same numbers together."""
    groups: dict[tuple[str, ...], tuple[dict[tuple[str, str], float], list[Analysis]]] = {}
    for pooled, index in search.fitting():
        numbers = search.numbers(pooled, index)
        key = tuple(f"{value:.9g}" for value in numbers.values())
        groups.setdefault(key, (numbers, []))[1].extend(search.analyses(pooled.setting, index, untold))
    return tuple(Fitting(analyses=tuple(analyses), numbers=numbers) for numbers, analyses in groups.values())


def exclusions(search: Search, fits: Sequence[Fitting], untold: Sequence[str]) -> tuple[Exclusion, ...]:
    """For each value that no fitting analysis has, the nearest analysis that has it."""
    fitting = [analysis for fit in fits for analysis in fit.analyses]
    nearest: dict[tuple[str, str], tuple[float, Pooled, tuple[int, ...], Mapping[str, str]]] = {}

    def offer(key: tuple[str, str], score: float, pooled: Pooled, place: Sequence[Any], to: Mapping[str, str]) -> None:
        if math.isfinite(score) and (key not in nearest or score < nearest[key][0]):
            nearest[key] = (score, pooled, tuple(int(i) for i in place), to)

    for pooled in search.pooled:
        score = search.score(pooled)
        best = np.unravel_index(int(np.argmin(score)), score.shape)
        for choices in pooled.setting.all_choices:
            for name in TABLE_CHOICES:
                offer((name, choices[name]), float(score[best]), pooled, best, choices)
        for axis, (name, values) in enumerate(zip(AXES, search.axes.values, strict=True)):
            for i, value in enumerate(values):
                part = np.take(score, [i], axis=axis)
                place = np.unravel_index(int(np.argmin(part)), part.shape)
                where = (*place[:axis], i, *place[axis + 1 :])
                offer((name, value), float(part[place]), pooled, where, pooled.setting.choices)
    found = []
    for name in DIMENSIONS:
        known = {str(getattr(analysis, name)) for analysis in fitting}
        for (choice, value), (_, pooled, where, choices) in nearest.items():
            if choice == name and value and value not in known and name not in untold:
                names = zip(search.analyses(pooled.setting, where, untold), pooled.setting.all_choices, strict=True)
                found.append(
                    Exclusion(
                        choice=name,
                        value=value,
                        mismatches=search.mismatches(pooled, where),
                        nearest=next(analysis for analysis, same in names if same is choices),
                    )
                )
        if name in TABLE_CHOICES:
            found += _excluded_by_k(search, name, known | {value for choice, value in nearest if choice == name})
    return tuple(found)


def _excluded_by_k(search: Search, name: str, known: set[str]) -> list[Exclusion]:
    """Values that occur only where another number of rows is pooled."""
    found: dict[str, Exclusion] = {}
    for setting in search.by_k:
        for choices in setting.all_choices:
            value = choices[name]
            if value and value not in known and value not in found:
                missed = tuple(
                    Mismatch(outcome=outcome, quantity="k", printed=printed["k"].text, computed=float(table.yi.size))
                    for (outcome, printed), table in zip(search.printed.items(), setting.tables, strict=True)
                    if "k" in printed and not printed["k"].agrees(table.yi.size)
                )
                found[value] = Exclusion(choice=name, value=value, mismatches=missed, nearest=Analysis(**choices))
    return list(found.values())


def nearest_miss(search: Search, untold: Sequence[str]) -> NearMiss | None:
    """The analysis that misses the fewest printed numbers, and of those by the least."""
    scores = [search.score(pooled) for pooled in search.pooled]
    least = [float(score.min()) for score in scores]
    if not least or math.isinf(min(least)):
        return None
    number = int(np.argmin(least))
    place = tuple(int(i) for i in np.unravel_index(int(np.argmin(scores[number])), scores[number].shape))
    pooled = search.pooled[number]
    missed = search.mismatches(pooled, place)
    printed = sum(len(numbers) for numbers in search.printed.values())
    return NearMiss(
        analysis=search.analysis(pooled.setting, place, untold),
        agreeing=printed - len(missed),
        printed=printed,
        mismatches=missed,
    )
