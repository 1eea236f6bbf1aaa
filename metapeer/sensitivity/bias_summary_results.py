"""What all methods for small-study effects and publication bias say of one set of effects, side by side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, format_interval, format_level, format_number, format_p
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.sensitivity.asymmetry_data import size_words
from metapeer.sensitivity.p_values_input import side_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["GROUPS", "SIGNIFICANCE", "BiasLine", "BiasSummary"]

SIGNIFICANCE = 0.1
"""Below which a test of asymmetry or of excess significance is said to find something: Egger et al. (1997), BMJ
315:629-634; Ioannidis & Trikalinos (2007), Clin Trials 4:245-253."""

GROUPS = {
    "asymmetry": "Do less precise studies have other effects?",
    "estimate": "What would the effect be, if the supposition of each method were true?",
    "severity": "How much would it take?",
}
FIRST = {"asymmetry": "slope or tau", "severity": "number"}
WARNING = (
    "None of these methods knows which studies are missing; each answers what would follow from a supposition of its "
    "own. Where they disagree, the data do not tell."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasLine:
    """What one method says.

    Parameters
    ----------
    group : {"asymmetry", "estimate", "severity"}
        Whether it tests asymmetry, estimates an effect, or says how much it would take to change the result.
    method : str
        The function, with its variant.
    label : str
        Its name for a reader.
    quantity : str
        What `value` is: "slope", "Kendall's tau", "effect", "selection ratio" or "studies".
    says : str
        What that comes to, in words.
    value : float
        The slope, the correlation, the effect, or the number; effects on the scale they were pooled on.
    ci_low, ci_high : float
        Its confidence interval; NaN where there is none.
    p_value : float
        NaN where there is no test.
    p_test : str
        Whose p value it is: the distribution with its degrees of freedom.
    note : str
        What it rests on.
    se : float
        Standard error of the value; NaN where there is none.
    """

    group: str
    method: str
    label: str
    quantity: str
    says: str
    value: float
    ci_low: float = math.nan
    ci_high: float = math.nan
    p_value: float = math.nan
    p_test: str = ""
    note: str = ""
    se: float = math.nan


def _figures(value: float) -> str:
    """Three decimals, or three figures where that would leave none or too many: slopes have units of their own."""
    if value and math.isfinite(value) and not 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    return format_number(value, 3)


def _p(line: BiasLine) -> str:
    if math.isnan(line.p_value):
        return ""
    return f"{format_p(line.p_value)} ({line.p_test})" if line.p_test else format_p(line.p_value)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BiasSummary(Printable):
    """The result of `bias_summary`.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The pooled effect that is asked about.
    favoured : {"positive", "negative"} or ""
        Results that are supposed to be favoured, by the methods that suppose a side; empty where no value of the
        measure means no effect.
    favoured_given : bool
        Whether the side was asked for, rather than that of the common-effect estimate.
    lines : tuple of BiasLine
        What each method says.
    not_applied : dict of str to (str, str)
        Methods that cannot be applied: their names for a reader, and the reason.
    results : dict of str to object
        Method to its result in full.
    doubts : tuple of (str, tuple of str)
        What is doubtful, each once, and of which methods; of all where none is named.
    """

    fit: MetaAnalysisResult
    favoured: str
    favoured_given: bool
    lines: tuple[BiasLine, ...]
    not_applied: Mapping[str, tuple[str, str]]
    results: Mapping[str, Any]
    doubts: tuple[tuple[str, tuple[str, ...]], ...]

    def __getitem__(self, method: str) -> Any:
        """Return what a method found, in full.

        Parameters
        ----------
        method : str
            One of `results`.

        Returns
        -------
        object
            The method's own result.

        Raises
        ------
        ChoiceError
            If there is no such method here.
        MetapeerError
            If it could not be applied.
        """
        chosen = check_choice("method", method, [*self.results, *self.not_applied])
        if chosen in self.not_applied:
            name, reason = self.not_applied[chosen]
            raise MetapeerError(f"{name} cannot be applied here: {reason}")
        return self.results[chosen]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is doubtful, in sentences."""
        return tuple(f"{', '.join(names)}: {text}" if names else text for text, names in self.doubts)

    def to_frame(self) -> pd.DataFrame:
        """Put every method in a row, with those that could not be applied.

        Returns
        -------
        DataFrame
            ``group`` ("asymmetry", "estimate", "severity", "not applied"), ``method``, ``label``, ``quantity``,
            ``says``, ``value``, ``se``, ``ci_low``, ``ci_high``, ``level``, ``p_value``, ``p_test``, ``note`` (the
            reason, where a method could not be applied), ``measure``; ratios on the log scale.
        """
        rows = [asdict(line) for line in self.lines]
        for method, (label, reason) in self.not_applied.items():
            nothing = BiasLine(
                group="not applied", method=method, label=label, quantity="", says="", value=math.nan, note=reason
            )
            rows.append(asdict(nothing))
        columns = [field.name for field in fields(BiasLine) if field.name != "se"]
        columns.insert(columns.index("ci_low"), "se")
        frame = pd.DataFrame(rows, columns=columns).assign(measure=self.fit.measure)
        frame.insert(columns.index("p_value"), "level", self.fit.level)
        return frame

    def _number(self, line: BiasLine) -> str:
        entry = measure_of(self.fit.measure)
        if line.quantity == "effect":
            variance = line.se**2 if math.isfinite(line.se) else self.fit.se**2
            shown = [
                entry.display(end, variance) if math.isfinite(end) else end
                for end in (line.value, line.ci_low, line.ci_high)
            ]
            number, between = format_number(shown[0], 3), format_interval(shown[1], shown[2], 3)
        elif line.quantity == "studies":
            number, between = ("∞" if math.isinf(line.value) else f"{line.value:,.0f}"), ""
        elif line.quantity == "selection ratio":
            number, between = ("none" if math.isinf(line.value) else format_number(line.value, 2)), ""
        else:
            number = _figures(line.value)
            between = f"{_figures(line.ci_low)} to {_figures(line.ci_high)}"
        return number if math.isnan(line.ci_low) or not between else f"{number} ({between})"

    def text_tables(self) -> Sequence[TextTable]:
        """Describe what the methods say.

        Returns
        -------
        sequence of TextTable
            A table for each question; what could not be applied; and the doubts.
        """
        fit = self.fit
        level = format_level(fit.level)
        tables = []
        for group, question in GROUPS.items():
            lines = [line for line in self.lines if line.group == group]
            if not lines:
                continue
            name = FIRST.get(group, fit.measure or "effect")
            values = f"{name} ({level} CI)" if group != "severity" else name
            rows = [(line.label, line.says, self._number(line), _p(line), line.note) for line in lines]
            tables.append(
                TextTable(title=question, header=("method", "what it says", values, "p (test)", "note"), rows=rows)
            )
        if self.not_applied:
            tables.append(
                TextTable(title="Not applied", header=("method", "reason"), rows=list(self.not_applied.values()))
            )
        said = [f"asymmetry and excess are said to be there at p < {SIGNIFICANCE:g}"]
        if self.favoured:
            how = "as asked" if self.favoured_given else "as the common-effect estimate is; favoured= says otherwise"
            said.append(f"methods that suppose a side take {side_words(self.favoured)} as favoured, {how}")
        tables.append(TextTable(header=(), rows=(), notes=[*said, *self.notes, WARNING]))
        first = tables[0]
        title = f"Small-study effects and publication bias: {size_words(fit.k, fit.trials)}"
        tables[0] = TextTable(title=f"{title}\n\n{first.title}", header=first.header, rows=first.rows)
        return tables

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the contour-enhanced funnel.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `funnel_plot` takes, such as ``trim_and_fill=True``.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.sensitivity.asymmetry_funnel import funnel_plot

        return funnel_plot(self.fit, ax=ax, **options)
