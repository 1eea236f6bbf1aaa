"""The reviews that come with metapeer, and reviews of your own kept in the same way: one folder each.

A folder holds ``outcomes.csv``, ``trials.csv``, ``published.csv``, ``overrides.csv`` and ``plan.toml``, as far as there
is something to put into them, and a ``datapackage.json`` that says whose work it is.
"""

import os
import warnings
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import pandas as pd

from metapeer.errors import DataError, DataWarning, MetapeerError, check_choice
from metapeer.records.decode import shown
from metapeer.records.package import FILE_NAME
from metapeer.records.review import Review, read_review
from metapeer.records.schema import CLAIMS, INSTRUMENTS
from metapeer.records.tablefile import read_table

__all__ = [
    "Review",
    "dataset_names",
    "datasets_root",
    "list_datasets",
    "load_claims",
    "load_dataset",
    "load_instruments",
]


def datasets_root() -> Path:
    """Find the folder of the bundled data.

    Returns
    -------
    Path
        ``metapeer/_datasets`` in an installed package, ``datasets`` in a checkout.

    Raises
    ------
    MetapeerError
        If neither is there.

    Examples
    --------
    >>> (datasets_root() / "instruments.csv").is_file()
    True
    """
    package = Path(str(files("metapeer")))
    candidates = (package / "_datasets", package.parent / "datasets")
    for candidate in candidates:
        if (candidate / "instruments.csv").is_file():
            return candidate
    looked = " nor ".join(str(candidate) for candidate in candidates)
    raise MetapeerError(f"the bundled data are missing: neither {looked} is there; install metapeer again")


def dataset_names() -> list[str]:
    """Name the bundled reviews without reading them.

    Returns
    -------
    list of str
        In alphabetical order.

    Examples
    --------
    >>> dataset_names()[:2]
    ['chien2019', 'dalgaard2025']
    """
    return sorted(path.parent.name for path in datasets_root().glob(f"*/{FILE_NAME}"))


def list_datasets() -> pd.DataFrame:
    """List the bundled reviews.

    Returns
    -------
    DataFrame
        One row per review: ``name``, ``title``, ``trials``, ``rows``, ``usable_rows`` (those without an
        ``exclusion_reason``), ``published`` results, ``licence``.

    Examples
    --------
    >>> list_datasets().set_index("name").loc["smit2023", ["trials", "rows", "published"]].tolist()
    [28, 66, 3]
    """
    instruments = load_instruments()
    reviews = [_load(datasets_root() / name, instruments) for name in dataset_names()]
    return pd.DataFrame(
        {
            "name": [review.name for review in reviews],
            "title": [review.title for review in reviews],
            "trials": [len(review.trials) for review in reviews],
            "rows": [len(review.outcomes) for review in reviews],
            "usable_rows": [int((review.outcomes["exclusion_reason"] == "").sum()) for review in reviews],
            "published": [len(review.published) for review in reviews],
            "licence": [review.licence for review in reviews],
        }
    )


def load_instruments() -> pd.DataFrame:
    """Load the bundled table of instruments and their directions.

    Returns
    -------
    DataFrame
        The columns of `metapeer.records.schema.INSTRUMENTS`.

    Examples
    --------
    >>> load_instruments().set_index("instrument").loc["CGI", "direction"]
    'lower_better'
    """
    path = datasets_root() / "instruments.csv"
    return _instruments_of(path, path.stat().st_mtime_ns).copy()


@lru_cache(maxsize=1)
def _instruments_of(path: Path, _: int) -> pd.DataFrame:
    """Read the table once for as long as the file is not written anew; one job asks for it several times."""
    return read_table(path, INSTRUMENTS, strict=True)


def load_claims() -> pd.DataFrame:
    """Load the findings that reviews state in words.

    Returns
    -------
    DataFrame
        The columns of `metapeer.records.schema.CLAIMS`.

    Examples
    --------
    >>> load_claims().set_index("claim_id").loc["white-symptoms", "statement"]
    'no effect on clinical symptoms'
    """
    return read_table(datasets_root() / "claims.csv", CLAIMS, strict=True)


def load_dataset(name: str | Path) -> Review:
    """Load a bundled review by name, or a review of your own by its folder.

    Parameters
    ----------
    name : str or Path
        A name from `list_datasets`, or the path of a folder; ``./name`` is always a folder. In a folder of your own
        every table is optional, and an ``instruments.csv`` in it adds to the bundled one.

    Returns
    -------
    Review
        Its tables, checked, and its plan.

    Raises
    ------
    ChoiceError
        If there is no such review.
    DataError
        If something is wrong in the folder; all faults of all files at once.

    Warns
    -----
    DataWarning
        If ``datapackage.json`` does not describe the files as they are.

    Examples
    --------
    >>> review = load_dataset("smit2023")
    >>> len(review.trials), len(review.outcomes), review.published["es"].tolist()
    (28, 66, ['0.19', '0.15', '0.08'])
    """
    return _load(_folder(name), load_instruments())


def _load(folder: Path, instruments: pd.DataFrame) -> Review:
    review, doubts = read_review(folder, instruments)
    for doubt in doubts:
        warnings.warn(doubt, DataWarning, stacklevel=3)
    return review


def _folder(name: str | Path) -> Path:
    """Decide whether a bundled review or a folder is meant."""
    if isinstance(name, str) and not (set(name) & {"/", os.sep} or name in (".", "..")):
        names = dataset_names()
        if name in names or not _is_folder(Path(name)):
            return datasets_root() / check_choice("dataset", name, names)
    elif not isinstance(name, Path | str):
        raise DataError(shown(repr(name)), ["is neither the name of a review nor a folder"])
    folder = Path(name)
    if not _is_folder(folder):
        what = "is a file; name the folder it is in" if folder.is_file() else "does not exist"
        raise DataError(str(name), [what])
    return folder.resolve()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        return False
