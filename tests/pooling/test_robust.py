"""Cluster-robust inference: what must hold whatever the data, and what is said of data that do not serve."""

import itertools
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.regression_models import meta_regression
from metapeer.pooling.robust import WorkingModel
from metapeer.pooling.robust_models import cluster_robust, working_model_of
from metapeer.pooling.robust_rve import robust_variance_estimation
from metapeer.pooling.robust_sandwich import VCOV, alone_share, sandwich
from metapeer.pooling.robust_wald import _all_pairs, hotelling_df, robust_linear, robust_wald

quiet = pytest.mark.filterwarnings("ignore::metapeer.errors.DataWarning")


class Fit:
    def __init__(self, model):
        self.model = model

    def working_model(self):
        return self.model


def make(seed, *, clusters=5, p=2, weighted=False, largest=3):
    """A working model with correlated effects in clusters of one to `largest` rows, in mixed order."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, largest + 1, size=clusters)
    k = int(sizes.sum())
    order = rng.permutation(k)
    names, blocks, weights, start = [""] * k, [], [], 0
    for j, n in enumerate(sizes.tolist()):
        rows = np.sort(order[start : start + n])
        root = rng.normal(size=(n, n))
        blocks.append((rows, 0.05 * (root @ root.T + n * np.eye(n))))
        weights.append(np.diag(rng.uniform(1.0, 20.0, size=n)))
        for i in rows.tolist():
            names[i] = f"trial {j}"
        start += n
    X = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
    model = WorkingModel(
        yi=rng.normal(size=k),
        X=X,
        names=tuple(f"x{i}" for i in range(p)),
        blocks=tuple(blocks),
        trials=tuple(names),
        weights=tuple(weights) if weighted else None,
    )
    return model, names


def changed(model, **parts):
    kept = {name: getattr(model, name) for name in WorkingModel.__dataclass_fields__}
    return WorkingModel(**{**kept, **parts})


def dense(model):
    """Covariance and weights of all effects."""
    k = model.yi.size
    Phi, W = np.zeros((k, k)), np.zeros((k, k))
    for i, (rows, block) in enumerate(model.blocks):
        Phi[np.ix_(rows, rows)] = block
        W[np.ix_(rows, rows)] = np.linalg.inv(block) if model.weights is None else model.weights[i]
    return Phi, W


def quadratic_forms(model, clusters, method):
    """Matrices B with V[s, t] = y' B[s, t] y, from nothing but the covariances of made-up effects."""
    k, p = model.X.shape

    def covariance(y):
        return sandwich(changed(model, yi=y), clusters, method=method).covariance

    units = np.eye(k)
    alone = [covariance(unit) for unit in units]
    B = np.empty((p, p, k, k))
    for i in range(k):
        B[:, :, i, i] = alone[i]
        for j in range(i):
            B[:, :, i, j] = B[:, :, j, i] = (covariance(units[i] + units[j]) - alone[i] - alone[j]) / 2
    return B


designs = st.builds(make, st.integers(0, 10_000), clusters=st.integers(4, 6), weighted=st.booleans())


