"""The effects of a table's rows, in every way the table allows, and what is pooled of them."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.auditing.findings import Finding
from metapeer.auditing.identify_space import AVERAGES, Choices
from metapeer.effects.continuous import SMD_VARIANCES
from metapeer.effects.measures import ARMS, EVENTS, find_measure
from metapeer.effects.table import effect_size
from metapeer.errors import DataError, DataWarning, MetapeerError
from metapeer.pooling.weighted import FloatArray

__all__ = ["PoolingTable", "RowEffects", "Setting", "combine", "read_settings"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowEffects:
    """The effects of a table's rows, computed one way.

    Parameters
    ----------
    yi, vi : array of shape (m,)
        NaN where a row has none.
    trials : array of shape (m,)
        Number of the trial of each row.
    sizes : array of shape (m,)
        Participants; NaN where unknown.
    names : tuple of str
        Names of the rows.
    suspicious : array of shape (m,)
        Whether a finding or the caller doubts the row.
    arms : array of shape (6, m)
        n1, mean1, sd1, n2, mean2, sd2 where the effect comes from them; NaN elsewhere.
    signs : array of shape (m,)
        What effects from arms were multiplied with.
    cells : array of shape (4, m) or None
        Events and participants of both arms, where these are pooled.
    """

    yi: FloatArray
    vi: FloatArray
    trials: NDArray[np.intp]
    sizes: FloatArray
    names: tuple[str, ...]
    suspicious: BoolArray
    arms: FloatArray
    signs: FloatArray
    cells: FloatArray | None = None

    @property
    def usable(self) -> BoolArray:
        """Rows that have an effect."""
        return np.isfinite(self.yi) & np.isfinite(self.vi) & (self.vi > 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolingTable:
    """What is pooled.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and sampling variances.
    trials : int
        Different trials.
    cells : array of shape (4, k) or None
        Counts, where they can be pooled.
    """

    yi: FloatArray
    vi: FloatArray
    trials: int
    cells: FloatArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """Choices that decide which effects are pooled, with those effects for each outcome.

    Parameters
    ----------
    choices : mapping of str to str
        Values of `TABLE_CHOICES`.
    log : bool or None
        Whether effects are logarithms; None when nobody knows.
    sources : tuple of RowEffects
        The rows' effects, one for each outcome.
    tables : tuple of PoolingTable
        What is pooled, one for each outcome.
    same : list of Setting
        Other choices that give the same effects for every outcome.
    """

    choices: Mapping[str, str]
    log: bool | None
    sources: tuple[RowEffects, ...]
    tables: tuple[PoolingTable, ...]
    same: list["Setting"] = field(default_factory=list)

    @property
    def all_choices(self) -> tuple[Mapping[str, str], ...]:
        """Its choices, and then all others that give the same effects."""
        return tuple(setting.choices for setting in (self, *self.same))

    @property
    def scales(self) -> tuple[str, ...]:
        """How the pooled effect may have been printed."""
        return ("as pooled",) if self.log is False else ("as pooled", "exponentiated")

    def keep(self, source: RowEffects) -> BoolArray:
        """Rows that are pooled or averaged."""
        return source.usable & ~source.suspicious if self.choices["rows"] == "without suspicious" else source.usable

    def table(self, source: RowEffects) -> PoolingTable:
        """Make what is pooled from rows' effects."""
        return combine(source, self.keep(source), self.choices["within_trial"])


def combine(source: RowEffects, keep: BoolArray, how: str) -> PoolingTable:
    """Take the rows as they are, or make one effect for each trial.

    Parameters
    ----------
    source : RowEffects
        Effects of rows.
    keep : array of shape (m,)
        Rows to use.
    how : str
        A value of ``within_trial``.

    Returns
    -------
    PoolingTable
        The effects to pool; averages as `average_within_trial` makes them.
    """
    chosen = np.flatnonzero(keep)
    yi, vi, trials = source.yi[chosen], source.vi[chosen], source.trials[chosen]
    distinct, first, codes = np.unique(trials, return_index=True, return_inverse=True)
    if how in AVERAGES and chosen.size:
        rho = AVERAGES[how]
        m = np.bincount(codes).astype(np.float64)
        spread = rho * np.bincount(codes, np.sqrt(vi)) ** 2 + (1.0 - rho) * np.bincount(codes, vi)
        return PoolingTable(yi=np.bincount(codes, yi) / m, vi=spread / m**2, trials=distinct.size)
    if how == "first row":
        chosen = chosen[np.sort(first)]
    elif how == "largest row":
        chosen = np.array([_largest(source, chosen[codes == number]) for number in range(distinct.size)], dtype=np.intp)
    cells = None if source.cells is None else source.cells[:, chosen]
    return PoolingTable(yi=source.yi[chosen], vi=source.vi[chosen], trials=distinct.size, cells=cells)


