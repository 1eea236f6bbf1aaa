"""One writer at a time: a lock that the operating system holds, and gives back when a process dies.

A lock file that says "process 123 was here" must be judged: is that process alive, on this machine, since this boot?
A lock of the system needs no judging, since it ends with the process, also when that is killed. The file beside it only
says who holds it, for the message to those who wait.
"""

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from metapeer.errors import DataError, MetapeerError
from metapeer.living.store_files import BINARY, exists

__all__ = ["hold", "holder"]

FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.1  # seconds between two tries; short, since a change takes milliseconds
MOST_WORDS = 1000  # bytes of the words about the holder that are read

if sys.platform == "win32":
    import msvcrt

    FAR = 1 << 30  # Windows forbids others to read what is locked, so a byte far behind the words is locked

    def _try(handle: int) -> bool:
        os.lseek(handle, FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _release(handle: int) -> None:
        os.lseek(handle, FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _release(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


@contextmanager
def hold(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold the lock of a folder while the block runs.

    Parameters
    ----------
    path : Path
        The lock file; it is made when it is not there, and stays.
    timeout : float
        Seconds to wait for another writer.

    Yields
    ------
    None
        The lock is held.

    Raises
    ------
    MetapeerError
        If another writer holds it for longer than `timeout`; it is named.
    OSError
        If the file cannot be written.
    """
    handle = _acquire(path, timeout)
    try:
        _say_who(handle)
        yield
    finally:
        with contextlib.suppress(OSError):  # the words alone; the lock itself ends with the handle
            os.ftruncate(handle, 0)
        try:
            _release(handle)
        finally:
            os.close(handle)


def holder(path: Path) -> str:
    """Say who holds a lock, as far as that is known.

    Parameters
    ----------
    path : Path
        The lock file.

    Returns
    -------
    str
        Such as ``"process 4711 on ward-3, since 2026-01-31 12:00:00 UTC"``.
    """
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(MOST_WORDS))
        return f"process {int(told['process'])} on {str(told['host'])[:60]}, since {str(told['since'])[:30]}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _acquire(path: Path, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | BINARY, 0o666)
        try:
            held = _try(handle)
            # The hidden folder may have been deleted while we waited; a lock on a deleted file keeps nobody out.
            if held and exists(path) and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except OSError as error:
            os.close(handle)
            message = f"this disk cannot keep two writers apart ({error.strerror}); work on a local disk"
            raise DataError(str(path.parent.parent), [message]) from None
        os.close(handle)
        if time.monotonic() >= deadline:
            raise MetapeerError(
                f"{path.parent.parent} is being changed by {holder(path)}. Waited {timeout:g} seconds; "
                "run it again when that is done"
            )
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _say_who(handle: int) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    words = json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since})
    with contextlib.suppress(OSError):  # a full disk may hide who holds the lock, not the lock
        os.lseek(handle, 0, os.SEEK_SET)
        os.ftruncate(handle, 0)
        os.write(handle, words.encode("ascii"))
