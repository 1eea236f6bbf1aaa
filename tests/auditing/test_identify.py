"""Which analyses print the numbers of a paper: the true one is always among them; what excludes the rest is so."""

import dataclasses
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer import (
    average_within_trial,
    effect_size,
    load_dataset,
    mantel_haenszel,
    meta_analysis,
    peto,
)
from metapeer.auditing.findings import Finding
from metapeer.auditing.identify_analyses import identify
from metapeer.auditing.identify_space import SAME_TAU2, VALUES
from metapeer.auditing.rounding import read_printed
from metapeer.errors import ChoiceError, DataError, MetapeerError
from metapeer.pooling.inference import GOES_WITH
from metapeer.pooling.tau2 import TAU2_METHODS

pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")  # of the doors that make the prints

EFFECTS = pd.DataFrame({
    "study_id": list("abcdefgh"),
    "yi": [0.12, 0.31, 0.35, 0.65, 0.45, 0.15, -0.21, 0.55],
    "vi": [0.03, 0.031, 0.05, 0.011, 0.052, 0.023, 0.04, 0.06],
})  # fmt: skip
EVENTS = pd.DataFrame({
    "study_id": list("abcdef"),
    "events1": [12, 0, 5, 8, 3, 7], "total1": [50, 30, 20, 60, 44, 71],
    "events2": [20, 2, 0, 11, 6, 9], "total2": [50, 31, 20, 61, 40, 70],
})  # fmt: skip
QUICK = {"ci_method": ["z", "t", "HK"]}


def printed_from(fit, digits, *, display=float, i2="tau2"):
    """What a paper would print of a result."""
    numbers = {
        "estimate": display(fit.estimate), "ci_low": display(fit.ci.low), "ci_high": display(fit.ci.high),
        "I2": fit.I2 if i2 == "tau2" else fit.I2_Q, "tau2": fit.tau2, "Q": fit.Q, "p": fit.p_value,
    }  # fmt: skip
    return {"k": str(fit.k)} | {q: f"{v:.{digits}f}" for q, v in numbers.items() if not math.isnan(v)}


@pytest.fixture(scope="module")
def smit2023():
    review = load_dataset("smit2023")
    rows = review.rows(review.outcomes)
    rows = rows.drop(columns="note")
    printed = review.published.to_dict("records")
    tables = {one["published_id"]: rows[rows["outcome_group"] == one["published_id"]] for one in printed}
    return tables, {one["published_id"]: one for one in printed}


@pytest.fixture(scope="module")
def found_in_smit2023(smit2023):
    return identify(*smit2023)


def test_smit2023_pooled_its_three_outcomes_by_reml_with_hartung_knapp_and_i2_from_q(found_in_smit2023):
    wanted = {
        "effects": "review", "within_trial": "independent", "tau2_method": "REML", "ci_method": "HK", "I2": "Q",
        "I2_ci": "test-based", "direction": "as it is",
    }  # fmt: skip
    assert any(all(getattr(a, n) == v for n, v in wanted.items()) for a in found_in_smit2023.analyses)


def test_what_fits_smit2023_beside_it_is_listed_and_nothing_else(found_in_smit2023):
    # Hunter and Schmidt's tau² is the one other that all 21 printed numbers allow; guarded forms of Hartung-Knapp do
    # nothing where q is above 1.
    assert set(found_in_smit2023.fitting("tau2_method")) == {"REML", "HS"}
    assert set(found_in_smit2023.fitting("ci_method")) == {"HK", "HK_se", "HK_ci", "HK_IQWiG6"}
    assert len(found_in_smit2023.analyses) == 8
    assert len(found_in_smit2023.fits) == 2


@pytest.mark.parametrize(
    ("choice", "value", "quantity", "outcome", "computed"),
    [
        ("ci_method", "z", "ci_high", "personal recovery", 0.26),
        ("tau2_method", "DL", "ci_low", "clinical recovery", 0.10),
        ("tau2_method", "ML", "estimate", "personal recovery", 0.16),
        ("tau2_method", "PM", "ci_high", "personal recovery", 0.26),
        ("I2_ci", "QP", "I2_ci_high", "clinical recovery", 73),
        ("within_trial", "first row", "k", "clinical recovery", 21),
    ],
)
def test_each_excluded_choice_names_the_printed_digit_that_excludes_it(
    found_in_smit2023, choice, value, quantity, outcome, computed
):
    first = found_in_smit2023.excluded_by(choice, value)[0]
    assert (first.quantity, first.outcome, float(first.shown())) == (quantity, outcome, computed)


