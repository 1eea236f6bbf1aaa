"""An update: before and after are what pooling alone gives, shares add up, and nothing new is lost or counted twice."""

import math
import shutil
from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import metapeer as mp
from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.living.update_changes import MOST_EXACT, QUANTITIES, shapley
from metapeer.living.update_forest import change_table
from metapeer.living.update_run import diff, update
from metapeer.records.catalog import datasets_root, load_dataset
from metapeer.records.csvfile import read_outcomes
from metapeer.reproduction.run import reproduce


def new_trial(name="smith2026", outcome="recovery", **cells):
    return {
        "study_id": name,
        "outcome": outcome,
        "format": "group",
        "timepoint": "end_of_treatment",
        "direction": "higher_better",
        "n1": 60,
        "mean1": 31.0,
        "sd1": 8.0,
        "n2": 58,
        "mean2": 29.0,
        "sd2": 9.0,
        **cells,
    }


def table(*rows):
    return pd.DataFrame(list(rows))


def totals(change):
    return {name: math.fsum(getattr(share, name) for share in change.shares) for name in QUANTITIES}


def adds_up(change):
    for name, total in totals(change).items():
        assert total == pytest.approx(change.change[name], rel=0, abs=1e-12), name


@pytest.fixture(scope="module")
def lyons():
    return load_dataset("lyons2021")


@pytest.fixture(scope="module")
def smit():
    return load_dataset("smit2023")


# --- before and after


def test_before_is_what_reproduce_sets_beside_the_claims(lyons):
    found = update(lyons, table(new_trial()))
    ledger = reproduce("lyons2021")
    for claim, outcome in (
        ("lyons-recovery", "recovery"),
        ("lyons-hope", "hope"),
        ("lyons-empowerment", "empowerment"),
    ):
        theirs = ledger[claim].results[outcome]
        assert found.before[outcome].estimate == theirs.estimate
        assert tuple(found.before[outcome].ci) == tuple(theirs.ci)
        assert found[outcome].judged_before.verdict == ledger[claim].verdict


