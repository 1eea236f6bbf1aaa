"""Where everything stands in the forest and funnel plots of a page, for all variants at once; a template draws it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metapeer.formatting import format_interval, format_level, format_number, format_p
from metapeer.plots.ticks import tick_text, ticks_within
from metapeer.pooling.intervals import normal_quantile
from metapeer.pooling.results import MetaAnalysisResult, measure_of
from metapeer.reporting.report_blocks import Choice, Forest, Funnel, Overview, Source

__all__ = ["draw_forest", "draw_funnel", "draw_overview"]

MARGIN = 4.0
"""Per cent of the width of a plot that stay free on either side, for the labels of the axis."""
LARGEST, SMALLEST = 13.0, 4.0
"""Sides of the squares, in pixels; their areas are as the weights."""
WIDTH, SIZE = 180.0, 9.0
"""Width of a plot and of its labels in points, for the choice of ticks; narrower ones are scaled by the page."""
FUNNEL = (420.0, 260.0, 44.0, 30.0)
"""Width, height, and the margins at the left and below, of a funnel plot in pixels."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Positions along a plot in per cent of its width, of effects on the scale of analysis."""

    low: float
    high: float
    code: str

    def drawn(self, value: float, variance: float = 0.0) -> float:
        """The coordinate of an effect: its logarithm for ratios, otherwise as displayed."""
        measure = measure_of(self.code)
        return value if measure.scale == "log" else measure.display(value, variance)

    def place(self, coordinate: float) -> float:
        share = (coordinate - self.low) / (self.high - self.low)
        return MARGIN + (100 - 2 * MARGIN) * min(max(share, 0.0), 1.0)

    def ticks(self) -> list[tuple[str, str, bool]]:
        """Place, text, and whether a narrow page leaves the text out: every other one, but never that of no effect."""
        ratio = measure_of(self.code).scale == "log"
        values = ticks_within(self.low, self.high, WIDTH, SIZE, ratio=ratio)
        texts = tick_text(values, common=not ratio)
        at = [math.log(value) if ratio else value for value in values]
        kept = min(range(len(at)), key=lambda place: abs(at[place]), default=0)
        return [
            (_pc(self.place(x)), text, len(at) > 3 and (place - kept) % 2 == 1)
            for place, (x, text) in enumerate(zip(at, texts, strict=True))
        ]

    @property
    def null(self) -> str:
        measure = measure_of(self.code)
        if not measure.has_null:
            return ""
        at = 0.0 if measure.scale == "log" else measure.null
        return _pc(self.place(at)) if self.low <= at <= self.high else ""


