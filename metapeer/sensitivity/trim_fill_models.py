"""The door to trim and fill: a fit or effects in, a `TrimFillResult` out."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import DataError, check_choice
from metapeer.formatting import count
from metapeer.pooling.models import Effects, MetaOptions, Model, Notes, pool
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.tau2 import estimate_tau2
from metapeer.pooling.weighted import FloatArray, total
from metapeer.sensitivity.asymmetry_data import FEW, StudyEffects, options_of, read_studies, tell_studies
from metapeer.sensitivity.asymmetry_lines import fit_line
from metapeer.sensitivity.trim_fill import ESTIMATORS, missing_studies
from metapeer.sensitivity.trim_fill_results import TrimFillResult

__all__ = ["trim_and_fill"]

SIDES = ("left", "right")


def _mean(yi: FloatArray, vi: FloatArray, *, tau2_method: str) -> float:
    """Inverse-variance mean; of one study its effect. An empty `tau2_method` stands for a common effect."""
    tau2 = estimate_tau2(yi, vi, tau2_method).tau2 if tau2_method and yi.size > 1 else 0.0
    w = 1.0 / (vi + tau2)
    centre = float(yi[0])
    return float(w @ (yi - centre)) / total(w) + centre


def _side(given: StudyEffects, tau2_method: str) -> str:
    """The side opposite to where the imprecise studies lie, as metafor has it."""
    sei = np.sqrt(given.effects.vi)
    try:
        slope = fit_line(given.effects.yi, given.effects.vi, sei, tau2_method=tau2_method or None).beta[1]
    except DataError as error:
        why = error.faults[0].message
        raise DataError(
            given.source,
            [f"the side cannot be told by a regression on standard errors ({why}); give side= left or right"],
        ) from None
    return "right" if slope < 0 else "left"


def trim_and_fill(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    side: Literal["left", "right"] | None = None,
    estimator: Literal["L0", "R0", "Q0"] = "L0",
    trim_model: Model | None = None,
    model: Model | None = None,
    tau2_method: str | None = None,
    ci_method: str | None = None,
    prediction_method: str | None = None,
    level: float | None = None,
) -> TrimFillResult:
    """Ask what the pooled effect would be if the funnel were symmetric: Duval and Tweedie's trim and fill.

    It supposes that asymmetry comes from suppressed studies with the most extreme effects on one side. Where effects
    vary for other reasons it fills in studies that never were (Peters et al. 2007; Terrin et al. 2003): the filled
    estimate is a "what if", not a corrected effect.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, whose options are used, or a table of effects.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of `data`.
    side : {"left", "right"}, optional
        Where studies are missing; when left out, the side opposite to imprecise studies, told by a regression on
        standard errors.
    estimator : {"L0", "R0", "Q0"}, default "L0"
        Of the number of missing studies.
    trim_model : {"random", "common"}, optional
        Model that studies are trimmed by, and that tells the side; that of the pooled effect when left out. "common"
        trims as the R package meta does.
    model, tau2_method, ci_method, prediction_method, level
        As in `meta_analysis`; those of the fit when left out.

    Returns
    -------
    TrimFillResult
        The fit before and after, the number of studies filled in, and these.

    Raises
    ------
    DataError
        If there are faults in the data, fewer than three effects, or all variances are the same and no side is given.
    ChoiceError
        If an option is unknown.
    ConvergenceError
        If the number of missing studies does not settle.
    MetapeerError
        If Q0 is not defined.

    Warns
    -----
    DataWarning
        If there are fewer than 10 studies, or several effects of a trial are taken as independent.

    References
    ----------
    Duval & Tweedie (2000), J Am Stat Assoc 95:89-98 and Biometrics 56:455-463; Terrin, Schmid, Lau & Olkin (2003), Stat
    Med 22:2113-2126; Peters et al. (2007), Stat Med 26:4544-4562. ``trimfill`` of metafor.

    Examples
    --------
    >>> found = trim_and_fill(yi=[0.1, 0.2, 0.15, 0.3, 0.35, 0.5, 0.4, 0.7, 0.65, 0.9, 0.85],
    ...                       sei=[0.05, 0.08, 0.1, 0.13, 0.15, 0.2, 0.22, 0.28, 0.3, 0.38, 0.4])
    >>> found.side, found.k0, round(found.original.estimate, 3), round(found.filled.estimate, 3)
    ('left', 5, 0.306, 0.208)
    """
    check_choice("estimator", estimator, ESTIMATORS)
    if side is not None:
        check_choice("side", side, SIDES)
    if trim_model is not None:
        check_choice("trim_model", trim_model, ("random", "common"))
    given = read_studies(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure)
    options = options_of(
        given,
        model=model,
        tau2_method=tau2_method,
        ci_method=ci_method,
        prediction_method=prediction_method,
        level=level,
    )
    trimmed_by = trim_model or options["model"]
    estimator_of_tau2 = "" if trimmed_by == "common" else options["tau2_method"]
    chosen = side or _side(given, estimator_of_tau2)
    effects = given.effects
    found = missing_studies(
        effects.yi,
        effects.vi,
        side=chosen,
        estimator=estimator,
        mean=lambda y, v: _mean(y, v, tau2_method=estimator_of_tau2),
    )
    notes = Notes()
    tell_studies(given, notes, what="")
    if effects.trial_count < FEW:
        notes.doubt(
            f"{count(effects.trial_count, 'study', 'studies')}: with fewer than {FEW}, a lopsided funnel is mostly "
            "chance, and so are the studies filled in"
        )
    original = pool(effects, **options, warn=False)
    filled, added = _fill(effects, found.trimmed.tolist(), found.centre, options)
    notes.warn(stacklevel=2)
    return TrimFillResult(
        measure=effects.measure,
        original=original,
        filled=filled,
        k0=found.k0,
        k0_se=found.k0_se,
        p_value=found.p_value,
        side=chosen,
        side_given=side is not None,
        estimator=estimator,
        trim_model=trimmed_by,
        centre=found.centre,
        iterations=found.iterations,
        added=added,
        notes=tuple(notes.said),
    )


def _fill(
    effects: Effects, trimmed: list[int], centre: float, options: MetaOptions
) -> tuple[MetaAnalysisResult, pd.DataFrame]:
    """Pool with the mirror images."""
    images = 2.0 * centre - effects.yi[trimmed]
    mirrored = [effects.labels[i] for i in trimmed]
    names = [f"filled {i + 1}" for i in range(len(trimmed))]
    added = pd.DataFrame(
        {
            "label": names,
            "yi": images,
            "sei": np.sqrt(effects.vi[trimmed]),
            "mirror_of": mirrored,
            "place": np.array(trimmed, dtype=np.intp),
        }
    )
    whole = Effects(
        yi=np.concatenate([effects.yi, images]),
        vi=np.concatenate([effects.vi, effects.vi[trimmed]]),
        labels=(*effects.labels, *names),
        measure=effects.measure,
        positive_favours=effects.positive_favours,
        trials=(*effects.trials, *names) if effects.trials else (),
        excluded=effects.excluded,
    )
    return pool(whole, **options, warn=False), added
