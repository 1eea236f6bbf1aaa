"""The door to PET and PEESE: a fit or effects in, a `PetPeeseResult` out."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import MetapeerError, check_choice
from metapeer.pooling.intervals import check_level
from metapeer.pooling.models import Notes
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.asymmetry_data import read_studies, tell_studies
from metapeer.sensitivity.asymmetry_regression import build_test, clusters_of, predictor_values, regress
from metapeer.sensitivity.asymmetry_results import AsymmetryTestResult
from metapeer.sensitivity.pet_peese_results import PetPeeseResult

__all__ = ["pet_peese"]


def pet_peese(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    model: Literal["lm", "rma"] = "lm",
    predictor: Literal["sei", "modified_sei"] = "sei",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    vcov: str | None = None,
    cluster: str | Sequence[Any] | None = None,
    alpha: float = 0.10,
    level: float | None = None,
) -> PetPeeseResult:
    """Extrapolate to a study without sampling error: Stanley and Doucouliagos's PET, PEESE, and the choice of the two.

    PET regresses effects on their standard errors, PEESE on their variances; the intercept is the effect that a study
    without sampling error would show if small-study effects were all bias. PET is biased towards 0 when there is an
    effect, PEESE away from it when there is none; so PEESE is taken if PET rejects that there is none.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of `data`.
    model : {"lm", "rma"}, default "lm"
        Multiplicative errors, as its authors have them, or additive.
    predictor : {"sei", "modified_sei"}, default "sei"
        Standard error, and its square the variance; or ``sqrt(1/n1 + 1/n2)`` and its square, for standardised mean
        differences.
    tau2_method, ci_method, vcov, cluster
        As in `egger_test`; ``vcov="CR2"`` allows for several effects of a trial, and without such is the
        heteroscedasticity-consistent HC2.
    alpha : float, default 0.10
        Level of PET's two-sided test; 0.10 is the one-sided 0.05 of Stanley (2017).
    level : float, optional
        Of the intervals; that of the fit, or 0.95, when left out.

    Returns
    -------
    PetPeeseResult
        Both regressions and the choice.

    Raises
    ------
    DataError
        If there are faults in the data, fewer than three effects, or no variation in the predictor.
    ChoiceError
        If an option is unknown or has no effect with the others.
    MetapeerError
        If `alpha` is not between 0 and 1.

    Warns
    -----
    DataWarning
        As in `egger_test`.

    References
    ----------
    Stanley & Doucouliagos (2014), Res Synth Methods 5:60-78; Stanley (2017), Soc Psychol Personal Sci 8:581-591 (where
    it fails: few studies, large heterogeneity, small studies only).

    Examples
    --------
    >>> found = pet_peese(yi=[0.1, 0.2, 0.15, 0.3, 0.35, 0.5, 0.4, 0.7, 0.65, 0.9, 0.85],
    ...                   sei=[0.05, 0.08, 0.1, 0.13, 0.15, 0.2, 0.22, 0.28, 0.3, 0.38, 0.4])
    >>> found.chosen, round(found.pet.limit, 3), round(found.peese.limit, 3)
    ('PET', -0.014, 0.12)
    """
    check_choice("predictor", predictor, ("sei", "modified_sei"))
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0.0 < alpha < 1.0:
        raise MetapeerError(f"alpha must be a number between 0 and 1, not {alpha!r}")
    given = read_studies(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure)
    clusters = clusters_of(given, cluster, vcov)
    chosen_level = check_level(
        given.fit.level if given.fit is not None and level is None else 0.95 if level is None else level
    )
    x = predictor_values(given, predictor)

    def regression(values: FloatArray, code: str, name: str) -> AsymmetryTestResult:
        line, words, estimator = regress(
            given,
            values,
            model=model,
            tau2_method=tau2_method,
            ci_method=ci_method,
            clusters=clusters,
            vcov=vcov,
            level=chosen_level,
        )
        return build_test(given, line, values, name, code, words, estimator, chosen_level, Notes())

    pet = regression(x, predictor, "PET")
    peese = regression(x**2, "vi" if predictor == "sei" else "modified_vi", "PEESE")
    assert pet.line is not None  # noqa: S101
    p_value = float(pet.line.p_value[0])
    notes = Notes()
    tell_studies(given, notes, what="this regression", predictor=predictor, clustered=clusters is not None)
    _tell_reach(pet, notes)
    notes.warn(stacklevel=2)
    return PetPeeseResult(
        measure=given.effects.measure,
        k=given.k,
        trials=given.effects.trial_count,
        pet=pet,
        peese=peese,
        pet_p_value=p_value,
        alpha=float(alpha),
        chosen="PEESE" if p_value < alpha else "PET",
        notes=tuple(notes.said),
    )


def _tell_reach(pet: AsymmetryTestResult, notes: Notes) -> None:
    """Say how far the line is drawn beyond the studies that carry it."""
    nearest = float(np.min(pet.x) / np.max(pet.x))
    if nearest > 0.5:
        notes.doubt(
            f"the most precise study has {nearest:.0%} of the least precise one's standard error: 0 lies far outside "
            "the studies, and the limit is an extrapolation"
        )
