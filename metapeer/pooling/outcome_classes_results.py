"""What a contrast of outcome classes found: numbers, a paragraph made from them, and a figure."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number
from metapeer.pooling.outcome_classes_models import CLASS_MODELS, CellMean
from metapeer.pooling.regression_comparisons import p_equals
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ALL", "ClassContrast", "OutcomeClassContrast"]

ALL = "all formats"
AXES = {
    "main": "Main analysis",
    "format": "One format against the other",
    "interaction": "Does the difference depend on format?",
    "rho": "Other correlations of sampling errors",
    "model": "Other models",
    "rows": "Other versions of the rows",
    "population": "Without some populations",
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
        Assumed correlation of sampling errors.
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
        """``"larger"``, ``"smaller"``, ``"not shown"`` or ``"no answer"``, by where the interval lies."""
        if math.isnan(self.estimate) or math.isnan(self.ci_low):
            return "no answer"
        return "larger" if self.ci_low > 0 else "smaller" if self.ci_high < 0 else "not shown"


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
        Assumed correlation of sampling errors in the main analysis.
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
            ``level``, ``verdict`` and ``note``.
        """
        rows = []
        for line in self.lines:
            row = asdict(line)
            del row["means"]
            rows.append(row | {"level": self.level, "verdict": line.verdict, "measure": self.measure})
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

    def _of(self, contrast: str, *axes: str) -> list[ClassContrast]:
        return [line for line in self.lines if line.axis in axes and (line.contrast == contrast)]

    def _interval(self, low: float, high: float) -> str:
        return "NA" if math.isnan(low) else format_interval(low, high, 2)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            Pooled effects by class, the contrasts, and what they come to under other assumptions.
        """
        level = format_level(self.level)
        scale = measure_of(self.measure).scale
        title = f"Classes of outcomes: {count(self.k, 'effect')} from {count(self.trials, 'trial')}"
        if self.measure:
            title += f"\n{measure_of(self.measure).name}" + (f", on the {scale} scale" if scale != "identity" else "")
            if self.positive_favours:
                title += f"; positive favours {'peer support' if self.positive_favours == 'arm1' else 'the comparison'}"
        means = [
            (row["scope"], row["cell"], str(row["k"]), str(row["trials"]), format_number(row["estimate"], 3),
             self._interval(row["ci_low"], row["ci_high"]))
            for row in self.class_means().drop_duplicates(["scope", "cell"]).to_dict("records")
        ]  # fmt: skip
        tables = [
            TextTable(
                title=title,
                header=("", "class", "effects", "trials", "estimate", f"{level} CI"),
                rows=means,
                notes=[f"Model: {CLASS_MODELS[self.model]}; rho {self.rho:g}", self.sampling],
            )
        ]
        header = ("", "trials", "both", "difference", f"{level} CI", "df", "p", f"{level} PI")
        main = [line for line in self.lines if line.axis in ("main", "format", "interaction")]
        several = len(self.classes) > 2
        tables.append(
            TextTable(
                title="Differences" if several else f"Differences: {self.classes[0]} minus {self.classes[1]}",
                header=header,
                rows=[self._cells(line) for line in main],
                notes=[
                    "both: trials with rows on both sides of the difference",
                    "df*: fewer than 4, p value and interval not trustworthy",
                    "PI: difference between one outcome of each class in a new trial",
                ],
            )
        )
        rows: list[tuple[str, ...]] = []
        for axis in SENSITIVITY:
            lines = [line for line in self.lines if line.axis == axis]
            if lines:
                rows.append((AXES[axis], *[""] * (len(header) - 1)))
                rows += [(f"  {cells[0]}", *cells[1:]) for cells in map(self._cells, lines)]
        if rows:
            tables.append(
                TextTable(title="The same under other assumptions", header=header, rows=rows, notes=list(self.notes))
            )
        tables.append(TextTable(title="In words", header=("",), rows=[], notes=[self.words()]))
        return tuple(tables)

    def _cells(self, line: ClassContrast) -> tuple[str, ...]:
        if math.isnan(line.estimate):
            return (line.label, str(line.trials), str(line.both), "NA", line.note or "NA", "", "", "")
        return (
            line.label,
            str(line.trials),
            str(line.both),
            format_number(line.estimate, 3),
            self._interval(line.ci_low, line.ci_high),
            format_number(line.df, 1) + ("*" if line.note else ""),
            p_equals(line.p_value).removeprefix("= "),
            self._interval(line.pi_low, line.pi_high),
        )

    def words(self) -> str:
        """Say in plain words what was found, from the numbers alone.

        A difference is called larger or smaller when its whole interval lies on one side of zero, and not shown
        otherwise.

        Returns
        -------
        str
            One paragraph for each pair of classes.
        """
        first = self.classes[0]
        return "\n\n".join(self._paragraph(f"{first} minus {name}", first, name) for name in self.classes[1:])

    def _paragraph(self, contrast: str, first: str, second: str) -> str:
        main = next(line for line in self._of(contrast, "main") if line.scope == ALL)
        level = format_level(self.level)
        if main.verdict == "no answer":
            return f"{contrast}: these rows give no answer ({main.note})."
        first, second = _plain(first), _plain(second)
        said = [
            f"{count(main.k, 'effect')} from {count(main.trials, 'trial')}, {main.both} of which report both classes: "
            f"peer support's pooled effect is "
            + " and ".join(
                f"{format_number(mean.estimate, 2)} ({level} CI {self._interval(mean.ci_low, mean.ci_high)}) on "
                f"{_plain(mean.cell)} outcomes"
                for mean in main.means
            )
            + "."
            if main.means
            else f"{count(main.k, 'effect')} from {count(main.trials, 'trial')}."
        ]
        said.append(
            f"The difference, {first} minus {second}, is {format_number(main.estimate, 2)} ({level} CI "
            f"{self._interval(main.ci_low, main.ci_high)}, p {p_equals(main.p_value)}): {_meaning(main, first)}."
        )
        said += [self._within(line, first) for line in self._of(contrast, "main") if line.scope != ALL]
        interaction = [line for line in self.lines if line.axis == "interaction" and line.contrast.startswith(contrast)]
        for line in interaction:
            if line.verdict != "no answer":
                differs = "depends" if line.verdict != "not shown" else "is not shown to depend"
                said.append(
                    f"The difference {differs} on the format (interaction {format_number(line.estimate, 2)}, "
                    f"{level} CI {self._interval(line.ci_low, line.ci_high)}, p {p_equals(line.p_value)})."
                )
        for axis, words in (
            ("rho", "With other assumed correlations"),
            ("model", "With other models"),
            ("rows", "With other versions of the rows"),
            ("population", "Without one population or another"),
            ("trial", "With one trial left out"),
        ):
            said += self._over(words, [line for line in self._of(contrast, axis) if line.scope == ALL], main)
        if not math.isnan(main.pi_low):
            said.append(
                f"Between one {first} and one {second} outcome of a new trial the true difference is expected from "
                f"{format_number(main.pi_low, 2)} to {format_number(main.pi_high, 2)} ({level} prediction interval)."
            )
        if main.note:
            said.append(f"The main analysis has {main.note}.")
        return " ".join(said)

    def _within(self, line: ClassContrast, first: str) -> str:
        scope = line.scope.replace("_", "-")
        if line.verdict == "no answer":
            return f"Within {scope} peer support there is no answer ({line.note})."
        return (
            f"Within {scope} peer support ({count(line.trials, 'trial')}) it is {format_number(line.estimate, 2)} "
            f"({self._interval(line.ci_low, line.ci_high)}): {_meaning(line, first)}."
        )

    def _over(self, words: str, lines: Sequence[ClassContrast], main: ClassContrast) -> list[str]:
        """How far the difference moves over several analyses, and how many of them say what the main one says."""
        found = [line for line in lines if line.verdict != "no answer"]
        if not found:
            return []
        low, high = (format_number(end(line.estimate for line in found), 2) for end in (min, max))
        moves = f"it stays at {low}" if low == high else f"it goes from {low} to {high}"
        agreeing = sum(line.verdict == main.verdict for line in found)
        kind = "does not exclude zero" if main.verdict == "not shown" else "excludes zero on the same side"
        return [f"{words} {moves}, and the interval {kind} in {agreeing} of {len(found)}."]

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


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _meaning(line: ClassContrast, first: str) -> str:
    """What a contrast says, by where its interval lies."""
    if line.verdict == "larger":
        return f"the effect on {first} outcomes is larger"
    if line.verdict == "smaller":
        return f"the effect on {first} outcomes is smaller"
    ends = f"{format_number(line.ci_low, 2)} to {format_number(line.ci_high, 2)}"
    return f"neither class is shown to gain more, and differences from {ends} agree with these rows"
