"""From the bytes of a file to its text: which encoding it is in, and whether its letters survived.

Nothing is decoded silently. UTF-8 and marked UTF-16 or UTF-32 are certain; anything else is a guess, and is said.
"""

import codecs
import re
from difflib import get_close_matches
from pathlib import Path

from metapeer.errors import ChoiceError, DataError, Fault

__all__ = ["decode", "number_lines", "read_bytes", "shown"]

MARKS = (  # UTF-32 before UTF-16: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SIGNATURES = (  # https://en.wikipedia.org/wiki/List_of_file_signatures
    (b"\x1f\x8b", "is a gzip archive; unpack it and read the CSV file inside"),
    (b"PK\x03\x04", "is an Excel workbook (.xlsx) or a zip archive; save the sheet as 'CSV UTF-8' and read that"),
    (b"\xd0\xcf\x11\xe0", "is an Excel workbook (.xls); save the sheet as 'CSV UTF-8' and read that"),
    (b"BZh", "is a bzip2 archive; unpack it and read the CSV file inside"),
    (b"\xfd7zXZ\x00", "is an xz archive; unpack it and read the CSV file inside"),
    (b"%PDF-", "is a PDF document; type or export its table into a CSV file"),
    (b"PAR1", "is a Parquet file; write it as CSV"),
    (b"SQLite format 3\x00", "is an SQLite database; write its table as CSV"),
)
# UTF-8 taken for Windows-1252: the first byte of a letter shows as one of these capitals, the byte after it as a sign
# that stands at 0x80 to 0xBF. Quotes and dashes are left out of the signs: after a capital they may be meant.
_SIGNS = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xC0))
_NEVER_AFTER_A_CAPITAL = "".join(sign for sign in _SIGNS if sign not in "‘’‚“”„–—…•‹›«»\xa0")
MOJIBAKE = re.compile(f"[ÂÃÄÅ][{_NEVER_AFTER_A_CAPITAL}]|[ÂÃ]\xa0|â€[{_SIGNS}]")
CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
MOST_CONTROL = 0.05  # of all bytes; text has none, a compressed or compiled file about a tenth


def read_bytes(path: str | Path) -> bytes:
    """Read a file whole, or say why not.

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
        If it does not exist, is a folder, may not be read or is empty.
    """
    if not isinstance(path, str | Path):
        raise DataError(shown(repr(path)), ["is not a file name; give the path of a CSV file as text or as a Path"])
    source = str(path)
    if isinstance(path, str) and not path.strip():
        raise DataError("the path", ["is empty; give the name of a CSV file"])
    file = Path(path)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise DataError(source, [f"does not exist{_neighbour(file)}"]) from None
    except IsADirectoryError:
        raise DataError(source, [f"is a folder; name a file in it, such as {file / 'outcomes.csv'}"]) from None
    except PermissionError:
        # Windows answers so for a folder, too.
        what = "is a folder; name a file in it" if file.is_dir() else "may not be read; ask for permission to read it"
        raise DataError(source, [what]) from None
    except (OSError, ValueError) as error:
        raise DataError(shown(source), [f"cannot be read: {getattr(error, 'strerror', None) or error}"]) from None
    if not content.strip():
        raise DataError(source, ["is empty; it needs a header line and at least one row"])
    return content


def decode(content: bytes, source: str, encoding: str | None = None) -> tuple[str, list[str]]:
    """Turn the bytes of a table into text.

    Parameters
    ----------
    content : bytes
        The file.
    source : str
        The file's name, for messages.
    encoding : str, optional
        A Python codec that is to be used, whatever the bytes look like.

    Returns
    -------
    str
        The text, without a byte order mark.
    list of str
        Doubts, in words: an encoding that was guessed, letters that were damaged before.

    Raises
    ------
    ChoiceError
        If Python does not know `encoding`.
    DataError
        If the file is no text, or not in that encoding.
    """
    for signature, advice in SIGNATURES:
        if content.startswith(signature):
            raise DataError(source, [advice])
    doubts: list[str] = []
    if encoding is not None:
        text = _forced(content, source, encoding)
    else:
        text, guessed = _guessed(content, source)
        doubts += guessed
    _check_no_nul(text, source)
    lines = _physical_lines(text)
    damaged = [number for number, line in enumerate(lines, start=1) if MOJIBAKE.search(line)]
    if damaged:
        example = next(match.group() for line in lines if (match := MOJIBAKE.search(line)))
        doubts.append(
            f"{source}: {number_lines(damaged)} may hold broken letters, such as {example!r}: UTF-8 that was once "
            "opened as Windows-1252 and saved again. The text is kept as it is; check names and labels"
        )
    lost = [number for number, line in enumerate(lines, start=1) if "\N{REPLACEMENT CHARACTER}" in line]
    if lost:
        doubts.append(
            f"{source}: {number_lines(lost)} hold{'s' if len(lost) == 1 else ''} a replacement character "
            "(\N{REPLACEMENT CHARACTER}): a letter that could not be read"
        )
    return text, doubts


