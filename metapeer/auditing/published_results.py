"""What the audit of printed pooled results found: verdicts, comparisons with their slack, findings."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from metapeer.auditing.findings import SEVERITIES, Finding
from metapeer.auditing.published_numbers import Comparison
from metapeer.auditing.published_words import words
from metapeer.formatting import Printable, TextTable, count

__all__ = ["PublishedAudit", "Verdict"]

Verdict = Literal["consistent", "inconsistent", "cannot be checked"]
VERDICTS: tuple[Verdict, ...] = ("consistent", "inconsistent", "cannot be checked")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PublishedAudit(Printable):
    """Printed pooled results, checked against themselves.

    Parameters
    ----------
    source : str
        The name of the table.
    names : tuple of str
        Names of the rows.
    printed : tuple of str
        Their numbers as printed, in one line.
    level : float
        Confidence level that the intervals were read at.
    verdicts : tuple of str
        For each row "consistent", "inconsistent", or "cannot be checked" where no number could be held against another.
    readings : tuple of tuple of str
        For each row the distributions that its interval and test may rest on; empty where nothing tells.
    comparisons : tuple of Comparison
        Each printed number that was held against others, with what they allow.
    findings : tuple of Finding
        What does not fit, the gravest first; `Finding.rows` are positions.
    """

    source: str
    names: tuple[str, ...]
    printed: tuple[str, ...]
    level: float
    verdicts: tuple[Verdict, ...]
    readings: tuple[tuple[str, ...], ...]
    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many rows have which verdict."""
        return {verdict: self.verdicts.count(verdict) for verdict in VERDICTS}

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each printed result.

        Returns
        -------
        DataFrame
            With ``row``, ``verdict``, ``comparisons``, ``failed``, ``reading`` and the findings of each grade.
        """
        frame = pd.DataFrame({"row": list(self.names), "verdict": list(self.verdicts)})
        held = Counter(one.row for one in self.comparisons)
        failed = Counter(one.row for one in self.comparisons if not one.fits)
        frame["comparisons"] = [held[i] for i in range(len(self.names))]
        frame["failed"] = [failed[i] for i in range(len(self.names))]
        frame["reading"] = [" or ".join(reading) for reading in self.readings]
        for severity in SEVERITIES:
            told: dict[int, list[str]] = defaultdict(list)
            for one in self.findings:
                for place in one.rows if one.severity == severity else ():
                    told[place].append(one.check)
            frame[severity] = ["; ".join(told[i]) for i in range(len(self.names))]
        return frame

    def comparisons_frame(self) -> pd.DataFrame:
        """Return one row for each number that was held against others.

        Returns
        -------
        DataFrame
            With ``row``, ``number``, ``printed``, ``low``, ``high``, ``others``, ``reading`` and ``fits``.
        """
        return pd.DataFrame(
            [
                (
                    self.names[one.row],
                    one.number,
                    one.printed,
                    one.low,
                    one.high,
                    ", ".join(one.others),
                    one.reading,
                    one.fits,
                )
                for one in self.comparisons
            ],
            columns=["row", "number", "printed", "low", "high", "others", "reading", "fits"],
        )

    def _named(self, found: Finding) -> str:
        return "; ".join(self.names[i] for i in found.rows) or self.source

    def _headline(self) -> str:
        counts = self.counts
        shown = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        return f"{self.source}: {count(len(self.names), 'printed result')}" + (f" ({shown})" if shown else "")

    def _held_against(self) -> list[str]:
        """Write which numbers of each row were held against which, and what these allow."""
        parts: dict[int, list[str]] = defaultdict(list)
        for one in self.comparisons:
            sign = "" if one.fits else "does not fit: "
            allowed = words((one.low, one.high))
            parts[one.row].append(f"{sign}{one.number} {one.printed} in {allowed} ({', '.join(one.others)})")
        return ["; ".join(parts[i]) for i in range(len(self.names))]

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the audit in words.

        Returns
        -------
        sequence of TextTable
            Findings, then the rows with what was compared.
        """
        found = [(one.severity, self._named(one), one.message, one.evidence, one.look_up) for one in self.findings]
        rows = list(zip(self.names, self.verdicts, self._held_against(), strict=True))
        notes = [f"{severity}: {meaning}" for severity, meaning in SEVERITIES.items()]
        notes.append("A suspicion, not a verdict on the review: the print that was read may be a quotation of it.")
        tables = [
            TextTable(
                title=self._headline(),
                header=("grade", "result", "what looks wrong", "evidence", "to look up"),
                rows=found,
                notes=notes if found else ["Nothing that is printed contradicts anything else that is printed."],
            )
        ]
        if rows:
            title = "What was held against what, and what rounding of the others leaves possible"
            tables.append(TextTable(title=title, header=("result", "verdict", "number in range (from)"), rows=rows))
        return tables

    def to_markdown(self) -> str:
        """Write the audit as a report in Markdown.

        Returns
        -------
        str
            A headline, the findings, and a table of all rows; without a final line break.
        """
        lines = [f"**{_escaped(self._headline())}**", ""]
        for severity, meaning in SEVERITIES.items():
            chosen = [one for one in self.findings if one.severity == severity]
            if not chosen:
                continue
            lines += [f"{count(len(chosen), severity)}: {meaning}.", ""]
            for one in chosen:
                lines += [
                    f"- *{_escaped(self._named(one))}* ({one.check}): {_escaped(one.message)}.",
                    f"  Evidence: {_escaped(one.evidence)}. Look up: {_escaped(one.look_up)}.",
                ]
            lines.append("")
        if not self.findings:
            lines += ["Nothing that is printed contradicts anything else that is printed.", ""]
        lines += ["| result | printed | verdict | what was held against what |", "|---|---|---|---|"]
        for cells in zip(self.names, self.printed, self.verdicts, self._held_against(), strict=True):
            lines.append(f"| {' | '.join(_escaped(cell) for cell in cells)} |")
        return "\n".join(lines)


def _escaped(text: str) -> str:
    """Keep a text from being read as Markdown or HTML."""
    for sign in "\\|*_<>[]`":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
