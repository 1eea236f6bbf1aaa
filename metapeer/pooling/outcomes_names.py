"""What stands in tables and figures of outcomes: codes of a column made into words, in this one place."""

import math
import re
from collections.abc import Iterable, Sequence

from metapeer.formatting import format_interval, format_number, format_p
from metapeer.pooling.inference import CI_WORDS
from metapeer.pooling.results import MetaAnalysisResult, measure_of

__all__ = [
    "heading_words",
    "interval_words",
    "measure_words",
    "outcome_words",
    "participants_words",
    "prediction_words",
    "tells_too_few",
    "text_cells",
]

WORDS = {
    "depression_anxiety": "Depression or anxiety",
    "one_to_one": "One-to-one",
    "social_network_support": "Social network or support",
}
"""Where more than blanks is missing from a code."""

OTHER = "other:"
"""Before what has no common name (`metapeer/records/schema.py`)."""


def outcome_words(code: str) -> str:
    """Write the code of an outcome, or of an outcome and a format, as a reader expects it.

    Parameters
    ----------
    code : str
        Such as ``"quality_of_life"``; the parts of several columns stand apart by `` / ``. What is already written in
        words, such as the name of an instrument, stays as it is but for a capital at its beginning.

    Returns
    -------
    str
        Different codes stay different, as long as they differ in more than capitals, blanks and underscores.

    Examples
    --------
    >>> outcome_words("quality_of_life"), outcome_words("other:self_esteem"), outcome_words("hope / one_to_one")
    ('Quality of life', 'Self-esteem (other)', 'Hope, one-to-one')
    >>> outcome_words("BDI-II"), outcome_words("mDES")
    ('BDI-II', 'mDES')
    """
    first, *rest = (_words(part) for part in code.split(" / "))
    return ", ".join([first, *(_lower(part) for part in rest)])


def heading_words(code: str, column: str) -> str:
    """Write the code of a class of outcomes as a heading.

    Parameters
    ----------
    code : str
        Such as ``"service_use"``; empty where the table does not say.
    column : str
        The column it stands in.

    Returns
    -------
    str
        Never empty.

    Examples
    --------
    >>> heading_words("service_use", "outcome_class"), heading_words("", "outcome_class")
    ('Service use', 'No outcome class given')
    """
    return outcome_words(code) if code else f"No {column.replace('_', ' ')} given"


def participants_words(fit: MetaAnalysisResult) -> str:
    """Write how many participants there are, with a plus where some trials do not tell.

    Parameters
    ----------
    fit : MetaAnalysisResult
        One outcome.

    Returns
    -------
    str
        Such as ``"1,673+"``.
    """
    return "NA" if fit.participants is None else f"{fit.participants:,}{'+' * tells_too_few(fit)}"


def tells_too_few(fit: MetaAnalysisResult) -> bool:
    """Whether some trials tell how many participants they have and others do not.

    Parameters
    ----------
    fit : MetaAnalysisResult
        One outcome.

    Returns
    -------
    bool
        False also where no trial tells.
    """
    return 0 < fit.participants_known < fit.trials


def interval_words(fits: Iterable[MetaAnalysisResult]) -> str:
    """Name the confidence intervals of pooled estimates, without degrees of freedom.

    Parameters
    ----------
    fits : iterable of MetaAnalysisResult
        Outcomes; those of one trial are passed over.

    Returns
    -------
    str
        Such as ``"Hartung-Knapp"``; empty when nothing was pooled.
    """
    return " or ".join(dict.fromkeys(CI_WORDS.get(fit.ci_method, fit.ci_method) for fit in fits if fit.k > 1))


def prediction_words(fits: Iterable[MetaAnalysisResult]) -> str:
    """Name the prediction intervals, without degrees of freedom.

    Parameters
    ----------
    fits : iterable of MetaAnalysisResult
        Outcomes.

    Returns
    -------
    str
        Such as ``"t, Hartung-Knapp variance"``; empty when there is none.
    """
    made = (fit.prediction_interval for fit in fits)
    return " or ".join(dict.fromkeys(re.sub(r", [\d.]+ df", "", one.method) for one in made if one is not None))


def measure_words(fit: MetaAnalysisResult) -> str:
    """Name the measure, and which arm a value above no effect favours.

    Parameters
    ----------
    fit : MetaAnalysisResult
        One outcome.

    Returns
    -------
    str
        Such as ``"risk ratio; above 1 favours the comparison"``.
    """
    if not fit.measure:
        return "effect"
    measure = measure_of(fit.measure)
    better = {"arm1": "peer support", "arm2": "the comparison"}.get(fit.positive_favours)
    return f"{measure.name}; above {measure.null:g} favours {better}" if better and measure.has_null else measure.name


def text_cells(fit: MetaAnalysisResult) -> tuple[str, ...]:
    """Write what is printed of one outcome.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The outcome.

    Returns
    -------
    tuple of str
        Trials, participants, estimate, confidence interval, prediction interval, tau², I² and p.
    """
    measure = measure_of(fit.measure)

    def between(ends: Sequence[float] | None) -> str:
        if ends is None:
            return "NA"
        low, high = (measure.display(end, fit.se**2) for end in ends)
        return format_interval(low, high)

    i2 = fit.I2 if fit.model == "random" else fit.I2_Q
    prediction = fit.prediction_interval
    return (
        str(fit.trials),
        participants_words(fit),
        format_number(measure.display(fit.estimate, fit.se**2)),
        between(tuple(fit.ci)),
        between(None if prediction is None else tuple(prediction)),
        format_number(math.nan if fit.k == 1 else fit.tau2, 4),
        "NA" if fit.k == 1 or math.isnan(i2) else f"{format_number(i2, 0)}%",
        format_p(fit.p_value if measure.has_null else math.nan),
    )


def _words(code: str) -> str:
    if code in WORDS:
        return WORDS[code]
    named = code.removeprefix(OTHER)
    text = " ".join(named.replace("_", " ").split()) or code
    text = "self-" + text[5:] if text.startswith("self ") else text
    capital = text if any(letter.isupper() for letter in text.split(" ")[0]) else text[:1].upper() + text[1:]
    return f"{capital} (other)" if named != code and named.strip("_ ") else capital


def _lower(text: str) -> str:
    """Take the capital from a word within a name, but not from an abbreviation."""
    return text if any(letter.isupper() for letter in text[1:]) else text[:1].lower() + text[1:]
