"""The inferential test of a multiverse: what its curve would look like if there were nothing to find.

The same draw goes through every specification, so that what specifications share is kept.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.formatting import Printable, TextTable, format_number
from metapeer.pooling.batch_fit import batch_options, fit_sets
from metapeer.pooling.batch_sets import Sets
from metapeer.pooling.weighted import FloatArray
from metapeer.sensitivity.multiverse_describe import supports, z_scores
from metapeer.sensitivity.multiverse_fit import DERIVED, Fitted, fit_plan
from metapeer.sensitivity.multiverse_plan import Parts, Plan
from metapeer.sensitivity.multiverse_results import MultiverseResult

__all__ = ["MultiverseTest", "multiverse_test"]

NULLS = {
    "flips": "sign flips of whole trials",
    "normal": "normal draws with the random-effects structure",
}
STATISTICS = {
    "median": "median estimate",
    "share": "share whose interval {side} no effect",
    "z": "aggregated z (Stouffer)",
}
_CELLS = 3_000_000
"""Effects in hand at once."""
_RANKS = 400
_TIE = 1e-12
_BAND = (0.025, 0.975)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MultiverseTest(Printable):
    """The result of `multiverse_test`.

    Parameters
    ----------
    null : str
        One of "flips" and "normal".
    claim : str
        As in `multiverse`; "positive" and "negative" make the tests one-sided.
    draws : int
        Draws under the null hypothesis.
    exact : bool
        Whether they are all patterns of signs there are.
    seed : int
        Of the draws.
    trials : int
        Trials whose signs are flipped, or that are drawn.
    specifications : int
        Different specifications.
    observed, p_value, mc_error : dict of str to float
        By statistic ("median", "share", "z"): what was observed; how often a draw is at least as far in the claimed
        direction; the Monte Carlo standard error of that, 0 when every pattern was counted.
    expected : dict of str to float
        Means over the draws.
    band_low, band_high : array of shape (r,)
        2.5th and 97.5th percentile, over the draws, of the sorted estimates, at r evenly spaced ranks from the least to
        the largest.
    notes : tuple of str
        What a reader must know.
    """

    null: str
    claim: str
    draws: int
    exact: bool
    seed: int
    trials: int
    specifications: int
    observed: dict[str, float]
    p_value: dict[str, float]
    mc_error: dict[str, float]
    expected: dict[str, float]
    band_low: FloatArray
    band_high: FloatArray
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Put the statistics in rows.

        Returns
        -------
        DataFrame
            ``statistic``, ``observed``, ``expected``, ``p_value``, ``mc_error``.
        """
        return pd.DataFrame(
            [
                (name, self.observed[name], self.expected[name], self.p_value[name], self.mc_error[name])
                for name in STATISTICS
            ],
            columns=["statistic", "observed", "expected", "p_value", "mc_error"],
        )

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the test in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        digits = 3 if self.draws < 10_000 else 4
        rows = []
        side = {"positive": "lies above", "negative": "lies below", "nonzero": "excludes"}[self.claim]
        for name, words in STATISTICS.items():
            least = 10.0**-digits
            p = self.p_value[name]
            shown = f"<{least:.{digits}f}" if p < 0.5 * least else f"{p:.{digits}f}"
            error = "exact" if self.exact else format_number(self.mc_error[name], digits)
            rows.append(
                (
                    words.format(side=side),
                    format_number(self.observed[name], 3),
                    format_number(self.expected[name], 3),
                    shown,
                    error,
                )
            )
        sided = "two-sided" if self.claim == "nonzero" else f"one-sided, {self.claim}"
        of = f"{self.specifications:,} specifications, {self.trials:,} trials"
        made = f"all {self.draws:,} patterns" if self.exact else f"{self.draws:,} draws, seed {self.seed}"
        return [
            TextTable(
                title=f"Multiverse under the null hypothesis: {NULLS[self.null]}, {made}",
                header=("statistic", "observed", "mean under null", "p", "Monte Carlo se"),
                rows=rows,
                notes=(f"{sided}; {of}; each draw goes through all specifications", *self.notes),
            )
        ]


