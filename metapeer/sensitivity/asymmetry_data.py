"""What tests of small-study effects are given: a fit, a table or arrays, read alike, and the doubts they share."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import DataError, DataWarning, Fault, MetapeerError
from metapeer.formatting import count
from metapeer.pooling.intervals import check_level
from metapeer.pooling.models import Effects, MetaOptions, Notes, meta_analysis, meta_options, read_effects
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray

__all__ = [
    "ARTEFACT",
    "FEW",
    "StudyEffects",
    "arm_sizes",
    "fit_of",
    "level_of",
    "options_of",
    "read_studies",
    "size_words",
    "tell_studies",
]

FEW = 10
"""Studies below which tests of asymmetry have little power: Sterne et al. (2011), BMJ 343:d4002."""

SIMILAR = 4.0
"""Ratio of the largest to the smallest variance up to which studies are too alike in precision for such a test:
Ioannidis & Trikalinos (2007), CMAJ 176:1091-1096."""

ARTEFACT = {
    "SMD": "predictor='modified_sei', which the effect does not enter",
    "SMDH": "predictor='modified_sei', which the effect does not enter",
    "OR": "harbord_test() or peters_test(), made for counts",
    "PETO": "harbord_test() or peters_test(), made for counts",
    "RR": "peters_test(), or harbord_test() for the odds ratio",
}
"""Measures whose variance is a function of the effect, with what to use instead: Sterne et al. (2011); Pustejovsky &
Rodgers (2019), Res Synth Methods 10:57-71."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyEffects:
    """Effects of studies, and the fit they came from if there was one.

    Parameters
    ----------
    effects : Effects
        Effects that passed every check.
    fit : MetaAnalysisResult or None
        The fit that was given.
    source : str
        What errors call the data.
    """

    effects: Effects
    fit: MetaAnalysisResult | None
    source: str

    @property
    def k(self) -> int:
        """How many effects there are."""
        return int(self.effects.yi.size)


def level_of(level: float | None, fit: MetaAnalysisResult | None) -> float:
    """Confidence level of the intervals: the one asked for, that of the fit, or 0.95.

    Parameters
    ----------
    level : float or None
        As it was given.
    fit : MetaAnalysisResult or None
        The fit that was given.

    Returns
    -------
    float
        Checked.

    Examples
    --------
    >>> level_of(0.9, None), level_of(None, None)
    (0.9, 0.95)
    """
    return check_level(level if level is not None else 0.95 if fit is None else fit.level)


def _trials(fit: MetaAnalysisResult) -> tuple[str, ...]:
    if fit.data is not None and "study_id" in fit.data:
        studies = ["" if pd.isna(value) else str(value) for value in fit.data["study_id"]]
        if all(studies):
            return tuple(studies)
    return fit.labels if len(set(fit.labels)) == fit.trials else ()


def read_studies(
    data: MetaAnalysisResult | pd.DataFrame | None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    least: int = 3,
) -> StudyEffects:
    """Take effects from a fit, a table or arrays.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame or None
        A fit, or a table of effects.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, in the place of `data`.
    least : int, default 3
        How many effects are needed.

    Returns
    -------
    StudyEffects
        The effects, checked.

    Raises
    ------
    DataError
        If there are faults in the data, or too few effects.
    MetapeerError
        If the fit is not a mean of effects, or several sources are given.

    Examples
    --------
    >>> read_studies(None, yi=[0.1, 0.3, 0.2], sei=[0.1, 0.2, 0.3]).k
    3
    """
    arrays = yi is not None or vi is not None or sei is not None
    if isinstance(data, MetaAnalysisResult):
        if arrays or labels is not None:
            raise MetapeerError("the fit has its effects and labels; leave yi, vi, sei and labels out")
        if measure and measure != data.measure:
            raise MetapeerError(f"the fit is of {data.measure or 'no stated measure'}; leave measure= out")
        if data.weighting not in ("inverse variance", "common-effect weights"):
            raise MetapeerError(
                f"the fit was pooled by {data.weighting}; give one of effects and variances, from meta_analysis()"
            )
        effects = Effects(
            yi=data.yi,
            vi=data.vi,
            labels=data.labels,
            measure=data.measure,
            positive_favours=data.positive_favours,
            trials=_trials(data),
            data=data.data,
            excluded=data.excluded,
        )
        found = StudyEffects(effects=effects, fit=data, source="the fit")
    elif data is None:
        if yi is None:
            raise MetapeerError("give a fit, a table of effects, or yi with vi or sei")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # dependence is told by whoever asks
            fit = meta_analysis(yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, model="common")
        effects = Effects(
            yi=fit.yi, vi=fit.vi, labels=fit.labels, measure=fit.measure, trials=() if labels is None else fit.labels
        )
        found = StudyEffects(effects=effects, fit=None, source="the effects")
    elif isinstance(data, pd.DataFrame):
        if arrays:
            raise MetapeerError("give either a table or yi with vi or sei, not both")
        effects = read_effects(data, labels=labels, measure=measure)
        found = StudyEffects(effects=effects, fit=None, source=str(data.attrs.get("source", "the table")))
    else:
        raise MetapeerError(
            f"data is a {type(data).__name__}; give a result of meta_analysis(), a table of effects, or yi with vi"
        )
    if found.k < least:
        faults = [Fault(row=label, message=reason) for label, reason in found.effects.excluded]
        need = f"{count(found.k, 'effect')} can be used; at least {least} are needed"
        raise DataError(found.source, [*faults, Fault(message=need)])
    return found


