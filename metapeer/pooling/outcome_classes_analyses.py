"""Every analysis of a pair of outcome classes: the main ones, and what they come to under other assumptions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from metapeer.pooling.outcome_classes_cells import CELL, CLASS, CLASS_MODELS, RHO_MODELS, Contrasted, no_answer
from metapeer.pooling.outcome_classes_models import contrast_cells
from metapeer.pooling.outcome_classes_results import ClassContrast
from metapeer.pooling.outcome_classes_rows import Chosen, ClassRows, Settings
from metapeer.pooling.outcome_classes_words import ALL, plain

__all__ = ["Analyses"]

INTERACTION = " within "
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Analyses:
    """The analyses of one table, by what they differ in from the main one.

    Parameters
    ----------
    table : ClassRows
        The rows.
    settings : Settings
        Of the main analysis.
    format : str
        Column with the format.
    formats : tuple of str
        Formats analysed by themselves.
    """

    table: ClassRows
    settings: Settings
    format: str
    formats: tuple[str, ...]

    def _line(
        self, found: Contrasted, settings: Settings, *, axis: str, scope: str, label: str, contrast: str
    ) -> ClassContrast:
        return ClassContrast(
            axis=axis,
            scope=scope,
            label=label,
            contrast=contrast,
            model=settings.model,
            rho=settings.rho if settings.model in RHO_MODELS else float("nan"),
            **{name: getattr(found, name) for name in Contrasted.__dataclass_fields__},
        )

    def _answer(
        self,
        weights: Mapping[str, float],
        settings: Settings,
        *,
        within: bool,
        table: ClassRows | None = None,
        rows: pd.DataFrame | None = None,
        kept: Chosen | None = None,
    ) -> Contrasted:
        used = table or self.table
        cells = used.rows if rows is None else rows
        chosen = cells[CELL].isin(list(weights)).to_numpy(dtype=np.bool_)
        if kept is not None:
            chosen = chosen & kept
        question = settings.question(weights, within=within)
        return contrast_cells(cells[chosen], question, model=settings.model, V=used.part(chosen, settings.rho))

    def _pair(
        self,
        pair: Pair,
        *,
        axis: str,
        label: str,
        table: ClassRows | None = None,
        kept: Chosen | None = None,
        scope: str = ALL,
        settings: Settings | None = None,
    ) -> ClassContrast:
        chosen = settings or self.settings
        found = self._answer({pair[0]: 1.0, pair[1]: -1.0}, chosen, within=True, table=table, kept=kept)
        return self._line(found, chosen, axis=axis, scope=scope, label=label, contrast=f"{pair[0]} minus {pair[1]}")

    def _each_format(self, pair: Pair, table: ClassRows, *, axis: str, words: str) -> list[ClassContrast]:
        return [
            self._pair(
                pair,
                axis=axis,
                label=f"{words}{plain(value)}",
                table=table,
                kept=table.having(self.format, value),
                scope=value,
            )
            for value in self.formats
        ]

    def main(self, pair: Pair) -> list[ClassContrast]:
        """Contrast two classes over all rows and within each format.

        Parameters
        ----------
        pair : tuple of str
            The first minus the second.

        Returns
        -------
        list of ClassContrast
            All rows first.
        """
        return [
            self._pair(pair, axis="main", label="all rows"),
            *self._each_format(pair, self.table, axis="main", words=""),
        ]

    def by_format(self, pair: Pair, *, both: bool = True) -> list[ClassContrast]:
        """Contrast two formats in each class, and ask whether the difference between classes depends on the format.

        Parameters
        ----------
        pair : tuple of str
            The classes.
        both : bool, default True
            Whether the first class is shown; it stands in every pair.

        Returns
        -------
        list of ClassContrast
            The interaction last; empty unless there are two formats.
        """
        if len(self.formats) != 2:
            return []
        first, second = self.formats
        rows = self.table.rows
        crossed = rows.assign(**{CELL: rows[CLASS] + INTERACTION + rows[self.format]})
        cells = {(c, f): f"{c}{INTERACTION}{f}" for c in pair for f in self.formats}
        found = []
        for name in pair if both else pair[1:]:
            answer = self._answer(
                {cells[name, first]: 1.0, cells[name, second]: -1.0}, self.settings, within=False, rows=crossed
            )
            words = f"{first} minus {second}"
            label = f"{plain(name)} outcomes: {plain(first)} minus {plain(second)}"
            found.append(self._line(answer, self.settings, axis="format", scope=name, label=label, contrast=words))
        signs = {cells[c, f]: (1.0 if c == pair[0] else -1.0) * (1.0 if f == first else -1.0) for c, f in cells}
        answer = self._answer(signs, self.settings, within=False, rows=crossed)
        words = f"{pair[0]} minus {pair[1]}, {first} minus {second}"
        label = f"difference in {plain(first)} minus difference in {plain(second)}"
        found.append(self._line(answer, self.settings, axis="interaction", scope=ALL, label=label, contrast=words))
        return found

    def over_rho(self, pair: Pair, values: Sequence[float]) -> list[ClassContrast]:
        """Contrast two classes under other assumed correlations.

        Parameters
        ----------
        pair : tuple of str
            The classes.
        values : sequence of float
            The correlations.

        Returns
        -------
        list of ClassContrast
            Empty where the main model assumes none.
        """
        if self.settings.model not in RHO_MODELS:
            return []
        return [
            self._pair(pair, axis="rho", label=f"rho {value:g}", settings=replace(self.settings, rho=value))
            for value in dict.fromkeys(values)
            if value != self.settings.rho
        ]

    def over_models(self, pair: Pair, models: Sequence[str]) -> list[ClassContrast]:
        """Contrast two classes by other models.

        Parameters
        ----------
        pair : tuple of str
            The classes.
        models : sequence of str
            Of `CLASS_MODELS`.

        Returns
        -------
        list of ClassContrast
            Without the main model.
        """
        return [
            self._pair(pair, axis="model", label=CLASS_MODELS[name], settings=replace(self.settings, model=name))
            for name in dict.fromkeys(models)
            if name != self.settings.model
        ]

    def over_variants(self, pair: Pair, variants: Mapping[str, ClassRows | str]) -> list[ClassContrast]:
        """Contrast two classes in other versions of the rows.

        Parameters
        ----------
        pair : tuple of str
            The classes.
        variants : mapping of str to ClassRows or str
            The versions; a text says what is wrong with one.

        Returns
        -------
        list of ClassContrast
            Over all rows and within each format.
        """
        found = []
        for words, table in variants.items():
            if isinstance(table, str):
                question = self.settings.question({pair[0]: 1.0, pair[1]: -1.0}, within=True)
                nothing = no_answer(self.table.rows.iloc[:0], question, table)
                contrast = f"{pair[0]} minus {pair[1]}"
                found.append(self._line(nothing, self.settings, axis="rows", scope=ALL, label=words, contrast=contrast))
                continue
            found.append(self._pair(pair, axis="rows", label=words, table=table))
            found += self._each_format(pair, table, axis="rows", words=f"{words}, ")
        return found

    def without_populations(self, pair: Pair, columns: Sequence[str]) -> list[ClassContrast]:
        """Leave out each value of each column in turn.

        Parameters
        ----------
        pair : tuple of str
            The classes.
        columns : sequence of str
            Such as ``perinatal``.

        Returns
        -------
        list of ClassContrast
            Where one value remains, the label says which one that is.
        """
        own = self.table.rows[CELL].isin(pair).to_numpy(dtype=np.bool_)
        found = []
        for column in columns:
            values = list(dict.fromkeys(self.table.rows[column][own]))
            for value in filter(None, values if len([*filter(None, values)]) > 1 else ()):
                others = [other for other in values if other != value]
                # Of two values each one left out is the other kept: both are shown.
                label = f"without {column} = {value}" if len(others) > 1 else f"only {column} = {others[0]}"
                kept = ~self.table.having(column, value)
                found.append(self._pair(pair, axis="population", label=label, kept=kept))
        return found

    def without_trials(self, pair: Pair) -> list[ClassContrast]:
        """Leave out each trial in turn.

        Parameters
        ----------
        pair : tuple of str
            The classes.

        Returns
        -------
        list of ClassContrast
            One for each trial with rows of either class.
        """
        own = self.table.rows[CELL].isin(pair).to_numpy(dtype=np.bool_)
        return [
            self._pair(pair, axis="trial", label=f"without {trial}", kept=~self.table.having("study_id", trial))
            for trial in dict.fromkeys(self.table.rows["study_id"][own])
        ]
