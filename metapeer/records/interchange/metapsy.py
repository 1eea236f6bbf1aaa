"""The Metapsy data standard: one row for each comparison of two arms, outcome, instrument and time.

Semicolons and decimal commas, as R's ``write.csv2`` writes them, are the standard; commas and points are read, too.
The columns are those of https://docs.metapsy.org/data-preparation/format/.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from metapeer.errors import DataError, Fault, check_choice
from metapeer.records.decode import decode, number_lines, shown
from metapeer.records.interchange.cells import blank, number_of, pointed
from metapeer.records.interchange.limits import MOST_MEMBERS, MOST_UNPACKED, read_limited
from metapeer.records.interchange.tables import Draft, ForeignTable, checked, own_columns, split_table

__all__ = ["COLUMNS", "cells_for_metapsy", "looks_like_metapsy", "metapsy_draft", "read_folder", "read_metapsy"]

DESIGN = (
    "study",
    "condition_arm1",
    "condition_arm2",
    "multi_arm1",
    "multi_arm2",
    "outcome_type",
    "instrument",
    "time",
    "time_weeks",
    "rating",
    "full_ref",
)
POST = tuple(f"{name}_arm{arm}" for arm in (1, 2) for name in ("mean", "sd", "n"))
CHANGE = tuple(f"{name}_change_arm{arm}" for arm in (1, 2) for name in ("mean", "sd", "n"))
EVENTS = tuple(f"{name}_arm{arm}" for arm in (1, 2) for name in ("event", "totaln"))
READY = ("precalc_g", "precalc_g_se", "precalc_log_rr", "precalc_log_rr_se")
COMPUTED = (".g", ".g_se")
COLUMNS = (*DESIGN, *POST, *CHANGE, *EVENTS, *READY)
"""The columns that the standard wants in every file."""

ARM_FIELDS = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")
EVENT_FIELDS = ("events1", "total1", "events2", "total2")
# Free columns that published Metapsy databases share, and what they are here; a cell that does not fit is kept beside.
FREE = {
    "outcome_category": "outcome_group",
    "outcome_subcategory": "outcome",
    "year": "year",
    "doi": "doi",
    "country": "country",
    "disorder": "disorder",
    "perinatal": "perinatal",
    "recruitment": "recruitment",
    "percent_women": "percent_women",
    "mean_age": "mean_age",
    "delivery": "delivery",
    "structure_intervention": "structure",
    **{f"RoB_D{domain}": f"rob_d{domain}" for domain in range(1, 6)},
    "overall_RoB": "rob_overall",
}
NUMBERS = ("time_weeks", *POST, *CHANGE, *EVENTS, *READY, *COMPUTED, "year", "percent_women", "mean_age")
TIMES = {"post": "end_of_treatment", "follow-up": "follow_up", "follow_up": "follow_up", "fu": "follow_up"}
FORMATS = {"group": "group", "individual": "one_to_one", "one-to-one": "one_to_one", "mixed": "mixed"}
WEEKS_IN_A_MONTH = 365.25 / 12 / 7
# What `read_effect_type` understands; the first is not understood on purpose, so that the row is not pooled.
G_WORDS = {
    "unknown": "Hedges g, sign not recorded",
    "arm1": "Hedges g (positive favours arm 1)",
    "higher": "Hedges g",
}
GSense = Literal["unknown", "arm1", "higher"]
TimeUnit = Literal["weeks", "months"]


def looks_like_metapsy(header: Sequence[str]) -> str:
    """Recognise a table by its headers.

    Parameters
    ----------
    header : sequence of str
        The headers.

    Returns
    -------
    str
        By what it was recognised; empty when it was not.
    """
    names = {name.casefold() for name in header}
    found = [name for name in (*POST, *CHANGE, *EVENTS, *READY) if name in names]
    return f"study, {', '.join(found[:3])}" if "study" in names and found else ""


def read_metapsy(
    path: str | Path,
    *,
    g_favours: GSense = "unknown",
    time_unit: TimeUnit = "weeks",
    instruments: pd.DataFrame | str | Path | None = None,
    encoding: str | None = None,
) -> pd.DataFrame:
    r"""Read a table in the Metapsy data standard, or the folder of a Metapsy database.

    Arm 1 is taken for peer support. Every cell is kept: what metapeer has no column for stands in extra columns.

    Parameters
    ----------
    path : str or Path
        A CSV file, or a folder with ``data.csv`` and, if there is one, ``metadata/``.
    g_favours : {"unknown", "arm1", "higher"}, default "unknown"
        What a positive ``precalc_g`` and ``.g`` mean: arm 1 did better, or arm 1 scored higher (``"higher"``, as
        computed from means before any sign is changed). The file does not say; while it is unknown, ``precalc_g`` is
        kept but not pooled. With ``"arm1"``, ``.g`` is taken for the effect that the review pooled.
    time_unit : {"weeks", "months"}, default "weeks"
        The unit of ``time_weeks``. Some databases have months in that column.
    instruments : DataFrame, str or Path, optional
        As in `read_outcomes`.
    encoding : str, optional
        The file's encoding, when it is not recognised.

    Returns
    -------
    DataFrame
        As `read_outcomes` gives it. ``attrs["notes"]`` says what was taken for what, ``attrs["extras"]`` names the
        columns kept as they stand, ``attrs["metadata"]`` has the texts of a folder's ``metadata/`` by file name.

    Raises
    ------
    ChoiceError
        If an option is unknown.
    DataError
        If anything is wrong with the file; every fault is listed, with line and column.

    Warns
    -----
    DataWarning
        If rows fill more than one group of effect data, or `precalc_g` cannot be pooled for want of its sign.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> text = "study;n_arm1;mean_arm1;sd_arm1;n_arm2;mean_arm2;sd_arm2;time\nSmith, 2011;20;3,5;1,2;21;3,1;1,1;post\n"
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "data.csv"
    ...     _ = path.write_text(text)
    ...     rows = read_metapsy(path)
    >>> rows[["study_id", "mean1", "timepoint"]]
          study_id  mean1         timepoint
    0  Smith, 2011    3.5  end_of_treatment
    """
    check_choice("g_favours", g_favours, G_WORDS)
    check_choice("time_unit", time_unit, ("weeks", "months"))
    file, metadata = read_folder(path)
    table = split_table(read_limited(file), str(file), known_names(), encoding)
    draft = metapsy_draft(table, g_favours=g_favours, time_unit=time_unit)
    frame = checked(draft, instruments=instruments, stacklevel=2)
    if metadata:
        frame.attrs["metadata"] = metadata
    return frame


def known_names() -> tuple[str, ...]:
    """List every header that has a meaning here.

    Returns
    -------
    tuple of str
        In the standard's spelling.
    """
    return tuple(dict.fromkeys((*COLUMNS, *COMPUTED, *FREE, "format")))


def is_folder(path: object) -> bool:
    """Tell whether a path is that of a folder.

    Parameters
    ----------
    path : object
        What a user gave.

    Returns
    -------
    bool
        False also for what is no path.
    """
    if not isinstance(path, str | Path) or not str(path).strip():
        return False
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def read_folder(path: str | Path) -> tuple[str | Path, dict[str, str]]:
    """Find the data of a database's folder, and read the texts of its metadata.

    Parameters
    ----------
    path : str or Path
        A file or a folder.

    Returns
    -------
    file : str or Path
        The table.
    metadata : dict of str to str
        Texts by file name; empty for a file.

    Raises
    ------
    DataError
        If a folder has no data.csv, or too much metadata.
    """
    if not is_folder(path):
        return path, {}
    folder = Path(path)
    file = folder / "data.csv"
    if not file.is_file():
        raise DataError(str(path), ["is a folder without data.csv; name the table, or a Metapsy database's folder"])
    texts: dict[str, str] = {}
    beside = folder / "metadata"
    found = sorted(entry for entry in beside.iterdir() if entry.is_file()) if beside.is_dir() else []
    if len(found) > MOST_MEMBERS:
        raise DataError(str(beside), [f"has {len(found):,} files, more than the {MOST_MEMBERS:,} that are read"])
    size = 0
    for entry in found:
        if entry.is_symlink():
            raise DataError(str(entry), ["is a link out of its folder; put the file itself there"])
        if entry.stat().st_size == 0:
            texts[entry.name] = ""
            continue
        content = read_limited(entry)
        size += len(content)
        if size > MOST_UNPACKED:
            raise DataError(str(beside), [f"has more than the {MOST_UNPACKED:,} bytes that are read"])
        texts[entry.name] = decode(content, str(entry))[0] if content.strip() else ""
        if entry.suffix == ".json":
            try:
                json.loads(texts[entry.name])
            except (ValueError, RecursionError) as error:
                raise DataError(str(entry), [f"is not JSON ({shown(str(error))}); mend it or move it away"]) from None
    return file, texts


def metapsy_draft(table: ForeignTable, *, g_favours: GSense = "unknown", time_unit: TimeUnit = "weeks") -> Draft:
    """Make metapeer's columns of a Metapsy table.

    Parameters
    ----------
    table : ForeignTable
        Its cells.
    g_favours, time_unit
        As in `read_metapsy`.

    Returns
    -------
    Draft
        Its columns, every cell in its place or kept beside.

    Raises
    ------
    DataError
        If it has no column study.
    """
    table = table.spelt(known_names())
    draft = Draft(table=table, format="metapsy")
    if "study" not in table.cells:
        message = "the column is missing; a Metapsy table names the trial in it"
        raise DataError(table.source, [Fault(line=table.header_line, column="study", message=message)])
    mark = draft.mark(NUMBERS)
    draft.notes.append("arm 1 is taken for peer support, as in all of metapeer")
    draft.put("study_id", table.cells["study"], "study")
    done = {"study"}
    done |= _design(draft, mark, time_unit)
    done |= _arms(draft, mark)
    for name, origin in zip(EVENT_FIELDS, EVENTS, strict=True):
        if origin in table.cells:
            draft.put(name, [pointed(cell, mark) for cell in table.cells[origin]], origin)
            done.add(origin)
    done |= _ready_made(draft, mark, g_favours)
    for origin, name in FREE.items():
        if origin in table.cells:
            draft.put_what_fits(name, table.cells[origin], origin, mark)
            done.add(origin)
    _tell_groups(draft)
    done |= {*own_columns(draft)}
    for name, cells in table.cells.items():
        if name not in done:
            draft.keep(name, cells)
    return draft


def _design(draft: Draft, mark: str, time_unit: TimeUnit) -> set[str]:
    """Conditions, time, format and reference."""
    table, done = draft.table, set()
    if {"condition_arm1", "condition_arm2"} <= set(table.cells):
        one, two = (_arm_names(table, arm) for arm in (1, 2))
        same = [a.casefold() == b.casefold() for a, b in zip(one, two, strict=True)]
        draft.put("arm1", ["" if out else cell for out, cell in zip(same, one, strict=True)])
        draft.put("arm2", ["" if out else cell for out, cell in zip(same, two, strict=True)])
        draft.notes.append("arm1 and arm2 are condition_arm1 and 2, with multi_arm1 and 2 in brackets")
    if "condition_arm2" in table.cells:
        draft.put("comparator", table.cells["condition_arm2"])
    for origin, name in (("full_ref", "citation"), ("instrument", "instrument")):
        if origin in table.cells:
            draft.put(name, table.cells[origin], origin)
            done.add(origin)
    for origin, name, words in (("time", "timepoint", TIMES), ("format", "format", FORMATS)):
        if origin in table.cells:
            read = [words.get(cell.casefold(), "") for cell in table.cells[origin]]
            draft.put(name, read, origin)
            draft.keep_rest(origin, table.cells[origin], [not word for word in read])
            done.add(origin)
    if "time_weeks" in table.cells:
        read = [pointed(cell, mark) for cell in table.cells["time_weeks"]]
        draft.put("timepoint_months", [_months(cell, time_unit) for cell in read], "time_weeks")
        how = "as it stands" if time_unit == "months" else "divided by 365.25 / 12 / 7 weeks a month"
        draft.notes.append(f"timepoint_months is time_weeks {how}")
    return done


def _arm_names(table: ForeignTable, arm: int) -> list[str]:
    names = zip(table.get(f"condition_arm{arm}"), table.get(f"multi_arm{arm}"), strict=True)
    return ["" if blank(name) else name if blank(multi) else f"{name} [{multi}]" for name, multi in names]


def _months(cell: str, time_unit: TimeUnit) -> str:
    value = number_of(cell)
    return cell if value != value or time_unit == "months" else repr(value / WEEKS_IN_A_MONTH)  # noqa: PLR0124 - NaN


def _arms(draft: Draft, mark: str) -> set[str]:
    """Means at the time point, or changes where only they are given; what found no place is kept."""
    table = draft.table
    given = [name for name in (*POST, *CHANGE) if name in table.cells]
    if not given:
        return set()
    post = [_any(table, POST, row, sizes=False) for row in range(table.rows)]
    change = [_any(table, CHANGE, row, sizes=False) and not post[row] for row in range(table.rows)]
    for name, origin, other in zip(ARM_FIELDS, POST, CHANGE, strict=True):
        if origin in table.cells or other in table.cells:
            cells = zip(table.get(origin), table.get(other), change, strict=True)
            chosen = [pointed(changed if use else score, mark) for score, changed, use in cells]
            draft.put(name, chosen, origin if origin in table.cells else other)
            draft.keep_rest(origin, table.get(origin), change)
            draft.keep_rest(other, table.get(other), [not use for use in change])
    draft.put("statistic", ["change" if c else "post" if p else "" for p, c in zip(post, change, strict=True)])
    if any(change):
        draft.notes.append("rows with changes only have them in mean1 sd1 n1 mean2 sd2 n2, and statistic says change")
    return set(given)


def _any(table: ForeignTable, names: Sequence[str], row: int, *, sizes: bool) -> bool:
    used = [name for name in names if sizes or not name.startswith("n_")]
    return any(name in table.cells and not blank(table.cells[name][row]) for name in used)


def _ready_made(draft: Draft, mark: str, g_favours: GSense) -> set[str]:
    """Effects that are given as such: g first, then log RR; what is left is kept."""
    table, done = draft.table, set()
    if any(name in table.cells for name in READY):
        g, g_se, rr, rr_se = ([pointed(cell, mark) for cell in table.get(name)] for name in READY)
        use_rr = [blank(a) and blank(b) for a, b in zip(g, g_se, strict=True)]
        draft.put("es", [b if use else a for a, b, use in zip(g, rr, use_rr, strict=True)])
        draft.put("es_se", [b if use else a for a, b, use in zip(g_se, rr_se, use_rr, strict=True)])
        kinds = [
            ("" if blank(b) else "log RR") if use else G_WORDS[g_favours] for b, use in zip(rr, use_rr, strict=True)
        ]
        draft.put("es_type", kinds)
        draft.keep_rest("precalc_log_rr", table.get("precalc_log_rr"), [not use for use in use_rr])
        draft.keep_rest("precalc_log_rr_se", table.get("precalc_log_rr_se"), [not use for use in use_rr])
        draft.notes.append("es and es_se are precalc_g and its standard error, or precalc_log_rr where there is no g")
        lines = [line for line, kind in zip(table.lines, kinds, strict=True) if kind == G_WORDS["unknown"]]
        if lines:
            draft.doubts.append(
                f"{number_lines(lines)}: precalc_g is kept but cannot be pooled, since the file does not say which "
                "sign favours arm 1; read it with read_metapsy(..., g_favours='arm1') or 'higher' once you know"
            )
        done = {name for name in READY if name in table.cells}
    if set(COMPUTED) <= set(table.cells):
        if g_favours == "arm1":
            for name, origin in zip(("review_yi", "review_sei"), COMPUTED, strict=True):
                draft.put(name, [pointed(cell, mark) for cell in table.cells[origin]], origin)
                done.add(origin)
        else:
            draft.notes.append(".g is kept as it stands: the file does not say which sign favours arm 1")
    return done


def _tell_groups(draft: Draft) -> None:
    """Say where a row fills more than one group of effect data, which the standard forbids."""
    table = draft.table
    groups = (POST, CHANGE, EVENTS, ("precalc_g",), ("precalc_log_rr",))
    lines = [
        line
        for row, line in enumerate(table.lines)
        if sum(_any(table, group, row, sizes=False) for group in groups) > 1
    ]
    if lines:
        draft.doubts.append(
            f"{number_lines(lines)}: more than one group of effect data is filled; the Metapsy standard allows one. "
            "All are kept; check whether the columns are in line"
        )


def cells_for_metapsy(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Make a Metapsy table of metapeer's columns.

    Parameters
    ----------
    columns : dict of str to list of str
        Metapeer's columns and extras, as cells with decimal points.

    Returns
    -------
    dict of str to list of str
        The standard's columns, then free ones; what has no place in them is not there.
    """
    rows = len(next(iter(columns.values()), []))

    def get(name: str) -> list[str]:
        return columns.get(name) or [""] * rows

    def first(*names: str) -> list[str]:
        return [next((cell for cell in cells if not blank(cell)), "") for cells in zip(*map(get, names), strict=True)]

    out: dict[str, list[str]] = {name: [""] * rows for name in COLUMNS}
    out["study"] = get("study_id")
    for arm in ("1", "2"):
        multi = get(f"multi_arm{arm}")
        composed = zip(get(f"arm{arm}"), get(f"condition_arm{arm}"), multi, strict=True)
        kept = [bool(name) and (f"{name} [{many}]" if many else name) == whole for whole, name, many in composed]
        out[f"condition_arm{arm}"] = [
            name if keep or not whole else whole
            for whole, name, keep in zip(get(f"arm{arm}"), get(f"condition_arm{arm}"), kept, strict=True)
        ]
        out[f"multi_arm{arm}"] = [many if keep else "" for many, keep in zip(multi, kept, strict=True)]
    out["condition_arm2"] = [a or b for a, b in zip(out["condition_arm2"], get("comparator"), strict=True)]
    out["full_ref"], out["instrument"], out["rating"] = get("citation"), get("instrument"), get("rating")
    out["time"] = first("timepoint", "metapsy_time")
    out["time"] = [{"end_of_treatment": "post", "follow_up": "follow-up"}.get(cell, cell) for cell in out["time"]]
    weeks = zip(get("timepoint_months"), get("time_weeks"), strict=True)
    out["time_weeks"] = [_weeks(months, kept) for months, kept in weeks]
    changed = [cell == "change" for cell in get("statistic")]
    for name, post, change in zip(ARM_FIELDS, POST, CHANGE, strict=True):
        out[post] = [k if c else v for v, k, c in zip(get(name), get(post), changed, strict=True)]
        out[change] = [v if c else k for v, k, c in zip(get(name), get(change), changed, strict=True)]
    for name, origin in zip(EVENT_FIELDS, EVENTS, strict=True):
        out[origin] = get(name)
    is_rr = [kind.casefold() == "log rr" for kind in get("es_type")]
    is_g = [kind in G_WORDS.values() for kind in get("es_type")]
    for name, g, rr in (("es", "precalc_g", "precalc_log_rr"), ("es_se", "precalc_g_se", "precalc_log_rr_se")):
        out[g] = [cell if use else "" for cell, use in zip(get(name), is_g, strict=True)]
        kept_rr = get(rr)
        out[rr] = [cell if use else k for cell, use, k in zip(get(name), is_rr, kept_rr, strict=True)]
    several = zip(*(get(name) for name in ("mean1", "sd1", "mean2", "sd2")), strict=True)
    means = [any(cells) for cells in several]
    kinds = zip(get("outcome_type"), means, changed, get("events1"), strict=True)
    out["outcome_type"] = [
        kept or ("change" if mean and change else "msd" if mean else "response" if events else "")
        for kept, mean, change, events in kinds
    ]
    for origin, name in FREE.items():
        if name in columns:
            out[origin] = first(name, f"metapsy_{origin}", origin) if origin not in out else out[origin]
    if "format" in columns:
        back = {"one_to_one": "Individual", "group": "Group", "mixed": "Mixed"}
        out["format"] = [back.get(cell, cell) for cell in first("format", "metapsy_format")]
    for name, cells in columns.items():
        if name in COMPUTED and name not in out:
            out[name] = cells
    return out


def _weeks(months: str, kept: str) -> str:
    """Give the weeks that stood in the file, unless the months were changed since."""
    value = number_of(months)
    if value != value:  # noqa: PLR0124 - NaN
        return ""
    if kept and number_of(pointed(kept, ",")) / WEEKS_IN_A_MONTH == value:
        return kept.replace(",", ".")
    return repr(value * WEEKS_IN_A_MONTH).removesuffix(".0")
