"""What `metapeer regress` does with what was typed: moderators found and read as numbers, effects regressed on them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import metapeer as mp
from metapeer.command_input import doubts_told_once, find_column, find_rows, pooling_choices, row_effects
from metapeer.command_options import (
    EffectOptions,
    Given,
    Level,
    ModelChoice,
    RowOptions,
    Tau2CiMethod,
    Tau2Method,
    option,
)
from metapeer.errors import DataWarning, MetapeerError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RegressionOptions", "regress_table"]

NUMBER_WITH_COMMA = r"\s*[-+]?\d+,\d+\s*"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionOptions(Given):
    """The moderators, and how effects depend on them."""

    moderators: Annotated[
        list[str] | None,
        option(
            "--moderator",
            group="Moderators",
            metavar="COLUMN",
            text="A column that effects may depend on: numbers give a slope, words are compared with a reference. May "
            "be repeated.",
        ),
    ] = None
    formula: Annotated[
        str | None,
        option(
            "--formula",
            group="Moderators",
            metavar="TEXT",
            text="Or a formula, such as 'year * C(format)'. It can call functions, so do not pass on a stranger's.",
        ),
    ] = None
    reference: Annotated[
        list[str] | None,
        option(
            "--reference",
            group="Moderators",
            metavar="COLUMN=VALUE",
            text="The value of a moderator that the others are compared with; the first in alphabetical order by "
            "default. May be repeated.",
        ),
    ] = None
    model: ModelChoice = None
    tau2_method: Tau2Method = None
    ci_method: Annotated[
        str | None,
        option(
            "--ci-method",
            group="Pooling",
            metavar="CODE",
            text="Tests and intervals: HK (Knapp-Hartung; default), HK_se (scale factor at least 1), t or z. For a "
            "common effect z (default) or t.",
        ),
    ] = None
    tau2_ci_method: Tau2CiMethod = None
    level: Level = None


def regress_table(
    table: str, rows: RowOptions, effect: EffectOptions, options: RegressionOptions, *, notes_shown: bool
) -> "mp.MetaRegressionResult":
    """Regress the effects of a table on moderators.

    Parameters
    ----------
    table : str
        A file, a data set or a folder like one.
    rows, effect, options
        What was typed.
    notes_shown : bool
        Whether the notes of the result are printed.

    Returns
    -------
    MetaRegressionResult
        Of the rows that have all moderators.

    Raises
    ------
    MetapeerError
        If no moderator is named, a column does not exist, or the table cannot be used.
    """
    choices = pooling_choices(options)
    if (options.moderators is None) == (options.formula is None):
        raise MetapeerError("give either --moderator, once or several times, or --formula")
    if options.reference is not None:
        choices["reference"] = _references(options.reference)
    frame = find_rows(table, rows)
    names = _columns(frame, options)
    for name in choices.get("reference", {}):
        if name not in names:
            raise MetapeerError(f"--reference {name}=...: {name!r} is not a moderator. Moderators: {', '.join(names)}")
    # Other columns of a file are words to its reader; a moderator that holds numbers is meant as numbers.
    frame = frame.assign(**{name: _numbers(frame[name]) for name in names})
    effects, known = row_effects(frame, table, effect, by=names)
    with doubts_told_once(notes_shown=notes_shown):
        return mp.meta_regression(effects, **known, **choices)


def _columns(frame: "pd.DataFrame", options: RegressionOptions) -> list[str]:
    from metapeer.pooling.design import formula_columns

    if options.formula is not None:
        return formula_columns(options.formula, [str(column) for column in frame.columns])
    names = list(dict.fromkeys(options.moderators or ()))
    for name in names:
        find_column(frame, name, "--moderator")
    return names


def _references(typed: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in typed:
        name, equals, level = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise MetapeerError(f"--reference {text!r}: write COLUMN=VALUE, such as format=group")
        if name in found:
            raise MetapeerError(f"--reference {text!r}: {name} has a reference already, {found[name]}")
        found[name] = level
    return found


def _numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Turn words into numbers where all of them are; where some are, say that they are not."""
    import pandas as pd

    from metapeer.records.columns import MISSING, NAMIBIA

    if pd.api.types.is_numeric_dtype(column):
        return column
    cells = column.fillna("").astype(str).str.strip()
    codes = {""} if column.name == NAMIBIA[0] else MISSING
    cells = cells.where(~cells.str.casefold().isin(codes), "")
    filled = cells[cells != ""]
    numbers = pd.to_numeric(filled, errors="coerce").astype(float)
    words = filled[numbers.isna()]
    if words.empty:
        return numbers.reindex(column.index)
    if len(words) < len(filled) or words.str.fullmatch(NUMBER_WITH_COMMA).any():
        warnings.warn(
            f"moderator {column.name}: {words.iloc[0]!r} is not a number, so that all its values are taken as words",
            DataWarning,
            stacklevel=2,
        )
    return cells