def test_after_is_the_pooled_effect_of_a_folder_that_has_the_row(lyons, smit, tmp_path):
    trial = new_trial(outcome_class="psychosocial", instrument="RAS - total", eligibility_doubt="")
    found = update(lyons, table(trial))["recovery"]
    folder = tmp_path / "smit2023"
    shutil.copytree(smit.path, folder)
    (folder / "datapackage.json").unlink()
    header = (folder / "outcomes.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    line = ",".join(str((trial | {"row_id": "smith2026.1", "source": "x"}).get(name, "")) for name in header)
    with (folder / "outcomes.csv").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    with (folder / "trials.csv").open("a", encoding="utf-8") as file:
        names = (folder / "trials.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
        cells = {"study_id": "smith2026", "citation": "Smith 2026", "source": "x"}
        file.write(",".join(cells.get(name, "") for name in names) + "\n")
    ledger = reproduce([folder, "lyons2021"])
    theirs = ledger["lyons-recovery"].results["recovery"]
    assert found.after.estimate == pytest.approx(theirs.estimate, rel=1e-13)
    assert found.after.k == theirs.k == found.before.k + 1


def test_a_table_read_from_a_file_gives_the_same(lyons, tmp_path):
    rows = table(new_trial())
    path = tmp_path / "trial.csv"
    rows.to_csv(path, index=False)
    given = (rows, path, read_outcomes(path))
    one, two, three = (update(lyons, new, outcomes="recovery") for new in given)
    assert one.after["recovery"].estimate == two.after["recovery"].estimate == three.after["recovery"].estimate


def test_outcomes_that_nothing_happened_to_are_as_before(lyons):
    found = update(lyons, table(new_trial()))
    assert [change.outcome for change in found.moved] == ["recovery"]
    assert found["hope"].shares == ()
    assert "outcomes as before" in found.summary()


# --- shares


def test_a_single_new_trial_has_the_whole_change(lyons):
    change = update(lyons, table(new_trial()), outcomes="recovery")["recovery"]
    (share,) = change.shares
    assert (share.stage, share.what) == ("new trial", "smith2026")
    adds_up(change)


@pytest.mark.slow
def test_shares_of_three_trials_are_the_mean_over_all_orders_of_entry(lyons):
    trials = [new_trial("a", mean1=35.0), new_trial("b", mean1=27.0, n1=200, n2=190), new_trial("c", sd1=20.0)]
    change = update(lyons, table(*trials), outcomes="recovery")["recovery"]
    adds_up(change)
    worth = {
        frozenset(chosen): update(lyons, table(*(t for t in trials if t["study_id"] in chosen)), outcomes="recovery")[
            "recovery"
        ].after.estimate
        for chosen in (("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c"))
    } | {frozenset(): change.before.estimate}
    by_hand = dict.fromkeys("abc", 0.0)
    for order in permutations("abc"):
        for place, name in enumerate(order):
            by_hand[name] += (worth[frozenset(order[: place + 1])] - worth[frozenset(order[:place])]) / 6
    for share in change.shares:
        assert share.estimate == pytest.approx(by_hand[share.what], abs=1e-12)


def test_the_order_of_the_table_does_not_matter(lyons):
    trials = [new_trial("a", mean1=35.0), new_trial("b", mean1=27.0)]
    one, two = (update(lyons, table(*rows), outcomes="recovery")["recovery"] for rows in (trials, trials[::-1]))
    shares = [{share.what: share.estimate for share in change.shares} for change in (one, two)]
    assert shares[0] == pytest.approx(shares[1], abs=1e-12)


def test_corrections_selection_method_and_trials_add_up_together(smit):
    trials = table(
        new_trial("a", outcome_group="clinical recovery", format="one_to_one"),
        new_trial("b", outcome_group="clinical recovery", mean1=20.0),
    )
    found = update(
        smit,
        trials,
        by="analysis",
        overrides="apply",
        method={"tau2_method": "DL", "within_trial": "average", "rho": 0.6},
        where={"format": ["group", "one_to_one"]},
    )
    change = found["clinical recovery"]
    assert {share.stage for share in change.shares} == {"correction", "selection", "method", "new trial"}
    for one in found.moved:
        adds_up(one)
    frame = found.to_frame().set_index("outcome")
    parts = frame[["corrections", "selection", "method", "new_trials"]].sum(axis=1)
    assert np.allclose(parts, frame["change"], rtol=0, atol=1e-12)


def test_a_corrections_share_is_what_it_does_alone_under_the_old_method(smit):
    alone = update(smit, None, by="analysis", overrides="apply")["personal recovery"]
    both = update(smit, None, by="analysis", overrides="apply", method={"tau2_method": "DL"})["personal recovery"]
    moved = [share.estimate for share in both.shares if share.stage == "correction"]
    assert math.fsum(moved) == pytest.approx(alone.change["estimate"], abs=1e-12)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.floats(20, 40), st.integers(5, 400), st.floats(2, 15), st.sampled_from(["recovery", "hope"])),
        min_size=1,
        max_size=5,
    )
)
def test_shares_always_add_up(lyons, trials):
    rows = [new_trial(f"t{i}", outcome, mean1=m, n1=n, sd1=s) for i, (m, n, s, outcome) in enumerate(trials)]
    found = update(lyons, table(*rows), outcomes=sorted({row["outcome"] for row in rows}))
    assert found.moved
    for change in found.moved:
        adds_up(change)


def test_beyond_ten_trials_orders_are_drawn_and_shares_still_add_up(lyons):
    rows = table(*(new_trial(f"t{i:02}", mean1=25.0 + i) for i in range(MOST_EXACT + 2)))
    one, two = (update(lyons, rows, outcomes="recovery", orders=10, seed=3)["recovery"] for _ in range(2))
    assert not one.exact
    assert "drawn" in one.summary()
    adds_up(one)
    assert [share.estimate for share in one.shares] == [share.estimate for share in two.shares]


def test_drawn_shares_approach_the_exact_ones():
    worth = np.random.default_rng(1).normal(size=1 << 9)
    value = lambda chosen: np.array([worth[chosen]])  # noqa: E731
    exact, every = shapley(value, 9)
    assert every
    from metapeer.living.update_changes import _over_orders

    drawn = _over_orders(value, 9, 6000, 1)
    assert np.abs(drawn - exact).max() < 0.1
    assert drawn.sum() == pytest.approx(exact.sum(), abs=1e-12)


def test_who_changes_nothing_gets_nothing_and_equals_get_equal():
    shares, _ = shapley(lambda chosen: np.array([float((chosen & 0b011).bit_count() ** 2)]), 3)
    assert shares.ravel().tolist() == pytest.approx([2.0, 2.0, 0.0])


def test_a_quantity_that_is_not_defined_on_the_way_has_no_shares(lyons):
    change = update(lyons, table(new_trial(outcome="loneliness"), new_trial("b", "loneliness", mean1=20.0)))[
        "loneliness"
    ]
    assert change.before.k == 1
    assert all(math.isnan(share.tau2) for share in change.shares)
    assert totals(change)["estimate"] == pytest.approx(change.change["estimate"], abs=1e-12)


# --- two states


def test_a_copy_under_another_name_differs_in_nothing(smit, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(smit.path, folder)
    found = diff("smit2023", folder, by="analysis")
    assert found.moved == ()
    assert "No pooled number changed" in found.summary()


@pytest.mark.parametrize("name", ["white2020", "lyons2021", "smit2023", "other_reviews", "updates", "chien2019"])
def test_a_review_compared_with_itself_has_not_moved(name):
    assert diff(name, name).moved == ()


def test_a_small_change_is_told_with_enough_digits(lyons):
    words = update(lyons, table(new_trial()), outcomes="recovery").words()
    assert "from 0.226 (" in words
    assert "to 0.227 (" in words or "to 0.226 (" in words


def test_a_row_taken_out_is_a_change_of_selection(smit):
    out = smit.outcomes[smit.outcomes["study_id"] != "cook2012a"]
    change = diff(smit, replace(smit, outcomes=out), by="analysis")["personal recovery"]
    assert [(share.stage, share.what) for share in change.shares] == [("selection", "cook2012a out")]
    adds_up(change)


def test_a_cell_that_differs_is_a_correction_and_a_row_more_is_new(smit):
    rows = smit.outcomes.copy()
    where = rows["study_id"] == "cook2012a"
    rows.loc[where, "review_yi"] = rows.loc[where, "review_yi"] + 0.2
    more = rows[rows["study_id"] == "cook2012b"].assign(study_id="zz", row_id=lambda f: "zz." + f["row_id"])
    after = replace(smit, outcomes=pd.concat([rows, more], ignore_index=True), trials=smit.trials)
    change = diff(smit, after, by="analysis")["personal recovery"]
    assert sorted((share.stage, share.what.split(".")[0]) for share in change.shares) == [
        ("correction", "cook2012a"),
        ("new trial", "zz"),
    ]
    adds_up(change)
    assert "cook2012a (corrected)" in change_table(change)["label"].tolist()


def test_words_that_only_explain_are_no_correction(smit):
    rows = smit.outcomes.assign(note="seen again", source="another")
    assert diff(smit, replace(smit, outcomes=rows), by="analysis").moved == ()


def test_another_state_with_a_plan_is_compared_and_takes_no_options(smit):
    out = replace(smit, outcomes=smit.outcomes[smit.outcomes["study_id"] != "cook2012a"])
    assert update(smit, out, by="analysis")["personal recovery"].moved
    with pytest.raises(MetapeerError, match="its own plan"):
        update(smit, out, overrides="apply")


# --- what cannot be used, and what is awaited


def test_enrich_and_upsides_are_awaited_with_what_is_needed(lyons):
    found = update(lyons, "updates")
    needed = {one.study_id: one.needed for one in found.awaited}
    assert needed["gillard2022"].startswith("n1 mean1 sd1")
    assert "puschner2025" in needed
    assert "sd1 sd2" in needed["poulsen2025"]
    reasons = dict(found.not_used)
    assert "sd1, sd2 are missing" in reasons["poulsen2025.1"]
    assert reasons["conley2020.4"] == "timepoint is 'follow_up', not 'end_of_treatment'"
    assert "'one_to_one', not 'group'" in reasons["pfeiffer2025.2"]
    assert found.moved == ()


def test_a_trial_that_came_is_no_longer_awaited(lyons):
    updates = load_dataset("updates")
    rows = updates.outcomes.copy()
    rows.loc[rows["row_id"] == "poulsen2025.2", ["es_se", "exclusion_reason"]] = [0.116, ""]
    found = update(lyons, replace(updates, outcomes=rows))
    assert found["recovery"].after.k == 6
    assert "poulsen2025" not in {one.study_id for one in found.awaited}


def test_a_row_that_the_review_has_is_not_added_twice(lyons, smit):
    rows = smit.rows()
    again = rows[rows["row_id"] == "cook2012a.3"]
    with pytest.warns(DataWarning, match="stands in the review already"):
        found = update(lyons, pd.concat([again, table(new_trial())], ignore_index=True))
    assert found["recovery"].after.k == found["recovery"].before.k + 1


def test_a_row_that_contradicts_the_review_is_refused(lyons, smit):
    rows = smit.rows()
    other = rows[rows["row_id"] == "cook2012a.3"].assign(review_yi=2.0)
    with pytest.raises(DataError, match=r"a correction is a row of overrides\.csv"):
        update(lyons, other)


def test_a_result_under_another_name_is_warned_of(lyons, smit):
    rows = smit.rows()
    with pytest.warns(DataWarning, match="counted twice"):
        update(lyons, rows[rows["row_id"] == "cook2012a.3"].assign(row_id="cook2012a.99"))


def test_another_outcome_of_a_known_trial_gets_a_name_of_its_own(lyons, smit):
    rows = table(new_trial("cook2012a", "hope", row_id="cook2012a.3"))
    change = update(lyons, rows)["hope"]
    assert change.after.k == change.before.k + 1


def test_an_outcome_that_was_never_pooled_appears(lyons):
    change = update(lyons, table(new_trial(outcome="other:gardening")))["other:gardening"]
    assert (change.before, change.after.k) == (None, 1)
    assert "nothing could be pooled before" in change.words()
    assert change.plot() is not None


# --- words and verdicts


def test_the_verdict_on_the_claim_is_judged_before_and_after(lyons):
    harmful = table(new_trial(mean1=10.0, n1=900, n2=900))
    change = update(lyons, harmful)["recovery"]
    assert change.judged_before.verdict == "supported"
    assert change.judged_after.verdict != "supported"
    assert change.conclusion_changed
    assert "the conclusion has changed" in change.words()


def test_ratios_are_told_as_ratios_and_shared_out_as_logarithms():
    review = load_dataset("other_trials")
    plan = {"method": {"measure": "RR", "tau2_method": "DL", "ci_method": "z"}}
    rows = pd.DataFrame(
        {
            "row_id": ["a.1", "b.1"],
            "study_id": ["a", "b"],
            "outcome": "admission",
            "outcome_class": "service_use",
            "instrument": "x",
            "events1": [10.0, 20.0],
            "total1": [50.0, 90.0],
            "events2": [15.0, 25.0],
            "total2": [50.0, 80.0],
            "exclusion_reason": "",
        }
    )
    for name, dtype in review.outcomes.dtypes.items():
        if name not in rows:
            rows[name] = math.nan if pd.api.types.is_numeric_dtype(dtype) else ""
    small = replace(
        review, outcomes=rows, plan=plan, overrides=review.overrides.iloc[:0], trials=review.trials.iloc[:0]
    )
    trial = {"study_id": "c", "outcome": "admission", "events1": 5, "total1": 70, "events2": 20, "total2": 70}
    change = update(small, table(trial))["admission"]
    adds_up(change)
    assert f"{math.exp(change.after.estimate):.2f}" in change.words()
    assert "on the log scale" in change.words()


def test_the_figure_parts_old_from_new_and_has_both_diamonds(lyons):
    found = update(lyons, table(new_trial()))
    texts = [text.get_text() for text in found.plot().axes[0].texts]
    assert {"Before", "New", "Before: 5 trials", "After: 6 trials", "smith2026"} <= set(texts)
    with pytest.raises(MetapeerError, match="name the outcome"):
        update(lyons, table(new_trial(), new_trial(outcome="hope"))).plot()


def test_frames_have_a_row_for_each_outcome_and_each_share(lyons):
    found = update(lyons, table(new_trial(), new_trial("b")), outcomes=["recovery", "hope"])
    assert found.to_frame()["outcome"].tolist() == ["recovery", "hope"]
    assert found.shares_frame()[["stage", "what"]].to_numpy().tolist() == [
        ["new trial", "smith2026"],
        ["new trial", "b"],
    ]


def test_the_callers_table_and_the_bundled_data_never_change(lyons):
    rows = table(new_trial())
    before = rows.copy(deep=True)
    bytes_before = {path: path.read_bytes() for path in datasets_root().glob("*/outcomes.csv")}
    update(lyons, rows)
    pd.testing.assert_frame_equal(rows, before)
    assert bytes_before == {path: path.read_bytes() for path in datasets_root().glob("*/outcomes.csv")}


# --- bad input


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, MetapeerError, "nothing is new"),
        ({"overrides": "aply"}, ChoiceError, "Did you mean 'apply'"),
        ({"method": {"tau2_metod": "PM"}}, ChoiceError, "Did you mean 'tau2_method'"),
        ({"method": {"tau2_method": "PN"}}, ChoiceError, "PN"),
        ({"method": {"tau2_method": 3}}, ChoiceError, "must be str"),
        ({"method": {"events_to_smd": "yes"}}, ChoiceError, "must be bool"),
        ({"where": {"formt": ["group"]}}, ChoiceError, "Did you mean 'format'"),
        ({"overrides": "apply", "by": "outcom"}, ChoiceError, "Did you mean 'outcome'"),
        ({"overrides": "apply", "outcomes": "recvery"}, ChoiceError, "Did you mean 'recovery'"),
        ({"overrides": "apply", "outcomes": 3}, MetapeerError, "outcomes must be names"),
        ({"method": ["DL"]}, MetapeerError, "method must map names to values"),
        ({"where": {"timepoint": 5}}, MetapeerError, "timepoint must have a list of values"),
        ({"overrides": "apply", "orders": 0}, MetapeerError, "orders"),
        ({"overrides": "apply", "seed": -1}, MetapeerError, "seed"),
        ({"overrides": "apply", "margin": 0}, MetapeerError, "margin"),
        ({"overrides": "apply", "by": "analysis"}, MetapeerError, "no analysis"),
        ({"new": 3}, MetapeerError, "int"),
        ({"new": "update"}, ChoiceError, "Did you mean 'updates'"),
        ({"new": pd.DataFrame()}, DataError, "study_id"),
        ({"new": pd.DataFrame({"study_id": ["a"]})}, DataError, "outcome"),
        ({"new": table(new_trial(), new_trial(outcome=""))}, DataError, "row 2, outcome: is empty"),
        ({"new": table(new_trial(row_id="x"), new_trial("b", row_id="x"))}, DataError, "more than once"),
        ({"new": table(new_trial(sd1=-1))}, DataError, "standard deviation must be > 0"),
        ({"new": table(new_trial(n1="many"))}, DataError, "number"),
        ({"new": pd.DataFrame([["a", "b"]], columns=["study_id", "study_id"])}, DataError, "more than once"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(lyons, options, error, words):
    options = dict(options)
    with pytest.raises(error, match=words):
        update(lyons, options.pop("new", None), **options)


def test_a_review_that_does_not_exist_is_asked_for():
    with pytest.raises(ChoiceError, match="Did you mean 'lyons2021'"):
        update("lyon2021", table(new_trial()))


def test_a_table_without_anything_usable_changes_nothing_and_says_why(lyons):
    found = update(lyons, table(new_trial(sd1=None, sd2=None), new_trial("b", timepoint="")))
    assert found.moved == ()
    assert dict(found.not_used) == {
        "smith2026.1": "sd1, sd2 are missing; SMD needs n1 mean1 sd1 n2 mean2 sd2",
        "b.1": "timepoint is empty, not 'end_of_treatment'",
    }


def test_two_states_without_rows_differ_in_nothing(tmp_path):
    folder = mp.init_review(tmp_path / "mine").path
    review = mp.load_dataset(folder)
    assert mp.diff(review, review).changes == ()


def test_outcomes_that_did_not_change_can_be_left_out():
    review = mp.load_dataset("lyons2021")
    whole = mp.diff(review, review)
    assert len(whole.changes) > 5
    assert mp.diff(review, review, only_changed=True).changes == ()
