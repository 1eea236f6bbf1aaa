"""The likelihood of tau2 as a table to be drawn: the curve, every maximum, the estimate, and the interval."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, MetapeerError
from metapeer.formatting import format_level, format_number
from metapeer.plots.profile import profile_plot
from metapeer.pooling.intervals import check_level
from metapeer.pooling.tau2_intervals import likelihood_interval
from metapeer.pooling.tau2_likelihood import maximise
from metapeer.pooling.weighted import FloatArray, log_likelihood

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.pooling.results import MetaAnalysisResult

__all__ = ["draw_tau2_profile", "profile_of_fit", "tau2_profile_table"]

BEYOND = 1.15
"""The curve is followed so many times as far as the last mark, to show that it falls."""
CRAMPED = 0.04
"""A maximum nearer to the left end than this share of an even axis cannot be told from the end."""
FEWEST, MOST = 2, 100_000
_CELLS = 1_000_000  # of a table of weights, so that many studies do not fill the memory


def _heights(yi: FloatArray, vi: FloatArray, tau2: FloatArray, X: FloatArray | None, *, restricted: bool) -> FloatArray:
    rows = max(1, _CELLS // yi.size)
    parts = [tau2[first : first + rows] for first in range(0, tau2.size, rows)]
    return np.concatenate([log_likelihood(yi, vi, part, X, restricted=restricted) for part in parts])


def tau2_profile_table(
    yi: FloatArray,
    vi: FloatArray,
    X: FloatArray | None = None,
    *,
    restricted: bool,
    level: float,
    estimate: float | None = None,
    points: int = 201,
) -> pd.DataFrame:
    """Follow the (restricted) likelihood of tau2 over everything that is of interest.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and their sampling variances.
    X : array of shape (k, p), optional
        Design matrix; a column of ones when left out.
    restricted : bool
        True for the restricted likelihood.
    level : float
        Level of the interval, whose ends are marked.
    estimate : float, optional
        An estimate of tau2 to be marked, whatever made it.
    points : int, default 201
        Of the curve.

    Returns
    -------
    DataFrame
        In ascending order of ``tau2``: ``log_likelihood`` with all constants, ``drop``, how far it lies below the
        highest, and ``kind``: "curve" for the points of the curve, "maximum" for the highest, "local maximum" for
        every other, "limit" for the two ends of the profile-likelihood interval, "estimate" for `estimate`;
        ``likelihood`` is "REML" or "ML", and ``level`` that of the interval. It begins at zero and ends beyond the
        last mark.

    Raises
    ------
    ChoiceError
        If `points` is no such number.

    References
    ----------
    Hardy & Thompson (1996), Stat Med 15:619-629.

    Examples
    --------
    >>> import numpy as np
    >>> effects = np.array([-0.9, 19.49, 1.17, 0.27]), np.array([0.159, 38.894, 0.53, 0.125])
    >>> table = tau2_profile_table(*effects, restricted=True, level=0.95)
    >>> table.loc[table["kind"].str.contains("maximum"), ["tau2", "drop", "kind"]].round(3).values.tolist()
    [[0.999, 0.0, 'maximum'], [27.852, 0.424, 'local maximum']]
    """
    if isinstance(points, bool) or not isinstance(points, int | np.integer) or not FEWEST <= points <= MOST:
        raise ChoiceError(f"points must be a whole number from {FEWEST} to {MOST:,}, not {points!r}")
    best = maximise(yi, vi, X, restricted=restricted)
    interval = likelihood_interval(yi, vi, level, X, restricted=restricted)
    marks = [("maximum", best.tau2), *(("local maximum", tau2) for tau2, _ in best.others)]
    marks += [("limit", end) for end in interval]
    if estimate is not None:
        marks.append(("estimate", estimate))
    last = BEYOND * max(tau2 for _, tau2 in marks)
    # Even in the logarithm of the smallest total variance, the points are dense where the likelihood is narrow.
    smallest = float(vi.min())
    curve = smallest * np.expm1(np.linspace(0.0, math.log1p(last / smallest), int(points)))
    tau2 = np.concatenate([curve, [value for _, value in marks]])
    kinds = ["curve"] * curve.size + [kind for kind, _ in marks]
    heights = _heights(yi, vi, tau2, X, restricted=restricted)
    top = float(heights[curve.size])  # of the maximum, the first of the marks
    table = pd.DataFrame(
        {
            "tau2": tau2,
            "log_likelihood": heights,
            "drop": np.maximum(top - heights, 0.0),
            "kind": kinds,
            "likelihood": "REML" if restricted else "ML",
            "level": level,
        }
    )
    return table.sort_values("tau2", kind="stable", ignore_index=True)


def profile_of_fit(fit: "MetaAnalysisResult", *, points: int = 201, level: float | None = None) -> pd.DataFrame:
    """Follow the likelihood of tau2 that belongs to a meta-analysis.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The meta-analysis.
    points : int, default 201
        Of the curve.
    level : float, optional
        Level of the interval; the result's own when left out.

    Returns
    -------
    DataFrame
        As `tau2_profile_table` has it: the likelihood when tau2 was estimated by ML, otherwise the restricted one.

    Raises
    ------
    MetapeerError
        If tau2 was not estimated from these studies.
    """
    chosen = fit.level if level is None else check_level(level)
    if fit.model != "random":
        raise MetapeerError("a common effect has no tau²; pool with model='random' to see its likelihood")
    if fit.k < 2:
        raise MetapeerError("one study says nothing about tau²; there is no likelihood to follow")
    if fit.tau2_ci is None:
        raise MetapeerError(
            "tau² is common to several subgroups, and the likelihood of these studies alone is not that of the "
            "estimate; pool each subgroup with its own tau², or all studies together"
        )
    return tau2_profile_table(
        fit.yi, fit.vi, restricted=fit.tau2_method != "ML", level=chosen, estimate=fit.tau2, points=points
    )


def _digits(value: float) -> str:
    """Four digits, so that the smallest variance and the largest are written alike."""
    return "0" if value == 0.0 else f"{value:.4g}"


def _describe(table: pd.DataFrame, tau2_method: str) -> list[str]:
    """Say in words what the marks are; an estimate that is the maximum is not named twice."""
    where = {kind: table[table["kind"] == kind] for kind in table["kind"].unique()}
    kind, level = str(table["likelihood"].iloc[0]), format_level(float(table["level"].iloc[0]))
    name = "restricted likelihood" if kind == "REML" else "likelihood"
    words = [f"Filled circle: maximum of the {name} ({kind}), τ² = {_digits(float(where['maximum']['tau2'].iloc[0]))}."]
    if "local maximum" in where:
        peaks = where["local maximum"]
        listed = ", ".join(
            f"{_digits(tau2)} (lower by {format_number(drop, 2)})"
            for tau2, drop in zip(peaks["tau2"].tolist(), peaks["drop"].tolist(), strict=True)
        )
        words.append(f"Open circle: other local {'maximum' if len(peaks) == 1 else 'maxima'}, τ² = {listed}.")
    if tau2_method not in ("REML", "ML"):
        words.append(f"Diamond: the {tau2_method} estimate, τ² = {_digits(float(where['estimate']['tau2'].iloc[0]))}.")
    low, high = where["limit"]["tau2"].tolist()
    cut = table["drop"][table["kind"] == "limit"].max()
    words.append(
        f"Dashed line: {level} profile-likelihood interval ({kind}), τ² from {_digits(low)} to {_digits(high)}."
    )
    inside = table[(table["tau2"] > low) & (table["tau2"] < high) & (table["kind"] != "estimate")]
    if (inside["drop"] > cut * (1.0 + 1e-9)).any():
        words.append("Where the curve dips below the line between these ends, values do not belong to it.")
    return words


def draw_tau2_profile(
    fit: "MetaAnalysisResult",
    *,
    points: int = 201,
    level: float | None = None,
    ax: "Axes | None" = None,
    **options: Any,
) -> "Figure":
    """Draw the likelihood of tau2 that belongs to a meta-analysis.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The meta-analysis.
    points, level
        As in `profile_of_fit`.
    ax : matplotlib Axes, optional
        Where to draw.
    **options
        Anything else that `profile_plot` takes; what is given here wins.

    Returns
    -------
    Figure
        The figure drawn on. The axis is even in tau2, or, where a maximum would not be told from zero, even in
        ``log(tau2 + v)`` with v the smallest sampling variance; a note says so.
    """
    table = profile_of_fit(fit, points=points, level=level)
    notes = _describe(table, fit.tau2_method)
    likely = fit.tau2_method in ("REML", "ML")
    if likely:  # the estimate is the maximum, and one mark is enough
        table = table[table["kind"] != "estimate"]
    marked = table[table["kind"].isin(("maximum", "local maximum", "estimate")) & (table["tau2"] > 0.0)]["tau2"]
    settings: dict[str, Any] = {
        "level": float(table["level"].iloc[0]),
        "x_label": "Between-study variance τ²",
        "notes": notes,
    }
    smallest = float(fit.vi.min())
    if len(marked) and float(marked.min()) < CRAMPED * float(table["tau2"].max()):
        settings["offset"] = smallest
        settings["notes"] = [
            *notes,
            f"The axis is even in log(τ² + {_digits(smallest)}), the smallest sampling variance.",
        ]
    return profile_plot(table.rename(columns={"tau2": "value"}), ax=ax, **(settings | options))
