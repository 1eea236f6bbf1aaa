"""The rows of a forest plot, made from results: what each study brought, its weight, and what they amount to."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from metapeer.effects.measures import ARMS, EVENTS, GROUP_EVENTS, GROUP_RATE, RATES, Measure
from metapeer.errors import ChoiceError, MetapeerError
from metapeer.formatting import count, format_interval, format_level, format_number, format_p
from metapeer.plots.forest import forest_plot
from metapeer.pooling.displays_bias import OVERALL, domain_columns
from metapeer.pooling.results import MetaAnalysisResult, measure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from metapeer.pooling.subgroups import SubgroupAnalysisResult

__all__ = ["ARM_NAMES", "draw_forest", "draw_subgroups", "favours_words", "forest_table", "judged_rows"]

_WORDS = {"random": "Random-effects model", "common": "Common-effect model"}
ARM_NAMES = ("Peer support", "Comparison")
Row = dict[str, Any]


def _number(value: object) -> str:
    """Write a number of an arm with two decimals, or two digits when it is small, and no zeros at its end."""
    number = pd.to_numeric(value, errors="coerce")  # type: ignore[call-overload]
    if pd.isna(number):
        return ""
    text = f"{number:.2f}" if abs(number) >= 0.1 or number == 0 else f"{number:.2g}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _arm_columns(studies: pd.DataFrame, names: tuple[str, str]) -> tuple[pd.DataFrame, dict[str, tuple[str, str]]]:
    """Text columns of the arms or the group: n, mean and SD, or events and total, as far as the studies have them."""
    arms = dict(enumerate(names, start=1))
    text = pd.DataFrame(index=studies.index)
    left: dict[str, tuple[str, str]] = {}
    if set(ARMS) <= set(studies.columns) and studies[list(ARMS)].notna().all(axis=1).any():
        for arm, heading in arms.items():
            for quantity, header in (("n", "n"), ("mean", "Mean"), ("sd", "SD")):
                name = f"text_{quantity}{arm}"
                text[name] = [_number(value) for value in studies[f"{quantity}{arm}"]]
                left[name] = (heading, header)
    for columns, size in ((EVENTS, "total"), (RATES, "time")):
        if set(columns) <= set(studies.columns) and studies[list(columns)].notna().all(axis=1).any():
            for arm, heading in arms.items():
                text[f"text_{size}{arm}"] = _of(studies[f"events{arm}"], studies[f"{size}{arm}"])
                left[f"text_{size}{arm}"] = (heading, f"Events/{size}")
    for group, size in ((GROUP_EVENTS, "total"), (GROUP_RATE, "time")):
        if set(group) <= set(studies.columns) and studies[list(group)].notna().all(axis=1).any():
            text[f"text_{size}0"] = _of(studies["events"], studies[size])
            left[f"text_{size}0"] = ("", f"Events/{size}")
    return text, {key: left[key] for key in sorted(left, key=lambda key: key[-1])}


def _of(events: pd.Series, size: pd.Series) -> list[str]:
    """Events of how many, where both are there."""
    pairs = [(_number(e), _number(n)) for e, n in zip(events, size, strict=True)]
    return [f"{e}/{n}" if e and n else "" for e, n in pairs]


def _heterogeneity(fit: MetaAnalysisResult) -> str:
    if fit.k < 2:
        return ""
    p = format_p(fit.Q_p)
    q = f"Q = {fit.Q:.2f}, df = {fit.Q_df}, p {p if p.startswith('<') else f'= {p}'}"
    if fit.model == "common":
        return f"Heterogeneity: {q}; I² (from Q) = {format_number(fit.I2_Q, 0)}%"
    return (
        f"Heterogeneity: τ² = {format_number(fit.tau2, 4)} ({fit.tau2_method}), I² (from τ²) = "
        f"{format_number(fit.I2, 0)}%; {q}"
    )


def _drawn(measure: Measure, value: float, variance: float) -> float:
    """Place a value on the axis: `forest_plot` makes ratios of logarithms itself, other scales are undone here."""
    return value if measure.scale == "log" else measure.display(value, variance)


def _pooled_rows(fit: MetaAnalysisResult, label: str, weight: float) -> list[Row]:
    measure = measure_of(fit.measure)

    def drawn(value: float) -> float:
        return _drawn(measure, value, fit.se**2)

    rows: list[Row] = [
        {
            "kind": "summary",
            "label": label,
            "estimate": drawn(fit.estimate),
            "ci_low": drawn(fit.ci.low),
            "ci_high": drawn(fit.ci.high),
            "weight": weight,
        }
    ]
    if fit.prediction_interval is not None:
        low, high = fit.prediction_interval
        shown = format_interval(measure.display(low, fit.se**2), measure.display(high, fit.se**2))
        rows.append(
            {
                "kind": "prediction",
                "label": f"{format_level(fit.level)} prediction interval",
                "ci_low": drawn(low),
                "ci_high": drawn(high),
                "effect": f"({shown})",
            }
        )
    text = _heterogeneity(fit)
    return [*rows, {"kind": "text", "label": text}] if text else rows


def _study_rows(fit: MetaAnalysisResult, arms: tuple[str, str]) -> tuple[list[Row], dict[str, tuple[str, str]]]:
    studies = fit.studies()
    text, left = _arm_columns(studies, arms)
    measure = measure_of(fit.measure)
    rows: list[Row] = [
        {
            "kind": "study",
            "label": studies["label"].iloc[i],
            **{
                name: _drawn(measure, studies[column].iloc[i], float(fit.vi[i]))
                for name, column in (("estimate", "yi"), ("ci_low", "ci_low"), ("ci_high", "ci_high"))
            },
            "weight": studies["weight"].iloc[i],
            **{str(column): text[column].iloc[i] for column in text},
        }
        for i in range(fit.k)
    ]
    return rows, left


def _frame(rows: list[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    for column in frame.columns:
        if column in ("estimate", "ci_low", "ci_high", "weight"):
            frame[column] = frame[column].astype("float64")
        else:
            frame[column] = frame[column].fillna("").astype(str)
    return frame


def forest_table(fit: MetaAnalysisResult) -> pd.DataFrame:
    """Lay out the rows of a forest plot.

    Parameters
    ----------
    fit : MetaAnalysisResult
        What is to be drawn.

    Returns
    -------
    DataFrame
        As `forest_plot` takes it.

    Examples
    --------
    >>> from metapeer import meta_analysis
    >>> fit = meta_analysis(yi=[0.1, 0.3, 0.35], vi=[0.03, 0.03, 0.05], labels=["a", "b", "c"])
    >>> list(forest_table(fit)["kind"])
    ['study', 'study', 'study', 'summary', 'prediction', 'text']
    """
    rows, _ = _study_rows(fit, ARM_NAMES)
    return _frame([*rows, *_pooled_rows(fit, _WORDS[fit.model], 100.0)])


def favours_words(positive_favours: str, arms: tuple[str, str]) -> tuple[str, str] | None:
    """Write what stands on either side of no effect.

    Parameters
    ----------
    positive_favours : str
        As in `MetaAnalysisResult`.
    arms : tuple of str
        Names of arm 1 and arm 2.

    Returns
    -------
    tuple of str or None
        For the left and the right of no effect; None where nobody knows.
    """
    one, two = (f"Favours {name[:1].lower()}{name[1:]}" for name in arms)
    return {"arm1": (two, one), "arm2": (one, two)}.get(positive_favours)


def _lines(fit: MetaAnalysisResult) -> Row:
    """Lines of no effect and of the pooled effect; the latter stands alone where no value means no effect."""
    measure = measure_of(fit.measure)
    pooled = None if math.isnan(fit.estimate) else _drawn(measure, fit.estimate, fit.se**2)
    if not measure.has_null and pooled is not None:
        return {"null_value": pooled, "reference": None}
    return {"reference": pooled}


def _draw(
    fit: MetaAnalysisResult,
    rows: list[Row],
    left: dict[str, tuple[str, str]],
    *,
    arms: tuple[str, str],
    ax: "Axes | None",
    options: Row,
) -> "Figure":
    measure = measure_of(fit.measure)
    label = measure.name[0].upper() + measure.name[1:]
    frame = _frame(rows)
    has_effect = "effect" in frame
    if has_effect:
        show = measure.display if measure.scale == "log" else float
        blank = frame["effect"] == ""
        shown = [
            f"{format_number(show(e))} ({format_interval(show(lo), show(hi))})" if kind in ("study", "summary") else ""
            for e, lo, hi, kind in zip(frame["estimate"], frame["ci_low"], frame["ci_high"], frame["kind"], strict=True)
        ]
        frame["effect"] = np.where(blank, shown, frame["effect"])
    if options.get("layout", "metapeer") != "metapeer" and has_effect:
        frame = frame.drop(columns="effect")  # the layout writes intervals its own way
    settings: Row = {
        "left": left or None,
        "axis_label": label,
        "log_scale": measure.scale == "log",
        "favours": favours_words(fit.positive_favours, arms),
        **_lines(fit),
        "level": fit.level,
        "notes": [f"Pooled interval: {fit.ci.method}. Study intervals: normal."],
        **options,
    }
    return forest_plot(frame, ax=ax, **settings)


Also = Mapping[str, MetaAnalysisResult] | Sequence[MetaAnalysisResult]


def _model_words(fit: MetaAnalysisResult, beside: MetaAnalysisResult) -> str:
    """Name a model by what was done: its estimator, its interval, and its studies where there are others."""
    how = ", ".join(part for part in (fit.tau2_method, fit.ci.method) if part)
    studies = "" if fit.k == beside.k else f", {count(fit.k, 'effect')}"
    return f"{_WORDS[fit.model]} ({how}{studies})"


def _also_rows(fit: MetaAnalysisResult, also: Also) -> list[Row]:
    """A diamond for each further model, without weights: these belong to the first."""
    if not isinstance(also, Mapping | Sequence):
        raise ChoiceError("also must hold results of meta_analysis, in a list or by name")
    named = dict(also) if isinstance(also, Mapping) else None
    others = list(also.values()) if isinstance(also, Mapping) else list(also)
    if not all(isinstance(other, MetaAnalysisResult) for other in others):
        raise ChoiceError("also must hold results of meta_analysis, in a list or by name")
    different = sorted({other.measure for other in others if other.measure != fit.measure})
    if different:
        raise MetapeerError(f"{fit.measure} and {' and '.join(different)} cannot share an axis")
    names = [_model_words(other, fit) for other in others] if named is None else [str(name) for name in named]
    rows = []
    for name, other in zip(names, others, strict=True):
        summary, *rest = _pooled_rows(other, name, math.nan)
        rows += [summary, *(row for row in rest if row["kind"] == "prediction")]
    return rows


def _judged(studies: pd.DataFrame, rows: list[Row]) -> tuple[list[Row], Row]:
    """Bring the judgements of risk of bias into the rows of the studies, and say how they are drawn."""
    domains = domain_columns(studies)
    if not domains:
        raise MetapeerError("no study has a judgement in rob_d1, rob_d2, ... or rob_overall")
    filled = [
        {**row, **{column: studies[column].iloc[i] for column in domains}} if i < len(studies) else row
        for i, row in enumerate(rows)
    ]
    heads = {column: "All" if column == OVERALL else f"D{column.removeprefix('rob_d')}" for column in domains}
    told = "; ".join(f"{heads[column]}: {name.lower()}" for column, name in domains.items())
    return filled, {"judgements": heads, "told": f"Risk of bias (RoB 2). {told}."}


def judged_rows(
    fit: MetaAnalysisResult, rows: pd.DataFrame, places: Sequence[Sequence[int]]
) -> tuple[pd.DataFrame, dict[str, str], str]:
    """Bring the judgements of risk of bias of studies into rows that each stand for one or several of them.

    Parameters
    ----------
    fit : MetaAnalysisResult
        Whose studies they are.
    rows : DataFrame
        Rows of a forest plot.
    places : sequence of sequence of int
        For each row, which studies it stands for; where they were judged differently, a cell stays empty.

    Returns
    -------
    tuple of (DataFrame, dict of str to str, str)
        The rows with their columns of judgements, the heads of these, and a note that tells what they are.

    Raises
    ------
    MetapeerError
        If no study has a judgement.
    """
    filled, drawn = _judged(fit.studies(), [{} for _ in range(len(fit.studies()))])
    cells: dict[str, list[str]] = {column: [] for column in drawn["judgements"]}
    for column, into in cells.items():
        for place in places:
            judged = {"" if pd.isna(filled[i][column]) else str(filled[i][column]) for i in place}
            into.append(judged.pop() if len(judged) == 1 else "")
    return rows.join(pd.DataFrame(cells, index=rows.index)), drawn["judgements"], drawn["told"]


def draw_forest(
    fit: MetaAnalysisResult,
    *,
    arms: tuple[str, str] = ARM_NAMES,
    also: Also = (),
    risk_of_bias: bool = False,
    ax: "Axes | None" = None,
    **options: Any,
) -> "Figure":
    """Draw the forest plot of a meta-analysis.

    Parameters
    ----------
    fit : MetaAnalysisResult
        What is to be drawn.
    arms : tuple of str
        Names of arm 1 and arm 2, for the headings and for what the axis favours.
    also : sequence of MetaAnalysisResult, or mapping of str to MetaAnalysisResult
        Further models at the foot, such as the common effect, another estimator, or the same without suspicious rows.
        Without names, each is called by what was done.
    risk_of_bias : bool, default False
        Whether the columns ``rob_d1``, ``rob_d2``, ... and ``rob_overall`` of the studies are drawn as signs.
    ax : Axes, optional
        Where to draw.
    **options
        Passed to `forest_plot`; they override what is chosen here.

    Returns
    -------
    Figure
        The figure drawn on.
    """
    rows, left = _study_rows(fit, arms)
    if risk_of_bias:
        rows, options = _with_signs(fit, rows, options)
    if also:
        further = _also_rows(fit, also)
        options = {**options, "notes": [*_notes(fit, options), "Weights are those of the first model."]}
        name = _model_words(fit, fit)
    else:
        further, name = [], _WORDS[fit.model]
    pooled = _pooled_rows(fit, name, 100.0)
    return _draw(fit, [*rows, *pooled, *further], left, arms=arms, ax=ax, options=options)


def _notes(fit: MetaAnalysisResult, options: Row) -> list[str]:
    """The caller's notes, or those that a forest plot has of itself."""
    given = options.get("notes")
    if given is not None:
        return [given] if isinstance(given, str) else list(given)
    return [f"Pooled interval: {fit.ci.method}. Study intervals: normal."]


