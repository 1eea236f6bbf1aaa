import numpy as np
import pandas as pd
import pytest

from metapeer.auditing.copies import (
    check_copied_arms,
    check_copied_errors,
    check_copied_rows,
    check_equal_arms,
    check_shifted_cells,
)
from metapeer.auditing.table import make_audit_table
from metapeer.records.catalog import datasets_root

ARMS = ("n1", "mean1", "sd1", "n2", "mean2", "sd2")


def table(rows):
    text = pd.DataFrame(rows).astype(str).replace("nan", "")
    return make_audit_table(text, written=text)


def codes(findings):
    return [(f.check, f.severity, f.rows) for f in findings]


def review(name):
    rows = pd.read_csv(datasets_root() / name / "outcomes.csv", dtype=str, keep_default_na=False).drop(columns="note")
    return make_audit_table(rows, written=rows, source=name)


def trials(k=10, instruments=("HAM-D", "QoL")):
    rng = np.random.default_rng(11)
    rows = []
    for i in range(k):
        for j, instrument in enumerate(instruments):
            mean, sd = (14, 6.5) if j == 0 else (61, 14)
            numbers = [rng.normal(mean, 0.2 * sd), sd * np.exp(rng.normal(0, 0.1))] * 2
            numbers = [*numbers[:2], rng.normal(mean, 0.2 * sd), sd * np.exp(rng.normal(0, 0.1))]
            m1, s1, m2, s2 = (f"{x:.2f}" for x in numbers)
            cells = dict(zip(ARMS, (40 + 3 * i, m1, s1, 43 + 3 * i, m2, s2), strict=True))
            rows.append({"study_id": f"trial{'abcdefghijklmnop'[i]}", "instrument": instrument, **cells})
    return rows


def found_in(rows):
    checks = (check_copied_rows, check_copied_arms, check_equal_arms, check_copied_errors, check_shifted_cells)
    return [finding for check in checks for finding in check(table(rows))]


def test_ordinary_trials_hold_no_copies():
    assert found_in(trials(16)) == []


def test_the_arm_that_two_rows_of_druss_share_is_found():
    ready = review("dalgaard2025")
    (finding,) = check_copied_arms(ready)
    assert [ready.names[row] for row in finding.rows] == ["druss2018.2", "druss2018.3"]
    assert (finding.severity, finding.columns) == ("suspicion", ("mean1", "sd1"))


def test_the_standard_error_in_six_rows_of_two_trials_is_found():
    ready = review("smit2023")
    (finding,) = check_copied_errors(ready)
    assert {ready.text("study_id")[row] for row in finding.rows} == {"corrigan2017", "rogers2016"}
    assert (len(finding.rows), finding.severity) == (6, "suspicion")


def test_a_row_copied_from_another_trial_is_found_and_would_be_left_out():
    rows = trials()
    rows[8] |= {name: rows[6][name] for name in ARMS}
    found = [f for f in found_in(rows) if f.check == "row_copied"]
    assert codes(found) == [("row_copied", "suspicion", (6, 8))]
    assert found[0].instead == {8: None}
    assert "another trial" in found[0].message


def test_a_row_copied_from_another_instrument_is_not_also_a_copied_arm():
    rows = trials()
    rows[7] |= {name: rows[6][name] for name in ARMS}
    assert codes(found_in(rows)) == [("row_copied", "suspicion", (6, 7))]


@pytest.mark.parametrize("source", [4, 5, 11])
def test_a_copied_arm_is_found_wherever_it_came_from(source):
    rows = trials()
    rows[10] |= {name: rows[source][name] for name in ("mean2", "sd2")}
    assert ("arm_copied", "suspicion", tuple(sorted((source, 10)))) in codes(found_in(rows))


def test_coarse_numbers_may_agree_by_accident():
    rows = [
        {**row, "mean1": "14", "sd1": "6", "mean2": f"{10 + i % 5}", "sd2": "7"} for i, row in enumerate(trials(16))
    ]
    assert [f for f in found_in(rows) if f.severity != "remark"] == []


def test_an_arm_that_comparisons_of_one_trial_share_is_no_copy():
    rows = trials(4, ("HAM-D",))
    shared = {name: rows[0][name] for name in ("n2", "mean2", "sd2")}
    rows += [{**rows[0], **shared, "n1": 44, "mean1": "13.31", "sd1": "5.77", "comparison": "other dose"}]
    assert check_copied_arms(table(rows)) == []


