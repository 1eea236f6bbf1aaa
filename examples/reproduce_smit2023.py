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

print("\nThe review's own effects were pooled as they stand. In rows of two trials an error is suspected, from their")
print("numbers alone (datasets/smit2023/overrides.csv). What that would change is computed beside the review's way,")
print("and so is what comes out of the means, SDs and events of the arms:\n")
for entry in ledger.entries:
    for variant in entry.variants:
        print(f"{entry.published_id:20} {variant.name:26} {variant.words()}")
