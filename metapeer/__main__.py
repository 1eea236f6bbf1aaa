"""Run metapeer from the command line; a fault in the data ends in a message, never in a traceback."""

import os
import sys
import warnings
from typing import TextIO

from metapeer.errors import DataWarning, MetapeerError

__all__ = ["main"]


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a doubt about the data in one line; any other warning as Python does."""
    if issubclass(category, DataWarning):
        sys.stderr.write(f"warning: {message}\n")
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        (file or sys.stderr).write(text)


def main() -> None:
    """Run the command line.

    Raises
    ------
    SystemExit
        With status 0 when all went well, 1 for a fault in the data or an argument that metapeer checks, 2 for a command
        that does not exist or lacks an argument.
    """
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", DataWarning)
    from metapeer.cli import app

    try:
        app()
    except MetapeerError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        # Whoever read the output has had enough; a second error when Python flushes it is of no use to anyone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
