"""The data packages themselves, read with the csv module alone: a fault in the library's reader cannot hide here."""

import csv
import hashlib
import io
import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest

from metapeer.records.schema import (
    ARMS,
    CLAIMS,
    IMPLEMENTATION,
    INSTRUMENTS,
    OUTCOMES,
    OVERRIDES,
    PUBLISHED,
    TRIALS,
    Table,
)

ROOT = Path(__file__).parents[2] / "datasets"
FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir())
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.csv"))
TABLE_OF = {
    "trials": TRIALS,
    "outcomes": OUTCOMES,
    "derived_counts": OUTCOMES,
    "published": PUBLISHED,
    "transcription": PUBLISHED,
    "overrides": OVERRIDES,
    "instruments": INSTRUMENTS,
    "claims": CLAIMS,
}
SCHEMATIC = [file for file in FILES if Path(file).stem in TABLE_OF]
COMPLETE = [file for file in SCHEMATIC if Path(file).stem not in {"derived_counts", "transcription"}]
OF_ROWS = [file for file in FILES if Path(file).stem in {"outcomes", "derived_counts"}]
OF_TRIALS = [file for file in FILES if Path(file).stem in {"outcomes", "derived_counts", "worklist"}]
MEANS = ("n1", "mean1", "sd1", "n2", "mean2", "sd2")
EVENTS = ("events1", "total1", "events2", "total2")
ONLY_WHERE_USED = {
    *ARMS,
    *("author", "date", "design", "mean_cluster_size", "icc"),
    *(name for name in TRIALS.names if name.startswith("impl_")),
}
Row = dict[str, str]


def rows_of(file: str) -> list[Row]:
    with (ROOT / file).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, strict=True))


def table_of(file: str) -> Table:
    return TABLE_OF[Path(file).stem]


def every(stem: str) -> list[tuple[str, Row]]:
    return [(Path(file).parent.name, row) for file in FILES if Path(file).stem == stem for row in rows_of(file)]


def has(row: Row, columns: tuple[str, ...]) -> bool:
    return all(row[column] for column in columns)


def test_smit_2023_is_complete():
    rows = rows_of("smit2023/outcomes.csv")
    assert len(rows) == 66
    assert len({row["study_id"] for row in rows}) == len(rows_of("smit2023/trials.csv")) == 28
    assert sum(has(row, MEANS) for row in rows) == 50
    assert sum(has(row, EVENTS) for row in rows) == 3
    precomputed = [row for row in rows if row["es"]]
    assert len(precomputed) == 13
    assert all((row["es"], row["es_se"]) == (row["review_yi"], row["review_sei"]) for row in precomputed)
    assert not any(has(row, MEANS) or has(row, EVENTS) for row in precomputed)
    groups = Counter(row["outcome_group"] for row in rows)
    assert groups == {"clinical recovery": 22, "personal recovery": 19, "functional recovery": 25}
    published = {row["published_id"]: row for row in rows_of("smit2023/published.csv")}
    assert {name: int(row["k"]) for name, row in published.items()} == groups


