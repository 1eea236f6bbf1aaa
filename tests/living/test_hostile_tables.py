"""Whatever stands in the numbers of another program's table, it is read or refused in words."""

import re
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import metapeer as mp

RM5 = (
    "<COCHRANE_REVIEW><INCLUDED_STUDIES><STUDY ID='STD-a' NAME='A 2001' YEAR='2001'/></INCLUDED_STUDIES>"
    "<ANALYSES_AND_DATA><COMPARISON ID='CMP-001' NO='1'><NAME>x</NAME>"
    "<DICH_OUTCOME ID='1' EFFECT_MEASURE=%s><NAME>y</NAME><DICH_DATA STUDY_ID=%s EVENTS_1=%s TOTAL_1=%s EVENTS_2=%s"
    " TOTAL_2=%s/></DICH_OUTCOME><CONT_OUTCOME ID='2' EFFECT_MEASURE='SMD'><NAME>z</NAME><CONT_DATA STUDY_ID='STD-a'"
    " MEAN_1=%s SD_1=%s TOTAL_1=%s MEAN_2='2' SD_2='1' TOTAL_2='21'/></CONT_OUTCOME>"
    "<IV_OUTCOME ID='3' EFFECT_MEASURE='OR'><NAME>w</NAME><IV_DATA STUDY_ID='STD-a' ESTIMATE=%s SE=%s/></IV_OUTCOME>"
    "</COMPARISON></ANALYSES_AND_DATA></COCHRANE_REVIEW>"
)
REVMAN = "Study,Experimental cases,Experimental N,Control cases,Control N,Outcome\nA 2001,3,20,5,21,death\n"
PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=20)
CELL = st.one_of(
    PRINTABLE,
    st.floats().map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(["1,5", "0x10", "=1+1", "1e999", "<5", "3 (2)", "NaN", "١٢", "2.5e-320"]),
)


def fault_of(path):
    """Read a table, and return the words of its fault; any other error than one of the package's own escapes."""
    try:
        mp.read_extraction(path)
    except mp.MetapeerError as error:
        return str(error)
    return path.name


def check(path):
    words = fault_of(path)
    assert path.name in words
    assert not re.search(r"<\w+\.\w+ object at|Traceback", words)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::metapeer.DataWarning")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CELL, min_size=11, max_size=11), st.binary(max_size=60), st.integers(0, 120))
def test_hostile_cells_and_bytes_are_read_or_refused_in_words(tmp_path, cells, noise, place):
    xml = tmp_path / "hostile.rm5"
    xml.write_text(RM5 % tuple(map(quoteattr, cells)), encoding="utf-8")
    check(xml)
    table = tmp_path / "hostile.csv"
    content = REVMAN.encode()
    table.write_bytes(content[:place] + noise + content[place:])
    check(table)
    xml.write_bytes((RM5 % (("'3'",) * 11)).encode()[:place] + noise)
    check(xml)


def test_a_fault_of_an_xml_file_counts_studies_and_not_lines(tmp_path):
    path = tmp_path / "one.rm5"
    path.write_text(RM5 % ("'RR'", "'STD-a'", "'3'", "'1,5'", *["'3'"] * 7), encoding="utf-8")
    with pytest.raises(mp.DataError) as caught:
        mp.read_extraction(path)
    assert "study row 1 (A 2001, y), total1: '1,5' has a decimal comma; write 1.5" in str(caught.value)
    assert "semicolons" not in str(caught.value)
