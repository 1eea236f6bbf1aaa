"""The door to pooling: a table or arrays of effects in, a `MetaAnalysisResult` out."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.effects.measures import find_measure
from metapeer.errors import ChoiceError, DataError, DataWarning, Fault, MetapeerError, check_choice
from metapeer.formatting import count
from metapeer.pooling.heterogeneity import Heterogeneity, cochran_q, h2_from_tau2, i2_from_h2, i2_test_based
from metapeer.pooling.inference import CI_METHODS, FIXED_WEIGHTS, GOES_WITH, Inference, infer, infer_specially
from metapeer.pooling.intervals import Interval, check_level, normal_quantile
from metapeer.pooling.prediction import PREDICTION_METHODS, nnf_prediction_interval, prediction_interval
from metapeer.pooling.presets import PRESETS
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.tau2 import TAU2_METHODS, Tau2Estimate, estimate_tau2, tau2_dl
from metapeer.pooling.tau2_intervals import TAU2_CI_METHODS, tau2_interval
from metapeer.pooling.weighted import FloatArray, total

__all__ = [
    "Effects",
    "MetaOptions",
    "Model",
    "Notes",
    "build_result",
    "meta_analysis",
    "meta_options",
    "pool",
    "read_effects",
    "refuse_without_tau2",
    "tell_dependence",
]

Model = Literal["random", "common"]
MODELS = ("random", "common")
COMMON_CI_METHODS = ("z", "t")
LARGEST = 1e60
"""Effects beyond it, or standard errors beyond it or below its inverse, would overflow once raised to powers."""
DISAGREEMENT = 25.0
"""Points of I² by which estimators of tau² may differ unremarked: the width of Higgins et al.'s (2003) bands."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """Effects that passed every check, ready to be pooled.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and sampling variances.
    labels : tuple of str
        Names of the rows.
    measure, positive_favours : str
        As in `MetaAnalysisResult`; empty when unknown.
    trials : tuple of str
        The trial of each row; empty when trials were not named, and then every row is taken for one of its own.
    data : DataFrame or None
        The rows as given.
    excluded : tuple of (str, str)
        Rows left out, each with the reason.
    """

    yi: FloatArray
    vi: FloatArray
    labels: tuple[str, ...]
    measure: str = ""
    positive_favours: str = ""
    trials: tuple[str, ...] = ()
    data: pd.DataFrame | None = None
    excluded: tuple[tuple[str, str], ...] = ()

    @property
    def trial_count(self) -> int:
        """How many different trials there are."""
        return len(set(self.trials)) if self.trials else self.yi.size

    def rows(self, chosen: Sequence[int], *, excluded: tuple[tuple[str, str], ...] = ()) -> "Effects":
        """Keep only some rows.

        Parameters
        ----------
        chosen : sequence of int
            Positions.
        excluded : tuple of (str, str), default ()
            What the new list of excluded rows is to be.

        Returns
        -------
        Effects
            The chosen rows, in the order given.
        """
        index = np.asarray(chosen, dtype=np.intp)
        return Effects(
            yi=self.yi[index],
            vi=self.vi[index],
            labels=tuple(self.labels[i] for i in index),
            measure=self.measure,
            positive_favours=self.positive_favours,
            trials=tuple(self.trials[i] for i in index) if self.trials else (),
            data=None if self.data is None else self.data.iloc[index].reset_index(drop=True),
            excluded=excluded,
        )


@dataclass(slots=True)
class Notes:
    """Collects what a reader must know; what is doubtful is also warned of.

    Parameters
    ----------
    said : list of str
        Everything, in order.
    doubts : list of str
        The doubtful part of it.
    """

    said: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Note something.

        Parameters
        ----------
        text : str
            One sentence.
        """
        self.said.append(text)

    def doubt(self, text: str) -> None:
        """Note something doubtful.

        Parameters
        ----------
        text : str
            One sentence.
        """
        self.said.append(text)
        self.doubts.append(text)

    def warn(self, stacklevel: int) -> None:
        """Give every doubt as a `DataWarning`.

        Parameters
        ----------
        stacklevel : int
            As for `warnings.warn`, seen from the caller.
        """
        for text in self.doubts:
            warnings.warn(text, DataWarning, stacklevel=stacklevel + 1)


