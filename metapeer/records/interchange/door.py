"""One door for the tables of other programs: the format is recognised by content, and said."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from metapeer.errors import ChoiceError, DataError, check_choice
from metapeer.records.decode import shown
from metapeer.records.interchange import cochrane, escalc, metapsy, robvis
from metapeer.records.interchange.cells import pointed
from metapeer.records.interchange.limits import Archive, read_limited
from metapeer.records.interchange.revman5 import looks_like_rm5, rm5_draft
from metapeer.records.interchange.tables import Draft, ForeignTable, checked, own_columns, split_table
from metapeer.records.interchange.workbook import looks_like_workbook, read_workbook
from metapeer.records.relations import missing_way
from metapeer.records.schema import EXTRACTION

__all__ = ["DRAFTS", "ForeignFormat", "looks_like_own", "own_draft", "read_extraction"]

ForeignFormat = Literal["metapeer", "metapsy", "escalc", "revman_csv", "robvis", "rm5", "cochrane", "xlsx"]
WORDS = {
    "metapeer": "metapeer's own table",
    "metapsy": "a Metapsy table",
    "escalc": "a table for metafor's escalc()",
    "revman_csv": "a table of RevMan",
    "robvis": "a table for robvis",
    "rm5": "a RevMan 5 file",
    "cochrane": "a Cochrane data package",
    "xlsx": "an Excel workbook",
}


def looks_like_own(header: Sequence[str]) -> str:
    """Recognise metapeer's own table by its headers.

    Parameters
    ----------
    header : sequence of str
        The headers.

    Returns
    -------
    str
        By what it was recognised; empty when it was not.
    """
    folded = {name.casefold() for name in header}
    names = [name for name in EXTRACTION.names if name in folded]
    if "study_id" not in names or missing_way(names):
        return ""
    return ", ".join(("study_id", *(name for name in names if name in ("n1", "events1", "es", "yi"))))


def own_draft(table: ForeignTable) -> Draft:
    """Take metapeer's own columns as they stand.

    Parameters
    ----------
    table : ForeignTable
        Its cells.

    Returns
    -------
    Draft
        Its columns.
    """
    draft = Draft(table=table, format="metapeer")
    names = {name.casefold(): name for name in EXTRACTION.names}
    given = {names[name.casefold()]: name for name in table.cells if name.casefold() in names}
    numbers = [name for name in given if EXTRACTION[name].type in ("integer", "number")]
    mark = draft.mark([given[name] for name in numbers])
    for name, header in given.items():
        cells = table.cells[header]
        draft.put(name, [pointed(cell, mark) for cell in cells] if name in numbers else cells, header)
    done = {*given.values(), *own_columns(draft)}
    for name, cells in table.cells.items():
        if name not in done and name.casefold() != "line":
            draft.extras[name] = cells
    return draft


Recogniser = Callable[[Sequence[str]], str]
# In this order: a table that metapeer itself would read is metapeer's, whatever else it has.
DRAFTS: dict[str, tuple[Recogniser, Callable[[ForeignTable], Draft], tuple[str, ...], str]] = {
    "metapeer": (looks_like_own, own_draft, EXTRACTION.names, "study_id and the columns of an effect"),
    "metapsy": (
        metapsy.looks_like_metapsy,
        metapsy.metapsy_draft,
        metapsy.known_names(),
        "study and one of mean_arm1, event_arm1, precalc_g",
    ),
    "robvis": (robvis.looks_like_robvis, robvis.robvis_draft, robvis.known_names(), "Study, D1 and Overall"),
    "escalc": (
        escalc.looks_like_escalc,
        escalc.escalc_draft,
        escalc.known_names(),
        "study (or slab, author) and one of ai, n1i, m1i, yi with vi",
    ),
    "revman_csv": (
        cochrane.looks_like_revman,
        cochrane.revman_draft,
        cochrane.known_names(),
        "Study and Experimental cases or mean, or arm role and Events or Mean",
    ),
}


def read_extraction(
    path: str | Path,
    *,
    format: ForeignFormat | None = None,  # noqa: A002 - the word that a reader expects
    sheet: str | None = None,
    instruments: pd.DataFrame | str | Path | None = None,
    encoding: str | None = None,
) -> pd.DataFrame:
    r"""Read a table of any known format: metapeer's own, Metapsy, metafor, RevMan, Cochrane, robvis or Excel.

    The format is recognised by the file's content. The file is not trusted: nothing in it is run or fetched, and its
    size is limited. Arm 1 (group 1, the experimental group) is taken for peer support.

    Parameters
    ----------
    path : str or Path
        The file, or the folder of a Metapsy database.
    format : str, optional
        "metapeer", "metapsy", "escalc", "revman_csv", "robvis", "rm5", "cochrane" or "xlsx", when it is not recognised
        or recognised wrongly.
    sheet : str, optional
        The sheet of a workbook; the first when left out. Its table may have any of the formats of a CSV file.
    instruments : DataFrame, str or Path, optional
        As in `read_outcomes`.
    encoding : str, optional
        The encoding of a CSV file, when it is not recognised.

    Returns
    -------
    DataFrame
        As `read_outcomes` gives it; for robvis, one row for each trial without effects. In ``attrs``: ``format``,
        ``notes`` (what the file looked like and what was taken for what) and ``extras`` (columns kept as they stand).

    Raises
    ------
    ChoiceError
        If `format` is unknown, or `sheet` or `encoding` has no effect.
    DataError
        If anything is wrong with the file, or it is of no known format; then the message lists what was tried.

    Warns
    -----
    DataWarning
        If the file can be used but is doubtful.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "dat.csv"
    ...     _ = path.write_text("study,ai,bi,ci,di\nAronson 1948,4,119,11,128\n")
    ...     rows = read_extraction(path)
    >>> rows.attrs["notes"][0]
    "looks like a table for metafor's escalc() (study, ai)"
    >>> rows[["study_id", "events1", "total1"]]
           study_id  events1  total1
    0  Aronson 1948      4.0   123.0
    """
    if format is not None:
        check_choice("format", format, get_args(ForeignFormat))
    draft, metadata = _draft(path, format, sheet, encoding)
    frame = checked(draft, instruments=instruments, stacklevel=2)
    if metadata:
        frame.attrs["metadata"] = metadata
    return frame


def _draft(
    path: str | Path, chosen: str | None, sheet: str | None, encoding: str | None
) -> tuple[Draft, dict[str, str]]:
    """Find out what the file is, and make a draft of it."""
    metadata: dict[str, str] = {}
    if metapsy.is_folder(path):
        path, metadata = metapsy.read_folder(path)
        chosen = chosen or "metapsy"
    content, source = read_limited(path), str(path)
    kind, why = _container(content, source, chosen)
    if sheet is not None and kind != "xlsx":
        raise ChoiceError(f"sheet has no effect: {shown(source)} is not an Excel workbook; leave it out")
    if encoding is not None and kind:
        raise ChoiceError(f"encoding has no effect: {shown(source)} is {WORDS[kind]}; leave it out")
    said = f"looks like {WORDS[kind]} ({why})" if kind and not chosen else ""
    if kind == "rm5":
        draft = rm5_draft(content, source)
    elif kind == "cochrane":
        draft = cochrane.package_draft(content, source)
    else:
        known = tuple(dict.fromkeys(name for _, _, names, _ in DRAFTS.values() for name in names))
        if kind == "xlsx":
            table = read_workbook(content, source, sheet)
            chosen = None if chosen == "xlsx" else chosen
        else:
            table = split_table(content, source, DRAFTS[chosen][2] if chosen else known, encoding)
        draft, what = _of_table(table, chosen)
        said = f"{said}, and its sheet {what}" if said and what else said or what
    if said:
        draft.notes.insert(0, said)
    return draft, metadata


def _container(content: bytes, source: str, chosen: str | None) -> tuple[str, str]:
    """Tell workbooks, data packages and RevMan 5 files from tables, for which the name is empty."""
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):  # with files, without
        archive = Archive(content, source)
        workbook, package = looks_like_workbook(archive.names), cochrane.looks_like_package(archive.names)
        if chosen == "cochrane" or (package and not workbook and chosen is None):
            return "cochrane", package
        if workbook and chosen not in ("rm5", "cochrane"):
            return "xlsx", workbook
        found = ", ".join(shown(name, most=30) for name in archive.names[:5]) or "nothing"
        wanted = WORDS[chosen] if chosen else "an Excel workbook or a Cochrane data package"
        raise DataError(source, [f"is a zip archive, but not {wanted}; it holds {found}"])
    if chosen in ("rm5", "cochrane", "xlsx"):
        if chosen == "rm5" and content.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(b"<"):
            return "rm5", ""
        raise DataError(
            source, [f"is not {WORDS[chosen]}, as format={chosen!r} says; leave format out, or name another"]
        )
    if why := looks_like_rm5(content):
        return "rm5", why
    if content[:4096].lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(b"<") and chosen is None:
        raise DataError(source, ["is XML or HTML, but no RevMan 5 file (COCHRANE_REVIEW); export the table as CSV"])
    return "", ""


def _of_table(table: ForeignTable, chosen: str | None) -> tuple[Draft, str]:
    """Draft a table of rows and columns by the format that its headers show."""
    if chosen is not None:
        return DRAFTS[chosen][1](table), ""
    header = list(table.cells)
    for name, (looks_like, draft, _, _) in DRAFTS.items():
        if why := looks_like(header):
            return draft(table), f"looks like {WORDS[name]} ({why})"
    tried = "; ".join(f"{WORDS[name]}: {needs}" for name, (_, _, _, needs) in DRAFTS.items())
    shown_header = ", ".join(shown(name, most=30) for name in header[:10])
    message = (
        f"is of no known format. Its headers are {shown_header}{', ...' if len(header) > 10 else ''}. Tried: {tried}. "
        "Rename its columns, or name its format"
    )
    raise DataError(table.source, [message])
