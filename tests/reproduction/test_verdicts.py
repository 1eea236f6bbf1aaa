"""What the ledger says when a printed number, an input or a row is changed on purpose."""

import math
import re

import numpy as np
import pytest

from metapeer import DataError, MetapeerError, reproduce
from metapeer.auditing.rounding import read_printed

SMIT = {
    "clinical recovery": ("es", "0.19", "0.18"),
    "personal recovery": ("ci_low", "0.04", "0.05"),
    "functional recovery": ("i2_ci_high", "61", "62"),
}
PLAN = """
[method]
variance = "LS"
[[analysis]]
published_id = "hope"
"""
TRIALS = [
    ("adams2001", "40", "5.62", "2.1", "41", "5.04", "2.3"),
    ("baker2002", "55", "6.31", "1.9", "52", "5.48", "2.0"),
    ("clark2003", "31", "4.87", "2.4", "33", "4.71", "2.2"),
    ("davis2004", "62", "5.95", "2.0", "60", "5.02", "2.1"),
]


def printed(fit, digits=2):
    """Print a result as a paper would."""
    low, high = fit.ci
    return {
        "k": str(fit.k),
        "es": f"{fit.estimate:.{digits}f}",
        "ci_low": f"{low:.{digits}f}",
        "ci_high": f"{high:.{digits}f}",
        "i2": f"{fit.I2:.0f}",
        "tau2": f"{fit.tau2:.3f}",
        "q": f"{fit.Q:.2f}",
        "q_df": str(fit.Q_df),
        "q_p": f"{fit.Q_p:.2f}",
        "z": f"{abs(fit.statistic):.2f}",
        "p": f"{fit.p_value:.3f}",
    }


@pytest.fixture
def true_result(make_review):
    """The pooled result of the trials as they are."""
    folder = make_review(TRIALS, {"hope": {"k": "4"}}, PLAN, name="true")
    return reproduce(folder)["hope"].result


@pytest.mark.sampled(keep=1)
@pytest.mark.parametrize("published_id", SMIT)
def test_one_changed_digit_makes_a_reproduced_number_differ(copy_review, published_id):
    column, before, after = SMIT[published_id]
    folder = copy_review("smit2023", published={published_id: {column: after}})
    found = reproduce(folder)
    assert found[published_id].verdict == "differs"
    assert f"{after} in print, {before} recomputed" in found[published_id].explanation
    assert {found[other].verdict for other in SMIT if other != published_id} == {"reproduced"}


def test_a_row_with_its_sign_turned_is_named(copy_review):
    wrong = "-0.28002529710761"
    folder = copy_review("smit2023", outcomes={"davidson2004.1": {"review_yi": wrong}}, plan=without_variants)
    entry = reproduce(folder)["clinical recovery"]
    assert entry.verdict == "differs"
    assert "turning the sign of davidson2004 (davidson2004.1) gives every printed digit" in entry.explanation
    assert len(re.findall("turning the sign", entry.explanation)) == 1
    assert "leaving out" not in entry.explanation


def without_variants(text):
    """The plan of smit2023 without what rests on overrides.csv, whose raw values no longer fit."""
    head, _, tail = text.partition('[[variant]]\nname = "suspicious rows left out"')
    return head + tail[tail.index("[[question]]") :]


def test_a_row_that_the_print_does_not_count_is_named(make_review, true_result):
    extra = ("extra2009", "45", "2.51", "2.2", "44", "6.38", "2.1")
    folder = make_review([*TRIALS, extra], {"hope": printed(true_result)}, PLAN)
    entry = reproduce(folder)["hope"]
    assert entry.verdict == "differs"
    assert "leaving out extra2009 (extra2009.1) gives every printed digit" in entry.explanation
    assert "k: 4 in print, 5 recomputed" in entry.explanation


def test_every_kind_of_printed_number_is_compared(make_review, true_result):
    folder = make_review(TRIALS, {"hope": printed(true_result)}, PLAN)
    entry = reproduce(folder)["hope"]
    assert entry.verdict == "reproduced"
    assert len(entry.recomputation.checks) == 11


@pytest.mark.sampled(keep=6)
@pytest.mark.parametrize("column", ["k", "es", "ci_low", "ci_high", "i2", "tau2", "q", "q_df", "q_p", "z", "p"])
def test_any_printed_number_off_by_some_digits_is_seen(make_review, true_result, column):
    numbers = printed(true_result)
    last = numbers[column][-1]
    numbers[column] = numbers[column][:-1] + str((int(last) + 5) % 10)
    folder = make_review(TRIALS, {"hope": numbers}, PLAN)
    entry = reproduce(folder)["hope"]
    assert entry.verdict in ("differs", "within rounding of the inputs")
    assert [check.quantity for check in entry.recomputation.checks if not check.agrees] == [column]


