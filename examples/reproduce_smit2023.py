"""Reproduce a published review, number by number: Smit et al. (2023), 28 trials of peer support.

The data are the review's own extraction, published as Metapsy data-peer-support-interventions 23.0.3
(doi 10.5281/zenodo.7687898, ODC-By 1.0), and stand in datasets/smit2023 with a source for every row.
"""

import metapeer as mp

ledger = mp.reproduce("smit2023")

print("The three pooled effects of the abstract, and what comes out:\n")
for entry in ledger.entries:
    print(f"{entry.published_id:20} printed    {entry.published_words()}")
    print(f"{'':20} recomputed {entry.recomputation.words()}   {entry.verdict}")

print("\nBehind the rounding, one of them in full:\n")
print(ledger["clinical recovery"].result)

print("\nTwo trials have rows that contradict themselves (datasets/smit2023/overrides.csv). Suspected errors are never")
print("corrected silently; they are computed beside the review's own way:\n")
for entry in ledger.entries:
    for variant in entry.variants:
        print(f"{entry.published_id:20} {variant.name:26} {variant.words()}")
