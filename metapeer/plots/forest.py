"""The forest plot: a table of studies, diamonds and notes in, a figure made to measure out.

Everything stands in one Axes. Across, its middle (the panel) is the effect's own scale, and the text columns stand
beside the panel in axes coordinates; down, one unit is one point of an undiminished layout. Columns are as wide as
their text, rows as high as theirs, and the figure is the sum. Given an Axes of fixed size, the same layout is made
to fit it: first long labels break earlier, then the whole shrinks.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeGuard

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.transforms import blended_transform_factory

from metapeer.errors import ChoiceError, DataError, Fault
from metapeer.formatting import format_level
from metapeer.plots.style import (
    FAMILY,
    INK,
    POOLED,
    PREDICTED,
    QUIET,
    RULE,
    STUDY,
    PlainText,
    align_numbers,
    clean_text,
    looks_numeric,
    number_text,
    root_figure,
    text_width,
    tick_text,
    ticks_within,
    true_minus,
    wrap_text,
)

__all__ = ["KINDS", "forest_plot"]

Kind = Literal["heading", "study", "summary", "prediction", "text", "blank"]
Header = str | tuple[str, str]

KINDS: tuple[Kind, ...] = ("heading", "study", "summary", "prediction", "text", "blank")
NUMBERS = ("estimate", "ci_low", "ci_high", "weight")
DRAWN = ("study", "summary", "prediction")

# Sizes in points, before any shrinking. Eight points is the type of tables in print; the rest follows from it.
SIZE, SMALL, TITLE = 8.0, 7.0, 9.5
LINE, SMALL_LINE, TITLE_LINE = 10.5, 9.0, 12.5
ROW_PAD, BLANK_ROW = 3.5, 7.0
MARGIN, GAP, PANEL_GAP, INDENT = 8.0, 13.0, 14.0, 9.0
PANEL, NARROWEST_PANEL = 200.0, 110.0
LABEL_LIMITS = (285.0, 210.0, 150.0, 110.0)  # about 60 characters, then narrower where the width is fixed
TEXT_ROW, CELL_LIMIT, HEADER_LIMIT, FAVOURS_LIMIT = 215.0, 150.0, 95.0, 130.0
LARGEST_SQUARE, SMALLEST_SQUARE = 9.0, 2.0  # sides
DIAMOND, CAP, ARROW = 4.2, 2.8, 4.5
FENCE = 1.5  # Tukey (1977), Exploratory Data Analysis, ch. 2
FARTHEST = 1e12  # beyond this, double precision no longer tells one end of an axis from the other
FARTHEST_LOG = 700.0  # exp(709) is the largest double


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    kind: Kind
    label: str
    estimate: float
    low: float
    high: float
    weight: float
    reason: str
    indented: bool
    cells: Mapping[str, str]

    @property
    def estimable(self) -> bool:
        if self.kind == "prediction":
            return not (math.isnan(self.low) or math.isnan(self.high))
        return math.isfinite(self.estimate)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A text column; `edge` is its left end, in points from the left of the sheet."""

    group: str
    header: list[str]
    cells: list[list[str]]
    to_right: bool
    width: float
    edge: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """The panel's axis in the table's units; `ticks` as printed, None if they are still to be chosen."""

    low: float
    high: float
    null: float
    reference: float | None
    log: bool
    ticks: tuple[float, ...] | None

    def share(self, value: float) -> float:
        """Say where `value` stands between the ends, from 0 to 1."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What is written around the table."""

    title: str
    axis_label: str
    favours: tuple[list[str], list[str]] | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """The layout across, in points: the label column first, the panel between `start` and `end`."""

    columns: list[_Column]
    text_width: float
    start: float
    end: float
    width: float

    def widened(self, width: float) -> "_Sheet":
        """Give the panel what is left of `width`."""
        more = width - self.width
        columns = [c if c.edge < self.start else replace(c, edge=c.edge + more) for c in self.columns]
        return replace(self, columns=columns, end=self.end + more, width=width)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Depths:
    """The layout down, in points from the top."""

    title: list[str]
    head: float
    body: float
    labels: list[list[str]]
    tops: list[float]
    axis: float
    axis_label: list[str]
    below_ticks: float
    favours: float
    notes: list[str]
    notes_top: float
    depth: float


