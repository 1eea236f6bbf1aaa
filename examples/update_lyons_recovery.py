"""Update a published review: the PEER trial (Poulsen et al. 2025) into group peer support and recovery.

Lyons et al. (2021) searched to July 2019. Which five trials they pooled for recovery is not known; their claim is set
beside the group trials whose rows are bundled (the plan of lyons2021). PEER came after the search. Its abstract gives a
Cohen d without a standard error, and a difference of means with an interval: from the two together the standard error
follows, and the arithmetic is shown. The bundled data are not touched: the row is changed in memory.
"""

from dataclasses import replace

import metapeer as mp
from metapeer import update

updates = mp.load_dataset("updates")
rows = updates.outcomes.set_index("row_id")

print("What the bundled rows of newer trials give as they stand: nothing that can be pooled for recovery.\n")
for row, why in update("lyons2021", updates, outcomes="recovery").not_used:
    if row.startswith("poulsen2025"):
        print(f"{row}: {why}")

difference, d = rows.loc["poulsen2025.1"], rows.loc["poulsen2025.2"]
print("\nThe abstract of PEER, QPR-15 at the end of the course:")
print(f"difference of means {difference['es']} (95% CI {difference['es_ci_low']} to {difference['es_ci_high']})")
print(f"d {d['es']}, {d['n1']:.0f} and {d['n2']:.0f} randomised")

se_difference = (difference["es_ci_high"] - difference["es_ci_low"]) / (2 * 1.959964)
sd = difference["es"] / d["es"]
se = se_difference / sd
print(f"\nstandard error of the difference {se_difference:.3f}; the SD that makes it d is {sd:.2f}; so d has {se:.4f}")
usual = (1 / d["n1"] + 1 / d["n2"] + d["es"] ** 2 / (2 * (d["n1"] + d["n2"]))) ** 0.5
print(f"the usual formula from the numbers randomised would give {usual:.4f}\n")

outcomes = updates.outcomes.copy()
here = outcomes["row_id"] == "poulsen2025.2"
outcomes.loc[here, "es_se"] = se
outcomes.loc[here, "exclusion_reason"] = ""

found = update("lyons2021", replace(updates, outcomes=outcomes), outcomes="recovery")
print(found["recovery"])

print("\nEvery share of the change:\n")
print(found.shares_frame().round(6).to_string(index=False))
change = found["recovery"].change["estimate"]
gap = abs(sum(share.estimate for share in found["recovery"].shares) - change)
print(f"\nThe shares add up to the change, within 1e-12: {gap < 1e-12}")

print("\nStill awaited, with the numbers that are needed:\n")
for one in found.awaited:
    what = f", {one.outcome}" if one.outcome else ""
    print(f"{one.study_id}{what} ({one.format or 'format unknown'})")
    print(f"  needed: {one.needed}")
    print(f"  known:  {one.note}")
