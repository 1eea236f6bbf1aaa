import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure

from metapeer.plots.cells import clean_text
from metapeer.plots.text import PlainText, text_width, wrap_text


def test_type_is_set_as_wide_as_it_was_measured_at_every_resolution():
    text = "Supported employment 2014, 0.12 (−0.03 to 0.40)"
    for dpi in (72, 90, 100, 110, 300):
        figure = Figure((8, 1), dpi=dpi)
        line = figure.add_artist(PlainText(0, 0.5, text, size=7, bold=True))
        width = line.get_window_extent(RendererAgg(1, 1, dpi)).width * 72 / dpi
        assert width == pytest.approx(text_width(text, 7, bold=True), rel=0.01)


def test_pyplot_is_never_needed():
    code = "import sys, metapeer.plots.forest; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.text(), st.floats(20, 300))
def test_wrapping_loses_nothing_but_blanks_and_keeps_every_line_within_the_limit(text, limit):
    cleaned = clean_text(text)
    lines = wrap_text(cleaned, limit, 8)
    assert re.sub(r"[ \n]", "", cleaned) == "".join(lines).replace(" ", "")
    assert all(text_width(line, 8) <= limit or len(line) == 1 for line in lines)
