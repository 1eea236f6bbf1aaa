"""Known formulas for the sampling variance of an effect, from the raw numbers of two arms."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.rederive_effects import (
    CORRECTIONS,
    DIVISORS,
    RULES,
    Kind,
    Raw,
    arms_of,
    cells_of,
    correction_of,
    sizes_of,
)
from metapeer.effects.binary import (
    arcsine_difference,
    log_odds_ratio,
    log_risk_ratio,
    peto_log_odds_ratio,
    risk_difference,
)
from metapeer.effects.continuous import (
    SMD_PRESETS,
    SMD_VARIANCES,
    Correction,
    VarianceFormula,
    cohen_d,
    heteroscedastic_smd,
    log_ratio_of_means,
    mean_difference,
    small_sample_correction,
)
from metapeer.effects.measures import ZeroCells

__all__ = ["SPREAD_FORMULAS", "SpreadFormula"]

FloatArray = NDArray[np.float64]
Compute = Callable[[Raw, FloatArray, float], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadFormula:
    """One way to compute the sampling variance of an effect.

    Parameters
    ----------
    code : str
        Short and stable; those of `metapeer.effects.continuous.SMD_VARIANCES` where they stand there.
    kind : {"means", "events"}
        The raw numbers it takes.
    families : tuple of str
        Families of effects it belongs to.
    label : str
        What it is, in words, and who uses it.
    compute : callable
        The variance from the raw numbers, the effect without small-sample correction, and the mean effect of the table
        weighted by participants.
    correction : {"exact", "approximate"} or None
        The small-sample correction by which an effect is divided before it is handed over.
    uses_effect : bool
        Whether the variance depends on nothing but the effect and the sizes of the arms.
    """

    code: str
    kind: Kind
    families: tuple[str, ...]
    label: str
    compute: Compute
    correction: Correction | None = None
    uses_effect: bool = False


_SMD_FAMILIES = ("SMD", "SMDH", "SMD1", "SMD2")


def _by_formula(variance: VarianceFormula, kind: Correction) -> Compute:
    def compute(raw: Raw, d: FloatArray, _: float) -> FloatArray:
        n1, n2 = sizes_of(raw)
        return variance(n1, n2, d, correction_of(raw, kind))

    return compute


def _by_mean(raw: Raw, _: FloatArray, mean: float) -> FloatArray:
    """The mean effect of the table in the place of the row's own: metafor's AV."""
    n1, n2 = sizes_of(raw)
    return np.asarray(1 / n1 + 1 / n2 + mean * mean / (2 * (n1 + n2)))


def _of_d(loss: float) -> Compute:
    def compute(raw: Raw, d: FloatArray, _: float) -> FloatArray:
        n1, n2 = sizes_of(raw)
        return np.asarray(1 / n1 + 1 / n2 + d**2 / (2 * np.maximum(n1 + n2 - loss, 0.01)))

    return compute


def _ls_df(n1: FloatArray, n2: FloatArray, d: FloatArray, j: FloatArray) -> FloatArray:
    return np.asarray(1 / n1 + 1 / n2 + (j * d) ** 2 / (2 * (n1 + n2 - 2)))


def _of_sizes(raw: Raw, _: FloatArray, __: float) -> FloatArray:
    n1, n2 = sizes_of(raw)
    return np.asarray(1 / n1 + 1 / n2)


def _smd() -> Iterator[SpreadFormula]:
    """Variances of a standardised mean difference, those of the house first."""

    def row(code: str, label: str, compute: Compute, kind: Correction | None = None) -> SpreadFormula:
        return SpreadFormula(
            code=code,
            kind="means",
            families=_SMD_FAMILIES,
            label=label,
            compute=compute,
            correction=kind,
            uses_effect=True,
        )

    for known in SMD_VARIANCES.values():
        users = [preset for preset, name in SMD_PRESETS.items() if name == known.name]
        label = f"{known.formula}, {known.correction} J" + (f" (as {', '.join(users)})" if users else "")
        compute = _by_mean if known.name == "AV" else _by_formula(known.compute, known.correction)
        yield row(known.name, label, compute, known.correction)
    for name in ("LS", "UB"):  # their twins with the other J
        known = SMD_VARIANCES[name]
        label = f"{known.formula}, approximate J"
        yield row(f"{name}_APPROX", label, _by_formula(known.compute, "approximate"), "approximate")
    for code, words, loss in (("D_N", "N", 0.0), ("D_N2", "(N - 2)", 2.0), ("D_N394", "(N - 3.94)", 3.94)):
        yield row(code, f"1/n1 + 1/n2 + d²/(2 {words}), no J", _of_d(loss))
    for kind, (end, words) in CORRECTIONS.items():
        if kind is not None:
            yield row(f"LS_N2{end}", f"1/n1 + 1/n2 + g²/(2 (N - 2)), {words}", _by_formula(_ls_df, kind), kind)
    yield row("SIZES", "1/n1 + 1/n2, whatever the effect", _of_sizes)


def _glass(arm: str, kind: Correction | None) -> Compute:
    def compute(raw: Raw, d: FloatArray, _: float) -> FloatArray:
        n1, n2 = sizes_of(raw)
        own = raw[f"n{arm}"]
        j = np.ones_like(own) if kind is None else small_sample_correction(np.maximum(own - 1, 1.5), kind=kind)
        return np.asarray(1 / n1 + 1 / n2 + (j * d) ** 2 / (2 * own))

    return compute


def _unequal(raw: Raw, _: FloatArray, __: float) -> FloatArray:
    return heteroscedastic_smd(**arms_of(raw))[1]


def _difference(*, pooled: bool) -> Compute:
    def compute(raw: Raw, _: FloatArray, __: float) -> FloatArray:
        n1, mean1, sd1, n2, mean2, sd2 = arms_of(raw).values()
        return mean_difference(n1=n1, mean1=mean1, sd1=sd1, n2=n2, mean2=mean2, sd2=sd2, pooled=pooled)[1]

    return compute


def _log_ratio(*, pooled: bool) -> Compute:
    def compute(raw: Raw, _: FloatArray, __: float) -> FloatArray:
        n1, mean1, sd1, n2, mean2, sd2 = arms_of(raw).values()
        return log_ratio_of_means(n1=n1, mean1=mean1, sd1=sd1, n2=n2, mean2=mean2, sd2=sd2, pooled=pooled)[1]

    return compute


def _log_ratio_second(raw: Raw, d: FloatArray, mean: float) -> FloatArray:
    """The variance to the second order of Lajeunesse (2015), Ecology 96:2056-2063."""
    more = [(raw[f"sd{arm}"] / raw[f"mean{arm}"]) ** 4 / (2 * raw[f"n{arm}"] ** 2) for arm in "12"]
    return np.asarray(_log_ratio(pooled=False)(raw, d, mean) + more[0] + more[1])


def _d_as_log_odds(raw: Raw, _: FloatArray, mean: float) -> FloatArray:
    return np.asarray(DIVISORS["LOGISTIC"][0] ** 2 * _of_d(0.0)(raw, cohen_d(**arms_of(raw)), mean))


def _of_means() -> Iterator[SpreadFormula]:
    yield from _smd()

    def row(code: str, family: str, label: str, compute: Compute) -> SpreadFormula:
        return SpreadFormula(code=code, kind="means", families=(family,), label=label, compute=compute)

    for arm in "21":
        for kind, (end, words) in CORRECTIONS.items():
            label = f"1/n1 + 1/n2 + delta²/(2 n{arm}), {words}"
            yield row(f"GLASS{arm}_LS{end}", f"SMD{arm}", label, _glass(arm, kind))
    yield row("SMDH", "SMDH", "Bonett's variance for unequal SDs", _unequal)
    for pooled, end, words in ((False, "", "each arm's own SD"), (True, "_HO", "the SDs pooled")):
        yield row(f"MD{end}", "MD", f"variance of a mean difference, {words}", _difference(pooled=pooled))
        yield row(f"ROM{end}", "ROM", f"variance of a log ratio of means, {words}", _log_ratio(pooled=pooled))
    yield row("ROM_CORRECTED", "ROM", "variance of a log ratio of means, second order", _log_ratio_second)
    yield row("D2OR", "D2OR", "pi²/3 (1/n1 + 1/n2 + d²/(2 N))", _d_as_log_odds)


def _of_cells(measure: Callable[..., tuple[FloatArray, FloatArray]], rule: ZeroCells, factor: float = 1.0) -> Compute:
    return lambda raw, _, __: np.asarray(factor * measure(*cells_of(raw, rule))[1])


def _converted(divisor: float, rule: ZeroCells, kind: Correction | None) -> Compute:
    def compute(raw: Raw, _: FloatArray, __: float) -> FloatArray:
        return np.asarray((correction_of(raw, kind) / divisor) ** 2 * log_odds_ratio(*cells_of(raw, rule))[1])

    return compute


def _of_events() -> Iterator[SpreadFormula]:
    def row(code: str, family: str, label: str, compute: Compute) -> SpreadFormula:
        return SpreadFormula(code=code, kind="events", families=(family,), label=label, compute=compute)

    for rule, (end, tail) in RULES.items():
        for code, words, measure in (("OR", "odds", log_odds_ratio), ("RR", "risk", log_risk_ratio)):
            yield row(f"{code}{end}", code, f"variance of a log {words} ratio{tail}", _of_cells(measure, rule))
        for name, (divisor, _) in DIVISORS.items():
            for kind, (corrected, words) in CORRECTIONS.items():
                family = f"OR2SMD_{name}"
                label = f"variance of a log odds ratio, converted, {words}{tail}"
                yield row(f"{family}{corrected}{end}", family, label, _converted(divisor, rule, kind))
    for code, factor in (("RD", 1.0), ("RD_PERCENT", 1e4)):
        label = "variance of a risk difference"
        yield row(code, code, label, _of_cells(risk_difference, "none", factor))
        label += ", 0.5 added to tables with a zero"
        yield row(f"{code}_HALF", code, label, _of_cells(risk_difference, "only0", factor))
    yield row("AS", "AS", "variance of an arcsine difference", _of_cells(arcsine_difference, "none"))
    yield row("PETO", "PETO", "inverse of Peto's V", _of_cells(peto_log_odds_ratio, "none"))
    label = "inverse of Peto's V, 0.5 added to tables with a zero"
    yield row("PETO_HALF", "PETO", label, _of_cells(peto_log_odds_ratio, "only0"))


SPREAD_FORMULAS: dict[str, SpreadFormula] = {row.code: row for row in (*_of_means(), *_of_events())}
"""Known formulas for the variance of an effect, the commonest first."""
