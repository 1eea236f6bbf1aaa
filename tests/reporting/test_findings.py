"""Summaries of findings: what is shown, what counts, and who judged."""

import itertools
import math
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from defusedxml import ElementTree

import metapeer as mp
from metapeer.reporting.findings_rules import (
    ENOUGH_TRIALS,
    FAR_LESS,
    FUNNEL_P,
    FUNNEL_TRIALS,
    HIGH_SHARES,
    SUBSTANTIAL,
    UNKNOWN_SHARE,
)
from metapeer.reporting.findings_table import tables_of

PEOPLE = {"author": "A. Reader", "date": "2025-03-01", "reason": "read"}
RATINGS = {
    "risk_of_bias": "serious",
    "inconsistency": "not serious",
    "indirectness": "not serious",
    "imprecision": "not serious",
    "publication_bias": "undetected",
}


def table(k=6, *, yi=0.3, se=0.1, measure="SMD", favours="arm1", n=150, **columns):
    spread = np.linspace(-1, 1, k) if k > 1 else np.zeros(1)
    base = {
        "study_id": [f"trial{i}" for i in range(k)],
        "yi": yi + 0.02 * spread,
        "vi": se**2,
        "measure": measure,
        "positive_favours": favours,
        "n1": n,
        "n2": n,
    }
    return pd.DataFrame(base | columns)


def fit(k=6, **how):
    return mp.meta_analysis(table(k, **how), ci_method="z")


def judged(outcome="hope", **ratings):
    return [
        {"outcome": outcome, "domain": domain, "rating": rating, **PEOPLE}
        for domain, rating in (RATINGS | ratings).items()
    ]


def one(found, domain="imprecision", place=0):
    return next(rating for rating in found.outcomes[place].domains if rating.domain == domain)


def suggested(domain, fitted, **how):
    return one(mp.summary_of_findings({"x": fitted}, **how), domain).suggested


def test_nothing_absolute_is_shown_without_a_control_risk():
    found = mp.summary_of_findings({"readmission": fit(measure="RR", yi=-0.3, favours="arm2")})
    assert found.outcomes[0].absolute == ()
    assert "per 1,000" not in str(found)
    assert "no control risk was stated" in str(found)


def test_fewer_bad_events_are_a_benefit_and_fewer_good_ones_a_harm():
    for favours, sign in (("arm2", 1), ("arm1", -1)):
        fitted = fit(measure="RR", yi=-0.3, favours=favours)
        (effect,) = mp.summary_of_findings({"x": fitted}, control_risks=0.3).outcomes[0].absolute
        assert effect.risk == pytest.approx(0.3 * math.exp(fitted.estimate))
        assert effect.difference[0] < 0
        assert [math.copysign(1, n) for n in effect.nnt] == [sign] * 3


def test_a_difference_of_risks_needs_no_control_risk():
    text = mp.summary_of_findings({"x": fit(measure="RD", yi=-0.1, se=0.05, favours="arm2")}).to_markdown()
    assert "Per 1,000: 100 fewer (60 to 140 fewer); NNTB 10 (8 to 17)" in text


def test_judgements_may_name_outcomes_that_are_not_shown():
    both = {"hope": fit(), "work": fit()}
    found = mp.summary_of_findings(both, outcomes=["work"], judgements=judged("hope") + judged("work"))
    assert [outcome.certainty for outcome in found.outcomes] == [3]


def test_the_ends_of_the_interval_give_the_ends_of_the_risk():
    fitted = fit(measure="OR", yi=0.2)
    (effect,) = mp.summary_of_findings({"x": fitted}, control_risks=0.4).outcomes[0].absolute
    odds = np.array([0.4 / 0.6 * math.exp(end) for end in fitted.ci])
    assert (effect.low, effect.high) == pytest.approx(tuple(odds / (1 + odds)))


