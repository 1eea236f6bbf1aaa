"""A change of several files as one: prepared beside them, promised in a journal, then carried out.

In the hidden folder ``.metapeer``::

    journal.json      there only while files are being replaced: what they were and what they will be, as hashes
    pending/new/      the files as they will be
    pending/before/   the files as they were
    backups/000007/   pending/before/ of the seventh change, once it was carried out

The rename that puts ``journal.json`` there is the instant of the change: before it nothing has happened, after it
everything will. Whoever finds a journal finishes it (all that is needed is in ``pending``), or, where that cannot be,
puts the old files back.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metapeer.errors import DataError, MetapeerError
from metapeer.living.store_files import (
    digest,
    exists,
    let_go,
    make_folder,
    move,
    read_file,
    remove,
    remove_tree,
    write_file,
)

__all__ = [
    "HIDDEN",
    "FileChange",
    "Journal",
    "backups",
    "carry_out",
    "check_path",
    "finish_interrupted",
    "is_pending",
    "read_step",
    "throw_away",
]

HIDDEN = ".metapeer"
FORMAT = 1
STEP = "step.json"
DAMAGED = "is damaged; put it aside, and compare the review with a copy of it or with version control"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file of a change.

    Parameters
    ----------
    path : str
        Where it stands in the review's folder, with ``/`` between its parts.
    old, new : str or None
        SHA-256 before and after; None when there is no such file.
    """

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """One change.

    Parameters
    ----------
    number : int
        Of the change; of the change that is taken back, when `undoes`.
    what : str
        What it does, in words.
    when : str
        The time, in UTC.
    undoes : bool
        Whether it takes back the change of that number.
    kept : bool
        Whether the files as they were are kept when it is done.
    files : tuple of FileChange
        The files, in the order in which they are replaced.
    """

    number: int
    what: str
    when: str
    undoes: bool
    kept: bool
    files: tuple[FileChange, ...]

    def to_bytes(self) -> bytes:
        """Write the change as JSON.

        Returns
        -------
        bytes
            For a file.
        """
        files = [{"path": file.path, "old": file.old, "new": file.new} for file in self.files]
        told = {"format": FORMAT, "number": self.number, "what": self.what, "when": self.when}
        told |= {"undoes": self.undoes, "kept": self.kept, "files": files}
        return (json.dumps(told, ensure_ascii=False, indent=2) + "\n").encode("utf-8")


def is_pending(folder: Path) -> bool:
    """Tell whether a change was promised and not yet carried out.

    Parameters
    ----------
    folder : Path
        The review's folder.

    Returns
    -------
    bool
        Whether there is a journal.
    """
    return exists(folder / HIDDEN / "journal.json")


def backups(folder: Path) -> list[Path]:
    """List what is kept of earlier states.

    Parameters
    ----------
    folder : Path
        The review's folder.

    Returns
    -------
    list of Path
        One folder for each change, the latest last.
    """
    try:
        found = [path for path in (folder / HIDDEN / "backups").iterdir() if path.name.isdigit()]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda path: int(path.name))


