"""What a reader meets around the text: the frame of a page, and what lies around the built sites.

As an extension of Sphinx it tells the templates what they show, and writes the search index of a
site. `finish` runs once, after the sites of all languages lie beside each other: entry page, 404
page, sitemap.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from bilingual.languages import LANGUAGES
from publishing import measured
from publishing.entry import finish
from publishing.search import write_index

__all__ = ["finish", "setup"]


def describe(app: Sphinx, config: Config) -> None:
    """Tell the templates where the site will lie, its languages, and with what it was executed."""
    config.html_context |= {
        "base_url": (os.environ.get("HANDBOOK_BASE_URL") or "").rstrip("/"),
        "languages": LANGUAGES,
        "executed_with": [
            f"torch {version('torch').split('+')[0]}",
            f"torchvision {version('torchvision').split('+')[0]}",
            f"Python {'.'.join(map(str, sys.version_info[:3]))}",
        ],
    }


def write_search(app: Sphinx, exception: Exception | None) -> None:
    """Write the search index once all pages are written; the languages do that side by side."""
    if exception is None and app.builder.name == "html":
        write_index(Path(app.outdir))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the above, and leave out Sphinx's own search index."""
    measured.setup(app)
    app.connect("config-inited", describe)
    app.connect("builder-inited", lambda app: setattr(app.builder, "search", False))
    app.connect("build-finished", write_search)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