def test_a_difference_that_favours_the_comparison_when_positive_is_turned_for_responders():
    straight = mp.summary_of_findings({"x": fit(yi=0.3)}, control_risks=0.3).outcomes[0]
    turned = mp.summary_of_findings({"x": fit(yi=-0.3, favours="arm2")}, control_risks=0.3).outcomes[0]
    assert turned.absolute[0].risk == pytest.approx(straight.absolute[0].risk)
    assert turned.superiority == pytest.approx(straight.superiority)
    assert turned.nnt == pytest.approx(straight.nnt)


def test_a_difference_of_unknown_direction_gives_no_responders_but_a_footnote():
    outcome = mp.summary_of_findings({"x": fit(favours="")}, control_risks=0.3).outcomes[0]
    assert outcome.absolute == ()
    assert outcome.superiority is None
    assert any("which arm" in text for text in outcome.footnotes)


def test_median_risks_are_counted_in_the_comparison_arms_and_say_so():
    rows = {"events2": [10, 20, 30, np.nan, 50, 60], "total2": 100}
    fitted = fit(measure="RR", yi=-0.3, favours="arm2", **rows)
    (effect,) = mp.summary_of_findings({"x": fitted}, control_risks="median").outcomes[0].absolute
    assert effect.control.value == pytest.approx(0.3)
    assert effect.control.origin.startswith("counted")
    assert "5 trials of 6" in effect.control.origin


def test_stated_risks_are_called_assumed_and_their_missing_source_is_told():
    fitted = fit(measure="RR", yi=-0.3)
    effect = mp.summary_of_findings({"x": fitted}, control_risks={"high": 0.5, "low": 0.1}).outcomes[0].absolute
    assert [(one.control.name, one.control.value) for one in effect] == [("low", 0.1), ("high", 0.5)]
    assert {one.control.origin for one in effect} == {"assumed; no source stated"}


def test_a_risk_ratio_that_leads_beyond_everybody_is_cut_and_told():
    outcome = mp.summary_of_findings({"x": fit(measure="RR", yi=1.0)}, control_risks=0.6).outcomes[0]
    assert outcome.absolute[0].risk == 1.0
    assert any("were cut" in text for text in outcome.footnotes)


def test_an_interval_with_both_signs_takes_the_number_needed_through_infinity():
    text = str(mp.summary_of_findings({"x": fit(4, yi=0.05, se=0.2, n=20)}, control_risks=0.3).to_markdown())
    assert re.search(r"NNTB \d+ \(NNTB \d+ to infinity to NNTH \d+\)", text)


def test_points_of_an_instrument_use_the_arms_that_used_it_and_its_direction():
    rows = {
        "instrument": ["CES-D", "CES-D", "CES-D", "BDI", "BDI", "CES-D"],
        "sd2": [10.0, 12.0, 14.0, 1.0, 1.0, 99.0],
        "n2": [50, 100, 150, 50, 50, 50],
        "statistic": ["post"] * 5 + ["change"],
    }
    fitted = fit(**rows)
    units = mp.summary_of_findings({"x": fitted}, instruments={"x": "ces-d"}).outcomes[0].units
    sd = math.sqrt((49 * 100 + 99 * 144 + 149 * 196) / (49 + 99 + 149))
    assert units.sd == pytest.approx(sd)
    assert units.estimate == pytest.approx(-sd * fitted.estimate)
    assert (units.low, units.high) == pytest.approx((-sd * fitted.ci.high, -sd * fitted.ci.low))
    assert "pooled over the comparison arms of 3 trials (300 people)" in units.origin


def test_a_given_sd_needs_a_source_and_is_labelled_with_it():
    said = {"instrument": "CES-D", "sd": 11.0}
    with pytest.raises(mp.DataError, match="needs a source"):
        mp.summary_of_findings({"x": fit()}, instruments={"x": said})
    units = mp.summary_of_findings({"x": fit()}, instruments={"x": said | {"source": "norms"}}).outcomes[0].units
    assert units.origin == "SD 11.00, given: norms"


