"""Known formulas for an effect, from the raw numbers of two arms."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metapeer.effects.binary import (
    Cells,
    arcsine_difference,
    fill_zero_cells,
    log_odds_ratio,
    log_risk_ratio,
    peto_log_odds_ratio,
    risk_difference,
)
from metapeer.effects.continuous import Correction, cohen_d, log_ratio_of_means, small_sample_correction
from metapeer.effects.measures import EVENTS, ZeroCells

__all__ = [
    "CORRECTIONS",
    "DIVISORS",
    "EFFECT_FORMULAS",
    "RULES",
    "EffectFormula",
    "Kind",
    "arms_of",
    "cells_of",
    "correction_of",
    "sizes_of",
]

FloatArray = NDArray[np.float64]
Raw = Mapping[str, FloatArray]
Compute = Callable[[Raw], FloatArray]
Kind = Literal["means", "events", "sizes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectFormula:
    """One way to compute an effect from the raw numbers of two arms.

    Parameters
    ----------
    code : str
        Short and stable.
    kind : {"means", "events"}
        The raw numbers it takes.
    family : str
        What it estimates; standard errors are sought among the formulas of the same family.
    label : str
        What it is, in words.
    compute : callable
        The effect, arm 1 minus (or over) arm 2, from the raw numbers by name.
    correction : {"exact", "approximate"} or None
        The small-sample correction J that is in it.
    ratio : bool
        Whether it is printed as a ratio; `compute` returns its logarithm.
    """

    code: str
    kind: Kind
    family: str
    label: str
    compute: Compute
    correction: Correction | None = None
    ratio: bool = False


CORRECTIONS: dict[Correction | None, tuple[str, str]] = {
    "exact": ("_EXACT", "exact J"),
    "approximate": ("_APPROX", "approximate J"),
    None: ("", "no J"),
}
"""Kinds of the small-sample correction: the end of a code, and words."""

DIVISORS = {
    "LOGISTIC": (float(np.pi / np.sqrt(3)), "log odds ratio times sqrt(3)/pi"),
    "COX": (1.65, "log odds ratio over 1.65 (Cox)"),
}
"""What turns a log odds ratio into a standardised mean difference: the standard deviation of the logistic distribution
(Hasselblad & Hedges 1995, Psychological Bulletin 117:167-178), and Cox's 1.65 (Sanchez-Meca et al. 2003, Psychological
Methods 8:448-467)."""

RULES: dict[ZeroCells, tuple[str, str]] = {"only0": ("", ""), "all": ("_HALF", ", 0.5 added to every cell")}
"""Where 0.5 is added to cells: the end of a code, and words."""

_FEWEST_DF = 1.5  # J is defined above 1 degree of freedom; two arms of 2 have 2


def arms_of(raw: Raw) -> dict[str, FloatArray]:
    """Return the numbers of both arms for the functions of `metapeer.effects.continuous`."""
    return {name: raw[name] for name in ("n1", "mean1", "sd1", "n2", "mean2", "sd2")}


def cells_of(raw: Raw, rule: ZeroCells) -> Cells:
    """Return the four cells of each table, with 0.5 added where the rule says so."""
    events1, total1, events2, total2 = (raw[name] for name in EVENTS)
    return fill_zero_cells(events1, total1, events2, total2, zero_cells=rule)


def sizes_of(raw: Raw) -> tuple[FloatArray, FloatArray]:
    """Return the sizes of both arms."""
    return (raw["n1"], raw["n2"]) if "n1" in raw else (raw["total1"], raw["total2"])


def correction_of(raw: Raw, kind: Correction | None) -> FloatArray:
    """Return J for both arms together; 1 where there is none.

    Parameters
    ----------
    raw : mapping of str to array
        The raw numbers by name.
    kind : {"exact", "approximate"} or None
        The kind of J.

    Returns
    -------
    array
        J.

    Examples
    --------
    >>> import numpy as np
    >>> correction_of({"n1": np.array([11.0]), "n2": np.array([14.0])}, "approximate").round(4)
    array([0.967])
    """
    n1, n2 = sizes_of(raw)
    return _correction(n1 + n2 - 2, kind)


def _correction(df: FloatArray, kind: Correction | None) -> FloatArray:
    return np.ones_like(df) if kind is None else small_sample_correction(np.maximum(df, _FEWEST_DF), kind=kind)


def _d(raw: Raw) -> FloatArray:
    return cohen_d(**arms_of(raw))


def _difference(raw: Raw) -> FloatArray:
    return np.asarray(raw["mean1"] - raw["mean2"])


def _hedges(kind: Correction) -> Compute:
    return lambda raw: np.asarray(correction_of(raw, kind) * _d(raw))


def _within(kind: Correction) -> Compute:
    """The effect where both arms are the same participants: as many in both, and J at one less."""

    def compute(raw: Raw) -> FloatArray:
        return np.where(raw["n1"] == raw["n2"], _correction(raw["n1"] - 1, kind) * _d(raw), np.nan)

    return compute


def _glass(arm: str, kind: Correction | None) -> Compute:
    return lambda raw: np.asarray(_correction(raw[f"n{arm}"] - 1, kind) * _difference(raw) / raw[f"sd{arm}"])


def _standardised(by: Compute, kind: Correction | None) -> Compute:
    return lambda raw: np.asarray(correction_of(raw, kind) * _difference(raw) / by(raw))


def _root_mean_variance(raw: Raw) -> FloatArray:
    return np.sqrt((raw["sd1"] ** 2 + raw["sd2"] ** 2) / 2)


def _sd_by_n(raw: Raw) -> FloatArray:
    return np.sqrt((raw["n1"] * raw["sd1"] ** 2 + raw["n2"] * raw["sd2"] ** 2) / (raw["n1"] + raw["n2"]))


def _mean_sd(raw: Raw) -> FloatArray:
    return np.asarray((raw["sd1"] + raw["sd2"]) / 2)


_STANDARDISERS: tuple[tuple[str, str, str, Compute], ...] = (
    ("SMD_MEANVAR", "SMDH", "root of the mean variance", _root_mean_variance),
    ("SMD_N", "SMD", "SD pooled by n, not n - 1,", _sd_by_n),
    ("SMD_MEANSD", "SMD", "mean of the two SDs", _mean_sd),
)


def _log_ratio(raw: Raw) -> FloatArray:
    n1, mean1, sd1, n2, mean2, sd2 = arms_of(raw).values()
    return log_ratio_of_means(n1=n1, mean1=mean1, sd1=sd1, n2=n2, mean2=mean2, sd2=sd2)[0]


def _log_ratio_corrected(raw: Raw) -> FloatArray:
    """The log ratio with the correction of Lajeunesse (2015), Ecology 96:2056-2063."""
    bias1, bias2 = (raw[f"sd{arm}"] ** 2 / (raw[f"n{arm}"] * raw[f"mean{arm}"] ** 2) for arm in "12")
    return np.asarray(_log_ratio(raw) + (bias1 - bias2) / 2)


def _of_means() -> Iterator[EffectFormula]:
    kinds: tuple[Correction, Correction] = ("exact", "approximate")
    for kind in kinds:
        code, words = CORRECTIONS[kind]
        yield EffectFormula(
            code=f"G{code}",
            kind="means",
            family="SMD",
            label=f"Hedges g, {words}",
            compute=_hedges(kind),
            correction=kind,
        )
    yield EffectFormula(
        code="D", kind="means", family="SMD", label="Cohen's d, without correction for bias", compute=_d
    )
    yield EffectFormula(code="MD", kind="means", family="MD", label="mean difference", compute=_difference)
    for arm in "21":
        for j, (code, words) in CORRECTIONS.items():
            label = f"Glass's delta by the SD of arm {arm}, {words}"
            yield EffectFormula(
                code=f"GLASS{arm}{code}",
                kind="means",
                family=f"SMD{arm}",
                label=label,
                compute=_glass(arm, j),
                correction=j,
            )
    for name, family, by, standardiser in _STANDARDISERS:
        for j, (code, words) in CORRECTIONS.items():
            label = f"standardised mean difference, {by} as standardiser, {words}"
            compute = _standardised(standardiser, j)
            yield EffectFormula(
                code=f"{name}{code}", kind="means", family=family, label=label, compute=compute, correction=j
            )
    for kind in kinds:
        code, words = CORRECTIONS[kind]
        label = f"Hedges g, {words} of n - 1, as for one group measured twice"
        yield EffectFormula(
            code=f"G_WITHIN{code}", kind="means", family="SMDW", label=label, compute=_within(kind), correction=kind
        )
    yield EffectFormula(code="ROM", kind="means", family="ROM", label="log ratio of means", compute=_log_ratio)
    label = "log ratio of means, corrected for bias"
    yield EffectFormula(code="ROM_CORRECTED", kind="means", family="ROM", label=label, compute=_log_ratio_corrected)
    yield EffectFormula(
        code="ROM_RATIO", kind="means", family="ROM", label="ratio of means", compute=_log_ratio, ratio=True
    )
    label = "log odds ratio, d times pi/sqrt(3)"
    yield EffectFormula(
        code="D2OR", kind="means", family="D2OR", label=label, compute=lambda raw: DIVISORS["LOGISTIC"][0] * _d(raw)
    )


def _of_cells(measure: Callable[..., tuple[FloatArray, FloatArray]], rule: ZeroCells, factor: float = 1.0) -> Compute:
    return lambda raw: np.asarray(factor * measure(*cells_of(raw, rule))[0])


def _converted(divisor: float, rule: ZeroCells, kind: Correction | None) -> Compute:
    return lambda raw: np.asarray(correction_of(raw, kind) * log_odds_ratio(*cells_of(raw, rule))[0] / divisor)


def _of_events() -> Iterator[EffectFormula]:
    for rule, (end, tail) in RULES.items():
        for code, words, measure in (("OR", "odds ratio", log_odds_ratio), ("RR", "risk ratio", log_risk_ratio)):
            logs = _of_cells(measure, rule)
            label = f"{words}{tail}"
            yield EffectFormula(code=f"{code}{end}", kind="events", family=code, label=f"log {label}", compute=logs)
            yield EffectFormula(
                code=f"{code}_RATIO{end}", kind="events", family=code, label=label, compute=logs, ratio=True
            )
        for name, (divisor, how) in DIVISORS.items():
            for kind, (corrected, words) in CORRECTIONS.items():
                yield EffectFormula(
                    code=f"OR2SMD_{name}{corrected}{end}",
                    kind="events",
                    family=f"OR2SMD_{name}",
                    label=f"{how}, {words}{tail}",
                    compute=_converted(divisor, rule, kind),
                    correction=kind,
                )
    difference = _of_cells(risk_difference, "none")
    yield EffectFormula(code="RD", kind="events", family="RD", label="risk difference", compute=difference)
    label = "risk difference in percentage points"
    percent = _of_cells(risk_difference, "none", 100.0)
    yield EffectFormula(code="RD_PERCENT", kind="events", family="RD_PERCENT", label=label, compute=percent)
    arcsine = _of_cells(arcsine_difference, "none")
    yield EffectFormula(code="AS", kind="events", family="AS", label="arcsine difference", compute=arcsine)
    peto, filled = (_of_cells(peto_log_odds_ratio, rule) for rule in ("none", "only0"))
    label = "Peto's log odds ratio"
    yield EffectFormula(code="PETO", kind="events", family="PETO", label=label, compute=peto)
    label = "Peto's log odds ratio, 0.5 added to tables with a zero"
    yield EffectFormula(code="PETO_HALF", kind="events", family="PETO", label=label, compute=filled)
    label = "Peto's odds ratio"
    yield EffectFormula(code="PETO_RATIO", kind="events", family="PETO", label=label, compute=peto, ratio=True)


EFFECT_FORMULAS: dict[str, EffectFormula] = {row.code: row for row in (*_of_means(), *_of_events())}
"""Known formulas for an effect, the commonest first."""
