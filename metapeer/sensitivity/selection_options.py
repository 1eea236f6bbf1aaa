"""The options that describe a weight function, checked before anything is computed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from metapeer.errors import ChoiceError, check_choice
from metapeer.formatting import count
from metapeer.sensitivity.selection_smooth import FAMILIES

__all__ = [
    "SELECTION_PRESETS",
    "SELECTION_TYPES",
    "Alternative",
    "Precision",
    "SelectionPlan",
    "SelectionType",
    "Weights",
    "interval_words",
    "selection_plan",
]

SELECTION_TYPES = ("stepfun", *FAMILIES, "trunc", "truncest")
ALTERNATIVES = ("greater", "less", "two-sided")
PRECISIONS = ("sei", "vi", "ninv", "sqrtninv")
SELECTION_PRESETS: dict[str, tuple[float, ...]] = {"3PSM": (0.025,), "4PSM": (0.025, 0.5)}
"""Three parameters: mean, variance, one weight. McShane, Böckenholt & Hansen (2016), Perspect Psychol Sci 11:730-749;
Carter et al. (2019), Adv Methods Pract Psychol Sci 2:115-144."""

VEVEA_WOODS_STEPS: tuple[float, ...] = (0.005, 0.01, 0.05, 0.10, 0.25, 0.35, 0.50, 0.65, 0.75, 0.90, 0.95, 0.99, 0.995)
VEVEA_WOODS: dict[tuple[str, bool], tuple[float, ...]] = {
    ("moderate", False): (1, 0.99, 0.95, 0.80, 0.75, 0.65, 0.60, 0.55, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50),
    ("severe", False): (1, 0.99, 0.90, 0.75, 0.60, 0.50, 0.40, 0.35, 0.30, 0.25, 0.10, 0.10, 0.10, 0.10),
    ("moderate", True): (1, 0.99, 0.95, 0.90, 0.80, 0.75, 0.60, 0.60, 0.75, 0.80, 0.90, 0.95, 0.99, 1.00),
    ("severe", True): (1, 0.99, 0.90, 0.75, 0.60, 0.50, 0.25, 0.25, 0.50, 0.60, 0.75, 0.90, 0.99, 1.00),
}
"""Vevea & Woods (2005), Psychol Methods 10:428-443, table 1: by severity, and whether selection is two-sided. The p
values are one-sided in both."""

Precision = Literal["sei", "vi", "ninv", "sqrtninv"]
SelectionType = Literal["stepfun", "beta", "halfnorm", "negexp", "logistic", "power", "negexppow", "trunc", "truncest"]
Alternative = Literal["greater", "less", "two-sided"]
Weights = Sequence[float | None] | Literal["moderate", "severe"]


def interval_words(steps: Sequence[float], j: int) -> str:
    """Name an interval of p.

    Parameters
    ----------
    steps : sequence of float
        Where intervals end, without 1.
    j : int
        Which one.

    Returns
    -------
    str
        In words.

    Examples
    --------
    >>> interval_words((0.025, 0.5), 0), interval_words((0.025, 0.5), 2)
    ('p ≤ 0.025', '0.5 < p ≤ 1')
    """
    low, high = (0.0, *steps)[j], (*steps, 1.0)[j]
    return f"p ≤ {high:g}" if j == 0 else f"{low:g} < p ≤ {high:g}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectionPlan:
    """A weight function as it was asked for, checked.

    Parameters
    ----------
    type, alternative : str
        As in `selection_model`.
    steps : tuple of float
        Steps, threshold or cut; empty where there is none.
    fixed : tuple of float or None
        Weights of a step function that are known, None for those to be estimated; empty for other functions.
    assumed : str
        Which published weights were asked for; empty otherwise.
    decreasing : bool
        As in `selection_model`.
    prec : str
        As there; empty when there is none.
    """

    type: str
    alternative: str
    steps: tuple[float, ...]
    fixed: tuple[float | None, ...]
    assumed: str
    decreasing: bool
    prec: str

    @property
    def two_sided(self) -> bool:
        """Whether p is two-sided."""
        return self.alternative == "two-sided"

    @property
    def sign(self) -> float:
        """What turns effects so that large ones are the favoured ones."""
        return -1.0 if self.alternative == "less" else 1.0

    @property
    def free(self) -> int:
        """How many parameters are estimated, zeros on a boundary among them."""
        if self.type == "stepfun":
            return sum(value is None for value in self.fixed)
        return {"trunc": 1, "truncest": 2}.get(self.type) or len(FAMILIES[self.type].names)

    @property
    def count_steps(self) -> tuple[float, ...]:
        """Steps of p between which effects are counted; none where the weight depends on effects."""
        if self.type in ("trunc", "truncest"):
            return ()
        if self.steps:
            return self.steps
        return (0.05, 0.1, 0.5) if self.two_sided else (0.025, 0.05, 0.5)


def _read_steps(steps: object) -> tuple[float, ...]:
    values = [steps] if isinstance(steps, int | float | np.number) else steps
    try:
        numbers = [float(value) for value in values]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ChoiceError(f"steps must be p values, such as (0.025, 0.5), not {steps!r}") from None
    if isinstance(steps, bool | str) or not numbers:
        raise ChoiceError(f"steps must be p values, such as (0.025, 0.5), not {steps!r}")
    if numbers[-1] == 1.0:
        numbers = numbers[:-1]
    if not numbers or not all(0.0 < value < 1.0 for value in numbers):
        raise ChoiceError(f"steps must lie between 0 and 1, not {steps!r}")
    if any(b <= a for a, b in pairwise(numbers)):
        raise ChoiceError(f"steps must rise, each once, not {steps!r}")
    return tuple(numbers)


def _read_weights(weights: object, size: int, steps: tuple[float, ...]) -> tuple[float | None, ...]:
    if isinstance(weights, str) or not isinstance(weights, Sequence | np.ndarray):
        raise ChoiceError(
            f"weights must be numbers, one for each interval of p, or 'moderate' or 'severe', not {weights!r}"
        )
    if len(weights) != size:
        ends = ", ".join(f"{step:g}" for step in (*steps, 1.0))
        raise ChoiceError(
            f"weights has {len(weights)} values, but the steps make {count(size, 'interval')} of p, up to {ends}"
        )
    values: list[float | None] = []
    for value in weights:
        if value is None:
            values.append(None)
            continue
        good = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not good or not math.isfinite(float(value)) or float(value) < 0.0:
            raise ChoiceError(f"a weight must be a finite number, 0 or more, or None to be estimated, not {value!r}")
        values.append(float(value))
    if values[0] is None or not values[0] > 0.0:
        raise ChoiceError("the first weight is what the others are relative to; give a number above 0, such as 1")
    return tuple(values)


def selection_plan(
    *,
    type: str,  # noqa: A002  the field's name
    alternative: str,
    steps: object,
    weights: object,
    decreasing: bool,
    prec: str | None,
    preset: str | None,
) -> SelectionPlan:
    """Check the options that describe the weight function, and fill in what was left out.

    Parameters
    ----------
    type, alternative, steps, weights, decreasing, prec, preset
        As in `selection_model`.

    Returns
    -------
    SelectionPlan
        Complete.

    Raises
    ------
    ChoiceError
        If one is unknown, or has no effect with the others.

    Examples
    --------
    >>> plan = selection_plan(type="stepfun", alternative="less", steps=None, weights=None, decreasing=False, prec=None,
    ...                       preset="4PSM")
    >>> plan.steps, plan.fixed, plan.free, plan.sign
    ((0.025, 0.5), (1.0, None, None), 2, -1.0)
    """
    check_choice("type", type, SELECTION_TYPES)
    check_choice("alternative", alternative, ALTERNATIVES)
    two_sided = alternative == "two-sided"
    if preset is not None:
        check_choice("preset", preset, SELECTION_PRESETS)
        if type != "stepfun" or steps is not None or weights is not None or decreasing or two_sided:
            raise ChoiceError(
                f"preset {preset!r} is a one-sided step function with its own steps; leave type, steps, weights and "
                "decreasing out, and give alternative='greater' or 'less'"
            )
        steps = SELECTION_PRESETS[preset]
    _refuse_idle(type, weights=weights, decreasing=decreasing, prec=prec, two_sided=two_sided)
    fixed: tuple[float | None, ...] = ()
    assumed = ""
    if type == "stepfun":
        chosen, fixed, assumed = _step_function(steps, weights, decreasing=decreasing, two_sided=two_sided)
        if assumed and two_sided:
            alternative = "greater"  # these functions are written in one-sided p, and fall and rise again
    elif type == "trunc":
        chosen = _cut(steps)
    else:
        chosen = _threshold(type, steps)
    return SelectionPlan(
        type=type,
        alternative=alternative,
        steps=chosen,
        fixed=fixed,
        assumed=assumed,
        decreasing=decreasing,
        prec=prec or "",
    )


def _refuse_idle(type: str, *, weights: object, decreasing: bool, prec: str | None, two_sided: bool) -> None:  # noqa: A002
    """Refuse options that have no effect with a kind of weight function."""
    if type != "stepfun" and weights is not None:
        raise ChoiceError("weights belong to type='stepfun'; other weight functions have parameters")
    if type != "stepfun" and decreasing:
        raise ChoiceError("decreasing belongs to type='stepfun'; leave it out")
    if type in ("trunc", "truncest") and two_sided:
        raise ChoiceError(f"type={type!r} cuts effects at one value; give alternative='greater' or 'less'")
    if prec is not None:
        check_choice("prec", prec, PRECISIONS)
        if type not in FAMILIES or not FAMILIES[type].takes_precision:
            raise ChoiceError(f"prec has no effect with type={type!r}; leave it out")


def _step_function(
    steps: object, weights: object, *, decreasing: bool, two_sided: bool
) -> tuple[tuple[float, ...], tuple[float | None, ...], str]:
    """Steps, weights that are known, and which published weights these are."""
    if decreasing and weights is not None:
        raise ChoiceError("decreasing orders weights that are estimated; with weights given leave it out")
    if isinstance(weights, str):
        severity = check_choice("weights", weights, ("moderate", "severe"))
        if steps is not None:
            raise ChoiceError(f"weights={weights!r} come with their own steps; leave steps out")
        words = f"{severity} {'two' if two_sided else 'one'}-tailed selection"
        return VEVEA_WOODS_STEPS, VEVEA_WOODS[severity, two_sided], words
    chosen = _read_steps(steps if steps is not None else (0.05 if two_sided else 0.025))
    if weights is None:
        return chosen, (1.0, *[None] * len(chosen)), ""
    return chosen, _read_weights(weights, len(chosen) + 1, chosen), ""


def _threshold(type: str, steps: object) -> tuple[float, ...]:  # noqa: A002
    """The p value up to which a smooth weight is 1, if there is one."""
    if steps is None:
        return ()
    if type not in FAMILIES or not FAMILIES[type].takes_threshold:
        raise ChoiceError(f"steps have no effect with type={type!r}; leave them out")
    chosen = _read_steps(steps)
    if len(chosen) > 1 or chosen[0] > 0.9:
        raise ChoiceError(
            f"with type={type!r} steps is one p value up to 0.9, below which every study is as likely to be seen"
        )
    return chosen


def _cut(steps: object) -> tuple[float, ...]:
    value = 0.0 if steps is None else steps[0] if isinstance(steps, Sequence) and len(steps) == 1 else steps
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(float(value)):
        raise ChoiceError(f"with type='trunc' steps is one effect, in the units of the analysis, not {steps!r}")
    return (float(value),)
