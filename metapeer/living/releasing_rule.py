"""The rule of versions: what kind of change it is, which version it makes, and what is refused."""

import re
from collections.abc import Mapping, Sequence
from datetime import date as calendar_date

from metapeer.errors import DataError, MetapeerError
from metapeer.living.releasing_lock import Lock, is_input
from metapeer.living.releasing_words import CHANGES, Moved
from metapeer.records.decode import shown
from metapeer.records.package import FILE_NAME

__all__ = [
    "changed_files",
    "check_change",
    "check_days",
    "check_version",
    "is_day",
    "needed_change",
    "next_version",
    "reasons_words",
]

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MOST_NAMED = 5


def next_version(before: str, change: str, searched: str) -> str:
    """Count a version on.

    Parameters
    ----------
    before : str
        The last version; empty when there is none.
    change : {"first", "search", "data", "patch"}
        What kind of change it is.
    searched : str
        Up to when the literature was searched, as year-month-day.

    Returns
    -------
    str
        The version. A second search in one year counts as a change of data.

    Examples
    --------
    >>> next_version("", "first", "2025-06-30"), next_version("25.3.1", "search", "2026-01-31")
    ('25.0.0', '26.0.0')
    >>> next_version("26.0.0", "data", "2026-01-31"), next_version("26.1.0", "patch", "2026-01-31")
    ('26.1.0', '26.1.1')
    """
    year = int(searched[:4]) - 2000
    if change == "first":
        return f"{year}.0.0"
    major, minor, patch = map(int, before.split("."))
    if change == "search" and year > major:
        return f"{year}.0.0"
    return f"{major}.{minor}.{patch + 1}" if change == "patch" else f"{major}.{minor + 1}.0"


def is_day(text: object) -> bool:
    """Tell whether a text is a day that a release can have.

    Parameters
    ----------
    text : object
        What was given.

    Returns
    -------
    bool
        Whether it is year-month-day, from 2000 on.
    """
    if not isinstance(text, str) or not DAY.fullmatch(text) or not text.isascii():
        return False
    try:
        return calendar_date.fromisoformat(text).year >= 2000
    except ValueError:
        return False


def check_days(name: str, day: str, searched: str, old: Lock | None) -> None:
    """Refuse days that go back.

    Parameters
    ----------
    name : str
        The review.
    day : str
        Of the release.
    searched : str
        Up to when the literature was searched.
    old : Lock or None
        The last release.

    Raises
    ------
    DataError
        If a day is missing or lies before another; every fault is listed.
    """
    faults = []
    if not searched:
        faults.append("has no date of its search yet; give searched= as year-month-day, which makes the version")
    if searched > day:
        faults.append(f"searched {searched} lies after the date of the release, {day}")
    if old is not None and day < old.date:
        faults.append(f"date {day} lies before that of the last release, {old.version} of {old.date}")
    if old is not None and searched < old.searched:
        faults.append(f"searched {searched} lies before that of the last release, {old.searched}")
    if old is not None and searched and int(searched[:4]) - 2000 < int(old.version.split(".")[0]):
        faults.append(f"the last version, {old.version}, has a later year of search than {searched}")
    if faults:
        raise DataError(name, faults)


def changed_files(
    old: Lock | None, inputs: Mapping[str, str], others: Mapping[str, str], metadata: str
) -> tuple[str, ...]:
    """Name the files that differ from the last release; the data package only where people wrote.

    Parameters
    ----------
    old : Lock or None
        The last release.
    inputs, others : mapping of str to str
        Hashes of the files as they are.
    metadata : str
        Hash of what people wrote into the data package.

    Returns
    -------
    tuple of str
        In alphabetical order, the data package last.
    """
    then = {} if old is None else {**old.inputs, **old.others}
    now = {**inputs, **others}
    changed = [file for file in sorted({*then, *now}) if file != FILE_NAME and then.get(file) != now.get(file)]
    if old is not None and old.metadata != metadata:
        changed.append(FILE_NAME)
    return tuple(changed)


def needed_change(
    old: Lock | None, searched: str, files: Sequence[str], moved: Sequence[Moved], software: Mapping[str, str]
) -> str:
    """Find out what kind of change it is.

    Parameters
    ----------
    old : Lock or None
        The last release.
    searched : str
        Up to when the literature was searched.
    files : sequence of str
        Files that changed.
    moved : sequence of Moved
        Results that are others.
    software : mapping of str to str
        Versions that computed the numbers.

    Returns
    -------
    str
        "first", "search", "data" or "patch".

    Raises
    ------
    MetapeerError
        If nothing changed.
    """
    if old is None:
        return "first"
    if searched > old.searched:
        return "search"
    if moved or any(is_input(file) for file in files):
        return "data"
    if files or dict(old.software) != dict(software):
        return "patch"
    raise MetapeerError(f"{old.review}: nothing changed since {old.version}; there is nothing to release")


def reasons_words(files: Sequence[str], moved: Sequence[Moved], searched: str, old: Lock | None) -> str:
    """Say what the kind of change rests on.

    Parameters
    ----------
    files : sequence of str
        Files that changed.
    moved : sequence of Moved
        Results that are others.
    searched : str
        Up to when the literature was searched.
    old : Lock or None
        The last release.

    Returns
    -------
    str
        In words.
    """
    if old is None:
        return "there is no release yet"
    parts = [f"the search went on from {old.searched or 'no date'} to {searched}"] if searched > old.searched else []
    for names, what in (([one.name for one in moved], "moved"), (list(files), "changed")):
        if names:
            rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            parts.append(f"{', '.join(names[:MOST_NAMED])}{rest} {what}")
    return "; ".join(parts) or "only versions of software changed, and no number moved"


def check_change(name: str, change: str, needed: str, version: str, reasons: str) -> None:
    """Refuse a kind of change that is not what changed.

    Parameters
    ----------
    name : str
        The review.
    change : str
        What the caller takes it to be; empty for whatever it is.
    needed : str
        What it is.
    version : str
        What the rule makes of it.
    reasons : str
        From `reasons_words`.

    Raises
    ------
    MetapeerError
        If they are not the same.
    """
    if change in ("", needed):
        return
    later = "; give searched= with the day of the new search" if change == "search" else ""
    raise MetapeerError(
        f"{name}: change {change!r} is refused, since {reasons}: that is {needed!r} ({CHANGES[needed]}), "
        f"version {version}{later}"
    )


def check_version(name: str, written: object, version: str, old: Lock | None) -> None:
    """Refuse a version that somebody wrote by hand, unless it is the right one.

    Parameters
    ----------
    name : str
        The review.
    written : object
        The version in the data package.
    version : str
        What the rule makes of it.
    old : Lock or None
        The last release.

    Raises
    ------
    DataError
        If it is neither the last version nor the new one.
    """
    if old is None or written in (old.version, version):
        return
    given = shown(repr(written))
    message = f"version {given} was written by hand; it was {old.version}, and by the rule it becomes {version}"
    raise DataError(f"{name}/{FILE_NAME}", [message])
