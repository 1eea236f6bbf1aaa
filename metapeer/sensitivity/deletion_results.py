"""What a leave-one-out analysis found: a row for each deletion, and which of them change the conclusion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metapeer.errors import check_choice
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number, format_p
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.influence_refits import effects_of, options_of, refit_fully

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LeaveOneOutResult", "change_of_conclusion"]

SHOWN = 60
"""Deletions printed; of more, those that move the estimate most are printed, and `to_frame` has all."""


def change_of_conclusion(
    estimate: float, interval: tuple[float, float], estimate_left: float, interval_left: tuple[float, float]
) -> str:
    """Say how a conclusion changes: whether the interval excludes no effect, on which side, and the estimate's sign.

    Parameters
    ----------
    estimate, interval : float, (float, float)
        The whole, on a scale where no effect is 0.
    estimate_left, interval_left : float, (float, float)
        What is left.

    Returns
    -------
    str
        Empty when nothing changes.

    Examples
    --------
    >>> change_of_conclusion(0.2, (0.01, 0.39), 0.15, (-0.02, 0.32))
    'the interval includes no effect'
    >>> change_of_conclusion(0.1, (-0.1, 0.3), -0.3, (-0.5, -0.1))
    'the interval excludes no effect; the sign turns'
    """
    before, after = _side(interval), _side(interval_left)
    words = []
    if before and not after:
        words.append("the interval includes no effect")
    elif after and not before:
        words.append("the interval excludes no effect")
    elif before != after:
        words.append("the interval excludes no effect on the other side")
    if estimate * estimate_left < 0:
        words.append("the sign turns")
    return "; ".join(words)


def _side(interval: tuple[float, float]) -> int:
    low, high = interval
    return 1 if low > 0 else -1 if high < 0 else 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LeaveOneOutResult(Printable):
    """The result of `leave_one_out`; arrays have one number for each deletion and are read-only.

    Parameters
    ----------
    fit : MetaAnalysisResult
        All studies.
    by : str
        The column whose values left together; empty when every row left by itself.
    names : tuple of str
        What left at each step.
    groups : tuple of array of int
        Positions of its rows in the fit.
    k : array of int
        Effects left.
    estimate, se, ci_low, ci_high, p_value : array
        The pooled effect of the others, with its interval and test.
    pi_low, pi_high : array
        Prediction limits; NaN where there are none.
    tau2, I2, I2_Q, Q, Q_p : array
        Heterogeneity among the others; `I2` from tau2, which is NaN under a common effect, and `I2_Q` from Q.
    notes : tuple of str
        What a reader must know.
    """

    fit: MetaAnalysisResult
    by: str
    names: tuple[str, ...]
    groups: tuple[NDArray[np.intp], ...]
    k: NDArray[np.int64]
    estimate: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    p_value: FloatArray
    pi_low: FloatArray
    pi_high: FloatArray
    tau2: FloatArray
    I2: FloatArray
    I2_Q: FloatArray
    Q: FloatArray
    Q_p: FloatArray
    notes: tuple[str, ...]

    @property
    def changes(self) -> tuple[str, ...]:
        """How each deletion changes the conclusion, in words; empty where it does not, or no value means no effect."""
        if not measure_of(self.fit.measure).has_null:
            return ("",) * len(self.names)
        whole = (self.fit.ci.low, self.fit.ci.high)
        return tuple(
            change_of_conclusion(self.fit.estimate, whole, float(estimate), (float(low), float(high)))
            for estimate, low, high in zip(self.estimate, self.ci_low, self.ci_high, strict=True)
        )

    @property
    def changing(self) -> tuple[str, ...]:
        """The deletions that change the conclusion."""
        return tuple(name for name, change in zip(self.names, self.changes, strict=True) if change)

    def without(self, name: str) -> MetaAnalysisResult:
        """Repeat one deletion, for everything that a meta-analysis can be asked.

        Parameters
        ----------
        name : str
            One of `names`; of several rows with the same name, the first.

        Returns
        -------
        MetaAnalysisResult
            What `meta_analysis` makes of the other rows.

        Raises
        ------
        ChoiceError
            If there is no such name.

        Examples
        --------
        >>> from metapeer.sensitivity.deletion_models import leave_one_out
        >>> found = leave_one_out(yi=[0.1, 0.3, 0.35, 0.65], vi=[0.03, 0.03, 0.05, 0.01], labels=list("abcd"))
        >>> found.without("d").labels
        ('a', 'b', 'c')
        """
        check_choice("name", name, self.names)
        return refit_fully(effects_of(self.fit), options_of(self.fit), self.groups[self.names.index(name)])

    def to_frame(self) -> pd.DataFrame:
        """Put the deletions in rows.

        Returns
        -------
        DataFrame
            ``without``, ``k``, ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``p_value``, ``pi_low``, ``pi_high``,
            ``tau2``, ``I2``, ``I2_Q``, ``Q``, ``Q_p`` and ``change``, how the conclusion changes; ratios on the log
            scale.
        """
        columns = ("estimate", "se", "ci_low", "ci_high", "p_value", "pi_low", "pi_high", "tau2", "I2", "I2_Q")
        return pd.DataFrame(
            {
                "without": list(self.names),
                "k": self.k.copy(),
                **{name: getattr(self, name).copy() for name in (*columns, "Q", "Q_p")},
                "change": list(self.changes),
            }
        )

    def _conclusion(self) -> list[str]:
        """What changes the conclusion, and how far a deletion moves the estimate."""
        measure = measure_of(self.fit.measure)
        notes = []
        if measure.has_null:
            side = _side((self.fit.ci.low, self.fit.ci.high))
            stands = f"the interval of all {'excludes' if side else 'includes'} no effect"
            changed = [(name, words) for name, words in zip(self.names, self.changes, strict=True) if words]
            if changed:
                notes.append(f"{stands}; {count(len(changed), 'deletion')} would change the conclusion:")
                notes += [f"  without {name}: {words}" for name, words in changed]
            else:
                notes.append(f"{stands}, and no single deletion changes that or the sign")
        low, high = int(np.argmin(self.estimate)), int(np.argmax(self.estimate))
        ends = [
            f"{format_number(measure.display(float(self.estimate[i]), float(self.se[i]) ** 2), 3)} "
            f"(without {self.names[i]})"
            for i in (low, high)
        ]
        notes.append(f"the pooled effect ranges from {ends[0]} to {ends[1]}")
        return notes

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the deletions in words.

        Returns
        -------
        sequence of TextTable
            One table, with the deletions that change the conclusion named below it.
        """
        measure = measure_of(self.fit.measure)
        random = self.fit.model == "random"
        chosen = list(range(len(self.names)))
        notes = self._conclusion()
        if len(chosen) > SHOWN:
            ranks = np.argsort(-np.abs(self.estimate - self.fit.estimate), kind="stable")
            chosen = sorted(ranks[:SHOWN].tolist())
            notes.insert(0, f"the {SHOWN} of {len(self.names)} that move the estimate most; to_frame() has all")

        def row(name: str, k: int, numbers: Sequence[float]) -> tuple[str, ...]:
            estimate, se, ci_low, ci_high, p, pi_low, pi_high, tau2, i2, q = numbers

            def between(low: float, high: float) -> str:
                return format_interval(measure.display(low, se**2), measure.display(high, se**2), 3)

            cells = [
                name,
                str(k),
                format_number(measure.display(estimate, se**2), 3),
                between(ci_low, ci_high),
                format_p(p) if measure.has_null else "",
            ]
            if random:
                cells += [between(pi_low, pi_high), format_number(tau2, 4)]
            return (*cells, format_number(i2, 1), format_number(q, 2))

        i2 = self.I2 if random else self.I2_Q
        rows = [
            row(
                f"- {self.names[i]}",
                int(self.k[i]),
                [
                    float(values[i])
                    for values in (
                        self.estimate,
                        self.se,
                        self.ci_low,
                        self.ci_high,
                        self.p_value,
                        self.pi_low,
                        self.pi_high,
                        self.tau2,
                        i2,
                        self.Q,
                    )
                ],
            )
            for i in chosen
        ]
        fit = self.fit
        pi = fit.prediction_interval
        ends = (float("nan"), float("nan")) if pi is None else (pi.low, pi.high)
        whole = [fit.estimate, fit.se, *fit.ci, fit.p_value, *ends, fit.tau2, fit.I2 if random else fit.I2_Q, fit.Q]
        rows.append(row("all", fit.k, whole))
        level = format_level(fit.level)
        header = ["without", "k", fit.measure or "effect", f"{level} CI", "p" if measure.has_null else ""]
        header += [f"{level} PI", "tau²", "I² % (tau²)"] if random else ["I² % (Q)"]
        estimator = f", {fit.tau2_method}" if random else ""
        what = "row" if not self.by else f"value of {self.by}"
        return (
            TextTable(
                title=f"Leave-one-out meta-analysis, each {what} in turn: "
                f"{'random effects' if random else 'common effect'}{estimator}, {fit.ci_method}",
                header=(*header, "Q"),
                rows=rows,
                notes=[*notes, *self.notes],
            ),
        )

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a leave-one-out forest plot: the pooled effect without each study.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            ``arms``, the names of the two arms; ``risk_of_bias=True``, signs for each domain; ``layout`` ("metapeer",
            "revman", "jama" or "bmj"); ``width`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), and
            whatever else `forest_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.sensitivity.influence_forest import draw_deletions

        return draw_deletions(self, ax=ax, **options)
