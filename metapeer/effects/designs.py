"""The door to the unit of analysis: rows of cluster, multi-arm and crossover trials, made fit to be pooled.

Raw values are never edited: what comes back is another table, with a column ``unit_of_analysis`` that says for each
row what was done and with which numbers. Nothing is assumed unasked: where an intracluster correlation, the size of
the clusters or the correlation of a crossover trial is not known, it has to be given.
"""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from metapeer.effects.convert import se_from_interval
from metapeer.effects.measures import MEASURES
from metapeer.effects.reported import read_effect_type
from metapeer.effects.unit_of_analysis import (
    combine_groups,
    crossover_difference,
    crossover_smd,
    design_effect,
)
from metapeer.errors import DataError, DataWarning, Fault, MetapeerError, check_choice
from metapeer.formatting import count

__all__ = ["LOG", "adjust_over_icc", "adjust_unit_of_analysis"]

LOG = "unit_of_analysis"
DESIGNS = ("parallel", "cluster", "crossover")
MEASUREMENT = ("study_id", "outcome", "instrument", "timepoint", "timepoint_months", "statistic")
REPEATED = ("study_id", "comparison", "arm1", "arm2", "outcome", "instrument", "statistic")
MEANS = ("n", "mean", "sd")
EVENTS = ("events", "total")
READY = ("es", "es_se", "es_ci_low", "es_ci_high", "review_yi", "review_sei", "yi", "vi", "sei")
LEVEL = 0.95  # of printed intervals, by the schema
MORE = 5  # rows named in a warning; the others are counted

MultiArm = Literal["keep", "combine", "split"]
_Faults = list[Fault]


