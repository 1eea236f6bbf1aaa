"""The door to fail-safe N: a fit or effects in, a `FailSafeResult` out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, format_number, format_p
from metapeer.pooling.models import Notes
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.tau2 import TAU2_METHODS
from metapeer.sensitivity.asymmetry_data import StudyEffects, read_studies, size_words, tell_studies
from metapeer.sensitivity.fail_safe import FailSafe, general, orwin, rosenberg, rosenthal

__all__ = ["FailSafeResult", "fail_safe_n"]

METHODS = ("Rosenthal", "Orwin", "Rosenberg", "General")
TITLES = {
    "Rosenthal": "Rosenthal's",
    "Orwin": "Orwin's",
    "Rosenberg": "Rosenberg's",
    "General": "general version",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class FailSafeResult(Printable):
    """The result of `fail_safe_n`.

    Parameters
    ----------
    method : {"Rosenthal", "Orwin", "Rosenberg", "General"}
        Which fail-safe N it is.
    measure : str
        Effect measure; empty when unknown.
    k, trials : int
        Effects, and the trials they come from.
    N : float
        Studies without effect that would undo the finding; infinite when no number does, 0 when there is nothing to
        undo.
    estimate : float
        Pooled effect of the studies at hand; NaN for Rosenthal's, which pools z values.
    p_value : float
        Of the studies at hand: one-sided for Rosenthal's, otherwise two-sided; NaN for Orwin's.
    tau2 : float
        Between-study variance; NaN where the method has none.
    tau2_method : str
        Its estimator; empty where there is none.
    alpha : float
        Level that the p value is to exceed; NaN where a target is to be reached.
    target : float
        Effect that the mean is to come down to; NaN where a level is to be reached.
    estimate_N, tau2_N, p_value_N : float
        The pooled effect, between-study variance and p value with N studies more; NaN except for the general version.
    notes : tuple of str
        What a reader must know.
    """

    method: str
    measure: str
    k: int
    trials: int
    N: float
    estimate: float
    p_value: float
    tau2: float
    tau2_method: str
    alpha: float
    target: float
    estimate_N: float
    tau2_N: float
    p_value_N: float
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the result in one row.

        Returns
        -------
        DataFrame
            One row; effects on the scale they were pooled on.
        """
        names = [name for name in self.__dataclass_fields__ if name != "notes"]
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the result in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        measure = measure_of(self.measure)
        name = self.measure or "effect"

        def shown(value: float) -> str:
            return format_number(measure.display(value), 3)

        rows = [("fail-safe N", "∞" if math.isinf(self.N) else f"{self.N:,.0f}", self._aim(shown, name))]
        if not math.isnan(self.estimate):
            rows.append((f"{name} of the studies at hand", shown(self.estimate), ""))
        if not math.isnan(self.p_value):
            side = "one-sided, Stouffer's combination" if self.method == "Rosenthal" else "two-sided, normal"
            rows.append(("p of the studies at hand", format_p(self.p_value), side))
        if not math.isnan(self.estimate_N) and self.N > 0:
            rows.append((f"{name} with them", shown(self.estimate_N), f"p {format_p(self.p_value_N)}, normal"))
        return (
            TextTable(
                title=f"Fail-safe N, {TITLES[self.method]}: {size_words(self.k, self.trials)}",
                header=("", "", ""),
                rows=rows,
                notes=self.notes,
            ),
        )

    def _aim(self, shown: Callable[[float], str], name: str) -> str:
        kind = "study" if self.N == 1 else "studies"
        if math.isnan(self.alpha):
            return f"{kind} without effect to bring the mean {name} to {shown(self.target)}"
        return f"{kind} without effect to bring p above {self.alpha:g}"