def _common_centre(plan: Plan) -> FloatArray:
    """The mean that both classes of a contrast over all trials have under the null hypothesis; 0 for other effects."""
    parts = plan.parts
    centre = np.zeros(plan.paired.size)
    if plan.paired.any():
        # Parts of one source lie side by side.
        first = np.searchsorted(parts.group, np.arange(plan.paired.size))
        starts = np.r_[first, parts.yi.size].astype(np.intp)
        found = fit_sets(
            Sets(parts.yi, parts.vi, starts), batch_options(ci_method="z"), chosen=plan.paired, columns=("estimate",)
        )
        centre[plan.paired] = found["estimate"][plan.paired]
    return np.asarray(centre[parts.group])


def _part_of(plan: Plan, chosen: Any) -> Plan:
    """Keep of a plan what the different specifications need."""
    first, second = plan.first[chosen], plan.second[chosen]
    used = np.unique(np.r_[first, second[second >= 0]])
    place = np.full(len(plan.fits), -1, dtype=np.intp)
    place[used] = np.arange(used.size)
    kept_rules = np.unique([plan.fits[i][0] for i in used.tolist()])
    rule_place = {int(rule): i for i, rule in enumerate(kept_rules.tolist())}
    return Plan(
        parts=plan.parts,
        paired=plan.paired,
        rules=[plan.rules[i] for i in kept_rules.tolist()],
        cutoff=plan.cutoff,
        fits=[(rule_place[plan.fits[i][0]], *plan.fits[i][1:]) for i in used.tolist()],
        first=place[first],
        second=np.where(second >= 0, place[second], -1),
        rho=plan.rho[chosen],
        ci_method=tuple(plan.ci_method[i] for i in chosen.tolist()),
        of=np.arange(len(chosen), dtype=np.intp),
        reasons=[""] * len(chosen),
        trials=plan.trials,
    )


def _statistics(fitted: Fitted, claim: str) -> dict[str, FloatArray]:
    """Statistics of each draw, all turned so that larger is farther in the claimed direction."""
    numbers = fitted.numbers
    sign = -1.0 if claim == "negative" else 1.0
    estimate = np.where(np.isfinite(numbers["estimate"]), numbers["estimate"], np.nan)
    with np.errstate(all="ignore"):
        median = np.nanmedian(estimate, axis=1)
        z = z_scores(numbers["estimate"], numbers["p_value"])
        together = z.sum(axis=1) / math.sqrt(z.shape[1])
    share = supports(numbers["ci_low"], numbers["ci_high"], claim).mean(axis=1)
    return {"median": sign * median, "share": share, "z": sign * together}


def _patterns(trials: int, draws: int, rng: np.random.Generator) -> tuple[FloatArray, bool]:
    """Patterns of signs: all of them where that takes no more than the draws asked for."""
    if trials < 40 and 2**trials <= draws:
        every = (np.arange(2**trials)[:, None] >> np.arange(trials)) & 1
        return (1.0 - 2.0 * every).astype(np.float64), True
    return (1.0 - 2.0 * rng.integers(0, 2, size=(draws, trials))).astype(np.float64), False


