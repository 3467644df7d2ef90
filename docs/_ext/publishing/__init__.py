"""What a reader meets around the text: the frame of a page, and what lies around the built sites.

As a Sphinx extension it tells the templates what they show, describes each page for search engines,
and adds the roles for benchmark results and for the wheel, and the links to the repository.
`write_site_root` runs once, after all languages are built: it writes the entry page, the 404 page,
the sitemap and llms.txt. `write_wheel` puts the package beside them, which `build_wheel` made
meanwhile, and `write_project` the folder of the project.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from bilingual import settings, shared_words
from bilingual.languages import languages
from publishing import benchmark_role, descriptions, project_folder, repository
from publishing.project_folder import write_project
from publishing.site_root import write_site_root
from publishing.wheel import WheelRole, build_wheel, write_wheel

__all__ = ["build_wheel", "setup", "write_project", "write_site_root", "write_wheel"]


def add_template_context(app: Sphinx, config: Config) -> None:
    """Tell the templates the site's address, its languages, and with what it was executed."""
    config.html_context |= {
        "base_url": (os.environ.get("HANDBOOK_BASE_URL") or "").rstrip("/"),
        "languages": languages(config),
        "repository": tuple(repository.told()),
        "executed_with": [
            f"torch {version('torch').split('+')[0]}",
            f"torchvision {version('torchvision').split('+')[0]}",
            f"Python {'.'.join(map(str, sys.version_info[:3]))}",
        ],
    }


def place_links(app: Sphinx, config: Config) -> None:
    """Make room for the links below the text, unless there are none."""
    if repository.told().address:
        config.html_theme_options["article_footer_items"] = ["page-links"]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role, the links, the descriptions and the context of the templates."""
    if "bilingual_languages" not in app.config:
        settings.setup(app)
    benchmark_role.setup(app)
    descriptions.setup(app)
    repository.setup(app)
    app.add_role("wheel", WheelRole())
    app.add_transform(project_folder.LinkToProject)
    shared_words.register(project_folder.LINK)
    app.connect("config-inited", add_template_context)
    app.connect("config-inited", place_links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
