"""The Bayesian model: against bayesmeta, against brute-force integration, and against what must hold."""

import math
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import halfcauchy, halfnorm, norm

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.pooling.bayes import posterior
from metapeer.pooling.bayes_forest import shrinkage_table
from metapeer.pooling.bayes_models import bayesian_meta_analysis
from metapeer.pooling.priors import (
    half_cauchy,
    half_normal,
    half_t,
    log_normal,
    log_t,
    lomax,
    normal,
    uniform,
)

# How far a number may stray from bayesmeta's, in posterior standard deviations of what it describes.
FROM_QUADRATURE = 1e-9
"""Of tau: bayesmeta integrates with a relative tolerance of 1.5e-11 and solves for quantiles to the same."""
FROM_SEARCH = 2e-4
"""Mode and shortest interval of tau: bayesmeta's searches stop at the fourth root of the precision, R's default."""
FROM_GRID = 6e-3
"""Of effects: bayesmeta replaces the posterior of tau by a grid with a divergence of 0.01 per bin and 1e-4 cut off."""

PRIORS = {
    "half_normal(0.5)": lambda vi: half_normal(0.5),
    "half_normal(1)": lambda vi: half_normal(1),
    "half_cauchy(0.5)": lambda vi: half_cauchy(0.5),
    "uniform()": lambda vi: uniform(),
    "dumouchel": lambda vi: lomax(math.sqrt(vi.size / np.sum(1 / vi))),
}
MU_PRIORS = {"flat": None, "normal(0, 4)": normal(0, 4)}
TRIO = {"yi": [0.3, 0.9, 0.5], "vi": [0.02, 0.05, 0.001]}


def fit(row, golden_set, **options):
    yi, vi, _ = golden_set(row["data"])
    prior, mu_prior = PRIORS[row["tau_prior"]](vi), MU_PRIORS[row["mu_prior"]]
    return bayesian_meta_analysis(yi=yi, vi=vi, tau_prior=prior, mu_prior=mu_prior, **options)


def ends(summary, row):
    return summary.interval if row["interval"] == "central" else summary.shortest


@pytest.mark.golden("bayes", "summaries")
def test_posterior_of_tau_is_bayesmetas(row, golden_set):
    found = fit(row, golden_set).tau
    if row["tau_mean"] is None:
        # A flat prior and three studies: the density falls as tau**-2.
        assert found.mean == math.inf
    else:
        assert found.mean == pytest.approx(row["tau_mean"], rel=FROM_QUADRATURE)
    if row["tau_sd"] is None:
        assert found.sd == math.inf
    else:
        assert found.sd == pytest.approx(row["tau_sd"], rel=FROM_QUADRATURE)
    assert found.median == pytest.approx(row["tau_median"], rel=FROM_QUADRATURE)
    scale = row["tau_sd"] or row["tau_median"]
    assert found.mode == pytest.approx(row["tau_mode"], abs=FROM_SEARCH * scale)
    tolerance = FROM_QUADRATURE if row["interval"] == "central" else FROM_SEARCH
    assert tuple(ends(found, row)) == pytest.approx((row["tau_low"], row["tau_high"]), abs=tolerance * scale)


@pytest.mark.golden("bayes", "summaries")
@pytest.mark.parametrize(("quantity", "name"), [("mu", "mu"), ("new_study", "new")])
def test_posteriors_of_effects_are_bayesmetas(row, quantity, name, golden_set):
    found = getattr(fit(row, golden_set), quantity)
    scale = (row[f"{name}_high"] - row[f"{name}_low"]) / 4
    assert found.median == pytest.approx(row[f"{name}_median"], abs=FROM_GRID * scale)
    assert found.mode == pytest.approx(row[f"{name}_mode"], abs=FROM_GRID * scale)
    theirs = (row[f"{name}_low"], row[f"{name}_high"])
    assert tuple(ends(found, row)) == pytest.approx(theirs, abs=FROM_GRID * scale)
    if row["data"] == "k3" and row["tau_prior"] == "uniform()":
        # Neither exists; bayesmeta's are those of a distribution cut off at its grid.
        assert math.isnan(found.mean)
        assert found.sd == math.inf
        return
    assert found.mean == pytest.approx(row[f"{name}_mean"], abs=FROM_GRID * scale)
    # The grid cuts off tails, which shows where they are heavy: three studies and a heavy-tailed prior.
    heavy = row["data"] == "k3" and row["tau_prior"] in ("half_cauchy(0.5)", "dumouchel")
    assert found.sd == pytest.approx(row[f"{name}_sd"], rel=0.05 if heavy else 0.01)
    assert found.sd >= row[f"{name}_sd"] or not heavy


