"""Every format that is written and read gives every column back."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, DataError
from metapeer.records.catalog import datasets_root
from metapeer.records.interchange.cells import defuse, undefuse
from metapeer.records.interchange.door import read_extraction
from metapeer.records.interchange.export import write_metapsy, write_table_as
from metapeer.records.interchange.metapsy import WEEKS_IN_A_MONTH, read_metapsy

FORMATS = ("csv", "metapsy", "escalc", "revman_csv", "xlsx")
SUFFIX = {"xlsx": "xlsx"}
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12).map(
    lambda text: " ".join(text.split())
)
missing = {"", "na", "n/a", "nan", "nr", ".", "-"}
cells = words.filter(lambda text: text.casefold() not in missing)
dangerous = st.sampled_from(
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "'=x", "''-y", "\uff1d1+1", "a,b;c\td", 'say "hi"']
)
texts = st.one_of(cells, dangerous)
reals = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False).map(lambda v: v if abs(v) > 1e-9 else 0.0)
positive = st.floats(min_value=1e-6, max_value=1e6)


@st.composite
def tables(draw):
    """Rows of means, changes, counts and ready-made effects, some with what no other format has a column for."""
    rows = []
    for number in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["post", "change", "events", "es", "log RR"]))
        row = {"row_id": f"r{number}", "study_id": draw(texts), "note": draw(texts), "my column": draw(texts)}
        row["outcome"], row["arm2"] = draw(texts), f"control {number}"
        row["arm1"] = draw(st.sampled_from(["peer", "peer [high]"]))
        row["timepoint"] = draw(st.sampled_from(["", "end_of_treatment", "follow_up"]))
        row["format"] = draw(st.sampled_from(["", "group", "one_to_one"]))
        row["timepoint_months"] = draw(st.one_of(st.just(np.nan), st.floats(0, 120)))
        if kind in ("post", "change"):
            row["statistic"] = kind
            for arm in "12":
                row[f"n{arm}"] = float(draw(st.integers(2, 5000)))
                row[f"mean{arm}"], row[f"sd{arm}"] = draw(reals), draw(positive)
        elif kind == "events":
            for arm in "12":
                row[f"total{arm}"] = float(draw(st.integers(1, 5000)))
                row[f"events{arm}"] = float(draw(st.integers(0, int(row[f"total{arm}"]))))
        else:
            row["es"], row["es_se"] = draw(reals), draw(positive)
            row["es_type"] = draw(st.sampled_from(["Hedges g", "MD", "b (path model)"])) if kind == "es" else kind
        rows.append(row)
    frame = pd.DataFrame(rows)
    for name in ("n1", "mean1", "sd1", "n2", "mean2", "sd2", "es", "es_se", "events1", "total1", "events2", "total2"):
        frame[name] = frame.get(name, pd.Series(np.nan, index=frame.index)).astype(float)
    for name in ("statistic", "es_type"):
        frame[name] = frame.get(name, pd.Series("", index=frame.index)).fillna("").astype(str)
    return frame


def again(frame, path, form):
    write_table_as(frame, path, format=form)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_extraction(path)


def assert_nothing_lost(before, after):
    for name in before.columns:
        if name == "line":
            continue
        one, two = before[name].tolist(), after[name].tolist()
        if pd.api.types.is_numeric_dtype(before[name]):
            np.testing.assert_array_equal(np.array(two, float), np.array(one, float), err_msg=name)
        else:
            assert two == [text.strip() for text in one], name


@pytest.mark.sampled(keep=2)
@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=tables())
def test_every_column_comes_back(form, frame, tmp_path):
    after = again(frame, tmp_path / f"t.{SUFFIX.get(form, 'csv')}", form)
    assert_nothing_lost(frame, after)


@pytest.mark.parametrize("form", FORMATS)
def test_a_bundled_review_comes_back(form, tmp_path):
    before = read_extraction(datasets_root() / "smit2023" / "outcomes.csv")
    assert_nothing_lost(before, again(before, tmp_path / f"t.{SUFFIX.get(form, 'csv')}", form))


@given(text=st.text(max_size=20))
def test_defusing_can_always_be_undone(text):
    assert undefuse(defuse(text)) == text


@given(text=texts)
def test_what_begins_like_a_formula_is_a_number_or_defused(text):
    written = defuse(text)
    if re.match(r"\s*[=+\-@\uff1d]", written):
        assert written == text
        float(written.replace(",", "."))


@pytest.mark.parametrize("form", ["csv", "metapsy", "escalc", "revman_csv"])
def test_formulas_are_defused_in_cells_and_headers(form, tmp_path):
    frame = pd.DataFrame({"study_id": ['=HYPERLINK("http://x")'], "es": [-0.5], "es_se": [0.2], "@note": ["+1+1"]})
    text = (write_table_as(frame, tmp_path / "t.csv", format=form), (tmp_path / "t.csv").read_text("utf-8"))[1]
    for cell in text.replace(";", ",").replace("\n", ",").split(","):
        assert not cell.strip('"').startswith(("=", "@", "+")), cell
    assert "-0.5" in text or "-0,5" in text
    after = again(frame, tmp_path / "t.csv", form)
    assert after["study_id"].tolist() == ['=HYPERLINK("http://x")']
    assert after["@note"].tolist() == ["+1+1"]


def test_a_workbook_holds_texts_not_formulas(tmp_path):
    import openpyxl

    frame = pd.DataFrame({"study_id": ["=1+1", "1-2"], "yi": [0.5, 1.0], "vi": [0.1, 0.2]})
    write_table_as(frame, tmp_path / "t.xlsx", format="xlsx")
    page = openpyxl.load_workbook(tmp_path / "t.xlsx").worksheets[0]
    assert [cell.value for cell in page["A"]] == ["study_id", "'=1+1", "1-2"]
    assert {cell.data_type for cell in page["A"]} == {"s"}


def test_metapsy_is_written_as_the_standard_says(tmp_path):
    frame = pd.DataFrame(
        {"study_id": ["Ames, 2014", "Bell, 2016"], "n1": [20.0, 30.0], "mean1": [3.5, 1e-7], "sd1": [1.25, 2.0]}
        | {"n2": [21.0, 31.0], "mean2": [3.0, -0.5], "sd2": [1.0, 2.0], "statistic": ["post", "change"]}
        | {"timepoint": ["end_of_treatment", "follow_up"], "timepoint_months": [3.0, np.nan]}
    )
    write_metapsy(frame, tmp_path / "data.csv")
    lines = (tmp_path / "data.csv").read_text("utf-8").splitlines()
    first, second = (dict(zip(lines[0].split(";"), line.split(";"), strict=True)) for line in lines[1:])
    assert first["study"] == '"Ames, 2014"'
    assert (first["mean_arm1"], first["sd_arm1"], first["n_arm1"], first["time"]) == ("3,5", "1,25", "20", "post")
    assert (first["mean_change_arm1"], first["event_arm1"]) == ("NA", "NA")
    assert (second["mean_arm1"], second["mean_change_arm1"], second["mean_change_arm2"]) == ("NA", "0,0000001", "-0,5")
    assert float(first["time_weeks"].replace(",", ".")) == pytest.approx(3 * WEEKS_IN_A_MONTH)
    assert (first["outcome_type"], second["outcome_type"]) == ("msd", "change")


def test_a_metapsy_folder_keeps_its_metadata(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "metadata").mkdir(parents=True)
    two.mkdir()
    (one / "data.csv").write_text("study;event_arm1;totaln_arm1;event_arm2;totaln_arm2\nAmes;1;10;2;11\n")
    (one / "metadata" / "last_search.txt").write_text("2019-07-01\n")
    (one / "metadata" / "search_flow.json").write_text('{"included": 8}')
    frame = read_metapsy(one)
    assert frame.attrs["metadata"] == {"last_search.txt": "2019-07-01\n", "search_flow.json": '{"included": 8}'}
    write_metapsy(frame, two)
    again_ = read_extraction(two)
    assert again_.attrs["metadata"] == frame.attrs["metadata"]
    assert again_[["events1", "total2"]].to_numpy().tolist() == [[1.0, 11.0]]


def test_metadata_cannot_be_written_out_of_its_folder(tmp_path):
    frame = pd.DataFrame({"study_id": ["a"], "yi": [1.0], "vi": [1.0]})
    frame.attrs["metadata"] = {"../../evil.txt": "x"}
    with pytest.raises(DataError, match="not a plain file name"):
        write_metapsy(frame, tmp_path)
    assert not (tmp_path.parent.parent / "evil.txt").exists()


def test_robvis_comes_back_one_row_for_each_trial(tmp_path):
    frame = pd.DataFrame(
        {"study_id": ["a", "a", "b"], "rob_d1": ["Low", "Low", "High"], "rob_overall": ["Low", "Low", "Some concerns"]}
    )
    after = again(frame, tmp_path / "rob.csv", "robvis")
    header = (tmp_path / "rob.csv").read_text().splitlines()[0]
    assert header == "Study,D1,D2,D3,D4,D5,Overall"
    assert after[["study_id", "rob_d1", "rob_overall"]].to_numpy().tolist() == [
        ["a", "Low", "Low"],
        ["b", "High", "Some concerns"],
    ]


def test_robvis_refuses_two_judgements_of_one_trial(tmp_path):
    frame = pd.DataFrame({"study_id": ["a", "a"], "rob_d1": ["Low", "High"]})
    with pytest.raises(DataError, match="'Low' and 'High' in different rows"):
        write_table_as(frame, tmp_path / "rob.csv", format="robvis")


@pytest.mark.parametrize(
    ("frame", "words_"),
    [
        (pd.DataFrame({"yi": [1.0]}), "no column study_id"),
        (pd.DataFrame({"study_id": []}), "no rows"),
        (pd.DataFrame({"study_id": ["a"], "Study_ID": ["b"]}), "two columns of one name"),
        (pd.DataFrame({"study_id": ["a"], "yi": [np.inf]}), "infinite"),
        ("no table", "needs a table"),
    ],
)
def test_tables_that_cannot_be_written_say_why(frame, words_, tmp_path):
    with pytest.raises(DataError, match=words_):
        write_table_as(frame, tmp_path / "t.csv", format="csv")


def test_an_unknown_format_and_a_folder_that_is_not_there_are_said(tmp_path):
    frame = pd.DataFrame({"study_id": ["a"], "yi": [1.0], "vi": [1.0]})
    with pytest.raises(ChoiceError, match="Did you mean 'metapsy'"):
        write_table_as(frame, tmp_path / "t.csv", format="metapsi")
    with pytest.raises(DataError, match="cannot be written"):
        write_table_as(frame, tmp_path / "none" / "t.csv", format="csv")


def test_a_text_too_long_for_excel_is_refused_not_cut(tmp_path):
    frame = pd.DataFrame({"study_id": ["a"], "yi": [1.0], "vi": [1.0], "note": ["x" * 40_000]})
    with pytest.raises(DataError, match="40,000 characters"):
        write_table_as(frame, tmp_path / "t.xlsx", format="xlsx")
