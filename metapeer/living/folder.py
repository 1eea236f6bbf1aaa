"""A review's folder: made once, read as a whole, and rehearsed before anything in it changes."""

import json
import re
import tempfile
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from metapeer.errors import DataError, DataWarning, MetapeerError, check_choice
from metapeer.living.store import TIMEOUT, UNCHANGED, Change, read_whole, transaction
from metapeer.living.store_files import disk_error
from metapeer.living.store_journal import HIDDEN
from metapeer.records.catalog import dataset_names, datasets_root, load_dataset
from metapeer.records.decode import shown
from metapeer.records.package import FILE_NAME, PROFILE, read_datapackage, refresh_datapackage
from metapeer.records.review import Review
from metapeer.records.schema import ARMS, OUTCOMES, TRIALS, Table

__all__ = ["header_names", "init_review", "load_review", "read_contents", "rehearsal"]

ALREADY_THERE = {".git", HIDDEN}  # what may stand in a folder that is to become a review
PART = re.compile(r"^\s*\[+\s*([\w.-]+)\s*\]+", re.MULTILINE)
DATASETS = re.compile(r"^(\s*datasets\s*=\s*)(.+?)\s*$")

# Git would otherwise turn line feeds into the line ends of Windows there, and every hash would differ.
GITATTRIBUTES = "*.csv text eol=lf\n*.toml text eol=lf\n*.json text eol=lf\n*.md text eol=lf\n"

PLAN = """\
# How this review pools its trials. metapeer's documentation explains each key ("A review of your own").

[method]
measure = "SMD"
model = "random"
tau2_method = "REML"
ci_method = "HK"
within_trial = "average"
rho = 0.6
"""

README = """\
# {title}

{about}

## What is here

- `trials.csv`: one line for each randomised trial.
- `outcomes.csv`: one line for each comparison, outcome, instrument and time point. Arm 1 is peer support.
- `instruments.csv`: scales and events of your own, with which way is good; it is made when one is needed.
- `overrides.csv`: recorded corrections; raw values are never edited. It is made when one is recorded.
- `plan.toml`: how the trials are pooled.
- `datapackage.json`: whose work this is, and the columns, size and hash of every table.
- `.metapeer/`: the last states, for undo; it is no part of the review, and git passes over it.

## What to do next

The commands are typed in the folder that holds this one. From Python: `import metapeer as mp`, then `mp.add_rows()`,
`mp.correct()`, `mp.release()` and so on.

1. Look at what is here, and at what it comes to: `metapeer show {name}`, `metapeer reproduce {name}`.
2. Put the rows of a new trial into a table with the columns of `outcomes.csv`, or into a form for Excel, which
   `metapeer form trial.xlsx --review {name}` writes. Copy the digits as they are printed, and say in `source` which
   table or page they are from. A trial that is new needs its reference in a column `citation`.
3. Have them checked, and see every pooled outcome that they move, before and after: `metapeer add {name} trial.csv`.
   When they are right, add `--write`. `metapeer add {name}` asks for the rows step by step. `metapeer undo {name}`
   takes the last change back.
4. When a number looks wrong, do not edit it: `metapeer correct --help` says how to record a correction with its
   reason and source. It shows what the correction would do, and records it with `--write`.
5. Stamp a version on it: `metapeer release --help`. `metapeer verify {name}` checks later that every number still comes
   out. `metapeer prisma {name} --template` begins the flow of records.
6. Keep the folder under version control (`git init`, `git add .`, `git commit`): the tables are made for it.
"""


def load_review(folder: str | Path, *, timeout: float = TIMEOUT) -> Review:
    """Load a review from its folder, never in the middle of a change.

    Parameters
    ----------
    folder : str or Path
        The folder.
    timeout : float, default 30
        Seconds to wait for a writer.

    Returns
    -------
    Review
        As `load_dataset` gives it.

    Raises
    ------
    DataError
        If something is wrong in the folder; all faults of all files at once.
    MetapeerError
        If the folder is being changed for longer than `timeout`.

    Warns
    -----
    DataWarning
        If ``datapackage.json`` does not describe the files as they are.

    Examples
    --------
    >>> load_review(datasets_root() / "lyons2021").name
    'lyons2021'
    """
    return read_whole(folder, lambda path: load_dataset(path.absolute()), timeout=timeout)


