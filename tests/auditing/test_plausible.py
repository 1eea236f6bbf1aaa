import importlib
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.auditing.plausible import check_counts, check_means, check_percentages, check_sds, check_whole_numbers
from metapeer.auditing.plausible_digits import check_granularity, check_last_digits
from metapeer.auditing.plausible_effects import (
    check_baseline,
    check_effects,
    check_p_values,
    check_standard_errors,
    deleted_residuals,
)
from metapeer.auditing.plausible_sizes import check_arm_sizes, check_times
from metapeer.auditing.plausible_spread import check_arm_spreads, check_low_variation, check_scales, check_spreads
from metapeer.auditing.table import make_audit_table
from metapeer.effects.continuous import hedges_g
from metapeer.records.catalog import datasets_root

MODULES = (
    "plausible", "plausible_sizes", "plausible_spread", "plausible_effects", "plausible_digits", "copies",
    "participants",
)  # fmt: skip
CHECKS = [
    getattr(module, name)
    for module in map(importlib.import_module, (f"metapeer.auditing.{name}" for name in MODULES))
    for name in module.__all__
    if name.startswith("check_")
]
METADAT = sorted((Path(__file__).parent / "metadat").glob("*.csv"))


def table(rows, *, instruments=None):
    text = pd.DataFrame(rows).astype(str).replace("nan", "")
    return make_audit_table(text, written=text, instruments=instruments)


def codes(findings, severity=None):
    return [(f.check, f.rows) for f in findings if severity in (None, f.severity)]


def arms(n1, mean1, sd1, n2, mean2, sd2, **more):
    return {"n1": n1, "mean1": mean1, "sd1": sd1, "n2": n2, "mean2": mean2, "sd2": sd2, **more}


def hamd(k=8, instrument="HAM-D"):
    """Ordinary trials: an SD of about 6.5, means of about 14, some 60 to 95 people in each arm."""
    rng = np.random.default_rng(20)
    return [
        arms(
            60 + 5 * i,
            round(13 + rng.normal(0, 0.6), 1),
            round(6.5 * np.exp(rng.normal(0, 0.1)), 1),
            62 + 5 * i,
            round(14.5 + rng.normal(0, 0.6), 1),
            round(6.5 * np.exp(rng.normal(0, 0.1)), 1),
            study_id=f"trial{'abcdefghijklmnop'[i]}",
            instrument=instrument,
        )
        for i in range(k)
    ]


def review(name):
    """A review's rows with what describes their trials, without the notes that name what is wrong."""
    folder = datasets_root() / name
    rows = pd.read_csv(folder / "outcomes.csv", dtype=str, keep_default_na=False).drop(columns="note")
    trials = pd.read_csv(folder / "trials.csv", dtype=str, keep_default_na=False)
    kept = trials[["study_id", "citation", "doi", "year", "n_intervention", "n_control"]]
    rows = rows.merge(kept, how="left", on="study_id").fillna("")
    instruments = pd.read_csv(datasets_root() / "instruments.csv", dtype=str)
    return make_audit_table(rows, written=rows, instruments=instruments, source=name)


def everything(ready):
    return [finding for check in CHECKS for finding in check(ready)]


# What is known of the bundled reviews -------------------------------------------------------------------------------


def test_both_salzer_rows_are_found_from_their_numbers_alone():
    ready = review("smit2023")
    found = {ready.names[f.rows[0]]: f for f in check_spreads(ready)}
    assert set(found) == {"salzer2016.1", "salzer2016.2"}
    assert all(f.check == "sd_is_se" and f.severity == "suspicion" for f in found.values())


def test_the_consequence_of_the_salzer_rows_is_their_effect_with_standard_errors_multiplied():
    ready = review("smit2023")
    (row,) = (i for i, name in enumerate(ready.names) if name == "salzer2016.2")
    (finding,) = (f for f in check_spreads(ready) if f.rows == (row,))
    one = {"n1": 50.0, "mean1": 80.23, "sd1": 1.49 * 50**0.5, "n2": 49.0, "mean2": 78.79, "sd2": 1.54 * 7}
    g, v = hedges_g(**{name: np.array([x]) for name, x in one.items()}, variance="LS")
    assert finding.instead[row] == pytest.approx((float(g[0]), float(v[0])), rel=0.02)
    assert finding.instead[row][0] == pytest.approx(0.134, abs=0.001)


