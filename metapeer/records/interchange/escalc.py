"""Tables of R's metafor: the arguments of ``escalc()`` as columns, and ``yi``, ``vi`` that it adds."""

from collections.abc import Sequence

from metapeer.errors import DataError, Fault
from metapeer.records.interchange.cells import blank, number_of, pointed
from metapeer.records.interchange.tables import Draft, ForeignTable, own_columns
from metapeer.records.schema import EXTRACTION, OUTCOMES

__all__ = ["cells_for_escalc", "escalc_draft", "known_names", "looks_like_escalc"]

STUDY = ("study_id", "study", "slab", "trial", "studlab", "author")
# In the order of metafor's help page of escalc(); where a name serves several measures, `_several` decides by row.
PLAIN = {
    "ai": "events1",
    "ci": "events2",
    "x1i": "events1",
    "x2i": "events2",
    "t1i": "time1",
    "t2i": "time2",
    "m1i": "mean1",
    "m2i": "mean2",
    "sd1i": "sd1",
    "sd2i": "sd2",
    "xi": "events",
    "ti": "time",
    "mi": "mean",
    "sdi": "sd",
    "ri": "r",
    "yi": "yi",
    "vi": "vi",
    "sei": "sei",
    "measure": "measure",
}
SEVERAL = ("bi", "di", "n1i", "n2i", "ni", "mi")
# Names of metapeer's that mean something else in many of R's data sets; they come back only under metapeer_.
ELSEWHERE = frozenset({"time1", "time2", "oe", "v", "events", "total", "time", "mean", "sd", "r", "n", "line"})
OWN_NAMES = tuple(name for name in EXTRACTION.names if name not in ELSEWHERE)
TELLING = ("ai", "n1i", "m1i", "x1i", "xi", "ri", "yi", "ti", "es")
NUMBERS = tuple(name for name in dict.fromkeys((*PLAIN, *SEVERAL)) if name != "measure")


def known_names() -> tuple[str, ...]:
    """List every header that has a meaning here.

    Returns
    -------
    tuple of str
        Metafor's names, and metapeer's, which are kept.
    """
    return tuple(dict.fromkeys((*STUDY, *PLAIN, *SEVERAL, "year")))


def looks_like_escalc(header: Sequence[str]) -> str:
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
    found = [name for name in TELLING if name in names]
    found = [] if found == ["yi"] and not {"vi", "sei"} & names else found
    study = next((name for name in STUDY if name in names), "")
    return f"{study}, {', '.join(found[:3])}" if study and found else ""


def escalc_draft(table: ForeignTable) -> Draft:
    """Make metapeer's columns of a table of metafor's.

    Parameters
    ----------
    table : ForeignTable
        Its cells.

    Returns
    -------
    Draft
        Its columns.

    Raises
    ------
    DataError
        If no column names the studies, two say the same thing, or counts contradict each other.
    """
    table = table.spelt((*OWN_NAMES, *known_names()))
    draft = Draft(table=table, format="escalc")
    cells = table.cells
    study = next((name for name in STUDY if name in cells), "")
    if not study:
        message = f"the column is missing; name the studies in one of {', '.join(STUDY)}"
        raise DataError(table.source, [Fault(line=table.header_line, column="study", message=message)])
    if {"ai", "x1i"} <= set(cells) or {"ci", "x2i"} <= set(cells):
        raise DataError(table.source, ["has events as ai ci and as x1i x2i; keep the columns of one measure"])
    mark = draft.mark(NUMBERS)
    years = table.get("year")
    names = cells[study]
    if study == "author":
        names = [f"{a}, {y}" if y and not blank(y) else a for a, y in zip(names, years, strict=True)]
    draft.put("study_id", names, study)
    done = {study} if study != "author" else set()
    for origin, name in PLAIN.items():
        if origin in cells and not (origin == "mi" and "xi" in cells):
            draft.put(name, [pointed(cell, mark) for cell in cells[origin]], origin)
            done.add(origin)
    done |= _several(draft, mark)
    for name in OWN_NAMES:  # metapeer's own names, such as instrument, are what they say
        if name in cells and name not in draft.columns:
            if name in OUTCOMES.names and EXTRACTION[name].type in ("integer", "number"):
                draft.put(name, [pointed(cell, mark) for cell in cells[name]])
            else:
                draft.put_what_fits(name, cells[name], name, mark)
            done.add(name)
    done |= {*own_columns(draft)}
    for name, column in cells.items():
        if name not in done:
            draft.keep(name, column)
    draft.notes.append("group 1 of metafor is arm 1, taken for peer support")
    if "yi" in draft.columns:
        draft.notes.append("yi is taken as it stands; the file does not say which sign favours arm 1")
    return draft


