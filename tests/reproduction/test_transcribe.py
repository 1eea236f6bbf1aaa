"""Numbers typed in from a paper: digits kept, faults and doubts told, evidence beside."""

import csv

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metapeer import DataError, MetapeerError, check_transcription, write_transcription_template
from metapeer.records.schema import PUBLISHED

GOOD = {
    "es_type": "SMD",
    "k": "6",
    "n": "1200",
    "es": "0.22",
    "ci_low": "0.01",
    "ci_high": "0.43",
    "i2": "60",
    "source": "Table 3, page 12",
}


@pytest.fixture
def typed(tmp_path):
    """Fill in the row "recovery" of White's blank table, and other rows by name; return the file."""

    def fill(recovery=None, **others):
        path = tmp_path / "typed.csv"
        path.unlink(missing_ok=True)
        write_transcription_template("white2020", path)
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        cells = {"recovery": recovery or {}} | others
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, PUBLISHED.names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(row | cells.get(row["published_id"], {}) for row in rows)
        return path

    return fill


def faults(path):
    with pytest.raises(DataError) as caught:
        check_transcription("white2020", path)
    return [(fault.column, fault.message) for fault in caught.value.faults]


def test_the_blank_table_is_read_back_as_blank(typed):
    found = check_transcription("white2020", typed())
    assert (len(found.blank), found.results, found.doubts) == (11, (), ())
    assert "still blank: recovery, empowerment" in found.summary()


def test_a_filled_row_keeps_its_digits_and_has_the_evidence_beside_it(typed, ledger):
    found = check_transcription("white2020", typed(GOOD | {"ci_high": "0.40", "es": "0.20", "ci_low": "0.00"}))
    (row,) = found.results
    assert row.printed == "SMD 0.20 (0.00 to 0.40), k 6, n 1200, I² 60"
    claim = ledger["white-recovery"].results["recovery"]
    assert (row.evidence.k, row.evidence.estimate) == (claim.k, pytest.approx(claim.estimate))
    assert found.doubts == ()
    assert len(found.blank) == 10
    text = found.summary()
    assert "SMD 0.20 (0.00 to 0.40), k 6" in text
    assert f"SMD {claim.estimate:.2f} (95% CI {claim.ci.low:.2f} to {claim.ci.high:.2f}), 4 trials" in text
    assert "neither confirms nor refutes" in text


def test_an_outcome_without_rows_says_so(typed):
    found = check_transcription("white2020", typed(GOOD | {"outcome": "happiness"}))
    assert found.results[0].evidence is None
    assert "no bundled row of this outcome" in found.summary()


def test_service_use_is_set_beside_the_whole_class(typed):
    found = check_transcription("white2020", typed(**{"service use": GOOD}))
    assert found.results[0].evidence.k == 2


@pytest.mark.sampled(keep=10)
@pytest.mark.parametrize(
    ("cells", "column", "message"),
    [
        ({"es": "abc"}, "es", "'abc' is not a number"),
        ({"es": "0,22"}, "es", "decimal comma"),
        ({"n": "1,200"}, "n", "may mean 1200 or 1.200"),
        ({"es": "<0.22"}, "es", "'<0.22' is only a bound; type the number that is printed"),
        ({"k": "20"}, "k", "20 is more than the 19 trials of the review"),
        ({"n": "3330"}, "n", "3330 is more than the 3329 participants of the review"),
        ({"k": "0"}, "k", "0 is not a whole number of at least 1"),
        ({"k": "2.5"}, "k", "2.5 is not a whole number of at least 1"),
        ({"n": "11"}, "n", "11 participants cannot fill 6 trials with two arms"),
        ({"q_df": "6"}, "q_df", "6 does not fit k = 6; it is k - 1"),
        ({"ci_low": "0.43", "ci_high": "0.01"}, "ci_low", "0.43 lies above the upper limit 0.01; swapped?"),
        ({"ci_low": ""}, "ci_low", "is missing; an interval has two ends"),
        ({"ci_high": ""}, "ci_high", "is missing; an interval has two ends"),
        ({"es": ""}, "es", "is missing, but an interval is given"),
        ({"es": "0.50"}, "es", "0.50 lies outside its interval 0.01 to 0.43"),
        ({"es_type": ""}, "es_type", "is missing; write which measure it is, such as SMD"),
        ({"es_type": "RR", "ci_low": "-0.01"}, "ci_low", "-0.01 is not a ratio; it must be > 0"),
        ({"es_type": "risk ratio", "ci_low": "0"}, "ci_low", "0 is not a ratio; it must be > 0"),
        ({"i2": "160"}, "i2", "160 is not a percentage"),
        ({"i2": "-1"}, "i2", "-1 is not a percentage"),
        ({"i2_ci_low": "70", "i2_ci_high": "20"}, "i2_ci_low", "70 lies above the upper limit 20; swapped?"),
        ({"i2_ci_low": "70", "i2_ci_high": "80"}, "i2", "60 lies outside its interval"),
        ({"i2_ci_high": "101"}, "i2_ci_high", "101 is not a percentage"),
        ({"p": "1.2"}, "p", "1.2 is not a probability"),
        ({"q_p": "-0.1"}, "q_p", "-0.1 is not a probability"),
        ({"tau2": "-0.1"}, "tau2", "must not be negative"),
        ({"q": "-2"}, "q", "must not be negative"),
        ({"outcome": ""}, "outcome", "is missing; write which outcome this is"),
        ({"source": ""}, "source", "is missing; write the table or figure and the page"),
        ({"source": "to be filled: page"}, "source", "is missing; write the table or figure and the page"),
        ({"outcome_class": "psycho"}, "outcome_class", "'psycho' is unknown."),
    ],
)
def test_what_cannot_be_is_a_fault_in_its_cell(typed, cells, column, message):
    ((found, text),) = faults(typed(GOOD | cells))
    assert found == column
    assert message in text


