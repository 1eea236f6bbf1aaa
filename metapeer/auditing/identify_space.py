"""The space of analyses that `identify` searches: what an analysis chooses, and what each choice can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metapeer.effects.continuous import SMD_VARIANCES
from metapeer.errors import ChoiceError, MetapeerError, check_choice
from metapeer.pooling.inference import CI_METHODS
from metapeer.pooling.prediction import PREDICTION_METHODS
from metapeer.pooling.tau2 import TAU2_METHODS

__all__ = [
    "AVERAGES",
    "DIMENSIONS",
    "MANTEL_HAENSZEL",
    "SAME_TAU2",
    "TABLE_CHOICES",
    "VALUES",
    "Analysis",
    "Choices",
    "bare_words",
    "check_measure",
    "check_space",
    "choice_words",
]

DIMENSIONS = {
    "effects": "effects",
    "measure": "measure",
    "variance": "variance of an effect",
    "zero_cells": "zero cells",
    "rows": "rows",
    "within_trial": "rows of one trial",
    "tau2_method": "tau²",
    "ci_method": "interval",
    "prediction_method": "prediction interval",
    "I2": "I²",
    "I2_ci": "interval of I²",
    "direction": "sign",
    "scale": "scale",
    "k_of": "k counts",
}
"""What an analysis chooses, in words."""
TABLE_CHOICES = ("effects", "measure", "variance", "zero_cells", "rows", "within_trial")
"""The choices that decide which effects are pooled; the others decide how."""

AVERAGES = {f"average rho {rho:g}": rho for rho in (0.0, 0.5, 0.6, 0.8, 1.0)}
"""Correlations that reviews assume between the effects of a trial: none, half, 0.6 (Metapsy), 0.8 (robumeta), one."""
SAME_TAU2 = {"EB": "PM", "DLIT": "PM", "SJIT": "PM"}
"""Estimators that solve the same equation as another, and so give the same number."""
MANTEL_HAENSZEL = ("MH", "MH_added", "MH_random", "MH_random_added")
"""Mantel and Haenszel's pooled effect as counted, with the constant added to zero cells first, and both as RevMan's
random effects."""
MEASURES_SEARCHED = ("SMD", "SMDH", "MD", "ROM", "OR", "RR", "RD", "PETO", "GEN")

VALUES: dict[str, tuple[str, ...]] = {
    "effects": ("given", "review", "reported", "arms", "arms and events", "events"),
    "measure": MEASURES_SEARCHED,
    "variance": (*SMD_VARIANCES, "HO"),
    "zero_cells": ("only0", "all", "if0all", "TACC", "none", "double zero kept"),
    "rows": ("all", "without suspicious", "with excluded"),
    "within_trial": ("independent", *AVERAGES, "first row", "largest row"),
    "tau2_method": ("common", *(code for code in TAU2_METHODS if code not in SAME_TAU2), *MANTEL_HAENSZEL),
    "ci_method": CI_METHODS,
    "prediction_method": PREDICTION_METHODS,
    "I2": ("tau2", "Q"),
    "I2_ci": ("QP", "test-based"),
    "direction": ("as it is", "turned"),
    "scale": ("as pooled", "exponentiated"),
    "k_of": ("effects", "trials"),
}
"""What each choice can be."""

_WORDS = {
    "effects": {
        "given": "yi and vi as given",
        "review": "the review's own effects",
        "reported": "effects as reported where they are",
        "arms": "effects from arms",
        "arms and events": "effects from arms and events as SMD",
        "events": "effects from events",
    },
    "rows": {
        "all": "all rows",
        "without suspicious": "suspicious rows left out",
        "with excluded": "excluded rows put back",
    },
    "within_trial": {"independent": "rows taken as independent"},
    "tau2_method": {
        "common": "common effect",
        "PM": "PM (also EB, DLIT, SJIT)",
        "MH": "Mantel-Haenszel",
        "MH_added": "Mantel-Haenszel with the constant added first",
        "MH_random": "Mantel-Haenszel random effects",
        "MH_random_added": "Mantel-Haenszel random effects with the constant added first",
    },
    "I2": {"tau2": "I² from tau²", "Q": "I² from Q"},
    "I2_ci": {"QP": "interval of I² by Q-profile", "test-based": "test-based interval of I²"},
    "direction": {"turned": "sign turned"},
    "scale": {"exponentiated": "exponentiated"},
    "k_of": {"trials": "k counts trials", "effects": "k counts effects"},
}
_SILENT = {"direction": "as it is", "scale": "as pooled"}
_PREFIXES = {
    "variance": "variance ",
    "zero_cells": "zero cells ",
    "ci_method": "interval ",
    "prediction_method": "prediction interval ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One way to pool; a choice is empty where nothing printed depends on it or the table leaves none.

    Parameters
    ----------
    effects : str
        Where effects come from: "given" (yi, vi), "review" (review_yi, review_sei), "reported", "arms",
        "arms and events" or "events".
    measure : str
        Effect measure; "GEN" for effects as given.
    variance : str
        Formula of the sampling variance; empty for ready-made effects.
    zero_cells : str
        Where a constant is added to tables of events: "only0", "all", "if0all", "TACC" (the treatment arm correction),
        "none" (tables with a zero cell are left out), or "double zero kept".
    rows : str
        "all", "without suspicious" or "with excluded".
    within_trial : str
        "independent", "average rho 0.5" and the like, "first row" or "largest row".
    tau2_method : str
        Estimator of tau², "common", or "MH", "MH_added", "MH_random", "MH_random_added".
    ci_method, prediction_method : str
        Codes of `meta_analysis`.
    I2 : str
        "tau2" or "Q".
    I2_ci : str
        "QP" or "test-based".
    direction : str
        "as it is" or "turned".
    scale : str
        "as pooled" or "exponentiated".
    k_of : str
        What k counts: "effects" or "trials".
    """

    effects: str
    measure: str
    variance: str = ""
    zero_cells: str = ""
    rows: str = ""
    within_trial: str = ""
    tau2_method: str = ""
    ci_method: str = ""
    prediction_method: str = ""
    I2: str = ""
    I2_ci: str = ""
    direction: str = ""
    scale: str = ""
    k_of: str = ""

    def __str__(self) -> str:
        return self.words()

    def words(self, names: Sequence[str] | None = None) -> str:
        """Describe the analysis, or some of its choices.

        Parameters
        ----------
        names : sequence of str, optional
            Keys of `DIMENSIONS`; all when left out.

        Returns
        -------
        str
            Such as ``"the review's own effects; REML; interval HK"``.
        """
        chosen = DIMENSIONS if names is None else names
        cells = {name: str(getattr(self, name)) for name in chosen}
        return "; ".join(choice_words(n, v) for n, v in cells.items() if v and _SILENT.get(n) != v)


