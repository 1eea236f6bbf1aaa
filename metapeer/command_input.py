"""From the TABLE that was named to what is pooled: its rows, those that were asked for, and their effects."""

import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import metapeer as mp
from metapeer.command_options import OPTION_NAMES, EffectOptions, Model, PoolingOptions, RowOptions, Sharing
from metapeer.errors import ChoiceError, DataWarning, MetapeerError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fitted", "pooling_choices", "read_effects"]


def _did_you_mean(value: str, known: Sequence[str]) -> str:
    close = get_close_matches(value, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _column(frame: "pd.DataFrame", name: str, option: str) -> "pd.Series[Any]":
    known = [str(column) for column in frame.columns]
    if name not in known:
        raise MetapeerError(
            f"{option}: there is no column {name!r}.{_did_you_mean(name, known)} Columns: {', '.join(known)}"
        )
    return frame[name]


def _read(table: str, reading: Mapping[str, Any]) -> "pd.DataFrame":
    """Read a file, or the rows of a data set."""
    if not table:
        raise MetapeerError("TABLE is empty; give a file, a folder or a data set")
    try:
        path = Path(table)
        folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):  # a name that no file can have
        folder = exists = False
    if not folder and (exists or Path(table).suffix):
        return mp.read_outcomes(table, **reading)
    try:
        rows = mp.load_dataset(table).rows()
    except ChoiceError as error:
        raise ChoiceError(f"there is no file {table!r}, and {error}") from None
    if reading:
        raise ChoiceError(f"{next(iter(reading))} has no effect with a data set; leave it out")
    return rows


def _keep(frame: "pd.DataFrame", condition: str) -> "pd.Series[bool]":
    """Tell which rows a ``--where`` keeps; a value that no row has is more likely a slip than a wish."""
    from pandas.api.types import is_numeric_dtype

    name, equals, listed = condition.partition("=")
    if not equals:
        raise MetapeerError(f"--where {condition!r}: write COLUMN=VALUE, such as format=group")
    column = _column(frame, name.removesuffix("!").strip(), "--where")
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


def _rows(table: str, options: RowOptions) -> "pd.DataFrame":
    whole = _read(table, options.given("where"))
    kept = whole
    for condition in options.where or ():
        kept = kept[_keep(whole, condition).loc[kept.index]]
    if kept.empty and len(whole):
        raise MetapeerError(f"--where {' --where '.join(map(repr, options.where or ()))}: no row has all of these")
    return kept


def read_effects(
    table: str, rows: RowOptions, options: EffectOptions, by: Sequence[str] = ()
) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Rows with effects, as the file has them or computed, and what else is known of them."""
    frame = _rows(table, rows)
    for name in by:
        _column(frame, name, "--by")
    known: dict[str, Any] = {}
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
            choices["add"] = _number_or_word(choices["add"])
        frame = mp.effect_size(frame, **choices)
    if options.average is not None:
        frame = mp.average_within_trial(frame, rho=options.average, by=["study_id", *by])
    return frame, known


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def pooling_choices(options: PoolingOptions, tau2: Sharing | None = None) -> dict[str, Any]:
    """What to pass on; an option that could have no effect is refused."""
    choices: dict[str, Any] = options.given() | ({} if tau2 is None else {"tau2": tau2})
    if options.model == Model.common:
        for name in ("tau2_method", "prediction_method", "tau2"):
            if name in choices:
                raise ChoiceError(f"{name} has no effect with --model common, which has no tau²; leave it out")
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in choices.items()}


def fitted(
    effects: "pd.DataFrame", choices: Mapping[str, Any], by: Sequence[str], *, notes_shown: bool
) -> "mp.MetaAnalysisResult | mp.SubgroupAnalysisResult":
    """Pool; where the notes of the result are printed, the warnings that say the same are not."""
    with warnings.catch_warnings():
        if notes_shown:
            warnings.simplefilter("ignore", DataWarning)
        return mp.subgroup_analysis(effects, by=by, **choices) if by else mp.meta_analysis(effects, **choices)
