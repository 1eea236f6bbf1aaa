"""What an update found: the outcomes before and after, what could not be used, and what is still awaited."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, count
from metapeer.living.update_outcome import OutcomeChange
from metapeer.pooling.results import MetaAnalysisResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Awaited", "ReviewUpdate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A trial whose numbers are missing, and what is needed of it.

    Parameters
    ----------
    study_id, outcome, needed, where_to_look, note : str
        As in a worklist.
    format : str
        The trial's format of peer support in the source's words; empty when unknown.
    listed_in : str
        The file that lists it.
    """

    study_id: str
    outcome: str
    needed: str
    where_to_look: str
    note: str
    format: str = ""
    listed_in: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ReviewUpdate(Printable):
    """What `update` and `diff` found.

    Parameters
    ----------
    title : str
        What is compared.
    changes : tuple of OutcomeChange
        Every outcome that either state pools, moved or not.
    not_used : tuple of (str, str)
        New rows that are not pooled anywhere, each with the reason.
    awaited : tuple of Awaited
        Trials whose numbers are missing.
    notes : tuple of str
        What a reader must know.
    """

    title: str
    changes: tuple[OutcomeChange, ...]
    not_used: tuple[tuple[str, str], ...]
    awaited: tuple[Awaited, ...]
    notes: tuple[str, ...]

    @property
    def before(self) -> dict[str, MetaAnalysisResult]:
        """The pooled results before, by outcome."""
        return {change.outcome: change.before for change in self.changes if change.before is not None}

    @property
    def after(self) -> dict[str, MetaAnalysisResult]:
        """The pooled results after, by outcome."""
        return {change.outcome: change.after for change in self.changes if change.after is not None}

    @property
    def moved(self) -> tuple[OutcomeChange, ...]:
        """The outcomes that changed."""
        return tuple(change for change in self.changes if change.moved)

    def __iter__(self) -> Iterator[str]:
        """Go through the names that `update[name]` takes."""
        return iter([change.outcome for change in self.changes])

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __getitem__(self, name: object) -> OutcomeChange:
        """Return an outcome by its name."""
        known = {change.outcome: change for change in self.changes}
        return known[check_choice("outcome", name, known)]

    def to_frame(self) -> pd.DataFrame:
        """Put the outcomes in rows, for machines.

        Returns
        -------
        DataFrame
            One row for each outcome, as `OutcomeChange.to_frame` has it.
        """
        frames = [change.to_frame() for change in self.changes]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def shares_frame(self) -> pd.DataFrame:
        """List who moved what, outcome by outcome.

        Returns
        -------
        DataFrame
            As `OutcomeChange.shares_frame`.
        """
        frames = [change.shares_frame() for change in self.moved if change.shares]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def words(self) -> str:
        """Say what moved, by how much, why, and whether conclusions changed.

        Returns
        -------
        str
            A paragraph for each outcome that moved, parted by blank lines.
        """
        return "\n\n".join(change.words() for change in self.moved) or "No pooled number changed."

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the update in words.

        Returns
        -------
        sequence of TextTable
            The tables of each outcome that moved; rows not used; trials awaited; notes.
        """
        moved = self.moved
        still = [change.outcome for change in self.changes if not change.moved]
        tables = [TextTable(header=(), rows=(), notes=[self.title])]
        for change in moved:
            tables += change.text_tables()
        if self.not_used:
            tables.append(TextTable(title="New rows that are not pooled", header=("row", "why"), rows=self.not_used))
        if self.awaited:
            tables.append(
                TextTable(
                    title="Awaited: trials whose numbers are missing",
                    header=("trial", "format", "outcome", "needed", "known", "where to look"),
                    rows=[
                        (one.study_id, one.format, one.outcome, one.needed, one.note, one.where_to_look)
                        for one in self.awaited
                    ],
                )
            )
        notes = list(self.notes)
        if not moved:
            notes.insert(0, "No pooled number changed.")
        elif still:
            notes.insert(0, f"{count(len(still), 'outcome')} as before: {', '.join(still)}")
        if notes:
            tables.append(TextTable(header=(), rows=(), notes=notes))
        return tables

    def plot(self, outcome: str | None = None, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the forest plot of an outcome, with the new trials set apart.

        Parameters
        ----------
        outcome : str, optional
            Which; may be left out when only one changed.
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `forest_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.

        Raises
        ------
        MetapeerError
            If several outcomes changed and none was named, or the one named has nothing to draw.
        """
        if outcome is not None:
            return self[outcome].plot(ax, **options)
        if len(self.moved) != 1:
            names = ", ".join(repr(change.outcome) for change in self.moved or self.changes)
            raise MetapeerError(f"name the outcome to draw: {names}")
        return self.moved[0].plot(ax, **options)
