"""New rows and corrections: everything that is wrong is told, what is right is written as it was typed."""

import csv
import json
import multiprocessing
import shutil
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.living.adding import add_rows
from metapeer.living.adding_corrections import correct
from metapeer.living.folder import init_review, load_review
from metapeer.living.store import history, undo
from metapeer.records.catalog import load_dataset
from metapeer.records.csvfile import read_outcomes
from metapeer.records.overrides import apply_overrides
from metapeer.records.package import check_datapackage

FORK = multiprocessing.get_context("fork")
NEW = {
    "study_id": "smith2026",
    "citation": "Smith (2026). A trial. J 1:1-9",
    "instrument": "Herth Hope Index",
    "format": "group",
    "timepoint": "end_of_treatment",
    "n1": "60",
    "mean1": "31.20",
    "sd1": "8.1",
    "n2": "58",
    "mean2": "29.4",
    "sd2": "8.8",
    "source": "Table 2",
}


def frame(*rows: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame([NEW | row for row in rows or ({},)]).fillna("")


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    return init_review(tmp_path_factory.mktemp("begun") / "mine", start="lyons2021").path


@pytest.fixture
def mine(begun, tmp_path):
    return Path(shutil.copytree(begun, tmp_path / "mine"))


@pytest.fixture(scope="module")
def added(begun, tmp_path_factory):
    folder = Path(shutil.copytree(begun, tmp_path_factory.mktemp("added") / "mine"))
    add_rows(folder, frame(), write=True)
    return folder


@pytest.fixture
def with_row(added, tmp_path):
    return Path(shutil.copytree(added, tmp_path / "mine"))


def faults(folder: Path, table: object, **options: object) -> str:
    before = tree(folder)
    with pytest.raises(DataError) as caught:
        add_rows(folder, table, write=True, **options)
    assert tree(folder) == before
    return str(caught.value)


def test_rows_are_shown_first_and_written_on_request(mine):
    before = tree(mine)
    shown = add_rows(mine, frame())
    assert tree(mine) == before
    assert not shown.written
    assert shown.rows["row_id"].tolist() == ["smith2026.1"]
    assert shown.trials["study_id"].tolist() == ["smith2026"]
    hope = shown.update["hope"]
    assert hope.after.k == hope.before.k + 1
    assert "nothing is written yet" in str(shown)
    written = add_rows(mine, frame(), write=True)
    assert written.written
    assert written.update["hope"].after.estimate == hope.after.estimate
    assert check_datapackage(mine) == []
    assert load_review(mine).outcomes["row_id"].tolist() == ["smith2026.1"]
    (step,) = history(mine)
    assert step.what == "add 1 row of smith2026"
    assert step.files == ("trials.csv", "outcomes.csv", "datapackage.json")
    undo(mine)
    assert tree(mine) == before


def test_the_lines_that_are_there_stay_byte_for_byte_and_digits_stay_as_typed(mine):
    before = tree(mine)
    add_rows(mine, frame(), write=True)
    after = tree(mine)
    for name in ("trials.csv", "outcomes.csv"):
        assert after[name].startswith(before[name])
    (row,) = lines(mine / "outcomes.csv")
    assert (row["mean1"], row["outcome"], row["outcome_class"]) == ("31.20", "hope", "psychosocial")
    assert (row["row_id"], row["source"]) == ("smith2026.1", "Table 2")
    trial = lines(mine / "trials.csv")[-1]
    assert (trial["study_id"], trial["citation"], trial["source"]) == ("smith2026", NEW["citation"], "Table 2")


def test_decimal_commas_and_words_for_missing_values_are_written_as_the_files_have_them(mine, tmp_path):
    path = tmp_path / "new.csv"
    header = ";".join(NEW)
    cells = NEW | {"mean1": "31,20", "sd1": "8,1", "mean2": "\N{MINUS SIGN}29,4", "sd2": "8,8"}
    path.write_text(f"{header};note;p_value\n{';'.join(cells.values())};NR;0,040\n", encoding="utf-8")
    add_rows(mine, path, write=True)
    (row,) = lines(mine / "outcomes.csv")
    assert [row[name] for name in ("mean1", "sd1", "mean2", "note", "p_value")] == [
        "31.20",
        "8.1",
        "-29.4",
        "",
        "0.040",
    ]


def test_a_bundled_trial_is_added_with_its_line(mine):
    updates = load_dataset("updates")
    rows = updates.outcomes_text[updates.outcomes["study_id"] == "poulsen2025"]
    result = add_rows(mine, rows, trials=updates.trials, write=True)
    assert result.rows["row_id"].tolist() == ["poulsen2025.1", "poulsen2025.2"]
    assert dict(result.missing)["poulsen2025.1"] == "timepoint_months"
    origin = updates.outcomes[updates.outcomes["study_id"] == "poulsen2025"].drop(columns="line").reset_index(drop=True)
    there = load_review(mine).outcomes.drop(columns="line")
    pd.testing.assert_frame_equal(there[origin.columns], origin, check_like=False)
    line = lines(mine / "trials.csv")[-1]
    assert line["citation"].startswith("Poulsen et al. 2025")
    with pytest.raises(DataError, match=r"trials=load_dataset\('updates'\)\.trials"):
        add_rows(init_review(mine.parent / "other").path, rows)


def test_what_read_outcomes_gave_is_added_under_new_names(mine, tmp_path):
    path = tmp_path / "new.csv"
    frame().to_csv(path, index=False)
    add_rows(mine, read_outcomes(path), write=True)
    frame({"timepoint": "follow_up"}).to_csv(path, index=False)
    again = add_rows(mine, read_outcomes(path), write=True)
    assert again.rows["row_id"].tolist() == ["smith2026.2"]
    assert "row_id smith2026.1 stands in the review already; the new row is smith2026.2" in again.notes
    assert len(again.trials) == 0


def test_every_fault_is_told_at_once_with_its_place(mine, tmp_path):
    path = tmp_path / "bad.csv"
    frame({"sd1": "-3"}, {"n1": "x", "timepoint": "later"}, {"instrument": "My scale", "source": ""}).to_csv(
        path, index=False
    )
    told = faults(mine, path)
    for words in (
        "line 2 (smith2026), sd1: -3 is not allowed",
        "line 3 (smith2026), n1: 'x' is not a number",
        "line 3 (smith2026), timepoint: 'later' is unknown",
        "line 4 (smith2026), instrument: 'My scale' is not in instruments.csv, so it is unknown which way is good",
        "line 4 (smith2026), source: is missing",
    ):
        assert words in told
    told = faults(mine, pd.read_csv(path, dtype=str, keep_default_na=False))
    assert "row 1 (smith2026), sd1: -3 is not allowed" in told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"instrument": ""}, "instrument: is missing"),
        ({"sd2": ""}, "cannot be pooled: sd2 would make it so"),
        ({"yi": "0.2", "vi": "0.1"}, "yi: the rows of a review have no such column"),
        ({"time1": "3"}, "time1: the rows of a review have no such column"),
        ({"citation": ""}, "'smith2026' is a new trial; give its full reference"),
        ({"direction": "lower_better"}, "is higher_better in instruments.csv, and one instrument has one direction"),
        ({"events1": "9", "total1": "3"}, "9 events in 3 participants"),
    ],
)
def test_a_row_that_cannot_stand_is_refused(mine, change, words):
    assert words in faults(mine, frame(change))


