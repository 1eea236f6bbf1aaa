"""What `metapeer sequential` does with what was typed: a test repeated after each trial, as a sensitivity analysis."""

import re
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import metapeer as mp
from metapeer.command_input import doubts_told_once, find_effects, number_or_word
from metapeer.command_options import EffectOptions, Given, ModelChoice, RowOptions, Tau2Method, option
from metapeer.errors import ChoiceError, DataError, MetapeerError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SequentialMethod", "SequentialOptions", "everything_of", "sequential_table"]


class SequentialMethod(StrEnum):
    """Which sequential method."""

    TSA = "TSA"
    SMA = "SMA"
    LIL = "LIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialOptions(Given):
    """How a test is repeated."""

    method: Annotated[
        SequentialMethod | None,
        option(
            "--method",
            group="Pooling",
            text="TSA (trial sequential analysis; default), SMA (sequential meta-analysis by the restricted procedure) "
            "or LIL (law of the iterated logarithm).",
        ),
    ] = None
    effect: Annotated[
        float | None,
        option(
            "--effect",
            group="Pooling",
            metavar="NUMBER",
            text="The smallest effect that matters, in the units of the pooled effects (log for ratios). TSA and SMA "
            "need it.",
        ),
    ] = None
    control_risk: Annotated[
        float | None,
        option("--control-risk", group="Pooling", metavar="NUMBER", text="TSA of RR, OR or RD: the risk in arm 2."),
    ] = None
    relative_risk_reduction: Annotated[
        float | None,
        option(
            "--relative-risk-reduction",
            group="Pooling",
            metavar="NUMBER",
            text="TSA of RR, OR or RD, with --control-risk: instead of --effect.",
        ),
    ] = None
    sd: Annotated[
        float | None,
        option("--sd", group="Pooling", metavar="NUMBER", text="TSA of MD: standard deviation within arms."),
    ] = None
    alpha: Annotated[
        float | None,
        option("--alpha", group="Pooling", metavar="NUMBER", text="Two-sided error over all looks; 0.05 by default."),
    ] = None
    power: Annotated[
        float | None,
        option(
            "--power",
            group="Pooling",
            metavar="NUMBER",
            text="To find --effect; 0.8 for TSA and 0.9 for SMA by default.",
        ),
    ] = None
    heterogeneity: Annotated[
        str | None,
        option(
            "--heterogeneity",
            group="Pooling",
            metavar="NAME",
            text="TSA: what the required size is adjusted for: D2 (diversity; default), I2, none, or a number of per "
            "cent that was stated beforehand.",
        ),
    ] = None
    information: Annotated[
        str | None,
        option(
            "--information",
            group="Pooling",
            metavar="NAME",
            text="TSA: what is counted: information (default) or participants.",
        ),
    ] = None
    spending: Annotated[
        str | None,
        option(
            "--spending",
            group="Pooling",
            metavar="NAME",
            text="TSA: how the error is spent: OBF (O'Brien-Fleming type; default), Pocock or HSD.",
        ),
    ] = None
    futility: Annotated[
        str | None,
        option(
            "--futility",
            group="Pooling",
            metavar="NAME",
            text="TSA: futility boundaries as well, by OBF, Pocock or HSD spending.",
        ),
    ] = None
    gamma: Annotated[
        float | None, option("--gamma", group="Pooling", metavar="NUMBER", text="TSA: for HSD; -4 by default.")
    ] = None
    prior_tau2: Annotated[
        float | None,
        option(
            "--prior-tau2",
            group="Pooling",
            metavar="NUMBER",
            text="SMA: what tau² is expected to be, with --prior-trials.",
        ),
    ] = None
    prior_trials: Annotated[
        float | None,
        option("--prior-trials", group="Pooling", metavar="NUMBER", text="SMA: how many trials --prior-tau2 is worth."),
    ] = None
    penalty: Annotated[
        float | None,
        option(
            "--penalty",
            group="Pooling",
            metavar="NUMBER",
            text="LIL: the adjustment factor; 2 by default, and 1.5 for risk differences.",
        ),
    ] = None
    order: Annotated[
        str | None,
        option("--order", group="Pooling", metavar="COLUMN", text="When a trial came in; the column year by default."),
    ] = None
    together: Annotated[
        bool | None,
        option(
            "--together/--one-by-one",
            group="Pooling",
            text="Trials with the same value come in at one look (default), or in the order of the table.",
        ),
    ] = None
    model: ModelChoice = None
    tau2_method: Tau2Method = None
    figure: Annotated[
        Path | None,
        option("--figure", group="Output", metavar="FILE", text="Draw it as well: .png, .svg or .pdf."),
    ] = None


