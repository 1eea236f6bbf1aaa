"""The rule for findings in words, on its boundaries, and as it is applied to the bundled claims."""

import math
import warnings

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer import DataWarning, Interval, contrast_outcome_classes, effect_size, load_dataset, reproduce
from metapeer.reproduction.claims import SMALL_EFFECT, judge_claim

YES, NO, OPEN = "supported", "not supported", "undecided"
PAIR = ("psychosocial", "clinical")

# interval: benefit, no_effect, no_evidence, larger
TABLE = {
    (0.10, 0.30): (YES, NO, NO, YES),
    (0.001, 0.002): (YES, NO, NO, YES),
    (0.0, 0.1): (NO, YES, YES, OPEN),
    (0.0, 0.2): (OPEN, OPEN, YES, OPEN),
    (0.0, 0.0): (NO, YES, YES, OPEN),
    (-0.1, 0.1): (NO, YES, YES, OPEN),
    (-0.1, 0.2): (OPEN, OPEN, YES, OPEN),
    (-0.1, 0.1999): (NO, YES, YES, OPEN),
    (-0.2, 0.1): (NO, OPEN, YES, OPEN),
    (-0.1999, 0.1): (NO, YES, YES, OPEN),
    (-0.5, 0.1): (NO, OPEN, YES, OPEN),
    (-0.1, 0.5): (OPEN, OPEN, YES, OPEN),
    (-0.5, 0.5): (OPEN, OPEN, YES, OPEN),
    (-0.1, 0.0): (NO, YES, YES, OPEN),
    (-0.3, -0.1): (NO, NO, NO, NO),
    (-0.002, -0.001): (NO, NO, NO, NO),
    (-math.inf, math.inf): (OPEN, OPEN, YES, OPEN),
}
CLAIMS = ("benefit", "no_effect", "no_evidence", "larger")


def interval(low, high, level=0.95):
    return Interval(low, high, level, "z")


@pytest.mark.parametrize(("ends", "verdicts"), TABLE.items())
def test_each_interval_has_its_verdict_for_each_claim(ends, verdicts):
    assert tuple(judge_claim(claim, interval(*ends)).verdict for claim in CLAIMS) == verdicts


@pytest.mark.parametrize("claim", [*CLAIMS, "moderation"])
def test_without_evidence_nothing_is_decided(claim):
    for nothing in (None, interval(math.nan, math.nan)):
        assert judge_claim(claim, nothing).verdict == OPEN


def test_no_interval_decides_on_what_the_rows_do_not_tell():
    assert judge_claim("moderation", interval(0.1, 0.2)).verdict == OPEN


def test_the_margin_is_a_choice():
    assert judge_claim("no_effect", interval(-0.3, 0.3)).verdict == OPEN
    assert judge_claim("no_effect", interval(-0.3, 0.3), margin=0.5).verdict == YES


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_reason_gives_the_interval_with_its_own_level(claim):
    assert "90% CI -0.123 to 0.457" in judge_claim(claim, interval(-0.1234, 0.4567, 0.9)).why


@pytest.mark.parametrize(
    ("claim", "ends", "words"),
    [
        ("benefit", (0.1, 0.3), "lies above zero"),
        ("benefit", (-0.1, 0.1), "includes zero and lies below 0.2"),
        ("benefit", (-0.3, -0.1), "lies below zero, and so below 0.2"),
        ("benefit", (-0.1, 0.3), "includes zero and effects of 0.2 or more"),
        ("no_effect", (-0.1, 0.1), "lies within -0.2 and 0.2"),
        ("no_effect", (-0.5, 0.1), "includes zero and effects of -0.2 or less"),
        ("no_effect", (-0.5, 0.5), "includes zero and effects of 0.2 or more and of -0.2 or less"),
        ("no_effect", (0.1, 0.3), "excludes zero"),
        ("no_evidence", (-0.3, -0.1), "excludes zero"),
        ("no_evidence", (-0.5, 0.5), "includes zero"),
        ("larger", (-0.3, -0.1), "lies below zero"),
        ("larger", (-0.1, 0.1), "includes zero"),
    ],
)
def test_the_reason_is_true_of_the_interval(claim, ends, words):
    assert judge_claim(claim, interval(*ends)).why.endswith(f"{ends[0]:.3f} to {ends[1]:.3f} {words}")


ENDS = st.floats(-1, 1)


@given(ENDS, ENDS, st.floats(0, 1))
def test_moving_an_interval_up_never_speaks_against_benefit_or_larger(low, high, shift):
    low, high = sorted((low, high))
    rank = {NO: 0, OPEN: 1, YES: 2}
    for claim in ("benefit", "larger"):
        before = judge_claim(claim, interval(low, high)).verdict
        after = judge_claim(claim, interval(low + shift, high + shift)).verdict
        assert rank[after] >= rank[before]


