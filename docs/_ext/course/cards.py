"""The card of a lesson, wherever sphinx-gallery shows its thumbnail: question, time and level."""

from __future__ import annotations

from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.locale import _

from bilingual import shared_words
from course import book
from course.head import head_of

MINUTES = "{} min"


def level_of(config: Config, lesson: str) -> str:
    """Return the level of a lesson in the language of the site; empty if its part has none."""
    return _(config.course_levels.get(lesson.partition("/")[0], ""))


def complete_cards(app: Sphinx, document: nodes.document, docname: str) -> None:
    """Add the lines below the title, which `bilingual.gallery_text` has put in."""
    for raw in document.findall(nodes.raw):
        page = raw.get("lesson", "")
        lesson = book.lesson_of(app.config, page)
        if lesson is None or "sphx-glr-thumbnail-title" not in raw.astext():
            continue
        minutes = _(MINUTES).format(head_of(app.env, lesson).minutes)
        facts = " · ".join(filter(None, (minutes, level_of(app.config, lesson))))
        question = escape(app.env.metadata[page].get("intro", ""))
        title, end, rest = raw.astext().rpartition("</div>")
        lines = f'<p class="card-question">{question}</p>\n<p class="card-facts">{facts}</p>\n'
        raw[:] = [nodes.Text(title + lines + end + rest)]


def note_levels(app: Sphinx, config: Config) -> None:
    """Demand that the levels are translated."""
    shared_words.register(*config.course_levels.values())


def setup(app: Sphinx) -> None:
    """Register the handlers and the words."""
    shared_words.register(MINUTES)
    app.add_config_value("course_levels", {}, "env")
    app.connect("config-inited", note_levels)
    app.connect("doctree-resolved", complete_cards, priority=600)  # after `fill_thumbnails`