def test_the_rows_tell_which_way_an_unknown_instrument_is_good():
    rows = {"instrument": "my own scale", "sd2": 10.0, "n2": 50}
    for direction, sign in (("higher_better", 1), ("lower_better", -1)):
        fitted = fit(**rows, direction=direction)
        units = mp.summary_of_findings({"x": fitted}, instruments={"x": "my own scale"}).outcomes[0].units
        assert units.estimate == pytest.approx(sign * 10 * fitted.estimate)


def test_counts_pooled_as_they_are_can_be_summarised():
    rows = pd.DataFrame(
        {
            "study_id": [f"trial{i}" for i in range(12)],
            "events1": [10 + i for i in range(12)],
            "total1": 100,
            "events2": [20 + i for i in range(12)],
            "total2": 100,
        }
    )
    found = mp.summary_of_findings({"x": mp.mantel_haenszel(rows, measure="RR")}, control_risks="median")
    assert found.outcomes[0].absolute[0].control.value == pytest.approx(0.255)
    assert one(found, "publication_bias").evidence.startswith("Egger's test")


def test_a_notebook_shows_lines_apart():
    shown = mp.summary_of_findings({"x": fit()}, control_risks={"low": 0.1, "high": 0.3})._repr_html_()
    assert "<html" not in shown
    assert shown.count('<div class="line') > 10


def test_unlike_sds_of_one_instrument_are_doubted():
    rows = {"instrument": "CES-D", "sd2": [1.5, 10, 11, 12, 10, 11], "n2": 50}
    outcome = mp.summary_of_findings({"x": fit(**rows)}, instruments={"x": "CES-D"}).outcomes[0]
    assert any("scored CES-D differently" in text for text in outcome.footnotes)


def test_certainty_needs_every_domain_judged():
    found = mp.summary_of_findings({"hope": fit()}, judgements=judged())
    assert found.outcomes[0].certainty_words == "⊕⊕⊕◯ Moderate"
    for domain in RATINGS:
        lacking = [row for row in judged() if row["domain"] != domain]
        partly = mp.summary_of_findings({"hope": fit()}, judgements=lacking).outcomes[0]
        assert partly.certainty is None
        assert partly.unjudged == (domain,)


def test_certainty_falls_level_by_level_and_not_below_very_low():
    words = []
    for rating in ("not serious", "serious", "very serious"):
        rows = judged(risk_of_bias=rating, imprecision=rating)
        words.append(mp.summary_of_findings({"hope": fit()}, judgements=rows).outcomes[0].certainty)
    assert words == [4, 2, 1]


def test_rules_do_not_count_until_they_are_accepted():
    fitted = fit(rob_overall="Low risk")
    person = [row for row in judged() if row["domain"] in ("indirectness", "publication_bias")]
    rules = ("risk_of_bias", "inconsistency", "imprecision")
    for accepted in itertools.chain.from_iterable(itertools.combinations(rules, r) for r in range(4)):
        found = mp.summary_of_findings({"hope": fitted}, judgements=person, accept=accepted).outcomes[0]
        assert set(found.unjudged) == set(rules) - set(accepted)
        assert (found.certainty == 4) is (len(accepted) == 3)


def test_a_person_is_never_overruled_by_an_accepted_rule():
    fitted = fit(2, se=0.5, n=20)
    rows = judged(imprecision="not serious")
    rating = one(mp.summary_of_findings({"hope": fitted}, judgements=rows, accept=["imprecision"]))
    assert (rating.rating, rating.basis, rating.author) == ("not serious", "person", "A. Reader")
    assert rating.suggested == "serious"


def test_a_judgement_of_one_outcome_stands_before_one_of_all():
    rows = [*judged("all outcomes"), {"outcome": "b", "domain": "Risk of bias", "rating": "very serious", **PEOPLE}]
    found = mp.summary_of_findings({"a": fit(), "b": fit()}, judgements=rows)
    assert [one(found, "risk_of_bias", place).rating for place in (0, 1)] == ["serious", "very serious"]


