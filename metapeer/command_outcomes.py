"""What `metapeer outcomes` and `metapeer classes` do with what was typed: several outcomes of the same trials."""

import re
from dataclasses import dataclass
from typing import Annotated

import metapeer as mp
from metapeer.command_input import doubts_told_once, find_rows, pooling_choices, row_effects
from metapeer.command_options import EffectOptions, Given, Level, PoolingOptions, RowOptions, option
from metapeer.errors import MetapeerError

__all__ = ["ClassOptions", "OutcomeOptions", "contrast_table", "pool_table"]

Rho = Annotated[
    float | None,
    option(
        "--rho",
        group="Pooling",
        metavar="NUMBER",
        text="Assumed correlation of two measurements of the same people; 0.6 by default.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeOptions(Given):
    """How outcomes are pooled one by one."""

    by: Annotated[
        list[str] | None,
        option(
            "--by",
            group="Rows",
            metavar="COLUMN",
            text="What makes an outcome; the column outcome by default. May be repeated, to cross columns.",
        ),
    ] = None
    rho: Rho = None
    adjust: Annotated[
        str | None,
        option(
            "--adjust",
            group="Pooling",
            metavar="NAME",
            text="Adjustment of the p values for several tests: holm (default), bonferroni, fdr_bh, ...",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOptions(Given):
    """How classes of outcomes are compared."""

    model: Annotated[
        str | None,
        option(
            "--model",
            group="Pooling",
            metavar="NAME",
            text="The main model: CHE (correlated and hierarchical effects; default), multivariate, three_level, "
            "paired, averaged, one_row or independent. The others are shown beside it.",
        ),
    ] = None
    rho: Rho = None
    comparisons: Annotated[
        str | None,
        option(
            "--comparisons",
            group="Pooling",
            metavar="NAME",
            text="Several comparisons of a trial whose arms are not named: shared_control (default) or independent.",
        ),
    ] = None
    arm_sizes: Annotated[
        str | None,
        option(
            "--arm-sizes",
            group="Pooling",
            metavar="NAME",
            text="Missing sizes of arms that rows share: needed (default: an error), or equal.",
        ),
    ] = None
    leave_one_out: Annotated[
        bool | None, option("--leave-one-out", group="Pooling", text="Leave out each trial in turn as well.")
    ] = None
    level: Level = None


def _refuse_average(effect: EffectOptions) -> None:
    if effect.average is not None:
        raise MetapeerError("--average has no effect here: effects of one trial are handled by --rho; leave it out")


def pool_table(
    table: str,
    rows: RowOptions,
    effect: EffectOptions,
    outcomes: OutcomeOptions,
    pooling: PoolingOptions,
    *,
    notes_shown: bool,
) -> "mp.OutcomesResult":
    """Pool each outcome of a table.

    Parameters
    ----------
    table : str
        A file, a data set or a folder like one.
    rows, effect, outcomes, pooling
        What was typed.
    notes_shown : bool
        Whether the notes of the result are printed.

    Returns
    -------
    OutcomesResult
        One pooled result for each outcome.
    """
    _refuse_average(effect)
    choices = pooling_choices(pooling) | outcomes.given()
    effects, known = row_effects(find_rows(table, rows), table, effect)
    if "outcome_class" not in effects:
        choices["group"] = None  # a table of one's own need not sort its outcomes under headings
    with doubts_told_once(notes_shown=notes_shown):
        return mp.pool_outcomes(effects, **known, **choices)


def contrast_table(
    table: str, rows: RowOptions, effect: EffectOptions, classes: ClassOptions, *, notes_shown: bool
) -> "mp.OutcomeClassContrast":
    """Contrast the classes of outcomes of a table.

    Parameters
    ----------
    table : str
        A file, a data set or a folder like one.
    rows, effect, classes
        What was typed.
    notes_shown : bool
        Whether the notes of the result are printed.

    Returns
    -------
    OutcomeClassContrast
        The differences, and what they come to under other assumptions.
    """
    _refuse_average(effect)
    effects, _ = row_effects(find_rows(table, rows), table, effect)
    try:
        with doubts_told_once(notes_shown=notes_shown):
            return mp.contrast_outcome_classes(effects, **classes.given())
    except MetapeerError as error:
        # The library's advice, as it is typed here.
        said = re.sub(r"arm_sizes='equal'", "--arm-sizes equal", str(error))
        raise MetapeerError(said) from None
