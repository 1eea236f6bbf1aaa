"""What share of true effects lies beyond a threshold, as a result of its own with an interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, format_level, format_number
from metapeer.pooling.exceedance import (
    SHARE_WORDS,
    delta_interval_of_share,
    likelihood_interval_of_share,
    share_above,
)
from metapeer.pooling.intervals import Interval, check_level
from metapeer.pooling.results import measure_of

if TYPE_CHECKING:
    from metapeer.pooling.results import MetaAnalysisResult

__all__ = ["ExceedanceResult", "exceedance_of_fit"]

DIRECTIONS = ("above", "below")
DOUBTFUL = (0.15, 0.85)
"""Outside these the authors of the delta method bootstrap instead (R package MetaUtility)."""

_SMALLEST = 0.001  # the least that is printed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ExceedanceResult(Printable):
    """The share of true effects beyond a threshold.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    threshold : float
        In the units of the pooled effects (log for ratios).
    direction : {"above", "below"}
        On which side of it.
    estimate : float
        Share of true effects there, from 0 to 1, were their mean and variance what they were estimated to be; NaN when
        tau2 is 0 and the pooled effect is the threshold.
    ci : Interval
        Confidence interval of that share.
    ci_method : str
        Its code.
    prediction : float
        Probability that the true effect of a new study lies there, from the distribution of the prediction interval,
        which allows for the uncertainty of the pooled effect; NaN when there is no such distribution.
    prediction_method : str
        Code of that distribution; empty when there is none.
    tau2 : float
        Between-study variance.
    tau2_method : str
        Its estimator.
    k : int
        Effects pooled.
    level : float
        Confidence level.
    notes : tuple of str
        What a reader must know.
    """

    measure: str
    threshold: float
    direction: str
    estimate: float
    ci: Interval
    ci_method: str
    prediction: float
    prediction_method: str
    tau2: float
    tau2_method: str
    k: int
    level: float
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row, for machines and for stacking thresholds on one another.

        Returns
        -------
        DataFrame
            One row; the threshold of a ratio stays on the log scale, as ``scale`` says.
        """
        row = {
            "measure": self.measure,
            "scale": measure_of(self.measure).scale,
            "k": self.k,
            "threshold": self.threshold,
            "direction": self.direction,
            "estimate": self.estimate,
            "ci_low": self.ci.low,
            "ci_high": self.ci.high,
            "level": self.level,
            "ci_method": self.ci_method,
            "prediction": self.prediction,
            "prediction_method": self.prediction_method,
            "tau2": self.tau2,
            "tau2_method": self.tau2_method,
        }
        return pd.DataFrame([row])

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table: the share with its interval, the probability for a new study, and the notes.
        """
        rows = [
            (
                f"Share of true effects ({format_level(self.level)} CI)",
                _share(self.estimate),
                _shares(self.ci),
                self.ci.method,
            )
        ]
        if self.prediction_method:
            rows.append(
                ("Probability for a new study", _share(self.prediction), "", f"prediction, {self.prediction_method}")
            )
        rows.append(("tau²", format_number(self.tau2, 4), "", self.tau2_method))
        title = f"True effects {self.direction} {_where(self.measure, self.threshold)}"
        return (TextTable(title=title, header=("", "", "", ""), rows=rows, notes=self.notes),)


def _share(value: float) -> str:
    """Write a share in per cent; what is nearly all or nearly none is not written as if it were."""
    if math.isnan(value):
        return "NA"
    if 0.0 < value < _SMALLEST:
        return f"<{100.0 * _SMALLEST:g}%"
    return (
        f">{100.0 - 100.0 * _SMALLEST:g}%" if 1.0 - _SMALLEST < value < 1.0 else f"{format_number(100.0 * value, 1)}%"
    )


def _shares(interval: Interval) -> str:
    return "NA" if math.isnan(interval.low) else f"{_share(interval.low)} to {_share(interval.high)}"


def _where(measure: str, threshold: float) -> str:
    """Name the threshold as it is drawn and as it was given."""
    entry = measure_of(measure)
    name = f"{measure} " if measure else ""
    if entry.scale == "identity":
        return f"{name}{threshold:.4g}"
    if entry.scale == "log":
        return f"{name}{math.exp(threshold):.4g} (log {name}{threshold:.4g})"
    return f"{threshold:.4g} on the {entry.scale} scale of {measure}"


def exceedance_of_fit(
    fit: "MetaAnalysisResult",
    threshold: float,
    *,
    direction: str = "above",
    method: str = "PL",
    level: float | None = None,
) -> ExceedanceResult:
    """Estimate what share of true effects lies beyond a threshold.

    Parameters
    ----------
    fit : MetaAnalysisResult
        A random-effects meta-analysis.
    threshold, direction, method, level
        As in `MetaAnalysisResult.exceedance`.

    Returns
    -------
    ExceedanceResult
        The share, its interval, and the probability for a new study.

    Raises
    ------
    ChoiceError
        If an option makes no sense.
    MetapeerError
        If the meta-analysis has no distribution of true effects, or the interval cannot be made.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.integer | np.floating):
        raise ChoiceError(f"threshold must be a number in the units of the pooled effects, not {threshold!r}")
    value = float(threshold)
    if not math.isfinite(value):
        raise ChoiceError(f"threshold must be a finite number, not {threshold!r}")
    side = 1.0 if check_choice("direction", direction, DIRECTIONS) == "above" else -1.0
    check_choice("method", method, SHARE_WORDS)
    chosen = fit.level if level is None else check_level(level)
    if fit.model != "random":
        raise MetapeerError("under a common effect there is one true effect and no share of them; use model='random'")
    if fit.k < 2:
        raise MetapeerError("one study does not tell how true effects differ; there is no share to estimate")
    # What lies below is what lies above after a change of signs, so that no digits are lost in 1 - share.
    estimate, mirrored = side * fit.estimate, side * value
    share = share_above(mirrored, estimate=estimate, tau2=fit.tau2)
    notes: list[str] = []
    if method == "PL":
        ci = _by_likelihood(fit, side, mirrored, chosen)
        notes += _of_likelihood(ci, share, fit)
    else:
        ci = _by_delta(fit, estimate, mirrored, chosen, method)
        if not DOUBTFUL[0] <= share <= DOUBTFUL[1]:
            notes.append("the delta method is poor for shares below 15% or above 85%; prefer method='PL'")
    if fit.tau2 == 0.0:
        notes.append("tau² is estimated as 0, so that the estimated share is all, none or unknown; read the interval")
    predicted, prediction_method = math.nan, ""
    if fit.prediction_interval is not None and fit.prediction_method != "NNF":
        prediction_method = fit.prediction_method
        if fit.prediction_interval.width == 0.0:  # effects that are all the same predict one more
            predicted = share
        else:
            above = fit.probability_above(value)
            predicted = above if side > 0 else 1.0 - above
    return ExceedanceResult(
        measure=fit.measure,
        threshold=value,
        direction=direction,
        estimate=share,
        ci=ci,
        ci_method=method,
        prediction=predicted,
        prediction_method=prediction_method,
        tau2=fit.tau2,
        tau2_method=fit.tau2_method,
        k=fit.k,
        level=chosen,
        notes=tuple(notes),
    )


