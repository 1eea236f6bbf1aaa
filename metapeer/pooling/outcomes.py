"""Outcome by outcome: each pooled on its own, in one table, with p values adjusted for how many there are."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from metapeer.errors import MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, count, format_level, format_p
from metapeer.pooling.models import Model, Notes, meta_options, pool
from metapeer.pooling.multiplicity import METHODS, AdjustedPValues, AdjustmentMethod, adjust_p_values
from metapeer.pooling.outcomes_names import (
    heading_words,
    interval_words,
    measure_words,
    outcome_words,
    tells_too_few,
    text_cells,
)
from metapeer.pooling.outcomes_rows import column_names, part_by_outcome
from metapeer.pooling.results import MetaAnalysisResult, measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["OutcomesResult", "pool_outcomes"]

ORDERS = ("k", "given")
TESTS = ("all", "pooled")
UNDER_ANY_DEPENDENCE = ("holm", "bonferroni", "BY")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OutcomesResult(Printable):
    """The result of `pool_outcomes`.

    Parameters
    ----------
    by : tuple of str
        The columns that make the outcomes.
    group : str
        The column that makes the headings; empty when there are none.
    outcomes : tuple of str
        The outcomes as the table codes them, in the order shown.
    groups : tuple of str
        The heading that each stands under, as the table codes it.
    results : tuple of MetaAnalysisResult
        One for each outcome, of one effect for each trial.
    effects : tuple of int
        Effects on each outcome before those of one trial were averaged.
    adjustment : AdjustedPValues or None
        P values before and after adjustment, in the same order; NaN where there is none, or where an outcome takes no
        part. None when p values were not adjusted.
    empty : tuple of str
        Outcomes that the table names but of which no row can be pooled.
    excluded : tuple of (str, str)
        Rows not pooled, each with the reason.
    notes : tuple of str
        What a reader must know about how this result came about.
    """

    by: tuple[str, ...]
    group: str
    outcomes: tuple[str, ...]
    groups: tuple[str, ...]
    results: tuple[MetaAnalysisResult, ...]
    effects: tuple[int, ...]
    adjustment: AdjustedPValues | None
    empty: tuple[str, ...]
    excluded: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def __getitem__(self, outcome: str) -> MetaAnalysisResult:
        """Return the result of one outcome."""
        if outcome in self.empty:
            raise MetapeerError(f"outcome {outcome!r} has no effect that can be pooled; see what is excluded, and why")
        return self.results[self.outcomes.index(check_choice("outcome", outcome, self.outcomes))]

    @property
    def names(self) -> tuple[str, ...]:
        """The outcomes in words; those of one trial say so."""
        return tuple(
            f"{outcome_words(code)} (one trial)" if fit.trials == 1 else outcome_words(code)
            for code, fit in zip(self.outcomes, self.results, strict=True)
        )

    @property
    def headings(self) -> tuple[str, ...]:
        """For each outcome its heading in words; empty when there are no headings."""
        return tuple(heading_words(code, self.group) if self.group else "" for code in self.groups)

    @property
    def adjusted(self) -> tuple[float, ...]:
        """For each outcome its adjusted p value; NaN where there is none."""
        if self.adjustment is None:
            return (math.nan,) * len(self.outcomes)
        return tuple(float(p) for p in self.adjustment.adjusted)

    def to_frame(self) -> pd.DataFrame:
        """Put the outcomes in rows.

        Returns
        -------
        DataFrame
            One row for each outcome: ``outcome``, ``name`` (in words), ``group``, ``effects`` (before averaging), the
            columns of `MetaAnalysisResult.to_frame`, ``p_adjusted`` and ``adjustment``, unrounded.
        """
        table = pd.concat([fit.to_frame() for fit in self.results], ignore_index=True)
        first = {
            "outcome": self.outcomes,
            "name": [outcome_words(code) for code in self.outcomes],
            "group": self.groups,
            "effects": self.effects,
        }
        for place, (column, values) in enumerate(first.items()):
            table.insert(place, column, list(values))
        method = "" if self.adjustment is None else self.adjustment.method_name
        return table.assign(
            p_adjusted=list(self.adjusted), adjustment=["" if math.isnan(p) else method for p in self.adjusted]
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table with a row for each outcome under the headings, and the notes.
        """
        adjustment = self.adjustment
        several = len({(fit.measure, fit.positive_favours) for fit in self.results}) > 1
        rows: list[tuple[str, ...]] = []
        width = 8 + several + (adjustment is not None) + (self.effects != tuple(fit.k for fit in self.results))
        lines = zip(self.headings, self.names, self.results, self.effects, self.adjusted, strict=True)
        shown = ""
        for heading, name, fit, effects, adjusted in lines:
            if heading != shown:
                rows.append((heading, *[""] * width))
                shown = heading
            cells = text_cells(fit)
            rows.append(
                (
                    f"  {name}" if heading else name,
                    *((str(effects),) if self.effects != tuple(fit.k for fit in self.results) else ()),
                    *cells[:2],
                    *((measure_words(fit),) if several else ()),
                    *cells[2:],
                    *((format_p(adjusted),) if adjustment is not None else ()),
                )
            )
        return (TextTable(title=self._title(several), header=self._header(several), rows=rows, notes=self._notes()),)

    def _header(self, several: bool) -> tuple[str, ...]:
        fit = self.results[0]
        level = format_level(fit.level)
        return (
            " x ".join(self.by),
            *(("effects",) if self.effects != tuple(fit.k for fit in self.results) else ()),
            "trials",
            "participants",
            *(("measure",) if several else ()),
            "estimate" if several else fit.measure or "effect",
            f"{level} CI",
            f"{level} PI",
            "tau²",
            "I² (tau²)" if fit.model == "random" else "I² (Q)",
            "p",
            *((f"p ({self.adjustment.method_name})",) if self.adjustment is not None else ()),
        )

    def _title(self, several: bool) -> str:
        model = "Random-effects" if self.results[0].model == "random" else "Common-effect"
        trials = {label for fit in self.results for label in _trials(fit)}
        size = f"{count(sum(self.effects), 'effect')} from {count(len(trials), 'trial')}"
        title = f"{model} meta-analyses of {count(len(self.results), 'outcome')}: {size}"
        fit = self.results[0]
        return title if several or not fit.measure else f"{title}\n{measure_words(fit)}"

    def _notes(self) -> list[str]:
        notes = list(self.notes)
        if any(map(tells_too_few, self.results)):
            notes.append("participants with a plus: some trials do not tell how many")
        if self.excluded:
            notes.append(f"{count(len(self.excluded), 'row')} not pooled:")
            notes += [f"  {label}: {reason}" for label, reason in self.excluded]
        return notes

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a forest plot with one line for each outcome.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure of the right height when left out.
        **options
            ``measure``, where outcomes have several; ``arms``, the names of the two arms; and anything that
            `forest_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.pooling.outcomes_forest import draw_outcomes

        return draw_outcomes(self, ax=ax, **options)


def _trials(fit: MetaAnalysisResult) -> list[str]:
    """Trials of a result; each gave one row."""
    assert fit.data is not None  # noqa: S101  a table was given
    return [str(trial) for trial in fit.data["study_id"]]


def _tell_tests(notes: Notes, adjustment: AdjustedPValues, results: Sequence[MetaAnalysisResult], tests: str) -> None:
    """Say what was adjusted for, and whether tests depend on one another."""
    singles = sum(fit.k == 1 for fit in results)
    text = f"adjusted p: {adjustment.method_name}, {count(adjustment.tests, 'test')}"
    if singles and tests == "pooled":
        text += "; outcomes of one trial are not among them"
    elif singles and adjustment.tests:
        text += f", {singles} of them of one trial"
    notes.say(f"{text}. {adjustment.notes[0]}")
    untested = [
        outcome_words(code)
        for code, fit, p in zip(adjustment.names, results, adjustment.p_values.tolist(), strict=True)
        if math.isnan(p) and not (fit.k == 1 and tests == "pooled")
    ]
    if untested:
        notes.say(f"no p value, and not counted: {'; '.join(untested)}")
    stands = Counter(trial for fit in results for trial in _trials(fit))
    shared = sum(times > 1 for times in stands.values())
    if shared:
        allowed = " (the adjustment allows for that)" if adjustment.method in UNDER_ANY_DEPENDENCE else ""
        stand = "stands" if shared == 1 else "stand"
        notes.say(
            f"{shared} of {count(len(stands), 'trial')} {stand} under several outcomes: "
            f"tests depend on one another{allowed}"
        )


def _pass_on(notes: Notes, names: Sequence[str], fits: Sequence[MetaAnalysisResult]) -> None:
    """Repeat what is noted of pooled outcomes, once for all that share it."""
    said: dict[str, list[str]] = {}
    for name, fit in zip(names, fits, strict=True):
        if fit.k > 1:
            for text in fit.notes:
                said.setdefault(text, []).append(name)
    for text, who in said.items():
        everyone = len(who) > 1 and len(who) == sum(fit.k > 1 for fit in fits)
        notes.say(text if everyone else f"{'; '.join(who)}: {text}")


def pool_outcomes(
    data: pd.DataFrame,
    *,
    by: str | Sequence[str] = "outcome",
    group: str | None = "outcome_class",
    rho: float = 0.6,
    adjust: AdjustmentMethod | None = "holm",
    tests: Literal["all", "pooled"] = "all",
    order: Literal["k", "given"] = "k",
    labels: str | None = None,
    measure: str | None = None,
    model: Model = "random",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    prediction_method: str | None = None,
    tau2_ci_method: str | None = None,
    level: float = 0.95,
    preset: str | None = None,
) -> OutcomesResult:
    """Pool every outcome of a table on its own, and adjust the p values for how many outcomes there are.

    Parameters
    ----------
    data : DataFrame
        A table with ``study_id``, ``yi`` and ``vi`` or ``sei``, as `effect_size` returns it. Rows with an
        ``exclusion_reason`` are not pooled; the result lists them.
    by : str or sequence of str, default "outcome"
        The column that tells outcomes apart; several are crossed. Rows with an empty cell are listed as excluded.
    group : str, optional
        The column that makes the headings, by default ``"outcome_class"``. None, or the column that `by` names, leaves
        them out. Classes of outcomes stand in the order psychosocial, clinical, service use, other; other headings as
        they first appear, or as a categorical column has them.
    rho : float, default 0.6
        Assumed correlation between the sampling errors of several effects of one trial on one outcome, which are
        averaged as by `average_within_trial`. The notes tell how many there were.
    adjust : {"holm", "hochberg", "bonferroni", "BH", "BY"} or None, default "holm"
        How p values are adjusted, as in `adjust_p_values`.
    tests : {"all", "pooled"}, default "all"
        What is adjusted for: every p value in the table, or only those of outcomes with two trials or more. A single
        trial's p value is a test like the others: whoever looks for the smallest p in the table looks at it too. Leave
        it out only if it will not be read as a finding; it then has no adjusted p.
    order : {"k", "given"}, default "k"
        Within a heading, outcomes of most trials first, or as they first appear (or a categorical column has them).
    labels : str, optional
        The column that names the rows in the results; ``study_id`` when left out.
    measure : str, optional
        The effect measure, when the table does not say. Outcomes may differ in measure; rows of one outcome may not.
    model, tau2_method, ci_method, prediction_method, tau2_ci_method, level, preset
        As in `meta_analysis`, for every outcome. Adjusted p values hold their promise at 1 - `level`.

    Returns
    -------
    OutcomesResult
        One `MetaAnalysisResult` for each outcome, found by its name, and the adjusted p values.

    Raises
    ------
    DataError
        If the table cannot be pooled, or rows of one outcome differ in measure, in direction or in their heading;
        every fault is listed.
    ChoiceError
        If an option is unknown.
    MetapeerError
        If `rho` is not between 0 and 1.

    References
    ----------
    Bender et al. (2008), J Clin Epidemiol 61:857-865, and Polanin & Pigott (2015), Res Synth Methods 6:63-73 (many
    outcomes in one review). Borenstein et al. (2009), Introduction to Meta-Analysis, chapter 24 (averages).

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer import pool_outcomes
    >>> table = pd.DataFrame({
    ...     "study_id": ["a", "b", "c", "a", "b", "b"],
    ...     "outcome": ["hope", "hope", "hope", "symptoms", "symptoms", "symptoms"],
    ...     "yi": [0.3, 0.2, 0.4, 0.0, 0.1, 0.3], "vi": [0.04, 0.03, 0.05, 0.04, 0.03, 0.03],
    ... })
    >>> found = pool_outcomes(table, group=None, ci_method="z")
    >>> found.to_frame()[["outcome", "effects", "trials", "estimate", "p_value", "p_adjusted"]].round(3)
        outcome  effects  trials  estimate  p_value  p_adjusted
    0      hope        3       3     0.283    0.012       0.025
    1  symptoms        3       2     0.125    0.307       0.307
    >>> round(found["hope"].estimate, 3)
    0.283
    """
    check_choice("order", order, ORDERS)
    check_choice("tests", tests, TESTS)
    if adjust is not None:
        check_choice("adjust", adjust, METHODS)
    options = meta_options(
        model=model,
        tau2_method=tau2_method,
        ci_method=ci_method,
        prediction_method=prediction_method,
        tau2_ci_method=tau2_ci_method,
        level=level,
        preset=preset,
    )
    columns = column_names(by)
    group = None if group is None or columns == (group,) else group
    parted = part_by_outcome(data, by=columns, group=group, rho=rho, labels=labels, measure=measure)
    found = list(parted.outcomes)
    if order == "k":
        headings = list(dict.fromkeys(part.group for part in found))
        found.sort(key=lambda part: (headings.index(part.group), -part.effects.trial_count))
    results = tuple(pool(part.effects, **options, warn=False) for part in found)
    codes = tuple(part.name for part in found)
    words = [outcome_words(code) for code in codes]
    notes = Notes()
    if interval_words(results):
        own = f"each outcome has its own tau² ({options['tau2_method']}); " if model == "random" else ""
        notes.say(f"{own}pooled intervals: {interval_words(results)}")
    if parted.averaging:
        notes.say(parted.averaging)
    singles = [name for name, fit in zip(words, results, strict=True) if fit.k == 1]
    if singles:
        notes.say(f"one trial, shown with its own normal interval: {'; '.join(singles)}")
    adjustment = None
    if adjust is not None:
        counted = [
            fit.p_value if measure_of(fit.measure).has_null and (tests == "all" or fit.k > 1) else math.nan
            for fit in results
        ]
        adjustment = adjust_p_values(counted, method=adjust, alpha=1.0 - options["level"], names=codes)
        _tell_tests(notes, adjustment, results, tests)
    if parted.empty:
        notes.say(f"no effect that can be pooled: {'; '.join(map(outcome_words, parted.empty))}")
    _pass_on(notes, words, results)
    return OutcomesResult(
        by=columns,
        group=group or "",
        outcomes=codes,
        groups=tuple(part.group for part in found),
        results=results,
        effects=tuple(part.rows for part in found),
        adjustment=adjustment,
        empty=parted.empty,
        excluded=parted.excluded,
        notes=tuple(notes.said),
    )
