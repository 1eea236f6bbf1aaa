"""Numbers typed in from a paper: checked at once, and set beside the recomputed evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from metapeer.auditing.rounding import Printed, read_printed
from metapeer.effects.measures import MEASURES
from metapeer.effects.reported import read_effect_type
from metapeer.errors import DataError, Fault, MetapeerError
from metapeer.formatting import Printable, TextTable, count, format_number
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.records.catalog import dataset_names, load_dataset
from metapeer.records.review import Review
from metapeer.records.schema import EXTRA_TABLES
from metapeer.records.tablefile import read_table, write_table
from metapeer.reproduction.evidence import Store, evidence, evidence_words
from metapeer.reproduction.plan import LEVEL, Plan, Transcription

__all__ = ["TranscribedResult", "TranscriptionResult", "check_transcription", "write_transcription_template"]

TABLE = EXTRA_TABLES["transcription"]
NUMBERS = ("k", "n", "es", "ci_low", "ci_high", "z", "p", "i2", "i2_ci_low", "i2_ci_high", "tau2", "q", "q_df", "q_p")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TranscribedResult:
    """One result typed in from the paper.

    Parameters
    ----------
    published_id, outcome : str
        As in the table.
    printed : str
        Estimate and interval as typed.
    evidence : MetaAnalysisResult or None
        The bundled rows of the same outcome, pooled; None when there are none.
    """

    published_id: str
    outcome: str
    printed: str
    evidence: MetaAnalysisResult | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TranscriptionResult(Printable):
    """What `check_transcription` found in a table without faults.

    Parameters
    ----------
    review : str
        The data set.
    results : tuple of TranscribedResult
        The rows that were filled in.
    blank : tuple of str
        Rows that still wait.
    doubts : tuple of str
        What is possible but unlikely.
    """

    review: str
    results: tuple[TranscribedResult, ...]
    blank: tuple[str, ...]
    doubts: tuple[str, ...]

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the transcription in words.

        Returns
        -------
        sequence of TextTable
            What was typed in beside the evidence, and what is doubtful or blank.
        """
        rows = []
        for one in self.results:
            shown = "no bundled row of this outcome" if one.evidence is None else evidence_words(one.evidence)
            rows.append((one.published_id, one.printed, shown))
        notes = [f"doubtful: {doubt}" for doubt in self.doubts]
        if self.blank:
            notes.append(f"still blank: {', '.join(self.blank)}")
        notes.append(
            "The evidence is pooled from bundled trials of the same outcome and format; it is not known to be the same "
            "trials, so it neither confirms nor refutes what was typed in."
        )
        return (
            TextTable(
                title=f"{self.review}: {count(len(rows), 'result')} typed in, without faults",
                header=("result", "typed in", "evidence from bundled rows"),
                rows=rows,
                notes=notes,
            ),
        )


def _template(review: Review) -> pd.DataFrame:
    table = review.extras.get("transcription")
    if table is None:
        having = [name for name in dataset_names() if "transcription" in load_dataset(name).extras]
        raise MetapeerError(f"{review.name} has no table to transcribe; these have: {', '.join(having)}")
    return table


def write_transcription_template(review: str | Path, path: str | Path) -> None:
    """Write a review's blank transcription table, to be filled in from the paper.

    Parameters
    ----------
    review : str or Path
        A data set whose numbers are not available, such as ``"white2020"``, or a folder of your own.
    path : str or Path
        The CSV file to write; an existing file is not overwritten.

    Raises
    ------
    MetapeerError
        If the review has no such table, or the file exists.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metapeer import write_transcription_template
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_transcription_template("white2020", Path(folder, "white.csv"))
    ...     print(Path(folder, "white.csv").read_text(encoding="utf-8").count("to be filled"))
    11
    """
    if Path(path).exists():
        raise MetapeerError(f"{path} exists; it may hold what you typed in, so it is not overwritten")
    write_table(_template(load_dataset(review)), path, TABLE)


def _numbers(row: dict[str, str], where: tuple[int, str], faults: list[Fault]) -> dict[str, Printed]:
    """Read the numbers of a row, keeping their digits."""
    found = {}
    for name in NUMBERS:
        text = row[name].strip()
        printed = read_printed(text)
        if text and printed is None:
            faults.append(Fault(line=where[0], row=where[1], column=name, message=f"{text!r} is not a number"))
        elif printed is not None and printed.bound and name not in ("p", "q_p"):
            message = f"{text!r} is only a bound; type the number that is printed"
            faults.append(Fault(line=where[0], row=where[1], column=name, message=message))
        elif printed is not None:
            found[name] = printed
    return found


Wrong = list[tuple[str, str]]


