"""How much of an untrusted file is read: bytes, rows, cells, archives and XML, each with its reason.

The limits lie far above what reviews need and far below what exhausts a computer. A file beyond one is refused with the
number found and the number allowed, before its content is held in memory as objects.
"""

import stat
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from metapeer.errors import DataError
from metapeer.records.decode import read_bytes, shown

__all__ = ["Archive", "check_size", "check_text", "parse_xml", "read_limited"]

MOST_BYTES = (
    32 * 2**20
)  # the largest RevMan files, with all their prose, have a few MiB; extraction tables less than one
MOST_ROWS = 100_000  # ten times the rows of the largest Cochrane reviews
MOST_COLUMNS = 1_000  # wide exports of extraction forms have some hundreds
MOST_CELLS = 2_000_000  # about 200 MB of Python strings
MOST_MEMBERS = 2_000  # a Cochrane data package has about twenty, a workbook a few for each sheet
MOST_UNPACKED = 128 * 2**20  # of a whole archive, its inner archive included
MOST_RATIO = 200  # tables shrink tenfold to fiftyfold; deflate reaches 1032, and only bombs come near it
SMALL = 2**20  # a short file of zeros may shrink further and harms nobody
MOST_ELEMENTS = 1_000_000  # of an XML file; MOST_BYTES alone would allow eight million
MOST_DEPTH = 100  # RevMan and Excel nest about a dozen deep

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OverflowError,
)


def read_limited(path: str | Path) -> bytes:
    """Read a file whole, unless it is too large or no ordinary file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    bytes
        Its content, never empty.

    Raises
    ------
    DataError
        If it cannot be read, is a device or a pipe, or has more than `MOST_BYTES`.
    """
    try:
        status = Path(path).stat() if isinstance(path, str | Path) else None
    except (OSError, ValueError):
        status = None  # `read_bytes` says what is wrong
    if status is not None and not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise DataError(str(path), ["is a device or a pipe, not a file; save the table as a file and read that"])
    if status is not None and status.st_size > MOST_BYTES and stat.S_ISREG(status.st_mode):
        raise DataError(str(path), [_too_much(f"{status.st_size:,} bytes", f"{MOST_BYTES:,}")])
    return read_bytes(path)


