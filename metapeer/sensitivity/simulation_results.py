"""What a simulation found: a row for each cell and method."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from metapeer.formatting import Printable, TextTable, count, format_number

__all__ = ["SimulationResult"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SimulationResult(Printable):
    """Performance of methods where the truth is known.

    Parameters
    ----------
    table : DataFrame
        A row for each cell and method.
    arguments : tuple of str
        What distinguishes the cells.
    methods : tuple of str
        What was compared, on the same draws.
    repetitions : int
        Meta-analyses in each cell.
    seed : int
        Of the random numbers.
    drawn : str
        What drew them.
    """

    table: pd.DataFrame
    arguments: tuple[str, ...]
    methods: tuple[str, ...]
    repetitions: int
    seed: int
    drawn: str

    def to_frame(self) -> pd.DataFrame:
        """Put cells and methods in rows.

        Returns
        -------
        DataFrame
            The arguments of the cell, ``method``, ``repetitions``, ``bias``, ``empirical_se``, ``rmse``, ``mean_se``,
            ``coverage`` (of the interval, from 0 to 1), ``width``, ``rejected`` (share of tests with p below 1 minus
            the level: power, or the type I error where the mean is 0), ``pi_coverage`` (of a new true effect by the
            prediction interval), ``tau2_bias``, ``tau2_rmse``, ``tau2_zero`` (share of estimates that are 0) and
            ``mean_I2``; columns that end in ``_mcse`` are Monte Carlo standard errors.
        """
        return self.table.copy()

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the cells in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        rows = []
        for row in self.table.to_dict("records"):
            cells = [
                f"{row[name]:g}" if isinstance(row[name], int | float) else str(row[name]) for name in self.arguments
            ]
            rows.append(
                [
                    *cells,
                    str(row["method"]),
                    format_number(row["bias"], 4),
                    format_number(row["rmse"], 3),
                    f"{100 * row['coverage']:.1f}",
                    format_number(row["width"], 3),
                    f"{100 * row['rejected']:.1f}",
                    format_number(row["tau2_bias"], 4),
                ]
            )
        worst = 100 * float(self.table["coverage_mcse"].max())
        return [
            TextTable(
                title=f"{count(self.repetitions, 'meta-analysis', 'meta-analyses')} in each cell",
                header=(*self.arguments, "method", "bias", "RMSE", "coverage %", "width", "rejected %", "bias of tau²"),
                rows=rows,
                notes=(
                    f"drawn by {self.drawn}, seed {self.seed}",
                    f"Monte Carlo standard error of a coverage: at most {worst:.1f} points",
                ),
            )
        ]
