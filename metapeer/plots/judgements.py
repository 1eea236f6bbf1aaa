"""Judgements of risk of bias: the levels of each tool, their signs and colours, and how a cell is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from metapeer.errors import check_choice
from metapeer.plots.cells import clean_text
from metapeer.plots.style import INK

__all__ = ["DOMAINS", "TOOLS", "Judgement", "Tool", "read_judgement"]

Tool = Literal["RoB 2", "ROBINS-I", "RoB 1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One level of a tool, told by its sign as well as by its colour.

    Parameters
    ----------
    name : str
        In words.
    sign : str
        One character.
    face, ink : str
        Colours of the disc and of the sign.
    """

    name: str
    sign: str
    face: str
    ink: str


LOW, MIDDLE, HIGH, WORST, NONE = "#9cc4ea", "#f7e1a1", "#c25a14", "#5d2405", "#ffffff"
"""Blue to brown instead of green to red; but for the first two they darken with the risk, and so does grey print."""

TOOLS: Mapping[str, tuple[Judgement, ...]] = {
    "RoB 2": (
        Judgement(name="Low risk", sign="+", face=LOW, ink=INK),
        Judgement(name="Some concerns", sign="−", face=MIDDLE, ink=INK),
        Judgement(name="High risk", sign="×", face=HIGH, ink="white"),
        Judgement(name="No information", sign="?", face=NONE, ink=INK),
    ),
    "ROBINS-I": (
        Judgement(name="Low risk", sign="+", face=LOW, ink=INK),
        Judgement(name="Moderate risk", sign="−", face=MIDDLE, ink=INK),
        Judgement(name="Serious risk", sign="×", face=HIGH, ink="white"),
        Judgement(name="Critical risk", sign="!", face=WORST, ink="white"),
        Judgement(name="No information", sign="?", face=NONE, ink=INK),
    ),
    "RoB 1": (
        Judgement(name="Low risk", sign="+", face=LOW, ink=INK),
        Judgement(name="Unclear risk", sign="?", face=MIDDLE, ink=INK),
        Judgement(name="High risk", sign="×", face=HIGH, ink="white"),
    ),
}
"""Levels of each tool, from the best."""

DOMAINS: Mapping[str, tuple[str, ...]] = {
    "RoB 2": (
        "Randomisation process",
        "Deviations from the intended interventions",
        "Missing outcome data",
        "Measurement of the outcome",
        "Selection of the reported result",
    ),
    "ROBINS-I": (
        "Confounding",
        "Selection of participants",
        "Classification of interventions",
        "Deviations from the intended interventions",
        "Missing data",
        "Measurement of outcomes",
        "Selection of the reported result",
    ),
    "RoB 1": (
        "Random sequence generation",
        "Allocation concealment",
        "Blinding of participants and personnel",
        "Blinding of outcome assessment",
        "Incomplete outcome data",
        "Selective reporting",
        "Other bias",
    ),
}
"""Domains of each tool: Sterne et al. (2019), BMJ 366:l4898; Sterne et al. (2016), BMJ 355:i4919; Higgins et al.
(2011), BMJ 343:d5928."""


def read_judgement(value: object, tool: str = "RoB 2") -> Judgement | None:
    """Read a cell: a level in words, its first word, or its sign, in any case.

    Parameters
    ----------
    value : object
        Such as ``"Low risk"``, ``"low"`` or ``"+"``; empty or missing is no judgement.
    tool : str, default "RoB 2"
        Whose levels.

    Returns
    -------
    Judgement or None
        None where nothing was judged.

    Raises
    ------
    ChoiceError
        If the tool has no such level.

    Examples
    --------
    >>> read_judgement("some concerns").sign, read_judgement("") is None
    ('−', True)
    """
    text = clean_text(value).strip()
    if not text:
        return None
    short = text.lower().removesuffix(" risk of bias").removesuffix(" risk").strip()
    for level in TOOLS[tool]:
        if short in (level.name.lower(), level.name.lower().removesuffix(" risk"), level.sign) or (
            level.sign == "−" and short == "-"
        ):
            return level
    if short == "x":
        return read_judgement("×", tool)
    check_choice("judgement", text, [level.name for level in TOOLS[tool]])
    return None