def choice_words(name: str, value: str) -> str:
    """Write one choice in words that stand alone.

    Parameters
    ----------
    name : str
        A key of `DIMENSIONS`.
    value : str
        One of its `VALUES`.

    Returns
    -------
    str
        Such as ``"interval HK"``.
    """
    return _WORDS.get(name, {}).get(value, _PREFIXES.get(name, "") + value)


_BARE = {
    "I2": {"tau2": "from tau²", "Q": "from Q"},
    "I2_ci": {"QP": "Q-profile", "test-based": "test-based"},
    "k_of": {"effects": "effects", "trials": "trials"},
    "direction": {"turned": "turned"},
    "measure": {"GEN": "as given"},
}


def bare_words(name: str, value: str) -> str:
    """Write the value of a choice in words that stand beside the name of the choice.

    Parameters
    ----------
    name : str
        A key of `DIMENSIONS`.
    value : str
        One of its `VALUES`.

    Returns
    -------
    str
        Such as ``"HK"``.
    """
    own = _WORDS.get(name, {}).get(value, value)
    return _BARE.get(name, {}).get(value, own)


Choices = Mapping[str, tuple[str, ...]]


def check_space(space: Mapping[str, Sequence[str] | str] | None) -> dict[str, tuple[str, ...]]:
    """Check what the search is to be restricted to.

    Parameters
    ----------
    space : mapping of str to sequence of str, or None
        From choices to the values that are searched.

    Returns
    -------
    dict of str to tuple of str
        Every choice with what it can be.

    Raises
    ------
    ChoiceError
        If a choice or a value is unknown, or nothing is left.
    """
    if space is not None and not isinstance(space, Mapping):
        raise MetapeerError(
            f"space is a {type(space).__name__}; give a mapping such as {{'tau2_method': ['DL', 'REML']}}"
        )
    chosen = dict(VALUES)
    for name, values in (space or {}).items():
        check_choice("choice in space", name, VALUES)
        listed = [values] if isinstance(values, str) else list(values)
        if not listed:
            raise ChoiceError(f"space leaves nothing for {name}; known: {', '.join(VALUES[name])}")
        known = [*VALUES[name], *(SAME_TAU2 if name == "tau2_method" else ())]
        checked = [check_choice(name, value, known) for value in listed]
        found = {SAME_TAU2.get(value, value) if name == "tau2_method" else value for value in checked}
        chosen[name] = tuple(value for value in VALUES[name] if value in found)
    return chosen


def check_measure(published_as: object) -> str | None:
    """Check the measure that a print is of.

    Parameters
    ----------
    published_as : str or None
        A code of `MEASURES_SEARCHED`.

    Returns
    -------
    str or None
        The code.

    Raises
    ------
    ChoiceError
        If it is not searched.
    """
    if published_as is None:
        return None
    return check_choice("published_as", published_as, MEASURES_SEARCHED[:-1])
