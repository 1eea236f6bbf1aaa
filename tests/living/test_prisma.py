"""The flow of records is read, checked to add up, and written; the living items say what a person must answer."""

import json
import shutil

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.errors import DataError
from metapeer.living.prisma import KEYS, SUMS, prisma_flow, write_prisma_template
from metapeer.living.prisma_checklist import living_checklist
from metapeer.living.releasing import release
from metapeer.records.catalog import datasets_root, load_dataset

WHOLE = {
    "previous_studies": "28",
    "previous_reports": "31",
    "database_results": "1204",
    "register_results": "87",
    "website_results": "4",
    "organisation_results": "2",
    "citations_results": "11",
    "duplicates": "312",
    "excluded_automatic": "0",
    "excluded_other": "5",
    "records_screened": "974",
    "records_excluded": "901",
    "dbr_sought_reports": "73",
    "dbr_notretrieved_reports": "2",
    "other_sought_reports": "17",
    "other_notretrieved_reports": "1",
    "dbr_assessed": "71",
    "dbr_excluded": '"Not randomised, 31; Not peer support, 35"',
    "other_assessed": "16",
    "other_excluded": "15",
    "new_studies": "5",
    "new_reports": "6",
    "total_studies": "33",
    "total_reports": "37",
}
FIRST = {key: cell for key, cell in WHOLE.items() if key.split("_")[0] not in ("previous", "other", "website")} | {
    "total_studies": "5",
    "total_reports": "5",
    "new_reports": "5",
    "dbr_excluded": "66",
}
FIRST = {key: cell for key, cell in FIRST.items() if key not in ("organisation_results", "citations_results")}