def init_review(
    folder: str | Path,
    *,
    start: str | None = None,
    title: str = "",
    author: str = "",
    doi: str = "",
) -> Review:
    """Make a review of your own: a folder of plain CSV and TOML files, made for version control.

    Parameters
    ----------
    folder : str or Path
        The folder to make; it may exist when it is empty. Its name is the review's name.
    start : str, optional
        A bundled data set to begin from: its tables and its plan are copied, with whom they are from. An empty review
        when left out.
    title : str, optional
        The review's title; made from the folder's name, or from the title of `start`, when left out.
    author : str, optional
        Who keeps the review.
    doi : str, optional
        Its digital object identifier, if it has one; that of `start` when left out, so that claims of that review are
        held against the updated estimates.

    Returns
    -------
    Review
        What was made.

    Raises
    ------
    ChoiceError
        If there is no data set called `start`.
    DataError
        If the folder is not empty, is among the bundled data, or cannot be written.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as place:
    ...     review = init_review(Path(place) / "mine", start="lyons2021", author="A. Reviewer")
    >>> review.name, review.title, len(review.trials)
    ('mine', 'Lyons et al. 2021: group peer support, kept up to date', 6)
    """
    path = _empty_folder(folder)
    name = path.name
    files: dict[str, bytes] = {}
    package: dict[str, object]
    if start is None:
        title = title or name
        about = "A review of your own, kept with metapeer."
        files = {"trials.csv": _header(TRIALS), "outcomes.csv": _header(OUTCOMES), "plan.toml": PLAN.encode()}
        package = {
            "name": _slug(name),
            "title": title,
            "version": "0.0.0",
            "licenses": [{"name": "notspecified", "title": "Not specified yet"}],
            "sources": [{"title": "The documents named in source of outcomes.csv", "path": "outcomes.csv"}],
            "metapeer": {"citation": ". ".join(filter(None, (author, title))), "doi": doi, "attribution": ""},
        }
    else:
        origin = datasets_root() / check_choice("start", start, dataset_names())
        files = {one.name: one.read_bytes() for one in sorted(origin.glob("*.csv"))}
        if (origin / "README.md").is_file():
            files[f"README-{start}.md"] = (origin / "README.md").read_bytes()
        plan = (origin / "plan.toml").read_text(encoding="utf-8") if (origin / "plan.toml").is_file() else PLAN
        files["plan.toml"] = _with_own_rows(plan, start, name).encode("utf-8")
        for table in (TRIALS, OUTCOMES):
            files.setdefault(f"{table.name}.csv", _header(table))
        package = read_datapackage(origin)
        title = title or f"{package['title']}, kept up to date"
        known = package.get("metapeer")
        told = dict(known) if isinstance(known, dict) else {}
        about = (
            f"A review of your own, begun from the data set {start} of metapeer. {told.get('attribution', '')}\n\n"
            f"Where its numbers were read stands in `README-{start}.md`."
        )
        package |= {"name": _slug(name), "title": title, "version": "0.0.0"}
        package["metapeer"] = told | {"doi": doi or told.get("doi", ""), "started_from": start}
    if author:
        package["contributors"] = [{"title": author, "roles": ["author"]}]
    files["README.md"] = README.format(title=title, about=about, name=name).encode("utf-8")
    files[".gitattributes"] = GITATTRIBUTES.encode()
    files[FILE_NAME] = json.dumps({"$schema": PROFILE, **package}, ensure_ascii=False, indent=2).encode("utf-8")
    with rehearsal(files, name) as stage:
        refresh_datapackage(stage)
        files[FILE_NAME] = (stage / FILE_NAME).read_bytes()
        load_dataset(stage)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, path, UNCHANGED) from error
    # Undoing the first change would delete the review, which nobody means by undo.
    with transaction(path, f"begin {name}", undoable=False) as change:
        if set(change.files()) & set(files):
            raise DataError(str(folder), [NOT_EMPTY])
        for one, content in files.items():
            change.write(one, content)
    return load_review(path)


