"""Which way is good: the direction of a scale or event is looked up by its name, never guessed from its numbers."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from metapeer.errors import FAULTS_SHOWN, DataError, Fault
from metapeer.records.columns import MISSING, CellFault
from metapeer.records.decode import number_lines, shown
from metapeer.records.schema import DIRECTIONS, INSTRUMENTS, Table
from metapeer.records.tablefile import parse_table

__all__ = ["Registry", "ask_for_directions", "directions_of", "look_up", "read_registry"]

REGISTRY = Table(
    name="instruments",
    description=INSTRUMENTS.description,
    key=("instrument",),
    references={},
    fields=(INSTRUMENTS["instrument"], INSTRUMENTS["direction"]),
)

Registry = Mapping[str, str]


def directions_of(*tables: pd.DataFrame) -> dict[str, str]:
    """Merge tables of instruments into one look-up.

    Parameters
    ----------
    *tables : DataFrame
        Each with the columns ``instrument`` and ``direction``; a later table wins over an earlier one.

    Returns
    -------
    dict
        Name, and the name in small letters where that is not ambiguous, to direction (``""`` when unknown).
    """
    exact: dict[str, str] = {}
    for table in tables:
        exact.update(zip(table["instrument"].tolist(), table["direction"].tolist(), strict=True))
    by_folded: dict[str, set[str]] = {}
    for name, direction in exact.items():
        by_folded.setdefault(folded(name), set()).add(direction)
    agreed = {name: directions.pop() for name, directions in by_folded.items() if len(directions) == 1}
    return agreed | exact


def folded(name: str) -> str:
    """Take case, white space and a leading article out of an instrument's name.

    Parameters
    ----------
    name : str
        Such as ``"The Herth  Hope Index"``.

    Returns
    -------
    str
        Such as ``"herth hope index"``.
    """
    return " ".join(name.casefold().split()).removeprefix("the ")


def look_up(name: str, registry: Registry) -> str | None:
    """Look up the direction of an instrument.

    Parameters
    ----------
    name : str
        The instrument; case, white space and a leading "the" do not matter unless two instruments differ in nothing
        else.
    registry : mapping of str to str
        From `directions_of`.

    Returns
    -------
    str or None
        ``"higher_better"``, ``"lower_better"``, ``""`` when the registry says it is unknown, None when the instrument
        is not there.
    """
    direction = registry.get(name)
    return registry.get(folded(name)) if direction is None else direction


def read_registry(instruments: pd.DataFrame | str | Path) -> pd.DataFrame:
    """Read a table of instruments that a caller gave.

    Parameters
    ----------
    instruments : DataFrame, str or Path
        A frame or a CSV file with the columns ``instrument`` and ``direction``.

    Returns
    -------
    DataFrame
        Those two columns.

    Raises
    ------
    DataError
        If a column is missing, an instrument stands twice or a direction is unknown.
    """
    if isinstance(instruments, pd.DataFrame):
        return _checked_frame(instruments)
    parsed = parse_table(instruments, REGISTRY)
    faults = parsed.faults
    if "direction" not in parsed.frame:
        faults = [*faults, Fault(line=parsed.raw.header_line, column="direction", message="the column is missing")]
    if faults:
        raise DataError(parsed.source, faults)
    return parsed.frame[["instrument", "direction"]]


def ask_for_directions(
    names: Sequence[str], known: Sequence[str], rows: Iterable[int], lines: Sequence[int]
) -> list[CellFault]:
    """Ask for the direction of instruments that are not known, once for each.

    Parameters
    ----------
    names : sequence of str
        The instrument of every row of the table.
    known : sequence of str
        The instruments that are known.
    rows : iterable of int
        The rows whose instrument is not.
    lines : sequence of int
        The line of every row.

    Returns
    -------
    list of CellFault
        One for each unknown instrument, at its first row.
    """
    by_name: dict[str, list[int]] = {}
    for row in rows:
        by_name.setdefault(names[row], []).append(row)
    spelling = {folded(name): name for name in known}
    faults = []
    for number, (name, where) in enumerate(by_name.items()):
        # Comparing names takes a while, and an error shows no more faults than these.
        close = get_close_matches(folded(name)[:200], spelling, n=1, cutoff=0.75) if number < FAULTS_SHOWN else []
        hint = f". Did you mean {spelling[close[0]]!r}? Otherwise" if close else ";"
        again = f" ({number_lines([lines[row] for row in where[1:]])} too)" if where[1:] else ""
        message = (
            f"{shown(name)!r} is not in instruments.csv, so it is unknown which way is good{hint} add a "
            f"column direction with {DIRECTIONS[0]} or {DIRECTIONS[1]}, or a row to instruments.csv{again}"
        )
        faults.append(CellFault(where[0], "instrument", message))
    return faults


def _checked_frame(table: pd.DataFrame) -> pd.DataFrame:
    source = "instruments="
    absent = [name for name in REGISTRY.names if name not in table.columns]
    if absent:
        raise DataError(source, [f"the column {name} is missing" for name in absent])
    columns = {
        name: ["" if pd.isna(cell) else str(cell).strip() for cell in table[name].tolist()] for name in REGISTRY.names
    }
    columns["direction"] = ["" if cell.casefold() in MISSING else cell for cell in columns["direction"]]
    faults = []
    seen: dict[str, int] = {}
    for row, (name, direction) in enumerate(zip(columns["instrument"], columns["direction"], strict=True), start=1):
        if not name:
            faults.append(Fault(row=f"row {row}", column="instrument", message="is missing"))
        elif seen.setdefault(name, row) != row:
            message = f"{shown(name)!r} already stands in row {seen[name]}"
            faults.append(Fault(row=f"row {row}", column="instrument", message=message))
        if direction and direction not in DIRECTIONS:
            message = f"{shown(direction)!r} is unknown. Known: {', '.join(DIRECTIONS)}"
            faults.append(Fault(row=f"row {row}", column="direction", message=message))
    if faults:
        raise DataError(source, faults)
    return pd.DataFrame(columns)
