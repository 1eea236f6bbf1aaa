"""What a report says of its methods is what was done for each result, and no other."""

import warnings
from pathlib import Path

import pandas as pd
import pytest

from metapeer.effects.table import effect_size
from metapeer.errors import MetapeerError
from metapeer.pooling.counts import mantel_haenszel
from metapeer.pooling.models import meta_analysis
from metapeer.reporting.page_html import plain_text
from metapeer.reporting.report_blocks import Points, Sheet, Words
from metapeer.reporting.report_door import report
from metapeer.reporting.report_result import Report

RAS = "psychosocial,Recovery Assessment Scale"
HOPE = "psychosocial,Hope Scale"
OUTCOMES = f"""row_id,study_id,format,outcome,outcome_class,instrument,timepoint_months,n1,mean1,sd1,n2,mean2,sd2,source
a.1,a,group,recovery,{RAS},6,40,92.1,14.2,41,86.0,15.1,T2
a.2,a,group,hope,{HOPE},6,40,3.1,0.9,41,2.9,0.8,T2
a.3,a,group,hope,{HOPE},12,40,3.2,0.9,41,2.9,0.8,T2
b.1,b,one_to_one,recovery,{RAS},6,65,88.4,16.0,60,87.2,15.5,T3
b.2,b,one_to_one,hope,{HOPE},6,65,3.0,0.8,60,2.9,0.9,T3
"""
PUBLISHED = """published_id,review,outcome,outcome_class,k,es_type,model,es,ci_low,ci_high,source
recovery,mine,recovery,psychosocial,2,SMD,random,0.18,-0.01,0.37,F2
hope,mine,hope,psychosocial,2,SMD,random,0.17,-0.10,0.45,F3
"""


