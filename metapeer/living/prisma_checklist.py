"""The items that PRISMA-LSR adds for living reviews: which ones the files of a review answer, and which a person must.

The wording is ours; the extension has the items and elements in full, with explanations. Nothing here judges what is
written: that a file answers an item means that the answer can be copied from it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from metapeer.errors import MetapeerError
from metapeer.formatting import Printable, TextTable, count
from metapeer.living.prisma import FILE, prisma_flow
from metapeer.living.releasing import review_contents
from metapeer.living.releasing_lock import LOCK, NEWS, Lock, input_hashes, read_lock
from metapeer.living.releasing_words import HEADING, markdown
from metapeer.records.package import FILE_NAME

__all__ = ["ChecklistItem", "LivingChecklist", "living_checklist"]

ANSWERED, PARTLY, PERSON = "in the files", "partly in the files", "left to a person"


INTRODUCTION = (
    "Items and elements for living systematic reviews (Akl et al. 2024, BMJ 387:e079183) in addition to those of "
    "PRISMA 2020, in our words. A ticked box says that the files hold the answer, not that a report has it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistItem:
    """One item or element.

    Parameters
    ----------
    item : str
        Its number in the extension: L1 to L4 are new items; empty for an element of an item of PRISMA 2020.
    section : str
        Where in a report it belongs.
    asked : str
        What is to be reported, in our words.
    status : {"in the files", "partly in the files", "left to a person"}
        Who answers it.
    where : str
        The file that does, and what is left.
    """

    item: str
    section: str
    asked: str
    status: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LivingChecklist(Printable):
    """The items, as a review's files answer them.

    Parameters
    ----------
    review : str
        The review's name.
    items : tuple of ChecklistItem
        In the order of a report.
    """

    review: str
    items: tuple[ChecklistItem, ...]

    def to_frame(self) -> pd.DataFrame:
        """List the items.

        Returns
        -------
        DataFrame
            The fields of `ChecklistItem`.
        """
        columns = ["item", "section", "asked", "status", "where"]
        rows = [[getattr(one, name) for name in columns] for one in self.items]
        return pd.DataFrame(rows, columns=columns, dtype=str)

    def text_tables(self) -> Sequence[TextTable]:
        """Describe the checklist in words.

        Returns
        -------
        sequence of TextTable
            One table.
        """
        rows = [(one.item, one.section, one.asked, one.status, one.where) for one in self.items]
        header = ("item", "section", "to report", "answered", "where")
        return [TextTable(title=f"PRISMA-LSR ({self.review})", header=header, rows=rows)]

    def to_markdown(self) -> str:
        """Write the checklist in Markdown: a box that is ticked where the files hold the answer.

        Returns
        -------
        str
            It ends with a line break.
        """
        lines = [
            f"# PRISMA-LSR checklist: {markdown(self.review)}",
            "",
            INTRODUCTION,
            "",
        ]
        for one in self.items:
            box = "x" if one.status == ANSWERED else " "
            name = " ".join(filter(None, (one.item, one.section)))
            where = f" ({markdown(one.where)})" if one.where else ""
            lines.append(f"- [{box}] **{name}**: {one.asked}. *{one.status}*{where}")
        return "\n".join(lines) + "\n"


def living_checklist(folder: str | Path) -> LivingChecklist:
    """Tell which items of PRISMA-LSR the files of a review answer.

    Parameters
    ----------
    folder : str or Path
        The review's folder, or a data set from `list_datasets`.

    Returns
    -------
    LivingChecklist
        The items.

    Raises
    ------
    DataError
        If the folder is not there, or its lock cannot be read.

    References
    ----------
    Akl et al. (2024), BMJ 387:e079183, doi 10.1136/bmj-2024-079183.

    Examples
    --------
    >>> found = living_checklist("smit2023")
    >>> [(one.item, one.status) for one in found.items if one.item]
    [('L1', 'left to a person'), ('L2', 'left to a person'), ('L3', 'left to a person'), ('L4', 'left to a person')]
    """
    contents, name = review_contents(folder)
    lock = read_lock(contents[LOCK], f"{name}/{LOCK}") if LOCK in contents else None
    stale = lock is not None and dict(lock.inputs) != input_hashes(contents)
    news = contents.get(NEWS, b"").decode("utf-8", "replace")
    return LivingChecklist(
        review=name, items=tuple(_items(contents, None if stale else lock, len(HEADING.findall(news)), folder))
    )


def _items(contents: dict[str, bytes], lock: Lock | None, versions: int, folder: str | Path) -> list[ChecklistItem]:
    package = _package(contents)
    living = "living" in str(package.get("title", "")).casefold()
    authors = [one for one in _list(package.get("contributors")) if isinstance(one, dict) and one.get("title")]
    roles = bool(authors) and all(one.get("roles") for one in authors)
    later = versions > 1 and lock is not None
    released = (
        f"{LOCK} and {FILE_NAME}: {lock.version}" if lock is not None else "make a release of the files as they are"
    )
    flow, flow_words = _flow(contents, folder)
    corrected = contents.get("overrides.csv", b"").count(b"\n") > 1
    rows: list[tuple[str, str, str, str, str]] = [
        ("", "Title", "That the review is living", ANSWERED if living else PERSON, f"title in {FILE_NAME}" * living),
        ("", "Title", "The number of the version", ANSWERED if lock else PERSON, released),
        ("", "Abstract", "Whether the review leaves the living mode with this version", PERSON, ""),
        ("", "Introduction", "Why the review is kept living", PERSON, ""),
        (
            "",
            "Introduction",
            "A citation of the version before",
            PARTLY if later else PERSON,
            f"its number and date: {NEWS}; its citation is left" if later else "",
        ),
        ("", "Introduction", "Changes to the question since the version before, and why", PERSON, ""),
        (
            "L1",
            "Methods, living mode parameters",
            "When each source is searched and each later step is taken, and when the living mode ends",
            PERSON,
            "",
        ),
        (
            "",
            "Methods, information sources",
            "Up to when the literature was searched",
            PARTLY if lock and lock.searched else PERSON,
            f"{lock.searched}, one date for all sources: {LOCK}; a date for each source is left"
            if lock and lock.searched
            else "",
        ),
        (
            "",
            "Methods, data collection",
            "How data and risk of bias of studies included earlier are brought up to date",
            PARTLY if corrected else PERSON,
            "corrections recorded in overrides.csv, each with its reason; how they were looked for is left"
            if corrected
            else "",
        ),
        (
            "",
            "Methods, synthesis",
            "Methods of analysis that the living mode asks for",
            PARTLY if "plan.toml" in contents else PERSON,
            "how results are pooled: plan.toml; how repeated analysis is allowed for is left"
            if "plan.toml" in contents
            else "",
        ),
        (
            "L2",
            "Methods, changes",
            "Changes to the methods since the version before, and why",
            PARTLY if later else PERSON,
            f"whether plan.toml changed, and why there is a release: {NEWS}; search and selection are left"
            if later
            else "",
        ),
        (
            "",
            "Results, trigger",
            "What gave rise to this version",
            ANSWERED if lock and lock.why else PERSON,
            f"why, in {NEWS} and {LOCK}" if lock and lock.why else "",
        ),
        ("", "Results, selection", "The flow of records and studies through the versions", flow, flow_words),
        (
            "L3",
            "Results, changes",
            "Changes to the results since the version before",
            ANSWERED if later else PERSON,
            f"estimates before and after, and whether conclusions changed: {NEWS}" if later else "",
        ),
        ("", "Discussion", "Limitations that come with the living mode", PERSON, ""),
        (
            "L4",
            "Other information, authors",
            "Who the authors are, what each did, and changes since the version before",
            PARTLY if authors else PERSON,
            f"names{' and roles' if roles else ''}: contributors in {FILE_NAME}; changes are left" if authors else "",
        ),
        (
            "",
            "Other information, status",
            "The status of the review: up to date, being updated, or retired",
            PARTLY if lock else PERSON,
            f"the last release, {lock.version} of {lock.date}; whether another is under way is left" if lock else "",
        ),
    ]
    return [ChecklistItem(item=a, section=b, asked=c, status=d, where=e) for a, b, c, d, e in rows]


def _package(contents: dict[str, bytes]) -> dict[str, Any]:
    try:
        found = json.loads(contents.get(FILE_NAME, b"{}").decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _flow(contents: dict[str, bytes], folder: str | Path) -> tuple[str, str]:
    if FILE not in contents:
        return PERSON, f"there is no {FILE}"
    try:
        flow = prisma_flow(folder)
    except MetapeerError:
        return PERSON, f"{FILE} cannot be read"
    if flow.ok:
        return ANSWERED, FILE
    parts = [f"{count(len(flow.missing), 'box', 'boxes')} not reported"] if flow.missing else []
    if flow.faults:
        verb = "does" if len(flow.faults) == 1 else "do"
        parts.append(f"{count(len(flow.faults), 'sum')} that {verb} not add up")
    return PARTLY, f"{FILE}: {', '.join(parts)}"
