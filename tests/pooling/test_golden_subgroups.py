"""`subgroup_analysis` against metafor and meta.

With a tau2 for each level the test between levels is Q of the level estimates, weighted by the standard errors that the
levels' own intervals use: meta does the same, so ``ci_method="HK"`` changes Q. With one tau2 for all levels the test is
that of a meta-regression: chi-squared with z, F with Hartung-Knapp, as metafor has it (meta gives a chi-squared value
with Hartung-Knapp as well). The interval of one level under a common tau2 is meta's: its own studies' scale factor and
k - 1 degrees of freedom, where metafor's predict() takes both from the whole.
"""

import pandas as pd
import pytest

from metapeer.pooling.subgroups import subgroup_analysis

# Levels of two and three studies: what is warned of is tested in test_edge_cases.py.
pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")

KIND = {"ML": "likelihood", "REML": "likelihood", "PM": "root"}


@pytest.fixture(scope="module")
def analyse(golden_set):
    """Fit a golden row; equal calls are made once."""
    known = {}

    def run(row, *, tau2, ci_method):
        key = row["data"], row["method"], tau2, ci_method
        if key not in known:
            yi, vi, levels = golden_set(row["data"])
            table = pd.DataFrame({"yi": yi, "vi": vi, "level": levels}).dropna(subset=["level"])
            options = {"model": "common"} if row["method"] == "EE" else {"tau2_method": row["method"], "tau2": tau2}
            known[key] = subgroup_analysis(table, by="level", ci_method=ci_method, **options)
        return known[key]

    return run


def level_of(found, name):
    return found.results[found.levels.index(name)]


@pytest.mark.golden("pooling_subgroups", "levels")
def test_each_level_alone_is_metafors(row, analyse, agrees):
    kind = KIND.get(row["method"], "formula")
    found = level_of(analyse(row, tau2="separate", ci_method="z"), row["level"])
    assert found.k == row["k"]
    agrees(kind, found.estimate, row["estimate"], scale=found.se)
    agrees(kind, found.se, row["se"])
    agrees(kind, found.ci.low, row["ci_low"], scale=found.ci.width)
    agrees(kind, found.ci.high, row["ci_high"], scale=found.ci.width)
    agrees(kind, found.tau2, row["tau2"], scale=sorted(found.vi)[found.k // 2])
    agrees(kind, found.I2_Q if row["method"] == "EE" else found.I2, row["I2"], scale=100)
    agrees("formula", found.Q, row["Q"])


@pytest.mark.golden("pooling_subgroups", "separate")
def test_test_between_levels_with_separate_tau2_is_metafors(row, analyse, agrees):
    found = analyse(row, tau2="separate", ci_method="z")
    assert found.test == "chi2"
    assert found.df == row["df"]
    agrees(KIND.get(row["method"], "formula"), found.Q_between, row["Q_between"])
    agrees("p", found.p_value, row["p"])


@pytest.mark.golden("pooling_subgroups", "common")
def test_test_between_levels_with_common_tau2_is_metafors_meta_regression(row, analyse, agrees):
    found = analyse(row, tau2="common", ci_method={"z": "z", "knha": "HK"}[row["test"]])
    kind = KIND.get(row["method"], "formula")
    assert found.test == {"z": "chi2", "knha": "F"}[row["test"]]
    assert found.df == row["df"]
    agrees("formula", found.df2, row["df2"])
    agrees(kind, found.Q_between, row["statistic"])
    agrees("p", found.p_value, row["p"])
    for result in found.results:
        agrees(kind, result.tau2, row["tau2"], scale=sorted(result.vi)[result.k // 2])


@pytest.mark.golden("pooling_subgroups", "common_levels")
def test_each_level_with_common_tau2_is_metafors_meta_regression(row, analyse, agrees):
    found = level_of(analyse(row, tau2="common", ci_method="z"), row["level"])
    kind = KIND.get(row["method"], "formula")
    agrees(kind, found.estimate, row["estimate"], scale=found.se)
    agrees(kind, found.se, row["se"])
    agrees(kind, found.ci.low, row["ci_low"], scale=found.ci.width)
    agrees(kind, found.ci.high, row["ci_high"], scale=found.ci.width)


@pytest.mark.golden("pooling_meta", "subgroup_tests")
def test_test_between_levels_is_metas(row, analyse, agrees):
    found = analyse(row, tau2=row["tau2"], ci_method=row["ci_method"])
    assert found.df == row["df"]
    agrees(KIND.get(row["method"], "formula"), found.Q_between, row["Q_between"])
    agrees("p", found.p_value, row["p"])


@pytest.mark.golden("pooling_meta", "subgroup_levels")
def test_each_level_is_metas(row, analyse, agrees):
    kind = KIND.get(row["method"], "formula")
    found = level_of(analyse(row, tau2=row["tau2"], ci_method=row["ci_method"]), row["level"])
    assert found.k == row["k"]
    agrees(kind, found.estimate, row["estimate"], scale=found.se)
    agrees(kind, found.se, row["se"])
    agrees(kind, found.ci.low, row["ci_low"], scale=found.ci.width)
    agrees(kind, found.ci.high, row["ci_high"], scale=found.ci.width)
    agrees(kind, found.tau2, row["tau2_level"], scale=sorted(found.vi)[found.k // 2])
    agrees("formula", found.Q, row["Q"])
    agrees("formula", found.I2_Q, row["I2"], scale=100)
    agrees("formula", found.I2_Q_ci.low, row["I2_low"], scale=100)
    agrees("formula", found.I2_Q_ci.high, row["I2_high"], scale=100)


@pytest.mark.golden("pooling_meta", "subgroup_levels", tau2=("common",))
def test_hartung_knapp_interval_of_a_level_with_common_tau2_is_metas(row, analyse, agrees):
    found = level_of(analyse(row, tau2="common", ci_method="HK"), row["level"])
    agrees(KIND.get(row["method"], "formula"), found.se, row["hk_se"])
    assert found.df == row["k"] - 1