def forest_plot(
    table: pd.DataFrame,
    *,
    left: Mapping[str, Header] | None = None,
    right: Mapping[str, Header] | None = None,
    axis_label: str = "",
    log_scale: bool = False,
    null_value: float = 0.0,
    favours: tuple[str, str] | None = None,
    reference: float | None = None,
    digits: int = 2,
    level: float = 0.95,
    title: str | None = None,
    notes: Sequence[str] = (),
    width: float | None = None,
    ax: Axes | None = None,
    x_limits: tuple[float, float] | None = None,
    ticks: Sequence[float] | None = None,
) -> Figure:
    """Draw a forest plot from a table.

    Squares have areas proportional to the weights (the largest square is 9 points wide; none is narrower than 2).
    A study that has an estimate but no weight, among others that have one, was not pooled: its square is hollow.

    The axis covers every interval, except that ends and estimates beyond Tukey's fences (lower quartile of the
    studies' lower limits minus 1.5 times the distance to the upper quartile of their upper limits, and likewise
    upwards) do not stretch it; an interval that is cut, or infinite, ends in an arrowhead. No effect, `reference`,
    `ticks` and the pooled estimates are always on it.

    Parameters
    ----------
    table : DataFrame
        One line per row of the plot, top to bottom. Columns `kind`, `label`, `estimate`, `ci_low`, `ci_high`, and if
        wanted `weight` (percent), `exclusion_reason` (why a study has no estimate) and any columns to print.
        `kind` is ``"heading"``, ``"study"``, ``"summary"`` (a diamond), ``"prediction"`` (a bar from `ci_low` to
        `ci_high`; its `estimate` is not used), ``"text"`` (small type) or ``"blank"``.
    left, right : mapping of column to header, optional
        Columns to print beside the panel. A header is a text, or a pair such as ``("Peer support", "n")`` whose
        first text spans its neighbours with the same one. ``"effect"`` (estimate and interval) and ``"weight"`` are
        made from the numbers, unless the table brings a column `effect`. ``"label"`` in `left` renames the first
        column. `right` is by default the effect and, where there are weights, the weight.
    axis_label : str
        Name of the effect measure, such as ``"Risk ratio"``.
    log_scale : bool, default False
        Whether the table's estimates are logarithms, to be read as ratios.
    null_value : float, default 0.0
        Where there is no effect, in the table's units (0 also for the logarithm of a ratio).
    favours : tuple of str, optional
        What to write under the axis to the left and to the right of no effect.
    reference : float, optional
        Where a dashed line stands, in the table's units: usually the pooled estimate.
    digits : int, default 2
        Decimals of the effects.
    level : float, default 0.95
        Of the intervals, for the default header.
    title : str, optional
        Stands above.
    notes : sequence of str
        Stand below, each on lines of its own.
    width : float, optional
        Of the figure, in inches; by default the sum of its columns and a panel of 2.8 inches.
    ax : Axes, optional
        Where to draw, within its box as it is now; by default a new Figure of the right size, unknown to pyplot.
    x_limits : tuple of float, optional
        Ends of the axis, as printed on it (ratios when `log_scale`).
    ticks : sequence of float, optional
        Ticks, as printed on the axis.

    Returns
    -------
    matplotlib.figure.Figure
        The figure drawn on; the plot is ``figure.axes[0]``, or `ax`.

    Raises
    ------
    DataError
        If the table cannot be drawn; every fault is listed.
    ChoiceError
        If an option makes no sense.

    References
    ----------
    Lewis & Clarke (2001), BMJ 322:1479-1480 (area of the squares).
    Riley, Higgins & Deeks (2011), BMJ 342:d549 (prediction interval below the diamond).

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({
    ...     "kind": ["study", "study", "summary"], "label": ["Trial A", "Trial B", "Random-effects model"],
    ...     "estimate": [0.10, 0.30, 0.22], "ci_low": [-0.20, 0.05, 0.02], "ci_high": [0.40, 0.55, 0.42],
    ...     "weight": [42.0, 58.0, 100.0],
    ... })
    >>> figure = forest_plot(table, axis_label="SMD", favours=("Favours usual care", "Favours peer support"))
    >>> "0.10 (−0.20 to 0.40)" in [text.get_text() for text in figure.axes[0].texts]
    True
    """
    remarks = (notes,) if isinstance(notes, str) else tuple(notes)
    _check_options(favours, digits, level, width, ax)
    left, right = _read_headers("left", left or {}), None if right is None else _read_headers("right", right)
    rows = _read_rows(table, [*left, *(right or {})], log_scale=log_scale)
    scale = _read_scale(rows, log_scale, null_value, reference, x_limits, ticks)
    if right is None:
        short = clean_text(axis_label) if text_width(clean_text(axis_label), SIZE) < HEADER_LIMIT else ""
        right = {"effect": f"{short or 'Effect'} ({format_level(level)} CI)"}
        if any(math.isfinite(row.weight) for row in rows):
            right["weight"] = "Weight"
    words = _Words(
        title=clean_text(title),
        axis_label=clean_text(axis_label),
        favours=_favour_lines(favours) if favours else None,
        notes=tuple(true_minus(clean_text(note)) for note in remarks if clean_text(note)),
    )
    room, height = _room(ax, width)
    sheet = _lay_out_across(rows, left, right, scale, words, digits, room)
    shrink = min(1.0, room / sheet.width)
    if math.isfinite(room):
        sheet = sheet.widened(room / shrink)
    depths = _lay_out_down(rows, sheet, words)
    if depths.depth * shrink > height:
        shrink = height / depths.depth
        sheet = sheet.widened(room / shrink)
    if ax is None:
        figure = Figure((sheet.width * shrink / 72, depths.depth * shrink / 72), facecolor="white")
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.patch.set_visible(False)
        height = depths.depth * shrink
    _Painter(ax, sheet, scale, depths, shrink).paint(rows, words, height / shrink)
    return root_figure(ax)


