"""Set what reviews say in words beside what the bundled trials show.

The numbers of the trials that White et al. (2020) and Lyons et al. (2021) pooled are not available here. Each of their
findings is judged by a rule (docs/methods.md) from the bundled rows of the same format and outcome, which need not be
those that the review saw. "Undecided" means that these rows allow both answers, or that there are none.
"""

import metapeer as mp

ledger = mp.reproduce(["white2020", "lyons2021"])

for claim in ledger.claims:
    print(f"{claim.review}: {claim.statement}")
    print(f"  evidence: {claim.evidence or 'none'}")
    print(f"  {claim.verdict}: {claim.explanation}")
    for what, judgement in claim.sensitivity:
        print(f"  with {what}: {judgement.verdict}")
    print()

print("What would be needed to recompute Lyons's pooled recovery:")
for line in ledger["lyons2021: recovery"].worklist:
    print(f"  {line}")
