"""Where each trial's own true effect lies: best linear unbiased predictions, between its effect and the fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, MetapeerError
from metapeer.formatting import Printable, TextTable, count, format_interval, format_level, format_number
from metapeer.pooling.intervals import normal_quantile, t_quantile
from metapeer.pooling.regression_results import MetaRegressionResult
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.influence_refits import fit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BlupResult", "blup"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BlupResult(Printable):
    """The result of `blup`; arrays have shape (k,) and are read-only.

    Parameters
    ----------
    measure : str
        Effect measure; empty when it was not given.
    labels : tuple of str
        The rows.
    yi, vi : array
        Observed effects and sampling variances.
    fitted : array
        What the fit expects of each: the pooled effect, or that for the row's moderators.
    shrinkage : array
        How far each prediction is drawn from the observed effect to the fitted one, from 0 to 1.
    estimate, se : array
        Predictions of the true effects, and the standard errors of the prediction.
    pi_low, pi_high : array
        Limits of the prediction.
    tau2 : float
        Between-study variance, taken as known.
    tau2_method : str
        Its estimator.
    df : float or None
        Degrees of freedom of the limits, those of the fit; None for the normal distribution.
    level : float
        Coverage of the limits.
    positive_favours : str
        The arm that a positive effect favours; empty when unknown.
    trials : int
        Different trials among the rows.
    """

    measure: str
    labels: tuple[str, ...]
    yi: FloatArray
    vi: FloatArray
    fitted: FloatArray
    shrinkage: FloatArray
    estimate: FloatArray
    se: FloatArray
    pi_low: FloatArray
    pi_high: FloatArray
    tau2: float
    tau2_method: str
    df: float | None
    level: float
    positive_favours: str
    trials: int

    def to_frame(self) -> pd.DataFrame:
        """Put the predictions in rows.

        Returns
        -------
        DataFrame
            ``label``, ``yi``, ``vi``, ``fitted``, ``shrinkage``, ``estimate``, ``se``, ``pi_low``, ``pi_high`` and
            ``level``; ratios on the log scale.
        """
        return pd.DataFrame(
            {
                "label": list(self.labels),
                "yi": self.yi.copy(),
                "vi": self.vi.copy(),
                "fitted": self.fitted.copy(),
                "shrinkage": self.shrinkage.copy(),
                "estimate": self.estimate.copy(),
                "se": self.se.copy(),
                "pi_low": self.pi_low.copy(),
                "pi_high": self.pi_high.copy(),
                "level": self.level,
            }
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the predictions in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        measure = measure_of(self.measure)
        rows = []
        for i, label in enumerate(self.labels):
            own, variance = float(self.vi[i]), float(self.se[i]) ** 2
            rows.append(
                (
                    label,
                    format_number(measure.display(float(self.yi[i]), own), 3),
                    format_number(measure.display(float(self.fitted[i]), variance), 3),
                    f"{100.0 * self.shrinkage[i]:.0f}",
                    format_number(measure.display(float(self.estimate[i]), variance), 3),
                    format_interval(
                        measure.display(float(self.pi_low[i]), variance),
                        measure.display(float(self.pi_high[i]), variance),
                        3,
                    ),
                )
            )
        limits = "normal" if self.df is None else f"t, {self.df:.4g} df"
        notes = [
            f"tau² {format_number(self.tau2, 4)} ({self.tau2_method}), taken as known; limits: {limits}",
            "true effects are supposed to be normally distributed about the fitted ones",
        ]
        if self.trials < len(self.labels):
            notes.append(
                f"{count(len(self.labels), 'effect')} from {count(self.trials, 'trial')} are taken as independent, "
                "as if each had a true effect of its own"
            )
        return (
            TextTable(
                title=f"Best linear unbiased predictions of the true effects of {count(len(self.labels), 'row')}",
                header=("", "observed", "fitted", "shrunk %", "predicted", f"{format_level(self.level)} limits"),
                rows=rows,
                notes=notes,
            ),
        )

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw a forest plot of the observed effects, each with the prediction of its true effect below it.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure when left out.
        **options
            ``arms``, the names of the two arms, and anything that `forest_plot` takes.

        Returns
        -------
        Figure
            The figure drawn on; save it with `save_figure`.
        """
        from metapeer.sensitivity.influence_forest import draw_predictions

        return draw_predictions(self, ax=ax, **options)


def blup(fit: MetaAnalysisResult | MetaRegressionResult | pd.DataFrame | None = None, **options: Any) -> BlupResult:
    """Predict the true effect of each trial from its own effect and from all the others.

    An observed effect is drawn towards what the fit expects, the more so the less precise it is beside tau2. The
    predictions of the extreme trials are therefore less extreme than their effects.

    Parameters
    ----------
    fit : MetaAnalysisResult, MetaRegressionResult or DataFrame, optional
        A random-effects fit or meta-regression; or a table of effects.
    **options
        With a table: as `meta_analysis` takes them. Without one: ``yi`` and ``vi`` or ``sei`` as well. A fit has its
        own.

    Returns
    -------
    BlupResult
        Predictions with their standard errors and limits, as metafor's ``blup``.

    Raises
    ------
    MetapeerError
        If the model has one common effect, or one study.

    References
    ----------
    Raudenbush & Bryk (1985), J Educ Stat 10:75-98; Robinson (1991), Stat Sci 6:15-32.

    Examples
    --------
    >>> from metapeer.sensitivity.influence_predictions import blup
    >>> found = blup(yi=[0.1, 0.3, 0.35, 0.65, 0.45, 0.15], vi=[0.03, 0.03, 0.05, 0.01, 0.05, 0.02])
    >>> found.to_frame()[["yi", "estimate", "se"]].head(2).round(3)
        yi  estimate     se
    0  0.1     0.217  0.133
    1  0.3     0.322  0.133
    """
    if isinstance(fit, MetaRegressionResult):
        if options:
            raise ChoiceError(f"{', '.join(sorted(options))}: no effect with a fit, which has its own options")
        X, vb = fit.design.X, fit.covariance
        fitted = X @ fit.beta
        spread = np.einsum("ip,pq,iq->i", X, vb, X)
        whole: MetaAnalysisResult | MetaRegressionResult = fit
    else:
        whole = fit_of(fit, options, stacklevel=2)
        fitted = np.full(whole.k, whole.estimate)
        spread = np.full(whole.k, whole.se**2)
    if whole.model != "random":
        raise MetapeerError("under a common effect the true effects of the trials are one; fit model='random'")
    if whole.k < 2:
        raise MetapeerError("one study: tau² cannot be estimated, and so nothing predicted of its true effect")
    yi, vi, tau2 = whole.yi, whole.vi, whole.tau2
    keep = tau2 / (tau2 + vi)
    drawn = vi / (tau2 + vi)
    estimate = keep * yi + drawn * fitted
    se = np.sqrt(keep * vi + drawn**2 * spread)
    half = (normal_quantile(whole.level) if whole.df is None else t_quantile(whole.level, whole.df)) * se
    low, high = estimate - half, estimate + half
    for array in (fitted, drawn, estimate, se, low, high):
        array.setflags(write=False)
    return BlupResult(
        measure=whole.measure,
        labels=whole.labels,
        yi=yi,
        vi=vi,
        fitted=fitted,
        shrinkage=drawn,
        estimate=estimate,
        se=se,
        pi_low=low,
        pi_high=high,
        tau2=tau2,
        tau2_method=whole.tau2_method,
        df=whole.df,
        level=whole.level,
        positive_favours=whole.positive_favours,
        trials=whole.trials,
    )
