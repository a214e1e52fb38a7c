"""Sphinx configuration; ``make docs`` builds the pages."""

import skfm

project = "skfm"
author = "skfm developers"
copyright = author
release = version = skfm.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"skfm {release}"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

autosummary_generate = False
autodoc_default_options = {"members": True, "inherited-members": True}
numpydoc_show_class_members = False


def skip_foreign_members(app, what, name, obj, skip, options):
    """Leave out what scikit-learn documents: its texts refer to its own pages."""
    module = getattr(getattr(obj, "fget", obj), "__module__", None)
    return skip or not str(module).startswith("skfm")


def setup(app):
    app.connect("autodoc-skip-member", skip_foreign_members)
