import pandas as pd
import pytest

from metapeer.auditing.participants import check_shared_arms, check_trial_columns, check_trial_names, check_trial_rows
from metapeer.auditing.table import make_audit_table
from metapeer.records.catalog import datasets_root


def table(rows):
    text = pd.DataFrame(rows).astype(str).replace("nan", "")
    return make_audit_table(text, written=text)


def codes(findings):
    return [(f.check, f.severity, f.rows) for f in findings]


def named(*names, **more):
    return [{"study_id": name, "yi": i, "vi": 1, **{k: v[i] for k, v in more.items()}} for i, name in enumerate(names)]


def review(name):
    rows = pd.read_csv(datasets_root() / name / "outcomes.csv", dtype=str, keep_default_na=False).drop(columns="note")
    return make_audit_table(rows, written=rows, source=name)


# Names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "severity"),
    [
        (("smith 2014", "Smith (2014)"), "suspicion"),
        (("smith 2014", "smith2014"), "suspicion"),
        (("Smith et al. 2014", "smith2014"), "suspicion"),
        (("smith2014", "smith2014a"), "remark"),
        (("smith2014a", "smith2014b"), None),
        (("smith2014", "smith2015"), None),
        (("smith2014", "smithe2014"), None),
        (("O'Mara 2014 - Exp 1", "O'Mara 2014 - Exp 2"), None),
    ],
)
def test_names_that_differ_in_spelling_only_are_one_trial(names, severity):
    found = check_trial_names(table(named(*names, "other2001")))
    assert codes(found) == ([] if severity is None else [("trial_two_names", severity, (0, 1))])


def test_a_letter_after_the_year_is_suspected_when_the_participants_are_as_many():
    rows = named("smith2014", "smith2014a", n1=(40, 40), n2=(41, 41))
    assert codes(check_trial_names(table(rows))) == [("trial_two_names", "suspicion", (0, 1))]


def test_trials_of_one_author_with_the_same_arms_are_a_remark():
    rows = named("smith2014", "smith2017", "jones2015", n1=(41, 41, 41), n2=(44, 44, 44))
    assert codes(check_trial_names(table(rows))) == [("trials_alike", "remark", (0, 1))]
    rows[1]["n2"] = 45
    assert check_trial_names(table(rows)) == []


def test_one_doi_under_two_names_is_one_trial():
    rows = named("alpha2001", "beta2003", "gamma2005", doi=("10.1/xyz.1", "https://doi.org/10.1/XYZ.1", "10.1/xyz.2"))
    assert codes(check_trial_names(table(rows))) == [("trial_two_names", "suspicion", (0, 1))]


def test_one_doi_and_citation_are_one_finding():
    cells = ("10.1/xyz.1", "10.1/xyz.1")
    rows = named("alpha2001", "beta2003", doi=cells, citation=("Alpha A. A trial.", "Alpha A.  A trial."))
    assert len(check_trial_names(table(rows))) == 1


# Arms ---------------------------------------------------------------------------------------------------------------


def doses(**second):
    first = {"study_id": "a2001", "comparison": "high v none", "n1": 40, "mean1": 11.2, "sd1": 4.1, "n2": 42,
             "mean2": 13.1, "sd2": 4.4}  # fmt: skip
    other = {"study_id": "b2003", "comparison": "v none", "n1": 50, "mean1": 12.2, "sd1": 4.0, "n2": 52, "mean2": 13.0,
             "sd2": 4.6}  # fmt: skip
    return [first, {**first, "comparison": "low v none", "n1": 39, "mean1": 12.4, "sd1": 4.0, **second}, other]


def test_a_control_arm_of_two_comparisons_is_seen_by_its_numbers():
    (finding,) = check_shared_arms(table(doses()))
    assert codes([finding]) == [("arm_shared", "remark", (0, 1))]
    assert finding.columns == ("n2", "mean2", "sd2")


def test_a_control_arm_is_shared_even_when_no_column_names_the_comparison():
    rows = [{k: v for k, v in row.items() if k != "comparison"} for row in doses()]
    assert codes(check_shared_arms(table(rows))) == [("arm_shared", "remark", (0, 1))]


def test_two_controls_are_not_shared():
    assert check_shared_arms(table(doses(mean2=13.2))) == []


def test_an_arm_of_counts_that_two_comparisons_share_is_found_in_other_trials():
    ready = review("other_trials")
    (finding,) = check_shared_arms(ready)
    assert [ready.names[row] for row in finding.rows] == ["eisen2012.1", "eisen2012.2"]
    assert finding.columns == ("total1", "events1")


def test_comparisons_without_participants_may_share_an_arm():
    ready = review("smit2023")
    (finding,) = check_shared_arms(ready)
    assert finding.check == "arm_may_be_shared"
    assert {ready.text("study_id")[row] for row in finding.rows} == {"rogers2016"}


# Columns of trials --------------------------------------------------------------------------------------------------


def outcomes(column, odd, usual):
    rows = [{"study_id": f"t{i}", "outcome": o, "yi": i, column: usual} for i in range(8) for o in ("x", "y", "z")]
    rows[4][column] = odd
    return rows


def test_risk_of_bias_that_differs_between_outcomes_of_a_trial_is_a_remark():
    found = check_trial_columns(table(outcomes("rob_d4", "Some concerns", "Low risk")))
    assert codes(found) == [("trial_differs", "remark", (3, 4, 5))]
    assert "Low risk, Some concerns" in found[0].evidence


@pytest.mark.parametrize(("column", "odd", "usual"), [("year", 2041, 2014), ("doi", "10.1/b", "10.1/a")])
def test_what_describes_a_trial_must_not_differ_between_its_rows(column, odd, usual):
    assert codes(check_trial_columns(table(outcomes(column, odd, usual)))) == [
        ("trial_differs", "suspicion", (3, 4, 5))
    ]


def test_numbers_are_compared_as_numbers():
    assert check_trial_columns(table(outcomes("mean_age", "41.50", "41.5"))) == []


def test_a_column_that_differs_within_most_trials_does_not_describe_trials():
    rows = [{"study_id": f"t{i}", "yi": i, "mean_age": a} for i in range(8) for a in (30, 40)]
    assert check_trial_columns(table(rows)) == []


# Rows of one trial --------------------------------------------------------------------------------------------------


def test_several_rows_of_a_trial_in_one_outcome_are_one_remark():
    rows = [{"study_id": s, "outcome": "hope", "timepoint_months": t, "yi": 1} for s in "ab" for t in (3, 6)]
    rows.append({"study_id": "c", "outcome": "hope", "timepoint_months": 3, "yi": 1})
    (finding,) = check_trial_rows(table(rows))
    assert (finding.severity, finding.rows) == ("remark", (0, 1, 2, 3))
    assert finding.evidence == "2 trials, 4 rows; several times in 2"


def test_one_row_for_each_trial_and_outcome_is_no_finding():
    rows = [{"study_id": s, "outcome": o, "yi": 1} for s in "ab" for o in ("hope", "work")]
    assert check_trial_rows(table(rows)) == []
