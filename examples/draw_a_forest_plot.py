"""Draw a forest plot and save it as PNG, SVG and PDF.

The pictures go into a temporary folder, which is gone afterwards; give save_figure() a path of your own to keep one.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import metapeer as mp

review = mp.load_dataset("smit2023")
rows = review.rows()
recovery = rows[(rows["outcome_group"] == "personal recovery") & (rows["format"] == "group")]
effects = mp.effect_size(recovery, measure="SMD", variance="metapsy")

fit = mp.meta_analysis(effects)
print(fit)
print()

figure = fit.plot(title="Group peer support and personal recovery")
with TemporaryDirectory() as folder:
    for suffix in ("png", "svg", "pdf"):
        path = mp.save_figure(figure, Path(folder, f"group_recovery.{suffix}"))
        print(f"wrote {path.name}, {'not empty' if path.stat().st_size else 'empty'}")

# The same from the command line:
#   metapeer forest smit2023 --variance metapsy --where outcome_group="personal recovery" --where format=group \
#       --output group_recovery.pdf
