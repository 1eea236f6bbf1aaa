"""Pool a table of your own: thirteen trials of BCG vaccine against tuberculosis.

The numbers are those of Colditz et al. (1994), JAMA 271:698-702, as the R package metadat has them (dat.bcg): a table
that nearly every program for meta-analysis has pooled, so that you can compare. Any table with one row per trial will
do: a DataFrame, or a file read by read_outcomes().
"""

from io import StringIO

import pandas as pd

import metapeer as mp

TRIALS = """\
study_id,events1,total1,events2,total2,allocation
Aronson 1948,4,123,11,139,random
Ferguson & Simes 1949,6,306,29,303,random
Rosenthal et al. 1960,3,231,11,220,random
Hart & Sutherland 1977,62,13598,248,12867,random
Frimodt-Moller et al. 1973,33,5069,47,5808,alternate
Stein & Aronson 1953,180,1541,372,1451,alternate
Vandiviere et al. 1973,8,2545,10,629,random
TPT Madras 1980,505,88391,499,88391,random
Coetzee & Berjak 1968,29,7499,45,7277,random
Rosenthal et al. 1961,17,1716,65,1665,systematic
Comstock et al. 1974,186,50634,141,27338,systematic
Comstock & Webster 1969,5,2498,3,2341,systematic
Comstock et al. 1976,27,16913,29,17854,systematic
"""

trials = pd.read_csv(StringIO(TRIALS))

print("Arm 1 had the vaccine, arm 2 did not; the event is tuberculosis.")
print("Each row becomes a log risk ratio with its variance:\n")
effects = mp.effect_size(trials, measure="RR")
print(effects[["study_id", "yi", "vi"]].round(4).to_string(index=False))

print("\nPooled with the defaults, REML and Hartung-Knapp:\n")
fit = mp.meta_analysis(effects)
print(fit)

print("\nThe vaccine works on average, but the prediction interval reaches past 1: elsewhere it may have no effect.")
print("How much rests on the estimator of tau²?\n")
for method in ("REML", "ML", "DL", "PM", "HE", "HS", "SJ"):
    other = mp.meta_analysis(effects, tau2_method=method)
    print(f"{method:5} tau² {other.tau2:.4f}  log RR {other.estimate:.4f} ({other.ci.low:.4f} to {other.ci.high:.4f})")
print("\nThe amount of heterogeneity does, the pooled effect and its interval hardly.")

print("\nDoes it depend on how participants were allocated?\n")
print(mp.subgroup_analysis(effects, by="allocation"))