def test_a_row_that_stands_twice_is_found():
    rows = [*trials(), trials()[3]]
    found = check_copied_rows(table(rows))
    assert codes(found) == [("row_twice", "suspicion", (3, 20))]
    assert found[0].instead == {20: None}


def test_equal_rows_are_a_remark_where_no_column_tells_rows_apart():
    rows = [{"study_id": f"t{i // 4}", "yi": round(0.1 + 0.01 * i, 2), "vi": 0.04} for i in range(20)]
    rows[1] = dict(rows[0])
    assert codes(check_copied_rows(table(rows))) == [("row_twice", "remark", (0, 1))]


def test_rows_that_differ_in_their_names_only_stand_twice():
    rows = [{**row, "row_id": f"r{i}"} for i, row in enumerate([*trials(), trials()[3]])]
    assert codes(check_copied_rows(table(rows))) == [("row_twice", "suspicion", (3, 20))]


def test_equal_counts_of_two_trials_are_copies_but_equal_small_ones_are_not():
    rows = [
        {"study_id": f"trial{name}", "events1": 20 + 3 * i, "total1": 103 + i, "events2": 31 + i, "total2": 98 + i}
        for i, name in enumerate("abcdef")
    ]
    assert check_copied_rows(table(rows)) == []
    rows[4] |= {name: rows[1][name] for name in ("events1", "total1", "events2", "total2")}
    assert codes(check_copied_rows(table(rows))) == [("row_copied", "suspicion", (1, 4))]
    small = [{**row, "events1": 0, "total1": 20, "events2": 1, "total2": 20} for row in rows]
    assert check_copied_rows(table(small)) == []


def test_equal_effects_and_errors_of_two_trials_are_copies():
    rng = np.random.default_rng(2)
    rows = [
        {"study_id": f"trial{name}", "yi": f"{rng.normal():.4f}", "sei": f"{rng.uniform(0.1, 0.4):.4f}"}
        for name in "abcdefgh"
    ]
    rows[6] |= {"yi": rows[2]["yi"], "sei": rows[2]["sei"]}
    assert codes(check_copied_rows(table(rows))) == [("row_copied", "suspicion", (2, 6))]


def test_arms_that_are_equal_to_the_last_digit_are_suspected():
    rows = trials()
    rows[3] |= {"mean2": rows[3]["mean1"], "sd2": rows[3]["sd1"]}
    assert codes(check_equal_arms(table(rows))) == [("arms_equal", "suspicion", (3,))]
    rows[3] |= {"mean1": "14", "sd1": "6", "mean2": "14", "sd2": "6"}
    assert codes(check_equal_arms(table(rows))) == [("arms_equal", "remark", (3,))]


def test_standard_errors_of_trials_alike_in_size_may_be_equal():
    rows = [
        {"study_id": f"trial{name}", "n1": 50, "n2": 50, "review_yi": 0.1 * i, "review_sei": "0.200"}
        for i, name in enumerate("abcdef")
    ]
    assert check_copied_errors(table(rows)) == []


def test_a_full_precision_error_in_two_trials_of_unlike_size_is_a_copy():
    rng = np.random.default_rng(4)
    rows = [
        {"study_id": f"trial{name}", "review_yi": f"{rng.normal():.9f}", "review_sei": f"{rng.uniform(0.1, 0.4):.9f}"}
        for name in "abcdefgh"
    ]
    rows[5]["review_sei"] = rows[1]["review_sei"]
    assert codes(check_copied_errors(table(rows))) == [("se_copied", "suspicion", (1, 5))]


def test_cells_shifted_by_a_column_are_one_finding():
    rows = trials()
    cells = rows[2]
    for arm in "12":
        n, mean, sd = (cells[f"{name}{arm}"] for name in ("n", "mean", "sd"))
        cells |= {f"n{arm}": mean, f"mean{arm}": sd, f"sd{arm}": n}
    (finding,) = check_shifted_cells(table(rows))
    assert (finding.check, finding.rows, finding.instead) == ("cells_shifted", (2,), {2: None})
    assert "where standard deviations should" in finding.message
