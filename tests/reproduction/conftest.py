"""The ledger of all bundled data, made once, and folders of a review's shape, made to order."""

import csv
import shutil
import tomllib
from pathlib import Path

import pytest

from metapeer import datasets_root, reproduce
from metapeer.records.schema import PUBLISHED, TRIALS

ARMS = ("n1", "mean1", "sd1", "n2", "mean2", "sd2")
EVENTS = ("events1", "total1", "events2", "total2")


@pytest.fixture(scope="session")
def ledger():
    return reproduce()


def write_csv(path, rows, columns):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def make_review(tmp_path):
    """Write a small review into a folder of its own and return the folder.

    Trials are tuples of cells, as texts: the arms, or the events when there are four of them; `cells` adds cells to
    the row at each position. `published` maps published_id to printed numbers; every other column has something
    harmless in it.
    """

    def make(trials, published, plan, *, name="mine", cells=None, overrides=()):
        folder = tmp_path / name
        folder.mkdir()
        rows = [
            {
                "row_id": f"{study}.1",
                "study_id": study,
                "format": "group",
                "outcome": "hope",
                "outcome_class": "psychosocial",
                "instrument": "scale",
                "source": "invented",
                "exclusion_reason": "",
            }
            | dict(zip(ARMS if len(numbers) == 6 else EVENTS, numbers, strict=True) if numbers else {})
            | (cells or {}).get(i, {})
            for i, (study, *numbers) in enumerate(trials)
        ]
        columns = list(dict.fromkeys(column for row in rows for column in row))
        write_csv(folder / "outcomes.csv", rows, columns)
        write_csv(
            folder / "trials.csv",
            [
                {"study_id": study, "citation": study, "source": "invented"}
                for study in {trial[0]: 0 for trial in trials}
            ],
            [column for column in TRIALS.names if column in ("study_id", "citation", "source")],
        )
        write_csv(
            folder / "instruments.csv",
            [
                {
                    "instrument": "scale",
                    "outcome": "hope",
                    "outcome_class": "psychosocial",
                    "direction": "higher_better",
                    "source": "invented",
                }
            ],
            ["instrument", "outcome", "outcome_class", "direction", "source"],
        )
        usual = {
            "review": name,
            "outcome": "hope",
            "outcome_class": "psychosocial",
            "es_type": "SMD",
            "source": "page 1",
        }
        write_csv(
            folder / "published.csv",
            [{"published_id": key} | usual | numbers for key, numbers in published.items()],
            PUBLISHED.names,
        )
        if overrides:
            write_csv(folder / "overrides.csv", overrides, list(overrides[0]))
        (folder / "plan.toml").write_text(plan, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def copy_review(tmp_path):
    """Copy a bundled review and change cells of its published.csv or outcomes.csv, or its plan; changed tables have no
    datapackage.json, which would have the hashes of the old ones."""

    def copy(name, *, published=None, outcomes=None, plan=None):
        folder = Path(shutil.copytree(datasets_root() / name, tmp_path / name))
        if published or outcomes:
            (folder / "datapackage.json").unlink()
        for file, key, changes in (
            ("published.csv", "published_id", published or {}),
            ("outcomes.csv", "row_id", outcomes or {}),
        ):
            if not changes:
                continue
            with (folder / file).open(encoding="utf-8", newline="") as opened:
                rows = list(csv.DictReader(opened))
            write_csv(folder / file, [row | changes.get(row[key], {}) for row in rows], list(rows[0]))
        if plan is not None:
            text = plan((folder / "plan.toml").read_text(encoding="utf-8"))
            tomllib.loads(text)
            (folder / "plan.toml").write_text(text, encoding="utf-8")
        return folder

    return copy