def _numbers(name: str, values: ArrayLike) -> FloatArray:
    """Return a one-dimensional array of floats, or say what stands in the way."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(name, ["must be numbers"]) from None
    if array.ndim != 1:
        raise DataError(name, [f"must be a list of numbers, not an array of shape {array.shape}"])
    return array


def _faults_of_values(
    yi: FloatArray, vi: FloatArray, names: Sequence[str], lines: Sequence[int] | None, *, spread: str, empty: str = ""
) -> list[Fault]:
    """List effects that are not finite and variances (or standard errors: `spread`) that are not positive.

    `empty` is what to say of a missing number, where that is an empty cell.
    """
    least, most = (1.0 / LARGEST**2, LARGEST**2) if spread == "vi" else (1.0 / LARGEST, LARGEST)
    if np.abs(yi).max(initial=0.0) <= LARGEST and vi.min(initial=1.0) >= least and vi.max(initial=1.0) <= most:
        return []  # a NaN makes every comparison false
    what = {"vi": "sampling variance", "sei": "standard error"}[spread]
    faults = []
    for i in np.flatnonzero(~(np.abs(yi) <= LARGEST) | ~((vi >= least) & (vi <= most))).tolist():
        row, line = names[i], None if lines is None else int(lines[i])
        if not np.isfinite(yi[i]):
            message = empty if empty and np.isnan(yi[i]) else f"{yi[i]} is not an effect; give a finite number"
            faults.append(Fault(column="yi", message=message, row=row, line=line))
        elif abs(yi[i]) > LARGEST:
            faults.append(Fault(column="yi", message=f"{yi[i]:g} is too large to compute with", row=row, line=line))
        if not (np.isfinite(vi[i]) and vi[i] > 0):
            message = empty if empty and np.isnan(vi[i]) else f"{vi[i]:g} is not a {what}; it must be finite and > 0"
            faults.append(Fault(column=spread, message=message, row=row, line=line))
        elif not least <= vi[i] <= most:
            message = f"{vi[i]:g} is too {'small' if vi[i] < least else 'large'} a {what} to compute with"
            faults.append(Fault(column=spread, message=message, row=row, line=line))
    return faults


def _from_arrays(
    yi: ArrayLike, vi: ArrayLike | None, sei: ArrayLike | None, labels: Sequence[str] | None, measure: str | None
) -> Effects:
    effects = _numbers("yi", yi)
    if measure:
        find_measure(measure)
    if (vi is None) == (sei is None):
        raise MetapeerError("give either vi (sampling variances) or sei (standard errors) with yi")
    variances = _numbers("vi", vi) if vi is not None else _numbers("sei", sei if sei is not None else ())
    if variances.size != effects.size:
        given = "vi" if vi is not None else "sei"
        raise MetapeerError(f"yi has {effects.size} values and {given} has {variances.size}; they must pair up")
    if labels is not None and len(labels) != effects.size:
        raise MetapeerError(f"yi has {effects.size} values and labels has {len(labels)}; they must pair up")
    names = tuple(map(str, labels)) if labels is not None else tuple(map(str, range(1, effects.size + 1)))
    faults = _faults_of_values(effects, variances, names, None, spread="vi" if sei is None else "sei")
    if faults:
        raise DataError("the effects", faults)
    if sei is not None:
        variances = variances**2
    return Effects(
        yi=effects, vi=variances, labels=names, measure=measure or "", trials=() if labels is None else names
    )


def _text(frame: pd.DataFrame, column: str) -> list[str]:
    if column not in frame:
        return [""] * len(frame)
    return ["" if pd.isna(value) else str(value) for value in frame[column]]


def _row_names(frame: pd.DataFrame) -> list[str]:
    """Name rows by trial, and by whatever else is needed to tell rows of one trial apart."""
    studies = _text(frame, "study_id")
    if not any(studies):
        return [str(i) for i in frame.index]
    names = studies
    for column in ("comparison", "outcome", "instrument", "timepoint_months", "row_id"):
        if len(set(names)) == len(names):
            break
        repeated = {name for name, times in Counter(names).items() if times > 1}
        names = [
            f"{name}, {more}" if name in repeated and more and more not in name else name
            for name, more in zip(names, _text(frame, column), strict=True)
        ]
    return names


def _numeric_column(frame: pd.DataFrame, column: str, names: Sequence[str], faults: list[Fault]) -> FloatArray:
    values = _loose_numbers(frame[column])
    cells = frame[column].tolist()
    faults += [
        Fault(row=name, column=column, message=f"{cell!r} is not a number")
        for name, cell, value in zip(names, cells, values, strict=True)
        if np.isnan(value) and not pd.isna(cell)
    ]
    return np.array(values)


def _single(frame: pd.DataFrame, column: str, source: str) -> str:
    """Return the one value that a column of words holds in all rows."""
    values = sorted(set(_text(frame, column)))
    if len(values) > 1:
        shown = ", ".join(repr(v) if v else "none" for v in values)
        remedy = {
            "measure": "select rows of one measure",
            "positive_favours": "compute the effects with effect_size(orient=True)",
        }[column]
        raise DataError(source, [Fault(column=column, message=f"rows differ ({shown}); {remedy}")])
    return values[0] if values else ""


def read_effects(
    data: pd.DataFrame, *, labels: str | Sequence[str] | None = None, measure: str | None = None
) -> Effects:
    """Check a table of effects and take from it what pooling needs.

    Parameters
    ----------
    data : DataFrame
        With ``yi`` and ``vi`` or ``sei``; ``exclusion_reason``, ``measure``, ``positive_favours``, ``study_id`` and the
        columns of the arms are used where they stand.
    labels : str or sequence of str, optional
        A column or the names themselves; made from ``study_id`` when left out.
    measure : str, optional
        The effect measure, when the table has no ``measure`` column.

    Returns
    -------
    Effects
        The rows that can be pooled, and the list of those that cannot.

    Raises
    ------
    DataError
        Listing every fault.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"study_id": ["a", "b"], "yi": [0.1, None], "sei": [0.2, None],
    ...                       "exclusion_reason": ["", "sd1 is missing"]})
    >>> effects = read_effects(table)
    >>> effects.labels, effects.excluded
    (('a',), (('b', 'sd1 is missing'),))
    """
    source = str(data.attrs.get("source", "the table"))
    repeated = sorted({str(name) for name in data.columns[data.columns.duplicated()]})
    if repeated:
        raise DataError(source, [Fault(column=name, message="stands in the table more than once") for name in repeated])
    if "yi" not in data or ("vi" not in data and "sei" not in data):
        missing = "yi" if "yi" not in data else "vi or sei"
        raise DataError(source, [f"column {missing} is missing; compute effects with effect_size() first"])
    reasons = _text(data, "exclusion_reason")
    names = _row_names(data)
    if isinstance(labels, str):
        if labels not in data:
            raise DataError(source, [f"there is no column {labels!r} to take labels from"])
        names = _text(data, labels)
    elif labels is not None:
        if len(labels) != len(data):
            raise DataError(source, [f"the table has {len(data)} rows and labels has {len(labels)}; they must pair up"])
        names = [str(name) for name in labels]
    usable = [i for i, reason in enumerate(reasons) if not reason]
    kept = data.iloc[usable]
    kept_names = tuple(names[i] for i in usable)
    faults: list[Fault] = []
    yi = _numeric_column(kept, "yi", kept_names, faults)
    spread = "vi" if "vi" in kept else "sei"
    vi = _numeric_column(kept, spread, kept_names, faults)
    lines = kept["line"].tolist() if "line" in kept else None
    told = {(fault.row, fault.column) for fault in faults}
    empty = "is empty; fill it in or give an exclusion_reason"
    wrong = _faults_of_values(yi, vi, kept_names, lines, spread=spread, empty=empty)
    faults += [fault for fault in wrong if (fault.row, fault.column) not in told]
    if spread == "sei":
        vi = vi**2
    elif "sei" in kept:
        sei = _numeric_column(kept, "sei", kept_names, faults)
        faults += [
            Fault(row=kept_names[i], column="vi", message=f"{vi[i]:g} is not the square of sei, {sei[i]:g}; drop one")
            for i in np.flatnonzero(np.abs(sei**2 - vi) > 1e-6 * np.abs(vi)).tolist()
        ]
    if faults:
        raise DataError(source, faults)
    found_measure = _single(kept, "measure", source)
    for code in filter(None, (found_measure, measure)):
        find_measure(code)
    if measure and found_measure and measure != found_measure:
        raise DataError(source, [f"the effects are {found_measure}, not {measure}; leave measure= out"])
    studies = _text(kept, "study_id")
    return Effects(
        yi=yi,
        vi=vi,
        labels=kept_names,
        measure=found_measure or measure or "",
        positive_favours=_single(kept, "positive_favours", source),
        trials=tuple(studies) if all(studies) else kept_names,
        data=kept.reset_index(drop=True),
        excluded=tuple((names[i], reason) for i, reason in enumerate(reasons) if reason),
    )


def _loose_numbers(column: pd.Series) -> FloatArray:
    """Numbers of a column, NaN where a cell is not one."""
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)


def _participants(effects: Effects) -> tuple[int | None, int]:
    """Sum over trials of the participants in the trial's largest row, and how many trials tell."""
    if effects.data is None:
        return None, 0
    rows = np.full(effects.yi.size, np.nan)
    for pair in (("n1", "n2"), ("total1", "total2")):
        if set(pair) <= set(effects.data.columns):
            one, two = (
                pd.to_numeric(effects.data[c], errors="coerce").to_numpy(np.float64, na_value=np.nan) for c in pair
            )
            rows = np.where(np.isnan(rows), one + two, rows)
    largest: dict[str, float] = {}
    for trial, number in zip(effects.trials, rows, strict=True):
        if not np.isnan(number):
            largest[trial] = max(number, largest.get(trial, 0.0))
    return (int(sum(largest.values())), len(largest)) if largest else (None, 0)