@settings(max_examples=25)
@given(designs)
def test_cr2_is_unbiased_when_the_working_model_is_true(made):
    model, clusters = made
    if sandwich(model, clusters).alone:
        return
    root = np.linalg.cholesky(dense(model)[0])
    # V is a quadratic form of the effects, so that its mean is the sum over the columns of a root of their covariance.
    mean = sum(sandwich(changed(model, yi=column), clusters).covariance for column in root.T)
    W, X = dense(model)[1], model.X
    M = np.linalg.inv(X.T @ W @ X)
    truth = M @ X.T @ W @ dense(model)[0] @ W @ X @ M
    np.testing.assert_allclose(mean, truth, rtol=1e-7, atol=1e-9 * np.abs(truth).max())
    np.testing.assert_allclose(sandwich(model, clusters).model_covariance, truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", VCOV)
def test_degrees_of_freedom_are_those_of_the_quadratic_forms(method, weighted):
    model, clusters = make(7, clusters=6, p=3, weighted=weighted, largest=2)
    Phi = dense(model)[0]
    B = quadratic_forms(model, clusters, method)
    fit = sandwich(model, clusters, method=method)
    for j in range(3):
        form = B[j, j] @ Phi
        assert hotelling_df(fit, np.eye(3)[[j]]) == pytest.approx(np.trace(form) ** 2 / np.trace(form @ form), rel=1e-8)
    C = np.array([[0.0, 1.0, 0.0], [1.0, 0.5, -2.0]])
    forms = np.einsum("sa,tb,abij->stij", C, C, B)
    values, vectors = np.linalg.eigh(np.einsum("stij,ji->st", forms, Phi))
    root = vectors / np.sqrt(values) @ vectors.T
    forms = np.einsum("sa,tb,abij->stij", root, root, forms) @ Phi
    variances = 2.0 * np.einsum("stij,stji->", forms, forms)
    # B[s, t] is not symmetric in the effects for s != t; polarisation gives its symmetric part, as wanted here.
    assert hotelling_df(fit, C) == pytest.approx(2 * 3 / variances, rel=1e-8)


def test_sums_over_pairs_of_clusters_are_sums_over_pairs():
    rng = np.random.default_rng(3)
    m, q, r = 12, 2, 3
    U = rng.normal(size=(m, q, r)) * np.array([1e-3] * 9 + [1.0, 30.0, 1e4])[:, None, None]
    K = -np.eye(r)
    D = -np.einsum("jqa,ab,jrb->jqr", U, K, U) * np.array([5.0] * 9 + [1.2, 1.01, 1.0])[:, None, None]
    direct = 0.0
    for j, k in itertools.product(range(m), repeat=2):
        P = U[j] @ K @ U[k].T + (D[j] if j == k else 0.0)
        direct += np.trace(P) ** 2 + np.trace(P @ P)
    assert _all_pairs(D, U, K) == pytest.approx(direct, rel=1e-12)


@settings(max_examples=25)
@given(designs, st.sampled_from(sorted(VCOV)), st.randoms(use_true_random=False))
def test_order_of_rows_and_names_of_clusters_do_not_matter(made, method, random):
    model, clusters = made
    if sandwich(model, clusters).alone:
        return
    k = model.yi.size
    order = list(range(k))
    random.shuffle(order)
    place = np.argsort(order)
    blocks, weights = [], []
    for i, (rows, Phi) in enumerate(model.blocks):
        moved = place[rows]
        sort = np.argsort(moved)
        blocks.append((moved[sort], Phi[np.ix_(sort, sort)]))
        weights.append(None if model.weights is None else model.weights[i][np.ix_(sort, sort)])
    mixed = random.sample(range(len(blocks)), len(blocks))
    other = changed(
        model,
        yi=model.yi[order],
        X=model.X[order],
        blocks=tuple(blocks[i] for i in mixed),
        weights=None if model.weights is None else tuple(weights[i] for i in mixed),
    )
    one = robust_linear(sandwich(model, clusters, method=method), np.eye(2), test="Satterthwaite", level=0.95)
    renamed = [f"{clusters[i]} again" for i in order]
    two = robust_linear(sandwich(other, renamed, method=method), np.eye(2), test="Satterthwaite", level=0.95)
    np.testing.assert_allclose(one.se, two.se, rtol=1e-8)
    np.testing.assert_allclose(one.df, two.df, rtol=1e-8)


@settings(max_examples=25)
@given(designs, st.floats(-6, 6), st.floats(-100, 100))
def test_units_change_estimates_and_nothing_else(made, exponent, shift):
    model, clusters = made
    if sandwich(model, clusters).alone:
        return
    c = 10.0**exponent
    moved = changed(
        model,
        yi=c * (model.yi + model.X @ np.array([shift, 1.0])),
        blocks=tuple((rows, c**2 * Phi) for rows, Phi in model.blocks),
        weights=None if model.weights is None else tuple(W / c**2 for W in model.weights),
    )
    one, two = (
        robust_linear(sandwich(x, clusters), np.eye(2), test="Satterthwaite", level=0.9) for x in (model, moved)
    )
    np.testing.assert_allclose(two.estimate, c * (one.estimate + np.array([shift, 1.0])), rtol=1e-6, atol=1e-9 * c)
    np.testing.assert_allclose(two.se, c * one.se, rtol=1e-6)
    np.testing.assert_allclose(two.df, one.df, rtol=1e-7)


@settings(max_examples=25)
@given(designs)
def test_a_contrast_is_a_coefficient_of_the_recoded_model(made):
    model, clusters = made
    if sandwich(model, clusters).alone:
        return
    T = np.array([[1.0, 3.0], [0.0, 1.0]])  # the intercept of the recoded model is expected at x1 = -3
    fit, recoded = sandwich(model, clusters), sandwich(changed(model, X=model.X @ T), clusters)
    one = robust_linear(fit, np.array([[1.0, -3.0]]), test="Satterthwaite", level=0.95)
    two = robust_linear(recoded, np.eye(2)[:1], test="Satterthwaite", level=0.95)
    for part in ("estimate", "se", "df", "low", "high"):
        np.testing.assert_allclose(getattr(one, part), getattr(two, part), rtol=1e-8, atol=1e-12)
    F = robust_wald(fit, np.array([[1.0, -3.0]]))
    assert F.statistic == pytest.approx(float(one.statistic[0]) ** 2)
    assert F.df2 == pytest.approx(float(one.df[0]))
    assert F.p_value == pytest.approx(float(one.p_value[0]), rel=1e-7)


@quiet
def test_cr0_with_every_row_its_own_cluster_is_whites_estimator():
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"yi": rng.normal(size=9), "vi": rng.uniform(0.02, 0.1, 9), "x": rng.normal(size=9)})
    fit = meta_regression(table, moderators="x")
    X, W = fit.design.X, np.diag(1 / (fit.vi + fit.tau2))
    M = np.linalg.inv(X.T @ W @ X)
    e = fit.yi - X @ (M @ X.T @ W @ fit.yi)
    found = cluster_robust(fit, vcov="CR0")
    np.testing.assert_allclose(found.covariance, M @ X.T @ W @ np.diag(e**2) @ W @ X @ M, rtol=1e-10)
    np.testing.assert_allclose(found.estimate, fit.beta, rtol=1e-10)
    assert found.clusters == 9
    assert found.clustering == "each effect its own"