def test_numbers_of_fitting_analyses_are_those_of_the_pooling_door(smit2023, found_in_smit2023):
    for name, rows in smit2023[0].items():
        effects = effect_size(rows, prefer="review")
        for fit in found_in_smit2023.fits:
            analysis = fit.analyses[0]
            door = meta_analysis(effects, tau2_method=analysis.tau2_method, ci_method=analysis.ci_method)
            expected = {"estimate": door.estimate, "ci_low": door.ci.low, "ci_high": door.ci.high, "I2": door.I2_Q}
            for quantity, value in expected.items():
                assert fit.numbers[name, quantity] == pytest.approx(value, rel=1e-12)


def arms_table(rng, trials, most):
    rows = []
    for i in range(trials):
        effect = rng.normal(0.3, 0.3)
        for _ in range(rng.integers(1, most + 1)):
            n1, n2 = (int(n) for n in rng.integers(12, 90, 2))
            rows.append({
                "study_id": f"t{i}", "direction": "higher_better",
                "n1": n1, "mean1": round(10 + 3 * (effect + rng.normal(0, 0.1)), 2), "sd1": round(rng.uniform(2, 4), 2),
                "n2": n2, "mean2": 10.0, "sd2": round(rng.uniform(2, 4), 2),
            })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_true_method_is_always_in_the_set(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    table = arms_table(rng, data.draw(st.integers(4, 9)), data.draw(st.integers(1, 2)))
    variance = data.draw(st.sampled_from(VALUES["variance"][:-1]))
    effects = effect_size(table, variance=variance)
    rho = data.draw(st.sampled_from([None, 0.0, 0.5, 0.8, 1.0]))
    several = len(table) > table["study_id"].nunique()
    if rho is not None:
        effects = average_within_trial(effects, rho=rho)
    ci_method = data.draw(st.sampled_from(["z", "t", "HK", "HK_se", "HK_ci", "HK_IQWiG6", "KR", "IVhet", "PL"]))
    tau2_method = GOES_WITH.get(ci_method) or data.draw(st.sampled_from(TAU2_METHODS))
    i2 = data.draw(st.sampled_from(["tau2", "Q"]))
    fit = meta_analysis(effects, tau2_method=tau2_method, ci_method=ci_method)
    printed = printed_from(fit, data.draw(st.integers(2, 3)), i2=i2)
    printed = {
        q: text for q, text in printed.items() if q in data.draw(st.sets(st.sampled_from([*printed]))) | {"ci_low"}
    }
    quick = sorted({"z", "HK", ci_method})
    found = identify(table, printed, published_as="SMD", space={"ci_method": quick, "effects": ["arms"]})
    true = {
        "variance": variance,
        "within_trial": "independent" if rho is None or not several else f"average rho {rho:g}",
    }
    true |= {"tau2_method": SAME_TAU2.get(tau2_method, tau2_method), "ci_method": ci_method}
    true |= {"I2": i2} if "I2" in printed else {}
    assert any(all(getattr(a, n) == v for n, v in true.items()) for a in found.analyses)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.booleans())
def test_every_number_of_a_fitting_analysis_agrees_with_its_printed_digits(seed, digits, few):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"yi": rng.normal(0.2, 0.4, 6), "vi": rng.uniform(0.02, 0.2, 6)})
    printed = printed_from(meta_analysis(table, tau2_method="DL", ci_method="z"), digits)
    if few:
        printed = {"estimate": printed["estimate"]}
    found = identify(table, printed, space=QUICK)
    assert found.analyses
    for fit in found.fits:
        for (_, quantity), value in fit.numbers.items():
            assert read_printed(printed[quantity]).agrees(value), quantity
    for gone in found.exclusions:
        assert gone.mismatches
        assert not any(getattr(a, gone.choice) == gone.value for a in found.analyses)
        for miss in gone.mismatches:
            assert not read_printed(miss.printed).agrees(miss.computed)
            assert float(miss.shown()) != float(miss.printed) or math.isnan(miss.computed)


@pytest.mark.parametrize(
    ("fit", "measure", "tau2_method", "zero_cells"),
    [
        (mantel_haenszel(EVENTS, measure="RR"), "RR", "MH", "only0"),
        (mantel_haenszel(EVENTS, measure="OR", zero_cells="only0"), "OR", "MH_added", "only0"),
        (mantel_haenszel(EVENTS, measure="OR", zero_cells="only0", model="random"), "OR", "MH_random_added", "only0"),
        (mantel_haenszel(EVENTS, measure="RD"), "RD", "MH", "only0"),
        (peto(EVENTS), "PETO", "common", ""),
        (
            meta_analysis(effect_size(EVENTS, measure="OR", add="TACC"), tau2_method="DL", ci_method="z"),
            "OR", "DL", "TACC",
        ),
    ],
)  # fmt: skip
def test_pooled_counts_are_identified(fit, measure, tau2_method, zero_cells):
    display = float if measure == "RD" else math.exp
    printed = printed_from(fit, 3, display=display, i2="Q")
    del printed["tau2"]
    found = identify(EVENTS, printed)
    fitting = {(a.measure, a.tau2_method, a.zero_cells) for a in found.analyses}
    assert (measure, tau2_method, zero_cells) in fitting
    assert {a.measure for a in found.analyses} == {measure}
    assert set(found.fitting("scale")) == {"as pooled" if measure == "RD" else "exponentiated"}


