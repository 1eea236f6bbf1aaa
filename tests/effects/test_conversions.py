"""Conversions against R (metafor), call by call."""

import importlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from metapeer.effects.statistics import d_from_smd
from metapeer.errors import DataWarning

GOLDEN = Path(__file__).parents[1] / "golden"
GIVEN = json.loads((GOLDEN / "conversions.json").read_text())
MODULES = [
    importlib.import_module(f"metapeer.effects.{name}")
    for name in ("statistics", "intervals", "moments", "change", "margins")
]

# Closed formulas: all that differs is the order of operations, and that R's J is a difference of two lgammas. R's
# minimiser stops early in the quantile estimation, and finds the power of the Box-Cox method to 1e-8; the Student
# quantiles of two libraries differ in their last digits.
RTOL = {"quantiles mcgrath_qe": 5e-5, "quantiles mcgrath_bc": 1e-7, "t from p": 1e-11, "other": 1e-13}


def _column(data, name):
    base, _, less = name.partition(" - ")
    return np.array(data[base], dtype=float) - float(less or 0)


def _results(case):
    data = GIVEN["data"][case["data"]]
    columns = {argument: _column(data, name) for argument, name in case["columns"].items()}
    function = next(getattr(m, case["function"]) for m in MODULES if case["function"] in m.__all__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return columns, function(**columns, **case["arguments"])


@pytest.mark.parametrize("case", GIVEN["cases"], ids=lambda case: case["id"])
def test_conversions_agree_with_r(case):
    columns, result = _results(case)
    complete = np.isfinite(list(columns.values())).all(axis=0)
    for name, expected in case["result"].items():
        if name == "d":  # R gives Cohen's d where we give Hedges g
            actual = d_from_smd(g=result.yi, n1=columns["n1"], n2=columns["n2"])
        else:
            actual = result if name == "value" else getattr(result, name)
        found = np.isfinite(actual)
        assert found[complete].all()
        assert found.any()
        rtol = RTOL.get(case["id"], RTOL["other"])
        np.testing.assert_allclose(actual[found], np.array(expected, dtype=float)[found], rtol=rtol)


def test_every_conversion_with_a_reference_is_covered():
    named = {case["function"] for case in GIVEN["cases"]}
    assert named == {
        "correlation_from_d",
        "correlation_from_t",
        "counts_from_margins",
        "effect_from_interval",
        "effect_from_p",
        "log_odds_ratio_from_smd",
        "mean_change",
        "mean_sd_from_quantiles",
        "smd_from_d",
        "smd_from_log_odds_ratio",
        "smd_from_point_biserial",
        "smd_from_t",
        "standardised_mean_change",
        "t_from_p",
    }


def test_reference_numbers_say_where_they_come_from():
    assert GIVEN["source"]["R"].startswith("R version")
    assert GIVEN["source"]["metafor"]
    assert (GOLDEN / GIVEN["source"]["script"]).is_file()
