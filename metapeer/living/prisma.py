"""The PRISMA 2020 flow of an updated review: its counts from ``prisma.csv``, checked, in words and as a diagram.

The file has the columns ``data`` and ``n``, with the keys of the template of the PRISMA2020 package (Haddaway et al.
2022); the template itself can be filled in and used, since its other columns are passed over.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.errors import DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, count
from metapeer.living.folder import load_quietly, rehearsal
from metapeer.living.releasing import review_contents
from metapeer.living.releasing_words import markdown
from metapeer.records.catalog import datasets_root
from metapeer.records.decode import decode, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FILE", "KEYS", "PrismaFlow", "prisma_flow", "write_prisma_template"]

FILE = "prisma.csv"

KEYS = {
    "previous_studies": "Studies included in the previous version",
    "previous_reports": "Reports of studies included in the previous version",
    "database_results": "Records identified from databases",
    "register_results": "Records identified from registers",
    "website_results": "Records identified from websites",
    "organisation_results": "Records identified from organisations",
    "citations_results": "Records identified from citation searching",
    "duplicates": "Duplicate records removed",
    "excluded_automatic": "Records marked as ineligible by automation tools",
    "excluded_other": "Records removed for other reasons",
    "records_screened": "Records screened",
    "records_excluded": "Records excluded",
    "dbr_sought_reports": "Reports sought for retrieval",
    "dbr_notretrieved_reports": "Reports not retrieved",
    "other_sought_reports": "Reports sought for retrieval (other methods)",
    "other_notretrieved_reports": "Reports not retrieved (other methods)",
    "dbr_assessed": "Reports assessed for eligibility",
    "dbr_excluded": "Reports excluded",
    "other_assessed": "Reports assessed for eligibility (other methods)",
    "other_excluded": "Reports excluded (other methods)",
    "new_studies": "New studies included",
    "new_reports": "Reports of new included studies",
    "total_studies": "Studies included in total",
    "total_reports": "Reports of all included studies",
    "total_studies_ma": "Studies included in the meta-analysis",
    "total_reports_ma": "Reports of the studies in the meta-analysis",
}
"""The keys of the template, in words."""

PASSED_OVER = {"", "NA", "identification", "screening", "included"}
"""Rows of the template that are headings of the diagram."""

PREVIOUS = ("previous_studies", "previous_reports")
OTHER = tuple(key for key in KEYS if key.split("_")[0] in ("website", "organisation", "citations", "other"))
OPTIONAL = (*PREVIOUS, *OTHER, "total_studies_ma", "total_reports_ma")
REASONS = ("dbr_excluded", "other_excluded")
BLANK = {"", "NA", "N/A", "NR"}
MOST = 10**9

# What must add up: the sum of the first keys is that of the second.
SUMS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("database_results", "register_results"),
        ("duplicates", "excluded_automatic", "excluded_other", "records_screened"),
    ),
    (("records_screened",), ("records_excluded", "dbr_sought_reports")),
    (("dbr_sought_reports",), ("dbr_notretrieved_reports", "dbr_assessed")),
    (("website_results", "organisation_results", "citations_results"), ("other_sought_reports",)),
    (("other_sought_reports",), ("other_notretrieved_reports", "other_assessed")),
    (("dbr_assessed", "other_assessed"), ("dbr_excluded", "other_excluded", "new_reports")),
    (("previous_studies", "new_studies"), ("total_studies",)),
    (("previous_reports", "new_reports"), ("total_reports",)),
)
# The first is never more than the second.
BOUNDS = (
    ("previous_studies", "previous_reports"),
    ("new_studies", "new_reports"),
    ("total_studies", "total_reports"),
    ("total_studies_ma", "total_studies"),
    ("total_reports_ma", "total_reports"),
    ("total_studies_ma", "total_reports_ma"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PrismaFlow(Printable):
    """The counts of a flow diagram.

    Parameters
    ----------
    source : str
        The file.
    counts : mapping of str to int
        Key to count; keys that are not reported are absent.
    reasons : mapping of str to tuple of (str, int)
        Of ``dbr_excluded`` and ``other_excluded``: why reports were excluded, and how many.
    missing : tuple of str
        Keys that every review has and this one does not report.
    faults : tuple of str
        Boxes that do not add up.
    doubts : tuple of str
        What does not fit the review's tables, and how the file was read.
    """

    source: str
    counts: Mapping[str, int]
    reasons: Mapping[str, tuple[tuple[str, int], ...]]
    missing: tuple[str, ...]
    faults: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is reported and adds up."""
        return not (self.missing or self.faults)

    def to_frame(self) -> pd.DataFrame:
        """List the counts.

        Returns
        -------
        DataFrame
            ``data``, the key; ``description``; ``n``, NaN where it is not reported.
        """
        rows = [(key, words, self.counts.get(key, float("nan"))) for key, words in KEYS.items()]
        frame = pd.DataFrame(rows, columns=["data", "description", "n"])
        return frame.astype({"data": str, "description": str, "n": float})

    def _has(self, keys: Sequence[str]) -> bool:
        return any(key in self.counts for key in keys)

    def boxes(self) -> pd.DataFrame:
        """Lay the diagram out.

        Returns
        -------
        DataFrame
            As `flow_plot` draws it.
        """
        return pd.DataFrame(list(_boxes(self)), columns=["box", "column", "row", "text", "to", "stage", "kind"])

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the flow in words.

        Returns
        -------
        sequence of TextTable
            The counts, and what is wrong with them.
        """
        rows = []
        for key, words in KEYS.items():
            if key in self.counts or key in self.missing:
                rows.append((words, str(self.counts.get(key, "not reported"))))
                rows += [(f"  {why}", str(number)) for why, number in self.reasons.get(key, ())]
        return [TextTable(title=f"PRISMA 2020 flow ({self.source})", header=("", "n"), rows=rows, notes=self._notes())]

    def _notes(self) -> list[str]:
        notes = [f"does not add up: {fault}" for fault in self.faults]
        notes += [f"not reported: {KEYS[key]} ({key})" for key in self.missing]
        return [*notes, *self.doubts] or ["All boxes add up."]

    def to_markdown(self) -> str:
        """Write the flow as a Markdown table.

        Returns
        -------
        str
            It ends with a line break.
        """
        (table,) = self.text_tables()
        lines = ["| | n |", "|---|--:|"]
        lines += [f"| {'– ' if words.startswith(' ') else ''}{markdown(words)} | {n} |" for words, n in table.rows]
        lines += ["", *(f"- {markdown(note)}" for note in table.notes)]
        return "\n".join(lines) + "\n"

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the flow diagram.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `flow_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.plots.prisma import flow_plot

        table = self.boxes()
        plain: dict[str, Any] = {"width": 1.0 + 2.0 * table["column"].nunique()}
        plain["notes"] = self._notes() if self.faults or self.missing or self.doubts else ()
        return flow_plot(table, **(plain | options), ax=ax)


def prisma_flow(folder: str | Path) -> PrismaFlow:
    r"""Read the counts of a review's flow diagram and check that its boxes add up.

    Parameters
    ----------
    folder : str or Path
        The review's folder, with a ``prisma.csv``; or the path of such a file.

    Returns
    -------
    PrismaFlow
        The counts, what is missing, and what does not add up.

    Raises
    ------
    DataError
        If there is no such file, or it cannot be read: unknown keys, cells that are no counts. Every fault is listed.

    References
    ----------
    Page et al. (2021), BMJ 372:n71; Haddaway et al. (2022), Campbell Syst Rev 18:e1230.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     path = Path(place) / "prisma.csv"
    ...     _ = path.write_text("data,n\nrecords_screened,90\nrecords_excluded,80\ndbr_sought_reports,11\n")
    ...     flow = prisma_flow(path)
    >>> flow.faults
    ('records_screened is 90, but records_excluded + dbr_sought_reports is 80 + 11 = 91',)
    """
    trials: int | None = None
    path = Path(str(folder))
    try:
        alone = isinstance(folder, str | Path) and path.is_file()
    except (OSError, ValueError):
        alone = False
    if alone:
        content, source = path.read_bytes(), path.name
    else:
        contents, name = review_contents(folder)
        source = f"{name}/{FILE}"
        if FILE not in contents:
            raise DataError(
                name,
                [f"has no {FILE}; make one with the columns data and n (write_prisma_template() writes a blank one)"],
            )
        content = contents[FILE]
        if "trials.csv" in contents:
            with rehearsal(contents, name) as stage:
                trials = len(load_quietly(stage)[0].trials)
    counts, reasons, doubts = _read(content, source)
    missing = tuple(key for key in KEYS if key not in OPTIONAL and key not in counts)
    if trials is not None and counts.get("total_studies", trials) < trials:
        doubts.append(f"trials.csv has {count(trials, 'trial')}, more than total_studies, {counts['total_studies']}")
    return PrismaFlow(
        source=source,
        counts=counts,
        reasons=reasons,
        missing=missing,
        faults=tuple(_faults(counts)),
        doubts=tuple(doubts),
    )


def write_prisma_template(folder: str | Path) -> Path:
    """Write a blank ``prisma.csv``, with a line for each count, to be filled in.

    Parameters
    ----------
    folder : str or Path
        The folder of a review of your own; or the path of the file to write.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If the file is there already, the folder is not, or the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     path = write_prisma_template(place)
    ...     text = path.read_text()
    >>> print(text[:77])
    data,n,description
    previous_studies,,Studies included in the previous version
    """
    if not isinstance(folder, str | Path) or not str(folder).strip():
        raise DataError(shown(repr(folder)), ["is not the folder of a review"])
    path = Path(folder)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(("data", "n", "description"))
    writer.writerows((key, "", words) for key, words in KEYS.items())
    try:
        path = path / FILE if path.is_dir() else path
        if path.resolve().is_relative_to(datasets_root().resolve()):
            raise DataError(str(folder), ["is among the bundled data, which are never written to"])
        if path.suffix.lower() != ".csv" or not path.parent.is_dir():
            raise DataError(str(folder), ["is not there; give the folder of a review"])
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(lines.getvalue())
    except FileExistsError:
        raise DataError(str(path), ["is there already; fill in its column n"]) from None
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, MetapeerError):
            raise
        raise DataError(shown(str(folder)), [f"cannot be written: {error}"]) from None
    return path


def _read(content: bytes, source: str) -> tuple[dict[str, int], dict[str, tuple[tuple[str, int], ...]], list[str]]:
    """Read keys and counts; list every fault."""
    text, doubts = decode(content, source)
    try:
        separator = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DataError(source, [f"is not a CSV file: {error}"]) from None
    header = [cell.strip().casefold() for cell in lines[0]] if lines else []
    absent = [name for name in ("data", "n") if name not in header]
    if absent:
        raise DataError(source, [Fault(line=1, column=name, message="is missing") for name in absent])
    places = header.index("data"), header.index("n")
    counts: dict[str, int] = {}
    reasons: dict[str, tuple[tuple[str, int], ...]] = {}
    faults: list[Fault] = []
    seen: set[str] = set()
    for number, cells in enumerate(lines[1:], start=2):
        key, cell = (cells[place].strip() if place < len(cells) else "" for place in places)
        if key in PASSED_OVER:
            continue
        try:
            check_choice("key", key, list(KEYS))
            if key in seen:
                raise ValueError(f"key {key} stands there twice")  # noqa: TRY301
            seen.add(key)
            if cell.upper() in BLANK:
                continue
            if key in REASONS and not cell.isdigit():
                reasons[key] = _reasons(cell)
                counts[key] = sum(number for _, number in reasons[key])
            else:
                counts[key] = _count(cell)
        except ValueError as error:
            faults.append(Fault(line=number, row=shown(key), message=str(error)))
    if faults:
        raise DataError(source, faults)
    return {key: counts[key] for key in KEYS if key in counts}, reasons, doubts


def _count(cell: str) -> int:
    if not (cell.isascii() and cell.isdigit()) or len(cell) > 10 or int(cell) > MOST:
        raise ValueError(f"{shown(repr(cell))} is not a count; write digits only, such as 1234, or nothing")
    return int(cell)


def _reasons(cell: str) -> tuple[tuple[str, int], ...]:
    """Read "Not randomised, 12; Another population, 3"."""
    found = []
    for part in filter(None, (piece.strip() for piece in cell.split(";"))):
        why, comma, number = (piece.strip() for piece in part.rpartition(","))
        if not comma or not why:
            raise ValueError(f"{shown(repr(part))} is not a reason and a count, such as 'Not randomised, 12'")
        found.append((why, _count(number)))
    return tuple(found)


def _faults(counts: Mapping[str, int]) -> Iterator[str]:
    """Boxes that do not add up; what is not reported is not counted on."""
    given = dict(counts)
    for keys in (PREVIOUS, OTHER):
        if not any(key in counts for key in keys):  # the diagram of a first version, or without other methods
            given |= dict.fromkeys(keys, 0)
    for left, right in SUMS:
        if {*left, *right} <= {*given} and sum(given[key] for key in left) != sum(given[key] for key in right):
            yield f"{_sum(left, given)}, but {_sum(right, given)}"
    for less, more in BOUNDS:
        if {less, more} <= {*given} and given[less] > given[more]:
            yield f"{less} is {given[less]}, more than {more}, which is {given[more]}"


def _sum(keys: Sequence[str], counts: Mapping[str, int]) -> str:
    kept = [key for key in keys if counts[key] or len(keys) == 1] or list(keys)
    words = " + ".join(kept)
    numbers = " + ".join(str(counts[key]) for key in kept)
    return f"{words} is {numbers}" + (f" = {sum(counts[key] for key in kept)}" if len(kept) > 1 else "")


def _n(number: int | None) -> str:
    """Write a count so that no line ends within it."""
    return f"(n = {'not reported' if number is None else number})".replace(" ", "\u00a0")


def _boxes(flow: PrismaFlow) -> Iterator[tuple[str, int, int, str, str, str, str]]:
    """The boxes of the template for updated reviews; columns that nothing is reported of are left out."""

    def lines(title: str, **keys: str) -> str:
        told = [
            f"{words} {_n(flow.counts.get(key))}"
            for key, words in keys.items()
            if key in flow.counts or key not in OPTIONAL
        ]
        return "\n".join(filter(None, [title, *told]))

    def excluded(key: str) -> str:
        why = flow.reasons.get(key, ())
        first = f"Reports excluded {_n(flow.counts.get(key))}{':' if why else ''}"
        return "\n".join([first, *(f"{reason} {_n(number)}" for reason, number in why)])

    top, middle, bottom = "Identification", "Screening", "Included"
    heading = "heading"
    main = "Identification of new studies via databases and registers"
    if flow._has(PREVIOUS):  # noqa: SLF001 - two halves of one thing
        yield "prevstud", 0, 0, "Previous studies", "", "", heading
        words = lines(
            "",
            previous_studies="Studies included in previous version of review",
            previous_reports="Reports of studies included in previous version of review",
        )
        yield "previous", 0, 1, words, "total", top, ""
    yield "newstud", 1, 0, main, "", "", heading
    words = lines("Records identified from:", database_results="Databases", register_results="Registers")
    yield "identified", 1, 1, words, "removed;screened", top, ""
    words = lines(
        "Records removed before screening:",
        duplicates="Duplicate records",
        excluded_automatic="Records marked as ineligible by automation tools",
        excluded_other="Records removed for other reasons",
    )
    yield "removed", 2, 1, words, "", top, ""
    yield "screened", 1, 2, lines("", records_screened="Records screened"), "excluded;sought", middle, ""
    yield "excluded", 2, 2, lines("", records_excluded="Records excluded"), "", middle, ""
    words = lines("", dbr_sought_reports="Reports sought for retrieval")
    yield "sought", 1, 3, words, "notretrieved;assessed", middle, ""
    yield "notretrieved", 2, 3, lines("", dbr_notretrieved_reports="Reports not retrieved"), "", middle, ""
    words = lines("", dbr_assessed="Reports assessed for eligibility")
    yield "assessed", 1, 4, words, "reports_excluded;new", middle, ""
    yield "reports_excluded", 2, 4, excluded("dbr_excluded"), "", middle, ""
    words = lines("", new_studies="New studies included in review", new_reports="Reports of new included studies")
    yield "new", 1, 5, words, "total", bottom, ""
    words = lines(
        "",
        total_studies="Total studies included in review",
        total_reports="Reports of total included studies",
        total_studies_ma="Studies included in meta-analysis",
        total_reports_ma="Reports of studies in meta-analysis",
    )
    yield "total", 1, 6, words, "", bottom, ""
    if flow._has(OTHER):  # noqa: SLF001
        yield "othstud", 3, 0, "Identification of new studies via other methods", "", "", heading
        words = lines(
            "Records identified from:",
            website_results="Websites",
            organisation_results="Organisations",
            citations_results="Citation searching",
        )
        yield "other_identified", 3, 1, words, "other_sought", top, ""
        words = lines("", other_sought_reports="Reports sought for retrieval")
        yield "other_sought", 3, 3, words, "other_notretrieved;other_assessed", middle, ""
        words = lines("", other_notretrieved_reports="Reports not retrieved")
        yield "other_notretrieved", 4, 3, words, "", middle, ""
        words = lines("", other_assessed="Reports assessed for eligibility")
        yield "other_assessed", 3, 4, words, "other_excluded;new", middle, ""
        yield "other_excluded", 4, 4, excluded("other_excluded"), "", middle, ""
