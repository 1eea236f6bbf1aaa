import math
import warnings

import pytest
from matplotlib.figure import Figure

from metapeer.errors import ChoiceError
from metapeer.plots.style import save_figure
from metapeer.plots.text import FAMILY, PlainText, text_width


def small_figure():
    figure = Figure((2, 1))
    figure.add_axes((0.2, 0.3, 0.7, 0.6)).plot([0, 1], [0, 1])
    return figure


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_the_suffix_decides_the_format_and_files_are_the_same_on_every_run(tmp_path, suffix, magic):
    one = save_figure(small_figure(), tmp_path / f"one{suffix}")
    two = save_figure(small_figure(), str(tmp_path / f"two{suffix}"))
    assert one.read_bytes().startswith(magic)
    assert one.read_bytes() == two.read_bytes()


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ChoiceError, match=r"suffix '\.pgn' is unknown\. Did you mean '\.png'\?"):
        save_figure(small_figure(), tmp_path / "figure.pgn")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dpi", [0, -1, math.nan, math.inf, "300"])
def test_an_impossible_resolution_is_refused(tmp_path, dpi):
    with pytest.raises(ChoiceError, match="dpi must be a number above 0"):
        save_figure(small_figure(), tmp_path / "figure.png", dpi=dpi)


def test_a_png_has_the_resolution_asked_for_and_axes_stand_for_their_figure(tmp_path):
    figure = Figure((3, 2))
    ax = figure.add_axes((0.2, 0.3, 0.7, 0.6))
    content = save_figure(ax, tmp_path / "figure.png", dpi=150).read_bytes()
    assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == (450, 300)


def test_what_reaches_beyond_the_edge_enlarges_the_page(tmp_path):
    figure = Figure((3, 2))
    figure.add_artist(PlainText(2.8 / 3, 0.5, "reaches far beyond the edge", size=10, transform=figure.transFigure))
    content = save_figure(figure, tmp_path / "figure.png", dpi=100).read_bytes()
    beyond = 2.8 + text_width("reaches far beyond the edge", 10) / 72
    assert int.from_bytes(content[16:20]) == pytest.approx(100 * beyond, abs=3)


def test_resolution_gives_way_where_no_image_could_be_that_high(tmp_path):
    content = save_figure(Figure((0.1, 500)), tmp_path / "figure.png", dpi=300).read_bytes()
    assert 65_000 < int.from_bytes(content[20:24]) <= 65_535


def test_text_stays_text_in_svg_with_a_sans_serif_face_for_those_without_dejavu(tmp_path):
    figure = Figure((3, 2))
    figure.add_artist(PlainText(0.1, 0.5, "a $x^2$ <b>日</b>", size=10, transform=figure.transFigure))
    content = save_figure(figure, tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert ">a $x^2$ &lt;b&gt;日&lt;/b&gt;<" in content
    assert f"font-family: '{FAMILY}', Verdana, sans-serif" in content
    assert "dc:date" not in content


def test_a_glyph_nobody_has_is_drawn_without_a_warning(tmp_path):
    figure = Figure((2, 1))
    figure.add_artist(PlainText(0.1, 0.5, "\U0001f9ff\U00012000\u0e44", size=10, transform=figure.transFigure))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix in ("png", "svg", "pdf"):
            figure.savefig(tmp_path / f"usual.{suffix}")
            save_figure(figure, tmp_path / f"ours.{suffix}")