def test_all_faults_of_all_rows_are_told_at_once(typed):
    wrong = GOOD | {"k": "99", "i2": "101"}
    found = faults(typed(wrong, empowerment=wrong | {"es": "9", "source": ""}))
    assert [column for column, _ in found] == ["k", "i2", "k", "es", "i2", "source"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"es": "0.2", "ci_low": "0.00", "ci_high": "0.40"}, "type 0.10, not 0.1, if 0.10 is printed"),
        ({"es": "0.25"}, "0.25 does not lie in the middle of 0.01 to 0.43"),
        ({"p": "0.20"}, "p = 0.20, but the interval gives about 0.040"),
        ({"q": "30.00", "i2": "10"}, "I² = 10%, but Q = 30.00 with k = 6 gives 83%"),
        ({"es_type": "RR", "es": "0.22", "ci_low": "0.01", "ci_high": "0.43"}, "does not lie in the middle"),
        ({"es_type": "effect of some kind"}, "'effect of some kind' is not a measure that metapeer knows"),
    ],
)
def test_what_is_possible_but_unlikely_is_a_doubt(typed, cells, message):
    (doubt,) = check_transcription("white2020", typed(GOOD | cells)).doubts
    assert doubt.startswith("recovery: ")
    assert message in doubt


@pytest.mark.parametrize(
    "cells",
    [
        {},
        {"p": "0.04"},
        {"p": "<0.05"},
        {"q": "12.50", "q_df": "5", "q_p": "0.03", "tau2": "0.02"},
        {"es": "0.23"},  # rounding can put the estimate a step off the middle
        {"es_type": "RR", "es": "0.70", "ci_low": "0.50", "ci_high": "0.98"},
        {"es_type": "odds ratio", "es": "0.70", "ci_low": "0.50", "ci_high": "0.98", "p": "0.04"},
        {"es_type": "SMD (negative favours peer support)", "es": "-0.22", "ci_low": "-0.43", "ci_high": "-0.01"},
        {"es": "", "ci_low": "", "ci_high": "", "es_type": ""},
        {"es": "0.22", "ci_low": "", "ci_high": ""},
    ],
)
def test_what_papers_print_raises_no_doubt(typed, cells):
    assert check_transcription("white2020", typed(GOOD | cells)).doubts == ()


def test_a_row_with_a_p_value_only_is_not_blank(typed):
    found = check_transcription("white2020", typed({"p": "0.30", "source": "text, page 9"}))
    assert [row.published_id for row in found.results] == ["recovery"]


CELLS = st.sampled_from(["", "0", "-1", "0.5", "1e9", "1e-300", "-0.00", "<0.01", "abc", "9" * 30, "0.1", "100", "5%"])


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(PUBLISHED.names[7:-2]), CELLS), st.sampled_from(["RR", "SMD", "x", "log OR", ""])
)
def test_whatever_is_typed_only_the_errors_of_metapeer_escape(typed, cells, es_type):
    path = typed(GOOD | cells | {"es_type": es_type})
    try:
        found = check_transcription("white2020", path)
    except MetapeerError:
        return
    assert "recovery" in found.summary()


def test_the_template_does_not_overwrite_what_was_typed(tmp_path):
    path = tmp_path / "typed.csv"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(MetapeerError, match="it is not overwritten"):
        write_transcription_template("white2020", path)
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_review_without_a_table_names_one_that_has_one(tmp_path):
    with pytest.raises(MetapeerError, match="smit2023 has no table to transcribe; these have: white2020"):
        write_transcription_template("smit2023", tmp_path / "typed.csv")


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / "typed.csv"
    path.write_text("published_id,outcome,es\nrecovery,recovery,0.2\n", encoding="utf-8")
    with pytest.raises(DataError, match="ci_low: this column is missing"):
        check_transcription("white2020", path)


def test_a_table_that_is_not_there_is_an_error_in_words(tmp_path):
    with pytest.raises(MetapeerError, match=r"nowhere\.csv"):
        check_transcription("white2020", tmp_path / "nowhere.csv")


def test_a_plan_without_limits_says_what_it_lacks(copy_review, typed):
    folder = copy_review("white2020", plan=lambda text: text[: text.index("[transcription]")])
    with pytest.raises(DataError, match=r"white2020/plan.toml has 1 problem\n  \[transcription\] is missing"):
        check_transcription(folder, typed())
