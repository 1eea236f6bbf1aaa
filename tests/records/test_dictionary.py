"""The data dictionary says what the schema says."""

from pathlib import Path

from metapeer.records.dictionary import data_dictionary, main
from metapeer.records.schema import EXTRA_TABLES, EXTRACTION, TABLES

DOCUMENT = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_the_document_is_the_one_that_the_schema_gives():
    assert DOCUMENT.read_bytes().decode() == data_dictionary(), (
        "run: python -m metapeer.records.dictionary docs/data-dictionary.md"
    )


def test_every_column_of_every_table_is_explained():
    text = data_dictionary()
    for table in (*TABLES.values(), *EXTRA_TABLES.values()):
        section = text.split(f"\n## {table.name}.csv\n")[1].split("\n## ")[0]
        for field in table.fields:
            assert f"| `{field.name}` |" in section
    for name in EXTRACTION.names:
        assert f"| `{name}` |" in text


def test_the_command_writes_the_document(tmp_path):
    assert main([str(tmp_path / "d.md")]) == 0
    assert (tmp_path / "d.md").read_bytes().decode() == data_dictionary()
    assert main([]) == 2
