"""What's new in a release, in Markdown: what changed, why, every estimate before and after, and what that means."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metapeer.errors import DataError
from metapeer.formatting import count
from metapeer.living.releasing_lock import LOCK, NEWS, Lock, is_input
from metapeer.living.releasing_numbers import PRINT, Numbers, estimate_words
from metapeer.living.verifying_compare import differences, word_differences

__all__ = [
    "CHANGES",
    "SHOWN",
    "Moved",
    "add_news",
    "concluded_otherwise",
    "conclusion_words",
    "markdown",
    "moved_results",
    "news_section",
    "what_words",
]

CHANGES = {
    "first": "first release",
    "search": "the literature was searched again",
    "data": "data or metadata changed",
    "patch": "texts or software changed; the numbers are as before",
}
SHOWN = ("outcome: ", "result: ")
"""Results with a row of their own; the others are counted."""

SPECIAL = re.compile(r"([\\`*_\[\]|#~])")
HEADING = re.compile(r"^## ", re.MULTILINE)
INTRODUCTION = "What changed in each version, the latest first. metapeer writes this file with each release."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """A result that is another than at the last release.

    Parameters
    ----------
    name : str
        Which.
    before, after : Numbers or None
        None where there was, or is, no such result.
    """

    name: str
    before: Numbers | None
    after: Numbers | None


def moved_results(before: Mapping[str, Numbers], after: Mapping[str, Numbers]) -> tuple[Moved, ...]:
    """List the results that moved by more than platforms differ by, with those that came and went.

    Parameters
    ----------
    before, after : mapping of str to Numbers
        Results by name.

    Returns
    -------
    tuple of Moved
        In their order after; then those that went.
    """
    changed = {one.result for one in differences(before, after)} | {
        one.result for one in word_differences(before, after)
    }
    return tuple(
        Moved(name=name, before=before.get(name), after=after.get(name))
        for name in dict.fromkeys((*after, *before))
        if name in changed or name not in before or name not in after
    )


def markdown(text: str) -> str:
    r"""Put a text on one line of Markdown, where no letter of it is taken for mark-up.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        Without control characters and line breaks.

    Examples
    --------
    >>> markdown("a_b | <script>" + chr(10) + "# c")
    'a\\_b \\| &lt;script&gt; \\# c'
    """
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)
    escaped = SPECIAL.sub(r"\\\1", " ".join(plain.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def conclusion_words(before: Numbers | None, after: Numbers | None) -> str:
    """Say whether a conclusion changed.

    Parameters
    ----------
    before, after : Numbers or None
        The result at the last release, and now.

    Returns
    -------
    str
        With the conclusion; empty where there is none.
    """
    parts = []
    for what in ("verdict", "conclusion", PRINT):
        old, new = (markdown("" if one is None else one.words.get(what, "")) for one in (before, after))
        subject = {"verdict": "claim ", "conclusion": ""}.get(what, "printed result ")
        if old and new:
            parts.append(
                f"{subject}{new}, not changed" if old == new else f"**changed**: {subject}{old} before, {new} now"
            )
        elif new:
            parts.append(f"{subject}{new}")
        elif old:
            parts.append(f"**gone**: {subject}{old} before")
    return "; ".join(parts)


def concluded_otherwise(moved: Sequence[Moved]) -> list[str]:
    """Name the results whose conclusion, or whose verdict on a claim, is another or gone.

    Parameters
    ----------
    moved : sequence of Moved
        Results that moved.

    Returns
    -------
    list of str
        Their names.
    """
    return [
        one.name
        for one in moved
        if one.before is not None
        and any(
            word != (None if one.after is None else one.after.words.get(what))
            for what, word in one.before.words.items()
            if what != PRINT
        )
    ]


def what_words(lock: Lock, before: Lock | None, files: Sequence[str]) -> str:
    """Say what kind of change a release is.

    Parameters
    ----------
    lock : Lock
        The release.
    before : Lock or None
        The one before it.
    files : sequence of str
        Files that changed.

    Returns
    -------
    str
        In words.
    """
    if lock.change != "data" or before is None or any(is_input(name) for name in files):
        return CHANGES[lock.change]
    parts = [
        f"{name} {before.software.get(name, 'none')} to {version}"
        for name, version in lock.software.items()
        if before.software.get(name) != version
    ]
    parts += [f"bundled {name}" for name, cell in lock.bundled.items() if before.bundled.get(name) != cell]
    return f"numbers changed though no data of the review did: {', '.join(parts) or 'the reason is not known'}"


def news_section(
    lock: Lock,
    before: Lock | None,
    moved: Sequence[Moved],
    files: Sequence[str],
    movers: Sequence[tuple[str, str]] = (),
) -> str:
    """Write what is new in one release.

    Parameters
    ----------
    lock : Lock
        The release.
    before : Lock or None
        The one before it.
    moved : sequence of Moved
        Results that are others.
    files : sequence of str
        Files that changed.
    movers : sequence of (str, str), default ()
        Outcomes, and who moved each by how much.

    Returns
    -------
    str
        A section of Markdown; it ends with a line break.
    """
    what = markdown(what_words(lock, before, files))
    if files and before is not None:
        what += f" ({', '.join(markdown(name) for name in files)})"
    searched = f"- **Searched**: up to {lock.searched}" if lock.searched else "- **Searched**: not recorded"
    lines = [
        f"## {lock.version} ({lock.date})",
        "",
        f"- **What**: {what}",
        f"- **Why**: {markdown(lock.why)}",
        f"- **By**: {markdown(lock.author)}",
        searched,
    ]
    shown = [one for one in moved if one.name.startswith(SHOWN)]
    rest = len(moved) - len(shown)
    if before is None:
        lines += ["", "| result | estimate | conclusion |", "|---|---|---|"]
        lines += [
            f"| {markdown(one.name)} | {markdown(estimate_words(one.after))} | {conclusion_words(None, one.after)} |"
            for one in shown
        ]
    elif not moved:
        lines.append("- **Estimates**: no number changed, and no conclusion")
    else:
        changed = ", ".join(map(markdown, concluded_otherwise(moved)))
        lines.append(f"- **Conclusions**: {f'changed: {changed}' if changed else 'none changed'}")
        if shown:
            lines += ["", f"| result | before ({before.version}) | after | conclusion |", "|---|---|---|---|"]
        for one in shown:
            pair = " | ".join(markdown(estimate_words(side)) if side else "none" for side in (one.before, one.after))
            lines.append(f"| {markdown(one.name)} | {pair} | {conclusion_words(one.before, one.after)} |")
        if movers:
            lines += ["", "| outcome | who moved the estimate (ratios as logarithms) |", "|---|---|"]
            lines += [f"| {markdown(outcome)} | {markdown(who)} |" for outcome, who in movers]
    if rest and before is not None:
        lines += ["", f"{count(rest, 'other result')} (claims and questions) moved, too; `{LOCK}` has every number."]
    return "\n".join(lines) + "\n"


def add_news(content: bytes | None, title: str, section: str) -> bytes:
    """Put a section on top of the others; what people wrote into the file stays.

    Parameters
    ----------
    content : bytes or None
        The file as it is.
    title : str
        The review's.
    section : str
        From `news_section`.

    Returns
    -------
    bytes
        The file as it will be.

    Raises
    ------
    DataError
        If the file is not UTF-8 text.
    """
    if content is None or not content.strip():
        return f"# What's new: {markdown(title)}\n\n{INTRODUCTION}\n\n{section}".encode("utf-8", "replace")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise DataError(NEWS, ["is not UTF-8 text; save it as UTF-8"]) from None
    first = HEADING.search(text)
    place = len(text) if first is None else first.start()
    head = text[:place].rstrip("\n")
    return f"{head}\n\n{section}\n{text[place:]}".rstrip("\n").encode("utf-8", "replace") + b"\n"
