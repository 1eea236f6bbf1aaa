"""Plant slips in clean extraction tables, one a table, and count which of them the whole audit finds.

Run as a script, this file writes the tables between the two marks in docs/audit.md anew; look at the difference before
keeping it. The same seeds give the same tables.
"""

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from metapeer.auditing.extraction import audit
from metapeer.auditing.table import ALIASES, decimals_of
from metapeer.effects.continuous import hedges_g
from metapeer.pooling.intervals import normal_quantile
from metapeer.records.catalog import datasets_root

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "audit.md"
MARKS = ("<!-- planted faults -->", "<!-- end of planted faults -->")
SEED = 20260101
PLANTED = 40
"""Of each fault in each kind of table."""
TRIES = 100
"""Tables and rows tried for each fault to be planted, before it is said to have no place."""
ARMS = ("n1", "mean1", "sd1", "n2", "mean2", "sd2")
COUNTS = ("events1", "total1", "events2", "total2")
RESULTS = (*ARMS, *COUNTS, "yi", "vi", "sei", "es", "es_se", "es_ci_low", "es_ci_high", "p_value")
HALF, FOURTH = 0.5, math.log(1.25)
"""A slip is gross when it moves an effect by half its standard error, or the standard error by a fourth."""
# Rows of smit2023 about which something is known: what they look like is in the notes of the bundled table.
KNOWN = (
    "davidson2004.1", "davidson2004.2", "salzer2016.1", "salzer2016.2", "solomon1995.2", "boevink2016.1",
    "kaplan2011.2", "kaplan2011.3", "corrigan2017.2", "corrigan2017.3", "rogers2016.1", "rogers2016.2", "rogers2016.5",
    "rogers2016.6",
)  # fmt: skip
RATIOS = ("OR", "RR", "ROM", "PETO", "hackshaw")
EVIDENCE = ("both", "arms", "limits", "effects")
"""What a table holds: arms and printed effects, arms alone, estimates with limits, effects alone."""

