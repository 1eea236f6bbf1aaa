"""`datapackage.json`: written from the schema and the files, and told when they part."""

import hashlib
import json
import subprocess
import sys

import pytest

from metapeer.errors import DataError
from metapeer.records.package import (
    check_datapackage,
    datapackage_resources,
    main,
    read_datapackage,
    refresh_datapackage,
)

ABOUT = {
    "name": "mine",
    "title": "Mine – with an Ü",
    "licenses": [{"name": "CC0-1.0"}],
    "sources": [{"title": "me"}],
    "mine": {"x": 1},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "datapackage.json").write_text(json.dumps(ABOUT), encoding="utf-8")
    (tmp_path / "outcomes.csv").write_bytes(b"row_id,study_id,instrument,n1,sd1,p_value,format,own\n")
    (tmp_path / "trials.csv").write_bytes(b"study_id,citation,year\na,A 2001,2001\n")
    (tmp_path / "anything.csv").write_bytes('"a ""b""",ü\n1,2\n'.encode())
    return tmp_path


def test_the_descriptive_part_stays_and_the_tables_are_written(folder):
    refresh_datapackage(folder)
    package = read_datapackage(folder)
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    assert {key: package[key] for key in ABOUT} == ABOUT
    assert [resource["path"] for resource in package["resources"]] == ["trials.csv", "outcomes.csv", "anything.csv"]


def test_each_table_has_its_size_hash_and_columns(folder):
    trials, outcomes, anything = datapackage_resources(folder)
    content = (folder / "trials.csv").read_bytes()
    assert trials["bytes"] == len(content)
    assert trials["hash"] == "sha256:" + hashlib.sha256(content).hexdigest()
    assert trials["schema"]["primaryKey"] == ["study_id"]
    fields = {field["name"]: field for field in outcomes["schema"]["fields"]}
    assert list(fields) == ["row_id", "study_id", "instrument", "n1", "sd1", "p_value", "format", "own"]
    assert fields["n1"]["type"] == "integer"
    assert fields["n1"]["constraints"] == {"minimum": 2}
    assert fields["sd1"]["constraints"] == {"exclusiveMinimum": 0}
    assert fields["p_value"]["type"] == "string"
    assert fields["study_id"]["constraints"] == {"required": True}
    assert fields["format"]["categories"] == ["one_to_one", "group", "mixed"]
    assert fields["own"] == {"name": "own", "type": "string"}
    assert [field["name"] for field in anything["schema"]["fields"]] == ['a "b"', "ü"]


def test_a_key_points_only_to_tables_of_the_same_package(folder):
    _, outcomes, _ = datapackage_resources(folder)
    assert outcomes["schema"]["foreignKeys"] == [
        {"fields": ["study_id"], "reference": {"resource": "trials", "fields": ["study_id"]}}
    ]


def test_refreshing_twice_changes_no_byte(folder):
    refresh_datapackage(folder)
    first = (folder / "datapackage.json").read_bytes()
    refresh_datapackage(folder)
    assert (folder / "datapackage.json").read_bytes() == first
    assert first.endswith(b"}\n")
    assert "Ü".encode() in first


def test_a_fresh_package_has_no_difference_and_every_change_is_one(folder):
    refresh_datapackage(folder)
    assert check_datapackage(folder) == []
    (folder / "trials.csv").write_bytes(b"study_id,citation,year\na,A 2001,2002\n")
    (folder / "anything.csv").unlink()
    (folder / "published.csv").write_bytes(b"published_id\n")
    assert check_datapackage(folder) == [
        "trials.csv: hash is not what datapackage.json says",
        "published.csv is not listed in datapackage.json",
        (
            "anything.csv is listed in datapackage.json but does not exist; "
            f"if the change is meant, run: python -m metapeer.records.package {folder}"
        ),
    ]


def test_a_package_without_its_descriptive_part_is_told_what_is_missing(folder):
    (folder / "datapackage.json").write_text('{"name": "x", "resources": []}')
    differences = check_datapackage(folder)
    assert differences[:3] == [f"datapackage.json: {name} is missing" for name in ("title", "licenses", "sources")]


def test_a_folder_without_a_table_lists_its_readme(tmp_path):
    (tmp_path / "README.md").write_bytes(b"words\n")
    assert [resource["path"] for resource in datapackage_resources(tmp_path)] == ["README.md"]
    (tmp_path / "README.md").unlink()
    with pytest.raises(DataError, match=r"holds no CSV file and no README\.md"):
        datapackage_resources(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: is not valid JSON: Expecting value at column 1"),
        (b'{\n"a": }', "line 2: is not valid JSON: Expecting value at column 6"),
        (b"[]", "must be a JSON object: {...}"),
        (b"\xff\xfe", "is not UTF-8 text; save it as UTF-8"),
        (b"[" * 100_000, "is nested too deeply to be a data package"),
    ],
)
def test_a_broken_package_is_told_what_is_wrong(tmp_path, content, message):
    (tmp_path / "datapackage.json").write_bytes(content)
    with pytest.raises(DataError) as caught:
        refresh_datapackage(tmp_path)
    assert [str(fault) for fault in caught.value.faults] == [message]


def test_a_folder_without_a_package_is_told_to_write_one(tmp_path):
    with pytest.raises(DataError, match="does not exist; write one with name, title, licenses, sources, then run"):
        refresh_datapackage(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfea\0", b"Z\xfcrich\n"])
def test_a_table_that_is_no_text_cannot_be_described(folder, content):
    (folder / "anything.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"anything\.csv has 1 problem"):
        refresh_datapackage(folder)


def test_the_command_refreshes_and_checks(folder, capsys):
    assert main(["--check", str(folder)]) == 1
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.endswith(f"{folder}: 3 tables described\n")
    assert main(["--check", str(folder)]) == 0
    assert main([]) == 2
    assert main([str(folder / "none")]) == 1


@pytest.mark.slow
def test_the_command_runs_as_a_module(folder):
    command = [sys.executable, "-m", "metapeer.records.package", str(folder)]
    assert (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{folder}: 3 tables described\n"
    )
