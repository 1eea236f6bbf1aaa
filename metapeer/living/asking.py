"""Typing a trial in step by step: one question after the other, each answer checked before the next.

The dialogue is a pure function of the answers so far: whoever asks (a terminal, a test) gets a `Question` and returns a
text. To go back, an answer is taken off and the dialogue runs again.
"""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

import pandas as pd

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import format_number
from metapeer.living.adding_rows import Row, bundled_trials
from metapeer.records.columns import leading_number, numbers, texts
from metapeer.records.decode import shown
from metapeer.records.instruments import folded
from metapeer.records.review import Review
from metapeer.records.schema import (
    DIRECTIONS,
    FORMATS,
    INSTRUMENTS,
    OUTCOME_CLASSES,
    OUTCOMES,
    STATISTICS,
    TIMEPOINTS,
    TRIALS,
    Field,
)

__all__ = ["BACK", "HELP", "Question", "Typed", "ask_trial"]

BACK, HELP, NOTHING = "<", "?", "-"
MISSING = frozenset({""})
YES = ("yes", "no")
KINDS = ("means", "events", "effect", "none")
Check = Callable[[str], tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the dialogue.

    Parameters
    ----------
    name : str
        What is asked for: mostly a column.
    text : str
        The question.
    choices : tuple of str
        The only answers; empty when any will do.
    required : bool
        Whether an empty answer will not do.
    default : str
        What an empty answer means.
    field : Field or None
        The column that the answer must fit.
    check : callable or None
        Takes the answer and gives what is wrong with it, and what is doubtful; ``""`` for nothing.
    """

    name: str
    text: str
    choices: tuple[str, ...] = ()
    required: bool = False
    default: str = ""
    field: Field | None = None
    check: Check | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was typed in, ready for `add_rows`.

    Parameters
    ----------
    rows : DataFrame
        Rows of outcomes; every cell as it was typed.
    trials : DataFrame
        The trial, when it is new; else empty.
    """

    rows: pd.DataFrame
    trials: pd.DataFrame


Dialogue = Generator[Question, str, Typed]
Part = Generator[Question, str, Row]


def ask_trial(ask: Callable[[Question], str], review: Review, *, tell: Callable[[str], None]) -> Typed:
    """Ask for a trial and its results, row by row.

    Parameters
    ----------
    ask : callable
        Takes a question and returns what was typed: ``"<"`` to go back, ``"?"`` for help.
    review : Review
        The review that the trial is for: its trials, results and instruments are known.
    tell : callable
        Takes a text to show: what is wrong with an answer, what is doubtful, help.

    Returns
    -------
    Typed
        Rows and trial, for `add_rows`.

    Examples
    --------
    >>> from metapeer.records.catalog import load_dataset
    >>> typed = iter(["cook2012a", "Herth Hope Index", "group", "", "end_of_treatment", "", "post", "means", "60",
    ...               "31.2", "8.1", "58", "29.4", "8.8", "Table 2", "", "", "no"])
    >>> found = ask_trial(lambda question: next(typed), load_dataset("smit2023"), tell=print)
    >>> found.rows[["study_id", "outcome", "mean1"]].to_dict("records")
    [{'study_id': 'cook2012a', 'outcome': 'hope', 'mean1': '31.2'}]
    """
    answers: list[str] = []
    while True:
        dialogue = _trial(review)
        try:
            question = next(dialogue)
            for given in answers:
                question = dialogue.send(given)
        except StopIteration as end:
            found: Typed = end.value
            return found
        text = ask(question).strip()
        if text == BACK:
            if not answers:
                tell("this is the first question")
            answers = answers[:-1]
        elif text == HELP:
            tell(_help(question))
        else:
            value, wrong, doubt = check_answer(question, text)
            if wrong:
                tell(wrong)
            else:
                answers.append(value)
                if doubt:
                    tell(doubt)


def check_answer(question: Question, text: str) -> tuple[str, str, str]:
    """Check an answer.

    Parameters
    ----------
    question : Question
        What was asked.
    text : str
        What was typed.

    Returns
    -------
    str
        The answer, as it will stand in the file.
    str
        What is wrong with it; ``""`` when it will do.
    str
        What is doubtful about it; ``""`` for nothing.

    Examples
    --------
    >>> check_answer(Question(name="sd1", text="SD?", field=OUTCOMES["sd1"]), "-3")
    ('-3', '-3 is not allowed; it must be > 0', '')
    """
    value = " ".join(text.split()) or question.default
    value = "" if value == NOTHING else value
    if not value:
        return "", "an answer is needed; type < to go back" if question.required else "", ""
    if question.choices:
        try:
            return _chosen(question, value), "", ""
        except ChoiceError as error:
            return value, str(error), ""
    if question.field is not None:
        value, wrong = _fitting(question.field, value)
        if wrong:
            return value, wrong, ""
    wrong, doubt = question.check(value) if question.check else ("", "")
    return value, wrong, doubt


def _chosen(question: Question, value: str) -> str:
    """Take a choice by its name, or by a beginning that no other has."""
    begun = [choice for choice in question.choices if choice.startswith(value.casefold())]
    return begun[0] if len(begun) == 1 else check_choice(question.name, value, question.choices)


def _fitting(field: Field, value: str) -> tuple[str, str]:
    """Judge an answer as the cell of a table is judged."""
    if field.type in ("integer", "number"):
        _, faults = numbers(field, [value], mark=".", separator=";", missing=MISSING)
        return value, faults[0].message if faults else ""
    words, faults = texts(field, [value], mark=".", separator=";", missing=MISSING)
    return words[0], faults[0].message if faults else ""


def _help(question: Question) -> str:
    parts = [question.field.description] if question.field is not None else []
    if question.choices:
        parts.append(f"one of: {', '.join(question.choices)}")
    if question.default:
        parts.append(f"an empty answer means {question.default}, and {NOTHING} that there is none")
    elif not question.required:
        parts.append("may be left empty")
    return "; ".join([*parts, f"{BACK} goes back to the question before"])


def _column(name: str, text: str = "", *, of: str = "outcomes", **options: object) -> Question:
    field = {"outcomes": OUTCOMES, "trials": TRIALS, "instruments": INSTRUMENTS}[of][name]
    question = Question(name=name, text=text or field.description, choices=field.categories, field=field)
    return replace(question, **options)  # type: ignore[arg-type]  # the fields of a question


def _trial(review: Review) -> Dialogue:
    known = review.trials["study_id"].tolist()
    study = yield _column(
        "study_id", "Which trial? First author and year", required=True, check=lambda name: (_like(name, known), "")
    )
    trial: Row = {}
    if study not in known:
        trial = yield from _new_trial(study)
    rows: list[Row] = []
    more = "yes"
    while more == "yes":
        row = yield from _result(review, study, rows)
        rows.append(row)
        more = yield Question(name="more", text="Another result of this trial?", choices=YES, default="no")
    columns = [name for name in (*OUTCOMES.names, "direction") if any(name in row for row in rows)]
    return Typed(
        rows=pd.DataFrame(rows, columns=columns, dtype=str).fillna(""),
        trials=pd.DataFrame([trial] if trial else [], columns=list(trial) or ["study_id"], dtype=str),
    )


def _like(name: str, known: list[str]) -> str:
    """Refuse a name that differs from a known one in nothing but its letters' case."""
    same = [one for one in known if one != name and one.casefold() == name.casefold()]
    return f"the review has {same[0]!r}; type it so, or add a letter if it is another trial" if same else ""


def _new_trial(study: str) -> Part:
    if study in bundled_trials():
        name, line = bundled_trials()[study]
        text = f"The bundled data ({name}) describe this trial: {shown(line['citation'])}. Take that line?"
        if (yield Question(name="bundled", text=text, choices=YES, default="yes")) == "yes":
            return dict(line)
    trial = {"study_id": study}
    for name in ("citation", "doi", "year", "country", "n_intervention", "n_control", "population", "intervention"):
        trial[name] = yield _column(name, of="trials", required=name == "citation")
    return {name: cell for name, cell in trial.items() if cell}


def _result(review: Review, study: str, rows: list[Row]) -> Part:
    before: Mapping[str, str] = rows[-1] if rows else {}
    instrument, limits = yield from _instrument(review, rows)
    row: Row = {"study_id": study, **instrument}
    for name, choices in (
        ("format", FORMATS),
        ("comparator", ()),
        ("timepoint", TIMEPOINTS),
        ("timepoint_months", ()),
        ("statistic", STATISTICS),
    ):
        row[name] = yield _column(name, choices=choices, default=before.get(name, ""))
    same = _same_result(review, row, rows)
    if same:
        text = f"{same} is the same result already. What tells the two comparisons of arms apart?"
        row["comparison"] = yield _column("comparison", text, required=True)
    kind = yield Question(
        name="kind", text="What does the paper print: means and SDs, events, an effect, or none of them?",
        choices=KINDS, required=True,
    )  # fmt: skip
    row |= yield from _numbers(kind, limits)
    row["source"] = yield _column("source", required=True, default=before.get("source", ""))
    row["source_url"] = yield _column("source_url", default=before.get("source_url", ""))
    row["note"] = yield _column("note")
    return {name: cell for name, cell in row.items() if cell}


def _instrument(review: Review, rows: list[Row]) -> Generator[Question, str, tuple[Row, tuple[float, float]]]:
    """Ask for the instrument, and for what is not known of it."""
    table = review.instruments.drop_duplicates("instrument")
    known = {folded(str(one["instrument"])): one for one in table.to_dict("records")}
    typed = {folded(row["instrument"]): row for row in rows if "direction" in row}
    while True:
        name = yield _column("instrument", "Which scale or event, as the paper names it?", required=True)
        key = folded(name)
        there = known.get(key)
        if there is not None or key in typed:
            break
        close = get_close_matches(key, known, n=3, cutoff=0.6)
        hint = f" Known and similar: {'; '.join(str(known[one]['instrument']) for one in close)}." if close else ""
        text = f"{shown(name)!r} is not known.{hint} Is it a new instrument?"
        if (yield Question(name="new_instrument", text=text, choices=YES, default="no" if close else "yes")) == "yes":
            break
    limits = (math.nan, math.nan)
    if there is not None:
        limits = (float(there["min"]), float(there["max"]))
        row = {"instrument": name, "outcome": str(there["outcome"]), "outcome_class": str(there["outcome_class"])}
        if there["direction"]:
            return row, limits
    elif key in typed:
        return {c: typed[key][c] for c in ("instrument", "outcome", "outcome_class", "direction")}, limits
    else:
        row = {"instrument": name}
        row["outcome"] = yield _column("outcome", "What does it measure, in one word such as hope?", required=True)
        row["outcome_class"] = yield _column("outcome_class", required=True, choices=OUTCOME_CLASSES)
    text = "Which way is good for the participant: is a higher or a lower value better?"
    row["direction"] = yield _column("direction", text, of="instruments", required=True, choices=DIRECTIONS)
    return row, limits


def _same_result(review: Review, row: Row, rows: list[Row]) -> str:
    names = ("study_id", "outcome", "instrument", "timepoint", "timepoint_months")

    def key(one: Mapping[str, object]) -> tuple[str, ...]:
        cells = {name: str(one.get(name, "")) for name in names}
        month = leading_number(cells["timepoint_months"])
        return (*(folded(cells[name]) for name in names[:-1]), "" if math.isnan(month) else repr(month))

    there = review.outcomes[review.outcomes["exclusion_reason"] == ""]
    for known in there.to_dict("records"):
        if key({str(name): cell for name, cell in known.items()}) == key(row):
            return str(known["row_id"])
    return "a row typed before" if any(key(one) == key(row) for one in rows) else ""


def _numbers(kind: str, limits: tuple[float, float]) -> Part:
    row: Row = {}
    if kind == "means":
        for arm, who in (("1", "peer support"), ("2", "comparison")):
            row[f"n{arm}"] = yield _column(f"n{arm}", f"Participants analysed, {who}", required=True)
            row[f"mean{arm}"] = yield _column(
                f"mean{arm}", f"Mean, {who}", required=True, check=lambda text: ("", _outside(text, limits))
            )
            n, first = row[f"n{arm}"], row.get("sd1", "") if arm == "2" else ""
            row[f"sd{arm}"] = yield _column(
                f"sd{arm}",
                f"Standard deviation (not standard error), {who}",
                required=True,
                check=lambda text, n=n, first=first: ("", _like_an_error(text, n, first)),
            )
    elif kind == "events":
        for arm, who in (("1", "peer support"), ("2", "comparison")):
            events = row[f"events{arm}"] = yield _column(
                f"events{arm}", f"Participants with the event, {who}", required=True
            )
            row[f"total{arm}"] = yield _column(
                f"total{arm}",
                f"Participants at risk, {who}",
                required=True,
                check=lambda text, events=events: (_too_few(text, events), ""),
            )
    elif kind == "effect":
        row = yield from _effect()
    else:
        row["exclusion_reason"] = yield _column(
            "exclusion_reason", "Why can it not be pooled yet: what is missing?", required=True
        )
    return row


def _effect() -> Part:
    row: Row = {}
    row["es_type"] = yield _column("es_type", "Which effect is printed, in the paper's words?", required=True)
    es = row["es"] = yield _column("es", "The effect, with the paper's sign", required=True)
    row["es_se"] = yield _column("es_se", "Its standard error")
    low = row["es_ci_low"] = yield _column(
        "es_ci_low",
        "Lower limit of its 95% confidence interval",
        check=lambda text: (_wrong_order(text, es, "the lower limit", "the effect"), ""),
    )
    row["es_ci_high"] = yield _column(
        "es_ci_high",
        "Upper limit",
        required=bool(low),
        check=lambda text: (_wrong_order(es, text, "the effect", "the upper limit"), ""),
    )
    needed = not row["es_se"] and not low
    row["p_value"] = yield _column(
        "p_value", "p value as printed, with any < sign", required=needed, check=lambda text: (_no_p(text), "")
    )
    return row


def _outside(text: str, limits: tuple[float, float]) -> str:
    low, high = limits
    if low <= float(text) <= high or math.isnan(low + high):
        return ""
    return (
        f"doubtful: {text} lies outside the scale's range, {format_number(low, 0)} to {format_number(high, 0)}; "
        "look it up, or < to go back"
    )


def _like_an_error(text: str, n: str, other: str) -> str:
    """Standard errors stand where standard deviations should more often than any other slip; the other arm shows it."""
    if not other:
        return ""
    sd, first = float(text), float(other)
    # Were one a standard error, their ratio would be about the square root of n; from here on it is nearer to that, as
    # a factor, than to 1.
    if max(sd, first) / min(sd, first) < float(n) ** 0.25:
        return ""
    return f"doubtful: {other} and {text} are unequal for two standard deviations; is one a standard error? < goes back"


def _too_few(total: str, events: str) -> str:
    return (
        f"{events} events in {total} participants; events cannot exceed the total"
        if float(events) > float(total)
        else ""
    )


def _wrong_order(low: str, high: str, what: str, other: str) -> str:
    return f"{what} {low} is above {other} {high}" if float(low) > float(high) else ""


def _no_p(text: str) -> str:
    return "" if 0 <= leading_number(text) <= 1 else f"{text} is not a p value; it must be between 0 and 1"
