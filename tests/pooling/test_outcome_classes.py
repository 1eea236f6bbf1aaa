"""Contrasts of outcome classes equal their parts put together by hand, and claim nothing beyond an interval."""

import json
import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from metapeer.errors import ChoiceError, DataError, DataWarning, MetapeerError
from metapeer.pooling.dependence import sampling_covariance
from metapeer.pooling.dependent import average_within_trial
from metapeer.pooling.intervals import t_quantile
from metapeer.pooling.models import meta_analysis
from metapeer.pooling.multilevel_models import multilevel_meta_analysis
from metapeer.pooling.outcome_classes import contrast_outcome_classes
from metapeer.pooling.outcome_classes_cells import CLASS_MODELS, CellMean
from metapeer.pooling.outcome_classes_results import ClassContrast, OutcomeClassContrast
from metapeer.pooling.outcome_classes_words import plain
from metapeer.pooling.regression_models import meta_regression
from metapeer.pooling.robust_models import cluster_robust

MANY = 5
PAIR = "psychosocial minus clinical"
WEIGHTS = {"outcome_class[psychosocial]": 1.0, "outcome_class[clinical]": -1.0}
NUMBERS = ["estimate", "se", "df", "ci_low", "ci_high", "p_value"]
ALL_NUMBERS = [*NUMBERS, "pi_low", "pi_high"]
QUIET = {"rhos": (), "models": (), "populations": (), "format": None}
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "outcome_classes.json").read_text())


