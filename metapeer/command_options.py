"""The options of the commands, each declared once: those that commands share are fields of a dataclass."""

import re
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Any

import typer

__all__ = [
    "BY",
    "OPTION_NAMES",
    "AsJson",
    "EffectOptions",
    "Given",
    "Level",
    "Model",
    "ModelChoice",
    "Output",
    "PoolingOptions",
    "RowOptions",
    "Sharing",
    "Table",
    "Tau2CiMethod",
    "Tau2Method",
    "Tau2Sharing",
    "as_typed",
    "option",
]


class Model(StrEnum):
    """What is assumed of the true effects."""

    random = "random"
    common = "common"


class Sharing(StrEnum):
    """Whether subgroups share a between-study variance."""

    separate = "separate"
    common = "common"


def option(*names: str, group: str, metavar: str | None = None, text: str) -> Any:
    """Describe an option; its text names the default, for what is not typed is left to the library.

    Parameters
    ----------
    *names : str
        As it is typed.
    group : str
        The heading under which the help lists it.
    metavar : str, optional
        What stands for its value in the help.
    text : str
        What it does.

    Returns
    -------
    OptionInfo
        For the annotation of a parameter.
    """
    return typer.Option(*names, rich_help_panel=group, metavar=metavar, help=text, show_default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Options as they were typed; what was not typed is None, and the library's default holds."""

    def given(self, *but: str) -> dict[str, Any]:
        """Collect what was typed.

        Parameters
        ----------
        *but : str
            Options to leave out.

        Returns
        -------
        dict
            Name to value.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in but}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOptions(Given):
    """Which rows of a table are used."""

    where: Annotated[
        list[str] | None,
        option(
            "--where",
            group="Rows",
            metavar="COLUMN=VALUE",
            text="Keep the rows with this value; several are parted by |, as in 'format=group|mixed', and != leaves "
            "them out. May be repeated.",
        ),
    ] = None
    instruments: Annotated[
        str | None,
        option(
            "--instruments",
            group="Rows",
            metavar="FILE",
            text="Instruments of your own: a CSV file with the columns instrument and direction.",
        ),
    ] = None
    encoding: Annotated[
        str | None,
        option("--encoding", group="Rows", metavar="NAME", text="Encoding of TABLE, where it is not recognised."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectOptions(Given):
    """How the effect of each row is computed."""

    measure: Annotated[
        str | None,
        option(
            "--measure",
            group="Effects",
            metavar="CODE",
            text="From means SMD (default), SMDH, MD or ROM; from events RR, OR, RD, AS or PETO; from events in "
            "person-time IRR, IRD or IRSD; from a log-rank test HR. Of one group a proportion (PR, PLN, PLO, PAS, "
            "PFT), a rate (IR, IRLN, IRS, IRFT), a mean (MN, MNLN) or a correlation (COR, UCOR, ZCOR). For a table of "
            "ready-made effects (yi with vi or sei), what they are.",
        ),
    ] = None
    variance: Annotated[
        str | None,
        option(
            "--variance",
            group="Effects",
            metavar="NAME",
            text="Formula of the sampling variance: a name such as LS or UB, or the software to agree with: metafor "
            "(default), meta, revman5, metapsy, ...",
        ),
    ] = None
    prefer: Annotated[
        str | None,
        option(
            "--prefer",
            group="Effects",
            metavar="SOURCE",
            text="What to use where a row offers several: arms (means or events; default), review (the effect that "
            "the review pooled) or reported (the trial's own effect).",
        ),
    ] = None
    orient: Annotated[
        bool | None,
        option(
            "--orient/--no-orient",
            group="Effects",
            text="Turn signs, or do not, so that positive favours peer support. Default: only for SMD and SMDH.",
        ),
    ] = None
    events_to_smd: Annotated[
        bool | None, option("--events-to-smd", group="Effects", text="Turn rows with nothing but events into SMDs.")
    ] = None
    zero_cells: Annotated[
        str | None,
        option(
            "--zero-cells",
            group="Effects",
            metavar="WHERE",
            text="Add --add to the cells of which tables of events: only0 (those with a zero; default), all, if0all "
            "(all if any has a zero) or none. AS and PETO: none by default.",
        ),
    ] = None
    add: Annotated[
        str | None,
        option("--add", group="Effects", metavar="NUMBER", text="What to add to them: 0.5 (default), or TACC."),
    ] = None
    drop_double_zero: Annotated[
        bool | None,
        option(
            "--drop-double-zero/--keep-double-zero",
            group="Effects",
            text="Leave out, or keep, trials with no event, or nothing but events, in both arms. Default: left out "
            "for RR, OR and PETO.",
        ),
    ] = None
    average: Annotated[
        float | None,
        option(
            "--average",
            group="Effects",
            metavar="RHO",
            text="Average the effects of each trial, taking their errors to correlate by RHO, from 0 to 1.",
        ),
    ] = None


ModelChoice = Annotated[
    Model | None,
    option(
        "--model",
        group="Pooling",
        text="Do true effects vary between trials (random; default), or is there one (common)?",
    ),
]
Tau2Method = Annotated[
    str | None,
    option(
        "--tau2-method",
        group="Pooling",
        metavar="CODE",
        text="How tau², the variance between trials, is estimated: REML (default), ML, DL, PM, PMM, EB, HE, HS, "
        "HSk, SJ, SJIT, DL2, CA2, DLIT, GENQ, GENQM or BM.",
    ),
]
Tau2CiMethod = Annotated[
    str | None,
    option(
        "--tau2-ci-method",
        group="Pooling",
        metavar="CODE",
        text="Interval of tau², from which that of I² follows: QP (Q-profile; default), J, BJ, PL, Wald, Wald.log, "
        "Wald.sqrt or boot.",
    ),
]
Level = Annotated[
    float | None,
    option("--level", group="Pooling", metavar="NUMBER", text="Level of every interval; 0.95 by default."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolingOptions(Given):
    """How effects are pooled."""

    model: ModelChoice = None
    tau2_method: Tau2Method = None
    ci_method: Annotated[
        str | None,
        option(
            "--ci-method",
            group="Pooling",
            metavar="CODE",
            text="Confidence interval: HK (Hartung-Knapp; default), HK_se, HK_ci, HK_IQWiG6, KR (Kenward-Roger), PL "
            "(profile likelihood), PL_B or PL_S (the same, corrected for few trials; all with --tau2-method ML), perm "
            "(sign flips), HC (Henmi-Copas) or IVhet (all with DL), t or z. For a common effect z (default) or t.",
        ),
    ] = None
    prediction_method: Annotated[
        str | None,
        option(
            "--prediction-method",
            group="Pooling",
            metavar="CODE",
            text="Prediction interval: V, HTS, HK, HK-PR, KR, KR-PR, NNF or S. Default HK with a Hartung-Knapp "
            "interval, KR with a Kenward-Roger interval, otherwise V.",
        ),
    ] = None
    tau2_ci_method: Tau2CiMethod = None
    preset: Annotated[
        str | None,
        option(
            "--preset",
            group="Pooling",
            metavar="NAME",
            text="Defaults of other software: revman5, revman, metafor, meta, stata, cma or metapsy. What is given "
            "overrides them.",
        ),
    ] = None
    level: Level = None


AsJson = Annotated[bool, option("--json", group="Output", text="Print JSON, with everything there is.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What is printed."""

    as_json: AsJson = False
    as_csv: Annotated[bool, option("--csv", group="Output", text="Print a table of numbers as CSV, in UTF-8.")] = False


Table = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        help="A CSV file of trial results or effects, the name of a bundled data set, or a folder like one.",
    ),
]
BY = option(
    "--by", group="Rows", metavar="COLUMN", text="Make a subgroup of each value; may be repeated, to cross columns."
)
Tau2Sharing = Annotated[
    Sharing | None,
    option(
        "--tau2", group="Pooling", text="Has each subgroup its own tau² (separate; default), or all the same (common)?"
    ),
]