@pytest.mark.parametrize("method", ["CR0", "CR3"])
def test_cr3_is_the_jackknife_over_clusters_about_the_full_estimate(method):
    model, clusters = make(11, clusters=6)
    W = dense(model)[1]
    full = sandwich(model, clusters, method=method)
    total = np.zeros((2, 2))
    for name in dict.fromkeys(clusters):
        kept = np.array([own != name for own in clusters])
        X, V = model.X[kept], W[np.ix_(kept, kept)]
        difference = np.linalg.solve(X.T @ V @ X, X.T @ V @ model.yi[kept]) - full.beta
        total += np.outer(difference, difference)
    assert np.allclose(full.covariance, total, rtol=1e-9) == (method == "CR3")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("C", "residuals"), [([[0.0, 1.0]], "CR0"), ([[1.0, 0.0], [0.0, 1.0]], "CR0"), ([[1.0, 0.5]], "CR2")]
)
def test_the_wild_bootstrap_is_what_refitting_every_pattern_of_signs_gives(C, residuals, weighted):
    model, clusters = make(2, clusters=6, weighted=weighted)
    C = np.array(C)
    W = dense(model)[1]
    X, y = model.X, model.yi
    names = list(dict.fromkeys(clusters))
    which = np.array([names.index(own) for own in clusters])

    def statistic(effects):
        M = np.linalg.inv(X.T @ W @ X)
        beta = M @ X.T @ W @ effects
        e = effects - X @ beta
        scores = np.array([M @ X.T @ W @ np.where(which == j, e, 0.0) for j in range(len(names))])
        return float(C @ beta @ np.linalg.solve(C @ scores.T @ scores @ C.T, C @ beta)) / len(C)

    X0 = X @ np.linalg.svd(C)[2][len(C) :].T
    fitted = X0 @ np.linalg.solve(X0.T @ W @ X0, X0.T @ W @ y) if X0.size else np.zeros_like(y)
    e0 = y - fitted
    if residuals == "CR2":
        null = changed(model, X=X0, names=("a",))
        e0 = sandwich(null, clusters).adjusted
    found = [statistic(fitted + e0 * np.array(s)[which]) for s in itertools.product([1.0, -1.0], repeat=len(names))]
    observed = statistic(y)
    with np.errstate(all="raise"):
        result = cluster_robust(Fit(model), test="z").wild_bootstrap(C, residuals=residuals)
    assert result.statistic == pytest.approx(observed)
    assert result.exact
    assert result.replicates == 32
    assert result.p_value == pytest.approx(np.mean(np.array(found) >= observed * (1 - 1e-9)))


