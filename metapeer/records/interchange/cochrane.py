"""Cochrane data packages (zip), and tables of RevMan as CSV.

The columns of ``...-data-rows.csv`` and ``...-overall-estimates-and-settings.csv`` are those that R's meta reads
(``read.cdir``). The headers of RevMan's import templates and of its older exports were not seen: they are recognised by
their meaning from a list of synonyms, and that is unverified.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from metapeer.errors import DataError, Fault
from metapeer.records.decode import shown
from metapeer.records.interchange.cells import blank, pointed
from metapeer.records.interchange.limits import Archive
from metapeer.records.interchange.revman import drop_empty, effect_words, set_aside, state_arms
from metapeer.records.interchange.tables import OWN, Draft, ForeignTable, foreign_table, own_columns, split_table
from metapeer.records.rows import plain_name

__all__ = [
    "cells_for_revman",
    "known_names",
    "looks_like_package",
    "looks_like_revman",
    "package_draft",
    "revman_draft",
]

ROWS, SETTINGS, ROB, DIAGNOSTIC = (
    "-data-rows.csv",
    "-overall-estimates-and-settings.csv",
    "-risk-of-bias.csv",
    "-parameters.csv",
)
INNER = "-data.zip"
DATA_ROWS = {  # the headers of a data package, in order, and what they are here
    "Analysis group": "analysis_group",
    "Analysis number": "analysis_number",
    "Analysis name": "outcome",
    "Subgroup": "subgroup",
    "Study": "study",
    "Study year": "year",
    "Experimental cases": "events1",
    "Experimental N": "size1",
    "Experimental mean": "mean1",
    "Experimental SD": "sd1",
    "Control cases": "events2",
    "Control N": "size2",
    "Control mean": "mean2",
    "Control SD": "sd2",
    "O-E": "oe",
    "Variance": "v",
    "GIV Mean": "es",
    "GIV SE": "es_se",
    "CI start": "ci_start",
    "CI end": "ci_end",
    "Weight": "weight",
    "Footnotes": "footnotes",
}
FROM_SETTINGS = {
    "Analysis group name": "comparison",
    "Data type": "data_type",
    "Effect measure": "effect_measure",
    "Log-scale data": "log_scale",
    "Experimental group label": "group_label_1",
    "Control group label": "group_label_2",
}
SYNONYMS = {  # by letters and digits only; unverified but for those of DATA_ROWS
    "study": "study studyid studyname studylabel studlab",
    "year": "studyyear year yearofstudy publicationyear",
    "comparison": "comparison comparisonname analysisgroupname",
    "outcome": "analysisname outcome outcomename outcometitle",
    "subgroup": "subgroup subgroupname",
    "time": "timepoint timepointname followup",
    "events1": "experimentalcases experimentalevents interventionevents events1",
    "size1": "experimentaln experimentaltotal interventionn interventiontotal total1",
    "mean1": "experimentalmean interventionmean mean1",
    "sd1": "experimentalsd interventionsd sd1 standarddeviation1",
    "events2": "controlcases controlevents comparatorevents events2",
    "size2": "controln controltotal comparatorn comparatortotal total2",
    "mean2": "controlmean comparatormean mean2",
    "sd2": "controlsd comparatorsd sd2 standarddeviation2",
    "oe": "oe observedminusexpected",
    "v": "variance",
    "es": "givmean effectestimate estimate",
    "es_se": "givse se standarderror",
    "data_type": "datatype",
    "effect_measure": "effectmeasure",
    "log_scale": "logscaledata logscale",
    "group_label_1": "experimentalgrouplabel grouplabel1",
    "group_label_2": "controlgrouplabel grouplabel2",
    "arm": "arm armname studyarm interventionname interventiongroup",
    "role": "armrole armtype role grouprole",
    "events": "events cases numberofevents eventcount",
    "size": "n total participants samplesize numberofparticipants numberanalysed",
    "mean": "mean",
    "sd": "sd standarddeviation",
}
ROLE_OF = {synonym: role for role, words in SYNONYMS.items() for synonym in words.split()}
PAIRED = ("events1", "mean1", "es", "oe")
EXPERIMENTAL = {"experimental", "intervention", "treatment", "arm1", "1"}
CONTROL = {"control", "comparator", "comparison", "placebo", "arm2", "2"}
NUMBERS = (*(f"{name}{arm}" for name in ("events", "size", "mean", "sd") for arm in (1, 2)), "oe", "v", "es", "es_se")


def known_names() -> tuple[str, ...]:
    """List the headers of a data package.

    Returns
    -------
    tuple of str
        In Cochrane's spelling.
    """
    return (*DATA_ROWS, *FROM_SETTINGS)


def looks_like_revman(header: Sequence[str]) -> str:
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
    roles = _roles(header)
    found = [roles[role] for role in ("study", *PAIRED, "size1") if role in roles]
    if "study" in roles and len(found) > 1:
        return ", ".join(found[:3])
    arms = [roles[role] for role in ("study", "arm", "role", "events", "mean") if role in roles]
    return ", ".join(arms[:3]) if {"study", "role"} <= set(roles) and ("events" in roles or "mean" in roles) else ""


def looks_like_package(names: Sequence[str]) -> str:
    """Recognise a zip archive by the files in it.

    Parameters
    ----------
    names : sequence of str
        Its files.

    Returns
    -------
    str
        By what it was recognised; empty when it was not.
    """
    return next((name for name in names if name.endswith((ROWS, INNER, DIAGNOSTIC))), "")


def _roles(header: Iterable[str]) -> dict[str, str]:
    """Say which header plays which part: the first one that fits."""
    roles: dict[str, str] = {}
    for name in header:
        if not name.casefold().startswith(OWN) and (role := ROLE_OF.get(plain_name(name))):
            roles.setdefault(role, name)
    return roles


def package_draft(content: bytes, source: str) -> Draft:
    """Make metapeer's columns of a Cochrane data package.

    Parameters
    ----------
    content : bytes
        The zip archive.
    source : str
        Its name, for messages.

    Returns
    -------
    Draft
        One row for each study of each analysis; lines are those of the data rows.

    Raises
    ------
    DataError
        If it is damaged or dangerous, a review of diagnostic tests, or has no data rows.
    """
    files = _files(Archive(content, source), source)
    if any(name.endswith(DIAGNOSTIC) for name in files):
        raise DataError(source, ["is the data package of a review of diagnostic tests, which metapeer does not pool"])
    rows = _one(files, ROWS, source)
    if rows is None:
        message = f"has no file ...{ROWS}; a Cochrane data package is got with 'Download data' beside the review"
        raise DataError(source, [message])
    table = split_table(files[rows], f"{source} ({PurePosixPath(rows).name})", known_names())
    settings = _one(files, SETTINGS, source)
    if settings is not None:
        about = split_table(files[settings], f"{source} ({PurePosixPath(settings).name})", known_names())
        table = _joined(table, about)
    draft = revman_draft(table, format_name="cochrane")
    rob = _one(files, ROB, source)
    if rob is not None and files[rob].strip():
        _risk_of_bias(draft, split_table(files[rob], f"{source} ({PurePosixPath(rob).name})", ("Study",)))
    read = [PurePosixPath(name).name for name in (rows, settings, rob) if name is not None]
    draft.notes.append(f"read of the archive: {', '.join(read)}; {len(files) - len(read)} other files were passed over")
    return draft


def _files(archive: Archive, source: str) -> dict[str, bytes]:
    """Read the tables of the archive, and of the one archive in it that a data package has."""
    wanted = (ROWS, SETTINGS, ROB, DIAGNOSTIC)
    files = {name: archive.read(name) if name.endswith(wanted) else b"" for name in archive.names}
    inner = [name for name in archive.names if name.endswith(INNER)]
    if inner and not any(name.endswith(ROWS) for name in files):
        if len(inner) > 1:
            raise DataError(source, [f"holds {len(inner)} data archives; unpack it and read one of them"])
        nested = Archive(archive.read(inner[0]), f"{source} ({PurePosixPath(inner[0]).name})")
        files |= {name: nested.read(name) if name.endswith(wanted) else b"" for name in nested.names}
    return files


def _one(files: dict[str, bytes], ending: str, source: str) -> str | None:
    found = [name for name in files if name.endswith(ending)]
    if len(found) > 1:
        raise DataError(source, [f"holds {len(found)} files ...{ending}; read the package of one review"])
    return found[0] if found else None


def _joined(table: ForeignTable, settings: ForeignTable) -> ForeignTable:
    """Put what the settings say of an analysis beside each of its rows."""
    keys = ("Analysis group", "Analysis number")
    if not all(key in part.cells for key in keys for part in (table, settings)):
        return table
    at = {key: row for row, key in enumerate(zip(*(settings.cells[key] for key in keys), strict=True))}
    place = [at.get(key) for key in zip(*(table.cells[key] for key in keys), strict=True)]
    added = {
        name: ["" if row is None else settings.cells[name][row] for row in place]
        for name in settings.cells
        if name not in table.cells
    }
    return replace(table, cells={**table.cells, **added})


def _risk_of_bias(draft: Draft, rob: ForeignTable) -> None:
    """Put the judgements beside the rows of each study, under the domains' own names."""
    if "Study" not in rob.cells:
        draft.notes.append(f"{rob.source} has no column Study and was passed over")
        return
    at = {study: row for row, study in enumerate(rob.cells["Study"])}
    place = [at.get(study) for study in draft.columns["study_id"]]
    for name, cells in rob.cells.items():
        if name != "Study":
            draft.keep(f"rob: {name}", ["" if row is None else cells[row] for row in place])
    draft.notes.append(
        "risk of bias stands in extra columns by the tool's own domains, which need not be those of RoB 2"
    )


