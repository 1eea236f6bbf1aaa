"""Does peer support move psychosocial outcomes more than clinical ones?

Reviews count significant results outcome by outcome. Here the rows of Smit et al. (2023) are pooled by class of
outcome and by format of peer support, each trial counted once in each class: its effects within a class are averaged
with an assumed correlation of 0.6.
"""

import warnings

import metapeer as mp

# Every warning also stands among the notes, which are printed below each table.
warnings.simplefilter("ignore", mp.DataWarning)

review = mp.load_dataset("smit2023")
differences = {}


def compute(outcomes):
    """Effects as the review computed them, with events as standardised mean differences."""
    rows = review.rows(outcomes)
    return mp.effect_size(rows, measure="SMD", variance="metapsy", prefer="review", events_to_smd=True)


def by_class(title, effects):
    """Pool psychosocial and clinical outcomes of some rows."""
    averaged = mp.average_within_trial(effects, rho=0.6, by=["study_id", "outcome_class"])
    found = mp.subgroup_analysis(averaged, by="outcome_class")
    differences[title] = found["psychosocial"].estimate - found["clinical"].estimate, found.p_value
    print(f"{title}\n")
    for level, fit in zip(found.levels, found.results, strict=True):
        print(
            f"  {level:12}  {fit.k:2} trials  g {fit.estimate:5.2f} ({fit.ci.low:5.2f} to {fit.ci.high:.2f})"
            f"  prediction {fit.prediction_interval.low:5.2f} to {fit.prediction_interval.high:.2f}"
            f"  tau² {fit.tau2:.3f}  I² {fit.I2:.0f}%"
        )
    for line in (found.test_words(), *found.notes):
        print(f"  {line}")
    print()


effects = compute(review.outcomes)
by_class("All formats", effects)
by_class("One-to-one peer support", effects[effects["format"] == "one_to_one"])
by_class("Group peer support", effects[effects["format"] == "group"])
by_class(
    "All formats, suspected errors corrected (datasets/smit2023/overrides.csv)",
    compute(mp.apply_overrides(review.outcomes, review.overrides)),
)

print("Psychosocial minus clinical:\n")
for title, (difference, p_value) in differences.items():
    print(f"  {difference:6.3f}  p {p_value:.3f}  {title}")

larger = [title for title, (difference, _) in differences.items() if difference > 0]
print(f"\nThe psychosocial estimate is the larger one in: {', '.join(larger) or 'none of them'}.")
lowest = min(p_value for _, p_value in differences.values())
print(f"The lowest p is {lowest:.2f}. A p above 0.05 shows neither that the classes differ nor that they do not; and")
print("the tests treat the classes as independent, although most trials report both, which makes a difference harder")
print("to find.")