def _check_options(
    favours: tuple[str, str] | None, digits: int, level: float, width: float | None, ax: Axes | None
) -> None:
    if favours is not None and not (isinstance(favours, tuple | list) and len(favours) == 2):
        raise ChoiceError(f"favours must be two texts, for the left and the right of no effect, not {favours!r}")
    if isinstance(digits, bool) or not isinstance(digits, int | np.integer) or not 0 <= int(digits) <= 10:
        raise ChoiceError(f"digits must be a whole number from 0 to 10, not {digits!r}")
    if not (_is_finite(level) and 0 < float(level) < 1):
        raise ChoiceError(f"level must lie between 0 and 1, not {level!r}")
    if width is not None and not (_is_finite(width) and 1 <= float(width) <= 200):
        raise ChoiceError(f"width must be a number of inches from 1 to 200, not {width!r}")
    if width is not None and ax is not None:
        raise ChoiceError("width has no effect with ax: the Axes have their width already")
    if ax is not None and not (isinstance(ax, Axes) and ax.name == "rectilinear"):
        raise ChoiceError("ax must be plain matplotlib Axes")


def _read_headers(name: str, headers: object) -> dict[str, Header]:
    if not isinstance(headers, Mapping):
        raise ChoiceError(f"{name} must map columns to headers, such as {{'n1': 'n'}}, not {headers!r}")
    if name == "right" and "label" in headers:
        raise ChoiceError("right cannot hold 'label': labels stand on the left")
    for header in headers.values():
        pair = header if isinstance(header, tuple) else ("", header)
        if len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise ChoiceError(f"{name} header {header!r} must be a text, or a pair such as ('Peer support', 'n')")
    return dict(headers)


