"""Audit the extraction behind a published meta-analysis, and see what each suspicion would do to its results.

Nothing that is printed here was looked up in a primary paper: each finding is a question to it.
"""

import metapeer as mp

report = mp.audit(mp.load_dataset("smit2023"), remarks=False)

for finding, consequences in zip(report.findings, report.consequences, strict=True):
    print(f"{finding.severity}: {report.rows_of(finding)}")
    print(f"  {finding.message}")
    print(f"  evidence: {finding.evidence}")
    print(f"  look up: {finding.look_up}")
    for consequence in consequences:
        print(f"  if so, {consequence.words()}")
    print()

# All of them at once: what would the three results be if every suspicion that says what to use instead were true?
rows = mp.load_dataset("smit2023").rows()
changed = {row: value for finding in report.findings for row, value in finding.instead.items()}
effects = rows.assign(yi=rows["review_yi"], vi=rows["review_sei"] ** 2)
for position, value in changed.items():
    if value is not None:
        effects.loc[effects.index[position], ["yi", "vi"]] = value

print("outcome               as extracted            if all of it is true")
for outcome in effects["outcome_group"].unique():
    inside = effects["outcome_group"] == outcome
    before = mp.meta_analysis(yi=rows.loc[inside, "review_yi"], sei=rows.loc[inside, "review_sei"])
    after = mp.meta_analysis(yi=effects.loc[inside, "yi"], vi=effects.loc[inside, "vi"])
    shown = [f"{fit.estimate:.2f} ({fit.ci.low:.2f} to {fit.ci.high:.2f})" for fit in (before, after)]
    print(f"{outcome:<20}  {shown[0]:<22}  {shown[1]}")
