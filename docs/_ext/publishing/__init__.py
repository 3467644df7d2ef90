"""What a reader meets around the text: the frame of a page, and what lies around the built sites.

As a Sphinx extension it tells the templates what they show, adds the role for benchmark results,
and writes the search index. `write_site_root` runs once, after all languages are built: it writes
the entry page, the 404 page and the sitemap.
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
from publishing import benchmark_role
from publishing.search import write_index
from publishing.site_root import write_site_root

__all__ = ["setup", "write_site_root"]


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
    benchmark_role.setup(app)
    app.connect("config-inited", describe)
    app.connect("builder-inited", lambda app: setattr(app.builder, "search", False))
    app.connect("build-finished", write_search)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