def multiverse_test(
    result: MultiverseResult,
    *,
    draws: int = 500,
    seed: int = 1,
    null: Literal["flips", "normal"] = "flips",
    progress: Callable[[int, int, str], None] | None = None,
) -> MultiverseTest:
    """Test whether the curve of a multiverse is farther from no effect than curves are when there is none.

    Parameters
    ----------
    result : MultiverseResult
        From `multiverse`.
    draws : int, default 500
        Draws under the null hypothesis. All patterns of signs are counted where there are no more of them.
    seed : int, default 1
        Of the draws.
    null : {"flips", "normal"}, default "flips"
        ``"flips"``: the effects of each trial keep their size, and all of them turn their sign or not, in every
        specification alike; exact for pooled effects and differences within trials if effects of different trials are
        independent and symmetric about zero. In a contrast over all trials, deviations from the common mean turn, which
        is approximate, as that mean is estimated. ``"normal"``: each effect is a normal deviate of its trial, the same
        in every specification, times sqrt(vi + tau2) of its own fit; not for contrasts over all trials, nor
        where a rule for outliers must be applied anew.
    progress : callable, optional
        Called with the draws done, all of them, and the word "draws".

    Returns
    -------
    MultiverseTest
        p values of the median estimate, of the share that supports the claim and of the aggregated z.

    Raises
    ------
    MetapeerError
        If the multiverse has specifications that cannot be drawn, or an option makes no sense.

    Notes
    -----
    Flips leave every choice as it was, but rules for outliers, which are applied anew to each draw. Functions of your
    own that look at effects are not called again, and the variances stay. Specifications that are one in the data are
    drawn as the first of them. With B draws p = (1 + b) / (1 + B), where b
    draws reach the observed statistic. The three statistics are three tests; state in advance which one counts.

    References
    ----------
    Voracek, Kossmeier & Tran (2019), Z Psychol 227:64-82, for draws with the random-effects structure. Simonsohn,
    Simmons & Nelson (2020), Nat Hum Behav 4:1208-1214, for the three statistics. Follmann & Proschan (1999), Biometrics
    55:732-737, for sign flips in meta-analysis.

    Examples
    --------
    >>> import pandas as pd
    >>> from metapeer.sensitivity.multiverse_models import multiverse
    >>> rows = pd.DataFrame({"study_id": list("abcdefgh"), "yi": [0.2, 0.4, 0.1, 0.6, 0.5, 0.3, 0.2, 0.4],
    ...                      "vi": [0.04, 0.05, 0.02, 0.03, 0.04, 0.06, 0.03, 0.05]})
    >>> found = multiverse(rows, claim="positive", choices={"tau2_method": ["REML", "DL"], "ci_method": ["HK", "z"]})
    >>> test = multiverse_test(found, draws=500)
    >>> test.exact, test.draws, round(test.p_value["median"], 4)
    (True, 256, 0.0039)
    """
    if not isinstance(result, MultiverseResult):
        raise MetapeerError(f"result is a {type(result).__name__}, not what multiverse() returns")
    check_choice("null", null, NULLS)
    if isinstance(draws, bool) or not isinstance(draws, int) or not 1 <= draws <= 1_000_000:
        raise MetapeerError(f"draws {draws!r} is not a whole number from 1 to 1,000,000")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise MetapeerError(f"seed {seed!r} is not a whole number of at least 0")
    plan = _part_of(result.plan, result.chosen)
    singles = sorted(set(plan.ci_method) - set(DERIVED))
    if singles:
        raise ChoiceError(
            f"ci_method {', '.join(singles)} cannot be drawn in reasonable time; leave it out of the multiverse "
            f"that is tested, which takes {', '.join(DERIVED)}"
        )
    level, claim = result.declaration.level, result.declaration.claim
    rng = np.random.default_rng(seed)
    # Trials that no specification uses would only blow up the number of patterns.
    used, place = np.unique(plan.parts.trial, return_inverse=True)
    trials = used.size
    whole = fit_plan(plan, plan.parts.yi[None, :], level)
    observed = {name: float(value[0]) for name, value in _statistics(whole, claim).items()}
    if null == "normal":
        drawn, exact = rng.standard_normal((draws, trials)), False
        make = _normal(plan, whole)
    else:
        drawn, exact = _patterns(trials, draws, rng)
        make = _flipped(plan)
    ranks = np.linspace(0.0, 1.0, min(_RANKS, plan.first.size))
    found: dict[str, list[FloatArray]] = {name: [] for name in STATISTICS}
    curves = []
    cells = int(sum(np.diff(plan.parts.starts)[part] for part, _ in plan.rules))
    step = max(1, _CELLS // max(1, cells + 20 * plan.first.size))
    for start in range(0, len(drawn), step):
        chunk_plan, yi = make(drawn[start : start + step][:, place])
        fitted = fit_plan(chunk_plan, yi, level)
        for name, values in _statistics(fitted, claim).items():
            found[name].append(values)
        with np.errstate(all="ignore"):
            curves.append(np.nanquantile(fitted.numbers["estimate"], ranks, axis=1).T)
        if progress is not None:
            progress(min(start + step, len(drawn)), len(drawn), "draws")
    return _answer(result, plan, null, seed, exact, observed, found, np.concatenate(curves), trials)


def _flipped(plan: Plan) -> Callable[[FloatArray], tuple[Plan, FloatArray]]:
    centre = _common_centre(plan)
    away = plan.parts.yi - centre
    return lambda signs: (plan, centre + signs * away)


def _normal(plan: Plan, whole: Fitted) -> Callable[[FloatArray], tuple[Plan, FloatArray]]:
    """Draw effects for each fit by its own tau2: every fit gets a part to itself."""
    if bool((plan.second >= 0).any()):
        raise ChoiceError("null 'normal' is not made for contrasts over all trials; use null='flips'")
    if any(rule != "none" for _, rule in plan.rules):
        raise ChoiceError("null 'normal' cannot apply a rule for outliers anew; use null='flips'")
    tau2 = np.full(len(plan.fits), np.nan)
    tau2[plan.first] = whole.numbers["tau2"][0]
    parts = plan.parts
    places = [plan.rules[rule][0] for rule, _, _ in plan.fits]
    sizes = np.diff(parts.starts)[places]
    starts = np.r_[0, np.cumsum(sizes)].astype(np.intp)
    cells = np.repeat(parts.starts[:-1][places] - starts[:-1], sizes) + np.arange(starts[-1])
    owner = np.repeat(np.arange(sizes.size), sizes)
    apart = Plan(
        parts=Parts(parts.yi[cells], parts.vi[cells], parts.trial[cells], owner, starts),
        paired=np.zeros(sizes.size, dtype=np.bool_),
        rules=[(i, "none") for i in range(sizes.size)],
        cutoff=plan.cutoff,
        fits=[(i, model, method) for i, (_, model, method) in enumerate(plan.fits)],
        first=plan.first,
        second=plan.second,
        rho=plan.rho,
        ci_method=plan.ci_method,
        of=plan.of,
        reasons=plan.reasons,
        trials=plan.trials,
    )  # fmt: skip
    spread = np.sqrt(apart.parts.vi + np.repeat(tau2, sizes))
    return lambda deviates: (apart, deviates[:, cells] * spread)


def _answer(
    result: MultiverseResult,
    plan: Plan,
    null: str,
    seed: int,
    exact: bool,
    observed: dict[str, float],
    found: dict[str, list[FloatArray]],
    curves: FloatArray,
    trials: int,
) -> MultiverseTest:
    claim = result.declaration.claim
    two_sided = claim == "nonzero"
    sign = -1.0 if claim == "negative" else 1.0
    p_value, error, expected = {}, {}, {}
    draws = len(curves)
    for name, pieces in found.items():
        values = np.concatenate(pieces)
        target = observed[name]
        expected[name] = float(np.nanmean(values)) * (1.0 if name == "share" else sign)
        if two_sided:
            values, target = np.abs(values), abs(target)
        reached = int((values >= target - _TIE * max(1.0, abs(target))).sum())
        p = reached / draws if exact else (1 + reached) / (1 + draws)
        p_value[name] = p
        error[name] = 0.0 if exact else math.sqrt(p * (1.0 - p) / (draws + 1))
    notes = []
    if exact:
        smallest = 1.0 / draws
        notes.append(f"no p value is below {smallest:.3g}, which {trials} trials allow")
    if bool((plan.second >= 0).any()):
        notes.append(
            "contrasts over all trials: deviations from the common mean are flipped, which is approximate as that mean "
            "is estimated"
        )
    if result.ratio:
        notes.append("estimates on the log scale")
    if null == "normal":
        notes.append("normal effects with each fit's own tau², taken for known")
    low, high = np.nanquantile(curves, _BAND, axis=0)
    for band in (low, high):
        band.setflags(write=False)
    return MultiverseTest(
        null=null,
        claim=claim,
        draws=draws,
        exact=exact,
        seed=seed,
        trials=trials,
        specifications=plan.first.size,
        observed={name: value * (1.0 if name == "share" else sign) for name, value in observed.items()},
        p_value=p_value,
        mc_error=error,
        expected=expected,
        band_low=low,
        band_high=high,
        notes=tuple(notes),
    )