def _impossible_counts(row: dict[str, str], value: dict[str, float], limits: Transcription) -> Wrong:
    """Numbers of trials and participants that cannot be."""
    wrong: Wrong = []
    for name, most, what in (("k", limits.trials, "trials"), ("n", limits.participants, "participants")):
        if name in value and (not value[name].is_integer() or value[name] < 1):
            wrong.append((name, f"{row[name]} is not a whole number of at least 1"))
        elif value.get(name, 0.0) > most:
            wrong.append((name, f"{row[name]} is more than the {most} {what} of the review"))
    if "k" in value and "n" in value and value["n"] < 2 * value["k"]:
        wrong.append(("n", f"{row['n']} participants cannot fill {row['k']} trials with two arms"))
    if "q_df" in value and "k" in value and value["q_df"] != value["k"] - 1:
        wrong.append(("q_df", f"{row['q_df']} does not fit k = {row['k']}; it is k - 1"))
    return wrong


def _impossible_effect(row: dict[str, str], value: dict[str, float]) -> Wrong:
    """An estimate and interval that cannot be."""
    wrong: Wrong = []
    ends = [name for name in ("ci_low", "ci_high") if row[name].strip()]
    if len(ends) == 1:
        wrong.append(("ci_high" if ends == ["ci_low"] else "ci_low", "is missing; an interval has two ends"))
    if not row["es"].strip():
        return [*wrong, ("es", "is missing, but an interval is given")] if ends else wrong
    low, es, high = (value.get(name, math.nan) for name in ("ci_low", "es", "ci_high"))
    if low > high:
        wrong.append(("ci_low", f"{row['ci_low']} lies above the upper limit {row['ci_high']}; swapped?"))
    elif es < low or es > high:
        wrong.append(("es", f"{row['es']} lies outside its interval {row['ci_low']} to {row['ci_high']}"))
    if not row["es_type"].strip():
        wrong.append(("es_type", f"is missing; write which measure it is, such as {', '.join(list(MEASURES)[:6])}"))
    if _is_ratio(row):
        wrong += [
            (name, f"{row[name]} is not a ratio; it must be > 0")
            for name in ("es", *ends)
            if value.get(name, math.nan) <= 0
        ]
    return wrong


def _is_ratio(row: dict[str, str]) -> bool | None:
    """Whether the effect is a ratio, printed as one; None when the kind of effect is not known."""
    kind = read_effect_type(row["es_type"])
    return None if kind is None else MEASURES[kind.measure].scale == "log" and not kind.logarithm


def _impossible(row: dict[str, str], numbers: dict[str, Printed], limits: Transcription) -> Wrong:
    """What cannot be: pairs of column and message."""
    value = {name: printed.value for name, printed in numbers.items()}
    wrong = _impossible_counts(row, value, limits) + _impossible_effect(row, value)
    bounds = dict.fromkeys(("i2", "i2_ci_low", "i2_ci_high"), (100.0, "a percentage"))
    bounds |= dict.fromkeys(("p", "q_p"), (1.0, "a probability"))
    bounds |= dict.fromkeys(("tau2", "q"), (math.inf, "a variance or sum of squares; it must not be negative"))
    wrong += [
        (name, f"{row[name]} is not {what}")
        for name, (most, what) in bounds.items()
        if name in value and not 0 <= value[name] <= most
    ]
    low, high = value.get("i2_ci_low", -math.inf), value.get("i2_ci_high", math.inf)
    if low > high:
        wrong.append(("i2_ci_low", f"{row['i2_ci_low']} lies above the upper limit {row['i2_ci_high']}; swapped?"))
    elif not low <= value.get("i2", low) <= high:
        wrong.append(("i2", f"{row['i2']} lies outside its interval"))
    if not row["outcome"].strip():
        wrong.append(("outcome", "is missing; write which outcome this is"))
    if not row["source"].strip() or "to be filled" in row["source"]:
        wrong.append(("source", "is missing; write the table or figure and the page"))
    return wrong


def _doubts(row: dict[str, str], numbers: dict[str, Printed]) -> list[str]:
    """What is possible but unlikely: lost digits, skew, a p value that does not fit."""
    doubts = []
    name = row["published_id"]
    effect = [numbers[c] for c in ("es", "ci_low", "ci_high") if c in numbers]
    if len({printed.decimals for printed in effect}) > 1:
        shown = ", ".join(printed.text for printed in effect)
        doubts.append(f"{name}: {shown} have different numbers of decimals; type 0.10, not 0.1, if 0.10 is printed")
    if len(effect) < 3:
        return doubts
    es, low, high = effect
    ratio = _is_ratio(row)
    if ratio is None:
        doubts.append(
            f"{name}: {row['es_type']!r} is not a measure that metapeer knows, so its interval and p are not compared"
        )
        return doubts
    ends = [math.log(x.value) if ratio else x.value for x in effect]
    # How far rounding moves the estimate from the middle; on the log scale a step shrinks with the value.
    steps = [x.half_step / (x.value if ratio else 1.0) for x in effect]
    if abs(2.0 * ends[0] - ends[1] - ends[2]) > 1.01 * (2.0 * steps[0] + steps[1] + steps[2]):
        doubts.append(f"{name}: {es.text} does not lie in the middle of {low.text} to {high.text}")
    se = (ends[2] - ends[1]) / (2 * normal_quantile(LEVEL))
    p = numbers.get("p")
    if p is not None and se > 0 and not p.bound:
        computed = math.erfc(abs(ends[0]) / se / math.sqrt(2))
        if (computed < 0.05) != (p.value < 0.05) and abs(computed - p.value) > 0.01:
            doubts.append(f"{name}: p = {p.text}, but the interval gives about {format_number(computed, 3)}")
    q, i2, k = numbers.get("q"), numbers.get("i2"), numbers.get("k")
    if q is not None and i2 is not None and k is not None and q.value > 0:
        computed = max(0.0, 100 * (q.value - (k.value - 1)) / q.value)
        if abs(computed - i2.value) > max(1.0, 2 * i2.half_step):
            doubts.append(f"{name}: I² = {i2.text}%, but Q = {q.text} with k = {k.text} gives {computed:.0f}%")
    return doubts