def _is_finite(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(float(value))


def _number(cell: object) -> float | None:
    """Read a cell as a number; missing is NaN, and what is no number is None."""
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, str) and not cell.strip()):
        return math.nan
    if isinstance(cell, bool | np.bool_ | complex | np.complexfloating):
        return None
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _cell_text(cell: object) -> str:
    """Write a cell of the caller's own: whole numbers without decimals, text as it is."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < FARTHEST:
        cell = int(cell)
    return true_minus(clean_text(cell))


def _read_rows(table: pd.DataFrame, shown: Sequence[str], *, log_scale: bool) -> list[_Row]:
    """Check every cell that will be drawn, and say all that is wrong at once."""
    source = "forest plot table"
    if not isinstance(table, pd.DataFrame):
        raise DataError(source, [f"is a {type(table).__name__}; a pandas DataFrame would do"])
    made = {"effect", "weight", "label"}
    needed = [*dict.fromkeys(["kind", "label", *NUMBERS[:3], *(name for name in shown if name not in made)])]
    if table.columns.nlevels > 1:
        raise DataError(source, ["has several levels of column names; one would do"])
    faults = [Fault(column=str(name), message="is missing") for name in needed if name not in table.columns]
    used = [name for name in dict.fromkeys([*needed, *made, "exclusion_reason"]) if name in table.columns]
    faults += [
        Fault(column=str(name), message="occurs more than once") for name in used if list(table.columns).count(name) > 1
    ]
    if not faults and not len(table):
        faults = [Fault(message="has no rows")]
    if faults:
        raise DataError(source, faults)
    columns = {name: table[name].tolist() for name in used}
    printed = [name for name in shown if name not in {"weight", "label"} and name in columns]
    rows: list[_Row] = []
    beneath = False
    for i in range(len(table)):
        row, found = _read_row({name: values[i] for name, values in columns.items()}, printed, beneath, log_scale)
        where = f"row {i + 1}" + (f" ({row.label})" if row and row.label else "")
        faults += [replace(fault, row=where) for fault in found]
        if row:
            rows.append(row)
            beneath = beneath or row.kind == "heading"
    if faults:
        raise DataError(source, faults)
    return rows


def _read_row(
    cells: Mapping[str, object], printed: Sequence[str], beneath: bool, log_scale: bool
) -> tuple[_Row | None, list[Fault]]:
    if not isinstance(cells["kind"], str) or cells["kind"] not in KINDS:
        known = ", ".join(KINDS)
        return None, [Fault(column="kind", message=f"{cells['kind']!r} is unknown. Known: {known}")]
    kind = next(known for known in KINDS if known == cells["kind"])
    faults: list[Fault] = []
    numbers: dict[str, float] = {}
    for name in NUMBERS:
        value = _number(cells.get(name))
        numbers[name] = math.nan if value is None else value
        if value is None:
            faults.append(Fault(column=name, message=f"{cells[name]!r} is not a number"))
        elif kind not in DRAWN and not math.isnan(value) and name != "weight":
            faults.append(Fault(column=name, message=f"a {kind} row takes no numbers; leave it empty"))
    label = clean_text(cells["label"])
    row = _Row(
        kind=kind,
        label=label if kind in ("study", "heading") else true_minus(label),
        estimate=numbers["estimate"],
        low=numbers["ci_low"],
        high=numbers["ci_high"],
        weight=numbers["weight"],
        reason=clean_text(cells.get("exclusion_reason")) or "Not estimable",
        indented=beneath and kind == "study",
        cells={name: _cell_text(cells[name]) for name in printed},
    )
    if kind in ("text", "blank") and any(row.cells.values()):
        faults.append(Fault(message=f"a {kind} row takes no cells; leave {', '.join(row.cells)} empty"))
    return row, faults or list(_impossible(row, FARTHEST_LOG if log_scale else FARTHEST))


def _impossible(row: _Row, farthest: float) -> Iterator[Fault]:
    if row.kind not in DRAWN:
        return
    if row.kind != "prediction" and abs(row.estimate) > farthest:
        message = f"{row.estimate:g} cannot be drawn; it must lie between {-farthest:g} and {farthest:g}"
        yield Fault(column="estimate", message=message)
    if row.low == math.inf or row.high == -math.inf or row.low > row.high:
        yield Fault(message=f"ci_low {row.low:g} and ci_high {row.high:g} are no interval; ci_low must be the lower")
    elif row.kind != "prediction" and (row.low > row.estimate or row.high < row.estimate):
        message = f"{row.estimate:g} lies outside its interval, {row.low:g} to {row.high:g}"
        yield Fault(column="estimate", message=message)
    if row.weight < 0 or math.isinf(row.weight):
        yield Fault(column="weight", message=f"{row.weight:g} is not a weight; it must be 0 or more")


def _read_scale(
    rows: Sequence[_Row],
    log: bool,
    null: float,
    reference: float | None,
    limits: tuple[float, float] | None,
    ticks: Sequence[float] | None,
) -> _Scale:
    farthest = FARTHEST_LOG if log else FARTHEST
    for name, value in (("null_value", null), ("reference", 0.0 if reference is None else reference)):
        if not (_is_finite(value) and abs(value) <= farthest):
            raise ChoiceError(f"{name} must be a finite number in the table's units, not {value!r}")

    def places(name: str, values: object) -> list[float]:
        given = list(values) if isinstance(values, Iterable) else [None]
        fitting = [v for v in given if _is_finite(v) and (v > 0 if log else True) and abs(v) <= FARTHEST]
        if len(fitting) != len(given):
            kind = "ratios above 0" if log else "finite numbers"
            raise ChoiceError(f"{name} must be {kind}, as printed on the axis, not {values!r}")
        return [math.log(v) if log else float(v) for v in fitting]

    at = places("ticks", ticks) if ticks is not None else []
    if limits is not None:
        ends = places("x_limits", limits)
        if len(ends) != 2 or not ends[1] - ends[0] > 1e-9 * max(abs(end) for end in ends):
            raise ChoiceError(f"x_limits must be two numbers, the lower first, not {limits!r}")
        if at and not ends[0] <= min(at) <= max(at) <= ends[1]:
            raise ChoiceError(f"ticks {ticks!r} must lie within x_limits {limits!r}")
        low, high = ends
    else:
        low, high = _axis_ends(rows, [null, *([] if reference is None else [reference]), *at], log)
    return _Scale(
        low=low,
        high=high,
        null=float(null),
        reference=None if reference is None else float(reference),
        log=log,
        ticks=None if ticks is None else tuple(float(tick) for tick in ticks),
    )


def _axis_ends(rows: Sequence[_Row], marks: Sequence[float], log: bool) -> tuple[float, float]:
    """Cover every interval within Tukey's fences, all pooled estimates, and all `marks`."""
    drawn = [row for row in rows if row.kind in DRAWN and row.estimable]
    studies = [row for row in drawn if row.kind == "study"] or drawn
    far = FARTHEST_LOG if log else FARTHEST

    def near(value: float, instead: float) -> float:
        value = value if math.isfinite(value) else instead
        return min(max(value, -far), far)

    fences = (-math.inf, math.inf)
    if studies:
        lower = float(np.quantile([near(r.low, near(r.estimate, marks[0])) for r in studies], 0.25))
        upper = float(np.quantile([near(r.high, near(r.estimate, marks[0])) for r in studies], 0.75))
        if upper > lower:
            fences = (lower - FENCE * (upper - lower), upper + FENCE * (upper - lower))
    reach = [v for r in drawn for v in (r.low, r.high, r.estimate) if math.isfinite(v) and abs(v) <= far]
    pooled = [row.estimate for row in drawn if row.kind == "summary"]
    inside = [*(v for v in reach if fences[0] <= v <= fences[1]), *pooled, *marks]
    low, high = min(inside), max(inside)
    if high - low <= max(1 / FARTHEST, 1e-9 * max(abs(low), abs(high))):
        half = math.log(2) if log else max(1.0, 0.1 * abs(low))
        return low - half, high + half
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _room(ax: Axes | None, width: float | None) -> tuple[float, float]:
    """Say how much room there is across and down, in points; infinite where the figure may grow."""
    if ax is None:
        return (math.inf if width is None else 72 * float(width)), math.inf
    figure = root_figure(ax)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    box = ax.get_window_extent()
    if not (box.width > 0 and box.height > 0):
        raise ChoiceError("ax have no room to draw in")
    return box.width * 72 / figure.dpi, box.height * 72 / figure.dpi


def _printed(value: float, log: bool) -> float:
    if not log or math.isnan(value):
        return value
    return math.inf if value > FARTHEST_LOG else math.exp(value)


def _effect_cells(rows: Sequence[_Row], log: bool, digits: int) -> list[str]:
    """Write "0.19 (0.11 to 0.27)" so that decimals stand in line; a prediction has an interval alone."""
    whole = {}
    for i, row in enumerate(rows):
        if row.kind in DRAWN and row.estimable:
            first = row.estimate if row.kind != "prediction" else row.low
            texts = [number_text(_printed(value, log), digits) for value in (first, row.low, row.high)]
            whole[i] = "{} ({} to {})".format(*texts)
    whole = dict(zip(whole, align_numbers(list(whole.values())), strict=True))

    def cell(i: int, row: _Row) -> str:
        if i not in whole:
            return row.reason if row.kind in DRAWN else ""
        return whole[i] if row.kind != "prediction" else whole[i][whole[i].index("(") :]

    return [cell(i, row) for i, row in enumerate(rows)]