# Of one command alone, where it alone declares them.
_OWN = ("formula", "reference", "tau_prior", "mu_prior", "method", "glmm", "coding", "correct", "favoured")
OPTION_NAMES = {
    field.name: "--" + field.name.replace("_", "-")
    for group in (RowOptions, EffectOptions, PoolingOptions)
    for field in fields(group)
} | {"tau2": "--tau2", "rho": "--average", "by": "--by", "suffix": "--output suffix", "dataset": "data set"}
OPTION_NAMES |= {name: "--" + name.replace("_", "-") for name in _OWN} | {
    "moderators": "--moderator",
    "methods": "--method",
}

# What the library advises, and what to type for it.
_CALLS = {
    "beta_binomial_meta_analysis": "--method BB",
    "effect_size": "metapeer pool",
    "glmm_meta_analysis": "--method GLMM",
    "peto": "--method Peto",
    "release": "metapeer release",
    "write_form": "metapeer form",
    "write_prisma_template": "metapeer prisma --template",
}


def as_typed(message: str) -> str:
    """Say an error of the library in the words of the command line.

    Parameters
    ----------
    message : str
        What the library says.

    Returns
    -------
    str
        The same with options as they are typed.

    Examples
    --------
    >>> as_typed("ci_method 'HKK' is unknown. Did you mean 'HK'? Known: z, t, HK")
    "--ci-method 'HKK' is unknown. Did you mean 'HK'? Known: z, t, HK"
    >>> as_typed("Use orient=True to turn signs, or compare ci_method='HK_se'")
    'Use --orient to turn signs, or compare --ci-method HK_se'
    >>> as_typed("use effects='common', or effect_size(measure='OR', zero_cells='only0')")
    'use --model common, or metapeer pool --measure OR --zero-cells only0'
    >>> as_typed("compare ci_method='HK_se', 'HK_ci' or 'HK_IQWiG6'")
    'compare --ci-method HK_se, HK_ci or HK_IQWiG6'
    """
    names = "|".join(sorted(OPTION_NAMES, key=len, reverse=True))

    def typed(match: re.Match[str]) -> str:
        return f"{OPTION_NAMES[match[1]]} {match[2] or ''}".strip()

    def options(text: str) -> str:
        # What follows in a list of alternatives loses its quotes, too.
        text = re.sub(
            rf"(?<![\w(])(?:{names})='[^']*'(?:(?:,| or) '[^']*')+",
            lambda match: re.sub(r"(,| or) '([^']*)'", r"\1 \2", match[0]),
            text,
        )
        return re.sub(rf"(?<![\w(])({names})=(?:True\b|'([^']*)'|)", typed, text)

    def called(match: re.Match[str]) -> str:
        return f"{_CALLS[match[1]]} {options(match[2].replace(',', ''))}".strip()

    # To glmm_meta_analysis() the model is what --glmm names, and effects are what --model says everywhere else.
    message = re.sub(r"\bmodel(?=[ =]'(?:UM|CM)\.)", "glmm", message)
    message = message.replace("effects='common'", "--model common").replace(
        "drop_double_zero=False", "--keep-double-zero"
    )
    message = re.sub(rf"\b({'|'.join(_CALLS)})\(([^()]*)\)(?:, then meta_analysis\(\))?", called, message)
    return re.sub(rf"(?:^|(?<=with ))({names})(?=[ :])", lambda match: OPTION_NAMES[match[1]], options(message))