def review(folder: Path, method: str, recovery: str = "") -> Report:
    (folder / "outcomes.csv").write_text(OUTCOMES, encoding="utf-8")
    (folder / "published.csv").write_text(PUBLISHED, encoding="utf-8")
    (folder / "trials.csv").write_text("study_id,citation,source\na,A,x\nb,B,x\n", encoding="utf-8")
    (folder / "plan.toml").write_text(
        f'[method]\nsource = "x"\nmeasure = "SMD"\n{method}\n'
        f'[[analysis]]\npublished_id = "recovery"\nwhere = {{ outcome = "recovery" }}\n{recovery}\n'
        '[[analysis]]\npublished_id = "hope"\nwhere = { outcome = "hope" }\n',
        encoding="utf-8",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return report(folder)


def said(found: Report) -> list[str]:
    (section,) = [section for section in found.sections if section.key == "methods"]
    lines = []
    for block in section.blocks:
        lines += list(block.items) if isinstance(block, Points) else [block.text] if isinstance(block, Words) else []
    return lines


def with_words(lines: list[str], words: str) -> list[str]:
    return [line for line in lines if words in line]


def table_of(found: Report, key: str) -> Sheet:
    (section,) = [section for section in found.sections if section.key == key]
    return next(block for block in section.blocks if isinstance(block, Sheet))


def test_a_common_effect_with_a_t_interval_is_not_called_normal(tmp_path: Path) -> None:
    found = review(tmp_path, 'model = "common"\nci_method = "t"')
    assert found.method_choices[0].words == "common effect, t (as planned)"
    assert "common effect, normal" in [choice.words for choice in found.method_choices]
    one = found.pooled[0]
    assert one.fits["", ""].ci.method == "t, 1 df"
    assert one.fits["", "common-z"].ci.method == "normal"


def test_a_common_effect_has_no_variance_between_trials_to_be_told(tmp_path: Path) -> None:
    found = review(tmp_path, 'model = "common"')
    assert {row[2] for row in table_of(found, "heterogeneity").table.rows} == {"none"}
    (line,) = with_words(said(found), "Heterogeneity")
    assert "Q-profile" not in line
    assert "I² from Q; under a common effect no τ² is estimated" in line


def test_results_with_plans_of_their_own_are_each_described_by_theirs(tmp_path: Path) -> None:
    found = review(
        tmp_path,
        'variance = "revman5"\nprefer = "review"',
        'variance = "metafor"\nprefer = "arms"\nwithin_trial = "average"\nrho = 0.3',
    )
    lines = said(found)
    exact, approximate = with_words(lines, "Hedges' g")
    assert exact.startswith("For the printed result recovery: standardised")
    assert "exact" in exact
    assert approximate.startswith("For the printed result hope, Recovery, Hope: standardised")
    assert "approximate" in approximate
    assert len(with_words(lines, "For the printed result recovery: effects are computed from what each trial")) == 1
    assert len(with_words(lines, "For the printed result hope, Recovery, Hope: the effects that the review")) == 1


def test_an_average_is_told_where_something_was_averaged_and_nowhere_else(tmp_path: Path) -> None:
    averaged = said(review(tmp_path, 'within_trial = "average"\nrho = 0.3'))
    (line,) = with_words(averaged, "averaged first")
    assert "correlation of 0.3" in line
    independent = said(review(tmp_path, ""))
    assert not with_words(independent, "averaged first")
    assert len(with_words(independent, "taken for independent")) == 1
    both = said(review(tmp_path, "", 'within_trial = "average"\nrho = 0.3'))
    assert not with_words(both, "averaged first")  # recovery has one effect of each trial
    single = pd.DataFrame({"study_id": ["a", "b"], "yi": [0.1, 0.3], "vi": [0.02, 0.03], "measure": "SMD"})
    found = report(single)
    assert not with_words(said(found), "averaged first")
    assert "equation 24.4" not in found.to_markdown()


@pytest.mark.parametrize(("code", "name"), [("HC", "Henmi-Copas"), ("IVhet", "IVhet")])
def test_weights_of_a_common_effect_under_random_effects_are_told(tmp_path: Path, code: str, name: str) -> None:
    lines = said(review(tmp_path, f'tau2_method = "DL"\nci_method = "{code}"'))
    assert not with_words(lines, "μ̂ = Σ wᵢ* yᵢ / Σ wᵢ*")
    (line,) = with_words(lines, f"Pooled effect with {name} intervals")
    assert "wᵢ = 1/vᵢ" in line


def test_a_table_has_a_default_and_no_plan() -> None:
    data = pd.DataFrame({"study_id": ["a", "b"], "yi": [0.1, 0.3], "vi": [0.02, 0.03]})
    found = report(data)
    assert found.method_choices[0].words == "REML, Hartung-Knapp (the default)"
    assert "as planned" not in found.to_html()


def test_a_column_that_is_not_there_cannot_tell_outcomes_apart() -> None:
    data = pd.DataFrame({"study_id": ["a", "b"], "outcome": ["hope", "recovery"], "yi": [0.1, 0.3], "vi": 0.02})
    with pytest.raises(MetapeerError, match="no column 'oucome'"):
        report(data, by="oucome")
    assert len(report(data).pooled) == 2


def test_counts_pooled_otherwise_are_not_described_as_inverse_variance() -> None:
    counts = {"events1": [3, 5, 7], "total1": [30, 40, 50], "events2": [6, 7, 9], "total2": [30, 41, 50]}
    found = report({"relapse": mantel_haenszel(pd.DataFrame({"study_id": list("abc")} | counts), measure="OR")})
    lines = said(found)
    assert with_words(lines, "Pooled effect: Mantel-Haenszel.")
    assert not with_words(lines, "1/Σ wᵢ*")
    text = found.to_markdown()
    assert "the method makes no difference" not in text
    assert "No result pools three rows or more by inverse variance" in text


def test_a_common_effect_that_was_given_is_not_offered_a_second_time() -> None:
    fit = meta_analysis(yi=[0.1, 0.2, 0.5], vi=[0.1, 0.1, 0.2], model="common")
    words = [choice.words for choice in report({"x": fit}).method_choices]
    assert words == [
        "common effect, normal (as given)",
        "REML, Hartung-Knapp",
        "Paule-Mandel, Hartung-Knapp",
        "DerSimonian-Laird, normal",
    ]


def test_a_name_cannot_turn_the_numbers_beside_it_around() -> None:
    turned = "\u202eabc\u2066שלום"
    assert plain_text(turned) == "abcשלום"
    table = pd.DataFrame({"study_id": [turned, "b"], "yi": [0.1, 0.3], "vi": [0.02, 0.03]})
    page = report(table).to_html()
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068") & set(page)


def test_a_risk_ratio_below_one_is_said_to_favour_peer_support_where_events_are_bad() -> None:
    counts = {"events1": [3, 5, 7], "total1": [30, 40, 50], "events2": [6, 7, 9], "total2": [30, 41, 50]}
    rows = pd.DataFrame({"study_id": list("abc"), "direction": "lower_better"} | counts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = report({"relapse": meta_analysis(effect_size(rows, measure="RR"))})
    assert with_words(said(found), "above 1 favours the comparison; pooled on the log scale")
