"""Under the null hypothesis the same draw goes through every specification, and p values say what they should."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

import metapeer as mp
from metapeer.sensitivity.multiverse_fit import fit_plan
from metapeer.sensitivity.multiverse_null import _part_of, _patterns

pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")

CHOICES = {"tau2_method": ["REML", "DL"], "ci_method": ["HK", "z"]}


def rows_of(seed, trials=6, mean=0.3, classes=False, several=2, tau=0.1):
    rng = np.random.default_rng(seed)
    found = []
    for i in range(trials):
        own = rng.normal(0, tau)
        for kind in ("one", "two") if classes else ("one",):
            for j in range(1 + (i % several)):
                vi = rng.uniform(0.02, 0.1)
                found.append((f"t{i}", kind, f"m{j}", own + rng.normal(mean, np.sqrt(vi)), vi, rng.integers(30, 99)))
    return pd.DataFrame(found, columns=["study_id", "outcome_class", "instrument", "yi", "vi", "n1"]).assign(n2=50)


def test_flips_of_few_trials_are_all_counted_and_are_the_multiverses_of_flipped_tables():
    table = rows_of(1)
    choices = {
        "rows": mp.choose_rows(["average", "largest"]),
        "outliers": mp.choose_outliers(["none", "ci", "rstudent"], cutoff=1.2),
        **CHOICES,
    }
    found = mp.multiverse(table, choices=choices, claim="positive")
    test = mp.multiverse_test(found, draws=64)
    assert test.exact
    assert test.draws == 64
    # The long way: flip the table, run the whole multiverse again, look only at specifications that differ observed.
    names = table["study_id"].unique()
    medians, shares = [], []
    for signs in product([1, -1], repeat=6):
        flipped = table.assign(yi=table["yi"] * table["study_id"].map(dict(zip(names, signs, strict=True))))
        again = mp.multiverse(flipped, choices=choices, claim="positive")
        place = again.of[found.representative]
        medians.append(np.median(again.columns["estimate"][place]))
        shares.append(again.supporting[place].mean())
    median, share = np.median(found.columns["estimate"]), found.share
    assert test.p_value["median"] == pytest.approx(np.mean(np.array(medians) >= median - 1e-12))
    assert test.p_value["share"] == pytest.approx(np.mean(np.array(shares) >= share - 1e-12))
    assert test.expected["share"] == pytest.approx(np.mean(shares))


def test_flips_of_paired_contrasts_flip_the_differences():
    table = rows_of(2, classes=True)
    found = mp.multiverse(table, contrast=("one", "two"), choices=CHOICES, claim="nonzero")
    test = mp.multiverse_test(found, draws=64)
    names = table["study_id"].unique()
    medians = []
    for signs in product([1, -1], repeat=6):
        flipped = table.assign(yi=table["yi"] * table["study_id"].map(dict(zip(names, signs, strict=True))))
        again = mp.multiverse(flipped, contrast=("one", "two"), choices=CHOICES)
        medians.append(abs(np.median(again.columns["estimate"])))
    observed = abs(np.median(found.columns["estimate"]))
    assert test.p_value["median"] == pytest.approx(np.mean(np.array(medians) >= observed - 1e-12))


def test_one_plan_fitted_for_many_draws_is_fitted_as_each_alone():
    found = mp.multiverse(
        rows_of(3, classes=True),
        contrast=("one", "two"),
        choices={"contrast_method": ["paired", "GLS"], "outliers": mp.choose_outliers(["none", "ci"]), **CHOICES},
    )
    plan = _part_of(found.plan, found.chosen)
    rng = np.random.default_rng(1)
    yi = plan.parts.yi + rng.normal(0, 0.3, size=(5, plan.parts.yi.size))
    together = fit_plan(plan, yi, 0.95)
    for draw in range(5):
        alone = fit_plan(plan, yi[draw : draw + 1], 0.95)
        for name, values in alone.numbers.items():
            np.testing.assert_allclose(together.numbers[name][draw], values[0], rtol=1e-9, atol=1e-12)


def test_the_observed_statistics_are_those_of_the_result():
    found = mp.multiverse(rows_of(4, trials=12), choices=CHOICES, claim="negative")
    test = mp.multiverse_test(found, draws=20)
    assert test.observed["median"] == pytest.approx(np.median(found.columns["estimate"]))
    assert test.observed["share"] == found.share
    # All estimates are above zero: nothing speaks for a negative effect.
    assert test.p_value["median"] > 0.9


def test_draws_are_the_same_with_the_same_seed_and_others_with_another():
    found = mp.multiverse(rows_of(5, trials=14), choices=CHOICES)
    one, two, three = (mp.multiverse_test(found, draws=40, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.band_low, two.band_low)
    assert one.expected == two.expected
    assert one.expected != three.expected


def test_monte_carlo_error_is_that_of_a_share():
    found = mp.multiverse(rows_of(6, trials=14, mean=0.05), choices=CHOICES)
    test = mp.multiverse_test(found, draws=99)
    for name, p in test.p_value.items():
        assert p * 100 == pytest.approx(round(p * 100))
        assert test.mc_error[name] == pytest.approx(np.sqrt(p * (1 - p) / 100))


def test_normal_draws_are_centred_and_spread_as_their_fits_say():
    found = mp.multiverse(rows_of(7, trials=15, mean=0.5, several=1), choices={"tau2_method": ["DL", "HS"]})
    test = mp.multiverse_test(found, draws=800, null="normal")
    assert abs(test.expected["median"]) < 0.02
    middle = found.columns["se"].mean()
    assert 0.5 * (test.band_high - test.band_low).mean() == pytest.approx(1.96 * middle, rel=0.35)


def test_patterns_of_signs_are_all_different_when_they_are_all():
    signs, exact = _patterns(5, 32, np.random.default_rng(1))
    assert exact
    assert len(np.unique(signs, axis=0)) == 32
    assert not _patterns(5, 31, np.random.default_rng(1))[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"draws": 0}, "draws 0"),
        ({"draws": 2.5}, "draws 2.5"),
        ({"seed": -1}, "seed -1"),
        ({"null": "flip"}, "Did you mean 'flips'"),
    ],
)
def test_a_test_refuses_options_that_make_no_sense(options, told):
    found = mp.multiverse(rows_of(1), choices=CHOICES)
    with pytest.raises(mp.MetapeerError, match=told):
        mp.multiverse_test(found, **options)


def test_a_test_says_which_specifications_it_cannot_draw():
    table = rows_of(8, classes=True)
    single = mp.multiverse(table, choices={"tau2_method": ["ML"], "ci_method": ["PL", "z"]})
    with pytest.raises(mp.ChoiceError, match="ci_method PL cannot be drawn"):
        mp.multiverse_test(single)
    both = mp.multiverse(table, contrast=("one", "two"), choices={"contrast_method": ["GLS", "paired"]})
    with pytest.raises(mp.ChoiceError, match="not made for contrasts"):
        mp.multiverse_test(both, null="normal")
    table.loc[0, ["yi", "vi"]] = [3.0, 0.01]
    out = mp.multiverse(table, choices={"outliers": mp.choose_outliers(["none", "ci"])})
    with pytest.raises(mp.ChoiceError, match="outliers"):
        mp.multiverse_test(out, null="normal")
    with pytest.raises(mp.MetapeerError, match="not what multiverse"):
        mp.multiverse_test(table)


@pytest.mark.slow
@pytest.mark.parametrize("contrast", [None, "paired", "GLS"])
def test_p_values_are_uniform_when_there_is_nothing_to_find(contrast):
    found = []
    for seed in range(300):
        table = rows_of(1000 + seed, trials=9, mean=0.0, classes=contrast is not None, tau=0.2)
        choices = {
            "rows": mp.choose_rows(["average", "largest"]),
            "tau2_method": ["DL", "HE"],
            "ci_method": ["HK", "z"],
        }
        how = {} if contrast is None else {"contrast": ("one", "two"), "pooling": {"contrast_method": contrast}}
        result = mp.multiverse(table, choices=choices, claim="positive", **how)
        test = mp.multiverse_test(result, draws=199, seed=seed)
        found.append([test.p_value["median"], test.p_value["z"]])
    for values in np.array(found).T:
        ordered = np.sort(values)
        # Kolmogorov and Smirnov's distance; 1.63 / sqrt(n) is its 1% point.
        distance = np.abs(ordered - (np.arange(300) + 0.5) / 300).max()
        assert distance < 1.63 / np.sqrt(300)
        assert abs((values <= 0.05).mean() - 0.05) < 0.035
