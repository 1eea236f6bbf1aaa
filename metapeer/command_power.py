"""What `metapeer power` does with what was typed: the power of a planned meta-analysis, and what it takes."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import metapeer as mp
from metapeer.command_options import Given, ModelChoice, option
from metapeer.command_output import PICTURES, check_place
from metapeer.errors import ChoiceError, DataError, MetapeerError

__all__ = ["PowerOptions", "find_power"]

SPREAD = (0.0, 25.0, 50.0, 75.0)
"""Heterogeneity that is tried where none was named: nobody knows that of studies that are not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerOptions(Given):
    """A planned meta-analysis."""

    effect: Annotated[
        float | None,
        option(
            "--effect",
            group="Plan",
            metavar="NUMBER",
            text="The effect that would matter, as it is pooled (log for ratios). Left out: the smallest effect that "
            "--studies would find.",
        ),
    ] = None
    k: Annotated[
        list[int] | None,
        option(
            "--studies",
            group="Plan",
            metavar="NUMBER",
            text="How many studies; may be repeated. Left out: how many are needed.",
        ),
    ] = None
    n1: Annotated[float | None, option("--n1", group="Plan", metavar="NUMBER", text="Participants of arm 1.")] = None
    n2: Annotated[float | None, option("--n2", group="Plan", metavar="NUMBER", text="Participants of arm 2.")] = None
    sei: Annotated[
        float | None,
        option(
            "--sei", group="Plan", metavar="NUMBER", text="Standard error of a study, in the place of participants."
        ),
    ] = None
    sd: Annotated[
        float | None, option("--sd", group="Plan", metavar="NUMBER", text="Standard deviation within arms, for MD.")
    ] = None
    risk2: Annotated[
        float | None, option("--risk", group="Plan", metavar="NUMBER", text="Risk in arm 2, for OR, RR and RD.")
    ] = None
    I2: Annotated[
        list[float] | None,
        option("--i2", group="Plan", metavar="PERCENT", text="Heterogeneity, as I²; may be repeated. 0 by default."),
    ] = None
    tau2: Annotated[
        list[float] | None,
        option("--tau2", group="Plan", metavar="NUMBER", text="Heterogeneity, as tau²; may be repeated."),
    ] = None
    power: Annotated[
        float | None,
        option("--power", group="Plan", metavar="NUMBER", text="Power to be reached, where that is asked; 0.8."),
    ] = None
    measure: Annotated[
        str | None,
        option("--measure", group="Pooling", metavar="CODE", text="SMD (default), MD, OR, RR, RD or another."),
    ] = None
    model: ModelChoice = None
    ci_method: Annotated[
        str | None,
        option("--ci-method", group="Pooling", metavar="CODE", text="The test: HK (default), HK_se, HK_ci, t or z."),
    ] = None
    alpha: Annotated[
        float | None, option("--alpha", group="Pooling", metavar="NUMBER", text="Level of the test; 0.05 by default.")
    ] = None
    alternative: Annotated[
        str | None,
        option("--alternative", group="Pooling", metavar="NAME", text="two-sided (default), greater or less."),
    ] = None
    simulations: Annotated[
        int | None,
        option("--simulations", group="Pooling", metavar="NUMBER", text="Simulate, so many times, instead."),
    ] = None
    curve: Annotated[
        Path | None,
        option(
            "--curve",
            group="Output",
            metavar="FILE",
            text="Draw power over the number of studies, for several I² where none is named: .png, .svg or .pdf.",
        ),
    ] = None


def _over(k: int) -> list[int]:
    """Numbers of studies around one."""
    return sorted({max(2, round(k * part)) for part in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)})


def _curve(options: PowerOptions, plan: dict[str, Any], counts: Sequence[int]) -> "mp.PowerCurve":
    levels: dict[str, Any] = {"tau2": options.tau2} if options.tau2 else {"I2": options.I2 or list(SPREAD)}
    assert options.effect is not None  # noqa: S101  asked for before
    return mp.power_curve(effect=options.effect, k=list(counts), **levels, **plan)


def _draw(options: PowerOptions, curve: "mp.PowerCurve") -> None:
    if options.curve is not None:
        target: dict[str, Any] = {} if options.power is None else {"target": options.power}
        mp.save_figure(curve.plot(**target), options.curve)


def _refuse_idle(options: PowerOptions, *, several: bool) -> None:
    if options.effect is None and not options.k:
        raise MetapeerError("give --effect, or --studies, or both: what is left out is what is computed")
    if options.I2 and options.tau2:
        raise ChoiceError("give either --i2 or --tau2, not both")
    if options.effect is None and (several or options.curve is not None):
        raise ChoiceError("without --effect, give --studies and heterogeneity once, and no --curve")
    if not options.k and several:
        raise ChoiceError("without --studies, give heterogeneity once")
    whole = options.effect is not None and bool(options.k)
    if options.power is not None and whole and options.curve is None:
        raise ChoiceError("--power has no effect with both --effect and --studies, which give the power; leave it out")
    if options.simulations is not None and (several or not whole):
        raise ChoiceError("--simulations needs --effect, and --studies and heterogeneity once")


def find_power(options: PowerOptions) -> "mp.PowerResult | mp.PowerSearch | mp.PowerCurve":
    """Answer what was left open: power, the number of studies, or the effect.

    Parameters
    ----------
    options : PowerOptions
        What was typed.

    Returns
    -------
    PowerResult, PowerSearch or PowerCurve
        The answer; the picture is written, where one was asked for.

    Raises
    ------
    MetapeerError
        If too much or too little was given.
    """
    if options.n1 is None and options.n2 is None and options.sei is None:
        raise MetapeerError(
            "give the size of the studies: --n1 and --n2 (with --sd for MD, or --risk for OR, RR and RD), or --sei"
        )
    try:
        return _find_power(options)
    except DataError:
        raise
    except MetapeerError as error:
        # What Python calls otherwise, as it is typed here.
        said = re.sub(r"\brisk2\b", "--risk", re.sub(r"^k must", "--studies must", str(error)))
        raise type(error)(re.sub(r"^(effect|alternative|alpha|power|simulations)(?= must| ')", r"--\1", said)) from None


def _find_power(options: PowerOptions) -> "mp.PowerResult | mp.PowerSearch | mp.PowerCurve":
    if options.curve is not None:
        check_place(options.curve, PICTURES, "--curve")
    several = any(len(given or ()) > 1 for given in (options.k, options.I2, options.tau2))
    _refuse_idle(options, several=several)
    plan: dict[str, Any] = options.given("effect", "k", "I2", "tau2", "power", "simulations", "curve")
    if "model" in plan:
        plan["model"] = plan["model"].value
    one: dict[str, Any] = {name: values[0] for name, values in (("I2", options.I2), ("tau2", options.tau2)) if values}
    target: dict[str, Any] = {} if options.power is None else {"power": options.power}
    counts = sorted(set(options.k or ()))
    if options.effect is None:
        return mp.detectable_effect(k=counts[0], **one, **target, **plan)
    if several:
        found = _curve(options, plan, counts)
        _draw(options, found)
        return found
    if not counts:
        needed = mp.studies_needed(effect=options.effect, **one, **target, **plan)
        if options.curve is not None and math.isfinite(needed.value):
            _draw(options, _curve(options, plan, _over(int(needed.value))))
        return needed
    if options.curve is not None:
        _draw(options, _curve(options, plan, _over(counts[0])))
    simulated: dict[str, Any] = {} if options.simulations is None else {"simulations": options.simulations}
    return mp.power_meta_analysis(effect=options.effect, k=counts[0], **one, **simulated, **plan)
