"""What a report is written from, and the variants in which it is pooled."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metapeer.formatting import count
from metapeer.living.folder import read_contents
from metapeer.living.update_states import changed_method
from metapeer.pooling.inference import CI_WORDS
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.records.review import Review
from metapeer.reporting.report_blocks import Choice, Pooled
from metapeer.reproduction.evidence import pool_effects
from metapeer.reproduction.plan import Method

__all__ = [
    "COMMON_WEIGHTS",
    "METHODS",
    "ROWS",
    "Material",
    "anchor",
    "method_choices",
    "variants",
    "way_of",
    "way_words",
    "why_not",
]

ROWS = (
    Choice(code="", words="as printed"),
    Choice(code="leave_out", words="left out"),
    Choice(code="apply", words="corrected"),
)
METHODS = (
    Choice(
        code="REML-HK",
        words="REML, Hartung-Knapp",
        changes={"model": "random", "tau2_method": "REML", "ci_method": "HK", "prediction_method": ""},
    ),
    Choice(
        code="PM-HK",
        words="Paule-Mandel, Hartung-Knapp",
        changes={"model": "random", "tau2_method": "PM", "ci_method": "HK", "prediction_method": ""},
    ),
    Choice(
        code="DL-z",
        words="DerSimonian-Laird, normal",
        changes={"model": "random", "tau2_method": "DL", "ci_method": "z", "prediction_method": ""},
    ),
    Choice(
        code="common-z",
        words="common effect, normal",
        changes={"model": "common", "tau2_method": "REML", "ci_method": "z", "prediction_method": ""},
    ),
)
SAME = ("model", "tau2_method", "ci_method")
COMMON_WEIGHTS = "common-effect weights"
"""What a result says of its weights when they have no tau2 although its interval has."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Everything a report is written from.

    Parameters
    ----------
    kind : {"bundled", "folder", "table", "fits"}
        What was given.
    name, title : str
        What it is called.
    review : Review or None
        The review, where there is one.
    given : str or Path or None
        What `reproduce` takes for it.
    datasets : tuple of str
        Other data sets whose rows are used.
    trials, rows : DataFrame
        The trials, and the rows with their effects: ``yi``, ``vi``, ``sei``, ``measure``, ``exclusion_reason`` and a
        ``key``; those of other data sets behind.
    corrections : DataFrame
        Recorded corrections of these rows.
    pooled : tuple of Pooled
        What is pooled.
    unpooled : tuple of (str, str)
        What cannot be pooled, and why.
    row_choices, method_choices : tuple of Choice
        The variants; the first is the plan's.
    method : Method or None
        How effects are computed; None for ready-made results.
    notes : tuple of str
        What a reader must know.
    """

    kind: str
    name: str
    title: str
    review: Review | None
    given: str | Path | None
    datasets: tuple[str, ...]
    trials: pd.DataFrame
    rows: pd.DataFrame
    corrections: pd.DataFrame
    pooled: tuple[Pooled, ...]
    unpooled: tuple[tuple[str, str], ...]
    row_choices: tuple[Choice, ...]
    method_choices: tuple[Choice, ...]
    method: Method | None
    notes: tuple[str, ...]

    def contents(self) -> dict[str, bytes]:
        """Read the files that the report rests on.

        Returns
        -------
        dict of str to bytes
            Name to content; nothing for tables and fits.
        """
        return {} if self.review is None else read_contents(self.review.path)

    @property
    def usable(self) -> pd.DataFrame:
        """The rows that outcomes are pooled from."""
        if not len(self.rows):
            return self.rows
        return self.rows[(self.rows["pooled"]) & (self.rows["exclusion_reason"].fillna("") == "")]


def method_choices(methods: Sequence[Method], *, why: str = "as planned") -> tuple[Choice, ...]:
    """Choose the methods that a report compares: the plan's own way first, then those that differ from it.

    Parameters
    ----------
    methods : sequence of Method
        Of all that is pooled.
    why : str, default "as planned"
        Why the first is the first.

    Returns
    -------
    tuple of Choice
        The first is the plan's.
    """
    ways = {(one.model, one.tau2_method, one.ci_method or ("HK" if one.model == "random" else "z")) for one in methods}
    if len(ways) != 1:
        return (Choice(code="", words="as planned for each"), *METHODS)
    own = ways.pop()
    model, tau2_method, ci_method = own
    if model == "common":  # it has no tau2, whatever a plan says of its estimator
        own = (model, "REML", ci_method)
    same = [choice for choice in METHODS if way_of(choice) == own]
    words = way_words(model, tau2_method, ci_method)
    return (Choice(code="", words=f"{words} ({why})"), *(choice for choice in METHODS if choice not in same))


def way_words(model: str, tau2_method: str, ci_method: str) -> str:
    """Name a way of pooling.

    Parameters
    ----------
    model, tau2_method, ci_method : str
        As in `meta_analysis`; a common effect has no estimator of tau2.

    Returns
    -------
    str
        As in `METHODS` where it is one of them.

    Examples
    --------
    >>> way_words("random", "REML", "HK"), way_words("common", "", "t"), way_words("random", "DL", "IVhet")
    ('REML, Hartung-Knapp', 'common effect, t', 'DL, IVhet')
    """
    if model == "common":
        return f"common effect, {CI_WORDS.get(ci_method, ci_method)}"
    known = (choice.words for choice in METHODS if way_of(choice) == (model, tau2_method, ci_method))
    return next(known, f"{tau2_method}, {CI_WORDS.get(ci_method, ci_method)}")


def way_of(choice: Choice) -> tuple[object, ...]:
    """Tell what a method does, so that it can be compared.

    Parameters
    ----------
    choice : Choice
        One of `METHODS`.

    Returns
    -------
    tuple of object
        Model, estimator and interval.
    """
    return tuple(choice.changes[name] for name in SAME)


def anchor(prefix: str, name: str, taken: set[str]) -> str:
    """Make a name for a link, different from those that are taken.

    Parameters
    ----------
    prefix, name : str
        What kind of thing, and what it is called.
    taken : set of str
        Names in use; the new one is added.

    Returns
    -------
    str
        Letters of ASCII, digits and hyphens.
    """
    words = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    base = key = f"{prefix}-{'-'.join(part for part in words.split('-') if part)}"[:60]
    number = 1
    while key in taken:
        number += 1
        key = f"{base}-{number}"
    taken.add(key)
    return key


def variants(
    effects: Mapping[str, pd.DataFrame | None], method: Method, choices: Sequence[Choice]
) -> Iterator[tuple[tuple[str, str], MetaAnalysisResult]]:
    """Pool rows in every variant.

    Parameters
    ----------
    effects : mapping of str to DataFrame or None
        For each way to treat suspicious rows the effects; None where nothing is left.
    method : Method
        Of the plan.
    choices : sequence of Choice
        What is changed in it.

    Yields
    ------
    (str, str) and MetaAnalysisResult
        The variant, and what came out; nothing where nothing can be pooled.
    """
    for rows, frame in effects.items():
        for choice in choices:
            fit = None if frame is None else pool_effects(frame, changed_method(method, choice.changes))
            if fit is not None:
                yield (rows, choice.code), fit


def why_not(effects: pd.DataFrame | None) -> str:
    """Say why rows cannot be pooled.

    Parameters
    ----------
    effects : DataFrame or None
        With an ``exclusion_reason``.

    Returns
    -------
    str
        Each reason with the number of its rows.
    """
    if effects is None or not len(effects):
        return "no row is left"
    reasons = effects["exclusion_reason"].fillna("").astype(str).value_counts()
    return "; ".join(f"{count(int(number), 'row')}: {reason}" for reason, number in reasons.items() if reason)
