"""Does peer support move one class of outcomes more than another? The door: effects in, contrasts of classes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.dependence import sampling_covariance
from metapeer.pooling.intervals import check_level
from metapeer.pooling.models import Notes, read_effects
from metapeer.pooling.outcome_classes_models import CELL, CLASS_MODELS, Contrasted, Question, contrast_cells
from metapeer.pooling.outcome_classes_results import ALL, ClassContrast, OutcomeClassContrast
from metapeer.pooling.trial_pairs import Comparisons

__all__ = ["contrast_outcome_classes"]

CLASSES = ("psychosocial", "clinical", "service_use")
RHOS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
POPULATIONS = ("perinatal", "disorder")
INTERACTION = " within "

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What stays the same over all analyses."""

    rho: float
    model: str
    comparisons: str
    arm_sizes: str
    level: float

    def question(self, weights: Mapping[str, float], *, within: bool) -> Question:
        return Question(
            weights=weights,
            rho=self.rho,
            comparisons=self.comparisons,
            arm_sizes=self.arm_sizes,
            level=self.level,
            within=within,
        )


def _check_rho(rho: float) -> float:
    if isinstance(rho, bool) or not isinstance(rho, int | float | np.number) or not -1.0 <= float(rho) <= 1.0:
        raise MetapeerError(f"rho {rho!r} is not a correlation between -1 and 1")
    return float(rho)


