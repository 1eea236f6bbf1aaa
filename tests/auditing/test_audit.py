"""The door to the audit: what goes in, what is found end to end, what it would change, and how it is told."""

import json
import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.auditing.extraction import audit
from metapeer.auditing.findings import SEVERITIES
from metapeer.auditing.table import NUMBERS
from metapeer.effects.continuous import hedges_g
from metapeer.errors import DataError, DataWarning, MetapeerError
from metapeer.pooling.models import meta_analysis
from metapeer.records.catalog import datasets_root, load_dataset

ARMS = ("n1", "mean1", "sd1", "n2", "mean2", "sd2")


def typed():
    """Smit's rows as they were typed, without the notes that name what is wrong; no override is read."""
    cells = pd.read_csv(datasets_root() / "smit2023" / "outcomes.csv", dtype=str, keep_default_na=False)
    return cells.drop(columns=["note"])


@pytest.fixture(scope="module")
def report():
    return audit(typed())


def rows(report, code):
    return [sorted(report.names[i] for i in f.rows) for f in report.findings if f.check == code]


def by_code(report, code):
    return [(f, c) for f, c in zip(report.findings, report.consequences, strict=True) if f.check == code]


# What is known of a published table ---------------------------------------------------------------------------------


def test_everything_known_about_a_published_table_is_found_from_its_numbers_alone(report):
    assert rows(report, "sign_against_direction") == [["davidson2004.1", "davidson2004.2"]]
    assert rows(report, "n_of_other_row") == [["solomon1995.2"]]
    assert sorted(rows(report, "sd_is_se")) == [["salzer2016.1"], ["salzer2016.2"]]
    assert rows(report, "fewer_digits") == [["boevink2016.1"], ["kaplan2011.2", "kaplan2011.3"]]
    ((shared, _),) = by_code(report, "se_copied")
    assert "0.243 in 6 rows of 2 trials" in shared.evidence
    assert {report.names[i].partition(".")[0] for i in shared.rows} == {"corrigan2017", "rogers2016"}


def test_nothing_else_about_that_table_is_an_error_or_a_suspicion(report):
    grave = [f.check for f in report.findings if f.severity != "remark"]
    assert sorted(grave) == ["n_of_other_row", "sd_is_se", "sd_is_se", "se_copied", "sign_against_direction"]
    assert report.counts() == {"error": 2, "suspicion": 3, "remark": 7}


def test_a_table_a_file_and_a_review_are_audited_alike(report, tmp_path):
    path = tmp_path / "rows.csv"
    typed().to_csv(path, index=False)
    found = [(f.check, f.rows, f.evidence) for f in report.findings]
    for other in (path, str(path), load_dataset("smit2023")):
        assert [(f.check, f.rows, f.evidence) for f in audit(other).findings] == found


def test_rows_of_a_file_have_their_lines(tmp_path):
    path = tmp_path / "rows.csv"
    typed().to_csv(path, index=False)
    found = audit(path)
    (finding,) = (f for f in found.findings if f.check == "n_of_other_row")
    line = path.read_text(encoding="utf-8").splitlines()[found.lines[finding.rows[0]] - 1]
    assert line.startswith("solomon1995.2,")


# What it would change -----------------------------------------------------------------------------------------------


def fitted(yi, vi):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # about narrow intervals, which do not matter here
        fit = meta_analysis(yi=yi, vi=vi)
    return fit.estimate, fit.ci.low, fit.ci.high


def pooled(cells, group, changes):
    mine = cells[(cells["outcome_group"] == group) & (cells["exclusion_reason"] == "")]
    yi = {i: float(x) for i, x in zip(mine["row_id"], mine["review_yi"], strict=True)}
    vi = {i: float(x) ** 2 for i, x in zip(mine["row_id"], mine["review_sei"], strict=True)}
    for row, (y, v) in changes.items():
        if row in yi:
            yi[row], vi[row] = y, v
    return fitted(np.array(list(yi.values())), np.array(list(vi.values())))