def _with_signs(fit: MetaAnalysisResult, rows: list[Row], options: Row) -> tuple[list[Row], Row]:
    filled, drawn = _judged(fit.studies(), rows)
    told = drawn.pop("told")
    return filled, {**drawn, **options, "notes": [told, *_notes(fit, options)]}


def draw_subgroups(
    found: "SubgroupAnalysisResult",
    *,
    arms: tuple[str, str] = ARM_NAMES,
    risk_of_bias: bool = False,
    ax: "Axes | None" = None,
    **options: Any,
) -> "Figure":
    """Draw the forest plot of a subgroup analysis.

    Parameters
    ----------
    found : SubgroupAnalysisResult
        What is to be drawn.
    arms : tuple of str
        Names of arm 1 and arm 2, for the headings and for what the axis favours.
    risk_of_bias : bool, default False
        Whether the columns ``rob_d1``, ``rob_d2``, ... and ``rob_overall`` of the studies are drawn as signs.
    ax : Axes, optional
        Where to draw.
    **options
        Passed to `forest_plot`; they override what is chosen here.

    Returns
    -------
    Figure
        The figure drawn on. Weights are those of the overall analysis.
    """
    overall = found.overall
    groups = overall.studies()[list(found.by)].astype(str).agg(" / ".join, axis=1).tolist()
    studies, left = _study_rows(overall, arms)
    if risk_of_bias:
        studies, options = _with_signs(overall, studies, options)
    rows: list[Row] = []
    for level, fit in zip(found.levels, found.results, strict=True):
        members = [row for row, group in zip(studies, groups, strict=True) if group == level]
        rows += [{"kind": "heading", "label": level}, *members]
        rows += _pooled_rows(fit, "Subgroup", sum(row["weight"] for row in members))
        rows.append({"kind": "blank", "label": ""})
    rows += _pooled_rows(overall, f"All studies: {_WORDS[overall.model].lower()}", 100.0)
    if found.test:
        rows.append({"kind": "text", "label": found.test_words()})
    return _draw(overall, rows, left, arms=arms, ax=ax, options=options)