NOT_EMPTY = "is not empty; name a folder that does not exist yet"


def read_contents(source: Change | Path) -> dict[str, bytes]:
    """Read all files of a review that stand in the folder itself.

    Parameters
    ----------
    source : Change or Path
        A transaction, which then makes sure that nobody else changes them; or the folder.

    Returns
    -------
    dict of str to bytes
        Name to content.
    """
    if isinstance(source, Change):
        found = {name: source.read(name) for name in source.files()}
        return {name: content for name, content in found.items() if content is not None}
    return {path.name: path.read_bytes() for path in sorted(source.iterdir()) if path.is_file() and path.name[0] != "."}


@contextmanager
def rehearsal(contents: Mapping[str, bytes], name: str) -> Iterator[Path]:
    """Put the files of a review into a folder of the same name elsewhere, to try a change out.

    Parameters
    ----------
    contents : mapping of str to bytes
        Name to content.
    name : str
        The review's name.

    Yields
    ------
    Path
        The folder; it is gone afterwards.

    Raises
    ------
    DataError
        If the disk refuses.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="metapeer-") as place:
            stage = Path(place).resolve() / name
            stage.mkdir()
            for one, content in contents.items():
                (stage / one).write_bytes(content)
            yield stage
    except OSError as error:
        raise disk_error(error, Path(name), UNCHANGED) from error


def load_quietly(folder: Path) -> tuple[Review, list[str]]:
    """Load a review, with its warnings as words.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    Review
        The review.
    list of str
        What is doubtful.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        review = load_dataset(folder)
    return review, [str(one.message) for one in caught]


def header_names(table: Table) -> list[str]:
    """The columns that an empty table begins with: not those that are left out of a file until a row fills them.

    Parameters
    ----------
    table : Table
        Its definition.

    Returns
    -------
    list of str
        In their order.
    """
    return [name for name in table.names if name not in ARMS and not name.startswith("impl_")]


def _header(table: Table) -> bytes:
    return (",".join(header_names(table)) + "\n").encode()


def _empty_folder(folder: str | Path) -> Path:
    if not isinstance(folder, str | Path) or not str(folder).strip():
        raise DataError(shown(repr(folder)), ["is not the name of a folder"])
    try:
        path = Path(folder).resolve()
        inside = path.is_relative_to(datasets_root().resolve())
        full = path.is_dir() and {entry.name for entry in path.iterdir()} - ALREADY_THERE
        file = path.exists() and not path.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(shown(str(folder)), [f"cannot be a review's folder: {error}"]) from None
    if inside:
        raise DataError(str(folder), ["is among the bundled data, which are never written to; choose another place"])
    if file:
        raise DataError(str(folder), ["is a file; name a folder that does not exist yet"])
    if full:
        raise DataError(str(folder), [NOT_EMPTY])
    if not path.name or path.name != path.name.strip() or not path.name.isprintable():
        raise DataError(shown(str(folder)), ["cannot be the name of a review"])
    return path


def _slug(name: str) -> str:
    """A name as the data package standard wants it."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.casefold()).strip("-") or "review"


def _with_own_rows(plan: str, start: str, name: str) -> str:
    """Let a copied plan speak of the new folder: what it read in the old one, and new rows beside the bundled evidence.

    Comments and layout stay; only lines of data sets change.
    """
    lines = plan.split("\n")
    part = ""
    for number, line in enumerate(lines):
        heading = PART.match(line)
        part = heading.group(1) if heading else part
        found = DATASETS.match(line)
        if not found:
            continue
        value = tomllib.loads(f"datasets = {found.group(2)}")["datasets"]
        names = [name if one == start else one for one in ([value] if isinstance(value, str) else value)]
        if part == "claims" and name not in names:
            names.append(name)
        lines[number] = found.group(1) + json.dumps(names, ensure_ascii=False)
    made = "\n".join(lines)
    try:
        tomllib.loads(made)
    except tomllib.TOMLDecodeError as error:
        raise MetapeerError(f"the plan of {start} cannot be copied: {error}") from None
    return made
