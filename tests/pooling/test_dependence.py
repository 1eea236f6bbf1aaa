import json
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.effects.table import effect_size
from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.pooling.dependence import read_covariance, sampling_covariance
from metapeer.pooling.dependence_description import describe_dependence
from metapeer.pooling.dependent import average_within_trial
from metapeer.pooling.models import read_effects

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "covariance.json").read_text(encoding="utf-8"))


def table_of(case, **names):
    """The data of a golden case, with columns renamed."""
    return pd.DataFrame(case["data"]).rename(columns={"study": "study_id"} | names)


def dense_of(case):
    k = len(case["data"]["vi"])
    dense = np.zeros((k, k))
    dense[case["row"], case["column"]] = case["value"]
    return np.maximum(dense, dense.T) + np.minimum(dense, dense.T) - np.diag(dense.diagonal())


def matrix_of(case):
    return pd.DataFrame(case["R"], index=case["levels"], columns=case["levels"])


def options_of(name, case):
    return {
        "assink_obs": {"obs": "esid", "rho": 0.6},
        "assink_type": {"obs": "esid", "type": "deltype", "rho": (0.7, 0.5)},
        "assink_type_matrix": {
            "obs": "esid",
            "type": "deltype",
            "rho": (0.7, matrix_of(case) if name == "assink_type_matrix" else None),
        },
        "assink_time": {"obs": "esid", "type": "deltype", "rho": (0.7, 0.5), "time": "time", "phi": 0.95},
        "assink_subgroup": {"obs": "esid", "rho": 0.6, "subgroup": "half"},
        "ishak": {"time": "time", "phi": 0.97},
        "kalaian": {"rho": 0.66},
        "knapp": {"obs": "task.diff", "rho": matrix_of(case) if "R" in case else 0},
        "knapp_equal": {"obs": "task.diff", "rho": matrix_of(case) if "R" in case else 0, "arm_sizes": "equal"},
    }[name]


@pytest.mark.parametrize("name", sorted(set(GOLDEN["vcalc"]) - {"berkey", "nearest"}))
def test_the_covariance_is_that_of_vcalc_in_metafor(name):
    case = GOLDEN["vcalc"][name]
    table = table_of(case, group1="arm1", group2="arm2", n_sz="n1", n_hc="n2")
    V = sampling_covariance(table, **options_of(name, case))
    np.testing.assert_allclose(V.to_dense(), dense_of(case), rtol=1e-12, atol=1e-15)


def test_the_nearest_correlations_are_those_of_nearpd():
    case = GOLDEN["vcalc"]["nearest"]
    with pytest.warns(DataWarning, match="1: the assumed correlations contradict"):
        V = sampling_covariance(table_of(case), obs="outcome", rho=matrix_of(case), nearest=True)
    # both stop short of a singular matrix, nearPD at 1e-8 and ours at 1e-6 of the largest eigenvalue
    np.testing.assert_allclose(V.to_dense(), dense_of(case), rtol=1e-5)
    assert np.linalg.eigvalsh(V.to_dense()).min() > 0


@pytest.mark.parametrize("measure", ["RD", "OR", "RR", "AS"])
def test_several_treatments_against_one_control_have_the_covariance_of_gleser_and_olkin(measure):
    case = GOLDEN["gleser"][measure]
    table = table_of(case).assign(arm1=lambda d: d["trt"].astype(str), arm2="control", measure=measure)
    V = sampling_covariance(table)
    np.testing.assert_allclose(V.to_dense(), dense_of(case), rtol=1e-12)
    check_pooled(case, V)


def test_standardised_differences_by_a_common_sd_have_the_covariance_of_gleser_and_olkin():
    case = GOLDEN["gleser"]["SMD"]
    table = table_of(case).assign(arm1=lambda d: d["trt"].astype(str), arm2="control", measure="SMD")
    V = sampling_covariance(table, standardiser="trial")
    np.testing.assert_allclose(V.to_dense(), dense_of(case), rtol=1e-12)
    check_pooled(case, V)
    # printed in the chapter, page 367
    np.testing.assert_allclose(case["beta"], [2.374, 1.570], atol=5e-4)
    assert case["QE"] == pytest.approx(3.945, abs=5e-4)