def test_first_and_largest_rows_of_trials_are_told_apart():
    table = EFFECTS.assign(study_id=list("aabbcdef"), n1=[50, 90, 20, 30, 40, 40, 40, 40], n2=40)
    for rows, name in (([0, 2, 4, 5, 6, 7], "first row"), ([1, 3, 4, 5, 6, 7], "largest row")):
        printed = printed_from(meta_analysis(table.iloc[rows]), 3)
        assert identify(table, printed).fitting("within_trial") == (name,)


def test_k_may_count_trials_while_rows_are_pooled():
    table = EFFECTS.assign(study_id=list("aabbcdef"))
    printed = printed_from(meta_analysis(EFFECTS), 3) | {"k": "6"}
    found = identify(table, printed)
    assert (found.fitting("k_of"), found.fitting("within_trial")) == (("trials",), ("independent",))


def test_a_turned_sign_and_a_ratio_scale_are_found():
    fit = meta_analysis(EFFECTS)
    found = identify(EFFECTS, printed_from(fit, 3, display=lambda x: math.exp(-x)) | {
        "ci_low": f"{math.exp(-fit.ci.high):.3f}", "ci_high": f"{math.exp(-fit.ci.low):.3f}"
    })  # fmt: skip
    assert found.fitting("direction") == ("turned",)
    assert found.fitting("scale") == ("exponentiated",)


@pytest.mark.slow
def test_prediction_intervals_are_told_apart():
    for method in ("V", "HTS", "HK", "HK-PR", "KR", "NNF", "S"):
        fit = meta_analysis(EFFECTS, prediction_method=method)
        pi = {"pi_low": f"{fit.prediction_interval.low:.4f}", "pi_high": f"{fit.prediction_interval.high:.4f}"}
        found = identify(EFFECTS, printed_from(fit, 4) | pi)
        assert method in found.fitting("prediction_method")
        assert len(found.fitting("prediction_method")) == 1


def test_excluded_rows_put_back_and_suspicious_rows_left_out_are_searched():
    table = EFFECTS.assign(exclusion_reason=["", "", "", "", "", "", "", "too late"])
    assert identify(table, printed_from(meta_analysis(EFFECTS), 4)).fitting("rows") == ("with excluded",)
    doubt = Finding(
        check="x",
        severity="suspicion",
        rows=(3,),
        columns=(),
        message="",
        evidence="",
        look_up="",
        instead={3: (-0.65, 0.011)},
    )
    without = printed_from(meta_analysis(EFFECTS.drop(index=3)), 4)
    assert identify(EFFECTS, without, findings=[doubt]).fitting("rows") == ("without suspicious",)
    corrected = EFFECTS.assign(yi=EFFECTS["yi"].where(EFFECTS.index != 3, -0.65), vi=EFFECTS["vi"])
    found = identify(EFFECTS, printed_from(meta_analysis(corrected), 4), findings=[doubt])
    assert "corrected as the audit suggests (x)" in {change.change for change in found.changes}


def test_a_tie_may_have_been_rounded_either_way():
    table = pd.DataFrame({"yi": [0.25, 0.25], "vi": [0.5, 0.5]})
    for text in ("0.2", "0.3"):
        assert identify(table, {"estimate": text}).fits
    assert not identify(table, {"estimate": "0.4"}, changes=False).fits


def test_a_bound_is_a_printed_number_too():
    fit = meta_analysis(EFFECTS, ci_method="HK")
    found = identify(EFFECTS, printed_from(fit, 3) | {"p": "<0.05" if fit.p_value < 0.05 else ">.05"})
    assert "HK" in found.fitting("ci_method")
    assert not identify(EFFECTS, printed_from(fit, 3) | {"p": "<1e-9"}, changes=False).fits


ARMS = arms_table(np.random.default_rng(4), 8, 1)


