"""What methods for publication bias share: effects in, which results were favoured, and doubts in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.formatting import count, format_interval, format_number, format_p
from metapeer.pooling.heterogeneity import cochran_q, i2_from_h2
from metapeer.pooling.intervals import Interval, check_level
from metapeer.pooling.models import Effects, Notes, _from_arrays, read_effects
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.weighted import FloatArray, total

__all__ = [
    "Evidence",
    "check_alpha",
    "choose_side",
    "common_effect",
    "estimate_row",
    "i2_of",
    "p_words",
    "read_evidence",
    "side_words",
    "size_words",
    "tell_few",
    "tell_heterogeneity",
    "tell_shared",
]

FEW = 10
"""Fewer studies leave tests of reporting bias without power: Sterne et al. (2011), BMJ 343:d4002."""
MUCH = 50.0
"""I² in per cent from which van Aert, Wicherts & van Assen (2016) advise against methods with one true effect."""

SIDES = ("positive", "negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Effects that passed every check, and the fit that they came in, if they came in one.

    Parameters
    ----------
    effects : Effects
        At least one.
    level : float
        Confidence level: as asked for, or the fit's own, or 0.95.
    fit : MetaAnalysisResult or None
        The fit.
    """

    effects: Effects
    level: float
    fit: MetaAnalysisResult | None

    @property
    def yi(self) -> FloatArray:
        """Effects."""
        return self.effects.yi

    @property
    def vi(self) -> FloatArray:
        """Sampling variances."""
        return self.effects.vi

    @property
    def sei(self) -> FloatArray:
        """Standard errors."""
        return np.asarray(np.sqrt(self.effects.vi))

    @property
    def k(self) -> int:
        """How many effects there are."""
        return int(self.effects.yi.size)


def _of_fit(fit: MetaAnalysisResult) -> Effects:
    trials: tuple[str, ...] = fit.labels
    if fit.data is not None and "study_id" in fit.data:
        named = tuple("" if pd.isna(cell) else str(cell) for cell in fit.data["study_id"])
        trials = named if all(named) else fit.labels
    return Effects(
        yi=fit.yi,
        vi=fit.vi,
        labels=fit.labels,
        measure=fit.measure,
        positive_favours=fit.positive_favours,
        trials=trials,
        data=fit.data,
        excluded=fit.excluded,
    )


def read_evidence(
    data: MetaAnalysisResult | pd.DataFrame | None,
    *,
    yi: ArrayLike | None,
    vi: ArrayLike | None,
    sei: ArrayLike | None,
    labels: str | Sequence[str] | None,
    measure: str | None,
    level: float | None,
    least: int = 1,
    method: str = "",
) -> Evidence:
    """Take effects from a fit, a table or arrays.

    Parameters
    ----------
    data : MetaAnalysisResult, DataFrame or None
        A fit or a table of effects.
    yi, vi, sei, labels, measure
        As in `meta_analysis`.
    level : float or None
        Confidence level; that of the fit, or 0.95, when None.
    least : int, default 1
        Effects that the method needs.
    method : str, optional
        Its name, for the message when there are fewer.

    Returns
    -------
    Evidence
        The effects.

    Raises
    ------
    DataError
        If the effects cannot be used, or are too few; every fault is listed.
    MetapeerError
        If arguments do not go together.

    Examples
    --------
    >>> found = read_evidence(None, yi=[0.1, 0.3], vi=None, sei=[0.1, 0.2], labels=None, measure=None, level=None)
    >>> found.k, found.level
    (2, 0.95)
    """
    chosen = check_level(level) if level is not None else 0.95
    arrays = yi is not None or vi is not None or sei is not None
    fit = None
    if isinstance(data, MetaAnalysisResult):
        if arrays or labels is not None or measure is not None:
            raise MetapeerError("a fit has its effects, labels and measure; give it alone")
        if data.weighting not in ("inverse variance", "common-effect weights"):
            raise MetapeerError(
                f"this fit was pooled by {data.weighting} and not from effects; give effects of effect_size()"
            )
        fit, effects = data, _of_fit(data)
        chosen = data.level if level is None else chosen
    elif isinstance(data, pd.DataFrame):
        if arrays:
            raise MetapeerError("give either a table or yi with vi or sei, not both")
        effects = read_effects(data, labels=labels, measure=measure)
    elif data is not None:
        raise MetapeerError(
            f"data is a {type(data).__name__}; give a fit or a table of effects, or arrays by name: yi=..., vi=..."
        )
    elif yi is None:
        raise MetapeerError("give a fit, a table of effects, or yi with vi or sei")
    elif isinstance(labels, str):
        raise MetapeerError("labels names a column, but effects were given as arrays; give a list of names")
    else:
        effects = _from_arrays(yi, vi, sei, labels, measure)
    k = effects.yi.size
    if k < least:
        faults = [Fault(row=label, message=reason) for label, reason in effects.excluded]
        have = "no effect can be used" if not k else f"{method} needs {count(least, 'effect')} or more, not {k}"
        raise DataError(f"{have}: the table" if faults else "the effects", faults or [have])
    return Evidence(effects=effects, level=chosen, fit=fit)


