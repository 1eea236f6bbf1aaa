"""Set what reviews say in words beside what the bundled trials show.

White et al. (2020), Lyons et al. (2021) and others state findings whose numbers are not available here. Each claim is
judged by a rule (docs/methods.md) from the pooled rows of the same format and outcome.
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
