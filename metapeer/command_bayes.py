"""What `metapeer bayes` does with what was typed: priors read as they are written in Python, effects pooled."""

import ast
import inspect
from dataclasses import dataclass
from typing import Annotated, Any

import metapeer as mp
from metapeer.command_input import LARGEST, doubts_told_once, find_effects
from metapeer.command_options import EffectOptions, Given, Level, RowOptions, option
from metapeer.errors import MetapeerError, check_choice

__all__ = ["MU_PRIORS", "TAU_PRIORS", "BayesOptions", "bayes_table", "read_prior"]

TAU_PRIORS = (
    "half_normal",
    "half_cauchy",
    "half_t",
    "uniform",
    "lomax",
    "log_normal",
    "log_t",
    "turner",
    "rhodes",
)
MU_PRIORS = ("normal",)


@dataclass(frozen=True, slots=True, kw_only=True)
class BayesOptions(Given):
    """The priors, and the level of the intervals."""

    tau_prior: Annotated[
        str | None,
        option(
            "--tau-prior",
            group="Pooling",
            metavar="PRIOR",
            text="Prior of tau, the standard deviation between trials: 'half_normal(0.5)' (default, but none for MD "
            "and other measures with units), half_cauchy(scale), half_t(scale, df), uniform(maximum), lomax(scale), "
            "log_normal(location, scale) or log_t(location, scale) of tau², or read off past reviews: turner(outcome, "
            "comparison) for log odds ratios, rhodes(outcome, comparison) for SMD.",
        ),
    ] = None
    mu_prior: Annotated[
        str | None,
        option(
            "--mu-prior",
            group="Pooling",
            metavar="PRIOR",
            text="Prior of the mean effect, such as 'normal(0, 1)': mean and standard deviation. Flat by default.",
        ),
    ] = None
    level: Level = None


def bayes_table(
    table: str, rows: RowOptions, effect: EffectOptions, options: BayesOptions, *, notes_shown: bool
) -> "mp.BayesianMetaAnalysisResult":
    """Pool the effects of a table under priors.

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
    BayesianMetaAnalysisResult
        The posteriors.

    Raises
    ------
    MetapeerError
        If a prior cannot be read, or the table cannot be used.
    """
    choices = options.given("tau_prior", "mu_prior")
    if options.tau_prior is not None:
        choices["tau_prior"] = read_prior("--tau-prior", options.tau_prior, TAU_PRIORS)
    if options.mu_prior is not None:
        choices["mu_prior"] = read_prior("--mu-prior", options.mu_prior, MU_PRIORS)
    effects, known = find_effects(table, rows, effect)
    with doubts_told_once(notes_shown=notes_shown):
        return mp.bayesian_meta_analysis(effects, **known, **choices)


def read_prior(typed_as: str, text: str, known: tuple[str, ...]) -> Any:
    """Read a prior as it is written in Python; nothing of what was typed is run.

    Parameters
    ----------
    typed_as : str
        The option.
    text : str
        What was typed.
    known : tuple of str
        Functions of metapeer that make such priors.

    Returns
    -------
    TauPrior or NormalPrior
        The prior.

    Raises
    ------
    MetapeerError
        If it is none, or its numbers will not do.

    Examples
    --------
    >>> print(read_prior("--tau-prior", "half_t(0.5, df=3)", TAU_PRIORS))
    half_t(0.5, df=3)
    >>> read_prior("--tau-prior", "half_t(0.5)", TAU_PRIORS)
    Traceback (most recent call last):
    metapeer.errors.MetapeerError: --tau-prior 'half_t(0.5)': half_t takes scale, df; df is missing
    """
    where = f"{typed_as} {text!r}"
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        call = None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        examples = " or ".join(f"'{name}({numbers})'" for name, numbers in _EXAMPLES if name in known)
        raise MetapeerError(f"{where} is not a prior; write one such as {examples}")
    make = getattr(mp, check_choice(typed_as, call.func.id, known))
    parameters = {name: parameter for name, parameter in inspect.signature(make).parameters.items() if name != "label"}
    takes = f"{where}: {call.func.id} takes {', '.join(parameters)}"
    names = [*list(parameters)[: len(call.args)], *(keyword.arg or "**" for keyword in call.keywords)]
    if len(call.args) > len(parameters) or len(set(names)) < len(names) or set(names) - set(parameters):
        raise MetapeerError(f"{takes}, each once")
    lacking = [name for name, it in parameters.items() if it.default is it.empty and name not in names]
    if lacking:
        raise MetapeerError(f"{takes}; {' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing")
    parts = [*call.args, *(keyword.value for keyword in call.keywords)]
    try:
        values = dict(zip(names, map(ast.literal_eval, parts), strict=True))
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise MetapeerError(f"{where}: write plain numbers, and words in quotation marks") from None
    for value in values.values():
        if isinstance(value, int | float) and value and not 1 / LARGEST < abs(value) < LARGEST:
            raise MetapeerError(f"{where}: {'too large' if abs(value) > 1 else 'too small'} to compute with")
    try:
        return make(**values)
    except MetapeerError as error:
        raise MetapeerError(f"{where}: {error}") from None


_EXAMPLES = (("half_normal", "0.5"), ("half_cauchy", "0.5"), ("normal", "0, 1"))
