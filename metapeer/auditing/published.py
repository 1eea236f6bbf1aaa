"""Printed pooled results checked against themselves: whether estimate, interval, test and heterogeneity agree.

Every number may have been any that rounds to what is printed. A comparison therefore computes the range that the other
printed numbers allow, from all the unrounded numbers they may stand for, and asks whether the two ranges meet.
"""

import math
from collections.abc import Sequence

import pandas as pd

from metapeer.auditing.published_effects import check_impossible, check_interval
from metapeer.auditing.published_heterogeneity import check_heterogeneity, knows_i2_from_q, knows_test_based
from metapeer.auditing.published_numbers import NUMBERS, PrintedResult, read_result
from metapeer.auditing.published_results import PublishedAudit, Verdict
from metapeer.auditing.published_tables import (
    check_directions,
    check_duplicates,
    check_odds_and_risks,
    check_trials,
    check_weights,
)
from metapeer.auditing.published_tau2 import check_prediction, check_tau2
from metapeer.auditing.published_tests import check_participants, check_test
from metapeer.auditing.published_words import Examined
from metapeer.errors import DataError, Fault, MetapeerError, check_choice
from metapeer.pooling.intervals import check_level

__all__ = ["audit_published"]

I2_SOURCES = ("either", "Q", "tau2")
ROUNDED = tuple(column for column in NUMBERS if column not in ("k", "n", "q_df"))


def audit_published(
    table: pd.DataFrame,
    *,
    trials: pd.DataFrame | None = None,
    outcomes: pd.DataFrame | None = None,
    level: float = 0.95,
    i2_from: str = "either",
) -> PublishedAudit:
    """Check printed pooled results against themselves, allowing for rounding.

    Parameters
    ----------
    table : DataFrame
        One row for each result, with the columns of ``published.csv`` as text, so that digits are kept: ``es_type``,
        ``es``, ``ci_low``, ``ci_high``, ``z``, ``p``, ``k``, ``n``, ``i2``, ``i2_ci_low``, ``i2_ci_high``, ``tau2``,
        ``q``, ``q_df``, ``q_p``. Also used where they stand: ``pi_low`` and ``pi_high`` (a prediction interval),
        ``weight`` (per cent, in rows of single trials), ``significance`` (a word), ``review``, ``outcome``,
        ``subgroup``, ``timepoint``, ``model``, ``direction_note`` and ``note``. None is needed.
    trials : DataFrame, optional
        The review's trials, to hold k and n against.
    outcomes : DataFrame, optional
        Its rows, to hold k against.
    level : float, default 0.95
        Confidence level of the intervals.
    i2_from : {"either", "Q", "tau2"}
        How the reviews computed I². "either" takes it for Q where other rows of the same review show that; an I² that
        does not fit Q is otherwise only remarked upon, for software that takes it from tau² prints such.

    Returns
    -------
    PublishedAudit
        A verdict for each row, what was compared with what and with what slack, and findings.

    Raises
    ------
    DataError
        If numbers are not text, so that their digits are lost, or a column stands there twice.
    MetapeerError
        If `table`, `trials` or `outcomes` is no DataFrame, or an option is unknown.

    References
    ----------
    Nuijten et al. (2016), Behav Res Methods 48:1205-1226, who check tests of single studies so; Higgins & Thompson
    (2002), Stat Med 21:1539-1558.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"es_type": ["SMD", "SMD"], "es": ["0.19", "-0.39"], "ci_low": ["0.11", "-0.54"],
    ...                       "ci_high": ["0.27", "-0.24"], "z": ["4.66", "9.42"]})
    >>> audit = audit_published(table)
    >>> audit.verdicts
    ('consistent', 'inconsistent')
    >>> print(audit.findings[0].evidence)
    es -0.39, ci_low -0.54, ci_high -0.24, z 9.42; the interval allows z of 4.93 to 5.27
    """
    check_level(level)
    check_choice("i2_from", i2_from, I2_SOURCES)
    for name, given in (("trials", trials), ("outcomes", outcomes)):
        if given is not None and not isinstance(given, pd.DataFrame):
            raise MetapeerError(f"{name} is a {type(given).__name__}, not a DataFrame")
    rows = _read(table)
    from_q, test_based = knows_i2_from_q(rows), knows_test_based(rows)
    if i2_from != "either":
        from_q = [i2_from == "Q"] * len(rows)
    examined = [
        _examine(row, level=level, from_q=one, test_based=other)
        for row, one, other in zip(rows, from_q, test_based, strict=True)
    ]
    between = [
        *check_duplicates(rows),
        *check_directions(rows),
        *check_odds_and_risks(rows),
        *check_weights(rows),
        *check_trials(rows, trials, outcomes),
    ]
    findings = [one for found in examined for one in found.findings] + between
    if i2_from == "tau2":
        findings = [one for one in findings if one.check != "i2_against_q"]
    accused = {place for one in findings if one.severity != "remark" for place in one.rows}
    verdicts: list[Verdict] = []
    for i, found in enumerate(examined):
        unchecked: Verdict = "consistent" if found.comparisons else "cannot be checked"
        verdicts.append("inconsistent" if i in accused else unchecked)
    order = {"error": 0, "suspicion": 1, "remark": 2}
    return PublishedAudit(
        source=str(table.attrs.get("source", "the table")),
        names=tuple(row.name for row in rows),
        printed=tuple(_words(row) for row in rows),
        level=level,
        verdicts=tuple(verdicts),
        readings=tuple(found.readings for found in examined),
        comparisons=tuple(one for found in examined for one in found.comparisons),
        findings=tuple(sorted(findings, key=lambda one: (order[one.severity], one.rows))),
    )