def revman_draft(table: ForeignTable, *, format_name: str = "revman_csv") -> Draft:
    """Make metapeer's columns of a table of RevMan's, with a row for each comparison or for each arm.

    Parameters
    ----------
    table : ForeignTable
        Its cells.
    format_name : str, default "revman_csv"
        How the format is called.

    Returns
    -------
    Draft
        Its columns.

    Raises
    ------
    DataError
        If no column names the studies, or the arms cannot be told apart.
    """
    table = table.spelt(known_names())
    roles = _roles(table.cells)
    if "study" not in roles:
        message = "the column is missing; name the studies in it"
        raise DataError(table.source, [Fault(line=table.header_line, column="Study", message=message)])
    by_arm = not any(role in roles for role in PAIRED) and ("events" in roles or "mean" in roles)
    if by_arm:
        table = _paired(table, roles)
        roles = _roles(table.cells)
    draft = Draft(table=table, format=format_name)
    cells = {role: table.cells[name] for role, name in roles.items()}
    mark = draft.mark([roles[role] for role in NUMBERS if role in roles])
    cells |= {role: [pointed(cell, mark) for cell in cells[role]] for role in NUMBERS if role in roles}
    done = {roles[role] for role in ("study", "comparison", "outcome", *NUMBERS) if role in roles}
    draft.put("study_id", cells["study"], roles["study"])
    for role in ("comparison", "outcome"):
        if role in roles:
            draft.put(role, cells[role], roles[role])
    if by_arm:
        draft.put("arm1", table.cells["group_label_1"])
        draft.put("arm2", table.cells["group_label_2"])
    if "group_label_2" in roles:
        draft.put("comparator", cells["group_label_2"], roles["group_label_2"])
    if "year" in roles:
        draft.put_what_fits("year", cells["year"], roles["year"], ".")
        done.add(roles["year"])
    _numbers(draft, cells, roles)
    set_aside(draft)
    done |= {*own_columns(draft)}
    for name, column in table.cells.items():
        if name not in done:
            draft.keep(name, column)
    state_arms(draft)
    if format_name == "revman_csv":
        draft.notes.append("headers were recognised by their meaning; check that each was taken for what it is")
    return draft


