"""What a preview found: the pooled result before and after a trial that does not exist yet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number
from metapeer.living.update_words import conclusion
from metapeer.pooling.intervals import Interval
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.reproduction.claims import Judgement

__all__ = ["NeededSize", "PreviewResult", "conclusion_of"]

LEAST = 2
"""The smallest arm that a trial is supposed to have."""

conclusion_of = conclusion
"""Where the interval lies, in words: the same ones as in an update."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PreviewResult(Printable):
    """The result of `preview_trial`.

    Parameters
    ----------
    before, after : MetaAnalysisResult
        Without and with the supposed trial.
    effect, sei : float
        Its effect and standard error, in the units of the pooled effects.
    n1, n2 : float or None
        Its participants per arm; None when it was described by its standard error.
    claim : str
        The claim judged; empty without one.
    judged_before, judged_after : Judgement or None
        Its verdicts.
    """

    before: MetaAnalysisResult
    after: MetaAnalysisResult
    effect: float
    sei: float
    n1: float | None
    n2: float | None
    claim: str
    judged_before: Judgement | None
    judged_after: Judgement | None

    @property
    def conclusion_changed(self) -> bool:
        """Whether the claim's verdict changes; without a claim, on which side of no effect the interval lies."""
        if self.judged_before is not None and self.judged_after is not None:
            return self.judged_before.verdict != self.judged_after.verdict
        return conclusion(self.before) != conclusion(self.after)

    def to_frame(self) -> pd.DataFrame:
        """Put both results in rows.

        Returns
        -------
        DataFrame
            Rows "before" and "after", with ``k``, ``estimate``, ``ci_low``, ``ci_high``, ``pi_low``, ``pi_high``,
            ``tau2``, ``I2``, ``conclusion`` and ``verdict``; ratios on the log scale.
        """
        rows = []
        for when, fit, judged in (
            ("before", self.before, self.judged_before),
            ("after", self.after, self.judged_after),
        ):
            low, high = (math.nan, math.nan) if fit.prediction_interval is None else fit.prediction_interval
            rows.append(
                {
                    "when": when,
                    "k": fit.k,
                    "estimate": fit.estimate,
                    "ci_low": fit.ci.low,
                    "ci_high": fit.ci.high,
                    "pi_low": low,
                    "pi_high": high,
                    "tau2": fit.tau2,
                    "I2": fit.I2,
                    "conclusion": conclusion(fit),
                    "verdict": "" if judged is None else judged.verdict,
                }
            )
        return pd.DataFrame(rows)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the preview in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        measure = measure_of(self.before.measure)
        level = format_level(self.before.level)

        def between(fit: MetaAnalysisResult, interval: Interval | None) -> str:
            if interval is None:
                return "-"
            low, high = (measure.display(end, fit.se**2) for end in interval)
            return format_interval(low, high, 3)

        fits = (self.before, self.after)
        rows: list[tuple[str, ...]] = [
            ("studies", *(str(fit.k) for fit in fits)),
            (
                self.before.measure or "effect",
                *(format_number(measure.display(fit.estimate, fit.se**2), 3) for fit in fits),
            ),
            (f"{level} CI", *(between(fit, fit.ci) for fit in fits)),
            (f"{level} prediction interval", *(between(fit, fit.prediction_interval) for fit in fits)),
            ("tau²", *(format_number(fit.tau2, 4) for fit in fits)),
            ("I²", *("NA" if math.isnan(fit.I2) else f"{format_number(fit.I2, 1)}%" for fit in fits)),
            ("conclusion", *(conclusion(fit) for fit in fits)),
        ]
        if self.judged_before is not None and self.judged_after is not None:
            rows.append((f"claim {self.claim}", self.judged_before.verdict, self.judged_after.verdict))
        size = f"n {self.n1:g} and {self.n2:g}" if self.n1 is not None else f"standard error {self.sei:.3g}"
        seen = format_number(measure.display(self.effect, self.sei**2), 3)
        said = "changes" if self.conclusion_changed else "does not change"
        return (
            TextTable(
                title=f"Preview of one more trial: {self.before.measure or 'effect'} {seen}, {size}",
                header=("", "before", "after"),
                rows=rows,
                notes=[f"the trial is supposed, not seen; the conclusion {said}"],
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class NeededSize(Printable):
    """The result of `needed_trial_size`.

    Parameters
    ----------
    n1, n2 : float or None
        Participants of either arm; None when no size was found.
    effect : float
        The effect that the trial is supposed to see, in the units of the pooled effects.
    before, after : str
        The conclusion now, and with that trial (without a size: with a million per arm).
    """

    n1: int | None
    n2: float | None
    effect: float
    before: str
    after: str

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row.

        Returns
        -------
        DataFrame
            ``effect``, ``n1``, ``n2``, ``before``, ``after``.
        """
        sizes = [math.nan if size is None else float(size) for size in (self.n1, self.n2)]
        columns = ["effect", "n1", "n2", "before", "after"]
        return pd.DataFrame([[self.effect, *sizes, self.before, self.after]], columns=columns)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            A sentence.
        """
        effect = format_number(self.effect, 3)
        if self.n1 is None or self.n2 is None:
            words = (
                f"No single trial that sees {effect}, up to a million per arm, changes the conclusion: {self.before}."
            )
        else:
            people = count(math.ceil(self.n1 + self.n2), "participant")
            words = (
                f"The smallest trial found that changes the conclusion, if it sees {effect}, has {self.n1:,} in arm 1 "
                f"({people}): {self.before} now, {self.after} then."
            )
            if self.n1 <= LEAST:
                words += (
                    " That is the least that was tried: where an interval rests on few studies, one more narrows it, "
                    "however little it says."
                )
        return (TextTable(header=(), rows=(), notes=[words]),)
