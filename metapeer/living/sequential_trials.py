"""The door to trial sequential analysis: Lan and DeMets' boundaries against a required information size."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.living.sequential_boundaries import (
    SPENDING,
    crossing_probabilities,
    efficacy_boundaries,
    futility_boundaries,
    looks_tested,
)
from metapeer.living.sequential_formulas import required_drift
from metapeer.living.sequential_information import LARGEST_SHARE, check_share, required_information_size
from metapeer.living.sequential_looks import Steps, model_words, sequential_result, take_look, take_steps
from metapeer.living.sequential_results import SequentialResult
from metapeer.pooling.models import Model, Notes
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.pooling.weighted import total

__all__ = ["trial_sequential_analysis"]

ADJUSTMENTS = ("D2", "I2", "none")
SCALES = ("information", "participants")
NAMES = {"OBF": "O'Brien-Fleming-type", "Pocock": "Pocock-type", "HSD": "Hwang-Shih-DeCani"}


def trial_sequential_analysis(
    data: pd.DataFrame,
    *,
    effect: float | None = None,
    control_risk: float | None = None,
    relative_risk_reduction: float | None = None,
    sd: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    heterogeneity: str | float | None = None,
    information: str = "information",
    spending: str = "OBF",
    futility: str | None = None,
    gamma: float | None = None,
    order: str | ArrayLike = "year",
    together: bool = True,
    model: Model = "random",
    tau2_method: str | None = None,
) -> SequentialResult:
    """Trial sequential analysis: boundaries for z that leave room for looks yet to come. Sensitivity analysis only.

    Parameters
    ----------
    data : DataFrame
        Effects, one of each trial, as `effect_size` and `average_within_trial` return them.
    effect, control_risk, relative_risk_reduction, sd
        The smallest effect that matters, as in `required_information_size`.
    alpha : float, default 0.05
        Two-sided error over all looks.
    power : float, default 0.8
        To find the effect with one look at the required size.
    heterogeneity : {"D2", "I2", "none"} or float, optional
        What the required size is adjusted for: diversity (the default under random effects), I² from tau², nothing
        (the default under a common effect), or a number of per cent that was stated beforehand.
    information : {"information", "participants"}, default "information"
        What is counted: the sum of 1 / vi, or people, of whom all trials must tell how many.
    spending : {"OBF", "Pocock", "HSD"}, default "OBF"
        How the error is spent, as in `spent_error`.
    futility : {"OBF", "Pocock", "HSD"}, optional
        How the probability to miss the effect is spent on inner boundaries, which do not bind; without it there are
        none.
    gamma : float, optional
        For "HSD"; -4 when left out.
    order : str or sequence, default "year"
        A column of `data`, or a value for each of its rows: when a trial came in.
    together : bool, default True
        Whether trials with the same value come in at one look; their order is not known. Otherwise that of the table.
    model, tau2_method
        As in `meta_analysis`.

    Returns
    -------
    SequentialResult
        Looks, boundaries and a conclusion.

    Raises
    ------
    DataError
        If the table cannot be pooled or ordered; every fault is listed.
    MetapeerError
        If the effect to be found is not stated, or an option makes no sense.

    Warns
    -----
    DataWarning
        If trials give several effects, or are very few.

    References
    ----------
    Wetterslev, Thorlund, Brok & Gluud (2008), J Clin Epidemiol 61:64-75; (2009), BMC Med Res Methodol 9:86. Brok,
    Thorlund, Gluud & Wetterslev (2008), J Clin Epidemiol 61:763-769. Lan & DeMets (1983), Biometrika 70:659-663.

    Examples
    --------
    >>> table = pd.DataFrame({"study_id": ["a", "b", "c", "d", "e"], "year": [2004, 2009, 2011, 2015, 2019],
    ...                       "yi": [0.1, 0.3, 0.35, 0.25, 0.3], "vi": [0.03, 0.02, 0.02, 0.01, 0.01]})
    >>> found = trial_sequential_analysis(table, effect=0.2, heterogeneity="none")
    >>> found.to_frame()[["value", "crossed", "z", "fraction", "boundary"]].round(2)
      value crossed     z  fraction  boundary
    0  2004          0.58      0.17      5.31
    1  2009          2.01      0.42      3.25
    2  2011   upper  3.10      0.68      2.49
    3  2015   upper  3.98      1.19      2.01
    4  2019          4.98      1.70       NaN
    """
    error = check_share("alpha", alpha)
    check_choice("information", information, SCALES)
    for name, value in (("spending", spending), ("futility", futility)):
        if name == "spending" or value is not None:
            check_choice(name, value, SPENDING)
    if gamma is not None and "HSD" not in (spending, futility):
        raise ChoiceError("gamma has no effect without spending='HSD' or futility='HSD'; leave it out")
    bend = check_share("gamma", -4.0 if gamma is None else gamma, -40.0, 40.0)
    steps = take_steps(data, order=order, together=together, model=model, tau2_method=tau2_method)
    last, notes = steps.fits[-1], steps.notes
    share, source = _heterogeneity(last, heterogeneity, notes)
    required = required_information_size(
        measure=last.measure,
        effect=effect,
        sd=sd,
        control_risk=control_risk,
        relative_risk_reduction=relative_risk_reduction,
        alpha=error,
        power=power,
        heterogeneity=share,
        adjusted_by=source,
    )
    if share == 0.0 and source not in ("", "stated"):
        required = replace(required, adjusted_by=f"none: {source} is 0%")
    if information == "participants":
        amounts, end = _participants(steps), required.participants
        if end is None:
            need = {"MD": "sd=", "RR": "control_risk=", "OR": "control_risk=", "RD": "control_risk="}
            remedy = f"give {need[last.measure]}" if last.measure in need else "use information='information'"
            raise MetapeerError(f"the required participants of {last.measure or 'this effect'} are unknown; {remedy}")
        size = float(end)
    else:
        amounts, size = [total(1.0 / fit.vi) for fit in steps.fits], required.information
    fractions = [amount / size for amount in amounts]
    planned = [*fractions, 1.0] if looks_tested([*fractions, 1.0])[-1] else fractions
    outer = efficacy_boundaries(planned, error, spending=spending, gamma=bend)
    drift = required_drift(error, required.power)
    inner = np.full(len(planned), np.nan)
    if futility is not None:
        inner = futility_boundaries(planned, outer, 1.0 - required.power, drift=drift, spending=futility, gamma=bend)
    attained = float(crossing_probabilities(planned, outer.tolist(), drift=drift)[0].sum())
    looks = tuple(
        take_look(
            steps,
            i,
            information=amounts[i],
            fraction=fractions[i],
            boundary=_or_none(outer[i]),
            futility=_or_none(inner[i]),
        )
        for i in range(len(fractions))
    )
    if any(look.boundary is None and fraction < 1.0 for look, fraction in zip(looks, fractions, strict=True)):
        notes.say("looks that hardly add information are not tested; their error is kept for the next one")
    bent = f", gamma = {bend:g}" if "HSD" in (spending, futility) else ""
    return sequential_result(
        steps,
        method="Trial sequential analysis",
        design=f"{NAMES[spending]} spending of a two-sided error of {error:g}"
        + (f"; {NAMES[futility]} futility spending, not binding" if futility else "")
        + bent
        + f"; {model_words(steps)}",
        scale=information,
        looks=looks,
        alpha=error,
        required=required,
        end=size,
        attained_power=attained,
        curve=tuple(
            (amount, float(bound), float(least))
            for amount, bound, least in zip([*amounts, size], outer, inner, strict=False)
            if math.isfinite(bound)
        ),
    )


def _diversity(fit: MetaAnalysisResult) -> float:
    """Per cent by which heterogeneity lessens the information, Wetterslev et al.'s D²."""
    tau2 = 0.0 if math.isnan(fit.tau2) else fit.tau2
    return 100.0 * (1.0 - total(1.0 / (fit.vi + tau2)) / total(1.0 / fit.vi))


