"""What a reader of a selection model must know: what the data cannot carry, and what the likelihood looks like."""

from collections.abc import Sequence

import numpy as np

from metapeer.formatting import count
from metapeer.pooling.models import Notes
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.selection_fit import SelectionFit
from metapeer.sensitivity.selection_options import SelectionPlan, interval_words
from metapeer.sensitivity.selection_results import Unadjusted
from metapeer.sensitivity.selection_smooth import FAMILIES

__all__ = ["tell_data", "tell_fit"]

FEW = 10
"""Sterne et al. (2011), BMJ 343:d4002: fewer studies do not tell selection from chance."""
SPARSE = 3
"""Effects in an interval at which the R package weightr (Coburn & Vevea) begins to warn."""
_NEARLY_FLAT = 1e-3
"""Smallest eigenvalue of the information scaled to a unit diagonal: two parameters correlated by 0.999 have it."""
_SHOWN = 5


def tell_data(
    plan: SelectionPlan, counts: Sequence[int], k: int, trials: int, unadjusted: Unadjusted, notes: Notes
) -> None:
    """Note what the number of effects, and how they are spread over p, cannot carry.

    Parameters
    ----------
    plan : SelectionPlan
        The weight function.
    counts : sequence of int
        Effects in each of its intervals.
    k, trials : int
        Effects, and trials they come from.
    unadjusted : Unadjusted
        The estimate without selection.
    notes : Notes
        Takes the notes.
    """
    if trials < k:
        notes.doubt(
            f"{count(k, 'effect')} from {count(trials, 'trial')} are taken as independent, and as selected one by one; "
            "effects that share participants make the intervals and tests too optimistic; compare one effect per trial"
        )
    if k < FEW:
        notes.doubt(
            f"{count(k, 'effect')} tell little about selection: with fewer than {FEW} a selection model can hardly be "
            "told from chance, and its intervals, which suppose many studies, are too narrow"
        )
    for j, value in enumerate(plan.fixed):
        words = interval_words(plan.steps, j)
        if value is None and not counts[j] and not plan.decreasing:
            notes.doubt(f"no effect has {words}: its weight is estimated as 0, as if such studies could never be seen")
        elif 0 < counts[j] <= SPARSE and (value is None or (j == 0 and None in plan.fixed)):
            notes.doubt(f"{count(counts[j], 'effect')} with {words}: the weights hang on so few")
    if plan.type == "trunc" and not counts[1]:
        notes.doubt(
            "no effect lies beyond the cut: its weight is estimated as 0, as if such effects could never be seen"
        )
    if plan.alternative != "two-sided" and len(unadjusted.beta) == 1:
        against = unadjusted.estimate < 0 if plan.alternative == "greater" else unadjusted.estimate > 0
        if against:
            other = "less" if plan.alternative == "greater" else "greater"
            notes.doubt(
                f"the effects are {'negative' if unadjusted.estimate < 0 else 'positive'} on average, while the model "
                f"takes {'positive' if plan.alternative == 'greater' else 'negative'} ones to be favoured; give "
                f"alternative={other!r} if that is not meant"
            )


def tell_fit(
    plan: SelectionPlan, fit: SelectionFit, beta: FloatArray, counts: Sequence[int], *, random: bool, notes: Notes
) -> None:
    """Note what the likelihood looks like around its maximum and elsewhere.

    Parameters
    ----------
    plan : SelectionPlan
        The weight function.
    fit : SelectionFit
        The maximum.
    beta : array of shape (p,)
        Coefficients as reported.
    counts : sequence of int
        Effects in each interval.
    random : bool
        Whether there is a tau2.
    notes : Notes
        Takes the notes.
    """
    found = fit.optimum
    p = fit.basis.shape[0]
    if found.flatness < _NEARLY_FLAT:
        notes.doubt(
            "the likelihood is nearly flat in one direction: very different combinations of effect, tau² and weights "
            "fit these data almost equally well, and none should be read on its own"
        )
    if found.others:
        words = []
        for peak in found.others[:_SHOWN]:
            mean = plan.sign * float((fit.basis @ peak.x[:p])[0])
            tau2 = f", tau² {fit.unit**2 * float(peak.x[p]):.4g}" if random else ""
            words.append(f"{mean:.4g}{tau2} (log-likelihood lower by {found.peak.value - peak.value:.2g})")
        if len(found.others) > _SHOWN:
            words.append(f"{len(found.others) - _SHOWN} more")
        notes.doubt(f"the likelihood has other maxima: besides the best at {float(beta[0]):.4g} at {'; '.join(words)}")
    if random and fit.tau2 == 0.0:
        notes.say("tau² is estimated as 0, the edge of what is possible: standard errors are those of a common effect")
    held = ~found.peak.inner[p + int(random) :]
    if held.any() and plan.type in FAMILIES:
        family = FAMILIES[plan.type]
        names = [name for name, on_edge in zip(family.names, held, strict=True) if on_edge]
        same = all(family.none[family.names.index(name)] == 0.0 for name in names)
        meaning = ", which is no selection" if same else ", beyond which the weight function is not defined"
        notes.say(f"{' and '.join(names)} is estimated on the edge of what is possible, 0{meaning}")
    if plan.decreasing and held.any():
        notes.say("where weights would rise with p they are held equal")
    if plan.type == "stepfun" and not plan.decreasing:
        above = [
            interval_words(plan.steps, j)
            for j, value in enumerate(plan.fixed)
            if value is None and fit.delta[j] > fit.delta[0] and counts[j]
        ]
        if above:
            notes.say(
                f"a weight above that of the first interval ({', '.join(above)}) means that less significant studies "
                "were likelier to be seen, which publication bias does not predict"
            )
    if plan.type == "truncest":
        notes.doubt(
            "the cut is estimated: the likelihood jumps at every effect, so that the cut has no standard error, the "
            "other standard errors take it as known, and no test has a known distribution; it takes many studies"
        )
    if plan.type == "negexppow":
        notes.say(
            "without selection (delta1 = 0) delta2 means nothing, so that the test of selection has no known p value"
        )
    if np.isnan(fit.beta_covariance).any():
        notes.doubt("the information matrix is singular: there are no standard errors")
