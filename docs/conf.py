"""How `make docs` builds the site: from the pages here, the notebooks as they are stored, and the docstrings."""

from importlib.metadata import version as _version

from gallump_lab import lazy as _lazy

project = "gallump_lab"
author = "gallump_lab contributors"
copyright = "gallump_lab contributors, MIT"  # noqa: A001 (Sphinx's name)
version = release = _version("gallump-lab")

# The site tells a record's fields one by one.
_lazy.Fields.__get__ = lambda told, *_: told.words

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "sphinx_copybutton"]
# Built from the checkout's root, so that a link from one page to another works here, in an editor and on a forge.
root_doc = "docs/index"
include_patterns = ["docs/**.md", "notebooks/*.ipynb", "tests/benchmarks/README.md", "data/README.md", "C*.md"]
exclude_patterns = [".*", "docs/_build", "**/.ipynb_checkpoints"]

nb_execution_mode = "off"  # a notebook shows what is stored in it; `make test` runs them all
suppress_warnings = [
    "mystnb.unknown_mime_type",  # Vega-Lite's script would have to be fetched; the PNG beside it is shown
    "ref.python",  # a parameter's name that many records share
]
myst_heading_anchors = 3

default_role = "literal"
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature has them
autodoc_class_signature = "separated"
autodoc_default_options = {"exclude-members": "__init__"}

toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "gallump_lab"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_context = {"default_mode": "auto"}
html_theme_options = {"navigation_with_keys": False}
