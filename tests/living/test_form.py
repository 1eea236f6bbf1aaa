"""The Excel form: what is typed into it comes back, and what Excel makes of numbers is not believed."""

import datetime as dt
import tempfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.errors import DataError, MetapeerError
from metapeer.living.adding import add_rows
from metapeer.living.folder import init_review
from metapeer.living.form import read_form, write_form
from metapeer.records.schema import OUTCOMES, TRIALS

ROW = {
    "study_id": "smith2026",
    "instrument": "Herth Hope Index",
    "format": "group",
    "timepoint": "end_of_treatment",
    "n1": 60,
    "mean1": 31.2,
    "sd1": 8.1,
    "n2": 58,
    "mean2": 29.4,
    "sd2": 8.8,
    "source": "Table 2",
}
TRIAL = {"study_id": "smith2026", "citation": "Smith (2026)", "source": "paper", "year": 2026}


def fill(path: Path, **sheets: list[dict[str, object]]) -> None:
    book = openpyxl.load_workbook(path)
    for name, rows in sheets.items():
        page = book[name]
        columns = {cell.value: cell.column for cell in page[1]}
        for line, row in enumerate(rows, start=2):
            for column, value in row.items():
                cell = page.cell(row=line, column=columns[column])
                cell.value = value
                if isinstance(value, str) and not value.startswith("=SUM"):
                    cell.data_type = "s"
    book.save(path)


@pytest.fixture
def form(tmp_path):
    path = tmp_path / "form.xlsx"
    write_form(path)
    return path


def test_what_is_typed_into_the_form_is_added_to_a_review(form, tmp_path):
    fill(form, Outcomes=[ROW], Trials=[TRIAL])
    typed = read_form(form)
    folder = init_review(tmp_path / "mine", start="lyons2021").path
    result = add_rows(folder, typed.rows, trials=typed.trials, write=True)
    assert result.rows.loc[0, ["n1", "mean1", "outcome"]].tolist() == ["60", "31.2", "hope"]
    assert result.trials.loc[0, "year"] == "2026"
    hope = result.update["hope"]
    assert hope.after.k == hope.before.k + 1


def test_a_fault_in_the_form_is_told_with_the_sheets_line(form, tmp_path):
    fill(form, Outcomes=[ROW, ROW | {"sd1": -3, "timepoint": "follow_up"}], Trials=[TRIAL])
    typed = read_form(form)
    folder = init_review(tmp_path / "mine").path
    with pytest.raises(DataError, match=r"form\.xlsx \(sheet Outcomes\) has 1 problem\n  line 3 .*sd1: -3"):
        add_rows(folder, typed.rows, trials=typed.trials)


def test_the_form_of_a_review_lists_its_trials_and_instruments(tmp_path):
    folder = init_review(tmp_path / "mine", start="smit2023").path
    write_form(tmp_path / "form.xlsx", folder=folder)
    book = openpyxl.load_workbook(tmp_path / "form.xlsx")
    lists = {column[0].value: [cell.value for cell in column[1:] if cell.value] for column in book["Lists"].columns}
    assert "salzer2016" in lists["study_id"]
    assert any("Herth Hope Index" in name for name in lists["instrument"])
    assert book["Lists"].sheet_state == "hidden"
    assert book["Instructions"]["A1"].value.startswith("Smit et al. 2023")
    assert book.active.title == "Outcomes"


def test_the_form_has_every_column_with_a_note_choices_and_ranges(form):
    book = openpyxl.load_workbook(form)
    for name, table in (("Outcomes", OUTCOMES), ("Trials", TRIALS)):
        page = book[name]
        headers = [cell.value for cell in page[1]]
        assert set(headers) == {*table.names, *(["direction"] if name == "Outcomes" else [])} - {"row_id"}
        assert all(cell.comment.text for cell in page[1])
        rules = {str(rule.sqref).split(":")[0]: rule for rule in page.data_validations.dataValidation}
        for cell in page[1]:
            rule = rules.get(f"{cell.column_letter}2")
            field = table[cell.value] if cell.value in table.names else None
            if field is not None and field.categories:
                assert rule.type == "list"
                assert rule.formula1 == f'"{",".join(field.categories)}"'
                assert len(rule.formula1) < 256
            elif field is not None and field.type in ("integer", "number"):
                assert rule.type == ("whole" if field.type == "integer" else "decimal")
                if field.minimum is not None:
                    assert float(rule.formula1) == field.minimum
                if field.above is not None:
                    assert (rule.operator, float(rule.formula1)) == ("greaterThan", field.above)
            elif field is not None:
                assert page.column_dimensions[cell.column_letter].number_format == "@"
            assert rule is None or len(rule.error or "") <= 255


@pytest.mark.parametrize(
    ("value", "words"),
    [("=SUM(A1:A2)", "holds a formula"), (dt.datetime(2026, 2, 3), "holds a date")],  # noqa: DTZ001
)
def test_formulas_and_dates_are_told_by_their_cell(form, value, words):
    fill(form, Outcomes=[ROW | {"mean1": value}], Trials=[TRIAL])
    with pytest.raises(DataError, match=f"sheet Outcomes, line 2: [A-Z]+2 {words}"):
        read_form(form)


def test_a_form_without_a_result_or_without_its_sheets_is_told(form, tmp_path):
    fill(form, Trials=[TRIAL])
    with pytest.raises(DataError, match="no result was typed in"):
        read_form(form)
    book = openpyxl.load_workbook(form)
    del book["Outcomes"]
    book.save(form)
    with pytest.raises(DataError, match="has no sheet 'Outcomes'"):
        read_form(form)
    (tmp_path / "other.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    with pytest.raises(DataError, match="damaged zip archive"):
        read_form(tmp_path / "other.xlsx")
    with pytest.raises(DataError, match="does not exist"):
        read_form(tmp_path / "nowhere.xlsx")


def test_a_column_that_was_deleted_is_told(form):
    book = openpyxl.load_workbook(form)
    book["Outcomes"].delete_cols(1)
    book.save(form)
    fill(form, Outcomes=[{k: v for k, v in ROW.items() if k != "study_id"}])
    with pytest.raises(DataError, match="study_id: the column is missing"):
        read_form(form)


def test_a_form_is_never_overwritten(form, tmp_path):
    with pytest.raises(MetapeerError, match="exists; it may hold what was typed in"):
        write_form(form)
    with pytest.raises(MetapeerError, match=r"let it end in \.xlsx"):
        write_form(tmp_path / "form.csv")
    with pytest.raises(MetapeerError, match="the form was not written"):
        write_form(tmp_path / "nowhere" / "form.xlsx")


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Cn", "Co")), min_size=1, max_size=12).map(
    lambda text: " ".join(text.split())
)


@settings(max_examples=5)
@given(TEXT.filter(bool), st.floats(-1e6, 1e6), st.integers(2, 10**6))
def test_texts_and_numbers_come_back_from_the_form(note, mean, n):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "form.xlsx"
        write_form(path)
        fill(path, Outcomes=[ROW | {"note": note, "mean1": mean, "n1": n}], Trials=[TRIAL])
        row = read_form(path).rows.loc[0]
        assert row["note"] == note.removeprefix("'") if note.startswith("'") else row["note"] == note
        assert float(row["mean1"]) == pytest.approx(mean, rel=1e-14, abs=1e-300)
        assert row["n1"] == str(n)
