"""How much a review's results rest on intracluster correlations: each cluster trial under one after the other."""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metapeer.errors import DataWarning, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, format_interval, format_level, format_number
from metapeer.living.update_reading import read_base, read_new
from metapeer.living.update_rows import complete_rows
from metapeer.living.update_stages import pooled
from metapeer.living.update_states import ReviewStore, state_of
from metapeer.living.update_words import conclusion
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.records.review import Review

__all__ = ["IccLine", "IccSensitivity", "icc_sensitivity"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IccLine:
    """One outcome under one intracluster correlation.

    Parameters
    ----------
    outcome : str
        What was pooled.
    icc : float
        The correlation of every cluster trial whose mean cluster size is recorded; NaN for those that are recorded.
    trials : tuple of str
        The trials that it concerns.
    result : MetaAnalysisResult
        What the outcome comes to.
    """

    outcome: str
    icc: float
    trials: tuple[str, ...]
    result: MetaAnalysisResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class IccSensitivity(Printable):
    """What `icc_sensitivity` found.

    Parameters
    ----------
    lines : tuple of IccLine
        Outcome by outcome, first as recorded, then under each correlation.
    notes : tuple of str
        Cluster trials that could not be adjusted.
    """

    lines: tuple[IccLine, ...]
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put each result in a row, for machines.

        Returns
        -------
        DataFrame
            ``outcome``, ``icc`` (NaN as recorded), ``trials``, ``k``, ``estimate``, ``ci_low``, ``ci_high``, ``tau2``,
            ``conclusion``; ratios on the log scale.
        """
        columns = ("outcome", "icc", "trials", "k", "estimate", "ci_low", "ci_high", "tau2", "conclusion")
        rows = [
            (
                line.outcome,
                line.icc,
                "; ".join(line.trials),
                line.result.k,
                line.result.estimate,
                *line.result.ci,
                line.result.tau2,
                conclusion(line.result),
            )
            for line in self.lines
        ]
        return pd.DataFrame(rows, columns=list(columns))

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the results in words.

        Returns
        -------
        sequence of TextTable
            One for each outcome that a cluster trial is pooled in.
        """
        tables = []
        for outcome in dict.fromkeys(line.outcome for line in self.lines):
            mine = [line for line in self.lines if line.outcome == outcome]
            first = mine[0].result
            rows = [
                (
                    "as recorded" if math.isnan(line.icc) else f"{line.icc:g}",
                    *_shown(line.result),
                    format_number(line.result.tau2, 4),
                    conclusion(line.result),
                )
                for line in mine
            ]
            header = ("icc", first.measure or "effect", f"{format_level(first.level)} CI", "tau²", "conclusion")
            title = f"{outcome}: intracluster correlation of {', '.join(mine[0].trials)}"
            tables.append(TextTable(title=title, header=header, rows=rows))
        notes = list(self.notes)
        if not self.lines:
            notes.insert(0, "No cluster trial whose mean cluster size is recorded is pooled.")
        if notes:
            tables.append(TextTable(header=(), rows=(), notes=notes))
        return tables


def icc_sensitivity(
    review: str | Path | Review,
    new: pd.DataFrame | str | Path | Review | None,
    *,
    iccs: Iterable[float] = (0.0, 0.01, 0.02, 0.05, 0.1),
    by: str = "outcome",
    outcomes: str | Sequence[str] | None = None,
) -> IccSensitivity:
    """Pool a review again with one intracluster correlation after the other for its cluster trials.

    Parameters
    ----------
    review, new : str, Path, Review, DataFrame or None
        As `update` takes them; None for the review as it stands.
    iccs : iterable of float, default (0, 0.01, 0.02, 0.05, 0.1)
        Correlations to try, in place of those recorded and of those missing; 0 takes clusters for no clusters.
    by : str, default "outcome"
        What is pooled together, as in `update`.
    outcomes : str or sequence of str, optional
        Only these.

    Returns
    -------
    IccSensitivity
        Every outcome that a cluster trial is pooled in: as recorded, and under each correlation.

    Raises
    ------
    ChoiceError
        If a name or a column is unknown.
    DataError
        If a table or a folder is faulty; every fault is listed.
    MetapeerError
        If a correlation makes no sense, or `new` is another state of the review.

    References
    ----------
    Cochrane Handbook 6.5, section 23.1.5: the correlation is seldom known, so that several should be tried.

    Examples
    --------
    >>> trial = pd.DataFrame({"study_id": ["smith2026"], "outcome": ["hope"], "format": ["group"],
    ...                       "design": ["cluster"], "mean_cluster_size": [12.0], "timepoint": ["end_of_treatment"],
    ...                       "direction": ["higher_better"], "n1": [60], "mean1": [31.0], "sd1": [8.0], "n2": [58],
    ...                       "mean2": [29.0], "sd2": [9.0]})
    >>> found = icc_sensitivity("lyons2021", trial, iccs=[0, 0.05])
    >>> found.to_frame()[["icc", "k", "estimate"]].round(3)
        icc  k  estimate
    0   NaN  4     0.252
    1  0.00  4     0.252
    2  0.05  4     0.254
    """
    chosen = [_correlation(value) for value in iccs]
    store = ReviewStore()
    base = read_base(store, review)
    added, collection = read_new(new, base)
    if collection is not None and collection.plan:
        raise MetapeerError("new must be new trials; another state of the review has designs of its own")
    plain = {"by": by, "overrides": "", "method": {}, "where": {}}
    state = state_of(store, base, **plain)  # type: ignore[arg-type]  # as named above
    if added is not None:
        known = pd.concat([*state.frames.values()]).drop_duplicates("key", ignore_index=True)
        rows, _ = complete_rows(added, base, known, source=str(added.attrs.get("source", "the new rows")))
        state = state_of(store, base, added=rows, **plain)  # type: ignore[arg-type]
    wanted = list(state.tracks)
    if outcomes is not None:
        named = [outcomes] if isinstance(outcomes, str) else list(outcomes)
        wanted = [check_choice("outcome", name, state.tracks) for name in named]
    lines: list[IccLine] = []
    notes: dict[str, None] = {}
    for name in wanted:
        track = state.tracks[name]
        frame = track.rows.select(state.frame(track.rows)).reset_index(drop=True)
        cluster = (frame["design"] == "cluster").to_numpy() & (frame["exclusion_reason"].fillna("") == "").to_numpy()
        sized = cluster & frame["mean_cluster_size"].notna().to_numpy()
        notes |= {
            f"{trial}: mean_cluster_size is not recorded, so that no correlation can adjust it": None
            for trial in frame.loc[cluster & ~sized, "study_id"]
        }
        notes |= {
            f"{trial}: icc is not recorded, so that it is not adjusted in the line 'as recorded'": None
            for trial in frame.loc[sized & frame["icc"].isna().to_numpy(), "study_id"]
        }
        trials = tuple(dict.fromkeys(frame.loc[sized, "study_id"].astype(str)))
        if not trials:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # the same stands in the notes of the results
            for icc in (math.nan, *chosen):
                other = frame if math.isnan(icc) else frame.assign(icc=frame["icc"].mask(sized, icc))
                fit = pooled(other, track.method)
                if fit is not None:
                    lines.append(IccLine(outcome=name, icc=icc, trials=trials, result=fit))
    return IccSensitivity(lines=tuple(lines), notes=tuple(notes))


def _shown(fit: MetaAnalysisResult) -> tuple[str, str]:
    measure = measure_of(fit.measure)
    estimate, low, high = (measure.display(value, fit.se**2) for value in (fit.estimate, *fit.ci))
    return format_number(estimate, 3), format_interval(low, high, 3)


def _correlation(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise MetapeerError(f"iccs: {value!r} is not a correlation from 0 to 1")
    return float(value)
