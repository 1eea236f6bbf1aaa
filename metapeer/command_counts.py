"""What `metapeer counts` does with what was typed: the method chosen, options that it lacks refused, counts pooled."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import metapeer as mp
from metapeer.command_input import doubts_told_once, find_rows, number_or_word, tell_unadjusted
from metapeer.command_options import Given, Level, Model, RowOptions, option
from metapeer.errors import ChoiceError, DataError, Fault, check_choice

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METHODS", "CountOptions", "pool_counts"]

# What each method pools, and which options it has.
METHODS = {
    "MH": (
        ("OR", "RR", "RD", "IRR", "IRD"),
        ("model", "zero_cells", "add", "variance", "ci_method", "correct", "level"),
    ),
    "Peto": (("OR",), ("level",)),
    "GLMM": (
        ("OR", "IRR", "PLO", "IRLN"),
        ("model", "glmm", "coding", "ci_method", "prediction_method", "drop_double_zero", "level"),
    ),
    "BB": (("OR", "RR", "RD"), ("ci_method", "level")),
}
GLMMS = ("UM.FS", "UM.RS", "CM.EL", "CM.AL")
ONE_GROUP = ("PLO", "IRLN")
LARGEST = {f"{stem}{arm}": 1e7 for stem in ("events", "total") for arm in ("1", "2", "")}
LARGEST |= {f"time{arm}": 1e15 for arm in ("1", "2", "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class CountOptions(Given):
    """How counts are pooled."""

    method: Annotated[
        str | None,
        option(
            "--method",
            group="Pooling",
            metavar="CODE",
            text="MH (Mantel-Haenszel; default), Peto, GLMM (generalised linear mixed model) or BB (beta-binomial).",
        ),
    ] = None
    measure: Annotated[
        str | None,
        option(
            "--measure",
            group="Pooling",
            metavar="CODE",
            text="From events OR (default), RR or RD; from events in person-time IRR or IRD. Of one group, by GLMM, "
            "the proportion PLO or the rate IRLN. Peto has OR; GLMM has OR, IRR, PLO and IRLN; BB has OR, RR and RD.",
        ),
    ] = None
    model: Annotated[
        Model | None,
        option(
            "--model",
            group="Pooling",
            text="Do true effects vary between trials (random; default of GLMM), or is there one (common; default of "
            "MH)?",
        ),
    ] = None
    glmm: Annotated[
        str | None,
        option(
            "--glmm",
            group="Pooling",
            metavar="CODE",
            text="GLMM of two groups: UM.FS (a level for each trial; default), UM.RS (random levels), CM.EL (given "
            "each trial's events, exactly) or CM.AL (the same, approximately).",
        ),
    ] = None
    coding: Annotated[
        float | None,
        option(
            "--coding",
            group="Pooling",
            metavar="NUMBER",
            text="Share of a trial's deviation that moves arm 1, for UM.FS and UM.RS: 0, 0.5 (default) or 1.",
        ),
    ] = None
    zero_cells: Annotated[
        str | None,
        option(
            "--zero-cells",
            group="Pooling",
            metavar="WHERE",
            text="MH: add --add before pooling nowhere (none; default), to trials with a zero cell (only0), to all, or "
            "to all if any has one (if0all).",
        ),
    ] = None
    add: Annotated[
        str | None,
        option("--add", group="Pooling", metavar="NUMBER", text="MH: what to add: 0.5 (default), or TACC."),
    ] = None
    variance: Annotated[
        str | None,
        option(
            "--variance",
            group="Pooling",
            metavar="NAME",
            text="MH: variance of RD, GR (Greenland-Robins; default) or Sato.",
        ),
    ] = None
    correct: Annotated[
        bool | None,
        option("--correct", group="Pooling", text="MH: correct the test of association for continuity."),
    ] = None
    drop_double_zero: Annotated[
        bool | None,
        option(
            "--drop-double-zero/--keep-double-zero",
            group="Pooling",
            text="UM.RS: leave out, or keep (default), trials with no event, or nothing but events, in both arms.",
        ),
    ] = None
    ci_method: Annotated[
        str | None,
        option(
            "--ci-method",
            group="Pooling",
            metavar="CODE",
            text="Confidence interval: z (default); of GLMM and BB also t; of MH with --model random also HK, HK_se or "
            "HK_ci.",
        ),
    ] = None
    prediction_method: Annotated[
        str | None,
        option(
            "--prediction-method",
            group="Pooling",
            metavar="CODE",
            text="Prediction interval of GLMM: V (default), HTS or S.",
        ),
    ] = None
    level: Level = None


def pool_counts(
    table: str, rows: RowOptions, options: CountOptions, *, notes_shown: bool
) -> "mp.MetaAnalysisResult | mp.GlmmResult | mp.BetaBinomialResult":
    """Pool the counts of a table as they are.

    Parameters
    ----------
    table : str
        A file, a data set or a folder like one.
    rows, options
        What was typed.
    notes_shown : bool
        Whether the notes of the result are printed.

    Returns
    -------
    MantelHaenszelResult, MetaAnalysisResult, GlmmResult or BetaBinomialResult
        By the method.

    Raises
    ------
    MetapeerError
        If an option is unknown or has no effect, or the counts cannot be pooled.
    """
    method = check_choice("method", options.method or "MH", METHODS)
    choices = _choices(method, options)
    frame = find_rows(table, rows)
    tell_unadjusted(frame, "counts")
    _refuse_extremes(frame)
    with doubts_told_once(notes_shown=notes_shown):
        if method == "MH":
            return mp.mantel_haenszel(frame, **choices)
        if method == "Peto":
            return mp.peto(frame, **choices)
        if method == "GLMM":
            return mp.glmm_meta_analysis(frame, **choices)
        return mp.beta_binomial_meta_analysis(frame, **choices)


def _refuse_extremes(frame: "pd.DataFrame") -> None:
    """Refuse counts that no arm has; some methods add up over every participant."""
    faults = [
        Fault(row=str(name), column=column, message=f"{value:g} is more than an arm can have; mend it")
        for column, largest in LARGEST.items()
        if column in frame
        for name, value in zip(frame["study_id"], frame[column], strict=True)
        if value > largest
    ]
    if faults:
        raise DataError(str(frame.attrs.get("source", "the table")), faults)


def _choices(method: str, options: CountOptions) -> dict[str, Any]:
    """Collect what to pass on to the method; what it would not heed is refused."""
    measures, heeded = METHODS[method]
    choices = options.given("method")
    if options.measure is not None and options.measure not in measures:
        check_choice("measure", options.measure, dict.fromkeys(code for has, _ in METHODS.values() for code in has))
        able = " or ".join(name for name, (has, _) in METHODS.items() if options.measure in has)
        raise ChoiceError(f"measure {options.measure!r} goes with --method {able}, not {method}")
    for name in choices:
        if name not in ("measure", *heeded):
            raise ChoiceError(f"{name} has no effect with --method {method}; leave it out")
    if "add" in choices:
        choices["add"] = number_or_word(choices["add"])
    choices |= {name: value.value for name, value in choices.items() if isinstance(value, StrEnum)}
    if method == "Peto":
        choices.pop("measure", None)
    if method == "GLMM":
        if "glmm" in choices:
            check_choice("glmm", choices["glmm"], GLMMS)
            if options.measure in ONE_GROUP:
                raise ChoiceError(f"glmm has no effect on {options.measure}, which has one group; leave it out")
        # The library calls effects what is the model here, and model what is the GLMM.
        if "model" in choices:
            choices["effects"] = choices.pop("model")
        if "glmm" in choices:
            choices["model"] = choices.pop("glmm")
    return choices
