"""What is typed for a multiverse is what the library is asked."""

import numpy as np
import pandas as pd
import pytest

import metapeer as mp
from metapeer.command_multiverse import MultiverseOptions, multiverse_table
from metapeer.command_options import RowOptions

pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")


def run(table, rows=None, **typed):
    return multiverse_table(str(table), rows or RowOptions(), MultiverseOptions(**typed), notes_shown=True)


@pytest.fixture
def effects(tmp_path):
    rng = np.random.default_rng(1)
    path = tmp_path / "effects.csv"
    table = pd.DataFrame({"study_id": list("abcdefgh"), "yi": rng.normal(0.3, 0.3, 8), "vi": 0.05, "site": [1, 2] * 4})
    table.to_csv(path, index=False)
    return path


def test_choices_typed_are_the_choices_declared(tmp_path):
    review = mp.load_dataset("smit2023")
    found, test = run(
        "smit2023",
        RowOptions(where=["comparator!=WL"]),
        suspicious=["as_printed", "corrected"],
        or_only=["rob_overall!=High risk"],
        split=["format"],
        row_rule=["average", "largest"],
        outliers=["none", "ci"],
        rho=[0.5, 0.7],
        variance=["LS", "UB"],
        events_to_smd=True,
        contrast="psychosocial, clinical",
        contrast_method=["paired", "GLS"],
        tau2_method=["REML", "PM"],
        ci_method=["HK"],
        claim="negative",
        level=0.9,
        plot=tmp_path / "curve.png",
    )
    rows = review.rows()
    rows = rows[rows["comparator"] != "WL"]
    formats = sorted(rows["format"].unique())
    wanted = mp.multiverse(
        rows,
        choices={
            "suspicious rows": mp.choose_corrections(review.overrides, rules=["as_printed", "corrected"]),
            "rob": mp.choose_where({"all": None, "only": "rob_overall!=High risk"}),
            "format": mp.choose_where({"all": None, **{name: f"format={name}" for name in formats}}),
            "rows": mp.choose_rows(["average", "largest"]),
            "outliers": mp.choose_outliers(["none", "ci"]),
            "rho": [0.5, 0.7],
            "variance": ["LS", "UB"],
            "contrast_method": ["paired", "GLS"],
            "tau2_method": ["REML", "PM"],
            "ci_method": ["HK"],
        },
        claim="negative",
        contrast=("psychosocial", "clinical"),
        effect_options={"events_to_smd": True},
        pooling={"level": 0.9},
    )
    assert test is None
    assert found.declared == wanted.declared
    np.testing.assert_array_equal(found.columns["ci_low"], wanted.columns["ci_low"])
    assert found.share == wanted.share
    assert (tmp_path / "curve.png").stat().st_size > 10_000


def test_a_file_of_effects_is_pooled_as_it_is_and_tested(effects):
    found, test = run(effects, tau2_method=["REML", "DL"], split=["site"], draws=300, seed=4, claim="positive")
    table = pd.read_csv(effects)
    assert found.columns["estimate"][0] == pytest.approx(mp.meta_analysis(table).estimate, rel=1e-12)
    assert test.exact
    assert test.p_value == mp.multiverse_test(found, draws=300).p_value


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({}, "no choice is declared"),
        ({"tau2_method": ["REML"], "seed": 3}, "--seed has no effect"),
        ({"tau2_method": ["REML"], "contrast_by": "site"}, "--contrast-by has no effect"),
        ({"variance": ["LS"]}, "--variance would have no effect"),
        ({"suspicious": ["corrected"]}, "needs a data set"),
        ({"split": ["place"]}, "no column 'place'"),
        ({"or_only": ["site=9"]}, "no row has '9'"),
        ({"timepoint": ["frist"]}, "Did you mean 'first'"),
        ({"rho": [2.0]}, "not a correlation"),
        ({"tau2_method": ["REML"], "claim": "up"}, "claim 'up'"),
        ({"tau2_method": ["REML"], "contrast": "one"}, "two different classes"),
        ({"tau2_method": ["REML"], "draws": 0}, "draws 0"),
    ],
)
def test_what_makes_no_sense_is_refused(effects, typed, told):
    with pytest.raises(mp.MetapeerError, match=told):
        run(effects, **typed)