def test_judgements_read_the_same_from_a_file_a_table_and_a_mapping(tmp_path):
    rows = judged()
    file = tmp_path / "judgements.csv"
    pd.DataFrame(rows).to_csv(file, index=False)
    nested = {"hope": {row["domain"]: {key: row[key] for key in ("rating", *PEOPLE)} for row in rows}}
    forms = (rows, pd.DataFrame(rows), file, str(file), nested)
    texts = {str(mp.summary_of_findings({"hope": fit()}, judgements=form)) for form in forms}
    assert len(texts) == 1


def test_every_fault_of_the_judgements_is_listed():
    rows = [
        {"outcome": "hop", "domain": "imprecision", "rating": "serious", **PEOPLE},
        {"outcome": "hope", "domain": "precision", "rating": "serious", **PEOPLE},
        {"outcome": "hope", "domain": "imprecision", "rating": "bad", **PEOPLE},
        {"outcome": "hope", "domain": "imprecision", "rating": "serious", **PEOPLE, "reason": "", "date": "1 May"},
        {"outcome": "hope", "domain": "indirectness", "rating": "serious", **PEOPLE},
        {"outcome": "hope", "domain": "indirectness", "rating": "serious", **PEOPLE},
    ]
    with pytest.raises(mp.DataError) as caught:
        mp.summary_of_findings({"hope": fit()}, judgements=rows)
    assert len(caught.value.faults) == 6


@pytest.mark.parametrize(
    ("yi", "se", "n", "thresholds", "rating"),
    [
        (0.3, 0.05, 150, None, "not serious"),
        (0.05, 0.2, 150, None, "serious"),
        (0.3, 0.05, 50, None, "serious"),  # 600 of 800
        (0.3, 0.05, 15, None, "very serious"),  # 180 of 800
        (0.2, 0.1, 150, 0.2, "serious"),
        (0.0, 0.3, 150, 0.2, "very serious"),
        (0.0, 0.3, 150, (-0.2, 0.0, 0.2), "extremely serious"),
        (0.5, 0.05, 150, 0.2, "not serious"),
    ],
)
def test_imprecision_counts_thresholds_and_then_participants(yi, se, n, thresholds, rating):
    assert suggested("imprecision", fit(yi=yi, se=se, n=n), thresholds=thresholds) == rating


def test_imprecision_of_a_ratio_needs_a_control_risk_for_its_size():
    fitted = fit(measure="RR", yi=-0.3, favours="arm2", n=150)
    assert suggested("imprecision", fitted) == ""
    # 900 in each arm: enough for 0.5 (a quarter less is found with 490 in all), not for 0.05 (10,420).
    assert suggested("imprecision", fitted, control_risks=0.5) == "not serious"
    assert suggested("imprecision", fitted, control_risks=0.05) == "very serious"


def test_imprecision_is_undecided_where_participants_are_not_told():
    fitted = mp.meta_analysis(table().drop(columns=["n1", "n2"]), ci_method="z")
    assert suggested("imprecision", fitted) == ""


def test_a_ratio_threshold_holds_in_both_directions():
    fitted = fit(measure="RR", yi=0.0, se=0.5)
    found = mp.summary_of_findings({"x": fitted}, thresholds=0.75).outcomes[0]
    assert found.thresholds == pytest.approx((math.log(0.75), -math.log(0.75)))


def test_inconsistency_counts_what_the_prediction_interval_spans_beyond_the_confidence_interval():
    wide = mp.meta_analysis(table(8, yi=np.array([0.9, -0.1, 0.8, 0.0, 0.7, 0.1, 0.6, 0.2]), se=0.05))
    assert wide.ci.low > 0 > wide.prediction_interval.low
    assert suggested("inconsistency", wide) == "serious"
    assert suggested("inconsistency", fit(8)) == "not serious"
    assert suggested("inconsistency", fit(1)) == "not serious"
    few = mp.meta_analysis(table(3, yi=np.array([0.9, -0.1, 0.4]), se=0.05))
    assert suggested("inconsistency", few) == "serious"


