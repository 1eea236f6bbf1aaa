"""A printed test statistic, p value and number of participants against the interval."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from metapeer.auditing.findings import Finding, Severity
from metapeer.auditing.published_numbers import Comparison, PrintedResult, Reading
from metapeer.auditing.published_ranges import Range, meet, miss, p_range, statistic_range
from metapeer.auditing.published_words import INTERVAL, ONE_UNIT, Examined, finding, shown, words
from metapeer.pooling.intervals import normal_quantile, t_quantile

__all__ = ["check_participants", "check_test"]

OTHER_LEVELS = {0.90: "a 90% interval", 0.99: "a 99% interval", 0.6826894921: "estimate ± one standard error"}
MOST_DF = 60
"""Student's t beyond 60 degrees of freedom can hardly be told from the normal distribution by two digits."""
FEWEST = {"SMD": 2.0, "SMDH": 2.0, "HR": 2.0, "OR": 4.0, "PETO": 4.0}
"""A standard error cannot fall below this over the square root of all participants: 1/n1 + 1/n2 is at least 4/n (SMD;
events instead of participants for HR), and the sum of the reciprocals of four cells at least 16/n (OR)."""
TOO_PRECISE = 0.5
"""Share of that bound below which n is doubted. Adjusting for baseline shrinks a standard error by sqrt(1 - r²) (Borm
et al. 2007, J Clin Epidemiol 60:1234), which is 0.5 only at r = 0.87, higher than scores of one person correlate."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """One reading of the interval, and which numbers it does not fit."""

    reading: Reading
    z: Range | None
    p: Range | None
    p_of_z: Range | None
    misfits: frozenset[str]


def _try(
    row: PrintedResult, statistic: Range | None, reading: Reading, *, level_quantile: float | None = None
) -> _Trial:
    """Compare z and p with the interval and with one another under one reading."""
    quantile = reading.quantile if level_quantile is None else level_quantile
    allowed = None if statistic is None else (quantile * statistic[0], quantile * statistic[1])
    z_box = _absolute(row.range("z")) if row.has("z") else None
    p_of_z = None if z_box is None else p_range(z_box, reading.df)
    p_allowed = None if allowed is None else p_range(allowed, reading.df)
    misfits = set()
    if z_box is not None and allowed is not None and not meet(z_box, allowed):
        misfits.add("z")
    if row.has("p"):
        box = row.range("p")
        if p_allowed is not None and not meet(box, p_allowed):
            misfits.add("p")
        if p_of_z is not None and not meet(box, p_of_z):
            misfits.add("zp")
    return _Trial(reading, allowed, p_allowed, p_of_z, frozenset(misfits))


def _absolute(box: Range) -> Range:
    if box[0] <= 0.0 <= box[1]:
        return 0.0, max(-box[0], box[1])
    return min(abs(box[0]), abs(box[1])), max(abs(box[0]), abs(box[1]))


def check_test(row: PrintedResult, level: float) -> Examined:
    """Hold test statistic and p value against the interval and one another.

    Parameters
    ----------
    row : PrintedResult
        The row.
    level : float
        Confidence level of the interval.

    Returns
    -------
    Examined
        The comparisons under the reading of the interval that fits best, and at most two findings.
    """
    corners = row.region(row.scale)
    statistic = statistic_range(corners) if corners else None
    if not (row.has("z") or row.has("p")) or (statistic is None and not row.has("z", "p")):
        return Examined()
    trials = [_try(row, statistic, reading) for reading in row.readings(level)]
    best = min(trials, key=lambda trial: len(trial.misfits))
    comparisons = tuple(_comparisons(row, best))
    findings = list(_wrong_sign(row, corners))
    fitting = tuple(trial.reading.name for trial in trials if not trial.misfits)
    if best.misfits:
        findings += _explain_test(row, best, statistic, level)
    told = bool(corners) and not best.misfits and len(fitting) == 1 and fitting[0] == "normal"
    return Examined(
        comparisons=comparisons,
        findings=tuple(findings),
        readings=fitting if corners else (),
        normal=told and len(trials) > 1,
    )


def _comparisons(row: PrintedResult, trial: _Trial) -> Iterator[Comparison]:
    numbers = (("z", trial.z, INTERVAL, "z"), ("p", trial.p, INTERVAL, "p"), ("p", trial.p_of_z, ("z",), "zp"))
    for number, allowed, others, code in numbers:
        if allowed is not None and row.has(number):
            yield Comparison(
                row=row.position,
                number=number,
                printed=row.numbers[number].text,
                low=allowed[0],
                high=allowed[1],
                others=others,
                fits=code not in trial.misfits,
                reading=trial.reading.name,
            )


def _wrong_sign(row: PrintedResult, corners: Sequence[tuple[float, float]] | None) -> Iterator[Finding]:
    if not (row.has("z") and corners):
        return
    # Reviews leave the sign of z out, so that only a minus beside a positive effect says anything.
    if row.range("z")[1] < 0 < min(x for x, _ in corners):
        message = "z is negative and the effect is not: one of the two signs looks wrong"
        yield finding(row, "z_sign", "suspicion", ("z", "es"), message)


def _accuse(bad: frozenset[str]) -> tuple[str, tuple[str, ...], str]:
    """Say which number stands against which: a code, the columns, and words."""
    if {"z", "p"} <= bad and "zp" not in bad:
        message = "z and p fit one another but not the interval; the interval, or the estimate, looks wrong"
        return "interval_against_test", (*INTERVAL, "z", "p"), message
    if {"z", "p"} <= bad:
        return "test_against_interval", (*INTERVAL, "z", "p"), "interval, z and p do not fit one another"
    if "p" in bad:
        message = "p does not fit the interval; one of them looks wrong"
        if "zp" in bad:
            message = "p fits neither the interval nor z, which fit one another; p looks mistyped"
        return "p_against_interval", (*INTERVAL, "z", "p") if "zp" in bad else (*INTERVAL, "p"), message
    if "z" in bad:
        message = "z does not fit the interval; one of them looks wrong"
        if "zp" in bad:
            message = "z fits neither the interval nor p, which fit one another; z looks mistyped"
        return "z_against_interval", (*INTERVAL, "z", "p") if "zp" in bad else (*INTERVAL, "z"), message
    return "p_against_z", ("z", "p"), "p does not fit z; one of them looks wrong"


def _explain_test(row: PrintedResult, best: _Trial, statistic: Range | None, level: float) -> Iterator[Finding]:
    z, p, bad = row.numbers.get("z"), row.numbers.get("p"), best.misfits
    check, columns, message = _accuse(bad)
    unsigned = None if z is None else replace(z, value=abs(z.value))
    held = (
        ("z", unsigned, best.z, "the interval allows z of"),
        ("p", p, best.p, "the interval allows p of"),
        ("zp", p, best.p_of_z, "z allows p of"),
    )
    parts, misses = [shown(row, *columns)], [0.0]
    for code, printed, allowed, words_before in held:
        if printed is not None and allowed is not None and code in bad:
            parts.append(f"{words_before} {words(allowed)}")
            misses.append(miss(printed, allowed))
    opposite = p is not None and best.p is not None and _opposite(row.range("p"), best.p, 1.0 - level)
    severity: Severity = "error" if opposite or max(misses) > ONE_UNIT else "suspicion"
    if opposite:
        message += ". They disagree on whether the effect is significant"
    likely, harmless = _other_readings(row, statistic, best, level)
    if likely:
        message += f". It would fit {likely}"
    if harmless and not opposite:
        severity = "remark"
    yield finding(row, check, severity, columns, message, evidence="; ".join(parts))


def _opposite(printed: Range, allowed: Range, alpha: float) -> bool:
    return (printed[0] > alpha and allowed[1] < alpha) or (printed[1] < alpha and allowed[0] > alpha)


def _other_readings(row: PrintedResult, statistic: Range | None, best: _Trial, level: float) -> tuple[str, bool]:
    """What else the numbers look like, and whether that would be no slip at all."""
    normal = Reading("normal", normal_quantile(level), None)
    found = []
    if statistic is not None:
        for other, what in OTHER_LEVELS.items():
            quantile = 1.0 if what.endswith("error") else normal_quantile(other)
            if not _try(row, statistic, normal, level_quantile=quantile).misfits:
                found.append(what)
    p, z = row.numbers.get("p"), row.numbers.get("z")
    if p is not None and not p.bound and not found:
        low, high = row.range("p")
        for allowed in (best.p, best.p_of_z):
            if allowed is not None and meet((2 * low, 2 * high), allowed):
                found.append("a one-sided p")
                break
    if z is not None and best.z is not None and z.value > 0 and "z" in best.misfits:
        low, high = row.range("z")
        if low > 0 and meet((math.sqrt(low), math.sqrt(high)), best.z):
            found.append("a chi-squared statistic, the square of z")
    if statistic is not None and not found:
        fitting = [
            df
            for df in range(1, MOST_DF + 1)
            if not _try(row, statistic, Reading("t", t_quantile(level, df), float(df))).misfits
        ]
        if fitting:
            ends = f"{fitting[0]}" if len(fitting) == 1 else f"{fitting[0]} to {fitting[-1]}"
            known = row.whole("k") is not None or row.whole("q_df") is not None
            return f"t with {ends} df (Hartung-Knapp, Kenward-Roger or robust)", not known
    return ", or ".join(found[:2]), False


def check_participants(row: PrintedResult, *, normal: bool, level: float) -> Examined:
    """Hold the participants against the width of the interval.

    Parameters
    ----------
    row : PrintedResult
        The row.
    normal : bool
        Whether the interval is known to rest on the normal distribution; a Hartung-Knapp interval can be narrower than
        any number of participants explains.
    level : float
        Confidence level.

    Returns
    -------
    Examined
        One comparison at most.
    """
    n, k, bound = row.whole("n"), row.whole("k"), FEWEST.get(row.measure)
    corners = row.region(row.scale)
    # One trial has no Hartung-Knapp interval.
    if not (normal or k == 1) or n is None or n < 1 or bound is None or not corners or "change" in row.text("es_type"):
        return Examined()
    widest = max(h for _, h in corners) / normal_quantile(level)
    least = bound / math.sqrt(n)
    fits = widest >= TOO_PRECISE * least
    implied = (bound / widest) ** 2 if widest > 0 else math.inf
    comparison = Comparison(
        row=row.position,
        number="n",
        printed=row.numbers["n"].text,
        low=TOO_PRECISE**2 * implied,
        high=math.inf,
        others=("ci_low", "ci_high"),
        fits=fits,
        reading="normal",
    )
    if fits:
        return Examined(comparisons=(comparison,))
    message = "the interval is much narrower than so few participants can give; n or the interval looks wrong"
    evidence = (
        f"n {n}; with {n} participants the standard error of {row.measure} is at least {least:.3g}, and the interval "
        f"has at most {widest:.3g}, as {implied:,.0f} participants would give"
    )
    found = finding(row, "n_against_interval", "suspicion", ("n", "ci_low", "ci_high"), message, evidence=evidence)
    return Examined(comparisons=(comparison,), findings=(found,))