def _numbers(draft: Draft, cells: dict[str, list[str]], roles: dict[str, str]) -> None:
    """Take for each row the numbers of its data type; N belongs to counts or to means."""
    rows = draft.table.rows
    empty = [""] * rows

    def get(role: str) -> list[str]:
        return cells.get(role, empty)

    kinds = [
        _kind(*row) for row in zip(get("data_type"), get("events1"), get("mean1"), get("es"), get("oe"), strict=True)
    ]
    for fields, kind in (
        (("events1", "events2"), "D"),
        (("mean1", "sd1", "mean2", "sd2"), "C"),
        (("oe", "v"), "P"),
        (("es", "es_se"), "I"),
    ):
        for field in fields:
            if field in roles:
                use = [found == kind for found in kinds]
                draft.put(field, [cell if u else "" for cell, u in zip(cells[field], use, strict=True)], roles[field])
                rest = [not u and cell not in ("0", "0.0") for cell, u in zip(cells[field], use, strict=True)]
                draft.keep_rest(roles[field], cells[field], rest)
    for arm in "12":
        size = get(f"size{arm}")
        counts = ["" if kind != "D" else cell for cell, kind in zip(size, kinds, strict=True)]
        none = [kind in ("I", "P") and cell in ("0", "0.0") for cell, kind in zip(size, kinds, strict=True)]
        sizes = ["" if kind == "D" or no else cell for cell, kind, no in zip(size, kinds, none, strict=True)]
        draft.put(f"total{arm}", counts, roles.get(f"size{arm}", ""))
        draft.put(f"n{arm}", sizes, roles.get(f"size{arm}", ""))
    if "es" in roles:
        logs = (
            {"true": True, "yes": True, "false": False, "no": False}.get(cell.casefold()) for cell in get("log_scale")
        )
        measures = zip(get("effect_measure"), logs, draft.columns["es"], strict=True)
        draft.put("es_type", ["" if blank(es) else effect_words(name, logarithm=log) for name, log, es in measures])
    drop_empty(draft, ["total1", "total2", "n1", "n2", "events1", "events2", "mean1", "sd1", "mean2", "sd2", "oe", "v"])
    drop_empty(draft, ["es", "es_se", "es_type"])