@pytest.mark.golden("bayes", "summaries", mu_prior=("normal(0, 4)",))
def test_bayes_factors_are_bayesmetas(row, golden_set):
    found = fit(row, golden_set)
    assert found.bayes_factor_tau == pytest.approx(row["bf_tau"], rel=1e-9)
    assert found.bayes_factor_mu == pytest.approx(row["bf_mu"], rel=1e-9)


@pytest.mark.golden("bayes", "shrinkage")
def test_shrinkage_estimates_are_bayesmetas(row, golden_set):
    found = fit(row | {"tau_prior": "half_normal(0.5)", "mu_prior": "normal(0, 4)"}, golden_set).shrinkage
    for name in ("median", "mean", "low", "high"):
        assert (np.abs(getattr(found, name) - row[name]) <= FROM_GRID * np.array(row["sd"])).all()
    assert found.sd == pytest.approx(row["sd"], rel=FROM_GRID)


def brute_force(yi, vi, density, mu_prior, function):
    """Posterior mean of a function of tau by adaptive quadrature, with nothing shared with the code tested."""
    yi, vi = np.array(yi), np.array(vi)

    def conditional(tau):
        w = 1 / (vi + tau**2)
        precision, mean = w.sum(), (w @ yi)
        if mu_prior is not None:
            precision, mean = precision + mu_prior.sd**-2, mean + mu_prior.mean * mu_prior.sd**-2
        mean /= precision
        height = np.sum(norm.logpdf(yi, mean, np.sqrt(vi + tau**2))) - 0.5 * np.log(precision)
        if mu_prior is not None:
            height += norm.logpdf(mean, mu_prior.mean, mu_prior.sd)
        return mean, precision**-0.5, height

    def integral(g):
        pieces = [0, 0.05, 0.2, 0.5, 1, 3, 10, 100, np.inf]
        options = {"epsabs": 0, "epsrel": 1e-12, "limit": 200}
        return sum(
            quad(lambda t: g(t) * density(t) * math.exp(conditional(t)[2]), a, b, **options)[0]
            for a, b in pairwise(pieces)
        )

    return integral(lambda t: function(t, *conditional(t)[:2])) / integral(lambda t: 1.0)


@pytest.mark.sampled(keep=1)
@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
@pytest.mark.parametrize("mu_prior", [None, normal(0.1, 0.4)])
@pytest.mark.parametrize(
    ("prior", "density"),
    [
        (half_normal(0.5), lambda t: halfnorm.pdf(t, scale=0.5)),
        (half_cauchy(0.3), lambda t: halfcauchy.pdf(t, scale=0.3)),
    ],
)
def test_posterior_agrees_with_brute_force_integration_to_nine_digits(prior, density, mu_prior):
    found = bayesian_meta_analysis(**TRIO, tau_prior=prior, mu_prior=mu_prior)

    def mean_of(function):
        return brute_force(TRIO["yi"], TRIO["vi"], density, mu_prior, function)

    assert found.tau.mean == pytest.approx(mean_of(lambda t, m, s: t), rel=1e-9)
    assert found.mu.mean == pytest.approx(mean_of(lambda t, m, s: m), rel=1e-9)
    for end, p in zip(found.mu.interval, (0.025, 0.975), strict=True):
        assert mean_of(lambda t, m, s, end=end: norm.cdf(end, m, s)) == pytest.approx(p, rel=1e-9)
    low, high = found.new_study.shortest
    inside = mean_of(lambda t, m, s: np.diff(norm.cdf([low, high], m, math.hypot(s, t)))[0])
    assert inside == pytest.approx(0.95, rel=1e-9)
    densities = [mean_of(lambda t, m, s, x=x: norm.pdf(x, m, math.hypot(s, t))) for x in (low, high)]
    assert densities[0] == pytest.approx(densities[1], rel=1e-8)
    above = mean_of(lambda t, m, s: norm.sf(0.6, m, math.hypot(s, t)))
    assert found.probability_above(0.6, of="new_study") == pytest.approx(above, rel=1e-9)
    assert found.probability_above(0.2, of="tau") == pytest.approx(mean_of(lambda t, m, s: t > 0.2), rel=1e-7)