def test_a_mean_copied_into_both_sds_is_found_in_dalgaard():
    ready = review("dalgaard2025")
    assert [(ready.names[f.rows[0]], f.severity) for f in check_means(ready)] == [
        ("vangesteltimmermans2012.6", "suspicion")
    ]


@pytest.mark.parametrize("name", ["smit2023", "dalgaard2025", "other_trials", "updates", "chien2019"])
def test_few_rows_of_the_bundled_reviews_are_suspected(name):
    ready = review(name)
    grave = [f for f in everything(ready) if f.severity != "remark"]
    assert len(grave) <= 3


# Clean tables -------------------------------------------------------------------------------------------------------


def test_fewer_than_one_row_in_a_hundred_of_the_metadat_tables_is_suspected():
    rows, grave = 0, []
    for path in METADAT:
        text = pd.read_csv(path, dtype=str, keep_default_na=False)
        ready = make_audit_table(text, written=text, source=path.stem)
        rows += ready.k
        grave += [(path.stem, f.check) for f in everything(ready) if f.severity != "remark"]
    assert len(METADAT) >= 30
    assert rows > 1500
    assert len(grave) < 0.01 * rows


def test_a_known_error_in_a_metadat_table_is_found():
    # Wen et al. (2014) printed standardised scores, on a scale from 1 to 7.
    path = next(path for path in METADAT if path.stem == "lehmann2018")
    text = pd.read_csv(path, dtype=str, keep_default_na=False)
    ready = make_audit_table(text, written=text)
    assert {ready.text("study_id")[f.rows[0]][:16] for f in check_means(ready)} == {"Wen et al., 2014"}


# One row ------------------------------------------------------------------------------------------------------------


def test_events_above_the_total_are_an_error_and_read_as_a_percentage():
    found = check_counts(table([{"study_id": "a", "events1": 62, "total1": 40, "events2": 12, "total2": 41}]))
    assert codes(found, "error") == [("events_above_total", (0,))]
    assert "62% of 40 are 24.8" in found[0].evidence


def test_events_above_a_hundred_are_not_read_as_a_percentage():
    found = check_counts(table([{"study_id": "a", "events1": 140, "total1": 12, "events2": 15, "total2": 141}]))
    assert "percentage" not in found[0].message


@pytest.mark.parametrize(("column", "value"), [("n1", "-20"), ("events2", "-1"), ("total1", "0")])
def test_impossible_numbers_of_people_are_errors(column, value):
    row = {"study_id": "a", "n1": 20, "n2": 20, "events1": 3, "total1": 20, "events2": 4, "total2": 20, column: value}
    assert ("negative_count", (0,)) in codes(check_counts(table([row])), "error")


def test_one_count_that_is_not_whole_is_suspected_but_a_column_of_them_is_a_remark():
    rows = [{"study_id": f"t{i}", "events1": 3 + i, "total1": 40, "events2": 4, "total2": 40} for i in range(10)]
    rows[2]["events1"] = 7.5
    assert codes(check_whole_numbers(table(rows)), "suspicion") == [("count_not_whole", (2,))]
    for row in rows:
        row["total1"] = 37.4
    (one,) = check_whole_numbers(table(rows))
    assert (one.severity, len(one.rows)) == ("remark", 10)


def test_a_column_of_percentages_is_named_once():
    rows = [
        {
            "study_id": f"t{i}",
            "events1": round(100 * c / (30 + i)),
            "total1": 30 + i,
            "events2": round(100 * c / 40),
            "total2": 40,
        }
        for i, c in enumerate((12, 16, 21, 13, 24, 15))
    ]
    (finding,) = check_percentages(table(rows))
    assert (finding.check, finding.rows) == ("percentages_as_counts", tuple(range(6)))
    for row in rows:
        row["events1"], row["events2"] = 12, 14
    assert check_percentages(table(rows)) == []


RANGES = pd.DataFrame({"instrument": ["HAM-D"], "direction": ["lower_better"], "min": [0], "max": [52]})


def test_a_mean_outside_the_range_is_an_error_unless_most_rows_lie_outside():
    rows = hamd()
    rows[3]["mean1"] = 131.0
    assert codes(check_means(table(rows, instruments=RANGES)), "error") == [("mean_outside_range", (3,))]
    narrow = RANGES.assign(max=10)
    found = check_means(table(hamd(), instruments=narrow))
    assert len(found) == 8
    assert codes(found, "error") == []


