"""RevMan 5 files (``.rm5``): the analyses of a Cochrane review in XML.

Read are ``DICH_OUTCOME`` (events), ``CONT_OUTCOME`` (means), ``IV_OUTCOME`` (ready-made effects) and ``IPD_OUTCOME``
(observed minus expected), with their subgroups, and the studies' names and years. The structure was learnt from
programs that read such files, since no schema of it was found. Entities and document types are refused.
"""

from typing import Any

from metapeer.errors import DataError
from metapeer.records.interchange.cells import blank
from metapeer.records.interchange.limits import check_size, parse_xml
from metapeer.records.interchange.revman import drop_empty, effect_words, set_aside, state_arms, tidy
from metapeer.records.interchange.tables import Draft, foreign_table

__all__ = ["looks_like_rm5", "rm5_draft"]

KINDS = ("DICH", "CONT", "IV", "IPD")
NUMBERS = {
    "events1": "EVENTS_1",
    "events2": "EVENTS_2",
    "mean1": "MEAN_1",
    "sd1": "SD_1",
    "mean2": "MEAN_2",
    "sd2": "SD_2",
    "oe": "O_E",
    "v": "VAR",
}
OF_KIND = {"DICH": ("events1", "events2"), "CONT": ("mean1", "sd1", "mean2", "sd2"), "IV": (), "IPD": ("oe", "v")}
SIZES = {"DICH": ("total1", "total2"), "CONT": ("n1", "n2"), "IV": ("n1", "n2"), "IPD": ("n1", "n2")}
CONTEXT = (
    "comparison",
    "outcome",
    "subgroup",
    "analysis",
    "effect_measure",
    "data_type",
    "group_label_1",
    "group_label_2",
)
FIELDS = (
    "study_id",
    "comparison",
    "comparator",
    "outcome",
    *NUMBERS,
    "total1",
    "total2",
    "n1",
    "n2",
    "es_type",
    "es",
    "es_se",
    "year",
)


def looks_like_rm5(content: bytes) -> str:
    """Recognise a file by its first element.

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    str
        By what it was recognised; empty when it was not.
    """
    head = content[:4096].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return "the XML element COCHRANE_REVIEW" if head.startswith(b"<") and b"<COCHRANE_REVIEW" in head else ""


def rm5_draft(content: bytes, source: str) -> Draft:
    """Make metapeer's columns of a RevMan 5 file.

    Parameters
    ----------
    content : bytes
        The file.
    source : str
        Its name, for messages.

    Returns
    -------
    Draft
        One row for each study of each analysis; lines count these rows, from 2.

    Raises
    ------
    DataError
        If it is no such file, has no analysis, or is larger than the limits.
    """
    root = parse_xml(content, source)
    if root.tag != "COCHRANE_REVIEW":
        message = f"begins with the element {tidy(str(root.tag))[:40]!r}, not COCHRANE_REVIEW as RevMan 5 does"
        raise DataError(source, [message])
    if (root.get("TYPE") or "").upper() == "DTA" or root.find(".//DTA_DATA") is not None:
        raise DataError(source, ["is a review of diagnostic tests, which metapeer does not pool"])
    studies = {
        study.get("ID", ""): (tidy(study.get("NAME") or ""), (study.get("YEAR") or "").strip(" ."))
        for study in root.iter("STUDY")
    }
    rows: list[dict[str, str]] = []
    for comparison in root.iter("COMPARISON"):
        for outcome in comparison:
            kind = str(outcome.tag).removesuffix("_OUTCOME")
            if kind not in KINDS or not str(outcome.tag).endswith("_OUTCOME"):
                continue
            about = _about(comparison, outcome, kind)
            for part, group in [(outcome, ""), *((g, _name(g)) for g in outcome.findall(f"{kind}_SUBGROUP"))]:
                rows += [
                    _row(data, kind, {**about, "subgroup": group}, studies) for data in part.findall(f"{kind}_DATA")
                ]
                check_size(source, rows=len(rows), columns=len(FIELDS) + len(CONTEXT))
    if not rows:
        raise DataError(source, ["has no analysis with data of studies; only the prose of a review or its protocol"])
    extras = list(dict.fromkeys(name for row in rows for name in row if name not in FIELDS))
    header = [*FIELDS, *extras]
    table = foreign_table(
        source=source,
        header=header,
        columns=[[row.get(name, "") for row in rows] for name in header],
        lines=range(2, len(rows) + 2),
    )
    draft = Draft(table=table, format="rm5")
    for name in FIELDS:
        if name == "year":
            draft.put_what_fits(name, table.cells[name], "year", ".")
        else:
            draft.put(name, table.cells[name])
    drop_empty(draft, [name for name in FIELDS if name != "study_id"])
    for name in extras:
        draft.keep(name, table.cells[name])
    draft.notes.append("line counts the studies of the analyses, from 2: an XML file has no rows")
    state_arms(draft)
    set_aside(draft)
    unclear = [line for line, kind in zip(table.lines, table.cells["es_type"], strict=True) if "not recorded" in kind]
    if unclear:
        draft.doubts.append(
            f"{len(unclear)} ready-made effects do not say on which scale they are, so that they are not pooled; look "
            "at their analysis in RevMan and correct es_type (log OR, OR)"
        )
    return draft


def _name(element: Any) -> str:
    found = element.find("NAME")
    return "" if found is None else tidy("".join(found.itertext()))


def _text(element: Any, tag: str) -> str:
    found = element.find(tag)
    return "" if found is None else tidy("".join(found.itertext()))


def _about(comparison: Any, outcome: Any, kind: str) -> dict[str, str]:
    measure = outcome.get("EFFECT_MEASURE") or _text(outcome, "EFFECT_MEASURE")
    flag = (outcome.get("LOG_DATA") or "").upper()
    label = _text(outcome, "GROUP_LABEL_2")
    return {
        "comparison": _name(comparison),
        "comparator": label,
        "outcome": _name(outcome),
        "analysis": ".".join(part.get("NO", "") for part in (comparison, outcome)).strip("."),
        "data_type": kind,
        "effect_measure": tidy(measure),
        "group_label_1": _text(outcome, "GROUP_LABEL_1"),
        "group_label_2": label,
        "log_data": flag,
    }


def _row(data: Any, kind: str, about: dict[str, str], studies: dict[str, tuple[str, str]]) -> dict[str, str]:
    given = {name: value.strip() for name, value in data.attrib.items()}
    study = given.pop("STUDY_ID", "")
    name, year = studies.get(study, ("", ""))
    row = {**about, "study_id": name or study, "revman_study_id": study, "year": year}
    for field in OF_KIND[kind]:
        row[field] = given.pop(NUMBERS[field], "")
    for field, attribute in zip(SIZES[kind], ("TOTAL_1", "TOTAL_2"), strict=True):
        row[field] = given.pop(attribute, "")
    if kind == "IV":  # ESTIMATE is what was typed in; EFFECT_SIZE is what the forest plot shows
        row["es"], row["es_se"] = given.pop("ESTIMATE", ""), given.pop("SE", "")
        flag = about["log_data"]
        scale = {"YES": True, "NO": False}.get(flag)
        row["es_type"] = "" if blank(row["es"]) else effect_words(about["effect_measure"], logarithm=scale)
        if kind == "IV" and all(blank(row[size]) or row[size] == "0" for size in SIZES["IV"]):
            row["n1"] = row["n2"] = ""  # RevMan writes 0 where no arm sizes were given
    row.update({f"revman_{name.casefold()}": value for name, value in given.items()})
    return row