def test_a_result_that_is_there_already_is_refused_unless_it_is_set_aside(with_row):
    mine = with_row
    told = faults(mine, frame({"instrument": "herth hope  index", "mean1": "3"}))
    assert "is the same result as smith2026.1" in told
    assert "row_id" in faults(mine, frame({"row_id": "other"}, {"row_id": "other", "timepoint": "follow_up"}))
    aside = add_rows(mine, frame({"exclusion_reason": "the same"}), write=True)
    assert aside.rows["row_id"].tolist() == ["smith2026.2"]
    assert "is the same result as" in faults(mine, frame({"timepoint": "follow_up"}, {"timepoint": "follow_up"}))
    add_rows(mine, frame({"timepoint": "follow_up", "timepoint_months": "6"}), write=True)
    assert "same result" in faults(mine, frame({"timepoint": "follow_up", "timepoint_months": "6.0"}))


def test_a_name_that_is_taken_is_told(mine):
    add_rows(mine, frame({"row_id": "mine"}), write=True)
    assert "row_id: 'mine' stands in the review already" in faults(
        mine, frame({"row_id": "mine", "timepoint": "follow_up"})
    )


def test_a_new_instrument_gets_its_line_and_its_direction_is_used(mine):
    new = {"instrument": "My scale", "outcome": "hope", "outcome_class": "psychosocial", "direction": "lower_better"}
    result = add_rows(mine, frame(new), write=True)
    assert lines(mine / "instruments.csv") == [
        {"instrument": "My scale", "construct": "", "outcome": "hope", "outcome_class": "psychosocial",
         "direction": "lower_better", "min": "", "max": "", "source": "Table 2", "note": ""}
    ]  # fmt: skip
    assert result.update["hope"].after.estimate < result.update["hope"].before.estimate
    again = add_rows(mine, frame(new | {"timepoint": "follow_up", "direction": ""}), write=True)
    assert len(again.instruments) == 0
    told = faults(mine, frame(new | {"timepoint": "follow_up", "timepoint_months": "9", "direction": "higher_better"}))
    assert "is lower_better in instruments.csv" in told


