"""A printed estimate against its interval, and each number against what it can be."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from metapeer.auditing.findings import Finding, Severity
from metapeer.auditing.published_numbers import Comparison, PrintedResult
from metapeer.auditing.published_ranges import Range, symmetric_region
from metapeer.auditing.published_words import INTERVAL, ON_SCALE, Examined, finding, words
from metapeer.auditing.rounding import Printed, read_printed

__all__ = ["check_impossible", "check_interval"]


def check_impossible(row: PrintedResult) -> Examined:
    """Find numbers that cannot be, each by itself.

    Parameters
    ----------
    row : PrintedResult
        The row.

    Returns
    -------
    Examined
        Findings only.
    """
    return Examined(findings=tuple(_impossible(row)))


def _impossible(row: PrintedResult) -> Iterator[Finding]:
    value = {name: printed.value for name, printed in row.numbers.items()}
    for name in row.unreadable:
        message = "this is not a number, so nothing can be held against it"
        yield finding(row, "unreadable", "remark", (name,), message)
    most = dict.fromkeys(("i2", "i2_ci_low", "i2_ci_high", "weight"), 100.0) | dict.fromkeys(("p", "q_p"), 1.0)
    wrong = [
        name
        for name in (*most, "tau2", "q", "q_df")
        if name in value and not 0.0 <= value[name] <= most.get(name, math.inf)
    ]
    for name in wrong:
        what = "a probability" if name in ("p", "q_p") else "a percentage" if name in most else "a sum of squares"
        if name in ("tau2", "q_df"):
            what = "a variance" if name == "tau2" else "a number of degrees of freedom"
        yield finding(row, "impossible_value", "error", (name,), f"cannot be {what}")
    for name in ("k", "n"):
        if name in value and (value[name] < 0 or (not row.numbers[name].bound and row.whole(name) is None)):
            yield finding(row, "impossible_value", "error", (name,), "cannot be a count")
    k, n = row.whole("k"), row.whole("n")
    if k is not None and n is not None and 0 <= n < 2 * k:
        message = f"{n} participants cannot fill {k} trials with two arms each; k or n looks mistyped"
        yield finding(row, "impossible_value", "error", ("k", "n"), message)
    if k == 0 and row.has("es"):
        yield finding(row, "impossible_value", "error", ("k", "es"), "an estimate stands beside no trials at all")
    for low, high in (("ci_low", "ci_high"), ("pi_low", "pi_high"), ("i2_ci_low", "i2_ci_high")):
        if row.has(low) != row.has(high):
            yield finding(row, "one_limit", "remark", (low, high), "an interval has two ends; one is missing")
    decimals = {row.numbers[name].decimals for name in INTERVAL if name in row.numbers}
    if len(decimals) > 1:
        message = "digits look lost: estimate and limits were hardly printed with different numbers of decimals"
        yield finding(row, "lost_digits", "remark", INTERVAL, message)


def check_interval(row: PrintedResult) -> Examined:
    """Hold the limits against the estimate, on the scale that suits the measure.

    Parameters
    ----------
    row : PrintedResult
        The row.

    Returns
    -------
    Examined
        One comparison, and at most one finding.
    """
    if not row.has("ci_low", "ci_high"):
        return Examined()
    scale = row.scale
    corners = row.region(scale)
    es, low, high = (row.numbers.get(name) for name in INTERVAL)
    problem: tuple[str, Severity, str] | None = None
    if scale == "log" and any(one is not None and one.limits[1] <= 0 for one in (es, low, high)):
        problem = ("ratio_not_positive", "error", "a ratio cannot be below zero")
    elif low is not None and high is not None and low.limits[0] > high.limits[1]:
        problem = ("limits_reversed", "error", "the lower limit lies above the upper one; they look swapped")
    elif es is not None and (
        row.range("es")[1] < row.range("ci_low")[0] or row.range("es")[0] > row.range("ci_high")[1]
    ):
        problem = ("estimate_outside_interval", "error", "the estimate lies outside its own interval")
    elif not corners:
        message = (
            f"the estimate does not lie in the middle of its limits{ON_SCALE[scale]}, by more than rounding allows: "
        )
        message += "one of the three looks mistyped, or the interval is of another kind (profile likelihood, credible, "
        problem = ("asymmetric_interval", "suspicion", f"{message}credible, bootstrap, exact)")
    comparisons: tuple[Comparison, ...] = ()
    if es is not None:
        middle = _middle(row, scale)
        comparisons = (
            Comparison(
                row=row.position,
                number="es",
                printed=es.text,
                low=middle[0],
                high=middle[1],
                others=("ci_low", "ci_high"),
                fits=problem is None,
                reading=f"middle of the limits{ON_SCALE[scale]}",
            ),
        )
    if problem is None:
        return Examined(comparisons=comparisons)
    check, severity, message = problem
    better = _explain_interval(row, scale)
    evidence = f"{row.text('es')} ({row.text('ci_low')} to {row.text('ci_high')})"
    if es is not None and check != "ratio_not_positive":
        evidence += f"; the middle of the limits{ON_SCALE[scale]} is {words(_middle(row, scale))}"
    if better:
        message += f". It looks like {better[0]}" + (f", or {', or '.join(better[1:])}" if better[1:] else "")
    found = finding(row, check, severity, INTERVAL, message, evidence=evidence)
    return Examined(comparisons=comparisons, findings=(found,))


def _middle(row: PrintedResult, scale: str) -> Range:
    """Range of the middle of the limits, as it would be printed."""
    low, high = row.scaled("ci_low", scale), row.scaled("ci_high", scale)
    back: dict[str, Callable[[float], float]] = {
        "identity": float,
        "log": math.exp,
        "atanh": math.tanh,
        "logit": lambda x: 1.0 / (1.0 + math.exp(-x)),
    }
    return back[scale](0.5 * (low[0] + high[0])), back[scale](0.5 * (low[1] + high[1]))


def _explain_interval(row: PrintedResult, scale: str) -> list[str]:
    """What single slip would make estimate and limits fit; at most three readings."""
    if not row.has(*INTERVAL):
        return []
    es, low, high = (row.range(name) for name in INTERVAL)
    found = []
    others = {"identity": "an interval that was computed without logarithms", "log": "a ratio with its interval"}
    for other, what in others.items():
        positive = min(es[1], low[1], high[1]) > 0
        if other != scale and (other == "identity" or positive) and low[0] <= high[1] and row.region(other):
            found.append("logarithms of ratios" if other == "identity" and not positive else what)
    if scale == "log" and es[0] > 0 and low[0] <= high[1] and symmetric_region(row.scaled("es", "log"), low, high):
        found.append("a ratio with the limits of its logarithm")
    positive = min(low[1], high[1]) > 0
    if scale == "log" and positive and symmetric_region(es, row.scaled("ci_low", "log"), row.scaled("ci_high", "log")):
        found.append("the logarithm of a ratio with the limits of the ratio")
    found += [what for what, changed in _slips(row) if _sound(changed, scale)]
    return found[:3]


def _sound(row: PrintedResult, scale: str) -> bool:
    """Whether estimate and limits fit one another, the lower limit below and neither the same as the other."""
    low, high = row.numbers["ci_low"], row.numbers["ci_high"]
    positive = scale != "log" or min(row.numbers[name].value for name in INTERVAL) > 0
    return positive and low.value < high.value and bool(row.region(scale))


def _slips(row: PrintedResult) -> Iterator[tuple[str, PrintedResult]]:
    """Single slips of the pen that may have happened to estimate or limits, each undone."""
    names = {"es": "estimate", "ci_low": "lower limit", "ci_high": "upper limit"}

    def with_numbers(**texts: str) -> PrintedResult | None:
        read = {name: read_printed(text) for name, text in texts.items()}
        good: dict[str, Printed] = {name: one for name, one in read.items() if one is not None}
        if len(good) < len(read):
            return None
        numbers: Mapping[str, Printed] = {**row.numbers, **good}
        return replace(row, numbers=numbers)

    texts = {name: row.numbers[name].text.strip().replace("\N{MINUS SIGN}", "-").lstrip("+") for name in INTERVAL}
    tries: list[tuple[str, dict[str, str]]] = [
        ("limits that changed places", {"ci_low": texts["ci_high"], "ci_high": texts["ci_low"]}),
        (
            "limits that changed places and lost or gained a minus sign",
            {"ci_low": _turned(texts["ci_high"]), "ci_high": _turned(texts["ci_low"])},
        ),
    ]
    for name, what in names.items():
        text = texts[name]
        tries.append((f"the {what} with a minus sign too many or too few", {name: _turned(text)}))
        whole, point, part = text.lstrip("-").partition(".")
        sign = "-" if text.startswith("-") else ""
        if point and part and whole.isdigit():
            digits = whole + part
            left, right = f"{sign}{whole[:-1] or '0'}.{whole[-1]}{part}", f"{sign}{whole}{part[0]}.{part[1:]}"
            tries += [(f"the {what} with its point in the wrong place ({t})", {name: t}) for t in (left, right)]
            for i in range(len(digits) - 1):
                turned = digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :]
                text = f"{sign}{turned[: len(whole)]}.{turned[len(whole) :]}"
                if turned != digits:
                    tries.append((f"the {what} with two digits that changed places ({text})", {name: text}))
    for what, changed in tries:
        made = with_numbers(**changed)
        if made is not None:
            yield what, made


def _turned(text: str) -> str:
    return text[1:] if text.startswith("-") else f"-{text}"