@pytest.mark.parametrize(
    ("high", "rating"), [(0, "not serious"), (1, "not serious"), (2, "serious"), (5, "very serious")]
)
def test_risk_of_bias_follows_the_weight_of_trials_at_high_risk(high, rating):
    rob = ["High risk"] * high + ["Low risk"] * (10 - high)
    assert suggested("risk_of_bias", fit(10, rob_overall=rob)) == rating
    assert suggested("risk_of_bias", fit(10, rob_overall=["High risk"] * 5 + [""] * 5)) == ""
    assert suggested("risk_of_bias", fit(10)) == ""


def test_publication_bias_is_tested_from_ten_trials_on():
    sei = np.linspace(0.05, 0.5, 12)
    skewed = table(12, yi=0.1 + 2 * sei, vi=sei**2)
    sizes = (2 / sei**2).round()
    fitted = mp.meta_analysis(skewed.assign(vi=sei**2, n1=sizes, n2=sizes))
    assert suggested("publication_bias", fitted) == "strongly suspected"
    assert suggested("publication_bias", fit(9)) == ""


def test_cohens_words_are_said_only_when_asked_for():
    found = {"x": fit(yi=0.3)}
    assert "Cohen" not in str(mp.summary_of_findings(found))
    assert "small by Cohen's convention" in str(mp.summary_of_findings(found, magnitude="cohen").to_markdown())


def test_the_prediction_interval_is_told_in_words():
    fitted = fit(8)
    text = mp.summary_of_findings({"x": fitted}).to_html()
    low, high = (f"{end:.2f}" for end in fitted.prediction_interval)
    assert f"In a new setting the effect would lie between SMD {low} and {high} (95% prediction interval)." in text


def test_sources_of_every_kind_give_the_same_findings():
    rows = table(yi=np.linspace(0, 0.6, 6), outcome="hope", outcome_class="psychosocial")
    fitted = mp.meta_analysis(rows)
    sources = ({"hope": fitted}, [("hope", fitted)], [fitted], fitted, mp.pool_outcomes(rows), rows)
    frames = [mp.summary_of_findings(source).to_frame() for source in sources]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0], rtol=1e-9)


def test_a_review_tells_its_suspicious_rows_in_footnotes():
    found = mp.summary_of_findings("smit2023", outcomes=["recovery", "psychiatric_symptoms"])
    assert [outcome.name for outcome in found.outcomes] == ["recovery", "psychiatric_symptoms"]
    assert any("suspected error recorded for salzer2016.2" in text for text in found.outcomes[0].footnotes)


def test_a_ledger_gives_its_recomputed_results_with_corrected_variants_beside_them():
    ledger = mp.reproduce("smit2023")
    found = mp.summary_of_findings(ledger)
    assert [outcome.fit.estimate for outcome in found.outcomes] == [
        entry.result.estimate for entry in ledger.entries if entry.result is not None
    ]
    assert any("suspicious rows corrected" in text for text in found.outcomes[0].footnotes)