def written(folder, cells, *, header="data,n"):
    path = folder / "prisma.csv"
    path.write_text("\n".join([header, *(f"{key},{cell}" for key, cell in cells.items())]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def review(tmp_path):
    shutil.copytree(datasets_root() / "smit2023", tmp_path / "smit2023")
    return tmp_path / "smit2023"


def test_a_flow_that_adds_up_is_ok(tmp_path):
    flow = prisma_flow(written(tmp_path, WHOLE))
    assert flow.ok
    assert (flow.missing, flow.faults, flow.doubts) == ((), (), ())
    assert flow.counts["dbr_excluded"] == 66
    assert flow.reasons == {"dbr_excluded": (("Not randomised", 31), ("Not peer support", 35))}
    assert "All boxes add up." in str(flow)


def test_a_first_version_needs_neither_previous_studies_nor_other_methods(tmp_path):
    flow = prisma_flow(written(tmp_path, FIRST))
    assert flow.ok
    assert set(flow.boxes()["column"]) == {1, 2}


@pytest.mark.parametrize("key", [key for key in WHOLE if key not in ("previous_studies", "new_studies")])
def test_each_count_that_is_off_by_one_is_seen(tmp_path, key):
    cell = WHOLE[key]
    off = cell.replace("31;", "32;") if ";" in cell else str(int(cell) + 1)
    flow = prisma_flow(written(tmp_path, WHOLE | {key: off}))
    assert any(key in fault for fault in flow.faults)
    assert not flow.ok


@pytest.mark.parametrize("key", ["previous_studies", "new_studies"])
def test_studies_that_do_not_sum_up_are_seen(tmp_path, key):
    flow = prisma_flow(written(tmp_path, WHOLE | {key: "4"}))
    assert len(flow.faults) == 1
    assert "but total_studies is 33" in flow.faults[0]


def test_more_studies_than_reports_is_a_fault(tmp_path):
    flow = prisma_flow(written(tmp_path, WHOLE | {"total_studies_ma": "34", "total_reports_ma": "30"}))
    assert flow.faults == (
        "total_studies_ma is 34, more than total_studies, which is 33",
        "total_studies_ma is 34, more than total_reports_ma, which is 30",
    )


@pytest.mark.parametrize("key", [key for key in FIRST if key in KEYS])
def test_a_missing_key_is_listed_and_not_taken_for_zero(tmp_path, key):
    for cells in ({k: v for k, v in FIRST.items() if k != key}, FIRST | {key: "NA"}, FIRST | {key: ""}):
        flow = prisma_flow(written(tmp_path, cells))
        assert flow.missing == (key,)
        assert flow.faults == ()
        assert not flow.ok
        assert f"({key})" in flow.to_markdown().replace("\\", "")
        assert any("not\u00a0reported" in text for text in flow.boxes()["text"])


def test_nothing_but_a_header_reports_nothing(tmp_path):
    flow = prisma_flow(written(tmp_path, {}))
    assert (dict(flow.counts), flow.faults) == ({}, ())
    assert len(flow.missing) == len(KEYS) - 2 - 7 - 2  # previous, other methods, meta-analysis


def test_the_whole_template_can_be_used(review):
    header = "data,node,box,description,boxtext,tooltips,url,n"
    lines = [header, "NA,node4,prevstud,Grey title box,Previous studies,x,prevstud.html,0"]
    lines += [f"{key},NA,box1,d,b,t,u.html,{cell}" for key, cell in WHOLE.items()]
    lines += ["identification,node1,identification,Blue box,Identification,x,u.html,0"]
    (review / "prisma.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert prisma_flow(review).ok
    with pytest.warns(match="prisma.csv is not listed"):
        assert "prisma" in load_dataset(review).extras


@pytest.mark.parametrize(
    ("cells", "because"),
    [
        ({"records_screend": "1"}, "Did you mean 'records_screened'"),
        ({"duplicates": "-1"}, "not a count"),
        ({"duplicates": "1.5"}, "not a count"),
        ({"duplicates": '"1,204"'}, "digits only"),
        ({"duplicates": "٣"}, "not a count"),
        ({"duplicates": "9" * 400}, "not a count"),
        ({"duplicates": "=1+1"}, "not a count"),
        ({"dbr_excluded": "Not randomised 31"}, "reason and a count"),
        ({"dbr_excluded": '"Not randomised, many"'}, "not a count"),
        ({"dbr_excluded": '", 3"'}, "reason and a count"),
    ],
)
def test_a_cell_that_is_no_count_is_a_data_error(tmp_path, cells, because):
    with pytest.raises(DataError, match=because):
        prisma_flow(written(tmp_path, cells))


def test_every_faulty_line_is_listed_with_its_number(tmp_path):
    path = tmp_path / "prisma.csv"
    path.write_text("data,n\nduplicates,x\nduplicates,3\nno_key,1\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        prisma_flow(path)
    assert [fault.line for fault in caught.value.faults] == [2, 3, 4]


@pytest.mark.parametrize(
    "content",
    [b"", b"n\n1\n", b"data;count\nduplicates;1\n", b'data,n\n"duplicates,1\n', b"\x00\x01", b"PK\x03\x04zip"],
)
def test_a_file_that_is_no_such_table_is_a_data_error(tmp_path, content):
    (tmp_path / "prisma.csv").write_bytes(content)
    with pytest.raises(DataError):
        prisma_flow(tmp_path / "prisma.csv")


def test_semicolons_of_excel_are_read(tmp_path):
    (tmp_path / "prisma.csv").write_bytes(b"\xef\xbb\xbfData;N\r\nduplicates;312\r\n")
    assert dict(prisma_flow(tmp_path / "prisma.csv").counts) == {"duplicates": 312}


def test_a_folder_without_the_file_says_what_would_do(review):
    with pytest.raises(DataError, match="columns data and n"):
        prisma_flow(review)
    with pytest.raises(DataError):
        prisma_flow(review / "no")


def test_fewer_studies_than_trials_in_the_folder_is_a_doubt(review):
    written(review, FIRST)
    flow = prisma_flow(review)
    assert flow.ok
    assert flow.doubts == ("trials.csv has 28 trials, more than total_studies, 5",)


def test_hostile_reasons_stay_words(tmp_path):
    text = '"<img src=x>|**b** \x1b[31m $x_1$, 66"'
    flow = prisma_flow(written(tmp_path, FIRST | {"dbr_excluded": text}))
    assert "<img" not in flow.to_markdown()
    assert r"\|\*\*b\*\*" in flow.to_markdown()
    assert "\x1b" not in flow.to_markdown() + str(flow)
    assert flow.plot().axes


counts = st.integers(0, 500)


@given(st.tuples(*[counts] * 15))
def test_any_flow_made_by_the_sums_adds_up(tmp_path_factory, made):
    a, b, c, d, e, f, g, h, i, j, k, other, ps, pr, ns = made
    assessed = h + i
    sought = assessed + g
    new_reports = h + other
    flow = {
        "duplicates": a, "excluded_automatic": b, "excluded_other": c, "records_excluded": d,
        "records_screened": d + sought, "dbr_sought_reports": sought, "dbr_notretrieved_reports": g,
        "dbr_assessed": assessed, "dbr_excluded": i, "register_results": e,
        "database_results": a + b + c + d + sought, "website_results": f, "organisation_results": 0,
        "other_notretrieved_reports": j, "other_excluded": k, "other_assessed": k + other,
        "other_sought_reports": j + k + other, "citations_results": j + k + other - f,
        "new_reports": new_reports, "new_studies": min(ns, new_reports), "previous_studies": min(ps, pr),
        "previous_reports": pr, "total_studies": min(ps, pr) + min(ns, new_reports), "total_reports": pr + new_reports,
    }  # fmt: skip
    flow["database_results"] -= e
    if min(flow.values()) < 0:
        return
    folder = tmp_path_factory.getbasetemp()
    assert prisma_flow(written(folder, {key: str(value) for key, value in flow.items()})).ok


def test_every_key_of_the_sums_is_a_key_of_the_template():
    assert {key for pair in SUMS for side in pair for key in side} <= set(KEYS)


def test_before_a_release_all_new_items_are_left_to_a_person():
    found = living_checklist("smit2023").to_frame()
    assert found.loc[found["item"] != "", "status"].tolist() == ["left to a person"] * 4
    assert "in the files" not in set(found["status"])


def test_files_answer_items_when_they_hold_the_answer(review):
    text = json.loads((review / "datapackage.json").read_text(encoding="utf-8"))
    text["title"] = "Peer support: a living review"
    text["contributors"] = [{"title": "A. Reviewer", "roles": ["author"]}]
    (review / "datapackage.json").write_text(json.dumps(text), encoding="utf-8")
    written(review, WHOLE)
    release(review, date="2026-03-01", searched="2026-02-15", why="begun", author="A. Reviewer")
    first = living_checklist(review).to_frame().set_index("asked")["status"]
    (review / "README.md").write_text("another text", encoding="utf-8")
    release(review, date="2026-03-02", why="mended", author="A. Reviewer")
    found = living_checklist(review)
    second = found.to_frame().set_index("asked")["status"]
    answered = {asked for asked in second.index if second[asked] == "in the files"}
    assert answered == {
        "That the review is living",
        "The number of the version",
        "What gave rise to this version",
        "The flow of records and studies through the versions",
        "Changes to the results since the version before",
    }
    changes = "Changes to the results since the version before"
    assert (first[changes], second[changes]) == ("left to a person", "in the files")
    assert found.to_markdown().count("- [x]") == len(answered)
    assert found.to_markdown().count("- [ ]") == len(second) - len(answered)
    written(review, WHOLE | {"duplicates": "0"})
    stale = living_checklist(review)
    assert "1 sum that does not add up" in stale.to_markdown()
    assert stale.to_frame().set_index("asked")["status"][changes] == "left to a person"


def test_a_blank_file_has_every_key_and_is_never_written_over(tmp_path):
    path = write_prisma_template(tmp_path)
    flow = prisma_flow(tmp_path / "prisma.csv")
    assert dict(flow.counts) == {}
    assert set(pd.read_csv(path)["data"]) == set(KEYS)
    path.write_text(path.read_text().replace("records_screened,,", "records_screened,7,"))
    with pytest.raises(DataError, match="is there already"):
        write_prisma_template(tmp_path)
    assert prisma_flow(path).counts["records_screened"] == 7


@pytest.mark.parametrize("folder", [None, "", "nowhere/at/all", "\0"])
def test_a_blank_file_needs_a_folder(folder):
    with pytest.raises(DataError):
        write_prisma_template(folder)


def test_bundled_data_get_no_blank_file():
    with pytest.raises(DataError, match="never written to"):
        write_prisma_template(datasets_root() / "lyons2021")