def test_the_packages_hold_as_many_rows_as_were_read():
    assert len(every("outcomes")) == 66 + 96
    assert len(every("derived_counts")) == 6
    assert len(every("published")) == 64
    assert len({row["study_id"] for _, row in every("trials")}) == 72
    assert len(rows_of("claims.csv")) == 14


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_byte_stable_when_written_again(file):
    content = (ROOT / file).read_bytes()
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerows(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
    assert buffer.getvalue().encode("utf-8") == content
    assert not content.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("file", FILES)
def test_no_cell_has_blanks_around_it_line_breaks_or_garbled_letters(file):
    with (ROOT / file).open(encoding="utf-8", newline="") as handle:
        lines = list(csv.reader(handle, strict=True))
    assert len({len(line) for line in lines}) == 1
    for line in lines:
        for cell in line:
            assert cell == cell.strip()
            assert not re.search(r"[\r\n\t\x00-\x1f\ufffd\ufeff]|Ã|Â|â€", cell), cell
            assert cell not in {"NA", "NR", "nan", "NaN", "None"}


@pytest.mark.parametrize("file", SCHEMATIC)
def test_columns_are_those_of_the_schema_in_its_order(file):
    header = (ROOT / file).read_text(encoding="utf-8").split("\n", 1)[0].split(",")
    assert header == [name for name in table_of(file).names if name in header]
    assert set(table_of(file).names) - set(header) <= ONLY_WHERE_USED
    used = {name for row in rows_of(file) for name in ONLY_WHERE_USED if row.get(name)}
    assert set(header) & ONLY_WHERE_USED == used


@pytest.mark.parametrize("file", SCHEMATIC)
def test_every_cell_is_of_its_columns_type_category_and_range(file):
    for row in rows_of(file):
        for field in table_of(file).fields:
            cell = row.get(field.name, "")
            where = (file, row, field.name)
            if not cell:
                assert not (field.required and file in COMPLETE), where
                continue
            assert not field.categories or cell in field.categories, where
            if field.type == "integer":
                assert re.fullmatch(r"-?\d+", cell), where
            elif field.type == "number":
                assert re.fullmatch(r"-?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", cell), where
            elif field.type == "digits":
                assert re.fullmatch(r"<?-?(\d+(\.\d*)?|\.\d+)", cell), where
            else:
                continue
            value = float(cell.removeprefix("<"))
            assert field.minimum is None or value >= field.minimum, where
            assert field.maximum is None or value <= field.maximum, where
            assert field.above is None or value > field.above, where
            assert field.below is None or value < field.below, where


@pytest.mark.parametrize("file", SCHEMATIC)
def test_keys_are_unique(file):
    keys = Counter(tuple(row[column] for column in table_of(file).key) for row in rows_of(file))
    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize("file", OF_ROWS)
def test_a_row_is_named_after_its_trial_and_its_place(file):
    seen: Counter[str] = Counter()
    mark = "d" if Path(file).stem == "derived_counts" else ""
    for row in rows_of(file):
        seen[row["study_id"]] += 1
        assert row["row_id"] == f"{row['study_id']}.{mark}{seen[row['study_id']]}"


@pytest.mark.parametrize("file", OF_ROWS)
def test_every_trial_of_a_row_stands_in_the_trials_of_its_folder(file):
    trials = {row["study_id"] for row in rows_of(f"{Path(file).parent.name}/trials.csv")}
    assert {row["study_id"] for row in rows_of(file)} <= trials


@pytest.mark.parametrize("file", OF_TRIALS)
def test_every_trial_that_is_named_is_known_somewhere(file):
    known = {row["study_id"] for _, row in every("trials")}
    assert {row["study_id"] for row in rows_of(file)} - {""} <= known


def test_a_trial_has_the_same_content_in_every_folder():
    first: dict[str, Row] = {}
    for folder, row in every("trials"):
        known = {name: cell for name, cell in row.items() if cell}
        assert known == first.setdefault(row["study_id"], known), folder


def test_instruments_are_known_and_each_one_listed_is_used():
    used = {row["instrument"]: row for file in OF_ROWS for row in rows_of(file)}
    listed = {row["instrument"]: row for row in rows_of("instruments.csv")}
    assert set(used) == set(listed)
    for file in OF_ROWS:
        for row in rows_of(file):
            instrument = listed[row["instrument"]]
            assert row["outcome"] in instrument["outcome"].split("; ")
            assert row["outcome_class"] == instrument["outcome_class"]


def test_rows_of_unknown_direction_are_not_used():
    unknown = {row["instrument"] for row in rows_of("instruments.csv") if not row["direction"]}
    assert len(unknown) == 4
    rows = [row for _, row in every("outcomes") if row["instrument"] in unknown]
    assert len(rows) == 5
    assert all(row["exclusion_reason"] for row in rows)


@pytest.mark.parametrize("file", OF_ROWS)
def test_a_row_that_cannot_give_an_effect_says_why(file):
    for row in rows_of(file):
        ready = row["es"] and (row["es_se"] or has(row, ("es_ci_low", "es_ci_high")))
        usable = has(row, MEANS) or has(row, EVENTS) or bool(ready)
        assert usable or row["exclusion_reason"], row["row_id"]


@pytest.mark.parametrize("file", OF_ROWS)
def test_rows_named_in_an_exclusion_reason_exist(file):
    here = Path(file).parent.name
    names = {folder: {row["row_id"] for row in rows_of(f"{folder}/outcomes.csv")} for folder, _ in every("outcomes")}
    for row in rows_of(file):
        reason = row["exclusion_reason"]
        named = re.findall(r"\b[a-z]+\d{4}[a-z]?\.\d+\b", reason)
        folder = re.search(r" of ([a-z]+\d{4})\b(?!\.)", reason)
        assert set(named) <= names[folder.group(1) if folder else here], reason


def test_derived_counts_are_never_usable_as_they_stand():
    assert all(row["exclusion_reason"].startswith("derived by enumeration") for _, row in every("derived_counts"))


@pytest.mark.parametrize("file", OF_ROWS)
def test_events_are_at_most_the_participants_at_risk(file):
    for row in rows_of(file):
        for arm in "12":
            if row[f"total{arm}"]:
                assert int(row[f"events{arm}"]) <= int(row[f"total{arm}"]), row["row_id"]


@pytest.mark.parametrize(("file", "low", "estimate", "high"), [
    *((file, "es_ci_low", "es", "es_ci_high") for file in OF_ROWS),
    *((file, "ci_low", "es", "ci_high") for file in FILES if file.endswith("published.csv")),
])  # fmt: skip
def test_an_interval_contains_its_estimate(file, low, estimate, high):
    for row in rows_of(file):
        if row[low]:
            assert float(row[low]) <= float(row[estimate]) <= float(row[high]), row


def test_no_result_stands_in_two_rows_that_are_both_usable():
    columns = ("study_id", "outcome_class", "timepoint", *MEANS, *EVENTS, "es", "es_ci_low", "es_ci_high")
    keys = Counter(
        tuple(row[column] for column in columns)
        for _, row in every("outcomes")
        if not row["exclusion_reason"] and (has(row, MEANS) or has(row, EVENTS) or row["es"])
    )
    assert [key for key, count in keys.items() if count > 1] == []


def test_overrides_quote_the_cells_they_replace():
    for folder, override in every("overrides"):
        (row,) = [row for row in rows_of(f"{folder}/outcomes.csv") if row["row_id"] == override["row_id"]]
        assert row[override["column"]] == override["raw"] != override["value"]


def test_overrides_do_what_their_reasons_say():
    overrides = rows_of("smit2023/overrides.csv")
    outcomes = {row["row_id"]: row for row in rows_of("smit2023/outcomes.csv")}
    assert Counter(row["override_id"] for row in overrides) == {"davidson2004 signs": 2, "salzer2016 sds": 8}
    assert {row["status"] for row in overrides} == {"suspected"}
    for row in overrides:
        if row["override_id"] == "davidson2004 signs":
            assert row["value"] == f"-{row['raw']}"
        elif row["column"].startswith("sd"):
            n = int(outcomes[row["row_id"]][row["column"].replace("sd", "n")])
            assert float(row["value"]) == float(row["raw"]) * math.sqrt(n)
        else:
            assert row["value"] == ""


def test_arms_are_named_in_trials_that_are_said_to_have_more_than_two():
    said = {row["study_id"] for _, row in every("trials") if re.search(r"three arms|two peer support arms", str(row))}
    combined = {row["study_id"] for _, row in every("outcomes") if "arms combined" in row["comparison"]}
    named = {row["study_id"] for _, row in every("outcomes") if row.get("arm1")}
    assert named == said | combined == {"rogers2016", "kaplan2011", "eisen2012", "hunkeler2000"}
    for _, row in every("outcomes"):
        assert bool(row.get("arm1")) == bool(row.get("arm2")) == (row["study_id"] in named)


def test_the_arms_of_a_row_are_those_that_its_comparison_names():
    for folder, row in every("outcomes"):
        if row.get("arm1"):
            assert row["comparison"].split(" v ")[0] == row["arm1"]
            # eisen2012 of chien2019: the review's heading, which its note explains
            known = (row["comparator"], row["note"]) if folder == "chien2019" else (row["comparator"],)
            assert any(row["arm2"] in words for words in known), row["row_id"]


def test_arms_that_two_rows_share_are_found_by_their_names():
    arms = {row["row_id"]: (row["arm1"], row["arm2"]) for row in rows_of("smit2023/outcomes.csv")}
    high, low = arms["rogers2016.1"], arms["rogers2016.2"]
    assert high[0] != low[0]
    assert high[1] == low[1]
    assert high == arms["rogers2016.3"] == arms["rogers2016.5"]
    arms = {row["row_id"]: (row["arm1"], row["arm2"]) for row in rows_of("other_trials/outcomes.csv")}
    assert arms["eisen2012.1"][0] == arms["eisen2012.2"][0]
    assert arms["eisen2012.1"][1] != arms["eisen2012.2"][1]


def test_what_is_coded_of_implementation_is_quoted_from_what_was_read():
    coded = {
        (row["study_id"], factor): row
        for _, row in every("trials")
        for factor in IMPLEMENTATION
        if row.get(factor) or row.get(f"{factor}_words")
    }
    assert set(coded) == {("druss2018", "impl_training"), ("fortuna2025", "impl_training")}
    for (_, factor), row in coded.items():
        assert row[factor] == "partly"
        assert row[f"{factor}_words"] in row["peer_support_type"] + row["intervention"]
        assert row["impl_source"].startswith(row["source"])


def test_the_worklist_and_the_readme_count_what_is_known_of_implementation():
    trials = {row["study_id"]: row for _, row in every("trials")}
    listed = {row["needed"].split(" ")[0]: row for row in rows_of("mirbahaeddin2022/worklist.csv")}
    assert list(listed) == list(IMPLEMENTATION)
    for factor, row in listed.items():
        known = sum(bool(row.get(factor)) for row in trials.values())
        assert row["note"].startswith(f"known of {known} of {len(trials)} trials"), factor
    known = sum(any(row.get(factor) for factor in IMPLEMENTATION) for row in trials.values())
    assert f"is known of {known} of {len(trials)} trials" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_white_2020_has_a_place_for_each_of_its_eleven_outcomes():
    rows = rows_of("white2020/transcription.csv")
    assert len(rows) == 11
    assert sum(bool(row["outcome"]) for row in rows) == 5
    assert not any(row[column] for row in rows for column in ("k", "n", "es", "ci_low", "ci_high"))
    assert rows_of("white2020/published.csv") == []


def test_absence_of_evidence_is_not_claimed_as_evidence_of_absence():
    for row in rows_of("claims.csv"):
        assert (row["claim"] == "no_evidence") == ("no evidence of an effect" in row["statement"])
        assert (row["claim"] == "no_effect") == row["statement"].startswith("no effect")


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_data_package_describes_every_table_as_it_is(folder):
    package = json.loads((ROOT / folder / "datapackage.json").read_text(encoding="utf-8"))
    assert package["name"] == folder
    assert package["metapeer"]["attribution"]
    assert package["licenses"][0]["title"]
    assert package["sources"]
    described = {resource["path"]: resource for resource in package["resources"]}
    assert described  # the standard wants at least one; a folder without tables describes its README
    assert {path.name for path in (ROOT / folder).glob("*.csv")} == {
        name for name in described if name.endswith(".csv")
    }
    for name, resource in described.items():
        content = (ROOT / folder / name).read_bytes()
        assert (resource["bytes"], resource["hash"]) == (len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")
    assert (ROOT / folder / "README.md").read_text(encoding="utf-8").startswith("# ")


def test_what_comes_from_metapsy_is_attributed():
    for folder in FOLDERS:
        trials = rows_of(f"{folder}/trials.csv") if (ROOT / folder / "trials.csv").exists() else []
        if any("Metapsy" in row["source"] for row in trials):
            package = json.loads((ROOT / folder / "datapackage.json").read_text(encoding="utf-8"))
            for text in (package["metapeer"]["attribution"], (ROOT / folder / "README.md").read_text(encoding="utf-8")):
                assert "10.5281/zenodo.7687898" in text
                assert "ODC-By 1.0" in text


def test_the_readme_counts_what_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    counted = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, flags=re.MULTILINE))
    assert set(counted) == {folder for folder in FOLDERS if list((ROOT / folder).glob("[top]*.csv"))}
    for folder, cells in counted.items():
        counts = []
        for stem in ("trials", "outcomes", "usable", "derived_counts", "published"):
            path = f"{folder}/{'outcomes' if stem == 'usable' else stem}.csv"
            if (ROOT / path).exists():
                counts.append(str(sum(stem != "usable" or not row["exclusion_reason"] for row in rows_of(path))))
            else:
                counts.append("")
        assert [cell.strip() for cell in f" {cells} ".split("|")] == counts, folder
