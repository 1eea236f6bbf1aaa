"""From the TABLE that was named to what is pooled: its rows, those that were asked for, and their effects."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import metapeer as mp
from metapeer.command_options import OPTION_NAMES, EffectOptions, Given, Model, RowOptions, Sharing
from metapeer.errors import ChoiceError, DataError, DataWarning, Fault, MetapeerError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LARGEST",
    "doubts_told_once",
    "file_or_review",
    "find_column",
    "find_effects",
    "find_rows",
    "number_or_word",
    "pool_effects",
    "pooling_choices",
    "row_effects",
    "tell_unadjusted",
]

DESIGNS = ("cluster", "crossover")
UNIT = "unit_of_analysis"
PEOPLE = ("n1", "n2", "events1", "events2", "total1", "total2")
LARGEST = 1e50  # the fifth power of a number, and its inverse, still are numbers


def _did_you_mean(value: str, known: Sequence[str]) -> str:
    close = get_close_matches(value, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def find_column(frame: "pd.DataFrame", name: str, option: str) -> "pd.Series[Any]":
    """Find a column that an option names.

    Parameters
    ----------
    frame : DataFrame
        The table.
    name : str
        What was typed.
    option : str
        Where it was typed.

    Returns
    -------
    Series
        The column.

    Raises
    ------
    MetapeerError
        If there is none of that name.
    """
    known = [str(column) for column in frame.columns]
    if name not in known:
        raise MetapeerError(
            f"{option}: there is no column {name!r}.{_did_you_mean(name, known)} Columns: {', '.join(known)}"
        )
    return frame[name]


def file_or_review(table: str) -> "Path | mp.Review":
    """Tell whether a file is meant, or a data set.

    Parameters
    ----------
    table : str
        What was typed.

    Returns
    -------
    Path or Review
        The file, which need not exist; or the data set.

    Raises
    ------
    MetapeerError
        If it is empty, or neither.
    """
    if not table:
        raise MetapeerError("TABLE is empty; give a file, a folder or a data set")
    try:
        path = Path(table)
        folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):  # a name that no file can have
        folder = exists = False
    if not folder and (exists or Path(table).suffix):
        return Path(table)
    try:
        return mp.load_dataset(table)
    except ChoiceError as error:
        raise ChoiceError(f"there is no file {table!r}, and {error}") from None


def _read(table: str, reading: Mapping[str, Any]) -> "pd.DataFrame":
    """Read a file, or the rows of a data set."""
    found = file_or_review(table)
    if isinstance(found, Path):
        return mp.read_outcomes(table, **reading)
    rows = found.rows()
    if reading:
        raise ChoiceError(f"{next(iter(reading))} has no effect with a data set; leave it out")
    return rows


def _keep(frame: "pd.DataFrame", condition: str) -> "pd.Series[bool]":
    """Tell which rows a ``--where`` keeps; a value that no row has is more likely a slip than a wish."""
    import pandas as pd
    from pandas.api.types import is_numeric_dtype

    name, equals, listed = condition.partition("=")
    if not equals:
        raise MetapeerError(f"--where {condition!r}: write COLUMN=VALUE, such as format=group")
    column = find_column(frame, name.removesuffix("!").strip(), "--where")
    cells = column.map(lambda cell: "" if pd.isna(cell) else f"{cell:.15g}" if isinstance(cell, float) else str(cell))
    known = sorted(cells.unique().tolist())
    wanted = [value.strip() for value in listed.split("|")]
    if is_numeric_dtype(column):
        wanted = [_number_text(value) for value in wanted]
    for value in wanted:
        if value not in known:
            shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            raise MetapeerError(
                f"--where {condition!r}: no row has {value!r}.{_did_you_mean(value, known)} "
                f"Column {column.name} has: {shown}"
            )
    found = cells.isin(wanted)
    return ~found if name.endswith("!") else found


def _number_text(text: str) -> str:
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return text


def find_rows(table: str, options: RowOptions) -> "pd.DataFrame":
    """Find the rows that were asked for.

    Parameters
    ----------
    table : str
        A file, a data set or a folder like one.
    options : RowOptions
        Which of its rows.

    Returns
    -------
    DataFrame
        As the file has them.

    Raises
    ------
    MetapeerError
        If a column or value does not exist.
    """
    whole = _read(table, options.given("where"))
    kept = whole
    for condition in options.where or ():
        kept = kept[_keep(whole, condition).loc[kept.index]]
    if kept.empty and len(whole):
        raise MetapeerError(f"--where {' --where '.join(map(repr, options.where or ()))}: no row has all of these")
    return kept


def find_effects(
    table: str, rows: RowOptions, options: EffectOptions, by: Sequence[str] = (), *, designs_told: bool = True
) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Find the rows that were asked for, with their effects as the file has them or computed.

    Parameters
    ----------
    table : str
        A file, a data set or a folder like one.
    rows : RowOptions
        Which of its rows.
    options : EffectOptions
        How effects are computed.
    by : sequence of str, default ()
        Columns that make subgroups; averaging within trials keeps them apart.
    designs_told : bool, default True
        As in `row_effects`.

    Returns
    -------
    frame : DataFrame
        The rows with ``yi`` and its error.
    known : dict
        What else is known of the effects: arguments for pooling.

    Raises
    ------
    MetapeerError
        If a column or value does not exist, or an option would have no effect.
    """
    frame = find_rows(table, rows)
    for name in by:
        find_column(frame, name, "--by")
    return row_effects(frame, table, options, by, designs_told=designs_told)


