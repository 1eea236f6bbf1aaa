"""What many meta-analyses at once give: a row for each, and what became of those that could not be pooled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metapeer.formatting import Printable, TextTable, count, format_level, format_number
from metapeer.pooling.batch_fit import BatchOptions
from metapeer.pooling.inference import CI_WORDS
from metapeer.pooling.weighted import FloatArray

__all__ = ["BatchResult"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BatchResult(Printable):
    """Many meta-analyses.

    Parameters
    ----------
    groups : DataFrame of n rows
        What each set is called: the columns it was made by, or ``set``, its place.
    columns : dict of array of shape (n,)
        Every number; NaN where a set could not be pooled, or has no such number.
    options : BatchOptions
        How they were pooled.
    failed : int
        Sets that could not be pooled.
    faults : DataFrame
        Everything that was wrong: ``set``, ``row``, ``line``, ``column``, ``message``.
    notes : tuple of str
        What a reader must know.
    """

    groups: pd.DataFrame
    columns: dict[str, FloatArray]
    options: BatchOptions
    failed: int
    faults: pd.DataFrame
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.groups)

    def to_frame(self) -> pd.DataFrame:
        """Put the sets in rows.

        Returns
        -------
        DataFrame
            The names of the sets, ``k``, ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``ci_method``, ``statistic``,
            ``df`` (NaN: normal), ``p_value``, ``hk_q``, ``pi_low``, ``pi_high``, ``tau2``, ``I2`` (from tau2),
            ``I2_Q``, ``H2``, ``Q``, ``Q_df``, ``Q_p``, ``other_maxima``, ``certified``, ``narrow``; ratios on
            the log scale. A set of one study has the normal interval of that study, whatever the method of the others.
        """
        frame = self.groups.copy()
        for name, values in self.columns.items():
            frame[name] = values
        done = np.isfinite(self.columns["k"])
        for name in ("k", "Q_df", "other_maxima"):
            frame[name] = frame[name].astype("int64" if done.all() else "Int64")
        for name in ("certified", "narrow"):
            frame[name] = frame[name].astype("bool" if done.all() else "boolean")
        methods = sorted({self.options.ci_method, "z"})
        alone = (self.columns["k"] == 1) if self.options.ci_method != "z" else np.zeros(len(frame), dtype=np.bool_)
        codes = np.where(alone, methods.index("z"), methods.index(self.options.ci_method))
        codes[~done] = -1
        place = frame.columns.get_loc("ci_high")
        assert isinstance(place, int)  # noqa: S101  no column stands twice
        frame.insert(place + 1, "ci_method", pd.Series(pd.Categorical.from_codes(codes.tolist(), pd.Index(methods))))
        return frame

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the sets in words.

        Returns
        -------
        sequence of TextTable
            One table: how the numbers are spread over the sets.
        """
        options = self.options
        kind = "Random-effects" if options.model == "random" else "Common-effect"
        pooled = len(self) - self.failed
        how = [f"{format_level(options.level)} interval: {CI_WORDS[options.ci_method]}"]
        if options.tau2_method:
            how.insert(0, f"tau²: {options.tau2_method}")
        shares = (0.0, 0.25, 0.5, 0.75, 1.0)
        rows = []
        labels = {"k": "studies", "estimate": "estimate", "se": "se", "tau2": "tau²", "I2": "I² (%) from tau²"}
        for name, label in labels.items():
            values = self.columns[name][np.isfinite(self.columns[name])]
            if values.size:
                digits = 0 if name == "k" else 1 if name == "I2" else 3
                rows.append([label, *(format_number(x, digits) for x in np.quantile(values, shares).tolist())])
        below = self.columns["p_value"] < 1.0 - options.level
        rows.append([f"p < {1.0 - options.level:.3g}", f"{int(below.sum()):,}", "", "", "", ""])
        header = ("over the sets", "least", "25%", "median", "75%", "most") if pooled else ("",) * 6
        return [
            TextTable(
                title=f"{kind} meta-analyses: {count(pooled, 'set')} pooled of {len(self):,}",
                header=header,
                rows=rows if pooled else [],
                notes=(", ".join(how), *self.notes),
            )
        ]