def _beside(store: Store, plan: Plan, row: dict[str, str]) -> MetaAnalysisResult | None:
    """Pool the bundled rows of the same outcome and format."""
    if plan.claims is None or plan.transcription is None:
        return None
    outcome = row["outcome"].strip().lower().replace(" ", "_")
    if not outcome:
        return None
    column = "outcome_class" if outcome == "service_use" else "outcome"
    where = {**plan.claims.rows.where, column: (outcome,)}
    if plan.transcription.format:
        where["format"] = (plan.transcription.format,)
    return evidence(store, replace(plan.claims.rows, where=where), plan.claims.method)


def check_transcription(review: str | Path, path: str | Path) -> TranscriptionResult:
    """Check numbers typed in from a paper, and set them beside the recomputed evidence.

    Parameters
    ----------
    review : str or Path
        A data set whose numbers are not available, such as ``"white2020"``, or a folder of your own.
    path : str or Path
        The filled-in table, from `write_transcription_template`.

    Returns
    -------
    TranscriptionResult
        What was typed in, digits kept, beside the bundled rows of the same outcome and format, pooled.

    Raises
    ------
    DataError
        If something cannot be: an interval that does not contain its estimate, more trials than the review has, a
        missing source. Every fault is listed.
    MetapeerError
        If the review has no table to transcribe.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metapeer import check_transcription, write_transcription_template
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_transcription_template("white2020", Path(folder, "white.csv"))
    ...     found = check_transcription("white2020", Path(folder, "white.csv"))
    >>> found.blank[:2], found.results
    (('recovery', 'empowerment'), ())
    """
    store = Store()
    current = store.add(review)
    _template(current)
    plan = store.plan(current)
    limits = plan.transcription
    if limits is None:
        raise DataError(
            f"{current.name}/plan.toml", ["[transcription] is missing: how many trials and participants are there?"]
        )
    rows = _typed_rows(path)
    faults: list[Fault] = []
    doubts: list[str] = []
    for line, row in rows:
        numbers = _numbers(row, (line, row["published_id"]), faults)
        wrong = _impossible(row, numbers, limits) if _is_filled(row) else []
        faults += [Fault(line=line, row=row["published_id"], column=column, message=text) for column, text in wrong]
        if not faults:
            doubts += _doubts(row, numbers)
    if faults:
        raise DataError(str(path), faults)
    return TranscriptionResult(
        review=current.name,
        results=tuple(
            TranscribedResult(
                published_id=row["published_id"],
                outcome=row["outcome"],
                printed=_printed_words(row),
                evidence=_beside(store, plan, row),
            )
            for _, row in rows
            if _is_filled(row)
        ),
        blank=tuple(row["published_id"] for _, row in rows if not _is_filled(row)),
        doubts=tuple(doubts),
    )


def _typed_rows(path: str | Path) -> list[tuple[int, dict[str, str]]]:
    """The table's rows as texts, each with its line."""
    table = read_table(path, TABLE)
    absent = [name for name in ("published_id", "outcome", "es_type", "source", *NUMBERS) if name not in table]
    if absent:
        raise DataError(str(path), [Fault(column=name, message="this column is missing") for name in absent])
    lines, cells = table["line"].tolist(), table.drop(columns="line").astype(str)
    columns = list(map(str, cells.columns))
    return [(line, dict(zip(columns, row, strict=True))) for line, row in zip(lines, cells.to_numpy(), strict=True)]


def _is_filled(row: dict[str, str]) -> bool:
    return any(row[column].strip() for column in NUMBERS)


def _printed_words(row: dict[str, str]) -> str:
    """Write what was typed as a paper would, with its digits: SMD 0.20 (0.05 to 0.35), k 6."""
    words = " ".join(text for text in (row["es_type"] if row["es"] else "", row["es"]) if text)
    if row["ci_low"]:
        words += f" ({row['ci_low']} to {row['ci_high']})"
    more = [f"{name} {row[column]}" for name, column in (("k", "k"), ("n", "n"), ("I²", "i2")) if row[column]]
    return ", ".join(text for text in (words, *more) if text)
