"""What `meta_regression` and `location_scale` promise: identities, labels, notes and errors."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, ConvergenceError, DataError, DataWarning, MetapeerError
from metapeer.pooling.design import dependent_column, make_design
from metapeer.pooling.location_scale_fit import fit_location_scale, scale_log_likelihood
from metapeer.pooling.location_scale_models import location_scale
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.regression import adjust_p
from metapeer.pooling.regression_models import meta_regression
from metapeer.pooling.regression_permutation import arrangements, count_arrangements
from metapeer.pooling.subgroups import subgroup_analysis


@pytest.fixture
def table():
    generator = np.random.default_rng(7)
    k = 24
    year = generator.integers(1995, 2024, k)
    fmt = np.array(["group", "one_to_one", "mixed"])[generator.integers(0, 3, k)]
    yi = 0.2 + 0.02 * (year - 2010) + 0.15 * (fmt == "group") + generator.normal(0, 0.25, k)
    return pd.DataFrame(
        {"study_id": [f"s{i}" for i in range(k)], "yi": yi, "vi": generator.uniform(0.01, 0.08, k), "year": year}
    ).assign(format=fmt)


def exact_fit(X, y, v):
    """Weighted least squares in fractions: coefficients and residual sum of squares without any rounding."""
    X = [[Fraction(cell) for cell in row] for row in X.tolist()]
    y, w = [Fraction(value) for value in y.tolist()], [1 / Fraction(value) for value in v.tolist()]
    p = range(len(X[0]))
    rows = [
        [sum(wi * x[a] * x[b] for wi, x in zip(w, X, strict=True)) for b in p]
        + [sum(wi * x[a] * yi for wi, x, yi in zip(w, X, y, strict=True))]
        for a in p
    ]
    for i in p:
        rows[i] = [cell / rows[i][i] for cell in rows[i]]
        for j in p:
            if j != i:
                rows[j] = [a - rows[j][i] * b for a, b in zip(rows[j], rows[i], strict=True)]
    beta = [row[-1] for row in rows]
    residuals = [yi - sum(b * c for b, c in zip(beta, x, strict=True)) for yi, x in zip(y, X, strict=True)]
    return beta, sum(wi * r * r for wi, r in zip(w, residuals, strict=True))


def test_coefficients_keep_twelve_digits_where_years_stand_beside_an_intercept(table):
    fit = meta_regression(table, formula="year * C(format)", model="common")
    beta, q = exact_fit(fit.design.X, fit.yi, fit.vi)
    assert fit.beta.tolist() == pytest.approx([float(b) for b in beta], rel=1e-12)
    assert pytest.approx(float(q), rel=1e-12) == fit.QE


def test_a_model_without_moderators_is_the_meta_analysis(table):
    plain, fit = meta_analysis(table), meta_regression(table, moderators=[])
    assert fit.beta[0] == pytest.approx(plain.estimate, rel=1e-12)
    assert (fit.ci_low[0], fit.ci_high[0]) == pytest.approx(tuple(plain.ci), rel=1e-12)
    assert fit.tau2 == pytest.approx(plain.tau2, rel=1e-12)
    assert pytest.approx(plain.I2, rel=1e-12) == fit.I2
    assert tuple(fit.I2_ci) == pytest.approx(tuple(plain.I2_ci), rel=1e-12)
    prediction = fit.predict().iloc[0]
    assert (prediction["pi_low"], prediction["pi_high"]) == pytest.approx(tuple(plain.prediction_interval), rel=1e-12)
    assert fit.omnibus is None
    assert math.isnan(fit.R2)


@pytest.mark.parametrize("ci_method", ["z", "t", "HK", "HK_se"])
def test_a_categorical_moderator_is_the_subgroup_analysis_with_common_tau2(table, ci_method):
    groups = subgroup_analysis(table, by="format", tau2="common", ci_method=ci_method)
    fit = meta_regression(table, moderators="format", ci_method=ci_method)
    assert fit.tau2 == pytest.approx(groups.tau2_common, rel=1e-12)
    assert fit.omnibus.statistic == pytest.approx(groups.Q_between, rel=1e-10)
    assert fit.omnibus.p_value == pytest.approx(groups.p_value, rel=1e-10)
    means = fit.predict({"format": list(groups.levels)})
    assert means["estimate"].tolist() == pytest.approx([one.estimate for one in groups.results], rel=1e-10)


def test_formula_and_columns_name_and_give_the_same(table):
    listed = meta_regression(table, moderators=["year", "format"])
    written = meta_regression(table, formula="year + format")
    assert listed.names == written.names == ("Intercept", "year", "format[T.mixed]", "format[T.one_to_one]")
    assert listed.beta.tolist() == written.beta.tolist()
    assert listed.references == written.references == {"format": "group"}


def test_the_reference_level_changes_names_and_not_the_model(table):
    one = meta_regression(table, moderators=["year", "format"])
    other = meta_regression(table, moderators=["year", "format"], reference={"format": "mixed"})
    written = meta_regression(table, formula="year + format", reference={"format": "mixed"})
    assert other.names == written.names == ("Intercept", "year", "format[T.group]", "format[T.one_to_one]")
    assert "Reference level of format: mixed" in other.summary()
    assert other.omnibus.statistic == pytest.approx(one.omnibus.statistic, rel=1e-10)
    assert other.beta[2] == pytest.approx(-one.beta[2], rel=1e-9)


def test_no_reference_level_is_named_where_every_level_has_a_coefficient(table):
    fit = meta_regression(table, formula="0 + format")
    assert fit.references == {}
    assert "Reference" not in fit.summary()
    assert "All coefficients together" in fit.summary()


def test_pairwise_comparisons_do_not_depend_on_the_reference_level(table):
    one = meta_regression(table, moderators=["year", "format"]).pairwise("format")
    other = meta_regression(table, moderators=["year", "format"], reference={"format": "mixed"}).pairwise("format")
    by_name = one.set_index("contrast")["estimate"]
    assert other.set_index("contrast").loc["one_to_one - mixed", "estimate"] == pytest.approx(
        by_name["one_to_one - mixed"], rel=1e-9
    )
    assert other.set_index("contrast").loc["group - mixed", "estimate"] == pytest.approx(
        -by_name["mixed - group"], rel=1e-9
    )


def test_pairwise_comparisons_are_refused_where_they_depend_on_another_moderator(table):
    fit = meta_regression(table, formula="year * format")
    with pytest.raises(ChoiceError, match="depends on other moderators"):
        fit.pairwise("format")
    with pytest.raises(ChoiceError, match="holds numbers"):
        fit.pairwise("year")


def test_predictions_of_the_studies_and_of_new_rows_like_them_agree(table):
    fit = meta_regression(table, formula="scale(year) * C(format)")
    own, new = fit.predict(), fit.predict(table)
    assert new["estimate"].tolist() == pytest.approx(own["estimate"].tolist(), rel=1e-10)
    assert new["pi_high"].tolist() == pytest.approx(own["pi_high"].tolist(), rel=1e-10)


def test_ratios_are_predicted_as_ratios_on_request(table):
    fit = meta_regression(table, moderators="year", measure="OR")
    logs, ratios = fit.predict({"year": 2010}), fit.predict({"year": 2010}, displayed=True)
    assert ratios["pi_high"][0] == pytest.approx(math.exp(logs["pi_high"][0]), rel=1e-12)
    assert "ratio" in fit.summary()


def test_a_common_effect_has_no_prediction_interval(table):
    found = meta_regression(table, moderators="year", model="common").predict({"year": 2010})
    assert math.isnan(found["pi_low"][0])
    assert found["ci_low"][0] < found["estimate"][0] < found["ci_high"][0]


def test_the_level_reaches_every_interval_and_its_label(table):
    wide, narrow = (meta_regression(table, moderators="year", level=level) for level in (0.95, 0.8))
    assert (narrow.ci_high - narrow.ci_low < wide.ci_high - wide.ci_low).all()
    assert narrow.tau2_ci.high < wide.tau2_ci.high
    assert "80% CI" in narrow.summary()
    assert "95%" not in narrow.summary()
    assert narrow.predict({"year": 2000})["level"][0] == 0.8


def test_rows_without_a_moderator_are_listed_with_the_reason(table):
    table.loc[2, "format"] = None
    table.loc[[2, 5], "year"] = np.nan
    fit = meta_regression(table, moderators=["year", "format"])
    assert fit.k == 22
    assert dict(fit.excluded) == {"s2": "year and format are missing", "s5": "year is missing"}
    assert "s5: year is missing" in fit.summary()


def test_blank_text_is_missing(table):
    table.loc[3, "format"] = " "
    assert meta_regression(table, moderators="format").excluded == (("s3", "format is missing"),)


def test_models_of_different_rows_are_not_compared(table):
    whole = meta_regression(table, moderators=[])
    table.loc[2, "year"] = np.nan
    with pytest.raises(MetapeerError, match="23 and 24 rows"):
        meta_regression(table, moderators="year").compare(whole)


def test_comparison_is_symmetric_and_zero_for_the_same_model(table):
    full, empty = meta_regression(table, moderators=["year", "format"]), meta_regression(table, moderators="year")
    one, other = full.compare(empty), empty.compare(full)
    assert one.LRT == other.LRT
    assert one.df == 2
    assert (
        pytest.approx(2 * (one.full_statistics.log_likelihood - one.reduced_statistics.log_likelihood), rel=1e-12)
        == one.LRT
    )


def test_models_that_are_not_nested_have_no_likelihood_ratio_test(table):
    found = meta_regression(table, moderators="format").compare(meta_regression(table, moderators="year"))
    assert math.isnan(found.LRT)
    assert math.isnan(found.p_value)
    assert "not nested" in found.summary()
    assert pytest.approx(2 * 4 - 2 * found.full_statistics.log_likelihood, rel=1e-12) == found.full_statistics.AIC


def test_inflation_is_one_without_overlap_and_known_with_two_moderators():
    x = np.array([-1.0, -1, 1, 1, -1, -1, 1, 1])
    z = np.array([-1.0, 1, -1, 1, -1, 1, -1, 1])
    y = np.array([0.1, 0.3, 0.2, 0.5, 0.0, 0.2, 0.4, 0.6])
    plain = pd.DataFrame({"yi": y, "vi": 0.02, "x": x, "z": z})
    assert meta_regression(plain, moderators=["x", "z"], model="common").vif()["gvif"].tolist() == pytest.approx([1, 1])
    mixed = plain.assign(z=x + 0.5 * z)
    r2 = np.corrcoef(mixed["x"], mixed["z"])[0, 1] ** 2
    found = meta_regression(mixed, moderators=["x", "z"], model="common").vif()
    assert found["gvif"].tolist() == pytest.approx([1 / (1 - r2)] * 2, rel=1e-12)


def test_permutation_is_seeded_and_close_to_the_exact_test():
    generator = np.random.default_rng(3)
    data = pd.DataFrame({"yi": generator.normal(0.3, 0.3, 10), "vi": 0.03, "arm": list("aaaaabbbbb")})
    fit = meta_regression(data, moderators="arm", tau2_method="DL")
    exact = fit.permutation_test(permutations=300)
    assert (exact.exact, exact.number, exact.seed) == (True, 252, None)
    assert exact.p_values[1] == exact.omnibus_p
    drawn = [fit.permutation_test(permutations=200, seed=seed) for seed in (1, 1, 2)]
    assert not drawn[0].exact
    assert drawn[0].p_values.tolist() == drawn[1].p_values.tolist() != drawn[2].p_values.tolist()
    for found in drawn:
        # Four standard errors of a binomial share of 199 draws.
        error = 4 * math.sqrt(exact.omnibus_p * (1 - exact.omnibus_p) / 199) + 1 / 200
        assert abs(found.omnibus_p - exact.omnibus_p) < error


@given(st.lists(st.integers(0, 2), min_size=2, max_size=6))
def test_every_different_arrangement_comes_once(codes):
    X = np.array(codes, dtype=float)[:, None]
    if len(set(codes)) == 1:
        assert count_arrangements(X) == 2 ** len(codes)
        return
    found = [tuple(X[order, 0]) for order in arrangements(X)]
    assert len(found) == len(set(found)) == count_arrangements(X)
    assert all(sorted(one) == sorted(codes) for one in found)


@settings(max_examples=30, deadline=None)
@given(
    shift=st.floats(-5, 5),
    factor=st.floats(0.01, 100),
    unit=st.floats(0.001, 1000),
    method=st.sampled_from(["REML", "DL", "PM", "ML"]),
)
def test_shifts_scales_and_units_do_what_they_must(shift, factor, unit, method):
    generator = np.random.default_rng(11)
    x, vi = generator.uniform(0, 10, 12), generator.uniform(0.01, 0.1, 12)
    data = pd.DataFrame({"yi": 0.1 * x + generator.normal(0, 0.4, 12), "vi": vi, "x": x})
    moved = pd.DataFrame({"yi": factor * (data["yi"] + shift), "vi": factor**2 * vi, "x": unit * x})
    one, two = (meta_regression(d, moderators="x", tau2_method=method, ci_method="HK_se") for d in (data, moved))
    assert two.beta[1] == pytest.approx(factor / unit * one.beta[1], rel=1e-7)
    assert two.beta[0] == pytest.approx(factor * (one.beta[0] + shift), rel=1e-7, abs=1e-7 * factor)
    assert two.p_value[1] == pytest.approx(one.p_value[1], rel=1e-6)
    assert pytest.approx(one.I2, abs=1e-5) == two.I2
    assert pytest.approx(one.R2, abs=1e-5) == two.R2


def test_holm_is_never_below_the_raw_and_never_above_bonferroni():
    p = np.random.default_rng(5).uniform(0, 0.2, 9)
    holm, bonferroni = adjust_p(p, "holm"), adjust_p(p, "bonferroni")
    assert (p <= holm).all()
    assert (holm <= bonferroni).all()
    assert (np.diff(holm[np.argsort(p)]) >= 0).all()
    assert holm[np.argmin(p)] == bonferroni[np.argmin(p)]


def test_arrays_of_a_result_are_read_only(table):
    fit = meta_regression(table, moderators="year")
    for array in (fit.beta, fit.se, fit.covariance, fit.yi, fit.weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    assert fit.weights.sum() == pytest.approx(100)


# What is said and warned of


def test_few_studies_for_each_moderator_are_noted(table):
    assert any(
        "24 studies for 3 moderator terms" in note for note in meta_regression(table, formula="year * format").notes
    )
    assert not any("moderator term" in note for note in meta_regression(table, moderators=["year", "format"]).notes)


def test_several_effects_of_one_trial_are_warned_of(table):
    table.loc[1, "study_id"] = "s0"
    with pytest.warns(DataWarning, match="24 effects from 23 trials"):
        fit = meta_regression(table, moderators="year")
    assert fit.trials == 23


def test_collapsed_knapp_hartung_intervals_are_warned_of():
    data = pd.DataFrame({"yi": [0.1, 0.201, 0.299, 0.4, 0.501], "vi": 0.05, "x": [1.0, 2, 3, 4, 5]})
    with pytest.warns(DataWarning, match="of Intercept, x is narrower than the common-effect"):
        meta_regression(data, moderators="x")
    guarded = meta_regression(data, moderators="x", ci_method="HK_se")
    assert not any("narrower" in note for note in guarded.notes)
    assert "raised to 1" in guarded.summary()


def test_numbers_written_as_text_are_warned_of(table):
    text = table.assign(year=(table["year"] // 10 * 10).astype(str))
    with pytest.warns(DataWarning, match="numbers written as text"):
        fit = meta_regression(text, moderators="year")
    assert fit.references == {"year": "1990"}


def test_several_maxima_of_the_likelihood_are_warned_of():
    data = pd.DataFrame({"yi": [1.19, -18.05, 0.07], "vi": [0.803, 55.385, 0.102]})
    with pytest.warns(DataWarning, match="restricted likelihood of tau² has several maxima"):
        fit = meta_regression(data, moderators=[], ci_method="HK_se")
    assert [round(tau2, 1) for tau2, _ in fit.other_maxima] == [47.9]


def test_a_level_with_one_row_is_noted(table):
    table.loc[0, "format"] = "online"
    assert "format: online has one row" in meta_regression(table, moderators="format").notes


# Errors


def test_dependent_columns_are_named(table):
    table["age"] = 2026 - table["year"]
    with pytest.raises(DataError, match="age: is a linear combination of Intercept, year"):
        meta_regression(table, moderators=["year", "age"])
    with pytest.raises(DataError, match="dose: is the same in every row"):
        meta_regression(table.assign(dose=3), moderators=["dose"])
    with pytest.raises(DataError, match="dose: is 'high' in every row"):
        meta_regression(table.assign(dose="high"), moderators=["dose"])


def test_no_residual_degrees_of_freedom_is_an_error(table):
    with pytest.raises(DataError, match=r"2 rows cannot carry 2 coefficients \(Intercept, year\)"):
        meta_regression(table.head(2), moderators="year")
    assert meta_regression(table.head(3), moderators="year", ci_method="t").df == 1


def test_powers_of_a_year_are_not_mistaken_for_dependent():
    year = np.arange(1990.0, 2020.0)
    assert dependent_column(np.column_stack([np.ones(30), year, year**2])) is None
    assert dependent_column(np.column_stack([np.ones(30), year, 3 * year - 7])) == (2, (0, 1))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, MetapeerError, "give either moderators"),
        ({"moderators": "year", "formula": "year"}, MetapeerError, "give either moderators"),
        ({"moderators": "studdy"}, DataError, "studdy: there is no such column"),
        ({"moderators": ["year", "year"]}, ChoiceError, "more than once"),
        ({"moderators": 3}, MetapeerError, "names of columns"),
        ({"formula": "year +"}, MetapeerError, "cannot be read"),
        ({"formula": "studdy"}, DataError, "cannot be worked out"),
        ({"formula": "yi ~ year"}, MetapeerError, "no left side"),
        ({"formula": 7}, MetapeerError, "not a text"),
        ({"formula": "np.log(year - year)"}, DataError, "not finite"),
        ({"formula": "0"}, DataError, "no coefficients"),
        ({"moderators": "year", "reference": {"year": "2000"}}, ChoiceError, "no reference level"),
        ({"moderators": "format", "reference": {"format": "Group"}}, ChoiceError, "Did you mean 'group'"),
        ({"moderators": "year", "reference": {"format": "group"}}, ChoiceError, "unknown"),
        ({"moderators": "year", "ci_method": "KR"}, ChoiceError, "unknown"),
        ({"moderators": "year", "ci_method": "HK", "model": "common"}, ChoiceError, "random-effects"),
        ({"moderators": "year", "tau2_method": "RELM"}, ChoiceError, "Did you mean 'REML'"),
        ({"moderators": "year", "level": 95}, MetapeerError, "Did you mean 0.95"),
    ],
)
def test_wrong_options_say_what_would_do(table, options, error, words):
    with pytest.raises(error, match=words):
        meta_regression(table, **options)


@pytest.mark.parametrize(
    ("new", "error", "words"),
    [
        ({"year": 2000}, DataError, "format: is missing"),
        ({"year": "soon", "format": "group"}, DataError, "'soon' is not a finite number"),
        ({"year": [2000, None], "format": "group"}, DataError, "row 2, year: is missing"),
        ({"year": 2000, "format": "online"}, DataError, "'online' is not a level"),
        ({"year": [1, 2], "format": ["group"] * 3}, MetapeerError, "new rows must be"),
        (7, MetapeerError, "new rows must be"),
    ],
)
@pytest.mark.parametrize("how", [{"moderators": ["year", "format"]}, {"formula": "year + C(format)"}])
def test_wrong_new_rows_are_told_of(table, new, error, words, how):
    with pytest.raises(error, match=words):
        meta_regression(table, **how).predict(new)


def test_dates_and_infinite_numbers_are_no_moderators(table):
    dated = table.assign(when=pd.to_datetime(table["year"].astype(str)), dose=np.inf)
    with pytest.raises(DataError) as caught:
        meta_regression(dated, moderators=["when", "dose"])
    assert {fault.column for fault in caught.value.faults} == {"when", "dose"}


def test_wrong_contrasts_and_terms_are_told_of(table):
    fit = meta_regression(table, moderators=["year", "format"])
    with pytest.raises(ChoiceError, match="coefficient 'studdy' is unknown"):
        fit.contrast({"studdy": 1})
    with pytest.raises(ChoiceError, match="finite number"):
        fit.contrast({"year": math.nan})
    with pytest.raises(ChoiceError, match="other than zero"):
        fit.contrast({"year": 0})
    with pytest.raises(ChoiceError, match="not both"):
        fit.contrast({"year": 1, "both": {"year": 1}})
    with pytest.raises(ChoiceError, match="term 'Format' is unknown"):
        fit.wald_test("Format")
    with pytest.raises(ChoiceError, match="whole number"):
        fit.permutation_test(permutations=3)


def test_a_formula_sees_the_table_and_nothing_else(table):
    secret = 3.0
    with pytest.raises(DataError, match="secret"):
        meta_regression(table, formula="year + I(year * secret)")
    assert secret == 3.0


def test_columns_with_blanks_in_their_names_work_both_ways(table):
    renamed = table.rename(columns={"year": "year published"})
    one = meta_regression(renamed, moderators=["year published"])
    two = meta_regression(renamed, formula=one.formula)
    assert one.beta.tolist() == pytest.approx(two.beta.tolist(), rel=1e-12)


def test_nullable_and_categorical_columns_are_understood(table):
    changed = table.assign(
        year=table["year"].astype("Int64"),
        format=pd.Categorical(table["format"], categories=["one_to_one", "group", "mixed", "never"]),
        blind=table["year"] > 2010,
    )
    fit = meta_regression(changed, moderators=["year", "format", "blind"])
    assert fit.names == ("Intercept", "year", "format[T.group]", "format[T.mixed]", "blind")
    assert make_design(changed, formula="year + format + blind").X.tolist() == fit.design.X.tolist()


# Location-scale


@pytest.mark.parametrize("restricted", [True, False])
def test_derivatives_of_the_location_scale_likelihood_are_right(table, restricted):
    X = np.column_stack([np.ones(24), table["year"] - 2010])
    Z = np.column_stack([np.ones(24), table["format"] == "group"]).astype(float)
    yi, vi = table["yi"].to_numpy(), table["vi"].to_numpy()
    at, step = np.array([-3.0, 0.7]), 1e-5
    _, gradient, hessian = scale_log_likelihood(yi, vi, X, Z, at, restricted=restricted)
    for j in range(2):
        ahead, behind = (
            scale_log_likelihood(yi, vi, X, Z, at + sign * step * np.eye(2)[j], restricted=restricted)
            for sign in (1, -1)
        )
        assert (ahead[0] - behind[0]) / (2 * step) == pytest.approx(gradient[j], rel=1e-6)
        assert ((ahead[1] - behind[1]) / (2 * step)).tolist() == pytest.approx(hessian[j].tolist(), rel=1e-5)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_a_scale_of_one_constant_is_the_ordinary_model(table, method):
    ordinary = meta_regression(table, moderators="year", tau2_method=method)
    fit = location_scale(table, moderators="year", scale=[], tau2_method=method)
    assert fit.tau2.tolist() == pytest.approx([ordinary.tau2] * 24, rel=1e-6)
    assert fit.beta.tolist() == pytest.approx(ordinary.beta.tolist(), rel=1e-6)
    statistics = ordinary.REML if method == "REML" else ordinary.ML
    assert fit.statistics.log_likelihood == pytest.approx(statistics.log_likelihood, rel=1e-10)
    assert fit.statistics.AICc == pytest.approx(statistics.AICc, rel=1e-10)
    assert fit.LRT_df == 0


def test_the_scale_of_groups_with_means_of_their_own_is_each_groups_tau2():
    generator = np.random.default_rng(2)
    group = np.repeat(["a", "b"], 12)
    yi = generator.normal(0.0, np.where(group == "a", 0.3, 0.9))
    data = pd.DataFrame({"yi": yi, "vi": 0.03, "group": group})
    fit = location_scale(data, moderators="group", scale="group", ci_method="t")
    for name in ("a", "b"):
        alone = meta_analysis(data[data["group"] == name], ci_method="t")
        assert fit.predict({"group": name})["tau2"][0] == pytest.approx(alone.tau2, rel=1e-6)
        assert fit.predict({"group": name})["estimate"][0] == pytest.approx(alone.estimate, rel=1e-6)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e5])
def test_location_scale_does_not_mind_units(table, factor):
    scaled = table.assign(yi=table["yi"] * factor, vi=table["vi"] * factor**2, year=table["year"] * 1000)
    one = location_scale(table, moderators="year", scale="format")
    two = location_scale(scaled, moderators="year", scale="format")
    assert (two.tau2 / factor**2).tolist() == pytest.approx(one.tau2.tolist(), rel=1e-6)
    assert pytest.approx(one.LRT, rel=1e-6, abs=1e-9) == two.LRT
    assert two.gradient < 1e-6
    assert two.curvature > 0


def test_a_spread_that_vanishes_in_one_group_is_no_maximum():
    yi = np.array([0.2, 0.2, 0.2, 0.2, 0.2, 0.9, -0.8, 1.2, -0.3, 0.4])
    data = pd.DataFrame({"yi": yi, "vi": 0.04, "group": list("aaaaabbbbb")})
    with pytest.raises(ConvergenceError, match="What helps"):
        location_scale(data, scale="group")


def test_location_scale_needs_rows_for_both_parts(table):
    with pytest.raises(DataError, match="4 rows cannot carry 2 coefficients of the mean and 2 of log tau²"):
        location_scale(table.head(4).assign(x=[1.0, 2, 4, 3]), moderators="x", scale="year")


def test_location_scale_estimates_are_maxima(table):
    X, Z = np.ones((24, 1)), np.column_stack([np.ones(24), table["year"] - 2010])
    yi, vi = table["yi"].to_numpy(), table["vi"].to_numpy()
    fit = fit_location_scale(yi, vi, X, Z)
    best, gradient, hessian = scale_log_likelihood(yi, vi, X, Z, fit.alpha, restricted=True)
    assert best == pytest.approx(fit.log_likelihood, rel=1e-12)
    assert gradient.tolist() == pytest.approx([0, 0], abs=1e-5)
    assert np.linalg.inv(-hessian).tolist() == [pytest.approx(row, rel=1e-6) for row in fit.alpha_covariance.tolist()]
    for step in ([0.1, 0], [-0.1, 0], [0, 0.01], [0, -0.01]):
        assert scale_log_likelihood(yi, vi, X, Z, fit.alpha + np.array(step), restricted=True)[0] < best