def number_lines(numbers: list[int], most: int = 10) -> str:
    """Name lines by their numbers, the first few of them.

    Parameters
    ----------
    numbers : list of int
        Line numbers; not empty.
    most : int, default 10
        How many are written out.

    Returns
    -------
    str
        Such as ``"line 3"`` or ``"lines 3, 7 and 12 more"``.

    Examples
    --------
    >>> number_lines([3]), number_lines([3, 7, 9], most=2)
    ('line 3', 'lines 3, 7 and 1 more')
    """
    written = ", ".join(map(str, numbers[:most]))
    rest = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return f"line{'' if len(numbers) == 1 else 's'} {written}{rest}"


def shown(text: str, most: int = 60) -> str:
    r"""Cut a text to what fits into a message, on one line.

    Parameters
    ----------
    text : str
        Any text.
    most : int, default 60
        Characters that are kept.

    Returns
    -------
    str
        The text with its white space made single blanks and its end cut off.

    Examples
    --------
    >>> shown("a  cell\nof two lines", most=9)
    'a cell of...'
    """
    flat = " ".join(text[: 4 * most].split())
    return flat[:most] + "..." if len(flat) > most or len(text) > 4 * most else flat


def _neighbour(file: Path) -> str:
    """Name the file that was meant, if one of that folder is spelt much the same."""
    if str(file).startswith(("http:", "https:", "ftp:")):
        return "; download it first and name the file on this computer"
    try:
        names = [entry.name for entry in file.parent.iterdir() if entry.is_file()]
    except OSError:
        return f"; there is no folder {str(file.parent)!r}"
    close = get_close_matches(file.name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; look for it in {str(file.parent.resolve())!r}"


def _physical_lines(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)


def _line_of(content: bytes, position: int) -> int:
    return len(re.findall(rb"\r\n|\r|\n", content[:position])) + 1


def _forced(content: bytes, source: str, encoding: str) -> str:
    try:
        known = isinstance(encoding, str) and codecs.lookup(encoding) is not None
    except (LookupError, ValueError):
        known = False
    if not known:
        raise ChoiceError(f"encoding {encoding!r} is unknown. Common ones: utf-8, cp1252, latin-1, utf-16, mac-roman")
    try:
        text = content.decode(encoding)
        text.encode("utf-8")  # lone surrogates, which some codecs let through, are no text
    except LookupError:
        raise ChoiceError(f"encoding {encoding!r} is not an encoding of text. Common ones: utf-8, cp1252") from None
    except UnicodeDecodeError as error:
        fault = Fault(
            line=_line_of(content, error.start),
            message=f"byte 0x{content[error.start]:02x} is not {encoding}; leave encoding out, or name another",
        )
        raise DataError(source, [fault]) from None
    except (UnicodeError, ValueError):
        raise DataError(source, [f"is not {encoding} text; leave encoding out, or name another"]) from None
    return text.removeprefix("\ufeff")


def _guessed(content: bytes, source: str) -> tuple[str, list[str]]:
    for mark, name in MARKS:
        if content.startswith(mark):
            try:
                return content.decode(name), []
            except UnicodeDecodeError as error:
                message = f"begins as {name.upper()} but is damaged at byte {error.start + 1}; save it again as UTF-8"
                raise DataError(source, [message]) from None
    if b"\0" in content:
        message = (
            f"holds NUL bytes ({number_lines(_nul_lines(content))}), so it is damaged, not a text file, "
            "or UTF-16 without a mark; save it as 'CSV UTF-8', or pass encoding='utf-16-le'"
        )
        raise DataError(source, [message])
    if len(CONTROL.findall(content)) > MOST_CONTROL * len(content):
        raise DataError(source, ["is not a text file; save the table as 'CSV UTF-8' and read that"])
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    odd = [(n, line) for n, line in enumerate(_physical_lines(text), start=1) if not line.isascii()]
    word = next(word for word in re.split(r"[ \t,;]+", odd[0][1]) if not word.isascii())
    where = number_lines([number for number, _ in odd])
    doubt = (
        f"{source} is not UTF-8 and was read as Windows-1252 (cp1252). Check {where}, such as {shown(word)!r}; "
        "if it reads wrong, save the file as UTF-8 or pass encoding="
    )
    return text, [doubt]


def _nul_lines(content: bytes) -> list[int]:
    return [number for number, line in enumerate(re.split(rb"\r\n|\r|\n", content), start=1) if b"\0" in line]


def _check_no_nul(text: str, source: str) -> None:
    lines = [number for number, line in enumerate(_physical_lines(text), start=1) if "\0" in line]
    if lines:
        raise DataError(source, [f"holds NUL characters ({number_lines(lines)}), so it is damaged; save it again"])
