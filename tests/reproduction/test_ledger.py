"""The ledger: found by name, counted, put in rows and in words."""

import pandas as pd
import pytest

from metapeer import ChoiceError, reproduce
from metapeer.reproduction.entries import QUANTITIES, VERDICTS
from metapeer.reproduction.ledger import Ledger


@pytest.fixture
def hostile(make_review):
    """A review whose names are HTML."""
    plan = '[[analysis]]\npublished_id = "<b>hope</b>"\nnote = "<script>alert(1)</script>"\n'
    trials = [("a2001", "40", "5.6", "2.1", "41", "5.0", "2.3"), ("b2002", "55", "6.3", "1.9", "52", "5.4", "2.0")]
    return reproduce(make_review(trials, {"<b>hope</b>": {"k": "2", "es_type": "<i>g</i>"}}, plan))


def test_an_entry_is_found_by_its_short_name_where_one_review_has_it(ledger):
    assert ledger["clinical recovery"] is ledger["smit2023: clinical recovery"]
    assert ledger["white-recovery"].claim_id == "white-recovery"
    assert ledger["Psychosocial and clinical outcomes, all formats"].review == "smit2023"


def test_a_name_that_several_reviews_share_is_asked_back(ledger):
    with pytest.raises(ChoiceError, match="'hope' is in several: ask for 'fuhr2014: hope' or 'lyons2021: hope'"):
        ledger["hope"]
    assert (ledger["fuhr2014: hope"].review, ledger["lyons2021: hope"].review) == ("fuhr2014", "lyons2021")


@pytest.mark.parametrize("key", ["clinical recovry", "", 5, None, ("a",), ["a"]])
def test_an_unknown_name_is_answered_with_those_that_are_known(ledger, key):
    with pytest.raises(ChoiceError, match="personal recovery"):
        ledger[key]


def test_a_misspelt_name_is_answered_with_the_one_meant(ledger):
    with pytest.raises(ChoiceError, match="Did you mean 'clinical recovery'"):
        ledger["clinical recovry"]


def test_going_through_the_ledger_gives_every_entry_once(ledger):
    entries = [ledger[name] for name in ledger]
    assert len(entries) == len({id(entry) for entry in entries})
    assert len(entries) == len(ledger.entries) + len(ledger.claims) + len(ledger.questions)
    assert "clinical recovery" in ledger
    assert "clinical recovry" not in ledger


def test_verdicts_are_counted_zeros_included(ledger):
    assert ledger.counts() == {
        "reproduced": 4,
        "within rounding of the inputs": 0,
        "differs": 1,
        "cannot be recomputed": 59,
        "claim not supported": 4,
        "claim supported": 5,
        "claim undecided": 5,
    }
    assert sum(ledger.counts().values()) == len(ledger.entries) + len(ledger.claims)


def test_an_empty_ledger_has_its_columns_and_its_words():
    empty = reproduce([])
    assert isinstance(empty, Ledger)
    assert len(empty.to_frame()) == 0
    assert list(empty.to_frame().columns) == list(reproduce("smit2023").to_frame().columns)
    assert empty.counts() == dict.fromkeys(VERDICTS, 0)
    assert empty.summary() == "nothing published and no claim to set beside"


def test_the_frame_has_each_way_of_each_number_unrounded_beside_the_print_as_text(ledger):
    frame = ledger.to_frame()
    rows = frame[(frame["review"] == "smit2023") & (frame["id"] == "clinical recovery")]
    assert rows["computed_as"].tolist() == [
        "as the review did",
        "computed from the arms",
        "suspicious rows left out",
        "suspicious rows corrected",
    ]
    assert rows["verdict"].tolist() == ["reproduced", "beside it", "beside it", "beside it"]
    assert rows["published_es"].tolist() == ["0.19"] * 4
    fit = ledger["clinical recovery"].result
    first = rows.iloc[0]
    assert (first["es"], first["ci_low"], first["ci_high"]) == (fit.estimate, fit.ci.low, fit.ci.high)
    assert (first["i2"], first["tau2"], first["q"], first["k"]) == (fit.I2_Q, fit.tau2, fit.Q, 22)
    assert (first["z"], first["p"], first["q_df"], first["q_p"]) == (fit.statistic, fit.p_value, 21, fit.Q_p)


def test_the_frame_tells_numbers_from_words_by_its_types(ledger):
    frame = ledger.to_frame()
    for name in frame.columns:
        assert pd.api.types.is_float_dtype(frame[name]) == (name in QUANTITIES), name
    assert not frame.drop(columns=list(QUANTITIES)).isna().any(axis=None)
    assert len(frame) == 64 + 3 * 3 + 1 + 14 + 10 + sum(len(q.result.levels) + 1 for q in ledger.questions)