def _column(cells: list[str], header: Header, *, aligned: bool = False) -> _Column:
    """Measure a column; numbers stand to the right, words to the left."""
    pair = header if isinstance(header, tuple) else ("", header)
    filled = [cell for cell in cells if cell]
    numeric = sum(looks_numeric(cell) for cell in filled) * 2 > len(filled)
    cells = align_numbers(cells) if numeric and not aligned else cells
    lines = [[cell] if looks_numeric(cell) else wrap_text(cell, CELL_LIMIT, SIZE) for cell in cells]
    width = max((text_width(line, SIZE) for cell in lines for line in cell), default=0.0)
    titles = wrap_text(clean_text(pair[1]), max(width, HEADER_LIMIT), SIZE, bold=True)
    width = max([width, *(text_width(line, SIZE, True) for line in titles)])
    return _Column(group=clean_text(pair[0]), header=titles, cells=lines, to_right=numeric, width=width)


def _lay_out_across(
    rows: Sequence[_Row],
    left: Mapping[str, Header],
    right: Mapping[str, Header],
    scale: _Scale,
    words: _Words,
    digits: int,
    room: float,
) -> _Sheet:
    """Place the columns beside a panel of its usual width, or of its least where `room` is limited."""

    def column_of(name: str, header: Header) -> _Column:
        if name == "weight":
            return _column([number_text(r.weight, 1) + "%" if math.isfinite(r.weight) else "" for r in rows], header)
        if name == "effect" and not any("effect" in row.cells for row in rows):
            return _column(_effect_cells(rows, scale.log, digits), header, aligned=True)
        return _column([row.cells[name] for row in rows], header)

    sides = [[column_of(name, header) for name, header in side.items() if name != "label"] for side in (left, right)]
    has_effect = "effect" in left or "effect" in right
    header = left.get("label", "Study")
    for limit in LABEL_LIMITS:
        first = _label_column(rows, header, limit, say_why=not has_effect)
        sheet = _place(rows, first, sides, scale, words, PANEL if math.isinf(room) else NARROWEST_PANEL)
        if sheet.width <= room:
            break
    return sheet


def _spans(row: _Row) -> bool:
    """Tell whether the row's words may run on under the left columns."""
    return row.kind == "text" or (row.kind == "heading" and not any(row.cells.values()))


def _is_bold(row: _Row) -> bool:
    return row.kind in ("heading", "summary")


def _label_column(rows: Sequence[_Row], header: Header, limit: float, *, say_why: bool) -> _Column:
    cells = []
    width = 0.0
    for row in rows:
        why = say_why and row.kind in DRAWN and not row.estimable
        text = f"{row.label} ({row.reason})" if why else row.label
        lines = [text] if _spans(row) else wrap_text(text, limit, SIZE, bold=_is_bold(row))
        cells.append(lines)
        if not _spans(row):
            indent = INDENT if row.indented else 0.0
            width = max([width, *(text_width(line, SIZE, _is_bold(row)) + indent for line in lines)])
    column = _column([], header)
    return replace(column, cells=cells, width=max(width, column.width))


def _wide_enough(columns: Sequence[_Column]) -> list[_Column]:
    """Stretch the last column of each group whose common header is wider than its columns."""
    wide = list(columns)
    for group, first, last in _groups(wide):
        have = sum(c.width for c in wide[first : last + 1]) + GAP * (last - first)
        lack = max(text_width(line, SIZE, True) for line in _group_lines(group)) - have
        if lack > 0:
            share = lack / (last - first + 1)
            wide[first : last + 1] = [replace(c, width=c.width + share) for c in wide[first : last + 1]]
    return wide


def _groups(columns: Sequence[_Column]) -> list[tuple[str, int, int]]:
    """Find neighbours under one common header: its text, the first and the last column."""
    found: list[tuple[str, int, int]] = []
    for i, column in enumerate(columns):
        if found and found[-1][0] == column.group and found[-1][2] == i - 1 and column.group:
            found[-1] = (column.group, found[-1][1], i)
        elif column.group:
            found.append((column.group, i, i))
    return found


def _group_lines(group: str) -> list[str]:
    return wrap_text(group, CELL_LIMIT, SIZE, bold=True)


def _header_height(columns: Sequence[_Column], i: int) -> float:
    """Add the lines over a column to those over its group, which stand above the tallest of its members."""
    for group, first, last in _groups(columns):
        if first <= i <= last:
            return LINE * (len(_group_lines(group)) + max(len(c.header) for c in columns[first : last + 1])) + 4
    return LINE * len(columns[i].header)


def _favour_lines(favours: Sequence[str]) -> tuple[list[str], list[str]]:
    first, second = (wrap_text(clean_text(text), FAVOURS_LIMIT, SIZE) for text in favours)
    return first, second


def _favour_width(lines: Sequence[str]) -> float:
    return GAP + 4 + max(text_width(line, SIZE) for line in lines)


