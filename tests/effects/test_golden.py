"""Effect sizes against R (metafor, meta), call by call."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metapeer.effects.binary import fill_zero_cells, log_odds_ratio
from metapeer.effects.convert import log_odds_ratio_to_smd
from metapeer.effects.table import effect_size
from metapeer.errors import DataWarning

GOLDEN = Path(__file__).parents[1] / "golden"

# Closed formulas: all that differs is the order of operations. But R's J is a difference of two lgammas, which costs
# digits as N grows: 1e-11 of g at N = 220,000, and more of UB, which subtracts two numbers near 1. Ours is a series
# there, and exact by another test.
RTOL = {"SMD": 1e-10, "UB": 2e-9, "other": 1e-12}
ATOL = 1e-15  # log(1) comes out as a few 1e-17 or as 0


def _cases(file):
    golden = json.loads((GOLDEN / file).read_text())
    for case in golden["cases"]:
        yield pytest.param(golden["data"][case["data"]], case, id=f"{file}: {case['id']}")


def _effects(data, arguments):
    table = pd.DataFrame(data, dtype=float)
    if arguments["measure"] == "OR2DL":
        arms = [table[name].to_numpy() for name in ("events1", "total1", "events2", "total2")]
        return log_odds_ratio_to_smd(*log_odds_ratio(*fill_zero_cells(*arms)))
    if "es" in data:
        table["es_type"] = "OR"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        effects = effect_size(table, orient=False, **arguments)
    assert ((effects["exclusion_reason"] == "") == effects["vi"].notna()).all()
    return effects["yi"].to_numpy(), effects["vi"].to_numpy()


@pytest.mark.parametrize(("data", "case"), [*_cases("effects.json"), *_cases("effects_more.json")])
def test_effects_agree_with_r(data, case):
    arguments = {"measure": "SMD", **case["arguments"]}
    yi, vi = _effects(data, arguments)
    expected_yi = np.array(case["yi"], dtype=float)
    expected_vi = np.array(case["vi"], dtype=float)
    expected_yi[~(expected_vi > 0)] = np.nan  # R keeps a risk difference of variance 0; it has no weight to pool with
    expected_vi[~(expected_vi > 0)] = np.nan
    rtol = RTOL.get(arguments["measure"], RTOL["other"])
    np.testing.assert_allclose(yi, expected_yi, rtol=rtol, atol=ATOL)
    np.testing.assert_allclose(vi, expected_vi, rtol=RTOL.get(arguments.get("variance"), rtol), atol=0)


@pytest.mark.parametrize("file", ["effects.json", "effects_more.json"])
def test_reference_numbers_say_where_they_come_from(file):
    source = json.loads((GOLDEN / file).read_text())["source"]
    assert source["R"].startswith("R version")
    assert source["metafor"]
    assert (GOLDEN / source["script"]).is_file()