def _usable(data: pd.DataFrame, name: str, classes: Sequence[str], by: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows that can be pooled, and among them those of the classes asked for."""
    if not isinstance(data, pd.DataFrame):
        raise MetapeerError(f"{name} is a {type(data).__name__}, not a DataFrame")
    source = str(data.attrs.get("source", name))
    absent = [column for column in ("study_id", by) if column not in data]
    if absent:
        raise DataError(source, [Fault(column=column, message="there is no such column") for column in absent])
    effects = read_effects(data)
    rows = effects.data
    assert rows is not None  # noqa: S101  a table was given
    rows = rows.assign(yi=effects.yi, vi=effects.vi)
    rows.attrs.update(data.attrs)
    chosen = rows[rows[by].astype("string").fillna("").isin(list(classes))]
    return rows, chosen.reset_index(drop=True)


def _cells(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Name the cell of each row."""
    parts = [rows[column].astype("string").fillna("").astype(str) for column in columns]
    cell = parts[0]
    for part in parts[1:]:
        cell = cell + INTERACTION + part
    found = rows.assign(**{CELL: cell.astype(object)})
    found.attrs.update(rows.attrs)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Analyses:
    """Every analysis of a pair of classes: the main ones, and what they come to under other assumptions."""

    rows: pd.DataFrame
    settings: _Settings
    by: str
    format: str
    formats: tuple[str, ...]

    def _line(
        self, found: Contrasted, settings: _Settings, *, axis: str, scope: str, label: str, contrast: str
    ) -> ClassContrast:
        return ClassContrast(
            axis=axis,
            scope=scope,
            label=label,
            contrast=contrast,
            model=settings.model,
            rho=settings.rho,
            **{name: getattr(found, name) for name in Contrasted.__dataclass_fields__},
        )

    def _pair(
        self,
        pair: Pair,
        *,
        axis: str,
        label: str,
        rows: pd.DataFrame | None = None,
        scope: str = ALL,
        settings: _Settings | None = None,
    ) -> ClassContrast:
        chosen, used = settings or self.settings, self.rows if rows is None else rows
        question = chosen.question({pair[0]: 1.0, pair[1]: -1.0}, within=True)
        found = contrast_cells(used, question, model=chosen.model)
        return self._line(found, chosen, axis=axis, scope=scope, label=label, contrast=f"{pair[0]} minus {pair[1]}")

    def _each_format(self, pair: Pair, rows: pd.DataFrame, *, axis: str, words: str) -> list[ClassContrast]:
        return [
            self._pair(
                pair, axis=axis, label=f"{words}{_words(value)}", rows=_with(rows, self.format, value), scope=value
            )
            for value in self.formats
        ]

    def main(self, pair: Pair) -> list[ClassContrast]:
        return [
            self._pair(pair, axis="main", label="all rows"),
            *self._each_format(pair, self.rows, axis="main", words=""),
        ]

    def by_format(self, pair: Pair) -> list[ClassContrast]:
        """One format against the other in each class, and whether the difference between classes depends on it."""
        if len(self.formats) != 2:
            return []
        first, second = self.formats
        crossed = _cells(self.rows, [self.by, self.format])
        cells = {(c, f): f"{c}{INTERACTION}{f}" for c in pair for f in self.formats}
        found = []
        for name in pair:
            question = self.settings.question({cells[name, first]: 1.0, cells[name, second]: -1.0}, within=False)
            answer = contrast_cells(crossed, question, model=self.settings.model)
            words = f"{first} minus {second}"
            label = f"{_words(name)} outcomes: {_words(first)} minus {_words(second)}"
            found.append(self._line(answer, self.settings, axis="format", scope=name, label=label, contrast=words))
        signs = {cells[c, f]: (1.0 if c == pair[0] else -1.0) * (1.0 if f == first else -1.0) for c, f in cells}
        answer = contrast_cells(crossed, self.settings.question(signs, within=False), model=self.settings.model)
        words = f"{pair[0]} minus {pair[1]}, {first} minus {second}"
        label = f"difference in {_words(first)} minus difference in {_words(second)}"
        found.append(self._line(answer, self.settings, axis="interaction", scope=ALL, label=label, contrast=words))
        return found

    def over_rho(self, pair: Pair, values: Sequence[float]) -> list[ClassContrast]:
        return [
            self._pair(pair, axis="rho", label=f"rho {value:g}", settings=replace(self.settings, rho=value))
            for value in dict.fromkeys(values)
            if value != self.settings.rho
        ]

    def over_models(self, pair: Pair, models: Sequence[str]) -> list[ClassContrast]:
        return [
            self._pair(pair, axis="model", label=CLASS_MODELS[name], settings=replace(self.settings, model=name))
            for name in dict.fromkeys(models)
            if name != self.settings.model
        ]

    def over_variants(self, pair: Pair, variants: Mapping[str, pd.DataFrame]) -> list[ClassContrast]:
        found = []
        for words, table in variants.items():
            rows = _cells(table, [self.by])
            found.append(self._pair(pair, axis="rows", label=words, rows=rows))
            found += self._each_format(pair, rows, axis="rows", words=f"{words}, ")
        return found

    def without(self, pair: Pair, axis: str, left_out: Sequence[tuple[str, str]]) -> list[ClassContrast]:
        found = []
        for column, value in left_out:
            label = f"without {value}" if column == "study_id" else f"without {column} = {value}"
            kept = [other for other in dict.fromkeys(self.rows[column].astype("string").fillna("")) if other != value]
            if len(kept) == 1:
                label = f"only {column} = {kept[0]}"
            found.append(self._pair(pair, axis=axis, label=label, rows=_with(self.rows, column, value, keep=False)))
        return found


def _words(code: str) -> str:
    """A code of a format or class as a reader writes it: one-to-one, service use."""
    return code.replace("_", "-") if code == "one_to_one" else code.replace("_", " ")


def _with(rows: pd.DataFrame, column: str, value: str, *, keep: bool = True) -> pd.DataFrame:
    """Rows that have a value, or those that do not."""
    has = rows[column].astype("string").fillna("") == value
    return rows[has == keep]


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
        Assumed correlation of the sampling errors of two measurements of the same people.
    rhos : sequence of float, default (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
        Other values to show.
    models : sequence of str, default all
        Other models to show.
    variants : mapping of str to DataFrame, optional
        Other versions of the table to show, by what was done to them: suspected errors corrected, suspicious trials
        left out.
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
        the interaction, and how they change with what was assumed.

    Raises
    ------
    DataError
        If a table cannot be used, or two classes with rows are not to be found.
    ChoiceError
        If an option is unknown.

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
    for name in models:
        check_choice("models", name, CLASS_MODELS)
    if isinstance(classes, str) or len(set(classes)) < 2:
        raise ChoiceError(f"classes must name two or more values of {by!r}, the first to be compared with the others")
    settings = _Settings(rho=_check_rho(rho), model=model, comparisons=comparisons, arm_sizes=arm_sizes, level=level)
    others_rho = [_check_rho(value) for value in rhos]
    usable, chosen = _usable(data, "data", classes, by)
    source = str(data.attrs.get("source", "the table"))
    rows = _cells(chosen, [by])
    present = [name for name in dict.fromkeys(classes) if (rows[CELL] == name).any()]
    if classes[0] not in present or len(present) < 2:
        raise DataError(
            source,
            [
                Fault(
                    column=by,
                    message=f"has rows of {' and '.join(present) or 'none'} of {', '.join(classes)}; the first and one "
                    "other are needed",
                )
            ],
        )
    pairs = [(classes[0], name) for name in present[1:]]
    V = sampling_covariance(rows, rho=settings.rho, comparisons=comparisons, arm_sizes=arm_sizes)
    notes = Notes()
    for name in classes:
        if name not in present:
            notes.say(f"no rows of class {name}")
    unused = len(usable) - len(chosen)
    if unused:
        notes.say(f"{count(unused, 'row')} of other classes not used")

    analyses = _Analyses(rows=rows, settings=settings, by=by, format=str(format), formats=_format_levels(rows, format))
    left_out = _population_levels(rows, populations, source)
    others = {name: _usable(table, name, classes, by)[1] for name, table in (variants or {}).items()}
    lines = []
    for pair in pairs:
        found = [
            *analyses.main(pair),
            *analyses.by_format(pair),
            *analyses.over_rho(pair, others_rho),
            *analyses.over_models(pair, models),
            *analyses.over_variants(pair, others),
            *analyses.without(pair, "population", left_out),
        ]
        if leave_one_out:
            trials = dict.fromkeys(rows["study_id"].astype(str))
            found += analyses.without(pair, "trial", [("study_id", trial) for trial in trials])
        several = f" ({pair[0]} minus {pair[1]})" if len(pairs) > 1 else ""
        lines += [replace(line, label=line.label + several) for line in found]
    for line in lines:
        if line.axis == "main" and line.note:
            notes.say(f"{line.label}: {line.note}")
    measures = sorted({str(value) for value in rows["measure"]}) if "measure" in rows else []
    favours = sorted({str(value) for value in rows["positive_favours"]}) if "positive_favours" in rows else []
    return OutcomeClassContrast(
        measure=measures[0] if measures else "",
        positive_favours=favours[0] if favours else "",
        classes=tuple(present),
        formats=analyses.formats,
        model=model,
        rho=settings.rho,
        level=level,
        k=len(rows),
        trials=rows["study_id"].nunique(),
        lines=tuple(lines),
        sampling="; ".join(V.words),
        notes=tuple(notes.said),
    )


def _format_levels(rows: pd.DataFrame, column: str | None) -> tuple[str, ...]:
    """Formats worth an analysis of their own: one-to-one and group, or whatever two or more the column holds."""
    if column is None or column not in rows:
        return ()
    found = [value for value in dict.fromkeys(rows[column].astype("string").fillna("")) if value]
    if column == "format":
        found = [value for value in ("one_to_one", "group") if value in found]
    return tuple(found) if len(found) > 1 else ()


def _population_levels(rows: pd.DataFrame, asked: Sequence[str] | None, source: str) -> list[tuple[str, str]]:
    """Values of population columns that some rows have and others do not."""
    columns = [name for name in POPULATIONS if name in rows] if asked is None else list(asked)
    absent = [name for name in columns if name not in rows]
    if absent:
        raise DataError(source, [Fault(column=name, message="there is no such column") for name in absent])
    found = []
    for name in columns:
        values = [value for value in dict.fromkeys(rows[name].astype("string").fillna("")) if value]
        # Of two values each one left out is the other kept: both are shown.
        found += [(name, value) for value in values if len(values) > 1]
    return found
