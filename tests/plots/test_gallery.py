import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_figure_of_the_gallery_has_one_image_of_its_own_with_words_for_it():
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    pattern = r"^```python\n(.*?)^```\n\n(```\{image\} generated/figures/(\S+)\n:alt: \S+)?"
    blocks = re.findall(pattern, page, re.MULTILINE | re.DOTALL)
    drawn = [(code, image) for code, _, image in blocks if "figure = " in code]
    assert len(drawn) > 30
    assert all(image for _, image in drawn)
    assert len({image for _, image in drawn}) == len(drawn)
    assert page.count("```{image}") == len(drawn)


@pytest.mark.slow
def test_the_code_of_the_gallery_draws_every_image(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    with pytest.warns(figures.mp.DataWarning):
        drawn = figures.draw_gallery()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(drawn)