@quiet
def test_a_drawn_wild_bootstrap_is_the_same_every_time_and_near_the_exact_one():
    model, clusters = make(4, clusters=10)
    fit = cluster_robust(Fit(model), cluster=clusters)
    exact = fit.wild_bootstrap("x1")
    drawn = [fit.wild_bootstrap("x1", reps=500, seed=seed) for seed in (1, 1, 2)]
    assert exact.exact
    assert not drawn[0].exact
    assert drawn[0].p_value == drawn[1].p_value != drawn[2].p_value
    assert drawn[0].p_value == pytest.approx(exact.p_value, abs=0.08)
    assert drawn[0].seed == 1
    assert exact.seed is None
    # A correction that multiplies the covariance changes no order of the statistics.
    assert fit.wild_bootstrap("x1", vcov="CR1").p_value == exact.p_value


def test_the_wild_bootstrap_says_when_there_are_too_few_clusters():
    model, clusters = make(4, clusters=4)
    fit = cluster_robust(Fit(model), cluster=clusters, test="z")
    with pytest.warns(
        DataWarning, match=r"4 clusters have 8 different patterns of signs; no p value can be below 0\.125"
    ):
        assert fit.wild_bootstrap("x0").p_value >= 0.125


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reps": 5}, "reps must be a whole number of at least 20"),
        ({"reps": 100.0}, "reps must be"),
        ({"seed": -1}, "seed must be"),
        ({"vcov": "CR9"}, "vcov 'CR9' is unknown"),
        ({"residuals": "HC3"}, "residuals 'HC3' is unknown"),
    ],
)
def test_the_wild_bootstrap_refuses_nonsense(options, words):
    model, _ = make(4, clusters=9)
    with pytest.raises(ChoiceError, match=words):
        cluster_robust(Fit(model), test="z").wild_bootstrap("x1", **options)


# What is decided by one cluster alone


def lonely(vi=(0.02, 0.03, 0.05)):
    """Three groups of trials, of which one consists of a single trial with three effects."""
    rng = np.random.default_rng(8)
    trials = [*"aaa", *"bbccddeeffgghhii"]
    group = ["own"] * 3 + ["usual"] * 8 + ["other"] * 8
    return pd.DataFrame(
        {"study_id": trials, "yi": rng.normal(0.3, 0.2, 19), "vi": [*vi, *([0.03, 0.05] * 8)], "group": group}
    )


@quiet
@pytest.mark.parametrize("vcov", ["CR0", "CR1", "CR1p", "CR1S", "CR2"])
def test_a_coefficient_that_one_cluster_alone_identifies_has_no_robust_variance(vcov):
    fit = meta_regression(lonely(), formula="0 + group", model="common")
    with pytest.warns(DataWarning, match=r"group\[own\]: no robust variance, since cluster a alone decides it"):
        found = cluster_robust(fit, vcov=vcov)
    own = found.names.index("group[own]")
    for part in (found.se, found.df, found.p_value, found.ci_low, found.statistic):
        assert math.isnan(part[own])
        assert np.isfinite(np.delete(part, own)).all()
    with pytest.warns(DataWarning, match="there is no HTZ test"):
        assert math.isnan(found.wald_test(["group[own]", "group[usual]"]).p_value)
    with pytest.warns(DataWarning, match="there is no test"):
        assert math.isnan(found.wild_bootstrap("group[own]").p_value)
    assert "NA" in found.summary()