Row = dict[str, str]
Random = np.random.Generator


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A clean table: its cells as text, whether it is real, and the formula of its g."""

    name: str
    cells: pd.DataFrame
    real: bool
    variance: str = ""
    instruments: pd.DataFrame | None = None

    def has(self, *columns):
        return all(column in self.cells for column in columns)

    @property
    def kind(self):
        """Real or not, and what can contradict what in it."""
        arms = self.has(*ARMS) or self.has(*COUNTS)
        if self.has("es_ci_low"):
            held = "limits"
        elif arms:
            held = "both" if self.has("yi") else "arms"
        else:
            held = "effects"
        return ("real" if self.real else "made up"), held

    @property
    def ratio(self):
        return any(word in self.name for word in RATIOS)


# Clean tables -------------------------------------------------------------------------------------------------------


def _named(cells):
    return cells.rename(columns={c: ALIASES.get(c.lower(), c) for c in cells}).reset_index(drop=True)


def _fixed(value, text):
    """Write a number with the decimals of another, and three significant digits at least."""
    if not math.isfinite(value):
        return ""
    places = max(decimals_of(text), 0)
    if value and abs(value) < 100 and places:
        places = max(places, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 15)}f}"


def _estimates(source, *, errors):
    """Print the effects of a table as estimates with 95% limits and p, to two decimals, without the arms."""
    cells = source.cells
    yi = pd.to_numeric(cells["yi"])
    sei = pd.to_numeric(cells["sei"]) if "sei" in cells else pd.to_numeric(cells["vi"]) ** 0.5
    good = (yi.abs() > 0.02) & (sei > 0.01) & (sei < 2)  # others show nothing to two decimals
    cells, yi, sei = cells[good], yi[good], sei[good]
    z = normal_quantile(0.95)
    shown = [yi, yi - z * sei, yi + z * sei]
    if source.ratio:
        shown = [np.exp(x) for x in shown]
    made = cells[[c for c in cells if c not in RESULTS]].copy()
    for column, values in zip(("es", "es_ci_low", "es_ci_high"), shown, strict=True):
        made[column] = [f"{x:.2f}" for x in values]
    made["es_type"] = "OR" if source.ratio else "SMD"
    if errors and not source.ratio:
        made["es_se"] = [f"{x:.3f}" for x in sei]
    p = [math.erfc(abs(a / b) / math.sqrt(2)) for a, b in zip(yi, sei, strict=True)]
    made["p_value"] = ["<0.001" if x < 0.001 else f"{x:.3f}" for x in p]
    return replace(source, name=f"{source.name}, as estimates", cells=made.reset_index(drop=True), variance="")


def _real():
    for path in sorted((HERE / "metadat").glob("*.csv")):
        cells = _named(pd.read_csv(path, dtype=str, keep_default_na=False))
        yield Source(name=path.stem, cells=cells, real=True)
    for path in sorted((HERE / "clean").glob("*.json")):
        cells = _named(pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["columns"], dtype=str))
        smd = path.stem in ("curtis1998_SMD_2", "normand1999_SMD", "lehmann2018_printed")
        source = Source(name=path.stem, cells=cells, real=True, variance="LS" if smd else "")
        yield source
        if "yi" in cells and len(cells) >= 8 and "RD" not in path.stem and "MD_3" not in path.stem:
            yield _estimates(source, errors=len(cells) % 2 == 0)
    folder = datasets_root()
    cells = pd.read_csv(folder / "smit2023" / "outcomes.csv", dtype=str, keep_default_na=False)
    cells = cells[~cells["row_id"].isin(KNOWN)].drop(columns=["note", "source", "source_url", "yi"], errors="ignore")
    cells = cells.rename(columns={"review_yi": "yi", "review_sei": "sei"})
    cells = cells.loc[:, [column for column in cells if (cells[column] != "").any()]].reset_index(drop=True)
    instruments = pd.read_csv(folder / "instruments.csv", dtype=str, keep_default_na=False)
    smit = Source(name="smit2023", cells=cells, real=True, variance="metapsy", instruments=instruments)
    yield smit
    arms = cells[cells["mean1"] != ""].drop(columns=["yi", "sei"]).reset_index(drop=True)
    yield replace(smit, name="smit2023, arms", cells=arms)


AUTHORS = [
    "Abbott",
    "Baker",
    "Castro",
    "Dorn",
    "Ekman",
    "Fischer",
    "Gomez",
    "Hansen",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
    "Quinn",
    "Rossi",
    "Suzuki",
    "Tanaka",
    "Urban",
    "Vogel",
    "Walsh",
    "Xavier",
    "Yilmaz",
    "Zimmer",
]


def _trials(rng, k):
    return [
        f"{name} {year}" for name, year in zip(rng.permutation(AUTHORS)[:k], rng.integers(1990, 2024, k), strict=True)
    ]


def _made_up_means(seed, digits):
    """Trials with several instruments, some of them at two times; effects printed as Metapsy computes them."""
    rng = np.random.default_rng(seed)
    scales = []
    for i in range(6):
        high = float(rng.choice([27, 40, 63, 100, 120, 50]))
        scales.append({
            "instrument": f"scale {'ABCDEF'[i]}", "direction": ["lower_better", "higher_better"][i % 2],
            "min": 0.0, "max": high, "level": high * rng.uniform(0.35, 0.6), "sd": high * rng.uniform(0.1, 0.18),
        })  # fmt: skip
    rows = []
    for trial in _trials(rng, int(rng.integers(14, 24))):
        n = [int(max(14, x)) for x in rng.lognormal(4.2, 0.6) * rng.uniform(0.9, 1.1, 2)]
        truth, places = rng.normal(0.25, 0.15), int(rng.choice([1, 1, 2]))
        for s in rng.choice(6, int(rng.integers(1, 4)), replace=False):
            scale = scales[s]
            way = 1 if scale["direction"] == "higher_better" else -1
            answered = rng.uniform(0.45, 0.7) if rng.random() < 0.25 else 1.0  # one part of the sample only
            size, level = [x * answered for x in n], scale["level"] * rng.normal(1, 0.06)
            spread = scale["sd"] * math.exp(rng.normal(0, 0.1))
            for months in (6, 12)[: 1 + (rng.random() < 0.4)]:
                size = [int(x * rng.uniform(0.86, 1.0)) for x in size]
                row = {
                    "study_id": trial, "outcome": "symptoms" if s % 2 == 0 else "functioning",
                    "instrument": scale["instrument"], "timepoint_months": str(months),
                    "n_intervention": str(n[0]), "n_control": str(n[1]),
                }  # fmt: skip
                for arm, m in zip("12", size, strict=True):
                    shift = way * truth * spread if arm == "1" else 0.0
                    row[f"n{arm}"] = str(m)
                    row[f"mean{arm}"] = f"{level + shift + rng.normal(0, spread / math.sqrt(m)):.{places}f}"
                    row[f"sd{arm}"] = f"{spread * math.sqrt(rng.chisquare(m - 1) / (m - 1)):.{places}f}"
                rows.append(row)
    cells = pd.DataFrame(rows)
    instruments = pd.DataFrame(scales)[["instrument", "direction", "min", "max"]].astype(str)
    made = Source(name=f"means {seed}", cells=cells, real=False, instruments=instruments)
    if digits is None:
        return made
    made = replace(made, variance="metapsy", name=f"means {seed}, {digits} decimals")
    yi, vi = _g(cells, "metapsy")
    turn = np.array([1 if s in ("scale B", "scale D", "scale F") else -1 for s in cells["instrument"]])
    printed = cells.assign(
        yi=[f"{x:.{digits}f}" for x in yi * turn], sei=[f"{x:.{max(digits, 3)}f}" for x in np.sqrt(vi)]
    )
    return replace(made, cells=printed)


def _g(cells, variance):
    return hedges_g(
        **{name: pd.to_numeric(cells[name], errors="coerce").to_numpy(float) for name in ARMS}, variance=variance
    )


def _made_up_counts(seed, digits):
    """Trials with one event count each, printed as log odds ratios."""
    rng = np.random.default_rng(seed)
    rows = []
    for trial in _trials(rng, int(rng.integers(14, 24))):
        n1, n2 = (int(max(25, x)) for x in rng.lognormal(4.6, 0.6) * rng.uniform(0.93, 1.07, 2))
        p = rng.uniform(0.15, 0.55)
        a = min(max(int(rng.binomial(n1, p * rng.uniform(0.5, 1.0))), 2), n1 - 2)
        c = min(max(int(rng.binomial(n2, p)), 2), n2 - 2)
        row = {"study_id": trial, "events1": str(a), "total1": str(n1), "events2": str(c), "total2": str(n2)}
        if digits is not None:
            row["yi"] = f"{math.log(a * (n2 - c) / (c * (n1 - a))):.{digits}f}"
            row["sei"] = f"{math.sqrt(1 / a + 1 / (n1 - a) + 1 / c + 1 / (n2 - c)):.{max(digits, 3)}f}"
        rows.append(row)
    name = f"counts {seed}" + ("" if digits is None else f", OR, {digits} decimals")
    return Source(name=name, cells=pd.DataFrame(rows), real=False)


def _made_up():
    for seed in range(12):
        yield _made_up_means(seed, None)
        yield _made_up_means(100 + seed, (2, 3, 12)[seed % 3])
        yield _made_up_counts(200 + seed, None)
        counts = _made_up_counts(300 + seed, (2, 3, 12)[seed % 3])
        yield counts
        yield _estimates(_made_up_means(400 + seed, 12), errors=seed % 2 == 0)
        yield _estimates(_made_up_counts(500 + seed, 12), errors=False)


@cache
def sources():
    """Every clean table, real and made up."""
    return (*_real(), *_made_up())


# Faults -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Slip:
    """A table with one slip: new cells by row, rows added at the end, and rows that may be named beside those."""

    changes: dict[int, Row] = field(default_factory=dict)
    added: list[Row] = field(default_factory=list)
    beside: frozenset[int] = frozenset()


Plant = Callable[[Random, Source, int], Slip | None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A way to go wrong, the codes that name it, and whether only gross cases are planted."""

    words: str
    codes: frozenset[str]
    plant: Plant
    gross: bool = True


