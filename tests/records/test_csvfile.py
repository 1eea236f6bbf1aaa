"""What `read_outcomes` accepts, and what it says about everything else."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest

from metapeer.errors import FAULTS_SHOWN, ChoiceError, DataError, DataWarning
from metapeer.records.csvfile import read_outcomes
from metapeer.records.schema import OUTCOMES
from metapeer.records.tablefile import read_table, write_table

HEADER = "study_id,outcome,n1,mean1,sd1,n2,mean2,sd2"
ROW = "smith2014,hope,20,3.5,1.2,21,3.1,1.1"


@pytest.fixture
def read(tmp_path):
    """Write some text or bytes as ``t.csv`` and read it; the folder is cut out of messages."""

    def do(content, **options):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_outcomes(path, **options)

    return do


@pytest.fixture
def faults(read):
    """Read what cannot be read; return the faults as sentences."""

    def do(content, **options):
        with pytest.raises(DataError) as caught:
            read(content, **options)
        return [str(fault) for fault in caught.value.faults]

    return do


def lines(*rows, end="\n"):
    return "".join(row + end for row in rows)


# What is accepted


def test_a_minimal_table_becomes_numbers_and_texts_with_the_line_of_each_row(read):
    rows = read(lines(HEADER, ROW, "jones2016,hope,30,,2,31,4,2"))
    assert rows["row_id"].tolist() == ["smith2014.1", "jones2016.1"]
    assert rows["mean1"].tolist()[0] == 3.5
    assert math.isnan(rows["mean1"].tolist()[1])
    assert rows["n1"].dtype == np.float64
    assert rows["line"].tolist() == [2, 3]
    assert rows["direction"].tolist() == ["", ""]
    assert rows.attrs["source"] == "t.csv"
    assert rows.index.equals(pd.RangeIndex(2))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_line_ends_and_separators_do_not_change_what_is_read(read, encoding, end, separator):
    text = lines(HEADER, ROW.replace("smith", "Müller-Łoś"), end=end).replace(",", separator)
    rows = read(text.encode(encoding))
    assert rows.loc[0, "study_id"] == "Müller-Łoś2014"
    assert rows.loc[0, ["mean1", "sd2"]].tolist() == [3.5, 1.1]


def test_a_decimal_comma_is_read_where_no_comma_parts_the_cells(read):
    rows = read(lines(HEADER, "a,hope,20,3.5,1.234,21,3,1").replace(".", "@").replace(",", ";").replace("@", ","))
    assert rows.loc[0, ["mean1", "sd1"]].tolist() == [3.5, 1.234]


def test_a_p_value_with_a_decimal_comma_gets_a_point(read):
    rows = read("study_id;es;p_value\na;0,3;<0,001\n")
    assert rows["p_value"].tolist() == ["<0.001"]


def test_the_separator_line_of_excel_is_understood_and_counted(read):
    rows = read("sep=;\r\nstudy_id;yi;vi\r\na,b;0,1;0,2\r\n")
    assert rows["study_id"].tolist() == ["a,b"]
    assert rows["yi"].tolist() == [0.1]
    assert rows["line"].tolist() == [3]


def test_line_numbers_are_those_of_the_file_behind_quoted_line_breaks_and_blank_lines(read):
    rows = read('study_id,yi,vi,note\na,1,1,"one\ntwo\nthree"\n\n,,,\nb,1,1,x\n')
    assert rows["line"].tolist() == [2, 7]
    assert rows.loc[0, "note"] == "one\ntwo\nthree"


def test_headers_may_be_in_capitals_and_padded_and_other_columns_are_kept_as_text(read):
    rows = read(" Study_ID ,YI,vi,Site code\na,1,1, 007 \n")
    assert rows["study_id"].tolist() == ["a"]
    assert rows["Site code"].tolist() == [" 007 "]


@pytest.mark.parametrize("token", ["", " ", "NA", "n/a", "NaN", "NR", ".", "-"])
def test_tokens_for_missing_are_missing_in_numbers_and_in_texts(read, token):
    rows = read(f"study_id,yi,vi,mean1,exclusion_reason,p_value\na,1,1,{token},{token},{token}\n")
    assert math.isnan(rows.loc[0, "mean1"])
    assert rows.loc[0, ["exclusion_reason", "p_value"]].tolist() == ["", ""]


def test_namibia_is_a_country(read):
    assert read("study_id,yi,vi,country\na,1,1,NA\n")["country"].tolist() == ["NA"]


def test_whole_numbers_may_have_a_decimal_zero_and_minus_signs_may_be_typographic(read):
    rows = read("study_id,events1,total1,events2,total2,es\na,20.0,30,1e1,30,\N{MINUS SIGN}0.3\n")
    assert rows.loc[0, ["events1", "events2", "es"]].tolist() == [20, 10, -0.3]


@pytest.mark.parametrize(
    "label", ['a, "b"', "<b>&amp;</b>", "🙂 smiley", "\u05e9\u05dc\u05d5\u05dd", "=1+1", "x" * 200_000]
)
def test_labels_pass_through_untouched(read, label):
    quoted = '"' + label.replace('"', '""') + '"'
    assert read(f"study_id,yi,vi\n{quoted},1,1\n")["study_id"].tolist() == [label]


def test_row_ids_that_are_given_are_kept_and_the_others_are_made(read):
    rows = read("row_id,study_id,outcome,yi,vi\n,a,x,1,1\na.1,a,y,2,1\n,a,z,3,1\n")
    assert rows["row_id"].tolist() == ["a.2", "a.1", "a.3"]


def test_nameless_columns_without_cells_are_left_out(read):
    assert "" not in read("study_id,yi,vi,,\na,1,1,,\n").columns


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        ("events1,total1,events2,total2", "1,10,2,10"),
        ("es,es_se", "1,1"),
        ("es,es_ci_low,es_ci_high", "1,0,2"),
        ("es,p_value", "1,0.04"),
        ("yi,vi", "1,1"),
        ("yi,sei", "1,1"),
        ("review_yi,review_sei", "1,1"),
    ],
)
def test_any_one_way_to_an_effect_is_enough(read, columns, cells):
    assert len(read(f"study_id,{columns}\na,{cells}\n")) == 1


# Files that are no tables


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; it needs a header line and at least one row"),
        (b" \n\n", "is empty; it needs a header line and at least one row"),
        (b"\xef\xbb\xbf", "is empty; it needs a header line and at least one row"),
        ((HEADER + "\n").encode(), "has a header but no rows; add at least one row"),
        (b"\x1f\x8b\x08abc", "is a gzip archive; unpack it and read the CSV file inside"),
        (
            b"PK\x03\x04abc",
            "is an Excel workbook (.xlsx) or a zip archive; save the sheet as 'CSV UTF-8' and read that",
        ),
        (b"%PDF-1.7", "is a PDF document; type or export its table into a CSV file"),
        (bytes(range(1, 256)) * 4, "is not a text file; save the table as 'CSV UTF-8' and read that"),
        (
            b"study_id,yi,vi\na\0,1,1\n",
            (
                "holds NUL bytes (line 2), so it is damaged, not a text file, or UTF-16 without a mark; "
                "save it as 'CSV UTF-8', or pass encoding='utf-16-le'"
            ),
        ),
        ("a\0b".encode("utf-16"), "holds NUL characters (line 1), so it is damaged; save it again"),
        (b"\xff\xfea", "begins as UTF-16 but is damaged at byte 3; save it again as UTF-8"),
        (
            b"Table 1\na,b,c\n",
            (
                "line 1: 'Table 1' is no header; the first line must name the columns, "
                "parted by commas, semicolons or tabs"
            ),
        ),
        (
            b"study_id|yi|vi\na|1|1\n",
            (
                "line 1: 'study_id|yi|vi' is no header; the first line must name the columns, "
                "parted by commas, semicolons or tabs"
            ),
        ),
        (
            b'study_id,yi,vi\n"a,1,1\nb,1,1\n',
            (
                'line 2: a quote (") is opened here and never closed; '
                'close it, or double it ("") if it is part of the text'
            ),
        ),
        (
            b'study_id,yi,vi\na,1,1\n"b"c,1,1\n',
            'line 3: a quoted cell goes on after its closing quote; a quote inside a cell is doubled ("")',
        ),
        (
            b"a;b,c\n1;2,3\n",
            (
                "line 1: cannot tell whether a comma or semicolon parts the cells; "
                "begin the file with a line such as sep=;"
            ),
        ),
    ],
)
def test_a_file_that_is_no_table_is_told_what_would_do(faults, content, message):
    assert faults(content) == [message]


def test_a_missing_file_is_told_its_neighbour(tmp_path):
    (tmp_path / "trials.csv").write_text("x")
    with pytest.raises(DataError, match=r"trails\.csv has 1 problem\n  does not exist; did you mean 'trials\.csv'\?"):
        read_outcomes(tmp_path / "trails.csv")
    with pytest.raises(DataError, match=r"does not exist; there is no folder"):
        read_outcomes(tmp_path / "none" / "trials.csv")
    with pytest.raises(DataError, match=r"is a folder; name a file in it"):
        read_outcomes(tmp_path)


@pytest.mark.parametrize("path", [3, None, "", "a\0b", "x" * 5000, ["t.csv"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(DataError):
        read_outcomes(path)


# Encodings


def test_windows_1252_is_read_with_a_warning_that_names_it_and_the_lines(read):
    with pytest.warns(DataWarning, match=r"read as Windows-1252 \(cp1252\)\. Check line 3, such as 'Müller'"):
        rows = read("study_id,yi,vi\na,1,1\nMüller,2,1\n".encode("cp1252"))
    assert rows["study_id"].tolist() == ["a", "Müller"]


def test_a_blank_of_windows_1252_alone_is_reported_too(read):
    with pytest.warns(DataWarning, match="Check line 2"):
        read(b"study_id,yi,vi\na\xa0,1,1\n")


def test_an_encoding_that_is_given_is_used_without_a_warning(read):
    rows = read("study_id,yi,vi\nMüller,2,1\n".encode("latin-1"), encoding="latin-1")
    assert rows["study_id"].tolist() == ["Müller"]


def test_an_encoding_that_does_not_fit_names_the_line(faults):
    content = "study_id,yi,vi\na,1,1\nMüller,2,1\n".encode("latin-1")
    assert faults(content, encoding="ascii") == ["line 3: byte 0xfc is not ascii; leave encoding out, or name another"]


@pytest.mark.parametrize("encoding", ["utf8x", "hex", "", 3, "a\0b"])
def test_an_unknown_encoding_is_refused(read, encoding):
    with pytest.raises(ChoiceError, match="encoding"):
        read("study_id,yi,vi\na,1,1\n", encoding=encoding)


@pytest.mark.parametrize("broken", ["MÃ¼ller", "itâ€™s", "Â±"])
def test_letters_broken_by_a_wrong_encoding_are_reported_and_kept(read, broken):
    with pytest.warns(DataWarning, match=r"line 2 may hold broken letters"):
        rows = read(f"study_id,yi,vi\n{broken},1,1\n")
    assert rows["study_id"].tolist() == [broken]


def test_lost_letters_are_reported(read):
    with pytest.warns(DataWarning, match=r"line 2 holds a replacement character"):
        read("study_id,yi,vi\nM\N{REPLACEMENT CHARACTER}ller,1,1\n")


@pytest.mark.parametrize("sound", ["SÃO PAULO", "it’s", "naïve – yes", "Ünal", "GÖRÄ”", "ÅÄÖ"])
def test_sound_letters_are_not_taken_for_broken_ones(read, sound):
    assert read(f"study_id,yi,vi\n{sound},1,1\n")["study_id"].tolist() == [sound]


# Headers and rows


def test_missing_columns_are_asked_for(faults):
    assert faults("study,outcome,n1,mean1,sd1,n2,mean2\na,hope,20,1,1,20,1\n") == [
        "line 1, study_id: the column is missing; rename 'study' if that is what it is",
        "line 1: the columns of arm means are incomplete; add sd2",
    ]


def test_a_table_without_any_way_to_an_effect_is_told_all_of_them(faults):
    (fault,) = faults("study_id,outcome\na,hope\n")
    assert fault.startswith("line 1: no column to compute an effect from; give one of these sets: arm means: n1 mean1")
    assert "an effect and its variance: yi vi" in fault


def test_one_name_twice_in_the_header_is_a_fault_in_any_case(faults):
    assert faults("study_id,N1,n1,yi,vi\na,20,20,1,1\n") == [
        "line 1, n1: stands 2 times in the header (columns 2, 3); keep or rename one"
    ]


def test_a_column_with_cells_needs_a_name(faults):
    assert faults("study_id,,yi,vi\na,x,1,1\n") == ["line 1: column 2 has cells but no name; give it one"]


def test_ragged_rows_are_all_reported(faults):
    assert faults("study_id,yi,vi\na,1\nb,1,1\nc,1,5,1\n") == [
        "line 2: has 2 cells where the header has 3; leave missing cells empty, but keep their separators",
        (
            'line 4: has 4 cells where the header has 3; put a text with a comma in quotes ("a, b"), '
            "and write decimals with a point (3.5)"
        ),
    ]


def test_a_column_that_looks_misspelt_is_kept_with_a_warning(read):
    with pytest.warns(DataWarning, match=r"line 1: column 'mean_1' is kept but not understood; did you mean 'mean1'\?"):
        rows = read("study_id,yi,vi,mean_1\na,1,1,5\n")
    assert rows["mean_1"].tolist() == ["5"]


def test_a_column_of_line_numbers_is_replaced_with_a_warning(read):
    with pytest.warns(DataWarning, match="column 'line' is replaced"):
        assert read("line,study_id,yi,vi\n77,a,1,1\n")["line"].tolist() == [2]


# Cells


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("mean1", "abc", "'abc' is not a number"),
        ("mean1", "3 (1.2)", "'3 (1.2)' is not one number; give each its own column"),
        ("mean1", "inf", "'inf' is infinite; give a number, or leave the cell empty"),
        ("mean1", "-Infinity", "'-Infinity' is infinite; give a number, or leave the cell empty"),
        ("mean1", "1e999", "'1e999' is too large for a number"),
        ("mean1", "1_000", "'1_000' is not one number; give each its own column"),
        ("mean1", "٣", "'٣' is not a number"),
        ("mean1", '"3,5"', "'3,5' has a decimal comma; write 3.5, or part the cells of the file by semicolons"),
        ("mean1", '"1,234"', "'1,234' may mean 1234 or 1.234; write it without a comma"),
        ("mean1", '"1.234,5"', "'1.234,5' is not one number; give each its own column"),
        ("mean1", "\N{EN DASH}0.3", "'\N{EN DASH}0.3' begins with a dash; write a minus sign: -0.3"),
        ("mean1", "47%", "'47%' has a per cent sign; write the number alone"),
        ("mean1", "<0.1", "'<0.1' is a bound, not a number; leave the cell empty"),
        (
            "mean1",
            "#DIV/0!",
            "'#DIV/0!' is an error message of the spreadsheet; mend its formula, or leave the cell empty",
        ),
        ("sd1", "-3.2", "-3.2 is not allowed; it must be > 0"),
        ("sd1", "0", "0 is not allowed; it must be > 0"),
        ("n1", "1", "1 is not allowed; it must be at least 2"),
        ("n1", "20.5", "20.5 is not a whole number"),
        ("events1", "-1", "-1 is not allowed; it must be at least 0"),
        ("es_se", "-0.1", "-0.1 is not allowed; it must be > 0"),
        ("sei", "0", "0 is not allowed; it must be > 0"),
        ("percent_women", "101", "101 is not allowed; it must be at most 100"),
        ("p_value", "1.2", "1.2 is not a p value; it must be between 0 and 1"),
        ("p_value", "-0.1", "-0.1 is not a p value; it must be between 0 and 1"),
        ("p_value", "ns", "'ns' is not a number; write it as 0.04 or <0.001"),
        ("format", "groop", "'groop' is unknown. Did you mean 'group'? Known: one_to_one, group, mixed"),
        ("format", "One-to-one", "'One-to-one' is unknown. Did you mean 'one_to_one'? Known: one_to_one, group, mixed"),
        ("timepoint", "later", "'later' is unknown. Known: end_of_treatment, follow_up"),
    ],
)
def test_a_cell_that_will_not_do_is_named_with_its_line_row_and_column(faults, column, cell, message):
    table = f"study_id,outcome,yi,vi,{column}\nok,hope,1,1,\nsmith2014,hope,2,1,{cell}\n"
    assert faults(table) == [f"line 3 (smith2014, hope), {column}: {message}"]


@pytest.mark.parametrize(
    ("columns", "cells", "message"),
    [
        ("events1,total1", "5,4", "events1: 5 events in 4 participants; events cannot exceed the total"),
        ("events2,total2", "5,4", "events2: 5 events in 4 participants; events cannot exceed the total"),
        ("es,es_ci_low", "0.5,0.6", "es_ci_low: the lower limit 0.6 is above the effect 0.5"),
        ("es,es_ci_high", "0.5,0.4", "es: the effect 0.5 is above its upper limit 0.4"),
        ("es_ci_low,es_ci_high", "0.5,0.4", "es_ci_low: the lower limit 0.5 is above the upper limit 0.4"),
    ],
)
def test_cells_that_contradict_one_another_are_named(faults, columns, cells, message):
    assert faults(f"study_id,yi,vi,{columns}\na,1,1,{cells}\n") == [f"line 2 (a), {message}"]


def test_a_comma_that_may_mean_thousands_is_never_guessed(faults):
    assert faults("study_id;yi;vi;n1\na;1;1;1,234\n") == [
        "line 2 (a), n1: '1,234' may mean 1234 or 1.234; write it without a comma"
    ]
    assert faults("study_id;yi;vi;n1\na;0,5;1;1.234\n") == [
        "line 2 (a), n1: '1.234' has a point, but this file writes decimals with a comma; write it with a comma only"
    ]


def test_two_decimal_marks_in_one_file_are_a_fault(faults):
    assert faults("study_id;yi;vi\na;0.5;1.5\nb;0,5;1\n") == [
        "line 3 (b), yi: '0,5' has a decimal comma; write 0.5 as in the rest of the file"
    ]


def test_a_row_that_repeats_another_is_a_fault(faults):
    assert faults("study_id,yi,vi\na,1,1\nb,1,1\na,1,1\n") == [
        "line 4 (a): repeats line 2 word for word; delete it, or add what tells them apart"
    ]


def test_a_row_id_that_stands_twice_is_a_fault(faults):
    assert faults("row_id,study_id,yi,vi\nx,a,1,1\nx,b,1,1\n") == [
        "line 3 (b), row_id: 'x' already stands in line 2; each row needs its own"
    ]


def test_a_trial_without_a_name_is_a_fault(faults):
    assert faults("study_id,yi,vi\nNA,1,1\n") == ["line 2, study_id: is missing"]


def test_every_fault_is_listed_at_once_in_the_order_of_the_file(faults):
    found = faults(lines(HEADER, "a,hope,1,3,-3.2,20.5,abc,0", "b,hope,20,3", "c,hope,20,1,1,20,1,0"))
    assert [sentence.split(":")[0] for sentence in found] == [
        "line 2 (a, hope), n1",
        "line 2 (a, hope), sd1",
        "line 2 (a, hope), n2",
        "line 2 (a, hope), mean2",
        "line 2 (a, hope), sd2",
        "line 3",
        "line 4 (c, hope), sd2",
    ]


def test_a_long_list_of_faults_is_cut_in_the_text_but_not_in_the_list(read):
    with pytest.raises(DataError) as caught:
        read("study_id,yi,vi\n" + "".join(f"s{i},x,1\n" for i in range(1000)))
    assert len(caught.value.faults) == 1000
    assert str(caught.value).count("\n") == FAULTS_SHOWN + 2  # after the first line: faults, how many more, the page
    assert str(caught.value).splitlines()[-2] == "  ... and 800 more"


def test_the_same_result_twice_is_a_warning_that_names_the_lines(read):
    table = "study_id,outcome,timepoint_months,yi,vi\na,hope,,1,1\na,hope,,2,1\na,hope,6,2,1\n"
    with pytest.warns(DataWarning, match=r"may be counted twice: a, hope: lines 2, 3\. Give all but one"):
        assert len(read(table)) == 3


def test_a_result_that_is_set_aside_is_not_counted_twice(read):
    assert len(read("study_id,yi,vi,exclusion_reason\na,1,1,\na,2,1,other report\n")) == 2


# Directions


def instrument_table(*cells, header="study_id,instrument,n1,mean1,sd1,n2,mean2,sd2"):
    return lines(header, *(f"s{i},{cell},20,1,1,20,{i},1" for i, cell in enumerate(cells)))


def test_directions_come_from_the_bundled_instruments_whatever_the_case(read):
    rows = read(instrument_table("CES-D", "ces-d", "the  CES-D"))
    assert rows["direction"].tolist() == ["lower_better"] * 3


def test_an_unknown_instrument_is_asked_for_its_direction_once(faults):
    assert faults(instrument_table("Wibble", "CES-D", "Wibble")) == [
        (
            "line 2 (s0), instrument: 'Wibble' is not in instruments.csv, so it is unknown which way is good; "
            "add a column direction with higher_better or lower_better, or a row to instruments.csv "
            "(line 4 too)"
        )
    ]


def test_an_instrument_that_is_spelt_almost_right_is_recognised_in_the_message(faults):
    (fault,) = faults(instrument_table("Herth Hop Index"))
    assert "Did you mean 'The Herth Hope Index'?" in fault


def test_the_tables_own_direction_is_used_and_a_contradiction_is_a_warning(read):
    table = "study_id,instrument,direction,n1,mean1,sd1,n2,mean2,sd2\na,CES-D,higher_better,20,1,1,20,1,1\n"
    with pytest.warns(DataWarning, match=r"line 2: the direction of 'CES-D' is not the one in instruments\.csv"):
        assert read(table)["direction"].tolist() == ["higher_better"]


def test_instruments_of_ones_own_win_over_the_bundled_ones(read, tmp_path):
    own = pd.DataFrame({"instrument": ["Wibble", "CES-D"], "direction": ["lower_better", "higher_better"]})
    own.to_csv(tmp_path / "own.csv", index=False)
    table = instrument_table("Wibble", "CES-D", "ces-d")
    for given in (own, tmp_path / "own.csv", str(tmp_path / "own.csv")):
        assert read(table, instruments=given)["direction"].tolist() == [
            "lower_better",
            "higher_better",
            "higher_better",
        ]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (pd.DataFrame({"instrument": ["a"]}), "the column direction is missing"),
        (pd.DataFrame({"instrument": ["a"], "direction": ["up"]}), "row 1, direction: 'up' is unknown. Known"),
        (
            pd.DataFrame({"instrument": ["a", "a"], "direction": ["", ""]}),
            "row 2, instrument: 'a' already stands in row 1",
        ),
        (pd.DataFrame({"instrument": [None], "direction": [""]}), "row 1, instrument: is missing"),
    ],
)
def test_instruments_of_ones_own_are_checked(faults, own, message):
    (fault,) = faults(instrument_table("CES-D"), instruments=own)
    assert fault.startswith(message)


def test_instruments_without_a_column_to_look_up_are_an_error(faults):
    own = pd.DataFrame({"instrument": ["a"], "direction": ["higher_better"]})
    assert faults("study_id,yi,vi\na,1,1\n", instruments=own) == [
        "has no column instrument, so instruments= has no effect; leave it out"
    ]


def test_a_ready_made_effect_needs_no_direction(read):
    assert read("study_id,instrument,yi,vi\na,Wibble,1,1\n")["direction"].tolist() == [""]


def test_a_row_without_an_instrument_among_others_is_a_warning(read):
    with pytest.warns(DataWarning, match=r"line 3: no instrument"):
        assert read(instrument_table("CES-D", ""))["direction"].tolist() == ["lower_better", ""]


# Writing


def test_what_is_written_is_read_again_and_writing_it_again_gives_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    frame = pd.DataFrame(
        {
            "mean1": [0.1, np.nan, 1e-17],
            "n1": [20.0, 30.0, np.nan],
            "study_id": ["a, b", 'say "x"', "two\nlines"],
            "row_id": ["r1", "r2", "r3"],
            "outcome": ["hope"] * 3,
            "outcome_class": ["psychosocial"] * 3,
            "instrument": ["x"] * 3,
            "source": ["p. 3", "<b>", "🙂"],
            "mine": ["", "x", " y "],
        }
    )
    write_table(frame, first, OUTCOMES)
    assert first.read_bytes().startswith(
        b'row_id,study_id,outcome,outcome_class,instrument,n1,mean1,source,mine\nr1,"a, b"'
    )
    again = read_table(first, OUTCOMES, strict=True)
    assert again["mean1"].tolist()[::2] == [0.1, 1e-17]
    assert again["mine"].tolist() == ["", "x", " y "]
    write_table(again, second, OUTCOMES)
    assert first.read_bytes() == second.read_bytes()


def test_a_table_that_cannot_be_written_says_so(tmp_path):
    frame = pd.DataFrame({"row_id": ["a"]})
    with pytest.raises(DataError, match="cannot be written"):
        write_table(frame, tmp_path / "none" / "a.csv", OUTCOMES)
    with pytest.raises(DataError, match="two columns of one name"):
        write_table(pd.concat([frame, frame], axis=1), tmp_path / "a.csv", OUTCOMES)


def test_bundled_rules_know_no_token_for_missing_and_ask_for_every_needed_cell(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("row_id,study_id,outcome,outcome_class,instrument,source,n1\nr,a,NA,clinical,x,,NA\n")
    with pytest.raises(DataError) as caught:
        read_table(path, OUTCOMES, strict=True)
    assert [str(fault) for fault in caught.value.faults] == [
        "line 2 (a, NA), source: is missing",
        "line 2 (a, NA), n1: 'NA' is not a number; leave the cell empty when the value is missing",
    ]


def test_a_big_table_is_read_whole(read):
    table = "study_id,yi,vi,note\n" + "".join(f"s{i},{i / 7:.4f},0.5,x\n" for i in range(10_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = read(table)
    assert rows["yi"].tolist() == [round(i / 7, 4) for i in range(10_000)]


# Arms and implementation


def test_a_row_that_compares_an_arm_with_itself_is_a_fault(faults):
    table = lines(HEADER + ",arm1,arm2", ROW + ",Peers,peers", ROW + "0,Peers,waiting list", ROW + "1,,")
    assert faults(table) == ["line 2 (smith2014, hope), arm2: 'peers' is arm1, too; a row compares two arms"]


def test_rows_of_one_comparison_with_different_arms_are_a_fault(faults):
    header = HEADER + ",comparison,arm2"
    rows = [ROW + ",a v b,b", ROW + "0,a v b,c", ROW + "1,a v c,c", ROW.replace("smith", "jones") + ",a v b,d"]
    assert faults(lines(header, *rows)) == [
        "line 3 (smith2014, hope), arm2: 'c', but another row of the same comparison has 'b'"
    ]


def test_arms_tell_two_results_apart(read):
    twice = lines(HEADER + ",arm1,arm2", ROW + ",high,control", ROW + "0,low,control")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(twice)["arm1"].tolist() == ["high", "low"]
    with pytest.warns(DataWarning, match="more than once"):
        read(twice.replace("low", "high"))


def test_implementation_without_words_or_source_is_a_fault(faults):
    header = HEADER + ",impl_training,impl_training_words,impl_supervision,impl_source"
    rows = [
        ROW + ",yes,40 hours of training,,p. 3",
        ROW + "0,yes,,,",
        ROW + "1,,trained by the team,,",
        ROW + "2,maybe,some,partly,p. 4",
        ROW + "3,,,,",
    ]
    found = faults(lines(header, *rows))
    where = "(smith2014, hope)"
    assert found == [
        f"line 3 {where}, impl_training: 'yes' without the source's words; quote them in impl_training_words",
        f"line 3 {where}, impl_source: is missing; say where the words on implementation were read",
        f"line 4 {where}, impl_source: is missing; say where the words on implementation were read",
        f"line 5 {where}, impl_training: 'maybe' is unknown. Known: yes, partly, no",
        f"line 5 {where}, impl_supervision: 'partly' without the source's words; quote them in impl_supervision_words",
    ]


def test_words_may_stand_without_a_code(read):
    rows = read(lines(HEADER + ",impl_training_words,impl_source", ROW + ",experienced peers,p. 3"))
    assert rows["impl_training_words"].tolist() == ["experienced peers"]


def test_implementation_needs_its_columns_of_words_and_source(faults):
    found = faults(lines(HEADER + ",impl_training", ROW + ",no"))
    assert [fault.split(": ")[0] for fault in found] == [
        "line 2 (smith2014, hope), impl_source",
        "line 2 (smith2014, hope), impl_training",
    ]