@given(ENDS, ENDS, st.floats(0, 1))
def test_a_wider_interval_never_decides_what_a_narrower_one_left_open(low, high, more):
    low, high = sorted((low, high))
    for claim in ("benefit", "no_effect", "larger"):
        if judge_claim(claim, interval(low, high)).verdict == OPEN:
            assert judge_claim(claim, interval(low - more, high + more)).verdict == OPEN


@given(ENDS, ENDS)
def test_claims_that_contradict_each_other_are_never_both_supported(low, high):
    low, high = sorted((low, high))
    verdict = {claim: judge_claim(claim, interval(low, high)).verdict for claim in CLAIMS}
    assert not (verdict["benefit"] == YES and YES in (verdict["no_effect"], verdict["no_evidence"]))
    assert verdict["no_effect"] != YES or verdict["no_evidence"] == YES


@given(ENDS, ENDS)
def test_turning_an_interval_leaves_the_verdict_on_no_effect(low, high):
    low, high = sorted((low, high))
    for claim in ("no_effect", "no_evidence"):
        assert judge_claim(claim, interval(low, high)).verdict == judge_claim(claim, interval(-high, -low)).verdict


def test_a_difference_of_classes_is_that_of_the_model_for_dependent_effects(ledger):
    entry = next(claim for claim in ledger.claims if claim.claim_id == "both-classes")
    review, more = load_dataset("smit2023"), load_dataset("other_trials")
    rows = pd.concat([review.rows(), more.rows()], ignore_index=True)
    rows = rows[rows["eligibility_doubt"] == ""]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        effects = effect_size(rows, measure="SMD", variance="metapsy", prefer="review", events_to_smd=True)
        found = contrast_outcome_classes(
            effects,
            classes=("psychosocial", "clinical"),
            format=None,
            rhos=(),
            models=(),
            populations=(),
            arm_sizes="equal",
        )
    line = found["psychosocial minus clinical"]
    assert f"{line.ci_low:.3f} to {line.ci_high:.3f}" in entry.explanation
    assert f"{line.estimate:.2f} (95% CI" in entry.evidence
    assert f"{line.trials} trials, {line.both} of which report both" in entry.evidence
    assert entry.verdict == judge_claim("larger", interval(line.ci_low, line.ci_high)).verdict == "not supported"


def test_the_margin_is_cohens_small_effect():
    assert SMALL_EFFECT == 0.2


def test_every_claim_stands_once_beside_its_own_evidence(ledger):
    assert len(ledger.claims) == len({claim.claim_id for claim in ledger.claims}) == 14
    for claim in ledger.claims:
        if len(claim.results) == 1:
            (fit,) = claim.results.values()
            assert judge_claim(claim.claim, fit.ci).verdict == claim.verdict
            assert f"{fit.ci.low:.3f} to {fit.ci.high:.3f}" in claim.explanation
            assert f"{fit.estimate:.2f} (95% CI" in claim.evidence
            assert (fit.measure, fit.positive_favours) == ("SMD", "arm1")


@pytest.mark.parametrize(
    ("claim_id", "verdict", "k"),
    [
        ("lyons-recovery", YES, 5),
        ("lyons-hope", NO, 3),
        ("white-symptoms", NO, 6),
        ("white-recovery", OPEN, 4),
        ("white-service-use", OPEN, 2),
    ],
)
def test_a_claim_speaks_of_the_trials_of_its_own_format_outcome_and_class(ledger, claim_id, verdict, k):
    claim = ledger[claim_id]
    (fit,) = claim.results.values()
    assert claim.verdict == verdict
    assert fit.k == k
    assert set(fit.data["format"]) == {"group" if claim_id.startswith("lyons") else "one_to_one"}


def test_classes_are_compared_where_a_claim_compares_them(ledger):
    claim = ledger["both-classes"]
    assert list(claim.results) == ["psychosocial", "clinical"]
    assert claim.evidence.startswith("psychosocial minus clinical: ")
    assert claim.verdict == NO


def test_suspected_errors_are_left_out_and_corrected_only_where_they_bear_on_the_claim(ledger):
    assert [name for name, _ in ledger["white-symptoms"].sensitivity] == [
        "suspected errors left out",
        "suspected errors corrected",
    ]
    assert {judgement.verdict for _, judgement in ledger["white-symptoms"].sensitivity} == {OPEN}
    assert ledger["lyons-recovery"].sensitivity == ()


def test_effects_from_one_trial_are_not_called_trials(copy_review):
    def independent(text):
        return text.replace('within_trial = "average"\n', "").replace("rho = 0.6\n", "")

    claim = reproduce(copy_review("repper2011", plan=independent))["repper-other"]
    (fit,) = claim.results.values()
    assert fit.trials < fit.k
    assert claim.evidence.endswith(f"{fit.k} effects from {fit.trials} trials")
