"""Which specification is fitted from which effects: the plan of a multiverse, without repeating anything.

The effects of a specification are one part (a pooled effect, or differences within trials) or two (the two classes of a
contrast over all trials). A rule for outliers may take effects out of a part; a fit is a part, after its rule, with a
model and an estimator of tau2.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.multiverse_build import Versions, key_of
from metapeer.sensitivity.multiverse_declare import Declaration
from metapeer.sensitivity.multiverse_rows import Units

__all__ = ["Parts", "Plan", "make_plan"]

IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Effects that are fitted together, one part after the other.

    Parameters
    ----------
    yi, vi : array of shape (m,)
        Effects and variances.
    trial : array of int of shape (m,)
        The trial of each.
    group : array of int of shape (m,)
        The source that each belongs to; two parts of one source have one centre under the null hypothesis.
    starts : array of int of shape (n + 1,)
        Where each part begins.
    """

    yi: FloatArray
    vi: FloatArray
    trial: IntArray
    group: IntArray
    starts: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is to be fitted.

    Parameters
    ----------
    parts : Parts
        Effects.
    paired : array of bool
        For each source, whether it has two parts.
    rules : list of (int, str)
        Parts, each with a rule for outliers.
    cutoff : float
        Of that rule.
    fits : list of (int, str, str)
        Place among `rules`, model and estimator of tau2.
    first, second : array of int of shape (n,)
        For each different specification its fit; the second is -1 where there is one part.
    rho : array of shape (n,)
        Correlation of the two parts; NaN where there is one.
    ci_method : tuple of str
        Interval of each.
    of : array of int
        For each declared specification the different one that it is, or -1.
    reasons : list of str
        For each declared specification why it is impossible; empty otherwise.
    trials : tuple of str
        Names of the trials.
    """

    parts: Parts
    paired: NDArray[np.bool_]
    rules: list[tuple[int, str]]
    cutoff: float
    fits: list[tuple[int, str, str]]
    first: IntArray
    second: IntArray
    rho: FloatArray
    ci_method: tuple[str, ...]
    of: IntArray
    reasons: list[str]
    trials: tuple[str, ...]


@dataclass(slots=True)
class _Pile:
    """Collects parts, each different one once."""

    units: list[tuple[FloatArray, FloatArray, IntArray, int]] = field(default_factory=list)
    sources: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    two: list[bool] = field(default_factory=list)

    def add(self, key: bytes, pieces: list[tuple[FloatArray, FloatArray, IntArray]]) -> tuple[int, ...]:
        """Add a source; return its parts."""
        known = self.sources.get(key)
        if known is None:
            group = len(self.two)
            self.two.append(len(pieces) == 2)
            known = tuple(range(len(self.units), len(self.units) + len(pieces)))
            self.units += [(yi, vi, trial, group) for yi, vi, trial in pieces]
            self.sources[key] = known
        return known

    def parts(self) -> Parts:
        """Lay the parts out one after the other."""
        sizes = [yi.size for yi, _, _, _ in self.units]
        return Parts(
            np.concatenate([yi for yi, _, _, _ in self.units] or [np.zeros(0)]),
            np.concatenate([vi for _, vi, _, _ in self.units] or [np.zeros(0)]),
            np.concatenate([trial for _, _, trial, _ in self.units] or [np.zeros(0, dtype=np.intp)]),
            np.repeat(np.array([group for _, _, _, group in self.units], dtype=np.intp), sizes),
            np.r_[0, np.cumsum(sizes, dtype=np.intp)].astype(np.intp),
        )


Found = tuple[tuple[int, ...], float, str]


def _pooled(pile: _Pile, units: Units) -> Found:
    key = b"pooled" + key_of(units.trial, units.yi, units.vi)
    parts = pile.add(key, [(units.yi, units.vi, units.trial)])
    return parts, math.nan, "" if units.yi.size > 1 else "one effect; two are the least that can be pooled"


def _differences(pile: _Pile, units: Units, rho: float) -> Found:
    """Make differences within the trials that have one effect of each class."""
    unit = units.trial * 2 + units.cell
    if np.unique(unit).size < unit.size:
        return (), rho, "several rows of a trial in one class cannot be paired"
    one, two = units.cell == 0, units.cell == 1
    both, left, right = np.intersect1d(units.trial[one], units.trial[two], return_indices=True)
    if both.size < 2:
        return (), rho, f"trials that report both classes: {both.size}; two are the least that can be pooled"
    v1, v2 = units.vi[one][left], units.vi[two][right]
    yi = units.yi[one][left] - units.yi[two][right]
    # Written so that equal variances and a high correlation do not cancel: (s1 - s2)² + 2 (1 - rho) s1 s2.
    s1, s2 = np.sqrt(v1), np.sqrt(v2)
    vi = (s1 - s2) ** 2 + 2.0 * (1.0 - rho) * s1 * s2
    return pile.add(b"paired" + key_of(both, yi, vi), [(yi, vi, both)]), math.nan, ""


def _classes(pile: _Pile, units: Units, rho: float) -> Found:
    """Take both classes, for generalised least squares over all trials."""
    unit = units.trial * 2 + units.cell
    if np.unique(unit).size < unit.size:
        return (), rho, "several rows of a trial in one class; the model takes one effect of each"
    pieces = []
    for cell in (0, 1):
        mine = units.cell == cell
        if int(mine.sum()) < 2:
            return (), rho, "a class has fewer than two effects"
        pieces.append((units.yi[mine], units.vi[mine], units.trial[mine]))
    key = b"classes" + key_of(units.trial, units.cell, units.yi, units.vi)
    return pile.add(key, pieces), rho, ""


def _pooling_options(declaration: Declaration) -> list[tuple[str, str, str, str]]:
    """List model, estimator, interval and what is wrong with them, for every combination that is declared."""
    names = ("model", "tau2_method", "ci_method")
    places = declaration.of(*names)
    shape = tuple(len(declaration.choices[i].options) for i in places)
    found = []
    for index in np.ndindex(*shape):
        chosen = dict(declaration.fixed)
        for place, option in zip(places, index, strict=True):
            chosen[declaration.names[place]] = declaration.choices[place].options[option]
        model, tau2, ci = (str(chosen[name]) for name in names)
        ci = ci or ("z" if model == "common" else "HK")
        wrong = ""
        if model == "common":
            tau2 = ""
            if ci not in ("z", "t"):
                wrong = f"ci_method {ci} belongs to the random-effects model"
        found.append((model, tau2, ci, wrong))
    return found


def make_plan(declaration: Declaration, versions: Versions) -> Plan:
    """Plan the fits of every declared specification.

    Parameters
    ----------
    declaration : Declaration
        The choices.
    versions : Versions
        The effects that the choices before pooling make.

    Returns
    -------
    Plan
        Every different fit once. Outliers are still in: what a rule takes out is known when it is applied.
    """
    pile = _Pile()
    rho_place = next(iter(declaration.of("rho")), None)
    rhos = declaration.choices[rho_place].options if rho_place is not None else (declaration.fixed["rho"],)
    method_place = next(iter(declaration.of("contrast_method")), None)
    methods = (
        declaration.choices[method_place].options
        if method_place is not None
        else (declaration.fixed["contrast_method"],)
    )
    methods = methods if declaration.contrast else ("pooled",)
    outlier_place = next(iter(declaration.of("outliers")), None)
    outliers = declaration.choices[outlier_place].options if outlier_place is not None else ("none",)
    cutoff = declaration.choices[outlier_place].settings["cutoff"] if outlier_place is not None else 2.0
    pooling = _pooling_options(declaration)

    memo: dict[tuple[int, str, float], Found] = {}
    rules: dict[tuple[int, str], int] = {}
    fits: dict[tuple[int, str, str], int] = {}
    different: dict[tuple[int, int, float, str], int] = {}
    per_version = len(methods) * len(outliers) * len(pooling)
    of = np.full(versions.of.size * per_version, -1, dtype=np.intp)
    reasons = [""] * of.size
    at = 0
    for place, version in enumerate(versions.of.tolist()):
        rho = float(rhos[place % len(rhos)])
        for method in methods:
            found: Found = ((), rho, versions.reasons[place])
            if version >= 0:
                key = (version, method, math.nan if method == "pooled" else rho)
                key = (version, method, 0.0) if method == "pooled" else key
                if key not in memo:
                    units = versions.units[version]
                    memo[key] = (
                        _pooled(pile, units)
                        if method == "pooled"
                        else (_differences if method == "paired" else _classes)(pile, units, rho)
                    )
                found = memo[key]
            parts, correlation, wrong = found
            for outlier in outliers:
                kept = [rules.setdefault((part, outlier), len(rules)) for part in parts] if not wrong else []
                for model, tau2, ci, refused in pooling:
                    if method == "GLS" and ci not in ("z", "t", "HK", "HK_se", "HK_ci"):
                        refused = f"ci_method {ci} is not made for a contrast over all trials"  # noqa: PLW2901
                    if wrong or refused:
                        reasons[at] = wrong or refused
                    else:
                        ends = [fits.setdefault((rule, model, tau2), len(fits)) for rule in kept]
                        one = (ends[0], ends[1] if len(ends) > 1 else -1, 0.0 if len(ends) == 1 else correlation, ci)
                        of[at] = different.setdefault(one, len(different))
                    at += 1
    specs = list(different)
    return Plan(
        parts=pile.parts(),
        paired=np.array(pile.two, dtype=np.bool_),
        rules=list(rules),
        cutoff=float(cutoff),
        fits=list(fits),
        first=np.array([spec[0] for spec in specs], dtype=np.intp),
        second=np.array([spec[1] for spec in specs], dtype=np.intp),
        rho=np.array([spec[2] if spec[1] >= 0 else math.nan for spec in specs]),
        ci_method=tuple(spec[3] for spec in specs),
        of=of,
        reasons=reasons,
        trials=tuple(versions.trials),
    )
