"""The door to leave-one-out analysis: studies, or whole trials, taken out one after the other."""

import math
from typing import Any

import numpy as np
import pandas as pd

from metapeer.errors import MetapeerError
from metapeer.formatting import count
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.sensitivity.deletion_results import LeaveOneOutResult
from metapeer.sensitivity.influence_refits import effects_of, fit_of, groups_of, options_of, refit

__all__ = ["leave_one_out"]


def leave_one_out(
    fit: MetaAnalysisResult | pd.DataFrame | None = None, *, by: str | None = None, **options: Any
) -> LeaveOneOutResult:
    """Repeat a meta-analysis without each study in turn, or without each trial with all of its rows.

    Every step is the meta-analysis of the other rows by the fit's own options: tau2 is estimated anew. That no single
    deletion changes a conclusion does not make it sure; two studies may err together.

    Parameters
    ----------
    fit : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects.
    by : str, optional
        A column, such as ``"study_id"``: all rows with one value leave together. Every row by itself when left out.
    **options
        With a table: as `meta_analysis` takes them. Without one: ``yi`` and ``vi`` or ``sei`` as well. A fit has its
        own.

    Returns
    -------
    LeaveOneOutResult
        A row for each deletion, and which of them change the conclusion.

    Raises
    ------
    DataError
        If a table cannot be pooled, or there is no column `by` or it has gaps.
    MetapeerError
        If there is nothing to leave out, or the fit cannot be repeated from effects and variances.
    ConvergenceError
        If the estimator of tau2 finds no answer without some study; it is named.

    References
    ----------
    Viechtbauer & Cheung (2010), Res Synth Methods 1:112-125. Function ``leave1out`` of metafor, Viechtbauer (2010), J
    Stat Softw 36(3):1-48.

    Examples
    --------
    >>> from metapeer.sensitivity.deletion_models import leave_one_out
    >>> found = leave_one_out(yi=[0.1, 0.3, 0.35, 0.65], vi=[0.03, 0.03, 0.05, 0.01], ci_method="z")
    >>> found.to_frame()[["without", "estimate", "ci_low", "tau2"]].round(3)
      without  estimate  ci_low   tau2
    0       1     0.478   0.226  0.025
    1       2     0.392   0.048  0.065
    2       3     0.375   0.043  0.064
    3       4     0.235   0.024  0.000
    """
    whole = fit_of(fit, options, stacklevel=2)
    names, groups = groups_of(whole, by)
    what = "study" if by is None else by
    if len(groups) < 2:
        raise MetapeerError(f"there is one {what}: without it nothing is left to pool")
    effects, how = effects_of(whole), options_of(whole)
    columns = ("estimate", "se", "ci_low", "ci_high", "p_value", "pi_low", "pi_high", "tau2", "I2", "I2_Q", "Q", "Q_p")
    found = {name: np.empty(len(groups)) for name in columns}
    left_k = np.empty(len(groups), dtype=np.int64)
    peaks = []
    for i, (name, rows) in enumerate(zip(names, groups, strict=True)):
        left = refit(effects, how, rows, name)
        left_k[i] = left.k
        pi = left.prediction_interval
        numbers = (
            left.estimate,
            left.se,
            left.ci.low,
            left.ci.high,
            left.p_value,
            math.nan if pi is None else pi.low,
            math.nan if pi is None else pi.high,
            left.tau2,
            left.I2,
            left.I2_Q,
            left.Q,
            left.Q_p,
        )
        for column, number in zip(columns, numbers, strict=True):
            found[column][i] = number
        if left.other_maxima:
            peaks.append(name)
    notes = []
    if by is None and whole.trials < whole.k:
        notes.append(
            f"{count(whole.k, 'effect')} from {count(whole.trials, 'trial')}: one row leaves at a time, and the others "
            "of its trial stay; by='study_id' leaves out whole trials"
        )
    if (left_k == 1).any():
        notes.append("where one effect is left, its interval is normal, and tau² cannot be estimated")
    if peaks:
        shown = ", ".join(peaks[:5]) + (f" and {len(peaks) - 5} more" if len(peaks) > 5 else "")
        notes.append(f"the likelihood of tau² has several maxima without {shown}; the highest is taken")
    left_k.setflags(write=False)
    for array in found.values():
        array.setflags(write=False)
    return LeaveOneOutResult(fit=whole, by=by or "", names=names, groups=groups, k=left_k, **found, notes=tuple(notes))