def test_changes_are_not_held_against_the_range_of_scores():
    rows = [{**row, "mean1": -5.2, "statistic": "change"} for row in hamd()]
    assert check_means(table(rows, instruments=RANGES)) == []


def test_a_standard_deviation_that_the_range_does_not_allow_is_an_error():
    rows = hamd()
    rows[1]["sd2"] = 42.2
    (finding,) = check_sds(table(rows, instruments=RANGES))
    assert (finding.check, finding.severity, finding.columns) == ("sd_above_range", "error", ("sd2",))


@pytest.mark.parametrize(("sd", "severity"), [("-6.1", "error"), ("0", "suspicion")])
def test_standard_deviations_must_be_positive(sd, severity):
    rows = hamd()
    rows[0]["sd1"] = sd
    assert codes(check_sds(table(rows)), severity) == [("sd_not_positive", (0,))]


# Other rows of the instrument ---------------------------------------------------------------------------------------


def changed(change, row=4):
    rows = hamd()
    for arm in "12":
        change(rows[row], arm)
    return table(rows)


def put(column, number):
    def change(row, arm):
        row[f"{column}{arm}"] = round(number(row, arm), 2)

    return change


def ready_rows(ready):
    return ready.written.to_dict("records")


@pytest.mark.parametrize(
    ("check", "number"),
    [
        ("sd_is_se", lambda row, arm: row[f"sd{arm}"] / row[f"n{arm}"] ** 0.5),
        ("sd_too_large_by_root_n", lambda row, arm: row[f"sd{arm}"] * row[f"n{arm}"] ** 0.5),
        ("sd_is_variance", lambda row, arm: row[f"sd{arm}"] ** 2),
    ],
)
def test_a_slip_in_both_standard_deviations_is_named_and_put_right(check, number):
    ready = changed(put("sd", number))
    (finding,) = check_spreads(ready)
    assert codes([finding], "suspicion") == [(check, (4,))]
    honest = table(hamd())
    one = {c: honest.number(c)[4:5] for c in ("n1", "mean1", "sd1", "n2", "mean2", "sd2")}
    # These trials have neither printed effects nor a direction, so nobody can say which way up the effect is.
    assert finding.instead == {}
    better = table([{**row, "direction": "lower_better"} for row in ready_rows(ready)])
    (finding,) = check_spreads(better)
    assert finding.instead[4][0] == pytest.approx(-float(hedges_g(**one)[0][0]), rel=0.02)


def test_ordinary_trials_are_no_slips():
    ready = table(hamd(16))
    assert everything(ready) == []


@pytest.mark.parametrize("factor", [10, 100, 1 / 12, 7])
def test_another_unit_is_named(factor):
    def change(row, arm):
        for column in ("mean", "sd"):
            row[f"{column}{arm}"] = round(row[f"{column}{arm}"] * factor, 3)

    assert codes(check_scales(changed(change)), "suspicion") == [("unit_differs", (4,))]


def test_an_average_of_items_beside_sums_is_a_remark():
    def change(row, arm):
        for column in ("mean", "sd"):
            row[f"{column}{arm}"] = round(row[f"{column}{arm}"] / 24, 3)

    assert codes(check_scales(changed(change)), "remark") == [("scoring_differs", (4,))]


def test_exchanged_means_and_standard_deviations_are_found():
    rows = hamd()
    for arm in "12":
        rows[2][f"mean{arm}"], rows[2][f"sd{arm}"] = rows[2][f"sd{arm}"], rows[2][f"mean{arm}"]
    assert codes(check_scales(table(rows)), "suspicion") == [("mean_and_sd_exchanged", (2,))]


def test_the_standard_error_of_one_arm_is_found_beside_the_sd_of_the_other():
    rows = hamd()
    rows[5]["sd1"] = round(rows[5]["sd1"] / rows[5]["n1"] ** 0.5, 2)
    (finding,) = check_arm_spreads(table(rows))
    assert (finding.check, finding.rows, finding.columns) == ("one_sd_is_se", (5,), ("sd1",))


def test_a_slip_of_the_point_in_one_sd_is_found():
    rows = hamd()
    rows[5]["sd2"] = round(rows[5]["sd2"] * 100, 2)
    assert codes(check_arm_spreads(table(rows)), "suspicion") == [("sds_differ", (5,))]


