"""The door for a table of your own: `read_outcomes` reads an extraction table and checks all of it.

What a table may hold, and how its cells are read:

- UTF-8, UTF-16 with a mark, or, with a warning, Windows-1252; cells parted by commas, semicolons or tabs.
- Decimals with a point, or with a comma where no comma parts the cells. A comma that may mean thousands is a fault.
- Missing cells are empty, or NA, N/A, NaN, NR (not reported), ``.`` or ``-``.
- Columns are those of `metapeer.records.schema.EXTRACTION`, in any order, in small or capital letters; others are kept
  as text.
"""

import warnings
from pathlib import Path

import pandas as pd

from metapeer.errors import DataError, DataWarning, Fault
from metapeer.records.catalog import load_instruments
from metapeer.records.columns import CellFault
from metapeer.records.decode import number_lines, shown
from metapeer.records.instruments import Registry, ask_for_directions, directions_of, look_up, read_registry
from metapeer.records.relations import counted_twice, missing_way
from metapeer.records.schema import EXTRACTION
from metapeer.records.tablefile import LINE, ParsedTable, parse_table, read_table, write_table

__all__ = ["read_outcomes", "read_table", "write_table"]

MOST_NAMED = 10  # results named in a warning; the rest are counted


def read_outcomes(
    path: str | Path, *, instruments: pd.DataFrame | str | Path | None = None, encoding: str | None = None
) -> pd.DataFrame:
    r"""Read an extraction table: one row per comparison of two arms, outcome, instrument and time point.

    The table needs a column ``study_id`` and one way to an effect: ``n1 mean1 sd1 n2 mean2 sd2``,
    ``events1 total1 events2 total2``, ``es`` with ``es_se``, with ``es_ci_low es_ci_high`` or with ``p_value``, or
    ``yi`` with ``vi`` or ``sei``. Arm 1 is peer support. Everything else is optional.

    Parameters
    ----------
    path : str or Path
        A CSV file.
    instruments : DataFrame, str or Path, optional
        Instruments of your own, with the columns ``instrument`` and ``direction``; they win over the bundled ones.
    encoding : str, optional
        The file's encoding, when it is not recognised.

    Returns
    -------
    DataFrame
        The rows in the order of the file, float64 for numbers (NaN when missing) and str for the rest (``""`` when
        missing), with the columns ``row_id``, ``direction`` (from the table, then the instruments; ``""`` where
        neither is known) and ``line``, the line in the file; ``attrs["source"]`` is the file's name.

    Raises
    ------
    ChoiceError
        If Python does not know `encoding`.
    DataError
        If anything is wrong with the file; every fault is listed, with line and column.

    Warns
    -----
    DataWarning
        If the file can be used but is doubtful: a guessed encoding, broken letters, a column that looks misspelt, a
        result that stands there twice, a direction that contradicts the bundled instruments.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "trials.csv"
    ...     _ = path.write_text("study_id;n1;mean1;sd1;n2;mean2;sd2\nsmith2014;20;3,5;1,2;21;3,1;1,1\n")
    ...     rows = read_outcomes(path)
    >>> rows[["row_id", "mean1", "line"]]
            row_id  mean1  line
    0  smith2014.1    3.5     2
    """
    parsed = parse_table(path, EXTRACTION, encoding=encoding)
    frame, doubts = parsed.frame, list(parsed.doubts)
    faults: list[Fault] = list(parsed.faults)
    lacking = missing_way(parsed.raw.header)
    if lacking:
        faults.append(Fault(line=parsed.raw.header_line, message=lacking))
    directions, wrong, doubtful = _directions(parsed, instruments)
    faults += [parsed.fault(cell) for cell in wrong]
    if faults:
        _warn(doubts)
        faults.sort(key=lambda fault: fault.line or 0)
        raise DataError(parsed.source, faults, page="data-dictionary")
    frame["direction"] = pd.Series(directions, dtype=str)
    row_ids = _row_ids(frame)
    if "row_id" in frame:
        frame["row_id"] = row_ids
    else:
        frame.insert(0, "row_id", row_ids)
    frame[LINE] = frame.pop(LINE)
    twice = counted_twice(frame, parsed.raw.lines)
    if twice:
        rest = f"; and {len(twice) - MOST_NAMED} more" if len(twice) > MOST_NAMED else ""
        doubts.append(
            f"{parsed.source}: some results stand there more than once, so that their participants may be counted "
            f"twice: {'; '.join(twice[:MOST_NAMED])}{rest}. Give all but one an exclusion_reason, or add the columns "
            "that tell them apart (comparison, instrument, timepoint)"
        )
    _warn(doubts + doubtful)
    return frame


