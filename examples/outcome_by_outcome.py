"""Outcome by outcome: which outcomes does peer support move, and on how many trials does that rest?

First the rows of Smit et al. (2023), with effects as the review computed them. Then the rows of all packages together.
One trial stands in several of them, under one study_id, so two rules keep it from being counted twice: on one outcome
a trial is taken from one package, the first in the order below that has a usable row; and of one instrument only the
earliest time point counts, the one nearest to the end of treatment. Last, what the findings hang on: on suspected
errors in Smit's rows, and on intervals that trials make narrow by agreeing better than chance lets them.
"""

import pandas as pd

import metapeer as mp

PACKAGES = ["smit2023", "dalgaard2025", "lloydevans2014", "chien2019", "fuhr2014", "other_trials", "updates"]


def rows_of(name, corrected=False):
    """Rows of one package, if wanted with its suspected errors corrected."""
    review = mp.load_dataset(name)
    outcomes = mp.apply_overrides(review.outcomes, review.overrides) if corrected else review.outcomes
    return review.rows(outcomes).assign(package=name)


def compute(rows):
    """Effects as the review computed them where it gives them, and from the trials' numbers where it does not."""
    return mp.effect_size(rows, measure="SMD", variance="metapsy", prefer="review", events_to_smd=True)


def joined(corrected=False):
    """Effects of all packages, a trial once for each outcome; and how many rows there were at each step."""
    effects = compute(pd.concat([rows_of(name, corrected) for name in PACKAGES], ignore_index=True))
    usable = effects[effects["exclusion_reason"] == ""]
    once = usable[usable["package"] == usable.groupby(["study_id", "outcome"])["package"].transform("first")]
    months = once.groupby(["study_id", "comparison", "outcome", "instrument"])["timepoint_months"].transform("min")
    earliest = once[months.isna() | (once["timepoint_months"] == months)]
    return earliest, [len(effects), len(usable), len(once), len(earliest)]


print("SMIT ET AL. (2023)\n")
print(mp.pool_outcomes(compute(rows_of("smit2023"))), "\n")

print("ALL PACKAGES, A TRIAL ONCE FOR EACH OUTCOME\n")
effects, (rows, usable, once, left) = joined()
print(
    f"{rows} rows: {rows - usable} are not usable, {usable - once} are of a trial and outcome that an earlier package"
)
print(f"has, {once - left} of a later time point; {left} are left.\n")
found = mp.pool_outcomes(effects)
print(found, "\n")
pooled = [fit for fit in found.results if fit.k > 1]
spans = sum(fit.prediction_interval.low < 0 < fit.prediction_interval.high for fit in pooled)
print(f"The prediction interval spans no effect for {spans} of {len(pooled)} pooled outcomes.\n")

print("WHAT HAS AN ADJUSTED P BELOW 0.05\n")
for corrected, words in ((False, "as they stand"), (True, "suspected errors corrected")):
    for title, effects in (("Smit's rows", compute(rows_of("smit2023", corrected))), ("all", joined(corrected)[0])):
        for ci_method in ("HK", "HK_se"):
            table = mp.pool_outcomes(effects, ci_method=ci_method).to_frame()
            low = table[table["p_adjusted"] < 0.05]
            names = [f"{name} ({p:.3f})" for name, p in zip(low["name"], low["p_adjusted"], strict=True)]
            print(f"  {title:12} {words:27} {ci_method:6} {'; '.join(names) or 'none'}")