def test_a_unique_instrument_with_hardly_any_spread_is_a_remark():
    rows = hamd(12)
    rows.append(arms(90, 20.2, 0.9, 92, 20.9, 0.8, study_id="last", instrument="of its own"))
    assert codes(check_low_variation(table(rows)), "remark") == [("variation_low", (12,))]


def scaled(column, factor):
    return lambda row: row | {f"{column}{arm}": round(row[f"{column}{arm}"] * factor, 2) for arm in "12"}


FAULTS = {
    "standard errors": lambda row: row | {f"sd{a}": round(row[f"sd{a}"] / row[f"n{a}"] ** 0.5, 2) for a in "12"},
    "multiplied by root n": lambda row: row | {f"sd{a}": round(row[f"sd{a}"] * row[f"n{a}"] ** 0.5, 1) for a in "12"},
    "variances": lambda row: row | {f"sd{a}": round(row[f"sd{a}"] ** 2, 1) for a in "12"},
    "another unit": lambda row: scaled("mean", 10)(scaled("sd", 10)(row)),
    "point of a mean": lambda row: row | {"mean1": round(row["mean1"] * 10, 1)},
    "point of an SD": lambda row: row | {"sd2": round(row["sd2"] / 10, 2)},
    "mean and SD exchanged": lambda row: row | {f"{c}{a}": row[f"{'sd' if c == 'mean' else 'mean'}{a}"]
                                                for c in ("mean", "sd") for a in "12"},
    "mean for SD": lambda row: row | {f"sd{a}": row[f"mean{a}"] for a in "12"},
    "an arm twice": lambda row: row | {"mean2": row["mean1"], "sd2": row["sd1"]},
    "shifted": lambda row: row | {f"{c}{a}": row[f"{d}{a}"]
                                  for c, d in (("n", "mean"), ("mean", "sd"), ("sd", "n")) for a in "12"},
    "no spread": lambda row: row | {"sd1": 0},
}  # fmt: skip


@pytest.mark.slow
def test_nineteen_of_twenty_gross_faults_are_found_in_whichever_row_they_are():
    found = dict.fromkeys(FAULTS, 0)
    for name, fault in FAULTS.items():
        for i in range(16):
            rows = hamd(16)
            rows[i] = fault(rows[i])
            found[name] += any(i in f.rows and f.severity != "remark" for f in everything(table(rows)))
    assert sum(found.values()) >= 0.95 * 16 * len(FAULTS), found
    assert min(found.values()) >= 12, found


# Sizes and times ----------------------------------------------------------------------------------------------------


def test_a_lost_digit_of_one_arm_is_found_in_the_trial():
    rows = [arms(n, 10, 3, 150, 11, 3, study_id="a", instrument=f"i{n}") for n in (148, 150, 15, 147)]
    assert ("n_out_of_line", (2,)) in codes(check_arm_sizes(table(rows)), "suspicion")


def test_a_subgroup_of_both_arms_is_no_lost_digit():
    rows = [arms(n, 10, 3, n + 1, 11, 3, study_id="a", instrument=f"i{n}") for n in (148, 150, 30, 147)]
    assert codes(check_arm_sizes(table(rows)), "suspicion") == []


def test_more_analysed_than_randomised_is_suspected():
    rows = [arms(60, 10, 3, 50, 11, 3, study_id="a", n_intervention="55", n_control="55")]
    (finding,) = check_arm_sizes(table(rows))
    assert (finding.check, finding.columns) == ("n_above_randomised", ("n1", "n_intervention"))


def test_an_arm_that_grows_is_a_remark():
    rows = [arms(n, 10, 3, 40, 11, 3, study_id="a", timepoint_months=t) for n, t in ((40, 3), (80, 6))]
    assert codes(check_arm_sizes(table(rows)), "remark") == [("n_grew", (0, 1))]


@pytest.mark.parametrize(("column", "value"), [("timepoint_months", -3), ("timepoint_months", 2019), ("year", 20199)])
def test_impossible_times_are_errors(column, value):
    assert len(codes(check_times(table([{"study_id": "a", "yi": 1, column: value}])), "error")) == 1


# Effects ------------------------------------------------------------------------------------------------------------


def test_deleted_residuals_equal_those_of_models_without_the_row():
    rng = np.random.default_rng(3)
    yi, vi = rng.normal(0.3, 0.5, 12), np.full(12, 0.05)
    expected = []
    for i in range(12):
        y, v = np.delete(yi, i), np.delete(vi, i)
        tau2 = max(y.var(ddof=1) - v.mean(), 0)
        # With equal variances all weights are equal, and the model is the plain mean.
        expected.append((yi[i] - y.mean()) / np.sqrt(vi[i] + tau2 + (v[0] + tau2) / 11))
    assert deleted_residuals(yi, vi) == pytest.approx(expected)