def _choose_ci_method(model: str, ci_method: str | None) -> str:
    if model == "random":
        return check_choice("ci_method", ci_method or "HK", CI_METHODS)
    chosen = ci_method or "z"
    if chosen in CI_METHODS and chosen not in COMMON_CI_METHODS:
        raise ChoiceError(
            f"ci_method {chosen!r} belongs to the random-effects model; "
            f"a common effect takes {' or '.join(COMMON_CI_METHODS)}"
        )
    return check_choice("ci_method", chosen, COMMON_CI_METHODS)


def build_result(
    effects: Effects,
    *,
    model: str,
    estimate: float,
    found: Inference,
    level: float,
    notes: Notes,
    weights: FloatArray,
    hk_q: float = math.nan,
    tau2: Tau2Estimate | None = None,
    tau2_method: str = "",
    tau2_ci: Interval | None = None,
    prediction: Interval | None = None,
    prediction_method: str = "",
    het: Heterogeneity | None = None,
    weighting: str = "inverse variance",
) -> MetaAnalysisResult:
    """Put the parts together; every number that follows from others is computed here and nowhere else.

    Parameters
    ----------
    effects : Effects
        What was pooled.
    model, level
        As in `meta_analysis`.
    estimate : float
        The pooled effect.
    found : Inference
        Its standard error, interval and test.
    notes : Notes
        What a reader must know.
    weights : array of shape (k,)
        In per cent.
    hk_q : float, default NaN
        Hartung-Knapp scale factor.
    tau2 : Tau2Estimate, optional
        Between-study variance; none under a common effect.
    tau2_method : str, default ""
        Its estimator.
    tau2_ci : Interval, optional
        Its interval.
    prediction : Interval, optional
        Interval for the true effect in a new trial.
    prediction_method : str, default ""
        Its code.
    het : Heterogeneity, optional
        Q about another estimate than the inverse-variance mean, when that is what was pooled.
    weighting : str, default "inverse variance"
        How studies were combined, in words.

    Returns
    -------
    MetaAnalysisResult
        Complete.
    """
    k = effects.yi.size
    het = cochran_q(effects.yi, effects.vi) if het is None else het
    value = math.nan if tau2 is None else tau2.tau2
    h2 = h2_from_tau2(value, het.typical_variance)
    h2_q = het.Q / het.df if het.df else math.nan
    if tau2_ci is not None and abs(i2_from_h2(h2) - i2_from_h2(h2_q)) > DISAGREEMENT:
        dl = max(0.0, h2_q - 1.0) * het.typical_variance
        notes.say(
            f"estimators of tau² disagree: {tau2_method} gives {value:.4g}, DerSimonian-Laird {dl:.4g} (I² "
            f"{i2_from_h2(h2):.0f}% against {i2_from_h2(h2_q):.0f}%)"
        )
    i2_ci = None
    if tau2_ci is not None:
        low, high = (i2_from_h2(h2_from_tau2(end, het.typical_variance)) for end in tau2_ci)
        i2_ci = Interval(low, high, level, tau2_ci.method, tau2_ci.empty)
    participants, known = _participants(effects)
    for array in (effects.yi, effects.vi, weights):
        array.setflags(write=False)
    return MetaAnalysisResult(
        measure=effects.measure,
        model=model,
        k=k,
        trials=effects.trial_count,
        participants=participants,
        participants_known=known,
        estimate=estimate,
        se=found.se,
        ci=found.ci,
        ci_method=found.method,
        statistic=found.statistic,
        df=found.df,
        p_value=found.p_value,
        hk_q=hk_q,
        prediction_interval=prediction,
        prediction_method=prediction_method if prediction is not None else "",
        tau2=0.0 if model == "common" else value,
        tau2_se=math.nan if tau2 is None else tau2.se,
        tau2_method=tau2_method,
        tau2_ci=tau2_ci,
        Q=het.Q,
        Q_df=het.df,
        Q_p=het.p_value,
        H2_Q=h2_q,
        I2_Q=i2_from_h2(h2_q),
        I2_Q_ci=i2_test_based(het.Q, k, level) if k > 1 else None,
        H2=h2,
        I2=i2_from_h2(h2),
        I2_ci=i2_ci,
        other_maxima=() if tau2 is None else tau2.other_maxima,
        positive_favours=effects.positive_favours,
        level=level,
        labels=effects.labels,
        yi=effects.yi,
        vi=effects.vi,
        weights=weights,
        excluded=effects.excluded,
        notes=tuple(notes.said),
        weighting=weighting,
        data=effects.data,
    )


