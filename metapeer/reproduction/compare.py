"""A recomputation held against the print, number by number, and why the two differ when they do."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from metapeer.auditing.rounding import Printed, find_inputs, reachable_range, read_printed
from metapeer.errors import MetapeerError
from metapeer.formatting import format_number
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.pooling.weighted import FloatArray
from metapeer.reproduction.entries import QUANTITIES, Check, Recomputation
from metapeer.reproduction.evidence import Store, effects_of, pool_effects, row_effects
from metapeer.reproduction.plan import Analysis, Method

__all__ = ["compare", "explain_difference", "within_rounding"]

ROUNDED_CELLS = {
    "arms": ("mean1", "sd1", "mean2", "sd2"),
    "reported": ("es", "es_se", "es_ci_low", "es_ci_high"),
    "review": ("review_yi", "review_sei"),
}
"""Cells that a paper may have rounded, by where the effect of a row comes from; counts are whole."""


def compare(
    fit: MetaAnalysisResult,
    published: Mapping[str, str],
    method: Method,
    *,
    sign: int = 1,
    name: str = "as the review did",
    reason: str = "",
) -> Recomputation:
    """Hold a pooled result against the print.

    Parameters
    ----------
    fit : MetaAnalysisResult
        The result.
    published : mapping of str to str
        A row of published.csv.
    method : Method
        How the result was pooled; its form of I² is the printed one.
    sign : int, default 1
        -1 when the print has the opposite sign.
    name, reason : str
        What was done, and why it is shown.

    Returns
    -------
    Recomputation
        With a check for each printed number.
    """
    numbers = _numbers(fit, method, sign)
    checks = []
    for quantity in QUANTITIES:
        printed = read_printed(published.get(quantity, ""))
        if printed is not None:
            computed = _as_printed(numbers, quantity, printed)
            checks.append(
                Check(
                    quantity=quantity,
                    printed=printed.text,
                    decimals=printed.decimals,
                    computed=computed,
                    agrees=printed.agrees(computed),
                )
            )
    return Recomputation(name=name, reason=reason, result=fit, numbers=numbers, checks=tuple(checks))


def _as_printed(numbers: Mapping[str, float], quantity: str, printed: Printed) -> float:
    """A recomputed number; a test statistic with the sign of print, which many reviews leave out."""
    return math.copysign(numbers[quantity], printed.value) if quantity == "z" else numbers[quantity]


def _numbers(fit: MetaAnalysisResult, method: Method, sign: int) -> dict[str, float]:
    """Recomputed numbers by the columns of published.csv, on the scale and with the sign of the print."""
    measure = measure_of(fit.measure)
    low, high = sorted(sign * end for end in fit.ci)
    from_q = method.i2 == "Q" or fit.model == "common"
    i2, i2_ci = (fit.I2_Q, fit.I2_Q_ci) if from_q else (fit.I2, fit.I2_ci)
    i2_low, i2_high = (np.nan, np.nan) if i2_ci is None else i2_ci
    return {
        "k": float(fit.k),
        "es": measure.display(sign * fit.estimate),
        "ci_low": measure.display(low),
        "ci_high": measure.display(high),
        "z": sign * fit.statistic,
        "p": fit.p_value,
        "i2": i2,
        "i2_ci_low": i2_low,
        "i2_ci_high": i2_high,
        "tau2": fit.tau2,
        "q": fit.Q,
        "q_df": float(fit.Q_df),
        "q_p": fit.Q_p,
    }


def within_rounding(store: Store, analysis: Analysis, frame: pd.DataFrame, way: Recomputation) -> str:
    """Look for unrounded inputs that give every printed number.

    Parameters
    ----------
    store : Store
        Where the inputs stand as they were printed.
    analysis : Analysis
        What was computed.
    frame : DataFrame
        Its rows.
    way : Recomputation
        What came out, and differs from the print.

    Returns
    -------
    str
        The range that the inputs' own rounding allows, if it can give every printed number; otherwise nothing.
    """
    sources = row_effects(frame, analysis.method)["es_source"].tolist()
    cells = [
        (i, column)
        for i, source in enumerate(sources)
        for column in ROUNDED_CELLS.get(source, ())
        if not np.isnan(frame[column].iloc[i])
    ]
    if not cells or not way.checks:
        return ""
    inputs = np.array([frame[column].iloc[i] for i, column in cells], dtype=np.float64)
    half_steps = _half_steps(store, frame, cells)
    printed = [one for check in way.checks if (one := read_printed(check.printed)) is not None]

    def compute(changed: FloatArray) -> FloatArray:
        moved = frame.copy()
        for column in {column for _, column in cells}:
            chosen = [j for j, cell in enumerate(cells) if cell[1] == column]
            values = moved[column].to_numpy(np.float64, copy=True)
            values[[cells[j][0] for j in chosen]] = changed[chosen]
            moved[column] = values
        try:
            fit = pool_effects(effects_of(moved, analysis.method), analysis.method)
        except MetapeerError:  # inputs that cannot be, such as an interval turned inside out
            fit = None
        if fit is None:
            return np.full(len(printed) + 1, np.nan)
        numbers = _numbers(fit, analysis.method, analysis.sign)
        found = [_as_printed(numbers, check.quantity, one) for check, one in zip(way.checks, printed, strict=True)]
        return np.array([*found, numbers["es"]])

    if find_inputs(lambda changed: compute(changed)[:-1], inputs, half_steps, printed) is None:
        return ""
    low, high = reachable_range(compute, inputs, half_steps)
    return (
        "unrounded inputs that round to those printed give every published digit; over all such inputs the estimate "
        f"ranges from {format_number(low[-1], 4)} to {format_number(high[-1], 4)}"
    )


def _half_steps(store: Store, frame: pd.DataFrame, cells: list[tuple[int, str]]) -> FloatArray:
    """Half a unit of the last digit of each cell, as it stands in its file."""
    texts = {name: store.review(name).outcomes_text.set_index("row_id") for name in set(frame["dataset"].tolist())}
    steps = []
    for i, column in cells:
        printed = read_printed(str(texts[frame["dataset"].iloc[i]].loc[frame["row_id"].iloc[i], column]))
        steps.append(0.0 if printed is None else printed.half_step)
    return np.array(steps)


def explain_difference(
    frame: pd.DataFrame, analysis: Analysis, published: Mapping[str, str], way: Recomputation
) -> str:
    """Say which numbers differ, and which single row, left out or with its sign turned, makes them all come out.

    Parameters
    ----------
    frame : DataFrame
        The rows of the analysis.
    analysis : Analysis
        What was computed.
    published : mapping of str to str
        The row of published.csv.
    way : Recomputation
        What came out.

    Returns
    -------
    str
        In words.
    """
    parts = [check.difference() for check in way.checks if not check.agrees]
    n, participants = read_printed(published.get("n", "")), way.result.participants
    if n is not None and way.result.participants_known == way.result.trials and not n.agrees(participants or 0):
        parts.append(f"participants: {n.text} in print, {participants} in the rows")
    effects = effects_of(frame, analysis.method).reset_index(drop=True)
    used = np.flatnonzero((effects["exclusion_reason"] == "").to_numpy()).tolist()
    k_fits = all(check.agrees for check in way.checks if check.quantity == "k")
    for i in used:
        turned = effects.assign(yi=np.where(effects.index == i, -effects["yi"], effects["yi"]))
        changed = {"turning the sign of": turned} if k_fits else {}
        if not k_fits or not published.get("k"):
            changed["leaving out"] = effects.drop(index=i)
        for what, rows in changed.items():
            fit = pool_effects(rows, analysis.method)
            if fit is not None and compare(fit, published, analysis.method, sign=analysis.sign).agrees:
                row_id = effects["row_id"].iloc[i]
                parts.append(f"{what} {effects['study_id'].iloc[i]} ({row_id}) gives every printed digit")
    return "; ".join(parts)