def check_pooled(case, V):
    """Generalised least squares by treatment give the chapter's estimates."""
    X = (np.array(case["data"]["trt"])[:, None] == np.unique(case["data"]["trt"])).astype(float)
    W = np.linalg.inv(V.to_dense())
    covariance = np.linalg.inv(X.T @ W @ X)
    beta = covariance @ X.T @ W @ np.array(case["data"]["yi"])
    np.testing.assert_allclose(beta, case["beta"], rtol=1e-9)
    np.testing.assert_allclose(covariance, case["vb"], rtol=1e-9)


def test_standardised_differences_by_the_sd_of_two_arms_share_less_of_it():
    rng = np.random.default_rng(20)
    n, reps = np.array([12, 20, 15]), 200_000
    means = np.array([1.2, 0.8, 0.0])
    m = means[:, None] + rng.standard_normal((3, reps)) / np.sqrt(n)[:, None]
    s2 = rng.chisquare((n - 1)[:, None], (3, reps)) / (n - 1)[:, None]

    def difference(i):
        pooled = ((n[i] - 1) * s2[i] + (n[2] - 1) * s2[2]) / (n[i] + n[2] - 2)
        return (m[i] - m[2]) / np.sqrt(pooled)

    simulated = np.corrcoef(difference(0), difference(1))[0, 1]
    d = means[:2]
    table = pd.DataFrame({
        "study_id": "a", "arm1": ["x", "y"], "arm2": "c", "yi": d, "n1": n[:2], "n2": n[2], "measure": "SMD",
        "vi": 1 / n[:2] + 1 / n[2] + d**2 / (2 * (n[:2] + n[2])),
    })  # fmt: skip
    V = sampling_covariance(table)
    assert V.to_dense()[0, 1] == pytest.approx(1 / 15 + 1.2 * 0.8 * 15 / (2 * 27 * 35), rel=1e-12)
    assert V.correlation(0, 1) == pytest.approx(simulated, abs=0.01)
    by_all = sampling_covariance(table, standardiser="trial")
    assert by_all.correlation(0, 1) > V.correlation(0, 1)


ARMS = {
    "MD": {"n1": [20, 30], "n2": [25, 25], "mean1": [5.0, 6.0], "mean2": [4.0, 4.0], "sd1": [2.0, 3.0],
           "sd2": [2.5, 2.5]},
    "ROM": {"n1": [20, 30], "n2": [25, 25], "mean1": [5.0, 6.0], "mean2": [4.0, 4.0], "sd1": [2.0, 3.0],
            "sd2": [2.5, 2.5]},
    "IRR": {"events1": [20, 30], "events2": [25, 25], "time1": [100.0, 90.0], "time2": [80.0, 80.0]},
    "IRD": {"events1": [20, 30], "events2": [25, 25], "time1": [100.0, 90.0], "time2": [80.0, 80.0]},
}  # fmt: skip
SHARED = {"MD": 2.5**2 / 25, "ROM": 2.5**2 / (25 * 16), "IRR": 1 / 25, "IRD": 25 / 80**2}


@pytest.mark.parametrize("measure", list(ARMS))
def test_rows_that_share_the_control_arm_share_its_variance(measure):
    table = pd.DataFrame({"study_id": "a", "arm1": ["x", "y"], "arm2": "c", **ARMS[measure]})
    effects = effect_size(table, measure=measure)
    V = sampling_covariance(effects)
    assert V.to_dense()[0, 1] == pytest.approx(SHARED[measure], rel=1e-12)
    np.testing.assert_allclose(V.diagonal(), effects["vi"], rtol=1e-15)