def _heterogeneity(fit: MetaAnalysisResult, wanted: object, notes: Notes) -> tuple[float, str]:
    """Per cent to adjust for, and where it comes from."""
    common = fit.model == "common"
    if isinstance(wanted, int | float | np.number) and not isinstance(wanted, bool):
        if 0 < wanted < 1:
            notes.doubt(f"heterogeneity={wanted:g} was read as {wanted:g} per cent; for a share, times 100")
        return float(wanted), "stated"
    if wanted is not None and not isinstance(wanted, str):
        raise ChoiceError(f"heterogeneity must be {', '.join(ADJUSTMENTS)} or a number of per cent, not {wanted!r}")
    chosen = check_choice("heterogeneity", wanted or ("none" if common else "D2"), ADJUSTMENTS)
    if chosen == "none":
        return 0.0, ""
    if common:
        raise ChoiceError(
            f"heterogeneity={chosen!r} has no effect with model='common'; leave it out, or state per cent"
        )
    share = _diversity(fit) if chosen == "D2" else (0.0 if math.isnan(fit.I2) else fit.I2)
    if share > LARGEST_SHARE:
        raise MetapeerError(f"{chosen} is {share:.2f}%: no amount of information would do; state heterogeneity=")
    notes.say(
        f"{'D²' if chosen == 'D2' else 'I²'} was estimated from these trials, which makes the required size move with "
        "every new one; state a number to see what another would do"
    )
    return share, "D² of all trials" if chosen == "D2" else "I² from tau², of all trials"


def _participants(steps: Steps) -> list[float]:
    """People at each look; refused where a trial does not tell."""
    last = steps.fits[-1]
    if last.participants_known == last.trials:
        return [float(fit.participants or 0) for fit in steps.fits]
    rows = last.data
    source, faults = "the table", []
    if rows is not None:
        source = str(rows.attrs.get("source", source))
        pairs = [pair for pair in (("n1", "n2"), ("total1", "total2")) if set(pair) <= set(rows.columns)]
        told = np.zeros(len(rows), dtype=bool)
        for pair in pairs:
            told |= rows[list(pair)].notna().all(axis=1).to_numpy()
        faults = [
            Fault(
                row=last.labels[i],
                message="participants per arm (n1, n2) are missing; fill them in, or count information",
            )
            for i in np.flatnonzero(~told).tolist()
        ]
    raise DataError(source, faults or ["participants per arm (n1, n2) are missing; give them, or count information"])


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