@quiet
def test_a_coefficient_that_one_cluster_decides_in_part_is_said_to_be():
    fit = meta_regression(lonely(), moderators="group", reference={"group": "usual"}, model="common")
    with pytest.warns(DataWarning, match=r"cluster a alone decides part of group\[T.own\] \(\d+% of its variance\)"):
        found = cluster_robust(fit)
    share = alone_share(found.fit, np.eye(3))
    own = found.names.index("group[T.own]")
    alone = 1 / sum(1 / v for v in (0.02, 0.03, 0.05))
    assert share[own] == pytest.approx(alone / found.fit.model_covariance[own, own])
    np.testing.assert_allclose(np.delete(share, own), 0, atol=1e-12)
    assert np.isfinite(found.se).all()


@quiet
def test_cr3_names_the_cluster_that_it_cannot_leave_out():
    fit = meta_regression(lonely(), moderators="group")
    with pytest.raises(DataError, match=r"a: alone identifies a coefficient.*use CR2"):
        cluster_robust(fit, vcov="CR3")


# Doors


@quiet
def test_clusters_are_trials_unless_others_are_given():
    table = lonely().assign(lab=[*"xxx", *"yyzzuuvvwwqqrrss"])
    fit = meta_regression(table, moderators=[])
    by_trial, by_lab = cluster_robust(fit), cluster_robust(fit, cluster="lab")
    assert by_trial.clusters == 9
    assert by_trial.clustering == "the trials"
    assert by_lab.clustering == "by lab"
    np.testing.assert_array_equal(by_trial.se, by_lab.se)
    np.testing.assert_array_equal(cluster_robust(fit, cluster=table["lab"]).se, by_lab.se)
    pooled = cluster_robust(meta_analysis(table))
    np.testing.assert_allclose(pooled.se, by_trial.se, rtol=1e-12)
    assert pooled.names == ("Intercept",)


@quiet
def test_a_fit_with_common_effect_weights_keeps_them():
    table = lonely()
    fit = meta_analysis(table, ci_method="IVhet", tau2_method="DL")
    model = working_model_of(fit)
    assert [float(W[0, 0]) for W in model.weights] == pytest.approx((1 / fit.vi).tolist())
    assert [float(Phi[0, 0]) for _, Phi in model.blocks] == pytest.approx((fit.vi + fit.tau2).tolist())
    found = cluster_robust(fit)
    assert float(found.estimate[0]) == pytest.approx(fit.estimate)
    w = (1 / fit.vi) / (1 / fit.vi).sum()
    assert found.fit.model_covariance[0, 0] == pytest.approx(float((w**2 * (fit.vi + fit.tau2)).sum()))


@quiet
def test_counts_pooled_without_weights_are_refused():
    from metapeer.pooling.counts import mantel_haenszel

    table = pd.DataFrame({"events1": [3, 5, 4], "total1": [20, 30, 25], "events2": [6, 8, 5], "total2": [21, 29, 26]})
    with pytest.raises(MetapeerError, match="pooled by Mantel-Haenszel"):
        cluster_robust(mantel_haenszel(table, measure="RR"))
    with pytest.raises(MetapeerError, match="a float has no robust variances"):
        cluster_robust(3.0)


@quiet
@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        (["a"] * 19, "there is 1 cluster; robust variances need at least two"),
        (["a", "b"], "it names 2 rows; the fit used 19"),
        ("lab", "no table with a column 'lab'"),
        (7, "7 is not a list"),
        ([None, "", math.nan, *"bbccddeeffgghhii"], r"3 problems"),
        ([["x"], *"aabbccddeeffgghhii"], "is not the name of one cluster"),
    ],
)
def test_clusters_that_do_not_serve_are_refused(cluster, words):
    with pytest.raises(DataError, match=words):
        cluster_robust(meta_analysis(lonely()), cluster=cluster)


def test_rows_left_out_of_the_fit_are_not_among_its_clusters():
    table = lonely().assign(exclusion_reason=["no sd"] + [""] * 18)
    with pytest.warns(DataWarning):
        fit = meta_analysis(table)
    with pytest.raises(DataError, match="it names 19 rows; the fit used 18 and left out 1 row"):
        cluster_robust(fit, cluster=table["study_id"])