FAULTS: list[Fault] = []


def fault(words: str, codes: str, *, gross: bool = True) -> Callable[[Plant], Plant]:
    def register(plant):
        FAULTS.append(Fault(words=words, codes=frozenset(codes.split()), plant=plant, gross=gross))
        return plant

    return register


def _full(source, i, *columns):
    """The row, if all its cells in these columns hold numbers."""
    if not source.has(*columns):
        return None
    row = source.cells.iloc[i].to_dict()
    try:
        good = all(math.isfinite(float(row[column])) for column in columns)
    except ValueError:
        return None
    return row if good else None


def _one(i, row, new, beside=()):
    changed = {c: text for c, text in new.items() if text != row[c]}
    return Slip(changes={i: changed}, beside=frozenset(beside)) if changed else None


def _error(source):
    return next((c for c in ("sei", "vi", "es_se") if source.has(c)), "")


def _per_arm(*stems):
    """Rewrite cells of both arms by a rule, which gets value, n and text."""

    def outer(rule):
        def plant(rng, source, i):
            row = _full(source, i, *ARMS)
            if row is None:
                return None
            factor = rule(rng)
            new = {
                f"{stem}{arm}": _fixed(factor(float(row[f"{stem}{arm}"]), float(row[f"n{arm}"])), row[f"{stem}{arm}"])
                for stem in stems
                for arm in "12"
            }
            return _one(i, row, new)

        return plant

    return outer


def _typed(*columns, change):
    """Retype one cell, drawn from those that the row has."""

    def plant(rng, source, i):
        column = str(rng.choice(columns))
        row = _full(source, i, column)
        text = None if row is None else change(rng, row[column])
        return None if text is None else _one(i, row, {column: text})

    return plant


def _moved_point(rng, text):
    value = float(text) * float(rng.choice([10.0, 0.1]))
    if "." not in text:
        return str(int(float(text) * 10)) if rng.random() < 0.5 else (text[:-1] or None)
    return _fixed(value, text)


def _transposed(rng, text):
    places = [
        (i, j)
        for i in range(len(text) - 1)
        for j in (i + 1, i + 2)
        if j < len(text) and text[i].isdigit() and text[j].isdigit() and text[i] != text[j] and text[i] != "."
        and (j == i + 1 or text[i + 1] == ".")
    ]  # fmt: skip
    if not places:
        return None
    i, j = places[int(rng.integers(min(len(places), 3)))]
    letters = list(text)
    letters[i], letters[j] = letters[j], letters[i]
    return "".join(letters)


def _other_row(rng, source, i, *, sibling=False):
    trials = source.cells["study_id"].tolist() if source.has("study_id") else list(range(len(source.cells)))
    others = [j for j in range(len(trials)) if j != i and (not sibling or trials[j] == trials[i])]
    return int(rng.choice(others)) if others else None


@fault("the sign of the printed effect turned", "sign_against_direction limits_sign")
def _(rng, source, i):
    column = "yi" if source.has("yi") else "es"
    row = _full(source, i, column)
    if row is None or (column == "es" and source.ratio):
        return None
    text = row[column]
    return _one(i, row, {column: text[1:] if text.startswith("-") else f"-{text}"})


