"""Limits printed beside an estimate: whether they hold it, lie about it as limits do, and fit its standard error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from metapeer.auditing.findings import Finding, Severity
from metapeer.auditing.formulas import half_units
from metapeer.auditing.table import AuditTable
from metapeer.effects.convert import midpoint_can_be_estimate

__all__ = ["check_limits"]

FloatArray = NDArray[np.float64]

_LOPSIDED = 1.7
"""One side of an interval this many times the other, on the natural and on the log scale, is more than exact, bootstrap
or profile limits of usual samples show; those reach 1.5. It is what half a standard error off the middle makes."""
_FAR_WIDTH = 0.1
"""Standard errors that differ by more than a tenth are not explained by a t quantile in place of a normal one: that
would take fewer than 15 degrees of freedom, and those are tried."""
_LEVELS = {
    "90% limits, or one-sided 95% ones": 0.90,
    "99% limits": 0.99,
    "80% limits": 0.80,
    "limits of one standard error to either side, unless the standard error is half their width": 0.6826894921370859,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """An estimate with its limits, half a unit of the roughest of the three, and its standard error if printed."""

    row: int
    es: float
    low: float
    high: float
    half: float
    error: float
    half_error: float
    df: float

    def error_between(self, z: float, *, log: bool) -> tuple[float, float]:
        """Smallest and largest standard error behind the limits, given their rounding."""
        if not log:
            width = self.high - self.low
            return max(width - 2 * self.half, 0.0) / (2 * z), (width + 2 * self.half) / (2 * z)
        low_up, low_down = self.low + self.half, max(self.low - self.half, np.finfo(float).tiny)
        narrow = np.log(max(self.high - self.half, low_up)) - np.log(low_up)
        return narrow / (2 * z), (np.log(self.high + self.half) - np.log(low_down)) / (2 * z)

    def fits(self, error: float, half: float, z: float) -> bool:
        """Whether a standard error is the one behind the limits, on either scale."""
        for log in (False, True):
            if log and not self.low > 0:
                continue
            least, most = self.error_between(z, log=log)
            if least * (1 - 1e-6) <= error + half and error - half <= most * (1 + 1e-6):
                return True
        return False

    @property
    def shown(self) -> str:
        """The numbers in one line."""
        return f"{self.es:g} ({self.low:g} to {self.high:g})"


def check_limits(table: AuditTable, errors: FloatArray) -> list[Finding]:
    """Check every printed interval against its estimate and its standard error.

    Parameters
    ----------
    table : AuditTable
        The table.
    errors : array of shape (k,)
        Standard errors that follow from the raw numbers of rows whose estimate does; NaN elsewhere.

    Returns
    -------
    list of Finding
        At most one for each row.
    """
    if not table.has("es", "es_ci_low", "es_ci_high"):
        return []
    columns = [table.number(name) for name in ("es", "es_ci_low", "es_ci_high", "es_se")]
    halves = [half_units(table.decimals(name)) for name in ("es", "es_ci_low", "es_ci_high", "es_se")]
    half = np.maximum.reduce(halves[:3])
    df = table.number("n1") + table.number("n2") - 2
    if not np.isfinite(df).any():
        df = table.number("total1") + table.number("total2") - 2
    findings = []
    for row in np.flatnonzero(np.isfinite(columns[0] + columns[1] + columns[2])).tolist():
        es, low, high, error = (float(column[row]) for column in columns)
        one = _Row(
            row=row, es=es, low=low, high=high, half=float(half[row]), df=float(df[row]),
            error=error if error > 0 else np.nan, half_error=float(halves[3][row]),
        )  # fmt: skip
        found = _exchanged(one) or _outside(one) or _lopsided(one) or _wrong_width(one, float(errors[row]))
        findings += [found] if found is not None else []
    return findings


def _finding(
    one: _Row,
    check: str,
    severity: Severity,
    message: str,
    *,
    evidence: str = "",
    value: tuple[float, float] | None = None,
) -> Finding:
    return Finding(
        check=check,
        severity=severity,
        rows=(one.row,),
        columns=("es", "es_ci_low", "es_ci_high"),
        message=message,
        evidence=f"{one.shown}{'; ' + evidence if evidence else ''}",
        look_up="the estimate, its limits, their level, and the scale they are printed on",
        instead={one.row: value} if value is not None and 0 < value[1] < np.inf and np.isfinite(value[0]) else {},
    )


_Z = float(ndtri(0.975))


def _symmetric(es: float, low: float, high: float, half: float, *, log: bool) -> bool:
    if log and not (low >= 0 and es > 0):  # a limit printed as 0 may be that of a ratio, rounded
        return False
    numbers = [np.array([x]) for x in (es, low, high)]
    return bool(midpoint_can_be_estimate(*numbers, half_unit=np.array([half]), log=log)[0])


def _exchanged(one: _Row) -> Finding | None:
    if one.low <= one.high:
        return None
    return _finding(one, "limits_exchanged", "error", "the lower limit lies above the upper one: they look exchanged")


def _outside(one: _Row) -> Finding | None:
    """An estimate that its own interval does not hold, with what would put it inside."""
    if one.low - 2 * one.half <= one.es <= one.high + 2 * one.half:
        return None
    error = (one.high - one.low) / (2 * _Z)
    if _symmetric(-one.es, one.low, one.high, one.half, log=False):
        return _finding(
            one, "limits_sign", "error",
            "the estimate lies outside its limits, and in their middle with the other sign: a minus sign looks lost",
            value=(-one.es, error * error),
        )  # fmt: skip
    if one.low > 0 and abs(one.es) < 50:
        ratio = float(np.exp(one.es))
        wide = one.half * (1 + ratio)
        if _symmetric(ratio, one.low, one.high, wide, log=True):
            log_error = float(np.log(one.high) - np.log(one.low)) / (2 * _Z)
            return _finding(
                one, "limits_log_scale", "error",
                "the limits look like those of a ratio, the estimate like its logarithm",
                evidence=f"exp({one.es:g}) = {ratio:.3g}", value=(one.es, log_error * log_error),
            )  # fmt: skip
    if one.es > 0:
        log = float(np.log(one.es))
        if _symmetric(log, one.low, one.high, one.half * (1 + 1 / one.es), log=False):
            return _finding(
                one, "limits_log_scale", "error",
                "the estimate looks like a ratio, the limits like logarithms of its limits",
                evidence=f"ln({one.es:g}) = {log:.3g}", value=(log, error * error),
            )  # fmt: skip
    return _finding(one, "limits_miss_estimate", "error", "the estimate lies outside its own limits")


def _lopsided(one: _Row) -> Finding | None:
    """An interval that is symmetric on no scale."""
    if any(_symmetric(one.es, one.low, one.high, one.half, log=log) for log in (False, True)):
        return None
    sides = [(one.es - one.low, one.high - one.es)]
    if one.low > 0 and one.es > 0:
        sides.append((float(np.log(one.es / one.low)), float(np.log(one.high / one.es))))
    ratios = [max(a, b) / min(a, b) if min(a, b) > 0 else np.inf for a, b in sides]
    severity: Severity = "suspicion" if min(ratios) > _LOPSIDED else "remark"
    scale = "on neither the natural nor the log scale" if len(sides) > 1 else "not"
    return _finding(
        one, "limits_asymmetric", severity,
        f"the estimate lies {scale} in the middle of its limits: one of the three looks mistyped, or the limits were "
        "made another way",
        evidence=f"the longer side is {min(ratios):.2g} times the shorter",
    )  # fmt: skip


def _wrong_width(one: _Row, derived: float) -> Finding | None:
    """Limits whose width is not that of 95% limits with the standard error printed, or derived from the raw numbers."""
    printed = np.isfinite(one.error)
    error, half = (one.error, one.half_error) if printed else (derived, 0.0)
    if not error > 0 or one.high <= one.low:
        return None
    quantiles = [_Z, 2.0]
    if one.df >= 1:
        quantiles.append(float(stdtrit(one.df, 0.975)))
    if any(one.fits(error, half, z) for z in quantiles):
        return None
    source = "the printed standard error" if printed else "the standard error that follows from the raw numbers"
    evidence = f"{source} is {error:.4g}, that of 95% limits {(one.high - one.low) / (2 * _Z):.4g}"
    for words, level in _LEVELS.items():
        if one.fits(error, half, float(ndtri((1 + level) / 2))):
            return _finding(
                one, "limits_other_level", "suspicion", f"the limits look like {words}", evidence=evidence,
                value=(one.es, error * error),
            )  # fmt: skip
    implied = (one.high - one.low) / (2 * _Z)
    if not printed:
        return None  # an adjusted estimate has another standard error than the raw numbers, and rightly so
    if one.fits(float(np.sqrt(error)), half / (2 * float(np.sqrt(error))), _Z):
        return _finding(
            one, "se_is_variance", "suspicion", "the standard error looks like the variance behind the limits",
            evidence=evidence, value=(one.es, implied * implied),
        )  # fmt: skip
    logs = float(np.log(one.high / one.low)) / (2 * _Z) if one.low > 0 else implied
    far = min(abs(np.log(error / x)) for x in (implied, logs) if x > 0) > _FAR_WIDTH
    return _finding(
        one, "limits_do_not_fit_se", "suspicion" if far else "remark",
        "the limits and the standard error do not belong together: one of them looks mistyped, or they come from "
        "different analyses",
        evidence=evidence, value=(one.es, implied * implied) if far else None,
    )  # fmt: skip