def _place(
    rows: Sequence[_Row], first: _Column, sides: Sequence[list[_Column]], scale: _Scale, words: _Words, panel: float
) -> _Sheet:
    """Put the columns side by side, with room for every word under the axis."""
    columns = [replace(first, edge=MARGIN)]
    at = MARGIN + first.width
    for column in _wide_enough(sides[0]):
        columns.append(replace(column, edge=at + GAP))
        at += GAP + column.width
    running = (
        text_width(row.label, SIZE if row.kind == "heading" else SMALL, _is_bold(row)) for row in rows if _spans(row)
    )
    text_room = max(at - MARGIN, min(TEXT_ROW, max(running, default=0.0)))
    start = MARGIN + text_room + PANEL_GAP
    null = panel * scale.share(scale.null)
    needs = [_favour_width(lines) for lines in words.favours] if words.favours else [0.0, 0.0]
    start += max(0.0, MARGIN + needs[0] - start - null)
    at = start + panel + PANEL_GAP - GAP
    for column in _wide_enough(sides[1]):
        columns.append(replace(column, edge=at + GAP))
        at += GAP + column.width
    width = max(at, start + null + needs[1]) + MARGIN
    return _Sheet(columns=columns, text_width=text_room, start=start, end=start + panel, width=width)


def _lay_out_down(rows: Sequence[_Row], sheet: _Sheet, words: _Words) -> _Depths:
    """Stack title, header, rows, axis and notes, each as high as its lines."""
    whole = sheet.width - 2 * MARGIN
    title = wrap_text(words.title, whole, TITLE, bold=True) if words.title else []
    head = MARGIN + (len(title) * TITLE_LINE + 5 if title else 0)
    body = head + max(_header_height(sheet.columns, i) for i in range(len(sheet.columns))) + 6
    labels = [
        wrap_text(row.label, sheet.text_width, SIZE if row.kind == "heading" else SMALL, bold=_is_bold(row))
        if _spans(row)
        else lines
        for row, lines in zip(rows, sheet.columns[0].cells, strict=True)
    ]
    tops = [body]
    for i, row in enumerate(rows):
        line = SMALL_LINE if row.kind == "text" else LINE
        lines = max([len(labels[i]), *(len(column.cells[i]) for column in sheet.columns[1:])])
        tops.append(tops[-1] + (BLANK_ROW if row.kind == "blank" and not row.label else lines * line + ROW_PAD))
    axis = tops[-1] + 3
    below_ticks = axis + 6 + LINE
    axis_label = wrap_text(words.axis_label, sheet.end - sheet.start, SIZE) if words.axis_label else []
    favours = below_ticks + len(axis_label) * LINE + (1 if axis_label else 0)
    notes_top = favours + (max(map(len, words.favours)) * LINE + 2 if words.favours else 0)
    notes = [line for note in words.notes for line in wrap_text(note, whole, SMALL)]
    return _Depths(
        title=title,
        head=head,
        body=body,
        labels=labels,
        tops=tops,
        axis=axis,
        axis_label=axis_label,
        below_ticks=below_ticks,
        favours=favours,
        notes=notes,
        notes_top=notes_top + 4,
        depth=notes_top + (4 + len(notes) * SMALL_LINE if notes else 0) + MARGIN,
    )


