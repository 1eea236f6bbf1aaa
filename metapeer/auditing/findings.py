"""A finding: what looks wrong in a table, on what evidence, and what a person should look up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["SEVERITIES", "Finding", "Severity"]

Severity = Literal["error", "suspicion", "remark"]
SEVERITIES: dict[Severity, str] = {
    "error": "impossible, or contradicts other numbers of the row",
    "suspicion": "possible, but more likely a slip than not",
    "remark": "worth knowing; often harmless",
}
"""How sure a finding is, in words; the gravest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a table that a person should look up.

    Parameters
    ----------
    check : str
        Code of the check that found it, such as ``"sign_against_direction"``.
    severity : {"error", "suspicion", "remark"}
        How sure it is, as in `SEVERITIES`.
    rows : tuple of int
        Positions of the rows it concerns; empty when it concerns the whole table.
    columns : tuple of str
        The cells it concerns in those rows.
    message : str
        What looks wrong, worded as a suspicion, without the names of the rows.
    evidence : str
        The numbers it rests on.
    look_up : str
        What to look up in the paper.
    instead : mapping of int to (float, float) or None
        What pooling would use if it is true: effect and sampling variance by row, None for a row left out. Empty when
        pooling would not change.
    """

    check: str
    severity: Severity
    rows: tuple[int, ...]
    columns: tuple[str, ...]
    message: str
    evidence: str
    look_up: str
    instead: Mapping[int, tuple[float, float] | None] = field(default_factory=dict)