@fault("the arms exchanged", "sign_against_direction")
def _(rng, source, i):
    columns = ARMS if source.has(*ARMS) else COUNTS
    row = _full(source, i, *columns)
    other = {"1": "2", "2": "1"}
    return None if row is None else _one(i, row, {c: row[c[:-1] + other[c[-1]]] for c in columns})


@fault("standard errors entered as SDs", "raw_sd_is_se sd_is_se")
@_per_arm("sd")
def _(rng):
    return lambda sd, n: sd / math.sqrt(n)


@fault("the standard error of one arm entered as its SD", "raw_sd_is_se one_sd_is_se")
def _(rng, source, i):
    arm = str(rng.choice(["1", "2"]))
    row = _full(source, i, *ARMS)
    return row and _one(
        i, row, {f"sd{arm}": _fixed(float(row[f"sd{arm}"]) / float(row[f"n{arm}"]) ** 0.5, row[f"sd{arm}"])}
    )


@fault("SDs taken for standard errors, and multiplied by the root of n", "sd_too_large_by_root_n sd_taken_for_se")
@_per_arm("sd")
def _(rng):
    return lambda sd, n: sd * math.sqrt(n)


@fault("variances entered as SDs", "sd_is_variance sd_squared")
@_per_arm("sd")
def _(rng):
    return lambda sd, n: sd * sd


@fault("means and SDs exchanged", "mean_and_sd_exchanged")
def _(rng, source, i):
    row = _full(source, i, *ARMS)
    if row is None or min(float(row["mean1"]), float(row["mean2"])) <= 0:
        return None
    return _one(i, row, {f"{a}{arm}": row[f"{b}{arm}"] for a, b in (("mean", "sd"), ("sd", "mean")) for arm in "12"})


@fault("means and SDs in another unit", "unit_differs", gross=False)
@_per_arm("mean", "sd")
def _(rng):
    factor = float(rng.choice([10, 100, 1000, 12, 7, 60])) ** float(rng.choice([-1, 1]))
    return lambda x, n: x * factor


fault("the decimal point of a mean", "decimal_point mean_outside_range")(_typed("mean1", "mean2", change=_moved_point))
fault("the decimal point of an SD", "decimal_point sds_differ sd_above_range")(
    _typed("sd1", "sd2", change=_moved_point)
)
fault("the last digit of an n lost, or one too many", "decimal_point n_out_of_line n_above_randomised arms_unequal")(
    _typed("n1", "n2", "total1", "total2", change=_moved_point)
)
fault("two digits of a mean transposed", "digits_transposed")(_typed("mean1", "mean2", change=_transposed))


@fault("a mean outside the range of its instrument", "mean_outside_range")
def _(rng, source, i):
    row = _full(source, i, *ARMS)
    low, high = _range(source, row)
    if row is None or not low < high:
        return None
    over = (high - low) * rng.uniform(0.05, 0.6)
    column = f"mean{rng.integers(1, 3)}"
    return _one(i, row, {column: _fixed(high + over if rng.random() < 0.7 else low - over, row[column])})


@fault("an SD that the range does not allow", "sd_above_range")
def _(rng, source, i):
    row = _full(source, i, *ARMS)
    low, high = _range(source, row)
    if row is None or not low < high:
        return None
    column = f"sd{rng.integers(1, 3)}"
    return _one(i, row, {column: _fixed((high - low) * rng.uniform(0.6, 1.5), row[column])})


def _range(source, row):
    if row is None:
        return math.nan, math.nan
    if source.has("min", "max"):
        return float(row["min"]), float(row["max"])
    if source.instruments is None or "instrument" not in row:
        return math.nan, math.nan
    found = source.instruments[source.instruments["instrument"] == row["instrument"]]
    numbers = (
        pd.to_numeric(found[["min", "max"]].to_numpy().ravel(), errors="coerce").tolist() if len(found) == 1 else []
    )
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (math.nan, math.nan)


@fault("the cells of the arms shifted by a column", "cells_shifted count_not_whole")
def _(rng, source, i):
    row = _full(source, i, *ARMS)
    order = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")
    return row and _one(
        i, row, {c: row[d] for c, d in zip(("n1", "mean1", "sd1", "n2", "mean2", "sd2"), order, strict=True)}
    )


@fault("all numbers copied from the row above", "row_copied row_twice", gross=False)
def _(rng, source, i):
    columns = [c for c in RESULTS if source.has(c)]
    row, above = source.cells.iloc[i].to_dict(), source.cells.iloc[i - 1].to_dict() if i else {}
    if (
        not above
        or sum(above[c] != "" for c in columns) < 2
        or any((row[c] == "") != (above[c] == "") for c in columns)
    ):
        return None
    return _one(i, row, {c: above[c] for c in columns}, beside=[i - 1])


@fault("one arm copied from the row above", "arm_copied", gross=False)
def _(rng, source, i):
    row, above = _full(source, i, *ARMS), _full(source, i - 1, *ARMS) if i else None
    if row is None or above is None:
        return None
    arm = str(rng.choice(["1", "2"]))
    return _one(i, row, {c: above[c] for c in (f"mean{arm}", f"sd{arm}")}, beside=[i - 1])


@fault("one arm copied into the other", "arms_equal", gross=False)
def _(rng, source, i):
    row = _full(source, i, *ARMS)
    return row and _one(i, row, {"mean2": row["mean1"], "sd2": row["sd1"]})