def options_of(given: StudyEffects, **options: Any) -> MetaOptions:
    """Fill in options of pooling: what is asked for, else what the fit did, else the defaults of `meta_analysis`.

    Parameters
    ----------
    given : StudyEffects
        From `read_studies`.
    **options
        As in `meta_analysis`; None where left out.

    Returns
    -------
    MetaOptions
        Checked.
    """
    fit = given.fit
    chosen = {name: value for name, value in options.items() if value is not None}
    if fit is not None:
        model = chosen.setdefault("model", fit.model)
        chosen.setdefault("level", fit.level)
        if model == fit.model:
            chosen.setdefault("ci_method", fit.ci_method)
        if model == "random" == fit.model:
            chosen.setdefault("tau2_method", fit.tau2_method)
            chosen.setdefault("prediction_method", fit.prediction_method or None)
    chosen.setdefault("model", "random")
    return meta_options(**chosen)


def fit_of(given: StudyEffects) -> MetaAnalysisResult:
    """Return the fit that was given, or pool the effects with the defaults.

    Parameters
    ----------
    given : StudyEffects
        From `read_studies`.

    Returns
    -------
    MetaAnalysisResult
        Of all effects.
    """
    from metapeer.pooling.models import pool

    return given.fit if given.fit is not None else pool(given.effects, **meta_options(model="random"), warn=False)


def arm_sizes(given: StudyEffects) -> tuple[FloatArray, FloatArray]:
    """Participants of the two arms of each study.

    Parameters
    ----------
    given : StudyEffects
        With a table that holds ``n1`` and ``n2``, or ``total1`` and ``total2``.

    Returns
    -------
    n1, n2 : array of shape (k,)
        All positive.

    Raises
    ------
    DataError
        If the columns are missing, or a number is; every fault is listed.
    """
    frame = given.effects.data
    pairs = [pair for pair in (("n1", "n2"), ("total1", "total2")) if frame is not None and set(pair) <= set(frame)]
    if frame is None or not pairs:
        raise DataError(
            given.source, ["has no sizes of the arms; give a table with n1 and n2 (or total1 and total2) beside yi"]
        )
    sizes = np.full((2, given.k), np.nan)
    for pair in pairs:
        found = [pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan) for name in pair]
        sizes = np.where(np.isnan(sizes).any(axis=0), np.array(found), sizes)
    faults = [
        Fault(
            row=given.effects.labels[i], message="has no sizes of the arms above 0; fill them in, or leave the row out"
        )
        for i in np.flatnonzero(~(np.isfinite(sizes) & (sizes > 0)).all(axis=0)).tolist()
    ]
    if faults:
        raise DataError(given.source, faults)
    return sizes[0], sizes[1]


def size_words(k: int, trials: int) -> str:
    """Say how many effects there are, and from how many trials.

    Parameters
    ----------
    k, trials : int
        Effects, and different trials.

    Returns
    -------
    str
        Such as "12 studies" or "16 effects from 15 trials".

    Examples
    --------
    >>> size_words(12, 12), size_words(16, 15)
    ('12 studies', '16 effects from 15 trials')
    """
    return count(k, "study", "studies") if k == trials else f"{count(k, 'effect')} from {count(trials, 'trial')}"


def tell_studies(
    given: StudyEffects, notes: Notes, *, what: str = "the test", predictor: str = "", clustered: bool = False
) -> None:
    """Say what makes a look at small-study effects doubtful.

    Parameters
    ----------
    given : StudyEffects
        From `read_studies`.
    notes : Notes
        Takes the doubts.
    what : str, default "the test"
        What has little power with few studies; nothing is said of power when empty.
    predictor : str, default ""
        What precision is measured by; "sei", "vi" and "rank" enter an artefact for measures in `ARTEFACT`.
    clustered : bool, default False
        Whether dependence within trials is allowed for.
    """
    effects = given.effects
    k, trials = given.k, effects.trial_count
    if trials < k and not clustered:
        notes.doubt(
            f"{size_words(k, trials)} are taken as independent; effects that share "
            "participants make intervals too narrow and p values too small"
        )
    if what and trials < FEW:
        notes.doubt(
            f"{count(trials, 'study', 'studies')}: with fewer than {FEW}, {what} has little power, and a high p value "
            "is no evidence of symmetry (Sterne et al. 2011)"
        )
    if predictor in ("sei", "vi", "rank") and effects.measure in ARTEFACT:
        notes.doubt(
            f"the variance of {effects.measure} is computed from the effect itself, so that the two go together even "
            f"without any bias, and a test on it errs too often; compare {ARTEFACT[effects.measure]}"
        )
    ratio = float(effects.vi.max() / effects.vi.min())
    if what and 1.0 < ratio <= SIMILAR:
        notes.doubt(
            f"the largest variance is {ratio:.2g} times the smallest: the studies are too alike in precision for "
            f"{what} to tell much (Ioannidis & Trikalinos 2007)"
        )
