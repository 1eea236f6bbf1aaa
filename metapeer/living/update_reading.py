"""What an update is given: the review, and what is new, each as a path, a name, a table or a review."""

from pathlib import Path

import pandas as pd

from metapeer.errors import MetapeerError, check_choice
from metapeer.living.update_states import ReviewStore
from metapeer.records.catalog import dataset_names, load_dataset
from metapeer.records.csvfile import read_outcomes
from metapeer.records.review import Review

__all__ = ["read_base", "read_new"]


def read_base(store: ReviewStore, given: str | Path | Review) -> Review:
    """Read the review that is updated.

    Parameters
    ----------
    store : ReviewStore
        Where it is kept.
    given : str, Path or Review
        A data set, a folder, or a review in memory.

    Returns
    -------
    Review
        The review.
    """
    return store.put(given if isinstance(given, Review) else load_dataset(given))


def read_new(
    new: pd.DataFrame | str | Path | Review | None, review: Review
) -> tuple[pd.DataFrame | None, Review | None]:
    """Decide what `new` is: rows, a collection of trials, or another state.

    Parameters
    ----------
    new : DataFrame, str, Path, Review or None
        What was given.
    review : Review
        The review it is for.

    Returns
    -------
    rows : DataFrame or None
        New rows, where there are any.
    review : Review or None
        The collection that they are from, or the other state: that one has a plan.

    Raises
    ------
    ChoiceError
        If there is no data set or file of that name.
    MetapeerError
        If it is none of these.
    """
    if new is None:
        return None, None
    if isinstance(new, pd.DataFrame):
        return new, None
    if not isinstance(new, Review):
        if not isinstance(new, str | Path):
            raise MetapeerError(f"new is a {type(new).__name__}; give a table, the path of a CSV file, or a review")
        if not (str(new) in dataset_names() or _is_folder(Path(new))):
            if isinstance(new, str) and not Path(new).suffix and not Path(new).exists():
                check_choice("new", new, dataset_names())
            return read_outcomes(new, instruments=_instruments_for(Path(new), review)), None
        new = load_dataset(new)
    if new.plan:
        return None, new
    rows = new.rows()
    rows.attrs["source"] = f"{new.name}/outcomes.csv"
    return rows if len(rows) else None, new


def _instruments_for(path: Path, review: Review) -> pd.DataFrame | None:
    """The review's instruments, if the table names any: `read_outcomes` refuses what would have no effect."""
    try:
        with path.open("rb") as file:
            header = file.readline()
    except OSError:  # said better when the table is read
        return None
    return review.instruments if b"instrument" in header.replace(b"\0", b"").lower() else None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        return False
