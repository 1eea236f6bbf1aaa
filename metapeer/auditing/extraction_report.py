"""What an audit found, as text, table, Markdown, HTML and JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from metapeer.auditing.consequences import Consequence
from metapeer.auditing.findings import SEVERITIES, Finding
from metapeer.auditing.rederive import Rederivation
from metapeer.formatting import Printable, TextTable, count

__all__ = ["AuditReport"]

MOST_NAMED = 6
"""Rows named in a finding; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AuditReport(Printable):
    """The result of `audit`.

    Parameters
    ----------
    source : str
        The table.
    k : int
        Its rows.
    names : tuple of str
        Their names.
    lines : tuple of int
        Their lines in the file; empty when they did not come from one.
    findings : tuple of Finding
        The gravest first.
    consequences : tuple of tuple of Consequence
        For each finding what pooling would come to if it is true; empty where pooling would not change.
    rederivation : Rederivation
        The printed effects computed again.
    notes : tuple of str
        How the table was read.
    """

    source: str
    k: int
    names: tuple[str, ...]
    lines: tuple[int, ...]
    findings: tuple[Finding, ...]
    consequences: tuple[tuple[Consequence, ...], ...]
    rederivation: Rederivation
    notes: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Count the findings by severity.

        Returns
        -------
        dict of str to int
            The gravest first, zeros included.
        """
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in SEVERITIES}

    def rows_of(self, finding: Finding) -> str:
        """Name the rows of a finding, with their lines in the file.

        Parameters
        ----------
        finding : Finding
            One of `findings`.

        Returns
        -------
        str
            Such as ``"smith2014.1 (line 5)"``; ``"the table"`` when it concerns no single row.
        """
        if not finding.rows:
            return "the table"
        shown = [
            self.names[row] + (f" (line {self.lines[row]})" if self.lines else "") for row in finding.rows[:MOST_NAMED]
        ]
        rest = len(finding.rows) - MOST_NAMED
        return ", ".join(shown) + (f" and {count(rest, 'other row')}" if rest > 0 else "")

    def _entries(self) -> list[tuple[Finding, list[str]]]:
        return [
            (finding, [consequence.words() for consequence in consequences])
            for finding, consequences in zip(self.findings, self.consequences, strict=True)
        ]

    def to_frame(self) -> pd.DataFrame:
        """Put the findings in rows.

        Returns
        -------
        DataFrame
            One row for each finding: ``severity``, ``check``, ``rows``, ``lines``, ``columns``, ``message``,
            ``evidence``, ``look_up`` and ``if_true``.
        """
        columns = ["severity", "check", "rows", "lines", "columns", "message", "evidence", "look_up", "if_true"]
        return pd.DataFrame(
            [
                (
                    finding.severity,
                    finding.check,
                    "; ".join(self.names[row] for row in finding.rows),
                    "; ".join(str(self.lines[row]) for row in finding.rows) if self.lines else "",
                    "; ".join(finding.columns),
                    finding.message,
                    finding.evidence,
                    finding.look_up,
                    "; ".join(words),
                )
                for finding, words in self._entries()
            ],
            columns=columns,
        )

    def to_dict(self) -> dict[str, Any]:
        """Put everything into plain Python objects, as JSON has them.

        Returns
        -------
        dict
            ``source``, ``rows``, ``counts``, ``formulas``, ``findings`` and ``notes``.
        """
        return {
            "source": self.source,
            "rows": self.k,
            "counts": self.counts(),
            "formulas": self.rederivation.words(),
            "findings": [
                {
                    "severity": finding.severity,
                    "check": finding.check,
                    "rows": [self.names[row] for row in finding.rows],
                    "lines": [self.lines[row] for row in finding.rows] if self.lines else [],
                    "columns": list(finding.columns),
                    "message": finding.message,
                    "evidence": finding.evidence,
                    "look_up": finding.look_up,
                    "if_true": words,
                }
                for finding, words in self._entries()
            ],
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """Write the report as JSON.

        Returns
        -------
        str
            Of `to_dict`, two blanks deep.
        """
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def _head(self) -> list[str]:
        counted = ", ".join(count(number, severity) for severity, number in self.counts().items())
        hows = dict.fromkeys(c.how for own in self.consequences for c in own if c.how)
        pooled = [f"pooled, if so: {how}" for how in hows]
        return [f"{count(self.k, 'row')}: {counted}", *self.rederivation.words(), *pooled]

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the findings in words.

        Returns
        -------
        sequence of TextTable
            One table for each severity that has findings.
        """
        head = [(line,) for line in self._head()]
        tables = [TextTable(title=f"Audit of {self.source}", header=("",), rows=head)]
        for severity, meaning in SEVERITIES.items():
            rows = [
                (self.rows_of(finding), finding.message, finding.evidence, finding.look_up, "; ".join(words))
                for finding, words in self._entries()
                if finding.severity == severity
            ]
            if rows:
                tables.append(
                    TextTable(
                        title=f"{severity.capitalize()}s: {meaning}",
                        header=("row", "what it looks like", "evidence", "look up", "pooled, if so"),
                        rows=rows,
                    )
                )
        closing = ["Nothing in the table was changed: a finding is a question to the paper, not a correction."]
        tables.append(TextTable(header=("",), rows=[], notes=[*self.notes, *closing]))
        return tables

    def to_markdown(self) -> str:
        """Write the report as Markdown.

        Returns
        -------
        str
            With a heading for each severity and a paragraph for each finding.
        """
        parts = [f"# Audit of {_plain(self.source)}", "", *[f"- {_plain(line)}" for line in self._head()], ""]
        for severity, meaning in SEVERITIES.items():
            own = [entry for entry in self._entries() if entry[0].severity == severity]
            if not own:
                continue
            parts += [f"## {severity.capitalize()}s", "", f"{meaning.capitalize()}.", ""]
            for finding, words in own:
                parts.append(f"**{_plain(self.rows_of(finding))}** (`{finding.check}`): {_plain(finding.message)}")
                parts += ["", f"- Evidence: {_plain(finding.evidence)}", f"- Look up: {_plain(finding.look_up)}"]
                parts += [f"- If so: {_plain(line)}" for line in words]
                parts.append("")
        parts += [*[f"- {_plain(note)}" for note in self.notes], *([""] if self.notes else [])]
        parts.append("Nothing in the table was changed: a finding is a question to the paper, not a correction.")
        return "\n".join(parts) + "\n"

    def to_html(self) -> str:
        """Write the report as a page of its own, which needs no network.

        Returns
        -------
        str
            HTML5.
        """
        parts = [f"<h1>Audit of {escape(self.source)}</h1>", "<ul>"]
        parts += [f"<li>{escape(line)}</li>" for line in self._head()]
        parts.append("</ul>")
        for severity, meaning in SEVERITIES.items():
            own = [entry for entry in self._entries() if entry[0].severity == severity]
            if not own:
                continue
            parts.append(f'<h2 class="{severity}">{severity.capitalize()}s</h2><p>{escape(meaning.capitalize())}.</p>')
            for finding, words in own:
                parts.append(f'<section class="{severity}"><h3>{escape(self.rows_of(finding))}</h3>')
                parts.append(f"<p>{escape(finding.message)}</p><dl>")
                parts.append(f"<dt>Evidence</dt><dd>{escape(finding.evidence)}</dd>")
                parts.append(f"<dt>Look up</dt><dd>{escape(finding.look_up)}</dd>")
                parts += [f"<dt>Pooled, if so</dt><dd>{escape(line)}</dd>" for line in words]
                parts.append(f"<dt>Check</dt><dd><code>{escape(finding.check)}</code></dd></dl></section>")
        parts += [f"<p>{escape(note)}</p>" for note in self.notes]
        parts.append("<p>Nothing in the table was changed: a finding is a question to the paper, not a correction.</p>")
        return _PAGE.format(title=escape(f"Audit of {self.source}"), body="\n".join(parts))


def _plain(text: str) -> str:
    """Keep what stands in a table from being read as Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_<>[]|#" else letter for letter in text)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }}
section {{ border-left: .3rem solid #888; padding: .2rem 1rem; margin: 1rem 0; }}
section.error {{ border-color: #b3261e; }}
section.suspicion {{ border-color: #b26a00; }}
h3 {{ margin: .2rem 0; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .4rem 0; }}
dt {{ font-weight: 600; }}
dd {{ margin: 0; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