def _single_study(
    effects: Effects, model: str, tau2: Tau2Estimate | None, tau2_method: str, level: float, notes: Notes
) -> MetaAnalysisResult:
    """One study pools to itself: nothing can be said of how studies differ, but a shared tau2 widens its interval."""
    shared = "" if tau2 is None else " except for the tau² it shares with other subgroups"
    notes.say(f"one study: tau², I² and a prediction interval cannot be estimated from it{shared}")
    estimate = float(effects.yi[0])
    se = math.sqrt(effects.vi[0] + (0.0 if tau2 is None else tau2.tau2))
    found = infer(estimate=estimate, classic_se=se, hk_q=math.nan, k=1, method="z", level=level)
    return build_result(
        effects,
        model=model,
        estimate=estimate,
        found=found,
        level=level,
        notes=notes,
        weights=np.array([100.0]),
        tau2=tau2,
        tau2_method="" if tau2 is None else tau2_method,
    )


def _weighted_mean(yi: FloatArray, w: FloatArray) -> tuple[float, float, float]:
    """Weighted mean, its classic standard error, and the Hartung-Knapp scale factor."""
    s1 = total(w)
    # Centring first keeps digits when the effects are large and close together.
    centre = float(yi[0])
    mean = float(w.dot(yi - centre)) / s1 + centre
    residuals = yi - mean
    return mean, 1.0 / math.sqrt(s1), float((w * residuals).dot(residuals)) / (yi.size - 1)