def _several(draft: Draft, mark: str) -> set[str]:
    """Group sizes: of counts where the row has counts, of means otherwise; the other cells of a 2 x 2 table add up."""
    table = draft.table
    faults = []
    done = set()
    for arm, (events, others, size, means) in enumerate(
        (("ai", "bi", "n1i", ("m1i", "sd1i")), ("ci", "di", "n2i", ("m2i", "sd2i"))), start=1
    ):
        count, rest, n = ([pointed(cell, mark) for cell in table.get(name)] for name in (events, others, size))
        totals, sizes = [], []
        for row, line in enumerate(table.lines):
            counted = not blank(count[row]) or not blank(rest[row])
            total = "" if blank(n[row]) else n[row]
            if counted and not blank(rest[row]):
                both = number_of(count[row]) + number_of(rest[row])
                if total and both != number_of(total):
                    message = f"{total} is not the sum of {events} = {count[row]} and {others} = {rest[row]}"
                    faults.append(Fault(line=line, column=size, message=message))
                total = total or (repr(both).removesuffix(".0") if both == both else rest[row])  # noqa: PLR0124 - NaN
            has_means = any(not blank(table.get(name)[row]) for name in means)
            totals.append(total if counted else "")
            sizes.append(n[row] if has_means or not counted else "")
        if any(totals):
            draft.put(f"total{arm}", totals, size if size in table.cells else others)
        if any(not blank(cell) for cell in sizes):
            draft.put(f"n{arm}", sizes, size)
        done |= {name for name in (others, size) if name in table.cells}
    if faults:
        raise DataError(table.source, faults)
    if "ni" in table.cells:
        done.add("ni")
        n = [pointed(cell, mark) for cell in table.cells["ni"]]
        counts = [not blank(cell) for cell in table.get("xi")]
        if any(counts):
            draft.put("total", [cell if c else "" for cell, c in zip(n, counts, strict=True)], "ni")
        if not all(counts):
            draft.put("n", ["" if c else cell for cell, c in zip(n, counts, strict=True)], "ni")
    if {"xi", "mi"} <= set(table.cells):  # events and non-events of one group
        done.add("mi")
        draft.keep("mi", table.cells["mi"])
        if "ni" not in table.cells:
            pairs = zip(table.cells["xi"], table.cells["mi"], strict=True)
            sums = [number_of(pointed(a, mark)) + number_of(pointed(b, mark)) for a, b in pairs]
            draft.put("total", [repr(s).removesuffix(".0") if s == s else "" for s in sums])  # noqa: PLR0124 - NaN
    return done


def cells_for_escalc(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Make a table for metafor of metapeer's columns.

    Parameters
    ----------
    columns : dict of str to list of str
        Metapeer's columns and extras, as cells with decimal points.

    Returns
    -------
    dict of str to list of str
        ``study``, the arguments of ``escalc()``, ``yi``, ``vi``; what has no place in them is not there.
    """
    rows = len(next(iter(columns.values()), []))

    def get(name: str) -> list[str]:
        return columns.get(name) or [""] * rows

    out: dict[str, list[str]] = {"study": get("study_id")}
    for arm, events, others, size in (("1", "ai", "bi", "n1i"), ("2", "ci", "di", "n2i")):
        if any(get(f"time{arm}")):
            out[f"x{arm}i"], out[f"t{arm}i"] = get(f"events{arm}"), get(f"time{arm}")
        elif any(get(f"total{arm}")):
            pairs = list(zip(get(f"events{arm}"), get(f"total{arm}"), strict=True))
            out[events] = [count for count, _ in pairs]
            left = [number_of(total) - number_of(count) for count, total in pairs]
            out[others] = [repr(cell).removesuffix(".0") if cell == cell else "" for cell in left]  # noqa: PLR0124 - NaN
        if any(get(f"total{arm}")) or any(get(f"n{arm}")):
            pairs = list(zip(get(f"total{arm}"), get(f"n{arm}"), strict=True))
            out[size] = [n or total for total, n in pairs]
            if events in out:
                out[size] = [total or n for total, n in pairs]
    for name, origin in (
        *(("mean1", "m1i"), ("sd1", "sd1i"), ("mean2", "m2i"), ("sd2", "sd2i"), ("events", "xi"), ("time", "ti")),
        *(
            ("mean", "mi"),
            ("sd", "sdi"),
            ("r", "ri"),
            ("yi", "yi"),
            ("vi", "vi"),
            ("sei", "sei"),
            ("measure", "measure"),
        ),
    ):
        if any(get(name)) and not (origin == "mi" and "xi" in out):
            out[origin] = get(name)
    if any(get("total")) or any(get("n")):
        out["ni"] = [total or n for total, n in zip(get("total"), get("n"), strict=True)]
    for name in OWN_NAMES:
        if name in columns and name not in ("study_id", *PLAIN, *PLAIN.values(), "n1", "n2", "total1", "total2"):
            out.setdefault(name, columns[name])
    return out
