"""What the files of RevMan and Cochrane share: the words for measures, and rows that RevMan calls not estimable."""

import re
from collections.abc import Sequence

from metapeer.records.columns import MISSING
from metapeer.records.interchange.cells import number_of
from metapeer.records.interchange.tables import Draft
from metapeer.records.rows import plain_name

__all__ = ["drop_empty", "effect_words", "set_aside", "state_arms", "tidy"]

RATIOS = {
    "riskratio": "RR",
    "rr": "RR",
    "oddsratio": "OR",
    "or": "OR",
    "hazardratio": "HR",
    "hr": "HR",
    "rateratio": "IRR",
    "incidencerateratio": "IRR",
}
DIFFERENCES = {
    "meandifference": "MD",
    "md": "MD",
    "stdmeandifference": "SMD",
    "standardisedmeandifference": "SMD",
    "standardizedmeandifference": "SMD",
    "smd": "SMD",
    "riskdifference": "RD",
    "rd": "RD",
}
LEAST = {"n1": 2, "n2": 2, "total1": 1, "total2": 1}
MARKUP = re.compile(r"<[^<>]{0,200}>")


def effect_words(measure: str, *, logarithm: bool | None) -> str:
    """Put RevMan's name of a measure into the words that metapeer recognises.

    Parameters
    ----------
    measure : str
        Such as ``"Hazard Ratio"``.
    logarithm : bool or None
        Whether a ratio stands as its logarithm; None when that is not said, and then it is not recognised, so that the
        row is not pooled.

    Returns
    -------
    str
        Such as ``"log HR"``.

    Examples
    --------
    >>> effect_words("Hazard Ratio", logarithm=True), effect_words("Odds Ratio", logarithm=None)
    ('log HR', 'Odds Ratio, scale not recorded')
    """
    plain = plain_name(measure)
    if plain in DIFFERENCES:
        return DIFFERENCES[plain]
    if plain in RATIOS:
        return {True: f"log {RATIOS[plain]}", False: RATIOS[plain], None: f"{tidy(measure)}, scale not recorded"}[
            logarithm
        ]
    return tidy(measure) or "measure not recorded"


def tidy(text: str) -> str:
    """Put a text with line breaks and markup on one line.

    Parameters
    ----------
    text : str
        From a file.

    Returns
    -------
    str
        Its words.
    """
    return " ".join(MARKUP.sub(" ", text).split())


def state_arms(draft: Draft) -> None:
    """Say that group 1 is taken for peer support.

    Parameters
    ----------
    draft : Draft
        Is given a note.
    """
    draft.notes.append(
        "group 1 (experimental) is arm 1, taken for peer support; RevMan does not record which way an outcome is good, "
        "so give an instrument or a direction before effects are pooled"
    )


def set_aside(draft: Draft) -> None:
    """Keep rows that RevMan itself calls not estimable, with the reason why they are not pooled.

    RevMan allows arms without participants and standard deviations of 0. Such cells stand in extra columns.

    Parameters
    ----------
    draft : Draft
        Is changed.
    """
    rows = draft.table.rows
    reasons = [[cell] if cell else [] for cell in draft.columns.get("exclusion_reason", [""] * rows)]
    for name, words in (*((name, "participants") for name in LEAST), ("sd1", "SD"), ("sd2", "SD"), ("es_se", "SE")):
        cells = draft.columns.get(name)
        if cells is None:
            continue
        values = [number_of(cell) for cell in cells]
        wrong = [v < LEAST[name] if name in LEAST else v == 0 for v in values]
        for row, out in enumerate(wrong):
            if out:
                arm = f" of arm {name[-1]}" if name != "es_se" else ""
                reasons[row].append(f"{words}{arm}: {cells[row]} in the source")
        draft.keep_rest(f"source_{name}", cells, wrong)
        draft.columns[name] = ["" if out else cell for out, cell in zip(wrong, cells, strict=True)]
    if any(reasons):
        draft.put("exclusion_reason", ["; ".join(reason) for reason in reasons])
        found = sum(bool(reason) for reason in reasons)
        draft.notes.append(f"{found} rows that cannot be estimated have an exclusion_reason")


def drop_empty(draft: Draft, names: Sequence[str]) -> None:
    """Leave out columns in which nothing stands.

    Parameters
    ----------
    draft : Draft
        Is changed.
    names : sequence of str
        The columns that may go.
    """
    for name in names:
        if all(cell.strip().casefold() in MISSING for cell in draft.columns.get(name, ())):
            draft.columns.pop(name, None)
            draft.origins.pop(name, None)