def tell_dependence(effects: Effects, notes: Notes) -> None:
    """Warn of effects that come from the same trial.

    Parameters
    ----------
    effects : Effects
        What is pooled.
    notes : Notes
        Takes the warning.
    """
    k, trials = effects.yi.size, effects.trial_count
    if trials < k:
        notes.doubt(
            f"{count(k, 'effect')} from {count(trials, 'trial')} are pooled as if independent; "
            "effects that share participants make the interval too narrow"
        )


def tell_maxima(tau2: Tau2Estimate, method: str, notes: Notes) -> None:
    """Note that the likelihood of tau2 has several maxima, if it has.

    Parameters
    ----------
    tau2 : Tau2Estimate
        The estimate with the other maxima.
    method : str
        Its estimator.
    notes : Notes
        Where to say so.
    """
    if tau2.other_maxima:
        others = ", ".join(f"{t:.4g} (log-likelihood lower by {drop:.2g})" for t, drop in tau2.other_maxima)
        kind = "restricted likelihood" if method == "REML" else "likelihood"
        notes.doubt(f"the {kind} of tau² has several maxima: the best at {tau2.tau2:.4g}, others at {others}")


def _tell_collapse(found: Inference, hk_q: float, level: float, vi: FloatArray, notes: Notes) -> None:
    """Warn of a Hartung-Knapp interval narrower than sampling error alone allows, after Wiksten et al. (2016)."""
    if found.method != "HK":
        return
    common_width = 2.0 * normal_quantile(level) / math.sqrt(total(1.0 / vi))
    if found.ci.width < common_width:
        notes.doubt(
            f"the Hartung-Knapp interval is narrower than the common-effect interval (q = {hk_q:.3g}): the effects "
            "agree better than their sampling errors allow; compare ci_method='HK_se', 'HK_ci' or 'HK_IQWiG6'"
        )


