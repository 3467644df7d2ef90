"""The search of the site: an index of the built pages, and the dialog and page that search it.

The browser does the searching, so the site needs no server, and a page opened from the file system
can be searched as well. `static/search.js` is the box, `static/search-engine.js` finds the pages,
on top of MiniSearch. Sphinx's own search is left out: it does not find Chinese words.

`search_synonyms` in conf.py names files of words that mean the same (`same_words.py`), and
`search_aside` pages that touch on everything and come after the page that explains it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from search.index import write_index
from search.same_words import read_synonyms

__all__ = ["setup", "write_index"]

HERE = Path(__file__).parent


def add_files(app: Sphinx, config: Config) -> None:
    """Tell Sphinx where the templates, the script and the style sheet are."""
    config.templates_path = [*config.templates_path, str(HERE / "templates")]
    config.html_static_path = [*config.html_static_path, str(HERE / "static")]
    config.html_additional_pages = config.html_additional_pages | {"search": "search.html"}


def disable_sphinx_search(app: Sphinx) -> None:
    """Keep Sphinx from writing an index of its own."""
    app.builder.search = False


def write_site_index(app: Sphinx, exception: Exception | None) -> None:
    """Write the index of one language once all its pages are written."""
    if exception is None and app.builder.name == "html":
        files = [Path(app.confdir) / name for name in app.config.search_synonyms]
        synonyms = [group for file in files for group in read_synonyms(file)]
        write_index(Path(app.outdir), synonyms, app.config.search_aside)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the files and the handlers."""
    app.add_config_value("search_synonyms", [], "")
    app.add_config_value("search_aside", [], "")
    app.connect("config-inited", add_files)
    app.connect("builder-inited", disable_sphinx_search)
    app.connect("build-finished", write_site_index)
    app.add_css_file("search.css", priority=800)  # after the theme's
    app.add_js_file("search.js", defer="defer", priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