def _largest(source: RowEffects, rows: NDArray[np.intp]) -> int:
    """Row of a trial with most participants, or with the smallest variance where sizes are not known or equal."""
    sizes = source.sizes[rows]
    if np.isnan(sizes).any():
        sizes = np.zeros(rows.size)
    best = rows[sizes == sizes.max()]
    return int(best[np.argmin(source.vi[best])])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How the effects of rows are computed: the choices it stands for, and what `effect_size` is told."""

    effects: str
    measure: str
    variance: str = ""
    zero_cells: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def choices(self) -> dict[str, str]:
        return {f.name: str(getattr(self, f.name)) for f in fields(self) if f.name != "options"}


_ZERO_RULES: dict[str, dict[str, Any]] = {
    "only0": {"zero_cells": "only0"},
    "all": {"zero_cells": "all"},
    "if0all": {"zero_cells": "if0all"},
    "TACC": {"zero_cells": "only0", "add": "TACC"},
    "none": {"zero_cells": "none"},
    "double zero kept": {"zero_cells": "only0", "drop_double_zero": False},
}


def _has(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> bool:
    """Whether each table has at least one row with all of the columns filled."""
    return all(set(columns) <= set(frame) and frame[list(columns)].notna().all(axis=1).any() for frame in frames)


def _ways(frames: Sequence[pd.DataFrame], space: Choices, published_as: str | None) -> list[_Way]:
    """List the ways to effects that the tables' columns allow, the readiest first."""
    arms, events = _has(frames, ARMS), any(_has([frame], EVENTS) for frame in frames)
    reported = any(_has([frame], ["es"]) for frame in frames)
    found = []
    if _has(frames, ["yi", "vi"]) or _has(frames, ["yi", "sei"]) or _has(frames, ["yi", "ci_low", "ci_high"]):
        found.append(_Way(effects="given", measure="GEN"))
    if _has(frames, ["review_yi", "review_sei"]):
        code = published_as or ("OR" if events and not arms else "SMD")
        found.append(_Way(effects="review", measure=code, options={"prefer": "review"}))
    sources = ["reported"] if reported else []
    if arms or reported:
        sources += ["arms", "arms and events"] if events else ["arms"]
        for measure, variances in {
            "SMD": tuple(SMD_VARIANCES), "SMDH": ("LS",), "MD": ("LS", "HO"), "ROM": ("LS", "HO"),
        }.items():  # fmt: skip
            for source in sources:
                if source == "arms and events" and measure != "SMD":
                    continue
                options: dict[str, Any] = {"prefer": "reported" if source == "reported" else "arms"}
                if source == "arms and events":
                    options["events_to_smd"] = True
                for variance in variances:
                    told = options if measure == "SMDH" else {**options, "variance": variance}
                    found.append(_Way(effects=source, measure=measure, variance=variance, options=told))
    if events:
        for measure in ("OR", "RR", "RD"):
            found += [
                _Way(effects="events", measure=measure, zero_cells=rule, options=told)
                for rule, told in _ZERO_RULES.items()
                if not (measure == "RD" and rule == "double zero kept")
            ]
        found.append(_Way(effects="events", measure="PETO"))
    return [
        way
        for way in found
        if (published_as is None or way.measure in (published_as, "GEN"))
        and all(not value or value in space[name] for name, value in way.choices.items())
    ]


def read_settings(
    outcomes: Mapping[str, pd.DataFrame],
    space: Choices,
    *,
    published_as: str | None,
    findings: Mapping[str, Sequence[Finding]],
) -> tuple[list[Setting], list[str]]:
    """Compute the effects of all outcomes in every way that the tables allow, each different set of effects once.

    Parameters
    ----------
    outcomes : mapping of str to DataFrame
        Extraction tables.
    space : mapping of str to tuple of str
        From `check_space`.
    published_as : str or None
        The only measure to compute.
    findings : mapping of str to sequence of Finding
        By outcome.

    Returns
    -------
    settings : list of Setting
        What can be pooled.
    notes : list of str
        What could not be computed.

    Raises
    ------
    DataError
        If no way leads to effects in every outcome.
    """
    frames = list(outcomes.values())
    trials = [_trial_codes(frame) for frame in frames]
    doubted = [_doubted(frame, findings.get(name, ())) for name, frame in outcomes.items()]
    settings: list[Setting] = []
    seen: dict[tuple[bytes, bool], Setting] = {}
    failed: dict[str, str] = {}
    error: MetapeerError | None = None
    for way in _ways(frames, space, published_as):
        for rows in space["rows"]:
            if rows == "without suspicious" and not any(d.any() for d in doubted):
                continue
            if rows == "with excluded" and not any(_excluded(frame).any() for frame in frames):
                continue
            try:
                sources = tuple(
                    _row_effects(
                        frame.drop(columns="exclusion_reason") if rows == "with excluded" else frame, way, t, d
                    )
                    for frame, t, d in zip(frames, trials, doubted, strict=True)
                )
            except MetapeerError as refused:
                failed.setdefault(str(refused), f"{way.effects}, {way.measure}")
                error = error or refused
                continue
            for within in space["within_trial"]:
                if within != "independent" and all(np.unique(t).size == t.size for t in trials):
                    continue
                choices = {**way.choices, "rows": rows, "within_trial": within}
                log = None if way.measure == "GEN" else find_measure(way.measure).scale == "log"
                setting = Setting(choices=choices, log=log, sources=sources, tables=())
                setting = replace(setting, tables=tuple(setting.table(source) for source in sources))
                if min(table.yi.size for table in setting.tables) == 0:
                    continue
                exactly = b"|".join(array.tobytes() for table in setting.tables for array in (table.yi, table.vi))
                first = seen.setdefault((exactly, log is True), setting)
                if first is setting:
                    settings.append(setting)
                else:
                    first.same.append(setting)
    if not settings:
        if error is not None:
            raise error
        message = (
            "no effect can be computed for every outcome; needed are yi vi, yi sei, review_yi review_sei, es, "
            "n1 mean1 sd1 n2 mean2 sd2, or events1 total1 events2 total2"
        )
        raise DataError(
            " and ".join(str(f.attrs.get("source", name or "the table")) for name, f in outcomes.items()), [message]
        )
    notes = [f"Not searched: {what} ({why.splitlines()[-1].strip()})" for why, what in failed.items()]
    return settings, notes


