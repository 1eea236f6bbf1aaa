"""Who moved the estimates since the last release: its tables are kept beside the store, and compared with those of now.

The copy stands in the hidden folder, which version control passes over. Where it is not there (another machine, a fresh
clone), a release says so; nothing else depends on it.
"""

import hashlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metapeer.errors import DataWarning, MetapeerError
from metapeer.formatting import format_number
from metapeer.living.folder import load_quietly, rehearsal
from metapeer.living.releasing_lock import input_hashes, is_input
from metapeer.living.store_journal import HIDDEN

__all__ = ["Moving", "find_released", "keep_released", "moving_words", "who_moved"]

PLACE = "released"
KEPT = 3
"""Releases whose tables are kept: the last, and two that `undo` may go back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """What one trial, correction or choice moved since the last release.

    Parameters
    ----------
    outcome : str
        The pooled outcome.
    stage, what : str
        The kind of change, and which: as in `Share`.
    estimate : float
        Its share of the change of the estimate (log for ratios).
    """

    outcome: str
    stage: str
    what: str
    estimate: float


def _path(folder: Path, inputs: Mapping[str, str]) -> Path:
    digest = hashlib.sha256(json.dumps(dict(sorted(inputs.items()))).encode()).hexdigest()
    return folder / HIDDEN / PLACE / f"{digest[:32]}.zip"


def keep_released(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Keep a copy of the tables of a release.

    Parameters
    ----------
    folder : Path
        The review's folder.
    contents : mapping of str to bytes
        Its files.

    Warns
    -----
    DataWarning
        If the disk refuses: the next release then cannot say who moved its numbers.
    """
    inputs = {name: content for name, content in sorted(contents.items()) if is_input(name)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in inputs.items():
            archive.writestr(name, content)
    path = _path(folder, input_hashes(inputs))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".half")
        half.write_bytes(packed.getvalue())
        half.replace(path)
        others = [one for one in path.parent.glob("*.zip") if one != path]
        for outdated in sorted(others, key=lambda one: one.stat().st_mtime_ns)[: -(KEPT - 1)]:
            outdated.unlink()
    except OSError as error:
        message = f"no copy of the release could be kept ({os.strerror(error.errno or 0)}): the next one cannot say who"
        warnings.warn(f"{message} moved its numbers", DataWarning, stacklevel=2)


def find_released(folder: Path, inputs: Mapping[str, str]) -> dict[str, bytes] | None:
    """Find the tables of a release.

    Parameters
    ----------
    folder : Path
        The review's folder.
    inputs : mapping of str to str
        File to hash, as its lock has them.

    Returns
    -------
    dict of str to bytes or None
        The files, whose hashes are those; None where they are not kept.
    """
    try:
        with zipfile.ZipFile(_path(folder, inputs)) as archive:
            found = {one.filename: archive.read(one) for one in archive.infolist() if one.filename in inputs}
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, NotImplementedError, EOFError):
        return None
    return found if input_hashes(found) == dict(inputs) else None


def who_moved(before: Mapping[str, bytes], after: Mapping[str, bytes], name: str) -> tuple[Moving, ...] | None:
    """Share out what moved between two states of a review.

    Parameters
    ----------
    before, after : mapping of str to bytes
        The files of either state.
    name : str
        The review's name.

    Returns
    -------
    tuple of Moving or None
        Outcome by outcome; None where the states cannot be compared.
    """
    from metapeer.living.update_run import diff

    with rehearsal(before, name) as old, rehearsal(after, name) as new, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of the data, which those who enter them were told
        try:
            found = diff(load_quietly(old)[0], load_quietly(new)[0], only_changed=True)
        except MetapeerError:
            return None
    return tuple(
        Moving(outcome=change.outcome, stage=share.stage, what=share.what, estimate=share.estimate)
        for change in found.moved
        for share in change.shares
        if share.estimate == share.estimate
    )


def moving_words(moving: Sequence[Moving]) -> list[tuple[str, str]]:
    """Write who moved each outcome.

    Parameters
    ----------
    moving : sequence of Moving
        From `who_moved`.

    Returns
    -------
    list of (str, str)
        Outcome, and who moved it by how much.

    Examples
    --------
    >>> moving_words([Moving(outcome="hope", stage="new trial", what="smith2026", estimate=0.0312)])
    [('hope', '+0.031 new trial smith2026')]
    """
    found: dict[str, list[str]] = {}
    for one in moving:
        sign = "+" if one.estimate > 0 else ""
        found.setdefault(one.outcome, []).append(f"{sign}{format_number(one.estimate, 3)} {one.stage} {one.what}")
    return [(outcome, "; ".join(parts)) for outcome, parts in found.items()]