def two_by_two(**more):
    """Two outcomes of two treatments against one control."""
    return pd.DataFrame({
        "study_id": "a", "arm1": ["x", "x", "y", "y"], "arm2": "c", "outcome": ["hope", "stigma"] * 2,
        "yi": [0.2, 0.4, 0.1, 0.3], "vi": [0.10, 0.11, 0.09, 0.10], "n1": [20, 20, 25, 25], "n2": [20] * 4,
        "measure": "SMD", **more,
    })  # fmt: skip


def test_an_arm_shared_by_different_outcomes_counts_by_their_correlation():
    V = sampling_covariance(two_by_two(yi=[0.0] * 4), rho=0.6)
    same = 0.05 / np.sqrt((1 / 20 + 1 / 20) * (1 / 25 + 1 / 20))
    assert V.correlation(0, 1) == pytest.approx(0.6)
    assert V.correlation(0, 2) == pytest.approx(same)
    assert V.correlation(0, 3) == pytest.approx(0.6 * same)


def test_an_arm_that_is_treatment_here_and_control_there_correlates_negatively():
    table = two_by_two(yi=[0.0] * 4, outcome=["hope"] * 4).iloc[[0, 2]].assign(arm1=["x", "c"], arm2=["c", "y"])
    assert sampling_covariance(table).correlation(0, 1) == pytest.approx(-0.5, abs=0.06)


@given(
    rho=st.floats(0.0, 0.99),
    phi=st.floats(0.0, 0.99),
    d=st.lists(st.floats(-3, 3), min_size=12, max_size=12),
    n=st.lists(st.integers(5, 500), min_size=4, max_size=4),
)
def test_outcomes_times_and_arms_together_give_a_positive_definite_matrix_or_a_clear_refusal(rho, phi, d, n):
    arms = np.repeat([0, 1, 2], 4)
    table = pd.DataFrame({
        "study_id": "a", "arm1": np.array(["x", "y", "z"])[arms], "arm2": "c", "outcome": list("hhss") * 3,
        "months": [0, 6] * 6, "yi": d, "n1": np.array(n)[arms], "n2": n[3], "measure": "SMD",
    })  # fmt: skip
    table["vi"] = 1 / table["n1"] + 1 / table["n2"] + table["yi"] ** 2 / (2 * (table["n1"] + table["n2"]))
    refused = None
    try:
        dense = sampling_covariance(table, rho=rho, time="months", phi=phi).to_dense()
    except DataError as error:
        refused = error
    if refused is None:
        sei = np.sqrt(table["vi"].to_numpy())
        assert np.linalg.eigvalsh(dense / np.outer(sei, sei)).min() > 0
        np.testing.assert_allclose(dense.diagonal(), table["vi"])
    else:
        assert all(fault.row == "a" for fault in refused.faults)
        assert "lower rho or phi" in str(refused)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(seed):
    table = table_of(GOLDEN["vcalc"]["assink_type"])
    order = np.random.default_rng(seed).permutation(len(table))
    options = {"obs": "esid", "type": "deltype", "rho": (0.7, 0.5)}
    there = sampling_covariance(table.iloc[order], **options).to_dense()
    np.testing.assert_allclose(there, dense_of(GOLDEN["vcalc"]["assink_type"])[np.ix_(order, order)], rtol=1e-12)


def test_excluded_rows_take_no_part():
    table = pd.DataFrame({"study_id": ["a", "a", "a"], "outcome": ["x", "y", "z"], "yi": [0.1, None, 0.3],
                          "vi": [0.04, None, 0.09], "exclusion_reason": ["", "sd1 is missing", ""]})  # fmt: skip
    V = sampling_covariance(table, rho=0.5)
    np.testing.assert_allclose(V.to_dense(), [[0.04, 0.03], [0.03, 0.09]])


def plain(**columns):
    return pd.DataFrame({"study_id": ["a", "a", "b"], "yi": [0.1, 0.2, 0.3], "vi": [0.04, 0.09, 0.01], **columns})