def test_the_frame_has_what_is_missing_and_the_claims_and_the_questions(ledger):
    frame = ledger.to_frame()
    lyons = frame[(frame["review"] == "lyons2021") & (frame["id"] == "recovery")].iloc[0]
    assert "cook2012a" in lyons["to_do"]
    assert pd.isna(lyons["es"])
    claim = frame[(frame["id"] == "lyons-hope") & (frame["kind"] == "claim")].iloc[0]
    assert claim["es"] == ledger["lyons-hope"].results["hope"].estimate
    question = frame[(frame["id"] == "One-to-one and group peer support, clinical outcomes")]
    assert question["computed_as"].tolist()[-1] == "overall"
    assert set(question["computed_as"]) >= {"group", "one_to_one"}
    assert "suspected error" in question["explanation"].tolist()[-1]


def test_a_ratio_stands_in_the_frame_as_it_is_printed(make_review):
    folder = make_review(
        [("a2001", "10", "50", "20", "50")],
        {"hope": {"es_type": "RR", "es": "0.50"}},
        '[method]\nmeasure = "RR"\n[[analysis]]\npublished_id = "hope"\n',
    )
    row = reproduce(folder).to_frame().iloc[0]
    assert row["es"] == pytest.approx(0.5)
    assert row["measure"] == "RR"


def test_reviews_with_most_recomputed_numbers_come_first_under_their_titles(ledger):
    titles = [table.title for table in ledger.text_tables() if table.title.endswith("published and recomputed")]
    assert titles[0].startswith("Smit et al. 2023: peer support, one-to-one and in groups (smit2023)")
    assert titles[1].startswith("Chien et al. 2019")
    assert len(titles) == 6


def test_each_published_line_has_measure_print_recomputation_and_verdict(ledger):
    table = ledger.text_tables()[0]
    assert table.header == ("result", "measure", "published", "recomputed", "verdict")
    assert table.rows[0] == (
        "clinical recovery",
        "Hedges g",
        "0.19 (0.11 to 0.27), I² 10% (0 to 44), k 22",
        "0.19 (0.11 to 0.27), I² 10% (0 to 44), k 22",
        "reproduced",
    )
    assert table.rows[3][0] == "  suspicious rows corrected"
    assert table.rows[3][-1] == "beside it"


def test_each_reason_stands_once_with_the_results_it_belongs_to(ledger):
    table = next(table for table in ledger.text_tables() if "lyons2021" in table.title and "published" in table.title)
    reasons = [note for note in table.notes if note.startswith("cannot be recomputed")]
    assert reasons[0].startswith("cannot be recomputed (recovery; hope): which trials were pooled")
    assert reasons[1].startswith("cannot be recomputed (all but recovery; hope): the pooled number itself")
    assert len(reasons) == 2
    fuhr = next(table for table in ledger.text_tables() if "fuhr2014" in table.title)
    assert [note[:26] for note in fuhr.notes] == ["cannot be recomputed: no s"]


def test_what_is_to_do_stands_under_its_result_with_where_to_look(ledger):
    text = ledger.summary()
    assert "to do for hope:\n  all trials: which three trials were pooled" in text
    assert "doi 10.1186/s12888-021-03321-z" in text


def test_a_reader_sees_that_errors_are_suspected_only(ledger):
    text = ledger.summary()
    assert "suspected error, overrides.csv: davidson2004 signs (clinical recovery; functional recovery)" in text
    assert "salzer2016 sds (suspected error, left as it is)" in text
    assert "suspected errors corrected" in text


def test_the_last_lines_count_the_verdicts(ledger):
    assert ledger.summary().splitlines()[-2:] == [
        "64 published results: 4 reproduced, 1 differs, 59 cannot be recomputed.",
        "14 claims in words: 4 not supported, 5 supported, 5 undecided.",
    ]


def test_the_text_is_the_same_on_every_run(ledger):
    assert reproduce("smit2023").summary() == reproduce("smit2023").summary()


def test_html_shows_words_and_runs_none_of_them(hostile):
    html = hostile._repr_html_()
    assert "&lt;b&gt;hope&lt;/b&gt;" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    for tag in ("<b>", "<i>", "<script>"):
        assert tag not in html


def test_a_result_draws_its_forest_plot(ledger):
    from matplotlib import pyplot as plt

    figure = ledger["personal recovery"].result.plot()
    assert figure.axes
    plt.close(figure)
