"""The columns and cells that an effect measure asks for, checked before anything is computed from them."""

import numpy as np

from metapeer.effects import direction
from metapeer.effects.options import Options
from metapeer.effects.rows import Rows
from metapeer.effects.ways import COLUMNS

__all__ = ["check_cells"]

_GENERIC_ERRORS = (("vi",), ("sei",), ("ci_low", "ci_high"))


def check_cells(rows: Rows, options: Options) -> None:
    """Raise every fault of the columns that the options ask for, all at once.

    Parameters
    ----------
    rows : Rows
        The table.
    options : Options
        What was asked for.

    Raises
    ------
    DataError
        If columns are missing, or cells are impossible.
    """
    _check_columns(rows, options)
    for source in options.sources:
        _CHECKS[source](rows)
    words = rows.text("direction")
    known = np.array([word in direction.DIRECTIONS for word in words], dtype=np.bool_)
    rows.note(~known, "direction", "it must be higher_better, lower_better or empty")
    rows.raise_faults()


def _check_columns(rows: Rows, options: Options) -> None:
    # What is preferred by name must be there; otherwise one complete kind will do.
    preferred = options.sources[:1] if options.prefer != "arms" else options.sources
    if not any(rows.has(*COLUMNS[source]) for source in preferred):
        source = preferred[0]
        missing = [name for name in COLUMNS[source] if not rows.has(name)]
        message = f"there is no column {' '.join(missing)}; {options.measure.code} needs {' '.join(COLUMNS[source])}"
        if source == "arms" and rows.has(*COLUMNS["events"]):
            message += ". The table has events: choose measure RR, OR or RD"
            message += ", or events_to_smd=True" if options.measure.code == "SMD" else ""
        rows.note_column(message)
    elif options.sources == ("generic",) and not any(rows.has(*names) for names in _GENERIC_ERRORS):
        rows.note_column("there is no column vi, sei, or ci_low and ci_high to say how precise yi is")
    rows.raise_faults()


def _check_arms(rows: Rows) -> None:
    for arm in "12":
        rows.numbers(f"mean{arm}")
        rows.note(rows.numbers(f"n{arm}") < 2, f"n{arm}", "an arm needs at least 2 participants")
        rows.note(rows.numbers(f"sd{arm}") <= 0, f"sd{arm}", "a standard deviation must be > 0")


def _check_events(rows: Rows) -> None:
    for arm in "12":
        events, total = rows.numbers(f"events{arm}"), rows.numbers(f"total{arm}")
        rows.note(events < 0, f"events{arm}", "a count of events must not be negative")
        rows.note(total < 1, f"total{arm}", "an arm needs at least 1 participant")
        rows.note(events > total, f"events{arm}", f"events must not exceed the participants, total{arm}")


def _check_rates(rows: Rows) -> None:
    for arm in "12":
        rows.note(rows.numbers(f"events{arm}") < 0, f"events{arm}", "a count of events must not be negative")
        rows.note(rows.numbers(f"time{arm}") <= 0, f"time{arm}", "person-time must be > 0")


def _check_log_rank(rows: Rows) -> None:
    rows.numbers("oe")
    rows.note(rows.numbers("v") <= 0, "v", "the variance of O - E must be > 0")


def _check_group_events(rows: Rows) -> None:
    events, total = rows.numbers("events"), rows.numbers("total")
    rows.note(events < 0, "events", "a count of events must not be negative")
    rows.note(total < 1, "total", "a group needs at least 1 participant")
    rows.note(events > total, "events", "events must not exceed the participants, total")


def _check_group_rate(rows: Rows) -> None:
    rows.note(rows.numbers("events") < 0, "events", "a count of events must not be negative")
    rows.note(rows.numbers("time") <= 0, "time", "person-time must be > 0")


def _check_group_mean(rows: Rows) -> None:
    rows.numbers("mean")
    rows.note(rows.numbers("n") < 2, "n", "a group needs at least 2 participants")
    rows.note(rows.numbers("sd") <= 0, "sd", "a standard deviation must be > 0")


def _check_correlation(rows: Rows) -> None:
    rows.note(np.abs(rows.numbers("r")) > 1, "r", "a correlation must lie between -1 and 1")
    rows.note(rows.numbers("n") < 2, "n", "a correlation needs at least 2 participants")


def _check_reported(rows: Rows) -> None:
    rows.numbers("es")
    rows.note(rows.numbers("es_se") <= 0, "es_se", "a standard error must be > 0")
    above = rows.numbers("es_ci_low") > rows.numbers("es_ci_high")
    rows.note(above, "es_ci_low", "a lower limit must not exceed the upper one, es_ci_high")


def _check_review(rows: Rows) -> None:
    rows.numbers("review_yi")
    rows.note(rows.numbers("review_sei") <= 0, "review_sei", "a standard error must be > 0")


def _check_generic(rows: Rows) -> None:
    rows.numbers("yi")
    vi, sei = rows.numbers("vi"), rows.numbers("sei")
    rows.note(vi <= 0, "vi", "a sampling variance must be > 0")
    rows.note(sei <= 0, "sei", "a standard error must be > 0")
    # A relative 1e-3 allows for standard errors written with four digits.
    rows.note(np.abs(vi - sei**2) > 1e-3 * np.abs(vi), "vi", "it must be the square of sei where both are given")
    rows.note(rows.numbers("ci_low") >= rows.numbers("ci_high"), "ci_low", "it must be less than ci_high")


_CHECKS = {
    "arms": _check_arms,
    "events": _check_events,
    "rates": _check_rates,
    "log_rank": _check_log_rank,
    "group_events": _check_group_events,
    "group_rate": _check_group_rate,
    "group_mean": _check_group_mean,
    "correlation": _check_correlation,
    "reported": _check_reported,
    "review": _check_review,
    "generic": _check_generic,
}