def _warn(doubts: list[str]) -> None:
    for doubt in doubts:
        warnings.warn(doubt, DataWarning, stacklevel=3)


def _row_ids(frame: pd.DataFrame) -> "pd.Series[str]":
    """Number the rows of each trial; keep the names that are there."""
    given = frame["row_id"].tolist() if "row_id" in frame else [""] * len(frame)
    taken = set(given)
    counts: dict[str, int] = {}
    made = []
    for name, study in zip(given, frame["study_id"].tolist(), strict=True):
        row_id = name
        while not row_id:
            counts[study] = counts.get(study, 0) + 1
            candidate = f"{study}.{counts[study]}"
            row_id = candidate if candidate not in taken else ""
        made.append(row_id)
    return pd.Series(made, dtype=str)


def _directions(
    parsed: ParsedTable, instruments: pd.DataFrame | str | Path | None
) -> tuple[list[str], list[CellFault], list[str]]:
    """Find each row's direction: its own, or its instrument's; ask where neither is known but it is needed."""
    frame = parsed.frame
    own = frame["direction"].tolist() if "direction" in frame else [""] * len(frame)
    if "instrument" not in frame:
        if instruments is not None:
            raise DataError(parsed.source, ["has no column instrument, so instruments= has no effect; leave it out"])
        return own, [], []
    registry = _registry(instruments)
    names = frame["instrument"].tolist()
    found = {name: look_up(name, registry) for name in dict.fromkeys(names)}
    needed = _needed(frame)
    unknown: list[int] = []
    unnamed: list[int] = []
    undirected: dict[str, list[int]] = {}
    contradicted: dict[str, list[int]] = {}
    directions = []
    for row, (name, given, wanted) in enumerate(zip(names, own, needed, strict=True)):
        known = found[name] if name else ""
        directions.append(given or known or "")
        if given and known and given != known:
            contradicted.setdefault(name, []).append(row)
        elif wanted and not directions[row]:
            if known is None:
                unknown.append(row)
            elif name:
                undirected.setdefault(name, []).append(row)
            else:
                unnamed.append(row)
    lines = parsed.raw.lines

    def where(rows: list[int]) -> str:
        return f"{parsed.source}, {number_lines([lines[row] for row in rows])}"

    doubts = [
        f"{where(rows)}: it is not known which way is good on {shown(name)!r}; add a column direction to use the rows"
        for name, rows in undirected.items()
    ]
    doubts += [
        f"{where(rows)}: the direction of {shown(name)!r} is not the one in instruments.csv ({found[name]}); "
        "the table's own is used"
        for name, rows in contradicted.items()
    ]
    if 0 < len(unnamed) < len(names):
        doubts.append(f"{where(unnamed)}: no instrument, so it is not known which way is good")
    return directions, ask_for_directions(names, list(registry), unknown, lines), doubts


def _registry(instruments: pd.DataFrame | str | Path | None) -> Registry:
    if instruments is None:
        return directions_of(load_instruments())
    return directions_of(load_instruments(), read_registry(instruments))


def _needed(frame: pd.DataFrame) -> list[bool]:
    """Tell which rows need a direction: a ready-made yi has one, and a row that is set aside needs none."""
    needed = frame["yi"].isna() if "yi" in frame else pd.Series(data=True, index=frame.index)
    if "exclusion_reason" in frame:
        needed &= frame["exclusion_reason"] == ""
    return [bool(flag) for flag in needed]
