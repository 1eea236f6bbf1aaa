"""The flow diagram shows every box once, keeps words within boxes, and leads arrows from box to box."""

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from metapeer.errors import ChoiceError, DataError
from metapeer.plots.prisma import flow_plot
from metapeer.plots.style import save_figure

TABLE = pd.DataFrame(
    {
        "box": ["head", "found", "removed", "screened", "beside"],
        "column": [0, 0, 1, 0, 2],
        "row": [0, 1, 1, 2, 1],
        "text": [
            "Databases and registers",
            "Records found\nDatabases (n = 12)",
            "Removed (n = 3) because they stood there more than once, or for other reasons that take many words",
            "Screened (n = 9)",
            "By hand (n = 1)",
        ],
        "to": [None, "removed;screened", "", "", "screened"],
        "stage": ["", "Identification", "Identification", "Screening", "Identification"],
        "kind": ["heading", "", "", "", ""],
    }
)


def frames(figure):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle) and patch.get_linewidth() < 1]


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_word_of_every_box_is_shown():
    shown = " ".join(words(flow_plot(TABLE, width=6)))
    for text in TABLE["text"]:
        for word in text.split():
            assert word in shown


def test_words_stay_within_their_boxes_and_boxes_within_the_page():
    figure = flow_plot(TABLE, width=6, title="A title", notes=["a note"])
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None
    panel = figure.axes[0]
    boxes = [patch.get_window_extent(renderer) for patch in panel.patches if isinstance(patch, Rectangle)]
    page = figure.bbox
    for box in boxes:
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        assert page.y0 <= box.y0
        assert box.y1 <= page.y1
    for text in panel.texts:
        if text.get_text() in ("A title", "a note"):
            continue
        extent = text.get_window_extent(renderer)
        assert any(
            box.x0 - 1 <= extent.x0 and extent.x1 <= box.x1 + 1 and box.y0 - 1 <= extent.y0 and extent.y1 <= box.y1 + 1
            for box in boxes
        ), text.get_text()


def test_boxes_do_not_overlap():
    figure = flow_plot(TABLE, width=6)
    boxes = [patch.get_window_extent() for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_there_is_an_arrow_for_each_that_is_asked_for():
    figure = flow_plot(TABLE, width=6)
    assert sum(isinstance(patch, FancyArrowPatch) for patch in figure.axes[0].patches) == 3


def test_the_figure_is_the_same_file_on_every_run(tmp_path):
    one, two = (save_figure(flow_plot(TABLE, width=6), tmp_path / f"{i}.svg") for i in range(2))
    assert one.read_bytes() == two.read_bytes()
    assert save_figure(flow_plot(TABLE, width=6), tmp_path / "a.png", dpi=50).stat().st_size > 1000


def test_it_can_be_drawn_on_axes_of_ones_own_when_they_are_large_enough():
    figure = Figure((8, 6))
    ax = figure.add_axes((0, 0, 1, 1))
    assert flow_plot(TABLE, ax=ax) is figure
    with pytest.raises(ChoiceError, match="inches in height"):
        flow_plot(TABLE, ax=Figure((8, 0.5)).add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize(
    "changes",
    [
        {"box": ["head", "found", "found", "screened", "beside"]},
        {"column": [0, 0, -1, 0, 2]},
        {"column": [0, 0, 1.5, 0, 2]},
        {"column": [0, 0, 10**9, 0, 2]},
        {"row": [0, 1, None, 2, 1]},
        {"row": [0, 1, "one", 2, 1]},
        {"row": [0, 1, 1, 1, 1]},
        {"to": ["nowhere", "", "", "", ""]},
    ],
)
def test_a_table_that_cannot_be_drawn_is_a_data_error(changes):
    with pytest.raises(DataError):
        flow_plot(TABLE.assign(**{name: pd.Series(cells, dtype=object) for name, cells in changes.items()}))


def test_other_nonsense_is_refused_in_words():
    for bad in (TABLE.drop(columns="text"), TABLE.iloc[:0]):
        with pytest.raises(DataError):
            flow_plot(bad)
    for how in ({"width": 1}, {"width": float("nan")}, {"width": "wide"}, {"ax": 5}, {"width": 2.5}):
        with pytest.raises(ChoiceError):
            flow_plot(TABLE, **how)
    with pytest.raises(ChoiceError):
        flow_plot([1])


@pytest.mark.parametrize("text", ["", "x" * 500, "$\\frac{1}{2}$ %", "\x00\x1b[31m", "漢字 ليس \ud800", "\n\n\n"])
def test_any_text_can_be_drawn(text, tmp_path):
    cells = pd.Series([text] * 5, dtype=object)  # pandas' own texts refuse half a surrogate pair
    table = TABLE.assign(text=cells, stage=cells)
    save_figure(flow_plot(table, width=6, title=text, notes=[text]), tmp_path / "a.svg")
