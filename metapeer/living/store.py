"""The store of a living review: a folder changes in one go, or not at all.

What it promises, on a local disk of Linux, macOS or Windows:

- `transaction` replaces any number of files. Killed at any instant, the folder is put in order when it is next opened
  by metapeer: every file is as before the change, or every file is as after it.
- Two writers wait for one another; none overwrites what the other wrote.
- Where the disk refuses (full, read only, no permission) the folder stays as it was, and the error says why.
- `undo` brings back the state before the last change, byte for byte, as many times as states are kept.

What it cannot promise: a program that reads the files one by one while they are being replaced, and does not ask
`read_whole`, may see some old and some new ones for some milliseconds (``datapackage.json`` is replaced last and holds
the hashes of the tables, so that the mixture shows). A text editor takes no lock. Against a loss of power the promise
is as good as the disk's own: what was synchronised must be on it. Folders that are synchronised by Dropbox and the like
have no lock that reaches two machines.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from metapeer.errors import DataError, MetapeerError
from metapeer.living.store_files import digest, disk_error, make_folder, read_file, write_file
from metapeer.living.store_journal import (
    HIDDEN,
    FileChange,
    Interrupted,
    Journal,
    backups,
    carry_out,
    check_path,
    finish_interrupted,
    is_pending,
    read_step,
    throw_away,
)
from metapeer.living.store_lock import hold, holder
from metapeer.records.catalog import datasets_root
from metapeer.records.decode import shown

__all__ = ["Change", "Step", "history", "read_whole", "transaction", "undo"]

TIMEOUT = 30.0  # seconds to wait for another writer: many times what the longest change takes
KEPT = 20  # states that can be brought back
UNCHANGED = "nothing was changed"
T = TypeVar("T")

# A table is replaced after those it refers to, so that rows never name a trial that is not there yet; the data package
# comes last, since it holds the hashes of all.
ORDER = ("instruments.csv", "trials.csv", "outcomes.csv", "overrides.csv", "published.csv", "plan.toml")
LAST = "datapackage.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change that was made.

    Parameters
    ----------
    number : int
        Counted from 1.
    what : str
        What it did.
    when : str
        The time, in UTC.
    files : tuple of str
        The files it changed.
    """

    number: int
    what: str
    when: str
    files: tuple[str, ...]


