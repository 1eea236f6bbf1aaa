"""The power of a planned test, with everything it rests on; and what a plan would have to be to reach a power."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.formatting import Printable, TextTable, format_level, format_number
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PowerCurve", "PowerResult", "PowerSearch", "effect_words", "power_words"]


def power_words(power: float) -> str:
    """Write a power in per cent; what is nearly certain is not written as if it were.

    Parameters
    ----------
    power : float
        Between 0 and 1.

    Returns
    -------
    str
        Such as ``"80.1%"`` or ``">99.9%"``.

    Examples
    --------
    >>> power_words(0.8012), power_words(0.99999)
    ('80.1%', '>99.9%')
    """
    if power > 0.9995:
        return ">99.9%"
    return "<0.1%" if power < 0.0005 else f"{format_number(100.0 * power, 1)}%"


def effect_words(effect: float, measure: str) -> str:
    """Write an effect as it was given and as it is read.

    Parameters
    ----------
    effect : float
        In the units of the measure, a logarithm for ratios.
    measure : str
        The measure; may be empty.

    Returns
    -------
    str
        Such as ``"SMD 0.2"`` or ``"RR 1.2 (log RR 0.1823)"``.

    Examples
    --------
    >>> effect_words(0.2, "SMD"), effect_words(0.18232, "RR")
    ('SMD 0.2', 'RR 1.2 (log RR 0.1823)')
    """
    name = f"{measure} " if measure else ""
    if measure_of(measure).scale == "log":
        return f"{name}{math.exp(min(effect, 700.0)):.4g} (log {name}{effect:.4g})"
    return f"{name}{effect:.4g}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PowerResult(Printable):
    """The power of one test in one planned meta-analysis.

    Parameters
    ----------
    test : str
        What is tested, and how, in words.
    power : float
        Probability that the test rejects if everything assumed is true.
    alpha : float
        Level of the test.
    alternative : str
        "two-sided", "greater", "less"; empty for a test of several differences at once.
    measure : str
        Effect measure; empty when it was not given.
    effect : float
        The true effect assumed, or the difference or slope; NaN when there are several.
    k : int
        Studies.
    tau2, I2 : float
        Heterogeneity assumed; I2 in per cent. NaN when subgroups differ in it.
    se : float
        Standard error to be expected; NaN for a test of several differences at once.
    noncentrality : float
        How far from the null hypothesis the truth lies: effect over `se`, or the parameter of chi-squared.
    df, df2 : float
        Degrees of freedom; infinite `df2` where the scale counts as known.
    exact : bool
        Whether the number is exact under normality and known sampling variances, rather than an approximation.
    method : str
        How it was computed, in words.
    assumed : tuple of (str, str)
        What was assumed, for the printed table.
    notes : tuple of str
        What a reader must know.
    """

    test: str
    power: float
    alpha: float
    alternative: str
    measure: str
    effect: float
    k: int
    tau2: float
    I2: float
    se: float
    noncentrality: float
    df: float
    df2: float
    exact: bool
    method: str
    assumed: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row, to be stacked on others.

        Returns
        -------
        DataFrame
            One row.
        """
        names = (
            "test", "power", "alpha", "alternative", "measure", "effect", "k", "tau2", "I2", "se", "noncentrality",
            "df", "df2", "exact", "method",
        )  # fmt: skip
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: the power and what it rests on.
        """
        sides = f", {self.alternative}" if self.alternative else ""
        rows = [
            ("Power", power_words(self.power)),
            ("Test", f"{self.test}, alpha {self.alpha:g}{sides}"),
            *self.assumed,
            ("Computed", self.method),
        ]
        return (TextTable(title="Power of a planned meta-analysis", header=("", ""), rows=rows, notes=self.notes),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PowerSearch(Printable):
    """What a plan would have to be to reach a power.

    Parameters
    ----------
    sought : {"k", "effect"}
        The number of studies, or the effect.
    value : float
        The answer.
    target : float
        The power to be reached.
    at : PowerResult
        The power there.
    notes : tuple of str
        What a reader must know.
    """

    sought: str
    value: float
    target: float
    at: PowerResult
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row.

        Returns
        -------
        DataFrame
            The row of the power at the answer, with `sought`, `value` and `target` in front.
        """
        row = self.at.to_frame()
        for place, name in enumerate(("sought", "value", "target")):
            row.insert(place, name, [getattr(self, name)])
        return row

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: the answer, and what it rests on.
        """
        if self.sought == "k":
            first = ("Studies needed", f"{int(self.value):,}")
        else:
            first = ("Smallest detectable effect", effect_words(self.value, self.at.measure))
        sides = f", {self.at.alternative}" if self.at.alternative else ""
        left_out = "Studies" if self.sought == "k" else "True effect"
        rows = [
            first,
            ("For a power of", format_level(self.target)),
            ("Power there", power_words(self.at.power)),
            ("Test", f"{self.at.test}, alpha {self.at.alpha:g}{sides}"),
            *(row for row in self.at.assumed if row[0] != left_out),
            ("Computed", self.at.method),
        ]
        notes = (*self.notes, *self.at.notes)
        return (TextTable(title="Plan of a meta-analysis", header=("", ""), rows=rows, notes=notes),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PowerCurve(Printable):
    """Power against the number of studies, for several amounts of heterogeneity.

    Parameters
    ----------
    results : tuple of PowerResult
        One for each number of studies and each amount of heterogeneity.
    by : {"tau2", "I2"}
        How heterogeneity was said.
    test : str
        What is tested, and how, in words.
    notes : tuple of str
        What a reader must know.
    """

    results: tuple[PowerResult, ...]
    by: str
    test: str
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put each result in a row.

        Returns
        -------
        DataFrame
            As `PowerResult.to_frame`.
        """
        return pd.concat([one.to_frame() for one in self.results], ignore_index=True)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: a row for each number of studies, a column for each amount of heterogeneity.
        """
        levels = list(dict.fromkeys(self._level(one) for one in self.results))
        cells = {(one.k, self._level(one)): power_words(one.power) for one in self.results}
        counts = list(dict.fromkeys(one.k for one in self.results))
        rows = [(f"{k:,}", *(cells[k, level] for level in levels)) for k in counts]
        first = self.results[0]
        title = f"Power: {self.test}, {effect_words(first.effect, first.measure)}, alpha {first.alpha:g}"
        return (TextTable(title=title, header=("Studies", *levels), rows=rows, notes=self.notes),)

    def plot(self, *, target: float | None = 0.8, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the curves.

        Parameters
        ----------
        target : float, optional
            Where a dotted line marks the power wanted; none when None.
        ax : Axes, optional
            Where to draw; by default a new Figure.
        **options
            Anything that `metapeer.plots.power.power_curve_plot` takes: ``title``, ``notes``,
            ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and others.

        Returns
        -------
        Figure
            The figure drawn on.
        """
        from metapeer.plots.power import power_curve_plot

        first = self.results[0]
        table = pd.DataFrame(
            {
                "x": [one.k for one in self.results],
                "power": [one.power for one in self.results],
                "curve": [self._level(one) for one in self.results],
            }
        )
        options.setdefault("title", f"Power to detect {effect_words(first.effect, first.measure)}")
        options.setdefault("x_label", "Number of studies")
        options.setdefault("notes", (f"{self.test[0].upper()}{self.test[1:]}, alpha {first.alpha:g}", *self.notes))
        return power_curve_plot(table, target=target, ax=ax, **options)

    def _level(self, one: PowerResult) -> str:
        return f"I² = {one.I2:.3g}%" if self.by == "I2" else f"tau² = {one.tau2:.3g}"
