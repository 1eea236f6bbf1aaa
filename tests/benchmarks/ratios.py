"""Print each group of a pytest-benchmark file as times and as ratios to metapeer's, and hold metapeer to its limits.

Usage: python tests/benchmarks/ratios.py .benchmarks/latest.json
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

# Seconds, each for the fastest round on a machine with two cores; the import counts beyond that of pandas.
LIMITS = {
    "test_import_metapeer_after_pandas": 0.15,
    "test_fit_metapeer": 0.25e-3,
    "test_reproduce_from_the_command_line": 3.0,
}


def main(path: str) -> int:
    """Print the table; 1 if a limit is exceeded."""
    groups = defaultdict(dict)
    others = {}
    for run in json.loads(Path(path).read_text(encoding="utf-8"))["benchmarks"]:
        if "others" in run["extra_info"]:
            others |= run["extra_info"]["others"]  # timed in a process of their own; the process itself says nothing
        else:
            groups[run["group"]][run["name"]] = run["stats"]["min"]
            groups[run["group"]] |= run["extra_info"].get("beside", {})
    for group, times in others.items():
        groups[group] |= times
    too_slow = 0
    for group, times in groups.items():
        print(f"\n{group}")
        own = next((seconds for name, seconds in times.items() if "metapeer" in name), next(iter(times.values())))
        for name, seconds in sorted(times.items(), key=lambda item: item[1]):
            words = name.removeprefix("test_").replace("_", " ")
            print(f"  {words:60} {1e3 * seconds:10.3f} ms {seconds / own:8.2f} x")
        for name in times.keys() & LIMITS.keys():
            spent = times[name] - times.get("test_import_pandas_alone", 0.0)
            too_slow += spent > LIMITS[name]
            verdict = "over" if spent > LIMITS[name] else "within"
            print(f"  {1e3 * spent:.3f} ms is {verdict} the limit of {1e3 * LIMITS[name]:g} ms")
    if not others:
        print("\nmetafor was not timed: there is no Rscript that has it")
    return int(too_slow > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