def test_what_a_fit_notes_of_itself_stands_in_the_footnotes():
    fitted = fit(1)
    assert fitted.notes
    assert set(fitted.notes) <= set(mp.summary_of_findings({"x": fitted}).outcomes[0].footnotes)


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"control_risks": 1.2}, mp.DataError, "above 0 and below 1"),
        ({"control_risks": {"low": 0.5, "high": 0.2}}, mp.DataError, "must rise"),
        ({"control_risks": {"hope": 0.2}}, mp.DataError, "not among the outcomes"),
        ({"control_risks": {}}, mp.MetapeerError, "empty"),
        ({"control_risks": {"x": "median"}}, mp.DataError, "state a share of responders"),
        ({"control_risks": "median"}, mp.MetapeerError, "no effect"),
        ({"control_risks": [0.1, 0.2]}, mp.DataError, "is not a risk"),
        ({"risk_source": "a book"}, mp.MetapeerError, "no effect"),
        ({"smd_to_risk": "kraemer"}, mp.ChoiceError, "unknown"),
        ({"smd_to_risk": "cox_snell"}, mp.ChoiceError, "no effect"),
        ({"instruments": {"x": "no such scale"}}, mp.DataError, "which way"),
        ({"instruments": {"x": "CES-D"}}, mp.DataError, "instrument, n2 and sd2"),
        ({"instruments": {"x": {"instrument": "CES-D", "sd": -1, "source": "s"}}}, mp.DataError, "above 0"),
        ({"thresholds": 0}, mp.DataError, "no effect"),
        ({"thresholds": {"y": 0.2}}, mp.DataError, "not among"),
        ({"thresholds": "0.2"}, mp.DataError, "neither a number"),
        ({"accept": ["indirectness"]}, mp.ChoiceError, "no rule"),
        ({"accept": ["precision"]}, mp.ChoiceError, "unknown"),
        ({"judgements": "missing.csv"}, mp.MetapeerError, "cannot be read"),
        ({"judgements": 5}, mp.MetapeerError, "takes a table"),
        ({"judgements": {"x": "serious"}}, mp.DataError, "is missing"),
        ({"magnitude": "hattie"}, mp.ChoiceError, "unknown"),
        ({"outcomes": ["y"]}, mp.ChoiceError, "unknown"),
        ({"outcomes": []}, mp.MetapeerError, "empty"),
        ({"footnotes": {"y": "z"}}, mp.DataError, "not among"),
        ({"arms": "ab"}, mp.MetapeerError, "two names"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(how, error, words):
    with pytest.raises(error, match=words):
        mp.summary_of_findings({"x": fit()}, **how)


def test_a_fault_of_all_outcomes_is_told_once():
    with pytest.raises(mp.DataError) as caught:
        mp.summary_of_findings({"x": fit(), "y": fit()}, control_risks=3)
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize("source", [{}, [], {"x": 3}, 3, [3], None])
def test_what_is_no_result_is_refused(source):
    with pytest.raises(mp.MetapeerError):
        mp.summary_of_findings(source)


def test_awkward_fits_are_summarised_without_a_fall():
    fits = {
        "huge": fit(yi=50.0),
        "none": mp.meta_analysis(yi=[0.0, 0.0, 0.0], vi=[0.1, 0.1, 0.1], ci_method="z"),
        "one": fit(1),
        "common": mp.meta_analysis(table(), model="common"),
        "MD": fit(measure="MD", favours="arm2"),
        "RD": fit(measure="RD", yi=-0.1),
        "HR": fit(measure="HR", yi=8.0),
        "IRR": fit(measure="IRR"),
        "PLO": fit(measure="PLO", favours=""),
        "rare": fit(measure="OR", yi=-9.0, se=0.001),
    }
    found = mp.summary_of_findings(fits, control_risks=0.3)
    assert len(found.outcomes) == len(fits)
    assert "nan" not in found.to_html().casefold().replace("resonan", "")
    assert "NA" not in re.findall(r"\bNA\b", found.to_markdown())
    assert found.to_frame()["risk"].dropna().between(0, 1).all()


HOSTILE = '<script>alert("x")</script> | $m$ `c`\nnext \x07 אבג'


def test_hostile_texts_do_no_harm_in_any_form(tmp_path):
    found = mp.summary_of_findings({HOSTILE: fit()}, control_risks=0.3, risk_source=HOSTILE, title=HOSTILE)
    page = found.to_html()
    assert "<script" not in page
    ElementTree.fromstring(
        page.removeprefix("<!DOCTYPE html>\n")
        .replace('<meta charset="utf-8">', "")
        .replace('<meta name="viewport" content="width=device-width, initial-scale=1">', "")
        .replace("<col>", "")
    )
    lines = found.to_markdown().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7, 8}
    pytest.importorskip("docx")
    found.to_docx(tmp_path / "f.docx")
    assert zipfile.is_zipfile(tmp_path / "f.docx")