SCALED_PRIORS = {
    "half_normal": lambda s: half_normal(0.5 * s),
    "half_cauchy": lambda s: half_cauchy(0.5 * s),
    "half_t": lambda s: half_t(0.5 * s, 4),
    "uniform": lambda s: uniform(2 * s),
    "tight": lambda s: half_normal(0.01 * s),
    "lomax": lambda s: lomax(0.3 * s),
    "log_normal": lambda s: log_normal(-2.56 + 2 * math.log(s), 1.74),
    "log_t": lambda s: log_t(-3.44 + 2 * math.log(s), 2.59),
}


@st.composite
def studies(draw, min_size=1, max_size=8):
    k = draw(st.integers(min_size, max_size))
    yi = draw(st.lists(st.floats(-3, 3), min_size=k, max_size=k))
    log_vi = draw(st.lists(st.floats(-4, 1), min_size=k, max_size=k))
    return np.round(yi, 3), np.round(10.0 ** np.array(log_vi), 6)


def numbers(found):
    """Summaries of mean effect, new study and studies, each in a row; and those of tau."""
    own = found.shrinkage
    effects = [
        [s.median, s.mode, s.interval.low, s.interval.high, s.shortest.low, s.shortest.high]
        for s in (found.mu, found.new_study)
    ]
    columns = (own.median, own.mode, own.low, own.high, own.shortest_low, own.shortest_high)
    tau = found.tau
    return (
        np.concatenate([effects, np.stack(columns, axis=1)]),
        np.array([tau.median, tau.interval.low, tau.interval.high, tau.shortest.high]),
    )


