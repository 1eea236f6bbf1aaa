"""The door to limit meta-analysis: a fit or effects in, a `LimitMetaAnalysisResult` out."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import DataError, MetapeerError, check_choice
from metapeer.pooling.intervals import two_sided_p
from metapeer.pooling.models import Notes, pool
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.sensitivity.asymmetry_data import options_of, read_studies, tell_studies
from metapeer.sensitivity.limit_radial import ADJUSTMENTS, limit_estimates
from metapeer.sensitivity.limit_results import LimitMetaAnalysisResult, limit_interval, tail

__all__ = ["limit_meta_analysis"]

_SAME = 1e-10
"""Relative spread of standard errors that is rounding."""


def limit_meta_analysis(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    adjust: Literal["beta0", "betalim", "mulim"] = "beta0",
    tau2_method: str | None = None,
    level: float | None = None,
) -> LimitMetaAnalysisResult:
    """Adjust a random-effects meta-analysis for small-study effects by Rücker's limit meta-analysis.

    Each study's effect is a mean, a random deviation and a small-study effect ``alpha`` that grows with
    ``sqrt(vi + tau2)``. If every study were infinitely precise, only the deviation would remain: the adjusted effect
    is what is pooled then. It keeps heterogeneity apart from small-study effects, which a regression on the standard
    error mixes.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A random-effects fit, or a table of effects.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of `data`.
    adjust : {"beta0", "betalim", "mulim"}, default "beta0"
        The adjusted effect: ``beta + tau * alpha``, expected of an infinitely precise study; or the slope of the limit
        radial plot with an intercept, or without.
    tau2_method : str, optional
        As in `meta_analysis`; that of the fit, or REML, when left out.
    level : float, optional
        Of the intervals; that of the fit, or 0.95, when left out.

    Returns
    -------
    LimitMetaAnalysisResult
        The effect before and after, limit effects of the studies, and Q in parts.

    Raises
    ------
    DataError
        If there are faults in the data, fewer than three effects, or all variances are the same.
    ChoiceError
        If an option is unknown.
    MetapeerError
        If the fit has a common effect, which leaves nothing to adjust by.

    Warns
    -----
    DataWarning
        As in `egger_test`.

    References
    ----------
    Rücker, Schwarzer, Carpenter, Binder & Schumacher (2011), Biostatistics 12:122-142; Rücker, Carpenter & Schwarzer
    (2011), Biom J 53:351-368. ``limitmeta`` of the R package metasens.

    Examples
    --------
    >>> found = limit_meta_analysis(yi=[0.1, 0.2, 0.5, 0.3, 0.35, 0.5, 0.4, 0.7, 0.65, 0.2, 0.85],
    ...                             sei=[0.05, 0.08, 0.1, 0.13, 0.15, 0.2, 0.22, 0.28, 0.3, 0.38, 0.4])
    >>> round(found.original.estimate, 3), round(found.estimate, 3), round(found.G2, 3)
    (0.345, 0.221, 0.679)
    """
    check_choice("adjust", adjust, ADJUSTMENTS)
    given = read_studies(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure)
    if given.fit is not None and given.fit.model == "common":
        raise MetapeerError("the fit has a common effect; limit meta-analysis adjusts a random-effects fit: refit it")
    options = options_of(given, tau2_method=tau2_method, level=level)
    effects = given.effects
    sei_ = np.sqrt(effects.vi)
    if float(np.ptp(sei_)) <= _SAME * float(sei_.max()):
        raise DataError(given.source, ["all variances are the same, so that no small-study effect can be told"])
    original = pool(effects, **options, warn=False)
    spread = np.sqrt(effects.vi + original.tau2)
    if float(np.ptp(spread)) <= _SAME * float(spread.max()):
        raise DataError(
            given.source, ["heterogeneity is so large that all studies weigh the same: nothing to adjust by"]
        )
    found = limit_estimates(effects.yi, effects.vi, tau2=original.tau2, adjust=adjust)
    notes = Notes()
    tell_studies(given, notes, what="this adjustment", predictor="sei")
    if original.tau2 == 0.0:
        notes.say("tau² is estimated as 0: all limit effects are one, and 'beta0' and 'betalim' are PET's limit")
    notes.warn(stacklevel=2)
    found.shrunken.setflags(write=False)
    statistic = found.estimate / found.se
    return LimitMetaAnalysisResult(
        measure=effects.measure,
        k=given.k,
        trials=effects.trial_count,
        original=original,
        adjust=adjust,
        estimate=found.estimate,
        se=found.se,
        ci=limit_interval(found.estimate, found.se, original.level),
        statistic=statistic,
        p_value=two_sided_p(statistic, None),
        shrunken=found.shrunken,
        intercept=found.intercept,
        slope=found.slope,
        tau2=original.tau2,
        tau2_method=original.tau2_method,
        Q=found.Q,
        Q_p=tail(found.Q, given.k - 1),
        Q_small=found.Q_small,
        Q_small_p=tail(found.Q_small, 1),
        Q_residual=found.Q_residual,
        Q_residual_p=tail(found.Q_residual, given.k - 2),
        G2=found.G2,
        level=original.level,
        notes=tuple(notes.said),
        studies=given,
    )
