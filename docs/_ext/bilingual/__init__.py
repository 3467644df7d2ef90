"""The bilingual gallery: each script runs once and can be read in every language.

The first language is the source. A catalog per page (`locale/<language>/LC_MESSAGES/<page>.po`)
holds a translation. This extension does what standard gettext does not, each part in its own
module; README.md says how to use it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

HERE = Path(__file__).parent


def localize(app: Sphinx, config: Config) -> None:
    """Tell the templates the folder of the language, and Sphinx where the style sheet is.

    In Chinese, Sphinx by itself would leave ``--`` on the API pages as it is. Quotes are not
    changed.
    """
    from bilingual.languages import is_source, languages

    config.html_static_path.append(str(HERE / "static"))
    folders = {language.code: language.folder for language in languages(config)}
    config.html_context["folder"] = folders[config.language]
    if not is_source(config):
        config.smartquotes_action = "D"
        config.smartquotes_excludes = {}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register every part and their common style sheet."""
    from bilingual import (  # not needed by those who only read scripts or conf.py
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
        settings,
        shared_words,
        title_marks,
    )

    for part in (
        settings,
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
        title_marks,
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
