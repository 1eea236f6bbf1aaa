"""Releases of a review: a version that says what changed, what is new in words, and a lock on every number.

The version follows the rule of the Metapsy databases, ``MAJOR.MINOR.PATCH``: MAJOR is the year of the search in two
digits, MINOR counts changes of data or metadata, PATCH those that leave every number as it was.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metapeer.errors import DataError, check_choice
from metapeer.formatting import Printable, TextTable, count
from metapeer.living.folder import read_contents, rehearsal
from metapeer.living.releasing_lock import (
    LOCK,
    NEWS,
    VERSION,
    Lock,
    bundled_hashes,
    described,
    input_hashes,
    other_hashes,
    read_lock,
    software,
)
from metapeer.living.releasing_numbers import estimate_words, numbers_of
from metapeer.living.releasing_rule import (
    changed_files,
    check_change,
    check_days,
    check_version,
    is_day,
    needed_change,
    next_version,
    reasons_words,
)
from metapeer.living.releasing_shares import Moving, find_released, keep_released, moving_words, who_moved
from metapeer.living.releasing_words import (
    CHANGES,
    SHOWN,
    Moved,
    add_news,
    concluded_otherwise,
    conclusion_words,
    moved_results,
    news_section,
    what_words,
)
from metapeer.living.store import TIMEOUT, read_whole, transaction
from metapeer.records.catalog import dataset_names, datasets_root, load_dataset
from metapeer.records.decode import shown
from metapeer.records.package import FILE_NAME, read_datapackage, refresh_datapackage

__all__ = ["Release", "lock_review", "release", "review_contents"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Release(Printable):
    """What `release` stamped, or would stamp.

    Parameters
    ----------
    version, before : str
        The version, and the one before it; empty for the first.
    lock : Lock
        What it stands for.
    moved : tuple of Moved
        Results that are others than at the last release; all of them at the first.
    files : tuple of str
        Files that changed since.
    what : str
        What kind of change it is, in words.
    moving : tuple of Moving or None
        Who moved the pooled outcomes; None at the first release, and where the tables of the last are not kept here.
    news : str
        The new section of ``WHATS_NEW.md``.
    written : bool
        Whether it was written.
    """

    version: str
    before: str
    lock: Lock
    moved: tuple[Moved, ...]
    files: tuple[str, ...]
    what: str
    moving: tuple[Moving, ...] | None
    news: str
    written: bool

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the release in words.

        Returns
        -------
        sequence of TextTable
            What it is, and the results that moved.
        """
        lock = self.lock
        state = "written" if self.written else "nothing is written yet"
        facts = [
            ("version", f"{self.version}{f', after {self.before}' if self.before else ''}"),
            ("change", self.what),
            ("why", lock.why),
            ("by", f"{lock.author}, {lock.date}"),
            ("searched", f"up to {lock.searched}" if lock.searched else "not recorded"),
            ("files", ", ".join(self.files) or "none changed"),
            ("locked", f"{count(len(lock.results), 'result')} and {count(len(lock.inputs), 'input file')}"),
        ]
        rows = [
            (
                one.name,
                estimate_words(one.before) if one.before else "",
                estimate_words(one.after) if one.after else "gone",
                conclusion_words(one.before, one.after).replace("**", ""),
            )
            for one in self.moved
            if one.name.startswith(SHOWN)
        ]
        rest = len(self.moved) - len(rows)
        tables = [TextTable(title=f"{lock.title}: release; {state}", header=("", ""), rows=facts)]
        if self.moved and self.before:
            header = ("result", f"before ({self.before})", "after", "conclusion")
            notes = [f"{count(rest, 'other result')} (claims and questions) moved, too"] if rest else []
            changed = ", ".join(concluded_otherwise(self.moved))
            notes.append(f"conclusions changed: {changed}" if changed else "no conclusion changed")
            tables.append(TextTable(title="Results that moved", header=header, rows=rows, notes=notes))
            if self.moving is None:
                words = "Who moved them is not known: no copy of the last release is kept here."
                tables.append(TextTable(header=(), rows=(), notes=[words]))
            elif self.moving:
                tables.append(TextTable(title="Who moved them", header=("", ""), rows=moving_words(self.moving)))
        elif self.before:
            tables.append(TextTable(header=(), rows=(), notes=["No number moved, and no conclusion changed."]))
        return tables