def test_columns_that_only_some_files_have_are_added_when_a_row_fills_them(with_row):
    mine = with_row
    add_rows(mine, frame({"timepoint": "follow_up", "arm1": "groups", "arm2": "wait"}), write=True)
    first, second = lines(mine / "outcomes.csv")
    assert (first["arm1"], second["arm1"], second["arm2"]) == ("", "groups", "wait")
    assert first["mean1"] == "31.20"
    assert check_datapackage(mine) == []


def test_columns_that_have_no_place_are_named_and_columns_of_the_reviews_own_are_filled(mine):
    shown = add_rows(mine, frame({"mood": "good"}))
    assert "not taken over, since outcomes.csv has no such column: mood" in shown.notes
    text = (mine / "outcomes.csv").read_text().rstrip("\n") + ",mood\n"
    (mine / "outcomes.csv").write_text(text)
    written = add_rows(mine, frame({"mood": "good"}), write=True)
    assert any("outcomes.csv: bytes is not what datapackage.json says" in note for note in written.notes)
    assert lines(mine / "outcomes.csv")[0]["mood"] == "good"


def test_what_a_table_says_of_a_known_trial_is_not_taken_over_without_a_word(mine):
    shown = add_rows(mine, frame({"study_id": "cook2012a", "citation": "", "year": "2013", "country": "USA"}))
    assert "year of cook2012a stays as trials.csv has it, '2012.0'" in shown.notes
    assert not any(note.startswith("country") for note in shown.notes)


def test_suspicions_of_the_audit_are_shown_and_errors_keep_rows_out_unless_the_source_is_wrong(mine):
    shown = add_rows(mine, frame({"sd2": "1.1"}), write=True)
    assert shown.audit.counts()["suspicion"] >= 1
    assert "standard error" in str(shown)
    undo(mine)
    before = tree(mine)
    wrong = frame({"mean1": "", "sd1": "", "mean2": "", "sd2": "", "es_type": "SMD", "es": "0.5", "es_ci_low": "0.49",
                   "es_ci_high": "0.9", "p_value": "0.9"})  # fmt: skip
    if add_rows(mine, wrong).audit.counts()["error"]:
        with pytest.raises(MetapeerError, match="nothing was written: the audit finds"):
            add_rows(mine, wrong, write=True)
        assert tree(mine) == before
        assert add_rows(mine, wrong, write=True, despite_errors=True).written
    else:
        pytest.fail("the row was meant to contradict itself")


def test_rows_are_added_to_a_review_that_has_none(tmp_path):
    fresh = init_review(tmp_path / "fresh").path
    result = add_rows(fresh, frame(), write=True)
    assert result.update["hope"].before is None
    assert result.update["hope"].after.k == 1
    add_rows(fresh, frame({"study_id": "jones2026", "citation": "Jones (2026)", "source": "T"}), write=True)
    assert load_review(fresh).trials["study_id"].tolist() == ["smith2026", "jones2026"]


@pytest.mark.parametrize(
    "table", [3, None, "nowhere.csv", "", pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame({1: [2]})]
)
def test_what_is_no_table_is_said_to_be_none(mine, table):
    with pytest.raises(MetapeerError):
        add_rows(mine, table)


def test_a_file_that_is_not_written_as_reviews_are_is_not_mangled(mine):
    text = (mine / "outcomes.csv").read_text().replace(",", ";")
    (mine / "outcomes.csv").write_text(text)
    with pytest.warns(match="is not what datapackage"):
        load_review(mine)
    assert "the cells are not parted by commas" in faults(mine, frame())


def add_one(folder: Path, number: int) -> None:
    add_rows(folder, frame({"study_id": f"trial{number}", "citation": f"Trial {number}"}), write=True, timeout=240)


