"""What a contrast of outcome classes found: numbers, a paragraph made from them, and a figure."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number
from metapeer.pooling.outcome_classes_cells import CLASS_MODELS, FEW, MAXIMA, RHO_MODELS, CellMean
from metapeer.pooling.outcome_classes_words import ALL, contrast_words, plain
from metapeer.pooling.regression_comparisons import p_equals
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ALL", "AXES", "ClassContrast", "OutcomeClassContrast"]

AXES = {
    "main": "Main analysis",
    "format": "One format against the other",
    "interaction": "Does the difference depend on format?",
    "rho": "Other correlations of sampling errors",
    "model": "Other models",
    "rows": "Other versions of the rows",
    "population": "Some populations alone or left out",
    "trial": "Without one trial",
}
"""What was changed, in words."""
SENSITIVITY = ("rho", "model", "rows", "population", "trial")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassContrast:
    """One contrast of classes or formats.

    Parameters
    ----------
    axis : str
        What differs from the main analysis: one of `AXES`.
    scope : str
        The format it is about, or all; the class for a contrast of formats.
    label : str
        The analysis in words.
    contrast : str
        What is subtracted from what.
    model : str
        One of `CLASS_MODELS`.
    rho : float
        Assumed correlation of sampling errors; NaN for models that assume none.
    estimate, se, df, ci_low, ci_high, p_value : float
        The contrast with its interval and test; NaN where the rows cannot answer.
    pi_low, pi_high : float
        Where the difference between the true effects of one outcome of each class in a new trial may lie; NaN where the
        model says nothing of it.
    k, trials, both : int
        Rows, trials, and trials with rows on both sides of the contrast.
    means : tuple of CellMean
        The pooled effects behind it.
    note : str
        What is doubtful, or why there is no estimate.
    """

    axis: str
    scope: str
    label: str
    contrast: str
    model: str
    rho: float
    estimate: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    p_value: float
    pi_low: float
    pi_high: float
    k: int
    trials: int
    both: int
    means: tuple[CellMean, ...]
    note: str

    @property
    def verdict(self) -> str:
        """``"larger"``, ``"smaller"``, ``"not shown"`` or ``"no answer"``, by where the interval lies; see `note`."""
        if math.isnan(self.estimate) or math.isnan(self.ci_low):
            return "no answer"
        return "larger" if self.ci_low > 0 else "smaller" if self.ci_high < 0 else "not shown"

    @property
    def trusted(self) -> bool:
        """Whether there is an interval, and nothing noted against it."""
        return self.verdict != "no answer" and self.note in ("", MAXIMA)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OutcomeClassContrast(Printable):
    """The result of `contrast_outcome_classes`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    positive_favours : str
        The arm that a positive effect favours; empty when unknown.
    classes, formats : tuple of str
        Classes with rows, the first of which is compared with the others; formats analysed by themselves.
    model : str
        The main model, one of `CLASS_MODELS`.
    rho : float
        Assumed correlation of sampling errors in the main analysis, and in other models that assume one.
    level : float
        Level of the intervals.
    k, trials : int
        Rows and trials.
    lines : tuple of ClassContrast
        Every contrast, the main ones first.
    sampling : str
        What was assumed of the sampling errors.
    notes : tuple of str
        What a reader must know.
    """

    measure: str
    positive_favours: str
    classes: tuple[str, ...]
    formats: tuple[str, ...]
    model: str
    rho: float
    level: float
    k: int
    trials: int
    lines: tuple[ClassContrast, ...]
    sampling: str
    notes: tuple[str, ...]

    def __getitem__(self, contrast: str) -> ClassContrast:
        """Return the main contrast of two classes, such as ``"psychosocial minus clinical"``."""
        known = {line.contrast: line for line in self.lines if line.axis == "main" and line.scope == ALL}
        return known[check_choice("contrast", contrast, known)]

    def to_frame(self) -> pd.DataFrame:
        """Put every contrast in a row.

        Returns
        -------
        DataFrame
            One row for each analysis: ``axis``, ``scope``, ``label``, ``contrast``, ``model``, ``rho``, the numbers,
            ``note``, ``level``, ``verdict``, ``trusted`` and ``measure``.
        """
        rows = []
        for line in self.lines:
            row = asdict(line)
            del row["means"]
            rows.append(
                row | {"level": self.level, "verdict": line.verdict, "trusted": line.trusted, "measure": self.measure}
            )
        return pd.DataFrame(rows)

    def class_means(self) -> pd.DataFrame:
        """Put the pooled effects of the classes in rows.

        Returns
        -------
        DataFrame
            One row for each main analysis and class: ``scope``, ``contrast``, ``cell``, ``estimate``, ``se``, ``df``,
            ``ci_low``, ``ci_high``, ``k`` and ``trials``.
        """
        rows = [
            {"scope": line.scope, "contrast": line.contrast} | asdict(mean)
            for line in self.lines
            if line.axis == "main"
            for mean in line.means
        ]
        return pd.DataFrame(rows).assign(level=self.level)

    def _interval(self, low: float, high: float) -> str:
        return format_interval(low, high, 2)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            Pooled effects by class, the contrasts, what they come to under other assumptions, notes, and the paragraph.
        """
        tables = [self._means_table(), self._main_table()]
        rows: list[tuple[str, ...]] = []
        shown: list[ClassContrast] = []
        for axis in SENSITIVITY:
            lines = [line for line in self.lines if line.axis == axis]
            if lines:
                rows.append((AXES[axis], *[""] * (len(self._header()) - 1)))
                rows += [(f"  {cells[0]}", *cells[1:]) for cells in map(self._cells, lines)]
                shown += lines
        if rows:
            title = "The same under other assumptions"
            tables.append(TextTable(title=title, header=self._header(), rows=rows, notes=self._remarks(shown)))
        if self.notes:
            tables.append(TextTable(header=("",), rows=[], notes=self.notes))
        said = [(line,) for line in self.words().split("\n")]
        tables.append(TextTable(title="In words", header=("",), rows=said))
        return tuple(tables)

    def _header(self) -> tuple[str, ...]:
        level = format_level(self.level)
        return ("", "trials", "both", "difference", f"{level} CI", "df", "p", f"{level} PI")

    def _means_table(self) -> TextTable:
        title = f"Classes of outcomes: {count(self.k, 'effect')} from {count(self.trials, 'trial')}"
        if self.measure:
            scale = measure_of(self.measure).scale
            title += f"\n{measure_of(self.measure).name}" + (f", on the {scale} scale" if scale != "identity" else "")
            if self.positive_favours:
                title += f"; positive favours {'peer support' if self.positive_favours == 'arm1' else 'the comparison'}"
        several = len(self.classes) > 2
        rows = [
            (
                plain(line.scope) + (f" ({line.contrast})" if several else ""),
                mean.cell,
                str(mean.k),
                str(mean.trials),
                format_number(mean.estimate, 3),
                self._interval(mean.ci_low, mean.ci_high),
            )
            for line in self.lines
            if line.axis == "main"
            for mean in line.means
        ]
        notes = [f"Model: {CLASS_MODELS[self.model]}"]
        if self.model in ("CHE", "multivariate", "paired"):
            notes = [f"{notes[0]}; rho {self.rho:g}", self.sampling]
        elif self.model in RHO_MODELS:
            notes = [f"{notes[0]}; rho {self.rho:g} between rows that are averaged"]
        header = ("", "class", "effects", "trials", "estimate", f"{format_level(self.level)} CI")
        return TextTable(title=title, header=header, rows=rows, notes=notes)

    def _main_table(self) -> TextTable:
        lines = [line for line in self.lines if line.axis in ("main", "format", "interaction")]
        pair = f": {self.classes[0]} minus {self.classes[1]}" if len(self.classes) == 2 else ""
        notes = ["both: trials with rows on both sides of the difference"]
        if any(not math.isnan(line.pi_low) for line in self.lines):
            notes.append("PI: where the true difference between one outcome of each class may lie in a new trial")
        return TextTable(
            title=f"Differences{pair}",
            header=self._header(),
            rows=[self._cells(line) for line in lines],
            notes=[*notes, *self._remarks(lines)],
        )

    def _remarks(self, lines: Sequence[ClassContrast]) -> list[str]:
        """What is doubtful of lines with an answer, and why others have none; few degrees of freedom once for all."""
        noted = [line for line in lines if line.note]
        remarks = ["df*: fewer than 4, p value and interval not trustworthy"] if any(map(_few, noted)) else []
        for line in noted:
            if math.isnan(line.estimate):
                remarks.append(f"{line.label}: no answer; {line.note}")
            elif not line.note.startswith(FEW) or "; " in line.note:
                remarks.append(f"{line.label}: {line.note}")
        return remarks

    def _cells(self, line: ClassContrast) -> tuple[str, ...]:
        return (
            line.label,
            str(line.trials),
            str(line.both),
            format_number(line.estimate, 3),
            self._interval(line.ci_low, line.ci_high),
            format_number(line.df, 1) + ("*" if _few(line) else ""),
            p_equals(line.p_value).removeprefix("= "),
            self._interval(line.pi_low, line.pi_high),
        )

    def words(self) -> str:
        """Say in plain words what was found, from the numbers alone.

        Peer support is said to do more or less for one class only where the whole interval lies on one side of zero and
        nothing is noted against it; otherwise no difference is claimed.

        Returns
        -------
        str
            One paragraph for each pair of classes.
        """
        return contrast_words(self)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw all contrasts of two classes in one forest plot: the main ones as diamonds, the others below.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure of the right height when left out.
        **options
            ``contrast``, which of several to draw, ``trials=True`` for the analyses without one trial, and anything
            that `forest_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.pooling.outcome_classes_forest import draw_contrasts

        return draw_contrasts(self, ax=ax, **options)


def _few(line: ClassContrast) -> bool:
    return line.note.startswith(FEW) and not math.isnan(line.estimate)
