"""What the rows of a trial measure, and how that correlates in the same people."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import DataError, Fault, MetapeerError
from metapeer.pooling.assumed_correlations import Rho, correlations_between
from metapeer.pooling.models import Effects
from metapeer.pooling.trial_pairs import Shares, TrialPairs, cell_codes, listed, numeric_cells
from metapeer.pooling.weighted import FloatArray

__all__ = ["Measurements", "columns_of_measurement"]

Codes = NDArray[np.intp]

MEASUREMENT = ("outcome", "instrument", "statistic")
WHEN = ("timepoint", "timepoint_months")


def columns_of_measurement(frame: pd.DataFrame, named: list[str] | None, *, keyed: bool, time: str | None) -> list[str]:
    """Choose the columns that tell measurements apart.

    Parameters
    ----------
    frame : DataFrame
        The rows that are pooled.
    named : list of str or None
        What the user named.
    keyed : bool
        Whether correlations were given for pairs of values of one column.
    time : str or None
        The column of times, when these are modelled apart.

    Returns
    -------
    list of str
        Columns of the table.

    Raises
    ------
    MetapeerError
        If pairs of values were given and it is not one column that holds them.
    """
    if named is not None:
        if keyed and len(named) != 1:
            raise MetapeerError("rho names pairs of values of one column; give obs= that one column")
        return named
    if keyed:
        if "outcome" not in frame:
            raise MetapeerError("rho names pairs of values; give obs=, the column that holds them")
        return ["outcome"]
    return [c for c in (*MEASUREMENT, *(WHEN if time is None else ())) if c in frame and c != time]


class Measurements:
    """What each row measures: codes of the measurement, its kind and its time, read from the table.

    Parameters
    ----------
    effects : Effects
        The rows that are pooled.
    frame : DataFrame
        The same rows.
    pairs : TrialPairs
        What they share.
    columns : list of str
        Columns that tell measurements apart.
    strict : bool
        Whether these were named by the user, so that no cell may be empty.
    kind, time : str or None
        Columns of the kind and the time of measurement.

    Attributes
    ----------
    faults : list of Fault
        Cells that are missing in rows that share people with others.
    """

    def __init__(
        self,
        effects: Effects,
        frame: pd.DataFrame,
        pairs: TrialPairs,
        columns: list[str],
        *,
        strict: bool,
        kind: str | None,
        time: str | None,
    ) -> None:
        k = effects.yi.size
        self.effects, self.pairs, self.columns = effects, pairs, columns
        self.faults: list[Fault] = []
        self.needed = np.zeros(k, dtype=np.bool_)
        connected = pairs.shares != Shares.TRIAL
        self.needed[pairs.first[connected]] = self.needed[pairs.second[connected]] = True
        self.obs, self.obs_values = np.zeros(k, dtype=np.intp), [""]
        for place, column in enumerate(columns):
            codes, values = cell_codes(frame, column)
            if strict:
                self._demand(codes < 0, column, "say what was measured")
            if place == 0:
                self.obs, self.obs_values = codes, values
            else:
                self.obs = np.unique(np.stack([self.obs, codes], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
        self.kind, self.kinds = np.zeros(k, dtype=np.intp), [""]
        if kind is not None:
            self.kind, self.kinds = cell_codes(frame, kind)
            self._demand(self.kind < 0, kind, "say what kind of measurement it is")
        self.when = np.zeros(k)
        if time is not None:
            self.when = numeric_cells(frame, time)
            self._demand(~np.isfinite(self.when), time, "give the time of measurement as a number")

    def _demand(self, lacking: NDArray[np.bool_], column: str, remedy: str) -> None:
        self.faults += [
            Fault(row=self.effects.labels[i], column=column, message=f"is missing; {remedy}")
            for i in np.flatnonzero(lacking & self.needed).tolist()
        ]

    def correlations(
        self, within: Rho, between: Rho | None, phi: float | None, *, source: str, strict: bool
    ) -> tuple[FloatArray, Codes]:
        """Give the correlation of what two rows measure, in the same people.

        Parameters
        ----------
        within, between : float, mapping, DataFrame or None
            As `read_rho` returns them.
        phi : float or None
            Correlation at one unit of time.
        source : str
            The table, for messages.
        strict : bool
            Whether rows that cannot be told apart are copies of each other; else they correlate by `within`.

        Returns
        -------
        correlations : array of shape (m,)
            One for each pair.
        alike : array of int
            Positions of the pairs of the same people that cannot be told apart.

        Raises
        ------
        DataError
            Listing pairs of values for which no correlation was given.
        """
        first, second = self.pairs.first, self.pairs.second
        one, two = self.obs[first], self.obs[second]
        apart = np.abs(self.when[first] - self.when[second])
        same = one == two
        result = np.where(same, 1.0, correlations_between(within, self.obs_values, one, two))
        alike = same & (apart == 0.0)
        if between is not None:
            kind1, kind2 = self.kind[first], self.kind[second]
            other = kind1 != kind2
            result = np.where(other, correlations_between(between, self.kinds, kind1, kind2), result)
            alike &= ~other
        connected = self.pairs.shares != Shares.TRIAL
        self._refuse_unknown(np.flatnonzero(np.isnan(result) & connected), source)
        result = np.where(np.isnan(result), 0.0, result)
        alike &= self.pairs.shares == Shares.PARTICIPANTS
        if not strict and isinstance(within, float):
            result = np.where(alike, within, result)
        if phi is not None:
            result = result * np.power(phi, apart, where=apart > 0, out=np.ones(apart.size))
        return result, np.flatnonzero(alike)

    def _refuse_unknown(self, lacking: Codes, source: str) -> None:
        wanted: dict[tuple[str, str], list[str]] = {}
        for i in lacking.tolist():
            a, b = int(self.pairs.first[i]), int(self.pairs.second[i])
            codes, values = (self.kind, self.kinds) if self.kind[a] != self.kind[b] else (self.obs, self.obs_values)
            ends = sorted((values[codes[a]], values[codes[b]]))
            wanted.setdefault((ends[0], ends[1]), []).append(self.pairs.names[self.pairs.trial[a]])
        if wanted:
            raise DataError(
                source,
                [
                    f"rho has no correlation of {one!r} and {two!r}, which {listed(trials)} measured together"
                    for (one, two), trials in wanted.items()
                ],
            )
