"""The lock file of a release: what went in, with which software, and every number that came out, to the last digit."""

import json
import math
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from typing import Any

from metapeer.effects.measures import MEASURES
from metapeer.errors import DataError
from metapeer.living.releasing_numbers import Numbers
from metapeer.living.store_files import digest
from metapeer.records.catalog import datasets_root
from metapeer.records.package import FILE_NAME

__all__ = [
    "LOCK",
    "NEWS",
    "Lock",
    "bundled_hashes",
    "described",
    "input_hashes",
    "is_input",
    "other_hashes",
    "read_lock",
    "software",
]

LOCK = "metapeer.lock"
NEWS = "WHATS_NEW.md"
FORMAT = 1
PACKAGES = ("metapeer", "numpy", "scipy", "pandas")
INPUTS = (".csv", ".toml", ".json")
"""Suffixes of files that are data or metadata; the others are texts, and figures."""

HASH = re.compile(r"sha256:[0-9a-f]{64}")
VERSION = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})")
_TEXTS = ("review", "title", "version", "date", "searched", "change", "why", "author", "metadata")
_MAPPINGS = ("software", "inputs", "others", "bundled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What a release stands for.

    Parameters
    ----------
    review, title : str
        Name of the folder, and the review's title.
    version : str
        Three numbers: year of the search, change of data, correction of words.
    date, searched : str
        When it was released, and up to when the literature was searched, as year-month-day; `searched` may be empty.
    change, why, author : str
        What kind of change it is, its reason, and who released it.
    software : mapping of str to str
        Versions of metapeer and what it computes with.
    inputs, others, bundled : mapping of str to str
        Hashes: of the folder's data and metadata, of its texts, and of the data that come with metapeer and were used.
    metadata : str
        Hash of ``datapackage.json`` without what a release changes in it.
    results : mapping of str to Numbers
        Every result.
    """

    review: str
    title: str
    version: str
    date: str
    searched: str
    change: str
    why: str
    author: str
    software: Mapping[str, str]
    inputs: Mapping[str, str]
    others: Mapping[str, str]
    bundled: Mapping[str, str]
    metadata: str
    results: Mapping[str, Numbers] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Write the lock; the same lock is the same bytes.

        Numbers have as many digits, at most 17, as give the same double back. What is not defined is ``null``.

        Returns
        -------
        bytes
            JSON in UTF-8, a line for each number.
        """
        content: dict[str, Any] = {"format": FORMAT}
        content |= {name: getattr(self, name) for name in _TEXTS}
        content |= {name: dict(sorted(getattr(self, name).items())) for name in _MAPPINGS}
        content["results"] = {
            name: {
                "method": one.method,
                "measure": one.measure,
                "words": dict(one.words),
                "numbers": {quantity: _written(value) for quantity, value in one.numbers.items()},
            }
            for name, one in self.results.items()
        }
        return (json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode("utf-8", "replace")


def _written(value: float) -> float | int | str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return int(value) if value == int(value) and abs(value) < 2**53 and math.copysign(1, value) > 0 else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def read_lock(content: bytes, source: str) -> Lock:
    """Read a lock, from whomever it comes.

    Parameters
    ----------
    content : bytes
        The file.
    source : str
        Its name, for messages.

    Returns
    -------
    Lock
        What was locked.

    Raises
    ------
    DataError
        If it is not a lock; every fault is listed.
    """
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        what = "is nested too deeply" if isinstance(error, RecursionError) else f"is not valid JSON: {error}"
        raise DataError(source, [f"{what}; take it back from version control, or make a release anew"]) from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        number = found.get("format") if isinstance(found, dict) else None
        newer = isinstance(number, int) and number > FORMAT
        advice = (
            "was written by a later metapeer; use that" if newer else f"is not a lock of metapeer (format {FORMAT})"
        )
        raise DataError(source, [advice])
    faults = [f"{name} is not a text" for name in _TEXTS if not isinstance(found.get(name), str)]
    for name in _MAPPINGS:
        cells = found.get(name)
        if not isinstance(cells, dict) or not all(isinstance(cell, str) for cell in cells.values()):
            faults.append(f"{name} is not a table of texts")
        elif name != "software":
            faults += [
                f"{name}: {key!r} has no SHA-256 hash" for key, cell in cells.items() if not HASH.fullmatch(cell)
            ]
    if not faults and not VERSION.fullmatch(found["version"]):
        faults.append(f"version {found['version']!r} is not three numbers such as 26.1.0")
    results: dict[str, Numbers] = {}
    listed = found.get("results")
    if not isinstance(listed, dict):
        faults.append("results is not a table")
    else:
        for name, one in listed.items():
            result = _result(one)
            if result is None:
                faults.append(f"results: {name!r} is not method, measure, words and numbers")
            else:
                results[name] = result
    if faults:
        raise DataError(source, faults)
    texts = {name: found[name] for name in _TEXTS}
    return Lock(**texts, **{name: found[name] for name in _MAPPINGS}, results=results)


def _result(one: object) -> Numbers | None:
    if not isinstance(one, dict):
        return None
    words, numbers = one.get("words"), one.get("numbers")
    told = [one.get("method"), one.get("measure"), *(words.values() if isinstance(words, dict) else [None])]
    if not isinstance(numbers, dict) or not all(isinstance(text, str) for text in told):
        return None
    if one["measure"] and one["measure"] not in MEASURES:
        return None
    values: dict[str, float] = {}
    for quantity, value in numbers.items():
        good = value is None or value in ("inf", "-inf") or (type(value) in (int, float))
        try:
            values[quantity] = math.nan if value is None else float(value) if good else _refuse()
        except (OverflowError, ValueError):
            return None
    return Numbers(method=one["method"], measure=one["measure"], numbers=values, words=one["words"])


def _refuse() -> float:
    raise ValueError


def software() -> dict[str, str]:
    """Name the versions that the numbers rest on.

    Returns
    -------
    dict of str to str
        metapeer, numpy, scipy, pandas and Python.
    """
    return {name: package_version(name) for name in PACKAGES} | {"python": platform.python_version()}


def is_input(name: str) -> bool:
    """Tell whether a file of a review is data or metadata.

    Parameters
    ----------
    name : str
        The file.

    Returns
    -------
    bool
        Otherwise it is a text or a figure, which no number depends on.

    Examples
    --------
    >>> is_input("outcomes.csv"), is_input("README.md")
    (True, False)
    """
    return name.casefold().endswith(INPUTS)


def _hash(content: bytes) -> str:
    return f"sha256:{digest(content)}"


def input_hashes(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Hash a review's data and metadata.

    Parameters
    ----------
    contents : mapping of str to bytes
        Its files.

    Returns
    -------
    dict of str to str
        File to hash.
    """
    return {name: _hash(content) for name, content in sorted(contents.items()) if is_input(name)}


def other_hashes(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Hash a review's texts and figures, without those that a release writes.

    Parameters
    ----------
    contents : mapping of str to bytes
        Its files.

    Returns
    -------
    dict of str to str
        File to hash.
    """
    return {
        name: _hash(content)
        for name, content in sorted(contents.items())
        if not is_input(name) and name not in (LOCK, NEWS)
    }


def bundled_hashes(datasets: tuple[str, ...]) -> dict[str, str]:
    """Hash what comes with metapeer and bears on a review's numbers.

    Parameters
    ----------
    datasets : tuple of str
        Bundled data sets whose rows are used.

    Returns
    -------
    dict of str to str
        File, as it stands among the bundled data, to hash.
    """
    root = datasets_root()
    paths = [root / "instruments.csv", root / "claims.csv"]
    for name in datasets:
        paths += sorted(path for path in (root / name).glob("*") if is_input(path.name) and path.name != FILE_NAME)
    return {path.relative_to(root).as_posix(): _hash(path.read_bytes()) for path in paths if path.is_file()}


def described(package: Mapping[str, Any]) -> str:
    """Hash what people wrote into ``datapackage.json``.

    Parameters
    ----------
    package : mapping of str to object
        The descriptor.

    Returns
    -------
    str
        The same whatever a release, or a change of a table, has changed in the file.
    """
    own = {key: value for key, value in package.items() if key not in ("$schema", "version", "resources")}
    if isinstance(own.get("metapeer"), dict):
        own["metapeer"] = {key: value for key, value in own["metapeer"].items() if key != "last_search"}
    return _hash(json.dumps(own, sort_keys=True).encode("utf-8"))
