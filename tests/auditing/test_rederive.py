"""Printed effects and standard errors derived again: what fits, what does not, and what would explain it."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metapeer.auditing.rederive import check_rederivation, rederive
from metapeer.auditing.table import NUMBERS, make_audit_table
from metapeer.effects.continuous import cohen_d, hedges_g

ROOT = Path(__file__).resolve().parents[2]
CLEAN = sorted((Path(__file__).parent / "clean").glob("*.json"))
ARMS = ("n1", "mean1", "sd1", "n2", "mean2", "sd2")


@pytest.fixture(scope="module")
def smit():
    cells = pd.read_csv(ROOT / "datasets/smit2023/outcomes.csv", dtype=str, keep_default_na=False)
    cells = cells.drop(columns=["note"])
    instruments = pd.read_csv(ROOT / "datasets/instruments.csv")
    return make_audit_table(cells, written=cells, instruments=instruments, source="smit2023")


def rows_of(table, finding):
    return [table.names[i] for i in finding.rows]


def grave(findings):
    return [f for f in findings if f.severity != "remark"]


def test_the_formula_of_a_published_table_is_identified(smit):
    result = rederive(smit)
    means, events, sizes = result.tables
    assert (means.k, means.k_to_digits, means.codes) == (50, 47, ("G_APPROX",))
    assert (means.error_codes, means.k_errors_to_digits) == (("LS2_APPROX",), 49)
    assert "metapsy, esc" in means.error_labels[0]
    assert (events.k, events.k_to_digits, events.codes) == (3, 3, ("OR2SMD_LOGISTIC_APPROX",))
    assert (sizes.k, sizes.error_codes) == (3, ("LS2_APPROX",))
    assert (result.formula, result.error_formula) == ("G_APPROX", "LS2_APPROX")
    assert "favours arm 1" in result.convention
    assert "49 of 51" in result.convention


def test_the_known_slips_of_a_published_table_are_found_from_its_numbers_alone(smit):
    found = {(f.severity, f.check): rows_of(smit, f) for f in check_rederivation(smit)}
    assert found == {
        ("error", "sign_against_direction"): ["davidson2004.1", "davidson2004.2"],
        ("error", "n_of_other_row"): ["solomon1995.2"],
        ("remark", "fewer_digits"): ["kaplan2011.2", "kaplan2011.3"],
        ("remark", "se_not_from_sizes"): ["corrigan2017.2", "corrigan2017.3", "pfeiffer2019.2"],
    }
    typed = [f for f in check_rederivation(smit) if f.check == "fewer_digits"]
    assert [rows_of(smit, f) for f in typed] == [["boevink2016.1"], ["kaplan2011.2", "kaplan2011.3"]]


def test_what_pooling_would_use_is_the_effect_computed_anew(smit):
    instead = {row: value for f in check_rederivation(smit) for row, value in f.instead.items()}
    result = rederive(smit)
    at = {name: i for i, name in enumerate(smit.names)}
    assert instead[at["davidson2004.1"]] == pytest.approx((-0.28002529710761, 0.0248214934))
    own = instead[at["solomon1995.2"]]
    assert own == pytest.approx((-0.1997119812, 0.0439095397))  # with 45 in each arm, by the table's formula
    assert own[0] == pytest.approx(result.computed[at["solomon1995.2"]])


def test_a_summary_lists_the_rows_that_do_not_come_out(smit):
    text = rederive(smit).summary()
    assert "solomon1995.2" in text
    assert "cook2012a.1" not in text
    assert "47 effects come out to their digits as Hedges g, approximate J" in text


@pytest.mark.parametrize("path", CLEAN, ids=lambda path: path.stem)
def test_a_real_table_without_slips_raises_no_alarm(path):
    cells = pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["columns"], dtype=str)
    table = make_audit_table(cells, written=cells)
    assert grave(check_rederivation(table)) == []


@pytest.mark.parametrize(
    ("name", "effect", "error"),
    [
        ("normand1999_SMD", "G_EXACT", "LS"),
        ("normand1999_MD_3", "MD", "MD"),
        ("curtis1998_SMD_2", "G_EXACT", "LS"),
        ("curtis1998_ROM", "ROM", "ROM"),
        ("michael2013_printed", "MD", "MD"),
        ("lehmann2018_printed", "G_EXACT", "LS"),
        ("kalaian1996_printed", "", "LS"),
        ("linde2005_RR_3", "RR", "RR"),
        ("bcg_OR_2", "OR", "OR"),
        ("yusuf1985_PETO", "PETO_HALF", "PETO_HALF"),
    ],
)
def test_the_formula_of_a_real_table_is_named(name, effect, error):
    path = next(p for p in CLEAN if p.stem == name)
    cells = pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["columns"], dtype=str)
    result = rederive(make_audit_table(cells, written=cells))
    assert (result.formula, result.error_formula) == (effect, error)


def test_rows_of_one_group_measured_twice_are_told_from_slips_with_their_correlation():
    path = next(p for p in CLEAN if p.stem == "lehmann2018_printed")
    cells = pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["columns"], dtype=str)
    (found,) = check_rederivation(make_audit_table(cells, written=cells))
    assert (found.check, len(found.rows)) == ("same_participants", 12)
    assert "correlation 0.66" in found.evidence  # the data set prints this correlation, which the table here does not


# --- planted slips


def computed(rows, variance="metafor"):
    return hedges_g(**{name: rows[name].to_numpy(float) for name in ARMS}, variance=variance)


def trials(seed, k=40):
    """A table of two rows a trial, with effects signed so that positive favours arm 1."""
    rng = np.random.default_rng(seed)
    n1 = rng.integers(15, 150, k)
    n2 = np.clip(n1 + rng.integers(-8, 9, k), 12, 200)
    lower = rng.random(k) < 0.5
    sd = rng.uniform(4, 12, k)
    mean2 = rng.uniform(20, 60, k).round(1)
    mean1 = (mean2 + sd * rng.normal(0.25, 0.25, k) * np.where(lower, -1, 1)).round(1)
    rows = pd.DataFrame({
        "study_id": [f"trial{i // 2}" for i in range(k)],
        "instrument": [f"scale {'L' if low else 'H'}{rng.integers(0, 8)}" for low in lower],
        "direction": np.where(lower, "lower_better", "higher_better"),
        "n1": n1.astype(float), "mean1": mean1, "sd1": (sd * rng.uniform(0.85, 1.15, k)).round(1),
        "n2": n2.astype(float), "mean2": mean2, "sd2": (sd * rng.uniform(0.85, 1.15, k)).round(1),
    })  # fmt: skip
    yi, vi = computed(rows)
    rows["yi"], rows["sei"] = yi * np.where(lower, -1, 1), np.sqrt(vi)
    return rows


def written(rows, digits):
    cells = rows.map(lambda x: f"{x:.6g}" if isinstance(x, float) else str(x))
    for column in ("yi", "sei"):
        cells[column] = [f"{x:.{digits}f}" for x in rows[column]]
    return make_audit_table(cells, written=cells)


def replaced(rows, i, **numbers):
    rows = rows.copy()
    for name, value in numbers.items():
        rows.loc[i, name] = value
    return rows


def made_of(rows, i, **numbers):
    """Replace the printed numbers of a row by what other raw numbers give."""
    way = -1 if rows.direction[i] == "lower_better" else 1
    yi, vi = computed(replaced(rows, i, **numbers))
    return replaced(rows, i, yi=way * yi[i], sei=np.sqrt(vi[i]))


def exchanged(rows, i):
    mine = rows.loc[i]
    return replaced(rows, i, **{f"{s}{a}": mine[f"{s}{b}"] for s in ("n", "mean", "sd") for a, b in ("12", "21")})


def glass(rows, i):
    way = -1 if rows.direction[i] == "lower_better" else 1
    return replaced(rows, i, yi=way * (rows.mean1[i] - rows.mean2[i]) / rows.sd2[i])


SLIPS = {
    "a wrong sign": (lambda rows, i: replaced(rows, i, yi=-rows.yi[i]), "sign_against_direction"),
    "arms exchanged": (exchanged, "sign_against_direction"),
    "SDs that are SEs": (
        lambda r, i: replaced(r, i, sd1=round(r.sd1[i] / r.n1[i] ** 0.5, 2), sd2=round(r.sd2[i] / r.n2[i] ** 0.5, 2)),
        "raw_sd_is_se",
    ),
    "SDs taken for SEs": (
        lambda r, i: made_of(r, i, sd1=r.sd1[i] / r.n1[i] ** 0.5, sd2=r.sd2[i] / r.n2[i] ** 0.5),
        "sd_taken_for_se",
    ),
    "a variance as SE": (lambda r, i: replaced(r, i, sei=r.sei[i] ** 2), "se_is_variance"),
    "another row's n": (lambda r, i: made_of(r, i, n1=r.n1[i ^ 1], n2=r.n2[i ^ 1]), "n_of_other_row"),
    "another row's effect": (lambda r, i: replaced(r, i, yi=r.yi[i ^ 1], sei=r.sei[i ^ 1]), "effect_of_other_row"),
    "a decimal point": (lambda r, i: replaced(r, i, yi=10 * r.yi[i]), "decimal_point"),
    "a mean ten times too large": (lambda r, i: replaced(r, i, mean1=10 * r.mean1[i]), "decimal_point"),
    "a mean difference": (
        lambda r, i: replaced(r, i, yi=(r.mean1[i] - r.mean2[i]) * (-1 if r.direction[i] == "lower_better" else 1)),
        "other_measure",
    ),
    "a minus sign lost": (lambda r, i: made_of(r, i, mean2=-r.mean2[i]), "minus_lost"),
}


@pytest.mark.sampled(keep=8)
@pytest.mark.parametrize("digits", [2, 3, 12])
@pytest.mark.parametrize("slip", SLIPS)
def test_a_planted_slip_is_found_and_named_and_nothing_else_is(slip, digits):
    plant, code = SLIPS[slip]
    found, named, gross = 0, 0, 0
    for seed in range(12):
        rows = trials(seed)
        i = int(np.random.default_rng(seed + 1000).integers(len(rows)))
        bad = plant(rows, i)
        yi, vi = computed(bad)
        way = -1 if rows.direction[i] == "lower_better" else 1
        if abs(bad.yi[i] - way * yi[i]) < 0.1 * rows.sei[i] and abs(np.log(bad.sei[i] ** 2 / vi[i])) < 0.2:
            continue  # not a gross fault: the numbers of the two rows happen to be alike
        if abs(rows.mean1[i] - rows.mean2[i]) < 0.15:
            continue  # means written with one decimal may have differed the other way
        gross += 1
        graves = grave(check_rederivation(written(bad, digits)))
        assert all(f.rows == (i,) for f in graves)
        found += bool(graves)
        named += any(f.check == code for f in graves)
    assert gross >= 6
    assert found >= 0.95 * gross
    assert named >= 0.9 * gross


@pytest.mark.parametrize("digits", [2, 3, 12])
def test_tables_without_a_slip_raise_no_alarm(digits):
    assert [f for seed in range(12) for f in grave(check_rederivation(written(trials(seed), digits)))] == []


def test_effects_without_correction_and_by_another_standardiser_are_named():
    rows = trials(3)
    d = cohen_d(**{name: rows[name].to_numpy(float) for name in ARMS})
    bad = replaced(rows, 7, yi=abs(d[7]) * np.sign(rows.yi[7]))
    found = {f.check: f.rows for f in check_rederivation(written(glass(bad, 12), 12))}
    assert found == {"uncorrected_d": (7,), "other_standardiser": (12,)}


def test_sizes_that_stand_nowhere_in_the_table_are_searched_for_in_full_precision():
    rows = trials(5)
    i = int((rows.n1 * rows.n2).idxmin())  # arms of hundreds are left alone: too many pairs would fit
    bad = made_of(rows, i, n1=rows.n1[i] + 9, n2=rows.n2[i] + 5)
    (found,) = check_rederivation(written(bad, 12))
    assert found.check == "n_of_other_analysis"
    assert f"{rows.n1[i] + 9:g} and {rows.n2[i] + 5:g}" in found.message


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda r: r.assign(sei=r.sei**2), "se_is_variance"),
        (lambda r: r.assign(sd1=r.sd1 / r.n1**0.5, sd2=r.sd2 / r.n2**0.5), "raw_sd_is_se"),
    ],
)
def test_a_slip_in_a_whole_column_is_one_finding(change, code):
    (found,) = grave(check_rederivation(written(change(trials(1)), 3)))
    assert (found.check, found.severity, len(found.rows)) == (code, "error", 40)


def test_a_variance_column_that_holds_standard_errors_is_one_finding():
    rows = trials(2).rename(columns={"sei": "vi"})
    cells = rows.map(str)
    (found,) = grave(check_rederivation(make_audit_table(cells, written=cells)))
    assert (found.check, len(found.rows)) == ("variance_is_se", 40)
    assert found.instead[0][1] == pytest.approx(rows.vi[0] ** 2)


def test_effects_that_come_from_elsewhere_are_a_remark_not_an_alarm():
    rng = np.random.default_rng(0)
    rows = trials(4).assign(yi=rng.normal(0.3, 0.2, 40))
    found = check_rederivation(written(rows, 2))
    assert grave(found) == []
    assert "effects_from_elsewhere" in {f.check for f in found}


def test_signs_turned_by_scale_are_no_slips_where_directions_are_unknown():
    for seed in range(10):
        assert grave(check_rederivation(written(trials(seed).drop(columns="direction"), 2))) == []


def test_one_turned_sign_among_plain_differences_is_a_suspicion_that_says_the_direction_is_unknown():
    rows = trials(6).drop(columns="direction")
    rows["yi"] = computed(rows)[0]
    i = int(rows.yi.abs().idxmax())
    (found,) = grave(check_rederivation(written(replaced(rows, i, yi=-rows.yi[i]), 2)))
    assert (found.check, found.severity, found.rows) == ("sign_against_direction", "suspicion", (i,))
    assert "not known" in found.message


def test_an_instrument_all_of_whose_rows_are_turned_is_one_finding_about_its_direction():
    rows = trials(7)
    rows.loc[[0, 10, 20], "instrument"] = "scale X"
    rows.loc[[0, 10, 20], "direction"] = np.where(
        rows.direction[[0, 10, 20]] == "lower_better", "higher_better", "lower_better"
    )
    (found,) = grave(check_rederivation(written(rows, 3)))
    assert found.rows == (0, 10, 20)
    assert "direction recorded for the instrument" in found.message


def counts(seed, k=30):
    rng = np.random.default_rng(seed)
    total1 = rng.integers(30, 200, k)
    total2 = np.maximum(15, total1 + rng.integers(-6, 7, k))
    p = rng.uniform(0.1, 0.45, k)
    rows = pd.DataFrame({
        "study_id": [f"trial{i}" for i in range(k)],
        "events1": rng.binomial(total1, p * 0.8) + 1, "total1": total1 + 2,
        "events2": rng.binomial(total2, p) + 1, "total2": total2 + 2,
    })  # fmt: skip
    return with_odds(rows)


def with_odds(rows):
    a, b, c, d = (rows.events1, rows.total1 - rows.events1, rows.events2, rows.total2 - rows.events2)
    return rows.assign(yi=np.log(a * d / (b * c)), sei=np.sqrt(1 / a + 1 / b + 1 / c + 1 / d))


def counted(rows):
    cells = rows.map(str)
    for column in ("yi", "sei"):
        cells[column] = [f"{x:.3f}" for x in rows[column]]
    return make_audit_table(cells, written=cells)


def as_percentages(rows):
    shares = {f"events{arm}": 100 * rows[f"events{arm}"] / rows[f"total{arm}"] for arm in "12"}
    return rows.assign(**shares, total1=100, total2=100)


@pytest.mark.parametrize(
    ("plant", "code"),
    [
        (as_percentages, "counts_as_percentages"),
        (lambda r: r.assign(total1=r.total1 + r.events1, total2=r.total2 + r.events2), "total_is_rest"),
        (lambda r: r.assign(events1=r.total1 - r.events1), "effect_not_rederived"),
    ],
)
def test_slips_with_counts_are_found(plant, code):
    for seed in range(10):
        rows = counts(seed)
        bad = with_odds(plant(rows))
        i = int((bad.yi - rows.yi).abs().idxmax())
        if abs(bad.yi[i] - rows.yi[i]) < 0.2 * rows.sei[i] and abs(np.log(bad.sei[i] / rows.sei[i])) < 0.1:
            continue
        graves = grave(check_rederivation(counted(replaced(rows, i, yi=bad.yi[i], sei=bad.sei[i]))))
        assert [f.rows for f in graves] == [(i,)]
        assert graves[0].check == code


def test_a_total_off_by_one_is_named_in_full_precision():
    rows = counts(3)
    bad = with_odds(rows.assign(total1=rows.total1 + 1))
    cells = replaced(rows, 4, yi=bad.yi[4], sei=bad.sei[4]).map(
        lambda x: repr(float(x)) if isinstance(x, float) else str(x)
    )
    (found,) = check_rederivation(make_audit_table(cells, written=cells))
    assert (found.check, found.rows) == ("count_off", (4,))
    assert "total1 is off by 1" in found.message


# --- limits


@pytest.mark.parametrize(
    ("printed", "code", "severity"),
    [  # estimate, standard error, limits
        ("7.25 - -10.85 -3.65", "limits_sign", "error"),
        ("-0.42 - 0.43 1.01", "limits_log_scale", "error"),
        ("0.66 - -0.84 0.01", "limits_log_scale", "error"),
        ("0.30 - 0.50 0.10", "limits_exchanged", "error"),
        ("0.90 - 0.10 0.50", "limits_miss_estimate", "error"),
        ("0.45 - -0.10 0.50", "limits_asymmetric", "suspicion"),
        ("0.30 0.100 0.136 0.464", "limits_other_level", "suspicion"),
        ("0.30 0.100 0.042 0.558", "limits_other_level", "suspicion"),
        ("0.30 0.294 0.006 0.594", "limits_other_level", "suspicion"),
        ("0.30 0.0225 0.006 0.594", "se_is_variance", "suspicion"),
        ("0.30 0.400 0.006 0.594", "limits_do_not_fit_se", "suspicion"),
    ],
)
def test_limits_that_do_not_fit_are_explained(printed, code, severity):
    names = ("es", "es_se", "es_ci_low", "es_ci_high")
    cells = pd.DataFrame({name: [cell] for name, cell in zip(names, printed.split(), strict=True) if cell != "-"})
    (found,) = check_rederivation(make_audit_table(cells, written=cells))
    assert (found.check, found.severity) == (code, severity)


@given(
    es=st.floats(-2, 2), error=st.floats(0.05, 1), digits=st.integers(2, 5), log=st.booleans(), with_error=st.booleans()
)
def test_limits_made_from_an_estimate_and_its_standard_error_are_left_alone(es, error, digits, log, with_error):
    numbers = [es, es - 1.959964 * error, es + 1.959964 * error]
    texts = [f"{np.exp(x) if log else x:.{digits}f}" for x in numbers]
    cells = {"es": [texts[0]], "es_ci_low": [texts[1]], "es_ci_high": [texts[2]]}
    if with_error:
        cells["es_se"] = [f"{error:.{digits}f}"]
    frame = pd.DataFrame(cells)
    assert check_rederivation(make_audit_table(frame, written=frame)) == []


# --- any table at all


odd = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0, 1e-300, 1e300, 50.0, 0.17]),
    st.integers(-3, 300).map(float),
    st.sampled_from(["", "n.s.", "0.17", "1e5", "<0.05", "-", "12"]),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), k=st.integers(1, 6))
def test_no_table_is_too_absurd(data, k):
    columns = data.draw(st.lists(st.sampled_from(NUMBERS), min_size=1, unique=True))
    frame = pd.DataFrame(
        {c: pd.Series(data.draw(st.lists(odd, min_size=k, max_size=k)), dtype=object) for c in columns}
    )
    frame["study_id"] = data.draw(st.lists(st.sampled_from(["a", "b", ""]), min_size=k, max_size=k))
    frame["direction"] = data.draw(
        st.lists(st.sampled_from(["higher_better", "lower_better", "", "up"]), min_size=k, max_size=k)
    )
    table = make_audit_table(frame)
    for finding in check_rederivation(table):
        assert all(0 <= row < k for row in finding.rows)
        assert all(value is None or (np.isfinite(value[0]) and value[1] > 0) for value in finding.instead.values())
    assert rederive(table).summary()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 50), order=st.permutations(range(40)))
def test_the_order_of_rows_does_not_change_the_formula_or_the_fit_of_a_row(seed, order):
    rows = trials(seed)
    one = rederive(written(rows, 3))
    other = rederive(written(rows.iloc[list(order)].reset_index(drop=True), 3))
    assert one.formula == other.formula
    assert [one.effects[i] for i in order] == list(other.effects)


def test_ten_thousand_rows_with_slips_take_less_than_two_seconds():
    rows = trials(0, k=10_000)
    bad = np.random.default_rng(1).random(10_000) < 0.05
    rows.loc[bad, "yi"] += 0.5
    table = written(rows, 2)
    start = time.perf_counter()
    check_rederivation(table)
    assert time.perf_counter() - start < 2  # a quarter of a second on a machine with nothing else to do
