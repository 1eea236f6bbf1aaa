"""plan.toml, read and checked: every fault of a plan is told at once, with what would do."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias

import pandas as pd

from metapeer.errors import ChoiceError, DataError, Fault, check_choice
from metapeer.records.columns import numbers
from metapeer.records.decode import shown
from metapeer.records.schema import FORMATS, OUTCOMES
from metapeer.reproduction.plan import (
    PREFER,
    Analysis,
    Claims,
    Method,
    Missing,
    Plan,
    Question,
    Rows,
    Transcription,
    Variant,
)

__all__ = ["read_plan"]

Section: TypeAlias = Mapping[str, Any]

SECTIONS = ("method", "analysis", "variant", "missing", "question", "claims", "transcription")
METHOD = tuple(field.name for field in fields(Method))
ROWS = ("datasets", "where", "where_not")
OVERRIDES = ("apply", "leave_out")
STANDARDISED = ("SMD", "SMDH")
KINDS = {str: "text", bool: "true or false", float: "a number from 0 to 1"}


class _Reader:
    """Takes values out of a plan and notes every fault."""

    def __init__(self, name: str, published_ids: tuple[str, ...], rows_of: Callable[[Rows], pd.DataFrame]) -> None:
        self.name = name
        self.published_ids = published_ids
        self.rows_of = rows_of
        self.faults: list[Fault] = []
        self.spoken_for: dict[str, str] = {}

    def fault(self, where: str, message: str) -> None:
        self.faults.append(Fault(row=where, message=message))

    def choose(self, where: str, name: str, value: str, known: tuple[str, ...]) -> str:
        """Return a value that is known, or note the fault and return nothing."""
        try:
            return check_choice(name, value, known)
        except ChoiceError as error:
            self.fault(where, str(error))
            return ""

    def keys(self, where: str, table: Section, known: tuple[str, ...]) -> None:
        for key in table:
            self.choose(where, "key", key, known)

    def section(self, plan: Section, key: str) -> Section | None:
        """Return a section that stands once, None when there is none."""
        if key not in plan:
            return None
        if not isinstance(plan[key], dict):
            self.fault(key, f"must be written as [{key}]")
            return None
        found: Section = plan[key]
        return found

    def sections(self, plan: Section, key: str) -> list[tuple[str, Section]]:
        """Return the sections that may stand several times, each with its name in messages."""
        value = plan.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fault(key, f"must be written as [[{key}]]")
            return []
        return [(f"{key} {i}", item) for i, item in enumerate(value, start=1)]

    def text(self, where: str, table: Section, key: str, *, required: bool = False) -> str:
        value: object = table.get(key, "")
        if not isinstance(value, str):
            self.fault(where, f"{key} must be text, not {shown(repr(value))}")
            return ""
        if required and not value.strip():
            self.fault(where, f"{key} is missing")
        return value

    def texts(self, where: str, table: Section, key: str, *, required: bool = False) -> tuple[str, ...]:
        value = table.get(key, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
            self.fault(where, f"{key} must be text or a list of texts, not {shown(repr(value))}")
            return ()
        if required and not values:
            self.fault(where, f"{key} is missing")
        return tuple(values)

    def one_of(self, where: str, table: Section, key: str, known: tuple[str, ...]) -> str:
        value = self.text(where, table, key)
        return self.choose(where, key, value, known) if value else ""

    def whole_number(self, where: str, table: Section, key: str) -> int:
        value: object = table.get(key)
        if type(value) is not int or value < 1:
            self.fault(where, f"{key} must be a whole number of at least 1, not {shown(repr(value))}")
            return 1
        return value

    def conditions(self, where: str, table: Section, key: str) -> dict[str, tuple[str, ...]]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            self.fault(where, f"{key} must be a table of columns and values, not {shown(repr(value))}")
            return {}
        return {column: self.texts(f"{where}, {key}", value, column) for column in value}

    def rows(self, where: str, table: Section, *, by: tuple[str, ...] = ()) -> Rows:
        """Read which rows are meant, and look whether there are any."""
        before = len(self.faults)
        rows = Rows(
            datasets=self.texts(where, table, "datasets") or (self.name,),
            where=self.conditions(where, table, "where"),
            where_not=self.conditions(where, table, "where_not"),
        )
        if len(self.faults) > before:
            return rows
        try:
            frame = self.rows_of(Rows(datasets=rows.datasets))
        except ChoiceError as error:
            self.fault(where, str(error))
            return rows
        for problem in rows.problems(frame):
            self.fault(where, problem)
        for column in by:
            self.choose(where, "by", column, tuple(map(str, frame.columns)))
        return rows

    def method(self, where: str, table: Section, base: Method) -> Method:
        given: dict[str, Any] = {}
        for key in (key for key in METHOD if key in table):
            value, kind = table[key], type(getattr(base, key))
            if kind is float and type(value) is int and abs(value) <= 1:
                value = float(value)
            if type(value) is kind:
                given[key] = value
            else:
                self.fault(where, f"{key} must be {KINDS[kind]}, not {shown(repr(value))}")
        method = replace(base, **given)
        common = base.problems()
        for problem in method.problems():
            if problem not in common:
                self.fault(where, problem)
        if "rho" in given and math.isnan(method.rho):
            self.fault(where, "rho must be a correlation from 0 to 1, not nan")
        return method

    def published(self, where: str, ids: tuple[str, ...], *, once: bool) -> tuple[str, ...]:
        """Check that results are in published.csv and, if asked, that no other part of the plan deals with them."""
        for one in ids:
            if one not in self.published_ids:
                self.choose(where, "published_id", one, self.published_ids)
            elif once and self.spoken_for.setdefault(one, where) != where:
                self.fault(where, f"published_id {one!r} stands in {self.spoken_for[one]}, too; one of them is enough")
        return ids

    def cells(self, where: str, table: Section) -> dict[str, float]:
        """Read cells to be set in all rows: numbers that outcomes.csv could hold."""
        value = table.get("cells", {})
        if not isinstance(value, dict):
            self.fault(where, f"cells must be a table of columns and numbers, not {shown(repr(value))}")
            return {}
        numeric = tuple(field.name for field in OUTCOMES.fields if field.type in ("integer", "number"))
        found: dict[str, float] = {}
        for column, cell in value.items():
            if not self.choose(where, "cells: column", column, numeric):
                continue
            if type(cell) not in (int, float):
                self.fault(where, f"cells: {column} must be a number, not {shown(repr(cell))}")
                continue
            read, faults = numbers(OUTCOMES[column], [repr(cell)], mark=".", separator=",", missing=frozenset())
            for fault in faults:
                self.fault(where, f"cells: {column}: {fault.message}")
            found[column] = float(read[0])
        return found

    def analysis(self, where: str, table: Section, base: Method) -> Analysis:
        self.keys(where, table, ("published_id", "sign", "note", *ROWS, *METHOD))
        sign = table.get("sign", 1)
        if type(sign) is not int or abs(sign) != 1:
            self.fault(where, f"sign must be 1 or -1, not {shown(repr(sign))}")
            sign = 1
        published_id = self.text(where, table, "published_id", required=True)
        if published_id:
            self.published(where, (published_id,), once=True)
        return Analysis(
            published_id=published_id,
            rows=self.rows(where, table),
            method=self.method(where, table, base),
            sign=sign,
            note=self.text(where, table, "note"),
        )

    def variant(self, where: str, table: Section, analysed: tuple[str, ...]) -> Variant:
        self.keys(where, table, ("name", "reason", "published_id", "overrides", "prefer", "cells"))
        before = len(self.faults)
        variant = Variant(
            name=self.text(where, table, "name", required=True),
            reason=self.text(where, table, "reason", required=True),
            published_ids=self.published(where, self.texts(where, table, "published_id"), once=False),
            overrides=self.one_of(where, table, "overrides", OVERRIDES),
            prefer=self.one_of(where, table, "prefer", PREFER),
            cells=self.cells(where, table),
        )
        if len(self.faults) == before:
            if not (variant.overrides or variant.prefer or variant.cells):
                self.fault(where, "changes nothing; give overrides, prefer or cells")
            for one in variant.published_ids:
                if one not in analysed:
                    self.fault(where, f"published_id {one!r} has no [[analysis]] to vary")
        return variant

    def missing(self, where: str, table: Section) -> Missing:
        self.keys(where, table, ("published_id", "reason"))
        return Missing(
            published_ids=self.published(where, self.texts(where, table, "published_id", required=True), once=True),
            reason=self.text(where, table, "reason", required=True),
        )

    def question(self, where: str, table: Section, base: Method) -> Question:
        self.keys(where, table, ("title", "by", "tau2", "overrides", *ROWS, *METHOD))
        by = self.texts(where, table, "by", required=True)
        return Question(
            title=self.text(where, table, "title", required=True),
            by=by,
            rows=self.rows(where, table, by=by),
            method=self.method(where, table, base),
            tau2=self.one_of(where, table, "tau2", ("separate", "common")) or "separate",
            overrides=self.one_of(where, table, "overrides", OVERRIDES),
        )

    def claims(self, table: Section, base: Method) -> Claims:
        self.keys("claims", table, (*ROWS, *METHOD))
        method = self.method("claims", table, base)
        if method.measure not in STANDARDISED:
            self.fault(
                "claims",
                f"measure must be {' or '.join(STANDARDISED)}, not {method.measure!r}: the rule for claims speaks of "
                "standardised mean differences",
            )
        return Claims(rows=self.rows("claims", table), method=method)

    def transcription(self, table: Section) -> Transcription:
        where = "transcription"
        self.keys(where, table, ("trials", "participants", "format", "source"))
        self.text(where, table, "source", required=True)
        return Transcription(
            trials=self.whole_number(where, table, "trials"),
            participants=self.whole_number(where, table, "participants"),
            format=self.one_of(where, table, "format", FORMATS),
        )


def read_plan(
    raw: Section, *, name: str, published_ids: tuple[str, ...], rows_of: Callable[[Rows], pd.DataFrame]
) -> Plan:
    """Check the content of a plan.toml.

    Parameters
    ----------
    raw : mapping
        The parsed file.
    name : str
        The data set it belongs to.
    published_ids : tuple of str
        The results that the data set has.
    rows_of : callable
        Gives the rows that a `Rows` asks for; raises ChoiceError for a data set that does not exist.

    Returns
    -------
    Plan
        Ready to run.

    Raises
    ------
    DataError
        Listing everything that is wrong.

    Examples
    --------
    >>> read_plan({"method": {"i2": "tau"}}, name="mine", published_ids=(), rows_of=lambda rows: None)
    Traceback (most recent call last):
    metapeer.errors.DataError: mine/plan.toml has 1 problem
      method: i2 'tau' is unknown. Did you mean 'tau2'? Known: Q, tau2
    """
    reader = _Reader(name, published_ids, rows_of)
    reader.keys("plan.toml", raw, SECTIONS)
    section = reader.section(raw, "method") or {}
    reader.keys("method", section, (*METHOD, "source"))
    reader.text("method", section, "source")
    base = reader.method("method", section, Method())
    analyses = tuple(reader.analysis(where, table, base) for where, table in reader.sections(raw, "analysis"))
    analysed = tuple(analysis.published_id for analysis in analyses)
    variants = tuple(reader.variant(where, table, analysed) for where, table in reader.sections(raw, "variant"))
    missing = tuple(reader.missing(where, table) for where, table in reader.sections(raw, "missing"))
    questions = tuple(reader.question(where, table, base) for where, table in reader.sections(raw, "question"))
    claims, transcription = reader.section(raw, "claims"), reader.section(raw, "transcription")
    plan = Plan(
        method=base,
        analyses=analyses,
        variants=variants,
        missing=missing,
        questions=questions,
        claims=None if claims is None else reader.claims(claims, base),
        transcription=None if transcription is None else reader.transcription(transcription),
    )
    titles = [question.title for question in questions]
    for title in dict.fromkeys(title for title in titles if title and titles.count(title) > 1):
        reader.fault("question", f"{title!r} stands {titles.count(title)} times; give each its own title")
    if reader.faults:
        raise DataError(f"{name}/plan.toml", reader.faults)
    return plan
