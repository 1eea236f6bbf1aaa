"""Dependence as data: which effects share participants, which a control arm, and which only a trial."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.formatting import Printable, TextTable, count
from metapeer.pooling.models import read_effects
from metapeer.pooling.trial_pairs import Comparisons, Shares, find_pairs, listed, table_of

__all__ = ["DependenceDescription", "describe_dependence"]

Codes = NDArray[np.intp]

WORDS = {Shares.TRIAL: "trial only", Shares.PARTICIPANTS: "participants", Shares.ARM: "one arm"}
TOLD = ("outcome", "instrument", "statistic", "timepoint", "timepoint_months")
SHOWN = 30
"""Trials that the printed table lists; `to_frame` has them all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DependenceDescription(Printable):
    """What the effects of each trial have in common, from `describe_dependence`.

    Parameters
    ----------
    k : int
        Effects that can be pooled.
    trials : tuple of str
        The trials, in the order of first appearance.
    effects_by_trial : array of shape (trials,)
        Effects of each.
    pairs_by_trial : array of shape (trials, 3)
        Pairs of effects that share the trial only, all participants, or one arm.
    assumed : tuple of str
        Trials with several comparisons whose arms are not named, so that what their rows share had to be assumed.
    first, second : array of shape (m,)
        The pairs of effects of one trial, as positions among the pooled rows.
    shares : tuple of str
        What each pair shares: ``"participants"``, ``"one arm"`` or ``"trial only"``.
    labels : tuple of str
        Names of the pooled rows.
    trial_of : tuple of str
        The trial of each.
    differ : tuple of str
        For each pair, the columns in which the two rows differ.
    notes : tuple of str
        What a reader must know.
    """

    k: int
    trials: tuple[str, ...]
    effects_by_trial: Codes
    pairs_by_trial: Codes
    assumed: tuple[str, ...]
    first: Codes
    second: Codes
    shares: tuple[str, ...]
    labels: tuple[str, ...]
    trial_of: tuple[str, ...]
    differ: tuple[str, ...]
    notes: tuple[str, ...]

    def to_frame(self, *, pairs: bool = False) -> pd.DataFrame:
        """Put the description in a table.

        Parameters
        ----------
        pairs : bool, default False
            Whether to give a row for each pair of effects instead of one for each trial.

        Returns
        -------
        DataFrame
            For each trial ``trial``, ``effects``, ``pairs`` and how many of these share ``participants``, ``one_arm``
            or ``trial_only``, and whether its arms are ``assumed``. For each pair ``trial``, ``effect1``, ``effect2``,
            ``row1`` and ``row2`` (positions among the pooled rows, from 0), ``shares``, ``differ_in`` and ``assumed``.
        """
        if pairs:
            one, two = self.first.tolist(), self.second.tolist()
            return pd.DataFrame(
                {
                    "trial": [self.trial_of[i] for i in one],
                    "effect1": [self.labels[i] for i in one],
                    "effect2": [self.labels[i] for i in two],
                    "row1": one,
                    "row2": two,
                    "shares": list(self.shares),
                    "differ_in": list(self.differ),
                    "assumed": [self.trial_of[i] in self.assumed for i in one],
                }
            )
        return pd.DataFrame(
            {
                "trial": list(self.trials),
                "effects": self.effects_by_trial,
                "pairs": self.pairs_by_trial.sum(axis=1),
                "participants": self.pairs_by_trial[:, Shares.PARTICIPANTS],
                "one_arm": self.pairs_by_trial[:, Shares.ARM],
                "trial_only": self.pairs_by_trial[:, Shares.TRIAL],
                "assumed": [trial in self.assumed for trial in self.trials],
            }
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the dependence in words.

        Returns
        -------
        sequence of TextTable
            How many pairs share what, and the trials with more than one effect.
        """
        totals = self.pairs_by_trial.sum(axis=0)
        several = np.flatnonzero(self.effects_by_trial > 1)
        summary = TextTable(
            title=f"Dependence: {count(self.k, 'effect')} of {count(len(self.trials), 'trial')}; "
            f"{count(several.size, 'trial')} with more than one",
            header=("pairs of effects of one trial", "", ""),
            rows=[
                ("share all participants", f"{totals[Shares.PARTICIPANTS]:,}", "correlated as the measurements are"),
                ("share one arm", f"{totals[Shares.ARM]:,}", "correlated through that arm"),
                ("share the trial only", f"{totals[Shares.TRIAL]:,}", "sampling errors independent"),
            ],
            notes=() if several.size else self.notes,
        )
        if not several.size:
            return [summary]
        ranked = several[np.argsort(-self.effects_by_trial[several], kind="stable")]
        rows = [
            (
                self.trials[i] + (" *" if self.trials[i] in self.assumed else ""),
                f"{self.effects_by_trial[i]:,}",
                *(f"{self.pairs_by_trial[i, s]:,}" for s in (Shares.PARTICIPANTS, Shares.ARM, Shares.TRIAL)),
            )
            for i in ranked[:SHOWN].tolist()
        ]
        notes = list(self.notes)
        if several.size > SHOWN:
            notes.insert(0, f"... and {several.size - SHOWN:,} more trials; to_frame() has them all")
        header = ("trial", "effects", "participants", "one arm", "trial only")
        return [summary, TextTable(header=header, rows=rows, notes=notes)]


def describe_dependence(
    data: pd.DataFrame,
    *,
    cluster: str = "study_id",
    subgroup: str | None = None,
    comparisons: Comparisons = "shared_control",
) -> DependenceDescription:
    """Describe which effects come from the same people.

    Parameters
    ----------
    data : DataFrame
        Effects, as `effect_size` returns them. Rows with an ``exclusion_reason`` take no part.
    cluster : str, default "study_id"
        Column that names the trial.
    subgroup : str, optional
        Column that parts the people of a trial into groups without overlap.
    comparisons : {"shared_control", "independent"}
        What to assume of a trial with several comparisons whose arms are not named, as in `sampling_covariance`.

    Returns
    -------
    DependenceDescription
        Counts by trial, and every pair of effects of one trial with what it shares.

    Raises
    ------
    DataError
        Listing missing columns, rows without a trial or subgroup, and trials whose arms are named in part.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"study_id": ["a", "a", "a", "b"], "outcome": ["hope", "stigma", "hope", "hope"],
    ...                       "arm1": ["group", "group", "phone", ""], "arm2": ["usual care"] * 3 + [""],
    ...                       "yi": [0.2, 0.4, 0.1, 0.3], "vi": [0.04, 0.09, 0.02, 0.05]})
    >>> print(describe_dependence(table))
    Dependence: 4 effects of 2 trials; 1 trial with more than one
    <BLANKLINE>
    pairs of effects of one trial
    share all participants         1  correlated as the measurements are
    share one arm                  2  correlated through that arm
    share the trial only           0  sampling errors independent
    <BLANKLINE>
    trial  effects  participants  one arm  trial only
    a            3             1        2           0
    """
    effects = read_effects(data)
    pairs = find_pairs(effects, cluster=cluster, subgroup=subgroup, comparisons=comparisons)
    frame = table_of(effects)
    groups = len(pairs.names)
    by_trial = np.zeros((groups, len(Shares)), dtype=np.intp)
    np.add.at(by_trial, (pairs.trial[pairs.first], pairs.shares), 1)
    columns = [column for column in (*TOLD, "comparison", "arm1", "arm2") if column in frame]
    if subgroup is not None:
        columns.append(subgroup)
    differ = [""] * pairs.first.size
    for column in columns:
        codes = pd.factorize(frame[column])[0]
        for i in np.flatnonzero(codes[pairs.first] != codes[pairs.second]).tolist():
            differ[i] += f", {column}" if differ[i] else column
    assumed = tuple(pairs.names[code] for code in sorted(pairs.assumed))
    notes = []
    if assumed:
        notes.append(
            f"* {listed(assumed)}: several comparisons and no named arms; arm 2 is taken for one control group shared "
            "by all. Name the arms in columns arm1 and arm2, or give comparisons='independent'"
        )
    if effects.excluded:
        notes.append(f"{count(len(effects.excluded), 'excluded row')} left out")
    return DependenceDescription(
        k=effects.yi.size,
        trials=pairs.names,
        effects_by_trial=np.bincount(pairs.trial, minlength=groups),
        pairs_by_trial=by_trial,
        assumed=assumed,
        first=pairs.first,
        second=pairs.second,
        shares=tuple(WORDS[Shares(code)] for code in pairs.shares.tolist()),
        labels=effects.labels,
        trial_of=tuple(pairs.names[code] for code in pairs.trial.tolist()),
        differ=tuple(differ),
        notes=tuple(notes),
    )
