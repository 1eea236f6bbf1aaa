import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

project = "metapeer"
author = "The metapeer developers"
copyright = author  # noqa: A001 - the name Sphinx looks for
release = version = installed_version("metapeer")

sys.path.insert(0, str(Path(__file__).parent))  # figures, tables and mathml lie beside this file

extensions = [
    "mathml",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "generated/tables"]  # included by pages, no pages themselves
nitpicky = True  # a link to nowhere is an error

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # each docstring says its types in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the templates list what is public
numpydoc_class_members_toctree = False

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"metapeer {release}"


def setup(app: Any) -> None:
    """Draw the figures and compute the tables of the pages before they are read."""
    from figures import draw_all
    from tables import write_all

    app.connect("builder-inited", draw_all)
    app.connect("builder-inited", write_all)
