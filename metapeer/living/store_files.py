"""What the store does to a disk: the only module of the room that writes, renames or deletes.

Every function either does its work and has asked the system to make it last (``fsync``), or raises `OSError`.
"""

# Each call goes through the module os, where a test can let any of them fail.
# ruff: noqa: PTH101, PTH102, PTH105, PTH108

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import sys
from pathlib import Path

from metapeer.errors import DataError, MetapeerError

__all__ = [
    "digest",
    "disk_error",
    "exists",
    "let_go",
    "make_folder",
    "move",
    "read_file",
    "remove",
    "remove_tree",
    "write_file",
]

BINARY = getattr(os, "O_BINARY", 0)  # Windows would write line feeds as two characters
WORDS = {
    errno.ENOSPC: "the disk is full; free some space and run it again",
    errno.EDQUOT: "your quota of disk space is used up; free some space and run it again",
    errno.EFBIG: "a file would be larger than this system allows",
    errno.EACCES: "there is no permission to write there; ask for it, or work on a copy of the folder",
    errno.EPERM: "there is no permission to write there; ask for it, or work on a copy of the folder",
    errno.EROFS: "it is on a disk that can only be read; work on a copy of the folder",
}


def disk_error(error: OSError, folder: Path, outcome: str) -> MetapeerError:
    """Say in words why the disk refused.

    Parameters
    ----------
    error : OSError
        What the system said.
    folder : Path
        The folder that was to be changed.
    outcome : str
        In which state the folder is now, such as ``"nothing was changed"``.

    Returns
    -------
    MetapeerError
        To be raised.
    """
    why = WORDS.get(error.errno or 0, error.strerror or str(error))
    return DataError(str(folder), [f"{outcome}: {why}"])


def digest(content: bytes) -> str:
    """Hash the content of a file.

    Parameters
    ----------
    content : bytes
        The content.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits.

    Examples
    --------
    >>> digest(b"")[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256(content).hexdigest()


def read_file(path: Path) -> bytes | None:
    """Read a file whole.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bytes or None
        None when there is no such file.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def exists(path: Path) -> bool:
    """Tell whether something stands at a path, and not be silent when that cannot be known.

    Parameters
    ----------
    path : Path
        The path.

    Returns
    -------
    bool
        Whether there is a file or folder.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def write_file(path: Path, content: bytes, *, like: Path | None = None) -> None:
    """Write a file that is not read by anyone yet, and make it last.

    Parameters
    ----------
    path : Path
        The file.
    content : bytes
        All of it.
    like : Path, optional
        A file whose permissions it gets, where that file exists.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o666)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    if like is not None and exists(like):
        os.chmod(path, stat.S_IMODE(like.stat().st_mode))


def move(source: Path, target: Path) -> None:
    """Put a file or folder in its place at once: whoever looks sees the old one or the new one.

    Parameters
    ----------
    source : Path
        On the same disk.
    target : Path
        A file there is replaced; a folder must not be there.
    """
    os.replace(source, target)
    _sync_folder(target.parent)
    _sync_folder(source.parent)


def remove(path: Path) -> None:
    """Delete a file, if it is there.

    Parameters
    ----------
    path : Path
        The file.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    _sync_folder(path.parent)


def let_go(path: Path) -> None:
    """Delete a journal: once its name is gone the change is made, whether or not the disk confirms it at once.

    Parameters
    ----------
    path : Path
        The file.
    """
    os.unlink(path)
    # Should a loss of power bring the name back, whoever finds it finds nothing left to do.
    with contextlib.suppress(OSError):
        _sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Parameters
    ----------
    path : Path
        The folder.
    """
    if not path.is_dir():
        make_folder(path.parent)
        try:
            os.mkdir(path)
        except FileExistsError:
            if not path.is_dir():
                raise
        _sync_folder(path.parent)


def remove_tree(path: Path) -> None:
    """Delete a folder with all that is in it, if it is there.

    Parameters
    ----------
    path : Path
        The folder.
    """
    if exists(path):
        shutil.rmtree(path)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Make the names in a folder last; Windows has no such call, and does it by itself."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network disks have no such call for folders
            raise
    finally:
        os.close(handle)
