"""What a review pools as it stands: each outcome by its plan."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from metapeer.errors import DataWarning, check_choice
from metapeer.living.update_reading import read_base
from metapeer.living.update_stages import pooled
from metapeer.living.update_states import ReviewStore, state_of
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.records.review import Review

__all__ = ["pool_review"]


def pool_review(
    review: str | Path | Review, *, by: str = "outcome", outcomes: str | Sequence[str] | None = None
) -> dict[str, MetaAnalysisResult]:
    """Pool what a review pools, the way its plan says.

    Parameters
    ----------
    review : str, Path or Review
        A data set from `list_datasets`, a folder, or what `load_dataset` gave.
    by : str, default "outcome"
        What is pooled together, as in `update`.
    outcomes : str or sequence of str, optional
        Only these.

    Returns
    -------
    dict of str to MetaAnalysisResult
        Outcome to result; outcomes of which nothing can be pooled are left out. Doubts stand in the notes of the
        results.

    Raises
    ------
    ChoiceError
        If a name or a column is unknown.
    DataError
        If a folder is faulty; every fault is listed.

    Examples
    --------
    >>> found = pool_review("lyons2021", outcomes=["hope", "recovery"])
    >>> {name: (fit.k, round(fit.estimate, 2)) for name, fit in found.items()}
    {'hope': (3, 0.26), 'recovery': (5, 0.23)}
    """
    store = ReviewStore()
    base = read_base(store, review)
    state = state_of(store, base, by=by, overrides="", method={}, where={})
    wanted = list(state.tracks)
    if outcomes is not None:
        named = [outcomes] if isinstance(outcomes, str) else list(outcomes)
        wanted = [check_choice("outcome", name, state.tracks) for name in named]
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the same stands in the notes
        for name in wanted:
            track = state.tracks[name]
            fit = pooled(track.rows.select(state.frame(track.rows)).reset_index(drop=True), track.method)
            if fit is not None:
                found[name] = fit
    return found