def _tell_limits(found: Inference, asked: str, tau2: float, k: int, notes: Notes) -> None:
    """Warn where an interval is not what was asked for, or rests on an expansion that supposes a tau2 above 0."""
    if asked == "PL_S" and found.method != asked:
        where = "is estimated as 0, where" if tau2 == 0 else f"is estimated as {tau2:.3g}, so near to 0 that"
        notes.doubt(
            f"tau² {where} Skovgaard's correction is not defined: the interval is the profile-likelihood interval "
            "without it, which is too narrow when the effects do vary; compare ci_method='HK' or 'PL_B'"
        )
    if asked == "PL_B" and tau2 == 0:
        notes.say("tau² is estimated as 0, where Bartlett's factor has no proof; it is computed there all the same")
    if asked == "perm" and math.isinf(found.ci.width):
        notes.doubt(
            f"{count(k, 'study', 'studies')} are too few for sign flips at this level: with 2^{k} patterns no p value "
            f"is below {2.0 ** (1 - k):.4g}, so that no effect is rejected and the interval is the whole line"
        )


class MetaOptions(TypedDict):
    """The options that `meta_analysis` and `subgroup_analysis` share, checked."""

    model: str
    tau2_method: str
    ci_method: str
    prediction_method: str | None
    tau2_ci_method: str
    level: float
    preset: str


def refuse_without_tau2(model: str, **options: str | None) -> None:
    """Refuse options that would have no effect, for they are about the variation that a common effect has not.

    Parameters
    ----------
    model : str
        As in `meta_analysis`.
    **options
        Name to value; None where the option was left out.

    Raises
    ------
    ChoiceError
        If the model is that of a common effect and an option was given.

    Examples
    --------
    >>> refuse_without_tau2("common", tau2_method=None, preset="meta")
    Traceback (most recent call last):
    metapeer.errors.ChoiceError: preset has no effect with model='common', which has no tau²; leave it out
    """
    for name, value in options.items():
        if model == "common" and value is not None:
            raise ChoiceError(f"{name} has no effect with model='common', which has no tau²; leave it out")


def meta_options(
    *,
    model: str,
    tau2_method: str | None = None,
    ci_method: str | None = None,
    prediction_method: str | None = None,
    tau2_ci_method: str | None = None,
    level: float = 0.95,
    preset: str | None = None,
) -> MetaOptions:
    """Check the options of a meta-analysis before anything is computed, and fill in the defaults.

    Parameters
    ----------
    model, tau2_method, ci_method, prediction_method, tau2_ci_method, level, preset
        As in `meta_analysis`.

    Returns
    -------
    MetaOptions
        With `tau2_method`, `ci_method` and `tau2_ci_method` filled in.

    Raises
    ------
    ChoiceError
        If an option is unknown, or has no effect with the others.
    MetapeerError
        If `level` is not between 0 and 1.
    """
    check_choice("model", model, MODELS)
    refuse_without_tau2(
        model,
        tau2_method=tau2_method,
        prediction_method=prediction_method,
        tau2_ci_method=tau2_ci_method,
        preset=preset,
    )
    if preset:
        defaults = PRESETS[check_choice("preset", preset, PRESETS)]
        tau2_method = tau2_method or defaults.tau2_method
        ci_method = ci_method or defaults.ci_method
        prediction_method = prediction_method or defaults.prediction_method
    if prediction_method is not None:
        check_choice("prediction_method", prediction_method, PREDICTION_METHODS)
    return {
        "model": model,
        "tau2_method": check_choice("tau2_method", tau2_method or "REML", TAU2_METHODS),
        "ci_method": _choose_ci_method(model, ci_method),
        "prediction_method": prediction_method,
        "tau2_ci_method": check_choice("tau2_ci_method", tau2_ci_method or "QP", TAU2_CI_METHODS),
        "level": check_level(level),
        "preset": preset or "",
    }