def test_without_correlation_every_row_is_a_block():
    assert len(sampling_covariance(plain(), rho=0).blocks) == 3


def test_one_row_is_its_own_covariance():
    assert sampling_covariance(plain().iloc[[2]]).to_dense() == pytest.approx(np.array([[0.01]]))


def test_a_table_without_trials_has_independent_rows():
    V = sampling_covariance(plain().drop(columns="study_id"))
    np.testing.assert_allclose(V.to_dense(), np.diag([0.04, 0.09, 0.01]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rho": 1.2}, "rho 1.2 is not a correlation from -1 to 1"),
        ({"rho": "high"}, "rho 'high' is not a number"),
        ({"rho": float("nan")}, "rho nan is not a correlation"),
        ({"rho": (0.7, 0.5)}, "say by type="),
        ({"rho": 0.5, "type": "kind"}, r"give rho=\(within, between\)"),
        ({"phi": 0.5}, "give time="),
        ({"time": "months"}, "give phi="),
        ({"time": "months", "phi": 1.0}, "give one below 1"),
        ({"time": "months", "phi": -0.2}, "phi -0.2 is not a correlation from 0 to 1"),
        ({"rho": {("x", "y"): 2.0}}, "rho has 1 problem"),
        ({"rho": {("x", "y"): 0.2, ("y", "x"): 0.3}}, "given twice, 0.2 and 0.3"),
        ({"rho": {"x": 0.2}}, "not a pair of names"),
        ({"cluster": "trial"}, "no column 'trial', which cluster= names"),
        ({"obs": ["scale", "form"]}, r"(?s)'scale', which obs= names.*'form', which obs= names"),
        ({"subgroup": 3}, "subgroup must be the name of a column"),
        ({"type": ["kind"], "rho": (0.5, 0.5)}, "type must be the name of a column"),
        ({"obs": []}, "obs must be the name of a column or a list of names"),
        ({"obs": 5}, "obs must be the name of a column or a list of names"),
        ({"rho": True}, "rho True is not a number"),
        ({"rho": None}, "rho None is not a number"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, message):
    with pytest.raises(MetapeerError, match=message):
        sampling_covariance(plain(months=[0, 6, 0], kind=["p", "q", "p"], outcome=["x", "y", "x"]), **options)


@pytest.mark.parametrize("option", ["comparisons", "arm_sizes", "standardiser"])
def test_unknown_choices_are_refused(option):
    with pytest.raises(ChoiceError, match=f"{option} 'other' is unknown"):
        sampling_covariance(plain(), **{option: "other"})


def test_a_matrix_of_correlations_is_checked_cell_by_cell():
    rho = pd.DataFrame([[1, 0.5, 2], [0.4, 1, 0], [2, 0, 0.9]], index=list("xyz"), columns=list("xyz"))
    with pytest.raises(DataError) as caught:
        sampling_covariance(plain(outcome=["x", "y", "x"]), rho=rho)
    assert len(caught.value.faults) == 4  # two cells out of range, one pair that differs, one diagonal


def test_pairs_without_a_correlation_are_listed():
    table = plain(outcome=["x", "y", "x"])
    with pytest.raises(DataError, match="no correlation of 'x' and 'y', which a measured together"):
        sampling_covariance(table, rho={("x", "z"): 0.3})
    assert sampling_covariance(table, rho={("y", "x"): 0.3}).correlation(0, 1) == pytest.approx(0.3)


def test_missing_times_are_listed_where_they_are_needed():
    with pytest.raises(DataError) as caught:
        sampling_covariance(plain(months=[None, 6, None]), time="months", phi=0.9)
    assert [fault.column for fault in caught.value.faults] == ["months"]


def test_a_perfect_correlation_is_refused_with_every_trial_named():
    table = pd.concat([plain(), plain(study_id=["c", "c", "d"])])
    with pytest.raises(DataError, match="give rho below 1") as caught:
        sampling_covariance(table, rho=1)
    assert [fault.row for fault in caught.value.faults] == ["a", "c"]


def test_rows_that_the_named_columns_cannot_tell_apart_are_refused():
    table = plain(outcome=["x", "x", "y"])
    with pytest.raises(DataError, match=r"a: correlation 1 between row 1 \(a, x\); row 2"):
        sampling_covariance(table, obs="outcome")


def test_rows_alike_in_the_usual_columns_are_taken_for_different_measurements_with_a_warning():
    with pytest.warns(DataWarning, match="a: rows that agree in all columns"):
        V = sampling_covariance(plain(outcome=["x", "x", "y"]), rho=0.4)
    assert V.correlation(0, 1) == pytest.approx(0.4)
    assert any("Was one entered twice" in word for word in V.words)


def test_three_comparisons_of_three_arms_are_one_too_many():
    table = pd.DataFrame({"study_id": "a", "arm1": ["x", "y", "x"], "arm2": ["c", "c", "y"], "n1": 20, "n2": 20,
                          "yi": 0.0, "vi": 0.1, "measure": "SMD"})  # fmt: skip
    for nearest in (False, True):
        with pytest.raises(DataError, match="drop a row that follows from the others"):
            sampling_covariance(table, nearest=nearest)


def test_contradictory_correlations_are_refused_for_every_trial():
    rho = {("a", "b"): 0.9, ("b", "c"): 0.9, ("a", "c"): -0.9}
    table = pd.DataFrame({"study_id": np.repeat(["t", "u"], 3), "outcome": list("abc") * 2, "yi": 0.1, "vi": 0.04})
    with pytest.raises(DataError, match="contradict each other") as caught:
        sampling_covariance(table, rho=rho)
    assert [fault.row for fault in caught.value.faults] == ["t", "u"]


def test_missing_arm_sizes_are_listed_and_can_be_taken_for_equal():
    table = two_by_two(n2=[20, 20, None, None])
    with pytest.raises(DataError, match="sizes of arms are missing") as caught:
        sampling_covariance(table)
    assert len(caught.value.faults) == 2
    V = sampling_covariance(two_by_two(n1=[None] * 4, n2=[None] * 4), arm_sizes="equal")
    assert V.correlation(0, 2) == pytest.approx(0.5)
    assert any("equally large" in word for word in V.words)


def test_sizes_are_not_asked_for_where_no_arm_is_shared():
    table = two_by_two(n1=[None] * 4, n2=[None] * 4).iloc[:2]
    assert sampling_covariance(table).correlation(0, 1) == pytest.approx(0.6)


def test_comparisons_without_named_arms_are_taken_to_share_their_control_and_said_to():
    table = two_by_two(comparison=["p", "p", "q", "q"]).drop(columns=["arm1", "arm2"])
    with pytest.warns(DataWarning, match="a: several comparisons and no named arms"):
        V = sampling_covariance(table)
    np.testing.assert_allclose(V.to_dense(), sampling_covariance(two_by_two()).to_dense())
    apart = sampling_covariance(table, comparisons="independent")
    assert [positions.tolist() for positions, _ in apart.blocks] == [[0, 1], [2, 3]]


def test_arms_are_named_for_all_rows_of_a_trial_or_for_none():
    with pytest.raises(DataError, match="arm1: is empty, but the trial names arms"):
        sampling_covariance(two_by_two(arm1=["x", "x", "", "y"]))
    with pytest.raises(DataError, match="a row compares two arms"):
        sampling_covariance(two_by_two(arm1=["x", "x", "C ", "y"]))


def test_subgroups_are_independent_and_named_for_all_rows_of_a_trial():
    table = plain(sex=["women", "men", None], outcome=["x", "y", "z"])
    assert sampling_covariance(table, subgroup="sex").correlation(0, 1) == 0.0
    with pytest.raises(DataError, match="sex: is empty, but other rows"):
        sampling_covariance(plain(sex=["women", None, None]), subgroup="sex")


def test_measures_of_one_group_share_all_participants_unless_their_groups_are_named():
    table = plain(measure="ZCOR", comparison=["p", "q", "p"], outcome=["x", "y", "x"])
    assert sampling_covariance(table, rho=0.3).correlation(0, 1) == pytest.approx(0.3)
    assert sampling_covariance(table.assign(arm1=["p", "q", "p"]), rho=0.3).correlation(0, 1) == 0.0


def test_reported_effects_fall_back_on_sizes_and_events_on_their_cells():
    table = two_by_two(measure="HR", yi=0.0, outcome="death").iloc[[0, 2]]
    assert sampling_covariance(table).correlation(0, 1) == pytest.approx(0.05 / np.sqrt(0.1 * 0.09))
    table = two_by_two(yi=0.1, outcome="death", n1=None, n2=None, total1=20, total2=20, events1=5, events2=4)
    sampling_covariance(table.iloc[[0, 2]])
    assert sampling_covariance(table.iloc[[0, 2]]).correlation(0, 1) == pytest.approx(
        (1 / 4 + 1 / 16) / (1 / 4 + 1 / 16 + 1 / 5 + 1 / 15)
    )


def test_a_zero_cell_does_not_stop_the_shared_arm():
    table = pd.DataFrame({"study_id": "a", "arm1": ["x", "y"], "arm2": "c", "events1": [0, 3], "total1": [20, 20],
                          "events2": [4, 4], "total2": [20, 20]})  # fmt: skip
    for measure in ("RR", "OR", "RD"):
        V = sampling_covariance(effect_size(table, measure=measure))
        assert 0.1 < V.correlation(0, 1) < 0.9


def test_a_covariance_matrix_must_belong_to_the_effects():
    effects = read_effects(plain())
    good = sampling_covariance(plain(), rho=0.5)
    for given_as in (good, good.to_dense(), [m for _, m in good.blocks], None):
        found = read_covariance(given_as, effects)
        np.testing.assert_allclose(found.diagonal(), effects.vi)
    with pytest.raises(DataError, match=r"V has the variance 0\.08 and the table 0\.04"):
        read_covariance(np.diag([0.08, 0.09, 0.01]), effects)
    with pytest.raises(MetapeerError, match="V has 2 rows and 3 effects are pooled"):
        read_covariance(np.diag([0.08, 0.09]), effects)
    with pytest.raises(DataError, match="square"):
        read_covariance([0.04, 0.09, 0.01], effects)
    with pytest.raises(DataError, match="table of numbers"):
        read_covariance("V", effects)


def test_huge_and_tiny_variances_do_no_harm():
    for scale in (1e-100, 1e100):
        V = sampling_covariance(plain(vi=np.array([0.04, 0.09, 0.01]) * scale), rho=0.5)
        assert V.correlation(0, 1) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rho6", {"rho": 0.6, "weighted": True}),
        ("unweighted", {"rho": 0.6}),
        ("id", {"rho": 0.0, "weighted": True}),
        ("V", {"V": True, "weighted": True}),
        ("V_unweighted", {"V": True}),
    ],
)
def test_averages_within_trials_are_those_of_aggregate_in_metafor(name, options):
    table = table_of(GOLDEN["vcalc"]["assink_type"])
    if "V" in options:
        options = options | {"V": sampling_covariance(table, obs="esid", type="deltype", rho=(0.7, 0.5))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of weights below zero, tested on their own
        found = average_within_trial(table, **options)
    np.testing.assert_allclose(found["yi"], GOLDEN["aggregates"][name]["yi"], rtol=1e-9)
    np.testing.assert_allclose(found["vi"], GOLDEN["aggregates"][name]["vi"], rtol=1e-9)


def test_weights_below_zero_are_told():
    with pytest.warns(DataWarning, match="a: some effects have a weight below zero"):
        average_within_trial(plain(), rho=0.9, weighted=True)


def test_a_covariance_and_one_correlation_for_all_average_alike():
    table = table_of(GOLDEN["vcalc"]["assink_obs"])
    V = sampling_covariance(table, obs="esid", rho=0.6)
    one = average_within_trial(table, rho=0.6, by=["study_id", "deltype"])
    two = average_within_trial(table, V=V, by=["study_id", "deltype"])
    np.testing.assert_allclose(one["vi"], two["vi"], rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"rho": 0.5, "V": np.eye(3)}])