def trials(count=12, seed=3, *, classes=("psychosocial", "clinical"), formats=True, shift=0.15):
    """Trials of one to five rows each, most with both classes; half of them one-to-one and half groups."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        own = rng.normal(0.0, 0.15)
        format_ = "one_to_one" if i % 2 else "group"
        for j, kind in enumerate(classes):
            if (i + j) % 5 == 4:
                continue  # this trial has no such outcome
            for m in range(1 + (i * (j + 1)) % 3):
                yi = own + rng.normal(0.3 - shift * j, 0.25)
                rows.append((f"t{i}", kind, f"{kind}{m}", format_, round(yi, 4), round(rng.uniform(0.02, 0.09), 5)))
    frame = pd.DataFrame(rows, columns=["study_id", "outcome_class", "outcome", "format", "yi", "vi"])
    return frame if formats else frame.drop(columns="format")


def numbers(line, names=ALL_NUMBERS):
    return [getattr(line, name) for name in names]


def same(one, two, rel=1e-9, names=ALL_NUMBERS):
    assert numbers(one, names) == pytest.approx(numbers(two, names), rel=rel, abs=1e-12, nan_ok=True)


def ask(data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return contrast_outcome_classes(data, **(QUIET | options))


def main(data, **options):
    return ask(data, **options)[PAIR]


def equals_row(line, row):
    assert numbers(line, NUMBERS) == pytest.approx([float(row[name]) for name in NUMBERS], rel=1e-10, abs=1e-13)


def quietly(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return function(*args, **options)


# --- each model is its parts put together by hand


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8])
def test_correlated_and_hierarchical_effects_are_a_multilevel_model_with_robust_tests(rho):
    data = trials()
    V = sampling_covariance(data, rho=rho)
    fit = quietly(multilevel_meta_analysis, data, V=V, formula="0 + outcome_class")
    safe = quietly(cluster_robust, fit)
    found = main(data, rho=rho)
    equals_row(found, quietly(safe.contrast, WEIGHTS).iloc[0])
    table = safe.to_frame().set_index("coefficient")
    for mean in found.means:
        row = table.loc[f"outcome_class[{mean.cell}]"]
        for name in ("estimate", "se", "df", "ci_low", "ci_high"):
            assert getattr(mean, name) == pytest.approx(row[name], rel=1e-10)
    components = fit.variance_components(ci=False).set_index("term")["estimate"]
    half = t_quantile(0.95, found.df) * math.sqrt(found.se**2 + 2.0 * components["study_id/row"])
    assert [found.pi_low, found.pi_high] == pytest.approx([found.estimate - half, found.estimate + half], rel=1e-9)


def test_the_multivariate_model_has_a_random_effect_for_each_class():
    data = trials(14, 8)
    V = sampling_covariance(data, rho=0.6)
    random = ["~ outcome_class | study_id", "~ 1 | row"]
    fit = quietly(multilevel_meta_analysis, data, random=random, struct="UN", V=V, formula="0 + outcome_class")
    found = main(data, model="multivariate")
    equals_row(found, quietly(quietly(cluster_robust, fit).contrast, WEIGHTS).iloc[0])
    G = fit.fit.matrices()[0]
    spread = G[0, 0] + G[1, 1] - 2 * G[0, 1] + 2 * fit.fit.matrices()[1][0, 0]
    half = t_quantile(0.95, found.df) * math.sqrt(found.se**2 + spread)
    assert found.pi_high - found.estimate == pytest.approx(half, rel=1e-9)


def test_three_levels_are_the_models_own_tests_without_sampling_covariances():
    data = trials()
    fit = quietly(multilevel_meta_analysis, data, formula="0 + outcome_class")
    found = main(data, model="three_level")
    equals_row(found, fit.contrast(WEIGHTS).iloc[0])
    assert math.isnan(found.rho)


def test_paired_pools_the_differences_within_trials():
    data = trials()
    V = sampling_covariance(data, rho=0.6).to_dense()
    yi, vi = [], []
    for _, rows in data.groupby("study_id", sort=False):
        first, second = (rows.index[rows["outcome_class"] == kind] for kind in ("psychosocial", "clinical"))
        if len(first) and len(second):
            c = np.zeros(len(data))
            c[first], c[second] = 1.0 / len(first), -1.0 / len(second)
            yi.append(float(c @ data["yi"]))
            vi.append(float(c @ V @ c))
    fit = quietly(meta_analysis, yi=yi, vi=vi)
    found = main(data, model="paired")
    expected = [fit.estimate, fit.se, fit.df, fit.ci.low, fit.ci.high, fit.p_value]
    assert numbers(found, NUMBERS) == pytest.approx(expected, rel=1e-10)
    assert found.trials == found.both == len(yi) < data["study_id"].nunique()
    assert math.isnan(found.pi_low)


def test_averaged_one_row_and_independent_are_meta_regressions():
    data = trials()
    averaged = average_within_trial(data, rho=0.6, by=["study_id", "outcome_class"])
    best = data.loc[data.groupby(["study_id", "outcome_class"])["vi"].idxmin().sort_values()]
    for model, rows in (("averaged", averaged), ("one_row", best), ("independent", data)):
        fit = quietly(meta_regression, rows, formula="0 + outcome_class")
        found = main(data, model=model)
        equals_row(found, fit.contrast(WEIGHTS).iloc[0])
        assert found.k == len(rows)


def test_without_dependence_the_main_model_is_a_robust_meta_regression():
    data = trials(24, 5).drop_duplicates("study_id")
    fit = quietly(meta_regression, data, formula="0 + outcome_class")
    found = main(data)
    # One variance among trials; its maximum is the same, found by another way.
    robust = quietly(quietly(cluster_robust, fit, cluster="study_id").contrast, WEIGHTS).iloc[0]
    assert numbers(found, NUMBERS) == pytest.approx([float(robust[name]) for name in NUMBERS], rel=1e-5)
    assert found.both == 0
    assert main(data, rho=0.9).estimate == found.estimate
    assert "No trial reports both classes" in ask(data).words()


def test_formats_are_analysed_by_themselves_and_the_interaction_is_the_difference_of_differences():
    data = trials(16, 4)
    found = ask(data, format="format")
    lines = {(line.axis, line.scope): line for line in found.lines}
    for name in ("one_to_one", "group"):
        same(lines["main", name], main(data[data["format"] == name]))
    for name in ("psychosocial", "clinical"):
        rows = data[data["outcome_class"] == name]
        fit = quietly(multilevel_meta_analysis, rows, V=sampling_covariance(rows), formula="0 + format")
        weights = {"format[one_to_one]": 1.0, "format[group]": -1.0}
        equals_row(lines["format", name], quietly(quietly(cluster_robust, fit).contrast, weights).iloc[0])
    crossed = data.assign(cell=data["outcome_class"] + "_" + data["format"])
    fit = quietly(multilevel_meta_analysis, crossed, V=sampling_covariance(crossed), formula="0 + cell")
    weights = {"cell[psychosocial_one_to_one]": 1.0, "cell[psychosocial_group]": -1.0}
    weights |= {"cell[clinical_one_to_one]": -1.0, "cell[clinical_group]": 1.0}
    interaction = lines["interaction", "all formats"]
    equals_row(interaction, quietly(quietly(cluster_robust, fit).contrast, weights).iloc[0])
    means = {mean.cell: mean.estimate for mean in interaction.means}
    differences = [means[f"psychosocial within {f}"] - means[f"clinical within {f}"] for f in ("one_to_one", "group")]
    assert interaction.estimate == pytest.approx(differences[0] - differences[1], rel=1e-9)
    assert math.isnan(interaction.pi_low)


# --- rma.mv and clubSandwich on the rows of Smit et al. (2023)


def golden_rows():
    return pd.DataFrame(GOLDEN["data"])


def test_the_covariances_that_r_was_given_are_those_of_the_rows():
    for rho, cells in GOLDEN["covariances"].items():
        V = sampling_covariance(golden_rows(), rho=float(rho), arm_sizes="equal").to_dense()
        expected = np.diag(np.diag(V))
        for i, j, value in cells:
            expected[int(i) - 1, int(j) - 1] = expected[int(j) - 1, int(i) - 1] = value
        assert pytest.approx(expected, rel=1e-12, abs=0) == V


@pytest.fixture(scope="module")
def smit():
    data = golden_rows()
    found = quietly(
        contrast_outcome_classes, data, arm_sizes="equal", rhos=(0.0, 0.9),
        models=("multivariate", "three_level", "independent"), populations=(),
    )  # fmt: skip
    lines = {}
    for line in found.lines:
        if line.axis in ("rho", "model"):
            lines[f"rho {line.rho:g}" if line.axis == "rho" else line.model] = line
        else:
            lines["interaction" if line.axis == "interaction" else line.scope] = line
    lines["rho 0.6"] = lines.pop("all formats")
    return lines


@pytest.mark.parametrize("row", GOLDEN["contrasts"], ids=lambda row: row[0])
def test_contrasts_equal_those_of_metafor_and_clubsandwich(smit, row):
    name, model, rho, _, expected, _ = row
    line = smit[name]
    assert (line.model, line.rho) == pytest.approx((model, math.nan if rho is None else rho), nan_ok=True)
    for value, wanted in zip((line.estimate, line.se, line.df, line.p_value), expected, strict=True):
        if wanted is not None:
            # nlminb stops where it likes; the variances it finds agree to about 1e-6.
            assert value == pytest.approx(wanted, rel=1e-6)


# --- what must not matter, and what must turn the answer round


def test_swapping_the_classes_turns_every_number_round():
    data = trials(14, 9)
    one = ask(data, format="format", rhos=(0.2,), models=tuple(CLASS_MODELS))
    two = ask(data, format="format", rhos=(0.2,), models=tuple(CLASS_MODELS), classes=("clinical", "psychosocial"))
    pairs = [(a, b) for a, b in zip(one.lines, two.lines, strict=True) if a.axis != "format"]
    assert len(pairs) == 11
    for a, b in pairs:
        assert (b.estimate, b.ci_low, b.ci_high) == pytest.approx((-a.estimate, -a.ci_high, -a.ci_low), rel=1e-7)
        assert (b.pi_low, b.pi_high) == pytest.approx((-a.pi_high, -a.pi_low), rel=1e-6, nan_ok=True)
        assert (b.se, b.df, b.p_value, b.both) == pytest.approx((a.se, a.df, a.p_value, a.both), rel=1e-6)
    turn = {"larger": "smaller", "smaller": "larger", "not shown": "not shown"}
    assert [b.verdict for _, b in pairs] == [turn[a.verdict] for a, _ in pairs]


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-3, 3), scale=st.sampled_from([1e-3, 0.5, 40.0]))
def test_shifting_all_effects_changes_nothing_and_scaling_them_scales_all(seed, shift, scale):
    data = trials(12, seed)
    for model in ("CHE", "paired", "independent"):
        found = main(data, model=model)
        same(main(data.assign(yi=data["yi"] + shift), model=model), found, rel=2e-5)
        scaled = main(data.assign(yi=data["yi"] * scale, vi=data["vi"] * scale**2), model=model)
        names = ["estimate", "se", "ci_low", "ci_high", "pi_low", "pi_high"]
        expected = [value * scale for value in numbers(found, names)]
        assert numbers(scaled, names) == pytest.approx(expected, rel=2e-5, abs=1e-9 * scale, nan_ok=True)
        assert (scaled.df, scaled.p_value) == pytest.approx((found.df, found.p_value), rel=2e-5)


@pytest.mark.slow
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_the_rows_and_rows_of_other_classes_do_not_matter(seed):
    data = trials(12, 2)
    other = trials(12, 6).assign(outcome_class="wellbeing of peers", yi=9.0, outcome="x")
    mixed = pd.concat([data, other]).sample(frac=1.0, random_state=seed)
    one = ask(data, format="format", models=tuple(CLASS_MODELS))
    two = ask(mixed, format="format", models=tuple(CLASS_MODELS))
    for a, b in zip(one.lines, two.lines, strict=True):
        assert (a.axis, a.label) == (b.axis, b.label)
        same(a, b, rel=1e-6)
    assert f"{len(other)} rows of other classes not used: wellbeing of peers" in two.notes


def test_a_trial_that_is_left_out_equals_a_table_without_it():
    data = trials(8, 1)
    found = ask(data, leave_one_out=True)
    lines = [line for line in found.lines if line.axis == "trial"]
    assert [line.label for line in lines] == [f"without t{i}" for i in range(8)]
    for name in ("t0", "t5"):
        line = next(line for line in lines if line.label == f"without {name}")
        same(line, main(data[data["study_id"] != name]))


def test_populations_of_two_values_are_shown_alone_and_of_three_left_out():
    data = trials(14, 2)
    number = data["study_id"].str[1:].astype(int)
    data["perinatal"] = np.where(number % 2, "Yes", "No")
    data["disorder"] = np.array(["SMI", "depression", "other"])[number % 3]
    lines = [line for line in ask(data, populations=None).lines if line.axis == "population"]
    assert [line.label for line in lines] == [
        "only perinatal = Yes", "only perinatal = No",
        "without disorder = SMI", "without disorder = depression", "without disorder = other",
    ]  # fmt: skip
    same(lines[0], main(data[data["perinatal"] == "Yes"]))
    same(lines[2], main(data[data["disorder"] != "SMI"]))
    # Rows of neither value remain when one of two is left out.
    data.loc[number < 2, "perinatal"] = None
    labels = [line.label for line in ask(data, populations="perinatal").lines if line.axis == "population"]
    assert labels == ["without perinatal = No", "without perinatal = Yes"]


def test_variants_are_analysed_like_the_table_itself():
    data, other = trials(12, 2), trials(12, 4)
    found = ask(data, format="format", variants={"other rows": other})
    lines = {(line.axis, line.scope): line for line in found.lines}
    again = ask(other, format="format")
    for line in again.lines[:3]:
        same(lines["rows", line.scope], line)
    assert lines["rows", "group"].label == "other rows, group"


def test_other_rhos_and_models_equal_a_table_analysed_with_them():
    data = trials(12, 2)
    found = ask(data, rhos=(0.6, 0.2, 0.2, 0.9), models=tuple(CLASS_MODELS), level=0.9)
    rhos = [line for line in found.lines if line.axis == "rho"]
    assert [line.rho for line in rhos] == [0.2, 0.9]
    same(rhos[0], main(data, rho=0.2, level=0.9))
    models = [line for line in found.lines if line.axis == "model"]
    assert [line.model for line in models] == [name for name in CLASS_MODELS if name != "CHE"]
    for line in models:
        same(line, main(data, model=line.model, level=0.9))
        assert line.label == CLASS_MODELS[line.model]
        assert math.isnan(line.rho) == (line.model in ("three_level", "one_row", "independent"))
    # A main model that assumes no correlation has none to vary.
    assert not [line for line in ask(data, model="independent", rhos=(0.2,)).lines if line.axis == "rho"]


def test_three_classes_make_two_pairs_and_no_line_twice():
    data = trials(14, 3, classes=("psychosocial", "clinical", "service_use"))
    found = ask(data, format="format", populations=None)
    assert found.classes == ("psychosocial", "clinical", "service_use")
    two = data[data["outcome_class"] != "clinical"]
    same(found["psychosocial minus service_use"], ask(two)["psychosocial minus service_use"])
    same(found[PAIR], main(data[data["outcome_class"] != "service_use"]))
    labels = [line.label for line in found.lines]
    assert len(set(labels)) == len(labels)
    assert [line.scope for line in found.lines if line.axis == "format"] == [*found.classes]
    assert len(found.words().split("\n\n")) == 2
    assert found.class_means()["contrast"].nunique() == 2
    with pytest.raises(ChoiceError, match="psychosocial minus service_use"):
        found["psychosocial minus service use"]


def test_formats_may_be_any_column():
    data = trials(15, 2).drop(columns="format")
    data["arm_count"] = np.array(["few", "some", "many"])[data["study_id"].str[1:].astype(int) % 3]
    found = ask(data, format="arm_count")
    assert found.formats == ("few", "some", "many")
    assert [line.axis for line in found.lines] == ["main"] * 4
    same(found.lines[2], main(data[data["arm_count"] == "some"]))
    assert "Within some (" in found.words()
    mixed = trials(12, 2)
    mixed.loc[mixed["study_id"].isin(["t0", "t1"]), "format"] = ["mixed", None][0]
    mixed.loc[mixed["study_id"] == "t2", "format"] = None
    found = ask(mixed, format="format")
    outside = mixed["study_id"].isin(["t0", "t1", "t2"]).sum()
    assert found.formats == ("one_to_one", "group")
    assert any(note.startswith(f"{outside} rows of 3 trials with no format or another one") for note in found.notes)
    assert ask(mixed[mixed["format"] == "group"], format="format").formats == ()


# --- what rows cannot answer


def test_a_class_with_a_single_row_gives_no_answer_rather_than_a_narrow_interval():
    data = pd.DataFrame({
        "study_id": list("abbccdde"), "outcome_class": ["psychosocial"] + ["clinical"] * 7,
        "yi": [0.9, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1], "vi": 0.02,
    })  # fmt: skip
    line = main(data)
    assert (line.verdict, line.trusted, line.k, line.both) == ("no answer", False, 8, 0)
    assert "trial a alone decides" in line.note
    assert math.isnan(line.ci_low)
    assert "these rows give no answer" in ask(data).words()


def test_a_part_of_the_variance_that_residuals_do_not_show_is_noted_and_nothing_claimed():
    rows = [(f"t{i}", "clinical", 0.1 + 0.01 * i) for i in range(8)]
    rows += [("t0", "psychosocial", 0.9), ("t1", "psychosocial", 0.92), ("t8", "psychosocial", 0.91)]
    data = pd.DataFrame(rows, columns=["study_id", "outcome_class", "yi"]).assign(vi=0.02)
    found = ask(data)
    line = found[PAIR]
    assert line.verdict == "larger"
    assert not line.trusted
    assert "not to be trusted" in found.words()
    assert "does more" not in found.words()


def test_effects_in_perfect_agreement_give_no_answer():
    rows = [(f"t{i}", kind, 0.3 if kind == "psychosocial" else 0.1) for i in range(6) for kind in WEIGHTS_OF]
    data = pd.DataFrame(rows, columns=["study_id", "outcome_class", "yi"]).assign(vi=0.02)
    found = ask(data, models=("paired", "three_level", "independent"))
    assert found[PAIR].verdict == "no answer"
    assert "agree so well" in found[PAIR].note
    # The model's own standard error comes from the sampling variances.
    assert next(line for line in found.lines if line.model == "three_level").se > 0.01


WEIGHTS_OF = ("psychosocial", "clinical")


def test_one_trial_gives_no_answer():
    data = pd.DataFrame({"study_id": "a", "outcome_class": WEIGHTS_OF, "yi": [0.1, 0.3], "vi": 0.02})
    found = ask(data, models=tuple(CLASS_MODELS), rhos=(0.2,), leave_one_out=True)
    assert {line.verdict for line in found.lines} == {"no answer"}
    assert found[PAIR].note == "one trial only"
    assert found.words() == "Psychosocial minus clinical: these rows give no answer (one trial only)."
    assert "one trial only" in str(found)
    assert found.class_means().empty


def test_two_trials_give_an_answer_that_is_marked_or_none():
    data = pd.DataFrame({
        "study_id": list("aabb"), "outcome_class": [*WEIGHTS_OF] * 2, "yi": [0.3, 0.1, 0.5, 0.2], "vi": 0.02
    })  # fmt: skip
    found = ask(data, models=tuple(CLASS_MODELS))
    assert not found[PAIR].trusted
    assert "without t" not in found.words()
    assert [line.label for line in ask(data, leave_one_out=True).lines[1:]] == ["without a", "without b"]


def test_models_that_trials_cannot_carry_give_a_line_with_the_reason():
    data = trials(24, 5).drop_duplicates("study_id")
    found = ask(data, models=("multivariate", "paired"))
    notes = {line.model: line.note for line in found.lines}
    assert notes["multivariate"].startswith("no trial reports both ")
    assert notes["paired"] == "0 trials report all that is contrasted; two are needed"
    assert "_c" not in str(found)  # no name of an inner column
    assert "paired" not in [line.model for line in found.lines if line.verdict != "no answer"]


def test_the_multivariate_model_can_be_the_main_one():
    data = trials(16, 4)
    found = ask(data, format="format", model="multivariate")
    assert {line.verdict for line in found.lines} <= {"larger", "smaller", "not shown"}
    crossed = data.assign(cell=data["outcome_class"] + "_" + data["format"])
    fit = quietly(
        multilevel_meta_analysis, crossed, random=["~ outcome_class | study_id", "~ 1 | row"], struct="UN",
        V=sampling_covariance(crossed), formula="0 + cell",
    )  # fmt: skip
    weights = {"cell[psychosocial_one_to_one]": 1.0, "cell[psychosocial_group]": -1.0}
    weights |= {"cell[clinical_one_to_one]": -1.0, "cell[clinical_group]": 1.0}
    equals_row(found.lines[-1], quietly(quietly(cluster_robust, fit).contrast, weights).iloc[0])


@pytest.mark.parametrize("model", CLASS_MODELS)
def test_any_model_can_be_the_main_one_and_says_what_it_assumed(model):
    found = ask(trials(12, 2), model=model, format="format", models=("CHE",))
    text = str(found)
    assert f"Model: {CLASS_MODELS[model]}" in text
    assert ("rho 0.6" in text.partition("Differences")[0]) == (model in ("CHE", "multivariate", "paired", "averaged"))
    assert ("pairs of effects of the same participants" in text) == (model in ("CHE", "multivariate", "paired"))
    assert found[PAIR].model == model


def test_a_faulty_variant_gives_a_line_with_the_reason_and_loses_nothing_else():
    data = trials(12, 2)
    broken = {
        "negative variance": data.assign(vi=-0.1),
        "no class column": data.drop(columns="outcome_class"),
        "one class": data[data["outcome_class"] == "clinical"],
        "empty": data.iloc[:0],
        "another measure": data.assign(measure="MD"),
        "good": data.iloc[:-1],
    }
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = contrast_outcome_classes(data, **QUIET, variants=broken)
    assert "no class column: outcome_class: there is no such column; give psychosocial or clinical for each row" in [
        str(warning.message) for warning in told
    ]
    lines = {line.label: line for line in found.lines if line.axis == "rows"}
    assert list(lines) == list(broken)
    assert [lines[name].verdict for name in list(broken)[:-1]] == ["no answer"] * 5
    assert "-0.1 is not a sampling variance" in lines["negative variance"].note
    assert lines["one class"].note == "no rows of psychosocial"
    assert lines["another measure"].note == "measure is MD, and not given in the main table"
    same(lines["good"], main(data.iloc[:-1]))
    assert "5 more give no answer" in found.words()
    assert "empty: no answer; no rows of psychosocial, clinical" in str(found)


def test_a_rho_that_makes_copies_is_refused_or_gives_a_line_with_the_reason():
    data = trials(12, 2)
    with pytest.raises(DataError, match="give rho below 1"):
        ask(data, rho=1.0)
    found = ask(data, rhos=(1.0, 0.2))
    lines = [line for line in found.lines if line.axis == "rho"]
    assert [line.verdict == "no answer" for line in lines] == [True, False]
    assert "give rho below 1" in lines[0].note
    assert "rho 1: no answer" in str(found)


def test_rows_without_a_class_and_excluded_rows_take_no_part():
    data = trials(12, 2)
    more = data.iloc[:4].assign(outcome_class=[None, math.nan, "", " clinical"], yi=5.0)
    left = data.iloc[:2].assign(yi=math.nan, vi=math.nan, exclusion_reason="sd1 is missing")
    found = ask(pd.concat([data.assign(exclusion_reason=""), more.assign(exclusion_reason=None), left]))
    same(found[PAIR], main(data))
    assert "3 rows without a class not used" in found.notes
    assert "1 row of other classes not used:  clinical" in found.notes


def test_trials_spelled_in_two_ways_are_pointed_out():
    data = trials(8, 2)
    data.loc[1, "study_id"] = "T 0"
    with pytest.warns(DataWarning, match="'t0' and 'T 0' differ in capitals or blanks only"):
        contrast_outcome_classes(data, **QUIET)


# --- bad input: everything that is wrong, in one message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop(columns=["study_id", "outcome_class"]), r"2 problems\n.*study_id.*\n.*outcome_class"),
        (lambda d: d.drop(columns="vi"), "vi or sei"),
        (lambda d: d[d["outcome_class"] == "clinical"], "must be of psychosocial and of clinical or service_use, but"),
        (lambda d: d.assign(outcome_class=math.nan), "but it is empty"),
        (lambda d: d.assign(outcome_class="Clinical"), "it holds Clinical"),
        (lambda d: d.iloc[:0], "it is empty"),
        (lambda d: d.assign(vi=[-1.0, math.nan, *d["vi"][2:]]), r"2 problems"),
        (lambda d: d.assign(yi=[math.inf, "x", *d["yi"][2:]]), r"2 problems"),
        (lambda d: d.assign(study_id=["", None, *d["study_id"][2:]]), r"2 problems\n.*say which trial"),
        (lambda d: pd.concat([d, d[["yi"]]], axis=1), "yi: stands twice"),
        (lambda d: d.assign(measure=["SMD"] + ["MD"] * (len(d) - 1)), "select rows of one measure"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_is_refused_with_all_its_faults(change, message):
    with pytest.raises(DataError, match=message):
        ask(change(trials(8, 2, formats=False)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "che"}, "Did you mean 'CHE'"),
        ({"models": ["paird"]}, "Did you mean 'paired'"),
        ({"models": [1]}, "models must be a list of names"),
        ({"rho": 1.2}, "rho 1.2 is not a correlation"),
        ({"rho": math.nan}, "rho nan is not"),
        ({"rho": True}, "rho True is not"),
        ({"rho": "0.6"}, "rho '0.6' is not"),
        ({"rhos": (0.1, -2)}, "rho -2 is not"),
        ({"rhos": 0.5}, "rhos must be a list"),
        ({"rhos": "0.5"}, "rhos must be a list"),
        ({"classes": "psychosocial"}, "two or more"),
        ({"classes": ("clinical", "clinical")}, "two or more"),
        ({"classes": None}, "classes must be a list"),
        ({"classes": ("clinical", "")}, "classes must be a list"),
        ({"by": 3}, "names of columns"),
        ({"by": "kind"}, "kind: there is no such column"),
        ({"format": "fromat"}, "fromat: there is no such column"),
        ({"format": 3}, "names of columns"),
        ({"populations": ["perinatl"]}, "perinatl: there is no such column"),
        ({"populations": 3}, "populations must be a list"),
        ({"variants": [1]}, "variants must map"),
        ({"variants": {"a": 3, "b": None}}, "'a': int; 'b': NoneType"),
        ({"level": 95}, "level"),
        ({"comparisons": "none"}, "comparisons"),
        ({"arm_sizes": "none"}, "arm_sizes"),
    ],
)
def test_options_that_cannot_be_are_refused_with_a_remedy(options, message):
    with pytest.raises(MetapeerError, match=message):
        ask(trials(8, 2), **options)


def test_what_is_not_a_table_is_refused():
    with pytest.raises(MetapeerError, match="data is a list"):
        contrast_outcome_classes([1, 2])


@settings(max_examples=MANY, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    k=st.integers(2, 14),
    size=st.sampled_from([1e-8, 1.0, 1e8]),
    rho=st.sampled_from([-0.3, 0.0, 0.6, 0.99]),
)
def test_any_small_table_gives_an_answer_or_a_reason(seed, k, size, rho):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({
        "study_id": rng.integers(0, 6, k).astype(str), "outcome_class": rng.choice(WEIGHTS_OF, k),
        "format": rng.choice(["one_to_one", "group", ""], k), "yi": np.round(rng.normal(size=k), 1) * size,
        "vi": rng.choice([0.01, 0.01, 4.0], k) * size**2, "perinatal": rng.choice(["Yes", "No"], k),
    })  # fmt: skip
    try:
        found = ask(data, rho=rho, format="format", models=tuple(CLASS_MODELS), populations=None, rhos=(0.2,))
    except MetapeerError:
        return  # rows of one class only, or correlations that contradict each other
    for line in found.lines:
        if math.isnan(line.estimate):
            assert line.verdict == "no answer"
            assert line.note
            assert math.isnan(line.p_value)
        else:
            assert line.ci_low < line.estimate < line.ci_high
            assert 0 <= line.p_value <= 1
            assert line.trusted or line.note
    assert "nan " not in str(found)
    assert "_cell" not in str(found)


# --- words


def line_of(axis, estimate, low, high, *, scope="all formats", df=12.0, note="", contrast=PAIR, p=0.02, pi=0.4, both=9):
    blank = math.isnan(estimate)
    return ClassContrast(
        axis=axis, scope=scope, label="label", contrast=contrast, model="CHE", rho=0.6, estimate=estimate,
        se=0.05, df=df, ci_low=low, ci_high=high, p_value=p, pi_low=math.nan if blank else estimate - pi,
        pi_high=math.nan if blank else estimate + pi, k=30, trials=11, both=both, note=note,
        means=() if axis != "main" else tuple(
            CellMean(cell=c, estimate=e, se=0.1, df=9.0, ci_low=e - 0.1, ci_high=e + 0.1, k=15, trials=10)
            for c, e in (("psychosocial", 0.3), ("clinical", 0.3 - estimate))
        ),
    )  # fmt: skip


def result_of(
    *lines, favours="arm1", measure="SMD", classes=("psychosocial", "clinical"), formats=("one_to_one", "group")
):
    return OutcomeClassContrast(
        measure=measure, positive_favours=favours, classes=classes, formats=formats, model="CHE", rho=0.6, level=0.95,
        k=30, trials=11, lines=lines, sampling="", notes=(),
    )  # fmt: skip


POOLED = (
    "In 30 effects from 11 trials, 9 of which report both classes, the pooled effect is 0.30 (95% CI 0.20 to 0.40) on "
    "psychosocial outcomes and {} (95% CI {}) on clinical outcomes (positive favours peer support). "
)
AHEAD = (
    "Between one psychosocial and one clinical outcome of a new trial the true difference is expected from {} "
    "(95% prediction interval)."
)


def test_words_say_more_when_the_whole_interval_lies_above_zero():
    assert result_of(line_of("main", 0.2, 0.1, 0.3)).words() == (
        POOLED.format("0.10", "0.00 to 0.20")
        + "The difference, psychosocial minus clinical, is 0.20 (95% CI 0.10 to 0.30, p = 0.020): peer support does "
        "more for psychosocial than for clinical outcomes. " + AHEAD.format("-0.20 to 0.60")
    )


def test_words_say_less_when_the_whole_interval_lies_below_zero():
    assert result_of(line_of("main", -0.2, -0.3, -0.1)).words() == (
        POOLED.format("0.50", "0.40 to 0.60")
        + "The difference, psychosocial minus clinical, is -0.20 (95% CI -0.30 to -0.10, p = 0.020): peer support does "
        "less for psychosocial than for clinical outcomes. " + AHEAD.format("-0.60 to 0.20")
    )


def test_words_claim_nothing_when_the_interval_holds_zero():
    assert result_of(line_of("main", 0.2, -0.1, 0.5, p=0.2)).words() == (
        POOLED.format("0.10", "0.00 to 0.20")
        + "The difference, psychosocial minus clinical, is 0.20 (95% CI -0.10 to 0.50, p = 0.200): neither class is "
        "shown to gain more, and differences from -0.10 to 0.50 are compatible with these rows. "
        + AHEAD.format("-0.20 to 0.60")
    )


def test_words_turn_round_where_positive_favours_the_comparison_and_take_no_side_where_nobody_knows():
    line = line_of("main", 0.2, 0.1, 0.3)
    assert (
        "peer support does less for psychosocial than for clinical outcomes" in result_of(line, favours="arm2").words()
    )
    assert "positive favours the comparison" in result_of(line, favours="arm2").words()
    unknown = result_of(line, favours="", measure="").words()
    assert "the effect on psychosocial outcomes is higher than on clinical outcomes" in unknown
    assert "peer support" not in unknown


def test_words_name_the_log_scale():
    assert "on the log scale" in result_of(line_of("main", 0.2, 0.1, 0.3), measure="OR").words()


FEW = "fewer than 4 degrees of freedom (3.20)"


def test_words_claim_nothing_on_few_degrees_of_freedom():
    words = result_of(line_of("main", 0.2, 0.1, 0.3, df=3.2, note=FEW)).words()
    assert f"the interval leaves out zero, but is not to be trusted ({FEW})." in words
    assert "does more" not in words
    words = result_of(line_of("main", 0.2, -0.1, 0.5, df=3.2, note=FEW)).words()
    assert f"compatible with these rows, but the interval is not to be trusted ({FEW})." in words


def test_words_of_formats_and_of_their_interaction():
    words = result_of(
        line_of("main", 0.2, 0.1, 0.3),
        line_of("main", 0.25, 0.15, 0.35, scope="one_to_one"),
        line_of("main", math.nan, math.nan, math.nan, scope="group", note="no rows of clinical"),
        line_of("interaction", 0.2, 0.05, 0.35, contrast=f"{PAIR}, one_to_one minus group"),
    ).words()
    assert (
        "Within one-to-one peer support (11 trials, 9 with both classes) it is 0.25 (95% CI 0.15 to 0.35): peer "
        "support does more for psychosocial than for clinical outcomes. Within group peer support there is no "
        "answer (no rows of clinical). The difference depends on the format (interaction 0.20, 95% CI 0.05 to 0.35, "
        "p = 0.020)."
    ) in words
    contrast = f"{PAIR}, one_to_one minus group"
    none = line_of("interaction", 0.2, -0.1, 0.5, contrast=contrast)
    few = line_of("interaction", 0.2, 0.1, 0.5, contrast=contrast, note=FEW)
    cannot = f"cannot be said (interaction 0.20, 95% CI 0.10 to 0.50, p = 0.020; {FEW})."
    for line, text in ((none, "is not shown to depend on the format ("), (few, cannot)):
        assert text in result_of(line_of("main", 0.2, 0.1, 0.3), line).words()


def test_words_of_sensitivity_count_what_agrees_what_is_doubtful_and_what_is_silent():
    lines = [
        line_of("rho", 0.3, 0.2, 0.4), line_of("rho", 0.1, -0.2, 0.4), line_of("rho", 0.2, 0.1, 0.4, note=FEW),
        line_of("rho", math.nan, math.nan, math.nan, note="rho too high"),
        line_of("rows", 0.45, 0.2, 0.7), line_of("rows", 0.9, 0.8, 1.0, scope="group"),
        line_of("model", math.nan, math.nan, math.nan, note="no trials"),
    ]  # fmt: skip
    words = result_of(line_of("main", 0.2, 0.1, 0.3), *lines).words()
    assert (
        "With other assumed correlations it goes from 0.10 to 0.30, and the interval excludes zero on the same side in "
        "2 of 3 (1 of the 3 not to be trusted); 1 more gives no answer."
    ) in words
    assert (
        "With other versions of the rows it is 0.45, and the interval excludes zero on the same side in 1 of 1."
        in words
    )
    assert "With other models there is no answer." in words
    words = result_of(line_of("main", 0.2, -0.1, 0.3), *lines[:2]).words()
    assert "and the interval does not exclude zero in 1 of 2." in words


def test_words_never_round_the_end_of_an_interval_to_zero():
    assert (
        "(95% CI 0.003 to 0.300, p = 0.020): peer support does more"
        in result_of(line_of("main", 0.15, 0.0031, 0.3)).words()
    )


@settings(max_examples=60, deadline=None)
@given(low=st.floats(-1, 1), width=st.floats(1e-6, 2), favours=st.sampled_from(["arm1", "arm2", ""]), few=st.booleans())
def test_words_claim_a_side_only_if_the_interval_lies_on_it_and_is_trusted(low, width, favours, few):
    line = line_of("main", low + width / 2, low, low + width, note=FEW if few else "")
    words = result_of(line, favours=favours, measure="SMD" if favours else "").words()
    claims = any(text in words for text in ("does more for", "does less for", "is higher than", "is lower than"))
    assert claims == ((line.ci_low > 0 or line.ci_high < 0) and not few)
    up = {"arm1": "does more for", "arm2": "does less for", "": "is higher than"}[favours]
    assert (up in words) == (line.ci_low > 0 and not few)


def test_interactions_of_classes_with_like_names_are_not_mixed_up():
    classes = ("psychosocial", "clinical", "clinical, late")
    lines = [line_of("main", 0.2, 0.1, 0.3, contrast=f"psychosocial minus {name}") for name in classes[1:]]
    other = line_of("interaction", 9.0, 8.0, 10.0, contrast="psychosocial minus clinical, late, one_to_one minus group")
    first, second = result_of(*lines, replace(other, scope="all formats"), classes=classes).words().split("\n\n")
    assert "9.00" in second
    assert "9.00" not in first


def test_codes_are_written_as_words():
    assert [plain(code) for code in ("one_to_one", "group", "service_use")] == ["one-to-one", "group", "service use"]


# --- tables


def test_tables_hold_every_line_and_say_what_they_are():
    data = trials(12, 2).assign(measure="SMD", positive_favours="arm1", perinatal="Yes")
    data.loc[data["study_id"] > "t5", "perinatal"] = "No"
    found = ask(
        data, format="format", populations=None, rhos=(0.2,), models=("paired",), variants={"fewer": data.iloc[2:]},
        leave_one_out=True, level=0.9,
    )  # fmt: skip
    frame = found.to_frame()
    assert len(frame) == len(found.lines)
    assert frame["estimate"].tolist() == [line.estimate for line in found.lines]
    assert set(frame["level"]) == {0.9}
    assert set(frame["measure"]) == {"SMD"}
    assert frame["verdict"].tolist() == [line.verdict for line in found.lines]
    means = found.class_means()
    assert means["scope"].tolist() == ["all formats"] * 2 + ["one_to_one"] * 2 + ["group"] * 2
    assert means.groupby("scope")["k"].sum()["all formats"] == found.k == len(data)
    text = str(found)
    for line in found.lines:
        assert line.label in text
    assert "90% CI" in text
    assert "90% PI" in text
    assert "95%" not in text
    assert "one_to_one" not in text
    assert "positive favours peer support" in text
    assert found.words().split(". ")[0][:40] in text
    assert "<table>" in found._repr_html_()
    assert max(map(len, text.split("In words")[1].split("\n"))) <= 160


def test_an_interval_with_few_degrees_of_freedom_is_marked():
    data = trials(6, 2, formats=False)
    found = ask(data)
    assert found[PAIR].df < 4
    assert not found[PAIR].trusted
    assert f"{found[PAIR].df:.1f}*" in str(found)
    assert "df*: fewer than 4, p value and interval not trustworthy" in str(found)
    assert "df*" not in str(ask(trials(24, 3, formats=False)))


# --- the figure


def test_the_figure_holds_every_line_of_a_pair():
    from metapeer.pooling.outcome_classes_forest import contrast_table

    data = trials(7, 3, classes=("psychosocial", "clinical", "service_use"))
    data.loc[(data["format"] == "group") & (data["outcome_class"] == "clinical"), "format"] = ""
    found = ask(data, format="format", rhos=(0.2,), models=("multivariate", "paired"), leave_one_out=True)
    for contrast in (PAIR, "psychosocial minus service_use"):
        for asked in (False, True):
            table = contrast_table(found, contrast, trials=asked)
            own = [
                line for line in found.lines if line.contrast == contrast and (asked or line.axis != "trial")
            ]  # fmt: skip
            drawn = table[table["kind"] != "heading"]
            assert drawn["estimate"].dropna().tolist() == [v.estimate for v in own if not math.isnan(v.estimate)]
            assert len(drawn) == len(own)
            silent = drawn[drawn["kind"] == "text"]
            assert silent["label"].tolist() == [
                text for text in drawn["label"] if "no answer (" in text
            ]  # fmt: skip
            assert len(silent) == sum(math.isnan(v.estimate) for v in own)
            numeric = drawn[drawn["kind"] != "text"]
            marked = [not v.trusted for v in own if not math.isnan(v.estimate)]
            assert numeric["p"].str.endswith("*").tolist() == marked
            pooled = drawn[drawn["kind"] == "pooled"]
            assert pooled["pi_low"].notna().tolist() == [not math.isnan(v.pi_low) for v in own if v.axis == "main" and
                                                         not math.isnan(v.estimate)]  # fmt: skip


@pytest.mark.slow
def test_the_figure_is_drawn_for_the_pair_that_was_asked_for():
    data = trials(12, 3, classes=("psychosocial", "clinical", "service_use")).assign(measure="SMD")
    found = ask(data, format="format", rhos=(0.2,))
    figure = found.plot(contrast="psychosocial minus service_use")
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    texts += [axes.get_xlabel() for axes in figure.axes]
    assert any("Higher on service use" in text for text in texts)
    assert "psychosocial minus service use" in " ".join(texts).replace("\n", " ")
    ratios = ask(data.assign(measure="OR"), rhos=(0.2,)).plot()
    labels = " ".join(text.get_text() for axes in ratios.axes for text in axes.texts)
    assert "Odds ratio on the log scale: psychosocial minus clinical" in labels.replace("\n", " ")
    with pytest.raises(ChoiceError, match="contrast 'clinical' is unknown"):
        found.plot(contrast="clinical")
    one = pd.DataFrame({"study_id": "a", "outcome_class": WEIGHTS_OF, "yi": [0.1, 0.3], "vi": 0.02})
    figure = ask(one, models=("paired",)).plot()
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert sum("no answer (one trial only)" in text for text in texts) == 2


@pytest.mark.slow
def test_the_labels_of_the_figure_do_not_overlap():
    data = trials(12, 3).assign(measure="SMD", positive_favours="arm1")
    data.loc[data["format"] == "group", "outcome_class"] = "psychosocial"
    figure = ask(data, format="format", rhos=(0.2,), models=tuple(CLASS_MODELS)).plot()
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [
        (text.get_text(), text.get_window_extent(renderer).shrunk(0.98, 0.9))
        for axes in figure.axes for text in axes.texts if text.get_text().strip() and text.get_visible()
    ]  # fmt: skip
    assert len(boxes) > 20
    over = [(a, b) for i, (a, one) in enumerate(boxes) for b, two in boxes[:i] if one.overlaps(two)]
    assert not over