def test_people_who_add_trials_at_once_lose_nothing(mine):
    writers = [FORK.Process(target=add_one, args=(mine, number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 3
    assert sorted(load_review(mine).outcomes["row_id"]) == [f"trial{number}.1" for number in range(3)]
    assert check_datapackage(mine) == []
    assert len(history(mine)) == 3


# Corrections.

WHO = {"reason": "as printed", "source": "Table 1", "author": "A. Reviewer", "date": "2026-01-31"}


def test_a_correction_is_recorded_and_the_raw_value_stays(with_row):
    mine = with_row
    raw = (mine / "outcomes.csv").read_bytes()
    made = correct(mine, "smith2026.1", "mean1", "32.10", **WHO)
    assert made.written
    assert (made.raw, made.value) == ("31.20", "32.10")
    assert (mine / "outcomes.csv").read_bytes() == raw
    assert lines(mine / "overrides.csv") == [
        {"override_id": "smith2026.1 mean1", "row_id": "smith2026.1", "column": "mean1", "raw": "31.20",
         "value": "32.10", "status": "suspected", **WHO}
    ]  # fmt: skip
    review = load_review(mine)
    assert apply_overrides(review.outcomes, review.overrides)["mean1"].tolist() == [32.1]
    assert made.update["hope"].after.estimate > made.update["hope"].before.estimate
    assert check_datapackage(mine) == []
    undo(mine)
    assert not (mine / "overrides.csv").exists()


def test_a_correction_is_shown_without_being_recorded(with_row):
    mine = with_row
    before = tree(mine)
    shown = correct(mine, "smith2026.1", "n1", 61, **WHO, write=False)
    assert "nothing is written yet" in str(shown)
    assert tree(mine) == before


def test_corrections_join_those_of_a_bundled_review_whose_lines_stay(tmp_path):
    folder = init_review(tmp_path / "mine", start="smit2023").path
    before = lines(folder / "overrides.csv")
    made = correct(folder, "salzer2016.1", "n1", 51, **WHO, override_id="salzer2016 sds", status="confirmed")
    assert any("review_yi" in note for note in made.notes)
    *earlier, last = lines(folder / "overrides.csv")
    assert earlier == [line | {"author": "", "date": ""} for line in before]
    assert (last["override_id"], last["status"]) == ("salzer2016 sds", "confirmed")


@pytest.mark.parametrize(
    ("cell", "options", "error", "words"),
    [
        (("smith2026.2", "n1", "3"), {}, ChoiceError, "Did you mean 'smith2026.1'"),
        (("smith2026.1", "n_1", "3"), {}, ChoiceError, "Did you mean 'n1'"),
        (("smith2026.1", "row_id", "x"), {}, ChoiceError, "column 'row_id' is unknown"),
        (("smith2026.1", "sd1", "0"), {}, DataError, "must be > 0"),
        (("smith2026.1", "sd1", "many"), {}, DataError, "is not a number"),
        (("smith2026.1", "format", "both"), {}, DataError, "is unknown"),
        (("smith2026.1", "sd1", "8.1"), {}, DataError, "stands there already"),
        (("smith2026.1", "note", None), {}, DataError, "is empty already"),
        (("smith2026.1", "sd1", "3"), {"reason": " "}, DataError, "reason: is missing"),
        (("smith2026.1", "sd1", "3"), {"author": ""}, DataError, "author: is missing"),
        (("smith2026.1", "sd1", "3"), {"status": "sure"}, ChoiceError, "status 'sure' is unknown"),
        (("smith2026.1", "sd1", "3"), {"date": "31.1.2026"}, MetapeerError, "write it as year-month-day"),
    ],
)
def test_a_correction_that_cannot_stand_changes_nothing(with_row, cell, options, error, words):
    mine = with_row
    before = tree(mine)
    with pytest.raises(error, match=words):
        correct(mine, *cell, **(WHO | options))
    assert tree(mine) == before


def test_a_cell_has_one_correction(with_row):
    mine = with_row
    correct(mine, "smith2026.1", "n1", 61, **WHO)
    with pytest.raises(DataError, match=r"has a correction already, 'smith2026\.1 n1', to '61'"):
        correct(mine, "smith2026.1", "n1", 62, **WHO)


# Any text survives.

WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12).map(
    lambda s: " ".join(s.split())
)
NUMBERS = st.decimals(-999, 999, places=3, allow_nan=False).map(str)


@settings(max_examples=6)
@given(WORDS, WORDS, NUMBERS, NUMBERS)
def test_whatever_is_typed_is_read_back(note, comparator, mean1, mean2):
    with tempfile.TemporaryDirectory() as place:
        folder = init_review(Path(place) / "mine").path
        typed = {"note": note, "comparator": comparator, "mean1": mean1, "mean2": mean2}
        add_rows(folder, frame(typed), write=True)
        (row,) = lines(folder / "outcomes.csv")
        blank = {"na", "n/a", "nan", "nr", ".", "-"}
        for name, cell in typed.items():
            assert row[name] == ("" if cell.casefold() in blank else cell)
        package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
        assert [one["name"] for one in package["resources"]] == ["trials", "outcomes"]