def test_the_page_needs_nothing_else_and_reads_aloud():
    page = mp.summary_of_findings({"hope": fit()}, judgements=judged(), control_risks=0.3).to_html()
    assert not re.search(r"(?:src|href)=\"(?!#)|@import|url\(|<script", page)
    assert page.count('scope="row"') == 2
    assert page.count("<caption>") == 2
    assert '<span class="grade" aria-hidden="true">⊕⊕⊕◯</span> Moderate' in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))


def test_every_form_has_the_same_bytes_each_time(tmp_path):
    pytest.importorskip("docx")
    written = []
    for name in ("a", "b"):
        found = mp.summary_of_findings({"hope": fit()}, judgements=judged(), control_risks=0.3)
        found.to_docx(tmp_path / name)
        found.to_csv(tmp_path / f"{name}.csv")
        parts = (found.to_html(), found.to_markdown(), (tmp_path / name).read_bytes())
        written.append((*parts, (tmp_path / f"{name}.csv").read_bytes()))
    assert written[0] == written[1]


def test_the_document_holds_both_tables_and_the_symbols(tmp_path):
    docx = pytest.importorskip("docx")
    found = mp.summary_of_findings({"hope": fit(), "work": fit()}, judgements=judged(), control_risks=0.3)
    found.to_docx(tmp_path / "f.docx")
    tables = docx.Document(str(tmp_path / "f.docx")).tables
    assert [(len(one.rows), len(one.columns)) for one in tables] == [(3, 6), (3, 7)]
    assert tables[0].rows[1].cells[4].text == "⊕⊕⊕◯ Moderate"


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    found = mp.summary_of_findings({"hope": fit()})
    with pytest.raises(mp.MetapeerError, match="cannot be written"):
        found.to_csv(tmp_path / "no" / "f.csv")


def test_the_numbers_survive_the_csv(tmp_path):
    found = mp.summary_of_findings({"hope": fit()}, control_risks={"low": 0.1, "high": 0.4})
    found.to_csv(tmp_path / "f.csv")
    back = pd.read_csv(tmp_path / "f.csv")
    assert len(back) == 2
    assert back["risk"].tolist() == pytest.approx(found.to_frame()["risk"].tolist(), rel=1e-12)


def test_the_example_of_the_page_comes_out_as_its_page_says(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "summary-of-findings.md").read_text(encoding="utf-8")
    code, shown = (
        re.search(rf"^```{kind}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1] for kind in ("python", "text")
    )
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)  # noqa: S102
    lines = {line for row in tables_of(names["found"]).rows for cell in row for line in cell}
    assert set(shown.splitlines()) <= lines
    assert (tmp_path / "findings.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_page_has_the_cut_points_of_the_rules():
    page = (Path(__file__).parents[2] / "docs" / "summary-of-findings.md").read_text(encoding="utf-8")
    cuts = (*HIGH_SHARES, UNKNOWN_SHARE, SUBSTANTIAL, 100 * FAR_LESS)
    assert [f"{cut:.0f}%" for cut in cuts if f"{cut:.0f}%" not in page] == []
    assert f"from {ENOUGH_TRIALS} trials on" in page
    assert f"from {FUNNEL_TRIALS} trials on, Egger's test with p < {FUNNEL_P:g}" in page


@pytest.mark.slow
def test_no_width_makes_the_page_scroll_sideways_or_the_table_lose_its_roles():
    sync_api = pytest.importorskip("playwright.sync_api")
    browser_path = Path("/usr/bin/chromium")
    if not browser_path.exists():
        pytest.skip("no browser")
    found = mp.summary_of_findings(
        {"hope": fit(), "W" * 200: fit(), HOSTILE: fit(measure="RR", favours="arm2")},
        control_risks={"low": 0.1, "high": 0.4},
        risk_source="x" * 300,
        title="T" * 120,
        population="P" * 200,
    )
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(browser_path), args=["--no-sandbox", "--disable-gpu"])
        for width in (320, 800, 1100, 1400):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.set_content(found.to_html())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.get_by_role("rowheader").count() == 6
            assert page.get_by_role("columnheader").count() == 13
        browser.close()
