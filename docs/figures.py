"""Figures of the documentation, drawn anew from the bundled data at every build."""

import re
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

import metapeer as mp

FOLDER = Path(__file__).parent / "generated" / "figures"
GALLERY = Path(__file__).parent / "gallery.md"


def _smit() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Effects of one review, as they are and with suspected errors corrected."""
    review = mp.load_dataset("smit2023")

    def compute(outcomes: pd.DataFrame) -> pd.DataFrame:
        rows = review.rows(outcomes)
        return mp.effect_size(rows, measure="SMD", variance="metapsy", prefer="review", events_to_smd=True)

    return compute(review.outcomes), compute(mp.apply_overrides(review.outcomes, review.overrides))


def draw_gallery() -> list[str]:
    """Run the code of the gallery from top to bottom, and save each figure under the name of the image after it."""
    parts = re.findall(
        r"^```python\n(.*?)^```|^```\{image\} generated/figures/(\S+)",
        GALLERY.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    names: dict[str, Any] = {}
    drawn: list[str] = []
    for code, image in parts:
        if code:
            names.pop("figure", None)
            exec(compile(code, str(GALLERY), "exec"), names)  # noqa: S102 - our own page
        else:
            mp.save_figure(names["figure"], FOLDER / image, dpi=150)
            drawn.append(image)
    return drawn


def draw_all(_app: object = None) -> None:
    """Draw every figure that a page shows."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.DataWarning)
        effects, corrected = _smit()
        contrast = mp.contrast_outcome_classes(
            effects, arm_sizes="equal", variants={"suspected errors corrected": corrected}
        )
        mp.save_figure(contrast.plot(), FOLDER / "outcome-classes.png")
        mp.save_figure(mp.pool_outcomes(effects).plot(), FOLDER / "outcomes.png")
        draw_gallery()


if __name__ == "__main__":
    draw_all()
