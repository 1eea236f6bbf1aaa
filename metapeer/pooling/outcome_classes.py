"""Does peer support move one class of outcomes more than another? The door: effects in, contrasts of classes out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.intervals import check_level
from metapeer.pooling.models import Notes, read_effects
from metapeer.pooling.outcome_classes_analyses import Analyses
from metapeer.pooling.outcome_classes_cells import CELL, CLASS, CLASS_MODELS, one_line
from metapeer.pooling.outcome_classes_results import OutcomeClassContrast
from metapeer.pooling.outcome_classes_rows import ClassRows, Settings
from metapeer.pooling.trial_pairs import Comparisons, listed

__all__ = ["contrast_outcome_classes"]

CLASSES = ("psychosocial", "clinical", "service_use")
RHOS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
POPULATIONS = ("perinatal", "disorder")
FORMAT = "format"


def _check_rho(rho: object) -> float:
    if isinstance(rho, bool) or not isinstance(rho, int | float | np.number) or not -1.0 <= float(rho) <= 1.0:
        raise MetapeerError(f"rho {rho!r} is not a correlation between -1 and 1")
    return float(rho)


def _check_rhos(rhos: object) -> list[float]:
    if isinstance(rhos, str) or not isinstance(rhos, Sequence | np.ndarray):
        raise MetapeerError(f"rhos must be a list of correlations, not {rhos!r}")
    return [_check_rho(value) for value in rhos]


def _names(option: str, given: object) -> list[str]:
    """Read names of columns, classes or models; one may stand without a list."""
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not all(isinstance(name, str) and name for name in names):
        raise MetapeerError(f"{option} must be a list of names, not {given!r}")
    return list(dict.fromkeys(names))


def _check_variants(variants: object) -> dict[str, pd.DataFrame]:
    if variants is None:
        return {}
    if not isinstance(variants, Mapping):
        raise MetapeerError(f"variants must map words to tables, not {variants!r}")
    wrong = [
        f"{name!r}: {type(table).__name__}"
        for name, table in variants.items()
        if not isinstance(table, pd.DataFrame) or not isinstance(name, str)
    ]
    if wrong:
        raise MetapeerError(f"variants must map words to tables (DataFrame), not {'; '.join(wrong)}")
    return dict(variants)


def _text(column: "pd.Series[Any]") -> "pd.Series[Any]":
    return column.astype("string").fillna("").astype(object)


def _read(
    data: pd.DataFrame, classes: Sequence[str], by: str, columns: Sequence[str], settings: Settings
) -> tuple[ClassRows, "pd.Series[Any]", str, str]:
    """Rows of the classes asked for, the class of every row that can be pooled, the measure and what is favoured."""
    source = str(data.attrs.get("source", "the table"))
    twice = list(dict.fromkeys(map(str, data.columns[data.columns.duplicated()])))
    faults = [Fault(column=column, message="stands twice in the table") for column in twice]
    absent = [column for column in dict.fromkeys(("study_id", by, *columns)) if column not in data]
    faults += [
        Fault(
            column=column,
            message="there is no such column"
            + ("; give psychosocial or clinical for each row" if column == "outcome_class" else ""),
        )
        for column in absent
    ]
    if faults:
        raise DataError(source, faults)
    effects = read_effects(data)
    rows = effects.data
    assert rows is not None  # noqa: S101  a table was given
    empty = [label for label, trial in zip(effects.labels, _text(rows["study_id"]), strict=True) if not trial.strip()]
    if empty:
        message = "is empty; say which trial the row belongs to"
        raise DataError(source, [Fault(row=label, column="study_id", message=message) for label in empty])
    rows = rows.assign(yi=effects.yi, vi=effects.vi)
    rows.attrs.update(data.attrs)
    kind = _text(rows[by])
    wide = rows[kind.isin(list(classes))].reset_index(drop=True)
    kept = {name: _text(wide[name]) for name in dict.fromkeys(("study_id", *columns))}
    own = _text(wide[by])
    thin = pd.DataFrame(kept | {"yi": wide["yi"], "vi": wide["vi"], CELL: own, CLASS: own})
    table = ClassRows(wide=wide, rows=thin, comparisons=settings.comparisons, arm_sizes=settings.arm_sizes)
    return table, kind, effects.measure, effects.positive_favours


def _tell_rows(
    table: ClassRows,
    kind: "pd.Series[Any]",
    classes: Sequence[str],
    column: str,
    formats: Sequence[str],
    notes: Notes,
) -> None:
    """Say which rows take no part, or not in everything, and what may be one trial under two names."""
    present = set(table.rows[CLASS])
    for name in classes:
        if name not in present:
            notes.say(f"no rows of class {name}")
    others = kind[~kind.isin(list(classes)) & (kind != "")]
    if len(others):
        notes.say(f"{count(len(others), 'row')} of other classes not used: {listed(others.tolist())}")
    if (kind == "").any():
        notes.say(f"{count(int((kind == '').sum()), 'row')} without a class not used")
    if formats:
        outside = table.rows[~table.rows[column].isin(list(formats))]
        if len(outside):
            notes.say(
                f"{count(len(outside), 'row')} of {count(outside['study_id'].nunique(), 'trial')} with no format or "
                "another one: in the analyses of all rows only"
            )
    spelled: dict[str, list[str]] = {}
    for trial in dict.fromkeys(table.rows["study_id"]):
        spelled.setdefault("".join(trial.casefold().split()), []).append(trial)
    for names in spelled.values():
        if len(names) > 1:
            notes.doubt(
                f"study_id {' and '.join(map(repr, names))} differ in capitals or blanks only and are taken for "
                "different trials; write them alike if they are one"
            )


def contrast_outcome_classes(
    data: pd.DataFrame,
    *,
    classes: Sequence[str] = CLASSES,
    by: str = "outcome_class",
    format: str | None = "format",  # noqa: A002 - the column's name
    model: str = "CHE",
    rho: float = 0.6,
    rhos: Sequence[float] = RHOS,
    models: Sequence[str] = tuple(CLASS_MODELS),
    variants: Mapping[str, pd.DataFrame] | None = None,
    populations: Sequence[str] | None = None,
    leave_one_out: bool = False,
    comparisons: Comparisons = "shared_control",
    arm_sizes: str = "needed",
    level: float = 0.95,
) -> OutcomeClassContrast:
    """Contrast classes of outcomes over trials that report several of them, and show what the answer hangs on.

    Trials report psychosocial and clinical outcomes of the same people, often by several instruments and in several
    arms. The contrast is estimated from all rows at once, with the dependence between them modelled and the tests
    robust to its being modelled wrongly.

    Parameters
    ----------
    data : DataFrame
        Effects, as `effect_size` returns them, with ``study_id`` and the column `by`. Positive must favour the same arm
        everywhere.
    classes : sequence of str, default ("psychosocial", "clinical", "service_use")
        The first is compared with each of the others that has rows.
    by : str, default "outcome_class"
        Column with the class.
    format : str or None, default "format"
        Column whose values (one_to_one, group) also part the analysis; None, or a table without it, leaves that out.
    model : str, default "CHE"
        How the contrast is estimated: CHE (correlated and hierarchical effects, cluster-robust), multivariate,
        three_level, paired, averaged, one_row or independent. The others are shown beside it.
    rho : float, default 0.6
        Assumed correlation of the sampling errors of two measurements of the same people; three_level, one_row and
        independent assume none.
    rhos : sequence of float, default (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
        Other values to show.
    models : sequence of str, default all
        Other models to show.
    variants : mapping of str to DataFrame, optional
        Other versions of the table to show, by what was done to them: suspected errors corrected, suspicious trials
        left out. One that cannot be used gives a line without numbers, and a warning.
    populations : sequence of str, optional
        Columns such as ``"perinatal"`` whose values are left out in turn; by default perinatal and disorder where the
        table has them.
    leave_one_out : bool, default False
        Whether each trial is left out in turn.
    comparisons, arm_sizes
        As in `sampling_covariance`.
    level : float, default 0.95
        Level of the intervals.

    Returns
    -------
    OutcomeClassContrast
        Pooled effects by class, contrasts with intervals, tests and prediction intervals, overall and in each format,
        the interaction, and how they change with what was assumed. An analysis that the rows cannot carry is a line
        with NaN and the reason in its ``note``; so is one whose standard error rests on nothing (effects that agree
        perfectly, or a class of which one trial decides). Few degrees of freedom are noted, too.

    Raises
    ------
    DataError
        If the table cannot be used, with every fault, or there are no rows of the first class and another one.
    ChoiceError
        If an option is unknown.
    MetapeerError
        If an option is not of the kind it must be.

    Warns
    -----
    DataWarning
        If a variant cannot be used, or names of trials differ in capitals or blanks only.

    References
    ----------
    Pustejovsky & Tipton (2022), Prev Sci 23:425-438 (working model and robust tests); Becker (2000), in Handbook of
    Applied Multivariate Statistics and Mathematical Modeling, 499-525 (contrasts of outcomes within trials).

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer.pooling.outcome_classes import contrast_outcome_classes
    >>> table = pd.DataFrame({"study_id": list("aabbccddee"), "vi": [0.02] * 10,
    ...                       "outcome_class": ["psychosocial", "clinical"] * 5,
    ...                       "yi": [0.3, 0.1, 0.5, 0.2, 0.1, 0.1, 0.4, 0.0, 0.2, 0.3]})
    >>> found = contrast_outcome_classes(table)
    >>> main = found["psychosocial minus clinical"]
    >>> round(main.estimate, 3), round(main.ci_low, 3), round(main.ci_high, 3), main.both
    (0.16, -0.097, 0.417, 5)
    """
    check_level(level)
    check_choice("model", model, CLASS_MODELS)
    others_model = [str(check_choice("models", name, CLASS_MODELS)) for name in _names("models", models)]
    asked = _names("classes", classes)
    if isinstance(classes, str) or len(asked) < 2:
        raise ChoiceError(f"classes must name two or more values of {by!r}, the first to be compared with the others")
    if not isinstance(by, str) or not isinstance(format, str | None):
        raise MetapeerError(f"by and format must be names of columns, not {by!r} and {format!r}")
    settings = Settings(rho=_check_rho(rho), model=model, comparisons=comparisons, arm_sizes=arm_sizes, level=level)
    others_rho = _check_rhos(rhos)
    if not isinstance(data, pd.DataFrame):
        raise MetapeerError(f"data is a {type(data).__name__}, not a DataFrame")
    tables = _check_variants(variants)
    if format == FORMAT and FORMAT not in data:
        format = None  # noqa: A001 - as the docstring says
    if populations is None:
        among = [name for name in POPULATIONS if name in data]
    else:
        among = _names("populations", populations)
    split = [] if format is None else [format]
    table, kind, measure, favours = _read(data, asked, by, [*split, *among], settings)
    present = [name for name in asked if (table.rows[CLASS] == name).any()]
    if asked[0] not in present or len(present) < 2:
        found = f"it holds {listed([value for value in kind if value])}" if (kind != "").any() else "it is empty"
        message = f"the rows must be of {asked[0]} and of {' or '.join(asked[1:])}, but {found}"
        raise DataError(str(data.attrs.get("source", "the table")), [Fault(column=by, message=message)])
    pairs = [(asked[0], name) for name in present[1:]]
    sampling = table.whole(settings.rho).words
    notes = Notes()
    formats = () if format is None else _format_levels(table.rows[format], format)
    _tell_rows(table, kind, asked, str(format), formats, notes)
    others = {
        name: _read_variant(other, asked, by, split if formats else [], settings, (measure, favours))
        for name, other in tables.items()
    }
    doubts = Notes(
        doubts=[*notes.doubts, *(f"{name}: {other}" for name, other in others.items() if isinstance(other, str))]
    )
    analyses = Analyses(table=table, settings=settings, format=str(format), formats=formats)
    lines = []
    for pair in pairs:
        own = [
            *analyses.main(pair),
            *analyses.by_format(pair, both=pair == pairs[0]),
            *analyses.over_rho(pair, others_rho),
            *analyses.over_models(pair, others_model),
            *analyses.over_variants(pair, others),
            *analyses.without_populations(pair, among),
            *(analyses.without_trials(pair) if leave_one_out else ()),
        ]
        several = f" ({pair[0]} minus {pair[1]})" if len(pairs) > 1 else ""
        lines += [line if line.axis == "format" else replace(line, label=line.label + several) for line in own]
    doubts.warn(stacklevel=2)
    return OutcomeClassContrast(
        measure=measure,
        positive_favours=favours,
        classes=tuple(present),
        formats=formats,
        model=model,
        rho=settings.rho,
        level=level,
        k=len(table.rows),
        trials=table.rows["study_id"].nunique(),
        lines=tuple(lines),
        sampling="; ".join(sampling),
        notes=tuple(notes.said),
    )


def _format_levels(column: "pd.Series[Any]", name: str) -> tuple[str, ...]:
    """Formats worth an analysis of their own: one-to-one and group, or whatever two or more the column holds."""
    found = [str(value) for value in dict.fromkeys(column) if value]
    if name == FORMAT:
        found = [value for value in ("one_to_one", "group") if value in found]
    return tuple(found) if len(found) > 1 else ()


def _read_variant(
    data: pd.DataFrame,
    classes: Sequence[str],
    by: str,
    columns: Sequence[str],
    settings: Settings,
    like: tuple[str, str],
) -> ClassRows | str:
    """Read another version of the table, or say what is wrong with it."""
    try:
        table, _, *found = _read(data, classes, by, columns, settings)
    except MetapeerError as error:
        return one_line(error)
    for name, own, main in zip(("measure", "positive_favours"), found, like, strict=True):
        if own != main:
            return f"{name} is {own or 'not given'}, and {main or 'not given'} in the main table"
    return table