def release(
    folder: str | Path,
    *,
    date: str,
    why: str,
    author: str,
    change: str = "",
    searched: str = "",
    write: bool = True,
    timeout: float = TIMEOUT,
) -> Release:
    """Stamp a version on a review of your own, say what is new, and lock every number.

    Everything is computed anew and compared with the last release. ``metapeer.lock`` gets the hashes of all files, the
    versions of the software and every number; ``WHATS_NEW.md`` what changed, why, and the estimates before and after;
    ``datapackage.json`` the version and the date of the search. The three change in one go.

    Parameters
    ----------
    folder : str or Path
        The review's folder.
    date : str
        Of the release, as year-month-day.
    why : str
        The reason, for readers.
    author : str
        Who releases it.
    change : {"", "first", "search", "data", "patch"}
        What you take the change to be; when it is another, the release is refused. Left out, it is what it is.
    searched : str, default ""
        Up to when the literature was searched, as year-month-day; as at the last release when left out.
    write : bool, default True
        Whether to write; otherwise only to show.
    timeout : float, default 30
        Seconds to wait for another writer.

    Returns
    -------
    Release
        The version, and what moved.

    Raises
    ------
    DataError
        If the folder or an argument is faulty, every fault listed. Nothing is then written.
    MetapeerError
        If nothing changed since the last release, or `change` is not what changed.

    References
    ----------
    Metapsy data standard, versions: https://docs.metapsy.org/data-preparation/format/

    Examples
    --------
    >>> import tempfile
    >>> from metapeer.living.folder import init_review
    >>> with tempfile.TemporaryDirectory() as place:
    ...     review = init_review(Path(place) / "mine", start="lyons2021")
    ...     first = release(review.path, date="2026-03-01", searched="2026-02-15", why="begun", author="A. Reviewer")
    >>> first.version, first.lock.results["outcome: hope"].numbers["k"]
    ('26.0.0', 3.0)
    """
    if not isinstance(folder, str | Path):
        raise DataError(shown(repr(folder)), ["is not the folder of a review"])
    told = (("why", why, "what readers should know about the reason"), ("author", author, "who releases it"))
    faults = [
        f"{name} is empty; say {what}" for name, text, what in told if not isinstance(text, str) or not text.strip()
    ]
    faults += [
        f"{name} {shown(repr(day))} is not a day such as 2026-03-01, from 2000 on"
        for name, day in (("date", date), ("searched", searched))
        if not (is_day(day) or (name == "searched" and day == ""))
    ]
    if faults:
        raise DataError("release", faults)
    if change != "":
        check_choice("change", change, list(CHANGES))
    about = {"date": date, "why": why.strip(), "author": author.strip(), "change": change, "searched": searched}
    if not write:
        contents, path = read_whole(folder, lambda path: (read_contents(path), path.resolve()), timeout=timeout)
        return _prepare(contents, path, about)[0]
    with transaction(folder, "release", timeout=timeout) as doing:
        contents = read_contents(doing)
        made, files = _prepare(contents, doing.folder, about)
        doing.describe(f"release {made.version}")
        for one, content in files.items():
            doing.write(one, content)
    keep_released(doing.folder, {**contents, **files})
    return replace(made, written=True)


