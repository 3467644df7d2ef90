"""What a reader meets around the text: the frame of a page, and what lies around the built sites.

As a Sphinx extension it tells the templates what they show, describes each page for search engines,
and adds the role for benchmark results. `write_site_root` runs once, after all languages are built:
it writes the entry page, the 404 page, the sitemap and llms.txt.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from bilingual.languages import LANGUAGES
from publishing import benchmark_role, descriptions
from publishing.site_root import write_site_root

__all__ = ["setup", "write_site_root"]


def add_template_context(app: Sphinx, config: Config) -> None:
    """Tell the templates the site's address, its languages, and with what it was executed."""
    config.html_context |= {
        "base_url": (os.environ.get("HANDBOOK_BASE_URL") or "").rstrip("/"),
        "languages": LANGUAGES,
        "executed_with": [
            f"torch {version('torch').split('+')[0]}",
            f"torchvision {version('torchvision').split('+')[0]}",
            f"Python {'.'.join(map(str, sys.version_info[:3]))}",
        ],
    }


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role, the descriptions and the context of the templates."""
    benchmark_role.setup(app)
    descriptions.setup(app)
    app.connect("config-inited", add_template_context)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