class Change:
    """What a `transaction` is going to do; nothing happens before its end.

    Parameters
    ----------
    folder : Path
        The review's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.what = ""
        self._new: dict[str, bytes | None] = {}
        self._seen: dict[str, str | None] = {}

    def read(self, path: str) -> bytes | None:
        """Read a file as it will be: what was written in this transaction, or else what stands in the folder.

        Parameters
        ----------
        path : str
            Within the folder, with ``/`` between its parts.

        Returns
        -------
        bytes or None
            None when there is no such file.
        """
        where = check_path(path)
        if path in self._new:
            return self._new[path]
        content = read_file(self.folder / where)
        self._seen[path] = None if content is None else digest(content)
        return content

    def write(self, path: str, content: bytes) -> None:
        """Give a file a new content.

        Parameters
        ----------
        path : str
            Within the folder, with ``/`` between its parts.
        content : bytes
            All of it.
        """
        check_path(path)
        self._new[path] = bytes(content)

    def remove(self, path: str) -> None:
        """Delete a file.

        Parameters
        ----------
        path : str
            Within the folder, with ``/`` between its parts.
        """
        check_path(path)
        self._new[path] = None

    def describe(self, what: str) -> None:
        """Say what the change does, when that is known only on the way.

        Parameters
        ----------
        what : str
            For `history`.
        """
        self.what = what

    def files(self) -> list[str]:
        """List the files that stand in the folder itself.

        Returns
        -------
        list of str
            Their names, in alphabetical order; without folders and hidden files.
        """
        return sorted(path.name for path in self.folder.iterdir() if path.is_file() and path.name[0] != ".")

    def _contents(self) -> tuple[dict[str, bytes | None], dict[str, bytes | None]]:
        """The files that change, in the order of their replacement, after and before."""
        ranks = {name: rank for rank, name in enumerate(ORDER)}
        paths = sorted(self._new, key=lambda path: (path == LAST, ranks.get(path, len(ORDER)), path))
        old: dict[str, bytes | None] = {}
        for path in paths:
            target = self.folder / check_path(path)
            if target.is_symlink() or target.is_dir():
                what = "a link" if target.is_symlink() else "a folder"
                raise DataError(str(self.folder), [f"{UNCHANGED}: {path} is {what}, not a file"])
            old[path] = read_file(target)
        for path, seen in self._seen.items():
            now = old[path] if path in old else read_file(self.folder / path)
            if (None if now is None else digest(now)) != seen:
                message = f"{UNCHANGED}: {path} was changed by another program meanwhile; run it again"
                raise DataError(str(self.folder), [message])
        new = {path: self._new[path] for path in paths if self._new[path] != old[path]}
        return new, {path: old[path] for path in new}


def _review_folder(folder: str | Path) -> Path:
    if not isinstance(folder, str | Path) or not str(folder).strip():
        raise DataError(shown(repr(folder)), ["is not the folder of a review"])
    path = Path(folder)
    try:
        resolved = path.resolve()
        there = resolved.is_dir()
    except (OSError, ValueError, RuntimeError):
        there = False
    if not there:
        what = "is a file; name the folder it is in" if path.is_file() else "does not exist"
        raise DataError(str(folder), [what])
    if resolved.is_relative_to(datasets_root().resolve()):
        message = (
            "is part of the bundled data, which are never written to; make a review of your own with init_review()"
        )
        raise DataError(str(folder), [message])
    return resolved


@contextmanager
def _locked(folder: Path, timeout: float) -> Iterator[None]:
    """Hold the folder's lock, with every interrupted change put in order; say in words what the disk refuses."""
    home = folder / HIDDEN
    try:
        make_folder(home)
        with hold(home / "lock", timeout=timeout):
            if not (home / ".gitignore").exists():
                write_file(home / ".gitignore", b"*\n")  # what the store keeps for itself is no part of the review
            finish_interrupted(folder)
            yield
    except Interrupted as error:
        outcome = "a change was interrupted, and is finished or taken back when the folder is next opened"
        raise disk_error(error, folder, outcome) from error
    except OSError as error:
        raise disk_error(error, folder, UNCHANGED) from error


@contextmanager
def transaction(
    folder: str | Path, what: str, *, timeout: float = TIMEOUT, undoable: bool = True, keep: int = KEPT
) -> Iterator[Change]:
    """Change files of a review in one go: all of them at the end of the block, or none.

    Parameters
    ----------
    folder : str or Path
        The review's folder; never one of the bundled data.
    what : str
        What the change does, for `history`.
    timeout : float, default 30
        Seconds to wait for another writer.
    undoable : bool, default True
        Whether `undo` can take it back.
    keep : int, default 20
        States that are kept for `undo`; older ones are thrown away.

    Yields
    ------
    Change
        Reads, writes and deletes; an exception in the block throws it all away.

    Raises
    ------
    MetapeerError
        If another writer holds the folder for longer than `timeout`.
    DataError
        If the folder is not there or is bundled, or the disk refuses: the folder is then as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with transaction(folder, "say hello") as change:
    ...         change.write("hello.txt", b"hello")
    ...     before_undo = [step.what for step in history(folder)]
    ...     undone = undo(folder)
    ...     before_undo, undone.files, (Path(folder) / "hello.txt").exists()
    (['say hello'], ('hello.txt',), False)
    """
    path = _review_folder(folder)
    with _locked(path, timeout):
        change = Change(path)
        yield change
        new, old = change._contents()  # noqa: SLF001 - two halves of one thing
        if not new:
            return
        kept = backups(path)
        journal = Journal(
            number=int(kept[-1].name) + 1 if kept else 1,
            what=change.what or what,
            when=_now(),
            undoes=False,
            kept=undoable,
            files=_files(new, old),
        )
        carry_out(path, journal, new, old)
        throw_away(path, backups(path)[: -keep or None])