def check_alpha(name: str, value: float) -> float:
    """Return a level of significance if it is one.

    Parameters
    ----------
    name : str
        The argument.
    value : float
        Strictly between 0 and 1.

    Returns
    -------
    float
        The same number.

    Raises
    ------
    ChoiceError
        If it is anything else.

    Examples
    --------
    >>> check_alpha("alpha", 0.05)
    0.05
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 < float(value) < 1.0:
        raise ChoiceError(f"{name} must be a number between 0 and 1, not {value!r}")
    return float(value)


def common_effect(yi: FloatArray, vi: FloatArray) -> float:
    """Mean of effects with the inverses of their variances as weights.

    Parameters
    ----------
    yi, vi : array of shape (k,)
        Effects and variances.

    Returns
    -------
    float
        The mean.

    Examples
    --------
    >>> common_effect(np.array([0.1, 0.4]), np.array([0.01, 0.02]))
    0.2
    """
    w = 1.0 / vi
    return float(w @ yi) / total(w)


def choose_side(favoured: str | None, evidence: Evidence, notes: Notes, *, more: tuple[str, ...] = ()) -> str:
    """Decide which results are taken to have been favoured for publication.

    Parameters
    ----------
    favoured : str or None
        As asked for; None for the side on which the common-effect estimate lies, and a note says so.
    evidence : Evidence
        The effects.
    notes : Notes
        Takes the note, or the doubt that the estimate lies on the other side.
    more : tuple of str, default ()
        What else may be asked for.

    Returns
    -------
    str
        ``"positive"``, ``"negative"`` or one of `more`.

    Raises
    ------
    ChoiceError
        If `favoured` is unknown.

    Examples
    --------
    >>> effects = read_evidence(None, yi=[-0.1, -0.3], vi=[1, 1], sei=None, labels=None, measure=None, level=None)
    >>> choose_side(None, effects, Notes())
    'negative'
    """
    estimate = common_effect(evidence.yi, evidence.vi)
    side = "negative" if estimate < 0.0 else "positive"
    if favoured is None:
        notes.say(f"taken as favoured: {side_words(side)}, as the common-effect estimate is; favoured= says otherwise")
        return side
    chosen = check_choice("favoured", favoured, (*SIDES, *more))
    if chosen in SIDES and chosen != side and estimate != 0.0:
        notes.doubt(f"{side_words(chosen)} are taken as favoured, but the common-effect estimate is {side}")
    return chosen


def side_words(side: str) -> str:
    """Name the favoured results.

    Parameters
    ----------
    side : str
        ``"positive"``, ``"negative"`` or ``"both"``.

    Returns
    -------
    str
        In words.

    Examples
    --------
    >>> side_words("both")
    'significant effects of either sign'
    """
    return "significant effects of either sign" if side == "both" else f"{side} effects"


def size_words(evidence: Evidence) -> str:
    """Say how many effects there are, and from how many trials.

    Parameters
    ----------
    evidence : Evidence
        The effects.

    Returns
    -------
    str
        Such as ``"12 effects from 10 trials"`` or ``"12 studies"``.
    """
    k, trials = evidence.k, evidence.effects.trial_count
    return count(k, "study", "studies") if k == trials else f"{count(k, 'effect')} from {count(trials, 'trial')}"


def tell_few(k: int, what: str, notes: Notes) -> None:
    """Doubt a method that has few studies to go by.

    Parameters
    ----------
    k : int
        Studies.
    what : str
        What they are, such as "study"; its plural adds an s or ies.
    notes : Notes
        Takes the doubt.

    Examples
    --------
    >>> notes = Notes()
    >>> tell_few(4, "effect", notes)
    >>> notes.doubts[0][:32]
    '4 effects: with fewer than 10 th'
    """
    if k < FEW:
        words = count(k, what, what[:-1] + "ies" if what.endswith("y") else None)
        notes.doubt(
            f"{words}: with fewer than {FEW} there is little power, and finding nothing shows nothing "
            "(Sterne et al. 2011)"
        )


def tell_shared(evidence: Evidence, notes: Notes) -> None:
    """Doubt independence where one trial gives several effects.

    Parameters
    ----------
    evidence : Evidence
        The effects.
    notes : Notes
        Takes the doubt.
    """
    trials = evidence.effects.trial_count
    if trials < evidence.k:
        notes.doubt(
            f"{count(evidence.k, 'effect')} from {count(trials, 'trial')} are taken as independent, which they are "
            "not: p values and intervals promise too much; average_within_trial() makes one effect of each trial"
        )


def i2_of(evidence: Evidence) -> float:
    """I² from Cochran's Q.

    Parameters
    ----------
    evidence : Evidence
        The effects.

    Returns
    -------
    float
        In per cent; NaN for a single effect.
    """
    if evidence.k < 2:
        return float("nan")
    found = cochran_q(evidence.yi, evidence.vi)
    return i2_from_h2(found.Q / found.df)


def tell_heterogeneity(evidence: Evidence, notes: Notes, *, what: str) -> None:
    """Doubt a method that supposes one true effect where the effects differ much.

    Parameters
    ----------
    evidence : Evidence
        The effects.
    notes : Notes
        Takes the doubt.
    what : str
        What happens then, in words.
    """
    i2 = i2_of(evidence)
    if i2 >= MUCH:
        notes.doubt(f"I² from Q is {format_number(i2, 1)}%: {what}")


def p_words(p: float) -> str:
    """Write a p value with its sign of equality.

    Parameters
    ----------
    p : float
        The p value.

    Returns
    -------
    str
        Such as ``"p = 0.034"`` or ``"p <0.001"``.

    Examples
    --------
    >>> p_words(0.034), p_words(1e-5)
    ('p = 0.034', 'p <0.001')
    """
    text = format_p(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def estimate_row(
    name: str, measure: str, estimate: float, ci: Interval | None, words: str
) -> tuple[str, str, str, str]:
    """Put an estimate on the scale that a reader expects, as a row of a table.

    Parameters
    ----------
    name : str
        What it is.
    measure : str
        The effect measure, or an empty string.
    estimate : float
        On the scale of analysis.
    ci : Interval or None
        Its interval.
    words : str
        How it came about.

    Returns
    -------
    tuple of str
        Name, value, interval, and words.

    Examples
    --------
    >>> estimate_row("risk ratio", "RR", 0.0, Interval(-0.1, 0.1, 0.95, "normal"), "adjusted")
    ('risk ratio', '1.000', '0.905 to 1.105', 'adjusted')
    """
    entry = measure_of(measure)

    def shown(value: float) -> float:
        return entry.display(value) if math.isfinite(value) else value

    return (
        name,
        format_number(shown(estimate), 3),
        "" if ci is None else format_interval(shown(ci.low), shown(ci.high), 3),
        words,
    )
