"""The data dictionary: what every column of every table means, written from the schema.

``python -m metapeer.records.dictionary FILE`` writes it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from metapeer.records.columns import MISSING
from metapeer.records.schema import EXTRA_TABLES, EXTRACTION, OUTCOMES, TABLES, TRIALS, Field, Table

__all__ = ["data_dictionary"]

HEAD = """# Data dictionary

<!-- Written from metapeer/records/schema.py by `python -m metapeer.records.dictionary docs/data-dictionary.md`. -->

Every table is CSV: UTF-8, cells parted by commas, lines ended by a line feed, missing cells empty. Arm 1 is peer
support. A column is text unless its type says otherwise; *digits* are numbers kept as the text that was printed, so
that 0.10 does not become 0.1. Columns that a table does not define may be added; they are kept as text.

A review is a folder. It holds the tables below as far as there is something to put into them, `plan.toml` (how the
review computed) and `datapackage.json` (a Frictionless Data Package, version 2: whose work it is, its licence, and the
columns, size and hash of every table). `instruments.csv` and `claims.csv` stand beside the folders and serve all of
them; a folder of your own may hold an `instruments.csv` that adds to it.
"""

OWN_TABLE = """## A table of your own

`read_outcomes()` reads any CSV with a column `study_id` and one way to an effect: arm means
(`n1 mean1 sd1 n2 mean2 sd2`), arm events (`events1 total1 events2 total2`), a reported effect (`es` with `es_se`, with
`es_ci_low es_ci_high`, or with `p_value`), or a computed one (`yi` with `vi` or `sei`). All other columns of *outcomes*
and *trials* are understood and optional, and so are these:

{table}

It is more lenient than the bundled tables are: cells may be parted by semicolons or tabs, decimals may then have a
comma, headers may be in capital letters, and {missing} stand for a missing value, in small or capital letters. What it
cannot read with certainty it does not guess: every such cell is listed with its line and column.
"""


def data_dictionary() -> str:
    """Write the data dictionary.

    Returns
    -------
    str
        Markdown, ended by a line feed.

    Examples
    --------
    >>> data_dictionary().splitlines()[0]
    '# Data dictionary'
    """
    parts = [HEAD]
    parts += [_section(table) for table in (*TABLES.values(), *EXTRA_TABLES.values())]
    known = {*OUTCOMES.names, *TRIALS.names}
    own = _rows([field for field in EXTRACTION.fields if field.name not in known])
    tokens = ", ".join(f"`{token}`" for token in sorted(MISSING) if token)
    parts.append(OWN_TABLE.format(table=own, missing=tokens))
    return "\n".join(parts)


def _section(table: Table) -> str:
    lines = [f"## {table.name}.csv", "", table.description]
    if table.key:
        lines[-1] += f" Its key is {' and '.join(f'`{name}`' for name in table.key)}."
    for column, (target, target_column) in table.references.items():
        lines[-1] += f" Each `{column}` stands in `{target}.csv`" + (
            "." if column == target_column else f" as `{target_column}`."
        )
    return "\n".join([*lines, "", _rows(table.fields), ""])


def _rows(fields: Sequence[Field]) -> str:
    lines = ["| column | type | needed | meaning |", "|---|---|---|---|"]
    for field in fields:
        kind = "text" if field.type == "string" else field.type
        needed = "yes" if field.required else ""
        lines.append(f"| `{field.name}` | {kind} | {needed} | {_cell(field)} |")
    return "\n".join(lines)


def _cell(field: Field) -> str:
    limits = [
        f"{words} {bound:g}"
        for bound, words in (
            (field.minimum, "at least"),
            (field.maximum, "at most"),
            (field.above, "above"),
            (field.below, "below"),
        )
        if bound is not None
    ]
    meaning = field.description
    if limits:
        meaning += f"; {', '.join(limits)}"
    if field.categories:
        meaning += f"; one of {', '.join(f'`{category}`' for category in field.categories)}"
    return meaning.replace("|", "\\|")


def main(arguments: Sequence[str]) -> int:
    """Write the data dictionary to the file named on the command line.

    Parameters
    ----------
    arguments : sequence of str
        One file name.

    Returns
    -------
    int
        0, or 2 when no file is named.
    """
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m metapeer.records.dictionary FILE\n")
        return 2
    Path(arguments[0]).write_bytes(data_dictionary().encode("utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