def undo(folder: str | Path, *, timeout: float = TIMEOUT) -> Step:
    """Bring back the state before the last change; once more, the state before that.

    Parameters
    ----------
    folder : str or Path
        The review's folder.
    timeout : float, default 30
        Seconds to wait for another writer.

    Returns
    -------
    Step
        The change that was taken back.

    Raises
    ------
    MetapeerError
        If there is nothing to take back, or another writer holds the folder for longer than `timeout`.
    DataError
        If a file was changed since by other means, so that this would be lost; if what was kept is damaged; if the disk
        refuses. The folder is then as it was.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     with transaction(place, "note something") as change:
    ...         change.write("note.txt", b"hello")
    ...     step = undo(place)
    ...     step.what, Path(place, "note.txt").exists()
    ('note something', False)
    """
    path = _review_folder(folder)
    with _locked(path, timeout):
        kept = backups(path)
        if not kept:
            raise MetapeerError(f"{folder}: there is no change to take back")
        step = read_step(kept[-1])
        faults = []
        new: dict[str, bytes | None] = {}
        old: dict[str, bytes | None] = {}
        for place, file in reversed(list(enumerate(step.files))):
            old[file.path] = read_file(path / check_path(file.path))
            if _digest(old[file.path]) != file.new:
                faults.append(f"{file.path} was changed since by other means; undo would lose that change")
            new[file.path] = read_file(kept[-1] / str(place)) if file.old else None
            if _digest(new[file.path]) != file.old:
                faults.append(f"the copy of {file.path} that was kept is damaged")
        if faults:
            raise DataError(str(folder), [f"{UNCHANGED}: {fault}" for fault in faults])
        number = int(kept[-1].name)
        journal = Journal(number=number, what=step.what, when=_now(), undoes=True, kept=False, files=_files(new, old))
        carry_out(path, journal, new, old)
    return _step(step)


def history(folder: str | Path) -> tuple[Step, ...]:
    """List the changes that can be taken back.

    Parameters
    ----------
    folder : str or Path
        The review's folder.

    Returns
    -------
    tuple of Step
        The latest last.

    Raises
    ------
    DataError
        If the folder is not there, or what was kept is damaged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     with transaction(place, "note something") as change:
    ...         change.write("note.txt", b"hello")
    ...     [step.what for step in history(place)]
    ['note something']
    """
    path = _review_folder(folder)
    return read_whole(path, lambda where: tuple(_step(read_step(kept)) for kept in backups(where)))


def read_whole(folder: str | Path, read: Callable[[Path], T], *, timeout: float = TIMEOUT) -> T:
    """Read a folder when nobody is changing it, so that all of its files are of one state.

    A change that was interrupted is finished first. Where that is not permitted, this waits and then says so.

    Parameters
    ----------
    folder : str or Path
        The review's folder.
    read : callable
        Takes the folder and reads what it wants; it is called again when the files changed meanwhile.
    timeout : float, default 30
        Seconds to wait for a writer.

    Returns
    -------
    object
        What `read` returns.

    Raises
    ------
    MetapeerError
        If the folder is changed for longer than `timeout`, or an interrupted change cannot be finished.
    DataError
        If the folder is not there; and what `read` raises.
    """
    path = Path(folder)
    deadline = time.monotonic() + timeout
    while True:
        if is_pending(path):
            with suppress(MetapeerError), _locked(_review_folder(path), max(0.0, deadline - time.monotonic())):
                pass  # whoever holds the lock next finds everything in order
        if not is_pending(path):
            # Each file is looked at before and after, and the journal last: a change that ran meanwhile has replaced
            # a file in between, or has not let go of its journal.
            before = _stamps(path)
            try:
                found = read(path)
            except (MetapeerError, OSError):
                if _stamps(path) == before and not is_pending(path):
                    raise
            else:
                if _stamps(path) == before and not is_pending(path):
                    return found
        if time.monotonic() >= deadline:
            raise MetapeerError(
                f"{folder} is being changed by {holder(path / HIDDEN / 'lock')}, or a change was interrupted and may "
                f"not be finished from here. Waited {timeout:g} seconds; run it again, with permission to write"
            )
        time.sleep(0.01)


def _stamps(folder: Path) -> list[tuple[str, int, int, int]]:
    try:
        with os.scandir(folder) as entries:
            files = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    except FileNotFoundError:  # a file that was there a moment ago
        return []
    return sorted((name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in files)


def _files(new: dict[str, bytes | None], old: dict[str, bytes | None]) -> tuple[FileChange, ...]:
    return tuple(FileChange(path=path, old=_digest(old[path]), new=_digest(new[path])) for path in new)


def _digest(content: bytes | None) -> str | None:
    return None if content is None else digest(content)


def _step(journal: Journal) -> Step:
    return Step(
        number=journal.number, what=journal.what, when=journal.when, files=tuple(file.path for file in journal.files)
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