@fault("percentages entered as counts", "percentages_as_counts counts_as_percentages events_above_total")
def _(rng, source, i):
    row = _full(source, i, *COUNTS)
    if row is None:
        return None
    places = int(rng.integers(0, 2))
    return _one(
        i, row, {f"events{a}": f"{100 * float(row[f'events{a}']) / float(row[f'total{a}']):.{places}f}" for a in "12"}
    )


@fault("more events than people", "events_above_total", gross=False)
def _(rng, source, i):
    row = _full(source, i, *COUNTS)
    arm = str(rng.choice(["1", "2"]))
    return row and _one(i, row, {f"events{arm}": str(int(float(row[f"total{arm}"]) + rng.integers(1, 30)))})


@fault("those without the event counted", "events_are_rest sign_against_direction")
def _(rng, source, i):
    row = _full(source, i, *COUNTS)
    return row and _one(
        i, row, {f"events{a}": str(int(float(row[f"total{a}"]) - float(row[f"events{a}"]))) for a in "12"}
    )


@fault("a year as the months of follow-up", "time_impossible", gross=False)
def _(rng, source, i):
    row = _full(source, i, "timepoint_months")
    return row and _one(i, row, {"timepoint_months": str(rng.integers(1990, 2024))})


@fault("more people at follow-up than before", "n_grew", gross=False)
def _(rng, source, i):
    row = _full(source, i, "n1", "timepoint_months")
    if row is None or not source.has("instrument"):
        return None
    cells = source.cells
    same = (cells["study_id"] == row["study_id"]) & (cells["instrument"] == row["instrument"])
    earlier = [
        j for j in np.flatnonzero(same) if float(cells["timepoint_months"].iloc[j]) < float(row["timepoint_months"])
    ]
    if not earlier:
        return None
    before = float(cells["n1"].iloc[earlier[0]])
    return _one(i, row, {"n1": str(round(before * rng.uniform(1.4, 2.5)))}, beside=earlier)


@fault("a row again under the name of another trial", "row_copied row_twice trial_two_names", gross=False)
def _(rng, source, i):
    if not source.has("study_id"):
        return None
    row = source.cells.iloc[i].to_dict()
    if sum(row.get(c, "") != "" for c in RESULTS) < 2:
        return None
    new = {**row, "study_id": "Nightingale 1999"}
    if "row_id" in new:
        new["row_id"] = "nightingale1999.1"
    return Slip(added=[new], beside=frozenset([i]))


@fault("one row of a trial under another spelling", "trial_two_names", gross=False)
def _(rng, source, i):
    if not source.has("study_id") or _other_row(rng, source, i, sibling=True) is None:
        return None
    row = source.cells.iloc[i].to_dict()
    name = row["study_id"]
    spelled = name.upper() if rng.random() < 0.5 else re.sub(r"(\D)\s*(\d{4})", r"\1, \2", name, count=1)
    same = np.flatnonzero(source.cells["study_id"] == name).tolist()
    return _one(i, row, {"study_id": spelled}, beside=same)


@fault("the effect and standard error of another row", "effect_of_other_row row_copied")
def _(rng, source, i):
    error = _error(source)
    j = _other_row(rng, source, i) if error != "es_se" else None
    row, other = _full(source, i, "yi", error), _full(source, j, "yi", error) if j is not None else None
    return None if row is None or other is None else _one(i, row, {c: other[c] for c in ("yi", error)}, beside=[j])


@fault("four rows of effects shifted down by one", "effect_of_other_row row_copied")
def _(rng, source, i):
    error = _error(source)
    if not source.has("yi", error) or not 1 <= i < len(source.cells) - 4:
        return None
    rows = [source.cells.iloc[j].to_dict() for j in range(i - 1, i + 4)]
    if any("" in (row["yi"], row[error]) for row in rows):
        return None
    changes = {i + j: {c: rows[j][c] for c in ("yi", error)} for j in range(4)}
    return Slip(changes=changes, beside=frozenset([i - 1]))


@fault("the standard error of another row", "se_of_other_row se_copied n_of_other_row limits_do_not_fit_se")
def _(rng, source, i):
    error = _error(source)
    j = _other_row(rng, source, i)
    row, other = _full(source, i, error), _full(source, j, error) if j is not None else None
    return None if row is None or other is None else _one(i, row, {error: other[error]}, beside=[j])


@fault("the variance in place of the standard error, or the reverse", "se_is_variance variance_is_se")
def _(rng, source, i):
    error = _error(source)
    row = _full(source, i, error)
    return row and _one(i, row, {error: _fixed(float(row[error]) ** (0.5 if error == "vi" else 2), row[error])})


@fault("half the width of the interval as standard error", "half_width_as_se limits_other_level")
def _(rng, source, i):
    row = _full(source, i, "sei" if source.has("sei") else "es_se")
    column = "sei" if source.has("sei") else "es_se"
    return row and _one(i, row, {column: _fixed(1.96 * float(row[column]), row[column])})


fault("the decimal point of the printed effect", "decimal_point limits_miss_estimate")(
    _typed("yi", "es", change=_moved_point)
)
fault("two digits of the printed effect transposed", "digits_transposed limits_asymmetric limits_miss_estimate")(
    _typed("yi", "es", change=_transposed)
)