def test_the_consequence_of_turned_signs_is_that_of_pooling_by_hand(report):
    cells = typed()
    at = cells.set_index("row_id")
    turned = {
        name: (-float(at.loc[name, "review_yi"]), float(at.loc[name, "review_sei"]) ** 2)
        for name in ("davidson2004.1", "davidson2004.2")
    }
    ((_, consequences),) = by_code(report, "sign_against_direction")
    assert {c.group for c in consequences} == {"clinical recovery", "functional recovery"}
    for one in consequences:
        assert one.before == pytest.approx(pooled(cells, one.group, {}), abs=1e-10)
        assert one.after == pytest.approx(pooled(cells, one.group, turned), abs=1e-10)
        assert one.k_before == one.k_after


def test_the_consequence_of_standard_errors_for_sds_is_that_of_pooling_by_hand(report):
    cells = typed()
    row = cells.set_index("row_id").loc["salzer2016.2"]
    one = {name: np.array([float(row[name])]) for name in ARMS}
    g, v = hedges_g(
        **{**one, "sd1": one["sd1"] * one["n1"] ** 0.5, "sd2": one["sd2"] * one["n2"] ** 0.5}, variance="metapsy"
    )
    right = {"salzer2016.2": (float(g[0]), float(v[0]))}
    ((consequence,),) = (c for f, c in by_code(report, "sd_is_se") if report.names[f.rows[0]] == "salzer2016.2")
    assert consequence.group == "personal recovery"
    assert consequence.before == pytest.approx(pooled(cells, "personal recovery", {}), abs=1e-10)
    assert consequence.after == pytest.approx(pooled(cells, "personal recovery", right), abs=1e-8)


def test_a_row_left_out_is_counted():
    table = pd.DataFrame({
        "study_id": list("abcdefgh"), "yi": [0.1, 0.3, 0.2, 0.25, 0.15, 0.2, 0.3, 9.0], "sei": [0.2] * 8,
    })  # fmt: skip
    found = audit(table)
    ((_, (consequence,)),) = by_code(found, "effect_far")
    assert (consequence.k_before, consequence.k_after) == (8, 7)
    assert consequence.after == pytest.approx(fitted(table["yi"][:7].to_numpy(), table["sei"][:7].to_numpy() ** 2))


def test_no_finding_changes_the_table():
    cells = typed()
    before = cells.copy(deep=True)
    audit(cells)
    pd.testing.assert_frame_equal(cells, before)


# What goes in -------------------------------------------------------------------------------------------------------


def made_up(k=12):
    rng = np.random.default_rng(5)
    n = rng.integers(30, 90, k)
    table = pd.DataFrame({
        "study_id": [f"trial {c}" for c in "abcdefghijklmnop"[:k]],
        "n1": n, "mean1": rng.normal(15, 1.5, k).round(2), "sd1": rng.normal(6, 0.5, k).round(2),
        "n2": n + 2, "mean2": rng.normal(13.6, 0.5, k).round(2), "sd2": rng.normal(6, 0.5, k).round(2),
    })  # fmt: skip
    yi, vi = hedges_g(**{name: table[name].to_numpy(float) for name in ARMS}, variance="metafor")
    return table.assign(yi=yi.round(3), vi=vi.round(5))


METAFOR = {"study_id": "study", "n1": "n1i", "mean1": "m1i", "sd1": "sd1i", "n2": "n2i", "mean2": "m2i", "sd2": "sd2i"}


def test_a_table_for_metafor_is_read_by_its_own_names():
    table = made_up()
    table.loc[4, "yi"] = round(-table.loc[4, "yi"], 3)
    for arm in "12":
        table.loc[7, f"sd{arm}"] = round(table.loc[7, f"sd{arm}"] / table.loc[7, f"n{arm}"] ** 0.5, 2)
    ours, theirs = audit(table), audit(table.rename(columns=METAFOR))
    assert {f.check for f in ours.findings} >= {"sign_against_direction", "raw_sd_is_se"}
    assert [(f.check, f.rows) for f in ours.findings] == [(f.check, f.rows) for f in theirs.findings]
    assert "column 'm1i' is read as 'mean1'" in theirs.notes


