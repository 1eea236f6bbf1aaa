"""Tables of the documentation, computed anew from the bundled data at every build."""

import json
import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import metapeer as mp
from metapeer.formatting import TextTable

HERE = Path(__file__).parent
FOLDER = HERE / "generated" / "tables"
BENCHMARKS = HERE.parent / ".benchmarks" / "latest.json"


def _sections(tables: Iterable[TextTable], level: int = 2) -> str:
    """Markdown in which the title of each table is a heading; what has no title follows on."""
    parts = []
    for table in tables:
        title, _, rest = table.title.partition("\n")
        heading = TextTable(rows=[(title,)], header=("",)).to_markdown() if title else ""
        parts += [f"{'#' * level} {heading}"] if heading else []
        parts.append(replace(table, title=rest).to_markdown())
    return "\n\n".join(part for part in parts if part)


def ledger() -> str:
    """Every published number and claim beside what comes out, review by review."""
    return _sections(mp.reproduce().text_tables())


def audits() -> str:
    """What the audit finds in the rows of every data set that has some."""
    parts = []
    for name in mp.list_datasets()["name"]:
        review = mp.load_dataset(name)
        if review.outcomes.empty:
            continue
        found = mp.audit(review)
        head, *tables = found.text_tables()
        title = TextTable(rows=[(f"{review.title} ({name})",)], header=("",)).to_markdown()
        parts += [f"## {title}", replace(head, title="").to_markdown(), _sections(tables, level=3)]
    return "\n\n".join(part for part in parts if part)


def _seconds(value: float) -> str:
    """A time with three digits, in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def _groups(runs: Iterable[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Fastest rounds by group and name, those that other programs took in processes of their own included."""
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    for run in runs:
        if "others" in run["extra_info"]:
            for group, times in run["extra_info"]["others"].items():
                groups[group] |= times
        else:
            groups[run["group"] or "others"] |= {
                run["name"]: run["stats"]["min"],
                **run["extra_info"].get("beside", {}),
            }
    return groups


def benchmarks(path: Path = BENCHMARKS) -> str:
    """The last run of the benchmarks on this machine, if there was one."""
    if not path.is_file():
        return "No benchmarks were run on the machine that built this page."
    run = json.loads(path.read_text(encoding="utf-8"))
    machine = run["machine_info"]
    cpu = machine.get("cpu", {})
    words = (
        f"{cpu.get('brand_raw', machine['machine'])}, {cpu.get('count', '?')} cores, Python {machine['python_version']}"
    )
    parts = [f"Run on {words}. The fastest of many rounds."]
    for group, times in _groups(run["benchmarks"]).items():
        own = next((seconds for name, seconds in times.items() if "metapeer" in name), next(iter(times.values())))
        rows = [
            (name.removeprefix("test_").replace("_", " "), _seconds(seconds), f"{seconds / own:.3g}")
            for name, seconds in sorted(times.items(), key=lambda item: item[1])
        ]
        parts.append(_sections([TextTable(title=group, header=("what", "time", "of metapeer's"), rows=rows)]))
    return "\n\n".join(parts)


def write_all(_app: object = None) -> None:
    """Write every table that a page includes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.DataWarning)
        for make in (ledger, audits, benchmarks):
            (FOLDER / f"{make.__name__}.md").write_text(make() + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_all()
