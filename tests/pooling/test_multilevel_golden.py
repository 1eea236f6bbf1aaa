"""`multilevel_meta_analysis` against metafor's rma.mv."""

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metapeer.pooling.multilevel_models import multilevel_meta_analysis

# Flat likelihoods and few groups are remarked on; what is said is tested in test_multilevel.py.
pytestmark = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")

SETS = json.loads((Path(__file__).parents[1] / "golden" / "multilevel.json").read_text(encoding="utf-8"))["sets"]


def full_matrix(found):
    """The sampling covariance of a set, whose lower triangles stand trial by trial."""
    cluster = np.array(found["cluster"])
    V = np.zeros((cluster.size, cluster.size))
    for name, triangle in zip(dict.fromkeys(found["cluster"]), found["V"], strict=True):
        rows = np.flatnonzero(cluster == name)
        # Column by column, as R lays triangles out.
        column, row = np.triu_indices(rows.size)
        V[rows[row], rows[column]] = V[rows[column], rows[row]] = triangle
    return V


@cache
def table(name):
    found = SETS[name]
    return pd.DataFrame(found["columns"]), full_matrix(found) if "V" in found else None


@cache
def _fit(name, formula, random, struct, method, ci_method):
    data, V = table(name)
    data = data.copy()
    for text in random:
        outer = text.split("|")[1].strip()
        if "+" in outer:  # groups of two columns together, without the first by itself
            data[outer] = data[outer.split("+")].astype(str).agg("+".join, axis=1)
    reference = {"treatment": "placebo"} if "treatment" in formula else None
    return multilevel_meta_analysis(
        data,
        random=list(random),
        struct=struct,
        V=V,
        formula=formula,
        reference=reference,
        method=method,
        ci_method=ci_method,
    )


def fit(name, model, ci_method="z"):
    random = (model["random"],) if isinstance(model["random"], str) else tuple(model["random"])
    return _fit(name, model["formula"], random, model["struct"], model["method"], ci_method)


def numbers(value):
    """R's vectors of one element are stored as that element."""
    return np.array([math.nan if x is None else x for x in (value if isinstance(value, list) else [value])], float)


def components(found):
    """Variances of random intercepts; variances and correlations of structured terms, one array for each."""
    frame = found.variance_components(ci=False)
    inner = frame["term"].str.contains("|", regex=False)
    variance = frame["component"] == "variance"
    return [frame[chosen]["estimate"].to_numpy() for chosen in (~inner, inner & variance, inner & ~variance)]


@pytest.fixture
def all_agree(agrees):
    def check(ours, theirs, *, scale=1.0, kind="multilevel"):
        ours, theirs = np.atleast_1d(np.asarray(ours, dtype=float)), numbers(theirs)
        assert ours.shape == theirs.shape
        for mine, reference, size in zip(ours, theirs, np.broadcast_to(scale, ours.shape), strict=True):
            agrees(kind, float(mine), float(reference), scale=float(size))

    return check


@pytest.fixture
def p_values_agree(all_agree):
    """A p value has the relative error of its statistic times the statistic squared."""

    def check(ours, theirs, statistic):
        ours, theirs = (np.log(np.maximum(p, 1e-300)) for p in (ours, numbers(theirs)))
        all_agree(ours, theirs.tolist(), scale=np.maximum(1.0, np.square(statistic)))

    return check


@pytest.fixture
def fit_agrees(agrees, all_agree, p_values_agree):
    def check(row):
        found = fit(row["set"], row, row["ci_method"])
        value = row["criteria"][0]
        # metafor's maximum is never above ours, but for the twelfth digit in which it is stored.
        assert found.statistics.log_likelihood >= value - 1e-9
        for ours, theirs in zip(
            (found.statistics.log_likelihood, found.statistics.AIC, found.statistics.BIC, found.statistics.AICc),
            row["criteria"],
            strict=True,
        ):
            agrees("log_likelihood", ours, theirs, scale=2.0)
        all_agree(found.beta, row["beta"], scale=found.se)
        all_agree(found.se, row["se"])
        all_agree(found.statistic, row["statistic"])
        p_values_agree(found.p_value, row["p_value"], found.statistic)
        all_agree(found.ci_low, row["ci_low"], scale=found.se)
        all_agree(found.ci_high, row["ci_high"], scale=found.se)
        agrees("formula", found.QE, row["QE"], scale=found.QE)
        agrees("p", found.QE_p, row["QE_p"])
        intercepts, variances, correlations = components(found)
        total = sum(float(part.sum()) for part in (intercepts, variances))
        if row["sigma2"]:
            # A component that is held at zero stands in R's list, and not in ours.
            all_agree(intercepts, [x for x in numbers(row["sigma2"]).tolist() if x != 0.0], scale=total)
        if row["tau2"] is not None:
            all_agree(variances, row["tau2"], scale=total)
        if row["struct"] not in (None, "ID", "DIAG"):
            all_agree(correlations, row["rho"])
        if row["ci_method"] == "contain":
            assert found.df.tolist() == numbers(row["df"]).tolist()
        else:
            df = math.nan if row["ci_method"] == "z" else found.k - len(found.names)
            assert np.array_equal(found.df, np.full(len(found.names), df), equal_nan=True)
        return found

    return check