def pool(
    effects: Effects,
    *,
    model: str,
    tau2_method: str,
    ci_method: str,
    prediction_method: str | None,
    tau2_ci_method: str,
    level: float,
    preset: str,
    tau2: Tau2Estimate | None = None,
    warn: bool = True,
) -> MetaAnalysisResult:
    """Pool effects that have been checked; `meta_analysis` is the door to this.

    Parameters
    ----------
    effects : Effects
        From `read_effects`.
    model, tau2_method, ci_method, prediction_method, tau2_ci_method, level, preset
        From `meta_options`.
    tau2 : Tau2Estimate, optional
        A between-study variance estimated elsewhere, such as one common to several subgroups.
    warn : bool, default True
        Whether what is doubtful is also given as a `DataWarning`; it is always among the notes.

    Returns
    -------
    MetaAnalysisResult
        The pooled result.

    Raises
    ------
    DataError
        If there is nothing to pool.
    """
    yi, vi = effects.yi, effects.vi
    k = yi.size
    notes = Notes()
    if k == 0:
        faults = [Fault(row=label, message=reason) for label, reason in effects.excluded]
        raise DataError("no effect can be pooled: the table", faults or ["has no rows"])
    if k == 1:
        return _single_study(effects, model, tau2, tau2_method, level, notes)
    if preset:
        unverified = PRESETS[preset].unverified
        notes.say(f"defaults of preset {preset!r}{f' (not verified: {unverified})' if unverified else ''}")
    tell_dependence(effects, notes)
    if model == "common":
        w = 1.0 / vi
        estimate, se, _ = _weighted_mean(yi, w)
        found = infer(estimate=estimate, classic_se=se, hk_q=math.nan, k=k, method=ci_method, level=level)
        weights = 100.0 / total(w) * w
        result = build_result(
            effects, model=model, estimate=estimate, found=found, level=level, notes=notes, weights=weights
        )
    else:
        options: MetaOptions = {
            "model": model,
            "tau2_method": tau2_method,
            "ci_method": ci_method,
            "prediction_method": prediction_method,
            "tau2_ci_method": tau2_ci_method,
            "level": level,
            "preset": preset,
        }
        result = _pool_random(effects, options, tau2, notes)
    if warn and notes.doubts:
        notes.warn(stacklevel=3)
    return result


def _pool_random(
    effects: Effects, options: MetaOptions, shared_tau2: Tau2Estimate | None, notes: Notes
) -> MetaAnalysisResult:
    """Pool two or more effects under random effects."""
    yi, vi, k = effects.yi, effects.vi, effects.yi.size
    ci_method, level, tau2_method = options["ci_method"], options["level"], options["tau2_method"]
    tau2 = estimate_tau2(yi, vi, tau2_method) if shared_tau2 is None else shared_tau2
    w = 1.0 / (vi + tau2.tau2)
    estimate, se, hk_q = _weighted_mean(yi, w)
    if ci_method in FIXED_WEIGHTS:
        w = 1.0 / vi
        estimate, _, _ = _weighted_mean(yi, w)
    if ci_method in GOES_WITH:
        found = infer_specially(
            yi,
            vi,
            estimate=estimate,
            tau2=tau2.tau2,
            tau2_method=tau2_method,
            classic_se=se,
            method=ci_method,
            level=level,
        )
    else:
        dl_se = 1.0 / math.sqrt(total(1.0 / (vi + tau2_dl(yi, vi)))) if ci_method == "HK_IQWiG6" else None
        found = infer(estimate=estimate, classic_se=se, hk_q=hk_q, k=k, method=ci_method, level=level, dl_se=dl_se)
    knapp = ci_method.startswith("HK")
    asked = options["prediction_method"] or ("HK" if knapp else "KR" if ci_method == "KR" else "V")
    if asked == "NNF":
        prediction: Interval | None = nnf_prediction_interval(yi, vi, level)
    else:
        prediction = prediction_interval(
            estimate=estimate,
            tau2=tau2.tau2,
            classic_se=found.se if ci_method in FIXED_WEIGHTS else se,
            hk_se=found.se if knapp else se * math.sqrt(hk_q),
            k=k,
            method=asked,
            level=level,
            vi=vi,
        )
    tau2_ci = None
    if shared_tau2 is None:
        tell_maxima(tau2, tau2_method, notes)
        method = options["tau2_ci_method"]
        tau2_ci = tau2_interval(yi, vi, tau2, method=method, tau2_method=tau2_method, level=level)
        if tau2_ci.empty:
            notes.say(f"the {tau2_ci.method} set for tau² is empty: the effects agree better than any tau² ≥ 0 allows")
    _tell_collapse(found, hk_q, level, vi, notes)
    _tell_limits(found, ci_method, tau2.tau2, k, notes)
    if prediction is None:
        notes.say(f"no prediction interval: {asked} has no degrees of freedom with {k} studies")
    elif k < 5:
        notes.say(f"the prediction interval rests on {k} studies; with fewer than five it is very uncertain")
    return build_result(
        effects,
        model="random",
        estimate=estimate,
        found=found,
        level=level,
        notes=notes,
        weights=100.0 / total(w) * w,
        hk_q=hk_q,
        tau2=tau2,
        tau2_method=tau2_method,
        tau2_ci=tau2_ci,
        prediction=prediction,
        prediction_method=asked,
        weighting="common-effect weights" if ci_method in FIXED_WEIGHTS else "inverse variance",
    )


