"""One outcome before and after, and who moved it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from metapeer.formatting import Printable, TextTable, format_interval, format_level, format_number
from metapeer.living.update_changes import QUANTITIES, STAGES
from metapeer.living.update_words import change_words, conclusion, participants_words, size_words
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.reproduction.claims import Judgement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["OutcomeChange", "Share"]

_NOTHING = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one thing moved, in the units of the pooled effect (log for ratios).

    Parameters
    ----------
    stage : {"correction", "selection", "method", "new trial"}
        The kind of change.
    what : str
        The trial, the correction or the option.
    estimate, ci_low, ci_high, tau2 : float
        The share of the change of each quantity; NaN where a quantity is not defined on the way.
    """

    stage: str
    what: str
    estimate: float
    ci_low: float
    ci_high: float
    tau2: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OutcomeChange(Printable):
    """One outcome before and after.

    Parameters
    ----------
    outcome : str
        Its name; of a claim or a printed result, that.
    before, after : MetaAnalysisResult or None
        The pooled results; None where nothing can be pooled.
    shares : tuple of Share
        Who moved it; empty when there is no change, or nothing to compare with.
    exact : bool
        Whether shares are means over all orders, not over orders drawn.
    claim : mapping of str to str
        The claim that the effect is held against; empty without one.
    judged_before, judged_after : Judgement or None
        The claim's verdicts.
    new_rows, changed_rows : tuple of str
        Names of the rows, among those that `after` pools, that are new, and that were corrected.
    """

    outcome: str
    before: MetaAnalysisResult | None
    after: MetaAnalysisResult | None
    shares: tuple[Share, ...]
    exact: bool
    claim: Mapping[str, str]
    judged_before: Judgement | None
    judged_after: Judgement | None
    new_rows: tuple[str, ...]
    changed_rows: tuple[str, ...]

    @property
    def moved(self) -> bool:
        """Whether anything of the result changed, or would have if changes had not cancelled out."""
        one, two = self.before, self.after
        if one is None or two is None:
            return one is not two
        pairs = zip(_numbers(one), _numbers(two), strict=True)
        differ = any(a != b and not math.isnan(a) and not math.isnan(b) for a, b in pairs)
        shares = (getattr(share, name) for share in self.shares for name in QUANTITIES)
        return one.k != two.k or differ or bool(self.new_rows) or any(part and not math.isnan(part) for part in shares)

    @property
    def change(self) -> dict[str, float]:
        """After minus before, for estimate, ci_low, ci_high and tau2; NaN where either is missing."""
        if self.before is None or self.after is None:
            return dict.fromkeys(QUANTITIES, _NOTHING)
        pairs = zip(QUANTITIES, _numbers(self.before), _numbers(self.after), strict=True)
        return {name: two - one for name, one, two in pairs}

    @property
    def conclusion_changed(self) -> bool:
        """Whether the verdict on the claim changed; without a claim, on which side of no effect the interval lies."""
        if self.judged_before is not None and self.judged_after is not None:
            return self.judged_before.verdict != self.judged_after.verdict
        return conclusion(self.before) != conclusion(self.after)

    def words(self) -> str:
        """Say in a paragraph what moved, by how much, why, and whether the conclusion changed.

        Returns
        -------
        str
            Plain sentences.
        """
        return change_words(self)

    def shares_frame(self) -> pd.DataFrame:
        """List who moved what.

        Returns
        -------
        DataFrame
            ``outcome``, ``stage``, ``what``, and the shares of ``estimate``, ``ci_low``, ``ci_high``, ``tau2``.
        """
        names = [field.name for field in fields(Share)]
        rows = [{name: getattr(share, name) for name in names} for share in self.shares]
        frame = pd.DataFrame(rows, columns=names)
        frame.insert(0, "outcome", self.outcome)
        return frame.astype(dict.fromkeys(("outcome", "stage", "what"), str) | dict.fromkeys(QUANTITIES, float))

    def to_frame(self) -> pd.DataFrame:
        """Put the outcome in one row.

        Returns
        -------
        DataFrame
            ``outcome``; before and after (``before_k``, ``after_k``, ...) ``k``, ``trials``, ``participants``,
            ``estimate``, ``ci_low``, ``ci_high``, ``pi_low``, ``pi_high``, ``tau2``, ``I2``, ``verdict``; the
            ``change`` of the estimate, and of it what each stage brought: ``corrections``, ``selection``, ``method``,
            ``new_trials``; ``conclusion_changed``.
        """
        row: dict[str, Any] = {"outcome": self.outcome, "measure": ""}
        for name, fit, judged in (
            ("before", self.before, self.judged_before),
            ("after", self.after, self.judged_after),
        ):
            row["measure"] = row["measure"] or ("" if fit is None else fit.measure)
            prediction = None if fit is None else fit.prediction_interval
            low, high = (_NOTHING, _NOTHING) if prediction is None else prediction
            numbers = (
                dict.fromkeys(QUANTITIES, _NOTHING)
                if fit is None
                else dict(zip(QUANTITIES, _numbers(fit), strict=True))
            )
            people = None if fit is None else fit.participants
            facts = {
                "k": 0 if fit is None else fit.k,
                "trials": 0 if fit is None else fit.trials,
                "participants": _NOTHING if people is None else float(people),
                **numbers,
                "pi_low": low,
                "pi_high": high,
                "I2": _NOTHING if fit is None else fit.I2,
                "verdict": "" if judged is None else judged.verdict,
            }
            row |= {f"{name}_{key}": value for key, value in facts.items()}
        row["change"] = self.change["estimate"]
        for stage, name in zip(STAGES, ("corrections", "selection", "method", "new_trials"), strict=True):
            parts = [share.estimate for share in self.shares if share.stage == stage]
            row[name] = math.fsum(parts) if parts else 0.0
        row["claim"] = self.claim.get("claim_id", "")
        row["conclusion_changed"] = self.conclusion_changed
        return pd.DataFrame([row])

    def _fact_rows(self) -> list[tuple[str, str, str]]:
        fits = (self.before, self.after)
        level = format_level(next((fit.level for fit in fits if fit is not None), 0.95))
        code = next((fit.measure for fit in fits if fit is not None and fit.measure), "effect")

        def each(show: Callable[[MetaAnalysisResult], str]) -> tuple[str, str]:
            one, two = ("-" if fit is None else show(fit) for fit in fits)
            return one, two

        def interval(fit: MetaAnalysisResult) -> str:
            return _shown(fit, fit.ci.low, fit.ci.high)

        def prediction(fit: MetaAnalysisResult) -> str:
            return "-" if fit.prediction_interval is None else _shown(fit, *fit.prediction_interval)

        rows = [
            ("trials", *each(size_words)),
            ("participants", *each(participants_words)),
            (code, *each(lambda fit: format_number(measure_of(fit.measure).display(fit.estimate, fit.se**2), 3))),
            (f"{level} CI", *each(interval)),
            (f"{level} prediction interval", *each(prediction)),
            ("tau²", *each(lambda fit: format_number(fit.tau2, 4))),
            ("I²", *each(lambda fit: "NA" if math.isnan(fit.I2) else f"{format_number(fit.I2, 1)}%")),
        ]
        if self.judged_before is not None and self.judged_after is not None:
            rows.append((f"claim {self.claim['claim_id']}", self.judged_before.verdict, self.judged_after.verdict))
        return rows

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the outcome in words.

        Returns
        -------
        sequence of TextTable
            Before and after; who moved it; and the paragraph of `words`.
        """
        tables = [
            TextTable(
                title=self.outcome,
                header=("", "before", "after"),
                rows=self._fact_rows(),
                notes=[
                    f"{name}: {note}"
                    for name, fit in (("before", self.before), ("after", self.after))
                    for note in (() if fit is None else fit.notes)
                ],
            )
        ]
        if self.shares:
            rows = [
                (share.stage, share.what, *(_signed(getattr(share, name)) for name in QUANTITIES))
                for share in self.shares
            ]
            rows.append(("all", "", *(_signed(self.change[name]) for name in QUANTITIES)))
            fit = self.after or self.before
            scale = "" if fit is None or measure_of(fit.measure).scale == "identity" else ", on the scale pooled"
            drawn = "" if self.exact else ", mean over orders of entry that were drawn"
            tables.append(
                TextTable(
                    title=f"Who moved it{scale}{drawn}",
                    header=("", "", "estimate", "lower limit", "upper limit", "tau²"),
                    rows=rows,
                )
            )
        tables.append(TextTable(header=(), rows=(), notes=[self.words()]))
        return tables

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a forest plot with the new trials set apart, and the pooled effects before and after.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            Anything that `forest_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.living.update_forest import draw_change

        return draw_change(self, ax=ax, **options)


def _numbers(fit: MetaAnalysisResult) -> tuple[float, ...]:
    return fit.estimate, fit.ci.low, fit.ci.high, fit.tau2


def _shown(fit: MetaAnalysisResult, low: float, high: float) -> str:
    measure = measure_of(fit.measure)
    return format_interval(measure.display(low, fit.se**2), measure.display(high, fit.se**2), 3)


def _signed(value: float) -> str:
    text = format_number(value, 4)
    return f"+{text}" if value > 0 and not text.startswith("inf") else text