def _pc(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"


def _axis(code: str, middles: Sequence[float], ends: Sequence[tuple[float, float]]) -> _Axis:
    """An axis that shows every effect, and every interval unless it is far longer than the others."""
    measure = measure_of(code)
    centre = [value for value in middles if math.isfinite(value)]
    if measure.has_null:
        centre.append(0.0 if measure.scale == "log" else measure.null)
    finite = [(low, high) for low, high in ends if math.isfinite(low) and math.isfinite(high)]
    inner_low, inner_high = min(centre, default=0.0), max(centre, default=1.0)
    halves = [(high - low) / 2 for low, high in finite]
    room = max(0.8 * (inner_high - inner_low), 2.5 * float(np.median(halves)) if halves else 0.0)
    low = max(min((one for one, _ in finite), default=inner_low), inner_low - room)
    high = min(max((one for _, one in finite), default=inner_high), inner_high + room)
    low, high = min(low, inner_low), max(high, inner_high)
    if not high > low:
        low, high = low - 1.0, high + 1.0
    return _Axis(low, high, code)


def _interval(axis: _Axis, low: float, high: float) -> Row:
    """A line from one end to the other, with arrows where it leaves the plot."""
    if math.isnan(low) or math.isnan(high):
        return {"x1": "", "x2": "", "before": False, "beyond": False}
    return {
        "x1": _pc(axis.place(low)),
        "x2": _pc(axis.place(high)),
        "before": low < axis.low,
        "beyond": high > axis.high,
    }


def _grouped(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Values by variant, those that are equal together; an empty name where all are equal."""
    groups: list[tuple[list[str], Any]] = []
    for name, value in values.items():
        for names, known in groups:
            if known == value:
                names.append(name)
                break
        else:
            groups.append(([name], value))
    if len(groups) == 1:
        return [("", groups[0][1])]
    return [(" ".join(names), value) for names, value in groups]


def _number(value: float, digits: int = 2) -> tuple[str, str]:
    """A number with all its digits, and as it is shown."""
    return (repr(float(value)) if math.isfinite(value) else "", format_number(value, digits))


def _estimate(fit: MetaAnalysisResult) -> list[tuple[str, str]]:
    measure = measure_of(fit.measure)
    return [_number(measure.display(value, fit.se**2)) for value in (fit.estimate, *fit.ci)]


def _pooled_row(axis: _Axis, fit: MetaAnalysisResult, words: str) -> Row:
    """What is drawn and said of a pooled result."""
    ends = [axis.drawn(value, fit.se**2) for value in (fit.ci.low, fit.estimate, fit.ci.high)]
    low, middle, high = sorted(ends) if not any(map(math.isnan, ends)) else ends
    measure = measure_of(fit.measure)
    row: Row = {"numbers": _estimate(fit), "words": words, "how": fit.ci.method, "k": str(fit.k)}
    row["diamond"] = None
    if not math.isnan(low):
        left, right = axis.place(low), axis.place(high)
        width = max(right - left, 0.4)
        tip = 50.0 if right <= left else 100 * (axis.place(middle) - left) / (right - left)
        row["diamond"] = {"x": _pc(left), "width": _pc(width), "tip": f"{tip:.1f}"}
    else:
        row["mark"] = _pc(axis.place(middle))
    row["prediction"] = None
    if fit.prediction_interval is not None:
        pi = [measure.display(end, fit.se**2) for end in fit.prediction_interval]
        shown = sorted(axis.drawn(end, fit.se**2) for end in fit.prediction_interval)
        row["prediction"] = {"line": _interval(axis, *shown), "numbers": [_number(end) for end in pi]}
    test = "" if math.isnan(fit.p_value) or not measure.has_null else format_p(fit.p_value)
    row["p"] = test
    row["heterogeneity"] = ""
    if fit.k > 1:
        tau2 = f"tau² {format_number(fit.tau2, 4)}; " if fit.model == "random" else ""
        row["heterogeneity"] = (
            f"{tau2}I² {_share(fit.I2 if fit.model == 'random' else fit.I2_Q)}; "
            f"Q {format_number(fit.Q)}, {fit.Q_df} df, p {format_p(fit.Q_p)}"
        )
    return row


def _share(value: float) -> str:
    return "NA" if math.isnan(value) else f"{format_number(value, 0)}%"


def _studies(fit: MetaAnalysisResult, axis: _Axis) -> list[Row]:
    """Each study without its weight."""
    half = normal_quantile(fit.level)
    measure = measure_of(fit.measure)
    rows = []
    for yi, vi in zip(fit.yi.tolist(), fit.vi.tolist(), strict=True):
        sei = math.sqrt(vi)
        low, high = sorted((axis.drawn(yi - half * sei, vi), axis.drawn(yi + half * sei, vi)))
        rows.append(
            {
                "line": _interval(axis, low, high),
                "x": _pc(axis.place(axis.drawn(yi, vi))),
                "numbers": [_number(measure.display(value, vi)) for value in (yi, yi - half * sei, yi + half * sei)],
            }
        )
    return rows


def _side(weight: float, largest: float) -> str:
    share = math.sqrt(max(weight, 0.0) / largest) if largest > 0 else 1.0
    return f"{SMALLEST + (LARGEST - SMALLEST) * share:.1f}"


def _weights(fits: Mapping[str, MetaAnalysisResult], row: int) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    texts = {name: f"{format_number(float(fit.weights[row]), 1)}%" for name, fit in fits.items()}
    sides = {name: _side(float(fit.weights[row]), float(fit.weights.max())) for name, fit in fits.items()}
    return _grouped(texts), _grouped(sides)


def _detail(fit: MetaAnalysisResult, row: int) -> tuple[str, str]:
    """The row's name, and the instrument and time that tell it from others."""
    if fit.data is None:
        return "", ""
    cells = fit.data.iloc[row]

    def text(name: str) -> str:
        value = cells.get(name)
        return value if isinstance(value, str) else ""

    label = fit.labels[row]
    parts = [part for part in (text("instrument"), text("timepoint").replace("_", " ")) if part and part not in label]
    return text("row_id"), ", ".join(parts)


def draw_forest(forest: Forest, rows: Sequence[Choice], methods: Sequence[Choice]) -> Row:
    """Lay out a forest plot.

    Parameters
    ----------
    forest : Forest
        What is drawn.
    rows, methods : sequence of Choice
        The variants of the page.

    Returns
    -------
    dict
        For the template: the axis, one body of studies for each set of rows, and the pooled results.
    """
    pooled = forest.pooled
    fits = list(pooled.fits.values())
    shape = _Axis(0.0, 1.0, pooled.fit.measure)
    middles: list[float] = []
    ends: list[tuple[float, float]] = []
    for fit in fits:
        half = normal_quantile(fit.level) * np.sqrt(fit.vi)
        middles += [shape.drawn(fit.estimate, fit.se**2)]
        middles += [shape.drawn(y, v) for y, v in zip(fit.yi.tolist(), fit.vi.tolist(), strict=True)]
        for low, high, v in zip((fit.yi - half).tolist(), (fit.yi + half).tolist(), fit.vi.tolist(), strict=True):
            ends.append((shape.drawn(low, v), shape.drawn(high, v)))
        ends.append(tuple(sorted(shape.drawn(end, fit.se**2) for end in fit.ci)))  # type: ignore[arg-type]
    axis = _axis(pooled.fit.measure, middles, ends)
    bodies: list[Row] = []
    known: dict[tuple[Any, ...], Row] = {}
    for number, choice in enumerate(rows):
        here = {
            str(place): pooled.fits[choice.code, method.code]
            for place, method in enumerate(methods)
            if (choice.code, method.code) in pooled.fits
        }
        if not here:
            bodies.append({"on": [number], "studies": [], "pooled": [("", None)]})
            continue
        first = next(iter(here.values()))
        same = (first.labels, first.yi.tobytes(), first.vi.tobytes())
        if same in known:
            known[same]["on"].append(number)
            continue
        studies = _studies(first, axis)
        for place, study in enumerate(studies):
            row_id, detail = _detail(first, place)
            names = [name for name in row_id.split("; ") if name]
            anchor, source = forest.rows.get(names[0], ("", Source())) if names else ("", Source())
            study |= {"label": first.labels[place], "detail": detail, "anchor": anchor, "source": source.words()}
            study["weights"], study["sides"] = _weights(here, place)
        found = {
            name: _pooled_row(axis, fit, methods[int(name)].words.replace(" (as planned)", ""))
            for name, fit in here.items()
        }
        known[same] = {"on": [number], "studies": studies, "pooled": _grouped(found)}
        bodies.append(known[same])
    for body in bodies:
        body["on"] = "" if len(body["on"]) == len(rows) else " ".join(map(str, body["on"]))
    fit = pooled.fit
    measure = measure_of(fit.measure)
    low, high = (measure.display(end, fit.se**2) for end in fit.ci)
    return {
        "key": f"forest-{pooled.key}",
        "title": pooled.title,
        "measure": fit.measure or "Effect",
        "level": format_level(fit.level),
        "caption": _caption(fit),
        "ticks": axis.ticks(),
        "null": axis.null,
        "bodies": bodies,
        "description": (
            f"{fit.k} effects on an axis of {measure.name}; pooled "
            f"{format_number(measure.display(fit.estimate, fit.se**2))} "
            f"({format_interval(low, high)}). "
            "Every number stands in the table around it."
        ),
    }


def _caption(fit: MetaAnalysisResult) -> str:
    measure = measure_of(fit.measure)
    words = f"{measure.name[0].upper()}{measure.name[1:]}"
    if measure.has_null and fit.positive_favours:
        better = "peer support" if fit.positive_favours == "arm1" else "the comparison"
        words += f"; right of {measure.null:g} favours {better}"
    return words


def draw_overview(overview: Overview, rows: Sequence[Choice], methods: Sequence[Choice]) -> Row:
    """Lay out a forest plot of pooled results.

    Parameters
    ----------
    overview : Overview
        What is drawn.
    rows, methods : sequence of Choice
        The variants of the page.

    Returns
    -------
    dict
        For the template.
    """
    code = overview.pooled[0].fit.measure
    shape = _Axis(0.0, 1.0, code)
    fits = [fit for one in overview.pooled for fit in one.fits.values()]
    middles = [shape.drawn(fit.estimate, fit.se**2) for fit in fits]
    ends = [tuple(sorted(shape.drawn(end, fit.se**2) for end in fit.ci)) for fit in fits]
    axis = _axis(code, middles, ends)  # type: ignore[arg-type]
    lines = []
    for one in overview.pooled:
        found: dict[str, Row | None] = {}
        for row_place, row_choice in enumerate(rows):
            for place, method in enumerate(methods):
                fit = one.fits.get((row_choice.code, method.code))
                found[f"{row_place}-{place}"] = None if fit is None else _overview_row(axis, fit)
        lines.append({"title": one.title, "key": one.key, "variants": _grouped(found)})
    fit = overview.pooled[0].fit
    return {
        "key": overview.key,
        "title": overview.title,
        "measure": code or "Effect",
        "level": format_level(fit.level),
        "caption": _caption(fit),
        "ticks": axis.ticks(),
        "null": axis.null,
        "lines": lines,
        "description": f"{len(lines)} pooled results on one axis. Every number stands in the table around it.",
    }


def _overview_row(axis: _Axis, fit: MetaAnalysisResult) -> Row:
    low, high = sorted(axis.drawn(end, fit.se**2) for end in fit.ci)
    row = _pooled_row(axis, fit, "")
    row |= {
        "line": _interval(axis, low, high),
        "x": _pc(axis.place(axis.drawn(fit.estimate, fit.se**2))),
        "trials": str(fit.trials),
        "participants": "" if fit.participants is None else f"{fit.participants:,}" + _plus(fit),
        "I2": _share(fit.I2 if fit.model == "random" else fit.I2_Q) if fit.k > 1 else "",
    }
    return row


def _plus(fit: MetaAnalysisResult) -> str:
    return "+" if fit.participants_known < fit.trials else ""


def draw_funnel(funnel: Funnel) -> Row:
    """Lay out a funnel plot: effects against standard errors, with the lines between which chance alone puts 95%.

    Parameters
    ----------
    funnel : Funnel
        What is drawn.

    Returns
    -------
    dict
        For the template, in pixels.
    """
    fit = funnel.pooled.fit
    width, height, left, below = FUNNEL
    sei = np.sqrt(fit.vi)
    top = float(sei.max()) * 1.08
    reach = normal_quantile(0.95) * top
    measure = measure_of(fit.measure)
    low = min(float(fit.yi.min()), fit.estimate - reach)
    high = max(float(fit.yi.max()), fit.estimate + reach)
    pad = 0.04 * (high - low)
    low, high = low - pad, high + pad

    def x(value: float) -> str:
        return f"{left + (width - left - 10) * (value - low) / (high - low):.1f}"

    def y(value: float) -> str:
        return f"{8 + (height - below - 8) * value / top:.1f}"

    ratio = measure.scale == "log"
    if ratio or measure.scale == "identity":
        values = ticks_within(low, high, 0.75 * (width - left), SIZE, ratio=ratio)
        labels = list(
            zip([math.log(v) if ratio else v for v in values], tick_text(values, common=not ratio), strict=True)
        )
    else:
        values = ticks_within(low, high, 0.75 * (width - left), SIZE)
        labels = list(zip(values, [format_number(measure.display(v)) for v in values], strict=True))
    depths = ticks_within(0.0, top, 0.75 * (height - below), 4 * SIZE)
    return {
        "key": f"funnel-{funnel.pooled.key}",
        "title": funnel.pooled.title,
        "width": f"{width:g}",
        "height": f"{height:g}",
        "bottom": f"{height - below:g}",
        "left": f"{left:g}",
        "right": f"{width - 10:g}",
        "points": [(x(a), y(b), name) for a, b, name in zip(fit.yi.tolist(), sei.tolist(), fit.labels, strict=True)],
        "centre": x(fit.estimate),
        "cone": f"{x(fit.estimate - reach)},{y(top)} {x(fit.estimate)},{y(0)} {x(fit.estimate + reach)},{y(top)}",
        "across": [(x(value), text) for value, text in labels],
        "down": [(y(value), text) for value, text in zip(depths, tick_text(depths), strict=True)],
        "label": measure.name,
        "description": (
            f"{fit.k} effects against their standard errors; the most precise stand at the top. Dashed lines: where "
            f"95% would lie around the pooled effect of {format_number(measure.display(fit.estimate, fit.se**2))} if "
            "there were no heterogeneity and no small-study effect."
        ),
    }
