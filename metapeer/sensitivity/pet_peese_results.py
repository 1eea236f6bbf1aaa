"""What PET and PEESE found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.formatting import Printable, TextTable, format_interval, format_level, format_number, format_p
from metapeer.pooling.results import measure_of
from metapeer.sensitivity.asymmetry_data import size_words
from metapeer.sensitivity.asymmetry_results import AsymmetryTestResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PetPeeseResult"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PetPeeseResult(Printable):
    """The result of `pet_peese`.

    Parameters
    ----------
    measure : str
        Effect measure; empty when unknown.
    k, trials : int
        Effects, and the trials they come from.
    pet : AsymmetryTestResult
        Regression on the standard error: its slope is the funnel-asymmetry test (FAT), its limit the
        precision-effect estimate (PET).
    peese : AsymmetryTestResult
        Regression on the variance; its limit is the precision-effect estimate with standard error (PEESE).
    pet_p_value : float
        Two-sided p value of PET, that the effect without sampling error is 0.
    alpha : float
        Level of that test, below which PEESE is chosen.
    chosen : {"PET", "PEESE"}
        The conditional estimator.
    notes : tuple of str
        What a reader must know.
    """

    measure: str
    k: int
    trials: int
    pet: AsymmetryTestResult
    peese: AsymmetryTestResult
    pet_p_value: float
    alpha: float
    chosen: str
    notes: tuple[str, ...]

    @property
    def level(self) -> float:
        """Confidence level of the intervals."""
        return self.pet.level

    @property
    def selected(self) -> AsymmetryTestResult:
        """The regression that the conditional estimator chose."""
        return self.pet if self.chosen == "PET" else self.peese

    @property
    def estimate(self) -> float:
        """The conditional estimate, on the scale of the effects."""
        return self.selected.limit

    def to_frame(self) -> pd.DataFrame:
        """Put the estimators in rows.

        Returns
        -------
        DataFrame
            ``estimator`` ("PET", "PEESE"), ``chosen``, ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``df``,
            ``p_value`` of the limit; ``slope``, ``slope_p_value``; ``predictor``, ``level``, ``k``, ``measure``.
        """
        rows = []
        for name, fit in (("PET", self.pet), ("PEESE", self.peese)):
            assert fit.line is not None  # noqa: S101
            assert fit.limit_ci is not None  # noqa: S101
            rows.append(
                {
                    "estimator": name,
                    "chosen": name == self.chosen,
                    "estimate": fit.limit,
                    "se": float(fit.line.se[0]),
                    "ci_low": fit.limit_ci.low,
                    "ci_high": fit.limit_ci.high,
                    "df": float(fit.line.df[0]),
                    "p_value": float(fit.line.p_value[0]),
                    "slope": fit.estimate,
                    "slope_p_value": fit.p_value,
                    "predictor": fit.predictor,
                    "level": fit.level,
                    "k": self.k,
                    "measure": self.measure,
                }
            )
        return pd.DataFrame(rows)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        measure = measure_of(self.measure)
        rows = []
        for row in self.to_frame().to_dict("records"):
            low, high = measure.display(row["ci_low"]), measure.display(row["ci_high"])
            rows.append(
                (
                    str(row["estimator"]),
                    format_number(measure.display(row["estimate"]), 3),
                    format_interval(low, high, 3),
                    format_p(row["p_value"]),
                    format_p(row["slope_p_value"]),
                    "chosen" if row["chosen"] else "",
                )
            )
        less, rule = ("below", "PEESE") if self.chosen == "PEESE" else ("not below", "PET")
        fat = "normal" if self.pet.df is None else f"t, {self.pet.df:.4g} df"
        notes = [
            f"PET's p is {less} {self.alpha:g} (two-sided), so that the conditional estimator is {rule}",
            f"asymmetry: the slopes, tested by {fat} for PET (FAT)",
            f"PET: {self.pet.formula}; PEESE: {self.peese.formula}",
            f"PET: {self.pet.errors}",
            f"PEESE: {self.peese.errors}",
            *self.notes,
        ]
        return (
            TextTable(
                title=f"PET-PEESE: {size_words(self.k, self.trials)}",
                header=(
                    "",
                    f"{self.measure or 'effect'} without sampling error",
                    f"{format_level(self.level)} CI",
                    "p",
                    "p of asymmetry",
                    "",
                ),
                rows=rows,
                notes=notes,
            ),
        )

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the funnel with the line of the conditional estimator.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `funnel_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.sensitivity.asymmetry_funnel import draw_studies

        assert self.pet.studies is not None  # noqa: S101
        how: dict[str, Any] = {"ax": ax, "egger": self.selected, "yaxis": self.pet.predictor}
        return draw_studies(self.pet.studies, **(how | options))