def meta_analysis(
    data: pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    model: Model = "random",
    tau2_method: str | None = None,
    ci_method: str | None = None,
    prediction_method: str | None = None,
    tau2_ci_method: str | None = None,
    level: float = 0.95,
    preset: str | None = None,
) -> MetaAnalysisResult:
    """Pool effects under a random-effects or common-effect model.

    Parameters
    ----------
    data : DataFrame, optional
        A table with columns ``yi`` and ``vi`` or ``sei``, as `effect_size` returns it. Rows with an
        ``exclusion_reason`` are not pooled; the result lists them.
    yi, vi, sei : array-like of shape (k,), optional
        Effects (log for ratios) with either their sampling variances or their standard errors, instead of `data`.
    labels : str or sequence of str, optional
        Names of the rows, or the column that holds them.
    measure : str, optional
        The effect measure, such as ``"SMD"``, when the table does not say.
    model : {"random", "common"}, default "random"
        Whether true effects are taken to vary between studies or to be one.
    tau2_method : str, optional
        Estimator of the between-study variance: REML (the default), ML, DL, PM, EB, HE, HS, HSk, SJ, DL2, CA2, PMM,
        GENQ, GENQM, DLIT, SJIT or BM (Bayes modal).
    ci_method : str, optional
        Interval of the pooled effect: z, t, HK (Hartung-Knapp), HK_se, HK_ci, HK_IQWiG6, KR (Kenward-Roger, with REML),
        PL (profile likelihood, with ML), PL_B and PL_S (the same with Bartlett's or Skovgaard's correction for few
        studies), perm (sign flips, with DL; for six studies or more at 95%), HC (Henmi-Copas, with DL) or IVhet (with
        DL); the last two keep the estimate of a common effect. Default HK under random effects, z under a common
        effect.
    prediction_method : str, optional
        Prediction interval: V, HTS, HK, HK-PR, KR, KR-PR, NNF or S. By default t with the degrees of freedom and
        standard error of the confidence interval.
    tau2_ci_method : str, optional
        Interval of tau2, from which that of I² follows: QP (Q-profile; the default), J (Jackson), BJ
        (Biggerstaff-Jackson), PL (profile likelihood), Wald, Wald.log, Wald.sqrt or boot (parametric bootstrap).
    level : float, default 0.95
        Level of every interval.
    preset : str, optional
        Defaults of other software: revman5, revman, metafor, meta, stata, cma or metapsy. What is given overrides it.

    Returns
    -------
    MetaAnalysisResult
        Estimate, intervals, test, heterogeneity, weights, and what was left out.

    Raises
    ------
    DataError
        If the table or the arrays cannot be pooled; every fault is listed.
    ChoiceError
        If an option is unknown, or has no effect with the others: under a common effect those about tau2.

    Warns
    -----
    DataWarning
        If one trial contributes several effects, if the Hartung-Knapp interval collapses, if the likelihood of tau2
        has several maxima, if tau2 is too near to 0 for Skovgaard's correction, or if studies are too few for sign
        flips.

    References
    ----------
    Borenstein, Hedges, Higgins & Rothstein (2009), Introduction to Meta-Analysis; IntHout, Ioannidis & Borm (2014),
    BMC Med Res Methodol 14:25 (Hartung-Knapp as default).

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> fit = meta_analysis(yi=[0.1, 0.3, 0.35, 0.65, 0.45, 0.15], vi=[0.03, 0.03, 0.05, 0.01, 0.05, 0.02])
    >>> round(fit.estimate, 4), [round(end, 4) for end in fit.ci], round(fit.tau2, 4)
    (0.3463, [0.1141, 0.5785], 0.0331)
    """
    options = meta_options(
        model=model,
        tau2_method=tau2_method,
        ci_method=ci_method,
        prediction_method=prediction_method,
        tau2_ci_method=tau2_ci_method,
        level=level,
        preset=preset,
    )
    if data is not None:
        if not isinstance(data, pd.DataFrame):
            raise MetapeerError(
                f"data is a {type(data).__name__}, not a DataFrame; pass arrays by name: meta_analysis(yi=..., vi=...)"
            )
        if yi is not None or vi is not None or sei is not None:
            raise MetapeerError("give either a table or yi with vi or sei, not both")
        effects = read_effects(data, labels=labels, measure=measure)
    elif yi is None:
        raise MetapeerError("give a table of effects, or yi with vi or sei")
    else:
        if isinstance(labels, str):
            raise MetapeerError("labels names a column, but effects were given as arrays; give a list of names")
        effects = _from_arrays(yi, vi, sei, labels, measure)
    return pool(effects, **options)
