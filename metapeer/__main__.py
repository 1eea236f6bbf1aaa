"""Run metapeer from the command line; a fault in the data ends in a message, never in a traceback."""

import codecs
import io
import os
import sys
import unicodedata
import warnings
from collections.abc import Sequence
from typing import TextIO

from metapeer.errors import ConvergenceError, DataError, DataWarning, MetapeerError

__all__ = ["main"]

INTERRUPTED = 130  # as a shell has it: 128 and the number of SIGINT


def _nearest(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace what an encoding lacks by what looks like it: tau² becomes tau2."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = (unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode()[:1] or "?" for c in text)
    return "".join(plain), error.end


class _Speaker:
    """Prints warnings to the error stream: doubts about the data in one line and once each, others as Python does."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def __call__(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        if issubclass(category, DataWarning):
            from metapeer.command_options import as_typed

            text = f"warning: {as_typed(str(message))}\n"
        if text not in self.said:
            self.said.add(text)
            (file or sys.stderr).write(text)


def _abandon(stream: TextIO) -> None:
    """Let nothing more be written, so that Python has nothing to complain of when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, io.UnsupportedOperation):
        return


def _run(arguments: Sequence[str] | None) -> None:
    from metapeer.cli import app
    from metapeer.command_options import as_typed
    from metapeer.command_output import ReaderGone

    try:
        app(arguments, prog_name="metapeer")
    except (DataError, ConvergenceError) as error:
        sys.stderr.write(f"error: {as_typed(str(error))}\n")
        sys.exit(1)
    except MetapeerError as error:
        sys.stderr.write(f"error: {as_typed(str(error))}\n")
        sys.exit(2)
    except ReaderGone:
        _abandon(sys.stdout)
    except OSError as error:
        _abandon(sys.stdout)
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"error: {where}{error.strerror or error}\n")
        sys.exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the name of the program; as typed when left out.

    Raises
    ------
    SystemExit
        With status 0 when all went well, 1 for a fault in the data or a file, 2 for a command, an option or a value
        that does not exist or makes no sense, 130 when interrupted.
    """
    codecs.register_error("metapeer.nearest", _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="metapeer.nearest")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _Speaker()
            warnings.simplefilter("always", DataWarning)
            _run(arguments)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