@settings(max_examples=60, deadline=None)
@given(studies(), st.sampled_from(sorted(SCALED_PRIORS)), st.booleans(), st.sampled_from([1e-8, 1e4]))
def test_the_unit_of_the_effects_does_not_matter_if_the_priors_change_with_it(data, name, flat, factor):
    yi, vi = data
    prior = SCALED_PRIORS[name]
    mu = (None, None) if flat else (normal(0.2, 1), normal(0.2 * factor, factor))
    here = bayesian_meta_analysis(yi=yi, vi=vi, tau_prior=prior(1.0), mu_prior=mu[0])
    there = bayesian_meta_analysis(yi=yi * factor, vi=vi * factor**2, tau_prior=prior(factor), mu_prior=mu[1])
    (effects, tau), (effects_there, tau_there) = numbers(here), numbers(there)
    size = (effects[:, 3] - effects[:, 2])[:, None]
    assert (np.abs(effects_there / factor - effects) <= 1e-6 * size).all()
    assert tau_there / factor == pytest.approx(tau, rel=1e-6)
    assert there.bayes_factor_tau == pytest.approx(here.bayes_factor_tau, rel=1e-8)
    assert there.bayes_factor_mu == pytest.approx(here.bayes_factor_mu, rel=1e-8, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(studies(), st.sampled_from(sorted(SCALED_PRIORS)), st.booleans())
def test_smaller_panels_change_nothing(data, name, flat):
    yi, vi = data
    prior, mu_prior = SCALED_PRIORS[name](1.0), None if flat else normal(0.2, 1)
    coarse, fine = (posterior(yi, vi, prior, mu_prior, width=width) for width in (3.0, 1.5))
    p = np.array([0.001, 0.025, 0.5, 0.975, 0.999])
    assert coarse.log_marginal == pytest.approx(fine.log_marginal, abs=1e-11)
    assert coarse.tau_quantiles(p) == pytest.approx(fine.tau_quantiles(p), rel=1e-8)
    here, there = (found.effects().summaries(0.95) for found in (coarse, fine))
    size = here[0][:, 2] - here[0][:, 0]
    for one, other in zip(here, there, strict=True):
        assert (np.abs(one - other).reshape(size.size, -1) <= 1e-7 * size[:, None]).all()


@settings(max_examples=60, deadline=None)
@given(studies(), st.sampled_from(sorted(SCALED_PRIORS)), st.floats(0.5, 0.99))
def test_shortest_intervals_hold_what_they_say_and_are_no_longer_than_equal_tailed_ones(data, name, level):
    found = bayesian_meta_analysis(yi=data[0], vi=data[1], tau_prior=SCALED_PRIORS[name](1.0), level=level)
    for quantity in ("mu", "new_study", "tau"):
        summary = getattr(found, quantity)
        inside = [found.probability_above(end, of=quantity) for end in summary.shortest]
        assert inside[0] - inside[1] == pytest.approx(level, abs=1e-9)
        assert summary.shortest.width <= summary.interval.width * (1 + 1e-9)
        assert {summary.interval.level, summary.shortest.level} == {level}
    own = found.shrinkage
    assert (own.shortest_high - own.shortest_low <= (own.high - own.low) * (1 + 1e-9)).all()


@settings(max_examples=40, deadline=None)
@given(studies(), st.sampled_from(sorted(SCALED_PRIORS)), st.sampled_from([-4.0, 0.5, 64.0]))
def test_shifting_and_flipping_the_effects_shifts_and_flips_the_posterior(data, name, shift):
    yi, vi = data
    prior = SCALED_PRIORS[name](1.0)
    here = bayesian_meta_analysis(yi=yi, vi=vi, tau_prior=prior)
    there = bayesian_meta_analysis(yi=shift - yi, vi=vi, tau_prior=prior)
    width = here.new_study.interval.width
    assert there.mu.median == pytest.approx(shift - here.mu.median, abs=1e-8 * (width + 1))
    assert there.mu.interval.low == pytest.approx(shift - here.mu.interval.high, abs=1e-7 * (width + 1))
    assert there.tau.median == pytest.approx(here.tau.median, rel=1e-8)
    assert there.shrinkage.median == pytest.approx(shift - here.shrinkage.median, abs=1e-8 * (width + 1))


@settings(max_examples=60, deadline=None)
@given(studies(), st.sampled_from(sorted(SCALED_PRIORS)))
def test_shrinkage_estimates_lie_between_the_study_and_the_range_of_the_studies(data, name):
    yi, vi = data
    found = bayesian_meta_analysis(yi=yi, vi=vi, tau_prior=SCALED_PRIORS[name](1.0))
    assert (found.shrinkage.mean >= yi.min() - 1e-9).all()
    assert (found.shrinkage.mean <= yi.max() + 1e-9).all()
    assert (found.shrinkage.sd <= np.sqrt(vi) * (1 + 1e-9) + np.ptp(yi)).all()
    assert found.weights.sum() + found.prior_weight == pytest.approx(100, rel=1e-10)


@pytest.mark.parametrize("name", sorted(SCALED_PRIORS))
def test_one_study_leaves_tau_as_its_prior_says(name):
    prior = SCALED_PRIORS[name](1.0)
    found = bayesian_meta_analysis(yi=[0.3], vi=[0.04], tau_prior=prior)
    assert found.tau.median == pytest.approx(prior.quantile(0.5), rel=1e-9)
    assert tuple(found.tau.interval) == pytest.approx((prior.quantile(0.025), prior.quantile(0.975)), rel=1e-7)
    assert found.mu.median == pytest.approx(0.3, abs=1e-12)
    assert found.mu.interval.width > 2 * 1.96 * 0.2
    assert found.bayes_factor_tau == pytest.approx(1, rel=1e-9)
    assert found.shrinkage.mean[0] == pytest.approx(0.3, abs=1e-12)
    assert found.shrinkage.sd[0] == pytest.approx(0.2, rel=1e-9)


def test_one_study_and_a_normal_prior_without_heterogeneity_combine_by_precision():
    found = bayesian_meta_analysis(yi=[0.4], vi=[0.04], tau_prior=half_normal(1e-6), mu_prior=normal(0, 0.2))
    assert found.mu.mean == pytest.approx(0.2, rel=1e-9)
    assert found.mu.sd == pytest.approx(math.sqrt(0.02), rel=1e-9)
    assert found.prior_weight == pytest.approx(50, rel=1e-8)
    assert found.bayes_factor_mu == pytest.approx(norm.pdf(0.4, 0, 0.2) / norm.pdf(0.4, 0, math.sqrt(0.08)), rel=1e-9)


def test_two_studies_give_a_finite_interval_narrower_than_hartung_knapps():
    found = bayesian_meta_analysis(yi=[0.3, -0.1], vi=[0.02, 0.05])
    assert -1.2 < found.mu.interval.low < 0 < found.mu.interval.high < 1.4
    assert math.isfinite(found.new_study.sd)


def test_moments_that_do_not_exist_are_not_given():
    heavy = bayesian_meta_analysis(yi=[0.3, -0.1], vi=[0.02, 0.05], tau_prior=half_cauchy(0.5))
    assert math.isfinite(heavy.tau.mean)
    assert heavy.tau.sd == heavy.mu.sd == heavy.new_study.sd == math.inf
    assert any("no standard deviation" in note for note in heavy.notes)
    tamed = bayesian_meta_analysis(yi=[0.3, -0.1], vi=[0.02, 0.05], tau_prior=half_cauchy(0.5), mu_prior=normal(0, 4))
    assert math.isfinite(tamed.mu.sd)
    assert math.isfinite(tamed.tau.sd)


def test_heavy_tails_keep_their_share_of_a_moment_that_just_exists():
    # With one study tau has its prior; E tau**2 of a half-t with 2.1 degrees of freedom is 21, mostly far out.
    found = bayesian_meta_analysis(yi=[0.0], vi=[1.0], tau_prior=half_t(1.0, 2.1))
    assert found.tau.sd**2 + found.tau.mean**2 == pytest.approx(21, rel=1e-9)


def test_an_improper_prior_needs_enough_studies():
    with pytest.raises(MetapeerError, match="at least 3 studies, not 2"):
        bayesian_meta_analysis(yi=[0.3, -0.1], vi=[0.02, 0.05], tau_prior=uniform())
    with pytest.raises(MetapeerError, match="at least 2 studies, not 1"):
        bayesian_meta_analysis(yi=[0.3], vi=[0.02], tau_prior=uniform(), mu_prior=normal(0, 1))
    found = bayesian_meta_analysis(yi=[0.3, -0.1], vi=[0.02, 0.05], tau_prior=uniform(), mu_prior=normal(0, 1))
    assert math.isnan(found.bayes_factor_tau)
    assert math.isfinite(found.bayes_factor_mu)


def test_a_prior_far_from_the_data_is_overruled_only_as_far_as_it_allows():
    # Effects ten apart, a prior that hardly allows a heterogeneity of 0.04, and an upper bound of 0.1.
    data = {"yi": [0.0, 10.0], "vi": [0.01, 0.01]}
    tight = bayesian_meta_analysis(**data, tau_prior=half_normal(0.01))
    assert 0.01 < tight.tau.mode < 10
    assert tight.tau.interval.low > half_normal(0.01).quantile(0.999)
    bounded = bayesian_meta_analysis(**data, tau_prior=uniform(0.1))
    assert 0.099 < bounded.tau.mode <= 0.1 * (1 + 1e-9)
    assert bounded.tau.interval.high <= 0.1 * (1 + 1e-9)


def test_joint_mode_is_higher_than_its_surroundings(golden_set):
    yi, vi, _ = golden_set("bcg_rr")
    mu, tau = bayesian_meta_analysis(yi=yi, vi=vi, measure="RR").joint_mode

    def height(mu, tau):
        return norm.logpdf(yi, mu, np.sqrt(vi + tau**2)).sum() + halfnorm.logpdf(tau, scale=0.5)

    top = height(mu, tau)
    for step in (1e-3, 1e-5):
        assert top > max(height(mu + step, tau), height(mu - step, tau), height(mu, tau + step), height(mu, tau - step))


def test_savage_dickey_ratio_is_the_bayes_factor(golden_set):
    yi, vi, _ = golden_set("raudenbush")
    found = bayesian_meta_analysis(yi=yi, vi=vi, mu_prior=normal(0.1, 0.3))
    density = found.posterior.effects(studies=False).densities(np.zeros((2, 1)))[0][0, 0]
    assert found.bayes_factor_mu == pytest.approx(density / norm.pdf(0, 0.1, 0.3), rel=1e-10)


# The door


def test_measures_without_a_natural_scale_need_a_prior():
    with pytest.raises(MetapeerError, match="no default for MD"):
        bayesian_meta_analysis(**TRIO, measure="MD")
    assert bayesian_meta_analysis(**TRIO, measure="MD", tau_prior=half_normal(2)).tau_prior == "half_normal(2)"
    assert bayesian_meta_analysis(**TRIO, measure="SMD").notes == ()
    assert "half_normal(0.5)" in bayesian_meta_analysis(**TRIO).notes[0]


def test_what_is_not_a_prior_is_refused():
    with pytest.raises(ChoiceError, match="tau_prior 'half_normal' is not a prior"):
        bayesian_meta_analysis(**TRIO, tau_prior="half_normal")
    with pytest.raises(ChoiceError, match="mu_prior 0 is not a prior"):
        bayesian_meta_analysis(**TRIO, mu_prior=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give a table of effects"),
        ({"data": [1, 2]}, "not a DataFrame"),
        ({"data": pd.DataFrame({"yi": [1.0], "vi": [1.0]}), "yi": [1.0]}, "not both"),
        ({"yi": [1.0]}, "either vi"),
        ({"yi": [1.0, math.nan], "vi": [1.0, -1.0]}, "2 problems|3 problems"),
        ({"yi": [1.0], "vi": [1.0], "labels": "study"}, "list of names"),
        ({"yi": [1.0], "vi": [1.0], "level": 95}, "Did you mean 0.95"),
        ({"yi": [], "vi": []}, "no effect can be pooled"),
    ],
)
def test_wrong_input_is_named(arguments, message):
    with pytest.raises(MetapeerError, match=message):
        bayesian_meta_analysis(**arguments)


