"""What a re-derivation says of a table: the formulas that fit, row by row and for most rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metapeer.auditing.formulas import Kind
from metapeer.formatting import Printable, TextTable, count, format_number

__all__ = ["Rederivation", "TableFormula"]

FloatArray = NDArray[np.float64]

_RAW_WORDS: dict[Kind, str] = {
    "means": "with means and SDs",
    "events": "with events",
    "sizes": "with a printed effect and the sizes of the arms only",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormula:
    """The formula by which most rows of one kind come out.

    Parameters
    ----------
    kind : {"means", "events", "sizes"}
        The raw numbers of the rows.
    k : int
        Rows that print an effect beside them.
    codes, labels : tuple of str
        Formulas that give the most effects; several when the digits cannot tell them apart, none when no row comes out.
    k_to_digits, k_near : int
        Rows whose effect comes out to its digits, and rows whose effect does given the rounding of means and SDs.
    k_errors : int
        Rows that print a standard error or variance.
    error_codes, error_labels : tuple of str
        Formulas that give the most of those.
    k_errors_to_digits : int
        Rows whose standard error comes out to its digits.
    """

    kind: Kind
    k: int
    codes: tuple[str, ...]
    labels: tuple[str, ...]
    k_to_digits: int
    k_near: int
    k_errors: int
    error_codes: tuple[str, ...]
    error_labels: tuple[str, ...]
    k_errors_to_digits: int

    @property
    def share(self) -> float:
        """Share of the effects that come out to their digits."""
        return self.k_to_digits / self.k if self.k else 0.0

    def words(self) -> list[str]:
        """Say what fits, in a sentence or two.

        Returns
        -------
        list of str
            One for the effects and one for the standard errors.
        """
        head = f"{count(self.k, 'row')} {_RAW_WORDS[self.kind]}"
        lines = []
        if self.kind != "sizes":
            if not self.codes:
                lines.append(f"{head}: no effect comes out under any known formula")
            else:
                more = self.k_near - self.k_to_digits
                tail = f"; {more} more within the rounding of means and SDs" if more > 0 else ""
                lines.append(
                    f"{head}: {self.k_to_digits} effects come out to their digits as {_either(self.labels)}{tail}"
                )
        if self.k_errors:
            head = f"{count(self.k_errors, 'standard error')} {_RAW_WORDS[self.kind]}"
            if not self.error_codes:
                lines.append(f"{head}: none comes out under any known formula")
            else:
                lines.append(
                    f"{head}: {self.k_errors_to_digits} come out to their digits by {_either(self.error_labels)}"
                )
        return lines


def _either(labels: Sequence[str]) -> str:
    if len(labels) <= 2:
        return " or ".join(labels)
    return f"{labels[0]}, or {len(labels) - 1} other formulas that the digits cannot tell from it"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Rederivation(Printable):
    """What comes out of the raw numbers of each row, beside what the row prints.

    Parameters
    ----------
    source : str
        The name of the table.
    names : tuple of str
        Names of the rows.
    kinds : tuple of str
        "means", "events", "sizes" or "" for each row: what it was derived from.
    effects, errors : tuple of tuple of str
        For each row the codes of `EFFECT_FORMULAS` and of `SPREAD_FORMULAS` that give what it prints, to its digits.
    printed, printed_error : array of shape (k,)
        What stands in the row; NaN where nothing does.
    computed, computed_error : array of shape (k,)
        Effect, with the sign and scale of the printed one, and standard error by the formula of the table.
    tables : tuple of TableFormula
        The formula of the table, for each kind of raw numbers.
    convention : str
        What the sign of a printed effect means in the table.
    silent : int
        Rows with raw numbers that print no effect.
    """

    source: str
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    effects: tuple[tuple[str, ...], ...]
    errors: tuple[tuple[str, ...], ...]
    printed: FloatArray
    printed_error: FloatArray
    computed: FloatArray
    computed_error: FloatArray
    tables: tuple[TableFormula, ...]
    convention: str
    silent: int

    @property
    def difference(self) -> FloatArray:
        """Printed minus computed effect."""
        return self.printed - self.computed

    @property
    def error_difference(self) -> FloatArray:
        """Printed minus computed standard error."""
        return self.printed_error - self.computed_error

    @property
    def formula(self) -> str:
        """Code of the formula that gives the most effects; empty when none does."""
        return next((table.codes[0] for table in self.tables if table.codes), "")

    @property
    def error_formula(self) -> str:
        """Code of the formula that gives the most standard errors; empty when none does."""
        return next((table.error_codes[0] for table in self.tables if table.error_codes), "")

    @property
    def share(self) -> float:
        """Share of the effects beside means or events that come out to their digits; NaN when there are none."""
        derived = [table for table in self.tables if table.kind != "sizes"]
        k = sum(table.k for table in derived)
        return sum(table.k_to_digits for table in derived) / k if k else np.nan

    def words(self) -> list[str]:
        """Say which formulas the table was made with, a sentence each.

        Returns
        -------
        list of str
            For effects, standard errors and signs.
        """
        lines = [line for table in self.tables for line in table.words()]
        if any(table.codes for table in self.tables):
            lines.append(f"signs: {self.convention}")
        if self.silent:
            lines.append(
                f"{count(self.silent, 'row')} with raw numbers print{'s' if self.silent == 1 else ''} no effect"
            )
        return lines or ["no row prints an effect beside raw numbers: nothing to derive again"]

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the formulas in words, and the rows that do not come out to their digits.

        Returns
        -------
        sequence of TextTable
            One.
        """
        rows = []
        for i, kind in enumerate(self.kinds):
            if kind in ("", "sizes") or (self.effects[i] and (self.errors[i] or np.isnan(self.printed_error[i]))):
                continue
            numbers = (self.printed[i], self.computed[i], self.printed_error[i], self.computed_error[i])
            rows.append([self.names[i], *(format_number(float(x), 4) for x in numbers)])
        return [
            TextTable(
                title=f"{self.source}, derived again",
                header=["does not come out to its digits", "printed", "computed", "its SE", "computed"] if rows else [],
                rows=rows,
                notes=self.words(),
            )
        ]