@pytest.mark.sampled(keep=20)
@pytest.mark.golden("multilevel", "fits")
def test_fits_are_metafors(row, fit_agrees, agrees):
    found = fit_agrees(row)
    if found.omnibus is not None and found.design.intercept is not None:
        df = row["QM_df"]
        agrees("multilevel", found.omnibus.statistic, row["QM"])
        assert found.omnibus.df == df[0]
        assert found.omnibus.df2 == pytest.approx(math.nan if df[1] is None else df[1], nan_ok=True)
        agrees("multilevel", math.log(found.omnibus.p_value), math.log(row["QM_p"]), scale=max(1.0, row["QM"]))


@pytest.mark.golden("multilevel", "fits_metafor_5")
def test_fits_are_those_of_a_newer_metafor_too(row, fit_agrees, agrees):
    found = fit_agrees(row)
    if row["pi_low"] is not None:
        agrees("multilevel", found.prediction_interval.low, row["pi_low"])
        agrees("multilevel", found.prediction_interval.high, row["pi_high"])


@pytest.mark.golden("multilevel", "I2_metafor_5")
def test_heterogeneity_is_beside_the_typical_sampling_variance(row, agrees):
    found = fit(row["set"], {"random": row["random"], "formula": "1", "struct": None, "method": "REML"})
    agrees("multilevel", found.I2, row["I2"])


@pytest.mark.golden("multilevel", "comparisons")
def test_likelihood_ratio_tests_are_metafors(row, agrees):
    full, reduced = fit(row["set"], row["full"]), fit(row["set"], row["reduced"])
    for found in (full.compare(reduced), reduced.compare(full)):
        if row["reduced"]["random"].endswith(("district+school", "study+esid")):
            # Dropping the outer level of nested effects: the names do not tell that one contains the other.
            LRT = 2 * (found.full_statistics.log_likelihood - found.reduced_statistics.log_likelihood)
            agrees("log_likelihood", LRT, row["LRT"])
            continue
        agrees("log_likelihood", found.LRT, row["LRT"])
        agrees("multilevel", found.p_value, row["p_value"])
        assert found.full_statistics.parameters == row["parameters_full"]
        assert found.reduced_statistics.parameters == row["parameters_reduced"]
        assert found.df == row["parameters_full"] - row["parameters_reduced"]


@pytest.mark.sampled(keep=12)
@pytest.mark.golden("multilevel", "intervals")
def test_profile_intervals_are_metafors(row, agrees):
    found = fit(row["set"], row)
    frame = found.variance_components()
    kind, _, number = row["component"].partition(".")
    inner = frame["term"].str.contains("|", regex=False)
    variance = frame["component"] == "variance"
    chosen = frame[{"sigma^2": ~inner, "tau^2": inner & variance, "rho": inner & ~variance}[kind]]
    mine = chosen.iloc[int(number or 1) - 1]
    scale = 1.0 if kind == "rho" else max(mine["estimate"], found.typical_variance)
    # Where its search fails metafor leaves a limit out, and where it ends at the end of the range it says so by a sign.
    for name in ("estimate", "ci_low", "ci_high"):
        if row[name] is not None:
            agrees("multilevel", mine[name], row[name], scale=scale)


@pytest.mark.golden("multilevel", "effects")
def test_random_effects_and_their_standard_errors_are_metafors(row, all_agree):
    found = fit(row["set"], row, row["ci_method"])
    frame = found.random_effects()
    terms = list(dict.fromkeys(frame["term"]))
    assert len(terms) == len(row["estimate"])
    for term, (name, theirs) in zip(terms, row["estimate"].items(), strict=True):
        mine = frame[frame["term"] == term]
        if found.random[terms.index(term)].inner:
            words = (mine["levels"] + " | " + mine["group"]).tolist()
        else:
            words = [group.replace(" / ", "/") for group in mine["group"]]
        order = [words.index(group) for group in row["groups"][name]]
        size = float(mine["se"].max())
        if size == 0.0:  # metafor's variance is near 1e-10 there
            assert np.abs(numbers(theirs)).max() < 1e-8
            continue
        for column in ("estimate", "se", "pi_low", "pi_high"):
            values = theirs if column == "estimate" else row[column][name]
            all_agree(mine[column].to_numpy()[order], values, scale=size)


@pytest.mark.golden("multilevel", "predictions")
def test_predictions_are_metafors(row, all_agree):
    found = fit(row["set"], row, row["ci_method"])
    ours = found.predict(None if row["new"] is None else pd.DataFrame(row["new"]))
    for name in ("estimate", "se", "ci_low", "ci_high", "pi_low", "pi_high"):
        all_agree(ours[name], row[name], scale=ours["se"].to_numpy())


@pytest.mark.golden("multilevel", "walds")
def test_tests_of_terms_and_contrasts_are_metafors(row, agrees):
    found = fit(row["set"], row, row["ci_method"])
    if row["terms"] is not None:
        tested = found.wald_test(row["terms"])
        statistic, p_value = tested.statistic, tested.p_value
        assert tested.df2 == pytest.approx(math.nan if row["df"][1] is None else row["df"][1], nan_ok=True)
    else:
        weights = {f"outcome[{name.removeprefix('outcome')}]": w for name, w in row["weights"].items()}
        contrast = found.contrast(weights).iloc[0]
        statistic, p_value = contrast["statistic"] ** 2, contrast["p_value"]
    agrees("multilevel", statistic, row["statistic"])
    agrees("multilevel", math.log(p_value), math.log(row["p_value"]), scale=max(1.0, row["statistic"]))
