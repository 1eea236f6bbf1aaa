"""The bundled reviews, and folders of one's own."""

import math

import pandas as pd
import pytest

from metapeer.errors import ChoiceError, DataError, DataWarning
from metapeer.records import catalog
from metapeer.records.catalog import (
    datasets_root,
    list_datasets,
    load_claims,
    load_dataset,
    load_instruments,
)
from metapeer.records.schema import CLAIMS, INSTRUMENTS, OUTCOMES, TRIALS

OUTCOMES_HEADER = "row_id,study_id,outcome,outcome_class,instrument,n1,mean1,sd1,n2,mean2,sd2,source"


@pytest.fixture
def folder(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "trials.csv").write_text("study_id,citation,year,source\na,A 2001,2001,p. 1\n")
    (mine / "outcomes.csv").write_text(f"{OUTCOMES_HEADER}\na.1,a,hope,psychosocial,CES-D,20,1.10,1,20,1,1,p. 2\n")
    return mine


def test_every_bundled_review_loads_and_is_listed():
    listed = list_datasets()
    assert {"smit2023", "lyons2021", "white2020", "lloydevans2014", "updates"} <= set(listed["name"])
    for row in listed.itertuples():
        review = load_dataset(row.name)
        assert (review.name, review.title) == (row.name, row.title)
        assert (len(review.trials), len(review.outcomes), len(review.published)) == (
            row.trials,
            row.rows,
            row.published,
        )
        assert row.usable_rows == (review.outcomes["exclusion_reason"] == "").sum()
        assert review.title
        assert review.licence
        assert review.path == datasets_root() / row.name


def test_a_review_has_every_column_of_its_tables_whatever_its_files_hold():
    for name in ("smit2023", "mirbahaeddin2022"):
        review = load_dataset(name)
        assert list(review.outcomes.columns[: len(OUTCOMES.names)]) == list(OUTCOMES.names)
        assert list(review.trials.columns[: len(TRIALS.names)]) == list(TRIALS.names)
        assert list(review.outcomes_text.columns[: len(OUTCOMES.names)]) == list(OUTCOMES.names)
        assert len(review.outcomes_text) == len(review.outcomes)
        assert review.outcomes["n1"].dtype == float


def test_the_text_of_outcomes_keeps_the_digits(folder):
    review = load_dataset(folder)
    assert review.outcomes["mean1"].tolist() == [1.1]
    assert review.outcomes_text["mean1"].tolist() == ["1.10"]


def test_rows_carry_what_is_known_of_their_trial_and_their_direction():
    review = load_dataset("smit2023")
    rows = review.rows()
    assert rows["row_id"].tolist() == review.outcomes["row_id"].tolist()
    assert rows.columns.is_unique
    year = dict(zip(review.trials["study_id"], review.trials["year"], strict=True))
    assert rows["year"].tolist() == [year[study] for study in rows["study_id"]]
    assert set(rows["perinatal"]) == {"Yes", "No"}
    direction = dict(zip(load_instruments()["instrument"], load_instruments()["direction"], strict=True))
    assert rows["direction"].tolist() == [direction[name] for name in rows["instrument"]]
    assert rows["source"].tolist() == review.outcomes["source"].tolist()


def test_rows_that_are_handed_in_are_joined_in_their_own_order_and_index():
    review = load_dataset("smit2023")
    some = review.outcomes.iloc[[5, 2]]
    rows = review.rows(some)
    assert rows.index.tolist() == [5, 2]
    assert rows["citation"].tolist() == review.rows().loc[[5, 2], "citation"].tolist()


def test_rows_of_unknown_trials_have_empty_cells(folder):
    review = load_dataset(folder)
    rows = review.rows(review.outcomes.assign(study_id="nobody", instrument="Wibble"))
    assert rows.loc[0, ["citation", "direction"]].tolist() == ["", ""]
    assert math.isnan(rows.loc[0, "year"])


def test_rows_carry_what_is_coded_of_implementation(folder):
    (folder / "trials.csv").write_text(
        "study_id,citation,year,impl_training,impl_training_words,impl_source,source\n"
        "a,A 2001,2001,yes,a 40-hour course,p. 3,p. 1\n"
    )
    rows = load_dataset(folder).rows()
    assert rows.loc[0, ["impl_training", "impl_training_words", "impl_supervision"]].tolist() == [
        "yes",
        "a 40-hour course",
        "",
    ]


def test_trials_coded_without_words_are_a_fault_of_the_review(folder):
    (folder / "trials.csv").write_text(
        "study_id,citation,impl_training,impl_source,source\na,A 2001,yes,p. 3,p. 1\nb,B 2002,,,p. 1\n"
    )
    with pytest.raises(DataError) as caught:
        load_dataset(folder)
    assert [fault.message for fault in caught.value.faults] == [
        "trials.csv, line 2 (a), impl_training: 'yes' without the source's words; quote them in impl_training_words"
    ]


def test_the_columns_of_a_file_of_your_own_are_text_whatever_they_are_called(folder):
    (folder / "extra.csv").write_text("events1,total1,arm1,arm2,impl_training,p_value\nfew,3,x,x,perhaps,5\n")
    (folder / "trials.csv").write_text("study_id,citation,source,es_ci_low,es\na,A 2001,p. 1,low,none\n")
    review = load_dataset(folder)
    assert review.extras["extra"].loc[0, "events1"] == "few"
    assert review.trials.loc[0, "es_ci_low"] == "low"