def test_a_slip_of_the_point_in_a_mean_makes_an_absurd_effect():
    rows = hamd()
    rows[6]["mean1"] = 130.5
    assert codes(check_effects(table(rows)), "suspicion") == [("effect_absurd", (6,))]


def test_effects_that_are_large_everywhere_are_not_absurd():
    rows = hamd(10)
    for i, row in enumerate(rows):
        row["mean1"] = round(40 + 2.1 * (i % 4), 1)
    assert codes(check_effects(table(rows)), "suspicion") == []


def smd_rows(**last):
    rows = [{**row, "review_yi": "", "review_sei": ""} for row in hamd()]
    ready = table(rows)
    g, v = hedges_g(**{c: ready.number(c) for c in ("n1", "mean1", "sd1", "n2", "mean2", "sd2")})
    for row, effect, variance in zip(rows, g, v, strict=True):
        row["review_yi"], row["review_sei"] = round(float(effect), 3), round(float(variance) ** 0.5, 3)
    rows.append({"study_id": "z", "instrument": "HAM-D", "n1": 40, "n2": 40, "review_yi": -0.3, **last})
    return table(rows)


@pytest.mark.parametrize(("se", "expected"), [(0.1, ["se_too_small"]), (0.5, ["se_too_large"]), (0.22, []), (0.19, [])])
def test_standard_errors_are_held_against_the_participants(se, expected):
    assert [f.check for f in check_standard_errors(smd_rows(review_sei=se))] == expected


@pytest.mark.parametrize(
    ("row", "severity"),
    [
        ({"es": "0.50", "es_se": "0.20", "p_value": "0.012"}, []),
        ({"es": "0.50", "es_se": "0.20", "p_value": "0.12"}, ["suspicion"]),
        ({"es": "0.50", "es_se": "0.20", "p_value": "<0.05"}, []),
        ({"es": "0.30", "es_se": "0.20", "p_value": "<.0001"}, ["error"]),
        ({"es": "0.10", "es_se": "0.20", "p_value": "0.04"}, ["error"]),
        ({"es": 0.66, "es_ci_low": 0.43, "es_ci_high": 0.99, "es_type": "OR", "p_value": "0.0438"}, []),
        ({"es": 0.66, "es_ci_low": 0.43, "es_ci_high": 0.99, "es_type": "OR", "p_value": "0.3"}, ["suspicion"]),
        ({"es": 5.1, "es_ci_low": 2.4, "es_ci_high": 7.8, "es_type": "MD (model)", "p_value": "<0.001"}, []),
        ({"es": "0.50", "es_se": "0.20", "p_value": "n.s."}, []),
    ],
)
def test_p_values_are_recomputed_within_rounding(row, severity):
    row = {"study_id": "a", "n1": 80, "n2": 80, **row}
    assert [f.severity for f in check_p_values(table([row]))] == severity


def test_a_baseline_that_randomisation_does_not_leave_is_suspected():
    base = {"baseline_mean1": 22.1, "baseline_sd1": 5.0, "baseline_mean2": 17.4, "baseline_sd2": 5.2}
    rows = [{**hamd()[0], **base}, {**hamd()[1], **base, "baseline_mean2": 21.3}]
    assert codes(check_baseline(table(rows)), "suspicion") == [("baseline_imbalance", (0,))]


# Digits -------------------------------------------------------------------------------------------------------------


def whole_scores(k=10, items=""):
    rng = np.random.default_rng(5)
    rows = []
    for i in range(k):
        one, two = rng.binomial(40, 0.4, 31 + i), rng.binomial(40, 0.45, 33 + i)
        numbers = (len(one), f"{one.mean():.2f}", f"{one.std(ddof=1):.2f}", len(two), f"{two.mean():.2f}")
        rows.append(arms(*numbers, f"{two.std(ddof=1):.2f}", study_id=f"t{i}", instrument="sum", items=items))
    return rows


def test_a_mean_that_whole_scores_cannot_have_is_suspected_where_items_are_known():
    rows = whole_scores(items="1")
    assert check_granularity(table(rows)) == []
    rows[3]["mean1"] = f"{(round(float(rows[3]['mean1']) * 34) + 0.5) / 34:.2f}"
    assert codes(check_granularity(table(rows)), "suspicion") == [("mean_not_possible", (3,))]


