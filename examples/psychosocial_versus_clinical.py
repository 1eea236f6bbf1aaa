"""Does peer support move psychosocial outcomes more than clinical ones?

Reviews count significant results outcome by outcome. Here the rows of Smit et al. (2023) answer directly: most trials
report both classes of the same people, so that the difference between the classes can be seen within trials. Beside the
answer stands what it becomes under other assumptions, and without the rows whose numbers look wrong.
"""

import warnings

import metapeer as mp

# Every warning also stands among the notes of the results.
warnings.simplefilter("ignore", mp.DataWarning)

review = mp.load_dataset("smit2023")


def compute(outcomes):
    """Effects as the review computed them, with events as standardised mean differences."""
    rows = review.rows(outcomes)
    return mp.effect_size(rows, measure="SMD", variance="metapsy", prefer="review", events_to_smd=True)


effects = compute(review.outcomes)

# 1. Who hangs together with whom.
print(mp.describe_dependence(effects))

# 2. Suspected errors: corrected as datasets/smit2023/overrides.csv proposes, and their trials left out.
corrected = compute(mp.apply_overrides(review.outcomes, review.overrides))
suspicious = review.overrides["row_id"].str.split(".").str[0].unique()
left_out = effects[~effects["study_id"].isin(suspicious)]

# 3. The answer. One trial with a shared control arm does not print the sizes of its arms.
found = mp.contrast_outcome_classes(
    effects,
    rho=0.6,
    variants={"suspected errors corrected": corrected, "trials with suspected errors left out": left_out},
    arm_sizes="equal",
)
print()
print(found)

# 4. The figure.
figure = found.plot(title="Psychosocial minus clinical outcomes of peer support")
# mp.save_figure(figure, "psychosocial-versus-clinical.png")

# 5. The model behind the main line, step by step.
V = mp.sampling_covariance(effects, rho=0.6, arm_sizes="equal")
fit = mp.multilevel_meta_analysis(effects, random="~ 1 | study_id/row", V=V, formula="0 + outcome_class")
safe = mp.cluster_robust(fit)
print()
print(fit)
print()
print(safe)
print()
print(safe.contrast({"outcome_class[psychosocial]": 1, "outcome_class[clinical]": -1}).round(3).to_string(index=False))