def test_a_review_says_what_it_is():
    text = str(load_dataset("smit2023"))
    assert text.startswith("Smit et al. 2023")
    assert "66, of which 66 can be pooled" in text


def test_what_is_loaded_may_be_changed_without_harm():
    review = load_dataset("smit2023")
    review.outcomes.loc[:, "n1"] = 0
    assert load_dataset("smit2023").outcomes["n1"].gt(0).any()


def test_instruments_and_claims_have_their_columns():
    assert list(load_instruments().columns) == [*INSTRUMENTS.names, "line"]
    assert list(load_claims().columns) == [*CLAIMS.names, "line"]


def test_an_unknown_review_is_asked_about():
    with pytest.raises(ChoiceError, match=r"dataset 'smit2032' is unknown\. Did you mean 'smit2023'\?"):
        load_dataset("smit2032")


@pytest.mark.parametrize("name", [3, None, ["smit2023"], "./none", "a\0/b"])
def test_what_is_no_review_is_refused(name):
    with pytest.raises(DataError):
        load_dataset(name)


def test_a_folder_without_tables_is_no_review(tmp_path):
    (tmp_path / "x.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"is no review; it needs outcomes\.csv, published\.csv or datapackage\.json"):
        load_dataset(tmp_path)


def test_missing_bundled_data_are_a_clear_error(monkeypatch, tmp_path):
    monkeypatch.setattr(catalog, "files", lambda _: tmp_path / "metapeer")
    with pytest.raises(ValueError, match=r"the bundled data are missing: neither .* install metapeer again"):
        datasets_root()


def test_data_in_the_installed_package_come_before_those_of_a_checkout(monkeypatch, tmp_path):
    for place in (tmp_path / "metapeer" / "_datasets", tmp_path / "datasets"):
        place.mkdir(parents=True)
        (place / "instruments.csv").write_text("")
        monkeypatch.setattr(catalog, "files", lambda _: tmp_path / "metapeer")
    assert datasets_root() == tmp_path / "metapeer" / "_datasets"


def test_all_faults_of_all_files_of_a_folder_are_listed_with_their_file(folder):
    (folder / "outcomes.csv").write_text(
        f"{OUTCOMES_HEADER}\na.1,a,hope,psychosocial,CES-D,20,1,-1,20,1,1,p. 2\n"
        "b.1,b,hope,psychosocial,Wibble,20,1,1,20,1,1,p. 2\n"
    )
    (folder / "trials.csv").write_text("study_id,citation,year,source\na,A 2001,20001,p. 1\n")
    (folder / "overrides.csv").write_text(
        "override_id,row_id,column,raw,value,status,reason,source\no,c.1,sd1,1,2,suspected,why,me\n"
    )
    (folder / "plan.toml").write_text("a = \n")
    (folder / "published.csv").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load_dataset(folder)
    assert [str(fault).split(";")[0] for fault in caught.value.faults] == [
        "outcomes.csv, line 2 (a, hope), sd1: -1 is not allowed",
        "published.csv is empty",
        "trials.csv, line 2 (a), year: 20001 is not allowed",
        "plan.toml is not valid TOML: Invalid value (at line 1, column 5)",
        "outcomes.csv, line 3 (b, hope), study_id: 'b' does not stand in trials.csv",
        (
            "outcomes.csv, line 3 (b, hope), instrument: 'Wibble' is not in instruments.csv, so it is unknown which "
            "way is good"
        ),
        "overrides.csv, line 2 (o), row_id: 'c.1' does not stand in outcomes.csv",
    ]


def test_a_folder_may_bring_its_own_instruments_and_any_other_table(folder):
    outcomes = (folder / "outcomes.csv").read_text()
    (folder / "outcomes.csv").write_text(outcomes.replace("CES-D", "Wibble"))
    (folder / "instruments.csv").write_text(
        "instrument,outcome,outcome_class,direction,source\nWibble,hope,psychosocial,lower_better,me\n"
    )
    (folder / "notes.csv").write_text("a,b\n007,x\n")
    review = load_dataset(str(folder))
    assert review.rows()["direction"].tolist() == ["lower_better"]
    assert review.extras["notes"]["a"].tolist() == ["007"]
    assert isinstance(review.extras["notes"], pd.DataFrame)
    with pytest.raises(TypeError):
        review.extras["more"] = review.outcomes


def test_a_package_that_no_longer_fits_its_files_is_a_warning(folder):
    (folder / "datapackage.json").write_text(
        '{"name": "mine", "title": "Mine", "licenses": [{"name": "MIT"}, 3], "sources": [{}], "metapeer": {"doi": 3}}'
    )
    with pytest.warns(DataWarning, match=r"mine: datapackage\.json: resources is missing"):
        review = load_dataset(folder)
    assert (review.title, review.licence, review.doi) == ("Mine", "MIT", "")


def test_a_plan_is_read(folder):
    (folder / "plan.toml").write_text('measure = "SMD"\n')
    assert load_dataset(folder).plan == {"measure": "SMD"}