def fail_safe_n(
    data: MetaAnalysisResult | pd.DataFrame | None = None,
    *,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
    sei: ArrayLike | None = None,
    labels: str | Sequence[str] | None = None,
    measure: str | None = None,
    method: Literal["Rosenthal", "Orwin", "Rosenberg", "General"] = "Rosenthal",
    alpha: float | None = None,
    target: float | None = None,
    tau2_method: str | None = None,
) -> FailSafeResult:
    """Count how many unpublished studies without effect would undo a finding.

    The number says nothing of how many there are, supposes that those missing show no effect on average (they may show
    harm), and mostly ignores their size and how effects vary; the Cochrane Handbook advises against it. It is here
    because reviews print it.

    Parameters
    ----------
    data : MetaAnalysisResult or DataFrame, optional
        A fit, or a table of effects.
    yi, vi, sei, labels, measure
        As in `meta_analysis`, instead of `data`.
    method : {"Rosenthal", "Orwin", "Rosenberg", "General"}, default "Rosenthal"
        Bring Stouffer's combined p value up to alpha; the common-effect mean down to a target; the common-effect p
        value up to alpha; or either of these for the model of the fit, with a normal test.
    alpha : float, optional
        Level, 0.05 when left out; one-sided for Rosenthal's, two-sided for the others.
    target : float, optional
        For Orwin's and the general version, the effect to come down to, on the scale of `yi`. Orwin's takes half of the
        mean when left out.
    tau2_method : str, optional
        For the general version; that of the fit, or REML, when left out.

    Returns
    -------
    FailSafeResult
        The number, with what it was computed from.

    Raises
    ------
    DataError
        If there are faults in the data, or fewer than two effects.
    ChoiceError
        If an option is unknown or has no effect with the method.
    MetapeerError
        If `alpha` is not between 0 and 0.5, or `target` not finite.

    Warns
    -----
    DataWarning
        If several effects of a trial are taken as independent.

    References
    ----------
    Rosenthal (1979), Psychol Bull 86:638-641; Orwin (1983), J Educ Stat 8:157-159; Rosenberg (2005), Evolution
    59:464-468; Becker (2005), in Rothstein et al., Publication Bias in Meta-Analysis, 111-125 (why not); ``fsn`` of
    metafor, which overshoots by one study where its root finder meets a step.

    Examples
    --------
    >>> found = fail_safe_n(yi=[0.3, 0.4, 0.5, 0.2], sei=[0.1, 0.2, 0.25, 0.1], method="Rosenberg")
    >>> found.N, round(found.p_value, 6)
    (16.0, 1.2e-05)
    """
    check_choice("method", method, METHODS)
    _refuse(method, alpha=alpha, target=target, tau2_method=tau2_method)
    level = _alpha(alpha)
    aim = _number(target)
    given = read_studies(data, yi=yi, vi=vi, sei=sei, labels=labels, measure=measure, least=2)
    estimator = _estimator(given, tau2_method) if method == "General" else ""
    y, v = given.effects.yi, given.effects.vi
    found: FailSafe = {
        "Rosenthal": lambda: rosenthal(y, v, alpha=level),
        "Orwin": lambda: orwin(y, v, target=aim),
        "Rosenberg": lambda: rosenberg(y, v, alpha=level),
        "General": lambda: general(y, v, tau2_method=estimator, alpha=level, target=aim),
    }[method]()
    notes = Notes()
    if found.N == 0:
        notes.say("there is nothing to undo: the studies at hand are already there")
    if method == "General" and given.fit is not None and given.fit.ci_method != "z":
        notes.say(f"the test is normal here, whereas the fit's interval is {given.fit.ci.method}")
    if method != "General":
        notes.say("takes the effect to be the same in all studies" if method != "Rosenthal" else "adds up z values")
    tell_studies(given, notes, what="")
    notes.warn(stacklevel=2)
    return FailSafeResult(
        method=method,
        measure=given.effects.measure,
        k=given.k,
        trials=given.effects.trial_count,
        N=found.N,
        estimate=found.estimate,
        p_value=found.p_value,
        tau2=found.tau2,
        tau2_method=estimator,
        alpha=math.nan if not math.isnan(found.target) else level,
        target=found.target,
        estimate_N=found.estimate_N,
        tau2_N=found.tau2_N,
        p_value_N=found.p_value_N,
        notes=tuple(notes.said),
    )


def _refuse(method: str, *, alpha: float | None, target: float | None, tau2_method: str | None) -> None:
    """Refuse what would have no effect."""
    given: dict[str, object] = {"alpha": alpha, "target": target, "tau2_method": tau2_method}
    idle = {
        "Rosenthal": ("target", "tau2_method"),
        "Orwin": ("alpha", "tau2_method"),
        "Rosenberg": ("target", "tau2_method"),
    }
    for name in idle.get(method, ("alpha",) if target is not None else ()):
        if given[name] is not None:
            beside = " beside target" if method == "General" else ""
            raise ChoiceError(f"{name} has no effect with method={method!r}{beside}; leave it out")


def _alpha(alpha: float | None) -> float:
    if alpha is None:
        return 0.05
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0.0 < alpha < 0.5:
        raise MetapeerError(f"alpha must be a number between 0 and 0.5, not {alpha!r}")
    return float(alpha)


def _number(target: float | None) -> float | None:
    if target is None:
        return None
    if isinstance(target, bool) or not isinstance(target, int | float) or not math.isfinite(target):
        raise MetapeerError(f"target must be a finite number, not {target!r}")
    return float(target)


def _estimator(given: StudyEffects, tau2_method: str | None) -> str:
    """Estimator of tau2; empty for the common effect of a fit."""
    if tau2_method is not None:
        return check_choice("tau2_method", tau2_method, TAU2_METHODS)
    return "REML" if given.fit is None else given.fit.tau2_method
