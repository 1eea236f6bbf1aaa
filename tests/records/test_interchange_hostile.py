"""No file, however it was made, does more than raise an error that says what is wrong."""

import os
import warnings
import zipfile
from functools import cache
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metapeer.errors import DataError, MetapeerError
from metapeer.records.interchange import limits
from metapeer.records.interchange.door import read_extraction
from metapeer.records.interchange.metapsy import read_metapsy

HARMLESS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
RM5 = (
    b'<?xml version="1.0"?><COCHRANE_REVIEW><STUDY ID="S" NAME="A" YEAR="2014"/><COMPARISON NO="1"><NAME>x</NAME>'
    b'<CONT_OUTCOME NO="1" EFFECT_MEASURE="MD"><NAME>y</NAME><CONT_DATA STUDY_ID="S" MEAN_1="1" SD_1="1" TOTAL_1="9" '
    b'MEAN_2="2" SD_2="1" TOTAL_2="9"/></CONT_OUTCOME></COMPARISON></COCHRANE_REVIEW>'
)
HEADERS = st.sampled_from(
    [
        *("study", "study_id", "Study", "mean_arm1", "sd_arm1", "precalc_g", "ai", "bi", "n1i", "xi", "mi", "ni", "yi"),
        *(
            "vi",
            "D1",
            "Overall",
            "Events",
            "N",
            "Mean",
            "O-E",
            "n1",
            "x1i",
            "metapeer_n1",
            "metapeer_",
            "metapeer_line",
        ),
        *("line", "metapsy_time", "time", "year", "author", "event_arm1", "condition_arm1", "condition_arm2"),
        *("time_weeks", "format", "instrument", "direction", "=1+1", "'", "arm role", "Experimental cases", "GIV Mean"),
        *("Data type", ""),
    ]
)
CELLS = st.one_of(
    st.sampled_from(
        ["", "1", "0", "-1", "1,5", "1e400", "NA", "A", "=1", "'=1", "\x0b", "1.5", '"', "\n", "control", "\ud7ff"]
    ),
    st.text(max_size=5),
)


def zipped(files, method=zipfile.ZIP_DEFLATED):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)  # at a fixed time, so that the bytes are the same each time
            info.compress_type = method
            archive.writestr(info, content)
    return buffer.getvalue()


@cache  # a workbook carries the time it was made at, and Hypothesis wants the same bytes each time
def workbook():
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["study", "yi", "vi"])
    book.active.append(["a", 1, 1])
    buffer = BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def tried(tmp_path, content, name="file"):
    """Read bytes: whatever happens, only an error of ours may come out."""
    path = tmp_path / name
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_extraction(path)
        except MetapeerError as error:
            said = str(error)
    assert str(path) in said
    return None


@settings(max_examples=60, suppress_health_check=HARMLESS)
@given(
    start=st.sampled_from([b"", b"PK\x03\x04", b"<", b"<COCHRANE_REVIEW", b"\xff\xfe", b"study,ai\n"]), rest=st.binary()
)
def test_any_bytes(start, rest, tmp_path):
    tried(tmp_path, start + rest)


@settings(max_examples=150, suppress_health_check=HARMLESS)
@given(data=st.data(), separator=st.sampled_from([",", ";", "\t"]))
def test_any_table_of_known_headers(data, separator, tmp_path):
    header = data.draw(st.lists(HEADERS, min_size=1, max_size=8))
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), min_size=1, max_size=3))
    text = "\n".join(separator.join('"' + c.replace('"', '""') + '"' for c in row) for row in [header, *rows])
    tried(tmp_path, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=60, suppress_health_check=HARMLESS)
@given(data=st.data())
def test_xml_cut_off_or_altered_anywhere(data, tmp_path):
    cut = data.draw(st.integers(0, len(RM5)))
    tried(tmp_path, RM5[:cut])
    tried(tmp_path, RM5[:cut] + data.draw(st.binary(min_size=1, max_size=3)) + RM5[cut + 1 :])


@settings(max_examples=40, suppress_health_check=HARMLESS)
@given(data=st.data())
def test_workbooks_and_packages_altered_anywhere(data, tmp_path):
    whole = data.draw(st.sampled_from([workbook(), zipped({"x-data-rows.csv": "Study,O-E,Variance\na,1,2\n"})]))
    cut = data.draw(st.integers(0, len(whole)))
    tried(tmp_path, whole[:cut] + data.draw(st.binary(max_size=4)) + whole[cut + 2 :])


@pytest.mark.parametrize(
    "declared",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>',
        b'<!DOCTYPE x [<!ENTITY xxe SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/evil.dtd">',
    ],
)
def test_entities_and_document_types_are_refused(declared, tmp_path):
    path = tmp_path / "a.rm5"
    path.write_bytes(RM5.replace(b"?>", b"?>" + declared))
    with pytest.raises(DataError, match="declares a document type or an entity"):
        read_extraction(path)


def test_entities_inside_a_workbook_are_refused(tmp_path):
    path = tmp_path / "a.xlsx"
    evil = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><worksheet>&e;</worksheet>'
    path.write_bytes(
        zipped({"[Content_Types].xml": "<a/>", "xl/workbook.xml": "<a/>", "xl/worksheets/sheet1.xml": evil})
    )
    with pytest.raises(DataError, match="declares a document type or an entity"):
        read_extraction(path)