def test_it_is_a_remark_where_the_other_means_show_that_scores_are_whole():
    rows = whole_scores()
    rows[3]["mean1"] = f"{(round(float(rows[3]['mean1']) * 34) + 0.5) / 34:.2f}"
    assert codes(check_granularity(table(rows)), "remark") == [("mean_not_possible", (3,))]


def test_averages_of_unknown_items_are_left_alone():
    rng = np.random.default_rng(6)
    rows = [
        {**row, "mean1": f"{rng.normal(3, 0.2):.2f}", "mean2": f"{rng.normal(3, 0.2):.2f}"} for row in whole_scores()
    ]
    assert check_granularity(table(rows)) == []


def test_items_that_fit_few_means_are_themselves_doubted_once():
    rng = np.random.default_rng(6)
    rows = [{**row, "mean1": f"{rng.normal(3, 0.2):.2f}"} for row in whole_scores(items="1")]
    assert [f.check for f in check_granularity(table(rows))] == ["items_do_not_fit"]


def test_uneven_last_digits_are_a_remark_and_even_ones_are_not():
    rng = np.random.default_rng(8)
    digits = rng.choice([0, 5], 120)
    rows = [arms(40, f"{10 + i}.{d}", f"{5 + i}.{e}", 41, 12, 4, study_id=f"t{i}") for i, (d, e) in
            enumerate(zip(digits[:60], digits[60:], strict=True))]  # fmt: skip
    assert [f.severity for f in check_last_digits(table(rows))] == ["remark"]
    rows = [arms(40, f"{x:.2f}", f"{y:.2f}", 41, 12, 4, study_id=f"t{i}") for i, (x, y) in
            enumerate(rng.uniform(5, 20, (60, 2)))]  # fmt: skip
    assert check_last_digits(table(rows)) == []


# Whatever comes -----------------------------------------------------------------------------------------------------

NUMBER = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "1e308", "-1e308", "1e-320", "inf", "nan", "x", "12,5", "1.50", "99999999999999999"]
    ),
    st.integers(-5, 200).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
)
WORD = st.sampled_from(["", "a 2014", "a 2014a", "A (2014)", "\u200b", "\U0001f600", "OR", "<.05", "change", "p"])
COLUMNS = [
    "n1", "mean1", "sd1", "n2", "mean2", "sd2", "events1", "total1", "events2", "total2", "es", "es_se", "es_ci_low",
    "es_ci_high", "review_yi", "review_sei", "yi", "vi", "sei", "timepoint_months", "min", "max", "items", "year",
    "n_intervention", "baseline_mean1", "baseline_sd1", "baseline_mean2", "baseline_sd2",
]  # fmt: skip
WORDS = ["study_id", "outcome", "instrument", "comparison", "es_type", "p_value", "statistic", "rob_d4", "doi"]


@settings(max_examples=150)
@given(st.data())
def test_no_table_is_too_absurd(data):
    columns = data.draw(st.lists(st.sampled_from(COLUMNS + WORDS), min_size=1, unique=True))
    k = data.draw(st.integers(1, 6))
    cells = {c: data.draw(st.lists(NUMBER if c in COLUMNS else WORD, min_size=k, max_size=k)) for c in columns}
    ready = table(cells)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for finding in everything(ready):
            assert all(0 <= row < k for row in finding.rows)
            assert finding.message
            assert finding.evidence
            assert finding.look_up
            for effect in finding.instead.values():
                assert effect is None or (np.isfinite(effect).all() and effect[1] > 0)


@settings(max_examples=25)
@given(st.permutations(range(8)))
def test_the_order_of_rows_does_not_change_what_is_found(order):
    rows = hamd()
    rows[4]["sd1"], rows[4]["sd2"] = 0.7, 0.7
    ready = table([rows[i] for i in order])
    assert [(f.check, ready.names[f.rows[0]]) for f in check_spreads(ready)] == [("sd_is_se", "triale")]


def test_ten_thousand_rows_take_a_few_seconds_at_most():
    rows = [{**row, "study_id": f"{row['study_id']} {i}"} for i in range(625) for row in hamd(16)]
    ready = table(rows)
    start = time.perf_counter()
    everything(ready)
    assert time.perf_counter() - start < 15  # two on an idle machine
