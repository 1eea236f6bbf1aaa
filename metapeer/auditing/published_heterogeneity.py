"""Printed heterogeneity against itself: Q, its degrees of freedom and p value, I² and its limits."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from metapeer.auditing.findings import Finding, Severity
from metapeer.auditing.published_numbers import Comparison, PrintedResult
from metapeer.auditing.published_ranges import Range, meet, miss
from metapeer.auditing.published_words import ONE_UNIT, Examined, finding, shown, words
from metapeer.auditing.rounding import Printed
from metapeer.formatting import count
from metapeer.pooling.heterogeneity import i2_from_h2, i2_test_based
from metapeer.pooling.intervals import chi2_tail

__all__ = ["check_heterogeneity", "compared", "i2_range", "knows_i2_from_q", "knows_test_based"]

WITNESSES = 3
"""Other rows of a review whose I² must all come from Q, none of them by being zero, before a row that does not is
suspected: where I² comes from tau2, a row agrees by chance in about one of ten."""


def i2_range(q: Range, df: int) -> Range:
    """Range of ``100 (Q - df) / Q`` over a range of Q.

    Parameters
    ----------
    q : tuple of float
        Lowest and highest Q.
    df : int
        Degrees of freedom.

    Returns
    -------
    tuple of float
        In per cent.

    Examples
    --------
    >>> low, high = i2_range((9.645, 9.655), 5)
    >>> round(low, 1), round(high, 1)
    (48.2, 48.2)
    """
    low, high = (i2_from_h2(max(x, 0.0) / df) if df > 0 else 0.0 for x in q)
    return low, high


def knows_i2_from_q(rows: Sequence[PrintedResult]) -> list[bool]:
    """Tell for each row whether the other rows of its review show that the review takes I² from Q.

    Parameters
    ----------
    rows : sequence of PrintedResult
        The table.

    Returns
    -------
    list of bool
        True where at least `WITNESSES` other rows do and none does not.
    """
    fits: list[bool | None] = []
    for row in rows:
        df = row.df
        if not row.has("q", "i2") or df is None or df < 1:
            fits.append(None)
            continue
        allowed = i2_range(row.range("q"), df)
        met = meet(row.range("i2"), allowed)
        fits.append(None if met and allowed[0] <= 0.0 else met)
    return _witnessed(rows, fits)


def knows_test_based(rows: Sequence[PrintedResult]) -> list[bool]:
    """Tell for each row whether the other rows of its review show that limits of I² are the test-based ones.

    Parameters
    ----------
    rows : sequence of PrintedResult
        The table.

    Returns
    -------
    list of bool
        True where at least `WITNESSES` other rows do and none does not.
    """
    fits: list[bool | None] = []
    for row in rows:
        allowed = _test_based(row) if row.has("i2_ci_low", "i2_ci_high") else None
        met = allowed is not None and all(
            meet(row.range(name), span) for name, span in zip(("i2_ci_low", "i2_ci_high"), allowed, strict=True)
        )
        fits.append(None if allowed is None else met)
    return _witnessed(rows, fits)


def _witnessed(rows: Sequence[PrintedResult], fits: Sequence[bool | None]) -> list[bool]:
    """Whether enough of the other rows of a row's review fit, and all that tell anything."""
    good = Counter(row.text("review") for row, fit in zip(rows, fits, strict=True) if fit)
    bad = Counter(row.text("review") for row, fit in zip(rows, fits, strict=True) if fit is False)
    return [
        good[row.text("review")] - (fit is True) >= WITNESSES and bad[row.text("review")] == (fit is False)
        for row, fit in zip(rows, fits, strict=True)
    ]


def compared(row: PrintedResult, number: str, allowed: Range, others: tuple[str, ...], reading: str) -> Comparison:
    """Hold a printed number against what others allow.

    Parameters
    ----------
    row : PrintedResult
        The row.
    number : str
        Its column.
    allowed : tuple of float
        Lowest and highest.
    others : tuple of str
        The columns that allow it.
    reading : str
        How they were read.

    Returns
    -------
    Comparison
        Whether the two ranges meet.
    """
    return Comparison(
        row=row.position,
        number=number,
        printed=row.numbers[number].text,
        low=allowed[0],
        high=allowed[1],
        others=others,
        fits=meet(row.range(number), allowed),
        reading=reading,
    )


def _severity(printed: Printed, allowed: Range) -> Severity:
    return "error" if miss(printed, allowed) > ONE_UNIT else "suspicion"


