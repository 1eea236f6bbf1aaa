"""Rows of outcome classes as the analyses read them, with the covariance of their sampling errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import DataError
from metapeer.pooling.covariance import SamplingCovariance
from metapeer.pooling.dependence import sampling_covariance
from metapeer.pooling.outcome_classes_cells import Question

__all__ = ["Chosen", "ClassRows", "Settings"]

Chosen = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What stays the same over all analyses.

    Parameters
    ----------
    rho : float
        Correlation of the sampling errors of two measurements of the same people.
    model : str
        One of `CLASS_MODELS`.
    comparisons, arm_sizes : str
        As in `sampling_covariance`.
    level : float
        Of the intervals.
    """

    rho: float
    model: str
    comparisons: str
    arm_sizes: str
    level: float

    def question(self, weights: Mapping[str, float], *, within: bool) -> Question:
        """Ask for a contrast.

        Parameters
        ----------
        weights : mapping of str to float
            Weight of each cell.
        within : bool
            Whether the cells are found within trials.

        Returns
        -------
        Question
            With these settings.
        """
        return Question(
            weights=weights,
            rho=self.rho,
            comparisons=self.comparisons,
            arm_sizes=self.arm_sizes,
            level=self.level,
            within=within,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassRows:
    """One version of the table: rows of the classes asked for, and the covariance of their sampling errors.

    Parameters
    ----------
    wide : DataFrame
        The rows with all that their covariance is made from.
    rows : DataFrame
        The same rows with no more than the analyses read, among it `CELL` and `CLASS`.
    comparisons, arm_sizes : str
        As in `sampling_covariance`.
    """

    wide: pd.DataFrame
    rows: pd.DataFrame
    comparisons: str
    arm_sizes: str
    made: dict[float, SamplingCovariance] = field(default_factory=dict, init=False)

    def _make(self, wide: pd.DataFrame, rho: float) -> SamplingCovariance:
        return sampling_covariance(
            wide,
            rho=rho,
            comparisons=self.comparisons,  # type: ignore[arg-type]
            arm_sizes=self.arm_sizes,
        )

    def whole(self, rho: float) -> SamplingCovariance:
        """Make the covariance of all rows.

        Parameters
        ----------
        rho : float
            As in `sampling_covariance`.

        Returns
        -------
        SamplingCovariance
            Made once for each rho.
        """
        found = self.made.get(rho)
        if found is None:
            found = self.made[rho] = self._make(self.wide, rho)
        return found

    def part(self, chosen: Chosen, rho: float) -> Callable[[], SamplingCovariance]:
        """Make the covariance of some rows when it is asked for.

        Parameters
        ----------
        chosen : array of bool
            Which.
        rho : float
            As in `sampling_covariance`.

        Returns
        -------
        function
            It makes the covariance.
        """

        def make() -> SamplingCovariance:
            try:
                return self.whole(rho).rows(np.flatnonzero(chosen))
            except DataError:
                # Rows that are not chosen may be at fault.
                return self._make(self.wide[chosen].reset_index(drop=True), rho)

        return make

    def having(self, column: str, value: str) -> Chosen:
        """Find the rows with a value.

        Parameters
        ----------
        column : str
            A column.
        value : str
            A value.

        Returns
        -------
        array of bool
            True for these rows.
        """
        return np.asarray(self.rows[column].to_numpy() == value)
