"""Tables of other programs are understood, or refused with the place and the remedy."""

import warnings
import zipfile
from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from metapeer import effect_size
from metapeer.errors import ChoiceError, DataError, DataWarning
from metapeer.records.interchange.door import read_extraction
from metapeer.records.interchange.metapsy import WEEKS_IN_A_MONTH, read_metapsy

METAPSY = (
    '"";"study";"condition_arm1";"condition_arm2";"multi_arm1";"multi_arm2";"outcome_type";"instrument";"time";'
    '"time_weeks";"mean_arm1";"sd_arm1";"n_arm1";"mean_arm2";"sd_arm2";"n_arm2";"mean_change_arm1";"mean_change_arm2";'
    '"sd_change_arm1";"sd_change_arm2";"n_change_arm1";"n_change_arm2";"event_arm1";"event_arm2";"totaln_arm1";'
    '"totaln_arm2";"precalc_g";"precalc_g_se";"precalc_log_rr";"precalc_log_rr_se";".g";".g_se";"RoB_D1";"format";"year"\n'
    '"1";"Ames, 2014";"peer";"wl";NA;NA;"msd";"Hope Scale";"post";12;3,5;1,2;20;3,1;1,1;21'
    ';NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;0,34;0,31;"Low risk";"Group";2014\n'
    '"2";"Bell, 2016";"peer";"peer";"high";"low";"change";"Hope Scale";"6-month FU";26;NA;NA;40;NA;NA;NA'
    ';1,5;1,25;0,5;0,75;30;31;NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;"Low risk";"Individual";2016\n'
    '"3";"Cole, 2018";"peer";"cau";NA;NA;"response";"Hope Scale";"follow-up";52;NA;NA;NA;NA;NA;NA'
    ';NA;NA;NA;NA;NA;NA;4;7;20;21;NA;NA;NA;NA;NA;NA;NA;"Both";n.d.\n'
    '"4";"Dean, 2019";"peer";"cau";NA;NA;"msd";"Hope Scale";"post";NA;NA;NA;NA;NA;NA;NA'
    ';NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;0,459;0,254;NA;NA;0,459;0,254;NA;"Group";2019\n'
    '"5";"Eden, 2020";"peer";"cau";NA;NA;"response";"Hope Scale";"post";NA;NA;NA;NA;NA;NA;NA'
    ';NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;NA;-0,2;0,1;NA;NA;NA;"Group";2020\n'
)