def _trial_codes(frame: pd.DataFrame) -> NDArray[np.intp]:
    """Number the trials; a row without a name is one of its own."""
    if "study_id" not in frame:
        return np.arange(len(frame))
    words = frame["study_id"].astype("string").fillna("").str.strip().tolist()
    named = [word or f"\0{i}" for i, word in enumerate(words)]
    return np.asarray(pd.factorize(np.array(named, dtype=object))[0], dtype=np.intp)


def _doubted(frame: pd.DataFrame, findings: Sequence[Finding]) -> BoolArray:
    mask = np.zeros(len(frame), dtype=np.bool_)
    for finding in findings:
        if finding.severity != "remark":
            mask[[row for row in finding.rows if 0 <= row < len(frame)]] = True
    return mask


def _excluded(frame: pd.DataFrame) -> BoolArray:
    if "exclusion_reason" not in frame:
        return np.zeros(len(frame), dtype=np.bool_)
    return np.asarray(frame["exclusion_reason"].astype("string").fillna("").str.strip() != "", dtype=np.bool_)


def _numbers(frame: pd.DataFrame, column: str) -> FloatArray:
    if column not in frame:
        return np.full(len(frame), math.nan)
    return pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64, na_value=math.nan)


def _row_effects(frame: pd.DataFrame, way: _Way, trials: NDArray[np.intp], doubted: BoolArray) -> RowEffects:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        effects = effect_size(frame, measure=way.measure, **way.options)  # type: ignore[arg-type]
    usable = (effects["exclusion_reason"] == "").to_numpy(dtype=bool)
    yi = np.where(usable, _numbers(effects, "yi"), math.nan)
    vi = np.where(usable, _numbers(effects, "vi"), math.nan)
    of_arms = np.array([_numbers(frame, name) for name in ARMS])
    from_arms = usable & (effects["es_source"] == "arms").to_numpy(dtype=bool)
    difference = of_arms[1] - of_arms[4]
    sizes = of_arms[0] + of_arms[3]
    totals = _numbers(frame, "total1") + _numbers(frame, "total2")
    cells = None
    if way.measure in ("OR", "RR", "RD"):
        counts = np.array([_numbers(frame, name) for name in EVENTS])
        counted = (effects["es_source"] == "events").to_numpy(dtype=bool)
        cells = counts if (counted | ~usable).all() else None
    return RowEffects(
        yi=yi,
        vi=vi,
        trials=trials,
        sizes=np.where(np.isnan(sizes), totals, sizes),
        names=tuple(_row_names(frame)),
        suspicious=doubted,
        arms=np.where(from_arms, of_arms, math.nan),
        signs=np.where(difference * yi < 0, -1.0, 1.0),
        cells=cells,
    )


def _row_names(frame: pd.DataFrame) -> list[str]:
    """Name rows by their id, or by trial and position."""
    ids = frame["row_id"].astype("string").fillna("").tolist() if "row_id" in frame else [""] * len(frame)
    trials = frame["study_id"].astype("string").fillna("").tolist() if "study_id" in frame else [""] * len(frame)
    alone = {word for word in trials if trials.count(word) == 1}
    return [
        row or (trial if trial in alone else f"{trial}, row {i + 1}" if trial else f"row {i + 1}")
        for i, (row, trial) in enumerate(zip(ids, trials, strict=True))
    ]