def _remade(rng, source, i, row, **numbers):
    """Print effect and standard error as they come of other raw numbers."""
    error = _error(source)
    cells = pd.DataFrame([{c: str(numbers.get(c, row[c])) for c in ARMS}])
    yi, vi = _g(cells, source.variance)
    own, _ = _g(pd.DataFrame([row]), source.variance)
    if not (np.isfinite(yi[0]) and own[0]):
        return None
    sign = math.copysign(1.0, float(row["yi"])) * math.copysign(1.0, own[0])
    spread = float(vi[0]) if error == "vi" else math.sqrt(float(vi[0]))
    return _one(
        i, row, {"yi": f"{sign * yi[0]:.{decimals_of(row['yi'])}f}", error: f"{spread:.{decimals_of(row[error])}f}"}
    )


@fault("the effect computed with the n of another row of the trial", "n_of_other_row n_of_other_analysis", gross=False)
def _(rng, source, i):
    row = _full(source, i, *ARMS, "yi") if source.variance else None
    j = _other_row(rng, source, i, sibling=True)
    other = _full(source, j, *ARMS) if j is not None else None
    return None if row is None or other is None else _remade(rng, source, i, row, n1=other["n1"], n2=other["n2"])


@fault("the effect computed with SDs taken for standard errors", "sd_too_large_by_root_n sd_taken_for_se raw_sd_is_se")
def _(rng, source, i):
    row = _full(source, i, *ARMS, "yi") if source.variance else None
    new = row and {f"sd{a}": float(row[f"sd{a}"]) * float(row[f"n{a}"]) ** 0.5 for a in "12"}
    return row and _remade(rng, source, i, row, **new)


@fault("the effect computed with standard errors for SDs", "raw_sd_is_se sd_taken_for_se effect_absurd")
def _(rng, source, i):
    row = _full(source, i, *ARMS, "yi") if source.variance else None
    new = row and {f"sd{a}": float(row[f"sd{a}"]) / float(row[f"n{a}"]) ** 0.5 for a in "12"}
    return row and _remade(rng, source, i, row, **new)


@fault("a difference of means among standardised ones", "other_measure")
def _(rng, source, i):
    row = _full(source, i, *ARMS, "yi") if source.variance else None
    if row is None:
        return None
    gap = abs(float(row["mean1"]) - float(row["mean2"]))
    return _one(i, row, {"yi": f"{math.copysign(gap, float(row['yi'])):.{decimals_of(row['yi'])}f}"})


@fault("a ratio in place of its logarithm", "ratio_not_log")
def _(rng, source, i):
    row = _full(source, i, "yi") if source.ratio else None
    return row and _one(i, row, {"yi": f"{math.exp(float(row['yi'])):.{decimals_of(row['yi'])}f}"})


@fault("the logarithm of a ratio beside the limits of the ratio", "limits_log_scale", gross=False)
def _(rng, source, i):
    row = _full(source, i, "es", "es_ci_low") if source.ratio else None
    return row and (_one(i, row, {"es": _fixed(math.log(float(row["es"])), "0.00")}) if float(row["es"]) > 0 else None)


def _level(level):
    def plant(rng, source, i):
        row = _full(source, i, "es", "es_se", "es_ci_low", "es_ci_high")
        if row is None:
            return None
        half = normal_quantile(level) * float(row["es_se"])
        return _one(
            i, row, {"es_ci_low": f"{float(row['es']) - half:.2f}", "es_ci_high": f"{float(row['es']) + half:.2f}"}
        )

    return plant


fault("limits of 90%", "limits_other_level", gross=False)(_level(0.90))
fault("limits of 99%", "limits_other_level", gross=False)(_level(0.99))


@fault("limits in each other's place", "limits_exchanged", gross=False)
def _(rng, source, i):
    row = _full(source, i, "es", "es_ci_low", "es_ci_high")
    return row and _one(i, row, {"es_ci_low": row["es_ci_high"], "es_ci_high": row["es_ci_low"]})


fault("the decimal point of a limit", "limits_asymmetric limits_miss_estimate limits_exchanged")(
    _typed("es_ci_low", "es_ci_high", change=_moved_point)
)


@fault("the limits of another row", "limits_asymmetric limits_miss_estimate limits_do_not_fit_se")
def _(rng, source, i):
    columns = ("es_ci_low", "es_ci_high")
    j = _other_row(rng, source, i)
    row, other = _full(source, i, *columns), _full(source, j, *columns) if j is not None else None
    return None if row is None or other is None else _one(i, row, {c: other[c] for c in columns}, beside=[j])


@fault("the p value of another row, at least ten times as large or small", "p_contradicts_effect", gross=False)
def _(rng, source, i):
    j = _other_row(rng, source, i)
    if j is None or not source.has("p_value"):
        return None
    row, other = source.cells.iloc[i].to_dict(), source.cells.iloc[j].to_dict()
    values = [float(x["p_value"].lstrip("<")) for x in (row, other)]
    apart = min(values) > 0 and max(values) >= 10 * min(values)
    return _one(i, row, {"p_value": other["p_value"]}, beside=[j]) if apart else None