def _by_likelihood(fit: "MetaAnalysisResult", side: float, mirrored: float, level: float) -> Interval:
    if fit.tau2_ci is None:
        raise MetapeerError(
            "tau² is common to several subgroups, and the profile likelihood would estimate it anew from these "
            "studies alone; use method='delta.logit', or pool the subgroup with its own tau²"
        )
    return likelihood_interval_of_share(side * fit.yi, fit.vi, mirrored, level, restricted=fit.tau2_method != "ML")


def _of_likelihood(ci: Interval, share: float, fit: "MetaAnalysisResult") -> list[str]:
    """Say what ends at 0 or 1 mean, and when the estimate is not the likelihood's."""
    notes = []
    level = format_level(ci.level)
    if ci.low == 0.0 and ci.high == 1.0:
        notes.append(
            f"at the {level} level the studies do not rule out any share, from none to all of the true effects"
        )
    elif ci.low == 0.0 or ci.high == 1.0:
        end = "none" if ci.low == 0.0 else "all"
        notes.append(
            f"the interval includes {end} of the true effects, because at the {level} level tau² = 0 is not ruled out"
        )
    if not math.isnan(share) and share not in ci:
        notes.append(
            f"the estimate lies outside the interval, which follows the likelihood and not the {fit.tau2_method} "
            f"estimate of tau² with {fit.weighting} weights"
        )
    return notes


def _by_delta(fit: "MetaAnalysisResult", estimate: float, mirrored: float, level: float, method: str) -> Interval:
    if fit.tau2 == 0.0:
        raise MetapeerError("tau² is estimated as 0, where the delta method gives no interval; use method='PL'")
    if math.isnan(fit.tau2_se):
        raise MetapeerError(
            f"the {fit.tau2_method} estimate of tau² has no standard error for the delta method; use method='PL'"
        )
    return delta_interval_of_share(
        mirrored,
        estimate=estimate,
        se=fit.se,
        tau2=fit.tau2,
        tau2_se=fit.tau2_se,
        level=level,
        logits=method == "delta.logit",
    )
