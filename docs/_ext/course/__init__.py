"""The course: the order of the lessons, the form of each, and what the site says about them.

As a Sphinx extension it adds the head of each lesson, its neighbours and its card, the lists of the
page *Where is it explained?* and what the home page shows, and writes each lesson as Markdown, too.
The rules that tests apply to the scripts are in `form`, `learners_python` and `introductions`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zlib import crc32

from sphinx.application import Sphinx

HERE = Path(__file__).parent


def setup(app: Sphinx) -> dict[str, Any]:
    """Register every part."""
    # Not needed by those who import the rules.
    from course import book, cards, earlier, head, home, markdown_pages, neighbours, where

    app.add_config_value("course_order", [], "env")
    app.add_config_value("course_not_yet", [], "env")
    app.add_config_value("course_times", "lesson_times.json", "env")
    for part in (book, head, earlier, where, neighbours, cards, home, markdown_pages):
        part.setup(app)
    parts = b"".join(file.read_bytes() for file in sorted(HERE.glob("*.py")))
    return {
        "version": "1",
        "env_version": crc32(parts),  # pages are read again when a part has changed
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