# Counting -----------------------------------------------------------------------------------------------------------


def _numbers(row):
    """The effects of a row, as computed from its arms and as printed, with their standard errors."""

    def value(column):
        try:
            return float(row.get(column, ""))
        except ValueError:
            return math.nan

    found = []
    cells = [value(c) for c in ARMS]
    if all(map(math.isfinite, cells)) and min(cells[0], cells[3]) >= 2 and min(cells[2], cells[5]) > 0:
        yi, vi = hedges_g(**{c: np.array([x]) for c, x in zip(ARMS, cells, strict=True)}, variance="LS")
        found.append((float(yi[0]), float(vi[0]) ** 0.5))
    else:
        found.append((math.nan, math.nan))
    a, n1, c, n2 = (value(c) for c in COUNTS)
    if 0 <= a <= n1 and 0 <= c <= n2:
        parts = [a + 0.5, n1 - a + 0.5, c + 0.5, n2 - c + 0.5]
        found.append((math.log(parts[0] * parts[3] / (parts[1] * parts[2])), math.sqrt(sum(1 / x for x in parts))))
    else:
        found.append((math.nan, math.nan))
    spread = value("sei") if "sei" in row else math.sqrt(max(value("vi"), 0.0)) if "vi" in row else value("es_se")
    effect = value("yi") if "yi" in row else value("es")
    if "es_ci_low" in row and not math.isfinite(spread):
        spread = (value("es_ci_high") - value("es_ci_low")) / 3.92
    found.append((effect, spread))
    low, high = value("es_ci_low"), value("es_ci_high")
    if row.get("es_type") == "OR" and low > 0 and high > 0:
        low, high = math.log(low), math.log(high)
    found.append(((low + high) / 2, (high - low) / 3.92))
    return found


def is_gross(old, new):
    """Whether a row's effects moved far, or can no longer be computed."""
    for (y, s), (z, t) in zip(_numbers(old), _numbers(new), strict=True):
        if math.isfinite(y) and math.isfinite(s) and s > 0:
            if not (math.isfinite(z) and t > 0):
                return True
            if abs(y - z) >= HALF * min(s, t) or abs(math.log(s / t)) >= FOURTH:
                return True
    return False


@dataclass(frozen=True, kw_only=True)
class Count:
    """What came of one fault in one kind of table; `alarms` are rows grown suspicious that were not touched."""

    planted: int = 0
    found: int = 0
    named: int = 0
    remarked: int = 0
    alarms: int = 0
    rows: int = 0
    missed: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()


def _audited(cells, source):
    return audit(cells, instruments=source.instruments).findings


@cache
def _clean(source):
    """What the audit says about a table as it stands, row by row."""
    return frozenset((f.check, f.severity, row) for f in _audited(source.cells, source) for row in f.rows)


def planted_table(source, slip):
    """The cells of a table with a slip in it, and the rows that were touched."""
    cells = source.cells.copy()
    for i, new in slip.changes.items():
        for column, text in new.items():
            cells.iloc[i, cells.columns.get_loc(column)] = text
    touched = set(slip.changes) | set(range(len(cells), len(cells) + len(slip.added)))
    if slip.added:
        cells = pd.concat([cells, pd.DataFrame(slip.added)], ignore_index=True)[list(source.cells)]
    return cells, touched


def count_fault(one, kind, *, planted=PLANTED, seed=SEED):
    """Plant a fault so many times in tables of a kind, and count what the audit makes of it."""
    rng = np.random.default_rng([seed, *one.words.encode(), *"".join(kind).encode()])
    possible = [source for source in sources() if source.kind == kind]
    total: Counter[str] = Counter()
    missed, codes = [], []
    for _ in range(planted):
        found = next((place for place in _places(rng, one, possible)), None)
        if found is None:
            break
        source, slip = found
        cells, touched = planted_table(source, slip)
        before = _clean(source)
        new = [
            (f, row)
            for f in _audited(cells, source)
            for row in f.rows
            if row in touched or (f.check, f.severity, row) not in before
        ]
        here = [f for f, row in new if row in touched and (f.check, f.severity, row) not in before]
        grave = [f for f in here if f.severity != "remark"]
        total["planted"] += 1
        total["found"] += bool(grave)
        total["remarked"] += bool(here) and not grave
        total["named"] += any(f.check in one.codes for f in here)
        away = {row for f, row in new if f.severity != "remark" and row not in touched and row not in slip.beside}
        total["alarms"] += len(away)
        total["rows"] += len(cells) - len(touched)
        codes += [f.check for f in grave] or [f"({f.check})" for f in here] or ["-"]
        if not grave:
            missed.append(source.name)
    return Count(**total, missed=tuple(missed), codes=tuple(codes))


def _places(rng, one, possible):
    for _ in range(TRIES):
        source = possible[int(rng.integers(len(possible)))]
        i = int(rng.integers(len(source.cells)))
        if source.kind[1] == "both" and _full(source, i, *ARMS) is None and _full(source, i, *COUNTS) is None:
            continue
        slip = one.plant(rng, source, i)
        if not slip:
            continue
        if one.gross:
            row = source.cells.iloc[i].to_dict()
            if not is_gross(row, row | slip.changes[i]):
                continue
        yield source, slip


