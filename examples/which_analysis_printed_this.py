"""Which analysis printed this? A review's numbers, and every way of pooling its rows that gives all their digits.

First the three pooled results of Smit et al. (2023), which one and the same analysis must give. Then what happens when
a row of the extraction table was typed with the wrong sign: no analysis fits any more, and single changes of the rows
are searched instead.
"""

import metapeer as mp

review = mp.load_dataset("smit2023")
rows = review.rows()
printed = {row["published_id"]: row for row in review.published.to_dict("records")}
tables = {name: rows[rows["outcome_group"] == name] for name in printed}

found = mp.identify(tables, printed)
print(f"{len(found.analyses)} of {found.searched:,} analyses give all {len(found.printed)} printed numbers:")
for analysis in found.analyses:
    print(f"  {analysis.words(['effects', 'within_trial', 'tau2_method', 'ci_method', 'I2', 'I2_ci'])}")

print()
print("What speaks against others:")
for choice, value in [("ci_method", "z"), ("tau2_method", "DL"), ("tau2_method", "PM"), ("tau2_method", "ML")]:
    print(f"  {value}: {found.excluded_by(choice, value)[0]}")

print()
mistyped = tables["functional recovery"].copy()
mistyped.loc[mistyped["row_id"] == "cook2012a.2", "review_yi"] *= -1
print(mp.identify(mistyped, printed["functional recovery"], space={"effects": ["review"]}))