@quiet
def test_rows_without_a_trial_are_listed_and_not_taken_for_trials_of_their_own():
    table = lonely().assign(study_id=["a", None, "", *"bbbbccccddddeeee"], other=[*"aaa", *"bbbbccccddddeeee"])
    fit = meta_analysis(table)
    for refused in (lambda: cluster_robust(fit), lambda: robust_variance_estimation(table)):
        with pytest.raises(DataError, match="study_id: is missing") as caught:
            refused()
        assert len(caught.value.faults) == 2
    assert cluster_robust(fit, cluster="other").clusters == 5
    with pytest.raises(DataError, match="says which effects belong to one trial"):
        robust_variance_estimation(table.drop(columns="study_id"))


def test_clusters_may_not_separate_correlated_effects():
    model, clusters = make(1, clusters=4)
    rows = next(rows for rows, _ in model.blocks if rows.size > 1)
    clusters[rows[0]] = "another"
    with pytest.raises(DataError, match=r"\(cluster another\).* are correlated in the model"):
        sandwich(model, clusters)
    independent = changed(model, blocks=tuple((r, np.diag(np.diag(Phi))) for r, Phi in model.blocks))
    assert len(sandwich(independent, clusters).clusters) == 5


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"X": np.ones((3, 2))}, r"X has shape \(3, 2\)"),
        ({"labels": ("a",)}, "labels name 1 rows"),
        ({"blocks": ()}, "exactly one block"),
        ({"yi": np.array([0.1, math.nan, 0.3])}, "finite"),
        ({"X": np.array([[1.0, 2.0]] * 3), "names": ("a", "b")}, "b: depends on the columns before it"),
        ({"blocks": tuple((np.array([i]), np.array([[v]])) for i, v in enumerate([0.1, 0.0, -1.0]))}, "2 problems"),
        ({"weights": (np.eye(2),)}, "shapes of the blocks"),
    ],
)
def test_a_working_model_that_does_not_fit_together_is_refused(parts, words):
    blocks = tuple((np.array([i]), np.array([[0.1]])) for i in range(3))
    model = WorkingModel(yi=np.array([0.1, 0.2, 0.4]), X=np.ones((3, 1)), names=("a",), blocks=blocks)
    with pytest.raises(DataError, match=words):
        sandwich(changed(model, **parts), ["1", "2", "3"])


@quiet
def test_one_study_is_one_cluster():
    with pytest.raises(DataError, match="there is 1 cluster"):
        cluster_robust(meta_analysis(yi=[0.3], vi=[0.02]))


@quiet
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vcov": "CR4"}, "vcov 'CR4' is unknown"),
        ({"test": "t"}, "test 't' is unknown"),
        ({"level": 95}, "Did you mean 0.95"),
    ],
)
def test_unknown_options_are_refused(options, words):
    with pytest.raises(MetapeerError, match=words):
        cluster_robust(meta_analysis(lonely()), **options)


def test_cr1p_needs_more_clusters_than_coefficients():
    model, clusters = make(4, clusters=4, p=4)
    with pytest.raises(MetapeerError, match="clusters minus coefficients, 4 - 4"):
        sandwich(model, clusters, method="CR1p")


def test_few_degrees_of_freedom_are_warned_of():
    with pytest.warns(DataWarning, match=r"fewer than 4 degrees of freedom, .* not trustworthy: Intercept \(1\.\d\)"):
        found = cluster_robust(meta_analysis(yi=[0.1, 0.3, 0.6], vi=[0.02, 0.03, 0.05]))
    assert any("not trustworthy" in note for note in found.notes)
    with pytest.warns(DataWarning, match="not trustworthy"):
        found.contrast({"Intercept": 2.0})


@quiet
def test_the_level_is_that_of_the_fit_or_the_one_asked_for():
    fit = meta_analysis(lonely(), level=0.9)
    half = cluster_robust(fit).estimate - cluster_robust(fit).ci_low
    wider = cluster_robust(fit, level=0.99)
    assert cluster_robust(fit).level == 0.9
    assert (wider.estimate - wider.ci_low > half).all()
    assert "99% CI" in wider.summary()