def _examine(row: PrintedResult, *, level: float, from_q: bool, test_based: bool) -> Examined:
    """Run every check of one row."""
    test = check_test(row, level)
    parts = [
        check_impossible(row),
        check_interval(row),
        test,
        check_participants(row, normal=test.normal, level=level),
        check_heterogeneity(row, from_q=from_q, test_based=test_based),
        check_tau2(row, normal=test.normal, level=level),
        check_prediction(row, normal=test.normal, level=level),
    ]
    return Examined(
        comparisons=tuple(one for part in parts for one in part.comparisons),
        findings=tuple(one for part in parts for one in part.findings),
        readings=test.readings,
        normal=test.normal,
    )


def _words(row: PrintedResult) -> str:
    """Write a result as a paper would, with its digits."""
    words = " ".join(text for text in (row.text("es_type") if row.text("es") else "", row.text("es")) if text)
    if row.text("ci_low") or row.text("ci_high"):
        words += f" ({row.text('ci_low')} to {row.text('ci_high')})"
    names = (("z", "z"), ("p", "p"), ("k", "k"), ("n", "n"), ("q", "Q"), ("q_df", "df"), ("i2", "I²"), ("tau2", "τ²"))
    more = [f"{name} {row.text(column)}" for column, name in names if row.text(column)]
    return ", ".join(text for text in (words, *more) if text)


def _read(table: pd.DataFrame) -> list[PrintedResult]:
    """Read the rows, or say why they cannot be."""
    if not isinstance(table, pd.DataFrame):
        raise MetapeerError(f"table is a {type(table).__name__}, not a DataFrame")
    source = str(table.attrs.get("source", "the table"))
    columns = [str(column).strip() for column in table.columns]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise DataError(source, [Fault(column=column, message="stands there twice") for column in twice])
    cells = {column: table[label].tolist() for column, label in zip(columns, table.columns, strict=True)}
    faults = [
        Fault(column=column, message="holds floats, whose printed digits are lost; read the table with dtype=str")
        for column, values in cells.items()
        if column in ROUNDED and any(_is_float(value) for value in values)
    ]
    if faults:
        raise DataError(source, faults)
    texts = {column: [_text(value) for value in values] for column, values in cells.items()}
    names = _names(texts, len(table))
    return [read_result(i, names[i], {column: texts[column][i] for column in columns}) for i in range(len(table))]


def _is_float(value: object) -> bool:
    return isinstance(value, float) and not math.isnan(value)


def _text(value: object) -> str:
    """Write a cell as text; a missing one is empty, and a whole float, as k becomes in a column with gaps, is whole."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _names(texts: dict[str, list[str]], size: int) -> Sequence[str]:
    ids = texts.get("published_id") or [""] * size
    outcomes, reviews = texts.get("outcome") or [""] * size, texts.get("review") or [""] * size
    return [
        name or ": ".join(part for part in (review, outcome) if part) or f"row {i + 1}"
        for i, (name, review, outcome) in enumerate(zip(ids, reviews, outcomes, strict=True))
    ]
