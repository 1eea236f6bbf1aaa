"""What sequential methods share: the looks, as they were pooled, and the result that is made of them."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from metapeer.effects.measures import MEASURES
from metapeer.errors import DataWarning, MetapeerError
from metapeer.formatting import count, format_number
from metapeer.living.sequential_results import SequentialLook, SequentialResult
from metapeer.pooling.cumulative_models import cumulative
from metapeer.pooling.cumulative_results import CumulativeResult
from metapeer.pooling.models import Model, Notes
from metapeer.pooling.results import MetaAnalysisResult

__all__ = ["Steps", "model_words", "sequential_result", "take_look", "take_steps"]

FEW = 5
"""Trials below which the result says that an estimate of tau² from them tells little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The looks as they were pooled.

    Parameters
    ----------
    found : CumulativeResult
        A pooled result for each look.
    notes : Notes
        What a reader must know.
    """

    found: CumulativeResult
    notes: Notes

    @property
    def fits(self) -> tuple[MetaAnalysisResult, ...]:
        """What was pooled at each look."""
        return self.found.results


def take_steps(
    data: pd.DataFrame,
    *,
    order: str | ArrayLike,
    together: bool,
    model: Model,
    tau2_method: str | None,
) -> Steps:
    """Pool at each look, with normal tests.

    Parameters
    ----------
    data, order, together, model, tau2_method
        As in `trial_sequential_analysis`.

    Returns
    -------
    Steps
        With notes of what is doubtful.

    Raises
    ------
    DataError
        If the table cannot be pooled or ordered.
    MetapeerError
        If the measure has no value that means no effect.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # said below, on the result as well
        found = cumulative(data, order=order, together=together, model=model, tau2_method=tau2_method, ci_method="z")
    notes, last = Notes(), found.results[-1]
    if not MEASURES[last.measure or "GEN"].has_null:
        raise MetapeerError(f"{last.measure} has no value that means no effect, so that there is nothing to test")
    if last.trials < last.k:
        notes.doubt(
            f"{count(last.k, 'effect')} from {count(last.trials, 'trial')} are pooled as if independent, which no "
            "boundary allows for; take one effect of each trial, as average_within_trial() makes it"
        )
    if model == "random" and last.k < FEW:
        notes.doubt(f"{count(last.k, 'trial')}: tau² is hardly known, and with it the information and every z")
    return Steps(found=found, notes=notes)


def take_look(steps: Steps, i: int, **fields: object) -> SequentialLook:
    """Describe a look by what was pooled at it, unless told otherwise.

    Parameters
    ----------
    steps : Steps
        All of them.
    i : int
        Which one.
    **fields
        Of `SequentialLook`: those that pooling does not know, and any that differ.

    Returns
    -------
    SequentialLook
        Complete.
    """
    fit = steps.fits[i]
    known = fit.participants if fit.participants_known == fit.trials else None
    values: dict[str, object] = {
        "value": steps.found.values[i],  # noqa: PD011  no frame
        "added": steps.found.added[i],
        "k": fit.k,
        "participants": known,
        "estimate": fit.estimate,
        "se": fit.se,
        "z": fit.estimate / fit.se,
        "tau2": 0.0 if math.isnan(fit.tau2) else fit.tau2,
        "fraction": None,
        "futility": None,
    }
    return SequentialLook(**(values | fields))  # type: ignore[arg-type]


def model_words(steps: Steps) -> str:
    """Say how the looks were pooled.

    Parameters
    ----------
    steps : Steps
        All of them.

    Returns
    -------
    str
        Such as "random effects, tau² by REML".
    """
    fit = steps.fits[-1]
    return "common effect" if fit.model == "common" else f"random effects, tau² by {fit.tau2_method or 'REML'}"


def sequential_result(steps: Steps, **fields: object) -> SequentialResult:
    """Put the parts together, and warn of what is doubtful.

    Parameters
    ----------
    steps : Steps
        What was pooled.
    **fields
        Of `SequentialResult`: those that pooling does not know.

    Returns
    -------
    SequentialResult
        Complete.
    """
    last = steps.fits[-1]
    looks: Any = fields["looks"]
    end = next((i for i, look in enumerate(looks) if look.fraction is not None and look.fraction >= 1.0), len(looks))
    after = len(looks) - 1 - end
    if after > 0:
        steps.notes.say(
            f"{count(after, 'look')} after the required information {'is' if after == 1 else 'are'} not tested, for no "
            f"error is left to be spent; at the last of them z = {format_number(looks[-1].z)}"
        )
    steps.notes.warn(3)
    found: dict[str, object] = {
        "measure": last.measure,
        "positive_favours": last.positive_favours,
        "order": steps.found.order,
        "notes": tuple(steps.notes.said),
    }
    return SequentialResult(**(found | fields))  # type: ignore[arg-type]