def test_a_table_of_metapsy_is_read_by_its_own_names():
    cells = typed().rename(columns={"study_id": "study", "review_yi": "g", "review_sei": "g_se"})
    cells = cells.drop(columns=["row_id"])
    found = audit(cells)
    lines = {i for f in found.findings if f.check == "sign_against_direction" for i in f.rows}
    assert {cells["study"][i] for i in lines} == {"davidson2004"}
    assert {cells["study"][f.rows[0]] for f in found.findings if f.check == "sd_is_se"} == {"salzer2016"}


def test_a_file_with_semicolons_and_decimal_commas_is_read_as_any_other(tmp_path):
    table = made_up()
    table.loc[3, "events1"] = 99.0
    plain, comma = tmp_path / "plain.csv", tmp_path / "comma.csv"
    table.to_csv(plain, index=False)
    table.to_csv(comma, index=False, sep=";", decimal=",")
    assert [(f.check, f.rows) for f in audit(plain).findings] == [(f.check, f.rows) for f in audit(comma).findings]


def test_instruments_of_ones_own_tell_range_and_direction():
    table = made_up().assign(instrument="mine")
    known = pd.DataFrame({"instrument": ["mine"], "direction": ["higher_better"], "min": [0], "max": [14.9]})
    assert "mean_outside_range" in {f.check for f in audit(table, instruments=known).findings}
    assert "mean_outside_range" not in {f.check for f in audit(table).findings}


def test_remarks_are_left_out_on_request(report):
    grave = audit(typed(), remarks=False)
    assert [f.check for f in grave.findings] == [f.check for f in report.findings if f.severity != "remark"]
    assert len(grave.consequences) == len(grave.findings)


def test_the_gravest_findings_come_first(report):
    order = [list(SEVERITIES).index(f.severity) for f in report.findings]
    assert order == sorted(order)


@pytest.mark.parametrize("table", [None, 3, [1, 2], {"study_id": ["a"]}])
def test_what_is_no_table_is_refused(table):
    with pytest.raises(MetapeerError, match="give a DataFrame, a review, or the path"):
        audit(table)


def test_a_table_without_rows_is_refused():
    with pytest.raises(DataError, match="has no rows"):
        audit(pd.DataFrame({"study_id": []}))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(MetapeerError):
        audit(tmp_path / "none.csv")


def test_a_table_about_something_else_gives_no_finding():
    found = audit(pd.DataFrame({"colour": ["red", "blue"], "weight": [1.5, 2.5]}))
    assert found.counts() == {"error": 0, "suspicion": 0, "remark": 0}
    assert "2 rows" in found.summary()


# How it is told -----------------------------------------------------------------------------------------------------

HOSTILE = "<script>alert('x')</script>|`a`*b*_c_[d](e)&amp;"


@pytest.fixture(scope="module")
def hostile():
    table = pd.DataFrame({
        "study_id": [HOSTILE, HOSTILE, "plain 2001", "other 2002"], "outcome": ["<b>", "<i>", "x", "x"],
        "citation": ["", "", HOSTILE * 2, HOSTILE * 2],
        "events1": [12, 31, 5, 6], "total1": [40, 30, 41, 42], "events2": [15, 20, 7, 8], "total2": [41, 42, 43, 45],
    })  # fmt: skip
    return audit(table)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.words = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_labels_stay_text_in_html(hostile):
    page = Tags()
    page.feed(hostile.to_html())
    assert {"script", "b", "i"} & set(page.seen) == set()
    assert HOSTILE in "".join(page.words)


def test_labels_stay_text_in_markdown(hostile):
    text = hostile.to_markdown()
    assert HOSTILE not in text
    bare = re.sub(r"\\.", "", text)
    assert "<" not in bare
    assert "|" not in bare
    codes = re.findall(r"`(\w+)`", bare)
    assert set(codes) == {f.check for f in hostile.findings}
    assert len(codes) == len(hostile.findings)


def test_labels_come_back_unchanged_from_json(hostile):
    found = json.loads(hostile.to_json())
    assert any(name.startswith(HOSTILE) for one in found["findings"] for name in one["rows"])
    assert found["counts"] == hostile.counts()