def check_heterogeneity(row: PrintedResult, *, from_q: bool, test_based: bool) -> Examined:
    """Hold Q, its degrees of freedom and p value, I² and its interval against one another.

    Parameters
    ----------
    row : PrintedResult
        The row.
    from_q : bool
        Whether the review is known to take I² from Q; otherwise an I² that does not fit Q may come from tau2.
    test_based : bool
        Whether the review is known to print test-based limits of I²; otherwise limits may be of another kind.

    Returns
    -------
    Examined
        Comparisons and findings.
    """
    comparisons: list[Comparison] = []
    findings = list(_check_df(row))
    df = row.df
    if row.whole("k") == 1:
        some = [name for name in ("i2", "q", "tau2") if row.has(name) and row.range(name)[0] > 0]
        if some:
            message = "a single trial has no heterogeneity; k looks wrong, or these numbers belong to another row"
            findings.append(finding(row, "heterogeneity_of_one", "suspicion", ("k", *some), message))
    if df is not None and df >= 1:
        k = row.whole("k")
        other = k - 1 if row.has("q_df") and k is not None and k - 1 != df and k > 1 else None
        if other is not None and _clashes(row, df) and not _clashes(row, other):
            df = other
        made, wrong = _check_q(row, df, from_q=from_q)
        comparisons += made
        findings += wrong
    made, wrong = _check_i2_interval(row, test_based=test_based)
    return Examined(comparisons=(*comparisons, *made), findings=(*findings, *wrong))


def _clashes(row: PrintedResult, df: int) -> bool:
    """Whether I² or p contradicts Q with these degrees of freedom."""
    if not row.has("q"):
        return False
    q = row.range("q")
    i2 = row.has("i2") and not meet(row.range("i2"), i2_range(q, df))
    return i2 or (row.has("q_p") and not meet(row.range("q_p"), _tail(q, df)))


def _tail(q: Range, df: int) -> Range:
    return chi2_tail(max(q[1], 0.0), df), chi2_tail(max(q[0], 0.0), df)


def _check_df(row: PrintedResult) -> Iterator[Finding]:
    k, df = row.whole("k"), row.whole("q_df")
    if k is None or df is None or k < 1 or df == k - 1 or df < 0:
        return
    fitting = [one for one in (df, k - 1) if one >= 1 and row.has("q") and not _clashes(row, one)]
    told = ""
    if row.has("q") and row.has("i2") and fitting in ([df], [k - 1]):
        told = f"; I² {'and p ' if row.has('q_p') else ''}fit{'' if row.has('q_p') else 's'} Q with {fitting[0]} df"
    more = count(df + 1, "effect")
    if fitting == [k - 1] and told:
        message = f"df {df} does not belong to {k} trials; it looks mistyped for {k - 1}"
    elif df > k - 1:
        message = (
            f"df {df} belongs to {more}, but k is {k}: several comparisons of a trial look pooled as if they were "
        )
        message += "independent, or k is wrong"
    else:
        message = f"df {df} belongs to {more}, but k is {k}: trials look left out (no events), or k or df is wrong"
    evidence = shown(row, "k", "q", "q_df", "i2", "q_p") + told
    yield finding(row, "df_against_k", "suspicion", ("k", "q_df"), message, evidence=evidence)


def _check_q(row: PrintedResult, df: int, *, from_q: bool) -> tuple[list[Comparison], list[Finding]]:
    """Compare Q, p of Q and I²; without Q, what I² says of Q."""
    comparisons, findings = [], []
    q = row.range("q") if row.has("q") else None
    source = "q"
    if q is None and row.has("i2", "q_p") and row.range("i2")[0] > 0 and row.range("i2")[1] < 100:
        low, high = row.range("i2")
        q, source = (df / (1 - low / 100), df / (1 - high / 100)), "i2"
    if q is None:
        return [], []
    reading = f"{df} df"
    wrong = []
    if row.has("q_p"):
        comparisons.append(compared(row, "q_p", _tail(q, df), (source,), reading))
        wrong += [] if comparisons[-1].fits else ["q_p"]
    if row.has("i2") and source == "q":
        comparisons.append(compared(row, "i2", i2_range(q, df), ("q",), f"(Q - df) / Q, {reading}"))
        wrong += [] if comparisons[-1].fits else ["i2"]
    allowed = {one.number: (one.low, one.high) for one in comparisons}
    evidence = "; ".join(
        [shown(row, "k", "q", "q_df", "q_p", "i2")]
        + [f"{source} with {df} df allows {name} of {words(allowed[name])}" for name in wrong]
    )
    if wrong == ["q_p", "i2"]:
        message = "neither I² nor p fits Q; Q looks mistyped"
        severity = _severity(row.numbers["q_p"], allowed["q_p"])
        findings.append(finding(row, "q_against_i2_and_p", severity, ("q", "q_p", "i2"), message, evidence=evidence))
    elif wrong == ["q_p"]:
        sure = source == "q"
        message = f"p does not fit {'Q' if sure else 'I²'} with {df} degrees of freedom"
        if not sure and not from_q:
            message += ", if I² comes from Q; I² from tau², as metafor has it, may differ"
        severity = _severity(row.numbers["q_p"], allowed["q_p"]) if sure else "suspicion" if from_q else "remark"
        columns = (source, "q_df", "q_p")
        findings.append(finding(row, "q_p_against_q", severity, columns, message, evidence=evidence))
    elif wrong == ["i2"]:
        message = "I² does not fit Q"
        if from_q:
            message += ", from which the review takes it in its other results; Q, df or I² looks wrong"
        else:
            message += "; it may come from tau² (as in metafor), and if not, one of them is wrong"
        severity = "suspicion" if from_q else "remark"
        findings.append(finding(row, "i2_against_q", severity, ("q", "q_df", "i2"), message, evidence=evidence))
        if not from_q:  # then nothing is known that I² could be held against
            comparisons.pop()
    return comparisons, findings


