"""Every printed number of every bundled review, against its recomputation."""

import csv
import math
import re

import pytest

from metapeer import datasets_root

REPRODUCED = {
    ("smit2023", "clinical recovery"),
    ("smit2023", "personal recovery"),
    ("smit2023", "functional recovery"),
    ("chien2019", "psychiatric_symptoms BSI, medium term"),
}
DIFFERS = {("chien2019", "psychiatric_symptoms CGI, medium term")}


def printed_rows():
    for path in sorted(datasets_root().glob("*/published.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            yield from ((path.parent.name, row) for row in csv.DictReader(file))


PRINTED = list(printed_rows())


def rounds_to(value, text):
    """Whether a number rounds to printed digits, ties either way, by counting in units of the last digit."""
    decimals = len(text.partition(".")[2])
    units = value * 10**decimals
    wanted = int(re.sub(r"[.+-]", "", text)) * (-1 if text.startswith("-") else 1)
    return wanted in {round(units), math.floor(units + 0.5), math.ceil(units - 0.5)}


def recomputed(entry):
    """The numbers that the reviews printed, straight from the pooled result."""
    fit = entry.result
    low, high = fit.ci
    numbers = {"k": fit.k, "es": fit.estimate, "ci_low": low, "ci_high": high}
    if fit.k > 1:
        numbers |= {"i2": fit.I2_Q, "i2_ci_low": fit.I2_Q_ci.low, "i2_ci_high": fit.I2_Q_ci.high}
    return numbers


@pytest.mark.parametrize(
    ("review", "row"), PRINTED, ids=[f"{review}: {row['published_id']}" for review, row in PRINTED]
)
def test_each_published_result_has_its_verdict_and_its_digits(ledger, review, row):
    key = (review, row["published_id"])
    entry = ledger[f"{review}: {row['published_id']}"]
    if key in REPRODUCED:
        assert entry.verdict == "reproduced"
        numbers = recomputed(entry)
        checked = [name for name in numbers if row[name]]
        assert {"k", "es", "ci_low", "ci_high"} <= set(checked)
        for name in checked:
            assert rounds_to(numbers[name], row[name]), (name, row[name], numbers[name])
        assert {check.quantity for check in entry.recomputation.checks} == set(checked)
    elif key in DIFFERS:
        assert entry.verdict == "differs"
        assert not all(rounds_to(value, row[name]) for name, value in recomputed(entry).items() if row[name])
    else:
        assert entry.verdict == "cannot be recomputed"
        assert entry.result is None
        assert entry.explanation


def test_no_published_result_is_left_out(ledger):
    assert sum(ledger.counts()[verdict] for verdict in ("reproduced", "differs", "cannot be recomputed")) == len(
        PRINTED
    )
    assert [(e.review, e.published_id) for e in ledger.entries] == [(r, row["published_id"]) for r, row in PRINTED]


@pytest.mark.parametrize(
    ("published_id", "estimate", "ci", "i2", "prediction"),
    [
        ("clinical recovery", 0.1895, (0.1108, 0.2681), (10.0, 0.0, 44.4), (0.111, 0.268)),
        ("personal recovery", 0.1543, (0.0413, 0.2673), (42.5, 1.1, 66.6), (-0.161, 0.470)),
        ("functional recovery", 0.0798, (-0.0196, 0.1791), (36.3, 0.0, 60.8), (-0.160, 0.319)),
    ],
)
def test_smit2023_comes_out_to_the_fourth_digit(ledger, published_id, estimate, ci, i2, prediction):
    fit = ledger[published_id].result
    assert fit.estimate == pytest.approx(estimate, abs=5e-5)
    assert tuple(fit.ci) == pytest.approx(ci, abs=5e-5)
    assert (fit.I2_Q, *fit.I2_Q_ci) == pytest.approx(i2, abs=0.05)
    assert tuple(fit.prediction_interval) == pytest.approx(prediction, abs=5e-4)
    assert (fit.measure, fit.tau2_method, fit.ci_method, fit.positive_favours) == ("SMD", "REML", "HK", "arm1")


@pytest.mark.parametrize(
    ("published_id", "own", "corrected", "left_out"),
    [
        ("clinical recovery", 0.189, 0.155, 0.184),
        ("personal recovery", 0.154, 0.135, 0.134),
        ("functional recovery", 0.080, 0.029, 0.046),
    ],
)
def test_corrections_stand_beside_the_reviews_own_result_and_never_instead_of_it(
    ledger, published_id, own, corrected, left_out
):
    entry = ledger[published_id]
    ways = {way.name: way.result.estimate for way in entry.variants}
    assert entry.result.estimate == pytest.approx(own, abs=6e-4)
    assert ways["suspicious rows corrected"] == pytest.approx(corrected, abs=6e-4)
    assert ways["suspicious rows left out"] == pytest.approx(left_out, abs=6e-4)
    assert entry.verdict == "reproduced"
    assert not any(way.agrees for way in entry.variants if way.name.startswith("suspicious"))
    assert set(entry.doubts.values()) == {"suspected"}


def test_leaving_out_changes_k_and_correcting_does_not(ledger):
    k = {way.name: way.result.k for way in ledger["functional recovery"].variants}
    assert (k["suspicious rows left out"], k["suspicious rows corrected"], k["computed from the arms"]) == (23, 25, 25)


def test_chien2019_symptoms_come_out_with_the_numbers_randomised_only(ledger):
    entry = ledger["psychiatric_symptoms CGI, medium term"]
    wrong = {check.quantity for check in entry.recomputation.checks if not check.agrees}
    assert wrong == {"ci_low", "ci_high"}
    assert entry.result.estimate == pytest.approx(-0.30)
    assert tuple(entry.result.ci) == pytest.approx((-0.642, 0.042), abs=1e-3)
    (variant,) = entry.variants
    assert variant.agrees
    assert tuple(variant.result.ci) == pytest.approx((-0.533, -0.067), abs=1e-3)
    assert "participants: 216 in print, 103 in the rows" in entry.explanation
    assert "lower limit: -0.53 in print, -0.64 recomputed" in entry.explanation


def test_each_number_that_cannot_be_recomputed_says_what_is_missing(ledger):
    assert len(ledger["lyons2021: hope"].worklist) > 3
    assert any("cook2012a" in line for line in ledger["lyons2021: recovery"].worklist)
    assert "nothing was pooled" in ledger["hospitalisation, follow-up"].explanation
    assert "cannot confirm itself" in ledger["psychosis_symptoms, follow-up"].explanation
    assert "not available" in ledger["sun2022: hopelessness"].explanation
