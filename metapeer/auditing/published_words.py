"""What the checks of printed results share: findings, comparisons and ranges in words."""

import math
from dataclasses import dataclass

from metapeer.auditing.findings import Finding, Severity
from metapeer.auditing.published_numbers import Comparison, PrintedResult
from metapeer.auditing.published_ranges import Range
from metapeer.formatting import format_number

__all__ = ["INTERVAL", "ONE_UNIT", "ON_SCALE", "Examined", "finding", "shown", "words"]

INTERVAL = ("es", "ci_low", "ci_high")
ONE_UNIT = 1.0
"""A miss by at most one unit of the last digit may come from cutting digits off, or from computing with rounded
numbers, so that it is a suspicion rather than an error."""
ON_SCALE = {"identity": "", "log": " on the log scale", "atanh": " on Fisher's z scale", "logit": " on the logit scale"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What the checks of one row found.

    Parameters
    ----------
    comparisons : tuple of Comparison
        Which numbers were held against which.
    findings : tuple of Finding
        What does not fit.
    readings : tuple of str
        Ways of reading the interval under which everything fits.
    normal : bool
        Whether the normal distribution alone fits, so that the standard error is known.
    """

    comparisons: tuple[Comparison, ...] = ()
    findings: tuple[Finding, ...] = ()
    readings: tuple[str, ...] = ()
    normal: bool = False


def shown(row: PrintedResult, *columns: str) -> str:
    """Write numbers as they were printed, with their names.

    Parameters
    ----------
    row : PrintedResult
        The row.
    *columns : str
        Columns; those without a cell are left out.

    Returns
    -------
    str
        Such as ``"es 0.19, z 4.6"``.
    """
    return ", ".join(f"{column} {row.text(column)}" for column in columns if row.text(column))


def finding(
    row: PrintedResult,
    check: str,
    severity: Severity,
    columns: tuple[str, ...],
    message: str,
    *,
    evidence: str = "",
    look_up: str = "",
) -> Finding:
    """Make a finding about one row.

    Parameters
    ----------
    row : PrintedResult
        The row.
    check : str
        Code of the check.
    severity : {"error", "suspicion", "remark"}
        How sure it is.
    columns : tuple of str
        The cells.
    message : str
        What looks wrong.
    evidence : str, optional
        The numbers; those printed in `columns` when left out.
    look_up : str, optional
        What to look up; these cells in the review when left out.

    Returns
    -------
    Finding
        For this row alone.
    """
    return Finding(
        check=check,
        severity=severity,
        rows=(row.position,),
        columns=columns,
        message=message,
        evidence=evidence or shown(row, *columns),
        look_up=look_up or f"{', '.join(columns)} in the review's own table or figure",
    )


def words(allowed: Range) -> str:
    """Write a range with enough digits to tell its ends apart, and no more than five that count.

    Parameters
    ----------
    allowed : tuple of float
        Lowest and highest.

    Returns
    -------
    str
        Both ends, or the one number that they are.

    Examples
    --------
    >>> words((4.9321, 5.2719)), words((78.1121, 78.1146)), words((0.0, 0.0)), words((1e-7, 2e-7))
    ('4.93 to 5.27', '78.112 to 78.115', '0', '1e-07 to 2e-07')
    """
    low, high = allowed
    size = max(abs(low), abs(high))
    if math.isinf(low) and math.isinf(high):
        return "anything"
    if math.isinf(size):
        return f"at least {low:.3g}" if math.isinf(high) else f"at most {high:.3g}"
    if size == 0.0 or size < 1e-3:
        ends = [f"{end:.2g}" for end in allowed]
    else:
        most = 4 - math.floor(math.log10(size))
        digits = min(most, 1 - math.floor(math.log10(high - low))) if high > low else most
        ends = [format_number(end, max(0, digits, 0 if size >= 10 else 2)) for end in allowed]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