def _kind(stated: str, events: str, mean: str, es: str, oe: str) -> str:
    """Tell dichotomous (D), continuous (C), observed minus expected (P) and ready-made (I) rows apart."""
    plain = plain_name(stated)
    for words, kind in (("dich", "D"), ("cont", "C"), ("oe", "P"), ("ipd", "P"), ("giv", "I"), ("iv", "I")):
        if plain.startswith(words):
            return "I" if plain.startswith("contrast") else kind
    if not blank(mean):
        return "C"
    if not blank(events):
        return "D"
    return "P" if not blank(oe) else "I" if not blank(es) else "C"


def _paired(table: ForeignTable, roles: dict[str, str]) -> ForeignTable:
    """Make comparisons of rows that have one arm each: every experimental arm against the one control arm."""
    if "role" not in roles:
        message = (
            "each row is one arm, and no column says which arm is the control; add a column 'arm role' with "
            "experimental or control"
        )
        raise DataError(table.source, [Fault(line=table.header_line, message=message)])
    cells = {role: table.cells[name] for role, name in roles.items()}
    by = [cells[role] for role in ("study", "comparison", "outcome", "subgroup", "time") if role in cells]
    others = [name for name in table.cells if name not in {roles[r] for r in roles if r in ARM_ROLES}]
    groups: dict[tuple[str, ...], list[int]] = {}
    for row in range(table.rows):
        groups.setdefault(tuple(column[row] for column in by), []).append(row)
    faults, pairs = [], []
    for key, members in groups.items():
        words = {row: plain_name(cells["role"][row]) for row in members}
        ones = [row for row in members if words[row] in EXPERIMENTAL]
        twos = [row for row in members if words[row] in CONTROL]
        for row in members:
            if row not in ones and row not in twos:
                message = f"{shown(cells['role'][row])!r} is no role; write experimental or control"
                faults.append(
                    Fault(line=table.lines[row], row=shown(", ".join(key)), column=roles["role"], message=message)
                )
        if len(twos) != 1 or not ones:
            found = f"{len(ones)} experimental and {len(twos)} control arms"
            message = f"{found}; one control arm is needed, and one or more others"
            faults.append(Fault(line=table.lines[members[0]], row=shown(", ".join(key)), message=message))
        pairs += [(one, two) for one in ones for two in twos[:1]]
    if faults:
        raise DataError(table.source, faults)
    pairs.sort()
    names = cells.get("arm", cells["role"])
    out = {name: [table.cells[name][one] for one, _ in pairs] for name in others}
    for arm in (1, 2):
        out[f"group_label_{arm}"] = [names[pair[arm - 1]] for pair in pairs]
        for role, new in (("events", "Events"), ("size", "Total"), ("mean", "Mean"), ("sd", "SD")):
            if role in cells:
                out[f"{new} {arm}"] = [cells[role][pair[arm - 1]] for pair in pairs]
    return foreign_table(
        source=table.source,
        header=list(out),
        columns=list(out.values()),
        lines=[table.lines[one] for one, _ in pairs],
        separator=table.separator,
        header_line=table.header_line,
        doubts=table.doubts,
    )