def wilson(found, planted):
    """The 95% interval of a share (Wilson 1927, JASA 22:209-212)."""
    z = normal_quantile(0.95)
    p, q = found / planted, z * z / planted
    half = z * math.sqrt(p * (1 - p) / planted + q / planted / 4)
    return max(0.0, (p + q / 2 - half) / (1 + q)), min(1.0, (p + q / 2 + half) / (1 + q))


# The page -----------------------------------------------------------------------------------------------------------

HEADINGS = {
    "both": "Arms beside printed effects",
    "arms": "Arms alone",
    "limits": "Estimates with limits, without arms",
    "effects": "Effects and standard errors with nothing beside them",
}


def share(found, planted, *, places=0):
    """Write a share with its interval."""
    low, high = wilson(found, planted)
    return f"{100 * found / planted:.{places}f}% ({100 * low:.{places}f} to {100 * high:.{places}f})"


@cache
def counted(planted=PLANTED):
    """What comes of every fault in every kind of table."""
    kinds = sorted({source.kind for source in sources()})
    return {(one.words, kind): count_fault(one, kind, planted=planted) for one in FAULTS for kind in kinds}


def lines_of(one, held, counts):
    """The row of a fault in the table of the page about such tables; nothing when it cannot be planted there."""
    cells = []
    for origin in ("real", "made up"):
        count = counts.get((one.words, (origin, held)), Count())
        n = count.planted
        remarked = f"{100 * count.remarked / n:.0f}%" if n else ""
        named = f"{100 * count.named / n:.0f}%" if n else ""
        cells += [str(n) if n else "", share(count.found, n) if n else "", remarked, named]
    return [f"| {one.words} | {' | '.join(cells)} |"] if any(cells) else []


def totals(counts, held):
    """A last row over all faults of the table."""
    cells = []
    for origin in ("real", "made up"):
        mine = [count for (_, kind), count in counts.items() if kind == (origin, held) and count.planted]
        n = sum(count.planted for count in mine)
        parts = [sum(getattr(count, name) for count in mine) for name in ("found", "remarked", "named")]
        if n:
            cells += [str(n), share(parts[0], n), *(f"{100 * part / n:.0f}%" for part in parts[1:])]
        else:
            cells += [""] * 4
    return f"| **all of them** | {' | '.join(cells)} |"


def clean_rows(*, real):
    """Rows of the clean tables as they stand, and those with an error or a suspicion."""
    mine = [source for source in sources() if source.real is real]
    rows = sum(len(source.cells) for source in mine)
    return rows, sum(len({row for _, severity, row in _clean(s) if severity != "remark"}) for s in mine), len(mine)


def block(planted=PLANTED):
    """The part of the page that this file writes."""
    counts = counted(planted)
    alarms, rows = (sum(getattr(count, name) for count in counts.values()) for name in ("alarms", "rows"))
    lines = []
    for real, words in ((True, "real"), (False, "made-up")):
        total, grave, tables = clean_rows(real=real)
        lines.append(
            f"- {tables} {words} tables as they stand, {total:,} rows: errors or suspicions about {grave} rows, "
            f"{share(grave, total, places=2)}."
        )
    lines.append(
        f"- {rows:,} untouched rows in the tables with a slip elsewhere: {alarms} grew suspicious that were "
        f"not before, {share(alarms, rows, places=3)}."
    )
    for held in EVIDENCE:
        lines += ["", f"### {HEADINGS[held]}", ""]
        lines.append("| planted | real | found (95%) | remark | named | made up | found (95%) | remark | named |")
        lines.append("|---|---|---|---|---|---|---|---|---|")
        for one in FAULTS:
            lines += lines_of(one, held, counts)
        lines.append(totals(counts, held))
    return "\n".join(lines)


def written_block(page):
    """The part of the page between the marks."""
    return page.partition(MARKS[0])[2].partition(MARKS[1])[0].strip()


def codes_in_source():
    """Every code that a check of an extraction table can give, read from the source of the room."""
    room = Path(audit.__code__.co_filename).parent
    found = set()
    for path in sorted(room.glob("*.py")):
        if path.name.startswith(("identify", "published", "rounding", "extraction", "consequences")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found |= _codes_at(node)
    return found


def _codes_at(node):
    """Codes given by name (`check=`, `code=`), to a maker of findings, or in a list of readings to be tried."""
    values = []
    named = isinstance(node, ast.Assign) and any(getattr(t, "id", "") in ("code", "unexplained") for t in node.targets)
    if named or (isinstance(node, ast.keyword) and node.arg in ("check", "code")):
        values = [node.value]
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_finding" and len(node.args) > 1:
        values = [node.args[1]]
    elif isinstance(node, ast.Tuple) and len(node.elts) == 3 and isinstance(node.elts[1], ast.Constant):
        values = [node.elts[0]] if " " in str(node.elts[1].value) else []  # a code, and what it supposes
    texts = [x.value for value in values for x in ast.walk(value) if isinstance(x, ast.Constant)]
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"[a-z]+(?:_[a-z0-9]+)+", text)}


if __name__ == "__main__":
    made = block()
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    PAGE.write_text(f"{before}{MARKS[0]}\n\n{made}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}", encoding="utf-8")