def test_table_of_effects_is_read_and_what_is_left_out_is_listed():
    table = pd.DataFrame(
        {
            "study_id": ["a", "b", "c", "d"],
            "yi": [0.3, 0.9, 0.5, None],
            "sei": np.sqrt([0.02, 0.05, 0.001, math.nan]),
            "exclusion_reason": ["", "", "", "no sd"],
            "measure": "SMD",
            "positive_favours": "arm1",
        }
    )
    found = bayesian_meta_analysis(table)
    same = bayesian_meta_analysis(**TRIO, measure="SMD")
    assert found.mu.median == pytest.approx(same.mu.median, rel=1e-12)
    assert found.tau.interval.high == pytest.approx(same.tau.interval.high, rel=1e-12)
    assert found.excluded == (("d", "no sd"),)
    assert "above 0 favours peer support" in found.summary()
    assert list(found.studies()["label"]) == ["a", "b", "c"]
    with pytest.raises(DataError, match="no sd"):
        bayesian_meta_analysis(table.iloc[3:])
    table["study_id"] = ["a", "a", "c", "d"]
    with pytest.warns(DataWarning, match="3 effects from 2 trials"):
        bayesian_meta_analysis(table)


def test_result_is_frozen_and_its_tables_agree():
    found = bayesian_meta_analysis(**TRIO, measure="OR", mu_prior=normal(0, 2))
    with pytest.raises(AttributeError):
        found.k = 4
    with pytest.raises(ValueError, match="read-only"):
        found.shrinkage.mean[0] = 1
    frame = found.to_frame().set_index("quantity")
    assert frame.loc["tau", "median"] == found.tau.median
    assert frame.loc["new_study", "low"] == found.prediction_interval.low
    studies_table = found.studies()
    assert studies_table["mean"].tolist() == found.shrinkage.mean.tolist()
    text = found.summary()
    assert f"{math.exp(found.mu.median):.3f}" in text
    assert "normal(0, 2)" in text
    assert "Bayes factors" in text
    assert "<table>" in found._repr_html_()