def read_step(path: Path) -> Journal:
    """Read what a change was.

    Parameters
    ----------
    path : Path
        A journal, or one of `backups`.

    Returns
    -------
    Journal
        As it was written.

    Raises
    ------
    DataError
        If it cannot be read, or is not what this module writes.
    """
    file = path / STEP if path.is_dir() else path
    try:
        told: Any = json.loads(file.read_bytes())
        files = tuple(
            FileChange(path=str(one["path"]), old=_hash(one["old"]), new=_hash(one["new"])) for one in told["files"]
        )
        journal = Journal(
            number=int(told["number"]),
            what=str(told["what"]),
            when=str(told["when"]),
            undoes=bool(told["undoes"]),
            kept=bool(told["kept"]),
            files=files,
        )
        known = told["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(str(file), [DAMAGED]) from None
    if not known:
        raise DataError(str(file), ["was written by another version of metapeer; use that version to open the folder"])
    for one in files:
        check_path(one.path)
    return journal


def check_path(path: str) -> Path:
    """Refuse a path that leads out of the folder, or into what the store or version control keeps for itself.

    Parameters
    ----------
    path : str
        Within the folder, with ``/`` between its parts.

    Returns
    -------
    Path
        The same, relative.

    Raises
    ------
    MetapeerError
        If it is not the path of a file within the folder.
    """
    parts = path.split("/")
    bad = {"", ".", "..", HIDDEN, ".git"}
    if any(part.casefold() in bad or part != part.strip() or set(part) & set('\\:*?"<>|\0') for part in parts):
        raise MetapeerError(f"{path!r} is not the name of a file in a review's folder")
    return Path(*parts)


def carry_out(folder: Path, journal: Journal, new: dict[str, bytes | None], old: dict[str, bytes | None]) -> None:
    """Change the files of a folder as one; the lock is held and no journal is there.

    Parameters
    ----------
    folder : Path
        The review's folder.
    journal : Journal
        The change.
    new, old : dict of str to bytes or None
        The content of every file of `journal`, after and before.

    Raises
    ------
    OSError
        If the disk refused; the folder is as it was.
    Interrupted
        If the disk refused and would not take the old files back either; the journal is still there.
    """
    home = folder / HIDDEN
    pending = home / "pending"
    remove_tree(pending)
    make_folder(pending / "new")
    make_folder(pending / "before")
    for place, file in enumerate(journal.files):
        after, before = new[file.path], old[file.path]
        if after is not None:
            write_file(pending / "new" / str(place), after, like=folder / file.path)
        if before is not None:
            write_file(pending / "before" / str(place), before, like=folder / file.path)
    write_file(pending / "before" / STEP, journal.to_bytes())
    write_file(pending / "journal.json", journal.to_bytes())
    try:
        move(pending / "journal.json", home / "journal.json")
        _forward(folder, journal)
    except BaseException as error:  # somebody who presses Ctrl-C, too
        if is_pending(folder):
            try:
                _back(folder, journal)
            except OSError:
                raise Interrupted(*error.args) from error
        raise
    _tidy(folder)


class Interrupted(OSError):  # noqa: N818 - it is a state, told to the caller, not a fault of the code
    """A change is promised, and the disk lets it be neither carried out nor taken back for now."""


def finish_interrupted(folder: Path) -> Journal | None:
    """Put a folder in order that a crash left in the middle of a change; the lock is held.

    Parameters
    ----------
    folder : Path
        The review's folder.

    Returns
    -------
    Journal or None
        The change that was carried out to its end or taken back; None when nothing was interrupted.

    Raises
    ------
    DataError
        If a file was changed by hand since, or what is needed is damaged.
    Interrupted
        If the disk refuses; nothing is lost, and it can be tried again.
    """
    if not is_pending(folder):
        _tidy(folder)
        return None
    journal = read_step(folder / HIDDEN / "journal.json")
    pending = folder / HIDDEN / "pending"
    before = _before(folder, journal)
    forward = back = True
    foreign = []
    for place, file in enumerate(journal.files):
        now = _hash_of(folder / file.path)
        if now not in (file.old, file.new, None):
            foreign.append(file.path)
        forward &= now == file.new or file.new is None or _hash_of(pending / "new" / str(place)) == file.new
        back &= now == file.old or file.old is None or _hash_of(before / str(place)) == file.old
    if foreign:
        message = (
            "was changed by hand after a change by metapeer had been interrupted. Put your copy aside, delete the file "
            "here and run it again: the interrupted change is then finished. What you typed can be put in after that"
        )
        raise DataError(str(folder), [f"{path} {message}" for path in foreign])
    if not forward and not back:
        message = f"a change ({journal.what}) was interrupted, and what is needed to finish it {DAMAGED}"
        raise DataError(str(folder / HIDDEN), [message])
    try:
        if forward:
            _forward(folder, journal)
        else:
            _back(folder, journal)
    except OSError as error:
        raise Interrupted(*error.args) from error
    _tidy(folder)
    return journal


def throw_away(folder: Path, outdated: list[Path]) -> None:
    """Delete copies that are too old; the lock is held and no journal is there.

    Parameters
    ----------
    folder : Path
        The review's folder.
    outdated : list of Path
        Some of `backups`.
    """
    with contextlib.suppress(OSError):  # one state more than was asked for is no harm
        for kept in outdated:
            # Deleting takes several steps, so it is done where nobody looks for copies.
            make_folder(folder / HIDDEN / "pending")
            move(kept, folder / HIDDEN / "pending" / kept.name)
        _tidy(folder)


def _forward(folder: Path, journal: Journal) -> None:
    """Replace what is not replaced yet, keep the old files, and let go of the journal."""
    home = folder / HIDDEN
    for place, file in enumerate(journal.files):
        target = folder / file.path
        if _hash_of(target) == file.new:
            continue
        if file.new is None:
            remove(target)
        else:
            make_folder(target.parent)
            move(home / "pending" / "new" / str(place), target)
    kept = home / "backups" / f"{journal.number:06d}"
    if journal.undoes:
        _move_if_there(kept, home / "pending" / "dropped")
    elif journal.kept and exists(home / "pending" / "before"):
        make_folder(kept.parent)
        _move_if_there(home / "pending" / "before", kept)
    let_go(home / "journal.json")


def _back(folder: Path, journal: Journal) -> None:
    """Put the old files back, which needs no space on the disk, and let go of the journal."""
    home = folder / HIDDEN
    kept = home / "backups" / f"{journal.number:06d}"
    if journal.undoes:
        _move_if_there(home / "pending" / "dropped", kept)
    elif not exists(home / "pending" / "before"):
        _move_if_there(kept, home / "pending" / "before")
    for place, file in enumerate(journal.files):
        target = folder / file.path
        if _hash_of(target) == file.old:
            continue
        if file.old is None:
            remove(target)
        else:
            move(home / "pending" / "before" / str(place), target)
    # Should the journal come back after a loss of power, what was taken back must not be carried out.
    with contextlib.suppress(OSError):
        remove_tree(home / "pending" / "new")
    let_go(home / "journal.json")


def _before(folder: Path, journal: Journal) -> Path:
    """Where the old files are: they move when the change is all but done."""
    pending = folder / HIDDEN / "pending" / "before"
    return pending if exists(pending) or journal.undoes else folder / HIDDEN / "backups" / f"{journal.number:06d}"


def _tidy(folder: Path) -> None:
    """Throw away what was prepared; that it stays is no harm, so a refusal is none either."""
    with contextlib.suppress(OSError):
        remove_tree(folder / HIDDEN / "pending")


def _move_if_there(source: Path, target: Path) -> None:
    if exists(source):
        move(source, target)


def _hash_of(path: Path) -> str | None:
    content = read_file(path)
    return None if content is None else digest(content)


def _hash(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError
