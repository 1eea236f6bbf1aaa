"""A multiverse is every declared meta-analysis, each fitted as it would be alone, and counted once."""

import re
import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metapeer as mp
from metapeer.sensitivity.multiverse_describe import curve_anova

pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")

NUMBERS = ["estimate", "se", "ci_low", "ci_high", "p_value", "tau2", "I2"]


def rows_of(seed, trials=7, several=0.5, classes=False):
    """A table of effects; some trials have several rows."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(trials):
        common = rng.normal(0.2, 0.2)
        for kind in ("one", "two") if classes else ("one",):
            for j in range(1 + int(rng.random() < several) * rng.integers(1, 3)):
                n1, n2 = rng.integers(15, 90, size=2)
                found.append((f"t{i}", kind, f"m{j}", common + rng.normal(0, 0.2), 1 / n1 + 1 / n2, n1, n2, i % 3))
    names = ["study_id", "outcome_class", "instrument", "yi", "vi", "n1", "n2", "site"]
    return pd.DataFrame(found, columns=names)


def one_row(table, rule, rho, by=("study_id",)):
    """The row of each trial, found the long way."""
    by = list(by)
    if rule == "average":
        return mp.average_within_trial(table, rho=rho, by=by)
    if rule == "independent":
        return table
    picked = []
    for _, part in table.groupby(by, sort=False):
        size = part["n1"] + part["n2"]
        picked.append(
            {
                "first": part.index[0],
                "last": part.index[-1],
                "largest": size.idxmax(),
                "most_precise": part["vi"].idxmin(),
            }[rule]
        )
    return table.loc[picked]


def same_numbers(row, fit, rtol=1e-9):
    ours = [row[name] for name in NUMBERS]
    theirs = [fit.estimate, fit.se, fit.ci.low, fit.ci.high, fit.p_value, fit.tau2, fit.I2]
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-12)
    assert row["k"] == fit.k


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_every_specification_is_the_meta_analysis_of_its_own_choices(seed):
    table = rows_of(seed)
    rules = ["average", "first", "last", "largest", "most_precise", "independent"]
    found = mp.multiverse(
        table,
        choices={
            "rows": mp.choose_rows(rules),
            "rho": [0.2, 0.7],
            "sites": mp.choose_where({"all": None, "not 0": "site!=0", "0 or 1": "site=0|1"}),
            "tau2_method": ["REML", "DL", "PM"],
            "ci_method": ["HK", "z", "t", "HK_se", "HK_ci"],
        },
    )
    assert found.declared == 6 * 2 * 3 * 3 * 5
    frame = found.to_frame()
    kept = {"all": [0, 1, 2], "not 0": [1, 2], "0 or 1": [0, 1]}
    labels = dict(zip(mp.choose_rows(rules).labels, rules, strict=True))
    for row in frame.iloc[:: max(1, len(frame) // 40)].to_dict("records"):
        part = one_row(table[table["site"].isin(kept[row["sites"]])], labels[row["rows"]], float(row["rho"]))
        same_numbers(
            row,
            mp.meta_analysis(yi=part["yi"], vi=part["vi"], tau2_method=row["tau2_method"], ci_method=row["ci_method"]),
        )


def test_every_declared_specification_leads_to_the_different_one_that_is_its_meta_analysis():
    table = rows_of(3)
    choices = {"rows": mp.choose_rows(["average", "first"]), "rho": [0.0, 0.5], "tau2_method": ["REML", "SJ"]}
    found = mp.multiverse(table, choices=choices)
    for place, (rule, rho, tau2) in enumerate(product(["average", "first"], [0.0, 0.5], ["REML", "SJ"])):
        part = one_row(table, rule, rho)
        fit = mp.meta_analysis(yi=part["yi"], vi=part["vi"], tau2_method=tau2)
        assert found.columns["estimate"][found.of[place]] == pytest.approx(fit.estimate, rel=1e-10)


def test_what_has_no_effect_makes_duplicates_that_are_counted_once():
    table = rows_of(1, several=0.0)
    found = mp.multiverse(
        table,
        choices={
            "rows": mp.choose_rows(["average", "first", "largest"]),
            "rho": [0.3, 0.9],
            "model": ["random", "common"],
            "tau2_method": ["REML", "DL"],
            "ci_method": ["z"],
        },
    )
    assert found.declared == 3 * 2 * 2 * 2
    # One row each: neither the rule nor rho matters, and a common effect has no tau2.
    assert found.different == 3
    assert found.duplicates == found.declared - 3
    assert found.to_frame()["repeated"].tolist() == [6, 6, 12]


def test_duplicates_do_not_change_the_share():
    table = rows_of(2)
    choices = {"tau2_method": ["REML", "DL", "SJ"], "ci_method": ["HK", "z"]}
    plain = mp.multiverse(table, choices=choices, claim="positive")
    twice = mp.multiverse(
        table, choices={**choices, "again": {"a": None, "b": None, "c": lambda t: t}}, claim="positive"
    )
    assert twice.different == plain.different
    assert twice.duplicates == 2 * plain.different
    assert twice.share == plain.share
    assert twice.vibration == plain.vibration


def test_reordered_rows_and_renamed_trials_leave_the_curve_as_it_was():
    table = rows_of(4)
    choices = {"rows": mp.choose_rows(["average", "most_precise"]), "tau2_method": ["REML", "PM"]}
    names = {name: f"x{i}" for i, name in enumerate(reversed(table["study_id"].unique()))}
    other = table.sample(frac=1, random_state=1).replace({"study_id": names})
    one, two = (mp.multiverse(t, choices=choices).columns["estimate"] for t in (table, other))
    np.testing.assert_allclose(one, two, rtol=1e-9)


def test_turned_signs_turn_the_curve_and_swap_the_claims():
    table = rows_of(5)
    choices = {"rows": mp.choose_rows(["average", "largest"]), "ci_method": ["HK", "z"]}
    one = mp.multiverse(table, choices=choices, claim="positive")
    two = mp.multiverse(table.assign(yi=-table["yi"]), choices=choices, claim="negative")
    np.testing.assert_allclose(one.columns["estimate"], -two.columns["estimate"], rtol=1e-10)
    assert one.share == two.share


def test_impossible_specifications_are_listed_with_their_reasons():
    table = rows_of(6).assign(place="here")
    table.loc[table["study_id"] == "t0", "place"] = "there"
    table = table[~((table["study_id"] == "t0") & (table["instrument"] != "m0"))]
    found = mp.multiverse(
        table,
        choices={
            "place": mp.choose_where({"here": "place=here", "there": "place=there", "nowhere": lambda t: t["yi"] > 99}),
            "model": ["random", "common"],
            "ci_method": ["HK", "z"],
        },
    )
    reasons = found.impossible()
    assert len(reasons) == 4 + 4 + 1
    told = reasons["reason"].value_counts().to_dict()
    assert told["one effect; two are the least that can be pooled"] == 4
    assert told["no row is left"] == 4
    assert told["ci_method HK belongs to the random-effects model"] == 1
    assert found.different == 3


def test_intervals_of_single_fits_are_made_too_and_refused_with_the_wrong_estimator():
    table = rows_of(7, several=0.0)
    found = mp.multiverse(
        table, choices={"tau2_method": ["ML", "REML", "DL"], "ci_method": ["PL", "KR", "HK_IQWiG6", "z"]}
    )
    for row in found.to_frame().to_dict("records"):
        fit = mp.meta_analysis(table, tau2_method=row["tau2_method"], ci_method=row["ci_method"])
        same_numbers(row, fit)
    assert found.different == 3 + 3 + 1 + 1
    assert set(found.impossible()["ci_method"]) == {"PL", "KR"}


def brute_outliers(part, rule, cutoff):
    fit = mp.meta_analysis(yi=part["yi"], vi=part["vi"])
    if rule == "ci":
        half = 1.959963984540054 * np.sqrt(part["vi"])
        return part[(part["yi"] + half >= fit.ci.low) & (part["yi"] - half <= fit.ci.high)]
    kept = []
    for i in part.index:
        other = part.drop(index=i)
        rest = mp.meta_analysis(yi=other["yi"], vi=other["vi"], ci_method="z")
        residual = (part["yi"][i] - rest.estimate) / np.sqrt(part["vi"][i] + rest.tau2 + rest.se**2)
        kept.append(abs(residual) <= cutoff)
    return part[kept]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_outliers_leave_by_their_rule(seed):
    table = rows_of(seed, several=0.0, trials=9)
    table.loc[2, "yi"] += 2.0
    table.loc[2, "vi"] = 0.01
    table.loc[5, "yi"] -= 0.9
    found = mp.multiverse(
        table, choices={"outliers": mp.choose_outliers(["none", "ci", "rstudent"], cutoff=1.5), "ci_method": ["z", "t"]}
    )
    for place, (rule, ci) in enumerate(product(["none", "ci", "rstudent"], ["z", "t"])):
        part = table if rule == "none" else brute_outliers(table, rule, 1.5)
        fit = mp.meta_analysis(yi=part["yi"], vi=part["vi"], ci_method=ci)
        same_numbers({name: found.columns[name][found.of[place]] for name in (*NUMBERS, "k")}, fit)
    assert found.columns["k"].min() < 9


def test_paired_contrasts_pool_the_differences_within_trials():
    table = rows_of(8, classes=True)
    table = table.drop(index=table.index[(table["study_id"] == "t3") & (table["outcome_class"] == "two")])
    found = mp.multiverse(
        table,
        contrast=("one", "two"),
        choices={"rows": mp.choose_rows(["average", "largest"]), "rho": [0.0, 0.6], "tau2_method": ["REML", "DL"]},
    )
    for place, (rule, rho, tau2) in enumerate(product(["average", "largest"], [0.0, 0.6], ["REML", "DL"])):
        part = one_row(table, rule, rho, ("study_id", "outcome_class"))
        yi, vi = (part.pivot_table(index="study_id", columns="outcome_class", values=name) for name in ("yi", "vi"))
        d = (yi["one"] - yi["two"]).dropna()
        v = (vi["one"] + vi["two"] - 2 * rho * np.sqrt(vi["one"] * vi["two"])).dropna()
        fit = mp.meta_analysis(yi=d, vi=v, tau2_method=tau2)
        same_numbers({name: found.columns[name][found.of[place]] for name in (*NUMBERS, "k")}, fit)


@pytest.mark.parametrize("ci_method", ["z", "t", "HK", "HK_se", "HK_ci"])
def test_contrasts_over_all_trials_are_generalised_least_squares(ci_method):
    from scipy import stats

    table = rows_of(9, classes=True, several=0.0)
    table = table.drop(index=[1, 4])
    rho = 0.5
    found = mp.multiverse(
        table,
        contrast=("one", "two"),
        choices={"contrast_method": ["GLS"], "rho": [rho], "tau2_method": ["DL"], "ci_method": [ci_method]},
    )
    first = (table["outcome_class"] == "one").to_numpy()
    yi, vi, trial = table["yi"].to_numpy(), table["vi"].to_numpy(), table["study_id"].to_numpy()
    tau2 = np.where(
        first,
        mp.meta_analysis(yi=yi[first], vi=vi[first], tau2_method="DL").tau2,
        mp.meta_analysis(yi=yi[~first], vi=vi[~first], tau2_method="DL").tau2,
    )
    same = (trial[:, None] == trial) * np.where(np.eye(yi.size, dtype=bool), 1.0, rho)
    V = same * (np.sqrt(np.outer(vi, vi)) + np.sqrt(np.outer(tau2, tau2)))
    X = np.column_stack([first, ~first]).astype(float)
    W = np.linalg.inv(V)
    cov = np.linalg.inv(X.T @ W @ X)
    beta = cov @ X.T @ W @ yi
    c = np.array([1.0, -1.0])
    df = yi.size - 2
    scale = float((yi - X @ beta) @ W @ (yi - X @ beta)) / df
    se = float(np.sqrt(c @ cov @ c))
    z, t = stats.norm.ppf(0.975) * se, stats.t.ppf(0.975, df) * se
    half = {"z": z, "t": t, "HK": t * scale**0.5, "HK_se": t * max(1, scale) ** 0.5, "HK_ci": max(z, t * scale**0.5)}
    np.testing.assert_allclose(found.columns["estimate"], [c @ beta], rtol=1e-10)
    np.testing.assert_allclose(found.columns["ci_high"] - found.columns["estimate"], [half[ci_method]], rtol=1e-9)
    assert found.columns["k"].tolist() == [yi.size]


def test_rows_that_cannot_be_paired_are_an_impossible_specification():
    table = rows_of(10, classes=True, several=1.0)
    found = mp.multiverse(table, contrast=("one", "two"), choices={"rows": mp.choose_rows(["independent", "average"])})
    assert found.impossible()["reason"].tolist() == ["several rows of a trial in one class cannot be paired"]


def test_effects_are_computed_anew_for_every_formula_and_correction():
    review = mp.load_dataset("smit2023")
    rows = review.rows()
    rows = rows[rows["outcome"] == "recovery"]
    found = mp.multiverse(
        rows,
        effect_options={"events_to_smd": True},
        choices={
            "corrections": mp.choose_corrections(
                review.overrides, rules=["as_printed", "corrected", "rows_left_out", "trials_left_out"]
            ),
            "prefer": ["review", "arms"],
            "variance": ["LS", "UB"],
        },
    )
    marked = rows["row_id"].isin(review.overrides["row_id"])
    known = review.overrides[review.overrides["row_id"].isin(rows["row_id"])]
    tables = [
        rows,
        mp.apply_overrides(rows, known),
        rows[~marked],
        rows[~rows["study_id"].isin(rows.loc[marked, "study_id"])],
    ]
    for place, (table, prefer, variance) in enumerate(product(tables, ["review", "arms"], ["LS", "UB"])):
        effects = mp.effect_size(table, variance=variance, prefer=prefer, events_to_smd=True)
        fit = mp.meta_analysis(mp.average_within_trial(effects, rho=0.6))
        same_numbers({name: found.columns[name][found.of[place]] for name in (*NUMBERS, "k")}, fit)


def test_time_points_are_chosen_within_each_measurement():
    table = pd.DataFrame(
        {
            "study_id": list("aaabbccd"),
            "timepoint_months": [3, 6, 12, 4, 8, 2, 24, np.nan],
            "timepoint": ["end", "later", "later", "end", "later", "end", "end", "end"],
            "yi": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
            "vi": [0.02] * 8,
        }
    ).replace({"timepoint": {"end": "end_of_treatment", "later": "follow_up"}})
    found = mp.multiverse(table, choices={"time": mp.choose_timepoint(["first", "last", 6, "post", "all"])})
    wanted = [[0.1, 0.4, 0.6, 0.8], [0.3, 0.5, 0.7, 0.8], [0.2, 0.4, 0.6, 0.8], [0.1, 0.4, 0.65, 0.8]]
    for place, effects in enumerate(wanted):
        spread = [0.02, 0.02, 0.02 * (0.8 if place == 3 else 1), 0.02]
        fit = mp.meta_analysis(yi=effects, vi=spread)
        assert found.columns["estimate"][found.of[place]] == pytest.approx(fit.estimate, rel=1e-10)


def test_preferred_rows_follow_the_order():
    table = rows_of(11, several=1.0)
    found = mp.multiverse(
        table, choices={"rows": mp.choose_rows(["preferred"], order={"instrument": ["m1", "m0"]}), "model": ["random"]}
    )
    part = table[table["instrument"] == "m1"]
    assert found.columns["estimate"][0] == pytest.approx(mp.meta_analysis(part).estimate, rel=1e-10)


def test_anova_of_a_complete_design_is_that_of_group_means():
    rng = np.random.default_rng(3)
    shape = (3, 2, 4)
    grid = np.stack(np.unravel_index(np.arange(24), shape), axis=1)
    y = rng.normal(size=24)
    main, pairs, rest = curve_anova(grid, shape, y)
    cube = y.reshape(shape)
    total = ((y - y.mean()) ** 2).sum()
    for axis in range(3):
        means = cube.mean(axis=tuple(i for i in range(3) if i != axis))
        assert main[axis] == pytest.approx(24 / shape[axis] * ((means - y.mean()) ** 2).sum() / total)
    cells = cube.mean(axis=2)
    both = 4 * ((cells - y.mean()) ** 2).sum() / total
    assert pairs[0, 1] == pytest.approx(both - main[0] - main[1])
    assert main.sum() + np.nansum(pairs) / 2 + rest == pytest.approx(1.0)


def test_anova_of_a_design_with_holes_equals_least_squares():
    rng = np.random.default_rng(4)
    shape = (3, 2, 2)
    grid = np.stack(np.unravel_index(np.arange(12), shape), axis=1)[[0, 1, 3, 4, 6, 7, 8, 10, 11]]
    y = rng.normal(size=len(grid))

    def explained(*columns):
        x = np.column_stack([np.ones(len(y)), *columns])
        return ((x @ np.linalg.lstsq(x, y, rcond=None)[0] - y.mean()) ** 2).sum()

    dummies = [np.eye(size)[grid[:, i]] for i, size in enumerate(shape)]
    total = ((y - y.mean()) ** 2).sum()
    main, pairs, _ = curve_anova(grid, shape, y)
    assert main[0] == pytest.approx((explained(*dummies) - explained(*dummies[1:])) / total)
    cells = np.eye(6)[grid[:, 0] * 2 + grid[:, 1]]
    assert pairs[0, 1] == pytest.approx((explained(*dummies, cells) - explained(*dummies)) / total)


def test_a_curve_without_variation_has_no_effects_of_choices():
    table = pd.DataFrame({"study_id": list("abc"), "yi": [0.3, 0.3, 0.3], "vi": [0.1, 0.1, 0.1]})
    found = mp.multiverse(table, choices={"tau2_method": ["REML", "DL"], "ci_method": ["z", "t"]})
    assert found.anova()["eta2"].tolist() == [0.0] * 4


def test_vibration_of_ratios_is_relative_and_of_differences_is_not():
    table = rows_of(12, several=0.0)
    choices = {"tau2_method": ["REML", "DL", "SJ"]}
    ratio = mp.multiverse(table.assign(measure="OR"), choices=choices)
    estimates = np.exp(ratio.columns["estimate"])
    low, high = np.quantile(np.log(estimates), [0.01, 0.99])
    assert ratio.vibration.relative == pytest.approx(np.exp(high - low))
    assert np.isnan(mp.multiverse(table.assign(measure="SMD"), choices=choices).vibration.relative)


def test_shares_by_weights_are_weighted_over_the_declared_specifications():
    table = rows_of(13)
    choices = {"ci_method": ["z", "HK"], "tau2_method": ["REML", "SJ"]}
    found = mp.multiverse(table, choices=choices, weights={"ci_method": {"z": 1, "HK": 3}}, claim="positive")
    support = found.supporting[found.of].reshape(2, 2)
    names = list(found.declaration.names)
    by_ci = support.mean(axis=1 - names.index("ci_method"))
    assert found.weighted_share == pytest.approx(0.25 * by_ci[0] + 0.75 * by_ci[1])
    assert np.isnan(mp.multiverse(table, choices=choices).weighted_share)


def test_options_are_described_over_the_specifications_that_take_them():
    table = rows_of(14)
    choices = {
        "sites": mp.choose_where({"all": None, "not 0": "site!=0"}, decision="N"),
        "ci_method": ["z", "HK"],
        "tau2_method": ["REML", "SJ"],
    }
    found = mp.multiverse(table, choices=choices, claim="positive")
    frame = found.to_frame()
    assert found.duplicates == 0
    by_option = found.options_frame()
    for _, row in by_option.iterrows():
        mine = frame[frame[row["choice"]] == row["option"]]
        assert row["different"] == len(mine)
        assert row["share"] == pytest.approx(mine["supports"].mean())
        assert row["mean"] == pytest.approx(mine["estimate"].mean())
        assert row["shift"] == pytest.approx(mine["estimate"].mean() - frame["estimate"].median())
    parted = found.share_by().set_index("sites")
    crossed = found.share_by("ci_method", "sites")
    assert len(crossed) == 4
    for label, mine in frame.groupby("sites", observed=True):
        assert parted.loc[label, "median"] == pytest.approx(mine["estimate"].median())
        assert parted.loc[label, "below"] == pytest.approx((mine["ci_high"] < 0).mean())
        assert parted.loc[label, "k_high"] == mine["k"].max()
    with pytest.raises(mp.ChoiceError, match="'site' is unknown"):
        found.share_by("site")


def test_progress_ends_with_everything_done():
    told = []
    mp.multiverse(rows_of(1), choices={"tau2_method": ["REML", "DL"]}, progress=lambda *what: told.append(what))
    last = {what: (done, total) for done, total, what in told}
    assert set(last) == {"effects", "fits"}
    assert all(done == total for done, total in last.values())


def test_the_text_counts_what_the_result_counts():
    found = mp.multiverse(rows_of(1), choices={"tau2_method": ["REML", "DL", "SJ"], "ci_method": ["HK", "z"]})
    text = str(found)
    n = found.different
    assert f"supported by {int(found.supporting.sum())} of {n}" in text
    assert "shares are not probabilities" in text
    assert re.search(rf"different specifications +{n}\n", text)
    assert "<table>" in found._repr_html_()


def test_a_bad_declaration_lists_every_fault_at_once():
    with pytest.raises(mp.DataError) as caught:
        mp.multiverse(
            rows_of(1),
            claim="bigger",
            contrast=("one", "one"),
            choices={
                "tau2_method": ["REML", "DLL"],
                "tau": ["REML"],
                "rho": [0.5, 1.5],
                "mine": {"a": 3},
                "twice": ["x", "x"],
                "what": 7,
                "variance": ["LSS"],
                "rows": mp.choose_rows(),
                "more rows": mp.choose_rows(["first"]),
            },
            pooling={"rho": 0.3, "levels": 0.9},
            weights={"nobody": {}, "tau2_method": {"REML": 1}},
        )
    text = str(caught.value)
    for part in (
        "'bigger'", "two different classes", "Did you mean 'DL'", "'tau'", "1.5", "3 is no function", "more than once",
        "7 is no choice", "LSS", "second choice of rows", "stands in pooling too", "'levels'", "'nobody'",
        "needs a weight for each",
    ):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"a": {"x": lambda t: t["absent"]}}, "KeyError"),
        ({"a": {"x": lambda _: 3}}, "returned a int"),
        ({"a": mp.choose_where({"x": "site=17"})}, "no row has '17'"),
        ({"a": mp.choose_where({"x": "place=17"})}, "no column 'place'"),
        ({"a": mp.choose_where({"x": lambda _: [True]})}, "True or False for each row"),
        ({"a": mp.choose_timepoint(["first"])}, "timepoint_months"),
        ({"a": mp.choose_timepoint(["post"])}, "'timepoint'"),
        ({"a": mp.choose_tables({"x": lambda t: t.drop(columns="yi")}, after_effects=True)}, "no numbers in yi"),
        ({"a": mp.choose_tables({"x": lambda t: t.assign(vi=-1.0)}, after_effects=True)}, "not above 0"),
        ({"a": {"x": lambda t: t.assign(vi=0.0)}}, "vi"),
    ],
)
def test_what_cannot_be_carried_out_is_told_with_its_choice(choices, told):
    with pytest.raises(mp.DataError) as caught:
        mp.multiverse(rows_of(1), choices=choices)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: mp.choose_rows(["preferred"]), "needs order"),
        (lambda: mp.choose_rows(["first"], order={"instrument": ["x"]}), "no effect"),
        (lambda: mp.choose_rows(["furst"]), "Did you mean 'first'"),
        (lambda: mp.choose_rows("first"), "must be a list"),
        (lambda: mp.choose_outliers(cutoff=-1), "above 0"),
        (lambda: mp.choose_outliers(["rstudnt"]), "rstudent"),
        (lambda: mp.choose_where({"a": "format"}), "COLUMN=VALUE"),
        (lambda: mp.choose_where({}), "mapping"),
        (lambda: mp.choose_timepoint(["frist", float("nan")]), "first"),
        (lambda: mp.choose_corrections(pd.DataFrame()), "column row_id is missing"),
        (lambda: mp.choose_option([]), "empty"),
        (lambda: mp.choose_option(["a"], decision="X"), "decision"),
    ],
)
def test_a_maker_of_choices_refuses_what_is_none(make, told):
    with pytest.raises(mp.MetapeerError, match=re.escape(told)):
        make()


def test_effects_on_different_scales_are_no_multiverse():
    table = rows_of(1).assign(measure=lambda t: np.where(t["site"] == 0, "SMD", "OR"))
    with pytest.raises(mp.DataError, match="different scales"):
        mp.multiverse(table, choices={"tau2_method": ["REML", "DL"]})


def test_nothing_that_can_be_pooled_is_an_error_with_the_reasons():
    table = rows_of(1, trials=1, several=0.0)
    with pytest.raises(mp.DataError, match="one effect; two are the least"):
        mp.multiverse(table, choices={"tau2_method": ["REML", "DL"]})


def test_the_number_of_columns_of_a_table_is_left_as_it_was():
    table = rows_of(1)
    before = table.copy()

    def spoil(copy):
        copy["yi"] = 0.0
        return copy

    mp.multiverse(table, choices={"mine": {"as it is": None, "spoilt": spoil}})
    pd.testing.assert_frame_equal(table, before)


def test_impossible_specifications_are_warned_of():
    table = rows_of(1).assign(place="here")
    with warnings.catch_warnings():
        warnings.simplefilter("error", mp.DataWarning)
        with pytest.raises(mp.DataWarning, match="are impossible"):
            mp.multiverse(table, choices={"a": mp.choose_where({"x": None, "y": lambda t: t["yi"] > 99})})
