"""Printed pooled results against one another, against the trials behind them, and against their words on direction."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pandas as pd

from metapeer.auditing.findings import Finding
from metapeer.auditing.published_numbers import PrintedResult
from metapeer.auditing.published_ranges import meet
from metapeer.auditing.published_words import finding, shown
from metapeer.auditing.rounding import Printed
from metapeer.formatting import count

__all__ = ["check_directions", "check_duplicates", "check_odds_and_risks", "check_trials", "check_weights"]

TELLING_DIGITS = 7
"""Digits that must agree before two results are taken for copies: among a hundred results there are 5,000 pairs, and
seven digits agree by chance in one of ten million."""
MOST_PAIRS = 50
"""Earlier rows that a row is held against, so that thousands of equal rows cost no minutes."""
_FAVOURS = re.compile(r"\b(positive|negative|above 1|below 1|higher|lower) favou?rs (\w+)")


def _digits(printed: Printed) -> int:
    """Significant digits of a printed number."""
    return len(re.sub(r"\D", "", printed.text).lstrip("0"))


def _same(one: Printed, other: Printed, *, turned: bool = False) -> bool:
    return (
        one.bound == other.bound and one.decimals == other.decimals and one.value == (-1 if turned else 1) * other.value
    )


def check_duplicates(rows: Sequence[PrintedResult]) -> list[Finding]:
    """Find the same numbers under two names, as they stand or mirrored.

    Parameters
    ----------
    rows : sequence of PrintedResult
        The table.

    Returns
    -------
    list of Finding
        One for each pair.
    """
    groups: dict[tuple[float, ...], list[PrintedResult]] = defaultdict(list)
    for row in rows:
        if row.has("es", "ci_low", "ci_high"):
            ends = sorted(abs(row.numbers[name].value) for name in ("ci_low", "ci_high"))
            groups[abs(row.numbers["es"].value), *ends].append(row)
    return [
        one
        for group in groups.values()
        for i, b in enumerate(group)
        for a in group[max(0, i - MOST_PAIRS) : i]
        for one in _copies(a, b)
    ]


def _copies(a: PrintedResult, b: PrintedResult) -> Iterator[Finding]:
    limits = (("ci_low", "ci_low"), ("ci_high", "ci_high"))
    mirrored = (("ci_low", "ci_high"), ("ci_high", "ci_low"))
    straight = all(_same(a.numbers[x], b.numbers[y]) for x, y in (("es", "es"), *limits))
    turned = not straight and all(_same(a.numbers[x], b.numbers[y], turned=True) for x, y in (("es", "es"), *mirrored))
    more = [
        name for name in ("k", "n", "tau2", "q", "q_df", "i2", "q_p", "p") if name in a.numbers and name in b.numbers
    ]
    if not (straight or turned) or not all(_same(a.numbers[name], b.numbers[name]) for name in more):
        return
    # Of numbers that follow from one another only one tells anything.
    telling = sum(
        _digits(a.numbers[name]) for name in ("es", "ci_low", "n", "q", "tau2") if name in ("es", "ci_low", *more)
    )
    if telling < TELLING_DIGITS:
        return
    same_review = a.text("review") == b.text("review")
    opposite = _sense(a) * _sense(b) < 0
    what = "the same numbers" if straight else "the same numbers with the opposite sign"
    named = tuple(a.text(name) == b.text(name) for name in ("outcome", "subgroup", "timepoint"))
    severity, why = "remark", "two reviews seem to have pooled the same trials"
    if same_review:
        why = "the result looks entered twice" if all(named) else "one of the two looks copied from the other"
        severity = "suspicion"
    elif (straight and opposite) or (turned and _sense(a) * _sense(b) > 0):
        why = "their words on which sign is good contradict one another, so that one of them looks wrong"
        severity = "suspicion"
    yield Finding(
        check="duplicate",
        severity="suspicion" if severity == "suspicion" else "remark",
        rows=(a.position, b.position),
        columns=("es", "ci_low", "ci_high", *more),
        message=f"{what} stand in two rows: {why}",
        evidence=f"{shown(a, 'es', 'ci_low', 'ci_high', *more)}; outcomes {a.text('outcome')} and {b.text('outcome')}",
        look_up="both results in the review's own table",
    )


def _sense(row: PrintedResult) -> int:
    """+1 if the note says that a high effect favours the intervention, -1 if a low one does, 0 if it says neither."""
    found = _FAVOURS.search(row.text("direction_note").casefold())
    if found is None:
        return 0
    good = 1 if found[1] in ("positive", "above 1", "higher") else -1
    return -good if found[2] in ("control", "comparison", "usual", "comparator") else good


def check_directions(rows: Sequence[PrintedResult]) -> list[Finding]:
    """Hold words on direction against the measure, the scale of the instrument and the other rows of the review.

    Parameters
    ----------
    rows : sequence of PrintedResult
        The table.

    Returns
    -------
    list of Finding
        What contradicts.
    """
    found = []
    benefits: dict[str, list[tuple[PrintedResult, int]]] = defaultdict(list)
    for row in rows:
        sense = _sense(row)
        note = row.text("direction_note").casefold()
        words = _FAVOURS.search(note)
        if words is not None and words[1] in ("positive", "negative", "above 1", "below 1"):
            about_ratio = words[1].endswith("1")
            if about_ratio != (row.scales[0] == "log") and (row.measure or row.scales == ("log",)):
                message = "the words on direction belong to " + ("a ratio" if about_ratio else "a difference")
                message += f", the effect is called {row.text('es_type')}; one of the two looks wrong"
                found.append(finding(row, "direction_words", "suspicion", ("direction_note", "es_type"), message))
        good = re.search(r"\bhigh(?:er)? = (good|poor|better|worse|bad)\b", row.text("note").casefold())
        if good is not None and sense and row.measure == "MD" and (good[1] in ("good", "better")) != (sense > 0):
            message = "the note on the scale and the note on the sign contradict one another"
            found.append(finding(row, "direction_words", "suspicion", ("direction_note", "note"), message))
        if sense and row.has("ci_low", "ci_high"):
            null = 1.0 if row.scale == "log" else 0.0
            side = (row.range("ci_low")[0] > null) - (row.range("ci_high")[1] < null)
            if side:
                benefits[row.text("review")].append((row, side * sense))
    for listed in benefits.values():
        harmful = [row for row, side in listed if side < 0]
        if len(harmful) == 1 and len(listed) > 3:
            message = (
                "alone among the review's clear effects this one harms, by its sign and the note on direction; the "
            )
            message += "sign may have been turned"
            found.append(finding(harmful[0], "sign_against_direction", "remark", ("es", "direction_note"), message))
    return found


def check_odds_and_risks(rows: Sequence[PrintedResult]) -> list[Finding]:
    """Hold an odds ratio against the risk ratio of the same result: it lies on the same side of 1, and further off.

    Parameters
    ----------
    rows : sequence of PrintedResult
        The table.

    Returns
    -------
    list of Finding
        Pairs that contradict.
    """
    found = []
    pairs: dict[tuple[str, ...], dict[str, list[PrintedResult]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.measure in ("OR", "RR") and row.has("es") and row.scale == "log" and row.range("es")[0] > 0:
            key = tuple(row.text(name) for name in ("review", "outcome", "subgroup", "timepoint", "k"))
            pairs[key][row.measure].append(row)
    for key, by_measure in pairs.items():
        for odds in by_measure.get("OR", []):
            for risk in by_measure.get("RR", []):
                (a, b), (c, d) = odds.scaled("es", "log"), risk.scaled("es", "log")
                apart = (a > 0 and d < 0) or (b < 0 and c > 0)
                nearer = (a > 0 and c > b) or (b < 0 and d < a)
                if not (apart or nearer):
                    continue
                message = "odds ratio and risk ratio of the same result lie on different sides of 1"
                if nearer:
                    message = "the odds ratio lies nearer to 1 than the risk ratio; the two look swapped or mislabelled"
                # Pooled with different weights, the two may change order by chance.
                found.append(
                    Finding(
                        check="odds_and_risks",
                        severity="suspicion" if apart or key[-1] == "1" else "remark",
                        rows=(odds.position, risk.position),
                        columns=("es", "es_type"),
                        message=message,
                        evidence=f"OR {odds.text('es')}, RR {risk.text('es')}",
                        look_up="measure and sign of both results",
                    )
                )
    return found


def check_weights(rows: Sequence[PrintedResult]) -> list[Finding]:
    """Hold weights in per cent against their sum and against the widths of the intervals.

    Parameters
    ----------
    rows : sequence of PrintedResult
        Rows that share review, outcome and time point, each a trial with its ``weight``.

    Returns
    -------
    list of Finding
        Sums other than 100, and weights out of order.
    """
    groups: dict[tuple[str, ...], list[PrintedResult]] = defaultdict(list)
    for row in rows:
        if row.has("weight"):
            groups[tuple(row.text(name) for name in ("review", "outcome", "timepoint"))].append(row)
    found = []
    for group in groups.values():
        single = [row for row in group if row.range("weight")[0] < 100 - 1e-9]
        places = tuple(row.position for row in single)
        total = tuple(sum(row.range("weight")[end] for row in single) for end in (0, 1))
        if len(single) > 1 and not meet((total[0], total[1]), (100.0, 100.0)):
            found.append(
                Finding(
                    check="weights",
                    severity="suspicion",
                    rows=places,
                    columns=("weight",),
                    message="the weights do not add up to 100%; a trial is missing, or a weight looks mistyped",
                    evidence=f"they sum to {total[0]:.4g} to {total[1]:.4g}",
                    look_up="the weights in the forest plot",
                )
            )
        found += [
            one for i, b in enumerate(single) for a in single[max(0, i - MOST_PAIRS) : i] for one in _weight_order(a, b)
        ]
    return found


def _weight_order(a: PrintedResult, b: PrintedResult) -> Iterator[Finding]:
    """Under one tau² the narrower interval has the larger weight."""
    regions = a.region(a.scale), b.region(b.scale)
    if a.scale != b.scale or not regions[0] or not regions[1]:
        return
    widths = [(min(h for _, h in region), max(h for _, h in region)) for region in regions if region]
    for (one, its), (two, other) in (((a, widths[0]), (b, widths[1])), ((b, widths[1]), (a, widths[0]))):
        if its[1] < other[0] and one.range("weight")[1] < two.range("weight")[0]:
            yield Finding(
                check="weights",
                severity="remark" if a.scale == "log" else "suspicion",
                rows=(one.position, two.position),
                columns=("weight", "ci_low", "ci_high"),
                message="the narrower interval has the smaller weight; by inverse variance it would be the other way "
                "(Mantel-Haenszel weights, or t intervals of unequal df, may do so)",
                evidence=f"{shown(one, 'ci_low', 'ci_high', 'weight')}; {shown(two, 'ci_low', 'ci_high', 'weight')}",
                look_up="weights and limits of both trials in the forest plot",
            )


def check_trials(
    rows: Sequence[PrintedResult], trials: pd.DataFrame | None, outcomes: pd.DataFrame | None
) -> list[Finding]:
    """Hold k and n against the trials that are listed.

    Parameters
    ----------
    rows : sequence of PrintedResult
        The table.
    trials : DataFrame or None
        The trials of the review, with ``study_id`` and, where known, ``n_intervention``, ``n_control`` and
        ``review_membership``.
    outcomes : DataFrame or None
        Its rows, with ``study_id`` and ``outcome_group`` or ``outcome``.

    Returns
    -------
    list of Finding
        Remarks: lists of trials are seldom complete.
    """
    problems: dict[tuple[str, str], list[tuple[PrintedResult, str]]] = defaultdict(list)
    for row in rows:
        k, n = row.whole("k"), row.whole("n")
        members = _members(trials, row.text("review").casefold())
        if k is not None and members is not None and k > len(members):
            problems["k_against_trials", "k"].append((row, f"k {k}, {count(len(members), 'trial')} listed"))
        sizes = _sizes(members)
        if n is not None and sizes is not None and n > sizes:
            problems["n_against_trials", "n"].append((row, f"n {n}, {sizes} randomised in the listed trials"))
        listed = _rows_of(outcomes, row.text("outcome").casefold())
        if k is not None and listed is not None:
            studies = int(listed["study_id"].nunique())
            if k not in (studies, len(listed)):
                shown_rows = f"{count(studies, 'trial')} with {count(len(listed), 'row')} of this outcome"
                problems["k_against_rows", "k"].append((row, f"k {k}, {shown_rows}"))
    return [
        Finding(
            check=check,
            severity="remark",
            rows=tuple(row.position for row, _ in listed),
            columns=(column,),
            message=_MEANING[check],
            evidence="; ".join(dict.fromkeys(told for _, told in listed)),
            look_up="the review's list of included trials",
        )
        for (check, column), listed in problems.items()
    ]


_MEANING = {
    "k_against_trials": "more trials are counted than are listed: the list is incomplete, or comparisons were counted",
    "n_against_trials": "more people are counted than the listed trials randomised: the list is not complete, or some "
    "are counted twice",
    "k_against_rows": "the listed rows of this outcome are of another number of trials",
}


def _rows_of(outcomes: pd.DataFrame | None, outcome: str) -> pd.DataFrame | None:
    """The rows of an outcome, by its heading in the review or else by its name; None when there are none."""
    if outcomes is None or "study_id" not in outcomes or not outcome:
        return None
    for column in ("outcome_group", "outcome"):
        if column in outcomes:
            chosen = outcomes[outcomes[column].astype(str).str.casefold() == outcome]
            if len(chosen):
                return chosen
    return None


def _members(trials: pd.DataFrame | None, review: str) -> pd.DataFrame | None:
    """The trials of a review, by its name among their memberships where any trial names it; otherwise all."""
    if trials is None or trials.empty or "study_id" not in trials:
        return None
    if "review_membership" in trials and review:
        named = trials["review_membership"].astype(str).str.casefold().str.contains(review, regex=False)
        if named.any():
            return trials[named]
    return trials


def _sizes(members: pd.DataFrame | None) -> int | None:
    """People randomised in all trials; None when some trial does not say."""
    if members is None or not {"n_intervention", "n_control"} <= set(members.columns):
        return None
    both = [pd.to_numeric(members[name], errors="coerce") for name in ("n_intervention", "n_control")]
    total = float((both[0] + both[1]).sum(skipna=False))
    return None if math.isnan(total) else int(total)
