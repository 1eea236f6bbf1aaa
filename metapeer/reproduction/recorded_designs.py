"""Trials whose participants were not randomised one by one: adjusted by the design that is recorded of them."""

import warnings

import pandas as pd

from metapeer.effects.designs import LOG, adjust_unit_of_analysis
from metapeer.errors import DataWarning

__all__ = ["adjust_by_design", "design_notes"]

PLAIN = ("", "parallel")
NEEDED = ("mean_cluster_size", "icc")
CROSSOVER = (
    "crossover trial, pooled as it stands: what correlates a person's two scores is not recorded, so that a standard "
    "error that was not paired in the source is not paired here"
)


def adjust_by_design(frame: pd.DataFrame) -> pd.DataFrame:
    """Adjust the rows of cluster trials whose mean cluster size and intracluster correlation are recorded.

    Nothing is assumed. A cluster trial that lacks either, and a crossover trial, stay as they are, with a doubt.

    Parameters
    ----------
    frame : DataFrame
        Rows joined with their trials: columns ``design``, ``mean_cluster_size`` and ``icc``, where there are such.

    Returns
    -------
    DataFrame
        The same rows in their order, adjusted by `adjust_unit_of_analysis`, with what was done to each in the column
        ``unit_of_analysis``; `frame` itself when every trial randomised people one by one, as far as is recorded.

    Raises
    ------
    DataError
        If a design is unknown, or a recorded number is impossible.

    References
    ----------
    Cochrane Handbook 6.5, section 23.1.

    Examples
    --------
    >>> rows = pd.DataFrame({"study_id": ["a", "b"], "design": ["cluster", "cluster"], "mean_cluster_size": [11, 11],
    ...                      "icc": [0.1, None], "n1": [60, 60], "mean1": [5.0, 5.0], "sd1": [2.0, 2.0],
    ...                      "n2": [60, 60], "mean2": [4.0, 4.0], "sd2": [2.0, 2.0]})
    >>> adjust_by_design(rows)["n1"].tolist()
    [30.0, 60.0]
    """
    if "design" not in frame:
        return frame
    designs = [_text(cell) for cell in frame["design"].tolist()]
    if all(design in PLAIN for design in designs) or LOG in frame:
        return frame
    lacking = [
        [name for name, cell in zip(NEEDED, cells, strict=True) if not _text(cell)]
        for cells in zip(*(_cells(frame, name) for name in NEEDED), strict=True)
    ]
    doubts = [_doubt(design, missing) for design, missing in zip(designs, lacking, strict=True)]
    known = ["" if doubt else design for design, doubt in zip(designs, doubts, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # every doubt stands in the column, too
        adjusted = adjust_unit_of_analysis(frame.assign(design=known))
    adjusted.index = frame.index
    logs = [done or doubt for done, doubt in zip(adjusted[LOG].tolist(), doubts, strict=True)]
    adjusted = adjusted.assign(design=designs, **{LOG: logs})
    adjusted.attrs.clear()
    adjusted.attrs.update(frame.attrs)
    return adjusted


def design_notes(effects: pd.DataFrame) -> tuple[str, ...]:
    """Say of each trial that is pooled what its design called for.

    Parameters
    ----------
    effects : DataFrame
        Rows from `adjust_by_design` with their effects.

    Returns
    -------
    tuple of str
        One sentence for each trial, with its name; none where every trial is plain.
    """
    if LOG not in effects:
        return ()
    used = [not _text(cell) for cell in _cells(effects, "exclusion_reason")]
    names, logs = effects["study_id"].tolist(), effects[LOG].tolist()
    told = [f"{name}: {log}" for name, log, pooled in zip(names, logs, used, strict=True) if pooled and _text(log)]
    return tuple(dict.fromkeys(told))


def _doubt(design: str, lacking: list[str]) -> str:
    if design == "crossover":
        return CROSSOVER
    if design == "cluster" and lacking:
        verb = "is" if len(lacking) == 1 else "are"
        return (
            f"cluster trial, not adjusted: {' and '.join(lacking)} {verb} not recorded; unless the source itself "
            "allowed for the clusters, its standard error is too small"
        )
    return ""


def _cells(frame: pd.DataFrame, name: str) -> list[object]:
    return list(frame[name].tolist()) if name in frame else [""] * len(frame)


def _text(cell: object) -> str:
    return "" if cell is None or cell is pd.NA or cell != cell else str(cell).strip()  # noqa: PLR0124 - NaN differs