def adjust_unit_of_analysis(
    data: pd.DataFrame,
    *,
    icc: float | Mapping[str, float] | None = None,
    multi_arm: MultiArm = "keep",
    crossover_r: float | Mapping[str, float] | None = None,
    crossover_measure: Literal["SMD", "MD"] = "SMD",
    time: float | Literal["earliest", "latest"] | None = None,
    window: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Make rows fit to be pooled as if people had been randomised one by one, to two arms, and measured once.

    What is done to a row follows from the recorded ``design`` of its trial:

    - *cluster*: participants, events and numbers at risk are divided by the design effect 1 + (m - 1) ICC; means and
      standard deviations stay. Standard errors of ready-made effects grow by its square root, unless ``statistic`` is
      "adjusted": a model is taken to allow for the clusters, and the row is warned of.
    - *crossover*: means become a ready-made effect with a paired standard error.
    - several rows of one trial for the same measurement, of arms compared with a shared one: as `multi_arm` says.
    - several times of the same measurement: as `time` and `window` say.

    Parameters
    ----------
    data : DataFrame
        An extraction table, before `effect_size` or after it. Used where present: ``design``, ``mean_cluster_size`` and
        ``icc`` of the trial; ``arm1``, ``arm2``, ``comparison``; ``timepoint_months``.
    icc : float or mapping of str to float, optional
        Intracluster correlation for rows that have none: one for all, or for each ``outcome``.
    multi_arm : {"keep", "combine", "split"}
        Leave the rows as they are, to be pooled with `sampling_covariance`, which allows for the shared arm; combine
        the arms that are compared with the shared one into one group; or divide the shared arm among the comparisons,
        which leaves them correlated through nothing but wastes information. The Handbook recommends to combine.
    crossover_r : float or mapping of str to float, optional
        Correlation of a person's two scores in crossover trials: one for all, or for each ``study_id``.
    crossover_measure : {"SMD", "MD"}
        The effect of crossover trials.
    time : float, "earliest" or "latest", optional
        Which of several times to use: the nearest to so many months, or the first or the last. Others get an
        ``exclusion_reason``.
    window : tuple of float, optional
        Months from and to; rows measured outside get an ``exclusion_reason``.

    Returns
    -------
    DataFrame
        The rows with adjusted numbers and the column ``unit_of_analysis``; ``attrs["notes"]`` sums up. With
        multi_arm="combine" one row stands for those combined. Pass it to `effect_size`; effects that the table has
        already (``yi`` with ``vi``) are adjusted, too, where they are not lost by combining.

    Raises
    ------
    ChoiceError
        If an option is unknown.
    DataError
        If something is missing or impossible; every fault is listed. Also if the rows were adjusted before.
    MetapeerError
        If a correlation or a time makes no sense.

    Warns
    -----
    DataWarning
        Of rows that a design calls for, and that could not be adjusted or were taken to be adjusted.

    References
    ----------
    Cochrane Handbook 6.5, chapter 23; sections 6.5.2.10 and 9.3.4. Rao & Scott (1992), Biometrics 48:577-585.

    Examples
    --------
    >>> trials = pd.DataFrame({"study_id": ["a", "b"], "outcome": ["hope", "hope"], "design": ["cluster", ""],
    ...                        "mean_cluster_size": [29.8, None], "icc": [0.02, None], "events1": [63, 12],
    ...                        "total1": [295, 80], "events2": [84, 20], "total2": [330, 81]})
    >>> adjusted = adjust_unit_of_analysis(trials)
    >>> adjusted[["events1", "total1", "events2", "total2"]].round(1).to_numpy().tolist()
    [[40.0, 187.2, 53.3, 209.4], [12.0, 80.0, 20.0, 81.0]]
    >>> adjusted["unit_of_analysis"][0]
    'cluster trial: numbers divided by the design effect 1.576 (mean cluster size 29.8, icc 0.02 as recorded)'
    """
    check_choice("multi_arm", multi_arm, ("keep", "combine", "split"))
    check_choice("crossover_measure", crossover_measure, ("SMD", "MD"))
    _check_correlations("icc", icc, strict=False)
    _check_correlations("crossover_r", crossover_r, strict=True)
    _check_times(time, window)
    table = _Table(data)
    if time is not None or window is not None:
        table.choose_times(time, window)
    table.handle_arms(multi_arm)
    table.handle_crossovers(crossover_r, crossover_measure)
    table.handle_clusters(icc)
    return table.finished()


def adjust_over_icc(
    data: pd.DataFrame, *, iccs: Iterable[float] = (0.0, 0.01, 0.02, 0.05, 0.1), multi_arm: MultiArm = "keep"
) -> dict[float, pd.DataFrame]:
    """Adjust cluster trials with one intracluster correlation after the other, in place of those recorded.

    How much a pooled effect rests on a correlation that nobody reported is seen by pooling each of the tables.

    Parameters
    ----------
    data : DataFrame
        As `adjust_unit_of_analysis` takes it.
    iccs : iterable of float, default (0, 0.01, 0.02, 0.05, 0.1)
        Correlations to try; 0 leaves cluster trials as if people had been randomised one by one.
    multi_arm : {"keep", "combine", "split"}
        As in `adjust_unit_of_analysis`.

    Returns
    -------
    dict of float to DataFrame
        Correlation to adjusted rows.

    Raises
    ------
    DataError
        If something is missing or impossible; every fault is listed.
    MetapeerError
        If a correlation makes no sense.

    Examples
    --------
    >>> trials = pd.DataFrame({"study_id": ["a"], "outcome": ["hope"], "design": ["cluster"],
    ...                        "mean_cluster_size": [11], "n1": [60], "mean1": [5.0], "sd1": [2.0], "n2": [60],
    ...                        "mean2": [4.0], "sd2": [2.0]})
    >>> {icc: round(float(rows["n1"].iloc[0]), 1) for icc, rows in adjust_over_icc(trials, iccs=[0, 0.1]).items()}
    {0.0: 60.0, 0.1: 30.0}
    """
    chosen = list(iccs)
    for value in chosen:
        _check_correlations("iccs", value, strict=False)
    bare = data.drop(columns="icc") if isinstance(data, pd.DataFrame) and "icc" in data else data
    return {float(value): adjust_unit_of_analysis(bare, icc=float(value), multi_arm=multi_arm) for value in chosen}


def _check_correlations(name: str, given: float | Mapping[str, float] | None, *, strict: bool) -> None:
    values = list(given.values()) if isinstance(given, Mapping) else [] if given is None else [given]
    for value in values:
        fine = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not fine or not (abs(value) < 1 if strict else 0 <= value <= 1):
            must = "between -1 and 1" if strict else "from 0 to 1"
            raise MetapeerError(f"{name} {value!r} is not a correlation {must}")


def _check_times(time: object, window: object) -> None:
    if isinstance(time, str):
        check_choice("time", time, ("earliest", "latest"))
    elif time is not None and (isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time)):
        raise MetapeerError(f"time must be a number of months, 'earliest' or 'latest', not {time!r}")
    if window is None:
        return
    pair = list(window) if isinstance(window, Sequence) and not isinstance(window, str) else []
    if len(pair) != 2 or not all(isinstance(end, int | float) for end in pair) or not pair[0] <= pair[1]:
        raise MetapeerError(f"window must be two numbers of months, from and to, not {window!r}")


class _Table:
    """A copy of the rows under adjustment, with what was done to each."""

    def __init__(self, data: object) -> None:
        if not isinstance(data, pd.DataFrame):
            raise DataError("the table", [f"a pandas DataFrame is needed, not {type(data).__name__}"])
        self.source = str(data.attrs.get("source", "the table"))
        twice = [str(name) for name in data.columns[data.columns.duplicated()]]
        if twice or "study_id" not in data:
            faults = [Fault(column=name, message="stands in the table more than once") for name in twice]
            raise DataError(self.source, faults or [Fault(column="study_id", message="is missing; it names the trial")])
        if LOG in data and (data[LOG].fillna("") != "").any():
            raise DataError(
                self.source, [f"has been adjusted already, as its column {LOG} says; start from the raw rows"]
            )
        self.attrs = dict(data.attrs)
        self.rows = data.reset_index(drop=True)
        self.log: list[list[str]] = [[] for _ in range(len(self.rows))]
        self.doubts: dict[str, list[str]] = {}
        self.dropped: set[int] = set()
        self.faults: _Faults = []
        for name in ("exclusion_reason", "design"):
            if name not in self.rows:
                self.rows[name] = ""
            self.rows[name] = ["" if pd.isna(cell) else str(cell).strip() for cell in self.rows[name]]
        unknown = [
            Fault(row=self.name(i), column="design", message=f"{cell!r} is unknown. Known: {', '.join(DESIGNS)}")
            for i, cell in enumerate(self.rows["design"])
            if cell and cell not in DESIGNS
        ]
        if unknown:
            raise DataError(self.source, unknown)

    def name(self, i: int) -> str:
        words = [self.text(column, i) for column in ("row_id", "study_id", "outcome")]
        return words[0] or ", ".join(filter(None, words[1:])) or f"row {i + 1}"

    def text(self, column: str, i: int) -> str:
        cell = self.rows[column].iloc[i] if column in self.rows else ""
        return "" if pd.isna(cell) else str(cell).strip()

    def number(self, column: str, i: int) -> float:
        """Read a cell; what is no number is a fault."""
        text = self.text(column, i)
        try:
            return float(text) if text else math.nan
        except ValueError:
            self.faults.append(Fault(row=self.name(i), column=column, message=f"{text!r} is not a number"))
            return math.nan

    def numbers(self, columns: Iterable[str], i: int) -> list[float]:
        return [self.number(column, i) for column in columns]

    def set(self, column: str, i: int, value: float | str) -> None:
        if column not in self.rows:
            self.rows[column] = "" if isinstance(value, str) else math.nan
        numeric = pd.api.types.is_numeric_dtype(self.rows[column].dtype)
        if not isinstance(value, str):
            if not numeric or self.rows[column].dtype != np.float64:
                self.rows[column] = pd.to_numeric(self.rows[column], errors="coerce").astype(np.float64)
        elif numeric:
            self.rows[column] = self.rows[column].astype(object)
        self.rows.loc[i, column] = value

    def doubt(self, words: str, i: int) -> None:
        self.log[i].append(words)
        self.doubts.setdefault(words, []).append(self.name(i))

    def open(self, i: int) -> bool:
        return i not in self.dropped and not self.rows["exclusion_reason"].iloc[i]

    def clear(self, columns: Iterable[str], i: int) -> None:
        for column in columns:
            if column in self.rows:
                self.set(column, i, math.nan)

    # --- several times of measurement

    def choose_times(self, time: float | str | None, window: tuple[float, float] | None) -> None:
        if "timepoint_months" not in self.rows:
            raise DataError(self.source, ["there is no column timepoint_months to choose times by"])
        months = [self.number("timepoint_months", i) for i in range(len(self.rows))]
        if window is not None:
            low, high = window
            for i, month in enumerate(months):
                if self.open(i) and not low <= month <= high:
                    when = "at an unknown time" if math.isnan(month) else f"at {month:g} months"
                    self._set_aside(i, f"measured {when}, outside {low:g} to {high:g} months")
        if time is None:
            return
        for places in self._groups(REPEATED):
            known = [i for i in places if not math.isnan(months[i])]
            if len({months[i] for i in known}) < 2:
                continue
            if isinstance(time, str):
                best = (min if time == "earliest" else max)(months[i] for i in known)
                why = f"the {time} time"
            else:
                target = time
                best = min((months[i] for i in known), key=lambda month: (abs(month - target), month))
                why = f"nearest to {target:g} months"
            for i in places:
                if months[i] != best:
                    self._set_aside(i, f"another time of the same measurement is used: {best:g} months, {why}")

    def _set_aside(self, i: int, reason: str) -> None:
        self.set("exclusion_reason", i, reason)
        self.log[i].append(reason)

    def _groups(self, columns: Sequence[str]) -> list[list[int]]:
        groups: dict[tuple[str, ...], list[int]] = {}
        for i in range(len(self.rows)):
            if self.open(i) and self.text("study_id", i):
                groups.setdefault(tuple(self.text(column, i) for column in columns), []).append(i)
        return [places for places in groups.values() if len(places) > 1]

    # --- several arms

    def handle_arms(self, way: MultiArm) -> None:
        for places in self._groups(MEASUREMENT):
            shared = self._shared_arm(places)
            if shared == 0:
                for i in places:
                    self.doubt("several comparisons of one measurement, and no arm that all of them share is known", i)
            elif way == "keep":
                for i in places:
                    self.log[i].append("shares an arm with other rows; pool with sampling_covariance")
            elif way == "combine":
                self._combine(places, shared)
            else:
                self._split(places, shared)

    def _shared_arm(self, places: Sequence[int]) -> int:
        """Which arm the rows share: by its name, otherwise by its numbers; 0 when neither tells."""
        for arm in (2, 1):
            names = {self.text(f"arm{arm}", i) for i in places}
            if len(names) == 1 and names != {""}:
                return arm
            if names != {""}:
                continue
            for columns in (MEANS, EVENTS):
                cells = {tuple(self.numbers((f"{name}{arm}" for name in columns), i)) for i in places}
                first = next(iter(cells))
                if len(cells) == 1 and not any(map(math.isnan, first)):
                    return arm
        return 0

    def _combine(self, places: Sequence[int], shared: int) -> None:
        other = 3 - shared
        first, *rest = places
        done = False
        means = [self.numbers((f"{name}{other}" for name in MEANS), i) for i in places]
        events = [self.numbers((f"{name}{other}" for name in EVENTS), i) for i in places]
        if not np.isnan(means).any():
            sizes, centres, spreads = zip(*means, strict=True)
            together = combine_groups(n=sizes, mean=centres, sd=spreads)
            for name, value in zip(MEANS, (together.n, together.mean, together.sd), strict=True):
                self.set(f"{name}{other}", first, value)
            done = True
        if not np.isnan(events).any():
            for name, value in zip(EVENTS, np.sum(events, axis=0).tolist(), strict=True):
                self.set(f"{name}{other}", first, value)
            done = True
        if not done:
            for i in places:
                self.doubt("several arms that cannot be combined: a row lacks n, mean and sd, or events and total", i)
            return
        self.clear(READY, first)
        names = [self.name(i) for i in places]
        for column in ("comparison", f"arm{other}", "row_id"):
            words = list(dict.fromkeys(filter(None, (self.text(column, i) for i in places))))
            if words:
                self.set(column, first, " + ".join(words))
        self.log[first].append(f"{count(len(places), 'arm')} {other} combined into one group: {', '.join(names)}")
        self.dropped |= set(rest)

    def _split(self, places: Sequence[int], shared: int) -> None:
        size = len(places)
        for i in places:
            columns = [f"{name}{shared}" for name in ("n", *EVENTS)]
            values = self.numbers(columns, i)
            if all(map(math.isnan, values)):
                self.doubt("the shared arm cannot be divided: the row has a ready-made effect alone", i)
                continue
            for column, value in zip(columns, values, strict=True):
                if not math.isnan(value):
                    self.set(column, i, value / size)
            if any(not math.isnan(value) for value in self.numbers(READY, i)):
                self.clear(READY, i)
            self.log[i].append(f"the shared arm {shared} divided among {size} comparisons")

    # --- crossover trials

    def handle_crossovers(self, given: float | Mapping[str, float] | None, measure: str) -> None:
        for i in self._of_design("crossover"):
            n1, mean1, sd1, n2, mean2, sd2 = self.numbers([f"{name}{arm}" for arm in (1, 2) for name in MEANS], i)
            if any(map(math.isnan, (n1, mean1, sd1, n2, mean2, sd2))):
                self.doubt(
                    "crossover trial: without means and standard deviations of both periods left as it is; check that "
                    "its standard error is a paired one",
                    i,
                )
                continue
            trial = self.text("study_id", i)
            r = given.get(trial, math.nan) if isinstance(given, Mapping) else math.nan if given is None else given
            if math.isnan(r):
                message = "a crossover trial needs the correlation of a person's two scores; give crossover_r="
                self.faults.append(Fault(row=self.name(i), message=message))
                continue
            if n1 != n2:
                message = f"{n1:g} and n2 {n2:g} differ; in a crossover trial the same people are in both"
                self.faults.append(Fault(row=self.name(i), column="n1", message=message))
                continue
            formula = crossover_smd if measure == "SMD" else crossover_difference
            found = formula(n=n1, mean1=mean1, sd1=sd1, mean2=mean2, sd2=sd2, r=r)
            self.clear([*READY, *(f"{name}{arm}" for arm in (1, 2) for name in ("mean", "sd"))], i)
            self.set("es_type", i, measure)
            self.set("es", i, float(found.yi))
            self.set("es_se", i, float(found.sei))
            for arm in (1, 2):  # everybody was in both arms, and is counted once
                self.set(f"n{arm}", i, n1 / 2)
            self.log[i].append(f"crossover trial of {n1:g} people: paired {measure} with r {r:g}")

    # --- cluster trials

    def _of_design(self, design: str) -> list[int]:
        return [i for i in range(len(self.rows)) if self.rows["design"].iloc[i] == design and self.open(i)]

    def handle_clusters(self, given: float | Mapping[str, float] | None) -> None:
        for i in self._of_design("cluster"):
            size, recorded = self.number("mean_cluster_size", i), self.number("icc", i)
            outcome = self.text("outcome", i)
            assumed = given.get(outcome, math.nan) if isinstance(given, Mapping) else given
            icc = recorded if not math.isnan(recorded) else math.nan if assumed is None else assumed
            whence = "as recorded" if not math.isnan(recorded) else "assumed"
            if math.isnan(icc):
                message = "is missing for a cluster trial; fill it in, or give icc="
                self.faults.append(Fault(row=self.name(i), column="icc", message=message))
            elif not -1 <= icc <= 1:
                self.faults.append(Fault(row=self.name(i), column="icc", message=f"{icc:g} is not a correlation"))
            if math.isnan(size):
                message = "is missing for a cluster trial; fill it in"
                self.faults.append(Fault(row=self.name(i), column="mean_cluster_size", message=message))
            elif size < 1:
                message = f"{size:g} is not the size of a cluster; it must be at least 1"
                self.faults.append(Fault(row=self.name(i), column="mean_cluster_size", message=message))
            if math.isnan(icc) or math.isnan(size) or size < 1 or not -1 <= icc <= 1:
                continue
            effect = float(design_effect(mean_cluster_size=size, icc=icc))
            told = f"design effect {effect:.4g} (mean cluster size {size:g}, icc {icc:g} {whence})"
            self._shrink(i, effect, told)

    def _shrink(self, i: int, effect: float, told: str) -> None:
        columns = [f"{name}{arm}" for arm in (1, 2) for name in ("n", *EVENTS)]
        shrunk = False
        for column, value in zip(columns, self.numbers(columns, i), strict=True):
            if not math.isnan(value):
                self.set(column, i, value / effect)
                shrunk = True
        if shrunk:
            self.log[i].append(f"cluster trial: numbers divided by the {told}")
        self._widen(i, math.sqrt(effect), told)

    def _widen(self, i: int, factor: float, told: str) -> None:
        """Make the standard errors of ready-made effects larger."""
        es, error, low, high = self.numbers(("es", "es_se", "es_ci_low", "es_ci_high"), i)
        if not math.isnan(es):
            if self.text("statistic", i) == "adjusted":
                self.doubt("cluster trial: its adjusted effect is taken to allow for the clusters; check the model", i)
            elif not self._can_widen(i, (es, error, low, high)):
                self.doubt(
                    "cluster trial: its effect has no standard error and no interval to widen, and is left out",
                    i,
                )
                self.clear(("es", "es_se", "es_ci_low", "es_ci_high"), i)
            else:
                self._widen_reported(i, factor, (es, error, low, high))
                self.log[i].append(f"cluster trial: standard error of es times the root of the {told}")
        vi, sei = self.numbers(("vi", "sei"), i)
        if not (math.isnan(vi) and math.isnan(sei)):
            for column, value in (("vi", vi * factor**2), ("sei", sei * factor)):
                if not math.isnan(value):
                    self.set(column, i, value)
            self.log[i].append(f"cluster trial: standard error of yi times the root of the {told}")
        if not math.isnan(self.number("review_sei", i)):
            self.doubt(
                "cluster trial: review_sei is left as the review used it; check whether it allows for clusters", i
            )

    def _can_widen(self, i: int, found: tuple[float, float, float, float]) -> bool:
        """Whether a printed effect has a standard error, or an interval that its effect lies in."""
        es, error, low, high = found
        words = self.text("es_type", i)
        kind = read_effect_type(words)
        interval = low <= es <= high and low < high
        if kind is not None and MEASURES[kind.measure].scale == "log" and not kind.logarithm:
            # es_se of a ratio is not known to be that of its logarithm
            return interval and low > 0 and read_effect_type(f"log {words}") is not None
        return interval or not math.isnan(error)

    def _widen_reported(self, i: int, factor: float, found: tuple[float, float, float, float]) -> None:
        """Put a larger standard error in the place of the printed one, or of the printed interval."""
        es, error, low, high = found
        words = self.text("es_type", i)
        kind = read_effect_type(words)
        ratio = kind is not None and MEASURES[kind.measure].scale == "log" and not kind.logarithm
        if ratio and not math.isnan(low + high) and min(es, low) > 0:
            # The standard error of a ratio is that of its logarithm, so that the effect is written as one.
            es, low, high = math.log(es), math.log(low), math.log(high)
            self.set("es_type", i, f"log {words}")
            self.set("es", i, es)
            error = math.nan
        if math.isnan(error):
            error = float(se_from_interval(np.array(low), np.array(high), level=LEVEL))
        self.set("es_se", i, error * factor)
        self.clear(("es_ci_low", "es_ci_high"), i)

    # --- what comes out

    def finished(self) -> pd.DataFrame:
        if self.faults:
            raise DataError(self.source, list(dict.fromkeys(self.faults)))
        logs = ["; ".join(words) for words in self.log]
        result = self.rows.assign(**{LOG: logs})
        result = result.drop(index=sorted(self.dropped)).reset_index(drop=True)
        for words, names in self.doubts.items():
            shown = ", ".join(names[:MORE]) + (f" and {len(names) - MORE} more" if len(names) > MORE else "")
            warnings.warn(f"{self.source}: {shown}: {words}", DataWarning, stacklevel=3)
        kept = [(i, words) for i, words in enumerate(logs) if words and i not in self.dropped]
        notes = tuple(f"{self.name(i)}: {words}" for i, words in kept)
        result.attrs.update(self.attrs | {"notes": notes})
        return result
