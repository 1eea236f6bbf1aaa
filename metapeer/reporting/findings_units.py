"""Standardised differences in the units of a familiar instrument, with an SD that is given or counted in the trials."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import pandas as pd

from metapeer.errors import DataError, Fault
from metapeer.formatting import count, format_number
from metapeer.pooling.results import MetaAnalysisResult
from metapeer.records.instruments import folded
from metapeer.records.schema import DIRECTIONS
from metapeer.reporting.findings_conversions import SMD_MEASURES

__all__ = ["Instruments", "NaturalUnits", "read_units"]

KEYS = ("instrument", "sd", "source", "direction", "min", "max")
UNLIKE = 2.0  # SDs of one instrument that differ by more make one ask whether it was scored alike
Instruments: TypeAlias = Mapping[str, str | Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NaturalUnits:
    """An effect in points of an instrument.

    Parameters
    ----------
    instrument : str
        Its name.
    sd : float
        The standard deviation that the effect was multiplied by.
    origin : str
        Where it comes from, in words.
    lower_better : bool
        Which way is good.
    estimate, low, high : float
        Difference in points, intervention minus comparison; low is the smaller end.
    predicted : tuple of (float, float) or None
        Ends of the prediction interval.
    minimum, maximum : float
        Of the instrument; NaN where not known.
    doubt : str
        What speaks against the standard deviation; empty otherwise.
    """

    instrument: str
    sd: float
    origin: str
    lower_better: bool
    estimate: float
    low: float
    high: float
    predicted: tuple[float, float] | None
    minimum: float
    maximum: float
    doubt: str


def read_units(
    given: Instruments | None, fits: Mapping[str, MetaAnalysisResult], registry: pd.DataFrame
) -> dict[str, NaturalUnits]:
    """Express standardised differences in points of an instrument.

    Parameters
    ----------
    given : mapping of outcome to name or mapping, optional
        The instrument, or ``instrument`` with ``sd`` and its ``source``, and where the registry does not know them
        ``direction``, ``min`` and ``max``.
    fits : mapping of str to MetaAnalysisResult
        The outcomes.
    registry : DataFrame
        Instruments with ``direction``, ``min`` and ``max``.

    Returns
    -------
    dict of str to NaturalUnits
        Outcome to units.

    Raises
    ------
    DataError
        If something is unknown, missing or has no effect; every fault is listed.
    """
    if given is None:
        return {}
    faults: list[Fault | str] = []
    found = {}
    if not isinstance(given, Mapping):
        raise DataError("instruments=", ["is a mapping of outcome to instrument"])
    for outcome, value in given.items():
        if outcome not in fits:
            faults.append(f"{outcome!r} is not among the outcomes: {', '.join(fits)}")
            continue
        said = dict(value) if isinstance(value, Mapping) else {"instrument": value}
        units = _units(fits[outcome], said, registry)
        if isinstance(units, NaturalUnits):
            found[outcome] = units
        else:
            faults += [Fault(row=outcome, message=message) for message in units]
    if faults:
        raise DataError("instruments=", faults)
    return found


def _units(fit: MetaAnalysisResult, said: Mapping[str, Any], registry: pd.DataFrame) -> NaturalUnits | list[str]:
    wrong = [f"{key!r} is unknown. Known: {', '.join(KEYS)}" for key in said if key not in KEYS]
    name = said.get("instrument")
    if not isinstance(name, str) or not name.strip():
        return [*wrong, "the name of the instrument is missing"]
    if fit.measure not in SMD_MEASURES:
        return [
            *wrong,
            f"an instrument has no effect on {fit.measure or 'an effect of no stated measure'}; leave it out",
        ]
    if not fit.positive_favours:
        return [*wrong, "the effects do not say which arm a positive one favours, so no direction in points follows"]
    known = registry[registry["instrument"].map(lambda cell: folded(str(cell)) == folded(name))]
    row = known.iloc[0] if len(known) else None
    direction = said.get("direction", _direction_in_rows(fit, name) if row is None else row["direction"])
    if direction not in DIRECTIONS:
        wrong.append(
            f"it is not known which way {name!r} is good; give its direction, {DIRECTIONS[0]} or {DIRECTIONS[1]}"
        )
    low, high = (_bound(said.get(key), row, key, wrong) for key in ("min", "max"))
    if low >= high:
        wrong.append(f"min {low:g} is not below max {high:g}")
    sd, origin, doubt = _given_sd(said, wrong) if "sd" in said else _counted_sd(fit, name, wrong)
    if "sd" not in said and "source" in said:
        wrong.append("source has no effect without sd; leave it out")
    if wrong:
        return wrong
    if high - low < sd:
        doubt = f"{doubt}; " * bool(doubt) + "the SD exceeds the range of the instrument: it was scored otherwise"
    lower = direction == "lower_better"
    factor = sd * (1.0 if fit.positive_favours == "arm1" else -1.0) * (-1.0 if lower else 1.0)
    ends = sorted(factor * end for end in fit.ci)
    interval = fit.prediction_interval
    predicted = None if interval is None else sorted(factor * end for end in interval)
    return NaturalUnits(
        instrument=name if row is None else str(row["instrument"]),
        sd=sd,
        origin=origin,
        lower_better=lower,
        estimate=factor * fit.estimate,
        low=ends[0],
        high=ends[1],
        predicted=None if predicted is None else (predicted[0], predicted[1]),
        minimum=low,
        maximum=high,
        doubt=doubt,
    )


def _direction_in_rows(fit: MetaAnalysisResult, name: str) -> str:
    """The direction that the pooled rows give an instrument, where they agree."""
    if fit.data is None or not {"instrument", "direction"} <= set(fit.data.columns):
        return ""
    pairs = zip(fit.data["instrument"].tolist(), fit.data["direction"].tolist(), strict=True)
    found = {str(direction) for instrument, direction in pairs if folded(str(instrument)) == folded(name)}
    return found.pop() if len(found) == 1 else ""


def _bound(value: object, row: "pd.Series[Any] | None", key: str, wrong: list[str]) -> float:
    if value is None:
        return math.nan if row is None or key not in row else float(row[key])
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        wrong.append(f"{key}: {value!r} is not a number")
        return math.nan
    return float(value)


def _given_sd(said: Mapping[str, Any], wrong: list[str]) -> tuple[float, str, str]:
    sd, source = said["sd"], said.get("source")
    if isinstance(sd, bool) or not isinstance(sd, Real) or not 0.0 < float(sd) < math.inf:
        wrong.append(f"sd {sd!r} is not a standard deviation; it must be above 0")
        sd = math.nan
    if not isinstance(source, str) or not source.strip():
        wrong.append("a given sd needs a source")
    return float(sd), f"SD {format_number(float(sd), 2)}, given: {source}", ""


def _counted_sd(fit: MetaAnalysisResult, name: str, wrong: list[str]) -> tuple[float, str, str]:
    """Pool the SDs of the comparison arms that used the instrument."""
    needed = {"instrument", "n2", "sd2"}
    if fit.data is None or not needed <= set(fit.data.columns):
        wrong.append("the pooled rows do not have instrument, n2 and sd2; give an sd with its source")
        return math.nan, "", ""
    rows = fit.data
    named = rows[rows["instrument"].map(lambda cell: folded(str(cell)) == folded(name))]
    n, sd = (pd.to_numeric(named[column], errors="coerce") for column in ("n2", "sd2"))
    usable = (n > 1) & (sd > 0)
    if "statistic" in named:
        # The SD of a change is not the SD of a score.
        usable &= named["statistic"].isna() | named["statistic"].isin(["", "post"])
    named, n, sd = named[usable], n[usable], sd[usable]
    if named.empty:
        have = sorted({str(cell) for cell in rows["instrument"] if isinstance(cell, str) and cell})
        wrong.append(
            f"no comparison arm gives an SD of scores of {name!r}; give an sd with its source. The trials used: "
            f"{', '.join(have)}"
        )
        return math.nan, "", ""
    pooled = math.sqrt(float(((n - 1) * sd**2).sum() / (n - 1).sum()))
    trials = named["study_id"].nunique() if "study_id" in named else len(named)
    origin = f"SD {format_number(pooled, 2)}, pooled over the comparison arms of {count(trials, 'trial')}"
    doubt = ""
    if float(sd.max()) > UNLIKE * float(sd.min()):
        doubt = (
            f"SDs of the comparison arms run from {format_number(float(sd.min()), 2)} to "
            f"{format_number(float(sd.max()), 2)}: the trials may have scored {name} differently"
        )
    return pooled, f"{origin} ({int(n.sum()):,} people)", doubt