def test_averaging_takes_either_a_correlation_or_a_covariance(options):
    with pytest.raises(MetapeerError, match="give either rho"):
        average_within_trial(plain(), **options)


def test_weighting_by_a_singular_covariance_is_refused():
    with pytest.raises(DataError, match="determine each other"):
        average_within_trial(plain(), rho=1.0, weighted=True)


def test_no_word_of_a_result_bears_a_placeholder():
    words = " ".join(sampling_covariance(two_by_two()).words)
    assert re.search(r"[{}]|nan|None", words) is None


def test_a_description_counts_what_pairs_of_each_trial_share():
    table = pd.concat([two_by_two(), plain(study_id=["t", "t", "u"], outcome=["x", "y", "x"])], ignore_index=True)
    table["sex"] = ["all"] * 4 + ["women", "men", "all"]
    found = describe_dependence(table.drop(columns="measure"), subgroup="sex")
    frame = found.to_frame().set_index("trial")
    assert frame.loc["a", ["effects", "pairs", "participants", "one_arm", "trial_only"]].tolist() == [4, 6, 2, 4, 0]
    assert frame.loc["t", ["participants", "one_arm", "trial_only"]].tolist() == [0, 0, 1]
    assert frame.loc["u", "pairs"] == 0
    pairs = found.to_frame(pairs=True)
    assert pairs["shares"].value_counts().to_dict() == {"one arm": 4, "participants": 2, "trial only": 1}
    assert pairs.loc[pairs["trial"] == "t", "differ_in"].tolist() == ["outcome, sex"]
    assert pairs.loc[(pairs["row1"] == 0) & (pairs["row2"] == 3), "differ_in"].tolist() == ["outcome, arm1"]