def test_probabilities_complement_the_quantiles():
    found = bayesian_meta_analysis(**TRIO)
    for name in ("mu", "new_study", "tau"):
        summary = getattr(found, name)
        assert found.probability_above(summary.median, of=name) == pytest.approx(0.5, abs=1e-10)
        assert found.probability_above(summary.interval.high, of=name) == pytest.approx(0.025, abs=1e-10)
    assert found.probability_above(-1, of="tau") == 1
    assert found.probability_above(1e30, of="tau") == pytest.approx(0, abs=1e-15)
    assert found.probability_above(1e-12, of="tau") == pytest.approx(1, abs=1e-10)
    with pytest.raises(ChoiceError, match="of 'theta' is unknown"):
        found.probability_above(0, of="theta")
    with pytest.raises(MetapeerError, match="not a number"):
        found.probability_above("much")


def test_forest_plot_shows_shrunken_beside_observed_effects():
    found = bayesian_meta_analysis(**TRIO, measure="SMD", labels=["ann", "bob", "cy"])
    table = shrinkage_table(found)
    assert list(table["kind"]) == ["study"] * 3 + ["summary", "prediction", "text"]
    assert table["estimate"].iloc[:3].tolist() == found.shrinkage.median.tolist()
    words = [text.get_text() for text in found.plot().axes[0].texts]
    assert "ann" in words
    assert "0.30 (0.02 to 0.58)" in words
    assert "Observed (95% CI)" in " ".join(words)


def test_thousands_of_studies_are_pooled():
    rng = np.random.default_rng(7)
    vi = rng.uniform(0.01, 0.1, 3000)
    yi = rng.normal(0.2, np.sqrt(vi + 0.04))
    found = bayesian_meta_analysis(yi=yi, vi=vi)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found.mu.interval.width == pytest.approx(2 * 1.96 * math.sqrt(1 / np.sum(1 / (vi + 0.04))), rel=0.05)
    assert found.tau.median == pytest.approx(0.2, abs=0.02)
