"""Sphinx's settings for the site: `make docs-site`. It needs no network, and its search neither."""

from __future__ import annotations

from saco_data.model.version import __version__

project = "saco-data"
version = release = __version__
root_doc = "docs/index"
extensions = ["myst_parser"]
# The pages are read where they are, so that links between them are those of the repository.
include_patterns = ["*.md", "docs/*.md", "docs/images/*", "pipelines/README.md"]
myst_heading_anchors = 3
# A link to a file of the repository, not to a page, stays as it is written.
suppress_warnings = ["myst.xref_missing"]
html_theme = "alabaster"
html_theme_options = {"fixed_sidebar": True, "page_width": "70rem", "body_max_width": "50rem"}
html_sidebars = {"**": ["about.html", "searchbox.html", "navigation.html"]}
html_copy_source = False
