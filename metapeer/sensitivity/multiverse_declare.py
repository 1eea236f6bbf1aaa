"""What was declared, read as a whole: every fault of a declaration is listed at once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from metapeer.effects.measures import find_measure
from metapeer.effects.options import Options
from metapeer.errors import ChoiceError, DataError, Fault, MetapeerError, check_choice
from metapeer.pooling.inference import CI_METHODS
from metapeer.pooling.intervals import check_level
from metapeer.pooling.models import MODELS
from metapeer.pooling.outcome_classes_cells import one_line
from metapeer.pooling.tau2 import TAU2_METHODS
from metapeer.sensitivity.multiverse_choices import (
    DECISIONS,
    EFFECT_OPTIONS,
    POOLING_OPTIONS,
    ROW_RULES,
    STAGES,
    Choice,
    choose_option,
    choose_tables,
    is_number,
)

__all__ = ["CLAIMS", "CONTRAST_METHODS", "Declaration", "decision_words", "read_declaration"]

CLAIMS = ("positive", "negative", "nonzero")
CONTRAST_METHODS = {
    "paired": "differences within the trials that report both classes",
    "GLS": "generalised least squares over all trials, bivariate",
}
FIXED_EFFECT_OPTIONS = (*EFFECT_OPTIONS, "orient", "level")
DEFAULTS: dict[str, Any] = {
    "rho": 0.6, "contrast_method": "paired", "model": "random", "tau2_method": "REML", "ci_method": "",
    "rows": "average", "outliers": "none",
}  # fmt: skip
"""What holds where nothing is declared; no ci_method is that of `meta_analysis`: HK, and z for a common effect."""
_MOST = 2_000_000
"""Declared specifications; more do not fit in the memory of a small machine."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Declaration:
    """A declared multiverse, checked.

    Parameters
    ----------
    names : tuple of str
        The choices, in the order in which they act.
    choices : tuple of Choice
        The choices themselves.
    shown : tuple of str
        The names in the order in which they were declared.
    contrast : tuple of str
        The two classes whose difference is estimated; empty when effects are pooled.
    contrast_by : str
        The column of classes.
    effect_options : dict
        Options of `effect_size` that all specifications share.
    computes : bool
        Whether effects are computed.
    fixed : dict
        Values of what is no choice.
    claim : str
        One of `CLAIMS`.
    level : float
        Of the intervals.
    weights : dict
        Weights of options by name of choice and label; empty when there are none.
    """

    names: tuple[str, ...]
    choices: tuple[Choice, ...]
    shown: tuple[str, ...]
    contrast: tuple[str, ...]
    contrast_by: str
    effect_options: dict[str, Any]
    computes: bool
    fixed: dict[str, Any]
    claim: str
    level: float
    weights: dict[str, dict[str, float]]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many options each choice has."""
        return tuple(len(choice.labels) for choice in self.choices)

    def of(self, *kinds: str) -> list[int]:
        """Find the choices of some kinds.

        Parameters
        ----------
        *kinds : str
            Kinds, or names of options of `effect_size` and `meta_analysis`.

        Returns
        -------
        list of int
            Their places.
        """
        return [
            i
            for i, (name, choice) in enumerate(zip(self.names, self.choices, strict=True))
            if (choice.kind in kinds and choice.kind not in ("effects", "pooling")) or name in kinds
        ]


def _read_choice(name: object, given: object, faults: list[Fault]) -> Choice | None:
    """Read one choice; a mapping is one of tables, a list one of the option of that name."""
    if not isinstance(name, str) or not name.strip():
        faults.append(Fault(message=f"{name!r} is no name of a choice; give words"))
        return None
    try:
        if isinstance(given, Choice):
            choice = given
        elif isinstance(given, Mapping):
            choice = choose_tables(given)
        elif isinstance(given, Sequence) and not isinstance(given, str):
            choice = choose_option(given)
        else:
            message = f"{given!r} is no choice; give a list of values, a mapping of functions, or mp.choose_...()"
            faults.append(Fault(row=name, message=message))
            return None
    except DataError as error:
        faults += [Fault(row=name, message=str(fault)) for fault in error.faults]
        return None
    except MetapeerError as error:
        faults.append(Fault(row=name, message=one_line(error)))
        return None
    if choice.kind != "option":
        return choice
    known = (*EFFECT_OPTIONS, *POOLING_OPTIONS, "rho", "contrast_method")
    try:
        check_choice("option", name, known)
    except ChoiceError as error:
        faults.append(Fault(row=name, message=f"a list of values belongs to an option by its name; {one_line(error)}"))
        return None
    kind = "effects" if name in EFFECT_OPTIONS else "pooling" if name in POOLING_OPTIONS else name
    return replace(choice, kind=kind)


def _rho(value: Any, *, below_one: bool) -> str:
    if not is_number(value) or not 0 <= value <= 1:
        return f"rho {value!r} is not a correlation between 0 and 1"
    if below_one and value == 1:
        return "rho must be below 1 in a contrast, where two effects with correlation 1 may leave no variance"
    return ""


def _check_values(found: Mapping[str, Choice], contrast: bool, fixed: Mapping[str, Any], faults: list[Fault]) -> None:
    """Hold every value of an option against what is known."""
    known = {
        "model": MODELS, "tau2_method": TAU2_METHODS, "ci_method": CI_METHODS, "contrast_method": CONTRAST_METHODS,
    }  # fmt: skip
    stated = {name: list(choice.options) for name, choice in found.items() if choice.kind in ("pooling", *known, "rho")}
    for name, values in {**{key: [value] for key, value in fixed.items()}, **stated}.items():
        for value in values:
            if name == "rho":
                wrong = _rho(value, below_one=contrast)
                if wrong:
                    faults.append(Fault(row=name, message=wrong))
                continue
            if name not in known or (name, value) == ("ci_method", ""):
                continue
            try:
                check_choice(name, value, known[name])
            except ChoiceError as error:
                faults.append(Fault(row=name, message=one_line(error)))
    if not contrast and ("contrast_method" in stated or fixed["contrast_method"] != DEFAULTS["contrast_method"]):
        faults.append(Fault(row="contrast_method", message="has no effect without contrast=; leave it out"))


def _check_effects(found: Mapping[str, Choice], options: Mapping[str, Any], faults: list[Fault]) -> None:
    """Try every option of effect sizes by itself, so that an unknown one is told before anything is computed."""
    usual: dict[str, Any] = {
        "measure": "SMD", "variance": "metafor", "prefer": "arms", "orient": None, "events_to_smd": False,
        "zero_cells": None, "add": 0.5, "drop_double_zero": None, "level": 0.95,
    }  # fmt: skip
    for name in options:
        if name not in FIXED_EFFECT_OPTIONS:
            faults.append(Fault(row="effect_options", message=f"{name!r} is no option of effect_size()"))
        elif name in found:
            faults.append(Fault(row=name, message="is a choice, and stands in effect_options too; take it out of one"))
    base = usual | {name: value for name, value in options.items() if name in usual}
    tried = [(name, value) for name, choice in found.items() if choice.kind == "effects" for value in choice.options]
    # Whether an option has an effect depends on the measure, which may be a choice too: told by the first that fits.
    measures = found["measure"].options if "measure" in found else (base["measure"],)
    for name, value in tried or [("measure", base["measure"])]:
        told = ""
        for measure in measures:
            try:
                trial = base | {"measure": measure} | {name: value}
                Options(**(trial | {"measure": find_measure(trial["measure"])}))
            except MetapeerError as error:
                told = one_line(error)
            else:
                told = ""
                break
        if told:
            faults.append(Fault(row=name, message=told))


def _read_contrast(contrast: object, by: object, faults: list[Fault]) -> tuple[str, ...]:
    if contrast is None:
        return ()
    if (
        isinstance(contrast, str)
        or not isinstance(contrast, Sequence)
        or len(contrast) != 2
        or not all(isinstance(name, str) for name in contrast)
        or contrast[0] == contrast[1]
    ):
        faults.append(Fault(row="contrast", message=f"{contrast!r} does not name two different classes"))
        return ()
    if not isinstance(by, str):
        faults.append(Fault(row="contrast_by", message=f"{by!r} is not the name of a column"))
    return tuple(contrast)


def _read_weights(weights: object, found: Mapping[str, Choice], faults: list[Fault]) -> dict[str, dict[str, float]]:
    if weights is None:
        return {}
    if not isinstance(weights, Mapping):
        faults.append(Fault(row="weights", message="must map choices to weights of their options"))
        return {}
    read: dict[str, dict[str, float]] = {}
    for name, options in weights.items():
        if name not in found:
            faults.append(Fault(row="weights", message=f"there is no choice {name!r}"))
            continue
        labels = found[name].labels
        if not isinstance(options, Mapping) or set(map(str, options)) != set(labels):
            faults.append(Fault(row=f"weights, {name}", message=f"needs a weight for each of {', '.join(labels)}"))
            continue
        numbers = list(options.values())
        wrong = [n for n in numbers if not is_number(n) or n < 0]
        if wrong or not sum(numbers) > 0:
            faults.append(Fault(row=f"weights, {name}", message="weights must be at least 0, and not all 0"))
            continue
        read[name] = {str(label): float(number) / float(sum(numbers)) for label, number in options.items()}
    return read


def _read_choices(choices: object, faults: list[Fault]) -> dict[str, Choice]:
    """Read every choice; of most kinds there can be one."""
    found: dict[str, Choice] = {}
    if not isinstance(choices, Mapping) or not choices:
        faults.append(Fault(message="choices must map the name of each choice to its options"))
        return found
    for name, given in choices.items():
        choice = _read_choice(name, given, faults)
        if choice is not None:
            found[str(name)] = choice
    for kind in ("rows", "outliers", "corrections"):
        of_kind = [name for name, choice in found.items() if choice.kind == kind]
        faults += [Fault(row=name, message=f"is a second choice of {kind}; put them in one") for name in of_kind[1:]]
    return found


def _plain_mapping(what: str, given: object, faults: list[Fault]) -> dict[str, Any]:
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    faults.append(Fault(row=what, message=f"must map options to values, not be {given!r}"))
    return {}


def _read_fixed(
    given: Mapping[str, Any], found: Mapping[str, Choice], faults: list[Fault]
) -> tuple[dict[str, Any], float]:
    """Fill in what all specifications share."""
    fixed, level = dict(DEFAULTS), 0.95
    chooses_rows = any(choice.kind == "rows" for choice in found.values())
    for name, value in given.items():
        if name == "level":
            try:
                level = check_level(value)
            except MetapeerError as error:
                faults.append(Fault(row="pooling", message=one_line(error)))
        elif name not in ("rho", "contrast_method", "rows", *POOLING_OPTIONS):
            faults.append(Fault(row="pooling", message=f"{name!r} is no option that all specifications could share"))
        elif name in found or (name == "rows" and chooses_rows):
            faults.append(Fault(row=name, message="is a choice, and stands in pooling too; take it out of one"))
        else:
            fixed[name] = value
    if fixed["rows"] not in ROW_RULES or fixed["rows"] == "preferred":
        known = ", ".join(rule for rule in ROW_RULES if rule != "preferred")
        faults.append(Fault(row="rows", message=f"{fixed['rows']!r} is unknown. Known: {known}"))
    return fixed, level


def _faults_of_table(data: object, *, computes: bool) -> list[Fault]:
    if not isinstance(data, pd.DataFrame):
        return [Fault(message=f"data is a {type(data).__name__}, not a DataFrame")]
    twice = sorted({str(name) for name in data.columns[data.columns.duplicated()]})
    faults = [Fault(column=name, message="stands in the table more than once") for name in twice]
    if not len(data):
        faults.append(Fault(message="the table has no rows"))
    if not computes and not ("yi" in data and {"vi", "sei"} & set(data.columns)):
        message = "the table has no yi with vi or sei; give effect_options={} to have them computed"
        faults.append(Fault(message=message))
    return faults


def read_declaration(
    data: object,
    *,
    choices: object,
    claim: object,
    contrast: object,
    contrast_by: object,
    effect_options: object,
    pooling: object,
    weights: object,
) -> Declaration:
    """Read what was declared.

    Parameters
    ----------
    data, choices, claim, contrast, contrast_by, effect_options, pooling, weights
        As `multiverse` takes them.

    Returns
    -------
    Declaration
        Checked.

    Raises
    ------
    DataError
        Listing every fault.
    """
    faults: list[Fault] = []
    found = _read_choices(choices, faults)
    try:
        check_choice("claim", claim, CLAIMS)
    except ChoiceError as error:
        faults.append(Fault(message=one_line(error)))
    classes = _read_contrast(contrast, contrast_by, faults)
    options = _plain_mapping("effect_options", effect_options, faults)
    computes = effect_options is not None or any(choice.kind == "effects" for choice in found.values())
    if computes:
        _check_effects(found, options, faults)
    fixed, level = _read_fixed(_plain_mapping("pooling", pooling, faults), found, faults)
    _check_values(found, bool(classes), fixed, faults)
    read_weights = _read_weights(weights, found, faults)
    faults += _faults_of_table(data, computes=computes)
    total = math.prod(len(choice.labels) for choice in found.values())
    if total > _MOST:
        faults.append(Fault(message=f"{total:,} specifications are declared; {_MOST:,} are the most"))
    if faults:
        raise DataError("the multiverse", faults)
    ordered = sorted(found.items(), key=_stage)
    return Declaration(
        names=tuple(name for name, _ in ordered),
        choices=tuple(choice for _, choice in ordered),
        shown=tuple(found),
        contrast=classes,
        contrast_by=str(contrast_by),
        effect_options=options,
        computes=computes,
        fixed=fixed,
        claim=str(claim),
        level=level,
        weights=read_weights,
    )


def _stage(item: tuple[str, Choice]) -> int:
    kind = "where" if item[1].kind == "tables" and item[1].late else item[1].kind
    return STAGES.index(kind)


def decision_words(choice: Choice) -> str:
    """Say of which kind a decision is.

    Parameters
    ----------
    choice : Choice
        The choice.

    Returns
    -------
    str
        Such as ``"E, equivalent"``.
    """
    return f"{choice.decision}, {DECISIONS[choice.decision]}"
