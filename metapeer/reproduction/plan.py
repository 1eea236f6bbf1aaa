"""What a review did, as data: `plan.toml` read and checked.

A plan has a ``[method]`` (how the review pooled), one ``[[analysis]]`` for each printed result that can be recomputed,
``[[variant]]`` s that are computed beside them, ``[[missing]]`` entries for results whose inputs are not available,
``[[question]]`` s asked of the rows beyond what the paper printed, and ``[claims]``: the rows that a claim in words is
set beside.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import pandas as pd

from metapeer.errors import DataError, Fault, MetapeerError, check_choice
from metapeer.pooling.models import MetaOptions, meta_options

__all__ = [
    "Analysis",
    "Claims",
    "Method",
    "Missing",
    "Plan",
    "Question",
    "Rows",
    "Transcription",
    "Variant",
    "read_plan",
]

I2_FORMS = ("Q", "tau2")
WITHIN_TRIAL = ("independent", "average")
PREFER = ("arms", "review", "reported")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How effects are computed and pooled.

    Parameters
    ----------
    measure, variance, prefer, events_to_smd
        As in `effect_size`.
    model, tau2_method, ci_method, prediction_method
        As in `meta_analysis`.
    i2 : {"Q", "tau2"}
        The form of I² that the review printed.
    within_trial : {"independent", "average"}
        Whether several effects of one trial are pooled as if independent or averaged first.
    rho : float
        Correlation assumed for the average.
    """

    measure: str = "SMD"
    variance: str = "metafor"
    prefer: str = "arms"
    events_to_smd: bool = False
    model: str = "random"
    tau2_method: str = "REML"
    ci_method: str = ""
    prediction_method: str = ""
    i2: str = "tau2"
    within_trial: str = "independent"
    rho: float = 0.6

    def options(self) -> MetaOptions:
        """The options of pooling, checked.

        Returns
        -------
        MetaOptions
            As `pool` takes them.
        """
        return meta_options(
            model=self.model,
            tau2_method=self.tau2_method,
            ci_method=self.ci_method or None,
            prediction_method=self.prediction_method or None,
            level=0.95,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Which rows are used.

    Parameters
    ----------
    datasets : tuple of str
        The data sets they stand in.
    where : mapping of column to tuple of str
        Values a cell may have.
    where_not : mapping of column to tuple of str
        Values a cell must not have.
    """

    datasets: tuple[str, ...]
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where_not: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def select(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the rows that fit.

        Parameters
        ----------
        frame : DataFrame
            Rows of the data sets, with a column ``dataset``.

        Returns
        -------
        DataFrame
            The rows that fit, in their order.

        Raises
        ------
        DataError
            If a column does not exist.
        """
        absent = [c for c in {**self.where, **self.where_not, "dataset": ()} if c not in frame]
        if absent:
            raise DataError("plan.toml", [f"rows has no column {column!r} to select by" for column in absent])
        keep = frame["dataset"].isin(self.datasets)
        for column, values in self.where.items():
            keep &= frame[column].astype(str).isin(values)
        for column, values in self.where_not.items():
            keep &= ~frame[column].astype(str).isin(values)
        return frame[keep]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A printed result that can be recomputed.

    Parameters
    ----------
    published_id : str
        Its row of published.csv.
    rows : Rows
        What is pooled.
    method : Method
        How.
    sign : int
        -1 when the review prints the effect with the opposite sign, otherwise 1.
    note : str
        What a reader of the ledger must know.
    """

    published_id: str
    rows: Rows
    method: Method
    sign: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The same analyses with one thing changed, computed beside them.

    Parameters
    ----------
    name, reason : str
        What is changed, and why.
    published_ids : tuple of str
        The analyses it belongs to; empty for all.
    overrides : str
        "apply" the recorded corrections, "leave_out" the rows that have one, or "" for neither.
    prefer : str
        As in `effect_size`; empty to leave it.
    cells : mapping of column to number
        Cells to set in all rows, such as other numbers of participants.
    """

    name: str
    reason: str
    published_ids: tuple[str, ...] = ()
    overrides: str = ""
    prefer: str = ""
    cells: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Printed results whose inputs are not available.

    Parameters
    ----------
    published_ids : tuple of str
        Their rows of published.csv.
    reason : str
        What is missing, and where to look.
    """

    published_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A subgroup analysis asked of the rows beyond what the paper printed.

    Parameters
    ----------
    title : str
        The question.
    by : tuple of str
        Columns that make the subgroups.
    tau2 : str
        "separate" or "common".
    rows : Rows
        What is pooled.
    method : Method
        How.
    overrides : str
        As in `Variant`.
    """

    title: str
    by: tuple[str, ...]
    rows: Rows
    method: Method
    tau2: str = "separate"
    overrides: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The rows that claims in words are set beside.

    Parameters
    ----------
    rows : Rows
        What counts as evidence; each claim's own format, outcome or class narrows it.
    method : Method
        How it is pooled.
    """

    rows: Rows
    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcription:
    """What is known of numbers that are still to be typed in from the paper.

    Parameters
    ----------
    trials, participants : int
        How many the review includes; no result can have more.
    format : str
        The format of peer support that the review is about; empty for all.
    """

    trials: int
    participants: int
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole plan.

    Parameters
    ----------
    method : Method
        How the review pooled.
    analyses, variants, missing, questions : tuple
        See the classes of these names.
    claims : Claims or None
        The evidence for claims in words.
    transcription : Transcription or None
        Limits for numbers typed in from the paper.
    """

    method: Method
    analyses: tuple[Analysis, ...] = ()
    variants: tuple[Variant, ...] = ()
    missing: tuple[Missing, ...] = ()
    questions: tuple[Question, ...] = ()
    claims: Claims | None = None
    transcription: Transcription | None = None


_METHOD_KEYS = tuple(f.name for f in fields(Method))
_ROWS_KEYS = ("datasets", "where", "where_not")


class _Reader:
    """Takes values out of a plan, collecting every fault."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.faults: list[Fault] = []

    def fault(self, where: str, message: str) -> None:
        self.faults.append(Fault(row=where, message=message))

    def known(self, where: str, table: Mapping[str, Any], keys: tuple[str, ...]) -> None:
        for key in table:
            if key not in keys:
                close = difflib.get_close_matches(key, keys, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                self.fault(where, f"key {key!r} is unknown.{hint}")

    def text(self, where: str, table: Mapping[str, Any], key: str, *, required: bool = False) -> str:
        value: object = table.get(key, "")
        if not isinstance(value, str):
            self.fault(where, f"{key} must be text, not {value!r}")
            return ""
        if required and not value:
            self.fault(where, f"{key} is missing")
        return value

    def number(self, where: str, table: Mapping[str, Any], key: str) -> int:
        value: object = table.get(key)
        if type(value) is not int or value < 1:
            self.fault(where, f"{key} must be a positive whole number, not {value!r}")
            return 0
        return value

    def texts(self, where: str, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            self.fault(where, f"{key} must be text or a list of texts, not {value!r}")
            return ()
        return tuple(values)

    def choice(self, where: str, table: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str:
        value = self.text(where, table, key)
        try:
            return check_choice(key, value, known) if value else ""
        except MetapeerError as error:
            self.fault(where, str(error))
            return ""

    def mapping(self, where: str, table: Mapping[str, Any], key: str) -> dict[str, tuple[str, ...]]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            self.fault(where, f"{key} must be a table of columns and values, not {value!r}")
            return {}
        return {column: self.texts(f"{where}.{key}", value, column) for column in value}

    def rows(self, where: str, table: Mapping[str, Any], own: str) -> Rows:
        return Rows(
            datasets=self.texts(where, table, "datasets") or (own,),
            where=self.mapping(where, table, "where"),
            where_not=self.mapping(where, table, "where_not"),
        )

    def method(self, where: str, table: Mapping[str, Any], base: Method) -> Method:
        given = {key: table[key] for key in _METHOD_KEYS if key in table}
        for key, value in list(given.items()):
            kind = type(getattr(base, key))
            if kind is float and type(value) is int:
                given[key] = float(value)
            elif type(value) is not kind:
                words = {str: "text", bool: "true or false", float: "a number"}[kind]
                self.fault(where, f"{key} must be {words}, not {value!r}")
                del given[key]
        method = replace(base, **given)
        try:
            check_choice("i2", method.i2, I2_FORMS)
            check_choice("within_trial", method.within_trial, WITHIN_TRIAL)
            check_choice("prefer", method.prefer, PREFER)
            method.options()
        except MetapeerError as error:
            self.fault(where, str(error))
        return method

    def tables(self, plan: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
        value = plan.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fault(key, f"must be written as [[{key}]]")
            return []
        return [(f"{key} {i}", item) for i, item in enumerate(value, start=1)]


def read_plan(raw: Mapping[str, Any], *, name: str, published_ids: tuple[str, ...]) -> Plan:
    """Check the content of a plan.toml.

    Parameters
    ----------
    raw : mapping
        The parsed file.
    name : str
        The data set it belongs to.
    published_ids : tuple of str
        The results that the data set has.

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
    >>> read_plan({"method": {"tau2_method": "RELM"}}, name="mine", published_ids=())
    Traceback (most recent call last):
    metapeer.errors.DataError: mine/plan.toml has 1 problem
      method: tau2_method 'RELM' is unknown. Did you mean 'REML'? Known: REML, ML, DL, PM, EB, HE, HS, SJ
    """
    reader = _Reader(f"{name}/plan.toml")
    reader.known("plan.toml", raw, ("method", "analysis", "variant", "missing", "question", "claims", "transcription"))
    section = raw.get("method", {})
    reader.known("method", section, (*_METHOD_KEYS, "source"))
    base = reader.method("method", section, Method())

    def published(where: str, ids: tuple[str, ...]) -> tuple[str, ...]:
        for one in ids:
            if one not in published_ids:
                close = difflib.get_close_matches(one, published_ids, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                reader.fault(where, f"published_id {one!r} is not in published.csv.{hint}")
        return ids

    analyses = []
    for where, table in reader.tables(raw, "analysis"):
        reader.known(where, table, ("published_id", "sign", "note", *_ROWS_KEYS, *_METHOD_KEYS))
        sign = table.get("sign", 1)
        if sign not in (1, -1):
            reader.fault(where, f"sign must be 1 or -1, not {sign!r}")
        analyses.append(
            Analysis(
                published_id=published(where, (reader.text(where, table, "published_id", required=True),))[0],
                rows=reader.rows(where, table, name),
                method=reader.method(where, table, base),
                sign=sign,
                note=reader.text(where, table, "note"),
            )
        )
    variants = []
    for where, table in reader.tables(raw, "variant"):
        reader.known(where, table, ("name", "reason", "published_id", "overrides", "prefer", "cells"))
        values = table.get("cells", {})
        if not isinstance(values, dict) or not all(type(v) in (int, float) for v in values.values()):
            reader.fault(where, "cells must be a table of columns and numbers")
            values = {}
        variants.append(
            Variant(
                name=reader.text(where, table, "name", required=True),
                reason=reader.text(where, table, "reason", required=True),
                published_ids=published(where, reader.texts(where, table, "published_id")),
                overrides=reader.choice(where, table, "overrides", ("apply", "leave_out")),
                prefer=reader.choice(where, table, "prefer", PREFER),
                cells={column: float(value) for column, value in values.items()},
            )
        )
    missing = []
    for where, table in reader.tables(raw, "missing"):
        reader.known(where, table, ("published_id", "reason"))
        missing.append(
            Missing(
                published_ids=published(where, reader.texts(where, table, "published_id")),
                reason=reader.text(where, table, "reason", required=True),
            )
        )
    questions = []
    for where, table in reader.tables(raw, "question"):
        reader.known(where, table, ("title", "by", "tau2", "overrides", *_ROWS_KEYS, *_METHOD_KEYS))
        questions.append(
            Question(
                title=reader.text(where, table, "title", required=True),
                by=reader.texts(where, table, "by"),
                rows=reader.rows(where, table, name),
                method=reader.method(where, table, base),
                tau2=reader.choice(where, table, "tau2", ("separate", "common")) or "separate",
                overrides=reader.choice(where, table, "overrides", ("apply", "leave_out")),
            )
        )
    claims = None
    if "claims" in raw:
        table = raw["claims"]
        reader.known("claims", table, (*_ROWS_KEYS, *_METHOD_KEYS))
        claims = Claims(rows=reader.rows("claims", table, name), method=reader.method("claims", table, base))
    transcription = None
    if "transcription" in raw:
        table = raw["transcription"]
        reader.known("transcription", table, ("trials", "participants", "format", "source"))
        transcription = Transcription(
            trials=reader.number("transcription", table, "trials"),
            participants=reader.number("transcription", table, "participants"),
            format=reader.text("transcription", table, "format"),
        )
    if reader.faults:
        raise DataError(reader.source, reader.faults)
    return Plan(
        method=base,
        analyses=tuple(analyses),
        variants=tuple(variants),
        missing=tuple(missing),
        questions=tuple(questions),
        claims=claims,
        transcription=transcription,
    )
