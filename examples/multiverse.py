"""Does "psychosocial more than clinical" survive its multiverse?

One analysis is one path among thousands. Here the choices that could be defended are declared, all of their
combinations are run on the rows of Smit et al. (2023), and each different one is counted once. The options of format
answer different questions, so that they are read one by one. Then the same for recovery, and whether its curve is
farther from no effect than curves are when there is none.
"""

import warnings

import metapeer as mp

# What is impossible also stands among the notes of the results.
warnings.simplefilter("ignore", mp.DataWarning)

review = mp.load_dataset("smit2023")
rows = review.rows()


def choices(**more):
    """What a reader could have done differently."""
    return {
        "suspicious rows": mp.choose_corrections(review.overrides),
        "source": mp.choose_tables({"as the review computed them": None, "from the arms": without_review}),
        "variance": mp.choose_option(["metapsy", "LS", "UB"], decision="E"),
        "risk of bias": mp.choose_where({"all": None, "no high risk": "rob_overall!=High risk"}),
        "population": mp.choose_where({"all": None, "severe mental illness": "disorder=SMI"}, decision="N"),
        "format": mp.choose_where(
            {"all": None, "one-to-one": "format=one_to_one", "group": "format=group"}, decision="N"
        ),
        "row of a trial": mp.choose_rows(["average", "largest", "most_precise"]),
        "rho": [0.4, 0.6, 0.8],
        "outliers": mp.choose_outliers(["none", "ci", "rstudent"]),
        "tau2_method": mp.choose_option(["REML", "PM", "DL"], decision="E"),
        "ci_method": mp.choose_option(["HK", "HK_se", "z"]),
        **more,
    }


def without_review(table):
    """Leave the review's effects out, so that they are computed from what the trials printed where that can be."""
    arms = table["mean1"].notna() | table["events1"].notna()
    return table.assign(review_yi=table["review_yi"].where(~arms), review_sei=table["review_sei"].where(~arms))


how = {"measure": "SMD", "prefer": "review", "events_to_smd": True}

# 1. Psychosocial minus clinical: within the trials that report both, and over all trials.
contrast = mp.multiverse(
    rows,
    choices=choices(contrast_method=["paired", "GLS"]),
    claim="positive",
    contrast=("psychosocial", "clinical"),
    effect_options=how,
)
print(contrast)

# 2. The figure.
figure = contrast.plot(title="Psychosocial minus clinical outcomes of peer support")
# mp.save_figure(figure, "multiverse.png")

# 3. Format by format, and the shares of intervals above and below no difference.
print("\nBY FORMAT\n")
print(contrast.share_by("format").round(3).to_string(index=False))

# 4. Is so low a curve to be expected when there is no difference? Asked of differences within trials alone.
within = {name: choice for name, choice in choices().items() if name != "format"} | {"ci_method": ["HK"]}
paired = mp.multiverse(rows, choices=within, contrast=("psychosocial", "clinical"), effect_options=how)
print()
print(mp.multiverse_test(paired, draws=199, seed=1))

# 5. Recovery, with the test of the whole curve.
recovery = mp.multiverse(rows[rows["outcome"] == "recovery"], choices=choices(), claim="positive", effect_options=how)
print()
print(recovery)
print()
print(mp.multiverse_test(recovery, draws=512, seed=1))