def test_inputs_rounded_in_print_reach_the_printed_number_with_a_witness(make_review, true_result, monkeypatch):
    import metapeer.reproduction.compare as room

    witnesses = []
    find = room.find_inputs

    def watched(compute, inputs, half_steps, goals):
        found = find(compute, inputs, half_steps, goals)
        witnesses.append((compute, inputs, half_steps, goals, found))
        return found

    monkeypatch.setattr(room, "find_inputs", watched)
    coarse = [
        (study, n1, f"{float(m1):.1f}", s1, n2, f"{float(m2):.1f}", s2) for study, n1, m1, s1, n2, m2, s2 in TRIALS
    ]
    numbers = printed(true_result, 4)
    folder = make_review(coarse, {"hope": {key: numbers[key] for key in ("k", "es", "ci_low", "ci_high")}}, PLAN)
    entry = reproduce(folder)["hope"]
    assert entry.verdict == "within rounding of the inputs"
    assert not entry.recomputation.agrees
    ((compute, inputs, half_steps, goals, witness),) = witnesses
    assert witness is not None
    assert (np.abs(witness - inputs) <= half_steps * (1 + 1e-9)).all()
    assert all(goal.agrees(value) for goal, value in zip(goals, compute(witness), strict=True))
    low, high = (float(end) for end in re.findall(r"from (-?[\d.]+) to (-?[\d.]+)", entry.explanation)[0])
    assert low <= true_result.estimate <= high
    assert low < entry.result.estimate < high


def test_a_number_out_of_reach_of_rounding_differs_without_a_linear_programme(make_review, true_result, monkeypatch):
    import scipy.optimize

    monkeypatch.setattr(scipy.optimize, "linprog", None)
    numbers = printed(true_result) | {"es": f"{true_result.estimate + 0.3:.2f}"}
    assert reproduce(make_review(TRIALS, {"hope": numbers}, PLAN))["hope"].verdict == "differs"


def test_rounding_of_effects_as_a_source_reported_them_counts_too(make_review):
    reported = [
        {"es_type": "SMD (positive favours peer support)", "es": es, "es_se": se}
        for es, se in (("0.3", "0.1"), ("0.2", "0.1"), ("0.5", "0.2"))
    ]
    folder = make_review(
        [("a2001",), ("b2002",), ("c2003",)],
        {"hope": {"es": "0.26"}},
        '[method]\nprefer = "reported"\nmodel = "common"\n[[analysis]]\npublished_id = "hope"\n',
        cells=dict(enumerate(reported)),
    )
    entry = reproduce(folder)["hope"]
    assert entry.result.estimate == pytest.approx((30 + 20 + 12.5) / 225)
    assert entry.verdict == "within rounding of the inputs"


def test_one_trial_is_its_own_result(make_review):
    folder = make_review(TRIALS[:1], {"hope": {"k": "1", "es": "0.26"}}, PLAN)
    entry = reproduce(folder)["hope"]
    assert entry.verdict == "reproduced"
    assert entry.result.k == 1
    assert math.isnan(entry.result.tau2)


def test_heterogeneity_printed_for_one_trial_is_no_agreement(make_review):
    folder = make_review(TRIALS[:1], {"hope": {"k": "1", "es": "0.26", "i2": "0"}}, PLAN)
    assert reproduce(folder)["hope"].verdict == "differs"


def test_rows_that_cannot_be_pooled_leave_the_number_without_a_recomputation(make_review):
    folder = make_review(
        TRIALS[:2],
        {"hope": {"k": "2", "es": "0.30"}},
        PLAN,
        cells={0: {"exclusion_reason": "sd is a standard error"}, 1: {"sd1": ""}},
    )
    entry = reproduce(folder)["hope"]
    assert entry.verdict == "cannot be recomputed"
    assert entry.result is None
    assert "adams2001.1: sd is a standard error" in entry.explanation
    assert "baker2002.1: sd1 is missing" in entry.explanation


def test_a_row_left_out_for_a_reason_is_told_of(make_review):
    folder = make_review(TRIALS, {"hope": {"k": "3"}}, PLAN, cells={2: {"exclusion_reason": "a duplicate"}})
    entry = reproduce(folder)["hope"]
    assert entry.verdict == "reproduced"
    assert "1 row not pooled (clark2003: a duplicate)" in entry.explanation


def test_a_result_of_which_no_number_was_printed_is_not_called_reproduced(make_review):
    entry = reproduce(make_review(TRIALS, {"hope": {}}, PLAN))["hope"]
    assert entry.verdict == "cannot be recomputed"