@quiet
def test_labels_say_what_was_done():
    found = cluster_robust(meta_analysis(lonely(), measure="OR"), vcov="CR1", test="naive-t")
    assert found.method == "CR1, df = clusters - 1, 9 clusters"
    text = str(found)
    assert "19 effects in 9 clusters, the trials" in text
    assert "Tests: CR1, df = clusters - 1, 9 clusters" in text
    assert "CR1 with 9 clusters: such variances are too small on average" in text
    assert f"{math.exp(found.estimate[0]):.3f}" in text
    normal = cluster_robust(meta_analysis(lonely()), test="z")
    assert " z " in str(normal).replace("\n", " ")
    assert np.isinf(normal.df).all()


@quiet
def test_results_are_frozen_and_make_one_table():
    found = cluster_robust(meta_regression(lonely(), moderators="group", reference={"group": "usual"}))
    frame = found.to_frame()
    assert frame["coefficient"].tolist() == list(found.names)
    np.testing.assert_array_equal(frame["se"], found.se)
    with pytest.raises(AttributeError):
        found.se = None
    with pytest.raises(ValueError, match="read-only"):
        found.se[0] = 0.0
    assert "<table>" in found._repr_html_()
    assert pickle.loads(pickle.dumps(found.fit.model)).names == found.names  # noqa: S301


@quiet
def test_joint_tests_take_terms_coefficients_and_combinations():
    rng = np.random.default_rng(12)
    table = pd.DataFrame({"yi": rng.normal(size=30), "vi": 0.05, "dose": list("abc") * 10, "x": rng.normal(size=30)})
    found = cluster_robust(meta_regression(table, moderators=["dose", "x"]))
    by_term = found.wald_test("dose")
    by_name = found.wald_test(["dose[T.b]", "dose[T.c]"])
    by_row = found.wald_test(np.eye(4)[1:3] * np.array([[1e6], [1e-6]]))
    assert by_term == by_name
    assert by_row.p_value == pytest.approx(by_term.p_value, rel=1e-9)
    assert found.omnibus == found.wald_test(["dose", "x"])
    for which, words in (
        ("dosis", "Did you mean 'dose'"),
        ([], "nothing is tested"),
        (np.ones((1, 2)), "rows of 4 finite numbers"),
        (np.ones((2, 4)), "depend on one another"),
        (np.full((1, 4), math.nan), "finite"),
        ([["a", "b"]], "names of coefficients or rows of numbers"),
        (np.zeros((1, 4)), "depend on one another"),
    ):
        with pytest.raises(ChoiceError, match=words):
            found.wald_test(which)
    with pytest.raises(ChoiceError, match="test 'F' is unknown"):
        found.wald_test("dose", test="F")


@quiet
def test_contrasts_refuse_what_they_cannot_weigh():
    found = cluster_robust(meta_regression(lonely(), moderators=[]))
    for weights, words in (
        ({}, "must map"),
        ({"year": 1}, "is unknown"),
        ({"Intercept": "1"}, "finite number"),
        ({"Intercept": 0}, "other than zero"),
        ({"Intercept": 1, "twice": {"Intercept": 2}}, "not both"),
    ):
        with pytest.raises(ChoiceError, match=words):
            found.contrast(weights)
    both = found.contrast({"once": {"Intercept": 1}, "twice": {"Intercept": 2}})
    assert both["estimate"].tolist() == pytest.approx([found.estimate[0], 2 * found.estimate[0]])
    assert both["df"][0] == pytest.approx(both["df"][1])


def test_ten_thousand_clusters_need_no_matrix_of_pairs():
    k = 10_000
    rng = np.random.default_rng(1)
    blocks = tuple((np.array([i]), np.array([[v]])) for i, v in enumerate(rng.uniform(0.01, 0.1, k).tolist()))
    X = np.column_stack([np.ones(k), rng.normal(size=k)])
    fit = sandwich(
        WorkingModel(yi=rng.normal(size=k), X=X, names=("a", "b"), blocks=blocks), [str(i) for i in range(k)]
    )
    found = robust_linear(fit, np.eye(2), test="Satterthwaite", level=0.95)
    # df of one mean from independent rows: about (sum w)² / sum w² of them
    w = np.array([1 / Phi[0, 0] for _, Phi in blocks])
    assert float(found.df[0]) == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=0.05)