# What only some methods know; everything else, all do.
_BELONGS = {
    "effect": ("TSA", "SMA"),
    "power": ("TSA", "SMA"),
    "model": ("TSA", "LIL"),
    "prior_tau2": ("SMA",),
    "prior_trials": ("SMA",),
    "penalty": ("LIL",),
} | dict.fromkeys(
    (
        "control_risk",
        "relative_risk_reduction",
        "sd",
        "heterogeneity",
        "information",
        "spending",
        "futility",
        "gamma",
    ),
    ("TSA",),
)


def _typed(name: str) -> str:
    return "--" + name.replace("_", "-")


def _choices(method: str, options: SequentialOptions) -> dict[str, Any]:
    """What was typed, for the method; an option that it does not know is refused."""
    choices = options.given("method", "figure")
    idle = [_typed(name) for name in choices if method not in _BELONGS.get(name, (method,))]
    if idle:
        known = " or ".join(_BELONGS[idle[0][2:].replace("-", "_")])
        raise ChoiceError(f"{idle[0]} has no effect with --method {method}; it belongs to {known}")
    if "model" in choices:
        choices["model"] = choices["model"].value
    if "heterogeneity" in choices:
        choices["heterogeneity"] = number_or_word(choices["heterogeneity"])
    if method == "SMA" and "effect" not in choices:
        raise MetapeerError("--method SMA needs --effect, the smallest effect that matters")
    return choices


def _as_typed(message: str) -> str:
    """The library's advice, as it is typed here."""
    names = "|".join(sorted((field.name for field in fields(SequentialOptions)), key=len, reverse=True))
    return re.sub(rf"\b({names})=(?:'([^']*)')?", lambda m: f"{_typed(m[1])} {m[2] or ''}".strip(), message)


def sequential_table(
    table: str, rows: RowOptions, effect: EffectOptions, options: SequentialOptions, *, notes_shown: bool
) -> "mp.SequentialResult":
    """Test the effects of a table again after each trial, and draw the looks if that was asked for.

    Parameters
    ----------
    table : str
        A file, a data set or a folder like one.
    rows, effect, options
        What was typed.
    notes_shown : bool
        Whether the notes of the result are printed.

    Returns
    -------
    SequentialResult
        The looks, the boundaries and the conclusion.
    """
    method = "TSA" if options.method is None else options.method.value
    choices = _choices(method, options)
    if options.figure is not None and options.figure.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise MetapeerError(f"--figure {str(options.figure)!r}: the name must end in .png, .svg, .pdf")
    effects, known = find_effects(table, rows, effect)
    data = effects.assign(**known)
    run: dict[str, Callable[..., mp.SequentialResult]] = {
        "TSA": mp.trial_sequential_analysis,
        "SMA": mp.sequential_meta_analysis,
        "LIL": mp.law_of_iterated_logarithm,
    }
    try:
        with doubts_told_once(notes_shown=notes_shown):
            found = run[method](data, **choices)
    except DataError:
        raise
    except MetapeerError as error:
        raise MetapeerError(_as_typed(str(error))) from None
    if options.figure is not None:
        mp.save_figure(found.plot(), options.figure)
    return found


def everything_of(found: "mp.SequentialResult") -> dict[str, Any]:
    """Collect what JSON has: what is computed from the fields stands first, with the label.

    Parameters
    ----------
    found : SequentialResult
        The result.

    Returns
    -------
    dict
        Name to value.
    """
    first = {name: getattr(found, name) for name in ("title", "verdict", "conclusion")}
    rest = {field.name: getattr(found, field.name) for field in fields(found) if field.name not in ("looks", "curve")}
    return {**first, **rest, "looks": found.to_frame()}