def planted(kind, row):
    """The table that the paper pooled, and the one in hand, which differs in one row."""
    wrong = ARMS.copy()
    wrong[["sd1", "sd2"]] = wrong[["sd1", "sd2"]].astype(float)
    if kind == "sign":
        wrong.loc[row, ["mean1", "mean2"]] = ARMS.loc[row, ["mean2", "mean1"]].to_numpy()
    elif kind == "se":
        wrong.loc[row, "sd1"] = ARMS.loc[row, "sd1"] / math.sqrt(ARMS.loc[row, "n1"])
        wrong.loc[row, "sd2"] = ARMS.loc[row, "sd2"] / math.sqrt(ARMS.loc[row, "n2"])
    elif kind == "extra":
        wrong = pd.concat([ARMS, ARMS.iloc[[row]].assign(study_id="extra", mean1=14.0)], ignore_index=True)
    elif kind == "n":
        wrong.loc[row, ["n1", "n2"]] = ARMS.loc[row, ["n2", "n1"]].to_numpy()
    return wrong


@pytest.mark.sampled(keep=5)
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("sign", "its sign turned"),
        ("se", "its SDs times √n, as if they were standard errors"),
        ("extra", "left out"),
        ("n", "n1 and n2 exchanged"),
    ],
)
@pytest.mark.parametrize("row", [1, 5])
@pytest.mark.parametrize("variance", ["UB", "AV"])
def test_one_planted_error_is_found_by_the_smallest_change(kind, words, row, variance):
    printed = printed_from(meta_analysis(effect_size(ARMS, variance=variance), tau2_method="PM", ci_method="HK"), 4)
    table = planted(kind, row)
    space = QUICK | {"tau2_method": ["REML", "DL", "PM", "ML"]}
    found = identify(table, printed, published_as="SMD", space=space)
    at = len(table) - 1 if kind == "extra" else row
    assert not found.fits
    assert (at, words) in {(change.row, change.change) for change in found.changes}
    change = next(c for c in found.changes if (c.row, c.change) == (at, words))
    assert change.name == table["study_id"].iloc[at]
    assert any((a.variance, a.tau2_method, a.ci_method) == (variance, "PM", "HK") for a in change.analyses)


def test_a_change_of_one_outcome_must_leave_the_same_method_for_the_others():
    fit = meta_analysis(EFFECTS, tau2_method="DL", ci_method="z")
    turned = EFFECTS.assign(yi=EFFECTS["yi"].where(EFFECTS.index != 2, -0.35))
    printed = printed_from(fit, 4)
    found = identify({"good": EFFECTS, "bad": turned}, {"good": printed, "bad": printed}, space=QUICK)
    assert {(c.outcome, c.row, c.change) for c in found.changes} == {("bad", 2, "its sign turned")}
    assert {(a.tau2_method, a.ci_method) for a in found.changes[0].analyses} == {("DL", "z")}


def test_absurd_numbers_fit_nothing_and_the_nearest_is_described():
    found = identify(EFFECTS, {"estimate": "17.4", "ci_low": "17.2", "ci_high": "17.5", "k": "8"}, space=QUICK)
    assert (found.fits, found.changes, found.analyses) == ((), (), ())
    assert found.nearest.agreeing == 1
    assert {miss.quantity for miss in found.nearest.mismatches} == {"estimate", "ci_low", "ci_high"}
    assert found.changes_searched == 6 * len(EFFECTS)
    text = str(found)
    assert "No analysis prints these numbers" in text
    assert "None of 48 single changes" in text
    assert found.to_frame().empty


def test_missing_rows_are_said_to_be_missing_rather_than_explained_away():
    printed = printed_from(meta_analysis(EFFECTS), 3)
    found = identify(EFFECTS.iloc[:5], printed)
    assert not found.fits
    assert not found.changes
    assert "k" in {miss.quantity for miss in found.nearest.mismatches}


def test_a_single_study_and_two_equal_ones_are_no_trouble():
    one = pd.DataFrame({"yi": [0.3], "vi": [0.04]})
    assert identify(one, {"estimate": "0.30", "ci_low": "-0.09"}).fits
    two = pd.DataFrame({"yi": [0.3, 0.3], "vi": [0.04, 0.04]})
    assert identify(two, {"estimate": "0.30", "I2": "0%", "ci_high": "0.30"}).fitting("ci_method")
    assert identify(two, {"I2_ci_low": "0", "estimate": "0.3"}).fitting("I2_ci") in ((), ("QP",))


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e30, 1e30), st.floats(1e-20, 1e20)), min_size=1, max_size=4))
def test_numbers_however_far_apart_are_searched_without_a_crash(pairs):
    table = pd.DataFrame(pairs, columns=["yi", "vi"])
    found = identify(table, {"estimate": "0.3", "ci_low": "0.1", "pi_high": "3", "I2_ci_high": "5"}, space=QUICK)
    assert found.searched > 0