@pytest.fixture
def metapsy(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(METAPSY, encoding="utf-8")
    return path


def quietly(read, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return read(*args, **options)


def test_each_group_of_metapsy_data_finds_its_columns(metapsy):
    with pytest.warns(DataWarning, match="line 5: precalc_g is kept but cannot be pooled"):
        rows = read_metapsy(metapsy)
    assert rows["study_id"].tolist() == ["Ames, 2014", "Bell, 2016", "Cole, 2018", "Dean, 2019", "Eden, 2020"]
    assert rows["line"].tolist() == [2, 3, 4, 5, 6]
    np.testing.assert_array_equal(rows["mean1"], [3.5, 1.5, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(rows["sd2"], [1.1, 0.75, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(rows["n1"], [20, 30, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(rows["events2"], [np.nan, np.nan, 7, np.nan, np.nan])
    np.testing.assert_array_equal(rows["es"], [np.nan, np.nan, np.nan, 0.459, -0.2])
    assert rows["statistic"].tolist() == ["post", "change", "", "", ""]
    assert rows["format"].tolist() == ["group", "one_to_one", "", "group", "group"]
    assert rows["timepoint"].tolist() == ["end_of_treatment", "", "follow_up", "end_of_treatment", "end_of_treatment"]
    np.testing.assert_allclose(rows["timepoint_months"][:3], np.array([12, 26, 52]) / WEEKS_IN_A_MONTH)
    assert rows["arm1"].tolist()[:2] == ["peer", "peer [high]"]
    assert rows["arm2"].tolist()[:2] == ["wl", "peer [low]"]


def test_what_metapsy_has_and_metapeer_has_not_is_kept_and_listed(metapsy):
    rows = quietly(read_metapsy, metapsy)
    assert rows["n_arm1"].tolist() == ["", "40", "", "", ""]  # of the scores; the row's changes have 30
    assert rows["metapsy_time"].tolist() == ["", "6-month FU", "", "", ""]
    assert rows["metapsy_format"].tolist() == ["", "", "Both", "", ""]
    assert rows["metapsy_year"].tolist() == ["", "", "n.d.", "", ""]
    assert rows[".g"].tolist() == ["0,34", "", "", "0,459", ""]
    assert {"n_arm1", "metapsy_time", ".g", "row_name", "outcome_type"} <= set(rows.attrs["extras"])
    assert any("mean_arm1 is mean1" in note for note in rows.attrs["notes"])


def test_a_ready_made_g_is_pooled_only_once_its_sign_is_known(metapsy):
    unknown = quietly(effect_size, quietly(read_metapsy, metapsy), measure="SMD")
    assert np.isnan(unknown["yi"][3])
    assert "sign not recorded" in unknown["exclusion_reason"][3]
    known = quietly(effect_size, quietly(read_metapsy, metapsy, g_favours="arm1"), measure="SMD")
    assert known["yi"][3] == pytest.approx(0.459)
    assert known["review_yi"][0] == 0.34


def test_months_in_the_column_of_weeks_can_be_said(metapsy):
    assert quietly(read_metapsy, metapsy, time_unit="months")["timepoint_months"].tolist()[:2] == [12, 26]
    with pytest.raises(ChoiceError, match="time_unit 'days'"):
        read_metapsy(metapsy, time_unit="days")


def test_metapsy_with_commas_and_points_is_read_too(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("study,n_arm1,mean_arm1,sd_arm1,n_arm2,mean_arm2,sd_arm2\nAmes,20,3.5,1.2,21,3.1,1.1\n")
    assert read_extraction(path)["mean1"].tolist() == [3.5]


def test_three_decimals_behind_a_comma_are_no_thousands_in_a_metapsy_table(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("study;n_arm1;mean_arm1;sd_arm1;n_arm2;mean_arm2;sd_arm2\nAmes;20;3,125;1,250;21;3,375;1,125\n")
    assert read_extraction(path)[["mean1", "sd1"]].to_numpy().tolist() == [[3.125, 1.25]]


def test_a_fault_names_the_line_and_both_columns(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(
        "study;n_arm1;mean_arm1;sd_arm1;n_arm2;mean_arm2;sd_arm2\n\nAmes;20;3,5;-1,2;21;3,1;1,1\nBell;x;3,5;1;21;3,1;1,1\n"
    )
    with pytest.raises(DataError) as caught:
        read_extraction(path)
    assert caught.value.source == str(path)
    assert [(fault.line, fault.column) for fault in caught.value.faults] == [
        (3, "sd1 (sd_arm1 in the file)"),
        (4, "n1 (n_arm1 in the file)"),
    ]
    assert "metapeer-" not in str(caught.value)


def test_two_groups_of_effect_data_in_a_row_are_doubted(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(
        "study;n_arm1;mean_arm1;sd_arm1;n_arm2;mean_arm2;sd_arm2;event_arm1;totaln_arm1;event_arm2;totaln_arm2\n"
        "Ames;20;3,5;1,2;21;3,1;1,1;4;20;7;21\n"
    )
    with pytest.warns(DataWarning, match="line 2: more than one group"):
        rows = read_extraction(path)
    assert rows[["mean1", "events1"]].to_numpy().tolist() == [[3.5, 4.0]]


def test_metafor_tables_of_counts_means_rates_and_effects(tmp_path):
    path = tmp_path / "dat.csv"
    path.write_text("trial,author,year,tpos,ai,bi,ci,di\n1,Aronson,1948,4,4,119,11,128\n")
    rows = read_extraction(path)
    assert rows[["events1", "total1", "events2", "total2"]].to_numpy().tolist() == [[4, 123, 11, 139]]
    path.write_text("study,n1i,m1i,sd1i,n2i,m2i,sd2i\nA,20,3.5,1.2,21,3.1,1.1\n")
    assert read_extraction(path)[["n1", "mean2"]].to_numpy().tolist() == [[20, 3.1]]
    path.write_text("study,x1i,t1i,x2i,t2i\nA,3,100.5,5,99\n")
    assert read_extraction(path)[["events1", "time1"]].to_numpy().tolist() == [[3, 100.5]]
    path.write_text("author,year,yi,vi\nA,1999,-0.5,0.1\n")
    rows = read_extraction(path)
    assert rows["study_id"].tolist() == ["A, 1999"]
    assert rows[["yi", "vi"]].to_numpy().tolist() == [[-0.5, 0.1]]


def test_columns_of_r_data_that_only_share_a_name_are_kept_beside(tmp_path):
    path = tmp_path / "dat.csv"
    path.write_text("study,yi,vi,time,format,n,year,percent_women\nA,0.5,0.1,6,letters,120,n.d.,many\n")
    rows = read_extraction(path)
    kept = ["escalc_time", "escalc_n", "escalc_format", "escalc_year", "escalc_percent_women"]
    assert rows.loc[0, kept].tolist() == ["6", "120", "letters", "n.d.", "many"]
    assert not {"time", "n"} & set(rows.columns)
    assert any("which sign favours arm 1" in note for note in rows.attrs["notes"])


def test_counts_that_do_not_add_up_are_refused(tmp_path):
    path = tmp_path / "dat.csv"
    path.write_text("study,ai,bi,n1i,ci,di,n2i\nA,4,119,124,11,128,139\n")
    with pytest.raises(DataError, match=r"line 2, n1i: 124 is not the sum of ai = 4 and bi = 119"):
        read_extraction(path)


RM5 = """<?xml version="1.0" encoding="UTF-8"?>
<COCHRANE_REVIEW TYPE="INTERVENTION"><STUDIES_AND_REFERENCES><STUDIES><INCLUDED_STUDIES>
<STUDY ID="STD-A" NAME="Ames 2014" YEAR="2014"/><STUDY ID="STD-B" NAME="Bell  2016" YEAR="2016."/>
</INCLUDED_STUDIES></STUDIES></STUDIES_AND_REFERENCES><ANALYSES_AND_DATA>
<COMPARISON NO="1"><NAME>Peer support versus usual care</NAME>
<DICH_OUTCOME NO="1" EFFECT_MEASURE="RR"><NAME>Admission</NAME><GROUP_LABEL_2>Usual care</GROUP_LABEL_2>
<DICH_SUBGROUP NO="1"><NAME>One to one</NAME>
<DICH_DATA STUDY_ID="STD-A" EVENTS_1="4" EVENTS_2="7" TOTAL_1="20" TOTAL_2="21" WEIGHT="50"/></DICH_SUBGROUP>
<DICH_SUBGROUP NO="2"><NAME>Group</NAME>
<DICH_DATA STUDY_ID="STD-B" EVENTS_1="0" EVENTS_2="0" TOTAL_1="0" TOTAL_2="0"/></DICH_SUBGROUP></DICH_OUTCOME>
<CONT_OUTCOME NO="2" EFFECT_MEASURE="SMD"><NAME>Hope</NAME>
<CONT_DATA STUDY_ID="STD-B" MEAN_1="3.1" SD_1="1.2" TOTAL_1="20" MEAN_2="2.5" SD_2="1.1" TOTAL_2="22"/></CONT_OUTCOME>
<IV_OUTCOME NO="3" LOG_DATA="{log}"><NAME>Time to admission</NAME><EFFECT_MEASURE>Hazard Ratio</EFFECT_MEASURE>
<IV_DATA STUDY_ID="STD-B" ESTIMATE="-0.3" SE="0.2" TOTAL_1="0" TOTAL_2="0"/></IV_OUTCOME>
<OTHER_OUTCOME NO="4"><NAME>Words</NAME></OTHER_OUTCOME>
</COMPARISON></ANALYSES_AND_DATA></COCHRANE_REVIEW>"""


def test_a_revman_5_file_gives_every_analysis(tmp_path):
    path = tmp_path / "review.rm5"
    path.write_text(RM5.format(log="YES"), encoding="utf-8")
    rows = read_extraction(path)
    assert rows["study_id"].tolist() == ["Ames 2014", "Bell 2016", "Bell 2016", "Bell 2016"]
    assert rows["year"].tolist() == [2014, 2016, 2016, 2016]
    assert rows["analysis"].tolist() == ["1.1", "1.1", "1.2", "1.3"]
    assert rows["subgroup"].tolist() == ["One to one", "Group", "", ""]
    assert rows.loc[0, ["events1", "total1", "events2", "total2"]].tolist() == [4, 20, 7, 21]
    assert rows.loc[2, ["n1", "mean1", "sd1", "n2", "mean2", "sd2"]].tolist() == [20, 3.1, 1.2, 22, 2.5, 1.1]
    assert rows.loc[3, ["es_type", "es", "es_se"]].tolist() == ["log HR", -0.3, 0.2]
    assert rows["comparator"].tolist()[0] == "Usual care"
    assert rows["revman_weight"].tolist()[0] == "50"


def test_a_row_that_revman_cannot_estimate_is_kept_with_its_reason(tmp_path):
    path = tmp_path / "review.rm5"
    path.write_text(RM5.format(log="YES"), encoding="utf-8")
    rows = read_extraction(path)
    assert rows["exclusion_reason"].tolist()[1].startswith("participants of arm 1: 0 in the source")
    assert rows["source_total1"].tolist()[1] == "0"


def test_a_ratio_whose_scale_is_not_said_is_not_pooled(tmp_path):
    path = tmp_path / "review.rm5"
    path.write_text(RM5.format(log=""), encoding="utf-8")
    with pytest.warns(DataWarning, match="do not say on which scale"):
        rows = read_extraction(path)
    effects = quietly(effect_size, rows, measure="HR")
    assert effects["yi"].isna().all()


ROWS = (
    "Analysis group,Analysis number,Analysis name,Subgroup,Study,Study year,Experimental cases,Experimental N,"
    "Experimental mean,Experimental SD,Control cases,Control N,Control mean,Control SD,O-E,Variance,GIV Mean,GIV SE,"
    "CI start,CI end,Weight,Footnotes\n"
    "1,1,Admission,,Ames 2014,2014,4,20,,,7,21,,,,,,,0.2,1.7,50,\n"
    "1,2,Hope,,Ames 2014,2014,0,20,3.1,1.2,0,22,2.5,1.1,,,,,,,100,\n"
    "1,3,Time,,Bell 2016,2016,0,0,,,0,0,,,,,-0.3,0.2,0.5,1.1,100,\n"
)
SETTINGS = (
    "Analysis group,Analysis number,Analysis group name,Analysis name,Data type,Effect measure,Log-scale data,"
    "Control group label\n"
    "1,1,Peer support,Admission,Dichotomous,Risk Ratio,FALSE,Usual care\n"
    "1,2,Peer support,Hope,Continuous,Std. Mean Difference,FALSE,Usual care\n"
    "1,3,Peer support,Time,Contrast level,Hazard Ratio,TRUE,Usual care\n"
)
ROB = "Study,Domain (judgement): Bias arising from randomisation\nAmes 2014,Low risk\n"


def zipped(files):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def package(nested):
    inside = {
        "CD1-analysis-data/CD1-data-rows.csv": ROWS,
        "CD1-analysis-data/CD1-overall-estimates-and-settings.csv": SETTINGS,
        "CD1-study-data/CD1-risk-of-bias.csv": ROB,
    }
    return zipped({"CD1-files/CD1-data.zip": zipped(inside)}) if nested else zipped(inside)


@pytest.mark.parametrize("nested", [False, True])
def test_a_cochrane_data_package_gives_numbers_by_data_type(nested, tmp_path):
    path = tmp_path / "CD1.zip"
    path.write_bytes(package(nested))
    rows = read_extraction(path)
    assert rows.attrs["format"] == "cochrane"
    assert rows["comparison"].tolist() == ["Peer support"] * 3
    assert rows.loc[0, ["events1", "total1", "events2", "total2"]].tolist() == [4, 20, 7, 21]
    assert rows.loc[1, ["n1", "mean1", "sd1", "n2", "mean2", "sd2"]].tolist() == [20, 3.1, 1.2, 22, 2.5, 1.1]
    assert rows.loc[2, ["es_type", "es", "es_se"]].tolist() == ["log HR", -0.3, 0.2]
    assert np.isnan(rows.loc[1, "events1"])
    assert np.isnan(rows.loc[2, "n1"])
    assert rows["Weight"].tolist() == ["50", "100", "100"]
    assert rows["rob: Domain (judgement): Bias arising from randomisation"].tolist() == ["Low risk", "Low risk", ""]


def test_a_review_of_diagnostic_tests_is_refused(tmp_path):
    path = tmp_path / "CD1.zip"
    path.write_bytes(
        zipped({"CD1-analysis-data/CD1-parameters.csv": "a\n", "CD1-analysis-data/CD1-data-rows.csv": ROWS})
    )
    with pytest.raises(DataError, match="diagnostic tests"):
        read_extraction(path)


def test_rows_with_one_arm_each_are_paired_by_their_role(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(
        "Study,Outcome name,Arm name,Arm role,N,Mean,SD\n"
        "Ames 2014,Hope,Usual care,control,21,3.1,1.1\n"
        "Ames 2014,Hope,Peers high,experimental,20,3.5,1.2\n"
        "Ames 2014,Hope,Peers low,experimental,19,3.4,1.3\n"
    )
    rows = read_extraction(path)
    assert rows["arm1"].tolist() == ["Peers high", "Peers low"]
    assert rows["arm2"].tolist() == ["Usual care"] * 2
    assert rows[["n1", "mean1", "n2", "mean2"]].to_numpy().tolist() == [[20, 3.5, 21, 3.1], [19, 3.4, 21, 3.1]]
    assert rows["line"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("roles", "words"),
    [(("control", "control"), "0 experimental and 2 control arms"), (("experimental", "TAU"), "'TAU' is no role")],
)
def test_arms_that_cannot_be_told_apart_are_refused(roles, words, tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(f"Study,Arm name,Arm role,N,Mean,SD\nA,x,{roles[0]},21,3,1\nA,y,{roles[1]},20,3,1\n")
    with pytest.raises(DataError, match=words):
        read_extraction(path)


def test_robvis_has_no_effects_and_says_so(tmp_path):
    path = tmp_path / "rob.csv"
    path.write_text("Study,D1,D2,D3,D4,D5,Overall,Weight\nA,Low,Low,Low,Low,Some concerns,Some concerns,1.5\n")
    rows = read_extraction(path)
    assert rows.loc[0, ["study_id", "rob_d5", "rob_overall", "Weight"]].tolist() == [
        "A",
        "Some concerns",
        "Some concerns",
        "1.5",
    ]
    assert any("no effects" in note for note in rows.attrs["notes"])


def workbook(tmp_path, cells, sheets=("Sheet",)):
    import openpyxl

    book = openpyxl.Workbook()
    for position, name in enumerate(sheets):
        page = book.active if position == 0 else book.create_sheet()
        page.title = name
        for row in cells[position] if len(sheets) > 1 else cells:
            page.append(row)
    path = tmp_path / "t.xlsx"
    book.save(path)
    return path


HEADER = ["study_id", "n1", "mean1", "sd1", "n2", "mean2", "sd2"]


def test_a_workbook_is_read_by_sheet(tmp_path):
    one, two = [HEADER, ["a", 20, 3.5, 1.2, 21, 3.1, 1.1]], [["study", "ai", "n1i", "ci", "n2i"], ["b", 4, 20, 7, 21]]
    path = workbook(tmp_path, [one, two], ("means", "counts"))
    assert read_extraction(path)["mean1"].tolist() == [3.5]
    rows = read_extraction(path, sheet="counts")
    assert rows["events1"].tolist() == [4]
    assert "metafor" in rows.attrs["notes"][0]
    with pytest.raises(DataError, match="its sheets are 'means', 'counts'"):
        read_extraction(path, sheet="nothing")


def test_formulas_and_dates_in_a_workbook_are_refused_by_cell(tmp_path):
    cells = [HEADER, ["a", 20, pd.Timestamp("2014-03-02").to_pydatetime(), "=1+1", 21, 3.1, 1.1]]
    with pytest.raises(DataError) as caught:
        read_extraction(workbook(tmp_path, cells))
    said = str(caught.value)
    assert "C2 holds a date (2014-03-02" in said
    assert "D2 holds a formula (=1+1); copy it and paste its value" in said


def test_an_option_without_effect_is_refused(tmp_path):
    path = tmp_path / "dat.csv"
    path.write_text("study,yi,vi\nA,1,1\n")
    with pytest.raises(ChoiceError, match="sheet has no effect"):
        read_extraction(path, sheet="x")
    with pytest.raises(ChoiceError, match="Did you mean 'escalc'"):
        read_extraction(path, format="escalk")
    with pytest.raises(ChoiceError, match="encoding has no effect"):
        read_extraction(workbook(tmp_path, [HEADER, ["a", 20, 1, 1, 20, 1, 1]]), encoding="utf-8")


def test_an_unknown_table_lists_what_was_tried(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("colour,size\nred,3\n")
    with pytest.raises(DataError) as caught:
        read_extraction(path)
    for words in ("colour, size", "Metapsy", "robvis", "escalc", "RevMan", "metapeer's own"):
        assert words in str(caught.value)


def test_a_format_that_is_named_is_used(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("study_id,n1,mean1,sd1,n2,mean2,sd2\nA,20,1,1,20,1,1\n")
    with pytest.raises(DataError, match="study: the column is missing"):
        read_extraction(path, format="metapsy")
    with pytest.raises(DataError, match="is not an Excel workbook"):
        read_extraction(path, format="xlsx")


def test_a_table_whose_first_header_is_pk_is_no_archive(tmp_path):
    path = tmp_path / "dat.csv"
    path.write_text("PK,study,yi,vi\n1,A,0.5,0.1\n")
    assert read_extraction(path)["PK"].tolist() == ["1"]
