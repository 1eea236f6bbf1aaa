"""Draw a forest plot and save it as PNG, SVG and PDF."""

from pathlib import Path

import metapeer as mp

review = mp.load_dataset("smit2023")
rows = review.rows()
recovery = rows[(rows["outcome_group"] == "personal recovery") & (rows["format"] == "group")]
effects = mp.effect_size(recovery, measure="SMD", variance="metapsy")

fit = mp.meta_analysis(effects)
figure = fit.plot(title="Group peer support and personal recovery")
for suffix in ("png", "svg", "pdf"):
    path = mp.save_figure(figure, Path(f"group_recovery.{suffix}"))
    print(f"wrote {path.name}, {'not empty' if path.stat().st_size else 'empty'}")

# The same from the command line:
#   metapeer forest smit2023 --where outcome_group="personal recovery" --where format=group -o group_recovery.pdf
