"""The bilingual gallery: each script runs once and can be read in every language.

English is the source. A catalog per page (`locale/<language>/LC_MESSAGES/<page>.po`) holds the
translation. This extension does what standard gettext does not, each part in its own module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zlib import crc32

from sphinx.application import Sphinx
from sphinx.config import Config

from bilingual import (
    alt_text,
    archives,
    code_comments,
    completeness,
    downloads,
    execute,
    folds,
    gallery_text,
    notebooks,
    requirements,
    shared_words,
)
from bilingual.languages import LANGUAGES, SOURCE

HERE = Path(__file__).parent


def localize(app: Sphinx, config: Config) -> None:
    """Tell the templates the folder of the language, and Sphinx where the style sheet is.

    In Chinese, Sphinx by itself would leave ``--`` on the API pages as it is. Quotes are not
    changed.
    """
    config.html_static_path.append(str(HERE / "static"))
    folders = {language.code: language.folder for language in LANGUAGES}
    config.html_context["folder"] = folders[config.language]
    if config.language != SOURCE.code:
        config.smartquotes_action = "D"
        config.smartquotes_excludes = {}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register every part and their common style sheet."""
    for part in (
        execute,
        completeness,
        code_comments,
        gallery_text,
        requirements,
        notebooks,
        downloads,
        archives,
        alt_text,
        folds,
        shared_words,
    ):
        part.setup(app)
    app.connect("config-inited", localize)
    app.add_css_file("bilingual.css")
    parts = b"".join(file.read_bytes() for file in sorted(HERE.glob("*.py")))
    return {
        "version": "1",
        "env_version": crc32(parts),  # pages are read again when a part has changed
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