def test_all_that_can_be_wrong_with_printed_numbers_is_said_at_once():
    with pytest.raises(ChoiceError, match="Did you mean 'estimate'"):
        identify(EFFECTS, {"estimte": "0.1"})
    with pytest.raises(DataError) as caught:
        identify(EFFECTS, {"estimate": "about 0.2", "k": "2.5", "p": 0.05})
    assert len(caught.value.faults) == 3
    with pytest.raises(DataError, match="k alone"):
        identify(EFFECTS, {"k": "8"})
    with pytest.raises(DataError, match="second time"):
        identify(EFFECTS, {"es": "0.1", "estimate": "0.1"})


@pytest.mark.parametrize(
    ("data", "printed", "options"),
    [
        (EFFECTS.iloc[:0], {"estimate": "0.1"}, {}),
        (EFFECTS[["study_id"]], {"estimate": "0.1"}, {}),
        (EFFECTS, None, {}),
        (EFFECTS, "0.1", {}),
        ("table.csv", {"estimate": "0.1"}, {}),
        ({}, {}, {}),
        ({"a": EFFECTS}, {"estimate": "0.1"}, {}),
        ({"a": EFFECTS}, {"a": "0.1"}, {}),
        ({"a": EFFECTS}, {"b": {"estimate": "0.1"}}, {}),
        ({"a": "table"}, {"a": {"estimate": "0.1"}}, {}),
        (EFFECTS, {"estimate": "0.1"}, {"space": {"tau2": ["DL"]}}),
        (EFFECTS, {"estimate": "0.1"}, {"space": {"tau2_method": ["RELM"]}}),
        (EFFECTS, {"estimate": "0.1"}, {"space": {"tau2_method": []}}),
        (EFFECTS, {"estimate": "0.1"}, {"space": ["DL"]}),
        (EFFECTS, {"estimate": "0.1"}, {"published_as": "RRR"}),
        (EFFECTS, {"estimate": "0.1"}, {"findings": ["row 3"]}),
        (EFFECTS, {"estimate": "0.1"}, {"findings": {"x": []}}),
        (EFFECTS, {"estimate": "0.1"}, {"level": 2}),
        (EFFECTS.assign(vi=-1.0), {"estimate": "0.1"}, {}),
        (EFFECTS.assign(yi="a lot"), {"estimate": "0.1"}, {}),
    ],
)
def test_bad_input_is_refused_in_words(data, printed, options):
    with pytest.raises(MetapeerError):
        identify(data, printed, **options)


def test_space_restricts_what_is_searched_and_takes_names_of_equal_estimators():
    printed = printed_from(meta_analysis(EFFECTS, tau2_method="EB"), 4)
    found = identify(EFFECTS, printed, space={"tau2_method": ["EB", "DL"], "ci_method": "HK"})
    assert (found.fitting("tau2_method"), found.fitting("ci_method")) == (("PM",), ("HK",))
    assert {gone.value for gone in found.exclusions if gone.choice == "tau2_method"} == {"DL"}
    assert found.excluded_by("tau2_method", "EB") == ()


def test_effects_that_few_rows_have_are_said_to_be_few():
    both = pd.concat([EVENTS, ARMS], ignore_index=True)
    found = identify(both, printed_from(meta_analysis(effect_size(EVENTS, measure="RR")), 3, display=math.exp, i2="Q"))
    assert found.fitting("effects") == ("events",)
    assert any(note.startswith(f"Only 6 of {len(both)} rows") for note in found.notes)


def test_a_search_gives_no_warning(smit2023):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = identify(*(of["personal recovery"] for of in smit2023), space=QUICK)
    assert found.fits


def test_progress_is_told_to_its_end():
    steps = []
    identify(ARMS, {"estimate": "0.3"}, space=QUICK, progress=lambda done, of: steps.append((done, of)))
    assert steps == [(i + 1, len(steps)) for i in range(len(steps))]


def test_the_result_is_frozen_and_its_frame_has_a_row_for_each_analysis(found_in_smit2023):
    with pytest.raises(dataclasses.FrozenInstanceError):
        found_in_smit2023.searched = 0
    frame = found_in_smit2023.to_frame()
    assert len(frame) == len(found_in_smit2023.analyses) == 8
    assert frame.loc[0, "clinical recovery: estimate"] == pytest.approx(0.18945, abs=1e-5)
    assert frame["group"].nunique() == len(found_in_smit2023.fits)
    assert found_in_smit2023._repr_html_().count("<table>") == 4