def check_text(text: str, source: str) -> None:
    """Refuse a text that would split into too many cells, before it is split.

    Parameters
    ----------
    text : str
        A CSV file, decoded.
    source : str
        Its name, for messages.

    Raises
    ------
    DataError
        If a separator or line ends stand in it more than `MOST_CELLS` times.
    """
    for mark, words in ((",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("\n", "line ends"), ("\r", "line ends")):
        if (found := text.count(mark)) > MOST_CELLS:
            raise DataError(source, [_too_much(f"{found:,} {words}", f"{MOST_CELLS:,}")])


def check_size(source: str, *, rows: int, columns: int) -> None:
    """Refuse a table that is too long or too wide.

    Parameters
    ----------
    source : str
        Its name, for messages.
    rows, columns : int
        Its size.

    Raises
    ------
    DataError
        If it has more than `MOST_ROWS`, `MOST_COLUMNS` or `MOST_CELLS`.
    """
    for found, most, words in (
        (rows, MOST_ROWS, "rows"),
        (columns, MOST_COLUMNS, "columns"),
        (rows * columns, MOST_CELLS, "cells"),
    ):
        if found > most:
            raise DataError(source, [_too_much(f"{found:,} {words}", f"{most:,}")])


def _too_much(found: str, most: str) -> str:
    return f"has {found}, more than the {most} that are read; keep the rows and columns that are needed, and read those"


class Archive:
    """A zip archive in memory whose members are read within limits; nothing is ever unpacked to disk.

    Parameters
    ----------
    content : bytes
        The archive.
    source : str
        Its name, for messages.

    Attributes
    ----------
    names : tuple of str
        The members that are files.
    """

    def __init__(self, content: bytes, source: str) -> None:
        self.source = source
        try:
            self._zip = zipfile.ZipFile(BytesIO(content))
            members = self._zip.infolist()
        except _BROKEN as error:
            raise DataError(source, [f"is a damaged zip archive ({shown(str(error))}); get the file again"]) from None
        if len(members) > MOST_MEMBERS:
            raise DataError(source, [_too_much(f"{len(members):,} files in its archive", f"{MOST_MEMBERS:,}")])
        for member in members:
            self._check_name(member.filename)
            if member.flag_bits & 0x1:
                message = f"its file {shown(member.filename)!r} is encrypted; save the archive without a password"
                raise DataError(source, [message])
        self._members = {member.filename: member for member in members if not member.is_dir()}
        self.names = tuple(self._members)
        self._left = MOST_UNPACKED

    def read(self, name: str) -> bytes:
        """Unpack one member in memory.

        Parameters
        ----------
        name : str
            One of `names`.

        Returns
        -------
        bytes
            Its content.

        Raises
        ------
        DataError
            If it is damaged, or larger than the limits allow. What the archive says of its size is not believed.
        """
        member = self._members[name]
        allowed = min(self._left, max(SMALL, MOST_RATIO * member.compress_size))
        try:
            with self._zip.open(member) as file:
                content = file.read(allowed + 1)
        except _BROKEN as error:
            message = f"its file {shown(name)!r} cannot be unpacked ({shown(str(error))}); get the archive again"
            raise DataError(self.source, [message]) from None
        if len(content) > allowed:
            message = (
                f"its file {shown(name)!r} unpacks to more than {allowed:,} bytes ({MOST_RATIO} times its packed size, "
                f"or {MOST_UNPACKED:,} bytes in all), as only archives made to do harm do; it is not read"
            )
            raise DataError(self.source, [message])
        self._left -= len(content)
        return content

    def _check_name(self, name: str) -> None:
        """Refuse names that lead out of a folder: no honest program writes them."""
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
            message = f"holds a file named {shown(name)!r}, which leads out of its folder; it is not read"
            raise DataError(self.source, [message])


def parse_xml(content: bytes, source: str, see: Callable[[str, dict[str, str]], None] | None = None) -> Any:
    """Parse XML without entities, document types or anything fetched, within limits.

    Parameters
    ----------
    content : bytes
        The file.
    source : str
        Its name, for messages.
    see : callable, optional
        Is shown the tag and attributes of each element instead of building a tree.

    Returns
    -------
    Element or None
        The root; None when `see` was given.

    Raises
    ------
    DataError
        If it is not well-formed, declares a document type or an entity, or is too large or too deep.
    """
    from xml.etree.ElementTree import ParseError, TreeBuilder

    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import DefusedXMLParser  # type: ignore[import-untyped]

    class Builder(TreeBuilder):
        """Counts what it builds."""

        elements = depth = 0

        def start(self, tag: str, attrs: dict[str, str], /) -> Any:
            self.elements += 1
            self.depth += 1
            if self.elements > MOST_ELEMENTS:
                raise DataError(source, [_too_much(f"more than {MOST_ELEMENTS:,} XML elements", f"{MOST_ELEMENTS:,}")])
            if self.depth > MOST_DEPTH:
                raise DataError(source, [f"nests its XML more than {MOST_DEPTH} deep, which no known program does"])
            if see is None:
                return super().start(tag, attrs)
            return see(tag, attrs)

        def end(self, tag: str, /) -> Any:
            self.depth -= 1
            return super().end(tag) if see is None else None

        def data(self, data: str, /) -> None:
            if see is None:
                super().data(data)

        def close(self) -> Any:
            return super().close() if see is None else None

    parser = DefusedXMLParser(target=Builder(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(content)
        return parser.close()
    except DefusedXmlException:
        message = "declares a document type or an entity, which can make a reader fetch or unfold files; it is not read"
        raise DataError(source, [message]) from None
    except ParseError as error:
        raise DataError(source, [f"is not well-formed XML ({error}); export it again"]) from None
    except (LookupError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(source, [f"cannot be read as XML ({shown(str(error))}); export it as UTF-8"]) from None