def _test_based(row: PrintedResult) -> tuple[Range, Range] | None:
    """Ranges of both test-based limits of I², from Q or else from I²; None where nothing gives Q."""
    df = row.df
    if df is None or df < 1:
        return None
    if row.has("q"):
        low, high = (max(0.0, end) for end in row.range("q"))
    elif row.has("i2") and 0.0 <= row.range("i2")[1] < 100.0:
        low, high = (df / (1.0 - max(0.0, end) / 100.0) for end in row.range("i2"))
        low = 0.0 if row.range("i2")[0] <= 0.0 else low
    else:
        return None
    # Both limits rise with Q up to k and again beyond it; at k, where the formula changes, they jump.
    ends_of_pieces = (low, float(df + 1), math.nextafter(df + 1, math.inf), high)
    intervals = [i2_test_based(x, df + 1, 0.95) for x in ends_of_pieces if low <= x <= high]
    ends = [(one.low, one.high) for one in intervals if not math.isnan(one.low)]
    if not ends:
        return None
    lows, highs = zip(*ends, strict=True)
    return (min(lows), max(lows)), (min(highs), max(highs))


def _check_i2_interval(row: PrintedResult, *, test_based: bool) -> tuple[list[Comparison], list[Finding]]:
    """Hold the limits of I² against I² and Q."""
    columns = ("i2", "i2_ci_low", "i2_ci_high")
    if not row.has(*columns[1:]):
        return [], []
    low, high = row.range("i2_ci_low"), row.range("i2_ci_high")
    if low[0] > high[1]:
        return [], [finding(row, "limits_reversed", "error", columns, "the limits of I² look swapped")]
    allowed, df = _test_based(row), row.df
    comparisons = []
    evidence = shown(row, "k", "q", *columns)
    if allowed is not None and df is not None:
        others = ("q",) if row.has("q") else ("i2",)
        reading = f"test-based, {df} df"
        comparisons = [
            compared(row, name, span, others, reading) for name, span in zip(columns[1:], allowed, strict=True)
        ]
        evidence += f"; test-based limits are {words(allowed[0])} and {words(allowed[1])}"
    fits = bool(comparisons) and all(one.fits for one in comparisons)
    if row.has("i2") and (row.range("i2")[1] < low[0] or row.range("i2")[0] > high[1]):
        message = "I² lies outside its own interval"
        found = finding(row, "i2_outside_interval", "suspicion", columns, message, evidence=evidence)
        return comparisons if fits or test_based else [], [found]
    if fits or not comparisons:
        return comparisons, []
    if test_based:
        message = "the limits of I² do not follow from Q or I², as those of the review's other results do"
        return comparisons, [finding(row, "i2_interval", "suspicion", columns, message, evidence=evidence)]
    # Limits by inverting a test of Q (Q profile, noncentral chi-squared) begin above zero just when Q is beyond its
    # 97.5% point: with no between-study variance, the generalised Q is Cochran's (Viechtbauer 2007, Stat Med 26:37).
    if row.has("q") and df is not None and low[0] > 0 and _tail(row.range("q"), df)[0] > 0.025:
        message = "the interval of I² begins above zero although Q is not large enough for that by any exact method"
        return comparisons, [finding(row, "i2_interval", "suspicion", columns, message, evidence=evidence)]
    return [], []
