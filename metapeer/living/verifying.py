"""Does a released review still reproduce? Everything is computed anew and held against the lock of the release.

Made for continuous integration: `Verification.ok` is the answer, and what differs is named. The hashes of the review's
own files are compared exactly; numbers within 1e-9 of their size (1e-12 about zero), which is what platforms and
versions of numerical libraries may differ by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metapeer.errors import DataError
from metapeer.formatting import Printable, TextTable, count, format_number
from metapeer.living.folder import rehearsal
from metapeer.living.releasing import review_contents
from metapeer.living.releasing_lock import LOCK, Lock, bundled_hashes, input_hashes, other_hashes, read_lock, software
from metapeer.living.releasing_numbers import numbers_of
from metapeer.living.store import TIMEOUT
from metapeer.living.verifying_compare import Difference, WordDifference, differences, word_differences
from metapeer.records.decode import read_bytes

__all__ = ["Verification", "verify"]

HEADLINES = ("estimate", "ci_low", "ci_high")
MOST_SHOWN = 40  # differing numbers in the printed table; `to_frame` has them all


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Verification(Printable):
    """What `verify` found.

    Parameters
    ----------
    review : str
        The review's name.
    lock : Lock
        What it was held against.
    results : int
        Results that were computed again.
    numbers : int
        Numbers that were compared.
    differences : tuple of Difference
        Numbers that are others now.
    words : tuple of WordDifference
        Verdicts and conclusions that are others now.
    gone : tuple of str
        Results that are not computed any more.
    changed_inputs : tuple of (str, str)
        Files of data and metadata that changed, each with how.
    notes : tuple of str
        What else is different, which is no failure.
    """

    review: str
    lock: Lock
    results: int
    numbers: int
    differences: tuple[Difference, ...]
    words: tuple[WordDifference, ...]
    gone: tuple[str, ...]
    changed_inputs: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every number, verdict and input is as it was locked."""
        return not (self.differences or self.words or self.gone or self.changed_inputs)

    def to_frame(self) -> pd.DataFrame:
        """List everything that fails.

        Returns
        -------
        DataFrame
            ``kind`` ("number", "verdict", "result" or "input"), ``name``, ``quantity``, ``locked`` and ``now`` as
            text with every digit, and ``relative``, the relative difference of numbers.
        """
        rows: list[tuple[str, str, str, str, str, float]] = [
            ("number", one.result, one.quantity, repr(one.locked), repr(one.now), one.relative)
            for one in self.differences
        ]
        nothing = float("nan")
        rows += [("verdict", one.result, one.what, one.locked, one.now, nothing) for one in self.words]
        rows += [("result", name, "", "computed", "gone", nothing) for name in self.gone]
        rows += [("input", name, how, "", "", nothing) for name, how in self.changed_inputs]
        columns = ["kind", "name", "quantity", "locked", "now", "relative"]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype(dict.fromkeys(columns[:-1], str) | {"relative": float})

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the verification in words.

        Returns
        -------
        sequence of TextTable
            The verdict, what differs, and notes.
        """
        lock = self.lock
        what = f"{self.review} {lock.version}" + (f" of {lock.date}" if lock.date else "")
        said = (
            f"{what} reproduces: {count(self.numbers, 'number')} of {count(self.results, 'result')} as locked."
            if self.ok
            else f"{what} does not reproduce: {'; '.join(self._faults())}."
        )
        tables = [TextTable(header=(), rows=(), notes=[said])]
        if self.changed_inputs:
            tables.append(TextTable(title="Input files", header=("file", ""), rows=self.changed_inputs))
        if self.words:
            rows = [(one.result, one.what, one.locked or "none", one.now or "none") for one in self.words]
            tables.append(TextTable(title="Verdicts", header=("result", "what", "locked", "now"), rows=rows))
        if self.gone:
            tables.append(TextTable(title="Not computed any more", header=("result",), rows=[(n,) for n in self.gone]))
        if self.differences:
            # Where not all can be shown: of every result the pooled effect, then what moved most.
            ranked = sorted(self.differences, key=lambda one: (one.quantity not in HEADLINES, -one.relative))
            kept = set(map(id, ranked[:MOST_SHOWN]))
            listed = [one for one in self.differences if id(one) in kept]
            numbers = [
                (one.result, one.quantity, *_digits(one.locked, one.now), _relative(one.relative)) for one in listed
            ]
            left = len(self.differences) - len(listed)
            tables.append(
                TextTable(
                    title="Numbers",
                    header=("result", "quantity", "locked", "now", "relative difference"),
                    rows=numbers,
                    notes=[f"and {count(left, 'more number')}"] if left else [],
                )
            )
        if self.notes:
            tables.append(TextTable(header=(), rows=(), notes=self.notes))
        return tables

    def _faults(self) -> list[str]:
        parts = []
        if self.differences:
            outcomes = len({one.result for one in self.differences})
            parts.append(f"{count(len(self.differences), 'number')} of {count(outcomes, 'result')} moved")
        if self.words:
            parts.append(f"{count(len(self.words), 'verdict')} changed")
        if self.gone:
            parts.append(f"{count(len(self.gone), 'result')} gone")
        if self.changed_inputs:
            parts.append(f"{count(len(self.changed_inputs), 'input file')} changed")
        return parts


def _digits(one: float, two: float) -> tuple[str, str]:
    """Two numbers with as many digits as tell them apart, and some more."""
    for digits in range(6, 18):
        shown = f"{one:.{digits}g}", f"{two:.{digits}g}"
        if shown[0] != shown[1]:
            return ("NA" if one != one else shown[0]), ("NA" if two != two else shown[1])  # noqa: PLR0124 - NaN
    return repr(one), repr(two)


def _relative(value: float) -> str:
    return (
        "defined in one only" if value == float("inf") else f"{value:.1e}" if value < 0.001 else format_number(value, 4)
    )


def verify(folder: str | Path, *, lock: str | Path | Lock | None = None, timeout: float = TIMEOUT) -> Verification:
    """Compute a review anew and hold every number against the lock of its release.

    Parameters
    ----------
    folder : str or Path
        The review's folder, or a data set from `list_datasets`.
    lock : str, Path or Lock, optional
        The lock; ``metapeer.lock`` in the folder when left out.
    timeout : float, default 30
        Seconds to wait for a writer.

    Returns
    -------
    Verification
        With `ok`; numbers, verdicts and input files that differ fail, other versions of the software are noted.

    Raises
    ------
    DataError
        If there is no lock, it cannot be read, or the review cannot be computed.

    Examples
    --------
    >>> from metapeer.living.releasing import lock_review
    >>> found = verify("lyons2021", lock=lock_review("lyons2021"))
    >>> found.ok, len(found.differences)
    (True, 0)
    """
    contents, name = review_contents(folder, timeout=timeout)
    if isinstance(lock, Lock):
        locked = lock
    elif lock is not None:
        locked = read_lock(read_bytes(lock), str(lock))
    elif LOCK in contents:
        locked = read_lock(contents[LOCK], f"{name}/{LOCK}")
    else:
        raise DataError(name, [f"has no {LOCK}; make one with release()"])
    with rehearsal({one: content for one, content in contents.items() if one != LOCK}, name) as stage:
        results, datasets = numbers_of(stage)
    shared = [one for one in locked.results if one in results]
    return Verification(
        review=name,
        lock=locked,
        results=len(shared),
        numbers=sum(len(locked.results[one].numbers) for one in shared),
        differences=tuple(differences(locked.results, results)),
        words=tuple(word_differences(locked.results, results)),
        gone=tuple(one for one in locked.results if one not in results),
        changed_inputs=tuple(_changes(locked.inputs, input_hashes(contents))),
        notes=tuple(
            _notes(
                locked,
                others=_changes(locked.others, other_hashes(contents)),
                bundled=_changes(locked.bundled, bundled_hashes(datasets)),
                methods=[one for one in shared if locked.results[one].method != results[one].method],
                fresh=[one for one in results if one not in locked.results],
                name=name,
            )
        ),
    )


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (name, "was added" if name not in before else "is gone" if name not in now else "has another hash")
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def _notes(
    lock: Lock,
    *,
    others: list[tuple[str, str]],
    bundled: list[tuple[str, str]],
    methods: list[str],
    fresh: list[str],
    name: str,
) -> list[str]:
    """What differs and is no failure."""
    versions = software()
    notes = [] if lock.review == name else [f"locked as {lock.review}"]
    notes += [
        f"{package}: {lock.software.get(package, 'none')} locked, {versions.get(package, 'none')} now"
        for package in dict.fromkeys((*lock.software, *versions))
        if lock.software.get(package) != versions.get(package)
    ]
    notes += [f"bundled data, {file} {how}" for file, how in bundled]
    notes += [f"text, {file} {how}" for file, how in others]
    if methods:
        notes.append(f"method in other words: {', '.join(methods)}")
    if fresh:
        notes.append(f"not locked: {', '.join(fresh)}")
    return notes