class _Painter:
    """Puts the layout on Axes; `shrink` turns its points into real ones."""

    def __init__(self, ax: Axes, sheet: _Sheet, scale: _Scale, depths: _Depths, shrink: float) -> None:
        self.ax, self.sheet, self.scale, self.depths, self.shrink = ax, sheet, scale, depths, shrink
        self.unit = (scale.high - scale.low) / (sheet.end - sheet.start)
        self.beside = blended_transform_factory(ax.transAxes, ax.transData)

    def paint(self, rows: Sequence[_Row], words: _Words, height: float) -> None:
        """Draw everything on Axes `height` points high."""
        self.set_up(height)
        self.head()
        self.lines()
        self.squares(rows)
        for i, row in enumerate(rows):
            middle = (self.depths.tops[i] + self.depths.tops[i + 1]) / 2
            self.words(i, row, middle)
            if row.kind in DRAWN and row.estimable:
                {"study": self.study, "summary": self.diamond, "prediction": self.bar}[row.kind](row, middle)
        self.foot(words)

    def set_up(self, height: float) -> None:
        """Make the middle of the Axes the panel, with its axis under the last row."""
        ax, scale, sheet = self.ax, self.scale, self.sheet
        ax.set_xscale("linear")
        ax.set_yscale("linear")
        ax.set_autoscale_on(False)
        ax.set_xlim(scale.low - sheet.start * self.unit, scale.high + (sheet.width - sheet.end) * self.unit)
        ax.set_ylim(max(height, self.depths.depth), 0)
        ax.grid(visible=False)
        ax.yaxis.set_visible(False)
        for name, spine in ax.spines.items():
            spine.set_visible(name == "bottom")
        bottom = ax.spines["bottom"]
        bottom.set_position(("data", self.depths.axis))
        bottom.set_bounds(scale.low, scale.high)
        bottom.set(color=INK, linewidth=0.8 * self.shrink)
        ticks = scale.ticks
        if ticks is None:
            ticks = tuple(ticks_within(scale.low, scale.high, sheet.end - sheet.start, SIZE, ratio=scale.log))
        ax.set_xticks([math.log(tick) if scale.log else tick for tick in ticks], tick_text(ticks, common=not scale.log))
        ax.set_xticks([], minor=True)
        ax.tick_params(
            axis="x",
            direction="out",
            bottom=True,
            top=False,
            labelbottom=True,
            labeltop=False,
            length=3 * self.shrink,
            width=0.8 * self.shrink,
            pad=2 * self.shrink,
            labelsize=SIZE * self.shrink,
            labelfontfamily=FAMILY,
            labelrotation=0,
            color=INK,
            labelcolor=INK,
        )
        for label in ax.get_xticklabels():
            label.set(usetex=False, parse_math=False, fontweight="normal", fontstyle="normal")

    def text(self, x: float, middle: float, text: str, *, size: float = SIZE, **look: Any) -> None:
        """Set one line at `x` points from the left, its capitals centred on `middle`."""
        look = {"color": INK, "ha": "left", **look}
        # 0.36 em: half the height of a capital in DejaVu Sans (0.729 em)
        line = PlainText(
            x / self.sheet.width,
            middle + 0.36 * size,
            text,
            size=size * self.shrink,
            va="baseline",
            transform=self.beside,
            **look,
        )
        self.ax.add_artist(line)

    def block(self, x: float, top: float, lines: Sequence[str], step: float, **look: Any) -> None:
        """Set lines one under the other."""
        for i, line in enumerate(lines):
            self.text(x, top + (i + 0.5) * step, line, **look)

    def rule(self, start: float, end: float, depth: float, width: float) -> None:
        """Draw a horizontal line between two points across."""
        ends = (start / self.sheet.width, end / self.sheet.width)
        self.ax.plot(
            ends, (depth, depth), transform=self.beside, color=RULE, lw=width * self.shrink, ls="-", marker="", zorder=1
        )

    def head(self) -> None:
        """Write title and column headers, and rule them off."""
        depths, columns = self.depths, self.sheet.columns
        self.block(MARGIN, MARGIN, depths.title, TITLE_LINE, size=TITLE, bold=True)
        for group, first, last in _groups(columns):
            start, end = columns[first].edge, columns[last].edge + columns[last].width
            lines = _group_lines(group)
            top = depths.body - 6 - _header_height(columns, first)
            self.block((start + end) / 2, top, lines, LINE, bold=True, ha="center")
            self.rule(start, end, top + LINE * len(lines) + 1, 0.6)
        for column in columns:
            top = depths.body - 6 - LINE * len(column.header)
            x, side = (column.edge + column.width, "right") if column.to_right else (column.edge, "left")
            self.block(x, top, column.header, LINE, bold=True, ha=side)
        self.rule(MARGIN, self.sheet.width - MARGIN, depths.body - 3, 0.8)

    def lines(self) -> None:
        """Draw the lines of no effect and of the pooled estimate."""
        scale, depth = self.scale, (self.depths.body, self.depths.axis)
        for value, colour, style, name in (
            (scale.null, INK, "-", "_null"),
            (scale.reference, POOLED, (0, (3, 2.5)), "_reference"),
        ):
            if value is not None and scale.low <= value <= scale.high:
                look: dict[str, Any] = {
                    "color": colour,
                    "ls": style,
                    "lw": 0.8 * self.shrink,
                    "marker": "",
                    "label": name,
                    "zorder": 1.5,
                }
                self.ax.plot((value, value), depth, **look)

    def words(self, i: int, row: _Row, middle: float) -> None:
        """Write the label and the cells of a row."""
        label, *columns = self.sheet.columns
        small = row.kind == "text"
        size, step = (SMALL, SMALL_LINE) if small else (SIZE, LINE)
        lines = self.depths.labels[i]
        x = label.edge + (INDENT if row.indented else 0.0)
        look: dict[str, Any] = {"size": size, "bold": _is_bold(row), "color": QUIET if small else INK}
        self.block(x, middle - len(lines) * step / 2, lines, step, **look)
        for column in columns:
            x, side = (column.edge + column.width, "right") if column.to_right else (column.edge, "left")
            lines = column.cells[i]
            colour = QUIET if row.kind in DRAWN and not row.estimable else INK
            self.block(x, middle - len(lines) * LINE / 2, lines, LINE, ha=side, color=colour)

    def squares(self, rows: Sequence[_Row]) -> None:
        """Draw all squares, their areas as the weights; hollow where others have a weight and this one has none."""
        scale = self.scale
        shown = [
            (row, (self.depths.tops[i] + self.depths.tops[i + 1]) / 2)
            for i, row in enumerate(rows)
            if row.kind == "study" and row.estimable and scale.low <= row.estimate <= scale.high
        ]
        weights = [row.weight for row in rows if row.kind == "study" and math.isfinite(row.weight)]
        most = max(weights, default=0.0)
        for hollow in (False, True):
            group = [(row, y) for row, y in shown if (bool(weights) and math.isnan(row.weight)) is hollow]
            if not group:
                continue
            sides = [
                0.6 * LARGEST_SQUARE
                if math.isnan(row.weight) or most == 0
                else max(LARGEST_SQUARE * math.sqrt(row.weight / most), SMALLEST_SQUARE)
                for row, _ in group
            ]
            self.ax.scatter(
                [row.estimate for row, _ in group],
                [y for _, y in group],
                s=[(side * self.shrink) ** 2 for side in sides],
                marker="s",
                facecolors="white" if hollow else STUDY,
                edgecolors=INK if hollow else "none",
                linewidths=0.7 * self.shrink if hollow else 0,
                zorder=2,
                label="_not pooled" if hollow else "_squares",
            )

    def stroke(self, low: float, high: float, y: float, colour: str, width: float) -> tuple[bool, bool]:
        """Draw an interval as far as the panel reaches; tell which ends were cut and got an arrowhead."""
        scale = self.scale
        cut = (low < scale.low, high > scale.high)
        ends = [min(max(end, scale.low), scale.high) for end in (low, high)]
        back = ARROW * self.unit
        if ends[0] < ends[1]:
            inner = (ends[0] + (back / 2 if cut[0] else 0), ends[1] - (back / 2 if cut[1] else 0))
            if inner[0] < inner[1]:
                look: dict[str, Any] = {
                    "color": colour,
                    "lw": width * self.shrink,
                    "ls": "-",
                    "marker": "",
                    "solid_capstyle": "butt",
                }
                self.ax.plot(inner, (y, y), zorder=3, label="_interval", **look)
        for side, (is_cut, end) in enumerate(zip(cut, (scale.low, scale.high), strict=True)):
            if is_cut:
                base = end + back * (1 if side == 0 else -1)
                half = 0.55 * ARROW + width / 2
                self.polygon([(end, y), (base, y - half), (base, y + half)], colour, "_arrow")
        return cut

    def polygon(self, corners: Sequence[tuple[float, float]], colour: str, name: str) -> None:
        """Fill a shape given in the panel's units."""
        shape = Polygon(corners, closed=True, facecolor=colour, edgecolor=colour, lw=0.3 * self.shrink, zorder=3)
        shape.set(label=name, joinstyle="miter")
        self.ax.add_patch(shape)

    def study(self, row: _Row, y: float) -> None:
        """Draw the interval of a study, over its square."""
        low = row.estimate if math.isnan(row.low) else row.low
        high = row.estimate if math.isnan(row.high) else row.high
        self.stroke(low, high, y, INK, 0.9)

    def diamond(self, row: _Row, y: float) -> None:
        """Draw a diamond with its corners at the estimate and the ends of the interval, as far as the panel reaches."""
        scale = self.scale
        if math.isnan(row.low) or math.isnan(row.high):
            look: dict[str, Any] = {
                "marker": "D",
                "ms": 5 * self.shrink,
                "mfc": "white",
                "mec": POOLED,
                "mew": self.shrink,
            }
            if scale.low <= row.estimate <= scale.high:
                self.ax.plot([row.estimate], [y], ls="", zorder=3, label="_summary", **look)
            else:
                self.stroke(row.estimate, row.estimate, y, POOLED, 0.9)
            return
        if row.high < scale.low or row.low > scale.high:
            self.stroke(row.low, row.high, y, POOLED, 0.9)
            return
        ends = (max(row.low, scale.low), min(row.high, scale.high))
        at = sorted({ends[0], min(max(row.estimate, ends[0]), ends[1]), ends[1]})
        upper = [(x, y - DIAMOND * _diamond_height(x, row)) for x in at]
        lower = [(x, 2 * y - depth) for x, depth in reversed(upper) if depth != y]
        self.polygon(upper + lower, POOLED, "_diamond")
        if row.low < scale.low or row.high > scale.high:
            self.stroke(row.low, row.high, y, POOLED, 0.9)

    def bar(self, row: _Row, y: float) -> None:
        """Draw a prediction interval: a thick line with end caps, or arrowheads where it is cut."""
        cut = self.stroke(row.low, row.high, y, PREDICTED, 2.2)
        for end, is_cut in zip((row.low, row.high), cut, strict=True):
            if not is_cut and self.scale.low <= end <= self.scale.high:
                look: dict[str, Any] = {
                    "color": PREDICTED,
                    "lw": 1.2 * self.shrink,
                    "ls": "-",
                    "marker": "",
                    "label": "_cap",
                }
                self.ax.plot((end, end), (y - CAP, y + CAP), zorder=3, **look)

    def foot(self, words: _Words) -> None:
        """Write what stands under the axis."""
        depths, sheet = self.depths, self.sheet
        centre = (sheet.start + sheet.end) / 2
        self.block(centre, depths.below_ticks, depths.axis_label, LINE, ha="center")
        if words.favours:
            null = sheet.start + (sheet.end - sheet.start) * self.scale.share(self.scale.null)
            for lines, side, align, arrow in zip(words.favours, (-1, 1), ("right", "left"), "←→", strict=True):
                self.text(null + side * 4, depths.favours + LINE / 2, arrow, ha=align)
                self.block(null + side * (GAP + 4), depths.favours, lines, LINE, ha=align)
        self.block(MARGIN, depths.notes_top, depths.notes, SMALL_LINE, size=SMALL, color=QUIET)


def _diamond_height(x: float, row: _Row) -> float:
    """Half the height of a diamond at `x`, as a share of its greatest; an endless side does not narrow."""
    if x == row.estimate:
        return 1.0
    end = row.low if x < row.estimate else row.high
    return 1.0 if math.isinf(end) else (end - x) / (end - row.estimate)
