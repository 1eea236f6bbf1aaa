"""Figures of the effects behind a meta-analysis: Galbraith, drapery and rainforest plots."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import format_level, format_number
from metapeer.plots.drapery import draw_drapery
from metapeer.plots.galbraith import draw_galbraith
from metapeer.plots.orchard import draw_rainforest
from metapeer.pooling.forest_table import ARM_NAMES, favours_words
from metapeer.pooling.intervals import normal_quantile, t_quantile, two_sided_p
from metapeer.pooling.prediction import prediction_scale
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.sensitivity.asymmetry_data import fit_of, read_studies

__all__ = ["drapery_plot", "galbraith_plot", "rainforest_plot"]

PS = (*(float(f"{base}e{power}") for power in (-5, -4, -3) for base in (1, 2, 5)), *np.arange(0.01, 1.0, 0.01).tolist())
"""Heights at which the curves are known; between them straight lines are drawn."""
NEARLY = 1e-6


def _fit(
    data: MetaAnalysisResult | pd.DataFrame | None,
    yi: ArrayLike | None,
    vi: ArrayLike | None,
    sei: ArrayLike | None,
    labels: str | Sequence[str] | None,
    measure: str | None,
) -> MetaAnalysisResult:
    return fit_of(read_studies(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, least=1))


def _axis(fit: MetaAnalysisResult) -> dict[str, Any]:
    """What all figures of effects share: the name, the scale, no effect, and the arm that each side favours."""
    about = measure_of(fit.measure)
    log = about.scale == "log"
    name = about.name[0].upper() + about.name[1:]
    return {
        "x_label": name if log or about.scale == "identity" else f"{name} ({about.scale} scale)",
        "log_scale": log,
        "null_value": 0.0 if about.has_null else None,
        "favours": favours_words(fit.positive_favours, ARM_NAMES),
    }


def galbraith_plot(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    tau2: Literal["included", "left out"] = "left out",
    ax: Axes | None = None,
    **options: Any,
) -> Figure:
    """Draw a Galbraith (radial) plot: each study's effect as the slope of a line, and which studies stand apart.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects, which is pooled with the defaults of `meta_analysis`.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of `data`.
    tau2 : {"left out", "included"}
        Whether the heterogeneity counts as part of each study's error. Left out, studies outside the band disagree by
        more than chance allows; included, by more than the model allows.
    ax : Axes, optional
        Where to draw; by default a new figure.
    **options
        ``title``, ``notes``, ``width`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``), ``height``,
        ``name_outside`` and whatever else `draw_galbraith` takes.

    Returns
    -------
    Figure
        The figure drawn on; save it with `save_figure`.

    Raises
    ------
    DataError
        If there are faults in the data.
    ChoiceError
        If an option is unknown, or no effect was pooled.

    References
    ----------
    Galbraith (1988), Stat Med 7:889-894.

    Examples
    --------
    >>> figure = galbraith_plot(yi=[0.1, 0.3, 0.9], vi=[0.01, 0.02, 0.03], labels=["Trial A", "Trial B", "Trial C"])
    >>> sorted(text.get_text() for text in figure.axes[0].texts if text.get_text().startswith("Trial"))
    ['Trial A', 'Trial C']
    """
    check_choice("tau2", tau2, ("left out", "included"))
    fit = _fit(data, yi, vi, sei, labels, measure)
    if not math.isfinite(fit.estimate):
        raise ChoiceError("nothing was pooled, so that there is no line to draw")
    included = tau2 == "included" and math.isfinite(fit.tau2)
    se = np.sqrt(fit.vi + fit.tau2) if included else np.sqrt(fit.vi)
    z = normal_quantile(fit.level)
    table = pd.DataFrame({"label": list(fit.labels), "estimate": fit.yi, "se": se})
    axis = _axis(fit)
    error = "√(variance + τ²)" if included else "standard error"
    about = f"Pooled effect: {fit.model}-effect{'s' if fit.model == 'random' else ''} model, {fit.ci.method}." + (
        f" τ² = {format_number(fit.tau2, 4)} ({fit.tau2_method})." if included else ""
    )
    settings: dict[str, Any] = {
        "x_label": f"1 / {error}",
        "y_label": f"Effect / {error}",
        "effect_label": axis["x_label"],
        "log_scale": axis["log_scale"],
        "half_width": z,
        "band_label": f"±{z:.2f}: {format_level(fit.level)} of studies if they differed by "
        + ("what the model allows" if included else "chance alone"),
        "notes": [about],
        **options,
    }
    return draw_galbraith(table, estimate=fit.estimate, ci_low=fit.ci.low, ci_high=fit.ci.high, ax=ax, **settings)


def _curve(kind: str, name: str, middle: float, scale: float, df: float | None) -> pd.DataFrame:
    """Points on a p-value function: for each p the two ends of the interval of level 1 - p."""
    ends = [scale * (normal_quantile(1 - p) if df is None else t_quantile(1 - p, df)) for p in PS]
    effects = np.array([*(middle - end for end in ends), middle, *(middle + end for end in reversed(ends))])
    return pd.DataFrame({"curve": name, "kind": kind, "effect": effects, "p": [*PS, 1.0, *reversed(PS)]})


def _pooled_curve(fit: MetaAnalysisResult) -> pd.DataFrame:
    """The p-value function of the pooled effect; only where it gives the very interval that was printed."""
    ends = [two_sided_p((end - fit.estimate) / fit.se, fit.df) for end in fit.ci]
    if not np.allclose(ends, 1 - fit.level, atol=NEARLY):
        raise ChoiceError(
            f"the interval of the pooled effect ({fit.ci.method}) is no estimate plus or minus a quantile, so that it "
            "has no p-value function here; pool with ci_method='HK' or 'z'"
        )
    return _curve("pooled", "pooled", fit.estimate, fit.se, fit.df)


def _prediction_curve(fit: MetaAnalysisResult) -> pd.DataFrame | None:
    """The ends of the prediction intervals of all levels; None where the fit has none, or no closed form."""
    interval = fit.prediction_interval
    if interval is None or fit.prediction_method == "NNF" or not math.isfinite(interval.high):
        return None
    _, df = prediction_scale(
        tau2=fit.tau2, classic_se=fit.se, hk_se=fit.se, k=fit.k, method=fit.prediction_method, vi=fit.vi
    )
    # the interval itself tells the scale: it is the estimate plus or minus a quantile of it
    quantile = normal_quantile(fit.level) if df is None else t_quantile(fit.level, df)
    scale = (interval.high - interval.low) / 2 / quantile
    return _curve("prediction", "prediction", fit.estimate, scale, df) if scale > 0 else None


def drapery_plot(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    ax: Axes | None = None,
    **options: Any,
) -> Figure:
    """Draw a drapery plot: the p-value functions of the studies, of the pooled effect and of the prediction.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects, which is pooled with the defaults of `meta_analysis`.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of `data`.
    ax : Axes, optional
        Where to draw; by default a new figure.
    **options
        ``scale`` ("linear" or "log"), ``alpha``, ``title``, ``notes``, ``width``, ``height``, ``x_limits`` and
        whatever else `draw_drapery` takes.

    Returns
    -------
    Figure
        The figure drawn on; save it with `save_figure`.

    Raises
    ------
    DataError
        If there are faults in the data.
    ChoiceError
        If an option is unknown, or the pooled effect has no p-value function.

    References
    ----------
    Rücker & Schwarzer (2021), Res Synth Methods 12:10-19.

    Examples
    --------
    >>> figure = drapery_plot(yi=[0.1, 0.3, 0.25, 0.6], vi=[0.01, 0.02, 0.03, 0.04])
    >>> len([line for line in figure.axes[0].lines if line.get_label() == "_study"])
    4
    """
    fit = _fit(data, yi, vi, sei, labels, measure)
    if not (math.isfinite(fit.estimate) and fit.se > 0):
        raise ChoiceError("the pooled effect has no standard error, so that it has no p-value function")
    tables = [
        _curve("study", f"study {i}", y, math.sqrt(v), None)
        for i, (y, v) in enumerate(zip(fit.yi.tolist(), fit.vi.tolist(), strict=True))
    ]
    pooled, prediction = _pooled_curve(fit), _prediction_curve(fit)
    tables += [pooled] if prediction is None else [pooled, prediction]
    table = pd.concat(tables, ignore_index=True)
    axis = _axis(fit)
    if "x_limits" not in options:
        # wide enough for the pooled curve, the prediction and all estimates; flat ends of single studies are cut
        low, high = _reach(fit, prediction)
        options["x_limits"] = (math.exp(low), math.exp(high)) if axis["log_scale"] else (low, high)
    told = [f"Pooled effect: {fit.ci.method}. Studies: normal."]
    if prediction is not None and fit.prediction_interval is not None:
        told.append(f"Prediction: {fit.prediction_interval.method}.")
    settings: dict[str, Any] = {
        **axis,
        "alpha": (1 - fit.level,),
        "prediction_label": "prediction: true effect of a new study",
        "notes": [" ".join(told)],
        **options,
    }
    return draw_drapery(table, ax=ax, **settings)


def _reach(fit: MetaAnalysisResult, prediction: pd.DataFrame | None) -> tuple[float, float]:
    z = normal_quantile(fit.level)
    half = z * np.sqrt(fit.vi)
    ends = [*np.quantile(fit.yi - half, [0.25]), *np.quantile(fit.yi + half, [0.75]), *fit.yi.tolist(), *fit.ci]
    ends += [fit.estimate - 1.3 * (fit.estimate - fit.ci.low), fit.estimate + 1.3 * (fit.ci.high - fit.estimate), 0.0]
    if prediction is not None and fit.prediction_interval is not None:
        ends += list(fit.prediction_interval)
    room = 0.08 * (max(ends) - min(ends)) or 1.0
    return float(min(ends)) - room, float(max(ends)) + room


def rainforest_plot(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    ax: Axes | None = None,
    **options: Any,
) -> Figure:
    """Draw a rainforest plot: each study as the drop of its likelihood, the pooled effect as a diamond beneath.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects, which is pooled with the defaults of `meta_analysis`.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of `data`.
    ax : Axes, optional
        Where to draw; by default a new figure.
    **options
        ``title``, ``notes``, ``width``, ``x_limits`` and whatever else `draw_rainforest` takes.

    Returns
    -------
    Figure
        The figure drawn on; save it with `save_figure`.

    Raises
    ------
    DataError
        If there are faults in the data.
    ChoiceError
        If an option is unknown.

    References
    ----------
    Schild & Voracek (2015), Res Synth Methods 6:74-86.

    Examples
    --------
    >>> figure = rainforest_plot(yi=[0.1, 0.3, 0.25], vi=[0.01, 0.02, 0.03], labels=["Trial A", "Trial B", "Trial C"])
    >>> "Trial B" in [text.get_text() for text in figure.axes[0].texts]
    True
    """
    fit = _fit(data, yi, vi, sei, labels, measure)
    table = pd.DataFrame({"label": list(fit.labels), "estimate": fit.yi, "se": np.sqrt(fit.vi), "weight": fit.weights})
    level = format_level(fit.level)
    pooled: dict[str, Any] = {}
    notes = ["Studies: normal."]
    if math.isfinite(fit.estimate):
        pooled = {
            "estimate": fit.estimate,
            "ci": tuple(fit.ci),
            "pooled_label": {"random": "Random-effects model", "common": "Common-effect model"}[fit.model],
        }
        notes.append(f"Pooled effect: {fit.ci.method}.")
        if fit.prediction_interval is not None:
            pooled["prediction"] = tuple(fit.prediction_interval)
            notes.append(f"{level} prediction interval: {fit.prediction_interval.method}.")
    settings: dict[str, Any] = {
        **_axis(fit),
        "half_width": normal_quantile(fit.level),
        "interval_label": f"its {level} interval",
        "notes": [" ".join(notes)],
        **pooled,
        **options,
    }
    return draw_rainforest(table, ax=ax, **settings)
