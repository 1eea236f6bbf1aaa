"""What `identify` found: every analysis that prints the numbers, what excludes the others, and what change would do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import pandas as pd

from metapeer.auditing.identify_numbers import QUANTITIES
from metapeer.auditing.identify_space import DIMENSIONS, SAME_TAU2, Analysis, bare_words
from metapeer.formatting import Printable, TextTable, count, format_number

__all__ = ["Exclusion", "Fitting", "Identification", "Mismatch", "NearMiss", "SmallChange"]

GROUPS_SHOWN = 12
CHANGES_SHOWN = 15
COLUMNS_SHOWN = 5
"""Lines of a table that a person reads; `to_frame` has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A printed number that an analysis does not give.

    Parameters
    ----------
    outcome : str
        Which outcome; empty when there is only one.
    quantity : str
        Such as ``"ci_high"``.
    printed : str
        As printed.
    computed : float
        What the analysis gives, unrounded; NaN when it gives no such number.
    """

    outcome: str
    quantity: str
    printed: str
    computed: float

    def __str__(self) -> str:
        where = f" ({self.outcome})" if self.outcome else ""
        return f"{self.quantity} {self.shown()} against {self.printed} printed{where}"

    def shown(self) -> str:
        """The computed number with as many decimals as it needs to differ from the print.

        Returns
        -------
        str
            Such as ``"0.26"``.
        """
        bare = self.printed.strip().lstrip("<>≤≥= ").rstrip("% ")
        decimals = len(bare.partition(".")[2])
        for digits in range(decimals, decimals + 5):
            text = format_number(self.computed, digits)
            if text.lstrip("-") != bare.lstrip("-+\N{MINUS SIGN}").rjust(len(text.lstrip("-")), "0"):
                return text
        return format_number(self.computed, decimals + 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """Analyses that give every printed digit, and the same unrounded numbers.

    Parameters
    ----------
    analyses : tuple of Analysis
        All of them.
    numbers : mapping of (str, str) to float
        Unrounded, by outcome and quantity.
    """

    analyses: tuple[Analysis, ...]
    numbers: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A choice that no fitting analysis makes, and the printed digits that speak against it.

    Parameters
    ----------
    choice : str
        A key of `DIMENSIONS`, such as ``"tau2_method"``.
    value : str
        Such as ``"DL"``.
    mismatches : tuple of Mismatch
        What the nearest analysis with this choice gets wrong, the worst first.
    nearest : Analysis
        That analysis.
    """

    choice: str
    value: str
    mismatches: tuple[Mismatch, ...]
    nearest: Analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """The analysis that misses the fewest printed numbers, and of those the least.

    Parameters
    ----------
    analysis : Analysis
        What it does.
    agreeing, printed : int
        How many printed numbers it gives, of how many.
    mismatches : tuple of Mismatch
        The others, the worst first.
    """

    analysis: Analysis
    agreeing: int
    printed: int
    mismatches: tuple[Mismatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallChange:
    """One change of the input after which some analysis gives every printed digit.

    Parameters
    ----------
    outcome : str
        Which table; empty when there is only one.
    row : int
        Position of the row.
    name : str
        Its name.
    change : str
        What is changed, in words.
    analyses : tuple of Analysis
        Those that then fit.
    """

    outcome: str
    row: int
    name: str
    change: str
    analyses: tuple[Analysis, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Identification(Printable):
    """Which analyses print the numbers of a paper.

    Parameters
    ----------
    outcomes : tuple of str
        What was printed; one empty text when there is only one.
    printed : mapping of (str, str) to str
        The printed numbers by outcome and quantity.
    searched : int
        Analyses held against the print.
    excluded_by_k : int
        Of these, how many pool another number of rows, and were not computed further.
    fits : tuple of Fitting
        All analyses that give every printed digit, those of equal numbers together.
    exclusions : tuple of Exclusion
        For every value of a choice that no fitting analysis makes, what speaks against it; empty when nothing fits.
    untold : tuple of str
        Choices that no printed number depends on.
    nearest : NearMiss or None
        How near the nearest analysis came, when nothing fits.
    changes : tuple of SmallChange
        Single changes of the input after which something fits; searched only when nothing fits as it stands.
    changes_searched : int
        How many changes were tried, each with all analyses.
    notes : tuple of str
        What was not searched, and why.
    """

    outcomes: tuple[str, ...]
    printed: Mapping[tuple[str, str], str]
    searched: int
    excluded_by_k: int
    fits: tuple[Fitting, ...]
    exclusions: tuple[Exclusion, ...]
    untold: tuple[str, ...]
    nearest: NearMiss | None
    changes: tuple[SmallChange, ...]
    changes_searched: int
    notes: tuple[str, ...]

    @property
    def analyses(self) -> tuple[Analysis, ...]:
        """Every analysis that gives every printed digit."""
        return tuple(analysis for fit in self.fits for analysis in fit.analyses)

    def fitting(self, choice: str) -> tuple[str, ...]:
        """List the values of a choice that some fitting analysis makes.

        Parameters
        ----------
        choice : str
            An attribute of `Analysis`, such as ``"tau2_method"``.

        Returns
        -------
        tuple of str
            In the order they were searched; an estimator stands also for those that give the same number.
        """
        return tuple(dict.fromkeys(value for a in self.analyses if (value := str(getattr(a, choice)))))

    def excluded_by(self, choice: str, value: str) -> tuple[Mismatch, ...]:
        """Tell which printed digits speak against a choice.

        Parameters
        ----------
        choice : str
            An attribute of `Analysis`.
        value : str
            Its value.

        Returns
        -------
        tuple of Mismatch
            What the nearest analysis that makes this choice gets wrong; empty when it fits or was not searched.
        """
        value = SAME_TAU2.get(value, value) if choice == "tau2_method" else value
        return next((e.mismatches for e in self.exclusions if (e.choice, e.value) == (choice, value)), ())

    def to_frame(self) -> pd.DataFrame:
        """List the fitting analyses.

        Returns
        -------
        DataFrame
            One row for each, with its choices, the number of its group of equal results, and its unrounded numbers in
            columns such as ``ci_low`` or, for several outcomes, ``"clinical recovery: ci_low"``.
        """
        rows = [
            {
                "group": number,
                **asdict(analysis),
                **{f"{o}: {q}" if o else q: value for (o, q), value in fit.numbers.items()},
            }
            for number, fit in enumerate(self.fits, start=1)
            for analysis in fit.analyses
        ]
        return pd.DataFrame(rows, columns=None if rows else ["group", *DIMENSIONS])

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            What was searched and what fits; what speaks against the rest; or how near the nearest came, and which
            change would do.
        """
        if self.fits:
            return [self._choices_table(), *self._fits_tables(), *self._exclusions_table()]
        return [self._nearest_table(), *self._changes_table()]

    def _searched(self) -> str:
        k = f", {self.excluded_by_k:,} of them excluded by k alone" if self.excluded_by_k else ""
        of = f" of {count(len(self.outcomes), 'outcome')}" if len(self.outcomes) > 1 else ""
        numbers = count(len(self.printed), "printed number")
        return f"{count(self.searched, 'analysis', 'analyses')} held against {numbers}{of}{k}"

    def _choices_table(self) -> TextTable:
        rows = []
        for name, words in DIMENSIONS.items():
            values = self.fitting(name)
            out = list(dict.fromkeys(e.value for e in self.exclusions if e.choice == name))
            if values or out:
                fits = "; ".join(bare_words(name, v) for v in values) or "does not arise"
                rows.append((words, fits, "; ".join(bare_words(name, v) for v in out)))
        total = len(self.analyses)
        gives = count(total, "analysis gives", "analyses give")
        notes = [f"{gives} every printed digit: a set, not a chosen winner, of combinations of what fits above."]
        if self.untold:
            notes.append(f"Nothing that was printed tells: {', '.join(DIMENSIONS[name] for name in self.untold)}.")
        return TextTable(
            title=f"Analyses that print these numbers ({self._searched()})",
            header=("choice", "fits", "excluded"),
            rows=rows,
            notes=[*notes, *self.notes],
        )

    def _fits_tables(self) -> list[TextTable]:
        telling = [name for name in DIMENSIONS if len(self.fitting(name)) > 1]
        rows = []
        for number, fit in enumerate(self.fits[:GROUPS_SHOWN], start=1):
            parts = []
            for name in telling or ["tau2_method", "ci_method"]:
                values = [v for v in dict.fromkeys(str(getattr(a, name)) for a in fit.analyses) if v]
                if values:
                    parts.append(f"{DIMENSIONS[name]}: {' or '.join(bare_words(name, v) for v in values)}")
            rows.append((str(number), str(len(fit.analyses)), "; ".join(parts)))
        more = len(self.fits) - GROUPS_SHOWN
        shown = self.fits[:COLUMNS_SHOWN]
        numbers = [
            (outcome, QUANTITIES[quantity], text, *(f"{fit.numbers[outcome, quantity]:.5g}" for fit in shown))
            for (outcome, quantity), text in self.printed.items()
        ]
        return [
            TextTable(
                title="Fitting analyses, those that give the same numbers on one line",
                header=("line", "analyses", "what differs between the lines" if telling else "what they do"),
                rows=rows,
                notes=[f"and {count(more, 'more line')}: see to_frame()"] if more > 0 else [],
            ),
            self._by_outcome(
                TextTable(
                    title="Their numbers, unrounded",
                    header=("outcome", "number", "printed", *(f"line {i + 1}" for i in range(len(shown)))),
                    rows=numbers,
                )
            ),
        ]

    def _exclusions_table(self) -> list[TextTable]:
        if not self.exclusions:
            return []
        best = self.fits[0].analyses[0]
        rows = []
        for gone in self.exclusions:
            others = [
                name
                for name in DIMENSIONS
                if name != gone.choice
                and (value := getattr(gone.nearest, name))
                and value not in self.fitting(name)
                and value != getattr(best, name)
            ]
            more = len(gone.mismatches) - 1
            first = str(gone.mismatches[0]) if gone.mismatches else "not computed"
            rows.append((
                DIMENSIONS[gone.choice],
                bare_words(gone.choice, gone.value),
                first + (f", and {count(more, 'more number')}" if more > 0 else ""),
                gone.nearest.words(others),
            ))  # fmt: skip
        return [
            TextTable(
                title="What speaks against the other choices",
                header=("choice", "excluded", "by, in the nearest analysis that makes it", "which also has"),
                rows=rows,
            )
        ]

    def _nearest_table(self) -> TextTable:
        near = self.nearest
        if near is None:
            return TextTable(title=f"No analysis ({self._searched()})", header=(), rows=[], notes=self.notes)
        rows = [(m.outcome, QUANTITIES[m.quantity], m.printed, m.shown()) for m in near.mismatches]
        return self._by_outcome(
            TextTable(
                title=f"No analysis prints these numbers ({self._searched()})",
                header=("outcome", "missed by the nearest", "printed", "computed"),
                rows=rows,
                notes=[
                    f"The nearest gives {near.agreeing} of {near.printed} printed numbers: {near.analysis.words()}.",
                    *self.notes,
                ],
            )
        )

    def _changes_table(self) -> list[TextTable]:
        if not self.changes_searched:
            return []
        tried = count(self.changes_searched, "single change")
        if not self.changes:
            title = f"None of {tried} of the rows makes any analysis fit: "
            title += "rows may be missing, more than one may differ, or the analysis is of another kind."
            return [TextTable(title=title, header=(), rows=[])]
        rows = [
            (c.outcome, c.name, c.change, str(len(c.analyses)), c.analyses[0].words())
            for c in self.changes[:CHANGES_SHOWN]
        ]
        more = len(self.changes) - CHANGES_SHOWN
        table = TextTable(
            title=f"Single changes of the rows after which all numbers fit ({len(self.changes)} of {tried})",
            header=("outcome", "row", "change", "analyses that then fit", "one of them"),
            rows=rows,
            notes=[
                "Each is a suspicion to look up in the paper, not a correction.",
                *([f"and {count(more, 'more change')}: see changes"] if more > 0 else []),
            ],
        )
        return [self._by_outcome(table)]

    def _by_outcome(self, table: TextTable) -> TextTable:
        """Leave out the first column where there is only one outcome, without a name."""
        if self.outcomes != ("",):
            return table
        return replace(table, header=table.header[1:], rows=[row[1:] for row in table.rows])