ARM_ROLES = ("arm", "role", "events", "size", "mean", "sd")


def cells_for_revman(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Make a table like the data rows of a Cochrane data package.

    Parameters
    ----------
    columns : dict of str to list of str
        Metapeer's columns and extras, as cells with decimal points.

    Returns
    -------
    dict of str to list of str
        The columns of the data rows and, from the settings, the data type, measure and scale of each row.
    """
    rows = len(next(iter(columns.values()), []))

    def get(name: str) -> list[str]:
        return columns.get(name) or [""] * rows

    given = {
        "D": [any(cells) for cells in zip(get("events1"), get("events2"), strict=True)],
        "C": [any(cells) for cells in zip(*map(get, ("mean1", "sd1", "mean2", "sd2")), strict=True)],
        "P": [any(cells) for cells in zip(get("oe"), get("v"), strict=True)],
        "I": [any(cells) for cells in zip(get("es"), get("es_se"), strict=True)],
    }
    kinds = [next((kind for kind in "CDPI" if given[kind][row]), "C") for row in range(rows)]
    groups = {name: str(number) for number, name in enumerate(dict.fromkeys(get("comparison")), start=1)}
    pairs = list(zip(get("comparison"), get("outcome"), strict=True))
    numbers: dict[tuple[str, str], str] = {}
    for pair in dict.fromkeys(pairs):
        numbers[pair] = str(sum(known[0] == pair[0] for known in numbers) + 1)
    out = {name: [""] * rows for name in DATA_ROWS}
    out["Analysis group"] = [groups[name] for name, _ in pairs]
    out["Analysis number"] = [numbers[pair] for pair in pairs]
    out["Analysis name"], out["Study"], out["Study year"] = get("outcome"), get("study_id"), get("year")
    out["Subgroup"] = get("Subgroup") if "Subgroup" in columns else get("outcome_group")
    for name, field, kind in (
        ("Experimental cases", "events1", "D"),
        ("Control cases", "events2", "D"),
        ("Experimental mean", "mean1", "C"),
        ("Experimental SD", "sd1", "C"),
        ("Control mean", "mean2", "C"),
        ("Control SD", "sd2", "C"),
        ("O-E", "oe", "P"),
        ("Variance", "v", "P"),
        ("GIV Mean", "es", "I"),
        ("GIV SE", "es_se", "I"),
    ):
        out[name] = [cell if found == kind else "" for cell, found in zip(get(field), kinds, strict=True)]
    for name, arm in (("Experimental N", "1"), ("Control N", "2")):
        sizes = zip(get(f"total{arm}"), get(f"n{arm}"), kinds, strict=True)
        out[name] = [total if kind == "D" else n for total, n, kind in sizes]
    out["Analysis group name"] = get("comparison")
    types = {"D": "Dichotomous", "C": "Continuous", "P": "O-E and variance", "I": "Contrast level"}
    out["Data type"] = [types[kind] for kind in kinds]
    words = [
        (kind.casefold().removeprefix("log ").strip(), kind.casefold().startswith("log ")) for kind in get("es_type")
    ]
    out["Effect measure"] = [_MEASURES.get(word, "") for word, _ in words]
    out["Log-scale data"] = [("TRUE" if log else "FALSE") if word in _MEASURES else "" for word, log in words]
    out["Control group label"] = get("comparator")
    return out


_MEASURES = {
    "rr": "Risk Ratio",
    "or": "Odds Ratio",
    "hr": "Hazard Ratio",
    "irr": "Rate Ratio",
    "md": "Mean Difference",
    "smd": "Std. Mean Difference",
    "rd": "Risk Difference",
}
