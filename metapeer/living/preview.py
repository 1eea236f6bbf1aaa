"""The door to previews: what one more trial would do to a pooled result, how large it must be, and with what power.

A preview pools again, with the options of the result at hand, and one trial more whose effect is supposed. It says
what would follow if that effect were seen. It is no reason to stop or to begin a trial by itself.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtr

from metapeer.effects.measures import MEASURES
from metapeer.errors import MetapeerError, check_choice
from metapeer.living.preview_results import NeededSize, PreviewResult, conclusion_of
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.models import Effects, MetaOptions, meta_options, pool
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import FloatArray
from metapeer.reproduction.claims import SMALL_EFFECT, Judgement, judge_claim

__all__ = ["conditional_power", "extended_funnel_table", "needed_trial_size", "preview_trial"]

CLAIMS = ("benefit", "no_effect", "no_evidence")
NAME = "one more trial"
LARGEST_ARM = 1_000_000
STEPS = 40
"""Sizes tried for each factor of ten, before the boundary is sought between two of them."""


def preview_trial(
    fit: MetaAnalysisResult,
    *,
    effect: float,
    n1: float | None = None,
    n2: float | None = None,
    sei: float | None = None,
    sd: float | None = None,
    risk: float | None = None,
    claim: str | None = None,
    margin: float = SMALL_EFFECT,
) -> PreviewResult:
    """Pool once more, with one trial that does not exist yet.

    Parameters
    ----------
    fit : MetaAnalysisResult
        What is known.
    effect : float
        The effect that the trial is supposed to see, in the units of the pooled effects (log for ratios).
    n1, n2 : float, optional
        Its participants per arm; `n2` is taken as `n1` when left out. They give its sampling variance: for SMD
        1/n1 + 1/n2 + d²/(2(n1 + n2)), for MD with `sd`, for RR, OR and RD with `risk`.
    sei : float, optional
        Its standard error, instead of numbers of participants.
    sd : float, optional
        Standard deviation within arms, for a mean difference.
    risk : float, optional
        Risk in arm 2, for effects of events.
    claim : {"benefit", "no_effect", "no_evidence"}, optional
        A claim to judge before and after, by the rule for claims; for standardised mean differences.
    margin : float, default 0.2
        Smallest effect that matters, in that rule.

    Returns
    -------
    PreviewResult
        The result before and after.

    Raises
    ------
    ChoiceError
        If `claim` is unknown.
    MetapeerError
        If the trial is not described in full, or the result was not pooled by inverse variances.

    References
    ----------
    Langan et al. (2012), J Clin Epidemiol 65:511-519.

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> fit = meta_analysis(yi=[0.1, 0.3, 0.35], vi=[0.03, 0.03, 0.05], measure="SMD", ci_method="z")
    >>> found = preview_trial(fit, effect=0.4, n1=100)
    >>> [round(end, 2) for end in found.before.ci], [round(end, 2) for end in found.after.ci]
    ([0.02, 0.45], [0.13, 0.46])
    """
    options = _options_of(fit)
    number = _number("effect", effect)
    vi = _variance(fit.measure, number, n1=n1, n2=n2, sei=sei, sd=sd, risk=risk)
    after = _with(fit, number, vi, options)
    return PreviewResult(
        before=fit,
        after=after,
        effect=number,
        sei=math.sqrt(vi),
        n1=n1,
        n2=n1 if n2 is None else n2,
        claim=claim or "",
        judged_before=_judge(fit, claim, margin),
        judged_after=_judge(after, claim, margin),
    )


def needed_trial_size(
    fit: MetaAnalysisResult,
    *,
    effect: float,
    ratio: float = 1.0,
    sd: float | None = None,
    risk: float | None = None,
    claim: str | None = None,
    margin: float = SMALL_EFFECT,
) -> NeededSize:
    """Find how large a trial must be for the conclusion to change, if it sees a given effect.

    Under random effects there may be no such size: however large, one trial weighs no more than 1/tau² lets it.

    Parameters
    ----------
    fit : MetaAnalysisResult
        What is known.
    effect : float
        The effect that the trial is supposed to see, in the units of the pooled effects (log for ratios).
    ratio : float, default 1.0
        Participants of arm 2 for each of arm 1.
    sd, risk, claim, margin
        As in `preview_trial`. Without `claim` the conclusion is whether the interval lies above, below or about no
        effect.

    Returns
    -------
    NeededSize
        The smallest number of participants of arm 1 that was found, if any up to a million.

    Raises
    ------
    MetapeerError
        As `preview_trial`.

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> fit = meta_analysis(yi=[0.1, 0.2], vi=[0.03, 0.03], measure="SMD", model="common")
    >>> found = needed_trial_size(fit, effect=0.3)
    >>> found.n1, found.before, found.after
    (64, 'the interval includes no effect', 'the interval lies above no effect')
    """
    options = _options_of(fit)
    number, share = _number("effect", effect), _number("ratio", ratio)
    if share <= 0:
        raise MetapeerError(f"ratio must be above 0, not {ratio!r}")
    now = _conclusion(fit, claim, margin)

    def at(n1: int) -> str:
        vi = _variance(fit.measure, number, n1=n1, n2=max(2.0, share * n1), sei=None, sd=sd, risk=risk)
        return _conclusion(_with(fit, number, vi, options), claim, margin)

    sizes = sorted({max(2, round(10 ** (step / STEPS))) for step in range(round(STEPS * math.log10(LARGEST_ARM)) + 1)})
    last = sizes[0]
    for size in sizes:
        if at(size) != now:
            low, high = last, size
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if at(middle) == now else (low, middle)
            found = high if at(low) == now else low
            return NeededSize(n1=found, n2=share * found, effect=number, before=now, after=at(found))
        last = size
    return NeededSize(n1=None, n2=None, effect=number, before=now, after=at(LARGEST_ARM))


def extended_funnel_table(
    fit: MetaAnalysisResult,
    *,
    effects: Sequence[float] | None = None,
    seis: Sequence[float] | None = None,
    points: int = 61,
    claim: str | None = None,
    margin: float = SMALL_EFFECT,
) -> pd.DataFrame:
    """Compute what would follow from one more trial of any effect and any precision.

    Parameters
    ----------
    fit : MetaAnalysisResult
        What is known.
    effects, seis : sequence of float, optional
        Effects and standard errors to try; by default `points` of each, over and around those of the studies.
    points : int, default 61
        Of each.
    claim, margin
        As in `preview_trial`; without a claim the conclusion is where the interval lies.

    Returns
    -------
    DataFrame
        ``effect``, ``sei``, and after: ``estimate``, ``ci_low``, ``ci_high``, ``conclusion``, and ``changed``, whether
        that is another conclusion than now; as `extended_funnel_plot` takes it.

    Raises
    ------
    MetapeerError
        As `preview_trial`.

    References
    ----------
    Langan et al. (2012), J Clin Epidemiol 65:511-519; Crowther et al. (2012), Stata J 12:605-622.

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> fit = meta_analysis(yi=[0.1, 0.3], vi=[0.03, 0.03], measure="SMD", model="common")
    >>> extended_funnel_table(fit, effects=[-1.0, 1.0], seis=[0.05, 0.5])["conclusion"].tolist()
    ['the interval lies below no effect', 'the interval includes no effect', 'the interval lies above no effect', \
'the interval lies above no effect']
    """
    options = _options_of(fit)
    if isinstance(points, bool) or not isinstance(points, int) or not 2 <= points <= 500:
        raise MetapeerError(f"points must be a whole number from 2 to 500, not {points!r}")
    now = _conclusion(fit, claim, margin)
    across = _grid("effects", effects, *_span(fit.yi, fit.estimate), points)
    top = 1.2 * float(np.sqrt(fit.vi.max()))
    down = _grid("seis", seis, top / points, top, points)
    if down.min() <= 0:
        raise MetapeerError("seis must all be above 0")
    rows = []
    for effect in across.tolist():
        for sei in down.tolist():
            after = _with(fit, effect, sei**2, options)
            words = _conclusion(after, claim, margin)
            rows.append((effect, sei, after.estimate, after.ci.low, after.ci.high, words, words != now))
    return pd.DataFrame(rows, columns=["effect", "sei", "estimate", "ci_low", "ci_high", "conclusion", "changed"])


def conditional_power(
    fit: MetaAnalysisResult,
    *,
    effect: float,
    n1: float | None = None,
    n2: float | None = None,
    sei: float | None = None,
    sd: float | None = None,
    risk: float | None = None,
    trials: int = 1,
) -> float:
    """Probability that the updated meta-analysis finds an effect, given what is known.

    The trials at hand are fixed; the new ones are not, and vary about the true mean effect with their sampling
    variance and tau². Tests are two-sided, with normal quantiles and tau² taken as known, whatever interval the result
    at hand has: with few trials the power is less.

    Parameters
    ----------
    fit : MetaAnalysisResult
        What is known; its level is that of the test.
    effect : float
        The true mean effect, in the units of the pooled effects (log for ratios).
    n1, n2, sei, sd, risk
        Of each new trial, as in `preview_trial`.
    trials : int, default 1
        How many new trials there are, all of the same size.

    Returns
    -------
    float
        The probability that the updated interval excludes no effect, on either side.

    Raises
    ------
    MetapeerError
        As `preview_trial`.

    References
    ----------
    Roloff, Higgins & Sutton (2013), Stat Med 32:11-24. Sutton et al. (2007), Stat Med 26:2479-2500.

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> fit = meta_analysis(yi=[0.1, 0.2], vi=[0.03, 0.03], measure="SMD", model="common")
    >>> [round(conditional_power(fit, effect=0.2, n1=n), 2) for n in (20, 100, 500)]
    [0.05, 0.43, 0.94]
    """
    _options_of(fit)
    number = _number("effect", effect)
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise MetapeerError(f"trials must be a whole number of at least 1, not {trials!r}")
    vi = _variance(fit.measure, number, n1=n1, n2=n2, sei=sei, sd=sd, risk=risk)
    tau2 = 0.0 if math.isnan(fit.tau2) else fit.tau2
    weights = 1.0 / (fit.vi + tau2)
    known = float(weights.sum())
    sum_known = float(weights @ fit.yi)
    fresh = trials / (vi + tau2)
    bound = normal_quantile(fit.level) * math.sqrt(known + fresh)
    centre, spread = sum_known + fresh * number, math.sqrt(fresh)
    return float(ndtr((centre - bound) / spread) + ndtr((-centre - bound) / spread))


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(float(value)):
        raise MetapeerError(f"{name} must be a finite number, not {value!r}")
    return float(value)


def _options_of(fit: MetaAnalysisResult) -> MetaOptions:
    """The options a result was made with; what cannot be pooled again is refused."""
    if not isinstance(fit, MetaAnalysisResult) or fit.weighting != "inverse variance":
        raise MetapeerError("a preview needs a result of meta_analysis, pooled by inverse variances")
    if not MEASURES[fit.measure or "GEN"].has_null:
        raise MetapeerError(
            f"{fit.measure} has no value that means no effect, so that there is no conclusion to change"
        )
    common = fit.model == "common"
    return meta_options(
        model=fit.model,
        tau2_method=None if common else fit.tau2_method or None,
        # one study has a normal interval, whatever was asked for
        ci_method=None if fit.k == 1 and not common else fit.ci_method,
        prediction_method=fit.prediction_method or None,
        level=fit.level,
    )


def _variance(
    measure: str,
    effect: float,
    *,
    n1: float | None,
    n2: float | None,
    sei: float | None,
    sd: float | None,
    risk: float | None,
) -> float:
    """Sampling variance of a trial that does not exist yet."""
    if (sei is None) == (n1 is None):
        raise MetapeerError("give either n1 (and n2), the participants per arm, or sei, the standard error")
    if sei is not None:
        if any(value is not None for value in (n2, sd, risk)):
            raise MetapeerError("n2, sd and risk have no effect with sei; leave them out")
        error = _number("sei", sei)
        if error <= 0:
            raise MetapeerError(f"sei must be above 0, not {sei!r}")
        return error**2
    one = _number("n1", n1)
    two = one if n2 is None else _number("n2", n2)
    if min(one, two) < 2:
        raise MetapeerError(f"an arm needs at least 2 participants, not {min(one, two):g}")
    code = measure or "GEN"
    for name, value, codes in (("sd", sd, ("MD",)), ("risk", risk, ("RR", "OR", "RD"))):
        if value is None and code in codes:
            what = {"sd": "the standard deviation within arms", "risk": "the risk in arm 2"}[name]
            raise MetapeerError(f"{code} needs {name}=, {what}; or give sei instead of n1")
        if value is not None and code not in codes:
            raise MetapeerError(f"{name} has no effect for {code}; leave it out")
    if code == "SMD":
        return 1 / one + 1 / two + effect**2 / (2 * (one + two))
    if code == "MD":
        spread = _number("sd", sd)
        if spread <= 0:
            raise MetapeerError(f"sd must be above 0, not {sd!r}")
        return spread**2 * (1 / one + 1 / two)
    if code in ("RR", "OR", "RD"):
        return _variance_of_events(code, effect, one, two, _number("risk", risk))
    raise MetapeerError(f"the sampling variance of {code} does not follow from numbers of participants; give sei")


def _variance_of_events(code: str, effect: float, n1: float, n2: float, risk: float) -> float:
    """Expected counts in place of counts, in the usual formulas."""
    if not 0 < risk < 1:
        raise MetapeerError(f"risk must lie between 0 and 1, not {risk:g}")
    odds = risk / (1 - risk) * math.exp(effect) if code == "OR" and effect < 100 else math.inf
    other = {"RR": risk * math.exp(min(effect, 100.0)), "RD": risk + effect, "OR": odds / (1 + odds)}[code]
    if not 0 < other < 1:
        raise MetapeerError(f"with a risk of {risk:g} in arm 2 this effect makes a risk of {other:.3g} in arm 1")
    if code == "RD":
        return other * (1 - other) / n1 + risk * (1 - risk) / n2
    if code == "RR":
        return (1 - other) / (n1 * other) + (1 - risk) / (n2 * risk)
    return 1 / (n1 * other * (1 - other)) + 1 / (n2 * risk * (1 - risk))


def _with(fit: MetaAnalysisResult, effect: float, vi: float, options: MetaOptions) -> MetaAnalysisResult:
    effects = Effects(
        yi=np.append(fit.yi, effect),
        vi=np.append(fit.vi, vi),
        labels=(*fit.labels, NAME),
        measure=fit.measure,
        positive_favours=fit.positive_favours,
    )
    return pool(effects, **options, warn=False)


def _judge(fit: MetaAnalysisResult, claim: str | None, margin: float) -> Judgement | None:
    if claim is None:
        return None
    check_choice("claim", claim, CLAIMS)
    if fit.measure not in ("SMD", "SMDH"):
        raise MetapeerError("the rule for claims speaks of standardised mean differences; leave claim out")
    if not _number("margin", margin) > 0:
        raise MetapeerError(f"margin must be above 0, not {margin!r}")
    return judge_claim(claim, fit.ci, margin=float(margin))


def _conclusion(fit: MetaAnalysisResult, claim: str | None, margin: float) -> str:
    judged = _judge(fit, claim, margin)
    return conclusion_of(fit) if judged is None else judged.verdict


def _span(yi: FloatArray, estimate: float) -> tuple[float, float]:
    """From the least to the largest effect, no effect and its mirror image, with some room."""
    low, high = min(0.0, float(yi.min())), max(0.0, float(yi.max()))
    room = 0.25 * (high - low) or max(abs(estimate), 1.0)
    return low - room, high + room


def _grid(name: str, given: Sequence[float] | None, low: float, high: float, points: int) -> FloatArray:
    if given is None:
        return np.linspace(low, high, points)
    values = np.array([_number(name, value) for value in given])
    if values.size < 2:
        raise MetapeerError(f"{name} must be at least two numbers")
    return np.unique(values)