# Robust variance estimation


@quiet
def test_hierarchical_effects_need_trials_with_several_effects():
    table = pd.DataFrame({"study_id": list("abcdef"), "yi": [0.1, 0.4, 0.2, 0.5, 0.3, 0.9], "vi": 0.03})
    with pytest.raises(DataError, match="cannot tell variance between trials from variance within them"):
        robust_variance_estimation(table, model="HIER")
    found = robust_variance_estimation(table)
    assert found.tau2 == pytest.approx(meta_analysis(table, tau2_method="DL").tau2)
    assert "correlations play no part" in str(found)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "HIER", "rho": 0.5}, "rho has no effect"),
        ({"rho": 1.5}, "rho must be a number from 0 to 1"),
        ({"rho": "high"}, "rho must be"),
        ({"rho": math.nan}, "rho must be"),
        ({"model": "CHE"}, "model 'CHE' is unknown"),
        ({"level": 0}, "level"),
    ],
)
def test_robust_variance_estimation_refuses_unknown_options(options, words):
    with pytest.raises(MetapeerError, match=words):
        robust_variance_estimation(lonely(), **options)


@quiet
def test_robust_variance_estimation_says_what_it_left_out_and_assumed():
    table = lonely().assign(exclusion_reason=[""] * 18 + ["no sd"])
    found = robust_variance_estimation(table, rho=0.6)
    text = str(found)
    assert "with an assumed correlation of 0.6" in text
    assert "no sd" in text
    assert found.to_frame()["rho"].tolist() == [0.6]
    other = robust_variance_estimation(table, model="HIER")
    assert "omega²" in str(other)
    assert math.isnan(other.rho)
    assert found.wild_bootstrap("Intercept").clusters == 9


@quiet
def test_one_trial_or_no_residuals_cannot_be_estimated():
    one = pd.DataFrame({"study_id": ["a", "a"], "yi": [0.1, 0.4], "vi": 0.03})
    for model in ("CORR", "HIER"):
        with pytest.raises(DataError):
            robust_variance_estimation(one, model=model)
        with pytest.raises(DataError):
            robust_variance_estimation(one.iloc[:1], model=model)


def test_effects_that_agree_exactly_have_no_test_and_no_false_certainty():
    fit = meta_analysis(yi=[0.3] * 6, vi=[0.1] * 6, model="common")
    with pytest.warns(DataWarning, match="Intercept: the robust standard error is zero"):
        found = cluster_robust(fit)
    assert found.se[0] == 0.0
    assert math.isnan(found.p_value[0])
    with pytest.warns(DataWarning, match="there is no HTZ test"):
        assert math.isnan(found.wald_test("Intercept").statistic)


def test_five_clusters_of_equal_weight_have_four_degrees_of_freedom_and_no_warning():
    found = cluster_robust(meta_analysis(yi=[0.1, 0.4, 0.2, 0.6, 0.3], vi=[0.1] * 5, model="common"))
    assert float(found.df[0]) == pytest.approx(4)
    assert found.notes == ()


def test_effects_of_astronomical_size_are_tested_like_others():
    model, clusters = make(21, clusters=6)
    plain = robust_linear(sandwich(model, clusters), np.eye(2), test="Satterthwaite", level=0.95)
    for c in (1e-60, 1e100):
        blocks = tuple((rows, c**2 * Phi) for rows, Phi in model.blocks)
        fit = sandwich(changed(model, yi=c * model.yi, blocks=blocks), clusters)
        moved = robust_linear(fit, np.eye(2), test="Satterthwaite", level=0.95)
        np.testing.assert_allclose(moved.p_value, plain.p_value, rtol=1e-9)
        np.testing.assert_allclose(moved.df, plain.df, rtol=1e-9)
