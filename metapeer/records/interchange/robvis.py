"""Risk of bias as the R package robvis reads it: ``Study``, ``D1`` to ``D5``, ``Overall`` and, at will, ``Weight``.

The judgements are those of RoB 2 (Low, Some concerns, High, No information), kept as they stand. There is one row for
each trial and no effect, so that the rows are put beside a table of effects by ``study_id``.
"""

from collections.abc import Sequence

from metapeer.errors import DataError, Fault
from metapeer.records.decode import shown
from metapeer.records.interchange.tables import Draft, ForeignTable, own_columns

__all__ = ["cells_for_robvis", "known_names", "looks_like_robvis", "robvis_draft"]

COLUMNS = {
    "Study": "study_id",
    **{f"D{domain}": f"rob_d{domain}" for domain in range(1, 6)},
    "Overall": "rob_overall",
}


def known_names() -> tuple[str, ...]:
    """List every header that has a meaning here.

    Returns
    -------
    tuple of str
        In robvis's spelling.
    """
    return (*COLUMNS, "Weight")


def looks_like_robvis(header: Sequence[str]) -> str:
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
    return "Study, D1, Overall" if {"study", "d1", "overall"} <= names else ""


def robvis_draft(table: ForeignTable) -> Draft:
    """Make metapeer's columns of a table for robvis.

    Parameters
    ----------
    table : ForeignTable
        Its cells.

    Returns
    -------
    Draft
        One row for each trial, without effects.

    Raises
    ------
    DataError
        If it has no column Study, or names a trial twice.
    """
    draft = Draft(table=table, format="robvis", with_effects=False)
    spelt = {name.casefold(): name for name in table.cells}
    if "study" not in spelt:
        message = "the column is missing; robvis names the trial in it"
        raise DataError(table.source, [Fault(line=table.header_line, column="Study", message=message)])
    done = set()
    for origin, name in COLUMNS.items():
        header = spelt.get(origin.casefold())
        if header is not None:
            draft.put(name, table.cells[header], header)
            done.add(header)
    first: dict[str, int] = {}
    faults = []
    for line, study in zip(table.lines, draft.columns["study_id"], strict=True):
        if study and first.setdefault(study, line) != line:
            message = f"stands in line {first[study]}, too; robvis has one row for each trial"
            faults.append(Fault(line=line, row=shown(study), message=message))
    if faults:
        raise DataError(table.source, faults)
    done |= {*own_columns(draft)}
    for name, cells in table.cells.items():
        if name not in done:
            draft.keep(name, cells)
    draft.notes.append("one row for each trial and no effects; put it beside a table of effects by study_id")
    if "D6" in {name.upper() for name in table.cells}:
        draft.doubts.append(
            "there are more than the five domains of RoB 2, so the tool may be another; check the domains"
        )
    return draft


def cells_for_robvis(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Make a table for robvis of metapeer's columns: the first row of each trial.

    Parameters
    ----------
    columns : dict of str to list of str
        Metapeer's columns and extras, as cells.

    Returns
    -------
    dict of str to list of str
        ``Study``, ``D1`` to ``D5``, ``Overall``, and ``Weight`` if there is one.

    Raises
    ------
    DataError
        If there is no judgement, or rows of one trial have different ones.
    """
    names = [name for name in COLUMNS.values() if name in columns]
    if names == ["study_id"]:
        raise DataError(
            "the table", ["has no risk of bias (rob_d1 to rob_d5, rob_overall), so robvis has nothing to draw"]
        )
    judged: dict[str, tuple[str, ...]] = {}
    faults = []
    for row in zip(*(columns[name] for name in names), strict=True):
        known = judged.setdefault(row[0], row)
        for name, one, other in zip(names, known, row, strict=True):
            if one != other:
                message = (
                    f"{one!r} and {other!r} in different rows of the trial; robvis has one judgement for each trial"
                )
                faults.append(Fault(row=shown(row[0]), column=name, message=message))
    if faults:
        raise DataError("the table", list(dict.fromkeys(faults)))
    out = {
        origin: [row[names.index(name)] for row in judged.values()] for origin, name in COLUMNS.items() if name in names
    }
    for domain in range(1, 6):
        out.setdefault(f"D{domain}", [""] * len(judged))
    out.setdefault("Overall", [""] * len(judged))
    weights = dict(zip(columns["study_id"], columns.get("Weight", ()), strict=False))
    if weights:
        out["Weight"] = [weights[study] for study in judged]
    order = [*(name for name in COLUMNS), *(["Weight"] if weights else [])]
    return {name: out[name] for name in order}