def test_a_description_marks_what_had_to_be_assumed():
    found = describe_dependence(two_by_two(comparison=["p", "p", "q", "q"]).drop(columns=["arm1", "arm2"]))
    assert found.assumed == ("a",)
    assert found.to_frame()["assumed"].tolist() == [True]
    assert "a *" in found.summary()


def test_many_trials_are_described_and_not_all_printed():
    many = pd.concat([plain(study_id=[f"t{i}", f"t{i}", f"u{i}"]) for i in range(40)])
    found = describe_dependence(many)
    assert found.to_frame()["participants"].sum() == 40
    assert "and 10 more trials" in found.summary()


def test_a_description_of_nothing_is_empty():
    nothing = plain(exclusion_reason="not wanted")
    assert describe_dependence(nothing).to_frame().empty
    assert sampling_covariance(nothing).k == 0


def test_a_row_without_a_trial_cannot_be_averaged():
    table = pd.DataFrame({"study_id": ["", "a"], "yi": [0.1, 0.2], "vi": [0.01, 0.01]})
    with pytest.raises(DataError, match="study_id: is empty"):
        average_within_trial(table, rho=0.5)


@pytest.mark.parametrize("rho", ["a", True, math.nan, 1.2])
def test_a_correlation_that_is_none_is_refused(rho):
    table = pd.DataFrame({"study_id": ["a", "a"], "yi": [0.1, 0.2], "vi": [0.01, 0.01]})
    with pytest.raises(MetapeerError, match="is not a correlation between 0 and 1"):
        average_within_trial(table, rho=rho)