def _prepare(contents: Mapping[str, bytes], folder: Path, about: Mapping[str, str]) -> tuple[Release, dict[str, bytes]]:
    """Work out a release from the files of a review, in a copy of it."""
    name = folder.name
    old = read_lock(contents[LOCK], f"{name}/{LOCK}") if LOCK in contents else None
    with rehearsal({one: content for one, content in contents.items() if one != LOCK}, name) as stage:
        package = _read_package(stage)
        own = package.get("metapeer")
        recorded = own.get("last_search", "") if isinstance(own, dict) else ""
        searched = about["searched"] or (recorded if is_day(recorded) else "") or ("" if old is None else old.searched)
        check_days(name, about["date"], searched, old)
        package["metapeer"] = (own if isinstance(own, dict) else {}) | {"last_search": searched}
        _write_package(stage, package)
        results, datasets = numbers_of(stage)
        now = read_contents(stage)
        inputs, others, metadata = input_hashes(now), other_hashes(now), described(package)
        versions = software()
        moved = moved_results({} if old is None else old.results, results)
        files = changed_files(old, inputs, others, metadata)
        needed = needed_change(old, searched, files, moved, versions)
        version = next_version("" if old is None else old.version, needed, searched)
        check_change(name, about["change"], needed, version, reasons_words(files, moved, searched, old))
        check_version(name, package.get("version"), version, old)
        package["version"] = version
        _write_package(stage, package)
        news_files = {FILE_NAME: (stage / FILE_NAME).read_bytes()}
    lock = Lock(
        review=name,
        title=str(package.get("title", name)),
        version=version,
        date=about["date"],
        searched=searched,
        change=needed,
        why=about["why"],
        author=about["author"],
        software=versions,
        inputs=input_hashes({**now, **news_files}),
        others=others,
        bundled=bundled_hashes(datasets),
        metadata=metadata,
        results=results,
    )
    last = None if old is None or not moved else find_released(folder, old.inputs)
    moving = None if last is None else who_moved(last, contents, name)
    section = news_section(lock, old, moved, files, moving_words(moving or ()))
    news_files[NEWS] = add_news(contents.get(NEWS), lock.title, section)
    news_files[LOCK] = lock.to_bytes()
    made = Release(
        version=version,
        before="" if old is None else old.version,
        lock=lock,
        moved=moved,
        files=files,
        what=what_words(lock, old, files),
        moving=moving,
        news=section,
        written=False,
    )
    return made, news_files


def _write_package(stage: Path, package: Mapping[str, Any]) -> None:
    (stage / FILE_NAME).write_text(json.dumps(package), encoding="utf-8")
    refresh_datapackage(stage)


def _read_package(stage: Path) -> dict[str, Any]:
    if not (stage / FILE_NAME).exists():
        message = f"has no {FILE_NAME}, which says whose work it is and has the version; init_review() makes one"
        raise DataError(stage.name, [message])
    return read_datapackage(stage)


def lock_review(
    folder: str | Path, *, date: str = "", searched: str = "", why: str = "", author: str = "", timeout: float = TIMEOUT
) -> Lock:
    """Lock a review as it stands, without a release: for data that are published already, such as the bundled ones.

    Nothing is written; ``lock.to_bytes()`` is the content of a lock file, which `verify` takes.

    Parameters
    ----------
    folder : str or Path
        A data set from `list_datasets`, or a folder.
    date, searched, why, author : str, default ""
        As in `release`; nothing of it is checked or needed.
    timeout : float, default 30
        Seconds to wait for a writer.

    Returns
    -------
    Lock
        With the version that ``datapackage.json`` has.

    Raises
    ------
    DataError
        If something is wrong in the folder, or its version is not three numbers.

    Examples
    --------
    >>> lock = lock_review("lyons2021")
    >>> lock.version, lock.results["claim: lyons-hope"].words["verdict"]
    ('1.0.0', 'not supported')
    """
    contents, name = review_contents(folder, timeout=timeout)
    with rehearsal(contents, name) as stage:
        package = _read_package(stage)
        results, datasets = numbers_of(stage)
    if not VERSION.fullmatch(str(package.get("version", ""))):
        raise DataError(f"{name}/{FILE_NAME}", ["version is not three numbers such as 26.1.0"])
    return Lock(
        review=name,
        title=str(package.get("title", name)),
        version=str(package["version"]),
        date=date,
        searched=searched,
        change="first",
        why=why,
        author=author,
        software=software(),
        inputs=input_hashes(contents),
        others=other_hashes(contents),
        bundled=bundled_hashes(datasets),
        metadata=described(package),
        results=results,
    )


def review_contents(folder: str | Path, *, timeout: float = TIMEOUT) -> tuple[dict[str, bytes], str]:
    """Read the files of a review, bundled or your own, as they are at one time.

    Parameters
    ----------
    folder : str or Path
        A data set from `list_datasets`, or a folder.
    timeout : float, default 30
        Seconds to wait for a writer.

    Returns
    -------
    dict of str to bytes
        File to content.
    str
        The review's name.
    """
    bundled = isinstance(folder, str) and folder in dataset_names()
    path = datasets_root() / str(folder) if bundled else Path(str(folder))
    try:
        there = isinstance(folder, str | Path) and path.is_dir()
    except (OSError, ValueError):
        there = False
    path = path.resolve() if there else load_dataset(folder).path  # which says what is wrong
    return read_whole(path, read_contents, timeout=timeout), path.name