def test_xml_too_deep_or_too_long_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.rm5"
    path.write_bytes(b"<COCHRANE_REVIEW>" + b"<a>" * 200_000)
    with pytest.raises(DataError, match="more than 100 deep"):
        read_extraction(path)
    monkeypatch.setattr(limits, "MOST_ELEMENTS", 50)
    path.write_bytes(b"<COCHRANE_REVIEW>" + b"<a/>" * 60 + b"</COCHRANE_REVIEW>")
    with pytest.raises(DataError, match="more than 50 XML elements"):
        read_extraction(path)


@pytest.mark.parametrize(
    "name", ["../evil-data-rows.csv", "/etc/evil-data-rows.csv", "a\\..\\..\\b-data-rows.csv", "C:\\x-data-rows.csv"]
)
def test_names_that_lead_out_of_the_archive_are_refused(name, tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({name: "Study,O-E,Variance\na,1,2\n"}))
    with pytest.raises(DataError, match="leads out of its folder"):
        read_extraction(path)


@pytest.mark.parametrize("name", ["x-data-rows.csv", "x-data.zip"])
def test_a_zip_bomb_is_refused_without_being_unpacked(name, tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({name: b"\0" * (40 * 2**20)}))
    assert path.stat().st_size < 2**20
    with pytest.raises(DataError, match="unpacks to more than"):
        read_extraction(path)


def test_a_bomb_inside_a_workbook_is_refused(tmp_path):
    path = tmp_path / "a.xlsx"
    bomb = b"<a>" + b" " * (40 * 2**20) + b"</a>"
    path.write_bytes(zipped({"[Content_Types].xml": "<a/>", "xl/workbook.xml": "<a/>", "xl/media/x.bin": bomb}))
    with pytest.raises(DataError, match="unpacks to more than"):
        read_extraction(path)


def test_archives_in_archives_are_opened_once_only(tmp_path):
    inner = zipped({"x-data-rows.csv": "Study,O-E,Variance\na,1,2\n"})
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"x-data.zip": zipped({"x-data.zip": inner})}))
    with pytest.raises(DataError, match="has no file"):
        read_extraction(path)


def test_encrypted_archives_and_other_archives_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    content = bytearray(zipped({"x-data-rows.csv": "a"}, zipfile.ZIP_STORED))
    at = content.rindex(b"PK\x01\x02")
    content[at + 8] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="encrypted"):
        read_extraction(path)
    path.write_bytes(zipped({"readme.txt": "hello"}))
    with pytest.raises(DataError, match=r"but not an Excel workbook or a Cochrane data package; it holds readme.txt"):
        read_extraction(path)


def test_a_sheet_that_claims_to_be_endless_is_read_by_its_cells(tmp_path):
    with zipfile.ZipFile(BytesIO(workbook())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    sheet = files["xl/worksheets/sheet1.xml"]
    assert b'<dimension ref="A1:C2"' in sheet
    files["xl/worksheets/sheet1.xml"] = sheet.replace(b'ref="A1:C2"', b'ref="A1:XFD1048576"')
    assert tried(tmp_path, zipped(files), "a.xlsx")["yi"].tolist() == [1]
    files["xl/worksheets/sheet1.xml"] = sheet.replace(b'r="2"', b'r="999999999"').replace(b'"A2"', b'"A999999999"')
    path = tmp_path / "b.xlsx"
    path.write_bytes(zipped(files))
    with pytest.raises(DataError, match=r"more than 100,000 rows|cannot be read"):
        read_extraction(path)


@pytest.mark.parametrize(
    ("constant", "most", "words"),
    [
        ("MOST_BYTES", 20, "bytes, more than the 20"),
        ("MOST_ROWS", 2, "3 rows, more than the 2"),
        ("MOST_COLUMNS", 2, "3 columns, more than the 2"),
        ("MOST_CELLS", 8, "9 cells, more than the 8"),
    ],
)
def test_size_limits_are_said(constant, most, words, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, constant, most)
    path = tmp_path / "t.csv"
    path.write_text("study,yi,vi\na,1,1\nb,1,1\nc,1,1\n")
    with pytest.raises(DataError, match=words):
        read_extraction(path)


def test_a_file_of_separators_alone_is_refused_before_it_is_split(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"study" + b"," * 3_000_000)
    with pytest.raises(DataError, match="3,000,000 commas"):
        read_extraction(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="a device or a pipe"):
        read_extraction(tmp_path / "pipe")


@pytest.mark.parametrize("path", ["", "no/such/file.csv", "a\0b", 3, None, "x" * 5000])
@pytest.mark.parametrize("read", [read_extraction, read_metapsy])
def test_paths_that_are_none_say_so(path, read):
    with pytest.raises(DataError):
        read(path)


def test_metadata_that_is_damaged_or_a_link_is_refused(tmp_path):
    (tmp_path / "metadata").mkdir()
    (tmp_path / "data.csv").write_text("study;event_arm1;totaln_arm1;event_arm2;totaln_arm2\nA;1;10;2;11\n")
    (tmp_path / "metadata" / "flow.json").write_text('{"a":')
    with pytest.raises(DataError, match=r"flow.json has 1 problem\n  is not JSON"):
        read_extraction(tmp_path)
    (tmp_path / "metadata" / "flow.json").unlink()
    (tmp_path / "metadata" / "link.txt").symlink_to(tmp_path / "data.csv")
    with pytest.raises(DataError, match="is a link"):
        read_extraction(tmp_path)
    with pytest.raises(DataError, match=r"a folder without data.csv"):
        read_extraction(tmp_path / "metadata")