def test_json_and_frame_hold_every_finding_with_its_consequence(report):
    told = json.loads(report.to_json())
    frame = report.to_frame()
    assert told["rows"] == 66
    assert len(told["findings"]) == len(frame) == len(report.findings)
    for one, line, consequences in zip(told["findings"], frame.itertuples(), report.consequences, strict=True):
        words = [c.words() for c in consequences]
        assert one["if_true"] == words
        assert line.if_true == "; ".join(words)
        assert line.check == one["check"]


def test_every_form_says_what_the_findings_say(report):
    text = {
        "markdown": re.sub(r"\\(.)", r"\1", report.to_markdown()),
        "html": "".join(_words(report.to_html())),
    }
    for form, told in text.items():
        flat = " ".join(told.split())
        for finding in report.findings:
            for part in (finding.message, finding.evidence, finding.look_up):
                assert " ".join(part.split()) in flat, form
        assert flat.rstrip().endswith("a finding is a question to the paper, not a correction.")


def _words(html):
    page = Tags()
    page.feed(html)
    return page.words


def test_a_page_in_html_needs_nothing_from_elsewhere(report):
    page = report.to_html()
    assert page.startswith("<!DOCTYPE html>")
    assert re.findall(r"(?:src|href)=|https?://|@import", page) == []


# Anything at all ----------------------------------------------------------------------------------------------------

CELL = st.one_of(
    st.sampled_from(["", "NA", "0", "-1", "1e308", "-1e308", "1e-320", "inf", "-inf", "nan", "0.243", "12", "<0.05"]),
    st.integers(-5, 300).map(str),
    st.floats(-50, 50).map(lambda x: f"{x:.2f}"),
    st.text(max_size=4),
)
COLUMNS = [*NUMBERS, "study_id", "row_id", "instrument", "direction", "outcome", "outcome_group", "comparison",
           "statistic", "p_value", "es_type", "n_intervention", "n_control", "year", "citation", "doi", "items", "min",
           "max", "baseline_mean1", "baseline_sd1", "baseline_mean2", "baseline_sd2", "line", "rob_d1"]  # fmt: skip


@st.composite
def absurd_tables(draw):
    columns = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=16, unique=True))
    k = draw(st.integers(1, 8))
    few = draw(st.booleans())
    cells = st.sampled_from(draw(st.lists(CELL, min_size=1, max_size=3))) if few else CELL
    return pd.DataFrame({column: draw(st.lists(cells, min_size=k, max_size=k)) for column in columns})


@settings(max_examples=60)
@given(absurd_tables())
def test_absurd_tables_are_audited_without_a_crash_or_a_warning(table):
    found = audit(table)
    assert all(0 <= row < len(table) for f in found.findings for row in f.rows)
    assert all(set(f.instead) <= set(f.rows) for f in found.findings)
    assert json.loads(found.to_json())["rows"] == len(table)
    for form in (found.summary(), found.to_markdown(), found.to_html()):
        assert form


@settings(max_examples=40)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=8 * 4, max_size=8 * 4), st.integers(0, 3))
def test_numbers_of_any_size_are_audited_without_a_crash_or_a_warning(numbers, columns):
    names = ((*ARMS, "yi", "vi"), ("events1", "total1", "events2", "total2", "yi", "sei", "n1", "n2"),
             ("es", "es_ci_low", "es_ci_high", "es_se", "p_value", "n1", "n2", "year"),
             ("review_yi", "review_sei", *ARMS))[columns]  # fmt: skip
    table = pd.DataFrame(np.array(numbers).reshape(4, 8), columns=names).assign(study_id=list("aabc"))
    assert audit(table).k == 4


@settings(max_examples=15)
@given(st.permutations(range(12)))
def test_the_order_of_rows_does_not_matter_to_the_row_at_fault(order):
    table = made_up()
    table.loc[4, "yi"] = round(-table.loc[4, "yi"], 3)
    mixed = table.iloc[order].reset_index(drop=True)
    (finding,) = (f for f in audit(mixed).findings if f.severity != "remark")
    assert (finding.check, mixed["study_id"][finding.rows[0]]) == ("sign_against_direction", "trial e")