def test_a_ratio_is_pooled_on_the_log_scale_and_compared_as_a_ratio(make_review):
    folder = make_review(
        [("a2001", "10", "50", "20", "50"), ("b2002", "12", "60", "18", "60")],
        {"hope": {"es_type": "RR", "k": "2", "es": "0.58", "ci_low": "0.37", "ci_high": "0.91"}},
        '[method]\nmeasure = "RR"\nmodel = "common"\n[[analysis]]\npublished_id = "hope"\n',
    )
    entry = reproduce(folder)["hope"]
    logs = [math.log(10 / 20), math.log(12 / 18)]
    weights = [1 / (1 / 10 - 1 / 50 + 1 / 20 - 1 / 50), 1 / (1 / 12 - 1 / 60 + 1 / 18 - 1 / 60)]
    mean = sum(w * y for w, y in zip(weights, logs, strict=True)) / sum(weights)
    assert entry.result.estimate == pytest.approx(mean)
    assert entry.recomputation.numbers["es"] == pytest.approx(math.exp(mean))
    assert entry.recomputation.words() == "0.58 (0.37 to 0.91), k 2"
    assert entry.verdict == "reproduced"


def test_a_print_of_the_opposite_sign_is_compared_with_its_limits_exchanged(make_review, true_result):
    low, high = true_result.ci
    numbers = {"k": "4", "es": f"{-true_result.estimate:.2f}", "ci_low": f"{-high:.2f}", "ci_high": f"{-low:.2f}"}
    entry = reproduce(make_review(TRIALS, {"hope": numbers}, PLAN + "sign = -1\n"))["hope"]
    assert entry.verdict == "reproduced"
    assert entry.result.estimate == pytest.approx(true_result.estimate)
    assert entry.recomputation.numbers["es"] == pytest.approx(-true_result.estimate)
    assert entry.recomputation.numbers["ci_low"] == pytest.approx(-high)


def test_without_the_sign_the_same_print_differs(make_review, true_result):
    numbers = {"k": "4", "es": f"{-true_result.estimate:.2f}"}
    assert reproduce(make_review(TRIALS, {"hope": numbers}, PLAN))["hope"].verdict == "differs"


def test_a_changed_copy_takes_the_place_of_the_bundled_data_set(copy_review):
    folder = copy_review("smit2023", outcomes={"mahlke2017.1": {"n1": "114", "n2": "102"}})
    found = reproduce([folder, "chien2019"])
    assert found["psychiatric_symptoms CGI, medium term"].verdict == "reproduced"
    assert reproduce("chien2019")["psychiatric_symptoms CGI, medium term"].verdict == "differs"


def test_a_folder_is_run_on_its_own_rows_whatever_its_name(copy_review):
    folder = copy_review("smit2023", outcomes={"boevink2016.1": {"review_yi": "9"}})
    assert reproduce(folder)["clinical recovery"].result.estimate > 0.3
    assert reproduce(str(folder)).reviews == ("smit2023",)


def test_two_folders_of_one_name_are_refused(copy_review):
    folder = copy_review("smit2023")
    with pytest.raises(DataError, match="has the same name; rename one"):
        reproduce(["smit2023", folder])


def test_naming_a_data_set_twice_runs_it_once():
    assert len(reproduce(["smit2023", "smit2023"]).entries) == 3


@pytest.mark.parametrize("wrong", [5, 1.5, {"smit2023": 1}, [5], [None], ["smit2023", object()], b"smit2023"])
def test_whatever_is_no_review_is_refused_in_words(wrong):
    with pytest.raises(MetapeerError):
        reproduce(wrong)


def test_a_misspelt_name_is_answered_with_the_one_meant():
    with pytest.raises(MetapeerError, match="Did you mean 'smit2023'"):
        reproduce("smit2032")


def test_a_suspected_error_is_never_called_more_than_suspected(make_review):
    overrides = [
        {
            "override_id": "adams sd",
            "row_id": "adams2001.1",
            "column": "sd1",
            "raw": "2.1",
            "value": "4.2",
            "status": status,
            "reason": "small",
            "source": "the row alone",
        }
        for status in ("suspected",)
    ]
    variant = '[[variant]]\nname = "mended"\nreason = "as overrides.csv has it"\noverrides = "apply"\n'
    question = '[[question]]\ntitle = "By format?"\nby = "format"\n'
    folder = make_review(TRIALS, {"hope": {"k": "4"}}, PLAN + variant + question, overrides=overrides)
    found = reproduce(folder)
    assert found["hope"].doubts == {"adams sd": "suspected"}
    assert found["By format?"].note == "recorded in overrides.csv: adams sd (suspected error, left as it is)"
    text = found.summary()
    assert "suspected error, overrides.csv: adams sd (hope)" in text
    assert "confirmed" not in text


def test_a_variant_that_changes_no_row_of_a_result_is_not_shown_beside_it(ledger):
    names = [way.name for way in ledger["psychiatric_symptoms BSI, medium term"].variants]
    assert names == []


def test_printed_digits_are_read_from_the_published_row_itself(ledger):
    for entry in ledger.entries:
        for check in entry.recomputation.checks if entry.recomputation else ():
            assert check.printed == entry.published[check.quantity]
            assert check.decimals == read_printed(check.printed).decimals