def _adjusted(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Adjust cluster trials by the design that is recorded of them; a column of other words is nobody's design."""
    if "design" not in frame or not frame["design"].isin(DESIGNS).any():
        return frame
    from metapeer.reproduction.recorded_designs import adjust_by_design

    return adjust_by_design(frame)


def tell_unadjusted(frame: "pd.DataFrame", what: str) -> None:
    """Warn of cluster trials where their design is not allowed for.

    Parameters
    ----------
    frame : DataFrame
        From `find_rows`.
    what : str
        What takes the rows as they stand.
    """
    if "design" not in frame:
        return
    names = list(dict.fromkeys(frame.loc[frame["design"] == "cluster", "study_id"].astype(str)))
    if names:
        text = f"{', '.join(names)}: cluster trials, which {what} takes as if people had been randomised one by one"
        warnings.warn(text, DataWarning, stacklevel=2)


def _design_words(frame: "pd.DataFrame") -> tuple[str, ...]:
    if UNIT not in frame:
        return ()
    from metapeer.reproduction.recorded_designs import design_notes

    return design_notes(frame)


def row_effects(
    frame: "pd.DataFrame", table: str, options: EffectOptions, by: Sequence[str] = (), *, designs_told: bool = True
) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Give rows their effects, as the file has them or computed, and cluster trials the adjustment they call for.

    Parameters
    ----------
    frame : DataFrame
        From `find_rows`.
    table : str
        What to call it.
    options, by
        As in `find_effects`.
    designs_told : bool, default True
        Whether to warn of what was adjusted by its design, and what was not; `pool_effects` puts it in the notes.

    Returns
    -------
    frame : DataFrame
        The rows with ``yi`` and its error.
    known : dict
        What else is known of the effects: arguments for pooling.

    Raises
    ------
    MetapeerError
        If an option would have no effect.
    """
    known: dict[str, Any] = {}
    given, frame = frame, _adjusted(frame)
    if "yi" in frame and {"vi", "sei"} & set(frame.columns):
        known = {"measure": options.measure} if options.measure else {}
        idle = [OPTION_NAMES[name] for name in options.given("measure", "average")]
        if idle:
            raise MetapeerError(
                f"{table} has ready-made effects (yi), so {' and '.join(idle)} would have no effect; leave "
                f"{'it' if len(idle) == 1 else 'them'} out, or take the column yi away to have effects computed"
            )
    else:
        choices = options.given("average")
        if "add" in choices:
            choices["add"] = number_or_word(choices["add"])
        frame = mp.effect_size(frame, **choices)
        if UNIT in frame:
            # Participants are people, whatever the design leaves of them.
            people = [name for name in PEOPLE if name in given]
            frame = frame.assign(**{name: given.loc[frame.index, name] for name in people})
    if designs_told:
        for text in _design_words(frame):
            warnings.warn(text, DataWarning, stacklevel=2)
    _refuse_extremes(frame)
    if options.average is not None:
        frame = mp.average_within_trial(frame, rho=options.average, by=["study_id", *by])
    return frame, known


def _refuse_extremes(frame: "pd.DataFrame") -> None:
    """Refuse effects whose powers no computer holds; only a slip can have made them."""
    faults = []
    for column in ("yi", "vi", "sei"):
        if column not in frame:
            continue
        size = frame[column].abs()
        beyond = (size > LARGEST) | ((size < 1 / LARGEST) & (size > 0) & (column != "yi"))
        for name, value in zip(frame.loc[beyond, "study_id"], frame.loc[beyond, column], strict=True):
            message = f"{value:g} is too {'large' if abs(value) > 1 else 'small'} to compute with; mend or scale it"
            faults.append(Fault(row=str(name), column=column, message=message))
    if faults:
        raise DataError(str(frame.attrs.get("source", "the table")), faults)


def number_or_word(text: str) -> float | str:
    """Read a number where there is one.

    Parameters
    ----------
    text : str
        What was typed.

    Returns
    -------
    float or str
        The number, or the text as it is.
    """
    try:
        return float(text)
    except ValueError:
        return text


def pooling_choices(options: Given, tau2: Sharing | None = None) -> dict[str, Any]:
    """Collect what to pass on to pooling; an option that could have no effect is refused.

    Parameters
    ----------
    options : Given
        What was typed, with a model.
    tau2 : Sharing, optional
        Whether subgroups share a between-study variance, where that was typed.

    Returns
    -------
    dict
        Arguments of `meta_analysis`, `subgroup_analysis` or `meta_regression`.

    Raises
    ------
    ChoiceError
        If an option has no effect with the others.
    """
    choices: dict[str, Any] = options.given() | ({} if tau2 is None else {"tau2": tau2})
    if choices.get("model") == Model.common:
        for name in ("tau2_method", "prediction_method", "tau2_ci_method", "preset", "tau2"):
            if name in choices:
                raise ChoiceError(f"{name} has no effect with --model common, which has no tau²; leave it out")
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in choices.items()}


@contextmanager
def doubts_told_once(*, notes_shown: bool) -> Iterator[None]:
    """Silence the warnings that say the same as the notes of a result, where those are printed.

    Parameters
    ----------
    notes_shown : bool
        Whether they are.

    Yields
    ------
    None
        While the result is computed.
    """
    with warnings.catch_warnings():
        if notes_shown:
            warnings.simplefilter("ignore", DataWarning)
        yield


def pool_effects(
    effects: "pd.DataFrame", choices: Mapping[str, Any], by: Sequence[str], *, notes_shown: bool
) -> "mp.MetaAnalysisResult | mp.SubgroupAnalysisResult":
    """Pool; where the notes of the result are printed, the warnings that say the same are not.

    Parameters
    ----------
    effects : DataFrame
        From `find_effects`.
    choices : mapping
        From `pooling_choices`.
    by : sequence of str
        Columns that make subgroups; none to pool all together.
    notes_shown : bool
        Whether the notes are printed.

    Returns
    -------
    MetaAnalysisResult or SubgroupAnalysisResult
        The latter where subgroups were asked for.
    """
    with doubts_told_once(notes_shown=notes_shown):
        found = mp.subgroup_analysis(effects, by=by, **choices) if by else mp.meta_analysis(effects, **choices)
    words = _design_words(effects)
    if not notes_shown:
        for text in words:
            warnings.warn(text, DataWarning, stacklevel=2)
    return replace(found, notes=(*found.notes, *words)) if words else found
