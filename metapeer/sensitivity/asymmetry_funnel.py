"""The door to funnel plots: a fit or effects in, tables made of them, and a figure out."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.formatting import count, format_level
from metapeer.plots.funnel import draw_funnel
from metapeer.pooling.intervals import check_level, normal_quantile
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.asymmetry_data import StudyEffects, fit_of, read_studies
from metapeer.sensitivity.asymmetry_models import egger_test
from metapeer.sensitivity.asymmetry_regression import predictor_values
from metapeer.sensitivity.asymmetry_results import AsymmetryTestResult
from metapeer.sensitivity.limit_models import limit_meta_analysis
from metapeer.sensitivity.limit_results import LimitMetaAnalysisResult
from metapeer.sensitivity.trim_fill_models import trim_and_fill as fill
from metapeer.sensitivity.trim_fill_results import TrimFillResult

__all__ = ["draw_studies", "funnel_plot"]

YAxis = Literal["sei", "vi", "seinv", "vinv", "ni", "ninv", "sqrtni", "sqrtninv", "modified_sei"]
Y_AXES = {
    "sei": "Standard error",
    "vi": "Sampling variance",
    "seinv": "1 / standard error",
    "vinv": "1 / sampling variance",
    "ni": "Participants",
    "ninv": "1 / participants",
    "sqrtni": "√participants",
    "sqrtninv": "1 / √participants",
    "modified_sei": "√(1/n₁ + 1/n₂)",
}
HIGH_IS_PRECISE = ("seinv", "vinv", "ni", "sqrtni")
OF_ERROR = {"sei": 1.0, "vi": 2.0, "seinv": -1.0, "vinv": -2.0}
"""Axes that are powers of the standard error: only on these have regions of significance a shape."""
OF_SIZE = {"ni": 1.0, "ninv": -1.0, "sqrtni": 0.5, "sqrtninv": -0.5}
"""Axes that are powers of the number of participants."""
OF_ARMS = {"modified_sei": 1.0, "modified_vi": 2.0}
"""Powers of the modified standard error."""

CONTOURS = (0.9, 0.95, 0.99)
POINTS = 201


def funnel_plot(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: bool | str | Sequence[str] | None = None,
    measure: str | None = None,
    yaxis: YAxis = "sei",
    contours: Sequence[float] | None = None,
    trim_and_fill: bool | TrimFillResult = False,
    egger: bool | AsymmetryTestResult = False,
    limit: bool | LimitMetaAnalysisResult = False,
    ax: Axes | None = None,
    **options: Any,
) -> Figure:
    """Draw a funnel plot: effects against precision, over regions of significance about no effect.

    Where the holes of a lopsided funnel lie in the region without significance, suppression of such studies may have
    made them; where they lie in regions of significance, something else has (Peters et al. 2008).

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects, which is pooled with the defaults of `meta_analysis`.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of `data`. With ``labels=True`` studies have their names beside them, and with a
        fit, a list of names those that it lists.
    yaxis : str, default "sei"
        "sei", "vi", "seinv", "vinv" (their inverses); "ni", "ninv", "sqrtni", "sqrtninv" of the number of
        participants; or "modified_sei", ``sqrt(1/n1 + 1/n2)``, for standardised mean differences.
    contours : sequence of float, optional
        Levels of the regions; 0.90, 0.95 and 0.99 when left out, none when empty, or on an axis that is no function of
        the standard error.
    trim_and_fill : bool or TrimFillResult, default False
        Whether studies filled in are drawn as open circles.
    egger : bool or AsymmetryTestResult, default False
        Whether the line of `egger_test` (or another regression) is drawn; True takes the standard error as predictor.
    limit : bool or LimitMetaAnalysisResult, default False
        Whether the curve of `limit_meta_analysis` and the limit effects are drawn.
    ax : matplotlib Axes, optional
        Where to draw, with room for the legend to the right; a new figure when left out.
    **options
        ``title``, ``notes``, ``width`` and ``height`` (inches, ``"single"``, ``"double"`` or such as ``"120 mm"``),
        ``x_label``, ``x_limits``, ``legend``, ``name_studies`` and whatever else `draw_funnel` takes.

    Returns
    -------
    Figure
        The figure drawn on; save it with `save_figure`.

    Raises
    ------
    DataError
        If there are faults in the data, or numbers of participants are missing that the axis needs.
    ChoiceError
        If an option is unknown, or a line cannot be drawn on this axis.

    Warns
    -----
    DataWarning
        What the methods drawn warn of.

    References
    ----------
    Sterne & Egger (2001), J Clin Epidemiol 54:1046-1055; Peters, Sutton, Jones, Abrams & Rushton (2008), J Clin
    Epidemiol 61:991-996.

    Examples
    --------
    >>> figure = funnel_plot(yi=[0.1, 0.2, 0.15, 0.3, 0.35, 0.5, 0.4, 0.7, 0.65, 0.9, 0.85],
    ...                      sei=[0.05, 0.08, 0.1, 0.13, 0.15, 0.2, 0.22, 0.28, 0.3, 0.38, 0.4], egger=True)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()][-4:]
    ['p > 0.1', '0.05 < p ≤ 0.1', '0.01 < p ≤ 0.05', 'p ≤ 0.01']
    """
    if isinstance(labels, bool) or (isinstance(data, MetaAnalysisResult) and labels is not None):
        options, labels = {"name_studies": labels, **options}, None
    given = read_studies(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, least=1)
    filled = trim_and_fill if isinstance(trim_and_fill, TrimFillResult) else None
    line = egger if isinstance(egger, AsymmetryTestResult) else None
    limits = limit if isinstance(limit, LimitMetaAnalysisResult) else None
    arrays: dict[str, Any] = (
        {"data": data, "measure": measure, **({} if given.fit is not None else {"labels": labels})}
        if data is not None
        else {"yi": yi, "vi": vi, "sei": sei, "labels": labels, "measure": measure}
    )
    if filled is None and _asked("trim_and_fill", trim_and_fill):
        filled = fill(**arrays)
    if line is None and _asked("egger", egger):
        line = egger_test(**arrays)
    if limits is None and _asked("limit", limit):
        limits = limit_meta_analysis(**arrays)
    return draw_studies(
        given, yaxis=yaxis, contours=contours, trim_and_fill=filled, egger=line, limit=limits, ax=ax, **options
    )


def _asked(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ChoiceError(f"{name} must be True, False or a result, not a {type(value).__name__}")
    return value


def draw_studies(
    given: StudyEffects,
    *,
    yaxis: str = "sei",
    contours: Sequence[float] | None = None,
    trim_and_fill: TrimFillResult | None = None,
    egger: AsymmetryTestResult | None = None,
    limit: LimitMetaAnalysisResult | None = None,
    ax: Axes | None = None,
    **options: Any,
) -> Figure:
    """Make the tables of a funnel plot and have them drawn; `funnel_plot` is the door to this.

    Parameters
    ----------
    given : StudyEffects
        From `read_studies`.
    yaxis, contours, ax, **options
        As in `funnel_plot`.
    trim_and_fill, egger, limit
        Results to be drawn, or None.

    Returns
    -------
    Figure
        The figure.
    """
    check_choice("yaxis", yaxis, Y_AXES)
    fit = fit_of(given)
    effects = given.effects
    measure = measure_of(effects.measure)
    y = _axis(given, yaxis)
    for name, effects_of in (
        ("trim_and_fill", None if trim_and_fill is None else trim_and_fill.original.yi),
        ("egger", None if egger is None or egger.studies is None else egger.studies.effects.yi),
        ("limit", None if limit is None else limit.studies.effects.yi),
    ):
        if effects_of is not None and not np.array_equal(effects_of, effects.yi):
            raise ChoiceError(f"the result given as {name} is of other effects than those drawn")
    points = [
        pd.DataFrame({"effect": effects.yi, "y": y, "kind": "study", "name": "studies", "label": list(effects.labels)})
    ]
    lines: list[pd.DataFrame] = []
    precise_is = "high" if yaxis in HIGH_IS_PRECISE else "low"
    # Zero belongs to the axis where it stands for a study without sampling error.
    start = 0.0 if precise_is == "low" else 0.9 * float(y.min())
    grid = np.linspace(start, 1.05 * float(y.max()), POINTS)
    if trim_and_fill is not None and trim_and_fill.k0:
        where = trim_and_fill.added["place"].to_numpy()
        name = f"{count(trim_and_fill.k0, 'study', 'studies')} filled in"
        points.append(
            pd.DataFrame({"effect": trim_and_fill.added["yi"], "y": y[where], "kind": "filled", "name": name})
        )
        lines.append(_vertical(trim_and_fill.filled.estimate, grid, "pooled with filled studies"))
    if egger is not None:
        lines.append(_line(egger, grid, yaxis))
    if limit is not None:
        if yaxis not in OF_ERROR:
            raise ChoiceError(f"the curve of a limit meta-analysis needs yaxis in {', '.join(OF_ERROR)}")
        points.append(
            pd.DataFrame({"effect": limit.shrunken, "y": y, "kind": "limit", "name": "limit effects of the studies"})
        )
        se = _errors(grid, yaxis)
        lines.append(
            pd.DataFrame(
                {
                    "name": "expected effect, limit meta-analysis",
                    "effect": limit.slope + limit.intercept * np.sqrt(se**2 + limit.tau2),
                    "y": grid,
                }
            )
        )
    scale = "" if measure.scale in ("identity", "log") else f" ({measure.scale})"
    how: dict[str, Any] = {
        "x_label": (effects.measure or "Effect") + scale,
        "y_label": Y_AXES[yaxis],
        "log_scale": measure.scale == "log",
        "null_value": 0.0 if measure.has_null else None,
        "precise_is": precise_is,
        "estimate": fit.estimate,
        "estimate_ci": (fit.ci.low, fit.ci.high),
        "estimate_label": f"pooled effect, {'random effects' if fit.model == 'random' else 'common effect'}",
        "lines": pd.concat(lines, ignore_index=True) if lines else None,
    }
    if yaxis in OF_ERROR:
        se = _errors(grid, yaxis)
        half = normal_quantile(fit.level) * se
        how["region"] = pd.DataFrame({"y": grid, "low": fit.estimate - half, "high": fit.estimate + half})
        how["region_label"] = f"{format_level(fit.level)} of studies, if effects did not vary"
        how["contours"] = _contours(CONTOURS if contours is None else contours, se, grid) if measure.has_null else None
        if contours and not measure.has_null:
            raise ChoiceError(f"contours have no effect with {effects.measure}, which has no value of no effect")
    elif contours:
        raise ChoiceError(f"contours need yaxis in {', '.join(OF_ERROR)}: no p value belongs to a place on {yaxis!r}")
    return draw_funnel(pd.concat(points, ignore_index=True).fillna({"label": ""}), ax=ax, **(how | options))


def _axis(given: StudyEffects, yaxis: str) -> FloatArray:
    if yaxis in OF_ERROR:
        return np.asarray(np.sqrt(given.effects.vi) ** OF_ERROR[yaxis])
    return predictor_values(given, yaxis)


def _errors(grid: FloatArray, yaxis: str) -> FloatArray:
    """Standard errors that go with places on an axis."""
    return np.asarray(grid ** (1.0 / OF_ERROR[yaxis]))


def _vertical(effect: float, grid: FloatArray, name: str) -> pd.DataFrame:
    return pd.DataFrame({"name": name, "effect": effect, "y": [grid[0], grid[-1]]})


def _line(test: AsymmetryTestResult, grid: FloatArray, yaxis: str) -> pd.DataFrame:
    """Lay the line of a regression over an axis that tells its predictor."""
    if test.line is None:
        raise ChoiceError(f"{test.test} correlates ranks: there is no line to draw")
    if test.studies is None:
        raise ChoiceError(f"{test.test} has a plot of its own: its effects or weights are not the funnel's")
    predictor = test.predictor
    for family in (OF_ERROR, OF_SIZE, OF_ARMS):
        if predictor in family and yaxis in family:
            x = np.asarray(grid ** (family[predictor] / family[yaxis]))
            break
    else:
        other = "modified_sei" if predictor in OF_ARMS else predictor
        raise ChoiceError(f"the line is over {predictor!r}, which yaxis={yaxis!r} does not tell; use {other!r}")
    effect = test.line.beta[0] + test.line.beta[1] * x
    return pd.DataFrame({"name": f"{test.test}, line", "effect": effect, "y": grid})


def _contours(levels: Sequence[float], se: FloatArray, grid: FloatArray) -> pd.DataFrame | None:
    """Regions in which an effect does not differ from none at each level, the narrowest first."""
    try:
        chosen = sorted({check_level(level) for level in levels})
    except TypeError:
        raise MetapeerError(f"contours must be levels such as (0.9, 0.95, 0.99), not {levels!r}") from None
    if not chosen:
        return None
    p = [f"{1.0 - level:.6g}" for level in chosen]
    names = [f"p > {p[0]}", *(f"{b} < p ≤ {a}" for a, b in pairwise(p)), f"p ≤ {p[-1]}"]
    parts = []
    for name, level in zip(names, [*chosen, math.nan], strict=True):
        half = np.zeros(grid.size) if math.isnan(level) else normal_quantile(level) * se
        parts.append(pd.DataFrame({"name": name, "y": grid, "low": -half, "high": half}))
    return pd.concat(parts, ignore_index=True)
